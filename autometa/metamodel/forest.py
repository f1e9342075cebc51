"""A learned similarity of tasks: near means that the same configurations do well.

A forest of trees splits the tasks by their meta-features so that the tasks of a leaf have alike results. Two tasks
are as similar as the share of trees that puts them into one leaf (Breiman 2001, section on proximities); a forest
is an adaptive nearest-neighbour method in this sense (Lin and Jeon 2006). The weights that a new task gives to the
known ones predict any table about these: regrets under each metric, scores, and their spread.

Each tree sees a random 60 % of the *families*. What is asked of a task whose family is known is answered by the
trees that have not seen the family, so recognised tasks and the training report are treated like unseen ones.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ProximityForest:
    """Trees over meta-features, with the leaf of every known task in each.

    Attributes
    ----------
    medians : ndarray of shape (n_metafeatures,)
        Stand in for missing meta-features.
    feature, left, right : ndarray of int32, shape (n_trees, n_nodes)
        Split feature (-1 in a leaf) and children of each node; the root is node 0.
    threshold : ndarray of float64, shape (n_trees, n_nodes)
        A value at or below it goes left.
    leaves : ndarray of int32, shape (n_trees, n_tasks)
        Leaf of each known task.
    in_bag : ndarray of bool, shape (n_trees, n_tasks)
        Which tasks the tree has seen.
    families : ndarray of str, shape (n_tasks,)
    """

    medians: FloatArray
    feature: NDArray[np.int32]
    threshold: FloatArray
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    leaves: NDArray[np.int32]
    in_bag: NDArray[np.bool_]
    families: NDArray[np.str_]

    @classmethod
    def fit(
        cls,
        metafeatures: FloatArray,
        results: FloatArray,
        families: Sequence[str],
        *,
        n_trees: int = 400,
        min_tasks_leaf: int = 2,
        max_features: float = 0.4,
        bag_fraction: float = 0.6,
        n_components: int = 24,
        random_state: int = 0,
    ) -> ProximityForest:
        """Grow the trees.

        Parameters
        ----------
        metafeatures : ndarray of shape (n_tasks, n_metafeatures)
            NaN where undefined.
        results : ndarray of shape (n_tasks, n_results)
            What should be alike within a leaf; NaN where not known. Reduced to its principal components.
        families : sequence of str, one for each task
        n_trees : int, default=400
        min_tasks_leaf : int, default=2
        max_features : float in (0, 1], default=0.4
            Share of the meta-features that each split may choose from.
        bag_fraction : float in (0, 1), default=0.6
            Share of the families that each tree sees.
        n_components : int, default=24
        random_state : int, default=0
        """
        from sklearn.tree import DecisionTreeRegressor

        medians = column_medians(metafeatures)
        X = impute(metafeatures, medians)
        Y = principal_components(fill_with_column_means(results), n_components)
        names, codes = np.unique(np.asarray(families, dtype=str), return_inverse=True)
        rng = np.random.default_rng(random_state)
        trees: list[Any] = []
        in_bag = np.zeros((n_trees, len(X)), dtype=bool)
        for number in range(n_trees):
            size = max(round(bag_fraction * len(names)), min(len(names), 2))
            in_bag[number] = np.isin(codes, rng.choice(len(names), size=size, replace=False))
            tree = DecisionTreeRegressor(
                max_features=max_features,
                min_samples_leaf=min(min_tasks_leaf, max(int(in_bag[number].sum()) // 2, 1)),
                random_state=int(rng.integers(2**31)),
            )
            trees.append(tree.fit(X[in_bag[number]], Y[in_bag[number]]).tree_)
        n_nodes = max(tree.node_count for tree in trees)

        def stack(attribute: str, dtype: Any, fill: float) -> NDArray[Any]:
            table = np.full((n_trees, n_nodes), fill, dtype=dtype)
            for row, tree in zip(table, trees, strict=True):
                row[: tree.node_count] = getattr(tree, attribute)
            return table

        left, right = stack("children_left", np.int32, -1), stack("children_right", np.int32, -1)
        forest = cls(
            medians,
            np.where(left < 0, -1, stack("feature", np.int32, -1)).astype(np.int32),
            stack("threshold", np.float64, 0.0),
            left,
            right,
            np.zeros_like(in_bag, dtype=np.int32),
            in_bag,
            np.asarray(families, dtype=str),
        )
        object.__setattr__(forest, "leaves", forest.apply(metafeatures).T)
        return forest

    def apply(self, metafeatures: FloatArray) -> NDArray[np.int32]:
        """Return the leaf of each task in each tree, shape (n_new_tasks, n_trees)."""
        # scikit-learn compares in single precision.
        X = impute(metafeatures, self.medians).astype(np.float32)
        nodes = np.zeros((len(X), len(self.feature)), dtype=np.int32)
        while True:
            following = self._descend(X, nodes)
            if (following == nodes).all():
                return nodes
            nodes = following

    def _descend(self, X: NDArray[np.float32], nodes: NDArray[np.int32]) -> NDArray[np.int32]:
        """Go one split down in every tree; who is in a leaf stays."""
        trees = np.arange(len(self.feature))
        feature = self.feature[trees, nodes]
        values = np.take_along_axis(X, np.maximum(feature, 0), axis=1)
        goes_left = values <= self.threshold[trees, nodes]
        children = np.where(goes_left, self.left[trees, nodes], self.right[trees, nodes])
        return np.where(feature >= 0, children, nodes)

    def weights(
        self, metafeatures: FloatArray, exclude: Sequence[Collection[str]] | None = None
    ) -> FloatArray:
        """Return how much each known task says about each new one.

        Parameters
        ----------
        metafeatures : ndarray of shape (n_new_tasks, n_metafeatures)
        exclude : sequence of collections of str, one for each new task, optional
            Families that must not speak: neither their tasks nor the trees that have seen them.

        Returns
        -------
        ndarray of shape (n_new_tasks, n_tasks)
            Rows sum to 1.
        """
        nodes = self.apply(metafeatures)
        result = np.zeros((len(nodes), len(self.families)))
        for row, leaf in enumerate(nodes):
            banned = np.isin(self.families, list(exclude[row]) if exclude else [])
            fair = np.asarray(~(self.in_bag & banned).any(axis=1))
            if not fair.any():
                fair = np.ones_like(fair)
            same = (self.leaves[fair] == leaf[fair, None]) & self.in_bag[fair] & ~banned
            sizes = same.sum(axis=1, keepdims=True)
            shares = np.divide(same, sizes, out=np.zeros(same.shape), where=sizes > 0)
            total = shares.sum(axis=0)
            result[row] = total / total.sum() if total.sum() > 0 else (~banned) / max((~banned).sum(), 1)
        return result

    def extended(self, metafeatures: FloatArray, families: Sequence[str]) -> ProximityForest:
        """Return the forest with further tasks in its leaves; the trees stay as they are.

        Each new family speaks in as large a share of the trees as the known ones, so that it counts as much; one that
        is known speaks where it does already.
        """
        rng = np.random.default_rng(len(self.families))
        share = self.in_bag.mean()
        bags = {name: self.in_bag[:, number] for number, name in enumerate(self.families.tolist())}
        for name in families:
            if name not in bags:
                bags[name] = rng.random(len(self.feature)) < share
        return replace(
            self,
            leaves=np.hstack([self.leaves, self.apply(metafeatures).T]),
            in_bag=np.hstack([self.in_bag, np.array([bags[name] for name in families]).T]),
            families=np.concatenate([self.families, np.asarray(families, dtype=str)]),
        )

    def paths(self, metafeatures: FloatArray) -> NDArray[np.int16]:
        """Return the nodes that tasks pass, shape (n_steps, n_trees, n_tasks); who is in a leaf stays there."""
        X = impute(metafeatures, self.medians).astype(np.float32)
        nodes = np.zeros((len(X), len(self.feature)), dtype=np.int32)
        steps = []
        while not ((following := self._descend(X, nodes)) == nodes).all():
            nodes = following
            steps.append(nodes.T.astype(np.int16))
        return np.array(steps, dtype=np.int16).reshape(len(steps), len(self.feature), len(X))

    def contributions(
        self, x: FloatArray, paths: NDArray[np.int16], table: FloatArray, exclude: Collection[str] = ()
    ) -> FloatArray:
        """Return what each meta-feature of one task adds to the prediction of each column of a table.

        At each split on its way to its leaf, a task leaves some of the known tasks behind; the change of the mean of
        those that stay with it is put down to the split's meta-feature (Saabas 2014, Interpreting random forests).

        Parameters
        ----------
        x : ndarray of shape (n_metafeatures,)
        paths : ndarray of shape (n_steps, n_trees, n_tasks)
            Of the known tasks, see :meth:`paths`.
        table : ndarray of shape (n_tasks, n_columns)
            Without holes.
        exclude : collection of str, default=()
            Families that must not speak.

        Returns
        -------
        ndarray of shape (n_metafeatures, n_columns)
            Means over the trees.
        """
        X = impute(x[None, :], self.medians).astype(np.float32)
        nodes = np.zeros((1, len(self.feature)), dtype=np.int32)
        stays = self.in_bag & ~np.isin(self.families, list(exclude))
        mean = _column_means(stays, table)
        result = np.zeros((len(x), table.shape[1]))
        for step in paths:
            feature = self.feature[np.arange(len(self.feature)), nodes[0]]
            nodes = self._descend(X, nodes)
            stays = stays & (step == nodes[0][:, None])
            after = _column_means(stays, table)
            # A tree whose bag is empty from here on, once the excluded are gone, says no more.
            told = (feature >= 0) & stays.any(axis=1)
            np.add.at(result, feature[told], (after - mean)[told])
            mean = np.where(told[:, None], after, mean)
        return np.asarray(result / len(self.feature))

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the forest as arrays for an npz file."""
        return {
            "medians": self.medians,
            "feature": self.feature.astype(np.int16),
            "threshold": self.threshold,
            "left": self.left.astype(np.int16),
            "right": self.right.astype(np.int16),
            "leaves": self.leaves.astype(np.int16),
            "in_bag": self.in_bag,
            "families": self.families,
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]]) -> ProximityForest:
        """Read a forest back; the inverse of :meth:`to_arrays`."""
        whole = {name: arrays[name].astype(np.int32) for name in ("feature", "left", "right", "leaves")}
        n_nodes = whole["feature"].shape[1]
        for name in ("left", "right", "leaves"):
            if whole[name].size and whole[name].max() >= n_nodes:
                raise ValueError(f"array {name!r} names a node that does not exist")
        return cls(
            arrays["medians"],
            whole["feature"],
            arrays["threshold"],
            whole["left"],
            whole["right"],
            whole["leaves"],
            arrays["in_bag"].astype(bool),
            arrays["families"],
        )


