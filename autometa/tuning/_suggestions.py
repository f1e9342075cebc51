"""What experience suggests for the trials of a study that somebody else runs: two strategies without any state of it.

Each is asked once for a trial and sees the study as one :class:`Turn`, read once. It returns the parameters that the
trial should run, or None where it has none: then the next strategy is asked, and at last an Optuna sampler.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState
from threadpoolctl import threadpool_limits

from autometa.recommendation import Recommendations
from autometa.space import Configuration, Value, registered_algorithms, target_of
from autometa.space.axis import Axis
from autometa.tuning._past import N_PART, history_of_runs, learn_portfolio
from autometa.tuning._prior import History, fit_prior, moderate
from autometa.tuning._transfer import Proposer
from autometa.tuning._warm_start import RANK_ATTRIBUTE

N_SUGGESTIONS: Final = 10  # in a study, as many as `recommend` gives
N_CANDIDATES: Final = (
    40  # recommendations that are asked for: in a part of the space many of them are the same
)
# So many running trials are guessed before a proposal; each takes as long as one, and the guesses get worse.
_MAX_AHEAD: Final = 8
# The posterior takes the cube of the number of trials: 300 are a tenth of a second.
_MAX_TRIED: Final = 300

Params = Mapping[str, Value]


@dataclass(frozen=True, eq=False)
class Turn:
    """A study as one of its trials sees it.

    Attributes
    ----------
    number : int
        Of the trial.
    earlier : sequence of FrozenTrial
        Those that began before it.
    sign : float
        -1.0 in a study that maximises, else 1.0: ``sign * value`` is a loss.
    distributions : mapping of str to optuna distribution
        Of all parameters that the study has shown so far.
    given : mapping of int to mapping
        What this process gave to trials, by their number.
    """

    number: int
    earlier: Sequence[FrozenTrial]
    sign: float
    distributions: Mapping[str, BaseDistribution]
    given: Mapping[int, Params]


class Source(Protocol):
    """A strategy: it suggests parameters, or has none."""

    def suggest(self, turn: Turn) -> Params | None:
        """Return the parameters for the trial whose turn it is, or None."""


@dataclass(frozen=True, eq=False)
class Recommended:
    """Gives recommendations, each once, in an order that the results so far decide.

    Attributes
    ----------
    params : tuple of mapping
        Under the names of the study, in the order of the recommendation.
    limit : int, default=10
        How many trials run one of them.
    recommendations : Recommendations, optional
        What reorders those that are left after each result; without, they keep their order.
    ranks : tuple of int or None, one for each of `params`
        In the recommendations; None for what is not one of them.
    score : callable, optional
        Turns a value of the study into the metric in natural units; by default the value is that.
    """

    params: tuple[Params, ...] = ()
    limit: int = N_SUGGESTIONS
    recommendations: Recommendations | None = None
    ranks: tuple[int | None, ...] = field(default=(), repr=False)
    score: Callable[[float], float] = field(default=float, repr=False)
    # Finished trials that run none of them: nobody needs to look again.
    _others: set[tuple[int, datetime | None]] = field(default_factory=set, init=False, repr=False)

    @classmethod
    def of(
        cls,
        configurations: Sequence[Configuration],
        name: Callable[[Configuration], Params],
        recommendations: Recommendations | None = None,
        score: Callable[[float], float] = float,
    ) -> Recommended:
        """Make suggestions of configurations, of which some or all are recommendations.

        Parameters
        ----------
        configurations : sequence of Configuration
        name : callable
            Gives the parameters of a configuration the names that they have in the study.
        recommendations : Recommendations, optional
        score : callable, optional
            See the class.
        """
        ranks = {} if recommendations is None else {r.configuration: r.rank for r in recommendations}
        of_each = tuple(ranks.get(configuration) for configuration in configurations)
        n_own = sum(rank is None for rank in of_each) if ranks else 0
        return cls(tuple(map(name, configurations)), N_SUGGESTIONS + n_own, recommendations, of_each, score)

    def suggest(self, turn: Turn) -> Params | None:
        """Choose a configuration so that workers who choose at the same moment choose differently.

        Each looks at the trials before its own alone: their configurations are taken, and one more is left to each
        that still runs and has not shown which one it runs.
        """
        runs = self.places(turn)
        shown = {t.number for t in turn.earlier if t.number in turn.given or t.params or is_enqueued(t)}
        n_hidden = sum(t.state == TrialState.RUNNING and t.number not in shown for t in turn.earlier)
        taken = set(runs.values())
        free = [i for i in range(len(self.params)) if i not in taken]
        if len(taken) + n_hidden >= self.limit or n_hidden >= len(free):
            return None
        return self.params[self._reorder(free, runs, turn)[n_hidden]]

    def places(self, turn: Turn) -> dict[int, int]:
        """Return which configuration each trial runs, by its number, if it runs one.

        This process knows of its own trials; the others show it.
        """
        found: dict[int, int] = {}
        if not self.params:
            return found
        # A trial that a pruner hides is known by what this process gave it.
        for number in turn.given.keys() - {trial.number for trial in turn.earlier}:
            found |= self._place_of(number, turn.given[number])
        for trial in turn.earlier:
            if trial.number in turn.given:
                found |= self._place_of(trial.number, turn.given[trial.number])
                continue
            key = trial.number, trial.datetime_start
            if key in self._others:
                continue
            fitting = [i for i, params in enumerate(self.params) if _runs(trial, params)]
            if not fitting and trial.state.is_finished():
                self._others.add(key)
            if fitting:
                # Where it has asked for a few parameters only, several configurations share them.
                taken = set(found.values())
                found[trial.number] = next((i for i in fitting if i not in taken), fitting[0])
        return found

    def _place_of(self, number: int, given: Params) -> dict[int, int]:
        return next(({number: i} for i, params in enumerate(self.params) if params == given), {})

    def _reorder(self, free: list[int], runs: Mapping[int, int], turn: Turn) -> list[int]:
        """Let the results say which recommendation comes next; what is not one keeps its place in the order."""
        if self.recommendations is None:
            return free
        rank_of = dict(enumerate(self.ranks))
        observed, awaited = {}, []
        for trial in turn.earlier:
            rank = rank_of.get(runs[trial.number]) if trial.number in runs else None
            if rank is None:
                continue
            if trial.state.is_finished():
                is_complete = trial.state == TrialState.COMPLETE and trial.values
                observed[rank] = self.score(trial.values[0]) if is_complete else math.nan
            else:
                awaited.append(rank)
        position_of = {rank: i for i, rank in rank_of.items() if rank is not None}
        order = [
            position_of[item.rank]
            for item in self.recommendations.order_after(observed, awaited)
            if item.rank in position_of
        ]
        left = iter([i for i in order if i in set(free)])
        return [i if rank_of.get(i) is None else next(left) for i in free]


class Proposed:
    """Gives what past studies and the finished trials together propose, from a fixed order of good starts on.

    Parameters
    ----------
    history : History
        Past studies, or runs on known tasks.
    entropy : int
        Of the random numbers; each trial has its own.
    n_leading : int, default=10
        So many of the first trials run configurations that together cover the past best.
    has_control : bool, default=False
        Whether one of the first trials runs what the past calls worst, lest the past say the opposite of the truth.
    pinned : mapping of str to value, optional
        What stands outside of the study's space: parameters of the past that no trial of the study chooses, with
        their values, or ``ABSENT`` where one does not count. Only what is good beside them is proposed.
    """

    def __init__(
        self,
        history: History,
        entropy: int,
        *,
        n_leading: int = N_SUGGESTIONS,
        has_control: bool = False,
        pinned: Params | None = None,
    ) -> None:
        self._history = history
        self._entropy = entropy
        self._n_leading = n_leading
        self._pinned = dict(pinned or {})
        self._has_control = has_control
        self._made: tuple[str, Proposer] | None = None

    def suggest(self, turn: Turn, recommended: Collection[int] = ()) -> Params | None:
        """Return what the posterior chooses, or None where another sampler should go on.

        Parameters
        ----------
        turn : Turn
        recommended : collection of int, optional
            Numbers of the trials that ran a recommendation: that these were good is no lack of progress since.
        """
        # More threads than free cores make these small matrices many times slower.
        with threadpool_limits(1, "blas"):
            return self._choose(self._proposer(turn.distributions), turn, recommended)

    def _proposer(self, distributions: Mapping[str, BaseDistribution]) -> Proposer:
        key = repr(sorted(distributions.items()))
        if self._made is None or self._made[0] != key:
            history = self._history
            portfolio = None
            if self._n_leading:
                pinned = tuple(sorted(self._pinned.items()))
                portfolio = learn_portfolio(history, self._n_leading, pinned=pinned)
            proposer = Proposer(
                fit_prior(history), distributions, portfolio, self._pinned, has_control=self._has_control
            )
            self._made = key, proposer
        return self._made[1]

    def _choose(self, proposer: Proposer, turn: Turn, recommended: Collection[int]) -> Params | None:
        finished, losses = _losses(turn)
        running = [
            turn.given.get(t.number) or t.params for t in turn.earlier if t.state == TrialState.RUNNING
        ]
        tried = [*(t.params for t in finished), *(params for params in running if params)]
        rng = np.random.default_rng([self._entropy, turn.number])
        n_ahead = sum(not params for params in running)
        n_given = sum(t.number in recommended or RANK_ATTRIBUTE in t.user_attrs for t in finished)
        params, share_of_other = proposer.propose(
            proposer.encoder.encode([{**p, **self._pinned} for p in tried]),
            losses,
            rng,
            min(n_ahead, _MAX_AHEAD),
            n_given,
        )
        return None if rng.random() < share_of_other else params


@dataclass(frozen=True, eq=False)
class Experience:
    """What is known of one space: recommendations, then proposals from the runs behind them.

    Attributes
    ----------
    recommended : Recommended
    found : Recommendations, optional
        With the runs on the most similar known tasks.
    distributions : mapping of str to optuna distribution
        Of the parameters of these runs, under their names in the study.
    naming : callable
        Gives the parameters of a configuration these names.
    entropy : int
        See :class:`Proposed`.
    outside : mapping of str to value, optional
        See `pinned` of :class:`Proposed`.
    """

    recommended: Recommended
    found: Recommendations | None = None
    distributions: Mapping[str, BaseDistribution] = field(default_factory=dict)
    naming: Callable[[Configuration], Params] = Configuration.joint_params
    entropy: int = 0
    outside: Params | None = None

    @cached_property
    def proposed(self) -> Proposed | None:
        """The strategy after the recommendations; None where nothing was run in such a space."""
        if self.found is None:
            return None
        own = registered_algorithms()[target_of(self.found.kind)]
        algorithms = self.distributions.get("algorithm")
        if isinstance(algorithms, CategoricalDistribution) and own.keys() & set(algorithms.choices):
            return None  # what nobody has run would never be proposed
        runs = [([self.naming(c) for c in known], levels) for known, levels in self.found.past_runs]
        history = history_of_runs(runs, self.distributions)
        if history is None:
            return None
        n_leading = N_PART if self.outside else 0
        return Proposed(history, self.entropy, n_leading=n_leading, pinned=self.outside)


NOTHING: Final = Experience(Recommended())


def own_params(configuration: Configuration) -> Params:
    """Return the parameters of a configuration under their library's own names."""
    return dict(configuration.params)


