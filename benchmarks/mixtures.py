"""Rules of the zero-shot ensemble, computed from recorded predictions and compared on families left out.

    python benchmarks/mixtures.py --datasets DIR --messy DIR --predictions DIR2

``recorded.py`` records. By log-loss and R2. For each table the meta-model, which forgets its family, says what leads;
what each rule would average is averaged from the predictions for the rows left out of five folds. What a rule has
learned it learned from other families: ten parts, each judged by the other nine. A loss is the log-loss or what R2
lacks to one. Gains are falls of its logarithm against the plain mean of the first five; the way goes from the best
constant to that mean.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from recorded import DEFAULTS, add_plan, done, plan
from scipy.optimize import minimize

from autometa.collection import Predictions, folds_of
from autometa.evaluation import target_codes
from autometa.mixture import LEAD, MOST_OF_AN_ALGORITHM, TEMPERATURE
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
Array = Any


@dataclass
class Table:
    """A table with the predictions of what leads on it.

    Attributes
    ----------
    predictions : ndarray of shape (n_members, n_rows) or (n_members, n_rows, n_classes)
        In the order in which they lead; without those that could not be recorded.
    regret : ndarray of shape (n_members,)
        Expected by the meta-model.
    defaults : dict of str to ndarray
        What the defaults of learners predict.
    """

    name: str
    family: str
    kind: str
    n_rows: int
    y: Array
    predictions: Array
    algorithms: list[str]
    regret: Array
    seconds: Array
    defaults: dict[str, Array]

    def __post_init__(self) -> None:
        if self.kind == "regression":
            self.constant = float(np.var(self.y))
            self.views = np.asarray(self.predictions, dtype="float64")
        else:
            shares = np.bincount(self.y) / len(self.y)
            self.constant = float(-np.log(shares[self.y]).mean())
            self.views = self._view(self.predictions)

    def _view(self, prediction: Array) -> Array:
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

    def loss_of_defaults(self, names: Sequence[str]) -> float:
        """Loss of the plain mean of some defaults; NaN where one is missing."""
        if any(name not in self.defaults for name in names):
            return np.nan
        return self.loss_of_view(np.mean([self._view(self.defaults[name]) for name in names], axis=0))


def read(arguments: argparse.Namespace) -> list[Table]:
    """Read what was recorded."""
    depths, predictions, found = done(arguments.predictions), Predictions(arguments.predictions), []
    for source in plan(arguments):
        if source.task_id not in depths:
            continue
        task = source.load()
        listed = leading(arguments.predictions, source.task_id, task)
        recorded = {
            r.configuration.id: r for r in predictions.read(source.task_id) if r.failure is None and r.fits
        }
        problem = Problem(task, folds_of(task, source), target_codes(task))
        depth = len(problem.splits)
        rows = problem.rows(depth)
        predicted = {
            name: problem.out_of_fold(Candidate(r.configuration, "", fits=dict(enumerate(r.fits))), depth)
            for name, r in recorded.items()
        }
        members = [row for row in listed if row[0].id in recorded][:MOST]
        space = SearchSpace.for_kind(task.kind)
        defaults = {name: space[name].default_configuration().id for name in DEFAULTS}
        if len(members) < SIZE:
            continue
        found.append(
            Table(
                source.task_id,
                source.properties["family"],
                task.kind,
                task.n_rows,
                problem.y[rows],
                np.stack([predicted[c.id] for c, _, _ in members]),
                [c.algorithm for c, _, _ in members],
                np.array([regret for _, regret, _ in members]),
                np.array([seconds for _, _, seconds in members]),
                {name: predicted[i] for name, i in defaults.items() if i in recorded},
            )
        )
    return found


def leading(folder: Path, name: str, task: Task) -> list[tuple[Configuration, float, float]]:
    """Return what leads on a table as it may be a member; asked for once, and kept beside the predictions."""
    file = folder / f"{name}.leading.json"
    if not file.is_file():
        found = recommend_for_task(task, k=MOST, random_state=0)._leading
        rows = zip(found.configurations, found.regret.tolist(), found.seconds.tolist(), strict=True)
        file.write_text(json.dumps([[c.algorithm, dict(c.params), r, s] for c, r, s in rows]))
    listed = [(Configuration(a, p), r, s) for a, p, r, s in json.loads(file.read_text())]
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


def shipped(
    table: Table,
    *,
    size: int = SIZE,
    most: int = MOST_OF_AN_ALGORITHM,
    temperature: float = TEMPERATURE,
    lead: float = LEAD,
) -> Array:
    """The rule of ``autometa.mixture``."""
    members = limited(table, size, most)
    shares = np.exp((table.regret[0] - np.maximum(table.regret[members], table.regret[0])) / temperature)
    shares[0] *= lead
    weights = np.zeros(len(table.views))
    weights[members] = shares / shares.sum()
    return weights


def features(table: Table) -> Array:
    """What a weight may depend on, by member."""
    n = len(table.algorithms)
    size = np.full(n, np.log10(table.n_rows / 600.0))
    behind = np.minimum(table.regret - table.regret.min(), 1.0)
    rank = np.log1p(np.arange(n))
    repeated = np.array([table.algorithms[:i].count(name) for i, name in enumerate(table.algorithms)])
    of = np.array([[float(name == other) for other in ALGORITHMS] for name in table.algorithms])
    of_size = of * size[:, None]
    is_regression = np.full(n, float(table.kind == "regression"))
    return np.column_stack(
        [behind, behind * is_regression, rank, rank * is_regression, repeated > 0, of, of_size]
    )


def softmax_rule(theta: Array, size: int) -> Rule:
    """Weights by a softmax over a linear function of features, of the first few."""

    def rule(table: Table) -> Array:
        z = features(table)[:size] @ theta
        shares = np.exp(z - z.max())
        weights = np.zeros(len(table.views))
        weights[: len(shares)] = shares / shares.sum()
        return weights

    return rule


def learn_softmax(tables: Sequence[Table], size: int, penalty: float) -> Rule:
    """Learn the weights by their reward, the fall of the logarithm of the loss."""
    base = [table.loss(plain(table)) for table in tables]
    inputs = [features(table)[:size] for table in tables]

    def cost(theta: Array) -> tuple[float, Array]:
        total, slope = penalty * float(theta @ theta), 2 * penalty * theta
        for table, x, before in zip(tables, inputs, base, strict=True):
            z = x @ theta
            w = np.exp(z - z.max())
            w /= w.sum()
            views = table.views[:size]
            mixed = np.tensordot(w, views, 1)
            loss = table.loss_of_view(mixed)
            if table.kind == "regression":
                by_weight = 2 * ((mixed - table.y) * views).mean(axis=1)
            else:
                by_weight = -(views / np.maximum(mixed, 1e-6)).mean(axis=1)
            by_z = w * (by_weight - w @ by_weight)
            total += np.log(loss / before) / len(tables)
            slope = slope + (by_z @ x) / loss / len(tables)
        return total, slope

    found = minimize(cost, np.zeros(inputs[0].shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 60})
    return softmax_rule(found.x, size)


def spread(table: Table) -> Array:
    """How far members are apart, as a share of the loss of their plain mean.

    The loss of a mean is the mean loss less half of the mean of these: exactly for squares (Krogh and Vedelsby 1995,
    "Neural network ensembles, cross validation, and active learning"), to second order for the logarithm.
    """
    views = table.views
    scale = table.loss(plain(table))
    if table.kind != "regression":
        views = views / np.maximum(views.mean(axis=0), 1e-3)
    flat = views.reshape(len(views), -1)
    squares = (flat**2).mean(axis=1)
    apart = squares[:, None] + squares[None] - 2 * flat @ flat.T / flat.shape[1]
    return np.maximum(apart, 0.0) / scale


def learn_pairs(tables: Sequence[Table], size: int, shrinkage: float, strength: float) -> Rule:
    """Learn what is expected of members and how far pairs of algorithms are apart; weights that lower the loss most.

    Expected losses are a linear function of the features, relative to the plain mean; distances are means by pair of
    algorithms, drawn to the mean of all.
    """
    X = np.concatenate(
        [np.column_stack([np.ones(min(size, len(t.views))), features(t)[:size]]) for t in tables]
    )
    y = np.concatenate(
        [[np.log(t.loss_of_view(v) / t.loss(plain(t))) for v in t.views[:size]] for t in tables]
    )
    y = np.clip(y, -0.5, 0.7)
    gram = X.T @ X + shrinkage * np.diag([0.0, *np.ones(X.shape[1] - 1)])
    beta = np.linalg.solve(gram, X.T @ y)
    sums: dict[tuple[str, str], list[float]] = {}
    for table in tables:
        apart = spread(table)
        n = min(size, len(table.views))
        for i in range(n):
            for j in range(i):
                pair = tuple(sorted((table.algorithms[i], table.algorithms[j])))
                sums.setdefault(pair, []).append(min(float(apart[i, j]), 2.0))
    everything = float(np.mean([v for values in sums.values() for v in values]))
    expected = {pair: (sum(v) + 5 * everything) / (len(v) + 5) for pair, v in sums.items()}

    def rule(table: Table) -> Array:
        n = min(size, len(table.views))
        levels = np.column_stack([np.ones(n), features(table)[:n]]) @ beta
        names = table.algorithms[:n]
        apart = np.array(
            [
                [
                    0.0 if i == j else expected.get(tuple(sorted((names[i], names[j]))), everything)
                    for j in range(n)
                ]
                for i in range(n)
            ]
        )
        w = np.full(n, 1.0 / n)
        for _ in range(300):  # exponentiated gradient stays on the simplex
            w = w * np.exp(-1.0 * (levels - strength * apart @ w))
            w /= w.sum()
        weights = np.zeros(len(table.views))
        weights[:n] = w
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
    rules: dict[str, Rule] = {"plain mean of five": plain, "shipped": shipped}
    for size in (3, 8, 10):
        rules[f"plain mean of {size}"] = lambda t, size=size: plain(t, size)
        rules[f"shipped, {size}"] = lambda t, size=size: shipped(t, size=size)
    for temperature in (0.1, 0.4, 0.8):
        rules[f"shipped, temperature {temperature}"] = lambda t, v=temperature: shipped(t, temperature=v)
    rules["shipped, lead 1"] = lambda t: shipped(t, lead=1.0)
    rules["shipped, three of one"] = lambda t: shipped(t, most=3)
    rules["shipped, one of one"] = lambda t: shipped(t, most=1)
    losses: dict[str, Array] = {
        name: np.array([t.loss(rule(t)) for t in tables]) for name, rule in rules.items()
    }
    for size in (5, 8, 10):
        for penalty in (0.001, 0.003, 0.01):
            losses[f"softmax, {size}, {penalty}"] = crosswise(
                tables, lambda part, s=size, p=penalty: learn_softmax(part, s, p)
            )
    for size in (5, 8, 10):
        for strength in (0.5, 1.0):
            losses[f"pairs, {size}, {strength}"] = crosswise(
                tables, lambda part, s=size, d=strength: learn_pairs(part, s, 5.0, d)
            )
    losses["first pick"] = np.array([t.loss_of_view(t.views[0]) for t in tables])
    losses["LightGBM default"] = np.array([t.loss_of_defaults(DEFAULTS[:1]) for t in tables])
    singles = np.array([[t.loss_of_defaults([name]) for name in DEFAULTS[:4]] for t in tables])
    losses["best of four defaults"] = singles.min(axis=1)
    losses["mean of six defaults"] = np.array([t.loss_of_defaults(DEFAULTS) for t in tables])
    losses["mean of five defaults"] = np.array([t.loss_of_defaults(DEFAULTS[:5]) for t in tables])
    facts = {
        "table": [t.name for t in tables],
        "kind": [t.kind for t in tables],
        "rows": [t.n_rows for t in tables],
        "constant": [t.constant for t in tables],
    }
    return pd.DataFrame(facts | losses)


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
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    tables = read(arguments)
    table = compare(tables)
    RESULTS.parent.mkdir(exist_ok=True)
    table.to_csv(RESULTS, index=False, float_format="%.6g")
    for base in ("plain mean of five", "shipped"):
        print(f"against {base}")
        print(report(table, base).round(3).to_string(index=False))


if __name__ == "__main__":
    main()
