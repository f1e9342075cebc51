"""What predictions cost, what they may, and how a model is made to keep to it."""

from __future__ import annotations

import pickle
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMRegressor, early_stopping
from sklearn.compose import TransformedTargetRegressor
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.preprocessing import FunctionTransformer

from autometa.evaluation import FoldFit, Preparation, target_codes
from autometa.space import SearchSpace
from autometa.task import Task
from autometa.tuning import tune
from autometa.tuning._assembly import Assembly, choose, planned
from autometa.tuning._candidate import Candidate, Problem
from autometa.tuning._price import (
    LEAST_TIMES_DEFAULT,
    TIMES_DEFAULT,
    Part,
    Price,
    price_of,
    seconds_of_default,
    seconds_to_prepare,
    trees_worth,
)

CONFIGURATION = SearchSpace.for_kind("regression")["lightgbm"].default_configuration()


def a_problem(n_folds: int = 4, **columns: Any) -> Problem:
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.normal(size=400)} | columns)
    task = Task.from_frame(X, pd.Series(rng.normal(size=400), name="y"), metric="r2")
    parts = np.array_split(rng.permutation(400), n_folds)
    splits = [(np.setdiff1d(np.arange(400), part), np.sort(part)) for part in parts]
    return Problem(task, splits, target_codes(task))


def a_candidate(
    problem: Problem, seconds: float, *kinds: str, error: float = 0.5, seed: int = 0
) -> Candidate:
    """Return what takes so many seconds for 10,000 rows; kinds with a star are fitted in each fold."""
    rng = np.random.default_rng(seed)
    fits = {}
    for fold, (train, test) in enumerate(problem.splits):
        names = tuple(f"None/{fold}/None/{k[1:]}" if k.startswith("*") else k for k in kinds)
        said = problem.y[test] + error * rng.normal(size=len(test))
        fits[fold] = FoldFit(said, b"", names, {}, 0.1, 0.1, len(train), None, seconds / 10_000)
    return Candidate(CONFIGURATION, "recommended", number=seed, rank=seed, fits=fits, state="complete")


def priced(problem: Problem, limit: float | None, **seconds: float) -> Price:
    known = {name: Preparation(b"", second / 10_000) for name, second in seconds.items()}
    price = Price(problem, known, a_candidate(problem, 0.0, *seconds), limit)
    price._seconds.update(seconds)
    return price


class Slow:
    """A preparation whose first call takes longer than all others."""

    def __init__(self) -> None:
        self.calls = 0

    def transform(self, X: Any) -> Any:
        self.calls += 1
        end = time.process_time() + (0.3 if self.calls == 1 else 0.0)
        while time.process_time() < end:
            pass
        return X


def test_the_price_of_a_preparation_is_not_that_of_its_first_call() -> None:
    slow = Slow()
    # The first call alone would make it six seconds.
    assert seconds_to_prepare(a_problem(), slow) < 0.3
    assert slow.calls > 1


def test_what_prepares_the_table_counts_once_and_what_is_fitted_in_folds_for_each() -> None:
    problem = a_problem()
    price = priced(problem, None, shared=0.5, own=0.25)
    one, other = (a_candidate(problem, 0.1, "shared", "*own") for _ in range(2))
    assert price.of([Part(one, 1)]) == pytest.approx(0.85)
    assert price.of([Part(one, 4)]) == pytest.approx(0.4 + 0.5 + 4 * 0.25)
    assert price.of([Part(one, 4), Part(other, 4)]) == pytest.approx(0.8 + 0.5 + 4 * 0.25)
    assert price.of([Part(one, 4, True), Part(other, 0, True)]) == pytest.approx(0.6 + 0.5 + 5 * 0.25)


def test_preparations_are_timed_once_for_all_folds() -> None:
    problem = a_problem()
    known = Preparation(pickle.dumps(FunctionTransformer().fit(problem.task.X)), 0.05 / 400)
    one = a_candidate(problem, 0.0, "*own")
    price = Price(problem, {name: known for fit in one.fits.values() for name in fit.preparation}, one)
    assert price.of([Part(one, 4)]) == pytest.approx(4 * price.of([Part(one, 1)]))


def test_what_took_long_for_the_whole_table_is_not_timed_again() -> None:
    problem = a_problem()
    price = Price(problem, {"long": Preparation(b"", 0.5 / 400)}, one := a_candidate(problem, 0.0, "long"))
    assert price.of([Part(one, 1)]) == pytest.approx(0.5)


def test_a_default_reads_levels_as_integers() -> None:
    words = np.random.default_rng(0).choice(["few", "words", None], (3, 400))
    plain, with_levels = a_problem(), a_problem(b=words[0], c=words[1], d=words[2])
    assert seconds_of_default(plain)[1] < seconds_of_default(with_levels)[1] < 1.0
    assert 0.0 < seconds_of_default(plain)[0] < 1.0


