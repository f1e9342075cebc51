"""FLAML's zero-shot on splits that zero_shot.py wrote: runs in an environment of its own, and needs no autometa.

    PYTHON benchmarks/zero_shot_flaml.py DIR

Each folder of DIR holds train.parquet and test.parquet (the target is the column ``target``: numbers, or codes of
classes from 0) and kind.txt. Predictions come back as ``<predictor>.npy``, the CPU seconds of suggestion, fit and
prediction and the name of the estimator, or the error, as ``<predictor>.json``.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from flaml.default import preprocess_and_suggest_hyperparams

PREDICTORS = ("all", "lgbm")


def fit_and_predict(kind: str, train: pd.DataFrame, test: pd.DataFrame, predictor: str) -> tuple[Any, str]:
    """Fit what FLAML suggests, in one thread, and return predictions or probabilities and the estimator's name."""
    X, y = train.drop(columns="target"), train["target"]
    params, estimator, X, y, transformer, _ = preprocess_and_suggest_hyperparams(kind, X, y, predictor)
    model = estimator(**{**(params or {}), "n_jobs": 1})
    model.fit(X, y)
    features = transformer.transform(test.drop(columns="target"))
    predict = model.predict if kind == "regression" else model.predict_proba
    return np.asarray(predict(features)), estimator.__name__


def main() -> None:
    """Work through all folders."""
    warnings.simplefilter("ignore")
    for folder in sorted(path.parent for path in Path(sys.argv[1]).glob("*/kind.txt")):
        kind = (folder / "kind.txt").read_text()
        train, test = (pd.read_parquet(folder / f"{part}.parquet") for part in ("train", "test"))
        for predictor in PREDICTORS:
            start = time.process_time()
            try:
                prediction, estimator = fit_and_predict(kind, train, test, predictor)
                answer = {"estimator": estimator}
                np.save(folder / f"{predictor}.npy", prediction)
            except Exception as error:
                answer = {"error": f"{type(error).__name__}: {error}"[:200]}
            answer |= {"seconds": time.process_time() - start}
            (folder / f"{predictor}.json").write_text(json.dumps(answer))


if __name__ == "__main__":
    main()
