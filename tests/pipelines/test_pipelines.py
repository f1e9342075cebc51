"""Pipelines: they take any table, hold only other libraries' objects, and equal the script that is written of them."""

from __future__ import annotations

import io
import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from sklearn.base import clone

from autometa.pipelines import (
    build_pipeline,
    build_plain_pipeline,
    characters_of_a_row,
    is_supervised,
    pipeline_code,
)
from autometa.space import Algorithm, Configuration, SearchSpace, register_algorithm
from autometa.task import Task

KINDS = ("binary", "multiclass", "regression")
ALGORITHMS = sorted(SearchSpace.for_kind("binary").algorithms)
CASES = [(name, kind) for kind in KINDS for name in ALGORITHMS]
LIBRARIES = {
    "sklearn",
    "lightgbm",
    "pandas",
    "numpy",
    "scipy",
    "operator",
    "builtins",
    "_operator",
    "collections",
}

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def mixed(make_mixed, make_target):
    frame = make_mixed()
    return {kind: Task.from_frame(frame, make_target(frame, kind)) for kind in KINDS}


def small(name: str, kind: str) -> Configuration:
    """Return a configuration that fits in no time."""
    algorithm = SearchSpace.for_kind(kind)[name]
    few = {"n_estimators": 50, "max_iter": 50, "hidden_layer_sizes": 16, "min_child_samples": 5}
    return Configuration(
        name, {**algorithm.default, **{k: v for k, v in few.items() if k in algorithm.default}}
    )


def is_sound(prediction: np.ndarray, task: Task, n_rows: int | None = None) -> bool:
    shape = (n_rows or task.n_rows, *([] if task.kind == "regression" else [len(task.classes)]))
    sums = np.ones(1) if task.kind == "regression" else prediction.sum(axis=1)
    return (
        prediction.shape == shape and bool(np.isfinite(prediction).all()) and np.allclose(sums, 1, atol=1e-6)
    )


def predict(pipeline, X):
    return pipeline.predict_proba(X) if hasattr(pipeline, "predict_proba") else pipeline.predict(X)


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_every_algorithm_takes_the_users_own_table(name, kind, mixed):
    task = mixed[kind]
    pipeline = build_pipeline(small(name, kind), task)
    pipeline.fit(task.X, task.y)
    assert is_sound(predict(pipeline, task.X), task)
    if kind != "regression":
        assert pipeline.classes_.tolist() == task.classes
    # It learned: the target follows a number and a flag.
    assert pipeline.score(task.X, task.y) > (0.3 if kind == "regression" else 1.2 / len(task.classes))


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_new_rows_may_hold_what_training_did_not(name, kind, mixed):
    task = mixed[kind]
    pipeline = build_pipeline(small(name, kind), task).fit(task.X, task.y)
    new = task.X.iloc[:6].copy()
    new["level"] = "never seen"
    new["string"] = pd.array([pd.NA] * 6, dtype="string")
    new["object"] = None
    new["text"] = None
    new["mixed"] = 3
    new["count"] = np.array([-np.inf, 1e12, np.nan, 0, 1, 2])
    new["day"] = pd.NaT
    new["day as text"] = "no day"
    assert is_sound(predict(pipeline, new), task, n_rows=6)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_columns_are_found_by_name_whatever_their_order(name, mixed):
    task = mixed["binary"]
    pipeline = build_pipeline(small(name, "binary"), task).fit(task.X, task.y)
    rows = np.random.default_rng(0).permutation(task.n_rows)
    moved = task.X.iloc[rows, ::-1].assign(extra=1)
    np.testing.assert_allclose(predict(pipeline, moved), predict(pipeline, task.X)[rows], rtol=1e-9)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_arrays_are_tables_of_positions(name):
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(80, 4))
    numbers[rng.random(numbers.shape) < 0.1] = np.nan
    numbers[0, 2] = np.inf
    objects = np.column_stack([numbers.astype(object), rng.choice(["a", "b"], 80), rng.integers(0, 9, 80)])
    y = (np.nan_to_num(numbers[:, 0]) > 0).astype(int)
    for X in (numbers, objects, pd.DataFrame(numbers)):
        task = Task.from_frame(X, y)
        pipeline = build_pipeline(small(name, "binary"), task).fit(X, y)
        assert is_sound(pipeline.predict_proba(X), task)


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_a_pipeline_outlives_autometa(name, kind, mixed):
    task = mixed[kind]
    pipeline = build_pipeline(small(name, kind), task)
    assert {module.partition(".")[0] for module in _modules(pipeline)} <= LIBRARIES
    pipeline.fit(task.X, task.y)
    assert not any(module.startswith("autometa") for module in _modules(pipeline))


