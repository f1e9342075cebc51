"""What is imported is declared, and what is declared is used."""

from __future__ import annotations

import ast
import re
import sys
import tomllib

import pytest

from autometa.errors import DISTRIBUTION

IMPORT_NAMES = {"scikit-learn": "sklearn", "liac-arff": "arff", "vl-convert-python": "vl_convert"}
# Declared without being imported by name.
INDIRECT = {"pyarrow": "pandas reads and writes Parquet and Feather with it"}


def names(requirements: list[str]) -> set[str]:
    found = {re.split(r"[><=\[ ]", requirement)[0] for requirement in requirements}
    return {IMPORT_NAMES.get(name, name) for name in found}


@pytest.fixture(scope="module")
def project(root):
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def imported(root):
    found = set()
    for path in (root / "autometa").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                found.add(str(node.module).partition(".")[0])
    return found - set(sys.stdlib_module_names) - {"autometa"}


def test_everything_imported_is_declared(project, imported):
    extras = project["optional-dependencies"]
    declared = names(project["dependencies"]) | names(
        [r for name in extras if name != "dev" for r in extras[name]]
    )
    assert imported <= declared


def test_every_dependency_is_used(project, imported):
    assert names(project["dependencies"]) - set(INDIRECT) <= imported


def test_dependencies_have_lower_bounds_only(project):
    extras = [name for listed in project["optional-dependencies"].values() for name in listed]
    for requirement in (*project["dependencies"], *extras):
        assert not any(mark in requirement for mark in ("==", "<", "~=", ",", "@")), requirement
        assert ">=" in requirement or requirement.startswith(f"{DISTRIBUTION}["), requirement
