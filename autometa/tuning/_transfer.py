"""The next configuration of a study, given what past studies say: a Gaussian posterior and expected improvement.

Hypotheses about the study compete by their evidence: that the past studies tell its losses (the learned prior, and a
Gaussian process on what it leaves over), with little noise or with spikes; that they tell only how quickly the losses
change along each parameter (a plain Gaussian process with their lengthscales); and that they tell nothing. What is
believed of each weighs its expected improvement, and with the belief in the last one the choice is left to another
sampler. So a wrong prior loses its weight as soon as the trials contradict it. Trials in one corner contradict nothing:
the longer the best loss has not fallen, the more trials are left to the other sampler. What leads a search looks
consistent even under a past that says the opposite of the truth, so one early trial is a control: what the past calls
worst. The unknown scale of the losses is integrated over a grid.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from scipy.linalg import solve_triangular
from scipy.spatial.distance import cdist

from autometa.metamodel.belief import expected_improvement
from autometa.space.axis import Encoder
from autometa.tuning._past import Portfolio, pinning
from autometa.tuning._prior import Prior, matern, squash

Array = NDArray[np.float64]

# What the past may tell of this study, with the belief in each before the first trial: its losses, its losses with
# spikes, its lengthscales alone, nothing. The likelihood of trials outweighs them.
TOLD, TOLD_ROUGHLY, UNTOLD, NOTHING = range(4)
BELIEFS: Final = (0.5, 0.3, 0.15, 0.05)
# Variances, in units of the way from the median to the best (squared): how much a study differs from the past along
# what past studies differed by, anywhere else, and as a whole. Normalised losses lie between 0 and 1.
_TRANSFER_SHARE: Final = 0.5
_RESIDUAL: Final = 0.1
_OFFSET: Final = 0.3
# In the same units: rounding, and the spikes of a rough study (.17 of the way from the median to the best).
_NOISE: Final = 1e-3
_ROUGH_NOISE: Final = 0.03
# Candidates for the study's unit, from a quarter of the losses' usual gap to sixteen of them, in steps of sqrt(2).
_N_SCALES: Final = 13
# Configurations that are weighed for each trial: drawn anew, near the best, near the best of these. The time of a
# proposal grows with their sum. Set by hand; their halves and doubles were not measured.
_N_NEW: Final = 160
_N_NEAR: Final = 200
_N_REFINED: Final = 60
# A hypothesis with less weight changes no choice and is not worked out.
_NEGLIGIBLE: Final = 1e-3
# After so many trials without progress, so many of ten are another sampler's. Progress is a fall of the best loss by
# more than so much of the usual distance from it.
_PATIENCE: Final = 10
_MAX_STAGNATION: Final = 0.8
_PROGRESS: Final = 0.05
# The sixth trial. As the fourth it costs .011 +- .006 of regret after five trials (all tasks of rbv2_xgboost); the
# later it is, the longer a past that is wrong goes unnoticed.
CONTROL_PLACE: Final = 5


@dataclass(frozen=True, eq=False)
class Candidates:
    """Configurations with what the hypotheses need to know of them.

    Attributes
    ----------
    points : ndarray of shape (n, n_parameters)
    scaled : ndarray of shape (n, n_features)
        By lengthscales of at most a range: what did not matter to past studies may matter now.
    mean : ndarray of shape (n,)
    features : ndarray of shape (n, n_inducing)
    """

    points: Array
    scaled: Array
    mean: Array
    features: Array

    def __add__(self, other: Candidates) -> Candidates:
        return Candidates(*(np.concatenate(pair) for pair in zip(self._parts(), other._parts(), strict=True)))

    def __getitem__(self, rows: Any) -> Candidates:
        return Candidates(*(part[rows] for part in self._parts()))

    def __len__(self) -> int:
        return len(self.points)

    def _parts(self) -> tuple[Array, Array, Array, Array]:
        return self.points, self.scaled, self.mean, self.features


class Posterior:
    """What is believed after some trials.

    Parameters
    ----------
    prior : Prior
    tried : Candidates
        First those with a loss, then those that still run.
    losses : ndarray of shape (n_finished,)
        In any unit, lower is better.
    """

    def __init__(self, prior: Prior, tried: Candidates, losses: Array) -> None:
        self._prior = prior
        self._tried = tried
        self._has_losses = len(losses) > 0
        gaps = losses - losses.min() if len(losses) else losses
        running = np.full(len(tried) - len(losses), np.median(gaps) if len(gaps) else 0.0)
        self._fit(np.r_[gaps, running])

    def _fit(self, gaps: Array) -> None:
        scales = _scales(gaps) if self._has_losses else np.ones(1)
        units = squash(gaps[:, None] / scales)
        # The density of the gaps, not of the units, is what the hypotheses are compared by.
        slopes = -np.log(np.maximum(scales, gaps[:, None])).sum(axis=0) + np.log(scales)
        evidence = np.empty((len(BELIEFS), len(scales)))
        self._solved: list[tuple[Any, Any]] = []
        for i in range(len(BELIEFS)):
            root = np.linalg.cholesky(
                self._covariance(i, self._tried, self._tried) + self._nugget(i, len(gaps))
            )
            residuals = units - self._mean(i, self._tried)[:, None]
            if not self._has_losses:
                residuals = residuals * 0.0
            white = solve_triangular(root, residuals, lower=True)
            evidence[i] = (
                -0.5 * (white**2).sum(axis=0) - np.log(np.diag(root)).sum() + slopes + np.log(BELIEFS[i])
            )
            self._solved.append((root, solve_triangular(root, white, lower=True, trans=1)))
        weights = np.exp(evidence - evidence.max())
        self.weights = weights / weights.sum()

    @property
    def distrust(self) -> float:
        """Belief that the past studies tell nothing."""
        return float(self.weights[NOTHING].sum())

    def _mean(self, hypothesis: int, c: Candidates) -> Array:
        return self._prior.center + (c.mean if hypothesis <= TOLD_ROUGHLY else np.zeros(len(c)))

    def _covariance(self, hypothesis: int, a: Candidates, b: Candidates) -> Array:
        if hypothesis == NOTHING:
            return np.full((len(a), len(b)), _OFFSET)
        kernel = matern(a.scaled, b.scaled)
        if hypothesis == UNTOLD:
            return self._prior.amplitude * kernel + _OFFSET
        return _TRANSFER_SHARE * (a.features @ b.features.T) + _RESIDUAL * kernel + _OFFSET

    def _variance(self, hypothesis: int, c: Candidates) -> Array:
        if hypothesis == UNTOLD:
            return np.full(len(c), self._prior.amplitude + _OFFSET)
        return _TRANSFER_SHARE * (c.features**2).sum(axis=1) + _RESIDUAL + _OFFSET

    def _nugget(self, hypothesis: int, n: int) -> Array:
        amplitude, noise = self._prior.amplitude, max(self._prior.noise, _NOISE)
        return (_NOISE, _ROUGH_NOISE, noise, amplitude + noise)[hypothesis] * np.eye(n)

    def improvement(self, c: Candidates) -> Array:
        """Return the expected improvement on the best loss, or on the median of a study without one."""
        total = np.zeros(len(c))
        for i in range(NOTHING):
            kept = self.weights[i] > _NEGLIGIBLE
            if not kept.any():
                continue
            root, alpha = self._solved[i]
            cross = self._covariance(i, c, self._tried)
            mean = self._mean(i, c)[:, None] + cross @ alpha[:, kept]
            explained = (solve_triangular(root, cross.T, lower=True) ** 2).sum(axis=0)
            spread = np.sqrt(np.maximum(self._variance(i, c) - explained, 1e-9))[:, None]
            if self._has_losses:
                gain = expected_improvement(-mean, spread)
            else:  # nobody gains by more than the whole way from the median to the best
                gain = expected_improvement(1.0 - mean, spread) - expected_improvement(-mean, spread)
            total += gain @ self.weights[i][kept]
        return total


def _scales(gaps: Array) -> Array:
    """Return candidates for the distance from the best loss to the median of all configurations."""
    usual = float(np.sqrt((gaps**2).mean()))
    return np.geomspace(usual / 4, usual * 16, _N_SCALES) if usual > 0 else np.ones(1)


def stagnation(losses: Array, n_given: int = 0) -> float:
    """Return the share of trials for another sampler: it grows with the number of trials without progress.

    Progress is a fall of the best loss by more than a twentieth of the usual distance (root mean square) from it.

    Parameters
    ----------
    losses : ndarray of shape (n_finished,)
        In the order of the trials.
    n_given : int, default=0
        The first so many trials were given, not proposed: they are no proof against the proposals.
    """
    if len(losses) <= n_given:
        return 0.0
    gaps = losses - losses.min()
    idle = len(gaps) - 1 - int(np.argmax(gaps <= _PROGRESS * np.sqrt((gaps**2).mean())))
    return _MAX_STAGNATION * min(idle / _PATIENCE, (len(gaps) - n_given) / _PATIENCE, 1.0)


class Proposer:
    """Proposes configurations in one space.

    Parameters
    ----------
    prior : Prior
    distributions : mapping of str to optuna distribution
        Of the study, as far as it has shown them.
    portfolio : Portfolio, optional
        What to try first, as many as its order has. One early trial is a control, the known configuration that the
        past calls worst; where it beats what led until then, no more of these are tried.
    pinned : mapping of str to value, optional
        Values that every proposal has, or ``ABSENT``.
    has_control : bool, default=True
        Whether there is such a control.
    """

    def __init__(
        self,
        prior: Prior,
        distributions: Mapping[str, BaseDistribution],
        portfolio: Portfolio | None = None,
        pinned: Mapping[str, Any] | None = None,
        *,
        has_control: bool = True,
    ) -> None:
        self._prior = prior
        self._distributions = dict(distributions)
        self.encoder: Encoder = prior.encoder.extended(distributions)
        self._pin = pinning(self.encoder, pinned or {})
        n_new = len(self.encoder.parameter_of_feature) - len(prior.scale)
        # Of a new parameter we know that lengthscales are often like the others'.
        usual = float(np.exp(np.log(prior.scale).mean())) if len(prior.scale) else 1.0
        self._scale = np.r_[prior.scale, np.full(n_new, usual)]
        self._low, self._high = self.encoder.bounds(distributions)
        self._portfolio = portfolio
        first = prior.elites[:0] if portfolio is None else portfolio.points
        # Under today's distributions several of them may be one: the first stands for all.
        self._leading = self.candidates(self._snapped(self._widened(first)))
        order = [] if portfolio is None else list(portfolio.order)
        self._elites = (
            self.candidates(self._snapped(self._widened(prior.elites))) + self._leading[np.array(order, int)]
        )
        known = self.candidates(self._snapped(self._widened(prior.donors)))
        self._control = known[[int(np.argmax(known.mean))]] if has_control else known[:0]
        # So many trials are the portfolio's, or the control.
        self._n_led = len(order) + len(self._control) if order else 0

    def _widened(self, points: Array) -> Array:
        missing = len(self.encoder.names) - points.shape[1]
        return np.hstack([points, np.full((len(points), missing), np.nan)])

    def _snapped(self, points: Array) -> Array:
        return self._pin(self.encoder.snap(points, self._distributions))

    def candidates(self, points: Array) -> Candidates:
        """Describe points."""
        features = self.encoder.features(points)
        projected = self._prior.project(features * self._scale)
        scaled = features * np.maximum(self._scale, 1.0)
        return Candidates(points, scaled, projected[:, 0], projected[:, 1:])

    def propose(
        self,
        tried: Array,
        losses: Array,
        rng: np.random.Generator,
        n_ahead: int = 0,
        n_given: int = 0,
    ) -> tuple[dict[str, Any] | None, float]:
        """Return the configuration to try next, and the probability that another sampler should choose instead.

        This is the belief that the past studies tell nothing, or the stagnation where it is higher.

        Parameters
        ----------
        tried : ndarray of shape (n_tried, n_parameters)
            First those with a loss.
        losses : ndarray of shape (n_finished,)
            In the order of the trials.
        rng : Generator
        n_ahead : int, default=0
            So many others choose at the same time: what they will choose is guessed first.
        n_given : int, default=0
            The first so many losses are of trials that were given; see :func:`stagnation`.
        """
        known = self.candidates(tried)
        place = len(tried) + n_ahead
        if (
            self._portfolio
            and place < self._n_led
            and not self._is_contradicted(known[: len(losses)], losses)
        ):
            if place == CONTROL_PLACE and self._is_new(self._control, known).any():
                return self.encoder.decode(self._control.points[0]), 0.0
            led = self._lead(self._portfolio, known, losses, n_ahead)
            if self._is_new(self._leading[[led]], known)[0]:
                return self.encoder.decode(self._leading.points[led]), 0.0
        for _ in range(n_ahead + 1):
            posterior = Posterior(self._prior, known, losses)
            pool = self._pool(known, losses, rng)
            gain = self._gain(posterior, pool, known)
            best_first = np.argsort(-gain, kind="stable")[:6]
            near = self._varied(
                pool.points[best_first][rng.integers(len(best_first), size=_N_REFINED)], known, rng
            )
            pool, gain = pool + near, np.r_[gain, self._gain(posterior, near, known)]
            chosen = int(np.argmax(gain))
            known = known + pool[[chosen]]
        return self.encoder.decode(pool.points[chosen]), max(posterior.distrust, stagnation(losses, n_given))

    def _lead(self, portfolio: Portfolio, known: Candidates, losses: Array, n_ahead: int) -> int:
        """Return which of the portfolio is next, after so many others who choose at the same time."""
        places = self._places(known)
        seen = [i for i in range(len(losses)) if places[i] >= 0]
        tried = [int(places[i]) for i in [*seen, *range(len(losses), len(known))] if places[i] >= 0]
        for _ in range(n_ahead):
            tried.append(portfolio.choose(tried, losses[seen]))
        return portfolio.choose(tried, losses[seen])

    def _places(self, known: Candidates) -> NDArray[np.int_]:
        """Return which of the portfolio each point is; -1 for another one."""
        gaps = cdist(known.scaled, self._leading.scaled, "chebyshev")
        return np.where(gaps.min(axis=1) < 1e-9, gaps.argmin(axis=1), -1) if len(known) else np.zeros(0, int)

    def _is_contradicted(self, finished: Candidates, losses: Array) -> bool:
        """Tell whether what the past calls worst was better than what it calls best."""
        if not len(finished) or not len(self._control):
            return False
        led, control = self._places(finished) >= 0, ~self._is_new(finished, self._control)
        return bool(led.any() and control.any() and losses[control].min() < losses[led].min())

    def _gain(self, posterior: Posterior, pool: Candidates, known: Candidates) -> Array:
        return np.where(self._is_new(pool, known), posterior.improvement(pool), -1.0)

    def _is_new(self, pool: Candidates, known: Candidates) -> NDArray[np.bool_]:
        if not len(known):
            return np.ones(len(pool), dtype=bool)
        return np.asarray(cdist(pool.scaled, known.scaled, "chebyshev").min(axis=1) >= 1e-9)

    def _pool(self, known: Candidates, losses: Array, rng: np.random.Generator) -> Candidates:
        donors = self._donors(known)
        new = donors[rng.integers(len(donors), size=_N_NEW)]
        new = self._snapped(self._filled(new, rng.random(new.shape)))
        best = known.points[np.argsort(losses, kind="stable")[:5]] if len(losses) else self._elites.points
        # The best counts threefold.
        starts = np.vstack([best, best[:1], best[:1]])
        near = self._varied(starts[rng.integers(len(starts), size=_N_NEAR)], known, rng)
        return self._elites + near + self.candidates(new)

    def _donors(self, known: Candidates) -> Array:
        donors = self._widened(self._prior.donors)
        return np.vstack([known.points, donors]) if len(known) else donors

    def _filled(self, points: Array, places: Array) -> Array:
        """Replace the numbers that points have by others."""
        numbers = self._low + np.clip(places, 0.0, 1.0) * (self._high - self._low)
        return np.where(np.isnan(points) | self.encoder.is_choice, points, numbers)

    def _varied(self, points: Array, known: Candidates, rng: np.random.Generator) -> Candidates:
        """Change some numbers a little; one point in eight takes over another's choices, and what these ask for."""
        shape = points.shape
        changed = rng.random(shape) < rng.choice([0.1, 0.3, 0.6], size=(len(points), 1))
        changed[np.arange(len(points)), rng.integers(shape[1], size=len(points))] = True
        steps = rng.normal(size=shape) * rng.choice([0.02, 0.1, 0.3], size=(len(points), 1))
        places = (points - self._low) / np.where(self._high > self._low, self._high - self._low, 1.0)
        moved = self._filled(points, places + steps * changed)
        donors = self._donors(known)
        donor = donors[rng.integers(len(donors), size=len(points))]
        crossed = np.where(np.isnan(donor) | self.encoder.is_choice | np.isnan(moved), donor, moved)
        takes_over = (rng.random(len(points)) < 0.125) & self.encoder.is_choice.any()
        return self.candidates(self._snapped(np.where(takes_over[:, None], crossed, moved)))
