"""The files of a metadata base: its tables, where their rows come from, and the manifest with hashes of files."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import pandas as pd

from autometa.errors import StorageError
from autometa.metafeatures import METAFEATURES_VERSION, describe_task
from autometa.metrics import CLASSIFICATION_METRICS, REGRESSION_METRICS, baseline_scores
from autometa.space import CHOSEN, SPACE_VERSION, Configuration, SearchSpace, target_of
from autometa.storage import open_storage, write_file
from autometa.task import Task

TASK_COLUMNS: Final = (
    "task_id",
    "name",
    "kind",
    "openml_id",
    "family",
    "source",
    "n_rows",
    "n_features",
    "n_classes",
    "fingerprint",
)
CONFIGURATION_COLUMNS: Final = ("configuration_id", "target", "algorithm", "params", "origin")
METRICS: Final = (*CLASSIFICATION_METRICS, *REGRESSION_METRICS)
RUN_COLUMNS: Final = (
    "task_id",
    "configuration_id",
    "fidelity",
    "n_train",
    "n_folds",
    "status",
    "reason",
    "fit_seconds",
    "predict_seconds",
    "rounds",
    *METRICS,
    *(f"{name}_std" for name in METRICS),
)
METAFEATURE_PREFIX: Final = "mf_"
# Meta-features of a sample with few rows.
FEW_PREFIX: Final = "few_"
BASELINE_PREFIX: Final = "baseline_"
DENSE_ORIGINS: Final = ("default", "space-filling", CHOSEN)
TUNED: Final = "tuned"
# Binary digits kept of the fractions of stored numbers: five decimal digits of a score, three of what only estimates.
SCORE_BITS: Final = 17
ESTIMATE_BITS: Final = 9


def describe_for_study(
    task: Task, *, name: str = "", metafeatures: pd.Series | None = None
) -> dict[str, Any]:
    """Return what a study should say about its task, as plain JSON types, so that its trials become experience.

    Parameters
    ----------
    task : Task
    name : str, default=""
        Stands in for the name of a task that has none.
    metafeatures : Series, optional
        Those of the task, where they are known already.
    """
    values = describe_task(task) if metafeatures is None else metafeatures
    name = task.name or name
    return {
        "task_id": name,
        "name": name,
        "kind": task.kind,
        "openml_id": task.properties.get("openml_id"),
        "family": task.properties.get("family") or name,
        "source": task.properties.get("source", ""),
        "n_rows": task.n_rows,
        "n_features": task.X.shape[1],
        "n_classes": len(task.classes) or None,
        "fingerprint": task.fingerprint(),
        "baseline": baseline_scores(task.kind, task.y),
        "metafeatures_version": METAFEATURES_VERSION,
        "metafeatures": {k: (float(v) if np.isfinite(v) else None) for k, v in values.items()},
    }


def split_configurations(tasks: pd.DataFrame, runs: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Take the configurations out of runs that spell them out."""
    missing = [column for column in ("task_id", "algorithm", "params") if column not in runs]
    if missing:
        raise StorageError(
            "AM603", f"the table of runs lacks the column(s) {', '.join(missing)}.", "Or pass configurations."
        )
    kinds = dict(zip(tasks["task_id"], tasks["kind"], strict=True))
    ids, rows = [], []
    for task_id, algorithm, params in runs[["task_id", "algorithm", "params"]].itertuples(index=False):
        values = json.loads(params) if isinstance(params, str) else params
        configuration = Configuration(algorithm, values)
        ids.append(configuration.id)
        rows.append(configuration_row(configuration, target_of(kinds.get(task_id, ""))))
    return runs.assign(configuration_id=ids), pd.DataFrame(rows)


def few_attribute(rows: int) -> str:
    """Return where a study keeps the meta-features of its task with so few training rows."""
    return f"with {rows} rows"


def _few_rows(attribute: str) -> int | None:
    """Return the rows that a study's attribute is about; None for another attribute."""
    found = re.fullmatch(r"with (\d+) rows", attribute)
    return int(found[1]) if found else None


