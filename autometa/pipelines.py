"""From a configuration to an unfitted scikit-learn pipeline, and to a script that builds the same one.

Pipelines take the user's own table: what a column needs (casting, imputing, encoding) is a step of the pipeline.
They hold objects of scikit-learn and LightGBM only, so they outlive autometa.
"""

from __future__ import annotations

import importlib
import inspect
import math
import operator
import types
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import KFold
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    OrdinalEncoder,
    QuantileTransformer,
    SplineTransformer,
    StandardScaler,
    TargetEncoder,
)

from autometa import readings
from autometa._cells import LEVELS
from autometa.algorithms import CALIBRATION_FOLDS, Algorithm, Configuration
from autometa.encoding import Encoding, choose_encoding
from autometa.readings import OF_BYTES, OF_HALVES, Reading
from autometa.space import SearchSpace
from autometa.task import Task

DATE_PARTS: Final = ("year", "month", "day", "day_of_week", "day_of_year", "hour")
DATE_CYCLES: Final = {"month": 12, "day_of_week": 7, "hour": 24}
# Columns into which n-grams of letters, and words, are hashed.
N_LETTER_HASHES: Final = 2**13
N_WORD_HASHES: Final = 2**12
# Power iterations of the SVD: Halko, Martinsson and Tropp (SIAM Review 53, 2011) find one to three enough.
N_ITERATIONS: Final = 3
WORTH_FOLDS: Final = 5  # scikit-learn's default
MAX_ONE_HOT: Final = 25
MAX_LEVELS: Final = 200
LEAST_KNOWN: Final = 20
LEAST_KNOWN_SHARE: Final = 0.02
# Infinities and numbers beyond float32 are numbers like others to these.
_TAKE_ALL_NUMBERS: Final = ("lightgbm", "hist_gradient_boosting")

# What the FunctionTransformers of our pipelines call. Saved models hold these names and never a function, so that
# loading one cannot call anything else (see autometa/persistence.py).
FUNCTIONS: Final[Mapping[str, tuple[Callable[..., Any], Mapping[str, Any]]]] = MappingProxyType(
    {
        "array to frame": (pd.DataFrame, {}),
        "array to numbers": (np.asarray, {"dtype": "float64"}),
        "dates to seconds": (pd.DataFrame.astype, {"dtype": "datetime64[s, UTC]"}),
        "differences of columns": (np.diff, {}),
        "sine": (np.sin, {}),
        "cosine": (np.cos, {}),
        **{
            f"{part} to angle": (pd.DataFrame.mul, {"other": 2 * math.pi / length})
            for part, length in DATE_CYCLES.items()
        },
        **{
            f"{part} of date": (pd.DataFrame.apply, {"func": operator.attrgetter(f"dt.{part}")})
            for part in DATE_PARTS
        },
        "missing to empty text": (pd.Series.fillna, {"value": ""}),
    }
)


def find_function(name: str) -> tuple[Callable[..., Any], Mapping[str, Any]]:
    """Return a function of our pipelines and its options by the name that it has in a model file.

    Raises
    ------
    KeyError
        When there is none of that name.
    """
    return FUNCTIONS[name] if name in FUNCTIONS else readings.find_function(name)


def name_function(function: Any, options: Mapping[str, Any]) -> str | None:
    """Return the name of a function with these options; None for one that is not ours."""
    # Partial functions and attrgetters are equal when they look equal.
    wanted = repr((function, dict(options)))
    own = (name for name, (found, given) in FUNCTIONS.items() if repr((found, dict(given))) == wanted)
    return next(own, None) or readings.name_function(function, options)


