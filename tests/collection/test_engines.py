"""The engines for more than one machine, for real: a PostgreSQL server, and a Dask cluster that loses a worker."""

from __future__ import annotations

import asyncio
import getpass
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest
from clusters import start_cluster
from refusals import refused

from autometa import space
from autometa.collection import collect, read_catalog
from autometa.errors import DependencyError, EvaluationError
from autometa.space import SearchSpace
from autometa.storage import open_storage

pytestmark = [pytest.mark.engines, pytest.mark.timeout(900)]


def programs() -> Path | None:
    """Return the folder of PostgreSQL's programs; Debian does not put them on the path."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "pg_ctl").is_file()), None)


@pytest.fixture(scope="module")
def postgresql():
    """Start a server in a folder of its own, and return a function that makes a database and opens it."""
    pytest.importorskip("psycopg")
    folder = programs()
    if folder is None:
        pytest.skip("PostgreSQL is not installed")
    # The server refuses to be run by root.
    user = "postgres" if getpass.getuser() == "root" else getpass.getuser()
    become = ["runuser", "-u", "postgres", "--"] if getpass.getuser() == "root" else []
    place = tempfile.mkdtemp(prefix="autometa-")
    shutil.chown(place, user)

    def run(program: str, *arguments: str) -> None:
        command = [*become, str(folder / program), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd=place, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr

    data = f"{place}/data"
    server = ("--pgdata", data, "--wait", "--silent", "--log", f"{place}/log")
    try:
        run("initdb", "--pgdata", data, "--auth", "trust", "--username", user, "--no-sync")
        run("pg_ctl", "start", *server, "--options", f"-k {place} -c listen_addresses='' -c fsync=off")

        def make(name: str) -> Any:
            run("createdb", "--host", place, "--username", user, name)
            storages.append(open_storage(f"postgresql://{user}@/{name}?host={place}"))
            return storages[-1]

        storages: list[Any] = []
        yield make
        for storage in storages:
            storage._backend.engine.dispose()
        run("pg_ctl", "stop", "--pgdata", data, "--mode", "immediate")
    finally:
        shutil.rmtree(place, ignore_errors=True)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Start a scheduler and two worker processes, and return the scheduler's address."""
    with start_cluster(tmp_path_factory.mktemp("dask"), 2) as address:
        yield address


@pytest.fixture
def sources(tmp_path, monkeypatch):
    """Return two small tasks; two quick algorithms are left."""
    built_in = space.built_in
    quick = ("linear", "knn")
    monkeypatch.setattr(
        space, "built_in", lambda family: {k: v for k, v in built_in(family).items() if k in quick}
    )
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(60, 3)), columns=list("abc"))
    frame["y"] = frame["a"] + 0.3 * rng.normal(size=60)
    names = ["first", "second"]
    for name in names:
        frame.to_parquet(tmp_path / f"{name}.parquet")
    catalog = pd.DataFrame({"name": names, "task_type": "regression", "target": "y"})
    catalog.to_csv(tmp_path / "catalog.csv", index=False)
    return read_catalog(tmp_path)


def runs(storage: Any) -> Counter[tuple[str, str]]:
    return Counter(
        (name, trial.user_attrs["configuration_id"])
        for name in optuna.get_all_study_names(storage)
        for trial in optuna.load_study(study_name=name, storage=storage).trials
        if trial.user_attrs.get("run", {}).get("status") == "ok"
    )


def planned(sources, n_configurations: int) -> Counter[tuple[str, str]]:
    design = SearchSpace.for_kind("regression").design(n_configurations)
    return Counter((source.task_id, configuration.id) for source in sources for configuration in design)


def test_a_collection_into_postgresql_is_whole_and_resumes(sources, postgresql):
    storage = postgresql("local")
    assert collect(sources, storage, n_configurations=2).counts == {"ok": 8}
    report = collect(sources, storage, n_configurations=3, n_tuned=1)
    assert (report.n_known, report.counts) == (8, {"ok": 6})
    assert runs(storage).keys() >= planned(sources, 3).keys()
    assert set(runs(storage).values()) == {1}


def test_a_cluster_that_loses_a_worker_makes_every_run_once(sources, postgresql, cluster):
    from distributed import Client

    storage = postgresql("spread")

    def kill_a_worker(report, task_id, run):
        if report.n_done == 5:
            with Client(cluster, timeout=60, set_as_default=False) as client:
                os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)

    report = collect(sources, storage, n_configurations=6, cluster=cluster, on_run=kill_a_worker)
    assert report.counts == {"ok": 24}
    assert runs(storage) == planned(sources, 6)


def test_a_cluster_that_does_not_answer_is_one_line(sources, tmp_path, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr("autometa.evaluation._cluster.CONNECT_SECONDS", 1)
    with pytest.raises(EvaluationError, match=r"127\.0\.0\.1:9") as caught:
        collect(sources, str(tmp_path / "runs.journal"), cluster="tcp://127.0.0.1:9")
    assert caught.value.code == "AM805"
    assert "\n" not in str(caught.value)


def test_without_dask_the_extra_is_named(sources, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(DependencyError, match=r"autometa-learn\[dask\]") as caught:
        collect(sources, str(tmp_path / "runs.journal"), cluster="tcp://127.0.0.1:9")
    assert caught.value.code == "AM704"


class _Lost:
    """A client and a future of a cluster that is gone."""

    def __init__(self, status: str, error: type[BaseException]) -> None:
        self.status, self._error = status, error

    def submit(self, *_: Any, **__: Any) -> _Lost:
        return self

    def done(self) -> bool:
        return False

    def result(self, timeout: float) -> None:
        raise self._error


@pytest.mark.parametrize("error", ["TimeoutError", "CancelledError"])
def test_nobody_waits_for_a_cluster_that_is_gone(error):
    pytest.importorskip("distributed")
    from autometa.collection._station import RemoteStation

    errors = {"TimeoutError": TimeoutError, "CancelledError": asyncio.CancelledError}
    station = RemoteStation(_Lost("closed", errors[error]), None)
    with refused(EvaluationError, "AM805"):
        station.describe("a source")
