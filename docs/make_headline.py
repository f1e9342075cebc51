"""Draw the headline comparison from the result files: ``python docs/make_headline.py [RESULTS.csv]``.

From ``benchmarks/results/automl.csv`` (columns table, tool, seconds_asked, metric, score, part): the mean rank of each
tool within the longest limit, on the tables on which all were run; 1 is best. Only tables that nothing was chosen on
count (those of ``part`` other than ``develop``). Where no such file is there, the search against a cold TPE from
``benchmarks/results/search.csv``. Writes ``docs/figures/headline.svg``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pandas as pd

from autometa.report._drawing import draw

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PATH = ROOT / "docs" / "figures" / "headline.svg"
NAMES = {
    "autometa": "autometa",
    "autogluon": "AutoGluon",
    "autogluon-best": "AutoGluon best",
    "flaml": "FLAML",
    "mljar": "mljar",
    "lightgbm": "LightGBM default",
}
LOWER = ("log_loss", "rmse", "mae")
# The colours of the page are variables; a picture in a README has no page.
COLOURS = {
    "--ink": "#17202a",
    "--muted": "#52606d",
    "--grid": "#e4e8ec",
    "--axis": "#8896a3",
    "--quiet": "#7b8794",
    "--c1": "#0b65c2",
}


def ranks(results: pd.DataFrame) -> pd.DataFrame:
    """Return the mean rank with its standard error for each tool and limit, on tables where every tool has a line.

    Parameters
    ----------
    results : DataFrame
        A failure has no score and is ranked last.
    """
    chosen = results[results["tool"].isin(NAMES) & (results["part"] != "develop")]
    sign = chosen["metric"].isin(LOWER).map({True: -1.0, False: 1.0})
    table = chosen.assign(gain=(chosen["score"] * sign).fillna(-float("inf")))
    # A default takes no limit: it stands beside every one.
    limits = sorted(table.loc[table["tool"] == "autometa", "seconds_asked"].unique())
    parts = []
    for limit in limits:
        at = table[(table["seconds_asked"] == limit) | (table["tool"] == "lightgbm")]
        wide = at.pivot_table(
            index=["table", "metric"], columns="tool", values="gain", aggfunc="first"
        ).dropna()
        ranked = wide.rank(axis=1, ascending=False)
        parts.append(
            pd.DataFrame(
                {"rank": ranked.mean(), "error": ranked.sem(), "tables": len(ranked), "seconds": limit}
            )
        )
    return pd.concat(parts).reset_index(names="tool") if parts else pd.DataFrame()


def rank_chart(found: pd.DataFrame, seconds: float) -> tuple[dict[str, Any], str]:
    """Return the bars of one limit and what they show."""
    at = found[found["seconds"] == seconds].sort_values("rank")
    rows = [
        {"label": NAMES[r.tool], "value": r.rank, "ours": r.tool == "autometa", "text": f"{r.rank:.1f}"}
        for r in at[["tool", "rank"]].itertuples(index=False, name="Row")
    ]
    title = f"mean rank of {len(rows)} tools on {int(at['tables'].iloc[0])} tables within {seconds:g} s (1 is best)"
    return bars(rows, title), title


def search_chart(results: pd.DataFrame) -> tuple[dict[str, Any], str]:
    """Return regret after ten trials by method, from search.csv."""
    gains = results.filter(regex=r"^gain@")
    best = gains.max(axis=1).groupby(results["task"]).transform("max")
    regret = (best - results["gain@10"]) / (best - results["median_default"])
    means = regret.clip(0, 2).groupby(results["method"]).mean().sort_values()
    rows = [
        {"label": name, "value": value, "ours": name == "autometa", "text": f"{value:.2f}"}
        for name, value in means.items()
    ]
    title = "mean regret after ten trials (0 is the best that any method found)"
    return bars(rows, title), title


def bars(rows: list[dict[str, Any]], title: str) -> dict[str, Any]:
    """Return bars with their values written beside them."""
    y = {
        "field": "label",
        "type": "nominal",
        "sort": None,
        "title": None,
        "axis": {"domain": False, "ticks": False, "minExtent": 120},
    }
    x = {"field": "value", "type": "quantitative", "title": title, "axis": {"grid": False, "tickCount": 4}}
    return {
        "height": 26 * len(rows) + 44,
        "data": {"values": rows},
        "encoding": {"y": y, "x": x},
        "layer": [
            {
                "mark": {"type": "bar", "height": 16, "cornerRadiusEnd": 2},
                "encoding": {
                    "color": {
                        "condition": {"test": "datum.ours", "value": "var(--c1)"},
                        "value": "var(--quiet)",
                    }
                },
            },
            {
                "mark": {"type": "text", "align": "left", "dx": 4, "fontWeight": "bold"},
                "encoding": {"text": {"field": "text", "type": "nominal"}},
            },
        ],
    }


def standalone(svg: str) -> str:
    """Return a drawing as a file of its own: colours by value, on white."""
    for name, colour in COLOURS.items():
        svg = svg.replace(f"var({name})", colour)
    return svg.replace(
        "<svg ",
        '<svg xmlns="http://www.w3.org/2000/svg" style="background:#fff" font-family="Arial, sans-serif" ',
        1,
    )


def main(path: Path) -> None:
    """Draw what the results hold."""
    found = ranks(pd.read_csv(path)) if path.exists() else pd.DataFrame()
    if len(found):
        chart, label = rank_chart(found, float(found["seconds"].max()))
    else:
        chart, label = search_chart(pd.read_csv(RESULTS / "search.csv"))
    PATH.write_text(standalone(draw(chart, label, width=560)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else RESULTS / "automl.csv")
