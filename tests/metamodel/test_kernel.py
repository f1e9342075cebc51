"""Laws of kernel ridge regression on meta-features."""

from __future__ import annotations

import numpy as np
import pytest

from autometa.metamodel.kernel import KernelSmoother


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 5))
    results = np.column_stack([np.sin(X[:, 0]), X[:, 0] + X[:, 1]])
    X[rng.random(X.shape) < 0.05] = np.nan
    return X, results, np.array([f"f{i // 2}" for i in range(60)])


def test_weights_sum_to_one_and_a_left_out_family_never_speaks(problem):
    X, _, families = problem
    weights = KernelSmoother(X, families).weights(X, [(family,) for family in families])
    assert weights.sum(axis=1) == pytest.approx(np.ones(60))
    assert (weights[families[:, None] == families] == 0).all()
    assert (weights != 0).sum(axis=1).tolist() == [58] * 60


def test_leaving_a_family_out_is_never_having_seen_its_results(problem):
    X, results, families = problem
    kept = families != "f3"
    without = KernelSmoother(X, families).weights(X[6:7], [("f3",)])[:, kept] @ results[kept]
    changed = np.where(kept[:, None], results, 99.0)
    assert KernelSmoother(X, families).weights(X[6:7], [("f3",)]) @ changed == pytest.approx(without)


def test_what_varies_with_the_metafeatures_is_predicted(problem):
    X, results, families = problem
    exclude = [(family,) for family in families]
    predicted = KernelSmoother(X, families).weights(X, exclude) @ results
    error = ((predicted - results) ** 2).mean(axis=0)
    assert (error < 0.5 * results.var(axis=0)).all()


def test_units_and_outliers_do_not_matter(problem):
    X, _, families = problem
    there, here = KernelSmoother(X, families), KernelSmoother(np.exp(3 * X), families)
    assert here.weights(np.exp(3 * X[:5])) == pytest.approx(there.weights(X[:5]))


def test_who_lacks_all_meta_features_is_like_the_middle(problem):
    X, _, families = problem
    nothing, middle = np.full((1, 5), np.nan), np.nanmedian(X, axis=0)[None, :]
    smoother = KernelSmoother(X, families)
    assert smoother.weights(nothing) == pytest.approx(smoother.weights(middle), abs=0.02)


def test_when_all_are_excluded_all_speak(problem):
    X, _, families = problem
    smoother = KernelSmoother(X, families)
    assert smoother.weights(X[:1], [tuple(families)]) == pytest.approx(smoother.weights(X[:1]))


def test_importance_decides_between_contradicting_tasks(problem):
    X, _, families = problem
    twice, results = np.vstack([X, X]), np.repeat([0.0, 1.0], 60)
    names = np.concatenate([families, families])
    plain = KernelSmoother(twice, names).weights(X) @ results
    trusted = KernelSmoother(twice, names, np.repeat([1.0, 9.0], 60)).weights(X) @ results
    assert plain == pytest.approx(np.full(60, 0.5))
    assert (trusted > 0.6).all()
