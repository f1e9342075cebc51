"""Rules of the zero-shot ensemble, computed from recorded predictions and compared on families left out.

    python benchmarks/mixtures.py --datasets DIR --messy DIR --predictions DIR2 --tables-of DIR3 [--show]

``recorded.py`` records. By log-loss and R2. For each table the meta-model, which forgets its family, says what leads;
what each rule would average is averaged from the predictions for the rows left out of five folds. What a rule has
learned it learned from other families: ten parts, each judged by the other nine. A loss is the log-loss or what R2
lacks to one. Gains are falls of its logarithm against the plain mean of the first five; the way goes from the best
constant to that mean. What is needed of a table is kept in a file of ``--tables-of``, from wherever it comes.
``--show`` prints what ``autometa.mixing`` ships.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from pprint import pformat
from typing import Any, Final

import numpy as np
import pandas as pd
from recorded import add_plan, done, plan

from autometa.collection import Predictions, Source, folds_of
from autometa.evaluation import target_codes
from autometa.mixing import LEARNED, Mixing, decades, facts
from autometa.mixture import LEAD, MOST_OF_AN_ALGORITHM, POOL, TEMPERATURE, by_regret
from autometa.recommendation import recommend_for_task
from autometa.space import Configuration, SearchSpace
from autometa.task import Task
from autometa.tuning._candidate import Candidate, Problem

RESULTS: Final = Path(__file__).parent / "results" / "mixtures.csv"
SIZE: Final = 5
# What a rule may choose among: more are hardly ever recorded.
MOST: Final = 10
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
    """Read the tables that were made, and make those that were recorded since."""
    arguments.tables_of.mkdir(parents=True, exist_ok=True)
    depths = done(arguments.predictions)
    for source in plan(arguments):
        path = arguments.tables_of / f"{source.task_id}.npz"
        if source.task_id in depths and not path.is_file() and (table := make(arguments.predictions, source)):
            table.save(path)
    return [Table.load(path) for path in sorted(arguments.tables_of.glob("*.npz"))]


def make(folder: Path, source: Source) -> Table | None:
    """Put together what was recorded of what leads on a table; None where it is too little."""
    task = source.load()
    recorded = {
        r.configuration.id: r
        for r in Predictions(folder).read(source.task_id)
        if r.failure is None and r.fits
    }
    problem = Problem(task, folds_of(task, source), target_codes(task))
    depth = len(problem.splits)

    def predicted(configuration: Configuration) -> Array:
        fits = dict(enumerate(recorded[configuration.id].fits))
        return problem.out_of_fold(Candidate(configuration, "", fits=fits), depth).astype("float32")

    members = [row for row in leading(folder, source.task_id, task) if row[0].id in recorded][:MOST]
    default = SearchSpace.for_kind(task.kind)["lightgbm"].default_configuration()
    if len(members) < SIZE or default.id not in recorded:
        return None
    return Table(
        source.task_id,
        source.properties["family"],
        task.kind,
        round(task.n_rows * (1 - 1 / depth)),
        problem.y[problem.rows(depth)],
        np.stack([predicted(c) for c, _ in members]),
        [c.algorithm for c, _ in members],
        np.array([regret for _, regret in members]),
        predicted(default),
    )


def leading(folder: Path, name: str, task: Task) -> list[tuple[Configuration, float]]:
    """Return what leads on a table as it may be a member; asked for once, and kept beside the predictions."""
    file = folder / f"{name}.leading.json"
    if not file.is_file():
        found = recommend_for_task(task, k=MOST, random_state=0)._leading
        rows = zip(found.configurations, found.regret.tolist(), strict=True)
        file.write_text(json.dumps([[c.algorithm, dict(c.params), r] for c, r in rows]))
    listed = [(Configuration(a, p), r) for a, p, r in json.loads(file.read_text())]
    return [row for row in listed if row[0].params.get("class_weight") != "balanced"]


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


def spread(table: Table) -> Array:
    """How far members are apart, as a share of the loss of the mean of five; see ``autometa.mixing``."""
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
    """Return the rule of ``autometa.mixture`` with what was learned."""

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


def compare(tables: Sequence[Table]) -> pd.DataFrame:
    """Return the losses of all rules by table."""
    rules: dict[str, Rule] = {"plain mean of five": plain, "by regret": regretful}
    rules["by regret, lead 1"] = lambda t: regretful(t, lead=1.0)
    rules["by regret, eight"] = lambda t: regretful(t, size=8)
    losses: dict[str, Array] = {
        name: np.array([t.loss(rule(t)) for t in tables]) for name, rule in rules.items()
    }
    losses["learned, other families"] = crosswise(tables, lambda part: learned(learn(part)))
    losses["learned, other families, eight"] = crosswise(tables, lambda part: learned(learn(part), 8))
    losses["as shipped"] = np.array([t.loss(learned(LEARNED)(t)) for t in tables])
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
        way = (table[base] - table[name]) / (table["constant"] - table[base]).clip(lower=1e-9)
        way = way.clip(-1, 1)
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


def main() -> None:
    """Compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_plan(parser)
    parser.add_argument("--tables-of", type=Path, required=True, help="a file for each table")
    parser.add_argument("--show", action="store_true", help="print what all tables teach")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    tables = read(arguments)
    if arguments.show:
        print(f"learned from {len(tables)} tables")
        print(pformat(learn(tables), width=100, sort_dicts=False))
        return
    table = compare(tables)
    table.to_csv(RESULTS, index=False, float_format="%.6g")
    for base in ("plain mean of five", "by regret"):
        print(f"against {base}")
        print(report(table, base).round(3).to_string(index=False))


if __name__ == "__main__":
    main()
