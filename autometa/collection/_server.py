"""The server of OpenML, asked through the package ``openml``: politely, and with every failure told as it is.

The one door to the package. A pause stands between requests, waiting has a limit, and pauses grow while the server
fails.
"""

from __future__ import annotations

import hashlib
import logging
import os
import random
import shutil
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, TypeVar

import numpy as np
import openml
import pandas as pd
import requests
import urllib3
from openml.tasks import TaskType

from autometa.errors import AutometaError, DataError
from autometa.evaluation import Split
from autometa.tables import read_table

# The package keeps its settings in its modules: one user at a time.
_DOOR: Final = threading.Lock()
# Codes of the server, and of our reader of tables, that another attempt may mend.
_DATABASE_IS_BUSY: Final = 107
_BROKEN_FILE: Final = ("AM113", "AM201")
T = TypeVar("T")
_TOO_MANY_REQUESTS: Final = 429
_SERVER_ERROR: Final = 500


class NoAnswer(Exception):
    """The server gave no answer that can be used; another attempt may get one."""


class Unusable(NoAnswer):
    """The server answered, and what it sent is broken."""


class Refused(NoAnswer):
    """The server answered that it will not give what was asked for."""


def _keep_silent(line: str) -> None:
    """Tell nobody."""


class Connection:
    """How a server is asked. A copy in another process keeps its own pace, and is silent.

    Parameters
    ----------
    timeout : float, default=60.0
        Seconds without a sign of the server after which a request has failed.
    pause : float, default=0.5
        Least seconds between two requests.
    attempts : int, default=5
        How often a task is tried; once only while nothing at all could be had from the server.
    backoff : float, default=1.0
        Seconds before the second attempt; twice as many before each further one, and up to as many again by chance.
    notify : callable, optional
        Called with a line for what is tried again, and for what has changed on the server.
    """

    def __init__(
        self,
        *,
        timeout: float = 60.0,
        pause: float = 0.5,
        attempts: int = 5,
        backoff: float = 1.0,
        notify: Callable[[str], None] = _keep_silent,
    ) -> None:
        self.timeout = timeout
        self.notify = notify
        self._pause = pause
        self._attempts = attempts
        self._backoff = backoff
        self._is_answering = True
        self._next_request = 0.0

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "notify": _keep_silent, "_is_answering": True, "_next_request": 0.0}

    def ask(self, call: Callable[[int], T], what: str) -> T:
        """Call with the number of the attempt, from 0, until one succeeds.

        Raises
        ------
        NoAnswer
            The last attempt's.
        """
        attempts = self._attempts if self._is_answering else 1
        attempt = 0
        while True:
            try:
                answer = call(attempt)
            except NoAnswer as error:
                attempt += 1
                if isinstance(error, Refused) or attempt >= attempts:
                    self._is_answering = isinstance(error, (Unusable, Refused))
                    raise
                seconds = self._backoff * 2 ** (attempt - 1) * random.uniform(1, 2)
                self.notify(f"{what}: {error}; asked again in {seconds:.1f} seconds")
                time.sleep(seconds)
            else:
                self._is_answering = True
                return answer

    def session(self) -> requests.Session:
        """Return a session that keeps these manners."""
        return _PoliteSession(self)

    def pool(self) -> urllib3.PoolManager:
        """Return connections for clients that do not use requests: with the same limit, and tried once."""
        self.wait()
        return urllib3.PoolManager(timeout=self.timeout, retries=urllib3.Retry(0))

    def wait(self) -> None:
        """Let the pause since the last request pass."""
        time.sleep(max(self._next_request - time.monotonic(), 0.0))
        self._next_request = time.monotonic() + self._pause


