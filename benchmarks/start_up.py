"""What does a recommendation cost, start-up and all? Whole processes, in turn with one that only imports and reads.

    python benchmarks/start_up.py [--runs 5] [--rows 10000] [--columns 50]

The yardstick is a process that imports pandas, scikit-learn and LightGBM and reads the same CSV.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

YARDSTICK = "import pandas, sklearn.ensemble, lightgbm; pandas.read_csv({path!r})"


def seconds(command: list[str]) -> float:
    """Return the wall seconds of one process."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def make_table(path: Path, n_rows: int, n_columns: int) -> None:
    """Write a table of numbers and a few categories with a learnable binary target."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(n_rows, n_columns)).round(4)).add_prefix("x")
    for name in table.columns[:: max(n_columns // 5, 1)]:
        table[name] = rng.choice(["red", "green", "blue", "grey"], n_rows)
    table["target"] = np.where(table["x1"] * table["x2"] + rng.normal(size=n_rows) > 0, "yes", "no")
    table.to_csv(path, index=False)


def main() -> None:
    """Time the commands and print their ratios to the yardstick."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--columns", type=int, default=50)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.csv"
        make_table(path, arguments.rows, arguments.columns)
        commands = {
            "yardstick": [sys.executable, "-c", YARDSTICK.format(path=str(path))],
            "autometa recommend": [
                sys.executable,
                "-m",
                "autometa",
                "recommend",
                str(path),
                "--target",
                "target",
            ],
            "autometa --help": [sys.executable, "-m", "autometa", "--help"],
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        for command in commands.values():
            seconds(command)
        for _ in range(arguments.runs):
            for name, command in commands.items():
                times[name].append(seconds(command))
    for name, values in times.items():
        ratios = [a / b for a, b in zip(values, times["yardstick"], strict=True)]
        print(
            f"{name:20s} median {statistics.median(values):.2f} s, {statistics.median(ratios):.2f} of the yardstick"
        )


if __name__ == "__main__":
    main()
