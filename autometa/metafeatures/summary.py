"""The summary of a task that all meta-features are computed from.

Rows and columns of the summary stand in a canonical order that depends on their content alone: on ranks within numeric
columns and on which rows share a category, never on names, labels, units or positions. Whatever is computed from it,
sums in floating point and random splits included, is therefore the same for every shuffled or relabelled copy of a table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from autometa.errors import UsageError
from autometa.task import Task

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
HashArray = npt.NDArray[np.uint64]

MAX_ROWS: Final = 2000
MAX_COLUMNS: Final = 100
MAX_CLASSES: Final = 20
_CHUNK_OF_COLUMNS: Final = 1000
_CLIP: Final = 4.0


@dataclass(frozen=True, eq=False)
class Summary:
    """A bounded, canonically ordered sample of a task.

    Attributes
    ----------
    kind : {"binary", "multiclass", "regression"}
    n_rows, n_columns : int
        Size of the whole table.
    n_by_type : mapping of str to int
        Number of columns of each type in the whole table.
    class_counts : ndarray of shape (n_classes,)
        Rows per class in the whole table, descending; empty for regression.
    numeric : ndarray of shape (n, p)
        Values of the sampled numeric columns; dates in days, texts as their length; NaN where missing or infinite.
    is_number : ndarray of bool of shape (p,)
        Which of the columns of `numeric` are neither dates nor texts.
    levels : ndarray of int of shape (n, q)
        Categories of the sampled categorical columns, 0 for the most frequent; -1 where missing.
    target : ndarray of shape (n,)
        Numeric target, or position of the class in `class_counts`.
    ranks : ndarray of int of shape (n, p)
        Twice the average rank (from 0) of each value in its column; -1 where missing.
    random_state : int
    """

    kind: str
    n_rows: int
    n_columns: int
    n_by_type: Mapping[str, int]
    class_counts: IntArray
    numeric: FloatArray
    is_number: npt.NDArray[np.bool_]
    levels: IntArray
    target: FloatArray
    ranks: IntArray
    random_state: int

    @classmethod
    def from_task(cls, task: Task, *, max_rows: int = MAX_ROWS, random_state: int = 0) -> Summary:
        """Sample a task.

        Raises
        ------
        UsageError
            AM506 when `max_rows` is less than 2.
        """
        if max_rows < 2:
            raise UsageError("AM506", f"max_rows is {max_rows}.", "Choose at least 2.")
        target, class_counts = _encode_target(task)
        rows = _sample_rows(target, max_rows, random_state)
        target = target[rows]
        frame = task.X if len(rows) == task.n_rows else task.X.iloc[rows]
        anchor = rank_columns(target[:, None])[:, 0] if task.kind == "regression" else _level_counts(target)
        numeric, is_number, levels = _sample_columns(task, frame, anchor, random_state)
        ranks = rank_columns(numeric)
        if task.kind == "regression":
            ordered, nominal = np.hstack([ranks, anchor[:, None]]), levels
        else:
            ordered, nominal = ranks, np.hstack([levels, target[:, None].astype("int64")])
        row_keys, numeric_keys, nominal_keys = _colour(ordered, nominal)
        order = np.argsort(row_keys, kind="stable")
        order = order[np.random.default_rng(random_state).permutation(len(order))]
        levels = _sort_levels(levels, nominal_keys[:, : levels.shape[1]], row_keys)
        if task.kind != "regression":
            target = _break_ties(target, class_counts, nominal_keys[:, -1])
        numeric, ranks = numeric[order], ranks[order]
        columns = np.lexsort((_shape_of_columns(numeric), numeric_keys[: numeric.shape[1]]))
        types = list(task.column_types.values())
        return cls(
            kind=task.kind,
            n_rows=task.n_rows,
            n_columns=len(types),
            n_by_type={name: types.count(name) for name in ("numeric", "categorical", "date", "text", "ignored")},
            class_counts=class_counts,
            numeric=np.ascontiguousarray(numeric[:, columns]),
            is_number=is_number[columns],
            levels=levels[order],
            target=target[order],
            ranks=np.ascontiguousarray(ranks[:, columns]),
            random_state=random_state,
        )

    @property
    def n_sampled(self) -> int:
        """Number of sampled rows."""
        return len(self.target)

    @cached_property
    def is_present(self) -> npt.NDArray[np.bool_]:
        """Which numeric values are not missing, of shape (n, p)."""
        return self.ranks >= 0

    @cached_property
    def n_present(self) -> IntArray:
        """Values that are not missing in each numeric column, of shape (p,)."""
        return np.asarray(self.is_present.sum(axis=0), dtype="int64")

    @cached_property
    def _runs(self) -> tuple[IntArray, IntArray]:
        """Number of distinct values and length of the longest run of equal values in each sorted numeric column."""
        ordered = np.sort(self.ranks, axis=0)
        position = np.arange(len(ordered))[:, None]
        # Missing values are -1, so that they never count as new.
        is_new = np.diff(ordered, axis=0, prepend=-1) != 0
        start = np.maximum.accumulate(np.where(is_new, position, 0), axis=0)
        length = np.where(ordered >= 0, position - start + 1, 0)
        return is_new.sum(axis=0), length.max(axis=0)

    @property
    def n_distinct(self) -> IntArray:
        """Distinct values of each numeric column, of shape (p,)."""
        return self._runs[0]

    @property
    def mode_count(self) -> IntArray:
        """Occurrences of the most frequent value of each numeric column, of shape (p,)."""
        return self._runs[1]

    @cached_property
    def varying(self) -> IntArray:
        """Positions of the numeric columns with at least two values that floating point can tell apart."""
        scaled = scale_columns(self.numeric)
        low = np.min(scaled, axis=0, where=self.is_present, initial=1.0)
        high = np.max(scaled, axis=0, where=self.is_present, initial=-1.0)
        return np.flatnonzero(high > low)

    @cached_property
    def scaled(self) -> FloatArray:
        """Numeric columns that vary, divided by their largest absolute value; NaN where missing."""
        return scale_columns(self.numeric[:, self.varying])

    @cached_property
    def standardised(self) -> FloatArray:
        """Numeric columns that vary, with mean 0 and standard deviation 1; 0 where missing."""
        return standardise_columns(self.scaled)

    @cached_property
    def groups(self) -> IntArray:
        """Classes of the sampled rows, those beyond the 20 most frequent as one; tenths of a numeric target."""
        if self.kind != "regression":
            _, codes = np.unique(np.minimum(self.target, MAX_CLASSES), return_inverse=True)
            return np.asarray(codes, dtype="int64")
        doubled = rank_columns(self.target[:, None])[:, 0]
        _, codes = np.unique(doubled * 10 // (2 * self.n_sampled), return_inverse=True)
        return np.asarray(codes, dtype="int64")

    @cached_property
    def response(self) -> FloatArray:
        """The target as columns of numbers with mean 0, of shape (n, k).

        One column per class (0/1), or the numeric target, standardised and clipped at four standard deviations.
        """
        if self.kind == "regression":
            columns = np.clip(standardise_columns(scale_columns(self.target[:, None])), -_CLIP, _CLIP)
        else:
            columns = np.eye(int(self.groups.max()) + 1)[self.groups]
        # On a grid, sums over few rows are exact: rounding never decides between equal splits of a tree.
        return np.asarray(np.round((columns - columns.mean(axis=0)) * 2**20) / 2**20)


def scale_columns(values: FloatArray) -> FloatArray:
    """Divide each column by its largest absolute value, so that no power of it overflows."""
    largest = np.max(np.abs(values), axis=0, where=~np.isnan(values), initial=0.0)
    return np.asarray(values / np.where(largest > 0, largest, 1.0))


def standardise_columns(values: FloatArray) -> FloatArray:
    """Subtract the mean of each column and divide by its standard deviation (ddof 1); missing values become 0."""
    is_present = ~np.isnan(values)
    count = np.maximum(is_present.sum(axis=0), 1)
    filled = np.where(is_present, values, 0.0)
    centred = np.where(is_present, filled - filled.sum(axis=0) / count, 0.0)
    deviation = np.sqrt((centred**2).sum(axis=0) / np.maximum(count - 1, 1))
    return np.asarray(centred / np.where(deviation > 0, deviation, 1.0))


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


def entropy(counts: npt.ArrayLike) -> FloatArray:
    """Shannon entropy in nats of counts along the last axis."""
    counts = np.asarray(counts, dtype="float64")
    total = np.maximum(counts.sum(axis=-1), 1.0)
    terms = counts * np.log(np.maximum(counts, 1.0))
    return np.asarray(np.log(total) - terms.sum(axis=-1) / total)


def count_levels(levels: IntArray) -> IntArray:
    """Rows per level of each column, of shape (n_columns, largest number of levels); missing values do not count."""
    width = int(levels.max(initial=0)) + 2
    flat = (levels + 1 + width * np.arange(levels.shape[1])).ravel()
    counts = np.bincount(flat, minlength=width * levels.shape[1]).reshape(levels.shape[1], width)
    return counts[:, 1:]


def hash_rows(cells: IntArray) -> HashArray:
    """Hash each row of integers; equal rows have equal hashes."""
    salts = _mix(np.arange(cells.shape[1], dtype="uint64"))
    return np.asarray(_mix(cells.astype("uint64") ^ salts).sum(axis=1))


def _encode_target(task: Task) -> tuple[FloatArray, IntArray]:
    """Return the numeric target, or positions of the classes by descending frequency, and the sorted counts."""
    if task.kind == "regression":
        return task.y.to_numpy(dtype="float64"), np.zeros(0, dtype="int64")
    codes = pd.factorize(task.y)[0]
    counts = np.bincount(codes)
    descending = np.argsort(-counts, kind="stable")
    position = np.empty_like(descending)
    position[descending] = np.arange(len(descending))
    return position[codes].astype("float64"), counts[descending]


def _sample_rows(target: FloatArray, max_rows: int, random_state: int) -> IntArray:
    """Choose rows that spread evenly over the sorted target, ties in random order."""
    if len(target) <= max_rows:
        return np.arange(len(target))
    shuffled = np.random.default_rng(random_state).permutation(len(target))
    by_target = shuffled[np.argsort(target[shuffled], kind="stable")]
    chosen = np.linspace(0, len(target) - 1, max_rows).round().astype("int64")
    return np.sort(by_target[chosen])


def _sample_columns(
    task: Task, frame: pd.DataFrame, anchor: IntArray, random_state: int
) -> tuple[FloatArray, npt.NDArray[np.bool_], IntArray]:
    """Read the columns as numbers and levels; if there are too many, choose by a hash of their content."""
    numeric = task.columns("numeric", "date", "text")
    categorical = task.columns("categorical")
    if len(numeric) + len(categorical) > MAX_COLUMNS:
        weights = _mix(anchor.astype("uint64")) >> np.uint64(32)
        keys = np.concatenate(
            [
                *(
                    _number_keys(_read_numbers(task, frame, numeric[i : i + _CHUNK_OF_COLUMNS]), weights)
                    for i in range(0, len(numeric), _CHUNK_OF_COLUMNS)
                ),
                *(_level_keys(_read_levels(task, frame, [name]), weights) for name in categorical),
            ]
        )
        seed = np.full(len(keys), random_state % 2**32, dtype="uint64")
        chosen = np.argsort(_mix(keys ^ _mix(seed)), kind="stable")[:MAX_COLUMNS]
        categorical = [categorical[i - len(numeric)] for i in np.sort(chosen) if i >= len(numeric)]
        numeric = [numeric[i] for i in np.sort(chosen) if i < len(numeric)]
    is_number = np.array([task.column_types[name] == "numeric" for name in numeric], dtype=bool)
    return _read_numbers(task, frame, numeric), is_number, _read_levels(task, frame, categorical)


def _number_keys(values: FloatArray, weights: HashArray) -> HashArray:
    """Hash each column by which rows are missing and which lie in its lower, middle and upper range.

    The weights are below 2**32, so that their sums are exact in whatever order the rows stand.
    """
    is_present = ~np.isnan(values)
    largest = np.finfo("float64").max
    low = np.min(values, axis=0, where=is_present, initial=largest)
    high = np.max(values, axis=0, where=is_present, initial=-largest)
    masks = [is_present, *(values > low * (1 - part) + high * part for part in (0.25, 0.5, 0.75))]
    key = np.zeros(values.shape[1], dtype="uint64")
    for mask in masks:
        sums = (weights.astype("float64") @ mask.astype("float64")).astype("uint64")
        key = _mix(key ^ _mix(sums + mask.sum(axis=0).astype("uint64")))
    return key


def _level_keys(levels: IntArray, weights: HashArray) -> HashArray:
    """Hash the only column of `levels` by the sizes of its categories and the rows in them."""
    counts = _level_counts(levels[:, 0]).astype("uint64")
    return _mix(_mix(counts) ^ weights).sum(keepdims=True)


def _read_numbers(task: Task, frame: pd.DataFrame, names: list[str]) -> FloatArray:
    """Read numeric, date and text columns as an array with NaN for what is missing or infinite."""
    values = np.empty((len(frame), len(names)))
    plain = [i for i, name in enumerate(names) if task.column_types[name] == "numeric"]
    if plain:
        values[:, plain] = frame[[names[i] for i in plain]].to_numpy(dtype="float64", na_value=np.nan)
    for i, name in enumerate(names):
        if task.column_types[name] == "date":
            values[:, i] = _days(frame[name])
        elif task.column_types[name] == "text":
            values[:, i] = frame[name].astype("str").str.len().to_numpy(dtype="float64", na_value=np.nan)
    values[~np.isfinite(values)] = np.nan
    return values


def _days(column: pd.Series) -> FloatArray:
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


def _level_counts(codes: npt.NDArray[Any]) -> IntArray:
    """How often the value of each row occurs; codes from -1."""
    shifted = codes.astype("int64") + 1
    return np.bincount(shifted)[shifted]


def _colour(ordered: IntArray, nominal: IntArray) -> tuple[HashArray, HashArray, HashArray]:
    """Hash rows, ordered columns and categories so that the hashes tell nothing of positions and labels.

    Each is coloured in turn by the colours of what it meets, as Weisfeiler and Leman (1968) do with vertices of a graph.

    Parameters
    ----------
    ordered : ndarray of shape (n, p)
        Ranks.
    nominal : ndarray of shape (n, q)
        Codes from -1.

    Returns
    -------
    row_keys : ndarray of shape (n,)
    column_keys : ndarray of shape (p,)
    nominal_keys : ndarray of shape (n, q)
        Hash of the category in each cell of `nominal`.
    """
    hashed = _mix(ordered.astype("uint64"))
    flat, n_levels = _flatten_levels(nominal)
    row_keys = np.zeros(len(ordered), dtype="uint64")
    for _ in range(3):
        column_keys = _mix(hashed ^ row_keys[:, None]).sum(axis=0)
        # Below 2**32, sums over rows are exact in floating point.
        weights = np.repeat((_mix(row_keys) >> np.uint64(32)).astype("float64"), nominal.shape[1])
        level_keys = _mix(np.bincount(flat.ravel(), weights=weights, minlength=n_levels).astype("uint64"))
        nominal_keys = level_keys[flat]
        row_keys = _mix(hashed ^ column_keys).sum(axis=1) + _mix(nominal_keys).sum(axis=1)
    return row_keys, column_keys, nominal_keys


def _flatten_levels(levels: IntArray) -> tuple[IntArray, int]:
    """Give the levels (missing included) of all columns different codes; return them and their number."""
    if levels.shape[1] == 0:
        return levels, 0
    width = levels.max(axis=0) + 2
    offset = np.cumsum(width) - width
    return levels + 1 + offset, int(width.sum())


def _sort_levels(levels: IntArray, level_keys: HashArray, row_keys: HashArray) -> IntArray:
    """Number the levels of each column by descending frequency, equal ones by their key, and sort the columns."""
    result = np.empty_like(levels)
    for i, codes in enumerate(levels.T):
        counts = np.where(codes >= 0, _level_counts(codes), len(codes) + 1)
        order = np.lexsort((level_keys[:, i], -counts))
        is_new = np.diff(codes[order], prepend=codes[order[:1]]) != 0
        result[order, i] = np.cumsum(is_new) - int(codes.min() < 0)
    column_keys = _mix(level_keys ^ row_keys[:, None]).sum(axis=0)
    return result[:, np.argsort(column_keys, kind="stable")]


def _break_ties(target: FloatArray, class_counts: IntArray, keys: HashArray) -> FloatArray:
    """Number the classes by descending count, equal ones by their key; classes out of the sample come last among these."""
    codes, first = np.unique(target.astype("int64"), return_index=True)
    key_of_class = np.full(len(class_counts), np.iinfo("uint64").max, dtype="uint64")
    key_of_class[codes] = keys[first]
    position = np.empty(len(class_counts))
    position[np.lexsort((key_of_class, -class_counts))] = np.arange(len(class_counts))
    return position[target.astype("int64")]


def _shape_of_columns(values: FloatArray) -> FloatArray:
    """Mean position of the values between the least and the greatest: tells apart columns with equal ranks."""
    scaled = scale_columns(values)
    is_present = ~np.isnan(scaled)
    low = np.min(scaled, axis=0, where=is_present, initial=1.0)
    span = np.max(scaled, axis=0, where=is_present, initial=-1.0) - low
    mean = np.where(is_present, scaled, 0.0).sum(axis=0) / np.maximum(is_present.sum(axis=0), 1)
    return np.asarray(np.where(span > 0, (mean - low) / np.where(span > 0, span, 1.0), 0.0))


def _mix(values: HashArray) -> HashArray:
    """Scramble 64-bit integers (the finaliser of SplitMix64; Steele, Lea and Flood, 2014)."""
    mixed = values + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)))
