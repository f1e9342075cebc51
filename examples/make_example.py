"""Simulate the customers of a streaming service and who cancels: ``examples/subscriptions.csv``.

The table is made up, and made to look like real ones: numbers, text, dates, booleans, an id, missing values, and a
target that depends on some of them (linearly, through interactions, and by category) and on chance.

Run ``python examples/make_example.py`` to write the file again; the same seed gives the same bytes.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

N_ROWS = 1200
SEED = 2026
PATH = Path(__file__).with_name("subscriptions.csv")

COUNTRIES = {"DE": 0.30, "FR": 0.22, "US": 0.20, "BR": 0.12, "JP": 0.08, "PL": 0.05, "NZ": 0.03}
COUNTRY_EFFECT = {"DE": -0.3, "FR": 0.1, "US": 0.4, "BR": 0.7, "JP": -0.8, "PL": 0.0, "NZ": 0.2}
PLANS = {"basic": (7.99, 0.45), "standard": (11.99, 0.35), "family": (16.99, 0.20)}
CHANNELS = {"search": 0.4, "friend": 0.25, "advert": 0.25, "partner shop": 0.1}


def simulate(n_rows: int = N_ROWS, seed: int = SEED) -> dict[str, list[object]]:
    """Draw the table, column by column; a missing cell is an empty string."""
    rng = np.random.default_rng(seed)
    country = _pick(rng, COUNTRIES, n_rows)
    plan = _pick(rng, {name: share for name, (_, share) in PLANS.items()}, n_rows)
    channel = _pick(rng, CHANNELS, n_rows)
    age = np.clip(rng.normal(41, 14, n_rows), 18, 90).round()
    months = np.clip(rng.exponential(14, n_rows), 0, 70).round()
    discount = rng.random(n_rows) < 0.3
    fee = np.array([PLANS[name][0] for name in plan]) * np.where(discount, 0.75, 1.0)
    autopay = rng.random(n_rows) < 0.65
    hours = np.exp(rng.normal(2.2, 0.9, n_rows) + 0.3 * (plan == "family"))
    days_idle = np.clip(rng.exponential(60 / (3 + hours)), 0, 60).round()
    tickets = rng.poisson(0.5 + 0.8 * (hours > 25))
    rating = np.clip(np.round(3.6 - 0.5 * tickets + rng.normal(0, 0.8, n_rows)), 1, 5)

    score = (
        -0.6
        - 0.35 * np.log1p(months)
        - 0.9 * autopay
        + 0.09 * days_idle
        - 0.45 * (rating - 3)
        + np.array([COUNTRY_EFFECT[name] for name in country])
        + 0.9 * ((channel == "advert") & (months < 6))
        + 0.14 * (fee - 10) * (hours < 8)
        + 1.2 * (discount & (months > 10) & (months < 16))
        + 0.6 * np.abs(age - 45) / 15
    )
    churned = rng.random(n_rows) < 1 / (1 + np.exp(-1.4 * score))
    started = np.datetime64("2026-06-30") - (months * 30.4).astype(int) - rng.integers(0, 30, n_rows)

    return {
        "customer_id": [f"C-{number}" for number in 100_000 + rng.permutation(n_rows)],
        "signup_date": started.astype(str).tolist(),
        "country": country.tolist(),
        "plan": plan.tolist(),
        "channel": _with_gaps(rng, channel.tolist(), 0.08),
        "age": _with_gaps(rng, age.astype(int).tolist(), 0.12),
        "monthly_fee": [f"{value:.2f}" for value in fee],
        "discount": discount.tolist(),
        "autopay": autopay.tolist(),
        "hours_watched": _with_gaps(rng, [f"{value:.1f}" for value in hours], 0.04),
        "days_since_login": days_idle.astype(int).tolist(),
        "support_tickets": tickets.tolist(),
        "satisfaction": _with_gaps(rng, rating.astype(int).tolist(), 0.35),
        "churned": ["yes" if value else "no" for value in churned],
    }


def to_csv(columns: dict[str, list[object]]) -> str:
    """Write the columns as CSV text."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return text.getvalue()


def _pick(rng: np.random.Generator, shares: dict[str, float], n_rows: int) -> NDArray[np.str_]:
    return np.array(list(shares))[np.searchsorted(np.cumsum(list(shares.values()))[:-1], rng.random(n_rows))]


def _with_gaps(rng: np.random.Generator, values: list[object], share: float) -> list[object]:
    return [
        "" if is_gap else value for value, is_gap in zip(values, rng.random(len(values)) < share, strict=True)
    ]


if __name__ == "__main__":
    PATH.write_text(to_csv(simulate()), encoding="utf-8", newline="\n")
