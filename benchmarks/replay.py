"""A search replayed over recorded predictions: the real ``Search`` with a clock and hands that only pretend.

    python benchmarks/replay.py record --directory DIR --predictions DIR2 [--tasks 25] [--candidates 40]
    python benchmarks/replay.py agree  --directory DIR --predictions DIR2 [--limits 3 10 60]
    python benchmarks/replay.py learn  --directory DIR --predictions DIR2 [--rounds 200]

``record`` fits what experience recommends for each table (its family left out), LightGBM's default and the boosted
models of the schedule, in the five folds of a search on all rows, and keeps the predictions for the rows left out,
with the seconds of each fold. It goes on where it was stopped. ``agree`` runs ``tune`` for real and replays the same
searches. ``learn`` looks for a schedule that is better than the fixed one: by evolution on one half of the families,
judged on the other.

A replay takes the clock forward by the CPU seconds that a fold took, in place of fitting it. What a replay does not
know: fits on fewer rows, and what the search would propose after the recommendations. Losses are those of the metric
that the kind of table has by default, lower is better; a metric that is to be large counts as what it lacks to one.
"""

from __future__ import annotations

import argparse
import hashlib
import heapq
import math
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from autometa.collection import Predictions, Recorded, Source, folds_of, read_catalog
from autometa.collection._predictions import record as record_predictions
from autometa.collection._station import RECORDED, Station
from autometa.evaluation import Failure, FoldFit, FoldFitter, Job, Split, target_codes
from autometa.recommendation import recommend_for_task
from autometa.space import Configuration, SearchSpace
from autometa.task import Task
from autometa.tuning import tune
from autometa.tuning._assembly import choose
from autometa.tuning._candidate import Candidate, Problem
from autometa.tuning._deadline import Deadline
from autometa.tuning._schedule import Schedule
from autometa.tuning._search import Search
from autometa.tuning._strategy import DEFAULT_SHARE, QUICK_SHARE, Allows, Entry

RESULTS: Final = Path(__file__).parent / "results"
LIMITS: Final = (3.0, 10.0, 60.0)
N_RECOMMENDED: Final = 60
# Seconds that the way of a fit to a child and back takes, and those before the first candidate.
WAY_SECONDS: Final = 0.01
START_SECONDS: Final = 0.6


# -- a clock, hands and a strategy that only pretend ------------------------------------------------------------------


class FakeDeadline(Deadline):
    """A limit on time that passes when it is told to."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.now = START_SECONDS

    @property
    def spent(self) -> float:
        """Seconds since the start."""
        return self.now


class FakeHands:
    """Answers with what was recorded, after the seconds that it took."""

    def __init__(self, recorded: dict[str, Recorded], clock: FakeDeadline, n_workers: int = 1) -> None:
        self._recorded = recorded
        self._clock = clock
        self.n_workers = n_workers
        self._running: list[tuple[float, int, Any, Any, float]] = []
        self._n = 0

    @property
    def n_idle(self) -> int:
        """How many more jobs can be taken."""
        return self.n_workers - len(self._running)

    @property
    def is_busy(self) -> bool:
        """Whether any outcome is still to come."""
        return bool(self._running)

    def submit(self, key: Any, job: Job, limit: float) -> None:
        """Look up what came of a job."""
        recorded, fold = self._recorded[job.configuration.id], job.fold or 0
        if fold < len(recorded.fits):
            outcome: Any = recorded.fits[fold]
            seconds = outcome.fit_seconds + outcome.predict_seconds + WAY_SECONDS
        else:
            outcome = recorded.failure or Failure("failed", "not recorded")
            seconds = recorded.seconds[len(recorded.fits)] if recorded.failure else 0.0
        if seconds > limit:
            outcome, seconds = Failure("timeout", "longer than its share of the time"), limit
        self._n += 1
        heapq.heappush(self._running, (self._clock.now + seconds, self._n, key, outcome, seconds))

    def wait(self) -> list[tuple[Any, Any, float]]:
        """Take the clock to the next outcome."""
        end, _, key, outcome, seconds = heapq.heappop(self._running)
        self._clock.now = max(self._clock.now, end)
        return [(key, outcome, seconds)]

    def stop(self) -> None:
        """End whatever runs."""
        self._running = []


class Line:
    """Gives the configurations of a list as the strategy of a search does, without a study."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries = list(entries)
        self._slow: list[Entry] = []
        self._n = 0

    def next(self, allows: Allows) -> Candidate | None:
        """Return the first that there is time for; slow ones last."""
        while self._entries or self._slow:
            is_last = not self._entries
            entry = (self._slow if is_last else self._entries).pop(0)
            share = DEFAULT_SHARE if entry.origin == "default" else QUICK_SHARE
            if not allows(entry.configuration, entry.seconds, 1.0 if is_last else share):
                if not is_last:
                    self._slow.append(entry)
                continue
            self._n += 1
            return Candidate(
                entry.configuration,
                entry.origin,
                None,
                self._n,
                entry.rank,
                expected_seconds=entry.seconds,
            )
        return None


