"""What is known about the tasks of one target, classification or regression."""

from __future__ import annotations

import gzip
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autometa.errors import StorageError
from autometa.metabase import LEAST_LEVEL, MAX_REGRET, MetaBase
from autometa.metamodel.belief import TaskMixture, fill_rows
from autometa.metamodel.costs import PowerLaw
from autometa.metamodel.forest import ProximityForest, weighted_mean
from autometa.metamodel.similarity import Similarity
from autometa.metrics import stored_metrics
from autometa.space import Configuration

FloatArray = NDArray[np.float64]

# Share of the scores that lie within the interval that is shown.
COVERAGE: Final = 0.8
# Half of what holds 80 % of a Gaussian, for where no results are left to calibrate by.
Z_80: Final = 1.2816
# Scores are known to about a hundredth: an interval is never narrower than that.
MIN_SPREAD: Final = 0.01


@dataclass(frozen=True, eq=False)
class TunedRuns:
    """Runs of configurations that stand on few tasks, at the main fidelity.

    Attributes
    ----------
    tasks : ndarray of int, shape (n_runs,)
        Position of the task of each run; -1 for one that does not count.
    packed : bytes
        The configuration of each run, a gzipped line of JSON each: most uses of a model never ask for them.
    levels : dict of str to ndarray of shape (n_runs,)
        For each stored metric.
    """

    tasks: NDArray[np.int64]
    packed: bytes
    levels: dict[str, FloatArray]

    @classmethod
    def make(
        cls, tasks: Sequence[int], configurations: Sequence[Configuration], levels: dict[str, FloatArray]
    ) -> Self:
        """Pack the configurations."""
        lines = [json.dumps([c.algorithm, dict(c.params), c.origin]) + "\n" for c in configurations]
        # No time of making: the same runs give the same bytes.
        return cls(np.array(tasks, dtype="int64"), gzip.compress("".join(lines).encode(), mtime=0), levels)

    @classmethod
    def of(cls, metabase: MetaBase, target: str, task_ids: Sequence[str]) -> Self:
        """Take what a metadata base holds of its tasks of a target, in their order."""
        known = metabase.configurations_of(target, tuned=True)
        runs = metabase.tuned_runs(target)
        place = {task_id: position for position, task_id in enumerate(task_ids)}
        return cls.make(
            [place[task_id] for task_id in runs["task_id"]],
            [known[i] for i in runs["configuration_id"]],
            {m: runs[m].to_numpy(dtype="float64") for m in runs.columns[2:]},
        )

    @cached_property
    def _lines(self) -> list[bytes]:
        return gzip.decompress(self.packed).splitlines()

    def on(self, task: int, metric: str) -> tuple[list[bytes], FloatArray]:
        """Return the configurations that were run on a task, packed, and their levels."""
        rows = np.flatnonzero((self.tasks == task) & np.isfinite(self.levels[metric]))
        return [self._lines[row] for row in rows], self.levels[metric][rows]

    @staticmethod
    def unpack(line: bytes) -> Configuration:
        """Return the configuration that a line spells."""
        return Configuration(*json.loads(line))

    def extended(self, other: TunedRuns, places: NDArray[np.int64]) -> TunedRuns:
        """Add runs on further tasks.

        Parameters
        ----------
        other : TunedRuns
        places : ndarray of int
            For each of its tasks, the position that it gets here; -1 leaves it out.
        """
        return TunedRuns(
            np.r_[self.tasks, places[other.tasks]],
            self.packed + other.packed,
            {m: np.r_[levels, other.levels[m]] for m, levels in self.levels.items()},
        )


