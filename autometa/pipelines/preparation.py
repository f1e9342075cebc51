"""What a column needs before an algorithm: casting, imputing, scaling, encoding, as a ColumnTransformer.

It holds objects of scikit-learn only, and the functions that ``FUNCTIONS`` and :mod:`autometa.tables.functions` name.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    OrdinalEncoder,
    QuantileTransformer,
    SplineTransformer,
    StandardScaler,
)

from autometa.space.algorithms import Algorithm
from autometa.space.encoders import WORDS, Encoder, Encoding, Need, known_encoders
from autometa.tables import functions
from autometa.tables.cells import LEVELS
from autometa.tables.readings import OF_BYTES, OF_HALVES, Reading
from autometa.task import Task

DATE_PARTS: Final = ("year", "month", "day", "day_of_week", "day_of_year", "hour")
DATE_CYCLES: Final = {"month": 12, "day_of_week": 7, "hour": 24}
# A coefficient for every n-gram says more than those of a few components. Other algorithms need few columns.
_TAKE_ALL_WORDS: Final = ("linear",)
# Columns of text, times classes, of which all n-grams are taken: logistic regression on five columns of two classes
# took five times as long as on their components, and said no more.
MAX_WHOLE: Final = 8
MAX_ONE_HOT: Final = 25
MAX_LEVELS: Final = 200
LEAST_KNOWN: Final = 20
LEAST_KNOWN_SHARE: Final = 0.02
# Infinities and numbers beyond float32 are numbers like others to these.
_TAKE_ALL_NUMBERS: Final = ("lightgbm", "hist_gradient_boosting")

# What the FunctionTransformers of our pipelines call. Saved models hold these names and never a function, so that
# loading one cannot call anything else (see autometa/persistence/__init__.py).
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
        "within ten deviations": (np.clip, {"a_min": -10.0, "a_max": 10.0}),
        "frame to its column": (pd.DataFrame.squeeze, {"axis": 1}),
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
    return FUNCTIONS[name] if name in FUNCTIONS else functions.find_function(name)


def name_function(function: Any, options: Mapping[str, Any]) -> str | None:
    """Return the name of a function with these options; None for one that is not ours."""
    wanted = functions.looks(function, options)
    own = (name for name, found in FUNCTIONS.items() if functions.looks(*found) == wanted)
    return next(own, None) or functions.name_function(function, options)


def make_preparation(algorithm: Algorithm, task: Task, scaler: str, encoding: Encoding) -> ColumnTransformer:
    """Make the unfitted preparation of a task's columns for an algorithm.

    Parameters
    ----------
    algorithm : Algorithm
        Its ``preprocessing`` says whether numbers are scaled, and levels become zeros and ones or integers.
    task : Task
        Its column types and readings decide the blocks.
    scaler : {"standard", "quantile", "spline"}
        How numbers are scaled, for algorithms whose numbers are.
    encoding : Encoding
        How columns of words are read.

    Returns
    -------
    ColumnTransformer
        Coded levels come first in its output.
    """
    scaled = algorithm.preprocessing == "scaled"
    blocks: list[tuple[str, Any, Any]] = []
    for title, names in _by_spelling(task, encoding.levels, "categorical"):
        blocks.append((title, _categorical_steps(task, names, scaled), _selector(task, names)))
    # Histogram-based gradient boosting cannot bin a column without any value among its training rows.
    is_empty = set() if scaled else _nearly_empty(task, task.columns("numeric", "date"))
    empty = [name for name in task.columns("numeric") if name in is_empty]
    takes_all = algorithm.name in _TAKE_ALL_NUMBERS
    full = [name for name in task.columns("numeric") if name not in is_empty]
    for title, reading, names in _groups(task, full, "numeric"):
        steps = _numeric_steps(task, names, reading, scaled, scaler, takes_all)
        blocks.append((title, steps, _selector(task, names)))
    for title, reading, names in _groups(task, empty, "nearly empty"):
        # Not even boosting's own input: what is imputed and scaled has to be dense and finite.
        steps = _numeric_steps(task, names, reading, True, "standard", takes_all=False)
        blocks.append((title, steps, _selector(task, names)))
    dates = task.columns("date")
    full_dates, empty_dates = [n for n in dates if n not in is_empty], [n for n in dates if n in is_empty]
    for what, of_kind, is_scaled in (("date", full_dates, scaled), ("nearly empty date", empty_dates, True)):
        for title, reading, names in _groups(task, of_kind, what):
            steps = _date_steps(task, names, reading or ("to dates",), is_scaled)
            blocks.append((title, steps, _selector(task, names)))
    return join_blocks([*blocks, *_encoded_blocks(algorithm, task, encoding)])


def join_blocks(blocks: list[Any]) -> ColumnTransformer:
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


def _nearly_empty(task: Task, names: list[str]) -> set[str]:
    """Return the columns of which some training rows may well hold no value."""
    n_known = task.X[names].notna().sum()
    return set(n_known.index[n_known < max(LEAST_KNOWN, LEAST_KNOWN_SHARE * task.n_rows)])


def _selector(task: Task, names: list[str]) -> list[Any]:
    """Columns by name, or by position where the user's own names are not strings."""
    return [task.X.columns.get_loc(name) for name in names] if task.is_positional else names


