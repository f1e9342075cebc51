"""Predictions of what experience recommends, recorded for many tables, to learn from: which, and of what.

    python benchmarks/recorded.py --datasets DIR --messy DIR --predictions DIR2 [--tasks 200] [--candidates 30]

Tables: one of each family, 200 to 4,000 rows (``--least-rows``, ``--most-rows``), kinds and sizes in turn, every sixth
a messy one. No family is among them that automl_tables.txt reports, that stands among the tables which
zero_shot_ensemble.py reports, or whose half messy.py reports: what is learned here can be judged there.

Candidates, the family of the table left out: the ten that lead by experience and LightGBM's default; with
``--candidates`` also the defaults of six learners and what a search of three and of ten seconds would try first, so
many of each; five folds on all rows. A candidate that should take long, or takes it, is left out: ``--seconds`` for
all folds. Files are written whole, one for each table and candidate: a run goes on where it was stopped, and with more
``--candidates`` it adds to what is there.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pandas as pd

from autometa.collection import Source, folds_of, read_catalog
from autometa.collection._predictions import record
from autometa.collection._station import RECORDED, Station
from autometa.collection.directory import TaskSource
from autometa.evaluation import Failure, FoldFit, FoldFitter, Job
from autometa.evaluation._fold import EARLY_STOPPING_ROWS
from autometa.recommendation import recommend_for_task
from autometa.space import Configuration, SearchSpace
from autometa.task import Task
from autometa.tuning._schedule import Schedule

# Of what leads whatever it takes, so many are recorded.
N_LEADING: Final = 10
# Seconds of searches whose candidates are recorded, and those that pass before one asks for them.
LIMITS: Final = (3.0, 10.0)
BEGIN_SECONDS: Final = 0.4
DEFAULTS: Final = ("lightgbm", "hist_gradient_boosting", "random_forest", "extra_trees", "linear", "mlp")
# Of the tables, in which place of every so many a messy one stands.
MESSY_EVERY: Final = 6
# Tables that zero_shot_ensemble.py reports.
ZERO_SHOT_TABLES: Final = 36
HERE: Final = Path(__file__).parent
# In the folder of predictions: the tables that are done.
DONE: Final = "done.txt"


@dataclass(frozen=True)
class MessySource(TaskSource):
    """A compressed CSV file of the messy catalog."""

    def load(self) -> Task:
        """Read the table as a user would."""
        frame = pd.read_csv(self.path, low_memory=False)
        frame = frame[frame[self.target].notna()]
        y = frame[self.target]
        y = y.astype("float64") if self.kind == "regression" else y.astype("str")
        if self.kind != "regression":
            y = y[y.isin(y.value_counts()[lambda n: n >= 5].index)]
        X = frame.drop(columns=self.target).loc[y.index]
        return Task.from_frame(
            X.reset_index(drop=True), y.reset_index(drop=True), kind=self.kind, name=self.task_id
        )


def read_messy(directory: Path) -> list[MessySource]:
    """Return the half of the messy tables that rules may be chosen on."""
    catalog = pd.read_csv(directory / "catalog.csv")
    return [
        MessySource(
            row["name"],
            row["task_type"],
            directory / f"{row['name']}.csv.gz",
            row["target"],
            int(row["n_rows"]),
            {"family": row["family"]},
        )
        for row in catalog.to_dict("records")
        if hashlib.sha256(row["family"].encode()).digest()[0] % 2 == 0
    ]


def plan(arguments: argparse.Namespace) -> list[Source]:
    """Return the tables in their order."""
    from zero_shot import choose_tables

    whole = read_catalog(arguments.datasets)
    lines = [line.split() for line in (HERE / "automl_tables.txt").read_text().splitlines()]
    left_out = {family for part, _, _, family, _ in lines if part == "report"}
    left_out |= {s.properties["family"] for s in choose_tables(whole, ZERO_SHOT_TABLES)}
    left_out |= set(pd.read_csv(arguments.messy / "catalog.csv")["family"])

    def first_of_families(sources: Sequence[Any]) -> list[Source]:
        kept: dict[str, Source] = {}
        for source in sources:
            if arguments.least_rows <= source.n_rows <= arguments.most_rows:
                kept.setdefault(source.properties["family"], source)
        return list(kept.values())

    tidy = first_of_families([s for s in whole if s.properties["family"] not in left_out])
    messy = first_of_families(read_messy(arguments.messy))
    found: list[Source] = []
    while tidy or messy:
        if messy and (not tidy or len(found) % MESSY_EVERY == MESSY_EVERY - 1):
            found.append(messy.pop(0))
        else:
            found.append(tidy.pop(0))
    return found[: arguments.tasks]


def listed(task: Task, limit: float | None, n: int) -> list[tuple[Configuration, int | None, float]]:
    """Return what a search of so many seconds would try in its order: configuration, rank and expected CPU seconds.

    LightGBM's default comes first, and has no rank. Without a limit, what leads whatever it takes.
    """
    n_folds = RECORDED.n_folds
    budget = None if limit is None else (limit - BEGIN_SECONDS) / (2 * n_folds)
    found = recommend_for_task(task, k=Schedule().n_recommended, time_budget=budget, random_state=0)
    default = SearchSpace.for_kind(task.kind)["lightgbm"].default_configuration()
    ranked = [(r.configuration, r.rank, r.expected_seconds) for r in found]
    seconds = next((s for c, _, s in ranked if c == default), math.nan)
    return [(default, None, seconds), *[row for row in ranked if row[0] != default][:n]]


def to_record(task: Task, n: int, seconds: float) -> Iterator[Configuration]:
    """Yield what is fitted on a table."""
    default, *leading = listed(task, None, N_LEADING)
    yield default[0]
    yield from (c for c, _, s in leading if not 5 * s > 2 * seconds)
    if n:
        space = SearchSpace.for_kind(task.kind)
        yield from (space[name].default_configuration() for name in DEFAULTS)
        for limit in LIMITS:
            yield from (c for c, _, s in listed(task, limit, n) if not 5 * s > seconds)
        if 4 * task.n_rows // 5 >= EARLY_STOPPING_ROWS:
            yield from (c for c, _ in Schedule().order([], default[0], 10**6))


class Here(Station):
    """Fits in this process: small tables need no limit but between folds, and a child takes seconds to start."""

    def fit_folds(
        self, source: Source, configuration: Configuration, time_limit: float | None
    ) -> list[tuple[Any, float, int]]:
        """See :class:`Station`; the limit is one of CPU seconds."""
        if self._held != (source, RECORDED):
            task = self._load(source)
            self._splits = folds_of(task, source)
            self._fitter = FoldFitter(task, self._splits)
            self._held = source, RECORDED
        found: list[tuple[Any, float, int]] = []
        for fold in range(len(self._splits)):
            start = time.process_time()
            outcome = self._fitter(Job(configuration, fold))
            seconds = time.process_time() - start
            n_bytes = len(outcome.model) if isinstance(outcome, FoldFit) else 0
            if isinstance(outcome, FoldFit):
                outcome = replace(outcome, model=b"", preparations={})
            model_seconds = seconds - getattr(outcome, "prepare_seconds", 0.0)
            if fold == 0 and time_limit is not None and model_seconds * len(self._splits) > 2 * time_limit:
                outcome = Failure("timeout", "longer than others")
            found.append((outcome, seconds, n_bytes))
            if isinstance(outcome, Failure):
                break
        return found


def add_plan(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which tables."""
    parser.add_argument("--datasets", type=Path, required=True, help="a catalog.csv beside Parquet files")
    parser.add_argument("--messy", type=Path, required=True, help="a catalog.csv beside NAME.csv.gz")
    parser.add_argument("--predictions", type=Path, required=True, help="the folder of recorded predictions")
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--candidates", type=int, default=30)
    parser.add_argument("--least-rows", type=int, default=200)
    parser.add_argument("--most-rows", type=int, default=4_000)


