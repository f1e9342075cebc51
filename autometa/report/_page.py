"""The page around the charts: one file with its style and its script, and nothing that is loaded."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Final

from autometa.wording import counted

if TYPE_CHECKING:
    from autometa.task import Task

STYLE: Final = """
:root { color-scheme: light dark; --page: #f5f7f9; --card: #fff; --ink: #17202a; --muted: #52606d; --grid: #e4e8ec;
  --axis: #8896a3; --quiet: #7b8794; --c1: #0b65c2; --c2: #b4540a; --c3: #0f766e; --c4: #9a1fa5; --c5: #6b5b00;
  --c6: #be123c; --tint: #e8f1fb; }
@media (prefers-color-scheme: dark) { :root { --page: #0f1317; --card: #181d23; --ink: #e8edf2; --muted: #a9b5c1;
  --grid: #2b333c; --axis: #6b7885; --quiet: #8a97a4; --c1: #6cb6ff; --c2: #f3a65f; --c3: #4fd1c5; --c4: #e294f0;
  --c5: #d9c74a; --c6: #ff8fa3; --tint: #16283b; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main, header, footer { max-width: 1180px; margin: 0 auto; padding: 0 16px; }
header { padding-top: 24px; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 0 0 2px; }
h3 { font-size: 1rem; margin: 0 0 2px; }
section > h3 { margin-top: 14px; }
section { margin: 32px 0; }
p { margin: 0 0 8px; max-width: 75ch; overflow-wrap: anywhere; }
.lead { font-size: 1.15rem; margin-top: 20px; }
.muted, figcaption p, .how { color: var(--muted); }
a { color: var(--c1); }
nav ul { display: flex; flex-wrap: wrap; gap: 4px 16px; padding: 0; margin: 12px 0 0; list-style: none; }
.skip { position: absolute; left: -9999px; }
.skip:focus { left: 16px; top: 8px; background: var(--card); padding: 8px; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; margin: 16px 0; }
.top { display: grid; gap: 12px; margin: 16px 0; }
.top .tiles { margin: 0; }
@media (min-width: 1100px) { .top { grid-template-columns: 2fr 1fr; }
  .top .tiles { grid-template-columns: repeat(3, 1fr); }
  .top .tile:first-child { grid-column: span 2; } }
.tile, figure, .card { background: var(--card); border: 1px solid var(--grid); border-radius: 8px; padding: 12px; }
.tile .value { font-size: 1.35rem; font-weight: 600; line-height: 1.25; overflow-wrap: anywhere;
  font-variant-numeric: tabular-nums; }
.tile .label, .tile .note { color: var(--muted); font-size: .9rem; overflow-wrap: anywhere; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(340px, 100%), 1fr)); gap: 12px;
  align-items: start; margin-top: 12px; }
figure { margin: 0; min-width: 0; }
.card { min-width: 0; }
figcaption p { font-size: .9rem; margin-bottom: 6px; }
@media (min-width: 760px) { .span { grid-column: span 2; } }
@media (min-width: 1100px) { .tall { grid-row: span 2; } }
@media (max-width: 480px) { .tile:first-child:nth-last-child(odd) { grid-column: 1 / -1; } }
@media (max-width: 1099px) { .span { grid-column: 1 / -1; } }
svg { font-family: Arial, "Liberation Sans", Helvetica, sans-serif; }
svg.chart { display: block; width: 100%; height: auto; max-width: 480px; margin: 0 auto; }
svg.wide { max-width: none; }
.for-wide { display: none; }
@media (min-width: 900px) { .for-wide { display: block; } .for-narrow { display: none; } }
.scroll { overflow: auto; max-height: 480px; margin-top: 8px; }
.scroll:focus-visible, button:focus-visible, summary:focus-visible, a:focus-visible { outline: 3px solid var(--c1);
  outline-offset: 2px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: .9rem; }
th, td { text-align: left; padding: 5px 12px 5px 0; border-bottom: 1px solid var(--grid); vertical-align: top; }
td { overflow-wrap: break-word; }
td.name { max-width: 340px; min-width: 140px; overflow-wrap: anywhere; }
td.long { min-width: 220px; max-width: 560px; overflow-wrap: anywhere; }
td.params { min-width: 280px; overflow-wrap: anywhere; }
td.state { min-width: 90px; max-width: 180px; }
@media (max-width: 759px) { td.long { min-width: 460px; } td.params { min-width: 640px; } }
@media (max-width: 480px) { th, td { padding-right: 8px; } td.name { min-width: 110px; }
  thead th { white-space: normal; vertical-align: bottom; } }
thead th { position: sticky; top: 0; background: var(--card); z-index: 1; white-space: nowrap; }
.number { text-align: right; white-space: nowrap; }
th button { font: inherit; font-weight: 600; color: inherit; background: none; border: 0; padding: 0; cursor: pointer; }
th button::after { content: " \\2195"; color: var(--muted); }
th[aria-sort=ascending] button::after { content: " \\2191"; color: inherit; }
th[aria-sort=descending] button::after { content: " \\2193"; color: inherit; }
tr.main td { background: var(--tint); }
details { margin-top: 8px; }
summary { cursor: pointer; color: var(--muted); font-size: .9rem; }
pre { overflow: auto; background: var(--page); border: 1px solid var(--grid); border-radius: 6px; padding: 12px;
  margin: 8px 0 0; font-size: .85rem; max-height: 480px; }
.copy { font: inherit; color: var(--card); background: var(--c1); border: 0; border-radius: 6px; padding: 6px 14px;
  cursor: pointer; }
.spark { display: block; width: 84px; height: 22px; }
.spark path { fill: var(--c1); }
ol.reasons { margin: 8px 0 0; padding-left: 24px; }
ol.reasons li { margin-bottom: 8px; max-width: 95ch; overflow-wrap: anywhere; }
ul.notes { margin: 8px 0 0; padding-left: 20px; }
ul.notes li { overflow-wrap: anywhere; }
#tip { position: fixed; z-index: 9; pointer-events: none; background: var(--ink); color: var(--card);
  border-radius: 4px; padding: 3px 8px; font-size: .85rem; max-width: 300px; overflow-wrap: anywhere; }
