"""A stand-in for the meta-model: the library defaults, then a space-filling design, quick ones first.

The doors of the search stand here with it as their meta-model; what is tested through them is what comes after.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import autometa
from autometa.recommendation import Recommendation
from autometa.space import Configuration, SearchSpace
from autometa.task import Task
from autometa.tuning._schedule import Deadline

QUICK = ("linear", "knn", "hist_gradient_boosting", "svm", "random_forest", "extra_trees", "mlp", "lightgbm")


class Standing(list[Recommendation]):
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


@dataclass(frozen=True)
class StandIn:
    """What recommends these algorithms, in their order, without a look at the table."""

    names: tuple[str, ...] = QUICK

    def recommend(
        self, task: Task, *, k: int = 10, algorithms: Sequence[str] | None = None, **_: Any
    ) -> Standing:
        names = [name for name in self.names if algorithms is None or name in algorithms]
        design = list(dict.fromkeys(SearchSpace.for_kind(task.kind, names).design(k)))[:k]
        return Standing(
            Recommendation(rank, configuration, 0.5, 0.4, 0.6, 0.05, 0.1, "a stand-in", task)
            for rank, configuration in enumerate(design, start=1)
        )


STAND_IN = StandIn()
tune = partial(autometa.tune, metamodel=STAND_IN)
warm_start = partial(autometa.warm_start, metamodel=STAND_IN)


class MetaSampler(autometa.MetaSampler):
    def __init__(self, X: Any = None, y: Any = None, *, metamodel: Any = STAND_IN, **options: Any) -> None:
        super().__init__(X, y, metamodel=metamodel, **options)


class Clock(Deadline):
    """Time passes only where somebody says so."""

    now = 0.0

    @property
    def spent(self) -> float:
        return self.now
