"""What changes with the size of a table: the seconds of a configuration, and what is known with more or fewer rows.

Seconds are a floor for each algorithm, and a power law in rows, columns and classes. Of larger training sets there are
fewer tasks, with other configurations; of few rows, tasks that were described and run anew on a handful of theirs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autometa.metabase import MetaBase
from autometa.metrics import stored_metrics
from autometa.space import Configuration, finds_rounds

FloatArray = NDArray[np.float64]

# Of the law of seconds. Each counts as so many runs that say nothing: among thousands they only keep the equations
# solvable.
SLOPE_RIDGE: Final = 1.0
DEVIATION_RIDGE: Final = 0.1
# What a fit costs whatever the size of the table, as a multiple of the cheapest hundredth of the algorithm's runs. Some
# lie above it: a floor may be above single runs.
FLOORS: Final = (0.0, 0.25, 0.5, 0.75, 0.9, 1.1, 1.4)
# What the power law has to explain is never less than this share of a cost: below the floor there is noise alone.
LEAST_REST: Final = 0.1
# Seconds; the clock knows no less.
_LEAST: Final = 1e-4
# Fifteen years: what a law says far outside of what it has seen is finite.
_LARGEST_LOG: Final = 20.0
# A number of training rows is learned apart where it is so many times the usual one ...
LEAST_STEP: Final = 4.0
# ... and at least so many tasks and configurations have runs with it.
LEAST_TASKS: Final = 20
LEAST_CONFIGURATIONS: Final = 20
# A configuration counts where it was run on this share of these tasks.
LEAST_SHARE: Final = 0.5
# Runs with at most this share of the usual number of training rows are few rows ...
MOST_SHARE: Final = 0.25
# ... and a task speaks of them where so many configurations have a result: of fewer, their order says little.
LEAST_RESULTS: Final = 8
# They are heard for tables with up to so many times the most rows among them, and a table hears those with up to so
# many times its own. With runs at 60 and 100 rows, the first pick for classification on 150 to 245 rows would have .04
# +- .02 more regret; with 200, that for regression on 270 to 400 rows .05 +- .04.
REACH: Final = 1.5


@dataclass(frozen=True, eq=False)
class PowerLaw:
    """A cost as a floor per algorithm and what grows: its logarithm has an intercept per configuration and slopes.

    Without the floor, kernel machines on tables of less than two hundred rows take twice as long as is expected.

    Attributes
    ----------
    intercepts : ndarray of shape (n_configurations,)
    slopes : ndarray of shape (n_algorithms, 3)
        For the logarithms of training rows, columns and classes.
    algorithm : ndarray of int, shape (n_configurations,)
        Row of `slopes` for each configuration.
    centre : ndarray of shape (3,)
    floors : ndarray of shape (n_algorithms,)
        What each fit costs beside the power law.
    """

    intercepts: FloatArray
    slopes: FloatArray
    algorithm: NDArray[np.int_]
    centre: FloatArray
    floors: FloatArray

    @classmethod
    def fit(
        cls, costs: FloatArray, columns: NDArray[np.int_], sizes: FloatArray, algorithms: Sequence[str]
    ) -> PowerLaw:
        """Fit by ridge regression on the logarithms, with the floor under which these are met best.

        Parameters
        ----------
        costs : ndarray of shape (n_runs,)
            Not negative; NaN where not known.
        columns : ndarray of int, shape (n_runs,)
            Configuration of each run, as a position in `algorithms`.
        sizes : ndarray of shape (n_runs, 3)
            Training rows, columns and classes (1 for regression) of each run.
        algorithms : sequence of str, one for each configuration
            A configuration without runs costs what those of its algorithm do on average.
        """
        names, index = np.unique(np.asarray(algorithms, dtype=str), return_inverse=True)
        known = np.isfinite(costs)
        costs, columns, sizes = costs[known], columns[known], sizes[known]
        costs = np.maximum(costs, _LEAST)
        logs, z = np.log(costs), np.log(np.maximum(sizes, 1.0))
        centre = z.mean(axis=0) if len(z) else np.zeros(3)
        intercepts = np.full(len(algorithms), logs.mean() if len(logs) else 0.0)
        slopes, floors = np.zeros((len(names), 3)), np.zeros(len(names))
        for number in range(len(names)):
            own = np.flatnonzero(index == number)
            rows = np.flatnonzero(index[columns] == number)
            if not len(rows):
                continue
            which = columns[rows][:, None] == own
            design = np.hstack([np.ones((len(rows), 1)), z[rows] - centre, which])
            penalty = np.diag([0.0, *[SLOPE_RIDGE] * 3, *[DEVIATION_RIDGE] * len(own)])
            floors[number], solution = _with_floor(design, penalty, costs[rows])
            intercepts[own], slopes[number] = solution[0] + solution[4:], solution[1:4]
        return cls(intercepts, slopes, index, centre, floors)

    def predict(self, n_train: float, n_features: float, n_classes: float) -> FloatArray:
        """Return the cost of one fit of each configuration."""
        z = np.log(np.maximum([n_train, n_features, n_classes], 1.0)) - self.centre
        growing = np.exp(np.minimum(self.intercepts + self.slopes[self.algorithm] @ z, _LARGEST_LOG))
        return np.asarray(growing + self.floors[self.algorithm])

    def extended(self, mixing: FloatArray) -> PowerLaw:
        """Return the law with further configurations, each a weighted mean of the known ones.

        Parameters
        ----------
        mixing : ndarray of shape (n_new, n_configurations)
            Rows sum to 1; the heaviest weight of a row names its algorithm.
        """
        return replace(
            self,
            intercepts=np.concatenate([self.intercepts, mixing @ self.intercepts]),
            algorithm=np.concatenate([self.algorithm, self.algorithm[mixing.argmax(axis=1)]]),
        )

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the law as arrays for an npz file."""
        return {
            "intercepts": self.intercepts,
            "slopes": self.slopes,
            "algorithm": self.algorithm,
            "centre": self.centre,
            "floors": self.floors,
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]]) -> PowerLaw:
        """Read a law back; the inverse of :meth:`to_arrays`. Older models have no floors."""
        floors = arrays.get("floors", np.zeros(len(arrays["slopes"])))
        return cls(arrays["intercepts"], arrays["slopes"], arrays["algorithm"], arrays["centre"], floors)


