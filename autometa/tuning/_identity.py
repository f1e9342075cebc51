"""Which search a study belongs to: its seed, and what its scores mean."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import optuna

from autometa.errors import UsageError
from autometa.evaluation import Split
from autometa.space import SearchSpace
from autometa.storage import open_storage
from autometa.task import Task
from autometa.tuning._claims import is_shared

_IDENTITY: Final = "autometa:search"


def open_study(storage: Any, name: str | None, task: Task) -> optuna.Study:
    """Make the study of a search, or open the one of that name."""
    return optuna.create_study(
        storage=None if storage is None else open_storage(storage),
        study_name=name,
        direction="maximize" if task.metric.greater_is_better else "minimize",
        load_if_exists=name is not None,
    )


def seed_of(study: optuna.Study, random_state: Any) -> int:
    """Return the seed of everything but the sampler: that of the study, where it is continued.

    Processes that begin on one study at the same moment must agree on it before any could write it down; where nobody
    gives a seed, it follows from the study's name.
    """
    from sklearn.utils import check_random_state

    if random_state is None and is_shared(study):
        random_state = zlib.crc32(study.study_name.encode())
    fresh = int(check_random_state(random_state).randint(2**31 - 1))
    return int(study.user_attrs.get(_IDENTITY, {}).get("seed", fresh))


def sign(study: optuna.Study, task: Task, space: SearchSpace, splits: Sequence[Split], seed: int) -> None:
    """Note on the study what its scores mean, and refuse to continue one whose scores mean something else."""
    before = study.user_attrs.get(_IDENTITY, {})
    if not before and study.get_trials(deepcopy=False):
        raise UsageError(
            "AM502", f"study {study.study_name!r} was not made by tune.", "Choose another study name."
        )
    now = {"search space": space.signature(), "metric": task.metric.name, "table": task.fingerprint()}
    if splits:
        rows = b"|".join(part.tobytes() for split in splits for part in split)
        now["set of folds"] = hashlib.sha256(rows).hexdigest()[:12]
    for what, value in now.items():
        if before.get(what, value) != value:
            raise UsageError(
                "AM502",
                f"study {study.study_name!r} was made with another {what} ({before[what]}, now {value}).",
                "Its scores do not compare; choose another study name.",
            )
    if before.keys() != {*now, "seed"}:
        study.set_user_attr(_IDENTITY, {**before, **now, "seed": seed})


def sampler_seed(seed: int, study: optuna.Study) -> int:
    """A continued study must not draw the random numbers again that it began with."""
    state = np.random.SeedSequence([seed, len(study.get_trials(deepcopy=False))]).generate_state(1)
    return int(state[0])
