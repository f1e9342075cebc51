"""Rounds of boosting that the rows left out choose, without flattering the score on them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from autometa.evaluation import evaluate
from autometa.evaluation._rounds import fit_by_halves
from autometa.pipelines import build_pipeline
from autometa.space import SearchSpace, finds_rounds, grown_configurations
from autometa.task import Task


def make_task(kind: str, n_rows: int = 600) -> Task:
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(n_rows, 4)), columns=list("abcd"))
    y = X["a"] * X["b"] + np.sin(2 * X["c"]) + 0.5 * rng.normal(size=n_rows)
    return Task.from_frame(X, y if kind == "regression" else pd.qcut(y, 3, labels=False))


@pytest.mark.parametrize("kind", ["multiclass", "regression"])
def test_no_row_has_a_say_in_its_own_prediction(kind):
    task = make_task(kind)
    y = task.y.to_numpy()
    train, test = np.arange(400), np.arange(400, 600)
    configuration = grown_configurations("regression" if kind == "regression" else "classification")[0]

    def predict(labels):
        pipeline = build_pipeline(configuration, task)
        return fit_by_halves(pipeline, (task.X.iloc[train], y[train]), (task.X.iloc[test], labels))

    honest, rounds = predict(y[test])
    is_first = np.random.default_rng(0).permutation(len(test)) % 2 == 0
    for half in (is_first, ~is_first):
        shuffled = y[test].copy()
        shuffled[half] = np.random.default_rng(1).permutation(shuffled[half])
        changed, fewer = predict(shuffled)
        np.testing.assert_array_equal(honest[half], changed[half])
        # Labels that mean nothing are best foretold by few rounds.
        assert fewer < rounds


def test_a_run_tells_the_rounds_where_they_were_found():
    task = make_task("regression")
    splits = [(np.arange(400), np.arange(400, 600))]
    found = evaluate(task, grown_configurations("regression")[0], splits)
    assert found.ok
    assert 1 <= found.rounds < 2000
    assert found.to_record()["rounds"] == found.rounds
    fixed = evaluate(task, SearchSpace.for_kind("regression")["lightgbm"].default_configuration(), splits)
    assert np.isnan(fixed.rounds)
    assert fixed.scores["r2"] > 0.3
    assert found.scores["r2"] == pytest.approx(fixed.scores["r2"], abs=0.15)


@pytest.mark.parametrize("target", ["classification", "regression"])
def test_grown_configurations_are_of_the_space_and_differ(target):
    space, found = SearchSpace.for_kind(target), grown_configurations(target)
    assert len({c.id for c in found}) == len(found)
    for configuration in found:
        assert space.problems(configuration) == []
        assert finds_rounds(configuration)
