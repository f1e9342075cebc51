"""Configurations, algorithms with their hyperparameters, and the eight algorithms that autometa knows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from autometa.errors import UsageError
from autometa.space.axis import Axis, Value

FloatArray = NDArray[np.float64]
Preprocessing = Literal["scaled", "ordinal", "native"]

# Folds by which probabilities of a classifier without any are made.
CALIBRATION_FOLDS: Final = 3
# A kernel matrix of so many rows takes 7 GB.
KERNEL_ROWS: Final = 30_000
# The most rounds of boosting. A configuration that names them leaves it to early stopping how many are kept.
MAX_ROUNDS: Final = 2_000


def target_of(kind: str) -> str:
    """Return ``regression`` or ``classification``: configurations are shared by binary and multiclass tasks."""
    return "regression" if kind == "regression" else "classification"


@dataclass(frozen=True)
class Configuration:
    """An algorithm with values for its active hyperparameters.

    Attributes
    ----------
    algorithm : str
        Name of the algorithm.
    params : mapping of str to value
        Plain JSON values under the library's own names; read-only.
    origin : {"default", "space-filling", "tuned", "user"}, default="user"
        Where it comes from. It does not count when configurations are compared.
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
    max_rows : int, optional
        Not offered for larger tables.
    is_calibrated : bool, default=False
        Whether its probabilities come from folds of the training rows, each of which needs every class.
    design : mapping of str to optuna distribution, optional
        Narrower ranges in which the points of a space-filling design are drawn: what small tables need, and the ranges
        of the first version of the space, so that its points stay the same.
    title : str, default=""
        What reasons, tables and pages call it; its name where that is empty.
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
    max_rows: int | None = None
    is_calibrated: bool = False
    design: Mapping[str, BaseDistribution] = field(default_factory=dict)
    title: str = ""

    def __post_init__(self) -> None:
        problems = [name for name in self.default if name not in self.distributions]
        problems += [
            name
            for name in self.distributions
            if self.is_active(name, self.default) and not self.contains(name, self.default.get(name, ...))
        ]
        if problems:
            raise UsageError(
                "AM503",
                f"algorithm {self.name!r}: the default of {problems[0]!r} is missing or outside its distribution.",
                "Give a default for every active parameter.",
            )

    @cached_property
    def axes(self) -> dict[str, Axis]:
        """The coding of each parameter."""
        return {name: Axis.of(distribution) for name, distribution in self.distributions.items()}

    def is_active(self, name: str, params: Mapping[str, Value]) -> bool:
        """Whether a parameter counts, given the values of the others.

        Parameters
        ----------
        name : str
            The parameter.
        params : mapping of str to value
            The other parameters; only its parent is looked at.
        """
        if name not in self.conditions:
            return True
        parent, values = self.conditions[name]
        return params.get(parent) in values

    def contains(self, name: str, value: Any) -> bool:
        """Whether a value lies in the distribution of a parameter.

        Parameters
        ----------
        name : str
            The parameter.
        value : object
            Anything; what has another type lies outside.
        """
        return self.axes[name].holds(value)

    def default_configuration(self) -> Configuration:
        """Return the library's defaults."""
        return Configuration(self.name, self.default, "default")

    def from_unit(self, unit: Sequence[float]) -> Configuration:
        """Map a point of the unit cube to a configuration.

        Parameters
        ----------
        unit : sequence of float in [0, 1), one for each entry of `distributions`
            A categorical's default choice takes the first ``DEFAULT_CHOICE_WEIGHT`` of its axis.

        Returns
        -------
        Configuration
            With the parameters that are active.
        """
        axes = {**self.axes, **{name: Axis.of(distribution) for name, distribution in self.design.items()}}
        values = {
            name: axis.draw(u, self.default.get(name, ...))
            for (name, axis), u in zip(axes.items(), unit, strict=True)
        }
        active = {name: value for name, value in values.items() if self.is_active(name, values)}
        return Configuration(self.name, active, "space-filling")

    def encode(self, params: Mapping[str, Any]) -> FloatArray:
        """Place each parameter on [0, 1]: numbers by position in their range, choices by index; inactive is NaN.

        Parameters
        ----------
        params : mapping of str to value
            Those that are active; values outside their range are moved to its end.

        Returns
        -------
        ndarray of shape (n_parameters,)
            In the order of `distributions`.
        """
        found = np.full(len(self.axes), np.nan)
        for number, (name, axis) in enumerate(self.axes.items()):
            if name in params:
                (place,) = axis.place([params[name]])
                found[number] = min(max(place / axis.length, 0.0), 1.0)
        return found

    def fits(self, configuration: Configuration, n_rows: int, n_rarest: int) -> bool:
        """Whether a configuration can work at all on so few, or so many, rows.

        A tree must be able to split, neighbours must exist in every fold, a kernel matrix must stay affordable, and the
        folds by which a support vector machine is calibrated must each hold every class.

        Parameters
        ----------
        configuration : Configuration
            Of this algorithm.
        n_rows : int
            Of the table, of which two thirds train.
        n_rarest : int
            Rows of the rarest class; of a regression task, all.
        """
        params, n_train = configuration.params, n_rows * 2 // 3
        leaf = params.get(self.min_leaf) if self.min_leaf else None
        # Two leaves of twice the least size; a library's default is offered whatever the size.
        if isinstance(leaf, int) and configuration.origin != "default" and 4 * leaf > n_train:
            return False
        neighbours = params.get("n_neighbors")
        if isinstance(neighbours, int) and neighbours > n_train // 2:
            return False
        if self.max_rows is not None and n_rows > self.max_rows:
            return False
        return not self.is_calibrated or n_rarest >= 2 * CALIBRATION_FOLDS


