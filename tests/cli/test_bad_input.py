"""What users bring by mistake: each ends with one line, a code, an exit code, and no traceback."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

from autometa.cli import main

N = 60
GOOD = pd.DataFrame(
    {"a": np.linspace(0, 1, N) ** 2, "b": ["u", "v", "w"] * (N // 3), "y": ["no", "yes"] * (N // 2)}
)


def broken(**columns):
    return GOOD.assign(**columns)


with_gap = GOOD["y"].mask(np.arange(N) == 3)

# name: (table or text, more arguments, exit code, code, words of the message)
ERRORS = {
    "a misspelled target": (GOOD, ["--target", "z"], 1, "AM101", "columns are"),
    "a target that is nearly right": (
        GOOD.rename(columns={"y": "price "}),
        ["--target", "pric"],
        1,
        "AM101",
        "'price'",
    ),
    "a target with gaps": (broken(y=with_gap), [], 1, "AM102", "1 of 60 rows"),
    "a target with one class": (broken(y="same"), [], 1, "AM103", "'same'"),
    "a constant target": (broken(y=1.5), ["--kind", "regression"], 1, "AM103", "one value"),
    "a continuous target for classes": (
        broken(y=np.linspace(0, 1, N)),
        ["--kind", "classification"],
        1,
        "AM105",
        "continuous",
    ),
    "text for regression": (GOOD, ["--kind", "regression"], 1, "AM105", "text"),
    "ids as classes": (broken(y=[f"id{i}" for i in range(N)]), [], 1, "AM105", "distinct labels"),
    "a metric of another kind": (GOOD, ["--metric", "rmse"], 2, "AM107", "does not fit"),
    "a metric that does not exist": (GOOD, ["--metric", "acuracy"], 2, "AM107", "'accuracy'"),
    "an infinite target": (
        broken(y=np.append(np.linspace(0, 1, N - 1), np.inf)),
        ["--kind", "regression"],
        1,
        "AM108",
        "infinite",
    ),
    "an empty file": ("", [], 1, "AM201", "empty"),
    "a header alone": ("a,b,y\n", [], 1, "AM201", "no rows"),
    "a target alone": (GOOD[["y"]], [], 1, "AM201", "0 feature columns"),
    "nothing but missing values": (broken(a=np.nan, b=None), [], 1, "AM204", "can be used"),
    "duplicate names": ("a,a,y\n" + "1,2,no\n3,4,yes\n" * 10, [], 1, "AM301", "'a'"),
    "a row too long": ("a,y\n1,no\n2,yes,3\n", [], 1, "AM117", "line 3"),
    "a binary file": ("a,y\n\0\0\0", [], 1, "AM113", "binary"),
    "a kind that does not exist": (GOOD, ["--kind", "clustering"], 2, "AM530", "clustering"),
    "no recommendations": (GOOD, ["--top", "0"], 2, "AM530", "--top"),
    "a budget below zero": (GOOD, ["--time-budget", "-3"], 2, "AM530", "--time-budget"),
}


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(content):
        if isinstance(content, str):
            Path("data.csv").write_text(content, encoding="utf-8")
        else:
            content.to_csv("data.csv", index=False)

    return write


def is_one_line(outcome, code):
    assert outcome.out == ""
    assert re.fullmatch(rf"error: (?!AM\d)[^\n]+ \[{code}\]\n", outcome.err), outcome.err
    return True


@pytest.mark.parametrize("name", ERRORS)
def test_a_mistake_is_one_line_with_its_cure(run, write, name):
    content, more, exit_code, code, words = ERRORS[name]
    write(content)
    target = [] if "--target" in more else ["--target", "y"]
    outcome = run("recommend", "data.csv", *target, *more)
    assert outcome.code == exit_code
    assert is_one_line(outcome, code)
    assert words in outcome.err


@pytest.mark.parametrize("command", ["recommend", "tune", "describe"])
def test_every_command_that_reads_a_table_says_so(run, write, command):
    write(GOOD)
    assert is_one_line(run(command, "dat.csv", "--target", "y"), "AM112")
    assert is_one_line(run(command, "https://example.org/data.csv", "--target", "y"), "AM116")
    assert is_one_line(run(command, ".", "--target", "y"), "AM113")


# name: (table, code of the warning)
WARNINGS = {
    "a class smaller than the folds": (broken(y=["rare"] + ["no", "yes"] * 29 + ["no"]), "AM104"),
    "dates": (broken(d=pd.date_range("2020-01-01", periods=N).astype(str)), "AM202"),
    "infinite values": (broken(r=np.where(np.arange(N) % 9 == 0, np.inf, np.arange(N) ** 0.5)), "AM203"),
    "a column of missing values": (broken(c=np.nan), "AM205"),
    "ids": (broken(i=[f"k{i}" for i in range(N)]), "AM206"),
    "a copy of the target": (broken(c=GOOD["y"]), "AM207"),
    "a constant column": (broken(c="same"), "AM208"),
    "names with spaces": (GOOD.rename(columns={"a": " a "}), "AM303"),
    "few rows": (GOOD, "AM406"),
}


@pytest.mark.parametrize("name", WARNINGS)
def test_what_can_be_used_is_used_with_a_warning(run, write, name):
    frame, code = WARNINGS[name]
    write(frame)
    outcome = run("recommend", "data.csv", "--target", "y", "--json")
    assert outcome.code == 0
    assert code in {issue["code"] for issue in outcome.json["warnings"]}


STRANGE_NAMES = [
    'a "quoted", name',
    "[x] {y}: z",
    "größe",
    "a_b",
    "a b",
    "1",
    "=cmd",
    "<script>",
    " ",
    "line\nbreak",
]


def test_strange_names_are_no_mistake(run, write):
    frame = pd.DataFrame({name: np.arange(N) * (i + 1) % 7 for i, name in enumerate(STRANGE_NAMES)})
    write(frame.assign(y=GOOD["y"]))
    assert run("recommend", "data.csv", "--target", "y", "--code", "best.py").code == 0
    names: dict = {"__name__": "script"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(Path("best.py").read_text(encoding="utf-8"), names)
        names["pipeline"].fit(names["X"], names["y"])


def test_a_search_on_a_class_smaller_than_the_folds_says_so_and_goes_on(run, write):
    write(broken(y=["rare"] + ["no", "yes"] * 29 + ["no"]))
    outcome = run("tune", "data.csv", "--target", "y", "--trials", "2")
    assert outcome.code == 0
    assert re.search(r"^note: .*'rare'.* \[AM104\]$", outcome.err, flags=re.MULTILINE)


cells = st.sampled_from(
    ["", "?", "1", "-2.5", "1e400", "x", "yes", "2024-01-02", "inf", "nan", '"q, r"', "\u00e9", "9" * 25]
)


@settings(max_examples=25)
@given(
    st.integers(1, 4).flatmap(
        lambda width: st.lists(st.lists(cells, min_size=width, max_size=width), max_size=12)
    ),
    st.sampled_from([",", ";", "\t"]),
)
def test_any_table_is_described_or_refused_in_one_line(tmp_path_factory, rows, separator):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    width = len(rows[0]) if rows else 1
    header = ["y", "a", "b", "c"][:width]
    path.write_text("\n".join(separator.join(row) for row in [header, *rows]), encoding="utf-8")
    import contextlib
    import io

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(["describe", str(path), "--target", "y", "--json"])
    assert "unexpected" not in err.getvalue()
    assert (code == 0) == (err.getvalue() == "")
    assert code in (0, 1)


def test_a_file_that_is_read_is_not_overwritten(tmp_path, capsys):
    path = tmp_path / "data.csv"
    GOOD.to_csv(path, index=False)
    before = path.read_bytes()
    assert main(["recommend", str(path), "--target", "y", "--code", str(path)]) == 2
    assert "AM533" in capsys.readouterr().err
    assert main(["tune", str(path), "--target", "y", "--output", f"{tmp_path}/./data.csv"]) == 2
    assert path.read_bytes() == before
