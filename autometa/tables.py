"""Reading tables as people have them: delimited text of any flavour, Parquet, Feather, ARFF; local files only."""

from __future__ import annotations

import bz2
import contextlib
import csv
import difflib
import gzip
import io
import lzma
import re
import sys
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

import numpy as np
import pandas as pd

from autometa.errors import DataError, DataIssue, DependencyError, how_to_install

MAX_BYTES: Final = 4 * 1000**3
MAX_COLUMNS: Final = 100_000
TEXT_SUFFIXES: Final = (".csv", ".tsv", ".tab", ".txt")
OTHER_SUFFIXES: Final = (".parquet", ".pq", ".feather", ".arrow", ".arff")
PACKED_SUFFIXES: Final = (".gz", ".bz2", ".xz", ".zip")
_HEAD_BYTES: Final = 4_000_000
_BLOCK_BYTES: Final = 1 << 20
_DECIMAL_COMMA: Final = re.compile(r"^\s*[-+]?\d+,\d+\s*$")
_SEPARATOR_LINE: Final = re.compile(r"^\ufeff?\"?sep=(.)\"?\s*$", re.IGNORECASE)
_COMMENTS: Final = ("#", "//", "%")
_ZEROS_IN_FRONT: Final = re.compile(r"^0\d+$")
# Of the first lines, so many are looked at for numbers with zeros in front.
_LINES_LOOKED_AT: Final = 20_000
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
    target: str = "",
    max_bytes: int = MAX_BYTES,
    max_columns: int = MAX_COLUMNS,
) -> Table:
    """Read a local table, by its suffix; ``-`` is standard input as CSV.

    Parameters
    ----------
    path : str or Path
        CSV, TSV, Parquet, Feather (Arrow) or ARFF, as such or packed by gzip, bzip2, xz or as the one member of a zip
        archive. Delimited text may use any of ``, ; | tab``, UTF-8, UTF-16, Windows-1252 or Latin-1; empty cells, ``?``
        and what pandas takes for missing are missing values. Columns of numbers with zeros in front stay text.
    text_columns : collection of str, default=()
        Columns of delimited text that are not turned into numbers.
    target : str, default=""
        Name of a column of classes, of which ``NA``, ``None`` and ``null`` are names like others; only an empty cell is
        missing there.
    max_bytes : int, default=4e9
        Limit of the size in bytes, of packed files after unpacking.
    max_columns : int, default=100000
        The most columns that are read; a table with more is refused.

    Returns
    -------
    Table
        The frame, and what was noticed while reading.

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
        wanted = _Wanted(text_columns, target, max_columns)
        table = _read_text(io.BytesIO(content), "standard input", ",", wanted)
    else:
        table = _read_file(_find(name), name, max_bytes, _Wanted(text_columns, target, max_columns))
    frame = table.frame
    if frame.shape[1] > max_columns:
        raise _too_wide(name, frame.shape[1], max_columns)
    if frame.shape[0] == 0:
        raise DataError("AM201", f"{_shown(name)} has a header and no rows.", "Check how the file was made.")
    return table


@dataclass(frozen=True)
class _Wanted:
    """What the caller asks of a table in delimited text."""

    text_columns: Collection[str]
    target: str
    max_columns: int


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


def _read_file(path: Path, name: str, max_bytes: int, wanted: _Wanted) -> Table:
    suffix = path.suffix.lower()
    is_regular = path.is_file()
    packing = suffix if suffix in PACKED_SUFFIXES else ""
    if packing == ".zip":
        suffix = _suffix_in_zip(path, name)
    elif packing:
        suffix = path.with_suffix("").suffix.lower()
    if is_regular and suffix not in (*TEXT_SUFFIXES, *OTHER_SUFFIXES):
        raise DataError(
            "AM114",
            f"{name!r} has the suffix {suffix!r}, which is not a known format."
            if suffix
            else f"{name!r} has no suffix.",
            f"Use one of: {', '.join((*TEXT_SUFFIXES, *OTHER_SUFFIXES))}.",
        )
    try:
        with path.open("rb") as opened, contextlib.ExitStack() as stack:
            # A pipe, such as <(...) of a shell, can be read only once.
            stream: BinaryIO = opened if is_regular else io.BytesIO(opened.read(max_bytes + 1))
            if packing:
                stream = stack.enter_context(_unpack(stream, packing, name, max_bytes))
            size = stream.seek(0, io.SEEK_END)
            stream.seek(0)
            _check_size(size, max_bytes, repr(name))
            if size == 0:
                raise DataError("AM201", f"{name!r} is empty.", "Check how the file was made.")
            if suffix in OTHER_SUFFIXES:
                return _READERS[suffix](stream, name)
            separator = "\t" if suffix in (".tsv", ".tab") else ","
            return _read_text(stream, name, separator, wanted)
    except OSError as error:
        raise DataError(
            "AM113", f"{name!r} cannot be read: {_reason(error)}.", "Check its permissions."
        ) from error


def _suffix_in_zip(path: Path, name: str) -> str:
    """Return the suffix of the one file in an archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            return Path(_one_member(archive, name).filename).suffix.lower()
    except (OSError, zipfile.BadZipFile) as error:
        raise _cannot_unpack(name, error) from error


