"""Weights of a mean: they make the expected loss least, and stay near what was given where nothing is known."""

from __future__ import annotations

import numpy as np
import pytest

from autometa.recommendation.mixing import DIFFERENCE, FAITH, LEARNED, OPEN, Mixing, decades

NAMES = ["linear", "lightgbm", "random_forest", "svm"]
ALIKE = Mixing((0.0,) * 5, {}, {}, 0.3)


def weigh(mixing, before=None, size=4, regret=None, rows=600, names=NAMES):
    regret = np.zeros(len(names)) if regret is None else np.asarray(regret)
    before = np.full(len(names), 1.0 / len(names)) if before is None else np.asarray(before)
    return mixing.weigh(names, regret, rows, before, size, is_regression=False)


@pytest.mark.parametrize("mixing", [ALIKE, LEARNED])
@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_weights_are_shares_of_so_many_at_most(mixing, size):
    weights = weigh(mixing, size=size, regret=[0.1, 0.0, 0.4, 0.2])
    assert weights.sum() == pytest.approx(1)
    assert (weights >= 0).all()
    assert (weights > 0).sum() == size


def test_nothing_moves_where_nothing_is_known_of_who_differs():
    weights = weigh(ALIKE)
    assert weights == pytest.approx(0.25)
    assert weigh(ALIKE, regret=[0.0, 0.3, 0.6, 0.9]) == pytest.approx(0.25)  # its slopes are nought
    assert weigh(ALIKE, [0.7, 0.1, 0.1, 0.1])[0] > 0.3


def test_who_is_worse_counts_less_and_who_differs_counts_more():
    worse = Mixing((0.0,) * 5, {"svm": (0.1, 0.0)}, {}, 0.3)
    assert np.argmin(weigh(worse)) == NAMES.index("svm")
    far = {("lightgbm", "linear"): 0.6, ("linear", "random_forest"): 0.6, ("linear", "svm"): 0.6}
    assert np.argmax(weigh(Mixing((0.0,) * 5, {}, far, 0.3))) == NAMES.index("linear")


def test_a_level_goes_with_the_rows_within_the_sizes_that_are_known():
    grows = Mixing((0.0,) * 5, {"linear": (0.0, 0.2)}, {}, 0.3)
    few, many, most = (weigh(grows, rows=n)[0] for n in (100, 1_500, 10**7))
    assert few > many == pytest.approx(most)
    assert decades(10) == decades(100)


@pytest.mark.parametrize("seed", range(4))
def test_no_other_weights_are_expected_to_be_better(seed):
    rng = np.random.default_rng(seed)
    regret, before = rng.uniform(0, 0.5, 4), rng.dirichlet(np.ones(4))
    found = weigh(LEARNED, before, regret=regret)
    levels = LEARNED.expected_levels(NAMES, regret, 600, is_regression=False)
    apart = LEARNED.distances(NAMES)
    start = (1 - OPEN) * before + OPEN / 4

    def expected(weights):
        kept = FAITH * np.sum(weights * (np.log(weights / start) - 1))
        return weights @ levels - DIFFERENCE / 2 * weights @ apart @ weights + kept

    others = [0.9 * found + 0.1 * rng.dirichlet(np.ones(4)) for _ in range(200)]
    assert expected(found) <= min(map(expected, others)) + 1e-4
