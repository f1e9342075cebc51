"""Parquet, Feather and ARFF as a table."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO, Final

import pandas as pd

from autometa.errors import DataError, DataIssue, DependencyError, how_to_install
from autometa.tables._content import Table, check_unique, duplicate, encoding_of, guess_encoding, reason
from autometa.tables.frames import with_decoded_text

# As floats they take 4 GB, which is the limit of other files.
MAX_CELLS: Final = 500_000_000
MAX_TEXT_BYTES: Final = 4 * 1000**3


def _read_binary(stream: BinaryIO, name: str, reader: Callable[[BinaryIO], pd.DataFrame], kind: str) -> Table:
    try:
        frame = with_decoded_text(reader(stream))
    except DataError:
        raise
    except Exception as error:
        # pyarrow and pandas raise many kinds of errors on damaged files.
        raise DataError(
            "AM113", f"{name!r} cannot be read as {kind}: {reason(error)}.", "Check how the file was made."
        ) from error
    # A named index is a column that pandas set aside when the file was written.
    frame = frame.reset_index(drop=all(level is None for level in frame.index.names))
    return Table(_check_unique(frame, name), code=f"pd.read_{kind.lower()}({name!r})")


def _check_unique(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise duplicate(
            name, str(twice[0]), [i for i, column in enumerate(frame.columns) if column == twice[0]]
        )
    return frame


def _read_parquet(stream: BinaryIO, name: str) -> Table:
    def read(stream: BinaryIO) -> pd.DataFrame:
        import pyarrow.parquet

        # A dataset, by which pandas reads, refuses names that stand twice in words of its own.
        opened = pyarrow.parquet.ParquetFile(stream)
        check_unique(list(opened.schema_arrow.names), name)
        meta = opened.metadata
        n_cells, n_bytes, long = _sizes(meta)
        # A column that is the same in all rows takes no room in the file, and all of it in memory.
        if max(meta.num_rows * meta.num_columns, n_cells) > MAX_CELLS:
            what = f"{name!r} has {meta.num_rows:,} rows of {meta.num_columns:,} columns."
            raise DataError("AM115", what, "Take a sample of its rows.")
        if n_bytes > MAX_TEXT_BYTES or (long and n_bytes + _text_bytes(stream, long) > MAX_TEXT_BYTES):
            what = f"{name!r} holds more than {MAX_TEXT_BYTES / 1e9:.3g} GB of text."
            raise DataError("AM115", what, "Take a sample of its rows.")
        stream.seek(0)
        try:
            return pd.read_parquet(stream)
        except TypeError:  # pandas does not know again every type that it wrote down
            return pyarrow.parquet.ParquetFile(stream).read().to_pandas(ignore_metadata=True)

    return _read_binary(stream, name, read, "Parquet")


def _sizes(meta: Any) -> tuple[int, int, list[str]]:
    """Return how many cells a Parquet file holds, nested ones too, bytes of fixed length, and columns of much text.

    A chunk tells what its values take as they are written, which is no bound: one long value may stand in all rows.
    """
    n_cells = n_bytes = 0
    most: dict[str, int] = {}
    for group in (meta.row_group(i) for i in range(meta.num_row_groups)):
        for i in range(meta.num_columns):
            chunk = group.column(i)
            n_cells += chunk.num_values
            if chunk.physical_type == "FIXED_LEN_BYTE_ARRAY":
                n_bytes += chunk.num_values * meta.schema.column(i).length
            elif chunk.physical_type == "BYTE_ARRAY":
                path = chunk.path_in_schema
                most[path] = most.get(path, 0) + chunk.num_values * chunk.total_uncompressed_size
    long = list(most) if sum(most.values()) > MAX_TEXT_BYTES else []
    return n_cells, n_bytes, long


def _text_bytes(stream: BinaryIO, columns: Sequence[str]) -> int:
    """Count the bytes of text columns without writing each value out, up to a little beyond the limit."""
    import pyarrow.compute
    import pyarrow.parquet

    stream.seek(0)
    opened = pyarrow.parquet.ParquetFile(stream, read_dictionary=list(columns))
    n_bytes = 0
    for group in range(opened.metadata.num_row_groups):
        for column in columns:
            for chunk in opened.read_row_group(group, columns=[column]).column(0).chunks:
                if isinstance(chunk, pyarrow.DictionaryArray):
                    lengths = pyarrow.compute.binary_length(chunk.dictionary).cast("int64")
                    n_bytes += pyarrow.compute.sum(lengths.take(chunk.indices)).as_py() or 0
                else:
                    n_bytes += chunk.nbytes
            if n_bytes > MAX_TEXT_BYTES:
                return n_bytes
    return n_bytes


def _read_feather(stream: BinaryIO, name: str) -> Table:
    def read(stream: BinaryIO) -> pd.DataFrame:
        import pyarrow

        if stream.read(4) != b"\xff\xff\xff\xff":
            stream.seek(0)
            _check_feather(stream, name)
            stream.seek(0)
            return pd.read_feather(stream)
        stream.seek(0)  # a stream of record batches, which Arrow writes as well
        with pyarrow.ipc.open_stream(stream) as batches:
            return batches.read_all().to_pandas()

    return _read_binary(stream, name, read, "Feather")


def _check_feather(stream: BinaryIO, name: str) -> None:
    """Look at the first column alone, of which the number of rows is that of the others."""
    import pyarrow.ipc

    if stream.read(6) != b"ARROW1":
        return  # of the first version, which is not packed
    stream.seek(0)
    names = pyarrow.ipc.open_file(stream).schema.names
    if not names:
        return
    options = pyarrow.ipc.IpcReadOptions(included_fields=[0])
    stream.seek(0)
    opened = pyarrow.ipc.open_file(stream, options=options)
    n_rows = 0
    for i in range(opened.num_record_batches):
        n_rows += opened.get_batch(i).num_rows
        if n_rows * len(names) > MAX_CELLS:
            what = f"{name!r} has more than {n_rows:,} rows of {len(names):,} columns."
            raise DataError("AM115", what, "Take a sample of its rows.")


def _read_arff(stream: BinaryIO, name: str) -> Table:
    try:
        import arff
    except ImportError as error:
        raise DependencyError(
            "AM701",
            "reading ARFF needs the package liac-arff.",
            how_to_install("arff"),
        ) from error
    text, notices = _plain_rows(_text_of(stream.read()))
    try:
        parsed = arff.loads(_plain_attributes(text))
    except Exception as error:
        # liac-arff raises its own errors and, on odd input, whatever Python raises inside its parser.
        raise DataError(
            "AM113", f"{name!r} cannot be read as ARFF: {reason(error)}.", "Check how the file was made."
        ) from error
    names = [attribute.strip() for attribute, _ in parsed["attributes"]]
    check_unique(names, name)
    frame = pd.DataFrame(parsed["data"], columns=names)
    for column, (_, kind) in zip(names, parsed["attributes"], strict=True):
        if isinstance(kind, list):
            frame[column] = pd.Categorical(frame[column], categories=list(dict.fromkeys(kind)))
        elif str(kind).upper() in ("NUMERIC", "REAL", "INTEGER"):
            frame[column] = pd.to_numeric(frame[column])
    code = f"pd.DataFrame((table := arff.load(open({name!r})))['data'], columns=[a for a, _ in table['attributes']])"
    return Table(frame, notices, code)


def _text_of(content: bytes) -> str:
    """Decode text, whatever its encoding."""
    try:
        return content.decode(encoding_of(content))
    except UnicodeDecodeError:
        encoding, _ = guess_encoding(content.splitlines())
        return content.decode(encoding, errors="backslashreplace")


def _plain_rows(text: str) -> tuple[str, tuple[DataIssue, ...]]:
    """Take off what liac-arff does not know: comments at the end of rows, and weights of rows."""
    parts = re.split(r"(?im)(^[ \t]*@data[^\n]*$)", text, maxsplit=1)
    if len(parts) < 3:
        return text, ()
    header, data, rows = parts
    rows = _COMMENT.sub(lambda found: found[1] or "", rows)
    rows, n_weights = _WEIGHT.subn("", rows)
    what = f"weights of {n_weights} row(s) were left out."
    return header + data + rows, (DataIssue("AM306", (), what),) if n_weights else ()


def _plain_attributes(text: str) -> str:
    """Write the attributes as liac-arff knows them: without ranges, with dates as text, with spaces for tabs."""
    header, data, rows = (
        re.split(r"(?im)(^[ \t]*@data[^\n]*$)", text, maxsplit=1) if _DATA.search(text) else (text, "", "")
    )
    header = re.sub(r"(?im)^[ \t]*(@\w+)[ \t]+", r"\1 ", header).replace("\t", " ")
    header = _RANGE.sub(r"\1", header)
    header = _DATE_ATTRIBUTE.sub(r"\1 STRING", header)
    header = _REMARK.sub(r"\1", header)
    return header + ("@DATA" if data else "") + rows


# Spaces here are none that end a line: of thousands of blank lines, each would be looked through from each.
# A quoted value, in which a percent sign is one, or a comment.
_COMMENT: Final = re.compile(r"""('(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*")|%[^\n]*""")
_WEIGHT: Final = re.compile(r"(?m)(?<=[^\s,{]),[ \t]*\{[ \t]*\d+(?:\.\d*)?[ \t]*\}[ \t]*(?=\r?$)")
_DATA: Final = re.compile(r"(?im)^[ \t]*@data\b")
_NAME: Final = r"""(?:'[^'\n]*'|"[^"\n]*"|[^\s'"{]+)"""
_RANGE: Final = re.compile(
    rf"(?im)^([ \t]*@attribute[ \t]+{_NAME}[ \t]+(?:numeric|real|integer))[ \t]*[\[(][^\n\])]*[\])][^\n]*$"
)
_REMARK: Final = re.compile(
    rf"(?im)^([ \t]*@attribute[ \t]+{_NAME}[ \t]+(?:\w+|\{{[^}}\n]*\}}))[ \t]+%[^\n]*$"
)
_DATE_ATTRIBUTE: Final = re.compile(rf"(?im)^([ \t]*@attribute[ \t]+{_NAME})[ \t]+date\b[^\n]*$")


READERS: Final[dict[str, Callable[[BinaryIO, str], Table]]] = {
    ".parquet": _read_parquet,
    ".pq": _read_parquet,
    ".feather": _read_feather,
    ".arrow": _read_feather,
    ".arff": _read_arff,
}
