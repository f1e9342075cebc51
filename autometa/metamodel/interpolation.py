"""Configurations that nobody ran, seen as weighted means of those that were."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

_POWER: Final = 6
_SAME: Final = 1e-3


def interpolation_weights(
    encoded: FloatArray, algorithms: Sequence[str], known: FloatArray, known_algorithms: Sequence[str]
) -> FloatArray:
    """Return weights by inverse distance over the known configurations of the same algorithm (Shepard 1968).

    Parameters
    ----------
    encoded : ndarray of shape (n_new, n_encoded)
        See :func:`autometa.metamodel.surrogate.encode_configurations`.
    algorithms : sequence of str, one for each new configuration
    known : ndarray of shape (n_known, n_encoded)
    known_algorithms : sequence of str, one for each known configuration

    Returns
    -------
    ndarray of shape (n_new, n_known)
        Rows sum to 1; to 0 for an algorithm of which nothing is known.
    """
    result = np.zeros((len(encoded), len(known)))
    names = np.asarray(known_algorithms, dtype=str)
    for weights, row, algorithm in zip(result, encoded, algorithms, strict=True):
        same = np.flatnonzero(names == algorithm)
        if len(same):
            weights[same] = _shares(row, known[same])
    return result


def _shares(row: FloatArray, others: FloatArray) -> FloatArray:
    """Weights of one configuration; a parameter that only one of two has is 1 apart."""
    gaps = np.where(np.isnan(row) == np.isnan(others), np.nan_to_num(others - row), 1.0)
    closeness = np.maximum(np.sqrt((gaps**2).sum(axis=1)), _SAME) ** -_POWER
    return np.asarray(closeness / closeness.sum())


def weights_of_others(encoded: FloatArray, algorithms: Sequence[str]) -> FloatArray:
    """Return each configuration as a weighted mean of the others of its algorithm, shape (n, n), a row for each."""
    result = np.zeros((len(encoded), len(encoded)))
    for i in range(len(encoded)):
        others = [j for j in range(len(encoded)) if j != i]
        names = [algorithms[j] for j in others]
        result[i, others] = interpolation_weights(encoded[[i]], [algorithms[i]], encoded[others], names)[0]
    return result


def fill_from_others(table: FloatArray, weights: FloatArray) -> FloatArray:
    """Fill what was not run on a task from what was: the weighted mean of its results with other configurations.

    A configuration that few tasks were run with then looks on all others like those of its kind, rather than like the
    few tasks.

    Parameters
    ----------
    table : ndarray of shape (n_tasks, n_configurations)
    weights : ndarray of shape (n_configurations, n_configurations)
        See :func:`weights_of_others`.

    Returns
    -------
    ndarray of shape (n_tasks, n_configurations)
        NaN where nothing of the algorithm was run on the task.
    """
    known = np.isfinite(table)
    if known.all():
        return table
    mass = known @ weights.T
    means = np.divide(
        np.where(known, table, 0.0) @ weights.T, mass, out=np.full(table.shape, np.nan), where=mass > 0
    )
    return np.where(known, table, means)
