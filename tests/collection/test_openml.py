"""Tasks from OpenML: what was taken stays as it was, and what fails costs its own task alone."""

from __future__ import annotations

import importlib
import json
import pickle
import shutil
import sys
import traceback
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from openml_server import CLUSTERING, bundled, of_directory
from refusals import refused

from autometa import space
from autometa.collection import collect, read_catalog
from autometa.errors import DataError, DependencyError, StorageError
from autometa.evaluation import Protocol, make_splits
from autometa.metabase import MetaBase


@pytest.fixture
def notes():
    """Return the lines of which the user was told."""
    return []


@pytest.fixture
def connect(notes):
    """Return a function that makes a connection for a server that is near."""
    from autometa.collection.openml import Connection

    def make(**manners):
        return Connection(
            **{"timeout": 20.0, "pause": 0, "backoff": 0.01, "attempts": 3, "notify": notes.append} | manners
        )

    return make


@pytest.fixture
def server(visit):
    """Return a server of iris (task 59), wine (9) and diabetes (7320), which make up suite 99."""
    with bundled("iris", "wine", "diabetes") as site:
        visit(site.address)
        yield site


@pytest.fixture
def read(connect):
    """Return a function that lists tasks."""
    from autometa.collection.openml import read_tasks

    return lambda *numbers, **manners: {
        s.number: s for s in read_tasks(numbers or (59, 9), connect(**manners))
    }


@pytest.fixture
def read_suite(connect):
    from autometa.collection import openml

    return lambda **manners: {s.number: s for s in openml.read_suite(99, connect(**manners))}


@pytest.fixture
def cache(server):
    """Return the folder of what was taken."""
    import openml

    return lambda: Path(openml.config.get_cache_directory())


def refusal(source) -> DataError:
    with pytest.raises(DataError) as caught:
        source.load()
    return caught.value


# -- what is taken ---------------------------------------------------------------------------------------------------


def test_a_task_has_the_table_the_target_and_the_official_folds_of_the_server(server, read_suite):
    sources = read_suite()
    assert {number: s.kind for number, s in sources.items()} == {
        59: "multiclass",
        9: "multiclass",
        7320: "regression",
    }
    for number, source in sources.items():
        served = server.tasks[number]
        task, folds = source.load(), source.folds()
        assert task.name == source.task_id == f"openml-{number}-{served.dataset.name}"
        assert task.kind == source.kind
        assert source.n_rows == task.n_rows
        pd.testing.assert_frame_equal(task.X, served.dataset.frame.drop(columns="class"))
        assert task.y.astype(str).tolist() == served.dataset.frame["class"].astype(str).tolist()
        assert task.properties["openml_id"] == served.dataset.number
        assert task.properties["family"] == served.dataset.name
        assert "licence Public" in task.properties["source"]
        for ours, theirs in zip(folds, served.folds, strict=True):
            for one, other in zip(ours, theirs, strict=True):
                np.testing.assert_array_equal(one, other)
        splits = make_splits(task, Protocol(max_train_rows=50), folds)
        assert [test.tolist() for _, test in splits] == [test.tolist() for _, test in served.folds[:3]]
        assert {len(train) for train, _ in splits} == {50}


def test_ids_and_ignored_columns_are_dropped_and_categories_stay(server, read):
    dataset = server.datasets[61]
    dataset.frame = dataset.frame.assign(
        id=range(150),
        note="x",
        code=np.arange(150) % 7,
        level=pd.Categorical(np.arange(150) % 3).map("l{}".format),
    )
    dataset.row_id = "id"
    dataset.ignored = ("note,code", "class")
    task = read()[59].load()
    assert list(task.X) == ["sepal length", "sepal width", "petal length", "petal width", "level"]
    assert isinstance(task.X["level"].dtype, pd.CategoricalDtype)
    assert task.y.name == "class"


