"""What all commands share: errors as one line and an exit code, help at once, colours where they are wanted."""

from __future__ import annotations

import io
import re
import shlex
import shutil
import subprocess
import sys

import pytest

from autometa import __version__
from autometa.cli import COMMANDS, _terminal, build_parser, main
from autometa.errors import DataError, EvaluationError, StorageError, UsageError


@pytest.fixture
def failing(monkeypatch):
    def fail_with(error):
        def run(args):
            raise error

        monkeypatch.setattr("autometa.cli.info.run", run)

    return fail_with


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DataError("AM101", "no target.", "Name it."), 1),
        (StorageError("AM601", "no storage."), 1),
        (EvaluationError("AM801", "all failed."), 1),
        (UsageError("AM107", "no metric."), 2),
        (RuntimeError("something\nelse"), 1),
        (RecursionError(), 1),
        (MemoryError(), 1),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(run, failing, error, code):
    failing(error)
    outcome = run("info")
    assert outcome.code == code
    assert outcome.out == ""
    assert outcome.err.startswith("error: ")
    assert outcome.err.count("\n") == 1


def test_what_is_not_ours_names_its_type_and_the_way_to_the_traceback(run, failing):
    failing(KeyError("x"))
    assert "KeyError" in run("info").err
    assert "--debug" in run("info").err


@pytest.mark.parametrize("place", ["before", "after"])
def test_debug_shows_the_traceback(run, failing, place):
    import argparse

    failing(argparse.ArgumentTypeError("x"))
    assert "Traceback" in run("info", "--debug").err


def test_an_interruption_is_130(run, failing):
    failing(KeyboardInterrupt())
    outcome = run("info")
    assert outcome.code == 130
    assert outcome.err.count("\n") == 1


def test_output_that_nobody_reads_is_no_error():
    code = (
        "import sys\nfrom autometa.cli import main, info\n"
        "info.run = lambda args: print('x' * 100_000) or 0\nsys.exit(main(['info']))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    with process.stderr as stream:
        assert stream.read() == b""
    assert process.wait() == 0


def test_names_from_data_cannot_steer_the_terminal(run, failing):
    failing(DataError("AM101", "target '\x1b[31mred\x07' is not a column."))
    err = run("info").err
    assert "\x1b" not in err
    assert "\\x1b[31mred\\x07" in err


def test_what_the_terminal_cannot_show_is_escaped(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stderr", stream)
    assert main(["recommend", "größe.csv", "--target", "y"]) == 1
    stream.flush()
    assert b"gr\\xf6\\xdfe.csv" in stream.buffer.getvalue()


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["recomend", "x.csv"], "recommend"),
        (["recommend", "x.csv", "--tagret", "y"], "--target"),
        (["recommend", "x.csv", "--target", "y", "--tpo", "3"], "--top"),
        (["tune", "x.csv", "--target=y", "--trails=3"], "--trials"),
        (["recommend", "x.csv", "--target", "y", "--kind", "clasification"], "Did you mean classification"),
        (["collect", "--storage", "x.journal"], "--help"),
    ],
)
def test_a_slip_shows_what_was_probably_meant(run, arguments, hint):
    outcome = run(*arguments)
    assert outcome.code == 2
    assert "AM530" in outcome.err
    assert hint in outcome.err
    assert outcome.err.count("\n") == 1


def test_the_version_is_that_of_the_package(run):
    assert run("--version").out == f"autometa {__version__}\n"


def test_options_cannot_be_cut_short(run):
    assert run("recommend", "x.csv", "--targ", "y").code == 2


def test_every_command_has_a_file_and_a_line(root):
    files = {path.stem for path in (root / "autometa" / "cli").glob("[a-z]*.py")}
    assert files == set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_leads_with_examples_that_the_parser_takes(run, command):
    help_of = run(command, "--help").out
    lines = help_of[: help_of.index("usage:")].splitlines()
    found = [re.search("autometa [^|>)']*", line) for line in lines if line.startswith("  ")]
    commands = [shlex.split(match[0]) for match in found if match]
    assert commands
    for _, *arguments in commands:
        build_parser([arguments[0]]).parse_args(arguments)


