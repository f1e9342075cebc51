"""From what people hold in memory to a pandas table and a target: the one place where that happens.

What other libraries call a table (polars, lazy or not, pyarrow, dictionaries, records, arrays, masked and sparse ones)
becomes a DataFrame here; nothing is parsed yet. What each column means is decided in :mod:`autometa.tables.columns`.
"""

from __future__ import annotations

import contextlib
import difflib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from autometa.errors import DataError, DataIssue
from autometa.tables.readings import read_column, spelling

_HOW_MANY_DIMENSIONS: Final = "Pass a DataFrame or reshape to (n_rows, n_columns)."


def as_frame(X: Any) -> pd.DataFrame:
    """Turn anything that is a table into a DataFrame; names and values stay as they are.

    Parameters
    ----------
    X : table
        DataFrame of pandas, polars (lazy too) or whatever has ``to_pandas`` or speaks Arrow's C interface, a mapping
        of names to columns, a list of mappings, a structured array, a sparse matrix, or two-dimensional values. The
        masked cells of a masked array are missing values.

    Raises
    ------
    DataError
        AM109 when it has another number of dimensions than two, AM201 when there are no rows or columns.
    """
    frame = _convert(X)
    if frame.shape[0] == 0 or frame.shape[1] == 0:
        raise DataError(
            "AM201",
            f"the table has {frame.shape[0]} rows and {frame.shape[1]} feature columns.",
            "Nothing can be learned from it; check how the data was read.",
        )
    plain = {i: _plain_dtype(frame.iloc[:, i]) for i, dtype in enumerate(frame.dtypes) if _is_odd(dtype)}
    if plain:
        columns = [plain[i] if i in plain else frame.iloc[:, i] for i in range(frame.shape[1])]
        frame = pd.concat(columns, axis=1).set_axis(frame.columns, axis=1)
    return with_decoded_text(frame)


_ODD_ARROW: Final = frozenset(
    {"uint64[pyarrow]", "halffloat[pyarrow]", "string_view[pyarrow]", "binary_view[pyarrow]"}
)


def _is_odd(dtype: Any) -> bool:
    """Whether a column is sparse, of foreign bytes, or of a type for which Arrow or pandas lack functions."""
    if isinstance(dtype, pd.ArrowDtype):
        return dtype.name in _ODD_ARROW
    is_foreign = isinstance(dtype, np.dtype) and not dtype.isnative
    return is_foreign or isinstance(dtype, pd.SparseDtype) or dtype == "float16"


def _plain_dtype(column: pd.Series) -> pd.Series:
    dtype = column.dtype
    if isinstance(dtype, pd.SparseDtype):
        return column.astype(dtype.subtype)
    if isinstance(dtype, np.dtype):
        # pandas has no index of half precision.
        return column.astype(
            "float32" if dtype.itemsize == 2 and dtype.kind == "f" else dtype.newbyteorder("=")
        )
    if dtype.name == "uint64[pyarrow]":
        return column.astype("UInt64" if column.hasnans else "uint64")
    if dtype.name == "halffloat[pyarrow]":
        return column.astype("float32")
    values = column.array.__arrow_array__().to_pylist()
    kind = "str" if dtype.name.startswith("string") else "object"
    return pd.Series(values, index=column.index, name=column.name, dtype=kind)


def with_decoded_text(frame: pd.DataFrame) -> pd.DataFrame:
    r"""Write the bytes of Arrow's text that are no UTF-8 as ``\x80``; whatever reads them as text fails.

    Parameters
    ----------
    frame : DataFrame
        Not changed. Arrow does not look at the bytes of text that comes from files and other libraries.
    """
    decoded = {i: _decoded(frame.iloc[:, i]) for i, dtype in enumerate(frame.dtypes) if _is_arrow_text(dtype)}
    if all(column is None for column in decoded.values()):
        return frame
    columns = [frame.iloc[:, i] if decoded.get(i) is None else decoded[i] for i in range(frame.shape[1])]
    return pd.concat(columns, axis=1).set_axis(frame.columns, axis=1)


