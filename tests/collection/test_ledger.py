"""Who makes which run: of several that want it one gets it, and what a dead holder left is free again."""

from __future__ import annotations

import optuna
import pytest
from optuna.trial import TrialState

from autometa.collection._ledger import Ledger, is_made, key
from autometa.evaluation import Run
from autometa.metabase import TUNED
from autometa.space import Configuration, SearchSpace
from autometa.storage import open_storage

SPACE = SearchSpace.for_kind("binary", ["knn"])
DESIGN = SPACE.design(4)
DEFAULT = DESIGN[0]
LEASE = 60.0


def good(configuration: Configuration, score: float = 0.75) -> Run:
    return Run(configuration, "ok", scores={"roc_auc": score}, fit_seconds=0.1, n_train=30, n_folds=3)


class Clock:
    """Time passes only where a test says so: a storage may be slow."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(params=["runs.journal", "sqlite:///{path}/runs.db"])
def meet(request, tmp_path, clock):
    """Return a function that opens the storage anew: the ledger and the study of one more runner."""
    place = request.param.format(path=tmp_path)
    place = place if "://" in place else str(tmp_path / place)

    def open_once():
        storage = open_storage(place)
        study = optuna.create_study(
            study_name="task", storage=storage, direction="maximize", load_if_exists=True
        )
        return Ledger(storage, LEASE, clock), study

    return open_once


def claim(ledger, study, configuration=DEFAULT, fidelity=1000, n_tuned=0):
    return ledger.claim(study, SPACE, configuration, fidelity, n_tuned)


def test_of_two_that_want_a_run_the_first_makes_it(meet):
    (ours, study), (theirs, same) = meet(), meet()
    trial_id = claim(ours, study)
    assert claim(theirs, same) is None
    assert not any(map(is_made, theirs.runs(same)))
    assert ours.finish(trial_id, good(DEFAULT))
    assert claim(theirs, same) is None
    (run,) = theirs.runs(same)
    assert is_made(run)
    assert key(run) == (DEFAULT.id, 1000)
    assert (run.state, run.value) == (TrialState.COMPLETE, 0.75)
    assert run.params == DEFAULT.joint_params()


def test_another_fidelity_or_configuration_is_another_run(meet):
    ledger, study = meet()
    ids = [claim(ledger, study), claim(ledger, study, fidelity=500), claim(ledger, study, DESIGN[1])]
    assert None not in ids
    assert len(ledger.runs(study)) == 3


def test_a_run_that_is_given_back_is_free_and_leaves_nothing(meet):
    ledger, study = meet()
    ledger.release(claim(ledger, study))
    assert ledger.runs(study) == []
    assert claim(ledger, study) is not None


def test_what_failed_is_stored_and_not_free(meet):
    ledger, study = meet()
    trial_id = claim(ledger, study)
    assert ledger.finish(trial_id, Run(DEFAULT, "timeout", reason="longer than 1 s"))
    assert claim(ledger, study) is None
    assert study.trials[0].state is TrialState.FAIL


def test_a_silent_holder_loses_its_run_and_cannot_finish_it_any_more(meet, clock):
    (ours, study), (theirs, same) = meet(), meet()
    lost = claim(ours, study)
    assert claim(theirs, same) is None
    clock.sleep(1.5 * LEASE)
    taken = claim(theirs, same)
    assert taken is not None
    assert not ours.finish(lost, good(DEFAULT, 0.5))
    assert theirs.finish(taken, good(DEFAULT, 0.75))
    assert [run.value for run in ours.runs(study)] == [0.75]


def test_a_holder_that_gives_signs_keeps_its_run(meet, clock):
    (ours, study), (theirs, same) = meet(), meet()
    trial_id = claim(ours, study)
    for _ in range(6):
        assert claim(theirs, same) is None
        clock.sleep(LEASE / 3)
        ours.give_signs()
    assert ours.finish(trial_id, good(DEFAULT))


def test_the_tuned_runs_of_all_runners_together_stay_within_their_number(meet):
    (ours, study), (theirs, same) = meet(), meet()
    tuned = [Configuration(c.algorithm, c.params, TUNED) for c in DESIGN]
    assert claim(ours, study, tuned[0], n_tuned=2) is not None
    assert claim(theirs, same, tuned[1], n_tuned=2) is not None
    assert claim(theirs, same, tuned[2], n_tuned=2) is None
    assert claim(ours, study, DESIGN[3], n_tuned=2) is not None
