"""Fitted ensembles: weighted means of models that share the preparation of their columns."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csc_matrix, hstack, issparse
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from autometa import distinct
from autometa.errors import DataError, UsageError

Array = NDArray[np.float64]


class _Ensemble(BaseEstimator):
    """What both ensembles share: their parts, and how a table reaches them."""

    def __init__(
        self,
        preparations: Sequence[Any] = (),
        members: Sequence[tuple[tuple[int, ...], Any, float]] = (),
        columns: Sequence[str] = (),
        is_positional: bool = False,
        layer: Sequence[Sequence[int]] = (),
    ) -> None:
        self.preparations = preparations
        self.members = members
        self.columns = columns
        self.is_positional = is_positional
        self.layer = layer

    def __sklearn_is_fitted__(self) -> bool:
        """Whether there is anything that predicts: the parts arrive fitted."""
        return len(self.members) > 0

    def fit(self, X: Any, y: Any = None) -> NoReturn:
        """Refuse to be fitted again: a search makes an ensemble, of models of its folds.

        Tools that only look for `fit`, as :func:`sklearn.inspection.permutation_importance`, take the ensemble.

        Parameters
        ----------
        X, y : object
            Whatever.

        Raises
        ------
        UsageError
            AM528.
        """
        raise UsageError(
            "AM528",
            "an ensemble cannot be fitted again: it is made of models of the folds of a search.",
            "Fit an AutoMetaClassifier or AutoMetaRegressor, or wrap it in sklearn.frozen.FrozenEstimator.",
        )

    @property
    def n_features_in_(self) -> int:
        """Number of columns that the ensemble was made for."""
        return len(self.columns)

    def _frame(self, X: Any) -> pd.DataFrame:
        """Return the columns that the parts were fitted on, in their order."""
        if hasattr(X, "to_pandas"):
            X = X.to_pandas()
        if not isinstance(X, pd.DataFrame):
            values = X.toarray() if hasattr(X, "toarray") else np.asarray(X)
            if values.ndim != 2 or values.shape[1] != len(self.columns):
                raise DataError(
                    "AM401",
                    f"X has shape {values.shape} and the model was fitted on {len(self.columns)} columns.",
                    "Pass the same columns as at fit.",
                )
            X = pd.DataFrame(values).infer_objects()
        elif self.is_positional:
            if X.shape[1] != len(self.columns):
                raise DataError(
                    "AM401",
                    f"X has {X.shape[1]} columns and the model was fitted on {len(self.columns)}.",
                    "Pass the same columns as at fit.",
                )
        else:
            names = (
                X.columns.map(str) if not isinstance(X.columns, pd.MultiIndex) else X.columns.map("_".join)
            )
            X = X.set_axis(names, axis=1)
            missing = [name for name in self.columns if name not in names]
            if missing:
                raise DataError(
                    "AM401",
                    f"{len(missing)} column(s) that were there at fit are missing: "
                    f"{', '.join(map(repr, missing[:10]))}.",
                    "Add them; fill them with missing values if they are unknown.",
                )
            X = X[list(self.columns)]
        X = X.set_axis(range(X.shape[1]) if self.is_positional else list(self.columns), axis=1)
        # A row of a dictionary has None for a missing number, and a column of nothing else is no numbers yet.
        empty = [name for name in X.columns if X[name].dtype == object and X[name].isna().all()]
        if empty:
            X[empty] = np.nan
        return X

    def _prepared(self, X: Any) -> list[Any]:
        """Return the table as each of the preparations gives it."""
        frame = self._frame(X)
        with warnings.catch_warnings(), config_context(transform_output="default"):
            warnings.simplefilter("ignore")
            return [distinct.transform(preparation, frame) for preparation in self.preparations]

    def _total(self, X: Any) -> Array:
        """Return the weighted sum of what the members say of the rows."""
        blocks = self._prepared(X)
        n_first = len(blocks)
        # The second layer stands last, and reads what the first says.
        needed = {number for group in self.layer for number in group}
        first: dict[int, Array] = {}
        by_columns: dict[int, Any] = {}
        last: tuple[int, ...] = ()
        rows: Any = None
        total: Any = 0.0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for number, (places, model, weight) in enumerate(self.members):
                if n_first in places and len(blocks) == n_first:
                    blocks.append(first_layer([[first[i] for i in group] for group in self.layer]))
                if places != last:
                    parts = [blocks[place] for place in places]
                    if len(parts) > 1 and any(map(issparse, parts)):
                        # Models of several folds share most of their blocks.
                        by_columns |= {p: csc_matrix(blocks[p]) for p in places if p not in by_columns}
                        parts = [by_columns[place] for place in places]
                    last, rows = places, side_by_side(parts)
                answer = self._answer(model, rows)
                if number in needed:
                    first[number] = answer
                total = total + weight * answer
        return np.asarray(total)

    def _answer(self, model: Any, rows: Any) -> Array:
        """Return what one model says of prepared rows."""
        return np.ravel(np.asarray(model.predict(rows)))


class EnsembleClassifier(ClassifierMixin, _Ensemble):
    """A weighted mean of the probabilities of fitted classifiers.

    It is made by :func:`autometa.tune` from models of the folds, and cannot be fitted again.

    Parameters
    ----------
    preparations : sequence of fitted transformers
        What turns the user's table into numbers. Models share them.
    members : sequence of (tuple of int, fitted classifier, float)
        Positions of the preparations whose columns stand side by side, the model, and its weight; weights sum to 1.
        The models know the classes by their positions in `classes`. The position after the last preparation stands
        for what the first layer says.
    columns : sequence of str
        Names of the columns, in order.
    is_positional : bool, default=False
        Whether columns are told by position.
    layer : sequence of sequence of int
        Positions of the members whose means a second layer reads as columns (Wolpert 1992, "Stacked generalization").
    classes : sequence of labels
        As the user gave them, in the order of those that were learned.
    temperature : float, default=1.0
        Probabilities are raised to one over it and made to sum to 1 again (Guo et al. 2017, "On calibration of modern
        neural networks", in terms of probabilities). Above 1 they become less sure.
    smoothing : float in [0, 1], default=0.0
        Share of `shares` in the probabilities, so that none is 0.
    shares : sequence of float
        Frequencies of the classes in training.
    multipliers : sequence of float
        The class predicted is that of the largest product of probability and multiplier: the decision threshold.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    n_features_in_ : int
    """

    def __init__(
        self,
        preparations: Sequence[Any] = (),
        members: Sequence[tuple[tuple[int, ...], Any, float]] = (),
        columns: Sequence[str] = (),
        is_positional: bool = False,
        layer: Sequence[Sequence[int]] = (),
        classes: Sequence[Any] = (),
        temperature: float = 1.0,
        smoothing: float = 0.0,
        shares: Sequence[float] = (),
        multipliers: Sequence[float] = (),
    ) -> None:
        super().__init__(preparations, members, columns, is_positional, layer)
        self.classes = classes
        self.temperature = temperature
        self.smoothing = smoothing
        self.shares = shares
        self.multipliers = multipliers

    @property
    def classes_(self) -> NDArray[Any]:
        """The labels, in the order in which they were learned."""
        return _as_array(self.classes)

    def predict_proba(self, X: Any) -> Array:
        """Return the probabilities of the classes, in the order of ``classes_``.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_rows, n_columns)
            With the columns of the table that the ensemble was made for; others are ignored.

        Returns
        -------
        ndarray of shape (n_rows, n_classes)

        Raises
        ------
        DataError
            AM401 when a column is missing.
        """
        return calibrate(self._total(X), self.temperature, self.smoothing, np.asarray(self.shares))

    def _answer(self, model: Any, rows: Any) -> Array:
        answer = np.asarray(model.predict_proba(rows))
        spread = np.zeros((len(answer), len(self.classes)))
        spread[:, model.classes_.astype(int)] = answer
        return spread

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the class of each row.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_rows, n_columns)

        Returns
        -------
        ndarray of shape (n_rows,)
        """
        scores = self.predict_proba(X)
        if len(self.multipliers):
            scores = scores * np.asarray(self.multipliers)
        return np.asarray(self.classes_[scores.argmax(axis=1)])


