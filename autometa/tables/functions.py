"""The closed list of functions that read cells, of pandas and NumPy alone: a scikit-learn pipeline can hold them.

Each has a name; some names end in a parameter, such as ``without unit: kg``. A model file holds the names. Every
function leaves alone what has been read before.
"""

from __future__ import annotations

import contextlib
import csv
import functools
import math
import operator
import re
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import pandas as pd

# Words that stand in dates: of months full names, in the forms that dates have, and usual abbreviations, in languages
# of Europe; of weekdays those of the west, none that is a month as well.
with Path(__file__).with_name("calendar.csv").open(encoding="utf-8", newline="") as _lines:
    _WORDS_OF: Final = {row["name"]: row["words"].split() for row in csv.DictReader(_lines)}
_BEHIND_TIME: Final = r"(?:(?<=[\d:])|(?<=[apAP][mM]))"
_MINUTES: Final = r"(:[0-5]\d(?::[0-5]\d)?)"
# The usual meaning of letters that stand for several zones; RFC 2822 has the American ones.
_ZONES: Final = {
    **dict.fromkeys(("GMT", "UTC", "UT", "WET"), "+0000"),
    **dict.fromkeys(("CET", "BST", "WEST"), "+0100"),
    **dict.fromkeys(("CEST", "EET", "SAST"), "+0200"),
    **dict.fromkeys(("EEST", "MSK"), "+0300"),
    **{"IST": "+0530", "SGT": "+0800", "HKT": "+0800", "JST": "+0900", "KST": "+0900", "AEST": "+1000"},
    **{"AEDT": "+1100", "NZST": "+1200", "NZDT": "+1300", "EST": "-0500", "EDT": "-0400", "CST": "-0600"},
    **{"CDT": "-0500", "MST": "-0700", "MDT": "-0600", "PST": "-0800", "PDT": "-0700"},
    **{"AKST": "-0900", "AKDT": "-0800", "HST": "-1000", "AST": "-0400", "ADT": "-0300", "NST": "-0330"},
    **{"BRT": "-0300", "ART": "-0300", "CLT": "-0400", "COT": "-0500", "WAT": "+0100", "CAT": "+0200"},
    **{"EAT": "+0300", "PKT": "+0500", "ICT": "+0700", "WIB": "+0700", "MYT": "+0800", "AWST": "+0800"},
    **{"ACST": "+0930", "ACDT": "+1030"},
}

# No number that people write is longer, and a longer cell could keep these patterns busy for hours.
_SHORT: Final = r"^(?=[^\n]{0,64}$)"

Function = tuple[Callable[..., Any], Mapping[str, Any]]

# Other numbers of four digits are codes.
_YEAR: Final = r"(?:1[5-9]|2[01])\d\d"
_SPACES: Final = " \u00a0\u202f\u2009"
# One end of a range, behind the steps that undo grouping and units.
_PART: Final = r"\d{1,15}(?:\.\d{0,15})?"
# Marks of direction, joiners and byte order, which nobody sees.
_INVISIBLE: Final = "\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\u00ad"


def _digits() -> dict[str, str]:
    """Return what stands for the ten digits and the marks of numbers in other scripts, and full-width ones."""
    by_value: dict[int, list[str]] = {}
    for code in range(0x80, 0x20000):
        if (value := unicodedata.decimal(chr(code), None)) is not None:
            by_value.setdefault(value, []).append(chr(code))
    found = {f"[{''.join(same)}]": str(value) for value, same in sorted(by_value.items())}
    marks = {
        "[\u066b\uff0e]": ".",
        "[\u066c\uff0c]": ",",
        "[\uff0d]": "-",
        "[\uff05\u066a]": "%",
        "[\uff0b]": "+",
    }
    return found | marks


_DIGITS: Final = _digits()
_NO_TIME: Final = int(np.iinfo("int64").min)
# Of float32's range (to 3e38), so that the sum of a hundred million such numbers is still in it.
LARGEST: Final = 1e30


