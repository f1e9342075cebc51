"""Results as HTML in a notebook: a card with facts, a table, and what can be opened; every value is escaped.

The colours are those of the notebook, light or dark: text in its own colour, lines in the same with little opacity. A
plain text stands beside the card for viewers without the style, as in scikit-learn.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

_STYLE: Final = """
.autometa-card { font-size: 13px; line-height: 1.45; max-width: 1000px; border: 1px solid #8886; border-radius: 6px;
  padding: 8px 12px; }
.autometa-card strong { font-size: 14px; }
.autometa-card p { margin: 2px 0 6px; }
.autometa-card table { border-collapse: collapse; font-size: inherit;
  font-variant-numeric: tabular-nums; margin: 4px 0; }
.autometa-card th, .autometa-card td { text-align: left; padding: 2px 14px 2px 0; vertical-align: top;
  border-bottom: 1px solid #8884; overflow-wrap: break-word; max-width: 560px; }
.autometa-card th { white-space: nowrap; }
.autometa-card .number { text-align: right; white-space: nowrap; }
.autometa-card summary { cursor: pointer; }
.autometa-card .box { overflow-x: auto; }
.autometa-text { display: none; }
"""


def render_card(
    title: str,
    facts: Sequence[str],
    *blocks: str,
    text: str = "",
) -> str:
    """Return a card for a notebook.

    Parameters
    ----------
    title : str
    facts : sequence of str
        A line for each, under the title.
    *blocks : str
        Markup from :func:`render_table` and :func:`render_details`.
    text : str, default=""
        The same in plain text, shown where styles are off.
    """
    lines = "".join(f"<p>{escape(fact)}</p>" for fact in facts)
    return (
        f"<style>{_STYLE}</style>"
        f'<pre class="autometa-text">{escape(text)}</pre>'
        f'<div class="autometa-card"><strong>{escape(title)}</strong>{lines}{"".join(blocks)}</div>'
    )


def render_table(titles: Sequence[str], rows: Iterable[Sequence[str]], align: str) -> str:
    """Return a table.

    Parameters
    ----------
    titles : sequence of str
    rows : iterable of sequence of str
    align : str
        ``<`` or ``>`` for each column.
    """
    css = [' class="number"' if side == ">" else "" for side in align]
    head = "".join(f'<th scope="col"{c}>{escape(t)}</th>' for t, c in zip(titles, css, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{c}>{escape(cell)}</td>" for cell, c in zip(row, css, strict=True)) + "</tr>"
        for row in rows
    )
    return f'<div class="box"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def render_details(summary: str, *blocks: str) -> str:
    """Return markup that is opened by a click.

    Parameters
    ----------
    summary : str
    *blocks : str
        Markup.
    """
    return f"<details><summary>{escape(summary)}</summary>{''.join(blocks)}</details>"