def _is_arrow_text(dtype: Any) -> bool:
    if isinstance(dtype, pd.StringDtype):
        return dtype.storage == "pyarrow"
    return isinstance(dtype, pd.ArrowDtype) and "string" in dtype.name


def _decoded(column: pd.Series) -> pd.Series | None:
    """Return text with its unreadable bytes written out; None where all of them are UTF-8."""
    import pyarrow as pa

    values = pa.array(column.array)
    try:
        values.validate(full=True)
    except pa.ArrowInvalid:
        if isinstance(values, pa.ChunkedArray):
            values = values.combine_chunks()
        if pa.types.is_dictionary(values.type):
            values = values.dictionary_decode()
        cells = [
            None if cell is None else cell.decode("utf-8", "backslashreplace")
            for cell in values.cast(pa.large_binary()).to_pylist()
        ]
        return pd.Series(cells, index=column.index, name=column.name, dtype="str")
    return None


def _convert(X: Any) -> pd.DataFrame:
    if isinstance(X, pd.DataFrame):
        return X
    if isinstance(X, (str, Path)):
        raise DataError("AM109", f"X is {str(X)!r}, not a table.", "Read it first, as with pandas.read_csv.")
    if is_lazy(X):
        X = X.collect()
    if hasattr(X, "to_pandas") and not hasattr(X, "to_frame"):
        return _as_pandas(X)
    if hasattr(X, "__arrow_c_stream__") and not isinstance(X, pd.Series) and not hasattr(X, "to_frame"):
        import pyarrow as pa

        return _as_pandas(pa.table(X))
    if hasattr(X, "toarray"):
        return pd.DataFrame(X.toarray())
    if isinstance(X, Mapping) or _holds_records(X):
        return _from_columns(X)
    if isinstance(X, np.ndarray) and X.dtype.names:
        # A frame of the whole would forget which cells are masked.
        return pd.DataFrame({name: pd.Series(X[name]) for name in X.dtype.names})
    return _from_values(X)


def is_lazy(X: Any) -> bool:
    """Whether X is a query that has yet to be run, such as a LazyFrame of polars."""
    return hasattr(X, "collect") and hasattr(X, "collect_schema")


def _as_pandas(X: Any) -> pd.DataFrame:
    import pyarrow as pa

    try:
        frame = X.to_pandas()
    except pa.ArrowException as error:  # categories that are no UTF-8, for one
        what = " ".join(str(error).split())[:150]
        raise DataError(
            "AM109", f"X cannot be turned into a pandas DataFrame: {what}.", "Pass one."
        ) from error
    if isinstance(frame, pd.Series):
        raise DataError("AM109", "X must be two-dimensional, got 1 dimension(s).", _HOW_MANY_DIMENSIONS)
    return frame


def _holds_records(X: Any) -> bool:
    return isinstance(X, list) and bool(X) and all(isinstance(row, Mapping) for row in X[:100])


def _from_columns(X: Any) -> pd.DataFrame:
    try:
        return pd.DataFrame(dict(X) if isinstance(X, Mapping) else X)
    except (ValueError, TypeError) as error:
        what = f"the columns of X do not make a table: {' '.join(str(error).split())[:150]}."
        raise DataError("AM109", what, "Pass columns of one length.") from error


def _from_values(X: Any) -> pd.DataFrame:
    if isinstance(X, np.ma.MaskedArray):
        values: Any = X
    else:
        try:
            values = np.asarray(X)
        except ValueError:  # rows of different lengths
            values = np.zeros(0)
    if values.ndim != 2:
        what = f"X must be two-dimensional, got {values.ndim} dimension(s)."
        raise DataError("AM109", what, _HOW_MANY_DIMENSIONS)
    if values.dtype.kind == "S":
        values = values.astype(object)
    if values.dtype.kind in "US" and isinstance(X, (list, tuple)):
        # NumPy turns the numbers of mixed rows into text; the rows themselves still know.
        values = np.array([list(row) for row in X], dtype=object)
    frame = pd.DataFrame(values, dtype=values.dtype if values.dtype == object else None)
    if values.dtype == object:
        with contextlib.suppress(UnicodeError):  # half characters, which stay objects
            return frame.infer_objects()
    return frame


