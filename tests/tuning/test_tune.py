"""tune starts from the recommendations, keeps its limits, and never lets a failed trial win."""

from __future__ import annotations

import copy
import math
import pickle
import time
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from refusals import refused
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.dummy import DummyClassifier
from sklearn.metrics import make_scorer, recall_score
from sklearn.model_selection import GroupKFold, LeaveOneOut
from sklearn.pipeline import Pipeline
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.validation import check_is_fitted
from stand_in import tune

from autometa.errors import DataError, EvaluationError, UsageError
from autometa.space import Algorithm, register_algorithm
from autometa.storage import open_storage

QUICK = ["linear", "knn"]


def register(name: str, estimator: Any, **distributions: Any) -> None:
    default = {k: v.choices[0] if hasattr(v, "choices") else v.low for k, v in distributions.items()}
    register_algorithm(
        Algorithm(name, estimator, distributions, default, preprocessing="scaled"), ["classification"]
    )


class Slow(ClassifierMixin, BaseEstimator):
    """Takes its time, or never ends."""

    def __init__(self, seconds: float = 0.1) -> None:
        self.seconds = seconds

    def fit(self, X: Any, y: Any) -> Slow:

        time.sleep(self.seconds)
        import numpy

        self.classes_, counts = numpy.unique(y, return_counts=True)
        self.shares_ = counts / counts.sum()
        return self

    def predict_proba(self, X: Any) -> Any:
        import numpy

        return numpy.tile(self.shares_, (len(X), 1))

    def predict(self, X: Any) -> Any:
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


class Failing(Slow):
    def fit(self, X: Any, y: Any) -> Slow:
        raise RuntimeError("no luck today")


def test_the_first_trials_are_the_recommendations_and_the_model_is_a_mean_of_the_best(
    iris, suggested
) -> None:
    result = tune(*iris, n_trials=12, cv=2, metric="accuracy", random_state=0, algorithms=QUICK)
    board = result.leaderboard
    assert board["rank"].tolist() == list(range(1, 13))
    by_trial = board.set_index("trial").sort_index()
    assert by_trial["origin"].tolist() == ["recommended"] * 12
    expected = suggested(12, algorithms=QUICK)
    assert [(a, p) for a, p in zip(by_trial["algorithm"], by_trial["params"], strict=True)] == [
        (c.algorithm, dict(c.params)) for c in expected
    ]
    done = board[board["state"] == "complete"]
    assert set(board["state"]) <= {"complete", "stopped"}
    assert done["rank"].tolist() == list(range(1, len(done) + 1))
    assert done["expected"].is_monotonic_decreasing
    assert result.best_configuration.algorithm == board["algorithm"][0]
    assert dict(result.best_configuration.params) == board["params"][0]
    assert result.study.best_value == done["score"].max()
    assert dict(result.best_by_cv.params) == done.loc[done["score"].idxmax()]["params"]
    assert board["weight"].sum() == pytest.approx(1.0)
    assert (board.loc[board["state"] != "complete", "weight"] == 0).all()
    assert result.model.score(*iris) > 0.9
    check_is_fitted(result.best_pipeline)
    assert result.best_pipeline.score(*iris) > 0.9
    assert not result.interrupted
    assert f"{len(done)} of 12 trials" in repr(result)


def test_the_model_is_not_worse_than_the_best_single_one_on_the_rows_left_out(numbers) -> None:
    result = tune(*numbers, n_trials=8, cv=4, metric="rmse", random_state=0, algorithms=QUICK)
    errors = result.oof - numbers[1].to_numpy()
    alone = [
        np.sqrt(np.mean(np.square(t.user_attrs["run"]["folds"])))
        for t in result.study.trials
        if t.state == optuna.trial.TrialState.COMPLETE
    ]
    assert np.sqrt(np.mean(errors**2)) <= min(alone) * (1 + 1e-9)
    assert result.score == pytest.approx(np.mean(result.fold_scores))
    assert result.history["score"].iloc[-1] <= result.history["score"].iloc[0]


def test_one_configuration_is_one_pipeline_fitted_on_all_rows(iris) -> None:
    result = tune(*iris, n_trials=3, ensemble_size=1, random_state=0, algorithms=QUICK)
    assert isinstance(result.model, Pipeline)
    assert result.best_pipeline is result.model
    again = tune(*iris, n_trials=3, ensemble_size=1, random_state=0, algorithms=QUICK)
    np.testing.assert_array_equal(
        result.model.predict_proba(iris[0]), again.best_pipeline.predict_proba(iris[0])
    )


