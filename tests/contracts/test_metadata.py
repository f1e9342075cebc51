"""The bundled metadata base: whole, small, free of pickles, and as large as it was promised to be."""

from __future__ import annotations

import hashlib
import json
import runpy
from importlib.resources import files
from pathlib import Path

import pytest

import autometa
from autometa.space import SearchSpace

MAX_BYTES = 10 * 10**6
DATA_SUFFIXES = {".parquet", ".json", ".npz", ".txt", ".gz"}
PICKLE_SUFFIXES = {".pkl", ".pickle", ".joblib", ".skops", ".npy"}


@pytest.fixture(scope="module")
def bundled(root) -> Path:
    return root / "metadata"


@pytest.fixture(scope="module")
def metabase():
    return autometa.MetaBase.load()


def test_it_is_installed_beside_the_package(bundled):
    installed = Path(str(files("autometa.metadata")))
    assert (installed / "manifest.json").read_bytes() == (bundled / "manifest.json").read_bytes()


def test_every_file_is_the_one_of_the_manifest(bundled):
    listed = json.loads((bundled / "manifest.json").read_text(encoding="utf-8"))["sha256"]
    found = {
        path.relative_to(bundled).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in bundled.rglob("*")
        if path.suffix in DATA_SUFFIXES and path.name != "manifest.json"
    }
    assert found == listed


def test_it_stays_within_its_size(bundled):
    assert sum(path.stat().st_size for path in bundled.rglob("*") if path.is_file()) <= MAX_BYTES


def test_it_holds_no_pickle(bundled):
    import numpy as np

    for path in bundled.rglob("*"):
        if not path.is_file() or "__pycache__" in path.parts:
            continue
        assert path.suffix not in PICKLE_SUFFIXES
        # Protocols 2 and later begin with this byte.
        assert not path.read_bytes().startswith(b"\x80")
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                assert all(arrays[name].dtype != object for name in arrays)


def test_it_verifies_itself(metabase):
    assert metabase.verify() == []


def test_it_was_made_for_this_space(bundled):
    space = json.loads((bundled / "manifest.json").read_text(encoding="utf-8"))["space"]
    assert space == {
        family: SearchSpace.for_kind(family).signature() for family in ("classification", "regression")
    }


def test_it_knows_at_least_two_hundred_tasks_of_all_kinds(metabase):
    assert len(metabase.tasks) >= 200
    assert set(metabase.tasks["kind"]) == {"binary", "multiclass", "regression"}


@pytest.mark.parametrize("family", ["classification", "regression"])
def test_every_algorithm_has_eight_configurations_with_the_default(metabase, family):
    known = metabase.configurations[metabase.configurations["target"] == family]
    for algorithm in SearchSpace.for_kind(family):
        own = known[known["algorithm"] == algorithm.name]
        assert len(own) >= 8
        assert algorithm.default_configuration().id in set(own["configuration_id"])


@pytest.mark.parametrize("family", ["classification", "regression"])
def test_every_task_has_the_default_and_eight_dense_configurations_of_every_algorithm(metabase, family):
    """Tables of words have a list of their own: the default of every algorithm, and twenty in all."""
    known, tasks = metabase.configurations_of(family), metabase.task_ids(family)
    words = metabase.tasks.loc[metabase.tasks["source"] == "messy", "task_id"]
    runs = metabase.runs[metabase.runs["task_id"].isin(tasks) & metabase.runs["configuration_id"].isin(known)]
    runs = runs[runs["fidelity"] == metabase.main_fidelities.reindex(runs["task_id"]).to_numpy()]
    configurations = [known[i] for i in runs["configuration_id"]]
    made = runs.groupby(["task_id", [c.algorithm for c in configurations]]).size()
    is_listed = made.index.get_level_values("task_id").isin(words)
    assert len(made) == len(tasks) * len(SearchSpace.for_kind(family))
    assert (made[~is_listed] >= 8).all()
    assert (made[is_listed].groupby("task_id").sum() >= 19).all()
    assert sum(c.origin == "default" for c in configurations) == len(made)


def test_the_data_card_counts_what_is_there(root, metabase):
    """If this fails, run: python docs/make_datacard.py."""
    script = runpy.run_path(str(root / "docs" / "make_datacard.py"))
    page = script["PAGE"].read_text(encoding="utf-8")
    assert script["render"](metabase, page) == page
    assert f"{len(metabase.runs):,}" in page
