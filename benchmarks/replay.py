"""A search replayed over recorded predictions: the real ``Search`` with a clock and hands that only pretend.

    python benchmarks/recorded.py ...                                    records; see there
    python benchmarks/replay.py agree --datasets DIR --messy DIR --predictions DIR2 [--limits 3 10]
    python benchmarks/replay.py learn --datasets DIR --messy DIR --predictions DIR2 [--rounds 60]

``agree`` does what ``tune`` does for real, on a clock of CPU seconds, and replays the same searches. ``learn`` looks
for what is better than the fixed schedule, in two ways: numbers of the schedule by evolution, and a model of what a
candidate is worth that says which comes next. Both learn on some families and are judged on others.

A replay takes the clock forward by the CPU seconds that a fold took, in place of fitting it. What a replay does not
know: fits on fewer rows, and what the search would propose after the recommendations. Losses are those of the metric
that the kind of table has by default, lower is better; a metric that is to be large counts as what it lacks to one.
"""

from __future__ import annotations

import argparse
import hashlib
import heapq
import json
import math
import sys
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from recorded import LIMITS, add_plan, done, listed, plan
from scipy.stats import spearmanr
from sklearn import config_context
from threadpoolctl import threadpool_limits

from autometa.collection import Predictions, Recorded, folds_of
from autometa.errors import EvaluationError
from autometa.evaluation import Failure, FoldFitter, Job, Split, target_codes
from autometa.space import Configuration, SearchSpace
from autometa.storage import quiet_optuna
from autometa.task import Task
from autometa.tuning import open_study
from autometa.tuning._assembly import choose
from autometa.tuning._candidate import Candidate, Problem
from autometa.tuning._hands import Here
from autometa.tuning._result import TuneResult
from autometa.tuning._run import SearchRun
from autometa.tuning._schedule import Deadline, Schedule
from autometa.tuning._search import Search
from autometa.tuning._selection import _SHARES, Present, select
from autometa.tuning._strategy import QUICK_SHARE, Allows, Entry, share_of

RESULTS: Final = Path(__file__).parent / "results"
# Seconds that the way of a fit to a child and back takes, and those before the first candidate.
WAY_SECONDS: Final = 0.01
START_SECONDS: Final = 0.6


# -- a clock, hands and a strategy that only pretend -----------------------------------------------------------------


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
        self.n_fits = 0

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
        self.n_fits += 1
        heapq.heappush(self._running, (self._clock.now + seconds, self.n_fits, key, outcome, seconds))

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

    def __init__(self, entries: Sequence[Entry], policy: Policy) -> None:
        self._entries = list(entries)
        self._slow: list[Entry] = []
        self._n = 0
        self._policy = policy
        self.search: Any = None

    def next(self, allows: Allows) -> Candidate | None:
        """Return the first that there is time for; slow ones last."""
        if self._policy.worth is not None and self._n > 0:
            self._sort()
        while self._entries or self._slow:
            is_last = not self._entries
            entry = (self._slow if is_last else self._entries).pop(0)
            if not allows(entry.configuration, entry.seconds, 1.0 if is_last else entry.share):
                if not is_last:
                    self._slow.append(entry)
                continue
            self._n += 1
            return Candidate(
                entry.configuration, entry.origin, None, self._n, entry.rank, expected_seconds=entry.seconds
            )
        return None

    def _sort(self) -> None:
        """Put what is worth most first."""
        left = self._entries + self._slow
        if left:
            worth = self._policy.worth(self.search, left)
            self._entries, self._slow = [left[i] for i in np.argsort(-worth, kind="stable")], []


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


# -- tasks -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Side:
    """The same rows left out, cut in two: what a search sees, and what says how good its model is."""

    seen: Problem
    seen_fits: dict[str, Recorded]
    hidden: Problem
    hidden_fits: dict[str, Recorded]