def _feet() -> dict[str, str]:
    """Return what writes feet and inches as decimal feet: an inch, or a quarter of one, is so much of a foot."""
    foot, inch = r"(?:'|\u2019|\u2032|ft\.?|feet|foot)", r"(?:\"|\u201d|\u2033|''|in\.?|inch(?:es)?)?"
    parts = {
        0: r"(?:\.0*)?",
        1: r"(?:\.25|\s*\u00bc|\s1/4)",
        2: r"(?:\.50?|\s*\u00bd|\s1/2)",
        3: r"(?:\.75|\s*\u00be|\s3/4)",
    }
    patterns = {rf"^\s*(\d{{1,3}})\s*{foot}\s*$": r"\1"}
    for inches in range(12):
        for quarters, written in parts.items():
            part = f"{(4 * inches + quarters) / 48:.6f}".removeprefix("0")
            patterns[rf"^\s*(\d{{1,3}})\s*{foot}[\s,-]*0?{inches}{written}\s*{inch}\s*$"] = rf"\1{part}"
    return patterns


def _replace(pattern: str, value: Any) -> Function:
    return pd.DataFrame.replace, {"to_replace": pattern, "value": value, "regex": True}


def _replace_all(patterns: Mapping[str, str]) -> Function:
    return pd.DataFrame.replace, {"regex": dict(patterns)}


def _groups(separators: str) -> str:
    """Separators between digits that are followed by groups of three digits, or of two as in India."""
    return rf"(?<=\d)[{separators}](?=(?:\d{{2,3}}[{separators}]){{0,12}}\d{{3}}(?!\d))"


