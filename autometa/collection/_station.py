"""Where runs are made: a worker process and the task that it holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol as Interface

from autometa.evaluation import WORKER_DIED, Protocol, Run, Split, Worker, make_splits
from autometa.metabase import describe_for_study
from autometa.space import Configuration
from autometa.task import Task

_ATTEMPTS: Final = 3


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
