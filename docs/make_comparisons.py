"""Write the measured tables into the pages, from the result files: ``python docs/make_comparisons.py``.

What stands between ``<!-- NAME: begin -->`` and ``<!-- NAME: end -->`` in ``docs/comparisons.md`` and ``README.md`` is
replaced by what ``benchmarks/results/`` and ``metadata/report.csv`` hold, and ``docs/figures/headline.svg`` is drawn. A
test fails where a page says something else than its result file, or has a figure beside the marks.
"""

from __future__ import annotations

import json
import runpy
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import pandas as pd

from autometa.wording import counted

ROOT: Final = Path(__file__).resolve().parents[1]
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
NAMES: Final = {
    **SEARCHES,
    "TPE": "cold TPE",
    "autometa": "`tune`",
}
# How the report of the training calls the methods, in the order of the table.
REPLAYED: Final = {
    "lightgbm default": "LightGBM's defaults",
    "random_forest default": "random forest's defaults",
    "best of four tree ensembles' defaults": "best of four tree ensembles' defaults, looked up afterwards",
    "portfolio": "static portfolio",
    "nearest": "nearest tasks by meta-features",
    "autometa": "**autometa**",
}
KINDS: Final = ("classification", "regression")
FIRST: Final = (1, 3, 5, 10)
# Result files by section of the page.
SECTIONS: Final = {
    "The best model in the time given": ("automl.csv", "time_limit.csv"),
    "Tables as people write them": ("messy.csv",),
    "Without fitting anything": ("../../metadata/report.csv",),
    "With real fits against peers": ("zero_shot.csv",),
    "Searching": ("search.csv",),
    "Your own search space": ("rbv2.csv",),
    "Installing": ("install.csv",),
    "The report": ("report.csv",),
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
    messy_results = pd.read_csv(RESULTS / "messy.csv").query("half == 'reporting'")
    searches, past = pd.read_csv(RESULTS / "search.csv"), pd.read_csv(RESULTS / "rbv2.csv")
    replayed = pd.read_csv(ROOT / "metadata" / "report.csv").query("slice == 'all'")
    return {
        README: {"headline": headline(automl, automl_report)},
        HOW_IT_WORKS: {
            **one_each(replayed, search.held_out(searches)),
            "ten": ten_seconds(automl, automl_report),
        },
        COMPARISONS: {
            "made": made_table(pd.read_csv(RESULTS / "made.csv")),
            "automl": automl_report.markdown(automl),
            "time limit": time_limit(pd.read_csv(RESULTS / "time_limit.csv")),
            "messy": messy_table(messy.shares(messy_results)),
            "messy facts": messy_facts(messy_results),
            "replay": replay_table(replayed),
            "replay paired": replay_paired(replayed),
            "zero-shot": zero_shot.markdown(pd.read_csv(RESULTS / "zero_shot.csv")),
            "search": search_table(search.regrets(searches)),
            "search paired": differences(search.on_folds(searches), "regret, lower is better"),
            "search held out": differences(search.held_out(searches), "the model, higher is better"),
            "past studies": past_table(past),
            "past misled": past_misled(past),
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


def one_each(replayed: pd.DataFrame, held_out: Iterable[Any]) -> dict[str, str]:
    """Say one figure for each part of how it works."""
    base = json.loads((ROOT / "metadata" / "manifest.json").read_text(encoding="utf-8"))["summary"]
    of = replayed[replayed["target"] == "classification"].set_index("method")
    beside = {(d.after, d.against): d for d in held_out if d.theirs == "TPE"}

    def won(after: int, against: int) -> str:
        found = beside[after, against]
        return f"{found.better:.0%} of {found.n} tables".replace("%", " %")

    return {
        "known": f"**Known: {base['tasks']['total']:,} tasks of {base['families']:,} families, "
        f"{base['runs']['total']:,} runs.**",
        "first": f"**The first choice has a regret of {short(of.loc['autometa', 'regret@1'])} (classification); "
        f"LightGBM's defaults {short(of.loc['lightgbm default', 'regret@1'])}.**",
        "nearest": f"**Nearest tasks by meta-features alone reach {short(of.loc['nearest', 'regret@1'])}.**",
        "five": f"**The best of five has a regret of {short(of.loc['autometa', 'regret@5'])}; a static portfolio's "
        f"five {short(of.loc['portfolio', 'regret@5'])}.**",
        "few": f"**On rows held out, the model of ten trials beats that of ten of TPE on {won(10, 10)}.**",
        "explored": f"**The model of ten trials beats that of a hundred of TPE on {won(10, 100)}.**",
    }


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


def made_table(made: pd.DataFrame) -> str:
    """Say when each section was measured, and with which state of the code."""
    known = made.set_index("file")
    rows = []
    for section, files in SECTIONS.items():
        paths = [(RESULTS / name).resolve().relative_to(ROOT).as_posix() for name in files]
        anchor = section.lower().replace(" ", "-")
        found = known.loc[paths]
        rows.append(
            (
                f"[{section}](#{anchor})",
                ", ".join(f"`{path}`" for path in paths),
                ", ".join(dict.fromkeys(found["measured"])),
                ", ".join(f"`{commit}`" for commit in dict.fromkeys(found["commit"].astype(str))),
            )
        )
    return table(("section", "result file", "measured on", "code"), rows)


def time_limit(runs: pd.DataFrame) -> str:
    """Say by how much the limits were passed."""
    over = runs["seconds"] - runs["limit"]
    worst, largest = runs.loc[over.idxmax()], runs.loc[runs["n_rows"].idxmax()]
    n_over = int((over > 0.1 * runs["limit"] + 1).sum())
    return (
        f"The limit was also tried on tables made up and real, up to {largest['n_rows']:,} x "
        f"{largest['n_columns']}, each run beside\ntwo processes that never rest on the same core: "
        f"{len(runs)} runs of {runs['limit'].min()} to {runs['limit'].max()} seconds. The worst took\n"
        f"{worst['seconds']:.1f} of {worst['limit']} seconds; {n_over or 'none'} were over by more than 10 % + 1 s."
    )


def messy_facts(results: pd.DataFrame) -> str:
    """Say what failed, and how long reading takes."""
    ours = results["method"].str.startswith("autometa")
    failed = results["error"].notna()
    seconds = results.groupby("method")["preparing_seconds"].mean()
    return (
        f"Of {results['table'].nunique()} tables of {results['family'].nunique()} families autometa failed on "
        f"{int((failed & ours).sum())}, and AutoGluon on "
        f"{int((failed & (results['method'] == 'AutoGluon 10 s')).sum())}, which counts for autometa.\n"
        f"Reading and preparing the training rows takes {seconds['autometa first pick']:.2f} CPU seconds on average, "
        f"skrub's `TableVectorizer` {seconds['skrub default']:.2f}."
    )


def replay_table(found: pd.DataFrame) -> str:
    """Return the regret of the best of the first few entries, by kind."""
    rows = []
    for method, name in REPLAYED.items():
        cells = []
        for kind in KINDS:
            row = found[(found["target"] == kind) & (found["method"] == method)].iloc[0]
            fixed = method.endswith(("default", "defaults"))
            for k in FIRST:
                cells.append(
                    ""
                    if fixed and k > 1
                    else f"{short(row[f'regret@{k}'])} +- {short(row[f'regret@{k}_se'])}"
                )
        rows.append((name, *cells))
    counts = {kind: int(found[found["target"] == kind]["n_tasks"].iloc[0]) for kind in KINDS}
    heads = [f"{kind} ({counts[kind]}), first" if k == 1 else str(k) for kind in KINDS for k in FIRST]
    return table(("regret, lower is better", *heads), rows)


def replay_paired(found: pd.DataFrame) -> str:
    """Say how far the recommendations lie below the portfolio on the same tasks."""

    def below(k: int) -> str:
        rows = [found[(found["target"] == kind) & (found["method"] == "portfolio")].iloc[0] for kind in KINDS]
        return " and ".join(f"{short(row[f'more@{k}'])} +- {short(row[f'more@{k}_se'])}" for row in rows)

    return (
        f"Paired, for classification and regression: the first recommendation lies {below(1)} below the static\n"
        f"portfolio's first entry, the first five {below(5)} below its first five, the first ten {below(10)}\n"
        "below its first ten."
    )


def differences(found: Iterable[Any], what: str) -> str:
    """Return how one method does beside another on the same tables."""
    return table(
        (f"in units of regret; {what}", "against", "difference", "better on, ties half"),
        (
            (
                f"{NAMES[d.ours]}, {counted(d.after, 'trial')}",
                f"{NAMES[d.theirs]}, {counted(d.against, 'trial')}",
                f"{d.mean:+.2f} +- {d.error:.2f}".replace("-0.00 ", "+0.00 "),
                f"{d.better:.0%} of {d.n}",
            )
            for d in found
            if d.n
        ),
    )


def past_misled(results: pd.DataFrame) -> str:
    """Return the regret with past studies that mislead."""
    rows = []
    for prior, name in (("shuffled", "scores shuffled"), ("reversed", "scores of the wrong sign")):
        mean = (
            results[(results["method"] == "meta") & (results["prior"] == prior)]
            .groupby("trials")["regret"]
            .mean()
        )
        rows.append((f"past studies with their {name}", *(short(mean[n]) for n in PAST_TRIALS)))
    tpe = (
        results[(results["method"] == "tpe") & (results["prior"] == "honest")]
        .groupby("trials")["regret"]
        .mean()
    )
    rows.append((PAST["tpe"], *(short(tpe[n]) for n in PAST_TRIALS)))
    return table(("regret after trials, lower is better", *map(str, PAST_TRIALS)), rows)


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
    return table(("regret after trials, lower is better", *map(str, TRIALS)), rows)


def past_table(results: pd.DataFrame) -> str:
    """Return the regret with past studies by method and number of trials."""
    honest = results[results["prior"] == "honest"]
    mean = honest.groupby(["method", "trials", "task"])["regret"].mean().groupby(["method", "trials"]).mean()
    rows = ((name, *(short(mean[key, n]) for n in PAST_TRIALS)) for key, name in PAST.items())
    return table(("regret after trials, lower is better", *map(str, PAST_TRIALS)), rows)


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
    heads = ("search", "table", "classes", "trials", "CPU s, lower is better", "MB")
    return table((*heads, "console errors, requests, faint texts"), rows)


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
    if (ROOT / ".git").exists():
        runpy.run_path(str(RESULTS.parent / "made.py"))["update"]()
    for path, parts in make().items():
        path.write_text(replace(path.read_text(encoding="utf-8"), parts), encoding="utf-8")
    runpy.run_path(str(ROOT / "docs" / "make_headline.py"))["main"](RESULTS / "automl.csv")


if __name__ == "__main__":
    main()
