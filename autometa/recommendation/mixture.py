"""The zero-shot ensemble: the weighted mean of recommended pipelines, chosen without fitting any.

Which members, with what weights, and from which probability on a class is predicted, follows from what is expected of
each: the first few of the portfolio (which complement each other on the known tasks), at most two of an algorithm, each
the less the more regret is expected of it. See ``docs/explanation/zero-shot-ensemble.md`` for what was measured.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from autometa.errors import UsageError
from autometa.space import Configuration
from autometa.task import Task

if TYPE_CHECKING:
    from sklearn.ensemble import VotingClassifier, VotingRegressor
    from sklearn.model_selection import FixedThresholdClassifier

# Measured on development tables, whose families are not among the reported ones.
TEMPERATURE: Final = 0.2
LEAD: Final = 2.0
MOST_OF_AN_ALGORITHM: Final = 2
# For the order of rows, experience by area under the curve and by log-loss add to each other.
ORDER_LEADERS: Final = ("roc_auc", "log_loss")
CLASS_WEIGHT: Final = "class_weight"


@dataclass(frozen=True)
class Candidates:
    """What leads by one metric or several, the best to try first.

    Attributes
    ----------
    configurations : tuple of Configuration
    regret : ndarray of shape (n_candidates,)
        Expected normalised regret, 0 (best known) to 2.
    seconds : ndarray of shape (n_candidates,)
        Expected CPU seconds of one fit.
    """

    configurations: tuple[Configuration, ...]
    regret: NDArray[np.float64]
    seconds: NDArray[np.float64]


@dataclass(frozen=True)
class Mixture:
    """Members of an ensemble, and how they vote.

    Attributes
    ----------
    configurations : tuple of Configuration
    weights : tuple of float
        Sum to 1.
    member_seconds : tuple of float
        Expected CPU seconds of one fit of each.
    threshold : float or None
        Probability of the second class from which on it is predicted; None for the more probable class.
    """

    configurations: tuple[Configuration, ...]
    weights: tuple[float, ...]
    member_seconds: tuple[float, ...]
    threshold: float | None = None

    @property
    def seconds(self) -> float:
        """Expected CPU seconds of one fit of all members."""
        return sum(self.member_seconds)


# As many members as anyone asks for; what leads is kept for so many.
MOST_MEMBERS: Final = 10


def choose_mixture(
    task: Task,
    k: int,
    first: tuple[Configuration, float],
    leading: Candidates,
    time_budget: float | None = None,
) -> Mixture:
    """Choose what to average for what the mean is expected to give.

    Probabilities of members with and without class weights must not be averaged: they are about different shares of the
    classes. So members for a metric of order or of balanced labels are taken without class weights, and what balances
    the labels is a threshold at the share of the class, the best for balanced accuracy where probabilities are right.
    With more than two classes there is no such threshold, and members have class weights where they can.

    Parameters
    ----------
    task : Task
    k : int
        At most so many members; 1 is the first recommendation alone, as it is, whatever it takes.
    first : (Configuration, float)
        The first recommendation and its expected seconds.
    leading : Candidates
        What leads by :func:`leading_metrics` in turn.
    time_budget : float, optional
        CPU seconds that the members together may be expected to take. Where no candidate is that quick, the first
        recommendation is the answer.

    Raises
    ------
    UsageError
        AM510 when `k` is less than 1 or `time_budget` is not positive.
    """
    if k < 1:
        raise UsageError("AM510", f"k is {k}.", "Ask for at least one member.")
    if time_budget is not None and time_budget <= 0:
        raise UsageError("AM510", f"time_budget is {time_budget}.", "Give a positive number of seconds.")
    alone = Mixture((first[0],), (1.0,), (first[1],))
    if k == 1:
        return alone
    weighting, threshold = _votes(task)
    limit = math.inf if time_budget is None else time_budget
    chosen: list[Configuration] = []
    regrets: list[float] = []
    spent: list[float] = []
    used: Counter[str] = Counter()
    for candidate, regret, seconds in zip(
        leading.configurations, leading.regret, leading.seconds, strict=True
    ):
        member = _admitted(candidate, weighting)
        if member is None or member in chosen or used[member.algorithm] == MOST_OF_AN_ALGORITHM:
            continue
        if sum(spent) + seconds > limit:
            continue
        chosen.append(member)
        regrets.append(float(regret))
        spent.append(float(seconds))
        used[member.algorithm] += 1
        if len(chosen) == k:
            break
    if not chosen or (len(chosen) == 1 and first[1] <= limit):
        return alone
    shares = np.exp((regrets[0] - np.maximum(regrets, regrets[0])) / TEMPERATURE)
    shares[0] *= LEAD
    return Mixture(tuple(chosen), tuple((shares / shares.sum()).tolist()), tuple(spent), threshold)


def leading_metrics(task: Task) -> tuple[str, ...]:
    """Return the stored metrics by which members are looked for; regret is that of the first."""
    is_order = task.metric.stored == "roc_auc" or _votes(task)[1] is not None
    return ORDER_LEADERS if is_order else (task.metric.stored,)


def _votes(task: Task) -> tuple[str, float | None]:
    """Return how members stand to class weights (see :func:`_admitted`), and the threshold that the metric wants."""
    metric = task.metric.stored
    if metric == "log_loss":
        return "without", None
    if metric == "roc_auc":
        return "removed", None
    if metric == "balanced_accuracy" and task.kind == "binary":
        return "removed", float((task.y == task.classes[1]).mean())
    if metric in ("balanced_accuracy", "f1_macro"):
        return "with", None
    return "any", None


def _admitted(configuration: Configuration, weighting: str) -> Configuration | None:
    """Return a candidate as it may be a member, or None.

    Under ``without`` nothing has class weights, under ``with`` what could have them has; ``removed`` takes them away.
    """
    given = configuration.params.get(CLASS_WEIGHT, "unknown")
    if weighting == "removed" and given == "balanced":
        return Configuration(configuration.algorithm, {**configuration.params, CLASS_WEIGHT: None})
    refused = {"with": None, "without": "balanced"}
    return None if weighting in refused and given == refused[weighting] else configuration


def build_ensemble(
    configurations: Sequence[Configuration],
    weights: Sequence[float] | None,
    task: Task,
    *,
    threshold: float | None = None,
    random_state: int | None = 0,
) -> VotingClassifier | VotingRegressor | FixedThresholdClassifier:
    """Build the unfitted weighted mean of the pipelines of some configurations.

    Parameters
    ----------
    configurations : sequence of Configuration
        The members, in the order in which they are named; two of one algorithm are told apart by a number.
    weights : sequence of float or None
        How much each member counts; None for all alike.
    task : Task
        Its column types decide the preprocessing of each member.
    threshold : float, optional
        Probability of the second class from which on it is predicted, for a binary task; the more probable class is
        predicted by default.
    random_state : int or None, default=0
        Seed of each member.

    Returns
    -------
    VotingClassifier, VotingRegressor or FixedThresholdClassifier
        The last around a VotingClassifier, where there is a threshold. Probabilities are the weighted means of the
        members' in all cases.
    """
    from sklearn.ensemble import VotingClassifier, VotingRegressor
    from sklearn.model_selection import FixedThresholdClassifier

    from autometa.pipelines import build_pipeline

    if task.kind != "regression":
        # A vote encodes the labels before its members see them; what a member says of them must fit the codes.
        codes = pd.Series(
            np.unique(task.y.to_numpy(), return_inverse=True)[1], task.y.index, name=task.y.name
        )
        encoded = replace(task, y=codes)
    else:
        encoded = task
    pipelines = [build_pipeline(c, encoded, random_state=random_state) for c in configurations]
    members = list(zip(_names(configurations), pipelines, strict=True))
    shares = None if weights is None else [float(weight) for weight in weights]
    if task.kind == "regression":
        return VotingRegressor(members, weights=shares)
    vote = VotingClassifier(members, voting="soft", weights=shares)
    if threshold is None:
        return vote
    return FixedThresholdClassifier(
        vote, threshold=float(threshold), pos_label=task.classes[1], response_method="predict_proba"
    )


def _names(configurations: Sequence[Configuration]) -> Iterator[str]:
    seen: Counter[str] = Counter()
    for configuration in configurations:
        name = configuration.algorithm
        seen[name] += 1
        yield name if seen[name] == 1 else f"{name}_{seen[name]}"


def fit_weighted(ensemble: Any, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> Any:
    """Fit an ensemble of pipelines with sample weights.

    A vote hands sample weights to pipelines by scikit-learn's metadata routing only, and then every part of them must
    say whether it wants any. Here every model does and no step of the preparation, as in autometa's own evaluations.

    Parameters
    ----------
    ensemble : VotingClassifier, VotingRegressor, FixedThresholdClassifier or Pipeline
        As :func:`build_ensemble` or :func:`autometa.pipelines.build_pipeline` makes it; it is fitted in place.
    X : DataFrame or array-like of shape (n_rows, n_columns)
    y : array-like of shape (n_rows,)
    sample_weight : array-like of shape (n_rows,), optional
        Members whose algorithm knows no weights, such as nearest neighbours, are fitted without.

    Returns
    -------
    The fitted ensemble.
    """
    from sklearn import config_context

    from autometa.pipelines import ask_for_weights

    if sample_weight is None:
        return ensemble.fit(X, y)
    with config_context(enable_metadata_routing=True):
        asked = ask_for_weights(ensemble)
        fitted = ensemble.fit(X, y, **({"sample_weight": np.asarray(sample_weight)} if asked else {}))
    _forget_requests(fitted)
    return fitted


def _forget_requests(value: Any) -> None:
    """Take the requests out of an estimator and all within it: a model file holds none."""
    from sklearn.base import BaseEstimator

    if isinstance(value, BaseEstimator):
        vars(value).pop("_metadata_request", None)
        value = list(vars(value).values())
    elif isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for part in value:
            _forget_requests(part)
