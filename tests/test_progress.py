"""The line that says how far a job is: shown to those who look on, gone when it is done."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import threading
import warnings

import pandas as pd
import pytest

from autometa import tune
from autometa.progress import Bar, is_watched, paused


class Terminal(io.StringIO):
    def isatty(self):
        return True


def look_on(monkeypatch) -> Terminal:
    """Make standard error a terminal; within a test, because pytest sets it anew for each."""
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("COLUMNS", "120")
    return stream


def last_line(text: str) -> str:
    return text.split("\r")[-1]


def test_a_line_is_shown_on_a_terminal_and_goes_away(monkeypatch):
    terminal = look_on(monkeypatch)
    assert is_watched()
    with Bar() as bar:
        bar.update(0.5, "best r2 0.5")
        shown = last_line(terminal.getvalue())
        assert " 50%" in shown
        assert "left" in shown
        assert "best r2 0.5" in shown
    assert "\n" not in terminal.getvalue()
    assert last_line(terminal.getvalue()).strip() == ""


def test_the_time_left_counts_from_the_start_of_the_job(monkeypatch):
    terminal = look_on(monkeypatch)
    with Bar() as bar:
        bar._start -= 3000.0
        bar.update(0.25, "x")
        assert "2:30:" in last_line(terminal.getvalue())


def test_what_is_told_meanwhile_stands_alone(monkeypatch):
    terminal = look_on(monkeypatch)
    with Bar() as bar:
        bar.update(0.1, "now")
        with paused():
            before = terminal.getvalue()
            sys.stderr.write("note: a word\n")
        assert last_line(before).strip() == ""
        assert "now" in last_line(terminal.getvalue())


def test_nobody_looks_on_where_there_is_no_terminal(capsys):
    with Bar() as bar:
        bar.update(0.5, "x")
    assert capsys.readouterr().err == ""
    with Bar(False) as bar:
        bar.update(0.5, "x")
    assert capsys.readouterr().err == ""


def test_a_log_gets_a_plain_line_now_and_then():
    lines: list[str] = []
    bar = Bar(False, every=0.0, tell=lines.append)
    bar.update(0.5, "half")
    assert lines
    assert "50%" in lines[0]
    assert "half" in lines[0]
    bar = Bar(False, every=1e6, tell=lines.append)
    bar.update(0.5, "again")
    assert len(lines) == 1
    bar.update(1.0, "done")
    assert "done" in lines[-1]


def test_no_thread_is_left(monkeypatch):
    look_on(monkeypatch)
    with Bar() as bar:
        bar.update(0.1)
        ticking = [t for t in threading.enumerate() if t.name == "autometa progress"]
        assert ticking
    for thread in ticking:
        thread.join(10)
        assert not thread.is_alive()


def test_a_search_says_the_time_left_the_best_and_what_runs(monkeypatch):
    terminal = look_on(monkeypatch)
    X = pd.DataFrame({"a": range(60), "b": [i % 7 for i in range(60)]})
    y = pd.Series([i > 30 for i in range(60)], name="y")
    tune(X, y, n_trials=3, random_state=0)
    lines = terminal.getvalue().split("\r")
    assert any("left" in line and re.search("best .*now .*fold", line) for line in lines)
    assert any("3 trials by roc_auc" in line for line in lines)
    terminal.seek(0)
    terminal.truncate()
    tune(X, y, n_trials=1, random_state=0, progress=False)
    assert terminal.getvalue() == ""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo terminal")
def test_the_command_shows_it_on_a_real_terminal_of_80_columns(tmp_path):
    import pty
    import termios

    table = pd.DataFrame({"a": [i * 37 % 23 for i in range(60)], "y": [i % 23 > 11 for i in range(60)]})
    table.to_csv(tmp_path / "data.csv", index=False)
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, 80))
    command = [sys.executable, "-m", "autometa", "tune", "data.csv", "--target", "y", "--trials", "2"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=slave, stdout=subprocess.DEVNULL)
    os.close(slave)
    shown = b""
    try:
        while chunk := os.read(master, 65536):
            shown += chunk
    except OSError:  # the other end is closed
        pass
    os.close(master)
    assert process.wait() == 0
    assert re.search(rb"left, best [^\r]*, now [^\r]*fold \d", shown)


def test_a_notebook_shows_it():
    nbformat = pytest.importorskip("nbformat")
    client = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    pytest.importorskip("ipywidgets")
    code = "from autometa.progress import Bar\nbar = Bar()\nbar.update(0.5, 'best r2 0.5')\nbar.is_shown"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the kernel's own
        client.NotebookClient(notebook, timeout=120, iopub_timeout=60, kernel_name="python3").execute()
    assert notebook.cells[0].outputs[-1].data["text/plain"] == "True"
    states = str(notebook.metadata.widgets).replace("\\u2007", " ")  # spaces as wide as a figure
    assert "50%" in states
    assert "best r2 0.5" in states


def test_the_library_of_a_kernel_alone_is_no_notebook(monkeypatch) -> None:
    """Something else may have loaded it."""
    monkeypatch.setitem(sys.modules, "ipykernel", object())
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert not is_watched()
