"""Several processes on one study: a configuration belongs to one of them."""

from __future__ import annotations

from typing import Final

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from autometa.space import Configuration, SearchSpace

# On a trial that was given up, since another process had its configuration.
_WITHDRAWN: Final = "autometa:withdrawn"
# Where Optuna keeps the parameters of a trial that was put in line, from its first moment on.
_IN_LINE: Final = "fixed_params"


def is_mine(study: optuna.Study, trial: Trial, configuration: Configuration, space: SearchSpace) -> bool:
    """Whether this process is the one to fit a trial's configuration; if not, the trial is given up.

    Parameters
    ----------
    study : optuna.Study
    trial : optuna.Trial
        Asked for, with its parameters suggested.
    configuration : Configuration
        That of the trial.
    space : SearchSpace

    Notes
    -----
    Each process writes its configuration into the storage before it looks for others, so of two the later one sees the
    other. What was put in line had its configuration before it had a number: of two such trials the lower number
    stays. Otherwise whoever sees another gives way. Both may, if they look at the same moment; then the
    configuration is free again, and the sampler may propose it once more.
    """
    trials = study.get_trials(deepcopy=False)
    own = next(t for t in trials if t.number == trial.number)
    for other in trials:
        if other.number == trial.number or _WITHDRAWN in other.user_attrs:
            continue
        if _id(other, space) != configuration.id:
            continue
        both_in_line = _IN_LINE in own.system_attrs and _IN_LINE in other.system_attrs
        if not both_in_line or other.number < trial.number:
            trial.set_user_attr(_WITHDRAWN, True)
            study.tell(trial, state=TrialState.FAIL)
            return False
    return True


def tried(study: optuna.Study, space: SearchSpace) -> set[str]:
    """Return the ids of the configurations that a study has, finished or not, in line or not."""
    trials = study.get_trials(deepcopy=False)
    found = {_id(trial, space) for trial in trials if _WITHDRAWN not in trial.user_attrs}
    return {name for name in found if name is not None}


def _id(trial: FrozenTrial, space: SearchSpace) -> str | None:
    params = trial.params if "algorithm" in trial.params else trial.system_attrs.get(_IN_LINE, {})
    return space.configuration(params).id if params.get("algorithm") in space else None
