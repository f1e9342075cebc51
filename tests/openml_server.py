"""A server that speaks the XML protocol of OpenML, version 1, over tables of our own, with faults on order."""

from __future__ import annotations

import gzip
import hashlib
import io
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

import numpy as np
import pandas as pd
from sklearn.model_selection import KFold, StratifiedKFold

API = "/api/v1/xml"
CLASSIFICATION, REGRESSION, CLUSTERING = 1, 2, 5
NAMES = {
    CLASSIFICATION: "Supervised Classification",
    REGRESSION: "Supervised Regression",
    CLUSTERING: "Clustering",
}
PAGE = b"<!DOCTYPE html><html><body><h1>We are down for maintenance.</h1></body></html>"
FAULTS = ("timeout", "503", "page", "truncated", "checksum", "refused")


@dataclass
class Dataset:
    """A table on the server."""

    number: int
    name: str
    frame: pd.DataFrame
    target: str
    version: int = 1
    status: str = "active"
    licence: str = "Public"
    row_id: str | None = None
    ignored: tuple[str, ...] = ()
    as_parquet: bool = False

    def arff(self) -> bytes:
        lines = [f"@RELATION {self.name}", ""]
        lines += [f"@ATTRIBUTE {_quoted(name)} {_arff_type(self.frame[name])}" for name in self.frame]
        table = self.frame.astype(object).where(self.frame.notna(), None)
        rows = (
            ",".join("?" if v is None else _quoted(v) for v in row) for row in table.itertuples(index=False)
        )
        return "\n".join([*lines, "", "@DATA", *rows, ""]).encode()

    def parquet(self) -> bytes:
        buffer = io.BytesIO()
        self.frame.to_parquet(buffer)
        return buffer.getvalue()

    def md5(self) -> str:
        return hashlib.md5(self.arff()).hexdigest()


@dataclass
class ServedTask:
    """A task on the server, with its folds: pairs of positions of rows."""

    number: int
    dataset: Dataset
    type: int
    target: str
    folds: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)
    procedure: str = "crossvalidation"

    def splits(self) -> bytes:
        head = "@RELATION splits\n\n@ATTRIBUTE type {TRAIN,TEST}\n"
        head += "".join(f"@ATTRIBUTE {name} NUMERIC\n" for name in ("rowid", "repeat", "fold"))
        rows = [
            f"{kind},{row},0,{number}"
            for number, fold in enumerate(self.folds)
            for kind, part in zip(("TRAIN", "TEST"), fold, strict=True)
            for row in part
        ]
        return "\n".join([head + "\n@DATA", *rows, ""]).encode()


@dataclass(frozen=True)
class Reply:
    """What is sent back."""

    body: bytes
    status: int = 200
    type: str = "text/xml"


class OpenMLServer:
    """The server, in a thread of this process; a context manager.

    Attributes
    ----------
    datasets, tasks, suites : dict
        By number; changed at will while the server runs.
    requests : list of (seconds, path)
        What was asked for, and when.
    """

    def __init__(self) -> None:
        self.datasets: dict[int, Dataset] = {}
        self.tasks: dict[int, ServedTask] = {}
        self.suites: dict[int, list[int]] = {}
        self.requests: list[tuple[float, str]] = []
        self.keys: set[str] = set()
        self._faults: dict[str, str] = {}
        self._left: Counter[str] = Counter()
        self._closing = threading.Event()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"site": self}))
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)

    @property
    def address(self) -> str:
        """Return what ``openml.config.server`` is set to."""
        return f"{self.root}{API}"

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> OpenMLServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._http.shutdown()
        self._http.server_close()

    def add(self, number: int, dataset: Dataset, folds: Any = None) -> ServedTask:
        """Serve a task on a table; without folds, ten of its own are drawn."""
        self.datasets[dataset.number] = dataset
        is_number = pd.api.types.is_float_dtype(dataset.frame[dataset.target])
        kind = REGRESSION if is_number else CLASSIFICATION
        task = ServedTask(
            number, dataset, kind, dataset.target, draw_folds(dataset) if folds is None else folds
        )
        self.tasks[number] = task
        return task

    def fail(self, path: str, fault: str, times: int = 10**6) -> None:
        """Answer requests whose path holds a text with a fault, so many times."""
        assert fault in FAULTS
        self._faults[path] = fault
        self._left[path] = times

    def heal(self) -> None:
        """Have no faults any more."""
        self._faults.clear()

    def asked(self, text: str) -> int:
        """Return how many requests held a text in their path."""
        return sum(text in path for _, path in self.requests)

    def answer(self, path: str) -> Reply | None:
        """Return the reply to a request; None to break off in the middle."""
        return _route(self, path)

    def fault(self, path: str) -> str:
        for part, fault in self._faults.items():
            if part in path and self._left[part] > 0:
                self._left[part] -= 1
                return fault
        return ""

    def hang(self) -> None:
        """Say nothing until the server closes."""
        self._closing.wait(30)


