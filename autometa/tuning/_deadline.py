"""Time: one limit that everything in a search shares, and how long a fit should take on this machine."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from autometa.errors import UsageError
from autometa.evaluation import Failure, FoldFit
from autometa.space import Configuration
from autometa.tuning._candidate import Candidate, Problem


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


class Pace:
    """The speed of this machine, by algorithm."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        # How many times longer than expected fits took, and seconds for each row.
        self._slowness: dict[str, list[float]] = {}
        self._by_row: dict[str, list[float]] = {}
        self._ended_once: set[str] = set()

    def knows(self, algorithm: str) -> bool:
        """Whether a fit of an algorithm was seen to its end."""
        return algorithm in self._by_row

    def expected(self, configuration: Configuration, seconds: float, max_rows: int | None) -> float:
        """Seconds that a fit on one fold should take, by experience and by what was seen here; 0 if nothing says.

        Parameters
        ----------
        configuration : Configuration
        seconds : float
            That a fit on all rows takes by experience; NaN where nothing is known.
        max_rows : int or None
            Rows to train on; None for all of a fold.
        """
        n_train = min(self._problem.n_train, max_rows or self._problem.n_train)
        if math.isfinite(seconds):
            slowness = self._slowness.get(configuration.algorithm) or [
                ratio for ratios in self._slowness.values() for ratio in ratios
            ]
            return float(np.median(slowness or [1.0])) * seconds * n_train / len(self._problem.y)
        return float(np.median(self._by_row.get(configuration.algorithm, [0.0]))) * n_train

    def note(self, candidate: Candidate, fit: FoldFit, seconds: float) -> None:
        """Note how long a fit took, but for preparations, which others share."""
        spent = fit.fit_seconds + fit.predict_seconds
        seconds *= 1 - fit.shared_seconds / spent if spent > 0 else 1.0
        algorithm = candidate.configuration.algorithm
        if math.isfinite(candidate.expected_seconds) and candidate.expected_seconds > 0:
            share = fit.n_train / len(self._problem.y)
            self._slowness.setdefault(algorithm, []).append(seconds / (candidate.expected_seconds * share))
        self._by_row.setdefault(algorithm, []).append(seconds / fit.n_train)

    def note_failure(self, candidate: Candidate, outcome: Failure, seconds: float) -> None:
        """Note a fit that was ended since it took so long: others of the algorithm will hardly be quicker.

        The first one of an algorithm may have prepared the table all the time, and does not count.
        """
        algorithm = candidate.configuration.algorithm
        if not self.knows(algorithm) and algorithm not in self._ended_once:
            self._ended_once.add(algorithm)
            return
        if outcome.status == "timeout" and candidate.expected_seconds > 0:
            n_train = min(self._problem.n_train, candidate.max_rows or self._problem.n_train)
            ratio = seconds * len(self._problem.y) / (candidate.expected_seconds * n_train)
            self._slowness.setdefault(algorithm, []).append(2 * ratio)
