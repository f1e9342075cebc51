"""From a table to a ranked list of pipelines, without fitting any of them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, overload

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autometa.errors import UsageError
from autometa.experience import load_experienced_metamodel
from autometa.metabase import MetaBase
from autometa.metafeatures import describe_task
from autometa.metamodel import MetaModel, Prediction
from autometa.metamodel.posterior import FewShot
from autometa.metrics import Metric, baseline_scores, perfect_score
from autometa.notebook import render_recommendations_card
from autometa.space import CALIBRATION_FOLDS, Configuration, SearchSpace
from autometa.task import DataIssue, Task
from autometa.wording import N_SIMILAR, NEAR_BEST, explain_choice

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

FAR: Final = 0.5
SMALL_TASK_ROWS: Final = 100
KERNEL_ROWS: Final = 30_000

PastRuns = tuple[list[Configuration], NDArray[np.float64]]


@dataclass(frozen=True)
class Recommendation:
    """One recommended pipeline.

    Attributes
    ----------
    rank : int
        From 1.
    configuration : Configuration
    expected_score, lower, upper : float
        Of the metric in natural units, with an 80 % interval; of the stored metric that stands for it where the
        metric itself is not known to the metadata base.
    expected_seconds : float
        CPU seconds of one fit on all rows, one thread.
    expected_regret : float
        Normalised regret, 0 (best known) to 2.
    reason : str
        Why it stands where it stands, in a sentence.
    """

    rank: int
    configuration: Configuration
    expected_score: float
    lower: float
    upper: float
    expected_seconds: float
    expected_regret: float
    reason: str
    task: Task = field(repr=False, compare=False)

    @property
    def algorithm(self) -> str:
        """Name of the algorithm."""
        return self.configuration.algorithm

    @property
    def params(self) -> dict[str, Any]:
        """Hyperparameters under the library's own names."""
        return dict(self.configuration.params)

    @property
    def pipeline(self) -> Pipeline:
        """The unfitted pipeline: scikit-learn and LightGBM objects only; made anew at each access."""
        from autometa.pipelines import build_pipeline

        return build_pipeline(self.configuration, self.task)

    def to_code(self, *, target: str | None = None, data: str = "data.csv", read: str = "") -> str:
        """Return a Python script that builds, scores and fits the pipeline without autometa.

        Parameters
        ----------
        target : str, optional
            Name of the target column.
        data : str, default="data.csv"
            Path of the table.
        read : str, default=""
            Python expression that reads the table, where its suffix does not say how.
        """
        from autometa.pipelines import pipeline_code

        scorer = self.task.metric.scorer
        name = target or (str(self.task.y.name) if self.task.y.name is not None else "target")
        score = scorer if isinstance(scorer, str) else ""
        return pipeline_code(self.pipeline, target=name, data=data, score=score, read=read)

    def to_dict(self) -> dict[str, Any]:
        """Return the recommendation as plain JSON types."""
        names = (
            "rank",
            "algorithm",
            "params",
            "expected_score",
            "lower",
            "upper",
            "expected_seconds",
            "reason",
        )
        return {name: _finite(getattr(self, name)) for name in names}


