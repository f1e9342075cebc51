"""Laws of the metadata base: nothing is lost on the way to disk and back, and regret is what the design says."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from refusals import refused
from simulation import simulate_metabase

from autometa.errors import StorageError, UsageError
from autometa.metabase import MAX_REGRET, MetaBase, read_manifest, verify_files
from autometa.metrics import CLASSIFICATION_METRICS
from autometa.space import SearchSpace


@pytest.fixture(scope="module")
def base() -> MetaBase:
    return simulate_metabase(n_tasks=6)


def test_what_is_saved_is_loaded(base, tmp_path):
    base.save(tmp_path)
    loaded = MetaBase.load(tmp_path)
    for name in ("tasks", "configurations", "runs"):
        pd.testing.assert_frame_equal(getattr(base, name), getattr(loaded, name), check_dtype=False)
    assert verify_files(tmp_path) == []
    assert not list(tmp_path.glob("*.partial"))


def test_a_changed_file_is_noticed(base, tmp_path):
    base.save(tmp_path)
    with (tmp_path / "runs.parquet").open("ab") as file:
        file.write(b"x")
    assert verify_files(tmp_path) == ["runs.parquet differs from the manifest"]


def test_a_base_of_the_future_is_refused(base, tmp_path):
    base.save(tmp_path)
    manifest = read_manifest(tmp_path)
    (tmp_path / "manifest.json").write_text(json.dumps({**manifest, "schema": 99}))
    with refused(StorageError, "AM606"):
        MetaBase.load(tmp_path)


def test_a_folder_without_a_base_is_refused(tmp_path):
    with refused(StorageError, "AM605"):
        MetaBase.load(tmp_path)


def test_the_best_has_no_regret_and_the_median_default_has_one(base):
    regrets = base.regrets("accuracy", "classification")
    assert (regrets.min(axis=1) == 0).all()
    assert regrets.max(axis=None) <= MAX_REGRET
    configurations = base.configurations_of("classification")
    defaults = [i for i, c in configurations.items() if c.origin == "default"]
    assert np.allclose(regrets[defaults].median(axis=1), 1.0, atol=0.25)


@pytest.mark.parametrize("metric", CLASSIFICATION_METRICS)
def test_regret_orders_as_the_metric_does(base, metric):
    scores, regrets = base.scores(metric, "binary"), base.regrets(metric, "binary")
    sign = -1 if metric == "log_loss" else 1
    task = scores.index[0]
    inside = regrets.loc[task] < MAX_REGRET
    order = (sign * scores.loc[task])[inside].sort_values(ascending=False).index
    assert regrets.loc[task, order].is_monotonic_increasing


def test_a_failed_run_counts_worst_and_a_missing_one_does_not_count(base):
    runs = base.runs.copy()
    failed, missing = 3, 4
    runs.loc[failed, ["status", *CLASSIFICATION_METRICS]] = [
        "failed",
        *[np.nan] * len(CLASSIFICATION_METRICS),
    ]
    task, bad, gone = (
        runs.loc[failed, "task_id"],
        runs.loc[failed, "configuration_id"],
        runs.loc[missing, "configuration_id"],
    )
    changed = MetaBase.from_frames(base.tasks, runs.drop(index=missing), base.configurations)
    regrets = changed.regrets("accuracy", "binary")
    assert regrets.loc[task, bad] == MAX_REGRET
    assert np.isnan(regrets.loc[task, gone])


@pytest.fixture(scope="module")
def deep(base) -> MetaBase:
    """The base with a tuned configuration that beats all on the first task, and two more fidelities on it."""
    task = base.tasks["task_id"].iloc[0]
    tuned = SearchSpace.for_kind("binary")["knn"].default_configuration()
    tuned = replace(tuned, params={**tuned.params, "n_neighbors": 7}, origin="tuned")
    row = {
        "configuration_id": tuned.id,
        "target": "classification",
        "algorithm": tuned.algorithm,
        "params": json.dumps(dict(tuned.params)),
        "origin": tuned.origin,
    }
    own = base.runs[base.runs["task_id"] == task]
    best = own.head(1).assign(configuration_id=tuned.id, accuracy=0.99)
    runs = [
        base.runs,
        best,
        own.head(8).assign(fidelity=500, accuracy=0.5),
        own.tail(12).assign(fidelity=8000),
    ]
    configurations = pd.concat([base.configurations, pd.DataFrame([row])])
    return MetaBase.from_frames(base.tasks, pd.concat(runs), configurations)


def test_the_main_fidelity_is_that_of_most_dense_runs(base, deep):
    assert (deep.main_fidelities == 1000).all()
    pd.testing.assert_frame_equal(deep.scores("accuracy", "binary"), base.scores("accuracy", "binary"))
    pd.testing.assert_frame_equal(deep.seconds("binary"), base.seconds("binary"))
    assert deep.scores("accuracy", "binary", 500).notna().sum().sum() == 8
    assert (deep.scores("accuracy", "binary", 500).iloc[0].dropna() == 0.5).all()
    assert deep.levels("accuracy", "binary", 8000).notna().sum().sum() == 12
    assert deep.seconds("binary", 123).isna().all(axis=None)


@pytest.mark.parametrize(("n_usual", "main"), [(6, 1000), (5, 8000), (0, 8000)])
def test_a_few_more_runs_elsewhere_do_not_move_a_task_from_the_usual_fidelity(base, n_usual, main):
    task = base.tasks["task_id"].iloc[0]
    own = base.runs["task_id"] == task
    few = base.runs[own].head(n_usual), base.runs[own].head(12).assign(fidelity=8000)
    mixed = MetaBase.from_frames(base.tasks, pd.concat([base.runs[~own], *few]), base.configurations)
    assert mixed.main_fidelities[task] == main
    assert (mixed.main_fidelities.drop(task) == 1000).all()


def test_what_was_tuned_is_no_column_but_counts_as_known(base, deep):
    assert list(deep.configurations_of("classification")) == list(base.configurations_of("classification"))
    assert len(deep.configurations_of("classification", tuned=True)) == 1
    before, after = base.regrets("accuracy", "binary"), deep.regrets("accuracy", "binary")
    assert before.iloc[0].min() == 0.0
    assert after.iloc[0].min() > 0.1
    pd.testing.assert_frame_equal(before.iloc[1:], after.iloc[1:])
    assert deep.regrets("accuracy", "binary", 8000).iloc[0].min() == 0.0


def test_tuned_runs_are_those_of_the_main_fidelity_as_levels(base, deep):
    assert base.tuned_runs("classification").empty
    (run,) = deep.tuned_runs("classification").to_dict("records")
    ((known, _),) = deep.configurations_of("classification", tuned=True).items()
    assert (run["task_id"], run["configuration_id"]) == (base.tasks["task_id"].iloc[0], known)
    baseline = deep.tasks["baseline_accuracy"].iloc[0]
    assert run["accuracy"] == pytest.approx((0.99 - baseline) / (1 - baseline), abs=1e-4)
    assert deep.tuned_runs("regression").empty
    failed = deep.runs["configuration_id"].eq(known)
    runs = deep.runs.assign(status=deep.runs["status"].mask(failed, "failed"))
    assert MetaBase.from_frames(deep.tasks, runs, deep.configurations).tuned_runs("classification").empty


def test_a_task_that_was_only_searched_has_no_row(deep):
    tuned = deep.configurations["origin"] == "tuned"
    runs = deep.runs[deep.runs["configuration_id"].isin(deep.configurations.loc[tuned, "configuration_id"])]
    alone = MetaBase.from_frames(deep.tasks, runs, deep.configurations)
    assert alone.task_ids("classification") == []
    assert alone.regrets("accuracy", "classification").empty


def test_what_one_base_tuned_may_be_dense_in_another(base):
    found = MetaBase.from_frames(base.tasks, base.runs, base.configurations.assign(origin="tuned"))
    for merged in (base.merge(found), found.merge(base)):
        pd.testing.assert_frame_equal(merged.configurations, base.configurations)


def test_digits_that_are_noise_are_not_kept(base):
    scores = base.runs["accuracy"].iloc[:50].to_numpy()
    runs = base.runs.assign(accuracy=base.runs["accuracy"].astype("float64") * (1 + 1e-7))
    again = MetaBase.from_frames(base.tasks, runs, base.configurations)
    assert (again.runs["accuracy"].iloc[:50].to_numpy() == scores).mean() > 0.9
    exact = np.random.default_rng(0).lognormal(0, 5, 50)
    runs = base.runs.iloc[:50].assign(rmse=exact, fit_seconds=exact)
    kept = MetaBase.from_frames(base.tasks, runs, base.configurations).runs
    assert np.allclose(kept["rmse"], exact, rtol=5e-6, atol=0)
    assert np.allclose(kept["fit_seconds"], exact, rtol=1e-3, atol=0)


def test_merging_keeps_all_and_the_later_row_wins(base):
    other = simulate_metabase(n_tasks=8, seed=1)
    merged = base.merge(other)
    assert len(merged.tasks) == len(other.tasks)
    assert len(merged.runs) == len(other.runs)
    again = merged.merge(other)
    pd.testing.assert_frame_equal(
        again.runs.sort_values(["task_id", "configuration_id"], ignore_index=True),
        other.runs.sort_values(["task_id", "configuration_id"], ignore_index=True),
    )


def test_what_is_merged_keeps_copies_together_and_others_apart(base):
    tasks = base.tasks.assign(fingerprint="f" + base.tasks["fingerprint"], family=base.tasks["task_id"])
    tasks.loc[0, "fingerprint"] = base.tasks.loc[1, "fingerprint"]
    merged = base.merge(MetaBase.from_frames(tasks, base.runs, base.configurations))
    assert len(merged.tasks) == 2 * len(base.tasks)
    assert len(merged.runs) == 2 * len(base.runs)
    assert set(merged.tasks.groupby("fingerprint")["family"].nunique()) == {1}
    assert merged.tasks["family"].nunique() == 2 * base.tasks["family"].nunique() - 1


def test_tables_that_do_not_fit_together_are_refused(base):
    with refused(StorageError, "AM603"):
        MetaBase.from_frames(base.tasks.iloc[1:], base.runs, base.configurations)
    with refused(StorageError, "AM603"):
        MetaBase.from_frames(base.tasks.drop(columns="kind"), base.runs, base.configurations)


def test_verify_finds_a_configuration_that_no_longer_fits_and_twins(base):
    assert base.verify() == []
    configurations = base.configurations.copy()
    configurations.loc[0, "params"] = json.dumps({"n_estimators": -1})
    tasks = base.tasks.copy()
    tasks.loc[1, "fingerprint"] = tasks.loc[0, "fingerprint"]
    problems = MetaBase.from_frames(tasks, base.runs, configurations).verify()
    assert any("twins" in problem for problem in problems)
    assert any("n_estimators=-1" in problem for problem in problems)


def test_copies_are_noticed_without_a_fingerprint(base):
    tasks = base.tasks.copy()
    described = [name for name in tasks if name.startswith("mf_")]
    tasks.loc[2, described[: len(described) * 3 // 4]] = tasks.loc[1, described[: len(described) * 3 // 4]]
    changed = MetaBase.from_frames(tasks, base.runs, base.configurations)
    ((first, second, reason),) = changed.twins()
    assert (first, second) == tuple(tasks.loc[[1, 2], "task_id"])
    assert "meta-features" in reason
    tasks.loc[2, "family"] = tasks.loc[1, "family"]
    assert MetaBase.from_frames(tasks, base.runs, base.configurations).twins() == []


def test_only_keeps_the_runs_of_the_chosen_tasks(base):
    part = base.only(base.tasks["task_id"].iloc[:2])
    assert set(part.runs["task_id"]) == set(base.tasks["task_id"].iloc[:2])


def test_levels_are_shares_of_the_way_to_a_perfect_score(base):
    levels = base.levels("accuracy", "binary")
    scores = base.scores("accuracy", "binary")
    assert np.allclose(levels, (scores - 0.5) / 0.5, atol=1e-5)
    losses, log_levels = base.scores("log_loss", "binary"), base.levels("log_loss", "binary")
    assert np.allclose(log_levels, 1.0 - losses, atol=1e-5)


def test_a_search_becomes_experience(tmp_path):
    from sklearn.datasets import load_iris

    import autometa
    from autometa.metamodel import MetaModel

    model = MetaModel.fit(simulate_metabase(n_tasks=4))
    storage = str(tmp_path / "search.journal")
    autometa.tune(
        *load_iris(return_X_y=True, as_frame=True),
        n_trials=2,
        algorithms=["linear", "knn"],
        storage=storage,
        study_name="iris",
        metamodel=model,
        random_state=0,
    )
    base = MetaBase.from_studies(storage)
    assert base.tasks["task_id"].tolist() == ["iris"]
    assert len(base.runs) == 2
    assert base.metafeatures.notna().sum(axis=1).item() > 40
    assert base.verify() == []


def test_runs_may_spell_their_configurations_out(base):
    names = base.configurations.set_index(["target", "configuration_id"])[["algorithm", "params"]]
    kinds = base.tasks.set_index("task_id")["kind"]
    targets = ["regression" if kinds[i] == "regression" else "classification" for i in base.runs["task_id"]]
    spelled = names.loc[list(zip(targets, base.runs["configuration_id"], strict=True))]
    runs = base.runs.assign(algorithm=spelled["algorithm"].to_numpy(), params=spelled["params"].to_numpy())
    again = MetaBase.from_frames(base.tasks, runs.drop(columns="configuration_id"))
    pd.testing.assert_frame_equal(again.runs, base.runs)
    with refused(StorageError, "AM603"):
        MetaBase.from_frames(base.tasks, base.runs)


def test_scores_of_a_kind_are_those_of_its_tasks(base):
    assert len(base.scores("log_loss", "classification")) == 6
    assert len(base.scores("log_loss", "binary")) == 6
    assert len(base.scores("log_loss", "multiclass")) == 0
    with refused(UsageError, "AM107"):
        base.scores("r2", "binary")


def test_a_storage_that_is_not_there_is_not_made(tmp_path):
    with refused(StorageError, "AM604"):
        MetaBase.from_studies(str(tmp_path / "nope.journal"))
    assert not list(tmp_path.iterdir())
