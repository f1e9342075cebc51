"""An Optuna sampler that starts where other searches ended."""

from __future__ import annotations

import logging
import secrets
import warnings
from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState
from threadpoolctl import threadpool_limits

from autometa.axis import Axis
from autometa.errors import AutometaError, UsageError
from autometa.metamodel import MetaModel
from autometa.recommendation import Recommendations, recommend_for_task
from autometa.space import Configuration, SearchSpace, registered_algorithms, target_of
from autometa.task import Task
from autometa.tuning._past import history_of_runs, read_history
from autometa.tuning._prior import History, fit_prior, leading_points, moderate
from autometa.tuning._suggestions import N_CANDIDATES, Params, Suggestions, is_enqueued
from autometa.tuning._transfer import Proposer
from autometa.tuning._warm_start import RANK_ATTRIBUTE

_JOINT: Final = "*"
_logger: Final = logging.getLogger(__name__)
_MAX_AHEAD: Final = 8
_MAX_TRIED: Final = 300


class MetaSampler(BaseSampler):
    """Recommendations first, or what past studies propose trial after trial; else a sampler that knows all trials.

    With a table, the first trial runs the first recommended configuration, and the next nine each the one that the
    results so far make the most promising (:meth:`Recommendations.order_after`). A trial that runs a recommendation
    carries its rank as user attribute ``autometa:rank``. For the later trials, what was run on the most similar known
    tasks takes the place of past studies.

    With past studies, the first trials run ten configurations that together cover these studies best; the fourth is a
    control, what the past calls worst, and ends these where it does better.

    Every later trial is proposed by expected improvement under what the past and the finished trials say together. It
    is left to the wrapped sampler with the probability that the past tells nothing about this study, which the trials
    decide, and more often the longer nothing better was found. Running trials are taken into account.

    Values outside a range are moved to its nearest end; what a configuration lacks is sampled by the wrapped sampler.
    Failed and pruned trials count like the worst complete one, enqueued trials use no recommendation up, and workers
    on one storage share the list. No score of another task enters the study.

    With several objectives, with a wrapped sampler that has constraints, and on spaces that neither source of
    experience knows, all trials are the wrapped sampler's.

    Parameters
    ----------
    X : DataFrame or array-like of shape (n_rows, n_columns), optional
        The table that the study is about. Recommendations for it are used where the study's space is autometa's
        (``algorithm``, ``<algorithm>__<parameter>``), or a part of one algorithm's under its library's own names.
    y : array-like of shape (n_rows,) or str, optional
        The target, or the name of its column in `X`.
    past_studies : mapping or sequence of optuna.Study, default=()
        Finished studies of other tasks, on any search space that shares parameter names with the coming one.
        Read when the sampler is made; what is learned from them is kept for as long as their content is the same.
    metamodel : MetaModel or path, optional
        The bundled one by default, with what this machine has learned; ``"bundled"`` for the first alone.
    seed : int, optional
        Of the default wrapped sampler and of the recommendations.
    kind : str, default="auto"
        See :func:`autometa.recommend`.
    metric : str or callable, optional
        What the study optimises, see :func:`autometa.recommend`.
    column_types : mapping of str to str, optional
        See :func:`autometa.recommend`.
    algorithms : str or sequence of str, optional
        Recommend among these algorithms only. A single one is also what a study tunes whose parameters are not
        autometa's alone.
    sampler : optuna sampler, optional
        What takes over; by default a multivariate TPE on groups of parameters that occur together, which looks at
        running trials too.

    Examples
    --------
    >>> import optuna
    >>> from sklearn.datasets import load_iris
    >>> from autometa import MetaSampler
    >>> study = optuna.create_study(sampler=MetaSampler(*load_iris(return_X_y=True), seed=0))
    """

    def __init__(
        self,
        X: Any = None,
        y: Any = None,
        *,
        past_studies: Mapping[Any, optuna.Study] | Sequence[optuna.Study] = (),
        metamodel: MetaModel | str | Path | None = None,
        seed: int | None = None,
        kind: str = "auto",
        metric: Any = None,
        column_types: Mapping[str, str] | None = None,
        algorithms: str | Sequence[str] | None = None,
        sampler: BaseSampler | None = None,
    ) -> None:
        if (X is None) != (y is None):
            raise UsageError("AM523", "X and y are needed together.", "Pass both, or past_studies alone.")
        self._task = (
            None if X is None else Task.from_frame(X, y, kind=kind, metric=metric, column_types=column_types)
        )
        self._spaces: dict[str, Mapping[str, BaseDistribution]] = {}
        self._algorithms: tuple[str, ...] | None = None
        if self._task is not None:
            self._spaces = _spaces(SearchSpace.for_kind(self._task.kind))
            if algorithms is not None:
                self._algorithms = tuple(SearchSpace.for_kind(self._task.kind, algorithms).algorithms)
        self._metamodel = metamodel
        self._seed = seed
        self._sampler = _default_sampler(seed) if sampler is None else sampler
        self._history = read_history(past_studies)
        self._entropy = secrets.randbits(64) if seed is None else seed
        self._proposers: dict[str, Proposer] = {}
        self._suggestions: dict[str, Suggestions] = {}
        self._pasts: dict[str, History | None] = {}
        # What the unfinished trials of this process were given, and whose storage says so: nothing but a cache.
        self._given: dict[int, int | None] = {}
        self._proposed: dict[int, Params | None] = {}
        self._marked: set[int] = set()
        self._given_up: set[int] = set()

    @classmethod
    def from_configurations(
        cls,
        configurations: Sequence[Configuration],
        space: SearchSpace,
        *,
        recommendations: Recommendations | None = None,
        seed: int | None = None,
    ) -> Self:
        """Make a sampler of ranked configurations that are at hand, for the joint space.

        Parameters
        ----------
        configurations : sequence of Configuration
            The best first; each is one trial.
        space : SearchSpace
            What they are configurations of.
        recommendations : Recommendations, optional
            What results reorder the configurations by, as far as they are recommendations.
        seed : int, optional
            Of what is drawn once the configurations are used up.
        """
        made = cls(seed=seed)
        made._spaces = _spaces(space)
        made._suggestions[_JOINT] = Suggestions.of(
            configurations, Configuration.joint_params, recommendations
        )
        return made

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return nothing for a trial that runs a configuration, else what the wrapped sampler wants."""
        if self._values_of(study, trial, None):
            return {}
        return self._sampler.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Leave it to the wrapped sampler, which was not asked for a space where there is none."""
        return self._sampler.sample_relative(study, trial, search_space) if search_space else {}

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return the configuration's value where it has one that fits, else the wrapped sampler's."""
        values = self._values_of(study, trial, param_name)
        if param_name in values:
            with suppress(ValueError):  # the space has no value near the configuration's
                value = Axis.of(param_distribution).nearest(values[param_name])
                position = self._given.get(trial._trial_id)
                if position is not None:
                    self._mark(study, trial, position + 1)
                return value
        return self._sampler.sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Pass on to the wrapped sampler."""
        self._sampler.before_trial(study, trial)

    def after_trial(
        self, study: optuna.Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        """Pass on to the wrapped sampler, and forget what the trial was given."""
        self._given.pop(trial._trial_id, None)
        self._proposed.pop(trial._trial_id, None)
        self._marked.discard(trial._trial_id)
        self._given_up.discard(trial._trial_id)
        self._sampler.after_trial(study, trial, state, values)

    def reseed_rng(self) -> None:
        """Pass on to the wrapped sampler; the order of configurations does not depend on chance."""
        self._sampler.reseed_rng()

    def _values_of(self, study: optuna.Study, trial: FrozenTrial, name: str | None) -> Params:
        """Return what a trial runs: the recommendation that is its own, else what past studies propose, if anything."""
        if len(study.directions) > 1 or is_enqueued(trial):
            return {}
        if trial._trial_id in self._given_up:
            return {}
        try:
            found = self._configuration_of(study, trial, name)
            if found is not None:
                return found[1]
            return self._proposal_of(study, trial, name) or {}
        except AutometaError:
            raise
        except (ArithmeticError, LookupError, TypeError, ValueError, np.linalg.LinAlgError) as error:
            # What experience is there for should never end a study: the wrapped sampler can always go on.
            self._given_up.add(trial._trial_id)
            reason = " ".join(str(error).split())[:200]
            _logger.warning("trial %d is left to the wrapped sampler: %s", trial.number, reason)
            return {}

    def _proposal_of(self, study: optuna.Study, trial: FrozenTrial, name: str | None) -> Params | None:
        """Return the configuration that the past studies and the trials so far propose; made once for a trial."""
        if _has_constraints(self._sampler):
            return None
        if trial._trial_id not in self._proposed:
            trials = study._storage.get_all_trials(study._study_id, deepcopy=False)
            distributions = {n: d for t in trials for n, d in t.distributions.items()}
            history = self._past_of(distributions.keys() | ({name} if name else set()))
            if history is None:
                return None
            key = repr(sorted(distributions.items()))
            # More threads than free cores make these small matrices many times slower.
            with threadpool_limits(1, "blas"):
                if key not in self._proposers:
                    leading = leading_points(history) if history is self._history else None
                    self._proposers = {key: Proposer(fit_prior(history), distributions, leading)}
                self._proposed[trial._trial_id] = self._propose(study, trial, trials, self._proposers[key])
        return self._proposed[trial._trial_id]

    def _past_of(self, names: Set[str]) -> History | None:
        """Return the past studies, or the runs behind the recommendations, if they are about a space of such names."""
        if self._history is not None:
            return self._history if names & self._history.encoder.axes.keys() else None
        key = self._key_of(names) if names else None
        if key is None or key not in self._suggestions:
            return None
        if key not in self._pasts:
            self._pasts[key] = self._read_runs(key)
        return self._pasts[key]

    def _read_runs(self, key: str) -> History | None:
        """Return what was run on the known tasks that are most alike, under the names of the space."""
        found = self._suggestions[key].recommendations
        if found is None:
            return None
        own = registered_algorithms()[target_of(found.kind)]
        if own.keys() & self._spaces.keys() and key == _JOINT:
            return None  # what nobody has run would never be proposed
        name = _naming(key)
        runs = [([name(c) for c in known], levels) for known, levels in found.past_runs]
        return history_of_runs(runs, self._spaces[key])

    def _propose(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        trials: Sequence[FrozenTrial],
        proposer: Proposer,
    ) -> Params | None:
        """Let the posterior choose, or leave it to the wrapped sampler where the past does not help."""
        earlier = [t for t in trials if t.number < trial.number and t.state != TrialState.WAITING]
        finished, losses = _losses(earlier, study.direction)
        running = [
            self._proposed.get(t._trial_id) or t.params for t in earlier if t.state == TrialState.RUNNING
        ]
        tried = [*(t.params for t in finished), *(params for params in running if params)]
        rng = np.random.default_rng([self._entropy, trial.number])
        n_ahead = sum(not params for params in running)
        n_given = sum(RANK_ATTRIBUTE in t.user_attrs for t in finished)
        params, share_of_other = proposer.propose(
            proposer.encoder.encode(tried), losses, rng, min(n_ahead, _MAX_AHEAD), n_given
        )
        return None if rng.random() < share_of_other else params

    def _mark(self, study: optuna.Study, trial: FrozenTrial, rank: int) -> None:
        if trial._trial_id not in self._marked:
            study._storage.set_trial_user_attr(trial._trial_id, RANK_ATTRIBUTE, rank)
            self._marked.add(trial._trial_id)

    def _configuration_of(
        self, study: optuna.Study, trial: FrozenTrial, name: str | None
    ) -> tuple[int, Params] | None:
        """Return the position and the values of the configuration that a trial runs, if it runs one.

        Before the first parameter of a study is named, nothing can be said; then the answer is made once.
        """
        if trial._trial_id in self._given:
            position = self._given[trial._trial_id]
            if position is None:
                return None
        trials = study._storage.get_all_trials(study._study_id, deepcopy=False)
        names = {n for t in trials for n in t.distributions} | ({name} if name else set())
        suggestions = self._fitting(names)
        if trial._trial_id not in self._given:
            position = suggestions.choose(trial, trials, study.direction)
            if position is not None or (names and name is None):
                self._given[trial._trial_id] = position
        if position is None or position >= len(suggestions.params):
            return None
        return position, suggestions.params[position]

    def _fitting(self, names: set[str]) -> Suggestions:
        """Return the configurations for a space that has shown these names."""
        key = self._key_of(names) if names else None
        if key is None:
            return Suggestions()
        if key not in self._suggestions:
            self._suggestions[key] = self._recommend(key)
        return self._suggestions[key]

    def _key_of(self, names: Set[str]) -> str | None:
        """Tell the joint space and the space of one algorithm by the names seen so far."""
        allowed = self._spaces.keys() if self._algorithms is None else {_JOINT, *self._algorithms}
        found = next((k for k, known in self._spaces.items() if k in allowed and names <= known.keys()), None)
        if found is None and self._algorithms is not None and len(self._algorithms) == 1:
            return self._algorithms[0]
        return found

    def _recommend(self, key: str) -> Suggestions:
        if self._task is None:
            return Suggestions()
        algorithms = self._algorithms if key == _JOINT else [key]
        found = recommend_for_task(
            self._task,
            k=N_CANDIDATES,
            algorithms=algorithms,
            metamodel=self._metamodel,
            random_state=self._seed,
        )
        return Suggestions.of([r.configuration for r in found], _naming(key), found)


def _spaces(space: SearchSpace) -> dict[str, Mapping[str, BaseDistribution]]:
    """Return the joint space and that of each algorithm; the names of the parameters tell them apart."""
    return {_JOINT: space.distributions(), **{a.name: a.distributions for a in space}}


def _naming(key: str) -> Callable[[Configuration], Params]:
    """Return what gives the parameters of a configuration the names that they have in a study."""
    return Configuration.joint_params if key == _JOINT else _own_params


def _own_params(configuration: Configuration) -> Params:
    return dict(configuration.params)


def _default_sampler(seed: int | None) -> TPESampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)


def _losses(
    trials: Sequence[FrozenTrial], direction: optuna.study.StudyDirection
) -> tuple[list[FrozenTrial], NDArray[np.float64]]:
    """Return the finished trials with their losses: the best and the latest of many.

    What failed, was pruned or is not finite counts like the worst that is complete, and nothing without any.
    """
    sign = -1.0 if direction == optuna.study.StudyDirection.MAXIMIZE else 1.0
    finished = [t for t in trials if t.state.is_finished() and t.params]
    losses = np.array(
        [sign * t.values[0] if t.state == TrialState.COMPLETE and t.values else np.inf for t in finished]
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


def _has_constraints(sampler: BaseSampler) -> bool:
    return getattr(sampler, "_constraints_func", None) is not None