def build_pipeline(
    configuration: Configuration, task: Task, *, random_state: int | None = 0, n_jobs: int = 1
) -> Pipeline:
    """Build the unfitted pipeline of a configuration for the columns of a task.

    Parameters
    ----------
    configuration : Configuration
        Beside hyperparameters it may say how columns of words become numbers: ``categories`` and ``text`` (see
        :data:`autometa.space.ENCODINGS`). Without them the rule of :mod:`autometa.encoding` decides.
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
    encoding = _choose_encoding(task, params.pop("categories", "auto"), params.pop("text", "auto"))
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
    preparation = _make_preparation(algorithm, task, scaler, encoding)
    steps: list[tuple[str, Any]] = [("prepare", preparation), ("model", model)]
    if task.is_positional and (encoding.letters or _needs_frame(task)):
        steps.insert(0, ("frame", _apply("array to frame")))
    return Pipeline(steps)


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
    return any(isinstance(part, TargetEncoder) for part in preparation.get_params().values())


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
    return [Pipeline([*before, ("prepare", _joined([block]))]) for block in blocks]


def _choose_encoding(task: Task, categories: Any, text: Any) -> Encoding:
    return choose_encoding(
        {name: task.X[name] for name in task.columns("categorical")},
        {name: task.X[name] for name in task.columns("text")},
        0 if task.kind == "regression" else task.y.nunique(),
        categories=str(categories),
        text_by=str(text),
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


def _make_preparation(algorithm: Algorithm, task: Task, scaler: str, encoding: Encoding) -> ColumnTransformer:
    scaled = algorithm.preprocessing == "scaled"
    blocks: list[tuple[str, Any, Any]] = []
    if levels := list(encoding.levels):
        blocks.append(("categorical", _categorical_steps(task, levels, scaled), _selector(task, levels)))
    empty = [] if scaled else [name for name in task.columns("numeric") if _is_nearly_empty(task.X[name])]
    takes_all = algorithm.name in _TAKE_ALL_NUMBERS
    full = [name for name in task.columns("numeric") if name not in empty]
    for title, reading, names in _groups(task, full, "numeric"):
        steps = _numeric_steps(task, names, reading, scaled, scaler, takes_all)
        blocks.append((title, steps, _selector(task, names)))
    # Histogram-based gradient boosting cannot bin a column without any value among its training rows.
    for title, reading, names in _groups(task, empty, "nearly empty"):
        steps = _numeric_steps(task, names, reading, True, "standard", takes_all)
        blocks.append((title, steps, _selector(task, names)))
    for title, reading, names in _groups(task, task.columns("date"), "date"):
        blocks.append(
            (title, _date_steps(task, names, reading or ("to dates",), scaled), _selector(task, names))
        )
    if worth := list(encoding.worth):
        blocks.append(("worth", _worth_steps(task, worth, scaled), _selector(task, worth)))
    for title, counts in (("letters", encoding.letters), ("words", encoding.words)):
        for i, (name, n_components) in enumerate(counts.items()):
            steps = _text_steps(title, n_components)
            blocks.append((f"{title}{i}", steps, _selector(task, [name])[0]))
    return _joined(blocks)


def _joined(blocks: list[Any]) -> ColumnTransformer:
    """Join blocks whose steps hand each other what they need, whatever scikit-learn is told to return to users."""
    joined = ColumnTransformer([]).set_output(transform="default")
    for _, steps, _ in blocks:
        _return_arrays(steps)
    joined.transformers = blocks
    return joined


def _return_arrays(part: Any) -> None:
    if isinstance(part, Pipeline):
        for step in part.named_steps.values():
            _return_arrays(step)
    elif hasattr(part, "set_output"):  # counts of words have no names, and return matrices in any case
        part.set_output(transform="default")


def _groups(task: Task, names: list[str], title: str) -> list[tuple[str, Reading, list[str]]]:
    """Return the columns that are read alike, each group with a title of its own and its reading."""
    found: dict[Reading, list[str]] = {}
    for name in names:
        found.setdefault(tuple(task.readings.get(name, ())), []).append(name)
    plain_first = sorted(found.items(), key=lambda item: item[0] != ())
    return [
        (title if i == 0 else f"{title} {i + 1}", reading, group)
        for i, (reading, group) in enumerate(plain_first)
    ]


def _is_nearly_empty(column: pd.Series) -> bool:
    """Whether some training rows may well hold no value of a column."""
    n_known = int(column.notna().sum())
    return n_known < max(LEAST_KNOWN, LEAST_KNOWN_SHARE * len(column))


def _selector(task: Task, names: list[str]) -> list[Any]:
    """Columns by name, or by position where the user's own names are not strings."""
    return [task.X.columns.get_loc(name) for name in names] if task.is_positional else names


