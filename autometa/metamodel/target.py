"""The trained parts for one target, classification or regression."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autometa.errors import StorageError
from autometa.metabase import MetaBase
from autometa.metamodel.embedding import TaskEmbedding, centred_ranks
from autometa.metamodel.interpolation import fill_from_others, interpolation_weights, weights_of_others
from autometa.metamodel.kernel import KernelSmoother
from autometa.metamodel.learning_curves import (
    expected_exponents,
    levels_at,
    observed_exponents,
    regrets_at,
)
from autometa.metamodel.portfolio import fill_with_column_means
from autometa.metamodel.power_law import PowerLaw
from autometa.metamodel.prediction import Prediction
from autometa.metamodel.proximity import ProximityForest, weighted_mean
from autometa.metamodel.surrogate import Surrogate, encode_configurations
from autometa.metamodel.tuned import TunedRuns
from autometa.metrics import stored_metrics
from autometa.space import Configuration, SearchSpace

FloatArray = NDArray[np.float64]

METHODS: Final = ("portfolio", "nearest", "forest", "kernel", "surrogate", "blend")
Z_80: Final = 1.2816
MIN_SPREAD: Final = 0.01
N_NEIGHBOURS: Final = 5
LEAST_WAY: Final = 0.25
SHARPNESS: Final = 1.5
SURROGATE_SHARE: Final = {"surrogate": 1.0, "blend": 1 / 3}


@dataclass(frozen=True, eq=False)
class TargetModel:
    """The parts for classification or for regression.

    Attributes
    ----------
    metafeature_names : list of str
    tasks : DataFrame
        A row per known task: task_id, name, openml_id, family, fingerprint.
    configurations : dict of str to Configuration
    metafeatures : ndarray of shape (n_tasks, n_metafeatures)
    regrets, levels : dict of str to ndarray of shape (n_tasks, n_configurations)
        For each stored metric; NaN for what was not run.
    sizes : ndarray of shape (n_tasks, 3)
        Training rows per fold, columns and classes (1 for regression) behind `regrets` and `levels`.
    ranking, levelling : ProximityForest
        Similarity as to which configurations do well, and as to how well they do.
    seconds, memory : PowerLaw
        CPU seconds of a fit and prediction with one thread, and their peak memory in 10^6 bytes.
    tuned : TunedRuns
        Of configurations that stand on single tasks, beside the table.
    surrogates : dict of str to Surrogate
    method : {"portfolio", "nearest", "forest", "kernel", "surrogate", "blend"}
        What orders the configurations: the winner on unseen families.
    exponents : dict of str to ndarray of shape (n_tasks, n_configurations)
        For each stored metric, how quickly what is left to a perfect score falls with the training rows.
    widths : dict of str to float
        Half-width of the 80 % interval in spreads, calibrated on unseen families.
    usual : ndarray of shape (2, 2)
        Median and 99th percentile of :meth:`strangeness` over the known tasks, each without its own family.
    importance : ndarray of shape (n_tasks,), optional
        By what the weight of each task is multiplied; all alike by default.
    """

    target: str
    metafeature_names: list[str]
    tasks: pd.DataFrame
    configurations: dict[str, Configuration]
    metafeatures: FloatArray
    regrets: dict[str, FloatArray]
    levels: dict[str, FloatArray]
    sizes: FloatArray
    ranking: ProximityForest
    levelling: ProximityForest
    seconds: PowerLaw
    memory: PowerLaw
    tuned: TunedRuns
    surrogates: dict[str, Surrogate] = field(default_factory=dict)
    exponents: dict[str, FloatArray] = field(default_factory=dict)
    method: str = "forest"
    widths: dict[str, float] = field(default_factory=dict)
    widths_between: dict[str, float] = field(default_factory=dict)
    usual: FloatArray = field(default_factory=lambda: np.array([[0.0], [1.0]]) * np.ones(2))
    importance: FloatArray | None = None

    @classmethod
    def fit(cls, metabase: MetaBase, target: str, random_state: int = 0) -> TargetModel:
        """Train all parts on the tasks of one target."""
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
        encoded = encode_configurations(SearchSpace.for_kind(target), list(configurations.values()))
        n_train = training_rows(metabase).reindex(task_ids).to_numpy(dtype="float64")
        shape = table[["n_features", "n_classes"]].astype("float64").fillna(1.0).to_numpy()
        seconds, memory = _cost_laws(metabase, task_ids, shape, configurations)
        others = weights_of_others(encoded, [c.algorithm for c in configurations.values()])
        # Beyond the median of the defaults, how bad a configuration is does not matter for what is alike.
        clipped = np.hstack([fill_from_others(np.minimum(regrets[m], 1.0), others) for m in metrics])
        filled = np.hstack([fill_from_others(levels[m], others) for m in metrics])
        part = cls(
            target=target,
            metafeature_names=list(metafeatures.columns),
            tasks=table.reset_index()[["task_id", "name", "openml_id", "family", "fingerprint"]],
            configurations=configurations,
            metafeatures=X,
            regrets=regrets,
            levels=levels,
            sizes=np.column_stack([n_train, shape]),
            ranking=ProximityForest.fit(X, clipped, families, random_state=random_state),
            levelling=ProximityForest.fit(X, filled, families, random_state=random_state + 1),
            seconds=seconds,
            memory=memory,
            tuned=TunedRuns.of(metabase, target, task_ids),
            surrogates={
                m: Surrogate.fit(X, encoded, regrets[m], families, random_state=random_state) for m in metrics
            },
            widths=dict.fromkeys(metrics, Z_80),
        )
        return replace(part, usual=part._measure(), exponents=learn_exponents(part, metabase))

    @property
    def families(self) -> NDArray[np.str_]:
        """Family of each known task."""
        return self.ranking.families

    @cached_property
    def defaults(self) -> list[int]:
        """Positions of the library defaults among the configurations."""
        return [i for i, c in enumerate(self.configurations.values()) if c.origin == "default"]

    def best_algorithms(self) -> list[str]:
        """Return, for each known task, the algorithm of the configuration with the best mean rank over metrics."""
        ranks = np.mean([centred_ranks(fill_with_column_means(t)) for _, t in self.filled.values()], axis=0)
        algorithms = [c.algorithm for c in self.configurations.values()]
        return [algorithms[i] for i in ranks.argmax(axis=1)]

    @cached_property
    def embedding(self) -> TaskEmbedding:
        """Where the known tasks stand: near means that configurations come in the same order."""
        return TaskEmbedding.fit(levels for _, levels in self.filled.values())

    @cached_property
    def others(self) -> FloatArray:
        """Each stored configuration as a weighted mean of the others, shape (n_configurations, n_configurations)."""
        return weights_of_others(self.encoded, [c.algorithm for c in self.configurations.values()])

    @cached_property
    def filled(self) -> dict[str, tuple[FloatArray, FloatArray]]:
        """Regrets and levels for each stored metric, what was not run filled from what was run on the same task.

        What was run and failed has a regret and no level.
        """
        found = {}
        for metric, regrets in self.regrets.items():
            levels = fill_from_others(self.levels[metric], self.others)
            failed = np.isfinite(regrets) & ~np.isfinite(self.levels[metric])
            found[metric] = fill_from_others(regrets, self.others), np.where(failed, np.nan, levels)
        return found

    @cached_property
    def smoother(self) -> KernelSmoother:
        """What places tasks in the embedding by their meta-features, and predicts regrets beside the forest."""
        return KernelSmoother(self.metafeatures, self.families, self.importance)

    @cached_property
    def similarity(self) -> FloatArray:
        """What each known task says about each other one, shape (n_tasks, n_tasks); its own family says nothing."""
        return self.ranking.weights(self.metafeatures, [(family,) for family in self.families])

    @cached_property
    def encoded(self) -> FloatArray:
        """The stored configurations as the surrogate reads them."""
        return encode_configurations(SearchSpace.for_kind(self.target), list(self.configurations.values()))

    def interpolate(self, configurations: Sequence[Configuration]) -> FloatArray:
        """Return any configurations as weighted means of the stored ones, shape (n_configurations, n_stored)."""
        encoded = encode_configurations(SearchSpace.for_kind(self.target), configurations)
        algorithms = [c.algorithm for c in self.configurations.values()]
        mixing = interpolation_weights(
            encoded, [c.algorithm for c in configurations], self.encoded, algorithms
        )
        positions = {i: position for position, i in enumerate(self.configurations)}
        for row, configuration in zip(mixing, configurations, strict=True):
            if configuration.id in positions:
                row[:] = 0.0
                row[positions[configuration.id]] = 1.0
        return mixing

    def row(self, metafeatures: pd.Series) -> FloatArray:
        """Order a task's meta-features as the model was trained on them."""
        return metafeatures.reindex(self.metafeature_names).to_numpy(dtype="float64")

    def distances(self, x: FloatArray) -> FloatArray:
        """Distance in standardised meta-features from one task to each known one; see :meth:`novelty`."""
        centre, scale = self._standard
        known = np.clip(
            (np.where(np.isfinite(self.metafeatures), self.metafeatures, centre) - centre) / scale, -4, 4
        )
        z = np.clip((np.where(np.isfinite(x), x, centre) - centre) / scale, -12, 12)
        return np.asarray(np.sqrt(((known - z) ** 2).mean(axis=1)))

    @cached_property
    def _standard(self) -> tuple[FloatArray, FloatArray]:
        low, centre, high = np.nanquantile(self.metafeatures, [0.1, 0.5, 0.9], axis=0)
        return centre, np.maximum((high - low) / 2.56, 1e-6)

    def strangeness(self, x: FloatArray, exclude: Collection[str] = ()) -> FloatArray:
        """Return how little is known that is like a task, in two ways.

        Returns
        -------
        ndarray of shape (2,)
            The mean distance to the five nearest tasks in standardised meta-features; and the spread, in the
            embedding, of the tasks that speak for it: how uncertain its own place is.
        """
        others = self.distances(x)[~np.isin(self.families, list(exclude))]
        distance = np.sort(others)[:N_NEIGHBOURS].mean() if len(others) else np.inf
        return np.array([distance, self.embedding.spread(self.weights(x, "forest", exclude))])

    def novelty(self, x: FloatArray, exclude: Collection[str] = ()) -> float:
        """Return how far a task lies from all known ones.

        The larger of both kinds of strangeness, each on a scale where the median of the known tasks (each without its
        own family) is 0 and their 99th percentile .5; clipped to [0, 1].
        """
        if np.isin(self.families, list(exclude)).all():
            return 1.0
        middle, far = self.usual
        # Among few tasks the far end is near the middle; what is hardly further than usual is not strange.
        way = np.maximum(far - middle, np.maximum(LEAST_WAY * middle, 1e-9))
        share = 0.5 * (self.strangeness(x, exclude) - middle) / way
        return float(np.clip(share.max(), 0.0, 1.0))

    def _measure(self) -> FloatArray:
        """Return median and 99th percentile of both kinds of strangeness over the known tasks."""
        found = [
            self.strangeness(x, (family,)) for x, family in zip(self.metafeatures, self.families, strict=True)
        ]
        return np.asarray(np.quantile(found, [0.5, 0.99], axis=0))

    def tables(self, metric: str, n_train: float | None = None) -> tuple[FloatArray, FloatArray]:
        """Return regrets and levels of the known tasks, as if there had been so many training rows.

        Parameters
        ----------
        metric : str
        n_train : float, optional
            Only what lies beyond the rows that most known tasks were run on changes anything: below, the weights of
            tasks of like size say more than their curves (measured on left-out families).
        """
        regrets, levels = self.filled[metric]
        if n_train is None or n_train <= self.usual_rows or metric not in self.exponents:
            return regrets, levels
        ratio = n_train / np.maximum(self.sizes[:, 0], self.usual_rows)
        moved = levels_at(levels, self.exponents[metric], ratio)
        return regrets_at(regrets, levels, moved, self.defaults), moved

    @cached_property
    def usual_rows(self) -> float:
        """Training rows that a quarter of the known tasks had, or more."""
        return float(np.quantile(self.sizes[:, 0], 0.75))

    def runs_on(self, task: int, metric: str) -> tuple[list[Configuration], FloatArray]:
        """Return the configurations that were run on a known task, tuned ones included, and their levels."""
        known = np.flatnonzero(np.isfinite(self.levels[metric][task]))
        stored = list(self.configurations.values())
        others, levels = self.tuned.on(task, metric)
        return [*(stored[i] for i in known), *others], np.r_[self.levels[metric][task, known], levels]

    def weights(self, x: FloatArray, method: str, exclude: Collection[str] = ()) -> FloatArray:
        """Return how much each known task counts for a new one under a method; sums to 1."""
        return self._weighted(self._similarities(x, method, exclude))

    def _weighted(self, shares: FloatArray) -> FloatArray:
        """Multiply shares, in rows or in one, by the importance of the tasks; each row sums to 1 again."""
        if self.importance is None:
            return shares
        weighted = shares * self.importance
        return np.asarray(weighted / weighted.sum(axis=-1, keepdims=True))

    def _similarities(self, x: FloatArray, method: str, exclude: Collection[str]) -> FloatArray:
        allowed = ~np.isin(self.families, list(exclude))
        if not allowed.any():
            allowed[:] = True
        if method == "portfolio":
            return allowed / allowed.sum()
        if method == "nearest":
            distance = np.where(allowed, self.distances(x), np.inf)
            nearest = np.argsort(distance, kind="stable")[:N_NEIGHBOURS]
            weights = np.zeros(len(distance))
            weights[nearest] = 1.0 / (0.1 + distance[nearest])
            return np.asarray(weights / weights.sum())
        if method == "blend":
            halves = [self._similarities(x, name, exclude) for name in ("forest", "kernel")]
            return np.asarray(np.mean(halves, axis=0))
        if method == "kernel":
            # As a regression it also has tasks that speak against; as a distribution it cannot.
            weights = np.maximum(self._kernel_weights(x, exclude), 0.0)
        else:
            weights = self.ranking.weights(x[None, :], [exclude])[0] ** SHARPNESS
        return np.asarray(weights / weights.sum())

    def _kernel_weights(self, x: FloatArray, exclude: Collection[str]) -> FloatArray:
        return self.smoother.weights(x[None, :], [exclude])[0]

    def predict(
        self,
        x: FloatArray,
        metric: str,
        *,
        exclude: Collection[str] = (),
        method: str | None = None,
        n_train: float | None = None,
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Predict the regret of the stored configurations on one task.

        Returns
        -------
        regret, spread : ndarray of shape (n_configurations,)
        scenarios : ndarray of shape (n_tasks, n_configurations)
        weights : ndarray of shape (n_tasks,)
        """
        method = method or self.method
        table, _ = self.tables(metric, n_train)
        weights = self.weights(x, method, exclude)
        plain, spread = (values[0] for values in weighted_mean(weights[None, :], table))
        scenarios = np.where(np.isfinite(table), table, plain)
        mean = self._regress(x, table, method, exclude)
        share = SURROGATE_SHARE.get(method, 0.0)
        if share and metric in self.surrogates:
            # It speaks for the tasks that it was trained on; others may have been added since.
            share *= float(weights[np.isin(self.families, list(self.surrogates[metric].families))].sum())
            other, other_spread = self.surrogates[metric].predict(x, self.encoded, exclude)
            mean = (1 - share) * mean + share * other
            spread = np.sqrt((1 - share) * spread**2 + share * other_spread**2)
        return mean, spread, scenarios + (mean - plain), weights

    def _regress(self, x: FloatArray, table: FloatArray, method: str, exclude: Collection[str]) -> FloatArray:
        """Mean of the known tasks as the kernel, another method, or forest and kernel together weigh them."""
        if method == "blend":
            halves = [self._regress(x, table, name, exclude) for name in ("forest", "kernel")]
            return np.asarray(np.mean(halves, axis=0))
        if method == "kernel":
            return np.asarray(self._kernel_weights(x, exclude) @ fill_with_column_means(table))
        return weighted_mean(self.weights(x, method, exclude)[None, :], table)[0][0]

    def predict_task(
        self,
        x: FloatArray,
        metric: str,
        *,
        exclude: Collection[str] = (),
        sizes: Sequence[float] | None = None,
        method: str | None = None,
    ) -> Prediction:
        """Predict the stored configurations on one task; see :meth:`MetaModel.predict`.

        Parameters
        ----------
        x : ndarray of shape (n_metafeatures,)
        metric : str
        exclude : collection of str, default=()
        sizes : sequence of three numbers, optional
            Training rows, columns and classes. Without them, costs are those of the median task, and results those
            of the rows that the known tasks were run on.
        method : str, optional
            What orders the configurations, one of ``METHODS``.
        """
        n_train = None if sizes is None else sizes[0]
        costs = np.median(self.sizes, axis=0) if sizes is None else sizes
        novelty = self.novelty(x, exclude)
        regret, spread, scenarios, weights = self.predict(
            x, metric, exclude=exclude, method=method, n_train=n_train
        )
        # Far from everything known, the portfolio that is best on average takes over.
        share = max(2.0 * novelty - 1.0, 0.0)
        if share:
            plain = self.predict(x, metric, exclude=exclude, method="portfolio", n_train=n_train)
            own = (regret, spread, scenarios, weights)
            regret, spread, scenarios, weights = (
                (1 - share) * a + share * b for a, b in zip(own, plain, strict=True)
            )
        level, lower, upper = self.predict_levels(x, metric, exclude, n_train)
        return Prediction(
            configuration_ids=list(self.configurations),
            regret=regret,
            regret_spread=spread,
            level=level,
            lower=lower,
            upper=upper,
            seconds=self.seconds.predict(*costs),
            memory=self.memory.predict(*costs),
            scenarios=scenarios,
            weights=weights,
            defaults=self.defaults,
            novelty=novelty,
        )

    def predict_levels(
        self, x: FloatArray, metric: str, exclude: Collection[str] = (), n_train: float | None = None
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Predict how well the stored configurations do: level, lower and upper end of the 80 % interval."""
        weights = self._weighted(self.levelling.weights(x[None, :], [exclude]))
        mean, spread = (values[0] for values in weighted_mean(weights, self.tables(metric, n_train)[1]))
        half = self.widths[metric] * np.maximum(spread, MIN_SPREAD)
        return mean, np.maximum(mean - half, -1.0), np.minimum(mean + half, 1.0)

    def predict_between(
        self,
        prediction: Prediction,
        configurations: Sequence[Configuration],
        x: FloatArray,
        metric: str,
        exclude: Collection[str] = (),
    ) -> Prediction:
        """Extend a prediction for the stored configurations to any others.

        Each is seen as a weighted mean of the stored ones of its algorithm; its regret is averaged with that of the
        surrogate, and its intervals are wider.
        """
        mixing = self.interpolate(configurations)
        between = mixing.max(axis=1, initial=0.0) < 1.0
        level, regret = mixing @ prediction.level, mixing @ prediction.regret
        spread, scenarios = mixing @ prediction.regret_spread, prediction.scenarios @ mixing.T
        ratio = self.widths_between.get(metric, self.widths[metric]) / self.widths[metric]
        half = np.where(between, ratio, 1.0) * (mixing @ (prediction.upper - prediction.lower)) / 2.0
        if between.any() and metric in self.surrogates:
            encoded = encode_configurations(SearchSpace.for_kind(self.target), configurations)
            other, other_spread = self.surrogates[metric].predict(x, encoded, exclude)
            moved = np.where(between, (regret + other) / 2.0, regret)
            spread = np.where(between, np.maximum(spread, other_spread), spread)
            scenarios, regret = scenarios + (moved - regret), moved
        return Prediction(
            configuration_ids=[c.id for c in configurations],
            regret=regret,
            regret_spread=spread,
            level=level,
            lower=np.maximum(level - half, -1.0),
            upper=np.minimum(level + half, 1.0),
            seconds=np.exp(mixing @ np.log(prediction.seconds)),
            memory=np.exp(mixing @ np.log(prediction.memory)),
            scenarios=scenarios,
            weights=prediction.weights,
            defaults=[i for i, c in enumerate(configurations) if c.origin == "default"],
            novelty=prediction.novelty,
        )


def training_rows(metabase: MetaBase) -> pd.Series:
    """Return the training rows of each task's runs at its main fidelity, by task id."""
    runs = metabase.runs
    is_main = runs["fidelity"] == runs["task_id"].map(metabase.main_fidelities)
    return runs[is_main].groupby("task_id")["n_train"].max()


def learn_exponents(part: TargetModel, metabase: MetaBase) -> dict[str, FloatArray]:
    """Learn how results change with the training rows, from the tasks that were run at several fidelities.

    Parameters
    ----------
    part : TargetModel
        Whose tasks and configurations the exponents are for.
    metabase : MetaBase
        What they are learned from; not necessarily all of the tasks.
    """
    runs = metabase.runs
    ids = part.tasks["task_id"]
    rows = {
        fidelity: own.groupby("task_id")["n_train"].max().reindex(ids).to_numpy(dtype="float64")
        for fidelity, own in runs[runs["task_id"].isin(ids)].groupby("fidelity")
    }
    algorithms = [c.algorithm for c in part.configurations.values()]
    found = {}
    for metric in part.levels:
        levels = [
            metabase.levels(metric, part.target, int(f))
            .reindex(ids, columns=list(part.configurations))
            .to_numpy()
            for f in rows
        ]
        observed = observed_exponents(levels, list(rows.values()))
        found[metric] = expected_exponents(observed, part.levels[metric], part.similarity, algorithms)
    return found


def _cost_laws(
    metabase: MetaBase,
    task_ids: Sequence[str],
    shape: FloatArray,
    configurations: Mapping[str, Configuration],
) -> tuple[PowerLaw, PowerLaw]:
    """Learn seconds and memory from the runs at every fidelity."""
    runs = metabase.runs
    rows = pd.Index(task_ids).get_indexer(runs["task_id"])
    columns = pd.Index(list(configurations)).get_indexer(runs["configuration_id"])
    kept = (rows >= 0) & (columns >= 0) & (runs["status"] == "ok").to_numpy()
    runs, rows, columns = runs[kept], rows[kept], columns[kept]
    sizes = np.column_stack([runs["n_train"].to_numpy(dtype="float64"), shape[rows]])
    algorithms = [c.algorithm for c in configurations.values()]
    seconds, memory = (
        runs.reindex(columns=names).sum(axis=1, min_count=1).to_numpy(dtype="float64")
        for names in (["fit_seconds", "predict_seconds"], ["memory_mb"])
    )
    return (
        PowerLaw.fit(seconds, columns, sizes, algorithms),
        PowerLaw.fit(memory, columns, sizes, algorithms),
    )
