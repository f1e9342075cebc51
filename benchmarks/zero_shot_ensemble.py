"""Measure the mean of a few recommended pipelines, none of them validated.

    python benchmarks/zero_shot_ensemble.py --directory DIR [--tables 36] [--skip 0] [--metrics log_loss r2]
    python benchmarks/zero_shot_ensemble.py --report

Tables, splits and seed are those of ``zero_shot.py``: of at most 3,000 rows of a table two thirds and at most 1,000
train, the rest tests. For each table the meta-model forgets the table's own family. ``Recommendations.ensemble(k=5)``
is compared with the first pick alone, the plain mean of the first five, LightGBM's default,
the best of four tree ensembles' defaults as the test rows say afterwards, the mean of six library defaults (LightGBM,
histogram gradient boosting, random forest, extra trees, linear, neural network), and the trials of a cold TPE where
``results/zero_shot.csv`` has them for the same split.

The results, a row per table, metric and method, grow in a CSV file; what stands there is not run again. The
rules of the choice were written with the next 36 tables of the same order (``--skip 36``) in view.
"""

from __future__ import annotations

import argparse
import math
import time
import warnings
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from zero_shot import (
    MAX_TRAIN_ROWS,
    METRICS,
    RESULTS as ZERO_SHOT_RESULTS,
    TREE_ENSEMBLES,
    Bench,
    choose_tables,
    draw_split,
)

from autometa import MetaModel
from autometa.collection import read_catalog
from autometa.collection.directory import TaskSource
from autometa.errors import AutometaError
from autometa.experience import load_metamodel
from autometa.metrics import as_gain, resolve_metric, score_predictions
from autometa.pipelines import build_pipeline
from autometa.recommendation import recommend_for_task
from autometa.space import SearchSpace

RESULTS: Final = Path(__file__).parent / "results" / "zero_shot_ensemble.csv"
SIX_DEFAULTS: Final = (*TREE_ENSEMBLES, "linear", "mlp")
OURS: Final = "ensemble of five"
SEED: Final = 1
OTHER_METRICS: Final = {
    "binary": ("accuracy", "f1_macro"),
    "multiclass": ("accuracy", "f1_macro"),
    "regression": (),
}
PEERS: Final = (
    "first pick",
    "plain mean of five",
    "LightGBM default",
    "best of four defaults",
    "mean of six defaults",
    "TPE, 50 trials",
    "TPE, 100 trials",
)


class Forgetful(MetaModel):
    """A meta-model that takes every task for a relative of some families."""

    forgotten: Collection[str] = ()

    def seen_families(self, fingerprint: str, kind: str) -> list[str]:
        """Return the families to forget, and those with this fingerprint."""
        return sorted({*self.forgotten, *super().seen_families(fingerprint, kind)})


def fitted_prediction(bench: Bench, estimator: Any) -> Any:
    """Fit on the training rows, and predict the others: values, or probabilities of all classes."""
    train, test = bench.whole.subset(bench.train_rows), bench.whole.subset(bench.test_rows)
    estimator.fit(train.X, train.y.to_numpy())
    return estimator.predict(test.X) if bench.whole.kind == "regression" else estimator.predict_proba(test.X)


def scores_of(bench: Bench, prediction: Any, labels: Any = None) -> dict[str, float]:
    """Score a prediction on the test rows; labels count for metrics of labels, where they are given."""
    task = bench.whole
    y = task.y.to_numpy()
    classes = None if task.kind == "regression" else np.unique(y)
    scores = score_predictions(task.kind, y[bench.test_rows], prediction, classes)
    if labels is not None and classes is not None:
        certain = (np.asarray(labels)[:, None] == classes[None, :]).astype("float64")
        of_labels = score_predictions(task.kind, y[bench.test_rows], certain, classes)
        scores |= {name: of_labels[name] for name in ("accuracy", "balanced_accuracy", "f1_macro")}
    return scores


def run_table(
    bench: Bench, model: MetaModel, metrics: Collection[str]
) -> Iterator[tuple[str, str, float, float, str]]:
    """Yield metric, method, score, CPU seconds and members of everything on one table.

    An ensemble says the weighted mean of what its members say: each is fitted once.
    """
    kind, known = bench.whole.kind, {}

    def predict(configuration: Any) -> Any:
        if configuration not in known:
            start = time.process_time()
            prediction = fitted_prediction(bench, build_pipeline(configuration, bench.train, random_state=0))
            known[configuration] = prediction, time.process_time() - start
        return known[configuration][0]

    def spent(configurations: Iterable[Any]) -> float:
        return sum(known[c][1] for c in configurations)

    space = SearchSpace.for_kind(kind)
    defaults = [space[name].default_configuration() for name in SIX_DEFAULTS]
    for metric in metrics:
        task = replace(bench.train, metric=resolve_metric(metric, kind))
        recommended = recommend_for_task(task, k=10, metamodel=model, random_state=bench.seed)
        leading = [r.configuration for r in recommended]
        single = [scores_of(bench, predict(c))[metric] for c in defaults]
        yield metric, "first pick", scores_of(bench, predict(leading[0]))[metric], spent(leading[:1]), ""
        mean = np.mean([predict(c) for c in leading[:5]], axis=0)
        yield metric, "plain mean of five", scores_of(bench, mean)[metric], spent(leading[:5]), ""
        yield metric, "LightGBM default", single[0], spent(defaults[:1]), ""
        best = max(single[: len(TREE_ENSEMBLES)], key=lambda score: as_gain(score, metric))
        yield metric, "best of four defaults", best, spent(defaults[: len(TREE_ENSEMBLES)]), ""
        mean = np.mean([predict(c) for c in defaults], axis=0)
        yield metric, "mean of six defaults", scores_of(bench, mean)[metric], spent(defaults), ""
        mixture = recommended.mixture(5)
        members = zip(mixture.configurations, mixture.weights, strict=True)
        mean = sum(weight * predict(c) for c, weight in members)
        labels = None
        if mixture.threshold is not None:
            labels = np.asarray(task.classes)[(mean[:, 1] >= mixture.threshold).astype(int)]
        names = "+".join(c.algorithm for c in mixture.configurations)
        yield metric, OURS, scores_of(bench, mean, labels)[metric], spent(mixture.configurations), names


