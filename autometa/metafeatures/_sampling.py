"""Rows and columns of a task as arrays, which of them are looked at, and what is done to the columns of one.

The order depends on content alone, and so do the hashes that it rests on.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from autometa.task import Task, as_numbers

# A part of the definition of the meta-features, as all numbers of this package: others make another version. It bounds
# their cost, which grows with the square of the columns.
MAX_COLUMNS: Final = 100
# Columns that are read at a time where there are more, so that memory is bounded.
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
    types = task.column_types
    numeric = [name for name in types if types[name] in ("numeric", "date", "text")]
    categorical = [name for name in types if types[name] == "categorical"]
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
    is_number = np.array([types[name] == "numeric" for name in numeric], dtype=bool)
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


# Rounds of passing hashes between rows and columns until what differs has another hash, and how many rows are set
# apart by hand where some still look alike; after that the order of those is left as it is.
_N_ROUNDS: Final = 3
_MAX_MARKS: Final = 12


def arrange(
    numeric: FloatArray,
    ranks: IntArray,
    levels: IntArray,
    target: FloatArray,
    *,
    class_counts: IntArray,
    random_state: int,
) -> tuple[IntArray, IntArray, IntArray, FloatArray]:
    """Find the canonical order of rows and numeric columns, and number categories and classes by frequency.

    Parameters
    ----------
    numeric, ranks : ndarray of shape (n, p)
        Values and what :func:`rank_columns` makes of them.
    levels : ndarray of shape (n, q)
        Codes from -1 (missing).
    target : ndarray of shape (n,)
        Numbers, or positions in `class_counts`.
    class_counts : ndarray of shape (n_classes,)
        Rows of each class in the whole table, descending; empty if the target is numeric.
    random_state : int
        Seed of the permutation of the canonical order that shuffles the rows.

    Returns
    -------
    rows : ndarray of shape (n,)
    columns : ndarray of shape (p,)
        Positions of rows and numeric columns in canonical order.
    levels : ndarray of shape (n, q)
        In canonical order of columns, rows as given; 0 is the most frequent category.
    target : ndarray of shape (n,)
        As given; equally frequent classes in canonical order.
    """
    if len(class_counts):
        ordered, nominal = ranks, np.hstack([levels, target[:, None].astype("int64")])
    else:
        ordered, nominal = np.hstack([ranks, rank_columns(target[:, None])]), levels
    row_keys, column_keys, nominal_keys = _colour(ordered, nominal)
    levels = _number_levels(levels, nominal_keys[:, : levels.shape[1]], row_keys)
    if len(class_counts):
        target = _number_classes(target, class_counts, nominal_keys[:, -1])
    rows = np.argsort(row_keys, kind="stable")
    rows = rows[np.random.default_rng(random_state).permutation(len(rows))]
    # Columns with equal ranks, such as x and log x, have equal keys.
    columns = np.lexsort((_mean_positions(numeric[rows]), column_keys[: numeric.shape[1]]))
    return rows, columns, levels, target


def hash_rows(cells: IntArray) -> HashArray:
    """Hash each row of integers; equal rows have equal hashes."""
    salts = mix(np.arange(cells.shape[1], dtype="uint64"))
    return np.asarray(mix(cells.astype("uint64") ^ salts).sum(axis=1))


def _colour(ordered: IntArray, nominal: IntArray) -> tuple[HashArray, HashArray, HashArray]:
    """Hash rows, ordered columns and categories so that the hashes tell nothing of positions and labels.

    Each is coloured in turn by the colours of what it meets, as Weisfeiler and Leman (1968) do with a graph's vertices.
    Where that leaves rows that differ with one colour, as in a factorial design, one of them is marked and the others
    are coloured anew: if they are mirror images of each other, it does not matter which (McKay, 1981).

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
    hashed = mix(ordered.astype("uint64"))
    flat, n_levels = _flatten_levels(nominal)
    content = hash_rows(np.hstack([ordered, nominal]))
    n_contents = len(np.unique(content))
    marks = np.zeros(len(ordered), dtype="uint64")
    row_keys = marks
    for i in range(_MAX_MARKS):
        for _ in range(_N_ROUNDS):
            column_keys = mix(hashed ^ row_keys[:, None]).sum(axis=0)
            # Below 2**32, sums over rows are exact in floating point.
            weights = np.repeat((mix(row_keys) >> np.uint64(32)).astype("float64"), nominal.shape[1])
            level_keys = mix(np.bincount(flat.ravel(), weights=weights, minlength=n_levels).astype("uint64"))
            nominal_keys = level_keys[flat]
            row_keys = mix(mix(hashed ^ column_keys).sum(axis=1) + mix(nominal_keys).sum(axis=1) + marks)
        if len(np.unique(row_keys)) == n_contents:
            break
        marks[content == content[_find_tie(row_keys, content)]] = i + 1
    return row_keys, column_keys, nominal_keys


