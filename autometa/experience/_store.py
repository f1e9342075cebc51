"""Finished studies as tasks, configurations and runs; where the base of the user's own is kept, and its meta-model.

The base is kept in numbered folders, of which the newest that is complete counts.

A folder is written under another name and renamed when it is whole, so a reader never sees half of one and a writer
that is killed leaves the one before. Writers wait for each other by a lock that the system releases when they end.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import optuna
import pandas as pd
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from autometa.errors import AutometaError, DataIssue, StorageError, UsageError
from autometa.experience._extension import Addition
from autometa.metabase import (
    RUN_COLUMNS,
    MetaBase,
    describe_for_study,
    read_manifest,
    task_row,
    verify_files,
    write_manifest,
)
from autometa.metafeatures import METAFEATURES_VERSION
from autometa.metamodel import MetaModel
from autometa.space import VALID_SPACES, Algorithm, Configuration, SearchSpace, built_in_algorithms
from autometa.storage import one_process
from autometa.task import Task

HOME_VARIABLE: Final = "AUTOMETA_HOME"
_PREFIX: Final = "metabase-"
# The newest, and the one before, which another process may be reading.
_KEPT: Final = 2
_CURE: Final = "Remove it with autometa learn --forget, then learn again."
JOINT: Final = "*"
# What tune notes on its studies; with the folds alike, scores of one table compare.
_SEARCH: Final = "autometa:search"
_INTERRUPTED: Final = "interrupted"


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


class _Unusable(Exception):
    """Why nothing can be learned from a study."""


@dataclass
class Reading:
    """What a storage holds for us.

    Attributes
    ----------
    tasks, runs : list of dict
        Rows of the tables of a metadata base; the runs spell their configurations out.
    studies : dict of str to str
        The task of each study that was taken.
    skipped : dict of str to str
        Why the other studies were left out.
    trials : Counter of str
        Why trials of the studies that were taken were left out.
    """

    tasks: list[dict[str, Any]] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)
    studies: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    trials: Counter[str] = field(default_factory=Counter)

    def to_metabase(self) -> MetaBase:
        """Return the tables as a metadata base."""
        return MetaBase.from_frames(pd.DataFrame(self.tasks), pd.DataFrame(self.runs))


def read_studies(
    storage: optuna.storages.BaseStorage,
    about: Task | None = None,
    *,
    study_name: str | None = None,
    algorithm: str | None = None,
) -> Reading:
    """Read the studies of a storage.

    Parameters
    ----------
    storage : optuna storage
    about : Task, optional
        The table of a study that does not describe its own.
    study_name : str, optional
        Read this study only.
    algorithm : str, optional
        What studies over the parameters of one algorithm tune, where their names fit several.

    Raises
    ------
    UsageError
        AM525 when there is no study of that name.
    """
    names = optuna.get_all_study_names(storage)
    if study_name is not None and study_name not in names:
        known = ", ".join(repr(name) for name in names[:5]) or "none"
        raise UsageError("AM525", f"the storage has no study {study_name!r}.", f"It has: {known}.")
    studies = [
        optuna.load_study(study_name=name, storage=storage) for name in names if study_name in (None, name)
    ]
    silent = [s.study_name for s in studies if "task" not in s.user_attrs and _spaces_of(s, about)]
    reading = Reading()
    for study in studies:
        name = study.study_name
        try:
            if about is not None and name in silent and len(silent) > 1:
                raise _Unusable("several studies could be about the table: name one of them")
            record, rows = _read(study, about, algorithm, reading.trials)
        except _Unusable as reason:
            reading.skipped[name] = str(reason)
            continue
        reading.studies[name] = record["task_id"]
        reading.tasks.append(task_row(record))
        reading.runs += rows
    return reading


def _read(
    study: optuna.Study, about: Task | None, algorithm: str | None, left_out: Counter[str]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the description of a study's task and its runs."""
    if len(study.directions) != 1:
        raise _Unusable("it has several objectives")
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.FAIL))
    if not any(trial.state == TrialState.COMPLETE for trial in trials):
        raise _Unusable("it has no finished trial")
    if "task" in study.user_attrs:
        record = _description(study, about)
        found = list(_described_runs(trials, record["kind"], left_out))
    else:
        record, found = _undescribed(study, trials, about, algorithm, left_out)
    if not found:
        raise _Unusable("none of its trials can be used")
    identity = study.user_attrs.get(_SEARCH, {}).get("set of folds", "")
    key = f"{record['fingerprint']}|{identity if 'task' in study.user_attrs else study.study_name}"
    record = {
        **record,
        "task_id": f"{record['name']}-{hashlib.sha256(key.encode()).hexdigest()[:8]}",
        "family": record["fingerprint"],
    }
    return record, [{**run, "task_id": record["task_id"]} for run in found]


