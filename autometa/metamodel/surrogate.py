"""A surrogate over (meta-features, configuration): regret with spread, for any configuration of the space.

Bagged gradient-boosted trees (LightGBM), each bag trained on a random part of the families; the prediction for a
task of a known family comes from the bags that have not seen it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from autometa.space import Configuration, SearchSpace

FloatArray = NDArray[np.float64]

PARAMETERS: Final[dict[str, Any]] = {
    "objective": "regression",
    "learning_rate": 0.06,
    "num_leaves": 24,
    "min_data_in_leaf": 40,
    "feature_fraction": 0.3,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 1.0,
    "num_threads": 1,
    "verbosity": -1,
    "deterministic": True,
    "force_row_wise": True,
}


def encode_configurations(space: SearchSpace, configurations: Sequence[Configuration]) -> FloatArray:
    """Return one row per configuration: a column per algorithm, then every parameter's place in its range.

    Returns
    -------
    ndarray of shape (n_configurations, n_algorithms + n_parameters)
        NaN for the parameters of other algorithms and inactive ones.
    """
    offsets: dict[str, int] = {}
    width = len(space)
    for algorithm in space:
        offsets[algorithm.name] = width
        width += len(algorithm.distributions)
    order = {name: position for position, name in enumerate(space.algorithms)}
    table = np.full((len(configurations), width), np.nan)
    table[:, : len(space)] = 0.0
    for row, configuration in zip(table, configurations, strict=True):
        values = list(space[configuration.algorithm].encode(configuration.params).values())
        row[order[configuration.algorithm]] = 1.0
        start = offsets[configuration.algorithm]
        row[start : start + len(values)] = values
    return table


@dataclass(frozen=True, eq=False)
class Surrogate:
    """Bags of boosted trees on (meta-features, encoded configuration).

    Attributes
    ----------
    texts : list of str
        Each bag's trees in LightGBM's text format.
    unseen : list of frozenset of str
        For each bag, the families that it was not trained on.
    noise : float
        Standard deviation of the residuals on unseen families.
    """

    texts: list[str]
    unseen: list[frozenset[str]]
    noise: float

    @classmethod
    def fit(
        cls,
        metafeatures: FloatArray,
        encoded: FloatArray,
        table: FloatArray,
        families: Sequence[str],
        *,
        n_bags: int = 4,
        n_rounds: int = 160,
        random_state: int = 0,
    ) -> Surrogate:
        """Train on every known cell of a table.

        Parameters
        ----------
        metafeatures : ndarray of shape (n_tasks, n_metafeatures)
        encoded : ndarray of shape (n_configurations, n_encoded)
        table : ndarray of shape (n_tasks, n_configurations)
            What to predict, NaN where not known.
        families : sequence of str, one for each task
        n_bags : int, default=4
            The families are dealt into as many parts; each bag leaves one part out.
        n_rounds : int, default=160
        random_state : int, default=0
        """
        import lightgbm

        names, codes = np.unique(np.asarray(families, dtype=str), return_inverse=True)
        part = np.random.default_rng(random_state).permutation(len(names)) % n_bags
        texts, unseen, residuals = [], [], []
        for bag in range(n_bags):
            left_out = part[codes] == bag
            X, y = _cells(metafeatures[~left_out], encoded, table[~left_out])
            data = lightgbm.Dataset(X, y, free_raw_data=True)
            booster = lightgbm.train({**PARAMETERS, "seed": random_state + bag}, data, n_rounds)
            texts.append(booster.model_to_string())
            unseen.append(frozenset(names[part == bag].tolist()))
            X_out, y_out = _cells(metafeatures[left_out], encoded, table[left_out])
            if len(y_out):
                residuals.append(y_out - booster.predict(X_out))
        noise = float(np.std(np.concatenate(residuals))) if residuals else 0.5
        return cls(texts, unseen, noise)

    @cached_property
    def families(self) -> frozenset[str]:
        """The families that it was trained on."""
        return frozenset().union(*self.unseen)

    @cached_property
    def boosters(self) -> list[Any]:
        """The bags as LightGBM boosters, read when they are first used."""
        import lightgbm

        return [lightgbm.Booster(model_str=text) for text in self.texts]

    def predict(
        self, metafeatures: FloatArray, encoded: FloatArray, exclude: Collection[str] = ()
    ) -> tuple[FloatArray, FloatArray]:
        """Predict one task's row of the table.

        Parameters
        ----------
        metafeatures : ndarray of shape (n_metafeatures,)
        encoded : ndarray of shape (n_configurations, n_encoded)
        exclude : collection of str, default=()
            Families that the bags must not have seen.

        Returns
        -------
        mean, spread : ndarray of shape (n_configurations,)
            The spread joins the disagreement of the bags and the noise on unseen families.
        """
        X = np.hstack([np.tile(metafeatures, (len(encoded), 1)), encoded])
        banned = set(exclude) & self.families
        fair = [b for b, unseen in zip(self.boosters, self.unseen, strict=True) if banned <= unseen]
        predictions = np.array([booster.predict(X, num_threads=1) for booster in fair or self.boosters])
        spread = np.sqrt(predictions.var(axis=0) + self.noise**2)
        return predictions.mean(axis=0), spread


def _cells(metafeatures: FloatArray, encoded: FloatArray, table: FloatArray) -> tuple[FloatArray, FloatArray]:
    rows, columns = np.nonzero(np.isfinite(table))
    return np.hstack([metafeatures[rows], encoded[columns]]), table[rows, columns]
