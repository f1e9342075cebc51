"""Configurations become points and come back; numbers stay inside the distributions of the day."""

from __future__ import annotations

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from autometa.tuning._encoding import Encoder

NOW = {
    "kind": CategoricalDistribution(("a", None, 3)),
    "n": IntDistribution(1, 64, log=True),
    "rate": FloatDistribution(1e-4, 1.0, log=True),
    "share": FloatDistribution(0.0, 1.0, step=0.25),
}


def test_there_and_back() -> None:
    encoder = Encoder.of([NOW])
    configurations = [
        {"kind": None, "rate": 1e-2, "n": 7.0},
        {"kind": "a", "share": 0.75, "n": 64.0},
        {"kind": 3},
    ]
    points = encoder.encode(configurations)
    for point, configuration in zip(points, configurations, strict=True):
        found = encoder.decode(point)
        assert found.keys() == configuration.keys()
        assert all(found[name] == pytest.approx(value) for name, value in configuration.items())


def test_the_widest_range_holds_all_studies_and_unknown_choices_are_lacking() -> None:
    narrow, wide = {"x": FloatDistribution(2.0, 3.0)}, {"x": FloatDistribution(0.0, 10.0)}
    encoder = Encoder.of([narrow, wide, NOW])
    assert encoder.encode([{"x": 5.0}])[0, encoder.names.index("x")] == 0.5
    assert np.isnan(encoder.encode([{"kind": "unheard of"}])).all()


def test_snapped_numbers_lie_in_the_distributions() -> None:
    encoder = Encoder.of([NOW])
    rng = np.random.default_rng(0)
    points = rng.normal(0.5, 1.0, size=(200, 4))
    points[:, encoder.is_choice] = 0.0
    tight = {"rate": FloatDistribution(0.01, 0.1), "n": IntDistribution(2, 32, log=True)}
    snapped = encoder.snap(points, {**NOW, **tight})
    for point in snapped:
        found = encoder.decode(point)
        assert 0.01 - 1e-9 <= found["rate"] <= 0.1 + 1e-9
        assert found["n"] == pytest.approx(round(found["n"]))
        assert 2 - 1e-9 <= found["n"] <= 32 + 1e-9
        assert found["share"] * 4 == pytest.approx(round(found["share"] * 4))
    assert np.allclose(encoder.snap(snapped, {**NOW, **tight}), snapped)


def test_new_parameters_come_after_the_known_ones() -> None:
    encoder = Encoder.of([NOW])
    assert encoder.extended(NOW) is encoder
    longer = encoder.extended({"aaa": FloatDistribution(0.0, 1.0)})
    assert longer.names == [*encoder.names, "aaa"]
