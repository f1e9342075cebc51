"""What a file holds, told from its first bytes; a table as it was read; words about both."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pandas as pd

from autometa.errors import DataError, DataIssue


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


def encoding_of(head: bytes) -> str:
    """Return the encoding that the first bytes show; text of two bytes a character often comes without its mark."""
    if head[:4] in (b"\xff\xfe\0\0", b"\0\0\xfe\xff"):
        return "utf-32"
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    start = head[:4096]
    if b"\0" in start:
        # Line breaks, separators and digits have a byte of zero in UTF-16, three in UTF-32, whatever the script.
        for encoding in ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be"):
            if _is_plain_text(start[: len(start) // 4 * 4], encoding):
                return encoding
    return "utf-8-sig"


def _is_plain_text(start: bytes, encoding: str) -> bool:
    """Whether bytes are lines of characters that can be printed."""
    try:
        text = start.decode(encoding)
    except UnicodeDecodeError:
        return False
    others = sum(not character.isprintable() for character in text.translate(_LAYOUT))
    return "\n" in text and others == 0


_LAYOUT: Final = dict.fromkeys(map(ord, "\t\r\n\ufeff"))
# How files of other formats begin, and what is to be done with them.
_OTHER_FORMATS: Final = (
    (b"PAR1", "Parquet, not text", "Give it the suffix .parquet."),
    (b"ARROW1", "Feather, not text", "Give it the suffix .feather."),
    (b"\x1f\x8b", "packed by gzip", "Give it the suffix .csv.gz."),
    (b"PK\x03\x04", "a workbook or an archive, not text", "Save the table as CSV; an archive ends in .zip."),
    (b"\xd0\xcf\x11\xe0", "a workbook, not text", "Save the table as CSV."),
    (b"<!DOCTYPE", "a page of the web, not a table", "Download the table itself."),
    (b"<HTML", "a page of the web, not a table", "Download the table itself."),
    (b"<?XML", "XML, not delimited text", "Save the table as CSV."),
    (b"%PDF-", "a page to print, not a table", "Export the table itself."),
    (b"{", "JSON, not delimited text", "Save the table as CSV."),
    (b"[", "JSON, not delimited text", "Save the table as CSV."),
)


def refuse_other_formats(head: bytes, encoding: str, name: str) -> None:
    start = head[:64].lstrip(b"\xef\xbb\xbf \t\r\n").upper()
    for magic, what, cure in _OTHER_FORMATS:
        is_json = magic in (b"{", b"[") and not re.match(rb"[{\[]\s*[\[{\"]", start)
        if start.startswith(magic) and not is_json:
            raise DataError("AM113", f"{shown(name)} is {what}.", cure)
    if encoding == "utf-8-sig" and b"\0" in head[:8192]:
        raise DataError("AM113", f"{shown(name)} is binary, not text.", "Export the table as CSV or Parquet.")


def too_wide(name: str, width: int, max_columns: int) -> DataError:
    return DataError(
        "AM115",
        f"{shown(name)} has {width} columns, more than {max_columns}.",
        "Leave some out, or check the separator.",
    )


def check_unique(names: Sequence[str], where: str) -> None:
    positions: dict[str, list[int]] = {}
    for i, label in enumerate(names):
        positions.setdefault(label, []).append(i)
    for label, found in positions.items():
        if len(found) > 1:
            raise duplicate(where, label, found)


def duplicate(where: str, label: str, positions: Sequence[int]) -> DataError:
    return DataError(
        "AM301",
        f"column name {label!r} stands {len(positions)} times in {shown(where)} (positions {list(positions)[:5]}).",
        "Rename the columns; if the first line is data, add a header above it.",
    )


def listed_names(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:10])) + (f" and {len(names) - 10} more" if len(names) > 10 else "")


def shown(name: str) -> str:
    return name if name == "standard input" else "standard input" if name == "-" else repr(name)


def reason(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())[:200].rstrip(".")
