"""A task: a table, a target, what kind of problem it is, and what was noticed in the data."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, Literal

import numpy as np
import pandas as pd

from autometa.encoding import has_parts
from autometa.errors import DataError, UsageError
from autometa.metrics import Metric, needs_positive, resolve_metric

Kind = Literal["binary", "multiclass", "regression"]
ColumnType = Literal["numeric", "categorical", "date", "text", "ignored"]

KINDS: Final = ("binary", "multiclass", "regression")
MAX_CLASSES_OF_INTEGERS: Final = 20
MANY_CLASSES: Final = 50
_DATE_LIKE: Final = re.compile(r"^\s*\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([T ]\d{1,2}:\d{2}.*)?\s*$")


@dataclass(frozen=True)
class DataIssue:
    """Something in the data that the user should know about, and what to do about it."""

    code: str
    columns: tuple[str, ...]
    message: str
    fix: str = ""

    def __str__(self) -> str:
        return " ".join(part for part in (self.code, self.message, self.fix) if part)

    def to_dict(self) -> dict[str, Any]:
        """Return the issue as plain JSON types."""
        return {**asdict(self), "columns": list(self.columns)}


@dataclass(frozen=True, eq=False)
class Task:
    """A supervised problem on one table.

    Build it with :meth:`from_frame`, which checks the data.

    Attributes
    ----------
    X : DataFrame of shape (n_rows, n_columns)
        The table as the user gave it; only column names that are not usable were changed (and reported).
    y : Series of shape (n_rows,)
        The target: class labels as given, or floats. Never missing.
    kind : {"binary", "multiclass", "regression"}
    metric : Metric
    column_types : dict of str to {"numeric", "categorical", "date", "text", "ignored"}
        What each column is treated as, in the order of ``X``.
    mixed_columns : tuple of str
        Categorical columns that hold values of several types and are read as strings.
    infinite_columns : tuple of str
        Numeric columns with infinities, which are read as missing.
    is_positional : bool
        Whether the user's columns have no names, so that pipelines select them by position.
    warnings : tuple of DataIssue
    name : str, default=""
    properties : mapping
        Facts that travel with the task, such as ``openml_id`` and ``family``.
    """

    X: pd.DataFrame
    y: pd.Series
    kind: Kind
    metric: Metric
    column_types: Mapping[str, ColumnType]
    mixed_columns: tuple[str, ...] = ()
    infinite_columns: tuple[str, ...] = ()
    is_positional: bool = False
    warnings: tuple[DataIssue, ...] = ()
    name: str = ""
    properties: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_frame(
        cls,
        X: Any,
        y: Any,
        *,
        kind: str = "auto",
        metric: Any = None,
        name: str = "",
        properties: Mapping[str, Any] | None = None,
    ) -> Task:
        """Check a table and its target and describe them.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_rows, n_columns)
            Any mix of numbers, strings, categories, booleans, dates and missing values.
        y : array-like of shape (n_rows,), or str
            The target, or the name of its column in `X`.
        kind : {"auto", "classification", "regression", "binary", "multiclass"}, default="auto"
        metric : str, callable or None, default=None
            See :func:`autometa.metrics.resolve_metric`.
        name : str, default=""
        properties : mapping, optional
            Facts that travel with the task, such as ``openml_id`` and ``family``.

        Returns
        -------
        Task

        Raises
        ------
        DataError
            AM101 target not found, AM102 target missing in some rows, AM103 target constant, AM105 target does
            not fit `kind`, AM108 infinite target, AM110 lengths differ, AM201 empty table, AM301 duplicate names,
            AM204 no usable column.
        UsageError
            AM106 unknown kind, AM107 unknown metric.
        """
        issues: list[DataIssue] = []
        frame = _as_frame(X)
        if isinstance(y, str):
            frame, y = split_target(frame, y)
        is_positional = isinstance(frame.columns, pd.RangeIndex)
        frame = _check_names(frame, issues)
        target = _as_target(y, frame)
        resolved = _resolve_kind(target, kind)
        target = _check_target(target, resolved, issues)
        types, mixed, infinite = _infer_columns(frame, issues)
        _find_leaks(frame, target, types, resolved, issues)
        if all(column_type == "ignored" for column_type in types.values()):
            raise DataError(
                "AM204",
                f"none of the {frame.shape[1]} columns can be used: all are missing, constant or ids.",
                "Add columns that differ between rows.",
            )
        return cls(
            X=frame,
            y=target,
            kind=resolved,
            metric=_resolve_metric(metric, resolved, target, issues),
            column_types=types,
            mixed_columns=mixed,
            infinite_columns=infinite,
            is_positional=is_positional,
            warnings=tuple(issues),
            name=name,
            properties=dict(properties or {}),
        )

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.X)

    @property
    def classes(self) -> list[Any]:
        """Sorted class labels; empty for regression."""
        return [] if self.kind == "regression" else sorted(self.y.unique().tolist(), key=_label_key)

    def columns(self, *types: ColumnType) -> list[str]:
        """Names of the columns of the given types, in the order of the table."""
        return [name for name, column_type in self.column_types.items() if column_type in types]

    def fingerprint(self) -> str:
        """Hash of the content that ignores the order of rows and columns, and all names and labels.

        Returns
        -------
        str
            16 hexadecimal digits; equal for copies of one table, however shuffled or relabelled.
        """
        summaries = sorted(_summary(self.X[column]) for column in self.X.columns)
        parts = [self.kind, str(self.n_rows), _summary(self.y), *summaries]
        return hashlib.sha256("|".join(parts).encode()).hexdigest()[:16]

    def subset(self, rows: Any) -> Task:
        """Return the same task on some rows (positions), keeping types and warnings."""
        return replace(self, X=self.X.iloc[rows], y=self.y.iloc[rows])


def split_target(frame: pd.DataFrame, target: str) -> tuple[pd.DataFrame, pd.Series]:
    """Split a frame into features and the named target column.

    Raises
    ------
    DataError
        AM101 when there is no such column, with the closest name; AM301 when there are two.
    """
    names = [str(column) for column in frame.columns]
    if names.count(target) > 1:
        raise DataError(
            "AM301",
            f"target {target!r} names {names.count(target)} columns.",
            "Rename all but one of them.",
        )
    if target not in names:
        close = difflib.get_close_matches(target, names, n=1, cutoff=0.5)
        shown = ", ".join(map(repr, names[:10])) + (", ..." if len(names) > 10 else "")
        hint = f"Did you mean {close[0]!r}?" if close else f"The columns are: {shown}."
        raise DataError("AM101", f"target {target!r} is not a column of the data.", hint)
    position = names.index(target)
    keep = [index for index in range(len(names)) if index != position]
    return frame.iloc[:, keep], frame.iloc[:, position]


def _as_frame(X: Any) -> pd.DataFrame:
    if isinstance(X, pd.DataFrame):
        frame = X
    elif hasattr(X, "to_pandas"):
        frame = X.to_pandas()
    elif hasattr(X, "toarray"):
        frame = pd.DataFrame(X.toarray())
    else:
        values = np.asarray(X)
        if values.ndim != 2:
            raise DataError(
                "AM109",
                f"X must be two-dimensional, got {values.ndim} dimension(s).",
                "Pass a DataFrame or reshape to (n_rows, n_columns).",
            )
        frame = pd.DataFrame(values)
        if values.dtype == object:
            frame = frame.infer_objects()
    if frame.shape[0] == 0 or frame.shape[1] == 0:
        raise DataError(
            "AM201",
            f"the table has {frame.shape[0]} rows and {frame.shape[1]} feature columns.",
            "Nothing can be learned from it; check how the data was read.",
        )
    return frame


def _check_names(frame: pd.DataFrame, issues: list[DataIssue]) -> pd.DataFrame:
    if isinstance(frame.columns, pd.MultiIndex):
        frame = frame.set_axis(["_".join(map(str, parts)) for parts in frame.columns], axis=1)
        issues.append(DataIssue("AM302", (), "column names with several levels were joined by '_'.", ""))
    elif not all(isinstance(column, str) for column in frame.columns):
        if not isinstance(frame.columns, pd.RangeIndex):
            issues.append(
                DataIssue(
                    "AM302",
                    (),
                    "column names that are not strings were turned into strings.",
                    "Do the same before you fit a recommended pipeline: X.columns = X.columns.map(str).",
                )
            )
        frame = frame.set_axis(frame.columns.map(str), axis=1)
    twice = frame.columns[frame.columns.duplicated()].unique()
    if len(twice):
        positions = [int(i) for i in np.flatnonzero(frame.columns == twice[0])]
        raise DataError(
            "AM301",
            f"column name {twice[0]!r} stands {len(positions)} times (positions {positions}).",
            "Rename the columns so that each name is unique.",
        )
    return frame


def _as_target(y: Any, frame: pd.DataFrame) -> pd.Series:
    if isinstance(y, pd.DataFrame):
        if y.shape[1] != 1:
            raise DataError(
                "AM109", f"y must have one column, got {y.shape[1]}.", "Choose one target at a time."
            )
        y = y.iloc[:, 0]
    if not isinstance(y, pd.Series):
        values = np.asarray(y)
        if values.ndim == 2 and values.shape[1] == 1:
            values = values[:, 0]
        if values.ndim != 1:
            raise DataError(
                "AM109",
                f"y must be one-dimensional, got shape {values.shape}.",
                "Choose one target at a time.",
            )
        y = pd.Series(values)
    if len(y) != len(frame):
        raise DataError(
            "AM110", f"X has {len(frame)} rows and y has {len(y)}.", "Pass the same rows in both."
        )
    y = y.set_axis(frame.index)
    missing = np.flatnonzero(y.isna().to_numpy())
    if len(missing):
        first = ", ".join(map(str, missing[:3])) + (", ..." if len(missing) > 3 else "")
        name = f" {y.name!r}" if y.name is not None else ""
        raise DataError(
            "AM102",
            f"target{name} is missing in {len(missing)} of {len(y)} rows (rows {first}).",
            "Drop these rows or fill them in.",
        )
    return y


def _resolve_kind(y: pd.Series, kind: str) -> Kind:
    if kind not in ("auto", "classification", *KINDS):
        close = difflib.get_close_matches(str(kind), ["auto", "classification", *KINDS], n=1)
        hint = f"Did you mean {close[0]!r}? " if close else ""
        raise UsageError(
            "AM106",
            f"kind {kind!r} is not known.",
            f"{hint}Choose auto, classification, regression, binary or multiclass.",
        )
    n_classes = int(y.nunique())
    name = repr(y.name) if y.name is not None else "y"
    if n_classes < 2:
        raise DataError(
            "AM103",
            f"target {name} has one value ({_plain(y.iloc[0])!r}) in all {len(y)} rows; nothing to learn.",
            "Choose another target or add rows with other values.",
        )
    numeric = pd.api.types.is_numeric_dtype(y) and not pd.api.types.is_bool_dtype(y)
    if kind == "regression":
        if not numeric:
            raise DataError(
                "AM105",
                f"target {name} holds text or categories ({n_classes} distinct), not numbers.",
                "Use kind='classification', or convert it to numbers.",
            )
        return "regression"
    looks_continuous = numeric and not _looks_like_classes(y)
    if kind == "auto" and looks_continuous:
        return "regression"
    share = 0.3 if n_classes > MANY_CLASSES else 0.5
    if looks_continuous and (n_classes > share * len(y) or not _is_integral(y)):
        raise DataError(
            "AM105",
            f"target {name} looks continuous ({n_classes} distinct values in {len(y)} rows).",
            "Use kind='regression', or bin it into classes.",
        )
    if not numeric and n_classes > 0.5 * len(y) and n_classes > 20:
        raise DataError(
            "AM105",
            f"target {name} has {n_classes} distinct labels in {len(y)} rows, like an id or free text.",
            "Choose a target that repeats.",
        )
    found: Kind = "binary" if n_classes == 2 else "multiclass"
    if kind in ("binary", "multiclass") and kind != found:
        raise DataError(
            "AM105",
            f"target {name} has {n_classes} classes, so it is {found}, not {kind}.",
            f"Use kind={found!r} or kind='auto'.",
        )
    return found


def _is_integral(y: pd.Series) -> bool:
    values = y.to_numpy(dtype="float64")
    return bool(np.all(np.isfinite(values)) and np.all(values == np.round(values)))


def _looks_like_classes(y: pd.Series) -> bool:
    """Whole numbers with few distinct values, each seen several times on average, are class labels."""
    n_distinct = y.nunique()
    if not _is_integral(y):
        return False
    return n_distinct == 2 or (n_distinct <= MAX_CLASSES_OF_INTEGERS and n_distinct * 5 <= len(y))


def _check_target(y: pd.Series, kind: Kind, issues: list[DataIssue]) -> pd.Series:
    name = str(y.name) if y.name is not None else "y"
    if kind == "regression":
        y = y.astype("float64")
        infinite = np.flatnonzero(np.isinf(y.to_numpy()))
        if len(infinite):
            raise DataError(
                "AM108",
                f"target {name!r} is infinite in {len(infinite)} of {len(y)} rows (first: row {infinite[0]}).",
                "Drop these rows or cap the values.",
            )
        return y
    if isinstance(y.dtype, pd.CategoricalDtype):
        y = y.astype(y.cat.categories.dtype)
    if pd.api.types.is_extension_array_dtype(y.dtype) and pd.api.types.is_numeric_dtype(y):
        y = y.astype("bool" if pd.api.types.is_bool_dtype(y) else "int64" if _is_integral(y) else "float64")
    types = {type(value) for value in y.unique().tolist()}
    if len(types) > 1 and str in types:
        y = y.astype("str")
        issues.append(
            DataIssue("AM109", (name,), f"target {name!r} mixes types; its labels are read as strings.")
        )
    counts = y.value_counts()
    rare = counts[counts < 3]
    if len(rare):
        issues.append(
            DataIssue(
                "AM104",
                (name,),
                f"class {_plain(rare.index[0])!r} of target {name!r} has {rare.iloc[0]} row(s)"
                + (f" and {len(rare) - 1} more classes are as rare" if len(rare) > 1 else "")
                + "; it cannot stand in every fold.",
                "Merge or drop rare classes before a search.",
            )
        )
    return y


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


def _infer_columns(
    frame: pd.DataFrame, issues: list[DataIssue]
) -> tuple[dict[str, ColumnType], tuple[str, ...], tuple[str, ...]]:
    types: dict[str, ColumnType] = {}
    mixed: list[str] = []
    infinite: list[str] = []
    found: dict[str, list[str]] = {}
    for name in frame.columns:
        column = frame[name]
        reason = ""
        if pd.api.types.is_complex_dtype(column.dtype):
            types[name], reason = "ignored", "AM210"
        elif pd.api.types.is_bool_dtype(column.dtype) or pd.api.types.is_numeric_dtype(column.dtype):
            types[name], reason = _infer_numeric(column)
            if types[name] == "numeric" and _has_infinity(column):
                infinite.append(name)
        elif pd.api.types.is_datetime64_any_dtype(column.dtype):
            types[name] = "date"
            if not column.notna().any():
                types[name], reason = "ignored", "AM205"
        else:
            types[name], reason = _infer_strings(column)
            if types[name] == "categorical" and _is_mixed(column):
                mixed.append(name)
                found.setdefault("AM209", []).append(name)
        if reason:
            found.setdefault(reason, []).append(name)
    if infinite:
        found["AM203"] = infinite
    issues.extend(_column_issue(code, names, frame) for code, names in sorted(found.items()))
    return types, tuple(mixed), tuple(infinite)


_COLUMN_MESSAGES: Final = {
    "AM202": ("text that holds dates; read as dates, what cannot be read as missing", ""),
    "AM203": ("holds infinite values; they are read as missing", "Check how they came about."),
    "AM205": ("entirely missing; ignored", "Drop the column or fill it in."),
    "AM206": ("unique in every row, like an id; ignored", "Drop it, or encode what it means."),
    "AM208": ("the same in every row; ignored", ""),
    "AM209": ("mixes text with other types; read as text", "Clean the column if that is a mistake."),
    "AM210": ("of a type that cannot be used; ignored", "Convert it to numbers, text or dates."),
    "AM211": ("free text; read as counts of words or letters reduced to a few numbers", ""),
}


def _column_issue(code: str, names: list[str], frame: pd.DataFrame) -> DataIssue:
    what, fix = _COLUMN_MESSAGES[code]
    shown = ", ".join(map(repr, names[:5])) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    detail = ""
    if code == "AM203":
        values = pd.to_numeric(frame[names[0]]).to_numpy(dtype="float64", na_value=np.nan)
        rows = np.flatnonzero(np.isinf(values))
        detail = f" (row {rows[0]} first, {len(rows)} in {names[0]!r})"
    noun = "column" if len(names) == 1 else "columns"
    return DataIssue(code, tuple(names), f"{noun} {shown}: {what}{detail}.", fix)


def _infer_numeric(column: pd.Series) -> tuple[ColumnType, str]:
    present = column.dropna()
    if present.empty:
        return "ignored", "AM205"
    if len(present) == len(column) > 1 and (present == present.iloc[0]).all():
        return "ignored", "AM208"
    if pd.api.types.is_integer_dtype(column.dtype) and len(column) >= 20 and len(present) == len(column):
        # Only a gapless count is an id: other unique integers may well carry information.
        values = column.to_numpy(dtype="int64", na_value=0) if column.dtype.kind != "u" else column.to_numpy()
        if int(values.max()) - int(values.min()) == len(values) - 1 and column.is_unique:
            return "ignored", "AM206"
    return "numeric", ""


def _has_infinity(column: pd.Series) -> bool:
    if not pd.api.types.is_float_dtype(column.dtype):
        return False
    return bool(np.isinf(column.to_numpy(dtype="float64", na_value=np.nan)).any())


def _infer_strings(column: pd.Series) -> tuple[ColumnType, str]:
    present = column.dropna()
    if present.empty:
        return "ignored", "AM205"
    try:
        levels = present.unique()
    except TypeError:
        return "ignored", "AM210"
    if len(levels) == 1 and len(present) == len(column) and len(column) > 1:
        return "ignored", "AM208"
    if pd.api.types.is_timedelta64_dtype(column.dtype):
        return "ignored", "AM210"
    sample = [str(level) for level in levels[:200]]
    if isinstance(column.dtype, pd.CategoricalDtype):
        return _judge_unique(column) if _is_id(len(levels), column) else ("categorical", "")
    if _are_dates(sample):
        return "date", "AM202"
    words = float(np.mean([len(value.split()) for value in sample]))
    if len(levels) > 30 and len(levels) > 0.3 * len(present) and words >= 3:
        return "text", "AM211"
    return _judge_unique(column) if _is_id(len(levels), column) else ("categorical", "")


def _judge_unique(column: pd.Series) -> tuple[ColumnType, str]:
    """Names and codes with parts are text, which carries something; other ids are ignored."""
    return ("text", "AM211") if has_parts(column) else ("ignored", "AM206")


def _is_id(n_levels: int, column: pd.Series) -> bool:
    return n_levels == len(column) and n_levels >= 20


def _are_dates(sample: list[str]) -> bool:
    if np.mean([bool(_DATE_LIKE.match(value)) for value in sample]) < 0.95:
        return False
    parsed = pd.to_datetime(pd.Series(sample), errors="coerce", format="mixed", utc=True)
    return bool(parsed.notna().mean() >= 0.9)


def _is_mixed(column: pd.Series) -> bool:
    if isinstance(column.dtype, pd.CategoricalDtype):
        values: Iterable[Any] = column.cat.categories
    elif column.dtype == object:
        values = column.dropna().unique()
    else:
        return False
    return not (
        all(isinstance(value, str) for value in values)
        or all(isinstance(value, (int, float, np.number)) for value in values)
    )


def _find_leaks(
    frame: pd.DataFrame, y: pd.Series, types: Mapping[str, ColumnType], kind: Kind, issues: list[DataIssue]
) -> None:
    """Report columns that give the target away: a copy, or a one-to-one renaming of the classes."""
    rows = slice(0, 5000)
    target = y.iloc[rows]
    leaks = [
        name
        for name, column_type in types.items()
        if (column_type == "numeric" or (column_type == "categorical" and kind != "regression"))
        and _gives_away(frame[name].iloc[rows], target, kind)
    ]
    if leaks:
        issues.append(
            DataIssue(
                "AM207",
                tuple(leaks),
                f"column {leaks[0]!r} predicts the target perfectly; this may be a leak.",
                "Drop it if it is not known when you predict.",
            )
        )


def _gives_away(column: pd.Series, y: pd.Series, kind: Kind) -> bool:
    if kind == "regression":
        return bool(np.array_equal(column.to_numpy(dtype="float64", na_value=np.nan), y.to_numpy()))
    n_classes = y.nunique()
    if column.nunique() != n_classes or column.isna().any():
        return False
    return len(set(zip(pd.factorize(column)[0], pd.factorize(y)[0], strict=True))) == n_classes


def _plain(label: Any) -> Any:
    """Return a label as users write it, without numpy's type."""
    return label.item() if isinstance(label, np.generic) else label


def _label_key(label: Any) -> tuple[str, Any]:
    return ("", label) if isinstance(label, (int, float, bool, np.number)) else (type(label).__name__, label)


def _summary(column: pd.Series) -> str:
    """Order-free summary of one column; labels count only through their frequencies."""
    n_missing = int(column.isna().sum())
    present = column.dropna()
    numeric = pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype)
    if numeric and present.nunique() > MAX_CLASSES_OF_INTEGERS:
        # One kind of zero: how -0.0 and 0.0 are sorted depends on the processor.
        values = np.sort(present.to_numpy(dtype="float64") + 0.0)
        probe = values[np.linspace(0, len(values) - 1, 9).astype(int)]
        return f"{n_missing}:" + ",".join(f"{value:.6g}" for value in probe)
    try:
        counts = present.value_counts().to_numpy()
    except TypeError:
        counts = np.array([len(present)])
    return f"{n_missing}#" + ",".join(map(str, sorted(counts.tolist(), reverse=True)[:50]))
