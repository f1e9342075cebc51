"""Models in files: what comes back is what went in, and a file can hold nothing else."""

from __future__ import annotations

import io
import json
import os
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
from refusals import refused
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from autometa.cli import main
from autometa.errors import StorageError
from autometa.persistence import INFO_MEMBER, load_model, save_model, version_mismatches
from autometa.persistence.audit import ALLOWED
from autometa.pipelines import build_pipeline
from autometa.pipelines.preparation import FUNCTIONS
from autometa.space import Configuration, SearchSpace
from autometa.task import Task

INFO = {"kind": "binary", "target": "target"}


def fit(configuration, task):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # few rows: some searches do not converge
        return build_pipeline(configuration, task).fit(task.X, task.y)


def outputs(pipeline, X):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pipeline.predict_proba(X) if hasattr(pipeline, "predict_proba") else pipeline.predict(X)


def variants(kind, algorithm):
    """Configurations of an algorithm that between them take most choices, with few trees and rounds."""
    small = {"n_estimators": 8, "max_iter": 8}
    configurations = [c for c in SearchSpace.for_kind(kind).design(3) if c.algorithm == algorithm]
    return [
        Configuration(algorithm, {k: small.get(k, v) for k, v in c.params.items()}) for c in configurations
    ]


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("algorithm", list(SearchSpace.for_kind("binary").algorithms))
def test_every_algorithm_predicts_the_same_after_a_round_trip(
    tmp_path, make_mixed, make_target, kind, algorithm
):
    frame = make_mixed(60)
    y = make_target(frame, kind)
    task = Task.from_frame(frame, y)
    plain = Task.from_frame(frame[["number", "with_inf"]], y)
    cases = [(c, plain) for c in variants(kind, algorithm)] + [(variants(kind, algorithm)[-1], task)]
    for configuration, each in cases:
        pipeline = fit(configuration, each)
        save_model(tmp_path / "m.skops", pipeline, INFO)
        loaded, info = load_model(tmp_path / "m.skops")
        np.testing.assert_array_equal(outputs(pipeline, each.X), outputs(loaded, each.X))
        assert info["target"] == "target"


def test_what_shows_only_in_use_is_one_line(tmp_path, make_mixed, capsys):
    frame = make_mixed(60)[["number", "with_inf"]]
    task = Task.from_frame(frame, frame["number"] > 0)
    pipeline = fit(SearchSpace.for_kind("binary")["knn"].default_configuration(), task)
    columns = [{"name": "number", "type": "numeric", "dtype": "float64"}]  # of the two that it was fitted on
    save_model(tmp_path / "m.skops", pipeline, {**INFO, "columns": columns})
    frame.to_csv(tmp_path / "rows.csv", index=False)
    assert main(["predict", str(tmp_path / "m.skops"), str(tmp_path / "rows.csv")]) == 1
    assert "[AM613]" in capsys.readouterr().err


@pytest.mark.parametrize("labels", [[0, 1], [False, True], ["-1", "1"], [1.0, 2.0], [10**12, -3]], ids=str)
@pytest.mark.parametrize("algorithm", ["lightgbm", "hist_gradient_boosting", "svm", "knn"])
def test_labels_keep_their_type(tmp_path, labels, algorithm):
    X = pd.DataFrame({"a": np.linspace(0, 1, 60), "b": ["u", "v", "w"] * 20})
    task = Task.from_frame(X, np.repeat(np.array(labels), 30))
    pipeline = fit(SearchSpace.for_kind("binary")[algorithm].default_configuration(), task)
    save_model(tmp_path / "m.skops", pipeline, INFO)
    loaded, _ = load_model(tmp_path / "m.skops")
    assert loaded.predict(X).dtype == pipeline.predict(X).dtype
    assert loaded.predict(X).tolist() == pipeline.predict(X).tolist()


