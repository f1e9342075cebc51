"""Types of arrays and what is done to the columns of one."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
HashArray = npt.NDArray[np.uint64]

# What lies this close, in columns whose largest absolute value is 1, may differ by rounding alone.
ROUNDING: Final = 1e-9


def rank_columns(values: FloatArray) -> IntArray:
    """Twice the average rank of each value in its column, from 0; -1 for NaN."""
    rows = np.ascontiguousarray(values.T)
    order = np.argsort(rows, axis=1)
    ordered = np.take_along_axis(rows, order, axis=1)
    position = np.broadcast_to(np.arange(rows.shape[1]), rows.shape)
    is_first = np.ones(rows.shape, dtype=bool)
    is_first[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    is_last = np.ones(rows.shape, dtype=bool)
    is_last[:, :-1] = is_first[:, 1:]
    first = np.maximum.accumulate(np.where(is_first, position, 0), axis=1)
    last = np.where(is_last, position, rows.shape[1])
    last = np.minimum.accumulate(last[:, ::-1], axis=1)[:, ::-1]
    ranks = np.empty(rows.shape, dtype="int64")
    np.put_along_axis(ranks, order, np.where(np.isnan(ordered), -1, first + last), axis=1)
    return ranks.T


def count_own_level(codes: npt.NDArray[Any]) -> IntArray:
    """How often the value of each row occurs; codes from -1."""
    shifted = codes.astype("int64") + 1
    return np.bincount(shifted)[shifted]


def scale_columns(values: FloatArray) -> FloatArray:
    """Divide each column by its largest absolute value, so that no power of it overflows."""
    largest = np.max(np.abs(values), axis=0, where=~np.isnan(values), initial=0.0)
    return np.asarray(values / np.where(largest > 0, largest, 1.0))


def standardise_columns(values: FloatArray) -> FloatArray:
    """Subtract the mean of each column and divide by its standard deviation (ddof 0); missing values become 0."""
    is_present = ~np.isnan(values)
    count = np.maximum(is_present.sum(axis=0), 1)
    centred = np.where(is_present, values, 0.0)
    for _ in range(
        2
    ):  # the second time takes off what rounding left, which matters if values differ in few digits
        centred = np.where(is_present, centred - centred.sum(axis=0) / count, 0.0)
    deviation = np.sqrt((centred**2).sum(axis=0) / count)
    return np.asarray(centred / np.where(deviation > 0, deviation, 1.0))


def explain_linearly(columns: FloatArray, response: FloatArray) -> FloatArray:
    """Share of the response's variance that each column explains linearly, adjusted for chance.

    Parameters
    ----------
    columns : ndarray of shape (n, p)
        Each with mean 0 and not constant.
    response : ndarray of shape (n, k)
        Each column with mean 0, not all constant.

    Returns
    -------
    ndarray of shape (p,)
        Between 0 and 1.
    """
    squares = (columns**2).sum(axis=0) * (response**2).sum()
    r2 = ((columns.T @ response) ** 2).sum(axis=1) / squares
    return adjust_r2(r2, np.ones(len(r2), dtype="int64"), len(response))


def adjust_r2(r2: FloatArray, freedom: IntArray, n_rows: int) -> FloatArray:
    """Take off what unrelated predictors with these degrees of freedom would explain; between 0 and 1."""
    rest = n_rows - 1 - freedom
    adjusted = 1 - (1 - r2) * (n_rows - 1) / np.maximum(rest, 1)
    return np.where(rest > 0, np.clip(adjusted, 0.0, 1.0), 0.0)


def count_levels(levels: IntArray) -> IntArray:
    """Rows per level of each column, of shape (n_columns, largest number of levels); missing values do not count."""
    width = int(levels.max(initial=0)) + 2
    flat = (levels + 1 + width * np.arange(levels.shape[1])).ravel()
    counts = np.bincount(flat, minlength=width * levels.shape[1]).reshape(levels.shape[1], width)
    return counts[:, 1:]


def entropy(counts: npt.ArrayLike) -> FloatArray:
    """Shannon entropy in nats of counts along the last axis."""
    counts = np.asarray(counts, dtype="float64")
    total = np.maximum(counts.sum(axis=-1), 1.0)
    terms = counts * np.log(np.maximum(counts, 1.0))
    return np.asarray(np.log(total) - terms.sum(axis=-1) / total)


def mean_or_nan(values: Any) -> float:
    """Mean of the values that are not NaN, or NaN if there is none."""
    kept = np.asarray(values, dtype="float64")
    kept = kept[~np.isnan(kept)]
    return float(kept.mean()) if len(kept) else float("nan")


def std_or_nan(values: Any) -> float:
    """Standard deviation (ddof 0) of the values that are not NaN, or NaN if there is none."""
    kept = np.asarray(values, dtype="float64")
    kept = kept[~np.isnan(kept)]
    return float(kept.std()) if len(kept) else float("nan")


def max_or_nan(values: Any) -> float:
    """Maximum of the values that are not NaN, or NaN if there is none."""
    kept = np.asarray(values, dtype="float64")
    kept = kept[~np.isnan(kept)]
    return float(kept.max()) if len(kept) else float("nan")
