"""Distribution of the target."""

from __future__ import annotations

from typing import Final

import numpy as np

from autometa.metafeatures._sampling import ROUNDING, FloatArray, entropy, scale_columns, standardise_columns
from autometa.metafeatures.summary import MetaFeature, Summary

_INF: Final = float("inf")
_NAN: Final = float("nan")
_CLASSES: Final = "regression"
_NUMBERS: Final = "classification"
_FLAT: Final = f"{_NUMBERS}, or constant in the sample"
_STATLOG: Final = "Michie, Spiegelhalter and Taylor (1994)"

FEATURES: Final = (
    MetaFeature(
        "n_classes", "number of classes", (2, _INF), _CLASSES, _STATLOG, words="the number of classes"
    ),
    MetaFeature(
        "class_entropy",
        "Shannon entropy of the class frequencies in bits",
        (0, _INF),
        _CLASSES,
        _STATLOG,
        words="how hard the class is to guess",
    ),
    MetaFeature(
        "class_balance",
        "entropy of the class frequencies, divided by its maximum",
        (0, 1),
        _CLASSES,
        words="how balanced the classes are",
    ),
    MetaFeature(
        "majority_fraction",
        "share of the most frequent class",
        (0, 1),
        _CLASSES,
        "Kalousis (2002)",
        words="how common the commonest class is",
    ),
    MetaFeature(
        "minority_fraction",
        "share of the rarest class",
        (0, 0.5),
        _CLASSES,
        "Kalousis (2002)",
        words="how rare the rarest class is",
    ),
    MetaFeature(
        "log_class_ratio",
        "log10 of the most frequent to the rarest class",
        (0, _INF),
        _CLASSES,
        words="how unequal the classes are",
    ),
    MetaFeature(
        "log_minority_rows",
        "log10 of the number of rows of the rarest class",
        (0, _INF),
        _CLASSES,
        words="how many rows the rarest class has",
    ),
    MetaFeature(
        "log_rows_per_class",
        "log10 of the mean number of rows per class",
        (0, _INF),
        _CLASSES,
        words="how many rows there are for each class",
    ),
    MetaFeature(
        "target_skewness",
        "skewness of the target",
        (-_INF, _INF),
        _NUMBERS,
        "Soares (2004)",
        words="how skewed the target is",
    ),
    MetaFeature(
        "target_log_kurtosis",
        "log10 of the kurtosis of the target; 0.48 if it is normal",
        (0, _INF),
        _FLAT,
        "Soares (2004)",
        words="how heavy the tails of the target are",
    ),
    MetaFeature(
        "target_outlier_fraction",
        "share of targets beyond the quartiles by more than 1.5 interquartile ranges",
        (0, 1),
        _NUMBERS,
        "Tukey (1977)",
        words="how many targets are outliers",
    ),
    MetaFeature(
        "target_tail_ratio",
        "log10 of the 1-99 % range over the interquartile range of the target",
        (0, _INF),
        f"{_NUMBERS}, or equal quartiles",
        words="how far the target reaches beyond its middle half",
    ),
    MetaFeature(
        "target_bimodality",
        "(skewness^2 + 1) / kurtosis of the target",
        (0, 1),
        _FLAT,
        "SAS Institute (1990)",
        words="whether the target has two humps",
    ),
    MetaFeature(
        "target_distinct_fraction",
        "share of distinct values of the target",
        (0, 1),
        _NUMBERS,
        words="how rarely values of the target repeat",
    ),
    MetaFeature(
        "target_mode_fraction",
        "share of the most frequent value of the target",
        (0, 1),
        _NUMBERS,
        words="how common the commonest target is",
    ),
    MetaFeature(
        "target_zero_fraction",
        "share of zeros of the target",
        (0, 1),
        _NUMBERS,
        words="how often the target is zero",
    ),
    MetaFeature(
        "target_integer_fraction",
        "share of whole numbers of the target",
        (0, 1),
        _NUMBERS,
        is_scale_invariant=False,
        words="whether the target is a whole number",
    ),
    MetaFeature(
        "target_nonnegative",
        "1 if the target is never negative, else 0",
        (0, 1),
        _NUMBERS,
        words="whether the target is ever negative",
    ),
    MetaFeature(
        "target_variation",
        "standard deviation of the target over its root mean square",
        (0, 1),
        _NUMBERS,
        words="how much the target varies around its mean",
    ),
    MetaFeature(
        "target_log_gain",
        "how much log(target) is less skewed than the target: the difference of absolute skewness, 0 "
        "unless all targets are positive",
        (-_INF, _INF),
        _NUMBERS,
        words="how much a logarithm straightens the target",
    ),
)


def compute(summary: Summary) -> dict[str, float]:
    """Compute the group, see ``FEATURES``."""
    values = dict.fromkeys((feature.name for feature in FEATURES), _NAN)
    return values | (_numbers(summary) if summary.kind == "regression" else _classes(summary))


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
