"""What predictions cost: models, and what prepares the table for them; and how much they may."""

from __future__ import annotations

import pickle
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Final

import numpy as np
import pandas as pd
from sklearn import config_context

from autometa import distinct
from autometa.evaluation import MANY_ROWS, Preparation, as_pipelines_see_it
from autometa.tuning._candidate import Candidate, Problem

# Rows for which the seconds of predictions are told and limited.
PRICED_ROWS: Final = MANY_ROWS
# A model may take ten times a default LightGBM for its predictions. A little is left for what is not priced.
TIMES_DEFAULT: Final = 9.5
# Where to read the table takes most of that, models may take so many times the trees of a default one.
LEAST_TIMES_DEFAULT: Final = 6.0
# What takes less is not thinned out: seconds of so little differ from call to call, and models should not.
LEAST_SECONDS: Final = 0.3
# What took longer to prepare the whole table is not timed again: rows beyond the table's have known texts mostly.
_LONG_CALL: Final = 0.1
# Nor is what makes no difference.
_SHORT_CALL: Final = 0.01
# Rows on which others are timed.
_PREPARED_ROWS: Final = 500
# A default model is fitted on so many rows and timed with so many of its trees, of many classes with some.
_ROWS: Final = 1_000
_TREES: Final = 30
_CLASSES: Final = 5
# Trees of many classes do not stay in the cache: on tables of 5 to 18 classes they took 1.3 to 2.3 times as long.
_UNCACHED: Final = 1.75
# Levels are timed with so many rows, and of many columns with some.
_LEVEL_ROWS: Final = 2_000
_COLUMNS: Final = 20


# Of kernels, neighbours and linear models, the fitted arrays that a row is multiplied with, and how many of their
# numbers take as long as a tree: 480 rows of 120 columns took 6e-5 s, a tree 6e-8.
_NUMBERS: Final = ("support_vectors_", "_fit_X", "coef_")
_NUMBERS_OF_TREE: Final = 50.0


@dataclass(frozen=True, eq=False)
class Part:
    """How a candidate is to be in a model.

    Attributes
    ----------
    candidate : Candidate
    n_folds : int
        Models of its first folds.
    is_refitted : bool, default=False
        Whether there is one that is fitted on all rows.
    """

    candidate: Candidate
    n_folds: int
    is_refitted: bool = False

    @property
    def n_models(self) -> int:
        """How many models it has."""
        return self.n_folds + self.is_refitted

    @property
    def shorter(self) -> Part:
        """The same with one model of a fold less; at last with one on all rows alone."""
        return Part(self.candidate, self.n_folds - 1, self.is_refitted or self.n_folds == 1)

    @property
    def preparations(self) -> set[str]:
        """Names of what its models need; those of all rows have names of their own, where folds have."""
        fits = self.candidate.fits
        found = {name for fold in range(self.n_folds) for name in fits[fold].preparation}
        if self.is_refitted:
            found |= {f"all/{_kind(name)}" if name.count("/") > 1 else name for name in fits[0].preparation}
        return found


