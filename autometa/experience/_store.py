"""Where the user's own metadata base is kept, and the meta-model with it.

Numbered folders, of which the newest that is complete counts.

A folder is written under another name and renamed when it is whole, so a reader never sees half of one and a writer
that is killed leaves the one before. Writers wait for each other by a lock that the system releases when they end.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from autometa.errors import AutometaError, DataIssue, StorageError
from autometa.experience._extension import Addition
from autometa.files import one_process
from autometa.metabase import MetaBase, read_manifest, verify_files, write_manifest
from autometa.metafeatures import METAFEATURES_VERSION
from autometa.metamodel import MetaModel
from autometa.space import VALID_SPACES

HOME_VARIABLE: Final = "AUTOMETA_HOME"
_PREFIX: Final = "metabase-"
# The newest, and the one before, which another process may be reading.
_KEPT: Final = 2
_CURE: Final = "Remove it with autometa learn --forget, then learn again."


def home() -> Path:
    """Return the folder of the user's own experience.

    That of the environment variable ``AUTOMETA_HOME``, or ``autometa`` in the platform's data directory.
    """
    import platformdirs

    return Path(os.environ.get(HOME_VARIABLE) or platformdirs.user_data_dir("autometa", appauthor=False))


def newest() -> Path | None:
    """Return the folder of the user's own metadata base; None where nothing was learned."""
    return max(home().glob(f"{_PREFIX}[0-9]*"), default=None)


def read(folder: Path) -> MetaBase:
    """Read and check a metadata base of the user.

    Raises
    ------
    StorageError
        AM611 when it is damaged, or was made with another version of the meta-features or of the search space.
    """
    try:
        manifest = read_manifest(folder)
        problems = verify_files(folder)
        for name, versions in (
            ("metafeatures_version", (METAFEATURES_VERSION,)),
            ("space_version", VALID_SPACES),
        ):
            if manifest.get(name) not in versions:
                problems.append(f"{name} is {manifest.get(name)}, that of this autometa {versions[-1]}")
        base = None if problems else MetaBase.load(folder)
    except (AutometaError, OSError, ValueError, KeyError) as error:
        problems, base = [str(error)], None
    if base is None:
        raise StorageError(
            "AM611", f"your own metadata base in {folder} cannot be used: {problems[0]}.", _CURE
        )
    return base


def locked() -> AbstractContextManager[None]:
    """Keep other processes from writing."""
    return one_process(home() / "lock", f"Name another folder in the environment variable {HOME_VARIABLE}.")


def write(base: MetaBase, notes: Mapping[str, Any]) -> Path:
    """Store a metadata base as the newest; call it inside :func:`locked`.

    Parameters
    ----------
    base : MetaBase
    notes : mapping
        Plain JSON types, kept in the summary of the manifest.
    """
    before = newest()
    number = int(before.name.removeprefix(_PREFIX)) + 1 if before else 1
    partial = home() / f"partial-{_PREFIX}{number:06d}"
    shutil.rmtree(partial, ignore_errors=True)
    base.save(partial)
    write_manifest(partial, {**base.summary(), **notes})
    final = partial.rename(home() / f"{_PREFIX}{number:06d}")
    # A reader may just have found the one before.
    for old in sorted(home().glob(f"{_PREFIX}[0-9]*"))[:-_KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return final


def forget() -> int:
    """Remove everything that was learned, and say how many folders that were."""
    if not home().is_dir():
        return 0
    with locked():
        folders = [*home().glob(f"{_PREFIX}*"), *home().glob(f"partial-{_PREFIX}*")]
        for folder in folders:
            shutil.rmtree(folder)
    return len(folders)


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
