"""The search as scikit-learn estimators: for pipelines, cross-validation and everything else that takes them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from inspect import cleandoc, signature
from typing import Any, Final, Self, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils import Tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, check_is_fitted, column_or_1d, validate_data

from autometa.errors import DataError
from autometa.tables.frames import as_column, as_frame, as_series, check_names, is_lazy
from autometa.tables.matching import match_columns
from autometa.tables.target import read_as_fitted
from autometa.task import Task
from autometa.tuning import Callback, Schedule, tune

_Class = TypeVar("_Class", bound=type)
# Of a search: all but what the rows and the task say.
_OPTIONS: Final = signature(tune).parameters.keys() - {
    *("X", "y", "groups", "sample_weight", "kind", "metric", "column_types"),
}
# What both estimators take and have, once.
_PARAMETERS: Final = """
Parameters
----------
n_trials : int, default=30
    The most configurations to try; 0 fits the mean of the first recommendations without a search.
timeout : float or None, default=None
    Seconds of wall-clock time of a fit, everything included.
metric : str, callable or None, default=None
    What to be good at: scikit-learn's name, with or without its sign, or a scorer. By default ``roc_auc`` for two
    classes, ``log_loss`` for more and ``r2`` for numbers.
cv : int, splitter, iterable or None, default=None
    See :func:`autometa.tune`.
ensemble_size : int, default=25
    The most configurations in the model; with 1, it is the best pipeline, fitted on all rows.
n_jobs : int, default=1
    Fits at a time, each in a process of its own.
cluster : str, default=None
    Address of a Dask scheduler, whose workers make the fits in place of `n_jobs` here; see :func:`autometa.tune`.
random_state : int, RandomState or None, default=None
    With an integer, ``n_jobs=1``, no cluster and no timeout, the same model each time.
algorithms : str or sequence of str, optional
    Search among these algorithms only.
metamodel : MetaModel or path, optional
    The bundled one by default.
memory_limit : int or None, default=None
    Bytes that the fits may allocate together; candidates that need more fail.
max_predict_seconds : float or None, default=None
    CPU seconds that the model may take to predict 10,000 rows, what prepares them included; by default ten times those
    of a default LightGBM that reads levels as integers.
column_types : mapping of str to str, default=None
    What to read columns as, where the guess would be another; see :meth:`autometa.Task.from_frame`. Columns of
    tables without names are called ``x0``, ``x1`` and so on.
storage : str, optuna storage or None, default=None
    Database URL, path of a journal file, or storage object that keeps the study; in memory by default.
study_name : str or None, default=None
    A study of that name in `storage` is continued, if it was made with the same table, space, metric and folds.
callbacks : sequence of callable, default=()
    Called with the study and the finished trial, as Optuna does.
schedule : Schedule or None, default=None
    How the time is spent; the usual one by default.
progress : bool or None, default=False
    Whether a line shows how far a fit is; None shows it in a terminal and in a notebook.

Attributes
----------
classes_ : ndarray of shape (n_classes,)
    Of classifiers: the labels, sorted.
n_features_in_ : int
    Number of columns at `fit`.
feature_names_in_ : ndarray of shape (n_features,)
    Where `X` had names that are strings.
model_ : EnsembleClassifier, EnsembleRegressor or Pipeline
    What predicts, of scikit-learn and LightGBM models.
best_configuration_ : Configuration
    The best single one.
leaderboard_ : DataFrame
    See :class:`autometa.TuneResult`.
score_ : float
    Of the model on rows that its parts were not fitted on, in natural units of the metric; NaN without folds.
note_ : str
    What there was no time for; empty where there was time enough.
warnings_ : tuple of DataIssue
    How the table was read where that is not plain, and what else was noticed.
study_ : optuna.Study
    With a trial for each candidate.
