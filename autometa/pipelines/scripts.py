"""From a pipeline to a script that builds the same one without autometa."""

from __future__ import annotations

import functools
import inspect
import math
import operator
import types
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.model_selection import KFold
from sklearn.pipeline import Pipeline


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
