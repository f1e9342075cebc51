"""Random tables through every door: an answer, or an error with a code, and the same at each of them.

A run in CI draws a few hundred of each. ``pytest -m fuzz tests/fuzz`` draws twenty thousand, in parts of a thousand
that can be run one by one: ``-k "part3-"``.
"""

from __future__ import annotations

import traceback
import warnings

import numpy as np
import pandas as pd
import pytest
from fuzz_inputs import command, outcome, tables, texts, watched
from hypothesis import HealthCheck, Phase, given, seed, settings, strategies as st

from autometa import AutoMetaClassifier, AutoMetaRegressor, recommend, tune
from autometa.cli.predict import must_be_text
from autometa.errors import AutometaError
from autometa.pipelines import build_pipeline
from autometa.space import Configuration, SearchSpace
from autometa.tables import read_table
from autometa.tables.frames import as_frame, check_names
from autometa.tables.matching import match_columns
from autometa.tables.readings import read_column
from autometa.task import Task, as_numbers

SMALL = {"n_estimators": 2, "max_iter": 3}
CHEAP = ("linear", "lightgbm", "hist_gradient_boosting", "random_forest", "knn")
PARTS = range(20)


def examples(n, **options):
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]
    return settings(max_examples=n, deadline=None, suppress_health_check=checks, **options)


pytestmark = pytest.mark.timeout(900)
in_ci = {"derandomize": True}
in_parts = {"database": None, "phases": [Phase.generate]}
tables_and_algorithms = st.tuples(tables(), st.sampled_from(CHEAP))


