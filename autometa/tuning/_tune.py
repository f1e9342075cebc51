"""A whole search in one call: recommendations, trials, the choice, the fitted pipeline, all within one deadline."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import numpy as np
import optuna
import pandas as pd
from sklearn.pipeline import Pipeline

from autometa.errors import EvaluationError, UsageError
from autometa.evaluation import Run
from autometa.metamodel import MetaModel
from autometa.metrics import Metric, stored_metrics
from autometa.recommendation import Recommendation, recommend_for_task
from autometa.space import Configuration, SearchSpace, registered_algorithms
from autometa.storage import open_storage
from autometa.task import Task
from autometa.tuning._deadline import Deadline
from autometa.tuning._result import TuneResult, make_leaderboard
from autometa.tuning._sampler import N_SUGGESTIONS, MetaSampler
from autometa.tuning._search import Callback, Evaluator, InChild, InProcess, Problem, Search, refit_seconds
from autometa.tuning._splits import resolve_splits, resolve_weights

_IDENTITY: Final = "autometa:search"
# What the fit on all rows may take beyond the limit: a share of it, and seconds.
_GRACE: Final = (0.05, 1.0)
N_BEFORE_OWN: Final = 2
MAX_REFITS: Final = 5


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
    metamodel: MetaModel | None = None,
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
        In addition to those that a resumed study has.
    timeout : float or None, default=None
        Seconds of wall-clock time for everything: meta-features, trials, and the fit on all rows. Trials then run in
        child processes and are stopped when their time is up.
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
    metamodel : MetaModel, optional
        The bundled one by default.

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
        AM502 when the study to continue was made with another space, metric or table; AM520 for `cv`, AM522 for
        numbers out of range.
    EvaluationError
        AM801 when the first five trials, or all, fail; AM803 when nothing could be fitted in time.
    """
    deadline = Deadline(timeout)
    _check_positive(n_trials=n_trials, n_jobs=n_jobs)
    with ExitStack() as stack:
        stack.enter_context(_quiet_optuna())
        children = [InChild() for _ in range(_n_children(timeout, n_jobs))]
        for child in children:
            stack.callback(child.stop)
        for child in children[:n_jobs]:
            # They come up while the data is checked and described.
            child.start(deadline.remaining)

        task = Task.from_frame(X, y, kind=kind, metric=metric)
        weights = resolve_weights(sample_weight, task)
        space = SearchSpace.for_kind(task.kind, algorithms)
        if weights is not None:
            space = _that_take_weights(space, task)
        study = _open_study(storage, study_name, task)
        seed = _settle(study, task, space, random_state)
        problem = Problem(task, resolve_splits(task, cv, groups, seed), _options(task, weights, seed))
        with deadline.step("recommend"):
            recommendations = _recommend(task, space, min(n_trials, N_SUGGESTIONS), metamodel, seed)
        configurations = _with_own_algorithms([r.configuration for r in recommendations], task, space)
        study.sampler = MetaSampler.from_configurations(
            configurations, space, seed=_sampler_seed(seed, study)
        )
        for child in children:
            child.set_problem(problem)
        in_process = InProcess(problem)
        refitters: list[Evaluator] = [in_process]
        if timeout is not None:
            # A child of its own: those of the trials may just have been killed when the fit on all rows is due. It
            # comes up once there is something to fit.
            spare = children[-1]
            refitters.insert(0, spare)
            callbacks = [lambda *_: spare.start(deadline.remaining), *callbacks]
        search = Search(
            study,
            space,
            problem,
            children[:n_jobs] or [in_process],
            deadline,
            n_trials=n_trials,
            callbacks=callbacks,
        )
        with deadline.step("search"):
            search.run()
        leaderboard = make_leaderboard(study, space, task.metric, recommendations)
        candidates = _candidates(study, space, problem, leaderboard) or _fallbacks(recommendations, search)
        with deadline.step("refit"):
            chosen, pipeline = _fit_first(refitters, candidates, deadline)
        if pipeline is None and not (leaderboard["state"] == "complete").any():
            raise EvaluationError(
                "AM803", f"nothing could be fitted within {timeout} s.", "Give more time, or fewer rows."
            )
    return TuneResult(
        study=study,
        leaderboard=leaderboard,
        best_configuration=chosen,
        best_by_cv=_best_by_cv(leaderboard, task.metric),
        metric=task.metric,
        deadline=deadline.report(),
        interrupted=search.interrupted,
        recommendations=recommendations,
        pipeline=pipeline,
    )


def _check_positive(**counts: Any) -> None:
    for name, value in counts.items():
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            raise UsageError("AM522", f"{name} must be a positive whole number, got {value!r}.")


def _n_children(timeout: float | None, n_jobs: int) -> int:
    if timeout is not None:
        return n_jobs + 1
    return n_jobs if n_jobs > 1 else 0


