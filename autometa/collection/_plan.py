"""What is run on every task: designs, numbers of training rows, and lists of what was recommended for some kinds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from autometa.evaluation import Protocol
from autometa.space import Configuration, SearchSpace, grown_configurations

# Numbers of training rows that are closer say the same.
LEAST_STEP: Final = 1.25

Places = Mapping[str, Mapping[str, Sequence[int]]]

# Places in the design of each algorithm beside the default, its first: what the meta-model, asked about 60 known tables
# at 100 and at 200 rows with their families left out, recommends most often among the first six, and what was run with
# 60 rows before. Neural networks and large forests have one place each: they take half of the time as it is.
FEW_ROWS: Final[Places] = {
    "classification": {
        "linear": (3, 6, 12, 14),
        "lightgbm": (2, 5, 7, 10),
        "extra_trees": (3, 10),
        "hist_gradient_boosting": (2,),
        "random_forest": (6,),
        "mlp": (14,),
    },
    "regression": {
        "linear": (4, 12),
        "svm": (11, 14),
        "lightgbm": (5, 10),
        "extra_trees": (6, 10, 12),
        "hist_gradient_boosting": (14,),
        "random_forest": (11,),
        "mlp": (2,),
    },
}
# The same for tables of words: what was recommended most often among the first ten for 38 of them, their families left
# out; of neural networks one.
WORDS: Final[Places] = {
    "classification": {
        "hist_gradient_boosting": (5, 6, 9),
        "lightgbm": (1, 2, 5),
        "linear": (9,),
        "extra_trees": (1, 10),
        "mlp": (7,),
        "svm": (2,),
        "random_forest": (3,),
    },
    "regression": {
        "hist_gradient_boosting": (3, 8, 14),
        "lightgbm": (5, 10),
        "linear": (4,),
        "extra_trees": (3, 8, 10),
        "mlp": (2,),
        "svm": (12,),
        "random_forest": (8,),
    },
}


def listed_configurations(
    space: SearchSpace, target: str, places: Places, seed: int = 0
) -> list[Configuration]:
    """Return the default of each algorithm, and the configurations of a list.

    Parameters
    ----------
    space : SearchSpace
        Of the task's kind.
    target : {"classification", "regression"}
    places : mapping
        The list: ``FEW_ROWS`` or ``WORDS``.
    seed : int, default=0
        Of the space-filling sequence.
    """
    found = space.design(1, seed)
    for algorithm, chosen in places[target].items():
        if algorithm in space:
            design = SearchSpace([space[algorithm]]).design(max(chosen) + 1, seed)
            found += [design[place] for place in chosen]
    return found


@dataclass(frozen=True)
class Plan:
    """What is to be run on every task."""

    protocol: Protocol
    n_configurations: Mapping[int, int]
    n_tuned: int
    time_limit: float | None
    seed: int
    retry_failed: bool = False
    grown: frozenset[int] = frozenset()
    few: frozenset[int] = frozenset()
    words: frozenset[int] = frozenset()

    @property
    def main(self) -> int:
        """The main fidelity."""
        return self.protocol.max_train_rows

    def fidelities(self, n_rows: int) -> list[int]:
        """Return the fidelities that differ on a table of so many rows (0: not known), the main one first."""
        n_train = n_rows * (1 - 1 / self.protocol.n_folds) or float("inf")
        chosen = [self.main]
        for fidelity in sorted(self.n_configurations):
            rows = np.array([min(fidelity, n_train), *(min(other, n_train) for other in chosen)])
            steps = np.maximum(rows[0], rows[1:]) / np.minimum(rows[0], rows[1:])
            if steps.min() >= LEAST_STEP:
                chosen.append(fidelity)
        return chosen

    def design(self, space: SearchSpace, target: str, fidelity: int) -> list[Configuration]:
        """Return the configurations of a target to run at a fidelity."""
        return [
            *space.design(self.n_configurations[fidelity], self.seed),
            *(grown_configurations(target) if fidelity in self.grown else ()),
            *(listed_configurations(space, target, FEW_ROWS, self.seed) if fidelity in self.few else ()),
            *(listed_configurations(space, target, WORDS, self.seed) if fidelity in self.words else ()),
        ]

    def seconds(self, fidelity: int) -> float | None:
        """Return the limit on the time of a run at a fidelity."""
        return None if self.time_limit is None else self.time_limit * max(1.0, fidelity / self.main)

    def at(self, fidelity: int) -> Protocol:
        """Return the protocol at a fidelity; above the main one, few large tests are cheaper than many small ones."""
        test_rows = self.protocol.max_test_rows * (2 if fidelity > self.main else 1)
        return replace(self.protocol, max_train_rows=fidelity, max_test_rows=test_rows)
