"""Small tables, and what the stand-in for the meta-model recommends for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris, make_regression
from stand_in import STAND_IN

from autometa.space import Configuration


@pytest.fixture(scope="session")
def iris() -> tuple[pd.DataFrame, pd.Series]:
    X, y = load_iris(return_X_y=True, as_frame=True)
    rows = np.arange(0, 150, 2)
    return X.iloc[rows].reset_index(drop=True), y.iloc[rows].reset_index(drop=True)


@pytest.fixture(scope="session")
def numbers() -> tuple[pd.DataFrame, pd.Series]:
    X, y = make_regression(60, 4, noise=5.0, random_state=0)
    return pd.DataFrame(X, columns=list("abcd")), pd.Series(y, name="t")


@pytest.fixture(scope="session")
def suggested() -> Callable[..., list[Configuration]]:
    """Return what the stand-in recommends."""

    def suggest(
        k: int = 10, kind: str = "multiclass", algorithms: Sequence[str] | None = None
    ) -> list[Configuration]:
        task: Any = SimpleNamespace(kind=kind)
        return [r.configuration for r in STAND_IN.recommend(task, k=k, algorithms=algorithms)]

    return suggest
