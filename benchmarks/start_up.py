"""What does a recommendation cost, start-up and all? Whole processes, in turn with one that only imports and reads.

    python benchmarks/start_up.py [--runs 5] [--rows 10000] [--columns 50] [--known-runs 90000]

The yardstick is a process that imports pandas, scikit-learn and LightGBM and reads the same CSV. Then: what loading a
metadata base of so many known runs (the bundled one, repeated as often as it takes) and the bundled meta-model costs a
process that has imported the libraries.
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

from autometa import MetaBase

YARDSTICK = "import pandas, sklearn.ensemble, lightgbm; pandas.read_csv({path!r})"
LOADING = """
import resource, time
import lightgbm, optuna, pandas, pyarrow.dataset, pyarrow.parquet, sklearn.ensemble
from autometa import MetaBase, MetaModel
before, wall, cpu = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter(), time.process_time()
known = MetaBase.load({path!r}), MetaModel.load()
memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
print(time.perf_counter() - wall, time.process_time() - cpu, memory)
"""


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


def repeat_base(n_runs: int) -> MetaBase:
    """Return the bundled metadata base, its tasks repeated under new names and with some noise on every number."""
    base = MetaBase.load()
    rng = np.random.default_rng(0)
    tables = [
        [table.assign(task_id=table["task_id"] + suffix) for table in (base.tasks, base.runs)]
        for suffix in ("", *(f"-{number}" for number in range(1, -(-n_runs // len(base.runs)))))
    ]
    tasks, runs = (pd.concat(parts) for parts in zip(*tables, strict=True))
    runs = runs.iloc[:n_runs].reset_index(drop=True)
    numbers = runs.select_dtypes("float32")
    runs[numbers.columns] = numbers * rng.normal(1.0, 0.01, numbers.shape)
    return MetaBase.from_frames(tasks, runs, base.configurations)


def measure_loading(n_runs: int, repeats: int) -> None:
    """Print the seconds and memory of loading, in processes of their own."""
    with tempfile.TemporaryDirectory() as folder:
        repeat_base(n_runs).save(folder)
        size = sum(path.stat().st_size for path in Path(folder).iterdir())
        code = LOADING.format(path=folder)
        figures = [
            [float(word) for word in subprocess.check_output([sys.executable, "-c", code], text=True).split()]
            for _ in range(repeats + 1)
        ][1:]
    wall, cpu, memory = (statistics.median(column) for column in zip(*figures, strict=True))
    print(
        f"base of {n_runs:,} runs ({size / 2**20:.1f} MiB of tables) and meta-model: median {wall:.2f} s, "
        f"CPU {cpu:.2f} s, {memory:.0f} MiB"
    )


def main() -> None:
    """Time the commands and print their ratios to the yardstick."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--columns", type=int, default=50)
    parser.add_argument("--known-runs", type=int, default=90_000)
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
    measure_loading(arguments.known_runs, arguments.runs)


if __name__ == "__main__":
    main()
