"""Tables and guards that all tests share."""

# ruff: noqa: E402
from __future__ import annotations

import importlib
import os

# Tiny tables fit quickest in one thread; read when the libraries are first imported.
for _library in ("OMP", "OPENBLAS", "MKL"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")

import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

# Nobody's own experience may decide what a test sees; child processes inherit it.
os.environ["AUTOMETA_HOME"] = tempfile.mkdtemp(prefix="autometa-home-")

import cloudpickle
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, settings

from autometa.space import registered_algorithms, unregister_algorithm

# Examples are drawn from the code under test, not from chance: a failure is the same on every machine.
settings.register_profile(
    "suite", deadline=None, derandomize=True, max_examples=30, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("suite")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Hand what a test module defines to workers as it is: they cannot import it, or find another package `tests`."""
    for module in {item.module for item in items if isinstance(item, pytest.Function)}:
        cloudpickle.register_pickle_by_value(module)


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the folder of the checkout."""
    return Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse connections to other machines: the library must never need one."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        is_local = self.family == getattr(socket, "AF_UNIX", None) or str(address).startswith(
            ("('127.", "('::1")
        )
        if not is_local:
            raise OSError(f"a test tried to connect to {address}")
        connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture
def visit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a function that points the package openml at a server of ours; its cache is empty at first."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("OPENML_CACHE_DIR", str(tmp_path / "openml"))
    config = importlib.import_module("openml").config
    monkeypatch.setattr(config, "_root_cache_directory", tmp_path / "openml")
    monkeypatch.setattr(config, "apikey", "")
    return lambda address: monkeypatch.setattr(config, "server", address)


@pytest.fixture(autouse=True)
def _registry() -> Iterator[None]:
    """Take algorithms that a test registered out again."""
    before = registered_algorithms()
    yield
    for kind, algorithms in registered_algorithms().items():
        for name in algorithms.keys() - before[kind].keys():
            unregister_algorithm(name)


@pytest.fixture(scope="session")
def make_mixed() -> Callable[..., pd.DataFrame]:
    """Return a function that draws a table with every kind of column that users bring."""

    def make(n_rows: int = 120, seed: int = 0) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        words = np.array(
            ["the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "and", "sleeps"]
        )
        gaps = rng.random(n_rows) < 0.15
        number = rng.normal(size=n_rows)
        days = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 2000, n_rows), unit="D")
        return pd.DataFrame(
            {
                "number": number,
                "with inf": np.where(rng.random(n_rows) < 0.05, np.inf, rng.normal(size=n_rows)),
                "with_inf": rng.normal(size=n_rows).astype("float32"),
                'we:ird "[name]" {x}, ü': np.where(gaps, np.nan, number + rng.normal(size=n_rows)),
                "count": rng.poisson(3, n_rows),
                "nullable": pd.array(np.where(gaps, 0, rng.integers(0, 50, n_rows)), dtype="Int64").copy(),
                "flag": rng.random(n_rows) < 0.4,
                "nullable flag": pd.Series(rng.random(n_rows) < 0.4, dtype="boolean").mask(gaps),
                "level": rng.choice(["low", "mid", "high"], n_rows),
                "category": pd.Categorical(np.where(gaps, None, rng.choice(list("abcdef"), n_rows))),
                "number category": pd.Categorical(rng.choice([10, 20, 30], n_rows)),
                "string": pd.Series(rng.choice(["x", "y"], n_rows), dtype="string").mask(gaps),
                "object": pd.Series(rng.choice(["u", "v"], n_rows), dtype=object).mask(gaps, None),
                "mixed": pd.Series(
                    [i if i % 3 else "many" for i in rng.integers(0, 6, n_rows)], dtype=object
                ),
                "day": days,
                "moment": days.tz_localize("UTC") + pd.to_timedelta(rng.integers(0, 24, n_rows), unit="h"),
                "day as text": np.where(gaps, None, days.strftime("%Y-%m-%d")),
                "text": [" ".join(rng.choice(words, 6)) for _ in range(n_rows)],
                "empty": np.full(n_rows, np.nan),
                "constant": "same",
                "id": np.arange(n_rows) + 1000,
            }
        ).assign(nullable=lambda frame: frame["nullable"].mask(gaps))

    return make


@pytest.fixture(scope="session")
def make_target() -> Callable[..., pd.Series]:
    """Return a function that draws a learnable target of a kind for a table of ``make_mixed``."""

    def make(frame: pd.DataFrame, kind: str, seed: int = 0) -> pd.Series:
        rng = np.random.default_rng(seed)
        signal = frame["number"] + 0.8 * frame["flag"] + 0.3 * rng.normal(size=len(frame))
        if kind == "regression":
            return signal.rename("target")
        n_classes = 2 if kind == "binary" else 3
        labels = ["no", "yes"] if kind == "binary" else ["red", "green", "blue"]
        return pd.Series(pd.qcut(signal, n_classes, labels=labels).astype(str), name="target")

    return make