FUNCTIONS: Final[Mapping[str, Function]] = MappingProxyType(
    {
        "to objects": (pd.DataFrame.astype, {"dtype": "object"}),
        "to text": (pd.DataFrame.astype, {"dtype": "str"}),
        "to numbers": (pd.DataFrame.astype, {"dtype": "float64"}),
        "text to numbers": (pd.DataFrame.apply, {"func": pd.to_numeric, "errors": "coerce"}),
        # Numbers as people write them: each makes one habit into what to_numeric reads.
        "without invisible marks": _replace(f"[{_INVISIBLE}]", ""),
        "digits to ASCII": _replace_all(_DIGITS),
        "without quotes": _replace_all(
            {
                r"^\s*=?\s*\"([^\"\n]{1,64})\"\s*$": r"\1",
                r"^\s*'([^'\n]{1,64})'?\s*$": r"\1",
                r"^\s*[\u201c\u201e\u00ab]([^\n\u201c-\u201f\u00bb]{1,64})[\u201d\u201c\u00bb]\s*$": r"\1",
            }
        ),
        "without footnotes": _replace(r"(?<=[\d%])\s*(?:\[[\w ]{1,12}\]|[*\u2020\u2021]{1,3})\s*$", ""),
        # 5.- and 5,-- have no cents.
        "without dash for cents": _replace(r"(?<=\d)[.,][-\u2013\u2014]{1,2}(?=\s*[^\d\s]{0,4}\s*$)", ""),
        # The number comes first, as in 45.8 (44.1-47.5) or 12 (5 %).
        "without interval behind": _replace(
            r"(?<=[\d%])\s*(?:\(\s*\d[\d.]{0,20}\s*%\s*\)|[(\[]\s*-?\d[\d.]{0,20}%?\s*(?:[-\u2013,;]|to)\s*"
            r"-?\d[\d.]{0,20}%?\s*[)\]])\s*$",
            "",
        ),
        "without number sign": _replace(r"^\s*(?i:#|\u2116|n[or]\.|n\u00b0)\s*(?=\d)", ""),
        # A bound is itself, a range its middle.
        "without bounds": _replace_all(
            {
                r"^\s*(?:[<>\u2264\u2265]=?|(?i:under|over|below|above|up to"
                r"|(?:less|more|fewer) than|at (?:least|most)))\s*(?=[^\w\s]?\s?[\d.])": "",
                r"(?<=[\w%])\s*(?i:\+|(?:or|and) (?:more|less|fewer|over|above|under|below|up|older|younger))"
                r"\s*$": "",
                r"(?<=\d)\s*\+\s*(?=[^\W\d]{1,12}\.?\s*$)": " ",
            }
        ),
        "ranges to parts": _replace_all(
            {
                rf"^\s*({_PART})\s{{0,2}}[^\W\d]{{0,12}}\s{{0,2}}(?:[-\u2013\u2014]|to|bis|\.\.\.?)"
                rf"\s{{0,2}}[^\w\s.,+-]?\s?({_PART})\s*$": r"\1 \2",
                r"^\s*$": "nan",
            }
        ),
        "text to parts": (pd.DataFrame.map, {"func": operator.methodcaller("split"), "na_action": "ignore"}),
        "parts to numbers": (
            pd.DataFrame.map,
            {"func": functools.partial(pd.to_numeric, errors="coerce"), "na_action": "ignore"},
        ),
        "parts to their middle": (pd.DataFrame.map, {"func": np.mean, "na_action": "ignore"}),
        # A fraction is a number over another that is not nought.
        "fractions to parts": _replace_all(
            {r"^\s*(-?\d{1,300})\s*/\s*0{0,9}([1-9]\d{0,299})\s*$": r"\1 \2", r"^\s*$": "nan"}
        ),
        "parts to their quotient": (pd.DataFrame.map, {"func": np.true_divide.reduce, "na_action": "ignore"}),
        "feet and inches to feet": _replace_all(_feet()),
        "without tolerance": _replace(
            r"(?<=\d)\s*\(?\s{0,2}(?:\u00b1|\+/-)\s*\d[\d.,]{0,20}(?!\d)(?:\s{0,2}\))?", ""
        ),
        "powers of ten to exponents": _replace_all(
            {
                r"(?<=\d)\s*[\u00d7\u00b7*xX]\s*10\s*(?:\^|\*\*)\s*\(?([-+]?\d{1,3})\)?(?!\d)": r"e\1",
                r"(?<=[\d.])[dD]([-+]\d{2,3})\s*$": r"e\1",
            }
        ),
        "south and west to minus": _replace_all(
            {
                r"^\s*(\d[\d.,]{0,20})\s*(?:\u00b0\s*)?[SW]\s*$": r"-\1",
                r"^\s*(\d[\d.,]{0,20})\s*(?:\u00b0\s*)?[NE]\s*$": r"\1",
            }
        ),
        "without outer spaces": _replace(r"^\s+|(?<!\s)\s+$", ""),
        "about to plain": _replace(
            r"^\s*(?i:[~\u2248]|ca?\.|circa|about|around|approx\.|approximately)\s*(?=\D?[\d.,])", ""
        ),
        "brackets to minus": _replace(
            _SHORT + r"\s*([^()\d\s]{0,4}?)\s*\(\s*([^()]*\d[^()]*?)\s*\)\s*$", r"-\1\2"
        ),
        "long minus to minus": _replace(_SHORT + "([^\\d]*)[\u2212\u2013\u2014](?=[^\\d]*\\d)", r"\1-"),
        "minus at the end to minus": _replace(r"^\s*([^-]*\d)\s*-\s*$", r"-\1"),
        "without grouping by commas": _replace(_groups(","), ""),
        "without grouping by points": _replace(_groups("."), ""),
        "without grouping by spaces": _replace(_groups(_SPACES), ""),
        "without grouping by apostrophes": _replace(_groups("'\u2019"), ""),
        "decimal comma to point": _replace(",", "."),
        "percent to hundredths": _replace(r"(?<=[\d.])\s*%\s*$", "e-2"),
        "k to thousands": _replace(r"(?<=[\d.])\s*(?i:k|tsd|thousand)\.?\s*$", "e3"),
        "M to millions": _replace(r"(?<=[\d.])\s*(?i:mio|mln|mn|mill|millions?|millionen|m)\.?\s*$", "e6"),
        "B to billions": _replace(
            r"(?<=[\d.])\s*(?i:bn|mrd|mld|billions?|milliards?|milliarden|b)\.?\s*$", "e9"
        ),
        "T to trillions": _replace(r"(?<=[\d.])\s*(?i:tn|trillions?|t)\.?\s*$", "e12"),
        "lakhs to numbers": _replace(r"(?<=[\d.])\s*(?i:lakhs?|lacs?)\.?\s*$", "e5"),
        "myriads to numbers": _replace(r"(?<=[\d.])\s*[\u4e07\u842c]\s*$", "e4"),
        "myriads of myriads to numbers": _replace(r"(?<=[\d.])\s*[\u5104\u4ebf]\s*$", "e8"),
        "crores to numbers": _replace(r"(?<=[\d.])\s*(?i:crores?|cr)\.?\s*$", "e7"),
        "truth to numbers": _replace_all({r"^\s*(?i:true)\s*$": "1", r"^\s*(?i:false)\s*$": "0"}),
        # Text that Arrow cannot hold: bytes that are no UTF-8, and half characters.
        "each to text": (pd.DataFrame.map, {"func": str, "na_action": "ignore"}),
        "half characters to bytes": (
            pd.DataFrame.map,
            {"func": operator.methodcaller("encode", "utf-8", "backslashreplace"), "na_action": "ignore"},
        ),
        "bytes to text": (
            pd.DataFrame.map,
            {"func": operator.methodcaller("decode", "utf-8"), "na_action": "ignore"},
        ),
        # Levels: one and the same whether it comes as 1, 1.0, "1" or a category.
        "whole numbers without point": _replace(r"^(?:-(?=0+(?:\.0*)?$))?(-?\d+)(?:\.0*)?$", r"\1"),
        # Dates and spans of time.
        "to dates": (
            pd.DataFrame.apply,
            {"func": pd.to_datetime, "errors": "coerce", "format": "mixed", "utc": True},
        ),
        "days to ISO": _replace(r"^\s*(\d{4})(\d{2})(\d{2})\s*$", r"\1-\2-\3"),
        "moments to ISO": _replace_all(
            {
                r"^\s*(\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})\s*$": r"\1-\2-\3T\4:\5:\6",
                r"^\s*(\d{4})(\d{2})(\d{2})(\d{2})(\d{2})\s*$": r"\1-\2-\3T\4:\5",
            }
        ),
        "day first to ISO": _replace(r"^\s*(\d{1,2})([-/.])(\d{1,2})\2(\d{4})(?!\d)", r"\4-\3-\1"),
        "to ISO dates": (
            pd.DataFrame.apply,
            {"func": pd.to_datetime, "errors": "coerce", "format": "ISO8601", "utc": True},
        ),
        **{
            f"{part}seconds to dates": (
                pd.DataFrame.apply,
                {"func": pd.to_datetime, "errors": "coerce", "unit": unit, "utc": True},
            )
            for part, unit in {
                "": "s",
                "thousandths of ": "ms",
                "millionths of ": "us",
                "billionths of ": "ns",
            }.items()
        },
        # Dates as they are taken for periods already pass.
        "start of period": (pd.DataFrame.apply, {"func": operator.methodcaller("astype", "datetime64[s]")}),
        "half years and months to months": _replace_all(
            {
                rf"^\s*({_YEAR})[- ]?[hHsS]1\s*$|^\s*[hHsS]1[- ]?({_YEAR})\s*$": r"\1\2-01",
                rf"^\s*({_YEAR})[- ]?[hHsS]2\s*$|^\s*[hHsS]2[- ]?({_YEAR})\s*$": r"\1\2-07",
                rf"^\s*({_YEAR})[mM](0[1-9]|1[0-2])\s*$": r"\1-\2",
            }
        ),
        "first day of period": _replace(r"^\s*(\d{4}-\d{2}-\d{2})/\d{4}-\d{2}-\d{2}\s*$", r"\1"),
        "quarter to month": _replace_all(
            {
                pattern: rf"\1-{3 * quarter - 2:02d}"
                for quarter in (1, 2, 3, 4)
                for pattern in (
                    rf"^\s*(\d{{4}})[- ]?[qQ]{quarter}\s*$",
                    rf"^\s*[qQ]{quarter}[-/ ]?(\d{{4}})\s*$",
                    rf"^\s*{quarter}[qQ][-/ ]?(\d{{4}})\s*$",
                )
            }
            | {
                pattern: rf"{century}\1-{3 * quarter - 2:02d}"
                for quarter in (1, 2, 3, 4)
                for century, decade in (
                    ("20", "[0-6]"),
                    ("19", "[7-9]"),
                )  # as strptime reads years of two digits
                for pattern in (
                    rf"^\s*[qQ]{quarter}[-/ ]?'?({decade}\d)\s*$",
                    rf"^\s*{quarter}[qQ][-/ ]?'?({decade}\d)\s*$",
                )
            }
        ),
        "week to its day": _replace_all(
            {
                r"^\s*(\d{4})-?W([1-9])\s*$": r"\1-W0\2-1",
                r"^\s*(\d{4})-?W(\d{2})\s*$": r"\1-W\2-1",
                r"^\s*(\d{4})-?W(\d{2})-?([1-7])\s*$": r"\1-W\2-\3",
            }
        ),
        # Dates of habits that strptime does not know.
        "dates of East Asia": _replace_all(
            {
                r"(\d{4})\s*[\u5e74\ub144]\s*(\d{1,2})\s*[\u6708\uc6d4]\s*(\d{1,2})\s*[\u65e5\uc77c]": r"\1-\2-\3",
                r"(\d{4})\s*[\u5e74\ub144]\s*(\d{1,2})\s*[\u6708\uc6d4]": r"\1/\2",
                r"(?<!\d)\s?(\d{1,2})\s?[\u6642\u65f6\uc2dc]\s?(\d{1,2})\s?[\u5206\ubd84](?:\s?(\d{1,2})\s?[\u79d2\ucd08])?"
                r"\s*$": r" \1:\2:\g<3>",
            }
        ),
        "months to English": _replace_all(
            {
                rf"(?i)(?<![^\W\d_])(?:{'|'.join(sorted(words, key=len, reverse=True))})(?![^\W\d_])\.?": month
                for month, words in _WORDS_OF.items()
                if month != "weekday"
            }
        ),
        "without words in dates": _replace_all(
            {
                rf"(?i)^\s*(?:{'|'.join(_WORDS_OF['weekday'])})\.?,?\s+(?:den\s+|de\s+)?(?=\d)": "",
                r"(?i)(?<=[\d.])(?:st|nd|rd|th)?\s+(?:of|de|di|d[eo]l|d')\s+(?=[^\W\d_]{3})": " ",
                r"(?i)(?<=[^\W\d_])[.]?,?\s+(?:de|del|di|do|of|\u0433\u043e\u0434\u0430)\s+(?=\d{4})": " ",
                r"(?i)(?<=\d{4})\s*(?:r|\u0433|\u0440)\.?(?=,?\s|$)": "",
                r"(?i)(?<=\d),?\s+(?:at|um|om|kl\.?|\u00e0|a las|alle(?: ore)?|\u00e0s|\u0432)\s+(?=\d)": " ",
                r"(?i)(?<=:\d\d)\s*(?:uhr|h|hrs|uur)\.?\s*$": "",
            }
        ),
        "time to colons": _replace_all(
            {
                r"(?<=\d)\s(\d{1,2})[.](\d{2})[.](\d{2})(?=[.\s]|$)": r" \1:\2:\3",
                r"(?<=:\d{2}),(?=\d{1,9}(?:\D|$))": ".",
            }
        ),
        "zones in brackets": _replace_all(
            {
                rf"{_BEHIND_TIME}\s*(?:GMT|UTC)(?=[+-]\d{{2}}:?\d{{2}})": " ",
                r"(?<=[+-]\d{4})\s*\([^()\n]{2,60}\)\s*$": "",
                r"(?<=\d)\s*\(([A-Z]{2,5})\)\s*$": r" \1",
                rf"{_BEHIND_TIME}\s*(?:GMT|UTC)([+-])(\d)\s*$": r" \g<1>0\2:00",
                # As Java writes them: the offset says all, else the place does.
                r"(?:(?<=[+-]\d{2}:\d{2})|(?<=\dZ))\[[A-Za-z_/]{3,40}\]\s*$": "",
                r"(?<=[\d:])\s*\[([A-Z]\w+(?:/\w+){1,2})\]\s*$": r" \1",
            }
        ),
        "ordinals to numbers": _replace(r"(?<=\d)(?i:st|nd|rd|th|[.](?=\s+[^\W\d_]))", ""),
        "months without point": _replace(
            r"(?i)\b(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)(?:t(?=[.\s])[.]?|[.])", r"\1"
        ),
        "year at the end to the date": _replace(
            r"^\s*(?:[A-Za-z]{3},?\s+)?([A-Za-z]{3})\s+(\d{1,2})\s+(\d{1,2}:\d{2}:\d{2})"
            r"((?:\s+(?:[+-]\d{4}|[A-Z]{3,4}))?)\s+(\d{4})((?:\s+[+-]\d{4})?)\s*$",
            r"\1 \2 \5 \3\4\6",
        ),
        "time zones to offsets": _replace_all(
            {rf"{_BEHIND_TIME}\s*{zone}\s*$": f" {offset}" for zone, offset in _ZONES.items()}
        ),
        # Spans of time.
        "half days to hours": _replace_all(
            {
                rf"^\s*12{_MINUTES}\s*(?i:a[.]?m[.]?)\s*$": r"00\1",
                rf"^\s*(\d{{1,2}}{_MINUTES})\s*(?i:a[.]?m[.]?)\s*$": r"\1",
                rf"^\s*12{_MINUTES}\s*(?i:p[.]?m[.]?)\s*$": r"12\1",
                **{rf"^\s*0?{h}{_MINUTES}\s*(?i:p[.]?m[.]?)\s*$": rf"{h + 12}\1" for h in range(1, 12)},
            }
        ),
        "hours to clock": _replace_all(
            {
                r"^\s*(\d{1,2})[.](\d{2})\s*(?=(?i:[ap][.]?m[.]?)\s*$)": r"\1:\2 ",
                r"^\s*(\d{1,2})\s*(?=(?i:[ap][.]?m[.]?)\s*$)": r"\1:00 ",
            }
        ),
        "clock without offset": _replace(
            r"^\s*(\d{1,2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)\s*(?:Z|[-+]\d{2}:?\d{2})\s*$", r"\1"
        ),
        "laps to span": _replace(r"^\s*([-+]?)(\d{1,3}:\d{2}(?:\.\d{1,9})?)\s*$", r"\g<1>00:\2"),
        "minutes after hours": _replace(r"(?<=\d)\s*[hH]\s*(\d{1,2})\s*$", r"h \1m"),
        "clock to span": _replace(r"^\s*([-+]?\d{1,3}:\d{2})\s*$", r"\1:00"),
        # pandas reads two digits of each part of ISO 8601.
        "ISO spans to letters": _replace_all({r"^\s*([-+]?)P(?=[\dT])": r"\1", r"T(?=\d)": " "}),
        "days to words": _replace(r"(?<=\d)\s*(?i:days?|d)(?![a-z])", " days "),
        "hours to letters": _replace(r"(?<=\d)\s*(?i:hours?|hrs?|h)(?![a-z])", "h "),
        "minutes to letters": _replace(r"(?<=\d)\s*(?i:minutes?|mins?|m)(?![a-z])", "m "),
        "seconds to letters": _replace(r"(?<=\d)\s*(?i:seconds?|secs?|s)(?![a-z])", "s "),
        "to spans": (pd.DataFrame.apply, {"func": pd.to_timedelta, "errors": "coerce"}),
        "to nanoseconds": (pd.DataFrame.astype, {"dtype": "timedelta64[ns]"}),
        "times to numbers": (pd.DataFrame.apply, {"func": pd.to_numeric}),
        "no time to missing": (pd.DataFrame.replace, {"to_replace": _NO_TIME, "value": math.nan}),
        # Values that not every model takes. Both work on arrays, too.
        "infinite to missing": (np.nan_to_num, {"nan": math.nan, "posinf": math.nan, "neginf": math.nan}),
        "within float32": (np.clip, {"a_min": -LARGEST, "a_max": LARGEST}),
    }
)

