"""What single columns tell of the target, by information theory and by explained variance."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from autometa.metafeatures._sampling import (
    FloatArray,
    IntArray,
    adjust_r2,
    entropy,
    explain_linearly,
    standardise_columns,
)
from autometa.metafeatures.summary import MetaFeature, Summary

_INF: Final = float("inf")
_NAN: Final = float("nan")
# Cells of a table of counts: with 3,000 rows, a cell of 8 bins by 8 classes still has some fifty.
_N_BINS: Final = 8
_MAX_LEVELS: Final = 30
# Columns whose 28 pairs are looked at.
_N_PAIRED: Final = 8
_CONSTANT: Final = "the sampled target is constant"
_SILENT: Final = f"{_CONSTANT}, or no column informs"
_FEW: Final = f"{_CONSTANT}, or fewer than two columns"
_NUMBERS: Final = f"{_CONSTANT}, or no numeric column with two distinct values"
_STATLOG: Final = "Michie, Spiegelhalter and Taylor (1994)"
_MILLER: Final = "Miller (1955)"

FEATURES: Final = (
    MetaFeature(
        "column_entropy_mean",
        "mean entropy of columns in eighths (numeric) or levels, over its maximum",
        (0, 1),
        source=_STATLOG,
        words="how much its columns vary",
    ),
    MetaFeature(
        "information_mean",
        "mean over columns of the mutual information with the target, less the expected value of an "
        "unrelated column, over the entropy of the target",
        (0, 1),
        _CONSTANT,
        _MILLER,
        words="how much a typical column says about the target",
    ),
    MetaFeature(
        "information_max",
        "largest such share of a column",
        (0, 1),
        _CONSTANT,
        _MILLER,
        words="how much its best column says about the target",
    ),
    MetaFeature(
        "information_std",
        "standard deviation of such shares over columns",
        (0, 1),
        _CONSTANT,
        _MILLER,
        words="how unequally columns speak about the target",
    ),
    MetaFeature(
        "information_top3_mean",
        "mean of the three largest such shares",
        (0, 1),
        _CONSTANT,
        _MILLER,
        words="how much its best three columns say about the target",
    ),
    MetaFeature(
        "information_sum",
        "sum of such shares: above 1 the columns repeat each other",
        (0, _INF),
        _CONSTANT,
        _MILLER,
        words="how much its columns repeat each other about the target",
    ),
    MetaFeature(
        "informative_fraction",
        "share of columns whose mutual information with the target is beyond chance (G test, about 1 %)",
        (0, 1),
        _CONSTANT,
        words="how many columns say anything about the target",
    ),
    MetaFeature(
        "log_informative_columns",
        "log10 of the inverse of the sum of squared shares of the columns in the sum of mutual "
        "information: how many columns share it; 0 if none informs",
        (0, _INF),
        _CONSTANT,
        words="on how many columns the signal is spread",
    ),
    MetaFeature(
        "information_evenness",
        "the number of columns that share the information, over the number of columns",
        (0, 1),
        _SILENT,
        words="how evenly the signal is spread over the columns",
    ),
    MetaFeature(
        "noise_fraction",
        "share of the entropy of columns that does not inform of the target",
        (0, 1),
        f"{_CONSTANT}, or no column varies",
        _STATLOG,
        words="how much of its content has nothing to do with the target",
    ),
    MetaFeature(
        "categorical_information_share",
        "share of categorical columns in the sum of mutual information",
        (0, 1),
        _SILENT,
        words="how much of the signal lies in categories",
    ),
    MetaFeature(
        "interaction_max",
        "largest synergy of two of the eight most informative columns in thirds: their joint mutual "
        "information with the target less that of each, over the entropy of the target",
        (-1, 1),
        _FEW,
        words="its strongest interaction of two columns",
    ),
    MetaFeature(
        "interaction_mean",
        "mean such synergy; negative if they repeat each other",
        (-1, 1),
        _FEW,
        words="how much columns say together beyond what they say alone",
    ),
    MetaFeature(
        "explained_mean",
        "mean over columns of the response's variance explained by eighths (numeric) or levels, adjusted "
        "for chance",
        (0, 1),
        _CONSTANT,
        "Goodman and Kruskal (1954)",
        words="how much of the target a typical column explains",
    ),
    MetaFeature(
        "explained_max",
        "largest such share of a column",
        (0, 1),
        _CONSTANT,
        "Goodman and Kruskal (1954)",
        words="how much of the target its best column explains",
    ),
    MetaFeature(
        "linear_explained_mean",
        "mean over numeric columns of the response's variance that each explains linearly, adjusted for "
        "chance",
        (0, 1),
        _NUMBERS,
        words="how much of the target a typical column explains by a straight line",
    ),
    MetaFeature(
        "linear_explained_max",
        "largest such share of a numeric column",
        (0, 1),
        _NUMBERS,
        words="how much of the target its best column explains by a straight line",
    ),
    MetaFeature(
        "monotone_gain",
        "mean over numeric columns of the share explained by ranks less that explained by values, "
        "weighted by the share explained by eighths",
        (-1, 1),
        f"{_NUMBERS}, or none explains anything",
        words="how much better ranks explain the target than values do",
    ),
    MetaFeature(
        "nonlinear_gain",
        "mean over numeric columns of the share explained by eighths less that explained linearly, "
        "weighted likewise",
        (-1, 1),
        f"{_NUMBERS}, or none explains anything",
        words="how bent the relations to the target are",
    ),
)


def compute(summary: Summary) -> dict[str, float]:
    """Compute the group, see ``FEATURES``."""
    values = {feature.name: _NAN for feature in FEATURES}
    codes = _discretise(summary, _N_BINS, _MAX_LEVELS)
    tables = _tabulate(codes, summary.groups)
    by_code = tables.sum(axis=2)
    spread = entropy(by_code)
    values["column_entropy_mean"] = float((spread / np.log(np.maximum((by_code > 0).sum(axis=1), 2))).mean())
    if summary.is_target_constant:
        return values
    excess, is_beyond_chance = _mutual_information(tables)
    information = np.clip(excess, 0.0, 1.0)
    explained = _explained_by_codes(codes, tables, summary)
    values |= _summarise(information, n_numeric=summary.numeric.shape[1])
    values |= {
        "informative_fraction": float(is_beyond_chance.mean()),
        "explained_mean": float(explained.mean()),
        "explained_max": float(explained.max()),
    }
    if spread.sum() > 0:
        of_target = float(entropy(np.bincount(summary.groups)))
        values["noise_fraction"] = 1 - min(float(information.sum() * of_target / spread.sum()), 1.0)
    if len(information) > 1:
        values |= _interactions(summary, information)
    if len(summary.varying):
        values |= _linearity(summary, explained[summary.varying])
    return values


def _discretise(summary: Summary, n_bins: int, n_levels: int) -> IntArray:
    """Quantile bins of numeric columns, most frequent levels of categorical ones; missing values have their own."""
    bins = summary.ranks * n_bins // np.maximum(2 * summary.n_present, 1)
    bins = np.where(summary.is_present, bins, n_bins)
    levels = np.where(summary.levels < 0, n_levels + 1, np.minimum(summary.levels, n_levels))
    return np.hstack([bins, levels])


def _tabulate(codes: IntArray, groups: IntArray) -> FloatArray:
    """Contingency table of each column with the groups, of shape (n_columns, n_codes, n_groups)."""
    n_codes, n_groups = int(codes.max()) + 1, int(groups.max()) + 1
    cells = (codes + n_codes * np.arange(codes.shape[1])) * n_groups + groups[:, None]
    counts = np.bincount(cells.ravel(), minlength=codes.shape[1] * n_codes * n_groups)
    return counts.reshape(codes.shape[1], n_codes, n_groups).astype("float64")


def _mutual_information(tables: FloatArray) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Mutual information beyond its expectation, over the entropy of the groups; and whether it is beyond chance.

    For an unrelated column, 2 n I is about chi-square with (r - 1)(c - 1) degrees of freedom.
    """
    n_rows = tables[0].sum()
    by_code, by_group = tables.sum(axis=2), tables[0].sum(axis=0)
    of_groups = float(entropy(by_group))
    raw = entropy(by_code) + of_groups - entropy(tables.reshape(len(tables), -1))
    freedom = ((by_code > 0).sum(axis=1) - 1) * ((by_group > 0).sum() - 1)
    excess = (raw - freedom / (2 * n_rows)) / of_groups
    return excess, (freedom > 0) & (2 * n_rows * raw > freedom + 2.33 * np.sqrt(2 * freedom))


