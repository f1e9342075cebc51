"""Gathering experience: tasks from a directory or from OpenML, runs on them into an Optuna storage."""

from autometa.collection._predictions import PredictionReport, Predictions, Recorded, folds_of
from autometa.collection._runner import CollectionReport, collect
from autometa.collection._station import Source
from autometa.collection.directory import read_catalog

__all__ = [
    "CollectionReport",
    "PredictionReport",
    "Predictions",
    "Recorded",
    "Source",
    "collect",
    "folds_of",
    "read_catalog",
]
