"""What a model file may hold, checked in three steps: the archive, the objects it names, and the numbers inside them.

scikit-learn, libsvm and LightGBM follow the indices of a fitted model without looking whether they lead anywhere: a
file with wrong ones can crash the process that predicts, or make it read what lies beside. Every index that native
code follows is therefore checked here, once, when a model is loaded.
"""

from __future__ import annotations

import io
import itertools
import json
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from autometa.errors import StorageError

OURS: Final = "Only pipelines of autometa's own algorithms can be saved and loaded."
_ANEW: Final = "Get the file anew from its maker."
_MIN_PROTOCOL: Final = 2  # skops readers of older files check less

# What an archive may unpack to. The largest models that we make hold a few arrays for each of 100 classes times 300
# rounds; their arrays shrink to a third or, mostly zeros, to a thirtieth. Small archives may shrink as they like.
MAX_BYTES: Final = 8 * 1024**3
MAX_MEMBERS: Final = 200_000
MAX_RATIO: Final = 100
FREE_BYTES: Final = 64 * 1024**2
# No number of a model has more digits; the state of NumPy's generators has 39.
MAX_DIGITS: Final = 50
_MEMBER: Final = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")
_SPARSE_MEMBERS: Final = frozenset(f"{name}.npy" for name in ("data", "indices", "indptr", "format", "shape"))

