"""Recommendations as the first trials of the user's own Optuna study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import optuna
import pandas as pd
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from autometa.errors import UsageError
from autometa.notebook import render_warm_start_card
from autometa.recommendation import MetaModelLike, recommend_for_task
from autometa.space import Configuration, SearchSpace, Value
from autometa.task import Task
from autometa.tuning._adapt import Adaptation, Change, Conditions, Part, Policy, adapt
from autometa.tuning._past import configurations_beside

RANK_ATTRIBUTE: Final = "autometa:rank"
_STARTED: Final = "autometa:warm_start"


@dataclass(frozen=True)
class Suggestion:
    """One recommendation and what became of it.

    Attributes
    ----------
    rank : int
        Position among the recommendations, from 1.
    status : {"enqueued", "clipped", "dropped", "known"}
        As recommended; changed to fit; not used; in the study already.
    algorithm : str
    params : dict of str to value
        What was enqueued, under the user's names.
    changes : tuple of Change
    reason : str
        Why the suggestion was dropped.
    trial_number : int or None
        The trial that ran it; filled in by :meth:`WarmStartReport.update`.
    state : str
    score : float or None
    position : int or None
        Rank of the score among the study's complete trials, from 1.
    ignored : tuple of str
        Enqueued parameters that the objective never asked for, or asked for under another range.
    """

    rank: int
    status: str
    algorithm: str
    params: Mapping[str, Value]
    changes: tuple[Change, ...] = ()
    reason: str = ""
    trial_number: int | None = None
    state: str = "waiting"
    score: float | None = None
    position: int | None = None
    ignored: tuple[str, ...] = ()

    @property
    def notes(self) -> str:
        """What was changed and why; the parameters that the user does not search stand together."""
        lacking = [change.name for change in self.changes if change.action == "unknown"]
        notes = [str(change) for change in self.changes if change.action != "unknown"]
        if lacking:
            notes.append(f"not in the search space: {', '.join(lacking)}")
        return "; ".join([*notes, *([self.reason] if self.reason else [])])

    def __str__(self) -> str:
        line = f"{self.rank:>3}  {self.status:<9} {self.algorithm:<23} {self.notes}".rstrip()
        if self.trial_number is None:
            return line
        score = "" if self.score is None else f", score {self.score:.6g} (rank {self.position})"
        ignored = f", not asked for: {', '.join(self.ignored)}" if self.ignored else ""
        return f"{line}  -> trial {self.trial_number} {self.state}{score}{ignored}"


@dataclass(frozen=True)
class WarmStartReport:
    """What was enqueued, changed and dropped, a row for each suggestion.

    Attributes
    ----------
    suggestions : tuple of Suggestion
        In the order of the ranks.
    """

    suggestions: tuple[Suggestion, ...] = field(default=())

    @property
    def n_enqueued(self) -> int:
        """How many suggestions wait in the study because of this call."""
        return sum(s.status in ("enqueued", "clipped") for s in self.suggestions)

    def to_frame(self) -> pd.DataFrame:
        """Return one row for each suggestion; the columns are those of :class:`Suggestion`."""
        columns = list(Suggestion.__dataclass_fields__)
        rows = [{name: getattr(s, name) for name in columns} for s in self.suggestions]
        frame = pd.DataFrame(rows, columns=columns)
        frame["changes"] = ["; ".join(map(str, s.changes)) for s in self.suggestions]
        return frame

    def update(self, study: optuna.Study) -> WarmStartReport:
        """Return the report joined with the trials that ran the suggestions.

        Parameters
        ----------
        study : optuna.Study
            The study that was warm-started, at any later time.
        """
        trials = study.get_trials(deepcopy=False)
        by_rank = {t.user_attrs[RANK_ATTRIBUTE]: t for t in trials if RANK_ATTRIBUTE in t.user_attrs}
        is_single = len(study.directions) == 1
        complete = [t for t in trials if t.state == TrialState.COMPLETE] if is_single else []
        scores = np.array([t.value for t in complete], dtype="float64")
        sign = -1.0 if is_single and study.direction == optuna.study.StudyDirection.MAXIMIZE else 1.0
        return WarmStartReport(
            tuple(
                s
                if s.status == "dropped" or s.rank not in by_rank
                else _joined(s, by_rank[s.rank], sign * scores, sign)
                for s in self.suggestions
            )
        )

    def _repr_html_(self) -> str:
        return render_warm_start_card(self.n_enqueued, self.suggestions, str(self))

    def __str__(self) -> str:
        return "\n".join(
            [
                f"{self.n_enqueued} of {len(self.suggestions)} suggestions enqueued",
                *map(str, self.suggestions),
            ]
        )


def _joined(
    suggestion: Suggestion, trial: FrozenTrial, losses: np.ndarray[Any, np.dtype[np.float64]], sign: float
) -> Suggestion:
    score = trial.values[0] if trial.state == TrialState.COMPLETE and len(trial.values) == 1 else None
    ignored = [name for name, value in suggestion.params.items() if trial.params.get(name, _ABSENT) != value]
    return replace(
        suggestion,
        trial_number=trial.number,
        state=trial.state.name.lower(),
        score=score,
        position=None if score is None else int(np.sum(losses < sign * score)) + 1,
        ignored=tuple(ignored) if trial.state.is_finished() else (),
    )


_ABSENT: Final = object()


def warm_start(
    study: optuna.Study,
    X: Any,
    y: Any,
    *,
    k: int = 10,
    algorithm: str | None = None,
    rename: Mapping[str, str] | None = None,
    policy: Policy = "clip",
    space: Mapping[str, BaseDistribution] | None = None,
    kind: str = "auto",
    metric: Any = None,
    column_types: Mapping[str, str] | None = None,
    random_state: int | None = None,
    fixed: Mapping[str, Any] | None = None,
    metamodel: MetaModelLike | None = None,
) -> WarmStartReport:
    """Enqueue recommendations into an Optuna study, checked and repaired first.

    Only configurations are enqueued; no score of another task ever enters the study.

    Parameters
    ----------
    study : optuna.Study
        Yours, with any objective. Calling again with the same data, from this or another process, adds nothing.
    X : DataFrame or array-like of shape (n_rows, n_columns)
        Any mix of numbers, strings, categories, booleans, dates and missing values.
    y : array-like of shape (n_rows,), or str
        The target, or the name of its column in `X`.
    k : int, default=10
        How many suggestions.
    algorithm : str, optional
        Enqueue the parameters of this algorithm alone, under its library's own names (``num_leaves``). Without it
        they are ``algorithm`` and ``<algorithm>__<parameter>``.
    rename : mapping of str to str, optional
        From these names to those of your objective, where they differ.
    policy : {"clip", "drop", "error"}, default="clip"
        What to do with a value outside your search space, see :func:`adapt`.
    space : mapping of str to optuna distribution, optional
        Your search space under your names. Without it, it is read from the trials that the study has; a new study
        has none, and then what the objective does not ask for shows in :meth:`WarmStartReport.update` only.
    kind : str, default="auto"
        See :func:`autometa.recommend`.
    metric : str or callable, optional
        See :func:`autometa.recommend`.
    column_types : mapping of str to str, optional
        What to read columns as (numeric, categorical, date, text, ignored), where the guess would be another.
    random_state : int, optional
        Seed of the sampling of rows for the meta-features of a large table.
    fixed : mapping of str to value, optional
        Parameters of the algorithm, under its library's names, that your objective sets to these values and does not
        search. Those that it does not search and that are not named here have the library's defaults. Where your space
        is a part of the algorithm's, suggestions are those that are good beside these values.
    metamodel : MetaModel, MetaBase, Recommender or path, optional
        The bundled one by default, with what this machine has learned; see :func:`autometa.recommend`.

    Returns
    -------
    WarmStartReport
        What was enqueued, changed and dropped.

    Raises
    ------
    UsageError
        AM526 when `fixed` cannot be meant.
        AM501 when a value does not fit and the policy is ``"error"`` (nothing is enqueued then), or `rename` names
        an unknown parameter; AM504 when `algorithm` is not known.
    DataError
        When the data cannot be used.
    """
    task = Task.from_frame(X, y, kind=kind, metric=metric, column_types=column_types)
    algorithms = None if algorithm is None else [algorithm]
    own = _OwnSpace(SearchSpace.for_kind(task.kind, algorithms), algorithm, rename or {})
    trials = study.get_trials(deepcopy=False)
    known = dict(space) if space is not None else own.seen_in(trials)
    outside = own.outside(known, fixed)
    recommendations = recommend_for_task(
        task, k=k, algorithms=algorithms, metamodel=metamodel, random_state=random_state
    )
    chosen = [item.configuration for item in recommendations]
    if own.alone is not None and outside:
        chosen = configurations_beside(recommendations, own.alone, outside, k)
    adapted = [adapt(own.params(c), known, policy, conditions=own.conditions) for c in chosen]

    mark = {"task": task.fingerprint(), "algorithm": algorithm}
    is_repeated = study.user_attrs.get(_STARTED) == mark and any(
        RANK_ATTRIBUTE in t.user_attrs for t in trials
    )
    study.set_user_attr(_STARTED, mark)
    existing = [dict(t.system_attrs.get("fixed_params", t.params)) for t in trials]
    rows = []
    for rank, (configuration, result) in enumerate(zip(chosen, adapted, strict=True), start=1):
        row = _judge(rank, configuration, result, existing, is_repeated)
        if row.status in ("enqueued", "clipped"):
            study.enqueue_trial(result.params, user_attrs={RANK_ATTRIBUTE: row.rank}, skip_if_exists=True)
            existing.append(result.params)
        rows.append(row)
    return WarmStartReport(tuple(rows))


def _judge(
    rank: int,
    configuration: Configuration,
    result: Adaptation,
    existing: Sequence[Mapping[str, Any]],
    is_repeated: bool,
) -> Suggestion:
    def row(status: str, reason: str = "") -> Suggestion:
        return Suggestion(rank, status, configuration.algorithm, result.params, result.changes, reason)

    misfits = [change for change in result.changes if change.is_misfit]
    if result.dropped:
        return row(
            "dropped", "does not fit the search space" if misfits else "nothing of it is in the search space"
        )
    if is_repeated or result.params in existing:
        return row("known", "the study has it already")
    return row("clipped" if misfits else "enqueued")


class _OwnSpace:
    """autometa's search space under the names of the user's objective."""

    def __init__(self, space: SearchSpace, algorithm: str | None, rename: Mapping[str, str]) -> None:
        self._algorithm = algorithm
        self.alone = space[algorithm] if algorithm else None
        own = dict(space[algorithm].distributions) if algorithm else space.distributions()
        _check_rename(rename, own)
        self._rename = rename
        self._distributions = {self._user_name(name): distribution for name, distribution in own.items()}
        self.conditions: Conditions = {
            self._user_name(name): [(self._user_name(parent), values) for parent, values in parents]
            for name, parents in _conditions(space, joint=algorithm is None).items()
        }

    def _user_name(self, name: str) -> str:
        return self._rename.get(name, name)

    def params(self, configuration: Configuration) -> dict[str, Value]:
        """Return a configuration under the user's names."""
        values = configuration.params if self._algorithm else configuration.joint_params()
        return {self._user_name(name): value for name, value in values.items()}

    def outside(
        self, known: Mapping[str, BaseDistribution], fixed: Mapping[str, Any] | None
    ) -> dict[str, Value] | None:
        """Return the parameters of the one algorithm that a space lacks, with their values there."""
        if self.alone is None:
            if fixed is not None:
                raise UsageError(
                    "AM526", "fixed is about the parameters of one algorithm.", "Pass algorithm= as well."
                )
            return None
        mine = {n: known[self._user_name(n)] for n in self.alone.distributions if self._user_name(n) in known}
        for name in fixed or {}:
            mine.pop(name, None)
        return Part(self.alone, mine, fixed).outside()

    def seen_in(self, trials: Sequence[FrozenTrial]) -> dict[str, BaseDistribution]:
        """Return the user's space as far as trials show it.

        A parameter that no trial had a reason to ask for, since its parent never had the value, keeps our own range.
        """
        seen = {name: distribution for t in trials for name, distribution in t.distributions.items()}
        if not seen:
            return self._distributions
        unseen = {
            name: distribution
            for name, distribution in self._distributions.items()
            if name not in seen and not any(self._could_ask(name, t.params) for t in trials)
        }
        return {**seen, **unseen}

    def _could_ask(self, name: str, params: Mapping[str, Any]) -> bool:
        return bool(params) and all(
            params.get(parent) in values for parent, values in self.conditions.get(name, ())
        )


def _conditions(space: SearchSpace, joint: bool) -> dict[str, list[tuple[str, Sequence[Value]]]]:
    found: dict[str, list[tuple[str, Sequence[Value]]]] = {}
    for algorithm in space:
        prefix = f"{algorithm.name}__" if joint else ""
        for name in algorithm.distributions:
            parents: list[tuple[str, Sequence[Value]]] = [("algorithm", (algorithm.name,))] if joint else []
            if name in algorithm.conditions:
                parent, values = algorithm.conditions[name]
                parents.append((prefix + parent, values))
            found[prefix + name] = parents
    return found


def _check_rename(rename: Mapping[str, str], own: Mapping[str, BaseDistribution]) -> None:
    for name in rename:
        if name not in own:
            raise UsageError(
                "AM501", f"rename: {name!r} is not one of our parameters.", f"They are: {', '.join(own)}."
            )
    names = [rename.get(name, name) for name in own]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(
            "AM501", f"rename: {twice!r} would stand for two parameters.", "Choose another name."
        )
