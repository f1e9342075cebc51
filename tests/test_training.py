"""The report of a training is made on families that were left out."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from simulation import simulate_metabase
from threadpoolctl import threadpool_info, threadpool_limits

from autometa.evaluation import evaluate
from autometa.metabase import MetaBase, verify_files
from autometa.metamodel import MetaModel
from autometa.space import SearchSpace
from autometa.task import KINDS
from autometa.training import (
    DEFAULTS_ROW,
    LABELS,
    PRODUCT,
    SPLIT,
    recommended,
    render_training_report,
    replay,
    simulate_task,
    train,
    verify,
)
from autometa.training._report import OWN, WITHOUT_OWN, clustered_error, size_class, verdict


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    path = tmp_path_factory.mktemp("base")
    model, report = train(simulate_metabase(n_tasks=16), path)
    return path, model, report


def test_the_report_names_every_method_and_baseline(trained):
    _, _, report = trained
    expected = {"lightgbm default", "random_forest default", DEFAULTS_ROW, PRODUCT, "portfolio", "nearest"}
    assert set(report.regrets["method"]) == expected
    text = report.text
    assert all(LABELS.get(name, name) in text for name in expected)


def test_where_meta_features_decide_the_portfolio_loses(trained):
    _, _, report = trained
    table = report.to_frame().set_index(["target", "method"])
    for target in ("classification", "regression"):
        assert table.loc[(target, PRODUCT), "regret@1"] < table.loc[(target, "portfolio"), "regret@1"]
        assert table.loc[(target, "portfolio"), "more@1"] > 0
        assert table.loc[(target, PRODUCT), "more@1"] == 0
        assert table.loc[(target, PRODUCT), "rank@1"] < table.loc[(target, "portfolio"), "rank@1"]


def test_regret_does_not_grow_with_tries(trained):
    _, _, report = trained
    for a, b in ((1, 3), (3, 5), (5, 10)):
        assert (report.regrets[f"regret@{a}"] >= report.regrets[f"regret@{b}"]).all()


def test_slices_of_a_kind_add_up(trained):
    _, _, report = trained
    slices = report.slices()
    assert set(slices["slice"]) == {"all", "kind", "rows", "metric"}
    product = slices[(slices["method"] == PRODUCT) & (slices["target"] == "classification")]
    by_metric = product[product["slice"] == "metric"]
    (overall,) = product.loc[product["slice"] == "all", "regret@5"]
    assert np.isclose(by_metric["regret@5"].mean(), overall)


def test_the_page_has_a_chart_for_each_target_and_a_table_for_each_slice(trained):
    _, _, report = trained
    page = render_training_report(report)
    assert page.count("<svg") == 2
    assert page.count("<table") == len(report.slices().groupby(["target", "slice", "value"]))
    assert "nan" not in page
    own = report.regrets[report.regrets["method"].isin([PRODUCT, "portfolio"])]
    own = own.assign(method=own["method"].map({PRODUCT: OWN, "portfolio": WITHOUT_OWN}))
    assert "they help" in render_training_report(replace(report, own=own))


def test_the_page_maps_every_known_task(trained):
    _, model, report = trained
    page = render_training_report(report, model)
    assert page.count("<svg") == 4
    names = [name for part in model.parts.values() for name in part.tasks["task_id"]]
    assert all(f"<title>{name}: " in page for name in names)


def test_what_is_written_is_whole_and_loads(trained):
    path, model, report = trained
    assert verify_files(path) == []
    assert MetaBase.load(path).verify() == []
    loaded = MetaModel.load(path)
    assert loaded.part("binary").widths == model.part("binary").widths
    assert loaded.report["coverage"] == model.report["coverage"]
    pd.testing.assert_frame_equal(
        pd.read_parquet(path / "leave_one_family_out.parquet"), report.regrets, check_dtype=False
    )
    assert len(pd.read_csv(path / "report.csv")) == len(report.slices())


def test_training_twice_gives_the_same_files(trained, tmp_path):
    path, _, _ = trained
    train(simulate_metabase(n_tasks=16), tmp_path)
    for file in sorted(p for p in path.rglob("*") if p.is_file() and p.suffix != ".npz"):
        assert file.read_bytes() == (tmp_path / file.relative_to(path)).read_bytes(), file.name


def test_only_what_was_run_can_be_chosen():
    base = simulate_metabase(n_tasks=8)
    task = base.task_ids("regression")[0]
    own = base.runs.index[base.runs["task_id"] == task]
    part = MetaModel.fit(
        MetaBase.from_frames(base.tasks, base.runs.drop(own[2:]), base.configurations)
    ).parts["regression"]
    chosen = []

    def spy(part, i, metric, candidates):
        chosen.append(candidates.tolist())
        return recommended()(part, i, metric, candidates)

    replay(part, {"spy": spy}, only=[task])
    assert chosen
    assert all(len(candidates) <= 2 for candidates in chosen)


def test_errors_count_families_not_tasks():
    rng = np.random.default_rng(0)
    values = pd.Series(rng.normal(size=30))
    alone = pd.Series(range(30))
    assert np.isclose(clustered_error(values, alone), values.sem())
    copies = pd.concat([values] * 4, ignore_index=True)
    error = clustered_error(copies, pd.concat([alone] * 4, ignore_index=True))
    assert np.isclose(error, values.sem())
    assert copies.sem() < 0.6 * error


def test_sizes_are_named():
    sizes = size_class(pd.Series([100, 499, 500, 2000, 2001, np.nan]))
    assert sizes.tolist() == [
        "under 500", "under 500", "500 to 2,000", "500 to 2,000", "over 2,000", "under 500"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("more", "error", "words"),
    [(-0.2, 0.05, "help"), (0.2, 0.05, "harm"), (-0.2, 0.15, "no difference"), (0.1, np.nan, "too few")],
)
def test_the_verdict_heeds_the_error(more, error, words):
    assert words in verdict(more, error)


def regression_only(base: MetaBase) -> MetaBase:
    return base.only(base.task_ids("regression"))


def mine(linear_is_good: bool) -> MetaBase:
    """Return tasks of a world in which the meta-feature means the same as in the known one, or the contrary."""
    base = regression_only(simulate_metabase(n_tasks=16, seed=5))
    tasks = base.tasks.copy()
    for column in ("task_id", "family", "fingerprint", "name"):
        tasks[column] = "mine-" + tasks[column]
    if not linear_is_good:
        tasks["mf_forest_over_linear"] *= -1
    return MetaBase.from_frames(
        tasks, base.runs.assign(task_id="mine-" + base.runs["task_id"]), base.configurations
    )


def test_runs_from_another_world_help_there():
    _, report = train(mine(linear_is_good=False), known=regression_only(simulate_metabase(n_tasks=8)))
    assert report.own is not None
    means = report.own.groupby("method")["regret@1"].mean()
    assert means[OWN] < means[WITHOUT_OWN]
    assert set(report.own["task_id"]) == set(mine(linear_is_good=False).tasks["task_id"])
    assert "Do your runs help?" in report.text


@pytest.fixture(scope="module")
def base() -> MetaBase:
    return simulate_metabase(n_tasks=2, n_configurations=1)


def change(base: MetaBase, **columns: object) -> MetaBase:
    """Change the first configuration."""
    configurations = base.configurations.copy()
    for column, value in columns.items():
        configurations.loc[0, column] = value
    return MetaBase.from_frames(base.tasks, base.runs, configurations)


def test_a_sound_base_has_no_problems(base, tmp_path):
    base.save(tmp_path)
    seen = []
    verification = verify(tmp_path, on_progress=lambda done, total: seen.append((done, total)))
    assert verification.problems == ()
    assert verification.n_fitted == {"dense": (16, 16), "tuned": (0, 0)}
    assert seen == [(n, 16) for n in range(1, 17)]


def test_values_that_the_libraries_refuse_are_named(base, tmp_path):
    change(base, params=json.dumps({"n_estimators": -1})).save(tmp_path)
    problems = verify(tmp_path).problems
    assert any("binary: " in problem for problem in problems)
    assert any("multiclass: " in problem for problem in problems)


def test_without_time_tuned_configurations_are_built_only(base, tmp_path):
    change(base, origin="tuned").save(tmp_path)
    verification = verify(tmp_path, time_budget=0.0)
    assert verification.problems == ()
    assert verification.n_built == 16
    assert verification.n_fitted == {"dense": (15, 15), "tuned": (0, 1)}


def test_small_fits_use_one_thread(base, tmp_path, monkeypatch):
    threads = set()

    def look(*args):
        threads.update(library["num_threads"] for library in threadpool_info())
        return evaluate(*args)

    base.save(tmp_path)
    monkeypatch.setattr("autometa.training.evaluate", look)
    with threadpool_limits(2):
        verify(tmp_path)
    assert threads == {1}


@pytest.mark.parametrize("kind", KINDS)
def test_the_tables_can_be_learned(kind):
    task = simulate_task(kind)
    assert task.kind == kind
    assert task.X.isna().any().any()
    linear = SearchSpace.for_kind(kind)["linear"].default_configuration()
    scores = evaluate(task, linear, [SPLIT]).scores
    assert scores["r2" if kind == "regression" else "roc_auc"] > 0.7
