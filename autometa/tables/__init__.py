"""Reading tables as people have them: delimited text of any flavour, Parquet, Feather, ARFF; local files only.

The way of a table through this folder:

- here and in ``_content``, ``_delimited``, ``_formats``: a file becomes a DataFrame;
- ``frames``: so does whatever people hold in memory;
- ``columns``: what each column means, by what its ``cells`` hold: ``numbers``, ``_dates``, words;
- ``readings``: how cells are read, by names from a closed list of ``functions`` that pipelines and model files hold;
- ``matching``: new rows in the same form;
- ``target``: the column that is asked for, and what kind of problem it makes.
"""

from __future__ import annotations

import bz2
import contextlib
import difflib
import gzip
import io
import lzma
import re
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from autometa.errors import DataError, without_passwords
from autometa.tables._content import Table, listed_names, reason, shown, too_wide
from autometa.tables._delimited import Wanted, read_text
from autometa.tables._formats import READERS

__all__ = ["Table", "read_table"]

# Unpacked: what memory of today holds as text beside its DataFrame. More columns than that are rows, written sideways.
MAX_BYTES: Final = 4 * 1000**3
MAX_COLUMNS: Final = 100_000
TEXT_SUFFIXES: Final = (".csv", ".tsv", ".tab", ".txt", ".data", ".dat")
OTHER_SUFFIXES: Final = (".parquet", ".pq", ".feather", ".arrow", ".arff")
PACKED_SUFFIXES: Final = (".gz", ".bz2", ".xz", ".zip")
_BLOCK_BYTES: Final = 1 << 20  # unpacked at a time, so that a bomb is noticed early
_IN_PYTHON: Final = "Read it in Python ({}) and pass the frame, or save it as CSV or Parquet."
# What people have beside these, and how to come from there.
_NOT_READ: Final = (
    (
        (".xlsx", ".xls", ".xlsm", ".xlsb", ".ods"),
        "a workbook",
        "Save its sheet as CSV, or pass what pandas.read_excel gives.",
    ),
    ((".json", ".jsonl", ".ndjson"), "JSON", _IN_PYTHON.format("pandas.read_json")),
    ((".sav", ".por"), "a file of SPSS", _IN_PYTHON.format("pandas.read_spss")),
    ((".dta",), "a file of Stata", _IN_PYTHON.format("pandas.read_stata")),
    ((".sas7bdat", ".xpt"), "a file of SAS", _IN_PYTHON.format("pandas.read_sas")),
    ((".h5", ".hdf", ".hdf5"), "HDF5", _IN_PYTHON.format("pandas.read_hdf")),
    (
        (".pkl", ".pickle", ".joblib", ".npy", ".npz", ".rds", ".rda", ".rdata"),
        "made for one program",
        "Save it as CSV or Parquet there.",
    ),
    ((".db", ".sqlite", ".sqlite3"), "a database", _IN_PYTHON.format("pandas.read_sql")),
    ((".zst", ".7z", ".rar", ".tar"), "packed by a program whose files are", "Unpack it first."),
)


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
        archive. Delimited text may use any of ``, ; | tab : ~ ^`` or spaces, UTF-8, UTF-16, UTF-32, or an older
        encoding that its letters tell; empty cells, ``?`` and what pandas takes for missing are missing. Columns of
        numbers with zeros in front stay text.
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
        content = _read_up_to(sys.stdin.buffer, max_bytes)
        _check_size(len(content), max_bytes, "standard input")
        wanted = Wanted(text_columns, target, max_columns)
        table = read_text(io.BytesIO(content), "standard input", ",", wanted)
    else:
        table = _read_file(_find(name), name, max_bytes, Wanted(text_columns, target, max_columns))
    frame = table.frame
    if frame.shape[1] > max_columns:
        raise too_wide(name, frame.shape[1], max_columns)
    if frame.shape[0] == 0:
        raise DataError("AM201", f"{shown(name)} has a header and no rows.", "Check how the file was made.")
    return table


# -- files ---------------------------------------------------------------------------------------------------------


def _find(name: str) -> Path:
    if re.match(r"^[A-Za-z][A-Za-z0-9+.-]+://", name):
        shown = without_passwords(repr(name))
        raise DataError("AM116", f"{shown} is an address; only local files are read.", "Download it first.")
    path = Path(name)
    try:
        if path.is_dir():
            raise DataError("AM113", f"{name!r} is a folder.", "Name a file in it.")
        if path.exists():
            return path
        around = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else None
    except (OSError, ValueError) as error:
        raise DataError(
            "AM113", f"{name!r} cannot be read: {reason(error)}.", "Check the path and its permissions."
        ) from error
    if around is None:
        raise DataError(
            "AM112",
            f"there is no file {name!r}: the folder {str(path.parent)!r} does not exist.",
            "Check the path.",
        )
    if path.is_symlink():
        raise DataError("AM112", f"{name!r} is a link to nothing.", "Check where it leads.")
    close = difflib.get_close_matches(path.name, around, n=1)
    raise DataError(
        "AM112", f"there is no file {name!r}.", f"Did you mean {close[0]!r}?" if close else "Check the path."
    )


