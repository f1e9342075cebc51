"""Model files of somebody who means harm: each is refused in one line before native code follows a wrong index."""

from __future__ import annotations

import contextlib
import io
import json
import warnings
import zipfile

import numpy as np
import pandas as pd
import pytest

from autometa.errors import StorageError
from autometa.persistence import INFO_MEMBER, audit, load_model, save_model
from autometa.persistence.audit import check_archive
from autometa.persistence.boosters import audit_lightgbm, lightgbm_text
from autometa.pipelines import build_pipeline
from autometa.space import Configuration, SearchSpace
from autometa.task import Task

SMALL = {"n_estimators": 3, "max_iter": 5}


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.normal(size=90), "b": rng.choice(list("uvw"), 90), "c": rng.normal(size=90)})
    return X, pd.qcut(X["a"], 3, labels=["r", "g", "b"]).astype(str)


@pytest.fixture(scope="module")
def models(table, tmp_path_factory):
    """Return a saved model of each algorithm, as the bytes of its members."""
    found = {}
    path = tmp_path_factory.mktemp("models") / "m.skops"
    task = Task.from_frame(*table)
    for algorithm in SearchSpace.for_kind("multiclass"):
        default = algorithm.default_configuration().params
        params = {name: SMALL.get(name, value) for name, value in default.items()}
        pipeline = build_pipeline(Configuration(algorithm.name, params), task)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # few rows: some searches do not converge
            pipeline.fit(task.X, task.y)
        save_model(path, pipeline, {"kind": "multiclass", "target": "y"})
        with zipfile.ZipFile(path) as archive:
            found[algorithm.name] = {name: archive.read(name) for name in archive.namelist()}
    return found


