"""The replay: every known task as if it were new, its family left out, and what each way of choosing finds."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autometa.metamodel import Neighbourhood, greedy_portfolio
from autometa.metamodel.known import KnownTasks

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]
Ranker = Callable[[KnownTasks, int, str, IntArray], list[int]]

DEPTHS: Final = (1, 3, 5, 10)
TREE_ENSEMBLES: Final = ("lightgbm", "hist_gradient_boosting", "random_forest", "extra_trees")
DEFAULTS_ROW: Final = "best of four tree ensembles' defaults"
PRODUCT: Final = "autometa"
N_NEAREST: Final = 5


def replay(
    part: KnownTasks, rankers: Mapping[str, Ranker] | None = None, only: Collection[str] | None = None
) -> pd.DataFrame:
    """Replay ways of choosing configurations on every task, its family left out.

    On each task, only the configurations that were run on it can be chosen.

    Parameters
    ----------
    part : KnownTasks
    rankers : mapping of str to callable, optional
        Each takes the part, the position of a task, a metric and the columns to choose from, and returns columns,
        best first. By default :func:`standard_rankers`.
    only : collection of str, optional
        Ids of the tasks; all by default.

    Returns
    -------
    DataFrame
        target, metric, method, task_id, family, and the regret of the best of the first 1, 3, 5 and 10.
    """
    rankers = standard_rankers() if rankers is None else rankers
    rows = []
    for metric, table in part.regrets.items():
        for i, task_id in enumerate(part.tasks["task_id"]):
            candidates = np.flatnonzero(np.isfinite(table[i]))
            if not len(candidates) or (only is not None and task_id not in only):
                continue
            for name, ranker in rankers.items():
                order = ranker(part, i, metric, candidates)
                depths = [len(order)] * len(DEPTHS) if name == DEFAULTS_ROW else DEPTHS
                best = [table[i, order[:depth]].min() if order else np.nan for depth in depths]
                rows.append([part.target, metric, name, task_id, str(part.families[i]), *best])
    columns = ["target", "metric", "method", "task_id", "family", *(f"regret@{depth}" for depth in DEPTHS)]
    return pd.DataFrame(rows, columns=columns)


def standard_rankers() -> dict[str, Ranker]:
    """Return the product and its baselines, by name."""
    return {
        PRODUCT: recommended(),
        "lightgbm default": defaults_of("lightgbm"),
        "random_forest default": defaults_of("random_forest"),
        DEFAULTS_ROW: defaults_of(*TREE_ENSEMBLES),
        "portfolio": static_portfolio(),
        "nearest": nearest_tasks(),
    }


def defaults_of(*algorithms: str) -> Ranker:
    """Choose the library defaults of some algorithms, in their order."""

    def rank(part: KnownTasks, task: int, metric: str, candidates: IntArray) -> list[int]:
        configurations = list(part.configurations.values())
        allowed = set(candidates.tolist()) & set(part.defaults)
        found = {configurations[i].algorithm: i for i in allowed}
        return [found[name] for name in algorithms if name in found]

    return rank


def static_portfolio() -> Ranker:
    """Choose the set that is best on average over the tasks of all other families."""
    known: dict[tuple[str, str, bytes], list[int]] = {}

    def rank(part: KnownTasks, task: int, metric: str, candidates: IntArray) -> list[int]:
        key = (metric, str(part.families[task]), candidates.tobytes())
        if key not in known:
            others = part.regrets[metric][part.families != part.families[task]][:, candidates]
            known[key] = candidates[greedy_portfolio(others, max(DEPTHS))].tolist()
        return known[key]

    return rank


def nearest_tasks() -> Ranker:
    """Choose the set that is best on the five tasks that are nearest in standardised meta-features."""

    def rank(part: KnownTasks, task: int, metric: str, candidates: IntArray) -> list[int]:
        others = np.flatnonzero(part.families != part.families[task])
        distance = part.similarity.distances(part.metafeatures[task])[others]
        nearest = np.argsort(distance, kind="stable")[:N_NEAREST]
        table = part.filled[metric][0][np.ix_(others[nearest], candidates)]
        # A task that is the same in all respects counts no more than thrice as much as one at the usual distance.
        chosen = greedy_portfolio(table, max(DEPTHS), weights=1.0 / (0.1 + distance[nearest]))
        return candidates[chosen].tolist()

    return rank


def recommended(other: KnownTasks | None = None) -> Ranker:
    """Choose as autometa does.

    Parameters
    ----------
    other : KnownTasks, optional
        What to ask in place of the part; it chooses among the configurations that it knows.
    """
    known: dict[int, Neighbourhood] = {}

    def rank(part: KnownTasks, task: int, metric: str, candidates: IntArray) -> list[int]:
        model = other or part
        columns = pd.Index(list(model.configurations)).get_indexer(
            np.array(list(part.configurations))[candidates]
        )
        candidates, columns = candidates[columns >= 0], columns[columns >= 0]
        if not len(columns):
            return []
        if task not in known:
            x = model.row(pd.Series(part.metafeatures[task], index=part.metafeature_names))
            known[task] = Neighbourhood(model, x, (str(part.families[task]),))
        prediction = known[task].predict(metric, part.sizes[task].tolist())
        allowed = np.zeros(len(model.configurations), dtype=bool)
        allowed[columns] = True
        place = dict(zip(columns.tolist(), candidates.tolist(), strict=True))
        return [place[column] for column in prediction.portfolio(max(DEPTHS), allowed)]

    return rank
