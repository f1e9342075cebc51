"""Few-shot recommendation: what a handful of results on a new task is worth.

    python benchmarks/few_shot.py table DIRECTORY     a published table of errors, ten folds of dataset groups
    python benchmarks/few_shot.py replay              the bundled metadata base, families left out

`table` reads errors.parquet, datasets.parquet and metafeatures.parquet (dataset_id, ...). Rows, columns and their
ratio, known of all datasets, join the meta-features, which some lack. On each dataset of a fold a method that learned
from the other folds probes candidates one after the other; regret of the best of the first k + 1 =
(error - min) / (median - min), clipped to [0, 1]; datasets with median - min below .005 are left out.

`replay` compares the recommended list as it stands, the list reordered after each result by expected improvement, and
by the exploration policy learned by replay on the other half of the families; regret as in the training report.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from autometa import AlgorithmSelector, MetaModel
from autometa.metamodel.policy import EXPECTED_IMPROVEMENT, HORIZON, Episode, learn_policy
from autometa.metamodel.portfolio import safe_portfolio
from autometa.metamodel.posterior import TaskMixture
from autometa.metamodel.target import TargetModel

PROBES = (0, 1, 3, 5, 10)
METRICS = {"classification": ("roc_auc", "log_loss", "balanced_accuracy"), "regression": ("r2", "mae")}
N_FOLDS = 10
MIN_GAP = 0.005


def main() -> None:
    """Run one of the comparisons and print its table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    table = commands.add_parser("table")
    table.add_argument("directory", type=Path)
    table.add_argument("--folds", type=int, nargs="+", default=range(N_FOLDS))
    table.set_defaults(run=lambda args: replay_table(args.directory, args.folds))
    replay = commands.add_parser("replay")
    replay.add_argument("--rounds", type=int, default=7, help="of the search for a policy (default: 7)")
    replay.set_defaults(run=lambda args: replay_base(args.rounds))
    args = parser.parse_args()
    args.run(args)


def replay_table(directory: Path, folds: list[int]) -> None:
    """Print mean regret after each number of probes."""
    errors = pd.read_parquet(directory / "errors.parquet").set_index("dataset_id")
    datasets = pd.read_parquet(directory / "datasets.parquet").set_index("dataset_id")
    known = pd.read_parquet(directory / "metafeatures.parquet").set_index("dataset_id")
    groups = datasets["near_duplicate_group"].reindex(errors.index).astype(str)
    names = sorted(groups.unique())
    fold_of = dict(zip(names, np.random.default_rng(0).permutation(len(names)) % N_FOLDS, strict=True))
    fold = groups.map(fold_of)
    lowest, middle = errors.min(axis=1), errors.median(axis=1)
    usable = middle - lowest >= MIN_GAP
    regrets = errors.sub(lowest, axis=0).div(middle - lowest, axis=0).clip(0, 1)
    sizes = datasets[["n_rows", "n_cols_encoded"]].reindex(errors.index)
    sizes["ratio"] = sizes["n_cols_encoded"] / sizes["n_rows"]
    metafeatures = known.reindex(errors.index).join(sizes)
    found = []
    for number in folds:
        train = (fold != number) & usable
        selector = AlgorithmSelector(random_state=0).fit(
            metafeatures[train], -errors[train], groups=groups[train]
        )
        for dataset in errors.index[(fold == number) & usable]:
            observed: dict[str, float] = {}
            while len(observed) <= max(PROBES):
                candidate = selector.suggest(metafeatures.loc[dataset], observed)
                observed[candidate] = -errors.loc[dataset, candidate]
            best = np.minimum.accumulate(regrets.loc[dataset, list(observed)].to_numpy())
            found.append([number, *(best[k] for k in PROBES)])
    table = pd.DataFrame(found, columns=["fold", *(f"k={k}" for k in PROBES)]).set_index("fold")
    chosen = table.index < N_FOLDS // 2
    for name, rows in (("all", table), ("folds of the choices", table[chosen]), ("others", table[~chosen])):
        _show(rows, f"AlgorithmSelector, {name}")


def replay_base(n_rounds: int) -> None:
    """Print the regret of list, expected improvement and learned policy, and the paired differences."""
    model = MetaModel.load()
    lists, episodes, families = [], [], []
    for target, metrics in METRICS.items():
        for metric in metrics:
            for family, order, episode in record(model.parts[target], metric):
                lists.append(np.minimum.accumulate(episode.regret[order]))
                episodes.append(episode)
                families.append(f"{target} {family}")
    names = np.unique(families)
    half_of = dict(zip(names, np.random.default_rng(0).permutation(len(names)) % 2, strict=True))
    half = np.array([half_of[family] for family in families])
    results = {
        "list": np.array(lists),
        "expected improvement": np.array([e.play(EXPECTED_IMPROVEMENT) for e in episodes]),
        "learned policy": np.zeros((len(episodes), HORIZON)),
    }
    for side in (0, 1):
        own = [episode for episode, h in zip(episodes, half, strict=True) if h != side]
        policy = learn_policy(own, n_rounds=n_rounds, batch=150, random_state=side)
        print(f"policy of half {1 - side}: {np.round(policy.weights, 2).tolist()}")
        for i in np.flatnonzero(half == side):
            results["learned policy"][i] = episodes[i].play(policy)
    columns = [f"first {k}" for k in range(1, HORIZON + 1)]
    for name, values in results.items():
        _show(pd.DataFrame(values, columns=columns), name)
    for name, other in (("expected improvement", "list"), ("learned policy", "expected improvement")):
        # Metrics of one task count as one.
        tasks = pd.DataFrame(results[name] - results[other], columns=columns).groupby(families).mean()
        _show(tasks, f"{name} - {other}")


def record(part: TargetModel, metric: str) -> Iterator[tuple[str, list[int], Episode]]:
    """Yield each fully known task as if it were new: its family, its list, and the episode."""
    levels, regrets = part.levels[metric], part.regrets[metric]
    for i, family in enumerate(part.families):
        if not (np.isfinite(levels[i]).all() and np.isfinite(regrets[i]).all()):
            continue
        expected, _, scenarios, weights = part.predict(part.metafeatures[i], metric, exclude=(family,))
        order = safe_portfolio(scenarios, HORIZON, weights=weights, expected=expected, defaults=part.defaults)
        others = part.families != family
        mixture = TaskMixture.fit(levels[others], part.similarity[np.ix_(others, others)])
        yield str(family), order, Episode(mixture, weights[others], levels[i], regrets[i], order[0])


def _show(values: pd.DataFrame, name: str) -> None:
    table = pd.DataFrame({"mean": values.mean(), "error": values.sem()}).T.round(3)
    print(f"\n{name}, {len(values)} rows\n{table.to_string()}")


if __name__ == "__main__":
    main()
