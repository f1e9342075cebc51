"""What is installed: the package, the metadata base, and nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
import zipfile

import pytest

from autometa.errors import DISTRIBUTION


@pytest.fixture(scope="module")
def pyproject(root):
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))


def test_every_folder_of_the_package_is_listed(root, pyproject):
    folders = {
        ".".join(path.parent.relative_to(root).parts) for path in (root / "autometa").rglob("__init__.py")
    }
    assert set(pyproject["tool"]["setuptools"]["packages"]) == folders | {"autometa.metadata"}


@pytest.fixture(scope="module")
def wheel(root, tmp_path_factory):
    """Build a wheel from a copy, so that no leftover of an earlier build gets in."""
    copy = tmp_path_factory.mktemp("source")
    for name in ("autometa", "metadata", "tests", "benchmarks", "examples"):
        shutil.copytree(root / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "cli.py"):
        shutil.copy(root / name, copy / name)
    code = "import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(copy)],
        cwd=copy,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(copy / done.stdout.splitlines()[-1]) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_wheel_holds_the_package_and_the_metadata_base(root, wheel):
    sources = {str(path.relative_to(root)) for path in (root / "autometa").rglob("*.py")}
    data = {
        f"autometa/metadata/{path.relative_to(root / 'metadata').as_posix()}"
        for path in (root / "metadata").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    lists = {"autometa/metafeatures/catalogue.csv", "autometa/tables/calendar.csv"}
    expected = sources | data | lists | {"autometa/py.typed"}
    assert {name for name in wheel if ".dist-info/" not in name} == expected
    assert {"tasks.parquet", "configurations.parquet", "runs.parquet", "manifest.json", "README.md"} <= {
        name.removeprefix("autometa/metadata/") for name in data
    }


def test_the_wheel_says_what_it_is(wheel):
    inside = {
        name.partition(".dist-info/")[2]: content for name, content in wheel.items() if ".dist-info/" in name
    }
    assert b"autometa = autometa.cli:main" in inside["entry_points.txt"]
    assert inside["top_level.txt"].split() == [b"autometa"]
    assert f"Name: {DISTRIBUTION}\n".encode() in inside["METADATA"]
    assert b"License-Expression: BSD-3-Clause" in inside["METADATA"]
    assert "licenses/LICENSE" in inside
