"""AlgorithmSelector: the engine of the recommendations for anyone's candidates and meta-features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autometa.errors import UsageError
from autometa.metamodel.belief import Belief, TaskMixture, clipped_regrets, fill_rows
from autometa.metamodel.similarity import Similarity

FloatArray = NDArray[np.float64]

# With fewer, a forest cannot leave any out.
MIN_TASKS_DESCRIBED: Final = 4
# As chosen on five folds of oboe's table; with the .3 of our own meta-features its first pick was .380 for .366.
STEEPNESS: Final = 0.1
# Between twelve and twenty make no difference; without, the first pick on oboe's table has .02 more regret.
N_COMPONENTS: Final = 16


class AlgorithmSelector:
    """Predicts which of some candidates does best on a new task, from a table of past performance.

    Zero-shot, the known tasks are weighed as for the recommendations, by forest and kernel
    (:class:`autometa.metamodel.similarity.Similarity`); what is weighed are the principal components of their results,
    since single results are noisy and the least of many noisy means misleads. Few-shot, every observed
    performance changes what is believed about all candidates (:class:`TaskMixture`): tasks on which the observed
    candidates did alike count more, and what the new task has of its own spreads from each candidate to those that go
    with it. Candidates are compared by their regret, normalised within each task.

    Parameters
    ----------
    random_state : int or None, default=None
        Of the forest; None is 0, so that the same tables give the same answers.

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
        self._similarity: Similarity | None = None
        self._described = np.zeros(len(performance), dtype=bool)
        values = self.performance_.to_numpy(dtype="float64")
        self._mixture = TaskMixture.fit(values)
        regrets = clipped_regrets(fill_rows(values))
        self._regrets = low_rank(regrets, N_COMPONENTS)
        if metafeatures is not None:
            X = metafeatures.to_numpy(dtype="float64")
            self._described = np.isfinite(X).any(axis=1)
            if self._described.sum() >= MIN_TASKS_DESCRIBED:
                names = np.arange(len(X)) if groups is None else np.asarray(groups)
                own = names.astype(str)[self._described].tolist()
                # The root tells good results apart more finely than bad ones.
                self._similarity = Similarity.fit(
                    X[self._described],
                    np.sqrt(regrets[self._described]),
                    own,
                    steepness=STEEPNESS,
                    random_state=0 if self.random_state is None else self.random_state,
                )
                self._mixture = TaskMixture.fit(
                    values, self._spread(self._similarity.between, self._described)
                )
        return self

    def _spread(self, weights: FloatArray, described: NDArray[np.bool_]) -> FloatArray:
        """Give weights of described tasks for described ones the shape of all; the others weigh all tasks alike."""
        spread = self._uniform(len(described))
        spread[described] = 0.0
        spread[np.ix_(described, self._described)] = weights
        return spread

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
        metafeatures : DataFrame of shape (n_new_tasks, n_metafeatures), Series, or None, default=None
            Of the new tasks, with the columns that `fit` was given; None where it was given none.
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

        Parameters
        ----------
        metafeatures : DataFrame of shape (1, n_metafeatures), Series, or None, default=None
            Of the one new task, see :meth:`rank`.
        observed : mapping of candidate to performance, optional
            What was seen on it; these are not suggested again. NaN is a failure.

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
        if frame is None or self._similarity is None:
            uniform = self._uniform(len(index))
            return uniform, uniform @ self._regrets, index
        values = frame.reindex(columns=self.metafeature_names_).to_numpy(dtype="float64")
        described = np.isfinite(values).any(axis=1)
        found = self._similarity.weigh(values[described])
        shares, signed = (self._spread(weights, described) for weights in (found.shares, found.signed))
        return shares, signed @ self._regrets, index

    def _believe(self, weights: FloatArray, observed: Mapping[Any, float]) -> Belief:
        columns = self.candidates_.get_indexer(list(observed))
        if (columns < 0).any():
            unknown = [candidate for candidate in observed if candidate not in self.candidates_]
            raise UsageError(
                "AM508", f"observed candidate {unknown[0]!r} is not known.", "Use the columns of performance."
            )
        return self._mixture.condition(weights, columns.tolist(), list(observed.values()))


def low_rank(table: FloatArray, n_components: int) -> FloatArray:
    """Return the table as its column means and first principal components tell it."""
    if min(table.shape) <= n_components:
        return table
    middle = table.mean(axis=0)
    left, values, right = np.linalg.svd(table - middle, full_matrices=False)
    return np.asarray(middle + (left[:, :n_components] * values[:n_components]) @ right[:n_components])
