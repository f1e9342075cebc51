"""Write the counts in ``metadata/README.md`` from the bundled tables: ``python docs/make_datacard.py``."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import pandas as pd

from autometa import MetaBase

FOLDER = Path(__file__).parent.parent / "metadata"
PAGE = FOLDER / "README.md"
BEGIN: Final = "<!-- counted by docs/make_datacard.py -->\n"
END: Final = "<!-- end of what is counted -->\n"
ROW_LIMITS: Final = (500, 1_500, 8_000)


def render(base: MetaBase, page: str) -> str:
    """Return a page with the counts of a base between the marks."""
    head, _, rest = page.partition(BEGIN)
    tail = rest.partition(END)[2]
    return f"{head}{BEGIN}\n{_counts(base)}\n{END}{tail}"


def _counts(base: MetaBase) -> str:
    tables = [
        _table(("", ""), _summary(base)),
        _table(("rows", "tasks"), _sizes(base.tasks["n_rows"])),
        _table(("source", "tasks", "with OpenML id"), _sources(base.tasks)),
        _table(
            ("fidelity", "runs", "ok", "failed", "out of time", "out of memory", "tasks"),
            _fidelities(base.runs),
        ),
        _table(("algorithm", "runs", "ok", "failed", "out of time", "out of memory"), _failures(base)),
        _table(("most frequent reasons of failure", "runs"), _reasons(base.runs)),
    ]
    return "\n".join(tables)


def _summary(base: MetaBase) -> list[tuple[str, str]]:
    tasks, configurations = base.tasks, base.configurations
    tuned = configurations["origin"] == "tuned"
    is_tuned = base.runs["configuration_id"].isin(configurations.loc[tuned, "configuration_id"])
    kinds = ", ".join(f"{count} {kind}" for kind, count in tasks["kind"].value_counts().sort_index().items())
    return [
        ("tasks", f"{len(tasks):,}: {kinds}; {tasks['family'].nunique():,} families"),
        (
            "columns of a task",
            f"{tasks['n_features'].median():.0f} in the median, at most {tasks['n_features'].max():,}",
        ),
        ("dense configurations", _by_target(configurations[~tuned])),
        ("tuned configurations", _by_target(configurations[tuned])),
        ("dense configurations of an algorithm on a task", _depth(base)),
        ("runs", f"{len(base.runs):,}, {is_tuned.sum():,} of them of tuned configurations"),
        (
            "CPU hours",
            f"{_cpu_hours(base.runs):,.1f} to fit and predict, in all folds of the successful runs",
        ),
        ("size of the tables", f"{sum(p.stat().st_size for p in FOLDER.glob('*.parquet')) / 1e6:.1f} MB"),
    ]


def _by_target(configurations: pd.DataFrame) -> str:
    counts = configurations["target"].value_counts()
    return ", ".join(f"{counts.get(target, 0):,} for {target}" for target in ("classification", "regression"))


def _depth(base: MetaBase) -> str:
    known = base.configurations[base.configurations["origin"] != "tuned"]
    algorithms = dict(zip(known["configuration_id"], known["algorithm"], strict=True))
    runs = base.runs[base.runs["configuration_id"].isin(algorithms)]
    main = base.main_fidelities.reindex(runs["task_id"]).to_numpy() == runs["fidelity"].to_numpy()
    runs = runs[main]
    depth = (
        runs.groupby(["task_id", runs["configuration_id"].map(algorithms)]).size().groupby("task_id").min()
    )
    counts = depth.value_counts().sort_index(ascending=False)
    # A list may hold no more than the default of an algorithm.
    words = {number: "a list" if number == 1 else str(number) for number in counts.index}
    return ", ".join(f"{words[number]} on {tasks:,} tasks" for number, tasks in counts.items())


def _cpu_hours(runs: pd.DataFrame) -> float:
    seconds = runs["fit_seconds"].fillna(0.0) + runs["predict_seconds"].fillna(0.0)
    return float((seconds.astype("float64") * runs["n_folds"]).sum() / 3600)


def _sizes(n_rows: pd.Series) -> list[tuple[str, str]]:
    edges = [int(n_rows.min()) - 1, *ROW_LIMITS, int(n_rows.max())]
    labels = [f"{low + 1:,} to {high:,}" for low, high in itertools.pairwise(edges)]
    counts = pd.cut(n_rows.astype("float64"), edges, labels=labels).value_counts(sort=False)
    return [(str(label), f"{count:,}") for label, count in counts.items()]


def _sources(tasks: pd.DataFrame) -> list[tuple[str, str, str]]:
    groups = tasks.groupby(tasks["source"].fillna("not known"))["openml_id"].agg(["size", "count"])
    return [
        (str(source), f"{row['size']:,}", f"{row['count']:,}")
        for source, row in groups.sort_values("size", ascending=False, kind="stable").iterrows()
    ]


def _fidelities(runs: pd.DataFrame) -> list[tuple[str, ...]]:
    return [
        (f"{fidelity:,}", *_statuses(part), f"{part['task_id'].nunique():,}")
        for fidelity, part in runs.groupby("fidelity")
    ]


def _failures(base: MetaBase) -> list[tuple[str, ...]]:
    algorithms = base.configurations.drop_duplicates("configuration_id").set_index("configuration_id")[
        "algorithm"
    ]
    groups = base.runs.groupby(base.runs["configuration_id"].map(algorithms))
    return [(str(algorithm), *_statuses(runs)) for algorithm, runs in groups]


def _statuses(runs: pd.DataFrame) -> tuple[str, ...]:
    counts = runs["status"].value_counts()
    return (f"{len(runs):,}", *(f"{counts.get(name, 0):,}" for name in ("ok", "failed", "timeout", "memory")))


def _reasons(runs: pd.DataFrame) -> list[tuple[str, str]]:
    reasons = runs.loc[runs["status"] == "failed", "reason"].str.slice(0, 90).value_counts()
    shown = reasons.head(5).rename(lambda reason: reason.replace("|", "/").replace("`", "'"))
    return [(f"`{reason}`", f"{count:,}") for reason, count in shown.items()]


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


if __name__ == "__main__":
    PAGE.write_text(render(MetaBase.load(FOLDER), PAGE.read_text(encoding="utf-8")), encoding="utf-8")
