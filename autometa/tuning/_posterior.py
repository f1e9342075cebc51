"""What to believe about a configuration's score after its cross-validation: the luckiest folds must not win."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

MIN_RESIDUALS: Final = 5


def posterior_scores(folds: Array, expected: Array, expected_spread: Array) -> Array:
    """Shrink cross-validated means towards what was expected of them, weighing both as Gaussians.

    Parameters
    ----------
    folds : ndarray of shape (n_trials, n_folds)
        Scores on the same folds.
    expected, expected_spread : ndarray of shape (n_trials,)
        Mean and standard deviation of the prior; NaN where there is none: then the median of all scores and their
        spread stand in.

    Returns
    -------
    ndarray of shape (n_trials,)
        Posterior means, in the unit of the scores.

    Notes
    -----
    How hard the task is shifts all scores alike, and a prior made on other tasks knows it badly: the expected scores
    are first moved by the median of what they missed. With five of them or more, their spread is what they still
    miss then, less the noise; the prior's own spread is mostly about the shift. Spreads are 1.48 times the median
    absolute deviation.
    """
    scores = folds.mean(axis=1)
    noise = _noise(folds)
    center, width = float(np.median(scores)), _spread(scores)
    has_prior = np.isfinite(expected) & np.isfinite(expected_spread)
    misses = (scores - expected)[has_prior]
    shift = float(np.median(misses)) if has_prior.any() else 0.0
    prior = np.where(has_prior, expected + shift, center)
    belief = np.where(has_prior, expected_spread, width) ** 2
    if len(misses) >= MIN_RESIDUALS:
        belief[has_prior] = max(_spread(misses) ** 2 - float(np.median(noise)), 0.0)
    total = noise + belief
    # Without any doubt on either side the measured mean stands.
    trust = np.divide(belief, total, out=np.ones_like(total), where=total > 0)
    return np.asarray(prior + trust * (scores - prior))


def _noise(folds: Array) -> Array:
    """Variance of each mean over folds, once what the folds do to all trials alike is taken out.

    It is averaged, half and half, with the median over trials: a few folds say little about a variance.
    """
    n_folds = folds.shape[1]
    if n_folds < 2:
        return np.zeros(len(folds))
    own = (folds - np.median(folds, axis=0)).var(axis=1, ddof=1) / n_folds
    return np.asarray(0.5 * own + 0.5 * np.median(own))


def _spread(values: Any) -> float:
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))
