"""How long a configuration takes: a power law in rows, columns and classes for each algorithm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SecondsModel:
    """Logarithm of CPU seconds as an intercept per configuration and slopes per algorithm.

    Attributes
    ----------
    intercepts : ndarray of shape (n_configurations,)
    slopes : ndarray of shape (n_algorithms, 3)
        For the logarithms of training rows, columns and classes.
    algorithm : ndarray of int, shape (n_configurations,)
        Row of `slopes` for each configuration.
    centre : ndarray of shape (3,)
    """

    intercepts: FloatArray
    slopes: FloatArray
    algorithm: NDArray[np.int_]
    centre: FloatArray

    @classmethod
    def fit(
        cls, seconds: FloatArray, sizes: FloatArray, algorithms: Sequence[str], ridge: float = 1.0
    ) -> SecondsModel:
        """Fit by ridge regression on the logarithms.

        Parameters
        ----------
        seconds : ndarray of shape (n_tasks, n_configurations)
            NaN where not known.
        sizes : ndarray of shape (n_tasks, 3)
            Training rows, columns and classes (1 for regression).
        algorithms : sequence of str, one for each configuration
        ridge : float, default=1.0
        """
        names, index = np.unique(np.asarray(algorithms, dtype=str), return_inverse=True)
        logs = np.log(np.maximum(seconds, 1e-4))
        z = np.log(np.maximum(sizes, 1.0))
        centre = z.mean(axis=0)
        z = z - centre
        intercepts = np.full(seconds.shape[1], np.nanmean(logs) if np.isfinite(logs).any() else 0.0)
        slopes = np.zeros((len(names), 3))
        for number in range(len(names)):
            columns = np.flatnonzero(index == number)
            rows, where = np.nonzero(np.isfinite(logs[:, columns]))
            if not len(rows):
                continue
            design = np.hstack([np.eye(len(columns))[where], z[rows]])
            target = logs[rows, columns[where]]
            penalty = ridge * np.diag([1e-3] * len(columns) + [1.0] * 3)
            solution = np.linalg.solve(design.T @ design + penalty, design.T @ target)
            intercepts[columns], slopes[number] = solution[:-3], solution[-3:]
        return cls(intercepts, slopes, index, centre)

    def predict(self, n_train: int, n_features: int, n_classes: int) -> FloatArray:
        """Return the seconds of one fit of each configuration."""
        z = np.log(np.maximum([n_train, n_features, max(n_classes, 1)], 1.0)) - self.centre
        return np.exp(np.minimum(self.intercepts + self.slopes[self.algorithm] @ z, 20.0))

    def extended(self, mixing: FloatArray) -> SecondsModel:
        """Return the model with further configurations, each a weighted mean of the known ones.

        Parameters
        ----------
        mixing : ndarray of shape (n_new, n_configurations)
            Rows sum to 1; the heaviest weight of a row names its algorithm.
        """
        return replace(
            self,
            intercepts=np.concatenate([self.intercepts, mixing @ self.intercepts]),
            algorithm=np.concatenate([self.algorithm, self.algorithm[mixing.argmax(axis=1)]]),
        )

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the model as arrays for an npz file."""
        return {
            "intercepts": self.intercepts,
            "slopes": self.slopes,
            "algorithm": self.algorithm,
            "centre": self.centre,
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]]) -> SecondsModel:
        """Read a model back; the inverse of :meth:`to_arrays`."""
        return cls(arrays["intercepts"], arrays["slopes"], arrays["algorithm"], arrays["centre"])
