"""Finished studies of other tasks: what is kept of them, and the trials that they say to begin with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Final

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState
from scipy.stats import rankdata

from autometa.errors import UsageError
from autometa.metamodel import greedy_portfolio
from autometa.recommendation import Recommendations
from autometa.space import Algorithm, Configuration, Value
from autometa.space.axis import ABSENT, Encoder
from autometa.tuning._prior import MAX_STUDIES, History, elites_of, moderate, normalised

Params = Mapping[str, Any]

# Trials of a study that are kept, its best and others evenly over the ranks: a bound on the work.
MAX_TRIALS: Final = 200
# A study of fewer trials says what was best, not how losses lie; see :func:`autometa.tuning._prior.normalised`.
MIN_RUNS: Final = 10
# One configuration alone is no better or worse than any other.
MIN_DIFFERENT: Final = 2
N_LEADING: Final = 10
# In a part of an algorithm's space, so many trials cover what is known; the posterior of few parameters learns quickly.
N_PART: Final = 4
N_ROUNDS: Final = 10
_N_TREES: Final = 40
_BOOSTING: Final[dict[str, Any]] = {
    "n_estimators": 300,
    "num_leaves": 7,
    "learning_rate": 0.05,
    "min_child_samples": 100,
    "subsample": 0.8,
    "subsample_freq": 1,
    "colsample_bytree": 0.6,
    "random_state": 0,
    "deterministic": True,
    "n_jobs": 1,
    "verbose": -1,
}
# Leaves of the trees of a study: smoother ones did better in the portfolio (docs/research/past-studies.md).
_MAX_LEAVES: Final = 40
# Changed configurations that are weighed in each round of the portfolio; which share of their numbers is changed, and
# by what share of its range each: coarse and fine beside each other, as nothing says which is wanted.
_N_VARIED: Final = 300
_SHARES: Final = (0.1, 0.3, 0.6)
_STEPS: Final = (0.03, 0.1, 0.3)
# With fewer studies, what the changes gain is an error of the trees: with 18, known configurations leave .05 +- .02
# less regret after ten trials (decision trees, 24 tables); with 72, .11 more after the first (rbv2_xgboost).
_MANY_STUDIES: Final = 40
# Standard deviations over studies that the first trial is charged for. None costs .03 +- .02 of regret on 24 tables'
# decision trees, and makes no difference on rbv2_xgboost (development tasks).
_CAUTION: Final = 0.5
# What a study that has been ruled out still counts, all studies together: the new one is none of them.
_UNIFORM_SHARE: Final = 0.1
# A study that explains all results so far counts at most about 1 / this for each result after the first. A third or
# three times as much, or half of the power, gain as much or less on development tasks, never more on both spaces.
_LEAST_MISS: Final = 0.1
_POWER: Final = 2.0

Array = NDArray[np.float64]


def read_history(past_studies: Mapping[Any, optuna.Study] | Sequence[optuna.Study]) -> History | None:
    """Keep of every study what a prior is learned from; None where none has two complete trials that differ.

    Parameters
    ----------
    past_studies : mapping or sequence of optuna.Study
        Finished, single-objective, on any search space. Failed, pruned and unfinished trials are ignored. Of a long
        one the best trial and others evenly over the ranks are kept.

    Raises
    ------
    UsageError
        AM521 when something is not a study or has several objectives.
    """
    studies = past_studies.values() if isinstance(past_studies, Mapping) else past_studies
    pasts = [past for past in map(_read, studies) if past is not None]
    if not pasts:
        return None
    encoder = Encoder.of([past.distributions for past in pasts])
    return History(
        encoder,
        tuple(encoder.encode([trial.params for trial in past.trials]) for past in pasts),
        tuple(normalised(past.losses) for past in pasts),
    )


def history_of_runs(
    runs: Sequence[tuple[Sequence[Params], Array]], distributions: Mapping[str, BaseDistribution]
) -> History | None:
    """Make a history of what was run on known tasks; None where no task has enough.

    Parameters
    ----------
    runs : sequence of (configurations, scores)
        For each task; the higher the better.
    distributions : mapping of str to optuna distribution
        Of the parameters, under their names in the configurations.
    """
    encoder = Encoder.of([distributions])
    orders = [np.argsort(-scores, kind="stable") for _, scores in runs]
    long = [(*run, order) for run, order in zip(runs, orders, strict=True) if len(order) >= MIN_RUNS]
    if not long:
        return None
    return History(
        encoder,
        tuple(encoder.encode([params[i] for i in order]) for params, _, order in long),
        tuple(normalised(-scores[order]) for _, scores, order in long),
    )


@dataclass(frozen=True, eq=False)
class Portfolio:
    """Configurations that together come near the best of every past study, in an order that results decide.

    It is a learned initialisation: which trial comes first, and which next after which results, is trained across
    studies, so that few trials adapt. Each choice is the greedy one [1]_, with the studies weighed by how well they
    explain the results so far.

    Attributes
    ----------
    points : ndarray of shape (n_points, n_parameters)
        All that may be chosen.
    losses : ndarray of shape (n_studies, n_points)
        Normalised, in every study; predicted where it has none.
    order : tuple of int
        What is chosen as long as no result is known.

    References
    ----------
    .. [1] Feurer et al., Auto-Sklearn 2.0, JMLR 2022, section 3.1.
    """

    points: Array
    losses: NDArray[np.float32]
    order: tuple[int, ...]

    def choose(self, tried: Sequence[int], results: Array) -> int:
        """Return what to try next: what lowers the expected loss of the best so far most.

        Parameters
        ----------
        tried : sequence of int
            Rows of `points`, first those with a result.
        results : ndarray of shape (n_results,)
            Losses in any unit.
        """
        if not len(tried):
            return self.order[0]
        seen = list(tried)
        weights = shares(self.losses[:, seen[: len(results)]].astype("float64"), results)
        best = self.losses[:, seen].min(axis=1)
        gains = weights @ np.maximum(best[:, None] - self.losses, 0.0)
        # What adds nothing is told apart by its own mean.
        gains -= 1e-6 * (weights @ self.losses)
        gains[seen] = -np.inf
        return int(np.argmax(gains))


def shares(losses: Array, results: Array) -> Array:
    r"""Return how much each study counts, by what its losses leave unexplained of the results.

    .. math:: w_s \propto (m_s + \varepsilon)^{-(n - 1) p / 2}, \quad
        m_s = \min_{a, b \ge 0} \sum_i (y_i - a - b l_{si})^2 / \sum_i (y_i - \bar y)^2

    Scale and offset of the new study are not known, so that two results only tell which is better.

    Parameters
    ----------
    losses : ndarray of shape (n_studies, n_results)
        Of the configurations that were tried.
    results : ndarray of shape (n_results,)
        Their losses in the new study.
    """
    n_studies, n = len(losses), len(results)
    moved = moderate(results)
    moved = moved - moved.mean() if n else moved
    total = float((moved**2).sum())
    if n < 2 or total <= 0.0:
        return np.full(n_studies, 1.0 / n_studies)
    centered = losses - losses.mean(axis=1, keepdims=True)
    # A study in which they are all alike explains nothing, rather than everything.
    slopes = np.maximum(centered @ moved / ((centered**2).sum(axis=1) + 1e-3), 0.0)
    missed = ((moved - slopes[:, None] * centered) ** 2).sum(axis=1) / total
    logs = -0.5 * _POWER * (n - 1) * np.log(missed + _LEAST_MISS)
    found = np.exp(logs - logs.max())
    return np.asarray((1.0 - _UNIFORM_SHARE) * found / found.sum() + _UNIFORM_SHARE / n_studies)


@lru_cache(maxsize=4)
def learn_portfolio(
    history: History,
    size: int = N_LEADING,
    rounds: int | None = None,
    pinned: tuple[tuple[str, Any], ...] = (),
) -> Portfolio:
    """Choose configurations that together come near the best of every study.

    The losses of a study where it has none come from boosted trees over all studies and extremely randomized trees
    [1]_ over what these leave, with at most about forty leaves each: exact where a short study ran them, smooth in a
    long one. Of the best configurations of every study a greedy portfolio is chosen, then again and again of these and
    small changes of those it chose: the best on average is seldom one that somebody ran.

    Parameters
    ----------
    history : History
    size : int, default=10
        Of the order without results.
    rounds : int, optional
        Of changes; 0 leaves it at known configurations. By default 10, but none of a few studies, unless values are
        pinned: then nothing is known beside them.
    pinned : tuple of (name, value), default=()
        Values that all of them have, or ``ABSENT``: they are chosen to be good beside these.

    References
    ----------
    .. [1] Geurts, Ernst and Wehenkel, Extremely randomized trees, Machine Learning 2006.
    """
    if rounds is None:
        rounds = N_ROUNDS if pinned or len(history.points) >= _MANY_STUDIES else 0
    rng = np.random.default_rng(0)
    pin = pinning(history.encoder, dict(pinned))
    pool = pin(elites_of(history))
    if pinned:
        pool = np.unique(pool, axis=0, equal_nan=True)
    predict = _study_losses(history, rng.permutation(len(history.points))[:MAX_STUDIES])
    table = predict(pool)
    chosen = _order(table, size)
    for _ in range(rounds):
        varied = pin(_varied(pool[chosen[rng.integers(len(chosen), size=_N_VARIED)]], history.encoder, rng))
        pool, table = np.vstack([pool, varied]), np.hstack([table, predict(varied)])
        chosen = _order(table, size)
    return Portfolio(pool, table.astype(np.float32), tuple(chosen.tolist()))


def _order(table: Array, size: int) -> NDArray[np.int_]:
    """Choose greedily, but for the first: on its own, it must not be bad anywhere."""
    first = int(np.argmin(table.mean(axis=0) + _CAUTION * table.std(axis=0)))
    return np.array(greedy_portfolio(table, size, start=[first]))


def leading_points(
    history: History,
    size: int = N_LEADING,
    rounds: int | None = None,
    pinned: tuple[tuple[str, Any], ...] = (),
) -> Array:
    """Return the first points of :func:`learn_portfolio` as long as no result is known, best first.

    Parameters
    ----------
    history, size, rounds, pinned
        See :func:`learn_portfolio`.

    Returns
    -------
    ndarray of shape (n_points, n_parameters)
    """
    found = learn_portfolio(history, size, rounds, pinned)
    return found.points[list(found.order)]


def _study_losses(history: History, studies: NDArray[np.int_]) -> Callable[[Array], Array]:
    """Fit trees to every study; return a function of points that tells the loss in each, shape (n_studies, n)."""
    from lightgbm import LGBMRegressor
    from sklearn.ensemble import ExtraTreesRegressor

    features = history.encoder.features
    designs = [features(history.points[i]) for i in studies]
    # Beyond the median, how bad a configuration is does not matter.
    targets = [np.minimum(history.losses[i], 1.0) for i in studies]
    common = LGBMRegressor(**_BOOSTING).fit(np.vstack(designs), np.concatenate(targets))
    forests = []
    for design, target in zip(designs, targets, strict=True):
        smallest_leaf = max(len(design) // _MAX_LEAVES, 1)
        forest = ExtraTreesRegressor(_N_TREES, random_state=0, min_samples_leaf=smallest_leaf)
        forest.fit(design, target - common.predict(design))
        forests.append([tree.tree_ for tree in forest.estimators_])

    def predict(points: Array) -> Array:
        # The trees themselves: a forest's own predict sets up a thread pool every time.
        rows = features(points)
        shared, rows = common.predict(rows), rows.astype(np.float32)
        own = [np.mean([tree.predict(rows)[:, 0] for tree in trees], axis=0) for trees in forests]
        # What promises to be better than the best known is more often an error than a find.
        return np.maximum(shared + np.array(own), 0.0)

    return predict


def pinning(encoder: Encoder, pinned: Mapping[str, Any]) -> Callable[[Array], Array]:
    """Return what gives points these values, whatever they had."""
    columns = [encoder.names.index(name) for name in pinned if name in encoder.axes]
    # No function in a function: samplers are pickled, to go on with a study later.
    return partial(_pin, columns=columns, values=encoder.encode([pinned])[0, columns])


def _pin(points: Array, *, columns: Sequence[int], values: Array) -> Array:
    points = points.copy()
    points[:, columns] = values
    return points


def _varied(points: Array, encoder: Encoder, rng: np.random.Generator) -> Array:
    """Change some of the numbers that points have."""
    share, step = rng.choice(_SHARES, size=(len(points), 1)), rng.choice(_STEPS, size=(len(points), 1))
    changed = (rng.random(points.shape) < share) & ~encoder.is_choice
    moved = np.clip(points + step * rng.normal(size=points.shape), 0.0, 1.0)
    return np.where(changed, moved, points)


def configurations_beside(
    found: Recommendations, algorithm: Algorithm, outside: Mapping[str, Value], k: int
) -> list[Configuration]:
    """Choose configurations that are good beside given values, from what was run on the most similar known tasks.

    Parameters
    ----------
    found : Recommendations
        Of this algorithm alone.
    algorithm : Algorithm
    outside : mapping of str to value
        Parameters that are not to be chosen; ``ABSENT`` for one that does not count.
    k : int
        How many; the library's defaults second.
    """
    values = {name: value for name, value in outside.items() if value is not ABSENT}
    inside = {name: value for name, value in algorithm.default.items() if name not in outside}
    history = history_of_runs(
        [([c.params for c in known], levels) for known, levels in found.past_runs], algorithm.distributions
    )
    chosen: list[Mapping[str, Value]]
    if history is None:
        chosen = [item.configuration.params for item in found]
    else:
        points = leading_points(history, max(k, N_PART), pinned=tuple(sorted(outside.items())))
        decoded = map(history.encoder.decode, points)
        chosen = [{n: algorithm.axes[n].nearest(v) for n, v in params.items()} for params in decoded]
    chosen.insert(1, inside)
    kept = [{n: v for n, v in params.items() if n not in outside} for params in chosen]
    made = [Configuration(algorithm.name, {**params, **values}) for params in kept]
    return list(dict.fromkeys(made))[:k]


@dataclass(frozen=True)
class _Past:
    """Complete trials of one study, best first, with losses and ranks."""

    trials: list[FrozenTrial]
    losses: Array
    ranks: Array

    @property
    def distributions(self) -> dict[str, BaseDistribution]:
        """The distributions of the study."""
        return {name: d for trial in self.trials for name, d in trial.distributions.items()}


def _read(study: Any) -> _Past | None:
    if not isinstance(study, optuna.Study) or len(study.directions) != 1:
        what = (
            "a study with several objectives"
            if isinstance(study, optuna.Study)
            else f"a {type(study).__name__}"
        )
        raise UsageError(
            "AM521", f"past_studies holds {what}.", "Pass finished single-objective optuna studies."
        )
    trials = [
        trial
        for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if trial.params and np.isfinite(trial.values[0])
    ]
    if len({repr(sorted(trial.params.items())) for trial in trials}) < MIN_DIFFERENT:
        return None
    sign = -1.0 if study.direction == optuna.study.StudyDirection.MAXIMIZE else 1.0
    losses = np.array([sign * trial.values[0] for trial in trials])
    losses = moderate(losses)
    ranks = (rankdata(losses) - 0.5) / len(trials)
    order = np.argsort(ranks, kind="stable")
    kept = order[np.unique(np.linspace(0, len(order) - 1, min(len(order), MAX_TRIALS)).astype(int))]
    return _Past([trials[i] for i in kept], losses[kept], ranks[kept])