class Price:
    """CPU seconds that the predictions of 10,000 rows take, and how many they may.

    Parameters
    ----------
    problem : Problem
    preparations : mapping of str to Preparation
        By the names in the fits. Where it makes a difference they are timed; those of other folds take the same.
    first : Candidate or None
        To read the table at all takes as long as its preparation does.
    limit : float, optional
        Seconds; by default ten times those of a default LightGBM, more where to read the table takes most of them.
    """

    def __init__(
        self,
        problem: Problem,
        preparations: Mapping[str, Preparation],
        first: Candidate | None,
        limit: float | None = None,
    ) -> None:
        self._problem = problem
        self._preparations = {_kind(name): preparation for name, preparation in preparations.items()}
        self._seconds: dict[str, float] = {}
        self._first = first
        self._limit = limit

    def exceeds(self, parts: Sequence[Part]) -> bool:
        """Whether a model of these parts takes longer than the limit."""
        most = sum(self._at_most(_kind(name)) for name in _names(parts))
        return self._of_models(parts) + most > self.least and self.of(parts) > self.limit

    @property
    def least(self) -> float:
        """The limit, or seconds that are surely within it."""
        return max(TIMES_DEFAULT * sum(self._default), LEAST_SECONDS) if self._limit is None else self._limit

    @cached_property
    def limit(self) -> float:
        """The most seconds of a model."""
        if self._limit is not None or self._first is None:
            return self.least
        reading = self.of([Part(self._first, 1)]) - self.of_model(self._first)
        return max(self.least, reading + LEAST_TIMES_DEFAULT * self._default[0])

    @cached_property
    def _default(self) -> tuple[float, float]:
        return seconds_of_default(self._problem)

    def of(self, parts: Sequence[Part]) -> float:
        """Return the seconds of a model of these parts."""
        return self._of_models(parts) + sum(self._of_kind(_kind(name)) for name in _names(parts))

    def of_model(self, candidate: Candidate) -> float:
        """Return the seconds of one model of a candidate, without what prepares the table."""
        return candidate.fits[0].row_seconds * PRICED_ROWS

    def _of_models(self, parts: Sequence[Part]) -> float:
        return sum(self.of_model(part.candidate) * part.n_models for part in parts)

    def _is_long(self, kind: str) -> bool:
        return self._preparations[kind].row_seconds * min(self._problem.n_rows, PRICED_ROWS) > _LONG_CALL

    def _at_most(self, kind: str) -> float:
        n_rows = min(self._problem.n_rows, PRICED_ROWS) if self._is_long(kind) else PRICED_ROWS
        return self._preparations[kind].row_seconds * n_rows

    def _of_kind(self, kind: str) -> float:
        if kind not in self._seconds:
            seconds = self._at_most(kind)
            if seconds > _SHORT_CALL and not self._is_long(kind):
                fitted = pickle.loads(self._preparations[kind].pickled)
                seconds = seconds_to_prepare(self._problem, fitted)
            self._seconds[kind] = seconds
        return self._seconds[kind]


class _Counted(Price):
    """Prices that are the same at every call, for searches without a limit of time: in trees of LightGBM.

    What prepares the table counts for nothing, in a model as in the default.

    Parameters
    ----------
    problem : Problem
    """

    def __init__(self, problem: Problem) -> None:
        n_classes = len(problem.task.classes)
        super().__init__(problem, {}, None, TIMES_DEFAULT * 100 * (n_classes if n_classes > 2 else 1))
        self._counts: dict[int, float] = {}

    def exceeds(self, parts: Sequence[Part]) -> bool:
        """Whether a model of these parts takes longer than the limit."""
        return self.of(parts) > self.limit

    def of(self, parts: Sequence[Part]) -> float:
        """Return the price of a model of these parts."""
        return self._of_models(parts)

    def of_model(self, candidate: Candidate) -> float:
        """Return the price of one model of a candidate."""
        if id(candidate) not in self._counts:
            self._counts[id(candidate)] = trees_worth(pickle.loads(candidate.fits[0].model))
        return self._counts[id(candidate)]


def price_of(
    problem: Problem,
    preparations: Mapping[str, Preparation],
    first: Candidate,
    limit: float | None,
    *,
    is_timed: bool,
) -> Price:
    """Return the prices of a search; without a limit of time, and of predictions, those that are the same each time."""
    if is_timed or limit is not None:
        return Price(problem, preparations, first, limit)
    return _Counted(problem)


def trees_worth(model: Any) -> float:
    """Return how many trees of LightGBM take as long to predict a row as a fitted model."""
    model = getattr(model, "regressor_", model)
    if hasattr(model, "booster_"):
        rounds = model.best_iteration_ or model.n_estimators_
        return float(rounds * model.booster_.num_model_per_iteration())
    if hasattr(model, "n_trees_per_iteration_"):
        return float(model.n_iter_ * model.n_trees_per_iteration_)
    if hasattr(model, "estimators_"):
        return float(len(model.estimators_))
    weights = [*getattr(model, "coefs_", ())]
    weights += [getattr(model, name) for name in _NUMBERS if hasattr(model, name)]
    if not weights:
        return 100.0  # nothing is known: as long as a default
    return float(sum(np.prod(np.shape(values)) for values in weights)) / _NUMBERS_OF_TREE


