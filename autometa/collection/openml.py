"""Tasks from OpenML, with their official folds: the one door to the package ``openml``.

The server, the key and the cache are those of the package's own configuration. What was taken is noted in a lock file
and read from the cache from then on; what cannot be had costs its own task alone, and is tried again on the next run.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import threading
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import numpy as np
import pandas as pd

from autometa.collection._lockfile import LockFile, differences, one_process
from autometa.collection.directory import mixed
from autometa.errors import AutometaError, DataError, DependencyError, how_to_install
from autometa.evaluation import Split
from autometa.space import target_of
from autometa.tables import read_table
from autometa.task import Task, split_target

try:
    import openml
    import requests
    from openml.tasks import TaskType

    from autometa.collection._polite import Connection, NoAnswer, Refused, Unusable
except ImportError as error:
    raise DependencyError(
        "AM702",
        "tasks of OpenML need the package openml.",
        how_to_install("openml"),
    ) from error

__all__ = ["Connection", "OpenMLTask", "default_lock_file", "read_suite", "read_tasks"]

LOCK_NAME: Final = "autometa.lock.json"
# The package keeps its settings in its modules: one user at a time.
_DOOR: Final = threading.Lock()
_DATABASE_IS_BUSY: Final = 107
_IDS_PER_LIST: Final = 200
_BROKEN_FILE: Final = ("AM113", "AM201")


def default_lock_file() -> Path:
    """Return the lock file of the configured server: in the package's cache, beside what was taken."""
    return Path(openml.config.get_cache_directory()) / LOCK_NAME


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
    server: str = field(default_factory=lambda: openml.config.server)
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
        if self.server != openml.config.server:
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
            return _read_folds(_folder("tasks", self.number) / "datasplits.arff")
        except (OSError, ValueError) as error:
            raise _unreadable(f"task {self.number}", type(error).__name__) from error

    def _fetch(self, attempt: int) -> _Copy:
        folders = self._folders()
        with one_process(folders[1].with_suffix(".busy")):
            for folder in folders:
                # The package keeps pickles beside its files: none is ever loaded.
                for pickled in folder.glob("*.pkl*"):
                    pickled.unlink(missing_ok=True)
            # The ARFF file has a checksum: it is taken when something was wrong before.
            skip_parquet = attempt > 0 or (folders[1] / "dataset.arff").exists()
            with _open_door(self.connection, folders, skip_parquet):
                return _copy_task(self.number)

    def _folders(self) -> tuple[Path, Path]:
        return _folder("tasks", self.number), _folder("datasets", self.dataset)

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
        numbers = connection.ask(partial(_list_suite, suite, connection), f"suite {suite}")
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
            rows |= connection.ask(partial(_list_tasks, part, connection), "list of tasks")
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
    known = row["did"], row["name"], _kind(row), int(row.get("NumberOfInstances", 0))
    return OpenMLTask(number, *known, connection, lock, _refusal(number, row))


def _kind(row: dict[str, Any]) -> str:
    if row["ttid"] is TaskType.SUPERVISED_REGRESSION:
        return "regression"
    return "binary" if row.get("NumberOfClasses") == 2 else "multiclass"


def _refusal(number: int, row: dict[str, Any]) -> DataError | None:
    if row["ttid"] not in (TaskType.SUPERVISED_CLASSIFICATION, TaskType.SUPERVISED_REGRESSION):
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


@dataclass(frozen=True)
class _Copy:
    table: pd.DataFrame
    facts: dict[str, Any]


def _copy_task(number: int) -> _Copy:
    """Read a task from the cache, fetching what is missing there."""
    task: Any = openml.tasks.get_task(number)
    dataset: Any = openml.datasets.get_dataset(task.dataset_id, download_data=True)
    path = Path(dataset.parquet_file or dataset.data_file)
    if path.suffix == ".arff" and dataset.format.lower() == "sparse_arff":
        raise DataError(
            "AM122", f"task {number} of OpenML cannot be collected: its table is sparse.", "Leave it out."
        )
    splits = _folder("tasks", number) / "datasplits.arff"
    if not splits.exists():
        task.download_split()
    files = {file.name: _md5(file) for file in (path, splits)}
    if path.suffix == ".arff" and dataset.md5_checksum not in (None, files[path.name]):
        raise ValueError("the checksum of the table is wrong")
    table = read_table(path).frame
    procedure = task.estimation_procedure
    split = {"type": procedure["type"], **{k: v for k, v in procedure["parameters"].items() if v}}
    _check_folds(number, _read_folds(splits), split, len(table))
    facts = {
        "name": dataset.name,
        "dataset": dataset.dataset_id,
        "version": dataset.version,
        "md5": dataset.md5_checksum,
        "licence": dataset.licence,
        "target": task.target_name,
        "ignored": _ignored(dataset, task.target_name, table.columns),
        "split": split,
        "files": files,
    }
    return _Copy(table, facts)


def _ignored(dataset: Any, target: str, columns: pd.Index) -> list[str]:
    """Columns that are ids, or that the data set's owner says to ignore; some list them in one text."""
    names: list[str] = []
    for listed in (dataset.row_id_attribute, dataset.ignore_attribute):
        for name in [listed] if isinstance(listed, str) else listed or ():
            names += [name] if name in columns else name.split(",")
    return sorted({name.strip() for name in names} - {target})


