"""What larger training sets say, on a simulated base where other algorithms win there."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from simulation import simulate_metabase

from autometa.metabase import MetaBase
from autometa.metamodel import MetaModel, Neighbourhood
from autometa.metamodel.sizes import LEAST_TASKS
from autometa.metrics import as_gain, stored_metrics
from autometa.space import SearchSpace, finds_rounds, grown_configurations

USUAL, LARGE = 667, 8000


@pytest.fixture(scope="module")
def base() -> MetaBase:
    """Every algorithm but boosting loses with 8,000 rows; boosting whose rounds are found was run there alone."""
    small = simulate_metabase(n_tasks=24, n_configurations=5)
    algorithms = dict(
        zip(small.configurations["configuration_id"], small.configurations["algorithm"], strict=True)
    )
    large = small.runs.assign(fidelity=LARGE, n_train=LARGE)
    few = [c.id for k in ("binary", "regression") for c in SearchSpace.for_kind(k).design(3)]
    large = large[large["configuration_id"].isin(few)].copy()
    loses = large["configuration_id"].map(algorithms) != "lightgbm"
    for target in ("classification", "regression"):
        for metric in stored_metrics(target):
            large.loc[loses, metric] -= 0.3 * as_gain(1.0, metric)
    grown, rows = [], []
    targets = {"binary": "classification", "regression": "regression"}
    for kind, target in targets.items():
        for number, configuration in enumerate(grown_configurations(target)):
            grown.append(
                {
                    "configuration_id": configuration.id,
                    "target": target,
                    "algorithm": configuration.algorithm,
                    "params": dict(configuration.params),
                    "origin": configuration.origin,
                }
            )
            of_default = large[large["configuration_id"].map(algorithms).eq("lightgbm")]
            of_default = of_default[of_default["task_id"].str.startswith(kind)].drop_duplicates("task_id")
            better = {
                m: of_default[m] + (0.1 - 0.01 * number) * as_gain(1.0, m) for m in stored_metrics(target)
            }
            for n_train in (LARGE, 4 * LARGE):
                made = of_default.assign(configuration_id=configuration.id, **better)
                rows.append(made.assign(fidelity=n_train, n_train=n_train, rounds=0.1 * n_train**0.9))
    configurations = pd.DataFrame(grown)
    configurations["params"] = configurations["params"].map(json.dumps)
    return MetaBase.from_frames(
        small.tasks,
        pd.concat([small.runs, large, *rows], ignore_index=True),
        pd.concat([small.configurations, configurations], ignore_index=True),
    )


@pytest.fixture(scope="module")
def model(base) -> MetaModel:
    return MetaModel.fit(base)


def about(model, base, kind: str, n_train: float | None) -> Neighbourhood:
    name = f"{kind}-2"
    return model.about(base.metafeatures.loc[name], kind, exclude=base.families([name]), n_train=n_train)


@pytest.mark.parametrize(("kind", "metric"), [("binary", "log_loss"), ("regression", "r2")])
def test_what_wins_depends_on_the_rows(base, model, kind, metric):
    small, large = (about(model, base, kind, n) for n in (USUAL, LARGE))
    names = []
    for near in (small, large):
        first = near.predict(metric).portfolio(1)[0]
        names.append(list(near.known.configurations.values())[first].algorithm)
    assert names[0] in ("linear", "svm", "mlp")
    assert names[1] == "lightgbm"


def test_with_many_rows_what_may_lose_against_the_default_has_to_promise_more(base, model):
    small, large = (about(model, base, "binary", n).predict("log_loss") for n in (USUAL, LARGE))
    assert small.rival is None
    assert (
        large.configuration_ids[large.rival]
        == SearchSpace.for_kind("binary")["lightgbm"].default_configuration().id
    )
    # Two that are alike on average: one is a little better than the default everywhere, one better by far or worse.
    safe, bold = [i for i in range(len(large.regret)) if i not in large.defaults][:2]
    scenarios = np.full((2, len(large.regret)), 1.0)
    scenarios[:, large.rival] = 0.5
    scenarios[:, safe] = 0.41
    scenarios[:, bold] = [0.0, 0.8]
    weights, seconds = np.full(2, 0.5), np.ones(len(large.regret))
    told = replace(
        large, scenarios=scenarios, weights=weights, regret=scenarios.mean(axis=0), seconds=seconds
    )
    assert told.portfolio(1) == [safe]
    assert replace(told, rival=None).portfolio(1) == [bold]
    # Who does not want the default has no use for the comparison.
    allowed = np.arange(len(seconds)) != large.rival
    assert told.portfolio(1, allowed) == [bold]


def test_few_rows_are_told_nothing_of_configurations_that_only_many_rows_have_seen(base, model):
    usual, large = model.part("binary"), model.part("binary").at(LARGE)
    assert usual.at(USUAL) is usual
    # Nor is anybody offered what leaves its rounds to early stopping.
    for known in (usual, large):
        assert not any(map(finds_rounds, known.configurations.values()))
    assert set(large.configurations) < set(usual.configurations)
    # The usual tables are those of a base without the larger runs.
    runs = base.runs[base.runs["fidelity"] < LARGE]
    alone = MetaModel.fit(MetaBase.from_frames(base.tasks, runs, base.configurations)).part("binary")
    assert alone.larger == ()
    for metric, table in usual.regrets.items():
        np.testing.assert_array_equal(table, alone.regrets[metric])


def test_only_tasks_with_runs_of_the_size_speak(base):
    n = LEAST_TASKS + 1
    silent = {f"binary-{number}" for number in range(n, 24)}
    runs = base.runs[(base.runs["fidelity"] < LARGE) | ~base.runs["task_id"].isin(silent)]
    model = MetaModel.fit(MetaBase.from_frames(base.tasks, runs, base.configurations))
    near = about(model, base, "binary", LARGE)
    found = near.predict("log_loss")
    is_silent = near.known.tasks["task_id"].isin(silent).to_numpy()
    own = near.known.tasks["task_id"].to_numpy() == "binary-2"
    assert found.weights.sum() == pytest.approx(1)
    assert (found.weights[is_silent | own] == 0).all()
    assert (found.weights[~(is_silent | own)] > 0).all()
    # Results on the task change what is expected there as they do elsewhere.
    shot = near.few_shot("log_loss")
    assert len(shot.weights) == n - 1
    assert shot.order([0, 1, 2], {3: 0.5})[0] in (0, 1, 2)


def test_a_model_read_back_says_the_same(base, model, tmp_path):
    base.save(tmp_path)
    model.save(tmp_path)
    again = MetaModel.load(tmp_path)
    for kind, metric in (("binary", "roc_auc"), ("regression", "mae")):
        one, other = (about(m, base, kind, LARGE).predict(metric) for m in (model, again))
        assert one.configuration_ids == other.configuration_ids
        for name in ("regret", "level", "lower", "upper", "seconds"):
            np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-3, atol=2e-3)
