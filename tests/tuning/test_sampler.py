"""MetaSampler is an Optuna sampler like any other, and runs the ranked configurations first, each once."""

from __future__ import annotations

import multiprocessing
import pickle
import sys
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, TPESampler
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    MultiObjectiveSamplerTestCase,
    RelativeSamplerTestCase,
)
from optuna.trial import TrialState
from refusals import refused
from stand_in import MetaSampler, StandIn, warm_start
from threadpoolctl import threadpool_info

from autometa.errors import UsageError
from autometa.space import Configuration, SearchSpace, register_algorithm, unregister_algorithm
from autometa.storage import open_storage
from autometa.tuning import _prior, _suggestions, _transfer
from autometa.tuning._prior import History, Prior

SPACE = SearchSpace.for_kind("multiclass")


def past_study(seed: int = 0, direction: str = "minimize") -> optuna.Study:
    """Return a study whose best x is near 3, and whose parameters carry the names that Optuna's own suite uses."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed), direction=direction)
    sign = 1 if direction == "minimize" else -1
    study.optimize(
        lambda t: sign * (t.suggest_float("x", 0, 10) - 3) ** 2 + sign * t.suggest_int("y", 0, 10),
        n_trials=20,
    )
    return study


@pytest.fixture
def _few_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Optuna's suite asks for what is allowed in thousands of trials, not for what is good."""
    for name in ("_N_NEW", "_N_NEAR", "_N_REFINED"):
        monkeypatch.setattr(_transfer, name, 10)


@pytest.mark.usefixtures("_few_candidates")
class TestOptunasOwnSuite(BasicSamplerTestCase, MultiObjectiveSamplerTestCase):
    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        past = [past_study()]
        return lambda: MetaSampler(past_studies=past, seed=0)


class TestOptunasOwnSuiteWithData(BasicSamplerTestCase):
    @pytest.fixture
    def sampler(self, iris: Any) -> Callable[[], BaseSampler]:
        return lambda: MetaSampler(*iris, seed=0)


@pytest.mark.usefixtures("_few_candidates")
class TestOptunasOwnRelativeSuite(RelativeSamplerTestCase):
    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        past = [past_study()]
        return lambda: MetaSampler(
            past_studies=past, sampler=TPESampler(n_startup_trials=0, multivariate=True, seed=0)
        )


def _ask(trial: optuna.Trial, name: str, distribution: BaseDistribution) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return trial.suggest_categorical(name, distribution.choices)
    ask = trial.suggest_int if isinstance(distribution, IntDistribution) else trial.suggest_float
    return ask(name, distribution.low, distribution.high, log=distribution.log)  # type: ignore[attr-defined]


def joint_objective(trial: optuna.Trial) -> float:
    configuration = SPACE.suggest(trial)
    return float(int(configuration.id, 16) % 1000)


def test_joint_space_runs_the_recommendations_in_order(iris, suggested) -> None:
    study = optuna.create_study(sampler=MetaSampler(*iris, seed=0))
    study.optimize(joint_objective, n_trials=14)
    assert [SPACE.configuration(t.params) for t in study.trials[:10]] == suggested()
    assert study.sampler.ranks(study) == {number: number + 1 for number in range(10)}


def lightgbm_objective(names: Sequence[str]) -> Callable[[optuna.Trial], float]:
    """Return an objective that asks for some of LightGBM's parameters, under their own names."""
    axes = SPACE["lightgbm"].distributions
    return lambda trial: float(
        sum(zlib.crc32(repr(_ask(trial, name, axes[name])).encode()) % 100 for name in names)
    )


def test_one_algorithm_under_its_own_names(iris, suggested) -> None:
    names = list(SPACE["lightgbm"].distributions)
    sampler = MetaSampler(*iris, algorithms="lightgbm", space=SPACE["lightgbm"].distributions, seed=0)
    study = optuna.create_study(sampler=sampler)
    study.optimize(lightgbm_objective(names), n_trials=5)
    for trial, configuration in zip(study.trials, suggested(5, algorithms=["lightgbm"]), strict=True):
        assert trial.params == configuration.params
    assert sampler.ranks(study) == {number: number + 1 for number in range(5)}


