"""From a sound metadata base to a meta-model, with an honest report on families that it has not seen."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from autometa.evaluation import Split, evaluate
from autometa.metabase import MetaBase, metabase_directory, verify_files
from autometa.metamodel import MetaModel
from autometa.metamodel.known import KnownTasks
from autometa.pipelines import build_pipeline
from autometa.space import Configuration, target_of
from autometa.storage import to_csv, write_file
from autometa.task import KINDS, Task
from autometa.training._report import (
    DEFAULTS_ROW,
    DEPTHS,
    LABELS,
    OWN,
    PRODUCT,
    WITHOUT_OWN,
    Ranker,
    TrainingReport,
    nearest_tasks,
    recommended,
    render_training_report,
    replay,
    size_class,
    static_portfolio,
    with_error,
)

__all__ = [
    "DEFAULTS_ROW",
    "DEPTHS",
    "LABELS",
    "PRODUCT",
    "Ranker",
    "TrainingReport",
    "Verification",
    "nearest_tasks",
    "recommended",
    "render_training_report",
    "replay",
    "simulate_task",
    "static_portfolio",
    "train",
    "verify",
    "with_error",
]

# Models for the comparison on one's own tasks: each takes as long as the training itself.
MAX_FITS: Final = 4
REGRETS_FILE: Final = "leave_one_family_out.parquet"
SUMMARY_FILE: Final = "report.csv"
# Rows of the tables that a base is checked on: enough for every algorithm's smallest fit, and for a test; few, as
# thousands of configurations are fitted.
N_ROWS: Final = 90
SPLIT: Final[Split] = (np.arange(N_ROWS - 30), np.arange(N_ROWS - 30, N_ROWS))


def train(
    metabase: MetaBase,
    output: str | Path | None = None,
    *,
    known: MetaBase | None = None,
    random_state: int = 0,
) -> tuple[MetaModel, TrainingReport]:
    """Train a meta-model, and judge it on left-out families.

    Parameters
    ----------
    metabase : MetaBase
        The runs to learn from.
    output : str, Path or None, default=None
        Directory for metadata base, meta-model and report; nothing is written without it.
    known : MetaBase, optional
        A base to join it with, such as the bundled one, ``MetaBase.load()``. The report then says whether the runs of
        `metabase` help on its tasks.
    random_state : int, default=0
        Seed of the forests.

    Returns
    -------
    model : MetaModel
        Trained on all of it.
    report : TrainingReport
        Regrets of every task, each judged without its family; lower is better.
    """
    own = metabase if known is None else metabase.beside(known)
    joined = own if known is None else known.merge(own)
    model = MetaModel.fit(joined, random_state=random_state)
    compared = [
        replay_own(part, known, own, random_state)
        for target, part in model.parts.items()
        if known is not None and own.task_ids(target)
    ]
    report = TrainingReport(
        _described(pd.concat([replay(part) for part in model.parts.values()], ignore_index=True), joined),
        {target: part.calibrate()[1] for target, part in model.parts.items()},
        pd.concat(compared, ignore_index=True) if compared else None,
    )
    model.report = report.to_dict()
    if output is not None:
        joined.save(output)
        write_file(
            Path(output) / REGRETS_FILE, report.regrets.to_parquet(None, index=False, compression="zstd")
        )
        write_file(Path(output) / SUMMARY_FILE, to_csv(report.slices(), float_format="%.4f"))
        model.save(output)
    return model, report


def replay_own(part: KnownTasks, known: MetaBase, own: MetaBase, random_state: int = 0) -> pd.DataFrame:
    """Replay on one's own tasks what a model learns from the known base alone and with the runs of one's own.

    The families of one's own tasks are dealt into at most `MAX_FITS` groups (each family is its own, if they are
    few); each group is judged by models trained without it. Neither model has seen any of the group.

    Parameters
    ----------
    part : KnownTasks
        Of both bases.
    known, own : MetaBase
    random_state : int, default=0

    Returns
    -------
    DataFrame
        As :func:`replay` returns it.
    """
    ids = own.task_ids(part.target)
    families = sorted(set(own.families(ids)))
    groups = [families[number::MAX_FITS] for number in range(min(MAX_FITS, len(families)))]
    tables = []
    without = KnownTasks.fit(_without(known, families), part.target, random_state)
    for group in groups:
        both = KnownTasks.fit(_without(known.merge(own), group), part.target, random_state)
        rankers = {WITHOUT_OWN: recommended(without), OWN: recommended(both)}
        only = [i for i, family in zip(ids, own.families(ids), strict=True) if family in group]
        tables.append(replay(part, rankers, only))
    return pd.concat(tables, ignore_index=True)


def _without(base: MetaBase, families: Collection[str]) -> MetaBase:
    return base.only(base.tasks.loc[~base.tasks["family"].isin(families), "task_id"])


def _described(regrets: pd.DataFrame, base: MetaBase) -> pd.DataFrame:
    """Add kind and size of each task."""
    tasks = base.tasks.set_index("task_id").loc[regrets["task_id"]]
    size = size_class(tasks["n_rows"]).to_numpy()
    return regrets.assign(kind=tasks["kind"].to_numpy(), rows=size)


@dataclass(frozen=True)
class Verification:
    """What the check of a metadata base found.

    Attributes
    ----------
    problems : tuple of str
        A line each; empty when all is sound.
    n_built : int
        Configurations that were built on a table of each of their kinds.
    n_fitted : mapping of str to tuple of int
        For the dense and the tuned configurations, how many were fitted, and how many there are.
    """

    problems: tuple[str, ...]
    n_built: int
    n_fitted: Mapping[str, tuple[int, int]]


def verify(
    path: str | Path | None = None,
    *,
    time_budget: float = 60.0,
    on_progress: Callable[[int, int], None] | None = None,
) -> Verification:
    """Check a metadata base: hashes, content, and that every configuration builds and fits.

    Each configuration is built for a small simulated table of each of its kinds. The dense ones are also fitted and
    scored on these tables, and as many of the tuned ones, in a random order, as the time allows.

    Parameters
    ----------
    path : str, Path or None, default=None
        Directory of the metadata base; the bundled one by default.
    time_budget : float, default=60.0
        Seconds after which no more tuned configurations are fitted.
    on_progress : callable, optional
        Called with the number of configurations done and their total.

    Raises
    ------
    StorageError
        As :meth:`MetaBase.load`.
    """
    start = time.monotonic()
    directory = metabase_directory(path)
    base = MetaBase.load(directory)
    problems = [*verify_files(directory), *base.verify()]
    tables = {kind: simulate_task(kind) for kind in KINDS}
    order = list(_in_order(base))
    counts = {"dense": [0, 0], "tuned": [0, 0]}
    for number, (target, configuration) in enumerate(order, start=1):
        part = counts["tuned" if configuration.origin == "tuned" else "dense"]
        is_fitted = part is counts["dense"] or time.monotonic() - start < time_budget
        part[0] += is_fitted
        part[1] += 1
        for kind, task in tables.items():
            found = _problem(configuration, task, is_fitted) if target_of(kind) == target else ""
            if found:
                problems.append(
                    f"configuration {configuration.id} ({configuration.algorithm}), {kind}: {found}"
                )
        if on_progress is not None:
            on_progress(number, len(order))
    n_fitted = {name: (fitted, total) for name, (fitted, total) in counts.items()}
    return Verification(tuple(problems), len(order), n_fitted)


def simulate_task(kind: str) -> Task:
    """Draw a small table with numbers, gaps and categories, and a target that depends on them.

    Parameters
    ----------
    kind : {"binary", "multiclass", "regression"}
    """
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"a": rng.normal(size=N_ROWS), "b": rng.normal(size=N_ROWS)})
    table["c"] = rng.choice(["red", "green", "blue"], N_ROWS)
    response = table["a"] + (table["c"] == "red") + rng.normal(0, 0.3, N_ROWS)
    table["b"] = table["b"].mask(rng.random(N_ROWS) < 0.2)
    if kind == "regression":
        return Task.from_frame(table, response.rename("y"), kind=kind)
    n_classes = 2 if kind == "binary" else 3
    labels = pd.qcut(response, n_classes, labels=list("xyz")[:n_classes]).astype(str)
    return Task.from_frame(table, labels.rename("y"), kind=kind)


def _in_order(base: MetaBase) -> Iterator[tuple[str, Configuration]]:
    """Yield the dense configurations, then the tuned ones in a random order."""
    targets = ("classification", "regression")
    yield from ((t, c) for t in targets for c in base.configurations_of(t).values())
    tuned = [(t, c) for t in targets for c in base.configurations_of(t, tuned=True).values()]
    yield from (tuned[i] for i in np.random.default_rng(0).permutation(len(tuned)))


def _problem(configuration: Configuration, task: Task, is_fitted: bool) -> str:
    """Return why a configuration does not build or fit; an empty text if it does."""
    if is_fitted:
        # On tables this small, threads that wait for a busy core make a fit many times slower.
        with threadpool_limits(1):
            return evaluate(task, configuration, [SPLIT]).reason
    try:
        build_pipeline(configuration, task)
    except Exception as error:
        # Whatever the libraries of today make of a value of yesterday is the answer to the question.
        return f"{type(error).__name__}: {error}".replace("\n", " ")
    return ""
