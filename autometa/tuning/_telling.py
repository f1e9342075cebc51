"""What a study is told of candidates: their scores, and the run as experience keeps it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from autometa.tuning._candidate import Candidate, Problem

Callback = Callable[[optuna.Study, FrozenTrial], object]

INTERRUPTED: Final = "interrupted"


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