def pack(path, members, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression=compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def refusal(path):
    with pytest.raises(StorageError) as caught:
        load_model(path)
    assert "\n" not in str(caught.value)
    return caught.value.code


def nodes(value, name=""):
    """Every object of a schema with the name of the attribute that it is."""
    if isinstance(value, dict):
        if "__loader__" in value:
            yield name, value
        for key, item in value.items():
            yield from nodes(item, name if key in ("content", "main") else key)
    elif isinstance(value, list):
        for item in value:
            yield from nodes(item, name)


def with_array(members, attribute, change):
    """Change the array that is an attribute, wherever there is one."""
    schema, changed = json.loads(members["schema.json"]), dict(members)
    hits = 0
    for name, node in nodes(schema):
        if name == attribute and str(node.get("file", "")).endswith(".npy"):
            buffer = io.BytesIO()
            np.save(buffer, change(np.load(io.BytesIO(members[node["file"]]))))
            changed[node["file"]] = buffer.getvalue()
            hits += 1
    assert hits
    return changed


def with_value(members, attribute, value):
    """Change the plain value that is an attribute, wherever there is one."""
    schema = json.loads(members["schema.json"])
    found = [node for name, node in nodes(schema) if name == attribute and node["__loader__"] == "JsonNode"]
    assert found
    for node in found:
        node["content"] = json.dumps(value)
        del node["__id__"]  # of an object that other attributes share: small numbers
    return {**members, "schema.json": json.dumps(schema).encode()}


def test_every_model_is_accepted_as_it_was_saved(models, tmp_path):
    for members in models.values():
        assert load_model(pack(tmp_path / "m.skops", members))


# --- the archive ----------------------------------------------------------------------------------------------


def test_a_bomb_is_refused_before_it_is_unpacked(models, tmp_path, monkeypatch):
    members = {**models["linear"], "bomb.npy": b"\0" * (audit.FREE_BYTES + 1)}
    path = pack(tmp_path / "m.skops", members)
    monkeypatch.setattr(zipfile.ZipFile, "read", lambda *a, **k: pytest.fail("a member was read"))
    assert refusal(path) == "AM602"


def test_a_bomb_in_the_archive_of_a_sparse_matrix_is_refused(models, tmp_path, monkeypatch):
    inner = io.BytesIO()
    pack(inner, dict.fromkeys(audit._SPARSE_MEMBERS, b"\0" * 2_000_000))
    schema = json.loads(models["linear"]["schema.json"])
    schema["content"]["content"]["bomb"] = {
        "__class__": "csr_matrix",
        "__module__": "scipy.sparse._csr",
        "__loader__": "SparseMatrixNode",
        "type": "scipy",
        "file": "bomb.npz",
    }
    members = {**models["linear"], "schema.json": json.dumps(schema), "bomb.npz": inner.getvalue()}
    monkeypatch.setattr(audit, "FREE_BYTES", 1_000_000)
    assert refusal(pack(tmp_path / "m.skops", members)) == "AM602"


def test_a_member_that_is_named_a_thousand_times_counts_a_thousand_times(models, tmp_path, monkeypatch):
    schema = json.loads(models["linear"]["schema.json"])
    node = {
        "__class__": "ndarray",
        "__module__": "numpy",
        "__loader__": "NdArrayNode",
        "type": "numpy",
        "file": "a.npy",
    }
    schema["content"]["content"]["many"] = {
        "__class__": "list",
        "__module__": "builtins",
        "__loader__": "ListNode",
        "content": [node] * 1000,
    }
    buffer = io.BytesIO()
    np.save(buffer, np.random.default_rng(0).random(10_000))
    members = {**models["linear"], "schema.json": json.dumps(schema), "a.npy": buffer.getvalue()}
    monkeypatch.setattr(audit, "MAX_BYTES", 10_000_000)
    assert refusal(pack(tmp_path / "m.skops", members)) == "AM602"


@pytest.mark.parametrize(
    "name", ["../../evil.npy", "/etc/evil", "a\\b.npy", "C:evil", "..", "folder/", "a\nb"]
)
def test_a_member_with_a_path_is_refused(models, tmp_path, name):
    assert refusal(pack(tmp_path / "m.skops", {**models["linear"], name: b""})) == "AM602"


def test_two_members_of_one_name_are_refused(models, tmp_path):
    path = pack(tmp_path / "m.skops", models["linear"])
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr(INFO_MEMBER, b"{}")
    assert refusal(path) == "AM602"


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compressions_are_refused(models, tmp_path, compression):
    assert refusal(pack(tmp_path / "m.skops", models["linear"], compression)) == "AM602"


def test_too_many_members_are_refused(monkeypatch):
    monkeypatch.setattr(audit, "MAX_MEMBERS", 2)
    buffer = io.BytesIO()
    pack(buffer, {"a": b"", "b": b"", "c": b""})
    with zipfile.ZipFile(buffer) as archive, pytest.raises(StorageError, match="3 members"):
        check_archive(archive, 100, "it")


def test_damage_in_a_compressed_part_is_one_line(models, tmp_path):
    path = pack(tmp_path / "m.skops", models["random_forest"])
    content = path.read_bytes()
    for place in range(40, len(content), 97):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        with contextlib.suppress(StorageError):  # and no other error
            load_model(path)


@pytest.mark.parametrize("digits", [60, 400, 5000])
def test_a_number_of_too_many_digits_is_one_line(models, tmp_path, digits):
    number = "9" * digits
    info = f'{{"schema": "autometa/model/2", "score": {number}}}'.encode()
    assert refusal(pack(tmp_path / "m.skops", {**models["linear"], INFO_MEMBER: info})) == "AM610"
    schema = json.loads(models["knn"]["schema.json"])
    for name, node in nodes(schema):
        if name == "n_neighbors":
            node["content"] = number
            del node["__id__"]
    members = {**models["knn"], "schema.json": json.dumps(schema)}
    assert refusal(pack(tmp_path / "m.skops", members)) == "AM610"


@pytest.mark.parametrize(
    "facts",
    [
        {"kind": "clustering"},
        {"kind": ["binary"]},
        {"target": 3},
        {"libraries": []},
        {"columns": {}},
        {"columns": ["a"]},
        {"columns": [{"name": 1, "type": "numeric", "dtype": "str"}]},
        {"columns": [{"name": "a"}]},
    ],
    ids=str,
)
def test_facts_of_other_types_are_refused(models, tmp_path, facts):
    info = json.dumps({"schema": "autometa/model/2", **facts})
    assert refusal(pack(tmp_path / "m.skops", {**models["linear"], INFO_MEMBER: info})) == "AM610"


# --- numbers that native code follows --------------------------------------------------------------------------

ARRAYS = {
    "support vectors too few for their counts": ("svm", "_n_support", lambda a: a * 1000),
    "negative counts of support vectors": ("svm", "_n_support", lambda a: -a),
    "coefficients too few": ("svm", "_dual_coef_", lambda a: a[:, :2]),
    "intercepts too few": ("svm", "_intercept_", lambda a: a[:1]),
    "support vectors too narrow": ("svm", "support_vectors_", lambda a: a[:, :1]),
    "neighbours of a class that is not there": ("knn", "_y", lambda a: a + 10**6),
    "neighbours without a class": ("knn", "_y", lambda a: a - 5),
    "fewer classes than rows": ("knn", "_y", lambda a: a[:3]),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_that_do_not_fit_are_refused(models, tmp_path, name):
    algorithm, attribute, change = ARRAYS[name]
    members = with_array(models[algorithm], attribute, change)
    assert refusal(pack(tmp_path / "m.skops", members)) == "AM602"


@pytest.mark.parametrize("code", [0xD800, 0x110000, 0xFFFFFFFF])
def test_classes_of_what_is_no_character_are_refused(models, tmp_path, code):
    def change(classes):
        text = classes.copy()
        text.view(np.uint32)[0] = code
        return text

    members = with_array(models["mlp"], "classes_", change)
    assert refusal(pack(tmp_path / "m.skops", members)) == "AM602"


VALUES = {
    "a forest of more features than its trees": ("random_forest", "n_features_in_", 10**6),
    "bins of other features": ("hist_gradient_boosting", "_n_features", 2),
    "a kernel that takes rows for numbers": ("svm", "kernel", "precomputed"),
    "more neighbours than rows": ("knn", "n_neighbors", 10**6),
    "more rows than there are": ("knn", "n_samples_fit_", 10**6),
    "a distance of another kind": ("knn", "effective_metric_", "precomputed"),
    "an option that hides in another": ("lightgbm", "boosting_type", "gbdt predict_disable_shape_check=true"),
}


@pytest.mark.parametrize("name", VALUES)
def test_values_that_do_not_fit_are_refused(models, tmp_path, name):
    algorithm, attribute, value = VALUES[name]
    members = with_value(models[algorithm], attribute, value)
    assert refusal(pack(tmp_path / "m.skops", members)) in ("AM602", "AM610")


def test_a_tree_of_many_outputs_is_refused_before_it_is_made(models, tmp_path):
    schema = json.loads(models["random_forest"]["schema.json"])
    for _, node in nodes(schema):
        if node["__loader__"] == "TreeNode":
            outputs = node["__reduce__"]["args"]["content"][2]
            outputs["content"] = "1000000"
            del outputs["__id__"]
    members = {**models["random_forest"], "schema.json": json.dumps(schema)}
    assert refusal(pack(tmp_path / "m.skops", members)) == "AM602"


def test_an_object_that_takes_the_number_of_another_is_refused(models, tmp_path):
    schema = json.loads(models["random_forest"]["schema.json"])
    outputs = [
        node["__reduce__"]["args"]["content"][2]
        for _, node in nodes(schema)
        if node["__loader__"] == "TreeNode"
    ]
    outputs[0]["content"] = "1000000"  # the others keep the number, and say 1
    members = {**models["random_forest"], "schema.json": json.dumps(schema)}
    assert refusal(pack(tmp_path / "m.skops", members)) == "AM602"


def test_an_attribute_of_another_estimator_does_not_hide_a_part_from_the_audit(models, tmp_path):
    members = with_array(models["svm"], "_n_support", lambda a: a * 1000)
    schema = json.loads(members["schema.json"])
    for _, node in nodes(schema):
        if node.get("__class__") == "SVC" and "support_vectors_" in node["content"]["content"]:
            node["content"]["content"]["estimators_"] = {
                "__class__": "list",
                "__module__": "builtins",
                "__loader__": "ListNode",
                "content": [],
            }
            node["content"]["key_types"]["content"].append(node["content"]["key_types"]["content"][0])
    members["schema.json"] = json.dumps(schema)
    assert refusal(pack(tmp_path / "m.skops", members)) == "AM602"


def test_a_sparse_matrix_whose_indices_lead_outside_is_refused(tmp_path):
    rng = np.random.default_rng(0)
    X = pd.DataFrame({f"c{i}": rng.choice([f"v{k}" for k in range(12)], 80) for i in range(6)})
    task = Task.from_frame(X, rng.choice(["no", "yes"], 80))
    default = SearchSpace.for_kind("binary")["knn"].default_configuration()
    pipeline = build_pipeline(default, task).fit(task.X, task.y)
    fitted = pipeline.named_steps["model"]
    fitted._fit_X = fitted._fit_X.copy()
    fitted._fit_X.indices[0] = 10**6
    save_model(tmp_path / "m.skops", pipeline, {})
    assert refusal(tmp_path / "m.skops") == "AM610"


# --- LightGBM's text ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def texts():
    import lightgbm

    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4))
    X[:, 3] = rng.integers(0, 6, 300)
    found = {}
    for name, y in {
        "regression": X[:, 0] + X[:, 3],
        "binary": X[:, 3] > 2,
        "multiclass": X[:, 3] // 2,
    }.items():
        kind = lightgbm.LGBMRegressor if name == "regression" else lightgbm.LGBMClassifier
        model = kind(n_estimators=4, verbosity=-1, n_jobs=1, min_child_samples=5)
        model.fit(X, y, categorical_feature=[3])
        found[name] = (lightgbm_text(model.booster_.model_to_string()), model.booster_.predict(X), X)
    return found