def names_of(frame: pd.DataFrame) -> list[str]:
    """Return the names of the columns as text that can be printed; those of several levels are joined by ``_``."""
    if isinstance(frame.columns, pd.MultiIndex):
        names = ["_".join(map(str, parts)) for parts in frame.columns]
    else:
        names = [str(column) for column in frame.columns]
    # Half characters can neither be printed nor stored, and NumPy loses zeros at the end of a text.
    return [name.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00") for name in names]


def split_target(frame: pd.DataFrame, target: str) -> tuple[pd.DataFrame, pd.Series]:
    """Split a frame into features and the named target column.

    Raises
    ------
    DataError
        AM101 when there is no such column, with the closest name; AM301 when there are two.
    """
    names = names_of(frame)
    if names.count(target) > 1:
        raise DataError(
            "AM301",
            f"target {target!r} names {names.count(target)} columns.",
            "Rename all but one of them.",
        )
    if target not in names:
        close = difflib.get_close_matches(target, names, n=1, cutoff=0.5)
        shown = ", ".join(map(repr, names[:10])) + (", ..." if len(names) > 10 else "")
        hint = f"Did you mean {close[0]!r}?" if close else f"The columns are: {shown}."
        raise DataError("AM101", f"target {target!r} is not a column of the data.", hint)
    position = names.index(target)
    keep = [index for index in range(len(names)) if index != position]
    return frame.iloc[:, keep], frame.iloc[:, position]


def check_names(frame: pd.DataFrame, issues: list[DataIssue]) -> pd.DataFrame:
    """Give the columns names that are different strings, and report what was changed.

    Raises
    ------
    DataError
        AM301 when a name stands twice.
    """
    names = names_of(frame)
    if isinstance(frame.columns, pd.MultiIndex):
        frame = frame.set_axis(names, axis=1)
        issues.append(DataIssue("AM302", (), "column names with several levels were joined by '_'.", ""))
    elif not all(isinstance(column, str) for column in frame.columns) or names != list(frame.columns):
        if not isinstance(frame.columns, pd.RangeIndex):
            issues.append(
                DataIssue(
                    "AM302",
                    (),
                    "column names that are no plain strings were turned into such.",
                    "Do the same before you fit a recommended pipeline: X.columns = X.columns.map(str).",
                )
            )
        frame = frame.set_axis(names, axis=1)
    twice = frame.columns[frame.columns.duplicated()].unique()
    if len(twice):
        positions = [int(i) for i in np.flatnonzero(frame.columns == twice[0])]
        raise DataError(
            "AM301",
            f"column name {twice[0]!r} stands {len(positions)} times (positions {positions}).",
            "Rename the columns so that each name is unique.",
        )
    return frame


def as_series(y: Any) -> pd.Series:
    """Turn anything that is one column, see :func:`as_column`, into a Series of plain values; it is not judged yet.

    Objects that are all numbers or booleans become such; so do ``Decimal`` and ``Fraction``. Categories give way to
    their values, nullable and Arrow types to those of NumPy where nothing is missing.

    Raises
    ------
    DataError
        AM105 for complex numbers, lists and mappings, and for half characters among other values; AM109 when it has
        several columns or dimensions.
    """
    return _plain_values(as_column(y))


def as_column(y: Any) -> pd.Series:
    """Turn anything that is one column into a Series; its values stay as they are.

    Parameters
    ----------
    y : array-like
        Series or DataFrame of one column, of pandas, polars (lazy too) or whatever has ``to_pandas``, a mapping whose
        values are the column, an index, an array of NumPy (masked too) or of pandas, or a list.

    Raises
    ------
    DataError
        AM109 when it has several columns or dimensions.
    """
    if is_lazy(y):
        y = y.collect()
    if hasattr(y, "to_pandas"):
        y = y.to_pandas()
    if isinstance(y, pd.DataFrame):
        if y.shape[1] != 1:
            raise DataError(
                "AM109", f"y must have one column, got {y.shape[1]}.", "Choose one target at a time."
            )
        y = y.iloc[:, 0]
    if isinstance(y, Mapping):
        y = list(y.values())
    if isinstance(y, (pd.Index, pd.api.extensions.ExtensionArray)):
        y = pd.Series(y)
    return y if isinstance(y, pd.Series) else _series_of_values(y)


def _series_of_values(y: Any) -> pd.Series:
    if isinstance(y, (list, tuple)) and any(
        isinstance(value, (list, tuple, str, bytes)) for value in y[:100]
    ):
        # Text among numbers would turn these into text, and rows of a table into a table.
        is_table = all(isinstance(value, (list, tuple)) and len(value) == 1 for value in y)
        values: Any = np.array([value[0] for value in y] if is_table else [*y, None], dtype=object)
        values = values if is_table else values[:-1]
        return pd.Series(values, dtype=object)
    if hasattr(y, "toarray"):
        y = y.toarray()
    values = y if isinstance(y, np.ma.MaskedArray) else np.asarray(y)
    if values.dtype.kind == "S":
        values = values.astype(object)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise DataError(
            "AM109", f"y must be one-dimensional, got shape {values.shape}.", "Choose one target at a time."
        )
    return pd.Series(values)


def _plain_values(y: pd.Series) -> pd.Series:
    if _is_odd(y.dtype):
        y = _plain_dtype(y)
    if _is_arrow_text(y.dtype) and (decoded := _decoded(y)) is not None:
        y = decoded
    if isinstance(y.dtype, pd.CategoricalDtype):
        y = y.astype(y.cat.categories.dtype if not y.hasnans else "object")
    if isinstance(y.dtype, pd.ArrowDtype):
        y = pd.Series(y.to_numpy(dtype=object, na_value=None), index=y.index, name=y.name, dtype=object)
    if y.dtype == object:
        y = _plain_objects(y)
    if pd.api.types.is_complex_dtype(y.dtype):
        raise _unusable(y, "complex numbers")
    return y


def _plain_objects(y: pd.Series) -> pd.Series:
    kind = pd.api.types.infer_dtype(y, skipna=True)
    present = y.dropna()
    if kind == "complex" or any(isinstance(value, complex) for value in present):
        raise _unusable(y, "complex numbers")
    if not all(map(is_hashable, present)):
        raise _unusable(y, "lists, mappings or the like")
    how = spelling(y)
    if how is None:
        raise _unusable(y, "text that cannot be stored (half characters, bytes) among other values")
    if how:
        return read_column(y, how).astype("str")
    if kind == "integer" and y.infer_objects().dtype == object:  # beyond 64 bits
        return pd.Series([_as_float(value) for value in y], index=y.index, name=y.name)
    if kind in ("datetime", "datetime64", "timedelta", "timedelta64"):
        return y.infer_objects()
    if kind in ("boolean", "integer", "floating", "mixed-integer-float", "string"):
        return y.infer_objects() if not y.hasnans or kind != "boolean" else y
    if len(present) and are_numbers(present):
        return pd.Series([_as_float(value) for value in y], index=y.index, name=y.name)
    if kind == "bytes":
        return y.astype("str")
    return y


def is_hashable(value: Any) -> bool:
    """Whether a value can be told from others by its hash; lists cannot, nor tuples of lists."""
    try:
        hash(value)
    except TypeError:
        return False
    return True


def are_numbers(values: Any) -> bool:
    """Whether all values are real numbers; truth values are none among others."""
    import numbers
    from decimal import Decimal

    return all(
        isinstance(value, (numbers.Real, Decimal, np.number)) and not isinstance(value, (bool, np.bool_))
        for value in values
    )


def _as_float(value: Any) -> float:
    try:
        return math.nan if pd.isna(value) else float(value)
    except OverflowError:
        return math.inf


def _unusable(y: pd.Series, what: str) -> DataError:
    name = repr(y.name) if y.name is not None else "y"
    return DataError("AM105", f"target {name} holds {what}.", "Choose a target of numbers or labels.")
