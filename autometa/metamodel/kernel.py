"""Kernel ridge regression on meta-features, as the weights that a new task gives to the known ones.

Each meta-feature is replaced by its normal score among the known tasks, so that outliers and units do not matter, and
what is missing by the middle. The weights of :class:`KernelSmoother` predict any table about the known tasks, like
those of :class:`~autometa.metamodel.proximity.ProximityForest`. They heed all meta-features at once, where a tree
splits by one at a time, and may be negative: they extrapolate.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

RIDGE: Final = 0.1


@dataclass(frozen=True, eq=False)
class KernelSmoother:
    """A Gaussian kernel over the normal scores of meta-features, with a ridge.

    Attributes
    ----------
    metafeatures : ndarray of shape (n_tasks, n_metafeatures)
        Of the known tasks; NaN where undefined.
    families : ndarray of str, shape (n_tasks,)
    importance : ndarray of shape (n_tasks,), optional
        By what the ridge of each task is divided; all alike by default.
    steepness : float, default=0.3
        How quickly tasks cease to be alike with the mean squared difference of their normal scores.
    """

    metafeatures: FloatArray
    families: NDArray[np.str_]
    importance: FloatArray | None = None
    steepness: float = 0.3

    def weights(
        self, metafeatures: FloatArray, exclude: Sequence[Collection[str]] | None = None
    ) -> FloatArray:
        """Return how much each known task says about each new one.

        Parameters
        ----------
        metafeatures : ndarray of shape (n_new_tasks, n_metafeatures)
        exclude : sequence of collections of str, one for each new task, optional
            Families that must not speak, unless nobody else is left.

        Returns
        -------
        ndarray of shape (n_new_tasks, n_tasks)
            Rows sum to 1, some entries are negative. Far from all known tasks, these count alike.
        """
        closeness = self._closeness(self._scores(metafeatures))
        importance = np.ones(len(self.families)) if self.importance is None else self.importance
        ridge = np.diag(RIDGE / importance)
        result = np.zeros(closeness.shape)
        for row, near in enumerate(closeness):
            speaks = ~np.isin(self.families, list(exclude[row]) if exclude else [])
            if not speaks.any():
                speaks[:] = True
            own = np.linalg.solve((self._kernel + ridge)[np.ix_(speaks, speaks)], near[speaks])
            result[row, speaks] = own + (1.0 - own.sum()) / len(own)
        return result

    def _scores(self, metafeatures: FloatArray) -> FloatArray:
        """Normal scores of each column among the known tasks; 0 for what is missing."""
        from scipy.special import ndtri

        result = np.zeros(metafeatures.shape)
        for column, values, known in zip(result.T, metafeatures.T, self._sorted, strict=True):
            there = np.isfinite(values)
            if len(known):
                below = np.searchsorted(known, values[there], "left")
                upto = np.searchsorted(known, values[there], "right")
                edge = 0.5 / len(known)
                column[there] = ndtri(np.clip((below + upto) * edge, edge, 1.0 - edge))
        return result

    @cached_property
    def _sorted(self) -> list[FloatArray]:
        return [np.sort(values[np.isfinite(values)]) for values in self.metafeatures.T]

    @cached_property
    def _known(self) -> FloatArray:
        return self._scores(self.metafeatures)

    @cached_property
    def _kernel(self) -> FloatArray:
        return self._closeness(self._known)

    def _closeness(self, scores: FloatArray) -> FloatArray:
        """Gaussian kernel of the mean squared difference to the known tasks, shape (n_new_tasks, n_tasks)."""
        known = self._known
        squares = (scores**2).sum(axis=1)[:, None] + (known**2).sum(axis=1) - 2.0 * scores @ known.T
        return np.asarray(np.exp(-self.steepness * np.maximum(squares, 0.0) / scores.shape[1]))
