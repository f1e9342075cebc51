"""Boosted models whose rounds early stopping finds: what large tables want and no space-filling design reaches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from autometa.space.algorithms import MAX_ROUNDS, Configuration, built_in

# Origin of configurations of the dense part that were chosen with a reason.
CHOSEN: Final = "chosen"
BOOSTER: Final = "lightgbm"

# Changes to the library's defaults. Rates, leaves and shares of columns span what gradient boosting is run with on
# tables of ten thousand rows and more (Gorishniy et al. 2021, table of LightGBM's tuned values; LightGBM's own guide
# for larger trees); the shallow and the strongly bound ones are for targets that are nearly additive, or noisy.
LARGER: Final[Sequence[Mapping[str, Any]]] = (
    {"learning_rate": 0.05, "num_leaves": 63, "min_child_samples": 10, "colsample_bytree": 0.8},
    {"learning_rate": 0.03, "num_leaves": 15, "min_child_samples": 30, "colsample_bytree": 0.5},
    {
        "learning_rate": 0.03,
        "num_leaves": 128,
        "min_child_samples": 5,
        "colsample_bytree": 0.6,
        "subsample": 0.8,
        "reg_lambda": 1.0,
    },
    {"learning_rate": 0.05, "num_leaves": 31, "min_child_samples": 40, "reg_lambda": 10.0},
)
_ALL: Final[Sequence[Mapping[str, Any]]] = (
    {},
    *LARGER,
    {
        "learning_rate": 0.05,
        "num_leaves": 400,
        "min_child_samples": 20,
        "subsample": 0.8,
        "reg_lambda": 3.0,
    },
    {"learning_rate": 0.08, "num_leaves": 6, "min_child_samples": 20, "colsample_bytree": 0.6},
)
_LAST: Final[Mapping[str, Mapping[str, Any]]] = {
    "classification": {
        "class_weight": "balanced",
        "learning_rate": 0.05,
        "num_leaves": 31,
        "colsample_bytree": 0.7,
    },
    "regression": {
        "learning_rate": 0.03,
        "num_leaves": 48,
        "min_child_samples": 100,
        "colsample_bytree": 0.4,
        "subsample": 0.6,
        "reg_lambda": 10.0,
    },
}


def grown_configurations(target: str) -> list[Configuration]:
    """Return the boosted models of a target whose rounds are found: LightGBM's default first, then seven others.

    Parameters
    ----------
    target : {"classification", "regression"}
    """
    default = built_in(target)[BOOSTER].default
    return [
        Configuration(BOOSTER, {**default, **change, "n_estimators": MAX_ROUNDS}, CHOSEN)
        for change in (*_ALL, _LAST[target])
    ]


def finds_rounds(configuration: Configuration) -> bool:
    """Whether a configuration leaves its number of rounds to early stopping."""
    return configuration.algorithm == BOOSTER and configuration.params.get("n_estimators") == MAX_ROUNDS
