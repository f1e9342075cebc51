"""What a search found: the leaderboard, the choice, and where the time went."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import optuna
import pandas as pd
from optuna.trial import FrozenTrial, TrialState
from sklearn.pipeline import Pipeline

from autometa.errors import EvaluationError
from autometa.metrics import Metric
from autometa.notebook import render_search_card
from autometa.recommendation import Recommendation
from autometa.space import Configuration, SearchSpace
from autometa.tuning._deadline import TimeReport
from autometa.tuning._posterior import posterior_scores
from autometa.tuning._search import INTERRUPTED, OUT_OF_TIME
from autometa.tuning._warm_start import RANK_ATTRIBUTE

# Recommendations come with an interval that holds 80 % of a Gaussian.
_INTERVAL_WIDTH: Final = 2 * 1.2815515655446004

COLUMNS: Final = (
    "rank",
    "trial",
    "algorithm",
    "params",
    "score",
    "std",
    "expected",
    "seconds",
    "origin",
    "state",
    "reason",
)


@dataclass(frozen=True, eq=False)
class TuneResult:
    """What a search found.

    Attributes
    ----------
    study : optuna.Study
    leaderboard : DataFrame
        A row per trial: rank (1 is the best by `expected`), trial, algorithm, params, score (mean over folds, in
        natural units of the metric), std (over folds), expected (the score to be expected, see
        :func:`autometa.tuning.posterior_scores`), seconds, origin (``recommended`` or ``search``), state
        (``complete``, ``fail``, or ``interrupted`` by the user or by the end of the time), reason (of a failure).
    best_configuration : Configuration
        The best by expected score among those that could be fitted on all rows in time.
    best_by_cv : Configuration or None
        The one with the best mean over folds; None when no trial was finished in time.
    metric : Metric
    deadline : TimeReport
        Seconds planned and spent.
    interrupted : bool
        Whether the search was ended from the keyboard.
    recommendations : sequence of Recommendation
        What the search started from.
    pipelines : sequence of (Configuration, Pipeline)
        What was fitted on all rows, best first: `ensemble_size` of them, or fewer.
    """

    study: optuna.Study
    leaderboard: pd.DataFrame
    best_configuration: Configuration
    best_by_cv: Configuration | None
    metric: Metric
    deadline: TimeReport
    interrupted: bool
    recommendations: Sequence[Recommendation] = field(repr=False)
    pipelines: Sequence[tuple[Configuration, Pipeline]] = field(repr=False)

    @property
    def best_pipeline(self) -> Pipeline:
        """The pipeline of `best_configuration`, fitted on all rows.

        Raises
        ------
        EvaluationError
            AM802 when no configuration could be fitted on all rows.
        """
        if not self.pipelines:
            raise EvaluationError(
                "AM802",
                "no configuration could be fitted on all rows in the time that was left.",
                "The leaderboard is there; build a pipeline from best_configuration, or give more time.",
            )
        return self.pipelines[0][1]

    def _repr_html_(self) -> str:
        return render_search_card(self)

    def __repr__(self) -> str:
        best = self.best_configuration
        n_done = int((self.leaderboard["state"] == "complete").sum())
        trials = f"{n_done} of {len(self.leaderboard)} trials complete"
        return f"TuneResult({trials}, best: {best.algorithm} {dict(best.params)})"


def make_leaderboard(
    study: optuna.Study, space: SearchSpace, metric: Metric, recommendations: Iterable[Recommendation]
) -> pd.DataFrame:
    """Return a row per trial of a search, see :class:`TuneResult`.

    Parameters
    ----------
    study : optuna.Study
    space : SearchSpace
    metric : Metric
    recommendations : iterable of Recommendation
        Their expected scores are the prior, unless another metric stood in for `metric`.
    """
    trials = [t for t in study.get_trials(deepcopy=False) if t.state.is_finished() and "run" in t.user_attrs]
    frame = pd.DataFrame([_row(trial, space) for trial in trials], columns=list(COLUMNS))
    done = (frame["state"] == "complete").to_numpy()
    if done.any():
        frame.loc[done, "expected"] = _expected_scores(
            [t for t in trials if t.state == TrialState.COMPLETE],
            [] if metric.is_proxied else recommendations,
        )
    order = np.lexsort((frame["trial"], -metric.sign * frame["expected"].astype("float64"), ~done))
    frame = frame.iloc[order].reset_index(drop=True)
    frame["rank"] = np.arange(1, len(frame) + 1)
    return frame.astype({"score": "float64", "std": "float64", "expected": "float64", "seconds": "float64"})


def _row(trial: FrozenTrial, space: SearchSpace) -> dict[str, Any]:
    configuration = space.configuration(trial.params)
    run = trial.user_attrs["run"]
    is_complete = trial.state == TrialState.COMPLETE
    return {
        "rank": 0,
        "trial": trial.number,
        "algorithm": configuration.algorithm,
        "params": dict(configuration.params),
        "score": trial.value if is_complete else math.nan,
        "std": float(np.std(run["folds"])) if is_complete else math.nan,
        "expected": math.nan,
        "seconds": run.get("seconds", math.nan),
        "origin": "recommended" if RANK_ATTRIBUTE in trial.user_attrs else "search",
        "state": "interrupted" if run["reason"] in (INTERRUPTED, OUT_OF_TIME) else trial.state.name.lower(),
        "reason": run["reason"],
    }


def _expected_scores(trials: Sequence[FrozenTrial], recommendations: Iterable[Recommendation]) -> Any:
    prior = {
        r.configuration.id: (r.expected_score, (r.upper - r.lower) / _INTERVAL_WIDTH) for r in recommendations
    }
    none = (math.nan, math.nan)
    expected = np.array([prior.get(t.user_attrs["configuration_id"], none) for t in trials])
    folds = np.array([t.user_attrs["run"]["folds"] for t in trials], dtype="float64")
    return posterior_scores(folds, expected[:, 0], expected[:, 1])