def test_ranges_of_the_user_hold(iris, suggested) -> None:
    own = {**SPACE["lightgbm"].distributions, "num_leaves": IntDistribution(2, 16)}
    sampler = MetaSampler(*iris, algorithms="lightgbm", space=own, seed=0)
    study = optuna.create_study(sampler=sampler)
    study.optimize(
        lambda t: float(sum(zlib.crc32(repr(_ask(t, name, own[name])).encode()) % 9 for name in own)),
        n_trials=4,
    )
    for trial, configuration in zip(study.trials, suggested(4, algorithms=["lightgbm"]), strict=True):
        assert trial.params == {
            **configuration.params,
            "num_leaves": min(configuration.params["num_leaves"], 16),
        }


def test_a_space_is_not_guessed(iris) -> None:
    def objective(trial: optuna.Trial) -> float:
        return trial.suggest_int("num_leaves", 2, 16) + trial.suggest_float("learning_rate", 0.01, 0.3)

    sampler = MetaSampler(*iris, seed=0)
    study = optuna.create_study(sampler=sampler)
    study.optimize(objective, n_trials=3)
    assert not sampler.ranks(study)


def test_the_first_trial_of_a_space_that_nobody_told_is_the_librarys_default(iris, suggested) -> None:
    names, default = list(SPACE["lightgbm"].distributions), SPACE["lightgbm"].default
    study = optuna.create_study(sampler=MetaSampler(*iris, algorithms="lightgbm", seed=0))
    study.optimize(lightgbm_objective(names), n_trials=4)
    assert study.trials[0].params == default
    # The default is recommended too, and not run again.
    others = [c.params for c in suggested(4, algorithms=["lightgbm"]) if c.params != default]
    assert [t.params for t in study.trials[1:]] == others[:3]


@pytest.mark.parametrize(
    ("metric", "objective", "direction"),
    [
        ("roc_auc_ovr", None, "minimize"),
        ("roc_auc_ovr", "loss", "maximize"),
        ("log_loss", None, "maximize"),
        ("log_loss", "score", "minimize"),
        ("neg_log_loss", None, "minimize"),
    ],
)
def test_a_direction_that_contradicts_the_metric_is_an_error_with_a_cure(
    iris, suggested, metric, objective, direction
) -> None:
    study = optuna.create_study(
        direction=direction, sampler=MetaSampler(*iris, metric=metric, objective=objective, seed=0)
    )
    other = "minimize" if direction == "maximize" else "maximize"
    with refused(UsageError, "AM526", match=f"direction='{other}'.*objective="):
        study.optimize(joint_objective, n_trials=1)
    cure = "loss" if direction == "minimize" else "score"
    study = optuna.create_study(
        direction=direction, sampler=MetaSampler(*iris, metric=metric, objective=cure, seed=0)
    )
    study.optimize(joint_objective, n_trials=1)
    assert SPACE.configuration(study.trials[0].params) == suggested(1)[0]


@pytest.mark.parametrize("space", [{"x": FloatDistribution(0, 1)}, None])
def test_a_space_that_experience_says_nothing_about_may_go_any_way(iris, space) -> None:
    sampler = MetaSampler(*iris, metric="log_loss", algorithms="lightgbm", space=space, seed=0)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3)
    assert len(study.trials) == 3


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"fixed": {"num_leaves": 31}}, "one algorithm"),
        ({"space": {}, "algorithms": ["lightgbm", "knn"]}, "one algorithm"),
        ({"fixed": {"leaves": 31}, "algorithms": "lightgbm"}, "has no 'leaves'"),
        ({"fixed": {"num_leaves": "many"}, "algorithms": "lightgbm"}, "num_leaves='many'"),
        (
            {
                "fixed": {"num_leaves": 3},
                "space": {"num_leaves": IntDistribution(2, 9)},
                "algorithms": "lightgbm",
            },
            "in the space too",
        ),
        ({"objective": "gain"}, "objective 'gain'"),
    ],
)
def test_what_cannot_be_meant_is_refused(iris, options, match) -> None:
    with refused(UsageError, "AM526", match=match):
        MetaSampler(*iris, **options)


