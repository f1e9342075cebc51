"""One limit on wall-clock time that everything in a search shares."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from autometa.errors import UsageError


@dataclass(frozen=True)
class TimeReport:
    """Where the time of a search went.

    Attributes
    ----------
    planned : float or None
        The limit in seconds, if there was one.
    spent : float
        Seconds from the first look at the data to the fitted pipeline.
    steps : mapping of str to float
        Seconds by step: ``recommend``, ``search``, ``refit``.
    """

    planned: float | None
    spent: float
    steps: Mapping[str, float]

    def __str__(self) -> str:
        limit = "no limit" if self.planned is None else f"limit {self.planned:.1f} s"
        steps = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in self.steps.items())
        return f"{self.spent:.1f} s ({limit}): {steps}"


class Deadline:
    """A limit on time that starts when it is made.

    Parameters
    ----------
    seconds : float or None
        None for no limit.
    """

    def __init__(self, seconds: float | None) -> None:
        if seconds is not None and not (math.isfinite(seconds) and seconds > 0):
            raise UsageError(
                "AM522", f"timeout must be a positive number of seconds, got {seconds!r}.", "Or pass None."
            )
        self.seconds = seconds
        self._start = time.monotonic()
        self._steps: dict[str, float] = {}

    @property
    def spent(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._start

    @property
    def remaining(self) -> float:
        """Seconds left, never negative; infinite without a limit."""
        return math.inf if self.seconds is None else max(self.seconds - self.spent, 0.0)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Book the time of a block under a name."""
        start = self.spent
        try:
            yield
        finally:
            self._steps[name] = self._steps.get(name, 0.0) + self.spent - start

    def report(self) -> TimeReport:
        """Return what was planned and what was spent."""
        return TimeReport(self.seconds, self.spent, dict(self._steps))
