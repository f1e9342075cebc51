"""The search itself, with a clock and hands that only pretend: who gets which folds, and what the study is told."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest
from optuna.trial import TrialState
from stand_in import Clock

from autometa.evaluation import Failure, FoldFit, Job, Preparation, target_codes
from autometa.space import Configuration, SearchSpace
from autometa.task import Task
from autometa.tuning._assembly import Assembly, choose
from autometa.tuning._candidate import Candidate, Problem
from autometa.tuning._price import Price
from autometa.tuning._run import SearchRun
from autometa.tuning._schedule import _RESERVE, Pace, Schedule
from autometa.tuning._search import Search
from autometa.tuning._splits import resolve_splits
from autometa.tuning._zero_shot import FirstFit

N_ROWS = 400
UNREFITTED = Schedule(refit_below=0)
SPACE = SearchSpace.for_kind("regression")
DESIGN = list(dict.fromkeys(SPACE.design(3)))


class Pretending:
    """Answers each job with the truth and an error of a given size, after the seconds that it is said to take."""

    n_workers = 1

    def __init__(self, problem: Problem, clock: Clock, errors: list[float], seconds: list[float]) -> None:
        self._problem, self._clock = problem, clock
        self._errors, self._seconds = errors, seconds
        self._done: list[tuple[Any, Any, float]] = []
        self.jobs: list[Job] = []

    @property
    def n_idle(self) -> int:
        return 0 if self._done else 1

    @property
    def is_busy(self) -> bool:
        return bool(self._done)

    def submit(self, key: Any, job: Job, limit: float) -> None:
        self.jobs.append(job)
        i = DESIGN.index(job.configuration)
        train, test = self._problem.splits[job.fold or 0]
        n_train = min(len(train), job.max_rows or len(train))
        seconds = self._seconds[i] * n_train / len(train)
        if seconds > limit:
            self._clock.now += limit
            self._done.append((key, Failure("timeout", "longer than its share of the time"), limit))
            return
        self._clock.now += seconds
        noise = np.random.default_rng(100 * i + (job.fold or 0)).normal(size=len(test))
        error = self._errors[i] * np.sqrt(len(train) / n_train)
        prediction = self._problem.y[test] + error * noise
        fit = FoldFit(
            prediction, b"model", ("prepared",), {}, 0.9 * seconds, 0.1 * seconds, n_train, None, 1e-6
        )
        self._done.append((key, fit, seconds))

    def wait(self) -> list[tuple[Any, Any, float]]:
        done, self._done = self._done, []
        return done

    def stop(self) -> None:
        self._done = []


class InOrder:
    """Gives the configurations of the design in their order."""

    def __init__(self, study: optuna.Study, n: int) -> None:
        self._study, self._left = study, list(DESIGN[:n])

    def next(self, allows: Any) -> Candidate | None:
        if not self._left:
            return None
        configuration = self._left.pop(0)
        self._study.enqueue_trial(configuration.joint_params())
        trial = self._study.ask()
        return Candidate(SPACE.suggest(trial), "recommended", trial, trial.number)


def posed(
    errors: list[float], seconds: list[float], limit: float | None, n_rows: int = N_ROWS
) -> tuple[Pretending, optuna.Study, Problem, Clock]:
    """Return a table of one column and four folds, with a clock and hands that pretend."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.normal(size=n_rows)})
    task = Task.from_frame(X, pd.Series(rng.normal(size=n_rows), name="y"), metric="r2")
    parts = np.array_split(rng.permutation(n_rows), 4)
    splits = [(np.setdiff1d(np.arange(n_rows), part), np.sort(part)) for part in parts]
    problem = Problem(task, splits, target_codes(task))
    clock = Clock(limit)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
    return Pretending(problem, clock, errors, seconds), study, problem, clock


def searched(
    errors: list[float],
    seconds: list[float],
    limit: float | None,
    schedule: Schedule = UNREFITTED,
    n_rows: int = N_ROWS,
    **options: Any,
) -> tuple[Search, Pretending, optuna.Study, Problem, Clock]:
    hands, study, problem, clock = posed(errors, seconds, limit, n_rows)
    search = Search(
        study, problem, hands, InOrder(study, len(errors)), clock, schedule, n_trials=len(errors), **options
    )
    search.run()
    return search, hands, study, problem, clock


def folds_of(hands: Pretending, configuration: Configuration) -> list[int | None]:
    return [job.fold for job in hands.jobs if job.configuration == configuration]


