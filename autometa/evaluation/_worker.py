"""A child process that works on one problem and can be stopped at any moment.

Native code (LightGBM, libsvm) does not heed a Python signal, so a limit on time that really holds needs a process
that can be killed. Where the system can fork safely the child is a copy of this process: it is there at once and shares
the table's memory. Elsewhere it is a plain ``python -m`` with one thread per library, which takes some seconds and
needs no guarded main module.
"""

from __future__ import annotations

import math
import os
import pickle
import queue
import signal
import stat
import struct
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final, Self

import cloudpickle

from autometa.evaluation._protocol import Prepared, Run, Split, evaluate
from autometa.space import Configuration, register_algorithm, registered_algorithms
from autometa.task import Task

_THREADS: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
# A fork is ready in milliseconds. One that is not holds a lock that nobody will release.
_FORK_SECONDS: Final = 5.0
_ORPHAN_SECONDS: Final = 1.0
WORKER_DIED: Final = "the worker process died"

Problem = Callable[[Any], Any]
Replies = queue.Queue["tuple[Worker, int, Any]"]


@dataclass(frozen=True)
class Evaluation:
    """The problem of :func:`autometa.evaluation.evaluate` on one task: a configuration in, a run out."""

    task: Task
    splits: list[Split]
    prepared: Prepared = field(default_factory=Prepared)

    def __call__(self, configuration: Configuration) -> Run:
        """Evaluate."""
        return evaluate(self.task, configuration, self.splits, prepared=self.prepared)


class Died:
    """The reply of a process that is gone."""


