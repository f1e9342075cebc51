"""The schedule, its clock and the strategies: who comes when, and who waits."""

from __future__ import annotations

import math
import time

import optuna
import pytest
from refusals import refused

from autometa.errors import UsageError
from autometa.evaluation import Failure, Job
from autometa.space import SearchSpace
from autometa.tuning._hands import Children, Here
from autometa.tuning._schedule import LEAST_FLOOR_ROWS, SLOW_COLUMN, Deadline, Schedule, cells_of_a_row, grown
from autometa.tuning._strategy import (
    DEFAULT_SHARE,
    QUICK_SHARE,
    Chain,
    Entry,
    Listed,
    Repeated,
    Sampled,
    entries_of,
)

SPACE = SearchSpace.for_kind("binary")
DESIGN = list(dict.fromkeys(SPACE.design(2)))
DEFAULT = SPACE["lightgbm"].default_configuration()


def always(*_):
    return True


@pytest.mark.parametrize("n_rows", [50, 199, 200, 7_999, 8_000, 10**6])
def test_more_rows_never_mean_more_folds(n_rows):
    schedule = Schedule()
    for few, many, least in zip(schedule.folds(n_rows), schedule.folds(2 * n_rows), (2, 1), strict=True):
        assert few >= many >= least


def test_a_short_search_begins_with_as_many_rows_as_are_quick_to_read():
    schedule = Schedule()
    few, many = cells_of_a_row(4, 0, 0), cells_of_a_row(40, 10, 8)
    assert schedule.floor(1.0, few)[0] > schedule.floor(1.0, many)[0] >= LEAST_FLOOR_ROWS
    # With more time the first fit is on a few rows: it only has to be there.
    assert schedule.floor(10.0, few) == schedule.floor(10.0, many)
    assert cells_of_a_row(0, 2, 0) == cells_of_a_row(2 * SLOW_COLUMN, 0, 2)
    assert cells_of_a_row(9, 0, 2) < cells_of_a_row(9, 0, 8) < 4 * cells_of_a_row(9, 0, 2)
    assert schedule.floor(1.0, 0)[0] > 0


def test_the_first_fit_is_a_fold_where_all_rows_are_soon_prepared():
    schedule = Schedule()
    assert schedule.begins_with_fold(10.0, 5_000, 0.0)
    assert not schedule.begins_with_fold(10.0, 5_001, 0.0)
    assert not schedule.begins_with_fold(60.0, 5_001, 0.0)
    assert not schedule.begins_with_fold(4.0, 2_500, 0.0)
    # Words take their time, and of a second or two there is none for folds.
    assert not schedule.begins_with_fold(10.0, 1_000, 2.0)
    assert not schedule.begins_with_fold(2.0, 100, 0.0)


def test_what_is_seen_on_all_rows_of_a_fold_is_not_cut():
    assert Schedule().first_rows(560, 1, 10.0, (560, 5.0)) is None
    assert Schedule().first_rows(5_600, 1, 10.0, (560, 5.0)) == 560


def test_more_time_never_means_fewer_rows():
    schedule = Schedule()
    rows = [
        schedule.first_rows(75_000, 4, seconds, (2_000, 0.3)) for seconds in (1, 5, 30, 120, 3600, math.inf)
    ]
    known = [75_000 if r is None else r for r in rows]
    assert known == sorted(known)
    assert known[0] >= 2_000
    assert rows[-1] is None


def test_the_default_is_tried_early_and_once():
    for n_rows in (100, 5_000, 50_000):
        order = Schedule().order([*DESIGN, DEFAULT], DEFAULT, n_rows)
        configurations = [c for c, _ in order]
        assert configurations.count(DEFAULT) == 1
        assert configurations.index(DEFAULT) < 3
        assert len(set(configurations)) == len(configurations)
    assert [c for c, _ in Schedule().order(DESIGN, None, 100)] == DESIGN


def test_larger_boosted_models_are_in_the_space():
    for configuration in grown(DEFAULT):
        assert not SPACE.problems(configuration)


def test_a_list_is_given_in_order_and_the_slow_ones_last():
    study = optuna.create_study()
    entries = [Entry(c, "recommended", i + 1, 10.0 if i % 2 else 0.1) for i, c in enumerate(DESIGN[:6])]
    strategy = Listed(study, SPACE, entries)
    given = []
    while (candidate := strategy.next(lambda _, seconds, share: seconds <= 1.0 or share == 1.0)) is not None:
        given.append(candidate)
    assert [c.configuration for c in given] == [DESIGN[i] for i in (0, 2, 4, 1, 3, 5)]
    assert [c.rank for c in given] == [1, 3, 5, 2, 4, 6]
    assert all(c.trial is not None for c in given)