def test_without_a_search_the_first_recommendations_are_averaged(iris, suggested) -> None:
    result = tune(*iris, n_trials=0, random_state=0, algorithms=QUICK)
    assert len(result.model.members) == 5
    assert result.best_configuration == suggested(1, algorithms=QUICK)[0]
    np.testing.assert_allclose(result.model.predict_proba(iris[0]).sum(axis=1), 1.0)
    assert result.leaderboard.empty
    alone = tune(*iris, n_trials=0, random_state=0, algorithms=QUICK, ensemble_size=1)
    assert isinstance(alone.model, Pipeline)


def test_natural_units_and_direction(iris) -> None:
    result = tune(*iris, n_trials=3, metric="log_loss", random_state=0, algorithms=QUICK)
    assert result.study.direction == optuna.study.StudyDirection.MINIMIZE
    done = result.leaderboard[result.leaderboard["state"] == "complete"]
    assert (done["score"] > 0).all()
    assert done["expected"].is_monotonic_increasing
    run = result.study.trials[0].user_attrs["run"]
    assert {"accuracy", "roc_auc", "log_loss", "f1_macro", "fit_seconds"} <= run.keys()
    assert run["log_loss"] == pytest.approx(result.study.trials[0].value)


def test_same_seed_same_trials(numbers) -> None:
    boards = [
        tune(*numbers, n_trials=11, cv=2, random_state=7, algorithms=["linear"]).leaderboard for _ in range(2)
    ]
    pd.testing.assert_frame_equal(*(board.drop(columns="seconds") for board in boards))


def test_other_metrics_and_scorers(iris, numbers) -> None:
    result = tune(*numbers, n_trials=2, metric="median_absolute_error", algorithms=QUICK, random_state=0)
    assert result.study.direction == optuna.study.StudyDirection.MINIMIZE
    assert (result.leaderboard["score"].dropna() > 0).all()
    X, y = iris
    labels = np.where(y == 2, "rare", "often")
    for name in ("f1", "average_precision", "brier"):
        result = tune(X, labels, n_trials=1, metric=name, algorithms=["linear"], cv=2)
        assert result.leaderboard["score"].between(0, 1).all()
    scorer = make_scorer(recall_score, pos_label="yes")
    result = tune(
        X, np.where(y == 2, "yes", "no"), n_trials=2, metric=scorer, algorithms=QUICK, random_state=0
    )
    assert result.leaderboard["score"].dropna().between(0, 1).all()
    assert (result.leaderboard["std"].dropna() >= 0).all()
    assert 0 <= result.score <= 1


def test_folds_groups_and_weights(iris) -> None:
    X, y = iris
    groups = np.arange(len(X)) % 5
    weights = np.where(y == 0, 2.0, 1.0)
    result = tune(X, y, n_trials=2, cv=GroupKFold(5), groups=groups, sample_weight=weights, random_state=0)
    assert result.study.trials[0].user_attrs["run"]["n_folds"] == 5
    assert "knn" not in result.leaderboard["algorithm"].tolist()
    with refused(UsageError, "AM524"):
        tune(X, y, n_trials=1, sample_weight=weights, algorithms=["knn"])


def test_the_weights_of_a_fold_are_those_of_its_rows(iris) -> None:
    seen: list[tuple[int, float]] = []

    class Recorder(DummyClassifier):
        def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Recorder:
            seen.extend(zip(np.round(X[:, 0], 6), sample_weight, strict=True))
            return super().fit(X, y, sample_weight=sample_weight)

    # The first column is made of the weights, so that each row tells its own.
    weights = np.arange(1.0, 76.0)
    X = pd.DataFrame({"a": weights / 100, "b": np.random.default_rng(0).normal(size=75)})
    register("recorder", lambda: Recorder())
    splits = [(np.arange(0, 50), np.arange(50, 75)), (np.arange(25, 75)[::-1], np.arange(0, 25))]
    tune(X, iris[1], n_trials=1, cv=splits, sample_weight=weights, algorithms=["recorder"], metric="accuracy")
    for start in (0, 50, 100):
        rows = seen[start : start + 50]
        order = np.argsort([value for value, _ in rows])
        assert np.all(np.diff(np.array([weight for _, weight in rows])[order]) > 0)


