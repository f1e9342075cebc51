"""Delimited text of any flavour as a table: how it is written, its encoding, its cells, and the rows that are none."""

from __future__ import annotations

import contextlib
import csv
import re
import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final

import numpy as np
import pandas as pd

from autometa.errors import DataError, DataIssue
from autometa.tables._content import (
    Table,
    check_unique,
    encoding_of,
    guess_encoding,
    is_utf8,
    listed_names,
    reason,
    refuse_other_formats,
    shown,
    too_wide,
)

_SEPARATOR_LINE: Final = re.compile(r"^\ufeff?\"?sep=(\\t|.)\"?\s*$", re.IGNORECASE)
# Lines above a header that say what the table is.
_MAX_TITLES: Final = 10
_COMMENTS: Final = ("#", "//", "%")
_ZEROS_IN_FRONT: Final = re.compile(r"^0\d+$")
# Of the first lines, so many are looked at for numbers with zeros in front.
_LINES_LOOKED_AT: Final = 20_000
_LINES_COMPARED: Final = 50
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
_HEAD_BYTES: Final = 4_000_000
_DECIMAL_COMMA: Final = re.compile(r"^\s*[-+]?\d+,\d+\s*$")
# Ctrl-Z, which old programs write at the end of text.
_END_OF_FILE: Final = "\x1a"
_RAGGED: Final = re.compile(r"Expected (\d+) fields in line (\d+), saw (\d+)")


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
    n_before, n_blank = n_blank, _skip_comments(lines, n_blank)
    if n_blank == len(lines):
        raise DataError("AM201", f"{shown(name)} is empty.", "Check how the file was made.")
    if n_blank > n_before:
        notices.append(DataIssue("AM306", (), "lines of comments above the header were left out."))
    n_before, n_blank = n_blank, _skip_titles(lines, n_blank)
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


def _split(lines: list[str], separator: str, name: str, *, skips_spaces: bool = False) -> list[str]:
    if separator == _SPACES:
        return lines[0].split()
    try:
        return next(csv.reader(lines, delimiter=separator, skipinitialspace=skips_spaces))
    except csv.Error as error:
        raise DataError(
            "AM113", f"the header of {shown(name)} cannot be read: {error}.", "Is it delimited text?"
        ) from error


def read_text(stream: BinaryIO, name: str, separator: str, wanted: Wanted) -> Table:
    head = stream.read(_HEAD_BYTES)
    encoding = encoding_of(head)
    refuse_other_formats(head, encoding, name)
    if encoding != "utf-8-sig" or is_utf8(head, is_whole=len(head) < _HEAD_BYTES):
        with contextlib.suppress(UnicodeDecodeError):
            return _parse(stream, sniff(head, encoding, name, separator, wanted), name, wanted)
    stream.seek(0)
    encoding, called = guess_encoding(stream)
    for guess, name_of_it in ((encoding, called), ("latin-1", "Latin-1")):
        what = f"{shown(name)} is not UTF-8; read as {name_of_it}."
        if guess == "utf-8":
            what = (
                f"{shown(name)} holds bytes that are no UTF-8; they are read as their numbers, such as \\xf6."
            )
        notice = DataIssue("AM305", (), what, "Where letters are wrong, save it as UTF-8.")
        with contextlib.suppress(UnicodeDecodeError):
            dialect = sniff(head, guess, name, separator, wanted)
            dialect.notices.append(notice)
            return _parse(stream, dialect, name, wanted)
    raise DataError("AM113", f"{shown(name)} cannot be read as text.", "Save it as UTF-8.")


def _parse(stream: BinaryIO, dialect: Dialect, name: str, wanted: Wanted) -> Table:
    options: dict[str, Any] = {"sep": dialect.separator}
    if dialect.encoding not in ("utf-8-sig", "utf-8"):
        options["encoding"] = dialect.encoding
    if dialect.encoding == "utf-8":
        options["encoding_errors"] = "backslashreplace"
    if dialect.has_spaces:
        options["skipinitialspace"] = True
    if dialect.n_blank:
        options["skiprows"] = dialect.n_blank
    text = {*wanted.text_columns, *dialect.codes} & set(dialect.names)
    frame = _read_csv(stream, dialect, options, name, text)
    if dialect.separator == ";" and any(_has_decimal_commas(frame[column]) for column in frame.columns):
        options["decimal"] = ","
        frame = _read_csv(stream, dialect, options, name, text)
        dialect.notices.append(DataIssue("AM304", (), "numbers are read with a comma as decimal point."))
    again: dict[str, Any] = {}
    shown = {key: value for key, value in options.items() if (key, value) != ("sep", ",")}
    if codes := [column for column in dialect.codes if column in text]:
        shown["dtype"] = dict.fromkeys(codes, "str")
    target = wanted.target
    # A column of nothing but NA is one of numbers to pandas.
    has_gaps = target in frame and frame[target].hasnans
    if has_gaps and (frame[target].isna().all() or not pd.api.types.is_numeric_dtype(frame[target])):
        frame, named = _with_named_classes(stream, dialect, options, name, frame, target)
        if named:
            again = {"usecols": [target], "dtype": "str", "keep_default_na": False}
            what = f"{listed_names(named)} in target {target!r} are names of classes; only empty cells are missing."
            dialect.notices.append(DataIssue("AM307", (target,), what))
    frame = _without_empty_rows(frame, dialect)
    frame = _without_headers(frame, dialect)
    if any(issue.code == "AM303" for issue in dialect.notices):
        shown |= {"header": 0, "names": dialect.names}
    code = _call(name, {**shown, "na_values": "?"})
    if again:
        code += f".assign(**{{{target!r}: {_call(name, {**shown, 'na_values': '?', **again})}[{target!r}]}})"
    return Table(frame, tuple(dialect.notices), code)


