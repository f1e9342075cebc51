"""Cells: codes made of parts that repeat carry something, ids do not."""

from __future__ import annotations

import hashlib
import uuid

import numpy as np
import pandas as pd
import pytest

from autometa.tables.cells import has_parts

RNG = np.random.default_rng(0)
N = 300


@pytest.mark.parametrize(
    "values",
    [
        [f"{a}-{i:05}-X" for i, a in enumerate(RNG.choice(["AB", "CD", "EF"], N))],
        [f"{a}-{i}" for i, a in enumerate(RNG.integers(11, 40, N))],
        [f"{a}{i}" for i, a in enumerate(RNG.choice(["A", "B"], N))],
        [f"{a} {i}th Street" for i, a in enumerate(RNG.choice(["North", "South"], N))],
        [f"LHR-{a}-{i}" for i, a in enumerate(RNG.choice(["JFK", "CDG", "HND"], N))],
        [f"https://example.org/{i}/{a}" for i, a in enumerate(RNG.choice(["news", "sport"], N))],
    ],
    ids=lambda values: values[0],
)
def test_codes_with_parts_carry_something(values):
    assert has_parts(pd.Series(values))


@pytest.mark.parametrize(
    "values",
    [
        [str(uuid.UUID(bytes=RNG.bytes(16), version=4)) for _ in range(N)],
        [hashlib.sha256(str(i).encode()).hexdigest() for i in range(N)],
        [f"user_{i}" for i in range(N)],
        [f"img{i}.jpg" for i in range(N)],
        [str(1000 + i) for i in range(N)],
        [],
        [None] * 5,
    ],
    ids=lambda values: str(values[0])[:20] if values else "nothing",
)
def test_ids_without_parts_do_not(values):
    assert not has_parts(pd.Series(values, dtype="object"))