class _PoliteSession(requests.Session):
    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection

    def request(self, method: Any, url: Any, *args: Any, **options: Any) -> requests.Response:
        """Send a request; what comes back is an answer of the server's protocol, whole."""
        self._connection.wait()
        try:
            response = super().request(method, url, *args, **{"timeout": self._connection.timeout, **options})
        # The messages of requests hold the address, and the address may hold a key: they are not passed on.
        except requests.Timeout:
            raise NoAnswer(f"no answer within {self._connection.timeout:g} seconds") from None
        except (requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError):
            raise NoAnswer("the download broke off") from None
        except requests.RequestException as error:
            raise NoAnswer(f"the connection failed ({type(error).__name__})") from None
        if response.status_code >= _SERVER_ERROR or response.status_code == _TOO_MANY_REQUESTS:
            raise NoAnswer(f"the server answered {response.status_code}")
        if _is_page(response):
            raise NoAnswer("the server sent an HTML page in place of data")
        return response


def _is_page(response: requests.Response) -> bool:
    head = response.content[:200].lstrip().lower()
    return head.startswith((b"<!doctype html", b"<html"))


def address() -> str:
    """Return the address of the configured server."""
    found: str = openml.config.server
    return found


def cache_folder(*parts: object) -> Path:
    """Return a folder of the package's cache."""
    return Path(openml.config.get_cache_directory()).joinpath(*map(str, parts))


def kind_of(row: dict[str, Any]) -> str | None:
    """Return the kind of a listed task; None where it is neither classification nor regression."""
    if row["ttid"] not in (TaskType.SUPERVISED_CLASSIFICATION, TaskType.SUPERVISED_REGRESSION):
        return None
    if row["ttid"] is TaskType.SUPERVISED_REGRESSION:
        return "regression"
    return "binary" if row.get("NumberOfClasses") == 2 else "multiclass"


@dataclass(frozen=True)
class Copy:
    """A task as it was taken: its table, and what the lock file notes of it."""

    table: pd.DataFrame
    facts: dict[str, Any]


def copy_task(number: int) -> Copy:
    """Read a task from the cache, fetching what is missing there."""
    task: Any = openml.tasks.get_task(number)
    dataset: Any = openml.datasets.get_dataset(task.dataset_id, download_data=True)
    path = Path(dataset.parquet_file or dataset.data_file)
    if path.suffix == ".arff" and dataset.format.lower() == "sparse_arff":
        raise DataError(
            "AM122", f"task {number} of OpenML cannot be collected: its table is sparse.", "Leave it out."
        )
    splits = cache_folder("tasks", number) / "datasplits.arff"
    if not splits.exists():
        task.download_split()
    files = {file.name: _md5(file) for file in (path, splits)}
    if path.suffix == ".arff" and dataset.md5_checksum not in (None, files[path.name]):
        raise ValueError("the checksum of the table is wrong")
    table = read_table(path).frame
    procedure = task.estimation_procedure
    split = {"type": procedure["type"], **{k: v for k, v in procedure["parameters"].items() if v}}
    _check_folds(number, read_folds(splits), split, len(table))
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
    return Copy(table, facts)


def _ignored(dataset: Any, target: str, columns: pd.Index) -> list[str]:
    """Columns that are ids, or that the data set's owner says to ignore; some list them in one text."""
    names: list[str] = []
    for listed in (dataset.row_id_attribute, dataset.ignore_attribute):
        for name in [listed] if isinstance(listed, str) else listed or ():
            names += [name] if name in columns else name.split(",")
    return sorted({name.strip() for name in names} - {target})


def read_folds(path: Path) -> list[Split]:
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


def list_suite(suite: int | str, connection: Connection, attempt: int) -> list[int]:
    """Return the numbers of the tasks of a suite."""
    with open_door(connection):
        return list(openml.study.get_suite(suite).tasks or ())


def list_tasks(numbers: list[int], connection: Connection, attempt: int) -> dict[int, dict[str, Any]]:
    """Return what the server says of tasks and their data sets, by number of the task."""
    with open_door(connection):
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
def open_door(
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


def _md5(path: Path) -> str:
    content = path.read_bytes()
    if path.suffix == ".arff":
        # The package writes text with the line ends of the system.
        content = content.replace(os.linesep.encode(), b"\n")
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
