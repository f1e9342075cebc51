"""Forms of tables and targets: one table, whatever holds it."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from refusals import refused
from scipy import sparse

from autometa.errors import DataError
from autometa.tables.frames import as_frame, as_series
from autometa.task import Task

VALUES = {"a": [1.5, 2.5, 3.0], "b": [0.0, 1.0, 0.0]}
FRAME = pd.DataFrame(VALUES)


class Lazy:
    """What a LazyFrame of polars offers."""

    def collect_schema(self):
        return list(VALUES)

    def collect(self):
        return Polars()


class Polars:
    def to_pandas(self):
        return FRAME


FORMS = {
    "dict": VALUES,
    "records": FRAME.to_dict("records"),
    "arrow": pa.table(VALUES),
    "lazy": Lazy(),
    "structured": FRAME.to_records(index=False),
    "sparse frame": FRAME.astype(pd.SparseDtype("float64", 0.0)),
}


@pytest.mark.parametrize("name", FORMS)
def test_tables_with_names(name):
    pd.testing.assert_frame_equal(as_frame(FORMS[name]), FRAME)


@pytest.mark.parametrize(
    "make", [np.asarray, sparse.csr_array, np.ma.asarray, np.ndarray.tolist, np.asmatrix]
)
@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
def test_tables_without_names(make):
    np.testing.assert_array_equal(as_frame(make(FRAME.to_numpy())).to_numpy(), FRAME.to_numpy())


def test_masked_cells_are_missing():
    masked = np.ma.masked_greater(np.array([[1, 999], [2, 3]]), 900)
    assert as_frame(masked).isna().to_numpy().tolist() == masked.mask.tolist()


def test_rows_of_several_types_keep_them():
    assert next(dtype.kind for dtype in as_frame([[1, "a"], [2.5, "b"]]).dtypes) == "f"


@pytest.mark.parametrize(
    "X", [[1, 2], [[1], [1, 2]], FRAME["a"], np.zeros((2, 2, 2)), 5, {"a": [1], "b": [1, 2]}]
)
def test_what_is_no_table_is_refused(X):
    with refused(DataError, "AM109"):
        as_frame(X)


TARGETS = {
    "objects": (pd.Series([0, 1, 1], dtype=object), [0, 1, 1]),
    "decimals": ([Decimal("1.5"), Decimal(2), Decimal(3)], [1.5, 2.0, 3.0]),
    "fractions": ([Fraction(1, 2), Fraction(2), Fraction(3)], [0.5, 2.0, 3.0]),
    "nullable": (pd.Series([1, 0, 1], dtype="Int64"), [1, 0, 1]),
    "boolean": (pd.Series([True, False, True], dtype="boolean"), [True, False, True]),
    "arrow": (pd.Series([1, 0, 1], dtype="int64[pyarrow]"), [1, 0, 1]),
    "arrow text": (pa.chunked_array([["a", "b", "a"]]), ["a", "b", "a"]),
    "category": (pd.Categorical(["a", "b", "a"]), ["a", "b", "a"]),
    "codes": (["001", "002", "001"], ["001", "002", "001"]),
    "mixed list": (["a", 1, True], ["a", 1, True]),
    "column": (np.array([[1], [2], [3]]), [1, 2, 3]),
    "frame": (FRAME[["a"]], VALUES["a"]),
    "bytes": (pd.Series([b"a", b"b", b"a"]), ["a", "b", "a"]),
}


@pytest.mark.parametrize("name", TARGETS)
def test_targets_of_any_form(name):
    y, expected = TARGETS[name]
    found = as_series(y)
    assert found.tolist() == expected
    assert [type(value) for value in found.tolist()] == [
        type(value) for value in expected
    ] or name == "objects"


@pytest.mark.parametrize(
    "y", [[1j, 2, 3], np.array([1j, 2, 3]), [[1], [2, 3], [4]], [{"a": 1}] * 3, [(1, [2])] * 3]
)
def test_targets_that_cannot_be_used(y):
    with pytest.raises(DataError) as caught:
        as_series(y)
    assert caught.value.code in {"AM105", "AM109"}


N = 60
X = pd.DataFrame({"a": np.linspace(0, 1, N) ** 2})


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([f"{1000 + i * 37:,}" for i in range(N)], "regression"),
        ([f"{i * 1.5}" for i in range(N)], "regression"),
        (["0", "1"] * 30, "binary"),
        (["001", "002"] * 30, "binary"),
        ([True, False] * 30, "binary"),
        ([True, "unknown", False] * 20, "multiclass"),
        ([pd.Interval(i % 3, i % 3 + 1) for i in range(N)], "multiclass"),
        ([(i % 3, 1) for i in range(N)], "multiclass"),
    ],
)
def test_what_a_target_holds_decides_its_kind(values, kind):
    y = pd.Series(values, dtype=object)
    assert Task.from_frame(X, y).kind == kind


def test_a_target_of_numbers_as_text_must_be_complete():
    y = pd.Series([f"{1000 + i * 37:,}" for i in range(N)])
    y[3] = "n.a."
    with refused(DataError, "AM102", match=r"'n.a.'"):
        Task.from_frame(X, y)


def arrow_text(kind):
    """Text of Arrow that is no UTF-8, as careless programs write it into files."""
    cells = pa.array([b"\x80", b"a", b"a"] * 4, pa.binary() if kind == pa.string() else pa.large_binary())
    values = pa.Array.from_buffers(kind, len(cells), cells.buffers())
    return pd.Series(pd.array(values, dtype=pd.ArrowDtype(kind)))


UNREADABLE = {
    "arrow": arrow_text(pa.string()),
    "large arrow": arrow_text(pa.large_string()),
    "str": arrow_text(pa.string()).astype("str"),
    "bytes of arrow": pd.Series(pd.array([b"\x80", b"a", b"a"] * 4, dtype=pd.ArrowDtype(pa.binary()))),
    "bytes": pd.Series([b"\x80", b"a", b"a"] * 4, dtype=object),
    "categories of bytes": pd.Series(pd.Categorical([b"\x80", b"a", b"a"] * 4)),
    "half characters": pd.Series(["u\ud800", "a", "a"] * 4, dtype=object),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_unreadable_text_is_two_levels_in_a_column_and_two_classes_in_a_target(name):
    values, numbers = UNREADABLE[name], np.arange(12.0) ** 1.5
    task = Task.from_frame(pd.DataFrame({"a": values, "b": numbers}), [0, 1, 1] * 4)
    assert task.column_types == {"a": "categorical", "b": "numeric"}
    assert task.X["a"].nunique() == 2
    classes = Task.from_frame(pd.DataFrame({"b": numbers}), values).classes
    assert len(classes) == 2
    assert "\n".join(classes).encode("utf-8").isascii()


def test_half_characters_among_other_values_are_no_target():
    with refused(DataError, "AM105", "half characters"):
        as_series(pd.Series(["u\ud800", 1, b"a"], dtype=object))


def test_half_characters_in_rows_of_a_list_stay():
    frame = as_frame([["u\ud800", 1], ["v", 2]])
    assert frame[0].tolist() == ["u\ud800", "v"]


def test_categories_of_arrow_that_are_no_text_are_refused():
    cells = pa.array([b"\x80", b"a"], pa.binary())
    text = pa.Array.from_buffers(pa.string(), 2, cells.buffers())
    table = pa.table({"a": pa.DictionaryArray.from_arrays(pa.array([0, 1]), text)})
    with refused(DataError, "AM109", "cannot be turned into"):
        as_frame(table)


@pytest.mark.parametrize("missing", [[], [None]])
@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (pa.uint64(), [2**63, 2**63 + 4096]),
        (pa.string_view(), ["a", "b"]),
        (pa.binary_view(), [b"a", b"b"]),
        (pa.float16(), [0.5, 1.5]),
    ],
)
def test_types_of_arrow_that_lack_functions_are_plain(kind, values, missing):
    cells = (values + missing) * 30
    if kind == pa.float16():
        cells = [None if cell is None else np.float16(cell) for cell in cells]
    column = pd.Series(pd.array(cells, dtype=pd.ArrowDtype(kind)))
    frame = as_frame(pd.DataFrame({"c": column, "x": np.sin(np.arange(len(cells)))}))
    assert frame["c"].notna().sum() == 60
    assert frame["c"].dropna().tolist()[:2] == values
    labels = pd.Series(pd.array(cells[:2] * 30, dtype=column.dtype))
    task = Task.from_frame(pd.DataFrame({"x": np.sin(np.arange(60))}), labels)
    assert task.kind == "regression" if kind == pa.float16() else task.kind == "binary"


def test_bytes_in_foreign_order_are_turned():
    values = np.array([[1.5, 2.0], [3.5, -4.0]])
    np.testing.assert_array_equal(as_frame(values.astype(">f8")), values)
    frame = pd.DataFrame({"a": values[:, 0].astype(">f4"), "b": values[:, 1].astype(">i2")})
    np.testing.assert_array_equal(as_frame(frame), values)
    assert all(dtype.isnative for dtype in as_frame(frame).dtypes)
    assert as_series(values[:, 0].astype(">f8")).dtype.isnative


def test_masked_cells_of_records_are_missing():
    records = np.array([(1.5, 1), (2.5, 2)], dtype=[("p", "f8"), ("q", "i4")])
    frame = as_frame(np.ma.array(records, mask=[(True, False), (False, True)]))
    assert frame.isna().to_numpy().tolist() == [[True, False], [False, True]]


def test_an_array_of_bytes_is_a_table_of_text():
    assert as_frame(np.array([[b"u", b"v"], [b"w", b"u"]])).shape == (2, 2)


@pytest.mark.parametrize("X", ["data.csv", Path("data.csv")])
def test_a_path_is_no_table_and_says_so(X):
    with refused(DataError, "AM109", match=r"'data.csv', not a table.*Read it first"):
        as_frame(X)


def test_half_precision_is_a_number():
    assert as_series(np.array([0.5, 1.0], dtype="float16")).dtype == "float32"


def test_bytes_of_numpy_are_text():
    assert as_series(np.array([b"a", b"b"])).tolist() == ["a", "b"]
