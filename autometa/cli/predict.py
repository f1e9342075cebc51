"""``autometa predict``: apply a saved model to new rows."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from autometa.cli._inputs import check_writable
from autometa.cli._terminal import note, say
from autometa.cli._wording import counted
from autometa.errors import UsageError
from autometa.files import is_stream, to_csv, write_rows

if TYPE_CHECKING:
    import pandas as pd


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("model", metavar="MODEL", help="file written by autometa tune")
    parser.add_argument(
        "data",
        metavar="DATA",
        help="rows with the columns that the model was fitted on; - for standard input",
    )
    parser.add_argument(
        "--output",
        metavar="FILE.csv",
        help="write the predictions there; a file, a pipe, or - for standard output, which is the default",
    )
    parser.add_argument(
        "--proba", action="store_true", help="probabilities of the classes in place of the likeliest"
    )


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from autometa.persistence import load_model, version_mismatches
    from autometa.tables import match_columns, read_table
    from autometa.task import DataIssue

    output = args.output or "-"
    check_writable(None if is_stream(output) else output, inputs=(args.data, args.model))
    pipeline, info = load_model(args.model)
    if args.proba and info["kind"] == "regression":
        raise UsageError("AM532", "a regression model has no probabilities.", "Leave that option out.")
    if mismatches := version_mismatches(info):
        what = (
            f"{args.model} was saved with other versions ({'; '.join(mismatches)}); predictions may differ."
        )
        note(str(DataIssue("AM612", (), what, "Fit the model again.")))
    as_text = [
        column["name"]
        for column in info["columns"]
        if column["dtype"] in ("str", "object", "string", "category")
    ]
    table = read_table(args.data, text_columns=as_text)
    matched = match_columns(table.frame, info["columns"], ignore=info["target"])
    for issue in (*table.notices, *matched.notices):
        note(str(issue))
    predictions = _predict(pipeline, matched.frame, info, args.proba)
    write_rows(output, to_csv(predictions))
    if output != "-":
        say(f"wrote {counted(len(predictions), 'prediction')} to {output}")
    return 0


def _predict(pipeline: Any, rows: pd.DataFrame, info: Mapping[str, Any], proba: bool) -> pd.DataFrame:
    import pandas as pd

    if proba:
        names = [f"probability_{label}" for label in pipeline.classes_]
        return pd.DataFrame(pipeline.predict_proba(rows), columns=names)
    return pd.DataFrame({"prediction": pipeline.predict(rows).tolist()})
