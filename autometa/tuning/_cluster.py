"""Hands on a Dask cluster, and the choice among hands."""

from __future__ import annotations

import itertools
import math
import queue
import threading
import time
import uuid
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

import cloudpickle

from autometa.errors import EvaluationError
from autometa.evaluation import Failure, FoldFit, Job
from autometa.evaluation._cluster import LOST, answer, connect, is_living, prepare
from autometa.evaluation._worker import packed
from autometa.parcel import Parcel
from autometa.tuning._hands import Children, Fitter, Hands, Here, Outcome
from autometa.tuning._schedule import Deadline

# Seconds between two looks at how many threads the cluster has, and whether it is there at all.
_LOOK_SECONDS: Final = 1.0
# Between two looks at the child here, while one is at work.
_GLANCE_SECONDS: Final = 0.05
# A cluster that has had no worker for so long is given up; a worker that is replaced is back in a few seconds.
_PATIENCE: Final = 60.0
# Seconds that a job and its outcome may be on their way, beyond the limit on the fit.
_WAY_SECONDS: Final = 0.5
# The most seconds that an outcome may take from its worker to here.
_FETCH_SECONDS: Final = 60.0
# Kept free of fits before the end of a search: a share of its time, and seconds.
_RESERVE: Final = (0.03, 0.2)
# How often a fit is begun anew because its worker went with the last copy of the table.
_ATTEMPTS: Final = 5


@dataclass
class _Fit:
    """What is being done: whose it is, the job, the limit on it, and when nobody waits for it any more."""

    key: Any
    job: Job
    limit: float
    start: float
    end: float
    table: Any = None
    future: Any = None
    n_attempts: int = 0


