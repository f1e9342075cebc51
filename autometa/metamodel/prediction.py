"""What the meta-model says about configurations on one task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from autometa.metamodel.portfolio import safe_portfolio

FloatArray = NDArray[np.float64]

PRICE_OF_DOUBLING: Final = 0.01
BUDGET_SHARE: Final = 0.1


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the meta-model says about configurations on one task.

    Attributes
    ----------
    configuration_ids : list of str
    regret, regret_spread : ndarray of shape (n_configurations,)
        Expected normalised regret in [0, 2] and its standard deviation.
    level, lower, upper : ndarray of shape (n_configurations,)
        Expected share of the way from the best constant prediction (0) to a perfect one (1), with an 80 % interval.
    seconds : ndarray of shape (n_configurations,)
        CPU seconds of one fit and prediction, one thread.
    memory : ndarray of shape (n_configurations,)
        Peak memory of them in 10^6 bytes, beside the table.
    scenarios : ndarray of shape (n_tasks, n_configurations)
        Regrets on the known tasks, moved so that their weighted mean is `regret`.
    weights : ndarray of shape (n_tasks,)
        How much each known task counts; sums to 1.
    defaults : list of int
        Positions of the library defaults.
    novelty : float in [0, 1]
    """

    configuration_ids: list[str]
    regret: FloatArray
    regret_spread: FloatArray
    level: FloatArray
    lower: FloatArray
    upper: FloatArray
    seconds: FloatArray
    memory: FloatArray
    scenarios: FloatArray
    weights: FloatArray
    defaults: list[int]
    novelty: float

    def portfolio(
        self, k: int, allowed: NDArray[np.bool_] | None = None, time_budget: float | None = None
    ) -> list[int]:
        """Choose `k` configurations as a set, a library default among the first.

        The first one is that of the lowest expected regret, where each doubling of the time counts for a hundredth.

        Parameters
        ----------
        k : int
        allowed : ndarray of bool, shape (n_configurations,), optional
        time_budget : float, optional
            Seconds. With it, all but the first are chosen by what they gain per second; see :meth:`costs`.
        """
        columns = np.arange(len(self.regret)) if allowed is None else np.flatnonzero(allowed)
        costs = None if time_budget is None else self.costs(time_budget)[columns]
        price = self.regret[columns] + PRICE_OF_DOUBLING * np.log2(np.maximum(self.seconds[columns], 1e-9))
        chosen = safe_portfolio(
            self.scenarios[:, columns],
            k,
            first=int(np.argmin(price)),
            weights=self.weights,
            expected=self.regret[columns],
            defaults=np.flatnonzero(np.isin(columns, self.defaults)).tolist(),
            costs=costs,
        )
        return columns[chosen].tolist()

    def costs(self, time_budget: float) -> FloatArray:
        """Return what each configuration costs where time is limited: its seconds and a tenth of the budget."""
        return np.asarray(self.seconds + BUDGET_SHARE * time_budget)
