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
then no shuffling changes a digit; in a larger one, another order of rows may mean another sample. Dates enter as days
and texts as their length. Infinities count as missing.

The *response* is the numeric target, standardised and clipped at four standard deviations, or a 0/1 column per class
(the {MAX_CLASSES} most frequent; all others share one). So one definition serves regression and classification: a share
of explained variance is R2 in the one and the Brier skill score in the other.

Landmarkers are trained on one half of at most {MAX_LANDMARK_ROWS} rows and judged on the other, then the other way
round. Their *skill* is the share of the response's variance around its mean in the training rows that they explain, at
least -1: 0 is as good as that mean, 1 is perfect. Their *ranking skill* is the covariance of the ranks of predictions
and response over that of a perfect ranking; for classes, 2 AUC - 1, averaged over them.
"""
COLUMNS = """
| name | definition | range | undefined (NaN) | scale | source |
| --- | --- | --- | --- | --- | --- |"""


def render() -> str:
    """Return the page."""
    return "\n".join([HEAD, *(_render_group(group) for group in GROUPS.values())])


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
