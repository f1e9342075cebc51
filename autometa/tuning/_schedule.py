"""How a search spends its time: a fixed schedule, that a learned one can replace, the clock, and the machine's pace."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import numpy as np

from autometa.errors import UsageError
from autometa.evaluation import Failure, FoldFit
from autometa.space import LARGER, Configuration
from autometa.tuning._candidate import Candidate, Problem

# Rows of the first, cheap fit that there is something to return after. A default LightGBM takes a tenth of a second.
FLOOR_ROWS: Final = 2_000
# Of less time than this the first fit may have a larger share, and has fewer rows: what text needs to be prepared would
# take all of a second.
SHORT_SECONDS: Final = 3.0
SHORT_FLOOR_SHARE: Final = 0.75
LEAST_FLOOR_ROWS: Final = 500
# Of such a time, so many cells for each second, where there are two classes or none: a default LightGBM takes a fifth
# of it for them. It makes a tree for each class, but most of the time of a tree does not depend on the rows. A category
# or a date takes about three times as long to prepare.
PLAIN_CELLS: Final = 100_000
SLOW_COLUMN: Final = 3
# Boosting takes a little less than twice the time for twice the rows.
BOOSTING_GROWTH: Final = 0.8
# In searches of ten seconds with it the held-out log-loss was lower on three of four development tables of seven and
# more classes, on two of six of fewer. Ten in its place makes fits two to four times as long.
MANY_CLASSES: Final = 6
SHRUNK_BY: Final = 1.0
# On tables of at most so many rows for each second the first fit is one on the first fold, and what it prepares, on all
# rows, serves others. With text that is most of the work.
FOLD_ROWS: Final = 500
MOST_FOLD_ROWS: Final = 5_000
MOST_WORDS: Final = 0.15
# Where candidates can begin on this share of the rows, they begin on all.
ENOUGH_ROWS: Final = 0.8
# What scales its columns prepares numbers, categories and dates in its own way: such a share of what the first fit's
# preparation took, on development tables with text .23 and .25.
SCALED_SHARE: Final = 0.25
# What is kept of the time for the choice at the end and for putting the model together: a share, and CPU seconds.
_RESERVE: Final = (0.03, 0.5)
# A share that this and the last fits together do not exceed. Of more than the other, nothing is kept for a last fit.
MOST_RESERVED: Final = 0.25
MOST_FOR_REFITS: Final = 0.22
# How crowded the machine is now is said by so many fits.
FITS_OF_CROWDING: Final = 5


def cells_of_a_row(n_numbers: int, n_others: int, n_classes: int) -> int:
    """Return how many cells of plain numbers take as long as a row of a table takes a default LightGBM.

    Parameters
    ----------
    n_numbers, n_others : int
        Columns of numbers, and of categories and dates.
    n_classes : int
        0 for regression.
    """
    return int((n_numbers + SLOW_COLUMN * n_others) * max(n_classes / 2, 1.0) ** 0.5)


@dataclass(frozen=True)
class Schedule:
    """What is decided about a search before anything is known but its table and its time.

    Attributes
    ----------
    folds_by_rows : sequence of (int, int)
        Folds of tables below so many rows. On development tables five folds that leave time for more candidates were
        worth more than eight.
    most_folds : int
        Folds of all larger tables.
    repeat_below : int
        Tables of fewer rows are split twice: one split says little about them.
    repeat_share : float
        But once where a default LightGBM would take more than this share of the time for both: a table of 80 rows and
        3,000 columns left time for eight candidates in 20 seconds.
    floor_share : float
        Share of the time that the first, cheap fit may take.
    broad_share : float
        Where all folds of a default LightGBM would take more than this share of the time, candidates are compared on
        the first fold alone, and those in the ensemble are fitted on the others later.
    broad_rows : float
        One fold of a small table says little: the share is at least this number, divided by the rows. With 240, five of
        seven development tables of 300 to 2,100 rows were worse after ten seconds, by 1 to 6 %, and two better by .4.
    broad_until : float
        Share of the time after which they are.
    broad_recommended : int
        So many recommendations are tried there: what is far down the list is there for being quick.
    first_share : float
        Share of the time that a default LightGBM may take on all folds, or on the first where that is compared alone;
        if it took more, candidates begin on fewer rows.
    prepare_share : float
        Share of the time that one preparation of the table may take; where it would take more, the search is among a
        part of the rows.
    more_rows_at : float
        Share of the time after which members are fitted on all rows, where they began on fewer.
    refit_below : int
        Members of tables of fewer rows are fitted once more, on all rows, and this model has half of the member's
        weight, or all where folds are missing; on others the models of the folds are averaged. Both together were
        better than the one alone on eight of nine development tables of fewer than 3,000 rows. Of 14 larger ones ten
        became better in ten seconds, by .1 to 33 % of the loss, three worse, by 1.3 % at most.
    prior_rows : float
        The ensemble leans on the first recommendations like on so many rows of evidence.
    race_after : tuple of int
        Numbers of folds after which a candidate that cannot help is dropped.
    zero_shot_share : float
        Where the two quickest of the first candidates would take more than this share of the time in folds, the first
        candidates are fitted on all rows without any.
    n_recommended : int
        Candidates that experience names; the search proposes others after them.
    proposal_seconds : float
        Seconds that must be left for the search to propose anything of its own.
    patience : int
        Proposals in a row that do not help, after which a search with a limit on time ends before it.
    second_share : float
        Share of the time that is left for a second layer, which is tried then or when the candidates are used up.
    second_rows : int
        Not on tables of fewer rows.
    grown_places : sequence of (int, tuple of int)
        For tables of at least so many rows, places in the order of candidates at which a boosted model stands whose
        rounds are found by early stopping.
    """

    folds_by_rows: Sequence[tuple[int, int]] = ((8_000, 5),)
    most_folds: int = 4
    repeat_below: int = 200
    repeat_share: float = 0.15
    floor_share: float = 0.4
    broad_share: float = 0.08
    broad_rows: float = 100.0
    broad_until: float = 0.5
    broad_recommended: int = 12
    first_share: float = 0.5
    broad_first_share: float = 0.15
    prepare_share: float = 0.3
    more_rows_at: float = 0.4
    refit_below: int = 50_000
    prior_rows: float = 100.0
    race_after: tuple[int, ...] = (1, 2)
    zero_shot_share: float = 0.5
    n_recommended: int = 60
    proposal_seconds: float = 5.0
    patience: int = 25
    second_share: float = 0.25
    second_rows: int = 500
    grown_places: Sequence[tuple[int, tuple[int, ...]]] = ((8_000, (0, 2, 4, 6)), (3_000, (1, 3, 6, 9)))

    def folds(self, n_rows: int) -> tuple[int, int]:
        """Return the number of folds of a table, and how many times it is split."""
        n_folds = next((folds for limit, folds in self.folds_by_rows if n_rows < limit), self.most_folds)
        return n_folds, 2 if n_rows < self.repeat_below else 1

    def floor(self, seconds: float, n_cells: int) -> tuple[int, float]:
        """Return the rows of the first, cheap fit, and the seconds that it may take.

        Parameters
        ----------
        seconds : float
            Left for the search. Of a second or two it may have most, for there may be nothing else, and has fewer rows.
        n_cells : int
            Of a row, as :func:`cells_of_a_row` counts them.
        """
        rows = int(FLOOR_ROWS * min(seconds / SHORT_SECONDS, 1.0))
        if seconds < SHORT_SECONDS:
            rows = max(rows, int(PLAIN_CELLS * seconds / max(n_cells, 1)))
        most = SHORT_FLOOR_SHARE * min(seconds, SHORT_SECONDS)
        return max(rows, LEAST_FLOOR_ROWS), max(self.floor_share * seconds, most)

    @staticmethod
    def begins_with_fold(seconds: float, n_rows: int, words: float) -> bool:
        """Whether the first fit is one on the first fold: a candidate's, where it has all of its rows.

        Parameters
        ----------
        seconds : float
            Left for the search.
        n_rows : int
            Of the table.
        words : float
            Seconds that its words should take to be prepared. They take up to twice as long.
        """
        is_small = n_rows <= min(FOLD_ROWS * seconds, MOST_FOLD_ROWS)
        return is_small and seconds >= SHORT_SECONDS and words <= MOST_WORDS * seconds

    def is_broad(self, n_rows: int, n_folds: int, seconds: float, floor: tuple[int, float]) -> bool:
        """Whether candidates are compared on the first fold; see :meth:`first_rows` for the parameters."""
        rows, spent = floor
        cost = n_folds * max(spent, 0.02) * (n_rows / rows) ** BOOSTING_GROWTH
        return n_folds > 1 and cost > max(self.broad_share, self.broad_rows / n_rows) * seconds

    def first_rows(self, n_train: int, n_folds: int, seconds: float, floor: tuple[int, float]) -> int | None:
        """Return on how many rows candidates begin; None for all.

        Parameters
        ----------
        n_train : int
            Rows to train on in a fold.
        n_folds : int
            That a candidate is compared on: 1 for the first alone.
        seconds : float
            Of the search; infinite without a limit.
        floor : (int, float)
            Rows of the first fit, and the seconds that it took.
        """
        rows, spent = floor
        share = self.broad_first_share if n_folds == 1 else self.first_share
        allowed = share * seconds / (max(n_folds, 1) * max(spent, 0.02))
        most = max(rows * allowed ** (1 / BOOSTING_GROWTH), rows)
        # A few rows less are not worth a second fit.
        return None if most >= ENOUGH_ROWS * n_train else int(most)

    def table_rows(self, seconds: float, preparation: tuple[int, float]) -> int:
        """Return how many rows can be prepared in their share of the time, those of the first fit at least.

        Parameters
        ----------
        seconds : float
            Of the search.
        preparation : (int, float)
            Rows of the first fit, and the seconds that their preparation took.
        """
        return max(self.rows_within(self.prepare_share * seconds, preparation), preparation[0])

    @staticmethod
    def rows_within(seconds: float, seen: tuple[int, float]) -> int:
        """Return on how many rows something takes so many seconds.

        Parameters
        ----------
        seconds : float
        seen : (int, float)
            Rows, and the seconds that it took on them. Part of them are the same for any number of rows.
        """
        rows, spent = seen
        return int(rows * min(seconds / max(spent, 1e-3), 1e6) ** (1 / BOOSTING_GROWTH))

    def order(
        self,
        recommended: Sequence[Configuration],
        default: Configuration | None,
        n_rows: int,
        n_classes: int = 0,
    ) -> list[tuple[Configuration, str]]:
        """Return the candidates in the order in which they are tried, with where they come from.

        Parameters
        ----------
        recommended : sequence of Configuration
        default : Configuration, optional
            LightGBM at its defaults, where it may be used: a first mark on every table.
        n_rows : int
        n_classes : int, default=0
            0 for regression.
        """
        found = [(configuration, "recommended") for configuration in recommended]
        if default is None:
            return found
        found = [(c, o) for c, o in found if c != default]
        found.insert(0 if n_rows >= self.grown_places[-1][0] else min(1, len(found)), (default, "default"))
        places = next((places for limit, places in self.grown_places if n_rows >= limit), ())
        for place, configuration in zip(places, grown(default, n_classes), strict=False):
            found.insert(min(place + 1, len(found)), (configuration, "default"))
        return found


def grown(default: Configuration, n_classes: int = 0) -> list[Configuration]:
    """Return boosted models of different size whose rounds early stopping finds.

    Of many classes most are rare in a leaf: there is next to no second derivative, and an unbounded step spoils the
    probabilities after some rounds. The leaves are shrunk by one at least.
    """
    least = {"reg_lambda": SHRUNK_BY} if n_classes > MANY_CLASSES else {}
    return [
        Configuration(default.algorithm, {**default.params, "n_estimators": 400, **least, **change}, "user")
        for change in LARGER
    ]


@dataclass(frozen=True)
class TimeReport:
    """Where the time of a search went.

    Attributes
    ----------
    planned : float or None
        The limit in seconds, if there was one.
    spent : float
        Seconds from the first look at the data to the fitted pipeline.
    steps : mapping of str to float
        Seconds by step: ``recommend``, ``search``, ``refit``.
    """

    planned: float | None
    spent: float
    steps: Mapping[str, float]

    def __str__(self) -> str:
        limit = "no limit" if self.planned is None else f"limit {self.planned:.1f} s"
        steps = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in self.steps.items())
        return f"{self.spent:.1f} s ({limit}): {steps}"


class Deadline:
    """A limit on time that starts when it is made.

    Parameters
    ----------
    seconds : float or None
        None for no limit.
    """

    def __init__(self, seconds: float | None) -> None:
        if seconds is not None and not (math.isfinite(seconds) and seconds > 0):
            raise UsageError(
                "AM522", f"timeout must be a positive number of seconds, got {seconds!r}.", "Or pass None."
            )
        self.seconds = seconds
        self._start = time.monotonic()
        self._steps: dict[str, float] = {}

    @property
    def spent(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._start

    @property
    def remaining(self) -> float:
        """Seconds left, never negative; infinite without a limit."""
        return math.inf if self.seconds is None else max(self.seconds - self.spent, 0.0)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Book the time of a block under a name."""
        start = self.spent
        try:
            yield
        finally:
            self._steps[name] = self._steps.get(name, 0.0) + self.spent - start

    def report(self) -> TimeReport:
        """Return what was planned and what was spent."""
        return TimeReport(self.seconds, self.spent, dict(self._steps))


