"""Which known tasks speak for a new one, and how much: worked out once for a task, read by all else.

Half of every answer is the share that a forest grown for this purpose gives to each known task
(:class:`~autometa.metamodel.forest.ProximityForest`), half kernel ridge regression on the meta-features
(:class:`KernelSmoother`), which heeds all of them at once where a tree splits by one at a time. On left-out families
the first pick of both together has a regret of .42 for classification, that of the forest alone .46, of the kernel
alone .44 (docs/explanation/meta-model.md).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from autometa.metamodel.forest import ProximityForest

FloatArray = NDArray[np.float64]
Families = Sequence[Collection[str]]

# How quickly tasks cease to be alike for the kernel: with .1 the first pick has .008 +- .008 more regret.
STEEPNESS: Final = 0.3
# Of the kernel; as much noise in a result as a tenth of the variance between tasks.
RIDGE: Final = 0.1
# Novelty is the mean distance to so many tasks ...
N_NEAREST: Final = 5
# ... and less than this share of the usual distance further than usual is not strange.
LEAST_WAY: Final = 0.25


@dataclass(frozen=True, eq=False)
class Weights:
    """How much each known task says about new ones.

    Attributes
    ----------
    shares : ndarray of shape (n_new_tasks, n_tasks)
        What a new task may be like: not negative, rows sum to 1.
    signed : ndarray of shape (n_new_tasks, n_tasks)
        What predicts a table of results, as ``signed @ table``. Rows sum to 1; a task may speak against.
    """

    shares: FloatArray
    signed: FloatArray


@dataclass(frozen=True, eq=False)
class Similarity:
    """What weighs the known tasks for a new one.

    Attributes
    ----------
    metafeatures : ndarray of shape (n_tasks, n_metafeatures)
        Of the known tasks; NaN where undefined.
    forest : ProximityForest
    importance : ndarray of shape (n_tasks,), optional
        By what the weight of each task is multiplied; all alike by default.
    steepness : float, default=0.3
        Of the kernel.
    usual : ndarray of shape (2,), optional
        Median and 99th percentile over the known tasks, each without its own family, of the mean distance to the
        nearest ones; worked out where it is not given.
    mutual : ndarray of shape (n_tasks, n_tasks), optional
        Shares of the known tasks for each known one, its own family left out; worked out where they are not given.
    """

    metafeatures: FloatArray
    forest: ProximityForest
    importance: FloatArray | None = None
    steepness: float = STEEPNESS
    usual: FloatArray | None = None
    mutual: FloatArray | None = None

    @classmethod
    def fit(
        cls,
        metafeatures: FloatArray,
        results: FloatArray,
        families: Sequence[str],
        *,
        steepness: float = STEEPNESS,
        random_state: int = 0,
    ) -> Self:
        """Learn when results are alike.

        Parameters
        ----------
        metafeatures : ndarray of shape (n_tasks, n_metafeatures)
        results : ndarray of shape (n_tasks, n_results)
            NaN where not known.
        families : sequence of str, one for each task
        steepness : float, default=0.3
            Of the kernel.
        random_state : int, default=0
            Of the forest.
        """
        forest = ProximityForest.fit(metafeatures, results, families, random_state=random_state)
        return cls(metafeatures, forest, steepness=steepness)

    @property
    def families(self) -> NDArray[np.str_]:
        """Family of each known task."""
        return self.forest.families

    @cached_property
    def kernel(self) -> KernelSmoother:
        """The other half of every answer."""
        return KernelSmoother(self.metafeatures, self.families, self.importance, self.steepness)

    def weigh(self, metafeatures: FloatArray, exclude: Families | None = None) -> Weights:
        """Return how much each known task says about each new one.

        Parameters
        ----------
        metafeatures : ndarray of shape (n_new_tasks, n_metafeatures)
        exclude : sequence of collections of str, one for each new task, optional
            Families that must not speak, unless nobody else is left.
        """
        signed = self.kernel.weights(metafeatures, exclude)
        # As a regression the kernel also has tasks that speak against; as a distribution it cannot.
        positive = self._weighted(np.maximum(signed, 0.0))
        forest = self._weighted(self.forest.weights(metafeatures, exclude))
        return Weights((forest + positive) / 2.0, (forest + signed) / 2.0)

    def _weighted(self, shares: FloatArray) -> FloatArray:
        weighted = shares if self.importance is None else shares * self.importance
        return np.asarray(weighted / weighted.sum(axis=1, keepdims=True))

    @cached_property
    def between(self) -> FloatArray:
        """Shares of the known tasks for each known one, whose own family says nothing."""
        if self.mutual is not None:
            return self.mutual
        return self.weigh(self.metafeatures, [(family,) for family in self.families]).shares

    @cached_property
    def paths(self) -> NDArray[np.int16]:
        """The nodes of the forest that the known tasks pass."""
        return self.forest.paths(self.metafeatures)

    def extended(self, metafeatures: FloatArray, families: Sequence[str], importance: float) -> Self:
        """Return the similarity with further known tasks; the forest is not grown anew.

        Parameters
        ----------
        metafeatures : ndarray of shape (n_new_tasks, n_metafeatures)
        families : sequence of str, one for each of them
        importance : float
            How much more they count than known ones that are as similar.
        """
        before = np.ones(len(self.families)) if self.importance is None else self.importance
        return replace(
            self,
            metafeatures=np.vstack([self.metafeatures, metafeatures]),
            forest=self.forest.extended(metafeatures, families),
            importance=np.r_[before, np.full(len(families), importance)],
            usual=self._usual,
            mutual=None,
        )

    # -- novelty ------------------------------------------------------------------------------------------------

    def novelty(self, x: FloatArray, exclude: Collection[str] = ()) -> float:
        """Return how far a task lies from all known ones, 0 (like most) to 1.

        The mean distance to the five nearest tasks in standardised meta-features, on a scale where the median of the
        known tasks (each without its own family) is 0 and their 99th percentile .5.
        """
        if np.isin(self.families, list(exclude)).all():
            return 1.0
        middle, far = self._usual
        # Among few tasks the far end is near the middle; what is hardly further than usual is not strange.
        way = max(far - middle, LEAST_WAY * middle, 1e-9)
        return float(np.clip(0.5 * (self._strangeness(x, exclude) - middle) / way, 0.0, 1.0))

    @cached_property
    def _usual(self) -> FloatArray:
        if self.usual is not None:
            return self.usual
        known = zip(self.metafeatures, self.families, strict=True)
        return np.asarray(np.quantile([self._strangeness(x, (family,)) for x, family in known], [0.5, 0.99]))

    def _strangeness(self, x: FloatArray, exclude: Collection[str]) -> float:
        others = self.distances(x)[~np.isin(self.families, list(exclude))]
        return float(np.sort(others)[:N_NEAREST].mean()) if len(others) else np.inf

    def distances(self, x: FloatArray) -> FloatArray:
        """Root mean square difference of one task to each known one, in standardised meta-features."""
        centre, scale, known = self._standard
        z = np.clip((np.where(np.isfinite(x), x, centre) - centre) / scale, -12, 12)
        return np.asarray(np.sqrt(((known - z) ** 2).mean(axis=1)))

    @cached_property
    def _standard(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        table = self.metafeatures
        low, centre, high = np.nanquantile(table, [0.1, 0.5, 0.9], axis=0)
        # Of a Gaussian, 2.56 standard deviations lie between these quantiles.
        scale = np.maximum((high - low) / 2.56, 1e-6)
        known = np.clip((np.where(np.isfinite(table), table, centre) - centre) / scale, -4, 4)
        return centre, scale, known

    # -- storing ------------------------------------------------------------------------------------------------

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return what :meth:`from_arrays` cannot work out quickly, as arrays for an npz file."""
        return {
            **self.forest.to_arrays(),
            "usual": self._usual,
            # Eleven bits of a share that weighs pairs of tasks are plenty.
            "mutual": self.between.astype(np.float16),
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]], metafeatures: FloatArray) -> Self:
        """Read a similarity back; the inverse of :meth:`to_arrays`."""
        return cls(
            metafeatures,
            ProximityForest.from_arrays(arrays),
            usual=arrays["usual"],
            mutual=arrays["mutual"].astype("float64"),
        )


@dataclass(frozen=True, eq=False)
class KernelSmoother:
    """Kernel ridge regression on meta-features, as the weights that a new task gives to the known ones.

    Each meta-feature is replaced by its normal score among the known tasks, so that outliers and units do not matter,
    and what is missing by the middle; then a Gaussian kernel. The weights may be negative: they extrapolate.

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
    steepness: float = STEEPNESS

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
