"""Simulate orders as a spreadsheet hands them over: ``examples/messy.csv``.

Blanks around names, several words for a missing cell, a date as text, a code with many levels, an id, a column that
never changes, a remark in words. Run ``python examples/make_messy.py`` to write the file again; the same seed gives the
same bytes.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np

N_ROWS = 400
SEED = 7
PATH = Path(__file__).with_name("messy.csv")
WORDS = (
    "late",
    "paid",
    "twice",
    "called",
    "friendly",
    "broken",
    "box",
    "gift",
    "again",
    "never",
    "ordered",
    "blue",
)


def simulate(n_rows: int = N_ROWS, seed: int = SEED) -> dict[str, list[object]]:
    """Draw the table, column by column."""
    rng = np.random.default_rng(seed)
    amount = np.exp(rng.normal(3.5, 0.8, n_rows)).round(2)
    items = rng.poisson(2, n_rows) + 1
    shop = rng.choice([f"S{i:03d}" for i in range(40)], n_rows)
    country = rng.choice(["DE", "FR", "PL"], n_rows, p=[0.5, 0.3, 0.2])
    days = np.datetime64("2026-01-01") + rng.integers(0, 180, n_rows)
    remark = [" ".join(rng.choice(WORDS, rng.integers(3, 9))) for _ in range(n_rows)]
    broken = np.array(["broken" in words for words in remark])
    chance = 1 / (1 + np.exp(-(-2.0 + 2.2 * broken + 0.02 * amount - 0.3 * items + 0.8 * (country == "PL"))))
    returned = rng.random(n_rows) < chance
    return {
        "order id": [f"#{100_000 + i}" for i in rng.permutation(n_rows)],
        " amount ": _with_gaps(rng, amount.tolist(), ("n/a", ""), 0.08),
        "items": items.tolist(),
        "shop": shop.tolist(),
        "country": _with_gaps(rng, country.tolist(), ("", "NULL"), 0.1),
        "ordered": [str(day) for day in days],
        "currency": ["EUR"] * n_rows,
        "remark": _with_gaps(rng, remark, ("",), 0.15),
        "returned": ["yes" if value else "no" for value in returned],
    }


def to_csv(columns: dict[str, list[object]]) -> str:
    """Write the columns as CSV text with semicolons."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=";", lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return text.getvalue()


def _with_gaps(
    rng: np.random.Generator, values: list[object] | list[str], marks: tuple[str, ...], share: float
) -> list[object]:
    gaps, chosen = rng.random(len(values)) < share, rng.choice(marks, len(values))
    return [str(mark) if gap else value for value, gap, mark in zip(values, gaps, chosen, strict=True)]


if __name__ == "__main__":
    PATH.write_text(to_csv(simulate()), encoding="utf-8", newline="\n")
