"""Greedy portfolios: sets of configurations that together leave little regret."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

# The README promises a library default among the first five; it costs no regret that could be measured.
SAFE_PLACE: Final = 5
# With a rival, on large tables: best of the first 3, 5 and 10 for classification -.014 +- .015, -.014 +- .008 and
# -.008 +- .005 with 8,000 training rows, where the best default there would cost .028 +- .028 after three.
RIVAL_PLACE: Final = 3


def greedy_portfolio(
    regrets: NDArray[np.float64],
    k: int,
    *,
    weights: NDArray[np.float64] | None = None,
    start: Sequence[int] = (),
    costs: NDArray[np.float64] | None = None,
) -> list[int]:
    """Choose candidates one after the other, each the one that lowers the mean regret of the best so far most.

    The greedy choice is within a factor 1 - 1/e of the best set, since the gain is submodular (Nemhauser, Wolsey and
    Fisher 1978); as a portfolio of configurations it is that of Feurer et al. (2022, Auto-sklearn 2.0).

    Parameters
    ----------
    regrets : ndarray of shape (n_tasks, n_candidates)
        Lower is better; NaN counts as no information and is filled with the candidate's mean.
    k : int
        How many to choose; fewer are returned when there are fewer candidates.
    weights : ndarray of shape (n_tasks,), optional
        How much each task counts; uniform by default.
    start : sequence of int, default=()
        Candidates that are in the set already; they come first in the result.
    costs : ndarray of shape (n_candidates,), optional
        All but the first are chosen by what they gain per unit of cost.

    Returns
    -------
    list of int
        Columns of `regrets`, in the order of choice, without repetition.
    """
    filled = fill_with_column_means(regrets)
    weights = np.full(len(filled), 1.0 / len(filled)) if weights is None else weights / weights.sum()
    chosen = list(start)[:k]
    best = filled[:, chosen].min(axis=1) if chosen else np.full(len(filled), filled.max(initial=1.0))
    while len(chosen) < min(k, filled.shape[1]):
        gains = weights @ np.maximum(best[:, None] - filled, 0.0)
        if costs is not None and chosen:
            gains = gains / costs
        # Candidates that add nothing are told apart by their own mean.
        gains = gains - 1e-6 * (weights @ filled)
        gains[chosen] = -np.inf
        pick = int(np.argmax(gains))
        chosen.append(pick)
        best = np.minimum(best, filled[:, pick])
    return chosen


def safe_portfolio(
    regrets: NDArray[np.float64],
    k: int,
    *,
    weights: NDArray[np.float64],
    expected: NDArray[np.float64],
    defaults: Sequence[int],
    first: int | None = None,
    rival: int | None = None,
    costs: NDArray[np.float64] | None = None,
) -> list[int]:
    """Choose a greedy portfolio with a library default among the first five, with a rival among the first three.

    Nobody who tries the first few then ends below the most promising default.

    Parameters
    ----------
    regrets, k, weights, costs
        See :func:`greedy_portfolio`.
    expected : ndarray of shape (n_candidates,)
        Expected regret, by which the defaults are compared.
    defaults : sequence of int
        Columns that are library defaults; if none stands before ``SAFE_PLACE``, the best of them stands there.
    first : int, optional
        Column that leads; by default that of the least weighted mean.
    rival : int, optional
        The default that people have at hand: if none stands before ``RIVAL_PLACE``, this one stands there.
    """
    start = [] if first is None else [first]
    place, safe = (SAFE_PLACE, defaults) if rival is None else (RIVAL_PLACE, [rival])
    chosen = greedy_portfolio(regrets, min(k, place - 1), weights=weights, start=start, costs=costs)
    if k >= place and len(defaults) and not set(chosen) & set(defaults):
        chosen.append(min(safe, key=lambda i: expected[i]))
    return greedy_portfolio(regrets, k, weights=weights, start=chosen, costs=costs)


def fill_with_column_means(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fill NaN with the mean of the column, and columns without any value with the mean of all."""
    known = np.isfinite(table)
    if known.all():
        return table
    counts = known.sum(axis=0)
    sums = np.where(known, table, 0.0).sum(axis=0)
    overall = sums.sum() / max(counts.sum(), 1)
    means = np.divide(sums, counts, out=np.full(table.shape[1], overall), where=counts > 0)
    return np.where(known, table, means)