def test_folds_that_leave_other_metrics_undefined(iris) -> None:
    X, y = iris[0].iloc[::5], iris[1].iloc[::5]
    result = tune(X, y, n_trials=1, cv=LeaveOneOut(), metric="accuracy", algorithms=["linear"])
    assert result.leaderboard["state"].tolist() == ["complete"]


def test_failed_trials_do_not_win_and_do_not_stop_the_search(iris) -> None:
    register("failing", Failing, seconds=FloatDistribution(0, 1))
    result = tune(*iris, n_trials=6, metric="log_loss", algorithms=[*QUICK, "failing"], random_state=0)
    failed = result.leaderboard[result.leaderboard["state"] == "failed"]
    assert len(failed) >= 1
    assert failed["rank"].min() > int((result.leaderboard["state"] == "complete").sum())
    assert failed["reason"].iloc[0] == "RuntimeError: no luck today"
    assert failed["score"].isna().all()
    assert result.best_configuration.algorithm in QUICK


def test_when_all_fail_the_cause_is_told(iris) -> None:
    register("failing", Failing, seconds=FloatDistribution(0, 1))
    asked = []
    with refused(
        EvaluationError, "AM801", match=r"all of the first 5 trials failed, 5 of them with: .*no luck"
    ):
        tune(
            *iris, n_trials=50, algorithms=["failing"], callbacks=[lambda *_: asked.append(1)], random_state=0
        )
    assert len(asked) <= 5
    with refused(EvaluationError, "AM801", match="all of the first 1 trials"):
        tune(*iris, n_trials=1, algorithms=["failing"])
    with refused(EvaluationError, "AM803"):
        tune(*iris, n_trials=0, algorithms=["failing"])


def test_equal_configurations_are_evaluated_once(iris) -> None:
    fits = []

    class Counted(DummyClassifier):
        def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Counted:
            fits.append(1)
            return super().fit(X, y, sample_weight=sample_weight)

    register("counted", lambda mode: Counted(), mode=CategoricalDistribution(("a", "b")))
    result = tune(*iris, n_trials=8, algorithms=["counted"], metric="accuracy", random_state=0)
    assert len(result.leaderboard) == 8
    # Eight folds, twice: the table has few rows.
    assert len(fits) <= 2 * 16
    again = [t.user_attrs["run"].get("duplicate_of") for t in result.study.trials]
    assert sum(number is not None for number in again) == 6


def test_an_interruption_keeps_finished_trials(iris) -> None:
    def interrupt(study: optuna.Study, trial: Any) -> None:
        if trial.number == 2:
            raise KeyboardInterrupt

    result = tune(*iris, n_trials=50, algorithms=QUICK, callbacks=[interrupt], random_state=0)
    assert result.interrupted
    assert len(result.leaderboard) == 3
    check_is_fitted(result.best_pipeline)


def test_an_interruption_inside_a_trial(iris) -> None:
    class Interrupting(DummyClassifier):
        def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Interrupting:
            raise KeyboardInterrupt

    register("interrupting", lambda: Interrupting())
    result = tune(*iris, n_trials=50, algorithms=[*QUICK, "interrupting"], random_state=0)
    assert result.interrupted
    assert result.leaderboard[["state", "reason"]].iloc[-1].tolist() == ["interrupted", "interrupted"]
    assert all(t.state.is_finished() for t in result.study.trials)
    with pytest.raises(KeyboardInterrupt):
        tune(*iris, n_trials=5, algorithms=["interrupting"])


@pytest.mark.parametrize("name", ["s.journal", "sqlite"])
def test_a_study_is_continued(iris, suggested, tmp_path, name) -> None:
    storage = f"sqlite:///{tmp_path / 's.db'}" if name == "sqlite" else str(tmp_path / name)
    options = {"algorithms": QUICK, "storage": storage, "study_name": "mine", "metric": "accuracy", "cv": 2}
    first = tune(*iris, n_trials=2, random_state=1, **options)
    second = tune(*iris, n_trials=3, random_state=2, **options)
    assert len(first.leaderboard) == 2
    assert len(second.leaderboard) == 5
    found = [t.user_attrs["configuration_id"] for t in second.study.trials]
    assert found == [c.id for c in suggested(5, algorithms=QUICK)]
    refit_only = tune(*iris, n_trials=0, **options)
    assert refit_only.best_configuration == second.best_configuration
    assert storage not in str(second.study.user_attrs) + repr(second)


