"""What each column of a table means: its type, how its cells are read, and what should be said about it.

The rules are written down for users in ``docs/reference/columns.md``.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

import numpy as np
import pandas as pd

from autometa._dates import date_reading
from autometa._numbers import CLOCK, is_word_for_missing, number_reading
from autometa.encoding import has_parts
from autometa.errors import DataError, DataIssue, UsageError, listed
from autometa.frames import are_numbers
from autometa.readings import Reading, read_column

ColumnType = Literal["numeric", "categorical", "date", "text", "ignored"]

COLUMN_TYPES: Final = get_args(ColumnType)
MAX_CLASSES_OF_INTEGERS: Final = 20
# Of the cells that hold something, so many may be no number in a column of numbers, or no date in one of dates.
MAX_SHARE_UNREAD: Final = 0.1
# One single word, such as "varies", may stand more often: it says that there is no number.
MAX_SHARE_OF_ONE_WORD: Final = 0.25
_MAX_EXACT: Final = 2**53
_N_SHOWN: Final = 3

PLAIN: Final[Reading] = ("text to numbers", "to numbers")
LEVELS: Final[Reading] = ("to text", "whole numbers without point")
DATES: Final[Reading] = ("to dates",)
SPANS: Final[Reading] = ("to nanoseconds",)
CLOCKS: Final[Reading] = ("to text", "clock to span", "to spans", "to nanoseconds")


@dataclass(frozen=True)
class Column:
    """What a column is taken for.

    Attributes
    ----------
    type : {"numeric", "categorical", "date", "text", "ignored"}
    code : str, default=""
        Of the issue that it is reported under.
    reading : tuple of str, default=()
        See :mod:`autometa.readings`.
    values : Series or None, default=None
        What was read, where that is to take the place of the raw cells.
    detail : str, default=""
        Examples and counts for the report.
    is_mixed : bool, default=False
        Whether text stands beside other types.
    """

    type: ColumnType
    code: str = ""
    reading: Reading = ()
    values: pd.Series | None = None
    detail: str = ""
    is_mixed: bool = False


@dataclass
class Columns:
    """What the columns of a table are taken for."""

    frame: pd.DataFrame
    types: dict[str, ColumnType] = field(default_factory=dict)
    readings: dict[str, Reading] = field(default_factory=dict)
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
        if column.values is not None and column.type != "ignored":
            read[name] = column.values
        if column.is_mixed and column.type == "categorical":
            mixed.append(name)
        if column.type == "numeric" and _has_infinity(read.get(name, frame[name])):
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
    "AM202": ("text that holds dates; read as dates, what cannot be read as missing", ""),
    "AM203": ("holds infinite values; they are read as missing", "Check how they came about."),
    "AM205": ("entirely missing; ignored", "Drop the column or fill it in."),
    "AM206": ("unique in every row, like an id; ignored", "Drop it, or encode what it means."),
    "AM208": ("the same in every row; ignored", ""),
    "AM209": ("mixes text with other types; read as text", "Clean the column if that is a mistake."),
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
    """Decide what a column is; `wanted` is not questioned unless nothing can be read so."""
    if wanted == "ignored":
        return Column("ignored")
    plain = _without_arrow(column)
    if plain is None:
        return Column("ignored", "AM210")
    if not plain.notna().any():
        return Column("ignored", "AM205")
    dtype = plain.dtype
    if pd.api.types.is_complex_dtype(dtype):
        return Column("ignored", "AM210")
    if pd.api.types.is_bool_dtype(dtype) or pd.api.types.is_numeric_dtype(dtype):
        return _look_at_numbers(plain, wanted)
    if pd.api.types.is_datetime64_any_dtype(dtype):
        if wanted == "categorical":
            return Column("categorical", reading=LEVELS)
        if isinstance(column.dtype, pd.ArrowDtype):
            reading: Reading = ("to objects", *DATES)
            return Column("date", reading=reading, values=read_column(column, reading))
        return Column("date")
    if isinstance(dtype, pd.PeriodDtype):
        return Column("date", reading=("start of period", *DATES))
    if pd.api.types.is_timedelta64_dtype(dtype):
        return _look_at_spans(plain, column, SPANS)
    return _look_at_objects(plain, wanted)


def _without_arrow(column: pd.Series) -> pd.Series | None:
    """Return a column of a type that pandas had before Arrow; None where there is none, as for lists."""
    if not isinstance(column.dtype, pd.ArrowDtype):
        return column
    import pyarrow as pa

    kind = column.dtype.pyarrow_dtype
    if pa.types.is_nested(kind):
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
    if wanted == "categorical":
        return Column("categorical", reading=LEVELS, values=read_column(column, LEVELS))
    if wanted == "date":
        return _dates_of_numbers(column)
    if wanted == "text":
        return Column("text", reading=LEVELS, values=read_column(column, LEVELS))
    found, code = _judge_numbers(column)
    if wanted is None or code == "AM208":
        return Column(found, code)
    return Column("numeric")


def _judge_numbers(column: pd.Series) -> tuple[ColumnType, str]:
    present = column.dropna()
    if present.empty:
        return "ignored", "AM205"
    if len(present) == len(column) > 1 and (present == present.iloc[0]).all():
        return "ignored", "AM208"
    if not pd.api.types.is_integer_dtype(column.dtype):
        return "numeric", ""
    if len(column) >= 20 and len(present) == len(column) and _is_gapless(column):
        # Only a gapless count is an id: other unique integers may well carry information.
        return "ignored", "AM206"
    largest = max(abs(int(present.max())), abs(int(present.min())))
    if largest > _MAX_EXACT and present.astype("float64").nunique() < present.nunique():
        return "numeric", "AM217"
    return "numeric", ""


def _is_gapless(column: pd.Series) -> bool:
    return int(column.max()) - int(column.min()) == len(column) - 1 and bool(column.is_unique)


def _has_infinity(column: pd.Series) -> bool:
    if not pd.api.types.is_float_dtype(column.dtype):
        return False
    return bool(np.isinf(column.to_numpy(dtype="float64", na_value=np.nan)).any())


def _infinite_rows(column: pd.Series) -> str:
    rows = np.flatnonzero(np.isinf(column.to_numpy(dtype="float64", na_value=np.nan)))
    return f"row {rows[0]} first, {len(rows)}"


def _dates_of_numbers(column: pd.Series) -> Column:
    """Read numbers as 20240131, or as seconds or thousandths of one since 1970; asked for, never guessed."""
    present = column.dropna().astype("float64")
    middle = float(present.abs().median())
    if present.between(10**7, 10**8 - 1).all():
        reading: Reading = (*LEVELS, "to dates written: %Y%m%d")
    else:
        reading = ("thousandths of seconds to dates",) if middle > 10**11 else ("seconds to dates",)
    values = read_column(column, reading)
    if not values.notna().any():
        raise _unreadable(column, "date")
    return Column("date", reading=reading, values=values)


def _look_at_spans(column: pd.Series, raw: pd.Series, reading: Reading) -> Column:
    present = column.dropna()
    if len(present) == len(column) > 1 and (present == present.iloc[0]).all():
        return Column("ignored", "AM208")
    is_raw = isinstance(raw.dtype, pd.ArrowDtype) or column.dtype != "timedelta64[ns]"
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
    if column.dtype == object and not all(_is_hashable(value) for value in present):
        return Column("ignored", "AM210")
    counts = present.value_counts(sort=False)
    counts = counts[counts > 0]
    is_mixed = _is_mixed(counts.index)
    if is_mixed or column.dtype == object or is_category:
        # 1, 1.0 and "1" are one level, however they were told apart.
        counts = counts.groupby(_as_levels(counts.index).to_numpy()).sum()
    if len(counts) == 1 and len(present) == len(column) and len(column) > 1:
        return Column("ignored", "AM208")
    reading = LEVELS if is_mixed or is_category or _look_numeric(counts.index) else ()
    as_levels = Column("categorical", reading=reading, is_mixed=is_mixed)
    if wanted in ("categorical", "text"):
        return Column(wanted, reading=reading or ("to text",))
    if is_category and wanted is None:
        return _judge_unique(column, reading) if _is_id(len(counts), column) else as_levels
    return _look_at_text(column, counts, wanted) or as_levels


def _look_at_typed_objects(
    column: pd.Series, present: pd.Series, kind: str, wanted: ColumnType | None
) -> Column | None:
    """Decide about objects of one type other than text; None where levels or text are left."""
    if kind == "complex" or present.map(type).isin([complex, np.complex128, np.complex64]).any():
        return Column("ignored", "AM210")
    if wanted in ("categorical", "text"):
        return None
    if kind == "boolean" or are_numbers(present):
        reading = PLAIN if kind != "mixed" else ("to numbers",)
        try:
            values = read_column(column, reading)
        except (
            OverflowError,
            TypeError,
        ):  # a whole number beyond what a float holds; missing beside fractions
            reading = ("to text", *PLAIN)
            values = read_column(column.map(_as_text, na_action="ignore"), reading)
        whole = column.infer_objects()
        judged, code = _judge_numbers(whole if pd.api.types.is_integer_dtype(whole.dtype) else values)
        return Column(judged, code, reading, values)
    if kind in ("datetime", "datetime64", "date"):
        return Column("date", "", DATES, read_column(column, DATES))
    if kind in ("timedelta", "timedelta64"):
        spans: Reading = ("to spans", *SPANS)
        return _look_at_spans(read_column(column, spans), column, spans)
    if kind == "time":
        return Column("numeric", "", CLOCKS, read_column(column, CLOCKS))
    if kind == "period":
        return Column("date", "", ("to text", *DATES), read_column(column, ("to text", *DATES)))
    return None


def _is_hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _as_text(value: Any) -> str:
    try:
        return str(value)
    except ValueError:  # more digits than Python writes
        return "inf"


def _as_levels(values: Any) -> pd.Series:
    """Return levels as the text that they are told apart by."""
    return read_column(pd.Series(values).astype("object"), LEVELS)


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
    return not (
        all(isinstance(value, str) for value in values)
        or all(isinstance(value, (int, float, np.number)) for value in values)
    )


def _is_id(n_levels: int, column: pd.Series) -> bool:
    return n_levels == len(column) and n_levels >= 20


def _look_at_text(column: pd.Series, counts: pd.Series, wanted: ColumnType | None) -> Column | None:
    """Decide about text: numbers as people write them, clock times, dates, free text, ids; None for levels."""
    if wanted in (None, "numeric"):
        found = _numbers_in_text(column, counts, is_asked_for=wanted is not None)
        if found is not None or wanted is not None:
            return found
    if wanted in (None, "date"):
        found = _dates_in_text(column, counts, is_asked_for=wanted is not None)
        if found is not None:
            return found
    sample = [str(level) for level in counts.index[:200]]
    words = float(np.mean([len(value.split()) for value in sample]))
    n_present = int(counts.sum())
    if len(counts) > 30 and len(counts) > 0.3 * n_present and words >= 3:
        return Column("text", "AM211")
    return _judge_unique(column, ()) if _is_id(len(counts), column) else None


def _judge_unique(column: pd.Series, reading: Reading) -> Column:
    """Names and codes with parts are text, which carries something; other ids are ignored."""
    return Column("text", "AM211", reading) if has_parts(column) else Column("ignored", "AM206")


def _numbers_in_text(column: pd.Series, counts: pd.Series, *, is_asked_for: bool) -> Column | None:
    levels = [str(level) for level in counts.index]
    weights = counts.to_numpy()
    is_clock = _share(levels, weights, lambda level: CLOCK.match(level) is not None) >= 1 - MAX_SHARE_UNREAD
    reading = CLOCKS if is_clock else number_reading(levels, weights, least=0.0 if is_asked_for else 0.7)
    if reading is None:
        if is_asked_for:
            raise _unreadable(column, "numeric")
        return None
    if isinstance(column.dtype, pd.CategoricalDtype) or column.dtype == object:
        reading = ("to objects", *reading)
    values = read_column(column, reading)
    unread = column[values.isna() & column.notna()].map(str).value_counts()
    if not values.notna().any():
        if is_asked_for:
            raise _unreadable(column, "numeric")
        return None
    if not is_asked_for and not _are_few(unread, int(weights.sum()), str(column.name)):
        return None
    is_plain = tuple(name for name in reading if name != "to objects") == PLAIN
    is_text = not any(not isinstance(value, str) for value in column.dropna().head(1000))
    if not is_asked_for and is_plain and is_text and unread.empty:
        whole = bool((values.dropna() % 1 == 0).all())
        if whole and values.nunique() <= MAX_CLASSES_OF_INTEGERS:
            return None  # somebody made these text on purpose
        integers = values.astype("int64") if whole and values.notna().all() and _fit_int64(values) else values
        judged, code = _judge_numbers(integers)
        if judged == "ignored":
            return Column(judged, code)
    if not is_asked_for and is_clock is False and values.nunique() < 2 and len(counts) > 1:
        return None
    return Column("numeric", "AM212", reading, values, _detail(column, values, unread, is_plain))


def _fit_int64(values: pd.Series) -> bool:
    return bool(values.abs().max() < _MAX_EXACT)


def _share(levels: Sequence[str], weights: Any, test: Any) -> float:
    # What says nothing for or against: a dash, an empty cell.
    judged = [(bool(test(level)), weight) for level, weight in zip(levels[:500], weights[:500], strict=True)
              if not is_word_for_missing(level)]  # fmt: skip
    total = sum(weight for _, weight in judged)
    return sum(weight for is_so, weight in judged if is_so) / total if total else 0.0


def _are_few(unread: pd.Series, n_present: int, name: str) -> bool:
    """Whether what could not be read is little enough; words for missing, and the header again, do not count."""
    strange = [
        int(count)
        for word, count in unread.items()
        if not is_word_for_missing(str(word)) and str(word).strip() != name.strip()
    ]
    known = n_present - (int(unread.sum()) - sum(strange))
    share = MAX_SHARE_OF_ONE_WORD if len(strange) == 1 else MAX_SHARE_UNREAD
    return sum(strange) <= share * known


def _detail(column: pd.Series, values: pd.Series, unread: pd.Series, is_plain: bool) -> str:
    parts = []
    if not is_plain:
        raw = column[values.notna()]
        if len(raw):
            row = raw.map(lambda value: len(str(value))).to_numpy().argmax()
            value = values[values.notna()].iloc[row]
            shown = value if isinstance(value, pd.Timedelta) else f"{value:.15g}"
            parts.append(f"{str(raw.iloc[row])[:40]!r} as {shown}")
    if len(unread):
        words = ", ".join(repr(str(word)[:30]) for word in unread.index[:3]) + ", ..." * (len(unread) > 3)
        parts.append(f"{int(unread.sum())} of {len(column)} cells, {words}, as missing")
    return " and ".join(parts)


def _dates_in_text(column: pd.Series, counts: pd.Series, *, is_asked_for: bool) -> Column | None:
    found = date_reading([str(level) for level in counts.index], counts.to_numpy(), force=is_asked_for)
    if found is None:
        if is_asked_for:
            raise _unreadable(column, "date")
        return None
    reading, is_ambiguous = found
    if column.dtype == object or isinstance(column.dtype, pd.CategoricalDtype):
        reading = ("to text", *reading)
    values = read_column(column, reading)
    unread = column[values.isna() & column.notna()].map(str).value_counts()
    if not values.notna().any() or not (
        is_asked_for or _are_few(unread, int(counts.sum()), str(column.name))
    ):
        if is_asked_for:
            raise _unreadable(column, "date")
        return None
    raw = column[values.notna()].iloc[0]
    detail = f"{str(raw)[:40]!r} as {values[values.notna()].iloc[0]:%Y-%m-%d}"
    if len(unread):
        words = ", ".join(repr(str(word)[:30]) for word in unread.index[:3]) + ", ..." * (len(unread) > 3)
        detail += f" and {int(unread.sum())} of {len(column)} cells, {words}, as missing"
    return Column("date", "AM213" if is_ambiguous else "AM202", reading, values, detail)


def _unreadable(column: pd.Series, what: str) -> DataError:
    present = column.dropna()
    return DataError(
        "AM216",
        f"column {column.name!r} is to be read as {what}, and no cell can be ({str(present.iloc[0])[:40]!r}).",
        "Choose another type.",
    )


# -- the same columns in new rows ------------------------------------------------------------------------------------


def match_columns(
    frame: pd.DataFrame, columns: Sequence[Mapping[str, Any]], *, ignore: str = ""
) -> tuple[pd.DataFrame, tuple[DataIssue, ...]]:
    """Bring new rows into the form of the table that a model was fitted on.

    Parameters
    ----------
    frame : DataFrame
        As :func:`autometa.frames.as_frame` and ``check_names`` give it.
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
        return frame, ()
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
    return result if list(result.columns) == names else result.reindex(columns=names), tuple(issues)