def bundled(*names: str) -> OpenMLServer:
    """Return a server of tables that scikit-learn bundles, or of some of them; suite 99 holds them all."""
    from sklearn import datasets

    server = OpenMLServer()
    sources = {
        "iris": (59, 61, datasets.load_iris),
        "wine": (9, 187, datasets.load_wine),
        "breast_cancer": (9946, 1510, datasets.load_breast_cancer),
        "diabetes": (7320, 560, datasets.load_diabetes),
        "digits": (28, 29, datasets.load_digits),
    }
    for name in names or sources:
        task, number, read = sources[name]
        bunch = read(as_frame=True)
        frame = bunch.data.rename(columns=lambda column: column.split(" (")[0])
        labels = getattr(bunch, "target_names", None)
        target = bunch.target.astype("float64") if labels is None else bunch.target.map(lambda i: f"c{i}")
        frame["class"] = target if labels is None else target.astype("category")
        server.add(task, Dataset(number, name, frame, "class"))
    server.suites[99] = sorted(server.tasks)
    return server


def of_directory(directory: Path, folds: Any = None) -> OpenMLServer:
    """Return a server of a catalog.csv and its Parquet files; suite 1 holds them all.

    `folds`, a function of a data set, says how they are parted.
    """
    server = OpenMLServer()
    catalog = pd.read_csv(directory / "catalog.csv", dtype={"name": str, "target": str})
    for number, row in enumerate(catalog.to_dict("records"), start=1):
        frame = pd.read_parquet(directory / f"{row['name']}.parquet")
        if row["task_type"] != "regression":
            frame[row["target"]] = frame[row["target"]].astype(str).astype("category")
        dataset = Dataset(1000 + number, row["name"], frame, row["target"], as_parquet=True)
        task = server.add(number, dataset, [] if folds is None else folds(dataset))
        task.type = REGRESSION if row["task_type"] == "regression" else CLASSIFICATION
        task.folds = task.folds or draw_folds(dataset)
    server.suites[1] = sorted(server.tasks)
    return server


def draw_folds(dataset: Dataset, n_folds: int = 10) -> list[tuple[np.ndarray, np.ndarray]]:
    """Part the rows as OpenML does: in ten folds, stratified for classification."""
    target = dataset.frame[dataset.target]
    splitter = KFold if pd.api.types.is_numeric_dtype(target) else StratifiedKFold
    return list(splitter(n_folds, shuffle=True, random_state=1).split(dataset.frame, target))


# -- replies --------------------------------------------------------------------------------------------------------


def _route(server: OpenMLServer, path: str) -> Reply:
    parts = path.strip("/").split("/")
    if path.startswith(API):
        name, *rest = parts[3:]
        if rest[:1] == ["list"]:
            filters = dict(zip(rest[1::2], rest[2::2], strict=True))
            listing = {"task": _list_tasks, "data": _list_datasets, "estimationprocedure": _list_procedures}
            return listing[name](server, filters)
        if name == "data" and rest[0] in ("features", "qualities"):
            return _describe_columns(server, rest[0], int(rest[1]))
        pages = {"data": _describe_dataset, "task": _describe_task, "study": _describe_suite}
        return pages[name](server, int(rest[0]))
    number = int(parts[1])
    if parts[0] == "splits":
        return Reply(server.tasks[number].splits(), type="text/plain")
    dataset = server.datasets[number]
    if dataset.status == "deactivated":
        return _error(113, "Dataset is deactivated")
    if parts[0] == "parquet":
        return Reply(dataset.parquet(), type="application/octet-stream")
    return Reply(dataset.arff(), type="text/plain; charset=utf-8")


