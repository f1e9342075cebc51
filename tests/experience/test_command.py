"""``autometa learn``: what it says, and how it ends."""

from __future__ import annotations

import json

import optuna
import pytest

from autometa.cli import main
from autometa.experience import newest
from autometa.storage import open_storage


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    """Return a function that runs a command in an empty folder: exit code, output, errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run_command(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(list(arguments))
        return code, *capsys.readouterr()

    return run_command


@pytest.fixture
def journal(run, add_search) -> str:
    """Store a search of ``tune``'s and one that nobody can use; return the name of the file."""
    storage = open_storage("runs.journal")
    add_search(storage, "good")
    study = optuna.create_study(storage=storage, study_name="odd")
    study.optimize(lambda trial: trial.suggest_float("momentum", 0, 1), n_trials=1)
    return "runs.journal"


def test_it_says_what_was_learned_and_what_was_not(run, journal):
    code, out, err = run("learn", "--storage", journal)
    assert code == 0, err
    assert "1 study read: 16 new runs, 0 known before" in out
    assert "study 'odd' was left out" in err
    assert "past_studies" in err
    code, out, _ = run("learn", "--storage", journal)
    assert code == 0
    assert "0 new runs, 16 known before" in out


def test_json_and_forgetting(run, journal):
    code, out, err = run("learn", "--storage", journal, "--json")
    assert (code, err) == (0, "")
    answer = json.loads(out)
    assert answer["schema"] == "autometa/learn/1"
    assert (answer["taken"], answer["known"], answer["tasks"]) == (16, 0, 1)
    assert list(answer["skipped"]) == ["odd"]
    answer = json.loads(run("info", "--json")[1])
    assert answer["own"]["path"] == str(newest())
    assert answer["own"]["summary"]["tasks"]["total"] == 1
    assert run("learn", "--forget") == (0, "", "forgot everything that was learned\n")
    assert newest() is None
    assert run("learn", "--forget")[2] == "nothing had been learned\n"
    assert json.loads(run("info", "--json")[1])["own"] is None


def test_a_storage_without_anything_to_learn_is_exit_code_1(run):
    optuna.create_study(storage=open_storage("runs.journal"), study_name="empty")
    code, _, err = run("learn", "--storage", "runs.journal")
    assert code == 1
    assert "no finished trial" in err


@pytest.mark.parametrize(
    ("arguments", "exit_code", "code"),
    [
        (("--storage", "none.journal"), 1, "AM604"),
        (("--storage", "runs.txt"), 2, "AM505"),
        (("--storage", "runs.journal", "--data", "data.csv"), 2, "AM532"),
        (("--storage", "runs.journal", "--forget"), 2, "AM530"),
        ((), 2, "AM530"),
    ],
)
def test_a_mistake_is_one_line(run, arguments, exit_code, code):
    outcome = run("learn", *arguments)
    assert outcome[0] == exit_code
    assert code in outcome[2]
    assert outcome[2].count("\n") == 1
