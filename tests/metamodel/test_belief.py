"""Few-shot adaptation: laws of the mixture over known tasks."""

from __future__ import annotations

import numpy as np
import pytest

from autometa.metamodel.belief import FewShot, TaskMixture, expected_improvement, fill_rows


@pytest.fixture(scope="module")
def performance():
    rng = np.random.default_rng(0)
    shapes = rng.normal(size=(3, 12))
    return np.vstack([0.7 + 0.05 * (shapes[i % 3] + 0.2 * rng.normal(size=12)) for i in range(30)])


@pytest.fixture(scope="module")
def mixture(performance):
    return TaskMixture.fit(performance)


UNIFORM = np.full(30, 1 / 30)


def test_without_results_the_prior_stands(mixture, performance):
    belief = mixture.condition(UNIFORM)
    assert belief.weights.sum() == pytest.approx(1.0)
    assert belief.means == pytest.approx(performance)


def test_results_choose_the_tasks_they_look_like(mixture, performance):
    seen = [0, 1, 2, 3]
    belief = mixture.condition(UNIFORM, seen, performance[4, seen])
    left = np.setdiff1d(np.arange(12), seen)
    before = np.abs(performance.mean(axis=0) - performance[4])[left].mean()
    assert np.abs(belief.weights @ belief.means - performance[4])[left].mean() < 0.6 * before


def test_observed_candidates_are_believed(mixture, performance):
    belief = mixture.condition(UNIFORM, [5], [0.9])
    assert (belief.weights @ belief.means)[5] == pytest.approx(0.9, abs=0.01)
    assert belief.spread[5] < 0.2 * mixture.condition(UNIFORM).spread[5]


def test_the_order_of_results_does_not_matter(mixture, performance):
    there = mixture.condition(UNIFORM, [1, 4, 8], performance[0, [1, 4, 8]])
    back = mixture.condition(UNIFORM, [8, 4, 1], performance[0, [8, 4, 1]])
    assert there.regret == pytest.approx(back.regret)


def test_units_do_not_matter(mixture, performance):
    other = TaskMixture.fit(1000.0 * performance)
    there = mixture.condition(UNIFORM, [2, 7], performance[0, [2, 7]])
    here = other.condition(UNIFORM, [2, 7], 1000.0 * performance[0, [2, 7]])
    assert here.regret == pytest.approx(there.regret)
    assert here.expected_improvement(720.0) == pytest.approx(there.expected_improvement(0.72))


def test_improvement_is_positive_and_falls_with_what_was_reached(mixture):
    belief = mixture.condition(UNIFORM, [0], [0.7])
    low, high = belief.expected_improvement(0.6), belief.expected_improvement(0.8)
    assert (low >= 0).all()
    assert (high <= low).all()


def test_with_costs_the_order_is_by_gain_per_cost(mixture, performance):
    columns = list(range(performance.shape[1]))
    few_shot = FewShot(mixture, np.ones(len(performance)) / len(performance))
    observed = {columns[0]: float(np.median(performance))}
    left = columns[1:]
    plain = few_shot.order(left, observed)
    assert few_shot.order(left, observed, costs=np.full(len(columns), 7.0)) == plain
    dear = np.ones(len(columns))
    dear[plain[0]] = 1e6
    assert few_shot.order(left, observed, costs=dear) == [*plain[1:], plain[0]]


def test_a_regular_shift_of_all_results_leaves_the_order(performance):
    """Known tasks that differ by large shifts: a new one far above all still has its candidates told apart."""
    shifted = performance + np.linspace(0, 3, 30)[:, None]
    belief = TaskMixture.fit(shifted).condition(UNIFORM, [0, 1, 2], performance[0, [0, 1, 2]] + 5.0)
    assert np.isfinite(belief.regret).all()
    assert belief.regret.min() < 0.5 < belief.regret.max()


def test_holes_are_filled_by_the_task_and_the_candidate():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(80, 1)) + rng.normal(size=12)
    table = np.where(rng.random(truth.shape) < 0.3, np.nan, truth)
    filled = fill_rows(table)
    known = np.isfinite(table)
    assert (filled[known] == table[known]).all()
    assert np.abs(filled - truth)[~known].mean() < 0.25 * truth.std()
    assert fill_rows(truth) is truth


def test_one_lucky_run_does_not_lead_everywhere():
    table = np.array([[0.5, 0.6, 1.0], [0.5, 0.6, np.nan], [0.5, 0.6, np.nan], [np.nan] * 3])
    filled = fill_rows(table)
    assert np.isfinite(filled).all()
    assert 0.5 < filled[1, 2] < 0.7


def test_some_candidates_are_ordered_as_among_all(mixture, performance):
    chosen = [7, 2, 9, 4]
    whole = FewShot(mixture, UNIFORM)
    part = whole.of(chosen)
    order = whole.order([2, 9, 4], {7: performance[3, 7]})
    assert [chosen[i] for i in part.order([1, 2, 3], {0: performance[3, 7]})] == order


def test_the_gain_over_the_best_is_that_of_a_gaussian():
    rng = np.random.default_rng(0)
    for lead, spread in ((-0.5, 1.0), (0.3, 0.2), (0.0, 2.0)):
        drawn = np.maximum(rng.normal(lead, spread, 200_000), 0.0)
        error = 4 * drawn.std() / np.sqrt(len(drawn))
        assert expected_improvement(np.array(lead), np.array(spread)) == pytest.approx(
            drawn.mean(), abs=error
        )