def _describe_dataset(server: OpenMLServer, number: int) -> Reply:
    if number not in server.datasets:
        return _error(111, "Unknown dataset")
    dataset = server.datasets[number]
    facts = {
        "id": number,
        "name": dataset.name,
        "version": dataset.version,
        "description": "A table.",
        "format": "ARFF",
        "licence": dataset.licence,
        "url": f"{server.root}/arff/{number}/{dataset.name}.arff",
        "parquet_url": f"{server.root}/parquet/{number}/{dataset.name}.pq" if dataset.as_parquet else None,
        "default_target_attribute": dataset.target,
        "row_id_attribute": dataset.row_id,
        "status": dataset.status,
        "md5_checksum": dataset.md5(),
    }
    ignored = [("ignore_attribute", name) for name in dataset.ignored]
    return _xml("data_set_description", _tags([*facts.items(), *ignored]))


def _describe_columns(server: OpenMLServer, what: str, number: int) -> Reply:
    dataset = server.datasets[number]
    if what == "qualities":
        each = [_xml_tag("quality", _tags(quality.items())) for quality in _named(_qualities(dataset))]
        return _xml("data_qualities", "".join(each))
    features = []
    for index, name in enumerate(dataset.frame):
        column = dataset.frame[name]
        is_nominal = isinstance(column.dtype, pd.CategoricalDtype)
        facts = [("index", index), ("name", name), ("data_type", "nominal" if is_nominal else "numeric")]
        facts += [("nominal_value", level) for level in column.cat.categories] if is_nominal else []
        features.append(
            _xml_tag("feature", _tags([*facts, ("number_of_missing_values", column.isna().sum())]))
        )
    return _xml("data_features", "".join(features))


def _describe_task(server: OpenMLServer, number: int) -> Reply:
    if number not in server.tasks:
        return _error(151, "Unknown task")
    task = server.tasks[number]
    data = _tags([("data_set_id", task.dataset.number), ("target_feature", task.target)])
    parameters = {
        "number_repeats": 1,
        "number_folds": len(task.folds),
        "percentage": "",
        "stratified_sampling": "true",
    }
    procedure = _tags(
        [("type", task.procedure), ("data_splits_url", f"{server.root}/splits/{number}/splits.arff")]
    )
    procedure += "".join(f'<oml:parameter name="{k}">{v}</oml:parameter>' for k, v in parameters.items())
    body = _tags([("task_id", number), ("task_type_id", task.type), ("task_type", NAMES[task.type])])
    body += f'<oml:input name="source_data">{_xml_tag("data_set", data)}</oml:input>'
    body += (
        f'<oml:input name="estimation_procedure">{_xml_tag("estimation_procedure", procedure)}</oml:input>'
    )
    return _xml("task", body)


def _describe_suite(server: OpenMLServer, number: int) -> Reply:
    if number not in server.suites:
        return _error(600, "Unknown study")
    facts = {
        "id": number,
        "main_entity_type": "task",
        "name": f"suite {number}",
        "description": "Tasks.",
        "status": "active",
        "creation_date": "2020-01-01 00:00:00",
        "creator": 1,
    }
    numbers = _tags([("task_id", task) for task in server.suites[number]])
    return _xml("study", _tags(facts.items()) + _xml_tag("tasks", numbers))


def _list_tasks(server: OpenMLServer, filters: dict[str, str]) -> Reply:
    wanted = [int(number) for number in filters["task_id"].split(",")]
    found = [server.tasks[number] for number in wanted if number in server.tasks]
    found = [task for task in found if filters.get("status") == "all" or task.dataset.status == "active"]
    page = found[int(filters["offset"]) :][: int(filters["limit"])]
    if not page:
        return _error(482, "No results")
    return _xml("tasks", "".join(map(_list_entry, page)))


def _list_entry(task: ServedTask) -> str:
    dataset = task.dataset
    body = _tags(
        [
            ("task_id", task.number),
            ("task_type_id", task.type),
            ("task_type", NAMES[task.type]),
            ("did", dataset.number),
            ("name", dataset.name),
            ("status", dataset.status),
            ("format", "ARFF"),
        ]
    )
    inputs = {"estimation_procedure": 1, "source_data": dataset.number, "target_feature": task.target}
    body += "".join(
        f'<oml:input name="{name}">{escape(str(value))}</oml:input>' for name, value in inputs.items()
    )
    body += "".join(
        f'<oml:quality name="{name}">{value}</oml:quality>' for name, value in _qualities(dataset).items()
    )
    return _xml_tag("task", body)