_BEFORE: Final = (r"^(\s*[-+(]?\s*)(?i:", r")\s*(?=[-+]?[\d.,])")
_AFTER: Final = (r"(?<=[\d.])\s*(?i:", r")\s*$")
_MAX_PARAMETER: Final = 40
_DATE_FORMAT: Final = re.compile(r"(?:%[YymdbBHIMSfpzZaAGVu]|[-/., :TW])+")
_POWER: Final = re.compile(r"([^\W\d]{1,3}) e(-?\d{1,2})")


def _quoted(text: str, ends: tuple[str, str]) -> str:
    return ends[0] + re.escape(text) + ends[1]


def find_function(name: str) -> Function:
    """Return the function of a name and its options.

    Raises
    ------
    KeyError
        When the name is not in the closed list, or its parameter is not of the kind that it may be.
    """
    if name in FUNCTIONS:
        return FUNCTIONS[name]
    kind, _, parameter = name.partition(": ")
    if 0 < len(parameter) <= _MAX_PARAMETER and parameter.isprintable():
        if kind == "without currency":
            return _replace(_quoted(parameter, _BEFORE), r"\1")
        if kind == "without unit":
            return _replace(_quoted(parameter, _AFTER), "")
        if kind == "unit to power" and (power := _POWER.fullmatch(parameter)):
            return _replace(rf"(?<=[\d.])\s*{power[1]}\s*$", f"e{power[2]}")
        if kind == "to dates written" and _DATE_FORMAT.fullmatch(parameter):
            options = {"func": pd.to_datetime, "errors": "coerce", "format": parameter, "utc": True}
            return pd.DataFrame.apply, options
    raise KeyError(name)


