"""Rules of the zero-shot ensemble, computed from recorded predictions and compared on families left out.

    python benchmarks/mixtures.py record --datasets DIR --tables-of DIR2 [--skip 36] [--tables 100] [--minutes 10]
    python benchmarks/mixtures.py compare --tables-of DIR2
    python benchmarks/mixtures.py show --tables-of DIR2

Tables, splits and seed are those of ``zero_shot_ensemble.py``, whose first 36 tables are passed over, as are families
that ``automl_tables.txt`` reports. ``record`` fits what leads on each by log-loss or R2, the table's own family
forgotten, and keeps what it predicts for the test rows, a file for each table; it goes on where it was stopped.
``compare`` computes what each rule would average. What a rule has learned it learned from other families: ten parts,
each judged by the other nine. A loss is the log-loss, or the mean squared error. Gains are falls of its logarithm
against the plain mean of the first five; the way goes from the best constant to that mean, and is a twentieth of the
constant's loss at least. ``show`` prints what all tables teach.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import time
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from pprint import pformat
from typing import Any, Final

import numpy as np
import pandas as pd
from mixing import Mixing, decades, facts
from zero_shot import Bench, choose_tables, draw_split
from zero_shot_ensemble import SEED, Forgetful, fitted_prediction

from autometa import MetaModel
from autometa.collection import read_catalog
from autometa.errors import AutometaError
from autometa.evaluation import target_codes
from autometa.experience import load_metamodel
from autometa.pipelines import build_pipeline
from autometa.recommendation import recommend_for_task
from autometa.recommendation.mixture import LEAD, MOST_OF_AN_ALGORITHM, TEMPERATURE
from autometa.space import Configuration, SearchSpace

HERE: Final = Path(__file__).parent
RESULTS: Final = HERE / "results" / "mixtures.csv"
SIZE: Final = 5
# What a rule may choose among, and CPU seconds that a fit of it should take at most.
MOST: Final = 10
MOST_SECONDS: Final = 5.0
ALGORITHMS: Final = (
    "lightgbm",
    "hist_gradient_boosting",
    "random_forest",
    "extra_trees",
    "linear",
    "mlp",
    "svm",
    "knn",
)
# Members are chosen among so many.
POOL: Final = 8
# Levels and distances are drawn to what is usual as by so many tables more.
RIDGE: Final = 5.0
# What is further off than these has gone wrong, and says nothing about others.
CLIPPED: Final = (-0.5, 0.7)
MOST_APART: Final = 2.0
Array = Any


@dataclass
class Table:
    """A table with the predictions of what leads on it.

    Attributes
    ----------
    n_rows : int
        To train on.
    predictions : ndarray of shape (n_members, n_rows) or (n_members, n_rows, n_classes)
        In the order in which they lead; without those that could not be recorded.
    regret : ndarray of shape (n_members,)
        Expected by the meta-model.
    """

    name: str
    family: str
    kind: str
    n_rows: int
    y: Array
    predictions: Array
    algorithms: list[str]
    regret: Array
    default: Array

    def __post_init__(self) -> None:
        if self.kind == "regression":
            self.constant = float(np.var(self.y))
            self.views = np.asarray(self.predictions, dtype="float64")
        else:
            shares = np.bincount(self.y) / len(self.y)
            self.constant = float(-np.log(shares[self.y]).mean())
            self.views = self.view(self.predictions)

    def view(self, prediction: Array) -> Array:
        """What the loss sees of predictions: themselves, or the probability of what is true."""
        if self.kind == "regression":
            return np.asarray(prediction, dtype="float64")
        return np.asarray(prediction, dtype="float64")[..., np.arange(len(self.y)), self.y]

    def loss_of_view(self, view: Array) -> float:
        """Loss of a mixed view: mean squared error, or log-loss."""
        if self.kind == "regression":
            return float(((view - self.y) ** 2).mean())
        return float(-np.log(np.maximum(view, 1e-6)).mean())

    def loss(self, weights: Array) -> float:
        """Loss of the weighted mean of what leads."""
        return self.loss_of_view(np.tensordot(weights, self.views, 1))

    def save(self, path: Path) -> None:
        """Keep in a file, without pickles."""
        values = {name: np.asarray(value) for name, value in vars(self).items()}
        np.savez_compressed(path, **{f.name: values[f.name] for f in fields(self)})

    @classmethod
    def load(cls, path: Path) -> Table:
        """Read a file."""
        with np.load(path, allow_pickle=False) as found:
            values = {name: found[name] for name in found.files}
        plain = {name: values[name].item() for name in ("name", "family", "kind", "n_rows")}
        return cls(**(values | plain | {"algorithms": values["algorithms"].tolist()}))


def read(arguments: argparse.Namespace) -> list[Table]:
    """Read what was recorded."""
    return [Table.load(path) for path in sorted(arguments.tables_of.glob("*.npz"))]


def record(arguments: argparse.Namespace) -> None:
    """Fit what leads on each table, and keep what it predicts."""
    lines = [line.split() for line in (HERE / "automl_tables.txt").read_text().splitlines()]
    reported = {family for part, _, _, family, _ in lines if part == "report"}
    sources = choose_tables(read_catalog(arguments.datasets), arguments.skip + arguments.tables)
    loaded = load_metamodel("bundled")
    model = Forgetful(loaded.parts, loaded.report)
    arguments.tables_of.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + 60 * arguments.minutes
    for source in sources[arguments.skip :]:
        path = arguments.tables_of / f"{source.task_id}.npz"
        if path.is_file() or source.properties["family"] in reported or time.monotonic() > end:
            continue
        try:
            full = source.load()
            bench = Bench(*draw_split(source, SEED), SEED)
            seen = loaded.seen_families(full.fingerprint(), full.kind)
            model.forgotten = {source.properties["family"], *seen}
            table = fitted(bench, model, source.properties["family"])
        except AutometaError as error:
            print(f"{source.task_id} is left out: {error}", flush=True)
            continue
        table.save(path)
        print(source.task_id, source.kind, len(table.algorithms), flush=True)


def fitted(bench: Bench, model: MetaModel, family: str) -> Table:
    """Fit what leads on a table as it may be a member."""
    found = recommend_for_task(bench.train, k=MOST, metamodel=model, random_state=SEED)._leading
    rows = zip(found.configurations, found.regret.tolist(), found.seconds.tolist(), strict=True)
    members = [
        (c, regret)
        for c, regret, seconds in rows
        if c.params.get("class_weight") != "balanced" and seconds < MOST_SECONDS
    ][:MOST]

    def predict(configuration: Configuration) -> Array:
        pipeline = build_pipeline(configuration, bench.train, random_state=0)
        return fitted_prediction(bench, pipeline).astype("float32")

    kind = bench.whole.kind
    return Table(
        bench.whole.name,
        family,
        kind,
        len(bench.train_rows),
        target_codes(bench.whole)[bench.test_rows],
        np.stack([predict(c) for c, _ in members]),
        [c.algorithm for c, _ in members],
        np.array([regret for _, regret in members]),
        predict(SearchSpace.for_kind(kind)["lightgbm"].default_configuration()),
    )


# -- rules -----------------------------------------------------------------------------------------------------------


Rule = Callable[[Table], Array]


def plain(table: Table, size: int = SIZE) -> Array:
    """The plain mean of the first."""
    weights = np.zeros(len(table.views))
    weights[:size] = 1.0 / min(size, len(weights))
    return weights


def limited(table: Table, size: int, most: int) -> list[int]:
    """Return the first members, so many of an algorithm at most."""
    used: Counter[str] = Counter()
    found: list[int] = []
    for i, name in enumerate(table.algorithms):
        if used[name] < most and len(found) < size:
            found.append(i)
            used[name] += 1
    return found


def regretful(
    table: Table,
    *,
    size: int = SIZE,
    most: int = MOST_OF_AN_ALGORITHM,
    temperature: float = TEMPERATURE,
    lead: float = LEAD,
) -> Array:
    """By the expected regret alone."""
    members = limited(table, size, most)
    weights = np.zeros(len(table.views))
    weights[members] = by_regret(table.regret[members], size, temperature, lead)
    return weights


def by_regret(regret: Array, size: int, temperature: float = TEMPERATURE, lead: float = LEAD) -> Array:
    """Return weights of the first few that fall with the expected regret; those of the others are nought."""
    shares = np.exp((regret[0] - np.maximum(regret, regret[0])) / temperature)
    shares[0] *= lead
    shares[size:] = 0.0
    return shares / shares.sum()


def spread(table: Table) -> Array:
    """How far members are apart, as a share of the loss of the mean of five; see ``mixing.py``."""
    views = table.views
    if table.kind != "regression":
        views = views / np.maximum(views.mean(axis=0), 1e-3)
    squares = (views**2).mean(axis=1)
    apart = squares[:, None] + squares[None] - 2 * views @ views.T / views.shape[1]
    return np.maximum(apart, 0.0) / table.loss(plain(table))


def learn(tables: Sequence[Table]) -> Mixing:
    """Learn what is expected of members, and how far pairs of algorithms are apart.

    Levels are a linear function, drawn to nought; distances are means by pair, drawn to the mean of all.
    """
    X = np.concatenate([inputs(table) for table in tables])
    y = np.concatenate([[np.log(t.loss_of_view(v) / t.loss(plain(t))) for v in t.views] for t in tables])
    free = np.diag([0.0, *np.ones(X.shape[1] - 1)])
    beta = np.linalg.solve(X.T @ X + RIDGE * free, X.T @ np.clip(y, *CLIPPED))[1:]
    pairs: dict[tuple[str, str], list[float]] = {}
    for table in tables:
        apart = spread(table)
        for i, j in zip(*np.tril_indices(len(apart), -1), strict=True):
            a, b = sorted((table.algorithms[i], table.algorithms[j]))
            pairs.setdefault((a, b), []).append(min(float(apart[i, j]), MOST_APART))
    usual = float(np.mean([v for values in pairs.values() for v in values]))
    n = len(beta) - 2 * len(ALGORITHMS)
    offsets, slopes = beta[n : n + len(ALGORITHMS)], beta[n + len(ALGORITHMS) :]
    return Mixing(
        tuple(beta[:n].round(4).tolist()),
        {
            a: (round(float(o), 4), round(float(s), 4))
            for a, o, s in zip(ALGORITHMS, offsets, slopes, strict=True)
        },
        {pair: round((sum(v) + RIDGE * usual) / (len(v) + RIDGE), 4) for pair, v in sorted(pairs.items())},
        round(usual, 4),
    )


def inputs(table: Table) -> Array:
    """Return one, the facts of each member, its algorithm, and its algorithm times the decades of rows."""
    is_regression = table.kind == "regression"
    rest = facts(table.algorithms, table.regret, table.n_rows, is_regression=is_regression)
    of = np.array([[float(name == other) for other in ALGORITHMS] for name in table.algorithms])
    return np.column_stack([np.ones(len(of)), rest, of, of * decades(table.n_rows)])


def learned(mixing: Mixing, size: int = SIZE) -> Rule:
    """Return the rule with what was learned: members and weights by the expected loss of their mean."""

    def rule(table: Table) -> Array:
        pool = limited(table, max(size, POOL), MOST_OF_AN_ALGORITHM)
        weights = np.zeros(len(table.views))
        weights[pool] = mixing.weigh(
            [table.algorithms[i] for i in pool],
            table.regret[pool],
            table.n_rows,
            by_regret(table.regret[pool], size),
            size,
            is_regression=table.kind == "regression",
        )
        return weights

    return rule


# -- comparison ------------------------------------------------------------------------------------------------------


def crosswise(tables: Sequence[Table], learn: Callable[[Sequence[Table]], Rule], parts: int = 10) -> Array:
    """Return the loss of a rule on each table, learned from other families; regression apart where `learn` says so."""
    part = np.array([int(hashlib.sha256(t.family.encode()).hexdigest(), 16) % parts for t in tables])
    found = np.full(len(tables), np.nan)
    for p in np.unique(part):
        rule = learn([t for t, q in zip(tables, part, strict=True) if q != p])
        for i in np.flatnonzero(part == p):
            found[i] = tables[i].loss(rule(tables[i]))
    return found


def losses_of(tables: Sequence[Table]) -> pd.DataFrame:
    """Return the losses of all rules by table."""
    rules: dict[str, Rule] = {"plain mean of five": plain, "by regret": regretful}
    rules["by regret, lead 1"] = lambda t: regretful(t, lead=1.0)
    rules["by regret, eight"] = lambda t: regretful(t, size=8)
    losses: dict[str, Array] = {
        name: np.array([t.loss(rule(t)) for t in tables]) for name, rule in rules.items()
    }
    losses["learned, other families"] = crosswise(tables, lambda part: learned(learn(part)))
    losses["learned, other families, eight"] = crosswise(tables, lambda part: learned(learn(part), 8))
    losses["first pick"] = np.array([t.loss_of_view(t.views[0]) for t in tables])
    losses["LightGBM default"] = np.array([t.loss_of_view(t.view(t.default)) for t in tables])
    about = {
        "table": [t.name for t in tables],
        "kind": [t.kind for t in tables],
        "rows": [t.n_rows for t in tables],
        "constant": [t.constant for t in tables],
    }
    return pd.DataFrame(about | losses)


def report(table: pd.DataFrame, base: str = "plain mean of five") -> pd.DataFrame:
    """Return wins and gains of each rule against a base."""
    rows = []
    groups = {kind: table["kind"] == kind for kind in ("binary", "multiclass", "regression")}
    groups |= {"below 500": table["rows"] < 500, "500 on": table["rows"] >= 500}
    for name in table.columns[4:]:
        gain = np.log(table[base] / table[name])
        length = np.maximum(table["constant"] - table[base], 0.05 * table["constant"])
        way = (table[base] - table[name]) / length
        known = gain.notna()
        differ = gain[known & (gain.abs() > 1e-9)]
        rows.append(
            {
                "rule": name,
                "tables": int(known.sum()),
                "better": (differ > 0).mean() if len(differ) else np.nan,
                "gain": 100 * gain.mean(),
                "error": 100 * gain.std() / np.sqrt(max(known.sum(), 1)),
                **{f"way, {g}": 100 * way[chosen].mean() for g, chosen in groups.items()},
            }
        )
    return pd.DataFrame(rows)


def compare(arguments: argparse.Namespace) -> None:
    """Compare rules on families left out."""
    table = losses_of(read(arguments))
    table.to_csv(RESULTS, index=False, float_format="%.6g")
    for base in ("plain mean of five", "by regret"):
        print(f"against {base}")
        print(report(table, base).round(3).to_string(index=False))


def show(arguments: argparse.Namespace) -> None:
    """Print what all tables teach."""
    tables = read(arguments)
    print(f"learned from {len(tables)} tables")
    print(pformat(learn(tables), width=100, sort_dicts=False))


def main() -> None:
    """Record, compare or show."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = {f.__name__: f for f in (record, compare, show)}
    parser.add_argument("command", choices=commands)
    parser.add_argument("--tables-of", type=Path, required=True, help="a file for each table")
    parser.add_argument("--datasets", type=Path, help="a catalog.csv beside Parquet files")
    parser.add_argument("--skip", type=int, default=36, help="leave out so many tables of the order")
    parser.add_argument("--tables", type=int, default=100)
    parser.add_argument("--minutes", type=float, default=math.inf, help="after which no table is begun")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    commands[arguments.command](arguments)


if __name__ == "__main__":
    main()
