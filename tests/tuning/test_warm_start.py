"""Recommendations enter the user's study checked, once, and without scores."""

from __future__ import annotations

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState
from refusals import refused
from stand_in import StandIn, warm_start

from autometa.errors import DataError, UsageError
from autometa.space import SearchSpace
from autometa.storage import open_storage


def joint_objective(trial):
    configuration = SearchSpace.for_kind("multiclass").suggest(trial)
    return float(len(configuration.params))


def lightgbm_objective(trial):
    leaves = trial.suggest_int("leaves", 2, 256, log=True)
    rate = trial.suggest_float("learning_rate", 0.001, 1.0, log=True)
    return leaves * rate


def test_the_first_trials_are_the_suggestions(iris) -> None:
    study = optuna.create_study(direction="maximize")
    report = warm_start(study, *iris, k=6)
    assert (report.to_frame()["status"] == "enqueued").all()
    assert [t.state for t in study.trials] == [TrialState.WAITING] * 6
    study.optimize(joint_objective, n_trials=7)
    assert [t.params for t in study.trials[:6]] == [dict(s.params) for s in report.suggestions]

    after = report.update(study).to_frame()
    assert after["trial_number"].tolist() == list(range(6))
    assert after["score"].tolist() == [t.value for t in study.trials[:6]]
    best = after["score"].idxmax()
    assert after["position"][best] == 1 or study.best_value == study.trials[6].value
    assert (after["ignored"].map(len) == 0).all()


def test_no_foreign_score_enters_the_study(iris) -> None:
    study = optuna.create_study()
    warm_start(study, *iris, k=3)
    assert all(t.values is None for t in study.trials)
    with pytest.raises(ValueError, match="No trials are completed"):
        _ = study.best_value


def test_one_algorithm_under_the_users_names(iris) -> None:
    study = optuna.create_study()
    report = warm_start(study, *iris, k=4, algorithm="lightgbm", rename={"num_leaves": "leaves"})
    study.optimize(lightgbm_objective, n_trials=4)
    assert {s.algorithm for s in report.suggestions} == {"lightgbm"}
    for suggestion, trial in zip(report.suggestions, study.trials, strict=True):
        assert trial.params["leaves"] == suggestion.params["leaves"]
        assert trial.params["learning_rate"] == suggestion.params["learning_rate"]
    ignored = report.update(study).suggestions[0].ignored
    assert "n_estimators" in ignored
    assert "leaves" not in ignored


def test_the_space_of_a_study_that_has_trials_is_respected(iris) -> None:
    study = optuna.create_study()
    study.optimize(
        lambda t: t.suggest_int("num_leaves", 2, 8) * t.suggest_float("learning_rate", 0.1, 0.2), n_trials=1
    )
    report = warm_start(study, *iris, k=3, algorithm="lightgbm")
    for suggestion in report.suggestions:
        assert suggestion.params.keys() == {"num_leaves", "learning_rate"}
        assert suggestion.params["num_leaves"] <= 8
        assert 0.1 <= suggestion.params["learning_rate"] <= 0.2
    assert "clipped" in report.to_frame()["status"].tolist()
    assert "num_leaves=31 is outside [2, 8]; clipped to 8" in str(report)
    assert "not in the search space: class_weight, colsample_bytree, min_child_samples, n_estimators" in str(
        report
    )
    changes = report.to_frame()["changes"][0]
    assert "n_estimators=100 is not in the search space; left out" in changes


def test_parameters_that_no_trial_could_show_are_kept(iris) -> None:
    study = optuna.create_study()
    study.enqueue_trial({"algorithm": "knn"})
    study.optimize(joint_objective, n_trials=1)
    report = warm_start(study, *iris, k=8)
    by_algorithm = {s.algorithm: s for s in report.suggestions}
    assert "mlp__alpha" in by_algorithm["mlp"].params
    assert (report.to_frame()["status"] == "enqueued").all()


def test_policies(iris) -> None:
    space = {"num_leaves": IntDistribution(2, 8), "learning_rate": FloatDistribution(0.001, 1.0)}
    dropped = warm_start(optuna.create_study(), *iris, k=3, algorithm="lightgbm", space=space, policy="drop")
    assert dropped.suggestions[0].status == "dropped"
    assert dropped.suggestions[0].reason
    study = optuna.create_study()
    with refused(UsageError, "AM501", match="num_leaves=31"):
        warm_start(study, *iris, k=3, algorithm="lightgbm", space=space, policy="error")
    assert not study.trials


def test_an_algorithm_that_the_space_lacks_is_dropped(iris) -> None:
    space = {
        "algorithm": CategoricalDistribution(("linear", "mine")),
        "linear__C": FloatDistribution(0.1, 10, log=True),
    }
    study = optuna.create_study()
    report = warm_start(study, *iris, k=4, space=space)
    assert {s.status for s in report.suggestions if s.algorithm != "linear"} == {"dropped"}
    assert [t.system_attrs["fixed_params"] for t in study.trials] == [
        {"algorithm": "linear", "linear__C": 1.0}
    ]


