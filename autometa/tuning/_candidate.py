"""A configuration on its way through the folds, and what the folds say about it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.trial import Trial

from autometa.evaluation import FoldFit, Split, nested_order, nested_rows
from autometa.space import Configuration
from autometa.task import Task
from autometa.tuning._objective import Objective

Array = NDArray[np.float64]


@dataclass(eq=False)
class Candidate:
    """One configuration in a search.

    Attributes
    ----------
    configuration : Configuration
    origin : {"recommended", "default", "proposed", "search", "known", "more rows", "second layer"}
    trial : optuna.Trial, optional
        Of the study; candidates that repeat a finished trial have none.
    number : int
        Of the trial; -1 without one.
    rank : int or None
        Among the recommendations.
    max_rows : int or None
        Rows to train on; None for all of a fold.
    expected_seconds : float
        CPU seconds that a fit on all rows should take; NaN where nothing is known.
    fits : dict of int to FoldFit
        By fold.
    state : {"running", "complete", "stopped", "failed", "timeout", "memory", "interrupted"}
    reason : str
    seconds, shared_seconds : float
        Wall-clock time of its fits, and what of it went into preparations that all folds share.
    scores : list of float
        The metric on each fold, in natural units.
    is_settled : bool
        Whether a member that was compared on the first fold gets no more folds.
    below : sequence of Candidate
        Of a second layer: the candidates whose predictions it reads.
    layer : ndarray of shape (n_rows, n_columns), optional
        These predictions, out of fold.
    """

    configuration: Configuration
    origin: str
    trial: Trial | None = None
    number: int = -1
    rank: int | None = None
    max_rows: int | None = None
    expected_seconds: float = math.nan
    fits: dict[int, FoldFit] = field(default_factory=dict)
    pending: set[int] = field(default_factory=set)
    state: str = "running"
    reason: str = ""
    seconds: float = 0.0
    shared_seconds: float = 0.0
    scores: list[float] = field(default_factory=list)
    is_settled: bool = False
    below: Sequence[Candidate] = ()
    layer: Array | None = field(default=None, repr=False)
    all_scores: list[dict[str, float]] | None = field(default=None, repr=False)

    @property
    def depth(self) -> int:
        """Number of folds from the first on that are fitted."""
        return next((i for i in range(len(self.fits)) if i not in self.fits), len(self.fits))

    @property
    def fold_seconds(self) -> float:
        """Seconds that one more fold should take."""
        return (self.seconds - self.shared_seconds) / max(len(self.fits), 1)

    def add(self, fold: int, fit: FoldFit, seconds: float) -> None:
        """Take in one more fitted fold, for which so many seconds went by."""
        spent = fit.fit_seconds + fit.predict_seconds
        self.fits[fold], self.all_scores = fit, None
        self.shared_seconds += seconds * fit.shared_seconds / spent if spent > 0 else 0.0

    @property
    def n_bytes(self) -> int:
        """Size of its models."""
        return sum(len(fit.model) for fit in self.fits.values())


@dataclass(frozen=True, eq=False)
class Problem:
    """A task with its folds and how to judge on them.

    Attributes
    ----------
    task : Task
    splits : list of (train rows, test rows)
    y : ndarray
        The target as the models of the folds see it.
    table_rows : int or None
        How many rows are looked at, where not all are; the folds hold no others.
    """

    task: Task
    splits: Sequence[Split]
    y: NDArray[Any]
    table_rows: int | None = None

    def of_rows(self, n_rows: int, seed: int) -> Problem:
        """Return the problem of a part of the rows; `seed` is that of the fits."""
        order = nested_order(self.y, self.task.kind, seed)
        rows = nested_rows(order, np.arange(len(self.y)), n_rows)
        splits = [(train[np.isin(train, rows)], test[np.isin(test, rows)]) for train, test in self.splits]
        return replace(self, splits=splits, table_rows=n_rows)

    @property
    def n_rows(self) -> int:
        """How many rows are looked at."""
        return self.table_rows or len(self.y)

    @cached_property
    def objective(self) -> Objective:
        """The metric."""
        return Objective(self.task, self.y)

    @property
    def n_train(self) -> int:
        """Rows to train on in a fold."""
        return round(float(np.mean([len(train) for train, _ in self.splits]))) if self.splits else len(self.y)

    def rows(self, depth: int) -> NDArray[np.intp]:
        """Return the rows that the first folds test on."""
        return np.unique(np.concatenate([test for _, test in self.splits[:depth]]))

    def out_of_fold(self, candidate: Candidate, depth: int) -> Array:
        """Return a candidate's mean prediction for each row that the first folds test on."""
        rows = self.rows(depth)
        first = candidate.fits[0].prediction
        width = () if first is None or first.ndim == 1 else first.shape[1:]
        total, counts = np.zeros((len(self.y), *width)), np.zeros(len(self.y))
        for fold in range(depth):
            test = self.splits[fold][1]
            total[test] += candidate.fits[fold].prediction
            counts[test] += 1
        shape = (-1, *([1] * len(width)))
        return np.asarray(total[rows] / counts[rows].reshape(shape))

    def all_scores(self, candidate: Candidate) -> list[dict[str, float]]:
        """Return every stored metric on each fold; worked out once."""
        if candidate.all_scores is None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                candidate.all_scores = [
                    self.objective.all_scores(fit.prediction, self.splits[fold][1])
                    for fold, fit in sorted(candidate.fits.items())
                    if fit.prediction is not None
                ]
        return candidate.all_scores

    def fold_scores(self, candidate: Candidate) -> list[float]:
        """Return the metric on each fold; that on all rows together where a fold is too small for it."""
        found = []
        if self.objective.is_stored:
            found = [scores[self.task.metric.name] for scores in self.all_scores(candidate)]
            if all(map(math.isfinite, found)):
                return found
            found = []
        for fold, fit in sorted(candidate.fits.items()):
            if fit.prediction is not None:
                with np.errstate(all="ignore"):
                    found.append(self._score(fit.prediction, self.splits[fold][1]))
        if not all(map(math.isfinite, found)):
            depth = candidate.depth
            return [self._score(self.out_of_fold(candidate, depth), self.rows(depth))]
        return found

    def _score(self, prediction: Array, rows: NDArray[np.intp]) -> float:
        try:
            return self.objective.score(prediction, rows)
        except ValueError:
            return math.nan  # a metric of two classes on rows of one