def test_columns_of_all_sorts_have_a_default() -> None:
    days = pd.Series(pd.date_range("2020-01-01", periods=400))
    problem = a_problem(
        day=days,
        gap=days - days[0],
        whole=pd.array([1, None] * 200, dtype="Int64"),
        flag=pd.array([True, None] * 200, dtype="boolean"),
        none=[None] * 400,
        level=pd.Categorical(["a", "b"] * 200),
    )
    assert all(np.isfinite(seconds_of_default(problem)))


def test_where_the_table_takes_most_of_the_time_models_may_take_some() -> None:
    problem = a_problem()
    quick, slow = priced(problem, None, reads=0.0), priced(problem, None, reads=1e3)
    assert quick.limit < 1e3 < slow.limit
    assert slow.limit - 1e3 < LEAST_TIMES_DEFAULT / TIMES_DEFAULT * 10 * quick.limit
    assert priced(problem, 7.0, reads=1e3).limit == 7.0


def test_members_that_need_a_dear_preparation_are_left_out() -> None:
    problem = a_problem()
    cheap = [a_candidate(problem, 0.1, "cheap", seed=seed) for seed in range(2)]
    dear = a_candidate(problem, 0.1, "dear", seed=2, error=0.4)
    price = priced(problem, 1.0, cheap=0.1, dear=2.0)
    chosen = choose(problem, [*cheap, dear], size=25, price=price)
    assert chosen is not None
    assert {id(c) for c, _ in chosen.members} == set(map(id, cheap))
    free = choose(problem, [*cheap, dear], size=25)
    assert free is not None
    assert id(dear) in {id(c) for c, _ in free.members}


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        (9.0, [(4, True), (4, True)]),
        # The second needs a preparation for each fold.
        (4.0, [(4, True), (0, True)]),
        (0.1, [(0, True), (0, True)]),
    ],
)
def test_one_model_does_for_a_member_where_more_would_take_too_long(limit, expected) -> None:
    problem = a_problem()
    members = [a_candidate(problem, 0.3, "shared"), a_candidate(problem, 0.3, "*own", seed=1)]
    chosen = Assembly(members, np.array([0.6, 0.4]), np.zeros(2), 4, np.arange(400), problem.y, [0.0] * 4)
    price = priced(problem, limit, shared=0.5, own=0.8)
    parts = planned(chosen, price, n_folds=4, is_refitted=True)
    assert [(part.n_folds, part.is_refitted) for part in parts] == expected


def test_members_without_all_folds_are_fitted_on_all_rows_alone() -> None:
    problem = a_problem()
    members = [a_candidate(problem, 0.3, "shared")]
    del members[0].fits[3]
    chosen = Assembly(members, np.ones(1), np.zeros(1), 3, np.arange(400), problem.y, [0.0] * 3)
    price = priced(problem, 9.0, shared=0.5)
    for is_refitted, expected in ((True, (0, True)), (False, (3, False))):
        (part,) = planned(chosen, price, n_folds=4, is_refitted=is_refitted)
        assert (part.n_folds, part.is_refitted) == expected


@pytest.mark.filterwarnings("ignore:The argument 'eval_set'")
def test_without_a_limit_of_time_prices_are_counted_not_timed() -> None:
    problem = a_problem()
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(300, 4)), rng.normal(size=300)
    boosted = LGBMRegressor(n_estimators=30, verbosity=-1).fit(X, y)
    fitted = {
        "boosting": boosted,
        "stopped": LGBMRegressor(n_estimators=90, verbosity=-1).fit(
            X, y, eval_set=[(X, -y)], callbacks=[early_stopping(2, verbose=False)]
        ),
        "forest": ExtraTreesRegressor(n_estimators=7).fit(X, y),
        "neighbours": TransformedTargetRegressor(KNeighborsRegressor()).fit(X, y),
        "linear": Ridge().fit(X, y),
        "other": DummyRegressor().fit(X, y),
    }
    worth = {name: trees_worth(model) for name, model in fitted.items()}
    assert worth["boosting"] == 30
    assert worth["stopped"] < 10
    assert worth["forest"] == 7
    assert worth["linear"] < 1 < worth["neighbours"]
    assert worth["other"] == 100
    one = a_candidate(problem, 1e3, "dear")
    for fold in one.fits:
        one.fits[fold] = replace(one.fits[fold], model=pickle.dumps(boosted))
    known = {"dear": Preparation(b"", 0.0)}
    price = price_of(problem, known, one, None, is_timed=False)
    assert not price.exceeds([Part(one, 4)])
    assert price.exceeds([Part(one, 4)] * 10)
    assert price_of(problem, known, one, 7.0, is_timed=False).limit == 7.0
    assert price_of(problem, known, one, None, is_timed=True).limit > 0


def test_a_search_without_a_limit_of_time_is_the_same_twice() -> None:
    problem = a_problem(b=np.random.default_rng(1).choice(["few", "words"], 400))
    task, names = problem.task, ("linear", "knn", "svm")
    first, second = (
        tune(task.X, task.y, metric="r2", n_trials=4, algorithms=names, random_state=0) for _ in range(2)
    )
    assert len(first.model.members) == len(second.model.members)
    np.testing.assert_array_equal(first.model.predict(task.X), second.model.predict(task.X))
