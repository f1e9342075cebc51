"""A task: a table, a target, what kind of problem it is, and what was noticed in the data."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autometa.errors import DataError, DataIssue
from autometa.metrics import Metric, needs_positive, resolve_metric
from autometa.tables.cells import MAX_CLASSES_OF_INTEGERS, ColumnType
from autometa.tables.columns import infer_columns
from autometa.tables.frames import as_frame, check_names, split_target
from autometa.tables.readings import Reading
from autometa.tables.target import KINDS, Kind, read_target

__all__ = ["KINDS", "ColumnType", "DataIssue", "Kind", "Task"]


@dataclass(frozen=True, eq=False)
class Task:
    """A supervised problem on one table.

    Build it with :meth:`from_frame`, which checks the data.

    Attributes
    ----------
    X : DataFrame of shape (n_rows, n_columns)
        The table, read: numbers and dates written as text are such; column names that are not usable were changed.
        All of that is reported in `warnings`.
    y : Series of shape (n_rows,)
        The target: class labels as given, or floats. Never missing.
    kind : {"binary", "multiclass", "regression"}
        What the target is.
    metric : Metric
        What to be good at.
    column_types : dict of str to {"numeric", "categorical", "date", "text", "ignored"}
        What each column is treated as, in the order of ``X``.
    readings : dict of str to tuple of str
        How the cells of a column are read where that is not plain, see :mod:`autometa.tables.readings`. Pipelines hold
        the same steps, so they take the user's own table as well as `X`.
    unread : dict of str to tuple of str
        Words among the numbers or dates of a column that are missing values, in new rows as well.
    dtypes : dict of str to str
        How each column was stored before it was read.
    mixed_columns : tuple of str
        Categorical columns that hold values of several types and are read as strings.
    infinite_columns : tuple of str
        Numeric columns with infinities, which are read as missing.
    is_positional : bool
        Whether the user's columns have no names, so that pipelines select them by position.
    warnings : tuple of DataIssue
        What was noticed and decided.
    name : str, default=""
        What reports call the table.
    properties : mapping
        Facts that travel with the task, such as ``openml_id`` and ``family``.
    given_labels : mapping
        The user's own label, such as a date, a tuple or bytes, by the one that `y` has in its place. Models predict it.
    """

    X: pd.DataFrame
    y: pd.Series
    kind: Kind
    metric: Metric
    column_types: Mapping[str, ColumnType]
    readings: Mapping[str, Reading] = field(default_factory=dict)
    unread: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    dtypes: Mapping[str, str] = field(default_factory=dict)
    mixed_columns: tuple[str, ...] = ()
    infinite_columns: tuple[str, ...] = ()
    is_positional: bool = False
    warnings: tuple[DataIssue, ...] = ()
    name: str = ""
    properties: Mapping[str, Any] = field(default_factory=dict)
    given_labels: Mapping[Any, Any] = field(default_factory=dict)

    @classmethod
    def from_frame(
        cls,
        X: Any,
        y: Any,
        *,
        kind: str = "auto",
        metric: Any = None,
        column_types: Mapping[str, str] | None = None,
        name: str = "",
        properties: Mapping[str, Any] | None = None,
    ) -> Task:
        """Check a table and its target and describe them.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_rows, n_columns), or Task
            Any mix of numbers, strings, categories, booleans, dates and missing values; see
            :func:`autometa.tables.frames.as_frame` for the forms. A task that was made before is returned as it is, and
            the other arguments are not looked at.
        y : array-like of shape (n_rows,), or str
            The target, or the name of its column in `X`.
        kind : {"auto", "classification", "regression", "binary", "multiclass"}, default="auto"
            What the target is; ``auto`` tells it by the target.
        metric : str, callable or None, default=None
            What to be good at, by default ``roc_auc``, ``log_loss`` or ``r2``; see
            :func:`autometa.metrics.resolve_metric`.
        column_types : mapping of str to {"numeric", "categorical", "date", "text", "ignored"}, optional
            What to read columns as, where the guess would be another; by their names.
        name : str, default=""
            What reports call the table.
        properties : mapping, optional
            Facts that travel with the task, such as ``openml_id`` and ``family``.

        Returns
        -------
        Task
            With every decision about its columns as a warning.

        Raises
        ------
        DataError
            AM101 target not found, AM102 target missing in some rows, AM103 target constant, AM105 target does
            not fit `kind`, AM108 infinite target, AM110 lengths differ, AM201 empty table, AM301 duplicate names,
            AM204 no usable column, AM216 a column that cannot be read as the type asked for.
        UsageError
            AM106 unknown kind, AM107 unknown metric, AM535 unknown column or type in `column_types`.
        """
        if isinstance(X, Task):
            return X
        issues: list[DataIssue] = []
        frame = as_frame(X)
        if isinstance(y, str):
            frame, y = split_target(frame, y)
            frame = frame if frame.shape[1] else as_frame(frame)  # which refuses it
        is_positional = isinstance(frame.columns, pd.RangeIndex)
        frame = check_names(frame, issues)
        target, resolved, labels = read_target(y, frame, kind, issues)
        found = infer_columns(frame, issues, column_types)
        types = found.types
        issues += find_leaks(found.frame, target, types, is_regression=resolved == "regression")
        if all(column_type == "ignored" for column_type in types.values()):
            raise DataError(
                "AM204",
                f"none of the {frame.shape[1]} columns can be used: all are missing, constant or ids.",
                "Add columns that differ between rows.",
            )
        return cls(
            X=found.frame,
            y=target,
            kind=resolved,
            metric=_resolve_metric(metric, resolved, target, issues),
            column_types=types,
            readings=found.readings,
            unread=found.unread,
            dtypes={name: str(dtype) for name, dtype in zip(frame.columns, frame.dtypes, strict=True)},
            mixed_columns=found.mixed,
            infinite_columns=found.infinite,
            is_positional=is_positional,
            warnings=tuple(issues),
            name=name,
            properties=dict(properties or {}),
            given_labels=labels,
        )

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.X)

    @cached_property
    def n_rarest(self) -> int:
        """Number of rows of the rarest class; of a regression, of all."""
        return self.n_rows if self.kind == "regression" else int(self.y.value_counts().min())

    @property
    def classes(self) -> list[Any]:
        """Sorted class labels; empty for regression."""
        return [] if self.kind == "regression" else sorted(self.y.unique().tolist(), key=_label_key)

    def columns(self, *types: ColumnType) -> list[str]:
        """Return the names of the columns of the given types, in the order of the table.

        Parameters
        ----------
        *types : {"numeric", "categorical", "date", "text", "ignored"}
            The types that are wanted.
        """
        return [name for name, column_type in self.column_types.items() if column_type in types]

    def fingerprint(self) -> str:
        """Hash of the content that ignores the order of rows and columns, and all names and labels.

        Returns
        -------
        str
            16 hexadecimal digits; equal for copies of one table, however shuffled or relabelled.
        """
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        return fingerprint(self.kind, self.X, self.y)

    def schema(self) -> list[dict[str, Any]]:
        """Return what new rows must have, for :func:`autometa.tables.matching.match_columns`.

        Returns
        -------
        list of dict
            ``name``, ``type``, ``dtype``, ``reading`` and ``unread`` of each column, in plain JSON types.
        """
        return [
            {
                "name": name,
                "type": column_type,
                "dtype": self.dtypes.get(name, str(self.X[name].dtype)),
                "reading": list(self.readings.get(name, ())),
                "unread": list(self.unread.get(name, ())),
            }
            for name, column_type in self.column_types.items()
        ]

    def subset(self, rows: Any) -> Task:
        """Return the same task on some rows (positions), keeping types and warnings.

        Parameters
        ----------
        rows : array-like of int or of bool
            Positions of the rows, or a mask.
        """
        return replace(self, X=self.X.iloc[rows], y=self.y.iloc[rows])


def _resolve_metric(metric: Any, kind: Kind, y: pd.Series, issues: list[DataIssue]) -> Metric:
    """Find the metric; where it is about one class and the labels do not say which, that is the rarer one."""
    found = resolve_metric(metric, kind)
    if kind != "binary" or not needs_positive(found) or set(y.unique()) in ({0, 1}, {-1, 1}):
        return found
    counts = y.value_counts()
    rarer = max(counts[counts == counts.min()].index.tolist(), key=_label_key)
    name = str(y.name) if y.name is not None else "y"
    message = (
        f"metric {found.name!r} is about one class; of target {name!r} that is {rarer!r}, the rarer one."
    )
    issues.append(
        DataIssue("AM118", (name,), message, "Pass a scorer that says pos_label to choose the other.")
    )
    return resolve_metric(metric, kind, rarer)


def _label_key(label: Any) -> tuple[str, Any]:
    return ("", label) if isinstance(label, (int, float, bool, np.number)) else (type(label).__name__, label)


def find_leaks(
    frame: pd.DataFrame, y: pd.Series, types: Mapping[str, ColumnType], *, is_regression: bool
) -> list[DataIssue]:
    """Report columns that give the target away: a copy, or a one-to-one renaming of the classes."""
    rows = slice(0, 5000)
    target = y.iloc[rows].to_numpy() if is_regression else pd.factorize(y.iloc[rows])[0]
    gives_away = partial(_is_copy if is_regression else _is_renaming, target)
    leaks = [
        name
        for name, column_type in types.items()
        if (column_type == "numeric" or (column_type == "categorical" and not is_regression))
        and gives_away(frame[name].iloc[rows])
    ]
    if not leaks:
        return []
    return [
        DataIssue(
            "AM207",
            tuple(leaks),
            f"column {leaks[0]!r} predicts the target perfectly; this may be a leak.",
            "Drop it if it is not known when you predict.",
        )
    ]


def _is_copy(y: NDArray[Any], column: pd.Series) -> bool:
    return bool(np.array_equal(as_numbers(column), y))


def _is_renaming(codes: NDArray[np.intp], column: pd.Series) -> bool:
    n_classes = int(codes.max()) + 1
    if column.iloc[: 2 * n_classes + 1].nunique() > n_classes:
        return False  # so the other rows need not be looked at
    if column.nunique() != n_classes or column.isna().any():
        return False
    return len(set(zip(pd.factorize(column)[0], codes, strict=True))) == n_classes


def as_numbers(column: pd.Series) -> NDArray[np.float64]:
    """Return a numeric column of a task as an array; spans of time in nanoseconds, NaN for what is missing."""
    if pd.api.types.is_timedelta64_dtype(column.dtype):
        spans = column.to_numpy(dtype="timedelta64[ns]")
        return np.where(np.isnat(spans), np.nan, spans.astype("int64").astype("float64"))
    return column.to_numpy(dtype="float64", na_value=np.nan)


def summarise(column: pd.Series) -> str:
    """Order-free summary of one column; labels count only through their frequencies."""
    if column.dtype == np.dtype("float64"):
        return _summarise_floats(column.to_numpy())
    n_missing = int(column.isna().sum())
    present = column.dropna()
    numeric = pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype)
    if pd.api.types.is_complex_dtype(column.dtype):
        numeric = False
    if numeric and present.nunique() > MAX_CLASSES_OF_INTEGERS:
        # One kind of zero: how -0.0 and 0.0 are sorted depends on the processor.
        values = np.sort(present.to_numpy(dtype="float64") + 0.0)
        probe = values[np.linspace(0, len(values) - 1, 9).astype(int)]
        return f"{n_missing}:" + ",".join(f"{value:.6g}" for value in probe)
    try:
        counts = present.value_counts().to_numpy()
    except (TypeError, NotImplementedError):
        counts = np.array([len(present)])
    return f"{n_missing}#" + ",".join(map(str, sorted(counts.tolist(), reverse=True)[:50]))


def _summarise_floats(values: NDArray[np.float64]) -> str:
    """What :func:`summarise` says of plain floats, in a fifth of the time."""
    # One kind of zero: how -0.0 and 0.0 are sorted depends on the processor.
    present = np.sort(values[~np.isnan(values)]) + 0.0
    n_missing = len(values) - len(present)
    starts = np.flatnonzero(np.concatenate(([True], present[1:] != present[:-1]))[: len(present)])
    if len(starts) > MAX_CLASSES_OF_INTEGERS:
        probe = present[np.linspace(0, len(present) - 1, 9).astype(int)]
        return f"{n_missing}:" + ",".join(f"{value:.6g}" for value in probe)
    counts = np.diff(np.append(starts, len(present))).astype(int)
    return f"{n_missing}#" + ",".join(map(str, sorted(counts.tolist(), reverse=True)))


def fingerprint(kind: str, frame: pd.DataFrame, y: pd.Series) -> str:
    """Hash of the content that ignores the order of rows and columns, and all names and labels."""
    summaries = sorted(summarise(frame[column]) for column in frame.columns)
    parts = [kind, str(len(frame)), summarise(y), *summaries]
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:16]