def test_a_loss_is_read_as_the_metric_that_it_is(iris) -> None:
    """The same results, told as AUC, as its loss and as its score, lead to the same trials."""

    def run(objective: str) -> list[dict[str, Any]]:
        sign = -1.0 if objective == "loss" else 1.0
        study = optuna.create_study(
            direction="minimize" if objective == "loss" else "maximize",
            sampler=MetaSampler(*iris, metric="roc_auc_ovr", objective=objective, seed=0),  # type: ignore[arg-type]
        )
        offset = 1.0 if objective == "loss" else 0.0
        study.optimize(lambda t: offset + sign * joint_objective(t) / 1000, n_trials=12)
        return [t.params for t in study.trials]

    assert run("metric") == run("loss") == run("score")


class CountingStorage(optuna.storages.InMemoryStorage):
    """Counts how often somebody reads all trials."""

    def __init__(self) -> None:
        super().__init__()
        self.n_reads = 0

    def get_all_trials(self, *args: Any, **options: Any) -> Any:
        self.n_reads += 1
        return super().get_all_trials(*args, **options)


@pytest.mark.parametrize("source", ["table", "past"])
def test_the_trials_are_read_once_for_each_trial(iris, source) -> None:
    storage = CountingStorage()
    reads = {}
    for wrapped in (True, False):
        plain = optuna.samplers.RandomSampler(seed=0)
        made = (
            MetaSampler(*iris, seed=0, sampler=plain)
            if source == "table"
            else MetaSampler(past_studies=[past_study()], seed=0, sampler=plain)
        )
        study = optuna.create_study(storage=storage, sampler=made if wrapped else plain)
        before = storage.n_reads
        study.optimize(
            joint_objective if source == "table" else lambda t: t.suggest_float("x", 0, 10), n_trials=8
        )
        reads[wrapped] = storage.n_reads - before
    assert reads[True] - reads[False] == 8


def test_only_the_algorithms_asked_for_are_recommended(iris) -> None:
    wanted = ("random_forest", "lightgbm")
    study = optuna.create_study(sampler=MetaSampler(*iris, seed=0, algorithms=wanted))
    study.optimize(joint_objective, n_trials=6)
    ranked = [study.trials[number].params["algorithm"] for number in study.sampler.ranks(study)]
    assert ranked
    assert set(ranked) <= set(wanted)
    with refused(UsageError, "AM504"):
        MetaSampler(*iris, algorithms="lightgmb")


@pytest.mark.parametrize("make", [lambda: {"past_studies": [past_study()]}, lambda: {}])
def test_same_seed_same_trials(iris, make) -> None:
    def run() -> list[dict[str, Any]]:
        study = optuna.create_study(sampler=MetaSampler(*iris, seed=3, **make()))
        study.optimize(joint_objective, n_trials=13)
        return [t.params for t in study.trials]

    assert run() == run()


def test_failed_and_pruned_trials_keep_their_configuration(iris, suggested) -> None:
    study = optuna.create_study(sampler=MetaSampler(*iris, seed=0))
    for state in (TrialState.FAIL, TrialState.PRUNED, TrialState.COMPLETE, TrialState.COMPLETE):
        trial = study.ask()
        value = joint_objective(trial)
        study.tell(trial, value if state == TrialState.COMPLETE else None, state)
    assert [SPACE.configuration(t.params) for t in study.trials] == suggested(4)


