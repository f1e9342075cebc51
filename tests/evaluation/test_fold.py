"""Fits of folds: what they share, what they keep apart, and what early stopping keeps."""

from __future__ import annotations

import pickle
import time

import numpy as np
import pandas as pd
import pytest

from autometa.evaluation import Failure, FoldFit, FoldFitter, Job, Protocol, Worker, make_splits
from autometa.evaluation._worker import Died
from autometa.space import Configuration, SearchSpace
from autometa.task import Task


@pytest.fixture(scope="module")
def task():
    rng = np.random.default_rng(0)
    n = 300
    X = pd.DataFrame(rng.normal(size=(n, 3)), columns=list("abc"))
    X["many"] = [f"level {i}" for i in rng.integers(0, 70, n)]
    y = np.where(X["a"] + 0.3 * rng.normal(size=n) > 0, "yes", "no")
    return Task.from_frame(X, pd.Series(y, name="y"), metric="log_loss")


@pytest.fixture(scope="module")
def fitter(task):
    splits = make_splits(task, Protocol(3, 10**6, 10**6))
    return FoldFitter(task, splits), splits


def default(name, kind="binary"):
    return SearchSpace.for_kind(kind)[name].default_configuration()


@pytest.mark.parametrize("name", list(SearchSpace.for_kind("binary").algorithms))
def test_every_algorithm_gives_probabilities_for_the_rows_left_out(fitter, name):
    found = fitter[0](Job(default(name), 1))
    assert isinstance(found, FoldFit), found
    assert found.prediction.shape == (len(fitter[1][1][1]), 2)
    np.testing.assert_allclose(found.prediction.sum(axis=1), 1.0)


def test_what_reads_the_target_is_fitted_in_each_fold_and_the_rest_once(task):
    fitter = FoldFitter(task, make_splits(task, Protocol(3, 10**6, 10**6)))
    fits = [fitter(Job(default("lightgbm"), fold)) for fold in range(3)]
    *shared, own = zip(*(fit.preparation for fit in fits), strict=True)
    # Codes, numbers and letters are shared; what each level was worth comes last here.
    blocks = [set(names) for names in [*shared, own]]
    assert sorted(map(len, blocks)) == [1] * (len(blocks) - 1) + [3]
    assert [len(fit.preparations) for fit in fits] == [len(blocks), 1, 1]
    alone = FoldFitter(task, make_splits(task, Protocol(3, 10**6, 10**6)), share=False)
    fits = [alone(Job(default("linear"), fold)) for fold in range(3)]
    assert len({name for fit in fits for name in fit.preparation}) == sum(
        len(fit.preparation) for fit in fits
    )


def test_what_a_fold_prepared_serves_what_comes_next(task):
    fitter = FoldFitter(task, make_splits(task, Protocol(3, 10**6, 10**6)))
    first = [fitter(Job(default("lightgbm"), fold)) for fold in (0, 1)]
    again = fitter(Job(default("lightgbm"), 0))
    assert again.preparation == first[0].preparation
    assert again.preparations == {}  # fitted and sent before
    np.testing.assert_array_equal(again.prediction, first[0].prediction)
    # Where there is no room, those of the fold at hand stay, and others are fitted anew and sent again.
    small = FoldFitter(task, make_splits(task, Protocol(3, 10**6, 10**6)), max_cells=0)
    found = [small(Job(default("extra_trees"), fold)) for fold in (0, 1, 0)]
    own = next(name for name in found[0].preparation if name not in found[1].preparation)
    assert [own in fit.preparations for fit in found] == [True, False, True]
    np.testing.assert_array_equal(found[2].prediction, found[0].prediction)


def test_fewer_rows_are_part_of_more_and_hold_every_class(fitter, task):
    few = fitter[0](Job(default("linear"), 0, max_rows=40))
    more = fitter[0](Job(default("linear"), 0, max_rows=80))
    assert (few.n_train, more.n_train) == (40, 80)
    rows = [set(fitter[0]._limited(np.arange(task.n_rows), n).tolist()) for n in (40, 80)]
    assert rows[0] < rows[1]
    share = (task.y == "yes").mean()
    assert abs((task.y.iloc[sorted(rows[0])] == "yes").mean() - share) < 0.05


def test_rounds_that_were_found_are_used(fitter):
    found = fitter[0](Job(default("lightgbm"), None, rounds=7))
    assert found.prediction is None
    assert pickle.loads(found.model).n_estimators == 7


def test_boosting_ends_with_the_rounds_that_it_has():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(6_000, 30)))
    task = Task.from_frame(X, pd.Series(X[0] * X[1] + rng.normal(size=6_000)))
    fitter = FoldFitter(task, make_splits(task, Protocol(3, 10**6, 10**6)))
    params = {**default("lightgbm", "regression").params, "learning_rate": 0.01, "num_leaves": 128}
    found = fitter(Job(Configuration("lightgbm", params), 0, seconds=0.05))
    assert isinstance(found, FoldFit)
    assert pickle.loads(found.model).n_estimators_ < 400


def test_rows_that_took_long_to_predict_tell_the_price(fitter):
    """Models of many classes are not predicted twice to be priced."""

    class Unasked:
        def predict_proba(self, X):
            raise AssertionError("asked again")

    assert fitter[0]._price(Unasked(), np.zeros((500, 2)), 1.0) == pytest.approx(1 / 500)
    with pytest.raises(AssertionError, match="asked again"):
        fitter[0]._price(Unasked(), np.zeros((500, 2)), 0.001)


def test_what_goes_wrong_is_an_answer(fitter):
    found = fitter[0](
        Job(Configuration("linear", {"C": -1.0, "class_weight": None, "scaler": "standard"}), 0)
    )
    assert isinstance(found, Failure)
    assert found.status == "failed"
    assert "\n" not in found.reason


class Sleepy:
    def __call__(self, message):
        if message == "sleep":
            time.sleep(600)
        return message


@pytest.mark.parametrize("forks", [True, False])
def test_a_child_is_stopped_in_the_middle_and_goes_on_afterwards(forks):
    with Worker(forks=forks) as worker:
        worker.set_problem(Sleepy())
        worker.submit("hello")
        assert worker.result(60) == "hello"
        worker.submit("sleep")
        with pytest.raises(TimeoutError):
            worker.result(0.2)
        assert not worker.is_running
        worker.submit("again")
        assert worker.result(60) == "again"


def test_a_child_that_dies_says_so():
    class Suicidal:
        def __call__(self, message):
            import os

            os._exit(3)

    with Worker(forks=True) as worker:
        worker.set_problem(Suicidal())
        worker.submit("die")
        assert isinstance(worker.result(60), Died)
