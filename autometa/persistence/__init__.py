"""Fitted pipelines in files that cannot run code: skops with a closed list of what a file may hold.

A model file is a zip archive: what skops writes, and ``autometa.json`` with the facts about the model. Nothing in it
is ever unpickled, and it never names what to trust. Functions are not stored at all: a FunctionTransformer is stored
with the name of one of our own functions (:data:`autometa.pipelines.preparation.FUNCTIONS`).

What the list cannot rule out are numbers that are wrong on purpose: :mod:`autometa.persistence.audit` looks at those
that native code follows without looking.
"""

from __future__ import annotations

import copy
import datetime as dt
import functools
import importlib.metadata
import io
import json
import warnings
import zipfile
from collections.abc import Callable, Mapping
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import numpy as np
import pandas as pd

from autometa.errors import StorageError, without_passwords
from autometa.persistence.audit import (
    MAX_BYTES,
    OURS,
    audit_pipeline,
    audit_schema,
    check_archive,
    read_json,
    refuse,
)
from autometa.persistence.boosters import audit_lightgbm_model, lightgbm_text
from autometa.storage import write_file

MODEL_SCHEMA: Final = "autometa/model/2"
INFO_MEMBER: Final = "autometa.json"
LIBRARIES: Final = ("autometa", "scikit-learn", "lightgbm", "numpy", "pandas")
KINDS: Final = ("binary", "multiclass", "regression")


def save_model(path: str | Path, pipeline: Any, info: Mapping[str, Any]) -> None:
    """Write a fitted pipeline and the facts about it into one file, whole or not at all.

    Parameters
    ----------
    path : str or Path
        The file; one that is there is replaced when the new one is whole.
    pipeline : Pipeline
        Fitted; of the parts that :func:`autometa.pipelines.build_pipeline` uses.
    info : mapping
        Plain JSON types, such as kind, metric, target, columns (each with name, type and dtype), classes and score. The
        versions of the libraries and the schema are added.

    Raises
    ------
    StorageError
        AM602 when the pipeline holds something that a model file may not hold, or `info` is not so; AM609 when the
        file cannot be written.
    """
    import skops.io

    if not _is_plain(info):
        raise refuse(
            "the facts are not of the right types",
            f"Give a kind of {', '.join(KINDS)}, and columns as a list of mappings with name, type and dtype.",
        )
    try:
        content = skops.io.dumps(_replace(pipeline, _to_plain, {}), compression=zipfile.ZIP_DEFLATED)
    except (TypeError, AttributeError) as error:
        raise refuse(f"the pipeline cannot be saved: {_one_line(error)}", OURS) from error
    facts = {**info, "schema": MODEL_SCHEMA, "libraries": _versions()}
    buffer = io.BytesIO(content)
    with zipfile.ZipFile(buffer, "a", compression=zipfile.ZIP_DEFLATED) as archive:
        audit_schema(archive, len(content), "the pipeline")
        archive.writestr(INFO_MEMBER, json.dumps(facts, indent=1, allow_nan=False))
    write_file(path, buffer.getbuffer())


def _content_of(path: Path) -> bytes:
    """Read a file, or what comes through a pipe; a device may never end."""
    shown = without_passwords(repr(str(path)))
    try:
        is_device = path.exists() and not (path.is_file() or path.is_dir() or path.is_fifo())
        if not is_device and not (path.is_file() and path.stat().st_size > MAX_BYTES):
            return path.read_bytes()
        reason = "it is a device" if is_device else "it is larger than a model may be"
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
    raise StorageError("AM610", f"the model {shown} cannot be read: {reason}.", "Check the path.")


def load_model(path: str | Path) -> tuple[Any, dict[str, Any]]:
    """Read a fitted pipeline and the facts about it.

    Parameters
    ----------
    path : str or Path
        Written by :func:`save_model`.

    Returns
    -------
    pipeline : Pipeline
        Fitted, as it was saved.
    info : dict
        As saved, with ``libraries`` (see :func:`version_mismatches`).

    Raises
    ------
    StorageError
        AM602 when the file holds anything that a model may not hold, AM610 when it is no model file.
    """
    import skops.io

    path = Path(path)
    content = _content_of(path)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            check_archive(archive, len(content), path.name)
            info = read_json(archive, INFO_MEMBER)
            if info.get("schema") != MODEL_SCHEMA:
                raise StorageError(
                    "AM610",
                    f"{path.name} has the schema {str(info.get('schema'))[:80]!r}.",
                    f"This autometa reads {MODEL_SCHEMA}: save the model again.",
                )
            if not _is_plain(info):
                raise _no_model(path.name, "its facts are not of the right types")
            names = audit_schema(archive, len(content), path.name)
    except StorageError:
        raise
    except Exception as error:
        # A damaged archive fails in zipfile, in zlib, in JSON, or where the schema is not what skops writes.
        raise _no_model(path.name, f"{type(error).__name__}: {_one_line(error)}") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # other versions of the libraries are told by version_mismatches
            pipeline = _replace(skops.io.loads(content, trusted=sorted(names)), _from_plain, {})
            audit_pipeline(pipeline)
    except StorageError:
        raise
    except Exception as error:
        # A damaged file can fail anywhere inside skops and the constructors it calls.
        raise StorageError(
            "AM610",
            f"{path.name} is damaged: {type(error).__name__}: {_one_line(error)}.",
            "Save the model again.",
        ) from error
    return pipeline, info


