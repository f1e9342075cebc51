"""What is known about few training rows: tasks described and run anew on a handful of their rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autometa.metabase import MetaBase
from autometa.metrics import stored_metrics
from autometa.space import Configuration

FloatArray = NDArray[np.float64]

# Runs with at most this share of the usual number of training rows are few rows ...
MOST_SHARE: Final = 0.25
# ... and a task speaks of them where so many configurations have a result: of fewer, their order says little.
LEAST_RESULTS: Final = 8
# They are heard for tables with up to so many times the most rows among them, and a table hears those with up to so
# many times its own. With runs at 60 and 100 rows, the first pick for classification on 150 to 245 rows would have .04
# +- .02 more regret; with 200, that for regression on 270 to 400 rows .05 +- .04.
REACH: Final = 1.5


@dataclass(frozen=True, eq=False)
class Smaller:
    """Known tasks as they look with few training rows, beside those that they are with all.

    Attributes
    ----------
    tasks : ndarray of int, shape (n_views,)
        Their positions among all known tasks.
    metafeatures : ndarray of shape (n_views, n_metafeatures)
        Of a sample with so few rows.
    columns : ndarray of int, shape (n_columns,)
        Positions of the configurations that were run on any of them.
    regrets, levels : dict of str to ndarray of shape (n_views, n_columns)
        For each stored metric; NaN for what was not run.
    n_train : ndarray of shape (n_views,)
        Training rows.
    """

    tasks: NDArray[np.int64]
    metafeatures: FloatArray
    columns: NDArray[np.int64]
    regrets: dict[str, FloatArray]
    levels: dict[str, FloatArray]
    n_train: FloatArray

    @classmethod
    def of(
        cls,
        metabase: MetaBase,
        target: str,
        task_ids: Sequence[str],
        configurations: Mapping[str, Configuration],
        metafeature_names: Sequence[str],
    ) -> Self | None:
        """Take the runs with few rows of the tasks that were described with as few; None where there are none.

        Parameters
        ----------
        metabase : MetaBase
        target : {"classification", "regression"}
        task_ids : sequence of str
            The known tasks in their order.
        configurations : mapping of str to Configuration
            The columns of their tables.
        metafeature_names : sequence of str
            The meta-features in their order.
        """
        ids = list(configurations)
        described: list[FloatArray] = []
        found: list[tuple[int, int]] = []
        tables: dict[str, list[tuple[FloatArray, FloatArray]]] = {m: [] for m in stored_metrics(target)}
        for fidelity in few_fidelities(metabase):
            regrets = {
                m: metabase.regrets(m, target, fidelity).reindex(task_ids)[ids].to_numpy() for m in tables
            }
            levels = {
                m: metabase.levels(m, target, fidelity).reindex(task_ids)[ids].to_numpy() for m in tables
            }
            n_results = np.max([np.isfinite(table).sum(axis=1) for table in levels.values()], axis=0)
            samples = metabase.few_metafeatures(fidelity).reindex(task_ids, columns=list(metafeature_names))
            rows = np.flatnonzero(samples.notna().any(axis=1) & (n_results >= LEAST_RESULTS))
            described.append(samples.to_numpy(dtype="float64")[rows])
            found += [(int(row), fidelity) for row in rows]
            for metric, kept in tables.items():
                kept.append((regrets[metric][rows], levels[metric][rows]))
        if not found:
            return None
        stacked = {m: [np.vstack(pair) for pair in zip(*kept, strict=True)] for m, kept in tables.items()}
        columns = np.flatnonzero(
            np.any([np.isfinite(regrets).any(axis=0) for regrets, _ in stacked.values()], axis=0)
        )
        tasks = np.array([row for row, _ in found])
        return cls(
            tasks,
            np.vstack(described),
            columns,
            {m: regrets[:, columns] for m, (regrets, _) in stacked.items()},
            {m: levels[:, columns] for m, (_, levels) in stacked.items()},
            np.array([fidelity for _, fidelity in found], dtype="float64"),
        )

    def heard(self, n_train: float) -> Smaller | None:
        """Return the views that say something about tables with so many training rows; None where none does."""
        if n_train > REACH * float(self.n_train.max()):
            return None
        rows = np.flatnonzero(self.n_train <= max(REACH * n_train, float(self.n_train.min())))
        return Smaller(
            self.tasks[rows],
            self.metafeatures[rows],
            self.columns,
            {m: table[rows] for m, table in self.regrets.items()},
            {m: table[rows] for m, table in self.levels.items()},
            self.n_train[rows],
        )

    def wide(self, table: FloatArray, n_columns: int) -> FloatArray:
        """Return a table with a column for every configuration, NaN where none was run."""
        full = np.full((len(self.tasks), n_columns), np.nan)
        full[:, self.columns] = table
        return full

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the tables as arrays for an npz file."""
        arrays: dict[str, NDArray[Any]] = {
            "tasks": self.tasks,
            "metafeatures": self.metafeatures.astype(np.float32),
            "columns": self.columns,
            "n_train": self.n_train,
        }
        for metric, table in self.regrets.items():
            arrays[f"regrets/{metric}"] = table.astype(np.float32)
            arrays[f"levels/{metric}"] = self.levels[metric].astype(np.float32)
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Read the tables back; the inverse of :meth:`to_arrays`."""

        def own(name: str) -> dict[str, FloatArray]:
            return {
                k.removeprefix(f"{name}/"): v.astype("float64")
                for k, v in arrays.items()
                if k.startswith(f"{name}/")
            }

        return cls(
            arrays["tasks"],
            arrays["metafeatures"].astype("float64"),
            arrays["columns"],
            own("regrets"),
            own("levels"),
            arrays["n_train"],
        )


def few_fidelities(metabase: MetaBase) -> list[int]:
    """Return the fidelities that lie well below that at which most tasks were run."""
    most = MOST_SHARE * metabase.main_fidelities.median()
    return [int(f) for f in sorted(pd.unique(metabase.runs["fidelity"])) if 0 < f <= most]
