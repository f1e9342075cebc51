"""Inputs for the fuzzing: tables, labels, text and damage, and what may come of them."""

from __future__ import annotations

import contextlib
import io
import random
import re
import warnings
from typing import Any

import pandas as pd
from hypothesis import strategies as st

from autometa.cli import main
from autometa.errors import AutometaError

ROWS = st.integers(1, 24)
_NAMES = ["a", "b c", "ü", "=x", "<b>", "1", "Unnamed: 0", "y_"]
_WORDS = ["", "x", "yes", "no", "NA", "1", "-2.5", "1e3", "2024-01-02", "=1+1", "ü", "9" * 25, " pad "]


def _column(n: int) -> st.SearchStrategy[Any]:
    floats = st.floats(allow_nan=True, allow_infinity=True, width=32)
    simple = {
        "float64": st.lists(floats, min_size=n, max_size=n).map(lambda v: pd.Series(v, dtype="float64")),
        "int64": st.lists(st.integers(-9, 2**40), min_size=n, max_size=n).map(pd.Series),
        "bool": st.lists(st.booleans(), min_size=n, max_size=n).map(pd.Series),
        "words": st.lists(st.sampled_from(_WORDS), min_size=n, max_size=n).map(lambda v: pd.Series(v, dtype=object)),
        "text": st.lists(st.text(max_size=6), min_size=n, max_size=n).map(lambda v: pd.Series(v, dtype="str")),
        "category": st.lists(st.sampled_from("uvw"), min_size=n, max_size=n).map(
            lambda v: pd.Series(v, dtype="category")
        ),
        "dates": st.lists(st.integers(0, 2**31), min_size=n, max_size=n).map(
            lambda v: pd.to_datetime(pd.Series(v), unit="s")
        ),
        "nullable": st.lists(st.none() | st.integers(-5, 5), min_size=n, max_size=n).map(
            lambda v: pd.Series(v, dtype="Int64")
        ),
        "missing": st.just(pd.Series([None] * n, dtype=object)),
        "durations": st.lists(st.integers(0, 10**6), min_size=n, max_size=n).map(
            lambda v: pd.to_timedelta(pd.Series(v), unit="s")
        ),
    }  # fmt: skip
    return st.sampled_from(sorted(simple)).flatmap(simple.__getitem__)


def _target(n: int) -> st.SearchStrategy[Any]:
    labels = [["no", "yes"], [0, 1], [True, False], ["a", "b", "c"], [-1.0, 1.0], ["=1", "NA"], ["", "x"]]
    classes = st.sampled_from(labels).flatmap(
        lambda of: st.lists(st.sampled_from(of), min_size=n, max_size=n)
    )
    numbers = st.lists(st.floats(-1e6, 1e6), min_size=n, max_size=n)
    odd = st.lists(st.none() | st.integers(0, 2) | st.text(max_size=2), min_size=n, max_size=n)
    return (classes | numbers | odd).map(lambda values: pd.Series(values, name="y"))


@st.composite
def tables(draw: Any) -> tuple[pd.DataFrame, pd.Series]:
    """Draw a table of mixed columns and a target."""
    n = draw(ROWS)
    names = draw(st.lists(st.sampled_from(_NAMES), min_size=1, max_size=4, unique=True))
    return pd.DataFrame({name: draw(_column(n)) for name in names}), draw(_target(n))


@st.composite
def texts(draw: Any) -> bytes:
    """Draw the bytes of something like a CSV."""
    width = draw(st.integers(1, 4))
    rows = draw(
        st.lists(
            st.lists(st.sampled_from([*_WORDS, '"q, r"', '"', "\t", "1e400"]), max_size=width + 1),
            max_size=10,
        )
    )
    separator = draw(st.sampled_from(",;\t|"))
    header = separator.join(["y", "a", "b", "c"][:width])
    text = "\n".join([header, *(separator.join(row) for row in rows)])
    return text.encode(draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "latin-1"])))


def outcome(function: Any, *arguments: Any, **options: Any) -> str:
    """Call a function and return the code of the error that it raises on purpose; empty where it answers."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            function(*arguments, **options)
    except AutometaError as error:
        return error.code if "\n" not in str(error) else "a message of many lines"
    return ""


def command(*arguments: str) -> tuple[int, str]:
    """Run the command line in this process; return its exit code and the code of its error."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        code = main(list(arguments))
    text = err.getvalue()
    assert code in (0, 1, 2), text
    assert "Traceback" not in text, text
    assert "unexpected" not in text, text
    found = re.findall(r"^error: [^\n]* \[(AM\d{3})\]$", text, flags=re.MULTILINE)
    assert len(found) == (code != 0), text
    return code, found[0] if found else ""


def mutated(content: bytes, seed: int) -> bytes:
    """Damage bytes as transfers, editors and people with intentions do."""
    chance = random.Random(seed)
    damaged = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(damaged) + 1)
        kind = chance.randrange(6)
        if kind == 0 and place < len(damaged):
            damaged[place] ^= 1 << chance.randrange(8)
        elif kind == 1:
            damaged[place : place + chance.randint(1, 40)] = b""
        elif kind == 2:
            damaged[place:place] = chance.choice(
                [b"9" * 400, b"inf", b"\0", b"\n\n", b'"', b",,,", b"\xff\xfe", b"NaN"]
            )
        elif kind == 3:
            damaged[place:place] = damaged[chance.randrange(len(damaged) + 1) :][:60]
        elif kind == 4 and chance.random() < 0.2:
            del damaged[place:]
        else:
            damaged[place : place + 1] = bytes([chance.randrange(256)])
        if not damaged:
            damaged = bytearray(b"\n")
    return bytes(damaged)
