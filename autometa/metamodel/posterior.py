"""Few-shot adaptation: what a few results on a new task say about every candidate.

The prior is a mixture over the known tasks. Each component says: the new task is like this one, but for a deviation
that is Gaussian over the candidates, with a covariance learned from how tasks that the meta-features call alike
differ. Results on the new task change the prior in closed form: Bayes' rule weighs the components, and within each
the deviation is conditioned on what was seen (a Kalman update). With a vanishing covariance this chooses among known
tasks; with a single component it is the multivariate Gaussian of Swersky, Snoek and Adams (2013, Multi-task Bayesian
optimization) over a fixed set of candidates. Both ends lose to the middle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from autometa.metamodel.portfolio import fill_with_column_means

FloatArray = NDArray[np.float64]

BANDWIDTH: Final = 0.3
NUGGET: Final = 0.02
TEMPERATURE: Final = 0.7
UNIFORM_SHARE: Final = 0.1
NEGLIGIBLE: Final = 1e-4
MIN_GAP: Final = 1e-3


@dataclass(frozen=True)
class Transform:
    """A monotone scale on which differences near the best count as much as elsewhere.

    Attributes
    ----------
    low, high : float
        Performance between these ends is compared by its log odds; any other as it is, where they are infinite.
    """

    low: float = -np.inf
    high: float = np.inf

    @classmethod
    def of(cls, performance: FloatArray) -> Transform:
        """Choose by the values: shares of one, and their negatives (errors), by their log odds."""
        known = performance[np.isfinite(performance)]
        for low, high in ((0.0, 1.0), (-1.0, 0.0)):
            if known.min() >= low and known.max() <= high:
                return cls(low, high)
        return cls()

    def __call__(self, performance: Any) -> FloatArray:
        """Move performance to the scale."""
        values = np.asarray(performance, dtype="float64")
        if not np.isfinite(self.low):
            return values
        share = np.clip((values - self.low) / (self.high - self.low), 0.003, 0.997)
        return np.asarray(np.log(share / (1 - share)))

    def inverse(self, values: FloatArray) -> FloatArray:
        """Move values back from the scale."""
        if not np.isfinite(self.low):
            return values
        return np.asarray(self.low + (self.high - self.low) / (1.0 + np.exp(-values)))


@dataclass(frozen=True, eq=False)
class Belief:
    """A mixture of Gaussians over the performance of all candidates on one task.

    Attributes
    ----------
    weights : ndarray of shape (n_components,)
        Sums to 1.
    means : ndarray of shape (n_components, n_candidates)
        On the scale of `transform`.
    spread : ndarray of shape (n_candidates,)
        Standard deviation within a component.
    transform : Transform
    """

    weights: FloatArray
    means: FloatArray
    spread: FloatArray
    transform: Transform

    @cached_property
    def regrets(self) -> FloatArray:
        """Regret of each candidate under each component, in [0, 1] and in the unit of the performance."""
        return clipped_regrets(self.transform.inverse(self.means))

    @cached_property
    def regret(self) -> FloatArray:
        """Expected regret of each candidate, in [0, 1]: how far it lies below the median does not count."""
        return np.asarray(self.weights @ self.regrets)

    @cached_property
    def performance(self) -> FloatArray:
        """Expected performance of each candidate, where nothing below the median is told apart."""
        values = self.transform.inverse(self.means)
        best = values.max(axis=1)
        gap = best - np.median(values, axis=1)
        return np.asarray(self.weights @ best - (self.weights @ gap) * self.regret)

    def expected_improvement(self, best: float) -> FloatArray:
        """Expected gain of each candidate over a performance, in units of regret on the transformed scale."""
        from scipy.special import ndtr

        spread = np.maximum(self.spread, 1e-9)
        gaps = np.maximum(self.means.max(axis=1) - np.median(self.means, axis=1), MIN_GAP)
        gap = self.means - float(self.transform(best))
        z = gap / spread
        density = np.exp(-0.5 * z**2) / np.sqrt(2.0 * np.pi)
        return np.asarray((self.weights / gaps) @ (gap * ndtr(z) + spread * density))


@dataclass(frozen=True, eq=False)
class TaskMixture:
    """The prior: known tasks as components, and how tasks that are alike differ.

    Attributes
    ----------
    surfaces : ndarray of shape (n_tasks, n_candidates)
        Performance of every candidate on every known task on the scale of `transform`, higher is better.
    covariance : ndarray of shape (n_candidates, n_candidates)
        Of the deviation from the component.
    transform : Transform
    """

    surfaces: FloatArray
    covariance: FloatArray
    transform: Transform

    @classmethod
    def fit(cls, performance: FloatArray, similarity: FloatArray | None = None) -> TaskMixture:
        """Learn the covariance from pairs of known tasks.

        Parameters
        ----------
        performance : ndarray of shape (n_tasks, n_candidates)
            Higher is better; what is missing is filled, see :func:`fill_rows`.
        similarity : ndarray of shape (n_tasks, n_tasks), optional
            How much each task says about each other one, from models that have not seen the first; all alike by
            default.
        """
        n_tasks = len(performance)
        transform = Transform.of(performance)
        surfaces = fill_rows(transform(performance))
        similarity = np.ones((n_tasks, n_tasks)) if similarity is None else similarity
        pairs = (similarity + similarity.T) / 2.0
        pairs = pairs / pairs.sum()
        # Half the mean outer product of the differences of pairs.
        covariance = (surfaces * pairs.sum(axis=1)[:, None]).T @ surfaces - surfaces.T @ pairs @ surfaces
        variances = np.maximum(np.diag(covariance), 1e-9)
        return cls(surfaces, BANDWIDTH * covariance + NUGGET * np.diag(variances), transform)

    def condition(
        self, weights: FloatArray, columns: Sequence[int] = (), values: Sequence[float] = ()
    ) -> Belief:
        """Condition the prior on results on the new task.

        Parameters
        ----------
        weights : ndarray of shape (n_tasks,)
            How much each known task is expected to say about the new one.
        columns : sequence of int
            Candidates that were run.
        values : sequence of float
            Their performance.
        """
        variances = np.diag(self.covariance)
        if not len(columns):
            return Belief(weights / weights.sum(), self.surfaces, np.sqrt(variances), self.transform)
        seen = np.asarray(columns)
        cross = self.covariance[seen]
        gain = np.linalg.solve(cross[:, seen], cross).T
        surprise = self.transform(values) - self.surfaces[:, seen]
        distance = (surprise * np.linalg.solve(cross[:, seen], surprise.T).T).sum(axis=1)
        # The uniform part keeps a task alive that the meta-features ruled out by mistake.
        prior = (1 - UNIFORM_SHARE) * weights / weights.sum() + UNIFORM_SHARE / len(weights)
        posterior = np.log(prior) - 0.5 * TEMPERATURE * distance
        posterior = np.exp(posterior - posterior.max())
        kept = posterior > NEGLIGIBLE
        left = np.maximum(variances - (gain * cross.T).sum(axis=1), 0.0)
        return Belief(
            posterior[kept] / posterior[kept].sum(),
            self.surfaces[kept] + surprise[kept] @ gain.T,
            np.sqrt(left),
            self.transform,
        )


def clipped_regrets(performance: FloatArray) -> FloatArray:
    """(best - performance) / (best - median) of each row, clipped to [0, 1]."""
    best = performance.max(axis=1, keepdims=True)
    gap = np.maximum(best - np.median(performance, axis=1, keepdims=True), 1e-12)
    return np.asarray(np.minimum((best - performance) / gap, 1.0))


def fill_rows(table: FloatArray) -> FloatArray:
    """Fill missing cells with the candidate's mean, moved by how the task compares to the mean on what was run."""
    means = fill_with_column_means(table).mean(axis=0)
    known = np.isfinite(table)
    counts = known.sum(axis=1)
    offsets = np.where(known, table - means, 0.0).sum(axis=1) / np.maximum(counts, 1)
    return np.where(known, table, means + offsets[:, None])
