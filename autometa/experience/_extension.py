"""A meta-model with tasks added after its training: few runs each, at any configurations, of one's own."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autometa.metabase import BASELINE_PREFIX, MAX_REGRET, MetaBase, level_of, regret_of
from autometa.metamodel.belief import fill_rows
from autometa.metamodel.known import KnownTasks, TunedRuns
from autometa.metrics import as_gain, perfect_score
from autometa.space import Configuration, SearchSpace, target_of

FloatArray = NDArray[np.float64]

# Of two results the second is the first mirrored at their mean: they say nothing of a task but their order.
MIN_RUNS: Final = 3
# Further columns of every table, so that a long history does not make recommending slow.
MAX_CANDIDATES: Final = 32
# In regret. What leads by less may lead by chance.
MIN_GAIN: Final = 0.1
# Noise of a result, as a share of the variance of the standardised results.
RIDGE: Final = 0.1
# So steep that little but the nearest configuration counts; nearer than the second, two are the same.
_POWER: Final = 6
_SAME: Final = 1e-3
# In regret: a known task on which the configurations that were run differ by less would be noise blown up.
_LEAST_SPREAD: Final = 0.05
# In standard deviations; what fails on one task alone should not steer the regression.
_MAX_DEVIATION: Final = 4.0


@dataclass(frozen=True, eq=False)
class Addition:
    """Tasks to be added to the part of a meta-model for one target; nothing of it is trained again.

    A few runs for each task are enough, at any configurations: what it lacks is completed from the tasks of the part,
    see :func:`complete_row`.

    Attributes
    ----------
    part : KnownTasks
    tasks : DataFrame
        A row per task: task_id, name, openml_id, family, fingerprint, kind.
    sizes : ndarray of shape (n_tasks, 3)
        Training rows, columns and classes.
    metafeatures : ndarray of shape (n_tasks, n_metafeatures)
    configurations : dict of str to Configuration
        The most successful ones that the part does not have; further columns.
    mixing : ndarray of shape (n_configurations, n_columns)
        Those as weighted means of the columns of the part.
    regrets, levels : dict of str to ndarray of shape (n_tasks, n_columns + n_configurations)
        Completed rows.
    observed : dict of str to ndarray of shape (n_tasks, n_columns)
        Regrets of what was run; NaN elsewhere.
    others : TunedRuns
        What was run and is no column.
    """

    part: KnownTasks
    tasks: pd.DataFrame
    sizes: FloatArray
    metafeatures: FloatArray
    configurations: dict[str, Configuration]
    mixing: FloatArray
    regrets: dict[str, FloatArray]
    levels: dict[str, FloatArray]
    observed: dict[str, FloatArray]
    others: TunedRuns

    @classmethod
    def of(cls, part: KnownTasks, base: MetaBase) -> Addition:
        """Complete the rows of all tasks that have enough runs."""
        known = base.configurations_of(part.target) | base.configurations_of(part.target, tuned=True)
        tables = {metric: fill_rows(r[np.isfinite(r).any(axis=1)]) for metric, r in part.regrets.items()}
        place = _Place(part, known)
        runs = dict(list(base.runs.groupby("task_id", sort=False)))
        histories = [
            _History.of(task, runs[task["task_id"]], place, tables)
            for task in base.tasks.to_dict("records")
            if target_of(task["kind"]) == part.target and task["task_id"] in runs
        ]
        histories = [history for history in histories if history.outcomes]
        candidates = _candidates(histories, part)
        mixing = np.array([place.mixing[i] for i in candidates]).reshape(len(candidates), place.n_columns)
        width = place.n_columns + len(candidates)
        regrets, levels, observed = {}, {}, {}
        for metric in part.regrets:
            rows = [history.rows(metric, candidates, mixing) for history in histories]
            regrets[metric] = np.array([row[0] for row in rows]).reshape(-1, width)
            levels[metric] = np.array([row[1] for row in rows]).reshape(-1, width)
            observed[metric] = np.array([row[2] for row in rows]).reshape(-1, place.n_columns)
        tasks = _task_table([history.task for history in histories], part)
        metafeatures = base.metafeatures.reindex(tasks["task_id"], columns=part.metafeature_names)
        return cls(
            part,
            tasks,
            np.array([history.size for history in histories]).reshape(-1, 3),
            metafeatures.to_numpy(dtype="float64"),
            {i: known[i] for i in candidates},
            mixing,
            regrets,
            levels,
            observed,
            _other_runs(histories, known, part, candidates),
        )

    def extend(self, importance: float = 1.0, without: Collection[str] = ()) -> KnownTasks:
        """Return the part with the tasks added, except those of some families.

        Parameters
        ----------
        importance : float, default=1.0
            How much more an added task counts than a known one that is as similar.
        without : collection of str, default=()
        """
        keep = ~np.isin(self.tasks["family"].to_numpy(dtype=str), list(without))
        if not keep.any():
            return self.part
        part, families = self.part, self.tasks["family"][keep].astype(str).tolist()
        columns = ["task_id", "name", "openml_id", "family", "fingerprint"]
        new = self.metafeatures[keep]
        return replace(
            part,
            tasks=pd.concat(
                [part.tasks.astype(object), self.tasks.loc[keep, columns].astype(object)], ignore_index=True
            ),
            configurations={**part.configurations, **self.configurations},
            regrets={
                m: np.vstack([self._widened(t), self.regrets[m][keep]]) for m, t in part.regrets.items()
            },
            levels={m: np.vstack([self._widened(t), self.levels[m][keep]]) for m, t in part.levels.items()},
            sizes=np.vstack([part.sizes, self.sizes[keep]]),
            similarity=part.similarity.extended(new, families, importance),
            levelling=part.levelling.extended(new, families),
            seconds=part.seconds.extended(self.mixing),
            tuned=part.tuned.extended(self.others, np.where(keep, len(part.tasks) + np.cumsum(keep) - 1, -1)),
        )

    def _widened(self, table: FloatArray) -> FloatArray:
        """A table of the part with the columns of the further configurations."""
        new = fill_rows(table) @ self.mixing.T
        new[~np.isfinite(table).any(axis=1)] = np.nan
        return np.hstack([table, new])


def complete_row(table: FloatArray, mixing: FloatArray, gains: FloatArray) -> FloatArray:
    """Predict a task's gains in all columns of a table from those at a few configurations.

    The rows of the table are seen through the same configurations, and everything is standardised by them; then the
    columns are regressed on the configurations by ridge regression. It is the conditional mean of a Gaussian whose
    covariance between configurations is that of the known tasks, with noise on what is observed.

    Parameters
    ----------
    table : ndarray of shape (n_tasks, n_columns)
        Regrets of known tasks, without holes.
    mixing : ndarray of shape (n_observed, n_columns)
        Each observed configuration as a weighted mean of columns; rows sum to 1.
    gains : ndarray of shape (n_observed,)
        Greater is better, in any unit.

    Returns
    -------
    ndarray of shape (n_columns,)
        In the unit of `gains`.
    """
    seen = -table @ mixing.T
    centre = seen.mean(axis=1, keepdims=True)
    spread = np.maximum(seen.std(axis=1, keepdims=True), _LEAST_SPREAD)
    columns = np.clip((-table - centre) / spread, -_MAX_DEVIATION, _MAX_DEVIATION)
    seen = np.clip((seen - centre) / spread, -_MAX_DEVIATION, _MAX_DEVIATION)
    own_spread = float(gains.std())
    own = (gains - gains.mean()) / own_spread
    middle, seen_middle = columns.mean(axis=0), seen.mean(axis=0)
    deviations = seen - seen_middle
    covariance = deviations.T @ deviations / len(table) + RIDGE * np.eye(len(gains))
    shared = deviations.T @ (columns - middle) / len(table)
    predicted = middle + np.linalg.solve(covariance, own - seen_middle) @ shared
    return np.asarray(gains.mean() + own_spread * predicted)


class _Place:
    """Where configurations lie among the columns of a part."""

    def __init__(self, part: KnownTasks, configurations: Mapping[str, Configuration]) -> None:
        self.columns = {i: position for position, i in enumerate(part.configurations)}
        self.n_columns = len(self.columns)
        self.defaults = part.defaults
        mixing = _interpolate(part, list(configurations.values()))
        # Without those of algorithms that the model does not know.
        self.mixing = {i: row for i, row in zip(configurations, mixing, strict=True) if row.any()}


def _interpolate(part: KnownTasks, configurations: Sequence[Configuration]) -> FloatArray:
    """Return any configurations as weighted means of the stored ones, shape (n_configurations, n_stored)."""
    space, stored = SearchSpace.for_kind(part.target), list(part.configurations.values())
    mixing = interpolation_weights(
        space.encode(configurations),
        [c.algorithm for c in configurations],
        space.encode(stored),
        [c.algorithm for c in stored],
    )
    positions = {i: position for position, i in enumerate(part.configurations)}
    for row, configuration in zip(mixing, configurations, strict=True):
        if configuration.id in positions:
            row[:] = 0.0
            row[positions[configuration.id]] = 1.0
    return mixing


@dataclass(frozen=True, eq=False)
class _Outcome:
    """One metric on one task: gains of what was run, and of all columns."""

    gains: dict[str, float]
    completed: FloatArray
    best: float
    scale: float
    level_ends: tuple[float, float]

    def regret(self, gain: FloatArray | float) -> FloatArray:
        return regret_of(gain, self.best, self.scale)

    def level(self, gain: FloatArray | float) -> FloatArray:
        return np.minimum(level_of(gain, *self.level_ends), 1.0)


@dataclass(frozen=True, eq=False)
class _History:
    """The runs on one task."""

    task: dict[str, object]
    n_train: float
    outcomes: dict[str, _Outcome]
    failed: list[str]
    place: _Place

    @classmethod
    def of(
        cls, task: Mapping[str, object], runs: pd.DataFrame, place: _Place, tables: Mapping[str, FloatArray]
    ) -> _History:
        runs = runs.sort_values("n_train", kind="stable").drop_duplicates("configuration_id", keep="last")
        runs = runs[runs["configuration_id"].isin(place.mixing)]
        done, broken = runs[runs["status"] == "ok"], runs[runs["status"].isin(["failed", "memory"])]
        outcomes = {}
        for metric, table in tables.items():
            scores = done[metric].to_numpy(dtype="float64")
            known = np.isfinite(scores)
            gains = dict(
                zip(done["configuration_id"][known], as_gain(scores[known], metric).tolist(), strict=True)
            )
            outcome = _outcome(gains, metric, task, place, table)
            if outcome is not None:
                outcomes[metric] = outcome
        n_train = float(done["n_train"].max()) if len(done) else 0.0
        return cls(dict(task), n_train, outcomes, broken["configuration_id"].tolist(), place)

    @property
    def size(self) -> list[float]:
        """Training rows, columns and classes."""
        shape = pd.to_numeric(pd.Series([self.task["n_features"], self.task["n_classes"]])).fillna(1.0)
        return [max(self.n_train, 1.0), *shape.astype("float64")]

    def rows(
        self, metric: str, candidates: Sequence[str], mixing: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Regrets and levels of all columns and candidates, and the regrets of the columns that were run."""
        columns, width = self.place.columns, self.place.n_columns
        seen = np.full(width, np.nan)
        for i in self.failed:
            if i in columns:
                seen[columns[i]] = MAX_REGRET
        if metric not in self.outcomes:
            empty = np.full(width + len(candidates), np.nan)
            return empty, empty, np.full(width, np.nan)
        outcome = self.outcomes[metric]
        gains = np.concatenate([outcome.completed, mixing @ outcome.completed])
        order = {**columns, **{i: width + number for number, i in enumerate(candidates)}}
        for i, gain in outcome.gains.items():
            if i in order:
                gains[order[i]] = gain
            if i in columns:
                seen[columns[i]] = float(outcome.regret(gain))
        regrets = outcome.regret(gains)
        regrets[[order[i] for i in self.failed if i in order]] = MAX_REGRET
        return regrets, outcome.level(gains), seen


