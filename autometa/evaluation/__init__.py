"""One configuration on one task at one fidelity, inside limits of time and memory."""

from autometa.evaluation._fold import (
    EARLY_STOPPING_ROWS,
    MANY_ROWS,
    Failure,
    FoldFit,
    FoldFitter,
    Job,
    Preparation,
)
from autometa.evaluation._protocol import (
    Protocol,
    Run,
    Split,
    as_pipelines_see_it,
    evaluate,
    fit_pipeline,
    make_splits,
    nested_order,
    nested_rows,
    target_codes,
)
from autometa.evaluation._worker import WORKER_DIED, Died, Replies, Worker

__all__ = [
    "EARLY_STOPPING_ROWS",
    "MANY_ROWS",
    "WORKER_DIED",
    "Died",
    "Failure",
    "FoldFit",
    "FoldFitter",
    "Job",
    "Preparation",
    "Protocol",
    "Replies",
    "Run",
    "Split",
    "Worker",
    "as_pipelines_see_it",
    "evaluate",
    "fit_pipeline",
    "make_splits",
    "nested_order",
    "nested_rows",
    "target_codes",
]
