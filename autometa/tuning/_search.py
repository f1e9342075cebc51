"""The search: ask, evaluate, tell, until the trials or the time are used up."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Protocol as Interface

import numpy as np
import optuna
from optuna.trial import FrozenTrial, Trial, TrialState
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from autometa.errors import EvaluationError
from autometa.evaluation import Run, Split, Worker, evaluate, fit_pipeline
from autometa.space import Configuration, SearchSpace
from autometa.task import Task
from autometa.tuning._deadline import Deadline

FIRST_FAILURES: Final = 5
_REFIT_SHARE: Final = 0.2
_REFIT_MARGIN: Final = 1.5
_START_SECONDS: Final = 60.0
INTERRUPTED: Final = "interrupted"
OUT_OF_TIME: Final = "the time of the search ran out"

Callback = Callable[[optuna.Study, FrozenTrial], object]


class Evaluator(Interface):
    """Something that evaluates and fits configurations of one task, inside a limit of seconds where it can."""

    def prepare(self, time_limit: float) -> bool: ...
    def evaluate(self, configuration: Configuration, time_limit: float) -> Run: ...
    def fit(self, configuration: Configuration, time_limit: float) -> Pipeline | Run: ...
    def stop(self) -> None: ...


@dataclass(frozen=True)
class Problem:
    """A task with its folds and how to judge on them.

    Attributes
    ----------
    options : mapping
        Keywords of :func:`autometa.evaluation.evaluate`.
    """

    task: Task
    splits: list[Split]
    options: dict[str, Any]

    def scores_of(self, run: Run) -> list[float]:
        """Return the metric of a run on every fold, in natural units; nothing for a run that failed."""
        metric = self.task.metric
        if "scorer" in run.folds:
            return [metric.sign * score for score in run.folds["scorer"]]
        return list(run.folds.get(metric.name, ()))


class InProcess:
    """Evaluates here and now, in one thread; no limit can be kept."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem

    def prepare(self, time_limit: float) -> bool:
        """Do nothing: there is nothing to start."""
        return True

    def evaluate(self, configuration: Configuration, time_limit: float) -> Run:
        """Run one configuration."""
        with threadpool_limits(1):
            return evaluate(self._problem.task, configuration, self._problem.splits, **self._problem.options)

    def fit(self, configuration: Configuration, time_limit: float) -> Pipeline | Run:
        """Fit one configuration on all rows."""
        options = self._problem.options
        try:
            with threadpool_limits(1):
                return fit_pipeline(
                    self._problem.task,
                    configuration,
                    sample_weight=options["sample_weight"],
                    random_state=options["random_state"],
                )
        except Exception as error:
            return Run(configuration, "failed", reason=f"{type(error).__name__}: {error}")

    def stop(self) -> None:
        """Do nothing: there is nothing to stop."""


class InChild:
    """Evaluates in a child process that is killed when its time is up."""

    def __init__(self) -> None:
        self._worker = Worker()
        self._starter: threading.Thread | None = None

    def start(self, time_limit: float) -> None:
        """Start the child in the background; a later run tries again where this takes too long."""
        if self._starter is None and not self._worker.is_running:
            self._starter = threading.Thread(target=self._start, args=[time_limit], daemon=True)
            self._starter.start()

    def prepare(self, time_limit: float) -> bool:
        """Wait until the child is up, and say whether it is."""
        end = time.monotonic() + time_limit
        if self._starter is not None:
            self._starter.join(min(time_limit, _START_SECONDS))
            if self._starter.is_alive():
                return False
            self._starter = None
        if not self._worker.is_running:
            self._start(end - time.monotonic())
        return self._worker.is_running

    def set_problem(self, problem: Problem) -> None:
        """Hand over what the coming runs are about, once nothing is in the middle of being started."""
        if self._starter is not None:
            self._starter.join()
        self._worker.set_task(problem.task, problem.splits, **problem.options)

    def evaluate(self, configuration: Configuration, time_limit: float) -> Run:
        """Run one configuration."""
        return self._worker.evaluate(configuration, None if math.isinf(time_limit) else time_limit)

    def fit(self, configuration: Configuration, time_limit: float) -> Pipeline | Run:
        """Fit one configuration on all rows."""
        return self._worker.fit(configuration, None if math.isinf(time_limit) else time_limit)

    def stop(self) -> None:
        """Kill the child, if there is one; from any thread."""
        self._worker.stop()

    def _start(self, time_limit: float) -> None:
        with suppress(RuntimeError):
            self._worker.start(max(min(time_limit, _START_SECONDS), 0.0))


