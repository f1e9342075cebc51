"""MetaModel: the trained parts together, one set for classification and one for regression."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autometa.errors import StorageError, UsageError
from autometa.metabase import MetaBase, metabase_directory, read_manifest, target_of, write_manifest
from autometa.metamodel.embedding import TaskEmbedding
from autometa.metamodel.interpolation import interpolation_weights
from autometa.metamodel.portfolio import fill_with_column_means, safe_portfolio
from autometa.metamodel.posterior import FewShot, TaskMixture
from autometa.metamodel.proximity import ProximityForest, weighted_mean
from autometa.metamodel.seconds import SecondsModel
from autometa.metamodel.surrogate import Surrogate, encode_configurations
from autometa.metrics import stored_metrics
from autometa.space import Configuration, SearchSpace
from autometa.task import DataIssue

FloatArray = NDArray[np.float64]

MODEL_SCHEMA: Final = 1
METHODS: Final = ("portfolio", "nearest", "forest", "surrogate", "blend")
Z_80: Final = 1.2816
MIN_SPREAD: Final = 0.01
N_NEIGHBOURS: Final = 5
SHARPNESS: Final = 1.5
SURROGATE_SHARE: Final = {"surrogate": 1.0, "blend": 0.4}


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the meta-model says about configurations on one task.

    Attributes
    ----------
    configuration_ids : list of str
    regret, regret_spread : ndarray of shape (n_configurations,)
        Expected normalised regret in [0, 2] and its standard deviation.
    level, lower, upper : ndarray of shape (n_configurations,)
        Expected share of the way from the best constant prediction (0) to a perfect one (1), with an 80 % interval.
    seconds : ndarray of shape (n_configurations,)
        CPU seconds of one fit, one thread.
    scenarios : ndarray of shape (n_tasks, n_configurations)
        Regrets on the known tasks, moved so that their weighted mean is `regret`.
    weights : ndarray of shape (n_tasks,)
        How much each known task counts; sums to 1.
    defaults : list of int
        Positions of the library defaults.
    novelty : float in [0, 1]
    """

    configuration_ids: list[str]
    regret: FloatArray
    regret_spread: FloatArray
    level: FloatArray
    lower: FloatArray
    upper: FloatArray
    seconds: FloatArray
    scenarios: FloatArray
    weights: FloatArray
    defaults: list[int]
    novelty: float

    def portfolio(
        self, k: int, allowed: NDArray[np.bool_] | None = None, time_budget: float | None = None
    ) -> list[int]:
        """Choose `k` configurations as a set, a library default among the first.

        Parameters
        ----------
        k : int
        allowed : ndarray of bool, shape (n_configurations,), optional
        time_budget : float, optional
            Seconds. With it, all but the first are chosen by what they gain per second, a tenth of the budget added
            to each one's own.
        """
        columns = np.arange(len(self.regret)) if allowed is None else np.flatnonzero(allowed)
        costs = None if time_budget is None else self.seconds[columns] + 0.1 * time_budget
        chosen = safe_portfolio(
            self.scenarios[:, columns],
            k,
            weights=self.weights,
            expected=self.regret[columns],
            defaults=np.flatnonzero(np.isin(columns, self.defaults)).tolist(),
            costs=costs,
        )
        return columns[chosen].tolist()


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
        For each stored metric.
    ranking, levelling : ProximityForest
        Similarity as to which configurations do well, and as to how well they do.
    seconds : SecondsModel
    surrogates : dict of str to Surrogate
    method : {"portfolio", "nearest", "forest", "surrogate", "blend"}
        What orders the configurations: the winner on unseen families.
    widths : dict of str to float
        Half-width of the 80 % interval in spreads, calibrated on unseen families.
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
    ranking: ProximityForest
    levelling: ProximityForest
    seconds: SecondsModel
    surrogates: dict[str, Surrogate] = field(default_factory=dict)
    method: str = "forest"
    widths: dict[str, float] = field(default_factory=dict)
    widths_between: dict[str, float] = field(default_factory=dict)
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
        metafeatures = metabase.metafeatures.loc[task_ids]
        metafeatures = metafeatures.loc[:, metafeatures.notna().any()]
        names = sorted(metafeatures.columns)
        X = metafeatures[names].to_numpy(dtype="float64")
        metrics = stored_metrics(target)
        regrets = {m: metabase.regrets(m, target).to_numpy() for m in metrics}
        levels = {m: metabase.levels(m, target).to_numpy() for m in metrics}
        configurations = metabase.configurations_of(target)
        families = metabase.families(task_ids)
        encoded = encode_configurations(SearchSpace.for_kind(target), list(configurations.values()))
        n_train = (
            metabase.runs.groupby("task_id")["n_train"].max().reindex(task_ids).to_numpy(dtype="float64")
        )
        sizes = np.column_stack(
            [n_train, table["n_features"].astype("float64"), table["n_classes"].fillna(1).astype("float64")]
        )
        return cls(
            target,
            names,
            table.reset_index()[["task_id", "name", "openml_id", "family", "fingerprint"]],
            configurations,
            X,
            regrets,
            levels,
            # Beyond the median of the defaults, how bad a configuration is does not matter for what is alike.
            ProximityForest.fit(
                X,
                np.hstack([np.minimum(regrets[m], 1.0) for m in metrics]),
                families,
                random_state=random_state,
            ),
            ProximityForest.fit(
                X, np.hstack([levels[m] for m in metrics]), families, random_state=random_state + 1
            ),
            SecondsModel.fit(
                metabase.seconds(target).to_numpy(), sizes, [c.algorithm for c in configurations.values()]
            ),
            {m: Surrogate.fit(X, encoded, regrets[m], families, random_state=random_state) for m in metrics},
            widths=dict.fromkeys(metrics, Z_80),
        )

    @property
    def families(self) -> NDArray[np.str_]:
        """Family of each known task."""
        return self.ranking.families

    @cached_property
    def defaults(self) -> list[int]:
        """Positions of the library defaults among the configurations."""
        return [i for i, c in enumerate(self.configurations.values()) if c.origin == "default"]

    @cached_property
    def embedding(self) -> TaskEmbedding:
        """Where the known tasks stand: near means that configurations come in the same order."""
        return TaskEmbedding.fit(self.levels.values())

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

    @cached_property
    def _usual_distances(self) -> FloatArray:
        """Distance of every known task to its nearest ones of other families."""
        found = []
        for i, x in enumerate(self.metafeatures):
            others = self.distances(x)[self.families != self.families[i]]
            found.append(np.sort(others)[:N_NEIGHBOURS].mean() if len(others) else 0.0)
        return np.asarray(found)

    def novelty(self, x: FloatArray, exclude: Collection[str] = ()) -> float:
        """Return how far a task lies from all known ones.

        The mean distance to the five nearest, on a scale where the median of the known tasks (each without its own
        family) is 0 and their 99th percentile .5; clipped to [0, 1].
        """
        others = self.distances(x)[~np.isin(self.families, list(exclude))]
        if not len(others):
            return 1.0
        distance = np.sort(others)[:N_NEIGHBOURS].mean()
        middle, far = np.quantile(self._usual_distances, [0.5, 0.99])
        return float(np.clip(0.5 * (distance - middle) / max(far - middle, 1e-9), 0.0, 1.0))

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
        weights = self.ranking.weights(x[None, :], [exclude])[0] ** SHARPNESS
        return np.asarray(weights / weights.sum())

    def predict(
        self, x: FloatArray, metric: str, *, exclude: Collection[str] = (), method: str | None = None
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Predict the regret of the stored configurations on one task.

        Returns
        -------
        regret, spread : ndarray of shape (n_configurations,)
        scenarios : ndarray of shape (n_tasks, n_configurations)
        weights : ndarray of shape (n_tasks,)
        """
        method = method or self.method
        table = self.regrets[metric]
        weights = self.weights(x, method, exclude)
        mean, spread = (values[0] for values in weighted_mean(weights[None, :], table))
        scenarios = np.where(np.isfinite(table), table, mean)
        share = SURROGATE_SHARE.get(method, 0.0)
        if share and metric in self.surrogates:
            # It speaks for the tasks that it was trained on; others may have been added since.
            share *= float(weights[np.isin(self.families, list(self.surrogates[metric].families))].sum())
            other, other_spread = self.surrogates[metric].predict(x, self.encoded, exclude)
            moved = (1 - share) * mean + share * other
            spread = np.sqrt((1 - share) * spread**2 + share * other_spread**2)
            return moved, spread, scenarios + (moved - mean), weights
        return mean, spread, scenarios, weights

    def predict_levels(
        self, x: FloatArray, metric: str, exclude: Collection[str] = ()
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Predict how well the stored configurations do: level, lower and upper end of the 80 % interval."""
        weights = self._weighted(self.levelling.weights(x[None, :], [exclude]))
        mean, spread = (values[0] for values in weighted_mean(weights, self.levels[metric]))
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
            scenarios=scenarios,
            weights=prediction.weights,
            defaults=[i for i, c in enumerate(configurations) if c.origin == "default"],
            novelty=prediction.novelty,
        )


