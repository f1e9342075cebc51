"""What is known about larger training sets than those of the main tables: fewer tasks, other configurations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autometa.metabase import MetaBase
from autometa.metamodel.costs import PowerLaw
from autometa.metrics import stored_metrics
from autometa.space import Configuration
from autometa.space.grown import finds_rounds

FloatArray = NDArray[np.float64]

# A number of training rows is learned apart where it is so many times the usual one ...
LEAST_STEP: Final = 4.0
# ... and at least so many tasks and configurations have runs with it.
LEAST_TASKS: Final = 20
LEAST_CONFIGURATIONS: Final = 20
# A configuration counts where it was run on this share of these tasks.
LEAST_SHARE: Final = 0.5


@dataclass(frozen=True, eq=False)
class Larger:
    """Results of the tasks that were also run with more training rows.

    Attributes
    ----------
    tasks : ndarray of int, shape (n_tasks,)
        Their positions among all known tasks.
    configurations : dict of str to Configuration
        Those that were run on most of them.
    regrets, levels : dict of str to ndarray of shape (n_tasks, n_configurations)
        For each stored metric; NaN for what was not run.
    n_train : float
        Training rows behind them.
    seconds : PowerLaw
    widths : dict of str to float
        As those of all tasks.
    """

    tasks: NDArray[np.int64]
    configurations: dict[str, Configuration]
    regrets: dict[str, FloatArray]
    levels: dict[str, FloatArray]
    n_train: float
    seconds: PowerLaw
    widths: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, metabase: MetaBase, target: str, task_ids: Sequence[str], fidelity: int) -> Larger | None:
        """Take the runs of a fidelity; None where there are too few to learn from."""
        tables = {m: metabase.regrets(m, target, fidelity).reindex(task_ids) for m in stored_metrics(target)}
        made = metabase.seconds(target, fidelity).reindex(task_ids).notna()
        tasks = np.flatnonzero(made.any(axis=1))
        is_common = made.iloc[tasks].mean() >= LEAST_SHARE if len(tasks) else made.any()
        known = metabase.configurations_of(target)
        # A pipeline that is fitted on all rows has nothing to find its rounds by, and they cannot be foretold well
        # enough (docs/research/meta-model.md): what leaves them to early stopping is for searches.
        ids = [i for i in is_common.index[is_common] if not finds_rounds(known[i])]
        if len(tasks) < LEAST_TASKS or len(ids) < LEAST_CONFIGURATIONS:
            return None
        configurations = {i: known[i] for i in ids}
        runs = metabase.runs[
            (metabase.runs["fidelity"] == fidelity) & metabase.runs["task_id"].isin(task_ids)
        ]
        return cls(
            tasks,
            configurations,
            {m: table[ids].to_numpy()[tasks] for m, table in tables.items()},
            {
                m: metabase.levels(m, target, fidelity).reindex(task_ids)[ids].to_numpy()[tasks]
                for m in tables
            },
            float(runs["n_train"].median()),
            learn_law(metabase, task_ids, configurations, ("fit_seconds", "predict_seconds")),
        )


def larger_fidelities(metabase: MetaBase) -> list[int]:
    """Return the fidelities that lie well above those at which most tasks were run."""
    usual = metabase.main_fidelities.median()
    return [int(f) for f in sorted(metabase.runs["fidelity"].unique()) if f >= LEAST_STEP * usual]


def training_rows(metabase: MetaBase) -> pd.Series:
    """Return the training rows of each task's runs at its main fidelity, by task id."""
    runs = metabase.runs
    is_main = runs["fidelity"] == runs["task_id"].map(metabase.main_fidelities)
    return runs[is_main].groupby("task_id")["n_train"].max()


def learn_law(
    metabase: MetaBase,
    task_ids: Sequence[str],
    configurations: Mapping[str, Configuration],
    what: Sequence[str],
) -> PowerLaw:
    """Learn the sum of some columns of the runs, at every fidelity, by the size of the table.

    Parameters
    ----------
    metabase : MetaBase
    task_ids : sequence of str
    configurations : mapping of str to Configuration
    what : sequence of str
        Columns of the table of runs; one that it lacks is not known.
    """
    shape = metabase.tasks.set_index("task_id").loc[list(task_ids), ["n_features", "n_classes"]]
    shape = shape.astype("float64").fillna(1.0).to_numpy()
    runs = metabase.runs
    rows = pd.Index(task_ids).get_indexer(runs["task_id"])
    columns = pd.Index(list(configurations)).get_indexer(runs["configuration_id"])
    kept = (rows >= 0) & (columns >= 0) & (runs["status"] == "ok").to_numpy()
    runs, rows, columns = runs[kept], rows[kept], columns[kept]
    sizes = np.column_stack([runs["n_train"].to_numpy(dtype="float64"), shape[rows]])
    values = runs.reindex(columns=list(what)).sum(axis=1, min_count=1).to_numpy(dtype="float64")
    return PowerLaw.fit(values, columns, sizes, [c.algorithm for c in configurations.values()])


def to_arrays(larger: Larger) -> dict[str, NDArray[Any]]:
    """Return the tables as arrays for an npz file."""
    arrays: dict[str, NDArray[Any]] = {"tasks": larger.tasks, "n_train": np.array(larger.n_train)}
    for metric, table in larger.regrets.items():
        arrays[f"regrets/{metric}"] = table.astype(np.float32)
        arrays[f"levels/{metric}"] = larger.levels[metric].astype(np.float32)
    return arrays | {f"seconds/{key}": value for key, value in larger.seconds.to_arrays().items()}


def to_description(larger: Larger) -> dict[str, Any]:
    """Return the rest as plain JSON types."""
    return {
        "configurations": {
            i: {"algorithm": c.algorithm, "params": dict(c.params), "origin": c.origin}
            for i, c in larger.configurations.items()
        },
        "widths": larger.widths,
    }


def from_arrays(arrays: Mapping[str, NDArray[Any]], description: Mapping[str, Any]) -> Larger:
    """Read the tables back; the inverse of :func:`to_arrays` and :func:`to_description`."""

    def own(name: str) -> dict[str, NDArray[Any]]:
        return {k.removeprefix(f"{name}/"): v for k, v in arrays.items() if k.startswith(f"{name}/")}

    return Larger(
        arrays["tasks"],
        {
            i: Configuration(c["algorithm"], c["params"], c["origin"])
            for i, c in description["configurations"].items()
        },
        {m: table.astype("float64") for m, table in own("regrets").items()},
        {m: table.astype("float64") for m, table in own("levels").items()},
        float(arrays["n_train"]),
        PowerLaw.from_arrays(own("seconds")),
        dict(description["widths"]),
    )
