"""``autometa predict``: apply a saved model to new rows."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from autometa.cli._inputs import check_writable, write_text
from autometa.cli._terminal import note, say
from autometa.cli._wording import counted
from autometa.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("model", metavar="MODEL", help="file written by autometa tune")
    parser.add_argument(
        "data",
        metavar="DATA",
        help="rows with the columns that the model was fitted on; - for standard input",
    )
    parser.add_argument(
        "--output", metavar="FILE.csv", help="write the predictions there, not to standard output"
    )
    parser.add_argument(
        "--proba", action="store_true", help="probabilities of the classes in place of the likeliest"
    )


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from autometa.columns import match_columns
    from autometa.persistence import load_model, version_mismatches
    from autometa.tables import read_table
    from autometa.task import DataIssue

    check_writable(args.output, inputs=(args.data, args.model))
    pipeline, info = load_model(args.model)
    if args.proba and info["kind"] == "regression":
        raise UsageError("AM532", "a regression model has no probabilities.", "Leave that option out.")
    if mismatches := version_mismatches(info):
        what = (
            f"{args.model} was saved with other versions ({'; '.join(mismatches)}); predictions may differ."
        )
        note(str(DataIssue("AM612", (), what, "Fit the model again.")))
    as_text = [column["name"] for column in info["columns"] if _is_text(column)]
    table = read_table(args.data, text_columns=as_text)
    rows, issues = match_columns(table.frame, info["columns"], ignore=info["target"])
    for issue in (*table.notices, *issues):
        note(str(issue))
    predictions = _predict(pipeline, rows, info, args.proba)
    text = predictions.to_csv(index=False, lineterminator="\n")
    if args.output:
        write_text(args.output, text)
        say(f"wrote {counted(len(predictions), 'prediction')} to {args.output}")
    else:
        sys.stdout.write(text)
    return 0


def _is_text(column: Mapping[str, Any]) -> bool:
    """Whether a column must not be turned into numbers by pandas, which knows less of how it is written."""
    from autometa.columns import PLAIN

    reading = tuple(column.get("reading", ()))
    if column["type"] in ("numeric", "date"):
        return bool(reading) and reading != PLAIN
    return column["dtype"] in ("str", "object", "string", "category") or bool(reading)


def _predict(pipeline: Any, rows: pd.DataFrame, info: Mapping[str, Any], proba: bool) -> pd.DataFrame:
    import pandas as pd

    if proba:
        names = [f"probability_{label}" for label in pipeline.classes_]
        return pd.DataFrame(pipeline.predict_proba(rows), columns=names)
    return pd.DataFrame({"prediction": [_harmless(value) for value in pipeline.predict(rows).tolist()]})


def _harmless(value: Any) -> Any:
    """Quote text that a spreadsheet would run as a formula; numbers stay as they are."""
    if not isinstance(value, str) or not value.startswith(_FORMULA):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value
