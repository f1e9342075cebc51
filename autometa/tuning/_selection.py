"""Which candidates the ensemble is made of, with which weights: pure functions of out-of-fold predictions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from autometa.ensemble import calibrate
from autometa.tuning._objective import Objective

Array = NDArray[np.float64]

# Rows that the choice looks at while the search goes on: more do not change it, and take time from the fits.
MAX_ROWS: Final = 10_000
# Shares at which a newcomer is mixed into the present ensemble, to see whether it can help.
_SHARES: Final = (0.1, 0.25, 0.5, 1.0)
_TEMPERATURES: Final = (0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.4, 1.7, 2.0)
_SMOOTHINGS: Final = (0.0, 0.002, 0.01, 0.03)
# Bootstraps of the rows that weights are averaged over where rows are few (bagged selection, Caruana et al. 2006).
_N_BAGS: Final = 10
_BAG_ROWS: Final = 3_000


def select(
    objective: Objective,
    views: Sequence[Array],
    rows: NDArray[np.intp],
    *,
    size: int,
    penalties: Array | None = None,
    rng: np.random.Generator | None = None,
) -> Array:
    """Choose weights greedily, with replacement (Caruana et al. 2004, "Ensemble selection from libraries of models").

    Parameters
    ----------
    objective : Objective
    views : sequence of ndarray
        What :meth:`Objective.view` gives for each candidate, on the same rows.
    rows : ndarray of int, shape (n_rows,)
    size : int
        At most so many steps, and so at most so many members.
    penalties : ndarray of shape (n_candidates,), optional
        Added to the loss by the share of each candidate: what experience and cost hold against it.
    rng : Generator, optional
        With it, where rows are few, weights are the mean over bootstraps of the rows.

    Returns
    -------
    ndarray of shape (n_candidates,)
        Weights, which sum to 1.
    """
    stacked = np.stack(list(views))
    penalties = np.zeros(len(views)) if penalties is None else penalties
    weights = _greedy(objective, stacked, rows, size, penalties)
    if rng is not None and len(rows) < _BAG_ROWS and len(views) > 1:
        for _ in range(_N_BAGS):
            drawn = rng.integers(0, len(rows), len(rows))
            weights += _greedy(objective, stacked[:, drawn], rows[drawn], size, penalties)
        weights = _trimmed(weights / weights.sum(), size)
    single = np.eye(len(views))[_best_single(objective, stacked, rows, penalties)]
    mixed, alone = (objective.loss(np.tensordot(w, stacked, 1), rows) for w in (weights, single))
    return weights if mixed <= alone else single


def _greedy(
    objective: Objective, stacked: Array, rows: NDArray[np.intp], size: int, penalties: Array
) -> Array:
    """Return the weights after the step that left the least loss."""
    alone = np.array([objective.loss(view, rows) for view in stacked]) + penalties
    # Whoever is far behind alone hardly ever joins: the best thirty are looked at.
    pool = np.argsort(alone)[:30]
    counts = np.zeros(len(stacked))
    counts[pool[0]] = 1
    total = stacked[pool[0]].copy()
    best_loss, best_counts = alone[pool[0]], counts.copy()
    spent = penalties[pool[0]]
    misses = 0
    for step in range(1, size):
        losses = np.array(
            [
                objective.loss((total + stacked[i]) / (step + 1), rows) + (spent + penalties[i]) / (step + 1)
                for i in pool
            ]
        )
        pick = int(pool[int(np.argmin(losses))])
        counts[pick] += 1
        total += stacked[pick]
        spent += penalties[pick]
        if losses.min() < best_loss - 1e-9 * abs(best_loss):
            best_loss, best_counts, misses = float(losses.min()), counts.copy(), 0
        else:
            misses += 1
            if misses == 4:
                break
    return np.asarray(best_counts / best_counts.sum())


def _best_single(objective: Objective, stacked: Array, rows: NDArray[np.intp], penalties: Array) -> int:
    return int(np.argmin(np.array([objective.loss(view, rows) for view in stacked]) + penalties))


def _trimmed(weights: Array, size: int) -> Array:
    """Leave out what hardly counts: members cost time at every prediction."""
    kept = np.where(weights >= 0.02, weights, 0.0)
    order = np.argsort(-kept)
    kept[order[size:]] = 0.0
    return np.asarray(kept / kept.sum())


def can_help(objective: Objective, present: Array, newcomer: Array, rows: NDArray[np.intp]) -> bool:
    """Whether mixing a newcomer into the present ensemble lowers the loss on the rows that it was tested on."""
    before = objective.loss(present, rows)
    return any(objective.loss((1 - s) * present + s * newcomer, rows) < before for s in _SHARES)


def choose_calibration(objective: Objective, proba: Array, rows: NDArray[np.intp]) -> tuple[float, float]:
    """Return the temperature and the smoothing that lower the loss of probabilities most, where that is no chance.

    A change must gain more than one standard error of the paired difference over rows.
    """
    y = objective._y[rows]
    chosen = np.arange(len(rows)), y

    def losses(temperature: float, smoothing: float) -> Array:
        calibrated = calibrate(proba, temperature, smoothing, objective.shares)
        return np.asarray(-np.log(np.maximum(calibrated[chosen], 1e-15)))

    plain = losses(1.0, 0.0)
    options = [(t, s) for t in _TEMPERATURES for s in _SMOOTHINGS]
    found = {option: losses(*option) for option in options}
    best = min(found, key=lambda option: float(found[option].mean()))
    gain = plain - found[best]
    error = float(gain.std() / np.sqrt(len(gain)))
    return best if float(gain.mean()) > error else (1.0, _SMOOTHINGS[1])
