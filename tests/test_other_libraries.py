"""Beside other libraries: what scikit-learn is told to route and to return, and tables of polars and pyarrow."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, UnsetMetadataPassedError
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from autometa import AutoMetaClassifier, AutoMetaRegressor, recommend, tune
from autometa.space import SearchSpace
from autometa.task import Task

N = 60
RNG = np.random.default_rng(0)
X = pd.DataFrame({"a": RNG.normal(size=N), "b": RNG.choice(list("uvw"), N), "c": RNG.integers(0, 99, N)})
Y = pd.Series(np.where(X["a"] > 0, "yes", "no"), name="y")
WEIGHTS = RNG.uniform(0.1, 2, N)
GROUPS = np.arange(N) // 6
QUICK = {"n_trials": 0, "random_state": 0, "algorithms": ["linear"], "ensemble_size": 1}


@pytest.fixture
def routing():
    with config_context(enable_metadata_routing=True), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


# --- metadata routing -------------------------------------------------------------------------------------------


def asking():
    return AutoMetaClassifier(**QUICK).set_fit_request(sample_weight=True, groups=True)


def test_requests_outlive_a_clone(routing):
    requests = clone(asking()).get_metadata_routing().fit.requests
    assert requests == {"sample_weight": True, "groups": True}


def test_weights_and_groups_reach_a_search_within_a_pipeline(routing):
    inside = make_pipeline(FunctionTransformer(), asking()).fit(X, Y, sample_weight=WEIGHTS, groups=GROUPS)
    with config_context(enable_metadata_routing=False):
        alone = AutoMetaClassifier(**QUICK).fit(X, Y, sample_weight=WEIGHTS, groups=GROUPS)
    np.testing.assert_allclose(inside.predict_proba(X), alone.predict_proba(X))
    with pytest.raises(UnsetMetadataPassedError):
        make_pipeline(FunctionTransformer(), AutoMetaClassifier(**QUICK)).fit(X, Y, sample_weight=WEIGHTS)


def test_weights_and_groups_reach_every_fold(routing):
    scores = cross_validate(
        asking().set_score_request(sample_weight=True),
        X,
        Y,
        cv=GroupKFold(3),
        params={"sample_weight": WEIGHTS, "groups": GROUPS},
        error_score="raise",
    )
    assert len(scores["test_score"]) == 3
    search = GridSearchCV(
        asking().set_score_request(sample_weight=False),
        {"ensemble_size": [1, 2]},
        cv=GroupKFold(3),
        error_score="raise",
    )
    assert hasattr(search.fit(X, Y, sample_weight=WEIGHTS, groups=GROUPS), "best_estimator_")


@pytest.mark.parametrize("kind", ["binary", "regression"])
def test_every_recommended_pipeline_takes_weights_where_its_model_does(routing, kind):
    target = Y if kind == "binary" else X["a"]
    for name in SearchSpace.for_kind(kind).algorithms:
        pipeline = recommend(X, target, k=1, algorithms=[name])[0].pipeline
        options = {} if name == "knn" else {"sample_weight": WEIGHTS}
        weighted = pipeline.fit(X, target, **options).predict(X)
        with config_context(enable_metadata_routing=False):
            options = {f"model__{key}": value for key, value in options.items()}
            plain = recommend(X, target, k=1, algorithms=[name])[0].pipeline.fit(X, target, **options)
        assert (weighted == plain.predict(X)).all(), name


def test_a_recommended_ensemble_takes_weights(routing):
    ensemble = recommend(X, Y, k=5).ensemble(k=3).fit(X, Y, sample_weight=WEIGHTS)
    assert set(ensemble.predict(X)) == {"no", "yes"}


def test_a_search_with_weights_finds_the_same_with_and_without_routing(routing):
    options = {"n_trials": 6, "sample_weight": WEIGHTS, "random_state": 0}
    routed = tune(X, X["a"], **options).leaderboard
    with config_context(enable_metadata_routing=False):
        plain = tune(X, X["a"], **options).leaderboard
    columns = ["algorithm", "state", "score"]
    pd.testing.assert_frame_equal(routed[columns], plain[columns])
    assert "failed" not in set(routed["state"])


# --- what transformers return -----------------------------------------------------------------------------------


@pytest.mark.parametrize("output", ["pandas", "polars"])
@pytest.mark.parametrize("name", sorted(SearchSpace.for_kind("binary").algorithms))
def test_pipelines_do_not_mind_what_transformers_return(output, name):
    pytest.importorskip("polars")
    frame = X.assign(d=pd.date_range("2020", periods=N), t=[f"{i} kg" for i in range(N)])
    pipeline = recommend(frame, Y, k=1, algorithms=[name])[0].pipeline
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        expected = clone(pipeline).fit(frame, Y).predict_proba(frame)
        with config_context(transform_output=output):
            found = clone(pipeline).fit(frame, Y).predict_proba(frame)
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize("output", ["pandas", "polars"])
def test_estimators_do_not_mind_what_transformers_return(output):
    pytest.importorskip("polars")
    expected = AutoMetaClassifier(n_trials=0, random_state=0).fit(X, Y).predict_proba(X)
    with config_context(transform_output=output):
        found = AutoMetaClassifier(n_trials=0, random_state=0).fit(X, Y).predict_proba(X)
    np.testing.assert_allclose(found, expected)


# --- tables of other libraries ----------------------------------------------------------------------------------


def polars_frame():
    pl = pytest.importorskip("polars")
    return pl.from_pandas(X).with_columns(
        pl.col("b").cast(pl.Categorical),
        pl.Series("d", pd.date_range("2020", periods=N).date.tolist()),
        pl.Series("s", [f"{1000 + 37 * i:,}" for i in range(N)]),
        pl.Series("t", [None if i % 5 == 0 else i % 3 == 0 for i in range(N)]),
        pl.Series("l", [[i] for i in range(N)]),
    )


def other_frames():
    frame = polars_frame()
    return {
        "polars": frame,
        "lazy": frame.lazy(),
        "arrow": frame.to_arrow(),
        "pandas on arrow": frame.to_pandas(use_pyarrow_extension_array=True),
    }


def test_any_library_gives_the_same_task_and_the_same_predictions():
    pl = pytest.importorskip("polars")
    target = pl.Series("y", Y.tolist())
    expected = None
    for name, frame in other_frames().items():
        types = Task.from_frame(frame, target).column_types
        assert types == {
            "a": "numeric", "b": "categorical", "c": "numeric", "d": "date", "s": "numeric", "t": "numeric",
            "l": "ignored",
        }, name  # fmt: skip
        model = AutoMetaClassifier(**QUICK).fit(frame, target)
        assert model.feature_names_in_.tolist() == list(types)
        for other in other_frames().values():
            found = model.predict_proba(other)
            expected = found if expected is None else expected
            np.testing.assert_allclose(found, expected, atol=1e-8, err_msg=name)


def test_the_target_may_be_a_column_of_any_library():
    pl = pytest.importorskip("polars")
    frame = polars_frame().with_columns(pl.Series("y", Y.tolist()))
    tasks = [Task.from_frame(table, "y") for table in (frame, frame.lazy(), frame.to_arrow())]
    assert len({task.fingerprint() for task in tasks}) == 1
    lazily = Task.from_frame(frame.drop("y"), frame.lazy().select("y"))
    assert lazily.fingerprint() == tasks[0].fingerprint()
    chunks = pa.chunked_array([Y.tolist()[:20], Y.tolist()[20:]])
    assert Task.from_frame(frame.drop("y"), chunks).fingerprint() == tasks[0].fingerprint()


# --- numbers at the ends of their range -------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(SearchSpace.for_kind("regression").algorithms))
@pytest.mark.parametrize("extreme", [1e39, -1e300, np.inf, -np.inf])
def test_extreme_numbers_are_fitted_and_predicted_by_all(name, extreme):
    frame = X.assign(e=np.where(np.arange(N) % 9 == 0, extreme, X["a"]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipeline = recommend(frame, X["a"], k=1, algorithms=[name])[0].pipeline.fit(frame, X["a"])
        assert np.isfinite(pipeline.predict(frame)).all()


def test_infinities_in_new_rows_alone_are_missing():
    model = AutoMetaRegressor(n_trials=0, random_state=0).fit(X, X["a"])
    for value in (np.inf, -np.inf):
        with pytest.warns(UserWarning, match="infinite values are read as missing"):
            found = model.predict(X.assign(a=value, c=value).head(3))
        np.testing.assert_allclose(found, model.predict(X.assign(a=np.nan, c=np.nan).head(3)))


def test_one_zero_in_every_algorithm():
    zeros = X.assign(z=np.where(np.arange(N) % 2, 0.0, -0.0), k=np.arange(N) % 3 * 1.0)
    model = AutoMetaClassifier(n_trials=0, random_state=0).fit(zeros, Y)
    np.testing.assert_allclose(model.predict_proba(zeros), model.predict_proba(zeros.assign(z=0.0)))
