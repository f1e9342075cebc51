# ruff: noqa: RUF001 (letters of other scripts are meant)
"""The encoding of text that is no UTF-8, told from its bytes."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable
from typing import Final

# Lines with other characters than those of ASCII, up to so many bytes, tell the encoding.
_ENOUGH: Final = 50_000
# So many of these lines are UTF-8 where a few come from elsewhere.
_MOSTLY: Final = 0.9
_CALLED: Final = {"cp1252": "Windows-1252", "latin-1": "Latin-1"}
# Between letters no Western text has these superscripts and currencies; in Windows-1250 they are Polish letters.
_CENTRAL_EUROPEAN: Final = re.compile(
    rb"(?<=[A-Za-z\xc0-\xff])[\xa5\xaf\xb3\xb9\xbf](?=[a-z\xd3\xf3])|\xa3(?=[a-z\xd3\xf3])"
)


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

    Where bytes beyond ASCII mostly stand alone among letters, the text is of Western Europe. Other scripts have them in
    runs: what looks most like Russian or Greek words, or has the most of the usual signs of Japanese, Chinese and
    Korean, is taken.

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
    text = b"\n".join(sample)
    found = _other_script(text) or ("cp1250" if len(_CENTRAL_EUROPEAN.findall(text)) > 1 else "cp1252")
    try:
        text.decode(found)
    except UnicodeDecodeError:
        found = "latin-1"
    return found, _CALLED.get(found, re.sub("^cp125", "Windows-125", found))


def _other_script(text: bytes) -> str | None:
    """Return the encoding of a text of other letters than Latin ones; None where it seems to have none."""
    runs = _RUN.findall(text)
    n_alone = sum(len(run) == 1 for run in runs)
    if n_alone > 0.5 * sum(map(len, runs)) and not _NO_WESTERN.search(text):
        return None
    scores: dict[str, float] = {}
    for encoding in (*_ALPHABETS, *_COMMON):
        try:
            decoded = text.decode(encoding)
        except UnicodeDecodeError:
            continue
        scores[encoding] = (
            _score_words(decoded, encoding) if encoding in _ALPHABETS else _score_signs(decoded, encoding)
        )
    best = max(scores, key=scores.__getitem__, default="")
    return best if best and scores[best] > _LIKELY else None


_RUN: Final = re.compile(rb"[\x80-\xff]+")
# Bytes that stand for nothing in Windows-1252.
_NO_WESTERN: Final = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")
_LIKELY: Final = 0.5
# The first and the last letter of an alphabet, and those that make up three quarters of a text.
_RUSSIAN: Final = ("А", "я", frozenset("оеаинтсрвлкм"))
_GREEK: Final = ("Ά", "ώ", frozenset("αοιετσνηυρπκμλςάόίέήύώ"))
_ALPHABETS: Final = {"cp1251": _RUSSIAN, "koi8_r": _RUSSIAN, "cp866": _RUSSIAN, "cp1253": _GREEK}
_USUAL_SHARE: Final = 0.6
# The first bytes of the usual signs, in the standard that lists these first: kana and the kanji of level 1; the hanzi
# of level 1, simplified and traditional; the syllables of Hangul.
_COMMON: Final = {
    "cp932": ("euc_jp", ((0xA4, 0xA5), (0xB0, 0xCF))),
    "euc_jp": ("euc_jp", ((0xA4, 0xA5), (0xB0, 0xCF))),
    "gb18030": ("gb2312", ((0xB0, 0xD7),)),
    "big5": ("big5", ((0xA4, 0xC6),)),
    "cp949": ("euc_kr", ((0xB0, 0xC8),)),
}
# Of two that fit alike, Hangul, whose signs are all in a range that hanzi share, and Japanese, which has kana.
_PREFERRED: Final = {"cp949": 1.0, "cp932": 0.99, "euc_jp": 0.97, "gb18030": 0.98, "big5": 0.97}


def _score_words(text: str, encoding: str) -> float:
    """Return how much a text looks like words: letters of one alphabet, usual ones, capitals where they belong."""
    first, last, usual = _ALPHABETS[encoding]
    words = [word for word in re.findall(r"[^\W\d_]+", text) if not word.isascii()]
    others = sum(not (character.isascii() or character.isalpha()) for character in text)
    letters = "".join(words)
    if not letters:
        return 0.0
    within = sum(first <= letter <= last for letter in letters) / (len(letters) + others)
    regular = sum(len(word) for word in words if word[1:].islower() or word[1:] == "" or word.isupper())
    share = sum(letter in usual for letter in letters.lower()) / len(letters)
    return within * regular / len(letters) * min(share / _USUAL_SHARE, 1.0)


def _score_signs(text: str, encoding: str) -> float:
    """Return how many of the signs of a text of East Asia are usual ones."""
    standard, ranges = _COMMON[encoding]
    signs = [character for character in text if not character.isascii()]
    n_common = n_kana = 0
    for sign in signs:
        lead = sign.encode(standard, errors="ignore")[:1]
        n_common += any(lead and low <= lead[0] <= high for low, high in ranges)
        n_kana += "\u3040" <= sign <= "\u30ff" or "\uff66" <= sign <= "\uff9f"
    if encoding in ("cp932", "euc_jp") and n_kana > 0.05 * len(signs):
        return 1.0 if n_common + n_kana >= 0.9 * len(signs) else n_common / len(signs)
    return _PREFERRED[encoding] * n_common / max(len(signs), 1)