@pytest.mark.parametrize("fault", ["timeout", "503", "page", "truncated"])
def test_a_parquet_file_is_preferred_and_the_arff_file_stands_in_for_it(server, read, cache, fault):
    server.datasets[61].as_parquet = True
    first = read()[59].load()
    assert server.asked("/arff/61") == 0
    assert (cache() / "datasets" / "61" / "dataset_61.pq").exists()
    shutil.rmtree(cache())
    server.fail("/parquet/", fault)
    assert read(timeout=1.0 if fault == "timeout" else 20.0)[59].load().fingerprint() == first.fingerprint()
    assert server.asked("/arff/61") == 1


def test_what_was_taken_is_noted_and_read_from_the_cache_without_the_server(server, read_suite, cache, notes):
    before = {number: s.load().fingerprint() for number, s in read_suite().items()}
    lock = json.loads((cache() / "autometa.lock.json").read_text())
    assert lock["suites"] == {"99": [9, 59, 7320]}
    noted = lock["tasks"]["59"]
    assert (noted["dataset"], noted["version"], noted["target"], noted["ignored"]) == (61, 1, "class", [])
    assert noted["md5"] == noted["files"]["dataset.arff"] == server.datasets[61].md5()
    assert noted["split"]["type"] == "crossvalidation"
    assert noted["split"]["number_folds"] == "10"
    server.requests.clear()
    assert {number: s.load().fingerprint() for number, s in read_suite().items()} == before
    assert server.asked("/arff/") == server.asked("/splits/") == server.asked("/data/features/") == 0
    assert not notes
    server.fail("/", "503")
    later = read_suite()
    assert {number: s.load().fingerprint() for number, s in later.items()} == before
    assert len(later[59].folds()) == 10
    assert any("the server answered 503" in note and "cache" in note for note in notes)


def test_no_pickle_of_the_cache_is_loaded(server, read, cache, tmp_path):
    first = read()[59].load()
    trap = tmp_path / "sprung"
    payload = pickle.dumps(Trap(str(trap)))
    names = ("datasets/61/dataset.pkl.py3", "datasets/61/features.xml.pkl", "tasks/59/datasplits.pkl.py3")
    for name in names:
        (cache() / name).write_bytes(payload)
    source = read()[59]
    assert source.load().fingerprint() == first.fingerprint()
    assert len(source.folds()) == 10
    assert not trap.exists()


class Trap:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (Path(self.path),)


def test_a_source_that_was_sent_to_another_process_loads_the_same_from_the_same_server(
    server, read, visit, notes
):
    source = read(59)[59]
    sent = pickle.dumps(source)
    first = source.load()
    assert pickle.dumps(source) == sent
    received = pickle.loads(sent)
    assert received.load().fingerprint() == first.fingerprint()
    visit("http://127.0.0.1:9/api/v1/xml")
    assert "configured for another server" in str(refusal(received))


# -- faults ----------------------------------------------------------------------------------------------------------

REASONS = {
    "timeout": "no answer within 1 seconds",
    "503": "the server answered 503",
    "page": "an HTML page in place of data",
    "truncated": "the download broke off",
    "checksum": "the checksum of the table is wrong",
    "refused": "the server says: No access granted",
}


@pytest.mark.parametrize(
    ("place", "fault"),
    [
        ("/xml/task/59", "timeout"),
        ("/xml/task/59", "page"),
        ("/xml/data/61", "503"),
        ("/xml/data/61", "refused"),
        ("/arff/61", "truncated"),
        ("/arff/61", "checksum"),
        ("/splits/59", "page"),
        ("/splits/59", "truncated"),
    ],
)
def test_a_fault_costs_its_task_alone_is_told_and_is_gone_on_the_next_run(server, read, notes, place, fault):
    server.fail(place, fault)
    sources = read(attempts=2, timeout=1.0 if fault == "timeout" else 20.0)
    error = refusal(sources[59])
    assert error.code == "AM120"
    assert REASONS[fault] in str(error)
    assert "\n" not in str(error)
    assert sources[9].load().n_rows == 178
    assert len(notes) == (fault != "refused")
    server.heal()
    assert read()[59].load().n_rows == 150