_ESTIMATORS: Final = """
    calibration.CalibratedClassifierCV calibration._CalibratedClassifier calibration._SigmoidCalibration
    compose._column_transformer.ColumnTransformer compose._target.TransformedTargetRegressor
    decomposition._truncated_svd.TruncatedSVD
    dummy.DummyClassifier dummy.DummyRegressor
    ensemble._forest.ExtraTreesClassifier ensemble._forest.ExtraTreesRegressor
    ensemble._forest.RandomForestClassifier ensemble._forest.RandomForestRegressor
    ensemble._hist_gradient_boosting.binning._BinMapper
    ensemble._hist_gradient_boosting.gradient_boosting.HistGradientBoostingClassifier
    ensemble._hist_gradient_boosting.gradient_boosting.HistGradientBoostingRegressor
    ensemble._hist_gradient_boosting.predictor.TreePredictor
    feature_extraction.text.HashingVectorizer feature_extraction.text.TfidfTransformer
    impute._base.MissingIndicator impute._base.SimpleImputer
    linear_model._logistic.LogisticRegression linear_model._ridge.Ridge
    model_selection._split.KFold
    neighbors._classification.KNeighborsClassifier neighbors._regression.KNeighborsRegressor
    neural_network._multilayer_perceptron.MLPClassifier neural_network._multilayer_perceptron.MLPRegressor
    neural_network._stochastic_optimizers.AdamOptimizer
    pipeline.FeatureUnion pipeline.Pipeline
    preprocessing._data.QuantileTransformer preprocessing._data.StandardScaler
    preprocessing._encoders.OneHotEncoder preprocessing._encoders.OrdinalEncoder
    preprocessing._function_transformer.FunctionTransformer
    preprocessing._label.LabelBinarizer preprocessing._label.LabelEncoder
    preprocessing._polynomial.SplineTransformer preprocessing._target_encoder.TargetEncoder
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
        "ObjectNode": "autometa.ensemble.EnsembleClassifier autometa.ensemble.EnsembleRegressor"
        " lightgbm.sklearn.LGBMClassifier lightgbm.sklearn.LGBMRegressor"
        + "".join(f" sklearn.{name}" for name in _ESTIMATORS.split()),
    }.items()
}


def refuse(what: str, cure: str = _ANEW) -> StorageError:
    """Return the error of a file that holds what it may not."""
    return StorageError("AM602", f"{what}.", cure)


# -- the archive ---------------------------------------------------------------------------------------------------


def check_archive(archive: zipfile.ZipFile, n_bytes: int, where: str) -> None:
    """Refuse an archive that unpacks to too much, or whose members are not plain, before any of them is read.

    Parameters
    ----------
    archive : ZipFile
    n_bytes : int
        Its size.
    where : str
        Its name in messages.

    Raises
    ------
    StorageError
        AM602
    """
    members = archive.infolist()
    if len(members) > MAX_MEMBERS:
        raise refuse(f"{where} has {len(members):,} members, more than {MAX_MEMBERS:,}")
    if len({member.filename for member in members}) < len(members):
        raise refuse(f"{where} has two members of one name")
    for member in members:
        is_plain = member.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
        if not is_plain or member.flag_bits & 1 or not _MEMBER.fullmatch(member.filename):
            raise refuse(
                f"{where} has the member {member.filename[:80]!r}, which no model file of autometa has"
            )
    _check_sizes(sum(member.file_size for member in members), n_bytes, where)


def _check_sizes(unpacked: int, packed: int, where: str) -> None:
    if unpacked > MAX_BYTES or unpacked > max(MAX_RATIO * packed, FREE_BYTES):
        raise refuse(f"{where} of {packed:,} bytes unpacks to {unpacked:,}, which is too much")


def read_json(archive: zipfile.ZipFile, member: str) -> dict[str, Any]:
    """Read a member that is an object in JSON.

    Raises
    ------
    KeyError, ValueError
        When it is not there, or is something else.
    """
    value = json.loads(archive.read(member), parse_int=_short_int)
    if not isinstance(value, dict):
        raise ValueError(f"{member} is not an object")
    return value


def _short_int(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)


# -- the objects that it names -------------------------------------------------------------------------------------


def audit_schema(archive: zipfile.ZipFile, n_bytes: int, where: str) -> set[str]:
    """Refuse whatever is not in the closed list, without loading anything.

    Parameters
    ----------
    archive : ZipFile
        Written by skops.
    n_bytes : int
        Its size.
    where : str
        Its name in messages.

    Returns
    -------
    set of str
        The types that it holds.

    Raises
    ------
    StorageError
        AM602
    KeyError, ValueError
        When it is damaged.
    """
    schema = read_json(archive, "schema.json")
    protocol = schema.get("protocol")
    if not isinstance(protocol, int) or protocol < _MIN_PROTOCOL:
        raise refuse(f"{where} is in an old format of skops", "Save the model again.")
    names = set()
    known: dict[Any, tuple[Any, ...]] = {}
    read: dict[tuple[Any, str], int] = {}
    for number, node in enumerate(_nodes(schema)):
        loader, name = str(node["__loader__"]), f"{node.get('__module__')}.{node.get('__class__')}"
        if name not in ALLOWED.get(loader, ()):
            raise refuse(
                f"{where} holds {name[:80]!r} ({loader[:40]!r}), which is not among the types a model may hold",
                OURS,
            )
        names.add(name)
        if number_of_object := node.get("__id__"):
            # skops takes a second object of this number for the first, whatever it says.
            looks = (loader, name, str(node.get("file")), node["content"] if loader == "JsonNode" else None)
            if known.setdefault(number_of_object, looks) != looks:
                raise refuse(f"{where} holds two objects of one number")
        if loader == "JsonNode":
            json.loads(node["content"], parse_int=_short_int)
        elif loader == "TreeNode":
            _check_tree_arguments(node, archive)
        if "file" in node:
            # What has no number of its own is read each time that it is named.
            member = str(node["file"])
            unpacked = archive.getinfo(member).file_size
            read[node.get("__id__") or -number - 1, member] = unpacked
            if loader == "SparseMatrixNode":
                _check_sparse(archive.read(member), where)
    _check_sizes(sum(read.values()), n_bytes, where)
    return names


def _nodes(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every object in a file."""
    pending: list[Any] = [schema]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            if "__loader__" in value:
                yield value
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)


