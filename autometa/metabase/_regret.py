"""Scores of one task as regrets and as levels, so that tasks compare: the one place where they are turned."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

# Twice as far from the best as the median default: how much worse still does not matter. A failure counts as much.
MAX_REGRET: Final = 2.0
# What is worse than the constant prediction by as much as that is by a perfect one.
LEAST_LEVEL: Final = -1.0
# Between the scores of a constant and of a perfect prediction there must be something.
LEAST_WAY: Final = 1e-12


def regret_of(gains: Any, best: Any, gap: Any, limit: float = MAX_REGRET) -> FloatArray:
    r"""Return normalised regrets.

    .. math:: \min(\max((best - gain) / gap, 0), limit)

    Parameters
    ----------
    gains : array-like
        Greater is better; NaN stays NaN.
    best, gap : array-like, broadcast against `gains`
        The best known, and its distance to what has the regret 1 (the median of the library defaults).
    limit : float, default=2
        What is worse counts as much.
    """
    regrets: FloatArray = np.clip((best - np.asarray(gains, dtype="float64")) / gap, 0.0, limit)
    return regrets


def level_of(scores: Any, worst: Any, perfect: Any) -> FloatArray:
    """Return shares of the way from one score (level 0) to another (level 1).

    Parameters
    ----------
    scores : array-like
        In the units of the metric, whether greater is better or not; NaN stays NaN.
    worst, perfect : array-like, broadcast against `scores`
        Scores of the best constant and of a perfect prediction.

    Returns
    -------
    ndarray
        At least -1; NaN where both ends are the same.
    """
    way = np.asarray(perfect, dtype="float64") - worst
    usable = np.abs(way) > LEAST_WAY
    levels = (np.asarray(scores, dtype="float64") - worst) / np.where(usable, way, np.nan)
    return np.asarray(np.maximum(levels, LEAST_LEVEL))
