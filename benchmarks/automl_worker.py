"""One tool on one table, in the environment of the tool: see automl.py.

    PYTHON automl_worker.py FOLDER

FOLDER holds job.json, X.parquet (the training rows, then those held out) and y.npy (the training rows' target:
numbers, or classes as 0, 1, 2, ...). What comes back: prediction.npy for the held-out rows and result.json.

The clock begins when the tool is called with data in memory and its library imported, and ends when it returns.
With a second or less every tool has been called before on a table of a hundred rows, so that what a process does
once is done.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

WARM_SECONDS = 1
N_PREDICTED = 10_000
LABEL_METRICS = ("balanced_accuracy",)

Predictor = Callable[[pd.DataFrame], Any]


@dataclass(frozen=True)
class Job:
    """What to do.

    Attributes
    ----------
    tool : str
    seconds : float
        What the tool is told that it may take; 0 for tools that take no limit.
    kind, metric : str
    classes : int
        0 for regression.
    folder : str
        For what tools write.
    metamodel : str
        Folder of autometa's meta-model.
    """

    tool: str
    seconds: float
    kind: str
    metric: str
    classes: int
    folder: str
    metamodel: str

    @property
    def wants_labels(self) -> bool:
        """Whether classes are predicted, not their probabilities."""
        return self.metric in LABEL_METRICS

    def method(self, model: Any) -> Predictor:
        """Return what predicts: numbers, classes, or a column of probabilities for each class."""
        if not self.classes or self.wants_labels:
            return lambda X: np.asarray(model.predict(X)).ravel()
        return lambda X: pd.DataFrame(model.predict_proba(X), columns=list(model.classes_))


# --- tools ----------------------------------------------------------------------------------------------------------


def run_lightgbm(X: pd.DataFrame, y: Any, job: Job) -> Predictor:
    """LightGBM's defaults on numbers as they are and an integer for each level of everything else."""
    import lightgbm

    def as_text(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.astype(object).where(frame.notna(), "").astype(str)

    def encode(frame: pd.DataFrame) -> pd.DataFrame:
        numbers = frame[numeric].astype("float64")
        codes = as_text(frame[others]).apply(lambda c: c.map(levels[c.name]))
        return pd.concat([numbers, codes], axis=1).set_axis(range(frame.shape[1]), axis=1)

    numeric = list(X.select_dtypes(["number", "bool"]).columns)
    others = [c for c in X.columns if c not in numeric]
    levels = {c: {level: i for i, level in enumerate(sorted(set(v)))} for c, v in as_text(X[others]).items()}
    learner = lightgbm.LGBMClassifier if job.classes else lightgbm.LGBMRegressor
    predict = job.method(learner(n_jobs=1, verbosity=-1).fit(encode(X), y))
    return lambda frame: predict(encode(frame))


def run_autogluon(X: pd.DataFrame, y: Any, job: Job) -> Predictor:
    """AutoGluon, the default or ``best_quality``.

    ``best_quality`` first fits a part of the rows, to see whether stacking does harm there. Without ray, which keeps
    that in a process of its own, an error in it leaves a predictor that cannot be fitted; then AutoGluon is called
    anew without that step, as its own message says, with the seconds that are left.
    """
    if job.tool != "autogluon-best":
        return fit_autogluon(X, y, job, job.seconds, job.folder)
    start = time.perf_counter()
    try:
        return fit_autogluon(X, y, job, job.seconds, job.folder, presets="best_quality")
    except AssertionError as error:
        left = job.seconds - (time.perf_counter() - start)
        if "already fit" not in str(error) or left <= 0:
            raise
    folder = f"{job.folder}-again"
    return fit_autogluon(X, y, job, left, folder, presets="best_quality", dynamic_stacking=False)


def fit_autogluon(
    X: pd.DataFrame, y: Any, job: Job, seconds: float, folder: str, **options: Any
) -> Predictor:
    """Call AutoGluon once."""
    from autogluon.tabular import TabularPredictor

    label = "target of autogluon"
    metric = "roc_auc_ovr" if job.metric == "roc_auc" and job.classes > 2 else job.metric
    predictor = TabularPredictor(
        label, problem_type=job.kind, eval_metric=metric, path=folder, verbosity=0
    ).fit(X.assign(**{label: y}), time_limit=seconds, num_cpus=1, num_gpus=0, **options)
    if not job.classes or job.wants_labels:
        return lambda frame: predictor.predict(frame).to_numpy()
    return lambda frame: predictor.predict_proba(frame)


def run_flaml(X: pd.DataFrame, y: Any, job: Job) -> Predictor:
    """FLAML's AutoML."""
    from flaml import AutoML

    metric = "roc_auc_ovr" if job.metric == "roc_auc" and job.classes > 2 else job.metric
    automl = AutoML()
    automl.fit(
        plain_names(X),
        y,
        task="classification" if job.classes else "regression",
        metric=metric,
        time_budget=job.seconds,
        n_jobs=1,
        seed=0,
        verbose=0,
        log_file_name="",
    )
    if automl.model is None:
        raise RuntimeError("no model")
    predict = job.method(automl)
    return lambda frame: predict(plain_names(frame))


def run_mljar(X: pd.DataFrame, y: Any, job: Job) -> Predictor:
    """mljar-supervised in the mode that it has for the best scores."""
    from supervised import AutoML

    tasks = {"binary": "binary_classification", "multiclass": "multiclass_classification"}
    automl = AutoML(
        results_path=job.folder,
        mode="Compete",
        ml_task=tasks.get(job.kind, job.kind),
        eval_metric={"log_loss": "logloss", "roc_auc": "auc"}.get(job.metric, job.metric),
        total_time_limit=int(job.seconds),
        n_jobs=1,
        verbose=0,
        random_state=0,
    )
    automl.fit(plain_names(X), y)

    def predict(frame: pd.DataFrame) -> Any:
        frame = plain_names(frame)
        if not job.classes or job.wants_labels:
            return np.asarray(automl.predict(frame)).ravel()
        found = automl.predict_all(frame)
        return found[[f"prediction_{c}" for c in range(job.classes)]].set_axis(range(job.classes), axis=1)

    return predict


def run_autometa(X: pd.DataFrame, y: Any, job: Job) -> Predictor:
    """A search by autometa, in full or with a part of it taken away."""
    import autometa

    start = time.perf_counter()
    metamodel = load_metamodel(job)
    left = job.seconds - (time.perf_counter() - start)
    _, _, part = job.tool.partition(":")
    result = autometa.tune(
        X,
        y,
        kind=job.kind,
        metric=job.metric,
        timeout=left,
        random_state=0,
        **{"metamodel": metamodel, **without(part, metamodel)},
    )
    model = getattr(result, "model", None)
    return job.method(result.best_pipeline if model is None else model)


def run_recommended(X: pd.DataFrame, y: Any, job: Job) -> Predictor:
    """Nothing but recommendations, fitted: the first, or the mean of five."""
    import autometa

    recommended = autometa.recommend(
        X, y, kind=job.kind, metric=job.metric, k=5, random_state=0, metamodel=load_metamodel(job)
    )
    if job.tool == "autometa:first-pick":
        return job.method(recommended[0].pipeline.fit(X, y))
    if hasattr(recommended, "ensemble"):
        return job.method(recommended.ensemble(k=5).fit(X, y))
    members = [r.pipeline.fit(X, y) for r in recommended[:5]]

    def predict(frame: pd.DataFrame) -> Any:
        if not job.classes:
            return np.mean([m.predict(frame) for m in members], axis=0)
        mean = sum(pd.DataFrame(m.predict_proba(frame), columns=list(m.classes_)) for m in members) / len(
            members
        )
        return mean.idxmax(axis=1).to_numpy() if job.wants_labels else mean

    return predict


def plain_names(frame: pd.DataFrame) -> pd.DataFrame:
    """Number the columns: LightGBM, within FLAML and mljar, refuses some names."""
    return frame.set_axis([f"c{i}" for i in range(frame.shape[1])], axis=1)


_METAMODELS: dict[str, Any] = {}


def load_metamodel(job: Job) -> Any:
    """Read the meta-model, within the clock as it would be in use; once in a process."""
    from autometa import MetaModel

    if job.metamodel not in _METAMODELS:
        _METAMODELS[job.metamodel] = MetaModel.load(job.metamodel)
    return _METAMODELS[job.metamodel]


class Blank:
    """Names library defaults and points of the space at random, where a meta-model says what experience knows."""

    def __init__(self, metamodel: Any) -> None:
        self._metamodel = metamodel

    def recommend(self, task: Any, **options: Any) -> list[Any]:
        """Return recommendations whose configurations were taken away, and all of whose seconds are the usual."""
        from autometa.recommendation import recommend_for_task
        from autometa.space import SearchSpace

        known = recommend_for_task(task, metamodel=self._metamodel, **options)
        space = SearchSpace.for_kind(task.kind)
        points = space.design(len(known) // len(space) + 1)[: len(known)]
        usual = float(np.nanmedian([r.expected_seconds for r in known]))
        return [
            replace(r, configuration=c, expected_seconds=usual) for r, c in zip(known, points, strict=False)
        ]


def without(part: str, metamodel: Any) -> dict[str, Any]:
    """Return the arguments of ``tune`` that take a part of it away."""
    from autometa.tuning._schedule import Schedule

    found: dict[str, dict[str, Any]] = {
        "": {},
        "no-ensemble": {"ensemble_size": 1},
        "no-racing": {"schedule": Schedule(race_after=())},
        # The first fold says what all would; members are never fitted on another.
        "one-fold": {
            "schedule": Schedule(broad_share=0.0, broad_rows=0.0, broad_until=1.0, broad_recommended=60)
        },
        "no-recommendations": {"metamodel": Blank(metamodel)},
    }
    return found[part]


# AutoGluon imports its learners when it first fits them.
AUTOGLUON = ("autogluon.tabular", "lightgbm", "catboost", "xgboost", "torch", "fastai.tabular.all")

# tool: (what runs it, what is imported before the clock begins)
TOOLS: dict[str, tuple[Callable[[pd.DataFrame, Any, Job], Predictor], tuple[str, ...]]] = {
    "lightgbm": (run_lightgbm, ("lightgbm",)),
    "autogluon": (run_autogluon, AUTOGLUON),
    "autogluon-best": (run_autogluon, AUTOGLUON),
    "flaml": (run_flaml, ("flaml", "flaml.automl")),
    "mljar": (run_mljar, ("supervised",)),
    "autometa": (run_autometa, ("autometa.tuning", "lightgbm")),
    "autometa:first-pick": (run_recommended, ("autometa.recommendation", "lightgbm")),
    "autometa:mean-of-five": (run_recommended, ("autometa.recommendation", "lightgbm")),
}


# --- the run --------------------------------------------------------------------------------------------------------


def warm_up(job: Job) -> None:
    """Call the tool once on a little table of the same kind."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(100, 4)), columns=list("abcd")).assign(e=rng.choice(["x", "y"], 100))
    n_classes = min(job.classes, 3)
    y = np.arange(100) % n_classes if n_classes else rng.normal(size=100)
    small = Job(**{**vars(job), "classes": n_classes, "folder": f"{job.folder}-warm"})
    try:
        find(job.tool)[0](X, y, small)(X)
    except Exception as error:
        print(f"warm-up: {error!r}", file=sys.stderr)


def find(tool: str) -> tuple[Callable[[pd.DataFrame, Any, Job], Predictor], tuple[str, ...]]:
    """Return what runs a tool."""
    return TOOLS.get(tool) or TOOLS[tool.partition(":")[0]]


def run(folder: Path, job: Job) -> dict[str, Any]:
    """Fit and predict; return the seconds of both."""
    y = np.load(folder / "y.npy")
    X = pd.read_parquet(folder / "X.parquet")
    train, test = X.iloc[: len(y)].reset_index(drop=True), X.iloc[len(y) :].reset_index(drop=True)
    del X
    runner, modules = find(job.tool)
    for module in modules:
        # An installation may lack a learner.
        with contextlib.suppress(ImportError):
            importlib.import_module(module)
    if 0 < job.seconds <= WARM_SECONDS:
        warm_up(job)
    start, cpu_start = time.perf_counter(), cpu_seconds()
    predict, failure = None, ""
    try:
        predict = runner(train, y, job)
    except BaseException as error:
        failure = describe(error)
    seconds = {"seconds_taken": time.perf_counter() - start, "cpu_seconds": cpu_seconds() - cpu_start}
    if predict is None:
        return {**seconds, "error": failure}
    # Held-out rows once, and again and again up to ten thousand: what a batch costs does not hang on the table's size.
    batch = test.iloc[np.arange(max(N_PREDICTED, len(test))) % len(test)].reset_index(drop=True)
    start = time.perf_counter()
    prediction = predict(batch)
    predicting = time.perf_counter() - start
    if isinstance(prediction, pd.DataFrame):
        prediction = prediction[list(range(job.classes))]
    np.save(folder / "prediction.npy", np.asarray(prediction)[: len(test)])
    return {**seconds, "predict_seconds": predicting * N_PREDICTED / len(batch)}


def describe(error: BaseException) -> str:
    """Return the kind of an error and the first line of what it says."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}"


def cpu_seconds() -> float:
    """Return the CPU seconds of this process and of its children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def main() -> None:
    """Do the job; an error is a result too."""
    warnings.simplefilter("ignore")
    folder = Path(sys.argv[1])
    job = Job(**json.loads((folder / "job.json").read_text()))
    try:
        result = run(folder, job)
    except BaseException as error:
        result = {"error": describe(error)}
    (folder / "result.json").write_text(json.dumps(result))
    sys.stdout.flush()
    # Not to wait for what a tool left running.
    os._exit(0)


if __name__ == "__main__":
    main()
