"""Folds are what was asked for, rows stay whole, and what cannot be split is said."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from refusals import refused
from sklearn.model_selection import KFold, LeaveOneOut, ShuffleSplit, TimeSeriesSplit

from autometa.errors import DataError, UsageError
from autometa.task import Task
from autometa.tuning._splits import resolve_splits, resolve_weights


@pytest.fixture(scope="module")
def task() -> Task:
    rng = np.random.default_rng(0)
    return Task.from_frame(pd.DataFrame({"a": rng.normal(size=60)}), np.repeat(["x", "y", "z"], 20))


@pytest.mark.parametrize("cv", [None, 3, np.int64(3)])
def test_three_stratified_folds_by_default(task, cv) -> None:
    splits = resolve_splits(task, cv)
    assert len(splits) == 3
    assert sorted(np.concatenate([test for _, test in splits])) == list(range(60))
    for train, test in splits:
        assert not np.intersect1d(train, test).size
        assert task.y.iloc[test].value_counts().between(6, 7).all()


def test_the_seed_decides(task) -> None:
    first, again, other = (resolve_splits(task, seed=seed)[0][1].tolist() for seed in (1, 1, 2))
    assert first == again != other


@pytest.mark.parametrize("kind", ["multiclass", "regression"])
def test_groups_are_never_torn(kind) -> None:
    y = np.arange(60) % 3 if kind == "multiclass" else np.linspace(0, 1, 60)
    task = Task.from_frame(pd.DataFrame({"a": np.random.default_rng(0).normal(size=60)}), y, kind=kind)
    groups = np.array(list("abcdefghij"))[np.arange(60) // 6]
    for train, test in resolve_splits(task, 4, groups):
        assert not set(groups[train]) & set(groups[test])
        assert len(train) + len(test) == 60


def test_splitters_and_lists(task) -> None:
    for splitter in (KFold(4), TimeSeriesSplit(3), ShuffleSplit(2, random_state=0)):
        mine = resolve_splits(task, splitter)
        theirs = list(splitter.split(task.X))
        assert all(
            np.array_equal(a, b) for m, t in zip(mine, theirs, strict=True) for a, b in zip(m, t, strict=True)
        )
    assert len(resolve_splits(task, LeaveOneOut())) == 60
    mask = np.arange(60) % 2 == 0
    (train, test), *_ = resolve_splits(task, [(mask, ~mask)])
    assert train.tolist() == list(range(0, 60, 2))
    assert test.tolist() == list(range(1, 60, 2))
    assert len(resolve_splits(task, iter([([0, 20, 40], [1, 21, 41])]))) == 1


@pytest.mark.parametrize(
    "cv",
    [
        1,
        0,
        True,
        "three",
        2.5,
        [],
        [(1, 2, 3)],
        [([0, 1], [])],
        [([0, 1], [60])],
        [([-1], [1])],
        [([0, 1], [1, 2])],
        [3],
    ],
)
def test_what_is_no_cv(task, cv) -> None:
    with refused(UsageError, "AM520"):
        resolve_splits(task, cv)


def test_groups_that_do_not_fit(task) -> None:
    with refused(UsageError, "AM520", match="2 groups cannot fill 3 folds"):
        resolve_splits(task, 3, np.arange(60) % 2)
    with refused(DataError, "AM110"):
        resolve_splits(task, 3, [1, 2])
    with refused(UsageError, "AM520"):
        resolve_splits(task, GroupSplitter())


class GroupSplitter:
    def split(self, X: object, y: object, groups: object) -> None:
        raise ValueError("The 'groups' parameter should not be None.")


def test_a_class_smaller_than_the_folds() -> None:
    X = pd.DataFrame({"a": np.random.default_rng(0).normal(size=32)})
    y = ["x"] * 15 + ["y"] * 15 + ["Z"] * 2
    task = Task.from_frame(X, y)
    with refused(DataError, "AM104", match=r"class 'Z' has 2 row\(s\), fewer than the 3 folds.*or use cv=2"):
        resolve_splits(task, 3)
    assert len(resolve_splits(task, 2)) == 2


def test_without_a_wish_a_rare_class_trains_in_every_fold_and_is_not_tested_on() -> None:
    X = pd.DataFrame({"a": np.arange(32.0)})
    for n_rare in (1, 2):
        task = Task.from_frame(X, ["x"] * 15 + ["y"] * (17 - n_rare) + ["z"] * n_rare)
        folds = resolve_splits(task)
        assert len(folds) == 3
        for train, test in folds:
            assert (task.y.iloc[train] == "z").sum() == n_rare
            assert set(task.y.iloc[test]) == {"x", "y"}
    assert any(issue.code == "AM104" for issue in Task.from_frame(X, ["x"] * 31 + ["z"]).warnings)


def test_the_second_class_says_how_many_folds_there_can_be() -> None:
    task = Task.from_frame(pd.DataFrame({"a": np.arange(32.0)}), ["x"] * 30 + ["y"] * 2)
    assert len(resolve_splits(task, n_folds=5)) == 2


def test_folds_can_be_drawn_more_than_once(task) -> None:
    splits = resolve_splits(task, n_folds=3, n_repeats=2)
    assert len(splits) == 6
    tested = np.concatenate([test for _, test in splits])
    assert (np.bincount(tested) == 2).all()
    assert not np.array_equal(splits[0][1], splits[3][1])


def test_too_few_rows() -> None:
    task = Task.from_frame(pd.DataFrame({"a": [1.0, 2.0, 3.0, 4.0]}), [1.5, 2.5, 3.5, 4.5])
    assert len(resolve_splits(task)) == 2
    with refused(DataError, "AM201"):
        resolve_splits(task, 3)


def test_weights(task) -> None:
    assert resolve_weights(None, task) is None
    assert resolve_weights([1] * 60, task).tolist() == [1.0] * 60
    for bad, code in [
        ([1.0], "AM110"),
        ([-1.0] * 60, "AM119"),
        ([np.nan] * 60, "AM119"),
        ([0] * 60, "AM119"),
    ]:
        with refused(DataError, code):
            resolve_weights(bad, task)
    with refused(DataError, "AM119", match="only one class"):
        resolve_weights([1] * 20 + [0] * 40, task)


def test_groups_may_be_labels_of_any_type(task) -> None:
    labels = [("a", 1, 2.5, None)[i % 3] for i in range(task.n_rows)]
    train, test = resolve_splits(task, 2, labels)[0]
    assert not {labels[i] for i in train} & {labels[i] for i in test}


def test_groups_that_are_missing_are_refused_with_the_first_row(task) -> None:
    for missing in (None, np.nan):
        labels = [missing if i == 7 else f"g{i % 5}" for i in range(task.n_rows)]
        with refused(UsageError, "AM520", match=r"missing in 1 row\(s\) \(row 7"):
            resolve_splits(task, 2, labels)


def test_weights_that_are_no_numbers_are_refused(task) -> None:
    with refused(DataError, "AM119", match="else than numbers"):
        resolve_weights(["a"] * task.n_rows, task)
