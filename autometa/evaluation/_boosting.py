"""When boosting ends: where rows left out gain no more, or the time is up."""

from __future__ import annotations

import time
import warnings
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from autometa import distinct

# After so many CPU seconds boosting ends with the rounds that it has: slower models are of no use to a search.
MOST_SECONDS: Final = 6.0
# What one tree of LightGBM takes to predict a row, and to be written down and read again: 31 leaves, a slow core.
SECONDS_OF_ROW: Final = 2e-7
SECONDS_OF_TREE: Final = 2e-4
# More trees than this do not stay in the cache, and take up to so many times as long: 6,462 took 6.6e-7 each.
CACHED_TREES: Final = 2_000
TIMES_UNCACHED: Final = 3.0
# Where there is time for few rounds, boosting goes faster: rounds times the rate are this many, and no rate is larger.
ENOUGH_STEPS: Final = 3.0
MOST_RATE: Final = 0.3


def patience_of(rate: float) -> int:
    """Return after how many rounds without a gain boosting ends: a small rate needs longer to show it."""
    return int(np.clip(3.0 / rate, 30, 100))


def is_lightgbm(model: Any) -> bool:
    """Whether a model is LightGBM's."""
    return type(model).__name__ in ("LGBMClassifier", "LGBMRegressor")


class StopAt:
    """Ends LightGBM at a moment of the monotonic clock, less what comes after the last round.

    Where there is time for few rounds only, the rate of a regression grows, so that what is cut says more than the mean
    of the target and a little. On 22 tables six rounds at a rate of .3 left 29 % less of the squared error than at .1,
    and were worse on one. Of two classes it gains little, and probabilities of more become worse.

    Parameters
    ----------
    end : float
    n_trees : int
        That a round makes.
    n_rows : int
        That they predict after the last round, before they are written down.
    most_rate : float, default=0.0
        To which the rate may grow.

    Attributes
    ----------
    made : float
        Share of the rounds that there was time for.
    """

    order = 40  # after early stopping has looked
    before_iteration = False

    def __init__(self, end: float, n_trees: int, n_rows: int, most_rate: float = 0.0) -> None:
        self._end = end
        self._n_trees = n_trees
        self._n_rows = n_rows
        self._most_rate = most_rate
        self._start = 0.0
        self._steps = 0.0
        self.made = 1.0

    def __call__(self, env: Any) -> None:
        from lightgbm import EarlyStopException

        made = env.iteration + 1
        left = self._end - self._seconds_after(made) - time.monotonic()
        if left <= 0 and made < env.end_iteration:
            self.made = made / env.end_iteration
            raise EarlyStopException(env.iteration, env.evaluation_result_list or [])
        self._steps += env.params["learning_rate"]
        if made == 1:
            self._start = time.monotonic()  # the first round sorts the values, too
            return
        to_come = max(left * (made - 1) / max(time.monotonic() - self._start, 1e-6), 1.0)
        rate = min((ENOUGH_STEPS - self._steps) / to_come, self._most_rate)
        if made + to_come < env.end_iteration and rate > env.params["learning_rate"]:
            env.model.reset_parameter({"learning_rate": rate})
            env.params["learning_rate"] = rate

    def _seconds_after(self, made: int) -> float:
        trees = self._n_trees * made
        slow = min(max(trees / CACHED_TREES, 1.0), TIMES_UNCACHED)
        return trees * (slow * SECONDS_OF_ROW * self._n_rows + SECONDS_OF_TREE)


def fit_by_halves(
    pipeline: Pipeline,
    train: tuple[Any, NDArray[Any]],
    test: tuple[Any, NDArray[Any]],
    *,
    seed: int = 0,
) -> tuple[NDArray[Any], float]:
    """Fit boosting, and predict each half of the rows left out with the rounds at which the other half is best.

    No row has a say in how many rounds its own prediction is made with, so that early stopping does not flatter.

    Parameters
    ----------
    pipeline : Pipeline
        With LightGBM as its last step; fitted in place.
    train, test : (X, y)
    seed : int, default=0
        Deals the rows left out into halves.

    Returns
    -------
    prediction : ndarray of shape (n_test,) or (n_test, n_classes)
    rounds : float
        Mean of the two numbers of rounds.
    """
    model, prepare = pipeline[-1], pipeline[:-1]
    (X_train, y_train), (X_test, y_test) = train, test
    ready = distinct.fit_transform(prepare, X_train, y_train)
    left_out = distinct.transform(prepare, X_test)
    is_first = np.random.default_rng(seed).permutation(len(y_test)) % 2 == 0
    is_classifier = hasattr(model, "predict_proba")
    is_known = np.isin(y_test, np.unique(y_train)) if is_classifier else np.ones(len(y_test), dtype=bool)
    halves = [is_first & is_known, ~is_first & is_known]
    watch = _Watch(patience_of(model.learning_rate), time.process_time() + MOST_SECONDS)
    balanced = getattr(model, "class_weight", None) == "balanced"
    with warnings.catch_warnings():
        # LightGBM 4.7 calls eval_set deprecated; those before know no other name.
        warnings.simplefilter("ignore", FutureWarning)
        model.fit(
            ready,
            y_train,
            eval_set=[(left_out[half], y_test[half]) for half in halves],
            callbacks=[watch],
            **({"eval_class_weight": ["balanced"] * 2} if balanced else {}),
        )
    predict = model.predict_proba if is_classifier else model.predict
    first, second = (np.asarray(predict(left_out, num_iteration=n)) for n in watch.rounds)
    chosen = is_first if first.ndim == 1 else is_first[:, None]
    return np.where(chosen, second, first), float(np.mean(watch.rounds))


class _Watch:
    """Ends boosting when neither half gains any more, or the time is up."""

    order = 40
    before_iteration = False

    def __init__(self, patience: int, end: float) -> None:
        self._patience = patience
        self._end = end
        self._best = [np.inf, np.inf]
        self._is_done = [False, False]
        self.rounds = [1, 1]

    def __call__(self, env: Any) -> None:
        from lightgbm import EarlyStopException

        made = env.iteration + 1
        for number, entry in enumerate(env.evaluation_result_list):
            # A half that has waited long enough has chosen, however long the other one takes.
            if not self._is_done[number] and entry[2] < self._best[number]:
                self._best[number], self.rounds[number] = entry[2], made
            self._is_done[number] |= made - self.rounds[number] >= self._patience
        if (all(self._is_done) or time.process_time() >= self._end) and made < env.end_iteration:
            raise EarlyStopException(env.iteration, env.evaluation_result_list)
