"""Configurations seen as weighted means of others."""

from __future__ import annotations

import numpy as np
import pytest

from autometa.metamodel.interpolation import fill_from_others, weights_of_others

ENCODED = np.array([[0.0], [0.1], [1.0], [0.5]])
ALGORITHMS = ["a", "a", "a", "b"]


def test_others_are_those_of_the_algorithm_and_near_ones_count_more():
    weights = weights_of_others(ENCODED, ALGORITHMS)
    assert np.diag(weights) == pytest.approx(0)
    assert weights.sum(axis=1) == pytest.approx([1, 1, 1, 0])
    assert weights[0, 1] > weights[0, 2] > 0
    assert weights[0, 3] == 0


def test_holes_are_filled_within_the_row_and_the_algorithm():
    weights = weights_of_others(ENCODED, ALGORITHMS)
    table = np.array([[np.nan, 2.0, 4.0, 9.0], [1.0, np.nan, np.nan, np.nan], [np.nan] * 4])
    filled = fill_from_others(table, weights)
    assert 2.0 < filled[0, 0] < 2.1
    assert filled[1, :3] == pytest.approx(1.0)
    assert np.isnan(filled[1, 3])
    assert np.isnan(filled[2]).all()
    known = np.isfinite(table)
    assert (filled[known] == table[known]).all()


def test_a_full_table_stays_as_it_is():
    table = np.arange(8.0).reshape(2, 4)
    assert fill_from_others(table, weights_of_others(ENCODED, ALGORITHMS)) is table
