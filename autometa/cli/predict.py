"""``autometa predict``: apply a saved model to new rows."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from autometa.cli._inputs import check_writable
from autometa.cli._terminal import note, say
from autometa.errors import DataIssue, StorageError, UsageError, with_code
from autometa.storage import is_stream, to_csv, write_rows
from autometa.wording import counted

if TYPE_CHECKING:
    import pandas as pd

EXAMPLES: Final = (
    ("predictions for new rows", "autometa predict model.skops new.csv --output predictions.csv"),
    ("probabilities, in a pipe", "cat new.csv | autometa predict model.skops - --proba > probabilities.csv"),
)


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
    from autometa.tables import read_table
    from autometa.tables.frames import as_frame, check_names
    from autometa.tables.matching import match_columns

    output = args.output or "-"
    check_writable(None if is_stream(output) else output, inputs=(args.data, args.model))
    pipeline, info = load_model(args.model)
    if missing := {"kind", "target", "columns"} - info.keys():
        what = f"{args.model} does not say its {', '.join(sorted(missing))}."
        raise StorageError("AM610", what, "Use a file written by autometa tune --output.")
    if args.proba and info["kind"] == "regression":
        raise UsageError("AM532", "a regression model has no probabilities.", "Leave that option out.")
    if mismatches := version_mismatches(info):
        what = (
            f"{args.model} was saved with other versions ({'; '.join(mismatches)}); predictions may differ."
        )
        note(with_code(DataIssue("AM612", (), what, "Fit the model again.")))
    as_text = [column["name"] for column in info["columns"] if must_be_text(column)]
    table = read_table(args.data, text_columns=as_text, target=info["target"])
    frame = check_names(as_frame(table.frame), [])
    rows, issues = match_columns(frame, info["columns"], ignore=info["target"])
    for issue in (*table.notices, *issues):
        note(with_code(issue))
    predictions = _predict(pipeline, rows, args.proba)
    write_rows(output, to_csv(predictions))
    if output != "-":
        say(f"wrote {counted(len(predictions), 'prediction')} to {output}")
    return 0


def must_be_text(column: Mapping[str, Any]) -> bool:
    """Whether a column must not be turned into numbers by pandas, which knows less of how it is written."""
    from autometa.tables.cells import PLAIN

    reading = tuple(column.get("reading", ()))
    if column["type"] in ("numeric", "date"):
        return bool(reading) and reading != PLAIN
    return column["dtype"] in ("str", "object", "string", "category") or bool(reading)


def _predict(pipeline: Any, rows: pd.DataFrame, proba: bool) -> pd.DataFrame:
    import pandas as pd

    try:
        if proba:
            names = [f"probability_{label}" for label in _written(pipeline.classes_)]
            return pd.DataFrame(pipeline.predict_proba(rows), columns=names)
        return pd.DataFrame({"prediction": _written(pipeline.predict(rows))})
    except MemoryError:
        raise
    except Exception as error:
        # What is wrong shows only here: in rows unlike any that were fitted, or in a model that somebody changed.
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200].rstrip(".")
        raise StorageError(
            "AM613",
            f"the model cannot be applied to these rows: {reason}.",
            "Check the rows, or fit it again.",
        ) from error


def _written(labels: Any) -> list[Any]:
    """Return labels as they stand in a file: numbers, truth values and text."""
    import pandas as pd

    found = pd.Series(labels)
    return (found.map(str) if found.dtype.kind in "OmM" else found).tolist()
