"""A configuration on its way through the folds, and what the folds say about it by the user's metric."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from optuna.trial import Trial
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from autometa.evaluation import FoldFit, Split, nested_order, nested_rows
from autometa.metrics import Metric, area_under_curve, score_predictions, stored_metrics
from autometa.space import Configuration
from autometa.task import Task

Array = NDArray[np.float64]
# Exponents of the class shares that decision thresholds are tried at: 0 predicts the likeliest class, 1 the class
# that is likeliest in proportion to its share, which is what balanced accuracy wants of honest probabilities.
TILTS: Final = tuple(np.linspace(0.0, 1.4, 15).tolist())
LABEL_METRICS: Final = frozenset(
    {
        "accuracy",
        "balanced_accuracy",
        "matthews_corrcoef",
        "negative_likelihood_ratio",
        "positive_likelihood_ratio",
        *("f1", "f1_macro", "f1_micro", "f1_weighted"),
        *("jaccard", "jaccard_macro", "jaccard_micro", "jaccard_weighted"),
        *("precision", "precision_macro", "precision_micro", "precision_weighted"),
        *("recall", "recall_macro", "recall_micro", "recall_weighted"),
    }
)
# What a metric of labels leaves to chance, the logarithmic loss decides: by this share of it.
_SOFT: Final = 0.1
# A fit on all rows may take so many times what its rows say.
REFIT_MARGIN: Final = 1.2
_TINY: Final = 1e-15


class Objective:
    """A loss to be lowered: the metric on predictions of the same rows.

    Parameters
    ----------
    task : Task
        Its metric decides.
    y : ndarray of shape (n_rows,)
        The target, as codes of the classes for classification.
    """

    def __init__(self, task: Task, y: NDArray[Any]) -> None:
        self.metric: Metric = task.metric
        self.is_regression = task.kind == "regression"
        self._task = task
        self._y = y
        self._labels = None if self.is_regression else np.asarray(task.classes)
        self.n_classes = 0 if self.is_regression else len(task.classes)
        self.shares = (
            np.ones(1) if self.is_regression else np.bincount(y, minlength=self.n_classes) / max(len(y), 1)
        )

    @property
    def is_stored(self) -> bool:
        """Whether the metric is among those that every run has."""
        return isinstance(self.metric.scorer, str) and self.metric.name in stored_metrics(self._task.kind)

    @property
    def is_about_labels(self) -> bool:
        """Whether the metric sees predicted classes, so that a decision threshold matters."""
        return not self.is_regression and (
            self.metric.name in LABEL_METRICS or _wants_labels(self.metric.scorer)
        )

    @property
    def is_about_probabilities(self) -> bool:
        """Whether the metric sees how sure probabilities are, so that calibration matters."""
        return not self.is_regression and self.metric.name in (
            "log_loss",
            "d2_log_loss_score",
            "brier",
            "d2_brier_score",
        )

    def view(self, prediction: Array, rows: NDArray[Any]) -> Array:
        """Return what the loss of a mean needs of a member's prediction, for some rows."""
        if self.is_regression:
            return prediction
        if self.metric.stored == "log_loss" and not self.is_about_labels:
            return prediction[np.arange(len(rows)), self._y[rows]]
        if self.metric.stored == "roc_auc" and self.n_classes == 2 and not self.is_about_labels:
            return prediction[:, 1]
        return prediction

    def loss(self, view: Array, rows: NDArray[Any]) -> float:
        """Return the loss of predictions, as :meth:`view` gives them, on some rows; lower is better."""
        y = self._y[rows]
        if self.is_regression:
            if self.metric.stored == "mae":
                return float(np.abs(y - view).mean())
            return float(((y - view) ** 2).mean())
        if view.ndim == 1 and self.metric.stored == "log_loss":
            return float(-np.log(np.maximum(view, 1e-6)).mean())
        if self.metric.stored == "roc_auc" and not self.is_about_labels:
            return 1.0 - _area(view, y, self.n_classes)
        return self._label_loss(view, y)

    def _label_loss(self, proba: Array, y: NDArray[Any]) -> float:
        """Loss of predicted classes at the best threshold, with a share of the loss of the probabilities."""
        weights = 1.0 / np.maximum(self.shares[y], _TINY) ** self._usual_tilt
        tilted = proba / np.maximum(proba.mean(axis=0), _TINY) ** self._usual_tilt
        tilted = tilted / tilted.sum(axis=1, keepdims=True)
        soft = -np.log(np.maximum(tilted[np.arange(len(y)), y], 1e-6))
        best = max(self._label_score(tilt(proba, t).argmax(axis=1), y) for t in self._tilts)
        return 1.0 - best + _SOFT * float(np.average(soft, weights=weights))

    @property
    def _usual_tilt(self) -> float:
        return 1.0 if self.metric.stored in ("balanced_accuracy", "f1_macro") else 0.0

    @property
    def _tilts(self) -> tuple[float, ...]:
        return (0.5, 0.75, 1.0, 1.2) if self._usual_tilt else (0.0, 0.2)

    def _label_score(self, chosen: NDArray[Any], y: NDArray[Any]) -> float:
        """Return the metric of predicted classes; the stored metric stands for others."""
        if self.metric.stored == "accuracy":
            return float((chosen == y).mean())
        table = np.bincount(y * self.n_classes + chosen, minlength=self.n_classes**2)
        table = table.reshape(self.n_classes, self.n_classes).astype(float)
        hits, true, said = np.diag(table), table.sum(axis=1), table.sum(axis=0)
        there = true > 0
        if self.metric.stored == "balanced_accuracy":
            return float((hits[there] / true[there]).mean())
        f1 = 2 * hits / np.maximum(true + said, 1)
        if self.metric.name == "f1" and self.n_classes == 2:
            return float(f1[1])
        return float(f1[there | (said > 0)].mean())

    def best_tilt(self, proba: Array, rows: NDArray[Any]) -> float:
        """Return the exponent of the class shares under which the predicted classes score best."""
        scores = [self.score(proba, rows, multipliers=proba.mean(axis=0) ** -t if t else None) for t in TILTS]
        gains = np.array(scores) * self.metric.sign
        # Neighbours vote: the best single threshold is in part luck with these rows.
        smooth = np.convolve(np.pad(gains, 1, mode="edge"), [0.25, 0.5, 0.25], mode="valid")
        return float(TILTS[int(np.argmax(smooth))])

    def score(self, prediction: Array, rows: NDArray[Any], multipliers: Array | None = None) -> float:
        """Return the metric of predictions for some rows, in natural units."""
        name = self.metric.name
        if self.is_stored:
            if multipliers is not None and name in LABEL_METRICS:
                prediction = prediction * multipliers
                prediction = prediction / prediction.sum(axis=1, keepdims=True)
            return self.all_scores(prediction, rows)[name]
        return self._scored(prediction, rows, multipliers)

    def _scored(self, prediction: Array, rows: NDArray[Any], multipliers: Array | None) -> float:
        """Let the user's scorer judge; it is given an estimator that has these predictions."""
        from sklearn.metrics import get_scorer

        scorer: Callable[..., float] = (
            get_scorer(self.metric.scorer) if isinstance(self.metric.scorer, str) else self.metric.scorer
        )
        X, truth = self._task.X.iloc[rows], self._task.y.iloc[rows]
        known: Any
        if self.is_regression:
            known = _KnownValues(prediction)
        else:
            known = _KnownProbabilities(prediction, self._labels, multipliers)
        value = float(scorer(known, X, truth.to_numpy()))
        return self.metric.sign * value

    def all_scores(self, prediction: Array, rows: NDArray[Any]) -> dict[str, float]:
        """Return every stored metric of predictions for some rows, in natural units."""
        classes = None if self.is_regression else np.arange(self.n_classes)
        return score_predictions(self._task.kind, self._y[rows], prediction, classes)


