"""Fitted pipelines in files that cannot run code: skops with a closed list of what a file may hold.

A model file is a zip archive: what skops writes, and ``autometa.json`` with the facts about the model. Nothing in it
is ever unpickled, and it never names what to trust. Functions are not stored at all: a FunctionTransformer is stored
with the name of one of our own functions (:data:`autometa.pipelines.FUNCTIONS`).

What the list cannot rule out: numbers inside a tree or a LightGBM model that are wrong on purpose can still crash the
process that predicts with them. The nodes of scikit-learn's trees are therefore checked as well.
"""

from __future__ import annotations

import copy
import functools
import importlib.metadata
import io
import itertools
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from autometa.errors import StorageError

MODEL_SCHEMA: Final = "autometa/model/1"
INFO_MEMBER: Final = "autometa.json"
MAX_BYTES: Final = 8 * 1024**3
LIBRARIES: Final = ("autometa", "scikit-learn", "lightgbm", "numpy", "pandas")
_OURS: Final = "Only pipelines of autometa's own algorithms can be saved and loaded."
_MIN_PROTOCOL: Final = 2  # skops readers of older files check less

_ESTIMATORS: Final = """
    calibration.CalibratedClassifierCV calibration._CalibratedClassifier calibration._SigmoidCalibration
    compose._column_transformer.ColumnTransformer compose._target.TransformedTargetRegressor
    decomposition._truncated_svd.TruncatedSVD
    ensemble._forest.ExtraTreesClassifier ensemble._forest.ExtraTreesRegressor
    ensemble._forest.RandomForestClassifier ensemble._forest.RandomForestRegressor
    ensemble._hist_gradient_boosting.binning._BinMapper
    ensemble._hist_gradient_boosting.gradient_boosting.HistGradientBoostingClassifier
    ensemble._hist_gradient_boosting.gradient_boosting.HistGradientBoostingRegressor
    ensemble._hist_gradient_boosting.predictor.TreePredictor
    feature_extraction.text.HashingVectorizer feature_extraction.text.TfidfTransformer
    impute._base.MissingIndicator impute._base.SimpleImputer
    linear_model._logistic.LogisticRegression linear_model._ridge.Ridge
    neighbors._classification.KNeighborsClassifier neighbors._regression.KNeighborsRegressor
    neural_network._multilayer_perceptron.MLPClassifier neural_network._multilayer_perceptron.MLPRegressor
    neural_network._stochastic_optimizers.AdamOptimizer
    pipeline.FeatureUnion pipeline.Pipeline
    preprocessing._data.QuantileTransformer preprocessing._data.StandardScaler
    preprocessing._encoders.OneHotEncoder preprocessing._encoders.OrdinalEncoder
    preprocessing._function_transformer.FunctionTransformer
    preprocessing._label.LabelBinarizer preprocessing._label.LabelEncoder
    preprocessing._polynomial.SplineTransformer
    svm._classes.SVC svm._classes.SVR
    tree._classes.DecisionTreeClassifier tree._classes.DecisionTreeRegressor
    tree._classes.ExtraTreeClassifier tree._classes.ExtraTreeRegressor
    _loss.link.IdentityLink _loss.link.Interval _loss.link.LogitLink _loss.link.MultinomialLogit
    _loss.loss.HalfBinomialLoss _loss.loss.HalfMultinomialLoss _loss.loss.HalfSquaredError
"""

# What a file may hold: by skops' way of loading it, the types that may be loaded in this way.
ALLOWED: Final[Mapping[str, frozenset[str]]] = {
    loader: frozenset(names.split())
    for loader, names in {
        "JsonNode": "builtins.str",
        "DictNode": "builtins.dict",
        "DefaultDictNode": "collections.defaultdict",
        "ListNode": "builtins.list",
        "TupleNode": "builtins.tuple",
        "SetNode": "builtins.set",
        "SliceNode": "builtins.slice",
        "TypeNode": "builtins.bool builtins.float builtins.int builtins.str collections.OrderedDict numpy.bool"
        " numpy.float32 numpy.float64 numpy.int32 numpy.int64 numpy.str_ numpy.uint64",
        "DTypeNode": "numpy.dtype",
        "NdArrayNode": "numpy.bool numpy.float32 numpy.float64 numpy.int32 numpy.int64 numpy.ndarray numpy.str_"
        " numpy.uint32 numpy.uint64 numpy.uint8",
        "SparseMatrixNode": "scipy.sparse._csr.csr_matrix scipy.sparse._csr.csr_array",
        "RandomStateNode": "numpy.random.mtrand.RandomState",
        "RandomGeneratorNode": "numpy.random._generator.Generator",
        "LossNode": "sklearn._loss._loss.CyHalfBinomialLoss sklearn._loss._loss.CyHalfMultinomialLoss"
        " sklearn._loss._loss.CyHalfSquaredError",
        "TreeNode": "sklearn.tree._tree.Tree",
        "ObjectNode": "lightgbm.basic.Booster lightgbm.sklearn.LGBMClassifier lightgbm.sklearn.LGBMRegressor"
        + "".join(f" sklearn.{name}" for name in _ESTIMATORS.split()),
    }.items()
}


