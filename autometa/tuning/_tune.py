"""A whole search in one call: recommendations, trials, the choice, the fitted pipeline, all within one deadline."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Self

import numpy as np
import optuna
import pandas as pd
from sklearn.pipeline import Pipeline

from autometa.errors import EvaluationError, UsageError
from autometa.evaluation import Run, Split
from autometa.metabase import describe_for_study
from autometa.metamodel import MetaModel
from autometa.metrics import Metric, stored_metrics
from autometa.recommendation import Recommendation, Recommendations, recommend_for_task
from autometa.space import Algorithm, Configuration, SearchSpace, registered_algorithms, target_of
from autometa.storage import open_storage, quiet_optuna
from autometa.task import Task
from autometa.tuning._deadline import Deadline
from autometa.tuning._result import TuneResult, make_leaderboard
from autometa.tuning._sampler import MetaSampler
from autometa.tuning._search import Callback, Evaluator, InChild, InProcess, Problem, Search, refit_seconds
from autometa.tuning._splits import resolve_splits, resolve_weights
from autometa.tuning._suggestions import N_CANDIDATES

_IDENTITY: Final = "autometa:search"
# What the fit on all rows may take beyond the limit: a share of it, and seconds.
_GRACE: Final = (0.05, 1.0)
_LEAST_FIT_BUDGET: Final = 1e-3
N_BEFORE_OWN: Final = 2
MAX_REFIT_FAILURES: Final = 5


def tune(
    X: Any,
    y: Any,
    *,
    kind: str = "auto",
    n_trials: int = 50,
    timeout: float | None = None,
    metric: Any = None,
    cv: Any = None,
    groups: Any = None,
    sample_weight: Any = None,
    storage: Any = None,
    study_name: str | None = None,
    n_jobs: int = 1,
    random_state: Any = None,
    callbacks: Sequence[Callback] = (),
    algorithms: Sequence[str] | None = None,
    column_types: Mapping[str, str] | None = None,
    metamodel: MetaModel | None = None,
    ensemble_size: int = 1,
) -> TuneResult:
    """Search for the best pipeline, starting from the recommendations.

    Parameters
    ----------
    X : DataFrame or array-like of shape (n_rows, n_columns)
        Any mix of numbers, strings, categories, booleans, dates and missing values.
    y : array-like of shape (n_rows,), or str
        The target, or the name of its column in `X`.
    kind : {"auto", "classification", "regression", "binary", "multiclass"}, default="auto"
    n_trials : int, default=50
        In addition to those that a continued study has. With 0, the first recommendation is fitted without a search.
    timeout : float or None, default=None
        Seconds of wall-clock time for everything: meta-features, trials, and the fit on all rows. Trials then run in
        child processes and are stopped when their time is up, and what gains more per second is tried earlier.
    metric : str, callable or None, default=None
        scikit-learn's name without a sign, or a scorer; by default ``roc_auc``, ``log_loss`` or ``r2``.
    cv : int, splitter, iterable or None, default=None
        Folds (None: 3, shuffled, stratified for classification), a scikit-learn splitter, or pairs of training and
        test rows. The same folds judge every trial.
    groups : array-like of shape (n_rows,), optional
        Rows of one group are never on both sides of a split.
    sample_weight : array-like of shape (n_rows,), optional
        Passed to every fit, sliced with the rows. Algorithms that take no weights are left out.
    storage : str or optuna storage, optional
        A database URL, the path of a journal file, or a storage object; in memory by default.
    study_name : str, optional
        A study of that name in `storage` is continued.
    n_jobs : int, default=1
        Trials at a time, each in a process of its own with one thread.
    random_state : int, RandomState or None, default=None
        With an integer, ``n_jobs=1`` and no timeout, the same trials each time.
    callbacks : sequence of callable, default=()
        Called with the study and the finished trial, as Optuna does.
    algorithms : sequence of str, optional
        Search among these algorithms only.
    column_types : mapping of str to str, optional
        What to read columns as (numeric, categorical, date, text, ignored), where the guess would be another.
    metamodel : MetaModel, optional
        The bundled one by default.
    ensemble_size : int, default=1
        How many of the best configurations to fit on all rows, as far as the time allows.

    Returns
    -------
    TuneResult
        An interruption from the keyboard ends the search and is noted there; finished trials count.

    Raises
    ------
    DataError
        When the data cannot be used: see :meth:`autometa.Task.from_frame`; AM104 when a class has fewer rows than
        there are folds, AM201 when the table has, AM110 when groups or weights have another length.
    UsageError
        AM502 when the study to continue was made with another space, metric, table or folds; AM520 for `cv`, AM522 for
        numbers out of range.
    EvaluationError
        AM801 when the first five trials, or all, fail; AM803 when nothing could be fitted in time.
    """
    deadline = Deadline(timeout)
    _check_counts(n_trials=(n_trials, 0), n_jobs=(n_jobs, 1), ensemble_size=(ensemble_size, 1))
    n_workers = n_jobs if n_trials and (timeout is not None or n_jobs > 1) else 0
    with quiet_optuna(), _Crew(n_workers, deadline) as crew:
        task = Task.from_frame(X, y, kind=kind, metric=metric, column_types=column_types)
        weights = resolve_weights(sample_weight, task)
        space = _space(task, algorithms, takes_weights=weights is not None)
        study = _open_study(storage, study_name, task)
        seed = _seed(study, random_state)
        splits = resolve_splits(task, cv, groups, seed) if n_trials else []
        _sign(study, task, space, splits, seed)
        problem = Problem(task, splits, _options(task, weights, seed))
        with deadline.step("recommend"):
            k, budget = max(N_CANDIDATES, ensemble_size), _fit_budget(deadline, splits)
            recommendations = _recommend(task, space, k, metamodel, seed, budget)
        configurations = _begin(study, task, space, recommendations, seed)
        crew.set_problem(problem)
        search = Search(
            study,
            space,
            problem,
            crew.evaluators,
            deadline,
            n_trials=n_trials,
            n_refits=ensemble_size,
            callbacks=[*crew.callbacks, *callbacks],
        )
        with deadline.step("search"):
            search.run()
        leaderboard = make_leaderboard(study, space, task.metric, recommendations)
        candidates = _candidates(study, space, problem, leaderboard)
        if not candidates and search.interrupted:
            raise KeyboardInterrupt
        # Without a trial that was finished in time, the recommendations are all there is.
        candidates = candidates or _untried(configurations, recommendations)
        with deadline.step("refit"):
            pipelines, failure = _fit_best(crew.refitters, candidates, ensemble_size, deadline)
        if not pipelines and leaderboard.empty:
            raise EvaluationError(
                "AM803",
                f"none of the recommendations could be fitted: {failure}.",
                "Check the data, or give more time.",
            )
    return TuneResult(
        study=study,
        leaderboard=leaderboard,
        best_configuration=pipelines[0][0] if pipelines else candidates[0][0],
        best_by_cv=_best_by_cv(leaderboard, task.metric),
        metric=task.metric,
        deadline=deadline.report(),
        interrupted=search.interrupted,
        recommendations=recommendations,
        pipelines=tuple(pipelines),
    )


class _Crew:
    """Who evaluates and who fits at the end: child processes that can be stopped, or this process.

    With a deadline one more child waits for the fit on all rows: those of the trials may just have been killed then.
    It comes up once there is something to fit.
    """

    def __init__(self, n_workers: int, deadline: Deadline) -> None:
        self._deadline = deadline
        self._children = [InChild() for _ in range(n_workers)]
        self._spare = InChild() if deadline.seconds is not None else None
        self._in_process: InProcess | None = None
        for child in self._children:
            # They come up while the data is checked and described.
            child.start(deadline.remaining)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        for child in self._all_children:
            child.stop()

    @property
    def _all_children(self) -> list[InChild]:
        return [*self._children, *([self._spare] if self._spare else [])]

    def set_problem(self, problem: Problem) -> None:
        """Hand over what the trials are about."""
        self._in_process = InProcess(problem)
        for child in self._all_children:
            child.set_problem(problem)

    @property
    def evaluators(self) -> list[Evaluator]:
        """Those that run trials."""
        return [*self._children] or self.refitters[-1:]

    @property
    def refitters(self) -> list[Evaluator]:
        """Those that fit on all rows; the last one cannot be stopped."""
        if self._in_process is None:
            raise RuntimeError("set_problem comes first")
        return [*([self._spare] if self._spare else []), self._in_process]

    @property
    def callbacks(self) -> list[Callback]:
        """What to do after each trial."""
        spare = self._spare
        return [] if spare is None else [lambda *_: spare.start(self._deadline.remaining)]


def _check_counts(**counts: tuple[Any, int]) -> None:
    for name, (value, least) in counts.items():
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
            raise UsageError("AM522", f"{name} must be a whole number, at least {least}; got {value!r}.")


def _open_study(storage: Any, name: str | None, task: Task) -> optuna.Study:
    return optuna.create_study(
        storage=None if storage is None else open_storage(storage),
        study_name=name,
        direction="maximize" if task.metric.greater_is_better else "minimize",
        load_if_exists=name is not None,
    )


def _seed(study: optuna.Study, random_state: Any) -> int:
    """Return the seed of everything but the sampler: that of the study, where it is continued."""
    from sklearn.utils import check_random_state

    fresh = int(check_random_state(random_state).randint(2**31 - 1))
    return int(study.user_attrs.get(_IDENTITY, {}).get("seed", fresh))


def _sign(study: optuna.Study, task: Task, space: SearchSpace, splits: Sequence[Split], seed: int) -> None:
    """Note on the study what its scores mean, and refuse to continue one whose scores mean something else."""
    before = study.user_attrs.get(_IDENTITY, {})
    if not before and study.get_trials(deepcopy=False):
        raise UsageError(
            "AM502", f"study {study.study_name!r} was not made by tune.", "Choose another study name."
        )
    now = {"search space": space.signature(), "metric": task.metric.name, "table": task.fingerprint()}
    if splits:
        rows = b"|".join(part.tobytes() for split in splits for part in split)
        now["set of folds"] = hashlib.sha256(rows).hexdigest()[:12]
    for what, value in now.items():
        if before.get(what, value) != value:
            raise UsageError(
                "AM502",
                f"study {study.study_name!r} was made with another {what} ({before[what]}, now {value}).",
                "Its scores do not compare; choose another study name.",
            )
    if before.keys() != {*now, "seed"}:
        study.set_user_attr(_IDENTITY, {**before, **now, "seed": seed})


def _sampler_seed(seed: int, study: optuna.Study) -> int:
    """A continued study must not draw the random numbers again that it began with."""
    state = np.random.SeedSequence([seed, len(study.get_trials(deepcopy=False))]).generate_state(1)
    return int(state[0])


def _options(task: Task, weights: Any, seed: int) -> dict[str, Any]:
    """Keywords of :func:`autometa.evaluation.evaluate` for this search."""
    scorer = _scorer(task.metric, task)
    required = (task.metric.name,) if scorer is None else ("scorer",)
    return {"scorer": scorer, "required": required, "sample_weight": weights, "random_state": seed}


def _scorer(metric: Metric, task: Task) -> Callable[..., float] | None:
    """Return the scorer of a metric that is not among those that every run has anyway."""
    from sklearn.metrics import get_scorer

    if not isinstance(metric.scorer, str):
        return metric.scorer
    return None if metric.name in stored_metrics(task.kind) else get_scorer(metric.scorer)


def _space(task: Task, algorithms: Sequence[str] | None, *, takes_weights: bool) -> SearchSpace:
    """Return the algorithms to search among; with weights, only those whose fit takes them."""
    from sklearn.utils.validation import has_fit_parameter

    from autometa.pipelines import build_pipeline

    def takes(algorithm: Algorithm) -> bool:
        model = build_pipeline(algorithm.default_configuration(), task)["model"]
        inner = getattr(model, "regressor", None) or getattr(model, "estimator", None) or model
        return bool(has_fit_parameter(inner, "sample_weight"))

    space = SearchSpace.for_kind(task.kind, algorithms)
    if not takes_weights:
        return space
    names = [algorithm.name for algorithm in space if takes(algorithm)]
    if not names:
        raise UsageError("AM524", "none of the algorithms takes sample weights.", "Allow more algorithms.")
    return SearchSpace.for_kind(task.kind, names)


def _fit_budget(deadline: Deadline, splits: Sequence[Split]) -> float | None:
    """Return the seconds that one fit may take, if time is limited: no trial gets more than half of the time."""
    if deadline.seconds is None:
        return None
    return max(deadline.remaining / (2 * max(len(splits), 1)), _LEAST_FIT_BUDGET)


def _recommend(
    task: Task,
    space: SearchSpace,
    k: int,
    metamodel: MetaModel | None,
    seed: int,
    time_budget: float | None,
) -> Sequence[Recommendation]:
    own = registered_algorithms()[target_of(task.kind)]
    names = [name for name in space.algorithms if name not in own]
    if not names:
        return ()
    return recommend_for_task(
        task, k=k, time_budget=time_budget, algorithms=names, metamodel=metamodel, random_state=seed
    )


def _begin(
    study: optuna.Study, task: Task, space: SearchSpace, recommendations: Sequence[Recommendation], seed: int
) -> list[Configuration]:
    """Give the study its sampler, and return the configurations that it starts from."""
    if isinstance(recommendations, Recommendations):
        # With this, the trials can become experience: MetaBase.from_studies.
        description = describe_for_study(
            task, name=study.study_name, metafeatures=recommendations.metafeatures
        )
        study.set_user_attr("task", description)
    configurations = _with_own_algorithms([r.configuration for r in recommendations], task, space)
    known = recommendations if isinstance(recommendations, Recommendations) else None
    study.sampler = MetaSampler.from_configurations(
        configurations, space, recommendations=known, seed=_sampler_seed(seed, study)
    )
    return configurations


def _with_own_algorithms(
    configurations: Sequence[Configuration], task: Task, space: SearchSpace
) -> list[Configuration]:
    """Add the defaults of algorithms that the user registered, of which there is no experience, near the top."""
    known = {c.algorithm for c in configurations}
    own = registered_algorithms()[target_of(task.kind)]
    added = [space[name].default_configuration() for name in own if name in space and name not in known]
    return [*configurations[:N_BEFORE_OWN], *added, *configurations[N_BEFORE_OWN:]]


def _candidates(
    study: optuna.Study, space: SearchSpace, problem: Problem, leaderboard: pd.DataFrame
) -> list[tuple[Configuration, float]]:
    """Return the configurations of complete trials, best first, with the seconds that a fit on all rows may take."""
    trials = {t.number: t for t in study.get_trials(deepcopy=False)}
    found: dict[Configuration, float] = {}
    for number in leaderboard.loc[leaderboard["state"] == "complete", "trial"]:
        trial = trials[number]
        original = trials[trial.user_attrs["run"].get("duplicate_of", number)]
        found.setdefault(space.configuration(trial.params), refit_seconds(original, problem))
    return list(found.items())


def _untried(
    configurations: Sequence[Configuration], recommendations: Sequence[Recommendation]
) -> list[tuple[Configuration, float]]:
    """Return configurations with the seconds that a fit is expected to take, infinite where nothing is known."""
    seconds = {r.configuration: r.expected_seconds for r in recommendations}
    return [(configuration, seconds.get(configuration, math.inf)) for configuration in configurations]


def _fit_best(
    refitters: Sequence[Evaluator],
    candidates: Sequence[tuple[Configuration, float]],
    size: int,
    deadline: Deadline,
) -> tuple[list[tuple[Configuration, Pipeline]], str]:
    """Fit the best configurations that the time allows; the quickest if it allows none. Say what failed last.

    The last of the refitters cannot be stopped: with a deadline it serves where the first does not come up in time,
    and only if the fit should take a fraction of what is left. A fit gets half of the time, or four times what it
    should take, so that one that takes longer than its folds did leaves room for the next.
    """
    share, constant = _GRACE
    grace = 0.0 if deadline.seconds is None else share * deadline.seconds + constant
    end = time.monotonic() + deadline.remaining + grace
    affordable = [candidate for candidate in candidates if candidate[1] <= deadline.remaining]
    queue = affordable or [min(candidates, key=lambda candidate: candidate[1])]
    fitted: list[tuple[Configuration, Pipeline]] = []
    failure = "there was no time left"
    for configuration, seconds in queue[: size + MAX_REFIT_FAILURES]:
        left = end - time.monotonic()
        if left <= 0 or len(fitted) == size:
            break
        refitter = refitters[0]
        if not refitter.prepare(left - 3 * seconds):
            if 3 * seconds > left:
                break
            refitter = refitters[-1]
        left = end - time.monotonic()
        result = refitter.fit(configuration, min(left, max(left / 2, 4 * seconds)))
        if isinstance(result, Run):
            failure = result.reason
        else:
            fitted.append((configuration, result))
    return fitted, failure


def _best_by_cv(leaderboard: pd.DataFrame, metric: Metric) -> Configuration | None:
    done = leaderboard[leaderboard["state"] == "complete"]
    if done.empty:
        return None
    best = done.loc[(metric.sign * done["score"]).idxmax()]
    return Configuration(best["algorithm"], best["params"])
