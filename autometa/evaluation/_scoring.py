"""All metrics of the contract from one set of predictions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
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
        "f1_macro": float(metrics.f1_score(codes, chosen, average="macro", zero_division=0.0)),
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


def _roc_auc(codes: NDArray[Any], proba: NDArray[Any]) -> float:
    """Mean area under the one-versus-rest ROC curves; with two classes that is the usual area."""
    present = [code for code in np.unique(codes) if 0 < np.sum(codes == code) < len(codes)]
    if proba.shape[1] == 2:
        present = present[-1:]
    areas = [metrics.roc_auc_score(codes == code, proba[:, code]) for code in present]
    return float(np.mean(areas)) if areas else float("nan")
