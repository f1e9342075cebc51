"""What few training rows say, on a simulated base where linear models win with few."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from simulation import simulate_metabase

from autometa.metabase import MetaBase
from autometa.metamodel import MetaModel, Neighbourhood
from autometa.metamodel.sizes import REACH
from autometa.metrics import as_gain, stored_metrics

FEW, USUAL = 60, 667
# Every third task was also run, and described, with few rows.
RUN = {f"{kind}-{number}" for kind in ("binary", "regression") for number in range(0, 24, 3)}


@pytest.fixture(scope="module")
def base() -> MetaBase:
    """With few rows linear models lead everywhere, and the number of rows tells."""
    usual = simulate_metabase(n_tasks=24)
    described = usual.tasks.filter(like="mf_").assign(mf_log_n_rows=-9.0)
    described = described.where(usual.tasks["task_id"].isin(RUN)).rename(
        columns=lambda n: f"few_{FEW}_{n[3:]}"
    )
    few = usual.runs[usual.runs["task_id"].isin(RUN)].assign(fidelity=FEW, n_train=FEW)
    algorithms = usual.configurations.drop_duplicates("configuration_id").set_index("configuration_id")[
        "algorithm"
    ]
    is_linear = few["configuration_id"].map(algorithms) == "linear"
    for target in ("classification", "regression"):
        for metric in stored_metrics(target):
            few.loc[~is_linear, metric] -= 0.3 * as_gain(1.0, metric)
    return MetaBase.from_frames(
        pd.concat([usual.tasks, described], axis=1),
        pd.concat([usual.runs, few], ignore_index=True),
        usual.configurations,
    )


@pytest.fixture(scope="module")
def model(base) -> MetaModel:
    return MetaModel.fit(base)


def about(model, base, name: str, n_train: float) -> Neighbourhood:
    described = base.metafeatures.loc[name].copy()
    described["log_n_rows"] = -9.0
    return model.about(described, name.split("-")[0], exclude=base.families([name]), n_train=n_train)


@pytest.mark.parametrize(("name", "metric"), [("binary-1", "log_loss"), ("regression-7", "r2")])
def test_what_is_expected_depends_on_the_rows(base, model, name, metric):
    few, usual = (about(model, base, name, n) for n in (FEW, USUAL))
    algorithms = np.array([c.algorithm for c in usual.known.configurations.values()])
    at_few, at_usual = (near.predict(metric) for near in (few, usual))
    for algorithm in ("lightgbm", "random_forest"):
        gap = [
            p.regret[algorithms == "linear"].mean() - p.regret[algorithms == algorithm].mean()
            for p in (at_few, at_usual)
        ]
        assert gap[0] < gap[1] - 0.2
    assert at_few.weights.sum() == pytest.approx(1)


def test_tables_with_more_rows_hear_nothing_of_it(base, model):
    part = model.part("binary")
    assert part.at(USUAL) is part
    assert part.at(REACH * FEW + 1) is part
    assert len(part.at(REACH * FEW).tasks) == len(part.tasks) + len(RUN) // 2
    alone = MetaModel.fit(
        MetaBase.from_frames(base.tasks, base.runs[base.runs["fidelity"] > FEW], base.configurations)
    ).part("binary")
    assert alone.smaller is None
    assert alone.at(FEW) is alone
    for metric, table in part.regrets.items():
        np.testing.assert_array_equal(table, alone.regrets[metric])


def test_a_table_hears_the_views_of_its_size(model):
    part = model.part("binary")
    few = part.smaller
    larger = np.arange(len(few.tasks)) % 2 == 1
    both = replace(few, n_train=np.where(larger, 2.5 * FEW, FEW))
    for n_train, heard in ((1, ~larger), (FEW, ~larger), (2 * FEW, [True]), (3 * FEW, [True])):
        n_views = len(few.tasks) if len(heard) == 1 else heard.sum()
        assert len(both.heard(n_train).tasks) == n_views
        assert len(replace(part, smaller=both).at(n_train).tasks) == len(part.tasks) + n_views
    assert both.heard(4 * FEW) is None


def test_a_task_counts_once_however_often_it_was_described(base, model):
    near = about(model, base, "binary-3", FEW)
    told = near.similar_tasks(30)
    assert told["task_id"].is_unique
    assert "binary-3" not in set(told["task_id"])
    assert (1.0 - told["distance"]).sum() == pytest.approx(1, abs=0.2)
    own = near.known.tasks["task_id"] == "binary-3"
    assert own.sum() == 2
    assert (near.shares[own] == 0).all()
    shot = near.few_shot("log_loss")
    assert len(shot.weights) == 23
    assert shot.weights.sum() == pytest.approx(1)
    assert len(near.past_runs("log_loss").unpack()) <= 24


def test_a_model_read_back_says_the_same(base, model, tmp_path):
    base.save(tmp_path)
    model.save(tmp_path)
    again = MetaModel.load(tmp_path)
    pd.testing.assert_frame_equal(
        MetaBase.load(tmp_path).few_metafeatures(FEW), base.few_metafeatures(FEW), check_dtype=False
    )
    one, other = (about(m, base, "regression-7", FEW).predict("r2") for m in (model, again))
    for name in ("regret", "level", "lower", "upper", "seconds"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-3, atol=2e-3)
