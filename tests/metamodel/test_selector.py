"""AlgorithmSelector on tables of any shape."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from refusals import refused

from autometa import AlgorithmSelector, UsageError
from autometa.metamodel.selector import low_rank


@pytest.fixture(scope="module")
def tables():
    rng = np.random.default_rng(0)
    size = rng.normal(size=60)
    metafeatures = pd.DataFrame({"size": size, "noise": rng.normal(size=60)})
    performance = pd.DataFrame(
        {
            "small": 0.8 - 0.2 * (size > 0) + rng.normal(0, 0.01, 60),
            "large": 0.8 - 0.2 * (size <= 0) + rng.normal(0, 0.01, 60),
            "never": 0.4 + rng.normal(0, 0.01, 60),
        }
    )
    return metafeatures, performance


def test_meta_features_decide_without_a_run(tables):
    selector = AlgorithmSelector(random_state=0).fit(*tables)
    ranked = selector.rank(pd.DataFrame({"size": [-1.5, 1.5], "noise": [0.0, 0.0]}))
    assert ranked.idxmax(axis=1).tolist() == ["small", "large"]
    assert ranked[["small", "large"]].to_numpy() == pytest.approx(
        np.array([[0.8, 0.6], [0.6, 0.8]]), abs=0.08
    )
    # Below the median nothing is told apart.
    assert (ranked["never"] < ranked.max(axis=1) - 0.15).all()


def test_the_least_of_many_noisy_candidates_is_not_mistaken_for_the_best():
    """Sixty candidates of two sorts; within a sort all differences are noise."""
    rng = np.random.default_rng(1)
    size = rng.normal(size=80)
    sort = np.arange(60) % 2
    good = (size[:, None] > 0) == sort
    performance = pd.DataFrame(0.6 + 0.1 * good + rng.normal(0, 0.1, (80, 60)))
    selector = AlgorithmSelector(random_state=0).fit(pd.DataFrame({"size": size}), performance)
    ranked = selector.rank(pd.DataFrame({"size": [-1.0, 1.0]})).to_numpy()
    for row, best in zip(ranked, (0, 1), strict=True):
        assert np.isin(np.argsort(-row)[:5] % 2, best).all()


def test_observations_correct_the_meta_features(tables):
    selector = AlgorithmSelector(random_state=0).fit(*tables)
    row = pd.Series({"size": -1.5, "noise": 0.0})
    assert selector.rank(row, observed={"small": 0.6}).iloc[0].idxmax() == "large"


def test_observed_values_stand(tables):
    selector = AlgorithmSelector(random_state=0).fit(*tables)
    assert selector.rank(tables[0].iloc[0], observed={"never": 0.123})["never"].item() == 0.123


def test_without_meta_features_the_best_on_average_leads_and_observations_help(tables):
    selector = AlgorithmSelector().fit(None, tables[1])
    assert selector.suggest() in ("small", "large")
    assert selector.suggest(observed={"small": 0.6}) == "large"
    assert selector.rank().shape == (1, 3)


def test_every_candidate_is_suggested_once(tables):
    selector = AlgorithmSelector(random_state=0).fit(*tables)
    row, truth = tables[0].iloc[3], tables[1].iloc[3]
    observed: dict[str, float] = {}
    for _ in range(3):
        candidate = selector.suggest(row, observed)
        assert candidate not in observed
        observed[candidate] = truth[candidate]
    with refused(UsageError, "AM509"):
        selector.suggest(row, observed)


@pytest.mark.parametrize("n_tasks", [1, 2, 3, 7])
def test_few_tasks_with_holes(tables, n_tasks):
    metafeatures, performance = (table.iloc[:n_tasks].copy() for table in tables)
    performance.iloc[0, 1] = np.nan
    metafeatures.iloc[-1] = np.nan
    selector = AlgorithmSelector(random_state=0).fit(metafeatures, performance)
    assert np.isfinite(selector.rank(metafeatures).to_numpy()).all()
    assert selector.suggest(metafeatures.iloc[0]) in performance.columns


def test_the_same_seed_ranks_alike(tables):
    one, two = (AlgorithmSelector(random_state=1).fit(*tables).rank(tables[0]) for _ in range(2))
    pd.testing.assert_frame_equal(one, two)


def test_wrong_tables_are_refused(tables):
    metafeatures, performance = tables
    with refused(UsageError, "AM508"):
        AlgorithmSelector().fit(metafeatures.iloc[1:], performance)
    with refused(UsageError, "AM508"):
        AlgorithmSelector().fit(None, performance * np.nan)
    with refused(UsageError, "AM508"):
        AlgorithmSelector().fit(None, performance).rank(observed={"unknown": 1.0})


def test_few_components_take_noise_off_and_keep_the_column_means():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(40, 3)) @ rng.normal(size=(3, 50))
    noisy = truth + rng.normal(0, 1, truth.shape)
    smooth = low_rank(noisy, 3)
    assert ((smooth - truth) ** 2).mean() < 0.3 * ((noisy - truth) ** 2).mean()
    assert smooth.mean(axis=0) == pytest.approx(noisy.mean(axis=0))
    assert np.array_equal(low_rank(noisy, 50), noisy)
