"""From a Vega-Lite chart to an SVG that takes its colours from the page.

Charts are drawn when the page is written, not when it is read: the page needs no library, prints as it is, and works
where scripts are off. Colours are CSS variables, so one drawing serves light, dark and paper.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from typing import Any, Final

from autometa.errors import DependencyError

NARROW: Final = 344  # fits a phone of 400 pixels with its margins
WIDE: Final = 1080

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
        "titlePadding": 6,
    },
    "legend": {
        "orient": "top",
        "labelColor": "var(--ink)",
        "titleColor": "var(--muted)",
        "labelFontSize": 12,
        "title": None,
        "columns": 2,
        "labelLimit": 140,
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
        A Vega-Lite chart without a width, whose colours may be CSS variables.
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

    whole = {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "width": width,
        "autosize": {"type": "fit", "contains": "padding"},
        "padding": 2,
        **chart,
        "config": {**_CONFIG, **chart.get("config", {})},
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
