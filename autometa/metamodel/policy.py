"""What to try next: an exploration policy learned from reward, by replaying recorded tasks.

The policy scores every candidate that is left by a weighted sum of a few standardised features of the belief, and
takes the highest. Its weights are found by the cross-entropy method (Rubinstein 1999; for policies, Mannor,
Rubinstein and Gat 2003): episodes are recorded tasks, the reward of one is what its best trial so far reached after
each step. Expected improvement alone is one of the policies, and where the search begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from autometa.metamodel.posterior import Belief, TaskMixture

FloatArray = NDArray[np.float64]

FEATURES: Final = ("log expected improvement", "expected regret", "chance to be the best", "disagreement")
HORIZON: Final = 10
N_PARAMETERS: Final = 2 * len(FEATURES)
_POPULATION: Final = 16
_ELITE: Final = 4


@dataclass(frozen=True)
class ExplorationPolicy:
    """A linear score of candidates.

    Attributes
    ----------
    weights : tuple of float, length 8
        Of each of ``FEATURES`` at the first step, then how much each weight has grown by the tenth.
    """

    weights: tuple[float, ...] = (1.0,) + (0.0,) * (N_PARAMETERS - 1)

    def choose(self, belief: Belief, best: float, tried: Sequence[int]) -> int:
        """Return the candidate to try next.

        Parameters
        ----------
        belief : Belief
            After what was seen.
        best : float
            The best performance seen.
        tried : sequence of int
            Candidates that are not to be tried again.
        """
        left = np.ones(len(belief.spread), dtype=bool)
        left[list(tried)] = False
        if self.weights == EXPECTED_IMPROVEMENT.weights:
            scores = belief.expected_improvement(best) - 1e-6 * belief.regret
        else:
            progress = min(len(tried) / HORIZON, 1.0)
            start, growth = np.split(np.asarray(self.weights), 2)
            scores = features(belief, best, left) @ (start + progress * growth)
        return int(np.argmax(np.where(left, scores, -np.inf)))


EXPECTED_IMPROVEMENT: Final = ExplorationPolicy()


def features(belief: Belief, best: float, left: NDArray[np.bool_]) -> FloatArray:
    """Features of all candidates, standardised over those that are left; shape (n_candidates, 4)."""
    gain = belief.expected_improvement(best)
    regrets = belief.regrets
    leaders = np.argmin(np.where(left, regrets, np.inf), axis=1)
    chance = np.bincount(leaders, weights=belief.weights, minlength=len(left))
    spread = np.sqrt(np.maximum(belief.weights @ regrets**2 - belief.regret**2, 0.0))
    table = np.column_stack([np.log(gain + 1e-9), belief.regret, chance, spread])
    known = table[left]
    return np.asarray((table - known.mean(axis=0)) / np.maximum(known.std(axis=0), 1e-9))


@dataclass(frozen=True, eq=False)
class Episode:
    """A recorded task to be replayed as if it were new.

    Attributes
    ----------
    mixture : TaskMixture
        Of tasks of other families.
    weights : ndarray of shape (n_tasks,)
        What the meta-features say about the known tasks.
    performance, regret : ndarray of shape (n_candidates,)
        What was recorded.
    first : int
        The candidate that is tried first.
    """

    mixture: TaskMixture
    weights: FloatArray
    performance: FloatArray
    regret: FloatArray
    first: int

    def play(self, policy: ExplorationPolicy, n_steps: int = HORIZON) -> FloatArray:
        """Return the regret of the best trial after each step, shape (n_steps,)."""
        tried = [self.first]
        while len(tried) < min(n_steps, len(self.performance)):
            seen = self.performance[tried]
            belief = self.mixture.condition(self.weights, tried, seen.tolist())
            tried.append(policy.choose(belief, float(seen.max()), tried))
        found = np.minimum.accumulate(self.regret[tried])
        return np.asarray(np.pad(found, (0, n_steps - len(found)), mode="edge"))


def learn_policy(
    episodes: Sequence[Episode],
    *,
    n_rounds: int = 6,
    batch: int = 60,
    n_steps: int = HORIZON,
    random_state: int = 0,
) -> ExplorationPolicy:
    """Search for the policy with the lowest mean regret over all steps.

    Parameters
    ----------
    episodes : sequence of Episode
    n_rounds : int, default=6
        Of sixteen policies each, played on the same `batch` of episodes; the best four make the next distribution.
    batch : int, default=60
    n_steps : int, default=10
    random_state : int, default=0
    """
    rng = np.random.default_rng(random_state)
    mean, spread = np.asarray(EXPECTED_IMPROVEMENT.weights), np.full(N_PARAMETERS, 0.5)
    for _ in range(n_rounds):
        chosen = rng.choice(len(episodes), size=min(batch, len(episodes)), replace=False)
        population = mean + spread * rng.normal(size=(_POPULATION, N_PARAMETERS))
        population[0] = mean
        losses = [
            np.mean([episodes[i].play(ExplorationPolicy(tuple(row)), n_steps) for i in chosen])
            for row in population
        ]
        elite = population[np.argsort(losses)[:_ELITE]]
        mean, spread = elite.mean(axis=0), 0.7 * elite.std(axis=0) + 0.3 * spread
    return ExplorationPolicy(tuple(float(value) for value in mean))