def _read_file(path: Path, name: str, max_bytes: int, wanted: Wanted) -> Table:
    suffix = path.suffix.lower()
    is_regular = path.is_file()
    packing = suffix if suffix in PACKED_SUFFIXES else ""
    if packing == ".zip":
        suffix = _suffix_in_zip(path, name)
    elif packing:
        suffix = path.with_suffix("").suffix.lower()
    if is_regular and suffix not in (*TEXT_SUFFIXES, *OTHER_SUFFIXES):
        cure = f"Use one of: {', '.join((*TEXT_SUFFIXES, *OTHER_SUFFIXES))}."
        for suffixes, what, how in _NOT_READ:
            if suffix in suffixes:
                raise DataError("AM114", f"{name!r} is {what}, which is not read.", how)
        raise DataError(
            "AM114",
            f"{name!r} has the suffix {suffix!r}, which is not a known format."
            if suffix
            else f"{name!r} has no suffix.",
            cure,
        )
    try:
        with path.open("rb") as opened, contextlib.ExitStack() as stack:
            # A pipe, such as <(...) of a shell, can be read only once.
            stream: BinaryIO = opened if is_regular else io.BytesIO(_read_up_to(opened, max_bytes))
            if packing:
                stream = stack.enter_context(_unpack(stream, packing, name, max_bytes))
            size = stream.seek(0, io.SEEK_END)
            stream.seek(0)
            _check_size(size, max_bytes, repr(name))
            if size == 0:
                raise DataError("AM201", f"{name!r} is empty.", "Check how the file was made.")
            if suffix in OTHER_SUFFIXES:
                return READERS[suffix](stream, name)
            separator = "\t" if suffix in (".tsv", ".tab") else ","
            return read_text(stream, name, separator, wanted)
    except OSError as error:
        raise DataError(
            "AM113", f"{name!r} cannot be read: {reason(error)}.", "Check its permissions."
        ) from error


def _read_up_to(stream: BinaryIO, max_bytes: int) -> bytes:
    """Read a little more than the limit at most; asked for at once, all of it would be allocated."""
    blocks = []
    size = 0
    while size <= max_bytes and (block := stream.read(_BLOCK_BYTES)):
        blocks.append(block)
        size += len(block)
    return b"".join(blocks)


def _suffix_in_zip(path: Path, name: str) -> str:
    """Return the suffix of the one file in an archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            return Path(_one_member(archive, name).filename).suffix.lower()
    except (OSError, zipfile.BadZipFile) as error:
        raise _cannot_unpack(name, error) from error


def _one_member(archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    members = [
        member
        for member in archive.infolist()
        if not (member.is_dir() or member.filename.startswith("__MACOSX/"))
        and not Path(member.filename).name.startswith(".")
    ]
    if len(members) != 1:
        shown = listed_names([member.filename for member in members[:5]]) or "nothing"
        raise DataError(
            "AM113", f"{name!r} holds {len(members)} files ({shown}), not one table.", "Unpack it first."
        )
    if members[0].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2):
        raise DataError("AM113", f"{name!r} is packed in an unusual way.", "Pack it as zip usually does.")
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

# Of the dictionary that an xz file asks for; the highest preset of xz takes 65 MB.
_XZ_MEMORY: Final = 300_000_000


class _Xz(contextlib.AbstractContextManager["_Xz"]):
    """Reads xz within a limit of memory: LZMAFile takes what the file asks for, up to 4 GB."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._rest = b""
        self._decompressor = lzma.LZMADecompressor(memlimit=_XZ_MEMORY)

    def __exit__(self, *_: object) -> None:
        return None

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes; none at the end."""
        while True:
            if self._decompressor.eof:
                self._rest = (self._decompressor.unused_data or self._stream.read(_BLOCK_BYTES)).lstrip(b"\0")
                if not self._rest:
                    return b""
                self._decompressor = lzma.LZMADecompressor(memlimit=_XZ_MEMORY)  # files one after another
            elif self._decompressor.needs_input and not self._rest:
                self._rest = self._stream.read(_BLOCK_BYTES)
                if not self._rest:
                    raise EOFError("Compressed file ended before the end-of-stream marker was reached")
            packed, self._rest = self._rest, b""
            if block := self._decompressor.decompress(packed, max_length=size):
                return block


_OPENERS: Final[dict[str, Callable[[BinaryIO], Any]]] = {
    ".gz": lambda stream: gzip.GzipFile(fileobj=stream),
    ".bz2": bz2.BZ2File,
    ".xz": lambda stream: _Xz(stream),
}


def _cannot_unpack(name: str, error: Exception) -> DataError:
    return DataError("AM113", f"{name!r} cannot be unpacked: {reason(error)}.", "Check how it was made.")


def _check_size(size: int, max_bytes: int, what: str) -> None:
    if size > max_bytes:
        raise DataError(
            "AM115", f"{what} is larger than {max_bytes / 1e9:.3g} GB.", "Take a sample of its rows."
        )
