"""The lock file: nothing noted is lost, whoever writes at the same time."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from refusals import refused

from autometa.collection.openml import LockFile, differences
from autometa.errors import StorageError

FACTS = {
    "dataset": 61,
    "version": 1,
    "md5": "a",
    "target": "class",
    "ignored": [],
    "split": {},
    "files": {"x": "1"},
}


def test_what_is_noted_can_be_read_again(tmp_path):
    lock = LockFile(tmp_path / "new" / "taken.json")
    assert lock.task(59) is None
    assert lock.suite("99") is None
    lock.note_task(59, FACTS)
    lock.note_suite("99", [59, 9])
    again = LockFile(lock.path)
    assert again.task(59) == FACTS
    assert again.suite("99") == [9, 59]
    lock.note_task(59, {**FACTS, "files": {"y": "2"}})
    assert again.task(59)["files"] == {"x": "1", "y": "2"}
    assert not list(tmp_path.rglob("*.partial"))


def test_many_writers_lose_nothing(tmp_path):
    def write(number):
        LockFile(tmp_path / "taken.json").note_task(number, FACTS)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(40)))
    assert set(json.loads((tmp_path / "taken.json").read_text())["tasks"]) == set(map(str, range(40)))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": 2, "suites": {}, "tasks": {}}', '{"schema": 1}'])
def test_a_file_that_is_not_ours_is_refused_and_kept(tmp_path, text):
    path = tmp_path / "taken.json"
    path.write_text(text)
    with refused(StorageError, "AM615"):
        LockFile(path).note_suite("99", [1])
    assert path.read_text() == text


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with refused(StorageError, "AM609"):
        LockFile(tmp_path / "file" / "taken.json").note_suite("99", [1])


def test_differences_are_those_of_frozen_facts_known_on_both_sides():
    assert differences(FACTS, FACTS) == ""
    assert differences(FACTS, {**FACTS, "name": "iris", "files": {"y": "3"}}) == ""
    assert differences(FACTS, {"version": 2, "status": "active"}) == "version 1 -> 2"
    now = {**FACTS, "target": "other", "files": {"x": "9"}}
    assert differences(FACTS, now) == "target class -> other, content of x"
