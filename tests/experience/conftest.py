"""Studies of searches whose outcome is known, made without a fit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest

from autometa.metabase import describe_for_study
from autometa.metrics import CLASSIFICATION_METRICS, as_gain
from autometa.space import SearchSpace
from autometa.task import Task


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Path:
    """Begin with no experience, in a folder of the test's own."""
    folder = tmp_path / "home"
    monkeypatch.setenv("AUTOMETA_HOME", str(folder))
    return folder


@pytest.fixture(scope="session")
def table() -> tuple[pd.DataFrame, pd.Series]:
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.normal(size=90), "b": rng.normal(size=90), "c": rng.choice(["u", "v"], 90)})
    y = pd.Series(np.where(X["a"] + rng.normal(size=90) > 0, "yes", "no"), name="y")
    return X, y


@pytest.fixture(scope="session")
def record(table) -> dict[str, Any]:
    """Describe a table as ``tune`` would."""
    return describe_for_study(Task.from_frame(*table), name="table")


@pytest.fixture
def storage() -> optuna.storages.InMemoryStorage:
    return optuna.storages.InMemoryStorage()


def scores_of(algorithm: str, rank: int, winner: str) -> dict[str, float]:
    """The winner's configurations come near the best, the others stay far behind."""
    share = (0.9 if algorithm == winner else 0.4) - 0.01 * rank
    return {
        m: (0.5 + share / 2 if as_gain(1.0, m) > 0 else 0.7 * (1 - share)) for m in CLASSIFICATION_METRICS
    }


@pytest.fixture
def add_search(record) -> Callable[..., optuna.Study]:
    """Return a function that stores what ``tune`` would have on a table like the one described."""

    def add(
        storage: Any, name: str, *, winner: str = "knn", n_rounds: int = 2, like: dict[str, Any] | None = None
    ) -> optuna.Study:
        study = optuna.create_study(storage=storage, study_name=name, load_if_exists=True)
        described = like or {**record, "name": name, "task_id": name, "fingerprint": f"fingerprint of {name}"}
        study.set_user_attr("task", described)
        space = SearchSpace.for_kind("binary")
        known = len(study.get_trials(deepcopy=False))
        for number, configuration in list(enumerate(space.design(n_rounds)))[known:]:
            joint = configuration.joint_params()
            scores = scores_of(configuration.algorithm, number % 7, winner)
            run = {"status": "ok", "reason": "", "fit_seconds": 0.1, "predict_seconds": 0.01, "n_train": 60}
            study.add_trial(
                optuna.trial.create_trial(
                    params=joint,
                    distributions={k: v for k, v in space.distributions().items() if k in joint},
                    value=scores["log_loss"],
                    user_attrs={"fidelity": 60, "run": {**run, "n_folds": 3, **scores, "folds": [0.1]}},
                )
            )
        return study

    return add
