"""From a metadata base to a meta-model, with an honest report on families that it has not seen."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Final

import pandas as pd

from autometa.files import to_csv, write_file
from autometa.metabase import MetaBase
from autometa.metamodel import MetaModel
from autometa.metamodel.known import KnownTasks
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
    "nearest_tasks",
    "recommended",
    "render_training_report",
    "replay",
    "static_portfolio",
    "train",
    "with_error",
]

# Models for the comparison on one's own tasks: each takes as long as the training itself.
MAX_FITS: Final = 4
REGRETS_FILE: Final = "leave_one_family_out.parquet"
SUMMARY_FILE: Final = "report.csv"


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
