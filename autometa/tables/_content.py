# ruff: noqa: RUF001 (letters of other scripts are meant)
"""What a file holds, told from its first bytes, and the encoding of its letters; a table as it was read."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import pandas as pd

from autometa.errors import DataError, DataIssue

# Lines with other characters than those of ASCII, up to so many bytes, tell the encoding.
_ENOUGH: Final = 50_000
# So many of these lines are UTF-8 where a few come from elsewhere.
_MOSTLY: Final = 0.9
# What tables are saved in; chardet knows more, of mainframes and of single regions, and takes them for these at times.
_OF_WINDOWS: Final = "cp1250 cp1251 cp1252 cp1253 cp1254 cp1255 cp1256 cp1257 cp1258 cp874"
_OF_STANDARDS: Final = (
    "iso8859-1 iso8859-2 iso8859-5 iso8859-6 iso8859-7 iso8859-8 iso8859-9 iso8859-13 iso8859-15"
)
_OF_MAC_AND_UNIX: Final = "mac-roman mac-latin2 mac-cyrillic mac-greek mac-turkish koi8-r koi8-u"
_OF_DOS: Final = "cp737 cp850 cp852 cp857 cp862 cp866"
_OF_EAST_ASIA: Final = "cp932 shift_jis_2004 euc_jis_2004 gb18030 big5hkscs cp949 euc_kr"
_CANDIDATES: Final = " ".join((_OF_WINDOWS, _OF_STANDARDS, _OF_MAC_AND_UNIX, _OF_DOS, _OF_EAST_ASIA)).split()
# Windows has the characters of these standards at the same places, and more.
_WIDER: Final = {"iso8859-1": "cp1252", "iso8859-9": "cp1254"}
_CALLED: Final = {
    "iso8859-1": "Latin-1",
    "koi8-r": "KOI8-R",
    "koi8-u": "KOI8-U",
    "cp932": "Shift-JIS",
    "shift_jis_2004": "Shift-JIS",
    "euc_jis_2004": "EUC-JP",
    "gb18030": "GB 18030",
    "big5hkscs": "Big5",
    "euc_kr": "EUC-KR",
}
# Of the West and of Central Europe, with the letters of Spanish at the same places but for one: where nothing else
# stands beyond ASCII, the text is Spanish, not Slovak of the one letter (a caron on n).
_TWINS: Final = {"cp1250": "cp1252", "iso8859-2": "cp1252", "mac-latin2": "mac-roman", "cp852": "cp850"}
_SPANISH: Final = frozenset("áéíóúüñÁÉÍÓÚÜÑ¿¡")
# So few characters tell nothing: what could be usual letters of the West is taken for these.
_FEW: Final = 12
_SIGNS: Final = frozenset("€£¥¢°±²³¹µ·¼½¾×÷§©®™•–—‘’‚“”„…«»ºª‰¡¿\u00a0")
_WESTERN: Final = frozenset("äöüßéèêëàâáãåæøçíîïñóòôõœúùûÿÄÖÜÉÈÀÁÅÆØÇÍÑÓÚ") | _SIGNS
# Within a word, only an apostrophe of English is a sign; on a Mac, these bytes are letters.
_WITHIN_WORD: Final = re.compile(r"(?<=[^\W\d_])(?!’(?:s|t|ll|re|ve|d|m)\b)[^\w\s\x00-\x7f](?=[^\W\d_])")
# Two letters of which the second is beyond ASCII and a small one follows; a small letter and one of another script.
# What hardly stands in words: control characters, lines and blocks of DOS, signs between letters.
_NO_WORD: Final = re.compile(
    r"[\x80-\x84\x86-\x9f]|(?<=[^\W\d_])(?:[\u00f7\u2500-\u259f]|[\xa1-\xb6\xb8-\xbf\xd7](?=[^\W\d_]))"
)
_BESIDE: Final = re.compile(r"([^\W\d_])([^\W\d_A-Za-z])(?=[a-z])|([a-z])([^\W\d_\x00-\u024f])")


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


def is_utf8(head: bytes, *, is_whole: bool) -> bool:
    """Whether the beginning of a text is UTF-8, of which the last character may be cut.

    Parameters
    ----------
    head : bytes
        The beginning.
    is_whole : bool
        Whether nothing follows.
    """
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head, final=is_whole)
    except UnicodeDecodeError:
        return False
    return True


def guess_encoding(lines: Iterable[bytes]) -> tuple[str, str]:
    """Return the encoding of text that is no UTF-8, and what it is called.

    chardet judges how often the letters of a language stand beside each other. Two habits of tables are told before: a
    few accents among much that is plain, and Spanish names.

    Parameters
    ----------
    lines : iterable of bytes
        Of the text, from its beginning.

    Returns
    -------
    (str, str)
        Python's name, and one for people. ``utf-8`` where nearly all lines are.
    """
    sample: list[bytes] = []
    size = 0
    for line in lines:
        if not line.isascii():
            sample.append(line[:_ENOUGH])
            size += len(sample[-1])
            if size > _ENOUGH:
                break
    n_utf8 = sum(is_utf8(line, is_whole=True) for line in sample)
    if n_utf8 >= _MOSTLY * len(sample) and n_utf8 > 0:
        return "utf-8", "UTF-8"
    found = _judge(b"\n".join(sample))
    called = _CALLED.get(found) or re.sub("^cp(?=125|874)", "Windows-", found)
    return found, re.sub("^cp", "code page ", called).replace("iso", "ISO ").replace("mac-", "Mac ")


def _judge(text: bytes) -> str:
    western = text.decode("cp1252", errors="replace")
    beyond = {character for character in western if not character.isascii()}
    is_few = sum(byte > 127 for byte in text) < _FEW
    if beyond <= (_WESTERN if is_few else _SIGNS) and not _WITHIN_WORD.search(western):
        return "cp1252"
    import chardet

    answers = chardet.detect_all(
        text, include_encodings=_CANDIDATES, compat_names=False, no_match_encoding="cp1252"
    )
    names = [str(answer["encoding"] or "cp1252") for answer in answers]  # none where it looks like no text
    found = next((name for name in names if _are_words(text, name)), names[0])
    twin = _TWINS.get(found)
    if twin:
        beyond = {c for c in text.decode(twin, errors="replace") if not c.isascii()}
        # The usual a of the West is the rarest letter of Central Europe.
        central = [c for c in text.decode(found, errors="replace") if not c.isascii()]
        if beyond <= _SPANISH or central.count("ŕ") > 0.05 * len(central):
            found = twin
    for name in (_WIDER.get(found, found), found):
        if _decodes(text, name):
            return name
    return "iso8859-1"


def _are_words(text: bytes, encoding: str) -> bool:
    """Whether hardly a letter beyond ASCII is a capital among small ones, or of another script than its neighbours."""
    decoded = text.decode(encoding, errors="replace")
    found = _BESIDE.findall(decoded)
    n_odd = sum(bool(other) or (letter.isupper() and before.islower()) for before, letter, _, other in found)
    n_odd += 5 * len(_NO_WORD.findall(decoded))
    return n_odd <= 0.1 * sum(not character.isascii() for character in decoded)


def _decodes(text: bytes, encoding: str) -> bool:
    try:
        text.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True