@dataclass
class Known:
    """A task with what was recorded on it.

    Attributes
    ----------
    whole : Problem
        With all rows left out, as a search sees them.
    sides : list of Side
        Either half in turn is the one that is hidden.
    orders : dict of float to list of (Configuration, int or None, float)
        By the seconds of a search, recommendations with rank and expected CPU seconds; first LightGBM's default.
    losses : dict
        Of searches that were replayed.
    """

    name: str
    family: str
    whole: Problem
    recorded: dict[str, Recorded]
    sides: list[Side]
    orders: dict[float, list[tuple[Configuration, int | None, float]]]
    losses: dict[Any, float] = field(default_factory=dict)

    @property
    def default(self) -> Configuration:
        """LightGBM at its defaults."""
        return self.orders[LIMITS[0]][0][0]


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
    """Read the tasks of which all candidates were recorded."""
    depths = done(arguments.predictions)
    predictions = Predictions(arguments.predictions)
    found = []
    for source in plan(arguments):
        if source.task_id not in depths:
            continue
        recorded = {r.configuration.id: r for r in predictions.read(source.task_id)}
        task = source.load()
        orders = {limit: listing(arguments.predictions, source.task_id, task, limit) for limit in LIMITS}
        default = orders[LIMITS[0]][0][0]
        if default.id not in recorded or recorded[default.id].failure:
            continue
        orders = {limit: [row for row in rows if row[0].id in recorded] for limit, rows in orders.items()}
        splits = folds_of(task, source)
        y = target_codes(task)
        parts = [halved(splits, half) for half in (0, 1)]
        problems = [FakeProblem(task, part, y) for part in parts]
        fits = [{n: halve(r, splits, part) for n, r in recorded.items()} for part in parts]
        sides = [Side(problems[i], fits[i], problems[1 - i], fits[1 - i]) for i in (0, 1)]
        whole = FakeProblem(task, splits, y)
        found.append(Known(source.task_id, source.properties["family"], whole, recorded, sides, orders))
    return found


def listing(
    folder: Path, name: str, task: Task, limit: float
) -> list[tuple[Configuration, int | None, float]]:
    """Return the candidates of a search in their order; asked for once, and kept beside the predictions."""
    file = folder / f"{name}.{limit:g}.json"
    if not file.is_file():
        rows = [[c.algorithm, dict(c.params), *rest] for c, *rest in listed(task, limit, 60)]
        file.write_text(json.dumps(rows))
    return [(Configuration(a, params), *rest) for a, params, *rest in json.loads(file.read_text())]


# -- a replay --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Policy:
    """What may be decided otherwise.

    Attributes
    ----------
    schedule : Schedule
    quick_share : float
        What would take more of the time left waits; as in ``autometa.tuning._strategy``.
    margin : float
        A candidate is dropped where mixing it in lowers the loss by less than this share.
    cheapness : float
        Places in the order that a candidate gains by being ten times as quick.
    n_folds : int
        On which candidates are compared, at most.
    worth : callable, optional
        Says of a search's state and the entries in line what each is worth; in place of the order.
    """

    schedule: Schedule = field(default_factory=Schedule)
    quick_share: float = QUICK_SHARE
    margin: float = 0.0
    cheapness: float = 0.0
    n_folds: int = 5
    worth: Any = None


class Margined(Present):
    """Wants a gain that counts."""

    margin = 0.0

    def may_gain(self, candidate: Candidate) -> bool:
        """See :class:`Present`."""
        if self._mean is None or not super().may_gain(candidate):
            return self._mean is None
        return self.margin <= 0 or self.gain(candidate) > self.margin

    def gain(self, candidate: Candidate) -> float:
        """By which share of itself the loss falls at most, on the folds that a candidate was fitted on."""
        depth = candidate.depth
        rows, tested = self._problem.rows(self._depth), self._problem.rows(depth)
        objective = self._problem.objective
        present = objective.view(self._mean[np.searchsorted(rows, tested)], tested)
        newcomer = objective.view(self._problem.out_of_fold(candidate, depth), tested)
        before = objective.loss(present, tested)
        after = min(objective.loss((1 - s) * present + s * newcomer, tested) for s in _SHARES)
        return (before - after) / max(abs(before), 1e-9)


def replay(known: Known, limit: float, policy: Policy, side: int | None, *, n_workers: int = 1) -> float:
    """Replay a search; return the loss of its model.

    With a `side`, on the half of the rows left out that the search did not see; else on all that it saw, which is what
    a result of `tune` says of itself.
    """
    try:
        _, problem, choice = searched(known, limit, policy, side, n_workers=n_workers)
    except EvaluationError:  # the first five all failed, as on one fold without a row of a class
        return math.nan
    if choice is None:
        return math.nan
    if side is None:
        return loss_of(problem, float(np.mean(choice.fold_scores)))
    return hidden_loss(known.sides[side], [(c.configuration, w) for c, w in choice.members])