@dataclass(frozen=True, eq=False)
class KnownTasks:
    """Tables of results on the known tasks of one target, and what was learned from them.

    Attributes
    ----------
    target : {"classification", "regression"}
    metafeature_names : list of str
    tasks : DataFrame
        A row per known task: task_id, name, openml_id, family, fingerprint.
    configurations : dict of str to Configuration
        By their id, in the order of the columns of the tables.
    regrets, levels : dict of str to ndarray of shape (n_tasks, n_configurations)
        For each stored metric; NaN for what was not run.
    sizes : ndarray of shape (n_tasks, 3)
        Training rows per fold, columns and classes (1 for regression) behind `regrets` and `levels`.
    similarity : Similarity
        Which tasks speak for a new one: learned from which configurations do well.
    levelling : ProximityForest
        Which tasks say *how* well they do. Its intervals are a quarter narrower than those of the first (for
        accuracy .16 for .20), its levels closer by 3 %.
    seconds : PowerLaw
        CPU seconds of a fit and prediction with one thread.
    tuned : TunedRuns
        Of configurations that stand on single tasks, beside the tables.
    widths : dict of str to float
        Half-width of the 80 % interval in spreads, calibrated on unseen families.
    """

    target: str
    metafeature_names: list[str]
    tasks: pd.DataFrame
    configurations: dict[str, Configuration]
    regrets: dict[str, FloatArray]
    levels: dict[str, FloatArray]
    sizes: FloatArray
    similarity: Similarity
    levelling: ProximityForest
    seconds: PowerLaw
    tuned: TunedRuns
    widths: dict[str, float] = field(default_factory=dict)

    @classmethod
    def fit(cls, metabase: MetaBase, target: str, random_state: int = 0) -> KnownTasks:
        """Learn from the tasks of one target.

        Raises
        ------
        StorageError
            AM607 when there are fewer than two.
        """
        task_ids = metabase.task_ids(target)
        if len(task_ids) < 2:
            raise StorageError(
                "AM607",
                f"the metadata base holds {len(task_ids)} {target} task(s) with runs.",
                "Collect at least two.",
            )
        table = metabase.tasks.set_index("task_id").loc[task_ids]
        metafeatures = metabase.metafeatures.loc[task_ids].dropna(axis=1, how="all").sort_index(axis=1)
        X = metafeatures.to_numpy(dtype="float64")
        metrics, families = stored_metrics(target), metabase.families(task_ids)
        regrets = {m: metabase.regrets(m, target).to_numpy() for m in metrics}
        levels = {m: metabase.levels(m, target).to_numpy() for m in metrics}
        configurations = metabase.configurations_of(target)
        n_train = _training_rows(metabase).reindex(task_ids).to_numpy(dtype="float64")
        shape = table[["n_features", "n_classes"]].astype("float64").fillna(1.0).to_numpy()
        # Beyond the median of the defaults, how bad a configuration is does not matter for what is alike.
        clipped = np.hstack([fill_rows(np.minimum(regrets[m], 1.0)) for m in metrics])
        known = cls(
            target=target,
            metafeature_names=list(metafeatures.columns),
            tasks=table.reset_index()[["task_id", "name", "openml_id", "family", "fingerprint"]],
            configurations=configurations,
            regrets=regrets,
            levels=levels,
            sizes=np.column_stack([n_train, shape]),
            similarity=Similarity.fit(X, clipped, families, random_state=random_state),
            levelling=ProximityForest.fit(
                X,
                np.hstack([fill_rows(levels[m]) for m in metrics]),
                families,
                random_state=random_state + 1,
            ),
            seconds=_learn_seconds(metabase, task_ids, shape, configurations),
            tuned=TunedRuns.of(metabase, target, task_ids),
        )
        return replace(known, widths=known.calibrate()[0])

    @property
    def families(self) -> NDArray[np.str_]:
        """Family of each known task."""
        return self.similarity.families

    @property
    def metafeatures(self) -> FloatArray:
        """Meta-features of the known tasks, shape (n_tasks, n_metafeatures)."""
        return self.similarity.metafeatures

    @cached_property
    def defaults(self) -> list[int]:
        """Positions of the library defaults among the configurations."""
        return [i for i, c in enumerate(self.configurations.values()) if c.origin == "default"]

    @cached_property
    def filled(self) -> dict[str, tuple[FloatArray, FloatArray]]:
        """Regrets and levels for each stored metric without holes; see :func:`fill_rows`."""
        return {
            metric: (
                np.clip(fill_rows(regrets), 0.0, MAX_REGRET),
                np.clip(fill_rows(self.levels[metric]), LEAST_LEVEL, 1.0),
            )
            for metric, regrets in self.regrets.items()
        }

    def row(self, metafeatures: pd.Series) -> FloatArray:
        """Order a task's meta-features as those of the known tasks."""
        return metafeatures.reindex(self.metafeature_names).to_numpy(dtype="float64")

    def mixture(self, metric: str, exclude: Collection[str] = ()) -> TaskMixture:
        """Return the prior over a new task's levels, without the tasks of some families unless all are of these."""
        speaks = self.speaking(exclude)
        if speaks.all():
            # What nearly all tables ask for, those that nobody has seen, is made once.
            if metric not in self._mixtures:
                self._mixtures[metric] = TaskMixture.fit(self.levels[metric], self.similarity.between)
            return self._mixtures[metric]
        return TaskMixture.fit(self.levels[metric][speaks], self.similarity.between[np.ix_(speaks, speaks)])

    @cached_property
    def _mixtures(self) -> dict[str, TaskMixture]:
        return {}

    def speaking(self, exclude: Collection[str]) -> NDArray[np.bool_]:
        """Tell the tasks that may speak: all but those of some families, or all where none would be left."""
        speaks = ~np.isin(self.families, list(exclude))
        return speaks if speaks.any() else np.ones_like(speaks)

    def predict_levels(
        self, X: FloatArray, metric: str, exclude: Sequence[Collection[str]]
    ) -> tuple[FloatArray, FloatArray]:
        """Predict how well the stored configurations do: mean and spread, shape (n_new_tasks, n_configurations)."""
        shares = self.levelling.weights(X, exclude)
        if self.similarity.importance is not None:
            shares = shares * self.similarity.importance
            shares = shares / shares.sum(axis=1, keepdims=True)
        mean, spread = weighted_mean(shares, self.filled[metric][1])
        return mean, np.maximum(spread, MIN_SPREAD)

    def calibrate(self) -> tuple[dict[str, float], dict[str, float]]:
        """Find the width at which intervals hold 80 % of the left-out results, and check it crosswise.

        Returns
        -------
        widths : dict of str to float
            Half-width in spreads, for each metric.
        coverage : dict of str to float
            Share of results inside, where the width comes from the other half of the tasks.
        """
        exclude = [(family,) for family in self.families]
        halves = np.unique(self.families, return_inverse=True)[1] % 2
        widths, coverage = {}, {}
        for metric, levels in self.levels.items():
            mean, spread = self.predict_levels(self.metafeatures, metric, exclude)
            ratios = np.abs(levels - mean) / spread
            widths[metric] = _quantile(ratios)
            inside = [ratios[halves == h] <= _quantile(ratios[halves != h]) for h in (0, 1)]
            known = [np.isfinite(ratios[halves == h]) for h in (0, 1)]
            total = sum(int(k.sum()) for k in known)
            counted = sum(int((i & k).sum()) for i, k in zip(inside, known, strict=True))
            coverage[metric] = counted / max(total, 1)
        return widths, coverage