@contextmanager
def _quiet_optuna() -> Iterator[None]:
    """Silence Optuna's log lines for a while, whatever the user's level is."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(max(before, optuna.logging.WARNING))
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


def _open_study(storage: Any, name: str | None, task: Task) -> optuna.Study:
    return optuna.create_study(
        storage=None if storage is None else open_storage(storage),
        study_name=name,
        direction="maximize" if task.metric.greater_is_better else "minimize",
        load_if_exists=name is not None,
    )


def _settle(study: optuna.Study, task: Task, space: SearchSpace, random_state: Any) -> int:
    """Note on a new study what its trials mean; check it on one that is continued. Return the seed of its folds."""
    from sklearn.utils import check_random_state

    seed = int(check_random_state(random_state).randint(2**31 - 1))
    identity = {"search space": space.signature(), "metric": task.metric.name, "table": task.fingerprint()}
    before = study.user_attrs.get(_IDENTITY)
    if before is None and study.get_trials(deepcopy=False):
        raise UsageError(
            "AM502", f"study {study.study_name!r} was not made by tune.", "Choose another study name."
        )
    if before is None:
        study.set_user_attr(_IDENTITY, {**identity, "seed": seed})
        return seed
    for what, value in identity.items():
        if before.get(what) != value:
            raise UsageError(
                "AM502",
                f"study {study.study_name!r} was made with another {what} ({before.get(what)}, now {value}).",
                "Its scores do not compare; choose another study name.",
            )
    return int(before["seed"])


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

    if isinstance(metric.scorer, str):
        return None if metric.name in stored_metrics(task.kind) else get_scorer(metric.scorer)
    return metric.scorer


def _that_take_weights(space: SearchSpace, task: Task) -> SearchSpace:
    from sklearn.utils.validation import has_fit_parameter

    from autometa.pipelines import build_pipeline

    def takes(name: str) -> bool:
        model = build_pipeline(space[name].default_configuration(), task)["model"]
        inner = getattr(model, "regressor", None) or getattr(model, "estimator", None) or model
        return bool(has_fit_parameter(inner, "sample_weight"))

    names = [name for name in space.algorithms if takes(name)]
    if not names:
        raise UsageError("AM524", "none of the algorithms takes sample weights.", "Allow more algorithms.")
    return SearchSpace.for_kind(task.kind, names)


def _recommend(
    task: Task, space: SearchSpace, k: int, metamodel: MetaModel | None, seed: int
) -> Sequence[Recommendation]:
    own = registered_algorithms()["regression" if task.kind == "regression" else "classification"]
    names = [name for name in space.algorithms if name not in own]
    if not names:
        return ()
    return recommend_for_task(task, k=k, algorithms=names, metamodel=metamodel, random_state=seed)


def _with_own_algorithms(
    configurations: Sequence[Configuration], task: Task, space: SearchSpace
) -> list[Configuration]:
    """Add the defaults of algorithms that the user registered, of which there is no experience, near the top."""
    known = {c.algorithm for c in configurations}
    own = registered_algorithms()["regression" if task.kind == "regression" else "classification"]
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


def _fallbacks(
    recommendations: Sequence[Recommendation], search: Search
) -> list[tuple[Configuration, float]]:
    """When no trial could be finished in time, the recommendations are all there is."""
    if search.interrupted:
        raise KeyboardInterrupt
    return [(r.configuration, r.expected_seconds) for r in recommendations]


def _fit_first(
    evaluators: Sequence[Evaluator], candidates: Sequence[tuple[Configuration, float]], deadline: Deadline
) -> tuple[Configuration, Pipeline | None]:
    """Fit the best configuration that the time allows; the quickest if it allows none.

    The last evaluator cannot be stopped: with a deadline it serves where the first is not up yet and the fit should
    take a fraction of what is left.
    """
    share, constant = _GRACE
    grace = 0.0 if deadline.seconds is None else share * deadline.seconds + constant
    end = time.monotonic() + deadline.remaining + grace
    affordable = [candidate for candidate in candidates if candidate[1] <= deadline.remaining]
    queue = affordable[:MAX_REFITS] or [min(candidates, key=lambda candidate: candidate[1])]
    for configuration, seconds in queue:
        left = end - time.monotonic()
        if left <= 0:
            break
        first, last = evaluators[0], evaluators[-1]
        result = (first if first.is_ready or 3 * seconds > left else last).fit(configuration, left)
        if not isinstance(result, Run):
            return configuration, result
    return queue[0][0], None


def _best_by_cv(leaderboard: pd.DataFrame, metric: Metric) -> Configuration | None:
    done = leaderboard[leaderboard["state"] == "complete"]
    if done.empty:
        return None
    best = done.loc[(metric.sign * done["score"]).idxmax()]
    return Configuration(best["algorithm"], best["params"])
