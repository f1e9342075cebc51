"""Seconds and memory of reading a CSV, against pandas alone: ``python benchmarks/reading.py --megabytes 200``.

Each reader runs in a process of its own. The table has numbers, words, dates, amounts of money and codes with zeros in
front, so that every rule of reading has something to look at.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

READERS = ("pandas", "read_table", "read_table and Task")


def write_table(path: Path, megabytes: float) -> None:
    """Write a CSV of about so many megabytes."""
    rng = np.random.default_rng(0)
    n = 100_000
    block = pd.DataFrame({f"x{i}": rng.normal(size=n).round(6) for i in range(12)})
    block["count"] = rng.integers(0, 100_000, n)
    block["word"] = rng.choice([f"level {i}" for i in range(50)], n)
    block["day"] = pd.to_datetime(rng.integers(1_500_000_000, 1_700_000_000, n), unit="s").strftime(
        "%d/%m/%Y"
    )
    block["price"] = [f"${amount:,.2f}" for amount in rng.uniform(1, 99_999, n)]
    block["zip"] = [f"{code:05d}" for code in rng.integers(0, 99_999, n)]
    block["y"] = np.where(block["x0"] > 0, "yes", "no")
    text = block.to_csv(index=False)
    header, rows = text.split("\n", 1)
    with path.open("w", encoding="utf-8") as file:
        file.write(header + "\n")
        for _ in range(max(round(megabytes * 1e6 / len(rows)), 1)):
            file.write(rows)


def measure(reader: str, path: Path) -> dict[str, float]:
    """Return CPU and wall seconds, and the megabytes that the process grew by at its peak."""
    from autometa.tables import read_table
    from autometa.task import Task

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    cpu, wall = time.process_time(), time.perf_counter()
    if reader == "pandas":
        pd.read_csv(path)
    else:
        table = read_table(path, target="y")
        if "Task" in reader:
            Task.from_frame(table.frame, "y")
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "cpu_seconds": round(time.process_time() - cpu, 2),
        "wall_seconds": round(time.perf_counter() - wall, 2),
        "peak_megabytes": round((after - before) / 1024),
    }


def main() -> None:
    """Measure every reader, the given number of times, and print one line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=float, default=200)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--only", nargs=2, metavar=("READER", "FILE"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.only:
        print(json.dumps(measure(args.only[0], Path(args.only[1]))))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.csv"
        write_table(path, args.megabytes)
        print(f"{path.stat().st_size / 1e6:.0f} MB")
        for reader in READERS * args.repeats:
            command = [sys.executable, __file__, "--only", reader, str(path)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            print(f"{reader}: {done.stdout.strip()}", flush=True)


if __name__ == "__main__":
    main()
