"""What is fitted without folds: on how many rows, with what weights, and what stands in for what is missing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from stand_in import Clock

from autometa.evaluation import Failure, FoldFitter, Job, target_codes
from autometa.space import SearchSpace
from autometa.task import Task
from autometa.tuning._candidate import Problem
from autometa.tuning._strategy import Entry
from autometa.tuning._zero_shot import ZeroShot

N_ROWS = 400
SPACES = {
    kind: SearchSpace.for_kind(kind, ["linear", "knn", "lightgbm"]) for kind in ("regression", "binary")
}
DEFAULTS = {a.name: a.default_configuration() for a in SPACES["regression"]}


class Pretending:
    """Fits for real; the clock is told what each algorithm is said to take, and boosting that it has no time left."""

    n_workers = 1
    is_busy = False

    def __init__(self, fitter: FoldFitter, clock: Clock, seconds: dict[str, float]) -> None:
        self._fitter, self._clock, self._seconds = fitter, clock, seconds
        self._done: list[Any] = []
        self.jobs: list[Job] = []

    @property
    def n_idle(self) -> int:
        return 1

    def submit(self, key: Any, job: Job, limit: float) -> None:
        self.jobs.append(job)
        seconds = self._seconds[job.configuration.algorithm] * (job.max_rows or N_ROWS) / N_ROWS
        self._clock.now += min(seconds, limit)
        late = Failure("timeout", "longer than its share of the time")
        self._done.append((key, self._fitter(job) if seconds <= limit else late, seconds))

    def wait(self) -> list[Any]:
        done, self._done = self._done, []
        return done

    def stop(self) -> None:
        self._done = []


@pytest.fixture(scope="module")
def problem() -> Problem:
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.normal(size=N_ROWS), "b": rng.normal(size=N_ROWS)})
    task = Task.from_frame(X, (X["a"] + X["b"]).rename("y"), metric="r2")
    return Problem(task, [], target_codes(task))


def fitted(
    problem: Problem,
    seconds: dict[str, float],
    limit: float,
    floor_rows: int,
    is_last: bool = False,
    floor_seconds: float = 0.01,
) -> tuple[ZeroShot, list[Job], float]:
    """Fit in a time that only pretends, after a first fit on some rows; return the weight of this first fit as well."""
    clock, fitter, space = Clock(limit), FoldFitter(problem.task, []), SPACES[problem.task.kind]
    default = space["lightgbm"].default_configuration()
    floor = replace(fitter(Job(default, None, floor_rows)), fit_seconds=floor_seconds, prepare_seconds=0.0)
    hands = Pretending(fitter, clock, seconds)
    zero_shot = ZeroShot(problem, clock, 3, 1.0, default, floor)
    entries = [Entry(a.default_configuration(), "recommended", seconds=seconds[a.name]) for a in space]
    zero_shot.fit(hands, entries, (), space, None, is_last=is_last)
    weights = zero_shot._shares() if zero_shot.fits else []
    return zero_shot, hands.jobs, sum(weight for fit, weight in weights if fit is zero_shot.floor)


def test_what_has_seen_all_rows_needs_no_first_fit(problem):
    zero_shot, jobs, weight = fitted(problem, dict.fromkeys(DEFAULTS, 0.1), 10.0, N_ROWS)
    assert [job.max_rows for job in jobs] == [None, None, None]
    assert len(zero_shot.fits) == 3
    assert weight == 0.0
    model = zero_shot.model(zero_shot.preparations)
    error = model.predict(problem.task.X) - problem.y
    assert np.mean(error**2) < 0.2 * np.var(problem.y)


def test_the_first_fit_has_the_weight_of_what_is_missing(problem):
    zero_shot, _, weight = fitted(problem, {"linear": 0.1, "knn": 0.1, "lightgbm": 9.0}, 1.0, N_ROWS)
    assert {c.algorithm for c, _, _ in zero_shot.fits} == {"linear", "knn"}
    assert weight == pytest.approx(1 / 3)


def test_a_first_fit_on_few_rows_has_less_of_it(problem):
    _, _, weight = fitted(problem, {"linear": 0.1, "knn": 0.1, "lightgbm": 9.0}, 1.0, N_ROWS // 4)
    assert weight == pytest.approx(1 / 3 / 4)


def test_members_have_the_rows_that_there_is_time_for_and_count_for_as_many(problem):
    slow = dict.fromkeys(DEFAULTS, 1.0)
    zero_shot, jobs, weight = fitted(problem, slow, 2.0, 100, is_last=True, floor_seconds=3.0)
    rows = {job.max_rows for job in jobs}
    assert len(rows) == 1
    (n_rows,) = rows
    assert n_rows is not None
    assert 100 < n_rows < N_ROWS
    shares = zero_shot._shares()
    assert weight / sum(w for _, w in shares) >= 100 / n_rows / 3 - 1e-9
    members = sum(w for _, _, w in zero_shot.fits)
    zero_shot.floor = FoldFitter(problem.task, [])(Job(DEFAULTS["lightgbm"], None))
    *others, (first, _) = zero_shot._shares()
    assert first is zero_shot.floor
    assert sum(w for _, w in others) == pytest.approx(members * n_rows / N_ROWS)


def test_members_see_no_fewer_rows_than_the_first_fit_did(problem):
    _, jobs, _ = fitted(problem, dict.fromkeys(DEFAULTS, 5.0), 0.5, 300, is_last=True, floor_seconds=2.0)
    assert {job.max_rows for job in jobs} <= {300}


def test_in_the_last_second_the_first_fit_grows_and_counts_for_a_third(problem):
    zero_shot, _, weight = fitted(problem, dict.fromkeys(DEFAULTS, 0.01), 0.9, 100, is_last=True)
    assert zero_shot.floor is not None
    assert zero_shot.floor.n_train == N_ROWS
    assert {fit.n_train for _, fit, _ in zero_shot.fits} == {N_ROWS}
    assert weight == pytest.approx(1 / 3 * sum(w for _, w in zero_shot._shares()))


def test_what_is_asked_about_labels_has_thresholds_of_its_own(problem):
    y = pd.Series(np.where(problem.y > 0, "yes", "no"), name="y")
    task = Task.from_frame(problem.task.X, y, metric="balanced_accuracy")
    _, _, weight = fitted(
        Problem(task, [], target_codes(task)),
        dict.fromkeys(DEFAULTS, 0.01),
        0.9,
        100,
        is_last=True,
    )
    assert weight == 0.0


def test_boosting_that_was_cut_short_is_left_out(problem):
    fitter = FoldFitter(problem.task, [])
    whole, cut = (fitter(Job(DEFAULTS["lightgbm"], None, seconds=s)) for s in (float("inf"), 0.0))
    assert (whole.is_cut, cut.is_cut) == (False, True)
    assert not fitter(Job(DEFAULTS["linear"], None, seconds=0.0)).is_cut
