"""Configurations for few training rows: the defaults, and what was recommended for tables of so few rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from autometa.space import Configuration, SearchSpace

# Places in the design of each algorithm beside the default, its first: what the meta-model, asked about 60 known tables
# at 100 and at 200 rows with their families left out, recommends most often among the first six, and what was run with
# 60 rows before. Neural networks and large forests have one place each: they take half of the time as it is.
PLACES: Final[Mapping[str, Mapping[str, Sequence[int]]]] = {
    "classification": {
        "linear": (3, 6, 12, 14),
        "lightgbm": (2, 5, 7, 10),
        "extra_trees": (3, 10),
        "hist_gradient_boosting": (2,),
        "random_forest": (6,),
        "mlp": (14,),
    },
    "regression": {
        "linear": (4, 12),
        "svm": (11, 14),
        "lightgbm": (5, 10),
        "extra_trees": (6, 10, 12),
        "hist_gradient_boosting": (14,),
        "random_forest": (11,),
        "mlp": (2,),
    },
}


def few_configurations(space: SearchSpace, target: str, seed: int = 0) -> list[Configuration]:
    """Return the configurations to run with few training rows: the default of each algorithm first.

    Parameters
    ----------
    space : SearchSpace
        Of the task's kind.
    target : {"classification", "regression"}
    seed : int, default=0
        Of the space-filling sequence.
    """
    found = space.design(1, seed)
    for algorithm, places in PLACES[target].items():
        if algorithm in space:
            design = SearchSpace([space[algorithm]]).design(max(places) + 1, seed)
            found += [design[place] for place in places]
    return found
