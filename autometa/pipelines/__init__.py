"""From a configuration to an unfitted scikit-learn pipeline.

Pipelines take the user's own table: what a column needs (casting, imputing, encoding) is a step of the pipeline.
They hold objects of scikit-learn and LightGBM only, so they outlive autometa.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from sklearn.base import BaseEstimator
from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from sklearn.utils.validation import has_fit_parameter

from autometa.pipelines.preparation import apply, join_blocks, make_preparation, needs_frame
from autometa.space import SearchSpace
from autometa.space.algorithms import CALIBRATION_FOLDS, Algorithm, Configuration
from autometa.space.encoders import Words, choose_encoding, encodings
from autometa.task import ColumnType, Task


def build_pipeline(
    configuration: Configuration, task: Task, *, random_state: int | None = 0, n_jobs: int = 1
) -> Pipeline:
    """Build the unfitted pipeline of a configuration for the columns of a task.

    Parameters
    ----------
    configuration : Configuration
        Beside hyperparameters it may say how columns of words become numbers: ``categories`` and ``text`` (see
        :func:`autometa.space.encoders.encodings`). Without them the rules of that module decide.
    task : Task
        Its column types decide the preprocessing.
    random_state : int or None, default=0
    n_jobs : int, default=1
        Threads of the estimator, where it has any.

    Returns
    -------
    Pipeline
        Steps ``prepare`` (a ColumnTransformer) and ``model``.
    """
    algorithm = SearchSpace.for_kind(task.kind)[configuration.algorithm]
    params = dict(configuration.params)
    scaler = str(params.pop("scaler", "standard"))
    asked = {option: str(params.pop(option, "auto")) for option in encodings()}
    encoding = choose_encoding(_words(task, asked))
    if algorithm.translate is not None:
        params = algorithm.translate(params)
    extra: dict[str, Any] = dict(algorithm.fixed)
    if algorithm.preprocessing == "native" and encoding.levels:
        # The coded levels come first in the output of the ColumnTransformer.
        extra["categorical_features"] = list(range(len(encoding.levels)))
    if params.get("class_weight") == "balanced" and algorithm.name in ("random_forest", "extra_trees"):
        params["class_weight"] = _forest_class_weight(task)
    model = _make_estimator(algorithm, {**extra, **params}, random_state, n_jobs)
    model = _complete_model(model, algorithm, task)
    preparation = make_preparation(algorithm, task, scaler, encoding)
    steps: list[tuple[str, Any]] = [("prepare", preparation), ("model", model)]
    if task.is_positional and (encoding.reads_text or needs_frame(task)):
        steps.insert(0, ("frame", apply("array to frame")))
    return Pipeline(steps)


def build_plain_pipeline(
    configuration: Configuration, task: Task, *, random_state: int | None = 0, n_jobs: int = 1
) -> Pipeline:
    """Build a pipeline that is quick to prepare: text is left out, and categories are no more than their levels.

    A table of nothing but text is read as ever. See :func:`build_pipeline` for the parameters.
    """
    types = {name: "ignored" if kind == "text" else kind for name, kind in task.column_types.items()}
    if set(types.values()) == {"ignored"}:
        return build_pipeline(configuration, task, random_state=random_state, n_jobs=n_jobs)
    levels = Configuration(configuration.algorithm, {**configuration.params, "categories": "levels"})
    plain = replace(task, column_types=cast("dict[str, ColumnType]", types))
    return build_pipeline(levels, plain, random_state=random_state, n_jobs=n_jobs)


def characters_of_a_row(task: Task) -> float:
    """Return how many characters of a row the encoders of a task's columns of words read, on average."""
    return sum(_words(task, {}).lengths.values())


def takes_weights(algorithm: Algorithm) -> bool:
    """Whether the fit of an algorithm's model takes ``sample_weight``.

    Parameters
    ----------
    algorithm : Algorithm
    """
    chosen = {name: value for name, value in algorithm.default.items() if name != "scaler"}
    params = chosen if algorithm.translate is None else algorithm.translate(chosen)
    return bool(
        has_fit_parameter(_make_estimator(algorithm, {**algorithm.fixed, **params}, 0, 1), "sample_weight")
    )


