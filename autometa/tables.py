"""Reading tables as people have them: delimited text of any flavour, Parquet, Feather, ARFF; local files only."""

from __future__ import annotations

import csv
import difflib
import io
import re
import sys
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

import pandas as pd

from autometa.errors import DataError, DependencyError, how_to_install
from autometa.task import DataIssue

MAX_BYTES: Final = 4 * 1000**3
MAX_COLUMNS: Final = 100_000
TEXT_SUFFIXES: Final = (".csv", ".tsv", ".tab", ".txt")
OTHER_SUFFIXES: Final = (".parquet", ".pq", ".feather", ".arrow", ".arff")
_HEAD_BYTES: Final = 4_000_000
_DECIMAL_COMMA: Final = re.compile(r"^\s*[-+]?\d+,\d+\s*$")
_RAGGED: Final = re.compile(r"Expected (\d+) fields in line (\d+), saw (\d+)")


@dataclass(frozen=True)
class Table:
    """A table as it was read.

    Attributes
    ----------
    frame : DataFrame
        With unique column names and rows numbered from 0.
    notices : tuple of DataIssue
        What was done to read it, where that is not obvious.
    code : str
        Python expression that reads the same table with pandas alone.
    """

    frame: pd.DataFrame
    notices: tuple[DataIssue, ...] = ()
    code: str = ""


def read_table(
    path: str | Path,
    *,
    text_columns: Collection[str] = (),
    max_bytes: int = MAX_BYTES,
    max_columns: int = MAX_COLUMNS,
) -> Table:
    """Read a local table, by its suffix; ``-`` is standard input as CSV.

    Parameters
    ----------
    path : str or Path
        CSV, TSV, Parquet, Feather (Arrow) or ARFF. Delimited text may use any of ``, ; | tab``, UTF-8, UTF-16 or
        Latin-1; empty cells, ``?`` and what pandas takes for missing are missing values.
    text_columns : collection of str, default=()
        Columns of delimited text that are not turned into numbers.
    max_bytes : int, default=4e9
    max_columns : int, default=100000

    Returns
    -------
    Table

    Raises
    ------
    DataError
        AM112 no such file, AM113 not readable as what its name says, AM114 unknown format, AM115 too large, AM116 an
        address in place of a file, AM117 rows of different lengths, AM201 no rows, AM301 duplicate names.
    DependencyError
        AM701 for ARFF without the extra ``arff``.
    """
    name = str(path)
    if name == "-":
        content = sys.stdin.buffer.read(max_bytes + 1)
        _check_size(len(content), max_bytes, "standard input")
        table = _read_text(io.BytesIO(content), "standard input", ",", text_columns, max_columns)
    else:
        table = _read_file(_find(name), name, text_columns, max_bytes, max_columns)
    frame = table.frame
    if frame.shape[1] > max_columns:
        raise _too_wide(name, frame.shape[1], max_columns)
    if frame.shape[0] == 0:
        raise DataError("AM201", f"{_shown(name)} has a header and no rows.", "Check how the file was made.")
    return table


def match_columns(frame: pd.DataFrame, columns: Sequence[Mapping[str, str]], *, ignore: str = "") -> Table:
    """Bring new rows into the form of the table that a model was fitted on.

    Parameters
    ----------
    frame : DataFrame
    columns : sequence of mapping
        ``name``, ``type`` (as in ``Task.column_types``) and ``dtype`` of each column, in order.
    ignore : str, default=""
        Name of the target, which new rows may have or not.

    Returns
    -------
    Table
        The columns by name and in order, with a notice about those that the model does not know.

    Raises
    ------
    DataError
        AM401 when columns are missing, AM407 when one that held numbers holds text.
    """
    needed = [column["name"] for column in columns if column["type"] != "ignored"]
    missing = [name for name in needed if name not in frame]
    if missing:
        close = {name: difflib.get_close_matches(name, frame.columns.astype(str), n=1) for name in missing}
        hints = [f"{found[0]!r} for {name!r}?" for name, found in close.items() if found]
        raise DataError(
            "AM401",
            f"the data lacks {len(missing)} column(s) that the model needs: {_listed(missing)}.",
            "Add or rename them" + (f" ({', '.join(hints[:3])})." if hints else "."),
        )
    names = [column["name"] for column in columns]
    extra = [str(name) for name in frame.columns if name not in names and name != ignore]
    notices = []
    if extra:
        notices.append(
            DataIssue(
                "AM408",
                tuple(extra),
                f"{len(extra)} column(s) unknown to the model are ignored: {_listed(extra)}.",
            )
        )
    matched = {
        column["name"]: _as_fitted(frame[column["name"]], column)
        for column in columns
        if column["name"] in frame
    }
    return Table(pd.DataFrame(matched, index=frame.index).reindex(columns=names), tuple(notices))