def is_enqueued(trial: FrozenTrial) -> bool:
    """Whether the user gave the trial its parameters."""
    return "fixed_params" in trial.system_attrs


def has_constraints(trials: Sequence[FrozenTrial]) -> bool:
    """Whether trials say how far they keep to constraints, which only the wrapped sampler heeds."""
    return any(name.startswith("constraint") for trial in trials for name in trial.system_attrs)


def _runs(trial: FrozenTrial, params: Params) -> bool:
    """Whether a trial's values are those of a configuration, as far as it has asked, moved into the trial's ranges."""
    if is_enqueued(trial):
        return params.items() <= trial.system_attrs["fixed_params"].items()
    shared = params.keys() & trial.params.keys()
    return bool(shared) and all(
        _nearest(trial.distributions[name], params[name]) == trial.params[name] for name in shared
    )


def _nearest(distribution: BaseDistribution, value: Value) -> Value:
    try:
        return Axis.of(distribution).nearest(value)
    except ValueError:  # the space has no value near the configuration's
        return None


def _losses(turn: Turn) -> tuple[list[FrozenTrial], NDArray[np.float64]]:
    """Return the finished trials with their losses: the best and the latest of many.

    What failed, was pruned or is not finite counts like the worst that is complete, and nothing without any.
    """
    finished = [t for t in turn.earlier if t.state.is_finished() and t.params]
    losses = np.array(
        [turn.sign * t.values[0] if t.state == TrialState.COMPLETE and t.values else np.inf for t in finished]
    )
    known = np.isfinite(losses)
    if not known.any():
        return [], np.zeros(0)
    losses = moderate(np.where(known, losses, losses[known].max()))
    if len(finished) > _MAX_TRIED:
        best, latest = np.argsort(losses, kind="stable")[: _MAX_TRIED // 2], np.arange(len(losses))
        kept = np.union1d(best, latest[-_MAX_TRIED // 2 :])
        finished, losses = [finished[i] for i in kept], losses[kept]
    return finished, losses
