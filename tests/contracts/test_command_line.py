"""The command line that others rely on: commands, arguments, exit codes."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from autometa.cli import main

EVERYWHERE = {"--help", "--debug", "--quiet", "--verbose"}
COMMANDS = {
    "recommend": (
        ["DATA"],
        {
            *("--target", "--kind", "--metric", "--top", "--time-budget", "--algorithms", "--metamodel"),
            *("--column-type", "--code", "--report", "--json"),
        },
    ),
    "tune": (
        ["DATA"],
        {
            *("--target", "--trials", "--timeout", "--metric", "--jobs", "--storage", "--study", "--output"),
            *("--report", "--json", "--algorithms", "--metamodel", "--column-type", "--cluster"),
        },
    ),
    "predict": (["MODEL", "DATA"], {"--output", "--proba"}),
    "describe": (["DATA"], {"--target", "--column-type", "--json"}),
    "collect": (
        [],
        {
            *("--suite", "--task", "--directory", "--storage", "--configurations", "--jobs"),
            "--time-limit",
        },
    ),
    "learn": ([], {"--storage", "--data", "--target"}),
    "train": ([], {"--storage", "--metabase", "--output"}),
    "info": ([], {"--metabase", "--verify", "--json"}),
    "completion": (["SHELL"], set()),
}
# What a command takes beyond the contract.
MORE: dict[str, set[str]] = {
    "collect": {
        "--fidelities",
        "--tuned",
        "--known",
        "--retry-failed",
        "--cluster",
        "--predictions",
        "--grown",
        "--few",
        "--words",
    },
    "describe": {"--metamodel"},
    "train": {"--merge"},
    "tune": {"--kind", "--ensemble-size"},
    "learn": {"--study", "--algorithm", "--kind", "--metric", "--forget", "--json", "--column-type"},
}


def run(capsys, monkeypatch, *arguments: str) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["autometa", *arguments])
    monkeypatch.setenv("COLUMNS", "200")
    try:
        code = main()
    except SystemExit as stop:
        code = stop.code
    captured = capsys.readouterr()
    return int(code or 0), captured.out, captured.err


def test_the_commands_are_exactly_these(capsys, monkeypatch):
    code, out, _ = run(capsys, monkeypatch, "--help")
    assert code == 0
    listed = re.findall(r"^ +([a-z]+)  ", out, flags=re.MULTILINE)
    assert set(listed) == set(COMMANDS)


@pytest.mark.parametrize("command", sorted(set(COMMANDS)))
def test_every_command_has_the_flags_of_the_contract(command, capsys, monkeypatch):
    code, out, _ = run(capsys, monkeypatch, command, "--help")
    assert code == 0
    out = out[out.index("usage:") :]  # the examples stand before it
    positional, flags = COMMANDS[command]
    found = set(re.findall(r"(?<![\w-])(--[a-z][a-z-]*)", out))
    assert found - EVERYWHERE == flags | MORE.get(command, set())
    usage = out.partition("\n\n")[0]
    assert [word for word in positional if re.search(rf"\b{word}\b", usage)] == positional


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("no-such-command",),
        ("recommend",),
        ("recommend", "data.csv"),
        ("recommend", "data.csv", "--target", "y", "--no-such-flag"),
        ("recommend", "data.csv", "--target", "y", "--top", "many"),
        ("recommend", "data.csv", "--target", "y", "--kind", "clustering"),
    ],
)
def test_wrong_usage_is_exit_code_2_on_stderr_alone(arguments, capsys, monkeypatch):
    code, out, err = run(capsys, monkeypatch, *arguments)
    assert code == 2
    assert out == ""
    assert err
    assert "Traceback" not in err


def test_data_that_is_not_there_is_exit_code_1_and_one_line(capsys, monkeypatch, tmp_path):
    code, out, err = run(capsys, monkeypatch, "recommend", str(tmp_path / "none.csv"), "--target", "y")
    assert code == 1
    assert out == ""
    assert len(err.strip().splitlines()) == 1
    assert re.search(r"\bAM\d{3}\b", err)


def test_help_imports_nothing_heavy():
    code = (
        "import sys; sys.argv = ['autometa', '--help']\n"
        "from autometa.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'pandas', 'scipy', 'sklearn', 'lightgbm', 'optuna', 'pyarrow'}\n"
        "print('heavy:', sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "heavy: []"


def test_the_launcher_of_a_checkout_is_the_same_command(root):
    done = subprocess.run(
        [sys.executable, str(root / "cli.py"), "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert all(f" {command} " in done.stdout for command in set(COMMANDS))
