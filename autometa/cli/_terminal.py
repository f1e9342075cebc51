"""How results are shown: in words, in colours per stream, in aligned tables, and how much is told beside them."""

from __future__ import annotations

import argparse
import json
import math
import os
import shlex
import shutil
import sys
import textwrap
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, TextIO

from autometa.errors import DataIssue, with_code
from autometa.report import Section
from autometa.wording import counted, direction, number

if TYPE_CHECKING:
    import pandas as pd

    from autometa.metrics import Metric
    from autometa.task import Task

_STYLES: Final = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33"}
_FALLBACK_WIDTH: Final = 100  # where nothing says how wide the output is, as in a pipe
_LEAST_WIDTH: Final = 24  # narrower columns break every other word
_LEAST_COLUMNS: Final = 3  # beside each other, however narrow a terminal is
_GAP: Final = "  "
_WRAPPING: Final[dict[str, Any]] = {"break_on_hyphens": False, "break_long_words": False}
_NOVELTIES: Final = (
    (0.25, "much like tables that are known"),
    (0.5, "somewhat like tables that are known"),
    (1.01, "unlike the tables that are known; trust a search more than this ranking"),
)


def has_colour(stream: TextIO) -> bool:
    """Whether to colour a stream: not where NO_COLOR is set, always where FORCE_COLOR is, else on a terminal."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def paint(text: str, style: str, stream: TextIO) -> str:
    """Return text in a style, if the stream shows colours."""
    return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if has_colour(stream) and text else text


def one_line(text: str) -> str:
    """Return text that fits into one line and cannot steer a terminal."""
    return "".join(c if c.isprintable() else " " if c in "\n\r\t" else repr(c)[1:-1] for c in text).strip()


_volume = 0


def set_volume(volume: int) -> None:
    """Set how much is told beside the result: -1 nothing but errors, 0 what matters, 1 also what is being done."""
    global _volume
    _volume = volume


def is_quiet() -> bool:
    """Whether nothing but errors is told."""
    return _volume < 0


def is_verbose() -> bool:
    """Whether the user wants to know what is being done."""
    return _volume > 0


def complain(text: str) -> None:
    """Tell the user what went wrong."""
    from autometa.progress import paused

    with paused():
        print(text, file=sys.stderr, flush=True)


def say(text: str = "") -> None:
    """Tell the user something that is not the result, unless only errors are wanted."""
    if not is_quiet():
        complain(text)


def detail(text: str) -> None:
    """Tell what is being done, where the user wants to know it."""
    if is_verbose():
        complain(paint(one_line(text), "dim", sys.stderr))


def note(text: str) -> None:
    """Tell the user about something that was noticed."""
    say(f"{paint('note:', 'yellow', sys.stderr)} {one_line(text)}")


def show(text: str = "") -> None:
    """Print a part of the result."""
    print(text)


def show_sections(sections: Sequence[Section]) -> None:
    """Print the parts of a result, with the same content as in a report."""
    for place, section in enumerate(sections):
        if place:
            show()
        show(paint(one_line(section.heading), "bold", sys.stdout))
        _show_lines(section.lines)
        if section.titles:
            _show_table(section)


def _show_lines(lines: Sequence[str]) -> None:
    width = max(_width() - 1, _LEAST_WIDTH)
    for line in lines:
        indented = textwrap.wrap(
            one_line(line), width, initial_indent="  ", subsequent_indent="    ", **_WRAPPING
        )
        show("\n".join(indented))


def _show_table(section: Section) -> None:
    """Print an aligned table; the last column is wrapped to the width of the terminal.

    Where it has no room beside the others, what does not fit stands under each row.
    """
    cells = [[one_line(cell) for cell in row] for row in section.rows]
    widths = [max(map(_cells, column)) for column in zip(section.titles, *cells, strict=True)]
    left = _width() - 1 - sum(width + len(_GAP) for width in widths[:-1]) - len(_GAP)
    if left < min(widths[-1], _LEAST_WIDTH) and len(widths) > _LEAST_COLUMNS:
        _show_stacked(section, cells, widths)
        return
    widths[-1] = min(widths[-1], max(left, _LEAST_WIDTH))
    show(paint(_line(section.titles, widths, section.align), "dim", sys.stdout))
    for row in cells:
        first, *more = textwrap.wrap(row[-1], widths[-1], **_WRAPPING) or [""]
        show(_line([*row[:-1], first], widths, section.align))
        for rest in more:
            show(_line([*[""] * (len(row) - 1), rest], widths, section.align))


def _show_stacked(section: Section, cells: list[list[str]], widths: list[int]) -> None:
    """Print an aligned table whose last columns stand under the others, from the second one on."""
    n = len(widths) - 1
    while n > _LEAST_COLUMNS and sum(widths[:n]) + n * len(_GAP) >= _width():
        n -= 1
    indent = _GAP + " " * widths[0] + _GAP
    room = max(_width() - 1 - len(indent), _LEAST_WIDTH)
    for i, row in enumerate([list(section.titles), *cells]):
        under = textwrap.wrap(": ".join(filter(None, row[n:])), room, **_WRAPPING)
        for line in (_line(row[:n], widths[:n], section.align[:n]), *(indent + line for line in under)):
            show(line if i else paint(line, "dim", sys.stdout))


def show_json(value: Any) -> None:
    """Print one JSON object whose numbers are finite or null."""
    show(json.dumps(plain(value), indent=2, allow_nan=False))


def plain(value: Any) -> Any:
    """Turn a value into plain JSON types; numbers that are not finite become None."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "item"):  # a number of NumPy
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def symbol(character: str, substitute: str) -> str:
    """Return a character if standard output can show it."""
    try:
        character.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return substitute
    return character


