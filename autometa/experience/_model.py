"""The bundled meta-model with what the user has learned."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from autometa.errors import StorageError
from autometa.experience._store import newest, read
from autometa.metabase import read_manifest
from autometa.metamodel import MetaModel
from autometa.metamodel.extension import Addition
from autometa.task import DataIssue


def load_experienced_metamodel() -> MetaModel:
    """Return the bundled meta-model, extended by the user's own metadata base where there is one.

    What cannot be used of it is said in ``notices`` of the model. Read once per process, and again when the base has
    changed.
    """
    folder = newest()
    if folder is None:
        return load_bundled_metamodel()
    # A folder that was forgotten may be followed by another of its name.
    return _extended(folder, folder.stat().st_mtime_ns)


@lru_cache(maxsize=1)
def load_bundled_metamodel() -> MetaModel:
    """Return the bundled meta-model alone, read once per process."""
    return MetaModel.load()


@lru_cache(maxsize=1)
def _extended(folder: Path, modified: int) -> MetaModel:
    model = load_bundled_metamodel()
    try:
        base = read(folder)
    except StorageError as error:
        return MetaModel(
            model.parts, model.report, notices=(DataIssue("AM409", (), error.message, error.fix),)
        )
    importance = read_manifest(folder)["summary"].get("importance", {})
    parts = {
        target: Addition.of(part, base).extend(importance[target]) if importance.get(target) else part
        for target, part in model.parts.items()
    }
    return MetaModel(parts, model.report)
