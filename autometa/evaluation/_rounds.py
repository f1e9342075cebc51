"""How many rounds of boosting are right: found on rows that are left out, for each half of them by the other."""

from __future__ import annotations

import time
import warnings
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

# After so many CPU seconds boosting ends with the rounds that it has: slower models are of no use to a search.
MOST_SECONDS: Final = 6.0


def patience_of(rate: float) -> int:
    """Return after how many rounds without a gain boosting ends: a small rate needs longer to show it."""
    return int(np.clip(3.0 / rate, 30, 100))


def fit_by_halves(
    pipeline: Pipeline,
    train: tuple[Any, NDArray[Any]],
    test: tuple[Any, NDArray[Any]],
    sample_weight: NDArray[Any] | None = None,
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
    sample_weight : ndarray of shape (n_train,), optional
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
    ready, left_out = prepare.fit_transform(X_train, y_train), prepare.transform(X_test)
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
            **({} if sample_weight is None else {"sample_weight": sample_weight}),
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
