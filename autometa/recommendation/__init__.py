"""Recommendations: pipelines for a table, ranked by what is known about tables like it."""

from autometa.recommendation._recommend import recommend, recommend_for_task
from autometa.recommendation._results import Recommendation, Recommendations, Suitable

__all__ = ["Recommendation", "Recommendations", "Suitable", "recommend", "recommend_for_task"]
