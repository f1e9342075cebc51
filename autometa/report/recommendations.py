"""Recommendations as one page: what to try first and why, and where the table lies among the known ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.stats import rankdata
from threadpoolctl import threadpool_limits

from autometa.report._charts import draw, intervals, require_charts, task_map
from autometa.report._course import short_name
from autometa.report._page import (
    Cell,
    Column,
    Part,
    make_code,
    make_figure,
    make_page,
    make_table,
    make_tile,
    name_table,
)
from autometa.report._table import describe_table
from autometa.wording import algorithm_name, brief_params, brief_seconds, counted, direction, number

__all__ = ["render_recommendations", "require_charts"]

if TYPE_CHECKING:
    from autometa.errors import DataIssue
    from autometa.metamodel import MetaModel
    from autometa.recommendation import Recommendations

_REASONS: Final = 3  # that stand open: the others say much the same


def render_recommendations(
    found: Recommendations,
    *,
    title: str = "",
    model: MetaModel | None = None,
    issues: Sequence[DataIssue] | None = None,
    code: str = "",
) -> str:
    """Return recommendations as a whole HTML document that loads nothing.

    Parameters
    ----------
    found : Recommendations
    title, model, issues
        As in :func:`autometa.report.search.render_search`.
    code : str, default=""
        To copy; by default that of the first recommendation.

    Returns
    -------
    str

    Raises
    ------
    DependencyError
        AM706 when the extra ``report`` is not installed.
    """
    require_charts()
    task, metric, first = found.task, found.metric, found[0]
    name = title or f"Recommendations for {task.name or 'a table'}"
    tiles = "".join(
        (
            make_tile("try first", algorithm_name(first.algorithm), f"of {counted(len(found), 'pipeline')}"),
            make_tile(
                f"expected {metric.stored}",
                number(first.expected_score),
                f"80 % between {number(first.lower, 3)} and {number(first.upper, 3)}; {direction(metric)} is better",
            ),
            make_tile(
                "one fit takes about", f"{brief_seconds(first.expected_seconds)} s", "CPU time, one thread"
            ),
            make_tile(
                "novelty",
                f"{found.novelty:.2f}",
                "0 is well known, 1 like nothing seen",
            ),
        )
    )
    answer = f'<p class="lead">{escape(first.reason)}</p>\n<div class="tiles">{tiles}</div>\n'
    with threadpool_limits(1):  # small sums: more threads would wait for each other
        known = None if model is None else TaskMap.of(model, found.kind)
    script = Part(
        "code", "The code", "A script that does the same with scikit-learn and LightGBM, without autometa."
    )
    script.blocks.append(make_code(code or first.to_code(), "script"))
    parts = [
        describe_recommendations(found),
        describe_table(task, found.warnings if issues is None else issues),
        describe_known(found, known),
        script,
    ]
    total = sum(found.seconds.values())
    return make_page(
        name,
        name_table(task),
        answer,
        parts,
        f"Made by autometa in {total:.1f} s, without fitting any pipeline.",
    )


@dataclass(frozen=True, eq=False)
class TaskMap:
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
    def of(cls, model: MetaModel, kind: str) -> Self:
        """Place the tasks of a meta-model by the ranks of all configurations under all metrics.

        Where two tasks are near, configurations come in the same order: products of centred ranks of unit length are
        rank correlations, of which the first two principal components are drawn.

        Parameters
        ----------
        model : MetaModel
        kind : str
        """
        part = model.part(kind)
        ids = [str(i) for i in part.tasks["task_id"]]
        names = [i if pd.isna(name) else str(name) for i, name in zip(ids, part.tasks["name"], strict=True)]
        ranks = [_centred_ranks(levels) for _, levels in part.filled.values()]
        algorithms = [c.algorithm for c in part.configurations.values()]
        best = [algorithms[i] for i in np.mean(ranks, axis=0).argmax(axis=1)]
        rows = np.hstack(ranks)
        rows -= rows.mean(axis=0)
        # Two of some hundred components: the products of the rows have them, without the other side of all of them.
        sizes, left = eigh(rows @ rows.T, subset_by_index=[max(len(rows) - 2, 0), len(rows) - 1])
        places = left[:, ::-1] * np.sqrt(np.maximum(sizes[::-1], 0.0))
        # The larger side of a principal component is arbitrary: it is fixed, so that a page is the same every time.
        places *= np.sign(places[np.abs(places).argmax(axis=0), range(places.shape[1])])
        return cls(ids, names, best, places)


def _centred_ranks(table: NDArray[np.float64]) -> NDArray[np.float64]:
    ranks = rankdata(np.nan_to_num(table, nan=-np.inf), axis=1)
    ranks = ranks - ranks.mean(axis=1, keepdims=True)
    return np.asarray(ranks / np.maximum(np.linalg.norm(ranks, axis=1, keepdims=True), 1e-12))


def describe_known(found: Recommendations, known: TaskMap | None) -> Part:
    """Return the section on the known tables that the recommendations come from.

    Parameters
    ----------
    found : Recommendations
    known : TaskMap or None
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
        openml, task_id = row.get("openml_id"), str(row["task_id"])
        name = task_id if pd.isna(row["name"]) else str(row["name"])
        rows.append(
            [
                name if openml is None or pd.isna(openml) else f"{name} (OpenML {int(openml)})",
                algorithm_name(best[task_id]) if task_id in best else "-",
                Cell(number(float(row["distance"]), 3), float(row["distance"])),
            ]
        )
    columns = [Column("table", css="name"), Column("what did best there"), Column("distance", ">")]
    table = make_table(columns, rows, label="The nearest known tables", sortable=True)
    nearest = (
        '<div class="card span"><h3>What worked on the nearest</h3>'
        f'<p class="how">The smaller the distance, the more a table says about this one.</p>{table}</div>\n'
    )
    drawn = _draw_map(found, known) if known is not None and len(known.names) else ""
    part.blocks.append(f'<div class="grid">{drawn}{nearest}</div>\n')
    return part


