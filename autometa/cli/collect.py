"""``autometa collect``: run configurations on many tasks into a storage."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from autometa.cli._inputs import count, seconds, whole_number
from autometa.cli._terminal import is_quiet, note, say, show_sections
from autometa.progress import Bar
from autometa.report import Section
from autometa.wording import counted

if TYPE_CHECKING:
    from autometa.collection import CollectionReport, PredictionReport, Source
    from autometa.evaluation import Run

_SECONDS_BETWEEN_LINES = 60.0
_SHOWN_REASONS = 10
EXAMPLES: Final = (
    (
        "eight configurations of each algorithm on your tables",
        "autometa collect --directory tables --storage runs.journal",
    ),
    (
        "the tasks of a suite of OpenML, four runs at a time",
        "autometa collect --suite 99 --storage runs.journal --jobs 4",
    ),
)


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
        "--configurations", metavar="N", type=count, default=8, help="of each algorithm (default: 8)"
    )
    parser.add_argument(
        "--fidelities",
        metavar="ROWS[:N]",
        nargs="+",
        type=_fidelity,
        default=[],
        help="also with so many training rows, on larger tables, N configurations of each algorithm",
    )
    for name, text in (
        ("--grown", "with so many training rows also boosted models whose rounds early stopping finds"),
        (
            "--few",
            "with so few training rows, on larger tables, what was recommended for so few; describe these rows",
        ),
        ("--words", "with so many training rows, what was recommended for tables of words"),
    ):
        parser.add_argument(name, metavar="ROWS", nargs="+", type=whole_number, default=[], help=text)
    parser.add_argument(
        "--tuned",
        metavar="N",
        type=count,
        default=0,
        help="then so many runs near the best found, by Optuna (default: none)",
    )
    parser.add_argument(
        "--known", metavar="DIR", help="a metadata base: the runs that stand in it are not made again"
    )
    parser.add_argument(
        "--retry-failed",
        action="store_true",
        help="make runs again that did not succeed before; the later result counts",
    )
    parser.add_argument(
        "--predictions",
        metavar="DIR",
        help="then fit the same configurations on all rows, and keep what they predict for the rows left out",
    )
    parser.add_argument(
        "--jobs", metavar="J", type=whole_number, default=1, help="runs at a time (default: 1)"
    )
    parser.add_argument(
        "--cluster", metavar="ADDRESS", help="of a Dask scheduler, whose workers make the runs"
    )
    parser.add_argument(
        "--time-limit", metavar="S", type=seconds, default=30.0, help="seconds per run (default: 30)"
    )


def _fidelity(text: str) -> tuple[int, int | None]:
    """Read ``ROWS`` or ``ROWS:N``."""
    rows, colon, n = text.partition(":")
    return whole_number(rows), whole_number(n) if colon else None


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from autometa.collection import collect
    from autometa.metabase import MetaBase

    sources = _read_sources(args, note)
    bar = Bar(False if is_quiet() else None, every=_SECONDS_BETWEEN_LINES, tell=say)

    def on_run(report: CollectionReport, task_id: str, run: Run) -> None:
        total = max(report.n_total - report.n_known, 1)
        text = f"{report.n_done} of {counted(total, 'run')}, {task_id} {run.configuration.algorithm}"
        bar.update(report.n_done / total, text)

    def on_prediction(report: PredictionReport, task_id: str) -> None:
        done = report.counts.total()
        bar.update(done / max(report.n_missing, 1), f"predictions of {done} of {report.n_missing}, {task_id}")

    with bar:
        report = collect(
            sources,
            args.storage,
            n_configurations=args.configurations,
            fidelities={rows: n or args.configurations for rows, n in args.fidelities},
            grown=args.grown,
            few=args.few,
            words=args.words,
            n_tuned=args.tuned,
            known=MetaBase.load(args.known) if args.known else None,
            retry_failed=args.retry_failed,
            n_jobs=args.jobs,
            cluster=args.cluster,
            time_limit=args.time_limit,
            predictions=args.predictions,
            on_run=on_run,
            on_prediction=on_prediction,
        )
    for task_id, reason in report.unreadable.items():
        note(f"task {task_id} was left out: {reason}")
    show_sections(_summary(report, len(sources)))
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


def _summary(report: CollectionReport, n_tasks: int) -> list[Section]:
    rows = [("known before", f"{report.n_known:,}")]
    rows += [(status, f"{count:,}") for status, count in report.counts.most_common()]
    rows += [("left", f"{report.n_left:,}")] if report.n_left else []
    n_read = counted(n_tasks - len(report.unreadable), "task")
    line = f"{counted(report.n_done, 'run')} on {n_read} in {report.seconds:,.0f} seconds."
    sections = [Section("Collected", [line], ("status", "runs"), rows, "<>")]
    if report.reasons:
        causes = [
            (status, f"{count:,}", reason)
            for (status, reason), count in report.reasons.most_common(_SHOWN_REASONS)
        ]
        sections.append(Section("Did not succeed", [], ("status", "runs", "reason"), causes, "<><"))
    if (found := report.predictions) is not None:
        counts = [("known before", f"{found.n_known:,}")]
        counts += [(status, f"{count:,}") for status, count in found.counts.most_common()]
        sections.append(Section("Predictions", [], ("status", "configurations"), counts, "<>"))
    return sections
