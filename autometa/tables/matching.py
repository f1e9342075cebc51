"""New rows in the form of the table that a model was fitted on."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from autometa.errors import DataError, DataIssue, listed
from autometa.tables.cells import DATES, LEVELS, MAX_SHARE_UNREAD, PERIODS, PLAIN
from autometa.tables.numbers import is_no_value, is_word_for_missing
from autometa.tables.readings import (
    OF_BYTES,
    OF_HALVES,
    Reading,
    has_infinity,
    read_column,
    spelling,
    written,
)


def match_columns(
    frame: pd.DataFrame, columns: Sequence[Mapping[str, Any]], *, ignore: str = ""
) -> tuple[pd.DataFrame, tuple[DataIssue, ...]]:
    """Bring new rows into the form of the table that a model was fitted on.

    Parameters
    ----------
    frame : DataFrame
        As :func:`autometa.tables.frames.as_frame` and ``check_names`` give it.
    columns : sequence of mapping
        ``name``, ``type`` (as in ``Task.column_types``), ``dtype`` and optionally ``reading`` of each column, in order.
    ignore : str, default=""
        Name of the target, which new rows may have or not.

    Returns
    -------
    frame : DataFrame
        The columns by name and in order.
    issues : tuple of DataIssue
        AM408 for columns that the model does not know, AM410 for cells that do not fit their column.

    Raises
    ------
    DataError
        AM401 when columns are missing, AM407 when what a column holds is not what it held.
    """
    needed = [column["name"] for column in columns if column["type"] != "ignored"]
    missing = [name for name in needed if name not in frame]
    if missing:
        close = {name: difflib.get_close_matches(name, frame.columns.astype(str), n=1) for name in missing}
        hints = [f"{found[0]!r} for {name!r}?" for name, found in close.items() if found]
        raise DataError(
            "AM401",
            f"the data lacks {len(missing)} column(s) that the model needs: {listed(missing, 10)}.",
            "Add or rename them" + (f" ({', '.join(hints[:3])})." if hints else "."),
        )
    names = [column["name"] for column in columns]
    if _is_as_fitted(frame, columns, names):
        return _without_infinities(frame, names)
    known = set(names)
    extra = [str(name) for name in frame.columns if name not in known and name != ignore]
    issues = []
    if extra:
        issues.append(
            DataIssue(
                "AM408",
                tuple(extra),
                f"{len(extra)} column(s) unknown to the model are ignored: {listed(extra, 10)}.",
            )
        )
    matched = {
        column["name"]: _as_fitted(frame[column["name"]], column, issues)
        for column in columns
        if column["name"] in frame
    }
    result = pd.DataFrame(matched, index=frame.index, copy=False)
    result = result if list(result.columns) == names else result.reindex(columns=names)
    result, infinite = _without_infinities(result, [c["name"] for c in columns if c["type"] == "numeric"])
    return result, (*issues, *infinite)


def _without_infinities(
    frame: pd.DataFrame, names: Sequence[str]
) -> tuple[pd.DataFrame, tuple[DataIssue, ...]]:
    """Read infinite values as missing, as at fitting, also where the table that was fitted had none."""
    infinite = [name for name in names if has_infinity(frame[name])]
    if not infinite:
        return frame, ()
    what = f"infinite values are read as missing in {len(infinite)} column(s): {listed(infinite, 10)}."
    cleaned = {name: frame[name].replace([np.inf, -np.inf], np.nan) for name in infinite}
    return frame.assign(**cleaned), (DataIssue("AM203", tuple(infinite), what),)


def _is_as_fitted(frame: pd.DataFrame, columns: Sequence[Mapping[str, Any]], names: Sequence[str]) -> bool:
    """Whether all that is needed are numbers, and they are there in the same order."""
    return list(frame.columns) == list(names) and all(
        column["type"] == "ignored"
        or (column["type"] == "numeric" and not column.get("reading") and dtype.kind in "biuf")
        for column, dtype in zip(columns, frame.dtypes, strict=True)
    )


def _as_truth(column: pd.Series) -> pd.Series:
    """Read True and False as files spell them, also beside truth values; other columns stay as they are."""
    if column.dtype != object and not pd.api.types.is_string_dtype(column.dtype):
        return column
    words = {
        str(value) if isinstance(value, (str, bool, np.bool_)) else "" for value in column.dropna().head(20)
    }
    said = {word for word in words if not is_word_for_missing(word)}
    if not said or not said <= _TRUTH.keys():
        return column
    return column.map(lambda value: _TRUTH.get(str(value), value)).astype("object")


_TRUTH: Final = {"True": True, "False": False, "TRUE": True, "FALSE": False, "true": True, "false": False}


def _without_odd_text(column: pd.Series, reading: Reading) -> pd.Series:
    """Return a column that can be text, as at fitting."""
    how = tuple(step for step in reading if step in (*OF_BYTES, *OF_HALVES)) or spelling(column)
    return read_column(column, how) if how else column


def _as_fitted(column: pd.Series, fitted: Mapping[str, Any], issues: list[DataIssue]) -> pd.Series:
    whole = tuple(fitted.get("reading", ()))
    column = _without_odd_text(column, whole)
    reading = tuple(step for step in whole if step not in (*OF_BYTES, *OF_HALVES))
    if fitted["type"] in ("numeric", "date"):
        return _as_fitted_values(_as_truth(column), fitted, reading, issues)
    if fitted["type"] in ("categorical", "text"):
        if isinstance(column.dtype, pd.ArrowDtype):
            column = column.astype("object")
        if reading or (
            pd.api.types.is_numeric_dtype(column.dtype) and fitted["dtype"] in ("str", "object", "string")
        ):
            return read_column(column, LEVELS)
    return column


def _as_fitted_values(
    column: pd.Series, fitted: Mapping[str, Any], reading: Reading, issues: list[DataIssue]
) -> pd.Series:
    """Read numbers or dates again; report what no longer is one."""
    name, dtype = fitted["name"], column.dtype
    if fitted["type"] == "numeric" and not reading:
        if pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_complex_dtype(dtype):
            is_nullable = pd.api.types.is_extension_array_dtype(dtype)
            # A table without missing values, or of other types, was fitted.
            return column.astype("float64") if is_nullable and column.hasnans else column
        reading = PLAIN
    elif fitted["type"] == "date" and not reading:
        if pd.api.types.is_datetime64_any_dtype(dtype) and not isinstance(dtype, pd.ArrowDtype):
            return column
        reading = DATES
    is_period = isinstance(dtype, pd.PeriodDtype)
    if is_period:
        column, reading = column.dt.start_time, DATES
    elif "start of period" in reading:
        reading = PERIODS
    if isinstance(dtype, (pd.CategoricalDtype, pd.ArrowDtype)) or pd.api.types.is_complex_dtype(dtype):
        column = column.astype("object")
    cells = column
    if reading[-1].endswith("seconds to dates") and pd.api.types.is_string_dtype(column.dropna()):
        cells = read_column(column, PLAIN[:1])  # the numbers of a file
    try:
        values = read_column(cells, reading)
    except (TypeError, ValueError, OverflowError):
        safe = ("to dates",) if fitted["type"] == "date" else PLAIN
        values = read_column(column.map(written, na_action="ignore").astype("object"), safe)
    unread = column[values.isna() & column.notna()]
    known = set(fitted.get("unread", ()))
    unread = unread[~unread.map(lambda value: _says_nothing(value, known))]
    if len(unread):
        what = "numbers" if fitted["type"] == "numeric" else "dates"
        first = f"{str(unread.iloc[0])[:40]!r} in row {unread.index[0]}"
        if len(unread) > MAX_SHARE_UNREAD * int(column.notna().sum()):
            raise DataError(
                "AM407",
                f"column {name!r} held {what} when the model was fitted, and holds {first}"
                + (f" and text in {len(unread) - 1} more rows." if len(unread) > 1 else "."),
                "Clean the column.",
            )
        message = f"column {name!r}: {len(unread)} cell(s) hold no {what} and are read as missing ({first})."
        issues.append(DataIssue("AM410", (name,), message))
    return values.dt.tz_localize(None) if "start of period" in fitted.get("reading", ()) else values


def _says_nothing(value: Any, known: set[str]) -> bool:
    """Whether a cell is missing without more ado: by a word for it, or by one that was so at fitting."""
    return value in (np.inf, -np.inf) or is_no_value(str(value)) or str(value) in known
