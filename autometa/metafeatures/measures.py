"""Meta-features that no model is fitted for: of the columns, of the target, and of what single columns tell of it.

A function for each group; what it leaves out is undefined. ``catalogue.csv`` says what each name means.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from autometa.metafeatures._sampling import (
    ROUNDING,
    FloatArray,
    IntArray,
    adjust_r2,
    entropy,
    explain_linearly,
    hash_rows,
    max_or_nan,
    mean_or_nan,
    scale_columns,
    standardise_columns,
    std_or_nan,
)
from autometa.metafeatures.summary import Summary

_NAN: Final = float("nan")
# More than one-hot encoding is good for.
_MANY_LEVELS: Final = 30
# Cells of a table of counts: with 3,000 rows, a cell of 8 bins by 8 classes still has some fifty.
_N_BINS: Final = 8
_MAX_LEVELS: Final = 30
# Columns whose 28 pairs are looked at.
_N_PAIRED: Final = 8


def simple(summary: Summary) -> dict[str, float]:
    """Size and types of columns."""
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


def structure(summary: Summary) -> dict[str, float]:
    """Missing values, categories and duplicate rows."""
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


def statistical(summary: Summary) -> dict[str, float]:
    """Distribution of the numeric columns and how they depend on each other."""
    if len(summary.varying) == 0:
        return {}
    return _moments(summary) | _spread(summary) | _dependence(summary.standardised)


def _moments(summary: Summary) -> dict[str, float]:
    n_present = summary.n_present[summary.varying]
    square = summary.standardised**2
    skewness = (square * summary.standardised).sum(axis=0) / n_present
    kurtosis = (square**2).sum(axis=0) / n_present
    log_kurtosis = np.log10(kurtosis)
    return {
        "skewness_mean": float(skewness.mean()),
        "skewness_std": float(skewness.std()),
        "log_kurtosis_mean": float(log_kurtosis.mean()),
        "log_kurtosis_min": float(log_kurtosis.min()),
        "log_kurtosis_max": float(log_kurtosis.max()),
        "normal_fraction": float(((np.abs(skewness) < 0.5) & (np.abs(kurtosis - 3) < 1)).mean()),
        "bimodality_mean": float(((skewness**2 + 1) / kurtosis).mean()),
    }


def _spread(summary: Summary) -> dict[str, float]:
    values, varying = summary.scaled, summary.varying
    n_present = summary.n_present[varying]
    ordered = np.sort(values, axis=0)
    lowest, lower, upper, highest = (_quantile(ordered, n_present, q) for q in (0.01, 0.25, 0.75, 0.99))
    width = upper - lower
    fence = 1.5 * width + ROUNDING
    is_outlier = (values < lower - fence) | (values > upper + fence)
    outliers = is_outlier.sum(axis=0) / n_present
    deviation = np.nanstd(values, axis=0)
    largest = np.max(np.abs(summary.numeric), axis=0, where=summary.is_present, initial=0.0)[varying]
    return {
        "outlier_fraction_mean": float(outliers.mean()),
        "outlier_fraction_max": float(outliers.max()),
        "tail_ratio_mean": mean_or_nan(np.log10((highest - lowest)[width > 0] / width[width > 0])),
        "mode_fraction_mean": float((summary.mode_count[varying] / n_present).mean()),
        "log_scale_std": float((np.log10(deviation) + np.log10(largest)).std()),
        "variation_mean": float((deviation / np.sqrt(np.nanmean(values**2, axis=0))).mean()),
    }


def _quantile(ordered: FloatArray, n_present: IntArray, q: float) -> FloatArray:
    """Quantile of each column by linear interpolation; `ordered` has missing values last."""
    position = q * (n_present - 1)
    below = np.floor(position).astype("int64")
    columns = np.arange(ordered.shape[1])
    low = ordered[below, columns]
    high = ordered[np.minimum(below + 1, n_present - 1), columns]
    return np.asarray(low + (high - low) * (position - below))


def _dependence(standardised: FloatArray) -> dict[str, float]:
    unit = standardised / np.sqrt((standardised**2).sum(axis=0))
    correlation = unit.T @ unit
    n_columns = len(correlation)
    share = np.maximum(np.linalg.eigvalsh(correlation)[::-1], 0.0)
    share /= share.sum()
    spectrum = -(share * np.log(np.maximum(share, 1e-300))).sum()
    values = {
        "pca_first_share": float(share[0]),
        "pca_95_fraction": float(1 + (np.cumsum(share) < 0.95 - 1e-9).sum()) / n_columns,
        "pca_effective_fraction": float(np.exp(spectrum)) / n_columns,
    }
    if n_columns > 1:
        absolute = np.minimum(np.abs(correlation), 1.0)
        pairs = absolute[np.triu_indices(n_columns, 1)]
        partner = np.max(absolute, axis=0, where=~np.eye(n_columns, dtype=bool), initial=0.0)
        values |= {
            "correlation_mean": float(pairs.mean()),
            "correlation_max": float(pairs.max()),
            "correlation_high_fraction": float((pairs > 0.5).mean()),
            "correlation_partner_mean": float(partner.mean()),
        }
    return values


def target(summary: Summary) -> dict[str, float]:
    """Distribution of the target."""
    return _numbers(summary) if summary.kind == "regression" else _classes(summary)


def _classes(summary: Summary) -> dict[str, float]:
    counts = summary.class_counts.astype("float64")
    spread = float(entropy(counts))
    return {
        "n_classes": float(len(counts)),
        "class_entropy": spread / float(np.log(2)),
        "class_balance": spread / float(np.log(len(counts))),
        "majority_fraction": float(counts[0] / counts.sum()),
        "minority_fraction": float(counts[-1] / counts.sum()),
        "log_class_ratio": float(np.log10(counts[0] / counts[-1])),
        "log_minority_rows": float(np.log10(counts[-1])),
        "log_rows_per_class": float(np.log10(counts.mean())),
    }


def _numbers(summary: Summary) -> dict[str, float]:
    values = summary.target
    scaled = scale_columns(values[:, None])[:, 0]
    skewness, kurtosis = _shape(scaled)
    low, quartile, upper, high = np.quantile(scaled, [0.01, 0.25, 0.75, 0.99])
    width = upper - quartile
    fence = 1.5 * width + ROUNDING
    is_outlier = (scaled < quartile - fence) | (scaled > upper + fence)
    counts = np.unique(values, return_counts=True)[1]
    gain = abs(skewness) - abs(_shape(np.log(values))[0]) if values.min() > 0 else 0.0
    return {
        "target_skewness": skewness,
        "target_log_kurtosis": float(np.log10(kurtosis)) if kurtosis > 0 else _NAN,
        "target_outlier_fraction": float(is_outlier.mean()),
        "target_tail_ratio": float(np.log10((high - low) / width)) if width > 0 else _NAN,
        "target_bimodality": (skewness**2 + 1) / kurtosis if kurtosis > 0 else _NAN,
        "target_distinct_fraction": len(counts) / len(values),
        "target_mode_fraction": float(counts.max() / len(values)),
        "target_zero_fraction": float((values == 0).mean()),
        "target_integer_fraction": float((values == np.round(values)).mean()),
        "target_nonnegative": float(values.min() >= 0),
        "target_variation": float(scaled.std() / (np.sqrt((scaled**2).mean()) or 1.0)),
        "target_log_gain": gain,
    }


def _shape(values: FloatArray) -> tuple[float, float]:
    """Skewness and kurtosis, both 0 if all values are equal."""
    standardised = standardise_columns(values[:, None])[:, 0]
    return float((standardised**3).mean()), float((standardised**4).mean())


def information(summary: Summary) -> dict[str, float]:
    """What single columns tell of the target, by information theory and by explained variance."""
    values: dict[str, float] = {}
    codes = _discretise(summary, _N_BINS, _MAX_LEVELS)
    tables = _tabulate(codes, summary.groups)
    by_code = tables.sum(axis=2)
    spread = entropy(by_code)
    values["column_entropy_mean"] = float((spread / np.log(np.maximum((by_code > 0).sum(axis=1), 2))).mean())
    if summary.is_target_constant:
        return values
    excess, is_beyond_chance = _mutual_information(tables)
    gained = np.clip(excess, 0.0, 1.0)
    explained = _explained_by_codes(codes, tables, summary)
    values |= _summarise(gained, n_numeric=summary.numeric.shape[1])
    values |= {
        "informative_fraction": float(is_beyond_chance.mean()),
        "explained_mean": float(explained.mean()),
        "explained_max": float(explained.max()),
    }
    if spread.sum() > 0:
        of_target = float(entropy(np.bincount(summary.groups)))
        values["noise_fraction"] = 1 - min(float(gained.sum() * of_target / spread.sum()), 1.0)
    if len(gained) > 1:
        values |= _interactions(summary, gained)
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