def test_running_trials_count(iris, suggested) -> None:
    study = optuna.create_study(sampler=MetaSampler(*iris, seed=0))
    trials = [study.ask() for _ in range(3)]
    # Suggested in another order than asked for: each trial still has its own.
    found = {trial.number: SPACE.suggest(trial) for trial in reversed(trials)}
    assert sorted(c.id for c in found.values()) == sorted(c.id for c in suggested(3))


def test_enqueued_trials_use_no_suggestion_up(iris, suggested) -> None:
    study = optuna.create_study(sampler=MetaSampler(*iris, seed=0))
    study.optimize(joint_objective, n_trials=1)
    study.enqueue_trial({"algorithm": "knn", "knn__n_neighbors": 33})
    study.optimize(joint_objective, n_trials=3)
    assert study.trials[1].params["knn__n_neighbors"] == 33
    assert 1 not in study.sampler.ranks(study)
    others = [SPACE.configuration(study.trials[i].params) for i in (0, 2, 3)]
    assert others == suggested(3)


def test_what_warm_start_enqueued_is_not_run_again(iris) -> None:
    study = optuna.create_study(sampler=MetaSampler(*iris, seed=0))
    warm_start(study, *iris, k=4)
    study.optimize(joint_objective, n_trials=10)
    ids = [SPACE.configuration(t.params).id for t in study.trials]
    assert len(set(ids)) == 10


def test_trials_of_another_sampler_use_no_suggestion_up(iris, suggested) -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(joint_objective, n_trials=3)
    study.sampler = MetaSampler(*iris, seed=0)
    study.optimize(joint_objective, n_trials=2)
    assert [SPACE.configuration(t.params) for t in study.trials[3:]] == suggested(2)


def test_a_continued_study_goes_on_in_the_list(iris, suggested, tmp_path) -> None:
    for _ in range(2):
        storage = open_storage(str(tmp_path / "s.journal"))
        study = optuna.create_study(
            study_name="s", storage=storage, load_if_exists=True, sampler=MetaSampler(*iris)
        )
        study.optimize(joint_objective, n_trials=3)
    assert [SPACE.configuration(t.params) for t in study.trials] == suggested(6)


def _work(path: str, configurations: Any) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = MetaSampler.from_configurations(configurations, SPACE)
    study = optuna.load_study(study_name="s", storage=open_storage(path), sampler=sampler)
    study.optimize(joint_objective, n_trials=5)


def test_workers_on_one_storage_share_the_list(suggested, tmp_path) -> None:
    path = str(tmp_path / "s.journal")
    optuna.create_study(study_name="s", storage=open_storage(path))
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_work, args=(path, suggested())) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    study = optuna.load_study(study_name="s", storage=open_storage(path))
    assert {SPACE.configuration(t.params).id for t in study.trials} == {c.id for c in suggested()}


def test_threads_share_the_list(suggested) -> None:
    configurations = suggested()
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # the threads take turns as often as they can
    try:
        for _ in range(10):
            study = optuna.create_study(sampler=MetaSampler.from_configurations(configurations, SPACE))
            study.optimize(joint_objective, n_trials=10, n_jobs=3)
            assert {SPACE.configuration(t.params).id for t in study.trials} == {c.id for c in configurations}
    finally:
        sys.setswitchinterval(before)


