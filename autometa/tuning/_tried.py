"""What a search has tried: which candidates count, whose models are forgotten, and how what is open ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np

from autometa.errors import EvaluationError
from autometa.space import Configuration
from autometa.tuning._candidate import Candidate, Problem
from autometa.tuning._telling import INTERRUPTED, Reporter

FIRST_FAILURES: Final = 5
# Bytes of fitted models that are kept: beyond, those of the worst candidates go.
MODEL_BYTES: Final = 500_000_000


class Tried:
    """The candidates of one search.

    Parameters
    ----------
    problem : Problem
    reporter : Reporter
        Tells the study what came of them.

    Attributes
    ----------
    candidates : list of Candidate
        In the order in which they began.
    """

    def __init__(self, problem: Problem, reporter: Reporter) -> None:
        self._problem = problem
        self._reporter = reporter
        self.candidates: list[Candidate] = []

    @property
    def complete(self) -> list[Candidate]:
        """Candidates that were fitted on all folds that are compared, and whose models are there."""
        return [c for c in self.candidates if c.state == "complete" and c.fits]

    @property
    def usable(self) -> list[Candidate]:
        """Candidates that a model can be made of: those on all folds, or where there are none, on some."""
        return self.complete or [c for c in self.candidates if c.depth and c.state == "interrupted"]

    @property
    def ended(self) -> list[Candidate]:
        """Candidates that nothing more is fitted of, but for further folds of members."""
        return [c for c in self.candidates if c.state != "running"]

    @property
    def _failures(self) -> list[Candidate]:
        return [c for c in self.candidates if c.state in ("failed", "memory")]

    def same_as(self, configuration: Configuration) -> Candidate | None:
        """Return the first candidate of a configuration, if there is one."""
        return next((c for c in self.candidates if c.configuration == configuration), None)

    def forget(self, members: Sequence[Candidate]) -> None:
        """Drop the models of the worst candidates that are no members, where models take too much memory."""
        total = sum(c.n_bytes for c in self.complete)
        if total <= MODEL_BYTES or not members:
            return
        kept = set(map(id, members))
        sign = self._problem.task.metric.sign
        others = [c for c in self.complete if id(c) not in kept]
        for candidate in sorted(others, key=lambda c: sign * float(np.mean(c.scores))):
            if total <= MODEL_BYTES:
                break
            total -= candidate.n_bytes
            candidate.fits = {}

    def check(self, *, is_over: bool = False) -> None:
        """Raise where the first few candidates failed, or all of a search that is over."""
        failed = self._failures
        others = self.candidates if is_over else self.ended
        least = 1 if is_over else FIRST_FAILURES
        if len(failed) < least or len(failed) < len(others):
            return
        ((cause, count),) = Counter(c.reason for c in failed).most_common(1)
        raise EvaluationError(
            "AM801",
            f"all of the first {len(failed)} trials failed, {count} of them with: {cause}.",
            "Check the data and the metric.",
        )

    def close(self, depth: int, *, interrupted: bool) -> None:
        """End what is still open, so that no trial is left running.

        Parameters
        ----------
        depth : int
            Folds that candidates were compared on: those that were on all of these have scores of more by now.
        interrupted : bool
            Whether the user ended the search.
        """
        for candidate in self.candidates:
            if candidate.state == "complete" and depth < len(self._problem.splits):
                if candidate.fits:
                    candidate.scores = self._problem.fold_scores(candidate)
                self._reporter.tell(candidate, is_last=interrupted)
            elif candidate.state == "running":
                candidate.state = "interrupted"
                candidate.reason = INTERRUPTED if interrupted else "the time of the search ran out"
                self._reporter.tell(candidate, is_last=True)