class Faults:
    """Counts inputs and, by where they fail, the faults that they find: one fault does not end a run of hours."""

    def __init__(self):
        self.n_inputs = 0
        self.kinds = {}

    def add(self, drawn, check):
        self.n_inputs += 1
        try:
            check(drawn)
        except Exception as error:  # any is a fault
            frames = traceback.extract_tb(error.__traceback__)
            ours = [frame for frame in frames if "autometa" in frame.filename][-3:] or frames[-3:]
            where = ", ".join(f"{frame.name}:{frame.lineno}" for frame in ours)
            kind = f"{type(error).__name__}: {str(error)[:150]} ({where})"
            n, example = self.kinds.get(kind, (0, drawn))
            self.kinds[kind] = (n + 1, example)

    def __repr__(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pandas warns of some floats that it prints
            lines = [f"{n} x {kind}\n{example!r}"[:3000] for kind, (n, example) in self.kinds.items()]
        return f"of {self.n_inputs} inputs:\n" + "\n".join(lines)


def task_of(X, y):
    """Return the task and the code of the error; a task is made once, at the door that all others share."""
    found = []
    code = outcome(lambda: found.append(Task.from_frame(X, y)))
    return (found[0] if found else None), code


def check_reading(drawn):
    """What is read can be fitted and predicted as it came, as it was read, and row by row, all alike."""
    (X, y), name = drawn
    task, _ = task_of(X, y)
    if task is None:
        return
    for column, reading in task.readings.items():
        if task.column_types[column] in ("numeric", "date"):
            again = read_column(task.X[column], reading)
            assert (again.isna() == task.X[column].isna()).all(), (reading, "reads what was read otherwise")
    space = SearchSpace.for_kind(task.kind)
    algorithm = space[name]
    params = algorithm.default_configuration().params
    configuration = Configuration(algorithm.name, {k: SMALL.get(k, v) for k, v in params.items()} | (
        {"n_neighbors": 1} if algorithm.name == "knn" else {}
    ))  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rows = X if task.is_positional else X.set_axis(list(task.X.columns), axis=1)
        # Fitted on what was read, or on the user's own rows: both must do.
        pipeline = build_pipeline(configuration, task).fit(task.X if len(X) % 2 else rows, task.y)
        matched, _ = match_columns(as_frame(rows), task.schema())
        found = pipeline.predict(matched)
        assert len(found) == len(X)
        assert (pd.Series(found) == pd.Series(pipeline.predict(task.X))).all()
        one, _ = match_columns(as_frame(rows.iloc[[0]]), task.schema())
        answer = pipeline.predict if task.kind == "regression" else pipeline.predict_proba
        # Sums of other order differ in the last digits, and so may the class where two are as likely.
        np.testing.assert_allclose(answer(one)[0], answer(matched)[0], rtol=1e-9, atol=1e-12)


def check_recommending(drawn):
    X, y = drawn
    assert task_of(X, y)[1] == outcome(recommend, X, y, k=1)


def check_fit(drawn):
    X, y = drawn
    task, code = task_of(X, y)
    kind = "regression" if task is None else task.kind
    estimator = AutoMetaRegressor if kind == "regression" else AutoMetaClassifier
    # All of the models are tried by check_reading.
    model = estimator(n_trials=0, ensemble_size=1, random_state=0)
    found = outcome(model.fit, X, y)
    if code:
        assert found.startswith("AM"), (code, found)
        return
    assert found == "" or found.startswith("AM8") or len(X) < 2, found
    if not found:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            answers = model.predict(X)
        assert len(answers) == len(X)
        assert kind == "regression" or set(pd.unique(pd.Series(answers))) <= set(model.classes_)


def check_search(drawn):
    X, y = drawn
    code, found = task_of(X, y)[1], outcome(tune, X, y, n_trials=1, random_state=0)
    assert found == code or (code == "" and found.startswith("AM8")), (code, found)


def check_text(path, content):
    path.write_bytes(content)
    described = command("describe", str(path), "--target", "y", "--json")
    assert described == command("recommend", str(path), "--target", "y", "--json", "--top", "1")
    check_same_file(path)


def check_same_file(path):
    """A file is read for predictions as it was for the fit."""
    try:
        task = Task.from_frame(read_table(path, target="y").frame, "y")
    except AutometaError:
        return
    schema = task.schema()
    as_text = [column["name"] for column in schema if must_be_text(column)]
    table = read_table(path, text_columns=as_text, target="y")
    read, _ = match_columns(check_names(as_frame(table.frame), []), schema, ignore="y")
    for name in task.columns("numeric", "date"):
        found, wanted = (as_numbers(pd.to_numeric(frame[name])).copy() for frame in (read, task.X))
        wanted[np.isinf(wanted)] = np.nan  # as pipelines read them
        np.testing.assert_array_equal(found, wanted, err_msg=str(task.readings.get(name)))


def check_file(path, drawn):
    """A table in a file is read, or refused in one line."""
    X, y = drawn
    try:
        path.with_suffix(".csv").write_text(X.assign(y=y).to_csv(index=False), encoding="utf-8")
    except UnicodeEncodeError:  # half characters
        return
    check_same_file(path.with_suffix(".csv"))
    whole = X.assign(y=y)
    objects = [column.dropna() for _, column in whole.select_dtypes("object").items()]
    if any(len({type(value) for value in column}) > 1 for column in objects):
        return  # values of many types, which Arrow does not hold, and which can end the process there
    try:
        whole.to_parquet(path)
    except Exception:
        return  # what a file of that kind cannot hold
    command("describe", str(path), "--target", "y", "--json")


@examples(220, **in_ci)
@given(tables_and_algorithms)
def test_what_is_read_is_fitted_and_predicted_alike(drawn):
    check_reading(drawn)


@examples(60, **in_ci)
@given(tables())
def test_recommending_refuses_what_reading_refuses_and_nothing_else(drawn):
    check_recommending(drawn)


@examples(140, **in_ci)
@given(texts())
def test_any_text_is_described_and_ranked_or_refused_alike(tmp_path_factory, content):
    check_text(tmp_path_factory.getbasetemp() / "fuzzed.csv", content)


@examples(40, **in_ci)
@given(tables())
def test_tables_in_files_are_described_or_refused(tmp_path_factory, drawn):
    check_file(tmp_path_factory.getbasetemp() / "fuzzed.parquet", drawn)


@examples(40, **in_ci)
@given(tables())
def test_estimators_fit_what_is_read(drawn):
    check_fit(drawn)


@examples(4, **in_ci)
@given(tables())
def test_a_search_refuses_what_reading_refuses_and_nothing_else(drawn):
    check_search(drawn)


# Of a thousand inputs of a part, so many go through each door.
SHARES = {"reading": 700, "recommending": 110, "text": 100, "file": 50, "fit": 35, "search": 5}


@pytest.mark.fuzz
@pytest.mark.timeout(0)
@pytest.mark.parametrize("door", SHARES)
@pytest.mark.parametrize("part", PARTS, ids="part{}-".format)
def test_a_part_of_twenty_thousand(tmp_path, part, door):
    path = tmp_path / ("fuzzed.csv" if door == "text" else "fuzzed.parquet")
    checks = {
        "reading": check_reading,
        "recommending": check_recommending,
        "text": lambda content: check_text(path, content),
        "file": lambda drawn: check_file(path, drawn),
        "fit": check_fit,
        "search": check_search,
    }

    found = Faults()

    @seed(part * len(SHARES) + list(SHARES).index(door))
    @examples(SHARES[door], **in_parts)
    @given({"text": texts(), "reading": tables_and_algorithms}.get(door, tables()))
    def run(drawn):
        begin()
        found.add(drawn, checks[door])

    with watched(tmp_path / "stalled.txt") as begin:
        run()
    assert found.n_inputs >= SHARES[door]
    assert not found.kinds, ascii(found)