def name_function(function: Any, options: Mapping[str, Any]) -> str | None:
    """Return the name of a function with these options; None for one that is not in the list."""
    wanted = looks(function, options)
    if wanted in _by_looks():
        return _by_looks()[wanted]
    guesses: list[str] = []
    pattern = options.get("to_replace")
    if isinstance(pattern, str):
        for kind, (start, end) in (("without currency", _BEFORE), ("without unit", _AFTER)):
            if pattern.startswith(start) and pattern.endswith(end):
                escaped = pattern.removeprefix(start).removesuffix(end)
                guesses.append(f"{kind}: " + re.sub(r"\\(.)", r"\1", escaped))
        guesses.append(_name_power(pattern, str(options.get("value"))))
    if isinstance(options.get("format"), str):
        guesses.append(f"to dates written: {options['format']}")
    for name in guesses:
        with contextlib.suppress(KeyError):
            if looks(*find_function(name)) == wanted:
                return name
    return None


def looks(function: Any, options: Mapping[str, Any]) -> str:
    """Return what tells a function with its options: partial functions and attrgetters are equal when they look so."""
    return repr((function, dict(options)))


@functools.cache
def _by_looks() -> dict[str, str]:
    return {looks(*found): name for name, found in reversed(list(FUNCTIONS.items()))}


def _name_power(pattern: str, value: str) -> str:
    unit = pattern.removeprefix(r"(?<=[\d.])\s*").removesuffix(r"\s*$")
    return f"unit to power: {unit} {value}"
