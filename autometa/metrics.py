"""The metrics by their scikit-learn names without a sign, how they relate, and the values of the stored ones."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn import metrics

from autometa.errors import UsageError


@dataclass(frozen=True)
class Metric:
    """How the quality of predictions is measured.

    Attributes
    ----------
    name : str
        scikit-learn's scorer name without ``neg_``; ``rmse``, ``mse``, ``mae`` and ``brier`` for short; or the name of
        the user's scorer.
    greater_is_better : bool
        Direction in natural units; ``log_loss`` is lower-is-better.
    stored : str
        The metric of the metadata base that stands for this one: itself, or the nearest known.
    scorer : str or callable
        What scikit-learn's ``check_scoring`` takes; its result is always greater-is-better.
    """

    name: str
    greater_is_better: bool
    stored: str
    scorer: str | Callable[..., float]

    @property
    def sign(self) -> int:
        """+1 if greater is better, else -1: ``sign * value`` is always to be maximised."""
        return 1 if self.greater_is_better else -1

    @property
    def is_proxied(self) -> bool:
        """Whether experience is read from another metric than the one asked for."""
        return self.name != self.stored


CLASSIFICATION_METRICS: Final = ("accuracy", "balanced_accuracy", "roc_auc", "log_loss", "f1_macro")
REGRESSION_METRICS: Final = ("r2", "rmse", "mae")
DEFAULT_METRIC: Final = {"binary": "roc_auc", "multiclass": "log_loss", "regression": "r2"}

# scikit-learn's scorer, and the stored metric that stands for it: the one that sees the same things of a prediction
# (classes, probabilities, their order; squares or absolute values).
_CLASSIFICATION_SCORERS: Final = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced_accuracy",
    "roc_auc": "roc_auc",
    "roc_auc_ovr": "roc_auc",
    "roc_auc_ovr_weighted": "roc_auc",
    "roc_auc_ovo": "roc_auc",
    "roc_auc_ovo_weighted": "roc_auc",
    "average_precision": "roc_auc",
    "neg_log_loss": "log_loss",
    "neg_brier_score": "log_loss",
    "d2_log_loss_score": "log_loss",
    "d2_brier_score": "log_loss",
    "f1": "f1_macro",
    "f1_macro": "f1_macro",
    "f1_micro": "accuracy",
    "f1_weighted": "f1_macro",
    "jaccard": "f1_macro",
    "jaccard_macro": "f1_macro",
    "jaccard_micro": "accuracy",
    "jaccard_weighted": "f1_macro",
    "precision": "f1_macro",
    "precision_macro": "f1_macro",
    "precision_micro": "accuracy",
    "precision_weighted": "f1_macro",
    "recall": "balanced_accuracy",
    "recall_macro": "balanced_accuracy",
    "recall_micro": "accuracy",
    "recall_weighted": "accuracy",
    "matthews_corrcoef": "f1_macro",
    "positive_likelihood_ratio": "balanced_accuracy",
    "neg_negative_likelihood_ratio": "balanced_accuracy",
    "top_k_accuracy": "accuracy",
}
_REGRESSION_SCORERS: Final = {
    "r2": "r2",
    "explained_variance": "r2",
    "neg_root_mean_squared_error": "rmse",
    "neg_mean_squared_error": "rmse",
    "neg_mean_squared_log_error": "rmse",
    "neg_root_mean_squared_log_error": "rmse",
    "neg_mean_poisson_deviance": "rmse",
    "neg_mean_gamma_deviance": "rmse",
    "neg_max_error": "rmse",
    "neg_mean_absolute_error": "mae",
    "neg_mean_absolute_percentage_error": "mae",
    "neg_median_absolute_error": "mae",
    "d2_absolute_error_score": "mae",
}
# What people call them, and scikit-learn does not.
_SHORT: Final = {
    "brier_score": "brier",
    "root_mean_squared_error": "rmse",
    "mean_squared_error": "mse",
    "mean_absolute_error": "mae",
}
_BINARY_ONLY: Final = frozenset(
    ("f1", "jaccard", "precision", "recall", "positive_likelihood_ratio", "negative_likelihood_ratio")
)


def _by_name(scorers: dict[str, str]) -> dict[str, tuple[str, bool, str]]:
    """Return scorer, whether greater is better, and the stored metric, by the name without a sign."""
    found = {}
    for scorer, stored in scorers.items():
        name = scorer.removeprefix("neg_")
        found[_SHORT.get(name, name)] = (scorer, name == scorer, stored)
    return found


_CLASSIFICATION: Final = _by_name(_CLASSIFICATION_SCORERS)
_REGRESSION: Final = _by_name(_REGRESSION_SCORERS)


def known_metrics(kind: str) -> tuple[str, ...]:
    """Names of the metrics that fit a kind of task, without those of the user."""
    known = _REGRESSION if kind == "regression" else _CLASSIFICATION
    return tuple(name for name in known if kind != "multiclass" or name not in _BINARY_ONLY)


def stored_metrics(kind: str) -> tuple[str, ...]:
    """Names of the metrics that every run of this kind of task carries."""
    return REGRESSION_METRICS if kind == "regression" else CLASSIFICATION_METRICS


# Scores of one class, which scikit-learn takes to be 1 unless told: function, greater is better, what it is given.
_ONE_CLASS: Final[dict[str, tuple[str, bool, tuple[str, ...]]]] = {
    "f1": ("f1_score", True, ("predict",)),
    "jaccard": ("jaccard_score", True, ("predict",)),
    "precision": ("precision_score", True, ("predict",)),
    "recall": ("recall_score", True, ("predict",)),
    "average_precision": ("average_precision_score", True, ("decision_function", "predict_proba")),
    "neg_brier_score": ("brier_score_loss", False, ("predict_proba",)),
    "d2_brier_score": ("d2_brier_score", True, ("predict_proba",)),
}


def resolve_metric(metric: str | Callable[..., float] | None, kind: str, positive: Any = None) -> Metric:
    """Find the metric meant by a name, a scikit-learn scorer, or nothing.

    Parameters
    ----------
    metric : str, callable or None
        A scikit-learn scorer name with or without its ``neg_`` sign, a scorer ``(estimator, X, y) -> float``
        (greater is better), or None for the default of the kind.
    kind : {"binary", "multiclass", "regression"}
    positive : label, optional
        The class that metrics of one class are about, where the labels themselves do not tell.

    Raises
    ------
    UsageError
        AM107 when the name is unknown or does not fit the kind.
    """
    if metric is None:
        metric = DEFAULT_METRIC[kind]
    known = _REGRESSION if kind == "regression" else _CLASSIFICATION
    if callable(metric):
        function = getattr(metric, "_score_func", metric)
        return Metric(getattr(function, "__name__", "custom"), True, DEFAULT_METRIC[kind], metric)
    name = metric.strip().removeprefix("neg_").replace("roc_auc_score", "roc_auc")
    name = _SHORT.get(name, name)
    if name not in known and name.removesuffix("_score") in known:
        name = name.removesuffix("_score")
    other = _CLASSIFICATION if kind == "regression" else _REGRESSION
    fits = name in known and not (kind == "multiclass" and name in _BINARY_ONLY)
    if fits:
        scorer, greater, stored = known[name]
        if scorer == "roc_auc" and kind == "multiclass":
            scorer = "roc_auc_ovr"
        is_told = positive is not None and scorer in _ONE_CLASS
        return Metric(name, greater, stored, _scorer_of_class(scorer, positive) if is_told else scorer)
    if name in known or name in other:
        raise UsageError(
            "AM107",
            f"metric {metric!r} does not fit a {kind} target.",
            f"Choose one of: {', '.join(stored_metrics(kind))}.",
        )
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"Did you mean {close[0]!r}?" if close else f"Choose one of: {', '.join(known)}."
    raise UsageError("AM107", f"metric {metric!r} is not known.", hint)


def needs_positive(metric: Metric) -> bool:
    """Whether the metric is about one class, and scikit-learn's own scorer takes that class to be 1."""
    return isinstance(metric.scorer, str) and metric.scorer in _ONE_CLASS


