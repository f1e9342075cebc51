"""The record that describes one meta-feature."""

from __future__ import annotations

from dataclasses import dataclass


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
    """

    name: str
    definition: str
    range: tuple[float, float]
    undefined: str = ""
    source: str = ""
    is_scale_invariant: bool = True