class Worker:
    """One child process that answers messages about one problem at a time.

    Parameters
    ----------
    memory_limit : int, optional
        Bytes that the child may allocate beyond what it starts with, where the platform can limit it.
    forks : bool, default=False
        Whether the child may be a copy of this process where that is safe (Linux).
    replies : queue, optional
        Where replies go, as (worker, generation, reply); workers that share one can be waited for together.

    Notes
    -----
    Parent and child talk over pipes; both are this same program, and nothing else can write there. The child starts
    with the first message and again after it was stopped.
    """

    _fork_failed = False

    def __init__(
        self, memory_limit: int | None = None, *, forks: bool = False, replies: Replies | None = None
    ) -> None:
        self._memory_limit = memory_limit
        self._forks = forks
        self._process: subprocess.Popen[bytes] | _Forked | None = None
        self._replies: Replies = queue.Queue() if replies is None else replies
        self._generation = 0
        self._problem: Problem | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def set_problem(self, problem: Problem) -> None:
        """Hand over what the coming messages are about; a child that is a copy of this process starts anew."""
        self._problem = problem
        if isinstance(self._process, _Forked):
            self.stop()
        elif self._process is not None:
            self._send(packed(problem))

    def set_task(self, task: Task, splits: list[Split]) -> None:
        """Hand over the task of the coming runs."""
        self.set_problem(Evaluation(task, splits))

    def submit(self, message: Any) -> None:
        """Send a message; the reply comes by :meth:`result`, or to the queue of replies."""
        if self._problem is None:
            raise RuntimeError("set_problem comes before the first message")
        if not self.is_running:
            self.start()
        self._send(cloudpickle.dumps(message))

    def result(self, time_limit: float | None = None) -> Any:
        """Wait for the reply, at most `time_limit` seconds.

        Returns
        -------
        object
            The reply, or an instance of :class:`Died`.

        Raises
        ------
        TimeoutError
            When there is none in time; the child is stopped.
        """
        end = None if time_limit is None else time.monotonic() + time_limit
        while True:
            try:
                left = None if end is None else max(end - time.monotonic(), 0.0)
                _, generation, reply = self._replies.get(timeout=left)
            except queue.Empty:
                self.stop()
                raise TimeoutError from None
            if self.is_current(generation):
                if isinstance(reply, Died):
                    self.stop()
                return reply

    def is_current(self, generation: int) -> bool:
        """Whether a reply is of the child that lives now, not of one that was stopped."""
        return generation == self._generation

    def evaluate(self, configuration: Configuration, time_limit: float | None = None) -> Run:
        """Run one configuration and wait for it; with a limit, a run that takes longer is stopped and says so."""
        self.submit(configuration)
        try:
            reply = self.result(time_limit)
        except TimeoutError:
            return Run(configuration, "timeout", reason=f"longer than {time_limit:.3g} s")
        if isinstance(reply, Died):
            return Run(configuration, "memory" if self._memory_limit else "failed", reason=WORKER_DIED)
        return reply

    def stop(self) -> None:
        """Kill the child, if there is one; from any thread."""
        process, self._process = self._process, None
        self._generation += 1
        if process is not None:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    with suppress(OSError):
                        stream.close()

    @property
    def is_running(self) -> bool:
        """Whether the child lives."""
        return self._process is not None and self._process.poll() is None

    def start(self, time_limit: float = math.inf) -> None:
        """Start the child ahead of the first message, which would do it otherwise.

        Without a limit it is waited for as long as it lives: a cold interpreter with all libraries takes some seconds,
        and minutes where the machine has no time for it.

        Raises
        ------
        RuntimeError
            When the child is not ready in time.
        """
        self.stop()
        if self._forks and self._problem is not None and _can_fork() and not Worker._fork_failed:
            self._process = _Forked(self._problem, self._memory_limit)
            if self._is_ready(min(time_limit, _FORK_SECONDS)):
                return
            Worker._fork_failed = time_limit >= _FORK_SECONDS
        self._process = _launch(self._memory_limit)
        if not self._is_ready(time_limit):
            raise RuntimeError("a worker process could not be started")
        if self._problem is not None:
            self._send(packed(self._problem))

    def _is_ready(self, time_limit: float) -> bool:
        """Wait for the child's first word, then let a thread read the others."""
        if self._process is None or self._process.stdout is None:
            return False
        first: queue.Queue[Any] = queue.Queue()
        reader = threading.Thread(
            target=self._read, args=(self._process.stdout, first, self._generation), daemon=True
        )
        reader.start()
        try:
            if first.get(timeout=None if math.isinf(time_limit) else max(time_limit, 0.0)) == "ready":
                return True
        except queue.Empty:
            pass
        self.stop()
        return False

    def _read(self, stream: IO[bytes], first: queue.Queue[Any], generation: int) -> None:
        first.put(_receive(stream))
        while True:
            reply = _receive(stream)
            self._replies.put((self, generation, reply))
            if isinstance(reply, Died):
                return

    def _send(self, payload: bytes) -> None:
        if self._process is None or self._process.stdin is None:
            return
        try:
            _write(self._process.stdin, payload)
        except (BrokenPipeError, OSError):
            self._replies.put((self, self._generation, Died()))


class _Forked:
    """A copy of this process that answers messages, with the face of a Popen."""

    def __init__(self, problem: Problem, memory_limit: int | None) -> None:
        read_end, write_end = os.pipe()
        reply_read, reply_write = os.pipe()
        with warnings.catch_warnings():
            # Threads of this process do not live on in the copy, and the copy calls nothing that waits for them.
            warnings.simplefilter("ignore", DeprecationWarning)
            self.pid = os.fork()
        if self.pid == 0:
            os.close(write_end)
            os.close(reply_read)
            _run_forked(os.fdopen(read_end, "rb"), os.fdopen(reply_write, "wb"), problem, memory_limit)
        os.close(read_end)
        os.close(reply_write)
        self.stdin: IO[bytes] = os.fdopen(write_end, "wb")
        self.stdout: IO[bytes] = os.fdopen(reply_read, "rb")
        self._code: int | None = None

    def poll(self) -> int | None:
        if self._code is None:
            with suppress(ChildProcessError):
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                self._code = status if pid else None
                return self._code
            self._code = self._code or -1
        return self._code

    def kill(self) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> None:
        if self._code is None:
            with suppress(ChildProcessError):
                self._code = os.waitpid(self.pid, 0)[1]


