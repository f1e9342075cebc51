"""The user's own experience: finished studies in a metadata base beside the bundled one, on this machine alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autometa.experience._extension import Addition
from autometa.experience._store import (
    HOME_VARIABLE,
    forget,
    home,
    load_bundled_metamodel,
    load_experienced_metamodel,
    load_metamodel,
    locked,
    newest,
    read,
    read_studies,
    write,
)
from autometa.metabase import MetaBase
from autometa.metamodel import MetaModel, Neighbourhood
from autometa.metamodel.known import KnownTasks
from autometa.storage import open_existing_storage
from autometa.task import Task

__all__ = [
    "DEFAULT_IMPORTANCE",
    "HOME_VARIABLE",
    "LearnReport",
    "compare",
    "forget",
    "home",
    "learn",
    "load_experienced_metamodel",
    "load_metamodel",
    "newest",
    "read",
]

FloatArray = NDArray[np.float64]
# The first pick, and what one look at a list takes in.
DEPTHS: Final = (1, 5)
# With fewer tasks, the standard error of a difference is itself too uncertain to choose by.
MIN_JUDGED: Final = 10
# Each is judged by five meta-models: more would make learning slow and change the choice little.
MAX_JUDGED: Final = 30
# Steps of four: neighbours are hard to tell apart. The default is what is taken before there is enough to choose by.
IMPORTANCES: Final = (1.0, 4.0, 16.0, 64.0)
DEFAULT_IMPORTANCE: Final = 4.0
_KEY: Final = ["task_id", "configuration_id", "fidelity"]


@dataclass(frozen=True, eq=False)
class LearnReport:
    """What was learned, and whether it helps.

    Attributes
    ----------
    path : Path
        Folder of the user's own metadata base.
    studies : dict of str to str
        The task of each study that was read.
    n_taken, n_known : int
        Runs that are new, and runs that were known before.
    skipped : dict of str to str
        Studies that were left out, with the reason.
    trials : Counter of str
        Trials that were left out of the other studies, by reason.
    n_tasks, n_runs : int
        What the user's own metadata base holds now.
    importance : dict of str to float
        How much more a task of the user counts than a bundled one that is as similar, by target: what was best on the
        user's tasks. 0 where the own experience made the order worse by more than a standard error: there the bundled
        meta-model goes on alone.
    comparison : DataFrame
        A row per judged task of the user, its family left out: target, task_id, and the normalised regret of the best
        of the first one and five of the configurations that were run on it, in the order of the bundled meta-model
        (``bundled@1``, ``bundled@5``) and of the one that has learned (``own@1``, ``own@5``), where the importance was
        chosen on the other tasks.
    """

    path: Path
    studies: dict[str, str]
    n_taken: int
    n_known: int
    skipped: dict[str, str]
    trials: Counter[str]
    n_tasks: int
    n_runs: int
    importance: dict[str, float]
    comparison: pd.DataFrame = field(repr=False)

    def to_frame(self) -> pd.DataFrame:
        """Return mean regrets with and without the own experience, by target."""
        rows = [
            [target, len(tasks), *tasks[_columns()].mean(), _difference(tasks).sem()]
            for target, tasks in self.comparison.groupby("target", sort=False)
        ]
        return pd.DataFrame(rows, columns=["target", "n_tasks", *_columns(), "difference_se"])

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain JSON types."""
        return {
            "schema": "autometa/learn/1",
            "path": str(self.path),
            "taken": self.n_taken,
            "known": self.n_known,
            "studies": self.studies,
            "skipped": self.skipped,
            "trials_left_out": dict(self.trials),
            "tasks": self.n_tasks,
            "runs": self.n_runs,
            "importance": self.importance,
            "comparison": self.to_frame().round(5).to_dict("records"),
        }


def learn(
    storage: Any,
    X: Any = None,
    y: Any = None,
    *,
    kind: str = "auto",
    metric: Any = None,
    study_name: str | None = None,
    algorithm: str | None = None,
    column_types: Mapping[str, str] | None = None,
) -> LearnReport:
    """Take finished studies into the user's own metadata base, from which the next recommendations profit.

    Nothing leaves the machine, and no row of data is stored: meta-features, configurations and scores are. Learning
    from the same studies again changes nothing.

    Parameters
    ----------
    storage : str or optuna storage
        Studies of ``tune`` and ``collect`` describe their tables.
    X : DataFrame or array-like of shape (n_rows, n_columns), optional
        The table of a study that does not: over autometa's joint space, or over parameters of one of its algorithms
        under the library's own names. Parameters that it does not search are taken to be at the library's defaults.
    y : array-like of shape (n_rows,), or str, optional
        The target, or the name of its column in `X`.
    kind : {"auto", "classification", "regression", "binary", "multiclass"}, default="auto"
        Of that table; ``auto`` tells it by the target.
    metric : str, callable or None, default=None
        What the values of that study are, see :func:`autometa.recommend`.
    study_name : str, optional
        Read this study only.
    algorithm : str, optional
        What that study tunes, where its parameters are those of several algorithms.
    column_types : mapping of str to str, optional
        What to read the columns of that table as, see :func:`autometa.recommend`.

    Returns
    -------
    LearnReport
        What was taken, what was left out and why, and whether it helps.

    Raises
    ------
    StorageError
        AM601 or AM604 when there is no such storage, AM609 when the user's metadata base cannot be written, AM611
        when it is damaged.
    UsageError
        AM525 when there is no study of that name.
    """
    about = None if X is None else Task.from_frame(X, y, kind=kind, metric=metric, column_types=column_types)
    opened = open_existing_storage(storage)
    reading = read_studies(opened, about, study_name=study_name, algorithm=algorithm)
    with locked():
        folder = newest()
        before = None if folder is None else read(folder)
        after, n_taken = _joined(before, reading.to_metabase() if reading.runs else None)
        importance, comparison = compare(load_bundled_metamodel(), after)
        if after is not None and n_taken:
            folder = write(after, {"importance": importance})
    return LearnReport(
        path=folder or home(),
        studies=reading.studies,
        n_taken=n_taken,
        n_known=len(reading.runs) - n_taken,
        skipped=reading.skipped,
        trials=reading.trials,
        n_tasks=0 if after is None else len(after.tasks),
        n_runs=0 if after is None else len(after.runs),
        importance=importance,
        comparison=comparison,
    )


