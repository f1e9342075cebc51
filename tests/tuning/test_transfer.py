"""A prior learned from past studies finds the optimum at once, and one that is wrong loses its weight."""

from __future__ import annotations

import numpy as np
import pytest
from optuna.distributions import FloatDistribution

from autometa.space.axis import Encoder
from autometa.tuning._past import learn_portfolio
from autometa.tuning._prior import History, Prior, fit_prior, normalised
from autometa.tuning._transfer import (
    CONTROL_PLACE,
    NOTHING,
    TOLD,
    TOLD_ROUGHLY,
    Posterior,
    Proposer,
    stagnation,
)

SPACE = {name: FloatDistribution(0.0, 1.0) for name in ("x", "y")}


def loss(points: np.ndarray, optimum: float) -> np.ndarray:
    return (points[:, 0] - optimum) ** 2 + 0.3 * (points[:, 1] - 0.8) ** 2


def history(sign: float = 1.0, shuffled: bool = False, n_studies: int = 8) -> History:
    """Return studies with optima near (.3, .8), or misleading ones."""
    rng = np.random.default_rng(0)
    points = [rng.random((30, 2)) for _ in range(n_studies)]
    losses = [normalised(sign * loss(p, rng.uniform(0.25, 0.35))) for p in points]
    return History(
        Encoder.of([SPACE]), tuple(points), tuple(rng.permutation(g) if shuffled else g for g in losses)
    )


@pytest.fixture(scope="module")
def prior() -> Prior:
    return fit_prior(history())


def search(prior: Prior, optimum: float, n_trials: int) -> np.ndarray:
    """Return the losses of a search."""
    proposer, rng = Proposer(prior, SPACE), np.random.default_rng(1)
    tried, losses = np.empty((0, 2)), np.empty(0)
    for _ in range(n_trials):
        params, _ = proposer.propose(tried, losses, rng)
        assert params is not None
        point = np.array([[params["x"], params["y"]]])
        tried, losses = np.vstack([tried, point]), np.r_[losses, 1e3 * loss(point, optimum)]
    return losses / 1e3


def test_the_first_trial_is_near_the_optimum_and_the_next_ones_nearer(prior) -> None:
    losses = search(prior, 0.3, 8)
    assert losses[0] < 0.02
    assert losses.min() < 0.002


def test_an_optimum_elsewhere_is_found_too(prior) -> None:
    assert search(prior, 0.9, 15).min() < 0.02


def test_scale_and_offset_of_the_losses_do_not_matter(prior) -> None:
    proposer = Proposer(prior, SPACE)
    tried = np.random.default_rng(2).random((6, 2))
    losses = loss(tried, 0.3)
    one, other = (
        proposer.propose(tried, values, np.random.default_rng(3))[0] for values in (losses, 1e6 * losses - 40)
    )
    assert one is not None
    assert other is not None
    assert one == pytest.approx(other)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_what_the_past_calls_worst_tells_whether_to_follow_it(sign) -> None:
    past = history(sign)
    portfolio = learn_portfolio(past)
    leading = portfolio.points
    proposer, rng = Proposer(fit_prior(past), SPACE, portfolio), np.random.default_rng(0)
    tried, losses = np.empty((0, 2)), np.empty(0)
    for _ in range(len(portfolio.order) + 1):
        params, _ = proposer.propose(tried, losses, rng)
        assert params is not None
        tried = np.vstack([tried, [[params["x"], params["y"]]]])
        losses = loss(tried, 0.3)
    is_led = (np.abs(tried[:, None] - leading).max(axis=2) < 1e-9).any(axis=1)
    assert is_led[:CONTROL_PLACE].all()
    assert not is_led[CONTROL_PLACE]
    if sign > 0:
        assert is_led.sum() == len(portfolio.order)
        assert losses[CONTROL_PLACE] > losses[is_led].max()
    else:
        assert is_led.sum() == CONTROL_PLACE
        assert losses[CONTROL_PLACE:].min() < losses[is_led].min()


def test_what_is_running_is_not_proposed_again(prior) -> None:
    proposer = Proposer(prior, SPACE)
    tried = np.empty((0, 2))
    for _ in range(4):
        params, _ = proposer.propose(tried, np.empty(0), np.random.default_rng(0))
        assert params is not None
        point = np.array([params["x"], params["y"]])
        assert not len(tried) or np.abs(tried - point).max(axis=1).min() > 1e-6
        tried = np.vstack([tried, point])
    ahead, _ = proposer.propose(np.empty((0, 2)), np.empty(0), np.random.default_rng(0), n_ahead=1)
    assert ahead is not None
    assert [ahead["x"], ahead["y"]] != tried[0].tolist()


def test_a_reversed_prior_loses_its_weight(prior) -> None:
    tried = np.random.default_rng(4).random((25, 2))
    losses = loss(tried, 0.3)

    def told(one: Prior) -> float:
        posterior = Posterior(one, Proposer(one, SPACE).candidates(tried), losses)
        assert posterior.weights.sum() == pytest.approx(1.0)
        assert posterior.distrust == pytest.approx(posterior.weights[NOTHING].sum())
        return float(posterior.weights[[TOLD, TOLD_ROUGHLY]].sum())

    assert told(prior) > 0.5
    assert told(fit_prior(history(-1.0))) < 0.2


def test_the_prior_of_the_same_content_is_learned_once(prior) -> None:
    assert fit_prior(history()) is prior
    assert fit_prior(history(n_studies=2)) is not prior


def test_the_longer_there_is_no_progress_the_more_is_left_to_the_other_sampler() -> None:
    falling = np.linspace(1.0, 0.0, 12)
    assert stagnation(np.empty(0)) == stagnation(np.ones(1)) == 0.0
    assert stagnation(falling) < 0.3
    shares = [stagnation(np.r_[falling, np.full(n, falling[-1])]) for n in range(10)]
    assert shares == sorted(shares)
    assert shares[-1] > 0.6
    # Falls that are small beside what is usual are no progress.
    assert stagnation(np.r_[1.0, 0.5, 0.1 - 1e-4 * np.arange(10)]) > 0.6


def test_trials_that_were_given_are_no_lack_of_progress() -> None:
    early = np.r_[0.0, np.linspace(0.5, 1.0, 9)]  # the first was the best
    assert stagnation(early) > 0.6
    assert stagnation(early, n_given=10) == stagnation(early, n_given=12) == 0.0
    later = [stagnation(np.r_[early, np.ones(n)], n_given=10) for n in range(1, 10)]
    assert 0.0 < later[0] < 0.1
    assert later == sorted(later)
    # An improvement counts from where it was.
    assert stagnation(np.r_[early, -1.0], n_given=10) == 0.0
