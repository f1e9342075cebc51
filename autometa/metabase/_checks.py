"""What can be wrong with the content of a metadata base: invalid configurations, copies of tasks, missing scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autometa.metrics import CLASSIFICATION_METRICS, REGRESSION_METRICS
from autometa.space import Configuration, SearchSpace
from autometa.task import KINDS

FloatArray = NDArray[np.float64]

# Of the range of most tasks: wide enough for copies with other rows, see :func:`find_twins` for what it tells apart.
TWIN_SPREAD: Final = 0.02
TWIN_AGREEMENT: Final = 0.65
# Of fewer meta-features that differ at all, two thirds may agree by chance.
LEAST_VARIED: Final = 20


def find_problems(
    configurations: Mapping[str, Mapping[str, Configuration]],
    twins: Sequence[tuple[str, str, str]],
    runs: pd.DataFrame,
    regression_ids: Sequence[str],
) -> list[str]:
    """Return what is wrong, a line each.

    Parameters
    ----------
    configurations : mapping of target to mapping of id to Configuration
    twins : sequence of (task_id, task_id, str)
        See :func:`find_twins`.
    runs : DataFrame
    regression_ids : sequence of str
        Ids of the regression tasks.
    """
    problems = []
    for target, known in configurations.items():
        space = SearchSpace.for_kind(target)
        for configuration_id, configuration in known.items():
            found = space.problems(configuration)
            if configuration.id != configuration_id:
                found.append("its id does not match its content")
            problems += [
                f"configuration {configuration_id} ({configuration.algorithm}): {text}" for text in found
            ]
    problems += [
        f"tasks {first} and {second} are twins in different families: {reason}"
        for first, second, reason in twins
    ]
    regression = runs["task_id"].isin(regression_ids)
    for metrics, rows in ((REGRESSION_METRICS, regression), (CLASSIFICATION_METRICS, ~regression)):
        holes = int(runs.loc[rows & (runs["status"] == "ok"), list(metrics)].isna().any(axis=1).sum())
        if holes:
            problems.append(f"{holes} successful runs lack a metric")
    return problems


def find_twins(tasks: pd.DataFrame, metafeatures: pd.DataFrame) -> list[tuple[str, str, str]]:
    """Return the pairs of tasks in different families that are copies of each other, and how that was noticed.

    Copies have the same fingerprint, or agree in at least 65 % of the meta-features that differ between tasks, to
    within 2 % of the range in which most tasks lie. (Of 300 real tables, those of different families agreed in at
    most 58 %.)

    Parameters
    ----------
    tasks : DataFrame
        With kind, task_id, fingerprint and family.
    metafeatures : DataFrame
        A row per task id.
    """
    found = []
    for kind in KINDS:
        own = tasks[tasks["kind"] == kind]
        ids, prints, families = (own[c].tolist() for c in ("task_id", "fingerprint", "family"))
        agreement = _agreement(metafeatures.loc[ids].dropna(axis="columns", how="all").to_numpy())
        for i, j in zip(*np.triu_indices(len(ids), 1), strict=True):
            if families[i] == families[j]:
                continue
            if prints[i] == prints[j] and isinstance(prints[i], str):
                found.append((ids[i], ids[j], f"the same fingerprint {prints[i]}"))
            elif agreement[i, j] >= TWIN_AGREEMENT:
                found.append((ids[i], ids[j], f"{agreement[i, j]:.0%} of their meta-features agree"))
    return found


def _agreement(table: FloatArray) -> FloatArray:
    """Share of the meta-features in which tasks agree to within a small part of their usual spread.

    Returns
    -------
    ndarray of shape (n_tasks, n_tasks)
        Zero where too few meta-features differ between tasks to tell.
    """
    nothing = np.zeros((len(table), len(table)))
    if not table.size:
        return nothing
    low, high = np.nanquantile(table, [0.1, 0.9], axis=0)
    varied = table[:, high > low] / (high - low)[high > low]
    if varied.shape[1] < LEAST_VARIED:
        return nothing
    unknown = np.isnan(varied)
    return np.array(
        [((np.abs(varied - row) < TWIN_SPREAD) | (unknown & np.isnan(row))).mean(axis=1) for row in varied]
    )
