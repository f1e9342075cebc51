"""Recommendations as data: what is recommended, and what results on the task say about the rest."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, overload

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autometa.errors import DataIssue, UsageError
from autometa.metamodel import PastRuns
from autometa.metamodel.belief import FewShot
from autometa.metrics import Metric, Scale
from autometa.notebook import render_recommendation_card, render_recommendations_card
from autometa.recommendation.mixture import Candidates, Mixture, build_ensemble, choose_mixture
from autometa.space import Configuration, SearchSpace
from autometa.task import Task

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

FloatArray = NDArray[np.float64]

_COLUMNS: Final = ("rank", "algorithm", "params", "expected_score", "lower", "upper", "expected_seconds")


@dataclass(frozen=True)
class Recommendation:
    """One recommended pipeline.

    Attributes
    ----------
    rank : int
        From 1.
    configuration : Configuration
        The algorithm with its hyperparameters.
    expected_score, lower, upper : float
        Of the metric in natural units, with an 80 % interval; of the stored metric that stands for it where the
        metric itself is not known to the metadata base.
    expected_seconds : float
        CPU seconds of one fit on all rows, one thread.
    expected_regret : float
        Normalised regret, 0 (best known) to 2.
    reason : str
        Why it stands where it stands, in a sentence.
    task : Task
        The table that it is for.
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
        """The unfitted pipeline: scikit-learn and LightGBM objects only; made anew at each access.

        Where scikit-learn routes metadata, its model asks for ``sample_weight`` at fit.
        """
        from autometa.pipelines import build_pipeline

        return _asking_for_weights(build_pipeline(self.configuration, self.task))

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
        return code_of(self.pipeline, self.task, target, data, read)

    def _repr_html_(self) -> str:
        return render_recommendation_card(self)

    def to_dict(self) -> dict[str, Any]:
        """Return the recommendation as plain JSON types."""
        return {name: _finite(getattr(self, name)) for name in (*_COLUMNS, "reason")}


