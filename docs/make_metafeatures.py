"""Write ``docs/reference/metafeatures.md`` from the registry of meta-features: ``python docs/make_metafeatures.py``."""

from __future__ import annotations

from pathlib import Path

from autometa.metafeatures import GROUPS, METAFEATURES_VERSION, Group, MetaFeature, metafeature_names
from autometa.metafeatures._sampling import MAX_COLUMNS
from autometa.metafeatures.landmarkers import MAX_LANDMARK_ROWS
from autometa.metafeatures.summary import MAX_CLASSES, MAX_ROWS

PAGE = Path(__file__).parent / "reference" / "metafeatures.md"
HEAD = f"""# Meta-features

Made from the registry of meta-features by `python docs/make_metafeatures.py`; a test compares the two.

The {len(metafeature_names())} numbers in {len(GROUPS)} groups by which autometa describes a table
(version {METAFEATURES_VERSION}). Their names and order
are fixed, and each is finite or, where its definition says so, NaN. They do not depend on the order of rows and
columns, nor on the names of columns, categories and classes. Those that are *free* of scale do not depend on the unit
(a positive factor) of a numeric column or target either.

Sizes and counts of column types are those of the whole table. Everything else is measured on a seeded sample of at most
{MAX_ROWS:,} rows, spread evenly over the target, and {MAX_COLUMNS} columns. A table that fits is measured in full, and
then no shuffling changes a digit. In a larger one, another order of rows may mean another sample. Dates enter as days
and texts as their length. Infinities count as missing.

The *response* is the numeric target, standardised and clipped at four standard deviations, or a 0/1 column per class
(the {MAX_CLASSES} most frequent; all others share one). So one definition serves regression and classification: a share
of explained variance is R2 in the one and the Brier skill score in the other.

Landmarkers are trained on one half of at most {MAX_LANDMARK_ROWS} rows and judged on the other, then the other way
round. Their *skill* is the share of the response's variance around its mean in the training rows that they explain, at
least -1: 0 is as good as that mean, 1 is perfect. Their *ranking skill* is the covariance of the ranks of predictions
and response over that of a perfect ranking. For classes it is 2 AUC - 1, averaged over them.
"""
EQUAL_TO_PYMFE = {
    "log_n_rows": "log10(nr_inst)",
    "log_n_columns": "log10(nr_attr)",
    "log_rows_per_column": "log10(inst_to_attr)",
    "numeric_fraction": "nr_num / nr_attr",
    "categorical_fraction": "nr_cat / nr_attr",
    "log_n_numeric": "log10(1 + nr_num)",
    "log_n_categorical": "log10(1 + nr_cat)",
    "binary_fraction": "nr_bin / nr_attr of the numeric columns",
    "distinct_fraction_mean": "mean of 1 / (1 + (nr_inst - 1) sparsity)",
    "level_entropy_mean": "mean of attr_ent / log2(levels)",
    "skewness_mean": "mean of skewness",
    "skewness_std": "sd of skewness",
    "log_kurtosis_mean": "mean of log10(kurtosis + 3)",
    "log_kurtosis_min": "min of log10(kurtosis + 3)",
    "log_kurtosis_max": "max of log10(kurtosis + 3)",
    "normal_fraction": "share with |skewness| < 0.5 and |kurtosis| < 1",
    "bimodality_mean": "mean of (skewness^2 + 1) / (kurtosis + 3)",
    "log_scale_std": "sd of log10(sd)",
    "variation_mean": "mean of sd / sqrt(mean^2 + var)",
    "correlation_mean": "mean of cor",
    "correlation_max": "max of cor",
    "correlation_high_fraction": "nr_cor_attr",
    "pca_first_share": "max of eigenvalues / their sum, of standardised columns",
    "pca_effective_fraction": "exp(entropy of eigenvalues / their sum) / nr_num, of standardised columns",
    "n_classes": "nr_class",
    "class_entropy": "class_ent",
    "class_balance": "class_ent / log2(nr_class)",
    "majority_fraction": "max of freq_class",
    "minority_fraction": "min of freq_class",
    "log_class_ratio": "log10(max / min of freq_class)",
    "log_minority_rows": "log10(nr_inst min of freq_class)",
    "log_rows_per_class": "log10(nr_inst / nr_class)",
    "target_skewness": "skewness of the target",
    "target_log_kurtosis": "log10(kurtosis + 3) of the target",
    "target_bimodality": "(skewness^2 + 1) / (kurtosis + 3) of the target",
    "target_variation": "sd / sqrt(mean^2 + var) of the target",
}
UNLIKE_PYMFE = {
    "`information_*`, `noise_fraction`": "mut_inf, ns_ratio and eq_num_attr are biased upwards by chance, the more so "
    "the more levels a column has. Here its expected value is subtracted, and numbers are cut into eighths rather "
    "than into as many equal widths as the table's size suggests",
    "`outlier_fraction_*`": "nr_outliers counts columns with an outlier; here it is the share of values",
    "`normal_fraction`": "nr_norm tests for normality, which in large samples rejects every real column",
    "`pca_*`": "pymfe takes eigenvalues of the covariance, which the units rule; here columns are standardised",
    "`landmark_*`": "best_node, one_nn, linear_discr and naive_bayes are accuracies in ten folds of all rows; here "
    "they are shares of explained variance in two halves of few rows, for regression too",
}
PYMFE_HEAD = """## The same in pymfe's terms

On tables without missing values these equal what [pymfe](https://pymfe.readthedocs.io) 0.4 computes, which a test
checks. Moments are those of its `method=1`, deviations and variances those of `ddof=0`.

| name | in pymfe's terms |
| --- | --- |"""
PYMFE_UNLIKE = """
Of the same kind as measures of pymfe, and different on purpose:
"""
COLUMNS = """
| name | definition | range | undefined (NaN) | scale | source |
| --- | --- | --- | --- | --- | --- |"""


def render() -> str:
    """Return the page."""
    return "\n".join([HEAD, *(_render_group(group) for group in GROUPS.values()), _render_pymfe()])


def _render_pymfe() -> str:
    equal = [
        f"| `{name}` | {formula.replace('|', chr(92) + '|')} |" for name, formula in EQUAL_TO_PYMFE.items()
    ]
    unlike = [f"- {names}: {why}." for names, why in UNLIKE_PYMFE.items()]
    return "\n".join([PYMFE_HEAD, *equal, PYMFE_UNLIKE, *unlike, ""])


def _render_group(group: Group) -> str:
    rows = [_render_row(feature) for feature in group.features]
    return "\n".join([f"## {group.name}: {group.title}", COLUMNS, *rows, ""])


def _render_row(feature: MetaFeature) -> str:
    low, high = feature.range
    scale = "free" if feature.is_scale_invariant else "bound"
    return (
        f"| `{feature.name}` | {feature.definition} | {low:g} to {high:g} | {feature.undefined or 'never'} "
        f"| {scale} | {feature.source or 'own'} |"
    )


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
