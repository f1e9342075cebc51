"""How good is a recommendation that nothing was fitted for? A replay of recorded runs, families left out.

    python benchmarks/zero_shot.py [--metabase DIR] [--output FILE.csv]

Every task of the metadata base is taken as new: the meta-model answers with the trees and boosters that have not seen
any task of its family. The regret of a list is that of the best of its first k, looked up in the recorded runs.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from autometa import MetaBase
from autometa.training import DEFAULTS_ROW, train

FIRST = ["lightgbm default", "random_forest default", "portfolio", "nearest"]


def compare(regrets: pd.DataFrame, method: str, other: str, column: str, other_column: str) -> str:
    """Return one line on the paired difference between two methods; metrics of a task count as one."""
    ours = regrets[regrets["method"] == method].groupby(["target", "task_id"])[column].mean()
    theirs = regrets[regrets["method"] == other].groupby(["target", "task_id"])[other_column].mean()
    difference = (ours - theirs).dropna()
    error = difference.std(ddof=1) / np.sqrt(len(difference))
    wins = ((difference < 0).sum() + 0.5 * (difference == 0).sum()) / len(difference)
    verdict = "lower" if difference.mean() < 0 else "NOT lower"
    return (
        f"{method} {column} against {other:40s} {ours.mean():.3f} : {theirs.mean():.3f}  "
        f"difference {difference.mean():+.3f} +- {error:.3f}  better on {wins:.0%}  {verdict}"
    )


def main() -> None:
    """Run the replay and print it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--metabase", default=None, help="directory of a metadata base (default: the bundled one)"
    )
    parser.add_argument("--output", type=Path, default=None, help="CSV file for the regrets of every task")
    arguments = parser.parse_args()
    _, report = train(MetaBase.load(arguments.metabase))
    print(report.text)
    print("\nPaired over all tasks, mean over metrics:")
    for other in FIRST:
        print(compare(report.regrets, "autometa", other, "regret@1", "regret@1"))
    print(compare(report.regrets, "autometa", DEFAULTS_ROW, "regret@5", "regret@5"))
    if arguments.output is not None:
        report.regrets.to_csv(arguments.output, index=False, float_format="%.5f")


if __name__ == "__main__":
    main()
