"""Columns: what their cells are read as, what is said about it, and the same columns in new rows."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, strategies as st
from refusals import refused

from autometa.errors import AutometaError, DataError, UsageError
from autometa.tables.cells import COLUMN_TYPES
from autometa.tables.columns import infer_columns, look_at
from autometa.tables.matching import match_columns
from autometa.tables.readings import read_column
from autometa.task import Task

N = 60
ROWS = range(N)
BINARY = pd.Series([0, 1] * (N // 2))


def look(values, wanted=None):
    series = values if isinstance(values, pd.Series) else pd.Series(list(values))
    return look_at(series.rename("c"), wanted)


def assert_read_once(found):
    """What has been read stays as it is: a pipeline gets the table of a task as well as the user's own."""
    again = read_column(found.values, found.reading)
    assert (again.isna() == found.values.isna()).all()
    assert (again.dropna() == found.values.dropna()).all()


# --- numbers as people write them -----------------------------------------------------------------------------

HABITS = {
    "thousands": (lambda x: f"{x:,.2f}", 0),
    "thousands and decimal comma": (lambda x: f"{x:,.2f}".translate(str.maketrans(",.", ".,")), 0),
    "spaces": (lambda x: f"{x:,.2f}".replace(",", "\u202f").replace(".", ","), 0),
    "apostrophes": (lambda x: f"{x:,.2f}".replace(",", "'"), 0),
    "currency before": (lambda x: f"${x:,.2f}", 0),
    "currency code": (lambda x: f"EUR {x:.2f}", 0),
    "currency after": (lambda x: f"{x:.2f} \u20ac".replace(".", ","), 0),
    "percent": (lambda x: f"{x:.2f}%", 0),
    "unit": (lambda x: f"{x:.2f} kg", 0),
    "unit without space": (lambda x: f"{x:.2f}km/h", 0),
    "brackets": (lambda x: f"({x:,.2f})", 1),
    "minus at the end": (lambda x: f"{x:.2f}-", 1),
    "long minus": (lambda x: f"\u2212{x:.2f}", 1),
    "spaces around": (lambda x: f"  {x:.2f} ", 0),
    "exponent": (lambda x: f"{x:.6e}", 0),
    "exponent and comma": (lambda x: f"{x:.6e}".replace(".", ","), 0),
    "about": (lambda x: f"~{x:.2f}", 0),
    "spaces that do not break": (lambda x: f"\u00a0{x:.2f}\u00a0", 0),
    "currency in brackets": (lambda x: f"(${x:,.2f})", 1),
    "currency after, in brackets": (lambda x: f"({x:.2f} EUR)", 1),
    "minus before currency": (lambda x: f"-${x:,.2f}", 1),
    "francs": (lambda x: f"CHF {x:,.2f}".replace(",", "'"), 0),
    "percent and comma": (lambda x: f"{x:.2f} %".replace(".", ","), 0),
    "square metres": (lambda x: f"{x:.2f} m\u00b2", 0),
    "degrees": (lambda x: f"{x:.2f}\u00b0C", 0),
    "unit of two words": (lambda x: f"{x:,.2f} sq ft", 0),
    "currency around brackets": (lambda x: f"$({x:,.2f})", 1),
    "about in words": (lambda x: f"ca. {x:.2f}", 0),
    "tolerance": (lambda x: f"{x:.2f} \u00b1 0.5", 0),
    "footnote": (lambda x: f"{x:,.2f}[12]", 0),
    "number sign": (lambda x: f"#{x:.2f}", 0),
    "quotes of a spreadsheet": (lambda x: f'="{x:.2f}"', 0),
    "apostrophe of a spreadsheet": (lambda x: f"'{x:.2f}", 0),
    "powers of ten": (lambda x: f"{x / 1e3:.8f} \u00d7 10^3", 0),
    "double precision": (lambda x: f"{x / 1e3:.8f}D+03", 0),
    "marks that nobody sees": (lambda x: f"\ufeff{x:.2f}\u200b", 0),
    "full-width digits": (lambda x: "".join(chr(0xFEE0 + ord(c)) for c in f"{x:.2f}"), 0),
    "Arabic digits": (
        lambda x: f"{x:.2f}".translate({**{48 + d: 0x660 + d for d in range(10)}, 46: 0x66B}),
        0,
    ),
    "of a constant whole": (lambda x: f"{x:.2f}/10", 0),
    "stars": (lambda x: f"{x:.2f} out of 5 stars", 0),
    "thousands in words": (lambda x: f"{x / 1e3:.8f} Tsd. \u20ac", 0),
    "thousand millions": (lambda x: f"{x / 1e9:.14f} Mrd. EUR".replace(".", ",", 1), 0),
}