class EnsembleRegressor(RegressorMixin, _Ensemble):
    """A weighted mean of the predictions of fitted regressors.

    It is made by :func:`autometa.tune` from models of the folds, and cannot be fitted again.

    Parameters
    ----------
    preparations : sequence of fitted transformers
        What turns the user's table into numbers. Models share them.
    members : sequence of (tuple of int, fitted regressor, float)
        Positions of the preparations whose columns stand side by side, the model, and its weight; weights sum to 1.
        The position after the last preparation stands for what the first layer says.
    columns : sequence of str
        Names of the columns, in order.
    is_positional : bool, default=False
        Whether columns are told by position.
    layer : sequence of sequence of int
        Positions of the members whose means a second layer reads as columns (Wolpert 1992, "Stacked generalization").
    bounds : sequence of two floats, default=()
        What a member says beyond them counts as the bound (see :func:`bounds_of`); without them all counts.

    Attributes
    ----------
    n_features_in_ : int
    """

    bounds: Sequence[float] = ()  # of models saved before there were any

    def __init__(
        self,
        preparations: Sequence[Any] = (),
        members: Sequence[tuple[tuple[int, ...], Any, float]] = (),
        columns: Sequence[str] = (),
        is_positional: bool = False,
        layer: Sequence[Sequence[int]] = (),
        bounds: Sequence[float] = (),
    ) -> None:
        super().__init__(preparations, members, columns, is_positional, layer)
        self.bounds = bounds

    def _answer(self, model: Any, rows: Any) -> Array:
        return within(super()._answer(model, rows), self.bounds)

    def predict(self, X: Any) -> Array:
        """Return the predicted values.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_rows, n_columns)
            With the columns of the table that the ensemble was made for; others are ignored.

        Returns
        -------
        ndarray of shape (n_rows,)

        Raises
        ------
        DataError
            AM401 when a column is missing.
        """
        return self._total(X)