def save_model(path: str | Path, pipeline: Any, info: Mapping[str, Any]) -> None:
    """Write a fitted pipeline and the facts about it into one file, whole or not at all.

    Parameters
    ----------
    path : str or Path
    pipeline : Pipeline
        Fitted; of the parts that :func:`autometa.pipelines.build_pipeline` uses.
    info : mapping
        Plain JSON types, such as kind, metric, target, columns, classes and score. The versions of the libraries and
        the schema are added.

    Raises
    ------
    StorageError
        AM602 when the pipeline holds something that a model file may not hold; AM609 when the file cannot be written.
    """
    import skops.io

    try:
        content = skops.io.dumps(_replace(pipeline, _to_plain, {}), compression=zipfile.ZIP_DEFLATED)
    except (TypeError, AttributeError) as error:
        raise _refuse(f"the pipeline cannot be saved: {_one_line(error)}", _OURS) from error
    facts = {**info, "schema": MODEL_SCHEMA, "libraries": _versions()}
    buffer = io.BytesIO(content)
    with zipfile.ZipFile(buffer, "a", compression=zipfile.ZIP_DEFLATED) as archive:
        _audit(_read_json(archive, "schema.json"), "the pipeline")
        archive.writestr(INFO_MEMBER, json.dumps(facts, indent=1, allow_nan=False))
    _write(Path(path), buffer.getbuffer())


def load_model(path: str | Path) -> tuple[Any, dict[str, Any]]:
    """Read a fitted pipeline and the facts about it.

    Parameters
    ----------
    path : str or Path
        Written by :func:`save_model`.

    Returns
    -------
    pipeline : Pipeline
    info : dict
        As saved, with ``libraries`` (see :func:`version_mismatches`).

    Raises
    ------
    StorageError
        AM602 when the file holds anything that a model may not hold, AM610 when it is no model file.
    """
    import skops.io

    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise StorageError(
            "AM610", f"the model {str(path)!r} cannot be read: {error.strerror}.", "Check the path."
        ) from error
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(member.file_size for member in archive.infolist()) > MAX_BYTES:
                raise _refuse(f"{path.name} unpacks to more than {MAX_BYTES >> 30} GiB", "")
            info = _read_json(archive, INFO_MEMBER)
            schema = _read_json(archive, "schema.json")
    except (zipfile.BadZipFile, KeyError, ValueError, RecursionError, NotImplementedError) as error:
        raise StorageError(
            "AM610",
            f"{path.name} is no model of autometa: {_one_line(error)}.",
            "Use a file written by autometa tune --output.",
        ) from error
    if info.get("schema") != MODEL_SCHEMA:
        raise StorageError(
            "AM610",
            f"{path.name} has the schema {info.get('schema')!r}.",
            f"This autometa reads {MODEL_SCHEMA}.",
        )
    names = _audit(schema, path.name)
    try:
        loaded = skops.io.loads(content, trusted=sorted(names))
        pipeline = _replace(loaded, _from_plain, {})
        _check_trees(pipeline)
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


def _refuse(what: str, cure: str) -> StorageError:
    return StorageError("AM602", f"{what}.", cure)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200].rstrip(".")


def _read_json(archive: zipfile.ZipFile, member: str) -> dict[str, Any]:
    value = json.loads(archive.read(member))
    if not isinstance(value, dict):
        raise ValueError(f"{member} is not an object")
    return value


def _write(path: Path, content: Any) -> None:
    partial = path.with_name(f"{path.name}.partial")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise StorageError(
            "AM609", f"{str(path)!r} cannot be written: {error.strerror}.", "Choose another place."
        ) from error


# -- what a file may hold ------------------------------------------------------------------------------------------