def _as_fitted(column: pd.Series, fitted: Mapping[str, str]) -> pd.Series:
    is_numeric = pd.api.types.is_numeric_dtype(column.dtype)
    if fitted["type"] == "numeric" and not is_numeric:
        numbers = pd.to_numeric(column, errors="coerce")
        broken = column[numbers.isna() & column.notna()]
        if len(broken):
            raise DataError(
                "AM407",
                f"column {fitted['name']!r} held numbers when the model was fitted, and holds {str(broken.iloc[0])!r} "
                f"in row {broken.index[0]}"
                + (f" and text in {len(broken) - 1} more rows." if len(broken) > 1 else "."),
                "Clean the column.",
            )
        return numbers
    if (
        fitted["type"] in ("categorical", "text")
        and is_numeric
        and fitted["dtype"] in ("str", "object", "string")
    ):
        return column.astype("str").where(column.notna())
    return column


# -- files ---------------------------------------------------------------------------------------------------------


def _find(name: str) -> Path:
    if re.match(r"^[A-Za-z][A-Za-z0-9+.-]+://", name):
        raise DataError("AM116", f"{name!r} is an address; only local files are read.", "Download it first.")
    path = Path(name)
    try:
        if path.is_dir():
            raise DataError("AM113", f"{name!r} is a folder.", "Name a file in it.")
        if path.exists():
            return path
        around = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else None
    except (OSError, ValueError) as error:
        raise DataError(
            "AM113", f"{name!r} cannot be read: {_reason(error)}.", "Check the path and its permissions."
        ) from error
    if around is None:
        raise DataError(
            "AM112",
            f"there is no file {name!r}: the folder {str(path.parent)!r} does not exist.",
            "Check the path.",
        )
    close = difflib.get_close_matches(path.name, around, n=1)
    raise DataError(
        "AM112", f"there is no file {name!r}.", f"Did you mean {close[0]!r}?" if close else "Check the path."
    )


def _read_file(
    path: Path, name: str, text_columns: Collection[str], max_bytes: int, max_columns: int
) -> Table:
    suffix = path.suffix.lower()
    is_regular = path.is_file()
    if is_regular and suffix not in (*TEXT_SUFFIXES, *OTHER_SUFFIXES):
        raise DataError(
            "AM114",
            f"{name!r} has the suffix {suffix!r}, which is not a known format."
            if suffix
            else f"{name!r} has no suffix.",
            f"Use one of: {', '.join((*TEXT_SUFFIXES, *OTHER_SUFFIXES))}.",
        )
    try:
        with path.open("rb") as opened:
            # A pipe, such as <(...) of a shell, can be read only once.
            stream: BinaryIO = opened if is_regular else io.BytesIO(opened.read(max_bytes + 1))
            size = stream.seek(0, io.SEEK_END)
            stream.seek(0)
            _check_size(size, max_bytes, repr(name))
            if size == 0:
                raise DataError("AM201", f"{name!r} is empty.", "Check how the file was made.")
            if suffix in OTHER_SUFFIXES:
                return _READERS[suffix](stream, name)
            separator = "\t" if suffix in (".tsv", ".tab") else ","
            return _read_text(stream, name, separator, text_columns, max_columns)
    except OSError as error:
        raise DataError(
            "AM113", f"{name!r} cannot be read: {_reason(error)}.", "Check its permissions."
        ) from error


def _check_size(size: int, max_bytes: int, what: str) -> None:
    if size > max_bytes:
        raise DataError(
            "AM115", f"{what} is larger than {max_bytes / 1e9:.3g} GB.", "Take a sample of its rows."
        )


def _too_wide(name: str, width: int, max_columns: int) -> DataError:
    return DataError(
        "AM115",
        f"{_shown(name)} has {width} columns, more than {max_columns}.",
        "Leave some out, or check the separator.",
    )


def _read_binary(stream: BinaryIO, name: str, reader: Callable[[BinaryIO], pd.DataFrame], kind: str) -> Table:
    try:
        frame = reader(stream)
    except Exception as error:
        # pyarrow and pandas raise many kinds of errors on damaged files.
        raise DataError(
            "AM113", f"{name!r} cannot be read as {kind}: {_reason(error)}.", "Check how the file was made."
        ) from error
    # A named index is a column that pandas set aside when the file was written.
    frame = frame.reset_index(drop=all(level is None for level in frame.index.names))
    return Table(_check_unique(frame, name), code=f"pd.read_{kind.lower()}({name!r})")