@pytest.mark.parametrize(
    "pruner", [optuna.pruners.MedianPruner(), optuna.pruners.HyperbandPruner(max_resource=4)]
)
def test_pruners_beside_it(iris, suggested, pruner) -> None:
    def objective(trial: optuna.Trial) -> float:
        value = joint_objective(trial)
        for step in range(4):
            trial.report(value, step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return value

    study = optuna.create_study(sampler=MetaSampler(*iris, seed=0), pruner=pruner)
    study.optimize(objective, n_trials=8)
    assert [SPACE.configuration(t.params) for t in study.trials] == suggested(8)


def test_several_objectives_fall_back(iris) -> None:
    study = optuna.create_study(directions=["minimize", "maximize"], sampler=MetaSampler(*iris, seed=0))
    study.optimize(lambda t: (joint_objective(t), 1.0), n_trials=3)
    assert not study.sampler.ranks(study)


def knn_loss(configuration: Configuration) -> float:
    """The best number of neighbours is 17; other algorithms are bad."""
    if configuration.algorithm != "knn":
        return 9.0
    return abs(np.log(configuration.params["n_neighbors"] / 17)) + (configuration.params["p"] == 1)


class WithRuns(StandIn):
    """Has runs on six known tasks, all like :func:`knn_loss`, behind the recommendations."""

    def recommend(self, task: Any, *, algorithms: Any = None, **options: Any) -> Any:
        found, rng = super().recommend(task, algorithms=algorithms, **options), np.random.default_rng(0)
        found.past_runs = []
        for _ in range(6):
            units = rng.random((30, len(SPACE["knn"].distributions)))
            known = [SPACE["knn"].from_unit(unit) for unit in units]
            if algorithms is None:
                known += [algorithm.default_configuration() for algorithm in SPACE]
            found.past_runs.append((known, -np.array([knn_loss(c) for c in known])))
        return found


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_after_the_recommendations_the_runs_on_known_tasks_propose(iris, direction) -> None:
    sign = 1.0 if direction == "minimize" else -1.0
    objective = "loss" if direction == "minimize" else "score"
    sampler = MetaSampler(*iris, metamodel=WithRuns(), objective=objective, seed=0)  # type: ignore[arg-type]
    study = optuna.create_study(sampler=sampler, direction=direction)
    study.optimize(lambda t: sign * knn_loss(SPACE.suggest(t)), n_trials=16)
    assert len(study.sampler.ranks(study)) == 10
    losses = sign * np.array([t.value for t in study.trials])
    assert losses[10:13].min() < 0.1 < losses[:10].min()


def test_the_proposals_are_judged_by_the_trials_after_the_recommendations(iris, monkeypatch) -> None:
    counts = []

    def stagnation(losses: Any, n_given: int) -> float:
        counts.append((len(losses), n_given))
        return 0.0

    monkeypatch.setattr(_transfer, "stagnation", stagnation)
    study = optuna.create_study(sampler=MetaSampler(*iris, metamodel=WithRuns(), seed=0))
    study.optimize(lambda t: knn_loss(SPACE.suggest(t)), n_trials=13)
    assert counts == [(10, 10), (11, 10), (12, 10)]


def test_one_algorithm_is_proposed_under_its_own_names(iris) -> None:
    def objective(trial: optuna.Trial) -> float:
        p = trial.suggest_categorical("p", [1, 2])
        return abs(np.log(trial.suggest_int("n_neighbors", 1, 50, log=True) / 17)) + (p == 1)

    default = {name: SPACE["knn"].default[name] for name in ("p", "n_neighbors")}
    study = optuna.create_study(sampler=MetaSampler(*iris, metamodel=WithRuns(), algorithms="knn", seed=0))
    study.optimize(objective, n_trials=10)
    losses = np.array([t.value for t in study.trials])
    assert study.trials[0].params == default
    assert losses[1:8].min() < 0.1
    told = MetaSampler(
        *iris,
        metamodel=WithRuns(),
        algorithms="knn",
        space={n: SPACE["knn"].distributions[n] for n in default},
        seed=0,
    )
    study = optuna.create_study(sampler=told)
    study.optimize(objective, n_trials=3)
    assert study.trials[0].value < study.trials[1].value
    assert study.trials[1].params == default


def test_proposals_take_one_thread(iris, monkeypatch) -> None:
    threads = []

    def fit_prior(history: History) -> Prior:
        threads.extend(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")
        return _prior.fit_prior(history)

    monkeypatch.setattr(_suggestions, "fit_prior", fit_prior)
    study = optuna.create_study(sampler=MetaSampler(*iris, metamodel=WithRuns(), seed=0))
    study.optimize(joint_objective, n_trials=11)
    assert set(threads) == {1}


def test_an_algorithm_of_ones_own_is_left_to_the_wrapped_sampler(iris) -> None:
    register_algorithm(replace(SPACE["knn"], name="own_knn"), kinds=["classification"])
    try:
        sampler = MetaSampler(*iris, metamodel=WithRuns(), seed=0)
        study = optuna.create_study(sampler=sampler)
        space = SearchSpace.for_kind("multiclass")
        study.optimize(lambda t: float(int(space.suggest(t).id, 16) % 1000), n_trials=12)
        assert len(sampler.ranks(study)) == 10
        assert sampler._joint.proposed is None
    finally:
        unregister_algorithm("own_knn")


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_past_studies_say_where_to_start(direction) -> None:
    past = {name: past_study(seed, direction) for seed, name in enumerate("abc")}
    study = optuna.create_study(sampler=MetaSampler(past_studies=past, seed=0))
    study.optimize(lambda t: t.suggest_float("x", 0, 10) + t.suggest_int("y", 0, 10), n_trials=3)
    assert abs(study.trials[0].params["x"] - 3) < 1.5
    assert study.trials[0].params["y"] < 3
    assert len({tuple(t.params.values()) for t in study.trials}) == 3


AXES = {f"x{i}": FloatDistribution(0.0, 1.0) for i in range(4)}


def bowl(seed: int) -> Callable[[Mapping[str, Any]], float]:
    """Return a loss whose optimum, 0, lies near the same place for every seed; the last axis matters least."""
    rng = np.random.default_rng(seed)
    optimum = np.array([0.3, 0.75, 0.2, 0.6]) + rng.normal(0.0, 0.08, 4)
    slopes = np.array([1.0, 0.6, 0.3, 0.1]) * np.exp(rng.normal(0.0, 0.3, 4))

    def loss(params: Mapping[str, Any]) -> float:
        gaps = np.array([params[name] for name in AXES]) - optimum
        return float((slopes * gaps**2 + 0.03 * (1 - np.cos(9 * gaps))).sum())

    return loss


def misleading_study(seed: int, how: str) -> optuna.Study:
    rng = np.random.default_rng(seed)
    points = [dict(zip(AXES, map(float, row), strict=True)) for row in rng.random((60, 4))]
    losses = np.array([bowl(1000 + seed)(point) for point in points])
    losses = rng.permutation(losses) if how == "shuffled" else -losses
    study = optuna.create_study()
    for point, value in zip(points, losses, strict=True):
        study.add_trial(optuna.trial.create_trial(params=point, distributions=AXES, value=float(value)))
    return study


@pytest.mark.parametrize("how", ["shuffled", "reversed"])
def test_a_misleading_past_costs_little(how) -> None:
    past = [misleading_study(seed, how) for seed in range(8)]

    def regrets(make: Callable[[int], BaseSampler]) -> Any:
        found = []
        for seed in range(8):
            study, loss = optuna.create_study(sampler=make(seed)), bowl(seed)
            study.optimize(
                lambda t, loss=loss: loss({n: t.suggest_float(n, 0, 1) for n in AXES}), n_trials=40
            )
            found.append(np.minimum.accumulate([t.value for t in study.trials]))
        return np.mean(found, axis=0)

    ours, theirs = (
        regrets(lambda s: MetaSampler(past_studies=past, seed=s)),
        regrets(lambda s: TPESampler(seed=s)),
    )
    assert np.all(ours[[29, 39]] <= 1.1 * theirs[[29, 39]])


def test_scales_of_past_studies_do_not_matter() -> None:
    def first(scale: float) -> dict[str, Any]:
        big = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=9))
        big.optimize(lambda t: scale * (t.suggest_float("x", 0, 10) - 8) ** 2, n_trials=20)
        small = [past_study(seed) for seed in range(2)]
        study = optuna.create_study(sampler=MetaSampler(past_studies=[big, *small], seed=0))
        study.optimize(lambda t: t.suggest_float("x", 0, 10), n_trials=1)
        return study.trials[0].params

    assert first(1.0) == first(1e9)


