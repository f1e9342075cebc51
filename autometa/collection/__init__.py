"""Gathering experience: tasks from a directory or from OpenML, runs on them into an Optuna storage."""

from autometa.collection._runner import CollectionReport, collect
from autometa.collection._station import Source
from autometa.collection.directory import read_catalog

__all__ = ["CollectionReport", "Source", "collect", "read_catalog"]
