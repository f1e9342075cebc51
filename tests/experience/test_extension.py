"""Tasks that are added to a trained meta-model, a few runs each."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from simulation import simulate_metabase

from autometa.experience._extension import Addition, complete_row, interpolation_weights
from autometa.metabase import MetaBase
from autometa.metamodel import MetaModel, Neighbourhood


@pytest.fixture(scope="module")
def base() -> MetaBase:
    return simulate_metabase(n_tasks=16)


@pytest.fixture(scope="module")
def part(base):
    known = [i for i in base.tasks["task_id"] if int(i.split("-")[1]) < 12]
    return MetaModel.fit(base.only(known)).part("regression")


@pytest.fixture(scope="module")
def added(base) -> MetaBase:
    """Four tasks with half of the runs each."""
    new = base.only(f"regression-{number}" for number in range(12, 16))
    return MetaBase(new.tasks, new.configurations, new.runs.iloc[::2])


def test_a_row_is_completed_from_tasks_like_it():
    rng = np.random.default_rng(0)
    table = rng.normal(size=(60, 2)) @ rng.normal(size=(2, 12))
    gains = -table[0]
    completed = complete_row(table[1:], np.eye(12)[:6], gains[:6])
    assert np.corrcoef(completed[6:], gains[6:])[0, 1] > 0.95


def test_the_unit_of_the_gains_does_not_matter():
    rng = np.random.default_rng(1)
    table, mixing, gains = rng.random((30, 8)), np.eye(8)[:4], rng.random(4)
    completed = complete_row(table, mixing, gains)
    np.testing.assert_allclose(complete_row(table, mixing, 100 * gains - 3), 100 * completed - 3)


def test_the_order_of_the_observations_does_not_matter():
    rng = np.random.default_rng(2)
    table, mixing, gains = rng.random((30, 8)), np.eye(8)[:4], rng.random(4)
    np.testing.assert_allclose(
        complete_row(table, mixing[::-1], gains[::-1]), complete_row(table, mixing, gains)
    )


def test_completed_regrets_agree_with_the_runs_that_were_left_out(base, part, added):
    addition = Addition.of(part, added)
    truth = (
        base.regrets("r2", "regression").loc[addition.tasks["task_id"], list(part.configurations)].to_numpy()
    )
    hidden = np.isnan(addition.observed["r2"])
    assert hidden.any()
    assert np.corrcoef(addition.regrets["r2"][hidden], truth[hidden])[0, 1] > 0.8
    assert ((addition.regrets["r2"] >= 0) & (addition.regrets["r2"] <= 2)).all()


def test_levels_are_those_of_the_metadata_base(base, part, added):
    addition = Addition.of(part, added)
    truth = (
        base.levels("r2", "regression").loc[addition.tasks["task_id"], list(part.configurations)].to_numpy()
    )
    seen = np.isfinite(addition.observed["r2"])
    np.testing.assert_allclose(addition.levels["r2"][seen], truth[seen], atol=1e-5)


def test_added_tasks_have_a_voice_and_excluded_families_none(part, added):
    extended = Addition.of(part, added).extend(importance=8.0)
    assert len(extended.tasks) == len(part.tasks) + 4
    x, family = extended.metafeatures[-1], str(extended.families[-1])
    new = np.isin(extended.families, [family])
    open_to_all, without = Neighbourhood(extended, x), Neighbourhood(extended, x, (family,))
    assert open_to_all.shares[new].sum() > open_to_all.shares[:-4].mean()
    assert without.shares.sum() == pytest.approx(1.0)
    assert without.shares[new].sum() == 0.0
    found = without.predict("r2")
    assert found.weights @ found.scenarios == pytest.approx(found.regret, abs=1e-6)


def test_without_all_of_its_tasks_nothing_is_added(part, added):
    addition = Addition.of(part, added)
    assert addition.extend(without=set(addition.tasks["family"])) is part


def test_what_is_no_column_is_kept_beside_them(part, added):
    """A middling run of a new configuration is no candidate, but one of the runs on its task."""
    run = added.runs[added.runs["task_id"] == "regression-13"].head(1).assign(configuration_id="new", r2=0.5)
    row = added.configurations[added.configurations["target"] == "regression"].head(1)
    more = MetaBase(
        added.tasks,
        pd.concat([added.configurations, row.assign(configuration_id="new")], ignore_index=True),
        pd.concat([added.runs, run], ignore_index=True),
    )
    first = str(added.families(["regression-12"])[0])
    for without, place in (((), 1), ((first,), 0)):
        extended = Addition.of(part, more).extend(without=without)
        assert list(extended.configurations) == list(part.configurations)
        lines, levels = extended.tuned.on(len(part.tasks) + place, "r2")
        assert len(lines) == 1
        assert levels[-1] == pytest.approx(0.5)


def test_a_configuration_that_was_best_becomes_a_candidate(base, part, added):
    """A run far better than those of the stored configurations brings its configuration in."""
    run = added.runs[added.runs["task_id"] == "regression-12"].head(1)
    row = added.configurations[added.configurations["configuration_id"] == run["configuration_id"].item()]
    run = run.assign(configuration_id="new", r2=0.99, rmse=0.01, mae=0.01)
    more = MetaBase(
        added.tasks,
        pd.concat([added.configurations, row.assign(configuration_id="new")], ignore_index=True),
        pd.concat([added.runs, run], ignore_index=True),
    )
    extended = Addition.of(part, more).extend()
    assert list(extended.configurations)[-1] == "new"
    assert extended.regrets["r2"][len(part.tasks), -1] == 0.0
    metafeatures = base.metafeatures.loc["regression-12"]
    prediction = MetaModel({"regression": extended}).predict(metafeatures, "regression", "r2")
    assert len(prediction.regret) == len(part.configurations) + 1
    assert np.isfinite(prediction.seconds).all()


ENCODED = np.array([[0.0], [0.1], [1.0], [0.5]])
ALGORITHMS = ["a", "a", "a", "b"]


def test_known_ones_are_those_of_the_algorithm_and_near_ones_count_more():
    new, names = np.array([[0.02], [0.7], [0.3]]), ["a", "b", "c"]
    weights = interpolation_weights(new, names, ENCODED, ALGORITHMS)
    assert weights.sum(axis=1) == pytest.approx([1, 1, 0])
    assert weights[0, 0] > weights[0, 1] > weights[0, 2] > 0
    assert weights[0, 3] == 0
    assert weights[1].tolist() == [0, 0, 0, 1]


def test_a_known_one_is_itself():
    weights = interpolation_weights(ENCODED[:2], ALGORITHMS[:2], ENCODED, ALGORITHMS)
    assert weights[[0, 1], [0, 1]] == pytest.approx([1, 1], abs=1e-6)