def test_spaces_that_changed_since() -> None:
    past = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))

    def before(trial: optuna.Trial) -> float:
        kind = trial.suggest_categorical("kind", ["a", "gone"])
        return trial.suggest_float("rate", 1e-5, 10, log=True) + (
            trial.suggest_int("n", 1, 99) if kind == "a" else 0
        )

    past.optimize(before, n_trials=30)
    study = optuna.create_study(sampler=MetaSampler(past_studies=[past], seed=0))

    def now(trial: optuna.Trial) -> float:
        kind = trial.suggest_categorical("kind", ["b", "a"])
        return trial.suggest_float("rate", 0.1, 1.0) + trial.suggest_float("new", 0, 1) + (kind == "a")

    study.optimize(now, n_trials=15)
    assert all(0.1 <= t.params["rate"] <= 1.0 for t in study.trials)
    assert len({tuple(t.params.values()) for t in study.trials}) > 10


def test_wrong_past_studies() -> None:
    with refused(UsageError, "AM521"):
        MetaSampler(past_studies=["study"])  # type: ignore[list-item]
    with refused(UsageError, "AM521"):
        MetaSampler(past_studies=[optuna.create_study(directions=["minimize", "minimize"])])
    with refused(UsageError, "AM523"):
        MetaSampler([[1.0]])