footer { color: var(--muted); padding-bottom: 32px; }
@media print {
  :root { --page: #fff; --card: #fff; --ink: #000; --muted: #444; --grid: #ccc; --axis: #666; --quiet: #777;
    --c1: #0b65c2; --c2: #b4540a; --c3: #0f766e; --c4: #9a1fa5; --c5: #6b5b00; --c6: #be123c; --tint: #eee; }
  nav, .copy, th button::after, #tip, .skip { display: none !important; }
  .scroll, pre { overflow: visible; max-height: none; white-space: pre-wrap; }
  .scroll { white-space: normal; }
  td.long, td.name, td.state { min-width: 4em; }
  table { font-size: .7rem; }
  .scroll:has(td.params) table { font-size: .6rem; }
  th, td { padding: 3px 7px 3px 0; }
  td.params { min-width: 150px; }
  /* The leaderboard has eleven columns and the most rows of all. */
  .scroll:has(td.params) :is(th, td) { padding: 1px 4px 1px 0; }
  .grid { grid-template-columns: 1fr 1fr; }
  .span { grid-column: 1 / -1; }
  /* Room that a heading keeps below itself, so that none stands alone at the foot of a page. */
  section > h2 { break-inside: avoid; }
  section > h2::after { content: ""; display: block; height: 300px; margin-bottom: -300px; }
  /* Names of classes are titles too, and may be long. */
  thead th, thead th.number { position: static; white-space: normal; overflow-wrap: break-word; }
  .tiles { grid-template-columns: repeat(auto-fit, minmax(110px, 1fr)); gap: 8px; }
  .top { display: block; }
  .top figure { margin-top: 8px; }
  .tile { padding: 8px; }
  .tile .value { font-size: 1.1rem; }
  p, .tile, tr, figcaption, figure svg, .spark { break-inside: avoid; }
  h2, h3, .how, figcaption, summary, thead { break-after: avoid; }
  .columns { columns: 3; }
  details::details-content { content-visibility: visible; block-size: auto; height: auto; }
}
"""

# Sorting by a column, copying the code, what a mark stands for, and all details open on paper.
SCRIPT: Final = """
"use strict";
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const cell = button.closest("th"), row = cell.parentElement, body = cell.closest("table").tBodies[0];
    const place = [...row.cells].indexOf(cell), up = cell.getAttribute("aria-sort") !== "ascending";
    for (const other of row.cells) other.removeAttribute("aria-sort");
    cell.setAttribute("aria-sort", up ? "ascending" : "descending");
    const isNumber = cell.classList.contains("number");
    const key = (line) => {
      const at = line.cells[place], text = at.dataset.v ?? at.textContent;
      return isNumber ? (text === "" ? NaN : Number(text)) : text;
    };
    const rows = [...body.rows].map((line, i) => [key(line), i, line]);
    rows.sort(([a, i], [b, j]) => {
      if (isNumber) {
        if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b) || i - j;
        return (up ? a - b : b - a) || i - j;
      }
      return (up ? 1 : -1) * a.localeCompare(b, undefined, { numeric: true }) || i - j;
    });
    body.append(...rows.map((entry) => entry[2]));
  });
}
for (const button of document.querySelectorAll("button.copy")) {
  const code = document.getElementById(button.dataset.of), label = button.textContent;
  button.addEventListener("click", async () => {
    let done = true;
    try {
      await navigator.clipboard.writeText(code.textContent);
    } catch {
      const range = document.createRange();
      range.selectNodeContents(code);
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      done = document.execCommand("copy");
    }
    button.textContent = done ? "Copied" : "Selected: press Ctrl+C";
    setTimeout(() => { button.textContent = label; }, 2000);
  });
}
const tip = document.getElementById("tip");
document.addEventListener("pointermove", (event) => {
  const mark = event.target.closest?.("[data-tip]");
  tip.hidden = !mark;
  if (mark) {
    tip.textContent = mark.dataset.tip;
    tip.style.left = Math.max(4, Math.min(event.clientX + 12, innerWidth - tip.offsetWidth - 4)) + "px";
    tip.style.top = Math.max(4, Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 4)) + "px";
  }
});
const closed = () => document.querySelectorAll("details:not([open])");
let opened = [];
addEventListener("beforeprint", () => { opened = [...closed()]; for (const one of opened) one.open = true; });
addEventListener("afterprint", () => { for (const one of opened) one.open = false; });
"""

_FEW: Final = 12  # rows that a page of paper holds in one piece


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes
    ----------
    title : str
    align : {"<", ">"}, default="<"
        Columns to the right hold numbers and are sorted as such.
    css : str, default=""
        A class of its cells.
    """

    title: str
    align: str = "<"
    css: str = ""


