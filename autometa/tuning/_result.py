"""What a search found: the model, the leaderboard, and where the time went."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import optuna
import pandas as pd
from numpy.typing import NDArray
from optuna.trial import FrozenTrial, TrialState
from scipy.special import expit, logit
from sklearn import config_context
from sklearn.pipeline import Pipeline

from autometa.evaluation import fit_pipeline
from autometa.metrics import Metric, baseline_scores
from autometa.notebook import render_search_card
from autometa.pipelines import build_pipeline
from autometa.recommendation import Recommendation, code_of
from autometa.recommendation.mixture import build_ensemble, fit_weighted
from autometa.space import Configuration, SearchSpace
from autometa.task import Task
from autometa.tuning._candidate import Candidate
from autometa.tuning._schedule import TimeReport
from autometa.tuning._selection import INTERRUPTED
from autometa.tuning._strategy import origin_of
from autometa.wording import SECOND_LAYER

# Recommendations come with an interval that holds 80 % of a Gaussian.
_INTERVAL_WIDTH: Final = 2 * 1.2815515655446004

COLUMNS: Final = (
    *("rank", "trial", "algorithm", "params", "score", "std", "expected"),
    *("weight", "adds", "folds", "seconds", "origin", "state", "reason"),
)

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TuneResult:
    """What a search found.

    Attributes
    ----------
    model : EnsembleClassifier, EnsembleRegressor or Pipeline
        What to use: it takes the user's table and gives the user's labels. A weighted mean of models of the folds, or
        with ``ensemble_size=1`` one pipeline, fitted on all rows; an ensemble of one for labels such as dates.
    leaderboard : DataFrame
        A row per trial: rank (1 is the best by `expected`), trial, algorithm, params, score (mean over folds, in
        natural units of the metric), std (over folds), expected (the score to be expected, see
        :func:`autometa.tuning.posterior_scores`), weight (in the model; 0 for what is no member), adds (what the
        member adds to the metric of the whole, in natural units; positive is better), folds (fitted), seconds, origin
        (``recommended``, ``default`` or ``search``; ``second layer`` for a member that reads the predictions of others
        and is no trial: its number comes after theirs), state (``complete``; ``stopped`` where it could not help;
        ``failed``; ``timeout``; ``memory``; ``interrupted`` by the user or by the end of the time), reason.
    study : optuna.Study
    best_configuration : Configuration
        The best single one, by expected score.
    best_by_cv : Configuration or None
        The one with the best mean over folds; None when no trial was finished in time.
    metric : Metric
    deadline : TimeReport
        Seconds planned and spent.
    interrupted : bool
        Whether the search was ended from the keyboard.
    note : str
        An honest word about the model, where it is not what a search with time enough would have given.
    score : float
        Of the model on rows that its parts were not fitted on, in natural units; NaN where there are none.
    fold_scores : list of float
        The same on each fold.
    baselines : dict of str to float
        The score of the best ``constant`` and, where it was tried, of LightGBM's ``default``.
    history : DataFrame
        seconds, trial, score: of the best model so far, after each trial that changed it.
    oof : ndarray of shape (n_rows,) or (n_rows, n_classes)
        Out-of-fold predictions of the model; NaN for rows that no fold tested on.
    recommendations : sequence of Recommendation
        What the search started from.
    task : Task
        The table as it was read.
    layer : sequence of int, default=()
        Numbers of the trials whose predictions the second layer reads.
    rounds : int or None, default=None
        Rounds that early stopping found for the best single configuration, where it boosts.
    sample_weight : ndarray of shape (n_rows,) or None, default=None
        As it was given to the search.
    random_state : int, default=0
        Seed of the fits.
    """

    model: Any
    leaderboard: pd.DataFrame
    study: optuna.Study
    best_configuration: Configuration
    best_by_cv: Configuration | None
    metric: Metric
    deadline: TimeReport
    interrupted: bool
    note: str
    score: float
    fold_scores: Sequence[float]
    baselines: Mapping[str, float]
    history: pd.DataFrame = field(repr=False)
    oof: NDArray[np.float64] = field(repr=False)
    recommendations: Sequence[Recommendation] = field(repr=False)
    task: Task = field(repr=False)
    layer: Sequence[int] = field(default=(), repr=False)
    rounds: int | None = field(default=None, repr=False)
    sample_weight: NDArray[np.float64] | None = field(default=None, repr=False)
    random_state: int = field(default=0, repr=False)

    @cached_property
    def best_pipeline(self) -> Pipeline:
        """The best single pipeline, fitted on all rows when it is first asked for.

        Labels of which scikit-learn learns no classes, such as dates, are text; ``task.given_labels`` has the own ones.
        """
        if isinstance(self.model, Pipeline):
            return self.model
        with config_context(enable_metadata_routing=False):
            return fit_pipeline(
                self.task,
                self.best_configuration,
                sample_weight=self.sample_weight,
                random_state=self.random_state,
                rounds=self.rounds,
            )

    def refitted(self) -> Any:
        """Return the members as one scikit-learn estimator, each fitted once on all rows.

        A second layer is no part of it: its weight goes in equal shares to the members that it reads. Its labels are
        those of :attr:`best_pipeline`.

        Returns
        -------
        VotingClassifier, VotingRegressor or Pipeline
            Of scikit-learn and LightGBM objects only; quicker to predict than models of folds, and about as good.
        """
        estimator = self._estimator()
        frame = self.task.X
        return fit_weighted(estimator, frame, self.task.y.to_numpy(), self.sample_weight)

    def to_code(self, *, target: str | None = None, data: str = "data.csv", read: str = "") -> str:
        """Return a Python script that builds, scores and fits the members without autometa.

        Parameters
        ----------
        target : str, optional
            Name of the target column.
        data : str, default="data.csv"
            Path of the table.
        read : str, default=""
            Python expression that reads the table, where its suffix does not say how.
        """
        return code_of(self._estimator(), self.task, target, data, read)

    def _estimator(self) -> Any:
        """Return the members unfitted, with the rounds that early stopping found."""
        board = self.leaderboard
        second = board["origin"] == SECOND_LAYER
        shared = board.loc[second, "weight"].sum() / max(len(self.layer), 1)
        weights = board["weight"] + shared * board["trial"].isin(list(self.layer))
        rows = board.assign(weight=weights)[(weights > 0) & ~second].to_dict("records")
        if len(rows) < 2:
            found = [self._with_rounds(self.best_configuration, self.rounds)]
            return build_pipeline(found[0], self.task, random_state=self.random_state)
        runs = {trial.number: trial.user_attrs["run"] for trial in self.study.get_trials(deepcopy=False)
                if "run" in trial.user_attrs}  # fmt: skip
        configurations = [
            self._with_rounds(
                Configuration(row["algorithm"], row["params"]), runs[row["trial"]].get("rounds")
            )
            for row in rows
        ]
        return build_ensemble(
            configurations, [row["weight"] for row in rows], self.task, random_state=self.random_state
        )

    @staticmethod
    def _with_rounds(configuration: Configuration, rounds: int | None) -> Configuration:
        if rounds is None or configuration.algorithm != "lightgbm":
            return configuration
        return Configuration(configuration.algorithm, {**configuration.params, "n_estimators": rounds})

    def report(self, path: str | Path) -> None:
        """Write the search as one HTML page that needs nothing else.

        Parameters
        ----------
        path : str or Path
            The file, which is written whole or not at all.

        Raises
        ------
        DependencyError
            AM706 when the extra ``report`` is not installed.
        StorageError
            AM609 when the file cannot be written.
        """
        from autometa.report.search import write_search

        write_search(self, path)

    def _repr_html_(self) -> str:
        return render_search_card(self)

    @property
    def trials(self) -> pd.DataFrame:
        """The rows of the leaderboard without a second layer, which is no trial."""
        return self.leaderboard[self.leaderboard["origin"] != SECOND_LAYER]

    @property
    def made_of(self) -> str:
        """What the model is made of, in a few words."""
        n_members, n_read = len(self.members), len(self.layer)
        if n_members > 1:
            n_second = int((self.members["origin"] == SECOND_LAYER).sum())
            over = f", {n_second} of them a second layer over {n_read}" if n_read else ""
            return f"a mean of {n_members} configurations{over}"
        return f"a second layer over {n_read} configurations" if n_read else "one configuration"

    @property
    def members(self) -> pd.DataFrame:
        """The rows of the leaderboard that the model is made of, the heaviest first."""
        return self.leaderboard[self.leaderboard["weight"] > 0].sort_values("weight", ascending=False)

    def __repr__(self) -> str:
        best = self.best_configuration
        trials = self.trials
        n_done = int((trials["state"] == "complete").sum())
        return (
            f"TuneResult({n_done} of {len(trials)} trials complete, {self.made_of}, "
            f"{self.metric.name} {self.score:.4g}, best single: {best.algorithm} {dict(best.params)})"
        )


def make_leaderboard(
    study: optuna.Study,
    space: SearchSpace,
    metric: Metric,
    recommendations: Iterable[Recommendation],
    members: Mapping[int, tuple[float, float]] = {},  # read only
    second: Sequence[Candidate] = (),
) -> pd.DataFrame:
    """Return a row per trial of a search, see :class:`TuneResult`.

    Parameters
    ----------
    study : optuna.Study
    space : SearchSpace
    metric : Metric
    recommendations : iterable of Recommendation
        Their expected scores are the prior, unless another metric stood in for `metric`.
    members : mapping of int to (float, float)
        Weight and gain by the number of the trial.
    second : sequence of Candidate
        Members of a second layer, which are no trials.
    """
    trials = [t for t in study.get_trials(deepcopy=False) if t.state.is_finished() and "run" in t.user_attrs]
    rows = [_row(trial, space, *members.get(trial.number, (0.0, 0.0))) for trial in trials]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    done = (frame["state"] == "complete").to_numpy()
    if done.any():
        frame.loc[done, "expected"] = _expected_scores(
            [t for t in trials if t.state == TrialState.COMPLETE],
            [] if metric.is_proxied else recommendations,
        )
    if second:
        frame = pd.concat([frame, pd.DataFrame([_second_row(c, *members[c.number]) for c in second])])
        done = (frame["state"] == "complete").to_numpy()
    order = np.lexsort((frame["trial"], -metric.sign * frame["expected"].astype("float64"), ~done))
    frame = frame.iloc[order].reset_index(drop=True)
    frame["rank"] = np.arange(1, len(frame) + 1)
    numbers = ("score", "std", "expected", "weight", "adds", "seconds")
    return frame.astype(dict.fromkeys(numbers, "float64"))


def _row(trial: FrozenTrial, space: SearchSpace, weight: float, adds: float) -> dict[str, Any]:
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
        "weight": weight,
        "adds": adds,
        "folds": run["n_folds"],
        "seconds": run.get("seconds", math.nan),
        "origin": origin_of(trial),
        "state": _state(trial),
        "reason": run["reason"],
    }


def _second_row(candidate: Candidate, weight: float, adds: float) -> dict[str, Any]:
    score = float(np.mean(candidate.scores))
    return {
        "rank": 0,
        "trial": candidate.number,
        "algorithm": candidate.configuration.algorithm,
        "params": dict(candidate.configuration.params),
        "score": score,
        "std": float(np.std(candidate.scores)),
        "expected": score,
        "weight": weight,
        "adds": adds,
        "folds": len(candidate.fits),
        "seconds": candidate.seconds,
        "origin": candidate.origin,
        "state": "complete",
        "reason": "reads predictions of trials " + ", ".join(str(c.number) for c in candidate.below),
    }


def _state(trial: FrozenTrial) -> str:
    run = trial.user_attrs["run"]
    if trial.state == TrialState.COMPLETE:
        return "complete"
    if run["reason"] == INTERRUPTED:
        return "interrupted"
    return "failed" if run["status"] == "ok" else str(run["status"])


def _expected_scores(trials: Sequence[FrozenTrial], recommendations: Iterable[Recommendation]) -> Any:
    prior = {
        r.configuration.id: (r.expected_score, (r.upper - r.lower) / _INTERVAL_WIDTH) for r in recommendations
    }
    none = (math.nan, math.nan)
    expected = np.array([prior.get(t.user_attrs["configuration_id"], none) for t in trials])
    folds = [t.user_attrs["run"]["folds"] for t in trials]
    if len({len(scores) for scores in folds}) > 1:
        # Some folds were too small for the metric: only the means compare.
        folds = [[float(np.mean(scores))] for scores in folds]
    return posterior_scores(np.array(folds, dtype="float64"), expected[:, 0], expected[:, 1])


# -- what to believe about a score: the luckiest folds must not win ----------------------------------------------------

# With fewer misses, their spread says less than the prior's own.
MIN_RESIDUALS: Final = 5
# Of so many trials the prior knows nothing: between a twentieth and two fifths makes no difference beyond the errors
# (docs/research/search.md).
OUTLIERS: Final = 0.1


def posterior_scores(folds: FloatArray, expected: FloatArray, expected_spread: FloatArray) -> FloatArray:
    """Shrink cross-validated means towards what was expected of them, weighing both as Gaussians.

    Parameters
    ----------
    folds : ndarray of shape (n_trials, n_folds)
        Scores on the same folds.
    expected, expected_spread : ndarray of shape (n_trials,)
        Mean and standard deviation of the prior; NaN where there is none: then the median of all scores and their
        spread stand in.

    Returns
    -------
    ndarray of shape (n_trials,)
        Posterior means, in the unit of the scores.

    Notes
    -----
    How hard the task is shifts all scores alike, and a prior made on other tasks knows it badly: the expected scores
    are first moved by the median of what they missed. With five of them or more, their spread is what they still
    miss then, less the noise; the prior's own spread is mostly about the shift. Spreads are 1.48 times the median
    absolute deviation. A tenth of the trials are taken to be outliers, which miss as widely as the prior itself says: a
    mixture of two Gaussians (Box and Tiao 1968, A Bayesian approach to some outlier problems), in which a miss far
    beyond those of the others and beyond the noise stands as it was measured.
    """
    scores = folds.mean(axis=1)
    noise = _noise(folds)
    center, width = float(np.median(scores)), _spread(scores)
    has_prior = np.isfinite(expected) & np.isfinite(expected_spread)
    misses = (scores - expected)[has_prior]
    shift = float(np.median(misses)) if has_prior.any() else 0.0
    prior = np.where(has_prior, expected + shift, center)
    belief = np.where(has_prior, expected_spread, width) ** 2
    if len(misses) >= MIN_RESIDUALS:
        belief[has_prior] = max(_spread(misses) ** 2 - float(np.median(noise)), 0.0)
    wide = np.where(has_prior, np.maximum(expected_spread**2, belief), belief)
    usual, outlying = (np.maximum(noise + variance, np.finfo(float).tiny) for variance in (belief, wide))
    with np.errstate(over="ignore"):
        odds = 0.5 * np.log(usual / outlying) + 0.5 * (scores - prior) ** 2 * (1 / usual - 1 / outlying)
    share = expit(odds + logit(OUTLIERS))
    trust = (1 - share) * _trust(belief, noise) + share * _trust(wide, noise)
    return np.asarray(prior + trust * (scores - prior))


def _trust(belief: FloatArray, noise: FloatArray) -> FloatArray:
    """What the measured mean counts beside the prior; all where there is no doubt on either side."""
    total = noise + belief
    return np.divide(belief, total, out=np.ones_like(total), where=total > 0)


def _noise(folds: FloatArray) -> FloatArray:
    """Variance of each mean over folds, once what the folds do to all trials alike is taken out.

    It is averaged, half and half, with the median over trials: a few folds say little about a variance.
    """
    n_folds = folds.shape[1]
    if n_folds < 2:
        return np.zeros(len(folds))
    own = (folds - np.median(folds, axis=0)).var(axis=1, ddof=1) / n_folds
    return np.asarray(0.5 * own + 0.5 * np.median(own))


def _spread(values: Any) -> float:
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))


def best_by_cv(leaderboard: pd.DataFrame, sign: int) -> Configuration | None:
    """Return the configuration with the best mean over its folds, if any has one."""
    done = leaderboard[(leaderboard["state"] == "complete") & (leaderboard["origin"] != SECOND_LAYER)]
    if done.empty:
        return None
    best = done.loc[(sign * done["score"]).idxmax()]
    return Configuration(best["algorithm"], best["params"])


def baselines_of(leaderboard: pd.DataFrame, task: Task, default: Configuration) -> dict[str, float]:
    """Return the scores of the best constant prediction and of LightGBM's default, as far as they are known."""
    constants = baseline_scores(task.kind, task.y)
    found = {}
    if task.metric.name in constants:
        found["constant"] = constants[task.metric.name]
    for row in leaderboard[leaderboard["state"] == "complete"].to_dict("records"):
        if row["origin"] == SECOND_LAYER:
            continue
        if Configuration(row["algorithm"], row["params"]) == default:
            found["default"] = row["score"]
    return found