def _audit(schema: dict[str, Any], where: str) -> set[str]:
    """Refuse whatever is not in the closed list; return the names of the types."""
    if schema.get("protocol", 0) < _MIN_PROTOCOL:
        raise _refuse(f"{where} is in an old format of skops", "Save the model again.")
    names = set()
    for loader, name in _nodes(schema):
        if name not in ALLOWED.get(loader, ()):
            raise _refuse(
                f"{where} holds {name} ({loader}), which is not among the types a model may hold",
                _OURS,
            )
        names.add(name)
    return names


def _nodes(schema: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Loader and type of every object in a file."""
    pending: list[Any] = [schema]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            if "__loader__" in value:
                yield str(value["__loader__"]), f"{value.get('__module__')}.{value.get('__class__')}"
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)


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
    if type(part).__name__ == "SplineTransformer" and hasattr(part, "bsplines_"):
        return {"bsplines_": [(b.t, b.c, b.k, b.extrapolate) for b in part.bsplines_]}
    if type(part).__name__.startswith("KNeighbors") and hasattr(part, "_tree"):
        return {"_tree": None}
    return {}


def _from_plain(part: Any) -> dict[str, Any]:
    """The inverse of :func:`_to_plain`."""
    from scipy.interpolate import BSpline

    if type(part).__name__ == "FunctionTransformer":
        return _find_function(part)
    if type(part).__name__ == "SplineTransformer" and hasattr(part, "bsplines_"):
        return {"bsplines_": [BSpline(*parts) for parts in part.bsplines_]}
    if type(part).__name__.startswith("KNeighbors") and hasattr(part, "_tree"):
        return {"_tree": _index_neighbours(part)}
    return {}


def _plain_functions() -> dict[str, tuple[Callable[..., Any] | None, Mapping[str, Any]]]:
    """What scikit-learn itself puts into the FunctionTransformers of a fitted pipeline, by the name in a file."""
    from sklearn.utils import check_array

    # HistGradientBoosting passes numeric columns through this check.
    check = functools.partial(check_array, dtype=[np.float64], ensure_all_finite=False)
    return {"nothing": (None, {}), "check numbers": (check, {})}


def _name_function(transformer: Any) -> dict[str, Any]:
    from autometa.pipelines import name_function

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
    raise _refuse(f"the pipeline holds the function {shown}", _OURS)


def _find_function(transformer: Any) -> dict[str, Any]:
    from autometa.pipelines import find_function

    name = transformer.func
    try:
        if not isinstance(name, str) or transformer.inverse_func is not None:
            raise KeyError(name)
        own = _plain_functions()
        function, options = own[name] if name in own else find_function(name)
    except KeyError as error:
        raise _refuse(
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


# -- trees whose nodes point outside -------------------------------------------------------------------------------


def _check_trees(pipeline: Any) -> None:
    """Refuse trees whose nodes name children or features that do not exist: scikit-learn would follow them."""
    for part in _parts(pipeline, set()):
        for estimator in getattr(part, "estimators_", ()):
            tree = estimator.tree_
            split = np.flatnonzero(tree.children_left != -1)
            children = (tree.children_left[split], tree.children_right[split])
            _check_nodes(split, children, tree.node_count, tree.feature[split], part.n_features_in_)
        for predictor in itertools.chain.from_iterable(getattr(part, "_predictors", ())):
            nodes = predictor.nodes
            split = np.flatnonzero(nodes["is_leaf"] == 0)
            children = (nodes["left"][split], nodes["right"][split])
            _check_nodes(split, children, len(nodes), nodes["feature_idx"][split], part.n_features_in_)
            sets = nodes["bitset_idx"][nodes["is_categorical"] == 1]
            _check_pointers(sets, len(predictor.raw_left_cat_bitsets))


def _check_nodes(parents: Any, children: Sequence[Any], n_nodes: int, features: Any, n_features: int) -> None:
    for child in children:
        # Children stand after their parents, so there can be no circle.
        _check_pointers(child, n_nodes, parents + 1)
    _check_pointers(features, n_features)


def _check_pointers(values: Any, end: int, start: Any = 0) -> None:
    values = values.astype("int64")
    if np.any(values < start) or np.any(values >= end):
        raise _refuse(
            "a tree of the model points to something that does not exist", "Get the file anew from its maker."
        )


def _parts(value: Any, seen: set[int]) -> Iterator[Any]:
    """Every estimator of a pipeline."""
    from sklearn.base import BaseEstimator

    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _parts(item, seen)
    elif isinstance(value, BaseEstimator) or type(value).__name__ == "_CalibratedClassifier":
        yield value
        for item in vars(value).values():
            yield from _parts(item, seen)