def task_row(
    record: Mapping[str, Any], few: Mapping[int, Mapping[str, Any]] = MappingProxyType({})
) -> dict[str, Any]:
    """Turn what :func:`describe_for_study` returns into a row of the table of tasks, and meta-features by few rows."""
    row = {name: record.get(name) for name in TASK_COLUMNS}
    row |= {f"{BASELINE_PREFIX}{name}": value for name, value in record.get("baseline", {}).items()}
    row |= {f"{METAFEATURE_PREFIX}{name}": value for name, value in record.get("metafeatures", {}).items()}
    for rows, values in few.items():
        row |= {f"{FEW_PREFIX}{rows}_{name}": value for name, value in values.items()}
    return row


def configuration_row(configuration: Configuration, target: str) -> dict[str, Any]:
    """Turn a configuration into a row of the table of configurations."""
    return {
        "configuration_id": configuration.id,
        "target": target,
        "algorithm": configuration.algorithm,
        "params": json.dumps(dict(configuration.params)),
        "origin": configuration.origin,
    }


def complete(
    table: pd.DataFrame, columns: Sequence[str], essential: Sequence[str], name: str
) -> pd.DataFrame:
    """Add the columns that a table lacks, and drop what it should not have; refuse it without the essential ones."""
    missing = [column for column in essential if column not in table]
    if missing:
        raise StorageError("AM603", f"the table of {name} lacks the column(s) {', '.join(missing)}.")
    extra = [column for column in table.columns if column not in columns]
    if name != "tasks":
        extra = []
    return table.reindex(columns=[*columns, *extra]).reset_index(drop=True)


def typed(table: pd.DataFrame) -> pd.DataFrame:
    """Numbers as float32 without digits that are noise, or as integers; the rest as strings."""
    bits = {
        **dict.fromkeys(METRICS, SCORE_BITS),
        **dict.fromkeys(
            (*(f"{m}_std" for m in METRICS), "fit_seconds", "predict_seconds", "rounds"), ESTIMATE_BITS
        ),
    }
    integers = {"fidelity": "int32", "n_train": "int32", "n_folds": "int8"}
    result = {}
    for name in table.columns:
        column = table[name]
        if name in bits:
            result[name] = _rounded(column, bits[name])
        elif name.startswith((METAFEATURE_PREFIX, FEW_PREFIX, BASELINE_PREFIX)):
            result[name] = pd.to_numeric(column).astype("float32")
        elif name in integers:
            result[name] = pd.to_numeric(column).fillna(0).astype(integers[name])
        elif name in ("n_rows", "n_features", "n_classes", "openml_id"):
            result[name] = pd.to_numeric(column).astype("Int64")
        else:
            result[name] = column.astype("str")
    return pd.DataFrame(result, index=table.index).reset_index(drop=True)


def _rounded(column: pd.Series, bits: int) -> pd.Series:
    """Round numbers to so many binary digits after the first, as float32; a rounded number stays as it is."""
    values = pd.to_numeric(column).to_numpy(dtype="float64", na_value=np.nan)
    fraction, exponent = np.frexp(values)
    rounded = np.ldexp(np.round(np.ldexp(fraction, bits + 1)), exponent - bits - 1)
    return pd.Series(rounded.astype("float32"), index=column.index)


def by_density(origins: pd.Series) -> pd.Series:
    """Sort the origins of the dense part before the others."""
    return origins.map({origin: place for place, origin in enumerate(DENSE_ORIGINS)}).fillna(
        len(DENSE_ORIGINS)
    )


def write_parquet(table: pd.DataFrame, path: Path) -> None:
    """Write a small file: numbers byte by byte, texts by dictionary."""
    numbers = [name for name in table if table[name].dtype == "float32"]
    content = table.to_parquet(
        None,
        index=False,
        compression="zstd",
        compression_level=19,
        use_dictionary=[name for name in table if name not in numbers],
        use_byte_stream_split=numbers,
    )
    write_file(path, content)


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


