"""Numbers as people write them: which way of writing a column of text follows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from autometa.readings import Reading

CLOCK: Final = re.compile(r"^\s*\d{1,3}:[0-5]\d(?::[0-5]\d(?:\.\d+)?)?\s*$")
# What people write where a number is missing; spreadsheets write the last ones.
_WORDS: Final = """
    - -- --- \u2013 \u2014 . .. ... ? ?? n.a. n.a na n/a nan none null nil unknown missing tbd tba empty x void
    unavailable #n/a #na #value! #div/0! #ref! #name? #num! #null! (null) (none) <na> nat
"""
_WORDS_FOR_MISSING: Final = frozenset(
    [*_WORDS.split(), "", "not available", "no data", "not applicable", "not known"]
)
# What is longer is no number that people write.
_MAX_LENGTH: Final = 64

_CURRENCY: Final = (
    r"[A-Z]{0,3}[$€£¥₹₽₩₺₫₴₪฿]|USD|EUR|GBP|CHF|JPY|CNY|INR|CAD|AUD|NZD|SEK|NOK|DKK|PLN|CZK|HUF|BRL|ZAR|MXN|KRW"
    r"|TRY|RUB|HKD|SGD|Rs\.?|Kr\.?|kr\.?|Fr\.?|zł"
)
_CELL: Final = re.compile(
    rf"""^\s*(?P<open>\(?)\s*[-+\u2212\u2013\u2014]?\s*(?P<before>{_CURRENCY})?\s*[-+]?
    (?P<digits>(?:\d[\d.,'\u2019\ \u00a0\u202f\u2009]*\d|\d)[.,]?|[.,]\d+)(?:[eE][-+]?\d{{1,3}})?
    (?P<after>\s*[^\s\d().,-][^\d()]{{0,19}}?)?\s*(?P<close>\)?)\s*(?P<end>-?)\s*$""",
    re.VERBOSE,
)
_SPACES: Final = " \u00a0\u202f\u2009"
_BY_SPACES: Final = re.compile(rf"^\d{{1,3}}(?:[{_SPACES}]\d{{3}})+(?:[.,]\d*)?$")
_BY_APOSTROPHES: Final = re.compile(r"^\d{1,3}(?:['\u2019]\d{3})+(?:[.,]\d*)?$")
_GROUPED: Final = {
    mark: re.compile(rf"^\d{{1,3}}(?:[{mark}]\d{{2,3}})*[{mark}]\d{{3}}(?:[{other}]\d*)?$")
    for mark, other in ((",", "."), (".", ","))
}
_MAGNITUDES: Final[dict[str, str]] = {
    "k": "k to thousands",
    **dict.fromkeys(("m", "mn", "mio", "mio.", "million"), "M to millions"),
    **dict.fromkeys(("b", "bn", "billion"), "B to billions"),
}
# Alone in its column, one of these may as well be a unit: metres, bytes.
_UNITS_AS_WELL: Final = frozenset({"m", "b"})
_MAX_LEVELS: Final = 5000
# More cells than this with a zero in front are codes, such as postal ones.
_MAX_SHARE_OF_ZEROS: Final = 0.01
_MAX_SHARE_OF_OTHERS: Final = 0.1


def is_word_for_missing(text: str) -> bool:
    """Whether a cell says that its value is missing."""
    return text.strip().casefold() in _WORDS_FOR_MISSING


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
        Names of :mod:`autometa.readings`.
    """
    step = max(len(levels) // _MAX_LEVELS, 1)
    cells = [
        (_CELL.match(level) if len(level) <= _MAX_LENGTH else None, int(weight))
        for level, weight in zip(levels[::step], weights[::step], strict=True)
        if not is_word_for_missing(level)
    ]
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
    signs = _signs(found, levels[::step])
    separators = _separators(marks, n_found)
    if separators is None:
        return None
    reading = [*signs, *_units(found, n_found), *separators, "text to numbers", "to numbers"]
    return tuple(reading)


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


def _signs(found: Sequence[tuple[re.Match[str], int]], levels: Sequence[str]) -> list[str]:
    steps = []
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
        before[match["before"] or ""] += weight
        after[(match["after"] or "").strip()] += weight
    currencies = Counter({mark: n for mark, n in before.items() if mark})
    if currencies:
        steps.append(f"without currency: {currencies.most_common(1)[0][0]}")
    units = Counter({mark: n for mark, n in after.items() if mark})
    if not units:
        return steps
    folded = {unit.casefold() for unit in units}
    if folded <= _MAGNITUDES.keys() and (len(folded) > 1 or not units.keys() <= _UNITS_AS_WELL):
        return [*steps, *dict.fromkeys(_MAGNITUDES[unit] for unit in sorted(folded))]
    unit, n = units.most_common(1)[0]
    if unit == "%" and n < n_found:
        return [*steps, "percent to hundredths"]
    return [*steps, f"without unit: {unit}"]
