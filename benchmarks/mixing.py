"""What experience with ensembles says of a weighted mean: who is good, and who errs differently from whom.

The loss of a mean is the mean loss of its members less what they differ: for squares the mean of the losses less half
of the mean squared distance of two members drawn by their weights (Krogh and Vedelsby 1995, "Neural network ensembles,
cross validation, and active learning", eq. 6), for the logarithm the same to second order. Both parts were learned from
recorded predictions; the weights are those that make the expected loss least, not far from weights given before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Rows are counted in decades from here, and within the sizes that were learned from.
USUAL_ROWS: Final = 600.0
_ROWS: Final = (100, 1_500)
# Expected regret further behind tells nothing more.
_MOST_BEHIND: Final = 1.0
# How much of what members differ counts, and what it costs to leave the weights given before (by relative entropy).
# Chosen with the tables that the rest was learned on, crosswise; between half and twice of each nothing changes.
DIFFERENCE: Final = 0.5
FAITH: Final = 0.05
# Weights given before, of which this share goes to all members alike: what had none can get some.
OPEN: Final = 0.1
# Steps of the descent, and their length: more change nothing in the third digit.
_STEPS: Final = 150
_LENGTH: Final = 0.5


def facts(algorithms: Sequence[str], regret: Array, n_rows: int, *, is_regression: bool) -> Array:
    """Return what the level of a member depends on, but for its algorithm: shape (n_members, 5).

    Parameters
    ----------
    algorithms : sequence of str
        Of the members, the first to try first.
    regret : ndarray of shape (n_members,)
        Expected by the meta-model.
    n_rows : int
        To train on.
    is_regression : bool
        Whether the task is one; what regret and rank say differs there.
    """
    behind = np.minimum(regret - regret.min(), _MOST_BEHIND)
    rank = np.log1p(np.arange(len(algorithms)))
    again = [name in algorithms[:i] for i, name in enumerate(algorithms)]
    return np.column_stack([behind, behind * is_regression, rank, rank * is_regression, again])


def decades(n_rows: int) -> float:
    """Return the decades of rows from the usual number."""
    return float(np.log10(np.clip(n_rows, *_ROWS) / USUAL_ROWS))


@dataclass(frozen=True)
class Mixing:
    """Who is good, and who errs differently from whom.

    Attributes
    ----------
    slopes : sequence of float
        Of the level by :func:`facts`. A level is the logarithm of a member's loss against the mean of five.
    levels : mapping of str to (float, float)
        By algorithm, at the usual number of rows, and what a decade of rows adds.
    apart : mapping of (str, str) to float
        By pair of algorithms in alphabetical order, the mean squared distance of their predictions as a share of the
        loss.
    usually_apart : float
        Of pairs that were not seen.
    """

    slopes: Sequence[float]
    levels: Mapping[str, tuple[float, float]]
    apart: Mapping[tuple[str, str], float]
    usually_apart: float

    def expected_levels(
        self, algorithms: Sequence[str], regret: Array, n_rows: int, *, is_regression: bool
    ) -> Array:
        """Return how much worse than the mean of five each member should be; see :func:`facts`."""
        known = np.array([self.levels.get(name, (0.0, 0.0)) for name in algorithms])
        rest = facts(algorithms, regret, n_rows, is_regression=is_regression) @ np.asarray(self.slopes)
        return np.asarray(rest + known @ [1.0, decades(n_rows)])

    def distances(self, algorithms: Sequence[str]) -> Array:
        """Return how far members should be apart, shape (n_members, n_members)."""

        def of(a: str, b: str) -> float:
            return self.apart.get((min(a, b), max(a, b)), self.usually_apart)

        return np.array(
            [
                [0.0 if i == j else of(a, b) for j, b in enumerate(algorithms)]
                for i, a in enumerate(algorithms)
            ]
        )

    def weigh(
        self,
        algorithms: Sequence[str],
        regret: Array,
        n_rows: int,
        before: Array,
        size: int,
        *,
        is_regression: bool,
    ) -> Array:
        """Return the weights that make the expected loss least.

        Parameters
        ----------
        algorithms : sequence of str
            Of those that can be members, the first to try first.
        regret : ndarray of shape (n_members,)
            Expected by the meta-model.
        n_rows : int
            To train on.
        before : ndarray of shape (n_members,)
            Weights that sum to 1, which are kept to where nothing speaks against them.
        size : int
            So many have a weight at most: the heaviest of the weights for all.
        is_regression : bool
            Whether the task is one.

        Returns
        -------
        ndarray of shape (n_members,)
            Sum to 1.
        """
        levels = self.expected_levels(algorithms, regret, n_rows, is_regression=is_regression)
        apart = self.distances(algorithms)
        before = (1.0 - OPEN) * before + OPEN / len(before)
        kept = np.arange(len(before))
        weights = _descend(levels, apart, before)
        if len(kept) > size:
            kept = np.sort(np.argsort(-weights, kind="stable")[:size])
            chosen = _descend(levels[kept], apart[np.ix_(kept, kept)], before[kept] / before[kept].sum())
            weights = np.zeros(len(before))
            weights[kept] = chosen
        return weights


def _descend(levels: Array, apart: Array, before: Array) -> Array:
    """Lower the expected loss by exponentiated gradients, which stay weights (Kivinen and Warmuth 1997)."""
    weights = before.copy()
    for _ in range(_STEPS):
        slope = levels - DIFFERENCE * apart @ weights + FAITH * np.log(weights / before)
        weights = weights * np.exp(-_LENGTH * (slope - slope.min()))
        weights = np.maximum(weights / weights.sum(), 1e-12)
    return np.asarray(weights / weights.sum())