def test_what_there_is_no_time_for_is_passed_over_and_leaves_no_trial():
    study = optuna.create_study()
    strategy = Listed(study, SPACE, [Entry(c, "recommended") for c in DESIGN[:3]])
    assert strategy.next(lambda *_: False) is None
    assert not study.get_trials(deepcopy=False)


def test_what_a_study_has_is_not_given_again_but_by_its_models():
    study = optuna.create_study()
    first = Listed(study, SPACE, [Entry(c, "default") for c in DESIGN[:2]])
    for _ in range(2):
        study.tell(first.next(always).trial, 0.5)
    again = Listed(study, SPACE, [Entry(c, "recommended") for c in DESIGN[:3]])
    assert again.next(always).configuration == DESIGN[2]
    repeated = Repeated(study.get_trials(deepcopy=False)[:2], SPACE)
    found = [repeated.next(always), repeated.next(always)]
    assert [c.configuration for c in found] == DESIGN[:2]
    assert all(c.trial is None and c.origin == "default" for c in found)
    assert repeated.next(always) is None


def test_strategies_are_asked_one_after_the_other():
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    chain = Chain(Listed(study, SPACE, [Entry(DESIGN[0], "recommended")]), Sampled(study, SPACE, always))
    assert chain.next(always).origin == "recommended"
    assert chain.next(always).origin == "search"
    assert Chain(Sampled(study, SPACE, lambda: False)).next(always) is None


def test_hands_here_answer_one_job_at_a_time():
    hands = Here(lambda job: Failure("failed", job.configuration.algorithm))
    assert (hands.n_idle, hands.is_busy) == (1, False)
    hands.submit("key", Job(DEFAULT, 0), math.inf)
    assert (hands.n_idle, hands.is_busy) == (0, True)
    ((key, outcome, seconds),) = hands.wait()
    assert (key, outcome.reason) == ("key", "lightgbm")
    assert seconds >= 0
    assert hands.wait() == []


class Odd:
    """Sleeps, dies or answers."""

    def __call__(self, job):
        import os
        import time

        if job.fold == 0:
            time.sleep(600)
        if job.fold == 1:
            os._exit(1)
        return Failure("failed", "answered")


def test_children_that_sleep_or_die_fail_and_others_answer():
    hands = Children(Odd(), 2)
    try:
        hands.submit("sleeps", Job(DEFAULT, 0), 0.5)
        hands.submit("dies", Job(DEFAULT, 1), 60.0)
        assert hands.n_idle == 0
        found = {}
        while hands.is_busy:
            for key, outcome, _ in hands.wait():
                found[key] = outcome
        assert found["sleeps"].status == "timeout"
        assert "died" in found["dies"].reason
        hands.submit("answers", Job(DEFAULT, 2), 60.0)
        ((key, outcome, _),) = hands.wait()
        assert (key, outcome.reason) == ("answers", "answered")
    finally:
        hands.stop()


def test_steps_add_up() -> None:
    deadline = Deadline(0.05)
    for _ in range(2):
        with deadline.step("search"):
            time.sleep(0.03)
    report = deadline.report()
    assert 0.06 <= report.steps["search"] <= report.spent
    assert deadline.remaining == 0.0
    assert "limit 0.1 s" in str(report)


def test_a_step_that_raises_is_booked() -> None:
    deadline = Deadline(None)
    with pytest.raises(KeyError), deadline.step("search"):
        raise KeyError
    assert "search" in deadline.report().steps
    assert deadline.remaining == math.inf
    assert "no limit" in str(deadline.report())


@pytest.mark.parametrize("seconds", [0, -1, math.nan, math.inf])
def test_limits_are_positive_and_finite(seconds) -> None:
    with refused(UsageError, "AM522"):
        Deadline(seconds)


def test_defaults_wait_where_classes_are_many():
    order = [(DEFAULT, "default"), (DESIGN[1], "recommended")]

    def line(n_classes):
        return [entry.share for entry in entries_of(order, (), {}, SPACE, (), n_classes)]

    assert line(2) == line(6) == [DEFAULT_SHARE, QUICK_SHARE]
    assert line(7) == [QUICK_SHARE, QUICK_SHARE]