def test_candidates_are_compared_on_one_fold_and_members_get_the_others() -> None:
    errors = [0.5, 0.45, 3.0, 3.0, 0.4]
    search, hands, study, _, clock = searched(errors, [1.0] * 5, 60.0, is_broad=True)
    assert clock.spent < 60
    first = [job.configuration for job in hands.jobs[:5]]
    assert first == DESIGN[:5]
    assert {job.fold for job in hands.jobs[:5]} == {0}
    for i, error in enumerate(errors):
        assert folds_of(hands, DESIGN[i]) == ([0] if error > 1 else [0, 1, 2, 3])
    states = [trial.state for trial in study.get_trials()]
    assert states.count(TrialState.PRUNED) == 2
    assert states.count(TrialState.COMPLETE) == 3
    assert all(len(t.user_attrs["run"]["folds"]) == 4 for t in study.get_trials(states=[TrialState.COMPLETE]))
    assert search.depth == 1


def test_members_get_their_folds_before_the_time_is_up() -> None:
    """The heaviest first; that others were not tried any more is the price."""
    n = 12
    search, hands, _, problem, clock = searched([0.5] * n, [1.0] * n, 17.0, is_broad=True)
    assert clock.spent <= 17
    tried = {job.configuration for job in hands.jobs if job.fold == 0}
    assert 1 < len(tried) < n
    heaviest = search._present.members[0]
    assert heaviest.depth == len(problem.splits)


def test_members_that_are_fitted_on_all_rows_in_the_end_get_no_folds_before_others_are_tried() -> None:
    n = 12
    _, hands, *_ = searched([0.5] * n, [1.0] * n, 16.0, Schedule(refit_below=N_ROWS + 1), is_broad=True)
    assert {job.configuration for job in hands.jobs if job.fold == 0} == set(DESIGN[:n])


def test_after_a_first_candidate_that_takes_too_long_others_begin_on_fewer_rows() -> None:
    _, hands, _, _, clock = searched([0.5] * 4, [500.0] * 4, 20.0, n_rows=10_000)
    assert clock.spent <= 20
    rows = [job.max_rows for job in hands.jobs]
    assert rows[0] is None
    assert rows[1:] == sorted(rows[1:], reverse=True)
    assert rows[-1] < 5_000


def test_what_members_lack_is_done_without() -> None:
    """Weights come from the fold that all have; the score from those that all members have."""
    search, _, _, problem, clock = searched([0.5, 0.5], [1.0, 1.0], 5.5, is_broad=True)
    assert clock.spent <= 5.5
    depths = sorted(c.depth for c in search.tried.complete)
    assert depths[0] < depths[-1]
    assembly = choose(problem, search.tried.usable, size=25, depth=search.depth)
    assert assembly is not None
    members = [candidate for candidate, _ in assembly.members]
    assert len(members) == 2
    assert assembly.depth == depths[0]
    assert len(assembly.rows) == len(problem.rows(depths[0]))


def test_members_that_began_on_fewer_rows_are_fitted_on_all_before_they_get_folds() -> None:
    _, hands, _, problem, clock = searched([0.5, 0.5], [4.0, 4.0], 40.0, is_broad=True, max_rows=100)
    assert clock.spent <= 40
    assert all(job.fold == 0 for job in hands.jobs if job.max_rows is not None)
    whole = [job for job in hands.jobs if job.max_rows is None]
    assert {job.fold for job in whole} == set(range(len(problem.splits)))


def test_without_it_a_candidate_is_done_before_the_next_begins() -> None:
    _, hands, _, problem, _ = searched([0.5, 0.4, 3.0], [1.0] * 3, 100.0)
    n_folds = len(problem.splits)
    assert [job.fold for job in hands.jobs[: 2 * n_folds]] == [*range(n_folds)] * 2
    assert folds_of(hands, DESIGN[2]) == [0]


def test_what_took_too_long_makes_others_of_its_algorithm_expected_to() -> None:
    search, *_ = searched([0.5, 0.5], [0.5, 500.0], 20.0)
    slow = next(c for c in search.tried.candidates if c.state == "timeout")
    slow.expected_seconds = 0.01
    pace = Pace(search._problem)
    assert pace.expected(slow.configuration, 0.01, None) == pytest.approx(0.01 * 300 / N_ROWS)
    # The first may have prepared the table.
    pace.note_failure(slow, Failure("timeout", ""), 10.0)
    assert pace.expected(slow.configuration, 0.01, None) == pytest.approx(0.01 * 300 / N_ROWS)
    pace.note_failure(slow, Failure("timeout", ""), 10.0)
    assert pace.expected(slow.configuration, 0.01, None) > 10
    other = next(
        c for c in search.tried.complete if c.configuration.algorithm != slow.configuration.algorithm
    )
    other.expected_seconds = 0.5 * N_ROWS / 300
    pace.note(other, other.fits[0], 0.5)
    assert pace.expected(other.configuration, 0.01, None) == pytest.approx(0.01 * 300 / N_ROWS)
    assert pace.expected(slow.configuration, 0.01, None) > 10