def _description(study: optuna.Study, about: Task | None) -> dict[str, Any]:
    record: dict[str, Any] = dict(study.user_attrs["task"])
    if record.get("metafeatures_version") == METAFEATURES_VERSION:
        return record
    if about is not None and about.fingerprint() == record["fingerprint"]:
        return describe_for_study(about, name=study.study_name)
    raise _Unusable("its table is described by other meta-features: give the table")


def _described_runs(trials: list[FrozenTrial], kind: str, left_out: Counter[str]) -> Iterator[dict[str, Any]]:
    """Yield what ``tune`` and ``collect`` stored with their trials."""
    space = SearchSpace(built_in_algorithms(kind))
    for trial in trials:
        run = trial.user_attrs.get("run", {})
        if "duplicate_of" in run:
            continue
        if run.get("status") not in ("ok", "failed", "memory") or run["reason"] == _INTERRUPTED:
            left_out["not finished"] += 1
            continue
        if trial.params.get("algorithm") not in space:
            left_out["of algorithms that are not autometa's"] += 1
            continue
        configuration = space.configuration(trial.params)
        yield {
            **{name: value for name, value in run.items() if name in RUN_COLUMNS},
            "fidelity": trial.user_attrs["fidelity"],
            **_spelled(configuration),
        }


def _undescribed(
    study: optuna.Study,
    trials: list[FrozenTrial],
    about: Task | None,
    algorithm: str | None,
    left_out: Counter[str],
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Read a study that someone made for the given table over autometa's space."""
    spaces = _spaces_of(study, about)
    if not spaces:
        raise _Unusable(
            "its parameters are not autometa's: MetaSampler(past_studies=...) learns from such studies"
        )
    if about is None:
        raise _Unusable("it does not say which table it is about: give the table and its target")
    if algorithm is not None and algorithm in spaces:
        spaces = [algorithm]
    if len(spaces) > 1:
        raise _Unusable(f"its parameters are those of {' and of '.join(spaces)}: name the algorithm")
    sign = _sign_of_values(study, about)
    space = SearchSpace(built_in_algorithms(about.kind))
    runs = []
    for trial in trials:
        if trial.state != TrialState.COMPLETE or not np.isfinite(trial.value or np.nan):
            left_out["not finished"] += 1
            continue
        configuration = _configuration(trial.params, spaces[0], space)
        if space.problems(configuration):
            left_out["outside the ranges of autometa's space"] += 1
            continue
        scores = {about.metric.name: sign * float(trial.value or 0.0)}
        runs.append({"status": "ok", "reason": "", "fidelity": 0, **scores, **_spelled(configuration)})
    return describe_for_study(about, name=study.study_name), runs


def _sign_of_values(study: optuna.Study, about: Task) -> int:
    """Return what turns the study's values into scores in natural units."""
    metric = about.metric
    if metric.is_proxied:
        raise _Unusable(f"{metric.name} is not among the metrics that are kept")
    maximises = study.direction == StudyDirection.MAXIMIZE
    if maximises == metric.greater_is_better:
        return 1
    if maximises and all(t.value <= 0 for t in study.get_trials(deepcopy=False) if t.value is not None):
        return -1  # scikit-learn's losses with a minus
    direction = "maximises" if maximises else "minimises"
    raise _Unusable(f"it {direction} its values, which therefore are not {metric.name}: name its metric")


def _spaces_of(study: optuna.Study, about: Task | None) -> list[str]:
    """Return the spaces of autometa whose names all trials keep to: the joint one, or those of single algorithms."""
    names = {name for trial in study.get_trials(deepcopy=False) for name in trial.params}
    found: dict[str, None] = {}
    for kind in ("classification", "regression") if about is None else (about.kind,):
        space = SearchSpace(built_in_algorithms(kind))
        if names and names <= set(space.distributions()):
            found[JOINT] = None
        found |= {a.name: None for a in space if names and names <= set(a.distributions)}
    return list(found)


def _configuration(params: Mapping[str, Any], name: str, space: SearchSpace) -> Configuration:
    """Return the configuration of a trial; what was not searched is at the library's default."""
    if name == JOINT:
        return space.configuration(params)
    algorithm: Algorithm = space[name]
    values = {**algorithm.default, **params}
    return Configuration(name, {k: v for k, v in values.items() if algorithm.is_active(k, values)})


def _spelled(configuration: Configuration) -> dict[str, Any]:
    return {"algorithm": configuration.algorithm, "params": dict(configuration.params)}
