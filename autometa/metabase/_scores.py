"""What the tables of a base say: runs as regrets and levels, so that tasks compare, and what is wrong with the content.

The one place where scores are turned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autometa.metabase._files import BASELINE_PREFIX
from autometa.metrics import CLASSIFICATION_METRICS, REGRESSION_METRICS, perfect_score
from autometa.space import Configuration, SearchSpace
from autometa.task import KINDS

FloatArray = NDArray[np.float64]

# Of the range of most tasks: wide enough for copies with other rows, see :func:`find_twins` for what it tells apart.
TWIN_SPREAD: Final = 0.02
TWIN_AGREEMENT: Final = 0.65
# Of fewer meta-features that differ at all, two thirds may agree by chance.
LEAST_VARIED: Final = 20


@dataclass(frozen=True, eq=False)
class Cells:
    """Where the runs of one target stand in the table of its tasks and dense configurations.

    Attributes
    ----------
    tasks, configurations : Index
        Rows and columns.
    main : ndarray of int, shape (n_tasks,)
        Main fidelity of each task: that of the most runs in all where the task has at least half as many runs at it as
        at any other, else its own of the most runs.
    places : ndarray of int, shape (n_cells,)
        Position of each run in the table of runs.
    rows, columns : ndarray of int, shape (n_cells,)
        The column of a tuned configuration is -1.
    fidelities : ndarray of int, shape (n_cells,)
    """

    tasks: pd.Index
    configurations: pd.Index
    main: NDArray[np.int64]
    places: NDArray[np.intp]
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    fidelities: NDArray[np.int64]

    @classmethod
    def of(cls, runs: pd.DataFrame, task_ids: pd.Series, configuration_ids: Sequence[str]) -> Cells:
        """Place the runs; tasks without runs of dense configurations have no row."""
        configurations = pd.Index(configuration_ids, dtype="str")
        rows = pd.Index(task_ids).get_indexer(runs["task_id"])
        columns = configurations.get_indexer(runs["configuration_id"])
        fidelities = runs["fidelity"].to_numpy(dtype="int64")
        dense = (rows >= 0) & (columns >= 0)
        counts = (
            pd.DataFrame({"row": rows[dense], "fidelity": fidelities[dense]}).value_counts().reset_index()
        )
        main = _main_fidelities(counts)
        kept = main["row"].to_numpy()
        rows = pd.Index(kept).get_indexer(rows)
        places = np.flatnonzero(rows >= 0)
        return cls(
            pd.Index(task_ids.iloc[kept], dtype="str", name=None),
            configurations,
            main["fidelity"].to_numpy(),
            places,
            rows[places],
            columns[places],
            fidelities[places],
        )

    def at(self, fidelity: int | None) -> Cells:
        """Keep the runs of a fidelity; those of each task's main one by default."""
        kept = self.fidelities == (self.main[self.rows] if fidelity is None else fidelity)
        arrays = (self.places, self.rows, self.columns, self.fidelities)
        return Cells(self.tasks, self.configurations, self.main, *(array[kept] for array in arrays))

    def table(self, values: FloatArray) -> pd.DataFrame:
        """Return a value of each run, given in the order of the table of runs, as tasks by configurations."""
        table = np.full((len(self.tasks), len(self.configurations)), np.nan)
        dense = self.columns >= 0
        table[self.rows[dense], self.columns[dense]] = values[self.places[dense]]
        return pd.DataFrame(table, index=self.tasks, columns=self.configurations)

    def best(self, values: FloatArray) -> pd.Series:
        """Return the largest value on each task, those of tuned configurations included."""
        best = np.full(len(self.tasks), np.nan)
        np.fmax.at(best, self.rows, values[self.places])
        return pd.Series(best, index=self.tasks)

    def regrets(self, values: FloatArray, defaults: Sequence[str]) -> pd.DataFrame:
        """Return the normalised regret of each configuration on each task; see :meth:`MetaBase.regrets`.

        Parameters
        ----------
        values : ndarray of shape (n_runs,)
            What each run gained, greater is better, in the order of the table of runs; NaN where it failed.
        defaults : sequence of str
            Ids of the library defaults, whose median has the regret 1.
        """
        gains, best = self.table(values), self.best(values)
        has_failed = gains.isna() & self.table(np.ones(len(values))).notna()
        middle = gains[defaults].mask(has_failed[defaults], -np.inf).median(axis=1)
        scale = (best - middle).where(
            lambda gap: np.isfinite(gap) & (gap > LEAST_GAP * best.abs().clip(lower=1e-3))
        )
        found = regret_of(gains, best.to_numpy()[:, None], scale.to_numpy()[:, None])
        regrets = pd.DataFrame(found, gains.index, gains.columns)
        return regrets.mask(has_failed, MAX_REGRET).where(scale.notna(), np.nan, axis=0)