def version_mismatches(info: Mapping[str, Any]) -> list[str]:
    """Return which libraries differ in their minor version from those that saved the model, a phrase each."""
    saved, installed = info.get("libraries", {}), _versions()
    return [
        f"{name} {saved[name]} then, {installed[name]} now"
        for name in LIBRARIES
        if name in saved and str(saved[name]).split(".")[:2] != installed[name].split(".")[:2]
    ]


def _versions() -> dict[str, str]:
    from autometa import __version__

    return {
        name: __version__ if name == "autometa" else importlib.metadata.version(name) for name in LIBRARIES
    }


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200].rstrip(".")


def _is_plain(info: Mapping[str, Any]) -> bool:
    """Whether facts have the types that are read from them; what is not there is not missed here."""
    columns = info.get("columns", [])
    return (
        info.get("kind", KINDS[0]) in KINDS
        and isinstance(info.get("target", ""), str)
        and isinstance(info.get("libraries", {}), dict)
        and isinstance(columns, list)
        and all(
            isinstance(column, dict)
            and all(isinstance(column.get(name), str) for name in ("name", "type", "dtype"))
            for column in columns
        )
    )


def _no_model(where: str, reason: str) -> StorageError:
    return StorageError(
        "AM610",
        f"{where} is no model of autometa: {reason}.",
        "Use a file written by autometa tune --output.",
    )


# -- parts that are stored as plain values ---------------------------------------------------------------------------


def _replace(value: Any, change: Callable[[Any], dict[str, Any]], memo: dict[int, Any]) -> Any:
    """Return the same tree of estimators with the attributes that `change` gives; what stays the same is shared."""
    from sklearn.base import BaseEstimator

    if id(value) in memo:
        return memo[id(value)][1]
    result = value
    if isinstance(value, BaseEstimator):
        attributes = vars(value)
        changed = change(value)
        for name in attributes.keys() - changed.keys():
            item = _replace(attributes[name], change, memo)
            if item is not attributes[name]:
                changed[name] = item
        if changed:
            result = copy.copy(value)
            vars(result).update(changed)
    elif isinstance(value, (list, tuple)):
        items = [_replace(item, change, memo) for item in value]
        if any(new is not old for new, old in zip(items, value, strict=True)):
            result = type(value)(items)
    # The value is kept beside its result: while it lives, no other object can have its id.
    memo[id(value)] = (value, result)
    return result


def _to_plain(part: Any) -> dict[str, Any]:
    """Attributes of a fitted part that a file holds in another form: names for functions, numbers for splines."""
    if type(part).__name__ == "FunctionTransformer":
        return _name_function(part)
    if type(part).__name__ == "EnsembleClassifier":
        return {"classes": [_plain_label(label) for label in part.classes]}
    if type(part).__name__ == "SplineTransformer" and hasattr(part, "bsplines_"):
        return {"bsplines_": [(b.t, b.c, b.k, b.extrapolate) for b in part.bsplines_]}
    if type(part).__name__.startswith("KNeighbors") and hasattr(part, "_tree"):
        return {"_tree": None}
    if type(part).__module__ == "lightgbm.sklearn" and hasattr(part._Booster, "model_to_string"):
        # How early stopping went is no part of the model.
        text = lightgbm_text(part._Booster.model_to_string())
        return {"_Booster": text, "_evals_result": {}, "_best_score": {}}
    return {}


def _from_plain(part: Any) -> dict[str, Any]:
    """The inverse of :func:`_to_plain`."""
    from scipy.interpolate import BSpline

    if type(part).__name__ == "FunctionTransformer":
        return _find_function(part)
    if type(part).__name__ == "EnsembleClassifier":
        return {"classes": [_read_label(label) for label in part.classes]}
    if type(part).__name__ == "SplineTransformer" and hasattr(part, "bsplines_"):
        return {"bsplines_": [BSpline(*parts) for parts in part.bsplines_]}
    if type(part).__name__.startswith("KNeighbors") and hasattr(part, "_tree"):
        return {"_tree": _index_neighbours(part)}
    if type(part).__module__ == "lightgbm.sklearn" and part._Booster is not None:
        return {"_Booster": _read_booster(part)}
    return {}


