"""Inputs for the fuzzing: tables, labels, text and damage, and what may come of them."""

from __future__ import annotations

import contextlib
import datetime as dt
import faulthandler
import functools
import io
import random
import re
import signal
import warnings
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from hypothesis import strategies as st

from autometa.cli import main
from autometa.errors import AutometaError

ROWS = st.integers(1, 24) | st.integers(8, 24)
_NAMES: list[Any] = [
    "a", "b c", "\u00fc", "=x", "<b>", "1", "Unnamed: 0", "y_", 1, 1.5, ("p", "q"), None, "a\nb", "x" * 300
]  # fmt: skip
_WORDS = ["", "x", "yes", "no", "NA", "1", "-2.5", "1e3", "2024-01-02", "=1+1", "\u00fc", "9" * 25, " pad "]
_HABITS = [
    "1,163.74", "1.163,74", "$1,200", "12.5%", "(1,234)", "1.5M", "10 kg", "250 g", "-", "n.a.", "<5",
    "09:30", "1:05 PM", "3 days 04:05:06", "PT5M", "1h 30m", "12-Jan-2024", "31/12/2024", "01/02/2024",
    "2020Q3", "2020-W05", "1st May 2024", "2024-01-05 10:00 CET", "~5", "\u00a07\u00a0", "TRUE", "false",
    "1 year", "2 years", "1st", "3/5", "4 out of 5", "±5", "5 ± 1", "7[2]", "#7", "No. 7", "1.5 x 10^3", "2D+01",
    "７", "۷", "'7", '="7"', "\ufeff7", "5 Mrd. €", "2 lakh", "7°S", "7°N", "½", "9am", "9.30 pm",  # noqa: RUF001
    "2h30", "1:02.5", "10:00+02:00", "1. März 2024", "3 de mayo de 2024", "2024年1月2日", "01JAN2024", "2024/5",
    "2008/09", "2024H1", "2024M05", "Q1-98", "2024-W5", "20240131", "1700000000", "Wed Jan 3 10:00:00 2024 +0200",
    "2024-01-05 10:00:00,123", "5'11\"", "6 ft 2 in", "10-20", "$10 to $20", "under 5", "100+", "10+ years", "5.-",
    "2024-01-05 10:00 Europe/Berlin", "2024-07-05T10:00:00+02:00[Europe/Berlin]", "5 (4-6)", "0.05*", "3万",
    "January 10", "May 3, 2024 at 1:30 PM", "0123", "9" * 400, "1e400", "inf", "\u0663", "a\ud800",
]  # fmt: skip
_OBJECTS = [
    None, True, 1, -2.5, float("nan"), float("inf"), "x", "7", b"\xff", b"a", 1j, (1, "a"), [1], {"a": 1}, {2},
    Decimal("1.5"), Decimal("NaN"), Fraction(1, 3), 10**400, 2**63, dt.date(2020, 1, 2), dt.datetime(2020, 1, 2, 3),
    dt.datetime(2020, 1, 2, tzinfo=dt.UTC), dt.time(3, 4), dt.timedelta(hours=5), pd.NaT, pd.NA,
    pd.Period("2020-01", "M"), pd.Interval(0, 1), np.datetime64("2020-01-02"), np.float32(2.5), "a\ud800",
]  # fmt: skip


def _of(values: st.SearchStrategy[Any], n: int, make: Any = pd.Series) -> st.SearchStrategy[Any]:
    return st.lists(values, min_size=n, max_size=n).map(make)


def _objects(values: list[Any]) -> pd.Series:
    series = pd.Series([None] * len(values), dtype=object)
    for i, value in enumerate(values):
        series.iloc[i] = value
    return series


def _arrow(kind: Any) -> Any:
    return lambda values: pd.Series(pd.array(values, dtype=pd.ArrowDtype(kind)))


