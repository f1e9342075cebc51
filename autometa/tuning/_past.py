"""What finished studies of other tasks say about where to start: a greedy portfolio over their best configurations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState
from scipy.stats import rankdata

from autometa.errors import UsageError
from autometa.metamodel.portfolio import greedy_portfolio

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
    studies = list(past_studies.values()) if isinstance(past_studies, Mapping) else list(past_studies)
    pasts = [past for past in map(_read, studies) if past is not None]
    if not pasts:
        return ()
    candidates = _candidates(pasts)
    encoder = _Encoder([past.trials for past in pasts])
    points = encoder.encode(candidates)
    losses = np.array(
        [_expected_ranks(encoder.distances(points, encoder.encode(p.trials)), p.ranks) for p in pasts]
    )
    return tuple(dict(candidates[i].params) for i in greedy_portfolio(losses, size))


@dataclass(frozen=True)
class _Past:
    """Complete trials of one study, best first, with their ranks."""

    trials: list[FrozenTrial]
    ranks: Array


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
    return _Past([trials[i] for i in kept], ranks[kept])


def _candidates(pasts: Sequence[_Past]) -> list[FrozenTrial]:
    """The best trials of every study, first the best of each, then the second best, up to the limit."""
    found: list[FrozenTrial] = []
    for place in range(BEST_OF_EACH):
        for past in pasts:
            if place < len(past.trials) and all(past.trials[place].params != other.params for other in found):
                found.append(past.trials[place])
    return found[:MAX_CANDIDATES]


class _Encoder:
    """Places trials on the unit cube of all parameters that any of them has.

    Numbers are scaled by the widest range seen, logarithmic where most studies say so; choices are numbered;
    a parameter that a trial lacks is NaN.
    """

    def __init__(self, groups: Sequence[Sequence[FrozenTrial]]) -> None:
        self._known: dict[str, list[BaseDistribution]] = {}
        for trials in groups:
            seen = {name: distribution for t in trials for name, distribution in t.distributions.items()}
            for name, distribution in seen.items():
                self._known.setdefault(name, []).append(distribution)
        self.names = sorted(self._known)
        self.is_choice = np.array(
            [any(isinstance(d, CategoricalDistribution) for d in self._known[name]) for name in self.names]
        )
        self._codes: dict[str, int] = {}

    def encode(self, trials: Sequence[FrozenTrial]) -> Array:
        """Return points of shape (len(trials), n_parameters)."""
        return np.column_stack([self._column(name, trials) for name in self.names])

    def _column(self, name: str, trials: Sequence[FrozenTrial]) -> Array:
        values = [t.params.get(name, _ABSENT) for t in trials]
        known = self._known[name]
        if any(isinstance(d, CategoricalDistribution) for d in known):
            codes = [
                np.nan if v is _ABSENT else self._codes.setdefault(repr(v), len(self._codes)) for v in values
            ]
            return np.array(codes, dtype="float64")
        numbers = np.array([np.nan if v is _ABSENT else float(v) for v in values])
        low, high = min(d.low for d in known), max(d.high for d in known)  # type: ignore[attr-defined]
        if 2 * sum(d.log for d in known) > len(known) and low > 0:  # type: ignore[attr-defined]
            low, high, numbers = np.log(low), np.log(high), np.log(np.maximum(numbers, low))
        return (numbers - low) / (high - low) if high > low else numbers * 0.0

    def distances(self, a: Array, b: Array) -> Array:
        """Mean distance over parameters, of shape (len(a), len(b)); lacking what the other has counts 1."""
        total = np.zeros((len(a), len(b)))
        counted = np.zeros((len(a), len(b)))
        for i, is_choice in enumerate(self.is_choice):
            left, right = a[:, i, None], b[None, :, i]
            gap = (left != right).astype("float64") if is_choice else np.abs(left - right)
            has_left, has_right = ~np.isnan(left), ~np.isnan(right)
            total += np.where(has_left & has_right, gap, (has_left ^ has_right).astype("float64"))
            counted += has_left | has_right
        return total / np.maximum(counted, 1.0)


_ABSENT: Final = object()


def _expected_ranks(distances: Array, ranks: Array) -> Array:
    """Interpolate ranks by inverse distance: exact where the configuration was run, near the nearest one elsewhere."""
    nearest = distances.min(axis=1, keepdims=True)
    weights = ((distances + _SAME) / (nearest + _SAME)) ** -_POWER
    return np.asarray((weights @ ranks) / weights.sum(axis=1))
