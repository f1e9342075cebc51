"""Pages about searches and recommendations: whole, bounded, honest, and nothing of the data becomes markup."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given, strategies as st
from refusals import refused
from report_cases import Times, make_search, make_task

from autometa.errors import StorageError
from autometa.experience import load_metamodel
from autometa.metrics import resolve_metric
from autometa.recommendation import recommend_for_task
from autometa.report._course import expected_best, expected_regret
from autometa.report._importance import measure_columns, measure_hyperparameters
from autometa.report.recommendations import render_recommendations
from autometa.report.search import SearchReport, fold_interval, render_search, write_search

EVIL = "<script>alert(1)</script>\"'&"
MOST_BYTES = 1_500_000

SHAPES = {
    "binary": lambda: make_search(make_task(300, 4), 30),
    "one trial": lambda: make_search(make_task(60, 3), 1, n_members=1),
    "nothing finished": lambda: nothing_finished(),
    "regression": lambda: make_search(make_task(300, 4, 0), 30),
    "five classes": lambda: make_search(make_task(300, 4, 5), 20),
    "markup in names": lambda: make_search(make_task(200, 4, 3, prefix=EVIL), 20),
    "recommended": lambda: with_recommendations(),
}


def nothing_finished() -> SearchReport:
    search = make_search(make_task(60, 3), 3)
    board = search.leaderboard.assign(
        state="timeout", score=math.nan, expected=math.nan, std=math.nan, weight=0.0, adds=math.nan
    )
    return make_search(
        search.task,
        3,
        leaderboard=board,
        history=search.history.iloc[:0],
        oof=np.full((60, 2), np.nan),
        score=math.nan,
        fold_scores=np.empty(0),
        baselines={},
        deadline=Times(None),
    )


def with_recommendations() -> SearchReport:
    task = make_task(120, 3)
    return make_search(task, 10, recommendations=recommend_for_task(task, k=4))


class Page(HTMLParser):
    VOID = ("meta", "link", "circle", "rect", "line", "path")

    def __init__(self):
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        if tag not in ("meta", "link"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def read(text: str) -> Page:
    page = Page()
    page.feed(text)
    assert page.open == []
    return page


@pytest.mark.parametrize("shape", SHAPES)
def test_a_page_is_whole_and_loads_nothing(shape):
    search = SHAPES[shape]()
    model = load_metamodel() if search.recommendations is not None else None
    text = render_search(search, model=model)
    page = read(text)
    assert len(text.encode()) < MOST_BYTES
    assert page.tags.count("script") == 1
    assert not any(name.startswith("on") for name, _ in page.attributes)
    assert not any(name in ("src", "xlink:href") for name, _ in page.attributes)
    assert not re.search(r"url\((?!#)", text)
    assert "default-src 'none'" in text
    links = {value[1:] for name, value in page.attributes if name == "href" and value.startswith("#")}
    assert links <= {value for name, value in page.attributes if name == "id"}
    assert not re.search(r">\s*(nan|None|inf)\b", text)
    said = " ".join(page.text)
    assert ("Among the known tables" in said) == (search.recommendations is not None)
    assert unescape(said).count("Leaderboard") >= 1


@pytest.mark.parametrize("shape", ["markup in names", "five classes"])
def test_every_chart_says_what_it_shows(shape):
    text = render_search(SHAPES[shape]())
    charts = re.findall(r"<svg [^>]*>", text)
    assert len(charts) > 8
    assert all('role="img"' in chart and re.search(r'aria-label="[^"]{4,}"', chart) for chart in charts)


def test_colours_come_from_the_page():
    text = render_search(SHAPES["binary"]())
    drawings = "".join(re.findall(r"<svg.*?</svg>", text, re.DOTALL))
    assert not re.findall(r'(?:fill|stroke)="(?!none|var\(|transparent)[^"]*"', drawings)


def test_recommendations_stand_with_reasons_and_code():
    task = make_task(150, 4, prefix=EVIL)
    found = recommend_for_task(task, k=4)
    # Reasons name known tables.
    found._items = tuple(replace(item, reason=f"{EVIL} {item.reason}") for item in found)
    page = read(render_recommendations(found, model=load_metamodel()))
    said = " ".join(page.text)
    assert all(item.reason in said for item in found)
    assert "import pandas" in said
    assert page.tags.count("script") == 1


@given(st.lists(st.floats(0.5, 0.9), min_size=2, max_size=10), st.floats(0, 1))
def test_the_interval_is_around_the_score_and_wider_than_the_folds_alone_say(folds, score):
    low, high = fold_interval(score, np.array(folds))
    assert low <= score <= high
    half = (high - low) / 2
    assert half >= np.std(folds, ddof=1) / math.sqrt(len(folds)) - 1e-12


def test_there_is_no_interval_from_one_fold():
    assert all(map(math.isnan, fold_interval(0.7, np.array([0.7, math.nan]))))


def test_a_column_with_the_signal_matters_and_noise_does_not():
    task = make_task(400, 4)
    found = measure_columns(task, "random_forest", {"n_estimators": 30}, math.nan, limit=60.0)
    losses = found.frame.set_index("column")["loss"]
    assert losses.idxmax() == "x3"
    assert abs(losses["x0"]) < losses["x3"] / 3
    assert found.n_left_out == 0


def test_importance_is_bounded_in_columns_and_never_fails_a_page():
    assert measure_columns(make_task(100, 3), "no_such_algorithm", {}, 1.0) is None
    found = measure_columns(make_task(100, 90), "linear", {}, 1.0, limit=60.0)
    assert len(found.frame) == 60
    assert found.n_left_out == 32
    assert "x89" in set(found.frame["column"])  # says most of the target alone


@pytest.mark.parametrize("greater", [True, False])
def test_the_hyperparameter_that_decides_leads(greater):
    search = make_search(make_task(80, 3), 80)
    board = search.leaderboard
    chosen = board["algorithm"] == "lightgbm"
    leaves = board["params"].map(lambda params: params.get("num_leaves", 0)).astype(float)
    board = board.assign(score=np.where(chosen & (board["state"] == "complete"), leaves, board["score"]))
    algorithm, importances, _ = measure_hyperparameters(board, "binary", greater)
    assert algorithm == "lightgbm"
    assert max(importances, key=importances.get) == "num_leaves"
    assert measure_hyperparameters(board.head(10), "binary", greater) is None


def test_trials_that_are_all_as_good_say_nothing_of_hyperparameters():
    board = make_search(make_task(80, 3), 80).leaderboard
    alike = board.assign(score=0.5, state="complete")
    assert measure_hyperparameters(alike, "binary", maximise=True) is None


def test_lower_scores_win_where_lower_is_better():
    task = make_task(200, 4, 3)
    assert task.metric == resolve_metric("log_loss", "multiclass")
    search = make_search(
        task, 20, baselines={"constant": 1.1, "default": 0.5}, score=0.4, fold_scores=np.full(5, 0.4)
    )
    assert "0.1 better than the library default" in render_search(search)
    worse = make_search(
        task, 20, baselines={"constant": 1.1, "default": 0.3}, score=0.4, fold_scores=np.full(5, 0.4)
    )
    assert "0.1 worse than the library default" in render_search(worse)


@given(st.lists(st.floats(0, 2), min_size=1, max_size=12), st.integers(1, 15))
def test_the_least_of_more_draws_is_less_from_the_mean_to_the_least(losses, n_draws):
    found = expected_best(np.array(losses), n_draws)
    assert np.isclose(found[0], np.mean(losses))
    assert (np.diff(found) <= 1e-9).all()
    if n_draws >= len(losses):
        assert np.isclose(found[-1], min(losses))


def test_a_gain_on_every_fold_is_no_chance_however_much_the_folds_differ():
    search = make_search(make_task(80, 3), 5, n_members=1)
    folds = np.array([0.6, 0.7, 0.8, 0.9])
    changes = {"score": 0.75, "fold_scores": folds, "baselines": {"default": 0.73, "constant": 0.5}}
    assert "may be chance" in render_search(replace(search, **changes))
    assert "may be chance" not in render_search(replace(search, **changes, default_folds=folds - 0.02))
    assert "may be chance" in render_search(replace(search, **changes, default_folds=folds[::-1] - 0.02))


def test_a_search_from_nothing_starts_behind_and_catches_up():
    found = recommend_for_task(make_task(120, 3), k=3)
    regret = expected_regret(found, 100)
    assert 0 < regret[-1] < regret[9] < regret[0] <= 2


def test_a_page_is_written_whole_or_not_at_all(tmp_path):
    search = make_search(make_task(60, 3), 5)
    write_search(search, tmp_path / "r.html", title="A <title>")
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "<title>A &lt;title&gt;</title>" in text
    assert text.endswith("</html>\n")
    with refused(StorageError, "AM609"):
        write_search(search, tmp_path / "none" / "r.html")
    assert [path.name for path in tmp_path.iterdir()] == ["r.html"]
