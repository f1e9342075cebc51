"""``autometa recommend``: rank pipelines for a table, without fitting any."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Final

from autometa.cli._inputs import (
    add_experience_arguments,
    add_json_argument,
    add_task_arguments,
    all_issues,
    check_writable,
    load_task,
    seconds,
    whole_number,
)
from autometa.cli._terminal import (
    describe_data,
    issue_sections,
    next_command,
    say,
    score_title,
    show_json,
    show_sections,
    similar_section,
)
from autometa.report import Section
from autometa.storage import write_file
from autometa.wording import brief_params, brief_seconds, number

if TYPE_CHECKING:
    from autometa.recommendation import Recommendations

EXAMPLES: Final = (
    ("five pipelines to try, in seconds", "autometa recommend data.csv --target price"),
    ("the first one as a script of its own", "autometa recommend data.csv --target price --code first.py"),
    ("a page to send to a colleague", "autometa recommend data.csv --target price --report report.html"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_task_arguments(parser)
    add_experience_arguments(parser)
    parser.add_argument(
        "--top", metavar="K", type=whole_number, default=5, help="how many pipelines (default: 5)"
    )
    parser.add_argument(
        "--time-budget",
        metavar="S",
        type=seconds,
        help="leave out what should take longer to fit once, in seconds",
    )
    parser.add_argument(
        "--code", metavar="FILE.py", help="write the first pipeline as a script without autometa"
    )
    parser.add_argument("--report", metavar="FILE.html", help="write the result as a page")
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from autometa.experience import load_metamodel
    from autometa.recommendation import recommend_for_task

    check_writable(args.code, args.report, inputs=(args.data,))
    if args.report:
        from autometa.report.recommendations import render_recommendations, require_charts

        require_charts()
    table, task = load_task(args)
    model = load_metamodel(args.metamodel)
    found = recommend_for_task(
        task, k=args.top, time_budget=args.time_budget, algorithms=args.algorithms, metamodel=model
    )
    issues = all_issues(table, found.warnings)
    sections = [
        _ranking(found, Path(args.data).name),
        similar_section(found.novelty, found.similar_tasks),
        *issue_sections(issues),
        next_command(args, "tune", "--trials", "25", "--output", "model.skops"),
    ]
    if args.json:
        show_json({**found.to_dict(), "warnings": [issue.to_dict() for issue in issues]})
    else:
        show_sections(sections)
    # A script cannot read what came through a pipe again.
    data, read = ("data.csv", "") if args.data == "-" else (args.data, table.code)
    code = found[0].to_code(target=args.target.strip(), data=data, read=read)
    if args.code:
        write_file(args.code, code)
        say(f"wrote the first pipeline to {args.code}")
    if args.report:
        title = f"Recommendations for {Path(args.data).name}"
        page = render_recommendations(found, title=title, model=model, issues=issues, code=code)
        write_file(args.report, page)
        say(f"wrote the report to {args.report}")
    return 0


def _ranking(found: Recommendations, name: str) -> Section:
    expected = score_title(found.metric.stored, found.metric)
    rows = [
        (
            str(item.rank),
            item.algorithm,
            number(item.expected_score),
            f"{number(item.lower, 3)} to {number(item.upper, 3)}",
            brief_seconds(item.expected_seconds),
            brief_params(item.algorithm, item.params, found.kind),
        )
        for item in found
    ]
    titles = (
        "rank",
        "algorithm",
        expected,
        "80% interval",
        "seconds",
        "changed hyperparameters",
    )
    return Section("Recommended pipelines", [describe_data(found.task, name)], titles, rows, "><>>><")
