"""Recommendations as one page: what to try first, and why."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from autometa.report._drawing import require_charts
from autometa.report._known import TaskMap, describe_known, describe_recommendations
from autometa.report._page import Part, make_code, make_page, make_tile
from autometa.report._table import describe_table
from autometa.wording import algorithm_name, brief_seconds, counted, direction, number

__all__ = ["render_recommendations", "require_charts"]

if TYPE_CHECKING:
    from autometa.errors import DataIssue
    from autometa.metamodel import MetaModel
    from autometa.recommendation import Recommendations


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
    title : str, default=""
        By default the name of the task.
    model : MetaModel, optional
        Whose known tasks are drawn as a map.
    issues : sequence of DataIssue, optional
        What was noticed; by default ``found.warnings``.
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
    subtitle = (
        f"{counted(task.n_rows, 'row')}, {counted(task.X.shape[1], 'column')}, {task.kind} target "
        f"{task.y.name!r}"
    )
    return make_page(
        name, subtitle, answer, parts, f"Made by autometa in {total:.1f} s, without fitting any pipeline."
    )
