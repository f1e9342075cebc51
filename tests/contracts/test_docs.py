"""Documentation that cannot drift: links lead somewhere, tables equal the code, commands are those of the contract."""

from __future__ import annotations

import re

import pytest
from optuna.distributions import CategoricalDistribution, IntDistribution

from autometa.space import SPACE_VERSION, SearchSpace

PAGES = ["README.md", "CHANGELOG.md", "docs", "metadata"]


@pytest.fixture(scope="module")
def pages(root):
    paths = [
        path
        for name in PAGES
        for path in ([root / name] if name.endswith(".md") else (root / name).rglob("*.md"))
    ]
    return {path: path.read_text(encoding="utf-8") for path in paths}


def test_every_link_leads_to_a_file(pages):
    for path, text in pages.items():
        for target in re.findall(r"\]\((?!https?://|#)([^)#\s]+)", text):
            assert (path.parent / target).exists(), f"{path.name}: {target}"


def test_every_page_can_be_reached_from_the_index(root, pages):
    index = root / "docs" / "README.md"
    linked = {(index.parent / target).resolve() for target in re.findall(r"\]\(([^)#]+\.md)", pages[index])}
    assert {path for path in pages if path.is_relative_to(index.parent) and path != index} <= linked


def test_examples_in_python_are_valid(pages):
    for path, text in pages.items():
        for block in re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL):
            compile(block, str(path), "exec")


def test_the_page_on_the_space_shows_it_as_it_is(root, pages):
    """To regenerate a row, copy it from the message of the failure."""
    page = pages[root / "docs" / "reference" / "space.md"]
    assert f"Version {SPACE_VERSION}." in page
    for family, heading in (("classification", "## Classification"), ("regression", "## Regression")):
        section = page.partition(heading)[2].partition("\n## ")[0]
        shown = [line for line in section.splitlines() if line.startswith("| ")][2:]
        assert shown == [row for algorithm in SearchSpace.for_kind(family) for row in rows(algorithm)]


def rows(algorithm) -> list[str]:
    found = []
    for name, distribution in algorithm.distributions.items():
        if isinstance(distribution, CategoricalDistribution):
            values = ", ".join(f"`{choice!r}`" for choice in distribution.choices)
        else:
            number = "whole" if isinstance(distribution, IntDistribution) else "real"
            values = f"{distribution.low:g} to {distribution.high:g}, {number}" + (
                ", log" if distribution.log else ""
            )
        if name in algorithm.conditions:
            parent, active = algorithm.conditions[name]
            values += f" (where {parent} is {', '.join(map(repr, active))})"
        default = f"`{algorithm.default[name]!r}`" if name in algorithm.default else "inactive"
        found.append(f"| {algorithm.name} | {name} | {values} | {default} |")
    return found
