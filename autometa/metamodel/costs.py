"""What a configuration costs, in seconds: a power law in rows, columns and classes for each algorithm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

# Each counts as so many runs that say nothing: among thousands they only keep the equations solvable.
SLOPE_RIDGE: Final = 1.0
DEVIATION_RIDGE: Final = 0.1
# Seconds; the clock knows no less.
_LEAST: Final = 1e-4
# Fifteen years: what a law says far outside of what it has seen is finite.
_LARGEST_LOG: Final = 20.0


@dataclass(frozen=True, eq=False)
class PowerLaw:
    """Logarithm of a cost as an intercept per configuration and slopes per algorithm.

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
        cls, costs: FloatArray, columns: NDArray[np.int_], sizes: FloatArray, algorithms: Sequence[str]
    ) -> PowerLaw:
        """Fit by ridge regression on the logarithms.

        Parameters
        ----------
        costs : ndarray of shape (n_runs,)
            Not negative; NaN where not known.
        columns : ndarray of int, shape (n_runs,)
            Configuration of each run, as a position in `algorithms`.
        sizes : ndarray of shape (n_runs, 3)
            Training rows, columns and classes (1 for regression) of each run.
        algorithms : sequence of str, one for each configuration
            A configuration without runs costs what those of its algorithm do on average.
        """
        names, index = np.unique(np.asarray(algorithms, dtype=str), return_inverse=True)
        known = np.isfinite(costs)
        costs, columns, sizes = costs[known], columns[known], sizes[known]
        logs, z = np.log(np.maximum(costs, _LEAST)), np.log(np.maximum(sizes, 1.0))
        centre = z.mean(axis=0) if len(z) else np.zeros(3)
        intercepts = np.full(len(algorithms), logs.mean() if len(logs) else 0.0)
        slopes = np.zeros((len(names), 3))
        for number in range(len(names)):
            own = np.flatnonzero(index == number)
            rows = np.flatnonzero(index[columns] == number)
            if not len(rows):
                continue
            which = columns[rows][:, None] == own
            design = np.hstack([np.ones((len(rows), 1)), z[rows] - centre, which])
            penalty = np.diag([0.0, *[SLOPE_RIDGE] * 3, *[DEVIATION_RIDGE] * len(own)])
            solution = np.linalg.solve(design.T @ design + penalty, design.T @ logs[rows])
            intercepts[own], slopes[number] = solution[0] + solution[4:], solution[1:4]
        return cls(intercepts, slopes, index, centre)

    def predict(self, n_train: float, n_features: float, n_classes: float) -> FloatArray:
        """Return the cost of one fit of each configuration."""
        z = np.log(np.maximum([n_train, n_features, n_classes], 1.0)) - self.centre
        return np.exp(np.minimum(self.intercepts + self.slopes[self.algorithm] @ z, _LARGEST_LOG))

    def extended(self, mixing: FloatArray) -> PowerLaw:
        """Return the law with further configurations, each a weighted mean of the known ones.

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
        """Return the law as arrays for an npz file."""
        return {
            "intercepts": self.intercepts,
            "slopes": self.slopes,
            "algorithm": self.algorithm,
            "centre": self.centre,
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]]) -> PowerLaw:
        """Read a law back; the inverse of :meth:`to_arrays`."""
        return cls(arrays["intercepts"], arrays["slopes"], arrays["algorithm"], arrays["centre"])