@pytest.mark.parametrize("habit", HABITS)
@given(st.lists(st.integers(100_000, 99_999_999), min_size=30, max_size=40, unique=True))
def test_numbers_are_read_whatever_the_habit(habit, cents):
    write, is_negative = HABITS[habit]
    numbers = np.array(cents) / 100
    found = look([write(x) for x in numbers])
    assert (found.type, found.code) == ("numeric", "AM212")
    np.testing.assert_allclose(found.values, -numbers if is_negative else numbers, rtol=1e-6)
    assert_read_once(found)


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["1.5M", "2k", "3B", "700"], [1.5e6, 2e3, 3e9, 700]),
        (["1.5M", "2.5M", "20M", "3M"], [1.5e6, 2.5e6, 2e7, 3e6]),
        (["1.5 m", "2.5 m", "20 m", "3 m"], [1.5, 2.5, 20, 3]),
        (["5%", "0.1", "12.5%", "3"], [0.05, 0.1, 0.125, 3]),
        (["1,00,000", "23,45,678", "5,00,000", "9"], [1e5, 2345678, 5e5, 9]),
        (["1,5", "1,234", "12,75", "3"], [1.5, 1.234, 12.75, 3]),
        (["1.5", "1,234", "12,750.5", "3"], [1.5, 1234, 12750.5, 3]),
        (["1 kg", "250 g", "3 kg", "10 mg"], [1000, 250, 3000, 0.01]),
        (["2 GB", "512 MB", "1 TB", "4 GB"], [2e9, 5.12e8, 1e12, 4e9]),
        (["$1.5 million", "$2 billion", "$1 million", "$7 billion"], [1.5e6, 2e9, 1e6, 7e9]),
        (["$1.5 trillion", "$2 million", "$9 billion", "$3 million"], [1.5e12, 2e6, 9e9, 3e6]),
        (["\u20b95 Lakh", "\u20b92.5 Crore", "\u20b91 Lakh", "\u20b99 lakhs"], [5e5, 2.5e7, 1e5, 9e5]),
        (["1 year", "2 years", "30 years", "1 yearS"], [1, 2, 30, 1]),
        (["5 KG", "7 kg", "8 kgs", "9 Kg."], [5, 7, 8, 9]),
        (["1st", "2nd", "23rd", "34th"], [1, 2, 23, 34]),
        (["57.05\u00b0N", "10.5\u00b0S", "0.25\u00b0N", "3\u00b0S"], [57.05, -10.5, 0.25, -3]),
        (["4.5W", "4E", "120.25W", "7E"], [-4.5, 4, -120.25, 7]),
        (["<5", "6", "7.5", "8", "9", "10", "11", "12"], [5, 6, 7.5, 8]),
        (["10-20", "100+", "under 5", "7", "8.5", "9", "10", "11"], [15, 100, 5, 7]),
        (["1,000 \u2013 2,000", "2 to 3", "5 or more", "1,200", "8", "9", "1", "3"], [1500, 2.5, 5, 1200]),
        (["$10-$20", "over $90", "$7", "$1", "$2", "$3"], [15, 90, 7, 1]),
        (["1-2 years", "10+ years", "< 1 year", "3 years", "4 years", "7 years", "8 years"], [1.5, 10, 1, 3]),
        (["10,5-20,5", "1,5", "2,5", "3,5"], [15.5, 1.5, 2.5, 3.5]),
        (["CHF 3'185.-", "CHF 253.-", "CHF 1.50"], [3185, 253, 1.5]),
        (["5,- \u20ac", "7,- \u20ac", "12,50 \u20ac"], [5, 7, 12.5]),
        (["318.5\u4e07", "2\u5104", "7\u4e07"], [3.185e6, 2e8, 7e4]),
        (["\u201c5\u201d", "\u00ab7\u00bb", "\u201e9.5\u201c"], [5, 7, 9.5]),
        (["4.5 (\u00b10.5)", "7 (3-9)", "8 [6.5, 9]", "9 (12%)"], [4.5, 7, 8, 9]),
        (["0.1*", "0.05**", "0.001***", "0.7"], [0.1, 0.05, 0.001, 0.7]),
        (["Rp 12.500,50", "Rp 1.000,00", "Rp 7,25"], [12500.5, 1000, 7.25]),
        (["\u20bf0.0458", "\u20bf0.2", "\u20bf1.5"], [0.0458, 0.2, 1.5]),
        (["5'11\"", "6' 0\"", "5 ft 6 in", "6'"], [5 + 11 / 12, 6, 5.5, 6]),
        (["5\u20193\u201d", "5'10.5\"", "5'-9", "4'11\u00bd\""], [5.25, 5.875, 5.75, 4 + 11.5 / 12]),
        (["\u20b91,50,000", "\u20b92,00,000", "\u20b912,00,000", "\u20b950,000"], [15e4, 2e5, 12e5, 5e4]),
    ],
)
def test_the_whole_column_decides_what_a_cell_means(cells, values):
    found = look(cells * 10)
    assert found.type == "numeric"
    np.testing.assert_allclose(found.values[: len(values)], values, rtol=1e-6)
    assert_read_once(found)


def test_ranges_and_bounds_are_told():
    found = look(["10-20" if i == 7 else "<5" if i == 8 else str(i * 3) for i in ROWS])
    assert "2 cell(s), '10-20', '<5', as the middle of a range or as a bound" in found.detail


BANDS = ["18-24", "25-34", "35-44", "65+"] * 15


def test_bands_are_levels_unless_numbers_are_asked_for():
    assert look(BANDS).type == "categorical"
    assert look(BANDS, "numeric").values[:4].tolist() == [21, 29.5, 39.5, 65]
    assert look(["<=50K", ">50K"] * 30).type == "categorical"


