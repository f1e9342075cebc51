"""Small tables in a folder, and two quick algorithms to run on them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from autometa import space
from autometa.collection import read_catalog
from autometa.task import KINDS


@pytest.fixture
def two_algorithms(monkeypatch):
    """Leave two quick algorithms: the collector treats all alike."""
    built_in = space.built_in
    quick = ("linear", "knn")
    monkeypatch.setattr(
        space, "built_in", lambda family: {k: v for k, v in built_in(family).items() if k in quick}
    )


@pytest.fixture
def sources(tmp_path):
    rng = np.random.default_rng(0)
    rows = []
    for kind in KINDS:
        frame = pd.DataFrame(rng.normal(size=(45, 3)), columns=list("abc"))
        frame["y"] = frame["a"] + 0.3 * rng.normal(size=45)
        if kind != "regression":
            frame["y"] = pd.qcut(frame["y"], 2 if kind == "binary" else 3, labels=False)
        frame.to_parquet(tmp_path / f"{kind}.parquet")
        rows.append({"name": kind, "task_type": kind, "target": "y", "n_rows": 45})
    pd.DataFrame(rows).to_csv(tmp_path / "catalog.csv", index=False)
    return read_catalog(tmp_path)
