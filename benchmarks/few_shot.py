"""Few-shot recommendation: what a handful of results on a new task is worth.

    python benchmarks/few_shot.py table DIRECTORY     a published table of errors, ten folds of dataset groups

It reads errors.parquet, datasets.parquet and metafeatures.parquet (dataset_id, ...). Rows, columns and their
ratio, known of all datasets, join the meta-features, which some lack. On each dataset of a fold a method that learned
from the other folds probes candidates one after the other; regret of the best of the first k + 1 =
(error - min) / (median - min), clipped to [0, 1]; datasets with median - min below .005 are left out.
What results are worth on the bundled metadata base, `benchmarks/search.py --replay` says.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from autometa import AlgorithmSelector

PROBES = (0, 1, 3, 5, 10)
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


def _show(values: pd.DataFrame, name: str) -> None:
    table = pd.DataFrame({"mean": values.mean(), "error": values.sem()}).T.round(3)
    print(f"\n{name}, {len(values)} rows\n{table.to_string()}")


if __name__ == "__main__":
    main()
