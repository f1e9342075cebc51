"""The one coding: places and values lead to each other, and what is nearest is held."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from autometa.space.axis import Axis, Encoder

RANGES = [
    FloatDistribution(-2.0, 3.0),
    FloatDistribution(1e-4, 10.0, log=True),
    FloatDistribution(0.0, 1.0, step=0.25),
    IntDistribution(3, 40),
    IntDistribution(1, 400, log=True),
    IntDistribution(0, 12, step=3),
]
CHOICES = CategoricalDistribution((None, "a", True, 1, 0.5))
unit = st.floats(0, 1, exclude_max=True)


@pytest.mark.parametrize("distribution", RANGES)
@given(place=unit)
def test_places_lead_to_numbers_and_back(distribution, place):
    axis = Axis.of(distribution)
    assert axis.place([axis.value(place)]) == pytest.approx([place], abs=1e-9)


@pytest.mark.parametrize("distribution", [*RANGES, CHOICES])
@given(place=unit)
def test_what_is_drawn_is_held_and_nearest_to_itself(distribution, place):
    axis = Axis.of(distribution)
    value = axis.draw(place)
    assert axis.holds(value)
    assert axis.nearest(value) == value
    assert distribution._contains(distribution.to_internal_repr(value))


@pytest.mark.parametrize("distribution", RANGES)
def test_a_design_covers_the_range(distribution):
    axis = Axis.of(distribution)
    drawn = [axis.draw(place) for place in np.linspace(0, 1, 2000, endpoint=False)]
    assert min(drawn) == pytest.approx(distribution.low, abs=1e-3)
    assert max(drawn) == pytest.approx(distribution.high, rel=0.01)


def test_the_default_choice_is_drawn_more_often():
    drawn = [Axis.of(CHOICES).draw(place, "a") for place in np.linspace(0, 1, 1000, endpoint=False)]
    assert drawn.count("a") == pytest.approx(600, abs=2)
    assert set(map(repr, drawn)) == set(map(repr, CHOICES.choices))


@pytest.mark.parametrize("distribution", RANGES)
@given(value=st.floats(-100, 1000))
def test_nothing_held_is_nearer_than_the_nearest(distribution, value):
    axis = Axis.of(distribution)
    nearest = axis.nearest(value)
    assert axis.holds(nearest)
    others = [axis.draw(place) for place in np.linspace(0, 1, 50, endpoint=False)]
    assert abs(nearest - value) <= min(abs(other - value) for other in others) + 1e-9


def test_what_is_outside_is_placed_outside():
    axis = Axis.of(FloatDistribution(1.0, 10.0, log=True))
    assert axis.place([0.1, 100.0]) == pytest.approx([-1.0, 2.0])
    assert math.isfinite(axis.place([0.0])[0])


def test_the_widest_range_and_all_choices_are_joined():
    axis = Axis.of(FloatDistribution(2.0, 3.0), IntDistribution(0, 10))
    assert (axis.low, axis.high, axis.is_whole, axis.step) == (0, 10, False, None)
    assert Axis.of(CHOICES, CategoricalDistribution(("b", "a"))).choices == (None, "a", True, 1, 0.5, "b")
    assert Axis.of(FloatDistribution(1, 9, log=True), FloatDistribution(1, 2, log=True)).log
    assert not Axis.of(FloatDistribution(1, 9, log=True), FloatDistribution(0, 2)).log


def test_types_count():
    assert Axis.of(CHOICES).holds(True)
    assert not Axis.of(CHOICES).holds(1.0)
    assert not Axis.of(IntDistribution(0, 3)).holds(1.0)
    assert not Axis.of(FloatDistribution(0, 3)).holds(True)
    assert np.isnan(Axis.of(CHOICES).place(["unheard of"])).all()
    assert np.isnan(Axis.of(FloatDistribution(0, 3)).place(["0.1", None])).all()


# -- whole configurations ----------------------------------------------------------------------------------------------

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
