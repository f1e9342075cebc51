"""Boosted models whose rounds are found, in a collection."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from autometa.collection import collect, read_catalog
from autometa.metabase import MetaBase
from autometa.space import CHOSEN, grown_configurations

pytestmark = pytest.mark.timeout(180)


def test_grown_models_are_run_once_and_tell_their_rounds(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(90, 3)), columns=list("abc"))
    frame.assign(y=frame["a"] + 0.3 * rng.normal(size=90)).to_parquet(tmp_path / "one.parquet")
    row = {"name": "one", "task_type": "regression", "target": "y", "n_rows": 90}
    pd.DataFrame([row]).to_csv(tmp_path / "catalog.csv", index=False)
    sources, journal = read_catalog(tmp_path), str(tmp_path / "runs.journal")
    made = [collect(sources, journal, n_configurations=0, grown=[1000]).n_done for _ in range(2)]
    assert made == [len(grown_configurations("regression")), 0]
    base = MetaBase.from_studies(journal)
    assert set(base.configurations["configuration_id"]) == {c.id for c in grown_configurations("regression")}
    assert set(base.configurations["origin"]) == {CHOSEN}
    assert base.runs["rounds"].between(1, 2000).all()
    # They belong to the dense part: what many tasks are run with.
    assert len(base.configurations_of("regression")) == made[0]
    saved = tmp_path / "base"
    base.save(saved)
    pd.testing.assert_series_equal(MetaBase.load(saved).runs["rounds"], base.runs["rounds"])