class Recommendations(Sequence[Recommendation]):
    """A ranked list of recommendations with what it was made from.

    Attributes
    ----------
    task : Task
    metric : Metric
    kind : {"binary", "multiclass", "regression"}
    novelty : float
        0 (well known) to 1 (like nothing seen). From .5 on the portfolio that is best on average leads.
    similar_tasks : DataFrame
        task_id, name, openml_id, distance.
    metafeatures : Series
    coordinates : ndarray of shape (n_dimensions,)
        Where the task stands in the embedding of tasks.
    warnings : tuple of DataIssue
    seconds : dict of str to float
        What each step took.
    """

    def __init__(
        self,
        items: Sequence[Recommendation],
        *,
        task: Task,
        novelty: float,
        similar_tasks: pd.DataFrame,
        metafeatures: pd.Series,
        coordinates: NDArray[np.float64],
        warnings: tuple[DataIssue, ...],
        seconds: dict[str, float],
        few_shot: Callable[[], FewShot],
        past_runs: Callable[[], list[PastRuns]],
        columns: Sequence[int],
        costs: NDArray[np.float64] | None = None,
    ) -> None:
        self._items = tuple(items)
        self.task = task
        self.novelty = novelty
        self.similar_tasks = similar_tasks
        self.metafeatures = metafeatures
        self.coordinates = coordinates
        self.warnings = warnings
        self.seconds = seconds
        self._few_shot = few_shot
        self._past_runs = past_runs
        self._columns = tuple(columns)
        self._costs = costs

    @overload
    def __getitem__(self, index: int) -> Recommendation: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Recommendation]: ...
    def __getitem__(self, index: int | slice) -> Recommendation | Sequence[Recommendation]:
        return self._items[index]

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Recommendation]:
        return iter(self._items)

    @property
    def metric(self) -> Metric:
        """The metric asked for."""
        return self.task.metric

    @property
    def kind(self) -> str:
        """Kind of the task."""
        return self.task.kind

    def __repr__(self) -> str:
        return f"Recommendations for a {self.kind} task by {self.metric.name}\n{self.to_frame().to_string(index=False)}"

    def _repr_html_(self) -> str:
        return render_recommendations_card(self)

    def to_frame(self) -> pd.DataFrame:
        """Return a row per recommendation: rank, algorithm, params, expected_score, lower, upper, expected_seconds."""
        columns = ["rank", "algorithm", "params", "expected_score", "lower", "upper", "expected_seconds"]
        return pd.DataFrame([[getattr(item, name) for name in columns] for item in self], columns=columns)

    def order_after(self, observed: Mapping[int, float], running: Sequence[int] = ()) -> list[Recommendation]:
        """Order the entries that are left by what some results on this very task say about them.

        Parameters
        ----------
        observed : mapping of int to float
            Scores of the metric in natural units by rank; NaN for an entry that failed.
        running : sequence of int, default=()
            Ranks of entries whose score is to come.

        Returns
        -------
        list of Recommendation
            The one to try next first: by expected improvement over the best score, once there is one; per second,
            if they were asked for with a time budget. Where the metric is not one of the metadata base, they keep
            their order.

        Raises
        ------
        UsageError
            AM510 when there is no entry of such a rank.
        """
        for rank in (*observed, *running):
            if not 1 <= rank <= len(self):
                raise UsageError("AM510", f"there is no entry of rank {rank}.", f"Use 1 to {len(self)}.")
        left = {
            self._columns[item.rank - 1]: item
            for item in self
            if item.rank not in observed and item.rank not in running
        }
        known = {rank: score for rank, score in observed.items() if math.isfinite(score)}
        if not known or self.metric.is_proxied:
            return list(left.values())
        scale = _Scale.of(self.task)
        order = self._prior.order(
            list(left),
            {self._columns[rank - 1]: scale.level(score) for rank, score in known.items()},
            [self._columns[rank - 1] for rank in running],
            self._costs,
        )
        return [left[column] for column in order]

    @cached_property
    def past_runs(self) -> list[PastRuns]:
        """What was run on the most similar known tasks, as far as it fits this one.

        For each task, most similar first, configurations and how well they did: 0 as the best constant prediction, 1
        perfect.
        """
        return self._past_runs()

    @cached_property
    def _prior(self) -> FewShot:
        return self._few_shot()

    def to_dict(self) -> dict[str, Any]:
        """Return everything as one object of plain JSON types."""
        similar = self.similar_tasks.astype(object).where(self.similar_tasks.notna(), None).to_dict("records")
        return {
            "schema": "autometa/recommend/1",
            "kind": self.kind,
            "metric": self.metric.name,
            "stored_metric": self.metric.stored,
            "novelty": _finite(self.novelty),
            "recommendations": [item.to_dict() for item in self],
            "similar_tasks": [{k: _finite(v) for k, v in row.items()} for row in similar],
            "warnings": [issue.to_dict() for issue in self.warnings],
            "seconds": {k: _finite(v) for k, v in self.seconds.items()},
        }


