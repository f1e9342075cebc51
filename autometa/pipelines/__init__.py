"""From a configuration to an unfitted scikit-learn pipeline, and from there to a script.

Pipelines take the user's own table: what a column needs (casting, imputing, encoding) is a step of the pipeline.
They hold objects of scikit-learn and LightGBM only, so they outlive autometa.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import math
import operator
import types
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.compose import TransformedTargetRegressor
from sklearn.model_selection import KFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from sklearn.utils.validation import has_fit_parameter

from autometa.pipelines.preparation import apply, join_blocks, make_preparation, needs_frame
from autometa.space import SearchSpace
from autometa.space.algorithms import CALIBRATION_FOLDS, Algorithm, Configuration
from autometa.space.encoders import Words, choose_encoding, encodings
from autometa.task import ColumnType, Task


def build_pipeline(configuration: Configuration, task: Task, *, random_state: int | None = 0) -> Pipeline:
    """Build the unfitted pipeline of a configuration for the columns of a task.

    Parameters
    ----------
    configuration : Configuration
        Beside hyperparameters it may say how columns of words become numbers: ``categories`` and ``text`` (see
        :func:`autometa.space.encoders.encodings`). Without them the rules of that module decide.
    task : Task
        Its column types decide the preprocessing.
    random_state : int or None, default=0

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
    model = _make_estimator(algorithm, {**extra, **params}, random_state)
    model = _complete_model(model, algorithm, task)
    preparation = make_preparation(algorithm, task, scaler, encoding)
    steps: list[tuple[str, Any]] = [("prepare", preparation), ("model", model)]
    if task.is_positional and (encoding.reads_text or needs_frame(task)):
        steps.insert(0, ("frame", apply("array to frame")))
    return Pipeline(steps)


def build_plain_pipeline(
    configuration: Configuration, task: Task, *, random_state: int | None = 0
) -> Pipeline:
    """Build a pipeline that is quick to prepare: text is left out, and categories are no more than their levels.

    A table of nothing but text is read as ever. See :func:`build_pipeline` for the parameters.
    """
    types = {name: "ignored" if kind == "text" else kind for name, kind in task.column_types.items()}
    if set(types.values()) == {"ignored"}:
        return build_pipeline(configuration, task, random_state=random_state)
    levels = Configuration(configuration.algorithm, {**configuration.params, "categories": "levels"})
    plain = replace(task, column_types=cast("dict[str, ColumnType]", types))
    return build_pipeline(levels, plain, random_state=random_state)


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
        has_fit_parameter(_make_estimator(algorithm, {**algorithm.fixed, **params}, 0), "sample_weight")
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


def _make_estimator(algorithm: Algorithm, params: dict[str, Any], random_state: int | None) -> Any:
    if isinstance(algorithm.estimator, str):
        module, _, name = algorithm.estimator.partition(":")
        factory = getattr(importlib.import_module(module), name)
    else:
        factory = algorithm.estimator
    accepted = inspect.signature(factory).parameters
    if "random_state" in accepted:
        params.setdefault("random_state", random_state)
    if "n_jobs" in accepted and algorithm.takes_n_jobs:
        params.setdefault("n_jobs", 1)
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


def pipeline_code(
    pipeline: Pipeline, *, target: str = "target", data: str = "data.csv", score: str = "", read: str = ""
) -> str:
    """Write a script that builds, checks and fits the same pipeline without autometa.

    Parameters
    ----------
    pipeline : Pipeline
        As :func:`autometa.pipelines.build_pipeline` makes it.
    target : str, default="target"
        Name of the target column.
    data : str, default="data.csv"
        Path of the table that the script reads.
    score : str, default=""
        scikit-learn's name of the scorer for the cross-validation; empty for the estimator's own.
    read : str, default=""
        Python expression that reads the table; empty for what pandas reads by the suffix of `data`.

    Returns
    -------
    str
        Python source.
    """
    imports: dict[str, set[str]] = {
        "sklearn.model_selection": {"cross_val_score"},
    }
    read = read or _reading(data)
    if "arff." in read:
        imports["arff"] = set()
    body = _render(pipeline, imports, 0)
    plain = sorted(name for name in imports if not imports[name])
    lines = [f"import {name}" for name in plain if name not in ("pandas",)]
    lines.append("import pandas as pd")
    lines += [
        f"from {module} import {', '.join(sorted(imports[module]))}"
        for module in sorted(imports)
        if imports[module]
    ]
    scoring = f", scoring={score!r}" if score else ""
    return "\n".join(
        [
            *lines,
            "",
            f"data = {read}",
            f"X, y = data.drop(columns=[{target!r}]), data[{target!r}]",
            "",
            f"pipeline = {body}",
            "",
            'if __name__ == "__main__":',
            f"    print(cross_val_score(pipeline, X, y{scoring}))",
            "    pipeline.fit(X, y)",
            "",
        ]
    )


