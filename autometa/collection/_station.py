"""Where runs are made: a worker process and the task that it holds."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, Protocol as Interface

from autometa.evaluation import (
    WORKER_DIED,
    Died,
    Failure,
    FoldFit,
    FoldFitter,
    Job,
    Protocol,
    Run,
    Split,
    Worker,
    make_splits,
)
from autometa.metabase import describe_for_study
from autometa.space import Configuration
from autometa.task import Task

_ATTEMPTS: Final = 3  # of a run whose process was killed from outside: what kills it thrice is the run itself
# The folds that predictions are recorded in: those of a search on a table of fewer than 8,000 rows, on all its rows.
RECORDED: Final = Protocol(5, max_train_rows=100_000, max_test_rows=10_000, enough_test_rows=2**62)
Outcome = tuple[FoldFit | Failure, float, int]


class Source(Interface):
    """Where a task comes from."""

    @property
    def task_id(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def n_rows(self) -> int:
        """Rows of the table; 0 where they are not known before it is loaded."""

    def load(self) -> Task: ...
    def folds(self) -> Sequence[Split] | None:
        """Return official folds of the loaded task, or None where they are to be drawn."""


class Station:
    """One worker process, which is handed a task when a run on it is asked for.

    Parameters
    ----------
    memory_limit : int, optional
        Bytes of address space of the process.
    """

    def __init__(self, memory_limit: int | None = None) -> None:
        self._worker = Worker(memory_limit)
        self._held: tuple[Source, Protocol] | None = None
        self._n_folds = 0
        self._loaded: tuple[Source, Task] | None = None

    def describe(self, source: Source) -> dict[str, Any]:
        """Return what the task's study should say about it.

        Raises
        ------
        AutometaError
            When the task cannot be read.
        """
        return describe_for_study(self._load(source))

    def evaluate(
        self, source: Source, protocol: Protocol, configuration: Configuration, time_limit: float | None
    ) -> Run:
        """Make a run. A process that is killed from outside is replaced, and the run made again.

        Raises
        ------
        AutometaError
            When the task cannot be read, or has too few rows for the protocol.
        """
        self._hold(source, protocol)
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                run = self._worker.evaluate(configuration, time_limit)
            except RuntimeError:
                if attempt == _ATTEMPTS:
                    raise
                continue
            if run.reason != WORKER_DIED:
                break
        return run

    def fit_folds(
        self, source: Source, configuration: Configuration, time_limit: float | None
    ) -> list[Outcome]:
        """Fit a configuration in folds as a search does, until one fails.

        Returns
        -------
        list of (FoldFit or Failure, float, int)
            By fold: predictions without the model, seconds of wall-clock time, and bytes of the model.

        Raises
        ------
        AutometaError
            When the task cannot be read, or has too few rows for the folds.
        """
        if self._held != (source, RECORDED):
            task = self._load(source)
            splits = make_splits(task, RECORDED, source.folds())
            self._worker.set_problem(FoldFitter(task, splits))
            self._held, self._n_folds = (source, RECORDED), len(splits)
        found: list[Outcome] = []
        left = math.inf if time_limit is None else time_limit
        for fold in range(self._n_folds):
            start = time.monotonic()
            outcome = self._fit(Job(configuration, fold), None if math.isinf(left) else left)
            seconds = time.monotonic() - start
            left -= seconds
            n_bytes = len(outcome.model) if isinstance(outcome, FoldFit) else 0
            if isinstance(outcome, FoldFit):
                outcome = replace(outcome, model=b"", preparations={})
            found.append((outcome, seconds, n_bytes))
            if isinstance(outcome, Failure):
                break
        return found

    def _fit(self, job: Job, limit: float | None) -> FoldFit | Failure:
        """Make one fit. A process that is killed from outside is replaced, and the fit made again."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                self._worker.submit(job)
                reply = self._worker.result(limit)
            except TimeoutError:
                return Failure("timeout", f"longer than {limit:.3g} s")
            except RuntimeError:
                if attempt == _ATTEMPTS:
                    raise
                continue
            if not isinstance(reply, Died):
                fit: FoldFit | Failure = reply
                return fit
        return Failure("failed", WORKER_DIED)

    def stop(self) -> None:
        """End the process."""
        self._worker.stop()

    def _hold(self, source: Source, protocol: Protocol) -> None:
        if self._held != (source, protocol):
            task = self._load(source)
            self._worker.set_task(task, make_splits(task, protocol, source.folds()))
            self._held = source, protocol

    def _load(self, source: Source) -> Task:
        if self._loaded is None or self._loaded[0] != source:
            self._loaded = source, source.load()
        return self._loaded[1]