def test_rounds_that_early_stopping_found_say_nothing_about_other_algorithms() -> None:
    search, *_ = searched([0.5, 0.5], [0.5, 0.5], 20.0)
    boosted, other = search.tried.complete[0], DESIGN[1]
    assert boosted.configuration.algorithm != other.algorithm
    boosted.expected_seconds = 0.1 * N_ROWS / 300
    found = replace(boosted.fits[0], rounds=300)
    pace = Pace(search._problem)
    pace.note(boosted, found, 0.5)
    # Five times as long as expected: true of boosting, not of the machine.
    assert pace.expected(boosted.configuration, 0.01, None) == pytest.approx(5 * 0.01 * 300 / N_ROWS)
    assert pace.expected(other, 0.01, None) == pytest.approx(0.01 * 300 / N_ROWS)
    pace.note(boosted, boosted.fits[0], 0.2)
    # The middle of the first fit and of what else was seen.
    assert pace.expected(other, 0.01, None) == pytest.approx(1.5 * 0.01 * 300 / N_ROWS)
    assert Pace(search._problem, 3.0).expected(other, 0.01, None) == pytest.approx(3 * 0.01 * 300 / N_ROWS)


def test_on_a_crowded_machine_more_is_kept_for_the_end() -> None:
    search, *_ = searched([0.5, 0.5], [0.5, 0.5], 100.0)
    fit, candidate = search.tried.complete[0].fits[0], search.tried.complete[0]
    pace = Pace(search._problem)
    assert pace.crowding == 1.0  # nothing is known
    for share_of_a_cpu in (2.0, 1.0, 0.25, 0.25, 0.25):
        pace.note(candidate, fit, (fit.fit_seconds + fit.predict_seconds) / share_of_a_cpu)
    assert pace.crowding == pytest.approx(4.0)
    before, search._pace = search.left, pace
    assert before - search.left == pytest.approx(3 * _RESERVE[1])
    for _ in range(3):
        pace.note(candidate, fit, fit.fit_seconds)  # alone again
    assert pace.crowding == 1.0


def test_only_dear_folds_of_large_tables_are_compared_one_by_one() -> None:
    schedule = Schedule()
    # One fold of a small table says less: there it has to save more.
    assert schedule.is_broad(2_000, 4, 10.0, (2_000, 0.5))
    assert not schedule.is_broad(200, 4, 10.0, (200, 0.5))
    assert not schedule.is_broad(10_000, 1, 10.0, (2_000, 5.0))
    assert schedule.is_broad(10_000, 4, 10.0, (2_000, 0.1))
    assert not schedule.is_broad(10_000, 4, 600.0, (2_000, 0.1))
    assert not schedule.is_broad(10_000, 4, math.inf, (2_000, 0.1))


def begun(problem: Problem, study: optuna.Study, hands: Pretending, clock: Clock) -> SearchRun:
    return SearchRun(
        problem.task,
        problem,
        SPACE,
        study,
        hands,
        clock,
        Schedule(),
        25,
        0,
        is_shared=False,
        is_whole=False,
    )


@pytest.mark.parametrize(("seconds", "n_folds"), [(0.1, 10), (0.2, 5)])
def test_a_small_table_is_split_once_where_fits_are_dear(seconds, n_folds) -> None:
    hands, study, problem, clock = posed([], [], 10.0, n_rows=60)
    problem = replace(problem, splits=resolve_splits(problem.task, n_folds=5, n_repeats=2))
    run = begun(problem, study, hands, clock)
    run._floor = FoldFit(None, b"", ("",), {}, seconds, 0.0, 60)
    run._cut_table()
    assert run._problem.splits == problem.splits[:n_folds]


def test_folds_of_groups_are_no_second_split() -> None:
    _, _, problem, _ = posed([], [], None)
    assert problem.once(2) is problem
    assert problem.once(1).splits == problem.splits


@pytest.mark.parametrize(("spent", "is_asked"), [(0.8, True), (1.2, False)])
def test_where_reading_the_table_took_half_of_the_time_experience_is_not_asked(spent, is_asked) -> None:
    hands, study, problem, clock = posed([], [], 2.0)
    clock.now = spent
    run = begun(problem, study, hands, clock)
    run.recommend(None)
    assert bool(len(run._recommendations)) is is_asked


@pytest.mark.parametrize(
    ("seconds", "expected"), [([5.0, 0.5], [False, True]), ([0.5], [False]), ([5.0, 5.0], [False, True])]
)
def test_where_the_first_fit_takes_too_long_one_that_reads_no_words_is_made(seconds, expected) -> None:
    _, study, problem, clock = posed([], [], 10.0)
    plain: list[bool] = []

    class TooSlow(Pretending):
        def submit(self, key: Any, job: Job, limit: float) -> None:
            plain.append(job.is_plain)
            spent = seconds[len(plain) - 1]
            clock.now += min(spent, limit)
            outcome = first_fold(problem, 300) if spent <= limit else Failure("timeout", "too long")
            self._done.append((key, outcome, min(spent, limit)))

    run = begun(problem, study, TooSlow(problem, clock, [], []), clock)
    run.begin()
    run.recommend(None)
    assert plain == expected
    assert (run._floor is None) is (seconds[-1] > 1.0)


