"""The inner loop: recommendations into an Optuna study, a sampler that starts from them, a search with a deadline."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import optuna
from optuna.storages import InMemoryStorage
from sklearn import config_context
from threadpoolctl import threadpool_limits

from autometa.errors import UsageError
from autometa.evaluation import FoldFitter, Split, target_codes
from autometa.pipelines import takes_weights
from autometa.progress import Bar
from autometa.recommendation import MetaModelLike
from autometa.space import SearchSpace
from autometa.storage import open_storage, quiet_optuna
from autometa.task import Task
from autometa.tuning._adapt import Adaptation, Change, adapt
from autometa.tuning._candidate import Problem
from autometa.tuning._cluster import hands_of
from autometa.tuning._hands import Hands, Watch, Watched
from autometa.tuning._result import TuneResult, posterior_scores
from autometa.tuning._run import SearchRun
from autometa.tuning._sampler import MetaSampler
from autometa.tuning._schedule import Deadline, Schedule, TimeReport
from autometa.tuning._selection import Callback
from autometa.tuning._splits import folds_of, resolve_weights
from autometa.tuning._warm_start import Suggestion, WarmStartReport, warm_start

__all__ = [
    "Adaptation",
    "Callback",
    "Change",
    "MetaSampler",
    "Schedule",
    "Suggestion",
    "TimeReport",
    "TuneResult",
    "WarmStartReport",
    "adapt",
    "posterior_scores",
    "tune",
    "warm_start",
]

_IDENTITY: Final = "autometa:search"


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
    cluster: Any = None,
    random_state: Any = None,
    callbacks: Sequence[Callback] = (),
    algorithms: str | Sequence[str] | None = None,
    column_types: Mapping[str, str] | None = None,
    metamodel: MetaModelLike | None = None,
    ensemble_size: int = 25,
    memory_limit: int | None = None,
    max_predict_seconds: float | None = None,
    schedule: Schedule | None = None,
    progress: bool | None = None,
) -> TuneResult:
    """Make the best model that the time allows, starting from the recommendations.

    Candidates are fitted fold by fold. Each must help the ensemble of those before it, or it is dropped. The model is
    a weighted mean of models of the folds, chosen on the rows that these were not fitted on.

    Parameters
    ----------
    X : DataFrame or array-like of shape (n_rows, n_columns)
        Any mix of numbers, strings, categories, booleans, dates and missing values.
    y : array-like of shape (n_rows,), or str
        The target, or the name of its column in `X`.
    kind : {"auto", "classification", "regression", "binary", "multiclass"}, default="auto"
        What the target is; read from it by default.
    n_trials : int, default=50
        The most candidates, in addition to those that a continued study has. With 0, the mean of the first
        recommendations is fitted without a search.
    timeout : float or None, default=None
        Seconds of wall-clock time for everything. Fits then run in child processes and are stopped when the time is
        up; there is a model at every moment after the first cheap fit. A search that finds nothing more ends earlier.
    metric : str, callable or None, default=None
        What to be good at: scikit-learn's name without a sign, or a scorer; by default ``roc_auc`` for two classes,
        ``log_loss`` for more, ``r2`` for numbers.
    cv : int, splitter, iterable or None, default=None
        Folds (None: five, or four of many rows, shuffled, stratified for classification), a scikit-learn splitter,
        or pairs of training and test rows. The same folds judge every trial.
    groups : array-like of shape (n_rows,), optional
        Rows of one group are never on both sides of a split.
    sample_weight : array-like of shape (n_rows,), optional
        Passed to every fit, sliced with the rows. Algorithms that take no weights are left out.
    storage : str or optuna storage, optional
        A database URL, the path of a journal file, or a storage object; in memory by default.
    study_name : str, optional
        A study of that name in `storage` is continued.
    n_jobs : int, default=1
        Fits at a time, each in a process of its own with one thread.
    cluster : str or distributed.Client, optional
        Address of a Dask scheduler, or a client. The fits happen on the cluster, one at a time for each of its threads,
        in place of `n_jobs` here. The table travels to each worker once.
    random_state : int, RandomState or None, default=None
        With an integer, ``n_jobs=1``, no cluster and no timeout, the same trials each time.
    callbacks : sequence of callable, default=()
        Called with the study and the finished trial, as Optuna does.
    algorithms : str or sequence of str, optional
        Search among these algorithms only.
    column_types : mapping of str to str, optional
        What to read columns as (numeric, categorical, date, text, ignored), where the guess would be another.
    metamodel : MetaModel or path, optional
        The bundled one by default, with what this machine has learned; ``"bundled"`` for the first alone.
    ensemble_size : int, default=25
        The most configurations in the model; with 1, the model is the best pipeline, fitted on all rows.
    memory_limit : int or None, default=None
        Bytes that the fits may allocate together, beyond what this process holds; with `cluster`, those of each fit.
        Candidates that need more fail.
    max_predict_seconds : float or None, default=None
        CPU seconds that the model may take to predict 10,000 rows, what prepares them included; by default ten times
        those of a default LightGBM that reads levels as integers.
    schedule : Schedule, optional
        How the time is spent.
    progress : bool or None, default=None
        Whether a line shows what is done, the time left, the best score so far and what is fitted now; by default in
        a terminal and in a notebook. It goes when the search ends.

    Returns
    -------
    TuneResult
        An interruption from the keyboard ends the search and is noted there; finished trials count.

    Raises
    ------
    DataError
        When the data cannot be used: see :meth:`autometa.Task.from_frame`; AM104 when a class has fewer rows than
        the folds that were asked for, AM110 when groups or weights have another length.
    UsageError
        AM502 when the study to continue was made with another space, metric, table or folds; AM520 for `cv`, AM522 for
        numbers out of range.
        AM527 for `cluster`.
    DependencyError
        AM704 when a cluster is named and the extra ``dask`` is not installed.
    EvaluationError
        AM801 when the first five trials, or all, fail; AM803 when nothing could be fitted and time is not limited;
        AM805 when the cluster does not answer or has no workers.
    """
    deadline, bar = Deadline(timeout), Bar(progress)
    _check_counts(n_trials=(n_trials, 0), n_jobs=(n_jobs, 1), ensemble_size=(ensemble_size, 1))
    schedule = schedule or Schedule()
    # Small matrices are quicker in one thread, and many times quicker where other processes are busy.
    # Weights go to the models here, whatever scikit-learn is told to route for the user.
    with quiet_optuna(), threadpool_limits(1), config_context(enable_metadata_routing=False):
        task = Task.from_frame(X, y, kind=kind, metric=metric, column_types=column_types)
        space = SearchSpace.for_kind(task.kind, algorithms)
        if sample_weight is not None:
            space = SearchSpace(algorithm for algorithm in space if takes_weights(algorithm))
            if not len(space):
                raise UsageError(
                    "AM524", "none of the algorithms takes sample weights.", "Allow more algorithms."
                )
        study = open_study(storage, study_name, task)
        # Other processes may work on what is kept where they can see it.
        is_shared = not (storage is None or isinstance(storage, InMemoryStorage))
        seed = seed_of(study, random_state, is_shared=is_shared)
        usual = schedule.folds(task.n_rows)
        weights = resolve_weights(sample_weight, task)
        splits = folds_of(task, cv, groups, seed, usual) if n_trials else []
        sign(study, task, space, splits, seed)
        problem = Problem(task, splits, target_codes(task))
        is_drawn = cv is None or isinstance(cv, int)
        fitter = FoldFitter(task, splits, share=is_drawn, sample_weight=weights, random_state=seed)
        with bar, hands_of(fitter, deadline, n_jobs, cluster, memory_limit) as own:
            hands: Hands = own
            if bar.is_shown:
                watch = Watch(bar, task.metric.name, n_trials, deadline)
                hands, callbacks = Watched(own, watch), [watch.ended, *callbacks]
            run = SearchRun(
                task,
                problem,
                space,
                study,
                hands,
                deadline,
                schedule,
                ensemble_size,
                seed,
                is_shared=is_shared,
                is_whole=is_shared or not is_drawn,
            )
            run.begin()
            with deadline.step("recommend"):
                run.recommend(metamodel)
            with deadline.step("search"):
                run.search(n_trials, callbacks)
            with deadline.step("model"):
                result = run.finish(weights, max_predict_seconds)
        # The sampler knows the whole meta-model, and a study travels with its sampler.
        study.sampler = optuna.samplers.TPESampler(seed=seed % 2**32)
        return result


def _check_counts(**counts: tuple[Any, int]) -> None:
    for name, (value, least) in counts.items():
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
            raise UsageError("AM522", f"{name} must be a whole number, at least {least}; got {value!r}.")


# -- which search a study belongs to ----------------------------------------------------------------------------------


def open_study(storage: Any, name: str | None, task: Task) -> optuna.Study:
    """Make the study of a search, or open the one of that name."""
    return optuna.create_study(
        storage=None if storage is None else open_storage(storage),
        study_name=name,
        direction="maximize" if task.metric.greater_is_better else "minimize",
        load_if_exists=name is not None,
    )


def seed_of(study: optuna.Study, random_state: Any, *, is_shared: bool) -> int:
    """Return the seed of everything but the sampler: that of the study, where it is continued.

    Processes that begin on one study at the same moment must agree on it before any could write it down; where nobody
    gives a seed, it follows from the study's name.
    """
    from sklearn.utils import check_random_state

    if random_state is None and is_shared:
        random_state = zlib.crc32(study.study_name.encode())
    fresh = int(check_random_state(random_state).randint(2**31 - 1))
    return int(study.user_attrs.get(_IDENTITY, {}).get("seed", fresh))


def sign(study: optuna.Study, task: Task, space: SearchSpace, splits: Sequence[Split], seed: int) -> None:
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