def _summarise(information: FloatArray, n_numeric: int) -> dict[str, float]:
    total = float(information.sum())
    effective = 1 / float(((information / total) ** 2).sum()) if total > 0 else _NAN
    return {
        "information_mean": float(information.mean()),
        "information_max": float(information.max()),
        "information_std": float(information.std()),
        "information_top3_mean": float(np.sort(information)[-3:].mean()),
        "information_sum": total,
        "log_informative_columns": float(np.log10(max(effective, 1.0))) if total > 0 else 0.0,
        "information_evenness": min(effective / len(information), 1.0) if total > 0 else _NAN,
        "categorical_information_share": float(information[n_numeric:].sum()) / total if total > 0 else _NAN,
    }


def _interactions(summary: Summary, information: FloatArray) -> dict[str, float]:
    """Synergy of pairs among the most informative columns, in thirds or their four most frequent levels."""
    best = np.argsort(-information, kind="stable")[:_N_PAIRED]
    codes = _discretise(summary, n_bins=3, n_levels=4)[:, best]
    first, second = np.triu_indices(len(best), 1)
    alone, _ = _mutual_information(_tabulate(codes, summary.groups))
    joint, _ = _mutual_information(_tabulate(codes[:, first] * 6 + codes[:, second], summary.groups))
    synergy = np.clip(joint - alone[first] - alone[second], -1.0, 1.0)
    return {"interaction_max": float(synergy.max()), "interaction_mean": float(synergy.mean())}