def _modules(value: object) -> set[str]:
    """Return the modules that unpickling a value would import from."""
    found: set[str] = set()

    class Recorder(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> object:
            found.add(module)
            return super().find_class(module, name)

    Recorder(io.BytesIO(pickle.dumps(value))).load()
    return found


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_the_script_gives_the_same_predictions(name, kind, make_mixed, make_target, tmp_path):
    frame = make_mixed(90).drop(columns="mixed")
    path = tmp_path / ("data.csv" if kind == "binary" else "data.parquet")
    frame = frame.assign(**{"the target": make_target(frame, kind)})
    if kind == "binary":
        frame.to_csv(path, index=False)
        frame = pd.read_csv(path)
    else:
        frame.to_parquet(path)
        frame = pd.read_parquet(path)
    task = Task.from_frame(frame, "the target")
    pipeline = build_pipeline(small(name, kind), task)
    code = pipeline_code(pipeline, target="the target", data=str(path), score=task.metric.scorer)
    assert "autometa" not in code
    script: dict[str, object] = {"__name__": "script"}
    exec(compile(code, "script.py", "exec"), script)
    np.testing.assert_array_equal(
        predict(script["pipeline"].fit(script["X"], script["y"]), script["X"]),
        predict(pipeline.fit(task.X, task.y), task.X),
    )


def test_the_script_runs_as_a_program_and_reads_each_format(mixed):
    pipeline = build_pipeline(small("linear", "binary"), mixed["binary"])
    readers = {
        "a.csv": "read_csv('a.csv')",
        "a.tsv": "sep=",
        "a.parquet": "read_parquet",
        "a.feather": "read_feather",
    }
    for data, reader in readers.items():
        code = pipeline_code(pipeline, data=data, target="it's")
        compile(code, data, "exec")
        assert reader in code
        assert 'data["it\'s"]' in code


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_every_configuration_can_be_built_written_and_cloned(name, kind, mixed):
    algorithm = SearchSpace.for_kind(kind)[name]
    task = mixed[kind]

    @settings(max_examples=5)
    @given(st.tuples(*[st.floats(0, 1, exclude_max=True)] * len(algorithm.distributions)))
    def check(unit):
        pipeline = build_pipeline(algorithm.from_unit(unit), task)
        code = pipeline_code(pipeline)
        script: dict[str, object] = {}
        exec(code.replace("\ndata = ", "\n# ").replace("\nX, y = ", "\n# "), script)
        assert pipeline_code(script["pipeline"]) == pipeline_code(clone(pipeline)) == code

    check()


@pytest.mark.parametrize("name", ALGORITHMS)
def test_the_seed_decides(name, mixed):
    task = mixed["multiclass"]

    def fit(seed: int) -> np.ndarray:
        return (
            build_pipeline(small(name, "multiclass"), task, random_state=seed)
            .fit(task.X, task.y)
            .predict_proba(task.X)
        )

    np.testing.assert_array_equal(fit(0), fit(0))


def test_estimators_that_have_threads_get_one(mixed):
    def jobs(name: str) -> object:
        return build_pipeline(small(name, "binary"), mixed["binary"])["model"].get_params().get("n_jobs")

    assert {name: jobs(name) for name in ("lightgbm", "random_forest", "knn")} == dict.fromkeys(
        ("lightgbm", "random_forest", "knn"), 1
    )


@pytest.mark.parametrize("name", ["hist_gradient_boosting", "lightgbm", "extra_trees"])
def test_a_column_may_hold_no_value_among_the_training_rows(name):
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"full": rng.normal(size=200), "empty": np.where(np.arange(200) < 3, 1.0, np.nan)})
    y = pd.Series(np.where(X["full"] > 0, "yes", "no"))
    task = Task.from_frame(X, y)
    pipeline = build_pipeline(small(name, "binary"), task).fit(X[50:], y[50:])
    assert is_sound(pipeline.predict_proba(X), task)