def _outcome(
    gains: dict[str, float], metric: str, task: Mapping[str, object], place: _Place, table: FloatArray
) -> _Outcome | None:
    """Complete one metric of one task; None where there is too little to go by."""
    values = np.array(list(gains.values()))
    if len(values) < MIN_RUNS or values.std() < 1e-9 or not len(table):
        return None
    completed = complete_row(table, np.array([place.mixing[i] for i in gains]), values)
    for i, gain in gains.items():
        if i in place.columns:
            completed[place.columns[i]] = gain
    best = float(values.max())
    scale = best - float(np.median(completed[place.defaults])) if place.defaults else float(values.std())
    # Nothing tried so far may beat the defaults; what is known of their order counts all the same.
    scale = max(scale, 0.5 * float(values.std()))
    baseline = as_gain(float(task.get(f"{BASELINE_PREFIX}{metric}", np.nan)), metric)  # type: ignore[arg-type]
    return _Outcome(gains, completed, best, scale, (baseline, as_gain(perfect_score(metric), metric)))


def _candidates(histories: Iterable[_History], part: KnownTasks) -> list[str]:
    """Configurations that were clearly the best on some task, and that the part does not have."""
    advantages: dict[str, float] = {}
    for history in histories:
        found: dict[str, list[float]] = {}
        for outcome in history.outcomes.values():
            for i, gain in outcome.gains.items():
                found.setdefault(i, []).append(float(outcome.regret(gain)))
        means = {i: float(np.mean(regrets)) for i, regrets in found.items()}
        best = min(means, key=lambda i: means[i], default="")
        rest = [means[i] for i in means if i in part.configurations]
        if best and best not in part.configurations:
            advantage = min(rest, default=MAX_REGRET) - means[best]
            if advantage >= MIN_GAIN:
                advantages[best] = max(advantage, advantages.get(best, 0.0))
    return sorted(advantages, key=lambda i: (-advantages[i], i))[:MAX_CANDIDATES]