def _line(cells: Sequence[str], widths: Sequence[int], align: str) -> str:
    padded = [
        cell + " " * (width - _cells(cell)) if side == "<" else " " * (width - _cells(cell)) + cell
        for cell, width, side in zip(cells, widths, align, strict=True)
    ]
    return (_GAP + _GAP.join(padded)).rstrip()


def _cells(text: str) -> int:
    """Columns that a text takes on a terminal."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )


def _width() -> int:
    return shutil.get_terminal_size((_FALLBACK_WIDTH, 24)).columns


def describe_data(task: Task, name: str) -> str:
    """Return size, target and metric in a sentence."""
    if task.kind == "regression":
        target = f"from {number(float(task.y.min()))} to {number(float(task.y.max()))}"
    else:
        counts = task.y.value_counts()
        shown = [f"{label} {count}" for label, count in counts.head(4).items()]
        target = ", ".join(shown) + (f" and {len(counts) - 4} more classes" if len(counts) > 4 else "")
    size = f"{counted(task.n_rows, 'row')}, {counted(task.X.shape[1], 'column')}"
    metric = f"metric {task.metric.name} ({direction(task.metric)} is better)"
    name = "standard input" if name == "-" else name
    return f"{name}: {size}; {task.kind} target {task.y.name!r} ({target}); {metric}."


def score_title(name: str, metric: Metric) -> str:
    """Return the title of a column of scores: the metric, and an arrow that points to better."""
    arrow = symbol("\u2191", "(higher)") if metric.greater_is_better else symbol("\u2193", "(lower)")
    return f"{name} {arrow}"


def similar_section(novelty: float, similar: pd.DataFrame) -> Section:
    """Return the nearest known tasks and what the distance to them means."""
    words = next((text for limit, text in _NOVELTIES if novelty < limit), _NOVELTIES[-1][1])
    rows = [
        (str(row["name"]), _openml(row["openml_id"]), number(float(row["distance"]), 3))
        for row in similar.head(5).to_dict("records")
    ]
    line = f"This table is {words} (novelty {novelty:.2f} of 1)."
    if not rows:
        return Section("Nearest known tasks", [line])
    return Section("Nearest known tasks", [line], ("task", "OpenML", "distance"), rows, "<>>")


def _openml(value: Any) -> str:
    return str(int(value)) if isinstance(value, (int, float)) and value == value else "-"


def issue_sections(issues: Sequence[DataIssue]) -> list[Section]:
    """Return what was noticed, if anything."""
    return [Section("Noticed", [with_code(issue) for issue in issues])] if issues else []


def next_command(args: argparse.Namespace, command: str, *more: str) -> Section:
    """Return the command that goes on from here with the same data."""
    words = ["autometa", command, args.data, "--target", args.target]
    if args.kind != "auto":
        words += ["--kind", args.kind]
    if args.metric:
        words += ["--metric", args.metric]
    if getattr(args, "algorithms", None):
        words += ["--algorithms", ",".join(args.algorithms)]
    if args.metamodel:
        words += ["--metamodel", args.metamodel]
    for column_type in args.column_type:
        words += ["--column-type", column_type]
    return Section("Next", [shlex.join([*words, *more])])
