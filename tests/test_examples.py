"""The examples: the table is what its script makes and worth recommending for; a slice of the base can be rebuilt."""

from __future__ import annotations

import json
import runpy

import pandas as pd
import pytest

from autometa.evaluation import Protocol, evaluate, make_splits
from autometa.space import SearchSpace
from autometa.tables import read_table
from autometa.task import Task


@pytest.fixture(scope="module")
def script(root):
    return runpy.run_path(str(root / "examples" / "make_example.py"))


def test_the_committed_table_is_what_the_script_makes(script):
    assert script["PATH"].read_text(encoding="utf-8") == script["to_csv"](script["simulate"]())


def test_the_messy_table_is_what_its_script_makes_and_is_read(root):
    messy = runpy.run_path(str(root / "examples" / "make_messy.py"))
    assert messy["PATH"].read_text(encoding="utf-8") == messy["to_csv"](messy["simulate"]())
    task = Task.from_frame(read_table(str(messy["PATH"])).frame, "returned")
    assert {"numeric", "categorical", "date", "ignored"} <= set(task.column_types.values())


def test_another_seed_makes_another_table(script):
    assert script["simulate"](50, seed=1) != script["simulate"](50, seed=2)


def test_it_has_every_kind_of_column_and_can_be_learned_but_not_perfectly(script):
    task = Task.from_frame(pd.read_csv(script["PATH"]), "churned")
    assert set(task.column_types.values()) == {"numeric", "categorical", "date", "ignored"}
    assert task.X.isna().any().any()
    linear = SearchSpace.for_kind("binary")["linear"].default_configuration()
    assert 0.7 < evaluate(task, linear, make_splits(task, Protocol())).scores["roc_auc"] < 0.9


def test_a_slice_of_the_base_is_rebuilt_and_agrees_with_it(root, tmp_path, capfd):
    slice_ = runpy.run_path(str(root / "examples" / "rebuild_slice.py"))
    tables = slice_["TABLES"]
    assert len(tables) == 5
    for name in set(tables) - {"iris", "wine"}:
        del tables[name]
    both = slice_["rebuild"](tmp_path, 1)
    assert set(both["task_id_known"]) == {"iris", "wine"}
    assert len(both) == 16
    assert (both["accuracy_own"] - both["accuracy_known"]).abs().max() < 0.03
    assert (tmp_path / "base" / "report.html").is_file()
    assert "$ autometa collect" in capfd.readouterr().out


def test_the_notebook_has_the_cells_of_its_script_and_what_they_gave(root):
    """If this fails, run: python examples/make_notebook.py."""
    script = runpy.run_path(str(root / "examples" / "make_notebook.py"))
    cells = json.loads(script["PATH"].read_text(encoding="utf-8"))["cells"]
    assert [(c["cell_type"], "".join(c["source"])) for c in cells] == list(script["CELLS"])
    code = [c for c in cells if c["cell_type"] == "code"]
    assert [c["execution_count"] for c in code] == list(range(1, len(code) + 1))
    shown = [output for c in code for output in c["outputs"]]
    assert all(output["output_type"] == "execute_result" for output in shown), (
        "an error, or something printed"
    )
    cards = ["".join(o["data"].get("text/html", "")) for o in shown]
    for words in (
        "Recommendations for a",
        "Search by roc_auc",
        "enqueued",
        "meta-feature",
        "AutoMetaClassifier",
    ):
        assert any(words in card for card in cards), words
