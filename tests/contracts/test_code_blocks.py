"""Every block of code on every page is run: Python as it stands, shell line by line, where there is what it names.

Numbers that only make it take long (limits of time, trials, configurations) are made small. Lines that install
something, start a server or need a machine that is not here are not run: `.ci/release` runs the installing ones.
Commands of autometa among the latter are at least parsed.
"""

from __future__ import annotations

import re
import shlex
import shutil
import textwrap
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pytest
from openml_server import bundled

from autometa import MetaBase
from autometa.cli import build_parser, main
from autometa.storage import write_file

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *(ROOT / "docs").rglob("*.md"),
    *(ROOT / "metadata").glob("*.md"),
]
BLOCK = re.compile(r"^( *)```(python|sh)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
BLOCKS = {
    str(page.relative_to(ROOT)): [
        (kind, textwrap.dedent(text)) for _, kind, text in BLOCK.findall(page.read_text("utf-8"))
    ]
    for page in PAGES
}
# What a number is made, so that a block takes seconds.
SMALL = {
    r"\btimeout=\d+": "timeout=5",
    r"\bn_trials=\d+": "n_trials=2",
    r"\bn_configurations=\d+": "n_configurations=1",
    r"\bn_jobs=\d+": "n_jobs=1",
    r"\bpause=\d+": "pause=0",
    r"--timeout \d+": "--timeout 5",
    r"--trials \d+": "--trials 2",
    r"--configurations \d+": "--configurations 1",
    r"--tuned \d+": "--tuned 1",
    r"--fidelities (\d+:\d+ ?)+": "",
    r"--jobs \d+": "--jobs 1",
    # Where no number is given, one is.
    r"autometa\.tune\(X, y, (?=storage)": "autometa.tune(X, y, n_trials=2, ",
    r"autometa tune (?!.*--(?:trials|timeout))": "autometa tune --trials 2 ",
}
# Install, start a server, or run all tests: not in a test.
ELSEWHERE = {"pip", "pytest", "sphinx-build", "dask", "optuna-dashboard", "."}
# Machines that are not here.
FAR = re.compile(r"postgresql://|tcp://")


@pytest.fixture(scope="module")
def people() -> pd.DataFrame:
    """Return a table with the columns that the pages name."""
    rng = np.random.default_rng(0)
    n = 120
    age = rng.integers(18, 80, n)
    return pd.DataFrame(
        {
            "age": age,
            "plan": rng.choice(["basic", "pro", "max"], n),
            "day": pd.Timestamp("2026-01-01") + pd.to_timedelta(rng.permutation(n), unit="D"),
            "price": (age * 3 + rng.normal(0, 5, n)).round(2),
            "sales": (age * 2 + rng.normal(0, 5, n)).round(2),
            "churned": np.where(age + rng.normal(0, 12, n) > 45, "yes", "no"),
        }
    )


@pytest.fixture(scope="module")
def runs(people: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with tables, and a journal of one run of each algorithm on each."""
    folder = tmp_path_factory.mktemp("runs")
    tables = folder / "my_tasks"
    tables.mkdir()
    for name, rows in (("first", people[:70]), ("second", people[50:])):
        rows[["age", "plan", "price", "churned"]].to_parquet(tables / f"{name}.parquet", index=False)
    write_file(
        tables / "catalog.csv",
        b"name,task_type,target,family\nfirst,binary,churned,a\nsecond,binary,churned,b\n",
    )
    storage = str(folder / "runs.journal")
    assert main(["collect", "--directory", str(tables), "--storage", storage, "--configurations", "1"]) == 0
    return folder


@pytest.fixture
def world(people, tmp_path, monkeypatch, visit, request):
    """Go to a folder with the files that the pages name, and return the names that their code takes for granted."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUTOMETA_HOME", str(tmp_path / "home"))
    shutil.copytree(ROOT / "examples", "examples")
    for name in ("data.csv", "new.csv"):
        people.to_csv(name, index=False)
    for name in ("march.csv", "april.csv"):
        people.rename(columns={"churned": "left"}).to_csv(name, index=False)
    if any(
        "my_tasks" in text or "machine_1" in text or "DIR" in text
        for _, text in BLOCKS[request.node.callspec.params["page"]]
    ):
        runs = request.getfixturevalue("runs")
        for name in ("my_tasks", "DIR", "CHEAP", "WORDS"):
            shutil.copytree(runs / "my_tasks", name)
        for name in ("runs.journal", "machine_1.journal", "machine_2.journal"):
            shutil.copy(runs / "runs.journal", name)
    known = MetaBase.load()  # a few tables stand for the bundled base where one is trained on
    few = known.only([*known.task_ids("classification")[:3], *known.task_ids("regression")[:3]])
    load = MetaBase.load
    monkeypatch.setattr(MetaBase, "load", lambda path=None: few if path is None else load(path))
    site = bundled("iris", "wine")
    site.tasks[3954] = site.tasks.pop(9)
    site.suites.update({99: [59], 271: [59], 269: [59]})
    X, y = people[["age", "plan", "price"]], people["churned"]
    storage = optuna.storages.InMemoryStorage()
    for month in ("january", "february", "march"):
        optuna.create_study(storage=storage, study_name=month, direction="maximize").optimize(
            objective, n_trials=5
        )
    with site:
        visit(site.address)
        yield {
            "X": X,
            "y": y,
            "data": people,
            "new_rows": X,
            "rows": X,
            "storage": storage,
            "objective": objective,
        }


def objective(trial: optuna.Trial) -> float:
    """Return the height of a hill."""
    return -((trial.suggest_float("x", -1, 1) - 0.3) ** 2)


def run_python(text: str, page: str, names: dict[str, object]) -> None:
    """Run a block with the names that the page has so far."""
    exec(compile(text, page, "exec"), names)  # the page's own code is what is tested


def run_shell(text: str) -> int:
    """Run the lines of a block, and return how many were commands of autometa."""
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    steps = [step for line in lines for step in split_steps(line) if step]
    return sum(map(run_step, steps))


def split_steps(line: str) -> list[list[str]]:
    """Return the words of each command of a line."""
    steps: list[list[str]] = [[]]
    for word in shlex.split(line, comments=True):
        if word == "&&":
            steps.append([])
        else:
            steps[-1].append(word)
    return steps


def run_step(words: list[str]) -> bool:
    """Run one command, and return whether it was one of autometa."""
    program = Path(words[0]).name or words[0]
    if program == "autometa":
        if FAR.search(" ".join(words)):
            build_parser().parse_args(words[1:])
        else:
            assert main(words[1:]) == 0, words
        return True
    if program.startswith("python"):
        assert words[1:3] == ["-m", "venv"] or (ROOT / words[1]).is_file(), words
    else:
        assert program in ELSEWHERE, words
    return False


def quick(text: str) -> str:
    """Return a block with its numbers made small."""
    for pattern, replacement in SMALL.items():
        text = re.sub(pattern, replacement, text)
    return text


@pytest.mark.timeout(900)  # trainings and collections, on a machine that may be busy
@pytest.mark.parametrize("page", [page for page, blocks in BLOCKS.items() if blocks])
def test_the_blocks_of_a_page_run(page: str, world: dict[str, object]):
    for kind, text in BLOCKS[page]:
        if kind == "python":
            run_python(quick(text), page, world)
        else:
            run_shell(quick(text))


def test_every_block_is_of_a_language_that_is_run():
    """A block of another language would be left out in silence."""
    shown = {"python", "sh", "text", "toctree", "eval-rst", "image", "include"}
    for page in PAGES:
        assert set(re.findall(r"^ *```\{?([\w-]+)", page.read_text("utf-8"), flags=re.MULTILINE)) <= shown, (
            page
        )


@pytest.mark.parametrize("line", ["autometa tune data.csv --targt y", "autometa nonsense", "rm -rf x"])
def test_a_wrong_line_would_be_found(line: str):
    with pytest.raises((AssertionError, SystemExit)):
        run_shell(line)
