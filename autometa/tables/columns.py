"""What each column of a table means: its type, how its cells are read, and what should be said about it.

The rules are written down for users in ``docs/reference/columns.md``.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, Final

import numpy as np
import pandas as pd

from autometa.errors import DataIssue, UsageError, listed
from autometa.tables._dates import CLOCKS, DAYS_IN_NUMBERS, SECONDS, THOUSANDTHS, number_dates
from autometa.tables.cells import (
    COLUMN_TYPES,
    DATES,
    FRACTIONS,
    LEVELS,
    PERIODS,
    PLAIN,
    SPANS,
    Column,
    ColumnType,
    is_id,
    judge_unique,
    look_at_text,
)
from autometa.tables.frames import are_numbers, is_hashable
from autometa.tables.readings import (
    Reading,
    has_infinity,
    judge_numbers,
    read_column,
    spelling,
    unreadable,
    written,
)

_N_SHOWN: Final = 3


@dataclass
class Columns:
    """What the columns of a table are taken for."""

    frame: pd.DataFrame
    types: dict[str, ColumnType] = field(default_factory=dict)
    readings: dict[str, Reading] = field(default_factory=dict)
    unread: dict[str, tuple[str, ...]] = field(default_factory=dict)
    mixed: tuple[str, ...] = ()
    infinite: tuple[str, ...] = ()


def infer_columns(
    frame: pd.DataFrame, issues: list[DataIssue], column_types: Mapping[str, Any] | None = None
) -> Columns:
    """Decide what every column is and read it.

    Parameters
    ----------
    frame : DataFrame
        With names that are different strings; not changed.
    issues : list of DataIssue
        What was noticed is added.
    column_types : mapping of str to str, optional
        Types that are not to be guessed.

    Raises
    ------
    UsageError
        AM535 for a type or a column that does not exist.
    DataError
        AM216 when no cell can be read as the type asked for.
    """
    wanted = _check_wanted(column_types or {}, frame)
    result = Columns(frame)
    found: dict[str, list[tuple[str, str]]] = {}
    mixed, infinite, read = [], [], {}
    for name in frame.columns:
        column = look_at(frame[name], wanted.get(name))
        result.types[name] = column.type
        if column.reading and column.type != "ignored":
            result.readings[name] = column.reading
        if column.unread:
            result.unread[name] = column.unread
        if column.values is not None and column.type != "ignored":
            read[name] = column.values
        if column.is_mixed and column.type == "categorical":
            mixed.append(name)
        if column.type == "numeric" and has_infinity(read.get(name, frame[name])):
            infinite.append(name)
        for code in filter(None, (column.code, "AM209" if name in mixed[-1:] else "")):
            found.setdefault(code, []).append((name, column.detail))
    if read:
        # A shallow copy: the user's table keeps what it holds.
        result.frame = pd.DataFrame({name: read.get(name, frame[name]) for name in frame.columns}, copy=False)
    result.mixed, result.infinite = tuple(mixed), tuple(infinite)
    if infinite:
        found["AM203"] = [(name, _infinite_rows(result.frame[name])) for name in infinite]
    issues.extend(_column_issue(code, columns) for code, columns in sorted(found.items()))
    return result


def _check_wanted(column_types: Mapping[str, Any], frame: pd.DataFrame) -> dict[str, ColumnType]:
    if not isinstance(column_types, Mapping):
        raise UsageError(
            "AM535",
            f"column_types is of type {type(column_types).__name__}.",
            "Pass a mapping of names to types, such as {'zip': 'categorical'}.",
        )
    for name, column_type in column_types.items():
        if column_type not in COLUMN_TYPES:
            raise UsageError(
                "AM535",
                f"column_types: {column_type!r} of column {name!r} is no type.",
                f"Choose one of {', '.join(COLUMN_TYPES)}.",
            )
        if str(name) not in frame.columns:
            close = difflib.get_close_matches(str(name), list(frame.columns), n=1)
            raise UsageError(
                "AM535",
                f"column_types: there is no column {name!r}.",
                f"Did you mean {close[0]!r}?" if close else f"The columns are: {listed(frame.columns)}.",
            )
    return {str(name): column_type for name, column_type in column_types.items()}


_MESSAGES: Final = {
    "AM202": ("text or numbers that hold dates; read as dates, what cannot be read as missing", ""),
    "AM203": ("holds infinite values; they are read as missing", "Check how they came about."),
    "AM205": ("entirely missing; ignored", "Drop the column or fill it in."),
    "AM206": ("unique in every row, like an id; ignored", "Drop it, or encode what it means."),
    "AM208": ("the same in every row; ignored", ""),
    "AM209": (
        "mixes types, or holds values of an unusual one; read as text",
        "Clean the column if that is a mistake.",
    ),
    "AM210": ("of a type that cannot be used; ignored", "Convert it to numbers, text or dates."),
    "AM211": ("free text; read as counts of words or letters reduced to a few numbers", ""),
    "AM212": (
        "text that holds numbers; read as numbers, what cannot be read as missing",
        "Where they are codes, say so: column_types={{{name!r}: 'categorical'}}.",
    ),
    "AM213": (
        "dates that do not tell whether the day or the month comes first",
        "Write them as 2024-01-31 where that is wrong.",
    ),
    "AM217": (
        "whole numbers beyond 2**53, of which the last digits are lost",
        "Where they are codes, say so: column_types={{{name!r}: 'categorical'}}.",
    ),
    "AM218": (
        "numbers that may be seconds since 1970; read as numbers",
        "Where they are dates, say so: column_types={{{name!r}: 'date'}}.",
    ),
}


def _column_issue(code: str, columns: Sequence[tuple[str, str]]) -> DataIssue:
    what, fix = _MESSAGES[code]
    names = [name for name, _ in columns]
    details = [f"{detail} in {name!r}" for name, detail in columns[:_N_SHOWN] if detail]
    if len(columns) > _N_SHOWN and details:
        details.append("and so on")
    detail = f" ({'; '.join(details)})" if details else ""
    noun = "column" if len(names) == 1 else "columns"
    return DataIssue(
        code, tuple(names), f"{noun} {listed(names)}: {what}{detail}.", fix.format(name=names[0])
    )


# -- one column ----------------------------------------------------------------------------------------------------


def look_at(column: pd.Series, wanted: ColumnType | None = None) -> Column:
    """Decide what a column is and read it; `wanted` is not questioned unless nothing can be read so."""
    if wanted is None and _has_fractions(column):
        return Column("numeric")
    found = _look_at(column, wanted)
    return found if found.raw is None else replace(found, values=read_column(found.raw, found.reading))


def _has_fractions(column: pd.Series) -> bool:
    """Whether a column holds different floats, not all of them whole, and so needs no second look."""
    if column.dtype != np.dtype("float64"):
        return False
    values = column.to_numpy()
    values = values[np.isfinite(values)]
    return len(values) > 0 and bool((values != np.floor(values)).any()) and bool(values.min() < values.max())


def _look_at(column: pd.Series, wanted: ColumnType | None) -> Column:
    if wanted == "ignored":
        return Column("ignored")
    plain = _without_arrow(column)
    if plain is None:
        return Column("ignored", "AM210")
    if not plain.notna().any():
        return Column("ignored", "AM205")
    how = spelling(plain)
    if how is None:
        return Column("ignored", "AM210")
    if how:
        spelled = read_column(plain, how)
        found = _look_at_objects(spelled, wanted)
        # The letters of bytes and of half characters say nothing.
        kind: ColumnType = "categorical" if found.type == "text" else found.type
        values = spelled if found.values is None else found.values
        return replace(found, type=kind, reading=(*how, *(found.reading or LEVELS)), values=values, raw=None)
    dtype = plain.dtype
    if pd.api.types.is_complex_dtype(dtype):
        return Column("ignored", "AM210")
    if pd.api.types.is_bool_dtype(dtype) or pd.api.types.is_numeric_dtype(dtype):
        return _look_at_numbers(plain, wanted)
    if pd.api.types.is_datetime64_any_dtype(dtype):
        if wanted == "categorical":
            return Column("categorical", reading=LEVELS)
        if isinstance(column.dtype, pd.ArrowDtype):
            return Column("date", reading=("to objects", *DATES), raw=column)
        return Column("date")
    if isinstance(dtype, pd.PeriodDtype):
        return Column("date", reading=("start of period", *DATES))
    if pd.api.types.is_timedelta64_dtype(dtype):
        return _look_at_spans(plain, column, SPANS)
    if isinstance(dtype, pd.CategoricalDtype) and wanted in (None, "date", "numeric"):
        found_in = _look_at_categories_of_time(plain)
        if found_in is not None:
            return found_in
    return _look_at_objects(plain, wanted)


def _look_at_categories_of_time(column: pd.Series) -> Column | None:
    """Decide about categories that are dates, periods or spans: they say more than their names."""
    dtype = column.cat.categories.dtype
    kind = pd.api.types.infer_dtype(column.cat.categories) if pd.api.types.is_object_dtype(dtype) else ""
    if pd.api.types.is_datetime64_any_dtype(dtype) or kind in ("date", "datetime"):
        reading: Reading = ("to objects", *DATES)
    elif isinstance(dtype, pd.PeriodDtype):
        reading = PERIODS
    elif pd.api.types.is_timedelta64_dtype(dtype):
        spans: Reading = ("to objects", "to spans", *SPANS)
        return _look_at_spans(read_column(column, spans), column, spans)
    else:
        return None
    return Column("date", reading=reading, raw=column)


def _without_arrow(column: pd.Series) -> pd.Series | None:
    """Return a column of a type that pandas had before Arrow; None where there is none, as for lists."""
    if not isinstance(column.dtype, pd.ArrowDtype):
        return column
    import pyarrow as pa

    kind = column.dtype.pyarrow_dtype
    if pa.types.is_nested(kind) or str(kind).startswith("month_day_nano"):
        return None
    if pa.types.is_duration(kind):
        return column.astype("timedelta64[ns]")
    if pa.types.is_decimal(kind):
        return column.astype("float64")
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return pd.to_datetime(column)
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return column
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return column.astype("str")
    return pd.Series(column.to_numpy(dtype=object, na_value=None), index=column.index, dtype=object)


def _look_at_numbers(column: pd.Series, wanted: ColumnType | None) -> Column:
    if wanted in ("categorical", "text"):
        return Column(wanted, reading=LEVELS, raw=column)
    if wanted == "date":
        return _dates_of_numbers(column)
    found, code = judge_numbers(column)
    if found == "numeric" and wanted is None and not pd.api.types.is_bool_dtype(column.dtype):
        return _dates_in_numbers(column) or Column(found, code)
    if wanted is None or code == "AM208":
        return Column(found, code)
    return Column("numeric")


def _dates_in_numbers(column: pd.Series) -> Column | None:
    """Read whole numbers as dates where all are; seconds since 1970 may be other numbers, and are only told."""
    present = column.dropna()
    reading = None if has_infinity(column) else number_dates(present)
    if reading is None:
        return None
    values = read_column(column, reading)
    row = present.index[0]
    detail = f"{str(present.loc[row])[:20]} as {values.loc[row]:%Y-%m-%d}" if present.index.is_unique else ""
    if reading == SECONDS:
        return Column("numeric", "AM218", detail=detail)
    return Column("date", "AM202", reading, values, detail)


def _infinite_rows(column: pd.Series) -> str:
    rows = np.flatnonzero(np.isinf(column.to_numpy(dtype="float64", na_value=np.nan)))
    return f"row {rows[0]} first, {len(rows)}"


def _dates_of_numbers(column: pd.Series) -> Column:
    """Read numbers as 20240131, or as seconds or thousandths of one since 1970; asked for, never guessed."""
    present = column.dropna().astype("float64")
    middle = float(present.abs().median())
    if present.between(10**7, 10**8 - 1).all():
        reading: Reading = DAYS_IN_NUMBERS
    else:
        reading = THOUSANDTHS if middle > 10**11 else SECONDS
    values = read_column(column, reading)
    if not values.notna().any():
        raise unreadable(column, "date")
    return Column("date", reading=reading, values=values)


def _look_at_spans(column: pd.Series, raw: pd.Series, reading: Reading) -> Column:
    present = column.dropna()
    if len(present) == len(column) > 1 and (present == present.iloc[0]).all():
        return Column("ignored", "AM208")
    is_raw = raw.dtype != "timedelta64[ns]"
    return Column("numeric", reading=reading, values=column.astype("timedelta64[ns]") if is_raw else None)


def _look_at_objects(column: pd.Series, wanted: ColumnType | None) -> Column:
    """Decide about text, categories and columns of objects."""
    present = column.dropna()
    is_category = isinstance(column.dtype, pd.CategoricalDtype)
    if column.dtype == object:
        kind = pd.api.types.infer_dtype(present, skipna=True)
        found = _look_at_typed_objects(column, present, kind, wanted)
        if found is not None:
            return found
    if column.dtype == object and not all(map(is_hashable, present)):
        return Column("ignored", "AM210")
    counts = present.value_counts(sort=False)
    counts = counts[counts > 0]
    if isinstance(counts.index.dtype, pd.StringDtype):
        counts.index = counts.index.astype("object")  # which is passed through ten times faster
    is_mixed = not isinstance(column.dtype, pd.StringDtype) and _is_mixed(counts.index)
    if is_mixed or column.dtype == object or is_category:
        # 1, 1.0 and "1" are one level, however they were told apart.
        levels = read_column(pd.Series(counts.index).astype("object"), LEVELS)
        counts = counts.groupby(levels.to_numpy()).sum()
    if len(counts) == 1 and len(present) == len(column) and len(column) > 1:
        return Column("ignored", "AM208")
    is_level = wanted in ("categorical", "text") or (is_category and wanted is None)
    if not is_level:
        found = look_at_text(column, counts, wanted)
        if found is not None:
            return found
        if wanted is not None:
            raise unreadable(column, wanted)
    # What cannot come as a number is spelled alike wherever it comes from; looking at each cell takes time.
    as_text = LEVELS[:1] if is_category else ()
    reading = LEVELS if is_mixed or _look_numeric(counts.index) else as_text
    if wanted in ("categorical", "text"):
        return Column(wanted, reading=reading or ("to text",))
    if is_level and is_id(len(counts), column):
        return judge_unique(column, reading)
    return Column("categorical", reading=reading, is_mixed=is_mixed)


def _look_at_typed_objects(
    column: pd.Series, present: pd.Series, kind: str, wanted: ColumnType | None
) -> Column | None:
    """Decide about objects of one type other than text; None where levels or text are left."""
    if kind == "complex" or present.map(type).isin([complex, np.complex128, np.complex64]).any():
        return Column("ignored", "AM210")
    if wanted in ("categorical", "text"):
        return None
    if kind == "boolean" or are_numbers(present):
        return _look_at_number_objects(column, present)
    if kind in ("datetime", "datetime64", "date"):
        return Column("date", reading=DATES, raw=column)
    if kind in ("timedelta", "timedelta64"):
        spans: Reading = ("to spans", *SPANS)
        return _look_at_spans(read_column(column, spans), column, spans)
    if kind == "time":
        return Column("numeric", reading=CLOCKS, raw=column)
    if kind == "period":
        return Column("date", reading=PERIODS, raw=column)
    return None


def _look_at_number_objects(column: pd.Series, present: pd.Series) -> Column | None:
    """Decide about numbers and truth values of Python; None for whole numbers too large to be told apart."""
    has_fractions = bool(present.map(type).eq(Fraction).any())
    reading: Reading = FRACTIONS if has_fractions else PLAIN
    try:
        values = read_column(column, reading)
    except (OverflowError, TypeError):  # a whole number beyond what a float holds
        reading = ("to text", *PLAIN)
        values = read_column(column.map(written, na_action="ignore"), reading)
    whole = column.infer_objects()
    if pd.api.types.is_integer_dtype(whole.dtype):
        judged, code = judge_numbers(whole)
    elif values.nunique() < 2 <= present.nunique():
        return None
    else:
        judged, code = judge_numbers(values)
        if not code and values.nunique() < present.nunique() and present.map(type).eq(int).all():
            code = "AM217"
    return Column(judged, code, reading, values)


def _look_numeric(values: Iterable[Any]) -> bool:
    """Whether levels could come as numbers from another source."""
    return any(isinstance(v, str) and v[:1] in "-0123456789" and _is_float(v) for v in values)


def _is_float(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_mixed(values: Iterable[Any]) -> bool:
    values = list(values)
    if all(isinstance(value, str) for value in values):
        return False
    if len({isinstance(value, (bool, np.bool_)) for value in values}) > 1:
        return True
    return not all(isinstance(value, (int, float, np.number)) for value in values)
