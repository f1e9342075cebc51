"""A directory of tasks: what a catalog says, and what is said about a bad one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from refusals import refused

from autometa.collection import read_catalog
from autometa.errors import DataError

KINDS = ["binary", "multiclass", "regression"]


def write(directory, rows, **columns):
    for row in rows:
        pd.DataFrame({"a": range(4), "y": range(4)}).to_parquet(directory / f"{row['name']}.parquet")
    pd.DataFrame(rows).assign(**columns).to_csv(directory / "catalog.csv", index=False)
    return directory


@pytest.fixture
def many(tmp_path):
    rng = np.random.default_rng(0)
    rows = [
        {
            "name": f"0{i:02}",
            "task_type": KINDS[i % 3],
            "target": "y",
            "n_rows": int(rng.integers(10, 10_000)),
            "family": f"f{i // 6}",
            "openml_id": i if i % 2 else None,
        }
        for i in range(36)
    ]
    return write(tmp_path, rows)


def test_every_task_of_the_catalog_is_read_once_and_in_the_same_order_each_time(many):
    ids = [source.task_id for source in read_catalog(many)]
    assert sorted(ids) == [f"0{i:02}" for i in range(36)]
    assert ids == [source.task_id for source in read_catalog(str(many))]


def test_every_beginning_is_a_mix_of_kinds_sizes_and_families(many):
    sources = read_catalog(many)
    assert [source.kind for source in sources[:6]] == KINDS * 2
    assert len({source.properties["family"] for source in sources[:18]}) == 6
    sizes = np.array([source.n_rows for source in sources])
    for kind in range(3):
        first, all_of_kind = sizes[kind:18:3], sizes[kind::3]
        assert first.min() < np.median(all_of_kind) < first.max()


def test_facts_travel_with_the_task_and_gaps_are_filled(tmp_path):
    write(tmp_path, [{"name": "one", "task_type": "regression", "target": "y"}])
    (source,) = read_catalog(tmp_path)
    assert source.properties == {"openml_id": None, "family": "one", "source": ""}
    assert source.n_rows == 0
    task = source.load()
    assert (task.name, task.kind, list(task.X.columns)) == ("one", "regression", ["a"])
    assert task.properties == source.properties


def test_ids_are_whole_numbers_or_none(many):
    ids = {source.task_id: source.properties["openml_id"] for source in read_catalog(many)}
    assert ids["000"] is None
    assert ids["001"] == 1


def _without(path):
    (path / "catalog.csv").unlink()


def _empty(path):
    (path / "catalog.csv").write_text("")


def _binary(path):
    (path / "catalog.csv").write_bytes(b"\xff\xfe\x00\x81")


def _no_target_column(path):
    (path / "catalog.csv").write_text("name,task_type\none,binary\n")


def _unknown_kind(path):
    (path / "catalog.csv").write_text("name,task_type,target\none,clustering,y\n")


def _missing_file(path):
    (path / "one.parquet").unlink()


def _outside(path):
    (path / "inner").mkdir()
    (path / "catalog.csv").rename(path / "inner" / "catalog.csv")
    (path / "inner" / "catalog.csv").write_text("name,task_type,target\n../one,binary,y\n")
    return path / "inner"


@pytest.mark.parametrize(
    "damage", [_without, _empty, _binary, _no_target_column, _unknown_kind, _missing_file, _outside]
)
def test_a_bad_catalog_is_refused_in_one_line(damage, tmp_path):
    write(tmp_path, [{"name": "one", "task_type": "binary", "target": "y"}])
    directory = damage(tmp_path) or tmp_path
    with pytest.raises(DataError) as caught:
        read_catalog(directory)
    assert caught.value.code == "AM111"
    assert caught.value.fix
    assert "\n" not in str(caught.value)


def test_a_broken_table_is_an_error_of_ours_when_it_is_loaded(tmp_path):
    write(tmp_path, [{"name": "one", "task_type": "binary", "target": "y"}])
    (tmp_path / "one.parquet").write_bytes(b"PAR1 not really")
    (source,) = read_catalog(tmp_path)
    with pytest.raises(DataError) as caught:
        source.load()
    assert caught.value.code == "AM111"
    assert "\n" not in str(caught.value)


def test_a_catalog_written_by_hand(tmp_path):
    for name in ("NA", "t"):
        pd.DataFrame({"a": range(4), "NA": range(4)}).to_parquet(tmp_path / f"{name}.parquet")
    (tmp_path / "catalog.csv").write_text(
        "\ufeffname, task_type,target,n_rows,openml_id,family\n"
        "NA,Regression, NA ,many,,\nt,regression,NA,inf,61.0,None\n,,,,,\n",
        encoding="utf-8",
    )
    sources = {source.task_id: source for source in read_catalog(tmp_path)}
    assert sources.keys() == {"NA", "t"}
    assert {source.target for source in sources.values()} == {"NA"}
    assert {source.n_rows for source in sources.values()} == {0}
    assert sources["t"].properties == {"openml_id": 61, "family": "None", "source": ""}
    assert sources["NA"].load().kind == "regression"


def test_a_catalog_of_a_spreadsheet(tmp_path):
    pd.DataFrame({"a": range(4), "y": range(4)}).to_parquet(tmp_path / "t.parquet")
    for text in (
        "\nName;Task_type;Target\nt.parquet;regression;y;;\n;;\n",
        "name\ttask_type\ttarget\nt\tregression\ty\n",
    ):
        (tmp_path / "catalog.csv").write_text(text, encoding="utf-8")
        assert [(source.task_id, source.target) for source in read_catalog(tmp_path)] == [("t", "y")]


def test_an_id_that_is_a_word_is_named(tmp_path):
    write(tmp_path, [{"name": "one", "task_type": "regression", "target": "y", "openml_id": "abc"}])
    with refused(DataError, "AM111", match=r"task 'one'.*'abc'"):
        read_catalog(tmp_path)


@pytest.mark.parametrize("name", ["../elsewhere", "/tmp/elsewhere", "sub/elsewhere", "x" * 9_999])
def test_a_catalog_names_files_beside_it_alone(tmp_path, name):
    (tmp_path / "here" / "sub").mkdir(parents=True)
    for place in (tmp_path, tmp_path / "here" / "sub"):
        pd.DataFrame({"a": range(4), "y": range(4)}).to_parquet(place / "elsewhere.parquet")
    (tmp_path / "here" / "catalog.csv").write_text(f"name,task_type,target\n{name},regression,y\n")
    with refused(DataError, "AM111"):
        read_catalog(tmp_path / "here")
