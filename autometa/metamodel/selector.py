"""AlgorithmSelector: the engine of the recommendations for anyone's candidates and meta-features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autometa.errors import UsageError
from autometa.metamodel.portfolio import fill_with_column_means, greedy_portfolio
from autometa.metamodel.proximity import ProximityForest, weighted_mean

FloatArray = NDArray[np.float64]


class AlgorithmSelector:
    """Predicts which of some candidates does best on a new task, from a table of past performance.

    Zero-shot, the known tasks are weighed by a forest over the meta-features (:class:`ProximityForest`). Few-shot,
    every observed performance changes the weights as Bayes' rule says for Gaussian noise: tasks on which the observed
    candidates did alike count more.

    Parameters
    ----------
    random_state : int or None, default=None

    Attributes
    ----------
    candidates_ : Index of shape (n_candidates,)
    performance_ : DataFrame of shape (n_tasks, n_candidates)
    noise_ : float
        Standard deviation of a performance given its nearest tasks.
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
            Higher is better; NaN = not run. Comparable within a row; scale it if rows differ in range.
        groups : array-like of shape (n_tasks,), optional
            Tasks of one origin; by default each task is its own.

        Raises
        ------
        UsageError
            AM508 when the tables have different rows or nothing to learn from.
        """
        if metafeatures is not None and not metafeatures.index.equals(performance.index):
            raise UsageError("AM508", "metafeatures and performance have different rows.", "Give both the same index.")
        if performance.shape[0] < 1 or performance.shape[1] < 1 or not performance.notna().any(axis=None):
            raise UsageError("AM508", f"performance of shape {performance.shape} holds no value.", "Give at least one run.")
        self.candidates_ = performance.columns
        self.performance_ = performance.astype("float64")
        table = self.performance_.to_numpy()
        self._table = _fill_rows(table)
        seed = 0 if self.random_state is None else self.random_state
        self.metafeature_names_ = None if metafeatures is None else list(metafeatures.columns)
        self._forest = None
        if metafeatures is not None and len(performance) >= 4:
            families = np.arange(len(table)).astype(str) if groups is None else np.asarray(groups, dtype=str)
            values = metafeatures.to_numpy(dtype="float64")
            self._forest = ProximityForest.fit(values, self._table, families.tolist(), random_state=seed)
        self.noise_ = max(float(np.std(self._table - self._table.mean(axis=0))) * 0.5, 1e-9)
        return self

    def rank(self, metafeatures: pd.DataFrame | pd.Series | None = None, observed: Mapping[Any, float] | None = None) -> pd.DataFrame:
        """Predict the performance of every candidate.

        Parameters
        ----------
        metafeatures : DataFrame of shape (n_new_tasks, n_metafeatures), Series, or None
        observed : mapping of candidate to performance, optional
            What was seen on the one new task; observed candidates keep their observed value.

        Returns
        -------
        DataFrame of shape (n_new_tasks, n_candidates)
        """
        weights, index = self._weights(metafeatures)
        if observed:
            weights = np.vstack([self._update(row, observed) for row in weights])
        mean, _ = weighted_mean(weights, self._table)
        result = pd.DataFrame(mean, index=index, columns=self.candidates_)
        for candidate, value in (observed or {}).items():
            result[candidate] = value
        return result

    def suggest(self, metafeatures: pd.DataFrame | pd.Series | None = None, observed: Mapping[Any, float] | None = None) -> Any:
        """Return the candidate to try next: the largest expected improvement over the best observed.

        Raises
        ------
        UsageError
            AM509 when every candidate was observed.
        """
        observed = dict(observed or {})
        weights = self._weights(metafeatures)[0][0]
        left = np.array([candidate not in observed for candidate in self.candidates_])
        if not left.any():
            raise UsageError("AM509", "every candidate was tried already.", "Choose the best of rank(observed=...).")
        if not observed:
            return self.candidates_[greedy_portfolio(-self._table, 1, weights=weights)[0]]
        weights = self._update(weights, observed)
        improvement = weights @ np.maximum(self._table - max(observed.values()), 0.0)
        mean = weights @ self._table
        score = improvement + 1e-6 * (mean - mean.min())
        return self.candidates_[int(np.argmax(np.where(left, score, -np.inf)))]

    def _weights(self, metafeatures: pd.DataFrame | pd.Series | None) -> tuple[FloatArray, pd.Index]:
        n_tasks = len(self._table)
        if metafeatures is None or self._forest is None or self.metafeature_names_ is None:
            index = metafeatures.index if isinstance(metafeatures, pd.DataFrame) else pd.RangeIndex(1)
            return np.full((len(index), n_tasks), 1.0 / n_tasks), index
        frame = metafeatures.to_frame().T if isinstance(metafeatures, pd.Series) else metafeatures
        values = frame.reindex(columns=self.metafeature_names_).to_numpy(dtype="float64")
        return self._forest.weights(values), frame.index

    def _update(self, weights: FloatArray, observed: Mapping[Any, float]) -> FloatArray:
        unknown = [candidate for candidate in observed if candidate not in self.candidates_]
        if unknown:
            raise UsageError("AM508", f"observed candidate {unknown[0]!r} is not known.", "Use the columns of performance.")
        columns = self.candidates_.get_indexer(list(observed))
        errors = self._table[:, columns] - np.array(list(observed.values()), dtype="float64")
        log = -0.5 * (errors / self.noise_) ** 2
        # The uniform part keeps a task alive that the meta-features ruled out by mistake.
        prior = 0.9 * weights + 0.1 / len(weights)
        posterior = np.log(prior) + log.sum(axis=1)
        posterior = np.exp(posterior - posterior.max())
        return np.asarray(posterior / posterior.sum())


def _fill_rows(table: FloatArray) -> FloatArray:
    """Fill missing cells with the candidate's mean, moved by how the task compares to the mean on what was run."""
    means = fill_with_column_means(table).mean(axis=0)
    known = np.isfinite(table)
    counts = known.sum(axis=1)
    offsets = np.where(known, table - means, 0.0).sum(axis=1) / np.maximum(counts, 1)
    return np.where(known, table, means + offsets[:, None])
