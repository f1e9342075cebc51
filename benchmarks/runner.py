"""The runner of a collection: its overhead, its scaling, what kills do to it, and how much its scores vary.

    python benchmarks/runner.py overhead --directory DIR [--tasks N] [--configurations N]
    python benchmarks/runner.py scaling  --directory DIR ...     two workers against one, runs per minute
    python benchmarks/runner.py dask     --directory DIR ...     two Dask worker processes against two of the runner
    python benchmarks/runner.py kills    [--kills N] [--workers] kill -9 of runners, or of workers, on made-up tasks
    python benchmarks/runner.py repeats  --directory DIR ...     rank correlation with the runs of the bundled base
    python benchmarks/runner.py storage  [--storage URL]         cost of storing a run

Each prints its figures and writes them to ``benchmarks/results/runner_NAME.csv``. Times are of this machine in the
state in which it is: the load average stands beside them.
"""

from __future__ import annotations

import argparse
import os
import signal
import tempfile
import time
from collections import Counter
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import psutil
from scipy.stats import kendalltau

from autometa import collection, space
from autometa.collection import CollectionReport, Source, collect, read_catalog
from autometa.collection._ledger import Ledger
from autometa.collection._station import Station
from autometa.evaluation import Protocol, Run, evaluate, make_splits
from autometa.metabase import MetaBase
from autometa.metrics import stored_metrics
from autometa.space import Configuration, SearchSpace
from autometa.storage import open_storage

RESULTS = Path(__file__).parent / "results"
SIZES = [(0, 500), (500, 1500), (1500, 10**9)]
LEASE = 2.0


def write(name: str, rows: list[dict[str, object]]) -> None:
    table = pd.DataFrame(rows)
    print(table.to_string(index=False))
    table.to_csv(RESULTS / f"runner_{name}.csv", index=False, float_format="%.4g")


def load() -> float:
    return os.getloadavg()[0]


def cpu() -> float:
    return sum(os.times()[:4])


def timed(sources: list[Source], arguments: argparse.Namespace, **options: object) -> CollectionReport:
    with tempfile.TemporaryDirectory() as folder:
        return collect(
            sources, f"{folder}/runs.journal", n_configurations=arguments.configurations, **options
        )


def overhead(arguments: argparse.Namespace) -> None:
    spent = Counter()

    def on_run(report: CollectionReport, task_id: str, run: Run) -> None:
        if run.ok:
            spent["fit"] += run.fit_seconds * run.n_folds
            spent["predict"] += run.predict_seconds * run.n_folds

    before = cpu()
    report = timed(read_catalog(arguments.directory)[: arguments.tasks], arguments, on_run=on_run)
    total = cpu() - before
    row = {"tasks": arguments.tasks, "runs": report.n_done, "failed": report.n_done - report.counts["ok"]}
    row |= {"cpu": total, "fit": spent["fit"], "predict": spent["predict"]}
    models = spent["fit"] + spent["predict"]
    write(
        "overhead", [{**row, "over_fit_and_predict": total / models, "over_fit_alone": total / spent["fit"]}]
    )


def scaling(arguments: argparse.Namespace) -> None:
    sources = read_catalog(arguments.directory)[: arguments.tasks]
    rows = []
    for n_jobs in (1, 2, 1, 2):
        report = timed(sources, arguments, n_jobs=n_jobs)
        rows.append({"jobs": n_jobs, "runs_per_minute": 60 * report.n_done / report.seconds, "load": load()})
    write("scaling", rows)


def dask(arguments: argparse.Namespace) -> None:
    from distributed import LocalCluster

    sources = read_catalog(arguments.directory)[: arguments.tasks]
    rows = []
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        for engine in ("local", "dask", "local", "dask"):
            address = cluster.scheduler_address if engine == "dask" else None
            report = timed(sources, arguments, n_jobs=2, cluster=address)
            rows.append(
                {"engine": engine, "runs_per_minute": 60 * report.n_done / report.seconds, "load": load()}
            )
    write("dask", rows)


def make_tasks(folder: Path) -> list[Source]:
    rng = np.random.default_rng(0)
    names = ["first", "second", "third"]
    for name in names:
        frame = pd.DataFrame(rng.normal(size=(60, 3)), columns=list("abc"))
        frame["y"] = frame["a"] + 0.3 * rng.normal(size=60)
        frame.to_parquet(folder / f"{name}.parquet")
    pd.DataFrame({"name": names, "task_type": "regression", "target": "y"}).to_csv(
        folder / "catalog.csv", index=False
    )
    return list(read_catalog(folder))


def keep_quick_algorithms() -> None:
    built_in = space._built_in
    space._built_in = lambda family: {
        name: algorithm for name, algorithm in built_in(family).items() if name in ("linear", "knn")
    }


def finished(journal: str) -> Counter[tuple[str, str]]:
    storage = open_storage(journal)
    return Counter(
        (name, trial.user_attrs["configuration_id"])
        for name in optuna.get_all_study_names(storage)
        for trial in optuna.load_study(study_name=name, storage=storage).get_trials(deepcopy=False)
        if trial.user_attrs.get("run", {}).get("status") == "ok"
    )


class Here(Station):
    """Makes the runs in the runner's own process: it is ready at once, and dies as often as one likes."""

    def evaluate(
        self, source: Source, protocol: Protocol, configuration: Configuration, time_limit: float | None
    ) -> Run:
        """Make a run, with no limit on its time."""
        task = source.load()
        return evaluate(task, configuration, make_splits(task, protocol))