@functools.cache
def _column(n: int) -> st.SearchStrategy[Any]:
    floats = st.floats(allow_nan=True, allow_infinity=True)
    small = st.integers(0, 3)
    maybe = st.none() | small
    one_kind = st.sampled_from(_OBJECTS).flatmap(
        lambda value: _of(st.sampled_from([value, value, None]), n, _objects)
    )
    columns: dict[str, Any] = {
        "float64": _of(floats, n, lambda v: pd.Series(v, dtype="float64")),
        "float32": _of(st.floats(width=32), n, lambda v: pd.Series(v, dtype="float32")),
        "int64": _of(st.integers(-(2**63), 2**63 - 1) | small, n, lambda v: pd.Series(v, dtype="int64")),
        "uint64": _of(st.integers(0, 2**64 - 1), n, lambda v: pd.Series(v, dtype="uint64")),
        "bool": _of(st.booleans(), n),
        "complex": _of(st.complex_numbers(), n),
        "words": _of(st.sampled_from(_WORDS), n, lambda v: pd.Series(v, dtype=object)),
        "habits": _of(st.sampled_from(_HABITS), n, lambda v: pd.Series(v, dtype=object)),
        "one habit": st.sampled_from(_HABITS).flatmap(
            lambda habit: _of(st.sampled_from([habit] * 3 + ["7", None]), n, lambda v: pd.Series(v, dtype=object))
        ),
        "text": _of(st.text(max_size=6), n, lambda v: pd.Series(v, dtype=object)),
        "category": _of(st.sampled_from("uvw"), n, lambda v: pd.Series(v, dtype="category")),
        "days as numbers": _of(st.integers(20240101, 20240131), n),
        "moments": _of(st.integers(1_600_000_000, 1_700_000_000), n),
        "float16": _of(st.floats(width=16), n, lambda v: pd.Series(v, dtype="float16")),
        "truth and numbers": _of(st.sampled_from([True, False, 1.5, 2]), n, lambda v: pd.Series(v, dtype=object)),
        "numbers as categories": _of(small, n, lambda v: pd.Series(v, dtype="category")),
        "dates as categories": _of(small, n, lambda v: pd.to_datetime(pd.Series(v), unit="D").astype("category")),
        "dates": _of(st.integers(-(2**33), 2**33), n, lambda v: pd.to_datetime(pd.Series(v), unit="s")),
        "zones": _of(st.integers(0, 2**31), n, lambda v: pd.to_datetime(pd.Series(v), unit="s", utc=True)),
        "periods": _of(small, n, lambda v: pd.Series(pd.PeriodIndex.from_ordinals(v, freq="Q"))),
        "intervals": _of(small, n, lambda v: pd.Series(pd.IntervalIndex.from_arrays(v, [i + 1 for i in v]))),
        "durations": _of(st.integers(0, 10**6), n, lambda v: pd.to_timedelta(pd.Series(v), unit="s")),
        "nullable": _of(maybe, n, lambda v: pd.Series(v, dtype="Int64")),
        "nullable truth": _of(st.none() | st.booleans(), n, lambda v: pd.Series(v, dtype="boolean")),
        "nullable text": _of(st.none() | st.sampled_from(_WORDS), n, lambda v: pd.Series(v, dtype="string")),
        "sparse": _of(small, n, lambda v: pd.Series(pd.arrays.SparseArray(v))),
        "missing": st.just(pd.Series([None] * n, dtype=object)),
        "arrow numbers": _of(maybe, n, _arrow(pa.int16())),
        "arrow text": _of(st.none() | st.sampled_from(_WORDS), n, _arrow(pa.string())),
        "arrow lists": _of(st.none() | st.lists(small, max_size=2), n, _arrow(pa.list_(pa.int64()))),
        "arrow spans": _of(st.none() | st.timedeltas(dt.timedelta(0), dt.timedelta(9)), n, _arrow(pa.duration("us"))),
        "arrow uint64": _of(st.none() | st.integers(0, 2**64 - 1), n, _arrow(pa.uint64())),
        "arrow dates": _of(st.none() | st.dates(), n, _arrow(pa.date32())),
        "arrow bytes": _of(st.none() | st.binary(max_size=2), n, _arrow(pa.binary())),
        "objects": _of(st.sampled_from(_OBJECTS), n, _objects),
        "objects of one kind": one_kind,
    }  # fmt: skip
    return st.sampled_from(sorted(columns)).flatmap(columns.__getitem__)