def _column_means(members: NDArray[np.bool_], table: FloatArray) -> FloatArray:
    """Mean of each column over the members of each group, shape (n_groups, n_columns); 0 for an empty group."""
    counts = members.sum(axis=1)[:, None]
    return np.asarray((members.astype("float64") @ table) / np.maximum(counts, 1))


def weighted_mean(weights: FloatArray, table: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return mean and standard deviation of each column under each row of weights.

    Parameters
    ----------
    weights : ndarray of shape (n_new_tasks, n_tasks)
        Not negative, rows sum to 1.
    table : ndarray of shape (n_tasks, n_columns)
        Without holes.

    Returns
    -------
    mean, spread : ndarray of shape (n_new_tasks, n_columns)
    """
    mean = weights @ table
    return mean, np.sqrt(np.maximum(weights @ table**2 - mean**2, 0.0))


def column_medians(table: FloatArray) -> FloatArray:
    """Median of the known values of each column; 0 where there is none."""
    known = np.isfinite(table).any(axis=0)
    medians = np.zeros(table.shape[1])
    if known.any():
        medians[known] = np.nanmedian(np.where(np.isfinite(table), table, np.nan)[:, known], axis=0)
    return medians


def impute(table: FloatArray, medians: FloatArray) -> FloatArray:
    """Fill what is missing or infinite with the medians."""
    return np.where(np.isfinite(table), table, medians)


def principal_components(table: FloatArray, n_components: int) -> FloatArray:
    """Scores of the centred table on its first principal components."""
    centred = table - table.mean(axis=0)
    if min(table.shape) <= n_components:
        return centred
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    return np.asarray(left[:, :n_components] * values[:n_components])


def fill_with_column_means(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fill NaN with the mean of the column, and columns without any value with the mean of all."""
    known = np.isfinite(table)
    if known.all():
        return table
    counts = known.sum(axis=0)
    sums = np.where(known, table, 0.0).sum(axis=0)
    overall = sums.sum() / max(counts.sum(), 1)
    means = np.divide(sums, counts, out=np.full(table.shape[1], overall), where=counts > 0)
    return np.where(known, table, means)