def _call(name: str, options: Mapping[str, Any]) -> str:
    """Return the Python expression that reads a file with pandas."""
    return f"pd.read_csv({', '.join([repr(name), *(f'{k}={_source(v)}' for k, v in options.items())])})"


def _source(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k!r}: {v!r}" for k, v in value.items()) + "}"
    return repr(value)


def _with_named_classes(
    stream: BinaryIO,
    dialect: Dialect,
    options: Mapping[str, Any],
    name: str,
    frame: pd.DataFrame,
    target: str,
) -> tuple[pd.DataFrame, list[str]]:
    """Read the classes again as they are written: to pandas, NA and None mean that a cell is missing."""
    raw = _read_csv(
        stream, dialect, {**options, "usecols": [target], "keep_default_na": False}, name, [target]
    )
    labels = raw[target].str.strip()
    is_empty = labels.isin(["", "?"])
    named = sorted(labels[frame[target].isna() & ~is_empty].unique())
    if not named:
        return frame, []
    return frame.assign(**{target: raw[target].mask(is_empty)}), named


def _without_empty_rows(frame: pd.DataFrame, dialect: Dialect) -> pd.DataFrame:
    """Leave out rows without any value, which spreadsheets write below a table."""
    first = frame.iloc[:, 0]
    is_empty = first.isna()
    if isinstance(last := first.iloc[-1] if len(first) else None, str) and last == _END_OF_FILE:
        is_empty.iloc[-1] = True
    suspects = np.flatnonzero(is_empty.to_numpy())
    if frame.shape[1] < 2 or not len(suspects):
        return frame
    rows = suspects[frame.iloc[suspects, 1:].isna().to_numpy().all(axis=1)]
    if not len(rows) or len(rows) == len(frame):
        return frame
    kept = _drop(frame, rows, "without any value", dialect)
    return _typed(kept, dialect) if is_empty.sum() > first.isna().sum() else kept


def _without_headers(frame: pd.DataFrame, dialect: Dialect) -> pd.DataFrame:
    """Leave out rows that repeat the header, as in files that were put together from several."""
    first = frame.iloc[:, 0]
    if frame.shape[1] < 2 or pd.api.types.is_numeric_dtype(first):
        return frame
    suspects = np.flatnonzero((first.astype("object").map(str) == dialect.names[0]).to_numpy())
    rows = [
        int(row)
        for row in suspects
        if [str(cell).strip() for cell in frame.iloc[row]] == [str(label) for label in dialect.names]
    ]
    if not rows:
        return frame
    return _typed(_drop(frame, rows, "that repeat the header", dialect), dialect)


def _drop(frame: pd.DataFrame, rows: Sequence[int], which: str, dialect: Dialect) -> pd.DataFrame:
    notice = f"{len(rows)} row(s) {which} were left out (row {rows[0]} first)."
    dialect.notices.append(DataIssue("AM306", (), notice))
    return frame.drop(index=frame.index[rows]).reset_index(drop=True)


def _typed(kept: pd.DataFrame, dialect: Dialect) -> pd.DataFrame:
    """Read columns as numbers that may be such without the rows that were left out."""
    typed = kept.select_dtypes(include=["object", "str"])
    numbers = {}
    for column in typed.columns:
        if column not in dialect.codes:
            with contextlib.suppress(ValueError, TypeError):
                numbers[column] = pd.to_numeric(typed[column])
    return kept.assign(**numbers)


def _read_csv(
    stream: BinaryIO, dialect: Dialect, options: Mapping[str, Any], name: str, text_columns: Collection[str]
) -> pd.DataFrame:
    if "usecols" not in options:
        options = {**options, "index_col": False}

    def read(*, in_pieces: bool) -> pd.DataFrame:
        stream.seek(0)
        return pd.read_csv(
            stream,
            **{"encoding": dialect.encoding, **options},
            header=0,
            names=dialect.names,
            dtype=dict.fromkeys(text_columns, "str"),
            na_values="?",
            compression=None,
            low_memory=in_pieces,
        )

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            warnings.simplefilter("error", pd.errors.DtypeWarning)
            try:
                return read(in_pieces=True)
            except pd.errors.DtypeWarning:
                # Pieces of a column are of different types: its type is told from the whole, at twice the memory.
                return read(in_pieces=False)
    except UnicodeDecodeError:
        raise
    except pd.errors.ParserWarning as warning:
        raise DataError(
            "AM117",
            f"the rows of {shown(name)} have more cells than the header, which has {len(dialect.names)}.",
            "Add the missing names to the header.",
        ) from warning
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError, OverflowError) as error:
        raise _parser_error(error, name) from error


def _parser_error(error: Exception, name: str) -> DataError:
    found = _RAGGED.search(str(error))
    if found:
        expected, line, seen = found.groups()
        return DataError(
            "AM117",
            f"line {line} of {shown(name)} has {seen} cells, the lines before it have {expected}.",
            "Put text that holds the separator in quotes.",
        )
    what = f"{shown(name)} cannot be read as delimited text: {reason(error)}."
    return DataError("AM113", what, "Check how it was made.")


def _has_decimal_commas(column: pd.Series) -> bool:
    if pd.api.types.is_numeric_dtype(column.dtype):
        return False
    sample = column.dropna().head(100)
    return len(sample) > 0 and all(_DECIMAL_COMMA.match(str(value)) for value in sample)
