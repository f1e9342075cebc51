"""The search space: what is valid, how configurations are drawn, named, placed and told apart."""

from __future__ import annotations

import importlib
import math
import pickle

import numpy as np
import optuna
import pytest
from hypothesis import given, strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from autometa.errors import UsageError
from autometa.space import (
    Algorithm,
    Configuration,
    SearchSpace,
    register_algorithm,
    unregister_algorithm,
)
from autometa.space.encoders import encodings

FAMILIES = ("classification", "regression")
ALGORITHMS = [(family, algorithm.name) for family in FAMILIES for algorithm in SearchSpace.for_kind(family)]


def units(algorithm: Algorithm) -> st.SearchStrategy[list[float]]:
    side = st.floats(0, 1, exclude_max=True)
    return st.lists(side, min_size=len(algorithm.distributions), max_size=len(algorithm.distributions))


def draw(data: st.DataObject) -> tuple[SearchSpace, Algorithm, Configuration]:
    family, name = data.draw(st.sampled_from(ALGORITHMS))
    space = SearchSpace.for_kind(family)
    return space, space[name], space[name].from_unit(data.draw(units(space[name])))


@pytest.fixture
def toy():
    return Algorithm(
        "toy",
        "sklearn.dummy:DummyClassifier",
        {
            "mode": CategoricalDistribution((None, "a", True)),
            "depth": IntDistribution(1, 9, step=2),
            "rate": FloatDistribution(0.5, 0.5),
        },
        {"mode": None, "depth": 3},
        conditions={"rate": ("mode", ("a", True))},
    )


def test_either_kind_has_the_same_algorithms_each_with_a_title_of_its_own():
    classification, regression = map(SearchSpace.for_kind, FAMILIES)
    assert list(classification.algorithms) == list(regression.algorithms)
    titles = [algorithm.title for algorithm in classification]
    assert titles == [algorithm.title for algorithm in regression]
    assert all(titles)
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize(("family", "name"), ALGORITHMS)
def test_the_default_is_valid_and_comes_first(family, name):
    space = SearchSpace.for_kind(family)
    default = space[name].default_configuration()
    assert space.problems(default) == []
    assert default.origin == "default"
    assert next(c for c in space.design(3) if c.algorithm == name) == default


# The default is one of the library where its value can be searched; what cannot is listed here with its reason.
DEPARTURES = {
    "reg_lambda": "0 is not on a logarithmic range; its lower end stands for it",
    "l2_regularization": "0 is not on a logarithmic range; its lower end stands for it",
    "max_samples": "None means all rows, as 1.0 does",
    "hidden_layer_sizes": "a tuple, here split into width and depth",
}


@pytest.mark.parametrize(("family", "name"), ALGORITHMS)
def test_the_default_is_the_librarys_own(family, name):
    algorithm = SearchSpace.for_kind(family)[name]
    module, _, class_name = str(algorithm.estimator).partition(":")
    library = getattr(importlib.import_module(module), class_name)().get_params()
    ours = {
        key: value for key, value in algorithm.default.items() if key in library and key not in DEPARTURES
    }
    assert ours == {key: library[key] for key in ours}
    assert set(algorithm.default) - set(ours) <= {*DEPARTURES, "n_hidden_layers", "scaler"}


@given(st.data())
def test_every_point_of_the_unit_cube_is_a_valid_configuration(data):
    space, _, configuration = draw(data)
    assert space.problems(configuration) == []


@pytest.mark.parametrize("corner", [0.0, math.nextafter(1.0, 0.0)])
@pytest.mark.parametrize(("family", "name"), ALGORITHMS)
def test_corners_of_the_unit_cube_are_valid_too(family, name, corner):
    space = SearchSpace.for_kind(family)
    assert space.problems(space[name].from_unit([corner] * len(space[name].distributions))) == []


@given(st.data())
def test_a_configuration_lies_in_the_unit_cube_and_inactive_parameters_nowhere(data):
    _, algorithm, configuration = draw(data)
    encoded = algorithm.encode(configuration.params)
    for name, value in zip(algorithm.distributions, encoded, strict=True):
        assert 0 <= value <= 1 if name in configuration.params else math.isnan(value)