def _draw_map(found: Recommendations, known: TaskMap) -> str:
    near = {str(i) for i in found.similar_tasks["task_id"]}
    places = known.coordinates[[i in near for i in known.task_ids]]
    if not len(places) or known.coordinates.shape[1] < 2:
        return ""
    rows = [
        {"x": x, "y": y, "tip": f"{name}: {algorithm_name(algorithm)} did best", "near": task_id in near}
        for task_id, name, algorithm, (x, y) in zip(
            known.task_ids, known.names, known.best_algorithms, known.coordinates.tolist(), strict=True
        )
    ]
    x, y = places.mean(axis=0).tolist()
    chart = task_map(
        [row for row in rows if not row["near"]],
        [row for row in rows if row["near"]],
        {"x": x, "y": y, "tip": "this table"},
    )
    label = f"Map of {len(rows)} known tables; this one is the diamond, the nearest are squares."
    how = (
        f"All {len(rows)} known tables: where two are near, the same configurations do well. The nearest to this one "
        "are squares; the diamond in their middle is this table. Only two of the dimensions are drawn."
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
            "label": f"{item.rank}. {short_name(item.algorithm)}",
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
    reasons = [f"<li>{escape(item.reason)}</li>" for item in found]
    first_ones = f'<ol class="reasons">{"".join(reasons[:_REASONS])}</ol>'
    others = f'<ol class="reasons" start="{_REASONS + 1}">{"".join(reasons[_REASONS:])}</ol>'
    more = f"<details><summary>Why the others</summary>{others}</details>" if reasons[_REASONS:] else ""
    part.blocks.append(
        f'<div class="grid">{figure}<div class="card span"><h3>The list</h3>{table}</div></div>\n'
        f"<h3>Why these</h3>{first_ones}{more}\n"
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
