"""A search as one page: the answer on top, then how it came about and how far to trust it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autometa.files import write_file
from autometa.report._charts import against_seconds, bars, intervals, over_time
from autometa.report._drawing import WIDE, draw, require_charts
from autometa.report._importance import measure_columns, measure_hyperparameters
from autometa.report._known import TaskMap, describe_known
from autometa.report._nothing import expected_regret
from autometa.report._page import Cell, Column, Part, make_code, make_figure, make_page, make_table, make_tile
from autometa.report._predictions import describe_predictions
from autometa.report._table import describe_table
from autometa.wording import (
    algorithm_name,
    brief_params,
    brief_seconds,
    counted,
    direction,
    listed,
    number,
    shortened,
    significant,
)

if TYPE_CHECKING:
    from autometa.errors import DataIssue
    from autometa.metamodel import MetaModel
    from autometa.recommendation import Recommendations
    from autometa.task import Task

_MEMBERS: Final = 15  # as many as a chart shows; the leaderboard has all
_IMPORTANT: Final = 20


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

    @classmethod
    def of(cls, result: Any) -> Self:
        """Take the attributes of the same names from a result.

        Parameters
        ----------
        result : object
        """
        return cls(**{item.name: getattr(result, item.name) for item in fields(cls)})


def fold_interval(score: float, fold_scores: NDArray[np.float64]) -> tuple[float, float]:
    """Return a 95 % interval around a score from the scores of its folds.

    Folds share most of their training rows, so their spread alone is too narrow: the variance is multiplied by
    ``1 / k + 1 / (k - 1)`` in place of ``1 / k`` (Nadeau and Bengio 2003, Inference for the generalization error), with
    the quantile of Student's t.

    Parameters
    ----------
    score : float
    fold_scores : ndarray of shape (n_folds,)

    Returns
    -------
    tuple of float
        NaN where there are fewer than two folds.
    """
    from scipy.stats import t

    folds = np.asarray(fold_scores, dtype="float64")
    folds = folds[np.isfinite(folds)]
    k = len(folds)
    if k < 2 or not math.isfinite(score):
        return math.nan, math.nan
    half = float(t.ppf(0.975, k - 1) * np.std(folds, ddof=1) * math.sqrt(1 / k + 1 / (k - 1)))
    return score - half, score + half


def render_search(
    report: SearchReport,
    *,
    title: str = "",
    model: MetaModel | None = None,
    issues: Sequence[DataIssue] | None = None,
) -> str:
    """Return a search as a whole HTML document that loads nothing.

    Parameters
    ----------
    report : SearchReport
    title : str, default=""
        By default the name of the task.
    model : MetaModel, optional
        Whose known tasks are drawn as a map.
    issues : sequence of DataIssue, optional
        What was noticed; by default the warnings of the task.

    Returns
    -------
    str

    Raises
    ------
    DependencyError
        AM706 when the extra ``report`` is not installed.
    """
    require_charts()
    task, found = report.task, report.recommendations
    notes = issues if issues is not None else found.warnings if found is not None else task.warnings
    code = Part("code", "The code", "Copy it to make the same model again.")
    code.blocks.append(make_code(report.to_code(), "script"))
    parts = [
        _describe_search(report),
        _describe_ensemble(report),
        describe_predictions(task, report.oof),
        _describe_importance(report),
        describe_table(task, notes),
        None
        if found is None
        else describe_known(found, None if model is None else TaskMap.of(model, task.kind)),
        _describe_leaderboard(report),
        code,
    ]
    subtitle = (
        f"{counted(task.n_rows, 'row')}, {counted(task.X.shape[1], 'column')}, {task.kind} target "
        f"{task.y.name!r}"
    )
    steps = listed([f"{name} {seconds:.1f} s" for name, seconds in report.deadline.steps.items()])
    return make_page(
        title or f"Search on {task.name or 'a table'}",
        subtitle,
        _answer(report),
        [part for part in parts if part is not None],
        f"Made by autometa. Time: {steps or f'{report.deadline.spent:.1f} s'}.",
    )


def write_search(
    result: Any,
    path: str | Path,
    *,
    title: str = "",
    model: MetaModel | None = None,
    issues: Sequence[DataIssue] | None = None,
) -> None:
    """Write a page about a search, whole or not at all.

    Parameters
    ----------
    result : object
        With the attributes of :class:`SearchReport`.
    path : str or Path
        Of the HTML file.
    title, model, issues
        As in :func:`render_search`.

    Raises
    ------
    StorageError
        AM609 when the file cannot be written.
    DependencyError
        AM706 when the extra ``report`` is not installed.
    """
    page = render_search(SearchReport.of(result), title=title, model=model, issues=issues)
    write_file(path, page)


def _answer(report: SearchReport) -> str:
    """Say which model, how good, against what, in what time."""
    metric, deadline = report.task.metric, report.deadline
    low, high = fold_interval(report.score, report.fold_scores)
    n_folds = int(np.isfinite(np.asarray(report.fold_scores, dtype="float64")).sum())
    name, note = _model_name(report)
    constant, default = (report.baselines.get(key, math.nan) for key in ("constant", "default"))
    within = f"95 % between {number(low, 3)} and {number(high, 3)}, from {n_folds} folds"
    limit = "no limit was set" if deadline.planned is None else f"of {deadline.planned:,.0f} s given"
    tiles = "".join(
        (
            make_tile("the model", name, note),
            make_tile(
                f"{metric.name} on rows not fitted on",
                number(report.score),
                f"{within if math.isfinite(low) else 'no interval: fewer than two folds'}; "
                f"{direction(metric)} is better",
            ),
            make_tile(
                "a library default",
                number(default),
                _against(report.score, default, metric.sign, "the default"),
            ),
            make_tile(
                "a constant answer",
                number(constant),
                _against(report.score, constant, metric.sign, "a constant"),
            ),
            make_tile("time", f"{brief_seconds(deadline.spent)} s", limit),
        )
    )
    rows: list[dict[str, Any]] = [
        {
            "label": label,
            "value": value,
            "lower": low if label == "this model" else math.nan,
            "upper": high if label == "this model" else math.nan,
            "kind": "main" if label == "this model" else "other",
            "tip": f"{label}: {number(value)}",
        }
        for label, value in (
            ("this model", report.score),
            ("best single pipeline", _best_single(report)),
            ("library default", default),
            ("constant answer", constant),
        )
        if value is not None and math.isfinite(value)
    ]
    figure = ""
    if rows:
        chart = intervals(rows, metric.name)
        label = f"{metric.name}: " + listed([f"{row['label']} {number(row['value'])}" for row in rows]) + "."
        how = f"{metric.name}, {direction(metric)} is better; the bar is the 95 % interval from the folds."
        figure = make_figure("How good", how, draw(chart, label), wide=draw(chart, label, width=WIDE))
    return f'{_headline(report, name)}\n<div class="tiles">{tiles}</div>\n{figure}'


def _headline(report: SearchReport, name: str) -> str:
    metric, default = report.task.metric, report.baselines.get("default", math.nan)
    if not math.isfinite(report.score):
        text = (
            "No trial was finished in time; the model is a recommendation that was fitted but not measured."
        )
    else:
        text = f"{name} reaches {number(report.score)} of {metric.name} on rows that it was not fitted on"
        gain = metric.sign * (report.score - default)
        low, high = fold_interval(report.score, report.fold_scores)
        half = (high - low) / 2
        if not math.isfinite(gain):
            text += "."
        elif math.isfinite(half) and abs(gain) <= half:
            text += (
                f"; that is {significant(abs(gain))} {'better' if gain >= 0 else 'worse'} than the library default. "
                "The difference is smaller than the uncertainty of the score, so it may be chance."
            )
        else:
            text += f"; that is {significant(abs(gain))} {'better' if gain >= 0 else 'worse'} than the library default."
    return f'<p class="lead">{escape(text)}</p>'


def _against(score: float, other: float, sign: int, name: str) -> str:
    gain = sign * (score - other)
    if not math.isfinite(gain):
        return "not measured"
    return f"the model is {significant(abs(gain))} {'better' if gain >= 0 else 'worse'} than {name}"


def _model_name(report: SearchReport) -> tuple[str, str]:
    members = _members(report.leaderboard)
    if len(members) > 1:
        shares = members.groupby("algorithm")["weight"].sum().sort_values(ascending=False)
        total = shares.sum()
        parts = [f"{algorithm_name(a)} {w / total:.0%}" for a, w in shares.head(3).items()]
        more = len(shares) - 3
        return f"An ensemble of {len(members)} pipelines", listed(parts) + (
            f" and {more} more" if more > 0 else ""
        )
    board = members if len(members) else report.leaderboard.head(1)
    if not len(board):
        return type(report.model).__name__, ""
    row = board.iloc[0]
    return algorithm_name(row["algorithm"]), brief_params(row["algorithm"], row["params"], report.task.kind)


def _members(board: pd.DataFrame) -> pd.DataFrame:
    return board[board["weight"].fillna(0) > 0].sort_values("weight", ascending=False)


def _complete(board: pd.DataFrame) -> pd.DataFrame:
    return board[(board["state"] == "complete") & np.isfinite(board["score"].astype("float64"))]


def _best_single(report: SearchReport) -> float | None:
    done = _complete(report.leaderboard)
    if not len(done) or len(_members(report.leaderboard)) <= 1:
        return None
    scores = done["score"].astype("float64")
    return float(scores.max() if report.task.metric.greater_is_better else scores.min())


def _describe_search(report: SearchReport) -> Part | None:
    board, metric = report.leaderboard, report.task.metric
    done = _complete(board)
    if not len(done):
        return None
    ends = _ends(report)
    trials: list[dict[str, Any]] = [
        {
            "seconds": float(ends[i]),
            "cost": float(row.seconds),
            "score": float(row.score),
            "origin": str(row.origin),
            "tip": f"{number(row.score)}: {algorithm_name(row.algorithm)}, trial {row.trial}, {row.origin}, "
            f"{brief_seconds(row.seconds)} s",
        }
        for i, row in enumerate(done.itertuples())
    ]
    domain = _domain(report, [t["score"] for t in trials])
    best = _best_so_far(report)
    default = report.baselines.get("default", math.nan)
    lines = [{"score": default}] if domain is not None and domain[0] < default < domain[1] else []
    n_out = sum(not domain[0] <= t["score"] <= domain[1] for t in trials) if domain is not None else 0
    counts = done["origin"].value_counts()
    made_of = listed([f"{n:,} {origin}" for origin, n in counts.items()])
    part = Part(
        "search",
        "The search",
        f"{counted(len(board), 'trial')}, {len(done):,} of them complete ({made_of}); a trial is one "
        "pipeline measured on the "
        "folds.",
    )
    edge = (
        f" {counted(n_out, 'trial')} beyond the axis {'is' if n_out == 1 else 'are'} drawn on its edge."
        if n_out
        else ""
    )
    better = "higher" if metric.greater_is_better else "lower"
    label = (
        f"{metric.name} of {len(trials)} trials over {number(max(ends), 3)} seconds; the best model so far went from "
        f"{number(best[0]['score'])} to {number(best[-1]['score'])}."
    )
    nothing = _from_nothing(report, len(board))
    if nothing:
        dotted = (
            " The dotted line is a random search from nothing, as many trials in the same time: its "
            "regret on the nearest "
            "known tables, between this table's default and best trial."
        )
    else:
        dotted = ""
    chart = over_time(trials, best, lines, f"{metric.name} ({better} is better)", domain, nothing)
    dashed = f" The dashed line is the library default, {number(default)}." if lines else ""
    how = f"Each mark is a trial at the moment it ended, the line is the best model so far.{dashed}{dotted}{edge}"
    figures = make_table(
        [Column("seconds", ">"), Column("trial", ">"), Column(metric.name, ">")],
        [
            [
                Cell(number(r.seconds, 3), r.seconds),
                Cell(str(r.trial), r.trial),
                Cell(number(r.score), r.score),
            ]
            for r in report.history.itertuples()
        ],
        label="The best model so far",
    )
    first = make_figure(
        "Score over time", how, draw(chart, label), wide=draw(chart, label, width=WIDE), more=figures
    )
    priced = [{**t, "seconds": t["cost"]} for t in trials if math.isfinite(t["cost"]) and t["cost"] > 0]
    second = ""
    if priced:
        cheap = min(priced, key=lambda t: t["seconds"])
        second = make_figure(
            "Score against seconds",
            "What a pipeline costs and what it brings; one far to the left and near the best is the one "
            "for production.",
            draw(
                against_seconds(priced, metric.name, domain),
                f"{metric.name} of {len(priced)} trials against their seconds, the quickest "
                f"{number(cheap['seconds'], 2)} s.",
            ),
        )
    part.blocks.append(f'<div class="grid">{first}{second}{_draw_hyperparameters(report)}</div>\n')
    return part


def _from_nothing(report: SearchReport, n_trials: int) -> list[dict[str, float]]:
    """Return what random trials should reach, put on the scale of this table; nothing where too little is known."""
    done, sign = _complete(report.leaderboard), report.task.metric.sign
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


def _ends(report: SearchReport) -> NDArray[np.float64]:
    """Return when each complete trial ended: from the history, and in between in the order of the trials."""
    done, history = _complete(report.leaderboard), report.history
    known = {int(row.trial): float(row.seconds) for row in history.itertuples()}
    trials = done["trial"].to_numpy(dtype="int64")
    order = np.argsort(trials)
    spent = np.cumsum(done["seconds"].fillna(0).to_numpy(dtype="float64")[order])
    ends = np.empty(len(trials))
    total = max(known.values(), default=float(report.deadline.spent))
    ends[order] = spent / max(spent[-1], 1e-12) * total
    fixed = sorted((t, s) for t, s in known.items())
    if fixed:
        inner = np.interp(trials, [t for t, _ in fixed], [s for _, s in fixed])
        inside = (trials >= fixed[0][0]) & (trials <= fixed[-1][0])
        ends[inside] = inner[inside]
    return ends


def _best_so_far(report: SearchReport) -> list[dict[str, float]]:
    rows = [
        {"seconds": float(r.seconds), "score": float(r.score)}
        for r in report.history.sort_values("seconds").itertuples()
        if math.isfinite(r.score)
    ]
    if not rows:
        rows = [{"seconds": 0.0, "score": float(report.score)}]
    search_end = float(_ends(report).max())
    return [*rows, {"seconds": max(search_end, rows[-1]["seconds"]), "score": rows[-1]["score"]}]


def _domain(report: SearchReport, scores: Sequence[float]) -> tuple[float, float] | None:
    """Return an axis on which good trials can be told apart: poor ones are drawn on its edge."""
    sign = report.task.metric.sign
    gains = sign * np.asarray(scores, dtype="float64")
    extra = [sign * s for s in (report.score, report.baselines.get("default", math.nan)) if math.isfinite(s)]
    best = max(gains.max(), *extra) if extra else gains.max()
    low = min(float(np.quantile(gains, 0.2)), *extra) if extra else float(np.quantile(gains, 0.2))
    low = min(low, float(np.median(gains)))
    room = max(best - low, 1e-9 * max(abs(best), 1.0))
    ends = sorted((sign * (low - 0.08 * room), sign * (best + 0.06 * room)))
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
    how = (
        f"Share of each hyperparameter of {algorithm_name(algorithm)} in what told its better trials from "
        "the others, by "
        f"PED-ANOVA over {n} trials."
    )
    return make_figure(
        "Hyperparameters that mattered", how, draw(bars(rows, "importance", format=".0%"), label)
    )


def _describe_ensemble(report: SearchReport) -> Part | None:
    members = _members(report.leaderboard)
    if len(members) < 2:
        return None
    metric, total = report.task.metric, float(members["weight"].sum())
    part = Part(
        "ensemble",
        "The ensemble",
        f"{len(members)} pipelines vote with these weights; what a member adds is what the ensemble's "
        f"{metric.name} would lose "
        "without it.",
    )
    shown = members.head(_MEMBERS)
    names = [f"#{r.trial} {algorithm_name(r.algorithm)}" for r in shown.itertuples()]
    weights = [
        {"label": name, "value": r.weight / total, "tip": f"{name}: weight {r.weight / total:.1%}"}
        for name, r in zip(names, shown.itertuples(), strict=True)
    ]
    label = f"Weights of {len(shown)} members, the heaviest {names[0]} with {weights[0]['value']:.0%}."
    some = f" The {_MEMBERS} heaviest of {len(members)}." if len(members) > _MEMBERS else ""
    figures = [
        make_figure(
            "Weights",
            f"Share of each member in the vote.{some}",
            draw(bars(weights, "weight", format=".0%"), label),
        )
    ]
    added: list[dict[str, Any]] = [
        {"label": name, "value": float(r.adds), "tip": f"{name}: adds {significant(float(r.adds))}"}
        for name, r in zip(names, shown.itertuples(), strict=True)
        if math.isfinite(r.adds)
    ]
    if added:
        label = (
            f"What each member adds to {metric.name}, the most {significant(max(a['value'] for a in added))}."
        )
        how = (
            f"How much better the ensemble's {metric.name} is with this member than without; near zero can be "
            "dropped."
        )
        figures.append(
            make_figure(
                "What each member adds",
                how,
                draw(bars(added, f"gain of {metric.name}", color="var(--c3)"), label),
            )
        )
    table = make_table(
        [
            Column("trial", ">"),
            Column("algorithm"),
            Column("weight", ">"),
            Column("adds", ">"),
            Column("seconds", ">"),
        ],
        [
            [
                Cell(str(r.trial), r.trial),
                algorithm_name(r.algorithm),
                Cell(f"{r.weight / total:.1%}", r.weight),
                Cell(significant(r.adds), r.adds),
                Cell(brief_seconds(r.seconds), r.seconds),
            ]
            for r in members.itertuples()
        ],
        label="Members of the ensemble",
        sortable=True,
    )
    figures.append(f'<div class="card"><h3>Members</h3>{table}</div>\n')
    part.blocks.append(f'<div class="grid">{"".join(figures)}</div>\n')
    return part


def _describe_importance(report: SearchReport) -> Part | None:
    done, task = _complete(report.leaderboard), report.task
    if not len(done):
        return None
    members = _members(done)
    row = (members if len(members) else done).iloc[0]
    n_folds = max(int(row["folds"]) if pd.notna(row["folds"]) else 1, 1)
    found = measure_columns(task, row["algorithm"], row["params"], float(row["seconds"]) / n_folds)
    if found is None or found.frame.empty:
        return None
    sign = task.metric.sign
    frame = found.frame
    shown = frame.head(_IMPORTANT)
    rows = [
        {
            "label": label,
            "value": r.loss,
            "lower": r.loss - 1.96 * r.error,
            "upper": r.loss + 1.96 * r.error,
            "tip": f"{r.column}: {significant(r.loss)} ± {significant(1.96 * r.error)}",
        }
        for label, r in zip(shortened(shown["column"].tolist()), shown.itertuples(), strict=True)
    ]
    part = Part(
        "columns",
        "Columns that matter",
        f"How much {task.metric.name} {'falls' if sign > 0 else 'rises'} when one column is shuffled in "
        "rows that were not fitted "
        "on; what one column shares with another is credited to neither.",
    )
    left = f" There was no time for {counted(found.n_left_out, 'more column')}." if found.n_left_out else ""
    how = (
        f"{algorithm_name(found.algorithm)}, the heaviest member, fitted on {found.n_train:,} rows, "
        f"shuffled in {found.n_test:,} "
        f"others; the line is a 95 % interval.{left}"
    )
    label = f"Permutation importance; {rows[0]['label']} matters most with {significant(rows[0]['value'])}."
    table = make_table(
        [Column("column", css="name"), Column("loss", ">"), Column("± (95 %)", ">")],
        [
            [r.column, Cell(significant(r.loss), r.loss), Cell(significant(1.96 * r.error), 1.96 * r.error)]
            for r in frame.itertuples()
        ],
        label="Permutation importance",
        sortable=True,
    )
    chart = bars(rows, f"loss of {task.metric.name}", error=True)
    figure = make_figure("Permutation importance", how, draw(chart, label))
    part.blocks.append(
        f'<div class="grid">{figure}<div class="card span"><h3>All columns</h3>{table}</div></div>\n'
    )
    return part


def _describe_leaderboard(report: SearchReport) -> Part:
    board, metric, kind = report.leaderboard, report.task.metric, report.task.kind
    part = Part(
        "leaderboard",
        "Leaderboard",
        f"Every trial, best first by the expected {metric.name} ({direction(metric)} is better); members "
        "of the model are "
        "tinted, and a click on a title sorts.",
    )
    columns = [
        Column("rank", ">"),
        Column("trial", ">"),
        Column("algorithm"),
        Column("expected", ">"),
        Column(metric.name, ">"),
        Column("± folds", ">"),
        Column("weight", ">"),
        Column("adds", ">"),
        Column("folds", ">"),
        Column("seconds", ">"),
        Column("origin"),
        Column("state"),
        Column("changed hyperparameters", css="long"),
    ]
    total = float(board["weight"].fillna(0).sum())
    rows: list[list[Cell | str]] = [
        [
            Cell(str(r.rank), r.rank),
            Cell(str(r.trial), r.trial),
            algorithm_name(r.algorithm),
            Cell(number(r.expected), r.expected),
            Cell(number(r.score), r.score),
            Cell(significant(r.std), r.std),
            Cell(f"{r.weight / total:.1%}" if total and r.weight > 0 else "", float(r.weight)),
            Cell(significant(r.adds) if r.weight > 0 else "", float(r.adds)),
            Cell(f"{r.folds:.0f}" if math.isfinite(r.folds) else "-", float(r.folds)),
            Cell(brief_seconds(r.seconds), r.seconds),
            str(r.origin),
            f"{r.state}: {r.reason}" if r.reason else str(r.state),
            brief_params(r.algorithm, r.params, kind),
        ]
        for r in board.itertuples()
    ]
    main = [bool(w > 0) for w in board["weight"].fillna(0)]
    table = make_table(columns, rows, label="Leaderboard", sortable=True, main=main)
    part.blocks.append(f'<div class="card">{table}</div>\n')
    return part