def test_the_command_alone_says_what_to_do_first(run):
    outcome = run()
    assert outcome.code == 2
    assert outcome.out == ""
    for command in ("recommend", "tune", "predict"):
        assert f"autometa {command} " in outcome.err


@pytest.mark.parametrize(
    ("options", "expected"), [([], {"note"}), (["--quiet"], set()), (["-v"], {"note", "read"})]
)
def test_the_user_says_how_much_is_told(run, data, options, expected):
    outcome = run("tune", data, "--target", "left", "--trials", "1", *options)
    told = {line.split()[0].strip(":") for line in outcome.err.splitlines()}
    assert told & {"note", "read"} == expected
    assert not (options == ["--quiet"] and outcome.err)
    assert "Leaderboard" in outcome.out


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("autometa", "rec"), "recommend"),
        (("autometa", "tune", "--ti"), "--timeout"),
        (("autometa", "tune", "--kind", "bi"), "binary"),
        (("autometa", "tune", "dat"), "data.csv"),
    ],
)
def test_bash_completes_commands_options_choices_and_files(run, data, words, expected):
    script = (
        f"{run('completion', 'bash').out}\nCOMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}\n"
        '_shtab_autometa\necho "${COMPREPLY[@]}"\n'
    )
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert expected in done.stdout.split()


@pytest.mark.parametrize("command", COMMANDS)
def test_help_explains_every_argument(command):
    for action in build_parser([command])._subparsers._group_actions[0].choices[command]._actions:
        assert action.help, action.dest


# --- text -----------------------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("variables", "stream", "expected"),
    [
        ({}, Terminal(), True),
        ({}, io.StringIO(), False),
        ({"NO_COLOR": "1"}, Terminal(), False),
        ({"FORCE_COLOR": "1"}, io.StringIO(), True),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, Terminal(), False),
        ({"TERM": "dumb"}, Terminal(), False),
    ],
)
def test_colours_are_for_those_who_want_them(monkeypatch, variables, stream, expected):
    for name in ("NO_COLOR", "FORCE_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert _terminal.has_colour(stream) is expected


@pytest.mark.parametrize("width", ["40", "80", "200"])
def test_tables_are_aligned_and_fit_the_terminal(capsys, monkeypatch, width):
    from autometa.report import Section

    monkeypatch.setenv("COLUMNS", width)
    words = " ".join(f"parameter{i}=1" for i in range(12))
    rows = [("1", "大きい", words), ("22", "b", ""), ("3", "a\nb\x1b", "x")]
    _terminal.show_sections([Section("Title", ["A line. " * 20], ("n", "name", "what"), rows, "><<")])
    lines = capsys.readouterr().out.splitlines()
    assert all(_terminal._cells(line) < int(width) for line in lines)
    assert sum(words.count(word) for word in " ".join(lines).split() if word.startswith("parameter")) >= 12
    header = next(line for line in lines if line.strip().startswith("n "))
    assert header.index("what") == next(line for line in lines if "b " in line and line.endswith("x")).rindex(
        "x"
    )


def test_a_wide_table_stands_in_two_lines_a_row_on_a_narrow_terminal(capsys, monkeypatch):
    from autometa.report import Section

    monkeypatch.setenv("COLUMNS", "80")
    titles = ("rank", "algorithm", "score", "mean of folds", "weight", "seconds", "origin", "hyperparameters")
    row = ("1", "hist_gradient_boosting", "0.71", "0.71 ± 0.05", "0.4", "3.5", "recommended", "a=1, " * 40)
    _terminal.show_sections([Section("Title", [], titles, [row, row], "><>>>><<")])
    out = capsys.readouterr().out
    assert all(_terminal._cells(line) < 80 for line in out.splitlines())
    assert all(out.count(cell) >= 2 for cell in row[:-1])
    assert out.count("a=1") == 80
    assert "origin: hyperparameters" in out


def test_numbers_in_json_are_finite_or_null(capsys):
    import numpy as np

    _terminal.show_json(
        {"a": float("nan"), "b": [np.float32(1.5), np.int64(2), float("inf")], 3: (None, True, "x")}
    )
    out = capsys.readouterr().out
    assert "NaN" not in out
    assert "Infinity" not in out
    assert __import__("json").loads(out) == {"a": None, "b": [1.5, 2, None], "3": [None, True, "x"]}
