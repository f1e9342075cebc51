"""From a metadata base to a meta-model, with an honest report on families that it has not seen."""

from autometa.training._page import render_training_report
from autometa.training._replay import DEFAULTS_ROW, DEPTHS, Ranker, judge, ranked_by
from autometa.training._report import LABELS, PRODUCT, TrainingReport, with_error
from autometa.training._training import train

__all__ = [
    "DEFAULTS_ROW",
    "DEPTHS",
    "LABELS",
    "PRODUCT",
    "Ranker",
    "TrainingReport",
    "judge",
    "ranked_by",
    "render_training_report",
    "train",
    "with_error",
]
