"""What a search chooses among: a portfolio for the task, and something for when the task is not what it seems."""

from __future__ import annotations

import numpy as np
import pytest

from autometa.metamodel import Prediction

N_CONFIGURATIONS = 30


@pytest.fixture
def prediction() -> Prediction:
    """A task that seems like ten known ones, each with a best configuration of its own.

    On another known task, unlike it, configuration 21 is the best, and 25 on one that has to be left out.
    """
    scenarios = np.ones((12, N_CONFIGURATIONS))
    scenarios[:10, :10] = 0.5 - 0.5 * np.eye(10)
    scenarios[10, 21] = scenarios[11, 25] = 0.0
    weights = np.r_[np.full(10, 0.1), 1e-9, 0.0]
    regret = weights @ scenarios
    return Prediction(
        configuration_ids=[str(i) for i in range(N_CONFIGURATIONS)],
        regret=regret,
        regret_spread=np.zeros(N_CONFIGURATIONS),
        level=1.0 - regret,
        lower=1.0 - regret,
        upper=1.0 - regret,
        seconds=np.ones(N_CONFIGURATIONS),
        memory=np.ones(N_CONFIGURATIONS),
        scenarios=scenarios,
        weights=weights,
        defaults=[0],
        novelty=0.0,
    )


def test_a_quarter_of_the_candidates_is_for_a_task_that_is_not_what_it_seems(prediction) -> None:
    assert 21 not in prediction.portfolio(6)
    chosen = prediction.candidates(8)
    assert chosen[:6] == prediction.portfolio(6)
    assert 21 in chosen[6:]
    assert len(set(chosen)) == len(chosen) <= 8


def test_a_task_that_is_left_out_has_no_say_in_the_candidates(prediction) -> None:
    assert 25 not in prediction.candidates(8)


def test_candidates_are_among_what_is_allowed(prediction) -> None:
    allowed = np.arange(N_CONFIGURATIONS) % 2 == 1
    assert set(prediction.candidates(8, allowed)) <= set(np.flatnonzero(allowed))
    assert sorted(prediction.candidates(40, allowed)) == np.flatnonzero(allowed).tolist()


def test_where_time_is_limited_the_candidates_are_the_portfolio(prediction) -> None:
    assert prediction.candidates(8, time_budget=10.0) == prediction.portfolio(8, time_budget=10.0)
    assert prediction.candidates(3) == prediction.portfolio(3)
