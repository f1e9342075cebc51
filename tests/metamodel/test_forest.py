"""Laws of the learned similarity: weights are a distribution, and a left-out family never speaks."""

from __future__ import annotations

import numpy as np
import pytest

from autometa.metamodel.forest import ProximityForest, principal_components, weighted_mean


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 6))
    X[rng.random(X.shape) < 0.1] = np.nan
    truth = np.nan_to_num(X[:, [0]]) > 0
    results = np.where(truth, [[0.0, 1.0, 0.5]], [[1.0, 0.0, 0.5]]) + rng.normal(0, 0.02, (40, 3))
    families = [f"f{i // 2}" for i in range(40)]
    return X, results, families, truth[:, 0]


@pytest.fixture(scope="module")
def forest(problem):
    X, results, families, _ = problem
    return ProximityForest.fit(X, results, families, n_trees=60, random_state=0)


def test_weights_are_a_distribution(problem, forest):
    weights = forest.weights(problem[0])
    assert (weights >= 0).all()
    assert np.allclose(weights.sum(axis=1), 1)


def test_a_left_out_family_never_speaks(problem, forest):
    X, _, families, _ = problem
    weights = forest.weights(X, [(family,) for family in families])
    names = np.array(families)
    for row, family in zip(weights, families, strict=True):
        assert row[names == family].sum() == 0


def test_what_the_left_out_family_did_changes_nothing(problem, forest):
    X, results, _, _ = problem
    changed = results.copy()
    changed[:2] = 5.0
    mean, _ = weighted_mean(forest.weights(X[:1], [("f0",)]), results)
    other, _ = weighted_mean(forest.weights(X[:1], [("f0",)]), changed)
    assert np.array_equal(mean, other)


def test_near_means_that_the_same_do_well(problem, forest):
    X, results, families, truth = problem
    mean, _ = weighted_mean(forest.weights(X, [(family,) for family in families]), results)
    assert np.mean((mean[:, 0] < mean[:, 1]) == truth) > 0.85


def test_known_tasks_find_their_own_leaves():
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(50, 4)), rng.normal(size=(50, 2))
    forest = ProximityForest.fit(
        X, y, [str(i) for i in range(50)], n_trees=3, bag_fraction=1.0, max_features=1.0
    )
    for number in range(3):
        groups = forest.leaves[number]
        for leaf in np.unique(groups):
            assert (groups == leaf).sum() >= 2
    new = rng.normal(size=(20, 4))
    assert forest.apply(np.vstack([X, new]))[:50].T.tolist() == forest.leaves.tolist()


def test_the_same_seed_grows_the_same_trees(problem):
    X, results, families, _ = problem
    one, two = (ProximityForest.fit(X, results, families, n_trees=5, random_state=3) for _ in range(2))
    assert np.array_equal(one.threshold, two.threshold)


def test_arrays_round_trip(problem, forest, tmp_path):
    np.savez_compressed(tmp_path / "forest.npz", **forest.to_arrays())
    with np.load(tmp_path / "forest.npz", allow_pickle=False) as stored:
        loaded = ProximityForest.from_arrays({name: stored[name] for name in stored.files})
    assert np.array_equal(forest.weights(problem[0]), loaded.weights(problem[0]))


def test_a_forest_that_names_missing_nodes_is_refused(forest):
    arrays = forest.to_arrays()
    arrays["left"] = arrays["left"].copy()
    arrays["left"][0, 0] = 30_000
    with pytest.raises(ValueError, match="left"):
        ProximityForest.from_arrays(arrays)


def test_two_tasks_are_enough():
    forest = ProximityForest.fit(
        np.array([[0.0], [1.0]]), np.array([[0.0, 1.0], [1.0, 0.0]]), ["a", "b"], n_trees=5
    )
    assert np.allclose(forest.weights(np.array([[0.5]]), [("a",)]), [[0, 1]])


def test_mean_and_spread_are_those_of_the_weighted_column():
    mean, spread = weighted_mean(np.array([[0.5, 0.5]]), np.array([[1.0, 4.0], [3.0, 4.0]]))
    assert mean.tolist() == [[2.0, 4.0]]
    assert spread.tolist() == [[1.0, 0.0]]


def test_components_keep_distances():
    table = np.random.default_rng(0).normal(size=(12, 4)) @ np.random.default_rng(1).normal(size=(4, 30))
    reduced = principal_components(table, 4)
    distance = lambda t: np.linalg.norm(t[:, None] - t[None], axis=2)  # noqa: E731
    assert np.allclose(distance(table), distance(reduced))


def test_contributions_add_up_to_what_the_trees_say(problem, forest):
    X, results, _, _ = problem
    added = forest.contributions(X[3], forest.paths(X), results)
    leaf = forest.apply(X[[3]])[0]
    says = [
        results[bag & (leaves == own)].mean(axis=0) - results[bag].mean(axis=0)
        for bag, leaves, own in zip(forest.in_bag, forest.leaves, leaf, strict=True)
    ]
    assert added.sum(axis=0) == pytest.approx(np.mean(says, axis=0))


def test_what_decides_contributes_most(problem, forest):
    X, results, _, truth = problem
    for i in (0, 1, 2):
        if np.isfinite(X[i, 0]):
            added = forest.contributions(X[i], forest.paths(X), results)
            assert np.abs(added[:, 0]).argmax() == 0
            assert (added[0, 0] < 0) == truth[i]


def test_contributions_leave_the_excluded_out(problem, forest):
    X, results, families, _ = problem
    changed = results.copy()
    changed[[4, 5]] += 100.0
    assert families[4] == families[5] == "f2"
    assert forest.contributions(X[9], forest.paths(X), changed, ["f2"]) == pytest.approx(
        forest.contributions(X[9], forest.paths(X), results, ["f2"])
    )
