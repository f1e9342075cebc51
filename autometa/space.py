"""Algorithms, their hyperparameters, and configurations of them, on Optuna's distributions."""

from __future__ import annotations

import difflib
import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
)

from autometa.errors import UsageError

Value = str | int | float | bool | None
Preprocessing = Literal["scaled", "ordinal", "native"]

SPACE_VERSION: Final = 1
DEFAULT_CHOICE_WEIGHT: Final = 0.6
CALIBRATION_FOLDS: Final = 3

# How columns of words become numbers (see autometa/encoding.py). Every configuration may say it, whatever its
# algorithm; one that does not means "auto", so that configurations recorded before stay valid.
ENCODINGS: Final[Mapping[str, CategoricalDistribution]] = MappingProxyType(
    {
        "categories": CategoricalDistribution(("auto", "levels", "target", "characters", "both")),
        "text": CategoricalDistribution(("auto", "words", "characters")),
    }
)


def target_of(kind: str) -> str:
    """Return ``regression`` or ``classification``: configurations are shared by binary and multiclass tasks."""
    return "regression" if kind == "regression" else "classification"


@dataclass(frozen=True)
class Configuration:
    """An algorithm with values for its active hyperparameters.

    Attributes
    ----------
    algorithm : str
    params : mapping of str to value
        Plain JSON values; read-only.
    origin : {"default", "space-filling", "tuned", "user"}, default="user"
    """

    algorithm: str
    params: Mapping[str, Value]
    origin: str = field(default="user", compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "params", MappingProxyType(dict(sorted(self.params.items()))))

    def __hash__(self) -> int:
        return hash(self.id)

    def __reduce__(self) -> tuple[Any, ...]:
        return Configuration, (self.algorithm, dict(self.params), self.origin)

    @property
    def id(self) -> str:
        """Short hash of algorithm and values: equal configurations have equal ids."""
        text = json.dumps([self.algorithm, dict(self.params)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def joint_params(self) -> dict[str, Value]:
        """Return the values under the names of the joint space: ``algorithm``, ``<algorithm>__<parameter>``."""
        named = {f"{self.algorithm}__{name}": value for name, value in self.params.items()}
        return {"algorithm": self.algorithm, **named}


@dataclass(frozen=True)
class Algorithm:
    """A learning algorithm with its search space and how to build it.

    Parameters
    ----------
    name : str
        Short identifier, also the prefix of its parameters in the joint space.
    estimator : str or callable
        ``"package.module:Class"``, or a callable that takes the parameters as keywords and returns an
        unfitted scikit-learn estimator.
    distributions : mapping of str to optuna distribution
        Under the library's own parameter names. ``scaler`` (see `preprocessing`) is the one name of ours.
    default : mapping of str to value
        The library's defaults, for every active parameter of `distributions`.
    preprocessing : {"scaled", "ordinal", "native"}, default="ordinal"
        ``scaled``: imputed, scaled, one-hot. ``ordinal``: categories as integers, missing values kept.
        ``native``: the same, and the estimator's ``categorical_features`` names the categorical columns.
    conditions : mapping of str to (parent, values), optional
        A parameter is active only where its parent has one of the values.
    fixed : mapping, optional
        Parameters that are passed to the estimator and not searched.
    translate : callable, optional
        Turns the searched parameters into the estimator's, where they differ.
    scale_target : bool, default=False
        Whether a regression target is standardised for the estimator.
    takes_n_jobs : bool, default=True
        Whether to pass on a number of threads, if the estimator has the parameter ``n_jobs``.
    min_leaf : str, optional
        Name of the parameter that bounds the rows of a leaf; guards small tables.
    """

    name: str
    estimator: str | Callable[..., Any]
    distributions: Mapping[str, BaseDistribution]
    default: Mapping[str, Value]
    preprocessing: Preprocessing = "ordinal"
    conditions: Mapping[str, tuple[str, tuple[Value, ...]]] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    translate: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    scale_target: bool = False
    takes_n_jobs: bool = True
    min_leaf: str | None = None

    def __post_init__(self) -> None:
        problems = [name for name in self.default if name not in self.distributions]
        problems += [
            name
            for name in self.distributions
            if self.is_active(name, self.default)
            and not self.contains(name, self.default.get(name, _MISSING))
        ]
        if problems:
            raise UsageError(
                "AM503",
                f"algorithm {self.name!r}: the default of {problems[0]!r} is missing or outside its distribution.",
                "Give a default for every active parameter.",
            )

    def is_active(self, name: str, params: Mapping[str, Value]) -> bool:
        """Whether a parameter counts, given the values of the others."""
        if name not in self.conditions:
            return True
        parent, values = self.conditions[name]
        return params.get(parent) in values

    def contains(self, name: str, value: Any) -> bool:
        """Whether a value lies in the distribution of a parameter."""
        distribution = self.distributions[name]
        if isinstance(distribution, CategoricalDistribution):
            return any(value is choice or (value == choice and type(value) is type(choice))
                       for choice in distribution.choices)  # fmt: skip
        number = int if isinstance(distribution, IntDistribution) else (int, float)
        if isinstance(value, bool) or not isinstance(value, number):
            return False
        # Optuna raises on NaN, and on zero on a logarithmic range: the bounds come first.
        low, high = distribution.low, distribution.high  # type: ignore[attr-defined]
        return bool(low <= value <= high and distribution._contains(distribution.to_internal_repr(value)))

    def default_configuration(self) -> Configuration:
        """Return the library's defaults."""
        return Configuration(self.name, self.default, "default")

    def from_unit(self, unit: Sequence[float], origin: str = "space-filling") -> Configuration:
        """Map a point of the unit cube to a configuration.

        Parameters
        ----------
        unit : sequence of float in [0, 1), one for each entry of `distributions`
            A categorical's default choice takes the first ``DEFAULT_CHOICE_WEIGHT`` of its axis.
        """
        values = {
            name: _from_unit(distribution, u, self.default.get(name, _MISSING))
            for (name, distribution), u in zip(self.distributions.items(), unit, strict=True)
        }
        return Configuration(self.name, self._only_active(values), origin)

    def _only_active(self, values: Mapping[str, Value]) -> dict[str, Value]:
        return {name: value for name, value in values.items() if self.is_active(name, values)}

    def encode(self, params: Mapping[str, Any]) -> dict[str, float]:
        """Place each parameter on [0, 1]: numbers by position in their range, choices by index; inactive is NaN."""
        return {
            name: _to_unit(distribution, params[name]) if name in params else math.nan
            for name, distribution in self.distributions.items()
        }


_MISSING: Final[Any] = object()


def _from_unit(distribution: BaseDistribution, u: float, default: Any) -> Value:
    if isinstance(distribution, CategoricalDistribution):
        choices = list(distribution.choices)
        if default is not _MISSING and len(choices) > 1:
            if u < DEFAULT_CHOICE_WEIGHT:
                return default
            choices.remove(default)
            u = (u - DEFAULT_CHOICE_WEIGHT) / (1 - DEFAULT_CHOICE_WEIGHT)
        return choices[min(int(u * len(choices)), len(choices) - 1)]
    low, high = distribution.low, distribution.high  # type: ignore[attr-defined]
    if isinstance(distribution, IntDistribution):
        if distribution.log:
            return int(np.clip(round(math.exp(math.log(low) + u * math.log(high / low))), low, high))
        steps = (high - low) // distribution.step + 1
        return int(low + min(int(u * steps), steps - 1) * distribution.step)
    if isinstance(distribution, FloatDistribution) and distribution.log:
        value = math.exp(math.log(low) + u * math.log(high / low))
    else:
        value = low + u * (high - low)
    return float(np.clip(float(f"{value:.4g}"), low, high))


def _to_unit(distribution: BaseDistribution, value: Any) -> float:
    if isinstance(distribution, CategoricalDistribution):
        n = len(distribution.choices)
        return (
            distribution.to_internal_repr(value) / max(n - 1, 1)
            if value in distribution.choices
            else math.nan
        )
    if isinstance(value, str) or value is None:
        return math.nan
    low, high = float(distribution.low), float(distribution.high)  # type: ignore[attr-defined]
    if high <= low:
        return 0.0
    if distribution.log:  # type: ignore[attr-defined]
        position = math.log(max(float(value), 1e-300) / low) / math.log(high / low)
    else:
        position = (float(value) - low) / (high - low)
    return float(min(max(position, 0.0), 1.0))


class SearchSpace:
    """The algorithms that may solve one kind of task, in a fixed order.

    Parameters
    ----------
    algorithms : iterable of Algorithm
    """

    def __init__(self, algorithms: Iterable[Algorithm]) -> None:
        self.algorithms: Mapping[str, Algorithm] = MappingProxyType({a.name: a for a in algorithms})

    @classmethod
    def for_kind(cls, kind: str, algorithms: Sequence[str] | None = None) -> SearchSpace:
        """Return the space of a kind of task, restricted to some algorithms if asked.

        Raises
        ------
        UsageError
            AM504 when an algorithm is not known.
        """
        target = target_of(kind)
        known = {**_built_in(target), **_registered[target]}
        if algorithms is None:
            return cls(known.values())
        for name in algorithms:
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                hint = f"Did you mean {close[0]!r}?" if close else f"Known are: {', '.join(known)}."
                raise UsageError("AM504", f"algorithm {name!r} is not known for {target}.", hint)
        return cls(known[name] for name in algorithms)

    def __iter__(self) -> Iterator[Algorithm]:
        return iter(self.algorithms.values())

    def __getitem__(self, name: str) -> Algorithm:
        return self.algorithms[name]

    def __contains__(self, name: object) -> bool:
        return name in self.algorithms

    def __len__(self) -> int:
        return len(self.algorithms)

    def distributions(self) -> dict[str, BaseDistribution]:
        """Return the joint space: ``algorithm`` and ``<algorithm>__<parameter>``."""
        joint: dict[str, BaseDistribution] = {"algorithm": CategoricalDistribution(tuple(self.algorithms))}
        for algorithm in self:
            joint.update({f"{algorithm.name}__{k}": v for k, v in algorithm.distributions.items()})
        return joint

    def suggest(self, trial: Any) -> Configuration:
        """Let an Optuna trial choose a configuration, conditional parameters after their parents."""
        name = trial.suggest_categorical("algorithm", tuple(self.algorithms))
        algorithm = self[name]
        values: dict[str, Value] = {}
        for parameter in algorithm.distributions:
            if algorithm.is_active(parameter, values):
                distribution = algorithm.distributions[parameter]
                values[parameter] = trial._suggest(f"{name}__{parameter}", distribution)
        return Configuration(name, values)

    def configuration(self, joint: Mapping[str, Value], origin: str = "user") -> Configuration:
        """Read a configuration from the names of the joint space.

        Raises
        ------
        UsageError
            AM504 when ``algorithm`` is missing or not in this space.
        """
        name = joint.get("algorithm")
        if name not in self.algorithms:
            raise UsageError("AM504", f"algorithm {name!r} is not in this search space.")
        prefix = f"{name}__"
        return Configuration(
            str(name), {k.removeprefix(prefix): v for k, v in joint.items() if k.startswith(prefix)}, origin
        )

    def problems(self, configuration: Configuration) -> list[str]:
        """Return what is wrong with a configuration, a sentence each; empty when it is valid."""
        if configuration.algorithm not in self:
            return [f"algorithm {configuration.algorithm!r} is not known"]
        algorithm, params = self[configuration.algorithm], configuration.params
        found = [
            f"parameter {name!r} is not known"
            for name in params
            if name not in algorithm.distributions and name not in ENCODINGS
        ]
        found += [
            f"{name}={params[name]!r} is outside its range"
            for name, distribution in ENCODINGS.items()
            if name not in algorithm.distributions and params.get(name, "auto") not in distribution.choices
        ]
        for name in algorithm.distributions:
            active = algorithm.is_active(name, params)
            if active and name not in params:
                found.append(f"parameter {name!r} is missing")
            elif not active and name in params:
                found.append(f"parameter {name!r} is not active")
            elif active and not algorithm.contains(name, params[name]):
                found.append(f"{name}={params[name]!r} is outside its range")
        return found

    def design(self, n: int, seed: int = 0) -> list[Configuration]:
        """Return `n` configurations of each algorithm: the default, then a scrambled Sobol sequence.

        The first configurations of a longer design equal those of a shorter one with the same seed. They are
        ordered in rounds, one of each algorithm, so that a design that is cut off is still balanced.
        """
        groups = [self._design_of(algorithm, n, seed) for algorithm in self]
        return [group[i] for i in range(n) for group in groups]

    def _design_of(self, algorithm: Algorithm, n: int, seed: int) -> list[Configuration]:
        from scipy.stats import qmc

        # A seed of its own keeps algorithms with spaces of one size from sharing their points.
        own_seed = (seed, *algorithm.name.encode())
        sobol = qmc.Sobol(d=len(algorithm.distributions), seed=np.random.default_rng(own_seed))
        points = sobol.random_base2(max(math.ceil(math.log2(max(n, 2))), 5))
        return [algorithm.default_configuration(), *(algorithm.from_unit(p) for p in points[: n - 1])]

    def signature(self) -> str:
        """Hash of every distribution and condition: changes when the space changes."""
        text = json.dumps(
            [
                [
                    a.name,
                    {k: distribution_to_json(v) for k, v in a.distributions.items()},
                    str(dict(a.conditions)),
                ]
                for a in self
            ],
            sort_keys=True,
        )
        return hashlib.sha256(text.encode()).hexdigest()[:12]


_registered: dict[str, dict[str, Algorithm]] = {"classification": {}, "regression": {}}


def register_algorithm(algorithm: Algorithm, kinds: Sequence[str] = ("classification", "regression")) -> None:
    """Add an algorithm of one's own to the search space of this process, or replace one of the same name.

    Parameters
    ----------
    algorithm : Algorithm
    kinds : sequence of {"classification", "regression"}, default=both
    """
    for kind in kinds:
        if kind not in _registered:
            raise UsageError("AM106", f"kind {kind!r} is not known.", "Use classification or regression.")
        _registered[kind][algorithm.name] = algorithm


def unregister_algorithm(name: str) -> None:
    """Take a registered algorithm out of the search space again."""
    for algorithms in _registered.values():
        algorithms.pop(name, None)


def registered_algorithms() -> dict[str, dict[str, Algorithm]]:
    """Return what was registered in this process, by kind."""
    return {kind: dict(algorithms) for kind, algorithms in _registered.items()}


def built_in_algorithms(kind: str) -> list[Algorithm]:
    """Return the algorithms of autometa itself for a kind of task, without registered ones."""
    return list(_built_in(target_of(kind)).values())


def _layers(params: dict[str, Any]) -> dict[str, Any]:
    depth = params.pop("n_hidden_layers", 1)
    return {**params, "hidden_layer_sizes": (params["hidden_layer_sizes"],) * depth}


def _built_in(target: str) -> dict[str, Algorithm]:
    """Return the eight algorithms; ranges follow the literature cited in ``docs/reference/space.md``."""
    classify = target == "classification"
    weights: dict[str, BaseDistribution] = (
        {"class_weight": CategoricalDistribution((None, "balanced"))} if classify else {}
    )
    no_weight: dict[str, Value] = {"class_weight": None} if classify else {}
    scaler: dict[str, BaseDistribution] = {"scaler": CategoricalDistribution(("standard", "quantile"))}
    forest: dict[str, BaseDistribution] = {
        "n_estimators": IntDistribution(50, 200, log=True),
        "max_features": CategoricalDistribution(("sqrt", 0.2, 0.4, 0.6, 0.8, 1.0)),
        "min_samples_leaf": IntDistribution(1, 32, log=True),
        **({"criterion": CategoricalDistribution(("gini", "entropy"))} if classify else {}),
        "bootstrap": CategoricalDistribution((True, False)),
        "max_samples": FloatDistribution(0.3, 1.0),
        **weights,
    }
    forest_default: dict[str, Value] = {
        "n_estimators": 100,
        "max_features": "sqrt" if classify else 1.0,
        "min_samples_leaf": 1,
        **({"criterion": "gini"} if classify else {}),
        **no_weight,
    }
    bagged: dict[str, tuple[str, tuple[Value, ...]]] = {"max_samples": ("bootstrap", (True,))}
    suffix = "Classifier" if classify else "Regressor"
    algorithms = [
        Algorithm(
            "lightgbm",
            f"lightgbm:LGBM{suffix}",
            {
                "n_estimators": IntDistribution(50, 400, log=True),
                "learning_rate": FloatDistribution(0.01, 0.3, log=True),
                "num_leaves": IntDistribution(4, 128, log=True),
                "min_child_samples": IntDistribution(1, 100, log=True),
                "colsample_bytree": FloatDistribution(0.3, 1.0),
                "subsample": FloatDistribution(0.4, 1.0),
                "reg_lambda": FloatDistribution(1e-4, 30.0, log=True),
                **weights,
            },
            {
                "n_estimators": 100,
                "learning_rate": 0.1,
                "num_leaves": 31,
                "min_child_samples": 20,
                "colsample_bytree": 1.0,
                "subsample": 1.0,
                "reg_lambda": 1e-4,
                **no_weight,
            },
            fixed={"subsample_freq": 1, "verbosity": -1},
            min_leaf="min_child_samples",
        ),
        Algorithm(
            "hist_gradient_boosting",
            f"sklearn.ensemble:HistGradientBoosting{suffix}",
            {
                "max_iter": IntDistribution(50, 300, log=True),
                "learning_rate": FloatDistribution(0.01, 0.3, log=True),
                "max_leaf_nodes": IntDistribution(4, 128, log=True),
                "min_samples_leaf": IntDistribution(1, 100, log=True),
                "max_features": FloatDistribution(0.3, 1.0),
                "l2_regularization": FloatDistribution(1e-4, 30.0, log=True),
                **weights,
            },
            {
                "max_iter": 100,
                "learning_rate": 0.1,
                "max_leaf_nodes": 31,
                "min_samples_leaf": 20,
                "max_features": 1.0,
                "l2_regularization": 1e-4,
                **no_weight,
            },
            preprocessing="native",
            min_leaf="min_samples_leaf",
        ),
        Algorithm(
            "random_forest",
            f"sklearn.ensemble:RandomForest{suffix}",
            forest,
            {**forest_default, "bootstrap": True, "max_samples": 1.0},
            conditions=bagged,
            min_leaf="min_samples_leaf",
        ),
        Algorithm(
            "extra_trees",
            f"sklearn.ensemble:ExtraTrees{suffix}",
            forest,
            {**forest_default, "bootstrap": False},
            conditions=bagged,
            min_leaf="min_samples_leaf",
        ),
        Algorithm(
            "linear",
            "sklearn.linear_model:LogisticRegression" if classify else "sklearn.linear_model:Ridge",
            {
                **(
                    {"C": FloatDistribution(1e-4, 1e3, log=True), **weights}
                    if classify
                    else {"alpha": FloatDistribution(1e-3, 1e4, log=True)}
                ),
                "scaler": CategoricalDistribution(("standard", "quantile", "spline")),
            },
            {**({"C": 1.0, **no_weight} if classify else {"alpha": 1.0}), "scaler": "standard"},
            preprocessing="scaled",
            fixed={"max_iter": 300} if classify else {},
            takes_n_jobs=False,  # has no effect and is deprecated in LogisticRegression
        ),
        Algorithm(
            "svm",
            "sklearn.svm:SVC" if classify else "sklearn.svm:SVR",
            {
                "C": FloatDistribution(0.03, 300.0, log=True),
                "gamma": CategoricalDistribution(("scale", 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)),
                **({} if classify else {"epsilon": FloatDistribution(0.001, 1.0, log=True)}),
                **scaler,
            },
            {"C": 1.0, "gamma": "scale", **({} if classify else {"epsilon": 0.1}), "scaler": "standard"},
            preprocessing="scaled",
            scale_target=True,
        ),
        Algorithm(
            "knn",
            f"sklearn.neighbors:KNeighbors{suffix}",
            {
                "n_neighbors": IntDistribution(1, 50, log=True),
                "weights": CategoricalDistribution(("uniform", "distance")),
                "p": CategoricalDistribution((2, 1)),
                **scaler,
            },
            {"n_neighbors": 5, "weights": "uniform", "p": 2, "scaler": "standard"},
            preprocessing="scaled",
        ),
        Algorithm(
            "mlp",
            f"sklearn.neural_network:MLP{suffix}",
            {
                "hidden_layer_sizes": IntDistribution(16, 128, log=True),
                "n_hidden_layers": IntDistribution(1, 2),
                "alpha": FloatDistribution(1e-6, 1.0, log=True),
                "learning_rate_init": FloatDistribution(3e-4, 0.03, log=True),
                "activation": CategoricalDistribution(("relu", "tanh")),
                "early_stopping": CategoricalDistribution((False, True)),
                **scaler,
            },
            {
                "hidden_layer_sizes": 100,
                "n_hidden_layers": 1,
                "alpha": 1e-4,
                "learning_rate_init": 1e-3,
                "activation": "relu",
                "early_stopping": False,
                "scaler": "standard",
            },
            preprocessing="scaled",
            translate=_layers,
            scale_target=True,
        ),
    ]
    return {algorithm.name: algorithm for algorithm in algorithms}
