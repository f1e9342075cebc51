"""Recommendations: pipelines for a table, ranked by what is known about tables like it."""

from autometa.recommendation._recommend import recommend, recommend_for_task
from autometa.recommendation._results import Recommendation, Recommendations, Suitable, code_of

__all__ = ["Recommendation", "Recommendations", "Suitable", "code_of", "recommend", "recommend_for_task"]
