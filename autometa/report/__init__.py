"""A result as one HTML page: no scripts, nothing loaded from elsewhere, every value escaped."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

_STYLE: Final = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #8884; vertical-align: top; }
td.number, th.number { text-align: right; }
svg { width: 100%; font-size: 13px; fill: currentColor; }
svg line { stroke: currentColor; }
svg line.grid { stroke-opacity: .2; }
svg line.bar { stroke-width: 3; stroke-opacity: .6; }
"""


# Told apart by most people with a colour vision deficiency (Okabe and Ito 2008).
_COLOURS: Final = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7", "#999999")
_SIDE: Final = 520
_LABELS: Final = 300
_PLOT: Final = 400
_LINE: Final = 22


@dataclass(frozen=True)
class Dot:
    """A value of a chart, with its standard error."""

    label: str
    value: float
    error: float = 0.0


@dataclass(frozen=True)
class Point:
    """A place on a map, coloured by its group; its label is shown where a pointer rests on it."""

    label: str
    x: float
    y: float
    group: str


@dataclass(frozen=True)
class Section:
    """A part of a page.

    Attributes
    ----------
    heading : str
    lines : sequence of str, default=()
        Paragraphs.
    titles : sequence of str, default=()
        Of the columns of a table.
    rows : sequence of sequence of str, default=()
    align : str, default=""
        ``<`` or ``>`` for each column.
    dots : sequence of Dot, default=()
        A chart from zero on, a line for each, drawn above the table.
    points : sequence of Point, default=()
        A map, with the same scale in both directions.
    """

    heading: str
    lines: Sequence[str] = ()
    titles: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    align: str = ""
    dots: Sequence[Dot] = ()
    points: Sequence[Point] = ()


def render_report(title: str, sections: Sequence[Section]) -> str:
    """Return a page with the sections one below the other.

    Parameters
    ----------
    title : str
    sections : sequence of Section

    Returns
    -------
    str
        A whole HTML document.
    """
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{escape(title)}</h1>\n{''.join(map(_render_section, sections))}</body>\n</html>\n"
    )


def _render_section(section: Section) -> str:
    lines = "".join(f"<p>{escape(line)}</p>\n" for line in section.lines)
    drawn = _render_chart(section.dots) + _render_map(section.points)
    return f"<h2>{escape(section.heading)}</h2>\n{lines}{drawn}{_render_table(section)}"


def _render_chart(dots: Sequence[Dot]) -> str:
    """Draw values as dots with bars of one standard error to both sides; those that are not finite are left out."""
    shown = [dot for dot in dots if math.isfinite(dot.value)]
    if not shown:
        return ""
    errors = [dot.error if math.isfinite(dot.error) else 0.0 for dot in shown]
    most = max(dot.value + error for dot, error in zip(shown, errors, strict=True)) or 1.0
    lines = []
    for number, (dot, error) in enumerate(zip(shown, errors, strict=True)):
        y = 14 + _LINE * number
        left, middle, right = (
            _LABELS + _PLOT * max(x, 0.0) / most for x in (dot.value - error, dot.value, dot.value + error)
        )
        lines.append(
            f'<text x="{_LABELS - 10}" y="{y + 4}" text-anchor="end">{escape(dot.label)}</text>'
            f'<line x1="{_LABELS}" x2="{_LABELS + _PLOT}" y1="{y}" y2="{y}" class="grid"/>'
            f'<line x1="{left:.1f}" x2="{right:.1f}" y1="{y}" y2="{y}" class="bar"/>'
            f'<circle cx="{middle:.1f}" cy="{y}" r="4"/>'
            f'<text x="{_LABELS + _PLOT + 10}" y="{y + 4}">{dot.value:.3f}</text>\n'
        )
    box = f"0 0 {_LABELS + _PLOT + 60} {_LINE * len(shown) + 8}"
    return f'<svg viewBox="{box}" role="img">\n{"".join(lines)}</svg>\n'


def _render_map(points: Sequence[Point]) -> str:
    """Draw points as circles, with the groups beside them, the largest first."""
    if not points:
        return ""
    sizes = Counter(point.group for point in points)
    colours = {group: _COLOURS[i % len(_COLOURS)] for i, (group, _) in enumerate(sizes.most_common())}
    left, low = min(point.x for point in points), min(point.y for point in points)
    extent = max(max(p.x - left for p in points), max(p.y - low for p in points)) or 1.0
    circles = "".join(
        f'<circle cx="{10 + _SIDE * (p.x - left) / extent:.1f}" cy="{10 + _SIDE * (p.y - low) / extent:.1f}" r="4" '
        f'fill="{colours[p.group]}" fill-opacity=".8"><title>{escape(p.label)}</title></circle>\n'
        for p in points
    )
    names = "".join(
        f'<circle cx="{_SIDE + 40}" cy="{14 + _LINE * i}" r="5" fill="{colours[group]}"/>'
        f'<text x="{_SIDE + 52}" y="{18 + _LINE * i}">{escape(group)} ({sizes[group]})</text>\n'
        for i, group in enumerate(colours)
    )
    return f'<svg viewBox="0 0 {_SIDE + 240} {_SIDE + 20}" role="img">\n{circles}{names}</svg>\n'


def _render_table(section: Section) -> str:
    if not section.titles:
        return ""
    rows = "".join(_render_row(row, section.align, "td") for row in section.rows)
    return f"<table>\n{_render_row(section.titles, section.align, 'th')}{rows}</table>\n"


def _render_row(cells: Sequence[str], align: str, tag: str) -> str:
    shown = []
    for cell, side in zip(cells, align, strict=True):
        attribute = ' class="number"' if side == ">" else ""
        shown.append(f"<{tag}{attribute}>{escape(cell)}</{tag}>")
    return f"<tr>{''.join(shown)}</tr>\n"
