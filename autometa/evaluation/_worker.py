"""A child process that evaluates configurations and can be stopped at any moment.

Native code (LightGBM, libsvm) does not heed a Python signal, so a limit on time that really holds needs a process
that can be killed. The child is a plain ``python -m`` with one thread per library: it needs no guarded main module.
"""

from __future__ import annotations

import os
import pickle
import queue
import struct
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from typing import IO, Any, Self

import cloudpickle
from sklearn.pipeline import Pipeline

from autometa.evaluation._protocol import Run, Split, evaluate, fit_pipeline
from autometa.space import Configuration, register_algorithm, registered_algorithms
from autometa.task import Task

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_START_SECONDS = 60.0
_ORPHAN_SECONDS = 1.0
WORKER_DIED = "the worker process died"


@dataclass(frozen=True)
class _Fit:
    """The message that asks for a pipeline fitted on all rows."""

    configuration: Configuration


class Worker:
    """One child process that evaluates runs on one task at a time.

    Parameters
    ----------
    memory_limit : int, optional
        Bytes of address space of the child, where the platform can limit it.

    Notes
    -----
    Parent and child talk over the child's standard input and output; both are this same program, and nothing else
    can write there. The child starts with the first task and again after it was stopped.
    """

    def __init__(self, memory_limit: int | None = None) -> None:
        self._memory_limit = memory_limit
        self._process: subprocess.Popen[bytes] | None = None
        self._replies: queue.Queue[Any] = queue.Queue()
        self._payload: bytes | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def set_task(self, task: Task, splits: list[Split], **options: Any) -> None:
        """Hand over the task of the coming runs, with the options of :func:`evaluate`."""
        self._payload = cloudpickle.dumps((task, splits, options, registered_algorithms()))
        if self._process is not None:
            self._send(self._payload)

    def submit(self, configuration: Configuration) -> None:
        """Start one run in the child; fetch it with :meth:`result`."""
        self._ask(configuration)

    def result(self, configuration: Configuration, time_limit: float | None = None) -> Run:
        """Wait for the submitted run, at most `time_limit` seconds; then stop the child and say so."""
        reply = self._answer(configuration, time_limit)
        return reply if isinstance(reply, Run) else self._died(configuration)

    def evaluate(self, configuration: Configuration, time_limit: float | None = None) -> Run:
        """Run one configuration and wait for it."""
        self.submit(configuration)
        return self.result(configuration, time_limit)

    def fit(self, configuration: Configuration, time_limit: float | None = None) -> Pipeline | Run:
        """Fit one configuration on all rows of the task; a run that says why, if that fails."""
        self._ask(_Fit(configuration))
        reply = self._answer(configuration, time_limit)
        return self._died(configuration) if reply is None else reply

    def stop(self) -> None:
        """Kill the child, if there is one; from any thread."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()

    def _ask(self, message: Configuration | _Fit) -> None:
        if self._payload is None:
            raise RuntimeError("set_task comes before the first run")
        if not self.is_running:
            self.start()
        self._send(cloudpickle.dumps(message))

    def _answer(self, configuration: Configuration, time_limit: float | None) -> Any:
        try:
            return self._replies.get(timeout=time_limit)
        except queue.Empty:
            self.stop()
            return Run(configuration, "timeout", reason=f"longer than {time_limit:.3g} s")

    def _died(self, configuration: Configuration) -> Run:
        self.stop()
        return Run(configuration, "memory" if self._memory_limit else "failed", reason=WORKER_DIED)

    @property
    def is_running(self) -> bool:
        """Whether the child lives."""
        return self._process is not None and self._process.poll() is None

    def start(self, time_limit: float = _START_SECONDS) -> None:
        """Start the child ahead of the first run, which would do it otherwise; takes a second or two.

        Raises
        ------
        RuntimeError
            When the child is not ready in time.
        """
        self.stop()
        environment = {**os.environ, **dict.fromkeys(_THREADS, "1")}
        environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        if self._memory_limit:
            environment["AUTOMETA_WORKER_MEMORY"] = str(self._memory_limit)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "autometa.evaluation"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            start_new_session=True,  # an interrupt from the keyboard is the parent's to handle
        )
        self._replies = queue.Queue()
        reader = threading.Thread(
            target=_read_replies, args=(self._process.stdout, self._replies), daemon=True
        )
        reader.start()
        try:
            ready = self._replies.get(timeout=time_limit)
        except queue.Empty:
            ready = None
        if ready != "ready":
            self.stop()
            raise RuntimeError("a worker process could not be started")
        if self._payload is not None:
            self._send(self._payload)

    def _send(self, payload: bytes) -> None:
        if self._process is None or self._process.stdin is None:
            return
        try:
            _write(self._process.stdin, payload)
        except (BrokenPipeError, OSError):
            self._replies.put(None)


def _write(stream: IO[bytes], payload: bytes) -> None:
    stream.write(struct.pack("<Q", len(payload)) + payload)
    stream.flush()


def _read(stream: IO[bytes]) -> bytes | None:
    header = stream.read(8)
    if len(header) < 8:
        return None
    (size,) = struct.unpack("<Q", header)
    payload = stream.read(size)
    return payload if len(payload) == size else None


def _read_replies(stream: IO[bytes], replies: queue.Queue[Any]) -> None:
    while True:
        try:
            payload = _read(stream)
        except (OSError, ValueError):
            payload = None
        replies.put(None if payload is None else pickle.loads(payload))
        if payload is None:
            return


def serve() -> None:
    """Answer the parent until it hangs up: the child's main loop."""
    source = sys.stdin.buffer
    # What a library prints must not come between parent and child.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _limit_memory(int(os.environ.get("AUTOMETA_WORKER_MEMORY", "0")))
    _write(answers, pickle.dumps("ready"))
    current: tuple[Task, list[Split], dict[str, Any]] | None = None
    while (payload := _read(source)) is not None:
        message = pickle.loads(payload)
        if isinstance(message, Configuration) and current is not None:
            task, splits, options = current
            _write(answers, pickle.dumps(evaluate(task, message, splits, **options)))
        elif isinstance(message, _Fit) and current is not None:
            _write(answers, cloudpickle.dumps(_fit(message.configuration, *current)))
        else:
            task, splits, options, registered = message
            current = (task, splits, options)
            for kind, algorithms in registered.items():
                for algorithm in algorithms.values():
                    register_algorithm(algorithm, [kind])


def _fit(configuration: Configuration, task: Task, _: list[Split], options: dict[str, Any]) -> Pipeline | Run:
    accepted = {
        name: options[name] for name in ("sample_weight", "random_state", "n_jobs") if name in options
    }
    try:
        return fit_pipeline(task, configuration, **accepted)
    except Exception as error:
        return Run(
            configuration, "failed", reason=f"{type(error).__name__}: {error}".replace("\n", " ")[:200]
        )


def _end_with_parent() -> None:
    """End this process soon after its parent was killed, even in the middle of a fit."""
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(_ORPHAN_SECONDS)
    os._exit(1)


def _limit_memory(limit: int) -> None:
    if limit:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