class FakeProblem(Problem):
    """Works out the scores of a configuration once for all replays."""

    @cached_property
    def _known(self) -> dict[str, list[float]]:
        return {}

    def fold_scores(self, candidate: Candidate) -> list[float]:
        """See :class:`Problem`."""
        name = candidate.configuration.id
        if len(candidate.fits) < len(self.splits):
            return super().fold_scores(candidate)
        if name not in self._known:
            self._known[name] = super().fold_scores(candidate)
        return self._known[name]


class Here(Station):
    """Fits in this process: small tables need no limit, and a child takes seconds to start."""

    def fit_folds(
        self, source: Source, configuration: Configuration, time_limit: float | None
    ) -> list[tuple[Any, float, int]]:
        """See :class:`Station`."""
        if self._held != (source, RECORDED):
            task = self._load(source)
            self._splits = folds_of(task, source)
            self._fitter = FoldFitter(task, self._splits)
            self._held = source, RECORDED
        found = []
        for fold in range(len(self._splits)):
            start = time.perf_counter()
            outcome = self._fitter(Job(configuration, fold))
            n_bytes = len(outcome.model) if isinstance(outcome, FoldFit) else 0
            if isinstance(outcome, FoldFit):
                outcome = replace(outcome, model=b"", preparations={})
            found.append((outcome, time.perf_counter() - start, n_bytes))
            if isinstance(outcome, Failure):
                break
        return found


# -- tasks ---------------------------------------------------------------------------------------------------------


@dataclass
class Known:
    """A task with what was recorded on it.

    Attributes
    ----------
    chosen_on : Problem
        With the half of the rows left out that a search sees.
    judged_on : Problem
        With the other half, which says how good its model is.
    """

    name: str
    family: str
    chosen_on: Problem
    judged_on: Problem
    whole: Problem
    recorded: dict[str, Recorded]
    halves: list[dict[str, Recorded]]
    recommended: list[tuple[Configuration, int, float]]
    default: Configuration
    losses: dict[Any, float] = field(default_factory=dict)


def candidates(task: Task, n: int) -> list[tuple[Configuration, int | None, float, str]]:
    """Return what a search would try in its first order: configuration, rank, expected seconds and origin."""
    recommended = recommend_for_task(task, k=N_RECOMMENDED, random_state=0)
    found = [(r.configuration, r.rank, r.expected_seconds, "recommended") for r in recommended]
    default = SearchSpace.for_kind(task.kind)["lightgbm"].default_configuration()
    order = Schedule().order([], default, 10**6)
    seconds = {r.configuration: r.expected_seconds for r in recommended}.get(default, math.nan)
    ours = [(c, None, seconds, "default") for c, _ in order]
    ids = {c.id for c, *_ in ours}
    return [*ours, *[item for item in found if item[0].id not in ids][: n - len(ours)]]


