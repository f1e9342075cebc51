"""Runs near the best of the known tasks: what searches tried there, beside what was run on all of them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from autometa.metabase import MetaBase
from autometa.space import Configuration

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TunedRuns:
    """Runs of configurations that stand on few tasks, at the main fidelity.

    Attributes
    ----------
    tasks : ndarray of int, shape (n_runs,)
        Position of the task of each run; -1 for one that does not count.
    packed : bytes
        The configuration of each run, a gzipped line of JSON each: most uses of a model never ask for them.
    levels : dict of str to ndarray of shape (n_runs,)
        For each stored metric.
    """

    tasks: NDArray[np.int64]
    packed: bytes
    levels: dict[str, FloatArray]

    @classmethod
    def make(
        cls, tasks: Sequence[int], configurations: Sequence[Configuration], levels: dict[str, FloatArray]
    ) -> Self:
        """Pack the configurations."""
        lines = [json.dumps([c.algorithm, dict(c.params), c.origin]) + "\n" for c in configurations]
        # No time of making: the same runs give the same bytes.
        return cls(np.array(tasks, dtype="int64"), gzip.compress("".join(lines).encode(), mtime=0), levels)

    @classmethod
    def of(cls, metabase: MetaBase, target: str, task_ids: Sequence[str]) -> Self:
        """Take what a metadata base holds of its tasks of a target, in their order."""
        known = metabase.configurations_of(target, tuned=True)
        runs = metabase.tuned_runs(target)
        place = {task_id: position for position, task_id in enumerate(task_ids)}
        return cls.make(
            [place[task_id] for task_id in runs["task_id"]],
            [known[i] for i in runs["configuration_id"]],
            {m: runs[m].to_numpy(dtype="float64") for m in runs.columns[2:]},
        )

    @cached_property
    def _lines(self) -> list[bytes]:
        return gzip.decompress(self.packed).splitlines()

    def on(self, task: int, metric: str) -> tuple[list[bytes], FloatArray]:
        """Return the configurations that were run on a task, packed, and their levels."""
        rows = np.flatnonzero((self.tasks == task) & np.isfinite(self.levels[metric]))
        return [self._lines[row] for row in rows], self.levels[metric][rows]

    @staticmethod
    def unpack(line: bytes) -> Configuration:
        """Return the configuration that a line spells."""
        return Configuration(*json.loads(line))

    def extended(self, other: TunedRuns, places: NDArray[np.int64]) -> TunedRuns:
        """Add runs on further tasks.

        Parameters
        ----------
        other : TunedRuns
        places : ndarray of int
            For each of its tasks, the position that it gets here; -1 leaves it out.
        """
        return TunedRuns(
            np.r_[self.tasks, places[other.tasks]],
            self.packed + other.packed,
            {m: np.r_[levels, other.levels[m]] for m, levels in self.levels.items()},
        )
