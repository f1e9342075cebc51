"""Configurations of any search space as points of a cube, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

Array = NDArray[np.float64]
Params = Mapping[str, Any]

_ABSENT: Final = object()


@dataclass(frozen=True)
class Axis:
    """One parameter: a range, logarithmic or not, or choices; what all studies that have it leave room for."""

    low: float = 0.0
    high: float = 1.0
    log: bool = False
    choices: tuple[Any, ...] | None = None

    @classmethod
    def of(cls, known: Sequence[BaseDistribution]) -> Self:
        """Join the distributions of several studies: the widest range, logarithmic where most say so."""
        if any(isinstance(d, CategoricalDistribution) for d in known):
            choices = {repr(c): c for d in known if isinstance(d, CategoricalDistribution) for c in d.choices}
            return cls(choices=tuple(choices.values()))
        low = min(d.low for d in known)  # type: ignore[attr-defined]
        high = max(d.high for d in known)  # type: ignore[attr-defined]
        log = low > 0 and 2 * sum(d.log for d in known) > len(known)  # type: ignore[attr-defined]
        return cls(float(low), float(high), log)

    def encode(self, values: Sequence[Any]) -> Array:
        """Return places in the range, or the numbers of the choices; NaN where there is no such value."""
        if self.choices is not None:
            codes = {repr(choice): float(i) for i, choice in enumerate(self.choices)}
            return np.array([codes.get(repr(value), np.nan) for value in values])
        # What was a choice in one study and is a number in another says nothing here.
        numbers = np.array([float(v) if isinstance(v, (int, float)) else np.nan for v in values])
        return self.place(numbers)

    def place(self, numbers: Array) -> Array:
        """Return where numbers are on a range, 0 to 1, and beyond it outside."""
        low, high = self._ends
        if self.log:
            numbers = np.log(np.maximum(numbers, 1e-3 * self.low))
        return (numbers - low) / (high - low) if high > low else numbers * 0.0

    def decode(self, places: Array) -> Array:
        """Return the numbers at places of the range; the inverse of :meth:`place`."""
        low, high = self._ends
        numbers = low + places * (high - low)
        return np.exp(numbers) if self.log else numbers

    @property
    def _ends(self) -> tuple[float, float]:
        return (float(np.log(self.low)), float(np.log(self.high))) if self.log else (self.low, self.high)


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
        return cls({name: Axis.of([group[name] for group in groups if name in group]) for name in names})

    def extended(self, distributions: Mapping[str, BaseDistribution]) -> Encoder:
        """Return an encoder with further axes, after the known ones, for the names that this one lacks."""
        new = {name: Axis.of([d]) for name, d in sorted(distributions.items()) if name not in self.axes}
        return Encoder({**self.axes, **new}) if new else self

    def encode(self, configurations: Sequence[Params]) -> Array:
        """Return points of shape (len(configurations), n_parameters)."""
        points = np.full((len(configurations), len(self.names)), np.nan)
        for column, (name, axis) in enumerate(self.axes.items()):
            points[:, column] = axis.encode([c.get(name, _ABSENT) for c in configurations])
        return points

    def decode(self, point: Array) -> dict[str, Any]:
        """Return the configuration at a point, without the parameters that it lacks."""
        found: dict[str, Any] = {}
        for place, (name, axis) in zip(point, self.axes.items(), strict=True):
            if not np.isnan(place):
                found[name] = (
                    axis.choices[int(place)] if axis.choices is not None else float(axis.decode(place))
                )
        return found

    def snap(self, points: Array, distributions: Mapping[str, BaseDistribution]) -> Array:
        """Move numbers to values that these distributions hold, and into their ranges."""
        points = points.copy()
        for column, (name, axis) in enumerate(self.axes.items()):
            distribution = distributions.get(name)
            if axis.choices is not None or not isinstance(distribution, (FloatDistribution, IntDistribution)):
                continue
            numbers = np.clip(axis.decode(points[:, column]), distribution.low, distribution.high)
            if distribution.step is not None:
                steps = np.round((numbers - distribution.low) / distribution.step)
                numbers = distribution.low + steps * distribution.step
            points[:, column] = axis.place(numbers)
        return points

    def bounds(self, distributions: Mapping[str, BaseDistribution]) -> tuple[Array, Array]:
        """Return the ends of these distributions on every axis; those of the axis where there is no distribution."""
        low, high = np.zeros(len(self.names)), np.ones(len(self.names))
        for column, (name, axis) in enumerate(self.axes.items()):
            distribution = distributions.get(name)
            if axis.choices is None and isinstance(distribution, (FloatDistribution, IntDistribution)):
                low[column], high[column] = axis.place(np.array([distribution.low, distribution.high], float))
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
