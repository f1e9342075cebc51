"""MetaModel: the trained parts together, one set for classification and one for regression."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autometa.errors import StorageError, UsageError
from autometa.metabase import MetaBase, metabase_directory, read_manifest, write_manifest
from autometa.metamodel._files import read_part, write_part
from autometa.metamodel.portfolio import fill_with_column_means
from autometa.metamodel.posterior import FewShot, TaskMixture
from autometa.metamodel.prediction import Prediction
from autometa.metamodel.target import TargetModel
from autometa.space import Configuration, target_of
from autometa.task import DataIssue

FloatArray = NDArray[np.float64]

MODEL_SCHEMA: Final = 2
N_PAST_TASKS: Final = 48


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
        sizes: Sequence[float] | None = None,
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
        sizes : sequence of three numbers, optional
            Training rows, columns and classes of the task. Without them, costs are those of the median task, and
            results those of the rows that the known tasks were run on.
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
        prediction = part.predict_task(x, metric, exclude=exclude, sizes=sizes)
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
        self,
        metafeatures: pd.Series,
        kind: str,
        metric: str,
        *,
        exclude: Collection[str] = (),
        n_train: float | None = None,
    ) -> FewShot:
        """Return what results on a new task are to change, over the stored configurations.

        Performance is the level: 0 that of the best constant prediction, 1 perfect; on `n_train` training rows, or on
        those that the known tasks were run on.
        """
        part = self.part(kind)
        x = part.row(metafeatures)
        weights, novelty = part.weights(x, "blend", exclude), part.novelty(x, exclude)
        kept = ~np.isin(part.families, list(exclude))
        if not kept.any():
            kept[:] = True
        share = max(2.0 * novelty - 1.0, 0.0)
        weights = (1 - share) * weights[kept] + share / kept.sum()
        return FewShot(
            TaskMixture.fit(part.tables(metric, n_train)[1][kept], part.similarity[np.ix_(kept, kept)]),
            weights,
        )

    def past_runs(
        self,
        metafeatures: pd.Series,
        kind: str,
        metric: str,
        *,
        exclude: Collection[str] = (),
        n_tasks: int = N_PAST_TASKS,
    ) -> list[tuple[list[Configuration], FloatArray]]:
        """Return what was run on the known tasks that are most alike, tuned configurations included.

        Returns
        -------
        list of (list of Configuration, ndarray)
            For each task, most similar first, the configurations and how well they did: 0 as the best constant
            prediction, 1 perfect.
        """
        part = self.part(kind)
        weights = part.weights(part.row(metafeatures), "blend", exclude)
        order = np.argsort(-weights, kind="stable")[:n_tasks]
        return [part.runs_on(i, metric) for i in order.tolist() if weights[i] > 0.0]

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
        return part.embedding.place(part.smoother.weights(part.row(metafeatures)[None, :], [exclude]))[0]

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
        table = np.minimum(fill_with_column_means(part.filled[metric][0])[:, list(columns)], 1.0)
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
        for part in self.parts.values():
            write_part(part, directory)
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
            parts = {target: read_part(directory, target) for target in description["targets"]}
        except (OSError, ValueError, KeyError) as error:
            if isinstance(error, StorageError):
                raise
            raise StorageError(
                "AM608", f"the meta-model in {directory} cannot be read: {error}.", "Train it again."
            ) from error
        return cls(parts, description.get("report"))
