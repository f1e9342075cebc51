"""Several processes on one study: each configuration is fitted by one of them."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from pathlib import Path
from typing import Any

import optuna
import pytest
from stand_in import tune

from autometa.space import SearchSpace
from autometa.storage import open_storage
from autometa.tuning import seed_of
from autometa.tuning._strategy import Entry, Listed, is_mine, tried

SPACE = SearchSpace.for_kind("multiclass", ["linear", "knn"])
DESIGN = list(dict.fromkeys(SPACE.design(6)))


@pytest.fixture
def studies(tmp_path) -> list[optuna.Study]:
    """Return one study as two processes see it."""
    path = str(tmp_path / "runs.journal")
    options: dict[str, Any] = {"study_name": "shared", "direction": "maximize"}
    return [optuna.create_study(storage=open_storage(path), load_if_exists=True, **options) for _ in range(2)]


def line_up(study: optuna.Study, configuration: Any) -> None:
    study.enqueue_trial(configuration.joint_params())


def take(study: optuna.Study) -> tuple[Any, Any]:
    trial = study.ask()
    return trial, SPACE.suggest(trial)


def propose(study: optuna.Study, configuration: Any) -> tuple[Any, Any]:
    """Ask for a trial whose sampler gives a configuration."""

    class Always(optuna.samplers.RandomSampler):
        def sample_independent(self, study: Any, trial: Any, name: str, distribution: Any) -> Any:
            return configuration.joint_params()[name]

    study.sampler = Always()
    return take(study)


def test_of_two_in_line_the_lower_number_stays_whoever_looks_first(studies) -> None:
    a, b = studies
    line_up(a, DESIGN[0])
    line_up(b, DESIGN[0])
    (first, c), (second, d) = take(a), take(b)
    assert c == d == DESIGN[0]
    assert not is_mine(b, second, d, SPACE)
    assert is_mine(a, first, c, SPACE)


def test_of_two_proposed_the_later_gives_way(studies) -> None:
    a, b = studies
    first, c = propose(a, DESIGN[0])
    assert is_mine(a, first, c, SPACE)
    second, d = propose(b, DESIGN[0])
    assert not is_mine(b, second, d, SPACE)


def test_both_never_keep_one(studies) -> None:
    a, b = studies
    (first, c), (second, d) = propose(a, DESIGN[0]), propose(b, DESIGN[0])
    kept = [is_mine(a, first, c, SPACE), is_mine(b, second, d, SPACE)]
    assert sum(kept) == 1
    assert tried(a, SPACE) == {DESIGN[0].id}


def test_what_was_given_up_is_free_again(studies) -> None:
    a, b = studies
    first, c = propose(a, DESIGN[0])
    second, d = propose(b, DESIGN[0])
    assert not is_mine(b, second, d, SPACE)
    assert b.trials[second.number].state == optuna.trial.TrialState.FAIL
    assert is_mine(a, first, c, SPACE)


def test_what_waits_in_line_counts_as_tried(studies) -> None:
    a, b = studies
    line_up(a, DESIGN[1])
    assert tried(b, SPACE) == {DESIGN[1].id}


def test_of_what_is_being_made_all_is_known_that_was_put_in_line(studies) -> None:
    a, b = studies
    line_up(a, DESIGN[1])
    trial = a.ask()
    trial.suggest_categorical("algorithm", list(SPACE.algorithms))
    assert tried(b, SPACE) == {DESIGN[1].id}


def test_two_lists_share_what_is_on_them(studies) -> None:
    lists = [
        Listed(study, SPACE, [Entry(c, "recommended", i) for i, c in enumerate(DESIGN)]) for study in studies
    ]
    found = []
    while len(found) < len(DESIGN):
        for one in lists:
            if (candidate := one.next(lambda *_: True)) is not None:
                found.append(candidate)
    assert Counter(c.configuration.id for c in found) == Counter(c.id for c in DESIGN)
    assert all(DESIGN[c.rank] == c.configuration for c in found)
    assert all(one.next(lambda *_: True) is None for one in lists)


def test_processes_agree_on_the_seed_without_a_word(studies) -> None:
    a, b = studies
    assert seed_of(a, None, is_shared=True) == seed_of(b, None, is_shared=True)


def work(path: str, X: Any, y: Any, barrier: Any) -> None:
    barrier.wait()
    tune(X, y, n_trials=4, cv=2, algorithms=["linear", "knn"], storage=path, study_name="shared")


@pytest.mark.timeout(600)
def test_two_processes_on_one_study_fit_nothing_twice(iris, tmp_path) -> None:
    path = str(tmp_path / "runs.journal")
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(2)
    arguments = (path, *iris, barrier)
    both = [context.Process(target=work, args=arguments) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    study = optuna.load_study(study_name="shared", storage=open_storage(path))
    made = Counter(t.user_attrs["configuration_id"] for t in study.trials if "run" in t.user_attrs)
    assert sum(made.values()) == 8
    assert max(made.values()) == 1
    assert Path(path).stat().st_size