@pytest.mark.parametrize("labels", [("1", "0"), ("-1", "+1"), ("2", "other"), ("1.5", "2.5")])
def test_string_labels_that_look_like_numbers_can_be_balanced(mixed, labels):
    X = mixed["binary"].X
    y = pd.Series(np.where(X["number"] > 0.8, *labels))
    task = Task.from_frame(X, y)
    for name in ("random_forest", "extra_trees", "linear", "hist_gradient_boosting", "lightgbm"):
        configuration = Configuration(name, {**small(name, "binary").params, "class_weight": "balanced"})
        pipeline = build_pipeline(configuration, task).fit(X, y)
        assert set(pipeline.predict(X)) == set(labels)


def test_a_registered_estimator_gets_the_same_preparation(mixed):
    from sklearn.naive_bayes import GaussianNB

    register_algorithm(
        Algorithm("bayes", lambda: GaussianNB(), {}, {}, preprocessing="scaled"), ["classification"]
    )
    task = mixed["binary"]
    pipeline = build_pipeline(Configuration("bayes", {}), task)
    assert is_sound(pipeline.fit(task.X, task.y).predict_proba(task.X), task)


@pytest.fixture(scope="module")
def wordy():
    """Draw tables of words: many levels, names, short and long text, codes with parts, with gaps."""

    def make(kind: str, n_rows: int = 150) -> Task:
        rng = np.random.default_rng(1)
        worth = rng.normal(size=60)
        level = rng.integers(0, 60, n_rows)
        gaps = rng.random(n_rows) < 0.1
        signal = worth[level] + 0.1 * rng.normal(size=n_rows)
        frame = pd.DataFrame(
            {
                "many": pd.Series([f"level {i:02}" for i in level]).mask(gaps),
                "category": pd.Categorical([f"c{i}" for i in rng.permutation(n_rows) % 70]),
                "name": [f"{a} {b}" for a, b in rng.choice(["Ada", "Bo", "Cy"], (n_rows, 2))],
                "code": [f"{a}-{i}-X" for i, a in enumerate(rng.choice(["AB", "CD"], n_rows))],
                "short": pd.Series([f"{a} was seen {i} times" for i, a in enumerate(level)]).mask(gaps),
                "long": [
                    " ".join(rng.choice(["lorem", "ipsum", "dolor", "amet"], 40)) for _ in range(n_rows)
                ],
            }
        )
        y: object = signal
        if kind != "regression":
            labels = ["a", "b"] if kind == "binary" else ["a", "b", "c"]
            y = pd.qcut(signal, len(labels), labels=labels).astype(str)
        return Task.from_frame(frame, pd.Series(y, name="y"), kind=kind)

    return {kind: make(kind) for kind in KINDS}


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_words_become_numbers_for_every_algorithm(name, kind, wordy):
    task = wordy[kind]
    assert task.column_types["code"] == "text"
    pipeline = build_pipeline(small(name, kind), task).fit(task.X, task.y)
    new = task.X.iloc[:5].copy()
    new["many"] = ["level 00", "never seen", None, "", "level 99"]
    new["category"] = "never seen"
    new["name"] = None
    new["code"] = [12, None, "", "-", "ÄÖ-1"]
    new["short"] = ["", None, "a", "1", "never seen"]
    new["long"] = None
    assert is_sound(predict(pipeline, new), task, n_rows=5)
    prepared = pipeline[:-1].transform(new)
    numbers = prepared.toarray() if hasattr(prepared, "toarray") else prepared
    assert np.isfinite(np.nan_to_num(numbers.astype(float))).all()


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_level_was_worth_is_learned_from_other_rows(kind, wordy):
    # A level of one row says nothing about this row: its own target must not stand among its features.
    task = wordy[kind]
    X = task.X.assign(many=[f"only {i}" for i in range(task.n_rows)])
    pipeline = build_pipeline(small("random_forest", kind), task)
    features = pipeline["prepare"].fit_transform(X, task.y)
    names = [name for name, _, _ in pipeline["prepare"].transformers_]
    start = pipeline["prepare"].output_indices_["worth"].start
    assert "worth" in names
    codes = task.y.to_numpy() if kind == "regression" else pd.factorize(task.y, sort=True)[0]
    assert abs(np.corrcoef(features[:, start], codes)[0, 1]) < 0.5


