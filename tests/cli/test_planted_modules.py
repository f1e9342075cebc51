"""Files beside the data are data: whatever their names, no process of ours imports them."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys

import pytest

# Imported before any line of ours can run, from where Python finds them: the interpreter has no others.
PLANT = """
import os
with open(os.environ["PLANTED_LOG"], "a") as log:
    log.write(__name__ + chr(10))
raise SystemExit(f"{__name__} was imported from the folder of the user")
"""


@pytest.fixture(scope="module")
def planted(tmp_path_factory, customers):
    """Return a folder with a table, and beside it a module for every name that could be imported."""
    folder = tmp_path_factory.mktemp("planted")
    customers.drop(columns="spent").to_csv(folder / "data.csv", index=False)
    names = set(sys.stdlib_module_names) | set(importlib.metadata.packages_distributions())
    # What is imported only if it is there: extras, and accelerators that libraries ask for.
    names |= {
        "arff",
        "psycopg",
        "distributed",
        "dask",
        "openml",
        "cupy",
        "torch",
        "matplotlib",
        "sitecustomize",
    }
    for name in names - {"autometa"}:
        if name.isidentifier():
            (folder / f"{name}.py").write_text(PLANT, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def doors(root, tmp_path_factory):
    """Return the ways to call the command; the script is what an installer makes of the entry point."""
    script = tmp_path_factory.mktemp("bin") / "autometa"
    script.write_text("import sys\nfrom autometa.cli import main\nsys.exit(main())\n", encoding="utf-8")
    return {"the command": [script], "the module": ["-m", "autometa"], "the launcher": [root / "cli.py"]}


def run(planted, door, *arguments):
    log = planted / "imported.log"
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONSAFEPATH")}
    environment |= {"PLANTED_LOG": str(log)}
    done = subprocess.run(
        [sys.executable, *map(str, door), *arguments],
        cwd=planted,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert not log.exists(), log.read_text(encoding="utf-8")
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("door", ["the command", "the module", "the launcher"])
def test_recommending_imports_nothing_from_the_folder(planted, doors, door):
    assert "Recommended pipelines" in run(planted, doors[door], "recommend", "data.csv", "--target", "left")


def test_neither_a_search_with_its_workers_nor_a_prediction_imports_from_the_folder(planted, doors):
    door = doors["the module"]
    tune = ("tune", "data.csv", "--target", "left", "--trials", "2", "--output", "m.skops")
    assert "Leaderboard" in run(planted, door, *tune)
    assert "prediction" in run(planted, door, "predict", "m.skops", "data.csv")


def test_a_worker_that_is_no_copy_of_its_parent_imports_nothing_from_the_folder(planted):
    """Of `collect`, and of searches where a process must not be copied."""
    code = (
        "from autometa.evaluation import Worker\n"
        "with Worker() as worker:\n"
        "    worker.set_problem(len)\n"
        "    worker.submit('three')\n"
        "    print('answered', worker.result(200))\n"
    )
    assert "answered 5" in run(planted, ["-P", "-c", code])


def test_a_planted_module_would_be_seen(planted):
    log = planted / "imported.log"
    done = subprocess.run(
        [sys.executable, "-c", "import sklearn"],
        cwd=planted,
        env={**os.environ, "PLANTED_LOG": str(log)},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1
    log.unlink()