def bounds_of(y: Array) -> tuple[float, float]:
    """Return how far predictions may go: beyond the smallest and the largest value as far as these are from the middle.

    A linear model that meets a value ten times those it has seen says anything; one such row can undo the R2 of all.

    Parameters
    ----------
    y : ndarray of shape (n_rows,)
        The target in training.
    """
    low, middle, high = np.quantile(y, (0.0, 0.5, 1.0))
    return float(2 * low - middle), float(2 * high - middle)


def within(values: Array, bounds: Sequence[float]) -> Array:
    """Return values within bounds, if there are any."""
    return np.clip(values, bounds[0], bounds[1]) if len(bounds) else values


def _as_array(labels: Sequence[Any]) -> NDArray[Any]:
    """Return labels as an array; NumPy would make text of mixed ones, rows of tuples, and cut bytes."""
    kinds = {type(label) for label in labels}
    if kinds in ({pd.Timestamp}, {pd.Timedelta}):
        return np.asarray(pd.Series(list(labels)).to_numpy())
    if len(kinds) == 1 and kinds <= {str, int, float, bool}:
        return np.asarray(labels)
    found = np.empty(len(labels), dtype=object)
    for i, label in enumerate(labels):
        found[i] = label
    return found


def first_layer(groups: Sequence[Sequence[Array]]) -> Array:
    """Return what a second layer reads: a column for the mean of each group, or one for each class but the first.

    Parameters
    ----------
    groups : sequence of sequence of ndarray
        Predictions of the same rows.
    """
    means = [np.mean(group, axis=0) for group in groups]
    return np.column_stack([mean if mean.ndim == 1 else mean[:, 1:] for mean in means])


def side_by_side(blocks: Sequence[Any]) -> Any:
    """Return the columns of prepared blocks of the same rows side by side."""
    if len(blocks) == 1:
        return blocks[0]
    if any(map(issparse, blocks)):
        # By columns first: SciPy has a quick way for those alone.
        return hstack([csc_matrix(block) for block in blocks], format="csc").tocsr()
    return np.hstack(list(blocks))


def calibrate(probabilities: Array, temperature: float, smoothing: float, shares: Array) -> Array:
    """Apply a temperature and a share of the class frequencies to probabilities; rows sum to 1 again.

    Parameters
    ----------
    probabilities : ndarray of shape (n_rows, n_classes)
    temperature : float
        Above 1 they become less sure, below more.
    smoothing : float in [0, 1]
        Share of `shares` that is mixed in.
    shares : ndarray of shape (n_classes,)
    """
    found = np.clip(probabilities, 1e-15, None)
    if temperature != 1.0:
        found = found ** (1.0 / temperature)
    found = found / found.sum(axis=1, keepdims=True)
    return found if smoothing == 0.0 else (1.0 - smoothing) * found + smoothing * shares
