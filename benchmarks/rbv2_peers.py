"""Two published ways to use past studies, as Optuna samplers for the rbv2 benchmark.

RGPE is the ranking-weighted ensemble of Feurer, Letham and Bakshy (2018): a model for each past study and a Gaussian
process on the trials, weighed by how often each ranks bootstrap samples of the trials best. The models of past studies
are LightGBM's here, as in the figures that were published with the benchmark. The nearest-task sampler runs the best
configurations of the study whose model ranks the trials so far most alike, then leaves off for TPE.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import optuna
from lightgbm import LGBMRegressor
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.trial import FrozenTrial
from scipy.stats import norm
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from autometa.space.axis import Axis
from autometa.tuning._prior import History

Array = NDArray[np.float64]

N_BOOTSTRAP = 100
N_KNOWN = 200
N_NEAR = 200
N_NEAREST = 10
LEAST_RANKED = 3

BASE_MODEL = {
    "n_estimators": 60,
    "num_leaves": 8,
    "min_child_samples": 5,
    "n_jobs": 1,
    "verbose": -1,
    "random_state": 0,
}


class PastModels:
    """A LightGBM for each past study, and the configurations that were known."""

    def __init__(self, history: History) -> None:
        self.encoder = history.encoder
        self.points = history.points
        self.losses = [(g - g.mean()) / max(float(g.std()), 1e-9) for g in history.losses]
        self.known = np.vstack(history.points)
        self._models = [
            LGBMRegressor(**BASE_MODEL).fit(self.encoder.features(p), g)
            for p, g in zip(self.points, self.losses, strict=True)
        ]
        self.best = np.array([p[np.argmin(g)] for p, g in zip(self.points, self.losses, strict=True)])

    def predict(self, points: Array) -> Array:
        """Return the standardised losses of every study at points, shape (n_studies, n_points)."""
        features = self.encoder.features(points)
        return np.array([model.predict(features) for model in self._models])


class _Peer(BaseSampler):
    """Runs a whole configuration for each trial; what it does not choose is TPE's."""

    def __init__(self, models: PastModels, distributions: dict[str, BaseDistribution], seed: int) -> None:
        self._models = models
        self._distributions = distributions
        self._rng = np.random.default_rng(seed)
        self._rest = TPESampler(seed=seed)
        self._tried = np.empty((0, len(models.encoder.names)))
        self._predicted = np.empty((len(models.points), 0))
        self._losses: list[float] = []
        self._now: dict[str, Any] = {}

    def choose(self) -> Array | None:
        """Return the next point, or None to leave it to TPE."""
        raise NotImplementedError

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        point = self.choose()
        self._now = {} if point is None else self._models.encoder.decode(point)

    def after_trial(
        self, study: optuna.Study, trial: FrozenTrial, state: optuna.trial.TrialState, values: Any
    ) -> None:
        point = self._models.encoder.encode([trial.params])
        self._tried = np.vstack([self._tried, point])
        self._predicted = np.hstack([self._predicted, self._models.predict(point)])
        self._losses.append(-values[0])

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return {}

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        if param_name in self._now:
            return Axis.of(param_distribution).nearest(self._now[param_name])
        return self._rest.sample_independent(study, trial, param_name, param_distribution)


class NearestTask(_Peer):
    """The best of the study that ranks the trials so far most alike, ten times; the first is the best on average."""

    def choose(self) -> Array | None:
        """Return the best untried point of the nearest study."""
        if len(self._losses) >= N_NEAREST:
            return None
        if not self._losses:
            return self._models.best[np.argmin(self._models.predict(self._models.best).mean(axis=0))]
        nearest = int(np.argmin(misranked(self._predicted, np.array(self._losses)).sum(axis=(1, 2))))
        points = self._models.points[nearest][np.argsort(self._models.losses[nearest], kind="stable")]
        return next(
            p for p in points if not (np.nan_to_num(self._tried) == np.nan_to_num(p)).all(axis=1).any()
        )


