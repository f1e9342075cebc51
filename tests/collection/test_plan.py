"""Where the next run is made: on the best algorithms, and never twice."""

from __future__ import annotations

import pytest
from optuna.trial import TrialState

from autometa.collection._ledger import N_ALGORITHMS, as_trial, key, propose
from autometa.metabase import TUNED
from autometa.space import SearchSpace
from autometa.storage import quiet_optuna

SPACE = SearchSpace.for_kind("binary")
QUALITY = {name: place / 10 for place, name in enumerate(SPACE.algorithms)}
BEST = list(SPACE.algorithms)[-N_ALGORITHMS:]


def trial(configuration, fidelity=1000):
    score = QUALITY[configuration.algorithm]
    return as_trial(SPACE, configuration, fidelity, TrialState.COMPLETE, {"status": "ok", "roc_auc": score})


@pytest.fixture
def runs():
    return [trial(configuration) for configuration in SPACE.design(3)]


def test_proposals_are_new_valid_and_of_the_best_algorithms(runs):
    with quiet_optuna():
        for _ in range(12):
            configuration = propose(SPACE, runs, 1000)
            assert configuration.algorithm in BEST
            assert configuration.origin == TUNED
            assert not SPACE.problems(configuration)
            assert configuration.id not in {key(run)[0] for run in runs}
            runs.append(trial(configuration))


def test_the_same_runs_give_the_same_proposal(runs):
    assert propose(SPACE, runs, 1000, seed=3) == propose(SPACE, runs, 1000, seed=3)


def test_without_a_successful_run_at_the_fidelity_there_is_nothing_to_go_by(runs):
    assert propose(SPACE, [], 1000) is None
    assert propose(SPACE, runs, 500) is None
    failed = [as_trial(SPACE, c, 1000, TrialState.FAIL, {"status": "failed"}) for c in SPACE.design(1)]
    assert propose(SPACE, failed, 1000) is None
