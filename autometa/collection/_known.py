"""Runs that stand in an exported metadata base, for a collection that goes on without their storage."""

from __future__ import annotations

import pandas as pd
from optuna.trial import FrozenTrial, TrialState

from autometa.collection._ledger import as_trial
from autometa.collection._station import Source
from autometa.metabase import MetaBase
from autometa.space import SearchSpace, target_of


class Known:
    """The runs of a metadata base by task.

    Parameters
    ----------
    base : MetaBase or None
    only_ok : bool, default=False
        Leave out runs that did not succeed.
    """

    def __init__(self, base: MetaBase | None, only_ok: bool = False) -> None:
        self._base = base
        self._runs: dict[str, pd.DataFrame] = {}
        if base is not None:
            runs = base.runs[base.runs["status"] == "ok"] if only_ok else base.runs
            self._runs = dict(list(runs.groupby("task_id")))

    def keys(self, task_id: str) -> set[tuple[str, int]]:
        """Return configuration and fidelity of each run on a task."""
        if task_id not in self._runs:
            return set()
        runs = self._runs[task_id]
        return set(zip(runs["configuration_id"], runs["fidelity"].tolist(), strict=True))

    def trials(self, source: Source, space: SearchSpace) -> list[FrozenTrial]:
        """Return the runs on a task that fit its space as trials."""
        if self._base is None or source.task_id not in self._runs:
            return []
        trials = []
        metric = "r2" if source.kind == "regression" else "roc_auc"
        for row in self._runs[source.task_id].to_dict("records"):
            configuration = self._base.configuration(row["configuration_id"], target_of(source.kind))
            state = TrialState.COMPLETE if row["status"] == "ok" else TrialState.FAIL
            record = {"status": row["status"], metric: row[metric]}
            if not space.problems(configuration):
                trials.append(as_trial(space, configuration, row["fidelity"], state, record))
        return trials
