"""Docstrings of public names, by numpydoc's own validation, and that each parameter tells its default."""

from __future__ import annotations

import importlib
import inspect
import re
from dataclasses import fields, is_dataclass
from functools import cached_property

import pytest
from numpydoc.docscrape import ClassDoc
from numpydoc.validate import ERROR_MSGS, validate

import autometa

# Left out: every page has a gallery and a reference around it, so a docstring need not say more than it must.
NOT_ASKED = {
    "EX01",  # an example for each method
    "ES01",  # a second paragraph for each
    "SA01",  # a list of relatives for each
}
ASKED = set(ERROR_MSGS) - NOT_ASKED
# Made by autometa, never by the user: their attributes are described, not the arguments that make them.
RESULTS = {
    "LearnReport",
    "MetaBase",
    "Recommendation",
    "Recommendations",
    "Task",
    "TuneResult",
    "WarmStartReport",
}
# What the pages use beside the names of the package itself; tests/contracts/test_docs.py holds it to them.
ELSEWHERE = (
    "autometa.collection.collect",
    "autometa.collection.openml.Connection",
    "autometa.collection.openml.read_suite",
    "autometa.persistence.load_model",
    "autometa.persistence.save_model",
    "autometa.tables.read_table",
    "autometa.training.train",
)


def members(owner: type) -> list[str]:
    """Return the public methods and properties that a class defines itself."""
    kinds = (classmethod, staticmethod, property, cached_property)
    return [
        name
        for name, value in vars(owner).items()
        if not name.startswith("_") and (inspect.isfunction(value) or isinstance(value, kinds))
    ]


def find(path: str) -> object:
    """Return what a dotted path names."""
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


PUBLIC = {name: getattr(autometa, name) for name in autometa.__all__ if name != "__version__"}
CLASSES = {name: owner for name, owner in PUBLIC.items() if inspect.isclass(owner)}
METHODS = [(name, member) for name, owner in CLASSES.items() for member in members(owner)]
PATHS = [
    *[f"{owner.__module__}.{owner.__qualname__}" for owner in PUBLIC.values()],
    *[f"{CLASSES[name].__module__}.{name}.{member}" for name, member in METHODS],
    *ELSEWHERE,
]


def allowed(path: str, docstring: str) -> set[str]:
    """Return the findings of numpydoc that are meant."""
    found = set()
    if docstring.startswith(("Return", "Whether")):
        found.add("RT01")  # the summary is the description of what is returned
    owner, _, name = path.rpartition(".")
    if name in RESULTS | {"Configuration"} or issubclass(CLASSES.get(name, object), autometa.AutometaError):
        found.add("PR01")  # attributes are checked below; errors take what their base takes
    if any(name in vars(base) for base in foreign_bases(CLASSES.get(owner.rpartition(".")[2], object))):
        found |= {"PR01", "RT01"}  # a hook of Optuna: its contract is described there
    return found


def foreign_bases(owner: type) -> list[type]:
    """Return the classes of Optuna that a class is made from."""
    return [base for base in inspect.getmro(owner) if base.__module__.partition(".")[0] == "optuna"]


@pytest.mark.parametrize("path", PATHS)
def test_a_docstring_is_whole(path):
    result = validate(path)
    docstring = (result["docstring"] or "").strip()
    found = [(code, text) for code, text in result["errors"] if code in ASKED - allowed(path, docstring)]
    assert not found


@pytest.mark.parametrize("path", PATHS)
def test_each_parameter_tells_its_default(path):
    """``optional`` where leaving it out is an answer of its own, else the value."""
    owner, _, name = path.rpartition(".")
    value = (
        getattr(PUBLIC[owner.rpartition(".")[2]], name) if owner.rpartition(".")[2] in CLASSES else find(path)
    )
    if not callable(value) or name in RESULTS:
        return
    types = dict(re.findall(r"^ {0,4}(\*{0,2}\w+) : (.+)$", inspect.getdoc(value) or "", flags=re.MULTILINE))
    for parameter in inspect.signature(value).parameters.values():
        if parameter.default is not inspect.Parameter.empty and parameter.name in types:
            assert re.search(r"\bdefault\b|\boptional\b", types[parameter.name]), parameter.name


@pytest.mark.parametrize("name", sorted(RESULTS & {n for n, owner in CLASSES.items() if is_dataclass(owner)}))
def test_each_field_of_a_result_is_described(name):
    described = {
        part.strip() for entry in ClassDoc(CLASSES[name])["Attributes"] for part in entry.name.split(",")
    }
    assert {field.name for field in fields(CLASSES[name])} <= described


def test_what_is_asked_can_fail():
    """An undocumented parameter is found by the same call."""
    assert "PR01" in {code for code, _ in validate("inspect.Signature.replace")["errors"]} & ASKED