@pytest.mark.parametrize("kind", KINDS)
def test_whole_numbers_as_target_are_not_taken_for_classes(kind, wordy):
    task = wordy[kind]
    if kind == "regression":
        task = Task.from_frame(task.X, pd.Series(np.arange(task.n_rows) % 40), kind="regression")
    pipeline = build_pipeline(small("random_forest", kind), task).fit(task.X, task.y)
    block = pipeline["prepare"].output_indices_["worth"]
    n_columns = len(next(cols for title, _, cols in pipeline["prepare"].transformers if title == "worth"))
    assert block.stop - block.start == n_columns * (3 if kind == "multiclass" else 1)


def test_only_target_encoding_reads_the_target(wordy, mixed):
    task = wordy["binary"]
    plain = small("random_forest", "binary")
    for categories, expected in (("auto", True), ("levels", False), ("characters", False), ("target", True)):
        configuration = Configuration("random_forest", {**plain.params, "categories": categories})
        assert not SearchSpace.for_kind("binary").problems(configuration)
        pipeline = build_pipeline(configuration, task)
        assert is_supervised(pipeline) is is_supervised(pipeline["prepare"]) is expected
        assert is_supervised(pipeline.fit(task.X, task.y)) is expected
    assert not is_supervised(build_pipeline(plain, mixed["binary"]))


def test_a_configuration_says_how_words_are_read(wordy):
    task = wordy["binary"]
    plain = small("linear", "binary")
    titles = {}
    for text in ("words", "characters"):
        pipeline = build_pipeline(Configuration("linear", {**plain.params, "text": text}), task)
        titles[text] = [name for name, _, _ in pipeline["prepare"].transformers]
    assert not any(name.startswith("words") for name in titles["characters"])
    assert sum(name.startswith("words") for name in titles["words"]) == 3


@pytest.mark.parametrize("name", ["lightgbm", "hist_gradient_boosting", "linear", "knn"])
def test_the_script_reads_words_the_same_way(name, wordy, tmp_path):
    task = wordy["multiclass"]
    frame = task.X.assign(y=task.y)
    path = tmp_path / "words.parquet"
    frame.to_parquet(path)
    pipeline = build_pipeline(small(name, "multiclass"), task)
    script: dict[str, object] = {"__name__": "script"}
    exec(compile(pipeline_code(pipeline, target="y", data=str(path)), "script.py", "exec"), script)
    np.testing.assert_array_equal(
        predict(script["pipeline"].fit(script["X"], script["y"]), script["X"]),
        predict(pipeline.fit(task.X, task.y), task.X),
    )


@pytest.mark.parametrize("name", ["lightgbm", "hist_gradient_boosting", "linear"])
def test_thousands_of_levels_and_one_level_make_few_columns(name):
    rng = np.random.default_rng(0)
    n_rows = 3000
    X = pd.DataFrame({f"c{i}": rng.permutation([f"v{k % 2900}" for k in range(n_rows)]) for i in range(60)})
    X["gaps"] = pd.Series(["only"] * n_rows).mask(rng.random(n_rows) < 0.5)
    task = Task.from_frame(X, rng.normal(size=n_rows))
    prepared = build_pipeline(small(name, "regression"), task)["prepare"].fit_transform(task.X, task.y)
    # Coded (25 columns each where they are spread), worth, and 160 components at most.
    n_coded = 26 * X.shape[1] if name == "linear" else X.shape[1]
    assert prepared.shape[1] <= n_coded + X.shape[1] + 160
    np.testing.assert_equal(
        np.isinf(prepared.toarray() if hasattr(prepared, "toarray") else prepared).any(), False
    )


