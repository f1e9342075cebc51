"""From a metadata base to a meta-model, with an honest report on families that it has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autometa.metabase import MetaBase
from autometa.metamodel import MetaModel
from autometa.metamodel.model import METHODS, MIN_SPREAD, Z_80, TargetModel
from autometa.metamodel.portfolio import greedy_portfolio, safe_portfolio
from autometa.metamodel.proximity import weighted_mean

FloatArray = NDArray[np.float64]

DEPTHS: Final = (1, 3, 5, 10)
TREE_ENSEMBLES: Final = ("lightgbm", "hist_gradient_boosting", "random_forest", "extra_trees")
COVERAGE: Final = 0.8
DEFAULTS_ROW: Final = "best of four tree ensembles' defaults"


@dataclass(frozen=True, eq=False)
class TrainingReport:
    """Normalised regret on families that were left out of the training.

    Attributes
    ----------
    regrets : DataFrame
        A row per target, metric, method and task; columns ``regret@1``, ``regret@3``, ``regret@5``, ``regret@10``.
    chosen : dict of str to str
        The method that orders the configurations, by target.
    coverage : dict of str to dict of str to float
        Share of the left-out results inside the 80 % interval, by target and metric.
    """

    regrets: pd.DataFrame
    chosen: dict[str, str]
    coverage: dict[str, dict[str, float]]

    def to_frame(self, by: Sequence[str] = ("target", "method")) -> pd.DataFrame:
        """Return mean regrets, their standard errors over tasks, and the number of tasks.

        Metrics of one task count as one: they are averaged before the errors are taken.
        """
        columns = [f"regret@{depth}" for depth in DEPTHS]
        per_task = self.regrets.groupby([*by, "task_id"], sort=False)[columns].mean()
        groups = per_task.groupby(list(by), sort=False)
        table = groups.mean()
        for column in columns:
            table[f"{column}_se"] = groups[column].sem()
        table["n_tasks"] = groups.size()
        return table.reset_index()

    @property
    def text(self) -> str:
        """The report as plain text."""
        table = self.to_frame()
        lines = [
            "Mean normalised regret on left-out families (0 best known, 1 median of the library defaults), +- its error"
        ]
        for target, rows in table.groupby("target", sort=False):
            lines.append(f"\n{target}, {int(rows['n_tasks'].max())} tasks, mean over metrics")
            lines.append(f"{'':40s}" + "".join(f"{f'first {d}':>15s}" for d in DEPTHS))
            for row in rows.to_dict("records"):
                cells = [f"{row[f'regret@{d}']:.3f} +-{row[f'regret@{d}_se']:.3f}" for d in DEPTHS]
                lines.append(f"{row['method']:40s}" + "".join(f"{cell:>15s}" for cell in cells))
            lines.append(f"autometa ranks by: {self.chosen[str(target)]}")
            covered = ", ".join(f"{m} {share:.0%}" for m, share in self.coverage[str(target)].items())
            lines.append(f"80 % intervals hold: {covered}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return the table, the choices and the coverage as plain JSON types."""
        table = self.to_frame().round(5)
        return {"table": table.to_dict("records"), "chosen": self.chosen, "coverage": self.coverage}


def train(
    metabase: MetaBase, output: str | Path | None = None, *, random_state: int = 0
) -> tuple[MetaModel, TrainingReport]:
    """Train a meta-model, judge each method on left-out families, and keep the one that wins.

    Parameters
    ----------
    metabase : MetaBase
    output : str, Path or None, default=None
        Directory for metadata base and meta-model; nothing is written without it.
    random_state : int, default=0

    Returns
    -------
    model : MetaModel
    report : TrainingReport
    """
    model = MetaModel.fit(metabase, random_state=random_state)
    tables: list[pd.DataFrame] = []
    chosen: dict[str, str] = {}
    coverage: dict[str, dict[str, float]] = {}
    for target, part in model.parts.items():
        table = judge(part)
        widths, coverage[target] = calibrate(part)
        chosen[target] = choose(table)
        model.parts[target] = replace(part, method=chosen[target], widths=widths)
        tables += [table, _chosen_rows(table, chosen[target])]
    report = TrainingReport(pd.concat(tables, ignore_index=True), chosen, coverage)
    model.report = report.to_dict()
    if output is not None:
        metabase.save(output)
        model.save(output)
        report.regrets.to_csv(Path(output) / "leave_one_family_out.csv", index=False, float_format="%.5f")
    return model, report


