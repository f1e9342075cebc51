"""The search: take a candidate, fit it fold by fold, drop it where it cannot help, until trials or time are used up."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import optuna

from autometa.evaluation import Failure, FoldFit, Job, Preparation
from autometa.space import Configuration
from autometa.tuning._candidate import Candidate, Problem
from autometa.tuning._hands import Hands, Outcome
from autometa.tuning._schedule import FLOOR_ROWS, MOST_FOR_REFITS, Deadline, Pace, Schedule
from autometa.tuning._selection import Callback, Present, Reporter, Tried
from autometa.tuning._strategy import Strategy
from autometa.wording import counted

# Without a limit on time so many are fitted on all folds before any is dropped.
UNRACED: Final = 5
# A sampler that gives so many known configurations in a row has nothing else to give.
MAX_REPETITIONS: Final = 20
# Share of the time left that one fit may take, in a process that has the table prepared and in one that has not.
WARM_SHARE: Final = 1 / 3
COLD_SHARE: Final = 0.6
# Of the seconds of a fit, what boosting may take with the predictions after it: the way back takes the rest.
BOOSTING_SHARE: Final = 0.8
# Members are given their other folds when the time that is left is not more than these take, and a little.
DEEPENING_MARGIN: Final = 1.2
# So many candidates are compared before any of them is fitted on more rows or folds, unless most of the time is over.
COMPARED_FIRST: Final = 3
COMPARED_UNTIL: Final = 0.7


class Search:
    """One search.

    Parameters
    ----------
    study : optuna.Study
    problem : Problem
    hands : Hands
    strategy : Strategy
        Gives candidates.
    deadline : Deadline
    schedule : Schedule
    n_trials : int
        Candidates to try, at most.
    max_rows : int or None, default=None
        Rows that candidates begin on; None for all.
    is_broad : bool, default=False
        Whether candidates are compared on the first fold alone, and only members are fitted on the others.
    callbacks : sequence of callable, default=()
        Called with the study and each trial that ends.
    second_layer : callable, optional
        Gives candidates that read the predictions of the members that it is called with; by default none.
    spared : Configuration, optional
        Is fitted on all folds though it could not help: a mark to compare with.
    begun : FoldFit, optional
        The spared one's on the first fold, where it was fitted already.
    preparation : (int, float), default=(1, 0.0)
        Rows, and the seconds that it took to prepare them for the first fit.
    slowness : float, default=1.0
        How many times longer than expected the first fit took.
    seed : int, default=0
    """

    def __init__(
        self,
        study: optuna.Study,
        problem: Problem,
        hands: Hands,
        strategy: Strategy,
        deadline: Deadline,
        schedule: Schedule,
        *,
        n_trials: int,
        max_rows: int | None = None,
        is_broad: bool = False,
        callbacks: Sequence[Callback] = (),
        second_layer: Callable[[Sequence[Candidate]], list[Candidate]] = lambda _: [],
        spared: Configuration | None = None,
        begun: FoldFit | None = None,
        preparation: tuple[int, float] = (1, 0.0),
        slowness: float = 1.0,
        seed: int = 0,
    ) -> None:
        self._study = study
        self._problem = problem
        self._hands = hands
        self._strategy = strategy
        self._deadline = deadline
        self._schedule = schedule
        self._n_left = n_trials
        self._n_workers = hands.n_workers
        self._max_rows = max_rows
        self.depth = 1 if is_broad else len(problem.splits)
        self._reporter = Reporter(study, problem, callbacks)
        self._spared = spared
        self._begun = begun
        self._second_layer = second_layer
        self._second: list[Candidate] | None = None
        self._more_rows: list[Candidate] | None = None
        self._pace = Pace(problem, slowness, preparation)
        self._n_idle_proposals = 0
        self._present = Present(problem, self.depth, seed)
        self._refit_seconds = 0.0
        self._is_cold = True
        self.tried = Tried(problem, self._reporter)
        self.preparations: dict[str, Preparation] = {}
        self.history: list[tuple[float, Candidate, float]] = []
        self.interrupted = False

    def run(self) -> None:
        """Run; an interruption from the keyboard ends the search early and is noted, not raised.

        Raises
        ------
        EvaluationError
            AM801 when the first five candidates, or all, fail.
        """
        try:
            while True:
                while self._hands.n_idle and (item := self._next()) is not None:
                    self._submit(*item)
                if not self._hands.is_busy:
                    break
                for (candidate, fold), outcome, seconds in self._hands.wait():
                    self._take(candidate, fold, outcome, seconds)
        except KeyboardInterrupt:
            self.interrupted = True
        finally:
            self.tried.close(self.depth, interrupted=self.interrupted)
        if self._deadline.seconds is None and not self.interrupted:
            self.tried.check(is_over=True)

    # -- what comes next ----------------------------------------------------------------------------------------

    @property
    def left(self) -> float:
        """Seconds left for fits."""
        if self._deadline.seconds is None:
            return math.inf
        return self._deadline.remaining - self._pace.reserve(self._deadline.seconds, self._refit_seconds)

    def _next(self) -> tuple[Candidate, int] | None:
        if self.left <= 0:
            return None
        for candidate in self.tried.candidates:
            if candidate.state == "running" and (fold := self._next_fold(candidate)) is not None:
                return candidate, fold
        if (promoted := self._next_with_more_rows()) is not None:
            return promoted, 0
        if self._is_time_for_second and (second := self._next_of_second()) is not None:
            return second, 0
        if self._is_time_to_deepen and (deeper := self._next_deeper()) is not None:
            return deeper
        if (found := self._next_candidate()) is not None:
            return found, 0
        if (second := self._next_of_second()) is not None:
            return second, 0
        return self._next_deeper()

    def _next_fold(self, candidate: Candidate) -> int | None:
        """Return the fold that a candidate needs next, if it may begin: a race is waited for."""
        started = candidate.fits.keys() | candidate.pending
        fold = len(started)
        if fold == self.depth:
            return None
        is_waiting = candidate.pending and any(
            len(candidate.fits) < n <= fold for n in self._schedule.race_after
        )
        return None if is_waiting else fold

    @property
    def _is_time_to_deepen(self) -> bool:
        """Whether what is left is needed for the other folds of the members."""
        limit = self._deadline.seconds
        if limit is None or self._deadline.spent < self._schedule.broad_until * limit or self._more_rows:
            return False
        # Where members are fitted on all rows in the end, more folds are no better.
        if self._is_refitted or not self._has_compared:
            return False
        needed = sum(self._seconds_to_come(candidate) for candidate in self._shallow)
        return needed > 0 and self.left <= DEEPENING_MARGIN * needed

    @property
    def _has_compared(self) -> bool:
        """Whether the first few candidates are through, or most of the time is."""
        limit = self._deadline.seconds or math.inf
        return len(self.tried.ended) >= COMPARED_FIRST or self._deadline.spent > COMPARED_UNTIL * limit

    @property
    def _shallow(self) -> list[Candidate]:
        """Members of the present ensemble that lack folds, the heaviest first."""
        if self.depth == len(self._problem.splits):
            return []
        return [
            candidate for candidate in self._present.members if candidate.fits and not candidate.is_settled
        ]

    def _next_deeper(self) -> tuple[Candidate, int] | None:
        for candidate in self._shallow:
            started = candidate.fits.keys() | candidate.pending
            if len(started) == len(self._problem.splits):
                continue
            if candidate.fold_seconds <= self.left:
                return candidate, len(started)
            candidate.is_settled = True
        return None

    @property
    def _is_time_for_second(self) -> bool:
        """Whether so little of the time is left for fits that a second layer is tried."""
        limit = self._deadline.seconds
        return limit is not None and self.left <= self._schedule.second_share * limit

    def _next_of_second(self) -> Candidate | None:
        """Return a candidate of the second layer, which is made once: of the members that have all folds."""
        if self._more_rows:
            return None
        if self._second is None:
            self._second = self._second_layer(self._present.members)
            if not self._second and self._shallow:
                self._second = None  # members lack folds
        if not self._second:
            return None
        candidate = self._second.pop(0)
        self.tried.candidates.append(candidate)
        return candidate

    def _next_candidate(self) -> Candidate | None:
        if self._n_left < 1:
            return None
        if self._deadline.seconds is not None and self._n_idle_proposals >= self._schedule.patience:
            return None
        candidate = next(self._asked(), None)
        if candidate is not None:
            candidate.max_rows = self._max_rows
            self._n_left -= candidate.trial is not None
            self.tried.candidates.append(candidate)
        return candidate

    def _asked(self) -> Iterator[Candidate]:
        """Yield candidates of the strategy; one that would repeat another is told its score and passed over."""
        for _ in range(MAX_REPETITIONS):
            if self._n_left < 1:
                return
            candidate = self._strategy.next(self._is_affordable)
            if candidate is None:
                return
            same = self.tried.same_as(candidate.configuration)
            if same is None:
                yield candidate
                continue
            candidate.state, candidate.scores = same.state, list(same.scores)
            candidate.reason = f"the same as trial {same.number}"
            self._n_left -= 1
            self._reporter.tell(candidate, duplicate_of=same.number)
            self.tried.candidates.append(candidate)

    def _next_with_more_rows(self) -> Candidate | None:
        """Return a member of the ensemble to be fitted on all rows, once it is time."""
        limit = self._deadline.seconds
        if self._max_rows is None or limit is None or not self._present.members:
            return None
        if self._more_rows is None:
            is_early = self._deadline.spent < self._schedule.more_rows_at * limit
            if (is_early or not self._has_compared) and self._n_left > 0:
                return None
            self._more_rows = [
                Candidate(
                    member.configuration,
                    "more rows",
                    number=member.number,
                    rank=member.rank,
                    expected_seconds=member.expected_seconds,
                )
                for member in self._present.members
                if not member.below
            ]
        while self._more_rows:
            candidate = self._more_rows.pop(0)
            expected = self._pace.expected(candidate.configuration, candidate.expected_seconds, None)
            if expected * self._n_rounds <= self.left:
                self.tried.candidates.append(candidate)
                return candidate
        return None

    def _is_affordable(self, configuration: Configuration, seconds: float, share: float) -> bool:
        """Whether all folds of a configuration should be done in a share of the time that is left."""
        fits = self._pace.expected(configuration, seconds, self._max_rows) * self._n_rounds
        return fits + self._pace.preparation(configuration) <= share * self.left

    @property
    def _n_rounds(self) -> float:
        """Fits of one candidate that follow each other."""
        return math.ceil(self.depth / self._n_workers)

    def _submit(self, candidate: Candidate, fold: int) -> None:
        begun = self._begun
        if begun is not None and candidate.configuration == self._spared and fold == 0:
            self._begun = None
            self._take(candidate, fold, begun, begun.fit_seconds + begun.predict_seconds)
            return
        left = self.left
        # A slow one leaves room for others, and what takes much longer than it should is not waited for.
        expected = self._pace.expected(
            candidate.configuration, candidate.expected_seconds, candidate.max_rows
        )
        # A process that was just started prepares the table first, and so does an algorithm that was not seen yet.
        is_cold = self._is_cold or not self._pace.knows(candidate.configuration.algorithm)
        share = COLD_SHARE if is_cold else WARM_SHARE
        needed = 4 * expected + self._pace.preparation(candidate.configuration)
        limit = left if math.isinf(left) else min(left, max(share * left, needed))
        candidate.pending.add(fold)
        # Boosting ends by itself a little before it would be ended, and keeps its rounds.
        job = Job(
            candidate.configuration,
            fold,
            candidate.max_rows,
            BOOSTING_SHARE * limit,
            table_rows=self._problem.table_rows,
            layer=candidate.layer,
        )
        self._hands.submit((candidate, fold), job, limit)

    # -- what came of it ----------------------------------------------------------------------------------------

    def _take(self, candidate: Candidate, fold: int, outcome: Outcome, seconds: float) -> None:
        candidate.pending.discard(fold)
        self._is_cold = not isinstance(outcome, FoldFit) and outcome.status != "failed"
        if candidate.state == "complete":
            self._take_deeper(candidate, fold, outcome, seconds)
            return
        candidate.seconds += seconds
        if candidate.state != "running":
            return
        if not isinstance(outcome, FoldFit):
            self._pace.note_failure(candidate, outcome, seconds)
            is_last = outcome.status == "timeout" and self.left <= 0
            candidate.state = "interrupted" if is_last else outcome.status
            candidate.reason = "the time of the search ran out" if is_last else outcome.reason
            candidate.fits = candidate.fits if is_last else {}
            self._reporter.tell(candidate)
            self.tried.check()
            self._begin_smaller(outcome)
            return
        self.preparations |= outcome.preparations
        candidate.add(fold, outcome, seconds)
        self._pace.note(candidate, outcome, seconds)
        n_done = len(candidate.fits)
        if n_done == self.depth:
            self._finish(candidate)
        elif (
            self._is_racing
            and n_done in self._schedule.race_after
            and candidate.configuration != self._spared
            and not candidate.below
            and not self._present.may_gain(candidate)
        ):
            candidate.state = "stopped"
            candidate.reason = f"after {counted(n_done, 'fold')} it could not help the ensemble"
            self._reporter.tell(candidate)
            candidate.fits = {}
            self._count_idle(candidate)
        elif self.tried.complete and self._seconds_to_come(candidate) > self.left:
            candidate.state, candidate.reason = "stopped", "no time was left for its other folds"
            self._reporter.tell(candidate)
            candidate.fits = {}

    def _begin_smaller(self, outcome: Failure) -> None:
        """Let candidates begin on fewer rows where the first of them take too long."""
        if outcome.status == "timeout" and self._deadline.seconds is not None and not self.tried.complete:
            rows = self._max_rows or self._problem.n_train
            if rows > FLOOR_ROWS:
                self._max_rows = max(rows // 2, FLOOR_ROWS)

    def _take_deeper(self, candidate: Candidate, fold: int, outcome: Outcome, seconds: float) -> None:
        """Keep one more fold of a member; what cannot be had is done without."""
        if not isinstance(outcome, FoldFit):
            candidate.is_settled = True
            return
        if not candidate.fits:
            return  # dropped meanwhile
        self.preparations |= outcome.preparations
        candidate.seconds += seconds
        candidate.add(fold, outcome, seconds)
        if len(candidate.fits) == len(self._problem.splits):
            candidate.is_settled = True

    @property
    def _is_racing(self) -> bool:
        """Whether candidates are dropped on the way: where time does not matter, some are done whole first."""
        return self._deadline.seconds is not None or len(self.tried.complete) >= UNRACED

    def _seconds_to_come(self, candidate: Candidate) -> float:
        """Seconds that the other folds of a candidate will take, if they are like the first ones."""
        return candidate.fold_seconds * (len(self._problem.splits) - len(candidate.fits)) / self._n_workers

    def _finish(self, candidate: Candidate) -> None:
        candidate.scores = self._problem.fold_scores(candidate)
        if not all(map(math.isfinite, candidate.scores)):
            candidate.state, candidate.reason = "failed", f"{self._problem.task.metric.name} is not finite"
            candidate.fits = {}
            self._reporter.tell(candidate)
            self.tried.check()
            return
        helps = self._present.may_gain(candidate)
        candidate.state = "complete"
        if candidate.origin == "more rows":
            # It stands for what was fitted on fewer rows.
            for other in self.tried.complete:
                if other.configuration == candidate.configuration and other.max_rows is not None:
                    other.fits = {}
        is_final = self.depth == len(self._problem.splits)
        if not (helps or is_final):
            candidate.state = "stopped"
            candidate.reason = "on the first fold it could not help the ensemble"
            candidate.fits = {}
        # What may get more folds is told when they are there.
        if is_final or not helps:
            self._reporter.tell(candidate)
        if helps:
            self._present.choose(self.tried.complete)
            if self._is_refitted and (limit := self._deadline.seconds) is not None:
                # Members are fitted once more at the end.
                most = MOST_FOR_REFITS * limit
                self._refit_seconds = self._problem.refits_within(most, self._present.members)
        self._count_idle(candidate, helps)
        if self._present.members:
            self.history.append((self._deadline.spent, candidate, self._present.score))
        self.tried.forget(self._present.members)

    @property
    def _is_refitted(self) -> bool:
        """Whether the members are fitted on all rows in the end."""
        return len(self._problem.y) < self._schedule.refit_below

    def _count_idle(self, candidate: Candidate, helps: bool = False) -> None:
        if candidate.origin in ("proposed", "search"):
            self._n_idle_proposals = 0 if helps else self._n_idle_proposals + 1
