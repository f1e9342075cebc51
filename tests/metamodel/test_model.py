"""The meta-model as a whole, on a simulated metadata base whose truth is known."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from refusals import refused
from simulation import simulate_metabase

from autometa.errors import StorageError, UsageError
from autometa.metabase import MetaBase
from autometa.metamodel import MetaModel
from autometa.metamodel.sizes import PowerLaw
from autometa.metrics import CLASSIFICATION_METRICS
from autometa.space import SearchSpace


@pytest.fixture(scope="module")
def base() -> MetaBase:
    return simulate_metabase()


@pytest.fixture(scope="module")
def model(base) -> MetaModel:
    return MetaModel.fit(base)


def task(base, kind: str, number: int) -> pd.Series:
    return base.metafeatures.loc[f"{kind}-{number}"]


@pytest.mark.parametrize("kind", ["binary", "regression"])
@pytest.mark.parametrize("number", [2, 3])
def test_the_right_algorithms_lead_on_a_family_never_seen(base, model, kind, number):
    family = base.families([f"{kind}-{number}"])
    metric = "r2" if kind == "regression" else "roc_auc"
    first = model.rank(task(base, kind, number), kind, metric, k=1, exclude=family)[0]
    assert (first.algorithm in ("linear", "svm", "mlp")) == (number % 2 == 0)


def test_scenarios_have_the_mean_that_is_expected(base, model):
    found = model.predict(task(base, "binary", 0), "binary", "accuracy", exclude=("binary-family-0-00",))
    assert found.weights.sum() == pytest.approx(1)
    assert np.isfinite(found.regret).all()
    assert (found.regret_spread >= 0).all()
    assert found.weights @ found.scenarios == pytest.approx(found.regret, abs=1e-6)


def test_one_lucky_run_elsewhere_does_not_lead(base):
    """What was run on a single task, and won there, looks elsewhere like the others of its algorithm."""
    lucky = next(
        i
        for i, c in base.configurations_of("classification").items()
        if c.algorithm == "lightgbm" and c.origin != "default"
    )
    is_lucky, is_there = base.runs["configuration_id"] == lucky, base.runs["task_id"] == "binary-1"
    runs = base.runs.copy()
    runs.loc[is_lucky & is_there, "roc_auc"] = 0.99
    known = MetaBase.from_frames(base.tasks, runs[~is_lucky | is_there], base.configurations)
    model = MetaModel.fit(known)
    configurations = list(model.part("binary").configurations)
    # binary-2 is linear: trees do badly.
    family = base.families(["binary-2"])
    regret = model.predict(task(base, "binary", 2), "binary", "roc_auc", exclude=family).regret
    column = configurations.index(lucky)
    assert regret[column] > np.sort(regret)[4]


def test_what_was_not_run_is_filled_and_what_failed_counts_as_bad(base):
    runs = base.runs.copy()
    gone, failed = runs.index[runs["task_id"] == "binary-0"][[0, 1]]
    runs.loc[failed, "status"] = "failed"
    runs.loc[failed, list(CLASSIFICATION_METRICS)] = np.nan
    part = MetaModel.fit(MetaBase.from_frames(base.tasks, runs.drop(gone), base.configurations)).part(
        "binary"
    )
    row = part.tasks["task_id"].tolist().index("binary-0")
    columns = [list(part.configurations).index(runs["configuration_id"][i]) for i in (gone, failed)]
    regrets, levels = part.filled["roc_auc"]
    assert np.isnan(part.regrets["roc_auc"][row, columns[0]])
    assert np.isfinite([regrets[row, columns[0]], levels[row, columns[0]]]).all()
    assert regrets[row, columns[1]] == 2.0


@pytest.fixture(scope="module")
def searched(base) -> MetaBase:
    """The base with a tuned configuration on one task of each target."""
    rows, runs = [], []
    for target, kind, metric in (("classification", "binary", "roc_auc"), ("regression", "regression", "r2")):
        tuned = replace(SearchSpace.for_kind(kind)["svm"].default_configuration(), origin="tuned")
        tuned = replace(tuned, params={**tuned.params, "C": 7.0})
        run = base.runs[base.runs["task_id"] == f"{kind}-4"].head(1)
        runs.append(run.assign(configuration_id=tuned.id, **{metric: 0.95}))
        rows.append(
            {
                "configuration_id": tuned.id,
                "target": target,
                "algorithm": tuned.algorithm,
                "params": json.dumps(dict(tuned.params)),
                "origin": tuned.origin,
            }
        )
    configurations = pd.concat([base.configurations, pd.DataFrame(rows)], ignore_index=True)
    return MetaBase.from_frames(base.tasks, pd.concat([base.runs, *runs], ignore_index=True), configurations)


@pytest.mark.parametrize(
    ("kind", "metric", "level"), [("binary", "roc_auc", 0.9), ("regression", "r2", 0.95)]
)
def test_past_runs_are_those_of_the_most_similar_tasks(searched, tmp_path, kind, metric, level):
    searched.save(tmp_path)
    MetaModel.fit(searched).save(tmp_path)
    model = MetaModel.load(tmp_path)
    part, x = model.part(kind), task(searched, kind, 4)
    past = model.about(x, kind).past_runs(metric, n_tasks=5).unpack()
    assert len(past) == 5
    # Most like the task is the task itself: what all were run with, and last what was tuned on it.
    configurations, levels = past[0]
    row = part.tasks["task_id"].tolist().index(f"{kind}-4")
    assert configurations[:-1] == list(part.configurations.values())
    np.testing.assert_allclose(levels[:-1], part.levels[metric][row], rtol=1e-6)
    assert (configurations[-1].params["C"], configurations[-1].origin) == (7.0, "tuned")
    assert levels[-1] == pytest.approx(level, abs=1e-4)
    without = model.about(x, kind, exclude=searched.families([f"{kind}-4"])).past_runs(metric, n_tasks=99)
    assert all(len(runs) == len(part.configurations) for runs, _ in without.unpack())


def test_intervals_hold_the_expected_level(base, model):
    found = model.predict(
        task(base, "regression", 0), "regression", "r2", exclude=("regression-family-0-00",)
    )
    assert (found.lower <= found.level).all()
    assert (found.level <= found.upper).all()
    assert (found.upper <= 1).all()


def test_what_is_shown_of_a_list_agrees_with_its_regrets(base, model):
    found = model.predict(task(base, "binary", 1), "binary", "roc_auc", exclude=("binary-family-1-01",))
    listed = found.portfolio(8)
    level, lower, upper = found.agreeing(listed)
    worst_first = np.argsort(-found.regret[listed], kind="stable")
    assert (np.diff(level[worst_first]) >= 0).all()
    assert (level >= found.level[listed]).all()
    assert level.max() == found.level[listed].max()
    assert (lower <= level).all()
    assert (level <= upper).all()
    assert (upper <= 1).all()


def test_few_rows_make_intervals_wider(base, model):
    near = model.about(task(base, "binary", 0), "binary")
    wide, narrow = (near.predict("accuracy", (rows, 10, 2)) for rows in (60, 6000))
    assert (wide.upper - wide.lower >= narrow.upper - narrow.lower).all()
    assert (wide.upper - wide.lower).sum() > (narrow.upper - narrow.lower).sum()
    assert (wide.level == narrow.level).all()


def test_far_tasks_are_said_to_be_new(base, model):
    near = task(base, "binary", 0)
    assert model.about(near + 1000.0, "binary").novelty == 1.0
    assert model.about(near, "binary").novelty < 0.5


def test_a_task_on_which_nothing_is_known_under_a_metric_says_nothing_about_it(base):
    runs = base.runs.copy()
    runs.loc[runs["task_id"] == "binary-0", "log_loss"] = np.nan
    model = MetaModel.fit(MetaBase.from_frames(base.tasks, runs, base.configurations))
    near = model.about(task(base, "binary", 0), "binary")
    row = near.known.tasks["task_id"].tolist().index("binary-0")
    assert near.predict("roc_auc").weights[row] > 0
    assert near.predict("log_loss").weights[row] == 0
    assert near.predict("log_loss").weights.sum() == pytest.approx(1)


def test_what_is_saved_predicts_the_same(base, model, tmp_path):
    base.save(tmp_path)
    model.save(tmp_path)
    loaded = MetaModel.load(tmp_path)
    for kind, metric in (("binary", "log_loss"), ("regression", "mae")):
        one, two = (m.predict(task(base, kind, 1), kind, metric) for m in (model, loaded))
        for name in ("regret", "level", "lower", "upper", "seconds"):
            assert getattr(one, name) == pytest.approx(getattr(two, name), abs=1e-4), name
    assert not [p for p in tmp_path.rglob("*") if p.suffix in (".pkl", ".pickle", ".joblib", ".partial")]


def test_what_was_read_is_saved_as_it_was(base, tmp_path):
    """Also the OpenML ids, of which only some tasks have one."""
    tasks = base.tasks.assign(openml_id=[None, 31, *[None] * (len(base.tasks) - 2)])
    numbered = MetaBase.from_frames(tasks, base.runs, base.configurations)
    model = MetaModel.fit(numbered)
    for name in ("one", "two"):
        numbered.save(tmp_path / name)
        model.save(tmp_path / name)
        model = loaded = MetaModel.load(tmp_path / name)
    for file in (tmp_path / "one" / "metamodel").glob("*.json"):
        assert file.read_bytes() == (tmp_path / "two" / "metamodel" / file.name).read_bytes(), file.name
    assert 31 in [i for part in loaded.parts.values() for i in part.tasks["openml_id"].dropna()]


def test_a_broken_model_is_refused(base, model, tmp_path):
    base.save(tmp_path)
    with refused(StorageError, "AM605"):
        MetaModel.load(tmp_path)
    model.save(tmp_path)
    (tmp_path / "metamodel" / "regression.npz").write_bytes(b"no model")
    with refused(StorageError, "AM608"):
        MetaModel.load(tmp_path)


def test_a_model_says_what_it_cannot_do(base):
    only = base.only([i for i in base.tasks["task_id"] if i.startswith("binary")])
    model = MetaModel.fit(only)
    with refused(UsageError, "AM507"):
        model.predict(task(base, "regression", 0), "regression", "r2")
    with refused(StorageError, "AM607"):
        MetaModel.fit(base.only(["binary-0"]))


def test_similar_tasks_are_alike_and_leave_families_out(base, model):
    near = model.about(task(base, "binary", 0), "binary", exclude=base.families(["binary-0"]))
    similar = near.similar_tasks(6)
    assert "binary-0" not in set(similar["task_id"])
    assert similar["distance"].is_monotonic_increasing
    assert similar["distance"].between(0, 1).all()
    even = [int(name.rsplit("-", 1)[1]) % 2 == 0 for name in similar["task_id"]]
    assert np.mean(even) > 0.8


def test_fingerprints_are_recognised(model):
    assert model.seen_families("binary0003", "multiclass") == ["binary-family-1-03"]
    assert model.seen_families("other", "binary") == []


def test_costs_grow_as_they_were_made_to():
    rng = np.random.default_rng(0)
    n = 400
    sizes = np.column_stack([rng.integers(100, 5000, n), rng.integers(2, 50, n), np.ones(n)]).astype(float)
    columns = rng.integers(0, 2, n)
    seconds = 1e-3 * sizes[:, 0] ** 1.2 * sizes[:, 1] ** 0.5 * np.array([1.0, 3.0])[columns]
    seconds[:5] = np.nan
    law = PowerLaw.fit(seconds, columns, sizes, ["a", "b", "b"])
    expected = 1e-3 * 20_000**1.2 * 10**0.5 * np.array([1.0, 3.0, 3.0])
    assert law.predict(20_000, 10, 1) == pytest.approx(expected, rel=0.05)


def test_a_fit_costs_something_whatever_the_size():
    rng = np.random.default_rng(0)
    n = 600
    rows = np.exp(rng.uniform(np.log(50), np.log(5000), n))
    sizes = np.column_stack([rows, np.full(n, 10.0), np.ones(n)])
    seconds = (0.02 + 1e-7 * rows**1.8) * np.exp(rng.normal(0.0, 0.05, n))
    law = PowerLaw.fit(seconds, np.zeros(n, dtype=int), sizes, ["a"])
    for size in (60, 500, 5_000):
        assert law.predict(size, 10, 1)[0] == pytest.approx(0.02 + 1e-7 * size**1.8, rel=0.3)
    arrays = law.to_arrays()
    assert PowerLaw.from_arrays(arrays).predict(60, 10, 1) == law.predict(60, 10, 1)
    del arrays["floors"]
    assert PowerLaw.from_arrays(arrays).predict(60, 10, 1) < law.predict(60, 10, 1)


def test_costs_without_a_run_are_finite():
    law = PowerLaw.fit(np.full(3, np.nan), np.zeros(3, dtype=int), np.ones((3, 3)), ["a"])
    assert np.isfinite(law.predict(1000, 10, 2)).all()


def test_what_speaks_for_a_configuration_is_the_meta_feature_that_decides(base, model):
    near = model.about(task(base, "binary", 2), "binary", exclude=base.families(["binary-2"]))
    added = near.contributions("roc_auc", range(len(near.known.configurations)))
    names = near.known.metafeature_names
    for column, configuration in enumerate(near.known.configurations.values()):
        assert names[np.abs(added[:, column]).argmax()] == "forest_over_linear"
        is_smooth = configuration.algorithm in ("linear", "svm", "mlp")
        assert (added[names.index("forest_over_linear"), column] < 0) == is_smooth


def test_few_shot_starts_from_the_model_without_the_family(base, model):
    family = base.families(["binary-2"])
    few_shot = model.about(task(base, "binary", 2), "binary", exclude=family).few_shot("roc_auc")
    part = model.part("binary")
    kept = ~np.isin(part.families, family)
    assert few_shot.mixture.surfaces == pytest.approx(part.levels["roc_auc"][kept])
    assert few_shot.weights.sum() == pytest.approx(1.0)