def recommend(
    X: Any,
    y: Any,
    *,
    kind: str = "auto",
    metric: Any = None,
    k: int = 10,
    time_budget: float | None = None,
    algorithms: Sequence[str] | None = None,
    metabase: MetaBase | MetaModel | str | Path | None = None,
    exclude_seen: bool = True,
    random_state: int | None = None,
) -> Recommendations:
    """Recommend pipelines for a table, in seconds and without fitting any of them.

    Parameters
    ----------
    X : DataFrame or array-like of shape (n_rows, n_columns)
        Any mix of numbers, strings, categories, booleans, dates and missing values.
    y : array-like of shape (n_rows,), or str
        The target, or the name of its column in `X`.
    kind : {"auto", "classification", "regression", "binary", "multiclass"}, default="auto"
    metric : str, callable or None, default=None
        scikit-learn's name without a sign, or a scorer; by default ``roc_auc``, ``log_loss`` or ``r2``.
    k : int, default=10
    time_budget : float or None, default=None
        Leave out what is expected to take more CPU seconds for one fit; among the rest, what gains more per second
        comes earlier.
    algorithms : sequence of str or None, default=None
        Only these algorithms.
    metabase : MetaBase, MetaModel, path or None, default=None
        What to learn from: a metadata base (a meta-model is trained on it, which takes a while), a trained
        meta-model, or a directory written by ``autometa train``. By default the bundled meta-model with what
        :func:`autometa.learn` has added on this machine; ``"bundled"`` for the first alone.
    exclude_seen : bool, default=True
        Whether to ignore what is known about this very table and its relatives, so that nobody measures a memory.
    random_state : int or None, default=None
        Seed of the sampling of rows for the meta-features.

    Returns
    -------
    Recommendations

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
    task = Task.from_frame(X, y, kind=kind, metric=metric)
    checked = time.perf_counter() - start
    result = recommend_for_task(
        task,
        k=k,
        time_budget=time_budget,
        algorithms=algorithms,
        metamodel=_as_metamodel(metabase),
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
    algorithms: Sequence[str] | None = None,
    metamodel: MetaModel | None = None,
    exclude_seen: bool = True,
    random_state: int | None = None,
) -> Recommendations:
    """Recommend pipelines for a task; see :func:`recommend`."""
    if k < 1:
        raise UsageError("AM510", f"k is {k}.", "Ask for at least one recommendation.")
    clock = _Clock()
    space = SearchSpace.for_kind(task.kind, algorithms)
    model = metamodel or load_metamodel()
    clock.lap("load_metamodel")
    metafeatures = describe_task(task, random_state=0 if random_state is None else random_state)
    clock.lap("metafeatures")
    seen = model.seen_families(task.fingerprint(), task.kind) if exclude_seen else []
    sizes = (task.n_rows, task.X.shape[1], len(task.classes))
    prediction = model.predict(metafeatures, task.kind, task.metric.stored, exclude=seen, sizes=sizes)
    configurations = [model.part(task.kind).configurations[i] for i in prediction.configuration_ids]
    allowed = np.array([_is_possible(c, space, task) for c in configurations])
    issues = [*task.warnings, *model.notices]
    allowed &= _affordable(prediction, allowed, time_budget, issues)
    if not allowed.any():
        raise UsageError(
            "AM511",
            "no known configuration fits the algorithms asked for.",
            "Allow more algorithms, or tune without recommendations.",
        )
    chosen = prediction.portfolio(k, allowed, time_budget)
    similar = model.similar_tasks(metafeatures, task.kind, exclude=seen)
    clock.lap("ranking")
    issues += _model_issues(task, prediction, seen)
    scale = _Scale.of(task)
    speaking = model.explain(metafeatures, task.kind, task.metric.stored, chosen, exclude=seen)
    items = [
        _recommendation(rank, i, prediction, configurations[i], task, scale, similar, speaking[i])
        for rank, i in enumerate(chosen, start=1)
    ]
    return Recommendations(
        items,
        task=task,
        novelty=prediction.novelty,
        similar_tasks=similar,
        metafeatures=metafeatures,
        coordinates=model.embed(metafeatures, task.kind, exclude=seen),
        warnings=tuple(issues),
        seconds=clock.laps,
        few_shot=partial(
            model.few_shot,
            metafeatures,
            task.kind,
            task.metric.stored,
            exclude=seen,
            n_train=task.n_rows,
        ),
        past_runs=partial(_past_runs, model, metafeatures, task, algorithms, seen),
        columns=chosen,
        costs=None if time_budget is None else prediction.costs(time_budget),
    )


def load_metamodel(path: str | None = None) -> MetaModel:
    """Read a meta-model once per process; by default the bundled one with the user's own experience."""
    return load_experienced_metamodel() if path is None else _read_metamodel(path)


@lru_cache(maxsize=4)
def _read_metamodel(path: str) -> MetaModel:
    return MetaModel.load(None if path == "bundled" else path)


