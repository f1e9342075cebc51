"""AlgorithmSelector: the engine of the recommendations for anyone's candidates and meta-features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autometa.errors import UsageError
from autometa.metamodel.portfolio import fill_with_column_means
from autometa.metamodel.proximity import ProximityForest

FloatArray = NDArray[np.float64]

MIN_TASKS_FOR_FOREST: Final = 4
UNIFORM_SHARE: Final = 0.1
MAX_SURPRISE: Final = 4.0


class AlgorithmSelector:
    """Predicts which of some candidates does best on a new task, from a table of past performance.

    Zero-shot, the known tasks are weighed by a forest over the meta-features (:class:`ProximityForest`). Few-shot,
    every observed performance changes the weights as Bayes' rule says for Gaussian noise: tasks on which the observed
    candidates did alike count more. Candidates are compared by their regret, normalised within each task.

    Parameters
    ----------
    random_state : int or None, default=None

    Attributes
    ----------
    candidates_ : Index of shape (n_candidates,)
    performance_ : DataFrame of shape (n_tasks, n_candidates)
        As given.
    regret_ : ndarray of shape (n_tasks, n_candidates)
        (best - performance) / (best - median) of each task, clipped to [0, 1].
    noise_ : float
        Standard deviation of a performance between tasks that are alike: half the usual one within a task.
    """

    def __init__(self, random_state: int | None = None) -> None:
        self.random_state = random_state

    def fit(self, metafeatures: pd.DataFrame | None, performance: pd.DataFrame, groups: Any = None) -> Self:
        """Learn from the performance of candidates on tasks.

        Parameters
        ----------
        metafeatures : DataFrame of shape (n_tasks, n_metafeatures) or None
            NaN where unknown. Without it every task counts alike until something is observed.
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
        self._filled = _fill_rows(self.performance_.to_numpy())
        self._best = self._filled.max(axis=1)
        self._gap = np.maximum(self._best - np.median(self._filled, axis=1), 1e-12)
        self.regret_ = np.clip((self._best[:, None] - self._filled) / self._gap[:, None], 0.0, 1.0)
        self.noise_ = max(0.5 * float(np.median(self._filled.std(axis=1))), 1e-12)
        self.metafeature_names_ = None if metafeatures is None else list(metafeatures.columns)
        self._forest = None
        if metafeatures is not None and len(performance) >= MIN_TASKS_FOR_FOREST:
            families = np.arange(len(performance)) if groups is None else np.asarray(groups)
            self._forest = ProximityForest.fit(
                metafeatures.to_numpy(dtype="float64"),
                self.regret_,
                families.astype(str).tolist(),
                random_state=0 if self.random_state is None else self.random_state,
            )
        return self

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
        weights, index = self._weights(metafeatures)
        if observed:
            weights = np.vstack([self._update(row, observed) for row in weights])
        best, gap = weights @ self._best, weights @ self._gap
        predicted = best[:, None] - gap[:, None] * (weights @ self.regret_)
        result = pd.DataFrame(predicted, index=index, columns=self.candidates_)
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
        weights = self._weights(metafeatures)[0][0]
        if not observed:
            return self.candidates_[int(np.argmin(weights @ self.regret_))]
        weights = self._update(weights, observed)
        tried = self.candidates_.get_indexer(list(observed))
        left = np.ones(len(self.candidates_), dtype=bool)
        left[tried] = False
        if not left.any():
            raise UsageError(
                "AM509", "every candidate was tried already.", "Choose the best of rank(observed=...)."
            )
        best_tried = self.regret_[:, tried].min(axis=1, keepdims=True)
        gain = weights @ np.maximum(best_tried - self.regret_, 0.0) - 1e-6 * (weights @ self.regret_)
        return self.candidates_[int(np.argmax(np.where(left, gain, -np.inf)))]

    def _weights(self, metafeatures: pd.DataFrame | pd.Series | None) -> tuple[FloatArray, pd.Index]:
        n_tasks = len(self.regret_)
        frame = metafeatures.to_frame().T if isinstance(metafeatures, pd.Series) else metafeatures
        index = pd.RangeIndex(1) if frame is None else frame.index
        uniform = np.full((len(index), n_tasks), 1.0 / n_tasks)
        if frame is None or self._forest is None or self.metafeature_names_ is None:
            return uniform, index
        values = frame.reindex(columns=self.metafeature_names_).to_numpy(dtype="float64")
        known = np.isfinite(values).any(axis=1)
        return np.where(known[:, None], self._forest.weights(values), uniform), index

    def _update(self, weights: FloatArray, observed: Mapping[Any, float]) -> FloatArray:
        """Bayes' rule over the known tasks, each observation's surprise bounded."""
        columns = self.candidates_.get_indexer(list(observed))
        if (columns < 0).any():
            unknown = [candidate for candidate in observed if candidate not in self.candidates_]
            raise UsageError(
                "AM508", f"observed candidate {unknown[0]!r} is not known.", "Use the columns of performance."
            )
        values = np.array(list(observed.values()), dtype="float64")
        surprise = np.clip((self._filled[:, columns] - values) / self.noise_, -MAX_SURPRISE, MAX_SURPRISE)
        # The uniform part keeps a task alive that the meta-features ruled out by mistake.
        prior = (1 - UNIFORM_SHARE) * weights + UNIFORM_SHARE / len(weights)
        posterior = np.log(prior) - 0.5 * (surprise**2).sum(axis=1)
        posterior = np.exp(posterior - posterior.max())
        return np.asarray(posterior / posterior.sum())


def _fill_rows(table: FloatArray) -> FloatArray:
    """Fill missing cells with the candidate's mean, moved by how the task compares to the mean on what was run."""
    means = fill_with_column_means(table).mean(axis=0)
    known = np.isfinite(table)
    counts = known.sum(axis=1)
    offsets = np.where(known, table - means, 0.0).sum(axis=1) / np.maximum(counts, 1)
    return np.where(known, table, means + offsets[:, None])
