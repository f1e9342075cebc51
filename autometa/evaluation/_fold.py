"""One configuration fitted on one fold: its model, and what it predicts for the rows that were left out."""

from __future__ import annotations

import hashlib
import pickle
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import cloudpickle
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn import clone, config_context
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from autometa import distinct
from autometa.ensemble import bounds_of, side_by_side, within
from autometa.evaluation._boosting import MOST_RATE, StopAt, is_lightgbm, patience_of
from autometa.evaluation._protocol import (
    Split,
    as_pipelines_see_it,
    fit_pipeline,
    nested_order,
    nested_rows,
    target_codes,
)
from autometa.pipelines import build_pipeline, build_plain_pipeline, is_supervised, split_preparation
from autometa.space import Configuration
from autometa.task import Task

# Scalers, medians and vocabularies do not change with more rows than these.
PREPARATION_ROWS: Final = 50_000
# A table of so many numbers (320 MB) is kept prepared; a larger one is prepared anew for each fit.
MAX_CELLS: Final = 40_000_000
# From so many training rows on, the rows left out stop boosting; on fewer they are too few to say when, and a
# stop that they chose would flatter the score on them.
EARLY_STOPPING_ROWS: Final = 2_500
# With early stopping this many rounds are never reached at the usual rates; time ends the slow ones before.
MAX_ROUNDS: Final = 2_000
# Predictions are priced on so many rows: they take a few milliseconds, a call by itself less than one.
PRICE_ROWS: Final = 1_000
FEW_ROWS: Final = 100
# The rows left out tell the price themselves where they took so many seconds: what a call takes is nothing then.
LONG_CALL: Final = 0.2
# A call by itself is shared by so many rows.
MANY_ROWS: Final = 10_000


@dataclass(frozen=True)
class Job:
    """What to fit.

    Attributes
    ----------
    configuration : Configuration
    fold : int or None
        Which of the folds is left out; None fits all rows.
    max_rows : int or None
        Train on at most so many rows.
    seconds : float
        After so many seconds boosting ends with the rounds that it has.
    rounds : int or None
        Of boosting, where they were found before.
    is_pipeline : bool
        Whether the answer is one pipeline that takes the user's table and gives the user's labels.
    table_rows : int or None
        Look at so many rows of the table only, see :func:`nested_rows`: to prepare all would take too long.
    layer : ndarray of shape (n_rows, n_columns), optional
        What other models say of each row that they were not fitted on: columns beside those of the table.
    is_plain : bool
        Whether to do without what takes long to prepare: columns of text are left out, and categories are levels.
    """

    configuration: Configuration
    fold: int | None
    max_rows: int | None = None
    seconds: float = float("inf")
    rounds: int | None = None
    is_pipeline: bool = False
    table_rows: int | None = None
    layer: NDArray[np.float64] | None = None
    is_plain: bool = False


@dataclass(frozen=True)
class Preparation:
    """A fitted preparation of the table.

    Attributes
    ----------
    pickled : bytes
    row_seconds : float
        CPU seconds for each of the rows that it was fitted on or given next: new rows take no more.
    """

    pickled: bytes
    row_seconds: float


@dataclass(frozen=True)
class FoldFit:
    """A fitted model and what it says.

    Attributes
    ----------
    prediction : ndarray of shape (n_test,) or (n_test, n_classes), or None
        For the rows left out; None where there are none.
    model : bytes
        The pickled model; it takes what the preparation gives.
    preparation : tuple of str
        Names of the fitted preparations, whose columns stand side by side.
    preparations : dict of str to Preparation
        Those that were not sent before.
    fit_seconds, predict_seconds : float
        CPU seconds.
    prepare_seconds, shared_seconds : float
        Those of `fit_seconds` that the preparation took, and those of them that other folds do not need again.
    is_second : bool
        Whether the model reads what a first layer says, after the columns of the table.
    made : float
        Share of the rounds that boosting was asked for which it had time for; 1 for others.
    row_seconds : float
        CPU seconds of the model for each row of a large table; NaN but for the first fold.
    n_train : int
    rounds : int or None
        Of boosting, where early stopping chose them.
    """

    prediction: NDArray[np.float64] | None
    model: bytes
    preparation: tuple[str, ...]
    preparations: dict[str, Preparation]
    fit_seconds: float
    predict_seconds: float
    n_train: int
    rounds: int | None = None
    row_seconds: float = float("nan")
    prepare_seconds: float = 0.0
    shared_seconds: float = 0.0
    is_second: bool = False
    made: float = 1.0

    @property
    def is_cut(self) -> bool:
        """Whether boosting had no time for half of its rounds."""
        return self.made < 0.5


