"""AutoMetaClassifier and AutoMetaRegressor are scikit-learn estimators like any other."""

from __future__ import annotations

import datetime as dt
import enum
import inspect
import pickle
import uuid
import warnings
from decimal import Decimal
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
from refusals import refused
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.datasets import load_iris, make_regression
from sklearn.ensemble import VotingClassifier
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks
from stand_in import StandIn

from autometa.errors import DataError, UsageError
from autometa.estimators import AutoMetaClassifier, AutoMetaRegressor
from autometa.persistence import load_model, save_model

QUICK = ("linear", "knn", "svm")
WEIGHTS = "the recommendations depend on the number of rows, which weights do not change"
EXPECTED_FAILURES = {
    "check_sample_weight_equivalence_on_dense_data": WEIGHTS,
    "check_sample_weight_equivalence_on_sparse_data": WEIGHTS,
}


# Recommends the defaults of quick algorithms: these tests are about the estimators.
STAND_IN = StandIn(QUICK)
classifier = partial(AutoMetaClassifier, metamodel=STAND_IN)
regressor = partial(AutoMetaRegressor, metamodel=STAND_IN)


@pytest.fixture(scope="module")
def iris() -> tuple[pd.DataFrame, pd.Series]:
    X, y = load_iris(return_X_y=True, as_frame=True)
    rows = np.random.default_rng(0).permutation(150)[:90]
    return X.iloc[rows].reset_index(drop=True), y.iloc[rows].reset_index(drop=True)


def expected_failures(_estimator: Any) -> dict[str, str]:
    return EXPECTED_FAILURES


with_checks = parametrize_with_checks(
    [classifier(n_trials=0, random_state=0), regressor(n_trials=0, random_state=0)],
    expected_failed_checks=expected_failures,
)
with_a_search = parametrize_with_checks(
    [classifier(n_trials=1, random_state=0), regressor(n_trials=1, random_state=0)],
    expected_failed_checks=expected_failures,
)


