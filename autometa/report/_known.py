"""Where a table lies among the known ones, what worked on the nearest, and what is recommended."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autometa.report._charts import intervals, task_map
from autometa.report._drawing import draw
from autometa.report._page import Cell, Column, Part, make_figure, make_table
from autometa.wording import algorithm_name, brief_params, brief_seconds, direction, number

if TYPE_CHECKING:
    from autometa.metamodel import MetaModel
    from autometa.recommendation import Recommendations


@dataclass(frozen=True, eq=False)
class KnownTasks:
    """The known tasks of a kind as a map shows them.

    Attributes
    ----------
    task_ids, names, best_algorithms : list of str
    coordinates : ndarray of shape (n_tasks, 2)
    """

    task_ids: Sequence[str]
    names: Sequence[str]
    best_algorithms: Sequence[str]
    coordinates: NDArray[np.float64]

    @classmethod
    def of(cls, model: MetaModel, kind: str) -> KnownTasks:
        """Take them from a meta-model.

        Parameters
        ----------
        model : MetaModel
        kind : str
        """
        part = model.part(kind)
        ids = [str(i) for i in part.tasks["task_id"]]
        names = [i if pd.isna(name) else str(name) for i, name in zip(ids, part.tasks["name"], strict=True)]
        return cls(ids, names, part.best_algorithms(), part.embedding.coordinates[:, :2])


def describe_known(found: Recommendations, known: KnownTasks | None) -> Part:
    """Return the section on the known tables that the recommendations come from.

    Parameters
    ----------
    found : Recommendations
    known : KnownTasks or None
        Without them there is no map, and no word on what worked there.
    """
    similar = found.similar_tasks
    part = Part(
        "known",
        "Among the known tables",
        f"The recommendations come from the tables nearest to this one; novelty is {found.novelty:.2f}, "
        "from 0 (well known) "
        "to 1 (like nothing seen).",
    )
    best = dict(zip(known.task_ids, known.best_algorithms, strict=True)) if known is not None else {}
    rows: list[list[Cell | str]] = []
    for row in similar.to_dict("records"):
        openml = row.get("openml_id")
        has_id = openml is not None and not pd.isna(openml)
        rows.append(
            [
                str(row["name"]) if not pd.isna(row["name"]) else str(row["task_id"]),
                algorithm_name(best[str(row["task_id"])]) if str(row["task_id"]) in best else "-",
                Cell(str(int(openml)) if has_id else "-", float(openml) if has_id else math.nan),
                Cell(number(float(row["distance"]), 3), float(row["distance"])),
            ]
        )
    columns = [
        Column("table", css="name"),
        Column("what did best there"),
        Column("OpenML id", ">"),
        Column("distance", ">"),
    ]
    table = make_table(columns, rows, label="The nearest known tables", sortable=True)
    nearest = (
        '<div class="card span"><h3>What worked on the nearest</h3><p class="how">Distance in the map of '
        "all dimensions; 0 would "
        f"mean that the same configurations come in the same order.</p>{table}</div>\n"
    )
    drawn = _draw_map(found, known) if known is not None and len(known.names) else ""
    part.blocks.append(f'<div class="grid">{drawn}{nearest}</div>\n')
    return part


def _draw_map(found: Recommendations, known: KnownTasks) -> str:
    here = np.asarray(found.coordinates, dtype="float64")
    if len(here) < 2 or known.coordinates.shape[1] < 2:
        return ""
    near = set(map(str, found.similar_tasks["task_id"]))
    rows = [
        {"x": x, "y": y, "tip": f"{name}: {algorithm_name(algorithm)} did best", "near": task_id in near}
        for task_id, name, algorithm, (x, y) in zip(
            known.task_ids, known.names, known.best_algorithms, known.coordinates.tolist(), strict=True
        )
    ]
    chart = task_map(
        [row for row in rows if not row["near"]],
        [row for row in rows if row["near"]],
        {"x": float(here[0]), "y": float(here[1]), "tip": "this table"},
    )
    label = f"Map of {len(rows)} known tables; this one is the diamond, the nearest are squares."
    how = (
        f"This table (diamond), the nearest (squares) and all {len(rows)} known ones: where two are near, the same "
        "configurations do well. Two of the dimensions are drawn, so the nearest may look farther."
    )
    return make_figure("Map of the known tables", how, draw(chart, label))


def describe_recommendations(found: Recommendations) -> Part:
    """Return the section on what is recommended, with the reasons.

    Parameters
    ----------
    found : Recommendations
    """
    metric = found.metric
    part = Part(
        "recommended",
        "Recommended pipelines",
        f"Nothing of this was fitted: expected {metric.stored} ({direction(metric)} is better) with an "
        "interval that should "
        "hold the truth four times in five.",
    )
    shown = found[:15]
    rows = [
        {
            "label": f"{item.rank}. {algorithm_name(item.algorithm)}",
            "value": item.expected_score,
            "lower": item.lower,
            "upper": item.upper,
            "kind": "main" if item.rank == 1 else "other",
            "tip": f"{number(item.expected_score)}, 80 % between {number(item.lower)} and {number(item.upper)}",
        }
        for item in shown
    ]
    first = found[0]
    label = (
        f"Expected {metric.stored} of {len(rows)} recommendations; the first, {first.algorithm}, "
        f"{number(first.expected_score)}."
    )
    figure = make_figure(
        "Expected scores",
        "A dot is the expected score, the bar its 80 % interval; further right is "
        + ("better." if metric.greater_is_better else "worse."),
        draw(intervals(rows, metric.stored), label),
    )
    columns = [
        Column("rank", ">"),
        Column("algorithm"),
        Column("expected", ">"),
        Column("80 % interval"),
        Column("seconds", ">"),
        Column("changed hyperparameters", css="long"),
    ]
    lines = [_line(item, found.kind) for item in found]
    table = make_table(columns, lines, label="Recommended pipelines", sortable=True)
    reasons = "".join(f"<li>{escape(item.reason)}</li>" for item in found)
    part.blocks.append(
        f'<div class="grid">{figure}<div class="card span"><h3>The list</h3>{table}</div></div>\n'
        f'<h3>Why these</h3><ol class="reasons">{reasons}</ol>\n'
    )
    return part


def _line(item: Any, kind: str) -> list[Cell | str]:
    return [
        Cell(str(item.rank), item.rank),
        algorithm_name(item.algorithm),
        Cell(number(item.expected_score), item.expected_score),
        f"{number(item.lower, 3)} to {number(item.upper, 3)}",
        Cell(brief_seconds(item.expected_seconds), item.expected_seconds),
        brief_params(item.algorithm, item.params, kind),
    ]
