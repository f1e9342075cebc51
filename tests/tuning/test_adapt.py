"""Adapted values always lie in their distributions, and everything that was done is said."""

from __future__ import annotations

import math

import numpy as np
import optuna
import pytest
from hypothesis import given, strategies as st
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from refusals import refused

from autometa.errors import UsageError
from autometa.space.axis import Axis
from autometa.tuning import adapt

# Optuna's remark when it rounds the end of a range to its grid.
pytestmark = pytest.mark.filterwarnings("ignore:The distribution is specified by:UserWarning")


def contains(distribution: BaseDistribution, value: object) -> bool:
    return bool(distribution._contains(distribution.to_internal_repr(value)))


@st.composite
def distributions(draw: st.DrawFn) -> BaseDistribution:
    kind = draw(st.sampled_from(["int", "log int", "float", "log float", "step float", "choice"]))
    if kind == "choice":
        scalar = st.one_of(
            st.none(), st.booleans(), st.integers(-5, 5), st.floats(-5, 5), st.sampled_from("abc")
        )
        return CategoricalDistribution(draw(st.lists(scalar, min_size=1, max_size=5)))
    if "int" in kind:
        low = draw(st.integers(1, 50)) if kind == "log int" else draw(st.integers(-50, 50))
        high = low + draw(st.integers(0, 1000))
        step = 1 if kind == "log int" else draw(st.integers(1, 7))
        high = low + (high - low) // step * step
        return IntDistribution(low, high, log=kind == "log int", step=step)
    low_ = draw(st.floats(1e-6, 10)) if kind == "log float" else draw(st.floats(-10, 10))
    if kind == "step float":
        step_ = draw(st.sampled_from([0.1, 0.25, 1.0]))
        return FloatDistribution(low_, low_ + draw(st.integers(0, 50)) * step_, step=step_)
    return FloatDistribution(low_, low_ + draw(st.floats(0, 100)), log=kind == "log float")


values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=3),
    st.floats(width=32).map(np.float32),
    st.integers(-100, 100).map(np.int64),
    st.booleans().map(np.bool_),
    st.tuples(st.integers()),
)


@given(
    st.dictionaries(st.sampled_from("xyz"), values), st.dictionaries(st.sampled_from("xyz"), distributions())
)
def test_adapted_values_are_contained_plain_and_stay_as_they_are(params, space) -> None:
    result = adapt(params, space)
    for name, value in result.params.items():
        assert contains(space[name], value)
        assert value is None or type(value) in (bool, int, float, str)
    assert result.params.keys() | {c.name for c in result.changes} == params.keys()
    again = adapt(result.params, space)
    assert again.params == result.params or any(v != v for v in result.params.values())
    assert not again.changes


@given(values, distributions())
def test_a_contained_number_is_not_changed(value, distribution) -> None:
    try:
        fitted = Axis.of(distribution).nearest(value)
    except ValueError:
        return
    result = adapt({"x": fitted}, {"x": distribution}, "error")
    assert not result.changes


@pytest.mark.parametrize(
    ("value", "distribution", "expected"),
    [
        (4096, IntDistribution(2, 256), 256),
        (5.7, IntDistribution(0, 10), 6),
        (np.int64(7), IntDistribution(0, 10), 7),
        (7, IntDistribution(0, 10, step=5), 5),
        (2**60 + 1, IntDistribution(0, 2**61), 2**60 + 1),
        (10**400, FloatDistribution(0, 1), 1.0),
        (math.inf, FloatDistribution(0, 1), 1.0),
        (0.0, FloatDistribution(1e-4, 1, log=True), 1e-4),
        (0.34, FloatDistribution(0, 1, step=0.25), 0.25),
        (0.4, CategoricalDistribution(("sqrt", 0.1, 0.5)), 0.5),
        (1.0, CategoricalDistribution((1, 2)), 1),
        (None, CategoricalDistribution((None, "balanced")), None),
    ],
)
def test_the_nearest_value_is_taken(value, distribution, expected) -> None:
    fitted = Axis.of(distribution).nearest(value)
    assert fitted == expected
    assert type(fitted) is type(expected)


@pytest.mark.parametrize(
    ("value", "distribution"),
    [
        (None, IntDistribution(0, 1)),
        (math.nan, FloatDistribution(0, 1)),
        (True, IntDistribution(0, 1)),
        ("3", IntDistribution(0, 5)),
        ("zzz", CategoricalDistribution(("a", "b"))),
        (1, CategoricalDistribution((True, False))),
        (True, CategoricalDistribution((1, 0))),
    ],
)
def test_without_a_near_value_the_parameter_is_left_out(value, distribution) -> None:
    result = adapt({"x": value, "y": 1}, {"x": distribution, "y": IntDistribution(0, 1)})
    assert result.params == {"y": 1}
    assert [c.action for c in result.changes] == ["removed"]
    assert adapt({"x": value}, {"x": distribution}).dropped


def test_choices_that_storages_change_are_left_out() -> None:
    with pytest.warns(UserWarning, match="persistent storage"):
        space = {"x": CategoricalDistribution(((64, 32), (32,)))}
    assert adapt({"x": [64, 32]}, space).dropped


def test_policies() -> None:
    space = {"x": IntDistribution(0, 10), "y": IntDistribution(0, 10)}
    assert adapt({"x": 99, "y": 1}, space, "clip").params == {"x": 10, "y": 1}
    assert adapt({"x": 99, "y": 1}, space, "drop").dropped
    with refused(UsageError, "AM501", match=r"x=99 is outside \[0, 10\]"):
        adapt({"x": 99, "y": 1}, space, "error")
    with refused(UsageError, "AM501"):
        adapt({}, space, "ignore")  # type: ignore[arg-type]


@pytest.mark.parametrize("policy", ["clip", "drop", "error"])
def test_unknown_and_inactive_names_are_left_out_under_every_policy(policy) -> None:
    space = {"booster": CategoricalDistribution(("tree", "linear")), "depth": IntDistribution(1, 9)}
    conditions = {"depth": [("booster", ("tree",))]}
    result = adapt({"booster": "linear", "depth": 3, "z": 1}, space, policy, conditions=conditions)
    assert result.params == {"booster": "linear"}
    assert {c.name: c.action for c in result.changes} == {"z": "unknown", "depth": "inactive"}


def test_children_of_a_parameter_that_was_left_out_are_left_out() -> None:
    space = {
        "a": CategoricalDistribution(("x",)),
        "b": CategoricalDistribution(("y",)),
        "c": IntDistribution(0, 1),
    }
    conditions = {"b": [("a", ("x",))], "c": [("b", ("y",))]}
    assert adapt({"a": "other", "b": "y", "c": 1}, space, conditions=conditions).dropped


@given(
    st.dictionaries(st.sampled_from("xyz"), values), st.dictionaries(st.sampled_from("xyz"), distributions())
)
def test_optuna_takes_every_adapted_suggestion(params, space) -> None:
    result = adapt(params, space)
    study = optuna.create_study()
    study.enqueue_trial(result.params)
    trial = study.ask()
    for name, value in result.params.items():
        got = trial._suggest(name, space[name])
        assert got == value or got != got
