"""The report of a training is made on families that were left out."""

from __future__ import annotations

import pytest
from simulation import simulate_metabase

from autometa.metabase import MetaBase, verify_files
from autometa.metamodel import MetaModel
from autometa.metamodel.model import METHODS
from autometa.training import DEFAULTS_ROW, train


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    path = tmp_path_factory.mktemp("base")
    model, report = train(simulate_metabase(n_tasks=16), path)
    return path, model, report


def test_the_report_names_every_method_and_baseline(trained):
    _, _, report = trained
    expected = {"lightgbm default", "random_forest default", DEFAULTS_ROW, "autometa", *METHODS}
    assert set(report.regrets["method"]) == expected
    for name in expected:
        assert name in report.text


def test_where_meta_features_decide_the_portfolio_loses(trained):
    _, _, report = trained
    means = report.to_frame().set_index(["target", "method"])["regret@1"]
    for target in ("classification", "regression"):
        assert means[target, "autometa"] < means[target, "portfolio"]
        assert report.chosen[target] != "portfolio"


def test_regret_does_not_grow_with_tries(trained):
    _, _, report = trained
    for a, b in ((1, 3), (3, 5), (5, 10)):
        assert (report.regrets[f"regret@{a}"] >= report.regrets[f"regret@{b}"]).all()


def test_what_is_written_is_whole_and_loads(trained):
    path, model, _ = trained
    assert verify_files(path) == []
    assert MetaBase.load(path).verify() == []
    loaded = MetaModel.load(path)
    assert loaded.part("binary").method == model.part("binary").method
    assert loaded.report["chosen"] == model.report["chosen"]


def test_training_twice_gives_the_same_files(trained, tmp_path):
    path, _, _ = trained
    train(simulate_metabase(n_tasks=16), tmp_path)
    for file in sorted(p for p in path.rglob("*") if p.is_file() and p.suffix != ".npz"):
        assert file.read_bytes() == (tmp_path / file.relative_to(path)).read_bytes(), file.name
