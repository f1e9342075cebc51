"""What several commands take and check: the table, the target, numbers, and files to write."""

from __future__ import annotations

import argparse
import math
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from autometa.cli._terminal import detail, say
from autometa.errors import DataIssue, UsageError
from autometa.storage import regular_target

if TYPE_CHECKING:
    from autometa.tables import Table
    from autometa.task import Task

KINDS: Final = ("auto", "classification", "regression", "binary", "multiclass")


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    """Add DATA and ``--target``."""
    parser.add_argument(
        "data", metavar="DATA", help="CSV, TSV, Parquet, Feather or ARFF; - for CSV on standard input"
    )
    parser.add_argument("--target", metavar="COL", required=True, help="name of the column to predict")
    add_column_type_argument(parser)


def add_column_type_argument(parser: argparse.ArgumentParser) -> None:
    """Add ``--column-type``."""
    parser.add_argument(
        "--column-type",
        metavar="NAME=TYPE",
        action="append",
        default=[],
        help="read a column as numeric, categorical, date, text or ignored; may be given several times",
    )


def add_task_arguments(parser: argparse.ArgumentParser) -> None:
    """Add DATA, ``--target``, ``--kind`` and ``--metric``."""
    add_data_arguments(parser)
    add_kind_argument(parser)
    parser.add_argument("--metric", metavar="M", help="scikit-learn's name, such as roc_auc, log_loss, rmse")


def add_kind_argument(parser: argparse.ArgumentParser) -> None:
    """Add ``--kind``."""
    parser.add_argument(
        "--kind",
        metavar="KIND",
        choices=KINDS,
        default="auto",
        help=f"{', '.join(KINDS[1:])} (default: auto, read from the target)",
    )


def add_experience_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--algorithms`` and ``--metamodel``."""
    parser.add_argument(
        "--algorithms", metavar="A,B", type=names, help="only these, separated by commas (default: all)"
    )
    add_metamodel_argument(parser)


def add_metamodel_argument(parser: argparse.ArgumentParser) -> None:
    """Add ``--metamodel``."""
    parser.add_argument(
        "--metamodel",
        metavar="DIR",
        help="folder that autometa train wrote (default: the bundled one and what you taught it)",
    )


def names(text: str) -> list[str]:
    """Read names separated by commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def add_json_argument(parser: argparse.ArgumentParser) -> None:
    """Add ``--json``."""
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def whole_number(text: str, least: int = 1) -> int:
    """Read a whole number of at least 1, or another."""
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if number < least:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least {least}")
    return number


def count(text: str) -> int:
    """Read how many, where none is an answer, too."""
    return whole_number(text, least=0)


def seconds(text: str) -> float:
    """Read a positive number of seconds."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number of seconds")
    return number


def load_task(args: argparse.Namespace) -> tuple[Table, Task]:
    """Read the table that the arguments name and check it."""
    from autometa.tables import read_table
    from autometa.tables.frames import split_target
    from autometa.task import Task

    types = column_types(getattr(args, "column_type", []))
    codes = [name for name, column_type in types.items() if column_type in ("categorical", "text")]
    if args.data == "-" and os.isatty(0):
        say("reading CSV from the keyboard; Ctrl-D ends it")
    start = time.monotonic()
    table = read_table(args.data, text_columns=codes, target=args.target.strip())
    detail(
        f"read {args.data} in {time.monotonic() - start:.1f} s: {' x '.join(map(str, table.frame.shape))} cells"
    )
    X, y = split_target(table.frame, args.target.strip())
    task = Task.from_frame(
        X, y, kind=args.kind, metric=args.metric, column_types=types, name=Path(args.data).stem
    )
    return table, task


def column_types(given: list[str]) -> dict[str, str]:
    """Read what ``--column-type`` was given.

    Raises
    ------
    UsageError
        AM535 where there is no ``=``.
    """
    found = {}
    for text in given:
        name, equals, column_type = text.rpartition("=")
        if not equals or not name:
            raise UsageError(
                "AM535",
                f"--column-type {text!r} is not NAME=TYPE.",
                "For example --column-type zip=categorical.",
            )
        found[name] = column_type
    return found


def all_issues(table: Table, issues: tuple[DataIssue, ...]) -> list[DataIssue]:
    """Return what was noticed while reading, then what was noticed in the data."""
    return [*table.notices, *issues]


def check_writable(*paths: str | None, inputs: tuple[str, ...] = ()) -> None:
    """Refuse files that cannot be written, or that are read, before any work is done.

    Raises
    ------
    StorageError
        AM609
    UsageError
        AM533 when a file to write is one of the inputs.
    """
    for path in filter(None, paths):
        target = regular_target(path)
        if any(target.exists() and Path(name).exists() and target.samefile(name) for name in inputs):
            raise UsageError("AM533", f"{path!r} is read and would be overwritten.", "Choose another name.")
