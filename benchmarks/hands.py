"""Candidates per minute of a search by what fits them, and what becomes of a search whose workers are killed.

    python benchmarks/hands.py speed [--seconds 30] [--rounds 2]   one job, two jobs, four Dask workers
    python benchmarks/hands.py kills [--searches 20]               a Dask worker killed at random in each; resumable
    python benchmarks/hands.py data                                what travels to a worker, by the size of the table

Each prints its figures and writes them to ``benchmarks/results/hands_NAME.csv``. Speeds are of the machine in the
state in which it is: jobs, pairs of jobs and workers take turns, and the load average stands beside them. The workers
have imported everything before the first search that counts.
"""

from __future__ import annotations

import argparse
import math
import os
import signal
import threading
import time
import warnings
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from sklearn.datasets import make_classification

from autometa.evaluation import FoldFitter
from autometa.evaluation._worker import packed
from autometa.task import Task
from autometa.tuning import tune
from autometa.tuning._schedule import Schedule
from autometa.tuning._splits import resolve_splits

RESULTS: Final = Path(__file__).parent / "results"
N_WORKERS: Final = 4
N_COLUMNS: Final = 20
# A search that finds nothing more ends early; here it is to go on.
ENDLESS: Final = Schedule(patience=10_000)


def write(name: str, rows: list[dict[str, Any]]) -> None:
    table = pd.DataFrame(rows)
    print(table.to_string(index=False))
    table.to_csv(RESULTS / f"hands_{name}.csv", index=False, float_format="%.4g")


def make_table(n_rows: int, seed: int = 0) -> tuple[pd.DataFrame, pd.Series]:
    values, y = make_classification(n_rows, N_COLUMNS, n_informative=10, flip_y=0.1, random_state=seed)
    return pd.DataFrame(values, columns=[f"x{i}" for i in range(N_COLUMNS)]), pd.Series(y, name="y")


def count(result: Any) -> Counter[str]:
    """Count how often each configuration was fitted."""
    return Counter(t.user_attrs["configuration_id"] for t in result.study.trials if "run" in t.user_attrs)


def speed(arguments: argparse.Namespace, client: Any) -> None:
    X, y = make_table(arguments.rows)
    hands = {"1 job": {}, "2 jobs": {"n_jobs": 2}, f"{N_WORKERS} Dask workers": {"cluster": client}}
    tune(X, y, timeout=20, n_trials=8, cluster=client)
    rows = []
    for round_ in range(arguments.rounds):
        for name, options in hands.items():
            before = time.perf_counter()
            result = tune(
                X,
                y,
                timeout=arguments.seconds,
                n_trials=100_000,
                schedule=ENDLESS,
                random_state=round_,
                **options,
            )
            seconds = time.perf_counter() - before
            board = result.leaderboard
            ended = board[board["state"].isin(["complete", "stopped"])]
            rows.append(
                {
                    "hands": name,
                    "rows": arguments.rows,
                    "seconds": seconds,
                    "candidates_per_minute": 60 * len(ended) / seconds,
                    "folds_per_minute": 60 * board["folds"].sum() / seconds,
                    "score": result.score,
                    "load": os.getloadavg()[0],
                }
            )
            print(rows[-1], flush=True)
    write("speed", rows)
    table = pd.DataFrame(rows).groupby("hands", sort=False)["candidates_per_minute"].mean()
    print((table / table.iloc[0]).round(2).to_string())


def kills(arguments: argparse.Namespace, client: Any) -> None:
    """Kill a worker at a random moment of each search, and count what is lost and what is fitted twice.

    A search ends after so many candidates; the moment is drawn from the time that the search before it took. Searches
    whose lines stand in the file of results are not made again.
    """
    file = RESULTS / "hands_kills.csv"
    rows: list[dict[str, Any]] = pd.read_csv(file).to_dict("records") if file.exists() else []
    done, last = len(rows), math.nan
    rng = np.random.default_rng([arguments.seed, done])
    for number in [-1, *range(done, arguments.searches)]:
        X, y = make_table(arguments.rows, number + 1)
        client.wait_for_workers(N_WORKERS - 1, timeout=300)
        victims = sorted(client.run(os.getpid).values())
        wait, choice = rng.uniform(0.0, 0.9) * last, rng.integers(len(victims))
        start = time.perf_counter()
        row: dict[str, Any] = {"search": number, "killed_after": wait}
        killed: list[float] = []
        if number >= 0:
            timer = threading.Timer(wait, kill, (victims[choice], start, killed))
            timer.start()
        try:
            result = tune(X, y, n_trials=arguments.trials, cluster=client, random_state=number + 1)
            states = result.leaderboard["state"].value_counts()
            fits = count(result)
            row |= {
                "lost": int(not np.isfinite(result.model.predict_proba(X.head())).all()),
                "candidates": len(fits),
                "failed": int(states.get("failed", 0)),
                "twice": sum(n - 1 for n in fits.values()),
                "seconds": result.deadline.spent,
            }
        except Exception as error:
            row |= {"lost": 1, "error": repr(error)[:200]}
        last = time.perf_counter() - start
        if number >= 0:
            timer.join()
            row["during"] = int(bool(killed) and killed[0] < last)
            rows.append(row)
            pd.DataFrame(rows).to_csv(file, index=False, float_format="%.4g")
        print(row, flush=True)


def kill(pid: int, start: float, killed: list[float]) -> None:
    """Kill a process and note when."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
        killed.append(time.perf_counter() - start)


def data(arguments: argparse.Namespace, client: Any) -> None:
    """Weigh what travels: the table with its folds, once to each worker, and each job."""
    rows = []
    for n_rows in (1_000, 10_000, 100_000, 1_000_000):
        X, y = make_table(n_rows)
        task = Task.from_frame(X, y)
        splits = resolve_splits(task, None, None, 0, n_folds=4, n_repeats=1)
        start = time.perf_counter()
        n_bytes = len(packed(FoldFitter(task, splits)))
        rows.append(
            {
                "rows": n_rows,
                "table_mb": X.memory_usage().sum() / 1e6,
                "travels_mb": n_bytes / 1e6,
                "seconds_to_pack": time.perf_counter() - start,
            }
        )
    write("data", rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=["speed", "kills", "data"])
    parser.add_argument("--rows", type=int, default=2_000)
    parser.add_argument("--seconds", type=float, default=30.0, help="of each search")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--trials", type=int, default=12, help="of each search whose workers are killed")
    parser.add_argument("--searches", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    if arguments.command == "data":
        data(arguments, None)
        return
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=N_WORKERS, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        {"speed": speed, "kills": kills}[arguments.command](arguments, client)


if __name__ == "__main__":
    main()
