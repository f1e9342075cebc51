"""The meta-model: what the runs on known tasks say about configurations on a new one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autometa.errors import DataIssue, StorageError, UsageError
from autometa.metabase import MetaBase, metabase_directory, read_manifest, write_manifest
from autometa.metamodel.forest import ProximityForest
from autometa.metamodel.known import KnownTasks, TunedRuns
from autometa.metamodel.neighbourhood import Neighbourhood, PastRuns, Prediction, greedy_portfolio
from autometa.metamodel.selector import AlgorithmSelector
from autometa.metamodel.similarity import Similarity
from autometa.metamodel.sizes import (
    Larger,
    PowerLaw,
    Smaller,
    as_description,
    from_description,
    under,
    unpacked,
)
from autometa.space import Configuration, target_of

__all__ = ["AlgorithmSelector", "MetaModel", "Neighbourhood", "PastRuns", "Prediction", "greedy_portfolio"]

MODEL_SCHEMA: Final = 4
# The last schema without larger training sets, which is read as well.
OLDEST_SCHEMA: Final = 3


class MetaModel:
    """What the runs on known tasks say about configurations on a new one.

    Parameters
    ----------
    parts : mapping of {"classification", "regression"} to KnownTasks
    report : mapping, optional
        Figures of the leave-one-family-out report.
    notices : sequence of DataIssue, default=()
        What users should know about where the model comes from.
    """

    def __init__(
        self,
        parts: Mapping[str, KnownTasks],
        report: Mapping[str, Any] | None = None,
        *,
        notices: Sequence[DataIssue] = (),
    ) -> None:
        self.parts = dict(parts)
        self.report = dict(report or {})
        self.notices = tuple(notices)

    @classmethod
    def fit(cls, metabase: MetaBase, *, random_state: int = 0) -> Self:
        """Train on a metadata base; see :func:`autometa.training.train` for the report.

        Parameters
        ----------
        metabase : MetaBase
            Tasks, configurations and runs to learn from.
        random_state : int, default=0
            Seed of the forests; the same seed gives the same model.

        Returns
        -------
        MetaModel
            Trained, with a part for each target that has at least two tasks.

        Raises
        ------
        StorageError
            AM607 when no target has at least two tasks.
        """
        targets = [t for t in ("classification", "regression") if len(metabase.task_ids(t)) >= 2]
        if not targets:
            raise StorageError(
                "AM607", "the metadata base holds no two tasks of one target with runs.", "Collect more."
            )
        return cls({target: KnownTasks.fit(metabase, target, random_state) for target in targets})

    def part(self, kind: str) -> KnownTasks:
        """Return what is known about tasks of a kind.

        Parameters
        ----------
        kind : {"classification", "regression", "binary", "multiclass"}
            Binary and multiclass tasks are known together.

        Raises
        ------
        UsageError
            AM507 when the model was trained without tasks of this kind.
        """
        target = target_of(kind)
        if target not in self.parts:
            raise UsageError(
                "AM507",
                f"the meta-model knows no {target} tasks.",
                "Train it on a metadata base that has some.",
            )
        return self.parts[target]

    def about(
        self,
        metafeatures: pd.Series,
        kind: str,
        *,
        exclude: Collection[str] = (),
        n_train: float | None = None,
    ) -> Neighbourhood:
        """Return what the known tasks say about a new one, their weights worked out once.

        Parameters
        ----------
        metafeatures : Series
            As :func:`autometa.extract_metafeatures` returns it.
        kind : {"binary", "multiclass", "regression"}
            Of the task.
        exclude : collection of str, default=()
            Families whose runs must not count.
        n_train : float, optional
            Training rows of the new task: runs with about as many speak; see :meth:`KnownTasks.at`. By default those of
            the tables that all tasks have.

        Raises
        ------
        UsageError
            AM507 when the model was trained without tasks of this kind.
        """
        part = self.part(kind)
        if n_train is not None:
            part = part.at(n_train)
        return Neighbourhood(part, part.row(metafeatures), exclude)

    def predict(
        self,
        metafeatures: pd.Series,
        kind: str,
        metric: str,
        *,
        exclude: Collection[str] = (),
        sizes: Sequence[float] | None = None,
    ) -> Prediction:
        """Predict the stored configurations on one task.

        Parameters
        ----------
        metafeatures : Series
            Of the task, see :meth:`about`.
        kind : {"binary", "multiclass", "regression"}
            Of the task.
        metric : str
            A stored metric.
        exclude : collection of str, default=()
            Families whose runs must not count.
        sizes : sequence of three numbers, optional
            Training rows, columns and classes of the task, on which the seconds depend. Those of the median task by
            default.

        Returns
        -------
        Prediction
            Expected regret, level with its interval, and seconds of each configuration.
        """
        return self.about(metafeatures, kind, exclude=exclude).predict(metric, sizes)

    def rank(
        self, metafeatures: pd.Series, kind: str, metric: str, *, k: int = 10, exclude: Collection[str] = ()
    ) -> list[Configuration]:
        """Return the `k` stored configurations to try first, chosen as a set.

        Parameters
        ----------
        metafeatures : Series
            Of the task, see :meth:`about`.
        kind : {"binary", "multiclass", "regression"}
            Of the task.
        metric : str
            A stored metric.
        k : int, default=10
            How many.
        exclude : collection of str, default=()
            Families whose runs must not count.
        """
        prediction = self.predict(metafeatures, kind, metric, exclude=exclude)
        known = self.part(kind).configurations
        return [known[prediction.configuration_ids[i]] for i in prediction.portfolio(k)]

    def seen_families(self, fingerprint: str, kind: str) -> list[str]:
        """Return the families of the known tasks with this fingerprint.

        Parameters
        ----------
        fingerprint : str
            As :meth:`autometa.Task.fingerprint` returns it.
        kind : {"classification", "regression", "binary", "multiclass"}
            Of the task.
        """
        if target_of(kind) not in self.parts:
            return []
        tasks = self.part(kind).tasks
        return sorted(set(tasks.loc[tasks["fingerprint"] == fingerprint, "family"]))

    # -- storing ------------------------------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Write the model into ``<path>/metamodel`` as JSON and npz, and update the manifest.

        Parameters
        ----------
        path : str or Path
            Directory of a metadata base.
        """
        final, directory = Path(path) / "metamodel", Path(path) / "metamodel.partial"
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        for part in self.parts.values():
            _write_part(part, directory)
        text = json.dumps(
            {"schema": MODEL_SCHEMA, "targets": list(self.parts), "report": self.report}, indent=1
        )
        (directory / "model.json").write_text(text + "\n", encoding="utf-8")
        shutil.rmtree(final, ignore_errors=True)
        directory.rename(final)
        if (Path(path) / "tasks.parquet").is_file():
            write_manifest(Path(path), read_manifest(Path(path))["summary"])

    @classmethod
    def load(cls, path: str | Path | None = None) -> Self:
        """Read a model from the ``metamodel`` folder of a metadata base; the bundled one by default.

        Parameters
        ----------
        path : str, Path or None, default=None
            Directory of the base; None for the bundled one.

        Returns
        -------
        MetaModel
            As it was trained.

        Raises
        ------
        StorageError
            AM605 when there is none, AM608 when it cannot be read.
        """
        directory = metabase_directory(path) / "metamodel"
        if not (directory / "model.json").is_file():
            raise StorageError("AM605", f"{directory} holds no meta-model.", "Make one with autometa train.")
        try:
            description = json.loads((directory / "model.json").read_text(encoding="utf-8"))
            if description["schema"] > MODEL_SCHEMA:
                raise StorageError(
                    "AM606", f"{directory} was written by a newer autometa.", "Update autometa."
                )
            if description["schema"] < OLDEST_SCHEMA:
                raise StorageError(
                    "AM608",
                    f"{directory} was written by an older autometa.",
                    "Train it again: autometa train.",
                )
            parts = {target: _read_part(directory, target) for target in description["targets"]}
        except (OSError, ValueError, KeyError) as error:
            if isinstance(error, StorageError):
                raise
            raise StorageError(
                "AM608", f"the meta-model in {directory} cannot be read: {error}.", "Train it again."
            ) from error
        return cls(parts, description.get("report"))


