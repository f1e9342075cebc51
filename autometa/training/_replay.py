"""The replay: every known task as if it were new, its family left out, and what each way of choosing finds."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autometa.metamodel.portfolio import greedy_portfolio
from autometa.metamodel.target import METHODS, TargetModel

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]
Ranker = Callable[[TargetModel, int, str, IntArray], list[int]]

DEPTHS: Final = (1, 3, 5, 10)
TREE_ENSEMBLES: Final = ("lightgbm", "hist_gradient_boosting", "random_forest", "extra_trees")
DEFAULTS_ROW: Final = "best of four tree ensembles' defaults"


def judge(
    part: TargetModel,
    rankers: Mapping[str, Ranker] | None = None,
    only: Collection[str] | None = None,
    truth: Mapping[str, FloatArray] | None = None,
) -> pd.DataFrame:
    """Replay ways of choosing configurations on every task, its family left out.

    On each task, only the configurations that were run on it can be chosen.

    Parameters
    ----------
    part : TargetModel
    rankers : mapping of str to callable, optional
        Each takes the part, the position of a task, a metric and the columns to choose from, and returns columns,
        best first. By default the library defaults, the static portfolio and every method of the part.
    only : collection of str, optional
        Ids of the tasks; all by default.
    truth : mapping of str to ndarray of shape (n_tasks, n_configurations), optional
        Regrets to judge by, for each metric; those of the part by default.

    Returns
    -------
    DataFrame
        target, metric, method, task_id, family, and the regret of the best of the first 1, 3, 5 and 10.
    """
    rankers = standard_rankers() if rankers is None else rankers
    rows = []
    for metric, table in (part.regrets if truth is None else truth).items():
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
    """Return the baselines and the methods of a part, by name."""
    return {
        "lightgbm default": defaults_of("lightgbm"),
        "random_forest default": defaults_of("random_forest"),
        DEFAULTS_ROW: defaults_of(*TREE_ENSEMBLES),
        "portfolio": static_portfolio(),
        **{method: ranked_by(method) for method in METHODS[1:]},
    }


def defaults_of(*algorithms: str) -> Ranker:
    """Choose the library defaults of some algorithms, in their order."""

    def rank(part: TargetModel, task: int, metric: str, candidates: IntArray) -> list[int]:
        configurations = list(part.configurations.values())
        allowed = set(candidates.tolist()) & set(part.defaults)
        found = {configurations[i].algorithm: i for i in allowed}
        return [found[name] for name in algorithms if name in found]

    return rank


def static_portfolio() -> Ranker:
    """Choose the set that is best on average over the tasks of all other families."""
    known: dict[tuple[str, str, bytes], list[int]] = {}

    def rank(part: TargetModel, task: int, metric: str, candidates: IntArray) -> list[int]:
        key = (metric, str(part.families[task]), candidates.tobytes())
        if key not in known:
            others = part.regrets[metric][part.families != part.families[task]][:, candidates]
            known[key] = candidates[greedy_portfolio(others, max(DEPTHS))].tolist()
        return known[key]

    return rank


def ranked_by(method: str, other: TargetModel | None = None, rows: FloatArray | None = None) -> Ranker:
    """Choose as a part of a meta-model does.

    Parameters
    ----------
    method : str
        One of the methods of the part.
    other : TargetModel, optional
        Another part to ask, trained on other tasks or without something; it chooses among the configurations that
        it knows.
    rows : ndarray of shape (n_tasks,), optional
        Training rows to choose for; those that the tasks were run on by default.
    """

    def rank(part: TargetModel, task: int, metric: str, candidates: IntArray) -> list[int]:
        model = other or part
        columns = pd.Index(list(model.configurations)).get_indexer(
            np.array(list(part.configurations))[candidates]
        )
        candidates, columns = candidates[columns >= 0], columns[columns >= 0]
        if not len(columns):
            return []
        x = model.row(pd.Series(part.metafeatures[task], index=part.metafeature_names))
        family = str(part.families[task])
        sizes = part.sizes[task] if rows is None else np.array([rows[task], *part.sizes[task, 1:]])
        prediction = model.predict_task(x, metric, exclude=(family,), sizes=sizes.tolist(), method=method)
        allowed = np.zeros(len(model.configurations), dtype=bool)
        allowed[columns] = True
        place = dict(zip(columns.tolist(), candidates.tolist(), strict=True))
        return [place[column] for column in prediction.portfolio(max(DEPTHS), allowed)]

    return rank
