"""When boosting ends, and how fast it goes where there is time for few rounds."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from autometa.evaluation import FoldFitter, Job, Protocol, _boosting, make_splits
from autometa.evaluation._boosting import MOST_RATE, StopAt
from autometa.space import SearchSpace
from autometa.task import Task


class Rounds:
    """A second passes between two looks at the clock after each round."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(_boosting.time, "monotonic", lambda: self.now)


def boosted(clock: Rounds, seconds: float, rate: float) -> tuple[float, int, float]:
    """Return the R2 of a default LightGBM with rounds of a second, its rounds and the share of them that were made."""
    import lightgbm

    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 3))
    y = X[:, 0] + X[:, 1] ** 2

    def pass_a_second(_: object) -> None:
        clock.now += 1.0

    pass_a_second.order = 1
    clock.now = 0.0
    stop = StopAt(seconds, 1, 0, rate)
    model = lightgbm.LGBMRegressor(n_estimators=100, n_jobs=1, verbosity=-1)
    model.fit(X[:400], y[:400], callbacks=[pass_a_second, stop])
    return model.score(X[400:], y[400:]), model.booster_.current_iteration(), stop.made


def test_few_rounds_say_more_at_a_larger_rate(monkeypatch):
    clock = Rounds(monkeypatch)
    slow, n_slow, made = boosted(clock, 8.0, 0.0)
    fast, n_fast, _ = boosted(clock, 8.0, MOST_RATE)
    assert n_slow == n_fast < 12
    assert made == n_slow / 100
    assert slow + 0.1 < fast


@pytest.mark.parametrize("seconds", [60.0, 1_000.0])
def test_where_rounds_are_enough_the_rate_stays(monkeypatch, seconds):
    clock = Rounds(monkeypatch)
    assert boosted(clock, seconds, MOST_RATE) == boosted(clock, seconds, 0.0)


@pytest.mark.parametrize(("kind", "grows"), [("regression", True), ("binary", False)])
def test_the_rate_of_a_regression_alone_grows(monkeypatch, kind, grows):
    seen = []
    monkeypatch.setattr("autometa.evaluation._fold.StopAt", lambda *args: seen.append(args) or StopAt(*args))
    rng = np.random.default_rng(0)
    y = pd.Series(rng.normal(size=80) if kind == "regression" else rng.choice(["a", "b"], 80))
    task = Task.from_frame(pd.DataFrame({"x": rng.normal(size=80)}), y)
    default = SearchSpace.for_kind(kind)["lightgbm"].default_configuration()
    FoldFitter(task, make_splits(task, Protocol()))(Job(default, None))
    assert (seen[0][3] > 0) is grows
