"""Reports: whatever stands in the data, a page shows it as text."""

from __future__ import annotations

from html import unescape
from html.parser import HTMLParser
from xml.etree import ElementTree

from hypothesis import given, strategies as st

from autometa.report import Dot, Point, Section, render_report

ALLOWED = {
    *("html", "head", "meta", "title", "style", "body"),
    *("h1", "h2", "p", "table", "tr", "th", "td"),
}
words = st.one_of(
    st.text(max_size=20), st.sampled_from(["<script>alert(1)</script>", '" onload="x', "]]>", "&amp;"])
)


class Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.open: list[str] = []

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attributes}
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@given(words, words, st.lists(words, max_size=2), st.lists(st.tuples(words, words), max_size=2))
def test_nothing_from_the_data_becomes_markup(title, heading, lines, rows):
    text = render_report(title, [Section(heading, lines, ("name", title), rows, "<>")])
    page = Page()
    page.feed(text)
    assert page.open == []
    assert page.tags <= ALLOWED
    assert page.attributes <= {"lang", "charset", "http-equiv", "content", "name", "class"}
    for value in (title, heading, *lines, *(cell for row in rows for cell in row)):
        assert value in unescape(text)


def test_a_page_loads_nothing():
    text = render_report("t", [Section("h", ["a line"])])
    assert "default-src 'none'" in text
    assert "http://" not in text
    assert "https://" not in text
    assert "<table" not in text


@given(words, st.lists(st.tuples(words, st.floats(0, 2), st.one_of(st.floats(0, 1), st.just(float("nan"))))))
def test_a_chart_has_a_dot_for_every_value(title, values):
    text = render_report("t", [Section("h", dots=[Dot(label, *rest) for label, *rest in values])])
    page = Page()
    page.feed(text)
    assert page.tags <= ALLOWED | {"svg", "line", "circle", "text"}
    assert text.count("<circle") == len(values)
    for label, *_ in values:
        assert label in unescape(text)


def test_a_map_shows_every_point_in_the_colour_of_its_group():
    points = [Point("a <task>", 0.0, 0.0, "knn"), Point("b", 3.0, -1.0, "svm"), Point("c", 3.0, 1.0, "svm")]
    text = render_report("t", [Section("h", points=points)])
    drawing = ElementTree.fromstring(text[text.index("<svg") : text.index("</svg>") + 6])
    circles = [c for c in drawing.iter("circle") if c.find("title") is not None]
    assert [c.find("title").text for c in circles] == ["a <task>", "b", "c"]
    assert circles[1].get("fill") == circles[2].get("fill") != circles[0].get("fill")
    assert float(circles[1].get("cx")) - float(circles[0].get("cx")) == 520
    assert [name.text for name in drawing.iter("text")] == ["svm (2)", "knn (1)"]
