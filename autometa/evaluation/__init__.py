"""One configuration on one task at one fidelity, inside limits of time and memory."""

from autometa.evaluation._protocol import Protocol, Run, Split, evaluate, fit_pipeline, make_splits
from autometa.evaluation._scoring import score_predictions
from autometa.evaluation._worker import WORKER_DIED, Worker

__all__ = [
    "WORKER_DIED",
    "Protocol",
    "Run",
    "Split",
    "Worker",
    "evaluate",
    "fit_pipeline",
    "make_splits",
    "score_predictions",
]
