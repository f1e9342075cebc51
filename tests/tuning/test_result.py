"""The posterior stays between what was measured and what was expected; members refitted are one estimator."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra.numpy import arrays
from stand_in import tune

from autometa.tuning import posterior_scores

NAN = np.full(4, np.nan)


@given(arrays(float, (6, 3), elements=st.floats(-1, 1)), arrays(float, 6, elements=st.floats(-1, 1)))
def test_it_lies_between_the_mean_and_the_shifted_prior(folds, expected) -> None:
    scores = folds.mean(axis=1)
    prior = expected + np.median(scores - expected)
    found = posterior_scores(folds, expected, np.full(6, 0.1))
    assert np.all(found >= np.minimum(scores, prior) - 1e-9)
    assert np.all(found <= np.maximum(scores, prior) + 1e-9)


@given(arrays(float, (5, 3), elements=st.floats(-1, 1)), st.floats(-10, 10), st.floats(0.5, 20))
def test_it_moves_with_the_scale(folds, shift, scale) -> None:
    expected, spread = np.linspace(0, 1, 5), np.full(5, 0.2)
    one = posterior_scores(folds, expected, spread)
    other = posterior_scores(shift + scale * folds, shift + scale * expected, scale * spread)
    np.testing.assert_allclose(other, shift + scale * one, atol=1e-6)


def test_without_noise_the_mean_stands() -> None:
    folds = np.repeat([[0.1], [0.5], [0.7], [0.9]], 3, axis=1)
    np.testing.assert_allclose(posterior_scores(folds, NAN, NAN), folds[:, 0])


def test_what_the_folds_do_to_all_alike_is_no_noise() -> None:
    effect = np.array([0.0, 0.3, -0.2])
    folds = np.array([[0.1], [0.5], [0.7], [0.9]]) + effect
    np.testing.assert_allclose(posterior_scores(folds, NAN, NAN), folds.mean(axis=1))


def test_the_luckiest_unlikely_configuration_does_not_win() -> None:
    """Two equal means; one was expected to be good, and the other one's folds disagree."""
    folds = np.array([[0.80, 0.81, 0.80], [0.60, 0.90, 0.93], [0.70, 0.70, 0.71], [0.60, 0.61, 0.60]])
    found = posterior_scores(folds, np.array([0.8, 0.6, 0.7, 0.6]), np.full(4, 0.02))
    assert folds.mean(axis=1).argmax() == 1
    assert found.argmax() == 0


def test_an_outlier_is_not_shrunk_to_what_was_expected_of_it() -> None:
    """Seen in a search: the others came as expected, and what fell far short was ranked first by its expectation."""
    expected = np.array([0.96, 0.938, 0.937, 0.935, 0.93, 0.925, 0.92])
    means = expected - 0.02
    means[0] = 0.855
    folds = means[:, None] + 0.02 * np.array([-1.0, 0.5, 1.0, -0.5, 0.0]) * np.linspace(0.6, 1.4, 7)[:, None]
    found = posterior_scores(folds, expected, np.full(7, 0.05))
    assert found[0] < 0.87
    assert found.argmax() == 1
    # The others are shrunk as before.
    alone = posterior_scores(folds[1:], expected[1:], np.full(6, 0.05))
    assert np.abs(found[1:] - alone).max() < 0.005


@pytest.mark.parametrize("folds", [np.array([[0.3]]), np.array([[0.3], [0.5]]), np.array([[0.3, 0.4]])])
def test_one_trial_or_one_fold(folds) -> None:
    n = len(folds)
    assert np.isfinite(posterior_scores(folds, np.full(n, np.nan), np.full(n, np.nan))).all()
    assert np.isfinite(posterior_scores(folds, np.full(n, 0.5), np.full(n, 0.1))).all()


def test_the_members_refitted_are_one_estimator_of_scikit_learn(iris) -> None:
    X, y = iris
    result = tune(X, y, n_trials=2, cv=2, algorithms=["linear", "knn"], random_state=0)
    one = result.refitted()
    assert type(one).__module__.startswith("sklearn.")
    np.testing.assert_allclose(one.predict_proba(X).sum(axis=1), 1.0)
    assert one.score(X, y) > np.mean(y == y.mode()[0])
