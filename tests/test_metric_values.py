"""Scores: the same numbers as scikit-learn's metrics."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from autometa.metrics import align_probabilities, score_predictions, stored_metrics

EXPECTED = {
    "accuracy": lambda y, proba, classes: metrics.accuracy_score(y, classes[proba.argmax(axis=1)]),
    "balanced_accuracy": lambda y, proba, classes: metrics.balanced_accuracy_score(
        y, classes[proba.argmax(axis=1)]
    ),
    "f1_macro": lambda y, proba, classes: metrics.f1_score(y, classes[proba.argmax(axis=1)], average="macro"),
    "log_loss": lambda y, proba, classes: metrics.log_loss(y, proba, labels=classes),
    "roc_auc": lambda y, proba, classes: (
        metrics.roc_auc_score(y == classes[1], proba[:, 1])
        if len(classes) == 2
        else metrics.roc_auc_score(y, proba, multi_class="ovr", labels=classes)
    ),
}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("classes", [[0, 1], ["no", "yes"], ["b", "g", "r"], [1, 2, 3, 4, 5], [False, True]])
def test_classification_scores_equal_scikit_learns(classes, seed):
    rng = np.random.default_rng(seed)
    classes = np.array(classes)
    y = rng.permutation(np.resize(classes, 60))
    proba = rng.dirichlet(np.ones(len(classes)), 60)
    kind = "binary" if len(classes) == 2 else "multiclass"
    scores = score_predictions(kind, y, proba, classes)
    assert set(scores) == set(stored_metrics(kind))
    for name, value in scores.items():
        assert value == pytest.approx(EXPECTED[name](y, proba, classes)), name


@pytest.mark.parametrize("seed", range(5))
def test_regression_scores_equal_scikit_learns(seed):
    rng = np.random.default_rng(seed)
    y, prediction = rng.normal(size=(2, 50))
    scores = score_predictions("regression", y, prediction)
    assert scores == pytest.approx(
        {
            "r2": metrics.r2_score(y, prediction),
            "rmse": metrics.root_mean_squared_error(y, prediction),
            "mae": metrics.mean_absolute_error(y, prediction),
        }
    )


def test_a_class_that_is_not_in_the_test_rows_does_not_spoil_the_scores():
    classes = np.array(["a", "b", "c"])
    y = np.array(["a", "b"] * 10)
    scores = score_predictions("multiclass", y, np.random.default_rng(0).dirichlet(np.ones(3), 20), classes)
    assert all(np.isfinite(list(scores.values())))


def test_a_sure_mistake_costs_much_but_not_infinitely():
    scores = score_predictions(
        "binary", np.array([0, 1]), np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([0, 1])
    )
    assert 30 < scores["log_loss"] < 40
    assert scores["accuracy"] == 0


def test_probabilities_are_spread_over_all_classes():
    aligned = align_probabilities(np.array([[0.25, 0.75]]), np.array(["a", "c"]), np.array(["a", "b", "c"]))
    np.testing.assert_array_equal(aligned, [[0.25, 0.0, 0.75]])