def test_a_study_that_does_not_fit_is_refused(iris, tmp_path) -> None:
    options = {"storage": str(tmp_path / "s.journal"), "study_name": "mine", "n_trials": 1}
    tune(*iris, algorithms=QUICK, **options)
    with refused(UsageError, "AM502", match=r"another search space"):
        tune(*iris, algorithms=["linear"], **options)
    with refused(UsageError, "AM502", match=r"another metric"):
        tune(*iris, algorithms=QUICK, metric="accuracy", **options)
    with refused(UsageError, "AM502", match=r"another set of folds"):
        tune(*iris, algorithms=QUICK, cv=2, **options)
    with refused(UsageError, "AM502", match=r"another table"):
        tune(iris[0].iloc[:-1], iris[1].iloc[:-1], algorithms=QUICK, **options)
    foreign = optuna.create_study(study_name="foreign", storage=open_storage(options["storage"]))
    foreign.optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=1)
    with refused(UsageError, "AM502", match=r"not made by tune"):
        tune(*iris, n_trials=1, storage=options["storage"], study_name="foreign")


def test_parallel_trials(iris, suggested) -> None:
    options = {"n_trials": 4, "cv": 2, "algorithms": QUICK, "random_state": 0}
    together, alone = tune(*iris, n_jobs=2, **options), tune(*iris, **options)
    boards = [r.leaderboard.assign(params=r.leaderboard["params"].map(str)) for r in (together, alone)]
    scores = [board.set_index(["algorithm", "params"])["score"].sort_index() for board in boards]
    pd.testing.assert_series_equal(*scores)
    found = {t.user_attrs["configuration_id"] for t in together.study.trials}
    assert found == {c.id for c in suggested(4, algorithms=QUICK)}


def test_an_interruption_of_parallel_trials(iris) -> None:
    def interrupt(study: optuna.Study, trial: Any) -> None:
        raise KeyboardInterrupt

    register("slow", Slow, seconds=FloatDistribution(100, 101))
    result = tune(
        *iris, n_trials=9, n_jobs=2, algorithms=["linear", "slow"], callbacks=[interrupt], random_state=0
    )
    assert result.interrupted
    assert (result.leaderboard["state"] == "complete").sum() >= 1
    assert all(t.state.is_finished() for t in result.study.trials)


def test_what_never_ends_is_stopped_and_the_rest_makes_the_model(iris) -> None:
    register("endless", Slow, seconds=FloatDistribution(500, 501))
    result = tune(*iris, timeout=8, algorithms=["linear", "endless"], random_state=0)
    assert result.deadline.planned == 8
    assert result.best_configuration.algorithm == "linear"
    assert result.model.score(*iris) > 0.9
    stopped = result.leaderboard[result.leaderboard["algorithm"] == "endless"]
    assert set(stopped["state"]) <= {"timeout", "interrupted", "stopped"}
    assert (stopped["weight"] == 0).all()


@pytest.mark.parametrize("timeout", [1e-3, 0.05, 0.5, 2.0])
def test_however_short_the_time_there_is_a_model_and_an_honest_word(iris, numbers, timeout) -> None:
    for X, y in (iris, numbers):
        result = tune(X, y, timeout=timeout, random_state=0)
        assert len(result.model.predict(X)) == len(X)
        assert np.isfinite(result.score) or result.note


def test_a_slow_algorithm_alone_gives_a_constant_rather_than_an_error(iris) -> None:
    register("endless", Slow, seconds=FloatDistribution(500, 501))
    result = tune(*iris, timeout=1.0, algorithms=["endless"], random_state=0)
    assert "constant" in result.note
    shares = iris[1].value_counts(normalize=True).sort_index()
    np.testing.assert_allclose(result.model.predict_proba(iris[0].iloc[:2]), [shares, shares])


