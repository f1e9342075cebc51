"""The lock file: what was taken from OpenML, so that later runs take the same or say what changed."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from autometa.errors import StorageError
from autometa.files import write_file

if sys.platform != "win32":
    import fcntl

SCHEMA: Final = 1
_WRITING: Final = threading.Lock()
FROZEN: Final = ("dataset", "version", "md5", "target", "ignored", "split")


class LockFile:
    """Suites and tasks as they were when they were first taken.

    Parameters
    ----------
    path : Path
        JSON; made when the first task is taken.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def suite(self, suite: str) -> list[int] | None:
        """Return the tasks that a suite ever had, or None where it is new."""
        found: list[int] | None = self._read()["suites"].get(suite)
        return found

    def task(self, number: int) -> dict[str, Any] | None:
        """Return what is noted of a task, or None where it was never taken."""
        found: dict[str, Any] | None = self._read()["tasks"].get(str(number))
        return found

    def note_suite(self, suite: str, numbers: list[int]) -> None:
        """Note the tasks of a suite."""
        self._note("suites", suite, sorted(numbers))

    def note_task(self, number: int, facts: Mapping[str, Any]) -> None:
        """Note what was taken; files that are known already stay known."""
        before = self.task(number) or {}
        self._note("tasks", str(number), {**facts, "files": {**before.get("files", {}), **facts["files"]}})

    def _note(self, part: str, key: str, value: Any) -> None:
        with _WRITING, one_process(self.path.with_suffix(".busy")):
            content = self._read()
            if content[part].get(key) == value:
                return
            content[part][key] = value
            write_file(self.path, json.dumps(content, indent=1, sort_keys=True) + "\n")

    def _read(self) -> dict[str, Any]:
        try:
            content: dict[str, Any] = json.loads(self.path.read_text(encoding="utf-8"))
            if content["schema"] == SCHEMA:
                return {"schema": SCHEMA, "suites": content["suites"], "tasks": content["tasks"]}
        except FileNotFoundError:
            return {"schema": SCHEMA, "suites": {}, "tasks": {}}
        except (OSError, ValueError, KeyError, TypeError):
            pass
        raise StorageError(
            "AM615",
            f"the lock file {str(self.path)!r} cannot be read.",
            "Mend it, or delete it to begin anew.",
        )


@contextmanager
def one_process(path: Path) -> Iterator[None]:
    """Let one process at a time pass; if it dies, the next one passes. On Windows, run one collection at a time.

    Raises
    ------
    StorageError
        AM609 when there can be no such file.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        gate = path.open("a")
    except OSError as error:
        raise _not_writable(path, error) from error
    with gate:
        if sys.platform != "win32":
            fcntl.flock(gate, fcntl.LOCK_EX)
        yield


def _not_writable(path: Path, error: OSError) -> StorageError:
    return StorageError(
        "AM609", f"{str(path)!r} cannot be written: {error.strerror}.", "Choose another place."
    )


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Say in which frozen facts, of those known on both sides, two notes of a task differ; empty for none."""
    changed = [
        f"{name} {before[name]} -> {now[name]}"
        for name in FROZEN
        if name in before and name in now and before[name] != now[name]
    ]
    old, new = before.get("files", {}), now.get("files", {})
    return ", ".join(
        changed + [f"content of {name}" for name in sorted(old.keys() & new.keys()) if old[name] != new[name]]
    )
