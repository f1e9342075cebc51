"""MetaSampler never ends a study, whatever stands in the past and whatever the objective returns."""

from __future__ import annotations

import math
import multiprocessing
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial
from stand_in import MetaSampler

from autometa.storage import open_storage

N_TRIALS = 8

names = st.sampled_from(["x", "y", "z", "kind"])
edges = [0.0, 1.0, -1.0, 1e300, -1e300, 1.7e308, -1.7e308, 5e-324]
values = st.sampled_from(edges) | st.floats(allow_nan=False, allow_infinity=False)
results = values | st.sampled_from([math.nan, math.inf, -math.inf])


@st.composite
def distributions(draw: st.DrawFn) -> BaseDistribution:
    """Return a range or choices; a range may be a point, and a choice the only one."""
    kind = draw(st.sampled_from(["float", "log", "int", "step", "choice"]))
    if kind == "choice":
        return CategoricalDistribution(
            tuple(range(draw(st.integers(1, 4)))) + draw(st.sampled_from([(), (None,)]))
        )
    low, width = draw(st.integers(1, 5)), draw(st.sampled_from([0, 1, 1000]))
    if kind == "int":
        return IntDistribution(low, low + width)
    if kind == "step":
        return FloatDistribution(low, low + width, step=0.5)
    return FloatDistribution(low, low + width, log=kind == "log")


spaces = st.dictionaries(names, distributions(), min_size=1, max_size=4)
categorical_spaces = st.dictionaries(
    names, st.just(CategoricalDistribution(("a", "b", "c"))), min_size=1, max_size=3
)


def value_of(distribution: BaseDistribution, rng: np.random.Generator) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[rng.integers(len(distribution.choices))]
    if isinstance(distribution, IntDistribution):
        return int(rng.integers(distribution.low, distribution.high + 1))
    return distribution.low if rng.random() < 0.5 else distribution.high  # type: ignore[attr-defined]


@st.composite
def pasts(draw: st.DrawFn) -> list[optuna.Study]:
    """Return up to three studies, each with up to twelve trials; some failed, some without a parameter."""
    found = []
    for _ in range(draw(st.integers(0, 3))):
        space = draw(spaces | categorical_spaces)
        study = optuna.create_study(direction=draw(st.sampled_from(["minimize", "maximize"])))
        rng = np.random.default_rng(draw(st.integers(0, 9)))
        for value in draw(st.lists(values, max_size=12)):
            params = {name: value_of(d, rng) for name, d in space.items() if rng.random() < 0.9}
            study.add_trial(
                create_trial(params=params, distributions={n: space[n] for n in params}, value=value)
            )
        study.add_trial(create_trial(state=TrialState.FAIL))
        found.append(study)
    return found


def ask(trial: optuna.Trial, space: Mapping[str, BaseDistribution]) -> None:
    for name, d in space.items():
        if isinstance(d, CategoricalDistribution):
            trial.suggest_categorical(name, d.choices)
        elif isinstance(d, IntDistribution):
            trial.suggest_int(name, d.low, d.high)
        else:
            trial.suggest_float(name, d.low, d.high, step=d.step, log=d.log)  # type: ignore[attr-defined]


def objective_of(space: Mapping[str, BaseDistribution], returned: Sequence[float]) -> Any:
    def objective(trial: optuna.Trial) -> float:
        ask(trial, space)
        return returned[trial.number % len(returned)]

    return objective


def is_inside(trial: FrozenTrial) -> bool:
    return all(d._contains(d.to_internal_repr(trial.params[n])) for n, d in trial.distributions.items())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    past=pasts(),
    space=spaces | categorical_spaces,
    returned=st.lists(results, min_size=1, max_size=N_TRIALS),
    direction=st.sampled_from(["minimize", "maximize"]),
    n_jobs=st.sampled_from([1, 1, 2]),
)
def test_every_trial_is_made(
    past: list[optuna.Study],
    space: dict[str, BaseDistribution],
    returned: list[float],
    direction: str,
    n_jobs: int,
) -> None:
    study = optuna.create_study(direction=direction, sampler=MetaSampler(past_studies=past, seed=0))
    study.optimize(objective_of(space, returned), n_trials=N_TRIALS, n_jobs=n_jobs)
    assert len(study.trials) == N_TRIALS
    # Optuna itself fails a trial that returns no number, nothing else.
    failed = [t for t in study.trials if t.state == TrialState.FAIL]
    assert all(math.isnan(returned[t.number % len(returned)]) for t in failed)
    assert all(t.params.keys() == space.keys() and is_inside(t) for t in study.trials)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    returned=st.lists(results, min_size=1, max_size=N_TRIALS),
    names=st.sets(st.sampled_from(["num_leaves", "learning_rate", "subsample", "other"]), min_size=1),
)
def test_every_trial_in_a_part_of_an_algorithms_space_is_made(
    iris: Any, returned: list[float], names: set[str]
) -> None:
    own: dict[str, BaseDistribution] = {
        "num_leaves": IntDistribution(2, 600),
        "learning_rate": CategoricalDistribution((0.1, 0.01)),
        "subsample": FloatDistribution(0.9, 0.9),
        "other": FloatDistribution(0.0, 1.0),
    }
    space = {name: own[name] for name in sorted(names)}
    study = optuna.create_study(
        sampler=MetaSampler(*iris, metric="log_loss", algorithms="lightgbm", space=space, seed=0)
    )
    study.optimize(objective_of(space, returned), n_trials=N_TRIALS)
    assert len(study.trials) == N_TRIALS


def past_study(seed: int = 0) -> optuna.Study:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    study.optimize(lambda t: (t.suggest_float("x", 0, 10) - 3) ** 2, n_trials=20)
    return study


def _work(path: str) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = MetaSampler(past_studies=[past_study()], seed=0)
    study = optuna.load_study(study_name="s", storage=open_storage(path), sampler=sampler)
    study.optimize(lambda t: t.suggest_float("x", 0, 10), n_trials=6)


@pytest.mark.parametrize("name", ["s.journal", "sqlite"])
def test_several_processes_work_on_one_storage(name: str, tmp_path: Any) -> None:
    path = f"sqlite:///{tmp_path}/s.db" if name == "sqlite" else str(tmp_path / name)
    optuna.create_study(study_name="s", storage=open_storage(path))
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_work, args=(path,)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    study = optuna.load_study(study_name="s", storage=open_storage(path))
    assert [t.state for t in study.trials] == [TrialState.COMPLETE] * 12


def test_an_error_of_experience_leaves_the_trial_to_the_wrapped_sampler(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken(MetaSampler):
        def _experience_of(self, *_: Any) -> Any:
            raise MemoryError("no room")

    def run(sampler: optuna.samplers.BaseSampler) -> list[dict[str, Any]]:
        study = optuna.create_study(sampler=sampler)
        study.optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=4)
        return [t.params for t in study.trials]

    plain = optuna.samplers.RandomSampler
    assert run(Broken(sampler=plain(seed=0))) == run(plain(seed=0))
    assert caplog.text.count("no room") == 4
