"""Tasks that are copies of each other."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autometa.task import KINDS

FloatArray = NDArray[np.float64]

TWIN_SPREAD: Final = 0.02
TWIN_AGREEMENT: Final = 0.65
LEAST_VARIED: Final = 20


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