class MetaModel:
    """What the runs on known tasks say about configurations on a new one.

    Parameters
    ----------
    parts : mapping of {"classification", "regression"} to TargetModel
    report : mapping, optional
        Figures of the leave-one-family-out report.
    notices : sequence of DataIssue, default=()
        What users should know about where the model comes from.
    """

    def __init__(
        self,
        parts: Mapping[str, TargetModel],
        report: Mapping[str, Any] | None = None,
        *,
        notices: Sequence[DataIssue] = (),
    ) -> None:
        self.parts = dict(parts)
        self.report = dict(report or {})
        self.notices = tuple(notices)

    @classmethod
    def fit(cls, metabase: MetaBase, *, random_state: int = 0) -> Self:
        """Train on a metadata base; see :func:`autometa.training.train` for the report and the choice of method.

        Raises
        ------
        StorageError
            AM607 when no target has at least two tasks.
        """
        targets = [t for t in ("classification", "regression") if len(metabase.task_ids(t)) >= 2]
        if not targets:
            raise StorageError(
                "AM607", "the metadata base holds no two tasks of one target with runs.", "Collect more."
            )
        return cls({target: TargetModel.fit(metabase, target, random_state) for target in targets})

    def part(self, kind: str) -> TargetModel:
        """Return the parts for a kind of task.

        Raises
        ------
        UsageError
            AM507 when the model was trained without tasks of this kind.
        """
        target = target_of(kind)
        if target not in self.parts:
            raise UsageError(
                "AM507",
                f"the meta-model knows no {target} tasks.",
                "Train it on a metadata base that has some.",
            )
        return self.parts[target]

    def predict(
        self,
        metafeatures: pd.Series,
        kind: str,
        metric: str,
        *,
        exclude: Collection[str] = (),
        sizes: tuple[int, int, int] = (1000, 10, 2),
        configurations: Sequence[Configuration] | None = None,
    ) -> Prediction:
        """Predict configurations on one task.

        Parameters
        ----------
        metafeatures : Series
            As :func:`autometa.extract_metafeatures` returns it.
        kind : {"binary", "multiclass", "regression"}
        metric : str
            A stored metric.
        exclude : collection of str, default=()
            Families whose runs must not count.
        sizes : tuple of int, default=(1000, 10, 2)
            Training rows, columns and classes of the task, for the seconds.
        configurations : sequence of Configuration, optional
            Any of the search space; the stored ones by default.

        Returns
        -------
        Prediction

        Raises
        ------
        UsageError
            AM507 for a kind, AM511 for an algorithm of which there is no experience.
        """
        part = self.part(kind)
        x = part.row(metafeatures)
        novelty = part.novelty(x, exclude)
        regret, spread, scenarios, weights = part.predict(x, metric, exclude=exclude)
        if novelty > 0:
            # Far from everything known, the portfolio that is best on average takes over.
            plain, plain_spread, plain_scenarios, uniform = part.predict(
                x, metric, exclude=exclude, method="portfolio"
            )
            regret = (1 - novelty) * regret + novelty * plain
            spread = (1 - novelty) * spread + novelty * plain_spread
            scenarios = (1 - novelty) * scenarios + novelty * plain_scenarios
            weights = (1 - novelty) * weights + novelty * uniform
        level, lower, upper = part.predict_levels(x, metric, exclude)
        seconds = part.seconds.predict(*sizes)
        prediction = Prediction(
            configuration_ids=list(part.configurations),
            regret=regret,
            regret_spread=spread,
            level=level,
            lower=lower,
            upper=upper,
            seconds=seconds,
            scenarios=scenarios,
            weights=weights,
            defaults=part.defaults,
            novelty=novelty,
        )
        if configurations is None:
            return prediction
        unknown = sorted(
            {c.algorithm for c in configurations} - {c.algorithm for c in part.configurations.values()}
        )
        if unknown:
            raise UsageError(
                "AM511", f"the meta-model knows no {unknown[0]}.", "Leave out algorithms without experience."
            )
        return part.predict_between(prediction, configurations, x, metric, exclude)

    def few_shot(
        self, metafeatures: pd.Series, kind: str, metric: str, *, exclude: Collection[str] = ()
    ) -> FewShot:
        """Return what results on a new task are to change, over the stored configurations.

        Performance is the level: 0 that of the best constant prediction, 1 perfect.
        """
        part = self.part(kind)
        x = part.row(metafeatures)
        weights, novelty = part.weights(x, "forest", exclude), part.novelty(x, exclude)
        kept = ~np.isin(part.families, list(exclude))
        if not kept.any():
            kept[:] = True
        weights = (1 - novelty) * weights[kept] + novelty / kept.sum()
        return FewShot(
            TaskMixture.fit(part.levels[metric][kept], part.similarity[np.ix_(kept, kept)]), weights
        )

    def rank(
        self, metafeatures: pd.Series, kind: str, metric: str, *, k: int = 10, exclude: Collection[str] = ()
    ) -> list[Configuration]:
        """Return the `k` stored configurations to try first, chosen as a set."""
        part = self.part(kind)
        prediction = self.predict(metafeatures, kind, metric, exclude=exclude)
        return [part.configurations[prediction.configuration_ids[i]] for i in prediction.portfolio(k)]

    def embed(self, metafeatures: pd.Series, kind: str, *, exclude: Collection[str] = ()) -> FloatArray:
        """Return the coordinates of a task in the embedding, shape (n_dimensions,); see :class:`TaskEmbedding`."""
        part = self.part(kind)
        return part.embedding.place(part.weights(part.row(metafeatures), "forest", exclude)[None, :])[0]

    def similar_tasks(
        self, metafeatures: pd.Series, kind: str, *, k: int = 5, exclude: Collection[str] = ()
    ) -> pd.DataFrame:
        """Return the known tasks on which the same configurations are expected to do well.

        Returns
        -------
        DataFrame
            task_id, name, openml_id, distance: Euclidean, in the embedding.
        """
        part = self.part(kind)
        distance = part.embedding.distances(self.embed(metafeatures, kind, exclude=exclude))
        table = part.tasks[["task_id", "name", "openml_id"]].assign(distance=distance)
        allowed = ~np.isin(part.families, list(exclude))
        return table[allowed].nsmallest(k, "distance").reset_index(drop=True)

    def explain(
        self,
        metafeatures: pd.Series,
        kind: str,
        metric: str,
        columns: Sequence[int],
        *,
        exclude: Collection[str] = (),
    ) -> pd.DataFrame:
        """Return what each meta-feature adds to the expected regret of some stored configurations.

        Returns
        -------
        DataFrame of shape (n_metafeatures, n_columns)
            Negative speaks for a configuration.
        """
        part = self.part(kind)
        table = np.minimum(fill_with_column_means(part.regrets[metric])[:, list(columns)], 1.0)
        found = part.ranking.contributions(part.row(metafeatures), part.metafeatures, table, exclude)
        return pd.DataFrame(found, index=part.metafeature_names, columns=list(columns))

    def seen_families(self, fingerprint: str, kind: str) -> list[str]:
        """Return the families of the known tasks with this fingerprint."""
        if target_of(kind) not in self.parts:
            return []
        tasks = self.part(kind).tasks
        return sorted(set(tasks.loc[tasks["fingerprint"] == fingerprint, "family"]))

    # -- storing ------------------------------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Write the model into ``<path>/metamodel`` as JSON, npz and LightGBM text, and update the manifest."""
        final, directory = Path(path) / "metamodel", Path(path) / "metamodel.partial"
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        for target, part in self.parts.items():
            arrays: dict[str, Any] = _part_arrays(part)
            np.savez_compressed(directory / f"{target}.npz", **arrays)
            part.tasks.to_json(directory / f"{target}.tasks.json", orient="records", indent=0)
            for metric, surrogate in part.surrogates.items():
                for number, text in enumerate(surrogate.texts):
                    # No time of making in the file: the same model gives the same bytes.
                    packed = gzip.compress(text.encode(), mtime=0)
                    (directory / f"{target}.{metric}.{number}.txt.gz").write_bytes(packed)
            text = json.dumps(_part_description(part), indent=1)
            (directory / f"{target}.json").write_text(text + "\n", encoding="utf-8")
        text = json.dumps(
            {"schema": MODEL_SCHEMA, "targets": list(self.parts), "report": self.report}, indent=1
        )
        (directory / "model.json").write_text(text + "\n", encoding="utf-8")
        shutil.rmtree(final, ignore_errors=True)
        directory.rename(final)
        if (Path(path) / "tasks.parquet").is_file():
            write_manifest(Path(path), read_manifest(Path(path))["summary"])

    @classmethod
    def load(cls, path: str | Path | None = None) -> Self:
        """Read a model from the ``metamodel`` folder of a metadata base; the bundled one by default.

        Raises
        ------
        StorageError
            AM605 when there is none, AM608 when it cannot be read.
        """
        directory = metabase_directory(path) / "metamodel"
        if not (directory / "model.json").is_file():
            raise StorageError("AM605", f"{directory} holds no meta-model.", "Make one with autometa train.")
        try:
            description = json.loads((directory / "model.json").read_text(encoding="utf-8"))
            if description["schema"] > MODEL_SCHEMA:
                raise StorageError(
                    "AM606", f"{directory} was written by a newer autometa.", "Update autometa."
                )
            parts = {target: _read_part(directory, target) for target in description["targets"]}
        except (OSError, ValueError, KeyError) as error:
            if isinstance(error, StorageError):
                raise
            raise StorageError(
                "AM608", f"the meta-model in {directory} cannot be read: {error}.", "Train it again."
            ) from error
        return cls(parts, description.get("report"))


