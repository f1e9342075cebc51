"""Recorded predictions: what a search would have seen, once, whole, and without a pickle."""

from __future__ import annotations

import math

import numpy as np
import pytest
from refusals import refused

from autometa.collection import Predictions, Recorded, collect, folds_of
from autometa.errors import DataError
from autometa.evaluation import Failure, FoldFit, FoldFitter, Job
from autometa.space import Configuration, SearchSpace

pytestmark = [pytest.mark.timeout(180), pytest.mark.usefixtures("two_algorithms")]


def test_a_collection_records_each_configuration_once_and_what_a_search_would_see(sources, tmp_path):
    options = {"storage": str(tmp_path / "runs.journal"), "predictions": tmp_path / "predictions"}
    first = collect(sources, n_configurations=1, n_jobs=2, **options).predictions
    assert (first.counts, first.n_known, first.unreadable) == ({"ok": 6}, 0, {})
    again = collect(sources, n_configurations=2, **options).predictions
    assert again.n_known == 6
    for source in sources:
        task = source.load()
        fitter = FoldFitter(task, folds_of(task, source))
        found = Predictions(tmp_path / "predictions").read(source.task_id)
        assert {r.configuration.id for r in found} == {
            c.id for c in SearchSpace.for_kind(source.kind).design(2)
        }
        for recorded in found:
            assert len(recorded.fits) == len(recorded.seconds) == 5
            for fold, fit in enumerate(recorded.fits):
                fresh = fitter(Job(recorded.configuration, fold))
                assert fit.prediction.shape == fresh.prediction.shape
                np.testing.assert_allclose(fit.prediction, fresh.prediction, rtol=1e-5, atol=1e-6)
                assert (fit.rounds, fit.n_train) == (fresh.rounds, fresh.n_train)
                assert recorded.n_bytes[fold] > 0


@pytest.mark.parametrize("shape", [(7,), (7, 2), (7, 4)])
def test_what_is_written_is_read(shape):
    rng = np.random.default_rng(0)
    values = rng.random(shape)
    prediction = values / values.sum(axis=1, keepdims=True) if len(shape) > 1 else values
    fits = tuple(FoldFit(prediction, b"model", (), {}, 1.5, 0.5, 20, rounds) for rounds in (None, 12))
    recorded = Recorded(
        Configuration("knn", {"n": 3, "w": "a"}), fits, (2.0, 3.0, 4.0), (5, 5, 0), Failure("timeout", "long")
    )
    again = Recorded.from_bytes(recorded.to_bytes())
    assert again.configuration == recorded.configuration
    assert (again.seconds, again.n_bytes, again.failure) == (
        recorded.seconds,
        recorded.n_bytes,
        recorded.failure,
    )
    for old, new in zip(fits, again.fits, strict=True):
        np.testing.assert_allclose(old.prediction, new.prediction, atol=1e-6)
        assert (new.rounds, new.n_train, new.fit_seconds) == (old.rounds, old.n_train, old.fit_seconds)
        assert math.isnan(new.row_seconds)


def test_what_failed_is_recorded_with_its_reason(sources, tmp_path):
    found = collect(
        sources[:1],
        str(tmp_path / "runs.journal"),
        n_configurations=1,
        time_limit=1e-6,
        predictions=tmp_path / "predictions",
    ).predictions
    assert found.counts == {"timeout": 2}
    for recorded in Predictions(tmp_path / "predictions").read(sources[0].task_id):
        assert recorded.failure.status == "timeout"
        assert not recorded.fits


def test_a_damaged_file_is_one_line(tmp_path):
    predictions = Predictions(tmp_path)
    path = predictions.path("a/b", Configuration("knn", {}))
    assert path.parent.parent == tmp_path
    path.parent.mkdir()
    path.write_bytes(b"nothing")
    with refused(DataError, "AM111"):
        predictions.read("a/b")