"""


def _with_parameters(estimator: _Class) -> _Class:
    """Write what both estimators take into the docstring of one."""
    estimator.__doc__ = cleandoc(estimator.__doc__ or "").replace("{parameters}", _PARAMETERS.strip()) + "\n"
    return estimator


class _AutoMeta(BaseEstimator):
    """What both estimators share."""

    _kind: str

    def __init__(
        self,
        *,
        n_trials: int = 30,
        timeout: float | None = None,
        metric: Any = None,
        cv: Any = None,
        ensemble_size: int = 25,
        n_jobs: int = 1,
        cluster: Any = None,
        random_state: Any = None,
        algorithms: Any = None,
        metamodel: Any = None,
        memory_limit: int | None = None,
        max_predict_seconds: float | None = None,
        column_types: Any = None,
        storage: Any = None,
        study_name: str | None = None,
        callbacks: Sequence[Callback] = (),
        schedule: Schedule | None = None,
        progress: bool | None = False,
    ) -> None:
        self.n_trials = n_trials
        self.timeout = timeout
        self.metric = metric
        self.cv = cv
        self.ensemble_size = ensemble_size
        self.n_jobs = n_jobs
        self.cluster = cluster
        self.random_state = random_state
        self.algorithms = algorithms
        self.metamodel = metamodel
        self.memory_limit = memory_limit
        self.max_predict_seconds = max_predict_seconds
        self.column_types = column_types
        self.storage = storage
        self.study_name = study_name
        self.callbacks = callbacks
        self.schedule = schedule
        self.progress = progress

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        tags.input_tags.sparse = True
        return tags

    def fit(self, X: Any, y: Any, *, groups: Any = None, sample_weight: Any = None) -> Self:
        """Search, choose, and fit on all rows.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_rows, n_columns)
            Any mix of numbers, strings, categories, booleans, dates and missing values.
        y : array-like of shape (n_rows,)
            The target, without missing values.
        groups : array-like of shape (n_rows,), optional
            Rows of one group are never on both sides of a split.
        sample_weight : array-like of shape (n_rows,), optional
            Passed to every fit and to the choice of the model. Algorithms that take no weights are left out.

        Returns
        -------
        AutoMetaClassifier or AutoMetaRegressor
            The estimator itself, fitted.
        """
        frame = self._as_frame(X)
        if len(frame) < 2:
            raise DataError(
                "AM201", f"the table has {len(frame)} sample.", "Nothing can be learned from one row."
            )
        target = self._as_target(y)
        # scikit-learn knows the names of DataFrames alone, and only those that the user gave count.
        has_odd_names = isinstance(X, pd.DataFrame) and len({isinstance(n, str) for n in X.columns}) == 2
        is_as_given = isinstance(X, pd.DataFrame) and not has_odd_names
        named = X if is_as_given else frame if _has_names(X) else frame.to_numpy()
        validate_data(self, named, y, skip_check_array=True)
        task = Task.from_frame(
            frame, target, kind=self._kind, metric=self.metric, column_types=self.column_types
        )
        options = {name: getattr(self, name) for name in _OPTIONS}
        result = tune(task, None, groups=groups, sample_weight=sample_weight, **options)
        self.columns_ = frame.columns.tolist()
        self._has_names = _has_names(X) and not (isinstance(X, pd.DataFrame) and _are_numbered(X.columns))
        self._schema = task.schema()
        self.model_ = result.model
        self.best_configuration_ = result.best_configuration
        self.leaderboard_ = result.leaderboard
        self.score_ = result.score
        self.note_ = result.note
        self.warnings_ = task.warnings
        self.study_ = result.study
        if self._kind == "classification":
            self._classes = task.classes
            self.classes_ = result.model.classes_
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the predicted value of each row; of classifiers the class that suits the metric.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_rows, n_columns)
            With the columns that were there at `fit`, by their names where they had any.

        Returns
        -------
        ndarray of shape (n_rows,)
        """
        rows = self._known_columns(X)  # checks that there is a model
        return np.asarray(self.model_.predict(rows))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the share of rows whose class is predicted, or R2 of numbers.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_rows, n_columns)
            Rows with the columns of the fit.
        y : array-like of shape (n_rows,)
            Their classes or numbers, in any form that `fit` takes.
        sample_weight : array-like of shape (n_rows,), optional
            How much each row counts; by default all count alike.

        Returns
        -------
        float
            1 at best.
        """
        predicted = self.predict(X)  # checks that there is a model
        is_number = self._kind == "regression"
        classes = None if is_number else self._classes
        found, wanted = (read_as_fitted(values, classes).to_numpy() for values in (predicted, y))
        judge = r2_score if is_number else accuracy_score
        return float(judge(wanted, found, sample_weight=sample_weight))

    def _as_frame(self, X: Any) -> pd.DataFrame:
        """Return a table whose columns have names, made up where the user gave none."""
        is_plain = type(X) is np.ndarray and not X.dtype.names
        frame = as_frame(self._checked(X) if is_plain or hasattr(X, "toarray") else X)
        if _are_numbered(frame.columns):
            return frame.set_axis([f"x{i}" for i in frame.columns], axis=1)
        return check_names(frame, [])

    def _checked(self, X: Any) -> Any:
        """Return an array or a sparse matrix that scikit-learn takes; refuse others in its words, not their values."""
        try:
            return check_array(X, accept_sparse=True, dtype=None, ensure_all_finite=False, estimator=self)
        except ValueError as error:
            lines = [line for line in str(error).splitlines() if line[:1].isalpha() and line[:6] != "array="]
            raise DataError("AM109", " ".join(lines)) from error

    def _as_target(self, y: Any) -> pd.Series:
        if not (is_lazy(y) or hasattr(y, "to_pandas") or isinstance(y, (list, tuple, dict, pd.Series))):
            y = column_or_1d(y, warn=True)
        return as_column(y)

    def _known_columns(self, X: Any) -> pd.DataFrame:
        """Return the columns that `fit` saw, in its order and read in its way, whatever else there is."""
        check_is_fitted(self)
        frame = self._as_frame(X)
        # Numbers from 0 on are names only where they say of another order than that of the columns.
        are_names = _has_names(X) and (
            self._has_names or (len(frame.columns) == len(self.columns_) and set(frame) == set(self.columns_))
        )
        if not are_names:
            validate_data(self, frame.to_numpy(), reset=False, skip_check_array=True)
            frame = frame.set_axis(self.columns_, axis=1)
        frame, issues = match_columns(frame, self._schema)
        for issue in issues:
            warnings.warn(str(issue), UserWarning, stacklevel=3)
        return frame


def _are_numbered(columns: pd.Index) -> bool:
    """Whether columns are called 0, 1, 2 and so on, in any order: pandas calls those without names so."""
    return pd.api.types.is_integer_dtype(columns.dtype) and set(columns) == set(range(len(columns)))


def _has_names(X: Any) -> bool:
    """Whether the columns of a table have names, whatever library it is of."""
    if hasattr(X, "toarray"):  # some sparse arrays are mappings
        return False
    return (
        is_lazy(X)
        or hasattr(X, "columns")
        or hasattr(X, "to_pandas")
        or isinstance(X, dict)
        or (isinstance(X, list) and bool(X) and isinstance(X[0], dict))
        or bool(isinstance(X, np.ndarray) and X.dtype.names)
    )


@_with_parameters
class AutoMetaClassifier(ClassifierMixin, _AutoMeta):
    """A classifier that chooses its own pipeline, starting from what other tables have taught.

    {parameters}

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from autometa import AutoMetaClassifier
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> AutoMetaClassifier(n_trials=0).fit(X, y).predict(X[:2]).tolist()
    [0, 0]
    """

    _kind = "classification"

    def _as_target(self, y: Any) -> pd.Series:
        target = super()._as_target(y)
        plain = as_series(target)
        if plain.dtype.kind == "f" and not plain.hasnans:  # the task says which rows are missing
            check_classification_targets(plain.to_numpy())
        if len(plain.unique()) < 2:
            raise DataError(
                "AM103", "y holds one class only; nothing to learn.", "Add rows of another class."
            )
        return target

    score = _AutoMeta.score  # before scikit-learn's

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probabilities of the classes, in the order of ``classes_``.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_rows, n_columns)
            Rows with the columns of the fit, in any order where they have names.

        Returns
        -------
        ndarray of shape (n_rows, n_classes)
            Each row adds up to 1.
        """
        frame = self._known_columns(X)
        return np.asarray(self.model_.predict_proba(frame))


@_with_parameters
class AutoMetaRegressor(RegressorMixin, _AutoMeta):
    """A regressor that chooses its own pipeline, starting from what other tables have taught.

    {parameters}

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from autometa import AutoMetaRegressor
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> AutoMetaRegressor(n_trials=0).fit(X, y).predict(X[:2]).shape
    (2,)
    """

    _kind = "regression"

    score = _AutoMeta.score
