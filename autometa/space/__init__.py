"""The search space: the algorithms that may solve one kind of task, those of users among them.

Beside it, boosted models whose rounds early stopping finds: what large tables want and no space-filling design reaches.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
)

from autometa.errors import UsageError
from autometa.space.algorithms import MAX_ROUNDS, Algorithm, Configuration, built_in, target_of
from autometa.space.axis import Value
from autometa.space.encoders import encodings

__all__ = [
    "SPACE_VERSION",
    "VALID_SPACES",
    "Algorithm",
    "Configuration",
    "SearchSpace",
    "Value",
    "built_in_algorithms",
    "register_algorithm",
    "registered_algorithms",
    "target_of",
    "unregister_algorithm",
]

FloatArray = NDArray[np.float64]
SPACE_VERSION: Final = 2
# Versions whose every point lies in this one: what was run in them stays valid.
VALID_SPACES: Final = (1, 2)

# Origin of configurations of the dense part that were chosen with a reason.
CHOSEN: Final = "chosen"
BOOSTER: Final = "lightgbm"
# Changes to the defaults of boosting whose rounds early stopping finds. Rates, leaves and shares of columns span what
# it is run with on tables of ten thousand rows and more (Gorishniy et al. 2021, table of LightGBM's tuned values;
# LightGBM's own guide for larger trees); the shallow and the strongly bound ones are for targets that are nearly
# additive, or noisy.
LARGER: Final[Sequence[Mapping[str, Any]]] = (
    {"learning_rate": 0.05, "num_leaves": 63, "min_child_samples": 10, "colsample_bytree": 0.8},
    {"learning_rate": 0.03, "num_leaves": 15, "min_child_samples": 30, "colsample_bytree": 0.5},
    {
        "learning_rate": 0.03,
        "num_leaves": 128,
        "min_child_samples": 5,
        "colsample_bytree": 0.6,
        "subsample": 0.8,
        "reg_lambda": 1.0,
    },
    {"learning_rate": 0.05, "num_leaves": 31, "min_child_samples": 40, "reg_lambda": 10.0},
)
_ALL: Final[Sequence[Mapping[str, Any]]] = (
    {},
    *LARGER,
    {
        "learning_rate": 0.05,
        "num_leaves": 400,
        "min_child_samples": 20,
        "subsample": 0.8,
        "reg_lambda": 3.0,
    },
    {"learning_rate": 0.08, "num_leaves": 6, "min_child_samples": 20, "colsample_bytree": 0.6},
)
_LAST: Final[Mapping[str, Mapping[str, Any]]] = {
    "classification": {
        "class_weight": "balanced",
        "learning_rate": 0.05,
        "num_leaves": 31,
        "colsample_bytree": 0.7,
    },
    "regression": {
        "learning_rate": 0.03,
        "num_leaves": 48,
        "min_child_samples": 100,
        "colsample_bytree": 0.4,
        "subsample": 0.6,
        "reg_lambda": 10.0,
    },
}


class SearchSpace:
    """The algorithms that may solve one kind of task, in a fixed order.

    Parameters
    ----------
    algorithms : iterable of Algorithm
        No two of one name.
    """

    def __init__(self, algorithms: Iterable[Algorithm]) -> None:
        self.algorithms: Mapping[str, Algorithm] = MappingProxyType({a.name: a for a in algorithms})

    @classmethod
    def for_kind(cls, kind: str, algorithms: str | Sequence[str] | None = None) -> SearchSpace:
        """Return the space of a kind of task, restricted to some algorithms if asked.

        Parameters
        ----------
        kind : {"binary", "multiclass", "classification", "regression"}
        algorithms : str, sequence of str or None, default=None
            Names; None for all.

        Raises
        ------
        UsageError
            AM504 when an algorithm is not known.
        """
        target = target_of(kind)
        known = {**built_in(target), **_registered[target]}
        if algorithms is None:
            return cls(known.values())
        names = [algorithms] if isinstance(algorithms, str) else list(algorithms)
        for name in names:
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                hint = f"Did you mean {close[0]!r}?" if close else f"Known are: {', '.join(known)}."
                raise UsageError("AM504", f"algorithm {name!r} is not known for {target}.", hint)
        return cls(known[name] for name in names)

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
        """Let an Optuna trial choose a configuration, conditional parameters after their parents.

        Parameters
        ----------
        trial : optuna.Trial
            Its study's sampler decides.

        Returns
        -------
        Configuration
            With the parameters that are active.
        """
        name = trial.suggest_categorical("algorithm", tuple(self.algorithms))
        algorithm = self[name]
        values: dict[str, Value] = {}
        for parameter in algorithm.distributions:
            if algorithm.is_active(parameter, values):
                distribution = algorithm.distributions[parameter]
                values[parameter] = _ask(trial, f"{name}__{parameter}", distribution)
        return Configuration(name, values)

    def configuration(self, joint: Mapping[str, Value], origin: str = "user") -> Configuration:
        """Read a configuration from the names of the joint space.

        Parameters
        ----------
        joint : mapping of str to value
            ``algorithm`` and ``<algorithm>__<parameter>``; parameters of other algorithms are left out.
        origin : {"default", "space-filling", "tuned", "user"}, default="user"
            What the configuration says of its origin.

        Returns
        -------
        Configuration
            As given; :meth:`problems` says whether it is valid.

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
        """Return what is wrong with a configuration, a sentence each; empty when it is valid.

        Parameters
        ----------
        configuration : Configuration
            Of any origin.
        """
        if configuration.algorithm not in self:
            return [f"algorithm {configuration.algorithm!r} is not known"]
        algorithm, params = self[configuration.algorithm], configuration.params
        found = [
            f"parameter {name!r} is not known"
            for name in params
            if name not in algorithm.distributions and name not in encodings()
        ]
        found += [
            f"{name}={params[name]!r} is outside its range"
            for name, distribution in encodings().items()
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

    def suits(self, configuration: Configuration, n_rows: int, n_rarest: int) -> bool:
        """Whether a configuration can be made and can work on a table.

        Parameters
        ----------
        configuration : Configuration
            Of any origin.
        n_rows, n_rarest : int
            Rows of the table, and of its rarest class; see :attr:`autometa.task.Task.n_rarest`.
        """
        if configuration.algorithm not in self or self.problems(configuration):
            return False
        return self[configuration.algorithm].fits(configuration, n_rows, n_rarest)

    def design(self, n: int, seed: int = 0) -> list[Configuration]:
        """Return `n` configurations of each algorithm: the default, then a scrambled Sobol sequence.

        The first configurations of a longer design equal those of a shorter one with the same seed. They are
        ordered in rounds, one of each algorithm, so that a design that is cut off is still balanced.

        Parameters
        ----------
        n : int
            How many of each algorithm.
        seed : int, default=0
            Of the scrambling.
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

    def encode(self, configurations: Sequence[Configuration]) -> FloatArray:
        """Return one row per configuration: a column per algorithm, then every parameter's place in its range.

        Parameters
        ----------
        configurations : sequence of Configuration
            Of algorithms of this space.

        Returns
        -------
        ndarray of shape (n_configurations, n_algorithms + n_parameters)
            NaN for the parameters of other algorithms and inactive ones.
        """
        starts = np.cumsum([len(self), *(len(algorithm.axes) for algorithm in self)])
        order = {name: position for position, name in enumerate(self.algorithms)}
        table = np.full((len(configurations), starts[-1]), np.nan)
        table[:, : len(self)] = 0.0
        for row, configuration in zip(table, configurations, strict=True):
            position = order[configuration.algorithm]
            row[position] = 1.0
            row[starts[position] : starts[position + 1]] = self[configuration.algorithm].encode(
                configuration.params
            )
        return table

    def signature(self) -> str:
        """Return a hash of every distribution and condition: it changes when the space changes."""
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


def _ask(trial: Any, name: str, distribution: BaseDistribution) -> Value:
    """Let a trial choose a value of a distribution."""
    value: Value
    if isinstance(distribution, CategoricalDistribution):
        value = trial.suggest_categorical(name, distribution.choices)
    elif isinstance(distribution, IntDistribution):
        value = trial.suggest_int(
            name, distribution.low, distribution.high, step=distribution.step, log=distribution.log
        )
    elif isinstance(distribution, FloatDistribution):
        value = trial.suggest_float(
            name, distribution.low, distribution.high, step=distribution.step, log=distribution.log
        )
    else:
        raise UsageError(
            "AM503", f"{name} has a distribution of an unknown type, {type(distribution).__name__}."
        )
    return value


_registered: dict[str, dict[str, Algorithm]] = {"classification": {}, "regression": {}}


def register_algorithm(algorithm: Algorithm, kinds: Sequence[str] = ("classification", "regression")) -> None:
    """Add an algorithm of one's own to the search space of this process, or replace one of the same name.

    Parameters
    ----------
    algorithm : Algorithm
        Its name stands for it in studies, in `algorithms=` and on the leaderboard.
    kinds : sequence of {"classification", "regression"}, default=both
        Kinds of tasks that it may solve.
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
    return list(built_in(target_of(kind)).values())


def grown_configurations(target: str) -> list[Configuration]:
    """Return the boosted models of a target whose rounds are found: LightGBM's default first, then seven others.

    Parameters
    ----------
    target : {"classification", "regression"}
    """
    default = built_in(target)[BOOSTER].default
    return [
        Configuration(BOOSTER, {**default, **change, "n_estimators": MAX_ROUNDS}, CHOSEN)
        for change in (*_ALL, _LAST[target])
    ]


def finds_rounds(configuration: Configuration) -> bool:
    """Whether a configuration leaves its number of rounds to early stopping."""
    return configuration.algorithm == BOOSTER and configuration.params.get("n_estimators") == MAX_ROUNDS
