"""Random tables through every door: an answer, or an error with a code, and the same at each of them.

A run in CI draws a few hundred of each; ``pytest -m fuzz tests/fuzz`` draws twenty thousand, over hours.
"""

from __future__ import annotations

import warnings

import pandas as pd
import pytest
from fuzz_inputs import command, outcome, tables, texts
from hypothesis import HealthCheck, given, settings

from autometa import AutoMetaClassifier, AutoMetaRegressor, recommend, tune
from autometa.task import Task


def examples(n):
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]
    return settings(max_examples=n, deadline=None, derandomize=n < 1000, suppress_health_check=checks)


def check_reading(drawn):
    X, y = drawn
    assert outcome(Task.from_frame, X, y) == outcome(recommend, X, y, k=1)


def check_text(path, content):
    path.write_bytes(content)
    described = command("describe", str(path), "--target", "y", "--json")
    assert described == command("recommend", str(path), "--target", "y", "--json", "--top", "1")


def check_fit(drawn):
    X, y = drawn
    code = outcome(Task.from_frame, X, y)
    if code:
        return
    kind = Task.from_frame(X, y).kind
    model = (AutoMetaRegressor if kind == "regression" else AutoMetaClassifier)(n_trials=0, random_state=0)
    found = outcome(model.fit, X, y)
    assert found == "" or found.startswith(("AM1", "AM2", "AM8")), found
    if not found:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            answers = model.predict(X)
        assert len(answers) == len(X)
        assert kind == "regression" or set(pd.unique(pd.Series(answers))) <= set(model.classes_)


def check_search(drawn):
    X, y = drawn
    code, found = outcome(Task.from_frame, X, y), outcome(tune, X, y, n_trials=1, random_state=0)
    assert found == code or (code == "" and found.startswith(("AM1", "AM2", "AM8"))), (code, found)


@examples(300)
@given(tables())
def test_recommending_refuses_what_reading_refuses_and_nothing_else(drawn):
    check_reading(drawn)


@examples(150)
@given(texts())
def test_any_text_is_described_and_ranked_or_refused_alike(tmp_path_factory, content):
    check_text(tmp_path_factory.getbasetemp() / "fuzzed.csv", content)


@examples(25)
@given(tables())
def test_what_is_read_is_fitted_and_predicted(drawn):
    check_fit(drawn)


@examples(4)
@given(tables())
def test_a_search_refuses_what_reading_refuses_and_nothing_else(drawn):
    check_search(drawn)


@pytest.mark.fuzz
@pytest.mark.timeout(0)
@examples(12_000)
@given(tables())
def test_many_tables_are_read(drawn):
    check_reading(drawn)


@pytest.mark.fuzz
@pytest.mark.timeout(0)
@examples(6_000)
@given(texts())
def test_many_texts_are_read(tmp_path_factory, content):
    check_text(tmp_path_factory.getbasetemp() / "fuzzed.csv", content)


@pytest.mark.fuzz
@pytest.mark.timeout(0)
@examples(2_000)
@given(tables())
def test_many_tables_are_fitted(drawn):
    check_fit(drawn)


@pytest.mark.fuzz
@pytest.mark.timeout(0)
@examples(200)
@given(tables())
def test_many_tables_are_searched(drawn):
    check_search(drawn)
