"""What a meta-feature is: its name, definition, source and range; and the reference page made from that."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from autometa.errors import UsageError
from autometa.metafeatures import information, landmarkers, simple, statistical, structure, target
from autometa.metafeatures._sampling import MAX_COLUMNS
from autometa.metafeatures.definition import MetaFeature
from autometa.metafeatures.summary import MAX_CLASSES, MAX_ROWS, Summary


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
        Pure function of the summary that returns a value for each feature.
    """

    name: str
    title: str
    features: tuple[MetaFeature, ...]
    compute: Callable[[Summary], dict[str, float]]


GROUPS: Final[Mapping[str, Group]] = MappingProxyType(
    {
        group.name: group
        for group in (
            Group("simple", "size and types of columns", simple.FEATURES, simple.compute),
            Group(
                "structure", "missing values, categories, duplicates", structure.FEATURES, structure.compute
            ),
            Group("statistical", "distribution of the numbers", statistical.FEATURES, statistical.compute),
            Group(
                "information",
                "what single columns tell of the target",
                information.FEATURES,
                information.compute,
            ),
            Group("target", "distribution of the target", target.FEATURES, target.compute),
            Group(
                "landmarkers", "scores of cheap models on few rows", landmarkers.FEATURES, landmarkers.compute
            ),
        )
    }
)


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


def reference_page() -> str:
    """Return the reference page of all meta-features as Markdown."""
    n_features = sum(len(group.features) for group in GROUPS.values())
    parts = [
        _INTRODUCTION.format(
            n_features=n_features,
            n_groups=len(GROUPS),
            max_rows=MAX_ROWS,
            max_columns=MAX_COLUMNS,
            max_classes=MAX_CLASSES,
            max_landmark_rows=landmarkers.MAX_LANDMARK_ROWS,
        )
    ]
    for group in GROUPS.values():
        parts.append(f"\n## {group.name}: {group.title}\n\n{_HEADER}")
        parts.extend(_table_row(feature) for feature in group.features)
    return "\n".join(parts) + "\n"


_HEADER: Final = "| name | definition | range | undefined (NaN) | scale | source |\n|---|---|---|---|---|---|"
_INTRODUCTION: Final = """\
# Meta-features

The {n_features} numbers in {n_groups} groups by which autometa describes a table. Their names and order are fixed,
and each is finite or, where its definition says so, NaN. All of them ignore the order of rows and columns and the
names of columns, categories and classes. Those marked *invariant* under "scale" also ignore the unit (a positive
factor) of each numeric column and of a numeric target.

Sizes and counts of column types are those of the whole table. Everything else is measured on a seeded sample of at
most {max_rows:,} rows (spread evenly over the target) and {max_columns} columns; a table that fits is measured in full,
and only then does its order not matter to the last bit. Dates enter as days and texts as their length. Infinities
count as missing.

The *response* is the numeric target, standardised and clipped at four standard deviations, or a 0/1 column per class
(the {max_classes} most frequent classes; all others share one). So one definition serves regression and classification:
a share of explained variance is R2 in the one and the Brier skill score in the other.

Landmarkers train on one half of at most {max_landmark_rows} rows and are judged on the other, then the other way round.
Their *skill* is the share of the response's variance around its mean in the training rows that they explain, at least
-1. Their *ranking skill* is the covariance of the ranks of predictions and response, over that of a perfect ranking:
for classes 2 AUC - 1, averaged over them.

This page is written by `autometa.metafeatures.registry.reference_page()`."""


def _table_row(feature: MetaFeature) -> str:
    low, high = (f"{bound:g}" for bound in feature.range)
    scale = "invariant" if feature.is_scale_invariant else "depends"
    return (
        f"| `{feature.name}` | {feature.definition} | {low} .. {high} "
        f"| {feature.undefined or 'never'} | {scale} | {feature.source or 'own'} |"
    )