def _scorer_of_class(scorer: str, positive: Any) -> Callable[..., float]:
    from sklearn import metrics

    name, greater, response = _ONE_CLASS[scorer]
    made: Callable[..., float] = metrics.make_scorer(
        getattr(metrics, name), greater_is_better=greater, response_method=response, pos_label=positive
    )
    return made


def perfect_score(metric: str) -> float:
    """Return the value of a stored metric for predictions without error."""
    return 1.0 if as_gain(1.0, metric) > 0 else 0.0


def baseline_scores(kind: str, y: Any) -> dict[str, float]:
    """Return every stored metric of the best constant prediction, in natural units.

    Parameters
    ----------
    kind : {"binary", "multiclass", "regression"}
    y : array-like of shape (n_rows,)

    Returns
    -------
    dict of str to float
        For regression that of the mean, for classification that of the class frequencies.
    """
    if kind == "regression":
        values = np.asarray(y, dtype="float64")
        deviations = np.abs(values - values.mean())
        return {"r2": 0.0, "rmse": float(values.std()), "mae": float(deviations.mean())}
    shares = np.unique(np.asarray(y), return_counts=True)[1] / len(y)
    return {
        "accuracy": float(shares.max()),
        "balanced_accuracy": 1.0 / len(shares),
        "roc_auc": 0.5,
        "log_loss": float(-(shares * np.log(shares)).sum()),
        "f1_macro": float(2 * shares.max() / (1 + shares.max()) / len(shares)),
    }