@given(st.data())
def test_distinct_values_stand_in_distinct_places(data):
    _, algorithm, one = draw(data)
    other = algorithm.from_unit(data.draw(units(algorithm)))
    same = np.array_equal(algorithm.encode(one.params), algorithm.encode(other.params), equal_nan=True)
    assert same == (one == other)


@pytest.mark.parametrize("kind", ["binary", "regression"])
def test_codes_tell_configurations_apart(kind):
    space = SearchSpace.for_kind(kind)
    design = space.design(6)
    table = space.encode(design)
    assert len({tuple(np.nan_to_num(row, nan=-1)) for row in table}) == len({c.id for c in design})
    known = table[np.isfinite(table)]
    assert known.min() >= 0
    assert known.max() <= 1


def test_a_space_is_asked_for_by_one_name_or_several():
    assert list(SearchSpace.for_kind("binary", "svm").algorithms) == ["svm"]
    assert list(SearchSpace.for_kind("binary", ("svm", "knn")).algorithms) == ["svm", "knn"]


@given(st.data())
def test_names_of_the_joint_space_lead_back_to_the_configuration(data):
    space, _, configuration = draw(data)
    joint = configuration.joint_params()
    again = space.configuration(joint)
    assert again == configuration
    assert again.id == configuration.id
    distributions = space.distributions()
    assert set(joint) <= set(distributions)
    trial = optuna.trial.create_trial(
        params=joint, distributions={k: distributions[k] for k in joint}, value=0.0
    )
    assert space.configuration(trial.params) == configuration


@given(st.data())
def test_a_fixed_trial_suggests_the_configuration_that_it_was_given(data):
    space, _, configuration = draw(data)
    assert space.suggest(optuna.trial.FixedTrial(configuration.joint_params())) == configuration


def test_a_study_samples_valid_configurations_only():
    space = SearchSpace.for_kind("binary")
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    found = []
    study.optimize(lambda trial: found.append(space.suggest(trial)) or 0.0, n_trials=60)
    assert [space.problems(c) for c in found] == [[]] * 60
    assert {c.algorithm for c in found} == set(space.algorithms)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_longer_design_begins_with_the_shorter_one(family):
    space = SearchSpace.for_kind(family)
    long = space.design(70, seed=3)
    n = len(space)
    assert long[: n * 5] == space.design(5, seed=3)
    assert long[: n * 32] == space.design(32, seed=3)
    assert all(space.problems(c) == [] for c in long)
    assert [c.algorithm for c in long[:n]] == [c.algorithm for c in long[n : 2 * n]]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_design_hardly_repeats_itself_and_follows_its_seed(family):
    space = SearchSpace.for_kind(family)
    design = space.design(32)
    assert len({c.id for c in design}) >= 0.98 * len(design)
    assert design == space.design(32)
    assert {c.id for c in design} != {c.id for c in space.design(32, seed=1)}


def test_the_design_of_an_algorithm_does_not_depend_on_its_company():
    alone = SearchSpace.for_kind("binary", ["knn"]).design(6)
    assert alone == [c for c in SearchSpace.for_kind("binary").design(6) if c.algorithm == "knn"]


def test_ids_are_stable_across_versions_of_autometa():
    # The bundled runs are keyed by these: a change would orphan them.
    knn = Configuration("knn", {"n_neighbors": 5, "weights": "uniform", "p": 2, "scaler": "standard"})
    assert knn.id == "f98b81dd0b90"
    assert SearchSpace.for_kind("binary")["linear"].default_configuration().id == "9f05cfe784af"


def test_equal_configurations_have_equal_ids_whatever_their_order_and_origin():
    one = Configuration("a", {"x": 1, "y": None}, "default")
    other = Configuration("a", {"y": None, "x": 1}, "tuned")
    assert one == other
    assert one.id == other.id
    assert len({one, other}) == 1
    assert one.id != Configuration("b", {"x": 1, "y": None}).id
    assert one.id != Configuration("a", {"x": 2, "y": None}).id


def test_a_configuration_is_read_only_and_pickles():
    configuration = Configuration("a", {"x": 1}, "tuned")
    with pytest.raises(TypeError):
        configuration.params["x"] = 2  # type: ignore[index]
    again = pickle.loads(pickle.dumps(configuration))
    assert (again, again.origin) == (configuration, "tuned")


