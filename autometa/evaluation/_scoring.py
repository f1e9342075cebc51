"""All metrics of the contract from one set of predictions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn import metrics


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
