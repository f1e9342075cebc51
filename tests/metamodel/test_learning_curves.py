"""Learning curves: what was made by a power law is found again, and what was not seen is expected from what was."""

from __future__ import annotations

import numpy as np
import pytest

from autometa.metamodel.learning_curves import (
    expected_exponents,
    levels_at,
    observed_exponents,
    regrets_at,
)


def curve(rows, exponent, factor=2.0):
    return 1.0 - factor * np.asarray(rows, dtype=float) ** -exponent


@pytest.fixture
def levels() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.sort(rng.uniform(0.2, 0.9, (6, 5)), axis=1)


def test_an_exponent_is_found_where_two_numbers_of_rows_are_known():
    rows = [np.full(2, 500.0), np.full(2, 1000.0), np.array([2000.0, np.nan])]
    levels = [np.array([[curve(n, 0.3), curve(n, 0.1)], [curve(n, 0.2), np.nan]]) for n in (500, 1000, 2000)]
    levels[2][1] = np.nan
    found = observed_exponents(levels, rows)
    assert found[0] == pytest.approx([0.3, 0.1])
    assert found[1, 0] == pytest.approx(0.2)
    assert np.isnan(found[1, 1])


def test_one_number_of_rows_says_nothing():
    found = observed_exponents([np.full((2, 3), 0.5)], [np.full(2, 1000.0)])
    assert np.isnan(found).all()
    assert (expected_exponents(found, np.full((2, 3), 0.5), np.full((2, 2), 0.5), ["a", "a", "b"]) == 0).all()


def test_what_was_not_observed_follows_the_algorithm_and_similar_tasks():
    observed = np.array([[0.1, 0.1, 0.3, np.nan], [0.3, 0.3, 0.5, np.nan], [np.nan] * 4, [np.nan] * 4])
    similarity = np.array([[0.0, 1.0, 0, 0], [1.0, 0, 0, 0], [1.0, 0, 0, 0], [0.0, 1.0, 0, 0]])
    found = expected_exponents(observed, np.full((4, 4), 0.5), similarity, ["a", "a", "b", "b"])
    assert np.isfinite(found).all()
    assert (found[:, 3] > found[:, 0]).all(), "the algorithm that gains more from rows elsewhere"
    assert (found[3] > found[2]).all(), "the task that is like the one that gains more"


def test_levels_stay_where_the_rows_are_the_same(levels):
    exponents = np.full(levels.shape, 0.3)
    assert levels_at(levels, exponents, np.full(6, 0.9)) == pytest.approx(levels)
    assert (levels_at(levels, exponents, np.full(6, 8.0)) > levels).all()
    assert levels_at(levels, exponents, np.full(6, 1e12)).max() < 1


def test_regrets_stay_where_the_levels_do(levels):
    best, middle = (
        levels.max(axis=1, keepdims=True) + 0.05,
        np.median(levels[:, [0, 2, 4]], axis=1, keepdims=True),
    )
    regrets = np.clip((best - levels) / (best - middle), 0, 2)
    regrets[0, 0], levels[0, 0] = 2.0, np.nan
    assert regrets_at(regrets, levels, levels, [0, 2, 4])[1:] == pytest.approx(regrets[1:])
    assert regrets_at(regrets, levels, levels, [0, 2, 4])[0, 0] == 2.0


def test_who_gains_more_from_rows_has_less_regret_with_more_of_them(levels):
    regrets = np.clip(
        (levels.max(axis=1, keepdims=True) - levels)
        / (levels.max(axis=1, keepdims=True) - np.median(levels, axis=1, keepdims=True)),
        0,
        2,
    )
    exponents = np.zeros(levels.shape)
    exponents[:, 3] = 0.5
    moved = levels_at(levels, exponents, np.full(6, 16.0))
    found = regrets_at(regrets, levels, moved, range(5))
    assert (found[:, 3] <= regrets[:, 3]).all()
    assert (found[:, 4] >= regrets[:, 4]).all()
