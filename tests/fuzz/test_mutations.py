"""Damaged tables and model files through the command line: an answer, or one line with a code.

``pytest -m fuzz tests/fuzz/test_mutations.py`` damages twelve thousand of each, in parts that can be run one by one:
``-k "part3-"``.
"""

from __future__ import annotations

import warnings
import zipfile

import numpy as np
import pandas as pd
import pytest
from fuzz_inputs import command, mutated, watched

from autometa.persistence import save_model
from autometa.pipelines import build_pipeline
from autometa.space import Configuration, SearchSpace
from autometa.task import Task

SMALL = {"n_estimators": 2, "max_iter": 3}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with a table and a model of each algorithm fitted on it."""
    path = tmp_path_factory.mktemp("mutations")
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {"a": rng.normal(size=40), "b": rng.choice(list("uvw"), 40), "c": rng.integers(0, 9, 40)}
    )
    frame = X.assign(y=np.where(X["a"] > 0, "yes", "no"))
    frame.to_csv(path / "data.csv", index=False)
    task = Task.from_frame(X, frame["y"])
    columns = [
        {"name": name, "type": kind, "dtype": str(X[name].dtype)} for name, kind in task.column_types.items()
    ]
    for algorithm in SearchSpace.for_kind("binary"):
        params = algorithm.default_configuration().params
        configuration = Configuration(algorithm.name, {k: SMALL.get(k, v) for k, v in params.items()})
        pipeline = build_pipeline(configuration, task)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # few rows: some searches do not converge
            pipeline.fit(X, task.y)
        facts = {"kind": "binary", "target": "y", "columns": columns}
        save_model(path / f"{algorithm.name}.skops", pipeline, facts)
    return path


def damage_member(path, target, seed):
    """Damage one member of an archive, which then is whole again, or the bytes of the archive."""
    content = path.read_bytes()
    if seed % 2:
        target.write_bytes(mutated(content, seed))
        return
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = sorted(members)[seed // 2 % len(members)]
    members[name] = mutated(members[name], seed)
    with zipfile.ZipFile(target, "w", compression=zipfile.ZIP_DEFLATED) as archive:
        for member, data in members.items():
            archive.writestr(member, data)


def check_table(folder, seed):
    path = folder / "damaged.csv"
    path.write_bytes(mutated((folder / "data.csv").read_bytes(), seed))
    if seed % 3:
        command("predict", str(folder / "linear.skops"), str(path))
    else:
        command("describe", str(path), "--target", "y")


def check_model(folder, seed):
    models = sorted(folder.glob("[a-z]*_*.skops")) + sorted(folder.glob("[a-z]*[!_]*.skops"))
    models = [path for path in models if path.name != "damaged.skops"]
    damage_member(models[seed % len(models)], folder / "damaged.skops", seed)
    command("predict", str(folder / "damaged.skops"), str(folder / "data.csv"))


def test_a_damaged_table_is_read_or_refused_in_one_line(folder):
    for seed in range(250):
        check_table(folder, seed)


def test_a_damaged_model_predicts_or_is_refused_in_one_line(folder):
    for seed in range(250):
        check_model(folder, seed)


@pytest.mark.fuzz
@pytest.mark.timeout(0)
@pytest.mark.parametrize("check", [check_table, check_model], ids=["tables", "models"])
@pytest.mark.parametrize("part", range(1, 13), ids="part{}-".format)
def test_a_part_of_twenty_four_thousand(folder, tmp_path, check, part):
    failures = []
    with watched(tmp_path / "stalled.txt") as begin:
        for seed in range(1_000 * part, 1_000 * part + 1_000):
            begin()
            try:
                check(folder, seed)
            except Exception as error:  # any is a fault
                failures.append((seed, f"{type(error).__name__}: {error}"[:300]))
    assert not failures, f"{len(failures)} of 1,000: {failures[:20]}"
