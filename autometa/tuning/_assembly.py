"""From candidates to the model that is handed out: members, weights, threshold, calibration, and their price."""

from __future__ import annotations

import math
import pickle
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn import config_context

from autometa import distinct
from autometa.ensemble import EnsembleClassifier, EnsembleRegressor, bounds_of, calibrate
from autometa.evaluation import MANY_ROWS, FoldFit
from autometa.space import Configuration
from autometa.tuning._candidate import Candidate, Objective, Problem
from autometa.tuning._selection import MAX_ROWS, choose_calibration, lean, select

Array = NDArray[np.float64]

# Rows for which the seconds of predictions are told and limited.
PRICED_ROWS: Final = MANY_ROWS
# A model may take ten times a default LightGBM for its predictions; a little is left for what cannot be measured.
TIMES_DEFAULT: Final = 9.0
# Whatever preparations take, models may take so many times that of a default one.
LEAST_TIMES_DEFAULT: Final = 8.0
# Rows on which preparations are priced, and the more where a call is short. With text 500 took two of ten seconds.
_PREPARED_ROWS: Final = (100, 500)
_SHORT_CALL: Final = 0.05
# Of the hundred trees of a default model, and of many classes, those that predictions are timed with.
_TREES: Final = 10
_CLASSES: Final = 5
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
    max_seconds: float = math.inf,
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
    max_seconds : float
        For the predictions of 10,000 rows by one model of each member.
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
    prices = np.array([predict_seconds(c) for c in pool])
    places = {id(candidate): i for i, candidate in enumerate(pool)}
    weights = _within(
        lambda kept: _weigh(
            objective, [views[i] for i in kept], rows[some], [pool[i] for i in kept], size, prior_rows
        ),
        prices,
        max_seconds,
        [[places[id(c)] for c in candidate.below] for candidate in pool],
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
    prices: Array,
    limit: float,
    below: Sequence[Sequence[int]],
) -> Array:
    """Choose weights; as long as one model of each member takes too long to predict, leave the dearest out.

    What a member of a second layer reads must be predicted with it.
    """

    def total(members: Sequence[int]) -> float:
        return float(prices[list({*members, *(i for member in members for i in below[member])})].sum())

    alone = np.array([total([i]) for i in range(len(prices))])
    kept = [int(i) for i in np.flatnonzero(alone <= limit)] or [int(np.argmin(alone))]
    while True:
        weights = np.zeros(len(prices))
        weights[kept] = choose_among(kept)
        members = [int(i) for i in np.flatnonzero(weights)]
        whole = total(members)
        if len(members) == 1 or whole <= limit:
            return weights
        saved = [whole - total([i for i in members if i != member]) for member in members]
        kept.remove(members[int(np.argmax(np.array(saved) / weights[members]))])


def single_members(assembly: Assembly, limit: float, *, n_more: int) -> list[Candidate]:
    """Return the members that one model must do for, so that predictions are quick enough.

    The dearest come first: those are kernels, neighbours and forests, which gain least from a model for each fold.

    Parameters
    ----------
    assembly : Assembly
    limit : float
        Seconds for the predictions of 10,000 rows.
    n_more : int
        Models of a member beside those of its folds.
    """
    prices = {id(candidate): predict_seconds(candidate) for candidate, _ in assembly.parts}
    total = sum(prices[id(candidate)] * (candidate.depth + n_more) for candidate, _ in assembly.parts)
    found = []
    for candidate, _ in sorted(assembly.parts, key=lambda member: -prices[id(member[0])]):
        if total <= limit:
            break
        total -= prices[id(candidate)] * (candidate.depth + n_more - 1)
        found.append(candidate)
    return found


def predict_seconds(candidate: Candidate) -> float:
    """CPU seconds that one model of a candidate takes to predict 10,000 rows."""
    return candidate.fits[0].row_seconds * PRICED_ROWS


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
    preparations: Mapping[str, bytes],
    assembly: Assembly | None = None,
    layer: Sequence[Sequence[int]] = (),
) -> Any:
    """Put fitted models together.

    Parameters
    ----------
    problem : Problem
    members : sequence of (FoldFit, float)
        Fitted models with their weights.
    preparations : mapping of str to bytes
        Pickled, by the names in the fits.
    assembly : Assembly, optional
        Calibration and decision threshold.
    layer : sequence of sequence of int
        Positions of the models whose means a second layer reads.
    """
    names = list(dict.fromkeys(name for fit, _ in members for name in fit.preparation))
    parts = [pickle.loads(preparations[name]) for name in names]
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