def searched(
    known: Known, limit: float, policy: Policy, side: int | None, *, n_workers: int = 1
) -> tuple[Search, Problem, Any]:
    """Replay a search; return it, its problem and the ensemble that it comes to."""
    problem = known.whole if side is None else known.sides[side].seen
    recorded = known.recorded if side is None else known.sides[side].seen_fits
    clock = FakeDeadline(limit)
    hands = FakeHands(recorded, clock, n_workers)
    schedule = policy.schedule
    recommended = known.orders[limit]
    known_of = {c: (rank, seconds) for c, rank, seconds in recommended}
    names = [c for c, rank, _ in recommended[1:] if rank is not None]
    if policy.cheapness:
        seconds = np.array([known_of[c][1] for c in names])
        places = np.arange(len(names)) + policy.cheapness * np.log10(
            np.nan_to_num(seconds / np.nanmedian(seconds), nan=1.0)
        )
        names = [names[i] for i in np.argsort(places, kind="stable")]
    order = schedule.order(names, known.default, problem.task.n_rows, len(problem.task.classes))
    default_fit = next(iter(known.recorded[known.default.id].fits), None)
    once = default_fit.fit_seconds if default_fit else math.nan
    entries = [
        Entry(
            c,
            origin,
            known_of[c][0] if origin == "recommended" else None,
            known_of[c][1] if origin == "recommended" else once if c == known.default else 3 * once,
            share_of(origin, len(problem.task.classes), policy.quick_share),
        )
        for c, origin in order
        if c.id in recorded
    ]
    study: Any = None  # candidates of a replay have no trials, so nothing is told
    line = Line(entries, policy)
    search = Search(study, problem, hands, line, clock, schedule, n_trials=1_000)
    line.search = search
    search.depth = min(policy.n_folds, search.depth)
    search._present = Margined(problem, search.depth, 0)
    search._present.margin = policy.margin
    search.run()
    if not search.tried.usable:
        return search, problem, None
    return search, problem, choose(problem, search.tried.usable, size=25, prior_rows=schedule.prior_rows)


def hidden_loss(side: Side, members: Sequence[tuple[Configuration, float]]) -> float:
    """Return the loss of a weighted mean on the rows that the search did not see."""
    # The model is made of all folds, however many were compared.
    depth = min(len(side.hidden_fits[configuration.id].fits) for configuration, _ in members)
    total: Any = 0.0
    for configuration, weight in members:
        fits = side.hidden_fits[configuration.id].fits
        member = Candidate(configuration, "", fits=dict(enumerate(fits[:depth])))
        total = total + weight * side.hidden.out_of_fold(member, depth)
    return loss_of(side.hidden, side.hidden.objective.score(total, side.hidden.rows(depth)))


def loss_of(problem: Problem, score: float) -> float:
    """Return a score as something to be small."""
    metric = problem.task.metric
    return score if not metric.greater_is_better else 1.0 - score


# -- does it agree with real searches? -------------------------------------------------------------------------------


