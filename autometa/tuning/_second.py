"""A second layer: models that read, beside the table, what the members of the ensemble say of rows they never saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from autometa.ensemble import first_layer
from autometa.evaluation import EARLY_STOPPING_ROWS
from autometa.space import Configuration, SearchSpace
from autometa.tuning._candidate import Candidate, Problem
from autometa.wording import SECOND_LAYER

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
