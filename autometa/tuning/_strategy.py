"""Where the next candidate comes from: small strategies, asked one after the other.

Several processes may ask on one study: a configuration belongs to one of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol as Interface

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from autometa.recommendation import Recommendation
from autometa.space import Configuration, SearchSpace
from autometa.tuning._candidate import Candidate
from autometa.tuning._schedule import MANY_CLASSES
from autometa.tuning._warm_start import RANK_ATTRIBUTE

ORIGIN_ATTRIBUTE: Final = "autometa:origin"

# Says by a configuration, the seconds that one fit of it should take and a share whether all its folds are done
# within that share of the time that is left.
Allows = Callable[[Configuration, float, float], bool]

# What would take more than this share of the time that is left waits until all quicker ones were tried. LightGBM's
# defaults and those that grow from them are worth more: on tables of some thousand rows they seldom lose. Of many
# classes they are dear, and not better: with 110 one fit took all of ten seconds, for a log-loss of seven.
QUICK_SHARE: Final = 0.2
DEFAULT_SHARE: Final = 0.5
# A sampler that proposes so many configurations in a row that the study has already has nothing else to give.
MAX_COLLISIONS: Final = 20
# Defaults of algorithms that the user registered come after so many recommendations.
N_BEFORE_OWN: Final = 2
# On a trial that was given up, since another process had its configuration.
_WITHDRAWN: Final = "autometa:withdrawn"
# Where Optuna keeps the parameters of a trial that was put in line, from its first moment on.
_IN_LINE: Final = "fixed_params"


class Strategy(Interface):
    """Something that gives candidates until it has no more."""

    def next(self, allows: Allows) -> Candidate | None:
        """Return the next candidate, with its trial asked for; None when there is no more.

        Parameters
        ----------
        allows : callable
            Says whether there is time for a configuration.
        """


@dataclass(frozen=True)
class Entry:
    """A configuration in line, where it comes from, its rank among the recommendations, and its expected seconds.

    What would take more than its share of the time that is left waits until all others were tried.
    """

    configuration: Configuration
    origin: str
    rank: int | None = None
    seconds: float = math.nan
    share: float = QUICK_SHARE


def share_of(origin: str, n_classes: int, quick: float = QUICK_SHARE) -> float:
    """Return the share of the time left that a configuration of some origin may take before others."""
    return DEFAULT_SHARE if origin == "default" and n_classes <= MANY_CLASSES else quick


def entries_of(
    order: Sequence[tuple[Configuration, str]],
    recommendations: Sequence[Recommendation],
    seconds: Mapping[Configuration, float],
    space: SearchSpace,
    own: Iterable[str],
    n_classes: int = 0,
) -> list[Entry]:
    """Return the candidates of a search in line.

    Parameters
    ----------
    order : sequence of (Configuration, str)
        Configurations and where they come from.
    recommendations : sequence of Recommendation
        What tells ranks and expected seconds.
    seconds : mapping of Configuration to float
        What is expected from fits here.
    space : SearchSpace
    own : iterable of str
        Algorithms that the user registered, whose defaults come after the first two.
    n_classes : int, default=0
        0 for regression.
    """
    ranks = {r.configuration: r.rank for r in recommendations}
    expected = {**{r.configuration: r.expected_seconds for r in recommendations}, **seconds}
    entries = [
        Entry(
            c,
            origin,
            ranks.get(c) if origin == "recommended" else None,
            expected.get(c, math.nan),
            share_of(origin, n_classes),
        )
        for c, origin in order
    ]
    known = {entry.configuration.algorithm for entry in entries}
    added = [
        Entry(space[name].default_configuration(), "default", share=DEFAULT_SHARE)
        for name in own
        if name in space and name not in known
    ]
    return [*entries[:N_BEFORE_OWN], *added, *entries[N_BEFORE_OWN:]]


def finished_trials(study: optuna.Study, sign: int) -> list[FrozenTrial]:
    """Return the complete trials of a study, best first; 1 as sign where greater is better, else -1."""
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return sorted(
        (t for t in trials if "duplicate_of" not in t.user_attrs.get("run", {})),
        key=lambda t: -sign * float(t.value or 0.0),
    )


class Listed:
    """Gives the configurations of a list in their order, slow ones last, but those that the study has already.

    Parameters
    ----------
    study : optuna.Study
    space : SearchSpace
    entries : sequence of Entry
    is_shared : bool, default=True
        Whether other processes may work on the study; their trials are then looked at before each candidate.
    """

    def __init__(
        self, study: optuna.Study, space: SearchSpace, entries: Sequence[Entry], *, is_shared: bool = True
    ) -> None:
        self._study = study
        self._space = space
        self._is_shared = is_shared
        self._entries = list(entries)
        self._slow: list[Entry] = []
        self._by_id = {entry.configuration.id: entry for entry in entries}

    def next(self, allows: Allows) -> Candidate | None:
        """Return the first candidate that nobody tried and that there is time for."""
        # Other processes may work on the study: it is asked each time.
        taken = tried(self._study, self._space)
        while self._entries or self._slow:
            is_last = not self._entries
            entry = (self._slow if is_last else self._entries).pop(0)
            if entry.configuration.id in taken:
                continue
            if not allows(entry.configuration, entry.seconds, 1.0 if is_last else entry.share):
                if not is_last:
                    self._slow.append(entry)
                continue
            attributes: dict[str, object] = {ORIGIN_ATTRIBUTE: entry.origin}
            if entry.rank is not None:
                attributes[RANK_ATTRIBUTE] = entry.rank
            self._study.enqueue_trial(entry.configuration.joint_params(), user_attrs=attributes)
            trial = self._study.ask()
            configuration = self._space.suggest(trial)
            # It may be what another process has put in line, which then does this one's.
            entry = self._by_id.get(configuration.id, Entry(configuration, origin_of(trial)))
            if self._is_shared and not is_mine(self._study, trial, configuration, self._space):
                continue
            return Candidate(
                configuration, entry.origin, trial, trial.number, entry.rank, expected_seconds=entry.seconds
            )
        return None


class Sampled:
    """Gives what the study's sampler proposes.

    Parameters
    ----------
    study : optuna.Study
    space : SearchSpace
    has_time : callable
        Says whether there is time for a proposal: the first one learns from the known tasks, which takes a second
        or two.
    is_shared : bool, default=True
        Whether other processes may work on the study: what one of them has is then proposed anew.
    """

    def __init__(
        self,
        study: optuna.Study,
        space: SearchSpace,
        has_time: Callable[[], bool],
        *,
        is_shared: bool = True,
    ) -> None:
        self._study = study
        self._space = space
        self._has_time = has_time
        self._is_shared = is_shared

    def next(self, allows: Allows) -> Candidate | None:
        """Return a candidate while there is time for one."""
        for _ in range(MAX_COLLISIONS):
            if not self._has_time():
                return None
            trial = self._study.ask()
            configuration = self._space.suggest(trial)
            if not self._is_shared or is_mine(self._study, trial, configuration, self._space):
                return Candidate(configuration, "search", trial, trial.number)
        return None


class Repeated:
    """Gives finished trials of a continued study again: their models are needed, and their scores are there.

    Parameters
    ----------
    trials : sequence of FrozenTrial
        Complete, best first.
    space : SearchSpace
    """

    def __init__(self, trials: Sequence[FrozenTrial], space: SearchSpace) -> None:
        self._trials = list(trials)
        self._space = space

    def next(self, allows: Allows) -> Candidate | None:
        """Return the best one that was not given again."""
        while self._trials:
            trial = self._trials.pop(0)
            configuration = self._space.configuration(trial.params)
            if allows(configuration, math.nan, 1.0):
                rank = trial.user_attrs.get(RANK_ATTRIBUTE)
                return Candidate(configuration, origin_of(trial), None, trial.number, rank)
        return None


class Chain:
    """Asks strategies in their order, each until it has no more."""

    def __init__(self, *strategies: Strategy) -> None:
        self._strategies = list(strategies)

    def next(self, allows: Allows) -> Candidate | None:
        """Return the next candidate of the first strategy that has one."""
        while self._strategies:
            if (candidate := self._strategies[0].next(allows)) is not None:
                return candidate
            self._strategies.pop(0)
        return None


def origin_of(trial: Trial | FrozenTrial) -> str:
    """Return where a trial's configuration came from."""
    attributes: Mapping[str, object] = trial.user_attrs
    return str(attributes.get(ORIGIN_ATTRIBUTE, "recommended" if RANK_ATTRIBUTE in attributes else "search"))