@pytest.mark.parametrize("fault", ["timeout", "503", "checksum"])
def test_a_fault_that_passes_costs_nothing(server, read, notes, fault):
    server.fail("/arff/61", fault, times=2)
    assert read(timeout=1.0 if fault == "timeout" else 20.0)[59].load().n_rows == 150
    assert [REASONS[fault] in note and "asked again in" in note for note in notes] == [True, True]


@pytest.mark.parametrize(
    ("name", "keep"),
    [
        ("tasks/59/task.xml", 0.5),
        ("tasks/59/datasplits.arff", 0.0),
        ("tasks/59/datasplits.arff", 0.5),
        ("tasks/59/datasplits.arff", 0.98),
        ("datasets/61/description.xml", 0.5),
        ("datasets/61/features.xml", 0.5),
        ("datasets/61/dataset.arff", 0.0),
        ("datasets/61/dataset.arff", 0.9),
    ],
)
def test_a_broken_file_in_the_cache_is_fetched_again(server, read, cache, name, keep):
    first = read()[59].load()
    content = (cache() / name).read_bytes()
    (cache() / name).write_bytes(content[: int(keep * len(content))])
    source = read()[59]
    assert source.load().fingerprint() == first.fingerprint()
    assert len(source.folds()) == 10
    assert (cache() / name).read_bytes() == content


def test_a_deactivated_data_set_is_left_out_unless_it_was_taken_before(server, read, notes):
    read(59)[59].load()
    server.datasets[61].status = server.datasets[187].status = "deactivated"
    sources = read(59, 9)
    assert sources[59].load().n_rows == 150
    assert [note for note in notes if note.startswith("task 59: data set 61 is deactivated")]
    error = refusal(sources[9])
    assert (error.code, "data set 187 is deactivated" in str(error)) == ("AM122", True)


def test_a_suite_that_shrank_keeps_what_was_taken(server, read_suite, notes):
    first = read_suite()
    first[59].load()
    server.suites[99] = [7320]
    later = read_suite()
    assert set(later) == {59, 7320}
    assert later[59].load().n_rows == 150
    assert [note for note in notes if note.startswith("suite 99 shrank by 9, 59")]
    server.suites[99] = [9, 59, 7320]
    assert set(read_suite()) == {9, 59, 7320}


def test_a_task_that_is_listed_no_more_is_read_from_the_cache(server, read, notes):
    read(59)[59].load()
    del server.tasks[59]
    assert read(59)[59].load().n_rows == 150
    assert any("does not list it any more" in note for note in notes)
    assert "the server does not list it" in str(refusal(read(4711)[4711]))


def test_a_table_that_changed_is_told_and_never_mixed_with_what_was_taken(server, read, cache, notes):
    first = read(59)[59].load()
    old = server.datasets[61].md5()
    server.datasets[61].frame = server.datasets[61].frame.assign(more=1.5)
    server.datasets[61].version = 2
    new = server.datasets[61].md5()
    assert read(59)[59].load().fingerprint() == first.fingerprint()
    assert any(f"version 1 -> 2, md5 {old} -> {new}" in note for note in notes)
    shutil.rmtree(cache() / "datasets")
    error = refusal(read(59)[59])
    assert error.code == "AM121"
    assert f"version 1 -> 2, md5 {old} -> {new}, content of dataset.arff" in str(error)
    (cache() / "autometa.lock.json").unlink()
    assert read(59)[59].load().X.shape == (150, 5)


