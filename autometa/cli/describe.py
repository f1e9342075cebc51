"""``autometa describe``: what autometa sees in a table, before anything is fitted."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

from autometa.cli._inputs import (
    add_data_arguments,
    add_json_argument,
    add_metamodel_argument,
    all_issues,
    load_task,
)
from autometa.cli._terminal import (
    describe_data,
    issue_sections,
    next_command,
    show_json,
    show_sections,
    similar_section,
)
from autometa.report import Section
from autometa.wording import number

if TYPE_CHECKING:
    import pandas as pd

    from autometa.task import Task

EXAMPLES: Final = (
    ("how the table is read, and what is odd about it", "autometa describe data.csv --target price"),
    ("its meta-features for another program", "autometa describe data.csv --target price --json"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_data_arguments(parser)
    parser.set_defaults(kind="auto", metric=None)
    add_metamodel_argument(parser)
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from autometa.recommendation import recommend_for_task

    table, task = load_task(args)
    found = recommend_for_task(task, k=1, metamodel=args.metamodel)
    issues = all_issues(table, found.warnings)
    if args.json:
        answer = found.to_dict()
        show_json(
            {
                "schema": "autometa/describe/1",
                "kind": task.kind,
                "metric": task.metric.name,
                "n_rows": task.n_rows,
                "n_columns": task.X.shape[1],
                "classes": task.classes,
                "column_types": dict(task.column_types),
                "fingerprint": task.fingerprint(),
                "metafeatures": found.metafeatures.to_dict(),
                "novelty": answer["novelty"],
                "similar_tasks": answer["similar_tasks"],
                "warnings": [issue.to_dict() for issue in issues],
            }
        )
        return 0
    show_sections(
        [
            _data(task, Path(args.data).name),
            *issue_sections(issues),
            similar_section(found.novelty, found.similar_tasks),
            _metafeatures(found.metafeatures),
            next_command(args, "recommend"),
        ]
    )
    return 0


def _data(task: Task, name: str) -> Section:
    counts = Counter(task.column_types.values())
    types = ", ".join(f"{count} {kind}" for kind, count in counts.most_common())
    return Section("Data", [describe_data(task, name), f"Columns are read as: {types}."])


def _metafeatures(values: pd.Series) -> Section:
    rows = [(str(name), number(float(value))) for name, value in values.items()]
    return Section("Meta-features", (), ("name", "value"), rows, "<>")
