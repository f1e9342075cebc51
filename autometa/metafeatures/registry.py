"""All groups of meta-features, in the order in which they are reported."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from autometa.errors import UsageError
from autometa.metafeatures import information, landmarkers, simple, statistical, structure, target
from autometa.metafeatures.definition import MetaFeature
from autometa.metafeatures.summary import Summary


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