def _reading(data: str) -> str:
    suffix = data.rpartition(".")[2]
    reader = {"parquet": "parquet", "pq": "parquet", "feather": "feather", "arrow": "feather"}.get(
        suffix, "csv"
    )
    arguments = ', sep="\\t"' if suffix in ("tsv", "tab") else ""
    return f"pd.read_{reader}({data!r}{arguments})"


def _render(value: Any, imports: dict[str, set[str]], depth: int) -> str:
    """Python source of a value; estimators show the parameters that differ from their defaults."""
    inner = "    " * (depth + 1)
    outer = "    " * depth
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    if isinstance(value, operator.attrgetter):
        imports.setdefault("operator", set()).add("attrgetter")
        return f"attrgetter({value.__reduce__()[1][0]!r})"
    if isinstance(value, functools.partial):
        imports.setdefault("functools", set()).add("partial")
        options = [f"{k}={_render(v, imports, depth)}" for k, v in value.keywords.items()]
        return f"partial({', '.join([_render(value.func, imports, depth), *options])})"
    if isinstance(value, operator.methodcaller):
        imports.setdefault("operator", set()).add("methodcaller")
        return repr(value).removeprefix("operator.")
    if getattr(value, "__module__", "") == "numpy" or isinstance(value, np.ufunc):
        imports["numpy as np"] = set()
        return f"np.{value.__name__}"
    if isinstance(owner := getattr(value, "__self__", None), np.ufunc):
        imports["numpy as np"] = set()
        return f"np.{owner.__name__}.{value.__name__}"
    if isinstance(value, type) and value.__module__ == "builtins":
        return value.__name__
    if isinstance(value, (types.FunctionType, type)):
        # pandas defines what both classes share on their common base.
        return f"pd.{value.__qualname__.replace('NDFrame', 'DataFrame')}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k!r}: {_render(v, imports, depth)}" for k, v in value.items()) + "}"
    if isinstance(value, KFold):
        imports.setdefault("sklearn.model_selection", set()).add("KFold")
        return repr(value)
    if isinstance(value, BaseEstimator):
        return _render_estimator(value, imports, depth)
    if isinstance(value, (list, tuple)):
        items = [_render(item, imports, depth + 1) for item in value]
        left, right = "[]" if isinstance(value, list) else "()"
        joined = ", ".join(items)
        if len(joined) + len(outer) < 90 and "\n" not in joined:
            return left + joined + ("," if len(items) == 1 and left == "(" else "") + right
        return left + "\n" + "".join(f"{inner}{item},\n" for item in items) + outer + right
    return repr(value)


def _render_estimator(estimator: BaseEstimator, imports: dict[str, set[str]], depth: int) -> str:
    kind = type(estimator)
    package = kind.__module__.split("._")[0]
    module = "lightgbm" if package.startswith("lightgbm") else package
    imports.setdefault(module, set()).add(kind.__name__)
    defaults = {name: p.default for name, p in inspect.signature(kind).parameters.items()}
    given = {
        name: value
        for name, value in estimator.get_params(deep=False).items()
        if name not in defaults or not _same(value, defaults[name])
    }
    inner = "    " * (depth + 1)
    parts = [f"{name}={_render(value, imports, depth + 1)}" for name, value in given.items()]
    joined = ", ".join(parts)
    if len(joined) + 4 * depth < 90 and "\n" not in joined:
        return f"{kind.__name__}({joined})"
    return f"{kind.__name__}(\n" + "".join(f"{inner}{part},\n" for part in parts) + "    " * depth + ")"


def _same(value: Any, default: Any) -> bool:
    if isinstance(value, float) and isinstance(default, float) and math.isnan(value) and math.isnan(default):
        return True
    return type(value) is type(default) and bool(np.all(value == default))
