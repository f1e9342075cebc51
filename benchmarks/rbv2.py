"""Transfer on a space that is nobody's own: the rbv2_xgboost surrogate, 96 data sets, 14 parameters, some conditional.

    python benchmarks/rbv2.py --directory DIR [--methods ...] [--tasks dev|all] [--seeds 3]
    python benchmarks/rbv2.py --directory DIR --studies 5 --trials 10 --output FILE     by the number of past studies

DIR holds surrogate.py and its tables. A sampler may know 200 random configurations with their scores on every task
outside the task's fold, then runs 100 trials. Regret is (best - found) / (best - median), clipped to [0, 1], over 8,000
random configurations. One row of the output file is one (task, method, prior, seed, trials); finished runs are read
back from it, so a run that was stopped goes on, and several processes may share the work (--part 0/2, --part 1/2).
The peers rgpe and nearest_tpe are in rbv2_peers.py; gp needs torch, cmaes the package of that name. Both see only the
parameters that every trial has, the others are drawn at random.
Every sixth task is for development (--tasks dev): constants and parts were chosen there.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
import warnings
import zlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
from curves import Panel, draw, regret_panel
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, RandomSampler, TPESampler
from rbv2_peers import RGPE, NearestTask, PastModels

from autometa import MetaSampler
from autometa.space.axis import Axis
from autometa.tuning._past import leading_points, read_history
from autometa.tuning._prior import History

BUDGETS = (1, 5, 10, 25, 50, 100)
N_KNOWN = 200
POOL_CHUNKS = 40
CHUNK = 200
PRIORS = ("honest", "shuffled", "reversed")


class Benchmark:
    """The surrogate with what the samplers may know and the scale of every task."""

    def __init__(self, directory: Path, cache: Path, prior: str, n_studies: int | None = None) -> None:
        spec = importlib.util.spec_from_file_location("surrogate", directory / "surrogate.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        self.surrogate = module.Surrogate()
        self.prior = prior
        self.n_studies = n_studies
        if not cache.is_file():
            self._pool().to_csv(cache, index=False)
        self.scale = pd.read_csv(cache, dtype={"task": str}).set_index("task")

    def _pool(self) -> pd.DataFrame:
        """Best and median of every task over the pool."""
        chunks = [self.surrogate.sample(CHUNK, seed) for seed in range(POOL_CHUNKS)]
        pool = [configuration for chunk in chunks for configuration in chunk]
        scores = {task: self.surrogate.score(pool, task) for task in self.surrogate.tasks}
        return pd.DataFrame(
            [(t, s.max(), np.median(s)) for t, s in scores.items()], columns=["task", "best", "median"]
        )

    @lru_cache(maxsize=96)  # noqa: B019 - one benchmark per process
    def study(self, task: str) -> optuna.Study:
        """Return what is known about a task, as a finished study."""
        seed = zlib.crc32(task.encode())
        configurations = self.surrogate.sample(N_KNOWN, seed)
        values = self.surrogate.score(configurations, task)
        if self.prior == "shuffled":
            values = np.random.default_rng(seed).permutation(values)
        elif self.prior == "reversed":
            values = -values
        study = optuna.create_study(direction="maximize", study_name=task)
        distributions = self.surrogate.distributions
        study.add_trials(
            optuna.trial.create_trial(
                params=c, distributions={n: distributions[n] for n in c}, value=float(v)
            )
            for c, v in zip(configurations, values, strict=True)
        )
        return study

    def sources(self, task: str) -> list[optuna.Study]:
        """Return the studies of all tasks of other folds, or so many of them, at random."""
        fold = self.surrogate.fold
        others = [other for other in self.surrogate.tasks if fold[other] != fold[task]]
        if self.n_studies is not None:
            others = list(np.random.default_rng(fold[task]).permutation(others)[: self.n_studies])
        return [self.study(other) for other in others]

    @lru_cache(maxsize=4)  # noqa: B019
    def history(self, fold: int) -> History:
        """Return what is known to the tasks of a fold."""
        history = read_history(self.sources(next(t for t, f in self.surrogate.fold.items() if f == fold)))
        assert history is not None
        return history

    @lru_cache(maxsize=4)  # noqa: B019
    def models(self, fold: int) -> PastModels:
        """Return the models of past studies that the peers of a fold use."""
        return PastModels(self.history(fold))

    @lru_cache(maxsize=4)  # noqa: B019
    def portfolio(self, fold: int) -> tuple[dict[str, Any], ...]:
        """Return the ten known configurations that cover the tasks of other folds best."""
        history = self.history(fold)
        known = self.surrogate.distributions
        return tuple(
            {
                name: Axis.of(known[name]).nearest(value)
                for name, value in history.encoder.decode(point).items()
            }
            for point in leading_points(history, 10, rounds=0)
        )

    @property
    def label(self) -> str:
        """What the rows of the output file say about the past."""
        return self.prior if self.n_studies is None else f"{self.prior} {self.n_studies}"

    def run(self, task: str, method: str, seed: int, n_trials: int) -> list[dict[str, Any]]:
        """Run one search and return a record per budget."""
        start = time.perf_counter()
        study = optuna.create_study(
            direction="maximize", sampler=SAMPLERS[method](self, task, zlib.crc32(f"{task} {seed}".encode()))
        )
        if method == "portfolio_tpe":
            for params in self.portfolio(self.surrogate.fold[task]):
                study.enqueue_trial(params)
        prepared = time.perf_counter()
        study.optimize(self.surrogate.objective(task), n_trials=n_trials)
        end = time.perf_counter()
        best, median = self.scale.loc[task, ["best", "median"]]
        found = np.maximum.accumulate([trial.value for trial in study.trials])
        regret = np.clip((best - found) / (best - median), 0.0, 1.0)
        common = {"task": task, "method": method, "prior": self.label, "seed": seed}
        times = {"seconds": end - prepared, "preparation": prepared - start}
        return [{**common, "trials": b, "regret": regret[b - 1], **times} for b in BUDGETS if b <= n_trials]


SAMPLERS: dict[str, Callable[[Benchmark, str, int], BaseSampler]] = {
    "random": lambda _, __, seed: RandomSampler(seed=seed),
    "tpe": lambda _, __, seed: TPESampler(seed=seed),
    "gp": lambda _, __, seed: GPSampler(seed=seed, warn_independent_sampling=False),
    "cmaes": lambda _, __, seed: CmaEsSampler(seed=seed, warn_independent_sampling=False),
    "portfolio_tpe": lambda _, __, seed: TPESampler(seed=seed),
    "rgpe": lambda b, task, seed: RGPE(b.models(b.surrogate.fold[task]), b.surrogate.distributions, seed),
    "nearest_tpe": lambda b, task, seed: NearestTask(
        b.models(b.surrogate.fold[task]), b.surrogate.distributions, seed
    ),
    "meta": lambda b, task, seed: MetaSampler(past_studies=b.sources(task), seed=seed),
}


def report(table: pd.DataFrame) -> str:
    """Return the mean regret per method and budget with standard errors over tasks, and paired differences."""
    by_task = table.groupby(["prior", "method", "trials", "task"])["regret"].mean()
    lines = []
    for (prior, method), rows in by_task.groupby(["prior", "method"]):
        by_budget = rows.groupby("trials")
        cells = [f"{b}: {v.mean():.3f} +-{v.sem():.3f}" for b, v in by_budget]
        count = rows.index.get_level_values("task").nunique()
        lines.append(f"{prior:8s} {method:14s} {count} tasks  " + "   ".join(cells))
    for (prior, method), rows in by_task.groupby(["prior", "method"]):
        ours = (
            by_task.get(prior, pd.Series(dtype=float)).get("meta")
            if "meta" in by_task.get(prior, {})
            else None
        )
        if method == "meta" or ours is None:
            continue
        difference = (ours - rows.loc[prior, method]).dropna()
        cells = [f"{b}: {v.mean():+.3f} +-{v.sem():.3f}" for b, v in difference.groupby("trials")]
        lines.append(f"{prior:8s} meta - {method:14s} paired  " + "   ".join(cells))
    return "\n".join(lines)


def curves(table: pd.DataFrame) -> Panel:
    """Return the curves of the methods that ran on all tasks that any ran on, with an honest past."""
    rows = table[table["prior"] == "honest"]
    tasks = rows.groupby("method")["task"].nunique()
    rows = rows[rows["method"].isin(tasks.index[tasks == tasks.max()])]
    return regret_panel(rows.pivot_table(index=["method", "task"], columns="trials", values="regret"))


def main() -> None:
    """Run what is missing and print the report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--methods", default="random,tpe,portfolio_tpe,meta")
    parser.add_argument("--tasks", choices=("dev", "all"), default="all")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--prior", choices=PRIORS, default="honest")
    parser.add_argument("--studies", type=int, help="so many past studies, at random (default: all)")
    parser.add_argument("--part", default="0/1", help="i/n: every n-th task from the i-th on; one file each")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/rbv2.csv"))
    parser.add_argument("--plot", type=Path, help="an SVG file of the curves, with standard errors")
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.simplefilter("ignore")
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    benchmark = Benchmark(
        arguments.directory, Path("benchmarks/results/rbv2_pool.csv"), arguments.prior, arguments.studies
    )
    part, parts = (int(number) for number in arguments.part.split("/"))
    tasks = benchmark.surrogate.tasks
    tasks = (tasks[3::6] if arguments.tasks == "dev" else tasks)[part::parts]
    keys = ["task", "method", "prior", "seed"]
    dtypes = {"task": str, "seed": int}
    done = (
        pd.read_csv(arguments.output, dtype=dtypes)
        if arguments.output.is_file()
        else pd.DataFrame(columns=keys)
    )
    known = set(done[keys].itertuples(index=False, name=None))
    for seed in range(arguments.seeds):
        for task in tasks:
            for method in arguments.methods.split(","):
                if (task, method, benchmark.label, seed) in known:
                    continue
                rows = pd.DataFrame(benchmark.run(task, method, seed, arguments.trials))
                is_new = not arguments.output.is_file()
                rows.to_csv(arguments.output, mode="a", header=is_new, index=False, float_format="%.5g")
    found = pd.read_csv(arguments.output, dtype=dtypes)
    print(report(found))
    if arguments.plot:
        draw([curves(found)], arguments.plot)


if __name__ == "__main__":
    main()