@pytest.mark.parametrize("cell", ["3-1", "1-2M", "12345-6789-1", "1e-5-x"])
def test_what_is_no_range_is_missing_among_numbers(cell):
    found = look([cell if i == 7 else f"{i * 3}{'M' if 'M' in cell else ''}" for i in ROWS])
    assert found.type == "numeric"
    assert found.values.isna().tolist() == [i == 7 for i in ROWS]


@pytest.mark.parametrize("word", ["-", "n.a.", "unknown", "#DIV/0!", "see note"])
def test_one_word_among_numbers_is_missing_and_told(word):
    found = look([word if i == 7 else str(i * 3) for i in ROWS])
    assert (found.type, found.code) == ("numeric", "AM212")
    assert found.values.isna().tolist() == [i == 7 for i in ROWS]
    assert repr(word) in found.detail
    assert "1 of 60" in found.detail


NOT_NUMBERS = {
    "two units": [f"{i} kg" if i % 2 else f"{i} lb" for i in ROWS],
    "zeros in front": [f"0{1000 + i}" for i in ROWS],
    "codes with a letter": [f"{4711 + i * 3}M{i % 12 + 1:02d}" for i in ROWS],
    "codes with a stroke": [f"{3000 + i * 7}/{i % 9 + 1}" for i in ROWS],
    "halves": [f"{i}\u00bd" for i in ROWS],
    "squares": [f"{i}\u00b2" for i in ROWS],
    "fractions": [f"{i % 4 + 1}/{i % 7 + 2}" for i in ROWS],
    "seasons": [f"{2000 + i % 11}/{i % 11 + 1:02d}" for i in ROWS],
    "ranges": [">50K" if i % 3 else "<=50K" for i in ROWS],
    "lists": [f"{i},{i + 1},{i + 2}" for i in ROWS],
    "versions": [f"1.{i % 5}.{i}" for i in ROWS],
    "phones": [f"555-01{i:02d}" for i in ROWS],
    "codes": [f"A{i}" for i in ROWS],
    "few whole ones, as text": [str(i % 4) for i in ROWS],
    "words": ["red", "green"] * 30,
    "a third are words": [str(i * 7) if i % 3 else "many" for i in ROWS],
}


@pytest.mark.parametrize("name", NOT_NUMBERS)
def test_what_only_looks_like_numbers_is_none(name):
    assert look(NOT_NUMBERS[name]).type in ("categorical", "text", "ignored")


def test_objects_that_are_numbers_are_numeric():
    for values in (
        [float(i) if i % 9 else None for i in ROWS],
        [Decimal(i) / 4 for i in ROWS],
        [Fraction(i, 3) if i else None for i in ROWS],
        [True, False, None] * 20,
        [i if i % 2 else str(i * 3) for i in ROWS],
        [10**400 if i == 3 else i * i for i in ROWS],
    ):
        found = look(pd.Series(values, dtype=object))
        assert found.type == "numeric"
        assert found.values.dtype == "float64"


def test_times_of_day_and_spans_are_numeric():
    clocks = [f"{i % 24:02d}:{i % 60:02d}" for i in ROWS]
    spans = pd.Series(pd.to_timedelta(np.arange(N) ** 2, unit="s"))
    for values in (
        clocks,
        pd.Series([dt.time(i % 24, 3) for i in ROWS], dtype=object),
        spans,
        spans.astype(pd.ArrowDtype(pa.duration("us"))),
    ):
        assert look(values).type == "numeric"
    assert look(clocks).values[1] == pd.Timedelta(hours=1, minutes=1)