def _find_tie(row_keys: HashArray, content: HashArray) -> int:
    """Position of a row that shares its key with a different row; the key is the least such."""
    order = np.lexsort((content, row_keys))
    is_tied = np.diff(row_keys[order]) == 0
    is_other = np.diff(content[order]) != 0
    return int(order[np.flatnonzero(is_tied & is_other)[0]])


def _flatten_levels(levels: IntArray) -> tuple[IntArray, int]:
    """Give the levels (missing included) of all columns different codes; return them and their number."""
    if levels.shape[1] == 0:
        return levels, 0
    width = levels.max(axis=0) + 2
    offset = np.cumsum(width) - width
    return levels + 1 + offset, int(width.sum())


def _number_levels(levels: IntArray, level_keys: HashArray, row_keys: HashArray) -> IntArray:
    """Number the levels of each column by descending frequency, equal ones by their key, and sort the columns."""
    result = np.empty_like(levels)
    for i, codes in enumerate(levels.T):
        counts = np.where(codes >= 0, count_own_level(codes), len(codes) + 1)
        order = np.lexsort((codes, level_keys[:, i], -counts))
        is_new = np.diff(codes[order], prepend=codes[order[:1]]) != 0
        result[order, i] = np.cumsum(is_new) - int(codes.min() < 0)
    column_keys = mix(level_keys ^ row_keys[:, None]).sum(axis=0)
    return result[:, np.argsort(column_keys, kind="stable")]


def _number_classes(target: FloatArray, class_counts: IntArray, keys: HashArray) -> FloatArray:
    """Number the classes by descending count, equal ones by their key; those outside the sample come last."""
    codes, first = np.unique(target.astype("int64"), return_index=True)
    key_of_class = np.full(len(class_counts), np.iinfo("uint64").max, dtype="uint64")
    key_of_class[codes] = keys[first]
    position = np.empty(len(class_counts))
    position[np.lexsort((key_of_class, -class_counts))] = np.arange(len(class_counts))
    return position[target.astype("int64")]


def _mean_positions(values: FloatArray) -> FloatArray:
    """Mean position of the values between the least and the greatest: tells apart columns with equal ranks."""
    scaled = scale_columns(values)
    is_present = ~np.isnan(scaled)
    low = np.min(scaled, axis=0, where=is_present, initial=1.0)
    span = np.max(scaled, axis=0, where=is_present, initial=-1.0) - low
    mean = np.where(is_present, scaled, 0.0).sum(axis=0) / np.maximum(is_present.sum(axis=0), 1)
    return np.asarray(np.where(span > 0, (mean - low) / np.where(span > 0, span, 1.0), 0.0))


def mix(values: HashArray) -> HashArray:
    """Scramble 64-bit integers (the finaliser of SplitMix64; Steele, Lea and Flood, 2014)."""
    mixed = values + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)))


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
