"""Tasks from a directory: a ``catalog.csv`` beside Parquet files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd

from autometa.errors import DataError
from autometa.task import KINDS, Task, split_target

REQUIRED_COLUMNS: Final = ("name", "task_type", "target")


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
    if not catalog_path.is_file():
        raise DataError(
            "AM111", f"there is no {catalog_path}.", "Name a directory with a catalog.csv and Parquet files."
        )
    try:
        catalog = pd.read_csv(catalog_path, dtype={"name": str, "target": str})
    except ValueError as error:
        raise DataError(
            "AM111", f"{catalog_path} cannot be read as CSV.", "Save it as UTF-8 text."
        ) from error
    missing = [column for column in REQUIRED_COLUMNS if column not in catalog]
    if missing:
        raise DataError("AM111", f"{catalog_path} lacks the column(s) {', '.join(missing)}.", "Add them.")
    sources = [_source(Path(directory), row) for row in catalog.to_dict("records")]
    return list(_mixed(sources))


def _source(directory: Path, row: dict[Any, Any]) -> TaskSource:
    name = str(row["name"])
    path = directory / f"{name}.parquet"
    if path.parent != directory or not path.is_file():
        raise DataError(
            "AM111",
            f"the catalog names {name!r}, and there is no such Parquet file beside it.",
            "Add the file or take the row out.",
        )
    if row["task_type"] not in KINDS:
        raise DataError(
            "AM111", f"task {name!r} has task_type {row['task_type']!r}.", f"Use one of {', '.join(KINDS)}."
        )
    openml_id, family = row.get("openml_id"), row.get("family")
    properties = {
        "openml_id": None if openml_id is None or pd.isna(openml_id) else int(openml_id),
        "family": name if family is None or pd.isna(family) else str(family),
        "source": str(row.get("source", "")),
    }
    n_rows = row.get("n_rows", 0)
    return TaskSource(
        name, row["task_type"], path, str(row["target"]), 0 if pd.isna(n_rows) else int(n_rows), properties
    )


def _mixed(sources: list[TaskSource]) -> Iterator[TaskSource]:
    """New families before known ones, kinds in turn, and within a kind sizes spread evenly."""
    seen: dict[str, int] = {}
    groups: dict[str, list[tuple[int, int, TaskSource]]] = {kind: [] for kind in KINDS}
    for kind in KINDS:
        members = sorted((s for s in sources if s.kind == kind), key=lambda s: (s.n_rows, s.task_id))
        stride = max(int(len(members) * 0.618), 1)
        while stride > 1 and len(members) % stride == 0:
            stride -= 1
        spread = _strided(members, stride)
        for position, source in enumerate(spread):
            family = source.properties["family"]
            seen[family] = seen.get(family, -1) + 1
            groups[kind].append((seen[family], position, source))
        groups[kind].sort(key=lambda item: item[:2])
    queues = [[item[2] for item in group] for group in groups.values()]
    for rank in range(max(map(len, queues), default=0)):
        yield from (queue[rank] for queue in queues if rank < len(queue))


def _strided(members: list[TaskSource], stride: int) -> list[TaskSource]:
    """Visit all members in steps of about the golden ratio of their number, so that every beginning is spread."""
    order: list[TaskSource] = []
    left = list(members)
    position = 0
    while left:
        position = (position + stride) % len(left)
        order.append(left.pop(position))
    return order
