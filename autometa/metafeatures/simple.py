"""Size and types of columns."""

from __future__ import annotations

from typing import Final

import numpy as np

from autometa.metafeatures._sampling import mean_or_nan
from autometa.metafeatures.summary import MetaFeature, Summary

_INF: Final = float("inf")
_STATLOG: Final = "Michie, Spiegelhalter and Taylor (1994)"

FEATURES: Final = (
    MetaFeature(
        "log_n_rows",
        "log10 of the number of rows",
        (0, _INF),
        source=_STATLOG,
        words="how many rows the table has",
    ),
    MetaFeature(
        "log_n_columns",
        "log10 of the number of feature columns",
        (0, _INF),
        source=_STATLOG,
        words="how many columns it has",
    ),
    MetaFeature(
        "log_rows_per_column",
        "log10 of rows per feature column",
        (-_INF, _INF),
        source="Kalousis (2002)",
        words="how many rows there are for each column",
    ),
    MetaFeature(
        "numeric_fraction",
        "share of columns that are numeric",
        (0, 1),
        source=_STATLOG,
        words="how many of its columns are numbers",
    ),
    MetaFeature(
        "categorical_fraction",
        "share of columns that are categorical",
        (0, 1),
        source=_STATLOG,
        words="how many of its columns are categories",
    ),
    MetaFeature(
        "date_fraction", "share of columns that are dates", (0, 1), words="how many of its columns are dates"
    ),
    MetaFeature(
        "ignored_fraction",
        "share of columns that are constant, all missing or ids",
        (0, 1),
        words="how many of its columns are empty, constant or ids",
    ),
    MetaFeature(
        "log_n_numeric",
        "log10 of 1 + the number of numeric columns",
        (0, _INF),
        words="the number of numeric columns",
    ),
    MetaFeature(
        "log_n_categorical",
        "log10 of 1 + the number of categorical columns",
        (0, _INF),
        words="the number of categorical columns",
    ),
    MetaFeature(
        "integer_fraction",
        "share of numeric columns with whole numbers only",
        (0, 1),
        "no numeric column",
        is_scale_invariant=False,
        words="how many numeric columns hold whole numbers",
    ),
    MetaFeature(
        "binary_fraction",
        "share of numeric columns with two distinct values",
        (0, 1),
        "no numeric column",
        words="how many numeric columns hold two values",
    ),
    MetaFeature(
        "few_values_fraction",
        "share of numeric columns with at most 10 distinct values",
        (0, 1),
        "no numeric column",
        words="how many numeric columns hold few values",
    ),
    MetaFeature(
        "distinct_fraction_mean",
        "mean share of distinct among present values of numeric columns",
        (0, 1),
        "no numeric column with a value",
        words="how rarely numbers repeat",
    ),
    MetaFeature(
        "nonnegative_fraction",
        "share of numeric columns without a negative value",
        (0, 1),
        "no numeric column",
        words="how many numeric columns are never negative",
    ),
)


def compute(summary: Summary) -> dict[str, float]:
    """Compute the group, see ``FEATURES``."""
    n_columns = max(summary.n_columns, 1)
    fractions = {
        f"{name}_fraction": summary.n_by_type[name] / n_columns
        for name in ("numeric", "categorical", "date", "ignored")
    }
    return {
        "log_n_rows": float(np.log10(summary.n_rows)),
        "log_n_columns": float(np.log10(n_columns)),
        "log_rows_per_column": float(np.log10(summary.n_rows / n_columns)),
        **fractions,
        "log_n_numeric": float(np.log10(1 + summary.n_by_type["numeric"])),
        "log_n_categorical": float(np.log10(1 + summary.n_by_type["categorical"])),
        **_values_of_numbers(summary),
    }


def _values_of_numbers(summary: Summary) -> dict[str, float]:
    values = summary.numeric[:, summary.is_number]
    n_distinct = summary.n_distinct[summary.is_number]
    n_present = summary.n_present[summary.is_number]
    is_missing = np.isnan(values)
    checks = {
        "integer_fraction": (is_missing | (values == np.round(values))).all(axis=0),
        "binary_fraction": n_distinct == 2,
        "few_values_fraction": n_distinct <= 10,
        "distinct_fraction_mean": n_distinct[n_present > 0] / n_present[n_present > 0],
        "nonnegative_fraction": (is_missing | (values >= 0)).all(axis=0),
    }
    return {name: mean_or_nan(value) for name, value in checks.items()}
