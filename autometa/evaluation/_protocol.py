"""The protocol of an evaluation: which rows train, which test, how many rounds of boosting, and what comes out."""

from __future__ import annotations

import pickle
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from autometa import distinct
from autometa.ensemble import side_by_side
from autometa.errors import DataError
from autometa.evaluation._boosting import fit_by_halves
from autometa.metrics import align_probabilities, score_predictions, stored_metrics
from autometa.pipelines import build_pipeline, split_preparation
from autometa.space import Configuration, finds_rounds
from autometa.task import Task

Split = tuple[NDArray[np.intp], NDArray[np.intp]]


@dataclass(frozen=True)
class Protocol:
    """How configurations are compared on a task.

    Attributes
    ----------
    n_folds : int, default=3
        Folds of a shuffled, for classification stratified, cross-validation.
    max_train_rows : int, default=1000
        Training rows per fold: the fidelity.
    max_test_rows : int, default=1000
        Test rows per fold.
    enough_test_rows : int, default=2000
        Folds are used until they have tested on so many rows together: large tests are precise.
    seed : int, default=0
    """

    n_folds: int = 3
    max_train_rows: int = 1000
    max_test_rows: int = 1000
    enough_test_rows: int = 2000
    seed: int = 0


@dataclass(frozen=True)
class Run:
    """What came of one configuration on one task at one fidelity.

    Attributes
    ----------
    status : {"ok", "failed", "timeout", "memory"}
    scores : mapping of str to float
        Mean over folds of every stored metric, in natural units.
    spread : mapping of str to float
        Standard deviation over folds.
    folds : mapping of str to tuple of float
        The scores of each fold.
    fit_seconds, predict_seconds : float
        CPU seconds per fold, of one thread.
    rounds : float
        Rounds of boosting, mean over folds, where early stopping found them.
    n_train : int
        Training rows per fold.
    reason : str
        Why the run did not succeed, one line.
    """

    configuration: Configuration
    status: str
    scores: Mapping[str, float] = field(default_factory=dict)
    spread: Mapping[str, float] = field(default_factory=dict)
    folds: Mapping[str, tuple[float, ...]] = field(default_factory=dict, repr=False)
    fit_seconds: float = float("nan")
    predict_seconds: float = float("nan")
    rounds: float = float("nan")
    n_train: int = 0
    n_folds: int = 0
    reason: str = ""

    @property
    def ok(self) -> bool:
        """Whether every fold was fitted and scored."""
        return self.status == "ok"

    def to_record(self) -> dict[str, Any]:
        """Return everything but the configuration as one flat mapping of plain types."""
        names = ("status", "reason", "fit_seconds", "predict_seconds", "n_train", "n_folds", "rounds")
        spread = {f"{name}_std": value for name, value in self.spread.items()}
        return {**{name: getattr(self, name) for name in names}, **self.scores, **spread}


def make_splits(task: Task, protocol: Protocol, folds: Sequence[Split] | None = None) -> list[Split]:
    """Draw the folds of a task; the same protocol always draws the same.

    Rows of a class that is not in the training and the test part of every fold are left out; where folds are drawn,
    these are the classes with fewer rows than folds.

    Parameters
    ----------
    task : Task
    protocol : Protocol
    folds : sequence of (train rows, test rows), optional
        Official folds of the task, in place of drawn ones: the first ``n_folds`` are shrunk to the protocol's limits.

    Raises
    ------
    DataError
        AM104 when fewer than two classes are left; AM201 when there are too few rows for the folds.
    """
    from sklearn.model_selection import train_test_split

    codes = None
    if task.kind != "regression":
        codes = np.unique(task.y.to_numpy(), return_inverse=True)[1]
    if folds is None:
        whole = _draw_folds(task.n_rows, codes, protocol)
    else:
        whole = _common_classes(folds[: protocol.n_folds], codes)

    def shrink(part: NDArray[np.intp], limit: int, fold: int) -> NDArray[np.intp]:
        if len(part) <= limit:
            return part
        strata = codes[part] if codes is not None and _can_stratify(codes[part], limit) else None
        return np.sort(
            train_test_split(part, train_size=limit, random_state=protocol.seed + fold, stratify=strata)[0]
        )

    splits = [
        (shrink(train, protocol.max_train_rows, fold), shrink(test, protocol.max_test_rows, fold))
        for fold, (train, test) in enumerate(whole)
    ]
    tested = np.cumsum([len(test) for _, test in splits])
    return splits[: 1 + int(np.searchsorted(tested, protocol.enough_test_rows))]


