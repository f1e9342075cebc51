"""What a search tells of itself while it runs: how much is done, the best so far, and what is fitted now."""

from __future__ import annotations

from typing import Any

import optuna
from optuna.trial import FrozenTrial

from autometa.evaluation import Job
from autometa.progress import Bar
from autometa.tuning._deadline import Deadline
from autometa.tuning._hands import Hands, Outcome
from autometa.wording import algorithm_name, number


class Watch:
    """Shows a search on a bar.

    Parameters
    ----------
    bar : Bar
    metric : str
        Name of the metric.
    n_trials : int
        The most trials.
    deadline : Deadline
    """

    def __init__(self, bar: Bar, metric: str, n_trials: int, deadline: Deadline) -> None:
        self._bar = bar
        self._metric = metric
        self._n_trials = n_trials
        self._deadline = deadline
        self._n_done = 0
        self._best = ""
        self._now = ""

    @property
    def share(self) -> float:
        """The part that is done: of the trials or of the time, whichever is more."""
        of_time = self._deadline.spent / self._deadline.seconds if self._deadline.seconds else 0.0
        return min(max(self._n_done / max(self._n_trials, 1), of_time), 1.0)

    def show(self, now: str) -> None:
        """Say what is done now."""
        self._now = now
        n = f"{self._n_done} trial{'s' * (self._n_done != 1)}"
        words = (n if self._n_done else "", self._best, f"now {self._now}" if self._now else "")
        self._bar.update(lambda: self.share, ", ".join(filter(None, words)))

    def begins(self, job: Job) -> None:
        """Say which fit begins."""
        fold = "on all rows" if job.fold is None else f"fold {job.fold + 1}"
        self.show(f"{algorithm_name(job.configuration.algorithm)}, {fold}")

    def ended(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Count a trial; the search calls this as Optuna calls its callbacks."""
        self._n_done += 1
        try:
            self._best = f"best {self._metric} {number(study.best_value)}"
        except ValueError:  # no trial is complete yet
            self._best = ""
        self.show(self._now)


class Watched:
    """Hands whose fits are shown when they begin.

    Parameters
    ----------
    hands : Hands
    watch : Watch
    """

    def __init__(self, hands: Hands, watch: Watch) -> None:
        self._hands = hands
        self._watch = watch

    @property
    def n_workers(self) -> int:
        """How many jobs are done at a time."""
        return self._hands.n_workers

    @property
    def n_idle(self) -> int:
        """How many more jobs can be taken now."""
        return self._hands.n_idle

    @property
    def is_busy(self) -> bool:
        """Whether any outcome is still to come."""
        return self._hands.is_busy

    def submit(self, key: Any, job: Job, limit: float) -> None:
        """Begin a job, and say so."""
        self._watch.begins(job)
        self._hands.submit(key, job, limit)

    def wait(self) -> list[tuple[Any, Outcome, float]]:
        """Wait for at least one outcome."""
        return self._hands.wait()

    def stop(self) -> None:
        """End whatever runs."""
        self._hands.stop()
