"""What past studies say about a new one: a Gaussian prior over its losses, learned across them.

A loss function is w . phi(x), phi a fixed basis of Matern kernels at inducing configurations. The weights of a new
study are drawn from N(mu, Sigma), which an EM algorithm finds from the past studies [1]_: mu is the learned
initialisation, Sigma says in which directions studies differ, so a few trials adapt it in closed form. It is what
MAML does for a linear model with Gaussian noise [2]_, and the kernel that phi and Sigma make is learned across studies
like that of few-shot Bayesian optimisation [3]_. The lengthscales of the parameters are fitted on the past studies.

References
----------
.. [1] Schwaighofer, Tresp and Yu, Learning Gaussian process kernels via hierarchical Bayes, NeurIPS 2004.
.. [2] Grant et al., Recasting gradient-based meta-learning as hierarchical Bayes, ICLR 2018.
.. [3] Wistuba and Grabocka, Few-shot Bayesian optimization with deep kernel surrogates, ICLR 2021.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, solve_triangular
from scipy.optimize import minimize

from autometa.metabase import regret_of
from autometa.space.axis import Encoder

Array = NDArray[np.float64]

# Bounds on the work, which grows with the cube of the first and with the others: configurations that stand for the
# space, half of them the best of studies; studies, drawn at random, that are learned from; the best of their trials.
N_INDUCING: Final = 224
MAX_STUDIES: Final = 128
MAX_ELITES: Final = 240
# Passes over all studies: the time grows with them.
_EM_STEPS: Final = 4
# Lengthscales are fitted to so many studies, and so many trials of each, for the same reason.
_ARD_STUDIES: Final = 16
_ARD_POINTS: Final = 80
_ROOT_5: Final = 5**0.5  # of the Matérn kernel with smoothness 5/2


def matern(a: Array, b: Array) -> Array:
    """Matern kernel of smoothness 5/2 between rows, shape (len(a), len(b))."""
    square = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1)[None, :] - 2.0 * (a @ b.T)
    r = _ROOT_5 * np.sqrt(np.maximum(square, 0.0))
    return np.asarray((1.0 + r + r * r / 3.0) * np.exp(-r))


def squash(regrets: Array) -> Array:
    """Let regrets grow like a logarithm beyond 1: how bad the bad ones are matters little."""
    return np.where(regrets > 1.0, 1.0 + np.log(np.maximum(regrets, 1.0)), regrets)


def moderate(losses: Array) -> Array:
    """Return losses in a unit in which their squares can be added: they may be near the largest float."""
    largest = np.abs(losses).max(initial=0.0)
    return losses / largest if largest > 1e100 else losses


def normalised(losses: Array) -> Array:
    """Return (loss - best) / (median - best), squashed."""
    losses = moderate(losses)
    best = losses.min()
    gap = float(np.median(losses)) - best
    if gap <= 0:
        return (losses > best).astype("float64")
    return squash(regret_of(-losses, -best, gap, limit=np.inf))


@dataclass(frozen=True, eq=False)
class History:
    """What is kept of past studies.

    Attributes
    ----------
    encoder : Encoder
    points : tuple of ndarray of shape (n_trials, n_parameters)
    losses : tuple of ndarray of shape (n_trials,)
        Normalised by study, lower is better.
    """

    encoder: Encoder
    points: tuple[Array, ...]
    losses: tuple[Array, ...]

    @cached_property
    def digest(self) -> str:
        """A hash of the content."""
        found = hashlib.sha256(repr(self.encoder.axes).encode())
        for points, losses in zip(self.points, self.losses, strict=True):
            found.update(points.tobytes())
            found.update(losses.tobytes())
        return found.hexdigest()

    def __hash__(self) -> int:
        return hash(self.digest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, History) and self.digest == other.digest


@dataclass(frozen=True, eq=False)
class Prior:
    """A Gaussian prior over the normalised losses of a new study.

    Attributes
    ----------
    encoder : Encoder
    center : float
        Mean of all losses.
    scale : ndarray of shape (n_features,)
        One over the lengthscale of each feature.
    inducing : ndarray of shape (n_inducing, n_features)
        Scaled.
    basis : ndarray of shape (n_inducing, 1 + n_inducing)
        Maps kernel values to the mean and to the features whose inner product is the covariance.
    amplitude, noise : float
        Variances of a plain Gaussian process on the past studies.
    elites : ndarray of shape (n_elites, n_parameters)
        The best of every study.
    donors : ndarray of shape (n_donors, n_parameters)
        Any configurations: they show which parameters occur together.
    """

    encoder: Encoder
    center: float
    scale: Array
    inducing: Array
    basis: Array
    amplitude: float
    noise: float
    elites: Array
    donors: Array

    def project(self, scaled: Array) -> Array:
        """Return mean (less the center) and covariance features at scaled features, one row each."""
        return matern(scaled[:, : self.inducing.shape[1]], self.inducing) @ self.basis


@lru_cache(maxsize=4)
def fit_prior(history: History) -> Prior:
    """Learn the prior; once for every content."""
    rng = np.random.default_rng(0)
    encoder = history.encoder
    chosen = rng.permutation(len(history.points))[:MAX_STUDIES]
    points = [history.points[i] for i in chosen]
    losses = [history.losses[i] for i in chosen]
    center = float(np.concatenate(losses).mean())
    features = [encoder.features(p) for p in points]
    lengthscales, amplitude, noise = _fit_kernel(
        features[:_ARD_STUDIES],
        [g - center for g in losses[:_ARD_STUDIES]],
        encoder.parameter_of_feature,
        rng,
    )
    scale = 1.0 / lengthscales[encoder.parameter_of_feature]
    scaled = [f * scale for f in features]
    inducing = _inducing(scaled, losses, rng)
    root = np.linalg.cholesky(matern(inducing, inducing) + 1e-4 * np.eye(len(inducing)))
    designs = [solve_triangular(root, matern(inducing, s), lower=True).T for s in scaled]
    mean, covariance = _learn_weights(designs, [g - center for g in losses], amplitude, noise)
    half = np.linalg.cholesky(covariance + 1e-9 * np.trace(covariance) * np.eye(len(covariance)))
    basis = solve_triangular(root, np.column_stack([mean, half]), lower=True, trans=1)
    elites = elites_of(history)
    donors = np.vstack([p[rng.permutation(len(p))[: max(400 // len(points), 4)]] for p in points])
    return Prior(encoder, center, scale, inducing, basis, amplitude, noise, elites, donors)


def elites_of(history: History) -> Array:
    """Return the best of every study, then the second best, and so on up to the limit, each once."""
    best_first = [
        p[np.argsort(g, kind="stable")] for p, g in zip(history.points, history.losses, strict=True)
    ]
    rows = [p[place] for place in range(3) for p in best_first if place < len(p)]
    table = np.unique(np.array(rows), axis=0, return_index=True, equal_nan=True)[1]
    return np.array(rows)[np.sort(table)][:MAX_ELITES]


def _inducing(scaled: Sequence[Array], losses: Sequence[Array], rng: np.random.Generator) -> Array:
    """Half the best of every study, half at random."""
    n_best = max(N_INDUCING // 2 // len(scaled), 1)
    best = np.vstack([s[np.argsort(g, kind="stable")[:n_best]] for s, g in zip(scaled, losses, strict=True)])
    best = best[rng.permutation(len(best))[: N_INDUCING // 2]]
    everything = np.vstack([best, rng.permutation(np.vstack(scaled))])
    first = np.unique(everything, axis=0, return_index=True)[1]
    return everything[np.sort(first)][:N_INDUCING]


def _fit_kernel(
    features: Sequence[Array],
    residuals: Sequence[Array],
    parameter_of_feature: NDArray[np.int_],
    rng: np.random.Generator,
) -> tuple[Array, float, float]:
    """Maximise the mean marginal likelihood of the studies: one lengthscale per parameter, amplitude and noise.

    Logarithms of lengthscales have the prior N(1, 1) in the unit of a range.
    """
    n_parameters = int(parameter_of_feature.max()) + 1
    parts = []
    for f, g in zip(features, residuals, strict=True):
        rows = rng.permutation(len(f))[:_ARD_POINTS]
        gaps = (f[rows, None, :] - f[None, rows, :]) ** 2
        squares = [gaps[:, :, parameter_of_feature == j].sum(axis=2) for j in range(n_parameters)]
        parts.append((np.array(squares), g[rows]))

    def objective(theta: Array) -> tuple[float, Array]:
        total, gradient = np.zeros(()), np.zeros(len(theta))
        for squares, values in parts:
            loss, slope = _marginal_loss(theta, squares, values)
            total, gradient = total + loss / len(parts), gradient + slope / len(parts)
        offset = theta[:n_parameters] - 1.0
        gradient[:n_parameters] += offset
        return float(total + 0.5 * (offset**2).sum()), gradient

    start = np.r_[np.full(n_parameters, 0.3), 0.0, np.log(0.05)]
    bounds = [(-3.0, 4.0)] * n_parameters + [(-4.0, 4.0), (np.log(1e-4), 1.0)]
    theta = minimize(objective, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 40}).x
    return np.exp(theta[:n_parameters]), float(np.exp(theta[-2])), float(np.exp(theta[-1]))


def _marginal_loss(theta: Array, squares: Array, values: Array) -> tuple[float, Array]:
    """Negative log marginal likelihood of one study and its gradient (Rasmussen and Williams 2006, eq. 5.9)."""
    inverse, amplitude, noise = np.exp(-2.0 * theta[:-2]), np.exp(theta[-2]), np.exp(theta[-1])
    r = _ROOT_5 * np.sqrt(np.tensordot(inverse, squares, 1))
    decay = np.exp(-r)
    kernel = amplitude * (1.0 + r + r * r / 3.0) * decay
    root = np.linalg.cholesky(kernel + noise * np.eye(len(values)))
    precision = cho_solve((root, True), np.eye(len(values)))
    alpha = precision @ values
    sensitivity = precision - np.outer(alpha, alpha)
    slope = sensitivity * amplitude * (5.0 / 3.0) * (1.0 + r) * decay
    gradient = np.r_[
        np.tensordot(squares, slope, 2) * inverse,
        (sensitivity * kernel).sum(),
        noise * np.trace(sensitivity),
    ]
    return float(0.5 * values @ alpha + np.log(np.diag(root)).sum()), 0.5 * gradient


def _learn_weights(
    designs: Sequence[Array], residuals: Sequence[Array], amplitude: float, noise: float
) -> tuple[Array, Array]:
    """Find mean and covariance of the weights by EM; the covariance has an inverse Wishart prior at a plain kernel."""
    n, size = len(designs), designs[0].shape[1]
    mean, covariance = np.zeros(size), amplitude * np.eye(size)
    for _ in range(_EM_STEPS):
        weights, spread = np.zeros((n, size)), n * covariance
        for i, (design, values) in enumerate(zip(designs, residuals, strict=True)):
            seen = design @ covariance
            root = np.linalg.cholesky(seen @ design.T + noise * np.eye(len(values)))
            gain = solve_triangular(root, seen, lower=True)
            weights[i] = mean + gain.T @ solve_triangular(root, values - design @ mean, lower=True)
            spread = spread - gain.T @ gain
        mean = weights.sum(axis=0) / (n + 0.5)
        offsets = weights - mean
        covariance = (offsets.T @ offsets + spread + 0.1 * n * amplitude * np.eye(size)) / (1.3 * n)
    return mean, covariance
