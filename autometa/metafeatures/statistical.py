"""Distribution of the numeric columns and how they depend on each other."""

from __future__ import annotations

from typing import Final

import numpy as np

from autometa.metafeatures._sampling import ROUNDING, FloatArray, IntArray, mean_or_nan
from autometa.metafeatures.summary import MetaFeature, Summary

_INF: Final = float("inf")
_ONE: Final = "no numeric column with two distinct values"
_TWO: Final = "fewer than two numeric columns with two distinct values"
_STATLOG: Final = "Michie, Spiegelhalter and Taylor (1994)"

FEATURES: Final = (
    MetaFeature(
        "skewness_mean",
        "mean skewness of columns",
        (-_INF, _INF),
        _ONE,
        _STATLOG,
        words="how skewed its numbers are",
    ),
    MetaFeature(
        "skewness_std",
        "standard deviation of the skewness of columns",
        (0, _INF),
        _ONE,
        words="how much the skewness of its columns differs",
    ),
    MetaFeature(
        "log_kurtosis_mean",
        "mean over columns of log10 of the kurtosis; 0.48 for a normal column",
        (0, _INF),
        _ONE,
        _STATLOG,
        words="how heavy the tails of its numbers are",
    ),
    MetaFeature(
        "log_kurtosis_min",
        "least log10 of the kurtosis of a column",
        (0, _INF),
        _ONE,
        words="how light the lightest tails of a column are",
    ),
    MetaFeature(
        "log_kurtosis_max",
        "largest log10 of the kurtosis of a column",
        (0, _INF),
        _ONE,
        words="how heavy the heaviest tails of a column are",
    ),
    MetaFeature(
        "normal_fraction",
        "share of columns with absolute skewness below 0.5 and absolute excess kurtosis below 1",
        (0, 1),
        _ONE,
        words="how many columns look like a bell curve",
    ),
    MetaFeature(
        "bimodality_mean",
        "mean over columns of (skewness^2 + 1) / kurtosis",
        (0, 1),
        _ONE,
        "SAS Institute (1990)",
        words="how often columns have two humps",
    ),
    MetaFeature(
        "outlier_fraction_mean",
        "mean share of values beyond the quartiles by more than 1.5 interquartile ranges",
        (0, 1),
        _ONE,
        "Tukey (1977)",
        words="how many numbers are outliers",
    ),
    MetaFeature(
        "outlier_fraction_max",
        "largest such share of a column",
        (0, 1),
        _ONE,
        "Tukey (1977)",
        words="how many outliers its worst column has",
    ),
    MetaFeature(
        "tail_ratio_mean",
        "mean over columns of log10 of the 1-99 % range over the interquartile range",
        (0, _INF),
        f"{_ONE} and different quartiles",
        words="how far its numbers reach beyond their middle half",
    ),
    MetaFeature(
        "mode_fraction_mean",
        "mean share of the most frequent value of columns",
        (0, 1),
        _ONE,
        words="how often a column repeats one value",
    ),
    MetaFeature(
        "log_scale_std",
        "standard deviation over columns of log10 of their standard deviation",
        (0, _INF),
        _ONE,
        is_scale_invariant=False,
        words="how much the scales of its columns differ",
    ),
    MetaFeature(
        "variation_mean",
        "mean over columns of the standard deviation over the root mean square",
        (0, 1),
        _ONE,
        words="how much its numbers vary around their mean",
    ),
    MetaFeature(
        "correlation_mean",
        "mean absolute correlation of pairs of columns",
        (0, 1),
        _TWO,
        _STATLOG,
        words="how strongly its columns are correlated",
    ),
    MetaFeature(
        "correlation_max",
        "largest absolute correlation of a pair of columns",
        (0, 1),
        _TWO,
        words="its most correlated pair of columns",
    ),
    MetaFeature(
        "correlation_high_fraction",
        "share of pairs of columns with absolute correlation above 0.5",
        (0, 1),
        _TWO,
        words="how many pairs of columns are strongly correlated",
    ),
    MetaFeature(
        "correlation_partner_mean",
        "mean over columns of the largest absolute correlation with another",
        (0, 1),
        _TWO,
        words="how well columns can be told from one other column",
    ),
    MetaFeature(
        "pca_first_share",
        "share of variance of the first principal component of standardised columns",
        (0, 1),
        _ONE,
        "Bardenet et al. (2013)",
        words="how much one direction says about all numeric columns",
    ),
    MetaFeature(
        "pca_95_fraction",
        "share of principal components that hold 95 % of the variance",
        (0, 1),
        _ONE,
        "Bardenet et al. (2013)",
        words="how few directions hold almost all of its variance",
    ),
    MetaFeature(
        "pca_effective_fraction",
        "exponential of the entropy of the shares of variance, per column",
        (0, 1),
        _ONE,
        "Roy and Vetterli (2007)",
        words="how many independent directions its columns have",
    ),
)


def compute(summary: Summary) -> dict[str, float]:
    """Compute the group, see ``FEATURES``."""
    undefined = {feature.name: float("nan") for feature in FEATURES}
    if len(summary.varying) == 0:
        return undefined
    return undefined | _moments(summary) | _spread(summary) | _dependence(summary.standardised)


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
