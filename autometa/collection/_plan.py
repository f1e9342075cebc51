"""What there is to do on one task: the runs that are missing, those that are known, and what to try next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import optuna
import pandas as pd
from optuna.trial import FrozenTrial, TrialState

from autometa.collection._ledger import as_trial, key, tuned_runs
from autometa.collection._station import Source
from autometa.evaluation import Protocol
from autometa.metabase import TUNED, MetaBase
from autometa.space import Configuration, SearchSpace, target_of

# Near the best found there is little to learn of algorithms that are far behind.
N_ALGORITHMS: Final = 3
# TPE proposes what was run already only where a space is nearly used up.
_ATTEMPTS: Final = 20


@dataclass
class Place:
    """A task and what is known of it.

    Attributes
    ----------
    known : set of (configuration id, fidelity)
        Its runs when the collection began.
    elsewhere : list of FrozenTrial or None
        Those of them that the storage lacks; None until they are asked for.
    """

    source: Source
    study: optuna.Study
    known: set[tuple[str, int]]
    is_described: bool
    n_rows: int
    elsewhere: list[FrozenTrial] | None = None


@dataclass
class Chunk:
    """Runs on one task at one fidelity: given configurations, or so many tuned ones."""

    place: Place
    protocol: Protocol
    configurations: list[Configuration] = field(default_factory=list)
    n_tuned: int = 0
    n_done: int = 0
    was_put_off: bool = False

    @property
    def fidelity(self) -> int:
        """Training rows."""
        return self.protocol.max_train_rows

    @property
    def n_planned(self) -> int:
        """Runs in all."""
        return len(self.configurations) + self.n_tuned

    def n_missing(self, runs: Iterable[FrozenTrial]) -> int:
        """Count what is planned and not among some runs."""
        runs = list(runs)
        n_tuned = self.n_tuned - len(tuned_runs(runs, self.fidelity)) if self.n_tuned else 0
        return len(self.fixed_missing(runs)) + max(n_tuned, 0)

    def fixed_missing(self, runs: Iterable[FrozenTrial]) -> list[Configuration]:
        """Return the given configurations that are not among some runs."""
        keys = set(map(key, runs))
        return [c for c in self.configurations if (c.id, self.fidelity) not in keys]


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


def propose(
    space: SearchSpace, runs: Sequence[FrozenTrial], fidelity: int, seed: int = 0
) -> Configuration | None:
    """Let Optuna's TPE choose a configuration of the best algorithms that was not run yet.

    Parameters
    ----------
    space : SearchSpace
        Of the task's kind.
    runs : sequence of FrozenTrial
        The task's runs, made and in flight; those of other fidelities do not count.
    fidelity : int
    seed : int, default=0

    Returns
    -------
    Configuration or None
        Of the three algorithms with the best single runs; None without a successful run, or if TPE finds nothing new.
    """
    runs = [run for run in runs if run.user_attrs["fidelity"] == fidelity]
    best: dict[str, float] = {}
    for run in runs:
        if run.state is TrialState.COMPLETE and run.value is not None:
            algorithm = run.params["algorithm"]
            best[algorithm] = max(run.value, best.get(algorithm, run.value))
    chosen = sorted((name for name in best if name in space), key=lambda name: -best[name])[:N_ALGORITHMS]
    if not chosen:
        return None
    narrow = SearchSpace(space[name] for name in chosen)
    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=seed + len(runs), constant_liar=True),
    )
    study.add_trials(_in_space(narrow, runs))
    known = {key(run)[0] for run in runs}
    for _ in range(_ATTEMPTS):
        configuration = replace(narrow.suggest(study.ask()), origin=TUNED)
        if configuration.id not in known:
            return configuration
    return None


def _in_space(space: SearchSpace, runs: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Return the runs of the algorithms of a space, as trials of that space."""
    trials = []
    for run in runs:
        if run.params["algorithm"] in space:
            configuration = space.configuration(run.params)
            if not space.problems(configuration):
                trials.append(as_trial(space, configuration, 0, run.state, run.user_attrs.get("run")))
    return trials
