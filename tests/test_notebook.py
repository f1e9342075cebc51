"""What a notebook shows: well-formed HTML, every value as text, the plain text beside it."""

from __future__ import annotations

from html import escape
from html.parser import HTMLParser

import pytest
from report_cases import make_search, make_task
from sklearn.datasets import load_iris

import autometa
from autometa.notebook import render_search_card
from autometa.recommendation import recommend_for_task
from autometa.tuning import WarmStartReport
from autometa.tuning._warm_start import Suggestion

EVIL = '<script>alert(1)</script>"&'


class Balanced(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        self.tags.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def check(markup: str) -> str:
    page = Balanced()
    page.feed(markup)
    assert not page.open
    assert "script" not in page.tags
    return markup


def test_recommendations_show_each_pipeline_and_why():
    task = make_task(n_rows=120, prefix=EVIL)
    found = recommend_for_task(task, k=3)
    markup = check(found._repr_html_())
    assert markup.count("</tr>") >= 2 * len(found)
    assert "Why these" in markup
    assert "autometa-text" in markup


def test_one_recommendation_shows_its_reason_and_its_pipeline():
    found = recommend_for_task(make_task(n_rows=120), k=2)
    markup = found[1]._repr_html_()
    assert escape(found[1].reason) in markup
    assert "ColumnTransformer" in markup
    assert "Hyperparameters" in markup


def test_metafeatures_stand_with_their_definitions_and_compute_as_any_series():
    values = autometa.extract_metafeatures(*load_iris(return_X_y=True, as_frame=True))
    markup = check(values._repr_html_())
    assert all(name in markup for name in values.index)
    assert not hasattr(values * 2, "_repr_html_")


@pytest.mark.parametrize("n_trials", [1, 30])
def test_a_search_shows_members_and_what_was_lost(n_trials):
    report = make_search(make_task(n_rows=60, prefix=EVIL), n_trials)

    class Result:
        leaderboard, metric, deadline = report.leaderboard, report.task.metric, report.deadline
        score, baselines, task = report.score, report.baselines, report.task

    markup = check(render_search_card(Result()))
    assert "on rows not fitted on" in markup
    assert ("Not complete" in markup) == bool((report.leaderboard["state"] != "complete").any())


def test_a_warm_start_says_what_was_enqueued():
    report = WarmStartReport(
        (
            Suggestion(1, "enqueued", "lightgbm", {"num_leaves": 31, "learning_rate": 0.1}),
            Suggestion(2, "dropped", "knn", {}, reason=EVIL, trial_number=3, score=0.5),
        )
    )
    assert "1 of 2 suggestions enqueued" in check(report._repr_html_())