def _layers(params: dict[str, Any]) -> dict[str, Any]:
    depth = params.pop("n_hidden_layers", 1)
    return {**params, "hidden_layer_sizes": (params["hidden_layer_sizes"],) * depth}


@lru_cache(maxsize=2)
def built_in(target: str) -> Mapping[str, Algorithm]:
    """Return the eight algorithms of a target; ranges follow the literature cited in ``docs/reference/space.md``."""
    classify = target == "classification"
    weights: dict[str, BaseDistribution] = (
        {"class_weight": CategoricalDistribution((None, "balanced"))} if classify else {}
    )
    no_weight: dict[str, Value] = {"class_weight": None} if classify else {}
    scaler: dict[str, BaseDistribution] = {"scaler": CategoricalDistribution(("standard", "quantile"))}
    forest: dict[str, BaseDistribution] = {
        "n_estimators": IntDistribution(50, 500, log=True),
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
    forest_design = {"n_estimators": IntDistribution(50, 200, log=True)}
    bagged: dict[str, tuple[str, tuple[Value, ...]]] = {"max_samples": ("bootstrap", (True,))}
    suffix = "Classifier" if classify else "Regressor"
    algorithms = [
        Algorithm(
            "lightgbm",
            f"lightgbm:LGBM{suffix}",
            {
                "n_estimators": IntDistribution(50, MAX_ROUNDS, log=True),
                "learning_rate": FloatDistribution(0.01, 0.3, log=True),
                "num_leaves": IntDistribution(4, 512, log=True),
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
            design={
                "n_estimators": IntDistribution(50, 400, log=True),
                "num_leaves": IntDistribution(4, 128, log=True),
            },
            title="LightGBM",
        ),
        Algorithm(
            "hist_gradient_boosting",
            f"sklearn.ensemble:HistGradientBoosting{suffix}",
            {
                "max_iter": IntDistribution(50, 1000, log=True),
                "learning_rate": FloatDistribution(0.01, 0.3, log=True),
                "max_leaf_nodes": IntDistribution(4, 512, log=True),
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
            design={
                "max_iter": IntDistribution(50, 300, log=True),
                "max_leaf_nodes": IntDistribution(4, 128, log=True),
            },
            title="Histogram gradient boosting",
        ),
        Algorithm(
            "random_forest",
            f"sklearn.ensemble:RandomForest{suffix}",
            forest,
            {**forest_default, "bootstrap": True, "max_samples": 1.0},
            conditions=bagged,
            min_leaf="min_samples_leaf",
            design=forest_design,
            title="Random forest",
        ),
        Algorithm(
            "extra_trees",
            f"sklearn.ensemble:ExtraTrees{suffix}",
            forest,
            {**forest_default, "bootstrap": False},
            conditions=bagged,
            min_leaf="min_samples_leaf",
            design=forest_design,
            title="Extra trees",
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
            title="Linear model",
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
            max_rows=KERNEL_ROWS,
            is_calibrated=classify,
            title="Support vector machine",
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
            title="Nearest neighbours",
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
            title="Neural network",
        ),
    ]
    return MappingProxyType({algorithm.name: algorithm for algorithm in algorithms})