def test_tasks_that_cannot_be_collected_say_why(server, read):
    server.add(1, server.datasets[61]).type = CLUSTERING
    server.add(2, server.datasets[61]).target = "gone"
    rows = np.arange(150)
    server.add(3, server.datasets[61], [(rows, rows)])
    frame = server.datasets[61].frame
    frame = frame.assign(**{"class": frame["class"].mask(rows < 3)})
    server.add(4, type(server.datasets[61])(62, "gaps", frame, "class"), server.tasks[59].folds)
    sources = read(1, 2, 3, 4, 9)
    reasons = {number: refusal(sources[number]) for number in (1, 2, 3, 4)}
    assert {number: error.code for number, error in reasons.items()} == {
        1: "AM122",
        2: "AM101",
        3: "AM122",
        4: "AM102",
    }
    assert sources[9].load().n_rows == 178


# -- manners ---------------------------------------------------------------------------------------------------------


def test_no_message_holds_the_key(server, read, notes, monkeypatch):
    import openml

    monkeypatch.setattr(openml.config, "apikey", "0123secret")
    read()[59].load()
    assert server.keys == {"0123secret"}
    sources = read(timeout=1.0)
    for fault in (*REASONS, "closed"):
        if fault == "closed":
            server._http.server_close()
            server._http.socket.close()
        else:
            server.fail("/187", fault)
        error = refusal(sources[9])
        assert "secret" not in "".join(traceback.format_exception(error))
    assert notes
    assert "secret" not in "".join(notes)


def test_requests_keep_their_distance(server, read):
    read(59, pause=0.05)[59].load()
    moments = [seconds for seconds, _ in server.requests]
    assert len(moments) >= 7
    # In all: on a busy machine one that arrives late comes close to the next.
    assert moments[-1] - moments[0] >= 0.05 * (len(moments) - 4)


def test_pauses_between_attempts_grow_by_chance_and_a_dead_server_is_not_waited_for_again(
    connect, monkeypatch
):
    from autometa.collection import _server

    slept = []
    monkeypatch.setattr(_server.time, "sleep", slept.append)
    connection = connect(attempts=5, backoff=1.0)
    calls = []

    def fail(attempt):
        calls.append(attempt)
        raise kind("nothing")

    kind = _server.NoAnswer
    for _ in range(2):
        with pytest.raises(_server.NoAnswer):
            connection.ask(fail, "it")
    assert calls == [0, 1, 2, 3, 4, 0]
    assert all(2**n <= seconds <= 2 ** (n + 1) for n, seconds in enumerate(slept))
    assert len(set(slept)) == 4
    assert connection.ask(lambda attempt: attempt, "it") == 0
    kind = _server.Refused
    with pytest.raises(_server.Refused):
        connection.ask(fail, "it")
    assert calls[6:] == [0]


def test_the_settings_of_the_package_are_as_before(server, read):
    import openml
    import requests

    before = openml._api_calls.logging, openml.config.connection_n_retries
    server.fail("/arff/", "503", times=1)
    read()[59].load()
    assert openml._api_calls.requests is requests
    assert (openml._api_calls.logging, openml.config.connection_n_retries) == before


def test_a_suite_that_nobody_knows_and_a_broken_lock_file_are_errors(server, connect, tmp_path):
    from autometa.collection.openml import read_suite, read_tasks

    with refused(
        DataError, "AM120", match="suite 7 of OpenML cannot be read: the server says: Unknown study"
    ):
        read_suite(7, connect())
    broken = tmp_path / "lock.json"
    broken.write_text('{"schema": 1,')
    with refused(StorageError, "AM615"):
        read_tasks([59], connect(), lock_file=broken)


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "openml", None)
    for module in ("_server", "openml"):
        monkeypatch.delitem(sys.modules, f"autometa.collection.{module}", raising=False)
    with refused(DependencyError, "AM702", match=r"autometa-learn\[openml\]"):
        importlib.import_module("autometa.collection.openml")


# -- collections -----------------------------------------------------------------------------------------------------


@pytest.fixture
def _two_algorithms(monkeypatch):
    built_in = space.built_in
    quick = ("linear", "knn")
    monkeypatch.setattr(
        space, "built_in", lambda family: {k: v for k, v in built_in(family).items() if k in quick}
    )