def is_mine(study: optuna.Study, trial: Trial, configuration: Configuration, space: SearchSpace) -> bool:
    """Whether this process is the one to fit a trial's configuration; if not, the trial is given up.

    Parameters
    ----------
    study : optuna.Study
    trial : optuna.Trial
        Asked for, with its parameters suggested.
    configuration : Configuration
        That of the trial.
    space : SearchSpace

    Notes
    -----
    Each process writes its configuration into the storage before it looks for others, so of two the later one sees the
    other. What was put in line had its configuration before it had a number: of two such trials the lower number
    stays. Otherwise whoever sees another gives way. Both may, if they look at the same moment; then the
    configuration is free again, and the sampler may propose it once more.
    """
    trials = study.get_trials(deepcopy=False)
    own = next(t for t in trials if t.number == trial.number)
    for other in trials:
        if other.number == trial.number or _WITHDRAWN in other.user_attrs:
            continue
        if _id(other, space) != configuration.id:
            continue
        both_in_line = _IN_LINE in own.system_attrs and _IN_LINE in other.system_attrs
        if not both_in_line or other.number < trial.number:
            trial.set_user_attr(_WITHDRAWN, True)
            study.tell(trial, state=TrialState.FAIL)
            return False
    return True


def tried(study: optuna.Study, space: SearchSpace) -> set[str]:
    """Return the ids of the configurations that a study has, finished or not, in line or not."""
    trials = study.get_trials(deepcopy=False)
    found = {_id(trial, space) for trial in trials if _WITHDRAWN not in trial.user_attrs}
    return {name for name in found if name is not None}


def _id(trial: FrozenTrial, space: SearchSpace) -> str | None:
    # A trial that is being made has a part of its parameters; what was put in line knows the others.
    params = {**trial.system_attrs.get(_IN_LINE, {}), **trial.params}
    return space.configuration(params).id if params.get("algorithm") in space else None