def _list_datasets(server: OpenMLServer, filters: dict[str, str]) -> Reply:
    wanted = [int(number) for number in filters["data_id"].split(",")]
    page = [server.datasets[number] for number in wanted][int(filters["offset"]) :]
    if not page:
        return _error(372, "No results")
    entries = []
    for dataset in page:
        facts = {
            "did": dataset.number,
            "name": dataset.name,
            "version": dataset.version,
            "status": dataset.status,
            "format": "ARFF",
            "md5_checksum": dataset.md5(),
        }
        entries.append(_xml_tag("dataset", _tags(facts.items())))
    return _xml("data", "".join(entries))


def _list_procedures(server: OpenMLServer, filters: dict[str, str]) -> Reply:
    names = ("10-fold Crossvalidation", "33% Holdout set")
    entries = [
        _xml_tag(
            "estimationprocedure",
            _tags([("id", i), ("ttid", 1), ("name", name), ("type", "crossvalidation")]),
        )
        for i, name in enumerate(names, start=1)
    ]
    return _xml("estimationprocedures", "".join(entries))


def _qualities(dataset: Dataset) -> dict[str, int]:
    target = dataset.frame[dataset.target]
    is_nominal = isinstance(target.dtype, pd.CategoricalDtype)
    return {"NumberOfInstances": len(target), "NumberOfClasses": target.nunique() if is_nominal else 0}


def _named(values: dict[str, int]) -> list[dict[str, Any]]:
    return [{"name": name, "value": value} for name, value in values.items()]


def _error(code: int, message: str) -> Reply:
    return Reply(_xml("error", _tags([("code", code), ("message", message)])).body, 412)


def _xml(name: str, body: str) -> Reply:
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<oml:{name} xmlns:oml="http://openml.org/openml">{body}</oml:{name}>'
    return Reply(text.encode())


def _xml_tag(name: str, body: str) -> str:
    return f"<oml:{name}>{body}</oml:{name}>"


def _tags(facts: Any) -> str:
    return "".join(_xml_tag(name, escape(str(value))) for name, value in facts if value is not None)


def _quoted(value: Any) -> str:
    text = str(value)
    return text if text.replace("_", "").replace(".", "").replace("-", "").isalnum() else f'"{text}"'


def _arff_type(column: pd.Series) -> str:
    if isinstance(column.dtype, pd.CategoricalDtype):
        return "{" + ",".join(map(_quoted, column.cat.categories)) + "}"
    if pd.api.types.is_integer_dtype(column.dtype):
        return "INTEGER"
    return "REAL" if pd.api.types.is_numeric_dtype(column.dtype) else "STRING"


class _Handler(BaseHTTPRequestHandler):
    site: OpenMLServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._reply()

    def do_HEAD(self) -> None:
        self._reply(is_head=True)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _reply(self, is_head: bool = False) -> None:
        address = urlsplit(self.path)
        self.site.requests.append((time.monotonic(), address.path))
        self.site.keys.update(parse_qs(address.query).get("api_key", ()))
        fault = self.site.fault(address.path)
        if fault == "timeout":
            self.site.hang()
            self.close_connection = True
            return
        reply = self.site.answer(address.path)
        replies = {
            "503": Reply(PAGE, 503, "text/html"),
            "page": Reply(PAGE),
            "refused": _error(112, "No access granted"),
        }
        reply = replies.get(fault, reply)
        body = reply.body.replace(b"1", b"2") if fault == "checksum" else reply.body
        self._send(reply, body, len(body) // 2 if fault == "truncated" else len(body), is_head)

    def _send(self, reply: Reply, body: bytes, n_sent: int, is_head: bool) -> None:
        # Files for the S3 client are sent as they are: it compares lengths.
        is_packed = reply.type.startswith("text") and n_sent == len(body)
        sent = gzip.compress(body, 1) if is_packed else body
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.type)
        self.send_header("Content-Length", str(len(sent)))
        self.send_header("ETag", f'"{hashlib.md5(body).hexdigest()}"')
        self.send_header("Last-Modified", formatdate(usegmt=True))
        if is_packed:
            self.send_header("Content-Encoding", "gzip")
        with suppress(ConnectionError):  # the client may have given up
            self.end_headers()
            self.wfile.write(b"" if is_head else sent if is_packed else sent[:n_sent])
        self.close_connection = self.close_connection or n_sent < len(body)
