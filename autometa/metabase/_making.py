"""Where the three tables come from: the runs of studies, and another base, whose tasks keep apart from one's own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from autometa.errors import StorageError
from autometa.metabase._files import TUNED, configuration_row, task_row
from autometa.space import SearchSpace, target_of
from autometa.storage import open_storage


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
        tasks.append(task_row(record))
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
