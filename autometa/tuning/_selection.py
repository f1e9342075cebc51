"""Which candidates the ensemble is made of, with which weights, and what a second layer adds: by what folds predict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from autometa.ensemble import calibrate, first_layer
from autometa.evaluation import EARLY_STOPPING_ROWS
from autometa.space import Configuration, SearchSpace
from autometa.tuning._candidate import Candidate, Objective, Problem
from autometa.wording import SECOND_LAYER

Array = NDArray[np.float64]
# Rows that the choice looks at while the search goes on: more do not change it, and take time from the fits.
MAX_ROWS: Final = 10_000
# Shares at which a newcomer is mixed into the present ensemble, to see whether it can help.
_SHARES: Final = (0.1, 0.25, 0.5, 1.0)
_TEMPERATURES: Final = (0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.4, 1.7, 2.0)
_SMOOTHINGS: Final = (0.0, 0.0005, 0.002, 0.01, 0.03)
# Candidates that the choice is among: the best alone.
POOL: Final = 30
# Steps without a gain after which the choice ends.
PATIENCE: Final = 4
# Rows that the present ensemble is chosen on while the search goes on, by how quick the metric is.
_SELECTION_ROWS: Final = 4_000
_SLOW_SELECTION_ROWS: Final = 2_000
# Steps of the choice while the search goes on: the last choice takes more.
_SELECTION_STEPS: Final = 12

# Members that the second layer reads, the heaviest first.
MOST_BELOW: Final = 6
# With many classes, predictions would be more columns than most tables have.
MOST_COLUMNS: Final = 60
# Changes to the defaults: what is left to learn is little, so trees are small and leaves hold some rows.
FOREST: Final[Mapping[str, Any]] = {"n_estimators": 150, "min_samples_leaf": 3}
BOOSTING: Final[Mapping[str, Any]] = {
    "learning_rate": 0.03,
    "num_leaves": 16,
    "colsample_bytree": 0.5,
    "subsample": 0.8,
    "reg_lambda": 1.0,
    "n_estimators": 400,
}


def select(objective: Objective, views: Sequence[Array], rows: NDArray[np.intp], *, size: int) -> Array:
    """Choose weights greedily, with replacement (Caruana et al. 2004, "Ensemble selection from libraries of models").

    Parameters
    ----------
    objective : Objective
    views : sequence of ndarray
        What :meth:`Objective.view` gives for each candidate, on the same rows.
    rows : ndarray of int, shape (n_rows,)
    size : int
        At most so many steps, and so at most so many members.

    Returns
    -------
    ndarray of shape (n_candidates,)
        Weights, which sum to 1: those of the step that left the least loss, so never worse than the best single one.
    """
    alone = np.array([objective.loss(view, rows) for view in views])
    # Whoever is far behind alone hardly ever joins.
    pool = np.argsort(alone)[:POOL]
    counts = np.zeros(len(views))
    counts[pool[0]] = 1
    total = views[pool[0]].copy()
    best_loss, best_counts = alone[pool[0]], counts.copy()
    misses = 0
    for step in range(1, size):
        losses = np.array([objective.loss((total + views[i]) / (step + 1), rows) for i in pool])
        pick = int(pool[int(np.argmin(losses))])
        counts[pick] += 1
        total = total + views[pick]
        if losses.min() < best_loss - 1e-9 * abs(best_loss):
            best_loss, best_counts, misses = float(losses.min()), counts.copy(), 0
        else:
            misses += 1
            if misses == PATIENCE:
                break
    return np.asarray(best_counts / best_counts.sum())


def lean(
    objective: Objective,
    weights: Array,
    views: Sequence[Array],
    rows: NDArray[np.intp],
    expected: Sequence[int],
    strength: float,
) -> Array:
    """Move weights towards what experience expects, the more the fewer the rows.

    Parameters
    ----------
    weights : ndarray of shape (n_candidates,)
        Chosen by the folds.
    expected : sequence of int
        Candidates that experience names first; those whose loss here is more than a tenth above the best are left out.
    strength : float
        Rows of evidence that experience is worth.
    """
    alone = np.array([objective.loss(view, rows) for view in views])
    named = [i for i in expected if alone[i] <= alone.min() + 0.1 * abs(alone.min())]
    if not named:
        return weights
    share = strength / (strength + len(rows))
    prior = np.zeros(len(weights))
    prior[named] = 1.0 / len(named)
    moved = (1 - share) * weights + share * prior
    mixed, before = (
        objective.loss(np.asarray(sum(w * v for w, v in zip(chosen, views, strict=True) if w)), rows)
        for chosen in (moved, weights)
    )
    return moved if mixed <= max(before, float(alone.min())) else weights


def can_help(objective: Objective, present: Array, newcomer: Array, rows: NDArray[np.intp]) -> bool:
    """Whether mixing a newcomer into the present ensemble lowers the loss on the rows that it was tested on."""
    before = objective.loss(present, rows)
    # What differs by rounding alone is no help.
    least = before - 1e-9 * abs(before)
    return any(objective.loss((1 - s) * present + s * newcomer, rows) < least for s in _SHARES)


def choose_calibration(objective: Objective, proba: Array, rows: NDArray[np.intp]) -> tuple[float, float]:
    """Return the temperature and the smoothing that lower the loss of probabilities most, where that is no chance.

    A change must gain more than one standard error of the paired difference over rows.
    """
    y = objective._y[rows]
    chosen = np.arange(len(rows)), y

    def losses(temperature: float, smoothing: float) -> Array:
        calibrated = calibrate(proba, temperature, smoothing, objective.shares)
        return np.asarray(-np.log(np.maximum(calibrated[chosen], 1e-15)))

    plain = losses(1.0, 0.0)
    options = [(t, s) for t in _TEMPERATURES for s in _SMOOTHINGS]
    found = {option: losses(*option) for option in options}
    best = min(found, key=lambda option: float(found[option].mean()))
    gain = plain - found[best]
    error = float(gain.std() / np.sqrt(len(gain)))
    return best if float(gain.mean()) > error else (1.0, _SMOOTHINGS[1])


class Present:
    """The ensemble that a search has now.

    Parameters
    ----------
    problem : Problem
    depth : int
        Folds that candidates are compared on.
    seed : int
        Of the rows that are looked at, where there are many.

    Attributes
    ----------
    members : list of Candidate
        The heaviest first; none before the first choice.
    score : float
        Of its mean on the rows left out, in natural units of the metric.
    """

    def __init__(self, problem: Problem, depth: int, seed: int) -> None:
        self._problem = problem
        self._depth = depth
        self._rng = np.random.default_rng(seed)
        self._mean: Array | None = None
        self.members: list[Candidate] = []
        self.score = float("nan")

    def choose(self, candidates: Sequence[Candidate]) -> None:
        """Choose anew among candidates that are fitted on the folds that are compared."""
        objective, rows = self._problem.objective, self._problem.rows(self._depth)
        predictions = [self._problem.out_of_fold(c, self._depth) for c in candidates]
        is_slow = objective.is_about_labels or objective.metric.stored == "roc_auc"
        limit = _SLOW_SELECTION_ROWS if is_slow else _SELECTION_ROWS
        some = np.arange(len(rows))
        if len(rows) > limit:
            some = np.sort(self._rng.choice(len(rows), limit, replace=False))
        views = [objective.view(p[some], rows[some]) for p in predictions]
        weights = select(objective, views, rows[some], size=_SELECTION_STEPS)
        order = [int(i) for i in np.argsort(-weights, kind="stable") if weights[i] > 0]
        self.members = [candidates[i] for i in order]
        self._mean = np.asarray(sum(weights[i] * predictions[i] for i in order))
        self.score = objective.score(self._mean, rows)

    def may_gain(self, candidate: Candidate) -> bool:
        """Whether mixing a candidate in lowers the loss on the folds that it was fitted on."""
        depth = candidate.depth
        if self._mean is None or depth < len(candidate.fits):
            return True
        rows, tested = self._problem.rows(self._depth), self._problem.rows(depth)
        objective = self._problem.objective
        present = self._mean[np.searchsorted(rows, tested)]
        newcomer = self._problem.out_of_fold(candidate, depth)
        return can_help(objective, objective.view(present, tested), objective.view(newcomer, tested), tested)


def second_layer(problem: Problem, space: SearchSpace, members: Sequence[Candidate]) -> list[Candidate]:
    """Return the candidates of a second layer (Wolpert 1992, "Stacked generalization"); none where it cannot be had.

    They need predictions of the members for every row, each by a model that was not fitted on it.

    Parameters
    ----------
    problem : Problem
    space : SearchSpace
        Algorithms that may be used.
    members : sequence of Candidate
        Of the ensemble so far, the heaviest first.
    """
    depth = len(problem.splits)
    below = [c for c in members if c.depth == depth and not c.below][:MOST_BELOW]
    width = max(len(problem.task.classes) - 1, 1)
    below = below[: MOST_COLUMNS // width]
    rows = problem.rows(depth)
    if len(below) < 2 or len(rows) < problem.n_rows:
        return []
    read = first_layer([[problem.out_of_fold(c, depth)] for c in below])
    layer = np.full((len(problem.y), read.shape[1]), np.nan)
    layer[rows] = read
    changes = {"extra_trees": FOREST}
    if problem.n_train >= EARLY_STOPPING_ROWS:
        # Rounds are found on the rows left out; on fewer they would be chosen by chance.
        changes["lightgbm"] = BOOSTING
    return [
        Candidate(
            Configuration(name, {**space[name].default, **change}, "user"),
            SECOND_LAYER,
            below=below,
            layer=layer,
        )
        for name, change in changes.items()
        if name in space
    ]
