"""Recommendations: from a table to a ranked list of pipelines, without fitting any of them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Final, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from autometa.errors import DataIssue, UsageError
from autometa.experience import load_metamodel
from autometa.metabase import MetaBase
from autometa.metafeatures import describe_task
from autometa.metamodel import MetaModel, Neighbourhood, Prediction
from autometa.metrics import Scale
from autometa.recommendation._results import Recommendation, Recommendations, code_of
from autometa.recommendation.mixture import MOST_MEMBERS, MOST_OF_AN_ALGORITHM, Candidates, leading_metrics
from autometa.space import SearchSpace
from autometa.task import Task

__all__ = [
    "MetaModelLike",
    "Recommendation",
    "Recommendations",
    "Recommender",
    "code_of",
    "recommend",
    "recommend_for_task",
]

# As far from the known tasks as their hundredth is from the others.
FAR: Final = 0.5
# Expected scores and reasons heed at least so many of the list, however few are shown.
N_COMPARED: Final = 10
# With fewer rows, a fold of ten has less than ten.
SMALL_TASK_ROWS: Final = 100


@runtime_checkable
class Recommender(Protocol):
    """What ranks configurations by itself, in the place of a meta-model."""

    def recommend(self, task: Task, **options: Any) -> Any:
        """Return recommendations, best first; `options` are those of :func:`recommend_for_task`."""


MetaModelLike = MetaModel | MetaBase | Recommender | str | Path


def recommend(
    X: Any,
    y: Any,
    *,
    kind: str = "auto",
    metric: Any = None,
    k: int = 10,
    time_budget: float | None = None,
    algorithms: str | Sequence[str] | None = None,
    metamodel: MetaModelLike | None = None,
    exclude_seen: bool = True,
    random_state: int | None = None,
    column_types: Mapping[str, str] | None = None,
) -> Recommendations:
    """Recommend pipelines for a table, in seconds and without fitting any of them.

    Parameters
    ----------
    X : DataFrame or array-like of shape (n_rows, n_columns)
        Any mix of numbers, strings, categories, booleans, dates and missing values.
    y : array-like of shape (n_rows,), or str
        The target, or the name of its column in `X`.
    kind : {"auto", "classification", "regression", "binary", "multiclass"}, default="auto"
        Of the task. ``auto`` tells it by the target.
    metric : str, callable or None, default=None
        What to be good at: scikit-learn's name without a sign, or a scorer; by default ``roc_auc`` for two classes,
        ``log_loss`` for more, ``r2`` for numbers.
    k : int, default=10
        How many pipelines; fewer are returned where fewer fit the table.
    time_budget : float or None, default=None
        Leave out what is expected to take more CPU seconds for one fit; among the rest, what gains more per second
        comes earlier.
    algorithms : str, sequence of str or None, default=None
        Only these algorithms; None for all.
    metamodel : MetaModel, MetaBase, Recommender, path or None, default=None
        What to learn from: a trained meta-model, a directory written by ``autometa train``, a metadata base (a
        meta-model is trained on it, which takes a while), or what recommends by a method of its own. By default the
        bundled meta-model with what :func:`autometa.learn` has added on this machine; ``"bundled"`` for the first
        alone.
    exclude_seen : bool, default=True
        Whether to ignore what is known about this very table and its relatives, so that nobody measures a memory.
    random_state : int or None, default=None
        Seed of the sampling of rows for the meta-features of a table that has many; None draws the same rows each
        time, as 0 does.
    column_types : mapping of str to str, optional
        What to read columns as (numeric, categorical, date, text, ignored), where the guess would be another.

    Returns
    -------
    Recommendations
        The list, best first, with the nearest known tasks, the novelty and the warnings.

    Raises
    ------
    DataError
        When the table or its target cannot be used; see :meth:`autometa.Task.from_frame`.
    UsageError
        When an argument is not known or does not fit the data.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> import autometa
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> autometa.recommend(X, y, k=3).to_frame()["rank"].tolist()
    [1, 2, 3]
    """
    start = time.perf_counter()
    task = Task.from_frame(X, y, kind=kind, metric=metric, column_types=column_types)
    checked = time.perf_counter() - start
    result = recommend_for_task(
        task,
        k=k,
        time_budget=time_budget,
        algorithms=algorithms,
        metamodel=metamodel,
        exclude_seen=exclude_seen,
        random_state=random_state,
    )
    result.seconds = {"data_check": checked, **result.seconds}
    return result


def recommend_for_task(
    task: Task,
    *,
    k: int = 10,
    time_budget: float | None = None,
    algorithms: str | Sequence[str] | None = None,
    metamodel: MetaModelLike | None = None,
    exclude_seen: bool = True,
    random_state: int | None = None,
) -> Recommendations:
    """Recommend pipelines for a task; see :func:`recommend`."""
    if k < 1:
        raise UsageError("AM510", f"k is {k}.", "Ask for at least one recommendation.")
    if isinstance(metamodel, Recommender):
        own: Recommendations = metamodel.recommend(
            task, k=k, time_budget=time_budget, algorithms=algorithms, random_state=random_state
        )
        return own
    clock = _Clock()
    space = SearchSpace.for_kind(task.kind, algorithms)
    model = load_metamodel(metamodel)
    clock.lap("load_metamodel")
    metafeatures = describe_task(task, random_state=random_state or 0)
    clock.lap("metafeatures")
    seen = model.seen_families(task.fingerprint(), task.kind) if exclude_seen else []
    near = model.about(metafeatures, task.kind, exclude=seen, n_train=task.n_rows)
    sizes = (task.n_rows, task.X.shape[1], len(task.classes))
    prediction = near.predict(task.metric.stored, sizes)
    known = list(near.known.configurations.values())
    allowed = np.array([space.suits(c, task.n_rows, task.n_rarest) for c in known])
    issues = [*task.warnings, *model.notices]
    allowed &= _affordable(prediction, allowed, time_budget, issues)
    if not allowed.any():
        raise UsageError(
            "AM511",
            "no known configuration fits the algorithms asked for.",
            "Allow more algorithms, or tune without recommendations.",
        )
    # What is expected of the first does not depend on how many are asked for.
    longer = prediction.portfolio(max(k, N_COMPARED), allowed, time_budget)
    chosen = longer[:k]
    issues += _model_issues(task, near.novelty, seen)
    items = _items(task, near, prediction, longer)[:k]
    leading = _leading(task, near, sizes, allowed, time_budget)
    result = Recommendations(
        items,
        task=task,
        novelty=near.novelty,
        similar_tasks=near.similar_tasks(),
        metafeatures=metafeatures,
        warnings=tuple(issues),
        seconds=clock.laps,
        few_shot=near.few_shot(task.metric.stored).of(chosen),
        past=near.past_runs(task.metric.stored),
        algorithms=algorithms,
        costs=None if time_budget is None else prediction.costs(time_budget)[chosen],
        leading=leading,
        time_budget=time_budget,
        default_seconds={known[i]: float(prediction.seconds[i]) for i in prediction.defaults},
    )
    clock.lap("ranking")
    return result


class _Clock:
    """Seconds between laps."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name] = now - self._last
        self._last = now