def test_without_experience_it_is_the_wrapped_sampler() -> None:
    def run(sampler: BaseSampler) -> list[dict[str, Any]]:
        study = optuna.create_study(sampler=sampler)
        study.optimize(joint_objective, n_trials=15)
        return [t.params for t in study.trials]

    plain = TPESampler(seed=1, multivariate=True, group=True, constant_liar=True)
    empty = optuna.create_study()
    assert run(MetaSampler(past_studies=[empty], seed=1)) == run(plain)


def test_with_a_past_it_can_be_pickled_before_and_after_its_trials() -> None:
    sampler = pickle.loads(
        pickle.dumps(MetaSampler(past_studies=[past_study(seed) for seed in range(2)], seed=0))
    )
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda trial: trial.suggest_float("x", 0, 10) ** 2, n_trials=6)
    study.sampler = pickle.loads(pickle.dumps(sampler))
    study.optimize(lambda trial: trial.suggest_float("x", 0, 10) ** 2, n_trials=2)
    assert len(study.trials) == 8


def test_it_can_be_pickled(iris) -> None:
    study = optuna.create_study(sampler=MetaSampler(*iris, seed=0))
    study.optimize(joint_objective, n_trials=2)
    copied = pickle.loads(pickle.dumps(study))
    for one in (study, copied):
        one.optimize(joint_objective, n_trials=12)
    assert [t.params for t in study.trials] == [t.params for t in copied.trials]


def _past(values, sizes=None):
    study = optuna.create_study()
    for i, value in enumerate(values):
        x = 0.1 * i
        study.add_trial(
            optuna.trial.create_trial(
                params={"x": x},
                distributions={"x": optuna.distributions.FloatDistribution(-5, 5)},
                value=value,
            )
        )
    return study


PASTS = {
    "one trial": [[1.0]],
    "two of one trial": [[1.0], [2.0]],
    "one and many": [[1.0], list(range(10))],
    "two trials": [[1.0, 2.0]],
    "equal values": [[3.0] * 10],
    "near the largest number": [[1e300 * (-1) ** i for i in range(10)]],
    "the largest numbers": [[1.7e308, -1.7e308, 0.0]],
}


@pytest.mark.parametrize("name", PASTS)
@pytest.mark.parametrize("scale", [1.0, 0.0, 1e300, float("nan")])
def test_a_study_goes_on_whatever_the_past_and_the_values(name, scale):
    sampler = MetaSampler(past_studies=[_past(values) for values in PASTS[name]], seed=0)
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda trial: scale * trial.suggest_float("x", -5, 5), n_trials=14)
    assert len(study.trials) == 14