def _write_part(part: KnownTasks, directory: Path) -> None:
    """Write what is known about one target into a folder, in files that begin with its name."""
    target = part.target
    np.savez_compressed(directory / f"{target}.npz", **_arrays(part))
    _tuned_file(directory, target).write_bytes(part.tuned.packed)
    part.tasks.to_json(directory / f"{target}.tasks.json", orient="records", indent=0)
    text = json.dumps(_description(part), indent=1)
    (directory / f"{target}.json").write_text(text + "\n", encoding="utf-8")


def _arrays(part: KnownTasks) -> dict[str, Any]:
    arrays: dict[str, NDArray[Any]] = {
        "metafeatures": part.metafeatures.astype(np.float32),
        "sizes": part.sizes,
        "tuned": part.tuned.tasks.astype(np.int32),
    }
    for metric in part.regrets:
        arrays[f"regrets/{metric}"] = part.regrets[metric].astype(np.float32)
        arrays[f"levels/{metric}"] = part.levels[metric].astype(np.float32)
        arrays[f"tuned/{metric}"] = part.tuned.levels[metric].astype(np.float32)
    for name in ("similarity", "levelling", "seconds"):
        arrays |= {f"{name}/{key}": value for key, value in getattr(part, name).to_arrays().items()}
    for number, larger in enumerate(part.larger):
        arrays |= {f"larger/{number}/{k}": v for k, v in larger.to_arrays().items()}
    if part.smaller is not None:
        arrays |= {f"smaller/{k}": v for k, v in part.smaller.to_arrays().items()}
    return arrays


