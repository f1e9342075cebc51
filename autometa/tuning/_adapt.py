"""Fitting a suggestion to the distributions of a search space, so that Optuna need not.

Left to itself, Optuna runs a number outside its range, drops an unknown name without a word, and raises inside the
user's objective on an unknown choice.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, Final, Literal

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from autometa.errors import UsageError
from autometa.space import Value

Policy = Literal["clip", "drop", "error"]
Conditions = Mapping[str, Sequence[tuple[str, Sequence[Value]]]]

POLICIES: Final = ("clip", "drop", "error")


@dataclass(frozen=True)
class Change:
    """What was done to one value of a suggestion.

    Attributes
    ----------
    name : str
    action : {"clipped", "removed", "unknown", "inactive"}
        Moved to the nearest value of its distribution; taken out because there is none; taken out because the
        space has no such parameter; taken out because another value switches the parameter off.
    before, after : value
        `after` is None unless the value was clipped.
    reason : str
    """

    name: str
    action: Literal["clipped", "removed", "unknown", "inactive"]
    before: Any
    after: Value
    reason: str

    @property
    def is_misfit(self) -> bool:
        """Whether the value did not fit, rather than having no place at all."""
        return self.action in ("clipped", "removed")

    def __str__(self) -> str:
        done = f"clipped to {self.after!r}" if self.action == "clipped" else "left out"
        return f"{self.name}={self.before!r} {self.reason}; {done}"


@dataclass(frozen=True)
class Adaptation:
    """A suggestion after it was fitted to a space.

    Attributes
    ----------
    params : dict of str to value
        Every value lies in its distribution. Empty where the suggestion was dropped.
    changes : tuple of Change
    dropped : bool
        Whether nothing of the suggestion can be used.
    """

    params: dict[str, Value]
    changes: tuple[Change, ...] = ()
    dropped: bool = False


def fit_value(value: Any, distribution: BaseDistribution) -> Value:
    """Return the value of a distribution that is nearest to a given one.

    Parameters
    ----------
    value : any
        A Python or numpy value.
    distribution : optuna distribution

    Returns
    -------
    str, int, float, bool or None
        A plain Python value that the distribution contains.

    Raises
    ------
    ValueError
        When no value is near: an unknown choice, or something that is not a number where one is needed.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(distribution, CategoricalDistribution):
        return _nearest_choice(value, distribution.choices)
    if not _is_number(value) or value != value:
        raise ValueError("is not a number")
    if isinstance(distribution, IntDistribution):
        low, step = distribution.low, distribution.step
        bounded = min(max(value, low), distribution.high)
        # Integers stay integers: as floats, large ones would lose digits.
        whole = bounded if isinstance(bounded, int) else math.floor(bounded + 0.5)
        return min(low + (whole - low + step // 2) // step * step, distribution.high)
    if isinstance(distribution, FloatDistribution):
        number = float(min(max(value, distribution.low), distribution.high))
        if distribution.step is not None:
            steps = round((number - distribution.low) / distribution.step)
            number = min(distribution.low + steps * distribution.step, distribution.high)
        return number
    raise ValueError(f"has a distribution of an unknown type, {type(distribution).__name__}")


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _is_finite(value: Any) -> bool:
    """Whether a value is a number that arithmetic with floats can hold; integers may be too large for that."""
    return _is_number(value) and bool(abs(value) < 1e300)


def _nearest_choice(value: Any, choices: Sequence[Any]) -> Value:
    found = [choice for choice in choices if _is_same(choice, value)]
    if not found and _is_finite(value):
        numbers = [choice for choice in choices if _is_finite(choice)]
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


def adapt(
    params: Mapping[str, Any],
    distributions: Mapping[str, BaseDistribution],
    policy: Policy = "clip",
    *,
    conditions: Conditions | None = None,
) -> Adaptation:
    """Fit a suggestion to a search space.

    Parameters
    ----------
    params : mapping of str to value
    distributions : mapping of str to optuna distribution
        The space. Names that it lacks are left out, whatever the policy: Optuna would ignore them in silence.
    policy : {"clip", "drop", "error"}, default="clip"
        For values that do not fit: move them to the nearest value, or leave the parameter out where none is near;
        drop the whole suggestion; or raise.
    conditions : mapping of str to sequence of (parent, values), optional
        A parameter counts only where each of its parents counts and has one of the values; else it is left out.

    Returns
    -------
    Adaptation

    Raises
    ------
    UsageError
        AM501 when a value does not fit and the policy is ``"error"``, or when there is no such policy.
    """
    if policy not in POLICIES:
        raise UsageError(
            "AM501", f"policy {policy!r} is not known.", f"Choose one of: {', '.join(POLICIES)}."
        )
    fitted: dict[str, Value] = {}
    changes: list[Change] = []
    for name, value in params.items():
        if name not in distributions:
            changes.append(Change(name, "unknown", value, None, "is not in the search space"))
            continue
        try:
            fitted[name] = fit_value(value, distributions[name])
        except ValueError as error:
            changes.append(Change(name, "removed", value, None, str(error)))
            continue
        if _differs(fitted[name], value):
            changes.append(Change(name, "clipped", value, fitted[name], _why(value, distributions[name])))
    for name in [name for name in fitted if not _is_active(name, fitted, conditions or {})]:
        changes.append(Change(name, "inactive", fitted.pop(name), None, "is not active"))
    misfits = [change for change in changes if change.is_misfit]
    if misfits and policy == "error":
        raise UsageError("AM501", f"{misfits[0].name}={misfits[0].before!r} {misfits[0].reason}.", _CURE)
    if not fitted or (misfits and policy == "drop"):
        return Adaptation({}, tuple(changes), dropped=True)
    return Adaptation(fitted, tuple(changes))


_CURE: Final = "Widen the search space, or use policy='clip' or policy='drop'."


def _differs(fitted: Value, value: Any) -> bool:
    if isinstance(value, np.generic):
        value = value.item()
    if not _is_number(value) or fitted == value or value != value:
        return False
    # A float that went through a grid of steps may come back with another last digit.
    return not (_is_finite(value) and math.isclose(fitted, value, rel_tol=1e-12))  # type: ignore[arg-type]


def _why(value: Any, distribution: BaseDistribution) -> str:
    if isinstance(distribution, CategoricalDistribution):
        return f"is not one of {list(distribution.choices)}"
    low, high = distribution.low, distribution.high  # type: ignore[attr-defined]
    if not low <= value <= high:
        return f"is outside [{low}, {high}]"
    return f"is not on the grid of [{low}, {high}]"


def _is_active(name: str, params: Mapping[str, Value], conditions: Conditions) -> bool:
    return all(
        parent in params and params[parent] in values and _is_active(parent, params, conditions)
        for parent, values in conditions.get(name, ())
    )
