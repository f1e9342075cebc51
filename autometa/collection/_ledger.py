"""Which runs there are to make, and who makes which: a run in flight is a running trial of its task's study."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

import optuna
import pandas as pd
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from autometa.collection._station import Source
from autometa.evaluation import Protocol, Run
from autometa.metabase import TUNED, MetaBase
from autometa.space import Configuration, SearchSpace, target_of

_SIGN: Final = "alive"
# What tells the trial of a claim from all others; Optuna gives the trial its number only when it is there.
_CLAIM: Final = "claim"
# Three signs may be late or lost before a holder is taken for dead.
_SIGNS_PER_LEASE: Final = 4
# Near the best found there is little to learn of algorithms that are far behind.
N_ALGORITHMS: Final = 3
# TPE proposes what was run already only where a space is nearly used up.
_ATTEMPTS: Final = 20


class Claim(NamedTuple):
    """A run that this process holds: a running trial of a task's study."""

    study: optuna.Study
    number: int

    @property
    def name(self) -> tuple[str, int]:
        """The same in each process."""
        return self.study.study_name, self.number


class Ledger:
    """The runs of a storage that are made or being made, by this process and by others.

    Parameters
    ----------
    storage : optuna storage
    lease : float
        Seconds. Who holds a run gives a sign of life several times within them. Where none has come for as long, by
        the clock of the one that waits, the holder is taken for dead and the run is free again.
    clock : callable, default=time.monotonic
        Returns seconds that only grow.

    Notes
    -----
    Whoever wants a run adds a running trial for it. Of several, that with the lowest number holds the run, which all
    see alike, and the others step back. A run is finished by a change of state that the storage allows once: a holder
    that was taken for dead cannot finish it any more.
    """

    def __init__(self, storage: Any, lease: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._storage = storage
        self._lease = lease
        self._clock = clock
        self._held: dict[tuple[str, int], tuple[Claim, float]] = {}
        self._seen: dict[tuple[str, int], tuple[Any, float]] = {}
        self._forgotten: set[tuple[str, int]] = set()
        self._ids: dict[tuple[str, int], int] = {}
        self._lock = threading.RLock()

    def forget_failures(self, study: optuna.Study) -> None:
        """From now on, let the runs of a study that have not succeeded so far count as not made."""
        made = filter(is_made, study.get_trials(deepcopy=False))
        name = study.study_name
        self._forgotten |= {(name, t.number) for t in made if t.user_attrs["run"]["status"] != "ok"}

    def runs(self, study: optuna.Study) -> list[FrozenTrial]:
        """Return the trials of a study that are runs, made or in flight."""
        with self._lock:
            trials = study.get_trials(deepcopy=False)
            return [
                t
                for t in trials
                if (is_made(t) and (study.study_name, t.number) not in self._forgotten)
                or (t.state is TrialState.RUNNING and self._is_alive(study, t))
            ]

    def claim(
        self,
        study: optuna.Study,
        space: SearchSpace,
        configuration: Configuration,
        fidelity: int,
        n_tuned: int,
    ) -> Claim | None:
        """Take hold of a run.

        Parameters
        ----------
        study : Study
            Of the task.
        space : SearchSpace
            Of the task's kind.
        configuration : Configuration
        fidelity : int
        n_tuned : int
            How many tuned runs of this fidelity the study may hold; others do not count.

        Returns
        -------
        Claim or None
            To be finished or released; None where another came first.
        """
        trial = as_trial(space, configuration, fidelity, TrialState.RUNNING)
        trial.set_user_attr(_CLAIM, uuid.uuid4().hex)
        with self._lock:
            study.add_trial(trial)
            mine = trial.user_attrs[_CLAIM]
            added = reversed(study.get_trials(deepcopy=False))
            claim = Claim(study, next(t.number for t in added if t.user_attrs.get(_CLAIM) == mine))
            self._held[claim.name] = claim, self._clock()
            earlier = [run for run in self.runs(study) if run.number < claim.number]
        is_late = key(trial) in map(key, earlier)
        if is_late or (configuration.origin == TUNED and len(tuned_runs(earlier, fidelity)) >= n_tuned):
            self.release(claim)
            return None
        return claim

    def finish(self, claim: Claim, run: Run) -> bool:
        """Store a run; False where it was given to another in the meantime."""
        record = run.to_record()
        with self._lock:
            self._held.pop(claim.name, None)
            try:
                self._storage.set_trial_user_attr(self._trial(claim), "run", record)
            except UpdateFinishedTrialError:
                return False
            self._close(claim, record)
        return True

    def release(self, claim: Claim) -> None:
        """Give back a run that was not made."""
        with self._lock:
            self._held.pop(claim.name, None)
            self._close(claim, None)

    def give_signs(self) -> None:
        """Say of every run that has been held for a while that its holder lives."""
        now = self._clock()
        with self._lock:
            for name, (claim, last) in list(self._held.items()):
                if now - last > self._lease / _SIGNS_PER_LEASE:
                    self._held[name] = claim, now
                    with suppress(UpdateFinishedTrialError):
                        self._storage.set_trial_user_attr(self._trial(claim), _SIGN, now)

    def _is_alive(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Whether the holder of a run in flight has given a sign lately; if not, the run is closed."""
        claim, now = Claim(study, trial.number), self._clock()
        sign = trial.user_attrs.get(_SIGN)
        last, since = self._seen.get(claim.name, (None, now))
        if claim.name in self._held or last != sign or claim.name not in self._seen:
            self._seen[claim.name] = (sign, now)
        elif now - since > self._lease:
            self._close(claim, None)
            return False
        return True

    def _trial(self, claim: Claim) -> int:
        """Return the id by which a storage knows a trial; asked for once."""
        if claim.name not in self._ids:
            study_id = self._storage.get_study_id_from_name(claim.study.study_name)
            self._ids[claim.name] = self._storage.get_trial_id_from_study_id_trial_number(
                study_id, claim.number
            )
        return self._ids[claim.name]

    def _close(self, claim: Claim, record: dict[str, Any] | None) -> None:
        is_ok = record is not None and record["status"] == "ok"
        state = TrialState.COMPLETE if is_ok else TrialState.FAIL
        with suppress(UpdateFinishedTrialError):
            values = [_value(record)] if is_ok else None
            self._storage.set_trial_state_values(self._trial(claim), state, values)


def is_made(trial: FrozenTrial) -> bool:
    """Whether a trial holds what came of a run."""
    return "run" in trial.user_attrs


def key(trial: FrozenTrial) -> tuple[str, int]:
    """Return what tells the runs of a task apart: configuration and fidelity."""
    return trial.user_attrs["configuration_id"], trial.user_attrs["fidelity"]


def tuned_runs(trials: Iterable[FrozenTrial], fidelity: int) -> list[FrozenTrial]:
    """Return the tuned runs of a fidelity."""
    wanted = (TUNED, fidelity)
    return [t for t in trials if (t.user_attrs.get("origin"), t.user_attrs["fidelity"]) == wanted]


def as_trial(
    space: SearchSpace,
    configuration: Configuration,
    fidelity: int,
    state: TrialState,
    record: dict[str, Any] | None = None,
) -> FrozenTrial:
    """Return a run as a trial."""
    params = configuration.joint_params()
    attrs = {
        "configuration_id": configuration.id,
        "origin": configuration.origin,
        "fidelity": fidelity,
        **({} if record is None else {"run": record}),
    }
    return optuna.trial.create_trial(
        params=params,
        distributions={k: v for k, v in space.distributions().items() if k in params},
        value=_value(record) if state is TrialState.COMPLETE else None,
        state=state,
        user_attrs=attrs,
    )


def _value(record: Any) -> float:
    """Return the score that Optuna is to maximise."""
    return float(record["roc_auc"] if "roc_auc" in record else record["r2"])


@dataclass
class Place:
    """A task and what is known of it.

    Attributes
    ----------
    known : set of (configuration id, fidelity)
        Its runs when the collection began.
    elsewhere : list of FrozenTrial or None
        Those of them that the storage lacks; None until they are asked for.
    described_with : set of int
        Few training rows with which it was described.
    """

    source: Source
    study: optuna.Study
    known: set[tuple[str, int]]
    is_described: bool
    n_rows: int
    elsewhere: list[FrozenTrial] | None = None
    described_with: set[int] = field(default_factory=set)


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
