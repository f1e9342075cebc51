"""What is run on every task, and where: in a worker process here, or a thread of a cluster, that holds the task."""

from __future__ import annotations

import math
import pickle
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol as Interface

import cloudpickle
import numpy as np

from autometa.errors import EvaluationError
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
from autometa.evaluation._cluster import CANCELLED, connect, count_threads, is_living
from autometa.metabase import describe_for_study
from autometa.space import (
    Algorithm,
    Configuration,
    SearchSpace,
    grown_configurations,
    register_algorithm,
    registered_algorithms,
)
from autometa.task import Task

# Numbers of training rows that are closer say the same.
LEAST_STEP: Final = 1.25
Places = Mapping[str, Mapping[str, Sequence[int]]]
# Places in the design of each algorithm beside the default, its first: what the meta-model, asked about 60 known tables
# at 100 and at 200 rows with their families left out, recommends most often among the first six, and what was run with
# 60 rows before. Neural networks and large forests have one place each: they take half of the time as it is.
FEW_ROWS: Final[Places] = {
    "classification": {
        "linear": (3, 6, 12, 14),
        "lightgbm": (2, 5, 7, 10),
        "extra_trees": (3, 10),
        "hist_gradient_boosting": (2,),
        "random_forest": (6,),
        "mlp": (14,),
    },
    "regression": {
        "linear": (4, 12),
        "svm": (11, 14),
        "lightgbm": (5, 10),
        "extra_trees": (6, 10, 12),
        "hist_gradient_boosting": (14,),
        "random_forest": (11,),
        "mlp": (2,),
    },
}
# The same for tables of words: what was recommended most often among the first ten for 38 of them, their families left
# out; of neural networks one.
WORDS: Final[Places] = {
    "classification": {
        "hist_gradient_boosting": (5, 6, 9),
        "lightgbm": (1, 2, 5),
        "linear": (9,),
        "extra_trees": (1, 10),
        "mlp": (7,),
        "svm": (2,),
        "random_forest": (3,),
    },
    "regression": {
        "hist_gradient_boosting": (3, 8, 14),
        "lightgbm": (5, 10),
        "linear": (4,),
        "extra_trees": (3, 8, 10),
        "mlp": (2,),
        "svm": (12,),
        "random_forest": (8,),
    },
}
_ATTEMPTS: Final = 3  # of a run whose process was killed from outside: what kills it thrice is the run itself
# The folds that predictions are recorded in: those of a search on a table of fewer than 8,000 rows, on all its rows.
RECORDED: Final = Protocol(5, max_train_rows=100_000, max_test_rows=10_000, enough_test_rows=2**62)
Outcome = tuple[FoldFit | Failure, float, int]
_LOOK_SECONDS: Final = 5.0  # between two looks whether the scheduler is still there
Registered = dict[str, dict[str, Algorithm]]


def listed_configurations(
    space: SearchSpace, target: str, places: Places, seed: int = 0
) -> list[Configuration]:
    """Return the default of each algorithm, and the configurations of a list.

    Parameters
    ----------
    space : SearchSpace
        Of the task's kind.
    target : {"classification", "regression"}
    places : mapping
        The list: ``FEW_ROWS`` or ``WORDS``.
    seed : int, default=0
        Of the space-filling sequence.
    """
    found = space.design(1, seed)
    for algorithm, chosen in places[target].items():
        if algorithm in space:
            design = SearchSpace([space[algorithm]]).design(max(chosen) + 1, seed)
            found += [design[place] for place in chosen]
    return found


@dataclass(frozen=True)
class Plan:
    """What is to be run on every task."""

    protocol: Protocol
    n_configurations: Mapping[int, int]
    n_tuned: int
    time_limit: float | None
    seed: int
    retry_failed: bool = False
    grown: frozenset[int] = frozenset()
    few: frozenset[int] = frozenset()
    words: frozenset[int] = frozenset()

    @property
    def main(self) -> int:
        """The main fidelity."""
        return self.protocol.max_train_rows

    def fidelities(self, n_rows: int) -> list[int]:
        """Return the fidelities that differ on a table of so many rows (0: not known), the main one first."""
        n_train = n_rows * (1 - 1 / self.protocol.n_folds) or float("inf")
        chosen = [self.main]
        for fidelity in sorted(self.n_configurations):
            rows = np.array([min(fidelity, n_train), *(min(other, n_train) for other in chosen)])
            steps = np.maximum(rows[0], rows[1:]) / np.minimum(rows[0], rows[1:])
            if steps.min() >= LEAST_STEP:
                chosen.append(fidelity)
        return chosen

    def design(self, space: SearchSpace, target: str, fidelity: int) -> list[Configuration]:
        """Return the configurations of a target to run at a fidelity."""
        return [
            *space.design(self.n_configurations[fidelity], self.seed),
            *(grown_configurations(target) if fidelity in self.grown else ()),
            *(listed_configurations(space, target, FEW_ROWS, self.seed) if fidelity in self.few else ()),
            *(listed_configurations(space, target, WORDS, self.seed) if fidelity in self.words else ()),
        ]

    def seconds(self, fidelity: int) -> float | None:
        """Return the limit on the time of a run at a fidelity."""
        return None if self.time_limit is None else self.time_limit * max(1.0, fidelity / self.main)

    def at(self, fidelity: int) -> Protocol:
        """Return the protocol at a fidelity; above the main one, few large tests are cheaper than many small ones."""
        test_rows = self.protocol.max_test_rows * (2 if fidelity > self.main else 1)
        return replace(self.protocol, max_train_rows=fidelity, max_test_rows=test_rows)


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

    def describe(self, source: Source, protocol: Protocol | None = None) -> dict[str, Any]:
        """Return what the task's study should say about it, or about the rows that the first fold trains on.

        Raises
        ------
        AutometaError
            When the task cannot be read, or has too few rows for the protocol.
        """
        task = self._load(source)
        if protocol is not None:
            task = task.subset(make_splits(task, protocol, source.folds())[0][0])
        return describe_for_study(task)

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


