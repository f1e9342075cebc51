"""What is kept of past studies, and the portfolio of them: exact where configurations were run, and bounded."""

from __future__ import annotations

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from autometa.tuning._past import read_history
from autometa.tuning._prior import leading_points

KINDS = CategoricalDistribution(("a", "b"))
RATE = FloatDistribution(1e-4, 1.0, log=True)


def study_of(values: dict[tuple[str, float], float], direction: str = "minimize") -> optuna.Study:
    study = optuna.create_study(direction=direction)
    for (kind, rate), value in values.items():
        params, distributions = {"kind": kind, "rate": rate}, {"kind": KINDS, "rate": RATE}
        study.add_trial(optuna.trial.create_trial(params=params, distributions=distributions, value=value))
    return study


def select_portfolio(studies: list[optuna.Study], size: int) -> list[dict[str, object]]:
    history = read_history(studies)
    assert history is not None
    return [history.encoder.decode(point) for point in leading_points(history, size)]


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
