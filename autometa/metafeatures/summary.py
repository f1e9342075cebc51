"""The summary of a task that all meta-features are computed from.

Rows and columns of the summary stand in a canonical order that depends on their content alone: on ranks within
numeric columns and on which rows share a category, never on names, labels, units or positions. Whatever is computed
from it, floating-point sums and random splits included, is the same for every shuffled or relabelled copy of a table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final, get_args

import numpy as np
import numpy.typing as npt

from autometa.errors import UsageError
from autometa.metafeatures._sampling import (
    FloatArray,
    IntArray,
    arrange,
    count_levels,
    encode_target,
    rank_columns,
    sample_columns,
    sample_rows,
    scale_columns,
    standardise_columns,
)
from autometa.task import ColumnType, Task

# Rows that are looked at: it bounds the time, whatever the table.
MAX_ROWS: Final = 3000
# Rarer classes count as one.
MAX_CLASSES: Final = 20
# In standard deviations of the target.
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
    ranks : ndarray of int of shape (n, p)
        Twice the average rank (from 0) of each value in its column; -1 where missing.
    is_number : ndarray of bool of shape (p,)
        Which of the columns of `numeric` are neither dates nor texts.
    levels : ndarray of int of shape (n, q)
        Categories of the sampled categorical columns, 0 for the most frequent; -1 where missing.
    target : ndarray of shape (n,)
        Numeric target, or position of the class in `class_counts`.
    random_state : int
    """

    kind: str
    n_rows: int
    n_columns: int
    n_by_type: Mapping[str, int]
    class_counts: IntArray
    numeric: FloatArray
    ranks: IntArray
    is_number: npt.NDArray[np.bool_]
    levels: IntArray
    target: FloatArray
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
        target, class_counts = encode_target(task)
        rows = sample_rows(target, max_rows, random_state)
        frame = task.X if len(rows) == task.n_rows else task.X.iloc[rows]
        target = target[rows]
        numeric, is_number, levels = sample_columns(task, frame, target, random_state)
        ranks = rank_columns(numeric)
        rows, columns, levels, target = arrange(
            numeric, ranks, levels, target, class_counts=class_counts, random_state=random_state
        )
        types = list(task.column_types.values())
        return cls(
            kind=task.kind,
            n_rows=task.n_rows,
            n_columns=len(types),
            n_by_type={name: types.count(name) for name in get_args(ColumnType)},
            class_counts=class_counts,
            numeric=numeric[np.ix_(rows, columns)],
            ranks=ranks[np.ix_(rows, columns)],
            is_number=is_number[columns],
            levels=levels[rows],
            target=target[rows],
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
    def level_counts(self) -> IntArray:
        """Rows per level of each categorical column, of shape (q, largest number of levels)."""
        return count_levels(self.levels)

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

    @property
    def is_target_constant(self) -> bool:
        """Whether the sampled targets are all equal, as far as floating point can tell."""
        return not self.response.any()

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
