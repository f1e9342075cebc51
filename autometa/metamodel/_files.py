"""The files of a meta-model: JSON and npz; no pickle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autometa.metamodel.costs import PowerLaw
from autometa.metamodel.forest import ProximityForest
from autometa.metamodel.known import KnownTasks
from autometa.metamodel.similarity import Similarity
from autometa.metamodel.tuned import TunedRuns
from autometa.space import Configuration


def write_part(part: KnownTasks, directory: Path) -> None:
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
    return arrays


def _description(part: KnownTasks) -> dict[str, Any]:
    return {
        "target": part.target,
        "metafeatures": part.metafeature_names,
        "configurations": {
            i: {"algorithm": c.algorithm, "params": dict(c.params), "origin": c.origin}
            for i, c in part.configurations.items()
        },
        "metrics": list(part.regrets),
        "widths": part.widths,
    }


def read_part(directory: Path, target: str) -> KnownTasks:
    """Read what is known about one target; the inverse of :func:`write_part`."""
    description = json.loads((directory / f"{target}.json").read_text(encoding="utf-8"))
    with np.load(directory / f"{target}.npz", allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}

    def own(name: str) -> dict[str, NDArray[Any]]:
        return {k.removeprefix(f"{name}/"): v for k, v in arrays.items() if k.startswith(f"{name}/")}

    def tables(name: str) -> dict[str, NDArray[np.float64]]:
        return {m: arrays[f"{name}/{m}"].astype("float64") for m in description["metrics"]}

    return KnownTasks(
        target=target,
        metafeature_names=description["metafeatures"],
        tasks=pd.DataFrame(json.loads((directory / f"{target}.tasks.json").read_text(encoding="utf-8"))),
        configurations={
            i: Configuration(c["algorithm"], c["params"], c["origin"])
            for i, c in description["configurations"].items()
        },
        regrets=tables("regrets"),
        levels=tables("levels"),
        sizes=arrays["sizes"],
        similarity=Similarity.from_arrays(own("similarity"), arrays["metafeatures"].astype("float64")),
        levelling=ProximityForest.from_arrays(own("levelling")),
        seconds=PowerLaw.from_arrays(own("seconds")),
        tuned=TunedRuns(arrays["tuned"], _tuned_file(directory, target).read_bytes(), tables("tuned")),
        widths=description["widths"],
    )


def _tuned_file(directory: Path, target: str) -> Path:
    return directory / f"{target}.tuned.jsonl.gz"