def needs_frame(task: Task) -> bool:
    """Whether a step of the preparation is a method of DataFrame, which an array lacks."""
    is_plain = not task.readings and not task.columns("date", "text")
    return not is_plain or any(map(_needs_cast, task.X.dtypes))


def _needs_cast(dtype: Any) -> bool:
    return not isinstance(dtype, (np.dtype, pd.CategoricalDtype)) or dtype.kind in "bO"


def apply(name: str, feature_names_out: str | None = None) -> FunctionTransformer:
    """Return a step that calls one of our functions.

    Parameters
    ----------
    name : str
        As in ``FUNCTIONS`` or :mod:`autometa.tables.functions`.
    feature_names_out : str or None, default=None
        As FunctionTransformer takes it.

    Returns
    -------
    FunctionTransformer

    Raises
    ------
    KeyError
        When there is none of that name.
    """
    function, options = find_function(name)
    return FunctionTransformer(function, kw_args=dict(options) or None, feature_names_out=feature_names_out)


def _chain(steps: list[Any]) -> Any:
    if not steps:
        return "passthrough"
    return steps[0] if len(steps) == 1 else make_pipeline(*steps)


def _numeric_steps(
    task: Task, names: list[str], reading: Reading, scaled: bool, scaler: str, takes_all: bool
) -> Any:
    steps = [apply(name, "one-to-one") for name in reading]
    dtypes = set(task.X.dtypes[names])
    if any(dtype.kind == "m" for dtype in dtypes):
        steps += [apply("times to numbers", "one-to-one"), apply("no time to missing", "one-to-one")]
    elif not reading and any(map(_needs_cast, dtypes)):
        steps.append(apply("to numbers", "one-to-one"))
    elif task.is_positional and not takes_all and not reading:
        steps.append(apply("array to numbers", "one-to-one"))
    if not takes_all or set(names) & set(task.infinite_columns):
        steps.append(apply("infinite to missing", "one-to-one"))
    if not takes_all:
        steps.append(apply("within float32", "one-to-one"))
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
    # What lies farther out than anything in training would take a linear model or a network anywhere.
    return [impute, StandardScaler(), apply("within ten deviations", "one-to-one")]


def _by_spelling(task: Task, names: Iterable[str], title: str) -> list[tuple[str, list[str]]]:
    """Return columns apart whose levels need different steps: each is looked at cell by cell only where it must be."""
    found: dict[tuple[bool, Reading], list[str]] = {}
    for name in names:
        reading = tuple(task.readings.get(name, ()))
        of_letters = tuple(step for step in reading if step in (*OF_BYTES, *OF_HALVES))
        found.setdefault((LEVELS[-1] in reading, of_letters), []).append(name)
    return [(title if i == 0 else f"{title} {i + 1}", found[key]) for i, key in enumerate(sorted(found))]


