"""The three tables together: making, storing and asking them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autometa.errors import StorageError, UsageError
from autometa.metabase._files import (
    CONFIGURATION_COLUMNS,
    FEW_PREFIX,
    METAFEATURE_PREFIX,
    RUN_COLUMNS,
    SCHEMA,
    TASK_COLUMNS,
    TUNED,
    by_density,
    complete,
    count_rows,
    metabase_directory,
    named_beside,
    read_manifest,
    split_configurations,
    tables_of_studies,
    typed,
    write_manifest,
    write_parquet,
)
from autometa.metabase._scores import Cells, find_problems, find_twins, levels_of, of_kind
from autometa.metrics import as_gain, stored_metrics
from autometa.space import Configuration, target_of

FloatArray = NDArray[np.float64]

TABLES: Final = ("tasks", "configurations", "runs")


@dataclass(frozen=True, eq=False)
class MetaBase:
    """Tasks with their meta-features, configurations, and runs.

    Attributes
    ----------
    tasks : DataFrame
        A row per task: ``TASK_COLUMNS``, scores of the best constant prediction with the prefix ``baseline_``, and
        meta-features with the prefix ``mf_``. With the prefix ``few_60_``, those of a sample with 60 rows, where the
        task was also run with so few.
    configurations : DataFrame
        A row per configuration: id, target (classification or regression), algorithm, params (JSON), origin. Those of
        the origin ``tuned`` were found by a search on one task; the others are the dense part, run on many tasks.
    runs : DataFrame
        A row per task, configuration and fidelity: every metric with its spread over folds (natural units; NaN where
        the metric does not apply), CPU seconds per fold, status and reason. Scores are kept to five significant
        digits, spreads and seconds to three.

    Notes
    -----
    `scores`, `levels`, `regrets` and `seconds` are tables of tasks and *dense* configurations at one fidelity: by
    default each task's main one, at which most dense configurations were run (of equals, the largest). Tuned
    configurations are no columns of them; what is the best known of a task counts them in.
    """

    tasks: pd.DataFrame
    configurations: pd.DataFrame
    runs: pd.DataFrame

    # -- making and storing -------------------------------------------------------------------------------------

    @classmethod
    def from_frames(
        cls, tasks: pd.DataFrame, runs: pd.DataFrame, configurations: pd.DataFrame | None = None
    ) -> MetaBase:
        """Check three tables and join them into a metadata base.

        Parameters
        ----------
        tasks, runs : DataFrame
            As the attributes of the class; columns that are missing and not essential are filled with NaN.
        configurations : DataFrame, optional
            Likewise. Without it, `runs` says what was run: columns ``algorithm`` and ``params`` (mapping or JSON)
            in place of ``configuration_id``.

        Raises
        ------
        StorageError
            AM603 when an essential column is missing or runs name unknown tasks or configurations.
        """
        tasks = complete(tasks, TASK_COLUMNS, ("task_id", "kind"), "tasks")
        for column in ("name", "family"):
            tasks[column] = tasks[column].astype(object).where(tasks[column].notna(), tasks["task_id"])
        if configurations is None:
            runs, configurations = split_configurations(tasks, runs)
        configurations = complete(
            configurations,
            CONFIGURATION_COLUMNS,
            ("configuration_id", "target", "algorithm", "params"),
            "configurations",
        )
        configurations["origin"] = configurations["origin"].fillna("user")
        # What one base found by a search may belong to the dense part of another.
        configurations = configurations.sort_values("origin", key=by_density, kind="stable")
        runs = complete(runs, RUN_COLUMNS, ("task_id", "configuration_id", "status"), "runs")
        base = cls(
            typed(tasks.drop_duplicates("task_id", keep="last")),
            typed(configurations.drop_duplicates(["configuration_id", "target"]).sort_index()),
            typed(runs.drop_duplicates(["task_id", "configuration_id", "fidelity"], keep="last")),
        )
        for column, table in (("task_id", base.tasks), ("configuration_id", base.configurations)):
            unknown = set(base.runs[column]) - set(table[column])
            if unknown:
                raise StorageError(
                    "AM603", f"runs name {len(unknown)} unknown {column}(s), first {sorted(unknown)[0]!r}."
                )
        return base

    @classmethod
    def from_studies(cls, storage: Any) -> MetaBase:
        """Gather the runs of every study in a storage that describes its task.

        Parameters
        ----------
        storage : str or optuna storage
            Written by ``collect`` or ``tune``. Studies without a description are left out.

        Raises
        ------
        StorageError
            AM604 when there is no such file, or no run that describes its task.
        """
        return cls.from_frames(*tables_of_studies(storage))

    @classmethod
    def load(cls, path: str | Path | None = None) -> MetaBase:
        """Read a metadata base from a directory; the bundled one by default.

        Parameters
        ----------
        path : str, Path or None, default=None
            The directory; None for the bundled base.

        Returns
        -------
        MetaBase
            Whose tables were checked against this version.

        Raises
        ------
        StorageError
            AM605 when the directory holds no metadata base, AM606 when it was written by a newer autometa.
        """
        directory = metabase_directory(path)
        manifest = read_manifest(directory)
        if manifest["schema"] > SCHEMA:
            raise StorageError(
                "AM606",
                f"{directory} has schema {manifest['schema']}, this autometa reads up to {SCHEMA}.",
                "Update autometa.",
            )
        return cls(*(pd.read_parquet(directory / f"{name}.parquet") for name in TABLES))

    def save(self, path: str | Path) -> None:
        """Write the three tables and the manifest into a directory, each file whole or not at all.

        Parameters
        ----------
        path : str or Path
            The directory, which is made where it does not exist.
        """
        directory = Path(path)
        directory.mkdir(parents=True, exist_ok=True)
        for name in TABLES:
            partial = directory / f"{name}.parquet.partial"
            write_parquet(getattr(self, name), partial)
            partial.replace(directory / f"{name}.parquet")
        write_manifest(directory, self.summary())

    def merge(self, other: MetaBase) -> MetaBase:
        """Join two bases; where both know a task, configuration or run, the other's row counts.

        Copies of a table stay in one family, and other tables keep apart, see :meth:`beside`.

        Parameters
        ----------
        other : MetaBase
            What is added.

        Returns
        -------
        MetaBase
            A new one; both are left as they are.
        """
        added = other.beside(self)
        return MetaBase.from_frames(
            *(
                pd.concat([getattr(self, name), getattr(added, name)], ignore_index=True)
                for name in ("tasks", "runs", "configurations")
            )
        )

    def beside(self, other: MetaBase) -> MetaBase:
        """Return the base with its tasks named so that they can be joined with those of another.

        A task with the fingerprint of one of the other base joins its family. One that has only the name (or family)
        of another table gets a name (and family) of its own.

        Parameters
        ----------
        other : MetaBase
            The base that keeps its names.
        """
        tasks, names = named_beside(self.tasks, other.tasks)
        runs = self.runs.assign(task_id=[names.get(i, i) for i in self.runs["task_id"]])
        return MetaBase(tasks, self.configurations, runs)

    # -- asking -------------------------------------------------------------------------------------------------

    @cached_property
    def metafeatures(self) -> pd.DataFrame:
        """Meta-features, a row per task id."""
        return self._described(METAFEATURE_PREFIX)

    def few_metafeatures(self, rows: int) -> pd.DataFrame:
        """Return the meta-features of samples with few rows, a row per task id; NaN for what was not described.

        Parameters
        ----------
        rows : int
            The fidelity of the runs that the samples are those of.
        """
        return self._described(f"{FEW_PREFIX}{rows}_")

    def _described(self, prefix: str) -> pd.DataFrame:
        columns = [name for name in self.tasks.columns if name.startswith(prefix)]
        table = self.tasks.set_index("task_id")[columns].astype("float64")
        return table.rename(columns=lambda name: name.removeprefix(prefix))

    def task_ids(self, target: str) -> list[str]:
        """Return the ids of the classification or regression tasks that have runs of the dense part.

        Parameters
        ----------
        target : {"classification", "regression"}
            Binary and multiclass tasks are both classification.
        """
        return self._cells[target].tasks.tolist()

    @cached_property
    def main_fidelities(self) -> pd.Series:
        """The main fidelity of each task that has runs of the dense part, by task id."""
        parts = [self._cells[target] for target in ("classification", "regression")]
        return pd.concat([pd.Series(cells.main, index=cells.tasks, dtype="int64") for cells in parts])

    def families(self, task_ids: Sequence[str]) -> list[str]:
        """Return the family of each task.

        Parameters
        ----------
        task_ids : sequence of str
            In any order, also repeated.
        """
        lookup = dict(zip(self.tasks["task_id"], self.tasks["family"], strict=True))
        return [lookup[task_id] for task_id in task_ids]

    def configuration(self, configuration_id: str, target: str) -> Configuration:
        """Return a stored configuration.

        Parameters
        ----------
        configuration_id : str
            Its id, a hash of its content.
        target : {"classification", "regression"}
            Binary and multiclass tasks are both classification.
        """
        return self._configurations[target][configuration_id]

    def configurations_of(self, target: str, *, tuned: bool = False) -> dict[str, Configuration]:
        """Return the dense configurations of a target by id, in the order of the tables; or the tuned ones.

        Parameters
        ----------
        target : {"classification", "regression"}
            Binary and multiclass tasks are both classification.
        tuned : bool, default=False
            Whether to return those that a search on one task found.
        """
        known = self._configurations[target]
        return {i: c for i, c in known.items() if (c.origin == TUNED) == tuned}

    @cached_property
    def _configurations(self) -> dict[str, dict[str, Configuration]]:
        found: dict[str, dict[str, Configuration]] = {"classification": {}, "regression": {}}
        for row in self.configurations.itertuples(index=False):
            found[row.target][row.configuration_id] = Configuration(
                row.algorithm, json.loads(row.params), row.origin
            )
        return found

    def scores(self, metric: str, kind: str, fidelity: int | None = None) -> pd.DataFrame:
        """Return the scores of a metric in natural units, NaN where there was no successful run.

        Parameters
        ----------
        metric : str
            A stored metric.
        kind : {"classification", "regression", "binary", "multiclass"}
        fidelity : int or None, default=None
            Each task's main one by default.

        Returns
        -------
        DataFrame of shape (n_tasks, n_configurations)
            Of the tasks of this kind and the dense configurations.

        Raises
        ------
        UsageError
            AM107 when the metric is not stored for this kind.
        """
        if metric not in stored_metrics(kind):
            known = ", ".join(stored_metrics(kind))
            raise UsageError(
                "AM107", f"metric {metric!r} is not stored for {kind}.", f"Choose one of: {known}."
            )
        cells = self._cells[target_of(kind)].at(fidelity)
        return of_kind(cells.table(self._values(metric)), self.tasks, kind)

    def seconds(self, kind: str, fidelity: int | None = None) -> pd.DataFrame:
        """Return CPU seconds to fit and predict one fold, shaped as :meth:`scores`.

        Parameters
        ----------
        kind : {"classification", "regression", "binary", "multiclass"}
            Of the tasks.
        fidelity : int or None, default=None
            Number of training rows; each task's main one by default.
        """
        seconds = self._values("fit_seconds") + self._values("predict_seconds")
        return of_kind(self._cells[target_of(kind)].at(fidelity).table(seconds), self.tasks, kind)

    def regrets(self, metric: str, kind: str, fidelity: int | None = None) -> pd.DataFrame:
        """Return the normalised regret of each configuration on each task.

        ``(best known - score) / (best known - median of the library defaults)``, clipped to [0, 2]. The best known is
        that of all runs of the fidelity, tuned ones included. A run that failed counts 2, one that was not made NaN,
        and so does a task on which nothing beats the median of those defaults that were run.

        Parameters
        ----------
        metric : str
            A stored metric, under scikit-learn's name.
        kind : {"classification", "regression", "binary", "multiclass"}
            Of the tasks.
        fidelity : int or None, default=None
            Number of training rows; each task's main one by default.

        Returns
        -------
        DataFrame of shape (n_tasks, n_configurations)
            As :meth:`scores`.
        """
        defaults = [i for i, c in self._configurations[target_of(kind)].items() if c.origin == "default"]
        cells = self._cells[target_of(kind)].at(fidelity)
        regrets = cells.regrets(as_gain(self._values(metric), metric), defaults)
        return of_kind(regrets, self.tasks, kind)

    def levels(self, metric: str, kind: str, fidelity: int | None = None) -> pd.DataFrame:
        """Return scores as shares of the way from the best constant prediction (0) to a perfect one (1).

        Parameters
        ----------
        metric : str
            A stored metric, under scikit-learn's name.
        kind : {"classification", "regression", "binary", "multiclass"}
            Of the tasks.
        fidelity : int or None, default=None
            Number of training rows; each task's main one by default.

        Returns
        -------
        DataFrame of shape (n_tasks, n_configurations)
            As :meth:`scores`, clipped below at -1; NaN where there was no successful run.
        """
        return levels_of(self.scores(metric, kind, fidelity), self.tasks, metric)

    def tuned_runs(self, target: str) -> pd.DataFrame:
        """Return the successful runs of tuned configurations at the main fidelity of their task.

        Parameters
        ----------
        target : {"classification", "regression"}
            Binary and multiclass tasks are both classification.

        Returns
        -------
        DataFrame of shape (n_runs, 2 + n_metrics)
            Columns: task_id, configuration_id, and for each stored metric the level, as :meth:`levels`.
        """
        cells = self._cells[target].at(None)
        runs = self.runs.iloc[cells.places[cells.columns < 0]]
        runs = runs[runs["status"] == "ok"].set_index("task_id", drop=False)
        levels = {m: levels_of(runs[[m]], self.tasks, m)[m] for m in stored_metrics(target)}
        return runs[["task_id", "configuration_id"]].assign(**levels).reset_index(drop=True)

    def _values(self, column: str) -> FloatArray:
        return self.runs[column].to_numpy(dtype="float64")

    @cached_property
    def _cells(self) -> dict[str, Cells]:
        targets = self.tasks["kind"].map(target_of)
        return {
            target: Cells.of(
                self.runs, self.tasks.loc[targets == target, "task_id"], list(self.configurations_of(target))
            )
            for target in self._configurations
        }

    def only(self, task_ids: Iterable[str]) -> MetaBase:
        """Return the part of the base about some tasks.

        Parameters
        ----------
        task_ids : iterable of str
            Ids of the tasks that stay; configurations without a run go.
        """
        chosen = set(task_ids)
        runs = self.runs[self.runs["task_id"].isin(chosen)]
        return MetaBase(self.tasks[self.tasks["task_id"].isin(chosen)], self.configurations, runs)

    def summary(self) -> dict[str, Any]:
        """Return counts of tasks, configurations and runs, as plain JSON types."""
        return count_rows(self.tasks, self.configurations, self.runs)

    def twins(self) -> list[tuple[str, str, str]]:
        """Return the pairs of tasks in different families that are copies, and how that was noticed."""
        return find_twins(self.tasks, self.metafeatures)

    def verify(self) -> list[str]:
        """Return what is wrong with the content, a line each: invalid configurations, twins, runs without scores."""
        return find_problems(self._configurations, self.twins(), self.runs, self.task_ids("regression"))
