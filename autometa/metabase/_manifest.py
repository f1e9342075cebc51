"""The files of a metadata base: where they are, and the manifest with the hash of each."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from autometa.errors import StorageError
from autometa.files import write_file
from autometa.metafeatures import METAFEATURES_VERSION
from autometa.space import SPACE_VERSION, SearchSpace

SCHEMA: Final = 1


def metabase_directory(path: str | Path | None = None) -> Path:
    """Return the directory of a metadata base; the bundled one by default.

    Raises
    ------
    StorageError
        AM605 when it holds no metadata base.
    """
    if path is None:
        try:
            directory = Path(str(files("autometa.metadata")))
        except ModuleNotFoundError:
            # A checkout that was not installed: the launcher at its root.
            directory = Path(__file__).resolve().parents[2] / "metadata"
    else:
        directory = Path(path)
    if not (directory / "manifest.json").is_file():
        raise StorageError(
            "AM605",
            f"{directory} holds no metadata base (no manifest.json).",
            "Name a directory written by autometa train.",
        )
    return directory


def read_manifest(directory: Path) -> dict[str, Any]:
    """Read the manifest of a metadata base."""
    try:
        manifest: dict[str, Any] = json.loads((directory / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StorageError("AM605", f"the manifest of {directory} cannot be read: {error}.") from error
    if "schema" not in manifest:
        raise StorageError("AM605", f"the manifest of {directory} names no schema.")
    return manifest


def write_manifest(directory: Path, summary: Mapping[str, Any]) -> None:
    """Write the manifest: schema, versions, and the sha256 of every data file under the directory."""
    manifest = {
        "schema": SCHEMA,
        "space_version": SPACE_VERSION,
        "space": {
            target: SearchSpace.for_kind(target).signature() for target in ("classification", "regression")
        },
        "metafeatures_version": METAFEATURES_VERSION,
        "libraries": {
            name: importlib.metadata.version(name) for name in ("scikit-learn", "lightgbm", "optuna")
        },
        "summary": dict(summary),
        "sha256": {str(p.relative_to(directory).as_posix()): _sha256(p) for p in _data_files(directory)},
    }
    write_file(directory / "manifest.json", json.dumps(manifest, indent=1) + "\n")


def verify_files(directory: Path) -> list[str]:
    """Return the data files whose content differs from the manifest, a line each."""
    expected = read_manifest(directory).get("sha256", {})
    problems = []
    for name, digest in expected.items():
        path = directory / name
        if not path.is_file():
            problems.append(f"{name} is missing")
        elif _sha256(path) != digest:
            problems.append(f"{name} differs from the manifest")
    return problems


def _data_files(directory: Path) -> list[Path]:
    suffixes = {".parquet", ".json", ".npz", ".gz"}
    found = (p for p in directory.rglob("*") if p.suffix in suffixes and p.name != "manifest.json")
    return sorted(found)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
