"""Draw the headline comparison from the result files: ``python docs/make_headline.py [RESULTS.csv]``.

From ``benchmarks/results/automl.csv`` (columns table, tool, seconds_asked, metric, score, part): the mean rank of each
tool within each of its limits, on the tables on which all were run; 1 is best. Only tables that nothing was chosen on
count (those of ``part`` other than ``develop``). Where no such file is there, the search against a cold TPE from
``benchmarks/results/search.csv``. Writes ``docs/figures/headline.svg``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pandas as pd

from autometa.report._charts import draw

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
    """Return the rank of each tool within each limit, 1 the best, on the tables on which all were run.

    Parameters
    ----------
    results : DataFrame
        A failure has no score and is ranked last.

    Returns
    -------
    DataFrame of shape (n_tables, n_tools_with_limits)
        Columns are pairs of a tool and its limit in seconds; 0 is a tool that takes none.
    """
    is_usual = results["metric"].isin(("log_loss", "r2"))
    chosen = results[results["tool"].isin(NAMES) & (results["part"] != "develop") & is_usual]
    sign = chosen["metric"].isin(LOWER).map({True: -1.0, False: 1.0})
    gain = (chosen["score"] * sign).fillna(-float("inf"))
    wide = chosen.assign(gain=gain).pivot_table(
        index="table", columns=["tool", "seconds_asked"], values="gain", aggfunc="last"
    )
    most = wide.notna().sum().max()
    return wide.loc[:, wide.notna().sum() > 0.8 * most].dropna().rank(axis=1, ascending=False)


def rank_chart(found: pd.DataFrame) -> tuple[dict[str, Any], str]:
    """Return bars of the mean ranks, and what they show."""
    rows = [
        {
            "label": f"{NAMES[tool]}, {seconds:g} s" if seconds else NAMES[tool],
            "value": rank,
            "ours": tool == "autometa",
            "text": f"{rank:.1f}",
        }
        for (tool, seconds), rank in found.mean().sort_values().items()
    ]
    title = f"mean rank on {len(found)} tables, one core (1 is best)"
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
    x = {
        "field": "value",
        "type": "quantitative",
        "title": title,
        "axis": {"grid": False, "tickCount": 4},
        "scale": {"domain": [0, 1.1 * max(row["value"] for row in rows)], "nice": False},
    }
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
        chart, label = rank_chart(found)
    else:
        chart, label = search_chart(pd.read_csv(RESULTS / "search.csv"))
    PATH.write_text(standalone(draw(chart, label, width=560)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else RESULTS / "automl.csv")
