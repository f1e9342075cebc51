"""How results change with the number of training rows: a power law of the error for each configuration.

What is left to a perfect score falls as ``n ** -exponent`` (Viering and Loog 2022, The shape of learning curves,
section 3.1). Exponents are seen where a task was run at several fidelities. Elsewhere they are expected: that of the
algorithm, moved by what the task's own cells or those of similar tasks show.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

LEAST_ERROR: Final = 0.01
MAX_ERROR: Final = 1.5
MAX_EXPONENT: Final = 1.0
MAX_RATIO: Final = 32.0
PRIOR_CELLS: Final = 4.0
PRIOR_SHARE: Final = 0.2
MAX_REGRET: Final = 2.0
LEAST_GAP: Final = 1e-4


def observed_exponents(levels: Sequence[FloatArray], rows: Sequence[FloatArray]) -> FloatArray:
    """Fit exponents where a cell is known at several fidelities.

    Parameters
    ----------
    levels : sequence of ndarray of shape (n_tasks, n_configurations)
        At each fidelity, the share of the way from a constant prediction to a perfect one. NaN where not known.
    rows : sequence of ndarray of shape (n_tasks,)
        Training rows at each fidelity; NaN where a task was not run.

    Returns
    -------
    ndarray of shape (n_tasks, n_configurations)
        By least squares on the logarithms; NaN where no two numbers of rows are known.
    """
    y = np.log(np.maximum(1.0 - np.array(levels), LEAST_ERROR))
    x = np.where(np.isfinite(y), np.log(np.array(rows))[:, :, None], np.nan)
    y = np.where(np.isfinite(x), y, np.nan)
    counts = np.maximum(np.isfinite(x).sum(axis=0), 1)
    x, y = (a - np.nansum(a, axis=0) / counts for a in (x, y))
    variance = np.nansum(x * x, axis=0)
    slope = np.divide(
        np.nansum(x * y, axis=0), variance, out=np.full(variance.shape, np.nan), where=variance > 0.1
    )
    return np.clip(-slope, -MAX_EXPONENT, MAX_EXPONENT)


def expected_exponents(
    observed: FloatArray, levels: FloatArray, similarity: FloatArray, algorithms: Sequence[str]
) -> FloatArray:
    """Fill what was not observed, and shrink what was.

    Cells count by the square of what is left to a perfect score, since that is what an exponent moves: the means are
    those of least squares on levels.

    Parameters
    ----------
    observed, levels : ndarray of shape (n_tasks, n_configurations)
    similarity : ndarray of shape (n_tasks, n_tasks)
        How much each task says about each other one; rows sum to 1.
    algorithms : sequence of str, one for each configuration

    Returns
    -------
    ndarray of shape (n_tasks, n_configurations)
        0 everywhere where nothing was observed.
    """
    known = np.isfinite(observed) & np.isfinite(levels)
    mass = np.where(known, np.clip(1.0 - levels, LEAST_ERROR, MAX_ERROR) ** 2, 0.0)
    if not known.any():
        return np.zeros(observed.shape)
    unit, values = mass.sum() / known.sum(), np.where(known, observed, 0.0)
    usual = _means_by_algorithm(values, mass, algorithms)
    deviations = mass * (values - usual)
    # The effect of a task, as far as its own cells tell, and as far as similar tasks do.
    total = mass.sum(axis=1)
    own = deviations.sum(axis=1) / (total + PRIOR_CELLS * unit)
    told = similarity @ own / (similarity @ (total / (total + PRIOR_CELLS * unit)) + PRIOR_SHARE)
    effect = (deviations.sum(axis=1) + PRIOR_CELLS * unit * told) / (total + PRIOR_CELLS * unit)
    expected = usual + effect[:, None]
    return np.asarray((mass * values + PRIOR_CELLS * unit * expected) / (mass + PRIOR_CELLS * unit))


def _means_by_algorithm(values: FloatArray, mass: FloatArray, algorithms: Sequence[str]) -> FloatArray:
    """Weighted mean of the cells of each column's algorithm; of all cells where there are none."""
    means = np.full(values.shape[1], (mass * values).sum() / mass.sum())
    for name in set(algorithms):
        own = np.array([a == name for a in algorithms])
        if mass[:, own].any():
            means[own] = (mass[:, own] * values[:, own]).sum() / mass[:, own].sum()
    return means


def levels_at(levels: FloatArray, exponents: FloatArray, ratio: FloatArray) -> FloatArray:
    """Move levels to more training rows.

    Parameters
    ----------
    levels, exponents : ndarray of shape (n_tasks, n_configurations)
    ratio : ndarray of shape (n_tasks,)
        How many times as many rows are asked for; clipped to [1, 32].
    """
    times = np.clip(ratio, 1.0, MAX_RATIO)[:, None]
    return np.asarray(np.maximum(1.0 - (1.0 - levels) * times**-exponents, -1.0))


def regrets_at(
    regrets: FloatArray, levels: FloatArray, moved: FloatArray, defaults: Sequence[int]
) -> FloatArray:
    """Return regrets that go with moved levels.

    The best known result may be a tuned one, which has no level of its own: it keeps its lead.

    Parameters
    ----------
    regrets, levels, moved : ndarray of shape (n_tasks, n_configurations)
        `regrets` belong to `levels`; a failed run has a regret and no level.
    defaults : sequence of int
        Columns whose median has the regret 1.
    """
    failed = np.isfinite(regrets) & ~np.isfinite(levels)
    lead, gap = _scale(np.where(failed, -1.0, levels), regrets, defaults)
    filled = np.where(failed, -1.0, moved)
    best = _best(filled)
    new_gap = best - np.nanmedian(filled[:, list(defaults)], axis=1) + lead
    found = (best + lead)[:, None] - filled
    usable = (gap > LEAST_GAP) & (new_gap > LEAST_GAP)
    result = np.clip(found / np.where(usable, new_gap, 1.0)[:, None], 0.0, MAX_REGRET)
    result = np.where(failed, MAX_REGRET, result)
    return np.where(usable[:, None] & np.isfinite(regrets), result, regrets)


def _scale(levels: FloatArray, regrets: FloatArray, defaults: Sequence[int]) -> tuple[FloatArray, FloatArray]:
    """Return, in levels, how far the best known result leads the best here, and its distance to the defaults."""
    least = np.nanmin(np.where(np.isfinite(regrets), regrets, np.inf), axis=1)
    least = np.clip(np.where(np.isfinite(least), least, 0.0), 0.0, 0.95)
    way = np.maximum(_best(levels) - np.nanmedian(levels[:, list(defaults)], axis=1), 0.0)
    gap = way / (1.0 - least)
    return least * gap, gap


def _best(levels: FloatArray) -> FloatArray:
    return np.asarray(np.nanmax(np.where(np.isfinite(levels), levels, -np.inf), axis=1))
