"""``autometa learn``: finished searches into the user's own metadata base."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from autometa.cli._inputs import add_column_type_argument, add_json_argument, add_kind_argument, load_task
from autometa.cli._terminal import note, say, show_json, show_sections
from autometa.errors import UsageError
from autometa.report import Section
from autometa.wording import counted, number

if TYPE_CHECKING:
    from autometa.experience import LearnReport

EXAMPLES: Final = (
    ("what autometa tune kept in a file", "autometa learn --storage runs.journal"),
    ("a study of your own, with the table it was made on",
     "autometa learn --storage sqlite:///s.db --data d.csv --target y --metric rmse"),
    ("forget it all", "autometa learn --forget"),
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    sources = parser.add_mutually_exclusive_group(required=True)
    sources.add_argument("--storage", metavar="URL", help="finished studies: database URL, or NAME.journal")
    sources.add_argument("--forget", action="store_true", help="remove everything that was learned")
    parser.add_argument("--data", metavar="FILE", help="the table of a study that tune did not make")
    parser.add_argument("--target", metavar="COL", help="name of its column to predict")
    add_column_type_argument(parser)
    add_kind_argument(parser)
    parser.add_argument("--metric", metavar="M", help="what the values of that study are, such as roc_auc")
    parser.add_argument("--study", metavar="NAME", help="read this study only")
    parser.add_argument(
        "--algorithm", metavar="NAME", help="what that study tunes, where its names do not tell"
    )
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from autometa.experience import forget, learn

    if (args.data is None) != (args.target is None):
        raise UsageError("AM532", "--data and --target are needed together.", "Give both or neither.")
    if args.forget:
        say("forgot everything that was learned" if forget() else "nothing had been learned")
        return 0
    task = None if args.data is None else load_task(args)[1]
    report = learn(
        args.storage,
        task,
        study_name=args.study,
        algorithm=args.algorithm,
    )
    if args.json:
        show_json(report.to_dict())
    else:
        for name, reason in report.skipped.items():
            note(f"study {name!r} was left out: {reason}")
        show_sections(_sections(report))
    return 0 if report.studies else 1


def _sections(report: LearnReport) -> list[Section]:
    n_taken, n_known = counted(report.n_taken, "new run"), f"{report.n_known:,} known before"
    lines = [
        f"{counted(len(report.studies), 'study').replace('studys', 'studies')} read: {n_taken}, {n_known}"
    ]
    lines += [f"{counted(n, 'trial')} left out: {reason}" for reason, n in report.trials.items()]
    lines.append(
        f"your own metadata base now holds {counted(report.n_tasks, 'task')} and {counted(report.n_runs, 'run')}: "
        f"{report.path}"
    )
    sections = [Section("Learned", lines)]
    rows = [
        (
            str(row["target"]),
            str(row["n_tasks"]),
            *(f"{number(row[f'bundled@{d}'])} > {number(row[f'own@{d}'])}" for d in (1, 5)),
            number(row["difference_se"]),
            _use(report.importance.get(str(row["target"]), 0.0)),
        )
        for row in report.to_frame().to_dict("records")
    ]
    if rows:
        lines = [
            "Regret of the first one and five on each of your tasks, that task left out: before > with the others"
        ]
        titles = ("target", "tasks", "first", "first five", "error", "so your tasks")
        sections.append(Section("Does it help?", lines, titles, rows, "<>>>><"))
    return sections


def _use(importance: float) -> str:
    return f"count {importance:g} times" if importance else "are not used"
