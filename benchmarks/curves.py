"""Curves of the benchmarks as SVG files; matplotlib is in the extra ``benchmark``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

REGRETS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1)


@dataclass(frozen=True)
class Panel:
    """One plot.

    Attributes
    ----------
    x, y : str
        What the axes are called.
    means : DataFrame
        A line per column, over the index.
    errors : DataFrame, optional
        Standard errors, drawn as bands; of the shape of `means`.
    """

    x: str
    y: str
    means: pd.DataFrame
    errors: pd.DataFrame | None = None


def regret_panel(by_task: pd.DataFrame) -> Panel:
    """Make a panel of regrets: a row per (method, task), a column per number of trials."""
    groups = by_task.set_axis(by_task.columns.astype(int), axis=1).groupby(level="method")
    return Panel("trials", "mean regret", groups.mean().T, groups.sem().T)


def draw(panels: Iterable[Panel], path: Path) -> None:
    """Draw panels side by side over a logarithmic axis; upwards, regrets are logarithmic too."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.rcParams.update({"svg.hashsalt": "autometa", "font.size": 9})
    panels = list(panels)
    figure = Figure(figsize=(5 * len(panels), 3.6), layout="constrained")
    for panel, axes in zip(panels, figure.subplots(1, len(panels), squeeze=False)[0], strict=True):
        for name, values in panel.means.items():
            known = values.dropna()
            (line,) = axes.plot(known.index, known, marker="o", markersize=3, label=str(name))
            if panel.errors is not None:
                error = panel.errors[name].reindex(known.index)
                axes.fill_between(
                    known.index, known - error, known + error, color=line.get_color(), alpha=0.2, linewidth=0
                )
        axes.set(xlabel=panel.x, ylabel=panel.y, xscale="log")
        axes.set_xticks(panel.means.index, [f"{tick:g}" for tick in panel.means.index])
        if panel.errors is None:
            axes.set_ylim(bottom=0)
        else:
            axes.set_yscale("log")
            axes.set_yticks(REGRETS, [f"{tick:g}" for tick in REGRETS])
            axes.set_ylim(bottom=panel.means.min().min() / 1.5, top=1)
        axes.minorticks_off()
        axes.grid(alpha=0.3)
        if panel.means.shape[1] > 1:
            axes.legend(frameon=False, fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
