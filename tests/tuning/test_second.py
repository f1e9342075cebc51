"""The second layer reads what members say of rows that they never saw, and is a member like any other."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import make_friedman1
from sklearn.model_selection import TimeSeriesSplit

from autometa import tune
from autometa.evaluation import FoldFitter, Job, target_codes
from autometa.persistence import load_model, save_model
from autometa.space import SearchSpace
from autometa.task import Task
from autometa.tuning._candidate import Candidate, Problem
from autometa.tuning._second import MOST_COLUMNS, second_layer
from autometa.tuning._splits import resolve_splits
from autometa.wording import SECOND_LAYER


def table(n_rows: int, seed: int = 1) -> tuple[pd.DataFrame, pd.Series]:
    """A sum of a part that is linear and one that is not: no one of the members below gets both."""
    X, y = make_friedman1(n_rows, 8, noise=0.5, random_state=seed)
    return pd.DataFrame(X, columns=list("abcdefgh")), pd.Series(y, name="y")


def fitted(task: Task, splits, names=("linear", "knn")) -> tuple[Problem, list[Candidate]]:
    """Return defaults of algorithms, fitted on all folds."""
    problem = Problem(task, splits, target_codes(task))
    fitter = FoldFitter(task, splits)
    space = SearchSpace.for_kind(task.kind, None)
    found = []
    for number, name in enumerate(names):
        candidate = Candidate(space[name].default_configuration(), "recommended", number=number)
        for fold in range(len(splits)):
            candidate.add(fold, fitter(Job(candidate.configuration, fold)), 0.0)
        candidate.state = "complete"
        found.append(candidate)
    return problem, found


@pytest.fixture(scope="module")
def result():
    X, y = table(800)
    return tune(X, y, metric="r2", n_trials=3, algorithms=("linear", "knn", "extra_trees"), random_state=0)


def test_it_reads_predictions_of_models_that_had_not_seen_the_row():
    X, y = table(120)
    task = Task.from_frame(X, y, metric="r2")
    splits = resolve_splits(task, None, None, 0, n_folds=3, n_repeats=1)
    problem, members = fitted(task, splits)
    found = second_layer(problem, SearchSpace.for_kind(task.kind, None), members)
    assert [candidate.configuration.algorithm for candidate in found] == ["extra_trees"]
    (candidate,) = found
    assert candidate.origin == SECOND_LAYER
    assert candidate.trial is None
    for column, member in enumerate(members):
        for fold, (_, test) in enumerate(splits):
            np.testing.assert_array_equal(candidate.layer[test, column], member.fits[fold].prediction)


def test_without_a_prediction_for_every_row_there_is_none():
    X, y = table(120)
    task = Task.from_frame(X, y, metric="r2")
    forward = list(TimeSeriesSplit(3).split(X))
    problem, members = fitted(task, forward)
    space = SearchSpace.for_kind(task.kind, None)
    assert second_layer(problem, space, members) == []
    splits = resolve_splits(task, None, None, 0, n_folds=3, n_repeats=1)
    problem, members = fitted(task, splits)
    assert second_layer(problem, space, members[:1]) == []
    del members[0].fits[2]
    assert second_layer(problem, space, members) == []


def test_many_classes_leave_room_for_fewer_members():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.normal(size=160)})
    y = pd.Series(np.repeat(np.arange(40), 4)).map("class {}".format)
    task = Task.from_frame(X, y, metric="log_loss")
    splits = resolve_splits(task, None, None, 0, n_folds=2, n_repeats=1)
    problem, members = fitted(task, splits)
    space = SearchSpace.for_kind(task.kind, None)
    assert MOST_COLUMNS // 39 < 2
    assert second_layer(problem, space, members) == []
    binary = Task.from_frame(X, pd.Series(X["a"] > 0), metric="log_loss")
    splits = resolve_splits(binary, None, None, 0, n_folds=2, n_repeats=1)
    problem, members = fitted(binary, splits)
    # Of two classes one says all.
    assert second_layer(problem, space, members)[0].layer.shape == (160, 2)


def test_only_algorithms_that_may_be_used():
    X, y = table(120)
    task = Task.from_frame(X, y, metric="r2")
    splits = resolve_splits(task, None, None, 0, n_folds=3, n_repeats=1)
    problem, members = fitted(task, splits)
    assert second_layer(problem, SearchSpace.for_kind(task.kind, ["linear", "knn"]), members) == []


def test_it_joins_where_members_have_different_things_right(result):
    board = result.leaderboard
    (row,) = board[board["origin"] == SECOND_LAYER].to_dict("records")
    assert row["trial"] == len(result.study.trials)
    assert row["weight"] > 0.3
    assert row["adds"] > 0
    assert result.score > board[board["origin"] != SECOND_LAYER]["score"].max()
    assert board["weight"].sum() == pytest.approx(1)
    # It is nothing that could be fitted alone, nor a trial.
    assert result.best_by_cv.params in list(board[board["origin"] != SECOND_LAYER]["params"])
    assert row["trial"] not in {trial.number for trial in result.study.trials}


def test_it_is_better_on_rows_that_nobody_saw(result):
    X, y = table(2_000, seed=7)

    def r2(prediction):
        return 1 - np.mean((y - prediction) ** 2) / y.var()

    assert r2(result.model.predict(X)) > r2(result.refitted().predict(X)) + 0.005


def test_the_model_travels(result, tmp_path):
    X, _ = table(50, seed=3)
    expected = result.model.predict(X)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(result.model)).predict(X), expected)
    save_model(tmp_path / "model.skops", result.model, {})
    model, _ = load_model(tmp_path / "model.skops")
    np.testing.assert_allclose(model.predict(X), expected)
    # What it reads is the mean of the models of the folds, whatever their own weights.
    shares = [weight for _, _, weight in result.model.members]
    moved = replace_weights(result.model, [0.0] * (len(shares) - 1) + [1.0])
    layer = np.column_stack(
        [
            np.mean([one_answer(result.model, X, number) for number in group], axis=0)
            for group in result.model.layer
        ]
    )
    places, last, _ = result.model.members[-1]
    blocks = [part.transform(X) for part in result.model.preparations] + [layer]
    np.testing.assert_allclose(moved.predict(X), last.predict(np.hstack([blocks[p] for p in places])))


def one_answer(model, X, number):
    return replace_weights(model, [float(i == number) for i in range(len(model.members))]).predict(X)


def replace_weights(model, weights):
    members = [(places, part, w) for (places, part, _), w in zip(model.members, weights, strict=True)]
    return type(model)(model.preparations, members, model.columns, model.is_positional, model.layer)


def test_a_search_with_a_limit_on_predictions_keeps_it():
    X, y = table(600)
    names = ("linear", "knn", "extra_trees")
    result = tune(X, y, metric="r2", n_trials=3, algorithms=names, random_state=0, max_predict_seconds=1e-9)
    assert len(result.members) == 1
    assert SECOND_LAYER not in set(result.members["origin"])


def test_reports_and_code_know_it(result, tmp_path):
    pytest.importorskip("vl_convert")
    result.report(tmp_path / "report.html")
    assert SECOND_LAYER in (tmp_path / "report.html").read_text()
    code = result.to_code()
    assert "VotingRegressor" in code
    first = result.members[result.members["origin"] != SECOND_LAYER]
    known = set(result.layer) | set(first["trial"])
    names = ("ExtraTreesRegressor", "Ridge", "KNeighborsRegressor")
    assert sum(code.count(f"{name}(") for name in names) == len(known)
    assert "3 of 3 trials" in repr(result)
