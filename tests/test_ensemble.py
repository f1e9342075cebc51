"""Fitted ensembles: means of their members, whatever comes in."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
from refusals import refused
from sklearn.compose import ColumnTransformer
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from autometa.ensemble import EnsembleClassifier, EnsembleRegressor, bounds_of, calibrate, side_by_side
from autometa.errors import DataError, UsageError


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(80, 3)), columns=list("abc"))
    return X, (X["a"] + 0.3 * rng.normal(size=80) > 0).astype(int)


def prepare(X, columns):
    return Pipeline([("prepare", ColumnTransformer([("n", StandardScaler(), columns)]))]).fit(X)


@pytest.fixture(scope="module")
def classifier(table):
    X, y = table
    parts = [prepare(X, ["a", "b"]), prepare(X, ["c"])]
    models = [
        LogisticRegression(C=c).fit(side_by_side([parts[i].transform(X) for i in places]), y)
        for c, places in ((1.0, (0,)), (0.01, (0, 1)))
    ]
    return EnsembleClassifier(
        parts,
        [((0,), models[0], 0.25), ((0, 1), models[1], 0.75)],
        list("abc"),
        classes=["no", "yes"],
        shares=[0.5, 0.5],
    )


def test_probabilities_are_the_weighted_mean(classifier, table):
    X, _ = table
    expected = sum(
        weight * model.predict_proba(side_by_side([classifier.preparations[p].transform(X) for p in places]))
        for places, model, weight in classifier.members
    )
    np.testing.assert_allclose(classifier.predict_proba(X), expected)
    np.testing.assert_array_equal(classifier.predict(X), np.array(["no", "yes"])[expected.argmax(axis=1)])


def test_order_and_further_columns_do_not_matter(classifier, table):
    X, _ = table
    other = X[["c", "a", "b"]].assign(more=1)
    np.testing.assert_array_equal(classifier.predict_proba(other), classifier.predict_proba(X))


def test_a_missing_column_is_named(classifier, table):
    with pytest.raises(DataError, match=r"1 column\(s\).*'b'"):
        classifier.predict(table[0].drop(columns="b"))


@pytest.mark.parametrize("by_position", [False, True])
def test_a_missing_number_may_be_none(by_position):
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(40, 2)), columns=list("ab"))
    X = X.set_axis(range(2), axis=1) if by_position else X
    bound = FunctionTransformer(np.clip, kw_args={"a_min": -2, "a_max": 2})
    steps = make_pipeline(FunctionTransformer(np.asarray), bound, SimpleImputer())
    ready = Pipeline([("prepare", ColumnTransformer([("n", steps, list(X.columns))]))]).fit(X)
    model = Ridge().fit(ready.transform(X), X.iloc[:, 0])
    ensemble = EnsembleRegressor([ready], [((0,), model, 1.0)], list(X.columns), is_positional=by_position)
    new = pd.DataFrame([{**X.iloc[0].to_dict(), X.columns[1]: None}])
    assert new.iloc[:, 1].dtype == object
    np.testing.assert_allclose(ensemble.predict(new), ensemble.predict(new.astype("float64")))


def test_multipliers_move_the_threshold(classifier, table):
    X, _ = table
    moved = copy.copy(classifier)
    moved.multipliers = [0.2, 0.8]
    chosen = moved.predict(X) == "yes"
    np.testing.assert_array_equal(chosen, classifier.predict_proba(X)[:, 1] > 0.2)


def test_copies_predict_the_same(classifier, table):
    X, _ = table
    for again in (pickle.loads(pickle.dumps(classifier)), copy.deepcopy(classifier)):
        np.testing.assert_array_equal(again.predict_proba(X), classifier.predict_proba(X))


def test_it_is_inspected_as_any_fitted_model_and_refuses_to_be_fitted_again(classifier, table):
    X, y = table
    labels = np.array(["no", "yes"])[y]
    found = permutation_importance(classifier, X, labels, scoring="neg_log_loss", n_repeats=3, random_state=0)
    assert found.importances_mean.argmax() == 0
    curve = partial_dependence(classifier, X, ["a"])["average"][0]
    assert (np.diff(curve) > 0).all()
    with refused(UsageError, "AM528", match="FrozenEstimator"):
        classifier.fit(X, labels)
    assert FrozenEstimator(classifier).fit(X, labels).score(X, labels) > 0.8


def test_a_regressor_is_the_weighted_mean(table):
    X, _ = table
    y = X["a"] * 2
    part = prepare(X, list("abc"))
    models = [Ridge(a).fit(part.transform(X), y) for a in (1.0, 100.0)]
    model = EnsembleRegressor([part], [((0,), m, 0.5) for m in models], list("abc"))
    expected = np.mean([m.predict(part.transform(X)) for m in models], axis=0)
    np.testing.assert_allclose(model.predict(X), expected)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_calibrated_rows_sum_to_one_and_keep_their_order(temperature, smoothing):
    proba = np.random.default_rng(0).dirichlet([1, 2, 3], size=50)
    found = calibrate(proba, temperature, smoothing, np.full(3, 1 / 3))
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    np.testing.assert_array_equal(found.argmax(axis=1), proba.argmax(axis=1))
    assert found.min() >= smoothing / 3 * (1 - 1e-9)


def test_no_member_says_what_lies_beyond_the_bounds(table):
    X, _ = table
    y = 3 * X["a"].to_numpy()
    part = prepare(X, ["a"])
    model = Ridge().fit(part.transform(X), y)
    bounds = bounds_of(y)
    ensemble = EnsembleRegressor([part], [((0,), model, 0.5), ((0,), model, 0.5)], list("abc"), bounds=bounds)
    free = EnsembleRegressor([part], [((0,), model, 1.0)], list("abc"))
    np.testing.assert_allclose(ensemble.predict(X), free.predict(X))
    far = pd.concat([X * 1e6, -X * 1e6])
    assert np.abs(free.predict(far)).max() > 1e5
    assert set(ensemble.predict(far)) == set(bounds)
    # A model that was saved before there were any.
    del ensemble.bounds
    np.testing.assert_allclose(ensemble.predict(far), free.predict(far))


@pytest.mark.parametrize(
    "y", [np.zeros(3), np.array([1.0]), np.array([0.0, 0.0, 0.0, 1e9]), np.arange(-5.0, 7.0)]
)
def test_bounds_hold_all_that_was_seen(y):
    low, high = bounds_of(y)
    assert low <= y.min() <= y.max() <= high
    # A long tail on one side does not let predictions go as far on the other.
    assert y.min() - low == pytest.approx(np.median(y) - y.min())