def _other_runs(
    histories: Sequence[_History],
    known: Mapping[str, Configuration],
    part: KnownTasks,
    candidates: Collection[str],
) -> TunedRuns:
    """Collect the runs of configurations that are no columns."""
    columns = {*part.configurations, *candidates}
    found = [
        (task, i, {m: float(o.level(o.gains[i])) for m, o in history.outcomes.items() if i in o.gains})
        for task, history in enumerate(histories)
        for i in dict.fromkeys(i for outcome in history.outcomes.values() for i in outcome.gains)
        if i not in columns
    ]
    return TunedRuns.make(
        [task for task, _, _ in found],
        [known[i] for _, i, _ in found],
        {m: np.array([levels.get(m, np.nan) for _, _, levels in found]) for m in part.regrets},
    )


def _task_table(tasks: Sequence[Mapping[str, object]], part: KnownTasks) -> pd.DataFrame:
    """The tasks with their families: those of the part where it has the same table."""
    columns = ["task_id", "name", "openml_id", "family", "fingerprint", "kind"]
    table = pd.DataFrame([{name: task[name] for name in columns} for task in tasks], columns=columns)
    known = dict(zip(part.tasks["fingerprint"], part.tasks["family"], strict=True))
    twins = table["fingerprint"].map(known)
    return table.assign(family=twins.where(twins.notna(), table["family"]))