def test_the_signature_follows_distributions_and_conditions(toy):
    import dataclasses

    def signature(**changes):
        return SearchSpace([dataclasses.replace(toy, **changes)]).signature()

    assert signature() == signature()
    assert signature() == signature(default={"mode": None, "depth": 5})
    assert signature() != signature(name="other")
    assert signature() != signature(
        distributions={**toy.distributions, "depth": IntDistribution(1, 11, step=2)}
    )
    assert signature() != signature(conditions={"rate": ("mode", ("a",))})
    assert SearchSpace.for_kind("binary").signature() == SearchSpace.for_kind("multiclass").signature()
    assert SearchSpace.for_kind("binary").signature() != SearchSpace.for_kind("regression").signature()


@pytest.mark.parametrize(
    ("params", "problem"),
    [
        ({"mode": None, "depth": 3}, None),
        ({"mode": "a", "depth": 3, "rate": 0.5}, None),
        ({"mode": None, "depth": 3, "rate": 0.5}, "'rate' is not active"),
        ({"mode": True, "depth": 3}, "'rate' is missing"),
        ({"mode": 1, "depth": 3}, "mode=1 is outside"),
        ({"mode": None, "depth": 4}, "depth=4 is outside"),
        ({"mode": None, "depth": 11}, "depth=11 is outside"),
        ({"mode": None, "depth": "3"}, "depth='3' is outside"),
        ({"mode": None, "depth": True}, "depth=True is outside"),
        ({"mode": None, "depth": math.nan}, "depth=nan is outside"),
        ({"mode": None, "depth": 3.0}, "depth=3.0 is outside"),
        ({"mode": "a", "depth": 3, "rate": math.nan}, "rate=nan is outside"),
        ({"mode": None, "depth": 3, "other": 1}, "'other' is not known"),
    ],
)
def test_problems_name_what_is_wrong(toy, params, problem):
    found = SearchSpace([toy]).problems(Configuration("toy", params))
    assert found == [] if problem is None else problem in " ".join(found)


def test_unknown_algorithms_are_refused_with_the_closest(toy):
    with pytest.raises(UsageError, match="'random_forest'") as caught:
        SearchSpace.for_kind("binary", ["random_forrest"])
    assert caught.value.code == "AM504"
    with pytest.raises(UsageError) as caught:
        SearchSpace([toy]).configuration({"algorithm": "knn"})
    assert caught.value.code == "AM504"
    assert SearchSpace([toy]).problems(Configuration("knn", {}))


@pytest.mark.parametrize("default", [{"mode": None}, {"mode": None, "depth": 20}, {"mode": 0, "depth": 3}])
def test_an_algorithm_without_a_valid_default_is_refused(default):
    with pytest.raises(UsageError) as caught:
        Algorithm(
            "toy",
            "sklearn.dummy:DummyClassifier",
            {"mode": CategoricalDistribution((None,)), "depth": IntDistribution(1, 9)},
            default,
        )
    assert caught.value.code == "AM503"


def test_a_registered_algorithm_joins_the_spaces_of_its_kinds(toy):
    register_algorithm(toy, ["classification"])
    assert "toy" in SearchSpace.for_kind("multiclass")
    assert "toy" not in SearchSpace.for_kind("regression")
    assert len(SearchSpace.for_kind("binary", ["toy", "knn"])) == 2
    unregister_algorithm("toy")
    assert "toy" not in SearchSpace.for_kind("binary")
    with pytest.raises(UsageError) as caught:
        register_algorithm(toy, ["binary"])
    assert caught.value.code == "AM106"


def test_a_configuration_may_say_how_words_are_read_but_need_not():
    for kind in ("classification", "regression"):
        space = SearchSpace.for_kind(kind)
        for algorithm in space:
            plain = algorithm.default_configuration()
            assert space.problems(plain) == []
            for name, distribution in encodings().items():
                for choice in distribution.choices:
                    configuration = Configuration(algorithm.name, {**plain.params, name: choice})
                    assert space.problems(configuration) == []
                wrong = Configuration(algorithm.name, {**plain.params, name: "by magic"})
                assert space.problems(wrong) == [f"{name}='by magic' is outside its range"]
