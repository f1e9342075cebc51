"""Delimited text of any flavour as a table: its encoding, its cells, and the rows that are none."""

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import Collection, Mapping
from typing import Any, BinaryIO, Final

import numpy as np
import pandas as pd

from autometa.errors import DataError, DataIssue
from autometa.tables._content import (
    Table,
    encoding_of,
    listed_names,
    reason,
    refuse_other_formats,
    shown,
)
from autometa.tables._dialect import Dialect, Wanted, sniff
from autometa.tables._encodings import guess_encoding, is_utf8

_HEAD_BYTES: Final = 4_000_000
_DECIMAL_COMMA: Final = re.compile(r"^\s*[-+]?\d+,\d+\s*$")
_RAGGED: Final = re.compile(r"Expected (\d+) fields in line (\d+), saw (\d+)")


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
    notice = f"{len(rows)} row(s) without any value were left out (row {rows[0]} first)."
    dialect.notices.append(DataIssue("AM306", (), notice))
    kept = frame.drop(index=frame.index[rows]).reset_index(drop=True)
    return _typed(kept, dialect) if is_empty.sum() > first.isna().sum() else kept


# Ctrl-Z, which old programs write at the end of text.
_END_OF_FILE: Final = "\x1a"


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
    notice = f"{len(rows)} row(s) that repeat the header were left out (row {rows[0]} first)."
    dialect.notices.append(DataIssue("AM306", (), notice))
    kept = frame.drop(index=frame.index[rows]).reset_index(drop=True)
    return _typed(kept, dialect)


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
    return DataError(
        "AM113",
        f"{shown(name)} cannot be read as delimited text: {reason(error)}.",
        "Check how it was made.",
    )


def _has_decimal_commas(column: pd.Series) -> bool:
    if pd.api.types.is_numeric_dtype(column.dtype):
        return False
    sample = column.dropna().head(100)
    return len(sample) > 0 and all(_DECIMAL_COMMA.match(str(value)) for value in sample)
