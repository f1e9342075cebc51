"""Metrics: their names, direction, and how they stand to scikit-learn's scorers."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from refusals import refused
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import check_scoring, get_scorer_names, make_scorer, mean_absolute_error

from autometa import metrics
from autometa.errors import UsageError
from autometa.metrics import as_gain, known_metrics, resolve_metric, stored_metrics

CASES = [(name, kind) for kind in ("binary", "multiclass", "regression") for name in known_metrics(kind)]


@pytest.fixture(scope="module")
def models():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(90, 3))
    regression = X[:, 0] + rng.normal(size=90)
    binary = (regression > 0).astype(int)
    multiclass = np.digitize(regression, [-0.7, 0.7])
    return {
        "binary": (LogisticRegression(), X, binary),
        "multiclass": (LogisticRegression(), X, multiclass),
        "regression": (LinearRegression(), X, 20 + regression),  # positive, as some metrics ask for
    }


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_the_scorer_is_known_to_scikit_learn_and_agrees_in_sign(name, kind, models):
    metric = resolve_metric(name, kind)
    estimator, X, y = models[kind]
    estimator.fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", UndefinedMetricWarning
        )  # of two classes, two guesses hold the right one
        gain = check_scoring(estimator, scoring=metric.scorer)(estimator, X, y)
    assert metric.scorer in get_scorer_names()
    assert np.isfinite(gain)
    # A lower-is-better metric is not negative in natural units.
    assert metric.greater_is_better or metric.sign * gain >= 0
    assert metric.greater_is_better != str(metric.scorer).startswith("neg_")


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_every_metric_stands_for_a_stored_one_of_its_kind(name, kind):
    metric = resolve_metric(name, kind)
    assert metric.stored in stored_metrics(kind)
    assert metric.is_proxied == (metric.name != metric.stored)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_stored_metrics_stand_for_themselves_and_hold_the_default(kind):
    assert resolve_metric(None, kind).name in stored_metrics(kind)
    for name in stored_metrics(kind):
        assert not resolve_metric(name, kind).is_proxied


def test_the_contract_names_the_stored_metrics():
    assert set(stored_metrics("binary")) == {
        "accuracy",
        "balanced_accuracy",
        "roc_auc",
        "log_loss",
        "f1_macro",
    }
    assert stored_metrics("binary") == stored_metrics("multiclass")
    assert set(stored_metrics("regression")) == {"r2", "rmse", "mae"}


@pytest.mark.parametrize(
    ("given", "meant", "kind"),
    [
        ("neg_log_loss", "log_loss", "binary"),
        ("neg_root_mean_squared_error", "rmse", "regression"),
        ("root_mean_squared_error", "rmse", "regression"),
        ("neg_mean_absolute_error", "mae", "regression"),
        ("neg_max_error", "max_error", "regression"),
        ("accuracy_score", "accuracy", "multiclass"),
        ("roc_auc_score", "roc_auc", "binary"),
        (" r2 ", "r2", "regression"),
    ],
)
def test_signs_and_endings_of_scikit_learns_names_do_not_matter(given, meant, kind):
    assert resolve_metric(given, kind) == resolve_metric(meant, kind)


@pytest.mark.parametrize(
    ("name", "kind", "hint"),
    [
        ("acuracy", "binary", "'accuracy'"),
        ("r2", "binary", "roc_auc"),
        ("roc_auc", "regression", "rmse"),
        ("nonsense", "regression", "r2"),
        ("f1", "multiclass", "f1_macro"),
        ("", "binary", "accuracy"),
    ],
)
def test_a_metric_that_is_unknown_or_does_not_fit_is_refused_with_a_cure(name, kind, hint):
    with pytest.raises(UsageError, match=hint) as caught:
        resolve_metric(name, kind)
    assert caught.value.code == "AM107"


def test_a_scorer_of_the_user_is_taken_as_it_is():
    def profit(estimator, X, y):
        return 1.0

    metric = resolve_metric(profit, "binary")
    assert metric.name == "profit"
    assert metric.greater_is_better
    assert metric.is_proxied
    scorer = make_scorer(mean_absolute_error, greater_is_better=False)
    assert resolve_metric(scorer, "regression").name == "mean_absolute_error"


@pytest.mark.parametrize("kind", ["binary", "regression"])
def test_gains_turn_only_lower_is_better_round(kind):
    values = np.array([0.25, 0.5])
    for name in stored_metrics(kind):
        sign = resolve_metric(name, kind).sign
        np.testing.assert_array_equal(as_gain(values, name), sign * values)


# Scorers of clusters, and of rows that have several labels.
OF_OTHER_KINDS = {
    *("adjusted_mutual_info_score", "adjusted_rand_score", "completeness_score", "fowlkes_mallows_score"),
    *(
        "homogeneity_score",
        "mutual_info_score",
        "normalized_mutual_info_score",
        "rand_score",
        "v_measure_score",
    ),
    *("f1_samples", "jaccard_samples", "precision_samples", "recall_samples"),
}


@pytest.mark.parametrize("name", sorted(set(get_scorer_names()) - OF_OTHER_KINDS))
def test_every_scorer_of_scikit_learn_is_taken_by_its_name(name):
    kind = "regression" if name in metrics._REGRESSION_SCORERS else "binary"
    metric = resolve_metric(name, kind)
    assert metric.scorer == name
    assert metric.stored in stored_metrics(kind)
    assert metric.greater_is_better != name.startswith("neg_")
    with pytest.raises(UsageError):
        resolve_metric(name, "binary" if kind == "regression" else "regression")


@pytest.mark.parametrize("name", sorted(OF_OTHER_KINDS & set(get_scorer_names())))
def test_scorers_of_clusters_and_of_many_labels_are_refused(name):
    for kind in ("binary", "regression"):
        with refused(UsageError, "AM107"):
            resolve_metric(name, kind)
