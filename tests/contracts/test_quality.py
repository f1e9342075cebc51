"""What the bundled meta-model is for: its recommendations beat one list for all tables, on families it has not seen."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from autometa import MetaModel
from autometa.training import PRODUCT, replay
from autometa.training._report import clustered_error, recommended, static_portfolio

# Every so many families: enough tasks that the difference is far from chance, few enough for seconds.
STEP = 6


@pytest.fixture(scope="module", params=["classification", "regression"])
def replayed(request) -> pd.DataFrame:
    """Return regrets of every sixth family, as if it were new, by recommendation and by the static portfolio."""
    part = MetaModel.load().parts[request.param]
    families = np.unique(part.families)[::STEP]
    only = set(part.tasks["task_id"][np.isin(part.families, families)])
    rankers = {PRODUCT: recommended(), "portfolio": static_portfolio()}
    return replay(part, rankers, only)


@pytest.mark.parametrize(("depth", "errors"), [(1, 2.0), (3, 1.0), (5, 1.0)])
def test_recommendations_beat_the_static_portfolio_on_families_left_out(replayed, depth, errors):
    """By so many standard errors over families; the later of a list differ less, as both have seen most by then."""
    table = replayed.pivot_table(
        index=["task_id", "family"], columns="method", values=f"regret@{depth}", aggfunc="mean"
    ).reset_index()
    less = table["portfolio"] - table[PRODUCT]
    assert table["family"].nunique() >= 20
    assert less.mean() > errors * clustered_error(less, table["family"])
