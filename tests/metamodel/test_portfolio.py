"""Laws of greedy portfolios."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from hypothesis import given, strategies as st
from hypothesis.extra.numpy import arrays

from autometa.metamodel.forest import fill_with_column_means
from autometa.metamodel.neighbourhood import RIVAL_PLACE, SAFE_PLACE, greedy_portfolio, safe_portfolio

tables = arrays(
    "float64", st.tuples(st.integers(1, 6), st.integers(1, 7)), elements=st.floats(0, 2, width=32)
)


@given(tables, st.integers(1, 9))
def test_distinct_and_as_many_as_asked(table, k):
    chosen = greedy_portfolio(table, k)
    assert len(chosen) == len(set(chosen)) == min(k, table.shape[1])


@given(tables)
def test_the_first_is_the_best_on_average(table):
    first = greedy_portfolio(table, 1)[0]
    assert table.mean(axis=0)[first] <= table.mean(axis=0).min() + 1e-4


@given(tables)
def test_a_longer_portfolio_begins_with_the_shorter(table):
    assert greedy_portfolio(table, 5)[:3] == greedy_portfolio(table, 3)


@given(tables)
def test_within_the_greedy_bound_of_the_best_pair(table):
    pair = greedy_portfolio(table, 2)
    best = min(
        (table[:, list(c)].min(axis=1).mean() for c in combinations(range(table.shape[1]), len(pair))),
        default=0,
    )
    gain, best_gain = 2 - table[:, pair].min(axis=1).mean(), 2 - best
    assert gain >= (1 - 1 / np.e) * best_gain - 1e-3


def test_weights_decide():
    table = np.array([[0.0, 1.0], [1.0, 0.0]])
    assert greedy_portfolio(table, 1, weights=np.array([0.9, 0.1])) == [0]
    assert greedy_portfolio(table, 1, weights=np.array([0.1, 0.9])) == [1]


@given(tables, st.data())
def test_a_default_stands_among_the_first(table, data):
    n = table.shape[1]
    defaults = data.draw(st.lists(st.integers(0, n - 1), unique=True, min_size=1))
    rival = data.draw(st.sampled_from([None, *defaults]))
    chosen = safe_portfolio(
        table, 7, weights=np.ones(len(table)), expected=table.mean(axis=0), defaults=defaults, rival=rival
    )
    assert len(chosen) == len(set(chosen)) == min(7, n)
    assert set(chosen[: SAFE_PLACE if rival is None else RIVAL_PLACE]) & set(defaults)


def test_costs_decide_between_gains():
    table = np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 0.1], [1.0, 1.0, 1.0]])
    assert greedy_portfolio(table, 2, start=[0]) == [0, 1]
    assert greedy_portfolio(table, 2, start=[0], costs=np.array([1.0, 10.0, 1.0])) == [0, 2]


@given(arrays("float64", (3, 4), elements=st.one_of(st.just(np.nan), st.floats(0, 1))))
def test_filling_keeps_what_is_known(table):
    filled = fill_with_column_means(table)
    known = np.isfinite(table)
    assert np.isfinite(filled).all()
    assert (filled[known] == table[known]).all()
