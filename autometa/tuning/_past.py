"""Finished studies of other tasks, and what is kept of them."""

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

from autometa.axis import ABSENT, Encoder
from autometa.errors import UsageError
from autometa.recommendation import Recommendations
from autometa.space import Algorithm, Configuration, Value
from autometa.tuning._prior import History, leading_points, moderate, normalised

Params = Mapping[str, Any]

MAX_TRIALS: Final = 200
MIN_RUNS: Final = 10
# One configuration alone is no better or worse than any other.
MIN_DIFFERENT: Final = 2

Array = NDArray[np.float64]


def read_history(past_studies: Mapping[Any, optuna.Study] | Sequence[optuna.Study]) -> History | None:
    """Keep of every study what a prior is learned from; None where none has two complete trials that differ.

    Parameters
    ----------
    past_studies : mapping or sequence of optuna.Study
        Finished, single-objective, on any search space. Failed, pruned and unfinished trials are ignored. Of a long
        one the best trial and others evenly over the ranks are kept.

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


def history_of_runs(
    runs: Sequence[tuple[Sequence[Params], Array]], distributions: Mapping[str, BaseDistribution]
) -> History | None:
    """Make a history of what was run on known tasks; None where no task has enough.

    Parameters
    ----------
    runs : sequence of (configurations, scores)
        For each task; the higher the better.
    distributions : mapping of str to optuna distribution
        Of the parameters, under their names in the configurations.
    """
    encoder = Encoder.of([distributions])
    orders = [np.argsort(-scores, kind="stable") for _, scores in runs]
    long = [(*run, order) for run, order in zip(runs, orders, strict=True) if len(order) >= MIN_RUNS]
    if not long:
        return None
    return History(
        encoder,
        tuple(encoder.encode([params[i] for i in order]) for params, _, order in long),
        tuple(normalised(-scores[order]) for _, scores, order in long),
    )


def configurations_beside(
    found: Recommendations, algorithm: Algorithm, outside: Mapping[str, Value], k: int
) -> list[Configuration]:
    """Choose configurations that are good beside given values, from what was run on the most similar known tasks.

    Parameters
    ----------
    found : Recommendations
        Of this algorithm alone.
    algorithm : Algorithm
    outside : mapping of str to value
        Parameters that are not to be chosen; ``ABSENT`` for one that does not count.
    k : int
        How many; the library's defaults first.
    """
    values = {name: value for name, value in outside.items() if value is not ABSENT}
    inside = {name: value for name, value in algorithm.default.items() if name not in outside}
    chosen: list[Mapping[str, Value]] = [inside]
    history = history_of_runs(
        [([c.params for c in known], levels) for known, levels in found.past_runs], algorithm.distributions
    )
    if history is None:
        chosen += [item.configuration.params for item in found]
    else:
        points = leading_points(history, k, pinned=tuple(sorted(outside.items())))
        decoded = map(history.encoder.decode, points)
        chosen += [{n: algorithm.axes[n].nearest(v) for n, v in params.items()} for params in decoded]
    kept = [{n: v for n, v in params.items() if n not in outside} for params in chosen]
    made = [Configuration(algorithm.name, {**params, **values}) for params in kept]
    return list(dict.fromkeys(made))[:k]


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
    if len({repr(sorted(trial.params.items())) for trial in trials}) < MIN_DIFFERENT:
        return None
    sign = -1.0 if study.direction == optuna.study.StudyDirection.MAXIMIZE else 1.0
    losses = np.array([sign * trial.values[0] for trial in trials])
    losses = moderate(losses)
    ranks = (rankdata(losses) - 0.5) / len(trials)
    order = np.argsort(ranks, kind="stable")
    kept = order[np.unique(np.linspace(0, len(order) - 1, min(len(order), MAX_TRIALS)).astype(int))]
    return _Past([trials[i] for i in kept], losses[kept], ranks[kept])
