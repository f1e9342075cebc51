"""What do all meta-features cost? Against one LightGBM fit of 100 trees, and against pymfe where it is installed.

    python benchmarks/metafeatures.py [--repeats 3] [--large] [--pymfe]

Simulated tables of two classes, a fifth of the columns categorical and a twentieth of the numbers missing, one thread.
Times are the least CPU seconds of some repeats, from the table to the values, the check of the table included.
``--large`` adds 1,000,000 x 50 and the memory that extraction takes at its peak, over that of the table. pymfe gets the
same rows as numbers without gaps, and its groups general, statistical, info-theory and landmarking.
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
from lightgbm import LGBMClassifier
from threadpoolctl import threadpool_limits

from autometa import extract_metafeatures

SIZES = ((1_000, 20), (10_000, 50), (50_000, 100))
LARGE = (1_000_000, 50)
PYMFE_GROUPS = ("general", "statistical", "info-theory", "landmarking")


def simulate(n_rows: int, n_columns: int) -> tuple[pd.DataFrame, pd.Series]:
    """Return a table of numbers and categories, with gaps, and a target of two classes."""
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(n_rows, n_columns - n_columns // 5))
    signal = numbers[:, 0] * numbers[:, 1] + numbers[:, 2:5].sum(axis=1)
    numbers[rng.random(numbers.shape) < 0.05] = np.nan
    X = pd.DataFrame(numbers).add_prefix("x")
    levels = rng.integers(0, 12, (n_rows, n_columns // 5))
    categories = {
        f"c{i}": pd.Categorical.from_codes(c, [f"l{j}" for j in range(12)]) for i, c in enumerate(levels.T)
    }
    y = pd.Series(signal + rng.normal(size=n_rows) + (levels[:, 0] > 5) > 0, name="y").astype(int)
    return pd.concat([X, pd.DataFrame(categories)], axis=1), y


def least_seconds(work: Callable[[], object], repeats: int) -> float:
    """Return the least CPU seconds of some repeats."""
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        seconds.append(time.process_time() - start)
    return min(seconds)


def run_pymfe(X: pd.DataFrame, y: pd.Series) -> None:
    """Extract pymfe's meta-features."""
    from pymfe.mfe import MFE

    frame = X.apply(
        lambda c: c.cat.codes if isinstance(c.dtype, pd.CategoricalDtype) else c.fillna(c.median())
    )
    extractor = MFE(groups=list(PYMFE_GROUPS), suppress_warnings=True)
    extractor.fit(frame.to_numpy(), y.to_numpy(), suppress_warnings=True).extract(suppress_warnings=True)


def report_size(n_rows: int, n_columns: int, repeats: int, *, with_pymfe: bool) -> str:
    """Return a line on tables of one size."""
    X, y = simulate(n_rows, n_columns)
    fit = least_seconds(lambda: LGBMClassifier(n_estimators=100, n_jobs=1, verbose=-1).fit(X, y), repeats)
    ours = least_seconds(lambda: extract_metafeatures(X, y), repeats)
    line = f"{n_rows:>9,} x {n_columns:<4} LightGBM {fit:6.2f} s   autometa {ours:6.2f} s = {ours / fit:5.2f} fits"
    if with_pymfe:
        theirs = least_seconds(lambda: run_pymfe(X, y), 1)
        line += f"   pymfe {theirs:7.2f} s = {theirs / fit:6.2f} fits"
    return line


def report_large() -> str:
    """Return a line on the time and memory of a large table."""
    X, y = simulate(*LARGE)
    seconds = least_seconds(lambda: extract_metafeatures(X, y), 1)
    size = X.memory_usage().sum()
    tracemalloc.start()
    extract_metafeatures(X, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return (
        f"{LARGE[0]:>9,} x {LARGE[1]:<4} autometa {seconds:6.2f} s, "
        f"{peak / 2**20:,.0f} MiB at its peak = {peak / size:.2f} of the table's own"
    )


def main() -> None:
    """Print a line per size."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--pymfe", action="store_true")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    with threadpool_limits(1):
        extract_metafeatures(*simulate(500, 10))
        for size in SIZES:
            print(report_size(*size, arguments.repeats, with_pymfe=arguments.pymfe), flush=True)
        if arguments.large:
            print(report_large())


if __name__ == "__main__":
    main()
