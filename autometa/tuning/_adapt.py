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
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState

from autometa.errors import UsageError
from autometa.space import Algorithm
from autometa.space.axis import ABSENT, Axis, Value, is_finite_number

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
            fitted[name] = Axis.of(distributions[name]).nearest(value)
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
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or fitted == value or value != value:
        return False
    # A float that went through a grid of steps may come back with another last digit.
    return not (is_finite_number(value) and math.isclose(fitted, value, rel_tol=1e-12))  # type: ignore[arg-type]


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


class Part:
    """The part of one algorithm's space that a study searches, and what stands outside of it.

    Parameters
    ----------
    algorithm : Algorithm
    space : mapping of str to optuna distribution, optional
        The study's; without it, it is what trials show.
    fixed : mapping of str to value, optional
        Parameters that the study does not search; others have the library's defaults.

    Raises
    ------
    UsageError
        AM526 when `fixed` names what the algorithm does not have or the study searches, or gives it no possible value.
    """

    def __init__(
        self,
        algorithm: Algorithm,
        space: Mapping[str, BaseDistribution] | None = None,
        fixed: Mapping[str, Any] | None = None,
    ) -> None:
        self.algorithm = algorithm
        self._space = space
        self._fixed = fixed
        for name, value in (fixed or {}).items():
            if name not in algorithm.distributions:
                known = ", ".join(algorithm.distributions)
                raise UsageError("AM526", f"fixed: {algorithm.name} has no {name!r}.", f"It has: {known}.")
            if space is not None and name in space:
                raise UsageError(
                    "AM526", f"fixed: {name!r} is in the space too.", "Leave it out of one of them."
                )
            if np.isnan(algorithm.axes[name].place([value])[0]):
                raise UsageError("AM526", f"fixed: {name}={value!r} is no value of {algorithm.name}'s.")

    def outside(self, trials: Sequence[FrozenTrial] = ()) -> dict[str, Value] | None:
        """Return the parameters outside of the study's space, or None where nobody knows yet.

        A parameter that no trial had a reason to ask for, since its parent never had the value, is not outside.

        Returns
        -------
        dict of str to value, or None
            ``ABSENT`` for one that does not count beside the other values outside.
        """
        fixed = dict(self._fixed or {})
        own = self.algorithm.distributions
        if self._space is not None:
            names = [name for name in own if name not in self._space]
        else:
            shown = {name for trial in trials for name in trial.params}
            whole = [
                t.params for t in trials if t.state == TrialState.COMPLETE and t.params.keys() & own.keys()
            ]
            if not whole and self._fixed is None:
                return None
            names = [n for n in own if n not in shown and any(self._could_ask(n, params) for params in whole)]
        values = {**self.algorithm.default, **fixed}
        return {name: values.get(name, ABSENT) for name in own if name in fixed or name in names}

    def _could_ask(self, name: str, params: Mapping[str, Any]) -> bool:
        return self.algorithm.is_active(name, {**self.algorithm.default, **(self._fixed or {}), **params})

    def inside(self, params: Mapping[str, Value], outside: Mapping[str, Value]) -> dict[str, Value]:
        """Return the parameters that the study asks for."""
        return {name: value for name, value in params.items() if name not in outside}
