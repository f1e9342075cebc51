"""An Optuna sampler that starts where other searches ended."""

from __future__ import annotations

import logging
import secrets
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import suppress
from functools import partial
from typing import Any, Final, Literal, Self

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from autometa.errors import AutometaError, UsageError
from autometa.metrics import Metric, perfect_score
from autometa.recommendation import MetaModelLike, Recommendations, recommend_for_task
from autometa.space import Configuration, SearchSpace
from autometa.space.axis import Axis
from autometa.task import Task
from autometa.tuning._adapt import Part
from autometa.tuning._past import N_PART, configurations_beside, read_history
from autometa.tuning._suggestions import (
    N_CANDIDATES,
    NOTHING,
    Experience,
    Params,
    Proposed,
    Recommended,
    Turn,
    has_constraints,
    is_enqueued,
    own_params,
)

Objective = Literal["metric", "loss", "score"]

_logger: Final = logging.getLogger(__name__)
# The threads of optimize(n_jobs=) learn from the past once, and do not choose the same. Not in a sampler, which is
# pickled.
_lock: Final = threading.RLock()


class MetaSampler(BaseSampler):
    """Recommendations first, or what past studies propose trial after trial; else a sampler that knows all trials.

    With a table, the first trial runs the first recommended configuration, and the next nine each the one that the
    results so far make the most promising (:meth:`Recommendations.order_after`). For the later trials, what was run
    on the most similar known tasks takes the place of past studies.

    With past studies, the first trials run ten configurations that together cover these studies best; the sixth is a
    control, what the past calls worst, and ends these where it does better.

    Every later trial is proposed by expected improvement under what the past and the finished trials say together. It
    is left to the wrapped sampler with the probability that the past tells nothing about this study, which the trials
    decide, and more often the longer nothing better was found. Running trials are taken into account.

    Values outside a range are moved to its nearest end; what a configuration lacks is sampled by the wrapped sampler.
    Failed and pruned trials count like the worst complete one, enqueued trials use no recommendation up, and workers
    on one storage share the list. No score of another task enters the study.

    With several objectives, with constraints, on spaces that neither source of experience knows, and where experience
    fails for whatever reason, the trial is the wrapped sampler's.

    Parameters
    ----------
    X : DataFrame or array-like of shape (n_rows, n_columns), optional
        The table that the study is about. Recommendations for it are used where the study's space is autometa's joint
        one (``algorithm``, ``<algorithm>__<parameter>``), or that of the one algorithm that `algorithms` names, under
        its library's own parameter names.
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
        Recommend among these algorithms only. A single one may also be what the study tunes, under the parameter
        names of its library.
    objective : {"metric", "loss", "score"}, optional
        What the objective returns: the metric in natural units (maximise AUC, minimise log-loss), its loss (minimise
        1 - AUC, minimise log-loss) or scikit-learn's score (maximise AUC, maximise the negative log-loss). By default
        the metric, but the score where `metric` has scikit-learn's sign (``neg_log_loss``). A direction of the study
        that contradicts it is an error.
    space : mapping of str to optuna distribution, optional
        Of a study that tunes one algorithm: its search space. Without it the space is what the trials have shown, and
        the first trial of a study runs the library's defaults.
    fixed : mapping of str to value, optional
        Parameters of the one algorithm that the study does not search, and their values. By default those that it
        does not search have the library's defaults. Suggestions are good beside these.
    sampler : optuna sampler, optional
        What takes over; by default a multivariate TPE on groups of parameters that occur together, which looks at
        running trials too.

    Raises
    ------
    UsageError
        AM521 when something among `past_studies` is not a finished single-objective study; AM523 when one of `X` and
        `y` is missing; AM526 when `objective`, `space` or `fixed` cannot be meant, and in the first trial when the
        study's direction contradicts the metric.

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
        metamodel: MetaModelLike | None = None,
        seed: int | None = None,
        kind: str = "auto",
        metric: Any = None,
        column_types: Mapping[str, str] | None = None,
        algorithms: str | Sequence[str] | None = None,
        objective: Objective | None = None,
        space: Mapping[str, BaseDistribution] | None = None,
        fixed: Mapping[str, Any] | None = None,
        sampler: BaseSampler | None = None,
    ) -> None:
        if (X is None) != (y is None):
            raise UsageError("AM523", "X and y are needed together.", "Pass both, or past_studies alone.")
        self._sampler = _default_sampler(seed) if sampler is None else sampler
        self._seed = seed
        self._entropy = secrets.randbits(64) if seed is None else seed
        self._metamodel = metamodel
        self._task: Task | None = None
        self._space: Mapping[str, BaseDistribution] = {}  # autometa's joint one
        self._algorithms: tuple[str, ...] | None = None
        self._part: Part | None = None
        self._objective = _read_objective(objective, metric)
        if X is not None:
            self._task = Task.from_frame(X, y, kind=kind, metric=metric, column_types=column_types)
            self._space = SearchSpace.for_kind(self._task.kind).distributions()
            if algorithms is not None:
                allowed = SearchSpace.for_kind(self._task.kind, algorithms)
                self._algorithms = tuple(allowed.algorithms)
                if len(allowed) == 1:
                    self._part = Part(next(iter(allowed)), space, fixed)
        if self._part is None and (space is not None or fixed is not None):
            raise UsageError(
                "AM526",
                "space and fixed are about the parameters of one algorithm.",
                "Pass X, y and algorithms='NAME' as well, or leave them out.",
            )
        history = read_history(past_studies)
        self._past = None if history is None else Proposed(history, self._entropy, has_control=True)
        self._past_names: Set[str] = frozenset(() if history is None else history.encoder.axes)
        self._joint: Experience | None = None
        self._own: dict[str, Experience] = {}
        # What this process gave to trials, and how a trial saw its study; by the study's name and the trial's number.
        self._given: dict[tuple[str, int], Params] = {}
        self._turns: dict[tuple[str, int], Turn] = {}

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
            What the first trials run.
        space : SearchSpace
            That of the study.
        recommendations : Recommendations, optional
            What results reorder the configurations by, as far as they are recommendations.
        seed : int, optional
            Of the default wrapped sampler.
        """
        made = cls(seed=seed)
        made._space = space.distributions()
        made._joint = Experience(
            Recommended.of(configurations, Configuration.joint_params, recommendations),
            recommendations,
            made._space,
            Configuration.joint_params,
            made._entropy,
        )
        return made

    def ranks(self, study: optuna.Study) -> dict[int, int]:
        """Return which trials ran a recommendation of this sampler.

        Parameters
        ----------
        study : optuna.Study
            That it was made for, at any time.

        Returns
        -------
        dict of int to int
            The rank of the recommendation, from 1, by the number of the trial.
        """
        if len(study.directions) > 1:
            return {}
        turn = self._turn_of(study, len(study.get_trials(deepcopy=False)))
        asked = [*([self._joint] if self._joint else []), *self._own.values()]
        return {
            number: place + 1 for e in asked for number, place in sorted(e.recommended.places(turn).items())
        }

    # -- what Optuna asks ----------------------------------------------------------------------------------------

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return nothing for a trial that runs a suggestion, else what the wrapped sampler wants."""
        # Optuna asks this once, first of all: what is there is of another study that had the same name.
        self._given.pop((study.study_name, trial.number), None)
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
        """Return the suggestion's value where it has one that fits, else the wrapped sampler's."""
        values = self._values_of(study, trial, param_name)
        if param_name in values:
            with suppress(ValueError):  # the space has no value near the suggestion's
                return Axis.of(param_distribution).nearest(values[param_name])
        return self._sampler.sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Pass on to the wrapped sampler."""
        self._sampler.before_trial(study, trial)

    def after_trial(
        self, study: optuna.Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        """Pass on to the wrapped sampler, and forget how the trial saw its study."""
        self._turns.pop((study.study_name, trial.number), None)
        self._sampler.after_trial(study, trial, state, values)

    def reseed_rng(self) -> None:
        """Pass on to the wrapped sampler; the order of suggestions does not depend on chance."""
        self._sampler.reseed_rng()

    # -- what a trial runs ---------------------------------------------------------------------------------------

    def _values_of(self, study: optuna.Study, trial: FrozenTrial, name: str | None) -> Params:
        """Return what a trial runs, if anything; decided once, when a first parameter of the study has a name."""
        key = study.study_name, trial.number
        with _lock:
            if key not in self._given:
                if len(study.directions) > 1 or is_enqueued(trial):
                    return {}
                turn = self._turns.get(key) or self._turn_of(study, trial.number)
                names = turn.distributions.keys() | ({name} if name else set())
                if not names:
                    self._turns[key] = turn
                    return {}
                self._given[key] = self._ask(turn, names, study.direction)
                self._turns.pop(key, None)
            return self._given[key]

    def _turn_of(self, study: optuna.Study, number: int) -> Turn:
        """Read the study, once for each trial."""
        trials = study.get_trials(deepcopy=False)
        return Turn(
            number,
            [t for t in trials if t.number < number and t.state != TrialState.WAITING],
            -1.0 if study.direction == StudyDirection.MAXIMIZE else 1.0,
            {n: d for t in trials for n, d in t.distributions.items()},
            {number: params for (name, number), params in self._given.items() if name == study.study_name},
        )

    def _ask(self, turn: Turn, names: Set[str], direction: StudyDirection) -> Params:
        """Ask what knows such a space; what it is there for should never end a study."""
        try:
            experience = self._experience_of(turn, names, direction)
            found = experience.recommended.suggest(turn)
            if found is not None or has_constraints(turn.earlier):
                return found or {}
            is_past = self._past is not None and names & self._past_names
            proposed = self._past if is_past else experience.proposed
            if proposed is None:
                return {}
            return proposed.suggest(turn, experience.recommended.places(turn)) or {}
        except AutometaError:
            raise
        except Exception as error:  # the wrapped sampler can always go on
            reason = " ".join(str(error).split())[:200]
            _logger.warning("trial %d is left to the wrapped sampler: %s", turn.number, reason)
            return {}

    def _experience_of(self, turn: Turn, names: Set[str], direction: StudyDirection) -> Experience:
        """Return what is known of the space: autometa's joint one, or that of the algorithm that the user named."""
        if names <= self._space.keys():
            self._check(direction)
            if self._joint is None:
                self._joint = self._recommend(None)
            return self._joint
        if self._part is None or not names & self._part.algorithm.distributions.keys():
            return NOTHING
        self._check(direction)
        outside = self._part.outside(turn.earlier)
        if outside is None:
            return Experience(Recommended((dict(self._part.algorithm.default),), limit=1))
        key = repr(outside)
        if key not in self._own:
            self._own[key] = self._recommend(outside)
        return self._own[key]

    def _check(self, direction: StudyDirection) -> None:
        """Refuse a study that goes the other way than what its objective is said to return."""
        if self._task is None:
            return
        metric, maximizes = self._task.metric, direction == StudyDirection.MAXIMIZE
        if maximizes == {"metric": metric.greater_is_better, "score": True, "loss": False}[self._objective]:
            return
        form = {
            "metric": metric.name,
            "score": f"the score of {metric.name}",
            "loss": f"a loss of {metric.name}",
        }
        raise UsageError(
            "AM526",
            f"the study {'maximizes' if maximizes else 'minimizes'} {form[self._objective]}.",
            f"Create it with direction={'minimize' if maximizes else 'maximize'!r}, or pass "
            f"objective={'score' if maximizes else 'loss'!r} if that is what your objective returns.",
        )

    def _recommend(self, outside: Params | None) -> Experience:
        """Ask the meta-model; without `outside` about the joint space, else about the one algorithm's."""
        if self._task is None:
            return NOTHING
        try:
            found = recommend_for_task(
                self._task,
                k=N_CANDIDATES,
                algorithms=self._algorithms,
                metamodel=self._metamodel,
                random_state=self._seed,
            )
        except UsageError as error:
            if error.code != "AM511":
                raise
            return NOTHING  # none of the algorithms fits the table
        known = [r.configuration for r in found]
        score = _score_of(self._task.metric, self._objective)
        if outside is None or self._part is None:
            return Experience(
                Recommended.of(known, Configuration.joint_params, found, score),
                found,
                self._space,
                Configuration.joint_params,
                self._entropy,
            )
        own = self._part.algorithm
        if outside:
            # No stored configuration is in the space: what is good beside the values outside is worked out.
            first = [c.params for c in configurations_beside(found, own, outside, N_PART)[:2]]
            starts = Recommended(tuple(self._part.inside(p, outside) for p in first), limit=len(first))
        else:
            starts = Recommended.of(known, own_params, found, score)
        return Experience(starts, found, own.distributions, own_params, self._entropy, outside)


def _read_objective(objective: Objective | None, metric: Any) -> Objective:
    if objective is None:
        return "score" if isinstance(metric, str) and metric.strip().startswith("neg_") else "metric"
    if objective not in ("metric", "loss", "score"):
        raise UsageError(
            "AM526", f"objective {objective!r} is not known.", "Use 'metric', 'loss' or 'score'."
        )
    return objective


def _score_of(metric: Metric, objective: Objective) -> Callable[[float], float]:
    """Return what turns a value of the study into the metric in natural units."""
    if metric.greater_is_better and objective == "loss":
        return partial(float.__sub__, perfect_score(metric.stored))
    if not metric.greater_is_better and objective == "score":
        return float.__neg__
    return float


def _default_sampler(seed: int | None) -> TPESampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)


def sampler_seed(seed: int, study: optuna.Study) -> int:
    """A continued study must not draw the random numbers again that it began with."""
    state = np.random.SeedSequence([seed, len(study.get_trials(deepcopy=False))]).generate_state(1)
    return int(state[0])