def plan(arguments: argparse.Namespace) -> list[Source]:
    """Return the smaller tables of a catalog, one of each family, in the catalog's order."""
    catalog = read_catalog(arguments.directory)
    kept: dict[str, Source] = {}
    for source in catalog:
        if arguments.least_rows <= source.n_rows <= arguments.most_rows:
            kept.setdefault(source.properties["family"], source)
    return list(kept.values())[: arguments.tasks]


def record(arguments: argparse.Namespace) -> None:
    """Fit and keep."""

    def chosen(source: Source) -> list[Configuration]:
        try:
            return [c for c, *_ in candidates(source.load(), arguments.candidates)]
        except Exception as error:
            print(f"{source.task_id}: {error}", flush=True)
            return []

    station = Here()
    for source in plan(arguments):
        report = record_predictions([source], arguments.predictions, chosen, [station], time_limit=None)
        print(source.task_id, source.n_rows, dict(report.counts), report.n_known, flush=True)
        if report.interrupted:
            return


def halved(splits: Sequence[Split], half: int, seed: int = 0) -> list[Split]:
    """Return folds that test on one half of the rows alone."""
    found = []
    for train, test in splits:
        rng = np.random.default_rng([seed, len(test)])
        is_first = rng.permutation(len(test)) < len(test) // 2
        found.append((train, test[is_first if half == 0 else ~is_first]))
    return found


def halve(recorded: Recorded, splits: Sequence[Split], half: Sequence[Split]) -> Recorded:
    """Return what was recorded for one half of the rows."""
    fits = tuple(
        replace(fit, prediction=fit.prediction[np.searchsorted(test, part)])
        for fit, (_, test), (_, part) in zip(recorded.fits, splits, half, strict=False)
    )
    return replace(recorded, fits=fits)


def read(arguments: argparse.Namespace) -> list[Known]:
    """Read tasks of which all candidates were recorded."""
    found = []
    predictions = Predictions(arguments.predictions)
    for source in plan(arguments):
        recorded = {r.configuration.id: r for r in predictions.read(source.task_id)}
        if not recorded:
            continue
        task = source.load()
        listed = [item for item in candidates(task, arguments.candidates) if item[0].id in recorded]
        splits = folds_of(task, source)
        parts = [halved(splits, 0), halved(splits, 1)]
        y = target_codes(task)
        halves = [{n: halve(r, splits, part) for n, r in recorded.items()} for part in parts]
        problems = [FakeProblem(task, part, y) for part in (*parts, splits)]
        recommended = [(c, rank, s) for c, rank, s, origin in listed if origin == "recommended"]
        default = next(c for c, _, _, origin in listed if origin == "default")
        seconds = next(s for _, _, s, origin in listed if origin == "default")
        known = Known(
            source.task_id,
            source.properties["family"],
            *problems,
            recorded,
            halves,
            [(default, 0, seconds), *recommended],
            default,
        )
        found.append(known)
    return found


# -- a replay ------------------------------------------------------------------------------------------------------


