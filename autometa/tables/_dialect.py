"""How a delimited text is written: what stands above its header, its separator, its names, the columns of codes."""

from __future__ import annotations

import contextlib
import csv
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

from autometa.errors import DataError, DataIssue
from autometa.tables._content import check_unique, listed_names, shown, too_wide

_SEPARATOR_LINE: Final = re.compile(r"^\ufeff?\"?sep=(\\t|.)\"?\s*$", re.IGNORECASE)
# Lines above a header that say what the table is.
_MAX_TITLES: Final = 10
_COMMENTS: Final = ("#", "//", "%")
_ZEROS_IN_FRONT: Final = re.compile(r"^0\d+$")
# Of the first lines, so many are looked at for numbers with zeros in front.
_LINES_LOOKED_AT: Final = 20_000


@dataclass(frozen=True)
class Wanted:
    """What the caller asks of a table in delimited text."""

    text_columns: Collection[str]
    target: str
    max_columns: int


@dataclass(frozen=True)
class Dialect:
    """How a delimited text is written, and the notices about it."""

    separator: str
    encoding: str
    names: list[str]
    n_blank: int
    has_spaces: bool = False
    codes: tuple[str, ...] = ()
    notices: list[DataIssue] = field(default_factory=list)


def sniff(head: bytes, encoding: str, name: str, separator: str, wanted: Wanted) -> Dialect:
    """Read the header: its names, and the separator if the expected one gives a single column."""
    # The first bytes may end within a character, which only concerns the last line.
    lines = head.decode(encoding, errors="backslashreplace" if encoding == "utf-8" else "replace").splitlines(
        keepends=True
    )
    notices = []
    n_blank = _first_line(lines, 0)
    if n_blank < len(lines) and (told := _SEPARATOR_LINE.match(lines[n_blank])):
        separator = "\t" if told[1] == "\\t" else told[1]
        n_blank = _first_line(lines, n_blank + 1)
    n_before = n_blank
    n_blank = _skip_comments(lines, n_blank)
    if n_blank == len(lines):
        raise DataError("AM201", f"{shown(name)} is empty.", "Check how the file was made.")
    if n_blank > n_before:
        notices.append(DataIssue("AM306", (), "lines of comments above the header were left out."))
    n_before = n_blank
    n_blank = _skip_titles(lines, n_blank)
    if n_blank > n_before:
        title = lines[n_before].strip(" ,;\t\r\n")[:60]
        others = [line for line in lines[n_before + 1 : n_blank] if line.strip()]
        what = f"the title {title!r} above the header was left out."
        if others:
            what = f"the title {title!r} and {len(others)} more line(s) above the header were left out."
        notices.append(DataIssue("AM306", (), what))
    raw = _split(lines[n_blank:], separator, name)
    has_spaces = len(raw) > 1 and all(label.startswith(" ") for label in raw[1:]) and separator != " "
    if has_spaces:
        raw = _split(lines[n_blank:], separator, name, skips_spaces=True)
        what = "spaces behind the separators were dropped, in the header and in the cells."
        notices.append(DataIssue("AM303", (), what))
    if len(raw) == 1 and (other := _other_separator(lines[n_blank:], separator)):
        separator, raw = other, _split(lines[n_blank:], other, name)
        notices.append(DataIssue("AM304", (), f"{shown(name)} is separated by {_SEPARATORS[other]}."))
    if len(raw) > wanted.max_columns:
        raise too_wide(name, len(raw), wanted.max_columns)
    is_nameless = _lacks_first_name(lines[n_blank + 1 :], separator, len(raw))
    if is_nameless:
        raw = ["", *raw]
        notices.append(
            DataIssue("AM303", ("Unnamed: 0",), "the header has no name for the first column, 'Unnamed: 0'.")
        )
    names = [label.strip() or f"Unnamed: {i}" for i, label in enumerate(raw)]
    check_unique(names, name)
    padded = tuple(new for new, old in zip(names, raw, strict=True) if old and new != old)
    if padded:
        notices.append(
            DataIssue("AM303", padded, f"spaces around column names were dropped: {listed_names(padded)}.")
        )
    codes = _codes(lines[n_blank + 1 : n_blank + 1 + _LINES_LOOKED_AT], separator, names)
    return Dialect(separator, encoding, names, n_blank, has_spaces, codes, notices)


def _first_line(lines: Sequence[str], start: int) -> int:
    """Return the number of the first line from `start` on that is not blank."""
    return next((i for i in range(start, len(lines)) if lines[i].strip("\ufeff \t\r\n")), len(lines))


def _skip_comments(lines: Sequence[str], start: int) -> int:
    """Return the number of the first line that is no comment; a header may begin like one."""
    end = start
    while end < len(lines) and (lines[end].lstrip().startswith(_COMMENTS) or not lines[end].strip()):
        end += 1
    if end == start or end == len(lines):
        return start
    counts = [max(lines[i].count(mark) for mark in ",;\t|") for i in (end - 1, end)]
    is_header = counts[0] == counts[1] > 0 and lines[end - 1].strip()
    return end - 1 if is_header else end


