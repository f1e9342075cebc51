"""What a search has tried, and what its study is told of it: which candidates count, and how what is open ends."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from autometa.errors import EvaluationError
from autometa.space import Configuration
from autometa.tuning._candidate import Candidate, Problem

Callback = Callable[[optuna.Study, FrozenTrial], object]

INTERRUPTED: Final = "interrupted"
FIRST_FAILURES: Final = 5
# Bytes of fitted models that are kept: beyond, those of the worst candidates go.
MODEL_BYTES: Final = 500_000_000


class Reporter:
    """Tells a study what came of its trials, each once.

    Parameters
    ----------
    study : optuna.Study
    problem : Problem
    callbacks : sequence of callable
        Called with the study and each trial that ends.
    """

    def __init__(self, study: optuna.Study, problem: Problem, callbacks: Sequence[Callback]) -> None:
        self._study = study
        self._problem = problem
        self._callbacks = callbacks
        self._told: set[int] = set()

    def tell(self, candidate: Candidate, duplicate_of: int | None = None, *, is_last: bool = False) -> None:
        """Tell the study what came of a candidate, and the callbacks, unless the search is being ended.

        Parameters
        ----------
        candidate : Candidate
            One that repeats a finished trial has none of its own, and one that was told already is not told again.
        duplicate_of : int, optional
            Number of the trial with the same configuration.
        is_last : bool, default=False
            Whether the search is being ended.
        """
        trial = candidate.trial
        if trial is None or trial.number in self._told:
            return
        self._told.add(trial.number)
        record = self._record(candidate)
        if duplicate_of is not None:
            record["duplicate_of"] = duplicate_of
        trial.set_user_attr("configuration_id", candidate.configuration.id)
        trial.set_user_attr("fidelity", record["n_train"])
        trial.set_user_attr("run", record)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if candidate.state == "complete":
                frozen = self._study.tell(trial, float(np.mean(candidate.scores)))
            elif candidate.state == "stopped":
                frozen = self._study.tell(trial, state=TrialState.PRUNED)
            else:
                frozen = self._study.tell(trial, state=TrialState.FAIL)
        for callback in () if is_last else self._callbacks:
            callback(self._study, frozen)

    def _record(self, candidate: Candidate) -> dict[str, Any]:
        """Return the run of a candidate as plain types, as experience keeps it."""
        fits = list(candidate.fits.values())
        status = {"complete": "ok", "interrupted": "failed"}.get(candidate.state, candidate.state)
        record: dict[str, Any] = {
            "status": status,
            "reason": INTERRUPTED if candidate.state == "interrupted" else candidate.reason,
            "fit_seconds": _mean([fit.fit_seconds for fit in fits]),
            "predict_seconds": _mean([fit.predict_seconds for fit in fits]),
            "n_train": fits[0].n_train if fits else self._problem.n_train,
            "n_folds": len(fits),
            "folds": list(candidate.scores),
            "seconds": candidate.seconds,
        }
        if candidate.state == "complete" and fits:
            rounds = [fit.rounds for fit in fits if fit.rounds]
            if rounds:
                record["rounds"] = round(float(np.mean(rounds)))
            scores = self._problem.all_scores(candidate)
            for name in scores[0]:
                values = np.array([score[name] for score in scores])
                if np.isfinite(values).all():
                    record[name] = float(values.mean())
                    record[f"{name}_std"] = float(values.std())
        return record


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else math.nan


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
        return next((c for c in self.candidates if c.configuration == configuration and not c.below), None)

    def forget(self, members: Sequence[Candidate]) -> None:
        """Drop the models of the worst candidates that are no members, where models take too much memory."""
        total = sum(c.n_bytes for c in self.complete)
        if total <= MODEL_BYTES or not members:
            return
        kept = {id(c) for member in members for c in (member, *member.below)}
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
        last = max((candidate.number for candidate in self.candidates), default=-1)
        for candidate in self.candidates:
            if candidate.below:
                # A second layer has no trials: its numbers come after theirs.
                candidate.number = last = last + 1
            if candidate.state == "complete" and depth < len(self._problem.splits):
                if candidate.fits:
                    candidate.scores = self._problem.fold_scores(candidate)
                self._reporter.tell(candidate, is_last=interrupted)
            elif candidate.state == "running":
                candidate.state = "interrupted"
                candidate.reason = INTERRUPTED if interrupted else "the time of the search ran out"
                self._reporter.tell(candidate, is_last=True)
