"""Words: every meta-feature has some, reasons are sentences, names stay different when they are cut."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, strategies as st

from autometa.metafeatures import metafeature_names, metafeature_words
from autometa.space import SearchSpace
from autometa.wording import explain_choice, explain_place, number, shortened, significant


def test_every_metafeature_has_words_and_no_two_the_same():
    words = metafeature_words()
    assert list(words) == metafeature_names()
    assert len(set(words.values())) == len(words)
    assert not any("_" in said or not said for said in words.values())


@pytest.mark.parametrize("regret", [0.0, 0.4, 1.0, 1.8])
@pytest.mark.parametrize("contributions", [{}, {"log_n_rows": -0.2, "n_classes": 0.1}, {"own_feature": -1.0}])
def test_a_reason_is_made_of_sentences(regret, contributions):
    configuration = SearchSpace.for_kind("binary")["lightgbm"].default_configuration()
    text = explain_choice(
        configuration, regret=regret, spread=0.3, near_best=0.5, nearest="", contributions=contributions
    )
    assert text.startswith("LightGBM with its library's defaults")
    assert "10 of the 20 known tables" in text
    assert text.endswith(".")
    assert ("speaks for it" in text) == any(added < 0 for added in contributions.values())
    assert ("close about" in text) == (regret < 1)


def test_what_stands_first_says_why():
    regrets, seconds = [0.4, 0.7, 0.5, 1.1], [1.0, 9.0, 2.0, 1.0]
    said = [explain_place(regrets, seconds, number) for number in range(4)]
    assert said[0].startswith("It stands first because nothing else")
    assert "those above it do not" in said[1]
    assert said[2] == ""
    assert "those above it do not" in said[3]
    quick = explain_place([0.41, 0.4], [1.0, 4.0], 0)
    assert quick.startswith("It stands first because it takes 25% of the time")
    safe = explain_place([0.41, 0.4], [4.0, 1.0], 0)
    assert "fall behind LightGBM's default less often" in safe
    choice = SearchSpace.for_kind("binary")["lightgbm"].default_configuration()
    facts = {"regret": 1.2, "spread": 0.3, "near_best": 0.5, "nearest": "", "contributions": {}}
    assert said[0] in explain_choice(choice, **facts, place=said[0])


@given(st.lists(st.text(min_size=1, max_size=60), unique=True, max_size=12))
def test_names_that_are_cut_stay_different(names):
    cut = shortened(names)
    assert len(set(cut)) == len(names)
    assert all(len(name) <= 24 for name in cut)
    assert all(
        short == name
        for short, name in zip(cut, names, strict=True)
        if len(name) <= 16 and cut.count(name) == 1
    )


@given(st.one_of(st.none(), st.floats()))
def test_numbers_are_short(value):
    for text in (number(value), significant(value)):
        assert len(text) <= 12
        assert (text == "-") == (value is None or not math.isfinite(value))
