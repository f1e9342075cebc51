"""The charts of a report as Vega-Lite, each from plain values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from autometa.report._drawing import PALETTE, QUIET
from autometa.wording import number

Chart = dict[str, Any]
Row = dict[str, Any]

BLUE, ORANGE, TEAL, PURPLE = PALETTE[:4]

# Told apart by shape as well as by colour.
ORIGINS: Final = ("default", "recommended", "proposed", "search")
SHAPES: Final = ("square", "circle", "triangle-up", "diamond")
_BAR: Final = 22  # pixels for a bar with its gap
_TIP: Final[Mapping[str, Any]] = {"field": "tip", "type": "nominal"}


def plain(value: Any) -> Any:
    """Return a value as JSON knows it; None for what is not finite."""
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def values(rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return rows as the data of a chart."""
    return {"values": [{key: plain(value) for key, value in row.items()} for row in rows]}


def _labels(rows: Sequence[Row]) -> Chart:
    """Return the axis of the labels, with room for a font that is wider than the one they are measured in."""
    longest = max((len(str(row["label"])) for row in rows), default=0)
    room = min(7.2 * longest + 8, 158)
    return {
        "field": "label",
        "type": "nominal",
        "sort": None,
        "title": None,
        "axis": {
            "labelLimit": 132,
            "minExtent": room,
            "domain": False,
            "ticks": False,
            "labelOverlap": False,
        },
    }


def intervals(rows: Sequence[Row], title: str) -> Chart:
    """Draw a value with its interval for each label: rows of label, value, lower, upper, kind and tip."""
    y = _labels(rows)
    x = {
        "type": "quantitative",
        "title": title,
        "scale": {"zero": False, "nice": True},
        "axis": {"tickCount": 5},
    }
    color = {
        "field": "kind",
        "type": "nominal",
        "legend": None,
        "scale": {"domain": ["main", "other"], "range": [BLUE, QUIET]},
    }
    return {
        "height": _BAR * len(rows) + 46,
        "data": values(rows),
        "encoding": {"y": y},
        "layer": [
            {
                "transform": [{"filter": "isValid(datum.lower) && isValid(datum.upper)"}],
                "mark": {"type": "rule", "strokeWidth": 6, "opacity": 0.35, "aria": False},
                "encoding": {
                    "x": {**x, "field": "lower"},
                    "x2": {"field": "upper"},
                    "color": color,
                },
            },
            {
                "mark": {"type": "point", "filled": True, "size": 70, "opacity": 1},
                "encoding": {"x": {**x, "field": "value"}, "color": color, "description": _TIP},
            },
        ],
    }


def bars(
    rows: Sequence[Row], title: str, *, format: str = "", color: str = BLUE, error: bool = False
) -> Chart:
    """Draw a bar for each label, in the order of the rows: rows of label, value, text and tip (and lower, upper)."""
    y = _labels(rows)
    x: Chart = {
        "field": "value",
        "type": "quantitative",
        "title": title,
        "axis": {"tickCount": 4, **({"format": format} if format else {})},
    }
    layer: list[Chart] = [
        {
            "mark": {"type": "bar", "color": color, "height": 13, "cornerRadiusEnd": 2},
            "encoding": {"x": x, "description": _TIP},
        }
    ]
    if error:
        layer.append(
            {
                "mark": {"type": "rule", "color": "var(--ink)", "strokeWidth": 1.5, "aria": False},
                "encoding": {"x": {"field": "lower", "type": "quantitative"}, "x2": {"field": "upper"}},
            }
        )
    return {
        "height": _BAR * len(rows) + 46,
        "data": values(rows),
        "encoding": {"y": y},
        "layer": layer,
    }