def _one_member(archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    members = [m for m in archive.infolist() if not m.is_dir() and not m.filename.startswith("__MACOSX/")]
    if len(members) != 1:
        shown = _listed([member.filename for member in members[:5]]) or "nothing"
        raise DataError(
            "AM113", f"{name!r} holds {len(members)} files ({shown}), not one table.", "Unpack it first."
        )
    return members[0]


def _unpack(stream: BinaryIO, packing: str, name: str, max_bytes: int) -> BinaryIO:
    """Unpack into a temporary file, and stop at the limit: a small file can unpack to terabytes."""
    with contextlib.ExitStack() as on_failure:
        target = on_failure.enter_context(tempfile.TemporaryFile())
        try:
            _copy(stream, packing, name, target, max_bytes)
        except _DAMAGE as error:
            raise _cannot_unpack(name, error) from error
        on_failure.pop_all()
    return cast(BinaryIO, target)


def _copy(stream: BinaryIO, packing: str, name: str, target: Any, max_bytes: int) -> None:
    with contextlib.ExitStack() as stack:
        packed: Any
        if packing == ".zip":
            archive = stack.enter_context(zipfile.ZipFile(stream))
            packed = stack.enter_context(archive.open(_one_member(archive, name)))
        else:
            opener: Callable[[BinaryIO], Any] = _OPENERS[packing]
            packed = stack.enter_context(opener(stream))
        done = 0
        while block := packed.read(_BLOCK_BYTES):
            done += len(block)
            _check_size(done, max_bytes, repr(name))
            target.write(block)


# What the modules of the standard library raise on damaged files; an encrypted one is a RuntimeError.
_DAMAGE: Final = (OSError, EOFError, RuntimeError, zipfile.BadZipFile, lzma.LZMAError, zlib.error)

_OPENERS: Final[dict[str, Callable[[BinaryIO], Any]]] = {
    ".gz": lambda stream: gzip.GzipFile(fileobj=stream),
    ".bz2": bz2.BZ2File,
    ".xz": lzma.LZMAFile,
}


def _cannot_unpack(name: str, error: Exception) -> DataError:
    return DataError("AM113", f"{name!r} cannot be unpacked: {_reason(error)}.", "Check how it was made.")


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
        parsed = arff.loads(_plain_attributes(text))
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


def _plain_attributes(text: str) -> str:
    """Write the attributes as liac-arff knows them: without ranges, with dates as text, with spaces for tabs."""
    header, data, rows = (
        re.split(r"(?im)(^\s*@data[^\n]*$)", text, maxsplit=1) if _DATA.search(text) else (text, "", "")
    )
    header = _RANGE.sub(r"\1", header)
    header = _DATE_ATTRIBUTE.sub(r"\1 STRING", header)
    header = _REMARK.sub(r"\1", header)
    return header + ("@DATA" if data else "") + rows


_DATA: Final = re.compile(r"(?im)^\s*@data\b")
_NAME: Final = r"""(?:'[^'\n]*'|"[^"\n]*"|[^\s'"{]+)"""
_RANGE: Final = re.compile(
    rf"(?im)^(\s*@attribute\s+{_NAME}\s+(?:numeric|real|integer))\s*[\[(][^\n\])]*[\])][^\n]*$"
)
_REMARK: Final = re.compile(rf"(?im)^(\s*@attribute\s+{_NAME}\s+(?:\w+|\{{[^}}\n]*\}}))\s+%[^\n]*$")
_DATE_ATTRIBUTE: Final = re.compile(rf"(?im)^(\s*@attribute\s+{_NAME})\s+date\b[^\n]*$")


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
    codes: tuple[str, ...] = ()
    notices: list[DataIssue] = field(default_factory=list)


def _read_text(stream: BinaryIO, name: str, separator: str, wanted: _Wanted) -> Table:
    head = stream.read(_HEAD_BYTES)
    encoding = _encoding_of(head)
    if encoding == "utf-8-sig" and b"\0" in head[:8192]:
        raise DataError(
            "AM113", f"{_shown(name)} is binary, not text.", "Export the table as CSV or Parquet."
        )
    try:
        return _parse(stream, _sniff(head, encoding, name, separator, wanted), name, wanted)
    except UnicodeDecodeError:
        pass
    for encoding, called in (("cp1252", "Windows-1252"), ("latin-1", "Latin-1")):
        try:
            dialect = _sniff(head, encoding, name, separator, wanted)
            dialect.notices.append(DataIssue("AM305", (), f"{_shown(name)} is not UTF-8; read as {called}."))
            return _parse(stream, dialect, name, wanted)
        except UnicodeDecodeError:
            continue
    raise DataError("AM113", f"{_shown(name)} cannot be read as text.", "Save it as UTF-8.")


def _encoding_of(head: bytes) -> str:
    """Return the encoding that the first bytes show; text of two bytes a character often comes without its mark."""
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    start = head[:4096]
    half = len(start) // 2
    # Of plain letters and digits in UTF-16, every other byte is zero.
    if half and start[1::2].count(0) > 0.7 * half and start[0::2].count(0) == 0:
        return "utf-16-le"
    if half and start[0::2].count(0) > 0.7 * half and start[1::2].count(0) == 0:
        return "utf-16-be"
    return "utf-8-sig"


def _sniff(head: bytes, encoding: str, name: str, separator: str, wanted: _Wanted) -> _Dialect:
    """Read the header: its names, and the separator if the expected one gives a single column."""
    # The first bytes may end within a character, which only concerns the last line.
    lines = head.decode(encoding, errors="replace").splitlines(keepends=True)
    notices = []
    n_blank = _first_line(lines, 0)
    if n_blank < len(lines) and (told := _SEPARATOR_LINE.match(lines[n_blank])):
        separator = told[1]
        n_blank = _first_line(lines, n_blank + 1)
    n_before = n_blank
    n_blank = _skip_comments(lines, n_blank)
    if n_blank == len(lines):
        raise DataError("AM201", f"{_shown(name)} is empty.", "Check how the file was made.")
    if n_blank > n_before:
        notices.append(DataIssue("AM306", (), "lines of comments above the header were left out."))
    raw = _split(lines[n_blank:], separator, name)
    if (
        len(raw) == 1
        and (other := max(";\t|,", key=lines[n_blank].count)) in lines[n_blank]
        and other != separator
    ):
        separator, raw = other, _split(lines[n_blank:], other, name)
        notices.append(DataIssue("AM304", (), f"{_shown(name)} is separated by {_SEPARATORS[other]}."))
    if len(raw) > wanted.max_columns:
        raise _too_wide(name, len(raw), wanted.max_columns)
    names = [label.strip() or f"Unnamed: {i}" for i, label in enumerate(raw)]
    _check_names(names, name)
    padded = tuple(new for new, old in zip(names, raw, strict=True) if old and new != old)
    if padded:
        notices.append(
            DataIssue("AM303", padded, f"spaces around column names were dropped: {_listed(padded)}.")
        )
    codes = _codes(lines[n_blank + 1 : n_blank + 1 + _LINES_LOOKED_AT], separator, names)
    return _Dialect(separator, encoding, names, n_blank, codes, notices)


def _first_line(lines: Sequence[str], start: int) -> int:
    """Return the number of the first line from `start` on that is not blank."""
    return next((i for i in range(start, len(lines)) if lines[i].strip("\ufeff \t\r\n")), len(lines))


def _skip_comments(lines: Sequence[str], start: int) -> int:
    """Return the number of the first line that is no comment; a header may begin like one."""
    end = start
    while end < len(lines) and (lines[end].lstrip().startswith(_COMMENTS) or not lines[end].strip()):
        end += 1
    if end == start or end == len(lines):
        return start
    counts = [max(lines[i].count(mark) for mark in ",;\t|") for i in (end - 1, end)]
    is_header = counts[0] == counts[1] > 0 and lines[end - 1].strip()
    return end - 1 if is_header else end


def _codes(lines: Sequence[str], separator: str, names: Sequence[str]) -> tuple[str, ...]:
    """Return the columns that hold numbers with zeros in front, which are codes: 00501 is no 501."""
    marks = (f"{separator}0", f'{separator}"0')
    suspects = [line for line in lines if line.startswith(("0", '"0')) or any(mark in line for mark in marks)]
    found: dict[str, None] = {}
    try:
        for row in csv.reader(suspects, delimiter=separator):
            if len(row) == len(names):
                found |= {n: None for n, cell in zip(names, row, strict=True) if _ZEROS_IN_FRONT.match(cell)}
    except csv.Error:
        pass
    return tuple(found)


_SEPARATORS: Final = {";": "semicolons", "\t": "tabs", "|": "vertical bars", ",": "commas"}


def _split(lines: list[str], separator: str, name: str) -> list[str]:
    try:
        return next(csv.reader(lines, delimiter=separator))
    except csv.Error as error:
        raise DataError(
            "AM113", f"the header of {_shown(name)} cannot be read: {error}.", "Is it delimited text?"
        ) from error


def _parse(stream: BinaryIO, dialect: _Dialect, name: str, wanted: _Wanted) -> Table:
    options: dict[str, Any] = {"sep": dialect.separator}
    if dialect.encoding not in ("utf-8-sig",):
        options["encoding"] = dialect.encoding
    if dialect.n_blank:
        options["skiprows"] = dialect.n_blank
    text = {*wanted.text_columns, *dialect.codes} & set(dialect.names)
    frame = _read_csv(stream, dialect, options, name, text)
    if dialect.separator == ";" and any(_has_decimal_commas(frame[column]) for column in frame.columns):
        options["decimal"] = ","
        frame = _read_csv(stream, dialect, options, name, text)
        dialect.notices.append(DataIssue("AM304", (), "numbers are read with a comma as decimal point."))
    again: dict[str, Any] = {}
    shown = {key: value for key, value in options.items() if (key, value) != ("sep", ",")}
    if codes := [column for column in dialect.codes if column in text]:
        shown["dtype"] = dict.fromkeys(codes, "str")
    target = wanted.target
    if target in frame and not pd.api.types.is_numeric_dtype(frame[target]) and frame[target].hasnans:
        frame, named = _with_named_classes(stream, dialect, options, name, frame, target)
        if named:
            again = {"usecols": [target], "dtype": "str", "keep_default_na": False}
            what = (
                f"{_listed(named)} in target {target!r} are names of classes; only empty cells are missing."
            )
            dialect.notices.append(DataIssue("AM307", (target,), what))
    frame = _without_headers(frame, dialect)
    if any(issue.code == "AM303" for issue in dialect.notices):
        shown |= {"header": 0, "names": dialect.names}
    code = _call(name, {**shown, "na_values": "?"})
    if again:
        code += f".assign(**{{{target!r}: {_call(name, {**shown, 'na_values': '?', **again})}[{target!r}]}})"
    return Table(frame, tuple(dialect.notices), code)


def _call(name: str, options: Mapping[str, Any]) -> str:
    """Return the Python expression that reads a file with pandas."""
    return f"pd.read_csv({', '.join([repr(name), *(f'{k}={_source(v)}' for k, v in options.items())])})"


def _source(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k!r}: {v!r}" for k, v in value.items()) + "}"
    return repr(value)