def test_rare_classes_do_not_stop_target_encoding(wordy):
    task = wordy["multiclass"]
    y = task.y.mask(np.arange(task.n_rows) < 2, "rare")
    task = Task.from_frame(task.X, y)
    pipeline = build_pipeline(small("random_forest", "multiclass"), task)
    assert is_supervised(pipeline)
    for rows in (slice(0, None), slice(2, None)):
        pipeline.fit(task.X[rows], task.y[rows])
        assert np.isfinite(pipeline.predict_proba(task.X)).all()


@pytest.fixture(scope="module")
def written():
    """Return a table as people write them, and its task."""
    n = 90
    days = pd.date_range("2022-01-01", periods=n, freq="3D")
    frame = pd.DataFrame(
        {
            "number": np.random.default_rng(0).normal(size=n),
            "money": ["n.a." if i % 9 == 0 else f"${1000 + i * 37:,}" for i in range(n)],
            "weight": [f"{i * 1.5} kg" for i in range(n)],
            "clock": [f"{i % 24:02d}:{i % 60:02d}" for i in range(n)],
            "from": days.strftime("%d.%m.%Y"),
            "to": (days + pd.Timedelta(days=9)).strftime("%d.%m.%Y"),
            "quarter": pd.period_range("2000", periods=n, freq="Q"),
            "arrow day": pd.Series(days.date, dtype="date32[pyarrow]"),
            "span": pd.to_timedelta(np.arange(n) ** 2, unit="s"),
            "flag": pd.Series([True, False, None] * 30, dtype=object),
            "level": pd.Series([1.0, 2.0, 3.0] * 30, dtype="category"),
            "code": ["1", "2", "3"] * 30,
            "huge": np.where(np.arange(n) % 9 == 0, 1e39, 1.0 * np.arange(n)),
        }
    )
    y = pd.Series(np.where(frame["number"] > 0, "yes", "no"), name="y")
    return frame, Task.from_frame(frame, y)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_the_raw_table_and_the_read_one_give_the_same(name, written):
    raw, task = written
    pipeline = build_pipeline(small(name, "binary"), task)
    expected = predict(clone(pipeline).fit(raw, task.y), raw)
    assert is_sound(expected, task)
    np.testing.assert_array_equal(predict(pipeline.fit(task.X, task.y), raw), expected)
    np.testing.assert_array_equal(predict(pipeline, task.X), expected)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_level_is_the_same_in_every_form(name, written):
    raw, task = written
    pipeline = build_pipeline(small(name, "binary"), task).fit(raw, task.y)
    other = raw.assign(level=raw["level"].astype(float).astype(int), code=raw["code"].astype(float))
    np.testing.assert_array_equal(predict(pipeline, other), predict(pipeline, raw))


@pytest.mark.parametrize("name", ALGORITHMS)
def test_infinities_and_numbers_beyond_float32_at_predict(name, written):
    raw, task = written
    pipeline = build_pipeline(small(name, "binary"), task).fit(raw, task.y)
    new = raw.head(6).assign(number=[np.inf, -np.inf, 1e300, -1e300, np.nan, -0.0])
    assert is_sound(predict(pipeline, new), task, n_rows=6)


@pytest.mark.parametrize("name", ["linear", "random_forest", "hist_gradient_boosting"])
@pytest.mark.parametrize("table", ["written", "mixed"])
def test_the_output_that_users_choose_does_not_reach_inside(name, table, written, mixed):
    import sklearn

    raw, task = written if table == "written" else (mixed["binary"].X, mixed["binary"])
    expected = predict(build_pipeline(small(name, "binary"), task).fit(raw, task.y), raw)
    with sklearn.config_context(transform_output="pandas"):
        pipeline = clone(build_pipeline(small(name, "binary"), task)).fit(raw, task.y)
        np.testing.assert_array_equal(predict(pipeline, raw), expected)


