"""Tasks from OpenML, with their official folds.

The server, the key and the cache are those of the package's own configuration. What was taken is noted in a lock file
and read from the cache from then on; what cannot be had costs its own task alone, and is tried again on the next run.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from autometa.collection.directory import mixed
from autometa.errors import DataError, DependencyError, StorageError, how_to_install
from autometa.evaluation import Split
from autometa.space import target_of
from autometa.storage import one_process, write_file
from autometa.tables.frames import split_target
from autometa.task import Task

try:
    from autometa.collection._server import (
        Connection,
        Copy,
        NoAnswer,
        address,
        cache_folder,
        copy_task,
        kind_of,
        list_suite,
        list_tasks,
        open_door,
        read_folds,
    )
except ImportError as error:
    raise DependencyError(
        "AM702",
        "tasks of OpenML need the package openml.",
        how_to_install("openml"),
    ) from error

__all__ = ["Connection", "OpenMLTask", "default_lock_file", "read_suite", "read_tasks"]

LOCK_NAME: Final = "autometa.lock.json"
# As many as an address of the server may hold.
_IDS_PER_LIST: Final = 200
SCHEMA: Final = 1
FROZEN: Final = ("dataset", "version", "md5", "target", "ignored", "split")


def default_lock_file() -> Path:
    """Return the lock file of the configured server: in the package's cache, beside what was taken."""
    return cache_folder() / LOCK_NAME


@dataclass(frozen=True, eq=False)
class OpenMLTask:
    """A task of OpenML, fetched when it is needed.

    Attributes
    ----------
    number : int
        Of the task on OpenML.
    dataset : int
        Number of its data set.
    name : str
        Of the data set.
    kind : {"binary", "multiclass", "regression"}
        As the server says, before the table is seen.
    n_rows : int
    connection : Connection
    lock : LockFile
    refusal : DataError or None
        Why the task cannot be taken, where that is known already.
    server : str
        Address; a process that is configured for another one refuses the task.
    properties : dict
        ``openml_id`` (of the data set) and ``family`` (its name in lower case).
    """

    number: int
    dataset: int
    name: str
    kind: str
    n_rows: int
    connection: Connection
    lock: LockFile
    refusal: DataError | None = None
    server: str = field(default_factory=address)
    properties: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        facts = {"openml_id": self.dataset, "family": self.name.lower()}
        object.__setattr__(self, "properties", facts)

    @property
    def task_id(self) -> str:
        """Name of the task among others: number and name."""
        return "-".join(filter(None, ("openml", str(self.number), self.name)))

    def load(self) -> Task:
        """Read the table from the cache, or fetch it, and check it.

        Raises
        ------
        DataError
            AM120 when it cannot be had; AM121 when it is not what was taken before; AM122 when it is not a task that
            can be collected; and what :meth:`Task.from_frame` raises.
        """
        if self.refusal is not None:
            raise self.refusal
        if self.server != address():
            raise _unreadable(f"task {self.number}", "this process is configured for another server")
        try:
            copy = self.connection.ask(self._fetch, f"task {self.number}")
        except NoAnswer as error:
            raise _unreadable(f"task {self.number}", error) from None
        self._compare(copy.facts)
        table = copy.table.drop(columns=[name for name in copy.facts["ignored"] if name in copy.table])
        X, y = split_target(table, copy.facts["target"])
        task = Task.from_frame(
            X,
            y,
            kind=target_of(self.kind),
            name=self.task_id,
            properties={**self.properties, "source": _source(self.number, copy.facts)},
        )
        self.lock.note_task(self.number, {**copy.facts, "kind": task.kind, "n_rows": task.n_rows})
        return task

    def folds(self) -> list[Split]:
        """Return the official folds of the first repeat, of a task that was loaded."""
        try:
            return read_folds(cache_folder("tasks", self.number) / "datasplits.arff")
        except (OSError, ValueError) as error:
            raise _unreadable(f"task {self.number}", type(error).__name__) from error

    def _fetch(self, attempt: int) -> Copy:
        folders = self._folders()
        with one_process(folders[1].with_suffix(".busy")):
            for folder in folders:
                # The package keeps pickles beside its files: none is ever loaded.
                for pickled in folder.glob("*.pkl*"):
                    pickled.unlink(missing_ok=True)
            # The ARFF file has a checksum: it is taken when something was wrong before.
            skip_parquet = attempt > 0 or (folders[1] / "dataset.arff").exists()
            with open_door(self.connection, folders, skip_parquet):
                return copy_task(self.number)

    def _folders(self) -> tuple[Path, Path]:
        return cache_folder("tasks", self.number), cache_folder("datasets", self.dataset)

    def _compare(self, facts: dict[str, Any]) -> None:
        changed = differences(self.lock.task(self.number) or {}, facts)
        if changed:
            # If the cache is what changed, the next run fetches what was taken.
            for folder in self._folders():
                shutil.rmtree(folder, ignore_errors=True)
            raise DataError(
                "AM121",
                f"task {self.number} of OpenML is not what was taken before: {changed}.",
                f"To begin anew, take its entry out of {str(self.lock.path)!r} and choose another storage.",
            )