def judge(part: TargetModel) -> pd.DataFrame:
    """Replay every method and baseline on every task, its family left out.

    Returns
    -------
    DataFrame
        target, metric, method, task_id and the regret of the best of the first 1, 3, 5 and 10.
    """
    configurations = list(part.configurations.values())
    default = {c.algorithm: i for i, c in enumerate(configurations) if c.origin == "default"}
    rows = []
    for metric, table in part.regrets.items():
        portfolios: dict[str, list[int]] = {}
        for i, task_id in enumerate(part.tasks["task_id"]):
            actual = table[i]
            if not np.isfinite(actual).any():
                continue
            family = str(part.families[i])
            orders: dict[str, list[int]] = {
                f"{name} default": [default[name]]
                for name in ("lightgbm", "random_forest")
                if name in default
            }
            orders[DEFAULTS_ROW] = [default[name] for name in TREE_ENSEMBLES if name in default]
            if family not in portfolios:
                portfolios[family] = greedy_portfolio(table[part.families != family], max(DEPTHS))
            orders["portfolio"] = portfolios[family]
            for method in METHODS[1:]:
                expected, _, scenarios, weights = part.predict(
                    part.metafeatures[i], metric, exclude=(family,), method=method
                )
                orders[method] = safe_portfolio(
                    scenarios, max(DEPTHS), weights=weights, expected=expected, defaults=part.defaults
                )
            for method, order in orders.items():
                depths = [len(order)] * len(DEPTHS) if method == DEFAULTS_ROW else DEPTHS
                best = [_best(actual, order[:depth]) for depth in depths]
                rows.append([part.target, metric, method, task_id, *best])
    return pd.DataFrame(
        rows, columns=["target", "metric", "method", "task_id", *(f"regret@{d}" for d in DEPTHS)]
    )


def choose(table: pd.DataFrame) -> str:
    """Return the method with the lowest sum of mean regrets after one and after five, over all metrics."""
    own = table[table["method"].isin(METHODS)]
    means = own.groupby("method")[["regret@1", "regret@5"]].mean().sum(axis=1)
    return str(means.idxmin())


def calibrate(part: TargetModel) -> tuple[dict[str, float], dict[str, float]]:
    """Find the width at which intervals hold 80 % of the left-out results, and check it crosswise.

    Returns
    -------
    widths : dict of str to float
        Half-width in spreads, for each metric.
    coverage : dict of str to float
        Share of results inside, where the width comes from the other half of the tasks.
    """
    weights = part.levelling.weights(part.metafeatures, [(family,) for family in part.families])
    halves = np.unique(part.families, return_inverse=True)[1] % 2
    widths, coverage = {}, {}
    for metric, levels in part.levels.items():
        mean, spread = weighted_mean(weights, levels)
        ratios = np.abs(levels - mean) / np.maximum(spread, MIN_SPREAD)
        widths[metric] = _quantile(ratios)
        inside = [ratios[halves == h] <= _quantile(ratios[halves != h]) for h in (0, 1)]
        known = [np.isfinite(ratios[halves == h]) for h in (0, 1)]
        total = sum(int(k.sum()) for k in known)
        coverage[metric] = sum(int((i & k).sum()) for i, k in zip(inside, known, strict=True)) / max(total, 1)
    return widths, coverage


def _quantile(ratios: FloatArray) -> float:
    known = ratios[np.isfinite(ratios)]
    return float(np.quantile(known, COVERAGE)) if len(known) else Z_80


def _best(regrets: FloatArray, order: Sequence[int]) -> float:
    """Regret of the best that was run among some configurations; the worst where none was."""
    values = regrets[list(order)]
    values = values[np.isfinite(values)]
    return float(values.min()) if len(values) else 2.0


def _chosen_rows(table: pd.DataFrame, chosen: str) -> pd.DataFrame:
    """The rows of the chosen method once more, under the name of the product."""
    return table[table["method"] == chosen].assign(method="autometa")