def single_model(problem: Problem, fit: FoldFit, preparations: Mapping[str, bytes]) -> Any:
    """Return one fit as a model: a pipeline, or an ensemble of one for labels such as dates, which no pipeline has."""
    if problem.task.given_labels:
        return build_model(problem, [(fit, 1.0)], preparations)
    return pickle.loads(fit.model)


def predict_limit(
    problem: Problem,
    candidates: Sequence[Candidate],
    preparations: Mapping[str, bytes],
    default: Configuration,
) -> float:
    """Seconds that the models of an ensemble may take to predict 10,000 rows, so that with preparations it is in time.

    Parameters
    ----------
    problem : Problem
    candidates : sequence of Candidate
        That can become members.
    preparations : mapping of str to bytes
        Pickled, by the names in the fits.
    default : Configuration
        The model that the limit is a multiple of, with the preparation that it needs.
    """
    # The trees of a small table are smaller than those that are made up. Rounds are told where they are not all.
    known = [predict_seconds(c) for c in candidates if c.configuration == default and not c.fits[0].rounds]
    model = min([seconds_of_default(problem), *known])
    least = LEAST_TIMES_DEFAULT * model
    if sum(predict_seconds(c) * (len(c.fits) + 1) for c in candidates) <= least:
        return least  # all of them together: what preparations take makes no difference
    names = {c.configuration: c.fits[0].preparation for c in candidates}
    everything = sorted({name for c in candidates for fit in c.fits.values() for name in fit.preparation})
    kinds = {name: name.rpartition("/")[2] for name in everything}
    one_of = {kind: name for name, kind in kinds.items()}  # those of other folds take the same
    prices = {k: seconds_to_prepare(problem, pickle.loads(preparations[n])) for k, n in one_of.items()}
    whole = sum(prices[kinds[name]] for name in everything)
    # Where it was dropped, what it needs is no dearer than what others need.
    first = [names[default]] if default in names else names.values()
    alone = min(sum(prices[kinds[name]] for name in needed) for needed in first)
    return max(TIMES_DEFAULT * (model + alone) - whole, least)


def seconds_to_prepare(problem: Problem, preparation: Any) -> float:
    """CPU seconds that a fitted preparation takes for 10,000 rows, by some of the task's."""
    task = problem.task
    frame = task.X.set_axis(range(task.X.shape[1]), axis=1) if task.is_positional else task.X

    def seconds(n_rows: int) -> float:
        rows = frame.iloc[np.resize(np.arange(len(frame)), n_rows)]
        with warnings.catch_warnings(), config_context(transform_output="default"):
            warnings.simplefilter("ignore")
            start = time.process_time()
            distinct.transform(preparation, rows)
            return time.process_time() - start

    few, more = _PREPARED_ROWS
    seconds(1)  # the first call takes longer: it imports
    # Most of a short call is the same for any number of rows.
    if (once := seconds(few)) > _SHORT_CALL:
        return once * PRICED_ROWS / few
    return once + max(seconds(more) - once, 0.0) * (PRICED_ROWS - few) / (more - few)


def seconds_of_default(problem: Problem) -> float:
    """Seconds that a default LightGBM takes to predict 10,000 rows of the task's kind and width, measured here."""
    import lightgbm

    rng = np.random.default_rng(0)
    X = rng.normal(size=(1_000, min(problem.task.X.shape[1], 200)))
    y = problem.y[rng.integers(0, len(problem.y), len(X))]
    # There is a tree for each class in each round.
    times = max(len(problem.task.classes) / _CLASSES, 1.0)
    y = y if times == 1.0 else y % _CLASSES
    kind = lightgbm.LGBMRegressor if problem.task.kind == "regression" else lightgbm.LGBMClassifier
    model = kind(n_jobs=1, verbosity=-1, n_estimators=_TREES).fit(X, y)
    rows = np.tile(X, (PRICED_ROWS // len(X), 1))
    start = time.process_time()
    (model.predict if problem.task.kind == "regression" else model.predict_proba)(rows)
    return times * 100 / _TREES * (time.process_time() - start)


def bag(candidate: Candidate, weight: float) -> list[tuple[FoldFit, float]]:
    """Return the models of a candidate's folds, which share its weight."""
    return [(fit, weight / len(candidate.fits)) for fit in candidate.fits.values()]


def mean_rounds(candidate: Candidate) -> int | None:
    """Return the rounds of boosting that its folds kept on average, if early stopping chose them."""
    rounds = [fit.rounds for fit in candidate.fits.values() if fit.rounds]
    return round(float(np.mean(rounds))) if rounds else None