def compare(model: MetaModel, base: MetaBase | None) -> tuple[dict[str, float], pd.DataFrame]:
    """Choose how much the user's tasks count, and compare the meta-model with and without them.

    Returns
    -------
    importance, comparison
        See :class:`LearnReport`; at most ``MAX_JUDGED`` tasks of each target are judged, the last ones of the base.
    """
    importance: dict[str, float] = {}
    tables = [pd.DataFrame(columns=["target", "task_id", *_columns()])]
    for target, part in model.parts.items():
        addition = None if base is None else Addition.of(part, base)
        if addition is None or addition.tasks.empty:
            continue
        task_ids, regrets = _replay(addition)
        importance[target], own = _choose(regrets)
        table = pd.DataFrame(np.hstack([regrets[:, 0], own]), columns=_columns())
        table.insert(0, "target", target)
        table.insert(1, "task_id", task_ids)
        tables.append(table)
    return importance, pd.concat([t for t in tables if len(t)] or tables, ignore_index=True)


def _replay(addition: Addition) -> tuple[list[str], FloatArray]:
    """Order what was run on each added task, its family left out.

    Returns
    -------
    task_ids : list of str
    regrets : ndarray of shape (n_tasks, 1 + n_importances, n_depths)
        Of the part alone, then of the extended part under each importance.
    """
    tasks = addition.tasks.to_dict("records")
    task_ids, regrets = [], []
    for number, task in list(enumerate(tasks))[-MAX_JUDGED:]:
        families = (str(task["family"]),)
        seen = {metric: rows[number] for metric, rows in addition.observed.items()}
        metrics = [metric for metric, row in seen.items() if np.isfinite(row).sum() > 1]
        if not metrics or set(addition.tasks["family"]) <= set(families):
            continue
        parts = [addition.part, *(addition.extend(factor, without=families) for factor in IMPORTANCES)]
        by_part = [
            _regrets_of(part, addition.metafeatures[number], seen, metrics, families) for part in parts
        ]
        task_ids.append(str(task["task_id"]))
        regrets.append(by_part)
    return task_ids, np.array(regrets).reshape(len(regrets), 1 + len(IMPORTANCES), len(DEPTHS))


def _regrets_of(
    part: KnownTasks,
    x: FloatArray,
    seen: Mapping[str, FloatArray],
    metrics: Sequence[str],
    families: tuple[str, ...],
) -> list[float]:
    """Regret of the best of the first ones among what was run, mean over the metrics."""
    near = Neighbourhood(part, x, families)
    found = []
    for metric in metrics:
        actual = seen[metric]
        allowed = np.zeros(len(part.configurations), dtype=bool)
        allowed[: len(actual)] = np.isfinite(actual)
        order = near.predict(metric).portfolio(max(DEPTHS), allowed)
        found.append([float(actual[order[:depth]].min()) for depth in DEPTHS])
    return np.mean(found, axis=0).tolist()


def _choose(regrets: FloatArray) -> tuple[float, FloatArray]:
    """Return the importance that was best on all tasks, and the regrets of each task under the best on the others."""
    default = IMPORTANCES.index(DEFAULT_IMPORTANCE)
    n_tasks = len(regrets)
    if n_tasks < MIN_JUDGED:
        return DEFAULT_IMPORTANCE, regrets[:, 1 + default]
    losses = regrets.mean(axis=2)
    others = losses.sum(axis=0) - losses
    own = regrets[np.arange(n_tasks), 1 + others[:, 1:].argmin(axis=1)]
    best = int(losses[:, 1:].mean(axis=0).argmin())
    differences = own.mean(axis=1) - losses[:, 0]
    is_harmful = differences.mean() > max(differences.std(ddof=1) / np.sqrt(n_tasks), 1e-9)
    return 0.0 if is_harmful else IMPORTANCES[best], own


def _columns() -> list[str]:
    return [f"{who}@{depth}" for who in ("bundled", "own") for depth in DEPTHS]


def _difference(rows: pd.DataFrame) -> pd.Series:
    """By how much the own experience raises the regret of each task, mean over the depths."""
    return sum(rows[f"own@{d}"] - rows[f"bundled@{d}"] for d in DEPTHS) / len(DEPTHS)


def _joined(before: MetaBase | None, new: MetaBase | None) -> tuple[MetaBase | None, int]:
    """Join two bases, and count the runs that the first did not have."""
    if before is None or new is None:
        return before or new, 0 if new is None else len(new.runs)
    keys = set(before.runs[_KEY].itertuples(index=False, name=None))
    n_new = sum(key not in keys for key in new.runs[_KEY].itertuples(index=False, name=None))
    return before.merge(new), n_new
