"""The charts of a report as Vega-Lite, each from plain values, and their way to an SVG.

Charts are drawn when the page is written, not when it is read: the page needs no library, prints as it is, and works
where scripts are off. Colours are CSS variables, so one drawing serves light, dark and paper.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

import numpy as np
import pandas as pd

from autometa.errors import DependencyError
from autometa.wording import number

Chart = dict[str, Any]
Row = dict[str, Any]

NARROW: Final = 344  # fits a phone of 400 pixels with its margins
MIDDLE: Final = 700  # two of three columns

# The order of a chart's categories: blue, orange, teal, purple, from the style sheet of the page.
PALETTE: Final = ("var(--c1)", "var(--c2)", "var(--c3)", "var(--c4)", "var(--c5)", "var(--c6)")
QUIET: Final = "var(--quiet)"

# The library measures texts in Liberation Sans, which is as wide as Arial.
_FONT: Final = "Arial, 'Liberation Sans', Helvetica, sans-serif"
_CONFIG: Final[Mapping[str, Any]] = {
    "background": None,
    "font": _FONT,
    "view": {"stroke": None},
    "axis": {
        "labelColor": "var(--muted)",
        "titleColor": "var(--muted)",
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "gridColor": "var(--grid)",
        "domainColor": "var(--axis)",
        "tickColor": "var(--axis)",
        "labelLimit": 130,
        "labelOverlap": True,
        "labelSeparation": 8,
        "titlePadding": 6,
    },
    "legend": {
        "orient": "top",
        "labelColor": "var(--ink)",
        "titleColor": "var(--muted)",
        "labelFontSize": 12,
        "title": None,
        "columns": 2,
        "labelLimit": 0,  # names come shortened
        "symbolStrokeWidth": 2,
    },
    "text": {"color": "var(--ink)", "fontSize": 12},
    "range": {"category": list(PALETTE)},
}

_OUTER: Final = re.compile(r"^<svg [^>]*?width=\"[^\"]*\" height=\"[^\"]*\" viewBox=\"([^\"]*)\">")
# What a chart without scripts does not need, and what repeats for every mark.
_NOISE: Final = re.compile(
    r' (?:role|aria-roledescription|aria-hidden|pointer-events|stroke-miterlimit|version|xmlns:xlink)="[^"]*"'
)
_HIDDEN: Final = re.compile(
    r'<path class="(?:background|foreground)" d="(?:M0,0h0v0h0Z)?"[^>]*?(?:></path>|/>)'
)
_LONG_NUMBER: Final = re.compile(r"(\d+\.\d{2})\d+")

BLUE, ORANGE, TEAL, PURPLE = PALETTE[:4]
INK: Final = "var(--ink)"

# Told apart by shape as well as by colour.
ORIGINS: Final = ("default", "recommended", "proposed")
SHAPES: Final = ("square", "circle", "triangle-up", "diamond")
_PADDING: Final[Mapping[str, int]] = {"left": 2, "top": 2, "bottom": 2, "right": 12}
_ROOM: Final = 56  # pixels for the labels and the title of an axis that counts
_BAR: Final = 22  # pixels for a bar with its gap
# Characters of a label that fit in any case: to see whether one does costs as much as to draw it.
_SHORT_LABEL: Final = 16
_DASHES: Final = [[1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [10, 4], [4, 4]]
_TIP: Final[Mapping[str, Any]] = {"field": "tip", "type": "nominal"}
_MARK: Final[Mapping[str, Any]] = {
    "type": "point",
    "filled": False,
    "size": 45,
    "strokeWidth": 1.6,
    "opacity": 0.9,
}


def plain(value: Any) -> Any:
    """Return a value as JSON knows it; None for what is not finite."""
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def values(rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return rows as the data of a chart."""
    return {"values": [{key: plain(value) for key, value in row.items()} for row in rows]}


def _number(field: str, title: str | None = None, *, ticks: int = 5, format: str = "", **scale: Any) -> Chart:
    """Return a channel for numbers. Labels have no limit: to measure texts is most of what a drawing costs."""
    axis = {"tickCount": ticks, "labelLimit": 0, **({"format": format} if format else {})}
    return {
        "field": field,
        "type": "quantitative",
        "title": title,
        "axis": axis,
        "scale": {"zero": False, **scale},
    }


