"""What a search from nothing would have been expected to reach, from what was run on the nearest known tables."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

if TYPE_CHECKING:
    from autometa.recommendation import Recommendations

FloatArray = NDArray[np.float64]

_TASKS: Final = 10
_RUNS: Final = 20  # a table with fewer says little about a search


def expected_regret(found: Recommendations, n_trials: int) -> FloatArray | None:
    """Return the regret that random trials leave on the nearest known tables, after 1 to `n_trials` of them.

    On each table the trials are drawn without replacement from the space-filling design that was run there. Regret is
    0 at the best known there and 1 at the median of the library defaults, clipped to [0, 2].

    Parameters
    ----------
    found : Recommendations
    n_trials : int

    Returns
    -------
    ndarray of shape (n_trials,) or None
        The mean over at most ten tables; None where none of them has runs of defaults and enough others.
    """
    regrets = []
    for configurations, levels in found.past_runs:
        values = np.asarray(levels, dtype="float64")
        origin = np.array([c.origin for c in configurations], dtype=object)
        known = np.isfinite(values)
        # What a search found there is no random draw, but counts in what is the best known.
        drawn = values[known & (origin != "tuned")]
        defaults = values[known & (origin == "default")]
        if len(drawn) < _RUNS or not len(defaults):
            continue
        best, usual = values[known].max(), float(np.median(defaults))
        if best - usual <= 1e-9:
            continue
        regrets.append(expected_best(np.clip((best - drawn) / (best - usual), 0.0, 2.0), n_trials))
        if len(regrets) == _TASKS:
            break
    return np.mean(regrets, axis=0) if regrets else None


def expected_best(losses: FloatArray, n_draws: int) -> FloatArray:
    """Return the expected least of 1 to `n_draws` losses that are drawn without replacement.

    The i-th smallest of m is the least of n draws with probability C(m - i, n - 1) / C(m, n).

    Parameters
    ----------
    losses : ndarray of shape (m,)
    n_draws : int
        From m draws on, the least is sure.
    """
    ordered, m = np.sort(losses), len(losses)
    rank = np.arange(1, m + 1)
    found = np.full(n_draws, ordered[0])
    for n in range(1, min(n_draws, m) + 1):
        left = m - rank
        log = np.full(m, -math.inf)
        fits = left >= n - 1
        log[fits] = gammaln(left[fits] + 1) - gammaln(n) - gammaln(left[fits] - n + 2)
        found[n - 1] = ordered @ np.exp(log - (gammaln(m + 1) - gammaln(n + 1) - gammaln(m - n + 1)))
    return found
