"""A stand-in for the meta-model: the library defaults, then a space-filling design, quick ones first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris, make_regression

from autometa.recommendation import Recommendation
from autometa.space import Configuration, SearchSpace
from autometa.task import Task
from autometa.tuning import _run, _sampler, _warm_start

QUICK = ("linear", "knn", "hist_gradient_boosting", "svm", "random_forest", "extra_trees", "mlp", "lightgbm")


class StandIn(list[Recommendation]):
    """Recommendations that results do not reorder, and behind which there are no runs."""

    past_runs: ClassVar[list[tuple[list[Configuration], Any]]] = []

    @property
    def kind(self) -> str:
        return self[0].task.kind

    @property
    def metric(self) -> Any:
        return self[0].task.metric

    def order_after(self, observed: Mapping[int, float], running: Sequence[int] = ()) -> list[Recommendation]:
        return [item for item in self if item.rank not in observed and item.rank not in running]


def fake_recommendations(
    task: Task, *, k: int = 10, algorithms: Sequence[str] | None = None, **_: Any
) -> StandIn:
    names = [name for name in QUICK if algorithms is None or name in algorithms]
    design = list(dict.fromkeys(SearchSpace.for_kind(task.kind, names).design(k)))[:k]
    return StandIn(
        Recommendation(rank, configuration, 0.5, 0.4, 0.6, 0.05, 0.1, "a stand-in", task)
        for rank, configuration in enumerate(design, start=1)
    )


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (_sampler, _run, _warm_start):
        monkeypatch.setattr(module, "recommend_for_task", fake_recommendations)


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
        return [r.configuration for r in fake_recommendations(task, k=k, algorithms=algorithms)]

    return suggest