def _quantile(ratios: FloatArray) -> float:
    known = ratios[np.isfinite(ratios)]
    return float(np.quantile(known, COVERAGE)) if len(known) else Z_80


def _training_rows(metabase: MetaBase) -> pd.Series:
    """Return the training rows of each task's runs at its main fidelity, by task id."""
    runs = metabase.runs
    is_main = runs["fidelity"] == runs["task_id"].map(metabase.main_fidelities)
    return runs[is_main].groupby("task_id")["n_train"].max()


def _learn_seconds(
    metabase: MetaBase,
    task_ids: Sequence[str],
    shape: FloatArray,
    configurations: Mapping[str, Configuration],
) -> PowerLaw:
    """Learn what a fit and prediction take from the runs at every fidelity."""
    runs = metabase.runs
    rows = pd.Index(task_ids).get_indexer(runs["task_id"])
    columns = pd.Index(list(configurations)).get_indexer(runs["configuration_id"])
    kept = (rows >= 0) & (columns >= 0) & (runs["status"] == "ok").to_numpy()
    runs, rows, columns = runs[kept], rows[kept], columns[kept]
    sizes = np.column_stack([runs["n_train"].to_numpy(dtype="float64"), shape[rows]])
    seconds = runs[["fit_seconds", "predict_seconds"]].sum(axis=1, min_count=1).to_numpy(dtype="float64")
    return PowerLaw.fit(seconds, columns, sizes, [c.algorithm for c in configurations.values()])
