"""The course of a search: what it was told, score over time and against seconds, hyperparameters that mattered."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import gammaln

from autometa.report._charts import MIDDLE, against_seconds, bars, draw, over_time
from autometa.report._importance import measure_hyperparameters
from autometa.report._page import Cell, Column, Part, make_figure, make_table
from autometa.space import SearchSpace
from autometa.wording import SECOND_LAYER, algorithm_name, brief_seconds, counted, listed, number

if TYPE_CHECKING:
    from autometa.recommendation import Recommendations
    from autometa.task import Task

FloatArray = NDArray[np.float64]

_SHORT: Final[Mapping[str, str]] = {
    "hist_gradient_boosting": "Hist. boosting",
    "svm": "Support vectors",
    "knn": "Neighbours",
}
_IMPORTANT: Final = 12
_TALL: Final = 490  # pixels: as high as the two charts beside it
_TASKS: Final = 10
_RUNS: Final = 20  # a table with fewer says little about a search


class Times(Protocol):
    """How the time was spent, as a search reports it."""

    @property
    def planned(self) -> float | None:
        """Seconds promised; None without a limit."""

    @property
    def spent(self) -> float:
        """Seconds from the first look at the data to the fitted model."""

    @property
    def steps(self) -> Mapping[str, float]:
        """Seconds by step."""


@dataclass(frozen=True, eq=False)
class SearchReport:
    """What a page about a search needs; :meth:`of` takes it from a result.

    Attributes
    ----------
    task : Task
    recommendations : Recommendations or None
    leaderboard : DataFrame
        A row per trial: rank, trial, algorithm, params, score, std, expected, weight (in the ensemble, 0 for none),
        adds (what the ensemble's score gains by this member), folds (number fitted), seconds, origin (``default``,
        ``recommended``, ``proposed`` or ``search``), state (``complete``, ``stopped``, ``failed``, ``timeout`` or
        ``interrupted``), reason.
    history : DataFrame
        seconds, trial, score: of the best model so far.
    oof : ndarray of shape (n_rows, n_classes) or (n_rows,)
        Out-of-fold predictions of the final model; NaN where a row was not covered.
    score : float
        Of these predictions, in natural units of the metric.
    fold_scores : ndarray of shape (n_folds,)
    baselines : mapping of str to float
        ``constant`` and ``default``.
    deadline : Times
    model : object
        With ``predict``.
    to_code : callable
        Returns a script that makes the model.
    default_folds : sequence of float, default=()
        The score of the default on the same folds; empty where it is not known.
    """

    task: Task
    recommendations: Recommendations | None
    leaderboard: pd.DataFrame
    history: pd.DataFrame
    oof: NDArray[np.float64]
    score: float
    fold_scores: NDArray[np.float64]
    baselines: Mapping[str, float]
    deadline: Times
    model: Any
    to_code: Callable[[], str]
    default_folds: Sequence[float] = ()

    @classmethod
    def of(cls, result: Any) -> Self:
        """Take the attributes of the same names from a result.

        Parameters
        ----------
        result : object
        """
        known = {f.name: getattr(result, f.name) for f in fields(cls) if hasattr(result, f.name)}
        found = cls(**known)
        board, default = found.leaderboard, found.baselines.get("default", math.nan)
        trials = set(board.loc[(board["score"] == default) & (board["origin"] != "search"), "trial"])
        for trial in result.study.get_trials(deepcopy=False) if hasattr(result, "study") else ():
            if trial.number in trials and trial.user_attrs["configuration_id"] == _default_id(
                found.task.kind
            ):
                found = replace(found, default_folds=trial.user_attrs["run"]["folds"])
        # Where there was no time for experience, or no algorithm that it knows, there is an empty sequence.
        return (
            found if hasattr(found.recommendations, "similar_tasks") else replace(found, recommendations=None)
        )


def members_of(board: pd.DataFrame) -> pd.DataFrame:
    return board[board["weight"].fillna(0) > 0].sort_values("weight", ascending=False)


def complete_of(board: pd.DataFrame) -> pd.DataFrame:
    return board[(board["state"] == "complete") & np.isfinite(board["score"].astype("float64"))]


def _default_id(kind: str) -> str:
    """Return the id of LightGBM at its defaults."""
    return SearchSpace.for_kind(kind)["lightgbm"].default_configuration().id


def origin_name(origin: str) -> str:
    """Return how a page calls where a trial came from: what the search found by itself it proposed."""
    return {"search": "proposed"}.get(origin, origin)


def short_name(algorithm: str) -> str:
    """Return the name of an algorithm for the labels of a chart."""
    return _SHORT.get(algorithm) or algorithm_name(algorithm)


def describe_search(report: SearchReport) -> Part | None:
    """Return the section on the search; None where no trial is complete."""
    board, metric = report.leaderboard, report.task.metric
    done = complete_of(board)
    if not len(done):
        return None
    made_of = [
        f"a {origin}" if origin == SECOND_LAYER else f"{n:,} {origin}"
        for origin, n in done["origin"].map(origin_name).value_counts().items()
    ]
    others = [f"{n:,} {state}" for state, n in board["state"].value_counts().items() if state != "complete"]
    n_trials = int((board["origin"] != SECOND_LAYER).sum())
    what = (
        f"{counted(n_trials, 'trial')}: {len(done):,} complete ({listed(made_of)})"
        f"{', ' * bool(others)}{', '.join(others)}. A trial is one pipeline measured on the folds"
    )
    stops = (
        "; it is stopped when the first folds show that it cannot help."
        if "stopped" in set(board["state"])
        else "."
    )
    part = Part("search", "The search", what + stops)
    ends = _ends(report)
    trials: list[dict[str, Any]] = [
        {
            "seconds": float(ends[i]),
            "cost": float(row.seconds),
            "score": float(row.score),
            "origin": origin_name(str(row.origin)),
            "tip": f"{number(row.score)}: {algorithm_name(row.algorithm)}, trial {row.trial}, "
            f"{origin_name(str(row.origin))}, {brief_seconds(row.seconds)} s",
        }
        for i, row in enumerate(done.itertuples())
    ]
    best = _best_so_far(report)
    domain = _domain(report, [t["score"] for t in trials], [row["score"] for row in best])
    beside = [_draw_against_seconds(trials, metric.name, domain), _draw_hyperparameters(report)]
    first = _draw_over_time(report, trials, best, domain, is_tall=all(beside))
    part.blocks.append(f'<div class="grid">{first}{"".join(beside)}</div>\n')
    return part


def _draw_over_time(
    report: SearchReport,
    trials: Sequence[dict[str, Any]],
    best: Sequence[dict[str, float]],
    domain: tuple[float, float] | None,
    *,
    is_tall: bool,
) -> str:
    metric = report.task.metric
    default = report.baselines.get("default", math.nan)
    lines = [{"score": default}] if domain is not None and domain[0] < default < domain[1] else []
    n_out = 0 if domain is None else sum(not domain[0] <= t["score"] <= domain[1] for t in trials)
    nothing = _from_nothing(report, len(report.leaderboard))
    is_ensemble = len(members_of(report.leaderboard)) > 1
    words = [
        "Each mark is a trial at the moment it ended; the line is the best "
        + ("ensemble of the trials so far, and last the model itself." if is_ensemble else "trial so far."),
        f"Dashed: the library default, {number(default)}." if lines else "",
        "Dotted: what as many random trials in the same time should reach, by what they reached on the nearest known "
        "tables." if nothing else "",
        f"{counted(n_out, 'trial')} beyond the axis stand{'s' * (n_out == 1)} on its edge." if n_out else "",
    ]  # fmt: skip
    better = "higher" if metric.greater_is_better else "lower"
    chart = over_time(trials, best, lines, f"{metric.name} ({better} is better)", domain, nothing)
    label = (
        f"{metric.name} of {len(trials)} trials over {number(best[-1]['seconds'], 3)} seconds; the best model so far "
        f"went from {number(best[0]['score'])} to {number(best[-1]['score'])}."
    )
    # Where the best stays the same there is nothing to read.
    changes = [r for i, r in enumerate(best) if i in (0, len(best) - 1) or r["score"] != best[i - 1]["score"]]
    table = make_table(
        [Column("seconds", ">"), Column(metric.name, ">")],
        [
            [Cell(number(r["seconds"], 3), r["seconds"]), Cell(number(r["score"]), r["score"])]
            for r in changes
        ],
        label="The best model so far",
        narrow=True,
    )
    wide = draw({**chart, "height": _TALL} if is_tall else chart, label, width=MIDDLE)
    return make_figure(
        "Score over time",
        " ".join(filter(None, words)),
        draw(chart, label),
        wide=wide,
        more=table,
        is_tall=is_tall,
    )


def _draw_against_seconds(
    trials: Sequence[dict[str, Any]], metric: str, domain: tuple[float, float] | None
) -> str:
    priced = [{**t, "seconds": t["cost"]} for t in trials if math.isfinite(t["cost"]) and t["cost"] > 0]
    if not priced:
        return ""
    quickest = min(t["seconds"] for t in priced)
    label = f"{metric} of {len(priced)} trials against their seconds, the quickest {number(quickest, 2)} s."
    how = "What a pipeline costs and what it brings: one far to the left and near the best is the one for production."
    return make_figure("Score against seconds", how, draw(against_seconds(priced, metric, domain), label))


def _from_nothing(report: SearchReport, n_trials: int) -> list[dict[str, float]]:
    """Return what random trials should reach, put on the scale of this table; nothing where too little is known."""
    done, sign = complete_of(report.leaderboard), report.task.metric.sign
    default = report.baselines.get("default", math.nan)
    best = sign * float((sign * done["score"].astype("float64")).max())
    if report.recommendations is None or not sign * (best - default) > 0:
        return []
    regret = expected_regret(report.recommendations, n_trials)
    if regret is None:
        return []
    seconds = float(_ends(report).max()) / n_trials
    scores = best - regret * (best - default)
    return [{"seconds": seconds * (i + 1), "score": float(score)} for i, score in enumerate(scores)]


def _ends(report: SearchReport) -> FloatArray:
    """Return when each complete trial ended: from the history, and in between in the order of the trials."""
    done = complete_of(report.leaderboard)
    known: dict[int, float] = {}
    for row in report.history.itertuples():
        known.setdefault(
            int(row.trial), float(row.seconds)
        )  # the first: a member may be fitted on more rows later
    trials = done["trial"].to_numpy(dtype="int64")
    order = np.argsort(trials)
    spent = np.cumsum(done["seconds"].fillna(0).to_numpy(dtype="float64")[order])
    ends = np.empty(len(trials))
    total = max(known.values(), default=float(report.deadline.spent))
    ends[order] = spent / max(spent[-1], 1e-12) * total
    fixed = sorted(known.items())
    if fixed:
        inner = np.interp(trials, [t for t, _ in fixed], [s for _, s in fixed])
        inside = (trials >= fixed[0][0]) & (trials <= fixed[-1][0])
        ends[inside] = inner[inside]
    return ends


def _best_so_far(report: SearchReport) -> list[dict[str, float]]:
    """Return seconds and score: of the ensemble as it grew, or of the best trial where the model is one pipeline.

    The last is the model itself, with the calibration and the weights that were chosen at the end.
    """
    done, sign = complete_of(report.leaderboard), report.task.metric.sign
    if len(members_of(report.leaderboard)) > 1 and len(report.history):
        history = report.history.sort_values("seconds")
        seconds, scores = history["seconds"].to_numpy(), history["score"].to_numpy()
    else:
        ends = _ends(report)
        order = np.argsort(ends)
        seconds = ends[order]
        scores = sign * np.maximum.accumulate(sign * done["score"].to_numpy(dtype="float64")[order])
    rows = [
        {"seconds": float(t), "score": float(v)}
        for t, v in zip(seconds, scores, strict=True)
        if math.isfinite(v)
    ]
    last = report.score if math.isfinite(report.score) else rows[-1]["score"]
    return [*rows, {"seconds": max(float(report.deadline.spent), rows[-1]["seconds"]), "score": float(last)}]


def _domain(
    report: SearchReport, scores: Sequence[float], best: Sequence[float]
) -> tuple[float, float] | None:
    """Return an axis on which good trials can be told apart: poor ones are drawn on its edge."""
    sign = report.task.metric.sign
    gains = sign * np.asarray(scores, dtype="float64")
    extra = [sign * s for s in (report.score, report.baselines.get("default", math.nan)) if math.isfinite(s)]
    top = max(gains.max(), max(sign * score for score in best), *extra)
    low = min(float(np.quantile(gains, 0.2)), *extra) if extra else float(np.quantile(gains, 0.2))
    low = min(low, float(np.median(gains)))
    room = max(top - low, 1e-9 * max(abs(top), 1.0))
    ends = sorted((sign * (low - 0.08 * room), sign * (top + 0.06 * room)))
    return (ends[0], ends[1]) if ends[1] > ends[0] else None


def _draw_hyperparameters(report: SearchReport) -> str:
    found = measure_hyperparameters(
        report.leaderboard, report.task.kind, report.task.metric.greater_is_better
    )
    if found is None:
        return ""
    algorithm, importances, n = found
    rows = [
        {"label": name, "value": value, "tip": f"{name}: {value:.0%}"}
        for name, value in sorted(importances.items(), key=lambda pair: -pair[1])[:_IMPORTANT]
    ]
    label = (
        f"Importance of hyperparameters of {algorithm}: {rows[0]['label']} leads with {rows[0]['value']:.0%}."
    )
    tried = report.leaderboard[report.leaderboard["algorithm"] == algorithm]
    poor = "; those that were stopped count as poor" if "stopped" in set(tried["state"]) else ""
    how = (
        f"Share of each hyperparameter of {algorithm_name(algorithm)} in what told its better trials from the others, "
        f"by PED-ANOVA over {n} trials{poor}."
    )
    return make_figure(
        "Hyperparameters that mattered", how, draw(bars(rows, "importance", format=".0%"), label)
    )


def expected_regret(found: Recommendations, n_trials: int) -> FloatArray | None:
    """Return the regret that random trials leave on the nearest known tables, after 1 to `n_trials` of them.

    On each table the trials are drawn without replacement from the space-filling design that was run there. Regret is
    0 at the best known there and 1 at the median of the library defaults, clipped to [0, 2].

    Parameters
    ----------
    found : Recommendations
    n_trials : int

    Returns
    -------
    ndarray of shape (n_trials,) or None
        The mean over at most ten tables; None where none of them has runs of defaults and enough others.
    """
    regrets = []
    for configurations, levels in found.past_runs:
        values = np.asarray(levels, dtype="float64")
        origin = np.array([c.origin for c in configurations], dtype=object)
        known = np.isfinite(values)
        # What a search found there is no random draw, but counts in what is the best known.
        drawn = values[known & (origin != "tuned")]
        defaults = values[known & (origin == "default")]
        if len(drawn) < _RUNS or not len(defaults):
            continue
        best, usual = values[known].max(), float(np.median(defaults))
        if best - usual <= 1e-9:
            continue
        regrets.append(expected_best(np.clip((best - drawn) / (best - usual), 0.0, 2.0), n_trials))
        if len(regrets) == _TASKS:
            break
    return np.mean(regrets, axis=0) if regrets else None


def expected_best(losses: FloatArray, n_draws: int) -> FloatArray:
    """Return the expected least of 1 to `n_draws` losses that are drawn without replacement.

    The i-th smallest of m is the least of n draws with probability C(m - i, n - 1) / C(m, n).

    Parameters
    ----------
    losses : ndarray of shape (m,)
    n_draws : int
        From m draws on, the least is sure.
    """
    ordered, m = np.sort(losses), len(losses)
    rank = np.arange(1, m + 1)
    found = np.full(n_draws, ordered[0])
    for n in range(1, min(n_draws, m) + 1):
        left = m - rank
        log = np.full(m, -math.inf)
        fits = left >= n - 1
        log[fits] = gammaln(left[fits] + 1) - gammaln(n) - gammaln(left[fits] - n + 2)
        found[n - 1] = ordered @ np.exp(log - (gammaln(m + 1) - gammaln(n + 1) - gammaln(m - n + 1)))
    return found