SECONDS = [i * 61 + 3600 * (i % 5) for i in ROWS]
SPANS = {
    "pandas": [str(pd.Timedelta(seconds=s)) for s in SECONDS],
    "python": [str(dt.timedelta(seconds=s)) for s in SECONDS],
    "ISO 8601": [pd.Timedelta(seconds=s).isoformat() for s in SECONDS],
    "words": [f"{s // 3600} hours {s // 60 % 60} mins {s % 60} sec" for s in SECONDS],
    "letters": [f"{s // 3600}h {s // 60 % 60}m {s % 60}s" for s in SECONDS],
    "clock": [f"{s // 3600}:{s // 60 % 60:02d}:{s % 60:02d}" for s in SECONDS],
    "half days with points": [
        f"{dt.datetime(2024, 1, 1) + dt.timedelta(seconds=s):%I.%M %p}" for s in SECONDS
    ],
    "hours and minutes in French": [f"{s // 3600}h{s // 60 % 60:02d}" for s in SECONDS],
    "laps": [f"{s // 60}:{s % 60:02d}.0" for s in SECONDS],
    "times with zones": pd.Series(
        [dt.time(s // 3600, s // 60 % 60, s % 60, tzinfo=dt.UTC) for s in SECONDS], dtype=object
    ),
    "half days": [f"{dt.datetime(2024, 1, 1) + dt.timedelta(seconds=s):%I:%M:%S %p}" for s in SECONDS],
    "objects": pd.Series([dt.timedelta(seconds=s) for s in SECONDS], dtype=object),
    "categories": pd.Series(pd.to_timedelta(SECONDS, unit="s")).astype("category"),
}


WHOLE_MINUTES = ("half days with points", "hours and minutes in French")


@pytest.mark.parametrize("name", SPANS)
def test_spans_of_time_are_read_whatever_the_habit(name):
    found = look(SPANS[name])
    assert found.type == "numeric"
    assert_read_once(found)
    exact = [value.total_seconds() for value in found.values]
    assert exact == [s - s % 60 * (name in WHOLE_MINUTES) for s in SECONDS]


@pytest.mark.parametrize(
    "write",
    [
        lambda s: f"PT{s // 60}M{s % 60}S",
        lambda s: f"-PT{s}.5S",
        lambda s: str(dt.timedelta(seconds=300 * s - 99_999)),
    ],
    ids=["minutes beyond 99", "seconds alone", "around a day"],
)
def test_spans_of_any_length_are_read(write):
    found = look([write(s) for s in SECONDS])
    assert found.type == "numeric"
    assert_read_once(found)
    assert found.values.notna().all()


def test_full_hours_of_half_days_are_times():
    assert look(["9am", "1 pm", "12 AM", "12pm"] * 15).values.dt.total_seconds().tolist()[:4] == [
        9 * 3600, 13 * 3600, 0, 12 * 3600
    ]  # fmt: skip


def test_a_count_of_years_is_no_id():
    assert look(pd.Series(range(1950, 1950 + N))).type == "numeric"
    assert look(pd.Series(range(1, N + 1))).code == "AM206"


def test_truth_in_text_is_what_a_file_of_it_gives():
    for words in (["TRUE", "FALSE"], ["true", "false"], [True, "False"]):
        assert look(pd.Series(words * 30, dtype=object)).values.tolist() == [1.0, 0.0] * 30
    assert look(["yes", "no"] * 30).type == "categorical"


@pytest.mark.parametrize(
    "values",
    [
        [b"\xff", b"a"] * 30,
        ["a\ud800", "b"] * 30,
        [None, "\udfff", "c"] * 20,
    ],
)
def test_what_cannot_be_text_as_it_is_has_levels_of_its_own(values):
    found = look(pd.Series(values, dtype=object))
    assert found.type == "categorical"
    assert found.values.nunique() == 2


def test_whole_numbers_beyond_the_exact_ones_are_told():
    assert look(pd.Series([2**53 + i for i in range(0, 3 * N, 3)][:N])).code in ("", "AM217")
    assert look(pd.Series([2**53, 2**53 + 1, 5] * 20)).code == "AM217"
    huge = pd.Series([10**30 + i % 3 for i in ROWS], dtype=object)
    assert look(huge).type == "categorical"  # as floats, they would be one and the same
    assert look(huge).values is None or look(huge).values.nunique() == 3


# --- dates ------------------------------------------------------------------------------------------------------

DAYS = pd.Series(pd.date_range("2022-01-01", periods=N, freq="3D"))
FORMATS = (
    "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%Y-%m-%d", "%Y/%m/%d", "%d-%b-%Y", "%d %B %Y",
    "%b %d, %Y", "%d.%m.%y", "%m/%d/%y", "%Y-%b-%d", "%Y %b %d", "%d. %b %Y", "%b. %d, %Y",
    "%a %b %d %H:%M:%S %Y", "%G-W%V-%u", "%GW%V%u", "%Y%m%dT%H%M%S", "%a, %d %b %Y %H:%M:%S GMT",
    "%d/%b/%Y:%H:%M:%S +0000", "%Y.%m.%d", "%m/%d/%Y %I:%M %p", "%Y-%m-%dT%H:%M:%S", "%d.%m.%Y %H:%M",
    "%a, %d %b %Y", "%d%b%Y", "%d%b%Y:%H:%M:%S", "%d-%b-%y %I.%M.%S.000000 %p", "%Y-%m-%d %H:%M:%S,123",
    "%b %d, %Y at %I:%M %p", "%a %b %d %Y %H:%M:%S GMT+0000 (Coordinated Universal Time)", "%Y%m%d",
    "%d.%m.%Y, %H:%M Uhr", "%Y\u5e74%m\u6708%d\u65e5", "%Y\ub144 %m\uc6d4 %d\uc77c", "%Y-%m-%d %H:%M (UTC)",
)  # fmt: skip


@pytest.mark.parametrize("written", FORMATS)
def test_a_column_of_dates_is_read_one_way(written):
    text = DAYS.dt.strftime(written)
    for column in (text, text.astype("object"), text.astype("category")):
        found = look(column, "date" if column.dtype == "category" else None)
        assert found.type == "date"
        assert (found.values.dt.tz_localize(None).dt.normalize() == DAYS).all()
        assert_read_once(found)


# The second, the fifth and the tenth month, as dates of these languages have them.
OF_LANGUAGES = {
    "German": ("{0}. {1} {2}", "Februar", "Mai", "Oktober"),
    "German, short": ("Mo., {0}. {1} {2}", "Feb.", "Mai", "Okt."),
    "French": ("{0} {1} {2}", "f\u00e9vrier", "mai", "octobre"),
    "French, short": ("{0} {1} {2}", "f\u00e9vr.", "mai", "oct."),
    "Spanish": ("{0} de {1} de {2}", "febrero", "mayo", "octubre"),
    "Spanish, short": ("{0}-{1}-{2}", "feb", "may", "oct"),
    "Italian": ("{0} {1} {2}", "febbraio", "maggio", "ottobre"),
    "Portuguese": ("{0} de {1} de {2}", "fevereiro", "maio", "outubro"),
    "Dutch": ("{0} {1} {2}", "februari", "mei", "oktober"),
    "Swedish": ("{0} {1} {2}", "februari", "maj", "oktober"),
    "Polish": ("{0} {1} {2}", "lutego", "maja", "pa\u017adziernika"),
    "Czech": ("{0}. {1} {2}", "\u00fanora", "kv\u011btna", "\u0159\u00edjna"),
    "Russian": ("{0} {1} {2} г.", "февраля", "мая", "октября"),  # noqa: RUF001
    "Turkish": ("{0} {1} {2}", "\u015eubat", "May\u0131s", "Ekim"),
}  # fmt: skip


@pytest.mark.parametrize("written", ["%Y-%m-%d %H:%M", "%d.%m.%Y %H:%M:%S", "%m/%d/%Y %I:%M %p"])
@pytest.mark.parametrize(
    ("zone", "hours"),
    [
        ("EST", 5),
        ("CET", -1),
        ("AKST", 9),
        ("Asia/Kolkata", -5.5),
        ("Europe/Berlin", -1),
        ("US/Pacific", 8),
        ("GMT+2", -2),
        ("UTC-05:00", 5),
    ],
)
def test_the_name_of_a_zone_brings_dates_to_utc(written, zone, hours):
    winter = pd.Series(pd.date_range("2024-01-02 08:00", periods=N, freq="11h"))
    found = look(winter.dt.strftime(f"{written} {zone}"))
    assert found.type == "date"
    away = found.values.dt.tz_localize(None) - winter
    assert (away == pd.Timedelta(hours=hours)).all()
    assert_read_once(found)


@pytest.mark.parametrize("written", ["%Y%m%d%H%M%S", "%Y%m%d%H%M"])
def test_whole_numbers_of_days_and_times_are_dates(written):
    moments = pd.Series(pd.date_range("2019-12-30 23:58", periods=N, freq="31h")).dt.floor("min")
    found = look(moments.dt.strftime(written).astype("int64"))
    assert found.type == "date"
    assert (found.values.dt.tz_localize(None) == moments).all()
    assert_read_once(found)
    no_day = [20241301000000 + i for i in ROWS]
    assert look(no_day).type != "date"


@pytest.mark.parametrize(
    ("unit", "kind"), [(10**3, "date"), (10**6, "date"), (10**9, "date"), (1, "numeric")]
)
def test_times_since_1970_of_any_unit_are_dates_or_told(unit, kind):
    found = look([(1_600_000_000 + 86_399 * i) * unit for i in ROWS])
    assert found.type == kind
    assert found.code == ("AM218" if unit == 1 else "AM202")
    if unit > 1:
        assert found.values.dt.strftime("%Y-%m-%d")[0] == "2020-09-13"
        assert_read_once(found)


def test_a_month_and_a_day_are_no_month_of_2010():
    days = pd.Series(pd.date_range("2023-01-01", periods=N, freq="5D"))
    assert look(days.dt.strftime("%B %d")).type != "date"
    assert look(days.dt.strftime("%b %y")).type != "date"  # nothing tells 23 from a day
    years = pd.Series(pd.date_range("1999-01-01", periods=N, freq="91D"))
    assert look(years.dt.strftime("%b %y")).type == "date"


def test_days_of_months_are_dates():
    assert look([f"{i % 28 + 1}th of January {2000 + i}" for i in ROWS]).values.dt.day[4] == 5


def test_summer_time_of_a_place_is_known():
    found = look([f"2024-{1 + 6 * (i % 2):02d}-{i % 28 + 1:02d} 12:00 Europe/Berlin" for i in ROWS])
    assert found.values.dt.hour.tolist() == [11 - i % 2 for i in ROWS]
    java = look([f"2024-07-{i % 28 + 1:02d}T12:00:00+02:00[Europe/Berlin]" for i in ROWS])
    assert set(java.values.dt.hour) == {10}


@pytest.mark.parametrize("language", OF_LANGUAGES)
def test_months_have_names_in_many_languages(language):
    written, *names = OF_LANGUAGES[language]
    found = look([written.format(i % 28 + 1, names[i % 3], 2000 + i) for i in ROWS])
    assert found.type == "date"
    assert found.values.dt.month.tolist() == [(2, 5, 10)[i % 3] for i in ROWS]
    assert found.values.dt.day.tolist() == [i % 28 + 1 for i in ROWS]


@pytest.mark.parametrize(
    ("written", "month"),
    [
        ("{0}H2", 7),
        ("H2 {0}", 7),
        ("{0}M11", 11),
        ("Q4-{0}", 10),
        ("4Q{0}", 10),
        ("{0}/5", 5),
        ("Sept 3, {0}", 9),
    ],
)
def test_parts_of_years_are_dates(written, month):
    found = look([written.format(1990 + i % 30) for i in ROWS])
    assert found.type == "date"
    assert (found.values.dt.month == month).all()
    assert found.values.dt.year.tolist() == [1990 + i % 30 for i in ROWS]


def test_quarters_of_two_digits_have_the_century_of_strptime():
    found = look([f"Q{i % 4 + 1}'{(95 + i) % 100:02d}" for i in range(40)])
    assert found.values.dt.year.tolist() == [1995 + i for i in range(40)]


@pytest.mark.parametrize("written", ["%dth %B %Y", "%B %dst, %Y", "%d %B %Y"])
def test_ordinals_are_days(written):
    assert (look(DAYS.dt.strftime(written)).values.dt.tz_localize(None) == DAYS).all()


@pytest.mark.parametrize(
    ("zone", "hours"),
    [("UTC", 0), ("GMT", 0), ("CET", 1), ("EST", -5), ("PDT", -7), ("JST", 9), ("+02:00", 2)],
)
def test_zones_are_taken_off(zone, hours):
    found = look(DAYS.dt.strftime(f"%Y-%m-%d %H:%M:%S {zone}"))
    assert (found.values.dt.tz_localize(None) == DAYS - pd.Timedelta(hours=hours)).all()


@pytest.mark.parametrize("written", ["{0}Q{1}", "{0}-Q{1}", "Q{1} {0}", "{0} q{1}"])
def test_quarters_are_dates(written):
    quarters = pd.period_range("2010Q1", periods=N, freq="Q")
    found = look([written.format(q.year, q.quarter) for q in quarters])
    assert found.type == "date"
    assert (found.values.dt.tz_localize(None) == quarters.start_time).all()


@pytest.mark.parametrize("freq", ["Y", "Q", "M", "W", "D", "h"])
def test_periods_are_the_same_dates_in_every_form(freq):
    periods = pd.Series(pd.period_range("2020", periods=N, freq=freq))
    task = Task.from_frame(pd.DataFrame({"p": periods, "x": np.sin(ROWS)}), BINARY)
    forms = [periods, periods.astype("object"), periods.dt.start_time]
    forms += [] if freq == "Y" else [periods.astype("str"), periods.astype("category")]
    for form in forms:
        read, issues = match_columns(pd.DataFrame({"p": form, "x": np.sin(ROWS)}), task.schema())
        assert not issues
        starts = read_column(read["p"], task.readings["p"]).dt.tz_localize(None)
        assert (starts == periods.dt.start_time).all()


def test_day_and_month_that_nothing_tells_apart_are_told():
    text = [f"{i % 12 + 1:02d}{'{}'}{(i + 1) % 12 + 1:02d}{'{}'}2024" for i in ROWS]
    slashes, dots = (look([t.format(mark, mark) for t in text]) for mark in "/.")
    assert slashes.code == dots.code == "AM213"
    assert slashes.values.dt.month.tolist() == [i % 12 + 1 for i in ROWS]
    assert dots.values.dt.day.tolist() == [i % 12 + 1 for i in ROWS]


def test_two_ways_of_writing_do_not_swap_each_other():
    written = [f"{d:%Y-%m-%d}" if i % 2 else f"{d:%d.%m.%Y}" for i, d in enumerate(DAYS)]
    assert (look(written).values.dt.tz_localize(None) == DAYS).all()


def test_dates_may_be_missing_by_a_word():
    found = look(["n.a." if i % 9 == 0 else f"{d:%d.%m.%Y}" for i, d in enumerate(DAYS)])
    assert found.type == "date"
    assert found.values.isna().sum() == 7


@pytest.mark.parametrize("freq", ["Y", "Q", "M", "W", "D", "h"])
def test_periods_are_dates(freq):
    assert look(pd.Series(pd.period_range("2020", periods=N, freq=freq))).type == "date"


def test_numbers_that_can_only_be_dates_are_dates():
    compact = pd.Series([20240101 + i % 28 for i in ROWS])
    for values in (compact, compact.astype("float64").mask(compact % 7 == 0), compact.astype("Int64")):
        found = look(values)
        assert (found.type, found.code) == ("date", "AM202")
        assert_read_once(found)
        assert found.values.isna().sum() == values.isna().sum()
        assert (found.values.dropna().dt.day == values.dropna() % 100).all()
    assert look(pd.Series([1_700_000_000_000 + i * 10**8 for i in ROWS])).values.dt.year.min() == 2023
    # Some are no days, or there are few of them.
    for values in ([20240101 + i for i in ROWS], [20240101, 20240102] * 30, [20241301 + i % 9 for i in ROWS]):
        assert look(pd.Series(values)[::-1].reset_index(drop=True)).type in ("numeric", "ignored")


def test_seconds_are_dates_only_when_asked():
    seconds = pd.Series([1.7e9 + i * 1e5 for i in ROWS])
    assert (look(seconds).type, look(seconds).code) == ("numeric", "AM218")
    for values in (seconds, seconds * 1000, pd.Series([20240101 + i % 28 for i in ROWS])):
        found = look(values, "date")
        assert found.values.dt.year.isin([2023, 2024]).all()
        assert_read_once(found)


# --- levels and the rest ----------------------------------------------------------------------------------------


def test_a_level_is_the_same_however_it_comes():
    forms = [
        pd.Series([1, 2, 3] * 20, dtype="category"),
        pd.Series([1.0, 2.0, 3.0] * 20, dtype="category"),
        pd.Series(["1", "2", "3"] * 20),
        pd.Series(["1", "2", "3"] * 20, dtype="category"),
        pd.Series(["1.0", "2.0", "3.0"] * 20, dtype="category"),
    ]
    read = [read_column(form, look(form).reading).tolist() for form in forms]
    assert all(values == ["1", "2", "3"] * 20 for values in read)


def test_one_zero():
    values = pd.Series([-0.0, 0.0, 1.0] * 20, dtype=object).astype("category")
    assert set(read_column(values, look(values).reading)) == {"0", "1"}


@pytest.mark.parametrize(
    "values",
    [
        [[1]] * N,
        [{1} for _ in ROWS],
        [{"a": i} for i in ROWS],
        [np.zeros(2) for _ in ROWS],
        [1j * i for i in ROWS],
        [1j if i else 1.5 for i in ROWS],
    ],
)
def test_what_cannot_be_used_is_left_out_and_told(values):
    found = look(pd.Series(values, dtype=object))
    assert (found.type, found.code) == ("ignored", "AM210")


@pytest.mark.parametrize("kind", [pa.list_(pa.int64()), pa.struct([("a", pa.int64())])])
def test_nested_arrow_types_are_left_out(kind):
    value = [1] if pa.types.is_list(kind) else {"a": 1}
    assert look(pd.Series([value] * N, dtype=pd.ArrowDtype(kind))).code == "AM210"


def test_types_can_be_asked_for():
    frame = pd.DataFrame(
        {"n": np.arange(N) % 4, "t": [f"{i} kg" for i in ROWS], "x": np.linspace(0, 1, N) ** 2}
    )
    wanted = {"n": "categorical", "t": "categorical", "x": "ignored"}
    assert Task.from_frame(frame, BINARY, column_types=wanted).column_types == wanted
    with refused(UsageError, "AM535", match=r"'number'"):
        Task.from_frame(frame, BINARY, column_types={"n": "number"})
    with refused(UsageError, "AM535", match=r"'m'"):
        Task.from_frame(frame, BINARY, column_types={"m": "numeric"})
    with refused(DataError, "AM216"):
        infer_columns(frame.assign(t=["red", "blue"] * 30), [], {"t": "numeric"})


# --- new rows for a fitted model --------------------------------------------------------------------------------

FITTED = [
    {"name": "age", "type": "numeric", "dtype": "int64"},
    {"name": "zip", "type": "categorical", "dtype": "str"},
    {"name": "id", "type": "ignored", "dtype": "int64"},
]


def test_columns_are_taken_by_name_and_in_order():
    frame = pd.DataFrame({"y": [1], "new": [0], "zip": ["z"], "id": [7], "age": [30]})
    frame, issues = match_columns(frame, FITTED, ignore="y")
    assert list(frame.columns) == ["age", "zip", "id"]
    assert [issue.code for issue in issues] == ["AM408"]
    assert "'new'" in str(issues[0])
    assert "'y'" not in str(issues[0])


def test_missing_columns_are_listed_with_the_closest():
    with pytest.raises(DataError) as caught:
        match_columns(pd.DataFrame({"Age": [1], "city": ["x"]}), FITTED)
    assert caught.value.code == "AM401"
    assert "'age', 'zip'" in str(caught.value)
    assert "'Age' for 'age'?" in str(caught.value)


def test_columns_that_the_model_ignores_may_be_missing():
    frame, _issues = match_columns(pd.DataFrame({"age": [1], "zip": ["x"]}), FITTED)
    assert frame["id"].isna().all()


def test_text_among_numbers_is_shown():
    with refused(DataError, "AM407", match=r"column 'age'.*'old' in row 1"):
        match_columns(pd.DataFrame({"age": ["1", "old"], "zip": ["x", "y"]}), FITTED)


def test_numbers_among_categories_are_text_again():
    frame = match_columns(
        pd.DataFrame({"age": ["1", None], "zip": [12, None]}, dtype=object).infer_objects(), FITTED
    )[0]
    assert frame["age"].tolist()[0] == 1
    assert frame["zip"].isna().tolist() == [False, True]
    assert isinstance(frame["zip"][0], str)


def test_a_word_or_two_among_numbers_is_missing_and_told():
    frame = pd.DataFrame({"age": [str(i) for i in range(38)] + ["old", "n.a."], "zip": "x"})
    read, issues = match_columns(frame, FITTED)
    assert read["age"].isna().sum() == 2
    assert [(issue.code, issue.columns) for issue in issues] == [("AM410", ("age",))]
    assert "'old' in row 38" in str(issues[0])


@pytest.mark.parametrize(
    "make",
    [
        lambda i: Fraction(i * i + 1, i % 7 + 1),
        lambda i: Decimal(i) / 8,
        lambda i: dt.timedelta(seconds=977 * i - 9_000),
        lambda i: dt.time(i % 24, i),
        lambda i: dt.date(2024, 1, 1) + dt.timedelta(days=i),
    ],
    ids=["fractions", "decimals", "spans", "times", "dates"],
)
def test_objects_of_python_are_the_same_as_the_text_of_a_file(make):
    frame = pd.DataFrame({"c": pd.Series([make(i) for i in ROWS], dtype=object), "x": np.sin(ROWS)})
    task = Task.from_frame(frame, np.cos(ROWS))
    assert task.column_types["c"] in ("numeric", "date")
    read, issues = match_columns(frame.assign(c=frame["c"].map(str)), task.schema())
    assert issues == ()
    assert read["c"].tolist() == match_columns(frame, task.schema())[0]["c"].tolist()


@pytest.mark.parametrize("unit", [10**3, 10**6, 10**9])
def test_times_since_1970_are_the_same_as_the_text_of_a_file(unit):
    frame = pd.DataFrame({"t": [(1_700_000_000 + 12_345 * i) * unit for i in ROWS], "x": np.sin(ROWS)})
    task = Task.from_frame(frame, np.cos(ROWS))
    assert task.column_types["t"] == "date"
    read, issues = match_columns(frame.assign(t=frame["t"].astype("str")), task.schema())
    assert issues == ()
    pd.testing.assert_frame_equal(read, task.X, check_dtype=False)


def test_new_rows_are_read_like_the_rows_at_fit():
    frame = pd.DataFrame(
        {
            "price": [f"{1000 + i * 37:,}" for i in ROWS],
            "day": DAYS.dt.strftime("%d/%m/%Y"),
            "level": ["1", "2", "3"] * 20,
        }
    )
    task = Task.from_frame(frame, BINARY)
    rows = pd.DataFrame({"price": [1037, 2000.0], "day": ["01/02/2022", "13/01/2022"], "level": [1.0, 3.0]})
    read, issues = match_columns(rows, task.schema())
    assert not issues
    assert read["price"].tolist() == [1037, 2000]
    assert read["day"].dt.month.tolist() == [2, 1]
    assert read["level"].tolist() == ["1", "3"]
    with refused(DataError, "AM407", match="column 'day'"):
        match_columns(rows.assign(day=["2022/31/12", "never"]), task.schema())


def test_words_that_were_missing_at_fit_are_so_in_one_row():
    frame = pd.DataFrame(
        {"price": ["see note" if i % 20 == 0 else f"{i}.5" for i in ROWS], "x": np.sin(ROWS)}
    )
    task = Task.from_frame(frame, BINARY)
    for word in ("see note", "<5", "n.a."):
        read, issues = match_columns(pd.DataFrame({"price": [word], "x": [0.1]}), task.schema())
        assert not issues
        assert read["price"].isna().all()
    with refused(DataError, "AM407"):
        match_columns(pd.DataFrame({"price": ["another"], "x": [0.1]}), task.schema())


CELL = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**30), 10**30), st.floats(), st.decimals(), st.fractions(), st.dates(),
    st.times(), st.timedeltas(), st.binary(max_size=3), st.text(max_size=4), st.complex_numbers(),
    st.tuples(st.integers()), st.lists(st.integers(), max_size=2),
    st.sampled_from(["$1,200", "12.5%", "n.a.", "01/02/2024", "10 kg", "09:30", "1.234,5"]),
)  # fmt: skip