class OnCluster:
    """Fits on the workers of a Dask cluster, in a child process for each of their threads.

    The table travels to each worker once. Until the first worker has opened it, and again if the cluster is lost, one
    child process here does what there is to do. A fit whose worker is lost is begun anew on another. A worker kills
    what takes longer than it may, and nobody waits for it here; only where a worker was lost a fit gets its time twice.

    Parameters
    ----------
    fitter : callable
        Takes a job and returns its outcome.
    client : distributed.Client
    deadline : Deadline
        Of the search.
    memory_limit : int, optional
        Bytes that each fit may allocate beyond what its process starts with.
    """

    def __init__(
        self, fitter: Fitter, client: Any, deadline: Deadline, memory_limit: int | None = None
    ) -> None:
        self._client = client
        self._deadline = deadline
        self._memory_limit = memory_limit
        self._fitter = fitter
        self._here = Children(fitter, 1, memory_limit)
        self._name = f"autometa-{uuid.uuid4().hex}"
        self._numbers = itertools.count()
        self._running: dict[str, _Fit] = {}
        self._done: queue.Queue[str] = queue.Queue()
        self._waiting: deque[_Fit] = deque()
        self._epoch = 0
        self._known: set[str] = set()
        self._threads: dict[str, int] = client.nthreads()
        self._last_loss = -math.inf
        self._seen = self._last_worker = time.monotonic()
        self._table: Any = None
        # Workers that were asked to open the table, and those that have.
        self._asked: dict[str, Any] = {}
        self._opened: set[str] = set()
        # First "sending", then "ready"; "gone" when the cluster is lost.
        self._state = ""
        self._send()

    @property
    def n_workers(self) -> int:
        """See :class:`Hands`."""
        return max(sum(self._threads.values()), 1)

    @property
    def n_idle(self) -> int:
        """See :class:`Hands`; threads that join the cluster are used from the next look on."""
        self._look()
        if not self._n_open:
            return 0 if self._waiting else self._here.n_idle
        return max(self._n_open - len(self._running), 0)

    @property
    def _n_open(self) -> int:
        """Threads of the workers that can begin at once."""
        if self._state != "ready":
            return 0
        for worker, future in self._asked.items():
            if future.status == "finished":
                self._opened.add(worker)
        return sum(n for worker, n in self._threads.items() if worker in self._opened)

    @property
    def is_busy(self) -> bool:
        """See :class:`Hands`."""
        return bool(self._running or self._waiting) or self._here.is_busy

    def submit(self, key: Any, job: Job, limit: float) -> None:
        """See :class:`Hands`."""
        self._check_workers()
        if not self._n_open:
            self._here.submit(key, job, limit)
            return
        start = time.monotonic()
        self._begin(_Fit(key, job, limit, start, start + limit + _WAY_SECONDS))

    def wait(self) -> list[tuple[Any, Outcome, float]]:
        """See :class:`Hands`; the seconds are those on the worker."""
        while self.is_busy:
            self._look()
            self._take_up()
            if self._here.is_busy:
                glance = _GLANCE_SECONDS if self._running else _LOOK_SECONDS
                if found := self._here.wait(glance):
                    return [self._checked(*found[0])]
            if not self._running:
                continue
            name = min(self._running, key=lambda name: self._running[name].end)
            left = max(self._running[name].end - time.monotonic(), 0.0)
            try:
                done = self._done.get(timeout=0.0 if self._here.is_busy else min(left, _LOOK_SECONDS))
            except queue.Empty:
                if left:
                    self._look()
                elif not self._may_take_longer(self._running[name]):
                    return [self._give_up(name)]
                continue
            if done in self._running and (outcome := self._fetch(done)) is not None:
                return [outcome]
        return []

    def stop(self) -> None:
        """See :class:`Hands`; workers kill what nobody waits for any more, and forget the table."""
        self._state, self._table, self._asked = "stopped", None, {}
        for fit in self._running.values():
            self._cancel(fit)
        self._running = {}
        self._waiting.clear()
        self._here.stop()

    # -- the table ------------------------------------------------------------------------------------------------

    def _send(self) -> None:
        """Begin to send the table to every worker.

        In a thread of its own, so that neither a large table nor a slow network holds up the fits here.
        """
        self._state, self._asked, self._opened = "sending", {}, set()
        threading.Thread(target=self._send_now, daemon=True).start()

    def _send_now(self) -> None:
        state, table = "gone", None
        # Dask's own broadcast waits for a worker that is lost meanwhile. So one worker is given the table, and the
        # others fetch it from each other.
        for _ in range(_ATTEMPTS):
            try:
                (table,) = self._client.scatter([Parcel(packed(self._fitter))], hash=False)
                state = "ready"
                break
            except Exception:
                if self._state != "sending" or not is_living(self._client):
                    break
                time.sleep(_LOOK_SECONDS)
        if self._state == "sending":
            self._table, self._state = table, state

    def _ask(self) -> None:
        """Ask the workers that have not been asked to fetch the table, and to import what their fits need."""
        for worker in self._threads.keys() - self._asked.keys():
            self._asked[worker] = self._client.submit(prepare, self._table, workers=[worker], pure=False)
        lost = [f for w, f in self._asked.items() if w in self._threads and f.status in ("cancelled", "lost")]
        if lost and not self._opened:
            # The one that had the table was lost before another could fetch it.
            self._send()

    def _check_workers(self) -> None:
        """Refuse a cluster none of whose workers can open the table."""
        errors = [f.exception(timeout=_LOOK_SECONDS) for f in self._asked.values() if f.status == "error"]
        if errors and len(errors) == len(self._asked) and not self._opened:
            raise EvaluationError(
                "AM805",
                f"no worker of the Dask cluster can open the table: {type(errors[0]).__name__}: {errors[0]}.",
                "Install the same autometa on all of them.",
            )

    # -- fits -----------------------------------------------------------------------------------------------------

    def _begin(self, fit: _Fit) -> None:
        fit.n_attempts += 1
        fit.table = self._table
        name = f"{self._name}-{next(self._numbers)}"
        self._running[name] = fit
        arguments = (cloudpickle.dumps(fit.job), fit.limit, self._memory_limit, self._epoch, name)
        try:
            fit.future = self._client.submit(
                answer,
                fit.table,
                *arguments,
                key=name,
                workers=list(self._opened & self._threads.keys()),
                allow_other_workers=True,
                pure=False,
            )
            fit.future.add_done_callback(lambda _: self._done.put(name))
        except LOST:
            # What runs is done here, this one too.
            self._leave()

    def _fetch(self, name: str) -> tuple[Any, Outcome, float] | None:
        """Return what came of a fit that is done; None where it is begun anew."""
        from distributed import KilledWorker

        fit = self._running.pop(name)
        seconds = time.monotonic() - fit.start
        try:
            left = fit.end - time.monotonic()
            outcome, seconds = fit.future.result(timeout=min(max(left, _LOOK_SECONDS), _FETCH_SECONDS))
        except (*LOST, KilledWorker) as error:
            self._epoch += 1
            # Dask gives up what some workers in a row were lost with. All may have been lost at once, so it is begun
            # anew, but once: it may be what they were lost by.
            attempts = 2 if isinstance(error, KilledWorker) else _ATTEMPTS
            if fit.n_attempts < attempts and time.monotonic() < fit.end:
                self._begin_anew(fit)
                return None
            outcome = Failure("failed", f"its worker was lost: {type(error).__name__}")
        except Exception as error:
            outcome = Failure("failed", f"{type(error).__name__}: {error}".replace("\n", " ")[:200])
        return self._checked(fit.key, outcome, seconds)

    def _begin_anew(self, fit: _Fit) -> None:
        """Begin a fit anew whose worker went with the last copy of the table, or whose scheduler did."""
        self._look(at_once=True)
        self._waiting.append(fit)
        if self._state == "ready" and fit.table is self._table:
            self._send()

    def _take_up(self) -> None:
        """Begin what waits: on the cluster once the table is there again, one fit at a time here as long as not."""
        while self._waiting and (self._n_open or self._here.n_idle):
            fit = self._waiting.popleft()
            if self._n_open:
                fit.end = time.monotonic() + fit.limit + _WAY_SECONDS
                self._begin(fit)
            else:
                self._here.submit(fit.key, fit.job, min(fit.limit, self._deadline.remaining))

    def _checked(self, key: Any, outcome: Outcome, seconds: float) -> tuple[Any, Outcome, float]:
        """Refuse a fit whose preparation went to somebody who was lost with it."""
        if isinstance(outcome, FoldFit):
            self._known |= outcome.preparations.keys()
            if not self._known.issuperset(outcome.preparation):
                outcome = Failure("failed", "what its worker had sent before was lost")
        return key, outcome, seconds

    def _may_take_longer(self, fit: _Fit) -> bool:
        """Whether a worker was lost since a fit began, so that it may have begun anew, and there is time for that."""
        self._look(at_once=True)
        share, seconds = _RESERVE
        now = time.monotonic()
        last = now + self._deadline.remaining - share * (self._deadline.seconds or 0.0) - seconds
        end = min(fit.start + 2 * fit.limit + _LOOK_SECONDS, last)
        if self._last_loss < fit.start or end <= now:
            return False
        fit.end = end
        return True

    def _give_up(self, name: str) -> tuple[Any, Outcome, float]:
        fit = self._running.pop(name)
        self._cancel(fit)
        # What its child had to send with this result is missing: it is not asked again.
        self._epoch += 1
        failure = Failure("timeout", "longer than its share of the time")
        return fit.key, failure, time.monotonic() - fit.start

    def _cancel(self, fit: _Fit) -> None:
        with suppress(*LOST):
            fit.future.cancel()

    def _look(self, at_once: bool = False) -> None:
        """Count the threads of the cluster, now and then, and see whether it is there at all."""
        now = time.monotonic()
        is_due = at_once or not self._asked or now - self._seen >= _LOOK_SECONDS
        if self._state != "ready" or not is_due:
            return
        self._seen = now
        if self._client.status == "running":
            with suppress(*LOST):
                before, self._threads = self._threads, self._client.nthreads()
                if before.keys() - self._threads.keys():
                    self._last_loss = now
            with suppress(*LOST):
                self._ask()
        if self._threads:
            self._last_worker = now
        if not is_living(self._client) or now - self._last_worker > _PATIENCE:
            self._leave()

    def _leave(self) -> None:
        """Give the cluster up: what runs there, and all that comes, is done here."""
        self._state = "gone"
        for fit in self._running.values():
            self._cancel(fit)
        self._waiting.extend(self._running.values())
        self._running = {}


@contextmanager
def hands_of(
    fitter: Fitter, deadline: Deadline, n_jobs: int, cluster: Any, memory_limit: int | None
) -> Iterator[Hands]:
    """Have something that fits, for a while: this process, children of it, or a cluster.

    Parameters
    ----------
    fitter : callable
        Takes a job and returns its outcome.
    deadline : Deadline
        Of the search. Without a limit, one job at a time and any memory, this process fits.
    n_jobs : int
        Children.
    cluster : str, distributed.Client or None
        What fits in their place.
    memory_limit : int or None
        Bytes for all children together, or for each fit on the cluster.
    """
    with ExitStack() as stack:
        hands: Hands
        if cluster is not None:
            hands = OnCluster(fitter, stack.enter_context(connect(cluster)), deadline, memory_limit)
        elif deadline.seconds is None and n_jobs == 1 and memory_limit is None:
            hands = Here(fitter)
        else:
            hands = Children(fitter, n_jobs, None if memory_limit is None else memory_limit // n_jobs)
        stack.callback(hands.stop)
        yield hands
