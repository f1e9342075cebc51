"""Readings: a closed list of functions, each with a name that a file can hold."""

from __future__ import annotations

import contextlib

import pandas as pd
import pytest

from autometa.pipelines.preparation import FUNCTIONS as OF_PIPELINES, find_function, name_function
from autometa.tables.columns import look_at
from autometa.tables.functions import FUNCTIONS
from autometa.tables.readings import read, read_column, read_texts

WITH_PARAMETER = [
    "without unit: km/h",
    "without unit: (a+)+",
    "without currency: R$",
    "to dates written: %d.%m.%Y %H:%M",
]


@pytest.mark.parametrize("name", [*OF_PIPELINES, *FUNCTIONS, *WITH_PARAMETER])
def test_the_name_finds_the_function_and_the_function_the_name(name):
    assert name_function(*find_function(name)) == name


@pytest.mark.parametrize(
    "name",
    ["eval", "without unit: ", "without unit: a\nb", "without unit: " + "x" * 99, "to dates written: %x", ""],
)
def test_nothing_else_has_a_name(name):
    with pytest.raises(KeyError):
        find_function(name)


def test_other_functions_have_no_name():
    assert name_function(pd.DataFrame.query, {}) is None
    assert name_function(pd.DataFrame.replace, {"to_replace": ".*", "value": "", "regex": True}) is None


@pytest.mark.parametrize("name", [n for n in FUNCTIONS if "number" not in n and "without" not in n])
def test_a_reading_leaves_the_table_itself_alone(name):
    frame = pd.DataFrame({"c": ["1", None]})
    before = frame.copy()
    try:
        read(frame, [name])
    except (TypeError, ValueError, AttributeError):
        return  # not meant for text
    pd.testing.assert_frame_equal(frame, before)


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if "regex" in FUNCTIONS[name][1]])
def test_single_texts_are_read_as_a_table_is(name):
    texts = [
        "(1,234)",
        "5 km",
        "1. M\u00e4rz 2024",
        "Q3-98",
        "9.30 pm",
        "7\u00b0S",
        "2024\u5e741\u67082\u65e5",
        "#5[1]",
        "x",
    ]
    assert read_texts(texts, [name]) == read_column(pd.Series(texts, dtype="object"), [name]).tolist()


N = 50_000
HOSTILE = [
    "(" + "1" * N,
    "-" * N,
    "\u2013" * N,
    "1" + " " * N + "x",
    *(part * N for part in ("1,", "1.1", "1:", "P", "Jan ", "1d")),
]


OF_NUMBERS = ("infinite to missing", "within float32")


@pytest.mark.parametrize("name", [n for n in (*FUNCTIONS, *WITH_PARAMETER) if n not in OF_NUMBERS])
def test_no_cell_keeps_a_reading_busy(name):
    with contextlib.suppress(TypeError, ValueError, AttributeError, OverflowError):  # not meant for text
        read_column(pd.Series(HOSTILE), [name])


def test_no_cell_keeps_the_judgement_of_a_column_busy():
    for cell in HOSTILE:
        look_at(pd.Series([cell, "1", "2", "x"] * 9, name="c"))


@pytest.mark.parametrize("pattern", ["$1{},000", "{}10:30", "5{}kg", "{}5%"])
def test_what_is_longer_than_people_write_is_neither_number_nor_date(pattern):
    filling = ",000" if "," in pattern else "1" if "%" in pattern else " "
    for n, kind in ((1, "numeric"), (64, "categorical")):
        cell = pattern.format(filling * n)
        other = cell.replace("1", "2").replace("5", "6")
        assert look_at(pd.Series([cell, other] * 20, name="c")).type == kind


@pytest.mark.parametrize(
    ("cell", "reading"),
    [
        ("$1,200", ("without currency: $", "without grouping by commas", "text to numbers", "to numbers")),
        ("31.12.2024", ("to dates written: %d.%m.%Y",)),
        ("1:05", ("to text", "clock to span", "to spans", "to nanoseconds")),
        ("1.0", ("to text", "whole numbers without point")),
    ],
)
def test_a_long_column_is_read_like_its_rows(cell, reading):
    column = pd.Series([cell, None, "x", cell], name="c", index=[3, 1, 1, 0])
    long = pd.concat([column] * 5_000)
    pd.testing.assert_series_equal(
        read_column(long, reading), pd.concat([read_column(column, reading)] * 5_000)
    )
