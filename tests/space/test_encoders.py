"""How columns of words become numbers: the rule looks at facts and keeps to its bounds."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, strategies as st

from autometa.space.encoders import (
    LEAST_COMPONENTS,
    LONG_TEXT,
    MANY_LEVELS,
    MAX_CHARACTERS,
    MAX_COMPONENTS,
    MAX_WORTH_CLASSES,
    MAX_WORTH_COLUMNS,
    Words,
    choose_encoding,
)


def levels(n: int, n_rows: int = 300) -> pd.Series:
    return pd.Series([f"level {i % n}" for i in range(n_rows)])


def text(length: int, n_rows: int = 300) -> pd.Series:
    return pd.Series([("word " * length)[:length]] * n_rows)


def test_many_levels_are_read_in_more_ways_than_few():
    found = choose_encoding(Words({"few": levels(MANY_LEVELS), "many": levels(MANY_LEVELS + 1)}, {}, 0))
    assert found.levels == ("few", "many")
    assert {name: [*columns] for name, columns in found.columns.items()} == {
        "worth": ["many"],
        "letters": ["many"],
        "words": [],
    }


def test_short_text_is_read_by_letters_and_long_text_by_words():
    found = choose_encoding(Words({}, {"short": text(LONG_TEXT), "long": text(LONG_TEXT + 1)}, 2))
    assert ([*found.columns["letters"]], [*found.columns["words"]]) == (["short"], ["long"])


@pytest.mark.parametrize(
    ("categories", "worth", "letters"),
    [("levels", [], []), ("target", ["c"], []), ("characters", [], ["c"]), ("both", ["c"], ["c"])],
)
def test_a_configuration_can_say_what_is_done_with_many_levels(categories, worth, letters):
    found = choose_encoding(Words({"c": levels(200, n_rows=800)}, {}, 0, {"categories": categories}))
    assert ([*found.columns["worth"]], [*found.columns["letters"]]) == (worth, letters)


@pytest.mark.parametrize(("by", "kind"), [("words", "words"), ("characters", "letters")])
def test_a_configuration_can_say_what_text_is_read_by(by, kind):
    found = choose_encoding(Words({}, {"short": text(20), "long": text(500)}, 2, {"text": by}))
    assert set(found.columns[kind]) == {"short", "long"}


@given(
    n_levels=st.lists(st.integers(1, 300), max_size=200),
    n_text=st.integers(0, 5),
    n_classes=st.integers(0, 200).filter(lambda n: n != 1),
)
def test_the_number_of_columns_is_bounded(n_levels, n_text, n_classes):
    categorical = {f"c{i}": levels(n) for i, n in enumerate(n_levels)}
    found = choose_encoding(Words(categorical, {f"t{i}": text(30) for i in range(n_text)}, n_classes))
    worth, letters, words = (found.columns[name] for name in ("worth", "letters", "words"))
    assert len(worth) * max(n_classes if n_classes > 2 else 1, 1) <= MAX_WORTH_COLUMNS
    assert not worth or n_classes <= MAX_WORTH_CLASSES
    counts = [*letters.values(), *words.values()]
    assert sum(counts) <= MAX_COMPONENTS or set(counts) == {LEAST_COMPONENTS}
    assert {*letters, *words} >= {f"t{i}" for i in range(n_text)}


def test_the_letters_that_are_read_are_bounded():
    n_rows = MAX_CHARACTERS // 50
    found = choose_encoding(Words({}, {"first": text(40, n_rows), "second": text(41, n_rows)}, 0))
    assert ([*found.columns["letters"]], [*found.columns["words"]]) == (["first"], ["second"])


def test_no_words_no_encoding():
    found = choose_encoding(Words({}, {}, 3))
    assert not any((found.levels, *found.columns.values()))
    assert not found.reads_text
