"""Train a meta-model, judge each method on left-out families, and keep the one that wins."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autometa.files import to_csv, write_file
from autometa.metabase import MetaBase
from autometa.metamodel import MetaModel
from autometa.metamodel.proximity import weighted_mean
from autometa.metamodel.target import METHODS, MIN_SPREAD, Z_80, TargetModel, learn_exponents
from autometa.training._replay import judge, ranked_by, standard_rankers
from autometa.training._report import (
    OWN,
    PRODUCT,
    WITH_FIDELITIES,
    WITHOUT_FIDELITIES,
    WITHOUT_OWN,
    TrainingReport,
    size_class,
)

FloatArray = NDArray[np.float64]

COVERAGE: Final = 0.8
MAX_FITS: Final = 4
N_GROUPS: Final = 5
LARGER: Final = 1.25
REGRETS_FILE: Final = "leave_one_family_out.parquet"
SUMMARY_FILE: Final = "report.csv"


def train(
    metabase: MetaBase,
    output: str | Path | None = None,
    *,
    known: MetaBase | None = None,
    ablations: Mapping[str, MetaModel] | None = None,
    random_state: int = 0,
) -> tuple[MetaModel, TrainingReport]:
    """Train a meta-model, judge each method on left-out families, and keep the one that wins.

    Parameters
    ----------
    metabase : MetaBase
    output : str, Path or None, default=None
        Directory for metadata base, meta-model and report; nothing is written without it.
    known : MetaBase, optional
        A base to join it with, such as the bundled one, ``MetaBase.load()``. The report then says whether the runs of
        `metabase` help on its tasks.
    ablations : mapping of str to MetaModel, optional
        Models trained without something, to be compared in the report under these names.
    random_state : int, default=0

    Returns
    -------
    model : MetaModel
    report : TrainingReport
    """
    own = metabase if known is None else metabase.beside(known)
    joined = own if known is None else known.merge(own)
    model = MetaModel.fit(joined, random_state=random_state)
    tables: list[pd.DataFrame] = []
    chosen: dict[str, str] = {}
    coverage: dict[str, dict[str, float]] = {}
    for target, part in model.parts.items():
        rankers = standard_rankers()
        rankers |= {
            name: ranked_by(other.parts[target].method, other.parts[target])
            for name, other in (ablations or {}).items()
            if target in other.parts
        }
        table = judge(part, rankers)
        widths, coverage[target] = calibrate(part)
        between = calibrate(part, part.others.T)[0]
        chosen[target] = choose(table)
        model.parts[target] = replace(part, method=chosen[target], widths=widths, widths_between=between)
        tables += [table, chosen_crosswise(table)]
    compared = [
        judge_own(part, known, own, random_state)
        for target, part in model.parts.items()
        if known is not None and own.task_ids(target)
    ]
    larger = pd.concat([judge_larger(part, joined) for part in model.parts.values()], ignore_index=True)
    report = TrainingReport(
        _described(pd.concat(tables, ignore_index=True), joined),
        chosen,
        coverage,
        pd.concat(compared, ignore_index=True) if compared else None,
        larger if len(larger) else None,
    )
    model.report = report.to_dict()
    if output is not None:
        joined.save(output)
        write_file(
            Path(output) / REGRETS_FILE, report.regrets.to_parquet(None, index=False, compression="zstd")
        )
        write_file(Path(output) / SUMMARY_FILE, to_csv(report.slices(), float_format="%.4f"))
        model.save(output)
    return model, report


def judge_own(part: TargetModel, known: MetaBase, own: MetaBase, random_state: int = 0) -> pd.DataFrame:
    """Judge on one's own tasks what a model learns from the known base alone and with the runs of one's own.

    The families of one's own tasks are dealt into at most `MAX_FITS` groups (each family is its own, if they are
    few); each group is judged by models trained without it. Neither model has seen any of the group.

    Parameters
    ----------
    part : TargetModel
        Trained on both bases.
    known, own : MetaBase
    random_state : int, default=0

    Returns
    -------
    DataFrame
        As :func:`judge` returns it.
    """
    ids = own.task_ids(part.target)
    families = sorted(set(own.families(ids)))
    groups = [families[number::MAX_FITS] for number in range(min(MAX_FITS, len(families)))]
    tables = []
    without = TargetModel.fit(_without(known, families), part.target, random_state)
    for group in groups:
        both = TargetModel.fit(_without(known.merge(own), group), part.target, random_state)
        rankers = {WITHOUT_OWN: ranked_by(part.method, without), OWN: ranked_by(part.method, both)}
        tables.append(
            judge(part, rankers, only=[i for i, f in zip(ids, own.families(ids), strict=True) if f in group])
        )
    return pd.concat(tables, ignore_index=True)


def judge_larger(part: TargetModel, base: MetaBase) -> pd.DataFrame:
    """Judge on more training rows what is recommended for them, with and without what several fidelities tell.

    Every task is judged at its largest fidelity above the main one. The families are dealt into groups; the learning
    curves for each come from the others.

    Returns
    -------
    DataFrame
        As :func:`judge` returns it; empty where no task was run on more rows.
    """
    truth, rows = _largest(part, base)
    families = sorted(set(part.families))
    tables = []
    for number in range(N_GROUPS):
        group = families[number::N_GROUPS]
        chosen = part.tasks["task_id"][np.isin(part.families, group) & np.isfinite(rows)].tolist()
        if not chosen:
            continue
        fair = replace(part, exponents=learn_exponents(part, _without(base, group)))
        rankers = {
            WITHOUT_FIDELITIES: ranked_by(part.method, replace(part, exponents={}), rows),
            WITH_FIDELITIES: ranked_by(part.method, fair, rows),
        }
        tables.append(judge(part, rankers, chosen, truth))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def _largest(part: TargetModel, base: MetaBase) -> tuple[dict[str, FloatArray], FloatArray]:
    """Return regrets and training rows of each task at its largest fidelity above the main one; NaN without."""
    ids, columns = part.tasks["task_id"], list(part.configurations)
    runs = base.runs[base.runs["task_id"].isin(ids)]
    truth = {metric: np.full(table.shape, np.nan) for metric, table in part.regrets.items()}
    rows = np.full(len(ids), np.nan)
    for fidelity, own in runs.groupby("fidelity", sort=True):
        n_train = own.groupby("task_id")["n_train"].max().reindex(ids).to_numpy(dtype="float64")
        larger = n_train > LARGER * part.sizes[:, 0]
        rows[larger] = n_train[larger]
        for metric, table in truth.items():
            found = base.regrets(metric, part.target, int(fidelity)).reindex(ids, columns=columns).to_numpy()
            table[larger] = found[larger]
    return truth, rows


def choose(table: pd.DataFrame) -> str:
    """Return the method with the lowest sum of mean regrets after one and after five, over all metrics."""
    own = table[table["method"].isin(METHODS)]
    means = own.groupby("method")[["regret@1", "regret@5"]].mean().sum(axis=1)
    return str(means.idxmin())


def chosen_crosswise(table: pd.DataFrame) -> pd.DataFrame:
    """Return, as the rows of the product, those of the method that won on the other half of the families."""
    half = pd.factorize(table["family"], sort=True)[0] % 2
    parts = []
    for number in (0, 1):
        others = table[half != number]
        method = choose(others if len(others) else table)
        parts.append(table[(half == number) & (table["method"] == method)])
    return pd.concat(parts).sort_index().assign(method=PRODUCT)


def calibrate(
    part: TargetModel, mixing: FloatArray | None = None
) -> tuple[dict[str, float], dict[str, float]]:
    """Find the width at which intervals hold 80 % of the left-out results, and check it crosswise.

    Parameters
    ----------
    part : TargetModel
    mixing : ndarray of shape (n_configurations, n_configurations), optional
        Judge the results of each configuration by what this mixture of the others predicts.

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
        mean, spread = weighted_mean(weights, part.filled[metric][1])
        if mixing is not None:
            mean, spread = mean @ mixing, spread @ mixing
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


def _without(base: MetaBase, families: Collection[str]) -> MetaBase:
    return base.only(base.tasks.loc[~base.tasks["family"].isin(families), "task_id"])


def _described(regrets: pd.DataFrame, base: MetaBase) -> pd.DataFrame:
    """Add kind and size of each task."""
    tasks = base.tasks.set_index("task_id").loc[regrets["task_id"]]
    size = size_class(tasks["n_rows"]).to_numpy()
    return regrets.assign(kind=tasks["kind"].to_numpy(), rows=size)
