"""Results in words: scores, hyperparameters, novelty, issues, and the command to run next."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from autometa.cli._terminal import symbol
from autometa.errors import DataIssue, with_code
from autometa.report import Section
from autometa.wording import brief_params, brief_seconds, counted, direction, number

if TYPE_CHECKING:
    import pandas as pd

    from autometa.metrics import Metric
from autometa.task import Task

__all__ = [
    "brief_params",
    "brief_seconds",
    "counted",
    "describe_data",
    "direction",
    "issue_sections",
    "next_command",
    "number",
    "score_title",
    "similar_section",
]

_NOVELTIES: Final = (
    (0.25, "much like tables that are known"),
    (0.5, "somewhat like tables that are known"),
    (1.01, "unlike the tables that are known; trust a search more than this ranking"),
)


def describe_data(task: Task, name: str) -> str:
    """Return size, target and metric in a sentence."""
    if task.kind == "regression":
        target = f"from {number(float(task.y.min()))} to {number(float(task.y.max()))}"
    else:
        counts = task.y.value_counts()
        shown = [f"{label} {count}" for label, count in counts.head(4).items()]
        target = ", ".join(shown) + (f" and {len(counts) - 4} more classes" if len(counts) > 4 else "")
    size = f"{counted(task.n_rows, 'row')}, {counted(task.X.shape[1], 'column')}"
    metric = f"metric {task.metric.name} ({direction(task.metric)} is better)"
    name = "standard input" if name == "-" else name
    return f"{name}: {size}; {task.kind} target {task.y.name!r} ({target}); {metric}."


def score_title(name: str, metric: Metric) -> str:
    """Return the title of a column of scores: the metric, and an arrow that points to better."""
    arrow = symbol("\u2191", "(higher)") if metric.greater_is_better else symbol("\u2193", "(lower)")
    return f"{name} {arrow}"


def similar_section(novelty: float, similar: pd.DataFrame) -> Section:
    """Return the nearest known tasks and what the distance to them means."""
    words = next((text for limit, text in _NOVELTIES if novelty < limit), _NOVELTIES[-1][1])
    rows = [
        (str(row["name"]), _openml(row["openml_id"]), number(float(row["distance"]), 3))
        for row in similar.head(5).to_dict("records")
    ]
    line = f"This table is {words} (novelty {novelty:.2f} of 1)."
    if not rows:
        return Section("Nearest known tasks", [line])
    return Section("Nearest known tasks", [line], ("task", "OpenML", "distance"), rows, "<>>")


def _openml(value: Any) -> str:
    return str(int(value)) if isinstance(value, (int, float)) and value == value else "-"


def issue_sections(issues: Sequence[DataIssue]) -> list[Section]:
    """Return what was noticed, if anything."""
    return [Section("Noticed", [with_code(issue) for issue in issues])] if issues else []


def next_command(args: argparse.Namespace, command: str, *more: str) -> Section:
    """Return the command that goes on from here with the same data."""
    words = ["autometa", command, args.data, "--target", args.target]
    if args.kind != "auto":
        words += ["--kind", args.kind]
    if args.metric:
        words += ["--metric", args.metric]
    if getattr(args, "algorithms", None):
        words += ["--algorithms", ",".join(args.algorithms)]
    if args.metamodel:
        words += ["--metamodel", args.metamodel]
    for column_type in args.column_type:
        words += ["--column-type", column_type]
    return Section("Next", [shlex.join([*words, *more])])
