"""What to believe about a configuration's score after its cross-validation: the luckiest fold split must not win."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def posterior_scores(
    scores: Array, spreads: Array, n_folds: Array, expected: Array, expected_spread: Array
) -> Array:
    """Shrink cross-validated means towards what was expected of them, weighing both as Gaussians.

    Parameters
    ----------
    scores, spreads : ndarray of shape (n_trials,)
        Mean and standard deviation over folds.
    n_folds : ndarray of shape (n_trials,)
    expected, expected_spread : ndarray of shape (n_trials,)
        Mean and standard deviation of the prior; NaN where there is none: then the median of all scores, and their
        spread (1.48 times the median absolute deviation), stand in.

    Returns
    -------
    ndarray of shape (n_trials,)
        Posterior means, in the unit of the scores.

    Notes
    -----
    The variance of a mean over folds is the half-and-half average of its own and the median one, since three folds
    say little about a variance. How hard the task is shifts all scores alike, and a prior made on other tasks knows
    it badly; so the expected scores are first moved by the median of what they missed.
    """
    own = spreads**2 / np.maximum(n_folds - 1, 1)
    noise = 0.5 * own + 0.5 * np.median(own)
    center = float(np.median(scores))
    width = 1.4826 * float(np.median(np.abs(scores - center)))
    has_prior = np.isfinite(expected) & np.isfinite(expected_spread)
    missed = float(np.median((scores - expected)[has_prior])) if has_prior.any() else 0.0
    prior = np.where(has_prior, expected + missed, center)
    belief = np.where(has_prior, expected_spread, width) ** 2
    total = noise + belief
    # Without any doubt on either side the measured mean stands.
    trust = np.divide(belief, total, out=np.ones_like(total), where=total > 0)
    return np.asarray(prior + trust * (scores - prior))
