"""``autometa collect``: run configurations on many tasks into a storage."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from autometa.cli._inputs import seconds, whole_number
from autometa.cli._terminal import Progress, note, say, show_sections
from autometa.cli._wording import counted
from autometa.report import Section

if TYPE_CHECKING:
    from autometa.collection import CollectionReport, Source
    from autometa.evaluation import Run

_SECONDS_BETWEEN_LINES = 60.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    sources = parser.add_mutually_exclusive_group(required=True)
    sources.add_argument("--suite", metavar="ID", help="tasks of a suite of OpenML, such as 99, 271 or 269")
    sources.add_argument(
        "--task", metavar="ID", nargs="+", type=whole_number, help="tasks of OpenML, by their numbers"
    )
    sources.add_argument("--directory", metavar="DIR", help="a catalog.csv beside Parquet files")
    parser.add_argument(
        "--storage", metavar="URL", required=True, help="database URL, or NAME.journal for a file"
    )
    parser.add_argument(
        "--configurations", metavar="N", type=whole_number, default=8, help="of each algorithm (default: 8)"
    )
    parser.add_argument(
        "--jobs", metavar="J", type=whole_number, default=1, help="runs at a time (default: 1)"
    )
    parser.add_argument(
        "--time-limit", metavar="S", type=seconds, default=30.0, help="seconds per run (default: 30)"
    )


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    import optuna

    from autometa.collection import collect

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    progress: Progress | None = None

    def tell(line: str) -> None:
        if progress is not None:
            progress.close()
        note(line)

    sources = _read_sources(args, tell)

    def on_run(report: CollectionReport, task_id: str, run: Run) -> None:
        nonlocal progress
        if progress is None:
            progress = Progress(report.n_total - report.n_known, every=_SECONDS_BETWEEN_LINES)
        progress.update(report.n_done, f"{task_id} {run.configuration.algorithm}")

    report = collect(
        sources,
        args.storage,
        n_configurations=args.configurations,
        n_jobs=args.jobs,
        time_limit=args.time_limit,
        on_run=on_run,
    )
    if progress is not None:
        progress.close()
    for task_id, reason in report.unreadable.items():
        note(f"task {task_id} was left out: {reason}")
    show_sections([_summary(report, len(sources))])
    if report.interrupted:
        say("interrupted; finished runs are kept, and the same command goes on from there")
        return 130
    return 1 if report.unreadable and len(report.unreadable) == len(sources) else 0


def _read_sources(args: argparse.Namespace, notify: Callable[[str], None]) -> Sequence[Source]:
    from autometa.collection import read_catalog

    if args.directory is not None:
        return read_catalog(args.directory)
    from autometa.collection.openml import Connection, read_suite, read_tasks

    logging.getLogger("openml").setLevel(logging.ERROR)
    connection = Connection(notify=notify)
    return read_suite(args.suite, connection) if args.suite else read_tasks(args.task, connection)


def _summary(report: CollectionReport, n_tasks: int) -> Section:
    rows = [("known before", f"{report.n_known:,}")]
    rows += [(status, f"{count:,}") for status, count in report.counts.most_common()]
    n_read = counted(n_tasks - len(report.unreadable), "task")
    line = f"{counted(report.n_done, 'run')} on {n_read} in {report.seconds:,.0f} seconds."
    return Section("Collected", [line], ("status", "runs"), rows, "<>")