def _with_named_classes(
    stream: BinaryIO,
    dialect: _Dialect,
    options: Mapping[str, Any],
    name: str,
    frame: pd.DataFrame,
    target: str,
) -> tuple[pd.DataFrame, list[str]]:
    """Read the classes again as they are written: to pandas, NA and None mean that a cell is missing."""
    raw = _read_csv(
        stream, dialect, {**options, "usecols": [target], "keep_default_na": False}, name, [target]
    )
    labels = raw[target].str.strip()
    is_empty = labels.isin(["", "?"])
    named = sorted(labels[frame[target].isna() & ~is_empty].unique())
    if not named:
        return frame, []
    return frame.assign(**{target: raw[target].mask(is_empty)}), named


def _without_headers(frame: pd.DataFrame, dialect: _Dialect) -> pd.DataFrame:
    """Leave out rows that repeat the header, as in files that were put together from several."""
    first = frame.iloc[:, 0]
    if frame.shape[1] < 2 or pd.api.types.is_numeric_dtype(first):
        return frame
    suspects = np.flatnonzero((first.astype("object").map(str) == dialect.names[0]).to_numpy())
    rows = [
        int(row)
        for row in suspects
        if [str(cell).strip() for cell in frame.iloc[row]] == [str(label) for label in dialect.names]
    ]
    if not rows:
        return frame
    notice = f"{len(rows)} row(s) that repeat the header were left out (row {rows[0]} first)."
    dialect.notices.append(DataIssue("AM306", (), notice))
    kept = frame.drop(index=frame.index[rows]).reset_index(drop=True)
    # Without the words of the header, the columns may be numbers after all.
    typed = kept.select_dtypes(include=["object", "str"])
    numbers = {}
    for column in typed.columns:
        if column not in dialect.codes:
            with contextlib.suppress(ValueError, TypeError):
                numbers[column] = pd.to_numeric(typed[column])
    return kept.assign(**numbers)


def _read_csv(
    stream: BinaryIO, dialect: _Dialect, options: Mapping[str, Any], name: str, text_columns: Collection[str]
) -> pd.DataFrame:
    stream.seek(0)
    if "usecols" not in options:
        options = {**options, "index_col": False}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return pd.read_csv(
                stream,
                **{"encoding": dialect.encoding, **options},
                header=0,
                names=dialect.names,
                dtype=dict.fromkeys(text_columns, "str"),
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