def _layer(
    rows: Sequence[Mapping[str, Any]], mark: str | Mapping[str, Any], encoding: Mapping[str, Any], **look: Any
) -> Chart:
    """Return a layer of its own data; without a tip in its encoding it is silent."""
    whole = {"type": mark} if isinstance(mark, str) else dict(mark)
    silent = {} if "description" in encoding else {"aria": False}
    return {"data": values(rows), "mark": {**whole, **look, **silent}, "encoding": encoding}


def _beside_labels(rows: Sequence[Row]) -> Chart:
    """Return a chart with a line for each label, whose room suits a wider font than the one that is measured."""
    longest = max((len(str(row["label"])) for row in rows), default=0)
    room = min(7.2 * longest + 12, 162)
    axis = {"labelLimit": 132 if longest > _SHORT_LABEL else 0, "minExtent": room, "labelPadding": 6}
    channel = {
        "field": "label",
        "type": "nominal",
        "sort": None,
        "title": None,
        "axis": {**axis, "domain": False, "ticks": False, "labelOverlap": False},
    }
    return {"room": room, "height": _BAR * len(rows), "encoding": {"y": channel}}


def intervals(rows: Sequence[Row], title: str) -> Chart:
    """Draw a value with its interval for each label: rows of label, value, lower, upper, kind and tip."""
    color = {
        "field": "kind",
        "type": "nominal",
        "legend": None,
        "scale": {"domain": ["main", "other"], "range": [BLUE, QUIET]},
    }
    x = _number("value", title, nice=True, padding=14)
    span = {"x": {**x, "field": "lower"}, "x2": {"field": "upper"}, "color": color}
    known = {"transform": [{"filter": "isValid(datum.lower) && isValid(datum.upper)"}]}
    return {
        **_beside_labels(rows),
        "layer": [
            known | _layer(rows, "rule", span, strokeWidth=6, opacity=0.35),
            _layer(
                rows, "point", {"x": x, "color": color, "description": _TIP}, filled=True, size=70, opacity=1
            ),
        ],
    }


def bars(
    rows: Sequence[Row], title: str, *, format: str = "", color: str = BLUE, error: bool = False
) -> Chart:
    """Draw a bar for each label, in the order of the rows: rows of label, value, text and tip (and lower, upper)."""
    x = _number("value", title, ticks=4, format=format, zero=True)
    look = {"color": color, "height": 13, "cornerRadiusEnd": 2}
    layer = [_layer(rows, "bar", {"x": x, "description": _TIP}, **look)]
    if error:
        span = {"x": {"field": "lower", "type": "quantitative"}, "x2": {"field": "upper"}}
        layer.append(_layer(rows, "rule", span, color=INK, strokeWidth=1.5))
    return {**_beside_labels(rows), "layer": layer}


def _between_axes(height: int) -> Chart:
    """Return a chart whose two axes count, with room for the labels of the one on the left."""
    return {"room": _ROOM, "height": height}


def histogram(counts: Sequence[int], edges: Sequence[float], title: str) -> Chart:
    """Draw how often values fall between edges."""
    rows = [
        {"from": low, "to": high, "n": n, "tip": f"{number(low)} to {number(high)}: {n:,}"}
        for low, high, n in zip(edges[:-1], edges[1:], counts, strict=True)
    ]
    encoding = {
        "x": {**_number("from", title), "bin": {"binned": True}},
        "x2": {"field": "to"},
        "y": _number("n", "rows", ticks=4, zero=True),
        "description": _TIP,
    }
    return {**_between_axes(208), **_layer(rows, "bar", encoding, color=BLUE, binSpacing=1)}


def _by_origin(rows: Sequence[Mapping[str, Any]]) -> Chart:
    """Return colour and shape by where trials come from."""
    found = {row["origin"] for row in rows}
    names = [*(name for name in ORIGINS if name in found), *sorted(found.difference(ORIGINS))]
    order = {name: i for i, name in enumerate(ORIGINS)}
    places = [order.get(name, i) for i, name in enumerate(names)]

    def channel(kinds: Sequence[str]) -> Chart:
        scale = {"domain": names, "range": [kinds[i % len(kinds)] for i in places]}
        legend = {"columns": min(len(names), 3), "columnPadding": 14}
        return {"field": "origin", "type": "nominal", "scale": scale, "legend": legend}

    return {"color": channel(PALETTE), "shape": channel(SHAPES)}


