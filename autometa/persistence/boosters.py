"""LightGBM models as text: the part that predicts, and whether every index in it leads somewhere.

The library follows the text without looking; see :mod:`autometa.persistence.audit`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from autometa.persistence.audit import OUTSIDE, refuse, require

_END: Final = "end of trees"
_INTEGER: Final = re.compile(r"-?\d{1,18}")
_OBJECTIVE: Final = re.compile(
    r"(?:regression|regression_l1|huber|quantile|poisson|gamma|tweedie|binary)(?: [\w.:]+)*"
)
_MULTICLASS: Final = re.compile(r"multiclass(?:ova)? num_class:(\d+)(?: sigmoid:\d+(?:\.\d+)?)?")
# The options of a fitted LightGBM model reach the library as text, joined by spaces.
_OPTION: Final = re.compile(r"[\w.:+,-]*")
_HEADER: Final = frozenset(
    (
        *("version", "num_class", "num_tree_per_iteration", "label_index", "max_feature_idx"),
        *("objective", "feature_names", "feature_infos", "average_output", "monotone_constraints"),
    )
)
_TREE_COUNTS: Final = frozenset(("num_leaves", "num_cat"))
_PER_SPLIT: Final = frozenset(
    (
        *("split_feature", "split_gain", "threshold", "decision_type", "left_child", "right_child"),
        *("internal_value", "internal_weight", "internal_count"),
    )
)
_PER_LEAF: Final = frozenset(("leaf_value", "leaf_weight", "leaf_count"))
_TREE_KEYS: Final = (
    _TREE_COUNTS | _PER_SPLIT | _PER_LEAF | {"cat_boundaries", "cat_threshold", "is_linear", "shrinkage"}
)


def lightgbm_text(text: str) -> str:
    """Return the part of a LightGBM model that predicts: without parameters, and without where its trees begin."""
    head, end, _ = text.partition(f"\n{_END}\n")
    if not end:
        raise refuse("the LightGBM model in the file has no end")
    return "\n".join(line for line in head.split("\n") if not line.startswith("tree_sizes=")) + end


def audit_lightgbm(text: Any) -> tuple[int, int]:
    """Refuse the text of a LightGBM model whose trees lead outside; the library would follow them.

    Parameters
    ----------
    text : str
        As :func:`lightgbm_text` returns it.

    Returns
    -------
    n_features, n_outputs : int

    Raises
    ------
    StorageError
        AM602
    ValueError
        When a number is none.
    """
    what = "the LightGBM model in the file is not as LightGBM writes it"
    require(isinstance(text, str) and text.startswith("tree\n") and text.endswith(f"\n{_END}\n"), what)
    require(text.isprintable() or set(text) <= {*map(chr, range(32, 0x110000)), "\n"}, what)
    head, *trees = text.removesuffix(f"{_END}\n").split("\nTree=")
    header = _entries(head.removeprefix("tree\n"), _HEADER)
    n_features = _whole(header["max_feature_idx"]) + 1
    n_outputs = _whole(header["num_tree_per_iteration"])
    require(0 < n_features < 2**31 and 0 < n_outputs < 2**31, what)
    found = _MULTICLASS.fullmatch(header["objective"])
    n_classes = int(found.group(1)) if found else 1
    require(found or _OBJECTIVE.fullmatch(header["objective"]), what)
    require(n_outputs == n_classes == _whole(header["num_class"]), what)
    require(len(trees) % n_outputs == 0, what)
    for name in ("feature_names", "feature_infos"):
        require(len(header[name].split(" ")) == n_features, what)
    for number, tree in enumerate(trees):
        first, _, rest = tree.partition("\n")
        require(first == str(number), what)
        _audit_tree(_entries(rest, _TREE_KEYS), n_features)
    return n_features, n_outputs


def _entries(text: str, known: frozenset[str]) -> dict[str, str]:
    entries: dict[str, str] = {}
    for line in filter(None, text.split("\n")):
        name, sign, value = line.partition("=")
        if name not in known or name in entries or not (sign or name == "average_output"):
            raise refuse(f"the LightGBM model in the file has the entry {name[:40]!r}")
        entries[name] = value
    return entries


def _whole(text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is not a whole number")
    return int(text)


def _audit_tree(tree: Mapping[str, str], n_features: int) -> None:
    n_leaves, n_sets = _whole(tree["num_leaves"]), _whole(tree["num_cat"])
    require(0 < n_leaves < 2**31 and n_sets >= 0, OUTSIDE)
    require(tree.get("is_linear", "0") == "0", "the LightGBM model in the file has linear trees")
    if n_leaves == 1:
        _numbers(tree["leaf_value"], 1)
        require(n_sets == 0, OUTSIDE)
        return
    values = {
        name: _numbers(tree[name], n_leaves - (name in _PER_SPLIT))
        for name in _PER_SPLIT | _PER_LEAF
        if name in tree
    }
    parents = np.arange(n_leaves - 1)
    features, kinds = values["split_feature"], values["decision_type"]
    _check_whole(features, 0, n_features)
    _check_whole(kinds, 0, 16)  # four bits
    require(len(values["leaf_value"]) == n_leaves, OUTSIDE)
    for side in ("left_child", "right_child"):
        child = values[side]
        _check_whole(child, -n_leaves, n_leaves - 1)
        require(np.all((child < 0) | (child > parents)), OUTSIDE)
    by_set = kinds.astype("int64") % 2 == 1
    require(n_sets > 0 or not by_set.any(), OUTSIDE)
    if n_sets:
        _check_whole(values["threshold"][by_set], 0, n_sets)
        bounds = _numbers(tree["cat_boundaries"], n_sets + 1)
        _check_whole(bounds, 0, 2**31)
        require(bounds[0] == 0 and np.all(np.diff(bounds) >= 0), OUTSIDE)
        _check_whole(_numbers(tree["cat_threshold"], int(bounds[-1])), 0, 2**32)


def _numbers(text: str, n: int) -> Any:
    words = text.split(" ") if text else []
    require(len(words) == n, "a tree of the LightGBM model in the file has another size than it says")
    return np.array(words, dtype="float64")


def _check_whole(values: Any, low: int, high: int) -> None:
    require(np.all((values >= low) & (values < high) & (values == np.floor(values))), OUTSIDE)


def audit_lightgbm_model(model: Any) -> None:
    """Refuse a loaded scikit-learn wrapper whose LightGBM model, still a text, does not fit it or leads outside.

    Parameters
    ----------
    model : LGBMClassifier or LGBMRegressor
        With the text in place of the booster.

    Raises
    ------
    StorageError
        AM602
    AttributeError, KeyError, TypeError, ValueError
        When parts of a fitted model are missing or of another type.
    """
    n_features, n_outputs = audit_lightgbm(model._Booster)
    classes = getattr(model, "_classes", None)
    n_classes = 1 if classes is None or len(classes) == 2 else len(classes)
    require(n_features == model._n_features and n_outputs == n_classes)
    for name, value in model.get_params().items():
        require(
            "shape_check" not in str(name) and _OPTION.fullmatch(str(name)),
            f"the LightGBM model in the file has the option {str(name)[:40]!r}",
        )
        if isinstance(value, str):
            require(_OPTION.fullmatch(value), f"the LightGBM model in the file has the option {value[:40]!r}")
