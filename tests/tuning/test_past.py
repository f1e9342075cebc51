"""What is kept of past studies, and the portfolio of them: near what was run, beyond it, and bounded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra.numpy import arrays
from optuna.distributions import CategoricalDistribution, FloatDistribution
from stand_in import MetaSampler

from autometa.tuning._past import (
    MIN_RUNS,
    _study_losses,
    history_of_runs,
    leading_points,
    learn_portfolio,
    read_history,
    shares,
)
from autometa.tuning._prior import fit_prior

KINDS = CategoricalDistribution(("a", "b"))
RATE = FloatDistribution(1e-4, 1.0, log=True)


def study_of(values: dict[tuple[str, float], float], direction: str = "minimize") -> optuna.Study:
    study = optuna.create_study(direction=direction)
    for (kind, rate), value in values.items():
        params, distributions = {"kind": kind, "rate": rate}, {"kind": KINDS, "rate": RATE}
        study.add_trial(optuna.trial.create_trial(params=params, distributions=distributions, value=value))
    return study


def select_portfolio(
    studies: list[optuna.Study], size: int, rounds: int | None = None
) -> list[dict[str, object]]:
    history = read_history(studies)
    assert history is not None
    return [history.encoder.decode(point) for point in leading_points(history, size, rounds)]


def test_the_first_is_the_best_on_average_and_the_second_covers_the_rest() -> None:
    configurations = [("a", 1e-4), ("b", 1e-2), ("a", 1.0)]
    tables = [[0, 1, 2], [0, 1, 2], [0, 1, 2], [2, 1, 0]]
    studies = [study_of(dict(zip(configurations, map(float, table), strict=True))) for table in tables]
    chosen = select_portfolio(studies, 3)
    assert chosen[0] == {"kind": "a", "rate": pytest.approx(1e-4)}
    assert chosen[1] == {"kind": "a", "rate": pytest.approx(1.0)}
    flipped = [
        study_of(dict(zip(configurations, [-float(v) for v in table], strict=True)), "maximize")
        for table in tables
    ]
    assert select_portfolio(flipped, 3) == chosen


def test_nothing_is_predicted_to_be_better_than_the_best_known() -> None:
    studies = []
    for seed in range(12):
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
        study.optimize(lambda t: (t.suggest_float("x", 0, 1) - 0.3) ** 2, n_trials=100)
        studies.append(study)
    history = read_history(studies)
    assert history is not None
    predicted = _study_losses(history, np.arange(12))(np.linspace(0, 1, 301)[:, None])
    assert predicted.min() == 0.0
    assert predicted.max() > 0.5


def test_only_complete_trials_with_values_count() -> None:
    study = optuna.create_study()
    study.enqueue_trial({"x": 1.0})
    study.optimize(lambda t: t.suggest_float("x", 0, 1) * float("nan"), n_trials=2)
    study.optimize(lambda t: float(len(t.params)), n_trials=1)  # no parameters
    assert read_history([study]) is None
    assert read_history({}) is None


def test_many_long_studies_are_cut_down() -> None:
    studies = []
    for seed in range(70):
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
        study.optimize(lambda t: abs(t.suggest_float("x", 0, 1) - 0.3), n_trials=10)
        studies.append(study)
    chosen = select_portfolio(studies, 4)
    assert len(chosen) == 4
    assert abs(chosen[0]["x"] - 0.3) < 0.1


def study_of_six(seed: int) -> optuna.Study:
    """Return random trials of six numbers whose best is all of them large."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    study.optimize(lambda t: -sum(t.suggest_float(f"x{i}", 0, 1) for i in range(6)), n_trials=60)
    return study


def test_the_portfolio_goes_beyond_what_was_run() -> None:
    studies = [study_of_six(seed) for seed in range(12)]
    assert select_portfolio(studies, 3)[0] in [t.params for study in studies for t in study.trials]
    first = select_portfolio(studies, 3, rounds=10)[0]
    assert -sum(first.values()) < min(study.best_value for study in studies)


