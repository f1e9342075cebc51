"""Runs of a collection on the workers of a Dask cluster."""

from __future__ import annotations

import math
import pickle
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import cloudpickle

from autometa.collection._station import Outcome, Source, Station
from autometa.errors import EvaluationError
from autometa.evaluation import WORKER_DIED, Failure, Protocol, Run
from autometa.evaluation._cluster import CANCELLED, connect, count_threads, is_living
from autometa.space import Algorithm, Configuration, register_algorithm, registered_algorithms

_LOOK_SECONDS: Final = 5.0  # between two looks whether the scheduler is still there
Registered = dict[str, dict[str, Algorithm]]


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

    def describe(self, source: Source) -> dict[str, Any]:
        """See :meth:`Station.describe`."""
        description: dict[str, Any] = self._call("describe", source)
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