@given(st.lists(CELL, min_size=6, max_size=12), st.sampled_from([None, *COLUMN_TYPES]))
def test_any_column_has_a_type_or_an_error_of_ours(values, wanted):
    column = pd.Series(values, dtype=object, name="c")
    try:
        found = look_at(column, wanted)
    except AutometaError:
        return
    assert found.type in COLUMN_TYPES
    if found.values is not None:
        # What was read stays as it is.
        again = read_column(found.values, found.reading)
        pd.testing.assert_series_equal(again, found.values, check_dtype=False)


def test_a_unit_of_control_characters_is_no_unit():
    column = pd.Series([f"{i}.5\x19" for i in range(20)], name="c")
    assert not any(step.endswith("\x19") for step in look_at(column).reading)


def test_column_types_are_a_mapping():
    with refused(UsageError, "AM535", match="of type list"):
        Task.from_frame(pd.DataFrame({"x": np.sin(ROWS)}), BINARY, column_types=["x"])


def test_numbers_of_any_type_come_after_those_of_another():
    X = pd.DataFrame({"x": np.sin(ROWS), "t": [True, False] * 30})
    task = Task.from_frame(X, BINARY)
    missing = X.assign(x=X["x"].mask(X.index == 3), t=X["t"].astype("object").mask(X.index == 4))
    forms = [
        missing,
        missing.convert_dtypes(),
        missing.convert_dtypes(dtype_backend="pyarrow"),
        missing.assign(t=missing["t"].map({True: "True", False: False}).astype("object")),
        missing.assign(t=missing["t"].map({True: "TRUE", False: "FALSE"}).fillna("n/a")),
    ]
    for form in forms:
        read, issues = match_columns(form, task.schema())
        assert not issues
        np.testing.assert_array_equal(
            read.astype("float64").isna().to_numpy().nonzero(), missing.isna().to_numpy().nonzero()
        )
