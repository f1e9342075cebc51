"""The protocol: the same folds for everybody, and a row for whatever comes out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import get_scorer

from autometa.errors import DataError
from autometa.evaluation import Protocol, Run, evaluate, fit_pipeline, make_splits
from autometa.evaluation._boosting import fit_by_halves
from autometa.evaluation._protocol import Prepared
from autometa.metrics import stored_metrics
from autometa.pipelines import build_pipeline
from autometa.space import (
    Algorithm,
    Configuration,
    SearchSpace,
    finds_rounds,
    grown_configurations,
    register_algorithm,
)
from autometa.task import Task


def make_task(kind: str = "binary", n_rows: int = 120, seed: int = 0) -> Task:
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(rng.normal(size=(n_rows, 3)), columns=list("abc"))
    signal = X["a"] + 0.3 * rng.normal(size=n_rows)
    if kind == "regression":
        return Task.from_frame(X, signal)
    return Task.from_frame(X, pd.qcut(signal, 2 if kind == "binary" else 4, labels=False))


def default(name: str, kind: str) -> Configuration:
    return SearchSpace.for_kind(kind)[name].default_configuration()


KINDS = ["binary", "multiclass", "regression"]


@pytest.mark.parametrize("kind", KINDS)
def test_one_protocol_always_draws_the_same_folds(kind):
    task = make_task(kind)
    for one, other in zip(make_splits(task, Protocol()), make_splits(task, Protocol()), strict=True):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1], other[1])
    moved = make_splits(task, Protocol(seed=1))
    assert any(
        a[1].tolist() != b[1].tolist() for a, b in zip(moved, make_splits(task, Protocol()), strict=True)
    )


@pytest.mark.parametrize("kind", KINDS)
def test_folds_part_the_rows(kind):
    task = make_task(kind)
    splits = make_splits(task, Protocol(n_folds=4))
    assert len(splits) == 4
    assert sorted(np.concatenate([test for _, test in splits])) == list(range(task.n_rows))
    for train, test in splits:
        assert sorted([*train, *test]) == list(range(task.n_rows))


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_folds_keep_the_shares_of_the_classes(kind):
    task = make_task(kind)
    for train, test in make_splits(task, Protocol(max_train_rows=40)):
        shares = [task.y.iloc[rows].value_counts(normalize=True).to_numpy() for rows in (train, test)]
        for share in shares:
            np.testing.assert_allclose(share, 1 / task.y.nunique(), atol=0.05)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("enough", "n_folds"), [(30, 1), (31, 2), (60, 2), (61, 3), (10**6, 3)])
def test_limits_on_rows_hold_and_folds_end_where_enough_rows_are_tested(kind, enough, n_folds):
    task = make_task(kind, n_rows=300)
    splits = make_splits(task, Protocol(max_train_rows=50, max_test_rows=30, enough_test_rows=enough))
    assert len(splits) == n_folds
    for train, test in splits:
        assert (len(train), len(test)) == (50, 30)
        assert not set(train) & set(test)
        assert (np.diff(train) > 0).all()


def test_classes_with_fewer_rows_than_folds_are_left_out():
    task = make_task("multiclass")
    y = task.y.astype(str)
    y.iloc[:2] = "rare"
    splits = make_splits(Task.from_frame(task.X, y), Protocol())
    used = np.concatenate([np.concatenate(split) for split in splits])
    assert {0, 1}.isdisjoint(used)
    for train, test in splits:
        assert set(y.iloc[test]) <= set(y.iloc[train])


WHOLE = Protocol(max_train_rows=10**9, max_test_rows=10**9)


@pytest.mark.parametrize("kind", KINDS)
def test_official_folds_are_shrunk_as_drawn_ones_are(kind):
    task = make_task(kind, n_rows=300)
    for protocol in (Protocol(), Protocol(max_train_rows=50, max_test_rows=30)):
        official = make_splits(task, protocol, make_splits(task, WHOLE))
        for one, other in zip(official, make_splits(task, protocol), strict=True):
            np.testing.assert_array_equal(one[0], other[0])
            np.testing.assert_array_equal(one[1], other[1])


@pytest.mark.parametrize("kind", KINDS)
def test_of_official_folds_the_first_are_taken(kind):
    task = make_task(kind)
    ten = make_splits(task, Protocol(n_folds=10))
    for one, other in zip(make_splits(task, Protocol(), ten), ten[:3], strict=True):
        np.testing.assert_array_equal(one[1], other[1])
    (only,) = make_splits(task, Protocol(), ten[:1])
    np.testing.assert_array_equal(only[0], ten[0][0])


def test_classes_that_a_part_of_the_official_folds_lacks_are_left_out():
    task = make_task("multiclass")
    y = task.y.astype(str)
    y.iloc[:5] = "rare"
    ten = make_splits(task, Protocol(n_folds=10))
    splits = make_splits(Task.from_frame(task.X, y), Protocol(n_folds=10), ten)
    assert {"rare"}.isdisjoint(y.iloc[np.concatenate([part for split in splits for part in split])])
    for (train, test), (all_train, all_test) in zip(splits, ten, strict=True):
        assert set(all_train) - set(train) | set(all_test) - set(test) == set(range(5))


def test_official_folds_without_two_rows_or_classes_are_refused():
    task = make_task()
    rows = np.arange(task.n_rows)
    with pytest.raises(DataError) as caught:
        make_splits(make_task("regression"), Protocol(), [(rows[1:], rows[:1])])
    assert caught.value.code == "AM201"
    zeros = np.flatnonzero(task.y == 0)
    with pytest.raises(DataError) as caught:
        make_splits(task, Protocol(), [(rows, zeros)])
    assert caught.value.code == "AM104"


def test_too_few_rows_or_classes_are_refused():
    task = make_task()
    with pytest.raises(DataError) as caught:
        make_splits(task.subset(range(5)), Protocol())
    assert caught.value.code == "AM201"
    lonely = Task.from_frame(task.X, pd.Series(["a"] * 118 + ["b"] * 2))
    with pytest.raises(DataError) as caught:
        make_splits(lonely, Protocol())
    assert caught.value.code == "AM104"


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_holds_every_stored_metric_its_spread_and_seconds(kind):
    task = make_task(kind)
    run = evaluate(task, default("knn", kind), make_splits(task, Protocol()))
    assert run.ok
    assert set(run.scores) == set(run.spread) == set(stored_metrics(kind))
    assert run.fit_seconds >= 0
    assert run.predict_seconds >= 0
    assert (run.n_train, run.n_folds) == (80, 3)
    record = run.to_record()
    assert {c for name in stored_metrics(kind) for c in (name, f"{name}_std")} <= set(record)
    assert all(isinstance(value, (str, int, float)) for value in record.values())


@pytest.mark.parametrize(("kind", "metric"), [("binary", "neg_log_loss"), ("regression", "r2")])
def test_scores_are_means_over_folds_of_what_scikit_learn_says(kind, metric):
    task = make_task(kind)
    splits, scorer = make_splits(task, Protocol()), get_scorer(metric)
    fitted = [fit_pipeline(task, default("linear", kind), train) for train, _ in splits]
    scored = [
        scorer(model, task.X.iloc[test], task.y.iloc[test])
        for model, (_, test) in zip(fitted, splits, strict=True)
    ]
    run = evaluate(task, default("linear", kind), splits)
    sign = -1 if metric.startswith("neg_") else 1
    assert np.mean(scored) == pytest.approx(sign * run.scores[metric.removeprefix("neg_")])


def test_the_same_run_twice_gives_the_same_scores():
    task = make_task("multiclass")
    splits = make_splits(task, Protocol())
    runs = [evaluate(task, default("extra_trees", "multiclass"), splits) for _ in range(2)]
    assert runs[0].scores == runs[1].scores


def test_weights_reach_the_model():
    task = make_task("regression")
    weights = (None, np.where(task.X["b"] > 0, 1000.0, 1.0), np.ones(task.n_rows))
    plain, weighted, same = (
        fit_pipeline(task, default("linear", "regression"), sample_weight=weight).predict(task.X)
        for weight in weights
    )
    assert not np.allclose(weighted, plain)
    np.testing.assert_allclose(same, plain)


class Failing(ClassifierMixin, BaseEstimator):
    def __init__(self, error: type[BaseException] | None = None, answer: float = 0.5) -> None:
        self.error = error
        self.answer = answer

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        if self.error is not None:
            raise self.error("line one\nline two")
        return self

    def predict_proba(self, X):
        return np.full((len(X), len(self.classes_)), self.answer)


@pytest.mark.parametrize(
    ("error", "answer", "status", "reason"),
    [
        (ValueError, 0.5, "failed", "ValueError: line one line two"),
        (MemoryError, 0.5, "memory", "out of memory"),
        (None, float("nan"), "failed", "not finite"),
        (None, 0.5, "ok", ""),
    ],
)
def test_whatever_a_model_does_is_a_run_with_its_reason(error, answer, status, reason):
    register_algorithm(Algorithm("failing", lambda: Failing(error, answer), {}, {}), ["classification"])
    task = make_task()
    run = evaluate(task, Configuration("failing", {}), make_splits(task, Protocol()))
    assert isinstance(run, Run)
    assert run.status == status
    assert reason in run.reason
    assert "\n" not in run.reason
    assert run.n_train == 80


def test_a_score_that_cannot_be_had_fails_the_run():
    task = make_task()
    one_class = np.flatnonzero(task.y == 1)[:5]
    splits = [(np.setdiff1d(np.arange(task.n_rows), one_class), one_class)]
    run = evaluate(task, default("linear", "binary"), splits)
    assert (run.status, run.reason) == ("failed", "roc_auc is not finite")


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_prepared_before_gives_the_same_scores(kind):
    task = make_task(kind)
    words = np.random.default_rng(1).choice([f"level {i}" for i in range(30)], task.n_rows)
    task = Task.from_frame(task.X.assign(words=words), task.y, kind=kind)
    splits, prepared = make_splits(task, Protocol()), Prepared()
    for name in ("linear", "extra_trees", "hist_gradient_boosting", "linear"):
        alone = evaluate(task, default(name, kind), splits)
        shared = evaluate(task, default(name, kind), splits, prepared=prepared)
        assert shared.ok
        for metric, score in alone.scores.items():
            assert shared.scores[metric] == pytest.approx(score, abs=0.01)
        assert shared.fit_seconds > 0


def test_a_preparation_is_fitted_once_for_each_fold_and_its_seconds_count_each_time():
    task = make_task()
    (train, test), *_ = make_splits(task, Protocol())
    prepared, y = Prepared(), task.y.to_numpy()
    part = build_pipeline(default("linear", "binary"), task)[:-1]
    first, again = (prepared(0, part, task.X.iloc[train], y[train], task.X.iloc[test]) for _ in range(2))
    assert again[0][0] is first[0][0]
    assert again[0][1] == first[0][1] > 0
    other = prepared(1, part, task.X.iloc[train], y[train], task.X.iloc[test])
    assert other[0][0] is not first[0][0]


def make_table_of_products(kind: str, n_rows: int = 600) -> Task:
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(n_rows, 4)), columns=list("abcd"))
    y = X["a"] * X["b"] + np.sin(2 * X["c"]) + 0.5 * rng.normal(size=n_rows)
    return Task.from_frame(X, y if kind == "regression" else pd.qcut(y, 3, labels=False))


@pytest.mark.parametrize("kind", ["multiclass", "regression"])
def test_no_row_has_a_say_in_its_own_prediction(kind):
    task = make_table_of_products(kind)
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
    task = make_table_of_products("regression")
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