class CpuDeadline(Deadline):
    """A limit on CPU seconds of this process: what else the machine does takes no part."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self._begin = time.process_time()

    @property
    def spent(self) -> float:
        """CPU seconds since the start."""
        return time.process_time() - self._begin


class CpuHands(Here):
    """Fits in this process; what took too long in CPU seconds was a failure."""

    def submit(self, key: Any, job: Job, limit: float) -> None:
        """See :class:`autometa.tuning._hands.Hands`."""
        start = time.process_time()
        outcome = self._fitter(replace(job, seconds=math.inf))
        seconds = time.process_time() - start
        if seconds > limit:
            outcome = Failure("timeout", "longer than its share of the time")
        self._done.append((key, outcome, seconds))


def search_for_real(known: Known, limit: float) -> TuneResult:
    """Do what ``tune`` does in so many CPU seconds, on the folds that were recorded."""
    task, splits = known.whole.task, list(known.whole.splits)
    with quiet_optuna(), threadpool_limits(1), config_context(enable_metadata_routing=False):
        study, deadline = open_study(None, None, task), CpuDeadline(limit)
        hands = CpuHands(FoldFitter(task, splits))
        run = SearchRun(
            task,
            Problem(task, splits, known.whole.y),
            SearchSpace.for_kind(task.kind),
            study,
            hands,
            deadline,
            Schedule(),
            25,
            0,
            is_shared=False,
            is_whole=True,
        )
        run.begin()
        run.recommend(None)
        run.search(1_000, [])
        return run.finish(None, None)


def agree(arguments: argparse.Namespace) -> None:
    """Run searches for real, and replay them; what is in the file of results is not run again."""
    warnings.simplefilter("ignore")
    file = RESULTS / "replay_agree.csv"
    rows = pd.read_csv(file).to_dict("records") if file.is_file() and not arguments.anew else []
    done = {(row["task"], row["limit"]) for row in rows}
    end = time.monotonic() + arguments.minutes * 60
    tasks = read(arguments)[: arguments.real]
    for known in tasks:
        task, default = known.whole.task, known.recorded[known.default.id]
        alone = Candidate(known.default, "", fits=dict(enumerate(default.fits)))
        for limit in arguments.limits:
            if (known.name, limit) in done or time.monotonic() + limit + 2 > end:
                continue
            before = time.process_time()
            result = search_for_real(known, limit)
            board = result.leaderboard
            rows.append(
                {
                    "task": known.name,
                    "kind": task.kind,
                    "rows": task.n_rows,
                    "limit": limit,
                    "default": loss_of(known.whole, float(np.mean(known.whole.fold_scores(alone)))),
                    "real": loss_of(known.whole, result.score),
                    "real_folds": int(board["folds"].sum()),
                    "real_candidates": len(board),
                    "seconds_of_search": time.process_time() - before,
                }
            )
            print(rows[-1], flush=True)
            pd.DataFrame(rows).to_csv(file, index=False, float_format="%.6g")
    if not rows:
        sys.exit(
            "No table was recorded for these limits, or --minutes are too few. Record some first: recorded.py."
        )
    table = pd.DataFrame(rows)
    by_name = {known.name: known for known in tasks}
    table = table[table["task"].isin(by_name)].reset_index(drop=True)
    for i, row in table.iterrows():
        start = time.perf_counter()
        search, problem, choice = searched(by_name[row["task"]], row["limit"], Policy(), None)
        table.loc[i, "seconds_of_replay"] = time.perf_counter() - start
        table.loc[i, "replayed"] = (
            math.nan if choice is None else loss_of(problem, float(np.mean(choice.fold_scores)))
        )
        table.loc[i, "replayed_folds"] = search._hands.n_fits
        table.loc[i, "replayed_candidates"] = len(search.tried.candidates)
    table.to_csv(file, index=False, float_format="%.6g")
    print(table.to_string())
    both = table.dropna(subset=["real", "replayed"])
    for limit, part in both.groupby("limit"):
        raw = spearmanr(part["replayed"], part["real"]).statistic
        of_default = spearmanr(part["replayed"] / part["default"], part["real"] / part["default"]).statistic
        ratio = np.log(part["replayed"] / part["real"])
        folds = (part["replayed_folds"] / part["real_folds"]).median()
        print(
            f"{limit} s: {len(part)} tasks, rank correlation {raw:.3f}, as share of the default's loss"
            f" {of_default:.3f}, median log ratio {ratio.median():.4f}, folds replayed by real {folds:.2f}"
        )


# -- first design: numbers of the schedule as functions of the table and the time ------------------------------------

# What is decided, in the order of the genome. Each has a base and a slope by how tight time is; the first one also has
# one by the rows. All at nought is the fixed schedule.
DECISIONS: Final = ("prior", "race", "margin", "cheapness", "quick_share", "n_folds")
N_GENES: Final = 2 * len(DECISIONS) + 1
# Standard deviations of a change.
STEP: Final = 0.7


def tightness(known: Known, limit: float) -> float:
    """Logarithm of the share of the time that the default takes in all folds; nought at a twentieth."""
    fits = known.recorded[known.default.id].fits
    return math.log10(20 * len(fits) * float(np.mean([f.fit_seconds for f in fits])) / limit)


def policy_of(genome: np.ndarray, known: Known, limit: float) -> Policy:
    """Return what a genome decides for a table and a time."""
    tight = tightness(known, limit)
    rows = math.log10(known.whole.task.n_rows / 600)
    value = {n: genome[2 * i] + genome[2 * i + 1] * tight for i, n in enumerate(DECISIONS)}
    fixed = Schedule()
    race = value["race"]
    schedule = replace(
        fixed,
        prior_rows=fixed.prior_rows * math.exp(float(np.clip(value["prior"] + genome[-1] * rows, -5, 4))),
        race_after=(1, 2)
        if abs(race) < 0.7
        else (1,)
        if race < -1.4
        else (1, 2, 3)
        if race < 0
        else (2,)
        if race < 1.4
        else (),
    )
    return Policy(
        schedule,
        quick_share=float(np.clip(QUICK_SHARE * math.exp(value["quick_share"]), 0.01, 1.0)),
        margin=max(0.0, value["margin"] - 0.3) / 100,
        cheapness=4 * value["cheapness"] if abs(value["cheapness"]) > 0.2 else 0.0,
        n_folds=int(np.clip(round(5 - max(0.0, value["n_folds"])), 1, 5)),
    )


def evolve(
    tasks: Sequence[Known], limits: Sequence[float], rounds: int, seed: int, *, population: int = 5
) -> np.ndarray:
    """Look for a genome by evolution: some children of the best, each judged by all tasks (Rechenberg 1973)."""
    rng = np.random.default_rng(seed)
    best, value, step = np.zeros(N_GENES), 0.0, STEP
    for number in range(rounds):
        mask = rng.random((population, N_GENES)) < 0.35
        children = best + step * rng.normal(size=(population, N_GENES)) * mask
        gains = [float(gains_of(tasks, limits, child).mean()) for child in children]
        i = int(np.argmax(gains))
        if gains[i] > value:
            best, value = children[i], gains[i]
            print(f"  {number}: {100 * value:.3f} %", flush=True)
        else:
            step = max(0.8 * step, 0.2)
    return best


def losses(tasks: Sequence[Known], limits: Sequence[float], decide: Any, name: Any) -> np.ndarray:
    """Return the hidden loss by task and limit, the mean of both sides; worked out once for a name."""
    found = np.full((len(tasks), len(limits)), np.nan)
    for i, known in enumerate(tasks):
        for j, limit in enumerate(limits):
            policy = decide(known, limit)
            key = (name, limit) if name is not None else (repr(policy), limit)
            if key not in known.losses:
                known.losses[key] = float(np.mean([replay(known, limit, policy, side) for side in (0, 1)]))
            found[i, j] = known.losses[key]
    return found


def fall(ours: np.ndarray, base: np.ndarray) -> np.ndarray:
    """By which share losses are lower than those of the fixed schedule; a search without a model loses all."""
    gain = np.log(np.maximum(base, 1e-6) / np.maximum(ours, 1e-6))
    return np.clip(
        np.where(np.isnan(ours), np.where(np.isnan(base), 0.0, -1.0), np.nan_to_num(gain, nan=1.0)), -1, 1
    )


def gains_of(tasks: Sequence[Known], limits: Sequence[float], genome: np.ndarray) -> np.ndarray:
    base = losses(tasks, limits, lambda known, limit: Policy(), None)
    ours = losses(tasks, limits, lambda known, limit: policy_of(genome, known, limit), None)
    return fall(ours, base)


# -- second design: what a candidate is worth ------------------------------------------------------------------------

N_STATES: Final = 12
N_TRIED: Final = 8


def facts(
    known: Known | None, done: Sequence[Candidate], members: Sequence[Candidate], entry: Any
) -> list[float]:
    """What the worth of a candidate may depend on, in a state of a search."""
    algorithm = entry.configuration.algorithm
    same = [c for c in done if c.configuration.algorithm == algorithm]
    in_use = sum(c.configuration.algorithm == algorithm for c in members)
    rank = math.log1p(entry.rank if entry.rank else 5)
    count = math.log1p(len(done))
    return [
        1.0,
        rank,
        count,
        rank * count,
        float(not same),
        in_use / max(len(members), 1),
        float(in_use > 0),
    ] + [
        float(algorithm == name)
        for name in (
            "lightgbm",
            "hist_gradient_boosting",
            "random_forest",
            "extra_trees",
            "linear",
            "svm",
            "mlp",
        )
    ]


def experience(tasks: Sequence[Known], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return facts and gains of candidates that are added to what a search has, for states drawn at random.

    A gain is the fall of the logarithm of the hidden loss, to a tenth at most.
    """
    rng = np.random.default_rng(seed)
    rows, gains = [], []
    for known in tasks:
        side = known.sides[0]
        whole = [
            (c, rank)
            for c, rank, _ in known.orders[LIMITS[-1]]
            if len(known.recorded[c.id].fits) == len(known.whole.splits)
        ]
        if len(whole) < 6:
            continue
        made = [
            Candidate(c, "", number=i, rank=rank, fits=dict(enumerate(side.seen_fits[c.id].fits)))
            for i, (c, rank) in enumerate(whole)
        ]
        for _ in range(N_STATES):
            n = int(rng.integers(1, min(16, len(made) - 2)))
            # What stands first in the order was most likely tried.
            keys = np.arange(len(made)) + rng.exponential(6.0, len(made))
            picked = np.argsort(keys)
            done, left = [made[i] for i in picked[:n]], [made[i] for i in picked[n:]]
            before, members = valued(side, done)
            for i in rng.permutation(len(left))[:N_TRIED]:
                after, _ = valued(side, [*done, left[i]])
                rows.append(facts(known, done, members, left[i]))
                gains.append(float(np.clip(math.log(before / after), -0.1, 0.1)))
    return np.array(rows), np.array(gains)