def _names(parts: Sequence[Part]) -> set[str]:
    return {name for part in parts for name in part.preparations}


def _kind(name: str) -> str:
    """Return what preparations of different folds and rows have in common."""
    return name.rpartition("/")[2]


def seconds_to_prepare(problem: Problem, preparation: Any) -> float:
    """CPU seconds that a fitted preparation takes for 10,000 rows, by some of the task's."""
    frame = as_pipelines_see_it(problem.task)

    def seconds(n_rows: int) -> float:
        rows = frame.iloc[np.resize(np.arange(len(frame)), n_rows)]
        with warnings.catch_warnings(), config_context(transform_output="default"):
            warnings.simplefilter("ignore")
            start = time.process_time()
            distinct.transform(preparation, rows)
            return time.process_time() - start

    few, many = seconds(1), seconds(_PREPARED_ROWS)  # the first call of all takes longer: it imports
    return many + max(many - few, 0.0) * (PRICED_ROWS / _PREPARED_ROWS - 1)


def seconds_of_default(problem: Problem) -> tuple[float, float]:
    """CPU seconds that a default LightGBM takes to predict 10,000 rows of the table, levels as integers.

    Returns
    -------
    trees, levels : float
        Those of the model, and those that levels take to become integers.
    """
    import lightgbm

    task = problem.task
    chosen = np.random.default_rng(0).permutation(len(problem.y))[:_ROWS]
    frame, y = task.X.iloc[chosen], problem.y[chosen]
    numbers, others = (frame.select_dtypes(**{which: ["number", "bool"]}) for which in ("include", "exclude"))
    codes = [_codes(column, {}) for _, column in others.items()]
    X = np.column_stack([numbers.to_numpy(dtype="float64", na_value=np.nan), *codes])
    # There is a tree for each class in each round.
    is_many = len(task.classes) > 2
    times = max(len(task.classes) / _CLASSES, 1.0)
    rounds = _TREES // min(max(len(task.classes) - 1, 1), _CLASSES)
    kind = lightgbm.LGBMRegressor if task.kind == "regression" else lightgbm.LGBMClassifier
    model = kind(n_jobs=1, verbosity=-1, n_estimators=rounds).fit(X, y if times == 1.0 else y % _CLASSES)
    rows = np.resize(X, (PRICED_ROWS, X.shape[1]))

    def seconds(call: Callable[[], Any]) -> float:
        spent = []
        for _ in range(2):
            start = time.process_time()
            call()
            spent.append(time.process_time() - start)
        return min(spent)

    predict = model.booster_.predict
    few, many = (seconds(partial(predict, rows, num_iteration=n)) for n in (1, rounds))
    trees = times * (_UNCACHED if is_many else 1.0) * (few + max(many - few, 0.0) * (100 - 1) / (rounds - 1))
    some = others.iloc[np.resize(np.arange(len(y)), _LEVEL_ROWS), :_COLUMNS]
    known = [{level: i for i, level in enumerate(set(_as_text(column)))} for _, column in some.items()]
    levels = [
        seconds(partial(_codes, column, found))
        for (_, column), found in zip(some.items(), known, strict=True)
    ]
    return trees, sum(levels) * others.shape[1] / max(len(levels), 1) * PRICED_ROWS / _LEVEL_ROWS


def _as_text(column: pd.Series) -> pd.Series:
    return column.astype(object).where(column.notna(), "").astype(str)


def _codes(column: pd.Series, known: Mapping[str, int]) -> Any:
    """Return an integer for each level; all levels are learned where none is known."""
    text = _as_text(column)
    return text.map(known) if known else pd.factorize(text)[0]