class Recommendations(Sequence[Recommendation]):
    """A ranked list of recommendations with what it was made from: data alone, no model behind it.

    Attributes
    ----------
    task : Task
    metric : Metric
    kind : {"binary", "multiclass", "regression"}
    novelty : float
        0 (well known) to 1 (like nothing seen). From .5 on, trust a search more than the ranking.
    similar_tasks : DataFrame
        task_id, name, openml_id, distance (1 less the share that the known task has in the answer).
    metafeatures : Series
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
        warnings: tuple[DataIssue, ...],
        seconds: dict[str, float],
        few_shot: FewShot,
        past: PastRuns,
        algorithms: str | Sequence[str] | None = None,
        leading: Candidates,
        costs: FloatArray | None = None,
        time_budget: float | None = None,
        default_seconds: Mapping[Configuration, float] = MappingProxyType({}),
    ) -> None:
        self._items = tuple(items)
        self.task = task
        self.novelty = novelty
        self.similar_tasks = similar_tasks
        self.metafeatures = metafeatures
        self.warnings = warnings
        self.seconds = seconds
        self._few_shot = few_shot
        self._past = past
        self._algorithms = algorithms
        self._costs = costs
        self._leading = leading
        self._time_budget = time_budget
        # Expected CPU seconds of one fit of library defaults, whatever is recommended: what tells the machine's speed.
        self.default_seconds = dict(default_seconds)

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

    def __getstate__(self) -> dict[str, Any]:
        # What was worked out from the rest is worked out again.
        return {name: value for name, value in vars(self).items() if name != "past_runs"}

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
        return pd.DataFrame([[getattr(i, name) for name in _COLUMNS] for i in self], columns=list(_COLUMNS))

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
        left = [i for i in range(len(self)) if i + 1 not in observed and i + 1 not in running]
        known = {rank: score for rank, score in observed.items() if math.isfinite(score)}
        if known and not self.metric.is_proxied:
            left = self._few_shot.order(
                left,
                {rank - 1: self._scale.level(score) for rank, score in known.items()},
                [rank - 1 for rank in running],
                self._costs,
            )
        return [self._items[i] for i in left]

    def ensemble(self, k: int = 5, *, time_budget: float | None = None) -> Any:
        """Return the unfitted weighted mean of up to `k` recommended pipelines.

        See :mod:`autometa.recommendation.mixture`.

        Parameters
        ----------
        k : int, default=5
            At most so many members, ten in all; 1 is the first recommendation alone.
        time_budget : float, optional
            The members together are expected to take at most so many CPU seconds of fits on all rows; by default as
            many as the recommendations were asked for. Where nothing is that quick, the first recommendation alone.

        Returns
        -------
        VotingClassifier, VotingRegressor or FixedThresholdClassifier
            Of scikit-learn and LightGBM objects only, made anew at each call. The last around a VotingClassifier,
            where the metric wants another threshold than one half.

        Raises
        ------
        UsageError
            AM510 when `k` is less than 1 or `time_budget` is not positive.
        """
        mixture = self.mixture(k, time_budget=time_budget)
        made = build_ensemble(mixture.configurations, mixture.weights, self.task, threshold=mixture.threshold)
        return _asking_for_weights(made)

    def mixture(self, k: int = 5, *, time_budget: float | None = None) -> Mixture:
        """Return the members, weights and threshold of :meth:`ensemble` as data.

        Parameters
        ----------
        k : int, default=5
            At most so many members, see :meth:`ensemble`.
        time_budget : float, optional
            CPU seconds of fits on all rows, see :meth:`ensemble`.
        """
        budget = self._time_budget if time_budget is None else time_budget
        first = self[0].configuration, self[0].expected_seconds
        return choose_mixture(self.task, k, first, self._leading, budget)

    def ensemble_code(
        self,
        k: int = 5,
        *,
        time_budget: float | None = None,
        target: str | None = None,
        data: str = "data.csv",
        read: str = "",
    ) -> str:
        """Return a Python script that builds, scores and fits the ensemble without autometa.

        Parameters
        ----------
        k : int, default=5
            At most so many members, see :meth:`ensemble`.
        time_budget : float, optional
            CPU seconds of fits on all rows, see :meth:`ensemble`.
        target : str, optional
            Name of the target column.
        data : str, default="data.csv"
            Path of the table.
        read : str, default=""
            Python expression that reads the table, where its suffix does not say how.
        """
        return code_of(self.ensemble(k, time_budget=time_budget), self.task, target, data, read)

    @cached_property
    def past_runs(self) -> list[tuple[list[Configuration], FloatArray]]:
        """What was run on the most similar known tasks, as far as it fits this one.

        For each task, most similar first, configurations and how well they did: 0 as the best constant prediction, 1
        perfect.
        """
        space = SearchSpace.for_kind(self.kind, self._algorithms)
        found = []
        for runs, levels in self._past.unpack():
            rows = np.flatnonzero([space.suits(c, self.task.n_rows, self.task.n_rarest) for c in runs])
            found.append(([runs[i] for i in rows], levels[rows]))
        return found

    @cached_property
    def _scale(self) -> Scale:
        return Scale.of(self.metric.stored, self.kind, self.task.y)

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


def code_of(estimator: Any, task: Task, target: str | None, data: str, read: str) -> str:
    """Return a Python script that builds, scores and fits an estimator for a task without autometa."""
    from autometa.pipelines import pipeline_code

    scorer = task.metric.scorer
    name = target or (str(task.y.name) if task.y.name is not None else "target")
    score = scorer if isinstance(scorer, str) else ""
    return pipeline_code(estimator, target=name, data=data, score=score, read=read)


def _finite(value: Any) -> Any:
    """Plain JSON types; numbers that are not finite become None."""
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _asking_for_weights(estimator: Any) -> Any:
    """Return an estimator whose models ask for weights where scikit-learn routes metadata."""
    from sklearn import get_config

    from autometa.pipelines import ask_for_weights

    if get_config()["enable_metadata_routing"]:
        ask_for_weights(estimator)
    return estimator