def replay(
    known: Known, limit: float, schedule: Schedule, *, on_halves: bool = True, n_workers: int = 1
) -> float:
    """Replay a search; return the loss of its model.

    With `on_halves`, on the half of the rows left out that the search did not see; else on all that it saw, which is
    what a result of `tune` says of itself.
    """
    problem = known.chosen_on if on_halves else known.whole
    recorded = known.halves[0] if on_halves else known.recorded
    clock = FakeDeadline(limit)
    hands = FakeHands(recorded, clock, n_workers)
    ranks = {c: (rank, seconds) for c, rank, seconds in known.recommended}
    order = schedule.order([c for c, _, _ in known.recommended[1:]], known.default, len(problem.y))
    default_fit = next(iter(known.recorded[known.default.id].fits), None)
    once = default_fit.fit_seconds if default_fit else math.nan
    entries = [
        Entry(
            c,
            origin,
            ranks[c][0] if origin == "recommended" else None,
            ranks[c][1] if origin == "recommended" else once if c == known.default else 3 * once,
        )
        for c, origin in order
        if c.id in recorded
    ]
    study: Any = None  # candidates of a replay have no trials, so nothing is told
    search = Search(study, problem, hands, Line(entries), clock, schedule, n_trials=1_000)
    search.run()
    if not search.usable:
        return math.nan
    assembly = choose(problem, search.usable, size=25, prior_rows=schedule.prior_rows)
    if assembly is None:
        return math.nan
    if not on_halves:
        return loss_of(known.whole, float(np.mean(assembly.fold_scores)))
    judged = known.judged_on
    total: Any = 0.0
    for candidate, weight in assembly.members:
        fits = known.halves[1][candidate.configuration.id].fits
        other = Candidate(candidate.configuration, "", fits=dict(enumerate(fits[: assembly.depth])))
        total = total + weight * judged.out_of_fold(other, assembly.depth)
    rows = judged.rows(assembly.depth)
    return loss_of(judged, judged.objective.score(total, rows))


def loss_of(problem: Problem, score: float) -> float:
    """Return a score as something to be small."""
    metric = problem.task.metric
    return score if not metric.greater_is_better else 1.0 - score


# -- does it agree with real searches? -------------------------------------------------------------------------------


def agree(arguments: argparse.Namespace) -> None:
    """Run searches for real, and replay them."""
    warnings.simplefilter("ignore")
    rows = []
    for known in read(arguments)[: arguments.real]:
        task = known.whole.task
        for limit in arguments.limits:
            start = time.perf_counter()
            replayed = replay(known, limit, Schedule(), on_halves=False)
            seconds = time.perf_counter() - start
            before = time.perf_counter()
            result = tune(
                task, None, timeout=limit, n_trials=1_000, cv=list(known.whole.splits), random_state=0
            )
            rows.append(
                {
                    "task": known.name,
                    "limit": limit,
                    "replayed": replayed,
                    "real": loss_of(known.whole, result.score),
                    "seconds_of_replay": seconds,
                    "seconds_of_search": time.perf_counter() - before,
                }
            )
            print(rows[-1], flush=True)
    table = pd.DataFrame(rows)
    table.to_csv(RESULTS / "replay_agree.csv", index=False, float_format="%.6g")
    done = table.dropna()
    for limit, part in done.groupby("limit"):
        print(limit, len(part), "rank correlation", spearmanr(part["replayed"], part["real"]).statistic)


# -- a schedule, learned ---------------------------------------------------------------------------------------------

CHOICES: Final[dict[str, list[Any]]] = {
    "race_after": [(), (1,), (2,), (1, 2), (1, 2, 3), (1, 3), (3,)],
    "prior_rows": [0.0, 30.0, 100.0, 300.0, 1_000.0],
    "grown_places": [
        ((8_000, (0, 2, 4, 6)), (3_000, (1, 3, 6, 9))),
        ((8_000, (0, 2, 4, 6)), (1_000, (1, 3, 6, 9))),
        ((8_000, (0, 2, 4, 6)), (0, (1, 3, 6, 9))),
        ((8_000, (0, 2, 4, 6)), (0, (4, 8, 12, 16))),
        ((8_000, (0, 1, 2, 3)), (3_000, (0, 2, 4, 6))),
        ((10**9, ()), (3_000, ())),
        ((10**9, ()), (0, ())),
    ],
}


def changed(schedule: Schedule, rng: np.random.Generator) -> Schedule:
    """Return a schedule with one or two choices drawn anew."""
    names = rng.choice(list(CHOICES), size=rng.integers(1, 3), replace=False)
    return replace(schedule, **{n: CHOICES[n][rng.integers(len(CHOICES[n]))] for n in names})