def _check_sparse(content: bytes, where: str) -> None:
    """Check the archive that holds the arrays of a sparse matrix."""
    with zipfile.ZipFile(io.BytesIO(content)) as inner:
        check_archive(inner, len(content), where)
        if set(inner.namelist()) != _SPARSE_MEMBERS:
            raise refuse(f"{where} holds a sparse matrix that is none")


def _check_tree_arguments(node: Mapping[str, Any], archive: zipfile.ZipFile) -> None:
    """Check what the constructor of a tree reads without looking at its length: one output, and its classes."""
    _, classes, outputs = node["__reduce__"]["args"]["content"]
    counts = np.load(io.BytesIO(archive.read(classes["file"])), allow_pickle=False)
    if outputs.get("content") != "1" or counts.shape != (1,) or counts.dtype != np.dtype(np.intp):
        raise refuse("a tree of the model has another number of outputs than one")


# -- the numbers inside them ---------------------------------------------------------------------------------------


def audit_pipeline(pipeline: Any) -> None:
    """Refuse a loaded pipeline whose indices lead to something that does not exist.

    Parameters
    ----------
    pipeline : Pipeline
        Loaded and not yet used.

    Raises
    ------
    StorageError
        AM602
    AttributeError, TypeError, ValueError
        When parts that a fitted pipeline has are missing or of another type.
    """
    from scipy.sparse import issparse
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.feature_extraction.text import HashingVectorizer
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
    from sklearn.pipeline import Pipeline
    from sklearn.svm import SVC, SVR

    from autometa.ensemble import EnsembleClassifier, EnsembleRegressor

    is_model = isinstance(pipeline, (Pipeline, EnsembleClassifier, EnsembleRegressor))
    if not is_model or not callable(getattr(pipeline, "predict", None)):
        raise refuse("the file holds no pipeline that predicts")
    # One after the other, not one or the other: a file can give a part attributes of another kind.
    for part in _parts(pipeline):
        if issparse(part):
            part.check_format(full_check=True)
        if isinstance(part, np.ndarray) and part.dtype.kind == "U":
            _check_text(part)
        if not hasattr(part, "__dict__"):
            continue
        held = vars(part).keys()
        if "tree_" in held:
            _check_tree(part.tree_, part.n_features_in_)
        if "estimators_" in held:
            require(all(each.n_features_in_ == part.n_features_in_ for each in part.estimators_))
        if isinstance(part, HashingVectorizer):
            require(type(part.n_features) is int and 0 < part.n_features < 2**31)
        # Owners such as CalibratedClassifierCV keep parts that are not fitted; those refuse to predict.
        is_histogram = isinstance(part, (HistGradientBoostingClassifier, HistGradientBoostingRegressor))
        if is_histogram and "_predictors" in held:
            _check_histogram_trees(part)
        if isinstance(part, (SVC, SVR)) and "support_vectors_" in held:
            _check_support_vectors(part)
        if isinstance(part, (KNeighborsClassifier, KNeighborsRegressor)) and "_fit_X" in held:
            _check_neighbours(part)


def _parts(pipeline: Any) -> Iterator[Any]:
    """Everything that a pipeline holds, each once."""
    seen: dict[int, Any] = {}
    pending = [pipeline]
    while pending:
        value = pending.pop()
        if id(value) in seen or isinstance(value, (str, int, float, bool, type(None))):
            continue
        seen[id(value)] = value
        yield value
        if isinstance(value, dict):
            pending.extend(value.values())
        elif isinstance(value, (list, tuple, set)):
            pending.extend(value)
        elif isinstance(value, np.ndarray):
            pending.extend(value.ravel().tolist() if value.dtype == object else ())
        elif type(value).__module__.startswith(("sklearn.", "lightgbm.")) and hasattr(value, "__dict__"):
            pending.extend(vars(value).values())


def _check_text(array: Any) -> None:
    """Refuse text of numbers that are no characters, which NumPy holds and nothing else can read."""
    if array.dtype.itemsize == 0:
        return
    kind = np.dtype(np.uint32).newbyteorder(array.dtype.byteorder)
    codes = np.ascontiguousarray(array).view(kind)
    is_half = (codes >= 0xD800) & (codes <= 0xDFFF)
    require(not (is_half | (codes > 0x10FFFF)).any(), "text of the model holds what is no character")


