"""Tables made from the results of automl.py: ranks, wins, seconds, failures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np
import pandas as pd

NAMES: Final = {
    "autogluon-best": "AutoGluon `best`",
    "autogluon": "AutoGluon",
    "flaml": "FLAML",
    "mljar": "mljar",
    "lightgbm": "LightGBM's default",
    "autometa": "**autometa**",
    "autometa:first-pick": "first pick",
    "autometa:mean-of-five": "mean of five",
}
# tune with a part of it taken away.
ABLATIONS: Final = {
    "autometa:no-recommendations": "library defaults and points at random in place of recommendations",
    "autometa:no-racing": "no racing",
    "autometa:one-fold": "one fold",
    "autometa:no-ensemble": "no ensemble",
}
RANKED: Final = ("autometa", "autogluon-best", "autogluon", "flaml", "mljar", "lightgbm")
PEERS: Final = ("autogluon-best", "autogluon", "flaml", "mljar", "lightgbm")
DEFAULT_METRICS: Final = ("log_loss", "r2")
LOWER_IS_BETTER: Final = ("log_loss",)
# Training rows.
SIZES: Final = {"up to 1,000 rows": (0, 1_000), "to 6,667": (1_000, 6_667), "more": (6_667, np.inf)}
RANKED_SECONDS: Final = 60.0
# Our limit (0: a recommendation) against a peer with a longer one.
LONGER: Final = (
    (10.0, "autogluon-best", 60.0),
    (0.0, "autogluon", 10.0),
    (0.0, "flaml", 10.0),
)
OVERRUN: Final = (0.10, 1.0)


def markdown(results: pd.DataFrame) -> str:
    """Return all tables.

    Parameters
    ----------
    results : DataFrame
        Lines of automl.csv, one for each table, tool, limit and metric.
    """
    results = results.assign(gain=gains(results))
    usual = results[results["metric"].isin(DEFAULT_METRICS)]
    parts = [
        "\n\n".join(_ranks(usual)),
        "\n\n".join(_wins(usual, "asked for log-loss or R2")),
        *("\n\n".join(_wins(part, f"asked for {metric}")) for metric, part in _other_metrics(results)),
        _seconds(results),
        _failures(results),
    ]
    return "\n\n".join(part for part in parts if part)


def gains(results: pd.DataFrame) -> pd.Series:
    """Return the scores with their sign turned where lower is better; a failure is worse than anything."""
    sign = np.where(results["metric"].isin(LOWER_IS_BETTER), -1.0, 1.0)
    return (results["score"] * sign).fillna(-np.inf)


def ranks(results: pd.DataFrame, seconds: float = RANKED_SECONDS) -> pd.DataFrame:
    """Return the rank of each ranked tool, 1 the best, on the tables on which all of those present were run."""
    chosen = results[_at(results, seconds) & results["tool"].isin(RANKED)]
    table = chosen.pivot_table(index="table", columns="tool", values="gain", aggfunc="last", dropna=False)
    return table.dropna().rank(axis=1, ascending=False)


def compare(results: pd.DataFrame, ours: tuple[str, float], theirs: tuple[str, float]) -> pd.Series:
    """Return 1 for each table on which ours is strictly better, 0.5 for ties, 0 for others."""
    gain = [
        results[(results["tool"] == tool) & _at(results, seconds)].set_index("table")["gain"]
        for tool, seconds in (ours, theirs)
    ]
    a, b = (g[g.index.isin(gain[1].index) & g.index.isin(gain[0].index)].sort_index() for g in gain)
    return pd.Series(np.where(a > b, 1.0, np.where(a == b, 0.5, 0.0)), index=a.index)


def _at(results: pd.DataFrame, seconds: float) -> pd.Series:
    """Whether a line is of that limit, or of a tool that takes none."""
    return results["seconds_asked"].isin([seconds, 0.0])


def _other_metrics(results: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    for metric, part in results.groupby("metric"):
        if metric not in DEFAULT_METRICS:
            yield str(metric), part


def _ranks(results: pd.DataFrame) -> Iterator[str]:
    found = ranks(results)
    if found.shape[1] < 3:
        return
    order = found.mean().sort_values().index
    rows = (
        (
            NAMES[tool],
            f"{found[tool].mean():.2f} +- {found[tool].sem():.2f}",
            f"{(found[tool] == 1).mean():.0%}",
        )
        for tool in order
    )
    head = (
        f"{len(found)} tables, {RANKED_SECONDS:.0f} s",
        f"mean rank of {len(order)}, lower is better",
        "first on",
    )
    yield _table(head, rows)


def _wins(results: pd.DataFrame, title: str) -> Iterator[str]:
    """Yield a table of the wins of each of our tools, by size."""
    runs = list(results.groupby(["tool", "seconds_asked"]).groups)
    ours = [run for run in runs if run[0].startswith("autometa") and run[0] not in ABLATIONS]
    rows = [
        (_label(*mine), _label(*other), *_shares(results, mine, other))
        for mine in sorted(ours, key=lambda run: (-len(run[0]), run[1]))[::-1]
        for other in sorted(runs, key=lambda run: (run[1], run[0]))
        if _is_rival(mine, other)
    ]
    if rows:
        yield _table((title, "against", "wins, higher is better", *SIZES, "messy", "of the core"), rows)


def _is_rival(mine: tuple[str, float], other: tuple[str, float]) -> bool:
    """Whether a pair is shown: the same limit, none, or the longer ones that the goals name."""
    if mine[0] == other[0] or (other[0].startswith("autometa:") and mine[0] != "autometa"):
        return (mine[0], other[0]) == ("autometa:mean-of-five", "autometa:first-pick")
    if other[0] == "autometa":
        return False
    return other[1] in (mine[1], 0.0) or (mine[1], *other) in LONGER


def _shares(results: pd.DataFrame, ours: tuple[str, float], theirs: tuple[str, float]) -> Iterator[str]:
    won = compare(results, ours, theirs)
    facts = results.drop_duplicates("table").set_index("table").loc[won.index]
    yield _share(won)
    for low, high in SIZES.values():
        yield _share(won[(facts["n_rows"] > low) & (facts["n_rows"] <= high)])
    yield _share(won[facts["source"] == "messy"])
    yield " and ".join(_of_the_core(results, run, won.index) for run in (ours, theirs))


def _of_the_core(results: pd.DataFrame, run: tuple[str, float], tables: pd.Index) -> str:
    """Return the CPU seconds as a share of the seconds taken: what a machine that others use left to a tool."""
    lines = results[(results["tool"] == run[0]) & (results["seconds_asked"] == run[1])]
    lines = lines[lines["table"].isin(tables)]
    share = (lines["cpu_seconds"] / lines["seconds_taken"]).median()
    return "?" if np.isnan(share) else f"{share:.0%}"


def _share(won: pd.Series) -> str:
    """Return wins and their share; the error is over tables, each of a family of its own."""
    if not len(won):
        return ""
    error = won.std(ddof=1) / np.sqrt(len(won)) if len(won) > 1 else np.nan
    return (
        f"{won.sum():g} of {len(won)}, {won.mean():.0%} +- {error:.0%}"
        if len(won) > 1
        else f"{won.sum():g} of 1"
    )


def _seconds(results: pd.DataFrame) -> str:
    rows = []
    for (tool, asked), part in results.groupby(["tool", "seconds_asked"]):
        taken = part["seconds_taken"].dropna()
        if not len(taken):
            continue
        over = taken - asked
        bound = asked * OVERRUN[0] + OVERRUN[1]
        is_limited = asked > 0
        rows.append(
            (
                _label(str(tool), float(asked)),
                f"{len(part)}",
                f"{taken.median():.1f}",
                f"{(part['cpu_seconds'] / part['seconds_taken']).median():.0%}",
                f"{over.quantile(0.99):.1f}" if is_limited else "",
                f"{over.max():.1f}" if is_limited else "",
                f"{(over > bound).mean():.0%}" if is_limited else "",
                f"{part['predict_seconds'].median():.2f}",
                f"{part['peak_mb'].median():.0f}",
                f"{(part['status'] != 'ok').sum()}",
            )
        )
    head = (
        "",
        "runs",
        "s taken, median",
        "of the core",
        "overrun, 99th percentile",
        "worst",
        "over by 10 % + 1 s",
        "s to predict 10,000 rows",
        "peak MB",
        "failures",
    )
    return _table(head, rows)


def _failures(results: pd.DataFrame) -> str:
    failed = results[results["status"] != "ok"]
    if not len(failed):
        return ""
    lines = [
        f"- {_label(r.tool, r.seconds_asked)}, {r.table}: {r.status.removeprefix('error: ')}"
        for r in failed.itertuples()
    ]
    return "Failures, which count as worse than any score:\n\n" + "\n".join(lines)


def _label(tool: str, seconds: float) -> str:
    name = (NAMES | ABLATIONS).get(tool, tool)
    return f"{name}, {seconds:g} s" if seconds else name


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = tuple(head)
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