def _is_as_fitted(frame: pd.DataFrame, columns: Sequence[Mapping[str, Any]], names: Sequence[str]) -> bool:
    """Whether all that is needed are numbers, and they are there in the same order."""
    return list(frame.columns) == list(names) and all(
        column["type"] == "ignored"
        or (column["type"] == "numeric" and not column.get("reading") and dtype.kind in "biuf")
        for column, dtype in zip(columns, frame.dtypes, strict=True)
    )


def _as_truth(column: pd.Series) -> pd.Series:
    """Read True and False as files spell them; other columns stay as they are."""
    if not pd.api.types.is_string_dtype(column.dtype):
        return column
    words = {value if isinstance(value, str) else "" for value in column.dropna().unique()[:4]}
    truth = {"True": True, "False": False, "TRUE": True, "FALSE": False, "true": True, "false": False}
    return column.map(truth).astype("object") if words and words <= truth.keys() else column


def _as_fitted(column: pd.Series, fitted: Mapping[str, Any], issues: list[DataIssue]) -> pd.Series:
    reading = tuple(fitted.get("reading", ()))
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
            return column
        reading = PLAIN
    elif fitted["type"] == "date" and not reading:
        if pd.api.types.is_datetime64_any_dtype(dtype) and not isinstance(dtype, pd.ArrowDtype):
            return column
        reading = DATES
    if isinstance(dtype, pd.PeriodDtype):
        column, reading = column.dt.start_time, DATES
    elif "start of period" in reading:
        reading = DATES
    if isinstance(dtype, (pd.CategoricalDtype, pd.ArrowDtype)) or pd.api.types.is_complex_dtype(dtype):
        column = column.astype("object")
    try:
        values = read_column(column, reading)
    except (TypeError, ValueError, OverflowError):
        values = read_column(column.map(_as_text, na_action="ignore").astype("object"), reading)
    unread = column[values.isna() & column.notna()]
    unread = unread[~unread.map(lambda value: is_word_for_missing(str(value)) or value in (np.inf, -np.inf))]
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
    return values


