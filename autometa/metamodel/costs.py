"""What a configuration costs, in seconds: for each algorithm a floor, and a power law in rows, columns and classes."""

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
# What a fit costs whatever the size of the table, as a multiple of the cheapest hundredth of the algorithm's runs. Some
# lie above it: a floor may be above single runs.
FLOORS: Final = (0.0, 0.25, 0.5, 0.75, 0.9, 1.1, 1.4)
# What the power law has to explain is never less than this share of a cost: below the floor there is noise alone.
LEAST_REST: Final = 0.1
# Seconds; the clock knows no less.
_LEAST: Final = 1e-4
# Fifteen years: what a law says far outside of what it has seen is finite.
_LARGEST_LOG: Final = 20.0


@dataclass(frozen=True, eq=False)
class PowerLaw:
    """A cost as a floor per algorithm and what grows: its logarithm has an intercept per configuration and slopes.

    Without the floor, kernel machines on tables of less than two hundred rows take twice as long as is expected.

    Attributes
    ----------
    intercepts : ndarray of shape (n_configurations,)
    slopes : ndarray of shape (n_algorithms, 3)
        For the logarithms of training rows, columns and classes.
    algorithm : ndarray of int, shape (n_configurations,)
        Row of `slopes` for each configuration.
    centre : ndarray of shape (3,)
    floors : ndarray of shape (n_algorithms,)
        What each fit costs beside the power law.
    """

    intercepts: FloatArray
    slopes: FloatArray
    algorithm: NDArray[np.int_]
    centre: FloatArray
    floors: FloatArray

    @classmethod
    def fit(
        cls, costs: FloatArray, columns: NDArray[np.int_], sizes: FloatArray, algorithms: Sequence[str]
    ) -> PowerLaw:
        """Fit by ridge regression on the logarithms, with the floor under which these are met best.

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
        costs = np.maximum(costs, _LEAST)
        logs, z = np.log(costs), np.log(np.maximum(sizes, 1.0))
        centre = z.mean(axis=0) if len(z) else np.zeros(3)
        intercepts = np.full(len(algorithms), logs.mean() if len(logs) else 0.0)
        slopes, floors = np.zeros((len(names), 3)), np.zeros(len(names))
        for number in range(len(names)):
            own = np.flatnonzero(index == number)
            rows = np.flatnonzero(index[columns] == number)
            if not len(rows):
                continue
            which = columns[rows][:, None] == own
            design = np.hstack([np.ones((len(rows), 1)), z[rows] - centre, which])
            penalty = np.diag([0.0, *[SLOPE_RIDGE] * 3, *[DEVIATION_RIDGE] * len(own)])
            floors[number], solution = _with_floor(design, penalty, costs[rows])
            intercepts[own], slopes[number] = solution[0] + solution[4:], solution[1:4]
        return cls(intercepts, slopes, index, centre, floors)

    def predict(self, n_train: float, n_features: float, n_classes: float) -> FloatArray:
        """Return the cost of one fit of each configuration."""
        z = np.log(np.maximum([n_train, n_features, n_classes], 1.0)) - self.centre
        growing = np.exp(np.minimum(self.intercepts + self.slopes[self.algorithm] @ z, _LARGEST_LOG))
        return np.asarray(growing + self.floors[self.algorithm])

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
            "floors": self.floors,
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]]) -> PowerLaw:
        """Read a law back; the inverse of :meth:`to_arrays`. Older models have no floors."""
        floors = arrays.get("floors", np.zeros(len(arrays["slopes"])))
        return cls(arrays["intercepts"], arrays["slopes"], arrays["algorithm"], arrays["centre"], floors)


def _with_floor(design: FloatArray, penalty: FloatArray, costs: FloatArray) -> tuple[float, FloatArray]:
    """Return the floor, and the coefficients of the logarithm of what lies above it, that miss the logarithms least."""

    def tried(floor: float) -> tuple[float, float, FloatArray]:
        rest = np.maximum(costs - floor, LEAST_REST * costs)
        # How much the logarithm of the cost moves with that of the rest.
        weighed = design * ((rest / costs) ** 2)[:, None]
        square, right = weighed.T @ design + penalty, weighed.T @ np.log(rest)
        solution = np.linalg.solve(square, right).astype("float64", copy=False)
        found = floor + np.exp(np.minimum(design @ solution, _LARGEST_LOG))
        return float(((np.log(found) - np.log(costs)) ** 2).sum()), floor, solution

    least = float(np.quantile(costs, 0.01))
    _, floor, solution = min((tried(share * least) for share in FLOORS), key=lambda found: found[:2])
    return floor, solution
