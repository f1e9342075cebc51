"""The exploration policy: it tries nothing twice, expected improvement is one of its kind, and reward shapes it."""

from __future__ import annotations

import numpy as np
import pytest

from autometa.metamodel.policy import (
    EXPECTED_IMPROVEMENT,
    N_PARAMETERS,
    Episode,
    ExplorationPolicy,
    learn_policy,
)
from autometa.metamodel.posterior import TaskMixture, clipped_regrets


@pytest.fixture(scope="module")
def episodes():
    rng = np.random.default_rng(0)
    shapes = rng.normal(size=(3, 8))
    table = np.vstack([shapes[i % 3] + 0.3 * rng.normal(size=8) for i in range(18)])
    regrets = clipped_regrets(table)
    others = [np.arange(18) != i for i in range(18)]
    return [
        Episode(TaskMixture.fit(table[o]), np.full(17, 1 / 17), table[i], regrets[i], 0)
        for i, o in enumerate(others)
    ]


def test_the_default_takes_the_largest_expected_improvement_of_what_is_left(episodes):
    episode = episodes[0]
    belief = episode.mixture.condition(episode.weights, [0], [episode.performance[0]])
    best = float(episode.performance[0])
    gain = belief.expected_improvement(best)
    first = EXPECTED_IMPROVEMENT.choose(belief, best, [0])
    assert gain[first] == pytest.approx(np.delete(gain, 0).max(), rel=1e-4)
    assert EXPECTED_IMPROVEMENT.choose(belief, best, [0, first]) not in (0, first)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_whatever_the_weights_everything_is_tried_once(episodes, seed):
    policy = ExplorationPolicy(tuple(np.random.default_rng(seed).normal(size=N_PARAMETERS)))
    found = episodes[3].play(policy, 8)
    assert (np.diff(found) <= 0).all()
    assert found[-1] == 0.0  # all eight candidates were tried, the best among them


def test_learning_is_reproducible_and_does_not_lose_to_its_opposite(episodes):
    learned = learn_policy(episodes, n_rounds=2, batch=12, n_steps=4)
    assert learned == learn_policy(episodes, n_rounds=2, batch=12, n_steps=4)
    opposite = ExplorationPolicy(tuple(-w for w in learned.weights))
    ours, theirs = (np.mean([e.play(p, 4) for e in episodes]) for p in (learned, opposite))
    assert ours < theirs
