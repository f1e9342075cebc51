"""Write the measured tables into the pages, from the result files: ``python docs/make_comparisons.py``.

What stands between ``<!-- NAME: begin -->`` and ``<!-- NAME: end -->`` in ``docs/comparisons.md`` and ``README.md`` is
replaced by what ``benchmarks/results/`` holds, and ``docs/figures/headline.svg`` is drawn. A test fails where a page
says something else than its result file.
"""

from __future__ import annotations

import runpy
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import pandas as pd

ROOT: Final = Path(__file__).parents[1]
RESULTS: Final = ROOT / "benchmarks" / "results"
COMPARISONS: Final = ROOT / "docs" / "comparisons.md"
README: Final = ROOT / "README.md"
HOW_IT_WORKS: Final = ROOT / "docs" / "how-it-works.md"
TRIALS: Final = (1, 3, 5, 10, 25, 100, 250)
SEARCHES: Final = {
    "TPE": "cold TPE on the same space and folds",
    "portfolio then TPE": "static portfolio, then TPE",
    "autometa": "**`autometa.tune`**",
}
PAST_TRIALS: Final = (1, 5, 10, 25, 100)
PAST: Final = {
    "meta": "**`MetaSampler(past_studies=...)`**",
    "portfolio_tpe": "a portfolio of the past studies, then TPE",
    "tpe": "TPE",
}


def make() -> dict[Path, dict[str, str]]:
    """Return what stands between the marks of each page, by name."""
    sys.path.insert(0, str(RESULTS.parent))
    try:
        import automl_report
        import install
        import messy
        import search
        import zero_shot
    finally:
        sys.path.pop(0)
    automl = pd.read_csv(RESULTS / "automl.csv")
    automl = automl[automl["part"] == "report"]
    return {
        README: {"headline": headline(automl, automl_report)},
        HOW_IT_WORKS: {"ten": ten_seconds(automl, automl_report)},
        COMPARISONS: {
            "automl": automl_report.markdown(automl),
            "messy": messy_table(
                messy.shares(pd.read_csv(RESULTS / "messy.csv").query("half == 'reporting'"))
            ),
            "zero-shot": zero_shot.markdown(pd.read_csv(RESULTS / "zero_shot.csv")),
            "search": search_table(search.regrets(pd.read_csv(RESULTS / "search.csv"))),
            "past studies": past_table(pd.read_csv(RESULTS / "rbv2.csv")),
            "install": install.report(),
            "report": report_table(pd.read_csv(RESULTS / "report.csv")),
        },
    }


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table in Markdown."""
    head = tuple(head)
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ("---",) * len(head), *rows))


def short(value: float) -> str:
    """Return a regret with two places, and nothing before the point."""
    return f"{value:.2f}".removeprefix("0")


def usual(results: pd.DataFrame, automl_report: Any) -> pd.DataFrame:
    """Return the runs that were asked for log-loss or R2, with what is better the higher it is."""
    return results.assign(gain=automl_report.gains(results))[
        results["metric"].isin(automl_report.DEFAULT_METRICS)
    ]


def ten_seconds(results: pd.DataFrame, automl_report: Any) -> str:
    """Say on how many tables ten seconds beat ten of AutoGluon."""
    won = automl_report.compare(usual(results, automl_report), ("autometa", 10.0), ("autogluon", 10.0))
    return f"**Ten seconds of it beat ten of AutoGluon on {won.mean() * 100:.0f} % of {len(won)} tables.**"


def headline(results: pd.DataFrame, automl_report: Any) -> str:
    """Say on how many tables the others are beaten within the same time, and how long the longest runs took."""
    results = usual(results, automl_report)

    def share(ours: float, tool: str, theirs: float) -> str:
        won = automl_report.compare(results, ("autometa", ours), (tool, theirs))
        return f"{won.mean() * 100:.0f} %"

    def longest(limit: float) -> str:
        mine = results[(results["tool"] == "autometa") & (results["seconds_asked"] == limit)]
        return f"{mine['seconds_taken'].max():.1f}"

    return (
        f"In ten seconds autometa beats AutoGluon's ten on {share(10, 'autogluon', 10)} of them and FLAML's on\n"
        f"{share(10, 'flaml', 10)}. In sixty it beats AutoGluon's `best` in sixty on "
        f"{share(60, 'autogluon-best', 60)}. Its longest runs took {longest(10)} of 10 and\n"
        f"{longest(60)} of 60 seconds (`python benchmarks/automl.py --report`)."
    )


def messy_table(found: pd.DataFrame) -> str:
    """Return the wins on the messy tables of the reporting half."""
    heads = [
        name.replace("skrub default", "skrub's default").replace("AutoGluon 10", "AutoGluon, 10")
        for name in found
    ]
    return table(
        ("higher is better", *heads),
        ((f"**{name}**", *row) for name, row in zip(found.index, found.values, strict=True)),
    )


def search_table(found: pd.DataFrame) -> str:
    """Return the regret of the best so far by method and number of trials."""
    each = found.groupby("method")
    mean, error = each.mean(), each.sem()
    rows = (
        (
            name,
            *(
                "" if pd.isna(mean[n][key]) else f"{short(mean[n][key])} +- {short(error[n][key])}"
                for n in TRIALS
            ),
        )
        for key, name in SEARCHES.items()
    )
    return table(("after trials", *map(str, TRIALS)), rows)


def past_table(results: pd.DataFrame) -> str:
    """Return the regret with past studies by method and number of trials."""
    honest = results[results["prior"] == "honest"]
    mean = honest.groupby(["method", "trials", "task"])["regret"].mean().groupby(["method", "trials"]).mean()
    rows = ((name, *(short(mean[key, n]) for n in PAST_TRIALS)) for key, name in PAST.items())
    return table(("after trials", *map(str, PAST_TRIALS)), rows)


def report_table(results: pd.DataFrame) -> str:
    """Return what a page of each shape takes, and what a browser says of it."""
    rows = (
        (
            r.shape,
            f"{r.rows:,} x {r.columns:,}",
            f"{r.classes:,}" if r.classes else "numbers",
            f"{r.trials:,}",
            f"{r.cpu_seconds:.1f}",
            f"{r.megabytes:.2f}",
            f"{r.console_errors} {r.outside_requests} {r.contrast_failures}",
        )
        for r in results.itertuples()
    )
    heads = ("search", "table", "classes", "trials", "CPU s", "MB", "console errors, requests, faint texts")
    return table(heads, rows)


def replace(page: str, parts: Mapping[str, str]) -> str:
    """Return a page with other text between the marks.

    Raises
    ------
    ValueError
        Where a page lacks a mark.
    """
    for name, text in parts.items():
        begin, end = f"<!-- {name}: begin -->\n", f"\n<!-- {name}: end -->"
        before, first, rest = page.partition(begin)
        _, last, after = rest.partition(end)
        if not first or not last:
            raise ValueError(f"the marks of {name!r} are missing")
        page = before + begin + text + end + after
    return page


def main() -> None:
    """Write the pages and draw the headline."""
    for path, parts in make().items():
        path.write_text(replace(path.read_text(encoding="utf-8"), parts), encoding="utf-8")
    runpy.run_path(str(ROOT / "docs" / "make_headline.py"))["main"](RESULTS / "automl.csv")


if __name__ == "__main__":
    main()
