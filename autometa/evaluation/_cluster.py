"""Work on a Dask cluster: the one door to ``distributed``.

A problem travels to each worker once. It is held there as long as whoever sent it wants it, and each fit happens in a
child of the Dask worker, which is killed where the fit takes longer than it may.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import pickle
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from autometa.errors import DependencyError, EvaluationError, UsageError, how_to_install
from autometa.evaluation._fold import Failure
from autometa.evaluation._worker import Died, Problem, Replies, Worker, packed
from autometa.parcel import Parcel

CONNECT_SECONDS: Final = 10  # after which a scheduler is said not to answer; a local one does in a fraction
# Seconds between two looks at whether an answer is still wanted: a fit that is not is stopped.
_LOOK_SECONDS: Final = 0.25
_LIVING: Final = ("running", "connecting")
# What a client raises for work that will never be done, as versions of Dask differ.
CANCELLED: Final = (asyncio.CancelledError, concurrent.futures.CancelledError)
# What it raises when the cluster is gone, or what was sent there is.
LOST: Final = (*CANCELLED, OSError)


@contextmanager
def connect(cluster: Any) -> Iterator[Any]:
    """Have a client of a cluster for a while.

    Parameters
    ----------
    cluster : str or distributed.Client
        Address of a scheduler, or a client, which stays open.

    Raises
    ------
    DependencyError
        AM704 when Dask is not installed.
    UsageError
        AM527 when `cluster` is something else.
    EvaluationError
        AM805 when the cluster does not answer or has no workers.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise DependencyError("AM704", "working on a cluster needs Dask.", how_to_install("dask")) from error
    if isinstance(cluster, Client) and not cluster.asynchronous:
        _check_workers(cluster)
        yield cluster
        return
    if not isinstance(cluster, str):
        raise UsageError(
            "AM527",
            f"cluster must be the address of a Dask scheduler or a client that waits; got a {type(cluster).__name__}.",
            "Pass for example 'tcp://10.0.0.1:8786'.",
        )
    try:
        client = Client(cluster, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise EvaluationError(
            "AM805", f"no Dask scheduler answers at {cluster!r}.", "Start one with: dask scheduler."
        ) from error
    with client:
        _check_workers(client)
        yield client


def _check_workers(client: Any) -> None:
    if not count_threads(client):
        address = client.scheduler.address
        raise EvaluationError(
            "AM805",
            f"the Dask cluster at {address!r} has no workers.",
            f"Start some with: dask worker {address}.",
        )


def count_threads(client: Any) -> int:
    """Return how many tasks a cluster works on at a time."""
    return sum(client.nthreads().values())


def is_living(client: Any) -> bool:
    """Whether the scheduler answers, or may again."""
    return client.status in _LIVING


class Bench:
    """Where the fits of one problem are done on a worker: a child for each thread that is at it.

    Parameters
    ----------
    payload : bytes
        The problem, as a child process takes it.
    """

    def __init__(self, payload: bytes) -> None:
        self._problem: Problem = pickle.loads(payload).take()
        self._lock = threading.Lock()
        self._idle: list[_Desk] = []

    def packed(self) -> bytes:
        """See :class:`autometa.parcel.Content`."""
        return packed(self._problem)

    def close(self) -> None:
        """See :class:`autometa.parcel.Content`."""
        for desk in self._idle:
            desk.worker.stop()

    @contextmanager
    def desk(self, memory_limit: int | None, epoch: int) -> Iterator[_Desk]:
        """Have a child for a while."""
        with self._lock:
            outdated = [desk for desk in self._idle if desk.epoch != epoch]
            self._idle = [desk for desk in self._idle if desk.epoch == epoch]
            desk = self._idle.pop() if self._idle else _Desk(self._problem, memory_limit, epoch)
        for other in outdated:
            other.worker.stop()
        try:
            yield desk
        except BaseException:
            desk.worker.stop()
            raise
        with self._lock:
            self._idle.append(desk)


class _Desk:
    """A child of a Dask worker, for one of its threads at a time."""

    def __init__(self, problem: Problem, memory_limit: int | None, epoch: int) -> None:
        self._replies: Replies = queue.Queue()
        self._has_memory_limit = memory_limit is not None
        self.worker = Worker(memory_limit, forks=True, replies=self._replies)
        self.worker.set_problem(problem)
        self.epoch = epoch

    def answer(self, message: Any, limit: float, key: str) -> Any:
        """Return the child's reply, or why there is none."""
        end = time.monotonic() + limit
        try:
            self.worker.submit(message)
        except RuntimeError:
            return self._died()
        while True:
            left = end - time.monotonic()
            try:
                _, generation, reply = self._replies.get(timeout=min(_LOOK_SECONDS, max(left, 0.0)))
            except queue.Empty:
                if left > 0 and _is_wanted(key):
                    continue
                self.worker.stop()
                return Failure("timeout", "longer than its share of the time")
            if self.worker.is_current(generation):
                return self._died() if isinstance(reply, Died) else reply

    def _died(self) -> Failure:
        self.worker.stop()
        return Failure("memory" if self._has_memory_limit else "failed", "the process that fitted it died")


def _is_wanted(key: str) -> bool:
    """Whether somebody still waits for a task of this Dask worker."""
    from distributed import get_worker

    task = get_worker().state.tasks.get(key)
    return task is None or task.state != "cancelled"


def prepare(parcel: Parcel) -> None:
    """Open a parcel on a Dask worker, and import what its children need: they are copies of this process."""
    import lightgbm  # noqa: F401

    parcel.open(Bench)


def answer(
    parcel: Parcel, message: bytes, limit: float, memory_limit: int | None, epoch: int, key: str
) -> tuple[Any, float]:
    """Have a child of a Dask worker answer a message; return what came of it and the seconds that it took.

    Parameters
    ----------
    parcel : Parcel
        The problem.
    message : bytes
    limit : float
        Seconds after which the child is killed.
    memory_limit : int, optional
        Bytes that the child may allocate beyond what it starts with.
    epoch : int
        Children of an earlier one have sent something that did not arrive; they are replaced.
    key : str
        Of the Dask task. The child is killed where nobody wants its result any more.
    """
    prepare(parcel)
    with parcel.open(Bench).desk(memory_limit, epoch) as desk:
        start = time.monotonic()
        reply = desk.answer(pickle.loads(message), limit, key)
        return reply, time.monotonic() - start
