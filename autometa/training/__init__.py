"""From a metadata base to a meta-model, with an honest report on families that it has not seen."""

from autometa.training._report import (
    DEFAULTS_ROW,
    DEPTHS,
    LABELS,
    PRODUCT,
    Ranker,
    TrainingReport,
    nearest_tasks,
    recommended,
    render_training_report,
    replay,
    static_portfolio,
    with_error,
)
from autometa.training._training import train

__all__ = [
    "DEFAULTS_ROW",
    "DEPTHS",
    "LABELS",
    "PRODUCT",
    "Ranker",
    "TrainingReport",
    "nearest_tasks",
    "recommended",
    "render_training_report",
    "replay",
    "static_portfolio",
    "train",
    "with_error",
]
