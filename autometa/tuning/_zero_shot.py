"""What is fitted without folds: the mean that experience expects most of, on as many rows as there is time for."""

from __future__ import annotations

import math
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from autometa.evaluation import FoldFit, Job, Preparation
from autometa.recommendation import Recommendation, Recommendations
from autometa.space import Configuration, SearchSpace, registered_algorithms, target_of
from autometa.tuning._assembly import build_model, single_model
from autometa.tuning._candidate import Problem
from autometa.tuning._hands import Hands
from autometa.tuning._schedule import BOOSTING_GROWTH, FLOOR_ROWS, Deadline
from autometa.tuning._strategy import Entry

# What the encoders of columns of words read in a second, roughly.
CHARACTERS_A_SECOND: Final = 1_000_000
# Of the rounds of a fit that was cut, so many at least say how long all would take.
LEAST_MADE: Final = 0.01
# So many recommended pipelines are averaged.
ZERO_SHOT_MEMBERS: Final = 5
# So many more stand by, for those that cannot be fitted.
SPARE_MEMBERS: Final = 5
# Share of the time left that all of them may be expected to take.
ALL_SHARE: Final = 0.7
# Where they would take longer, they have so many of the rows, again and again.
ROWS_STEP: Final = 0.8
# Shares of the time left after which boosting ends with the rounds that it has, and any fit is stopped: one that takes
# longer than expected must leave time for the others.
BOOSTING_SHARE: Final = 0.6
FIT_SHARE: Final = 0.7
# The first fit is made again where it may have so many times the rows, in these shares of the time left, before the
# members and after them. It need not come to all of its rounds: what is cut below half of them is left out.
LEAST_GROWTH: Final = 1.25
GROWTH_SHARE: Final = 0.6
LAST_SHARE: Final = 0.8
ENOUGH_ROUNDS: Final = 0.75
# What it counts for at least, where it has seen as many rows as the members: docs/research/search.md, one second.
FLOOR_SHARE: Final = 1 / 3


@dataclass(frozen=True)
class FirstFit:
    """What the first, cheap fit tells of a table and of this machine.

    Attributes
    ----------
    fit : FoldFit, optional
        None where there was no time for it, or no limit.
    n_rows : int
        Of the table.
    characters : float
        Of a row, that it did without.
    """

    fit: FoldFit | None = None
    n_rows: int = FLOOR_ROWS
    characters: float = 0.0

    @property
    def cost(self) -> tuple[int, float]:
        """Its rows, and the CPU seconds of all its rounds; the preparation is shared by all candidates."""
        if self.fit is None:
            return FLOOR_ROWS, 0.0
        seconds = self.fit.fit_seconds - self.fit.prepare_seconds
        return self.fit.n_train, seconds / max(self.fit.made, LEAST_MADE)

    @property
    def preparation(self) -> tuple[int, float]:
        """Rows that were prepared, and the seconds that it takes to prepare them for others, who may read more of them.

        A fit on a fold prepares the whole table.
        """
        if self.fit is None:
            return FLOOR_ROWS, 0.0
        rows = self.n_rows if self.is_of_fold else self.fit.n_train
        return rows, self.fit.prepare_seconds + rows * self.characters / CHARACTERS_A_SECOND

    @property
    def is_of_fold(self) -> bool:
        """Whether it was made on the first fold."""
        return self.fit is not None and self.fit.prediction is not None

    def slowness(self, expected: float) -> float:
        """Return how many times longer than so many seconds, for all rows, a fit takes here; 1 to 5."""
        if self.fit is None or not math.isfinite(expected):
            return 1.0
        share = (self.fit.n_train / self.n_rows) ** BOOSTING_GROWTH
        return float(np.clip(self.cost[1] / max(expected * share, 1e-3), 1.0, 5.0))


