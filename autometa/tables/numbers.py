"""Numbers as people write them: which way of writing a column of text follows."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from autometa.tables.readings import Reading, read_texts

# What people write where a number is missing; spreadsheets write the last ones.
_WORDS: Final = """
    - -- --- \u2013 \u2014 . .. ... ? ?? n.a. n.a na n/a nan none null nil unknown missing tbd tba empty x void
    unavailable undefined nd n/d n.d. n.s. k.a. k/a n/v n.v. s/d s/n (blank) (empty) blank unbekannt inconnu
    desconocido sconosciuto desconhecido onbekend \u043d/\u0434 \u4e0d\u660e \u65e0 \u7121 \u306a\u3057 \\n
    #n/a #na #value! #div/0! #ref! #name? #num! #null! (null) (none) <na> nat
"""
_WORDS_FOR_MISSING: Final = frozenset(
    [
        *(*_WORDS.split(), "", "not available", "no data", "not applicable", "not known", "not reported"),
        *("keine angabe", "nicht bekannt", "sin datos", "no aplica", "non disponible", "geen gegevens"),
    ]
)
_BOUND: Final = re.compile(r"^\s*(?:[<>\u2264\u2265]=?)\s*[-+]?\d[\d.,]*\s*%?\s*$")
# What is longer is no number that people write.
_MAX_LENGTH: Final = 64

_CURRENCY: Final = (
    r"[A-Z]{0,3}[$€£¥₹₽₩₺₫₴₪฿₿₦₱₸₵]|USD|EUR|GBP|CHF|JPY|CNY|INR|CAD|AUD|NZD|SEK|NOK|DKK|PLN|CZK|HUF|BRL|ZAR|MXN|KRW"
    r"|TRY|RUB|HKD|SGD|THB|IDR|MYR|PHP|VND|TWD|ILS|AED|SAR|EGP|NGN|KES|PKR|ARS|CLP|COP|PEN|UAH|RON|BGN|ISK|BTC|ETH"
    r"|Rp\.?|RM|Ft|Kč|Rs\.?|Kr\.?|kr\.?|Fr\.?|zł"
)
_CELL: Final = re.compile(
    rf"""^\s*(?P<about>(?:(?i:[~\u2248]|ca?\.|circa|about|around|approx\.|approximately))?)\s*
    (?:(?P<outside>{_CURRENCY})\s*(?=\())?(?P<open>\(?)\s*[-+\u2212\u2013\u2014]?\s*(?P<before>{_CURRENCY})?\s*[-+]?
    (?P<digits>(?:\d[\d.,'\u2019\ \u00a0\u202f\u2009]*\d|\d)[.,]?|[.,]\d+)(?:[eE][-+]?\d{{1,3}})?
    (?P<after>\s*[^\s\d().,-][^\d()]{{0,19}}?|\s*/\s?\d{{1,3}}|\s+out\s+of\s+\d{{1,3}}(?:\s+[a-z]{{1,9}})?)?
    \s*(?P<close>\)?)\s*(?P<end>-?)\s*$""",
    re.VERBOSE,
)
_FEET: Final = re.compile("^\\s*\\d{1,3}\\s*(?:['\u2019\u2032]|ft\\.?|feet|foot)[\\s,-]*\\d{1,2}(?!\\d)")
_SPACES: Final = " \u00a0\u202f\u2009"
_BY_SPACES: Final = re.compile(rf"^\d{{1,3}}(?:[{_SPACES}]\d{{3}})+(?:[.,]\d*)?$")
_BY_APOSTROPHES: Final = re.compile(r"^\d{1,3}(?:['\u2019]\d{3})+(?:[.,]\d*)?$")
_GROUPED: Final = {
    mark: re.compile(rf"^\d{{1,3}}(?:[{mark}]\d{{2,3}})*[{mark}]\d{{3}}(?:[{other}]\d*)?$")
    for mark, other in ((",", "."), (".", ","))
}
# With and without a point at the end.
_MAGNITUDES: Final[dict[str, str]] = {
    **dict.fromkeys(("k", "tsd", "thousand"), "k to thousands"),
    **dict.fromkeys(("m", "mn", "mio", "mln", "mill", "million", "millions", "millionen"), "M to millions"),
    **dict.fromkeys(
        ("b", "bn", "mrd", "mld", "billion", "billions", "milliard", "milliards", "milliarden"),
        "B to billions",
    ),
    **dict.fromkeys(("t", "tn", "trillion", "trillions"), "T to trillions"),
    **dict.fromkeys(("lakh", "lakhs", "lac", "lacs"), "lakhs to numbers"),
    **dict.fromkeys(("\u4e07", "\u842c"), "myriads to numbers"),
    **dict.fromkeys(("\u5104", "\u4ebf"), "myriads of myriads to numbers"),
    **dict.fromkeys(("crore", "crores", "cr"), "crores to numbers"),
}
_MAGNITUDE_OF_CURRENCY: Final = re.compile(rf"(?P<magnitude>[^\W\d]+\.?)\s*(?P<currency>{_CURRENCY})")
# Units of one kind, as powers of ten of the first: where several stand in a column, all become that one.
_POWERS: Final[tuple[dict[str, int], ...]] = (
    {"g": 0, "mg": -3, "\u00b5g": -6, "kg": 3, "t": 6},
    {"m": 0, "nm": -9, "\u00b5m": -6, "mm": -3, "cm": -2, "dm": -1, "km": 3},
    {"l": 0, "L": 0, "ml": -3, "mL": -3, "cl": -2, "dl": -1, "hl": 2},
    {"B": 0, "kB": 3, "KB": 3, "MB": 6, "GB": 9, "TB": 12, "PB": 15},
    {"Hz": 0, "kHz": 3, "KHz": 3, "MHz": 6, "GHz": 9},
    {"W": 0, "mW": -3, "kW": 3, "KW": 3, "MW": 6, "GW": 9},
    {"Wh": 0, "kWh": 3, "MWh": 6, "GWh": 9},
    {"V": 0, "mV": -3, "kV": 3},
    {"A": 0, "mA": -3, "kA": 3},
    {"Pa": 0, "hPa": 2, "kPa": 3, "MPa": 6},
    {"s": 0, "ns": -9, "us": -6, "\u00b5s": -6, "ms": -3},
)
# Alone in its column, one of these may as well be a unit: metres, bytes, tonnes.
_UNITS_AS_WELL: Final = frozenset({"m", "b", "t", "T", "cr"})
_YEAR: Final = re.compile(r"(?:1[5-9]|2[01])\d\d")
_ORDINALS: Final = frozenset({"st", "nd", "rd", "th"})
_HEMISPHERE: Final = re.compile("\u00b0?\\s*[NSEW]")
# What is taken off or written otherwise before a cell looks like a number.
_HABITS: Final[Reading] = (
    "without invisible marks",
    "digits to ASCII",
    "feet and inches to feet",
    "without quotes",
    "without footnotes",
    "without number sign",
    "without interval behind",
    "without tolerance",
    "without dash for cents",
    "powers of ten to exponents",
)
_BOUNDS: Final = "without bounds"
_OF_RANGES: Final[Reading] = (
    "ranges to parts",
    "text to parts",
    "parts to numbers",
    "parts to their middle",
    "to numbers",
)
# What else a range has beside its ends says nothing of how they are written, but for a currency before the last.
_RANGE: Final = re.compile(
    rf"^\s*(?:{_CURRENCY})?\s*(?P<first>\d[\d.,'\u2019\u00a0\u202f]{{0,20}})\s*[^\W\d]{{0,12}}\s*"
    r"(?:[-\u2013\u2014]|to|bis|\.\.\.?)\s*(?P<last>[^\d\s.,+-]?\s?\d[^-\u2013\u2014]{0,40})$"
)
# Where more cells than this are ranges or bounds, they are names of groups.
_MAX_SHARE_OF_RANGES: Final = 0.5
# So many cells that are no numbers are looked at for these habits.
_MAX_ODD: Final = 300
_MAX_LEVELS: Final = 5000
# Of a number, only a zero in front says more than its other digits.
_ONE_DIGIT: Final = str.maketrans("23456789", "1" * 8)
_INNER_ZERO: Final = re.compile("(?<=[01])0")
# Which may be a year and a month.
_FRACTION: Final = re.compile(r"/\s?\d")
# More cells than this with a zero in front are codes, such as postal ones.
_MAX_SHARE_OF_ZEROS: Final = 0.01
_MAX_SHARE_OF_OTHERS: Final = 0.1


def is_word_for_missing(text: str) -> bool:
    """Whether a cell says that its value is missing."""
    return text.strip().casefold() in _WORDS_FOR_MISSING


def is_no_value(text: str) -> bool:
    """Whether a cell among numbers says that its value is missing, or only which side of a bound it lies on."""
    return is_word_for_missing(text) or (len(text) <= _MAX_LENGTH and _BOUND.match(text) is not None)


def number_reading(levels: Sequence[str], weights: Any, *, least: float = 0.7) -> Reading | None:
    """Return how numbers are written in a column of text; None where it holds none.

    Parameters
    ----------
    levels : sequence of str
        The different cells.
    weights : sequence of int
        How often each stands.
    least : float, default=0.7
        Share of the cells, words for missing apart, that must look like numbers. What they are read as is judged later.

    Returns
    -------
    tuple of str or None
        Names of :mod:`autometa.tables.functions`.
    """
    step = max(len(levels) // _MAX_LEVELS, 1)
    known = [
        (level, weight)
        for level, weight in _of_each_shape(levels[::step], weights[::step])
        if not is_word_for_missing(level)
    ]
    cells = [(_match_number(level), weight) for level, weight in known]
    most = _MAX_SHARE_OF_RANGES if least else 1.0
    opened: Reading = ()
    has_ranges = False
    n_plain = sum(weight for match, weight in cells if match is not None)
    if n_plain >= (1 - most) * least * sum(
        weight for _, weight in cells
    ):  # else there are too few to stand among
        known, opened, has_ranges = _without_ranges(known, cells, most)
        if opened or has_ranges:
            cells = [(_match_number(level), weight) for level, weight in known]
    habits = _habits([level for (level, _), (match, _) in zip(known, cells, strict=True) if match is None])
    if habits:
        changed = read_texts([level for level, _ in known], habits)
        cells = [(_match_number(level), weight) for level, (_, weight) in zip(changed, known, strict=True)]
    total = sum(weight for _, weight in cells)
    found = [(match, weight) for match, weight in cells if match is not None]
    n_found = sum(weight for _, weight in found)
    if not n_found or n_found < least * total:
        return None
    marks: Counter[str] = Counter()
    n_zeros = 0
    for match, weight in found:
        digits = match["digits"]
        if re.match(r"0\d", digits) and not re.search(r"[.,]", digits):
            n_zeros += weight
        for mark in _marks(digits):
            marks[mark] += weight
    if n_zeros > _MAX_SHARE_OF_ZEROS * n_found:
        return None
    signs = _signs(found)
    separators = _separators(marks, n_found)
    if separators is None:
        return None
    units = _units(found, n_found)
    if has_ranges and all(unit.startswith("without") for unit in units):
        return ("to text", *opened, *habits, *signs, *units, *separators, *_OF_RANGES)
    return (*opened, *habits, *signs, *units, *separators, "text to numbers", "to numbers")


def _of_each_shape(levels: Sequence[str], weights: Any) -> list[tuple[str, int]]:
    """Return one cell for all those that differ in digits alone: they are numbers alike, of one way of writing."""
    # One text takes a tenth of the time of its lines.
    text = _INNER_ZERO.sub("1", "\n".join(levels).translate(_ONE_DIGIT))
    shapes = text.split("\n")
    if len(shapes) != len(levels):
        shapes = list(levels)
    codes, _ = pd.factorize(np.array(shapes, dtype=object))
    first: list[int] = np.unique(codes, return_index=True)[1].tolist()
    totals = np.bincount(codes, weights=weights)
    is_number = np.array(
        [_match_number(levels[i]) is not None and not _FRACTION.search(levels[i]) for i in first], dtype=bool
    )
    numbers = [(levels[first[code]], int(totals[code])) for code in np.flatnonzero(is_number).tolist()]
    return numbers + [(levels[i], int(weights[i])) for i in np.flatnonzero(~is_number[codes]).tolist()]


def _without_ranges(
    known: list[tuple[str, int]], cells: Sequence[tuple[re.Match[str] | None, int]], most: float
) -> tuple[list[tuple[str, int]], Reading, bool]:
    """Put the number of a bound and the last one of a range in their places, where plain numbers stand beside them.

    Parameters
    ----------
    known : list of (str, int)
        The cells, and how often each stands.
    cells : sequence of (Match or None, int)
        Those that are numbers.
    most : float
        Of all numbers, so many may be ranges and bounds.

    Returns
    -------
    (list of (str, int), tuple of str, bool)
        The cells, the step that bounds need, and whether there are ranges.
    """
    odd = [i for i, (match, _) in enumerate(cells) if match is None and _has_digit(known[i][0][:_MAX_LENGTH])]
    if not odd:
        return known, (), False
    plain = read_texts([known[i][0] if len(known[i][0]) <= _MAX_LENGTH else "" for i in odd], (_BOUNDS,))
    changed = dict(zip(odd, plain, strict=True))
    bounds = {i: level for i, level in changed.items() if level != known[i][0] and _match_number(level)}
    ranges = {i: last for i, level in changed.items() if i not in bounds and (last := _end_of_range(level))}
    n_opened = sum(known[i][1] for i in (*bounds, *ranges))
    n_numbers = n_opened + sum(weight for match, weight in cells if match is not None)
    if not n_opened or n_opened > most * n_numbers:
        return known, (), False
    plain_levels = [(bounds.get(i, ranges.get(i, level)), weight) for i, (level, weight) in enumerate(known)]
    return plain_levels, ((_BOUNDS,) if bounds else ()), bool(ranges)


def _end_of_range(level: str) -> str | None:
    """Return the last number of a range, with its unit; None where the first one is not the smaller one."""
    found = _RANGE.match(level)
    if found is None or not _match_number(found["last"]):
        return None
    first, last = (_roughly(part) for part in (found["first"], found["last"]))
    return found["last"] if first < last else None


def _roughly(text: str) -> float:
    """Return about what a number is, whatever its marks."""
    digits = re.sub(r"[^\d.,]", "", re.split(r"(?<=\d)[^\d.,'\u2019\u00a0\u202f]", text)[0])
    plain = re.sub(r"[.,](?=\d{3}(?!\d))", "", digits).replace(",", ".").strip(".")
    return float(plain) if plain.count(".") < 2 and plain else math.nan


def is_range_or_bound(text: str) -> bool:
    """Whether a cell says between which numbers, or beyond which one, its own lies."""
    if len(text) > _MAX_LENGTH or _match_number(text):
        return False
    return _RANGE.match(text) is not None or read_texts([text], (_BOUNDS,)) != [text]


def _habits(odd: Sequence[str]) -> Reading:
    """Return the habits by which cells that look like no numbers are some after all."""
    needed: list[str] = []
    before = [level for level in odd[:_MAX_ODD] if len(level) <= _MAX_LENGTH and _has_digit(level)]
    for habit in _HABITS if before else ():
        after = read_texts(before, (habit,))
        if after != before:
            needed.append(habit)
            before = after
    return tuple(needed) if any(_match_number(level) for level in before) else ()


def _match_number(level: str) -> re.Match[str] | None:
    """Match a cell that is a number of plain digits.

    A unit of control characters is damage, and no reading is named after it; one that begins with a number, as a half
    does, is part of the number.
    """
    match = _CELL.match(level) if len(level) <= _MAX_LENGTH and not _FEET.match(level) else None
    if match is None or not (level.isascii() or _has_plain_digits(level)):
        return None
    unit = (match["after"] or "").strip()
    if unit[:1] == "/" and _YEAR.fullmatch(match["digits"]):
        return None  # 2008/9, a month or two years
    if re.match(r"\+\s*[^\W\d]|[*\u2020\u2021]{1,3}$", unit):
        return None  # 10+ years; a footnote
    if match["end"] and match["digits"][-1] in ".,":
        return None  # 5.- has no cents
    is_number = unit[:1] == "#" or (
        unit != "" and unit not in _MAGNITUDES and unicodedata.numeric(unit[0], None) is not None
    )
    return None if is_number or not unit.isprintable() else match


def _has_digit(level: str) -> bool:
    return any(map(str.isdecimal, level))


def _has_plain_digits(level: str) -> bool:
    return all(character.isascii() or not character.isdecimal() for character in level)


def _marks(digits: str) -> list[str]:
    """Say what the separators of a number tell: which groups the digits, which is the decimal point."""
    told = []
    for separators, pattern, name in (
        (_SPACES, _BY_SPACES, "by spaces"),
        ("'\u2019", _BY_APOSTROPHES, "by apostrophes"),
    ):
        if any(mark in digits for mark in separators):
            if not pattern.match(digits):
                return []
            told.append(name)
            digits = re.sub(f"[{separators}]", "", digits)
    present = [mark for mark in ",." if mark in digits]
    if len(present) == 2:
        last = max(present, key=digits.rfind)
        other = "," if last == "." else "."
        return [*told, f"decimal {last}", f"grouped {other}"] if _GROUPED[other].match(digits) else []
    for mark in present:
        if digits.count(mark) > 1:
            return [*told, f"grouped {mark}"] if _GROUPED[mark].match(digits) else []
        is_group = re.match(rf"^[1-9]\d{{0,2}}[{mark}]\d{{3}}$", digits) is not None
        told.append(f"either {mark}" if is_group and not told else f"decimal {mark}")
    return told


def _separators(marks: Counter[str], n_found: int) -> list[str] | None:
    """Return the steps that undo the separators; None where the cells contradict each other."""
    for_point = marks["decimal ."] + marks["grouped ,"]
    for_comma = marks["decimal ,"] + marks["grouped ."]
    if min(for_point, for_comma) > _MAX_SHARE_OF_OTHERS * n_found:
        return None
    steps = [f"without grouping {how}" for how in ("by spaces", "by apostrophes") if marks[how]]
    if for_comma > for_point:
        if marks["grouped ."] or marks["either ."]:
            steps.append("without grouping by points")
        return [*steps, "decimal comma to point"]
    if marks["grouped ,"] or marks["either ,"]:
        steps.append("without grouping by commas")
    return steps


def _signs(found: Sequence[tuple[re.Match[str], int]]) -> list[str]:
    steps = []
    # Spaces stand around a number that pandas does not skip.
    if any(match.string.strip() != match.string.strip(" \t\r\n") for match, _ in found):
        steps.append("without outer spaces")
    if any(match["about"] for match, _ in found):
        steps.append("about to plain")
    if any(match["open"] and match["close"] for match, _ in found):
        steps.append("brackets to minus")
    if any(mark in match.string for match, _ in found for mark in "\u2212\u2013\u2014"):
        steps.append("long minus to minus")
    if any(match["end"] for match, _ in found):
        steps.append("minus at the end to minus")
    return steps


def _units(found: Sequence[tuple[re.Match[str], int]], n_found: int) -> list[str]:
    """Return the steps that take off a currency and a unit, or write out k, M, B and percent."""
    steps = []
    before: Counter[str] = Counter()
    after: Counter[str] = Counter()
    for match, weight in found:
        before[match["before"] or match["outside"] or ""] += weight
        after[(match["after"] or "").strip()] += weight
    currencies = Counter({mark: n for mark, n in before.items() if mark})
    if currencies:
        steps.append(f"without currency: {currencies.most_common(1)[0][0]}")
    units = Counter({mark: n for mark, n in after.items() if mark})
    if not units:
        return steps
    if len(units) > 1 and len({unit.lstrip("\u00b0 ") for unit in units}) > 1 and _are_hemispheres(units):
        return [*steps, "south and west to minus"]
    if found_of := _currency_of_magnitudes(units):
        steps.append(f"without unit: {found_of}")
        units = Counter({unit: n for unit, n in _without_currency(units).items() if unit})
    if not units:
        return steps
    folded = {unit.casefold().removesuffix(".") for unit in units}
    if folded <= _MAGNITUDES.keys() and (len(folded) > 1 or not units.keys() <= _UNITS_AS_WELL):
        return [*steps, *dict.fromkeys(_MAGNITUDES[unit] for unit in sorted(folded))]
    powers = next((kind for kind in _POWERS if units.keys() <= kind.keys()), None)
    if powers is not None and len(units) > 1 and sum(units.values()) == n_found:
        return [*steps, *(f"unit to power: {unit} e{powers[unit]}" for unit in sorted(units))]
    unit, n = units.most_common(1)[0]
    if unit == "%" and n < n_found:
        return [*steps, "percent to hundredths"]
    same = [other for other in units if _are_spellings(unit, other)]
    return [*steps, *(f"without unit: {other}" for other in sorted(same, key=lambda u: (-len(u), u)))]


def _are_hemispheres(units: Counter[str]) -> bool:
    letters = {unit.lstrip("\u00b0 ") for unit in units}
    return all(_HEMISPHERE.fullmatch(unit) for unit in units) and (
        letters == {"N", "S"} or letters == {"E", "W"}
    )


def _currency_of_magnitudes(units: Counter[str]) -> str:
    """Return the currency behind thousands and millions, as in ``5 Mio. EUR``; empty where there is none."""
    found = [_MAGNITUDE_OF_CURRENCY.fullmatch(unit) for unit in units]
    known = {match["magnitude"].casefold().removesuffix(".") for match in found if match}
    currencies = {match["currency"] if match else unit for unit, match in zip(units, found, strict=True)}
    return currencies.pop() if known and known <= _MAGNITUDES.keys() and len(currencies) == 1 else ""


def _without_currency(units: Counter[str]) -> dict[str, int]:
    found = {unit: _MAGNITUDE_OF_CURRENCY.fullmatch(unit) for unit in units}
    return {match["magnitude"]: units[unit] for unit, match in found.items() if match}


def _are_spellings(unit: str, other: str) -> bool:
    """Whether two units are one: year and years, KG and kg, ft and ft., 1st and 2nd."""
    if unit == other or {unit, other} <= _ORDINALS:
        return True
    plain = [each.casefold().rstrip(".").removesuffix("s") for each in (unit, other)]
    are_known = any(unit in kind and other in kind for kind in _POWERS)
    return plain[0] == plain[1] and len(plain[0]) > 1 and not are_known
