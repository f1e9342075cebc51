"""Configurations of any search space as points of a cube, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution

from autometa.axis import Axis

Array = NDArray[np.float64]
Params = Mapping[str, Any]

# Stands for the value of a parameter that a configuration lacks.
ABSENT: Final[Any] = ...


class Encoder:
    """Places configurations on the axes of their parameters; a parameter that one lacks is NaN.

    Parameters
    ----------
    axes : mapping of str to Axis
    """

    def __init__(self, axes: Mapping[str, Axis]) -> None:
        self.axes = dict(axes)
        self.names = list(self.axes)
        self.is_choice = np.array([axis.choices is not None for axis in self.axes.values()], dtype=bool)
        sizes = [1 if axis.choices is None else len(axis.choices) for axis in self.axes.values()]
        self.parameter_of_feature = np.repeat(np.arange(len(sizes)), sizes)

    @classmethod
    def of(cls, groups: Sequence[Mapping[str, BaseDistribution]]) -> Self:
        """Make the axes for studies that have these distributions."""
        names = sorted({name for group in groups for name in group})
        return cls({name: Axis.of(*(group[name] for group in groups if name in group)) for name in names})

    def extended(self, distributions: Mapping[str, BaseDistribution]) -> Encoder:
        """Return an encoder with further axes, after the known ones, for the names that this one lacks."""
        new = {name: Axis.of(d) for name, d in sorted(distributions.items()) if name not in self.axes}
        return Encoder({**self.axes, **new}) if new else self

    def encode(self, configurations: Sequence[Params]) -> Array:
        """Return points of shape (len(configurations), n_parameters)."""
        points = np.full((len(configurations), len(self.names)), np.nan)
        for column, (name, axis) in enumerate(self.axes.items()):
            points[:, column] = axis.place([c.get(name, ABSENT) for c in configurations])
        return points

    def decode(self, point: Array) -> dict[str, Any]:
        """Return the configuration at a point, without the parameters that it lacks."""
        named = zip(point, self.axes.items(), strict=True)
        return {name: axis.value(place) for place, (name, axis) in named if not np.isnan(place)}

    def snap(self, points: Array, distributions: Mapping[str, BaseDistribution]) -> Array:
        """Move numbers to values that these distributions hold, and into their ranges."""
        points = points.copy()
        for column, (name, axis) in enumerate(self.axes.items()):
            distribution = distributions.get(name)
            if axis.choices is not None or not isinstance(distribution, (FloatDistribution, IntDistribution)):
                continue
            own = Axis.of(distribution)
            numbers = np.clip(axis.numbers(points[:, column]), own.low, own.high)
            if own.step is not None:
                numbers = own.low + np.round((numbers - own.low) / own.step) * own.step
            points[:, column] = axis.place_numbers(numbers)
        return points

    def bounds(self, distributions: Mapping[str, BaseDistribution]) -> tuple[Array, Array]:
        """Return the ends of these distributions on every axis; those of the axis where there is no distribution."""
        low, high = np.zeros(len(self.names)), np.ones(len(self.names))
        for column, (name, axis) in enumerate(self.axes.items()):
            distribution = distributions.get(name)
            if axis.choices is None and isinstance(distribution, (FloatDistribution, IntDistribution)):
                low[column], high[column] = axis.place([distribution.low, distribution.high])
        return low, high

    def features(self, points: Array) -> Array:
        """Return points of shape (n_points, n_features): choices one-hot, what a point lacks in the middle."""
        columns = []
        for column, axis in enumerate(self.axes.values()):
            values = points[:, column, None]
            if axis.choices is None:
                columns.append(np.where(np.isnan(values), 0.5, values))
            else:
                columns.append((values == np.arange(len(axis.choices))) * np.sqrt(0.5))
        return np.hstack(columns) if columns else np.zeros((len(points), 0))
