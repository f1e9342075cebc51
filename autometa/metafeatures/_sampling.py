"""Rows and columns of a task as arrays, and which of them are looked at."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from autometa.columns import as_numbers
from autometa.metafeatures._arrays import FloatArray, HashArray, IntArray, count_own_level, rank_columns
from autometa.metafeatures._canonical import mix
from autometa.task import Task

MAX_COLUMNS: Final = 100
_CHUNK_OF_COLUMNS: Final = 1000


def encode_target(task: Task) -> tuple[FloatArray, IntArray]:
    """Return the numeric target, or positions of the classes by descending frequency, and the sorted counts."""
    if task.kind == "regression":
        return task.y.to_numpy(dtype="float64"), np.zeros(0, dtype="int64")
    codes = pd.factorize(task.y)[0]
    counts = np.bincount(codes)
    descending = np.argsort(-counts, kind="stable")
    position = np.empty_like(descending)
    position[descending] = np.arange(len(descending))
    return position[codes].astype("float64"), counts[descending]


def sample_rows(target: FloatArray, max_rows: int, random_state: int) -> IntArray:
    """Choose rows that spread evenly over the sorted target, ties in random order."""
    if len(target) <= max_rows:
        return np.arange(len(target))
    shuffled = np.random.default_rng(random_state).permutation(len(target))
    by_target = shuffled[np.argsort(target[shuffled], kind="stable")]
    chosen = np.linspace(0, len(target) - 1, max_rows).round().astype("int64")
    return np.sort(by_target[chosen])


def sample_columns(
    task: Task, frame: pd.DataFrame, target: FloatArray, random_state: int
) -> tuple[FloatArray, npt.NDArray[np.bool_], IntArray]:
    """Read the columns as numbers and levels; if there are too many, choose by a hash of their content.

    Parameters
    ----------
    task : Task
    frame : DataFrame of shape (n, n_columns)
        Rows of the task.
    target : ndarray of shape (n,)
        As :func:`encode_target` gives it.
    random_state : int

    Returns
    -------
    numeric : ndarray of shape (n, p)
        Numeric columns, dates in days and texts as their length; NaN where missing or infinite.
    is_number : ndarray of bool of shape (p,)
        Which of them are neither dates nor texts.
    levels : ndarray of int of shape (n, q)
        Categorical columns, from 0 in order of appearance; -1 where missing.
    """
    numeric = task.columns("numeric", "date", "text")
    categorical = task.columns("categorical")
    if len(numeric) + len(categorical) > MAX_COLUMNS:
        cells = [
            *(_coarsen(_read_numbers(task, frame, names)) for names in _chunks(numeric)),
            *(
                count_own_level(_read_levels(task, frame, [name])[:, 0])[:, None].astype("uint32")
                for name in categorical
            ),
        ]
        chosen = np.sort(np.argsort(_hash_columns(cells, task.kind, target, random_state))[:MAX_COLUMNS])
        categorical = [categorical[i - len(numeric)] for i in chosen if i >= len(numeric)]
        numeric = [numeric[i] for i in chosen if i < len(numeric)]
    is_number = np.array([task.column_types[name] == "numeric" for name in numeric], dtype=bool)
    return _read_numbers(task, frame, numeric), is_number, _read_levels(task, frame, categorical)


def _chunks(names: list[str]) -> list[list[str]]:
    return [names[i : i + _CHUNK_OF_COLUMNS] for i in range(0, len(names), _CHUNK_OF_COLUMNS)]


def _coarsen(values: FloatArray) -> npt.NDArray[np.uint32]:
    """Which part of its column's range a value lies in, from 0; 9 where missing.

    The bounds are odd so that no value of an even grid lies on one, where rounding would decide.
    """
    is_present = ~np.isnan(values)
    largest = np.finfo("float64").max
    low = np.min(values, axis=0, where=is_present, initial=largest)
    high = np.max(values, axis=0, where=is_present, initial=-largest)
    parts = np.full(values.shape, 9, dtype="uint32")
    parts[is_present] = 0
    for bound in (0.1934, 0.4127, 0.6218, 0.8439):
        parts += values > low * (1 - bound) + high * bound
    return parts


def _hash_columns(
    cells: list[npt.NDArray[np.uint32]], kind: str, target: FloatArray, random_state: int
) -> HashArray:
    """Hash each column of all blocks by its content and the rows that hold it, in whatever order these stand."""
    anchor = rank_columns(target[:, None])[:, 0] if kind == "regression" else count_own_level(target)
    row_keys = mix(anchor.astype("uint64"))
    for block in cells:
        row_keys = row_keys + mix(block.astype("uint64")).sum(axis=1)
    keys = np.concatenate([mix(block ^ row_keys[:, None]).sum(axis=0) for block in cells])
    return mix(keys ^ mix(np.full(len(keys), random_state % 2**32, dtype="uint64")))


def _read_numbers(task: Task, frame: pd.DataFrame, names: list[str]) -> FloatArray:
    """Read numeric, date and text columns as an array with NaN for what is missing or infinite."""
    values = np.empty((len(frame), len(names)))
    plain = [i for i, name in enumerate(names) if task.column_types[name] == "numeric"]
    spans = [i for i in plain if frame[names[i]].dtype.kind == "m"]
    for i in spans:
        values[:, i] = as_numbers(frame[names[i]])
    if plain := [i for i in plain if i not in spans]:
        values[:, plain] = frame[[names[i] for i in plain]].to_numpy(dtype="float64", na_value=np.nan)
    for i, name in enumerate(names):
        if task.column_types[name] == "date":
            values[:, i] = _days(frame[name])
        elif task.column_types[name] == "text":
            values[:, i] = frame[name].astype("str").str.len().to_numpy(dtype="float64", na_value=np.nan)
    values[~np.isfinite(values)] = np.nan
    return values


def _days(column: pd.Series) -> FloatArray:
    if isinstance(column.dtype, pd.PeriodDtype):
        column = column.dt.start_time
    if not pd.api.types.is_datetime64_any_dtype(column.dtype):
        column = pd.to_datetime(column.astype("str"), errors="coerce", format="mixed", utc=True)
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        column = column.dt.tz_convert(None)
    seconds = column.to_numpy(dtype="datetime64[s]", na_value=np.datetime64("NaT"))
    return np.where(np.isnat(seconds), np.nan, seconds.astype("int64") / 86400)


def _read_levels(task: Task, frame: pd.DataFrame, names: list[str]) -> IntArray:
    """Read categorical columns as codes in order of appearance, -1 for missing values."""
    codes = np.empty((len(frame), len(names)), dtype="int64")
    for i, name in enumerate(names):
        column = frame[name]
        if name in task.mixed_columns:
            column = column.astype("object").map(str, na_action="ignore")
        codes[:, i] = pd.factorize(column)[0]
    return codes
