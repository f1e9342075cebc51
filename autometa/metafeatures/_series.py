"""Meta-features as a pandas Series that a notebook shows with their definitions."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from autometa.notebook import render_metafeatures_card


class MetaFeatures(pd.Series):
    """A Series of meta-features; whatever is computed from it is a plain Series."""

    @property
    def _constructor(self) -> Callable[..., pd.Series]:
        return pd.Series

    def _repr_html_(self) -> str:
        from autometa.metafeatures import GROUPS

        groups = [
            (group.name, group.title, [(feature.name, feature.definition) for feature in group.features])
            for group in GROUPS.values()
        ]
        return render_metafeatures_card(self, groups)