def _description(part: KnownTasks) -> dict[str, Any]:
    return {
        "target": part.target,
        "metafeatures": part.metafeature_names,
        "configurations": as_description(part.configurations),
        "metrics": list(part.regrets),
        "widths": part.widths,
        "larger": [larger.to_description() for larger in part.larger],
    }


def _read_part(directory: Path, target: str) -> KnownTasks:
    """Read what is known about one target; the inverse of :func:`_write_part`."""
    description = json.loads((directory / f"{target}.json").read_text(encoding="utf-8"))
    with np.load(directory / f"{target}.npz", allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    return KnownTasks(
        target=target,
        metafeature_names=description["metafeatures"],
        tasks=pd.DataFrame(
            json.loads((directory / f"{target}.tasks.json").read_text(encoding="utf-8"))
        ).astype({"openml_id": "Int64"}),
        configurations=from_description(description["configurations"]),
        regrets=unpacked(arrays, "regrets"),
        levels=unpacked(arrays, "levels"),
        sizes=arrays["sizes"],
        similarity=Similarity.from_arrays(
            under(arrays, "similarity"), arrays["metafeatures"].astype("float64")
        ),
        levelling=ProximityForest.from_arrays(under(arrays, "levelling")),
        seconds=PowerLaw.from_arrays(under(arrays, "seconds")),
        tuned=TunedRuns(
            arrays["tuned"], _tuned_file(directory, target).read_bytes(), unpacked(arrays, "tuned")
        ),
        widths=description["widths"],
        larger=tuple(
            Larger.from_arrays(under(arrays, f"larger/{number}"), larger)
            for number, larger in enumerate(description.get("larger", []))
        ),
        smaller=Smaller.from_arrays(under(arrays, "smaller")) if "smaller/tasks" in arrays else None,
    )


def _tuned_file(directory: Path, target: str) -> Path:
    return directory / f"{target}.tuned.jsonl.gz"