def _check_unique(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise _duplicate(
            name, str(twice[0]), [i for i, column in enumerate(frame.columns) if column == twice[0]]
        )
    return frame


def _read_parquet(stream: BinaryIO, name: str) -> Table:
    return _read_binary(stream, name, pd.read_parquet, "Parquet")


def _read_feather(stream: BinaryIO, name: str) -> Table:
    return _read_binary(stream, name, pd.read_feather, "Feather")


def _read_arff(stream: BinaryIO, name: str) -> Table:
    try:
        import arff
    except ImportError as error:
        raise DependencyError(
            "AM701",
            "reading ARFF needs the package liac-arff.",
            how_to_install("arff"),
        ) from error
    content = stream.read()
    text = content.decode("utf-8-sig", errors="strict") if _is_utf8(content) else content.decode("latin-1")
    try:
        parsed = arff.loads(text)
    except Exception as error:
        # liac-arff raises its own errors and, on odd input, whatever Python raises inside its parser.
        raise DataError(
            "AM113", f"{name!r} cannot be read as ARFF: {_reason(error)}.", "Check how the file was made."
        ) from error
    names = [attribute.strip() for attribute, _ in parsed["attributes"]]
    _check_names(names, name)
    frame = pd.DataFrame(parsed["data"], columns=names)
    for column, (_, kind) in zip(names, parsed["attributes"], strict=True):
        if isinstance(kind, list):
            frame[column] = pd.Categorical(frame[column], categories=list(dict.fromkeys(kind)))
        elif str(kind).upper() in ("NUMERIC", "REAL", "INTEGER"):
            frame[column] = pd.to_numeric(frame[column])
    code = f"pd.DataFrame((table := arff.load(open({name!r})))['data'], columns=[a for a, _ in table['attributes']])"
    return Table(frame, code=code)


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


_READERS: Final[dict[str, Callable[[BinaryIO, str], Table]]] = {
    ".parquet": _read_parquet,
    ".pq": _read_parquet,
    ".feather": _read_feather,
    ".arrow": _read_feather,
    ".arff": _read_arff,
}


# -- delimited text ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Dialect:
    """How a delimited text is written, and the notices about it."""

    separator: str
    encoding: str
    names: list[str]
    n_blank: int
    notices: list[DataIssue] = field(default_factory=list)


def _read_text(
    stream: BinaryIO, name: str, separator: str, text_columns: Collection[str], max_columns: int
) -> Table:
    head = stream.read(_HEAD_BYTES)
    encoding = "utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    if encoding != "utf-16" and b"\0" in head[:8192]:
        raise DataError(
            "AM113", f"{_shown(name)} is binary, not text.", "Export the table as CSV or Parquet."
        )
    try:
        dialect = _sniff(head, encoding, name, separator, max_columns)
        return _parse(stream, dialect, name, text_columns)
    except UnicodeDecodeError:
        dialect = _sniff(head, "latin-1", name, separator, max_columns)
        dialect.notices.append(DataIssue("AM305", (), f"{_shown(name)} is not UTF-8; read as Latin-1."))
        return _parse(stream, dialect, name, text_columns)


def _sniff(head: bytes, encoding: str, name: str, separator: str, max_columns: int) -> _Dialect:
    """Read the header: its names, and the separator if the expected one gives a single column."""
    # The first bytes may end within a character, which only concerns the last line.
    lines = head.decode(encoding, errors="replace").splitlines(keepends=True)
    n_blank = next((i for i, line in enumerate(lines) if line.strip()), len(lines))
    if n_blank == len(lines):
        raise DataError("AM201", f"{_shown(name)} is empty.", "Check how the file was made.")
    notices = []
    raw = _split(lines[n_blank:], separator, name)
    if (
        len(raw) == 1
        and (other := max(";\t|,", key=lines[n_blank].count)) in lines[n_blank]
        and other != separator
    ):
        separator, raw = other, _split(lines[n_blank:], other, name)
        notices.append(DataIssue("AM304", (), f"{_shown(name)} is separated by {_SEPARATORS[other]}."))
    if len(raw) > max_columns:
        raise _too_wide(name, len(raw), max_columns)
    names = [label.strip() or f"Unnamed: {i}" for i, label in enumerate(raw)]
    _check_names(names, name)
    padded = tuple(new for new, old in zip(names, raw, strict=True) if old and new != old)
    if padded:
        notices.append(
            DataIssue("AM303", padded, f"spaces around column names were dropped: {_listed(padded)}.")
        )
    return _Dialect(separator, encoding, names, n_blank, notices)


_SEPARATORS: Final = {";": "semicolons", "\t": "tabs", "|": "vertical bars", ",": "commas"}


def _split(lines: list[str], separator: str, name: str) -> list[str]:
    try:
        return next(csv.reader(lines, delimiter=separator))
    except csv.Error as error:
        raise DataError(
            "AM113", f"the header of {_shown(name)} cannot be read: {error}.", "Is it delimited text?"
        ) from error


def _parse(stream: BinaryIO, dialect: _Dialect, name: str, text_columns: Collection[str]) -> Table:
    options: dict[str, Any] = {"sep": dialect.separator}
    if dialect.encoding not in ("utf-8-sig",):
        options["encoding"] = dialect.encoding
    if dialect.n_blank:
        options["skiprows"] = dialect.n_blank
    frame = _read_csv(stream, dialect, options, name, text_columns)
    if dialect.separator == ";" and any(_has_decimal_commas(frame[column]) for column in frame.columns):
        options["decimal"] = ","
        frame = _read_csv(stream, dialect, options, name, text_columns)
        dialect.notices.append(DataIssue("AM304", (), "numbers are read with a comma as decimal point."))
    shown = {key: value for key, value in options.items() if (key, value) != ("sep", ",")}
    if any(issue.code == "AM303" for issue in dialect.notices):
        shown |= {"header": 0, "names": dialect.names}
    arguments = [f"{key}={value!r}" for key, value in {**shown, "na_values": "?"}.items()]
    return Table(frame, tuple(dialect.notices), f"pd.read_csv({', '.join([repr(name), *arguments])})")


def _read_csv(
    stream: BinaryIO, dialect: _Dialect, options: Mapping[str, Any], name: str, text_columns: Collection[str]
) -> pd.DataFrame:
    stream.seek(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return pd.read_csv(
                stream,
                **{"encoding": dialect.encoding, **options},
                header=0,
                names=dialect.names,
                index_col=False,
                dtype=dict.fromkeys(set(text_columns) & set(dialect.names), "str"),
                na_values="?",
                compression=None,
                low_memory=False,
            )
    except UnicodeDecodeError:
        raise
    except pd.errors.ParserWarning as warning:
        raise DataError(
            "AM117",
            f"the rows of {_shown(name)} have more cells than the header, which has {len(dialect.names)}.",
            "Add the missing names to the header.",
        ) from warning
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError, OverflowError) as error:
        raise _parser_error(error, name) from error


def _parser_error(error: Exception, name: str) -> DataError:
    found = _RAGGED.search(str(error))
    if found:
        expected, line, seen = found.groups()
        return DataError(
            "AM117",
            f"line {line} of {_shown(name)} has {seen} cells, the lines before it have {expected}.",
            "Put text that holds the separator in quotes.",
        )
    return DataError(
        "AM113",
        f"{_shown(name)} cannot be read as delimited text: {_reason(error)}.",
        "Check how it was made.",
    )


def _has_decimal_commas(column: pd.Series) -> bool:
    if pd.api.types.is_numeric_dtype(column.dtype):
        return False
    sample = column.dropna().head(100)
    return len(sample) > 0 and all(_DECIMAL_COMMA.match(str(value)) for value in sample)


# -- words ---------------------------------------------------------------------------------------------------------


def _check_names(names: Sequence[str], where: str) -> None:
    positions: dict[str, list[int]] = {}
    for i, label in enumerate(names):
        positions.setdefault(label, []).append(i)
    for label, found in positions.items():
        if len(found) > 1:
            raise _duplicate(where, label, found)


def _duplicate(where: str, label: str, positions: Sequence[int]) -> DataError:
    return DataError(
        "AM301",
        f"column name {label!r} stands {len(positions)} times in {_shown(where)} (positions {list(positions)[:5]}).",
        "Rename the columns; if the first line is data, add a header above it.",
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:10])) + (f" and {len(names) - 10} more" if len(names) > 10 else "")


def _shown(name: str) -> str:
    return name if name == "standard input" else "standard input" if name == "-" else repr(name)


def _reason(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())[:200].rstrip(".")