def _draw_folds(n_rows: int, codes: NDArray[np.intp] | None, protocol: Protocol) -> list[Split]:
    from sklearn.model_selection import KFold, StratifiedKFold

    if n_rows < 2 * protocol.n_folds:
        raise DataError(
            "AM201",
            f"the table has {n_rows} rows, too few for {protocol.n_folds} folds.",
            "Use fewer folds, or more rows.",
        )
    rows = np.arange(n_rows)
    if codes is None:
        splitter: Any = KFold(protocol.n_folds, shuffle=True, random_state=protocol.seed)
        return list(splitter.split(rows))
    rows = np.flatnonzero(np.bincount(codes)[codes] >= protocol.n_folds)
    if len(np.unique(codes[rows])) < 2:
        raise DataError(
            "AM104",
            f"fewer than two classes have at least {protocol.n_folds} rows.",
            "Merge or drop rare classes, or use fewer folds.",
        )
    splitter = StratifiedKFold(protocol.n_folds, shuffle=True, random_state=protocol.seed)
    return [(rows[train], rows[test]) for train, test in splitter.split(rows, codes[rows])]


def _common_classes(folds: Sequence[Split], codes: NDArray[np.intp] | None) -> list[Split]:
    """Leave out the rows of classes that some part lacks."""
    if min(len(part) for fold in folds for part in fold) < 2:
        raise DataError("AM201", "a part of the task's folds has fewer than two rows.", "Take other folds.")
    if codes is None:
        return list(folds)
    common = set.intersection(*(set(codes[part].tolist()) for fold in folds for part in fold))
    if len(common) < 2:
        raise DataError(
            "AM104", "fewer than two classes are in every part of the task's folds.", "Take other folds."
        )
    is_common = np.isin(codes, list(common))
    return [(train[is_common[train]], test[is_common[test]]) for train, test in folds]


def _can_stratify(labels: NDArray[Any], limit: int) -> bool:
    counts = np.bincount(labels)
    counts = counts[counts > 0]
    return bool(counts.min() >= 2 and limit >= len(counts) and len(labels) - limit >= len(counts))


def target_codes(task: Task) -> NDArray[Any]:
    """Return the target as models of folds see it: floats, or positions in ``task.classes``."""
    if task.kind == "regression":
        return task.y.to_numpy(dtype="float64")
    return task.y.map({label: code for code, label in enumerate(task.classes)}).to_numpy(dtype="int64")


def nested_rows(order: NDArray[np.float64], rows: NDArray[Any], limit: int | None) -> NDArray[Any]:
    """Return the first rows of a nested order, sorted: more rows always hold those of fewer."""
    if limit is None or len(rows) <= limit:
        return rows
    return np.sort(rows[np.argsort(order[rows])[:limit]])


def nested_order(y: NDArray[Any], kind: str, seed: int) -> NDArray[np.float64]:
    """Return a number for each row; the rows with the smallest hold every class in its share."""
    rng = np.random.default_rng(seed)
    order = rng.random(len(y))
    if kind == "regression":
        return order
    for code in np.unique(y):
        rows = np.flatnonzero(y == code)
        order[rows] = (np.argsort(np.argsort(order[rows])) + rng.random()) / len(rows)
    return order


class Prepared:
    """Prepared rows of one task's folds, kept for the configurations that ask for the same.

    On two tables of words a run took a quarter and a third less time with it. The seconds of a preparation count for
    every configuration as if it had been made for it alone.
    """

    def __init__(self) -> None:
        self._blocks: dict[tuple[int, bytes], tuple[tuple[Any, float], tuple[Any, float]]] = {}

    def __call__(
        self, fold: int, preparation: Pipeline, X_train: Any, y_train: NDArray[Any], X_test: Any
    ) -> tuple[tuple[Any, float], tuple[Any, float]]:
        """Return the rows to train and to test on as a preparation gives them, and the CPU seconds of each."""
        parts = [self._block(fold, part, X_train, y_train, X_test) for part in split_preparation(preparation)]
        train, test = zip(*parts, strict=True)
        return _beside(train), _beside(test)

    def _block(
        self, fold: int, part: Pipeline, X_train: Any, y_train: NDArray[Any], X_test: Any
    ) -> tuple[tuple[Any, float], tuple[Any, float]]:
        key = fold, pickle.dumps(part)
        if key not in self._blocks:
            start = time.process_time()
            train = distinct.fit_transform(part, X_train, y_train)
            middle = time.process_time()
            test = distinct.transform(part, X_test)
            self._blocks[key] = (train, middle - start), (test, time.process_time() - middle)
        return self._blocks[key]


def _beside(parts: Sequence[tuple[Any, float]]) -> tuple[Any, float]:
    return side_by_side([rows for rows, _ in parts]), sum(seconds for _, seconds in parts)