@dataclass(frozen=True)
class Failure:
    """Why there is no model: status ``failed``, ``memory`` or ``timeout``, and a reason in one line."""

    status: str
    reason: str


class FoldFitter:
    """Fits configurations on the folds of one task, and shares what they have in common.

    What does not read the target is prepared once on all rows and shared by all folds and configurations that ask for
    the same; target encoding is fitted inside each fold.

    Parameters
    ----------
    task : Task
    splits : sequence of (train rows, test rows)
    share : bool, default=True
        Whether preparations are shared; not where the user's own folds keep the future from the past.
    sample_weight : ndarray of shape (n_rows,), optional
    random_state : int, default=0
    max_cells : int, default=40,000,000
        Of a table that is kept prepared for all folds, and of all that is kept for one fold each.
    """

    def __init__(
        self,
        task: Task,
        splits: Sequence[Split],
        *,
        share: bool = True,
        sample_weight: NDArray[Any] | None = None,
        random_state: int = 0,
        max_cells: int = MAX_CELLS,
    ) -> None:
        self._splits = list(splits)
        self._max_cells = max_cells
        self._weights = sample_weight
        self._seed = random_state
        self._share = share
        self.y = target_codes(task)
        self._bounds = bounds_of(self.y) if task.kind == "regression" else ()
        coded = pd.Series(self.y, index=task.y.index, name=task.y.name)
        self._original = task
        self._task = replace(task, y=coded)
        self._frame = as_pipelines_see_it(task)
        self._order = nested_order(self.y, task.kind, random_state)
        # Shared preparations with the whole table as they give it, and those of one fold with its rows.
        self._shared: dict[str, tuple[Any, Any]] = {}
        self._own: dict[str, tuple[Any, Any, Any]] = {}
        self._row_seconds: dict[str, float] = {}
        self._sent: set[str] = set()
        self._built: tuple[tuple[Configuration, bool], list[tuple[str, Pipeline, bool]], Any] | None = None

    def __call__(self, job: Job) -> FoldFit | Failure:
        """Fit; what goes wrong is the answer, not an error."""
        try:
            with threadpool_limits(1), warnings.catch_warnings(), config_context(transform_output="default"):
                warnings.simplefilter("ignore")
                return self._fit(job)
        except MemoryError as error:
            return Failure("memory", f"out of memory: {error}".replace("\n", " ")[:200])
        except Exception as error:
            # What a library raises on odd data is a result of the experiment: it is recorded with its reason.
            return Failure("failed", f"{type(error).__name__}: {error}".replace("\n", " ")[:200])

    def _fit(self, job: Job) -> FoldFit:
        end = time.monotonic() + job.seconds
        start = time.process_time()
        everything = self._limited(np.arange(len(self.y)), job.table_rows)
        if job.fold is None:
            train, test = everything, np.array([], dtype=int)
        else:
            train, test = (rows[np.isin(rows, everything)] for rows in self._splits[job.fold])
        train = self._limited(train, job.max_rows)
        if job.is_pipeline:
            return self._fit_pipeline(job, train)
        parts, model = self._build(job.configuration, job.is_plain)
        if job.rounds is not None and is_lightgbm(model):
            model.set_params(n_estimators=job.rounds)
        names, blocks, shared = [], [], 0.0
        for name, preparation, is_own in parts:
            # What is fitted on few rows, to be quick, is not for others.
            if is_own or (job.fold is None and job.max_rows is not None):
                name = f"{job.table_rows}/{job.fold}/{job.max_rows}/{name}"
                blocks.append(self._prepare_fold(name, preparation, train, test))
            else:
                name = name if job.table_rows is None else f"{job.table_rows}/{name}"
                before, is_new = time.process_time(), name not in self._shared
                blocks.append(self._prepare(name, preparation, everything, train, test))
                shared += time.process_time() - before if is_new else 0.0
            names.append(name)
        self._forget(names)
        X_train = side_by_side([block for block, _ in blocks])
        X_test = side_by_side([block for _, block in blocks]) if len(test) else None
        if job.layer is not None:
            X_train = side_by_side([X_train, job.layer[train]])
            X_test = side_by_side([X_test, job.layer[test]]) if len(test) else None
        prepared = time.process_time()
        rounds, made = self._fit_model(model, X_train, X_test, train, test, end)
        fitted = time.process_time()
        prediction = self._predict(model, X_test) if len(test) else None
        done = time.process_time()
        if prediction is not None and not np.isfinite(prediction).all():
            raise ValueError("predictions are not finite")
        return FoldFit(
            prediction,
            _dumps(model),
            tuple(names),
            self._unsent(names),
            fitted - start,
            done - fitted,
            len(train),
            rounds,
            self._price(model, X_test, done - fitted) if job.fold == 0 else float("nan"),
            prepared - start,
            shared,
            job.layer is not None,
            made,
        )

    def _price(self, model: Any, X: Any, spent: float) -> float:
        """CPU seconds for each row of a large table; these took `spent`. A few tell what a call takes by itself."""
        if spent > LONG_CALL:
            return spent / X.shape[0]
        rows = np.arange(PRICE_ROWS) % X.shape[0]
        start = time.process_time()
        self._predict(model, X[rows[:FEW_ROWS]])
        middle = time.process_time()
        self._predict(model, X[rows])
        more = time.process_time() - middle - (middle - start)
        return max(more, 0.0) / (PRICE_ROWS - FEW_ROWS) + (middle - start) / MANY_ROWS

    def _fit_pipeline(self, job: Job, rows: NDArray[Any]) -> FoldFit:
        start = time.process_time()
        fitted = fit_pipeline(
            self._original,
            job.configuration,
            rows,
            sample_weight=self._weights,
            random_state=self._seed,
            rounds=job.rounds,
        )
        spent = time.process_time() - start
        return FoldFit(None, _dumps(fitted), (), {}, spent, 0.0, len(rows), job.rounds)

    def _limited(self, rows: NDArray[Any], limit: int | None) -> NDArray[Any]:
        return nested_rows(self._order, rows, limit)

    def _build(
        self, configuration: Configuration, is_plain: bool
    ) -> tuple[list[tuple[str, Pipeline, bool]], Any]:
        """Return fresh copies of a configuration's preparations, with names, and of its model.

        What reads the target is told from the rest: it is fitted anew in each fold.
        """
        if self._built is None or self._built[0] != (configuration, is_plain):
            build = build_plain_pipeline if is_plain else build_pipeline
            pipeline = build(configuration, self._task, random_state=self._seed)
            parts = [
                # Two preparations of the same bytes are the same.
                (
                    hashlib.sha256(_dumps(part)).hexdigest()[:16],
                    part,
                    not self._share or is_supervised(part["prepare"]),
                )
                for part in split_preparation(pipeline[:-1])
            ]
            self._built = (configuration, is_plain), parts, pipeline[-1]
        _, parts, model = self._built
        return [(name, clone(part), is_own) for name, part, is_own in parts], clone(model)

    def _prepare(
        self,
        name: str,
        preparation: Pipeline,
        everything: NDArray[Any],
        train: NDArray[Any],
        test: NDArray[Any],
    ) -> tuple[Any, Any]:
        """Return the rows as a preparation that is fitted once for all folds gives them."""
        if name not in self._shared:
            start = time.process_time()
            self._shared[name] = self._prepare_all(preparation, everything)
            self._row_seconds[name] = (time.process_time() - start) / len(everything)
        fitted, whole = self._shared[name]
        if whole is not None:
            return whole[np.searchsorted(everything, train)], whole[np.searchsorted(everything, test)]
        X_test = distinct.transform(fitted, self._frame.iloc[test]) if len(test) else None
        return distinct.transform(fitted, self._frame.iloc[train]), X_test

    def _prepare_all(self, preparation: Pipeline, everything: NDArray[Any]) -> tuple[Any, Any]:
        """Return a preparation that is fitted for all folds, and the rows as it gives them, or None for many."""
        frame = self._frame if len(everything) == len(self.y) else self._frame.iloc[everything]
        rows = self._limited(everything, PREPARATION_ROWS)
        if len(rows) == len(frame):
            # To fit is to transform: no second time.
            whole = distinct.fit_transform(preparation, frame, self.y[rows])
        else:
            distinct.fit_transform(preparation, self._frame.iloc[rows], self.y[rows])
            whole = None
        head = preparation.transform(frame.iloc[:PRICE_ROWS]) if whole is None else whole[:PRICE_ROWS]
        n_cells = _n_stored(head) * len(frame) / head.shape[0]
        if n_cells > self._max_cells:
            return preparation, None
        if whole is None:
            whole = distinct.transform(preparation, frame)
        return preparation, whole.tocsr() if hasattr(whole, "tocsr") else whole

    def _prepare_fold(
        self, name: str, preparation: Pipeline, train: NDArray[Any], test: NDArray[Any]
    ) -> tuple[Any, Any]:
        """Return the rows as a preparation that is fitted on this fold alone gives them."""
        if name not in self._own:
            start = time.process_time()
            X_train = distinct.fit_transform(preparation, self._frame.iloc[train], self.y[train])
            X_test = distinct.transform(preparation, self._frame.iloc[test]) if len(test) else None
            self._row_seconds[name] = (time.process_time() - start) / (len(train) + len(test))
            self._own[name] = preparation, X_train, X_test
            self._sent.discard(name)
        return self._own[name][1:]

    def _forget(self, names: Sequence[str]) -> None:
        """Let go of preparations of folds, the oldest first, but for those of these names, while all are large."""
        sizes = {name: sum(map(_n_stored, kept[1:])) for name, kept in self._own.items()}
        for name in [name for name in self._own if name not in names]:
            if sum(sizes.values()) <= self._max_cells:
                return
            del self._own[name], sizes[name]

    def _unsent(self, names: Sequence[str]) -> dict[str, Preparation]:
        new = [name for name in names if name not in self._sent]
        self._sent.update(new)
        kept = {name: (self._own if name in self._own else self._shared)[name][0] for name in new}
        return {name: Preparation(_dumps(kept[name]), self._row_seconds[name]) for name in new}

    def _fit_model(
        self, model: Any, X: Any, X_test: Any, train: NDArray[Any], test: NDArray[Any], end: float
    ) -> tuple[int | None, float]:
        """Fit a model; return the rounds that early stopping found, and the share of them that there was time for."""
        y = self.y[train]
        weights = {} if self._weights is None else {"sample_weight": self._weights[train]}
        if not is_lightgbm(model):
            model.fit(X, y, **weights)
            return None, 1.0
        n_trees = len(np.unique(y)) if self._task.kind == "multiclass" else 1
        # After the last round all rows left out are predicted, and then some to be priced.
        most_rate = MOST_RATE if self._task.kind == "regression" else 0.0
        stop = StopAt(end, n_trees, len(test) + PRICE_ROWS, most_rate)
        if (
            len(test) == 0
            or len(train) < EARLY_STOPPING_ROWS
            or len(np.unique(y)) < len(np.unique(self.y[test]))
        ):
            model.fit(X, y, callbacks=[stop], **weights)
            return None, stop.made
        import lightgbm

        is_known = np.isin(self.y[test], np.unique(y)) if self._task.kind != "regression" else slice(None)
        balanced = getattr(model, "class_weight", None) == "balanced"
        model.set_params(n_estimators=MAX_ROUNDS)
        model.fit(
            X,
            y,
            eval_set=[(X_test[is_known], self.y[test][is_known])],
            **({"eval_class_weight": ["balanced"]} if balanced else {}),
            callbacks=[
                lightgbm.early_stopping(patience_of(model.learning_rate), verbose=False),
                stop,
            ],
            **weights,
        )
        rounds = int(model.best_iteration_ or model.n_estimators_)
        # The rounds that were kept are a parameter like any other, for whoever looks at the model.
        model.set_params(n_estimators=rounds)
        return rounds, stop.made

    def _predict(self, model: Any, X: Any) -> NDArray[np.float64]:
        if self._task.kind == "regression":
            return within(np.ravel(np.asarray(model.predict(X), dtype="float64")), self._bounds)
        proba = np.zeros((X.shape[0], int(self.y.max()) + 1))
        proba[:, model.classes_.astype(int)] = model.predict_proba(X)
        return proba


def _n_stored(rows: Any) -> int:
    """Return how many cells rows take; of sparse ones, what is stored counts."""
    return 0 if rows is None else int(getattr(rows, "nnz", rows.size))


def _dumps(value: Any) -> bytes:
    try:
        return pickle.dumps(value, protocol=5)
    except (pickle.PicklingError, AttributeError, TypeError):
        return cloudpickle.dumps(value)
