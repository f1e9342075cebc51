"""What is fitted without folds: the mean that experience expects most of, on as many rows as there is time for."""

from __future__ import annotations

import math
import pickle
from collections.abc import Mapping, Sequence
from typing import Any, Final

from autometa.evaluation import FoldFit, Job
from autometa.recommendation import Recommendation, Recommendations
from autometa.space import Configuration, SearchSpace, registered_algorithms, target_of
from autometa.tuning._assembly import build_model
from autometa.tuning._candidate import Problem
from autometa.tuning._deadline import Deadline
from autometa.tuning._hands import Hands
from autometa.tuning._strategy import Entry

# So many recommended pipelines are averaged.
ZERO_SHOT_MEMBERS: Final = 5
# So many more stand by, for those that cannot be fitted.
SPARE_MEMBERS: Final = 5


class ZeroShot:
    """A few configurations, each fitted once, and their mean.

    Parameters
    ----------
    problem : Problem
    deadline : Deadline
    size : int
        The most members; with 1, the model is a pipeline.
    slowness : float
        How many times longer than experience says a fit takes here.

    Attributes
    ----------
    fits : list of (Configuration, FoldFit, float)
        What was fitted, with weights.
    preparations : dict of str to bytes
        Pickled, by the names in the fits.
    failure : str
        Why the last one that failed did; empty where none did.
    """

    def __init__(self, problem: Problem, deadline: Deadline, size: int, slowness: float) -> None:
        self._problem = problem
        self._deadline = deadline
        self._size = size
        self._slowness = slowness
        self._threshold: float | None = None
        self.fits: list[tuple[Configuration, FoldFit, float]] = []
        self.preparations: dict[str, bytes] = {}
        self.failure = ""

    def fit(
        self,
        hands: Hands,
        entries: Sequence[Entry],
        known: Sequence[Recommendation],
        space: SearchSpace,
        rows: int | None,
    ) -> None:
        """Fit what should make the best mean, as far as the time goes.

        Parameters
        ----------
        hands : Hands
        entries : sequence of Entry
            The candidates of a search, in their order.
        known : sequence of Recommendation
        space : SearchSpace
        rows : int or None
            To train on; None for all.
        """
        n_rows = self._problem.task.n_rows
        share = (rows or self._problem.n_rows) / n_rows
        members, size = self._chosen(entries, known, space)
        for entry, weight in members:
            left = self._deadline.remaining
            if len(self.fits) == size or left <= 0:
                return
            if self._deadline.seconds is not None and self._slowness * entry.seconds * share > left:
                continue
            job = Job(
                entry.configuration,
                None,
                rows,
                0.8 * left,
                is_pipeline=self._size == 1,
                table_rows=self._problem.table_rows,
            )
            hands.submit(entry.configuration, job, left if math.isinf(left) else 0.9 * left)
            for configuration, outcome, _ in hands.wait():
                if isinstance(outcome, FoldFit):
                    self.fits.append((configuration, outcome, weight))
                    self.preparations |= outcome.preparations
                else:
                    self.failure = outcome.reason

    def _chosen(
        self, entries: Sequence[Entry], known: Sequence[Recommendation], space: SearchSpace
    ) -> tuple[list[tuple[Entry, float]], int]:
        """Return what to fit in its order, with weights, and how many of them make the model.

        What stands behind the members takes the place of those that cannot be fitted.
        """
        size = min(self._size, ZERO_SHOT_MEMBERS)
        others = [(entry, 1.0 / size) for entry in entries[: size + SPARE_MEMBERS]]
        registered = registered_algorithms()[target_of(self._problem.task.kind)]
        has_own = registered.keys() & set(space.algorithms)
        is_repeated = bool(entries) and entries[0].origin == "known"
        if size == 1 or has_own or is_repeated or not isinstance(known, Recommendations):
            return others, size
        left = self._deadline.remaining
        mixture = known.mixture(
            size, time_budget=None if math.isinf(left) else max(left / self._slowness, 1e-3)
        )
        self._threshold = mixture.threshold
        seconds = mixture.seconds / len(mixture.configurations)
        members = [
            (Entry(configuration, "recommended", seconds=seconds), weight)
            for configuration, weight in zip(mixture.configurations, mixture.weights, strict=True)
        ]
        chosen = set(mixture.configurations)
        spare = [(entry, min(mixture.weights)) for entry, _ in others if entry.configuration not in chosen]
        return members + spare, len(members)

    def model(self, preparations: Mapping[str, bytes]) -> Any:
        """Put the model together, with the preparations of all fits: the mean, or the only pipeline."""
        if self._size == 1:
            return pickle.loads(self.fits[0][1].model)
        members = [(fit, weight) for _, fit, weight in self.fits]
        model = build_model(self._problem, members, preparations)
        if self._threshold is not None:
            # The second class is predicted from this probability on.
            model.multipliers = [self._threshold, 1.0 - self._threshold]
        return model
