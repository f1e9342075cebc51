"""Recommendations for larger tables, their families left out.

``python benchmarks/larger.py replay [--model DIR ...]`` replays the tasks of the metadata base that were run with more
training rows: regret of the best of the first 1, 3, 5, 10 by the tables of a thousand rows alone and by those of the
size, and where the first pick stands against LightGBM's default.

``python benchmarks/larger.py fit DIR [--model DIR ...] [--half develop] [--most 20]`` fits the first pick of each
meta-model and LightGBM's default on tables of more than 4,000 rows (a catalog.csv beside Parquet files) and writes
``benchmarks/results/larger.csv``. Families are dealt into two halves by their hash; what is chosen is chosen on the
first.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from autometa import MetaBase
from autometa.collection import read_catalog
from autometa.evaluation import fit_pipeline
from autometa.metabase import level_of
from autometa.metafeatures import describe_task
from autometa.metamodel import MetaModel, Neighbourhood
from autometa.metamodel.known import KnownTasks
from autometa.metrics import (
    align_probabilities,
    baseline_scores,
    perfect_score,
    score_predictions,
    stored_metrics,
)
from autometa.space import Configuration, SearchSpace
from autometa.training._report import DEPTHS, clustered_error

RESULTS = Path(__file__).parent / "results" / "larger.csv"
FIELDS = (
    "table",
    "family",
    "half",
    "kind",
    "n_train",
    "who",
    "algorithm",
    "params",
    "metric",
    "level",
    "cpu_seconds",
)
MOST_TRAIN, MOST_TEST, LEAST_ROWS = 20_000, 4_000, 4_000
# Of the way from the constant to a perfect prediction: what is so far below the default is a failure.
FAR = 0.03


def half_of(family: str) -> str:
    """Deal a family into one of two halves."""
    return "develop" if int(hashlib.sha256(family.encode()).hexdigest(), 16) % 2 else "report"


# -- replay -----------------------------------------------------------------------------------------------------------


def replay(base: MetaBase, models: Sequence[tuple[str, MetaModel]], fidelity: int) -> pd.DataFrame:
    """Return regrets and levels of the first picks on every task of a fidelity, by method and metric."""
    rows = []
    for target in ("classification", "regression"):
        for metric in stored_metrics(target):
            regrets, levels = (t(metric, target, fidelity) for t in (base.regrets, base.levels))
            for name, model in models:
                part = model.part(target)
                for method, known in (
                    (f"{name}, usual size", part),
                    (f"{name}, its size", part.at(fidelity)),
                ):
                    if known is part and method.endswith("its size"):
                        continue
                    rows += list(_replayed(known, method, metric, regrets, levels))
            rows += list(_defaults(model.part(target), metric, regrets, levels))
    columns = ["target", "metric", "method", "task_id", "family", *(f"regret@{d}" for d in DEPTHS), "level"]
    return pd.DataFrame(rows, columns=columns)


def _replayed(
    known: KnownTasks, method: str, metric: str, regrets: pd.DataFrame, levels: pd.DataFrame
) -> Iterator[list[Any]]:
    ids = np.array(list(known.configurations))
    for i, task_id in enumerate(known.tasks["task_id"]):
        if task_id not in regrets.index or not regrets.loc[task_id].notna().any():
            continue
        truth = regrets.loc[task_id].reindex(ids).to_numpy()
        near = Neighbourhood(known, known.metafeatures[i], (str(known.families[i]),))
        order = near.predict(metric, known.sizes[i].tolist()).portfolio(max(DEPTHS), np.isfinite(truth))
        best = [truth[order[:depth]].min() for depth in DEPTHS]
        level = levels.loc[task_id, ids[order[0]]]
        yield [known.target, metric, method, task_id, str(known.families[i]), *best, level]


def _defaults(
    part: KnownTasks, metric: str, regrets: pd.DataFrame, levels: pd.DataFrame
) -> Iterator[list[Any]]:
    default = SearchSpace.for_kind(part.target)["lightgbm"].default_configuration().id
    families = dict(zip(part.tasks["task_id"], part.families, strict=True))
    for task_id, regret in regrets[default].dropna().items():
        level = levels.loc[task_id, default]
        yield [part.target, metric, "lightgbm default", task_id, str(families[task_id]), *[regret] * 4, level]


def tell(table: pd.DataFrame) -> None:
    """Print means by method, and the first pick against LightGBM's default by log-loss or R2."""
    names = [f"regret@{depth}" for depth in DEPTHS]
    for target, part in table.groupby("target"):
        means = part.groupby(["method", "task_id", "family"])[[*names]].mean().reset_index()
        print(f"\n{target}, {means['task_id'].nunique()} tasks")
        first = part[part["metric"].isin(["log_loss", "r2"])].pivot_table(
            index="task_id", columns="method", values="level"
        )
        for method, own in means.groupby("method", sort=False):
            lead = (first[method] - first["lightgbm default"]).dropna()
            print(
                f"  {method:32s}"
                + "".join(f"{own[n].mean():8.3f}" for n in names)
                + f"   above the default on {(lead > 1e-6).mean():4.0%}, below by more than {FAR:.0%} of the way on"
                f" {(lead < -FAR).mean():4.0%}, worst {lead.min():+.3f}"
            )
        wide = means.pivot_table(index=["task_id", "family"], columns="method", values=names[0]).dropna()
        reference = next(m for m in wide if m.endswith("usual size"))
        for method in wide:
            more = wide[method] - wide[reference]
            error = clustered_error(more, wide.index.get_level_values("family").to_series())
            print(f"  {method:32s}{more.mean():+.3f} +-{error:.3f} first pick, against {reference}")