class RGPE(_Peer):
    """Expected improvement under the ranking-weighted ensemble."""

    def choose(self) -> Array:
        """Return the most promising of many candidates."""
        candidates = self._candidates()
        predicted = self._models.predict(candidates)
        if len(self._losses) < LEAST_RANKED:
            # Nothing to rank by: all studies alike.
            return candidates[np.argmin(predicted.mean(axis=0))]
        losses = np.array(self._losses)
        losses = (losses - losses.mean()) / max(float(losses.std()), 1e-9)
        features = self._models.encoder.features(self._tried)
        target = GaussianProcessRegressor(
            ConstantKernel(1.0) * Matern(1.0, (0.1, 10.0), nu=2.5) + WhiteKernel(1e-2, (1e-4, 1.0)),
            random_state=0,
        ).fit(features, losses)
        weights = self._weights(losses, _left_out(target, losses))
        mean, spread = target.predict(self._models.encoder.features(candidates), return_std=True)
        mean = weights[:-1] @ predicted + weights[-1] * mean
        errors = np.array([np.std(losses - p) for p in self._predicted])
        spread = np.sqrt(((weights[:-1] * errors) ** 2).sum() + (weights[-1] * spread) ** 2)
        best = (weights[:-1] @ self._predicted + weights[-1] * losses).min()
        z = (best - mean) / np.maximum(spread, 1e-9)
        return candidates[np.argmax((best - mean) * norm.cdf(z) + spread * norm.pdf(z))]

    def _candidates(self) -> Array:
        """Known configurations, the best of every study, and changes of these and of the best trials."""
        known = self._models.known[self._rng.permutation(len(self._models.known))[:N_KNOWN]]
        tried = self._tried[np.argsort(self._losses, kind="stable")[:5]] if self._losses else known[:0]
        centers = np.vstack([tried, tried, self._models.best])
        near = centers[self._rng.integers(len(centers), size=N_NEAR)]
        changed = (self._rng.random(near.shape) < 0.3) & ~self._models.encoder.is_choice
        near = np.where(changed, np.clip(near + 0.1 * self._rng.normal(size=near.shape), 0, 1), near)
        points = self._models.encoder.snap(np.vstack([known, self._models.best, near]), self._distributions)
        if not len(self._tried):
            return points
        gaps = np.abs(np.nan_to_num(points)[:, None] - np.nan_to_num(self._tried)[None]).max(axis=2)
        return points[gaps.min(axis=1) > 1e-9]

    def _weights(self, losses: Array, left_out: Array) -> Array:
        """Return how often each model, the target's last, ranks a bootstrap sample of the trials best."""
        n = len(losses)
        counts = self._rng.multinomial(n, np.full(n, 1.0 / n), size=N_BOOTSTRAP).astype(float)
        pairs = misranked(np.vstack([self._predicted, left_out]), losses)
        wrong = np.array([((counts @ p) * counts).sum(axis=1) for p in pairs]).T
        # Against dilution: a study that is mostly worse than the target's model is left out.
        bad = np.median(wrong[:, :-1], axis=0) > np.quantile(wrong[:, -1], 0.95)
        wrong[:, :-1][:, bad] = wrong.max() + 1
        best = wrong == wrong.min(axis=1, keepdims=True)
        return np.asarray((best / best.sum(axis=1, keepdims=True)).mean(axis=0))


def misranked(predicted: Array, losses: Array) -> Array:
    """Return which pairs of trials each row of predictions ranks otherwise than the losses, (n_rows, n, n)."""
    truth = losses[:, None] < losses[None, :]
    return ((predicted[:, :, None] < predicted[:, None, :]) != truth).astype(float)


def _left_out(target: GaussianProcessRegressor, losses: Array) -> Array:
    """Return what the process predicts of each trial from the others (Rasmussen and Williams 2006, eq. 5.12)."""
    precision = np.linalg.inv(target.L_ @ target.L_.T)
    return np.asarray(losses - (precision @ losses) / np.diag(precision))