# -- leaks and fingerprints ------------------------------------------------------------------------------------------


def find_leaks(
    frame: pd.DataFrame, y: pd.Series, types: Mapping[str, ColumnType], *, is_regression: bool
) -> list[DataIssue]:
    """Report columns that give the target away: a copy, or a one-to-one renaming of the classes."""
    rows = slice(0, 5000)
    target = y.iloc[rows]
    leaks = [
        name
        for name, column_type in types.items()
        if (column_type == "numeric" or (column_type == "categorical" and not is_regression))
        and _gives_away(frame[name].iloc[rows], target, is_regression)
    ]
    if not leaks:
        return []
    return [
        DataIssue(
            "AM207",
            tuple(leaks),
            f"column {leaks[0]!r} predicts the target perfectly; this may be a leak.",
            "Drop it if it is not known when you predict.",
        )
    ]


def _gives_away(column: pd.Series, y: pd.Series, is_regression: bool) -> bool:
    if is_regression:
        return bool(np.array_equal(as_numbers(column), y.to_numpy()))
    n_classes = y.nunique()
    if column.nunique() != n_classes or column.isna().any():
        return False
    return len(set(zip(pd.factorize(column)[0], pd.factorize(y)[0], strict=True))) == n_classes


def as_numbers(column: pd.Series) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return a numeric column of a task as an array; spans of time in nanoseconds, NaN for what is missing."""
    if pd.api.types.is_timedelta64_dtype(column.dtype):
        spans = column.to_numpy(dtype="timedelta64[ns]")
        return np.where(np.isnat(spans), np.nan, spans.astype("int64").astype("float64"))
    return column.to_numpy(dtype="float64", na_value=np.nan)


def summarise(column: pd.Series) -> str:
    """Order-free summary of one column; labels count only through their frequencies."""
    n_missing = int(column.isna().sum())
    present = column.dropna()
    numeric = pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype)
    if pd.api.types.is_complex_dtype(column.dtype):
        numeric = False
    if numeric and present.nunique() > MAX_CLASSES_OF_INTEGERS:
        # One kind of zero: how -0.0 and 0.0 are sorted depends on the processor.
        values = np.sort(present.to_numpy(dtype="float64") + 0.0)
        probe = values[np.linspace(0, len(values) - 1, 9).astype(int)]
        return f"{n_missing}:" + ",".join(f"{value:.6g}" for value in probe)
    try:
        counts = present.value_counts().to_numpy()
    except (TypeError, NotImplementedError):
        counts = np.array([len(present)])
    return f"{n_missing}#" + ",".join(map(str, sorted(counts.tolist(), reverse=True)[:50]))


def fingerprint(kind: str, frame: pd.DataFrame, y: pd.Series) -> str:
    """Hash of the content that ignores the order of rows and columns, and all names and labels."""
    summaries = sorted(summarise(frame[column]) for column in frame.columns)
    parts = [kind, str(len(frame)), summarise(y), *summaries]
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:16]