def _needs_frame(task: Task) -> bool:
    """Whether a step of the preparation is a method of DataFrame, which an array lacks."""
    is_plain = not task.readings and not task.columns("date", "text")
    return not is_plain or any(_needs_cast(task.X[name]) for name in task.X.columns)


def _needs_cast(column: pd.Series) -> bool:
    return (not isinstance(column.dtype, np.dtype) and not isinstance(
        column.dtype, pd.CategoricalDtype
    )) or column.dtype.kind in "bO"  # fmt: skip


def _apply(name: str, feature_names_out: str | None = None) -> FunctionTransformer:
    function, options = find_function(name)
    return FunctionTransformer(function, kw_args=dict(options) or None, feature_names_out=feature_names_out)


def _chain(steps: list[Any]) -> Any:
    if not steps:
        return "passthrough"
    return steps[0] if len(steps) == 1 else make_pipeline(*steps)


def _numeric_steps(
    task: Task, names: list[str], reading: Reading, scaled: bool, scaler: str, takes_all: bool
) -> Any:
    steps = [_apply(name, "one-to-one") for name in reading]
    if any(task.X[name].dtype.kind == "m" for name in names):
        steps += [_apply("times to numbers", "one-to-one"), _apply("no time to missing", "one-to-one")]
    elif not reading and any(_needs_cast(task.X[name]) for name in names):
        steps.append(_apply("to numbers", "one-to-one"))
    elif task.is_positional and not takes_all and not reading:
        steps.append(_apply("array to numbers", "one-to-one"))
    if not takes_all or set(names) & set(task.infinite_columns):
        steps.append(_apply("infinite to missing", "one-to-one"))
    if not takes_all:
        steps.append(_apply("within float32", "one-to-one"))
    return _chain([*steps, *(_scaling_steps(task.n_rows, scaler) if scaled else [])])