def _score(title: str, domain: tuple[float, float] | None) -> Chart:
    fixed: dict[str, Any] = {} if domain is None else {"domain": list(domain), "nice": False, "clamp": True}
    return _number("score", title, **fixed)


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
    y = _score(title, domain)
    place = {"x": _number("seconds", "seconds since the start", ticks=5, zero=True), "y": y}
    layer = [_layer(trials, _MARK, {**place, **_by_origin(trials), "description": _TIP})]
    if lines:
        layer.append(_layer(lines, "rule", {"y": y}, color=INK, strokeDash=[5, 4]))
    if nothing:
        layer.append(_layer(nothing, "line", place, color=QUIET, strokeDash=[2, 3], strokeWidth=2.5))
    layer.append(_layer(best, "line", place, interpolate="step-after", color=INK, strokeWidth=2))
    return {**_between_axes(212), "layer": layer}


def against_seconds(trials: Sequence[Row], title: str, domain: tuple[float, float] | None) -> Chart:
    """Draw scores against what they cost."""
    seconds = [row["seconds"] for row in trials]
    is_wide = max(seconds) > 30 * max(min(seconds), 1e-9)
    words = "seconds for all folds" + (" (logarithmic)" if is_wide else "")
    scale: dict[str, Any] = {"type": "log"} if is_wide else {}
    x = _number("seconds", words, format="~g", **scale)
    x["axis"]["grid"] = not is_wide
    encoding = {"x": x, "y": _score(title, domain), **_by_origin(trials), "description": _TIP}
    return {**_between_axes(212), **_layer(trials, _MARK, encoding)}


def task_map(known: Sequence[Row], near: Sequence[Row], here: Row) -> Chart:
    """Draw where a table lies: rows of x, y, label and tip."""
    x = {**_number("x", nice=False, padding=14), "axis": None}
    place = {"x": x, "y": {**x, "field": "y"}, "description": _TIP}
    star = {"color": BLUE, "stroke": "var(--card)", "strokeWidth": 2, "opacity": 1}
    return {
        "height": 270,
        "layer": [
            _layer(known, "circle", place, size=28, color=QUIET, opacity=0.6),
            _layer(near, "point", place, shape="square", filled=True, size=60, color=ORANGE, opacity=1),
            _layer([here], "point", place, shape="diamond", filled=True, size=260, **star),
        ],
    }


