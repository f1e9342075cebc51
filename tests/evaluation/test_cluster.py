"""What travels to a cluster, and the bench that it becomes there; no cluster is needed for that."""

from __future__ import annotations

import gc
import os
import pickle
import time

import cloudpickle
import pytest
from refusals import refused

from autometa.errors import UsageError
from autometa.evaluation import Failure
from autometa.evaluation._cluster import Bench, connect
from autometa.evaluation._worker import packed
from autometa.parcel import Parcel

pytestmark = pytest.mark.timeout(120)


def who(message: str) -> object:
    """A problem whose answers say who gives them."""
    if message == "sleep":
        time.sleep(600)
    if message == "die":
        os._exit(1)
    return message, os.getpid()


@pytest.fixture
def parcel() -> Parcel:
    # A copy of the process knows this module; so does what was pickled by value.
    return Parcel(packed(who))


@pytest.fixture(autouse=True)
def _wanted(monkeypatch) -> None:
    """Outside Dask there is nobody to ask whether an answer is wanted."""
    monkeypatch.setattr("autometa.evaluation._cluster._is_wanted", lambda key: True)


def ask(bench: Bench, message: str, limit: float = 60.0, epoch: int = 0) -> object:
    with bench.desk(None, epoch) as desk:
        return desk.answer(message, limit, "key")


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_parcel_is_opened_once_and_travels_on_as_what_it_came_as(parcel) -> None:
    bench = parcel.open(Bench)
    assert parcel.open(Bench) is bench
    again = pickle.loads(cloudpickle.dumps(parcel)).open(Bench)
    assert again is not bench
    assert ask(again, "hello")[0] == "hello"


def test_answers_come_from_one_child_that_stays(parcel) -> None:
    bench = parcel.open(Bench)
    first, second = ask(bench, "a"), ask(bench, "b")
    assert first == ("a", second[1])
    assert first[1] != os.getpid()


def test_children_end_with_the_parcel() -> None:
    parcel = Parcel(packed(who))
    _, pid = ask(parcel.open(Bench), "a")
    assert is_alive(pid)
    del parcel
    gc.collect()
    assert not is_alive(pid)


def test_a_child_that_is_too_slow_or_dies_is_a_failure_and_is_replaced(parcel) -> None:
    bench = parcel.open(Bench)
    _, pid = ask(bench, "a")
    slow = ask(bench, "sleep", limit=0.2)
    assert isinstance(slow, Failure)
    assert slow.status == "timeout"
    assert not is_alive(pid)
    dead = ask(bench, "die")
    assert isinstance(dead, Failure)
    assert dead.status == "failed"
    assert ask(bench, "b")[0] == "b"


def test_what_nobody_wants_any_more_is_stopped(parcel, monkeypatch) -> None:
    monkeypatch.setattr("autometa.evaluation._cluster._is_wanted", lambda key: False)
    assert isinstance(ask(parcel.open(Bench), "sleep"), Failure)


def test_children_of_an_earlier_epoch_are_replaced(parcel) -> None:
    bench = parcel.open(Bench)
    _, before = ask(bench, "a", epoch=0)
    _, after = ask(bench, "a", epoch=1)
    assert before != after
    assert not is_alive(before)


def test_a_cluster_is_an_address_or_a_client() -> None:
    pytest.importorskip("distributed")
    with refused(UsageError, "AM527"), connect(8786):
        pass
