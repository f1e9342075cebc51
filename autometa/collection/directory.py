"""Tasks from a directory: a ``catalog.csv`` beside Parquet files."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol as Interface, TypeVar

import pandas as pd

from autometa.errors import DataError
from autometa.tables.frames import split_target
from autometa.task import KINDS, Task

REQUIRED_COLUMNS: Final = ("name", "task_type", "target")


class _Sized(Interface):
    """What is known of a task before it is loaded."""

    @property
    def task_id(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def n_rows(self) -> int: ...
    @property
    def properties(self) -> dict[str, Any]: ...


S = TypeVar("S", bound=_Sized)


@dataclass(frozen=True)
class TaskSource:
    """A task that is known by name and loaded when it is needed.

    Attributes
    ----------
    task_id : str
    kind : str
    path : Path
        Parquet file.
    target : str
    n_rows : int
        As the catalog says; 0 where it does not.
    properties : dict
        ``openml_id``, ``family``, ``source`` as the catalog gives them.
    """

    task_id: str
    kind: str
    path: Path
    target: str
    n_rows: int
    properties: dict[str, Any]

    def load(self) -> Task:
        """Read the table and check it.

        Raises
        ------
        DataError
            AM111 when the file cannot be read, and what :meth:`Task.from_frame` raises.
        """
        try:
            table = pd.read_parquet(self.path)
        except (OSError, ValueError) as error:
            raise DataError(
                "AM111", f"{self.path.name} is not a Parquet file that can be read.", "Write it again."
            ) from error
        frame, y = split_target(table, self.target)
        return Task.from_frame(frame, y, kind=self.kind, name=self.task_id, properties=self.properties)

    def folds(self) -> None:
        """Return None: the tables of a directory come without folds."""


def read_catalog(directory: str | Path) -> list[TaskSource]:
    """Read the catalog of a directory of tasks.

    Parameters
    ----------
    directory : str or Path
        Holds ``catalog.csv`` with at least the columns name, task_type (binary, multiclass or regression) and
        target; optional openml_id, family, source, n_rows. Each task is ``<name>.parquet`` beside it.

    Returns
    -------
    list of TaskSource
        In an order in which every beginning is a mix of kinds, sizes and families, the same on each call.

    Raises
    ------
    DataError
        AM111 when the catalog is missing, incomplete, or names a file that is not there.
    """
    catalog_path = Path(directory) / "catalog.csv"
    if not os.path.isfile(catalog_path):  # noqa: PTH113 (Path raises where a name is too long)
        raise DataError(
            "AM111", f"there is no {catalog_path}.", "Name a directory with a catalog.csv and Parquet files."
        )
    try:
        with catalog_path.open(encoding="utf-8-sig") as file:
            header = next(filter(str.strip, file), "")
        # A task may be called NA, so nothing is missing but what is empty.
        catalog = pd.read_csv(
            catalog_path,
            sep=max(",;\t", key=header.count),
            dtype=str,
            index_col=False,
            usecols=lambda name: True,  # rows may be longer than the header
            keep_default_na=False,
            skipinitialspace=True,
            encoding="utf-8-sig",
        ).fillna("")
    except ValueError as error:
        raise DataError(
            "AM111", f"{catalog_path} cannot be read as CSV.", "Save it as UTF-8 text."
        ) from error
    catalog.columns = catalog.columns.str.strip().str.lower()
    missing = [column for column in REQUIRED_COLUMNS if column not in catalog]
    if missing:
        raise DataError("AM111", f"{catalog_path} lacks the column(s) {', '.join(missing)}.", "Add them.")
    rows = [
        {str(key).strip(): str(value).strip() for key, value in row.items()}
        for row in catalog.to_dict("records")
    ]
    sources = [_source(Path(directory), row) for row in rows if any(row.values())]
    if not sources:
        raise DataError("AM111", f"{catalog_path} names no tasks.", "Add a row for each.")
    return list(mixed(sources))


def _source(directory: Path, row: dict[str, str]) -> TaskSource:
    name = row["name"].removesuffix(".parquet")
    path = directory / f"{name}.parquet"
    if path.parent != directory or not os.path.isfile(path):  # noqa: PTH113
        raise DataError(
            "AM111",
            f"the catalog names {name[:100]!r}, and there is no such Parquet file beside it.",
            "Add the file or take the row out.",
        )
    kind = row["task_type"].lower()
    if kind not in KINDS:
        raise DataError(
            "AM111", f"task {name!r} has task_type {row['task_type']!r}.", f"Use one of {', '.join(KINDS)}."
        )
    openml_id = _whole(row.get("openml_id", ""))
    if openml_id is None and row.get("openml_id", "").lower() not in ("", "na", "nan", "none", "-"):
        raise DataError(
            "AM111",
            f"task {name!r} has openml_id {row['openml_id'][:40]!r}, which is no number.",
            "Leave the cell empty where there is none.",
        )
    properties = {
        "openml_id": openml_id,
        "family": row.get("family") or name,
        "source": row.get("source", ""),
    }
    # The number of rows only decides the order of the tasks.
    n_rows = _whole(row.get("n_rows", "")) or 0
    return TaskSource(name, kind, path, row["target"], n_rows, properties)


def _whole(text: str) -> int | None:
    """Read a whole number, also one that a spreadsheet wrote as 12.0; None where there is none."""
    try:
        value = float(text)
    except ValueError:
        return None
    return int(value) if math.isfinite(value) else None


def mixed(sources: Iterable[S]) -> Iterator[S]:
    """Put new families before known ones, kinds in turn, and within a kind spread sizes evenly."""
    members: dict[str, list[S]] = {kind: [] for kind in KINDS}
    for source in sources:
        members[source.kind].append(source)
    queues = []
    seen: Counter[str] = Counter()
    for group in members.values():
        ranked: list[tuple[int, int, S]] = []
        for position, source in enumerate(_spread(group)):
            family = source.properties["family"]
            ranked.append((seen[family], position, source))
            seen[family] += 1
        queues.append([item[2] for item in sorted(ranked, key=lambda item: item[:2])])
    for rank in range(max(map(len, queues))):
        yield from (queue[rank] for queue in queues if rank < len(queue))


def _spread(members: list[S]) -> Iterator[S]:
    """Visit all members in steps of about the golden ratio of their number, so that every beginning is spread."""
    left = sorted(members, key=lambda s: (s.n_rows, s.task_id))
    stride = max(int(len(left) * 0.618), 1)
    while stride > 1 and len(left) % stride == 0:
        stride -= 1
    position = 0
    while left:
        position = (position + stride) % len(left)
        yield left.pop(position)