@dataclass(frozen=True)
class Cell:
    """What a cell shows and by what it is sorted; `markup` is trusted, `text` is not.

    Attributes
    ----------
    text : str
    value : float or None, default=None
    markup : str, default=""
        Shown in place of the text; must come from this package.
    """

    text: str
    value: float | None = None
    markup: str = ""


@dataclass
class Part:
    """A section of a page: a heading, how to read it, and blocks of markup.

    Attributes
    ----------
    id : str
    heading : str
    how : str
        One sentence on how to read it.
    blocks : list of str
        Markup that this package made.
    """

    id: str
    heading: str
    how: str
    blocks: list[str] = field(default_factory=list)


def make_table(
    columns: Sequence[Column],
    rows: Iterable[Sequence[Cell | str]],
    *,
    label: str,
    sortable: bool = False,
    main: Sequence[bool] = (),
    narrow: bool = False,
) -> str:
    """Return a table in a box that scrolls, which a keyboard reaches.

    Parameters
    ----------
    columns : sequence of Column
    rows : iterable of sequence of Cell or str
    label : str
        What the table holds.
    sortable : bool, default=False
        Whether a click on a title sorts.
    main : sequence of bool, default=()
        Which rows are set off.
    narrow : bool, default=False
        Whether it is so narrow that paper holds it three times side by side.
    """
    heads = "".join(
        f'<th scope="col"{_css(c, head=True)}>'
        + (f'<button type="button">{escape(c.title)}</button>' if sortable else escape(c.title))
        + "</th>"
        for c in columns
    )
    lines = []
    for i, row in enumerate(rows):
        cells = "".join(_make_cell(c, cell) for c, cell in zip(columns, row, strict=True))
        css = ' class="main"' if i < len(main) and main[i] else ""
        lines.append(f"<tr{css}>{cells}</tr>\n")
    css = "scroll columns" if narrow and len(lines) > _FEW else "scroll"
    return (
        f'<div class="{css}" role="region" tabindex="0" aria-label="{escape(label, quote=True)}"><table>\n'
        f"<thead><tr>{heads}</tr></thead>\n<tbody>\n{''.join(lines)}</tbody></table></div>\n"
    )


