"""The zero-shot ensemble: what it is made of follows from what is expected, and it is plain scikit-learn."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from refusals import refused
from simulation import simulate_metabase
from sklearn.base import clone
from sklearn.ensemble import VotingClassifier, VotingRegressor
from sklearn.metrics import make_scorer, matthews_corrcoef
from sklearn.model_selection import FixedThresholdClassifier

import autometa
from autometa import Task, UsageError
from autometa.metamodel import MetaModel
from autometa.recommendation.mixture import Candidates, build_ensemble, choose_mixture, fit_weighted
from autometa.space import Configuration, SearchSpace

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

KINDS = ("binary", "multiclass", "regression")
# Where the columns do not matter, few are quicker.
SOME = ["number", "nullable", "level", "day as text"]


@pytest.fixture(scope="module")
def tables(make_mixed, make_target):
    frame = make_mixed(90)
    return {kind: (frame, make_target(frame, kind)) for kind in KINDS}


@pytest.fixture(scope="module")
def model() -> MetaModel:
    return MetaModel.fit(simulate_metabase(n_tasks=12))


@pytest.fixture(scope="module")
def advice(tables, model):
    return {kind: autometa.recommend(*tables[kind], metamodel=model, random_state=0) for kind in KINDS}


def vote_of(ensemble):
    return ensemble.estimator if isinstance(ensemble, FixedThresholdClassifier) else ensemble


def outputs(estimator, X) -> np.ndarray:
    """Return all that an estimator says about rows."""
    said = [estimator.predict(X)]
    if hasattr(estimator, "predict_proba"):
        said.append(estimator.predict_proba(X))
    return np.column_stack([pd.factorize(s, sort=True)[0] if s.dtype == object else s for s in said])


def same(a, b, X) -> bool:
    return bool(np.array_equal(outputs(a, X), outputs(b, X)))


def field(configurations, regret, seconds=None):
    """Return what leads, whatever the metric."""
    return Candidates(
        tuple(configurations),
        np.array(regret),
        np.ones(len(regret)) if seconds is None else np.array(seconds),
    )


def defaults(kind: str, *names: str) -> list[Configuration]:
    space = SearchSpace.for_kind(kind)
    return [space[name].default_configuration() for name in names]


@pytest.mark.parametrize("kind", KINDS)
def test_an_ensemble_is_an_unfitted_vote_of_at_most_k_different_pipelines(kind, advice):
    for k in (2, 3, 5):
        ensemble = advice[kind].ensemble(k)
        assert isinstance(ensemble, VotingRegressor if kind == "regression" else VotingClassifier)
        assert not hasattr(ensemble, "estimators_")
        assert 1 < len(ensemble.estimators) <= k
        assert len({pickle.dumps(pipeline) for _, pipeline in ensemble.estimators}) == len(
            ensemble.estimators
        )
        assert sum(ensemble.weights) == pytest.approx(1)
        assert min(ensemble.weights) > 0


@pytest.mark.parametrize("kind", KINDS)
def test_one_member_is_the_first_recommendation_alone(kind, advice, tables):
    X, y = tables[kind]
    alone = advice[kind].ensemble(1).fit(X, y)
    first = advice[kind][0].pipeline.fit(X, y)
    if kind == "regression":
        assert np.allclose(alone.predict(X), first.predict(X))
    else:
        assert np.allclose(alone.predict_proba(X), first.predict_proba(X))
        assert alone.classes_.tolist() == first.classes_.tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_it_predicts_the_weighted_mean_of_its_members_and_survives_clone_and_pickle(kind, advice, tables):
    X, y = tables[kind]
    ensemble = advice[kind].ensemble(4)
    fitted = clone(ensemble).fit(X, y)
    assert same(fitted, clone(ensemble).fit(X, y), X)
    assert same(fitted, pickle.loads(pickle.dumps(fitted)), X)
    method = "predict" if kind == "regression" else "predict_proba"
    members = [getattr(member, method)(X) for member in fitted.estimators_]
    mean = np.average(members, axis=0, weights=ensemble.weights)
    assert np.allclose(getattr(fitted, method)(X), mean)
    if kind != "regression":
        assert np.allclose(mean.sum(axis=1), 1)


@pytest.mark.parametrize(
    ("kind", "metric"),
    [
        *(("binary", m) for m in ("roc_auc", "balanced_accuracy", "f1", make_scorer(matthews_corrcoef))),
        *(("multiclass", m) for m in ("neg_log_loss", "balanced_accuracy")),
        *(("regression", m) for m in ("rmse", "mae")),
    ],
)
def test_every_metric_has_an_ensemble_that_learns(kind, metric, tables, model):
    X, y = tables[kind]
    ensemble = autometa.recommend(X, y, metric=metric, metamodel=model).ensemble(3).fit(X, y)
    prediction = ensemble.predict(X)
    if kind == "regression":
        assert np.corrcoef(prediction, y)[0, 1] > 0.5
    else:
        assert set(prediction) <= set(y)
        assert (prediction == y).mean() > 1.2 / y.nunique()


def test_for_balanced_accuracy_a_class_is_predicted_from_its_share_on(tables, model):
    X, y = tables["binary"]
    rare = y.where(np.arange(len(y)) % 3 == 0, "no")
    ensemble = (
        autometa.recommend(X, rare, metric="balanced_accuracy", metamodel=model).ensemble(4).fit(X, rare)
    )
    assert isinstance(ensemble, FixedThresholdClassifier)
    above = ensemble.predict_proba(X)[:, 1] >= (rare == "yes").mean()
    assert np.array_equal(ensemble.predict(X), np.where(above, "yes", "no"))
    for _, pipeline in ensemble.estimator.estimators:
        assert pipeline[-1].get_params().get("class_weight") is None


@pytest.mark.parametrize("labels", [(0, 1), (-1, 1), (False, True), ("-1", "1"), ("b", "a")])
def test_labels_of_all_kinds_keep_their_names(labels, tables, model):
    X, y = tables["binary"]
    target = pd.Series(np.where(y == "yes", *labels[::-1]), index=y.index, name="target")
    ensemble = autometa.recommend(X, target, metric="balanced_accuracy", metamodel=model).ensemble(3)
    predicted = ensemble.fit(X, target).predict(X)
    assert set(predicted.tolist()) == set(target.tolist())
    assert (predicted == target).mean() > 0.7


def test_members_for_a_metric_of_order_have_no_class_weights_and_for_balance_of_many_classes_what_can_has(
    tables,
):
    space = SearchSpace.for_kind("binary")
    plain = defaults("binary", "random_forest", "linear", "knn", "lightgbm")
    heavy = [Configuration(c.algorithm, {**c.params, "class_weight": "balanced"}) for c in plain[:2]]
    leading = field([*heavy, *plain], [0.1, 0.2, 0.1, 0.2, 0.3, 0.4])
    given = {
        metric: choose_mixture(Task.from_frame(*tables[kind], metric=metric), 5, (heavy[0], 1.0), leading)
        for kind, metric in (("binary", "roc_auc"), ("multiclass", "balanced_accuracy"))
    }
    assert all(not space.problems(c) for mixture in given.values() for c in mixture.configurations)
    assert list(given["roc_auc"].configurations) == plain
    assert list(given["balanced_accuracy"].configurations) == [*heavy, plain[2]]


def test_who_is_expected_to_be_worse_counts_less_and_the_first_most(tables):
    task = Task.from_frame(*tables["regression"])
    some = defaults("regression", "lightgbm", "linear", "knn", "mlp")
    mixture = choose_mixture(task, 4, (some[0], 1.0), field(some, [0.1, 0.1, 0.2, 0.5]))
    weights = mixture.weights
    assert weights[0] > weights[1] > weights[2] > weights[3] > 0
    assert sum(weights) == pytest.approx(1)
    shifted = choose_mixture(task, 4, (some[0], 1.0), field(some, [0.6, 0.6, 0.7, 1.0]))
    assert shifted.weights == pytest.approx(weights)  # only differences count


def test_at_most_two_members_are_of_one_algorithm(tables):
    forests = [
        Configuration("random_forest", {**c.params, "n_estimators": n})
        for n, c in zip((50, 60, 70, 80), defaults("regression", "random_forest") * 4, strict=True)
    ]
    leading = field([*forests, *defaults("regression", "linear")], [0.1, 0.1, 0.1, 0.1, 0.3])
    mixture = choose_mixture(Task.from_frame(*tables["regression"]), 5, (forests[0], 1.0), leading)
    assert [c.algorithm for c in mixture.configurations] == ["random_forest", "random_forest", "linear"]


def test_members_together_stay_within_the_time_budget(tables, model, advice):
    task = Task.from_frame(*tables["regression"])
    some = defaults("regression", "lightgbm", "mlp", "knn", "linear")
    leading = field(some, [0.1, 0.1, 0.2, 0.2], [1.0, 5.0, 0.5, 0.4])
    found = {b: choose_mixture(task, 4, (some[0], 1.0), leading, b) for b in (0.5, 1.6, 2.0, 8.0)}
    assert [[c.algorithm for c in m.configurations] for m in found.values()] == [
        ["knn"],
        ["lightgbm", "knn"],
        ["lightgbm", "knn", "linear"],
        ["lightgbm", "mlp", "knn", "linear"],
    ]
    assert all(m.seconds <= budget for budget, m in found.items())
    nothing = choose_mixture(task, 4, (some[0], 1.0), leading, 0.1)
    assert nothing == choose_mixture(task, 1, (some[0], 1.0), leading)
    assert len(advice["binary"].ensemble(5, time_budget=1e-9).estimators) == 1
    recommended = autometa.recommend(*tables["binary"], metamodel=model, time_budget=1e-9)
    assert len(recommended.ensemble(5).estimators) == 1  # what was asked for at first counts here too


def test_what_cannot_be_is_refused(advice):
    for arguments in ({"k": 0}, {"k": 3, "time_budget": 0.0}):
        with refused(UsageError, "AM510"):
            advice["binary"].ensemble(**arguments)


@pytest.mark.parametrize("kind", KINDS)
def test_sample_weights_reach_every_model_that_takes_them_and_no_other_part(kind, tables):
    X, y = tables[kind][0][SOME], tables[kind][1]
    task = Task.from_frame(X, y)
    members = defaults(kind, "lightgbm", "random_forest", "linear", "svm", "knn")
    ensemble = build_ensemble(members, None, task)
    weights = np.where(np.arange(len(y)) % 2 == 0, 1.0, 0.0)
    plain, weighted = clone(ensemble).fit(X, y), fit_weighted(clone(ensemble), X, y, weights)
    for name, before in plain.named_estimators_.items():
        equal = np.allclose(outputs(before, X)[:, -1], outputs(weighted.named_estimators_[name], X)[:, -1])
        assert equal == (name == "knn")
    assert same(fit_weighted(clone(ensemble), X, y), plain, X)
    # Nothing of it stays: what was fitted can be fitted again as any other estimator.
    assert same(weighted.fit(X, y), plain, X)


@pytest.mark.parametrize("kind", KINDS)
def test_the_script_makes_the_same_ensemble(kind, tables, model, tmp_path):
    X, y = tables[kind]
    table = X.drop(columns=["empty", "constant", "id"]).assign(target=y)
    table.to_csv(tmp_path / "data.csv", index=False)
    table = pd.read_csv(tmp_path / "data.csv")
    X, y = table.drop(columns=["target"]), table["target"]
    metric = {"binary": "balanced_accuracy", "multiclass": "log_loss", "regression": "r2"}[kind]
    recommended = autometa.recommend(X, y, metric=metric, metamodel=model)
    code = recommended.ensemble_code(3, data=str(tmp_path / "data.csv"))
    assert "autometa" not in code
    script = tmp_path / "script.py"
    method = "predict" if kind == "regression" else "predict_proba"
    script.write_text(
        f"{code}\n    import numpy as np\n    np.save({str(tmp_path / 'said.npy')!r}, pipeline.{method}(X))\n"
        f"    np.save({str(tmp_path / 'labels.npy')!r}, pipeline.predict(X).astype(str))\n"
    )
    subprocess.run([sys.executable, "-W", "ignore", script], check=True, cwd=tmp_path, capture_output=True)
    ours = recommended.ensemble(3).fit(X, y)
    assert np.array_equal(np.load(tmp_path / "said.npy"), getattr(ours, method)(X))
    assert np.load(tmp_path / "labels.npy").tolist() == ours.predict(X).astype(str).tolist()
