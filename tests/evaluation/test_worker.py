"""The worker process: it obeys limits, and survives whatever a model does to it."""

from __future__ import annotations

import os
import signal
import sys
import time

import numpy as np
import pandas as pd
import pytest

from autometa.evaluation import Protocol, Worker, evaluate, make_splits
from autometa.space import Algorithm, Configuration, SearchSpace, register_algorithm, unregister_algorithm
from autometa.task import Task

pytestmark = pytest.mark.timeout(120)
LINEAR = SearchSpace.for_kind("binary")["linear"].default_configuration()
GIBIBYTE = 2**30


def make_odd(before_fit):
    """Return a factory of a classifier that does something before it fits, defined where no child could import it."""
    from sklearn.dummy import DummyClassifier

    class Odd(DummyClassifier):
        def fit(self, X, y, sample_weight=None):
            before_fit()
            return super().fit(X, y)

    return lambda: Odd(strategy="prior")


def kill_self() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def chatter() -> None:
    print("hello from a library", flush=True)  # noqa: T201
    sys.stdout.write("more\n")
    os.write(1, b"\x00\xff raw bytes\n")


ODD = {
    "sleepy": lambda: time.sleep(600),
    "suicidal": kill_self,
    "greedy": lambda: np.empty(64 * GIBIBYTE, dtype="uint8"),
    "chatty": chatter,
}


@pytest.fixture(scope="module")
def task():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(60, 3)), columns=list("abc"))
    return Task.from_frame(X, (X["a"] + 0.5 * rng.normal(size=60) > 0).astype(int))


@pytest.fixture(scope="module")
def shared():
    """Return one worker for all tests that leave it alive: it takes seconds to start."""
    for name, before_fit in ODD.items():
        register_algorithm(Algorithm(name, make_odd(before_fit), {}, {}), ["classification"])
    with Worker(memory_limit=16 * GIBIBYTE) as worker:
        yield worker
    for name in ODD:
        unregister_algorithm(name)


@pytest.fixture
def worker(shared, task):
    shared.set_task(task, make_splits(task, Protocol()))
    return shared


def test_a_worker_gives_what_the_same_run_gives_here(worker, task):
    here = evaluate(task, LINEAR, make_splits(task, Protocol()))
    there = worker.evaluate(LINEAR, time_limit=60)
    assert there.ok
    assert there.configuration == LINEAR
    assert there.scores == pytest.approx(here.scores)


def test_a_run_that_hangs_is_stopped_in_time_and_the_next_one_runs(worker):
    """It sleeps for longer than a test may take."""
    assert worker.evaluate(LINEAR, time_limit=60).ok
    run = worker.evaluate(Configuration("sleepy", {}), time_limit=0.5)
    assert run.status == "timeout"
    assert "0.5 s" in run.reason
    assert worker.evaluate(LINEAR, time_limit=60).ok


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the address space")
def test_the_limit_on_memory_holds_and_the_worker_stays(worker):
    run = worker.evaluate(Configuration("greedy", {}), time_limit=60)
    assert run.status == "memory"
    pid = worker._process.pid
    assert worker.evaluate(LINEAR, time_limit=60).ok
    assert worker._process.pid == pid


def test_what_a_library_prints_does_not_come_between(worker, capfd):
    runs = [worker.evaluate(Configuration("chatty", {}), time_limit=60) for _ in range(3)]
    assert [run.status for run in runs] == ["ok"] * 3
    assert capfd.readouterr().out == ""


def test_a_new_task_replaces_the_old_one(worker, task):
    assert worker.evaluate(LINEAR, time_limit=60).n_train == 40
    smaller = task.subset(range(30))
    worker.set_task(smaller, make_splits(smaller, Protocol()))
    assert worker.evaluate(LINEAR, time_limit=60).n_train == 20


def test_a_worker_that_dies_is_reported_and_the_next_run_gets_another(worker):
    run = worker.evaluate(Configuration("suicidal", {}), time_limit=60)
    assert not run.ok
    assert "died" in run.reason
    assert worker.evaluate(LINEAR, time_limit=60).ok
    # Killed from outside between two runs, it is replaced before the next.
    os.kill(worker._process.pid, signal.SIGKILL)
    worker._process.wait()
    assert worker.evaluate(LINEAR, time_limit=60).ok


def test_a_worker_needs_a_task_first():
    with Worker() as worker, pytest.raises(RuntimeError, match="set_problem"):
        worker.submit(LINEAR)


def test_stopping_ends_the_process_and_may_be_done_twice(worker):
    assert worker.evaluate(LINEAR, time_limit=60).ok
    process = worker._process
    worker.stop()
    worker.stop()
    assert process.poll() is not None
