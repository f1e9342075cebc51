"""The files of a trained part: JSON, npz and LightGBM text; no pickle."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autometa.metamodel.power_law import PowerLaw
from autometa.metamodel.proximity import ProximityForest
from autometa.metamodel.surrogate import Surrogate
from autometa.metamodel.target import TargetModel
from autometa.metamodel.tuned import TunedRuns
from autometa.space import Configuration

COMPONENTS: Final[dict[str, Any]] = {
    "ranking": ProximityForest,
    "levelling": ProximityForest,
    "seconds": PowerLaw,
    "memory": PowerLaw,
}


def write_part(part: TargetModel, directory: Path) -> None:
    """Write a part into a folder, in files that begin with its target."""
    target = part.target
    arrays: dict[str, Any] = _arrays(part)
    np.savez_compressed(directory / f"{target}.npz", **arrays)
    _tuned_file(directory, target).write_bytes(part.tuned.packed)
    part.tasks.to_json(directory / f"{target}.tasks.json", orient="records", indent=0)
    for metric, surrogate in part.surrogates.items():
        for number, text in enumerate(surrogate.texts):
            # No time of making in the file: the same model gives the same bytes.
            packed = gzip.compress(text.encode(), mtime=0)
            _bag_file(directory, target, metric, number).write_bytes(packed)
    text = json.dumps(_description(part), indent=1)
    (directory / f"{target}.json").write_text(text + "\n", encoding="utf-8")


def _arrays(part: TargetModel) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {
        "metafeatures": part.metafeatures.astype(np.float32),
        "sizes": part.sizes,
        "usual": part.usual,
        "tuned": part.tuned.tasks.astype(np.int32),
    }
    for metric in part.regrets:
        arrays[f"regrets/{metric}"] = part.regrets[metric].astype(np.float32)
        arrays[f"levels/{metric}"] = part.levels[metric].astype(np.float32)
        arrays[f"exponents/{metric}"] = part.exponents[metric].astype(np.float16)
        arrays[f"tuned/{metric}"] = part.tuned.levels[metric].astype(np.float32)
    for name in COMPONENTS:
        arrays |= {f"{name}/{key}": value for key, value in getattr(part, name).to_arrays().items()}
    return arrays


def _description(part: TargetModel) -> dict[str, Any]:
    return {
        "target": part.target,
        "metafeatures": part.metafeature_names,
        "configurations": {
            i: {"algorithm": c.algorithm, "params": dict(c.params), "origin": c.origin}
            for i, c in part.configurations.items()
        },
        "metrics": list(part.regrets),
        "method": part.method,
        "widths": part.widths,
        "widths_between": part.widths_between,
        "surrogates": {
            metric: {"noise": s.noise, "unseen": [sorted(families) for families in s.unseen]}
            for metric, s in part.surrogates.items()
        },
    }


def read_part(directory: Path, target: str) -> TargetModel:
    """Read a part back; the inverse of :func:`write_part`."""
    description = json.loads((directory / f"{target}.json").read_text(encoding="utf-8"))
    with np.load(directory / f"{target}.npz", allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}

    def own(name: str) -> dict[str, NDArray[Any]]:
        return {k.removeprefix(f"{name}/"): v for k, v in arrays.items() if k.startswith(f"{name}/")}

    def bag(metric: str, number: int) -> str:
        return gzip.decompress(_bag_file(directory, target, metric, number).read_bytes()).decode()

    components = {name: kind.from_arrays(own(name)) for name, kind in COMPONENTS.items()}
    return TargetModel(
        target=target,
        metafeature_names=description["metafeatures"],
        tasks=pd.DataFrame(json.loads((directory / f"{target}.tasks.json").read_text(encoding="utf-8"))),
        configurations={
            i: Configuration(c["algorithm"], c["params"], c["origin"])
            for i, c in description["configurations"].items()
        },
        metafeatures=arrays["metafeatures"].astype("float64"),
        regrets={m: arrays[f"regrets/{m}"].astype("float64") for m in description["metrics"]},
        levels={m: arrays[f"levels/{m}"].astype("float64") for m in description["metrics"]},
        sizes=arrays["sizes"],
        **components,
        surrogates={
            metric: Surrogate(
                [bag(metric, number) for number in range(len(s["unseen"]))],
                [frozenset(families) for families in s["unseen"]],
                s["noise"],
            )
            for metric, s in description["surrogates"].items()
        },
        tuned=TunedRuns(
            arrays["tuned"],
            _tuned_file(directory, target).read_bytes(),
            {m: arrays[f"tuned/{m}"].astype("float64") for m in description["metrics"]},
        ),
        exponents={m: arrays[f"exponents/{m}"].astype("float64") for m in description["metrics"]},
        method=description["method"],
        widths=description["widths"],
        widths_between=description["widths_between"],
        usual=arrays["usual"],
    )


def _tuned_file(directory: Path, target: str) -> Path:
    return directory / f"{target}.tuned.jsonl.gz"


def _bag_file(directory: Path, target: str, metric: str, number: int) -> Path:
    return directory / f"{target}.{metric}.{number}.txt.gz"
