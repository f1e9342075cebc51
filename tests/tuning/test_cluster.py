"""A search whose fits are made on a Dask cluster, for real: four workers, of which some are lost."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections import Counter
from typing import Any

import numpy as np
import pytest
from clusters import start_cluster
from optuna.distributions import FloatDistribution
from refusals import refused
from stand_in import tune

from autometa.errors import DependencyError, EvaluationError
from autometa.evaluation import Failure, FoldFit, Job
from autometa.space import Algorithm, register_algorithm, unregister_algorithm
from autometa.tuning._cluster import OnCluster
from autometa.tuning._schedule import Deadline

pytestmark = [pytest.mark.engines, pytest.mark.timeout(900)]

QUICK = ("linear", "knn", "extra_trees")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with start_cluster(tmp_path_factory.mktemp("dask"), 4) as address:
        yield address


@pytest.fixture(scope="module")
def client(cluster):
    from distributed import Client

    with Client(cluster, timeout=60, set_as_default=False) as client:
        yield client


def kill(client: Any, n_workers: int | None = None) -> None:
    """Kill some worker processes, or all; their nannies start others in their place."""
    # One that was killed before may be on the list still.
    answers = client.run(os.getpid, on_error="return").values()
    for pid in [answer for answer in answers if isinstance(answer, int)][:n_workers]:
        os.kill(pid, signal.SIGKILL)


def numbers_of_fits(result: Any) -> Counter[str]:
    return Counter(t.user_attrs["configuration_id"] for t in result.study.trials)


def test_a_search_on_a_cluster_has_the_same_shape_and_scores(iris, cluster) -> None:
    options: dict[str, Any] = {"n_trials": 4, "cv": 2, "algorithms": QUICK, "random_state": 0}
    there, here = tune(*iris, cluster=cluster, **options), tune(*iris, **options)
    assert list(there.leaderboard.columns) == list(here.leaderboard.columns)
    boards = [
        r.leaderboard.assign(params=r.leaderboard["params"].map(str)).set_index(["algorithm", "params"])
        for r in (there, here)
    ]
    scores = [board["score"].sort_index().to_numpy() for board in boards]
    np.testing.assert_allclose(*scores)
    assert (there.leaderboard["state"] == "complete").all()
    assert len(there.model.predict(iris[0])) == len(iris[0])


def test_a_lost_worker_costs_its_fit_and_nothing_else(iris, client) -> None:
    def lose(study: Any, trial: Any) -> None:
        if trial.number in (1, 4):
            kill(client, 1)

    result = tune(
        *iris, n_trials=12, cv=3, algorithms=QUICK, cluster=client, callbacks=[lose], random_state=0
    )
    assert len(result.leaderboard) == 12
    assert set(result.leaderboard["state"]) <= {"complete", "stopped"}
    assert max(numbers_of_fits(result).values()) == 1
    assert len(result.model.predict(iris[0])) == len(iris[0])
    assert client.status == "running"


def test_within_a_limit_a_fit_that_never_ends_is_stopped_on_its_worker(iris, client) -> None:
    def endless() -> Any:
        from sklearn.dummy import DummyClassifier

        class Endless(DummyClassifier):
            def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
                time.sleep(600)

        return Endless()

    algorithm = Algorithm(
        "endless", lambda params, random_state: endless(), {"a": FloatDistribution(0, 1)}, {"a": 0.5}
    )
    register_algorithm(algorithm, ["classification"])
    try:
        result = tune(*iris, timeout=20, cluster=client, algorithms=["linear", "endless"], random_state=0)
    finally:
        unregister_algorithm("endless")
    assert (result.leaderboard["state"] == "complete").any()
    # The workers are free again for others.
    assert client.submit(lambda: 7, pure=False).result(timeout=120) == 7


def fit(job: Job) -> Any:
    """Answer as a fitter does, with the process in place of a model."""
    if job.max_rows is not None:
        time.sleep(job.max_rows)
    return FoldFit(None, str(os.getpid()).encode(), (), {}, 0.0, 0.0, 1)


@pytest.fixture
def hands(client):
    hands = OnCluster(fit, client, Deadline(None))
    yield hands
    hands.stop()


def ready(hands: OnCluster) -> OnCluster:
    end = time.monotonic() + 300
    while hands._n_open < hands.n_workers and time.monotonic() < end:
        time.sleep(0.05)
        hands._look(at_once=True)
    assert hands._n_open == hands.n_workers
    return hands


JOB: Any = Job(configuration=None, fold=None)  # type: ignore[arg-type]
# A stand-in sleeps a second for each row.
ENDLESS: Any = Job(configuration=None, fold=None, max_rows=600)  # type: ignore[arg-type]
SLOW: Any = Job(configuration=None, fold=None, max_rows=3)  # type: ignore[arg-type]


def test_before_the_table_is_there_one_process_here_fits(hands) -> None:
    if not hands._n_open:
        assert hands.n_idle == 1
    assert hands.n_workers == 4
    hands.submit("first", JOB, 60.0)
    ((key, outcome, _),) = hands.wait()
    assert key == "first"
    assert int(outcome.model) != os.getpid()


def test_all_threads_are_used_and_outcomes_belong_to_their_keys(hands) -> None:
    assert ready(hands).n_idle == 4
    for key in range(4):
        hands.submit(key, JOB, 60.0)
    assert hands.n_idle == 0
    found = [outcome for _ in range(4) for outcome in hands.wait()]
    assert {key for key, _, _ in found} == {0, 1, 2, 3}
    assert not hands.is_busy


def test_an_overrun_is_a_failure_and_frees_its_thread(hands) -> None:
    ready(hands).submit("slow", ENDLESS, 0.5)
    ((key, outcome, _),) = hands.wait()
    assert key == "slow"
    assert isinstance(outcome, Failure)
    assert outcome.status == "timeout"
    for key in range(8):
        hands.submit(key, JOB, 60.0)
        assert isinstance(hands.wait()[0][1], FoldFit)


def test_a_search_that_ends_frees_the_workers(hands, client) -> None:
    ready(hands)
    for key in range(4):
        hands.submit(key, ENDLESS, float("inf"))
    time.sleep(1.0)
    hands.stop()
    assert client.submit(lambda: 7, pure=False).result(timeout=60) == 7


def test_when_all_workers_are_lost_with_the_table_it_is_sent_again(hands, client) -> None:
    ready(hands)
    kill(client)
    hands.submit("after", JOB, 600.0)
    found = []
    while not found:
        found = hands.wait()
    assert isinstance(found[0][1], FoldFit)


def test_a_fit_that_dask_gives_up_with_its_workers_is_begun_anew(hands, client) -> None:
    def allow_failures(n: int, dask_scheduler: Any) -> int:
        before: int = dask_scheduler.allowed_failures
        dask_scheduler.allowed_failures = n
        return before

    ready(hands).submit("after", SLOW, 600.0)
    before = client.run_on_scheduler(allow_failures, 0)
    try:
        time.sleep(1.0)
        kill(client)
        found: list[Any] = []
        while not found:
            found = hands.wait()
    finally:
        client.run_on_scheduler(allow_failures, before)
    assert isinstance(found[0][1], FoldFit)


def test_when_the_scheduler_is_lost_the_search_goes_on_here(iris, tmp_path) -> None:
    import dask
    from distributed import Client

    # So long a client tries to reach its scheduler again; 30 s by default.
    soon = dask.config.set({"distributed.comm.timeouts.connect": "2s"})
    with soon, start_cluster(tmp_path, 1) as address, Client(address, set_as_default=False) as other:
        hands = ready(OnCluster(fit, other, Deadline(None)))
        hands.submit("before", ENDLESS, 1000.0)
        with Client(address, set_as_default=False) as third:
            third.shutdown()
        hands.submit("after", JOB, 600.0)
        hands._running = {n: f for n, f in hands._running.items() if f.key == "after"}
        found: list[Any] = []
        while not found:
            found = hands.wait()
        assert isinstance(found[0][1], FoldFit)
        hands.stop()


def test_a_cluster_that_does_not_answer_is_one_line(iris, monkeypatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr("autometa.evaluation._cluster.CONNECT_SECONDS", 1)
    with refused(EvaluationError, "AM805", match=r"127\.0\.0\.1:9"):
        tune(*iris, cluster="tcp://127.0.0.1:9")


def test_without_dask_the_extra_is_named(iris, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with refused(DependencyError, "AM704", match=r"autometa-learn\[dask\]"):
        tune(*iris, cluster="tcp://127.0.0.1:9")