def _can_fork() -> bool:
    """Linux's libraries (OpenMP with one thread, OpenBLAS, Arrow) go on in a fork; those of other systems may not."""
    return sys.platform == "linux" and hasattr(os, "fork")


def _run_forked(source: IO[bytes], answers: IO[bytes], problem: Problem, memory_limit: int | None) -> None:
    """Be the copy: answer until the parent hangs up, and end without the parent's clean-up."""
    try:
        os.setsid()  # an interrupt from the keyboard is the parent's to handle
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        quiet = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, *_sockets()):
            os.dup2(quiet, descriptor)
        from threadpoolctl import threadpool_limits

        threadpool_limits(1)
        _answer_all(source, answers, problem, memory_limit)
    finally:
        os._exit(0)


def _sockets() -> list[int]:
    """Return the open connections of this process: those of the parent end with the parent, not with its copy."""
    found = []
    with suppress(OSError):
        for entry in Path("/proc/self/fd").iterdir():
            with suppress(OSError):
                if stat.S_ISSOCK(os.fstat(int(entry.name)).st_mode):
                    found.append(int(entry.name))
    return found


def _launch(memory_limit: int | None) -> subprocess.Popen[bytes]:
    environment = {**os.environ, **dict.fromkeys(_THREADS, "1")}
    # With -P nothing is imported from the working folder; what the parent can import the child can, too.
    working = Path.cwd().resolve()
    paths = [path for path in sys.path if path and Path(path).resolve() != working]
    environment["PYTHONPATH"] = os.pathsep.join(paths)
    if memory_limit:
        environment["AUTOMETA_WORKER_MEMORY"] = str(memory_limit)
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "autometa.evaluation"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        start_new_session=True,  # an interrupt from the keyboard is the parent's to handle
    )


def serve() -> None:
    """Answer the parent until it hangs up: the main loop of a child that was started by ``python -m``."""
    source = sys.stdin.buffer
    # What a library prints must not come between parent and child.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    _answer_all(source, answers, None, int(os.environ.get("AUTOMETA_WORKER_MEMORY", "0")))


@dataclass(frozen=True)
class _NewProblem:
    """The message that hands a problem over, with the algorithms that the user registered."""

    problem: Problem
    algorithms: dict[str, Any]

    def take(self) -> Problem:
        for kind, algorithms in self.algorithms.items():
            for algorithm in algorithms.values():
                register_algorithm(algorithm, [kind])
        return self.problem


def packed(problem: Problem) -> bytes:
    """Return a problem as a child takes it, with the algorithms that the user registered."""
    return cloudpickle.dumps(_NewProblem(problem, registered_algorithms()))


def _answer_all(
    source: IO[bytes], answers: IO[bytes], problem: Problem | None, memory_limit: int | None
) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _limit_memory(memory_limit)
    _write(answers, pickle.dumps("ready"))
    while not isinstance(message := _receive(source), Died):
        if isinstance(message, _NewProblem):
            problem = message.take()
        elif problem is not None:
            _write(answers, cloudpickle.dumps(problem(message)))


def _write(stream: IO[bytes], payload: bytes) -> None:
    stream.write(struct.pack("<Q", len(payload)) + payload)
    stream.flush()


def _receive(stream: IO[bytes]) -> Any:
    """Return the next message of a stream, or that its writer is gone."""
    try:
        header = stream.read(8)
        if len(header) < 8:
            return Died()
        (size,) = struct.unpack("<Q", header)
        payload = stream.read(size)
    except (OSError, ValueError):
        return Died()
    return pickle.loads(payload) if len(payload) == size else Died()


def _end_with_parent() -> None:
    """End this process soon after its parent was killed, even in the middle of a fit."""
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(_ORPHAN_SECONDS)
    os._exit(1)


def _limit_memory(limit: int | None) -> None:
    """Let this process allocate so many bytes beyond what it holds now."""
    if limit:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (limit + _address_space(), -1))


def _address_space() -> int:
    """Bytes of address space in use, as Linux counts them; 0 where it is not told."""
    with suppress(OSError, ValueError):
        return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    return 0