class Search:
    """One search on one study.

    Parameters
    ----------
    study : optuna.Study
    space : SearchSpace
    problem : Problem
    evaluators : sequence of Evaluator
        As many trials run at a time.
    deadline : Deadline
    n_trials : int
        Trials to run, in addition to those that the study has.
    n_refits : int, default=1
        Configurations to fit on all rows afterwards, for which time is kept.
    callbacks : sequence of callable
        Called with the study and the finished trial, one at a time.
    """

    def __init__(
        self,
        study: optuna.Study,
        space: SearchSpace,
        problem: Problem,
        evaluators: Sequence[Evaluator],
        deadline: Deadline,
        *,
        n_trials: int,
        n_refits: int = 1,
        callbacks: Sequence[Callback] = (),
    ) -> None:
        self._study = study
        self._space = space
        self._problem = problem
        self._evaluators = evaluators
        self._deadline = deadline
        self._n_left = n_trials
        self._n_refits = n_refits
        self._callbacks = callbacks
        self._lock = threading.RLock()
        self._stopped = threading.Event()
        self._known = {t.user_attrs["configuration_id"]: t for t in _finished(study)}
        self._seconds: list[float] = []
        self._failures: list[str] = []
        self._has_success = any(t.state == TrialState.COMPLETE for t in self._known.values())
        self.interrupted = False

    def run(self) -> None:
        """Run the trials; an interruption from the keyboard ends them early and is noted, not raised.

        Raises
        ------
        EvaluationError
            AM801 when the first five trials, or all, fail; AM804 when no process can be started for them.
        """
        try:
            if len(self._evaluators) == 1:
                self._work(self._evaluators[0])
            else:
                self._work_together()
        except KeyboardInterrupt:
            self.interrupted = True
        if self._failures and not self._has_success and not self.interrupted:
            raise self._all_failed()

    def _work_together(self) -> None:
        with ThreadPoolExecutor(len(self._evaluators)) as pool:
            futures = [pool.submit(self._work, evaluator) for evaluator in self._evaluators]
            try:
                pending = set(futures)
                while pending and not any(f.done() and f.exception() for f in futures):
                    pending = wait(pending, timeout=0.2).not_done
            finally:
                self._stopped.set()
                for evaluator in self._evaluators:
                    evaluator.stop()
        for future in futures:
            future.result()

    def _work(self, evaluator: Evaluator) -> None:
        while evaluator.prepare(self._left):
            limit = self._next_limit()
            if limit <= 0:
                return
            self._run_trial(evaluator, limit)
        if self._deadline.seconds is None and not self._stopped.is_set():
            raise EvaluationError("AM804", "a worker process could not be started.", "Use n_jobs=1.")

    @property
    def _left(self) -> float:
        """Seconds left for trials."""
        return max(self._deadline.remaining - self.reserve, 0.0)

    def _next_limit(self) -> float:
        """Seconds that the next trial may take; 0 when there shall be none.

        A trial gets half of the time that is left, so that a slow one leaves room for others; or three times the
        usual, where that is more.
        """
        with self._lock:
            left = self._left
            if self._stopped.is_set() or self._n_left < 1 or left < min(self._seconds, default=0.0):
                return 0.0
            self._n_left -= 1
            return max(left / 2, min(left, 3 * float(np.median(self._seconds))) if self._seconds else 0.0)

    @property
    def reserve(self) -> float:
        """Seconds to keep for fitting the best configuration on all rows."""
        if self._deadline.seconds is None:
            return 0.0
        best = best_trial(self._study)
        if best is None:
            return _REFIT_SHARE * self._deadline.seconds
        return min(
            max(refit_seconds(best, self._problem), 0.05 * self._deadline.seconds),
            0.5 * self._deadline.seconds,
        )

    def _run_trial(self, evaluator: Evaluator, limit: float) -> None:
        with self._lock:
            trial = self._study.ask()
            configuration = self._space.suggest(trial)
            known = self._known.get(configuration.id)
        if known is not None:
            record = {**known.user_attrs["run"], "seconds": 0.0, "duplicate_of": known.number}
            self._tell(trial, configuration, record, known.value)
            return
        start = time.monotonic()
        try:
            run = evaluator.evaluate(configuration, limit)
        except BaseException:
            self._tell(
                trial, configuration, Run(configuration, "failed", reason=INTERRUPTED).to_record(), None
            )
            raise
        seconds = time.monotonic() - start
        scores = self._problem.scores_of(run)
        record = {**run.to_record(), "folds": scores, "seconds": seconds}
        if run.status == "timeout" and self._left == 0.0:
            record["reason"] = OUT_OF_TIME
        elif self._stopped.is_set() and not run.ok:
            record["reason"] = INTERRUPTED
        self._tell(trial, configuration, record, float(np.mean(scores)) if run.ok else None)

    def _tell(
        self, trial: Trial, configuration: Configuration, record: dict[str, Any], value: float | None
    ) -> None:
        with self._lock:
            trial.set_user_attr("configuration_id", configuration.id)
            trial.set_user_attr("fidelity", record["n_train"])
            trial.set_user_attr("run", record)
            if value is None:
                frozen = self._study.tell(trial, state=TrialState.FAIL)
            else:
                frozen = self._study.tell(trial, value)
            self._note(frozen, record)
            for callback in self._callbacks:
                callback(self._study, frozen)

    def _note(self, frozen: FrozenTrial, record: dict[str, Any]) -> None:
        """Keep count, and stop when the first trials all fail."""
        if record["reason"] in (OUT_OF_TIME, INTERRUPTED):
            return
        self._known.setdefault(frozen.user_attrs["configuration_id"], frozen)
        if frozen.state == TrialState.COMPLETE:
            self._has_success = True
            if "duplicate_of" not in record:
                self._seconds.append(record["seconds"])
            return
        if record["status"] == "timeout":
            return
        self._failures.append(record["reason"])
        if len(self._failures) >= FIRST_FAILURES and not self._has_success:
            raise self._all_failed()

    def _all_failed(self) -> EvaluationError:
        ((cause, count),) = Counter(self._failures).most_common(1)
        n = len(self._failures)
        return EvaluationError(
            "AM801",
            f"all of the first {n} trials failed, {count} of them with: {cause}.",
            "Check the data and the metric.",
        )


def _finished(study: optuna.Study) -> list[FrozenTrial]:
    """Trials whose outcome holds for their configuration: not those that ran out of time."""
    states = (TrialState.COMPLETE, TrialState.FAIL)
    return [
        trial
        for trial in study.get_trials(deepcopy=False, states=states)
        if trial.user_attrs.get("run", {}).get("status") in ("ok", "failed", "memory")
        and trial.user_attrs["run"]["reason"] != INTERRUPTED
    ]


def best_trial(study: optuna.Study) -> FrozenTrial | None:
    """Return the complete trial with the best value, if there is one."""
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    sign = 1.0 if study.direction == optuna.study.StudyDirection.MAXIMIZE else -1.0
    return max(trials, key=lambda t: sign * float(t.value or 0.0), default=None)


def refit_seconds(trial: FrozenTrial, problem: Problem) -> float:
    """Estimate the seconds of a fit on all rows from the trial's folds, on the safe side."""
    run = trial.user_attrs["run"]
    growth = problem.task.n_rows / max(run["n_train"], 1)
    return float(_REFIT_MARGIN * growth * run["seconds"] / max(run["n_folds"], 1))