@contextmanager
def remote_stations(cluster: Any, memory_limit: int | None = None) -> Iterator[list[Station]]:
    """Have a station for each thread of a cluster; see :func:`connect`."""
    with connect(cluster) as client:
        yield [RemoteStation(client, memory_limit) for _ in range(count_threads(client))]


class RemoteStation(Station):
    """One thread's worth of a cluster.

    Each call is a Dask task of its own, made on any worker that is free; a task whose worker is lost is made again on
    another. The worker reads the task itself.

    Parameters
    ----------
    client : distributed.Client
    memory_limit : int, optional
        Bytes of address space of the process that fits.
    """

    def __init__(self, client: Any, memory_limit: int | None) -> None:
        super().__init__(memory_limit)
        self._client = client
        self._memory_limit = memory_limit

    def describe(self, source: Source, protocol: Protocol | None = None) -> dict[str, Any]:
        """See :meth:`Station.describe`."""
        description: dict[str, Any] = self._call("describe", source, protocol)
        return description

    def evaluate(
        self, source: Source, protocol: Protocol, configuration: Configuration, time_limit: float | None
    ) -> Run:
        """See :meth:`Station.evaluate`; a run that has cost several workers their lives has failed."""
        from distributed import KilledWorker

        try:
            run: Run = self._call("evaluate", source, protocol, configuration, time_limit)
        except KilledWorker:
            return Run(configuration, "failed", reason=WORKER_DIED)
        return run

    def fit_folds(
        self, source: Source, configuration: Configuration, time_limit: float | None
    ) -> list[Outcome]:
        """See :meth:`Station.fit_folds`."""
        from distributed import KilledWorker

        try:
            found: list[Outcome] = self._call("fit_folds", source, configuration, time_limit)
        except KilledWorker:
            return [(Failure("failed", WORKER_DIED), math.nan, 0)]
        return found

    def _call(self, method: str, source: Source, *arguments: Any) -> Any:
        here = (self._memory_limit, registered_algorithms())
        pickled = cloudpickle.dumps(source)
        future = self._client.submit(_on_worker, method, pickled, arguments, *here, pure=False)
        while True:
            try:
                return future.result(timeout=_LOOK_SECONDS)
            except CANCELLED as error:
                raise _lost() from error
            except TimeoutError as error:
                # The work itself may have raised it.
                if future.done():
                    raise
                if not is_living(self._client):
                    raise _lost() from error


def _lost() -> EvaluationError:
    return EvaluationError(
        "AM805", "the Dask cluster is gone.", "Start it and give the same command: finished runs are kept."
    )


class _Desk:
    """What a thread of a Dask worker keeps from one call to the next."""

    def __init__(self, memory_limit: int | None) -> None:
        self.station = Station(memory_limit)
        self._last: tuple[bytes, Source] | None = None

    def source(self, pickled: bytes) -> Source:
        """Return the same object for the same source, so that its task is read once."""
        if self._last is None or self._last[0] != pickled:
            self._last = pickled, pickle.loads(pickled)
        return self._last[1]


def _on_worker(
    method: str, source: bytes, arguments: tuple[Any, ...], memory_limit: int | None, registered: Registered
) -> Any:
    """Call a method of this thread's station; it stays until the Dask worker ends."""
    from distributed import get_worker

    for kind, algorithms in registered.items():
        for algorithm in algorithms.values():
            register_algorithm(algorithm, [kind])
    desks: dict[Any, _Desk] = get_worker().__dict__.setdefault("autometa_desks", {})
    desk = desks.setdefault((threading.get_ident(), memory_limit), _Desk(memory_limit))
    return getattr(desk.station, method)(desk.source(source), *arguments)
