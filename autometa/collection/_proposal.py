"""Where to run next on a task whose dense part is known: near the best found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import optuna
from optuna.trial import FrozenTrial, TrialState

from autometa.collection._ledger import as_trial, key
from autometa.metabase import TUNED
from autometa.space import Configuration, SearchSpace

N_ALGORITHMS: Final = 3
_ATTEMPTS: Final = 20


def propose(
    space: SearchSpace, runs: Sequence[FrozenTrial], fidelity: int, seed: int = 0
) -> Configuration | None:
    """Let Optuna's TPE choose a configuration of the best algorithms that was not run yet.

    Parameters
    ----------
    space : SearchSpace
        Of the task's kind.
    runs : sequence of FrozenTrial
        The task's runs, made and in flight; those of other fidelities do not count.
    fidelity : int
    seed : int, default=0

    Returns
    -------
    Configuration or None
        Of the three algorithms with the best single runs; None without a successful run, or if TPE finds nothing new.
    """
    runs = [run for run in runs if run.user_attrs["fidelity"] == fidelity]
    best: dict[str, float] = {}
    for run in runs:
        if run.state is TrialState.COMPLETE and run.value is not None:
            algorithm = run.params["algorithm"]
            best[algorithm] = max(run.value, best.get(algorithm, run.value))
    chosen = sorted((name for name in best if name in space), key=lambda name: -best[name])[:N_ALGORITHMS]
    if not chosen:
        return None
    narrow = SearchSpace(space[name] for name in chosen)
    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=seed + len(runs), constant_liar=True),
    )
    study.add_trials(_in_space(narrow, runs))
    known = {key(run)[0] for run in runs}
    for _ in range(_ATTEMPTS):
        configuration = replace(narrow.suggest(study.ask()), origin=TUNED)
        if configuration.id not in known:
            return configuration
    return None


def _in_space(space: SearchSpace, runs: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Return the runs of the algorithms of a space, as trials of that space."""
    trials = []
    for run in runs:
        if run.params["algorithm"] in space:
            configuration = space.configuration(run.params)
            if not space.problems(configuration):
                trials.append(as_trial(space, configuration, 0, run.state, run.user_attrs.get("run")))
    return trials