def _scaling_steps(n_rows: int, scaler: str) -> list[Any]:
    impute = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    if scaler == "quantile":
        n_quantiles = max(min(n_rows // 4, 1000), 5)
        return [
            impute,
            QuantileTransformer(n_quantiles=n_quantiles, output_distribution="normal", random_state=0),
        ]
    if scaler == "spline":
        return [
            impute,
            SplineTransformer(n_knots=5, degree=3, knots="quantile", extrapolation="linear"),
            StandardScaler(),
        ]
    return [impute, StandardScaler()]


def _level_steps(task: Task, names: list[str]) -> list[Any]:
    """Steps that make one kind of value of levels."""
    steps = _spelling_steps(task, names)
    if any(_needs_cast(task.X[name]) or name in task.readings for name in names) or task.mixed_columns:
        steps.append(_apply("to text", "one-to-one"))
    if any(LEVELS[-1] in task.readings.get(name, ()) for name in names):
        steps.append(_apply(LEVELS[-1], "one-to-one"))
    return steps


def _spelling_steps(task: Task, names: list[str]) -> list[Any]:
    """Steps that make text of what Arrow cannot hold as text."""
    readings_of = dict.fromkeys(step for name in names for step in task.readings.get(name, ()))
    return [_apply(step, "one-to-one") for step in readings_of if step in (*OF_BYTES, *OF_HALVES)]


def _categorical_steps(task: Task, names: list[str], scaled: bool) -> Any:
    steps = _level_steps(task, names)
    if scaled:
        steps.append(OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=MAX_ONE_HOT))
    else:
        steps.append(
            OrdinalEncoder(
                handle_unknown="use_encoded_value",
                unknown_value=math.nan,
                encoded_missing_value=math.nan,
                max_categories=MAX_LEVELS,
            )
        )
    return _chain(steps)


def _date_steps(task: Task, names: list[str], reading: Reading, scaled: bool) -> Any:
    """Time since 1970, time from one column to the next, positions in a year, week and day, and calendar parts.

    Trees find the positions in the parts; the other models get them as points on a circle, on which December lies
    beside January.
    """
    seconds = [_apply("dates to seconds"), _apply("times to numbers"), _apply("no time to missing")]
    features: list[tuple[str, Any]] = [("elapsed", make_pipeline(*seconds))]
    if len(names) > 1:
        features.append(("gaps", make_pipeline(*map(clone, seconds), _apply("differences of columns"))))
    for part in DATE_CYCLES if scaled else ():
        if part != "hour" or _has_hours(task, names):
            circle = FeatureUnion([("sine", _apply("sine")), ("cosine", _apply("cosine"))])
            angle = [_apply(f"{part} of date"), _apply(f"{part} to angle")]
            features.append((f"cycle of {part}", make_pipeline(*angle, circle)))
    features += [(part, _apply(f"{part} of date")) for part in DATE_PARTS]
    return make_pipeline(
        *map(_apply, reading),
        FeatureUnion(features),
        *(_scaling_steps(1000, "standard") if scaled else []),
    )


def _has_hours(task: Task, names: list[str]) -> bool:
    columns = (task.X[name] for name in names if pd.api.types.is_datetime64_any_dtype(task.X[name].dtype))
    return any(bool((column.dt.hour.dropna() != 0).any()) for column in columns)


def _worth_steps(task: Task, names: list[str], scaled: bool) -> Any:
    encoder = TargetEncoder(
        # Told from the values, whole numbers would be taken for classes.
        target_type="continuous" if task.kind == "regression" else "auto",
        # Without strata, for classes rarer than the folds are many.
        cv=KFold(WORTH_FOLDS, shuffle=True, random_state=0),
    )
    return _chain([*_level_steps(task, names), encoder, *([StandardScaler()] if scaled else [])])


def _text_steps(kind: str, n_components: int) -> Any:
    """Components of letters or words, for every algorithm as they are.

    The weights of a row have length one, so that all components of a column together vary like one scaled number. Each
    scaled by itself, they drown the other columns wherever distances count.
    """
    from sklearn.decomposition import TruncatedSVD

    if kind == "letters":
        # As in skrub's StringEncoder: within words, three and four letters.
        counts = HashingVectorizer(
            n_features=N_LETTER_HASHES, analyzer="char_wb", ngram_range=(3, 4), alternate_sign=False
        )
    else:
        counts = HashingVectorizer(n_features=N_WORD_HASHES, alternate_sign=False)
    return make_pipeline(
        _apply("to text"),
        _apply("missing to empty text"),
        counts,
        TfidfTransformer(),
        TruncatedSVD(n_components=n_components, n_iter=N_ITERATIONS, random_state=0),
    )


def pipeline_code(
    pipeline: Pipeline, *, target: str = "target", data: str = "data.csv", score: str = "", read: str = ""
) -> str:
    """Write a script that builds, checks and fits the same pipeline without autometa.

    Parameters
    ----------
    pipeline : Pipeline
        As :func:`build_pipeline` makes it.
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
    if isinstance(value, operator.methodcaller):
        imports.setdefault("operator", set()).add("methodcaller")
        return repr(value).removeprefix("operator.")
    if getattr(value, "__module__", "") == "numpy" or isinstance(value, np.ufunc):
        imports["numpy as np"] = set()
        return f"np.{value.__name__}"
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
