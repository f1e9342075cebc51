"""``autometa tune`` and ``autometa predict``: search, save, use."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from autometa.persistence import load_model, save_model

TUNE = ("--target", "left", "--trials", "2")


@pytest.fixture(scope="module")
def fitted(tmp_path_factory, customers):
    """Return a pipeline fitted on the table, and the facts about it."""
    from autometa.cli.tune import _model_info
    from autometa.tables import read_table
    from autometa.tables.frames import split_target
    from autometa.task import Task
    from autometa.tuning import tune

    path = tmp_path_factory.mktemp("fitted") / "data.csv"
    customers.drop(columns="spent").to_csv(path, index=False)
    X, y = split_target(read_table(path).frame, "left")
    result = tune(X, y, n_trials=2, random_state=0)
    return result.best_pipeline, _model_info(result, Task.from_frame(X, y))


@pytest.fixture
def model(data, fitted):
    save_model("model.skops", *fitted)
    return "model.skops"


def test_a_search_ends_with_a_leaderboard_and_a_model(run, data):
    outcome = run("tune", data, *TUNE, "--output", "m.skops", "--report", "r.html", "--metric", "accuracy")
    assert outcome.code == 0
    assert "Leaderboard" in outcome.out
    assert "recommended" in outcome.out
    assert "AM206" in outcome.err
    _, info = load_model("m.skops")
    assert info["metric"] == "accuracy"
    assert info["target"] == "left"
    assert [column["name"] for column in info["columns"]] == ["id", "age", "plan", "since", "fee"]
    assert run("predict", "m.skops", data).out.splitlines()[0] == "prediction"
    assert "Leaderboard" in Path("r.html").read_text(encoding="utf-8")


def test_without_trials_the_first_recommendations_are_averaged(run, data):
    outcome = run("tune", data, "--target", "left", "--trials", "0", "--output", "m.skops")
    assert outcome.code == 0
    assert "0 trials" in outcome.out
    assert len(load_model("m.skops")[0].members) > 1
    assert run("predict", "m.skops", data).out.splitlines()[0] == "prediction"


def test_json_holds_every_trial_and_the_best(run, data):
    outcome = run("tune", data, *TUNE, "--json", "--storage", "s.journal", "--study", "first")
    answer = outcome.json
    assert outcome.err == ""
    assert answer["schema"] == "autometa/tune/1"
    assert answer["study"] == "first"
    assert len(answer["leaderboard"]) == 2
    assert {row["origin"] for row in answer["leaderboard"]} <= {"recommended", "default", "search"}
    assert answer["best"]["algorithm"]
    again = run("tune", data, *TUNE, "--json", "--storage", "s.journal", "--study", "first").json
    assert len(again["leaderboard"]) == 4


def test_an_interrupted_search_saves_what_there_is(run, data, monkeypatch):
    from autometa.tuning._selection import Reporter

    original = Reporter.tell

    def interrupted_after_one(self, *arguments, **options):
        original(self, *arguments, **options)
        if not options.get("is_last"):
            raise KeyboardInterrupt

    monkeypatch.setattr(Reporter, "tell", interrupted_after_one)
    outcome = run("tune", data, "--target", "left", "--output", "m.skops")
    assert outcome.code == 130
    assert "Leaderboard" in outcome.out
    assert "interrupted" in outcome.err
    assert load_model("m.skops")


def test_progress_is_shown_on_a_terminal(run, data, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    assert run("tune", data, *TUNE).code == 0
    assert "2 trials" in stream.getvalue()
    assert "best 0." in stream.getvalue()
    assert "by roc_auc" in stream.getvalue()


def test_where_the_model_goes_is_checked_before_the_search(run, data, monkeypatch):
    monkeypatch.setattr("autometa.tuning.tune", lambda *a, **k: pytest.fail("the search began"))
    assert "AM609" in run("tune", data, *TUNE, "--output", "none/m.skops").err
    assert "AM609" in run("tune", data, *TUNE, "--output", ".").err


def test_a_study_without_a_storage_is_wrong_usage(run, data):
    outcome = run("tune", data, *TUNE, "--study", "s")
    assert outcome.code == 2
    assert "AM532" in outcome.err


# --- predict --------------------------------------------------------------------------------------------------


def read(outcome):
    assert outcome.code == 0, outcome.err
    return pd.read_csv(io.StringIO(outcome.out))


def test_predictions_are_those_of_the_pipeline(run, data, model, fitted, customers):
    expected = fitted[0].predict(pd.read_csv(data))
    assert read(run("predict", model, data))["prediction"].tolist() == expected.tolist()


def test_probabilities_are_named_by_class_and_sum_to_one(run, data, model):
    table = read(run("predict", model, data, "--proba"))
    assert list(table) == ["probability_no", "probability_yes"]
    np.testing.assert_allclose(table.sum(axis=1), 1.0)


def test_order_of_columns_target_and_extra_columns_do_not_matter(run, data, model, customers):
    expected = run("predict", model, data).out
    frame = pd.read_csv(data).drop(columns="left").assign(new=1)
    frame[frame.columns[::-1]].to_csv("other.csv", index=False)
    outcome = run("predict", model, "other.csv")
    assert outcome.out == expected
    assert outcome.err.count("\n") == 1
    assert "AM408" in outcome.err
    assert "'new'" in outcome.err


@pytest.mark.parametrize("name", ["rows.parquet", "rows.feather", "rows.tsv"])
def test_the_format_of_the_rows_does_not_matter(run, data, model, customers, name):
    frame = customers.drop(columns=["spent", "left"])
    if name == "rows.tsv":
        frame.to_csv(name, sep="\t", index=False)
    else:
        getattr(frame, f"to_{name.partition('.')[2]}")(name)
    assert run("predict", model, name).out == run("predict", model, data).out


def test_few_rows_give_what_they_gave_among_many(run, data, model):
    expected = run("predict", model, data).out.splitlines()
    pd.read_csv(data).head(3).to_csv("few.csv", index=False)
    assert run("predict", model, "few.csv").out.splitlines() == expected[:4]


def test_output_goes_to_a_file(run, data, model):
    outcome = run("predict", model, data, "--output", "p.csv")
    assert outcome.out == ""
    assert len(pd.read_csv("p.csv")) == 150


def test_missing_columns_are_listed(run, data, model):
    pd.read_csv(data)[["age"]].to_csv("short.csv", index=False)
    outcome = run("predict", model, "short.csv")
    assert outcome.code == 1
    assert "AM401" in outcome.err
    assert "'plan', 'since', 'fee'" in outcome.err


def test_text_among_numbers_is_shown(run, data, model):
    pd.read_csv(data).astype({"age": object}).assign(age="old").to_csv("bad.csv", index=False)
    assert "AM407" in run("predict", model, "bad.csv").err


def test_another_version_of_a_library_is_a_note(run, data, model, monkeypatch):
    monkeypatch.setattr("autometa.persistence._versions", lambda: dict.fromkeys(
        ("autometa", "scikit-learn", "lightgbm", "numpy", "pandas"), "99.1.0"
    ))  # fmt: skip
    outcome = run("predict", model, data)
    assert outcome.code == 0
    assert "AM612" in outcome.err
    assert "scikit-learn" in outcome.err


def test_labels_that_a_spreadsheet_would_run_are_quoted(run, data, monkeypatch, fitted):
    labels = ["=cmd|' /C calc'!A0", "+x", "-x", "@x", "-1", "fine", -2, -0.5]

    class Model:
        def predict(self, rows):
            return np.array(labels, dtype=object)

    monkeypatch.setattr("autometa.persistence.load_model", lambda path: (Model(), fitted[1]))
    pd.read_csv(data).head(8).to_csv("eight.csv", index=False)
    table = pd.read_csv(io.StringIO(run("predict", "m", "eight.csv").out), dtype=str)["prediction"].tolist()
    assert table == ["'=cmd|' /C calc'!A0", "'+x", "'-x", "'@x", "-1", "fine", "-2", "-0.5"]


def test_regression_has_no_probabilities(run, data, model, monkeypatch, fitted):
    monkeypatch.setattr(
        "autometa.persistence.load_model", lambda path: (None, {**fitted[1], "kind": "regression"})
    )
    outcome = run("predict", model, data, "--proba")
    assert outcome.code == 2
    assert "AM532" in outcome.err


def test_a_pickle_is_no_model(run, data):
    Path("m.skops").write_bytes(pickle.dumps({"harmless": True}))
    assert "AM610" in run("predict", "m.skops", data).err


@pytest.mark.parametrize("algorithm", ["hist_gradient_boosting", "linear"])
def test_a_row_alone_gives_what_it_gave_in_the_table(
    run, tmp_path, monkeypatch, make_mixed, make_target, algorithm
):
    """A column of one row is easily read as another type: numbers for text, nothing for anything."""
    from autometa.pipelines import build_pipeline
    from autometa.space import SearchSpace
    from autometa.tables import read_table
    from autometa.task import Task

    monkeypatch.chdir(tmp_path)
    frame = make_mixed(120)
    frame["digits"] = np.where(np.arange(120) % 2, "007", "x")
    make_mixed(120).assign(digits=frame["digits"]).to_csv("all.csv", index=False)
    task = Task.from_frame(read_table("all.csv").frame, make_target(frame, "binary").to_numpy())
    configuration = SearchSpace.for_kind("binary")[algorithm].default_configuration()
    pipeline = build_pipeline(configuration, task).fit(task.X, task.y)
    facts = {"kind": "binary", "target": "y", "columns": task.schema()}
    save_model("m.skops", pipeline, facts)
    expected = read(run("predict", "m.skops", "all.csv", "--proba"))
    np.testing.assert_allclose(expected.to_numpy(), pipeline.predict_proba(task.X), atol=1e-12)
    lines = Path("all.csv").read_text(encoding="utf-8").splitlines()
    for row in (0, 1, 2, 3, 50):
        Path("row.csv").write_text(f"{lines[0]}\n{lines[row + 1]}\n", encoding="utf-8")
        alone = read(run("predict", "m.skops", "row.csv", "--proba"))
        np.testing.assert_allclose(alone.to_numpy()[0], expected.to_numpy()[row], atol=1e-12)
