"""The target: found in its table, read as numbers or labels, and what kind of problem it makes."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final, Literal

import numpy as np
import pandas as pd

from autometa.errors import DataError, DataIssue, UsageError, listed
from autometa.tables.cells import LEVELS, MAX_CLASSES_OF_INTEGERS, PLAIN
from autometa.tables.frames import as_column, as_series
from autometa.tables.numbers import is_word_for_missing, number_reading
from autometa.tables.readings import read_column

Kind = Literal["binary", "multiclass", "regression"]

KINDS: Final = ("binary", "multiclass", "regression")
# From so many on, labels that are numbers must repeat more often to be taken for classes.
MANY_CLASSES: Final = 50
# The squares of larger targets, which losses and scores add up, come near the largest number that there is.
_LARGEST: Final = 1e150


def read_target(
    y: Any, frame: pd.DataFrame, kind: str, issues: list[DataIssue]
) -> tuple[pd.Series, Kind, dict[Any, Any]]:
    """Check a target, read it, and say what kind of problem it makes.

    Parameters
    ----------
    y : array-like of shape (n_rows,)
    frame : DataFrame of shape (n_rows, n_columns)
        The table, whose index the target gets.
    kind : {"auto", "classification", "regression", "binary", "multiclass"}
    issues : list of DataIssue
        What was noticed is added.

    Returns
    -------
    (Series, str, dict)
        The target as it is learned, the kind of problem, and the user's own label for each class that is learned as
        something else, such as a date.

    Raises
    ------
    DataError
        AM102 target missing in some rows, AM103 target constant, AM105 target does not fit `kind`, AM108 infinite
        target, AM110 lengths differ.
    UsageError
        AM106 unknown kind.
    """
    given = as_column(y)
    target = _read_target(_as_target(given, frame), kind, issues)
    resolved = _resolve_kind(target, kind)
    target = _check_target(target, resolved, issues)
    return target, resolved, {} if resolved == "regression" else _labels_as_given(given, target)


def read_as_fitted(y: Any, classes: Sequence[Any] | None) -> pd.Series:
    """Return a target in the form of predictions: labels as the classes are, or numbers.

    Parameters
    ----------
    y : array-like of shape (n_rows,)
    classes : sequence, optional
        Of a classifier; without them the target is numbers.
    """
    target = as_series(y)
    if classes is None:
        return _read_target(target, "regression", []).astype("float64")
    are_text = all(isinstance(label, str) for label in classes)
    return _spelled(target, "", []) if are_text and not _is_text(target) else target.infer_objects()


def _labels_as_given(given: pd.Series, read: pd.Series) -> dict[Any, Any]:
    """Return the user's own label by the one that it was read as.

    Of 1, 1.0 and "1", which are read as one, it is that of the type that most rows have, if each class has one of it;
    there is none where two labels of one type are read as one.
    """
    if given.dtype == read.dtype and given.dtype != object:
        return {}
    try:
        own_labels = given.tolist()
    except UnicodeDecodeError:  # pyarrow's text that is none
        return {}
    own_labels = list(map(_plain, own_labels))
    found = set(zip(read.tolist(), own_labels, map(type, own_labels), strict=True))
    labels = {label: own for label, own, _ in found}
    if len(labels) < len(found):
        usual = Counter(map(type, own_labels)).most_common(1)[0][0]
        found = {each for each in found if each[2] is usual}
        if len(found) != len(labels) or len({label for label, _, _ in found}) < len(labels):
            return {}
        labels = {label: own for label, own, _ in found}
    # Half characters, which no file holds, stay as they are read.
    return {
        label: own
        for label, own in labels.items()
        if (type(own) is not type(label) or own != label) and "\\ud" not in ascii(str(own))
    }


def _is_text(y: pd.Series) -> bool:
    return isinstance(y.dtype, pd.StringDtype) or all(isinstance(value, str) for value in y.dropna())


def _as_target(y: Any, frame: pd.DataFrame) -> pd.Series:
    y = as_series(y)
    if len(y) != len(frame):
        raise DataError(
            "AM110", f"X has {len(frame)} rows and y has {len(y)}.", "Pass the same rows in both."
        )
    y = y.set_axis(frame.index)
    _refuse_missing(y, y.isna().to_numpy())
    return y


def _refuse_missing(y: pd.Series, is_missing: Any, what: str = "") -> None:
    missing = np.flatnonzero(is_missing)
    if len(missing):
        first = ", ".join(map(str, missing[:3])) + (", ..." if len(missing) > 3 else "")
        name = f" {y.name!r}" if y.name is not None else ""
        raise DataError(
            "AM102",
            f"target{name} is missing in {len(missing)} of {len(y)} rows (rows {first}{what}).",
            "Drop these rows or fill them in.",
        )


def _read_target(y: pd.Series, kind: str, issues: list[DataIssue]) -> pd.Series:
    """Read a target of text that holds numbers, unless these are the names of classes."""
    if kind not in ("auto", "regression") or not (y.dtype == object or isinstance(y.dtype, pd.StringDtype)):
        return y
    counts = (y if isinstance(y.dtype, pd.StringDtype) else y.map(str)).value_counts()
    reading = number_reading(list(counts.index), counts.to_numpy(), least=0.9)
    if reading is None:
        return y
    reading = ("to objects", *reading)
    numbers = read_column(y, reading)
    known = numbers.dropna()
    whole = bool((known % 1 == 0).all()) if len(known) else True
    n_distinct = known.nunique()
    repeats = whole or n_distinct * 5 <= len(y)
    if kind == "auto" and repeats and n_distinct <= MAX_CLASSES_OF_INTEGERS:
        return y  # somebody made these text on purpose
    unread = y[numbers.isna()].map(str)
    strange = [word for word in unread.unique() if not is_word_for_missing(word)]
    if strange and kind == "auto" and len(unread) > 0.1 * len(y):
        return y
    name = str(y.name) if y.name is not None else "y"
    _refuse_missing(y, numbers.isna().to_numpy(), f"; {listed(unread.unique(), 3)}")
    if tuple(name for name in reading if name != "to objects") != PLAIN:
        raw = max(y.map(str), key=len)
        value = numbers[y.map(str) == raw].iloc[0]
        message = (
            f"target {name!r} is text that holds numbers; read as numbers ({raw[:40]!r} as {value:.15g})."
        )
        issues.append(DataIssue("AM212", (name,), message))
    return numbers


def _resolve_kind(y: pd.Series, kind: str) -> Kind:
    if kind not in ("auto", "classification", *KINDS):
        close = difflib.get_close_matches(str(kind), ["auto", "classification", *KINDS], n=1)
        hint = f"Did you mean {close[0]!r}? " if close else ""
        raise UsageError(
            "AM106",
            f"kind {kind!r} is not known.",
            f"{hint}Choose auto, classification, regression, binary or multiclass.",
        )
    n_classes = int(y.nunique())
    name = repr(y.name) if y.name is not None else "y"
    if n_classes < 2:
        raise DataError(
            "AM103",
            f"target {name} has one value ({_plain(y.iloc[0])!r}) in all {len(y)} rows; nothing to learn.",
            "Choose another target or add rows with other values.",
        )
    numeric = pd.api.types.is_numeric_dtype(y) and not pd.api.types.is_bool_dtype(y)
    if kind == "regression":
        if not numeric:
            raise DataError(
                "AM105",
                f"target {name} holds text or categories ({n_classes} distinct), not numbers.",
                "Use kind='classification', or convert it to numbers.",
            )
        return "regression"
    looks_continuous = numeric and not _looks_like_classes(y)
    if kind == "auto" and looks_continuous:
        return "regression"
    share = 0.3 if n_classes > MANY_CLASSES else 0.5
    if looks_continuous and (n_classes > share * len(y) or not _is_integral(y)):
        raise DataError(
            "AM105",
            f"target {name} looks continuous ({n_classes} distinct values in {len(y)} rows).",
            "Use kind='regression', or bin it into classes.",
        )
    if not numeric and n_classes > 0.5 * len(y) and n_classes > 20:
        if y.dtype.kind in "mM":
            raise DataError(
                "AM105",
                f"target {name} holds dates or spans of time ({n_classes} distinct), not numbers or labels.",
                "Count days or seconds, for example: (y - y.min()) / pd.Timedelta(days=1).",
            )
        raise DataError(
            "AM105",
            f"target {name} has {n_classes} distinct labels in {len(y)} rows, like an id or free text.",
            "Choose a target that repeats.",
        )
    found: Kind = "binary" if n_classes == 2 else "multiclass"
    if kind in ("binary", "multiclass") and kind != found:
        raise DataError(
            "AM105",
            f"target {name} has {n_classes} classes, so it is {found}, not {kind}.",
            f"Use kind={found!r} or kind='auto'.",
        )
    return found


def _is_integral(y: pd.Series) -> bool:
    values = y.to_numpy(dtype="float64")
    # Beyond 64 bits scikit-learn takes none for a label.
    return bool(np.all(np.abs(values) < 2.0**64) and np.all(values == np.round(values)))


def _looks_like_classes(y: pd.Series) -> bool:
    """Whole numbers with few distinct values, each seen several times on average, are class labels."""
    n_distinct = y.nunique()
    if not _is_integral(y):
        return False
    return n_distinct == 2 or (n_distinct <= MAX_CLASSES_OF_INTEGERS and n_distinct * 5 <= len(y))


def _check_target(y: pd.Series, kind: Kind, issues: list[DataIssue]) -> pd.Series:
    name = str(y.name) if y.name is not None else "y"
    if kind == "regression":
        y = y.astype("float64")
        infinite = np.flatnonzero(np.abs(y.to_numpy()) > _LARGEST)
        if len(infinite):
            what = "infinite" if np.isinf(y.iloc[infinite[0]]) else f"beyond {_LARGEST:.0e}"
            raise DataError(
                "AM108",
                f"target {name!r} is {what} in {len(infinite)} of {len(y)} rows (first: row {infinite[0]}).",
                "Drop these rows, cap the values or divide them.",
            )
        return y
    if pd.api.types.is_extension_array_dtype(y.dtype) and pd.api.types.is_numeric_dtype(y):
        y = y.astype("bool" if pd.api.types.is_bool_dtype(y) else "int64" if _is_integral(y) else "float64")
    y = _as_labels(y, name, issues)
    counts = y.value_counts()
    if len(counts) < 2:
        raise DataError(
            "AM103",
            f"target {name!r} has one value ({_plain(y.iloc[0])!r}) in all {len(y)} rows, once its types are one.",
            "Give different classes different names.",
        )
    rare = counts[counts < 3]
    if len(rare):
        issues.append(
            DataIssue(
                "AM104",
                (name,),
                f"class {_plain(rare.index[0])!r} of target {name!r} has {rare.iloc[0]} row(s)"
                + (f" and {len(rare) - 1} more classes are as rare" if len(rare) > 1 else "")
                + "; it cannot stand in every fold.",
                "Merge or drop rare classes before a search.",
            )
        )
    return y


def _as_labels(y: pd.Series, name: str, issues: list[DataIssue]) -> pd.Series:
    """Make labels of several types, or of one that scikit-learn cannot sort, text."""
    if y.dtype != object:
        return (
            y if y.dtype.kind in "biuf" or isinstance(y.dtype, pd.StringDtype) else _spelled(y, name, issues)
        )
    kinds = {type(value) for value in y.unique().tolist()}
    if kinds <= {str}:
        return y
    if kinds <= {bool, np.bool_}:
        return y.astype("bool")
    return _spelled(y, name, issues)


def _spelled(y: pd.Series, name: str, issues: list[DataIssue]) -> pd.Series:
    message = f"target {name!r} mixes types, or has labels of an unusual one; they are read as strings."
    issues.append(DataIssue("AM109", (name,), message))
    return read_column(y.map(str).astype("object"), LEVELS)


def _plain(label: Any) -> Any:
    """Return a label as users write it, without numpy's type."""
    return label.item() if isinstance(label, np.generic) else label