def confusion(rows: Sequence[Row], classes: Sequence[str]) -> Chart:
    """Draw shares of each true class by prediction: rows of truth, answer, share, n and tip."""
    n = len(classes)
    side = max(18, min(90, 250 // n))
    axis = {"labelLimit": 90, "domain": False, "ticks": False, "labelOverlap": False, "grid": False}
    slanted = {"labelAngle": 0 if n * max(map(len, classes)) <= 30 else -45}
    sides = {"type": "nominal", "sort": list(classes)}
    opacity = {
        "field": "share",
        "type": "quantitative",
        "legend": None,
        "scale": {"domain": [0, 1], "range": [0.03, 0.55]},
    }
    layer: list[Chart] = [
        {
            "mark": {"type": "rect", "color": BLUE, "stroke": "var(--grid)"},
            "encoding": {"opacity": opacity, "description": _TIP},
        }
    ]
    if n <= 8:
        text = {"text": {"field": "text", "type": "nominal"}}
        layer.append({"mark": {"type": "text", "fontSize": 12, "aria": False}, "encoding": text})
    return {
        "height": side * n + 90,
        "data": values(rows),
        "encoding": {
            "x": {**sides, "field": "answer", "title": "predicted", "axis": {**axis, **slanted}},
            "y": {**sides, "field": "truth", "title": "true", "axis": axis},
        },
        "layer": layer,
    }


def _unit_square(x: str, y: str, x_title: str, y_title: str) -> tuple[Chart, Chart]:
    """Return the channels of a square of shares, and its diagonal."""
    place = {
        "x": _number(x, x_title, format=".0%", domain=[0, 1]),
        "y": _number(y, y_title, format=".0%", domain=[0, 1]),
    }
    ends = [{x: 0, y: 0}, {x: 1, y: 1}]
    return place, _layer(ends, "line", place, color=QUIET, strokeDash=[4, 4], strokeWidth=1.5)


def curves(rows: Sequence[Row], x: str, y: str, *, names: Sequence[str]) -> Chart:
    """Draw lines in the unit square with its diagonal: rows of x, y and name, in order."""
    place, diagonal = _unit_square("x", "y", x, y)
    legend = None if len(names) == 1 else {"columns": 2}

    def channel(kinds: Sequence[Any]) -> Chart:
        scale = {"domain": list(names), "range": list(kinds[: len(names)])}
        return {"field": "name", "type": "nominal", "scale": scale, "legend": legend}

    order = {"field": "i", "type": "quantitative"}
    encoding = {**place, "order": order, "color": channel(PALETTE), "strokeDash": channel(_DASHES)}
    return {**_between_axes(228), "layer": [diagonal, _layer(rows, "line", encoding, strokeWidth=2)]}


def calibration(rows: Sequence[Row], y: str) -> Chart:
    """Draw observed shares against predicted probabilities: rows of predicted, observed, n and tip."""
    place, diagonal = _unit_square("predicted", "observed", "predicted probability", y)
    dots = {"filled": True, "color": BLUE, "size": 55, "opacity": 1}
    return {
        **_between_axes(228),
        "layer": [
            diagonal,
            _layer(rows, "line", place, color=BLUE, strokeWidth=1.5),
            _layer(rows, "point", {**place, "description": _TIP}, **dots),
        ],
    }


def truth_against(rows: Sequence[Row], x: str, y: str, *, diagonal: bool) -> Chart:
    """Draw rows of x and y as faint points, with the diagonal or with the line of zero."""
    pair = pd.DataFrame(rows)
    low, high = float(pair.to_numpy().min()), float(pair.to_numpy().max())
    if diagonal:
        line = [{"x": low, "y": low}, {"x": high, "y": high}]
    else:
        line = [{"x": float(pair["x"].min()), "y": 0.0}, {"x": float(pair["x"].max()), "y": 0.0}]
    place = {"x": _number("x", x), "y": _number("y", y)}
    return {
        **_between_axes(228),
        "layer": [
            _layer(rows, "circle", place, size=22, color=BLUE, opacity=0.45),
            _layer(line, "line", place, color=INK, strokeDash=[5, 4]),
        ],
    }


def require_charts() -> None:
    """Make sure that charts can be drawn.

    Raises
    ------
    DependencyError
        AM706 when the extra ``report`` is not installed.
    """
    try:
        import vl_convert  # noqa: F401
    except ImportError as error:
        raise DependencyError(
            "AM706",
            "a report needs the library that draws its charts.",
            "pip install 'autometa-learn[report]'",
        ) from error


def draw(chart: Mapping[str, Any], label: str, *, width: int = NARROW) -> str:
    """Draw a chart.

    Parameters
    ----------
    chart : mapping
        A Vega-Lite chart without a width, whose colours may be CSS variables. With a ``room`` its height is that of the
        marks alone, and so many pixels are left to the labels beside them: where the library has to find out itself
        what fits, it measures and places all twice.
    label : str
        What the chart shows, for those who cannot see it.
    width : int, default=344
        Of the whole drawing, in pixels; the page scales it.

    Returns
    -------
    str
        An ``<svg>`` element. What stands in the ``description`` of a mark is in its attribute ``data-tip``.
    """
    import vl_convert

    given = dict(chart)
    fit: Chart = {"width": width, "autosize": {"type": "fit", "contains": "padding"}}
    if "room" in given:
        room = given.pop("room") + _PADDING["left"] + _PADDING["right"]
        fit = {"width": width - room, "autosize": "pad"}
    whole = {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "padding": _PADDING,
        **fit,
        **given,
        "config": {**_CONFIG, **given.get("config", {})},
    }
    text = str(vl_convert.vegalite_to_svg(whole))
    name = escape(label, quote=True)
    text = _OUTER.sub(
        lambda m: f'<svg viewBox="{m[1]}" role="img" aria-label="{name}" class="chart">', text, count=1
    )
    head, rest = text[: text.index(">") + 1], text[text.index(">") + 1 :]
    rest = _HIDDEN.sub("", _NOISE.sub("", rest)).replace(' aria-label="', ' data-tip="')
    rest = rest.replace(f' font-family="{escape(_FONT)}"', "").replace(' opacity="1"', "")
    return head + _shorten_numbers(rest)


def _shorten_numbers(text: str) -> str:
    """Cut coordinates to a hundredth of a pixel, in tags only: what is written on the chart stays."""
    return re.sub(r'(?<= (?:d|x|y)=")[^"]*|transform="[^"]*"', lambda m: _LONG_NUMBER.sub(r"\1", m[0]), text)
