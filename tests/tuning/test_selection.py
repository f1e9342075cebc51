"""The choice of members: never worse than the best alone, and what experience expects counts where rows are few."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from autometa.ensemble import calibrate
from autometa.evaluation import target_codes
from autometa.task import Task
from autometa.tuning._objective import Objective
from autometa.tuning._selection import can_help, choose_calibration, lean, select

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