class Pace:
    """The speed of this machine, by algorithm.

    Parameters
    ----------
    problem : Problem
    slowness : float, default=1.0
        How many times longer than expected the first, cheap fit took.
    preparation : (int, float), default=(1, 0.0)
        Rows of that fit, and the seconds that their preparation took.
    """

    def __init__(
        self, problem: Problem, slowness: float = 1.0, preparation: tuple[int, float] = (1, 0.0)
    ) -> None:
        self._problem = problem
        self._of_first_fit = slowness
        rows, seconds = preparation
        self._preparation = SCALED_SHARE * seconds * max(problem.n_train / rows, 1.0)
        self._has_scaled = False
        # How many times longer than expected fits took, and seconds for each row.
        self._slowness: dict[str, list[float]] = {}
        # Where early stopping found the rounds, the time says nothing about other algorithms: LightGBM took five times
        # as long as experience said, and neural networks waited for the end of the search.
        self._hints: dict[str, list[float]] = {}
        self._by_row: dict[str, list[float]] = {}
        self._crowding: list[float] = []
        self._ended_once: set[str] = set()

    def knows(self, algorithm: str) -> bool:
        """Whether a fit of an algorithm was seen to its end."""
        return algorithm in self._by_row

    def reserve(self, limit: float, refits: float) -> float:
        """Seconds of a limit that the choice at the end may take, with so many for the last fits."""
        share, constant = _RESERVE
        return min(share * limit + constant * self.crowding + refits, MOST_RESERVED * limit)

    def preparation(self, configuration: Configuration) -> float:
        """Seconds that a configuration's own preparation should take, where no fit that shares it was seen."""
        return self._preparation if "scaler" in configuration.params and not self._has_scaled else 0.0

    @property
    def crowding(self) -> float:
        """Seconds that pass while a fit gets one of the CPU, by the last few fits; at least 1."""
        return max(1.0, float(np.median(self._crowding[-FITS_OF_CROWDING:] or [1.0])))

    def expected(self, configuration: Configuration, seconds: float, max_rows: int | None) -> float:
        """Seconds that a fit on one fold should take, by experience and by what was seen here; 0 if nothing says.

        Parameters
        ----------
        configuration : Configuration
        seconds : float
            That a fit on all rows takes by experience; NaN where nothing is known.
        max_rows : int or None
            Rows to train on; None for all of a fold.
        """
        n_train = min(self._problem.n_train, max_rows or self._problem.n_train)
        if math.isfinite(seconds):
            slowness = self._slowness.get(configuration.algorithm) or [
                self._of_first_fit,
                *map(np.median, self._hints.values()),
            ]
            return float(np.median(slowness)) * seconds * n_train / len(self._problem.y)
        return float(np.median(self._by_row.get(configuration.algorithm, [0.0]))) * n_train

    def note(self, candidate: Candidate, fit: FoldFit, seconds: float) -> None:
        """Note how long a fit took, but for preparations, which others share."""
        spent = fit.fit_seconds + fit.predict_seconds
        self._has_scaled |= "scaler" in candidate.configuration.params
        self._crowding += [seconds / spent] if spent > 0 else []
        seconds *= 1 - fit.shared_seconds / spent if spent > 0 else 1.0
        algorithm = candidate.configuration.algorithm
        if math.isfinite(candidate.expected_seconds) and candidate.expected_seconds > 0:
            ratio = seconds * len(self._problem.y) / (candidate.expected_seconds * fit.n_train)
            self._slowness.setdefault(algorithm, []).append(ratio)
            if fit.rounds is None:
                self._hints.setdefault(algorithm, []).append(ratio)
        self._by_row.setdefault(algorithm, []).append(seconds / fit.n_train)

    def note_failure(self, candidate: Candidate, outcome: Failure, seconds: float) -> None:
        """Note a fit that was ended since it took so long: others of the algorithm will hardly be quicker.

        The first one of an algorithm may have prepared the table all the time, and does not count.
        """
        algorithm = candidate.configuration.algorithm
        if not self.knows(algorithm) and algorithm not in self._ended_once:
            self._ended_once.add(algorithm)
            return
        if outcome.status == "timeout" and candidate.expected_seconds > 0:
            n_train = min(self._problem.n_train, candidate.max_rows or self._problem.n_train)
            ratio = seconds * len(self._problem.y) / (candidate.expected_seconds * n_train)
            self._slowness.setdefault(algorithm, []).append(2 * ratio)
            self._hints.setdefault(algorithm, []).append(2 * ratio)
