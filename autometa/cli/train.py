"""``autometa train``: a metadata base and a meta-model, judged on families that were left out."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from autometa.cli._terminal import say, show
from autometa.errors import StorageError
from autometa.storage import write_file
from autometa.wording import counted

EXAMPLES: Final = (
    ("a meta-model of your own runs", "autometa train --storage runs.journal --output mine"),
    ("of yours and the bundled ones together", "autometa train --storage runs.journal --merge --output both"),
    ("which a search then uses", "autometa tune data.csv --target price --metamodel mine"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    sources = parser.add_mutually_exclusive_group(required=True)
    sources.add_argument("--storage", metavar="URL", help="what autometa collect has filled")
    sources.add_argument("--metabase", metavar="DIR", help="a metadata base that is there already")
    parser.add_argument(
        "--merge",
        action="store_true",
        help="join the runs with the bundled metadata base, and say whether they help on their tasks",
    )
    parser.add_argument("--output", metavar="DIR", required=True, help="made if it is not there")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from autometa.metabase import MetaBase
    from autometa.training import render_training_report, train

    _make_folder(args.output)
    base = MetaBase.from_studies(args.storage) if args.storage else MetaBase.load(args.metabase)
    say(f"training on {counted(len(base.tasks), 'task')} and {counted(len(base.runs), 'run')} ...")
    model, report = train(base, args.output, known=MetaBase.load() if args.merge else None)
    write_file(Path(args.output) / "report.html", render_training_report(report, model))
    show(report.text)
    say(f"wrote metadata base, meta-model and report (report.html, report.csv) to {args.output}")
    return 0


def _make_folder(path: str) -> None:
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            "AM609", f"the folder {path!r} cannot be made: {error.strerror}.", "Choose another place."
        ) from error
