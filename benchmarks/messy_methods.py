"""The methods of messy.py, each a fit and a prediction; runs in the environment of the method's library.

    PYTHON messy_methods.py METHOD FOLDER METAMODEL

FOLDER holds train.parquet and test.parquet, y.npy (floats, or labels as text) and kind.txt. Predictions come back as
NAME.npy (a column for each sorted label), the seconds, the CPU seconds, those of reading and preparing the training
rows and the choice, or the error, as NAME.json. Methods that share work write several results, and each has the seconds
since the start.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

SECONDS = 10  # of tune and AutoGluon
N_MEMBERS = 5

# Name, prediction, choice, and CPU seconds of reading and preparing where they were measured.
Result = tuple[str, Any, str, float | None]


class Clock:
    """Wall-clock and CPU seconds since it was made, those of ended children included."""

    def __init__(self) -> None:
        self._start = time.perf_counter(), sum(os.times()[:4])

    def read(self) -> dict[str, float]:
        """Return both."""
        wall, cpu = self._start
        return {"seconds": time.perf_counter() - wall, "cpu_seconds": sum(os.times()[:4]) - cpu}


def predict(model: Any, X: pd.DataFrame, classes: list[str]) -> np.ndarray:
    """Return numbers, or probabilities in the order of the sorted labels."""
    if not classes:
        return np.asarray(model.predict(X), dtype="float64")
    found = np.asarray(model.predict_proba(X))
    return pd.DataFrame(found, columns=[str(label) for label in model.classes_])[classes].to_numpy()


def run_recommend(
    X: pd.DataFrame, y: np.ndarray, new: pd.DataFrame, kind: str, metamodel: str
) -> Iterator[Result]:
    """Fit the first recommendation, then the ensemble of five."""
    import autometa
    from autometa.pipelines import build_pipeline

    classes = [] if kind == "regression" else sorted(set(y.tolist()))
    metric = "log_loss" if classes else "r2"
    known = autometa.MetaModel.load(metamodel)
    rec = autometa.recommend(X, y, kind=kind, metric=metric, k=N_MEMBERS, random_state=0, metamodel=known)
    prediction = predict(rec[0].pipeline.fit(X, y), new, classes)
    clock = Clock()
    task = autometa.Task.from_frame(X, y, kind=kind, metric=metric)
    build_pipeline(rec[0].configuration, task)[:-1].fit_transform(task.X, task.y)
    yield "autometa first pick", prediction, rec[0].algorithm, clock.read()["cpu_seconds"]
    ensemble = rec.ensemble(k=N_MEMBERS)
    yield "autometa ensemble of five", predict(ensemble.fit(X, y), new, classes), "", None


def run_tune(
    X: pd.DataFrame, y: np.ndarray, new: pd.DataFrame, kind: str, metamodel: str
) -> Iterator[Result]:
    """Search for ten seconds."""
    import autometa

    classes = [] if kind == "regression" else sorted(set(y.tolist()))
    metric = "log_loss" if classes else "r2"
    clock = Clock()
    known = autometa.MetaModel.load(metamodel)
    left = SECONDS - clock.read()["seconds"]
    result = autometa.tune(X, y, kind=kind, metric=metric, timeout=left, random_state=0, metamodel=known)
    yield "autometa tune 10 s", predict(result.model, new, classes), "", None


def run_lightgbm(X: pd.DataFrame, y: np.ndarray, new: pd.DataFrame, kind: str, _: str) -> Iterator[Result]:
    """Fit LightGBM's defaults on numbers as they are and an integer for each level of everything else."""
    import lightgbm
    from sklearn.compose import make_column_selector, make_column_transformer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OrdinalEncoder

    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    prepare = make_column_transformer(
        ("passthrough", make_column_selector(dtype_include=["number"])), remainder=codes
    )
    regress = kind == "regression"
    learner = lightgbm.LGBMRegressor if regress else lightgbm.LGBMClassifier
    model = make_pipeline(prepare, learner(n_jobs=1, verbosity=-1)).fit(X, y)
    yield "LightGBM on codes", predict(model, new, [] if regress else sorted(set(y.tolist()))), "", None


def run_skrub(X: pd.DataFrame, y: np.ndarray, new: pd.DataFrame, kind: str, _: str) -> Iterator[Result]:
    """Fit skrub's default pipeline with its default learner."""
    import skrub

    regress = kind == "regression"
    model = skrub.tabular_pipeline("regressor" if regress else "classifier").fit(X, y)
    prediction = predict(model, new, [] if regress else sorted(set(y.tolist())))
    clock = Clock()
    model[:-1].fit_transform(X, y)
    yield "skrub default", prediction, "", clock.read()["cpu_seconds"]


def run_autogluon(X: pd.DataFrame, y: np.ndarray, new: pd.DataFrame, kind: str, _: str) -> Iterator[Result]:
    """Let AutoGluon work for ten seconds."""
    from autogluon.tabular import TabularPredictor

    label = "target of autogluon"
    with tempfile.TemporaryDirectory() as folder:
        predictor = TabularPredictor(
            label,
            problem_type=kind,
            eval_metric="r2" if kind == "regression" else "log_loss",
            path=folder,
            verbosity=0,
        ).fit(X.assign(**{label: y}), time_limit=SECONDS, num_cpus=1, num_gpus=0)
        if kind == "regression":
            prediction = predictor.predict(new).to_numpy()
        else:
            prediction = predictor.predict_proba(new)[sorted(set(y.tolist()))].to_numpy()
        yield "AutoGluon 10 s", prediction, str(predictor.model_best), None


METHODS = {
    "recommend": (
        run_recommend,
        ("autometa first pick", "autometa ensemble of five"),
    ),
    "tune": (run_tune, ("autometa tune 10 s",)),
    "skrub": (run_skrub, ("skrub default",)),
    "lightgbm": (run_lightgbm, ("LightGBM on codes",)),
    "autogluon": (run_autogluon, ("AutoGluon 10 s",)),
}


def main() -> None:
    """Run one method."""
    warnings.simplefilter("ignore")
    method, names = METHODS[sys.argv[1]]
    folder, metamodel = Path(sys.argv[2]), sys.argv[3]
    train, test = (pd.read_parquet(folder / f"{part}.parquet") for part in ("train", "test"))
    y, kind = np.load(folder / "y.npy"), (folder / "kind.txt").read_text()
    clock = Clock()
    left = list(names)
    try:
        for name, prediction, choice, preparing in method(train, y, test, kind, metamodel):
            np.save(folder / f"{name}.npy", prediction)
            facts = {**clock.read(), "preparing_seconds": preparing, "choice": choice}
            (folder / f"{name}.json").write_text(json.dumps(facts))
            left.remove(name)
    except Exception as error:
        for name in left:
            report = {**clock.read(), "error": f"{type(error).__name__}: {error}"[:200]}
            (folder / f"{name}.json").write_text(json.dumps(report))


if __name__ == "__main__":
    main()
