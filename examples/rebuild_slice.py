"""Rebuild a slice of the metadata base: five tables that scikit-learn bundles, collected, trained on, compared.

    python examples/rebuild_slice.py [FOLDER] [--configurations 3]

It writes the tables with a ``catalog.csv`` into FOLDER/tables, runs the first configurations of every algorithm on
them into FOLDER/runs.journal, trains a meta-model on the runs into FOLDER/base, and compares runs with those of the
bundled base: iris and wine are known there, and by the same protocol the scores agree, up to the order of the rows.
The commands are printed, to be typed by hand for tables of your own. It takes about a minute; a second time, only what
is missing is run.
"""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

import pandas as pd
from sklearn import datasets

from autometa import MetaBase
from autometa.cli import main as autometa

TABLES = {
    "iris": (datasets.load_iris, "multiclass"),
    "wine": (datasets.load_wine, "multiclass"),
    "breast-cancer-wisconsin": (datasets.load_breast_cancer, "binary"),
    "diabetes": (datasets.load_diabetes, "regression"),
    "linnerud-waist": (datasets.load_linnerud, "regression"),
}


def write_tables(folder: Path) -> None:
    """Write the tables as Parquet files beside their catalog."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for name, (load, kind) in TABLES.items():
        data = load(as_frame=True)
        target = data.target["Waist"] if isinstance(data.target, pd.DataFrame) else data.target
        data.data.assign(target=target).to_parquet(folder / f"{name}.parquet")
        rows.append(
            {"name": name, "task_type": kind, "target": "target", "source": "sklearn", "n_rows": len(target)}
        )
    pd.DataFrame(rows).to_csv(folder / "catalog.csv", index=False)


def run(*arguments: str) -> None:
    """Run a command of autometa, and show it first."""
    print(f"\n$ autometa {shlex.join(arguments)}", flush=True)
    if autometa(arguments):
        raise SystemExit(1)


def compare(own: MetaBase, known: MetaBase) -> pd.DataFrame:
    """Return the runs that both bases have: of tasks with the same fingerprint, the same configuration and fidelity."""
    keys = ["fingerprint", "configuration_id", "fidelity"]
    first, second = (
        base.runs.merge(base.tasks[["task_id", "fingerprint"]], on="task_id") for base in (own, known)
    )
    return first.merge(second, on=keys, suffixes=("_own", "_known"))


def rebuild(folder: Path, n_configurations: int) -> pd.DataFrame:
    """Collect and train in a folder; return the runs that the bundled base has too."""
    write_tables(folder / "tables")
    storage, base = str(folder / "runs.journal"), str(folder / "base")
    run(
        *("collect", "--directory", str(folder / "tables"), "--storage", storage),
        *("--configurations", str(n_configurations), "--jobs", "2"),
    )
    run("train", "--storage", storage, "--output", base)
    run("info", "--metabase", base)
    return compare(MetaBase.load(base), MetaBase.load())


def main() -> None:
    """Rebuild the slice and print the comparison."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path, default=Path("slice"))
    parser.add_argument("--configurations", type=int, default=3, help="of each algorithm (default: 3)")
    arguments = parser.parse_args()
    both = rebuild(arguments.folder, arguments.configurations)
    print(
        f"\n{len(both)} of these runs are in the bundled base too ({both['task_id_known'].nunique()} tasks)."
    )
    for metric in ("accuracy", "r2"):
        difference = (both[f"{metric}_own"] - both[f"{metric}_known"]).abs().dropna()
        if len(difference):
            most, middle = difference.max(), difference.median()
            print(f"{metric}: the scores differ by {most:.4f} at most, {middle:.4f} in the median")


if __name__ == "__main__":
    main()
