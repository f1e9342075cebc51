"""How far does a search get? ``autometa.tune`` against a cold TPE on the same space, the same folds, real fits.

    python benchmarks/search.py --directory DIR [--tasks 24] [--skip 300] [--trials 25] [--output FILE.csv]

DIR holds a catalog.csv and Parquet files. The meta-model is trained anew on the metadata base without the families of
the chosen tasks. A third of the rows is held out; both methods see the folds of the rest. Regret is normalised by the
best score that anyone reached and the median of the library defaults on the same folds, and clipped to [0, 2].
Finished tasks are read back from the output file, so a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
from sklearn.metrics import check_scoring
from sklearn.model_selection import train_test_split

import autometa
from autometa.collection import read_catalog
from autometa.evaluation import Protocol, evaluate, make_splits
from autometa.pipelines import build_pipeline
from autometa.space import Configuration, SearchSpace
from autometa.task import Task

BUDGETS = (1, 3, 5, 10, 25)


def score_on_folds(task: Task, configuration: Configuration, splits: Any) -> float:
    """Return the mean gain over the folds, greater is better; minus infinity for a failure."""
    run = evaluate(task, configuration, splits)
    return task.metric.sign * run.scores[task.metric.name] if run.ok else -np.inf


def score_on_test(configuration: Configuration, train: Task, test: Task) -> float:
    """Refit on all training rows and return the gain on the held-out rows."""
    pipeline = build_pipeline(configuration, train).fit(train.X, train.y)
    scorer = check_scoring(pipeline, scoring=train.metric.scorer)
    return float(scorer(pipeline, test.X, test.y))


def cold_tpe(task: Task, splits: Any, n_trials: int, seed: int) -> tuple[list[float], list[Configuration]]:
    """Run TPE from nothing over the joint space."""
    space = SearchSpace.for_kind(task.kind)
    tried: list[Configuration] = []

    def objective(trial: optuna.Trial) -> float:
        tried.append(space.suggest(trial))
        score = score_on_folds(task, tried[-1], splits)
        if not np.isfinite(score):
            raise optuna.TrialPruned
        return score

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    study.optimize(objective, n_trials=n_trials)
    return [t.value if t.value is not None else -np.inf for t in study.trials], tried


def tuned(task: Task, splits: Any, n_trials: int, seed: int, metamodel: Any) -> tuple[list[float], Any]:
    """Run autometa.tune with a meta-model that knows nothing of the task's family."""
    result = autometa.tune(
        task.X,
        task.y,
        kind=task.kind,
        metric=task.metric.name,
        n_trials=n_trials,
        cv=splits,
        random_state=seed,
        metamodel=metamodel,
    )
    sign = 1 if result.study.direction == optuna.study.StudyDirection.MAXIMIZE else -1
    return [sign * t.value if t.value is not None else -np.inf for t in result.study.trials], result


def train_without(families: set[str]) -> autometa.MetaModel:
    """Train on the bundled metadata base without some families."""
    metabase = autometa.MetaBase.load()
    known = metabase.tasks.loc[~metabase.tasks["family"].isin(families), "task_id"]
    return autometa.MetaModel.fit(metabase.only(known))