def _skip_titles(lines: Sequence[str], start: int) -> int:
    """Return the number of the header where lines with one cell stand above it; `start` where there are none."""
    header = start
    with contextlib.suppress(csv.Error):  # a cell too long for a header
        for _ in range(_MAX_TITLES):
            title = header
            header = _first_line(lines, title + 1)
            below = _first_line(lines, header + 1)
            if below == len(lines):
                return start
            mark = max(";\t|,", key=lines[header].count)
            if not _is_title(next(csv.reader([lines[title]], delimiter=mark), []), lines[title]):
                return start
            cells, row = (next(csv.reader([lines[i]], delimiter=mark), []) for i in (header, below))
            names = [cell.strip() for cell in cells]
            are_names = all(name and not _is_number(name) for name in names) and len(set(names)) == len(names)
            if are_names and len(cells) == len(row) > 1 and cells != row:
                return header
    return start


def _is_title(cells: Sequence[str], line: str) -> bool:
    """Whether a line has one cell, or none; a name in quotes may go on in the next line."""
    n_words = sum(bool(cell.strip()) for cell in cells)
    is_first = len(cells) == 1 or bool(cells[0].strip()) or not n_words
    return n_words <= 1 and is_first and line.count('"') % 2 == 0


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _lacks_first_name(lines: Sequence[str], separator: str, width: int) -> bool:
    """Whether all rows have one cell more than the header and begin with a name or number of their own, as R writes."""
    try:
        rows = [
            line.split() if separator == _SPACES else next(csv.reader([line], delimiter=separator))
            for line in lines[:_LINES_COMPARED]
            if line.strip()
        ]
    except (csv.Error, StopIteration):
        return False
    if len(rows) < 2 or not all(len(row) == width + 1 and row[-1].strip() for row in rows):
        return False
    first = [row[0].strip("\"' ") for row in rows]
    if len(set(first)) < len(first):
        return False
    numbers = [int(name) for name in first if name.isascii() and name.isdigit()]
    is_count = len(numbers) == len(first) and numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    return is_count or not any(_is_number(name) for name in first)


def _other_separator(lines: Sequence[str], separator: str) -> str | None:
    """Return what separates the cells of a header that the expected separator leaves whole."""
    common = max(";\t|,", key=lines[0].count)
    if common in lines[0] and common != separator:
        return common
    first = [line.strip() for line in lines[:_LINES_COMPARED] if line.strip()]
    for mark in _RARE_SEPARATORS:
        header, *rows = (len(re.split(mark if mark == _SPACES else re.escape(mark), line)) for line in first)
        # R writes spaces, and no name for the names of the rows.
        is_short = mark == _SPACES and rows[:1] == [header + 1]
        if len(first) > 2 and len(set(rows)) == 1 and header > 1 and (header == rows[0] or is_short):
            return mark
    return None


def _codes(lines: Sequence[str], separator: str, names: Sequence[str]) -> tuple[str, ...]:
    """Return the columns that hold numbers with zeros in front, which are codes: 00501 is no 501."""
    mark = " " if separator == _SPACES else separator
    zeros = re.compile(rf'(?:^|{re.escape(mark)})[ "]*0\d+"?(?:\s|{re.escape(mark)}|$)')
    suspects = [line for line in lines if zeros.search(line)]
    found: dict[str, None] = {}
    try:
        # Of spaces, any number is one separator.
        for row in csv.reader(
            suspects, delimiter=separator[-1:] if separator != _SPACES else " ", skipinitialspace=True
        ):
            if len(row) == len(names):
                found |= {n: None for n, cell in zip(names, row, strict=True) if _ZEROS_IN_FRONT.match(cell)}
    except csv.Error:
        pass
    return tuple(found)


_SPACES: Final = r"\s+"
_SEPARATORS: Final = {
    ";": "semicolons",
    "\t": "tabs",
    "|": "vertical bars",
    ",": "commas",
    ":": "colons",
    "~": "tildes",
    "^": "carets",
    _SPACES: "spaces",
}
# Taken where all of the first lines have the same number of cells by them.
_RARE_SEPARATORS: Final = ("~", "^", ":", _SPACES)
_LINES_COMPARED: Final = 50


def _split(lines: list[str], separator: str, name: str, *, skips_spaces: bool = False) -> list[str]:
    if separator == _SPACES:
        return lines[0].split()
    try:
        return next(csv.reader(lines, delimiter=separator, skipinitialspace=skips_spaces))
    except csv.Error as error:
        raise DataError(
            "AM113", f"the header of {shown(name)} cannot be read: {error}.", "Is it delimited text?"
        ) from error