def valued(side: Side, candidates: Sequence[Candidate]) -> tuple[float, list[Candidate]]:
    """Return the hidden loss of what would be chosen among candidates, and its members."""
    depth = len(side.seen.splits)
    present = Present(side.seen, depth, 0)
    present.choose(candidates)
    rows, objective = side.seen.rows(depth), side.seen.objective
    views = [objective.view(side.seen.out_of_fold(c, depth), rows) for c in candidates]
    weights = select(objective, views, rows, size=12)
    members = [(candidates[i].configuration, float(w)) for i, w in enumerate(weights) if w > 0]
    return max(hidden_loss(side, members), 1e-6), present.members


def worth_of(beta: np.ndarray, haste: float) -> Any:
    """Return the worth of candidates: the gain expected, by the seconds to some power."""

    def worth(search: Search, entries: Sequence[Entry]) -> np.ndarray:
        done = search.tried.complete
        members = search._present.members
        gain = np.array([facts(None, done, members, e) for e in entries]) @ beta
        seconds = np.array([search._pace.expected(e.configuration, e.seconds, None) for e in entries])
        seconds = np.maximum(np.nan_to_num(seconds, nan=0.1), 0.005)
        return np.maximum(gain, 1e-5) / seconds**haste

    return worth


def value_policy(tasks: Sequence[Known], limits: Sequence[float]) -> tuple[Policy, str]:
    """Fit what a candidate is worth, and choose on the same tasks how much seconds count and when one is dropped."""
    X, y = experience(tasks)
    beta = np.linalg.solve(X.T @ X + 3.0 * np.eye(X.shape[1]), X.T @ y)
    base = losses(tasks, limits, lambda known, limit: Policy(), None)
    best, value, text = Policy(), -math.inf, ""
    for haste in (0.0, 0.3, 0.7, 1.0):
        for margin in (0.0, 0.003):
            policy = Policy(worth=worth_of(beta, haste), margin=margin)
            gain = fall(losses(tasks, limits, lambda k, t, p=policy: p, object()), base).mean()
            print(f"  haste {haste}, margin {margin}: {100 * gain:.3f} %", flush=True)
            if gain > value:
                best, value, text = policy, gain, f"haste {haste}, margin {margin}"
    return best, f"{text}, coefficients {np.round(1e4 * beta, 1).tolist()} e-4"