def _affordable(
    prediction: Prediction, allowed: NDArray[np.bool_], time_budget: float | None, issues: list[DataIssue]
) -> NDArray[np.bool_]:
    if time_budget is None or not allowed.any():
        return np.ones_like(allowed)
    if time_budget <= 0:
        raise UsageError("AM510", f"time_budget is {time_budget}.", "Give a positive number of seconds.")
    within = prediction.seconds <= time_budget
    if not (within & allowed).any():
        fastest = prediction.seconds[allowed].min()
        issues.append(
            DataIssue(
                "AM402",
                (),
                f"nothing is expected to fit within {time_budget:g} s; the fastest may take {fastest:.2g} s.",
                "The fastest are shown.",
            )
        )
        within = prediction.seconds <= 2 * fastest
    return np.asarray(within)


def _model_issues(task: Task, novelty: float, seen: Sequence[str]) -> list[DataIssue]:
    issues = []
    if seen:
        issues.append(
            DataIssue(
                "AM403",
                (),
                f"this table is known to the metadata base; what is known about its family ({seen[0]}) was left out.",
                "Pass exclude_seen=False to use it.",
            )
        )
    if novelty >= FAR:
        issues.append(
            DataIssue(
                "AM404",
                (),
                f"the table is unlike the known ones (novelty {novelty:.2f}).",
                "Trust a search more than this ranking.",
            )
        )
    if task.metric.is_proxied:
        issues.append(
            DataIssue(
                "AM405",
                (),
                f"{task.metric.name} is not in the metadata base; expected scores are those of {task.metric.stored}.",
            )
        )
    if task.n_rows < SMALL_TASK_ROWS:
        issues.append(
            DataIssue(
                "AM406",
                (),
                f"{task.n_rows} rows are few; expect scores to vary widely.",
                "Prefer repeated cross-validation.",
            )
        )
    return issues


def _leading(
    task: Task,
    near: Neighbourhood,
    sizes: tuple[int, int, int],
    allowed: NDArray[np.bool_],
    time_budget: float | None,
) -> Candidates:
    """Return what leads by the metrics of the ensemble in turn; its regret is that of the first metric."""
    found = [near.predict(metric, sizes) for metric in leading_metrics(task)]
    n = 2 * MOST_MEMBERS + MOST_OF_AN_ALGORITHM
    in_turn = zip(*(p.portfolio(n, allowed, time_budget) for p in found), strict=True)
    chosen = list(dict.fromkeys(chain.from_iterable(in_turn)))
    configurations = list(near.known.configurations.values())
    return Candidates(
        tuple(configurations[i] for i in chosen), found[0].regret[chosen], found[0].seconds[chosen]
    )


def _items(
    task: Task, near: Neighbourhood, prediction: Prediction, chosen: Sequence[int]
) -> list[Recommendation]:
    scale = Scale.of(task.metric.stored, task.kind, task.y)
    configurations = list(near.known.configurations.values())
    reasons = near.reasons(prediction, task.metric.stored, chosen)
    levels = zip(*prediction.agreeing(chosen), strict=True)
    items = []
    for rank, (i, reason, (level, *ends)) in enumerate(zip(chosen, reasons, levels, strict=True), 1):
        lower, upper = sorted(scale.score(float(end)) for end in ends)
        items.append(
            Recommendation(
                rank=rank,
                configuration=configurations[i],
                expected_score=scale.score(float(level)),
                lower=lower,
                upper=upper,
                expected_seconds=float(prediction.seconds[i]),
                expected_regret=float(prediction.regret[i]),
                reason=reason,
                task=task,
            )
        )
    return items