def _part_arrays(part: TargetModel) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {"metafeatures": part.metafeatures.astype(np.float32)}
    for metric in part.regrets:
        arrays[f"regrets/{metric}"] = part.regrets[metric].astype(np.float32)
        arrays[f"levels/{metric}"] = part.levels[metric].astype(np.float32)
    for name, component in (
        ("ranking", part.ranking),
        ("levelling", part.levelling),
        ("seconds", part.seconds),
    ):
        arrays |= {f"{name}/{key}": value for key, value in component.to_arrays().items()}
    return arrays


def _part_description(part: TargetModel) -> dict[str, Any]:
    return {
        "target": part.target,
        "metafeatures": part.metafeature_names,
        "configurations": {
            i: {"algorithm": c.algorithm, "params": dict(c.params), "origin": c.origin}
            for i, c in part.configurations.items()
        },
        "metrics": list(part.regrets),
        "method": part.method,
        "widths": part.widths,
        "widths_between": part.widths_between,
        "surrogates": {
            metric: {"noise": s.noise, "unseen": [sorted(families) for families in s.unseen]}
            for metric, s in part.surrogates.items()
        },
    }


def _read_part(directory: Path, target: str) -> TargetModel:
    description = json.loads((directory / f"{target}.json").read_text(encoding="utf-8"))
    with np.load(directory / f"{target}.npz", allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}

    def component(name: str) -> dict[str, NDArray[Any]]:
        return {k.removeprefix(f"{name}/"): v for k, v in arrays.items() if k.startswith(f"{name}/")}

    tasks = pd.DataFrame(json.loads((directory / f"{target}.tasks.json").read_text(encoding="utf-8")))
    return TargetModel(
        target,
        description["metafeatures"],
        tasks,
        {
            i: Configuration(c["algorithm"], c["params"], c["origin"])
            for i, c in description["configurations"].items()
        },
        arrays["metafeatures"].astype("float64"),
        {m: arrays[f"regrets/{m}"].astype("float64") for m in description["metrics"]},
        {m: arrays[f"levels/{m}"].astype("float64") for m in description["metrics"]},
        ProximityForest.from_arrays(component("ranking")),
        ProximityForest.from_arrays(component("levelling")),
        SecondsModel.from_arrays(component("seconds")),
        {
            metric: Surrogate(
                [
                    gzip.decompress((directory / f"{target}.{metric}.{number}.txt.gz").read_bytes()).decode()
                    for number in range(len(s["unseen"]))
                ],
                [frozenset(families) for families in s["unseen"]],
                s["noise"],
            )
            for metric, s in description["surrogates"].items()
        },
        description["method"],
        description["widths"],
        description.get("widths_between", {}),
    )