def as_gain(values: Any, metric: str) -> Any:
    """Turn values of a stored metric into greater-is-better."""
    table = {**_CLASSIFICATION, **_REGRESSION}
    return values if table[metric][1] else -values


@dataclass(frozen=True)
class Scale:
    """Turns levels of a task (0 as its best constant prediction, 1 perfect) into scores of a metric, and back.

    Attributes
    ----------
    baseline, perfect : float
        Scores of the best constant and of a perfect prediction, in natural units.
    """

    baseline: float
    perfect: float

    @classmethod
    def of(cls, metric: str, kind: str, y: Any) -> Scale:
        """Return the scale of a stored metric for a target.

        Parameters
        ----------
        metric : str
        kind : {"binary", "multiclass", "regression"}
        y : array-like of shape (n_rows,)
        """
        return cls(baseline_scores(kind, y)[metric], perfect_score(metric))

    def score(self, level: float) -> float:
        """Return the score at a level."""
        return self.baseline + level * (self.perfect - self.baseline)

    def level(self, score: float) -> float:
        """Return the level of a score; 0 where a constant prediction is perfect."""
        way = self.perfect - self.baseline
        return (score - self.baseline) / way if abs(way) > 1e-12 else 0.0


def score_predictions(
    kind: str, y_true: NDArray[Any], prediction: NDArray[Any], classes: NDArray[Any] | None = None
) -> dict[str, float]:
    """Score predictions under every stored metric, in natural units.

    Parameters
    ----------
    kind : {"binary", "multiclass", "regression"}
    y_true : ndarray of shape (n_rows,)
    prediction : ndarray of shape (n_rows,) or (n_rows, n_classes)
        Predicted values, or probabilities in the order of `classes`.
    classes : ndarray of shape (n_classes,), optional
        Needed for classification; must hold every label of `y_true`.

    Returns
    -------
    dict of str to float
        ``roc_auc`` is the mean over one-versus-rest classes present in `y_true`.
    """
    if kind == "regression" or classes is None:
        return {
            "r2": float(metrics.r2_score(y_true, prediction)),
            "rmse": float(metrics.root_mean_squared_error(y_true, prediction)),
            "mae": float(metrics.mean_absolute_error(y_true, prediction)),
        }
    proba = np.clip(prediction, 1e-15, None)
    proba = proba / proba.sum(axis=1, keepdims=True)
    codes = np.searchsorted(classes, y_true)
    chosen = proba.argmax(axis=1)
    return {
        "accuracy": float(np.mean(chosen == codes)),
        "balanced_accuracy": _balanced_accuracy(codes, chosen),
        "roc_auc": _roc_auc(codes, proba),
        "log_loss": float(-np.mean(np.log(proba[np.arange(len(codes)), codes]))),
        "f1_macro": f1_macro(codes, chosen),
    }


def align_probabilities(
    proba: NDArray[Any], seen: NDArray[Any], classes: NDArray[Any]
) -> NDArray[np.float64]:
    """Spread probabilities over all classes; a class that was not in training gets zero."""
    aligned = np.zeros((len(proba), len(classes)))
    aligned[:, np.searchsorted(classes, seen)] = proba
    return aligned


def _balanced_accuracy(codes: NDArray[Any], chosen: NDArray[Any]) -> float:
    return float(np.mean([np.mean(chosen[codes == code] == code) for code in np.unique(codes)]))


def f1_macro(codes: NDArray[Any], chosen: NDArray[Any]) -> float:
    """Mean F1 of the classes that are there or predicted; scikit-learn's, without its checks."""
    n = int(max(codes.max(), chosen.max())) + 1
    hits = np.bincount(codes[codes == chosen], minlength=n)
    both = np.bincount(codes, minlength=n) + np.bincount(chosen, minlength=n)
    return float(np.mean(2 * hits[both > 0] / both[both > 0]))


def _roc_auc(codes: NDArray[Any], proba: NDArray[Any]) -> float:
    """Mean area under the one-versus-rest ROC curves; with two classes that is the usual area."""
    present = [code for code in np.unique(codes) if 0 < np.sum(codes == code) < len(codes)]
    if proba.shape[1] == 2:
        present = present[-1:]
    areas = [area_under_curve(proba[:, code], codes == code) for code in present]
    return float(np.mean(areas)) if areas else float("nan")


def area_under_curve(scores: NDArray[Any], is_positive: NDArray[np.bool_]) -> float:
    """Area under the ROC curve by ranks (Mann and Whitney 1947); both classes must be there."""
    n_positive = int(is_positive.sum())
    n_negative = len(is_positive) - n_positive
    ranks = rankdata(scores)
    return float((ranks[is_positive].sum() - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))
