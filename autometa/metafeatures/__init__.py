"""Meta-features: a table described by a fixed set of numbers, in bounded time and memory."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from autometa.errors import UsageError
from autometa.metafeatures import landmarkers, measures
from autometa.metafeatures.summary import MAX_ROWS, Summary
from autometa.notebook import render_metafeatures_card
from autometa.task import Task

if TYPE_CHECKING:
    Groups = str | Sequence[str]

__all__ = [
    "GROUPS",
    "METAFEATURES_VERSION",
    "Group",
    "MetaFeature",
    "Summary",
    "describe_task",
    "extract_metafeatures",
    "metafeature_names",
    "metafeature_words",
]

METAFEATURES_VERSION: Final = 1


@dataclass(frozen=True)
class MetaFeature:
    """The definition of one meta-feature.

    Attributes
    ----------
    name : str
    definition : str
        One line.
    range : tuple of float
        Closed interval of possible values.
    undefined : str, default=""
        When the value is NaN by design; empty if never.
    source : str, default=""
        Paper or book of the definition; empty if it is our own.
    is_scale_invariant : bool, default=True
        Whether a positive factor on a numeric column leaves the value as it is.
    words : str
        What it says of a table, as the end of "What speaks for it: ...".
    """

    name: str
    definition: str
    range: tuple[float, float]
    undefined: str = ""
    source: str = ""
    is_scale_invariant: bool = True
    words: str = field(kw_only=True)


@dataclass(frozen=True)
class Group:
    """Meta-features that are computed together.

    Attributes
    ----------
    name : str
    title : str
        What the group describes, in a few words.
    features : tuple of MetaFeature
        In the order in which they are reported.
    compute : callable
        Pure function of the summary; features that it returns no value for are undefined.
    """

    name: str
    title: str
    features: tuple[MetaFeature, ...]
    compute: Callable[[Summary], dict[str, float]]


def _read_catalogue() -> dict[str, tuple[MetaFeature, ...]]:
    """Return the definitions of the meta-features, by group, in the order in which they are reported."""
    found: dict[str, list[MetaFeature]] = {}
    with Path(__file__).with_name("catalogue.csv").open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            feature = MetaFeature(
                row["name"],
                row["definition"],
                (float(row["low"]), float(row["high"])),
                row["undefined"],
                row["source"],
                row["scale"] == "free",
                words=row["words"],
            )
            found.setdefault(row["group"], []).append(feature)
    return {group: tuple(features) for group, features in found.items()}


_CATALOGUE: Final = _read_catalogue()
GROUPS: Final[Mapping[str, Group]] = MappingProxyType(
    {
        compute.__name__: Group(compute.__name__, title, _CATALOGUE[compute.__name__], compute)
        for title, compute in (
            ("size and types of columns", measures.simple),
            ("missing values, categories, duplicates", measures.structure),
            ("distribution of the numbers", measures.statistical),
            ("what single columns tell of the target", measures.information),
            ("distribution of the target", measures.target),
            ("scores of cheap models on few rows", landmarkers.landmarkers),
        )
    }
)


class MetaFeatures(pd.Series):
    """A Series of meta-features; whatever is computed from it is a plain Series."""

    @property
    def _constructor(self) -> Callable[..., pd.Series]:
        return pd.Series

    def _repr_html_(self) -> str:
        groups = [
            (group.name, group.title, [(feature.name, feature.definition) for feature in group.features])
            for group in GROUPS.values()
        ]
        return render_metafeatures_card(self, groups)


def extract_metafeatures(
    X: Any,
    y: Any,
    *,
    kind: str = "auto",
    groups: Groups = "all",
    max_rows: int = MAX_ROWS,
    random_state: int = 0,
    column_types: Mapping[str, str] | None = None,
) -> pd.Series:
    """Describe a table and its target by meta-features.

    Parameters
    ----------
    X : DataFrame or array-like of shape (n_rows, n_columns)
        Any mix of numbers, strings, categories, booleans, dates and missing values.
    y : array-like of shape (n_rows,), or str
        The target, or the name of its column in `X`.
    kind : {"auto", "classification", "regression", "binary", "multiclass"}, default="auto"
    groups : "all", str or sequence of str, default="all"
        Names of groups, see :data:`GROUPS`.
    max_rows : int, default=3000
        Rows that are looked at; more are sampled, evenly over the target. At least 2.
    random_state : int, default=0
        Seed of all samples. The same seed gives the same values.
    column_types : mapping of str to str, optional
        What to read columns as (numeric, categorical, date, text, ignored), where the guess would be another.

    Returns
    -------
    Series of float64
        Named values in fixed order; NaN where undefined by design. A notebook shows them with their definitions.

    Raises
    ------
    DataError
        When the table or its target cannot be used, see :meth:`autometa.task.Task.from_frame`.
    UsageError
        AM506 when a group is unknown or `max_rows` is less than 2.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> values = extract_metafeatures(*load_iris(return_X_y=True), groups="target")
    >>> round(float(values["class_entropy"]), 3)
    1.585
    """
    task = Task.from_frame(X, y, kind=kind, column_types=column_types)
    return MetaFeatures(describe_task(task, groups=groups, max_rows=max_rows, random_state=random_state))


def describe_task(
    task: Task, *, groups: Groups = "all", max_rows: int = MAX_ROWS, random_state: int = 0
) -> pd.Series:
    """Describe a task by meta-features, see :func:`extract_metafeatures`."""
    selected = select_groups(groups)
    summary = Summary.from_task(task, max_rows=max_rows, random_state=random_state)
    values: dict[str, float] = {}
    for group in selected:
        values.update(group.compute(summary))
    return pd.Series(values, index=metafeature_names(groups), dtype="float64")


def metafeature_names(groups: Groups = "all") -> list[str]:
    """Names of the meta-features of some groups, in the order in which they are reported.

    Parameters
    ----------
    groups : "all", str or sequence of str, default="all"

    Raises
    ------
    UsageError
        AM506 when a group is unknown.
    """
    return [feature.name for group in select_groups(groups) for feature in group.features]


def metafeature_words() -> dict[str, str]:
    """Return what each meta-feature says of a table, by its name."""
    return {feature.name: feature.words for group in GROUPS.values() for feature in group.features}


def select_groups(groups: str | Sequence[str]) -> list[Group]:
    """Find groups by name, in the fixed order.

    Raises
    ------
    UsageError
        AM506 when a name is unknown.
    """
    if isinstance(groups, str):
        groups = list(GROUPS) if groups == "all" else [groups]
    for name in groups:
        if name not in GROUPS:
            raise UsageError(
                "AM506",
                f"meta-feature group {name!r} is not known.",
                f"Choose 'all' or some of: {', '.join(GROUPS)}.",
            )
    return [group for name, group in GROUPS.items() if name in groups]