def test_studies_are_read_when_the_sampler_is_made_and_learned_from_once_for_the_same_content(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    storage = optuna.storages.RDBStorage(f"sqlite:///{tmp_path / 'past.db'}")
    names = ["one", "other"]
    for name in names:
        study = optuna.create_study(storage=storage, study_name=name)
        study.optimize(lambda t: t.suggest_float("x", 0, 1) ** 2, n_trials=12)
    loaded = [optuna.load_study(study_name=name, storage=storage) for name in names]
    samplers = [MetaSampler(past_studies=loaded, seed=0) for _ in range(2)]
    read = optuna.Study.get_trials

    def get_trials(study: optuna.Study, **options: Any) -> Any:
        assert study not in loaded, "was read again"
        return read(study, **options)

    monkeypatch.setattr(optuna.Study, "get_trials", get_trials)
    learned = (fit_prior.cache_info().misses, learn_portfolio.cache_info().misses)
    for sampler in samplers:
        ours = optuna.create_study(sampler=sampler)
        for _ in range(15):
            trial = ours.ask()
            ours.tell(trial, trial.suggest_float("x", 0, 1))
    assert fit_prior.cache_info().misses == learned[0] + 1
    assert learn_portfolio.cache_info().misses == learned[1] + 1


def test_runs_on_known_tasks_are_kept_best_first_where_there_are_enough() -> None:
    distributions = {"x": FloatDistribution(0.0, 10.0)}
    long = [{"x": float(x)} for x in range(MIN_RUNS)]
    runs = [(long, np.arange(MIN_RUNS, dtype="float64")), (long[1:], np.arange(MIN_RUNS - 1.0))]
    history = history_of_runs(runs, distributions)
    ((points,), (losses,)) = history.points, history.losses
    np.testing.assert_allclose(points[:, 0], np.arange(MIN_RUNS)[::-1] / 10)
    assert losses[0] == 0.0
    assert (np.diff(losses) > 0).all()
    assert history_of_runs(runs[1:], distributions) is None
    assert history_of_runs([], distributions) is None


finite = st.floats(-1e3, 1e3, width=32)


@given(
    losses=arrays(float, (5, 4), elements=st.floats(0, 2)),
    results=arrays(float, 4, elements=finite),
    scale=st.sampled_from([1e-6, 1.0, 1e300]),
)
def test_studies_share_one_belief_whatever_the_unit(losses: Any, results: Any, scale: float) -> None:
    found = shares(losses, scale * results)
    assert found.sum() == pytest.approx(1.0)
    assert (found > 0).all()
    np.testing.assert_allclose(found, shares(losses, scale * results + scale), atol=1e-3)
    np.testing.assert_allclose(shares(losses[:, :1], results[:1]), 0.2)


@given(losses=arrays(float, (5, 6), elements=st.floats(0, 1), unique=True), which=st.integers(0, 4))
def test_the_study_that_the_results_are_taken_from_counts_most(losses: Any, which: int) -> None:
    assert shares(losses, 7.0 * losses[which] - 2.0).argmax() == which


def test_results_decide_what_comes_next() -> None:
    """Half of the studies have their best at one end, half at the other: two results tell which."""
    studies = []
    for seed, end in enumerate([0.1, 0.9] * 4):
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
        study.optimize(lambda t, end=end: abs(t.suggest_float("x", 0, 1) - end), n_trials=40)
        studies.append(study)
    history = read_history(studies)
    assert history is not None
    portfolio = learn_portfolio(history)

    def search(end: float) -> list[float]:
        tried: list[int] = []
        for _ in range(4):
            tried.append(portfolio.choose(tried, np.abs(portfolio.points[tried, 0] - end)))
        assert len(set(tried)) == 4
        return [float(portfolio.points[row, 0]) for row in tried]

    low, high = search(0.1), search(0.9)
    assert low[0] == high[0]
    assert max(low[2:]) < 0.5 < min(high[2:])