def kills(arguments: argparse.Namespace) -> None:
    """Kill runners, of which there are up to two, or with ``--workers`` their workers; read the storage after each.

    A kill comes at a random moment after the next run was finished.
    """
    keep_quick_algorithms()
    if not arguments.workers:
        collection.Station = Here
    rng = np.random.default_rng(arguments.seed)
    context = get_context("fork")
    counts = Counter(kills=0, lost=0, duplicates=0, unreadable=0)
    with tempfile.TemporaryDirectory() as folder:
        sources, journal = make_tasks(Path(folder)), f"{folder}/runs.journal"
        options = {"n_configurations": 400, "n_jobs": 2, "lease": LEASE}
        runners: list[BaseProcess] = []
        before: Counter[tuple[str, str]] = Counter()
        while counts["kills"] < arguments.kills:
            runners = [runner for runner in runners if runner.is_alive()]
            while len(runners) < rng.integers(1, 3):
                runners.append(context.Process(target=collect, args=(sources, journal), kwargs=options))
                runners[-1].start()
            wait_for_a_run(journal, before, arguments.pause)
            time.sleep(rng.uniform(0.0, 1.0))
            runner = runners[rng.integers(len(runners))]
            if arguments.workers:
                victims = psutil.Process(runner.pid).children() if runner.is_alive() else []
                if not victims:
                    continue
                os.kill(victims[rng.integers(len(victims))].pid, signal.SIGKILL)
            else:
                runner.kill()
                runner.join()
            counts["kills"] += 1
            try:
                now = finished(journal)
            except Exception as error:
                print(f"unreadable: {error!r}")
                counts["unreadable"] += 1
                continue
            counts["lost"] += len(before - now)
            before = now
            counts["duplicates"] = sum(count - 1 for count in before.values())
            print(dict(counts), "finished", sum(now.values()), flush=True)
        for runner in runners:
            runner.kill()
            runner.join()
        name = "kills_of_workers" if arguments.workers else "kills"
        write(name, [{**counts, "finished": len(before)}])


def wait_for_a_run(journal: str, before: Counter[tuple[str, str]], patience: float) -> None:
    end = time.monotonic() + patience
    while time.monotonic() < end:
        time.sleep(0.05)
        if Path(journal).exists() and finished(journal).total() > before.total():
            return


def repeats(arguments: argparse.Namespace) -> None:
    """Correlate a repeat with another seed with the runs of the bundled base, configuration by configuration."""
    base = MetaBase.load()
    sources = [s for s in read_catalog(arguments.directory) if s.task_id in base.main_fidelities.index]
    chosen = [s for low, high in SIZES for s in [s for s in sources if low <= s.n_rows < high]]
    per_size = {size: [s for s in chosen if size[0] <= s.n_rows < size[1]] for size in SIZES}
    share = -(-arguments.tasks // len(SIZES))
    chosen = [source for group in per_size.values() for source in group[:share]]
    storage = arguments.storage or str(Path(tempfile.mkdtemp()) / "repeat.journal")
    collect(chosen, storage, n_configurations=arguments.configurations, n_jobs=2, protocol=Protocol(seed=1))
    other, rows = MetaBase.from_studies(storage), []
    for source in chosen:
        metric = "r2" if source.kind == "regression" else "roc_auc"
        first, second = (b.scores(metric, source.kind).loc[source.task_id].dropna() for b in (base, other))
        both = first.index.intersection(second.index)
        tau = kendalltau(first[both], second[both]).statistic
        rows.append(
            {"task": source.task_id, "kind": source.kind, "n_rows": source.n_rows, "n": len(both), "tau": tau}
        )
    write("repeats", rows)
    table = pd.DataFrame(rows)
    print(table.groupby(pd.cut(table["n_rows"], [low for low, _ in SIZES] + [10**9]))["tau"].describe())


def storage(arguments: argparse.Namespace) -> None:
    """Store made-up runs, claimed and finished as in a collection."""
    design = SearchSpace.for_kind("binary").design(40)
    scores = dict.fromkeys(stored_metrics("binary"), 0.7512345678901234)
    with tempfile.TemporaryDirectory() as folder:
        place = arguments.storage or f"{folder}/runs.journal"
        opened = open_storage(place)
        study = optuna.create_study(
            study_name=f"benchmark-{time.time()}", storage=opened, direction="maximize"
        )
        ledger, joint = Ledger(opened, 60.0), SearchSpace.for_kind("binary")
        start, before = time.perf_counter(), cpu()
        for configuration in design:
            trial_id = ledger.claim(study, joint, configuration, 1000, 0)
            if trial_id is None:  # a small space, in which a design meets itself
                continue
            run = Run(configuration, "ok", scores, scores, fit_seconds=0.123456789, n_train=1000, n_folds=3)
            ledger.finish(trial_id, run)
        seconds, spent = time.perf_counter() - start, cpu() - before
        size = Path(place).stat().st_size / len(design) if place.endswith(".journal") else np.nan
    row = {"storage": place.partition(":")[0] if "://" in place else "journal", "runs": len(design)}
    row |= {"runs_per_second": len(design) / seconds, "client_cpu_per_run": spent / len(design)}
    write("storage", [{**row, "bytes_per_run": size, "load": load()}])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = {f.__name__: f for f in (overhead, scaling, dask, kills, repeats, storage)}
    parser.add_argument("command", choices=commands)
    parser.add_argument("--directory", help="a catalog.csv beside Parquet files")
    parser.add_argument("--tasks", type=int, default=12)
    parser.add_argument("--configurations", type=int, default=2)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--workers", action="store_true", help="kill workers in place of runners")
    parser.add_argument("--pause", type=float, default=60.0, help="most seconds to wait for the next run")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--storage", help="of the repeat, or to store made-up runs in")
    arguments = parser.parse_args()
    commands[arguments.command](arguments)


if __name__ == "__main__":
    main()
