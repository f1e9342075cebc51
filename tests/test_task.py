"""A task: what is read from a table, what is reported, and what is refused."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st
from refusals import refused

from autometa.errors import AutometaError, DataError, UsageError
from autometa.tables.columns import _look_at, look_at
from autometa.tables.frames import split_target
from autometa.task import Task, summarise

N = 60
X = pd.DataFrame({"a": np.linspace(0, 1, N) ** 2, "b": ["u", "v", "w"] * (N // 3)})
BINARY = pd.Series([0, 1] * (N // 2))


def codes(task: Task) -> dict[str, tuple[str, ...]]:
    return {issue.code: issue.columns for issue in task.warnings}


@pytest.fixture(scope="module")
def mixed(make_mixed, make_target):
    frame = make_mixed()
    return Task.from_frame(frame, make_target(frame, "binary"), name="mixed")


# --- kind -----------------------------------------------------------------------------------------------------

KINDS = {
    "two strings": (["no", "yes"], "binary"),
    "two booleans": ([True, False], "binary"),
    "two integers": ([0, 1], "binary"),
    "two integers, far apart": ([-7, 900], "binary"),
    "two whole floats": ([0.0, 1.0], "binary"),
    "three strings": (["a", "b", "c"], "multiclass"),
    "ten integers": (list(range(10)), "multiclass"),
    "thirty integers": (list(range(30)), "regression"),
    "every value once": (np.arange(N), "regression"),
    "fractions": ([0.5, 1.25, 3.75], "regression"),
    "two fractions": ([0.1, 0.9], "regression"),
}


@pytest.mark.parametrize("name", KINDS)
def test_the_kind_is_read_from_the_values(name):
    values, kind = KINDS[name]
    assert Task.from_frame(X, np.resize(np.array(values), N)).kind == kind


@pytest.mark.parametrize("dtype", ["category", "string", "object", "Int64", "boolean"])
def test_the_kind_does_not_depend_on_how_two_classes_are_stored(dtype):
    y = BINARY.astype(dtype)
    task = Task.from_frame(X, y)
    assert task.kind == "binary"
    assert np.unique(task.y.to_numpy()).tolist() == task.classes


@pytest.mark.parametrize(
    ("values", "asked", "kind"),
    [
        (np.arange(30), "classification", "multiclass"),
        ([0, 1], "regression", "regression"),
        ([0, 1, 2], "regression", "regression"),
        ([0, 1], "classification", "binary"),
        ([0, 1], "binary", "binary"),
        ([0, 1, 2], "multiclass", "multiclass"),
    ],
)
def test_an_asked_kind_wins_where_the_target_allows_it(values, asked, kind):
    assert Task.from_frame(X, np.resize(values, N), kind=asked).kind == kind


@pytest.mark.parametrize(
    ("values", "asked"),
    [
        (["a", "b"], "regression"),
        (np.linspace(0, 1, N), "classification"),
        ([0, 1], "multiclass"),
        ([0, 1, 2], "binary"),
        ([f"name {i}" for i in range(N)], "auto"),
    ],
)
def test_a_kind_that_does_not_fit_is_refused(values, asked):
    with pytest.raises(DataError) as caught:
        Task.from_frame(X, np.resize(values, N), kind=asked)
    assert caught.value.code == "AM105"
    assert caught.value.fix


def test_a_misspelled_kind_is_a_usage_error_with_the_closest():
    with pytest.raises(UsageError, match="'classification'") as caught:
        Task.from_frame(X, BINARY, kind="clasification")
    assert caught.value.code == "AM106"


# --- what is refused ------------------------------------------------------------------------------------------

REFUSED = {
    "misspelled target": ("AM101", X.assign(price=1.5), "pric"),
    "target given twice": ("AM301", pd.concat([X, X], axis=1), "a"),
    "target missing in some rows": ("AM102", X, BINARY.astype("float").mask(BINARY.index == 3)),
    "target missing as None": ("AM102", X, pd.Series(["a", None] * (N // 2))),
    "target all missing": ("AM102", X, pd.Series([np.nan] * N)),
    "one class": ("AM103", X, pd.Series(["a"] * N)),
    "constant number": ("AM103", X, pd.Series([1.5] * N)),
    "infinite target": ("AM108", X, pd.Series([np.inf, *np.linspace(0, 1, N - 1)])),
    "target whose squares are infinite": ("AM108", X, pd.Series(np.linspace(0, 1e200, N))),
    "two target columns": ("AM109", X, X[["a", "b"]]),
    "target of two dimensions": ("AM109", X, np.zeros((N, 2))),
    "table of one dimension": ("AM109", np.zeros(N), BINARY),
    "lengths differ": ("AM110", X, BINARY[:10]),
    "no rows": ("AM201", X[:0], BINARY[:0]),
    "no columns": ("AM201", X[[]], BINARY),
    "duplicate names": ("AM301", pd.concat([X, X], axis=1), BINARY),
    "nothing usable": ("AM204", pd.DataFrame({"id": np.arange(N), "c": 1, "e": np.nan}), BINARY),
}


@pytest.mark.parametrize("name", REFUSED)
def test_unusable_data_is_refused_in_one_line_with_code_and_cure(name):
    code, frame, y = REFUSED[name]
    with pytest.raises(DataError) as caught:
        Task.from_frame(frame, y)
    assert caught.value.code == code
    assert caught.value.fix
    assert not str(caught.value).startswith(code)
    assert "\n" not in str(caught.value)


def test_the_message_names_what_was_meant_and_where():
    with pytest.raises(DataError, match="'price'"):
        Task.from_frame(X.assign(price=1.5), "pric")
    with pytest.raises(DataError, match=r"1 of 60 rows \(rows 3\)"):
        Task.from_frame(X, BINARY.astype("float").mask(BINARY.index == 3))
    with pytest.raises(DataError, match=r"'a'.*\[0, 2\]"):
        Task.from_frame(pd.concat([X, X], axis=1), BINARY)


# --- what is reported -----------------------------------------------------------------------------------------


def test_every_oddity_of_a_table_is_reported_under_its_code(mixed):
    found = codes(mixed)
    assert found["AM202"] == ("day as text",)
    assert found["AM203"] == ("with inf",)
    assert found["AM205"] == ("empty",)
    assert found["AM206"] == ("id",)
    assert found["AM208"] == ("constant",)
    assert found["AM209"] == ("mixed",)
    assert found["AM211"] == ("text",)
    assert all("\n" not in str(issue) for issue in mixed.warnings)


def test_columns_are_read_as_what_they_are(mixed):
    assert mixed.column_types == {
        "number": "numeric",
        "with inf": "numeric",
        "with_inf": "numeric",
        'we:ird "[name]" {x}, ü': "numeric",
        "count": "numeric",
        "nullable": "numeric",
        "flag": "numeric",
        "nullable flag": "numeric",
        "level": "categorical",
        "category": "categorical",
        "number category": "categorical",
        "string": "categorical",
        "object": "categorical",
        "mixed": "categorical",
        "day": "date",
        "moment": "date",
        "day as text": "date",
        "text": "text",
        "empty": "ignored",
        "constant": "ignored",
        "id": "ignored",
    }


def test_a_class_smaller_than_the_folds_is_reported():
    assert codes(Task.from_frame(X, ["z", *(["a", "b"] * N)[: N - 1]]))["AM104"] == ("y",)


@pytest.mark.parametrize("kind", ["binary", "regression"])
def test_a_copy_of_the_target_is_reported(kind):
    y = BINARY if kind == "binary" else pd.Series(np.linspace(0, 1, N))
    copy = y.map({0: "never", 1: "ever"}) if kind == "binary" else y
    assert codes(Task.from_frame(X.assign(copy=copy), y))["AM207"] == ("copy",)
    assert "AM207" not in codes(Task.from_frame(X, y))


def test_columns_of_unusable_types_are_ignored_with_notice():
    frame = X.assign(lists=[[i] for i in range(N)], spans=pd.to_timedelta(np.arange(N), unit="D"))
    task = Task.from_frame(frame, BINARY)
    assert codes(task)["AM210"] == ("lists",)
    assert task.columns("ignored") == ["lists"]
    assert task.column_types["spans"] == "numeric"


def test_names_that_are_not_strings_are_turned_into_strings_with_notice():
    several = X.set_axis(pd.MultiIndex.from_tuples([("x", 1), ("y", 2)]), axis=1)
    assert list(Task.from_frame(several, BINARY).X.columns) == ["x_1", "y_2"]
    numbers = Task.from_frame(X.set_axis([7, "b"], axis=1), BINARY)
    assert list(numbers.X.columns) == ["7", "b"]
    assert "AM302" in codes(numbers)


def test_dates_out_of_range_and_unparseable_are_read_as_missing():
    days = pd.Series(pd.date_range("2020-01-01", periods=N).strftime("%Y-%m-%d"))
    days[0] = "9999-99-99"
    assert Task.from_frame(X.assign(when=days), BINARY).column_types["when"] == "date"


def test_numbers_as_text_are_not_taken_for_dates():
    frame = X.assign(version=[f"{i}.{j}" for i in range(6) for j in range(10)])
    assert Task.from_frame(frame, BINARY).column_types["version"] != "date"


ONE_CLASS = {"f1": 1.0, "average_precision": 1.0, "brier": -1.0, "roc_auc": 1.0}


@pytest.mark.parametrize("metric", ONE_CLASS)
@pytest.mark.parametrize(
    "labels", [("no", "yes"), ("yes", "no"), (False, True), (0, 1), (1, 0), (-1, 1), (1, 2), (7.0, 3.0)]
)
def test_metrics_of_one_class_can_be_computed_whatever_the_labels(metric, labels):
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import check_scoring

    y = pd.Series(np.where(np.arange(N) % 3 == 0, *labels[::-1]))
    task = Task.from_frame(X, y, metric=metric, kind="classification")
    signal = (np.arange(N) % 3 == 0).astype(float)[:, None]
    model = LogisticRegression(C=1e6).fit(signal, task.y)
    score = check_scoring(model, scoring=task.metric.scorer)(model, signal, task.y)
    assert score == pytest.approx(1.0 if ONE_CLASS[metric] > 0 else 0.0, abs=1e-3)
    told = codes(task).get("AM118")
    says_itself = metric == "roc_auc" or set(labels) in ({0, 1}, {-1, 1})
    assert told == (None if says_itself else ("y",))


# --- forms of input -------------------------------------------------------------------------------------------


def test_arrays_sparse_matrices_and_lists_are_tables_too():
    from scipy import sparse

    values = np.random.default_rng(0).normal(size=(N, 3))
    expected = Task.from_frame(values, BINARY)
    assert expected.is_positional
    for form in (sparse.csr_matrix(values), values.tolist(), values.astype(object)):
        task = Task.from_frame(form, BINARY.tolist())
        assert task.is_positional
        assert task.column_types == expected.column_types
        assert task.fingerprint() == expected.fingerprint()


def test_neither_table_nor_target_is_changed(make_mixed, make_target):
    frame = make_mixed()
    y = make_target(frame, "binary")
    before = frame.copy(deep=True), y.copy(deep=True)
    Task.from_frame(frame, y)
    pd.testing.assert_frame_equal(frame, before[0])
    pd.testing.assert_series_equal(y, before[1])


def test_the_target_may_be_named_by_its_column():
    task = Task.from_frame(X.assign(y=BINARY), "y")
    assert list(task.X.columns) == ["a", "b"]
    assert task.fingerprint() == Task.from_frame(X, BINARY).fingerprint()


def test_the_index_does_not_matter():
    shifted = X.set_axis(range(1000, 1000 + N))
    task = Task.from_frame(shifted, BINARY)
    assert (task.y.index == task.X.index).all()
    assert task.y.tolist() == BINARY.tolist()


def test_a_subset_keeps_types_and_aligns_rows():
    task = Task.from_frame(X, BINARY)
    part = task.subset([5, 3, 1])
    assert part.n_rows == 3
    assert part.column_types == task.column_types
    assert part.y.tolist() == [1, 1, 1]
    assert part.X["a"].tolist() == X["a"].iloc[[5, 3, 1]].tolist()


def test_split_target_leaves_the_other_columns_in_order():
    frame, y = split_target(X.assign(c=1)[["a", "c", "b"]], "c")
    assert list(frame.columns) == ["a", "b"]
    assert y.name == "c"


# --- fingerprint ----------------------------------------------------------------------------------------------


def test_the_fingerprint_ignores_order_names_and_labels(make_mixed, make_target):
    frame = make_mixed()
    y = make_target(frame, "multiclass")
    expected = Task.from_frame(frame, y).fingerprint()
    rows = np.random.default_rng(1).permutation(len(frame))
    shuffled = frame.iloc[rows, ::-1]
    assert Task.from_frame(shuffled, y.iloc[rows]).fingerprint() == expected
    renamed = frame.set_axis([f"f{i}" for i in range(frame.shape[1])], axis=1)
    assert Task.from_frame(renamed, y.rename("other")).fingerprint() == expected
    relabelled = frame.assign(level=frame["level"].map({"low": "1", "mid": "2", "high": "3"}))
    assert Task.from_frame(relabelled, y.map({"red": 2, "green": 0, "blue": 1})).fingerprint() == expected


def test_the_fingerprint_knows_one_zero():
    values = np.arange(-29.0, 31.0)  # the middle one is looked at
    negative = np.where(values == 0, -0.0, values)
    y = [0, 1] * 30
    expected = Task.from_frame(pd.DataFrame({"a": values}), y).fingerprint()
    assert Task.from_frame(pd.DataFrame({"a": negative}), y).fingerprint() == expected


def test_the_fingerprint_survives_a_round_trip_through_csv():
    frame = pd.DataFrame(
        {
            "a": np.random.default_rng(0).normal(size=N),
            "b": ["u", None, "w"] * (N // 3),
            "n": pd.Series(range(N), dtype="Int64").mask(pd.Series(range(N)) % 7 == 0),
        }
    )
    again = pd.read_csv(io.StringIO(frame.to_csv(index=False)))
    assert Task.from_frame(again, BINARY).fingerprint() == Task.from_frame(frame, BINARY).fingerprint()


@given(st.integers(0, N - 1), st.sampled_from(["drop row", "drop column", "scale", "blank", "target"]))
def test_the_fingerprint_changes_with_the_content(row, change):
    base = Task.from_frame(X, BINARY).fingerprint()
    frame, y = X.copy(), BINARY.copy()
    if change == "drop row":
        frame, y = frame.drop(index=row), y.drop(index=row)
    elif change == "drop column":
        frame = frame[["a"]]
    elif change == "scale":
        frame["a"] *= 1.01
    elif change == "blank":
        frame.loc[row, "b"] = None
    else:
        y[row] = 1 - y[row]
    assert Task.from_frame(frame, y).fingerprint() != base


# --- anything at all ------------------------------------------------------------------------------------------

CELL = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.floats(width=32),
    st.text(max_size=3),
    st.dates().map(str),
)


@given(
    st.lists(st.lists(CELL, min_size=8, max_size=8), min_size=2, max_size=5),
    st.lists(CELL, min_size=8, max_size=8),
)
def test_any_table_gives_a_task_or_an_error_of_ours(columns, target):
    frame = pd.DataFrame({f"c{i}": pd.Series(values, dtype=object) for i, values in enumerate(columns)})
    for table in (frame, frame.infer_objects()):
        try:
            task = Task.from_frame(table, target)
        except AutometaError:
            continue
        assert len(task.fingerprint()) == 16
        assert set(task.column_types) == set(table.columns)


def test_labels_that_are_one_when_they_are_text_are_refused():
    with refused(DataError, "AM103", match="once its types are one"):
        Task.from_frame(pd.DataFrame({"x": np.sin(range(40))}), pd.Series([1, "1"] * 20, dtype=object))


def test_whole_numbers_beyond_64_bits_are_no_labels():
    y = pd.Series([10**30, 10**31] * 20, dtype=object)
    assert Task.from_frame(pd.DataFrame({"x": np.sin(range(40))}), y).kind == "regression"


@pytest.mark.parametrize("unit", ["datetime64[ns]", "timedelta64[ns]"])
def test_a_target_of_times_says_what_to_count(unit):
    y = pd.Series(np.arange(40) * 10**9).astype(unit)
    with refused(DataError, "AM105", match=r"dates or spans of time.*Count days"):
        Task.from_frame(pd.DataFrame({"x": np.sin(range(40))}), y)


def test_truth_among_numbers_is_told():
    X = pd.DataFrame({"x": pd.Series([True, False, 1.5, 2.5] * 10, dtype=object)})
    assert "AM209" in {issue.code for issue in Task.from_frame(X, pd.Series([0, 1] * 20)).warnings}


FLOATS = {
    "many": np.random.default_rng(0).normal(size=60),
    "few": np.repeat([0.5, -0.0, 0.0, 1.5], 15),
    "missing": np.where(np.arange(60) % 3, np.nan, np.arange(60) / 7),
    "infinite": np.r_[np.full(30, np.inf), [-np.inf], np.arange(29) / 7],
    "whole": np.arange(60.0),
    "days": 20200101.0 + np.arange(60) % 28,
    "constant": np.full(60, 0.5),
    "one": np.r_[np.full(59, np.nan), 0.5],
    "none": np.full(60, np.nan),
}


@pytest.mark.parametrize("name", FLOATS)
def test_plain_floats_are_read_quickly_and_alike(name):
    plain = pd.Series(FLOATS[name], name="a")
    assert summarise(plain) == summarise(plain.astype("Float64"))
    found, expected = look_at(plain), _look_at(plain, None)
    assert (found.type, found.code, found.reading) == (expected.type, expected.code, expected.reading)
