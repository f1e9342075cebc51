"""The configurations that a study's first trials run, and in which order, given what the trials before have shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from autometa.recommendation import Recommendations
from autometa.space import Configuration, Value
from autometa.tuning._warm_start import RANK_ATTRIBUTE

N_SUGGESTIONS: Final = 10
N_CANDIDATES: Final = 40

Params = Mapping[str, Value]


@dataclass(frozen=True, eq=False)
class Suggestions:
    """Configurations in the order of the recommendation, and what reorders them.

    Attributes
    ----------
    params : tuple of mapping
        Under the names of the study.
    limit : int
        How many trials run one of them.
    recommendations : Recommendations, optional
        What reorders those that are left after each result; without, they keep their order.
    ranks : tuple of int or None, one for each of `params`
        In the recommendations; None for what is not one of them.
    """

    params: tuple[Params, ...] = ()
    limit: int = N_SUGGESTIONS
    recommendations: Recommendations | None = None
    ranks: tuple[int | None, ...] = field(default=(), repr=False)

    @classmethod
    def of(
        cls,
        configurations: Sequence[Configuration],
        name: Callable[[Configuration], Params],
        recommendations: Recommendations | None = None,
    ) -> Suggestions:
        """Make suggestions of configurations, of which some or all are recommendations.

        Parameters
        ----------
        configurations : sequence of Configuration
        name : callable
            Gives the parameters of a configuration the names that they have in the study.
        recommendations : Recommendations, optional
        """
        ranks = {} if recommendations is None else {r.configuration: r.rank for r in recommendations}
        of_each = tuple(ranks.get(configuration) for configuration in configurations)
        n_own = sum(rank is None for rank in of_each) if ranks else 0
        return cls(tuple(map(name, configurations)), N_SUGGESTIONS + n_own, recommendations, of_each)

    def choose(
        self, trial: FrozenTrial, trials: Sequence[FrozenTrial], direction: StudyDirection
    ) -> int | None:
        """Choose the configuration of a trial so that workers who choose at the same moment choose differently.

        Each looks at the trials before its own alone: their configurations are taken, and one more is left to each
        that still runs without having been given one.

        Returns
        -------
        int or None
            Position in `params`.
        """
        earlier = [t for t in trials if t.number < trial.number]
        undecided = [t for t in earlier if _is_undecided(t)]
        # The parameters of an undecided trial may be changing while we look.
        runs = {t.number: self._position_of(t) for t in earlier if not _is_undecided(t)}
        taken = {position for position in runs.values() if position is not None}
        free = [i for i in range(len(self.params)) if i not in taken]
        if len(taken) + len(undecided) >= self.limit or len(undecided) >= len(free):
            return None
        finished = {runs[t.number]: t for t in earlier if t.number in runs and t.state.is_finished()}
        running = [runs[t.number] for t in earlier if t.number in runs and not t.state.is_finished()]
        return self._reorder(free, finished, running, direction)[len(undecided)]

    def _position_of(self, trial: FrozenTrial) -> int | None:
        """Return which of the configurations a trial runs, if one."""
        if RANK_ATTRIBUTE in trial.user_attrs and not is_enqueued(trial):
            return int(trial.user_attrs[RANK_ATTRIBUTE]) - 1
        given = trial.system_attrs.get("fixed_params", trial.params)
        return next((i for i, params in enumerate(self.params) if params.items() <= given.items()), None)

    def _reorder(
        self,
        free: list[int],
        finished: Mapping[int | None, FrozenTrial],
        running: Sequence[int | None],
        direction: StudyDirection,
    ) -> list[int]:
        """Let the results say which recommendation comes next; what is not one keeps its place in the order."""
        if self.recommendations is None:
            return free
        rank_of = dict(enumerate(self.ranks))
        is_natural = (direction == StudyDirection.MAXIMIZE) == self.recommendations.metric.greater_is_better
        observed = {
            rank: (1.0 if is_natural else -1.0) * _value(trial)
            for position, trial in finished.items()
            if position is not None and (rank := rank_of.get(position)) is not None
        }
        awaited = [rank for p in running if p is not None and (rank := rank_of.get(p)) is not None]
        position_of = {rank: i for i, rank in rank_of.items() if rank is not None}
        order = [
            position_of[item.rank]
            for item in self.recommendations.order_after(observed, awaited)
            if item.rank in position_of
        ]
        left = iter([i for i in order if i in set(free)])
        return [i if rank_of.get(i) is None else next(left) for i in free]


def is_enqueued(trial: FrozenTrial) -> bool:
    """Whether the user gave the trial its parameters."""
    return "fixed_params" in trial.system_attrs


def _value(trial: FrozenTrial) -> float:
    return trial.values[0] if trial.state == TrialState.COMPLETE and trial.values else float("nan")


def _is_undecided(trial: FrozenTrial) -> bool:
    """Whether a trial runs that may still be given a configuration."""
    return (
        trial.state == TrialState.RUNNING
        and RANK_ATTRIBUTE not in trial.user_attrs
        and not is_enqueued(trial)
    )