def histogram(counts: Sequence[int], edges: Sequence[float], title: str) -> Chart:
    """Draw how often values fall between edges."""
    rows = [
        {"from": low, "to": high, "n": n, "tip": f"{number(low)} to {number(high)}: {n:,}"}
        for low, high, n in zip(edges[:-1], edges[1:], counts, strict=True)
    ]
    return {
        "height": 190,
        "data": values(rows),
        "mark": {"type": "bar", "color": BLUE, "binSpacing": 1},
        "encoding": {
            "x": {
                "field": "from",
                "type": "quantitative",
                "bin": {"binned": True},
                "title": title,
                "axis": {"tickCount": 5},
            },
            "x2": {"field": "to"},
            "y": {"field": "n", "type": "quantitative", "title": "rows", "axis": {"tickCount": 4}},
            "description": _TIP,
        },
    }


def _origins(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    found = {row["origin"] for row in rows}
    return [*(name for name in ORIGINS if name in found), *sorted(found.difference(ORIGINS))]


def _by_origin(names: Sequence[str]) -> Chart:
    order = {name: i for i, name in enumerate(ORIGINS)}
    places = [order.get(name, i) for i, name in enumerate(names)]
    return {
        "color": {
            "field": "origin",
            "type": "nominal",
            "scale": {"domain": list(names), "range": [PALETTE[i % len(PALETTE)] for i in places]},
        },
        "shape": {
            "field": "origin",
            "type": "nominal",
            "scale": {"domain": list(names), "range": [SHAPES[i % len(SHAPES)] for i in places]},
        },
    }


def _score_axis(title: str, domain: tuple[float, float] | None) -> Chart:
    scale: Chart = {"zero": False}
    if domain is not None:
        scale |= {"domain": list(domain), "nice": False, "clamp": True}
    return {"type": "quantitative", "title": title, "scale": scale, "axis": {"tickCount": 5}}


def over_time(
    trials: Sequence[Row],
    best: Sequence[Row],
    lines: Sequence[Row],
    title: str,
    domain: tuple[float, float] | None,
    nothing: Sequence[Row] = (),
) -> Chart:
    """Draw the trials at the moment they ended, the best model so far, and scores to compare with.

    Parameters
    ----------
    trials : sequence of dict
        seconds, score, origin, tip.
    best : sequence of dict
        seconds, score.
    lines : sequence of dict
        score: of the default.
    title : str
        Of the scores.
    domain : tuple of float, optional
        Of the scores; what lies beyond is drawn on the edge.
    nothing : sequence of dict, default=()
        seconds, score: what a search from nothing should reach.
    """
    y = _score_axis(title, domain)
    x = {
        "field": "seconds",
        "type": "quantitative",
        "title": "seconds since the start",
        "axis": {"tickCount": 6},
    }
    layer: list[Chart] = []
    if lines:
        layer.append(
            {
                "data": values(lines),
                "mark": {"type": "rule", "color": "var(--ink)", "strokeDash": [5, 4], "aria": False},
                "encoding": {"y": {**y, "field": "score"}},
            }
        )
    if nothing:
        layer.append(
            {
                "data": values(nothing),
                "mark": {
                    "type": "line",
                    "color": QUIET,
                    "strokeDash": [2, 3],
                    "strokeWidth": 2.5,
                    "aria": False,
                },
                "encoding": {"x": x, "y": {**y, "field": "score"}},
            }
        )
    layer += [
        {
            "data": values(trials),
            "mark": {"type": "point", "filled": False, "size": 45, "strokeWidth": 1.6, "opacity": 0.9},
            "encoding": {
                "x": x,
                "y": {**y, "field": "score"},
                **_by_origin(_origins(trials)),
                "description": _TIP,
            },
        },
        {
            "data": values(best),
            "mark": {
                "type": "line",
                "interpolate": "step-after",
                "color": "var(--ink)",
                "strokeWidth": 2,
                "aria": False,
            },
            "encoding": {"x": x, "y": {**y, "field": "score"}},
        },
    ]
    return {"height": 280, "layer": layer}


def against_seconds(trials: Sequence[Row], title: str, domain: tuple[float, float] | None) -> Chart:
    """Draw scores against what they cost."""
    seconds = [row["seconds"] for row in trials]
    is_wide = max(seconds) > 30 * max(min(seconds), 1e-9)
    scale = {"type": "log"} if is_wide else {"zero": False}
    return {
        "height": 250,
        "data": values(trials),
        "mark": {"type": "point", "filled": False, "size": 45, "strokeWidth": 1.6, "opacity": 0.9},
        "encoding": {
            "x": {
                "field": "seconds",
                "type": "quantitative",
                "title": "seconds for all folds" + (" (logarithmic)" if is_wide else ""),
                "scale": scale,
                "axis": {"tickCount": 5, "format": "~g", "grid": not is_wide},
            },
            "y": {**_score_axis(title, domain), "field": "score"},
            **_by_origin(_origins(trials)),
            "description": _TIP,
        },
    }


def task_map(known: Sequence[Row], near: Sequence[Row], here: Row) -> Chart:
    """Draw where a table lies: rows of x, y, label and tip."""
    x = {
        "field": "x",
        "type": "quantitative",
        "axis": None,
        "scale": {"zero": False, "nice": False, "padding": 14},
    }
    y = {**x, "field": "y"}
    return {
        "height": 270,
        "layer": [
            {
                "data": values(known),
                "mark": {"type": "circle", "size": 28, "color": QUIET, "opacity": 0.6},
                "encoding": {"x": x, "y": y, "description": _TIP},
            },
            {
                "data": values(near),
                "mark": {
                    "type": "point",
                    "shape": "square",
                    "filled": True,
                    "size": 60,
                    "color": ORANGE,
                    "opacity": 1,
                },
                "encoding": {"x": x, "y": y, "description": _TIP},
            },
            {
                "data": values([here]),
                "mark": {
                    "type": "point",
                    "shape": "diamond",
                    "filled": True,
                    "size": 260,
                    "color": BLUE,
                    "stroke": "var(--card)",
                    "strokeWidth": 2,
                    "opacity": 1,
                },
                "encoding": {"x": x, "y": y, "description": _TIP},
            },
        ],
    }


def confusion(rows: Sequence[Row], classes: Sequence[str]) -> Chart:
    """Draw shares of each true class by prediction: rows of truth, answer, share, n and tip."""
    n = len(classes)
    side = max(18, min(44, 250 // n))
    axis = {"labelLimit": 90, "domain": False, "ticks": False, "labelOverlap": False, "grid": False}
    layer: list[Chart] = [
        {
            "mark": {"type": "rect", "color": BLUE, "stroke": "var(--grid)"},
            "encoding": {
                "opacity": {
                    "field": "share",
                    "type": "quantitative",
                    "legend": None,
                    "scale": {"domain": [0, 1], "range": [0.03, 0.55]},
                },
                "description": _TIP,
            },
        }
    ]
    if n <= 8:
        layer.append(
            {
                "mark": {"type": "text", "fontSize": 12, "aria": False},
                "encoding": {"text": {"field": "text", "type": "nominal"}},
            }
        )
    return {
        "height": side * n + 90,
        "data": values(rows),
        "encoding": {
            "x": {
                "field": "answer",
                "type": "nominal",
                "sort": list(classes),
                "title": "predicted",
                "axis": {**axis, "labelAngle": 0 if n * max(map(len, classes)) <= 30 else -45},
            },
            "y": {"field": "truth", "type": "nominal", "sort": list(classes), "title": "true", "axis": axis},
        },
        "layer": layer,
    }


def curves(rows: Sequence[Row], x: str, y: str, *, names: Sequence[str]) -> Chart:
    """Draw lines in the unit square with its diagonal: rows of x, y and name, in order."""
    unit = {"type": "quantitative", "scale": {"domain": [0, 1]}, "axis": {"tickCount": 5, "format": ".0%"}}
    is_single = len(names) == 1
    return {
        "height": 270,
        "layer": [
            {
                "data": {"values": [{"x": 0, "y": 0}, {"x": 1, "y": 1}]},
                "mark": {
                    "type": "line",
                    "color": QUIET,
                    "strokeDash": [4, 4],
                    "strokeWidth": 1.5,
                    "aria": False,
                },
                "encoding": {
                    "x": {**unit, "field": "x", "title": x},
                    "y": {**unit, "field": "y", "title": y},
                },
            },
            {
                "data": values(rows),
                "mark": {"type": "line", "strokeWidth": 2, "aria": False},
                "encoding": {
                    "x": {**unit, "field": "x", "title": x},
                    "y": {**unit, "field": "y", "title": y},
                    "order": {"field": "i", "type": "quantitative"},
                    "color": {
                        "field": "name",
                        "type": "nominal",
                        "scale": {"domain": list(names), "range": list(PALETTE[: len(names)])},
                        "legend": None if is_single else {"columns": 2},
                    },
                    "strokeDash": {
                        "field": "name",
                        "type": "nominal",
                        "scale": {"domain": list(names), "range": _DASHES[: len(names)]},
                        "legend": None if is_single else {"columns": 2},
                    },
                },
            },
        ],
    }


_DASHES: Final = [[1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [10, 4], [4, 4]]


def calibration(rows: Sequence[Row], y: str) -> Chart:
    """Draw observed shares against predicted probabilities: rows of predicted, observed, n and tip."""
    unit = {"type": "quantitative", "scale": {"domain": [0, 1]}, "axis": {"tickCount": 5, "format": ".0%"}}
    x = {**unit, "field": "predicted", "title": "predicted probability"}
    return {
        "height": 270,
        "layer": [
            {
                "data": {"values": [{"predicted": 0, "observed": 0}, {"predicted": 1, "observed": 1}]},
                "mark": {
                    "type": "line",
                    "color": QUIET,
                    "strokeDash": [4, 4],
                    "strokeWidth": 1.5,
                    "aria": False,
                },
                "encoding": {"x": x, "y": {**unit, "field": "observed", "title": y}},
            },
            {
                "data": values(rows),
                "mark": {"type": "line", "color": BLUE, "strokeWidth": 1.5, "aria": False},
                "encoding": {"x": x, "y": {**unit, "field": "observed"}},
            },
            {
                "data": values(rows),
                "mark": {"type": "point", "filled": True, "color": BLUE, "size": 55, "opacity": 1},
                "encoding": {"x": x, "y": {**unit, "field": "observed"}, "description": _TIP},
            },
        ],
    }


def truth_against(rows: Sequence[Row], x: str, y: str, *, diagonal: bool) -> Chart:
    """Draw rows of x and y as faint points, with the diagonal or with the line of zero."""
    pair = pd.DataFrame(rows)
    low, high = float(pair.to_numpy().min()), float(pair.to_numpy().max())
    line = (
        [{"x": low, "y": low}, {"x": high, "y": high}]
        if diagonal
        else [{"x": float(pair["x"].min()), "y": 0.0}, {"x": float(pair["x"].max()), "y": 0.0}]
    )
    axes = {
        "x": {
            "field": "x",
            "type": "quantitative",
            "title": x,
            "scale": {"zero": False},
            "axis": {"tickCount": 5},
        },
        "y": {
            "field": "y",
            "type": "quantitative",
            "title": y,
            "scale": {"zero": False},
            "axis": {"tickCount": 5},
        },
    }
    return {
        "height": 270,
        "layer": [
            {
                "data": values(rows),
                "mark": {"type": "circle", "size": 22, "color": BLUE, "opacity": 0.45, "aria": False},
                "encoding": axes,
            },
            {
                "data": {"values": line},
                "mark": {"type": "line", "color": "var(--ink)", "strokeDash": [5, 4], "aria": False},
                "encoding": axes,
            },
        ],
    }