def ask_for_weights(estimator: Any) -> bool:
    """Have all models of pipelines ask for ``sample_weight`` where scikit-learn routes metadata, and nothing else.

    Parameters
    ----------
    estimator : BaseEstimator
        Of pipelines as :func:`build_pipeline` makes them, or one of them; changed in place.

    Returns
    -------
    bool
        Whether any model takes weights.
    """
    asked = False
    for name, part in estimator.get_params(deep=True).items():
        if isinstance(part, BaseEstimator) and "sample_weight" in inspect.signature(part.fit).parameters:
            is_model = "model" in name.split("__")
            part.set_fit_request(sample_weight=is_model)
            asked |= is_model
    return asked


def is_supervised(pipeline: Any) -> bool:
    """Whether the preparation reads the target, so that it must be fitted anew in each fold.

    Parameters
    ----------
    pipeline : Pipeline or ColumnTransformer
        As :func:`build_pipeline` makes it, fitted or not, or its step ``prepare``.

    Returns
    -------
    bool
    """
    preparation = pipeline.named_steps["prepare"] if isinstance(pipeline, Pipeline) else pipeline
    parts = [part for part in preparation.get_params().values() if hasattr(part, "__sklearn_tags__")]
    return any(get_tags(part).target_tags.required for part in parts)


def split_preparation(preparation: Pipeline) -> list[Pipeline]:
    """Split a preparation into its blocks: pipelines that ask for the same block can share it.

    Parameters
    ----------
    preparation : Pipeline
        All but the last step of what :func:`build_pipeline` makes; unfitted.

    Returns
    -------
    list of Pipeline
        Their columns side by side are those of the whole.
    """
    before = list(preparation.steps[:-1])
    blocks = preparation["prepare"].transformers
    return [Pipeline([*before, ("prepare", join_blocks([block]))]) for block in blocks]


def _words(task: Task, asked: Mapping[str, str]) -> Words:
    return Words(
        {name: task.X[name] for name in task.columns("categorical")},
        {name: task.X[name] for name in task.columns("text")},
        0 if task.kind == "regression" else task.y.nunique(),
        asked,
    )


def _make_estimator(
    algorithm: Algorithm, params: dict[str, Any], random_state: int | None, n_jobs: int
) -> Any:
    if isinstance(algorithm.estimator, str):
        module, _, name = algorithm.estimator.partition(":")
        factory = getattr(importlib.import_module(module), name)
    else:
        factory = algorithm.estimator
    accepted = inspect.signature(factory).parameters
    if "random_state" in accepted:
        params.setdefault("random_state", random_state)
    if "n_jobs" in accepted and algorithm.takes_n_jobs:
        params.setdefault("n_jobs", n_jobs)
    return factory(**params)


def _forest_class_weight(task: Task) -> Any:
    """Spell ``balanced`` out for labels such as "-1": the forests look those up as integers, in vain."""
    keys = {label: _as_integer(label) for label in task.classes}
    if all(key is label for label, key in keys.items()):
        return "balanced"
    counts = task.y.value_counts()
    return {key: float(task.n_rows / (len(keys) * counts[label])) for label, key in keys.items()}


def _as_integer(label: Any) -> Any:
    try:
        return int(label) if isinstance(label, str) else label
    except ValueError:
        return label


def _complete_model(model: Any, algorithm: Algorithm, task: Task) -> Any:
    if task.kind == "regression":
        if algorithm.scale_target:
            return TransformedTargetRegressor(regressor=model, transformer=StandardScaler())
        return model
    if not hasattr(model, "predict_proba"):
        from sklearn.calibration import CalibratedClassifierCV

        return CalibratedClassifierCV(model, ensemble=False, cv=CALIBRATION_FOLDS)
    return model
