"""A command line in this process, and a table for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest

from autometa.cli import main


@dataclass
class Outcome:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


@pytest.fixture
def run(capsys, monkeypatch) -> Callable[..., Outcome]:
    """Return a function that runs a command and gives its exit code and output."""
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("FORCE_COLOR", raising=False)

    def run_command(*arguments: object) -> Outcome:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        return Outcome(code, *capsys.readouterr())

    return run_command


@pytest.fixture(scope="session")
def customers() -> pd.DataFrame:
    """Return a small table with text, dates, an id, missing values and a target."""
    rng = np.random.default_rng(5)
    n = 150
    age = rng.integers(18, 80, n)
    plan = rng.choice(["basic", "pro", "max"], n)
    return pd.DataFrame(
        {
            "id": [f"C{i:04d}" for i in range(n)],
            "age": age,
            "plan": np.where(rng.random(n) < 0.1, None, plan),
            "since": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, n), unit="D"),
            "fee": np.where(rng.random(n) < 0.1, np.nan, rng.normal(20, 5, n).round(2)),
            "left": np.where(age + 20 * (plan == "pro") + rng.normal(0, 10, n) > 52, "yes", "no"),
            "spent": (age * 3 + rng.normal(0, 5, n)).round(2),
        }
    )


@pytest.fixture
def data(tmp_path, monkeypatch, customers) -> str:
    """Return the name of a CSV in the current folder, which is empty otherwise."""
    monkeypatch.chdir(tmp_path)
    customers.drop(columns="spent").to_csv("data.csv", index=False)
    return "data.csv"
