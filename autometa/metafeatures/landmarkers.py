"""Landmarkers: how well cheap models do on few rows (Pfahringer, Bensusan and Giraud-Carrier, 2000)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt

from autometa.metafeatures._sampling import FloatArray, IntArray, rank_columns
from autometa.metafeatures.summary import Summary

# Rows that the cheap models see: some of them cost the square or the cube of the rows.
MAX_LANDMARK_ROWS: Final = 500
# Half of them train, half test.
MIN_LANDMARK_ROWS: Final = 10
# Columns of levels that distances and linear models see.
_MAX_ENCODED: Final = 100
# In standard deviations; one outlier should not decide all distances.
_CLIP: Final = 4.0
_NAN: Final = float("nan")
# Meta-features that are the difference of two skills, the gain of a skill from more rows, and the skill to rank.
_DIFFERENCES: Final = (
    "tree_over_linear",
    "forest_over_tree",
    "forest_over_linear",
    "kernel_over_linear",
    "kernel_over_forest",
    "knn5_over_knn1",
    "knn15_over_knn5",
    "tree_over_stump",
    "tree_over_deep_tree",
    "naive_bayes_over_linear",
)
_GROWTH: Final = ("linear", "knn5")
_RANKING: Final = ("tree", "forest", "linear", "kernel")


@dataclass(frozen=True, eq=False)
class _Bench:
    """The rows that landmarkers see, as each of them likes its input.

    Attributes
    ----------
    ordinal : ndarray of float32 of shape (n, p + q)
        Ranks and levels: all that trees look at.
    encoded : ndarray of shape (n, d)
        Standardised numbers and one-hot levels.
    squared_distances : ndarray of shape (n, n)
        Between rows of `encoded`.
    width : float
        Median of the squared distances between rows of the two folds, or 1 if that is 0.
    response : ndarray of shape (n, k)
    groups : ndarray of int of shape (n,)
    parts : ndarray of int of shape (n,)
        Eighths with about the same distribution of the target; the even ones are one fold, the odd ones the other.
    seed : int
    """

    ordinal: npt.NDArray[np.float32]
    encoded: FloatArray
    squared_distances: FloatArray
    width: float
    response: FloatArray
    groups: IntArray
    parts: IntArray
    seed: int

    @classmethod
    def from_summary(cls, summary: Summary) -> _Bench:
        by_target = np.argsort(summary.target, kind="stable")
        n_rows = min(summary.n_sampled, MAX_LANDMARK_ROWS)
        chosen = by_target[np.linspace(0, summary.n_sampled - 1, n_rows).round().astype("int64")]
        rows = np.sort(chosen)
        encoded = _encode(summary)[rows]
        parts = (np.arange(n_rows) % 8)[np.argsort(np.argsort(chosen))]
        squares = (encoded**2).sum(axis=1)
        squared_distances = np.asarray(squares[:, None] + squares - 2 * encoded @ encoded.T)
        return cls(
            ordinal=np.hstack([summary.ranks, summary.levels])[rows].astype("float32"),
            encoded=encoded,
            squared_distances=squared_distances,
            width=float(np.median(squared_distances[np.ix_(parts % 2 == 0, parts % 2 == 1)])) or 1.0,
            response=summary.response[rows],
            groups=summary.groups[rows],
            parts=parts,
            seed=summary.random_state % 2**32,
        )


# Takes the bench and positions of training and test rows; returns predictions of shape (n_test, k).
_Learner = Callable[[_Bench, IntArray, IntArray], FloatArray]


def landmarkers(summary: Summary) -> dict[str, float]:
    """Scores of cheap models on few rows.

    Every model is trained on one half of at most 500 rows and judged on the other, then the other way round. Its
    *skill* is the share of the response's variance around the mean of the training rows that it explains, at least -1.
    Its *ranking skill* is the covariance of its ranks with the response's (with each class: 2 AUC - 1, averaged),
    over that of a perfect ranking.
    """
    if summary.n_sampled < MIN_LANDMARK_ROWS or summary.is_target_constant:
        return {}
    bench = _Bench.from_summary(summary)
    predictions = {name: _cross_predict(learner, bench) for name, learner in _LEARNERS.items()}
    dummy = _cross_predict(_predict_mean, bench)
    skills = {name: _skill(predicted, dummy, bench) for name, predicted in predictions.items()}
    # Of fifteen neighbours nothing but a difference tells.
    values = {f"landmark_{name}": skill for name, skill in skills.items() if name != "knn15"}
    values["landmark_best"] = max(skills.values())
    values["landmark_spread"] = float(np.std(list(skills.values())))
    for name in _DIFFERENCES:
        first, _, second = name.partition("_over_")
        values[name] = skills[first] - skills[second]
    for name in _GROWTH:
        by_quarter = [_skill(_cross_predict(_LEARNERS[name], bench, i), dummy, bench) for i in range(4)]
        values[f"{name}_growth"] = skills[name] - float(np.mean(by_quarter))
    for name in _RANKING:
        values[f"ranking_{name}"] = _ranking_skill(predictions[name], bench.response)
    values["linear_freedom"] = _fit_ridge(bench.encoded, bench.response)[1]
    return values | _geometry(bench)


def _encode(summary: Summary) -> FloatArray:
    """Clipped standardised numbers and the most frequent levels as 0/1, on a grid that makes distances exact."""
    numbers = np.round(np.clip(summary.standardised, -_CLIP, _CLIP) * 2**18) / 2**18
    counts = summary.level_counts
    frequent = np.argsort(-counts, axis=None, kind="stable")[:_MAX_ENCODED]
    columns, levels = np.unravel_index(frequent[counts.ravel()[frequent] > 1], counts.shape)
    return np.hstack([numbers, summary.levels[:, columns] == levels])


def _cross_predict(learner: _Learner, bench: _Bench, quarter: int | None = None) -> FloatArray:
    """Predict each fold by a model trained on the other, or on a quarter of the other."""
    predicted = np.empty_like(bench.response)
    for fold in (0, 1):
        test = np.flatnonzero(bench.parts % 2 == fold)
        is_training = bench.parts % 2 != fold
        if quarter is not None:
            is_training &= bench.parts // 2 == quarter
        train = np.flatnonzero(is_training)
        predicted[test] = learner(bench, train, test)
    return predicted


def _skill(predicted: FloatArray, dummy: FloatArray, bench: _Bench) -> float:
    error = ((bench.response - predicted) ** 2).sum()
    baseline = ((bench.response - dummy) ** 2).sum()
    return max(float(1 - error / baseline), -1.0) if baseline > 0 else 0.0


def _ranking_skill(predicted: FloatArray, response: FloatArray) -> float:
    ranks, wanted = rank_columns(predicted.round(9)), response
    if response.shape[1] == 1:
        wanted = rank_columns(response).astype("float64")
    perfect = 2.0 * np.arange(len(ranks)) - (len(ranks) - 1)
    reached = ((ranks - ranks.mean(axis=0)) * wanted).sum(axis=0)
    best = perfect @ np.sort(wanted, axis=0)
    return float((reached[best > 0] / best[best > 0]).mean()) if (best > 0).any() else 0.0


def _predict_mean(bench: _Bench, train: IntArray, test: IntArray) -> FloatArray:
    return np.broadcast_to(bench.response[train].mean(axis=0), (len(test), bench.response.shape[1]))


def _grow_trees(
    n_trees: int = 1,
    *,
    max_depth: int | None = None,
    min_samples_leaf: int = 1,
    max_features: float = 1.0,
    splitter: str = "best",
) -> _Learner:
    def predict(bench: _Bench, train: IntArray, test: IntArray) -> FloatArray:
        from sklearn.tree import DecisionTreeRegressor

        total = np.zeros((len(test), bench.response.shape[1]))
        for i in range(n_trees):
            tree = DecisionTreeRegressor(
                max_depth=max_depth,
                min_samples_leaf=min_samples_leaf,
                max_features=max_features,
                splitter=splitter,
                random_state=(bench.seed + i) % 2**32,
            )
            tree.fit(bench.ordinal[train], bench.response[train], check_input=False)
            total += tree.predict(bench.ordinal[test], check_input=False).reshape(total.shape)
        return total / n_trees

    return predict


def _average_neighbours(n_neighbours: int) -> _Learner:
    def predict(bench: _Bench, train: IntArray, test: IntArray) -> FloatArray:
        # Distances are exact multiples of 2**-36, so that the position of the row breaks ties.
        scaled = (bench.squared_distances[np.ix_(test, train)] * 2.0**36).astype("int64")
        keys = scaled * len(train) + np.arange(len(train))
        k = min(n_neighbours, len(train))
        nearest = np.partition(keys, k - 1, axis=1)[:, :k] % len(train)
        return np.asarray(bench.response[train][nearest].mean(axis=1))

    return predict


def _predict_naive_bayes(bench: _Bench, train: IntArray, test: IntArray) -> FloatArray:
    """Weigh the mean response of each group by its posterior; variances are shrunk to 1 by one pseudo-row."""
    members = np.eye(int(bench.groups.max()) + 1)[bench.groups[train]]
    members = members[:, members.any(axis=0)]
    count = members.sum(axis=0)[:, None]
    x, new = bench.encoded[train], bench.encoded[test]
    mean = members.T @ x / count
    variance = (np.maximum(members.T @ x**2 - count * mean**2, 0.0) + 1) / (count + 1)
    fit = new**2 @ (1 / variance).T - 2 * new @ (mean / variance).T
    fit += (mean**2 / variance + np.log(variance)).sum(axis=1)
    log_posterior = np.log(count[:, 0]) - fit / 2
    posterior = np.exp(log_posterior - log_posterior.max(axis=1, keepdims=True))
    posterior /= posterior.sum(axis=1, keepdims=True)
    return np.asarray(posterior @ (members.T @ bench.response[train] / count))


def _predict_linear(bench: _Bench, train: IntArray, test: IntArray) -> FloatArray:
    x, y = bench.encoded[train], bench.response[train]
    coefficients, _ = _fit_ridge(x, y)
    predicted = (bench.encoded[test] - x.mean(axis=0)) @ coefficients + y.mean(axis=0)
    return np.clip(predicted, y.min(axis=0), y.max(axis=0))


def _fit_ridge(x: FloatArray, y: FloatArray) -> tuple[FloatArray, float]:
    """Fit ridge regression with the penalty of least generalised cross-validation error.

    Returns
    -------
    coefficients : ndarray of shape (d, k)
        For centred columns.
    freedom : float
        Effective degrees of freedom per column; 0 without columns.
    """
    n_rows, n_columns = x.shape
    if n_columns == 0:
        return np.zeros((0, y.shape[1])), 0.0
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    eigenvalues, vectors = np.linalg.eigh(x.T @ x)
    eigenvalues = np.maximum(eigenvalues, 0.0)
    projected = vectors.T @ (x.T @ y)
    shrunk = 1 / (eigenvalues + n_rows * _PENALTIES[:, None])
    freedom = (eigenvalues * shrunk).sum(axis=1)
    squares = (projected**2).sum(axis=1)
    error = (y**2).sum() - (squares * shrunk * (2 - eigenvalues * shrunk)).sum(axis=1)
    # The factor keeps cross-validation from trusting a near interpolation of few rows (Kim and Gu, 2004).
    best = int(np.argmin(error / np.maximum(n_rows - 1 - 1.4 * freedom, 1e-6) ** 2))
    return vectors @ (shrunk[best][:, None] * projected), float(freedom[best] / n_columns)


def _predict_kernel(bench: _Bench, train: IntArray, test: IntArray) -> FloatArray:
    """Gaussian kernel ridge regression."""
    known = np.exp(-bench.squared_distances[np.ix_(train, train)] / bench.width)
    new = np.exp(-bench.squared_distances[np.ix_(test, train)] / bench.width)
    mean = bench.response[train].mean(axis=0)
    weights = np.linalg.solve(known + _KERNEL_PENALTY * np.eye(len(train)), bench.response[train] - mean)
    return np.asarray(new @ weights + mean)


def _geometry(bench: _Bench) -> dict[str, float]:
    others = bench.squared_distances.copy()
    np.fill_diagonal(others, np.inf)
    nearest = np.sort(np.partition(others, 1, axis=1)[:, :2], axis=1)
    nearest = nearest[nearest[:, 0] > 0]
    log_ratio = float(np.log(nearest[:, 1] / nearest[:, 0]).mean()) / 2 if len(nearest) else 0.0
    distances = np.sqrt(bench.squared_distances[np.ix_(bench.parts % 2 == 0, bench.parts % 2 == 1)])
    mean = float(distances.mean())
    return {
        "log_intrinsic_dimension": float(-np.log10(log_ratio)) if log_ratio > 0 else _NAN,
        "distance_variation": float(distances.std()) / mean if mean > 0 else _NAN,
    }


# Of ridge regression, per row: the best by generalised cross-validation is taken.
_PENALTIES: Final = np.logspace(-4, 1, 6)
# Of kernel ridge regression, as its definition says.
_KERNEL_PENALTY: Final = 0.5
_LEARNERS: Final[Mapping[str, _Learner]] = MappingProxyType(
    {
        "stump": _grow_trees(max_depth=1),
        "tree": _grow_trees(max_depth=4, min_samples_leaf=5),
        "deep_tree": _grow_trees(),
        "forest": _grow_trees(8, max_features=1 / 3, splitter="random"),
        "knn1": _average_neighbours(1),
        "knn5": _average_neighbours(5),
        "knn15": _average_neighbours(15),
        "naive_bayes": _predict_naive_bayes,
        "linear": _predict_linear,
        "kernel": _predict_kernel,
    }
)