def _level_steps(task: Task, names: list[str]) -> list[Any]:
    """Steps that make one kind of value of levels."""
    steps = _spelling_steps(task, names)
    if any(_needs_cast(task.X[name].dtype) or name in task.readings for name in names) or task.mixed_columns:
        steps.append(apply("to text", "one-to-one"))
    if any(LEVELS[-1] in task.readings.get(name, ()) for name in names):
        steps.append(apply(LEVELS[-1], "one-to-one"))
    return steps


def _spelling_steps(task: Task, names: list[str]) -> list[Any]:
    """Steps that make text of what Arrow cannot hold as text."""
    readings_of = dict.fromkeys(step for name in names for step in task.readings.get(name, ()))
    return [apply(step, "one-to-one") for step in readings_of if step in (*OF_BYTES, *OF_HALVES)]


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
    seconds = [apply("dates to seconds"), apply("times to numbers"), apply("no time to missing")]
    features: list[tuple[str, Any]] = [("elapsed", make_pipeline(*seconds))]
    if len(names) > 1:
        features.append(("gaps", make_pipeline(*map(clone, seconds), apply("differences of columns"))))
    for part in DATE_CYCLES if scaled else ():
        if part != "hour" or _has_hours(task, names):
            circle = FeatureUnion([("sine", apply("sine")), ("cosine", apply("cosine"))])
            angle = [apply(f"{part} of date"), apply(f"{part} to angle")]
            features.append((f"cycle of {part}", make_pipeline(*angle, circle)))
    features += [(part, apply(f"{part} of date")) for part in DATE_PARTS]
    return make_pipeline(
        *map(apply, reading),
        FeatureUnion(features),
        *(_scaling_steps(1000, "standard") if scaled else []),
    )


def _has_hours(task: Task, names: list[str]) -> bool:
    columns = (task.X[name] for name in names if pd.api.types.is_datetime64_any_dtype(task.X[name].dtype))
    return any(bool((column.dt.hour.dropna() != 0).any()) for column in columns)


def _encoded_blocks(algorithm: Algorithm, task: Task, encoding: Encoding) -> list[tuple[str, Any, Any]]:
    """Return a block for each encoder of levels, and for each column that is read as text."""
    whole = task.columns("text") if algorithm.name in _TAKE_ALL_WORDS else []
    if len(whole) * max(len(task.classes), 1) > MAX_WHOLE:
        whole = []
    read = [(encoder, encoding.columns[name]) for name, encoder in known_encoders().items()]
    blocks: list[tuple[str, Any, Any]] = []

    def make(encoder: Encoder, n_components: int | None) -> list[Any]:
        return encoder.make(Need(task.kind, algorithm.preprocessing == "scaled", n_components))

    def add_text(title: str, name: str, steps: list[Any]) -> None:
        spelling = _spelling_steps(task, [name])  # of frames
        columns = _selector(task, [name])
        if spelling:
            spelling.append(apply("frame to its column"))
        clean = [*spelling, apply("to text"), apply("missing to empty text")]
        blocks.append((title, make_pipeline(*clean, *steps), columns if spelling else columns[0]))

    for encoder, columns in read:
        if encoder.takes == "levels":
            for title, names in _by_spelling(task, columns, encoder.name):
                steps = _chain([*_level_steps(task, names), *make(encoder, None)])
                blocks.append((title, steps, _selector(task, names)))
    for encoder, columns in read:
        if encoder.takes == "text":
            for i, (name, n_components) in enumerate(columns.items()):
                n_kept = None if name in whole else n_components
                add_text(f"{encoder.name}{i}", name, make(encoder, n_kept))
    # What is taken whole is read by its words and pairs of them besides.
    for i, name in enumerate(name for name in whole if name not in encoding.columns[WORDS.name]):
        add_text(f"pairs{i}", name, make(WORDS, None))
    return blocks
