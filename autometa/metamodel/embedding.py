"""A learned embedding of tasks: near means that configurations come in the same order.

Known tasks stand where their results put them: on the principal components of the ranks of all configurations under
every metric, so that the inner product of two tasks is close to the mean Spearman correlation of their results. A new
task, of which only meta-features are known, is placed by kernel ridge regression on them
(:class:`~autometa.metamodel.kernel.KernelSmoother`).

What the axes leave out of a known task counts as distance too. All tasks are equally long before the mean is taken off,
so the nearest task is the one whose results are expected to correlate the most with those of the new one, and not one
whose results are so peculiar that the axes hardly show them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autometa.metamodel.portfolio import fill_with_column_means
from autometa.metamodel.proximity import principal_components

FloatArray = NDArray[np.float64]

N_DIMENSIONS: Final = 16


@dataclass(frozen=True, eq=False)
class TaskEmbedding:
    """Where the known tasks stand.

    Attributes
    ----------
    coordinates : ndarray of shape (n_tasks, n_dimensions)
        In the order of the variance along them.
    remainders : ndarray of shape (n_tasks,)
        How far each task lies from the space of the coordinates.
    """

    coordinates: FloatArray
    remainders: FloatArray

    @classmethod
    def fit(cls, tables: Iterable[FloatArray], n_dimensions: int = N_DIMENSIONS) -> TaskEmbedding:
        """Place tasks by their results.

        Parameters
        ----------
        tables : iterable of ndarray of shape (n_tasks, n_configurations)
            Scores under each metric, higher is better; what is missing is filled with the configuration's mean.
        n_dimensions : int, default=16
        """
        ranks = np.hstack([centred_ranks(fill_with_column_means(table)) for table in tables])
        # The length of a task's row, before the mean task is taken off, is 1.
        ranks = ranks / np.maximum(np.linalg.norm(ranks, axis=1, keepdims=True), 1e-12)
        coordinates = principal_components(ranks, n_dimensions)[:, :n_dimensions]
        lengths = ((ranks - ranks.mean(axis=0)) ** 2).sum(axis=1)
        return cls(coordinates, np.sqrt(np.maximum(lengths - (coordinates**2).sum(axis=1), 0.0)))

    def place(self, weights: FloatArray) -> FloatArray:
        """Return the coordinates of new tasks from the weights that they give to the known ones.

        Parameters
        ----------
        weights : ndarray of shape (n_new_tasks, n_tasks)
            Rows sum to 1.

        Returns
        -------
        ndarray of shape (n_new_tasks, n_dimensions)
        """
        return np.asarray(weights @ self.coordinates)

    def spread(self, weights: FloatArray) -> float:
        """Return how far apart the known tasks are that a new one is placed among: the root mean square distance.

        Parameters
        ----------
        weights : ndarray of shape (n_tasks,)
            See :meth:`place`.
        """
        place = weights @ self.coordinates
        return float(np.sqrt(weights @ ((self.coordinates - place) ** 2).sum(axis=1)))

    def distances(self, point: FloatArray) -> FloatArray:
        """Euclidean distance of a point in the space of the coordinates to every known task, shape (n_tasks,).

        Two tasks with the results of all configurations in opposite order are about 2 apart.
        """
        return np.hypot(np.linalg.norm(self.coordinates - point, axis=1), self.remainders)


def centred_ranks(table: FloatArray) -> FloatArray:
    """Ranks of each row's values, mean rank for ties, centred and of unit length."""
    ranks = pd.DataFrame(table).rank(axis=1).to_numpy()
    ranks = ranks - ranks.mean(axis=1, keepdims=True)
    return np.asarray(ranks / np.maximum(np.linalg.norm(ranks, axis=1, keepdims=True), 1e-12))