# -- real fits --------------------------------------------------------------------------------------------------------


def fit(directory: str, models: Sequence[tuple[str, MetaModel]], half: str, most: int) -> None:
    """Fit first picks and the default on larger tables, and note what came."""
    done = (
        set(pd.read_csv(RESULTS)[["table", "who"]].itertuples(index=False, name=None))
        if RESULTS.is_file()
        else set()
    )
    sources = [s for s in read_catalog(directory) if s.n_rows > LEAST_ROWS]
    sources.sort(key=lambda s: hashlib.sha256(s.task_id.encode()).hexdigest())
    for source in [s for s in sources if half_of(_family(s)) == half][:most]:
        if all((source.task_id, who) in done for who in ("lightgbm default", *(name for name, _ in models))):
            continue
        task = source.load()
        strata = None if task.kind == "regression" else task.y
        n_test = min(MOST_TEST, task.n_rows // 3)
        train, test = train_test_split(
            np.arange(task.n_rows), test_size=n_test, random_state=1, stratify=strata
        )
        part = task.subset(np.sort(train[:MOST_TRAIN]))
        metric = "r2" if task.kind == "regression" else "log_loss"
        metafeatures = describe_task(part)
        picks = [("lightgbm default", SearchSpace.for_kind(task.kind)["lightgbm"].default_configuration())]
        picks += [
            (name, _first(model, part, metafeatures, metric, _family(source))) for name, model in models
        ]
        constant = baseline_scores(task.kind, task.y.iloc[test])[metric]
        for who, configuration in picks:
            if (source.task_id, who) in done:
                continue
            start = time.process_time()
            pipeline = fit_pipeline(part, configuration)
            spent = time.process_time() - start
            X, y = task.X.iloc[test], task.y.to_numpy()[test]
            if task.kind == "regression":
                prediction, classes = pipeline.predict(X), None
            else:
                classes = np.unique(task.y)
                prediction = align_probabilities(pipeline.predict_proba(X), pipeline.classes_, classes)
            score = score_predictions(task.kind, y, prediction, classes)[metric]
            level = float(level_of([score], constant, perfect_score(metric))[0])
            row = [
                source.task_id,
                _family(source),
                half,
                task.kind,
                part.n_rows,
                who,
                configuration.algorithm,
            ]
            _note([*row, dict(configuration.params), metric, f"{level:.5f}", f"{spent:.2f}"])
    _tell_fits(half)


def _first(model: MetaModel, task: Any, metafeatures: pd.Series, metric: str, family: str) -> Configuration:
    near = model.about(metafeatures, task.kind, exclude=(family,), n_train=task.n_rows)
    space, sizes = SearchSpace.for_kind(task.kind), (task.n_rows, task.X.shape[1], len(task.classes))
    allowed = np.array(
        [space.suits(c, task.n_rows, task.n_rarest) for c in near.known.configurations.values()]
    )
    configurations = list(near.known.configurations.values())
    return configurations[near.predict(metric, sizes).portfolio(1, allowed)[0]]


def _family(source: Any) -> str:
    return str(source.properties.get("family") or source.task_id)


def _note(row: Sequence[Any]) -> None:
    is_new = not RESULTS.is_file()
    with RESULTS.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        if is_new:
            writer.writerow(FIELDS)
        writer.writerow(row)
    print(*row, flush=True)


def _tell_fits(half: str) -> None:
    table = pd.read_csv(RESULTS)
    wide = table[table["half"] == half].pivot_table(index="table", columns="who", values="level")
    for who in wide.columns.drop("lightgbm default"):
        lead = (wide[who] - wide["lightgbm default"]).dropna()
        print(
            f"{who}: {len(lead)} tables of the {half} half; better than LightGBM's default on {(lead > 0).mean():.0%}, "
            f"as good on {(lead == 0).mean():.0%}, more than {FAR:.0%} of the way below on {(lead < -FAR).mean():.0%}, "
            f"worst {lead.min():+.3f}, mean {lead.mean():+.4f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["replay", "fit"])
    parser.add_argument("directory", nargs="?", help="of the tables to fit on")
    parser.add_argument("--base", help="a metadata base, for the replay; the bundled one by default")
    parser.add_argument(
        "--model", nargs="*", default=[], help="directories of meta-models; the bundled one by default"
    )
    parser.add_argument("--fidelity", type=int, default=8_000)
    parser.add_argument("--half", choices=["develop", "report"], default="develop")
    parser.add_argument("--most", type=int, default=20, help="tables")
    args = parser.parse_args()
    models = [(Path(m).name, MetaModel.load(m)) for m in args.model] or [("bundled", MetaModel.load())]
    if args.what == "replay":
        tell(replay(MetaBase.load(args.base), models, args.fidelity))
    else:
        fit(args.directory, models, args.half, args.most)


if __name__ == "__main__":
    main()
