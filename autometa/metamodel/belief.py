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
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from autometa.metabase import regret_of

FloatArray = NDArray[np.float64]

# None of the next five makes a difference beyond the errors when it is halved or doubled (docs/research/metamodel.md).
# Alike tasks differ by less than any two: the share of the covariance of all pairs that is within a component.
BANDWIDTH: Final = 0.4
# Noise of a result, as a share of its variance between tasks.
NUGGET: Final = 0.02
# A new task is shifted by no more than one gap between best and median.
MAX_SHIFT: Final = 1.0
# The model is not the truth: what results say about the components counts so much.
TEMPERATURE: Final = 0.7
# Of the prior, for all tasks alike: it keeps a task alive that the meta-features ruled out by mistake.
UNIFORM_SHARE: Final = 0.1
# Components below it change nothing and are left out.
NEGLIGIBLE: Final = 1e-4
# A task on which nothing matters would otherwise turn noise into gaps.
MIN_GAP_SHARE: Final = 0.05
# A candidate that so many tasks were run with is taken to differ from the others by half of what it showed.
FEW_TASKS: Final = 20


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
        """Regret of each candidate under each component, in [0, 1]; see :func:`clipped_regrets`."""
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
        lead = (self.means - best) / self.gaps[:, None]
        return np.asarray(self.weights @ expected_improvement(lead, np.maximum(self.spread, 1e-9)))


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

    surfaces: NDArray[np.floating[Any]]
    gaps: FloatArray
    covariance: FloatArray

    @classmethod
    def fit(cls, performance: FloatArray, similarity: FloatArray | None = None) -> TaskMixture:
        """Learn the covariance from pairs of known tasks.

        Parameters
        ----------
        performance : ndarray of shape (n_tasks, n_candidates)
            Higher is better; NaN is filled, see :func:`fill_rows`.
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

    def of(self, columns: Sequence[int]) -> TaskMixture:
        """Return the prior over some of the candidates, in this order: a few plain arrays."""
        chosen = list(columns)
        return TaskMixture(
            # Half as large, and far more exact than any score.
            self.surfaces[:, chosen].astype(np.float32),
            self.gaps,
            self.covariance[np.ix_(chosen, chosen)],
        )

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
        surfaces, variances = self.surfaces.astype("float64", copy=False), np.diag(self.covariance)
        if not len(columns):
            return Belief(weights / weights.sum(), surfaces, self.gaps, np.sqrt(variances))
        seen = np.asarray(columns)
        cross = self.covariance[seen]
        gain = np.linalg.solve(cross[:, seen], cross).T
        surprise = (np.asarray(values, dtype="float64") - surfaces[:, seen]) / self.gaps[:, None]
        distance = (surprise * np.linalg.solve(cross[:, seen], surprise.T).T).sum(axis=1)
        prior = (1 - UNIFORM_SHARE) * weights / weights.sum() + UNIFORM_SHARE / len(weights)
        posterior = np.log(prior) - TEMPERATURE * (0.5 * distance + len(seen) * np.log(self.gaps))
        posterior = np.exp(posterior - posterior.max())
        kept = posterior > NEGLIGIBLE
        moved = surfaces[kept] + self.gaps[kept, None] * (surprise[kept] @ gain.T)
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

    def of(self, columns: Sequence[int]) -> FewShot:
        """Return the same about some of the candidates, in this order: a few plain arrays."""
        return FewShot(self.mixture.of(columns), self.weights)

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


def expected_improvement(lead: FloatArray, spread: FloatArray) -> FloatArray:
    r"""Expected gain over the best so far of what is Gaussian (Mockus 1978; Jones et al. 1998, equation 15).

    .. math:: E[\max(Z, 0)] = \mu \Phi(\mu / \sigma) + \sigma \phi(\mu / \sigma)

    Parameters
    ----------
    lead : ndarray
        Expected lead over the best so far, the mean of Z.
    spread : ndarray
        Its standard deviation, positive; in the same unit.
    """
    from scipy.special import ndtr

    z = lead / spread
    return np.asarray(lead * ndtr(z) + spread * np.exp(-0.5 * z * z) / np.sqrt(2.0 * np.pi))


def clipped_regrets(performance: FloatArray) -> FloatArray:
    """Regret of each cell in its row, where the median has 1 and nothing below it is told apart."""
    best = performance.max(axis=1, keepdims=True)
    gap = np.maximum(best - np.median(performance, axis=1, keepdims=True), 1e-12)
    return regret_of(performance, best, gap, limit=1.0)


def fill_rows(table: FloatArray) -> FloatArray:
    """Fill missing cells with what the task does on average, moved by how the candidate compares elsewhere.

    Parameters
    ----------
    table : ndarray of shape (n_tasks, n_candidates)
        NaN where not known. A candidate that few tasks were run with is taken to be less far from the others than it
        looked: one lucky run does not lead everywhere.
    """
    known = np.isfinite(table)
    if known.all():
        return table
    counts = known.sum(axis=1, keepdims=True)
    means = np.where(known, table, 0.0).sum(axis=1, keepdims=True) / np.maximum(counts, 1)
    means = np.where(counts > 0, means, means[counts > 0].mean() if counts.any() else 0.0)
    effects = np.where(known, table - means, 0.0).sum(axis=0) / (known.sum(axis=0) + FEW_TASKS)
    # What was run on the task may be better or worse than the rest.
    offsets = np.where(known, table - effects, 0.0).sum(axis=1, keepdims=True) / np.maximum(counts, 1)
    return np.where(known, table, np.where(counts > 0, offsets, means) + effects)


def _weighted_median(values: FloatArray, weights: FloatArray) -> float:
    order = np.argsort(values, axis=None)
    mass = np.cumsum(weights.ravel()[order])
    return float(values.ravel()[order][np.searchsorted(mass, 0.5 * mass[-1])])