@pytest.mark.filterwarnings("ignore")  # the checks warn on purpose
@with_checks
def test_scikit_learns_checks(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.filterwarnings("ignore")
@with_a_search
def test_scikit_learns_checks_of_a_search(estimator: Any, check: Any) -> None:
    check(estimator)


def test_hardly_any_of_the_checks_is_skipped_or_expected_to_fail() -> None:
    """A green suite can hide checks that were never run."""
    for estimator in (classifier(n_trials=0), classifier(n_trials=1)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            checks = [check.func.__name__ for _, check in estimator_checks_generator(estimator, legacy=True)]
        assert len(checks) >= 55
        assert len(expected_failures(estimator)) == 2


def test_zero_shot_fits_the_first_recommendation(iris) -> None:
    model = classifier(n_trials=0).fit(*iris)
    assert model.best_configuration_.algorithm == QUICK[0]
    assert model.leaderboard_.empty
    assert model.score(*iris) > 0.8


def test_a_search_shows_in_the_leaderboard(iris) -> None:
    model = classifier(n_trials=4, metric="accuracy", random_state=0).fit(*iris)
    assert len(model.leaderboard_) == 4
    assert model.leaderboard_["algorithm"][0] == model.best_configuration_.algorithm
    proba = model.predict_proba(iris[0])
    assert proba.shape == (90, 3)
    np.testing.assert_allclose(proba.sum(axis=1), 1.0)


def test_an_ensemble_is_the_mean_of_its_members(iris) -> None:
    X, y = make_regression(50, 3, random_state=0)
    fitted = regressor(n_trials=0, ensemble_size=3).fit(X, y)
    model = fitted.model_
    assert len(model.members) == 3
    frame = pd.DataFrame(X, columns=model.columns)
    parts = [
        member.predict(model.preparations[places[0]].transform(frame)) for places, member, _ in model.members
    ]
    np.testing.assert_allclose(fitted.predict(X), np.mean(parts, axis=0))
    one = classifier(n_trials=3, ensemble_size=1, random_state=0).fit(*iris)
    assert isinstance(one.model_, Pipeline)


def test_a_fitted_estimator_travels_light(iris) -> None:
    for n_trials, most in ((0, 1_000_000), (12, 2_000_000)):
        model = classifier(n_trials=n_trials, random_state=0).fit(*iris)
        assert len(pickle.dumps(model)) <= most


def test_fit_starts_afresh(iris) -> None:
    model = classifier(n_trials=2, random_state=0)
    assert len(model.fit(*iris).leaderboard_) == 2
    assert len(model.fit(*iris).leaderboard_) == 2
    assert not hasattr(clone(model), "classes_")


def test_pickle_clone_and_parameters(iris) -> None:
    model = classifier(n_trials=2, metric="accuracy", random_state=1).fit(*iris)
    copied = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copied.predict(iris[0]), model.predict(iris[0]))
    assert clone(model).get_params() == model.get_params()
    own = ["n_trials", "timeout", "metric", "cv", "ensemble_size", "n_jobs"]
    assert list(inspect.signature(AutoMetaRegressor).parameters)[: len(own)] == own


def test_inside_other_tools(iris) -> None:
    model = classifier(n_trials=0)
    assert is_classifier(model)
    assert is_regressor(regressor())
    assert make_pipeline(StandardScaler(), model).fit(*iris).score(*iris) > 0.8
    assert cross_val_score(model, *iris, cv=2).mean() > 0.8
    vote = VotingClassifier([("a", model), ("b", clone(model))], voting="soft").fit(*iris)
    assert vote.score(*iris) > 0.8


def test_mixed_tables_with_string_labels(make_mixed) -> None:
    X = make_mixed(80)
    y = np.where(np.arange(80) % 2, "yes", "no")
    model = classifier(n_trials=2, random_state=0).fit(X, y)
    assert set(model.predict(make_mixed(10, seed=1))) <= {"yes", "no"}
    assert model.n_features_in_ == X.shape[1]
    assert model.feature_names_in_.tolist() == X.columns.tolist()
    assert "AutoMetaClassifier" in model._repr_html_()


def test_html_before_and_after_fit(iris) -> None:
    model = classifier(n_trials=0)
    assert "AutoMetaClassifier" in model._repr_html_()
    assert "AutoMetaClassifier" in make_pipeline(StandardScaler(), model.fit(*iris))._repr_html_()


def test_columns_at_predict(iris) -> None:
    X, y = iris
    model = classifier(n_trials=0).fit(X, y)
    expected = model.predict_proba(X)
    np.testing.assert_array_equal(model.predict_proba(X[X.columns[::-1]]), expected)
    with pytest.warns(UserWarning, match=r"'extra'"):
        np.testing.assert_array_equal(model.predict_proba(X.assign(extra=1)), expected)
    with refused(DataError, "AM401", match=r"2 column\(s\).*'sepal length \(cm\)', 'petal width \(cm\)'"):
        model.predict(X.drop(columns=["petal width (cm)", "sepal length (cm)"]))


def test_arrays_and_numbered_columns(iris) -> None:
    X, y = iris
    for table in (
        X.to_numpy(),
        X.to_numpy().tolist(),
        X.set_axis(range(4), axis=1),
        X.set_axis([7, 3, 5, 1], axis=1),
    ):
        model = classifier(n_trials=0).fit(table, y.tolist())
        assert model.score(table, y) > 0.8
        assert not hasattr(model, "feature_names_in_")
    with pytest.raises(ValueError, match="expecting 4 features"):
        model.predict(X.to_numpy()[:, :3])


def test_names_of_which_some_are_numbers(iris) -> None:
    X, y = iris
    table = X.set_axis(["a", 1, "b", 2.5], axis=1)
    model = classifier(n_trials=0).fit(table, y)
    assert model.feature_names_in_.tolist() == ["a", "1", "b", "2.5"]
    np.testing.assert_array_equal(model.predict(table[[2.5, "b", 1, "a"]]), model.predict(table))


def test_groups_weights_and_folds(iris) -> None:
    X, y = iris
    groups = np.arange(90) % 6
    model = classifier(n_trials=2, cv=GroupKFold(3)).fit(X, y, groups=groups, sample_weight=np.ones(90))
    assert "knn" not in model.leaderboard_["algorithm"].tolist()
    with refused(UsageError, "AM520"):
        classifier(n_trials=1, cv="three").fit(X, y)


def test_a_time_limit_without_a_search(iris) -> None:
    assert classifier(n_trials=0, timeout=30).fit(*iris).score(*iris) > 0.8


@pytest.mark.parametrize(
    ("X", "y", "code"),
    [
        ([[1.0], [2.0], [3.0]], [1, 1, 1], "AM103"),
        ([[1.0]], [1], "AM201"),
        (pd.DataFrame({"a": [1.0, 2.0, 3.0]}), [None, "x", "y"], "AM102"),
    ],
)
def test_unusable_data(X, y, code) -> None:
    with refused(ValueError, code):
        classifier(n_trials=0).fit(X, y)


LABELS = {
    "booleans": pd.Series([True, False] * 40, dtype="boolean"),
    "nullable integers": pd.Series([7, 5] * 40, dtype="Int64"),
    "categories": pd.Series(["u", "v"] * 40, dtype="category"),
    "codes": pd.Series(["001", "002"] * 40),
    "objects": pd.Series([1, 0] * 40, dtype=object),
}


@pytest.mark.parametrize("name", LABELS)
def test_predictions_come_back_as_the_labels_that_were_given(name) -> None:
    y = LABELS[name]
    X = pd.DataFrame({"a": np.r_[np.arange(40.0), np.arange(40.0)], "b": [0.0, 1.0] * 40})
    predicted = classifier(n_trials=0).fit(X, y).predict(X)
    assert predicted.tolist() == y.tolist()
    assert {type(label) for label in predicted.tolist()} == {type(label) for label in y.tolist()}


def test_new_rows_are_read_as_at_fit() -> None:
    X = pd.DataFrame({"price": [f"${1000 + i * 37:,}" for i in range(80)], "level": ["1", "2"] * 40})
    y = np.where(np.arange(80) > 39, "dear", "cheap")
    model = classifier(n_trials=0).fit(X, y)
    expected = model.predict_proba(X)
    other = X.assign(price=[1000.0 + i * 37 for i in range(80)], level=[1.0, 2.0] * 40)
    np.testing.assert_allclose(model.predict_proba(other), expected)
    with pytest.warns(UserWarning, match=r"column 'price'.*'much' in row 5"):
        model.predict(X.assign(price=X["price"].where(X.index != 5, "much")))
    with refused(DataError, "AM407", match="column 'price'"):
        model.predict(X.assign(price="much"))


def test_forms_of_tables_that_have_names(iris) -> None:
    X, y = iris
    expected = classifier(n_trials=0).fit(X, y).predict(X)
    columns = {name: X[name].tolist() for name in X}
    model = classifier(n_trials=0).fit(columns, y.tolist())
    np.testing.assert_array_equal(model.predict(columns), expected)


class Light(enum.Enum):
    RED = 1
    GREEN = 2


ODD_LABELS = {
    "dates": [dt.date(2024, 1, 1), dt.date(2025, 1, 1)],
    "members of an enumeration": [Light.RED, Light.GREEN],
    "pairs": [(1, 2), (3, 4)],
    "bytes": [b"a", b"b"],
    "a number and a word": [1, "unknown"],
    "truth as objects": [np.True_, np.False_],
    "numbers as objects": [np.int64(1), np.int64(2)],
}


@pytest.mark.parametrize("name", ODD_LABELS)
def test_scores_take_the_labels_that_fit_takes(name, iris) -> None:
    X = iris[0].iloc[:, :2]
    of_rows = (X.iloc[:, 0] > X.iloc[:, 0].median()).astype(int)
    y = pd.Series([None] * len(X), dtype=object)
    for row, code in enumerate(of_rows):
        y.iloc[row] = ODD_LABELS[name][code]
    model = classifier(n_trials=0, algorithms="linear", random_state=0).fit(X, y)
    assert model.score(X, y) > 0.8
    assert model.score(X, y.tolist()) == model.score(X, y)
    assert model.score(X, y, sample_weight=np.ones(len(y))) == pytest.approx(model.score(X, y))


def test_a_target_may_be_a_mapping_or_money(iris) -> None:
    X, y = iris
    labels = dict(enumerate(y.map(["a", "b", "c"].__getitem__)))
    model = classifier(n_trials=0, algorithms="linear", random_state=0).fit(X, labels)
    assert model.score(X, labels) > 0.8
    price = X.iloc[:, 0].map("${:,.2f}".format)
    fitted = regressor(n_trials=0, algorithms="linear", random_state=0).fit(X, price)
    assert fitted.score(X, price) == fitted.score(X, X.iloc[:, 0]) > 0.9
    assert {issue.code for issue in fitted.warnings_} >= {"AM212"}


@pytest.mark.parametrize(
    "names",
    [[0, 1], pd.RangeIndex(2), [1, 2], [1.5, 2.5], [True, False], pd.to_datetime(["2024-01-01", "2024-01-02"]),
     pd.MultiIndex.from_tuples([("p", "a"), ("p", "b")]), ["a\0", "b"], [b"a", b"b"]],
    ids=str,
)  # fmt: skip
def test_columns_are_taken_by_whatever_names_they_have(names, iris) -> None:
    X, y = iris
    frame = pd.DataFrame({"a": X.iloc[:, 0], "b": ["u", "v", "w"] * 30}).set_axis(names, axis=1)
    model = classifier(n_trials=0, algorithms="linear", random_state=0).fit(frame, y)
    expected = model.predict_proba(frame)
    np.testing.assert_array_equal(model.predict_proba(frame.iloc[:, ::-1]), expected)


def test_a_frame_without_names_is_taken_by_position(iris) -> None:
    X, y = iris
    model = classifier(n_trials=0, algorithms="linear", random_state=0).fit(X.to_numpy(), y)
    np.testing.assert_array_equal(model.predict_proba(pd.DataFrame(X.to_numpy())), model.predict_proba(X))


RETURNED = {
    "dates": [dt.date(2020, 1, 1), dt.date(2021, 1, 1)],
    "times": pd.to_datetime(["2020-01-01", "2021-01-01"]).tolist(),
    "tuples": [(1, 2), (3, 4)],
    "periods": pd.period_range("2020", periods=2, freq="Y").tolist(),
    "intervals": pd.interval_range(0, 2).tolist(),
    "mixed": [True, "unknown"],
    "bytes": [b"a\x00", b"\xff"],
    "decimals": [Decimal(1), Decimal(2)],
    "spans": pd.to_timedelta(["1D", "2D"]).tolist(),
    "hours": [dt.time(9), dt.time(10, 30)],
    "fractions": [Fraction(1), Fraction(2)],
    "names": [uuid.UUID(int=1), uuid.UUID(int=2)],
}


@pytest.mark.parametrize("kind", RETURNED)
@pytest.mark.parametrize("form", [list, pd.Series, lambda labels: pd.Series(labels, dtype="category")])
def test_labels_come_back_as_they_were_given(kind, form, tmp_path) -> None:
    X = pd.DataFrame({"a": [0.0, 1.0] * 20, "b": range(40)})
    labels = RETURNED[kind] * 20
    size = 1 if form is pd.Series else 2
    model = classifier(n_trials=0, algorithms="linear", ensemble_size=size, random_state=0).fit(
        X, form(labels)
    )
    save_model(tmp_path / "m.skops", model.model_, {"kind": "binary"})
    loaded, _ = load_model(tmp_path / "m.skops")
    for found in (model, model.model_, loaded):
        predicted = pd.Series(found.predict(X)).tolist()
        assert predicted == labels
        assert {type(label) for label in predicted} == {type(label) for label in pd.Series(labels)}
        assert set(pd.Series(found.classes_)) == set(labels)
    assert model.score(X, form(labels)) == 1


def test_labels_that_are_read_as_one_come_back_as_most_of_them_are() -> None:
    X = pd.DataFrame({"a": [0.0, 1.0] * 20, "b": range(40)})
    mixed = pd.Series([0, 1, 0, 1, 0.0, "1", "0", 1.0] * 5, dtype=object)
    model = classifier(n_trials=0, algorithms="linear", random_state=0).fit(X, mixed)
    predicted = model.predict(X).tolist()
    assert predicted == [0, 1] * 20
    assert {type(label) for label in predicted} == {int}
    assert model.score(X, mixed) == 1


@pytest.mark.parametrize("label", [dt.timedelta(1), dt.datetime(2020, 1, 1, 3)])
def test_labels_of_python_in_a_column_of_objects_are_known_again(label) -> None:
    X = pd.DataFrame({"a": [0.0, 1.0] * 20, "b": range(40)})
    y = pd.Series([label, label + dt.timedelta(3)] * 20, dtype=object)
    model = classifier(n_trials=0, algorithms="linear", random_state=0).fit(X, y)
    assert pd.Series(model.predict(X), dtype=object).tolist() == y.tolist()
    assert model.score(X, y) == 1


def test_half_characters_of_labels_stay_as_they_are_read() -> None:
    X = pd.DataFrame({"a": [0.0, 1.0] * 20, "b": range(40)})
    model = classifier(n_trials=0, algorithms="linear", random_state=0).fit(X, ["a\ud800", "b"] * 20)
    assert model.predict(X).tolist() == ["a\\ud800", "b"] * 20
