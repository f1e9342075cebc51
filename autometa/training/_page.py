"""The report of a training as a page: for each target a chart and a table, then the same by kind, rows and metric."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autometa.metamodel import MetaModel
from autometa.metamodel.forest import principal_components
from autometa.metamodel.known import KnownTasks
from autometa.report import Dot, Point, Section, render_report
from autometa.training._report import DEPTHS, LABELS, PRODUCT, TrainingReport, with_error

TITLES = ("", *(f"first {depth}" for depth in DEPTHS), "more, first", "more, first five", "rank", "tasks")


def render_training_report(report: TrainingReport, model: MetaModel | None = None) -> str:
    """Return a whole HTML document.

    Parameters
    ----------
    report : TrainingReport
    model : MetaModel, optional
        Whose map of the known tasks is drawn.
    """
    about = [
        "Mean normalised regret: 0 is the best known result on a task, 1 the median of the library defaults; lower is "
        "better. Every task was judged by what was learned without its family; metrics of a task count as one.",
        "After +- stands the standard error over families. 'More' is how much more regret than autometa's, paired, "
        "after the first pick and after five; the rank is that of the first pick among the methods on a task.",
    ]
    sections = [Section("How to read this", about), *_sections(report)]
    if own := report.own_lines():
        sections.insert(1, Section(own[0].strip(), [line.strip() for line in own[1:]]))
    if model is not None:
        sections += [_map(target, part) for target, part in model.parts.items()]
    return render_report("What the meta-model learned", sections)


def _sections(report: TrainingReport) -> Iterator[Section]:
    slices = report.slices()
    for (target, name, value), table in slices.groupby(["target", "slice", "value"], sort=False):
        is_all = name == "all"
        heading = f"{target}: all tasks" if is_all else f"{target}, {name}: {value}"
        covered = ", ".join(f"{m} {share:.0%}" for m, share in report.coverage[target].items())
        lines = [f"80 % intervals hold: {covered}."] if is_all else []
        dots = (
            [Dot(_label(row), row["regret@1"], row["regret@1_se"]) for _, row in table.iterrows()]
            if is_all
            else []
        )
        rows = [_cells(row) for _, row in table.iterrows()]
        yield Section(heading, lines, TITLES, rows, "<" + ">" * (len(TITLES) - 1), dots)


def _map(target: str, part: KnownTasks) -> Section:
    about = (
        "Each circle is a task, placed by the ranks of all configurations under all metrics: where two are near, "
        "configurations come in the same order. Its colour is the algorithm of the configuration that is best over all "
        "metrics."
    )
    names = [
        task if pd.isna(name) else name
        for task, name in zip(part.tasks["task_id"], part.tasks["name"], strict=True)
    ]
    ranks = [_centred_ranks(levels) for _, levels in part.filled.values()]
    algorithms = [c.algorithm for c in part.configurations.values()]
    best = [algorithms[i] for i in np.mean(ranks, axis=0).argmax(axis=1)]
    places = principal_components(np.hstack(ranks), 2)[:, :2]
    table = zip(names, places.tolist(), best, strict=True)
    points = [Point(f"{name}: {best}", x, y, best) for name, (x, y), best in table]
    return Section(f"{target}: a map of the known tasks", [about], points=points)


def _centred_ranks(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks of each row's values, mean rank for ties, centred and of unit length: products are rank correlations."""
    ranks = pd.DataFrame(table).rank(axis=1).to_numpy()
    ranks = ranks - ranks.mean(axis=1, keepdims=True)
    return np.asarray(ranks / np.maximum(np.linalg.norm(ranks, axis=1, keepdims=True), 1e-12))


def _label(row: pd.Series) -> str:
    return LABELS.get(row["method"], row["method"])


def _cells(row: pd.Series) -> list[str]:
    regrets = [with_error(row[f"regret@{d}"], row[f"regret@{d}_se"]) for d in DEPTHS]
    more = [with_error(row[f"more@{d}"], row[f"more@{d}_se"], "+.3f") for d in (1, 5)]
    rank = "" if np.isnan(row["rank@1"]) else f"{row['rank@1']:.1f}"
    return [
        _label(row),
        *regrets,
        *(("", "") if row["method"] == PRODUCT else more),
        rank,
        str(row["n_tasks"]),
    ]