def _is_possible(configuration: Configuration, space: SearchSpace, task: Task) -> bool:
    in_space = configuration.algorithm in space and not space.problems(configuration)
    return in_space and fits_size(configuration, task)


def _past_runs(
    model: MetaModel,
    metafeatures: pd.Series,
    task: Task,
    algorithms: Sequence[str] | None,
    exclude: Sequence[str],
) -> list[PastRuns]:
    space = SearchSpace.for_kind(task.kind, algorithms)
    found = model.past_runs(metafeatures, task.kind, task.metric.stored, exclude=exclude)
    fits = {c: _is_possible(c, space, task) for c in {c for runs, _ in found for c in runs}}
    kept = [np.flatnonzero([fits[c] for c in runs]) for runs, _ in found]
    return [([runs[i] for i in rows], levels[rows]) for rows, (runs, levels) in zip(kept, found, strict=True)]


def fits_size(configuration: Configuration, task: Task) -> bool:
    """Whether a configuration can work at all on so few, or so many, rows.

    A tree must be able to split, neighbours must exist in every fold, a kernel matrix must stay affordable, and the
    folds by which a support vector machine is calibrated must each hold every class.
    """
    algorithm = SearchSpace.for_kind(task.kind)[configuration.algorithm]
    params = configuration.params
    n_train = task.n_rows * 2 // 3
    if algorithm.min_leaf and configuration.origin != "default":
        leaf = params.get(algorithm.min_leaf)
        if isinstance(leaf, int) and 4 * leaf > n_train:
            return False
    neighbours = params.get("n_neighbors")
    if isinstance(neighbours, int) and neighbours > n_train // 2:
        return False
    if algorithm.name != "svm":
        return True
    rarest = task.n_rows if task.kind == "regression" else int(task.y.value_counts().min())
    return task.n_rows <= KERNEL_ROWS and rarest >= 2 * CALIBRATION_FOLDS


def _as_metamodel(metabase: MetaBase | MetaModel | str | Path | None) -> MetaModel | None:
    if metabase is None or isinstance(metabase, MetaModel):
        return metabase
    if isinstance(metabase, MetaBase):
        return MetaModel.fit(metabase)
    return load_metamodel(str(metabase))


class _Clock:
    """Seconds between laps."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name] = now - self._last
        self._last = now


@dataclass(frozen=True)
class _Scale:
    """Turns levels (shares of the way from a constant prediction to a perfect one) into the metric's own units."""

    baseline: float
    perfect: float

    @classmethod
    def of(cls, task: Task) -> _Scale:
        metric = task.metric.stored
        return cls(baseline_scores(task.kind, task.y)[metric], perfect_score(metric))

    def __call__(self, level: float) -> float:
        return self.baseline + level * (self.perfect - self.baseline)

    def level(self, score: float) -> float:
        """The inverse."""
        way = self.perfect - self.baseline
        return (score - self.baseline) / way if abs(way) > 1e-12 else 0.0


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


def _model_issues(task: Task, prediction: Prediction, seen: Sequence[str]) -> list[DataIssue]:
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
    if prediction.novelty >= FAR:
        issues.append(
            DataIssue(
                "AM404",
                (),
                f"the table is unlike the known ones (novelty {prediction.novelty:.2f}); the best on average lead.",
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


def _recommendation(
    rank: int,
    i: int,
    prediction: Prediction,
    configuration: Configuration,
    task: Task,
    scale: _Scale,
    similar: pd.DataFrame,
    speaking: pd.Series,
) -> Recommendation:
    ends = sorted((scale(float(prediction.lower[i])), scale(float(prediction.upper[i]))))
    likely = np.argsort(-prediction.weights)[:N_SIMILAR]
    reason = explain_choice(
        configuration,
        regret=float(prediction.regret[i]),
        spread=float(prediction.regret_spread[i]),
        near_best=float((prediction.scenarios[likely, i] <= NEAR_BEST).mean()),
        nearest=str(similar["name"].iloc[0]) if len(similar) else "",
        contributions=speaking.to_dict(),
    )
    return Recommendation(
        rank=rank,
        configuration=configuration,
        expected_score=scale(float(prediction.level[i])),
        lower=ends[0],
        upper=ends[1],
        expected_seconds=float(prediction.seconds[i]),
        expected_regret=float(prediction.regret[i]),
        reason=reason,
        task=task,
    )


def _finite(value: Any) -> Any:
    """Plain JSON types; numbers that are not finite become None."""
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