def losses(tasks: Sequence[Known], schedule: Schedule) -> np.ndarray:
    """Return the loss by task and limit, relative to the best and the worst that was seen on the task so far."""
    found = np.full((len(tasks), len(LIMITS)), np.nan)
    for i, known in enumerate(tasks):
        for j, limit in enumerate(LIMITS):
            name = (repr(schedule), limit)
            if name not in known.losses:
                known.losses[name] = replay(known, limit, schedule)
            found[i, j] = known.losses[name]
    return found


def relative(tasks: Sequence[Known], schedule: Schedule, fixed: Schedule) -> np.ndarray:
    """Return by task and limit how much smaller the loss is than that of the fixed schedule, as a share of it."""
    ours, base = losses(tasks, schedule), losses(tasks, fixed)
    both = np.log(np.maximum(base, 1e-6) / np.maximum(ours, 1e-6))
    return np.where(
        np.isnan(ours) & np.isnan(base), 0.0, np.where(np.isnan(ours), -1.0, np.nan_to_num(both, nan=1.0))
    )


def learn(arguments: argparse.Namespace) -> None:
    """Evolve a schedule on one half of the families, and judge it on the other."""
    warnings.simplefilter("ignore")
    tasks = read(arguments)
    is_first = [int(hashlib.sha256(k.family.encode()).hexdigest(), 16) % 2 == 0 for k in tasks]
    first = [k for k, f in zip(tasks, is_first, strict=True) if f]
    second = [k for k, f in zip(tasks, is_first, strict=True) if not f]
    fixed, rng = Schedule(), np.random.default_rng(0)
    best, value = fixed, 0.0
    start = time.perf_counter()
    for number in range(arguments.rounds):
        child = changed(best if rng.random() < 0.7 else fixed, rng)
        gain = float(relative(first, child, fixed).mean())
        if gain > value:
            best, value = child, gain
            print(number, round(value, 5), {n: getattr(best, n) for n in CHOICES}, flush=True)
        if time.perf_counter() - start > arguments.minutes * 60:
            print("stopped after", number + 1, "rounds")
            break
    rows = []
    for part, name in ((first, "chosen on"), (second, "left out")):
        gains = relative(part, best, fixed)
        for j, limit in enumerate(LIMITS):
            g = gains[:, j]
            rows.append(
                {
                    "families": name,
                    "tasks": len(part),
                    "limit": limit,
                    "better": int((g > 1e-9).sum()),
                    "worse": int((g < -1e-9).sum()),
                    "mean_gain": g.mean(),
                    "standard_error": g.std(ddof=1) / math.sqrt(len(g)) if len(g) > 1 else math.nan,
                }
            )
    table = pd.DataFrame(rows)
    print({n: getattr(best, n) for n in CHOICES})
    print(table.to_string(index=False))
    table.to_csv(RESULTS / "replay_learn.csv", index=False, float_format="%.4g")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = {f.__name__: f for f in (record, agree, learn)}
    parser.add_argument("command", choices=commands)
    parser.add_argument("--directory", required=True, help="a catalog.csv beside Parquet files")
    parser.add_argument("--predictions", required=True, help="the folder of recorded predictions")
    parser.add_argument("--tasks", type=int, default=25)
    parser.add_argument("--candidates", type=int, default=40)
    parser.add_argument("--least-rows", type=int, default=150)
    parser.add_argument("--most-rows", type=int, default=1_500)
    parser.add_argument("--real", type=int, default=20, help="how many tasks to search for real")
    parser.add_argument("--limits", type=float, nargs="+", default=list(LIMITS))
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument(
        "--minutes", type=float, default=math.inf, help="after which no new schedule is tried"
    )
    arguments = parser.parse_args()
    commands[arguments.command](arguments)


if __name__ == "__main__":
    main()