def require(condition: Any, what: str = "a part of the model does not fit the others") -> None:
    """Refuse the file where a condition does not hold."""
    if not condition:
        raise refuse(what)


OUTSIDE: Final = "a tree of the model points to something that does not exist"


def _check_tree(tree: Any, n_features: int) -> None:
    require(0 < tree.node_count <= tree.capacity and tree.n_features == n_features, OUTSIDE)
    split = np.flatnonzero(tree.children_left != -1)
    children = (tree.children_left[split], tree.children_right[split])
    _check_nodes(split, children, tree.node_count, tree.feature[split], n_features)


def _check_histogram_trees(model: Any) -> None:
    n_features, bins = model._n_features, model._bin_mapper.is_categorical_
    require(len(bins) == n_features)
    for predictor in itertools.chain.from_iterable(model._predictors):
        nodes = predictor.nodes
        split = np.flatnonzero(nodes["is_leaf"] == 0)
        require(len(nodes), OUTSIDE)
        children = (nodes["left"][split], nodes["right"][split])
        _check_nodes(split, children, len(nodes), nodes["feature_idx"][split], n_features)
        by_category = split[nodes["is_categorical"][split] != 0]
        sets = predictor.raw_left_cat_bitsets
        require(sets.ndim == 2 and sets.shape[1] == 8)  # 256 bits
        _check_pointers(nodes["bitset_idx"][by_category], len(sets))
        require(np.all(bins[nodes["feature_idx"][by_category]]), OUTSIDE)


def _check_nodes(parents: Any, children: Sequence[Any], n_nodes: int, features: Any, n_features: int) -> None:
    for child in children:
        # Children stand after their parents, so there can be no circle.
        _check_pointers(child, n_nodes, parents + 1)
    _check_pointers(features, n_features)


def _check_pointers(values: Any, end: int, start: Any = 0) -> None:
    values = values.astype("int64")
    require(np.all(values >= start) and np.all(values < end), OUTSIDE)


def _check_support_vectors(model: Any) -> None:
    """Check what libsvm reads by the counts of support vectors that it is given."""
    from scipy.sparse import issparse

    is_classifier = hasattr(model, "classes_")
    n_classes = len(model.classes_) if is_classifier else 2
    n_vectors = len(model.support_)
    n_pairs = n_classes * (n_classes - 1) // 2
    require("_impl" not in vars(model) and model.kernel in ("linear", "poly", "rbf", "sigmoid"))
    require(model.support_vectors_.shape == (n_vectors, model.n_features_in_))
    require(tuple(model.shape_fit_)[1:] == (model.n_features_in_,))
    counts = np.asarray(model._n_support)
    require(np.all(counts >= 0) and len(counts) == (n_classes if is_classifier else len(counts)))
    require(not is_classifier or counts.sum() == n_vectors)
    for coefficients in (model._dual_coef_, model.dual_coef_):
        require(coefficients.shape == (n_classes - 1, n_vectors))
        require(not issparse(coefficients) or coefficients.nnz == (n_classes - 1) * n_vectors)
    require(np.shape(model._intercept_) == np.shape(model.intercept_) == (n_pairs,))
    require(len(model._probA) == len(model._probB) and len(model._probA) in (0, n_pairs))


def _check_neighbours(model: Any) -> None:
    n_rows = model._fit_X.shape[0]
    require(model.n_samples_fit_ == n_rows == len(model._y) and 0 < model.n_neighbors <= n_rows)
    require(model._fit_X.shape[1] == model.n_features_in_)
    require(model.effective_metric_ in ("minkowski", "euclidean", "manhattan"))
    if hasattr(model, "classes_"):
        classes = np.asarray(model._y)
        require(classes.ndim == 1 and classes.min() >= 0 and classes.max() < len(model.classes_))