def count_rows(tasks: pd.DataFrame, configurations: pd.DataFrame, runs: pd.DataFrame) -> dict[str, Any]:
    """Return what a manifest says about the three tables: counts, as plain JSON types."""

    def counts(values: pd.Series) -> dict[str, int]:
        return {str(name): int(count) for name, count in values.value_counts().items()}

    return {
        "tasks": {"total": len(tasks), **counts(tasks["kind"])},
        "families": int(tasks["family"].nunique()),
        "configurations": {"total": len(configurations), **counts(configurations["algorithm"])},
        "origins": counts(configurations["origin"]),
        "runs": {"total": len(runs), **counts(runs["status"])},
        "fidelities": counts(runs["fidelity"]),
        "metafeatures": sum(name.startswith(METAFEATURE_PREFIX) for name in tasks.columns),
        "metrics": list(METRICS),
    }


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


def tables_of_studies(storage: Any) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return tasks, runs and configurations of every study in a storage that describes its task.

    Raises
    ------
    StorageError
        AM604 when there is no such file, or no run that describes its task.
    """
    import optuna

    if isinstance(storage, str) and storage.endswith(".journal") and not Path(storage).is_file():
        raise StorageError("AM604", f"there is no file {storage!r}.", "Check the name.")
    opened = open_storage(storage)
    tasks: list[dict[str, Any]] = []
    configurations: dict[tuple[str, str], dict[str, Any]] = {}
    runs: list[dict[str, Any]] = []
    for name in optuna.get_all_study_names(opened):
        study = optuna.load_study(study_name=name, storage=opened)
        record = dict(study.user_attrs.get("task", {}))
        if not record:
            continue
        few = {
            rows: study.user_attrs[name]["metafeatures"]
            for name in study.user_attrs
            if (rows := _few_rows(name)) is not None
        }
        tasks.append(task_row(record, few))
        target = target_of(record["kind"])
        space = SearchSpace.for_kind(record["kind"])
        defaults = {algorithm.default_configuration() for algorithm in space}
        for trial in study.get_trials(deepcopy=False):
            if "run" not in trial.user_attrs:
                continue
            configuration = space.configuration(trial.params, trial.user_attrs.get("origin", TUNED))
            if configuration in defaults:
                configuration = replace(configuration, origin="default")
            configurations[configuration.id, target] = configuration_row(configuration, target)
            runs.append(
                {
                    "task_id": record["task_id"],
                    "configuration_id": configuration.id,
                    "fidelity": trial.user_attrs["fidelity"],
                    **trial.user_attrs["run"],
                }
            )
    if not runs:
        raise StorageError(
            "AM604",
            "the storage holds no runs that describe their task.",
            "Fill it with autometa collect.",
        )
    return pd.DataFrame(tasks), pd.DataFrame(runs), pd.DataFrame(list(configurations.values()))


def named_beside(tasks: pd.DataFrame, others: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, str]]:
    """Name tasks so that they can stand beside others; see :meth:`MetaBase.beside`.

    Returns
    -------
    tuple of DataFrame and dict
        The tasks, and the new name of each that has one.
    """
    known = others[others["fingerprint"].notna()]
    families = dict(zip(known["fingerprint"], known["family"], strict=True))
    prints = dict(zip(known["task_id"], known["fingerprint"], strict=True))
    names = {
        task_id: f"{task_id}-{digest[:8]}"
        for task_id, digest in zip(tasks["task_id"], tasks["fingerprint"], strict=True)
        if isinstance(digest, str) and prints.get(task_id, digest) != digest
    }
    own = [names.get(f, f) if f == i else f for i, f in zip(tasks["task_id"], tasks["family"], strict=True)]
    named = tasks.assign(
        family=[families.get(d, f) for d, f in zip(tasks["fingerprint"], own, strict=True)],
        task_id=[names.get(i, i) for i in tasks["task_id"]],
    )
    return named, names