# Labels that are no JSON, each as its kind and what it is made of; others become text.
_LABELS: Final[Mapping[str, tuple[type, Callable[[Any], Any], Callable[..., Any]]]] = {
    "date": (dt.date, dt.date.isoformat, dt.date.fromisoformat),
    "datetime": (dt.datetime, dt.datetime.isoformat, dt.datetime.fromisoformat),
    "time": (dt.time, dt.time.isoformat, dt.time.fromisoformat),
    "timestamp": (pd.Timestamp, pd.Timestamp.isoformat, pd.Timestamp),
    "span": (pd.Timedelta, pd.Timedelta.isoformat, pd.Timedelta),
    "timedelta": (dt.timedelta, str, lambda text: pd.Timedelta(text).to_pytimedelta()),
    "fraction": (Fraction, Fraction.as_integer_ratio, lambda parts: Fraction(*parts)),
    "uuid": (UUID, str, UUID),
    "bytes": (bytes, bytes.hex, bytes.fromhex),
    "decimal": (Decimal, str, Decimal),
}


def _plain_label(label: Any) -> Any:
    plain = label.item() if isinstance(label, (np.bool_, np.number)) else label
    if plain is None or isinstance(plain, (str, int, float)):
        return plain
    if isinstance(plain, tuple):
        return ["tuple", *map(_plain_label, plain)]
    if isinstance(plain, pd.Period):
        return ["period", plain.ordinal, plain.freqstr]
    if isinstance(plain, pd.Interval):
        return ["interval", _plain_label(plain.left), _plain_label(plain.right), plain.closed]
    for name, (kind, write, _) in _LABELS.items():
        if type(plain) is kind:
            return [name, write(plain)]
    return str(plain)


def _read_label(plain: Any) -> Any:
    if not isinstance(plain, list):
        return plain
    kind, *parts = plain
    if kind == "tuple":
        return tuple(map(_read_label, parts))
    if kind == "period":
        return pd.Period(ordinal=parts[0], freq=parts[1])
    if kind == "interval":
        return pd.Interval(_read_label(parts[0]), _read_label(parts[1]), closed=parts[2])
    return _LABELS[kind][2](*parts)


def _plain_functions() -> dict[str, tuple[Callable[..., Any] | None, Mapping[str, Any]]]:
    """What scikit-learn itself puts into the FunctionTransformers of a fitted pipeline, by the name in a file."""
    from sklearn.utils import check_array

    # HistGradientBoosting passes numeric columns through this check.
    check = functools.partial(check_array, dtype=[np.float64], ensure_all_finite=False)
    return {"nothing": (None, {}), "check numbers": (check, {})}


def _name_function(transformer: Any) -> dict[str, Any]:
    from autometa.pipelines.preparation import name_function

    options = transformer.kw_args or {}
    if transformer.inverse_func is None:
        # Partial functions are equal when they look equal.
        wanted = repr((transformer.func, dict(options)))
        for name, (function, given) in _plain_functions().items():
            if repr((function, dict(given))) == wanted:
                return {"func": name, "kw_args": None}
        found = name_function(transformer.func, options)
        if found is not None:
            return {"func": found, "kw_args": None}
    shown = getattr(transformer.func, "__qualname__", repr(transformer.func))
    raise refuse(f"the pipeline holds the function {shown}", OURS)


def _find_function(transformer: Any) -> dict[str, Any]:
    from autometa.pipelines.preparation import find_function

    name = transformer.func
    try:
        if not isinstance(name, str) or transformer.inverse_func is not None:
            raise KeyError(name)
        own = _plain_functions()
        function, options = own[name] if name in own else find_function(name)
    except KeyError as error:
        raise refuse(
            f"the file names the function {name!r}, which is not known", "Use a file written by autometa."
        ) from error
    return {"func": function, "kw_args": dict(options) or None}


def _index_neighbours(model: Any) -> Any:
    """Build the search tree of a nearest-neighbour model again from its rows."""
    from sklearn.neighbors import BallTree, KDTree

    kind = {"kd_tree": KDTree, "ball_tree": BallTree}.get(model._fit_method)
    if kind is None:
        return None
    return kind(
        model._fit_X, model.leaf_size, metric=model.effective_metric_, **model.effective_metric_params_
    )


def _read_booster(model: Any) -> Any:
    import lightgbm

    audit_lightgbm_model(model)
    return lightgbm.Booster(model_str=model._Booster)