class ZeroShot:
    """A few configurations, each fitted once, and their mean.

    Parameters
    ----------
    problem : Problem
    deadline : Deadline
    size : int
        The most members; with 1, the model is a pipeline.
    slowness : float
        How many times longer than experience says a fit takes here.
    default : Configuration
        Of the first, cheap fit.
    floor : FoldFit, optional
        This fit. It stands in for what there was no time for.

    Attributes
    ----------
    floor : FoldFit or None
        The first fit, or one on more rows.
    fits : list of (Configuration, FoldFit, float)
        What was fitted, with weights.
    preparations : dict of str to Preparation
        By the names in the fits.
    failure : str
        Why the last one that failed did; empty where none did.
    """

    def __init__(
        self,
        problem: Problem,
        deadline: Deadline,
        size: int,
        slowness: float,
        default: Configuration,
        floor: FoldFit | None = None,
    ) -> None:
        self._problem = problem
        self._deadline = deadline
        self._size = size
        self._slowness = slowness
        self._default = default
        self.floor = floor
        self._is_last = False
        self._threshold: float | None = None
        self.fits: list[tuple[Configuration, FoldFit, float]] = []
        self.preparations: dict[str, Preparation] = {}
        self.failure = ""

    def fit(
        self,
        hands: Hands,
        entries: Sequence[Entry],
        known: Sequence[Recommendation],
        space: SearchSpace,
        rows: int | None,
        *,
        is_last: bool = False,
    ) -> None:
        """Fit what should make the best mean, as far as the time goes.

        Parameters
        ----------
        hands : Hands
        entries : sequence of Entry
            The candidates of a search, in their order.
        known : sequence of Recommendation
        space : SearchSpace
        rows : int or None
            To train on; None for all.
        is_last : bool, default=False
            Whether the time is too short for anything but this. Then the rows to train on are as many as there is
            time for, the first fit is made again on more of them, and like it an ensemble does without what takes
            long to prepare.
        """
        self._is_last = is_last
        n_rows = self._problem.task.n_rows
        if is_last:
            self._grow(hands, GROWTH_SHARE)
        members, size = self._chosen(entries, known, space)
        if is_last:
            rows = self._affordable_rows([entry for entry, _ in members[:size]])
        share = (rows or self._problem.n_rows) / n_rows
        for entry, weight in members:
            left = self._deadline.remaining
            if len(self.fits) == size or left <= 0:
                break
            if self._deadline.seconds is not None and self._slowness * entry.seconds * share > left:
                continue
            job = Job(
                entry.configuration,
                None,
                rows,
                BOOSTING_SHARE * left,
                is_pipeline=self._size == 1 and not self._problem.task.given_labels,
                table_rows=self._problem.table_rows,
                is_plain=self._is_last and self._size > 1,
            )
            hands.submit(entry.configuration, job, FIT_SHARE * left)
            for configuration, outcome, _ in hands.wait():
                if isinstance(outcome, FoldFit) and outcome.is_cut and self.floor is not None:
                    self.failure = "boosting had no time for half of its rounds"
                elif isinstance(outcome, FoldFit):
                    self.fits.append((configuration, outcome, weight))
                    self.preparations |= outcome.preparations
                else:
                    self.failure = outcome.reason
        if is_last:
            self._grow(hands, LAST_SHARE)

    def _grow(self, hands: Hands, share: float) -> None:
        """Make the first fit again on as many rows as this share of the time left allows, where they are more."""
        floor, n_rows, left = self.floor, self._problem.n_rows, self._deadline.remaining
        if floor is None or left <= 0 or self._size == 1:
            return
        spent = floor.prepare_seconds + ENOUGH_ROUNDS * (floor.fit_seconds - floor.prepare_seconds)
        rows = min(int(floor.n_train * (share * left / max(spent, 1e-3)) ** (1 / BOOSTING_GROWTH)), n_rows)
        if rows < LEAST_GROWTH * floor.n_train:
            return
        job = Job(
            self._default,
            None,
            None if rows == n_rows else rows,
            share * left,
            table_rows=self._problem.table_rows,
            is_plain=True,
        )
        hands.submit(self._default, job, (share + 1.0) / 2.0 * left)
        for _, outcome, _ in hands.wait():
            if isinstance(outcome, FoldFit) and not outcome.is_cut:
                self.floor = outcome
                self.preparations |= outcome.preparations

    def _affordable_rows(self, members: Sequence[Entry]) -> int | None:
        """Return on how many rows all members should be fitted in time, as many as seen at least; None for all."""
        if self.floor is None:
            return None
        n_seen, seconds = self.floor.n_train, self.floor.prepare_seconds
        n_rows, left = self._problem.n_rows, ALL_SHARE * self._deadline.remaining
        fits = self._slowness * sum(entry.seconds for entry in members if math.isfinite(entry.seconds))
        rows = n_rows
        while rows > n_seen and (
            seconds * (rows / n_seen) ** BOOSTING_GROWTH + fits * (rows / n_rows) ** BOOSTING_GROWTH > left
        ):
            rows = int(ROWS_STEP * rows)
        return None if rows == n_rows else max(rows, n_seen)

    def _chosen(
        self, entries: Sequence[Entry], known: Sequence[Recommendation], space: SearchSpace
    ) -> tuple[list[tuple[Entry, float]], int]:
        """Return what to fit in its order, with weights, and how many of them make the model.

        What stands behind the members takes the place of those that cannot be fitted.
        """
        size = min(self._size, ZERO_SHOT_MEMBERS)
        others = [(entry, 1.0 / size) for entry in entries[: size + SPARE_MEMBERS]]
        registered = registered_algorithms()[target_of(self._problem.task.kind)]
        has_own = registered.keys() & set(space.algorithms)
        is_repeated = bool(entries) and entries[0].origin == "known"
        if size == 1 or has_own or is_repeated or not isinstance(known, Recommendations):
            return others, size
        left = self._deadline.remaining
        mixture = known.mixture(
            size, time_budget=None if math.isinf(left) else max(left / self._slowness, 1e-3)
        )
        self._threshold = mixture.threshold
        members = [
            (Entry(configuration, "recommended", seconds=seconds), weight)
            for configuration, weight, seconds in zip(
                mixture.configurations, mixture.weights, mixture.member_seconds, strict=True
            )
        ]
        chosen = set(mixture.configurations)
        spare = [(entry, min(mixture.weights)) for entry, _ in others if entry.configuration not in chosen]
        return members + spare, len(members)

    def model(self, preparations: Mapping[str, Preparation]) -> Any:
        """Put the model together, with the preparations of all fits: the mean, or the only pipeline."""
        if self._size == 1:
            return single_model(self._problem, self.fits[0][1], preparations)
        model = build_model(self._problem, self._shares(), preparations)
        if self._threshold is not None:
            # The second class is predicted from this probability on.
            model.multipliers = [self._threshold, 1.0 - self._threshold]
        return model

    def _shares(self) -> list[tuple[FoldFit, float]]:
        """Return the members with their weights.

        One that was fitted on a part of the rows of the first fit has this part of its weight. The rest, and the weight
        of those that are missing, is for the first fit, or for a part of it where it has seen fewer rows. In the last
        second it counts whatever the others are.
        """
        members = [(fit, weight) for _, fit, weight in self.fits]
        if self.floor is None:
            return members
        n_rows = self.floor.n_train
        seen = [(fit, weight * min(fit.n_train / n_rows, 1.0)) for fit, weight in members]
        missing = max(1.0 - sum(weight for _, weight in members), 0.0)
        most = max(fit.n_train for fit, _ in members)
        total = sum(weight for _, weight in seen)
        part = min(n_rows / most, 1.0)
        rest = sum(weight for _, weight in members) - total + missing * part
        counts = self._is_last and not self._problem.objective.is_about_labels
        least = FLOOR_SHARE * part if counts else 0.0
        rest = max(rest, least / (1.0 - least) * total)
        return [*seen, (self.floor, rest)] if rest > 0 else seen


def constant_model(problem: Problem) -> Any:
    """The best constant prediction, where the time was too short for anything else."""
    from sklearn.dummy import DummyClassifier, DummyRegressor
    from sklearn.preprocessing import FunctionTransformer

    X = np.zeros((len(problem.y), 1))
    is_regression = problem.task.kind == "regression"
    model = (DummyRegressor() if is_regression else DummyClassifier(strategy="prior")).fit(X, problem.y)
    fit = FoldFit(None, pickle.dumps(model), ("",), {}, 0.0, 0.0, len(X))
    return build_model(
        problem, [(fit, 1.0)], {"": Preparation(pickle.dumps(FunctionTransformer().fit(problem.task.X)), 0.0)}
    )
