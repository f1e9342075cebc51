"""What finished studies of other tasks say about where to start: a greedy portfolio over their best configurations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState
from scipy.stats import rankdata

from autometa.errors import UsageError
from autometa.metamodel.portfolio import greedy_portfolio
from autometa.tuning._encoding import Encoder
from autometa.tuning._prior import History, normalised

MAX_TRIALS: Final = 200
MAX_CANDIDATES: Final = 200
BEST_OF_EACH: Final = 3
_POWER: Final = 6
_SAME: Final = 1e-3

Array = NDArray[np.float64]


def select_portfolio(
    past_studies: Mapping[Any, optuna.Study] | Sequence[optuna.Study], size: int = 10
) -> tuple[dict[str, Any], ...]:
    """Choose configurations that together come near the best of every past study.

    The values of each study are replaced by their ranks, 0 (best) to 1, so that scales and directions do not matter.
    The rank of a configuration in a study that did not run it is interpolated from that study's trials, by the sixth
    power of the inverse distance [1]_. Configurations are then added one by one, each the one that most lowers
    the mean over studies of the best rank so far [2]_.

    Parameters
    ----------
    past_studies : mapping or sequence of optuna.Study
        Finished, single-objective, on any search space. Failed, pruned and unfinished trials are ignored.
    size : int, default=10

    Returns
    -------
    tuple of dict
        Parameters under the names of the studies, best first; empty without a complete trial.

    Raises
    ------
    UsageError
        AM521 when something is not a study or has several objectives.

    References
    ----------
    .. [1] Shepard, A two-dimensional interpolation function for irregularly-spaced data, ACM 1968.
    .. [2] Feurer et al., Auto-Sklearn 2.0, JMLR 2022, section 3.1.
    """
    pasts = _read_all(past_studies)
    if not pasts:
        return ()
    candidates = _candidates(pasts)
    encoder = Encoder.of([past.distributions for past in pasts])
    points = encoder.encode([trial.params for trial in candidates])
    losses = np.array(
        [
            _expected_ranks(
                _distances(points, encoder.encode([t.params for t in p.trials]), encoder.is_choice), p.ranks
            )
            for p in pasts
        ]
    )
    return tuple(dict(candidates[i].params) for i in greedy_portfolio(losses, size))


def read_history(past_studies: Mapping[Any, optuna.Study] | Sequence[optuna.Study]) -> History | None:
    """Keep of every study what a prior is learned from; None where there is no complete trial.

    Parameters
    ----------
    past_studies : mapping or sequence of optuna.Study
        See :func:`select_portfolio`. Of a long one the best trial and others evenly over the ranks are kept.

    Raises
    ------
    UsageError
        AM521 when something is not a study or has several objectives.
    """
    pasts = _read_all(past_studies)
    if not pasts:
        return None
    encoder = Encoder.of([past.distributions for past in pasts])
    return History(
        encoder,
        tuple(encoder.encode([trial.params for trial in past.trials]) for past in pasts),
        tuple(normalised(past.losses) for past in pasts),
    )


@dataclass(frozen=True)
class _Past:
    """Complete trials of one study, best first, with losses and ranks."""

    trials: list[FrozenTrial]
    losses: Array
    ranks: Array

    @property
    def distributions(self) -> dict[str, BaseDistribution]:
        """The distributions of the study."""
        return {name: d for trial in self.trials for name, d in trial.distributions.items()}


def _read_all(past_studies: Mapping[Any, optuna.Study] | Sequence[optuna.Study]) -> list[_Past]:
    studies = list(past_studies.values()) if isinstance(past_studies, Mapping) else list(past_studies)
    return [past for past in map(_read, studies) if past is not None]


def _read(study: Any) -> _Past | None:
    if not isinstance(study, optuna.Study) or len(study.directions) != 1:
        what = (
            "a study with several objectives"
            if isinstance(study, optuna.Study)
            else f"a {type(study).__name__}"
        )
        raise UsageError(
            "AM521", f"past_studies holds {what}.", "Pass finished single-objective optuna studies."
        )
    trials = [
        trial
        for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if trial.params and np.isfinite(trial.values[0])
    ]
    if not trials:
        return None
    sign = -1.0 if study.direction == optuna.study.StudyDirection.MAXIMIZE else 1.0
    losses = np.array([sign * trial.values[0] for trial in trials])
    ranks = (rankdata(losses) - 0.5) / len(trials)
    order = np.argsort(ranks, kind="stable")
    kept = order[np.unique(np.linspace(0, len(order) - 1, min(len(order), MAX_TRIALS)).astype(int))]
    return _Past([trials[i] for i in kept], losses[kept], ranks[kept])


def _candidates(pasts: Sequence[_Past]) -> list[FrozenTrial]:
    """The best trials of every study, first the best of each, then the second best, up to the limit."""
    found: list[FrozenTrial] = []
    for place in range(BEST_OF_EACH):
        for past in pasts:
            if place < len(past.trials) and all(past.trials[place].params != other.params for other in found):
                found.append(past.trials[place])
    return found[:MAX_CANDIDATES]


def _distances(a: Array, b: Array, is_choice: NDArray[np.bool_]) -> Array:
    """Mean distance over parameters, of shape (len(a), len(b)); lacking what the other has counts 1."""
    total = np.zeros((len(a), len(b)))
    counted = np.zeros((len(a), len(b)))
    for i, is_code in enumerate(is_choice):
        left, right = a[:, i, None], b[None, :, i]
        gap = (left != right).astype("float64") if is_code else np.abs(left - right)
        has_left, has_right = ~np.isnan(left), ~np.isnan(right)
        total += np.where(has_left & has_right, gap, (has_left ^ has_right).astype("float64"))
        counted += has_left | has_right
    return total / np.maximum(counted, 1.0)


def _expected_ranks(distances: Array, ranks: Array) -> Array:
    """Interpolate ranks by inverse distance: exact where the configuration was run, near the nearest one elsewhere."""
    nearest = distances.min(axis=1, keepdims=True)
    weights = ((distances + _SAME) / (nearest + _SAME)) ** -_POWER
    return np.asarray((weights @ ranks) / weights.sum(axis=1))
