"""How the cells of a column are read: a sequence of names of :mod:`autometa.tables.functions`.

A pipeline gets one FunctionTransformer for each name, a model file holds the names, and :func:`read` applies the very
same functions when a table is checked: what a column is read as is the same at every door. What is read may be numbers
that say nothing, or nothing at all: that is told here, too.
"""

from __future__ import annotations

import contextlib
import functools
import operator
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal

import numpy as np
import pandas as pd

from autometa.errors import DataError
from autometa.tables.functions import find_function

Reading = tuple[str, ...]

# Cells; to tell levels apart takes a tenth of a millisecond for so many.
_WORTH_COUNTING: Final = 1_000
_PARSERS: Final = ("text to numbers", "parts to numbers", "to dates", "to ISO dates", "to spans")
# No number, date or span is longer, and parsers take the square of the length.
_MAX_CELL: Final = 1_000
# Whole numbers beyond are not told apart as floats.
MAX_EXACT: Final = 2**53
# A count without gaps between these is one of years, which say something; another is an id.
YEARS: Final = (1500, 2200)


def _without_long_cells(column: pd.Series) -> pd.Series:
    """Put a word in place of cells that are too long to be numbers or dates."""
    if isinstance(column.dtype, pd.StringDtype):
        is_long = column.str.len().fillna(0) > _MAX_CELL
    elif column.dtype == object:
        is_long = column.map(lambda cell: isinstance(cell, str) and len(cell) > _MAX_CELL).astype("bool")
    else:
        return column
    return column.mask(is_long, "(long text)") if is_long.any() else column


def read(frame: pd.DataFrame, reading: Iterable[str]) -> pd.DataFrame:
    """Apply a reading to all columns of a table, as a pipeline does."""
    for name in reading:
        function, options = find_function(name)
        frame = function(frame, **options)
    return frame


def read_column(column: pd.Series, reading: Iterable[str]) -> pd.Series:
    """Apply a reading to one column; what stands several times in text is read once."""
    reading = tuple(reading)
    if isinstance(column.dtype, pd.StringDtype) and len(column) > _WORTH_COUNTING:
        codes, levels = pd.factorize(column)
        if len(levels) < len(column) / 2:
            # A missing value at the end, which the code -1 of the missing ones finds.
            once = pd.Series(levels, dtype=column.dtype).reindex(range(len(levels) + 1))
            return _read_column(once, reading).take(codes).set_axis(column.index).rename(column.name)
    return _read_column(column, reading).rename(column.name)


def _read_column(column: pd.Series, reading: Reading) -> pd.Series:
    if any(step.startswith(_PARSERS) for step in reading):
        column = _without_long_cells(column)
    n_first = 0
    if isinstance(column.dtype, pd.StringDtype):
        # What pandas replaces goes through objects and back at every step.
        while n_first < len(reading) and _is_replacement(reading[n_first]):
            n_first += 1
        if n_first:
            cells = column.to_numpy(dtype=object)
            known = column.notna().to_numpy()
            cells[known] = read_texts(cells[known].tolist(), reading[:n_first])
            column = pd.Series(cells, index=column.index, dtype=column.dtype)
    return read(column.to_frame(name="column"), reading[n_first:])["column"]


@functools.cache
def _is_replacement(name: str) -> bool:
    function, options = find_function(name)
    return function is pd.DataFrame.replace and "regex" in options


def read_texts(texts: Sequence[str], reading: Iterable[str]) -> list[str]:
    """Apply replacements to a few texts, as :func:`read` would, in a fraction of the time that a table takes.

    Parameters
    ----------
    texts : sequence of str
        Single cells.
    reading : iterable of str
        Names of replacements alone.
    """
    found = list(texts)
    for name in reading:
        patterns = _patterns(name)
        if len(patterns) == 1:
            pattern, value = patterns[0]
            found = [pattern.sub(value, cell) for cell in found]
            continue
        # pandas looks for all patterns before it replaces the first.
        found = [
            functools.reduce(
                lambda text, pair: pair[0].sub(pair[1], text),
                [pair for pair in patterns if pair[0].search(cell)],
                cell,
            )
            for cell in found
        ]
    return found


@functools.cache
def _patterns(name: str) -> tuple[tuple[re.Pattern[str], Any], ...]:
    _, options = find_function(name)
    pairs = (
        options["regex"] if isinstance(options["regex"], dict) else {options["to_replace"]: options["value"]}
    )
    # A function is quicker than a template.
    return tuple((re.compile(p), operator.itemgetter(1) if v == r"\1" else v) for p, v in pairs.items())


# Bytes as Python writes them; a half character as its number.
OF_BYTES: Final[Reading] = ("each to text",)
OF_HALVES: Final[Reading] = ("half characters to bytes", "bytes to text")


def spelling(column: pd.Series) -> Reading | None:
    """Return what makes text of bytes that are no UTF-8, or of half characters, which Arrow cannot hold as they are.

    Parameters
    ----------
    column : Series

    Returns
    -------
    tuple of str or None
        Nothing is needed by most columns; None where nothing helps, as for text and bytes in one column.
    """
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = pd.Series(column.cat.categories)
    if column.dtype != object:
        return ()
    try:
        column.astype("str")
    except UnicodeError:
        for reading in (OF_BYTES, OF_HALVES):
            with contextlib.suppress(UnicodeError, AttributeError):
                read_column(column, reading).astype("str")
                return reading
        return None
    except (TypeError, ValueError):  # lists in cells, numbers of thousands of digits
        return ()
    return ()


# -- what was read ---------------------------------------------------------------------------------------------------


def judge_numbers(column: pd.Series) -> tuple[Literal["numeric", "ignored"], str]:
    """Return what a column of numbers is, and the code of what is to be said about it."""
    present = column.dropna()
    if present.empty:
        return "ignored", "AM205"
    if len(present) == len(column) > 1 and (present == present.iloc[0]).all():
        return "ignored", "AM208"
    if not pd.api.types.is_integer_dtype(column.dtype):
        return "numeric", ""
    if len(column) >= 20 and len(present) == len(column) and _is_gapless(column):
        # Only a gapless count is an id: other unique integers may well carry information.
        return "ignored", "AM206"
    largest = max(abs(int(present.max())), abs(int(present.min())))
    if largest > MAX_EXACT and present.astype("float64").nunique() < present.nunique():
        return "numeric", "AM217"  # some are the same as floats
    return "numeric", ""


def _is_gapless(column: pd.Series) -> bool:
    least, most = int(column.min()), int(column.max())
    is_years = YEARS[0] <= least and most <= YEARS[1]
    return not is_years and most - least == len(column) - 1 and bool(column.is_unique)


def has_infinity(column: pd.Series) -> bool:
    """Whether a column of floats holds infinities."""
    if not pd.api.types.is_float_dtype(column.dtype):
        return False
    return bool(np.isinf(column.to_numpy(dtype="float64", na_value=np.nan)).any())


def written(value: Any) -> str:
    """Return a value as text; one of more digits than Python writes as infinite."""
    try:
        return str(value)
    except ValueError:
        return "inf"


def unreadable(column: pd.Series, what: str) -> DataError:
    """Return the error of a column that cannot be read as the type asked for."""
    present = column.dropna()
    return DataError(
        "AM216",
        f"column {column.name!r} is to be read as {what}, and no cell can be ({str(present.iloc[0])[:40]!r}).",
        "Choose another type.",
    )
