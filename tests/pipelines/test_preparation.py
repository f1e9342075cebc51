"""What columns become before an algorithm: bounded, robust to what lies far out, and text in full where that pays."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from autometa.pipelines import build_pipeline, pipeline_code
from autometa.pipelines.preparation import FUNCTIONS, MAX_WHOLE, apply, find_function, name_function
from autometa.space import SearchSpace
from autometa.space.algorithms import Configuration
from autometa.space.encoders import MAX_COMPONENTS, N_LETTER_HASHES, N_PAIR_HASHES
from autometa.tables.functions import FUNCTIONS as OF_CELLS
from autometa.task import Task

RNG = np.random.default_rng(0)
N = 240
WORDS = np.array(["red", "green", "blue", "heavy", "light", "old", "new", "cheap", "large", "small", "odd"])
SCALED = sorted(a.name for a in SearchSpace.for_kind("regression") if a.preprocessing == "scaled")


def sentences(n: int = N, length: int = 6) -> list[str]:
    return [" ".join(RNG.choice(WORDS, length)) + f" {i}" for i in range(n)]


def default(name: str, kind: str) -> Configuration:
    return SearchSpace.for_kind(kind)[name].default_configuration()


def prepared(name: str, task: Task) -> np.ndarray:
    pipeline = build_pipeline(default(name, task.kind), task)
    return pipeline[:-1].fit_transform(task.X, task.y)


def with_text(n_columns: int, n_classes: int = 0) -> Task:
    X = pd.DataFrame({f"text {i}": sentences() for i in range(n_columns)}).assign(x=RNG.normal(size=N))
    y = RNG.normal(size=N) if n_classes == 0 else [f"class {i % n_classes}" for i in range(N)]
    task = Task.from_frame(X, y, kind="auto" if n_classes else "regression")
    assert len(task.columns("text")) == n_columns
    return task


def test_a_linear_model_takes_every_n_gram_of_text_and_others_take_components():
    task = with_text(1)
    whole = prepared("linear", task)
    assert whole.shape[1] >= N_LETTER_HASHES + N_PAIR_HASHES
    assert whole.nnz < whole.shape[0] * whole.shape[1] / 10
    for name in set(SCALED) - {"linear"} | {"lightgbm", "hist_gradient_boosting", "extra_trees"}:
        assert prepared(name, task).shape[1] <= MAX_COMPONENTS + task.X.shape[1]


@pytest.mark.parametrize(
    ("n_columns", "n_classes"), [(MAX_WHOLE + 1, 0), (MAX_WHOLE // 2 + 1, 2), (1, MAX_WHOLE + 1)]
)
def test_text_times_classes_beyond_a_bound_is_reduced_for_all(n_columns, n_classes):
    assert prepared("linear", with_text(n_columns, n_classes)).shape[1] <= MAX_COMPONENTS + n_columns + 1


def test_a_linear_model_finds_what_pairs_of_words_say():
    text = [" ".join(pair) for pair in RNG.choice(["not", "good", "bad", "very"], (N, 2))]
    text = [f"{t} {i}" for i, t in enumerate(text)]
    y = np.array([float("not good" in t or "very bad" in t) for t in text])
    task = Task.from_frame(pd.DataFrame({"text": text}), y, kind="regression", column_types={"text": "text"})
    model = build_pipeline(default("linear", task.kind), task).fit(task.X, task.y)
    assert model.score(task.X, task.y) > 0.8


def test_new_words_and_missing_text_are_predicted():
    task = with_text(2, 2)
    model = build_pipeline(default("linear", task.kind), task).fit(task.X, task.y)
    new = task.X.iloc[:3].copy()
    new["text 0"] = [None, "", "unheard of"]
    assert np.allclose(model.predict_proba(new).sum(axis=1), 1)


@settings(max_examples=20, deadline=None)
@given(far=st.floats(1e3, 1e300), sign=st.sampled_from([-1, 1]))
@pytest.mark.parametrize("name", SCALED)
def test_what_lies_far_out_is_no_farther_than_ten_deviations(name, far, sign):
    X = pd.DataFrame({"x": np.linspace(-1, 1, N)})
    task = Task.from_frame(X, 2 * X["x"] + 1, kind="regression")
    model = build_pipeline(default(name, task.kind), task)[:-1].fit(task.X, task.y)
    found = model.transform(pd.DataFrame({"x": [sign * far]}))
    assert np.abs(np.asarray(found)).max() <= 10


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_are_found_by_their_names(name):
    function, options = find_function(name)
    assert callable(function)
    assert isinstance(dict(options), dict)


ODD_LEVELS = {
    "bytes": [b"\xff", b"a"],
    "bytes of ASCII": [b"a", b""],
    "halves": ["a\ud800", "1"],
    "tuples": [(1, 2), (3, "x")],
    "numbers and words": [1, "unknown"],
    "words": ["u", None],
}


@pytest.mark.parametrize("name", ["linear", "lightgbm", "hist_gradient_boosting"])
def test_levels_of_every_kind_stand_beside_each_other(name):
    frame = pd.DataFrame({kind: pd.Series(pair * 20, dtype=object) for kind, pair in ODD_LEVELS.items()})
    y = ["no", "yes"] * 20
    task = Task.from_frame(frame, y)
    pipeline = build_pipeline(default(name, "binary"), task).fit(frame, y)
    assert list(pipeline.predict(frame)) == list(pipeline.predict(task.X))
    if name == "linear":
        assert list(pipeline.predict(frame)) == y


@pytest.mark.parametrize(
    "letters", [lambda i: f"a\ud800{i}", lambda i: b"\xff%d" % i], ids=["halves", "bytes"]
)
def test_many_levels_that_are_no_text_are_read_by_their_letters(letters):
    frame = pd.DataFrame({"x": pd.Series([letters(i % 60) for i in range(180)], dtype=object)})
    y = np.arange(180) % 60 / 7
    task = Task.from_frame(frame, y)
    pipeline = build_pipeline(default("random_forest", "regression"), task).fit(frame, y)
    assert "char_wb" in str(pipeline)
    assert list(pipeline.predict(frame)) == list(pipeline.predict(task.X))


def test_a_script_writes_every_function_so_that_it_is_the_same():
    names = [*FUNCTIONS, *OF_CELLS]
    pipeline = Pipeline(
        [(str(i), apply(name)) for i, name in enumerate(names)] + [("model", LogisticRegression())]
    )
    script: dict[str, object] = {}
    exec(compile(pipeline_code(pipeline, read="pd.DataFrame({'target': [0]})"), "script.py", "exec"), script)
    steps = script["pipeline"].steps[:-1]
    assert [name_function(step.func, step.kw_args or {}) for _, step in steps] == names