class _KnownProbabilities(ClassifierMixin, BaseEstimator):
    """A classifier whose answers are there already."""

    def __init__(self, proba: Any, labels: Any, multipliers: Any = None) -> None:
        self.proba = proba
        self.labels = labels
        self.multipliers = multipliers
        self.classes_ = labels

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def predict_proba(self, X: Any) -> Any:
        return self.proba

    def predict(self, X: Any) -> Any:
        tilted = self.proba if self.multipliers is None else self.proba * self.multipliers
        return self.labels[tilted.argmax(axis=1)]


class _KnownValues(RegressorMixin, BaseEstimator):
    """A regressor whose answers are there already."""

    def __init__(self, values: Any) -> None:
        self.values = values

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def predict(self, X: Any) -> Any:
        return self.values


def tilt(proba: Array, exponent: float) -> Array:
    """Divide probabilities by a power of the mean probability of their class."""
    return proba if exponent == 0 else proba / np.maximum(proba.mean(axis=0), _TINY) ** exponent


def _area(view: Array, y: NDArray[Any], n_classes: int) -> float:
    """Mean area under the one-versus-rest ROC curves, by ranks (Mann and Whitney 1947)."""
    if view.ndim == 1:
        return area_under_curve(view, y == 1) if 0 < y.sum() < len(y) else 0.5
    codes = [code for code in range(n_classes) if 0 < np.sum(y == code) < len(y)]
    return float(np.mean([area_under_curve(view[:, c], y == c) for c in codes])) if codes else 0.5


def _wants_labels(scorer: Any) -> bool:
    """Whether a scorer asks an estimator for classes."""
    return getattr(scorer, "_response_method", None) in ("predict", None) and hasattr(scorer, "_score_func")


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

    def once(self, times: int) -> Problem:
        """Return the problem of a table that was split so many times, split once; itself where it was not."""
        n_folds = len(self.splits) // times
        # Groups are not split again.
        is_whole = n_folds > 0 and len(self.rows(n_folds)) == len(self.rows(len(self.splits)))
        return replace(self, splits=self.splits[:n_folds]) if is_whole else self

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

    def refit_seconds(self, candidate: Candidate) -> float:
        """Seconds that a candidate takes at most to be fitted on all rows, by its fits on folds.

        Where early stopping found the rounds, those that were made in vain make up for the rows.
        """
        is_alike = candidate.max_rows or any(fit.rounds for fit in candidate.fits.values())
        growth = 1.0 if is_alike else len(self.y) / self.n_train
        return REFIT_MARGIN * growth * candidate.fold_seconds

    def refits_within(self, most: float, members: Sequence[Candidate]) -> float:
        """Seconds for fits of members on all rows, the first ones first; those that would exceed the most get none."""
        total = 0.0
        for member in members:
            seconds = self.refit_seconds(member)
            total += seconds if total + seconds <= most else 0.0
        return total

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