@pytest.mark.parametrize("algorithm", ["svm", "knn", "linear", "mlp"])
def test_models_on_many_categories_hold_sparse_matrices_and_come_back(tmp_path, algorithm):
    rng = np.random.default_rng(0)
    X = pd.DataFrame({f"c{i}": rng.choice([f"v{k}" for k in range(12)], 80) for i in range(6)})
    task = Task.from_frame(X, rng.choice(["no", "yes"], 80))
    pipeline = fit(SearchSpace.for_kind("binary")[algorithm].default_configuration(), task)
    save_model(tmp_path / "m.skops", pipeline, INFO)
    loaded, _ = load_model(tmp_path / "m.skops")
    np.testing.assert_array_equal(outputs(pipeline, X), outputs(loaded, X))


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("algorithm", ["lightgbm", "hist_gradient_boosting", "linear"])
def test_models_on_words_come_back(tmp_path, algorithm, kind):
    rng = np.random.default_rng(0)
    n_rows = 120
    X = pd.DataFrame(
        {
            "many": [f"v{i}" for i in rng.integers(0, 60, n_rows)],
            "short": [f"{i} {a} of them" for i, a in enumerate(rng.choice(["red", "blue"], n_rows))],
            "long": [" ".join(rng.choice(["lorem", "ipsum", "dolor"], 40)) for _ in range(n_rows)],
        }
    )
    y = (
        rng.normal(size=n_rows)
        if kind == "regression"
        else rng.choice(["a", "b", "c"][: 2 + (kind[0] == "m")], n_rows)
    )
    task = Task.from_frame(X, y, kind=kind)
    pipeline = fit(variants(kind, algorithm)[0], task)
    save_model(tmp_path / "m.skops", pipeline, INFO)
    loaded, _ = load_model(tmp_path / "m.skops")
    titles = [name for name, _, _ in loaded["prepare"].transformers_]
    assert {"worth", "letters0", "words0"} <= set(titles)
    new = X.assign(many="never seen", short=None)
    for each in (X, new):
        np.testing.assert_array_equal(outputs(pipeline, each), outputs(loaded, each))


@pytest.fixture(scope="module")
def forest():
    X = pd.DataFrame({"a": np.linspace(0, 1, 60), "b": ["u", "v", "w"] * 20, "flag": [True, False] * 30})
    task = Task.from_frame(X, ["no", "yes"] * 30)
    configuration = SearchSpace.for_kind("binary")["random_forest"].default_configuration()
    return fit(Configuration("random_forest", {**configuration.params, "n_estimators": 2}), task)


@pytest.fixture
def model(tmp_path, forest):
    save_model(tmp_path / "m.skops", forest, INFO)
    return tmp_path / "m.skops"


