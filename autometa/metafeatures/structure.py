"""Missing values, categories and duplicate rows."""

from __future__ import annotations

from typing import Final

import numpy as np

from autometa.metafeatures._sampling import (
    entropy,
    explain_linearly,
    hash_rows,
    max_or_nan,
    mean_or_nan,
    standardise_columns,
    std_or_nan,
)
from autometa.metafeatures.summary import MetaFeature, Summary

_INF: Final = float("inf")
# More than one-hot encoding is good for.
_MANY_LEVELS: Final = 30
_NONE: Final = "no categorical column with a value"

FEATURES: Final = (
    MetaFeature(
        "missing_fraction",
        "share of missing cells",
        (0, 1),
        source="Kalousis (2002)",
        words="how many cells are missing",
    ),
    MetaFeature(
        "missing_columns_fraction",
        "share of columns with a missing value",
        (0, 1),
        source="Kalousis (2002)",
        words="how many columns have missing cells",
    ),
    MetaFeature(
        "missing_rows_fraction",
        "share of rows with a missing value",
        (0, 1),
        source="Kalousis (2002)",
        words="how many rows have missing cells",
    ),
    MetaFeature(
        "missing_fraction_max",
        "largest share of missing cells in a column",
        (0, 1),
        words="how empty the emptiest column is",
    ),
    MetaFeature(
        "missing_response_r2",
        "largest share of the response's variance that one column's missingness explains, adjusted for "
        "chance",
        (0, 1),
        words="how much a missing cell says about the target",
    ),
    MetaFeature(
        "zero_fraction",
        "share of zeros among numeric values",
        (0, 1),
        "no numeric value",
        words="how many numbers are zero",
    ),
    MetaFeature(
        "log_levels_mean",
        "mean over categorical columns of log10 of the number of levels; 0 without any",
        (0, _INF),
        words="how many levels its categories have",
    ),
    MetaFeature(
        "log_levels_max",
        "log10 of the largest number of levels; 0 without categorical columns",
        (0, _INF),
        words="the largest number of levels of a category",
    ),
    MetaFeature(
        "log_levels_std",
        "standard deviation over categorical columns of log10 of the number of levels; 0 without any",
        (0, _INF),
        words="how much the numbers of levels differ",
    ),
    MetaFeature(
        "many_levels_fraction",
        f"share of all columns that are categorical with more than {_MANY_LEVELS} levels",
        (0, 1),
        words="how many categories have many levels",
    ),
    MetaFeature(
        "two_levels_fraction",
        "share of all columns that are categorical with two levels",
        (0, 1),
        words="how many categories have two levels",
    ),
    MetaFeature(
        "level_entropy_mean",
        "mean entropy of categorical columns, divided by its maximum",
        (0, 1),
        _NONE,
        words="how evenly the levels of its categories occur",
    ),
    MetaFeature(
        "top_level_mean",
        "mean share of the most frequent level of categorical columns",
        (0, 1),
        _NONE,
        words="how common the commonest level of a category is",
    ),
    MetaFeature(
        "rare_level_fraction",
        "share of categorical cells whose level occurs less than five times in the sample",
        (0, 1),
        _NONE,
        words="how many cells hold a rare level",
    ),
    MetaFeature(
        "single_level_fraction",
        "share of categorical cells whose level occurs once in the sample: how often new rows bring "
        "unseen levels",
        (0, 1),
        _NONE,
        "Good (1953)",
        words="how often new rows bring unseen levels",
    ),
    MetaFeature(
        "log_encoded_columns",
        "log10 of 1 + the number of columns after one-hot encoding",
        (0, _INF),
        words="how wide the table is after one-hot encoding",
    ),
    MetaFeature(
        "log_rows_per_encoded_column",
        "log10 of the number of rows per column after one-hot encoding",
        (-_INF, _INF),
        words="how many rows there are for each column after one-hot encoding",
    ),
    MetaFeature(
        "duplicate_fraction",
        "share of rows whose features repeat those of another",
        (0, 1),
        words="how many rows repeat another",
    ),
    MetaFeature(
        "conflict_fraction",
        "share of rows whose features repeat those of another with another target",
        (0, 1),
        words="how many equal rows have different targets",
    ),
)


def compute(summary: Summary) -> dict[str, float]:
    """Compute the group, see ``FEATURES``."""
    return {**_missingness(summary), **_categories(summary), **_duplicates(summary)}


def _missingness(summary: Summary) -> dict[str, float]:
    is_missing = np.hstack([~summary.is_present, summary.levels < 0])
    by_column = is_missing.mean(axis=0)
    numbers = summary.numeric[summary.is_present]
    informative = is_missing[:, (by_column > 0) & (by_column < 1)].astype("float64")
    explained = np.zeros(1)
    if informative.size and not summary.is_target_constant:
        explained = explain_linearly(standardise_columns(informative), summary.response)
    return {
        "missing_fraction": float(by_column.mean()),
        "missing_columns_fraction": float((by_column > 0).mean()),
        "missing_rows_fraction": float(is_missing.any(axis=1).mean()),
        "missing_fraction_max": float(by_column.max()),
        "missing_response_r2": float(explained.max()),
        "zero_fraction": mean_or_nan(numbers == 0),
    }


def _categories(summary: Summary) -> dict[str, float]:
    counts = summary.level_counts
    n_levels = (counts > 0).sum(axis=1)
    n_cells = counts.sum(axis=1)
    used = n_cells > 0
    counts, n_levels, n_cells = counts[used], n_levels[used], n_cells[used]
    log_levels = np.log10(n_levels) if len(n_levels) else np.zeros(1)
    n_sampled = summary.numeric.shape[1] + summary.levels.shape[1]
    encoded = (summary.numeric.shape[1] + n_levels.sum()) * (summary.n_columns / n_sampled)
    total = float(n_cells.sum()) or float("nan")
    return {
        "log_levels_mean": mean_or_nan(log_levels),
        "log_levels_max": max_or_nan(log_levels),
        "log_levels_std": std_or_nan(log_levels),
        "many_levels_fraction": float((n_levels > _MANY_LEVELS).sum() / n_sampled),
        "two_levels_fraction": float((n_levels == 2).sum() / n_sampled),
        "level_entropy_mean": mean_or_nan(entropy(counts) / np.log(np.maximum(n_levels, 2))),
        "top_level_mean": mean_or_nan(counts.max(axis=1, initial=0) / n_cells),
        "rare_level_fraction": float(np.where(counts < 5, counts, 0).sum() / total),
        "single_level_fraction": float((counts == 1).sum() / total),
        "log_encoded_columns": float(np.log10(1 + encoded)),
        "log_rows_per_encoded_column": float(np.log10(summary.n_rows / (1 + encoded))),
    }


def _duplicates(summary: Summary) -> dict[str, float]:
    cells = np.hstack([summary.ranks, summary.levels])
    rows = hash_rows(cells)
    pairs = hash_rows(np.stack([rows.view("int64"), summary.target.view("int64")], axis=1))
    n_rows, n_distinct, n_pairs = len(cells), len(np.unique(rows)), len(np.unique(pairs))
    return {
        "duplicate_fraction": 1 - n_distinct / n_rows,
        "conflict_fraction": (n_pairs - n_distinct) / n_rows,
    }