def run_all(sources: Iterable[TaskSource], output: Path, metrics: Collection[str], minutes: float) -> None:
    """Run every table and metric that the results lack; what is done is kept after each table."""
    warnings.simplefilter("ignore")
    loaded = load_metamodel("bundled")
    model = Forgetful(loaded.parts, loaded.report)
    table = pd.read_csv(output) if output.is_file() else pd.DataFrame(columns=["table", "metric"])
    end = time.monotonic() + 60 * minutes
    for source in sources:
        known = set(table.loc[table["table"] == source.task_id, "metric"])
        wanted = [m for m in (*METRICS[source.kind], *OTHER_METRICS[source.kind]) if m in metrics]
        if not set(wanted) - known or time.monotonic() > end:
            continue
        try:
            full = source.load()
            bench = Bench(*draw_split(source, SEED), SEED)
        except AutometaError as error:
            print(f"{source.task_id} is left out: {error}", flush=True)
            continue
        # Part of a table has another fingerprint than the whole, by which the base knows it.
        model.forgotten = {source.properties["family"], *loaded.seen_families(full.fingerprint(), full.kind)}
        facts = {"table": source.task_id, "kind": bench.whole.kind, "n_train": len(bench.train_rows)}
        rows = [
            facts | dict(zip(("metric", "method", "score", "cpu_seconds", "members"), row, strict=True))
            for row in run_table(bench, model, [m for m in wanted if m not in known])
        ]
        table = pd.concat([table, pd.DataFrame(rows)], ignore_index=True)
        output.parent.mkdir(parents=True, exist_ok=True)
        table.to_csv(output, index=False, float_format="%.6g")
        print(f"{source.task_id}: {len(rows)} results", flush=True)


def report(results: pd.DataFrame) -> str:
    """Return a Markdown table: on how many tables the ensemble is better than each peer, of those that differ."""
    if ZERO_SHOT_RESULTS.is_file():
        trials = pd.read_csv(ZERO_SHOT_RESULTS)
        trials = trials[(trials["peer"] == "TPE") & trials["table"].isin(set(results["table"]))]
        results = pd.concat([results, trials], ignore_index=True)
    gains = results.assign(
        gain=[as_gain(s, m) for s, m in zip(results["score"], results["metric"], strict=True)]
    ).pivot_table(index=["metric", "table"], columns="method", values="gain")
    groups = {
        "log-loss, R2": ["log_loss", "r2"],
        **{m: [m] for m in ("log_loss", "r2", "roc_auc", "balanced_accuracy", "accuracy", "f1_macro")},
    }
    lines = [f"| {OURS} against | {' | '.join(groups)} |", "| --- |" + " --- |" * len(groups)]
    for peer in PEERS:
        cells = []
        for metrics in groups.values():
            chosen = gains[gains.index.get_level_values("metric").isin(metrics)]
            difference = (chosen[OURS] - chosen[peer]).dropna() if peer in chosen else pd.Series(dtype=float)
            differ = difference[difference != 0]
            cells.append(f"{(differ > 0).mean():.0%} of {len(differ)}" if len(differ) else "")
        lines.append(f"| {peer} | {' | '.join(cells)} |")
    seconds = results.pivot_table(index=["metric", "table"], columns="method", values="cpu_seconds")
    tables = results.drop_duplicates("table")
    return "\n".join(
        [
            f"{len(tables)} tables, at most {MAX_TRAIN_ROWS:,} training rows, seed {SEED}; wins of those that differ.",
            "",
            *lines,
            "",
            f"CPU seconds of fit and prediction, median: {OURS} {seconds[OURS].median():.2f}, first pick"
            f" {seconds['first pick'].median():.2f}, LightGBM default {seconds['LightGBM default'].median():.2f}.",
        ]
    )


def main() -> None:
    """Run what the results lack, and print the report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--directory", help="a catalog.csv and Parquet files: run what the results lack")
    mode.add_argument("--report", action="store_true", help="print the report of the results alone")
    parser.add_argument("--tables", type=int, default=36)
    parser.add_argument("--skip", type=int, default=0, help="leave out so many tables of the order")
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument(
        "--metrics",
        nargs="+",
        default=["log_loss", "r2", "roc_auc", "balanced_accuracy", "accuracy", "f1_macro"],
    )
    parser.add_argument("--minutes", type=float, default=math.inf, help="after which no table is begun")
    arguments = parser.parse_args()
    if arguments.directory:
        sources = choose_tables(read_catalog(arguments.directory), arguments.skip + arguments.tables)
        run_all(sources[arguments.skip :], arguments.output, arguments.metrics, arguments.minutes)
    print(report(pd.read_csv(arguments.output)))


if __name__ == "__main__":
    main()