_LABELS: list[list[Any]] = [
    ["no", "yes"], [0, 1], [True, False], ["a", "b", "c"], [-1.0, 1.0], ["=1", "NA"], ["", "x"], ["001", "002"],
    [2**60, 2**60 + 1], [b"a", b"b"], [(1, 2), (3, 4)], [dt.date(2020, 1, 1), dt.date(2020, 1, 2)], ["u\ud800", "v"],
    [Decimal("1.5"), Decimal("2.5")], [True, "unknown"], [10**400, 1], [float("inf"), 1.0], [0.5, 1.5],
]  # fmt: skip
_TYPES = ["object", "category", "Int64", "boolean", "string", "float32", "int8"]


@functools.cache
def _target(n: int) -> st.SearchStrategy[Any]:
    def typed(values: list[Any], dtype: str | None) -> pd.Series:
        try:
            return _objects(values) if dtype is None else pd.Series(values, dtype=dtype)
        except (TypeError, ValueError, IndexError, OverflowError, NotImplementedError):
            return _objects(values)

    drawn = st.sampled_from(_LABELS).flatmap(lambda of: st.lists(st.sampled_from(of), min_size=n, max_size=n))
    in_turn = st.sampled_from(_LABELS).map(lambda of: [of[i % len(of)] for i in range(n)])
    some = in_turn | in_turn | drawn
    classes = st.tuples(some, st.none() | st.sampled_from(_TYPES)).map(lambda drawn: typed(*drawn))
    numbers = _of(st.floats(-1e6, 1e6), n)
    odd = _of(st.none() | st.integers(0, 2) | st.text(max_size=2) | st.sampled_from(_OBJECTS), n, _objects)
    return (classes | classes | numbers | odd | _column(n)).map(lambda values: values.rename("y"))


@st.composite
def tables(draw: Any) -> tuple[pd.DataFrame, pd.Series]:
    """Draw a table of mixed columns and a target."""
    n = draw(ROWS)
    n_names = draw(st.sampled_from([0, 1, 1, 2, 2, 3, 4]))
    names = draw(st.lists(st.sampled_from(_NAMES), min_size=n_names, max_size=n_names, unique=True))
    columns = [draw(_column(n)) for _ in names]
    frame = pd.concat(columns, axis=1) if columns else pd.DataFrame(index=range(n))
    index = pd.Index(names, dtype=object, tupleize_cols=False) if names else pd.RangeIndex(0)
    frame = frame.set_axis(index, axis=1)
    if draw(st.integers(0, 9)) == 0:
        frame.index = pd.Index([0] * n)
    return frame, draw(_target(n))


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
    assert "error: unexpected" not in text, text
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


# Of one process, whatever else the machine does meanwhile; no input takes a tenth of that.
STALLED_SECONDS = 60


@contextlib.contextmanager
def watched(log: Path) -> Iterator[Callable[[], None]]:
    """Write where every thread is when an input computes very long; call what is returned before each input."""
    with log.open("w", encoding="utf-8") as file:
        faulthandler.register(signal.SIGPROF, file=file)

        def begin() -> None:
            signal.setitimer(signal.ITIMER_PROF, STALLED_SECONDS, STALLED_SECONDS)

        try:
            yield begin
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            faulthandler.unregister(signal.SIGPROF)
    assert not log.stat().st_size, log.read_text(encoding="utf-8")