def _with_floor(design: FloatArray, penalty: FloatArray, costs: FloatArray) -> tuple[float, FloatArray]:
    """Return the floor, and the coefficients of the logarithm of what lies above it, that miss the logarithms least."""

    def tried(floor: float) -> tuple[float, float, FloatArray]:
        rest = np.maximum(costs - floor, LEAST_REST * costs)
        # How much the logarithm of the cost moves with that of the rest.
        weighed = design * ((rest / costs) ** 2)[:, None]
        square, right = weighed.T @ design + penalty, weighed.T @ np.log(rest)
        solution = np.linalg.solve(square, right).astype("float64", copy=False)
        found = floor + np.exp(np.minimum(design @ solution, _LARGEST_LOG))
        return float(((np.log(found) - np.log(costs)) ** 2).sum()), floor, solution

    least = float(np.quantile(costs, 0.01))
    _, floor, solution = min((tried(share * least) for share in FLOORS), key=lambda found: found[:2])
    return floor, solution


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

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the tables as arrays for an npz file."""
        seconds = {f"seconds/{key}": value for key, value in self.seconds.to_arrays().items()}
        return {"tasks": self.tasks, "n_train": np.array(self.n_train), **_packed(self), **seconds}

    def to_description(self) -> dict[str, Any]:
        """Return the rest as plain JSON types."""
        return {"configurations": as_description(self.configurations), "widths": self.widths}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], description: Mapping[str, Any]) -> Self:
        """Read the tables back; the inverse of :meth:`to_arrays` and :meth:`to_description`."""
        return cls(
            arrays["tasks"],
            from_description(description["configurations"]),
            unpacked(arrays, "regrets"),
            unpacked(arrays, "levels"),
            float(arrays["n_train"]),
            PowerLaw.from_arrays(under(arrays, "seconds")),
            dict(description["widths"]),
        )


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
        return {
            "tasks": self.tasks,
            "metafeatures": self.metafeatures.astype(np.float32),
            "columns": self.columns,
            "n_train": self.n_train,
            **_packed(self),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Read the tables back; the inverse of :meth:`to_arrays`."""
        return cls(
            arrays["tasks"],
            arrays["metafeatures"].astype("float64"),
            arrays["columns"],
            unpacked(arrays, "regrets"),
            unpacked(arrays, "levels"),
            arrays["n_train"],
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


def few_fidelities(metabase: MetaBase) -> list[int]:
    """Return the fidelities that lie well below that at which most tasks were run."""
    most = MOST_SHARE * metabase.main_fidelities.median()
    return [int(f) for f in sorted(pd.unique(metabase.runs["fidelity"])) if 0 < f <= most]


def _packed(part: Larger | Smaller) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {}
    for metric, table in part.regrets.items():
        arrays[f"regrets/{metric}"] = table.astype(np.float32)
        arrays[f"levels/{metric}"] = part.levels[metric].astype(np.float32)
    return arrays


def under(arrays: Mapping[str, NDArray[Any]], name: str) -> dict[str, NDArray[Any]]:
    """Return what stands under a name in a file of arrays, by the rest of its names."""
    return {k.removeprefix(f"{name}/"): v for k, v in arrays.items() if k.startswith(f"{name}/")}


def unpacked(arrays: Mapping[str, NDArray[Any]], name: str) -> dict[str, FloatArray]:
    """Return the tables under a name, by metric."""
    return {k: v.astype("float64") for k, v in under(arrays, name).items()}


def as_description(configurations: Mapping[str, Configuration]) -> dict[str, Any]:
    """Return configurations by their id as plain JSON types."""
    return {
        i: {"algorithm": c.algorithm, "params": dict(c.params), "origin": c.origin}
        for i, c in configurations.items()
    }


def from_description(described: Mapping[str, Any]) -> dict[str, Configuration]:
    """Read configurations back; the inverse of :func:`as_description`."""
    return {i: Configuration(c["algorithm"], c["params"], c["origin"]) for i, c in described.items()}
