"""Which candidates count, and what their study is told; of which the ensemble is made, and what a second layer adds."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.trial import FrozenTrial, TrialState

from autometa.ensemble import calibrate, first_layer
from autometa.errors import EvaluationError
from autometa.evaluation import EARLY_STOPPING_ROWS
from autometa.space import Configuration, SearchSpace
from autometa.tuning._candidate import Candidate, Objective, Problem
from autometa.wording import SECOND_LAYER

Array = NDArray[np.float64]
Callback = Callable[[optuna.Study, FrozenTrial], object]

INTERRUPTED: Final = "interrupted"
FIRST_FAILURES: Final = 5
# Bytes of fitted models that are kept: beyond, those of the worst candidates go.
MODEL_BYTES: Final = 500_000_000
# Rows that the choice looks at while the search goes on: more do not change it, and take time from the fits.
MAX_ROWS: Final = 10_000
# Shares at which a newcomer is mixed into the present ensemble, to see whether it can help.
_SHARES: Final = (0.1, 0.25, 0.5, 1.0)
_TEMPERATURES: Final = (0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.4, 1.7, 2.0)
# With the last, the frequencies of the classes are all that is said: what is worse than that is worth nothing.
_SMOOTHINGS: Final = (0.0, 0.0005, 0.002, 0.01, 0.03, 0.1, 0.3, 1.0)
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
# Its changes to the defaults: what is left to learn is little, so trees are small and leaves hold some rows.
FOREST: Final[Mapping[str, Any]] = {"n_estimators": 150, "min_samples_leaf": 3}
BOOSTING: Final[Mapping[str, Any]] = {
    "learning_rate": 0.03,
    "num_leaves": 16,
    "colsample_bytree": 0.5,
    "subsample": 0.8,
    "reg_lambda": 1.0,
    "n_estimators": 400,
}


class Reporter:
    """Tells a study what came of its trials, each once.

    Parameters
    ----------
    study : optuna.Study
    problem : Problem
    callbacks : sequence of callable
        Called with the study and each trial that ends.
    """

    def __init__(self, study: optuna.Study, problem: Problem, callbacks: Sequence[Callback]) -> None:
        self._study = study
        self._problem = problem
        self._callbacks = callbacks
        self._told: set[int] = set()

    def tell(self, candidate: Candidate, duplicate_of: int | None = None, *, is_last: bool = False) -> None:
        """Tell the study what came of a candidate, and the callbacks, unless the search is being ended.

        Parameters
        ----------
        candidate : Candidate
            One that repeats a finished trial has none of its own, and one that was told already is not told again.
        duplicate_of : int, optional
            Number of the trial with the same configuration.
        is_last : bool, default=False
            Whether the search is being ended.
        """
        trial = candidate.trial
        if trial is None or trial.number in self._told:
            return
        self._told.add(trial.number)
        record = self._record(candidate)
        if duplicate_of is not None:
            record["duplicate_of"] = duplicate_of
        trial.set_user_attr("configuration_id", candidate.configuration.id)
        trial.set_user_attr("fidelity", record["n_train"])
        trial.set_user_attr("run", record)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if candidate.state == "complete":
                frozen = self._study.tell(trial, float(np.mean(candidate.scores)))
            elif candidate.state == "stopped":
                frozen = self._study.tell(trial, state=TrialState.PRUNED)
            else:
                frozen = self._study.tell(trial, state=TrialState.FAIL)
        for callback in () if is_last else self._callbacks:
            callback(self._study, frozen)

    def _record(self, candidate: Candidate) -> dict[str, Any]:
        """Return the run of a candidate as plain types, as experience keeps it."""
        fits = list(candidate.fits.values())
        status = {"complete": "ok", "interrupted": "failed"}.get(candidate.state, candidate.state)
        record: dict[str, Any] = {
            "status": status,
            "reason": INTERRUPTED if candidate.state == "interrupted" else candidate.reason,
            "fit_seconds": _mean([fit.fit_seconds for fit in fits]),
            "predict_seconds": _mean([fit.predict_seconds for fit in fits]),
            "n_train": fits[0].n_train if fits else self._problem.n_train,
            "n_folds": len(fits),
            "folds": list(candidate.scores),
            "seconds": candidate.seconds,
        }
        if candidate.state == "complete" and fits:
            rounds = [fit.rounds for fit in fits if fit.rounds]
            if rounds:
                record["rounds"] = round(float(np.mean(rounds)))
            scores = self._problem.all_scores(candidate)
            for name in scores[0]:
                values = np.array([score[name] for score in scores])
                if np.isfinite(values).all():
                    record[name] = float(values.mean())
                    record[f"{name}_std"] = float(values.std())
        return record


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else math.nan


class Tried:
    """The candidates of one search.

    Parameters
    ----------
    problem : Problem
    reporter : Reporter
        Tells the study what came of them.

    Attributes
    ----------
    candidates : list of Candidate
        In the order in which they began.
    """

    def __init__(self, problem: Problem, reporter: Reporter) -> None:
        self._problem = problem
        self._reporter = reporter
        self.candidates: list[Candidate] = []

    @property
    def complete(self) -> list[Candidate]:
        """Candidates that were fitted on all folds that are compared, and whose models are there."""
        return [c for c in self.candidates if c.state == "complete" and c.fits]

    @property
    def usable(self) -> list[Candidate]:
        """Candidates that a model can be made of: those on all folds, or where there are none, on some."""
        return self.complete or [c for c in self.candidates if c.depth and c.state == "interrupted"]

    @property
    def ended(self) -> list[Candidate]:
        """Candidates that nothing more is fitted of, but for further folds of members."""
        return [c for c in self.candidates if c.state != "running"]

    @property
    def _failures(self) -> list[Candidate]:
        return [c for c in self.candidates if c.state in ("failed", "memory")]

    def same_as(self, configuration: Configuration) -> Candidate | None:
        """Return the first candidate of a configuration, if there is one."""
        return next((c for c in self.candidates if c.configuration == configuration and not c.below), None)

    def forget(self, members: Sequence[Candidate]) -> None:
        """Drop the models of the worst candidates that are no members, where models take too much memory."""
        total = sum(c.n_bytes for c in self.complete)
        if total <= MODEL_BYTES or not members:
            return
        kept = {id(c) for member in members for c in (member, *member.below)}
        sign = self._problem.task.metric.sign
        others = [c for c in self.complete if id(c) not in kept]
        for candidate in sorted(others, key=lambda c: sign * float(np.mean(c.scores))):
            if total <= MODEL_BYTES:
                break
            total -= candidate.n_bytes
            candidate.fits = {}

    def check(self, *, is_over: bool = False) -> None:
        """Raise where the first few candidates failed, or all of a search that is over."""
        failed = self._failures
        others = self.candidates if is_over else self.ended
        least = 1 if is_over else FIRST_FAILURES
        if len(failed) < least or len(failed) < len(others):
            return
        ((cause, count),) = Counter(c.reason for c in failed).most_common(1)
        raise EvaluationError(
            "AM801",
            f"all of the first {len(failed)} trials failed, {count} of them with: {cause}.",
            "Check the data and the metric.",
        )

    def close(self, depth: int, *, interrupted: bool) -> None:
        """End what is still open, so that no trial is left running.

        Parameters
        ----------
        depth : int
            Folds that candidates were compared on: those that were on all of these have scores of more by now.
        interrupted : bool
            Whether the user ended the search.
        """
        last = max((candidate.number for candidate in self.candidates), default=-1)
        for candidate in self.candidates:
            if candidate.below:
                # A second layer has no trials: its numbers come after theirs.
                candidate.number = last = last + 1
            if candidate.state == "complete" and depth < len(self._problem.splits):
                if candidate.fits:
                    candidate.scores = self._problem.fold_scores(candidate)
                self._reporter.tell(candidate, is_last=interrupted)
            elif candidate.state == "running":
                candidate.state = "interrupted"
                candidate.reason = INTERRUPTED if interrupted else "the time of the search ran out"
                self._reporter.tell(candidate, is_last=True)


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
