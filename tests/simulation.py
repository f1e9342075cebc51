"""A simulated metadata base whose truth is known: which algorithm does well depends on one meta-feature."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd

from autometa.metabase import MetaBase
from autometa.metafeatures import metafeature_names
from autometa.metrics import CLASSIFICATION_METRICS, REGRESSION_METRICS, as_gain
from autometa.space import SearchSpace

LOSSES = ("log_loss", "rmse", "mae")


def simulate_metabase(n_tasks: int = 24, n_configurations: int = 2, seed: int = 0) -> MetaBase:
    """Half the tasks are linear, half are not; linear models and SVMs win on the first, trees on the second."""
    rng = np.random.default_rng(seed)
    names = metafeature_names()
    tasks, configurations, runs = [], [], []
    for target, kind, metrics in (
        ("classification", "binary", CLASSIFICATION_METRICS),
        ("regression", "regression", REGRESSION_METRICS),
    ):
        design = SearchSpace.for_kind(kind).design(n_configurations)
        configurations += [
            {
                "configuration_id": c.id,
                "target": target,
                "algorithm": c.algorithm,
                "params": json.dumps(dict(c.params)),
                "origin": c.origin,
            }
            for c in design
        ]
        handicap = dict(zip((c.id for c in design), rng.uniform(0, 0.02, len(design)), strict=True))
        for number in range(n_tasks):
            task_id = f"{kind}-{number}"
            is_linear = number % 2 == 0
            metafeatures = {f"mf_{name}": rng.normal() for name in names}
            metafeatures["mf_forest_over_linear"] = -2.0 if is_linear else 2.0
            tasks.append(
                {
                    "task_id": task_id,
                    "kind": kind,
                    # In the order of their names, every second family of either sort is in the same half.
                    "family": f"{kind}-family-{number % 2}-{number:02d}",
                    "n_rows": 1000,
                    "n_features": 10,
                    "n_classes": 2 if kind == "binary" else None,
                    "fingerprint": f"{kind}{number:04d}",
                    **{f"baseline_{m}": 1.0 if m in LOSSES else 0.5 if m != "r2" else 0.0 for m in metrics},
                    **metafeatures,
                }
            )
            for c in design:
                good = (c.algorithm in ("linear", "svm", "mlp")) == is_linear
                gain = 0.9 - (0.0 if good else 0.15) - handicap[c.id] + rng.normal(0, 0.005)
                scores = {m: gain if as_gain(1.0, m) > 0 else 1 - gain for m in metrics}
                runs.append(
                    {
                        "task_id": task_id,
                        "configuration_id": c.id,
                        "fidelity": 1000,
                        "n_train": 667,
                        "n_folds": 3,
                        "status": "ok",
                        "reason": "",
                        "fit_seconds": 0.1,
                        "predict_seconds": 0.01,
                        **scores,
                        **{f"{m}_std": 0.01 for m in metrics},
                    }
                )
    return MetaBase.from_frames(pd.DataFrame(tasks), pd.DataFrame(runs), pd.DataFrame(configurations))