def done(folder: Path) -> dict[str, int]:
    """Return the tables that are done, with how many recommendations were gone through."""
    file = folder / DONE
    lines = file.read_text().splitlines() if file.is_file() else []
    return {name: int(n) for name, n in (line.split() for line in lines)}


def main() -> None:
    """Fit and keep."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_plan(parser)
    parser.add_argument("--seconds", type=float, default=6.0, help="CPU seconds of a candidate on all folds")
    parser.add_argument("--minutes", type=float, default=math.inf, help="after which no table is begun")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    depths = done(arguments.predictions)
    station, n_done = Here(), 0
    end = time.monotonic() + arguments.minutes * 60
    for source in plan(arguments):
        if depths.get(source.task_id, -1) >= arguments.candidates:
            n_done += 1
            continue
        if time.monotonic() > end:
            return

        def chosen(source: Source) -> list[Configuration]:
            try:
                return list(to_record(source.load(), arguments.candidates, arguments.seconds))
            except Exception as error:
                print(f"{source.task_id}: {type(error).__name__}: {error}", flush=True)
                return []

        start, cpu = time.monotonic(), time.process_time()
        report = record([source], arguments.predictions, chosen, [station], time_limit=arguments.seconds)
        if report.interrupted:
            return
        n_done += 1
        with (arguments.predictions / DONE).open("a") as stream:
            stream.write(f"{source.task_id} {arguments.candidates}\n")
        print(
            f"{time.strftime('%H:%M:%S')} {n_done} {source.task_id} {source.kind} {source.n_rows} rows:"
            f" {dict(report.counts)} {report.unreadable or ''} cpu {time.process_time() - cpu:.1f}"
            f" wall {time.monotonic() - start:.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
