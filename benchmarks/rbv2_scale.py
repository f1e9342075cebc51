"""How MetaSampler(past_studies=...) grows with its history: made-up scores on the space of rbv2_xgboost.

    python benchmarks/rbv2_scale.py --directory DIR [--studies 10,50,100,500] [--past-trials 1000]

One process for each number of studies. Written to benchmarks/results/rbv2_scale.csv: CPU seconds to read the studies
and to learn from them (in the first trial), CPU milliseconds of a trial (mean of five, from the second on) at trials
1, 10, 25, 50 and 100, the process's memory with the studies in it, and the peak above that. --plot FILE draws it.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
from curves import Panel, draw
from rbv2 import Benchmark

from autometa import MetaSampler

TRIALS = (1, 10, 25, 50, 100)
REPEATS = 5
N_CONFIGURATIONS = 2000


def past_studies(benchmark: Benchmark, n_studies: int, n_trials: int) -> list[optuna.Study]:
    """Make studies of random configurations; each has an optimum of its own."""
    surrogate = benchmark.surrogate
    configurations = surrogate.sample(N_CONFIGURATIONS, 0)
    scores = np.array([surrogate.score(configurations, task) for task in surrogate.tasks])
    studies = []
    for i in range(n_studies):
        rng = np.random.default_rng(i)
        weights = rng.dirichlet(np.full(len(scores), 0.1))
        values, rows = weights @ scores, rng.integers(N_CONFIGURATIONS, size=n_trials)
        study = optuna.create_study(direction="maximize")
        study.add_trials(
            optuna.trial.create_trial(
                params=configurations[row],
                distributions={n: surrogate.distributions[n] for n in configurations[row]},
                value=float(values[row]),
            )
            for row in rows
        )
        studies.append(study)
    return studies


def measure(benchmark: Benchmark, n_studies: int, n_trials: int) -> dict[str, Any]:
    """Return one row."""
    past = past_studies(benchmark, n_studies, n_trials)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    sampler = MetaSampler(past_studies=past, seed=0)
    row: dict[str, Any] = {"studies": n_studies, "past_trials": n_trials}
    row["read_seconds"] = time.process_time() - start
    study = optuna.create_study(direction="maximize", sampler=sampler)
    objective = benchmark.surrogate.objective(benchmark.surrogate.tasks[0])
    start = time.process_time()
    study.optimize(objective, n_trials=1)
    row["learn_seconds"] = time.process_time() - start
    seconds = {}
    for number in range(2, max(TRIALS) + REPEATS + 1):
        start = time.process_time()
        study.optimize(objective, n_trials=1)
        seconds[number] = time.process_time() - start
    for number in TRIALS:
        first = max(number, 2)
        row[f"trial_{number}_ms"] = 1e3 * np.mean([seconds[n] for n in range(first, first + REPEATS)])
    row["memory_mib"] = before / 1024
    row["more_memory_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before / 1024
    return row


def panels(table: pd.DataFrame) -> list[Panel]:
    """Return what to draw, over the number of past studies."""
    trials = table[[f"trial_{n}_ms" for n in TRIALS[2:]]].set_axis([f"trial {n}" for n in TRIALS[2:]], axis=1)
    seconds = table[["read_seconds", "learn_seconds"]].set_axis(["reading", "learning"], axis=1)
    return [
        Panel("past studies", "CPU ms of a trial", trials),
        Panel("past studies", "CPU s, once", seconds),
        Panel("past studies", "MiB beside the studies", table[["more_memory_mib"]]),
    ]


def main() -> None:
    """Measure each size in a process of its own and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--studies", default="10,50,100,500")
    parser.add_argument("--past-trials", type=int, default=1000)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/rbv2_scale.csv"))
    parser.add_argument("--plot", type=Path, help="an SVG file")
    arguments = parser.parse_args()
    sizes = [int(size) for size in arguments.studies.split(",")]
    if len(sizes) > 1:
        for size in sizes:
            own = ["--studies", str(size), "--past-trials", str(arguments.past_trials)]
            where = ["--directory", arguments.directory, "--output", arguments.output]
            subprocess.run([sys.executable, __file__, *own, *where], check=True)
        found = pd.read_csv(arguments.output)
        print(found.round(2).to_string(index=False))
        if arguments.plot:
            draw(panels(found.set_index("studies")), arguments.plot)
        return
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.simplefilter("ignore")
    benchmark = Benchmark(arguments.directory, Path("benchmarks/results/rbv2_pool.csv"), "honest")
    row = measure(benchmark, sizes[0], arguments.past_trials)
    is_new = not arguments.output.is_file()
    pd.DataFrame([row]).to_csv(arguments.output, mode="a", header=is_new, index=False, float_format="%.4g")


if __name__ == "__main__":
    main()