def evaluate(
    task: Task,
    configuration: Configuration,
    splits: Sequence[Split],
    *,
    random_state: int = 0,
    prepared: Prepared | None = None,
) -> Run:
    """Fit and score one configuration on each split.

    Parameters
    ----------
    task : Task
    configuration : Configuration
    splits : sequence of (train rows, test rows)
    random_state : int, default=0
    prepared : Prepared, optional
        Of earlier configurations on the same task and splits.

    Returns
    -------
    Run
        With status ``failed`` or ``memory`` and its reason if a fold raised.
    """
    n_train = round(float(np.mean([len(train) for train, _ in splits])))
    try:
        with warnings.catch_warnings():
            # Convergence and rank warnings are not the user's concern; failures are raised.
            warnings.simplefilter("ignore")
            folds = [
                _evaluate_fold(task, configuration, number, split, random_state, prepared)
                for number, split in enumerate(splits)
            ]
    except MemoryError as error:
        reason = f"out of memory: {error}".replace("\n", " ")[:200]
        return Run(configuration, "memory", n_train=n_train, reason=reason)
    except Exception as error:
        # What a library raises on odd data is a result of the experiment: it is recorded with its reason.
        reason = f"{type(error).__name__}: {error}".replace("\n", " ")[:200]
        return Run(configuration, "failed", n_train=n_train, reason=reason)
    scores, fit_seconds, predict_seconds, rounds = zip(*folds, strict=True)
    values = {name: np.array([fold[name] for fold in scores]) for name in scores[0]}
    broken = [name for name in stored_metrics(task.kind) if not np.isfinite(values[name]).all()]
    if broken:
        return Run(configuration, "failed", n_train=n_train, reason=f"{broken[0]} is not finite")
    return Run(
        configuration,
        "ok",
        scores={name: float(v.mean()) for name, v in values.items()},
        spread={name: float(v.std()) for name, v in values.items()},
        folds={name: tuple(v.tolist()) for name, v in values.items()},
        fit_seconds=float(np.mean(fit_seconds)),
        predict_seconds=float(np.mean(predict_seconds)),
        rounds=float(np.mean(rounds)),
        n_train=n_train,
        n_folds=len(folds),
    )


def _evaluate_fold(
    task: Task, configuration: Configuration, fold: int, split: Split, seed: int, prepared: Prepared | None
) -> tuple[dict[str, float], float, float, float]:
    """Return the scores, the CPU seconds to fit and to predict, and the rounds that early stopping kept."""
    (train, test), y = split, task.y.to_numpy()
    classes = None if task.kind == "regression" else np.unique(y[np.concatenate([train, test])])
    rounds, in_train, in_test = float("nan"), 0.0, 0.0
    start = time.process_time()
    model: Any = build_pipeline(configuration, task, random_state=seed)
    frame = as_pipelines_see_it(task)
    X_train, X_test = frame.iloc[train], frame.iloc[test]
    if finds_rounds(configuration):
        prediction, rounds = fit_by_halves(model, (X_train, y[train]), (X_test, y[test]), seed=seed)
        fitted = time.process_time()
    else:
        if prepared is not None:
            preparation, model = model[:-1], model[-1]
            (X_train, in_train), (X_test, in_test) = prepared(fold, preparation, X_train, y[train], X_test)
            start = time.process_time()
        model.fit(X_train, y[train])
        fitted = time.process_time()
        prediction = (model.predict if classes is None else model.predict_proba)(X_test)
    if classes is not None:
        prediction = align_probabilities(prediction, model.classes_, classes)
    done = time.process_time()
    scores = score_predictions(task.kind, y[test], prediction, classes)
    return scores, in_train + fitted - start, in_test + done - fitted, rounds


def as_pipelines_see_it(task: Task) -> pd.DataFrame:
    """Return the table; columns without names for the user have none: pipelines then take arrays without a warning."""
    return task.X.set_axis(range(task.X.shape[1]), axis=1) if task.is_positional else task.X


def fit_pipeline(
    task: Task,
    configuration: Configuration,
    rows: NDArray[np.intp] | None = None,
    *,
    sample_weight: NDArray[Any] | None = None,
    random_state: int = 0,
    rounds: int | None = None,
) -> Pipeline:
    """Build the pipeline of a configuration and fit it on some rows (positions), or on all.

    Rounds that early stopping found take the place of those of the configuration.
    """
    chosen = np.arange(task.n_rows) if rows is None else rows
    pipeline = build_pipeline(configuration, task, random_state=random_state)
    if rounds is not None and "n_estimators" in pipeline[-1].get_params():
        pipeline[-1].set_params(n_estimators=rounds)
    fit_params = {} if sample_weight is None else {"model__sample_weight": sample_weight[chosen]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pipeline.fit(as_pipelines_see_it(task).iloc[chosen], task.y.to_numpy()[chosen], **fit_params)