def test_what_cannot_be_fitted_on_all_rows_in_time_stands_by_its_models_of_the_folds() -> None:
    class Growing(DecisionTreeClassifier):
        """Perfect here, and slow on more than the rows of a fold."""

        def fit(self, X: Any, y: Any) -> Growing:

            time.sleep(500.0 if len(X) > 60 else 0.0)
            return super().fit(X, y)

    register("growing", Growing, max_depth=IntDistribution(8, 9))
    X = pd.DataFrame({"a": np.arange(80) % 10})
    y = X["a"] % 2
    result = tune(
        X, y, timeout=8, n_trials=3, algorithms=["growing"], metric="accuracy", cv=2, ensemble_size=1
    )
    assert result.best_by_cv.algorithm == "growing"
    assert result.model.score(X, y) == 1.0
    assert "all rows" in result.note


def test_decision_thresholds_suit_the_metric() -> None:
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(600, 3)), columns=list("abc"))
    y = np.where(X["a"] + rng.normal(size=600) > 2.0, "rare", "often")
    balanced, plain = (
        tune(X, y, n_trials=3, metric=metric, algorithms=["linear"], random_state=0)
        for metric in ("balanced_accuracy", "accuracy")
    )
    assert np.mean(balanced.model.predict(X) == "rare") > 1.5 * np.mean(plain.model.predict(X) == "rare")
    assert balanced.score > 0.7


def test_results_and_models_travel_light(iris) -> None:
    result = tune(*iris, n_trials=4, random_state=0, algorithms=QUICK)
    assert len(pickle.dumps(result.model)) < 1_000_000
    assert len(pickle.dumps(result.study)) < 1_000_000
    copied = copy.deepcopy(result.model)
    np.testing.assert_array_equal(copied.predict(iris[0]), result.model.predict(iris[0]))


def test_rows_of_a_class_that_is_too_rare_for_folds_are_trained_on(iris) -> None:
    X, y = iris
    y = y.astype(str).where(y.index != 3, "once")
    result = tune(X, y, n_trials=2, metric="log_loss", algorithms=["knn"], random_state=0)
    assert "once" in result.model.classes_
    assert result.model.predict_proba(X)[3].argmax() == list(result.model.classes_).index("once") or (
        result.model.predict_proba(X)[3][list(result.model.classes_).index("once")] > 0.01
    )


def test_early_stopping_keeps_its_rounds() -> None:
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(4_000, 3)), columns=list("abc"))
    y = X["a"] * X["b"] + 0.1 * rng.normal(size=4_000)
    result = tune(X, y, n_trials=1, algorithms=["lightgbm"], cv=3, random_state=0)
    rounds = result.study.trials[0].user_attrs["run"]["rounds"]
    assert 20 < rounds < 2_000
    assert result.best_pipeline["model"].n_estimators == rounds


def test_log_level_and_study_are_left_as_they_were(iris) -> None:
    before = optuna.logging.get_verbosity()
    tune(*iris, n_trials=1, algorithms=QUICK)
    assert optuna.logging.get_verbosity() == before


def test_arrays_give_a_pipeline_for_arrays(iris) -> None:
    X, y = iris[0].to_numpy(), iris[1].to_numpy()
    result = tune(X, y, n_trials=1, algorithms=["linear"])
    assert result.best_pipeline.score(X, y) > 0.9
    assert result.model.score(X, y) > 0.9


@pytest.mark.parametrize(
    ("options", "error", "code"),
    [
        ({"n_trials": -1}, UsageError, "AM522"),
        ({"n_trials": 2.5}, UsageError, "AM522"),
        ({"n_jobs": 0}, UsageError, "AM522"),
        ({"timeout": -1.0}, UsageError, "AM522"),
        ({"cv": 60}, DataError, "AM104"),
        ({"metric": "acuracy"}, UsageError, "AM107"),
        ({"algorithms": ["linaer"]}, UsageError, "AM504"),
        ({"storage": "nowhere"}, UsageError, "AM505"),
    ],
)
def test_wrong_arguments(iris, options, error, code) -> None:
    with refused(error, code):
        tune(*iris, **{"n_trials": 1, **options})


def test_the_spread_of_one_fold_is_zero(iris) -> None:
    result = tune(*iris, n_trials=2, cv=[(range(0, 75, 2), range(1, 75, 2))], algorithms=QUICK)
    assert result.leaderboard["std"].tolist()[0] == 0.0
    assert not math.isnan(result.leaderboard["expected"][0])