@pytest.mark.usefixtures("_two_algorithms")
def test_a_collection_reports_the_task_that_failed_and_takes_it_on_the_next_run(server, read, tmp_path):
    journal = str(tmp_path / "runs.journal")
    server.fail("/splits/59", "page")
    first = collect(list(read(attempts=1).values()), journal, n_configurations=1)
    assert first.counts == {"ok": 2}
    assert list(first.unreadable) == ["openml-59-iris"]
    assert "HTML page" in first.unreadable["openml-59-iris"]
    server.heal()
    second = collect(list(read().values()), journal, n_configurations=1)
    assert (second.counts, second.n_known, second.unreadable) == ({"ok": 2}, 2, {})


def write_directory(folder: Path) -> Path:
    rng = np.random.default_rng(3)
    folder.mkdir()
    rows = []
    for kind, n_rows in (("binary", 90), ("multiclass", 130), ("regression", 110)):
        frame = pd.DataFrame(rng.normal(size=(n_rows, 3)), columns=list("abc"))
        frame["level"] = pd.Categorical(rng.choice(["low", "mid", "high"], n_rows))
        frame.loc[rng.random(n_rows) < 0.1, "b"] = np.nan
        frame["y"] = frame["a"] + 0.3 * rng.normal(size=n_rows)
        if kind != "regression":
            frame["y"] = pd.qcut(frame["y"], 2 if kind == "binary" else 4, labels=False).map("c{}".format)
        frame.to_parquet(folder / f"{kind}.parquet")
        rows.append({"name": kind, "task_type": kind, "target": "y", "n_rows": n_rows})
    pd.DataFrame(rows).to_csv(folder / "catalog.csv", index=False)
    return folder


@pytest.mark.usefixtures("_two_algorithms")
def test_openml_and_a_directory_give_the_same_tables(visit, connect, tmp_path):
    from autometa.collection import openml

    directory = write_directory(tmp_path / "tables")
    ours = read_catalog(directory)
    whole = Protocol(max_train_rows=10**9, max_test_rows=10**9)
    drawn = {source.task_id: make_splits(source.load(), whole) for source in ours}
    protocol = Protocol(max_train_rows=50, max_test_rows=25)
    bases = []
    with of_directory(directory, folds=lambda dataset: drawn[dataset.name]) as site:
        for dataset in site.datasets.values():
            dataset.as_parquet = dataset.name == "binary"
        visit(site.address)
        theirs = openml.read_suite(1, connect())
        for name, sources in (("ours", ours), ("theirs", theirs)):
            journal = str(tmp_path / f"{name}.journal")
            report = collect(sources, journal, n_configurations=1, protocol=protocol)
            assert report.counts == {"ok": 6}
            bases.append(MetaBase.from_studies(journal))
    local, remote = bases
    names = {f"openml-{number}-{task.dataset.name}": task.dataset.name for number, task in site.tasks.items()}
    tasks = remote.tasks.assign(
        task_id=remote.tasks["task_id"].map(names), name=remote.tasks["name"].map(names)
    )
    runs = remote.runs.assign(task_id=remote.runs["task_id"].map(names))
    told = ["openml_id", "source", "mf_version"]
    same_rows(
        tasks.drop(columns=told, errors="ignore"),
        local.tasks.drop(columns=told, errors="ignore"),
        ["task_id"],
    )
    costs = [column for column in runs if column.endswith("_seconds")]
    keys = ["task_id", "configuration_id"]
    same_rows(runs.drop(columns=costs), local.runs.drop(columns=costs), keys)


def same_rows(one: pd.DataFrame, other: pd.DataFrame, keys: list[str]) -> None:
    sort = [table.sort_values(keys).reset_index(drop=True) for table in (one, other)]
    pd.testing.assert_frame_equal(*sort, check_exact=True)
