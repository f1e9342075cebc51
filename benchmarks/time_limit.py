"""Does ``tune`` keep its limit, and how much memory does it hold? Whole runs beside two processes that never rest.

    python benchmarks/time_limit.py [--runs 200] [--datasets DIR] [--busy 2] [--core N]
    python benchmarks/time_limit.py --memory [--core N]
    python benchmarks/time_limit.py --overheads [--datasets DIR] [--core N]
    python benchmarks/time_limit.py --report

Tables are made with scikit-learn's ``make_classification`` and ``make_regression``, up to 100,000 x 50, some with
columns of strings and missing values; with ``--datasets`` every third run takes one of a catalog's tables, in the
order of a hash of their names. Limits are 5, 10, 20, 30 and 60 seconds in turn. Tables and limits follow from the
number of the run. Each run is a process of its own; the overrun is the wall-clock time from the call to the return,
less the limit. A run that does not return within ten times its limit and a minute is stopped and counts as a
failure. The results grow in a CSV file; what stands there is not run again.

``--memory`` holds the most memory of one such process on 100,000 x 50 with 60 seconds against that of a process that
only makes the same table and fits LightGBM's default. What processes share counts once (the proportional set size of
Linux).

``--overheads`` tells the share of 10 and of 60 seconds that goes neither into fits nor into predictions of pipelines,
on tables of about 1,000 rows, made ones or five of a catalog's: in the first call of a process, which imports
scikit-learn, LightGBM and Optuna, and in the next one.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import hashlib
import json
import math
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import psutil
from automl import memory_of

RESULTS: Final = Path(__file__).parent / "results" / "time_limit.csv"
LIMITS: Final = (5, 10, 20, 30, 60)
# rows, columns, kind, classes, columns of strings, share of missing values
SHAPES: Final = (
    (100_000, 50, "binary", 2, 0, 0.0),
    (1_000, 10, "regression", 0, 0, 0.0),
    (20_000, 30, "multiclass", 10, 5, 0.05),
    (100_000, 50, "regression", 0, 0, 0.0),
    (300, 50, "binary", 2, 10, 0.1),
    (50_000, 20, "multiclass", 5, 0, 0.0),
    (5_000, 50, "regression", 0, 10, 0.0),
    (100_000, 10, "multiclass", 20, 2, 0.0),
    (10_000, 50, "binary", 2, 0, 0.2),
    (50_000, 50, "regression", 0, 20, 0.05),
    (2_000, 20, "multiclass", 30, 0, 0.0),
)
PATIENCE: Final = (10, 60)
POLL_SECONDS: Final = 0.1
# For overheads: shapes of made tables, the rows of a catalog's, and limits.
SMALL_SHAPES: Final = (
    (1_000, 10, "binary", 2, 0, 0.0),
    (1_000, 20, "regression", 0, 5, 0.1),
    (1_000, 30, "multiclass", 5, 0, 0.0),
)
SMALL_ROWS: Final = (700, 1_300)
N_SMALL: Final = 5
OVERHEAD_LIMITS: Final = (10, 60)
BOUND: Final = (0.10, 1.0)
COLUMNS: Final = ("run", "table", "kind", "n_rows", "n_columns", "limit", "seconds", "peak_mb", "status")


@dataclass(frozen=True)
class Run:
    """One call of ``tune``.

    Attributes
    ----------
    number : int
        Seed of the table that is made.
    limit : float
        Seconds; 0 fits LightGBM's default instead.
    shape : tuple
        One of SHAPES.
    path, target : str
        A table to read, and its target, instead.
    called : str
        File that is made when the call begins.
    """

    number: int
    limit: float
    shape: tuple[Any, ...]
    path: str = ""
    target: str = ""
    called: str = ""


def make_table(run: Run) -> tuple[pd.DataFrame, pd.Series, str]:
    """Return columns, target and kind."""
    from sklearn.datasets import make_classification, make_regression

    n_rows, n_columns, kind, n_classes, n_strings, missing = run.shape
    if run.path:
        frame = pd.read_parquet(run.path)
        return frame.drop(columns=run.target), frame[run.target], kind
    n_informative = min(n_columns - 2, 12)
    if kind == "regression":
        values, y = make_regression(
            n_rows, n_columns, n_informative=n_informative, noise=20.0, random_state=run.number
        )
    else:
        values, y = make_classification(
            n_rows,
            n_columns,
            n_informative=n_informative,
            n_classes=n_classes,
            flip_y=0.1,
            random_state=run.number,
        )
    rng = np.random.default_rng(run.number)
    X = pd.DataFrame(values, columns=[f"x{i}" for i in range(n_columns)])
    for name in X.columns[:n_strings]:
        levels = pd.qcut(X[name], 10, labels=False)
        X[name] = "level " + levels.astype("str")
    if missing:
        X = X.mask(rng.random(X.shape) < missing)
    return X, pd.Series(y), kind


def work(run: Run) -> None:
    """Make the table and call; print the seconds from the call to the return. This is the process that is watched."""
    warnings.simplefilter("ignore")
    X, y, kind = make_table(run)
    if run.limit:
        import autometa.tuning

        Path(run.called).touch()
        start = time.perf_counter()
        result = autometa.tuning.tune(X, y, kind=kind, timeout=run.limit, random_state=0)
        seconds = time.perf_counter() - start
        model = getattr(result, "model", None)
        (result.best_pipeline if model is None else model).predict(X.head(10))
    else:
        import lightgbm

        learner = lightgbm.LGBMRegressor if kind == "regression" else lightgbm.LGBMClassifier
        start = time.perf_counter()
        learner(n_jobs=1, verbosity=-1).fit(X, y)
        seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds}), flush=True)


def work_twice(run: Run) -> None:
    """Call twice; print for each call the seconds until it returned and those that were spent on fits."""
    from autometa.tuning import tune
    from autometa.tuning._hands import Children

    fits: list[float] = []
    wait = Children.wait

    def counting(hands: Children) -> Any:
        done = wait(hands)
        fits.extend(seconds for _, _, seconds in done)
        return done

    Children.wait = counting
    warnings.simplefilter("ignore")
    X, y, kind = make_table(run)
    for _ in range(2):
        fits.clear()
        start = time.perf_counter()
        result = tune(X, y, kind=kind, timeout=run.limit, random_state=0)
        seconds = time.perf_counter() - start
        print(json.dumps({"seconds": seconds, "fits": sum(fits), "trials": len(result.leaderboard)}))


def watch(run: Run, core: int | None) -> tuple[float, float, str]:
    """Make a run in a process of its own; return the seconds, the peak in MB and how it ended."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    bind = [] if core is None else ["taskset", "-c", str(core)]
    with tempfile.TemporaryDirectory() as name:
        called = Path(name) / "called"
        process = subprocess.Popen(
            [*bind, sys.executable, __file__, "--work", json.dumps({**asdict(run), "called": str(called)})],
            env=os.environ | threads,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        tree = psutil.Process(process.pid)
        peak, stop = 0.0, math.inf
        try:
            while process.poll() is None and time.monotonic() < stop:
                peak = max(peak, memory_of(tree, shared_once=True))
                time.sleep(POLL_SECONDS)
                if stop == math.inf and called.exists():
                    stop = time.monotonic() + PATIENCE[0] * run.limit + PATIENCE[1]
            late = process.poll() is None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        out, errors = process.communicate()
    if late:
        return np.nan, peak, "did not return"
    if process.returncode or not out.strip():
        lines = errors.strip().splitlines() or [f"ended with {process.returncode}"]
        return np.nan, peak, f"error: {lines[-1]}"[:200]
    return json.loads(out.strip().splitlines()[-1])["seconds"], peak, "ok"


@contextmanager
def busy(n_processes: int, core: int | None) -> Iterator[None]:
    """Keep processes beside the runs that never rest."""
    context = multiprocessing.get_context("spawn")
    others = [context.Process(target=spin, args=(core,), daemon=True) for _ in range(n_processes)]
    for process in others:
        process.start()
    try:
        yield
    finally:
        for process in others:
            process.kill()


def spin(core: int | None) -> None:
    """Do nothing, as fast as possible."""
    if core is not None:
        os.sched_setaffinity(0, {core})
    while True:
        pass


def plan(n_runs: int, datasets: Path | None) -> Iterator[Run]:
    """Yield the runs."""
    tables: list[dict[str, Any]] = []
    if datasets:
        catalog = pd.read_csv(datasets / "catalog.csv").to_dict("records")
        tables = sorted(catalog, key=lambda row: hashlib.sha256(row["name"].encode()).hexdigest())
    for number in range(n_runs):
        limit = LIMITS[number % len(LIMITS)]
        if tables and number % 3 == 2:
            row = tables[(number // 3) % len(tables)]
            shape = (row["n_rows"], row["n_features"], row["task_type"], 0, 0, 0.0)
            yield Run(number, limit, shape, str(datasets / f"{row['name']}.parquet"), row["target"])
        else:
            yield Run(number, limit, SHAPES[number % len(SHAPES)])


def run_all(arguments: argparse.Namespace) -> None:
    """Make the runs that the results lack."""
    path: Path = arguments.output
    done = set(pd.read_csv(path)["run"]) if path.is_file() else set()
    path.parent.mkdir(parents=True, exist_ok=True)
    with busy(arguments.busy, arguments.core), path.open("a", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        if not done and stream.tell() == 0:
            writer.writerow(COLUMNS)
        for run in plan(arguments.runs, arguments.datasets):
            if run.number in done:
                continue
            seconds, peak, status = watch(run, arguments.core)
            name = Path(run.path).stem if run.path else "made"
            n_rows, n_columns, kind = run.shape[:3]
            writer.writerow(
                (
                    run.number,
                    name,
                    kind,
                    n_rows,
                    n_columns,
                    run.limit,
                    f"{seconds:.2f}",
                    f"{peak:.0f}",
                    status,
                )
            )
            stream.flush()
            print(
                f"{run.number} {name} {n_rows} x {n_columns}: {run.limit} s, took {seconds:.1f}, {status}",
                flush=True,
            )


def report(path: Path) -> str:
    """Return the overruns in words."""
    runs = pd.read_csv(path)
    over = (runs["seconds"] - runs["limit"]).dropna()
    bound = BOUND[0] * runs["limit"] + BOUND[1]
    late = (runs["seconds"] - runs["limit"]) > bound
    beyond = (over - bound[over.index]).quantile(0.99)
    failed = runs[runs["status"] != "ok"]
    lines = [
        f"{len(runs)} runs of {runs['limit'].min()} to {runs['limit'].max()} s, up to "
        f"{runs['n_rows'].max():,} x {runs.loc[runs['n_rows'].idxmax(), 'n_columns']}.",
        f"Overrun: median {over.median():.2f} s, 99th percentile {over.quantile(0.99):.2f} s, "
        f"worst {over.max():.2f} s.",
        f"Over by more than 10 % + 1 s: {late.sum()} of {len(runs)}; "
        f"the 99th percentile is {beyond:+.2f} s from there.",
        f"Failures: {len(failed)}.",
        *(
            f"- run {r.run}, {r.table} {r.n_rows} x {r.n_columns}, {r.limit} s: {r.status}"
            for r in failed.itertuples()
        ),
    ]
    return "\n".join(lines)


def report_memory(core: int | None) -> str:
    """Return the peaks of a search and of one fit on the largest table."""
    lines = []
    for shape in (s for s in SHAPES if s[:2] == (100_000, 50)):
        peaks = []
        for limit in (60, 0):
            _, peak, status = watch(Run(0, limit, shape), core)
            if status != "ok":
                return f"{shape[2]}: {status}"
            peaks.append(peak)
        ours, theirs = peaks
        lines.append(
            f"100,000 x 50, {shape[2]}: tune with 60 s {ours:.0f} MB, "
            f"the data and one fit of LightGBM {theirs:.0f} MB: {ours / theirs:.2f} times."
        )
    return "\n".join(lines)


def small_tables(datasets: Path | None) -> Iterator[Run]:
    """Yield tables of about a thousand rows."""
    if datasets is None:
        yield from (Run(number, 0.0, shape) for number, shape in enumerate(SMALL_SHAPES))
        return
    catalog = pd.read_csv(datasets / "catalog.csv")
    rows = catalog[catalog["n_rows"].between(*SMALL_ROWS)].to_dict("records")
    rows.sort(key=lambda row: hashlib.sha256(row["name"].encode()).hexdigest())
    for number, row in enumerate(rows[:N_SMALL]):
        shape = (row["n_rows"], row["n_features"], row["task_type"], 0, 0, 0.0)
        yield Run(number, 0.0, shape, str(datasets / f"{row['name']}.parquet"), row["target"])


def report_overheads(datasets: Path | None, core: int | None) -> None:
    """Print what of the time goes into no fit, table by table."""
    bind = [] if core is None else ["taskset", "-c", str(core)]
    for limit in OVERHEAD_LIMITS:
        for table in small_tables(datasets):
            run = json.dumps(asdict(replace(table, limit=limit)))
            out = subprocess.run(
                [*bind, sys.executable, __file__, "--twice", run], capture_output=True, text=True, check=True
            )
            shares = [
                f"{1 - call['fits'] / call['seconds']:.1%} of {call['seconds']:.1f} s ({call['trials']} trials)"
                for call in map(json.loads, out.stdout.splitlines())
            ]
            name = Path(table.path).stem if table.path else "made"
            shape = f"{table.shape[0]} x {table.shape[1]}, {table.shape[2]}"
            print(f"{limit} s, {name}, {shape}: first call {shares[0]}, next {shares[1]}", flush=True)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--runs", type=int, default=200)
    add("--datasets", type=Path, help="a catalog.csv and Parquet files, for every third run")
    add("--busy", type=int, default=2, help="processes beside the runs (default: %(default)s)")
    add("--core", type=int, help="bind the runs and the processes beside them to this core")
    add("--memory", action="store_true", help="the most memory instead")
    add("--overheads", action="store_true", help="what of the time goes into no fit instead")
    add("--report", action="store_true", help="only print what the results say")
    add("--output", type=Path, default=RESULTS)
    add("--work", help=argparse.SUPPRESS)
    add("--twice", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Run, watch or report."""
    arguments = parse_arguments()
    # Ended from outside, leave no busy process behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    if arguments.work:
        work(Run(**json.loads(arguments.work)))
    elif arguments.twice:
        work_twice(Run(**json.loads(arguments.twice)))
    elif arguments.overheads:
        report_overheads(arguments.datasets, arguments.core)
    elif arguments.memory:
        print(report_memory(arguments.core))
    else:
        if not arguments.report:
            run_all(arguments)
        print(report(arguments.output))


if __name__ == "__main__":
    main()
