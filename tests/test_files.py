"""Files are written whole or not at all, to regular files alone; text in CSV is text."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, strategies as st

from autometa.errors import StorageError
from autometa.storage import FORMULA_MARKS, is_stream, one_process, to_csv, write_file, write_rows

posix = pytest.mark.skipif(os.name != "posix", reason="devices, pipes and links of POSIX")


def refusal(function, *arguments):
    with pytest.raises(StorageError) as caught:
        function(*arguments)
    assert caught.value.code == "AM609"
    assert "\n" not in str(caught.value)
    return str(caught.value)


def entries(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("content", [b"bytes", bytearray(b"more"), memoryview(b"view"), "text \u00fc \ud800"])
def test_what_is_written_is_there_and_nothing_else(tmp_path, content):
    write_file(tmp_path / "a.txt", content)
    found = (tmp_path / "a.txt").read_bytes()
    assert found == (
        content.encode("utf-8", "backslashreplace") if isinstance(content, str) else bytes(content)
    )
    assert entries(tmp_path) == ["a.txt"]


@posix
def test_a_new_file_has_the_permissions_of_the_umask_and_an_old_one_keeps_its_own(tmp_path):
    before = os.umask(0o027)
    try:
        write_file(tmp_path / "new", "1")
        (tmp_path / "old").touch()
        (tmp_path / "old").chmod(0o600)
        write_file(tmp_path / "old", "2")
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("new", "old")]
    assert modes == [0o640, 0o600]


@posix
def test_a_link_stays_and_the_file_behind_it_is_replaced(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "real").write_text("old", encoding="utf-8")
    (tmp_path / "link").symlink_to("folder/real")
    (tmp_path / "ahead").symlink_to("folder/later")
    write_file(tmp_path / "link", "new")
    write_file(tmp_path / "ahead", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "folder" / "real").read_text(encoding="utf-8") == "new"
    assert (tmp_path / "folder" / "later").read_text(encoding="utf-8") == "new"


@posix
@pytest.mark.parametrize("device", ["/dev/full", "/dev/null", "/dev/stdout"])
def test_a_device_stays_a_device(tmp_path, device):
    link = tmp_path / "link"
    link.symlink_to(device)
    for name in (device, link):
        if not Path(device).is_file():
            refusal(write_file, name, "content")
    assert not Path(device).is_file() or device == "/dev/stdout"
    assert link.is_symlink()


@posix
def test_pipes_and_sockets_and_folders_are_refused(tmp_path):
    import socket

    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        for name in ("pipe", "socket", "."):
            refusal(write_file, tmp_path / name, "content")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


@pytest.mark.parametrize("name", ["none/file", "nul\0l", "x" * 5000])
def test_a_path_that_cannot_be_is_one_line(tmp_path, name):
    refusal(write_file, f"{tmp_path}/{name}", "content")
    assert entries(tmp_path) == []


@posix
def test_a_loop_of_links_is_one_line(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    refusal(write_file, tmp_path / "a", "content")


class Breaking(bytes):
    """Bytes that fail when they are written, as a full disk does."""


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_leaves_the_old_file_and_no_other(tmp_path, monkeypatch, error):
    write_file(tmp_path / "a", "old")

    def fail(descriptor):
        raise error

    monkeypatch.setattr(os, "fsync", fail)  # the last thing before the file takes its name
    with pytest.raises((StorageError, KeyboardInterrupt)):
        write_file(tmp_path / "a", "new")
    assert (tmp_path / "a").read_text(encoding="utf-8") == "old"
    assert entries(tmp_path) == ["a"]


def test_writers_of_one_file_do_not_mix(tmp_path):
    contents = [str(i) * 200_000 for i in range(8)]
    writers = [threading.Thread(target=write_file, args=(tmp_path / "a", text)) for text in contents]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert (tmp_path / "a").read_text(encoding="utf-8") in contents
    assert entries(tmp_path) == ["a"]


# --- results that flow ----------------------------------------------------------------------------------------


def test_rows_go_to_standard_output(capsys):
    write_rows("-", "a\n1\n")
    assert capsys.readouterr().out == "a\n1\n"


@posix
def test_rows_go_through_a_pipe_that_stays_one(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    found = []
    reader = threading.Thread(target=lambda: found.append((tmp_path / "pipe").read_text(encoding="utf-8")))
    reader.start()
    write_rows(str(tmp_path / "pipe"), "a\n1\n")
    reader.join(timeout=30)
    assert found == ["a\n1\n"]


@posix
@pytest.mark.parametrize("redirected", ["| cat > out.csv", "> out.csv", ">> out.csv"])
def test_the_path_of_standard_output_is_standard_output(tmp_path, redirected):
    code = "from autometa.storage import write_rows; write_rows('/dev/stdout', '1\\n'); print(2)"
    (tmp_path / "out.csv").write_text("0\n", encoding="utf-8")
    subprocess.run(f'"{sys.executable}" -c "{code}" {redirected}', shell=True, cwd=tmp_path, check=True)
    kept = "0\n" if ">>" in redirected else ""
    assert (tmp_path / "out.csv").read_text(encoding="utf-8") == kept + "1\n2\n"


@posix
def test_a_full_device_says_so_and_no_device_is_replaced():
    assert "No space" in refusal(write_rows, "/dev/full", "a\n1\n")
    write_rows("/dev/null", "a\n1\n")
    assert all(stat.S_ISCHR(os.stat(name).st_mode) for name in ("/dev/full", "/dev/null"))  # noqa: PTH116


def test_a_file_is_no_stream(tmp_path):
    (tmp_path / "a").touch()
    assert not is_stream(str(tmp_path / "a"))
    assert not is_stream(str(tmp_path / "new"))


# --- cells that a spreadsheet would run -----------------------------------------------------------------------


@given(st.lists(st.text(), min_size=1, max_size=5), st.text(min_size=1, max_size=5))
def test_no_cell_of_text_begins_like_a_formula(cells, name):
    text = to_csv(pd.DataFrame({name: pd.Series(cells, dtype=object)}))
    table = pd.read_csv(
        io.StringIO(text), dtype=str, keep_default_na=False, skip_blank_lines=False, lineterminator="\n"
    ) if "\r" not in text and "\0" not in text else pd.DataFrame()  # fmt: skip
    for value in [*table.columns, *table.to_numpy().ravel()]:
        if str(value).startswith(FORMULA_MARKS):
            float(value)


@pytest.mark.parametrize("value", [-1.5, -3, "-1", "+2.5", "-inf", "plain", True, None])
def test_numbers_are_never_changed(value):
    frame = pd.DataFrame({"a": pd.Series([value], dtype=object)})
    assert to_csv(frame) == frame.to_csv(index=False, lineterminator="\n")


def test_columns_of_numbers_and_dates_are_as_pandas_writes_them():
    frame = pd.DataFrame({"i": [-1, 2], "f": [-0.5, float("nan")], "d": pd.to_datetime(["2020-01-01", None])})
    assert to_csv(frame) == frame.to_csv(index=False, lineterminator="\n")


def test_one_passes_at_a_time_and_an_error_lets_the_next_one_pass(tmp_path):
    inside, most = [], []

    def visit(number):
        with one_process(tmp_path / "gate.lock"):
            inside.append(number)
            most.append(len(inside))
            time.sleep(0.01)
            inside.remove(number)
            if number == 0:
                raise LookupError("went wrong")

    threads = [threading.Thread(target=visit, args=(number,)) for number in range(1, 6)]
    for thread in threads:
        thread.start()
    with pytest.raises(LookupError):
        visit(0)
    for thread in threads:
        thread.join()
    assert most == [1] * 6
