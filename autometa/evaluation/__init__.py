"""One configuration on one task at one fidelity, inside limits of time and memory."""

from autometa.evaluation._fold import (
    EARLY_STOPPING_ROWS,
    MANY_ROWS,
    Failure,
    FoldFit,
    FoldFitter,
    Job,
    nested_order,
    nested_rows,
    target_codes,
)
from autometa.evaluation._protocol import Protocol, Run, Split, evaluate, fit_pipeline, make_splits
from autometa.evaluation._worker import WORKER_DIED, Died, Replies, Worker
from autometa.metrics import area_under_curve, f1_macro, score_predictions

__all__ = [
    "EARLY_STOPPING_ROWS",
    "MANY_ROWS",
    "WORKER_DIED",
    "Died",
    "Failure",
    "FoldFit",
    "FoldFitter",
    "Job",
    "Protocol",
    "Replies",
    "Run",
    "Split",
    "Worker",
    "area_under_curve",
    "evaluate",
    "f1_macro",
    "fit_pipeline",
    "make_splits",
    "nested_order",
    "nested_rows",
    "score_predictions",
    "target_codes",
]
