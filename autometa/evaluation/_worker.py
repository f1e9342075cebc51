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
from typing import IO, Any, Self

import cloudpickle

from autometa.evaluation._protocol import Run, Split, evaluate
from autometa.space import Configuration, register_algorithm, registered_algorithms
from autometa.task import Task

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_START_SECONDS = 60.0


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
        if self._process is None or self._process.poll() is not None:
            self._start()
        self._send(cloudpickle.dumps(configuration))

    def result(self, configuration: Configuration, time_limit: float | None = None) -> Run:
        """Wait for the submitted run, at most `time_limit` seconds; then stop the child and say so."""
        try:
            reply = self._replies.get(timeout=time_limit)
        except queue.Empty:
            self.stop()
            return Run(configuration, "timeout", reason=f"longer than {time_limit:.3g} s")
        if isinstance(reply, Run):
            return reply
        self.stop()
        return Run(configuration, "memory" if self._memory_limit else "failed", reason="the worker process died")

    def evaluate(self, configuration: Configuration, time_limit: float | None = None) -> Run:
        """Run one configuration and wait for it."""
        self.submit(configuration)
        return self.result(configuration, time_limit)

    def stop(self) -> None:
        """Kill the child, if there is one."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout):
                if stream is not None:
                    stream.close()
            self._process = None

    def _start(self) -> None:
        if self._payload is None:
            raise RuntimeError("set_task comes before the first run")
        self.stop()
        environment = {**os.environ, **dict.fromkeys(_THREADS, "1")}
        environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        if self._memory_limit:
            environment["AUTOMETA_WORKER_MEMORY"] = str(self._memory_limit)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "autometa.evaluation"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        )
        self._replies = queue.Queue()
        reader = threading.Thread(target=_read_replies, args=(self._process.stdout, self._replies), daemon=True)
        reader.start()
        try:
            ready = self._replies.get(timeout=_START_SECONDS)
        except queue.Empty:
            ready = None
        if ready != "ready":
            self.stop()
            raise RuntimeError("a worker process could not be started")
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
    _limit_memory(int(os.environ.get("AUTOMETA_WORKER_MEMORY", "0")))
    _write(answers, pickle.dumps("ready"))
    current: tuple[Task, list[Split], dict[str, Any]] | None = None
    while (payload := _read(source)) is not None:
        message = pickle.loads(payload)
        if isinstance(message, Configuration) and current is not None:
            task, splits, options = current
            _write(answers, pickle.dumps(evaluate(task, message, splits, **options)))
        else:
            task, splits, options, registered = message
            current = (task, splits, options)
            for kind, algorithms in registered.items():
                for algorithm in algorithms.values():
                    register_algorithm(algorithm, [kind])


def _limit_memory(limit: int) -> None:
    if limit:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