def _make_cell(column: Column, cell: Cell | str) -> str:
    cell = Cell(cell) if isinstance(cell, str) else cell
    value = ""
    if column.align == ">":
        number = "" if cell.value is None or cell.value != cell.value else f"{cell.value:.12g}"
        value = f' data-v="{number}"'
    return f"<td{_css(column)}{value}>{cell.markup or escape(cell.text)}</td>"


def _css(column: Column, *, head: bool = False) -> str:
    names = " ".join(filter(None, ["number" if column.align == ">" else "", "" if head else column.css]))
    return f' class="{names}"' if names else ""


def make_figure(
    heading: str, how: str, narrow: str, *, wide: str = "", more: str = "", is_tall: bool = False
) -> str:
    """Return a chart with its title, how to read it, and the figures behind it.

    Parameters
    ----------
    heading, how : str
    narrow : str
        The drawing for a phone, or for any width where there is no `wide` one.
    wide : str, default=""
        The drawing for a wide page.
    more : str, default=""
        Markup to be opened under the chart.
    is_tall : bool, default=False
        Whether two figures stand beside it, one below the other, where the page is wide.
    """
    drawn = narrow
    if wide:
        wide = wide.replace('class="chart"', 'class="chart wide"', 1)
        drawn = f'<div class="for-narrow">{narrow}</div><div class="for-wide">{wide}</div>'
    details = f"<details><summary>The figures</summary>{more}</details>" if more else ""
    names = " ".join(["span"] * bool(wide) + ["tall"] * is_tall)
    css = f' class="{names}"' if names else ""
    return (
        f"<figure{css}><figcaption><h3>{escape(heading)}</h3><p>{escape(how)}</p></figcaption>\n"
        f"{drawn}\n{details}</figure>\n"
    )


def make_tile(label: str, value: str, note: str) -> str:
    """Return a fact in large letters."""
    return (
        f'<div class="tile"><div class="label">{escape(label)}</div><div class="value">{escape(value)}</div>'
        f'<div class="note">{escape(note)}</div></div>\n'
    )


def make_code(code: str, id: str) -> str:
    """Return code with a button that copies it."""
    return (
        f'<button type="button" class="copy" data-of="{escape(id, quote=True)}">Copy the code</button>'
        f'<pre tabindex="0" aria-label="The code"><code id="{escape(id, quote=True)}">{escape(code)}</code></pre>\n'
    )


def name_table(task: Task) -> str:
    """Return the size of a table and its target in a line."""
    size = f"{counted(task.n_rows, 'row')}, {counted(task.X.shape[1], 'column')}"
    name = "" if task.y.name is None else f" {task.y.name!r}"
    return f"{size}, {task.kind} target{name}"


def make_page(title: str, subtitle: str, answer: str, parts: Sequence[Part], footer: str) -> str:
    """Return a whole document.

    Parameters
    ----------
    title, subtitle : str
    answer : str
        Markup that stands on top.
    parts : sequence of Part
    footer : str
    """
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; img-src data:"
    links = "".join(f'<li><a href="#{p.id}">{escape(p.heading)}</a></li>' for p in parts)
    body = "".join(
        f'<section id="{p.id}" aria-labelledby="{p.id}-title"><h2 id="{p.id}-title">{escape(p.heading)}</h2>\n'
        f'<p class="how">{escape(p.how)}</p>\n{"".join(p.blocks)}</section>\n'
        for p in parts
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f'<a class="skip" href="#main">Skip to the content</a>\n<header>\n<h1>{escape(title)}</h1>\n'
        f'<p class="muted">{escape(subtitle)}</p>\n<nav aria-label="Sections"><ul>{links}</ul></nav>\n</header>\n'
        f'<main id="main">\n{answer}{body}</main>\n<footer><p>{escape(footer)}</p></footer>\n'
        f'<div id="tip" role="presentation" hidden></div>\n<script>{SCRIPT}</script>\n</body>\n</html>\n'
    )
