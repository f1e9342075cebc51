"""Names from data are text, in pages and on terminals: no markup of theirs gets through."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from autometa.cli import main

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&"


class Page(HTMLParser):
    """The elements and attributes of a page, and the text in it."""

    def __init__(self, text):
        super().__init__()
        self.elements: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data):
        self.text += data


@pytest.fixture
def evil(tmp_path, monkeypatch):
    """Return a table whose file, columns, levels and labels have names with markup."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {f"number {EVIL}": rng.normal(size=80), f"level {EVIL}": rng.choice([EVIL, "b"], 80)}
    )
    frame[f"constant {EVIL}"] = EVIL
    frame[f"target {EVIL}"] = np.where(frame.iloc[:, 0] > 0, f"yes {EVIL}", f"no {EVIL}")
    name = EVIL.replace("/", "") + ".csv"
    frame.to_csv(name, index=False)
    return name, f"target {EVIL}"


@pytest.mark.parametrize("command", [["recommend"], ["tune", "--trials", "1"]], ids=["recommend", "tune"])
def test_a_page_holds_names_as_text(evil, command, capsys):
    data, target = evil
    assert main([command[0], data, "--target", target, "--report", "page.html", *command[1:]]) == 0
    text = Path("page.html").read_text(encoding="utf-8")
    page = Page(text)
    assert not page.elements & {"img", "iframe", "object", "embed", "form"}
    # The one link says that there is no icon to fetch.
    assert re.findall("<link[^>]*>", text) == ['<link rel="icon" href="data:,">']
    # The one script is the page's own, and names no name.
    assert text.count("<script") == 1
    assert EVIL not in text
    assert not {name for name in page.attributes if name.startswith("on")} | page.attributes & {"src"}
    assert "default-src 'none'" in text
    assert EVIL in page.text