def first_fold(problem: Problem, n_train: int, seconds: float = 0.2, made: float = 1.0) -> FoldFit:
    prediction = problem.y[problem.splits[0][1]]
    return FoldFit(prediction, b"model", ("prepared",), {}, seconds, 0.0, n_train, None, 1e-6, made=made)


def test_a_first_fit_on_a_fold_is_not_made_again() -> None:
    hands, study, problem, clock = posed([0.5, 0.45], [1.0, 1.0], 60.0)
    fit = first_fold(problem, 300)
    options = {"n_trials": 2, "spared": DESIGN[1], "begun": fit}
    search = Search(study, problem, hands, InOrder(study, 2), clock, UNREFITTED, **options)
    search.run()
    assert folds_of(hands, DESIGN[0]) == [0, 1, 2, 3]
    assert folds_of(hands, DESIGN[1]) == [1, 2, 3]
    assert search.tried.candidates[1].fits[0] is fit


@pytest.mark.parametrize(("n_train", "has_begun"), [(300, True), (200, False)])
def test_a_first_fit_is_a_candidates_where_it_has_its_rows(n_train, has_begun) -> None:
    hands, study, problem, clock = posed([], [], 60.0)
    run = begun(problem, study, hands, clock)
    run._floor = first_fold(problem, n_train)
    assert run._has_begun is has_begun
    run._floor = replace(run._floor, prediction=None)
    assert not run._has_begun


def test_the_first_fit_tells_what_all_rounds_would_take() -> None:
    _, _, problem, _ = posed([], [], None)
    whole, cut = (FirstFit(first_fold(problem, 300, made=made), N_ROWS) for made in (1.0, 0.25))
    assert cut.cost == (300, 4 * whole.cost[1])
    assert whole.preparation[0] == N_ROWS
    assert FirstFit(replace(whole.fit, prediction=None), N_ROWS).preparation[0] == 300
    assert FirstFit().cost[1] == FirstFit().preparation[1] == 0.0
    assert whole.slowness(math.nan) == FirstFit().slowness(0.1) == 1.0
    assert 1.0 < whole.slowness(0.1) <= 5.0


def test_what_scales_its_columns_is_expected_to_prepare_them_once() -> None:
    _, _, problem, _ = posed([], [], None)
    pace = Pace(problem, 1.0, (150, 2.0))
    scaled, other = (SPACE[name].default_configuration() for name in ("linear", "lightgbm"))
    assert pace.preparation(other) == 0.0
    assert pace.preparation(scaled) == pytest.approx(0.25 * 2.0 * 300 / 150)
    pace.note(Candidate(scaled, ""), first_fold(problem, 300), 0.2)
    assert pace.preparation(scaled) == 0.0


def test_time_is_kept_for_fits_on_all_rows_that_there_can_be_time_for() -> None:
    _, _, problem, _ = posed([], [], None)
    fits = {0: first_fold(problem, 300)}
    quick, slow = (Candidate(DESIGN[0], "", fits=fits, seconds=seconds) for seconds in (0.3, 3.0))
    assert problem.refit_seconds(quick) == pytest.approx(1.2 * 0.3 * 400 / 300)
    assert problem.refits_within(1.0, [slow, quick, quick]) == pytest.approx(2 * problem.refit_seconds(quick))
    found = Candidate(DESIGN[0], "", fits={0: replace(fits[0], rounds=50)}, seconds=0.3)
    assert problem.refit_seconds(found) == pytest.approx(1.2 * 0.3)


def test_a_second_layer_reads_models_of_folds_alone_where_some_were_given_up() -> None:
    hands, study, problem, clock = posed([0.1, 0.1], [0.1, 0.1], None)
    run = begun(problem, study, hands, clock)
    fits = {fold: first_fold(problem, 300) for fold in range(4)}
    below = Candidate(DESIGN[0], "", number=0, fits=fits)
    second = Candidate(DESIGN[1], "", number=1, fits=fits, below=[below])
    assembly = Assembly(
        [below, second], np.array([0.5, 0.5]), np.zeros(2), 4, np.arange(N_ROWS), problem.y, [0.0] * 4
    )
    # A model takes .01 s: seven of ten are in time.
    found, layer = run._fits(assembly, Price(problem, {"prepared": Preparation(b"", 0.0)}, below, 0.075))
    assert len(found) == 7
    assert layer == [[1]]  # behind the one on all rows
    assert sum(weight for _, weight in found) == pytest.approx(1.0)
