"""Dates, times of day and spans of time as people write them: the one way of writing that a column of text follows."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from autometa.tables.numbers import is_word_for_missing
from autometa.tables.readings import Reading, read_column, read_texts

_MONTH: Final = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sep(?:tember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)"
)
_TIME: Final = (
    r"(?P<gap>T|,?\ {1,2}|:)(?P<hour>\d{1,2}):\d{2}(?P<second>:\d{2})?(?P<fraction>[.]\d{1,9})?"
    r"(?P<half>\ ?[ap]m)?(?P<zone>\ ?(?:Z|UTC|[+-]\d{2}:?\d{2}))?(?P<place>\ [a-z]+(?:/[a-z_-]+){1,2}(?:[+-]\d{1,2})?)?"
)
_DATE: Final = re.compile(
    rf"""^\s*(?:(?P<weekday>(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*)(?P<after_weekday>,?\ ))?
    (?:
      (?P<iso>\d{{4}}-\d{{2}}(?:-\d{{2}})?)
      |(?P<compact>\d{{8}}T\d{{4}}(?:\d{{2}})?Z?)
      |(?P<digits>(?:19|20)\d{{2}}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01]))
      |(?P<week>\d{{4}}-W\d{{2}}-[1-7])
      |\d{{4}}(?P<big>[-/.])\d{{1,2}}(?P=big)\d{{1,2}}
      |\d{{1,2}}(?P<small>[-/.])\d{{1,2}}(?P=small)(?P<small_year>\d{{4}}|\d{{2}})
      |\d{{1,2}}(?P<word1>[-/.\ ]?)(?P<month1>{_MONTH})(?P<word2>[-/.\ ]?|,\ )(?P<word_year>\d{{4}}|\d{{2}})
      |(?P<month2>{_MONTH})\ \d{{1,2}}(?P<comma>,?\ )\d{{4}}
      |(?P<month3>{_MONTH})(?P<only>[-/\ ])(?P<only_year>\d{{4}}|\d{{2}})
      |\d{{4}}(?P<ymd>[-/\ ])(?P<month4>{_MONTH})(?P=ymd)\d{{1,2}}
      |\d{{1,2}}(?P<my>[-/])\d{{4}}
      |(?P<first_year>(?:1[5-9]|2[01])\d{{2}})(?P<ym>[-/])(?P<month_or_year>\d{{1,2}})
    )(?:{_TIME})?\s*$""",
    re.VERBOSE | re.IGNORECASE,
)
# Habits that strptime does not know; each is made one that it does, where the column has it.
PERIODS_TO_DATES: Final[Reading] = ("first day of period", "quarter to month")
_HABITS: Final[Reading] = (
    "without invisible marks",
    "digits to ASCII",
    *PERIODS_TO_DATES,
    "half years and months to months",
    "dates of East Asia",
    "week to its day",
    "without words in dates",
    "ordinals to numbers",
    "months without point",
    "months to English",
    "time to colons",
    "zones in brackets",
    "year at the end to the date",
    "time zones to offsets",
)
_N_LOOKED_AT: Final = 300
_MIN_DATE_LIKE: Final = 0.9
# What is longer is no date that people write.
_MAX_LENGTH: Final = 64
_MAX_FORMATS: Final = 12
# Cells that are looked at for spans.
_N_SPANS: Final = 500

_CLOCK: Final = re.compile(
    r"^\s*(?:[-+]?\d{1,3}:[0-5]\d(?:(?::[0-5]\d)?\.\d+|:[0-5]\d)?"
    r"|\d{1,2}:[0-5]\d(?::[0-5]\d(?:\.\d+)?)?\s*(?:Z|[-+]\d{2}:?\d{2})"
    r"|(?P<half>(?:0?[1-9]|1[0-2])(?::[0-5]\d(?::[0-5]\d)?|[.][0-5]\d)?\s*[ap][.]?m[.]?))\s*$",
    re.IGNORECASE,
)
# Minutes and seconds: where one cell has a fraction of a second, all of its column are such.
_LAP: Final = re.compile(r"^\s*[-+]?\d{1,3}:[0-5]\d\.\d+\s*$")
_OF_CLOCKS: Final[Reading] = ("hours to clock", "half days to hours", "clock without offset")
CLOCKS: Final[Reading] = ("to text", *_OF_CLOCKS, "clock to span", "to spans", "to nanoseconds")
LAPS: Final[Reading] = ("to text", "laps to span", "to spans", "to nanoseconds")
# As pandas writes spans, as ISO 8601 does, and as people do with more than one unit.
_WRITTEN_SPAN: Final = re.compile(
    r"^\s*[-+]?(?:\d+\s*days?,?\s*(?:[-+]?\d{1,2}:\d{2}:\d{2}(?:\.\d+)?)?|\d{1,2}:\d{2}:\d{2}(?:\.\d+)?"
    r"|P(?=[\dT])(?:\d+D)?(?:T(?:\d+H)?(?:\d+M)?(?:\d+(?:\.\d+)?S)?)?"
    r"|\d{1,2}\s*[hH]\s*[0-5]?\d"
    r"|(?:\d+(?:\.\d+)?\s*(?:days?|d|hours?|hrs?|h|minutes?|mins?|m|seconds?|secs?|s)\s*,?){1,4})\s*$"
)
_UNITS_OF_TIME: Final = re.compile(r"(?<=\d)\s*([a-z]+)")
_MINUTES_AFTER_HOURS: Final = re.compile(r"(?<=\d)\s*[hH]\s*(\d{1,2})\s*$")
_LETTERS_OF_SPANS: Final[Reading] = (
    "ISO spans to letters",
    "minutes after hours",
    "days to words",
    "hours to letters",
    "minutes to letters",
    "seconds to letters",
)
DAYS_IN_NUMBERS: Final[Reading] = (
    "to text",
    "whole numbers without point",
    "days to ISO",
    "to ISO dates",
)
MOMENTS_IN_NUMBERS: Final[Reading] = (
    "to text",
    "whole numbers without point",
    "moments to ISO",
    "to ISO dates",
)
SECONDS: Final[Reading] = ("seconds to dates",)
THOUSANDTHS: Final[Reading] = ("thousandths of seconds to dates",)
MILLIONTHS: Final[Reading] = ("millionths of seconds to dates",)
BILLIONTHS: Final[Reading] = ("billionths of seconds to dates",)
# 2000-01-01 to 2035-01-01, in seconds since 1970.
_TIMES: Final = (946_684_800, 2_051_222_400)
# Fewer different numbers may be days by chance: a random number between the bounds is one in three times of a hundred.
_MIN_DAYS: Final = 8


def number_dates(values: pd.Series) -> Reading | None:
    """Return how numbers are dates: 20240131, 20240131140500, or times since 1970; None where they are none.

    Parameters
    ----------
    values : Series of numbers
        Without missing values.
    """
    least, most = float(values.min()), float(values.max())
    if least >= 19_000_101 and most <= 21_001_231:
        days = values.astype("int64")
        month, day = days // 100 % 100, days % 100
        if (days != values).any() or not (month.between(1, 12) & day.between(1, 31)).all():
            return None
        is_some = days.nunique() >= _MIN_DAYS and _parse(days, DAYS_IN_NUMBERS).notna().all()
        return DAYS_IN_NUMBERS if is_some else None
    for n_digits in (10_000, 1_000_000):  # hours and minutes, seconds
        if least / n_digits >= 19_000_101 and most / n_digits <= 21_001_232:
            is_some = values.nunique() >= _MIN_DAYS and (values % 1 == 0).all()
            are_all = is_some and _parse(values.astype("int64"), MOMENTS_IN_NUMBERS).notna().all()
            return MOMENTS_IN_NUMBERS if are_all else None
    found = None
    for unit, reading in ((1, SECONDS), (10**3, THOUSANDTHS), (10**6, MILLIONTHS), (10**9, BILLIONTHS)):
        if _TIMES[0] <= least / unit and most / unit < _TIMES[1]:
            found = reading
    return found if found and values.nunique() >= _MIN_DAYS else None


def date_reading(levels: Sequence[str], weights: Any, *, force: bool = False) -> tuple[Reading, bool] | None:
    """Return how dates are written in a column of text, and whether it is unclear which of day and month leads.

    Parameters
    ----------
    levels : sequence of str
        The different cells.
    weights : sequence of int
        How often each stands.
    force : bool, default=False
        Whether the column is known to hold dates.

    Returns
    -------
    (tuple of str, bool) or None
        Names of :mod:`autometa.tables.functions`.
    """
    known = [i for i, level in enumerate(levels) if not is_word_for_missing(level)]
    levels, weights = [levels[i] for i in known], np.asarray(weights)[known]
    step = max(len(levels) // _N_LOOKED_AT, 1)
    habits = _habits(levels[::step])
    if habits:
        levels = read_texts(levels, habits)
    found = _plain_reading(levels, weights, step, force=force)
    return None if found is None else ((*habits, *found[0]), found[1])


def _habits(levels: Sequence[str]) -> Reading:
    """Return the steps that some dates of a column need; none where nothing then is a date."""
    sample = [level for level in levels if len(level) <= _MAX_LENGTH]
    if not sample or all(_DATE.match(level) for level in sample):
        return ()
    if sum(any(map(str.isdecimal, level)) for level in sample) < _MIN_DATE_LIKE * len(sample):
        return ()  # all dates have digits
    needed: list[str] = []
    for habit in _HABITS:
        changed = read_texts(sample, (habit,))
        if changed != sample:
            needed.append(habit)
            sample = changed
    n_dates = sum(_DATE.match(level) is not None for level in sample)
    return tuple(needed) if n_dates >= _MIN_DATE_LIKE * len(sample) else ()


def _plain_reading(
    levels: Sequence[str], weights: Any, step: int, *, force: bool
) -> tuple[Reading, bool] | None:
    """Return how dates are written that need nothing but strptime or ISO 8601."""
    matches = [_DATE.match(level) if len(level) <= _MAX_LENGTH else None for level in levels[::step]]
    if _are_seasons(matches) or _are_days_of_months(matches):
        return None
    n_alike = sum(match is not None for match in matches)
    if not matches or (n_alike < _MIN_DATE_LIKE * len(matches) and not force):
        return None
    formats = list(dict.fromkeys(f for match in matches if match for f in _formats(match)))[:_MAX_FORMATS]
    column, total = pd.Series(list(levels), dtype="str"), float(sum(weights))
    covered = {}
    for written in formats:
        reading: Reading = ("to ISO dates",) if written == "ISO" else (f"to dates written: {written}",)
        covered[written] = float((_parse(column, reading).notna().to_numpy() * weights).sum()) / total
    if not covered:
        return (("to dates",), False) if force else None
    best = max(covered, key=lambda f: covered[f])
    swapped = best.replace("%d", "%_").replace("%m", "%d").replace("%_", "%m")
    is_unclear = "%d" in best and "%m" in best and covered.get(swapped, 0.0) == covered[best]
    if is_unclear:
        # Dots are written where the day leads.
        day_leads = best.index("%d") < best.index("%m")
        best = best if day_leads == ("." in best[:4]) else swapped
    if covered[best] >= _MIN_DATE_LIKE:
        return (("to ISO dates",) if best == "ISO" else (f"to dates written: {best}",)), is_unclear
    day_first = max((covered[f] for f in covered if f.startswith("%d")), default=0.0)
    month_first = max((covered[f] for f in covered if f.startswith("%m")), default=0.0)
    # pandas itself would swap day and month of 2024-01-05, too, if it was told that the day comes first.
    leads = ("day first to ISO", "to dates") if day_first > month_first else ("to dates",)
    # As many of both orders: neither reads all dates of a column of several ways of writing.
    return leads, day_first == month_first > 0


def _are_seasons(matches: Sequence[re.Match[str] | None]) -> bool:
    """Whether 2008/09 and 2009/10 are years that overlap rather than months."""
    found = [
        match for match in matches if match is not None and match["ym"] and len(match["month_or_year"]) == 2
    ]
    return bool(found) and all(
        (int(match["first_year"]) + 1) % 100 == int(match["month_or_year"]) for match in found
    )


def _are_days_of_months(matches: Sequence[re.Match[str] | None]) -> bool:
    """Whether ``January 10`` is a day of any year rather than a month of 2010: no number is too large for a day."""
    found = [match for match in matches if match is not None and match["month3"]]
    return bool(found) and all(
        match["only"] == " " and len(match["only_year"]) == 2 and 1 <= int(match["only_year"]) <= 31
        for match in found
    )


def _parse(column: pd.Series, reading: Reading) -> pd.Series:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return read_column(column, reading)


def _formats(match: re.Match[str]) -> list[str]:
    """Return the formats that a date may be written in."""
    time = ""
    if match["gap"]:
        time = match["gap"].replace("t", "T") + ("%I" if match["half"] else "%H") + ":%M"
        time += (":%S" if match["second"] else "") + (".%f" if match["fraction"] else "")
        time += (" " * match["half"].startswith(" ") + "%p") if match["half"] else ""
        time += (" " * match["zone"].startswith(" ") + "%z") if match["zone"] else ""
        time += " %Z" if match["place"] else ""
    if match["compact"]:
        return ["ISO"]
    is_plain = not (match["half"] or match["weekday"] or match["place"])
    if match["iso"] and is_plain and (match["gap"] in (None, "T", " ")):
        return ["ISO"]
    start = ""
    if match["weekday"]:
        start = ("%a" if len(match["weekday"]) == 3 else "%A") + match["after_weekday"]
    if match["iso"]:
        bases = ["%Y-%m-%d" if match["iso"].count("-") == 2 else "%Y-%m"]
    elif match["digits"]:
        bases = ["%Y%m%d"]
    elif match["week"]:
        bases = ["%G-W%V-%u"]
    elif mark := match["big"]:
        bases = [f"%Y{mark}%m{mark}%d"]
    elif mark := match["small"]:
        year = _year(match["small_year"])
        bases = [f"%d{mark}%m{mark}{year}", f"%m{mark}%d{mark}{year}"]
    elif match["month1"]:
        bases = [
            f"%d{match['word1']}{month}{match['word2']}{_year(match['word_year'])}"
            for month in _months(match["month1"])
        ]
    elif match["month2"]:
        bases = [f"{month} %d{match['comma']}%Y" for month in _months(match["month2"])]
    elif mark := match["ymd"]:
        bases = [f"%Y{mark}{month}{mark}%d" for month in _months(match["month4"])]
    elif match["month3"]:
        bases = [f"{month}{match['only']}{_year(match['only_year'])}" for month in _months(match["month3"])]
    elif mark := match["ym"]:
        bases = [f"%Y{mark}%m"]
    else:
        bases = [f"%m{match['my']}%Y"]
    return [start + base + time for base in bases]


def _year(digits: str) -> str:
    return "%Y" if len(digits) == 4 else "%y"


def _months(word: str) -> list[str]:
    return ["%b", "%B"] if word.lower() == "may" else ["%b" if len(word) == 3 else "%B"]


# -- times of day and spans ------------------------------------------------------------------------------------------


def is_clock(text: str) -> bool:
    """Whether a cell is a time of day, or a span of hours, minutes and seconds."""
    return len(text) <= _MAX_LENGTH and _CLOCK.match(text) is not None


def is_lap(text: str) -> bool:
    """Whether a cell is a time in minutes and seconds, told by the fraction of a second."""
    return len(text) <= _MAX_LENGTH and _LAP.match(text) is not None


def span_reading(levels: Sequence[str], weights: Any, *, least: float) -> Reading | None:
    """Return how spans of time are written in words or by ISO 8601; None where a column holds none.

    Parameters
    ----------
    levels : sequence of str
        The different cells.
    weights : sequence of int
        How often each stands.
    least : float
        Share of the cells, words for missing apart, that must be spans.

    Returns
    -------
    tuple of str or None
        Names of :mod:`autometa.tables.functions`. Numbers with one and the same unit are numbers.
    """
    cells = [
        (level, int(weight))
        for level, weight in zip(levels[:_N_SPANS], weights[:_N_SPANS], strict=True)
        if not is_word_for_missing(level)
    ]
    found = [(w, n) for w, n in cells if len(w) <= _MAX_LENGTH and _WRITTEN_SPAN.match(w)]
    if not found or sum(weight for _, weight in found) < least * sum(weight for _, weight in cells):
        return None
    spelt = {_MINUTES_AFTER_HOURS.sub(r"h \1m", level) for level, _ in found}
    kinds = {" ".join(unit[0] for unit in _UNITS_OF_TIME.findall(level)) for level in spelt}
    is_iso = all(level.lstrip(" -+").startswith("P") for level, _ in found)
    if (
        not is_iso
        and not any(":" in level for level, _ in found)
        and len(kinds) == 1
        and kinds <= set("dhms")
    ):
        return None
    return ("to text", *_LETTERS_OF_SPANS, "to spans", "to nanoseconds")
