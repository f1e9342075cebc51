"""AlgorithmSelector: the engine of the recommendations for anyone's candidates and meta-features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autometa.errors import UsageError
from autometa.metamodel.kernel import KernelSmoother
from autometa.metamodel.posterior import Belief, TaskMixture, clipped_regrets
from autometa.metamodel.proximity import ProximityForest, low_rank

FloatArray = NDArray[np.float64]

MIN_TASKS_DESCRIBED: Final = 4
STEEPNESS: Final = 0.1
N_COMPONENTS: Final = 16


class AlgorithmSelector:
    """Predicts which of some candidates does best on a new task, from a table of past performance.

    Zero-shot, the known tasks are weighed by a forest over the meta-features (:class:`ProximityForest`) and by kernel
    ridge regression on them (:class:`KernelSmoother`), half each; what is weighed are the principal components of
    their results, since single results are noisy and the least of many noisy means misleads. Few-shot, every observed
    performance changes what is believed about all candidates (:class:`TaskMixture`): tasks on which the observed
    candidates did alike count more, and what the new task has of its own spreads from each candidate to those that go
    with it. Candidates are compared by their regret, normalised within each task.

    Parameters
    ----------
    random_state : int or None, default=None

    Attributes
    ----------
    candidates_ : Index of shape (n_candidates,)
    performance_ : DataFrame of shape (n_tasks, n_candidates)
        As given.
    """

    def __init__(self, random_state: int | None = None) -> None:
        self.random_state = random_state

    def fit(self, metafeatures: pd.DataFrame | None, performance: pd.DataFrame, groups: Any = None) -> Self:
        """Learn from the performance of candidates on tasks.

        Parameters
        ----------
        metafeatures : DataFrame of shape (n_tasks, n_metafeatures) or None
            NaN where unknown; a task may lack them all. Without any every task counts alike until something is
            observed.
        performance : DataFrame of shape (n_tasks, n_candidates)
            Higher is better; NaN = not run.
        groups : array-like of shape (n_tasks,), optional
            Tasks of one origin; by default each task is its own.

        Returns
        -------
        AlgorithmSelector
            Itself.

        Raises
        ------
        UsageError
            AM508 when the tables have different rows or nothing to learn from.
        """
        if metafeatures is not None and not metafeatures.index.equals(performance.index):
            raise UsageError(
                "AM508", "metafeatures and performance have different rows.", "Give both the same index."
            )
        if performance.empty or not performance.notna().any(axis=None):
            raise UsageError(
                "AM508", f"performance of shape {performance.shape} holds no value.", "Give at least one run."
            )
        self.candidates_ = performance.columns
        self.performance_ = performance.astype("float64")
        self.metafeature_names_ = None if metafeatures is None else list(metafeatures.columns)
        self._similarities: list[ProximityForest | KernelSmoother] = []
        self._described = np.zeros(len(performance), dtype=bool)
        self._mixture = TaskMixture.fit(self.performance_.to_numpy())
        if metafeatures is not None:
            values = metafeatures.to_numpy(dtype="float64")
            self._described = np.isfinite(values).any(axis=1)
            if self._described.sum() >= MIN_TASKS_DESCRIBED:
                names = np.arange(len(values)) if groups is None else np.asarray(groups)
                self._learn_similarity(values, names.astype(str).tolist())
        self._regrets = low_rank(clipped_regrets(self._mixture.surfaces), N_COMPONENTS)
        return self

    def _learn_similarity(self, values: FloatArray, groups: Sequence[str]) -> None:
        """Fit forest and kernel on the tasks with meta-features, and the mixture on what the forest says of others."""
        mixture, described = self._mixture, self._described
        regrets = clipped_regrets(mixture.surfaces)
        families = np.asarray(groups)[described]
        forest = ProximityForest.fit(
            values[described],
            np.sqrt(regrets[described]),
            families.tolist(),
            random_state=0 if self.random_state is None else self.random_state,
        )
        self._similarities = [forest, KernelSmoother(values[described], families, steepness=STEEPNESS)]
        similarity = self._spread(forest, values, [(group,) for group in groups])
        self._mixture = TaskMixture.fit(self.performance_.to_numpy(), similarity)

    def _spread(
        self,
        similarity: ProximityForest | KernelSmoother,
        values: FloatArray,
        exclude: Sequence[tuple[str, ...]] | None = None,
    ) -> FloatArray:
        """Weights of all known tasks for new ones; uniform where a new one has no meta-features."""
        weights = self._uniform(len(values))
        known = np.flatnonzero(np.isfinite(values).any(axis=1))
        if len(known):
            chosen = None if exclude is None else [exclude[i] for i in known.tolist()]
            weights[known] = 0.0
            weights[np.ix_(known, np.flatnonzero(self._described))] = similarity.weights(
                values[known], chosen
            )
        return weights

    def _uniform(self, n_new_tasks: int) -> FloatArray:
        n_tasks = len(self.performance_)
        return np.full((n_new_tasks, n_tasks), 1.0 / n_tasks)

    def rank(
        self,
        metafeatures: pd.DataFrame | pd.Series | None = None,
        observed: Mapping[Any, float] | None = None,
    ) -> pd.DataFrame:
        """Predict the performance of every candidate.

        Parameters
        ----------
        metafeatures : DataFrame of shape (n_new_tasks, n_metafeatures), Series, or None
        observed : mapping of candidate to performance, optional
            What was seen on the one new task; observed candidates keep their observed value.

        Returns
        -------
        DataFrame of shape (n_new_tasks, n_candidates)
            Sort a row in descending order for the ranking. How far a candidate lies below the median does not count.
        """
        weights, regrets, index = self._expect(metafeatures)
        predicted = [
            self._believe(prior, observed or {}).performance(None if observed else regret)
            for prior, regret in zip(weights, regrets, strict=True)
        ]
        result = pd.DataFrame(np.array(predicted), index=index, columns=self.candidates_)
        for candidate, value in (observed or {}).items():
            result[candidate] = float(value)
        return result

    def suggest(
        self,
        metafeatures: pd.DataFrame | pd.Series | None = None,
        observed: Mapping[Any, float] | None = None,
    ) -> Any:
        """Return the candidate to try next: the largest expected improvement over the best observed.

        Raises
        ------
        UsageError
            AM509 when every candidate was observed.
        """
        observed = dict(observed or {})
        weights, regrets, _ = self._expect(metafeatures)
        if not observed:
            return self.candidates_[int(np.argmin(regrets[0]))]
        belief = self._believe(weights[0], observed)
        left = ~self.candidates_.isin(list(observed))
        if not left.any():
            raise UsageError(
                "AM509", "every candidate was tried already.", "Choose the best of rank(observed=...)."
            )
        gain = belief.expected_improvement(max(observed.values())) - 1e-6 * belief.regret
        return self.candidates_[int(np.argmax(np.where(left, gain, -np.inf)))]

    def _expect(
        self, metafeatures: pd.DataFrame | pd.Series | None
    ) -> tuple[FloatArray, FloatArray, pd.Index]:
        """Return what each known task is expected to say about each new one, and the regrets of the candidates."""
        frame = metafeatures.to_frame().T if isinstance(metafeatures, pd.Series) else metafeatures
        index = pd.RangeIndex(1) if frame is None else frame.index
        if frame is None or not self._similarities:
            uniform = self._uniform(len(index))
            return uniform, uniform @ self._regrets, index
        values = frame.reindex(columns=self.metafeature_names_).to_numpy(dtype="float64")
        signed = np.array([self._spread(similarity, values) for similarity in self._similarities])
        # As a regression the kernel also has tasks that speak against; as a prior it cannot.
        shares = np.maximum(signed, 0.0)
        shares /= shares.sum(axis=2, keepdims=True)
        return shares.mean(axis=0), signed.mean(axis=0) @ self._regrets, index

    def _believe(self, weights: FloatArray, observed: Mapping[Any, float]) -> Belief:
        columns = self.candidates_.get_indexer(list(observed))
        if (columns < 0).any():
            unknown = [candidate for candidate in observed if candidate not in self.candidates_]
            raise UsageError(
                "AM508", f"observed candidate {unknown[0]!r} is not known.", "Use the columns of performance."
            )
        return self._mixture.condition(weights, columns.tolist(), list(observed.values()))
