"""The name under which people install the package: a wrong one sends them to a stranger's."""

from __future__ import annotations

import re
import tomllib

import pytest

from autometa.errors import DISTRIBUTION, DependencyError, how_to_install

# What tells pip, or a reader, to take the project of the public index that has the name of our import.
STRANGER = re.compile(
    r"(?<![\w.-])autometa\[|(?:pip|uv|pipx|conda)\b[^\n|;&]*\binstall\b[^\n|;&]*['\" \t]autometa(?![\w./-])"
)
TEXTS = (".md", ".py", ".toml", ".html", ".txt", ".cfg", ".yml")


@pytest.fixture(scope="module")
def project(root):
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_project_has_this_name_and_the_command_its_own(project):
    assert project["name"] == DISTRIBUTION != "autometa"
    assert project["scripts"] == {"autometa": "autometa.cli:main"}


@pytest.mark.parametrize(
    "text",
    [
        "pip install 'autometa[dask]'",
        "pip install autometa",
        "the extra `autometa[openml]`",
        "pip install -U autometa",
    ],
)
def test_a_wrong_name_would_be_found(text):
    assert STRANGER.search(text)


@pytest.mark.parametrize(
    "text",
    [
        how_to_install("dask"),
        "pip install -q . && .venv/bin/autometa recommend",
        "pip install autometa-learn",
    ],
)
def test_a_right_name_is_none(text):
    assert not STRANGER.search(text)


def test_no_text_sends_people_to_another_project(root):
    folders = [root / name for name in ("autometa", "docs", "metadata", "examples", "benchmarks", "tests")]
    paths = [path for folder in folders for path in folder.rglob("*") if path.suffix in TEXTS]
    paths += [path for path in root.iterdir() if path.suffix in TEXTS]
    for path in paths:
        if path.name != "test_distribution.py":
            found = STRANGER.search(path.read_text(encoding="utf-8"))
            assert found is None, f"{path.relative_to(root)}: {found and found.group()}"


def test_every_extra_that_a_text_names_exists(root, project):
    extras = set(project["optional-dependencies"])
    for folder in ("autometa", "docs"):
        for path in (root / folder).rglob("*"):
            if path.suffix in (".md", ".py"):
                text = path.read_text(encoding="utf-8")
                assert set(re.findall(rf"{DISTRIBUTION}\[(\w+)\]", text)) <= extras
                assert set(re.findall(r"how_to_install\(\"(\w+)\"\)", text)) <= extras


def test_a_missing_extra_says_what_to_install(monkeypatch):
    import sys

    from autometa.storage import open_storage

    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(DependencyError) as caught:
        open_storage("postgresql://me@localhost/db")
    assert how_to_install("postgresql") in str(caught.value)
