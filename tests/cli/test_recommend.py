"""``autometa recommend`` and ``autometa describe``: the contract of their output, and the files they write."""

from __future__ import annotations

import ast
import io
import shlex
import warnings
from pathlib import Path

import pandas as pd
import pytest

KEYS = {"rank", "algorithm", "params", "expected_score", "lower", "upper", "expected_seconds"}


def test_json_is_what_the_contract_says(run, data):
    answer = run("recommend", data, "--target", "left", "--top", 3, "--json").json
    assert answer["schema"] == "autometa/recommend/1"
    assert answer["kind"] == "binary"
    assert answer["metric"] == "roc_auc"
    assert 0 <= answer["novelty"] <= 1
    assert [item["rank"] for item in answer["recommendations"]] == [1, 2, 3]
    assert all(item.keys() >= KEYS for item in answer["recommendations"])
    assert answer["similar_tasks"][0].keys() >= {"task_id", "name", "openml_id", "distance"}
    assert {issue["code"] for issue in answer["warnings"]} >= {"AM202", "AM206"}
    assert all(issue.keys() == {"code", "columns", "message", "fix"} for issue in answer["warnings"])


def test_text_shows_ranks_scores_tasks_warnings_and_the_next_command(run, data):
    outcome = run("recommend", data, "--target", "left", "--metric", "log_loss")
    assert outcome.code == 0
    assert outcome.err == ""
    for words in ("Recommended pipelines", "log_loss \u2193", "Nearest known tasks", "AM206", "Next"):
        assert words in outcome.out
    command = outcome.out.strip().splitlines()[-1].strip()
    assert command.startswith("autometa tune data.csv --target left --metric log_loss")


def test_the_next_command_is_quoted_for_the_shell(run, data, customers):
    customers.rename(columns={"left": "left it?"}).to_csv("my data; rm.csv", index=False)
    out = run("recommend", "my data; rm.csv", "--target", "left it?").out
    words = shlex.split(out.strip().splitlines()[-1])
    assert words[:5] == ["autometa", "tune", "my data; rm.csv", "--target", "left it?"]


@pytest.mark.parametrize("header", ["left", " left "])
@pytest.mark.parametrize("separator", [",", ";"])
def test_the_script_runs_without_autometa(run, data, customers, header, separator):
    frame = customers.drop(columns="spent").rename(columns={"left": header})
    frame.to_csv("data.csv", index=False, sep=separator, encoding="latin-1")
    outcome = run("recommend", data, "--target", "left", "--top", 1, "--code", "best.py")
    assert outcome.code == 0
    source = Path("best.py").read_text(encoding="utf-8")
    imported = {
        node.module.split(".")[0] if isinstance(node, ast.ImportFrom) else node.names[0].name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, (ast.Import, ast.ImportFrom))
    }
    assert imported <= {"numpy", "pandas", "sklearn", "lightgbm", "operator"}
    names: dict = {"__name__": "script"}
    exec(compile(source, "best.py", "exec"), names)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some searches do not converge on so few rows
        pipeline = names["pipeline"].fit(names["X"], names["y"])
    assert pipeline.score(names["X"], names["y"]) > 0.6


def test_the_report_holds_the_result_and_nothing_that_runs(run, data, customers):
    evil = "<script>alert(1)</script>"
    customers.rename(columns={"plan": evil, "left": "<b>left"}).to_csv("<i>.csv", index=False)
    assert run("recommend", "<i>.csv", "--target", "<b>left", "--report", "r.html").code == 0
    page = Path("r.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "<b>" not in page
    assert "<i>" not in page
    assert "default-src 'none'" in page
    assert "&lt;b&gt;left" in page


@pytest.mark.parametrize("option", ["--code", "--report"])
def test_files_that_cannot_be_written_are_found_before_the_work(run, data, option, monkeypatch):
    monkeypatch.setattr("autometa.tables.read_table", lambda *a, **k: pytest.fail("the table was read"))
    outcome = run("recommend", data, "--target", "left", option, "none/file")
    assert outcome.code == 1
    assert "AM609" in outcome.err


def test_a_budget_that_nothing_fits_is_a_warning(run, data):
    answer = run("recommend", data, "--target", "left", "--time-budget", "0.000001", "--json").json
    assert "AM402" in {issue["code"] for issue in answer["warnings"]}


def test_notices_of_reading_stand_among_the_warnings(run, data, customers):
    customers.to_csv("data.csv", index=False, sep=";")
    answer = run("recommend", data, "--target", "left", "--json").json
    assert answer["warnings"][0]["code"] == "AM304"


def test_standard_input_is_a_table(run, data, monkeypatch):
    class Stdin:
        buffer = io.BytesIO(Path(data).read_bytes())

    monkeypatch.setattr("sys.stdin", Stdin())
    assert run("recommend", "-", "--target", "left", "--json").json["kind"] == "binary"


def test_regression_shows_its_metric(run, data, customers):
    customers.to_csv("data.csv", index=False)
    out = run("recommend", data, "--target", "spent", "--metric", "rmse").out
    assert "regression target 'spent'" in out
    assert "rmse \u2193" in out


def test_describe_gives_metafeatures_and_checks(run, data):
    answer = run("describe", data, "--target", "left", "--json").json
    assert answer["schema"] == "autometa/describe/1"
    assert len(answer["coordinates"]) > 1
    assert len(answer["metafeatures"]) >= 40
    assert answer["column_types"]["since"] == "date"
    assert answer["classes"] == ["no", "yes"]
    assert {issue["code"] for issue in answer["warnings"]} >= {"AM202", "AM206"}


def test_describe_shows_the_same_as_text(run, data):
    outcome = run("describe", data, "--target", "left")
    assert outcome.code == 0
    for words in ("Data", "Noticed", "Nearest known tasks", "Meta-features"):
        assert f"\n{words}\n" in f"\n{outcome.out}"


def test_parquet_is_read_as_csv_is(run, data, customers):
    customers.drop(columns="spent").to_parquet("data.parquet")
    a = run("describe", "data.parquet", "--target", "left", "--json").json
    b = run("describe", data, "--target", "left", "--json").json
    assert a["column_types"] == b["column_types"]
    assert pd.Series(a["metafeatures"]).dropna().index.equals(pd.Series(b["metafeatures"]).dropna().index)
