"""What is known about the tasks of one target, classification or regression."""

from __future__ import annotations

import gzip
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autometa.errors import StorageError
from autometa.metabase import DENSE_ORIGINS, LEAST_LEVEL, MAX_REGRET, MetaBase
from autometa.metamodel.belief import TaskMixture, fill_rows
from autometa.metamodel.forest import ProximityForest, weighted_mean
from autometa.metamodel.similarity import Similarity
from autometa.metamodel.sizes import Larger, PowerLaw, Smaller, larger_fidelities, learn_law, training_rows
from autometa.metrics import stored_metrics
from autometa.space import Configuration

FloatArray = NDArray[np.float64]

# Share of the scores that lie within the interval that is shown.
COVERAGE: Final = 0.8
# Half of what holds 80 % of a Gaussian, for where no results are left to calibrate by.
Z_80: Final = 1.2816
# Where only some tasks have runs of a size, each of them counts with this share of what all together say: their weights
# alone rest on a few of them. Between none and a half makes no difference beyond the errors.
SHARE_OF_ALL: Final = 0.25
# Scores are known to about a hundredth: an interval is never narrower than that.
MIN_SPREAD: Final = 0.01
# What few rows add to the spread of a score: ten divided by their number. Without it, intervals of 80 % hold 72 % on
# tables of less than 200 rows and 83 % on large ones (regression). By the root of the number, small tables would gain
# as much, and those of 200 to 500 rows get intervals that hold too much.
NOISE_ROWS: Final = 10.0


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
    larger : tuple of Larger
        What is known of larger training sets; see :meth:`at`.
    whole : KnownTasks or None
        Of a view on larger training sets, what it was made from.
    smaller : Smaller or None
        What is known of few training rows; see :meth:`at`.
    usual : KnownTasks or None
        Of a view on few training rows, what it was made from: its tasks are the first ones.
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
    larger: tuple[Larger, ...] = ()
    whole: KnownTasks | None = None
    smaller: Smaller | None = None
    usual: KnownTasks | None = None

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
        run = set(metabase.regrets(metrics[0], target).dropna(axis=1, how="all").columns)
        # What was run with other numbers of rows alone has a table of its own.
        configurations = {i: c for i, c in metabase.configurations_of(target).items() if i in run}
        columns = list(configurations)
        regrets = {m: metabase.regrets(m, target)[columns].to_numpy() for m in metrics}
        levels = {m: metabase.levels(m, target)[columns].to_numpy() for m in metrics}
        n_train = training_rows(metabase).reindex(task_ids).to_numpy(dtype="float64")
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
            seconds=learn_law(metabase, task_ids, configurations, ("fit_seconds", "predict_seconds")),
            tuned=TunedRuns.of(metabase, target, task_ids),
        )
        known = replace(known, widths=known.calibrate()[0])
        found = [Larger.of(metabase, target, task_ids, f) for f in larger_fidelities(metabase)]
        larger = [replace(p, widths=known._view(p).calibrate()[0]) for p in found if p is not None]
        names, tables = known.metafeature_names, known.configurations
        return replace(
            known, larger=tuple(larger), smaller=Smaller.of(metabase, target, task_ids, tables, names)
        )

    def at(self, n_train: float) -> KnownTasks:
        """Return what is known about training sets of a size: this, or a view on the results of others.

        A view on larger ones has the same tasks, of which those say nothing that have no runs of the size, and the
        configurations that were run there. One on few rows has all tasks, and some once more: as they look with few
        rows.

        Parameters
        ----------
        n_train : float
            Training rows. The nearest number counts, by ratio; for few rows see :meth:`Smaller.heard`.
        """
        # Small tables have fewer, and some of one's own may have more.
        usual = float(np.quantile(self.sizes[:, 0], 0.9))
        ways = [
            abs(np.log(max(n_train, 1.0) / rows)) for rows in (usual, *(part.n_train for part in self.larger))
        ]
        nearest = int(np.argmin(ways))
        few = self.smaller.heard(n_train) if nearest == 0 and self.smaller is not None else None
        if nearest == 0 and few is None:
            return self
        key = nearest if few is None else -len(few.tasks)
        if key not in self._views:
            self._views[key] = self._view(self.larger[nearest - 1]) if few is None else self._with(few)
        return self._views[key]

    @cached_property
    def _views(self) -> dict[int, KnownTasks]:
        return {}

    def _view(self, part: Larger) -> KnownTasks:
        """Put the results of larger training sets in the place of the others."""
        # Configurations of one's own that were learned on this machine were run on one's own sizes.
        own = np.flatnonzero(self.sizes[:, 0] >= part.n_train / 2.0)
        added = [i for i, c in self.configurations.items() if len(own) and c.origin not in DENSE_ORIGINS]
        position = {i: number for number, i in enumerate(self.configurations)}
        configurations = {**part.configurations, **{i: self.configurations[i] for i in added}}
        shared = [(new, position[i]) for new, i in enumerate(configurations) if i in position]

        def table(values: FloatArray, whole: FloatArray) -> FloatArray:
            found = np.full((len(self.tasks), len(configurations)), np.nan)
            found[part.tasks, : values.shape[1]] = values
            for new, old in shared:
                found[own, new] = whole[own, old]
                if new >= values.shape[1]:
                    found[part.tasks, new] = whole[part.tasks, old]
            return found

        algorithms = [c.algorithm for c in part.configurations.values()]
        alike = np.array(
            [[c == configurations[i].algorithm for c in algorithms] for i in added], dtype="float64"
        )
        mixing = alike.reshape(len(added), len(algorithms))
        mixing = mixing / np.maximum(mixing.sum(axis=1, keepdims=True), 1.0)
        sizes = self.sizes.copy()
        sizes[part.tasks, 0] = part.n_train
        return replace(
            self,
            configurations=configurations,
            regrets={m: table(values, self.regrets[m]) for m, values in part.regrets.items()},
            levels={m: table(values, self.levels[m]) for m, values in part.levels.items()},
            sizes=sizes,
            seconds=part.seconds.extended(mixing),
            widths=part.widths,
            larger=(),
            whole=self,
        )

    def _with(self, few: Smaller) -> KnownTasks:
        """Add tasks as they look with few rows; nothing is trained again."""
        families, width = self.families[few.tasks].tolist(), len(self.configurations)

        def table(usual: FloatArray, values: FloatArray) -> FloatArray:
            return np.vstack([usual, few.wide(values, width)])

        return replace(
            self,
            tasks=self.tasks.iloc[[*range(len(self.tasks)), *few.tasks.tolist()]].reset_index(drop=True),
            regrets={m: table(self.regrets[m], values) for m, values in few.regrets.items()},
            levels={m: table(self.levels[m], values) for m, values in few.levels.items()},
            sizes=np.vstack([self.sizes, np.column_stack([few.n_train, self.sizes[few.tasks, 1:]])]),
            similarity=self.similarity.extended(few.metafeatures, families, 1.0),
            levelling=self.levelling.extended(few.metafeatures, families),
            larger=(),
            smaller=None,
            usual=self,
        )

    @cached_property
    def knows(self) -> NDArray[np.bool_]:
        """Tell the tasks that have results; in a view not all."""
        if self.whole is None:
            return np.ones(len(self.tasks), dtype=bool)
        return np.any([np.isfinite(levels).any(axis=1) for levels in self.levels.values()], axis=0)

    def only_knowing(self, shares: FloatArray, exclude: Sequence[Collection[str]]) -> FloatArray:
        """Return how much each task says where those of a view alone can speak.

        Parameters
        ----------
        shares : ndarray of shape (n_new_tasks, n_tasks)
            Rows sum to 1.
        exclude : sequence of collections of str, one for each new task
            Families that must not speak.

        Returns
        -------
        ndarray of shape (n_new_tasks, n_tasks)
            Rows sum to 1; as given, where this is no view. See ``SHARE_OF_ALL``.
        """
        if self.whole is None:
            return shares
        speaks = np.array([self.speaking(families) for families in exclude])
        own = np.where(speaks, shares, 0.0) + 1e-9 * speaks
        own = own / own.sum(axis=1, keepdims=True)
        return np.asarray(
            (1.0 - SHARE_OF_ALL) * own + SHARE_OF_ALL * speaks / speaks.sum(axis=1, keepdims=True)
        )

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
        speaks = self.knows & ~np.isin(self.families, list(exclude))
        return speaks if speaks.any() else self.knows

    def predict_levels(
        self, X: FloatArray, metric: str, exclude: Sequence[Collection[str]], n_train: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Predict how well the stored configurations do.

        Parameters
        ----------
        X : ndarray of shape (n_new_tasks, n_metafeatures)
        metric : str
            A stored metric.
        exclude : sequence of collections of str, one for each new task
            Families that must not speak.
        n_train : ndarray of shape (n_new_tasks,)
            Training rows of each; few make the spread larger, see ``NOISE_ROWS``.

        Returns
        -------
        mean, spread : ndarray of shape (n_new_tasks, n_configurations)
        """
        shares = self.levelling.weights(X, exclude)
        if self.similarity.importance is not None:
            shares = shares * self.similarity.importance
            shares = shares / shares.sum(axis=1, keepdims=True)
        mean, spread = weighted_mean(self.only_knowing(shares, exclude), self.filled[metric][1])
        noise = NOISE_ROWS / np.maximum(n_train, 1.0)[:, None]
        return mean, np.maximum(np.hypot(spread, noise), MIN_SPREAD)

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
            mean, spread = self.predict_levels(self.metafeatures, metric, exclude, self.sizes[:, 0])
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
