"""The page on security promises nothing that no test holds."""

from __future__ import annotations

import re

import pytest


@pytest.fixture(scope="module")
def page(root):
    return (root / "docs" / "explanation" / "security.md").read_text(encoding="utf-8")


def test_every_line_names_its_tests_and_they_exist(root, page):
    rows = [line for line in page.splitlines() if line.startswith("| ") and "---" not in line]
    rows = [line for line in rows if not line.startswith("| what could happen")]
    assert len(rows) > 15
    for row in rows:
        named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", row)
        assert named, row
        for path, function in named:
            source = (root / path).read_text(encoding="utf-8")
            assert not function or f"def {function}(" in source, row