def rewrite(path, change):
    """Write a model file again with changed members."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members = change(members)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def code_of(function, *arguments):
    with pytest.raises(StorageError) as caught:
        function(*arguments)
    assert "\n" not in str(caught.value)
    return caught.value.code


def test_saving_leaves_the_pipeline_as_it_is(forest, model):
    cast = forest.named_steps["prepare"].transformers_[0][1]
    assert cast.steps[0][1].func is pd.DataFrame.astype


def test_a_file_holds_names_of_functions_and_no_function(model):
    with zipfile.ZipFile(model) as archive:
        schema = archive.read("schema.json").decode()
    assert "FunctionNode" not in schema
    assert "to text" in schema


def test_the_info_says_which_versions_saved_the_model(model):
    _, info = load_model(model)
    assert version_mismatches(info) == []
    info["libraries"]["scikit-learn"] = "0.24.2"
    assert version_mismatches(info)[0].startswith("scikit-learn 0.24.2 then")


@pytest.mark.parametrize(
    "step",
    [
        FunctionTransformer(os.path.join),
        FunctionTransformer(np.log, kw_args={}),
        FunctionTransformer(inverse_func=np.exp),
    ],
)
def test_a_pipeline_with_a_foreign_function_is_not_saved(tmp_path, step):
    pipeline = make_pipeline(step, LogisticRegression())
    assert code_of(save_model, tmp_path / "m.skops", pipeline, INFO) == "AM602"
    assert list(tmp_path.iterdir()) == []


def test_a_pipeline_with_a_foreign_type_is_not_saved_and_an_old_file_stays(model):
    before = model.read_bytes()
    assert code_of(save_model, model, make_pipeline(np.polynomial.Polynomial([1])), INFO) == "AM602"
    assert model.read_bytes() == before
    assert [p.name for p in model.parent.iterdir()] == [model.name]


def test_a_model_is_not_written_into_a_folder_that_is_not_there(tmp_path, forest):
    assert code_of(save_model, tmp_path / "none" / "m.skops", forest, INFO) == "AM609"


class Exploit:
    def __reduce__(self):
        return (os.system, ("echo harm > harm.txt",))


def test_a_pickle_is_refused_unread(tmp_path, monkeypatch):
    import pickle

    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.skops").write_bytes(pickle.dumps(Exploit()))
    assert code_of(load_model, tmp_path / "m.skops") == "AM610"
    assert not (tmp_path / "harm.txt").exists()


FOREIGN = {
    "a function": FunctionTransformer(os.system),
    "a partial function": FunctionTransformer(__import__("functools").partial(print, 1)),
    "a method by name": FunctionTransformer(__import__("operator").methodcaller("to_pickle", "x")),
    "an attribute by name": FunctionTransformer(__import__("operator").attrgetter("dt.year")),
    "a bound method": FunctionTransformer(LogisticRegression().fit),
    "a ufunc": FunctionTransformer(np.exp),
    "an estimator that is not ours": __import__("sklearn.cluster").cluster.KMeans(),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_file_that_holds_anything_else_is_refused(model, name):
    inner = skops.io.dumps(make_pipeline(FOREIGN[name]))

    def change(members):
        with zipfile.ZipFile(io.BytesIO(inner)) as archive:
            return {INFO_MEMBER: members[INFO_MEMBER], **{n: archive.read(n) for n in archive.namelist()}}

    rewrite(model, change)
    assert code_of(load_model, model) == "AM602"


def test_a_function_that_is_no_name_of_ours_is_refused(model):
    def change(members):
        members["schema.json"] = members["schema.json"].replace(b"to text", b"os.exec")
        return members

    rewrite(model, change)
    assert code_of(load_model, model) == "AM602"


@pytest.fixture
def boosted(tmp_path):
    X = pd.DataFrame({"a": np.tile(np.linspace(0, 1, 60), 2), "b": ["u", "v", "w"] * 40})
    task = Task.from_frame(X, (X["a"] + (X["b"] == "u") > 0.7).map({True: "yes", False: "no"}))
    configuration = SearchSpace.for_kind("binary")["hist_gradient_boosting"].default_configuration()
    pipeline = fit(Configuration(configuration.algorithm, {**configuration.params, "max_iter": 2}), task)
    save_model(tmp_path / "b.skops", pipeline, INFO)
    return tmp_path / "b.skops"


@pytest.mark.parametrize(
    ("fixture", "field", "value"),
    [
        *(("model", field, value) for field in ("left_child", "right_child") for value in (10**6, 0, -7)),
        ("model", "feature", 10**6),
        ("model", "feature", -7),
        *(("boosted", field, value) for field in ("left", "right") for value in (10**6, 0)),
        ("boosted", "feature_idx", 10**6),
        ("boosted", "bitset_idx", 10**6),
    ],
)
def test_a_tree_that_points_outside_is_refused(request, fixture, field, value):
    model = request.getfixturevalue(fixture)

    def change(members):
        for name, content in members.items():
            if name.endswith(".npy"):
                array = np.load(io.BytesIO(content))
                if array.dtype.names and field in array.dtype.names and len(array) > 1:
                    if "is_categorical" in array.dtype.names:
                        array["is_categorical"][0] = 1
                    array[field][0] = value
                    buffer = io.BytesIO()
                    np.save(buffer, array)
                    members[name] = buffer.getvalue()
        return members

    rewrite(model, change)
    assert code_of(load_model, model) == "AM602"


@pytest.mark.parametrize(
    "change",
    [
        lambda m: {k: v for k, v in m.items() if k != INFO_MEMBER},
        lambda m: {k: v for k, v in m.items() if k != "schema.json"},
        lambda m: {k: v for k, v in m.items() if not k.endswith(".npy")},
        lambda m: {**m, INFO_MEMBER: b"[]"},
        lambda m: {**m, INFO_MEMBER: b'{"schema": "autometa/model/99"}'},
        lambda m: {**m, "schema.json": b"{nonsense"},
        lambda m: {**m, "schema.json": b"[" * 100_000},
    ],
    ids=["no info", "no schema", "no arrays", "info is a list", "newer", "no JSON", "deep JSON"],
)
def test_a_damaged_file_is_one_line(model, change):
    rewrite(model, change)
    assert code_of(load_model, model) == "AM610"


def test_an_old_protocol_of_skops_is_refused(model):
    def change(members):
        schema = json.loads(members["schema.json"])
        return {**members, "schema.json": json.dumps({**schema, "protocol": 0}).encode()}

    rewrite(model, change)
    assert code_of(load_model, model) == "AM602"


def test_a_truncated_file_is_one_line(model):
    model.write_bytes(model.read_bytes()[:1000])
    assert code_of(load_model, model) == "AM610"


def test_a_missing_file_is_one_line(tmp_path):
    assert code_of(load_model, tmp_path / "none.skops") == "AM610"


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="a device of Unix")
def test_a_device_is_no_model():
    assert code_of(load_model, "/dev/zero") == "AM610"


def test_an_address_is_no_model_and_its_password_is_not_shown():
    with pytest.raises(StorageError) as caught:
        load_model("https://me:s3cret@server/m.skops")
    assert "s3cret" not in str(caught.value)


def test_a_file_that_unpacks_to_too_much_is_refused(model, monkeypatch):
    monkeypatch.setattr("autometa.persistence.audit.MAX_BYTES", 1000)
    assert code_of(load_model, model) == "AM602"


def test_no_function_and_no_method_can_be_allowed():
    assert (
        not {"FunctionNode", "MethodNode", "PartialNode", "OperatorFuncNode", "ConstructorFromReduceNode"}
        & ALLOWED.keys()
    )


def test_names_of_functions_are_unique_by_what_they_do():
    assert len({repr((function, dict(options))) for function, options in FUNCTIONS.values()}) == len(
        FUNCTIONS
    )


def test_facts_that_could_not_be_read_again_are_not_written(tmp_path):
    path = tmp_path / "model.skops"
    with refused(StorageError, "AM602", match="the facts are not of the right types"):
        save_model(path, None, {"kind": "binary", "columns": [{"name": "a"}]})
    assert not path.exists()


@pytest.mark.parametrize("kind", ["regression", "binary"])
def test_boosting_that_was_stopped_early_comes_back(tmp_path, kind):
    """A model of a fold keeps its losses on the rows left out, which no file holds."""
    import lightgbm

    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(300, 3)), columns=list("abc"))
    y = X["a"] + rng.normal(size=300)
    y = y if kind == "regression" else (y > 0).astype("int64").astype("str")
    task = Task.from_frame(X, y.rename("y"), kind=kind)
    pipeline = build_pipeline(SearchSpace.for_kind(kind)["lightgbm"].default_configuration(), task)
    rows = pipeline[:-1].fit_transform(X, y)
    codes = y if kind == "regression" else y.astype("int64")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # newer releases have another name for eval_set
        pipeline[-1].fit(
            rows[:200],
            codes[:200],
            eval_set=[(rows[200:], codes[200:])],
            callbacks=[lightgbm.early_stopping(5, verbose=False)],
        )
    assert pipeline[-1].evals_result_
    path = tmp_path / "model.skops"
    save_model(path, pipeline, {})
    expected = pipeline.predict(X)
    np.testing.assert_array_equal(load_model(path)[0].predict(X), expected)
    assert pipeline[-1].evals_result_  # the model at hand is as it was
