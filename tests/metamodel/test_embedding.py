"""The embedding of tasks: near means that configurations come in the same order."""

from __future__ import annotations

import numpy as np
import pytest

from autometa.metamodel.embedding import TaskEmbedding, centred_ranks


@pytest.fixture(scope="module")
def scores():
    rng = np.random.default_rng(0)
    orders = rng.normal(size=(3, 40))
    return np.vstack([orders[i % 3] + 0.2 * rng.normal(size=40) for i in range(30)])


def test_ranks_have_unit_length_and_mean_zero_and_ignore_monotone_scales(scores):
    ranks = centred_ranks(scores)
    assert np.linalg.norm(ranks, axis=1) == pytest.approx(np.ones(30))
    assert ranks.mean(axis=1) == pytest.approx(np.zeros(30), abs=1e-12)
    assert centred_ranks(np.exp(scores)) == pytest.approx(ranks)


def test_alike_tasks_are_near(scores):
    embedding = TaskEmbedding.fit([scores])
    for i, point in enumerate(embedding.coordinates):
        nearest = np.argsort(embedding.distances(point))[:10]
        assert set(nearest % 3) == {i % 3}


def test_a_new_task_stands_at_the_mean_of_those_it_trusts(scores):
    embedding = TaskEmbedding.fit([scores, -scores], n_dimensions=4)
    weights = np.zeros((2, 30))
    weights[0, 7] = 1.0
    weights[1, [0, 3]] = 0.5
    placed = embedding.place(weights)
    assert placed.shape == (2, 4)
    assert placed[0] == pytest.approx(embedding.coordinates[7])
    assert placed[1] == pytest.approx(embedding.coordinates[[0, 3]].mean(axis=0))


def test_missing_scores_are_no_obstacle(scores):
    holes = scores.copy()
    holes[::4, ::5] = np.nan
    assert np.isfinite(TaskEmbedding.fit([holes]).coordinates).all()


def test_distances_are_those_between_the_whole_rows_of_ranks(scores):
    """What the axes leave out counts: from the middle, all tasks are as far as their ranks are from the mean ones."""
    ranks = centred_ranks(scores)
    truth = np.linalg.norm(ranks - ranks.mean(axis=0), axis=1)
    for n_dimensions in (1, 4, 64):
        embedding = TaskEmbedding.fit([scores], n_dimensions)
        assert embedding.distances(np.zeros(embedding.coordinates.shape[1])) == pytest.approx(truth)


def test_a_peculiar_task_is_not_near_because_the_axes_hardly_show_it(scores):
    rng = np.random.default_rng(1)
    embedding = TaskEmbedding.fit([np.vstack([scores, rng.normal(size=40)])], n_dimensions=2)
    alike = np.full((1, 31), 1 / 30)
    alike[0, -1] = 0.0
    place = embedding.place(alike)[0]
    assert np.linalg.norm(embedding.coordinates - place, axis=1).argmin() == 30
    assert embedding.distances(place).argmin() != 30
