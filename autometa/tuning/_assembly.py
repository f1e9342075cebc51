"""From candidates to the model that is handed out: members, weights, threshold and calibration."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autometa.ensemble import EnsembleClassifier, EnsembleRegressor, bounds_of, calibrate
from autometa.evaluation import FoldFit, Preparation
from autometa.tuning._candidate import Candidate, Objective, Problem
from autometa.tuning._price import Part, Price
from autometa.tuning._selection import MAX_ROWS, choose_calibration, lean, select

Array = NDArray[np.float64]

# Recommendations that the prior is made of.
NAMED_FIRST: Final = 5


@dataclass(frozen=True, eq=False)
class Assembly:
    """What the search comes to.

    Attributes
    ----------
    candidates : list of Candidate
        Those that the choice was among.
    weights : ndarray of shape (n_candidates,)
        Sum to 1.
    adds : ndarray of shape (n_candidates,)
        By how much the metric would be worse without the member, in natural units, positive where it helps.
    rows : ndarray of int
        Rows with out-of-fold predictions.
    prediction : ndarray of shape (len(rows),) or (len(rows), n_classes)
        Of the ensemble, calibrated.
    fold_scores : list of float
        The metric of the ensemble on each fold.
    temperature, smoothing : float
        Of the probabilities.
    tilt : float
        Exponent of the class shares in the decision.
    """

    candidates: Sequence[Candidate]
    weights: Array
    adds: Array
    depth: int
    rows: NDArray[np.intp]
    prediction: Array
    fold_scores: list[float]
    temperature: float = 1.0
    smoothing: float = 0.0
    tilt: float = 0.0
    multipliers: list[float] = field(default_factory=list)

    @property
    def members(self) -> list[tuple[Candidate, float]]:
        """Members with their weights, the heaviest first."""
        order = np.argsort(-self.weights, kind="stable")
        return [(self.candidates[i], float(self.weights[i])) for i in order if self.weights[i] > 0]

    @property
    def below(self) -> list[Candidate]:
        """What members of a second layer read."""
        found = {id(c): c for candidate, _ in self.members for c in candidate.below}
        return list(found.values())

    @property
    def parts(self) -> list[tuple[Candidate, float]]:
        """Members, and with no weight what they read that is none; a second layer last."""
        members = self.members
        known = {id(candidate) for candidate, _ in members}
        found = members + [(candidate, 0.0) for candidate in self.below if id(candidate) not in known]
        return sorted(found, key=lambda part: bool(part[0].below))

    @property
    def by_number(self) -> dict[int, tuple[float, float]]:
        """Weight and gain of each trial."""
        found: dict[int, tuple[float, float]] = {}
        for candidate, weight, adds in zip(self.candidates, self.weights, self.adds, strict=True):
            before = found.get(candidate.number, (0.0, 0.0))
            found[candidate.number] = before[0] + float(weight), before[1] + float(adds)
        return found


def choose(
    problem: Problem,
    candidates: Sequence[Candidate],
    *,
    size: int,
    depth: int | None = None,
    price: Price | None = None,
    prior_rows: float = 0.0,
    seed: int = 0,
) -> Assembly | None:
    """Choose members and weights on out-of-fold predictions; None where there are none.

    Parameters
    ----------
    problem : Problem
    candidates : sequence of Candidate
    size : int
        The most members.
    depth : int, optional
        Folds on which candidates are compared; by default as many as the deepest has.
    price : Price, optional
        Of predictions, with its limit for one model of each member; without, none is too dear.
    prior_rows : float, default=0.0
        Rows of evidence that the order of the recommendations is worth.
    seed : int, default=0
        Of the rows that the choice looks at, where there are many.
    """
    deepest = max((c.depth for c in candidates), default=0)
    depth = min(deepest, depth or deepest)
    pool = [c for c in candidates if depth and c.depth >= depth]
    if not pool:
        return None
    objective, rows = problem.objective, problem.rows(depth)
    predictions = [problem.out_of_fold(c, depth) for c in pool]
    some = np.arange(len(rows))
    if len(rows) > MAX_ROWS:
        some = np.sort(np.random.default_rng(seed).choice(len(rows), MAX_ROWS, replace=False))
    views = [objective.view(p[some], rows[some]) for p in predictions]
    weights = _within(
        lambda kept: _weigh(
            objective, [views[i] for i in kept], rows[some], [pool[i] for i in kept], size, prior_rows
        ),
        lambda shares: objective.loss(_mix(shares, views), rows[some]),
        pool,
        price,
    )
    # What all members have folds for is known of the whole.
    depth = min(c.depth for c, w in zip(pool, weights, strict=True) if w > 0)
    rows = problem.rows(depth)
    predictions = [
        problem.out_of_fold(c, depth) if w > 0 else np.empty(0) for c, w in zip(pool, weights, strict=True)
    ]
    mixed = _mix(weights, predictions)
    temperature, smoothing, tilt = 1.0, 0.0, 0.0
    if objective.is_about_labels:
        tilt = objective.best_tilt(mixed, rows)
    adds = _gains(problem, predictions, weights, rows, tilt)
    if objective.is_about_probabilities:
        temperature, smoothing = choose_calibration(objective, mixed, rows)
        mixed = calibrate(mixed, temperature, smoothing, objective.shares)
    multipliers: list[float] = []
    if objective.is_about_labels:
        multipliers = (mixed.mean(axis=0) ** -tilt).tolist()
    return Assembly(
        pool,
        weights,
        adds,
        depth,
        rows,
        mixed,
        _fold_scores(problem, mixed, rows, depth, multipliers),
        temperature,
        smoothing,
        tilt,
        multipliers,
    )


def _weigh(
    objective: Objective,
    views: Sequence[Array],
    rows: NDArray[np.intp],
    candidates: Sequence[Candidate],
    size: int,
    prior_rows: float,
) -> Array:
    weights = select(objective, views, rows, size=size)
    if size == 1:
        return weights
    first = sorted((c.rank, i) for i, c in enumerate(candidates) if c.rank is not None)
    return lean(objective, weights, views, rows, [i for _, i in first[:NAMED_FIRST]], prior_rows)


def _within(
    choose_among: Callable[[list[int]], Array],
    loss: Callable[[Array], float],
    pool: Sequence[Candidate],
    price: Price | None,
) -> Array:
    """Choose weights; as long as one model of each member takes too long to predict, leave one out.

    That is the one that helps the loss least for its seconds. What a member of a second layer reads must be predicted
    with it.
    """
    if price is None or len(pool) == 1:
        return choose_among(list(range(len(pool))))

    def parts(members: Sequence[int]) -> list[Part]:
        found = {id(c): c for i in members for c in (pool[i], *pool[i].below)}
        return [Part(candidate, 1) for candidate in found.values()]

    alone = np.array([price.of_model(candidate) for candidate in pool])
    kept = [i for i in range(len(pool)) if alone[i] <= price.least or alone[i] <= price.limit]
    kept = kept or [int(np.argmin(alone))]
    while True:
        weights = np.zeros(len(pool))
        weights[kept] = choose_among(kept)
        members = [int(i) for i in np.flatnonzero(weights)]
        if len(members) == 1 or not price.exceeds(parts(members)):
            return weights
        rests = [[i for i in members if i != member] for member in members]
        saved = [price.of(parts(members)) - price.of(parts(rest)) for rest in rests]
        without = [np.where(np.arange(len(pool)) == member, 0.0, weights) for member in members]
        found = loss(weights)
        adds = [loss(shares / shares.sum()) - found for shares in without]
        kept.remove(members[int(np.argmin(np.maximum(adds, 0.0) / np.maximum(saved, 1e-9)))])


def planned(assembly: Assembly, price: Price, *, n_folds: int, is_refitted: bool) -> list[Part]:
    """Return of which models each part of an ensemble is made, so that predictions are quick enough.

    Those of its folds, and where all are fitted again, that on all rows, which stands for them where some are missing.
    Some of them, in the end one, have to do where more would take too long, first where that saves most: kernels,
    neighbours and forests, which gain least from a model for each fold.

    Parameters
    ----------
    assembly : Assembly
    price : Price
    n_folds : int
        Of a candidate that has them all.
    is_refitted : bool
        Whether there is time to fit members on all rows.
    """
    parts = [
        Part(candidate, 0 if is_refitted and candidate.depth < n_folds else candidate.depth, is_refitted)
        for candidate, _ in assembly.parts
    ]
    while any(part.n_models > 1 for part in parts) and price.exceeds(parts):
        shorter = [
            [*parts[:i], part.shorter, *parts[i + 1 :]] for i, part in enumerate(parts) if part.n_models > 1
        ]
        parts = min(shorter, key=price.of)
    return parts


def _mix(weights: Array, predictions: Sequence[Array]) -> Array:
    return np.asarray(sum(w * p for w, p in zip(weights, predictions, strict=True) if w > 0))


def _gains(
    problem: Problem, predictions: Sequence[Array], weights: Array, rows: NDArray[np.intp], tilt: float
) -> Array:
    """Return what each member adds to the metric: the whole against the whole without it, decided alike."""
    objective, sign = problem.objective, problem.task.metric.sign

    def score(shares: Array) -> float:
        mixed = _mix(shares, predictions)
        return objective.score(
            mixed, rows, mixed.mean(axis=0) ** -tilt if objective.is_about_labels else None
        )

    gains = np.zeros(len(weights))
    whole = score(weights)
    for i in np.flatnonzero(weights):
        if weights[i] < 1 - 1e-9:
            rest = np.where(np.arange(len(weights)) == i, 0.0, weights)
            gains[i] = sign * (whole - score(rest / rest.sum()))
    return gains


def _fold_scores(
    problem: Problem, prediction: Array, rows: NDArray[np.intp], depth: int, multipliers: Sequence[float]
) -> list[float]:
    scores = []
    weights = np.asarray(multipliers) if multipliers else None
    for _, test in problem.splits[:depth]:
        here = np.searchsorted(rows, test)
        try:
            scores.append(problem.objective.score(prediction[here], test, weights))
        except ValueError:
            scores.append(math.nan)
    if not all(map(math.isfinite, scores)):
        return [problem.objective.score(prediction, rows, weights)]
    return scores


def out_of_fold(problem: Problem, assembly: Assembly | None) -> Array:
    """Return what the ensemble says of each row that it was not fitted on; NaN for the others."""
    width = () if problem.task.kind == "regression" else (len(problem.task.classes),)
    found = np.full((problem.task.n_rows, *width), np.nan)
    if assembly is not None:
        found[assembly.rows] = assembly.prediction
    return found


def build_model(
    problem: Problem,
    members: Sequence[tuple[FoldFit, float]],
    preparations: Mapping[str, Preparation],
    assembly: Assembly | None = None,
    layer: Sequence[Sequence[int]] = (),
) -> Any:
    """Put fitted models together.

    Parameters
    ----------
    problem : Problem
    members : sequence of (FoldFit, float)
        Fitted models with their weights.
    preparations : mapping of str to Preparation
        By the names in the fits.
    assembly : Assembly, optional
        Calibration and decision threshold.
    layer : sequence of sequence of int
        Positions of the models whose means a second layer reads.
    """
    names = list(dict.fromkeys(name for fit, _ in members for name in fit.preparation))
    parts = [pickle.loads(preparations[name].pickled) for name in names]
    total = sum(weight for _, weight in members)
    loaded = [
        (
            (*map(names.index, fit.preparation), *([len(names)] if fit.is_second else [])),
            pickle.loads(fit.model),
            weight / total,
        )
        for fit, weight in members
    ]
    task = problem.task
    columns = [str(name) for name in task.X.columns]
    if task.kind == "regression":
        bounds = bounds_of(task.y.to_numpy(dtype="float64"))
        return EnsembleRegressor(parts, loaded, columns, task.is_positional, layer, bounds)
    return EnsembleClassifier(
        parts,
        loaded,
        columns,
        task.is_positional,
        layer,
        classes=[task.given_labels.get(label, label) for label in task.classes],
        temperature=1.0 if assembly is None else assembly.temperature,
        smoothing=0.0 if assembly is None else assembly.smoothing,
        shares=problem.objective.shares.tolist(),
        multipliers=[] if assembly is None else assembly.multipliers,
    )


def single_model(problem: Problem, fit: FoldFit, preparations: Mapping[str, Preparation]) -> Any:
    """Return one fit as a model: a pipeline, or an ensemble of one for labels such as dates, which no pipeline has."""
    if problem.task.given_labels:
        return build_model(problem, [(fit, 1.0)], preparations)
    return pickle.loads(fit.model)


def best_single(assembly: Assembly, leaderboard: pd.DataFrame) -> Candidate:
    """Return the best pipeline of the leaderboard that there are models of, or else the heaviest member."""
    by_number = {c.number: c for c in assembly.candidates if not c.below}
    done = leaderboard[leaderboard["state"] == "complete"]
    return next((by_number[n] for n in done["trial"] if n in by_number), assembly.members[0][0])


def bag(candidate: Candidate, weight: float, n_folds: int) -> list[tuple[FoldFit, float]]:
    """Return the models of a candidate's first folds, which share its weight."""
    return [(candidate.fits[fold], weight / n_folds) for fold in range(n_folds)]


def mean_rounds(candidate: Candidate) -> int | None:
    """Return the rounds of boosting that its folds kept on average, if early stopping chose them."""
    rounds = [fit.rounds for fit in candidate.fits.values() if fit.rounds]
    return round(float(np.mean(rounds))) if rounds else None
