"""Facts about a whole table: fingerprints, which ignore names and order, and columns that give the target away."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from autometa.errors import DataIssue
from autometa.tables.cells import MAX_CLASSES_OF_INTEGERS, ColumnType


def find_leaks(
    frame: pd.DataFrame, y: pd.Series, types: Mapping[str, ColumnType], *, is_regression: bool
) -> list[DataIssue]:
    """Report columns that give the target away: a copy, or a one-to-one renaming of the classes."""
    rows = slice(0, 5000)
    target = y.iloc[rows]
    leaks = [
        name
        for name, column_type in types.items()
        if (column_type == "numeric" or (column_type == "categorical" and not is_regression))
        and _gives_away(frame[name].iloc[rows], target, is_regression)
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


def _gives_away(column: pd.Series, y: pd.Series, is_regression: bool) -> bool:
    if is_regression:
        return bool(np.array_equal(as_numbers(column), y.to_numpy()))
    n_classes = y.nunique()
    if column.nunique() != n_classes or column.isna().any():
        return False
    return len(set(zip(pd.factorize(column)[0], pd.factorize(y)[0], strict=True))) == n_classes


def as_numbers(column: pd.Series) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return a numeric column of a task as an array; spans of time in nanoseconds, NaN for what is missing."""
    if pd.api.types.is_timedelta64_dtype(column.dtype):
        spans = column.to_numpy(dtype="timedelta64[ns]")
        return np.where(np.isnat(spans), np.nan, spans.astype("int64").astype("float64"))
    return column.to_numpy(dtype="float64", na_value=np.nan)


def summarise(column: pd.Series) -> str:
    """Order-free summary of one column; labels count only through their frequencies."""
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


def fingerprint(kind: str, frame: pd.DataFrame, y: pd.Series) -> str:
    """Hash of the content that ignores the order of rows and columns, and all names and labels."""
    summaries = sorted(summarise(frame[column]) for column in frame.columns)
    parts = [kind, str(len(frame)), summarise(y), *summaries]
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:16]
