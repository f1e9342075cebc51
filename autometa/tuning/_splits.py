"""The folds of a search, drawn once and the same for every trial, and the weights of the rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autometa.errors import DataError, UsageError
from autometa.evaluation import Protocol, Split, make_splits
from autometa.tables.frames import as_series
from autometa.task import Task

# A fold trains on no more rows: candidates compare as well, and a fit takes no longer.
MAX_ROWS: Final = 100_000
# A test on ten thousand rows is precise; more of them only take time.
MAX_TEST_ROWS: Final = 10_000


def folds_of(task: Task, cv: Any, groups: Any, seed: int, usual: tuple[int, int]) -> list[Split]:
    """Return the folds of a search, by default so many, so many times; none where two classes lack two rows each."""
    if cv is None and task.kind != "regression" and int((task.y.value_counts() >= 2).sum()) < 2:
        return []
    if cv is None and task.n_rows < 4:
        return []
    return resolve_splits(task, cv, groups, seed, n_folds=usual[0], n_repeats=usual[1])


def resolve_splits(
    task: Task, cv: Any = None, groups: Any = None, seed: int = 0, *, n_folds: int = 3, n_repeats: int = 1
) -> list[Split]:
    """Turn what users call `cv` into row positions.

    Parameters
    ----------
    task : Task
    cv : int, splitter, iterable of (train, test) or None, default=None
        A number of shuffled folds, stratified for classification; a scikit-learn splitter; or positions, or boolean
        masks, of the training and test rows of each fold. None: `n_folds`, or fewer where a class has fewer rows; a
        class of one row stands in none. Folds that autometa draws itself are cut to 100,000 training rows and 10,000
        test rows.
    groups : array-like of shape (n_rows,), optional
        Rows of one group never stand on both sides of a split that autometa draws.
    seed : int, default=0
    n_folds : int, default=3
        Folds where none were asked for.
    n_repeats : int, default=1
        How many times the table is split into folds where none were asked for.

    Returns
    -------
    list of (train rows, test rows)

    Raises
    ------
    DataError
        AM104 when a class has fewer rows than the folds that were asked for; AM201 when the table has; AM110 when
        `groups` has another length than the table.
    UsageError
        AM520 when `cv` is none of the above, or its folds are empty, overlap or leave the table.
    """
    labels = None if groups is None else _group_codes(groups, task)
    if cv is None or (isinstance(cv, (int, np.integer)) and not isinstance(cv, bool)):
        n_folds = _usual_folds(task, n_folds, labels) if cv is None else int(cv)
        if n_folds < 2:
            raise UsageError("AM520", f"cv is {cv}.", "Use at least 2 folds.")
        if task.kind != "regression" and cv is not None:
            _check_classes(task, n_folds)
        repeats = range(n_repeats if cv is None and labels is None else 1)
        splits = [split for repeat in repeats for split in _draw(task, n_folds, labels, seed + repeat)]
        return _with_rare_classes(task, splits) if cv is None and labels is None else splits
    try:
        folds = list(cv.split(task.X, task.y, labels)) if hasattr(cv, "split") else list(cv)
    except (TypeError, ValueError) as error:
        raise UsageError("AM520", f"cv could not split the table: {error}.", _CURE) from error
    return _checked(folds, task.n_rows)


_CURE: Final = "Pass a number of folds, a scikit-learn splitter, or a list of (train rows, test rows)."


def _group_codes(groups: Any, task: Task) -> NDArray[np.intp]:
    values = as_series(groups)
    if len(values) != task.n_rows:
        raise DataError(
            "AM110", f"X has {task.n_rows} rows and groups has {len(values)}.", "Give a label a row."
        )
    missing = np.flatnonzero(values.isna().to_numpy())
    if len(missing):
        raise UsageError(
            "AM520",
            f"groups is missing in {len(missing)} row(s) (row {missing[0]} first).",
            "Give a label a row.",
        )
    # Labels of several types cannot be sorted, and the folds should not depend on the order of the rows.
    codes: NDArray[np.intp] = pd.factorize(values.map(str) if values.dtype == object else values, sort=True)[
        0
    ]
    return codes


def _draw(task: Task, n_folds: int, groups: NDArray[np.intp] | None, seed: int) -> list[Split]:
    if groups is None:
        return make_splits(
            task, Protocol(n_folds, MAX_ROWS, MAX_TEST_ROWS, enough_test_rows=2**62, seed=seed)
        )
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

    n_groups = len(np.unique(groups))
    if n_groups < n_folds:
        raise UsageError(
            "AM520",
            f"{n_groups} group{'s' * (n_groups != 1)} cannot fill {n_folds} folds.",
            f"Use cv={n_groups} or less." if n_groups > 1 else "Pass groups of which there are at least two.",
        )
    if task.kind == "regression":
        splitter: Any = GroupKFold(n_folds, shuffle=True, random_state=seed)
    else:
        splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
    return list(splitter.split(np.zeros(task.n_rows), task.y.astype("str"), groups))


def _usual_folds(task: Task, n_folds: int, groups: NDArray[np.intp] | None) -> int:
    """Number of folds where none was asked for: as few as the second class, the groups or the rows need."""
    counts = [n_folds] if task.kind == "regression" else task.y.value_counts().tolist()[1:2]
    n_groups = n_folds if groups is None else len(np.unique(groups))
    return max(min(n_folds, *counts, n_groups, task.n_rows // 2), 2)


def _with_rare_classes(task: Task, splits: list[Split]) -> list[Split]:
    """Let rows of classes that are too rare for the folds train in all of them; none of them is tested on."""
    if task.kind == "regression":
        return splits
    used = np.zeros(task.n_rows, dtype=bool)
    for train, test in splits:
        used[train] = used[test] = True
    labels = task.y.to_numpy()
    seen = set(pd.unique(labels[used]).tolist())
    rare = np.flatnonzero([label not in seen for label in labels.tolist()])
    return [(np.union1d(train, rare), test) for train, test in splits] if len(rare) else splits


def _check_classes(task: Task, n_folds: int) -> None:
    counts = task.y.value_counts()
    label, count = counts.index.tolist()[-1], int(counts.iloc[-1])
    if count < n_folds:
        merge = "Merge it with another class or drop its rows"
        cure = f"{merge}, or use cv={count}." if count >= 2 else f"{merge}."
        raise DataError("AM104", f"class {label!r} has {count} row(s), fewer than the {n_folds} folds.", cure)


def _checked(folds: Iterable[Any], n_rows: int) -> list[Split]:
    splits: list[Split] = []
    for number, fold in enumerate(folds):
        if not isinstance(fold, Sequence) or len(fold) != 2:
            raise UsageError("AM520", f"fold {number} of cv is not a pair (train rows, test rows).", _CURE)
        train, test = (_positions(rows, n_rows, number) for rows in fold)
        both = np.intersect1d(train, test)
        if len(both):
            raise UsageError(
                "AM520", f"fold {number} of cv trains and tests on row {both[0]}.", "Keep them apart."
            )
        splits.append((train, test))
    if not splits:
        raise UsageError("AM520", "cv has no folds.", _CURE)
    return splits


def _positions(rows: Any, n_rows: int, fold: int) -> NDArray[np.intp]:
    values = np.asarray(rows)
    if values.dtype == bool and values.shape == (n_rows,):
        values = np.flatnonzero(values)
    if values.ndim != 1 or len(values) == 0 or values.dtype.kind not in "iu":
        raise UsageError("AM520", f"fold {fold} of cv has no row positions on one side.", _CURE)
    if values.min() < 0 or values.max() >= n_rows:
        raise UsageError(
            "AM520", f"fold {fold} of cv names rows outside 0..{n_rows - 1}.", "Pass positions, not labels."
        )
    return values.astype(np.intp)


def resolve_weights(sample_weight: Any, task: Task) -> NDArray[np.float64] | None:
    """Check the weights of rows.

    Raises
    ------
    DataError
        AM110 when their number differs from that of the rows; AM119 when one is negative, not finite, or all are 0.
    """
    if sample_weight is None:
        return None
    try:
        weights = np.asarray(sample_weight, dtype="float64")
    except (TypeError, ValueError) as error:
        raise DataError(
            "AM119", "sample_weight holds something else than numbers.", "Pass one number for each row."
        ) from error
    if weights.shape != (task.n_rows,):
        raise DataError(
            "AM110",
            f"X has {task.n_rows} rows and sample_weight has shape {weights.shape}.",
            "Give one a row.",
        )
    bad = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
    if len(bad) or not weights.any():
        what = f"is {weights[bad[0]]} in row {bad[0]}" if len(bad) else "is zero in every row"
        raise DataError(
            "AM119", f"sample_weight {what}.", "Weights are finite, not negative, and not all zero."
        )
    if task.kind != "regression" and task.y[weights > 0].nunique() < 2:
        raise DataError(
            "AM119", "only one class has rows with a positive sample_weight.", "Give weight to another."
        )
    return weights
