"""The first trials: which recommendation comes next, given what the trials before have shown."""

from __future__ import annotations

import optuna
import pytest
from simulation import simulate_metabase

from autometa.metamodel import MetaModel
from autometa.space import SearchSpace
from autometa.tuning import MetaSampler
from autometa.tuning._suggestions import N_SUGGESTIONS

SPACE = SearchSpace.for_kind("multiclass")
SMOOTH = ("linear", "svm", "mlp")


@pytest.fixture(scope="module")
def model() -> MetaModel:
    return MetaModel.fit(simulate_metabase(n_tasks=16, n_configurations=4))


def search(iris, model, direction: str, good_are_smooth: bool, n_trials: int = N_SUGGESTIONS) -> optuna.Study:
    """Smooth models or trees do well, as in the base, whatever its meta-features say of the table."""

    def objective(trial: optuna.Trial) -> float:
        is_good = (SPACE.suggest(trial).algorithm in SMOOTH) == good_are_smooth
        loss = 0.1 if is_good else 0.275
        return loss if direction == "minimize" else -loss

    study = optuna.create_study(
        direction=direction,
        sampler=MetaSampler(
            *iris,
            metamodel=model,
            metric="log_loss",
            objective="loss" if direction == "minimize" else "score",
            seed=0,
        ),
    )
    study.optimize(objective, n_trials=n_trials)
    return study


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
@pytest.mark.parametrize("good_are_smooth", [True, False])
def test_the_next_trials_are_like_those_that_did_well(iris, model, direction, good_are_smooth) -> None:
    study = search(iris, model, direction, good_are_smooth)
    chosen = [SPACE.configuration(t.params) for t in study.trials]
    assert len(set(chosen)) == N_SUGGESTIONS
    assert study.sampler.ranks(study).keys() == set(range(N_SUGGESTIONS))
    late = [(c.algorithm in SMOOTH) == good_are_smooth for c in chosen[4:]]
    assert sum(late) >= 5


def test_different_results_lead_to_different_trials(iris, model) -> None:
    one, other = (search(iris, model, "minimize", smooth) for smooth in (True, False))
    assert one.trials[0].params == other.trials[0].params
    assert [t.params for t in one.trials] != [t.params for t in other.trials]


def test_the_suggestions_end_and_failed_trials_count(iris, model) -> None:
    def objective(trial: optuna.Trial) -> float:
        SPACE.suggest(trial)
        raise ValueError

    study = optuna.create_study(sampler=MetaSampler(*iris, metamodel=model, seed=0))
    study.optimize(objective, n_trials=N_SUGGESTIONS + 2, catch=(ValueError,))
    # Without any result the order of the recommendations stands.
    assert study.sampler.ranks(study) == {n: n + 1 for n in range(N_SUGGESTIONS)}


def test_trials_that_run_at_the_same_time_differ(iris, model) -> None:
    study = optuna.create_study(sampler=MetaSampler(*iris, metamodel=model, metric="log_loss", seed=0))
    trials = [study.ask() for _ in range(4)]
    chosen = [SPACE.suggest(trial) for trial in trials]
    study.tell(trials[0], 0.1)
    late = [study.ask() for _ in range(4)]
    chosen += [SPACE.suggest(trial) for trial in late]
    assert len(set(chosen)) == 8