def _explained_by_codes(codes: IntArray, tables: FloatArray, summary: Summary) -> FloatArray:
    """Share of the response's variance between the codes of each column, adjusted for chance."""
    by_code = tables.sum(axis=2)
    if summary.kind == "regression":
        cells = codes + by_code.shape[1] * np.arange(codes.shape[1])
        weights = np.repeat(summary.response[:, 0], codes.shape[1])
        sums = np.bincount(cells.ravel(), weights, minlength=by_code.size).reshape(*by_code.shape, 1)
    else:
        sums = tables - by_code[:, :, None] * (tables[0].sum(axis=0) / summary.n_sampled)
    between = ((sums**2).sum(axis=2) / np.maximum(by_code, 1)).sum(axis=1)
    return adjust_r2(between / (summary.response**2).sum(), (by_code > 0).sum(axis=1) - 1, summary.n_sampled)


def _linearity(summary: Summary, explained: FloatArray) -> dict[str, float]:
    """Compare what values, ranks and bins of the numeric columns explain of the response."""
    ranks = np.where(summary.is_present, summary.ranks, np.nan)[:, summary.varying]
    linear = explain_linearly(summary.standardised, summary.response)
    monotone = explain_linearly(standardise_columns(ranks), summary.response)
    weight = explained / explained.sum() if explained.sum() > 0 else np.full(len(explained), _NAN)
    return {
        "linear_explained_mean": float(linear.mean()),
        "linear_explained_max": float(linear.max()),
        "monotone_gain": float(weight @ (monotone - linear)),
        "nonlinear_gain": float(weight @ (explained - linear)),
    }