def test_suggestions_that_clipping_makes_equal_are_enqueued_once(iris) -> None:
    space = {"num_leaves": IntDistribution(2, 3)}
    study = optuna.create_study()
    report = warm_start(study, *iris, k=5, algorithm="lightgbm", space=space)
    assert (
        len(study.trials)
        == report.n_enqueued
        == len({t.system_attrs["fixed_params"]["num_leaves"] for t in study.trials})
    )
    assert "known" in report.to_frame()["status"].tolist()


def test_a_second_process_adds_nothing(iris, tmp_path) -> None:
    path = str(tmp_path / "s.journal")
    first = optuna.create_study(study_name="s", storage=open_storage(path))
    warm_start(first, *iris, k=4)
    second = optuna.load_study(study_name="s", storage=open_storage(path))
    report = warm_start(second, *iris, k=4)
    assert report.n_enqueued == 0
    assert (report.to_frame()["status"] == "known").all()
    assert len(second.trials) == 4
    second.optimize(joint_objective, n_trials=4)
    assert report.update(second).to_frame()["trial_number"].tolist() == [0, 1, 2, 3]


def test_sqlite_takes_the_suggestions(iris, tmp_path) -> None:
    study = optuna.create_study(storage=f"sqlite:///{tmp_path / 's.db'}")
    report = warm_start(study, *iris, k=2)
    study.optimize(joint_objective, n_trials=2)
    assert [t.params for t in study.trials] == [dict(s.params) for s in report.suggestions]


def test_several_objectives_and_the_empty_report(iris) -> None:
    study = optuna.create_study(directions=["minimize", "maximize"])
    report = warm_start(study, *iris, k=2)
    study.optimize(lambda t: (joint_objective(t), 1.0), n_trials=2)
    updated = report.update(study).to_frame()
    assert updated["trial_number"].tolist() == [0, 1]
    assert updated["score"].isna().all()


@pytest.mark.parametrize(
    ("options", "error", "code"),
    [
        ({"algorithm": "lightgmb"}, UsageError, "AM504"),
        ({"rename": {"leaves": "x"}}, UsageError, "AM501"),
        ({"algorithm": "linear", "rename": {"C": "scaler"}}, UsageError, "AM501"),
        ({"kind": "regression", "metric": "auc"}, UsageError, "AM107"),
    ],
)
def test_wrong_arguments(iris, options, error, code) -> None:
    with refused(error, code):
        warm_start(optuna.create_study(), *iris, **options)


def test_unusable_data(iris) -> None:
    with refused(DataError, "AM103"):
        warm_start(optuna.create_study(), iris[0], [1] * len(iris[0]))


PART = {
    "num_leaves": IntDistribution(2, 256, log=True),
    "learning_rate": FloatDistribution(0.001, 1.0, log=True),
}


def rounds_belong_to_rates(params) -> float:
    """Return a loss whose best learning rate is 10 over the rounds; leaves do not matter much."""
    gap = np.log(params["learning_rate"] * params["n_estimators"] / 10)
    return float(gap**2 + 0.01 * np.log(params["num_leaves"] / 20) ** 2)


class WithRuns(StandIn):
    """Has runs on six known tasks, all like :func:`rounds_belong_to_rates`, behind the recommendations."""

    def recommend(self, task, **options):
        found = super().recommend(task, **options)
        algorithm = SearchSpace.for_kind("multiclass")["lightgbm"]
        units = np.random.default_rng(0).random((6, 60, len(algorithm.distributions)))
        known = [[algorithm.from_unit(unit) for unit in of_task] for of_task in units]
        found.past_runs = [(cs, -np.array([rounds_belong_to_rates(c.params) for c in cs])) for cs in known]
        return found


@pytest.mark.parametrize("n_estimators", [None, 50, 400])
def test_in_a_part_of_a_space_suggestions_are_good_beside_what_stands_outside(iris, n_estimators) -> None:
    fixed = None if n_estimators is None else {"n_estimators": n_estimators}
    study = optuna.create_study()
    report = warm_start(
        study, *iris, k=4, algorithm="lightgbm", space=PART, fixed=fixed, metamodel=WithRuns()
    )
    rounds = n_estimators or 100
    assert report.suggestions[1].params == {"num_leaves": 31, "learning_rate": 0.1}
    losses = [rounds_belong_to_rates({**s.params, "n_estimators": rounds}) for s in report.suggestions]
    assert all(s.params.keys() == PART.keys() for s in report.suggestions)
    assert min(losses[0], losses[2]) < 0.25
    assert f"n_estimators={rounds}" in str(report.to_frame()["changes"][1])


def test_what_stands_outside_is_of_one_algorithm(iris) -> None:
    with refused(UsageError, "AM526"):
        warm_start(optuna.create_study(), *iris, fixed={"num_leaves": 31})
    with refused(UsageError, "AM526", match=r"has no 'leaves'"):
        warm_start(optuna.create_study(), *iris, algorithm="lightgbm", fixed={"leaves": 31})