def _read_folds(path: Path) -> list[Split]:
    """Read the folds of the first repeat from ARFF: rows with a type, a row's position, a repeat and a fold."""
    names = []
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            word = line.split(maxsplit=2)
            if word and word[0].lower() == "@attribute":
                names.append(word[1].strip("'\""))
            elif word and word[0].lower() == "@data":
                break
        types = {"type": "str", "rowid": "int64", "repeat": "int64", "fold": "int64"}
        table = pd.read_csv(
            lines, names=names, usecols=list(types), dtype=types, comment="%", skipinitialspace=True
        )
    first = table[table["repeat"] == 0]
    if first.empty or not first["type"].isin(["TRAIN", "TEST"]).all():
        raise ValueError("the folds cannot be read")
    folds = first.groupby("fold", sort=True)
    return [(_rows(fold, "TRAIN"), _rows(fold, "TEST")) for _, fold in folds]


def _rows(fold: pd.DataFrame, part: str) -> Any:
    return np.sort(fold.loc[fold["type"] == part, "rowid"].to_numpy(dtype=np.intp))


def _check_folds(number: int, folds: Sequence[Split], split: dict[str, str], n_rows: int) -> None:
    """Tell a file that was cut off, which is worth another attempt, from folds that cannot be used."""
    covered = {np.union1d(*fold).tobytes() for fold in folds}
    expected = int(split.get("number_folds", len(folds)))
    if (
        len(covered) > 1
        or len(folds) != expected
        or max(part.max(initial=0) for f in folds for part in f) >= n_rows
    ):
        raise ValueError("the folds are incomplete")
    if any(np.intersect1d(*fold).size or not (len(fold[0]) and len(fold[1])) for fold in folds):
        raise DataError(
            "AM122",
            f"task {number} of OpenML cannot be collected: its folds train and test on the same rows, or on none.",
            "Leave it out.",
        )


def _list_suite(suite: int | str, connection: Connection, attempt: int) -> list[int]:
    with _open_door(connection):
        return list(openml.study.get_suite(suite).tasks or ())


def _list_tasks(numbers: list[int], connection: Connection, attempt: int) -> dict[int, dict[str, Any]]:
    """Return what the server says of tasks and their data sets, by number of the task."""
    with _open_door(connection):
        tasks: Any = openml.tasks.list_tasks(task_id=numbers, status="all", output_format="dataframe")
        if tasks.empty:
            return {}
        datasets: Any = openml.datasets.list_datasets(
            data_id=sorted(set(tasks["did"])), status="all", output_format="dataframe"
        )
    by_number = {row["did"]: _present(row) for row in datasets.to_dict("records")}
    return {
        row["tid"]: {**by_number.get(row["did"], {}), **_present(row)} for row in tasks.to_dict("records")
    }


def _present(row: dict[Any, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value is not None and value == value}


@contextmanager
def _open_door(
    connection: Connection, folders: Sequence[Path] = (), skip_parquet: bool = False
) -> Iterator[None]:
    """Use the package: politely, and with every failure told as one that passes or one that stays.

    A failure that the session does not know is due to what was stored, which is therefore removed.
    """
    with _DOOR, _polite(connection, skip_parquet), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except NoAnswer:
            raise
        except openml.exceptions.OpenMLServerException as error:
            kind = NoAnswer if error.code == _DATABASE_IS_BUSY else Refused
            raise kind(f"the server says: {' '.join(error.message.split())} (code {error.code})") from None
        except openml.exceptions.OpenMLPrivateDatasetError as error:
            raise Refused(f"the server says: {' '.join(error.message.split())}") from None
        except Exception as error:
            if isinstance(error, AutometaError) and error.code not in _BROKEN_FILE:
                raise
            for folder in folders:
                shutil.rmtree(folder, ignore_errors=True)
            raise Unusable(_reason(error)) from None


@contextmanager
def _polite(connection: Connection, skip_parquet: bool) -> Iterator[None]:
    """Give the package sessions that know a time limit and a pause, and leave trying again to the connection.

    The package itself waits for an answer for ever, tries again without chance in its pauses, and logs as the root.
    """
    calls: Any = openml._api_calls
    config: Any = openml.config
    variable = config.OPENML_SKIP_PARQUET_ENV_VAR
    before = calls.requests, calls.minio, calls.logging, config.connection_n_retries, os.environ.get(variable)

    def client(http_client: Any = None, **options: Any) -> Any:
        return before[1].Minio(http_client=http_client or connection.pool(), **options)

    calls.requests = SimpleNamespace(**{**vars(requests), "Session": connection.session})
    calls.minio = SimpleNamespace(**{**vars(calls.minio), "Minio": client})
    calls.logging = logging.getLogger("openml")
    config.connection_n_retries = 1
    if skip_parquet:
        os.environ[variable] = "true"
    try:
        yield
    finally:
        calls.requests, calls.minio, calls.logging, config.connection_n_retries, skipped = before
        if skip_parquet:
            os.environ.pop(variable)
        if skipped is not None:
            os.environ[variable] = skipped


def _reason(error: Exception) -> str:
    """Say what is wrong without the text of other libraries: it may hold addresses, and with them keys."""
    if isinstance(error, openml.exceptions.OpenMLHashException):
        return "the checksum of the table is wrong"
    if isinstance(error, AutometaError):
        return error.message.rstrip(".")
    return f"what was sent cannot be read ({type(error).__name__})"


def _unreadable(what: str, reason: NoAnswer | str) -> DataError:
    return DataError(
        "AM120", f"{what} of OpenML cannot be read: {reason}.", "It is tried again on the next run."
    )


def _source(number: int, facts: dict[str, Any]) -> str:
    return f"OpenML task {number}, version {facts['version']}, licence {facts['licence'] or 'not known'}"


def _folder(part: str, number: int) -> Path:
    return Path(openml.config.get_cache_directory()) / part / str(number)


def _md5(path: Path) -> str:
    content = path.read_bytes()
    if path.suffix == ".arff":
        # The package writes text with the line ends of the system.
        content = content.replace(os.linesep.encode(), b"\n")
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
