"""Who fits: child processes that can be stopped, or this process; and what a bar shows of it."""

from __future__ import annotations

import math
import queue
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol as Interface

import optuna
from optuna.trial import FrozenTrial

from autometa.evaluation import Died, Failure, FoldFit, Job, Replies, Worker
from autometa.progress import Bar
from autometa.tuning._schedule import Deadline
from autometa.wording import algorithm_name, counted, number

Outcome = FoldFit | Failure
Fitter = Callable[[Job], Outcome]


class Hands(Interface):
    """Something that fits jobs, several at a time or one after the other."""

    @property
    def n_workers(self) -> int:
        """How many jobs are done at a time, once all are there."""

    @property
    def n_idle(self) -> int:
        """How many more jobs can be taken now."""

    @property
    def is_busy(self) -> bool:
        """Whether any outcome is still to come."""

    def submit(self, key: Any, job: Job, limit: float) -> None:
        """Begin a job; after `limit` seconds it ends in a failure."""

    def wait(self) -> list[tuple[Any, Outcome, float]]:
        """Wait for at least one outcome; return keys, outcomes and seconds of wall-clock time."""

    def stop(self) -> None:
        """End whatever runs."""


class Here:
    """Fits in this process, one job at a time; a job cannot be stopped."""

    def __init__(self, fitter: Fitter) -> None:
        self._fitter = fitter
        self._done: list[tuple[Any, Outcome, float]] = []

    @property
    def n_workers(self) -> int:
        return 1

    @property
    def n_idle(self) -> int:
        return 0 if self._done else 1

    @property
    def is_busy(self) -> bool:
        return bool(self._done)

    def submit(self, key: Any, job: Job, limit: float) -> None:
        start = time.monotonic()
        outcome = self._fitter(job)
        self._done.append((key, outcome, time.monotonic() - start))

    def wait(self) -> list[tuple[Any, Outcome, float]]:
        done, self._done = self._done, []
        return done

    def stop(self) -> None:
        self._done = []


class Children:
    """Fits in child processes, which are killed where a job takes longer than it may.

    Parameters
    ----------
    fitter : callable
        Takes a job and returns its outcome.
    n_workers : int
    memory_limit : int, optional
        Bytes that each child may allocate beyond what it starts with.
    """

    def __init__(self, fitter: Fitter, n_workers: int, memory_limit: int | None = None) -> None:
        self._replies: Replies = queue.Queue()
        self._has_memory_limit = memory_limit is not None
        self._workers = [Worker(memory_limit, forks=True, replies=self._replies) for _ in range(n_workers)]
        for worker in self._workers:
            worker.set_problem(fitter)
        # What each busy worker does: key, start, end.
        self._running: dict[Worker, tuple[Any, float, float]] = {}

    @property
    def n_workers(self) -> int:
        return len(self._workers)

    @property
    def n_idle(self) -> int:
        return len(self._workers) - len(self._running)

    @property
    def is_busy(self) -> bool:
        return bool(self._running)

    def submit(self, key: Any, job: Job, limit: float) -> None:
        worker = next(w for w in self._workers if w not in self._running)
        start = time.monotonic()
        # A child that cannot be started shows as one that died.
        with suppress(RuntimeError):
            if not worker.is_running:
                worker.start(limit)
            worker.submit(job)
        self._running[worker] = key, start, start + limit
        if not worker.is_running:
            self._replies.put((worker, worker._generation, Died()))

    def wait(self, seconds: float = math.inf) -> list[tuple[Any, Outcome, float]]:
        """See :class:`Hands`; after so many seconds nothing may be the answer."""
        until = time.monotonic() + seconds
        while self._running:
            first = min(self._running, key=lambda worker: self._running[worker][2])
            end = self._running[first][2]
            left = min(end, until) - time.monotonic()
            try:
                timeout = None if math.isinf(left) else max(left, 0.0)
                worker, generation, reply = self._replies.get(timeout=timeout)
            except queue.Empty:
                if until < end:
                    return []
                first.stop()
                return [self._end(first, Failure("timeout", "longer than its share of the time"))]
            if worker not in self._running or not worker.is_current(generation):
                continue
            if isinstance(reply, Died):
                worker.stop()
                status = "memory" if self._has_memory_limit else "failed"
                return [self._end(worker, Failure(status, "the process that fitted it died"))]
            return [self._end(worker, reply)]
        return []

    def _end(self, worker: Worker, outcome: Outcome) -> tuple[Any, Outcome, float]:
        key, start, _ = self._running.pop(worker)
        return key, outcome, time.monotonic() - start

    def stop(self) -> None:
        for worker in self._workers:
            worker.stop()
        self._running = {}


class Watch:
    """Shows a search on a bar.

    Parameters
    ----------
    bar : Bar
    metric : str
        Name of the metric.
    n_trials : int
        The most trials.
    deadline : Deadline
    """

    def __init__(self, bar: Bar, metric: str, n_trials: int, deadline: Deadline) -> None:
        self._bar = bar
        self._metric = metric
        self._n_trials = n_trials
        self._deadline = deadline
        self._n_done = 0
        self._best = ""
        self._now = ""

    @property
    def share(self) -> float:
        """The part that is done: of the trials or of the time, whichever is more."""
        of_time = self._deadline.spent / self._deadline.seconds if self._deadline.seconds else 0.0
        return min(max(self._n_done / max(self._n_trials, 1), of_time), 1.0)

    def show(self, now: str) -> None:
        """Say what is done now."""
        self._now = now
        # A terminal of 80 columns cuts the end.
        n = f"{counted(self._n_done, 'trial')} by {self._metric}" if self._n_done else ""
        words = (self._best, f"now {self._now}" if self._now else "", n)
        self._bar.update(lambda: self.share, ", ".join(filter(None, words)))

    def begins(self, job: Job) -> None:
        """Say which fit begins."""
        fold = "on all rows" if job.fold is None else f"fold {job.fold + 1}"
        self.show(f"{algorithm_name(job.configuration.algorithm)}, {fold}")

    def ended(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Count a trial; the search calls this as Optuna calls its callbacks."""
        self._n_done += 1
        try:
            self._best = f"best {number(study.best_value)}"
        except ValueError:  # no trial is complete yet
            self._best = ""
        self.show(self._now)


class Watched:
    """Hands whose fits are shown when they begin."""

    def __init__(self, hands: Hands, watch: Watch) -> None:
        self._hands = hands
        self._watch = watch

    @property
    def n_workers(self) -> int:
        """How many jobs are done at a time."""
        return self._hands.n_workers

    @property
    def n_idle(self) -> int:
        """How many more jobs can be taken now."""
        return self._hands.n_idle

    @property
    def is_busy(self) -> bool:
        """Whether any outcome is still to come."""
        return self._hands.is_busy

    def submit(self, key: Any, job: Job, limit: float) -> None:
        """Begin a job, and say so."""
        self._watch.begins(job)
        self._hands.submit(key, job, limit)

    def wait(self) -> list[tuple[Any, Outcome, float]]:
        """Wait for at least one outcome."""
        return self._hands.wait()

    def stop(self) -> None:
        """End whatever runs."""
        self._hands.stop()