def test_dates_give_time_gaps_and_parts(written):
    raw, task = written
    dates = build_pipeline(small("lightgbm", "binary"), task)["prepare"].transformers
    steps = {title: (transformer, names) for title, transformer, names in dates}
    transformer, names = steps["date"] if "from" in steps["date"][1] else steps["date 2"]
    values = np.asarray(clone(transformer).fit_transform(raw[names]), float)
    days = pd.to_datetime(raw["from"], format="%d.%m.%Y")
    assert names == ["from", "to"]
    np.testing.assert_array_equal(values[:, 0], days.astype("datetime64[s]").astype("int64"))
    np.testing.assert_array_equal(values[:, 2], np.full(len(raw), 9 * 86400))
    np.testing.assert_array_equal(values[:, 3], days.dt.year)
    np.testing.assert_array_equal(values[:, 5], days.dt.month)


@pytest.mark.parametrize("name", ["linear", "lightgbm", "knn"])
def test_sparse_columns_of_pandas_as_they_are(name):
    rng = np.random.default_rng(0)
    dense = pd.DataFrame(rng.integers(0, 3, (40, 2)), columns=["a", "b"])
    raw, y = dense.astype(pd.SparseDtype("int64", 0)), np.where(dense["a"] > 1, "yes", "no")
    task = Task.from_frame(raw, y)
    pipeline = build_pipeline(small(name, "binary"), task)
    expected = pipeline.fit(task.X, task.y).predict(dense)
    np.testing.assert_array_equal(pipeline.predict(raw), expected)
    np.testing.assert_array_equal(clone(pipeline).fit(raw, task.y).predict(raw), expected)


@pytest.mark.parametrize("name", ["hist_gradient_boosting", "lightgbm"])
def test_a_date_may_stand_in_no_training_row(name):
    days = pd.Series(pd.NaT, index=range(60), dtype="datetime64[ns]")
    days.iloc[:3] = pd.Timestamp("2024-01-02"), pd.Timestamp("2024-03-05"), pd.Timestamp("2024-07-08")
    X = pd.DataFrame({"day": days, "x": np.arange(60.0) ** 1.5})
    task = Task.from_frame(X, np.where(np.arange(60) % 3 == 0, "yes", "no"))
    assert task.column_types["day"] == "date"
    pipeline = build_pipeline(small(name, "binary"), task)
    pipeline.fit(X.iloc[3:], task.y.iloc[3:])
    assert len(pipeline.predict(X)) == 60


def test_a_plain_pipeline_does_without_text_and_letters():
    n_rows = 200
    X = pd.DataFrame(
        {
            "a": np.arange(n_rows, dtype=float),
            "many": [f"level {i % 60}" for i in range(n_rows)],
            "said": [f"the {i}th remark says something else about it" for i in range(n_rows)],
        }
    )
    y = pd.Series(np.arange(n_rows) % 7, name="y").astype(float)
    configuration = SearchSpace.for_kind("regression")["lightgbm"].default_configuration()
    task = Task.from_frame(X, y, kind="regression", column_types={"said": "text", "many": "categorical"})
    whole, plain = (
        make(configuration, task)["prepare"].fit(X, y) for make in (build_pipeline, build_plain_pipeline)
    )
    assert whole.transform(X).shape[1] > plain.transform(X).shape[1] == 2
    assert characters_of_a_row(task) > 20
    assert characters_of_a_row(Task.from_frame(X[["a"]], y)) == 0
    # Of nothing but text something must be read.
    said = Task.from_frame(X[["said"]], y, kind="regression", column_types={"said": "text"})
    assert build_plain_pipeline(configuration, said).fit(X[["said"]], y).predict(X[["said"]]).shape == (
        n_rows,
    )
