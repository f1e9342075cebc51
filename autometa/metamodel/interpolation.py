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
