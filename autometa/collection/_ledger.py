"""Who makes which run: a run in flight is a running trial of the task's study, so that the storage settles it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from autometa.evaluation import Run
from autometa.metabase import TUNED
from autometa.space import Configuration, SearchSpace

_SIGN: Final = "alive"
_SIGNS_PER_LEASE: Final = 4


class Ledger:
    """The runs of a storage that are made or being made, by this process and by others.

    Parameters
    ----------
    storage : optuna storage
    lease : float
        Seconds. Who holds a run gives a sign of life several times within them. Where none has come for as long, by
        the clock of the one that waits, the holder is taken for dead and the run is free again.

    Notes
    -----
    Whoever wants a run adds a running trial for it. Of several, that with the lowest number holds the run, which all
    see alike, and the others step back. A run is finished by a change of state that the storage allows once: a holder
    that was taken for dead cannot finish it any more.
    """

    def __init__(self, storage: Any, lease: float) -> None:
        self._storage = storage
        self._lease = lease
        self._held: dict[int, float] = {}
        self._seen: dict[int, tuple[Any, float]] = {}
        self._forgotten: set[int] = set()
        self._lock = threading.RLock()

    def forget_failures(self, study: optuna.Study) -> None:
        """From now on, let the runs of a study that have not succeeded so far count as not made."""
        made = filter(is_made, study.get_trials(deepcopy=False))
        self._forgotten |= {t._trial_id for t in made if t.user_attrs["run"]["status"] != "ok"}

    def runs(self, study: optuna.Study) -> list[FrozenTrial]:
        """Return the trials of a study that are runs, made or in flight."""
        with self._lock:
            trials = study.get_trials(deepcopy=False)
            return [
                t
                for t in trials
                if (is_made(t) and t._trial_id not in self._forgotten)
                or (t.state is TrialState.RUNNING and self._is_alive(t))
            ]

    def claim(
        self,
        study: optuna.Study,
        space: SearchSpace,
        configuration: Configuration,
        fidelity: int,
        n_tuned: int,
    ) -> int | None:
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
        int or None
            Id of the trial, to be finished or released; None where another came first.
        """
        trial = as_trial(space, configuration, fidelity, TrialState.RUNNING)
        with self._lock:
            trial_id: int = self._storage.create_new_trial(study._study_id, template_trial=trial)
            self._held[trial_id] = time.monotonic()
            runs = self.runs(study)
        number = next(run.number for run in runs if run._trial_id == trial_id)
        earlier = [run for run in runs if run.number < number]
        is_late = key(trial) in map(key, earlier)
        if is_late or (configuration.origin == TUNED and len(tuned_runs(earlier, fidelity)) >= n_tuned):
            self.release(trial_id)
            return None
        return trial_id

    def finish(self, trial_id: int, run: Run) -> bool:
        """Store a run; False where it was given to another in the meantime."""
        record = run.to_record()
        with self._lock:
            self._held.pop(trial_id, None)
            try:
                self._storage.set_trial_user_attr(trial_id, "run", record)
            except UpdateFinishedTrialError:
                return False
            self._close(trial_id, record)
        return True

    def release(self, trial_id: int) -> None:
        """Give back a run that was not made."""
        with self._lock:
            self._held.pop(trial_id, None)
            self._close(trial_id, None)

    def give_signs(self) -> None:
        """Say of every run that has been held for a while that its holder lives."""
        now = time.monotonic()
        with self._lock:
            for trial_id, last in list(self._held.items()):
                if now - last > self._lease / _SIGNS_PER_LEASE:
                    self._held[trial_id] = now
                    with suppress(UpdateFinishedTrialError):
                        self._storage.set_trial_system_attr(trial_id, _SIGN, now)

    def _is_alive(self, trial: FrozenTrial) -> bool:
        """Whether the holder of a run in flight has given a sign lately; if not, the run is closed."""
        trial_id, now = trial._trial_id, time.monotonic()
        sign = trial.system_attrs.get(_SIGN)
        last, since = self._seen.get(trial_id, (None, now))
        if trial_id in self._held or last != sign or trial_id not in self._seen:
            self._seen[trial_id] = (sign, now)
        elif now - since > self._lease:
            self._close(trial_id, None)
            return False
        return True

    def _close(self, trial_id: int, record: dict[str, Any] | None) -> None:
        is_ok = record is not None and record["status"] == "ok"
        state = TrialState.COMPLETE if is_ok else TrialState.FAIL
        with suppress(UpdateFinishedTrialError):
            self._storage.set_trial_state_values(trial_id, state, [_value(record)] if is_ok else None)


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
