"""The check of a metadata base finds what no longer fits, and says how far it looked."""

from __future__ import annotations

import json

import pytest
from simulation import simulate_metabase
from threadpoolctl import threadpool_info, threadpool_limits

from autometa.evaluation import evaluate
from autometa.metabase import MetaBase
from autometa.space import SearchSpace
from autometa.task import KINDS
from autometa.training import SPLIT, simulate_task, verify


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
