"""The one coding between what a distribution holds and a place on a line.

The space-filling design, the prior over past studies, the kernel and the fitting of suggestions all read it: an
:class:`Axis` for one parameter, an :class:`Encoder` for whole configurations of any search space.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

Value = str | int | float | bool | None
FloatArray = NDArray[np.float64]

# More than half of a design has the library's default of each choice: it is what most algorithms do best with.
DEFAULT_CHOICE_WEIGHT: Final = 0.6
# Optuna's own tolerance for values beside a grid of steps.
GRID_TOLERANCE: Final = 1e-8


@dataclass(frozen=True)
class Axis:
    """One parameter: a range, logarithmic or not, or choices.

    Attributes
    ----------
    low, high : int or float
        Ends of the range.
    log : bool, default=False
        Whether places are equally far apart in the logarithm.
    step : int or float, optional
        Distance of the values that the range holds; of a whole number at least 1.
    is_whole : bool, default=False
        Whether values are integers.
    choices : tuple, optional
        In place of a range.
    """

    low: float = 0.0
    high: float = 1.0
    log: bool = False
    step: float | None = None
    is_whole: bool = False
    choices: tuple[Any, ...] | None = None

    @classmethod
    def of(cls, *known: BaseDistribution) -> Self:
        """Join the distributions of one name: the widest range, logarithmic where most say so, or all choices.

        Raises
        ------
        ValueError
            For a distribution of a type that Optuna does not have.
        """
        if any(isinstance(d, CategoricalDistribution) for d in known):
            choices = {repr(c): c for d in known if isinstance(d, CategoricalDistribution) for c in d.choices}
            return cls(choices=tuple(choices.values()))
        ranges = [d for d in known if isinstance(d, (FloatDistribution, IntDistribution))]
        if len(ranges) < len(known):
            other = next(type(d).__name__ for d in known if d not in ranges)
            raise ValueError(f"has a distribution of an unknown type, {other}")
        low, high = min(d.low for d in ranges), max(d.high for d in ranges)
        log = low > 0 and 2 * sum(d.log for d in ranges) > len(ranges)
        step = ranges[0].step if len(ranges) == 1 else None
        return cls(low, high, log, step, all(isinstance(d, IntDistribution) for d in ranges))

    # -- places -------------------------------------------------------------------------------------------------

    def place(self, values: Sequence[Any]) -> FloatArray:
        """Return where values are: 0 to 1 within a range and beyond it outside, or the number of a choice.

        Returns
        -------
        ndarray of shape (n_values,)
            NaN for what has no place: an unknown choice, or what is not a number where one is needed.
        """
        if self.choices is not None:
            codes = {repr(choice): float(i) for i, choice in enumerate(self.choices)}
            return np.array([codes.get(repr(value), np.nan) for value in values])
        return self.place_numbers(np.array([float(v) if _is_number(v) else np.nan for v in values]))

    def place_numbers(self, numbers: FloatArray) -> FloatArray:
        """Return :meth:`place` of an array of numbers, on a range."""
        low, high = self._ends
        if self.log:
            # Zero and less are far below every logarithmic range, but not infinitely far.
            numbers = np.log(np.maximum(numbers, 1e-3 * self.low))
        return (numbers - low) / (high - low) if high > low else numbers * 0.0

    def numbers(self, places: FloatArray) -> FloatArray:
        """Return the numbers at places of the range, not rounded; the inverse of :meth:`place_numbers`."""
        low, high = self._ends
        numbers = low + places * (high - low)
        return np.exp(numbers) if self.log else numbers

    def value(self, place: float) -> Any:
        """Return what is at a place: a choice, or a number that is not rounded."""
        if self.choices is not None:
            return self.choices[int(place)]
        return float(self.numbers(np.asarray(place)))

    @property
    def length(self) -> float:
        """Place of the last value: 1 on a range, the number of the last choice (at least 1) among choices."""
        return 1.0 if self.choices is None else float(max(len(self.choices) - 1, 1))

    @property
    def _ends(self) -> tuple[float, float]:
        if self.log:
            return math.log(self.low), math.log(self.high)
        return float(self.low), float(self.high)

    # -- values -------------------------------------------------------------------------------------------------

    def draw(self, place: float, default: Any = ...) -> Value:
        """Return the value that a point of a space-filling design has.

        Parameters
        ----------
        place : float in [0, 1)
            Every whole number and every choice has an equal share; numbers have four significant digits.
        default : value, optional
            A choice that takes the first ``DEFAULT_CHOICE_WEIGHT`` of the axis.
        """
        if self.choices is not None:
            choices = list(self.choices)
            if default is not ... and len(choices) > 1:
                if place < DEFAULT_CHOICE_WEIGHT:
                    return default
                choices.remove(default)
                place = (place - DEFAULT_CHOICE_WEIGHT) / (1 - DEFAULT_CHOICE_WEIGHT)
            return choices[min(int(place * len(choices)), len(choices) - 1)]
        if self.is_whole and not self.log:
            step = self.step or 1
            steps = (self.high - self.low) // step + 1
            return int(self.low + min(int(place * steps), steps - 1) * step)
        number = float(self.numbers(np.asarray(place)))
        return self.nearest(number if self.is_whole else float(f"{number:.4g}"))

    def nearest(self, value: Any) -> Value:
        """Return the value that is nearest to a given one.

        Parameters
        ----------
        value : any
            A Python or numpy value.

        Returns
        -------
        str, int, float, bool or None
            A plain Python value.

        Raises
        ------
        ValueError
            When no value is near: an unknown choice, or something that is not a number where one is needed.
        """
        if isinstance(value, np.generic):
            value = value.item()
        if self.choices is not None:
            return _nearest_choice(value, self.choices)
        if not _is_number(value) or value != value:
            raise ValueError("is not a number")
        bounded = min(max(value, self.low), self.high)
        if self.is_whole:
            low, high, step = int(self.low), int(self.high), int(self.step or 1)
            # Integers stay integers: as floats, large ones would lose digits.
            whole = bounded if isinstance(bounded, int) else math.floor(bounded + 0.5)
            return min(low + (whole - low + step // 2) // step * step, high)
        number = float(bounded)
        if self.step is None:
            return number
        return float(min(self.low + round((number - self.low) / self.step) * self.step, self.high))

    def holds(self, value: Any) -> bool:
        """Whether a value is one of the axis, of the right type."""
        if self.choices is not None:
            return any(value is c or (value == c and type(value) is type(c)) for c in self.choices)
        number = int if self.is_whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, number) or not self.low <= value <= self.high:
            return False
        if self.step is None:
            return True
        steps = (value - self.low) / self.step
        return bool(abs(steps - round(steps)) < GRID_TOLERANCE)


def is_finite_number(value: Any) -> bool:
    """Whether a value is a number that arithmetic with floats can hold; integers may be too large for that."""
    return _is_number(value) and bool(abs(value) < 1e300)


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _nearest_choice(value: Any, choices: Sequence[Any]) -> Value:
    found = [choice for choice in choices if _is_same(choice, value)]
    if not found and is_finite_number(value):
        numbers = [choice for choice in choices if is_finite_number(choice)]
        found = sorted(numbers, key=lambda choice: abs(choice - value))
    if not found:
        raise ValueError(f"is not one of {list(choices)}")
    if not (found[0] is None or isinstance(found[0], (str, bool, int, float))):
        raise ValueError(f"is a {type(found[0]).__name__}, which does not survive a storage")
    return found[0]


def _is_same(choice: Any, value: Any) -> bool:
    """Equality that tells True from 1, but not 1 from 1.0 nor a list from a tuple."""
    if isinstance(choice, (list, tuple)) and isinstance(value, (list, tuple)):
        return list(choice) == list(value)
    if isinstance(choice, bool) or isinstance(value, bool) or not _is_number(value):
        return type(choice) is type(value) and bool(choice == value)
    return _is_number(choice) and bool(choice == value or (choice != choice and value != value))


# Stands for the value of a parameter that a configuration lacks.
ABSENT: Final[Any] = ...


class Encoder:
    """Places configurations on the axes of their parameters; a parameter that one lacks is NaN."""

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

    def encode(self, configurations: Sequence[Mapping[str, Any]]) -> FloatArray:
        """Return points of shape (len(configurations), n_parameters)."""
        points = np.full((len(configurations), len(self.names)), np.nan)
        for column, (name, axis) in enumerate(self.axes.items()):
            points[:, column] = axis.place([c.get(name, ABSENT) for c in configurations])
        return points

    def decode(self, point: FloatArray) -> dict[str, Any]:
        """Return the configuration at a point, without the parameters that it lacks."""
        named = zip(point, self.axes.items(), strict=True)
        return {name: axis.value(place) for place, (name, axis) in named if not np.isnan(place)}

    def snap(self, points: FloatArray, distributions: Mapping[str, BaseDistribution]) -> FloatArray:
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

    def bounds(self, distributions: Mapping[str, BaseDistribution]) -> tuple[FloatArray, FloatArray]:
        """Return the ends of these distributions on every axis; those of the axis where there is no distribution."""
        low, high = np.zeros(len(self.names)), np.ones(len(self.names))
        for column, (name, axis) in enumerate(self.axes.items()):
            distribution = distributions.get(name)
            if axis.choices is None and isinstance(distribution, (FloatDistribution, IntDistribution)):
                low[column], high[column] = axis.place([distribution.low, distribution.high])
        return low, high

    def features(self, points: FloatArray) -> FloatArray:
        """Return points of shape (n_points, n_features): choices one-hot, what a point lacks in the middle."""
        columns = []
        for column, axis in enumerate(self.axes.values()):
            values = points[:, column, None]
            if axis.choices is None:
                columns.append(np.where(np.isnan(values), 0.5, values))
            else:
                columns.append((values == np.arange(len(axis.choices))) * np.sqrt(0.5))
        return np.hstack(columns) if columns else np.zeros((len(points), 0))
