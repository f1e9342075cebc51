"""Every example in a docstring of the package runs, and gives what it says."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in (ROOT / "autometa").rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)


def examples(name: str) -> list[doctest.DocTest]:
    """Return the docstrings of a module that hold examples."""
    return [test for test in doctest.DocTestFinder().find(importlib.import_module(name)) if test.examples]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_run(name):
    found = examples(name)
    assert found
    for test in found:
        told: list[str] = []
        failed = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=told.append).failed
        assert not failed, "".join(told)


def test_the_doors_have_examples():
    """What a newcomer calls first shows how."""
    assert {"autometa.recommendation", "autometa.estimators", "autometa.metafeatures"} <= set(MODULES)
