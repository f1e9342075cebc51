"""The bundled meta-model with what the user has learned."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from autometa.errors import StorageError
from autometa.experience._extension import Addition
from autometa.experience._store import newest, read
from autometa.metabase import MetaBase, read_manifest
from autometa.metamodel import MetaModel
from autometa.task import DataIssue


def load_metamodel(source: MetaModel | MetaBase | str | Path | None = None) -> MetaModel:
    """Return a meta-model; what is read from files is read once per process.

    Parameters
    ----------
    source : MetaModel, MetaBase, path or None, default=None
        A meta-model; a metadata base, on which one is trained; or the folder of one. By default the bundled one with
        the user's own experience; ``"bundled"`` for the first alone.
    """
    if source is None:
        return load_experienced_metamodel()
    if isinstance(source, MetaModel):
        return source
    if isinstance(source, MetaBase):
        return MetaModel.fit(source)
    return load_bundled_metamodel() if source == "bundled" else _read_metamodel(str(source))


@lru_cache(maxsize=4)
def _read_metamodel(path: str) -> MetaModel:
    return MetaModel.load(path)


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
