"""Which known tasks speak for a new one: laws of the kernel, and of forest and kernel together."""

from __future__ import annotations

import numpy as np
import pytest

from autometa.metamodel.similarity import KernelSmoother, Similarity


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


@pytest.fixture(scope="module")
def similarity(problem):
    X, results, families = problem
    return Similarity.fit(X, results, families.tolist())


def test_shares_are_a_distribution_and_both_leave_the_family_out(problem, similarity):
    X, _, families = problem
    found = similarity.weigh(X, [(family,) for family in families])
    assert (found.shares >= 0).all()
    for weights in (found.shares, found.signed):
        assert weights.sum(axis=1) == pytest.approx(np.ones(60))
        assert (weights[families[:, None] == families] == 0).all()
    assert similarity.between == pytest.approx(found.shares)


def test_together_they_predict_no_worse_than_the_worse_half(problem, similarity):
    X, results, families = problem
    exclude = [(family,) for family in families]

    def error(weights):
        return ((weights @ results - results) ** 2).mean()

    halves = [error(half.weights(X, exclude)) for half in (similarity.forest, similarity.kernel)]
    assert error(similarity.weigh(X, exclude).signed) < max(halves)


def test_what_is_far_is_new_and_what_is_known_is_not(problem, similarity):
    X, _, families = problem
    assert similarity.novelty(X[0] + 1000.0) == 1.0
    known = [similarity.novelty(x, (family,)) for x, family in zip(X, families, strict=True)]
    assert np.median(known) < 0.05
    assert np.mean(np.array(known) < 0.5) > 0.95
    assert similarity.novelty(X[0], set(families)) == 1.0


def test_added_tasks_speak_as_much_more_as_they_are_told_to(problem, similarity):
    X, _, _ = problem
    new = X[:2] + 0.01
    once, often = (similarity.extended(new, ["new", "newer"], factor) for factor in (1.0, 5.0))
    assert (once.weigh(X[:2]).shares[:, -2:] > 0).any(axis=1).all()
    assert often.weigh(X[:2]).shares[:, -2:].sum() > once.weigh(X[:2]).shares[:, -2:].sum()
    assert (often.weigh(X[:2], [("new",)] * 2).shares[:, -2] == 0).all()


def test_arrays_round_trip(problem, similarity, tmp_path):
    np.savez_compressed(tmp_path / "similarity.npz", **similarity.to_arrays())
    with np.load(tmp_path / "similarity.npz", allow_pickle=False) as stored:
        loaded = Similarity.from_arrays({name: stored[name] for name in stored.files}, problem[0])
    assert loaded.weigh(problem[0]).signed == pytest.approx(similarity.weigh(problem[0]).signed)
    assert loaded.between == pytest.approx(similarity.between, abs=1e-3)
    assert loaded.novelty(problem[0][3]) == similarity.novelty(problem[0][3])