def _main_fidelities(counts: pd.DataFrame) -> pd.DataFrame:
    """Choose among the counts of runs by row and fidelity one fidelity for each row, in the order of the rows."""
    # Tasks compare best at the same fidelity, even where a few more configurations ran at another.
    is_usual = counts["fidelity"].eq(counts.groupby("fidelity")["count"].sum().idxmax() if len(counts) else 0)
    weighed = counts.assign(count=counts["count"] * np.where(is_usual, 2, 1), is_usual=is_usual)
    best_last = weighed.sort_values(["count", "is_usual", "fidelity"])
    return best_last.drop_duplicates("row", keep="last").sort_values("row")


# Twice as far from the best as the median default: how much worse still does not matter. A failure counts as much.
MAX_REGRET: Final = 2.0


# What is worse than the constant prediction by as much as that is by a perfect one.
LEAST_LEVEL: Final = -1.0


# Differences below this share of the best score are within the rounding.
LEAST_GAP: Final = 2e-5


# Between the scores of a constant and of a perfect prediction there must be something.
LEAST_WAY: Final = 1e-12


def regret_of(gains: Any, best: Any, gap: Any, limit: float = MAX_REGRET) -> FloatArray:
    r"""Return normalised regrets.

    .. math:: \min(\max((best - gain) / gap, 0), limit)

    Parameters
    ----------
    gains : array-like
        Greater is better; NaN stays NaN.
    best, gap : array-like, broadcast against `gains`
        The best known, and its distance to what has the regret 1 (the median of the library defaults).
    limit : float, default=2
        What is worse counts as much.
    """
    regrets: FloatArray = np.clip((best - np.asarray(gains, dtype="float64")) / gap, 0.0, limit)
    return regrets


def level_of(scores: Any, worst: Any, perfect: Any) -> FloatArray:
    """Return shares of the way from one score (level 0) to another (level 1).

    Parameters
    ----------
    scores : array-like
        In the units of the metric, whether greater is better or not; NaN stays NaN.
    worst, perfect : array-like, broadcast against `scores`
        Scores of the best constant and of a perfect prediction.

    Returns
    -------
    ndarray
        At least -1; NaN where both ends are the same.
    """
    way = np.asarray(perfect, dtype="float64") - worst
    usable = np.abs(way) > LEAST_WAY
    levels = (np.asarray(scores, dtype="float64") - worst) / np.where(usable, way, np.nan)
    return np.asarray(np.maximum(levels, LEAST_LEVEL))


