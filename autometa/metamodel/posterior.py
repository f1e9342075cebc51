"""Few-shot adaptation: what a few results on a new task say about every candidate.

The prior is a mixture over the known tasks. Each component says: the new task is like this one, but for a shift and
a deviation that are Gaussian over the candidates, in units of the component's gap between best and median. Their
covariance is learned from how tasks that the meta-features call alike differ. Results on the new task change the
prior in closed form: Bayes' rule weighs the components, and each is conditioned on what was seen (a Kalman update).
Without deviations this chooses among known tasks; with a single component it is the multivariate Gaussian of Swersky,
Snoek and Adams (2013, Multi-task Bayesian optimization) over a fixed set of candidates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from autometa.metamodel.portfolio import fill_with_column_means

FloatArray = NDArray[np.float64]

BANDWIDTH: Final = 0.4
NUGGET: Final = 0.02
MAX_SHIFT: Final = 1.0
TEMPERATURE: Final = 0.7
UNIFORM_SHARE: Final = 0.1
NEGLIGIBLE: Final = 1e-4
MIN_GAP_SHARE: Final = 0.05


@dataclass(frozen=True, eq=False)
class Belief:
    """A mixture of Gaussians over the performance of all candidates on one task.

    Attributes
    ----------
    weights : ndarray of shape (n_components,)
        Sums to 1.
    means : ndarray of shape (n_components, n_candidates)
        Expected performance under each component.
    gaps : ndarray of shape (n_components,)
        Its unit: best minus median of the known task.
    spread : ndarray of shape (n_candidates,)
        Standard deviation within a component, in its unit.
    """

    weights: FloatArray
    means: FloatArray
    gaps: FloatArray
    spread: FloatArray

    @cached_property
    def regrets(self) -> FloatArray:
        """Regret of each candidate under each component, in [0, 1]."""
        return clipped_regrets(self.means)

    @cached_property
    def regret(self) -> FloatArray:
        """Expected regret of each candidate, in [0, 1]: how far it lies below the median does not count."""
        return np.asarray(self.weights @ self.regrets)

    def performance(self, regret: FloatArray | None = None) -> FloatArray:
        """Expected performance of each candidate, where nothing below the median is told apart.

        Parameters
        ----------
        regret : ndarray of shape (n_candidates,), optional
            What is expected of each candidate; :attr:`regret` by default.
        """
        best = self.means.max(axis=1)
        gap = best - np.median(self.means, axis=1)
        expected = self.regret if regret is None else regret
        return np.asarray(self.weights @ best - (self.weights @ gap) * expected)

    def expected_improvement(self, best: float) -> FloatArray:
        """Expected gain of each candidate over a performance, in units of regret."""
        from scipy.special import ndtr

        spread = np.maximum(self.spread, 1e-9)
        lead = (self.means - best) / self.gaps[:, None]
        z = lead / spread
        density = np.exp(-0.5 * z**2) / np.sqrt(2.0 * np.pi)
        return np.asarray(self.weights @ (lead * ndtr(z) + spread * density))


@dataclass(frozen=True, eq=False)
class TaskMixture:
    """The prior: known tasks as components, and how tasks that are alike differ.

    Attributes
    ----------
    surfaces : ndarray of shape (n_tasks, n_candidates)
        Performance of every candidate on every known task, higher is better.
    gaps : ndarray of shape (n_tasks,)
        Best minus median of each task, at least a twentieth of the usual.
    covariance : ndarray of shape (n_candidates, n_candidates)
        Of shift and deviation from the component, in units of its gap.
    """

    surfaces: FloatArray
    gaps: FloatArray
    covariance: FloatArray

    @classmethod
    def fit(cls, performance: FloatArray, similarity: FloatArray | None = None) -> TaskMixture:
        """Learn the covariance from pairs of known tasks.

        Parameters
        ----------
        performance : ndarray of shape (n_tasks, n_candidates)
            Higher is better; NaN is filled with the candidate's mean, moved by how the task compares to the mean.
        similarity : ndarray of shape (n_tasks, n_tasks), optional
            How much each task says about each other one, from models that have not seen the first; all alike by
            default.
        """
        surfaces = fill_rows(performance)
        medians = np.median(surfaces, axis=1)
        gaps = surfaces.max(axis=1) - medians
        gaps = np.maximum(gaps, max(MIN_GAP_SHARE * float(np.median(gaps)), 1e-12))
        shapes = np.clip((surfaces - medians[:, None]) / gaps[:, None], -1.0, 1.0)
        pairs = np.ones((len(shapes),) * 2) if similarity is None else (similarity + similarity.T) / 2.0
        pairs = pairs / pairs.sum()
        # Half the mean outer product of the differences of pairs.
        covariance = (shapes * pairs.sum(axis=1)[:, None]).T @ shapes - shapes.T @ pairs @ shapes
        nugget = NUGGET * np.maximum(np.diag(covariance), 1e-9)
        shifts = np.abs(medians[:, None] - medians) / np.maximum(gaps[:, None], gaps)
        shift = min(2.2 * _weighted_median(shifts, pairs) ** 2, MAX_SHIFT)
        return cls(surfaces, gaps, BANDWIDTH * covariance + np.diag(nugget) + shift)

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
            return Belief(weights / weights.sum(), self.surfaces, self.gaps, np.sqrt(variances))
        seen = np.asarray(columns)
        cross = self.covariance[seen]
        gain = np.linalg.solve(cross[:, seen], cross).T
        surprise = (np.asarray(values, dtype="float64") - self.surfaces[:, seen]) / self.gaps[:, None]
        distance = (surprise * np.linalg.solve(cross[:, seen], surprise.T).T).sum(axis=1)
        # The uniform part keeps a task alive that the meta-features ruled out by mistake.
        prior = (1 - UNIFORM_SHARE) * weights / weights.sum() + UNIFORM_SHARE / len(weights)
        posterior = np.log(prior) - TEMPERATURE * (0.5 * distance + len(seen) * np.log(self.gaps))
        posterior = np.exp(posterior - posterior.max())
        kept = posterior > NEGLIGIBLE
        moved = self.surfaces[kept] + self.gaps[kept, None] * (surprise[kept] @ gain.T)
        left = np.maximum(variances - (gain * cross.T).sum(axis=1), 0.0)
        return Belief(posterior[kept] / posterior[kept].sum(), moved, self.gaps[kept], np.sqrt(left))


@dataclass(frozen=True, eq=False)
class FewShot:
    """What results on one new task are to change: the prior, and what its meta-features say about the known tasks.

    Attributes
    ----------
    mixture : TaskMixture
    weights : ndarray of shape (n_tasks,)
    """

    mixture: TaskMixture
    weights: FloatArray

    def order(
        self,
        columns: Sequence[int],
        observed: Mapping[int, float],
        running: Sequence[int] = (),
        costs: FloatArray | None = None,
    ) -> list[int]:
        """Order candidates by expected improvement over the best that was observed.

        Parameters
        ----------
        columns : sequence of int
            The candidates that are left.
        observed : mapping of int to float
            Performance of those that were run; not empty.
        running : sequence of int, default=()
            Candidates whose performance is to come; meanwhile they are taken to do what is expected of them
            (Ginsbourger, Le Riche and Carraro 2010, Kriging is well-suited to parallelize optimization).
        costs : ndarray of shape (n_candidates,), optional
            With them, the order is by expected improvement per unit of cost (Snoek, Larochelle and Adams 2012,
            section 3.2).
        """
        seen, values = list(observed), list(observed.values())
        belief = self.mixture.condition(self.weights, seen, values)
        if running:
            expected = belief.weights @ belief.means
            seen, values = [*seen, *running], [*values, *expected[list(running)]]
            belief = self.mixture.condition(self.weights, seen, values)
        gain = belief.expected_improvement(max(values))
        gain = (gain if costs is None else gain / costs) - 1e-6 * belief.regret
        return sorted(columns, key=lambda column: -gain[column])


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


def _weighted_median(values: FloatArray, weights: FloatArray) -> float:
    order = np.argsort(values, axis=None)
    mass = np.cumsum(weights.ravel()[order])
    return float(values.ravel()[order][np.searchsorted(mass, 0.5 * mass[-1])])
