"""Made-up results of searches, of any shape, for the tests of the report."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from autometa.report.search import SearchReport
from autometa.space import SearchSpace
from autometa.task import Task


@dataclass
class Times:
    planned: float | None = 60.0
    spent: float = 58.3
    steps: dict[str, float] = field(default_factory=lambda: {"recommend": 0.8, "search": 55.0, "refit": 2.5})


class Model:
    """Stands for a fitted model."""

    def predict(self, X):
        return np.zeros(len(X))


def make_task(n_rows=300, n_columns=6, n_classes=2, *, prefix="", seed=0) -> Task:
    """Draw a table; `n_classes=0` is regression, `prefix` stands before every name and label."""
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(
        rng.normal(size=(n_rows, n_columns)), columns=[f"{prefix}x{i}" for i in range(n_columns)]
    )
    X[f"{prefix}kind"] = rng.choice(["red", "green", "blue"], n_rows)
    X[f"{prefix}since"] = (
        pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, n_rows), unit="D")
    ).astype(str)
    signal = (
        X.iloc[:, n_columns - 1]
        + 0.5 * X.iloc[:, n_columns // 2] * (X.iloc[:, -2] == "red")
        + 0.4 * rng.normal(size=n_rows)
    )
    X.iloc[rng.random(n_rows) < 0.1, 0] = np.nan
    if not n_classes:
        return Task.from_frame(
            X, pd.Series(100 + 20 * signal, name=f"{prefix}price"), kind="regression", name="made_up"
        )
    codes = (signal.rank(method="first") * n_classes / (n_rows + 1)).astype(int)
    y = pd.Series([f"{prefix}class {i}" for i in codes], name=f"{prefix}target")
    return Task.from_frame(X, y, kind="classification", name="made_up")


def make_search(
    task: Task, n_trials=40, *, n_members=5, recommendations=None, seed=0, **changes: Any
) -> SearchReport:
    """Draw a search on a table: trials from several algorithms that get better, some of them lost."""
    rng = np.random.default_rng(seed)
    space = list(SearchSpace.for_kind(task.kind))
    sign, is_bounded = task.metric.sign, task.metric.name in ("roc_auc", "r2")
    rows = []
    for number in range(n_trials):
        algorithm = space[int(rng.integers(len(space))) if number % 2 else 0]
        params = algorithm.default if number < 3 else _draw(algorithm, rng)
        gain = 0.75 + 0.1 * (1 - np.exp(-number / 10)) + 0.03 * rng.normal()
        score = gain if is_bounded else 2.2 - 1.5 * gain
        state = "complete" if number % 9 != 7 else ("timeout", "failed", "stopped")[number % 3]
        done = state == "complete"
        rows.append(
            {
                "trial": number,
                "algorithm": algorithm.name,
                "params": dict(params),
                "score": score if done else np.nan,
                "std": 0.01 + 0.01 * rng.random() if done else np.nan,
                "expected": score - 0.002 * sign if done else np.nan,
                "folds": 5 if done else 1,
                "seconds": float(np.exp(rng.normal(0, 1.2))),
                "origin": "default"
                if number < 3
                else "recommended"
                if number < 12
                else "proposed"
                if number % 4
                else "search",
                "state": state,
                "reason": "" if done else "<b>took</b> too long",
            }
        )
    board = pd.DataFrame(rows)
    board = board.sort_values("expected", ascending=sign < 0, na_position="last").reset_index(drop=True)
    board.insert(0, "rank", np.arange(1, len(board) + 1))
    done = board["state"] == "complete"
    n_members = min(n_members, int(done.sum()))
    weights = np.sort(rng.random(n_members))[::-1]
    board["weight"] = np.r_[weights / weights.sum(), np.zeros(len(board) - n_members)] if n_members else 0.0
    board["adds"] = np.where(board["weight"] > 0, 0.002 + 0.01 * board["weight"], np.nan)
    complete = board[done].sort_values("trial")
    best = (sign * complete["score"]).cummax() * sign
    history = pd.DataFrame(
        {
            "seconds": np.linspace(2.0, 55.0, len(complete)),
            "trial": complete["trial"].to_numpy(),
            "score": best.to_numpy(),
        }
    )
    score = float(best.iloc[-1]) if len(best) else np.nan
    values: dict[str, Any] = {
        "task": task,
        "recommendations": recommendations,
        "leaderboard": board,
        "history": history,
        "oof": _predictions(task, rng),
        "score": score,
        "fold_scores": score + 0.012 * rng.normal(size=5),
        "baselines": {"constant": 0.5 if is_bounded else 2.3, "default": 0.78 if is_bounded else 1.0},
        "deadline": Times(),
        "model": Model(),
        "to_code": lambda: "import pandas as pd\n\ndata = pd.read_csv('data.csv')  # <b>not markup</b>\n",
    }
    return SearchReport(**{**values, **changes})


def _draw(algorithm, rng) -> dict[str, Any]:
    """Draw hyperparameters uniformly, conditions kept."""
    drawn: dict[str, Any] = {}
    for name, distribution in algorithm.distributions.items():
        if (
            name in algorithm.conditions
            and drawn.get(algorithm.conditions[name][0]) not in algorithm.conditions[name][1]
        ):
            continue
        if hasattr(distribution, "choices"):
            drawn[name] = distribution.choices[int(rng.integers(len(distribution.choices)))]
            continue
        low, high = distribution.low, distribution.high
        value = np.exp(rng.uniform(np.log(low), np.log(high))) if distribution.log else rng.uniform(low, high)
        drawn[name] = round(value) if isinstance(low, int) else float(value)
    return drawn


def _predictions(task: Task, rng) -> np.ndarray:
    if task.kind == "regression":
        y = task.y.to_numpy()
        found = y + 0.5 * np.std(y) * rng.normal(size=len(y))
        found[:5] = np.nan
        return found
    codes = pd.Index(task.classes).get_indexer(task.y)
    raw = rng.gumbel(size=(len(codes), len(task.classes)))
    raw[np.arange(len(codes)), codes] += 2.5
    proba = np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)
    proba[:3] = np.nan
    return proba
