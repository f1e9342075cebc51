"""The inner loop: recommendations into an Optuna study, a sampler that starts from them, a search with a deadline."""

from autometa.tuning._adapt import Adaptation, Change, adapt
from autometa.tuning._deadline import TimeReport
from autometa.tuning._result import TuneResult, posterior_scores
from autometa.tuning._sampler import MetaSampler
from autometa.tuning._schedule import Schedule
from autometa.tuning._tried import Callback
from autometa.tuning._tune import tune
from autometa.tuning._warm_start import Suggestion, WarmStartReport, warm_start

__all__ = [
    "Adaptation",
    "Callback",
    "Change",
    "MetaSampler",
    "Schedule",
    "Suggestion",
    "TimeReport",
    "TuneResult",
    "WarmStartReport",
    "adapt",
    "posterior_scores",
    "tune",
    "warm_start",
]