@pytest.mark.parametrize("name", ["regression", "binary", "multiclass"])
def test_the_text_that_is_kept_predicts_the_same(texts, name):
    import lightgbm

    text, expected, X = texts[name]
    assert audit_lightgbm(text) == (4, 3 if name == "multiclass" else 1)
    np.testing.assert_array_equal(lightgbm.Booster(model_str=text).predict(X), expected)


def entry(name, change):
    """Change the first entry of this name that has a value."""

    def changed(text):
        lines = text.split("\n")
        place = next(
            i for i, line in enumerate(lines) if line.startswith(f"{name}=") and len(line) > len(name) + 1
        )
        lines[place] = f"{name}={change(lines[place].partition('=')[2])}"
        return "\n".join(lines)

    return changed


def first(value):
    return lambda words: " ".join([str(value), *words.split(" ")[1:]])


TEXTS = {
    "a feature that is not there": entry("split_feature", first(4)),
    "a negative feature": entry("split_feature", first(-1)),
    "a child that is not there": entry("left_child", first(10**6)),
    "a leaf that is not there": entry("right_child", first(-(10**6))),
    "a circle": entry("left_child", first(0)),
    "half a child": entry("left_child", first(0.5)),
    "no number": entry("left_child", first("x")),
    "a child too few": entry("left_child", lambda words: words.rpartition(" ")[0]),
    "a leaf too few": entry("leaf_value", lambda words: words.rpartition(" ")[0]),
    "more leaves than there are": entry("num_leaves", lambda n: int(n) + 1),
    "a negative number of leaves": entry("num_leaves", lambda n: -1),
    "a set that is not there": entry("cat_threshold", lambda words: ""),
    "sets out of order": entry("cat_boundaries", first(7)),
    "more sets than there are": entry("num_cat", lambda n: int(n) + 1),
    "a kind of split that is none": entry("decision_type", first(99)),
    "linear trees": entry("is_linear", lambda n: 1),
    "more features than names": entry("max_feature_idx", lambda n: 10**6),
    "more outputs than trees": entry("num_tree_per_iteration", lambda n: 1000),
    "more classes than outputs": entry("objective", lambda n: "multiclass num_class:1000"),
    "another objective": entry("objective", lambda n: "lambdarank"),
    "an entry that is not known": lambda text: text.replace("\nversion", "\nforced=1\nversion", 1),
    "an entry twice": lambda text: text.replace("\nversion=v4", "\nversion=v4\nversion=v4", 1),
    "where trees begin": lambda text: text.replace("\nversion", "\ntree_sizes=1 1 1 1\nversion", 1),
    "trees out of order": lambda text: text.replace("\nTree=1\n", "\nTree=7\n", 1),
    "a null character": lambda text: text.replace("v4", "v4\0", 1),
    "no end": lambda text: text.replace("end of trees", "", 1),
    "no text": lambda text: None,
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_that_leads_outside_is_refused(texts, name):
    changed = TEXTS[name](texts["regression"][0])
    assert changed != texts["regression"][0]
    with pytest.raises((StorageError, ValueError, KeyError)):
        audit_lightgbm(changed)


def test_a_model_file_with_such_a_text_is_refused(models, tmp_path):
    members = with_value(models["lightgbm"], "_Booster", "tree\nnonsense")
    assert refusal(pack(tmp_path / "m.skops", members)) == "AM602"
    members = with_value(models["lightgbm"], "_Booster", 5)
    assert refusal(pack(tmp_path / "m.skops", members)) == "AM602"


def test_a_booster_of_lightgbm_itself_is_not_among_what_a_file_may_hold():
    assert not any("Booster" in name for names in audit.ALLOWED.values() for name in names)
