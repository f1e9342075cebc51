"""recommend: quick, safe, and honest about what it knows."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pandas as pd
import pytest
from refusals import refused
from simulation import simulate_metabase
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine

import autometa
from autometa import DataError, Task, UsageError
from autometa.metabase import MetaBase
from autometa.metafeatures import metafeature_words
from autometa.metamodel import MetaModel
from autometa.recommendation import recommend_for_task
from autometa.space import Configuration, SearchSpace
from autometa.wording import algorithm_name


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True, as_frame=True)


@pytest.fixture(scope="module")
def model() -> MetaModel:
    return MetaModel.fit(simulate_metabase(n_tasks=12))


@pytest.mark.parametrize("load", [load_iris, load_wine, load_diabetes, load_breast_cancer])
@pytest.mark.filterwarnings("ignore:.*:sklearn.exceptions.ConvergenceWarning")
def test_the_bundled_model_answers_and_its_first_pick_is_no_worse_than_a_constant(load):
    X, y = load(return_X_y=True, as_frame=True)
    rec = autometa.recommend(X, y, k=5)
    frame = rec.to_frame()
    assert frame["rank"].tolist() == [1, 2, 3, 4, 5]
    assert (frame["lower"] <= frame["expected_score"]).all()
    assert (frame["expected_score"] <= frame["upper"]).all()
    assert (frame["expected_seconds"] > 0).all()
    from sklearn.model_selection import cross_val_score

    score = cross_val_score(rec[0].pipeline, X, y, cv=3).mean()
    assert score > (0.3 if rec.kind == "regression" else 0.85)


def test_the_list_is_distinct_and_holds_library_defaults(iris, model):
    rec = autometa.recommend(*iris, k=8, metamodel=model)
    assert len({r.configuration for r in rec}) == 8
    assert sum(r.configuration.origin == "default" for r in rec[:5]) >= 1


def test_the_longer_list_begins_with_the_shorter(iris, model):
    long, short = (autometa.recommend(*iris, k=k, metamodel=model, random_state=0) for k in (8, 3))
    assert [r.configuration for r in long][:3] == [r.configuration for r in short]
    assert [r.expected_score for r in long][:3] == [r.expected_score for r in short]
    assert "It stands first because" in short[0].reason


def test_rows_and_columns_may_come_in_any_order(iris, model):
    X, y = iris
    order = np.random.default_rng(0).permutation(len(X))
    one = autometa.recommend(X, y, metamodel=model)
    two = autometa.recommend(X.iloc[order, ::-1], y.iloc[order], metamodel=model)
    assert [r.configuration for r in one] == [r.configuration for r in two]


def test_only_the_algorithms_asked_for(iris, model):
    rec = autometa.recommend(*iris, algorithms=["linear", "knn"], metamodel=model)
    assert {r.algorithm for r in rec} == {"linear", "knn"}
    with refused(UsageError, "AM504", match=r"'linear'"):
        autometa.recommend(*iris, algorithms=["liner"], metamodel=model)


def test_a_time_budget_leaves_slow_ones_out(iris, model):
    rec = autometa.recommend(*iris, metamodel=model)
    limit = float(np.median([r.expected_seconds for r in rec]))
    quick = autometa.recommend(*iris, time_budget=limit, metamodel=model)
    assert all(r.expected_seconds <= limit for r in quick)
    tiny = autometa.recommend(*iris, time_budget=1e-9, metamodel=model)
    assert len(tiny) >= 1
    assert "AM402" in {w.code for w in tiny.warnings}
    with refused(UsageError, "AM510"):
        autometa.recommend(*iris, time_budget=0, metamodel=model)
    with refused(UsageError, "AM510"):
        autometa.recommend(*iris, k=0, metamodel=model)


def test_with_a_time_budget_results_reorder_by_gain_per_second(iris):
    base = simulate_metabase(n_tasks=8)
    algorithms = dict(base.configurations[["configuration_id", "algorithm"]].to_numpy())
    is_slow = (
        base.runs["configuration_id"].map(algorithms).isin(["random_forest", "extra_trees", "mlp", "svm"])
    )
    seconds = base.runs["fit_seconds"].where(~is_slow, 10.0)
    model = MetaModel.fit(
        MetaBase.from_frames(base.tasks, base.runs.assign(fit_seconds=seconds), base.configurations)
    )

    def seconds_of_next(time_budget):
        found = autometa.recommend(*iris, k=16, time_budget=time_budget, metamodel=model)
        following = found.order_after({1: found[0].expected_score})[:5]
        return np.mean([item.expected_seconds for item in following])

    slowest = max(r.expected_seconds for r in autometa.recommend(*iris, k=16, metamodel=model))
    assert slowest > 1.0
    assert seconds_of_next(slowest) < seconds_of_next(1e6 * slowest)


@pytest.mark.parametrize(
    ("metric", "stored"),
    [("log_loss", "log_loss"), ("neg_log_loss", "log_loss"), ("matthews_corrcoef", "f1_macro")],
)
def test_unknown_metrics_are_answered_by_the_nearest_known(iris, model, metric, stored):
    rec = autometa.recommend(*iris, metric=metric, metamodel=model)
    assert rec.metric.stored == stored
    assert ("AM405" in {w.code for w in rec.warnings}) == (metric == "matthews_corrcoef")


def test_scores_are_in_natural_units(model):
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    rmse = autometa.recommend(X, y, metric="rmse", metamodel=model)[0]
    assert 0 < rmse.lower <= rmse.expected_score <= rmse.upper <= 2 * y.std()


def test_json_is_plain_and_finite(iris, model):
    answer = autometa.recommend(*iris, k=2, metamodel=model).to_dict()
    text = json.dumps(answer, allow_nan=False)
    assert set(json.loads(text)) >= {
        "schema",
        "recommendations",
        "metric",
        "kind",
        "novelty",
        "similar_tasks",
        "warnings",
    }
    first = answer["recommendations"][0]
    names = {"rank", "algorithm", "params", "expected_score", "lower", "upper", "expected_seconds"}
    assert set(first) >= names


def test_a_known_table_is_recognised_and_its_family_left_out(iris):
    base = simulate_metabase(n_tasks=12)
    task = Task.from_frame(*iris)
    tasks = base.tasks.copy()
    tasks.loc[tasks["task_id"] == "binary-0", "fingerprint"] = task.fingerprint()
    known = MetaModel.fit(MetaBase.from_frames(tasks, base.runs, base.configurations))
    rec = recommend_for_task(task, metamodel=known)
    assert "AM403" in {w.code for w in rec.warnings}
    assert "binary-0" not in set(rec.similar_tasks["task_id"])
    with_memory = recommend_for_task(task, metamodel=known, exclude_seen=False)
    assert "AM403" not in {w.code for w in with_memory.warnings}


def test_the_code_runs_without_autometa_and_predicts_the_same(tmp_path, model, make_mixed, make_target):
    frame = make_mixed(90).drop(columns="mixed")  # Parquet has no columns of mixed types
    y = make_target(frame, "binary")
    frame.assign(target=y).to_parquet(tmp_path / "data.parquet")
    rec = autometa.recommend(frame, y, metamodel=model, algorithms=["linear"])[0]
    code = rec.to_code(target="target", data=str(tmp_path / "data.parquet"))
    assert "autometa" not in code
    namespace: dict[str, object] = {"__name__": "script"}
    exec(code, namespace)
    read = pd.read_parquet(tmp_path / "data.parquet")
    X = read.drop(columns="target")
    ours = rec.pipeline.fit(X, read["target"]).predict(X)
    theirs = namespace["pipeline"].fit(X, read["target"]).predict(X)  # type: ignore[attr-defined]
    assert (ours == theirs).all()


@pytest.mark.filterwarnings("ignore:.*:sklearn.exceptions.ConvergenceWarning")
def test_no_configuration_that_cannot_work_on_so_few_rows(model):
    X = pd.DataFrame({"a": np.arange(30.0) % 7, "b": np.arange(30.0) % 5})
    y = pd.Series(np.arange(30) % 2)
    space = SearchSpace.for_kind("binary")

    def suits(configuration: Configuration, n_rarest: int = 15) -> bool:
        return space.suits(configuration, 30, n_rarest)

    wide = {"n_neighbors": 40, "weights": "uniform", "p": 2, "scaler": "standard"}
    assert not suits(Configuration("knn", wide))
    leaf = {**space["random_forest"].default, "min_samples_leaf": 30}
    assert not suits(Configuration("random_forest", leaf))
    svm = Configuration("svm", space["svm"].default)
    assert suits(svm)
    assert Task.from_frame(X, y).n_rarest == 15
    assert not suits(svm, Task.from_frame(X, pd.Series(["rare"] * 4 + ["usual"] * 26)).n_rarest)
    rec = autometa.recommend(X, y, metamodel=model)
    assert "AM406" in {w.code for w in rec.warnings}
    for item in rec:
        item.pipeline.fit(X, y)


def test_past_runs_are_those_that_could_be_made_here(iris, model):
    everything = autometa.recommend(*iris, metamodel=model).past_runs
    assert {c.algorithm for runs, _ in everything for c in runs} == set(
        SearchSpace.for_kind("multiclass").algorithms
    )
    few = autometa.recommend(iris[0][::5], iris[1][::5], algorithms=["knn", "linear"], metamodel=model)
    assert len(few.past_runs) > 1
    for runs, levels in few.past_runs:
        assert len(runs) == len(levels)
        assert {c.algorithm for c in runs} <= {"knn", "linear"}
        assert all(
            SearchSpace.for_kind("multiclass").suits(c, few.task.n_rows, few.task.n_rarest) for c in runs
        )
    assert sum(len(runs) for runs, _ in few.past_runs) < sum(
        c.algorithm in ("knn", "linear") for runs, _ in everything for c in runs
    )


def test_bad_data_is_refused_before_anything_else(iris):
    with refused(DataError, "AM103"):
        autometa.recommend(iris[0], np.zeros(len(iris[0])))


def test_each_entry_says_why(iris):
    found = autometa.recommend(*iris)
    for item in found:
        assert item.reason.startswith(algorithm_name(item.algorithm))
        assert found.similar_tasks["name"].iloc[0] in item.reason
        assert not any(name in item.reason for name in metafeature_words() if "_" in name)
    speaking = [item.reason.partition("What speaks for it: ")[2] for item in found]
    assert any(speaking)
    assert all(
        any(words in said for words in metafeature_words().values()) for said in filter(None, speaking)
    )


def test_results_reorder_what_is_left(iris, model):
    """In the simulated base either linear models or trees do well: one bad result of a kind sends its like back."""
    found = autometa.recommend(*iris, k=16, metric="log_loss", metamodel=model)
    smooth = {r.rank for r in found if r.algorithm in ("linear", "svm", "mlp")}
    rest = {r.rank for r in found} - smooth
    worst, best = 0.25 * np.log(3), 0.1 * np.log(3)  # of the log loss, as the base has them
    for good, bad in ((smooth, rest), (rest, smooth)):
        left = found.order_after({min(good): best, min(bad): worst})
        assert {r.rank for r in left} == {r.rank for r in found} - {min(good), min(bad)}
        first = [r.rank for r in left[: len(good) - 1]]
        assert len(set(first) & good) >= 0.8 * len(first)


def test_order_after_leaves_out_what_runs_or_failed_and_keeps_the_order_without_results(iris, model):
    found = autometa.recommend(*iris, k=6, metamodel=model)
    assert [r.rank for r in found.order_after({})] == [1, 2, 3, 4, 5, 6]
    assert [r.rank for r in found.order_after({1: float("nan")}, running=[3])] == [2, 4, 5, 6]
    after = found.order_after({1: found[0].expected_score}, running=[2])
    assert {r.rank for r in after} == {3, 4, 5, 6}
    with refused(UsageError, "AM510"):
        found.order_after({7: 0.5})


def test_a_meta_model_may_be_given_as_a_folder_and_an_algorithm_as_its_name(iris, model, tmp_path):
    base = simulate_metabase(n_tasks=12)
    base.save(tmp_path)
    model.save(tmp_path)
    for source in (tmp_path, str(tmp_path)):
        found = autometa.recommend(*iris, algorithms="linear", metamodel=source)
        assert {r.algorithm for r in found} == {"linear"}
        assert [r.configuration for r in found] == [
            r.configuration for r in autometa.recommend(*iris, algorithms=["linear"], metamodel=model)
        ]


def test_recommendations_are_data_and_small(iris):
    found = autometa.recommend(*iris, k=40)
    found.past_runs  # what was worked out on the way does not travel
    packed = pickle.dumps(found)
    assert len(packed) < 300_000
    back = pickle.loads(packed)
    observed = {1: found[0].lower, 3: found[2].upper}
    assert [r.rank for r in back.order_after(observed, [2])] == [
        r.rank for r in found.order_after(observed, [2])
    ]
    assert [runs for runs, _ in back.past_runs] == [runs for runs, _ in found.past_runs]
    assert back[0].reason == found[0].reason