def run_task(source: Any, n_trials: int, seed: int, metamodel: Any) -> list[dict[str, Any]]:
    """Compare both methods on one task."""
    whole = source.load()
    if whole.kind != "regression":
        counts = whole.y.map(whole.y.value_counts())
        whole = whole.subset(np.flatnonzero(counts.to_numpy() >= 9))
    strata = None if whole.kind == "regression" else whole.y
    rows, held_out = train_test_split(
        np.arange(whole.n_rows), test_size=1 / 3, random_state=seed, stratify=strata
    )
    task, test = whole.subset(np.sort(rows)), whole.subset(held_out)
    splits = make_splits(task, Protocol(seed=seed))
    defaults = [
        score_on_folds(task, a.default_configuration(), splits) for a in SearchSpace.for_kind(task.kind)
    ]
    start = time.process_time()
    cold, tried = cold_tpe(task, splits, n_trials, seed)
    middle = time.process_time()
    warm, result = tuned(task, splits, n_trials, seed, metamodel)
    end = time.process_time()
    best = max(*cold, *warm, *defaults)
    scale = max(best - float(np.median(defaults)), 1e-12)
    tests = {
        "cold TPE": score_on_test(tried[int(np.argmax(cold))], task, test),
        "autometa": float(
            check_scoring(result.best_pipeline, scoring=task.metric.scorer)(
                result.best_pipeline, test.X, test.y
            )
        ),
    }
    records = []
    for method, scores, seconds in (("cold TPE", cold, middle - start), ("autometa", warm, end - middle)):
        record = {
            "task": source.task_id,
            "kind": task.kind,
            "metric": task.metric.name,
            "method": method,
            "seed": seed,
        }
        for budget in BUDGETS:
            if budget <= n_trials:
                regret = (best - max(scores[:budget])) / scale
                record[f"regret@{budget}"] = float(np.clip(regret, 0.0, 2.0))
        records.append({**record, "test_gain": tests[method], "cpu_seconds": seconds})
    return records


def report(table: pd.DataFrame) -> str:
    """Return means, standard errors and the paired comparison that the README quotes."""
    columns = [c for c in table.columns if c.startswith("regret@")]
    by_task = table.groupby(["method", "task"])[columns].mean()
    lines = [f"{table['task'].nunique()} tasks, mean normalised regret of the best so far +- standard error"]
    for method, rows in by_task.groupby("method"):
        cells = [f"{c[7:]}: {rows[c].mean():.3f} +-{rows[c].sem():.3f}" for c in columns]
        lines.append(f"{method:10s} after trials  " + "   ".join(cells))
    for ours, theirs in (("regret@10", "regret@25"), ("regret@10", "regret@10"), ("regret@25", "regret@25")):
        if not {ours, theirs} <= set(columns):
            continue
        difference = by_task.loc["autometa", ours] - by_task.loc["cold TPE", theirs]
        lines.append(
            f"autometa {ours} - cold TPE {theirs}: {difference.mean():+.3f} +- {difference.sem():.3f}, "
            f"better or equal on {(difference <= 0).mean():.0%}"
        )
    gains = table.pivot_table(index="task", columns="method", values="test_gain")
    wins = (gains["autometa"] > gains["cold TPE"]).mean() + 0.5 * (
        gains["autometa"] == gains["cold TPE"]
    ).mean()
    lines.append(
        f"held-out third, chosen pipelines after all trials: autometa better on {wins:.0%} of the tasks (ties half)"
    )
    return "\n".join(lines)


def main() -> None:
    """Run the comparison on tasks that the meta-model has not seen."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--directory", required=True)
    parser.add_argument("--tasks", type=int, default=24)
    parser.add_argument(
        "--skip", type=int, default=300, help="how many tasks of the catalog's order to pass over"
    )
    parser.add_argument("--trials", type=int, default=25)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/search.csv"))
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.simplefilter("ignore")
    sources = read_catalog(arguments.directory)[arguments.skip : arguments.skip + arguments.tasks]
    metamodel = train_without({s.properties["family"] for s in sources})
    done = pd.read_csv(arguments.output) if arguments.output.is_file() else pd.DataFrame(columns=["task"])
    for source in sources:
        if source.task_id in set(done["task"]):
            continue
        records = pd.DataFrame(run_task(source, arguments.trials, arguments.seed, metamodel))
        done = pd.concat([done, records], ignore_index=True)
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        done.to_csv(arguments.output, index=False, float_format="%.6g")
        print(f"{source.task_id}: {done['task'].nunique()} tasks done", flush=True)
    print(report(done))


if __name__ == "__main__":
    main()
