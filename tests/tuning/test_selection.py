"""The choice of members: never worse than the best alone, and what experience expects counts where rows are few."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import make_friedman1
from sklearn.model_selection import TimeSeriesSplit

from autometa import tune
from autometa.ensemble import calibrate
from autometa.evaluation import FoldFitter, Job, target_codes
from autometa.persistence import load_model, save_model
from autometa.space import SearchSpace
from autometa.task import Task
from autometa.tuning._candidate import Candidate, Objective, Problem
from autometa.tuning._selection import MOST_COLUMNS, can_help, choose_calibration, lean, second_layer, select
from autometa.tuning._splits import resolve_splits
from autometa.wording import SECOND_LAYER

METRICS = {
    "binary": ("log_loss", "roc_auc", "accuracy", "balanced_accuracy", "f1_macro", "average_precision"),
    "multiclass": ("log_loss", "roc_auc", "accuracy", "balanced_accuracy", "f1_macro"),
    "regression": ("r2", "rmse", "mae", "median_absolute_error"),
}
CASES = [(kind, metric) for kind, metrics in METRICS.items() for metric in metrics]


def make(kind, metric, n_rows=300, n_candidates=6, seed=0):
    """Return an objective, and predictions that are the truth with noise of their own."""
    rng = np.random.default_rng(seed)
    X = pd.DataFrame({"a": rng.normal(size=n_rows)})
    if kind == "regression":
        task = Task.from_frame(X, pd.Series(rng.normal(size=n_rows)), kind="regression", metric=metric)
        y = target_codes(task)
        found = [y + rng.normal(size=n_rows) * (0.3 + 0.2 * i) for i in range(n_candidates)]
    else:
        n_classes = 2 if kind == "binary" else 4
        codes = np.minimum(rng.geometric(0.5, n_rows) - 1, n_classes - 1)
        codes[:n_classes] = range(n_classes)
        task = Task.from_frame(X, pd.Series(codes).map(lambda c: f"class {c}"), metric=metric)
        y = target_codes(task)
        found = []
        for i in range(n_candidates):
            logits = 1.5 * np.eye(n_classes)[y] + rng.normal(size=(n_rows, n_classes)) * (0.5 + 0.2 * i)
            proba = np.exp(logits)
            found.append(proba / proba.sum(axis=1, keepdims=True))
    return Objective(task, y), found, np.arange(n_rows)


@pytest.mark.parametrize(("kind", "metric"), CASES)
@pytest.mark.parametrize("seed", [0, 1])
def test_weights_sum_to_one_and_lose_no_more_than_the_best_alone(kind, metric, seed):
    objective, predictions, rows = make(kind, metric, seed=seed)
    views = [objective.view(p, rows) for p in predictions]
    weights = select(objective, views, rows, size=12)
    assert weights.sum() == pytest.approx(1)
    assert (weights >= 0).all()
    mixed = sum(w * v for w, v in zip(weights, views, strict=True))
    assert objective.loss(mixed, rows) <= min(objective.loss(v, rows) for v in views) + 1e-12


def test_members_whose_errors_cancel_are_found():
    objective, _, rows = make("regression", "rmse")
    y, noise = objective._y, np.random.default_rng(1).normal(size=len(rows))
    views = [y + noise, y - noise, y + 0.9 * np.random.default_rng(2).normal(size=len(rows))]
    weights = select(objective, views, rows, size=12)
    assert weights[0] + weights[1] > 0.9


def test_one_member_is_the_best_alone():
    objective, predictions, rows = make("binary", "log_loss")
    views = [objective.view(p, rows) for p in predictions]
    weights = select(objective, views, rows, size=1)
    assert np.count_nonzero(weights) == 1
    assert np.argmax(weights) == np.argmin([objective.loss(v, rows) for v in views])


def test_experience_counts_less_the_more_rows_there_are():
    shares = []
    for n_rows in (50, 400, 4000):
        objective, predictions, rows = make("regression", "r2", n_rows=n_rows)
        # Two whose errors cancel are chosen; experience names a third that is as good alone.
        error = predictions[0] - objective._y
        views = [objective._y + error, objective._y - error, objective._y + error[::-1]]
        moved = lean(objective, np.array([0.5, 0.5, 0.0]), views, rows, [2], strength=100.0)
        assert moved.sum() == pytest.approx(1)
        shares.append(moved[2])
    assert shares[0] > shares[1] > shares[2] > 0


def test_experience_has_no_say_for_what_is_far_behind():
    objective, predictions, rows = make("regression", "r2", n_rows=40)
    hopeless = predictions[0] + 5.0
    chosen = np.array([1.0, 0.0])
    np.testing.assert_array_equal(
        lean(objective, chosen, [predictions[0], hopeless], rows, [1], strength=100.0), chosen
    )


@pytest.mark.parametrize(("kind", "metric"), CASES)
def test_what_is_there_already_cannot_help_and_the_truth_can(kind, metric):
    objective, predictions, rows = make(kind, metric)
    truth = objective._y if kind == "regression" else np.eye(objective.n_classes)[objective._y]
    truth = truth if kind == "regression" else 0.99 * truth + 0.01 / objective.n_classes
    present = objective.view(predictions[2], rows)
    assert not can_help(objective, present, present, rows)
    assert can_help(objective, present, objective.view(truth.astype(float), rows), rows)


def test_calibration_softens_what_is_too_sure_and_leaves_what_is_right():
    rng = np.random.default_rng(0)
    p = rng.uniform(0.05, 0.95, 3000)
    y = (rng.random(3000) < p).astype(int)
    task = Task.from_frame(pd.DataFrame({"a": rng.normal(size=3000)}), pd.Series(y), metric="log_loss")
    objective, rows = Objective(task, y), np.arange(3000)
    right = np.column_stack([1 - p, p])
    sure = calibrate(right, 0.5, 0.0, objective.shares)
    assert choose_calibration(objective, right, rows)[0] == 1.0
    assert choose_calibration(objective, sure, rows)[0] > 1.3


def test_what_is_worse_than_the_frequencies_of_classes_says_no_more_than_these():
    rng = np.random.default_rng(0)
    y = rng.choice(4, 500, p=[0.7, 0.1, 0.1, 0.1])
    task = Task.from_frame(pd.DataFrame({"a": rng.normal(size=500)}), pd.Series(y), metric="log_loss")
    objective = Objective(task, y)
    sure = np.eye(4)[rng.permutation(y)]
    temperature, smoothing = choose_calibration(objective, sure, np.arange(500))
    told = calibrate(sure, temperature, smoothing, objective.shares)
    shares = np.tile(objective.shares, (500, 1))
    losses = [-np.log(np.maximum(p[np.arange(500), y], 1e-15)).mean() for p in (sure, told, shares)]
    assert losses[0] > 5
    assert losses[1] <= losses[2] + 1e-9


def test_the_threshold_follows_the_metric():
    rng = np.random.default_rng(0)
    p = rng.beta(1, 9, 4000)
    y = (rng.random(4000) < p).astype(int)
    proba = np.column_stack([1 - p, p])
    X = pd.DataFrame({"a": rng.normal(size=4000)})
    tilts = {}
    for metric in ("accuracy", "balanced_accuracy"):
        objective = Objective(Task.from_frame(X, pd.Series(y), metric=metric), y)
        assert objective.is_about_labels
        tilts[metric] = objective.best_tilt(proba, np.arange(4000))
    assert tilts["accuracy"] < 0.4 < 0.7 < tilts["balanced_accuracy"]


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
