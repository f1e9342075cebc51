"""A result as one HTML page: no scripts, nothing loaded from elsewhere, every value escaped."""

from __future__ import annotations

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
"""


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
    """

    heading: str
    lines: Sequence[str] = ()
    titles: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    align: str = ""


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
    return f"<h2>{escape(section.heading)}</h2>\n{lines}{_render_table(section)}"


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