# -- judged ----------------------------------------------------------------------------------------------------------


def learn(arguments: argparse.Namespace) -> None:
    """Learn on one half of the families and judge on the other, and the other way round."""
    warnings.simplefilter("ignore")
    tasks, limits = read(arguments), arguments.limits
    is_first = np.array([int(hashlib.sha256(k.family.encode()).hexdigest(), 16) % 2 == 0 for k in tasks])
    rows: list[dict[str, Any]] = []

    def judge(name: str, part: Sequence[Known], decide: Any) -> None:
        base = losses(part, limits, lambda known, limit: Policy(), None)
        gains = fall(losses(part, limits, decide, object()), base)
        for i, known in enumerate(part):
            rows.extend(
                {"design": name, "task": known.name, "limit": limit, "gain": gains[i, j]}
                for j, limit in enumerate(limits)
            )

    hand = {
        "prior 30": Policy(Schedule(prior_rows=30.0)),
        "prior 300": Policy(Schedule(prior_rows=300.0)),
        "no race": Policy(Schedule(race_after=())),
        "race after 1": Policy(Schedule(race_after=(1,))),
        "race after 2": Policy(Schedule(race_after=(2,))),
        "margin .2 %": Policy(margin=0.002),
        "margin 1 %": Policy(margin=0.01),
        "three folds": Policy(n_folds=3),
        "first fold": Policy(n_folds=1),
        "cheap first": Policy(cheapness=4.0),
        "quick share .1": Policy(quick_share=0.1),
        "quick share .5": Policy(quick_share=0.5),
    }
    if "hand" in arguments.designs:
        for name, policy in hand.items():
            judge(f"by hand: {name}", tasks, lambda known, limit, p=policy: p)
    for half in (True, False):
        first = [k for k, f in zip(tasks, is_first, strict=True) if f == half]
        second = [k for k, f in zip(tasks, is_first, strict=True) if f != half]
        if "numbers" in arguments.designs:
            genome = evolve(first, limits, arguments.rounds, seed=int(half))
            print(
                "genome",
                dict(zip([f"{d} {p}" for d in DECISIONS for p in "ab"], genome.round(2), strict=False)),
            )
            judge("numbers, learned on", first, lambda known, limit, g=genome: policy_of(g, known, limit))
            judge("numbers, left out", second, lambda known, limit, g=genome: policy_of(g, known, limit))
        if "worth" in arguments.designs:
            policy, text = value_policy(first, limits)
            print(text, flush=True)
            judge("worth, learned on", first, lambda known, limit, p=policy: p)
            judge("worth, left out", second, lambda known, limit, p=policy: p)
    table = pd.DataFrame(rows)
    found = []
    for (name, limit), part in table.groupby(["design", "limit"], sort=False):
        g = part["gain"]
        found.append(
            {
                "design": name,
                "limit": limit,
                "tasks": len(g),
                "better": int((g > 1e-9).sum()),
                "worse": int((g < -1e-9).sum()),
                "gain_percent": 100 * g.mean(),
                "error_percent": 100 * g.std(ddof=1) / math.sqrt(len(g)) if len(g) > 1 else math.nan,
            }
        )
    result = pd.DataFrame(found)
    print(result.round(3).to_string(index=False))
    file = RESULTS / "replay_learn.csv"
    kept = pd.read_csv(file) if file.is_file() else pd.DataFrame(columns=["design"])
    kept = kept[~kept["design"].isin(set(result["design"]))]
    pd.concat([kept, result], ignore_index=True).to_csv(file, index=False, float_format="%.4g")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = {f.__name__: f for f in (agree, learn)}
    parser.add_argument("command", choices=commands)
    add_plan(parser)
    parser.add_argument("--real", type=int, default=20, help="how many tasks to search for real")
    parser.add_argument("--limits", type=float, nargs="+", default=list(LIMITS))
    parser.add_argument("--rounds", type=int, default=12, help="generations of the evolution")
    parser.add_argument("--designs", nargs="+", default=["hand", "numbers", "worth"])
    parser.add_argument("--anew", action="store_true", help="search for real again what was searched before")
    parser.add_argument("--minutes", type=float, default=math.inf, help="after which no search is begun")
    arguments = parser.parse_args()
    commands[arguments.command](arguments)


if __name__ == "__main__":
    main()