def interpolation_weights(
    encoded: FloatArray, algorithms: Sequence[str], known: FloatArray, known_algorithms: Sequence[str]
) -> FloatArray:
    """Return weights by inverse distance over the known configurations of the same algorithm (Shepard 1968).

    Parameters
    ----------
    encoded : ndarray of shape (n_new, n_encoded)
        See :meth:`autometa.space.SearchSpace.encode`.
    algorithms : sequence of str, one for each new configuration
    known : ndarray of shape (n_known, n_encoded)
    known_algorithms : sequence of str, one for each known configuration

    Returns
    -------
    ndarray of shape (n_new, n_known)
        Rows sum to 1; to 0 for an algorithm of which nothing is known.
    """
    result = np.zeros((len(encoded), len(known)))
    names = np.asarray(known_algorithms, dtype=str)
    for weights, row, algorithm in zip(result, encoded, algorithms, strict=True):
        same = np.flatnonzero(names == algorithm)
        if len(same):
            weights[same] = _shares(row, known[same])
    return result


def _shares(row: FloatArray, others: FloatArray) -> FloatArray:
    """Weights of one configuration; a parameter that only one of two has is 1 apart."""
    gaps = np.where(np.isnan(row) == np.isnan(others), np.nan_to_num(others - row), 1.0)
    closeness = np.maximum(np.sqrt((gaps**2).sum(axis=1)), _SAME) ** -_POWER
    return np.asarray(closeness / closeness.sum())