def read_suite(
    suite: int | str, connection: Connection | None = None, *, lock_file: str | Path | None = None
) -> list[OpenMLTask]:
    """List the tasks of a suite, such as 99 (OpenML-CC18), 271 and 269 (AutoML benchmark).

    Parameters
    ----------
    suite : int or str
        Number or alias.
    connection : Connection, optional
        How the server is asked.
    lock_file : str or Path, optional
        See :func:`default_lock_file`.

    Returns
    -------
    list of OpenMLTask
        Those that the suite has, and those that it once had and that were taken. In an order in which every beginning
        is a mix of kinds, sizes and families.

    Raises
    ------
    DataError
        AM120 when the server does not list the suite, and no earlier run has noted its tasks.
    StorageError
        AM615 when the lock file cannot be read.
    """
    connection = connection or Connection()
    lock = LockFile(Path(lock_file or default_lock_file()))
    noted = lock.suite(str(suite))
    try:
        numbers = connection.ask(partial(list_suite, suite, connection), f"suite {suite}")
    except NoAnswer as error:
        if noted is None:
            raise _unreadable(f"suite {suite}", error) from None
        connection.notify(f"suite {suite} cannot be asked for ({error}); its tasks as noted are used")
        numbers = noted
    gone = sorted(set(noted or ()) - set(numbers))
    if gone:
        connection.notify(
            f"suite {suite} shrank by {', '.join(map(str, gone))}; what was taken of these is used from the cache"
        )
    lock.note_suite(str(suite), sorted({*numbers, *gone}))
    return read_tasks([*numbers, *filter(lock.task, gone)], connection, lock_file=lock.path)


def read_tasks(
    numbers: Iterable[int], connection: Connection | None = None, *, lock_file: str | Path | None = None
) -> list[OpenMLTask]:
    """List tasks of OpenML by their numbers.

    What has changed on the server since a task was taken is told to ``connection.notify``.

    Parameters
    ----------
    numbers : iterable of int
    connection : Connection, optional
        How the server is asked.
    lock_file : str or Path, optional
        See :func:`default_lock_file`.

    Returns
    -------
    list of OpenMLTask
        One for each number: what cannot be had says so when it is loaded. In an order in which every beginning is a mix
        of kinds, sizes and families.
    """
    connection = connection or Connection()
    lock = LockFile(Path(lock_file or default_lock_file()))
    wanted = list(dict.fromkeys(numbers))
    rows: dict[int, dict[str, Any]] = {}
    failure: NoAnswer | None = None
    try:
        for start in range(0, len(wanted), _IDS_PER_LIST):
            part = wanted[start : start + _IDS_PER_LIST]
            rows |= connection.ask(partial(list_tasks, part, connection), "list of tasks")
    except NoAnswer as error:
        failure = error
        connection.notify(f"the list of tasks cannot be had ({error}); what was taken is used from the cache")
    return list(mixed(_as_source(number, rows.get(number), failure, connection, lock) for number in wanted))


def _as_source(
    number: int,
    row: dict[str, Any] | None,
    failure: NoAnswer | None,
    connection: Connection,
    lock: LockFile,
) -> OpenMLTask:
    """Make the source of a task of what the server and the lock file say of it."""
    noted = lock.task(number)
    if noted is not None:
        changed = "" if failure else _what_changed(noted, row)
        if changed:
            connection.notify(f"task {number}: {changed}; what was taken is used from the cache")
        known = noted["dataset"], noted["name"], noted["kind"], noted["n_rows"]
        return OpenMLTask(number, *known, connection, lock)
    if row is None:
        refusal = _unreadable(f"task {number}", failure or "the server does not list it")
        return OpenMLTask(number, 0, "", "multiclass", 0, connection, lock, refusal)
    known = row["did"], row["name"], kind_of(row) or "multiclass", int(row.get("NumberOfInstances", 0))
    return OpenMLTask(number, *known, connection, lock, _refusal(number, row))


def _refusal(number: int, row: dict[str, Any]) -> DataError | None:
    if kind_of(row) is None:
        what = f"it is of the type {row['task_type']!r}, neither classification nor regression"
    elif row["status"] == "deactivated":
        what = f"its data set {row['did']} is deactivated"
    else:
        return None
    return DataError("AM122", f"task {number} of OpenML cannot be collected: {what}.", "Leave it out.")


def _what_changed(noted: dict[str, Any], row: dict[str, Any] | None) -> str:
    if row is None:
        return "the server does not list it any more"
    if row["status"] == "deactivated":
        return f"data set {row['did']} is deactivated"
    names = {"did": "dataset", "version": "version", "md5_checksum": "md5", "target_feature": "target"}
    return differences(noted, {names[name]: row[name] for name in names if name in row})


def _unreadable(what: str, reason: NoAnswer | str) -> DataError:
    return DataError(
        "AM120", f"{what} of OpenML cannot be read: {reason}.", "It is tried again on the next run."
    )


def _source(number: int, facts: dict[str, Any]) -> str:
    return f"OpenML task {number}, version {facts['version']}, licence {facts['licence'] or 'not known'}"


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
        with one_process(self.path.with_suffix(".busy")):
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