def levels_of(scores: pd.DataFrame, tasks: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Turn scores of a metric, in rows of tasks, into levels; NaN where no constant prediction was scored."""
    column = f"{BASELINE_PREFIX}{metric}"
    if column not in tasks:
        return scores * np.nan
    baseline = tasks.set_index("task_id")[column].reindex(scores.index).astype("float64")
    levels = level_of(scores, baseline.to_numpy()[:, None], perfect_score(metric))
    return pd.DataFrame(levels, scores.index, scores.columns)


def of_kind(table: pd.DataFrame, tasks: pd.DataFrame, kind: str) -> pd.DataFrame:
    """Keep the rows of the binary or the multiclass tasks, or all of a classification or regression."""
    if kind not in KINDS:
        return table
    kinds = dict(zip(tasks["task_id"], tasks["kind"], strict=True))
    return table[[kinds[task_id] == kind for task_id in table.index]]


def find_problems(
    configurations: Mapping[str, Mapping[str, Configuration]],
    twins: Sequence[tuple[str, str, str]],
    runs: pd.DataFrame,
    regression_ids: Sequence[str],
) -> list[str]:
    """Return what is wrong, a line each.

    Parameters
    ----------
    configurations : mapping of target to mapping of id to Configuration
    twins : sequence of (task_id, task_id, str)
        See :func:`find_twins`.
    runs : DataFrame
    regression_ids : sequence of str
        Ids of the regression tasks.
    """
    problems = []
    for target, known in configurations.items():
        space = SearchSpace.for_kind(target)
        for configuration_id, configuration in known.items():
            found = space.problems(configuration)
            if configuration.id != configuration_id:
                found.append("its id does not match its content")
            problems += [
                f"configuration {configuration_id} ({configuration.algorithm}): {text}" for text in found
            ]
    problems += [
        f"tasks {first} and {second} are twins in different families: {reason}"
        for first, second, reason in twins
    ]
    regression = runs["task_id"].isin(regression_ids)
    for metrics, rows in ((REGRESSION_METRICS, regression), (CLASSIFICATION_METRICS, ~regression)):
        holes = int(runs.loc[rows & (runs["status"] == "ok"), list(metrics)].isna().any(axis=1).sum())
        if holes:
            problems.append(f"{holes} successful runs lack a metric")
    return problems


def find_twins(tasks: pd.DataFrame, metafeatures: pd.DataFrame) -> list[tuple[str, str, str]]:
    """Return the pairs of tasks in different families that are copies of each other, and how that was noticed.

    Copies have the same fingerprint, or agree in at least 65 % of the meta-features that differ between tasks, to
    within 2 % of the range in which most tasks lie. (Of 300 real tables, those of different families agreed in at
    most 58 %.)

    Parameters
    ----------
    tasks : DataFrame
        With kind, task_id, fingerprint and family.
    metafeatures : DataFrame
        A row per task id.
    """
    found = []
    for kind in KINDS:
        own = tasks[tasks["kind"] == kind]
        ids, prints, families = (own[c].tolist() for c in ("task_id", "fingerprint", "family"))
        agreement = _agreement(metafeatures.loc[ids].dropna(axis="columns", how="all").to_numpy())
        for i, j in zip(*np.triu_indices(len(ids), 1), strict=True):
            if families[i] == families[j]:
                continue
            if prints[i] == prints[j] and isinstance(prints[i], str):
                found.append((ids[i], ids[j], f"the same fingerprint {prints[i]}"))
            elif agreement[i, j] >= TWIN_AGREEMENT:
                found.append((ids[i], ids[j], f"{agreement[i, j]:.0%} of their meta-features agree"))
    return found


def _agreement(table: FloatArray) -> FloatArray:
    """Share of the meta-features in which tasks agree to within a small part of their usual spread.

    Returns
    -------
    ndarray of shape (n_tasks, n_tasks)
        Zero where too few meta-features differ between tasks to tell.
    """
    nothing = np.zeros((len(table), len(table)))
    if not table.size:
        return nothing
    low, high = np.nanquantile(table, [0.1, 0.9], axis=0)
    varied = table[:, high > low] / (high - low)[high > low]
    if varied.shape[1] < LEAST_VARIED:
        return nothing
    unknown = np.isnan(varied)
    return np.array(
        [((np.abs(varied - row) < TWIN_SPREAD) | (unknown & np.isnan(row))).mean(axis=1) for row in varied]
    )
