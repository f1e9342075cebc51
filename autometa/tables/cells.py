"""What the cells of a column of text hold: numbers, dates and spans of time as people write them, free text or ids."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

import numpy as np
import pandas as pd

from autometa.tables._dates import (
    CLOCKS,
    DAYS_IN_NUMBERS,
    LAPS,
    PERIODS_TO_DATES,
    date_reading,
    is_clock,
    is_lap,
    number_dates,
    span_reading,
)
from autometa.tables.numbers import is_no_value, is_range_or_bound, is_word_for_missing, number_reading
from autometa.tables.readings import MAX_EXACT, Reading, judge_numbers, read_column

ColumnType = Literal["numeric", "categorical", "date", "text", "ignored"]

COLUMN_TYPES: Final = get_args(ColumnType)
# Whole numbers of more values are amounts, as digits, months and stars are not.
MAX_CLASSES_OF_INTEGERS: Final = 20
# Of the cells that hold something, so many may be no number in a column of numbers, or no date in one of dates.
MAX_SHARE_UNREAD: Final = 0.1
# One single word, such as "varies", may stand more often: it says that there is no number.
MAX_SHARE_OF_ONE_WORD: Final = 0.25
# Words that could not be read are remembered for new rows, these many of a column.
MAX_WORDS_KEPT: Final = 50
# An example for the user is the longest of the first cells.
N_EXAMPLES: Final = 10_000
# Values that are looked at to see whether they are made of parts.
N_PARTED: Final = 1000

_RUN: Final = re.compile(r"[^\W_]+")
_CODE: Final = re.compile(r"([^\W\d_]+)(\d+)|(\d+)([^\W\d_]+)")

PLAIN: Final[Reading] = ("text to numbers", "to numbers")
LEVELS: Final[Reading] = ("to text", "whole numbers without point")
DATES: Final[Reading] = ("to dates",)
PERIODS: Final[Reading] = ("to text", *PERIODS_TO_DATES, "to dates")
SPANS: Final[Reading] = ("to nanoseconds",)
TRUTH: Final[Reading] = ("to text", "truth to numbers", *PLAIN)
_PARTS: Final[Reading] = (
    "fractions to parts",
    "text to parts",
    "parts to numbers",
    "parts to their quotient",
)
FRACTIONS: Final[Reading] = ("to text", "truth to numbers", *_PARTS, "to numbers")


@dataclass(frozen=True)
class Column:
    """What a column is taken for.

    Attributes
    ----------
    type : {"numeric", "categorical", "date", "text", "ignored"}
    code : str, default=""
        Of the issue that it is reported under.
    reading : tuple of str, default=()
        See :mod:`autometa.tables.readings`.
    values : Series or None, default=None
        What was read, where that is to take the place of the raw cells.
    raw : Series or None, default=None
        The cells that are still to be read by `reading`, for `values`.
    detail : str, default=""
        Examples and counts for the report.
    is_mixed : bool, default=False
        Whether text stands beside other types.
    unread : tuple of str, default=()
        Words among numbers or dates that are missing values, as far as they are kept.
    """

    type: ColumnType
    code: str = ""
    reading: Reading = ()
    values: pd.Series | None = None
    detail: str = ""
    is_mixed: bool = False
    unread: tuple[str, ...] = ()
    raw: pd.Series | None = None


def look_at_text(column: pd.Series, counts: pd.Series, wanted: ColumnType | None) -> Column | None:
    """Decide about text: truth values, numbers, spans, dates, free text, ids; None for levels.

    Parameters
    ----------
    column : Series
    counts : Series
        How often each level stands, by level.
    wanted : {"numeric", "date"} or None
        The type asked for; None is the answer where no cell can be read so.
    """
    if wanted in (None, "numeric"):
        found = _numbers_in_text(column, counts, is_asked_for=wanted is not None)
        if found is not None or wanted is not None:
            return found
    found = _dates_in_text(column, counts, is_asked_for=wanted is not None)
    if found is not None or wanted is not None:
        return found
    sample = [str(level) for level in counts.index[:200]]
    words = float(np.mean([len(value.split()) for value in sample]))
    n_present = int(counts.sum())
    if len(counts) > 30 and len(counts) > 0.3 * n_present and words >= 3:
        return Column("text", "AM211")
    return judge_unique(column, ()) if is_id(len(counts), column) else None


def is_id(n_levels: int, column: pd.Series) -> bool:
    """Whether so many levels make the column look like an id."""
    return n_levels == len(column) and n_levels >= 20


def judge_unique(column: pd.Series, reading: Reading) -> Column:
    """Names and codes with parts are text, which carries something; other ids are ignored."""
    return Column("text", "AM211", reading) if has_parts(column) else Column("ignored", "AM206")


# -- numbers -------------------------------------------------------------------------------------------------------


def _numbers_in_text(column: pd.Series, counts: pd.Series, *, is_asked_for: bool) -> Column | None:
    levels = [str(level) for level in counts.index]
    weights = counts.to_numpy()
    if _are_truth(levels):
        # As pandas reads them in a file.
        return Column("numeric", "", TRUTH, read_column(column, TRUTH))
    reading, is_time = _reading_of(levels, weights, is_asked_for)
    if reading is None:
        return None
    if isinstance(column.dtype, pd.CategoricalDtype) or column.dtype == object:
        reading = ("to objects", *reading)
    values = read_column(column, reading)
    unread = _unread(column, values)
    if not values.notna().any():
        return None
    if not is_asked_for and not _are_few(unread, int(weights.sum()), str(column.name)):
        return None
    is_plain = tuple(name for name in reading if name != "to objects") == PLAIN
    is_text = not any(not isinstance(value, str) for value in column.dropna().head(1000))
    if not is_asked_for and is_plain and is_text and unread.empty:
        whole = bool((values.dropna() % 1 == 0).all())
        if whole and values.nunique() <= MAX_CLASSES_OF_INTEGERS:
            return None  # somebody made these text on purpose
        if values.nunique() > MAX_CLASSES_OF_INTEGERS and number_dates(values.dropna()) == DAYS_IN_NUMBERS:
            return None
        are_exact = whole and values.notna().all() and values.abs().max() < MAX_EXACT
        integers = values.astype("int64") if are_exact else values
        judged, code = judge_numbers(integers)
        if judged == "ignored":
            return Column(judged, code)
    if not is_asked_for and not is_time and len(counts) > 1 and values.min() == values.max():
        return None
    detail = _detail(column, values, unread, _shown_number, shows_example=not is_plain)
    if {"without bounds", "ranges to parts"} & set(reading):
        detail += _ranges(levels, weights)
    return Column("numeric", "AM212", reading, values, detail, unread=_kept(unread))


def _ranges(levels: Sequence[str], weights: Any) -> str:
    found = [(level, int(n)) for level, n in zip(levels, weights, strict=True) if is_range_or_bound(level)]
    if not found:
        return ""
    words = ", ".join(repr(level[:30]) for level, _ in found[:3]) + ", ..." * (len(found) > 3)
    return f" and {sum(n for _, n in found)} cell(s), {words}, as the middle of a range or as a bound"


def _are_truth(levels: Sequence[str]) -> bool:
    found: set[str] = set()
    for level in levels:
        found.add(level.strip().casefold())
        if not found <= {"true", "false"}:
            return False
    return len(found) == 2


def _reading_of(levels: Sequence[str], weights: Any, is_asked_for: bool) -> tuple[Reading | None, bool]:
    """Return how numbers or spans of time are written, and whether they are the latter."""
    if _share(levels, weights, is_clock) >= 1 - MAX_SHARE_UNREAD:
        return (LAPS if any(map(is_lap, levels)) else CLOCKS), True
    if spans := span_reading(levels, weights, least=1 - MAX_SHARE_UNREAD):
        return spans, True
    return number_reading(levels, weights, least=0.0 if is_asked_for else 0.7), False


def _share(levels: Sequence[str], weights: Any, test: Callable[[str], bool]) -> float:
    # What says nothing for or against: a dash, an empty cell.
    judged = [
        (test(level), weight)
        for level, weight in zip(levels[:500], weights[:500], strict=True)
        if not is_word_for_missing(level)
    ]
    total = sum(weight for _, weight in judged)
    return sum(weight for is_so, weight in judged if is_so) / total if total else 0.0


def _shown_number(value: Any) -> str:
    return str(value) if isinstance(value, pd.Timedelta) else f"{value:.15g}"


# -- dates ---------------------------------------------------------------------------------------------------------


def _dates_in_text(column: pd.Series, counts: pd.Series, *, is_asked_for: bool) -> Column | None:
    found = date_reading([str(level) for level in counts.index], counts.to_numpy(), force=is_asked_for)
    if found is None:
        return None
    reading, is_ambiguous = found
    if column.dtype == object or isinstance(column.dtype, pd.CategoricalDtype):
        # Dates among the objects stay such; as text, they would be written another way than the others.
        reading = ("to objects", *reading)
    values = read_column(column, reading)
    unread = _unread(column, values)
    if not values.notna().any() or not (
        is_asked_for or _are_few(unread, int(counts.sum()), str(column.name))
    ):
        return None
    detail = _detail(column, values, unread, operator.methodcaller("strftime", "%Y-%m-%d"))
    code = "AM213" if is_ambiguous else "AM202"
    return Column("date", code, reading, values, detail, unread=_kept(unread))


# -- what could not be read ----------------------------------------------------------------------------------------


def _unread(column: pd.Series, values: pd.Series) -> pd.Series:
    """Count the cells that hold something and were not read."""
    return column[values.isna() & column.notna()].map(str).value_counts()


def _kept(unread: pd.Series) -> tuple[str, ...]:
    words = [str(word) for word in unread.index if not is_no_value(str(word))]
    return tuple(words[:MAX_WORDS_KEPT])


def _are_few(unread: pd.Series, n_present: int, name: str) -> bool:
    """Whether what could not be read is little enough; words for missing, and the header again, do not count."""
    strange = [
        int(count)
        for word, count in unread.items()
        if not is_no_value(str(word)) and str(word).strip() != name.strip()
    ]
    known = n_present - (int(unread.sum()) - sum(strange))
    share = MAX_SHARE_OF_ONE_WORD if len(strange) == 1 else MAX_SHARE_UNREAD
    return sum(strange) <= share * known


def _detail(
    column: pd.Series,
    values: pd.Series,
    unread: pd.Series,
    show: Callable[[Any], str],
    *,
    shows_example: bool = True,
) -> str:
    parts = []
    first = np.flatnonzero(values.notna())[:N_EXAMPLES]
    if shows_example and len(first):
        raw = column.iloc[first]
        is_text = isinstance(raw.dtype, pd.StringDtype)
        lengths = raw.str.len() if is_text else raw.map(lambda value: len(str(value)))
        row = lengths.to_numpy().argmax()
        parts.append(f"{str(raw.iloc[row])[:40]!r} as {show(values.iloc[first[row]])}")
    if len(unread):
        words = ", ".join(repr(str(word)[:30]) for word in unread.index[:3]) + ", ..." * (len(unread) > 3)
        parts.append(f"{int(unread.sum())} of {len(column)} cells, {words}, as missing")
    return " and ".join(parts)


def has_parts(column: pd.Series) -> bool:
    """Whether what is unique in every row is made of parts that repeat, as AB-123-X, 17-2072, a name or an address.

    Such a column is text that carries something. Plain numbers, hashes, UUIDs and numbered labels do not.

    Parameters
    ----------
    column : Series
        The first ``N_PARTED`` known values are looked at.

    Returns
    -------
    bool
        Whether, at one of the first three places or at the last one, most values have a part, there are at least two
        different ones, and a part stands in two rows or more on average.
    """
    values = [_split(str(value)) for value in column.dropna().iloc[:N_PARTED]]
    for place in (0, 1, 2, -1):
        found = [parts[place] for parts in values if len(parts) > max(place, 1)]
        if len(found) > 0.8 * len(values) and 2 <= len(set(found)) <= 0.5 * len(found):
            return True
    return False


def _split(value: str) -> list[str]:
    """Return the parts of a value: runs of letters and digits, those of one letter group and one number in two."""
    parts: list[str] = []
    for run in _RUN.findall(value):
        code = _CODE.fullmatch(run)
        parts += [part for part in code.groups() if part] if code else [run]
    return parts
