"""``collect``, ``train`` and ``info``: experience from tables of one's own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from openml_server import bundled

from autometa.errors import DataError

COLLECT = ("collect", "--directory", "tables", "--storage", "runs.journal", "--configurations", "1")


def write_tables(folder):
    """Write a catalog of a small task, and one that cannot be read."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    frame = pd.DataFrame({"a": rng.normal(size=40), "b": rng.choice(["u", "v"], 40)})
    frame["y"] = np.where(frame["a"] + rng.normal(size=40) > 0, "yes", "no")
    frame.to_parquet(folder / "good.parquet")
    (folder / "bad.parquet").write_bytes(b"nonsense")
    rows = [{"name": name, "task_type": "binary", "target": "y"} for name in ("good", "bad")]
    pd.DataFrame(rows).to_csv(folder / "catalog.csv", index=False)


@pytest.fixture(scope="module")
def collected(tmp_path_factory):
    """Return a folder with tables and a journal of all runs on them, and what the command said."""
    folder = tmp_path_factory.mktemp("collected")
    write_tables(folder / "tables")
    done = subprocess.run(
        [sys.executable, "-m", "autometa", *COLLECT],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=240,
    )
    return folder, done


@pytest.fixture
def catalog(tmp_path, monkeypatch):
    """Be in a folder with tables."""
    monkeypatch.chdir(tmp_path)
    write_tables(tmp_path / "tables")


@pytest.fixture
def journal(tmp_path, monkeypatch, collected):
    """Be in a folder with tables and a journal of all runs on them."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(collected[0], tmp_path, dirs_exist_ok=True)


def test_collect_runs_everything_and_says_what_came_of_it(collected):
    _, done = collected
    assert done.returncode == 0, done.stderr
    assert "8 runs on 1 task " in done.stdout
    assert "task bad was left out" in done.stderr
    assert "[I " not in done.stderr


def test_what_is_known_is_not_run_again(run, journal):
    outcome = run(*COLLECT)
    assert outcome.code == 0
    assert "0 runs" in outcome.out
    assert ["known", "before", "8"] in [line.split() for line in outcome.out.splitlines()]


def test_an_interrupted_collection_says_that_runs_are_kept(run, catalog, monkeypatch):
    from autometa import collection

    def interrupted(futures, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(collection, "wait", interrupted)
    outcome = run(*COLLECT)
    assert outcome.code == 130
    assert "finished runs are kept" in outcome.err


def test_a_list_can_be_all_that_is_collected(run, catalog, monkeypatch):
    from autometa import collection

    asked = {}
    monkeypatch.setattr(
        collection, "collect", lambda *_, **options: asked.update(options) or collection.CollectionReport()
    )
    command = ("collect", "--directory", "tables", "--storage", "r.journal", "--configurations")
    assert run(*command, "0", "--words", "20").code == 0
    assert (asked["n_configurations"], asked["words"], asked["n_tuned"]) == (0, [20], 0)
    assert "'-1' is not a whole number of at least 0" in run(*command, "-1").err


@pytest.mark.parametrize("source", [("--suite", "99"), ("--task", "59", "9")])
def test_tasks_of_openml_are_collected_and_what_fails_is_told(run, visit, monkeypatch, source):
    from autometa import collection

    def collect(sources, storage, **options):
        report = collection.CollectionReport()
        for source in sources:
            try:
                names.append(source.load().name)
            except DataError as error:
                report.unreadable[source.task_id] = str(error)
        return report

    names = []
    monkeypatch.setattr(collection, "collect", collect)
    command = ("collect", *source, "--storage", "runs.journal")
    with bundled("iris", "wine") as server:
        visit(server.address)
        server.fail("/arff/187", "refused")
        outcome = run(*command)
    assert outcome.code == 0
    assert names == ["openml-59-iris"]
    told = "note: task openml-9-wine was left out: task 9 of OpenML cannot be read: the server says"
    assert outcome.err.startswith(told)
    assert outcome.err.count("\n") == 1


def test_a_suite_that_cannot_be_had_is_an_error(run, visit):
    with bundled("iris") as server:
        visit(server.address)
        outcome = run("collect", "--suite", "271", "--storage", "runs.journal")
    assert outcome.code == 1
    assert "suite 271" in outcome.err
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "exit_code", "code"),
    [
        (("collect", "--directory", "none", "--storage", "r.journal"), 1, "AM111"),
        (("collect", "--directory", "tables", "--storage", "r.txt"), 2, "AM505"),
        (("collect", "--directory", "tables", "--task", "1", "--storage", "r.journal"), 2, "AM530"),
        (("collect", "--task", "iris", "--storage", "r.journal"), 2, "AM530"),
        (("train", "--metabase", "none", "--output", "out"), 1, "AM605"),
        (("train", "--storage", "empty.journal", "--output", "out"), 1, "AM604"),
        (("train", "--output", "out"), 2, "AM530"),
        (("info", "--metabase", "tables"), 1, "AM605"),
    ],
)
def test_a_mistake_is_one_line(run, catalog, arguments, exit_code, code):
    outcome = run(*arguments)
    assert outcome.code == exit_code
    assert code in outcome.err
    assert outcome.err.count("\n") == 1


def test_a_password_in_a_url_is_not_shown(run, catalog):
    outcome = run("collect", "--directory", "tables", "--storage", "nonsense://user:SECRET@host/db")
    assert outcome.code == 1
    assert "SECRET" not in outcome.err


@pytest.mark.parametrize("merge", [(), ("--merge",)])
def test_train_passes_on_what_it_was_given(run, journal, monkeypatch, merge):
    """The training itself has its own tests."""
    from autometa.metabase import MetaBase

    calls = []

    class Report:
        text = "the report"

    def train(base, output, known):
        calls.append((base, output, known))
        return None, Report

    monkeypatch.setattr("autometa.training.train", train)
    monkeypatch.setattr(
        "autometa.training.render_training_report", lambda report, model: f"page: {report.text}"
    )
    outcome = run("train", "--storage", "runs.journal", *merge, "--output", "new/folder")
    assert outcome.code == 0
    assert outcome.out == "the report\n"
    assert Path("new/folder/report.html").read_text(encoding="utf-8") == "page: the report"
    ((base, output, known),) = calls
    assert (known is not None) == bool(merge)
    assert isinstance(base, MetaBase)
    assert len(base.runs) == 8
    assert output == "new/folder"
    assert Path(output).is_dir()


def test_info_counts_what_the_bundled_base_holds(run):
    answer = run("info", "--json").json
    assert answer["schema"] == "autometa/info/1"
    assert answer["summary"]["tasks"]["total"] > 0
    assert answer["problems"] is None
    text = run("info")
    assert text.code == 0
    assert f"{answer['summary']['runs']['total']:,}" in text.out


def test_verify_finds_files_that_were_changed(run, journal):
    from autometa.metabase import MetaBase

    MetaBase.from_studies("runs.journal").save("base")
    whole = run("info", "--metabase", "base", "--verify")
    assert whole.code == 0
    assert "8 of 8 dense ones" in whole.out
    frame = pd.read_parquet("base/runs.parquet")
    frame.to_parquet("base/runs.parquet", compression="gzip")
    outcome = run("info", "--metabase", "base", "--verify", "--json")
    assert outcome.code == 1
    assert any("runs.parquet" in problem for problem in json.loads(outcome.out)["problems"])
