"""Does a stream of similar tasks get easier? Regret at five trials against the number of tasks learned from.

    python benchmarks/stream.py [--orders 10] [--output FILE.csv]

Replays the metadata base. Two rules choose twenty tasks of one kind, for classification and for regression: `alike`
takes the task whose neighbours in standardised meta-features are nearest, with its nearest ones; `peculiar` takes from
the clusters (Ward) of tasks on which the same configurations do well the one of at least twenty tasks that is farthest
from the mean. The meta-model knows the other tasks alone. The twenty come one
after the other, in random orders: five configurations are suggested and judged by the recorded runs, then a search of
25 trials is simulated (ten suggestions, fifteen random ones) and learned from; learned tasks count four times, as they
do for users at first. As a control, `random` takes any twenty tasks.

Compared: the meta-model that learns, the same without learning (cold), and the static greedy portfolio of what was seen
in the stream alone. Regrets are means over all metrics. Finished orders are read back from the output file.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import fcluster, linkage

from autometa.experience import DEFAULT_IMPORTANCE
from autometa.experience._extension import Addition
from autometa.metabase import MetaBase
from autometa.metamodel import MetaModel
from autometa.metamodel.forest import ProximityForest, fill_with_column_means
from autometa.metamodel.known import KnownTasks
from autometa.metamodel.neighbourhood import greedy_portfolio
from autometa.metamodel.similarity import Similarity

N_TASKS = 20
N_TRIALS = 25
N_SUGGESTED = 10
DEPTHS = (1, 5)
BINS = ((0, 0), (1, 4), (5, 9), (10, 14), (15, 19))


def capped_regrets(part: KnownTasks) -> np.ndarray:
    """Return which configurations do well on each task, all metrics side by side."""
    return np.hstack([np.minimum(fill_with_column_means(table), 1.0) for table in part.regrets.values()])


def choose_tasks(part: KnownTasks, rule: str) -> np.ndarray:
    """Return the rows of tasks of one kind among those that have regrets under every metric."""
    rows = np.flatnonzero(np.all([np.isfinite(t).any(axis=1) for t in part.regrets.values()], axis=0))
    if rule == "alike":
        distances = np.array([part.similarity.distances(part.metafeatures[i])[rows] for i in rows])
        centre = np.sort(distances, axis=1)[:, :N_TASKS].mean(axis=1).argmin()
        return rows[np.argsort(distances[centre], kind="stable")[:N_TASKS]]
    if rule == "random":
        return np.random.default_rng(5).permutation(rows)[:N_TASKS]
    table = capped_regrets(part)[rows]
    tree = linkage(table, "ward")
    chosen = rows
    for n_clusters in range(2, len(rows)):
        labels = fcluster(tree, n_clusters, "maxclust")
        groups = [np.flatnonzero(labels == label) for label in np.unique(labels)]
        groups = [group for group in groups if len(group) >= N_TASKS]
        if n_clusters > 2 and len(groups) <= 2:
            break
        chosen = rows[max(groups, key=lambda group: np.linalg.norm(table[group].mean(0) - table.mean(0)))]
    return chosen


def without(part: KnownTasks, rows: np.ndarray) -> KnownTasks:
    """Learn anew without some tasks."""
    rest = np.setdiff1d(np.arange(len(part.tasks)), rows)
    families = part.families[rest].tolist()
    X = part.metafeatures[rest]
    return replace(
        part,
        tasks=part.tasks.iloc[rest].reset_index(drop=True),
        regrets={metric: table[rest] for metric, table in part.regrets.items()},
        levels={metric: table[rest] for metric, table in part.levels.items()},
        similarity=Similarity.fit(X, capped_regrets(part)[rest], families),
        levelling=ProximityForest.fit(
            X, np.hstack([table[rest] for table in part.levels.values()]), families, random_state=1
        ),
    )


def suggest(part: KnownTasks, x: np.ndarray, metric: str, k: int) -> list[int]:
    """Return the columns of the first `k` suggestions for a task."""
    kind = "regression" if part.target == "regression" else "binary"
    metafeatures = pd.Series(x, index=part.metafeature_names)
    return MetaModel({part.target: part}).predict(metafeatures, kind, metric).portfolio(k)


def replay(
    bundled: KnownTasks, base: KnownTasks, metabase: MetaBase, tasks: np.ndarray, seed: int
) -> list[dict[str, Any]]:
    """Let the tasks come in a random order, and record the regrets of every method on each."""
    rng = np.random.default_rng(seed)
    configurations, metrics = list(bundled.configurations), list(bundled.regrets)
    runs = metabase.runs[metabase.runs["configuration_id"].isin(configurations)]
    by_task = dict(list(runs.groupby("task_id")))
    own: list[pd.DataFrame] = []
    seen = {metric: np.empty((0, len(configurations))) for metric in metrics}
    part, records = base, []
    for number, row in enumerate(rng.permutation(tasks)[:N_TASKS]):
        task_id, x = bundled.tasks["task_id"][row], bundled.metafeatures[row]
        regrets: dict[str, list[list[float]]] = {"learning": [], "cold": [], "static": []}
        trials = suggest(part, x, metrics[0], N_SUGGESTED)
        others = [column for column in range(len(configurations)) if column not in trials]
        trials += rng.permutation(others)[: N_TRIALS - N_SUGGESTED].tolist()
        for metric in metrics:
            truth = np.nan_to_num(bundled.regrets[metric][row], nan=2.0)
            history = seen[metric] if own else base.regrets[metric]
            orders = {
                "learning": suggest(part, x, metric, max(DEPTHS)),
                "cold": suggest(base, x, metric, max(DEPTHS)),
                "static": greedy_portfolio(history, max(DEPTHS)),
            }
            for method, order in orders.items():
                regrets[method].append([float(truth[order[:depth]].min()) for depth in DEPTHS])
            known = np.full(len(configurations), np.nan)
            known[trials] = truth[trials]
            seen[metric] = np.vstack([seen[metric], known])
        for method, values in regrets.items():
            means = dict(zip([f"regret@{d}" for d in DEPTHS], np.mean(values, axis=0).tolist(), strict=True))
            records.append({"order": seed, "seen": number, "task": task_id, "method": method, **means})
        table = by_task[task_id]
        own.append(table[table["configuration_id"].isin([configurations[i] for i in trials])])
        learned = MetaBase(
            metabase.tasks[metabase.tasks["task_id"].isin([t["task_id"].iloc[0] for t in own])],
            metabase.configurations,
            pd.concat(own),
        )
        part = Addition.of(base, learned).extend(DEFAULT_IMPORTANCE)
    return records


def report(table: pd.DataFrame) -> str:
    """Return mean regrets by the number of tasks seen, and the paired difference to the cold start."""
    lines = []
    for (rule, target), rows in table.groupby(["rule", "target"], sort=False):
        lines.append(f"\n{rule}, {target}: {rows['order'].nunique()} orders of {N_TASKS} tasks, regret at 5")
        lines.append(f"{'tasks seen':12s}" + "".join(f"{f'{a}-{b}':>12s}" for a, b in BINS))
        wide = rows.pivot_table(index=["order", "seen", "task"], columns="method", values="regret@5")
        wide = wide.reset_index()
        parts = [wide[wide["seen"].between(a, b)] for a, b in BINS]
        for method in ("learning", "cold", "static"):
            lines.append(f"{method:12s}" + "".join(f"{part[method].mean():12.3f}" for part in parts))
        late = wide[wide["seen"] >= N_TASKS // 2].groupby("task")[["learning", "cold", "static"]].mean()
        for method in ("cold", "static"):
            difference = late["learning"] - late[method]
            lines.append(
                f"learning - {method}, from {N_TASKS // 2} tasks on, over {len(late)} tasks: "
                f"{difference.mean():+.3f} +- {difference.sem():.3f}"
            )
    return "\n".join(lines)


def main() -> None:
    """Replay all streams that the output file lacks."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--orders", type=int, default=10)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/stream.csv"))
    arguments = parser.parse_args()
    metabase, model = MetaBase.load(), MetaModel.load()
    key = ["rule", "target", "order"]
    done = pd.read_csv(arguments.output) if arguments.output.is_file() else pd.DataFrame(columns=key)
    streams = [(rule, target) for rule in ("alike", "peculiar", "random") for target in model.parts]
    bases: dict[tuple[str, str], tuple[np.ndarray, KnownTasks]] = {}
    for order, (rule, target) in product(range(arguments.orders), streams):
        if (done[key] == [rule, target, order]).all(axis=1).any():
            continue
        bundled = model.parts[target]
        if (rule, target) not in bases:
            tasks = choose_tasks(bundled, rule)
            bases[rule, target] = tasks, without(bundled, tasks)
        tasks, base = bases[rule, target]
        records = pd.DataFrame(replay(bundled, base, metabase, tasks, order))
        records.insert(0, "rule", rule)
        records.insert(1, "target", target)
        done = pd.concat([done, records], ignore_index=True)
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        done.to_csv(arguments.output, index=False, float_format="%.5g")
        print(f"order {order + 1} of {arguments.orders}: {rule}, {target}", flush=True)
    print(report(done))


if __name__ == "__main__":
    main()
