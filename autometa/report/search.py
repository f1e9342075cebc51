"""A search as one page: the answer on top, then how it came about and how far to trust it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from autometa.report._charts import bars, draw, intervals, require_charts
from autometa.report._course import (
    SearchReport,
    complete_of,
    describe_search,
    members_of,
    origin_name,
    short_name,
)
from autometa.report._importance import describe_importance
from autometa.report._page import (
    Cell,
    Column,
    Part,
    make_code,
    make_figure,
    make_page,
    make_table,
    make_tile,
    name_table,
)
from autometa.report._table import describe_predictions, describe_table
from autometa.report.recommendations import TaskMap, describe_known
from autometa.storage import write_file
from autometa.wording import (
    SECOND_LAYER,
    algorithm_name,
    brief_params,
    brief_seconds,
    direction,
    listed,
    number,
    significant,
)

__all__ = ["SearchReport", "fold_interval", "render_search", "write_search"]

if TYPE_CHECKING:
    from autometa.errors import DataIssue
    from autometa.metamodel import MetaModel

_MEMBERS: Final = 15  # as many as a chart shows; the leaderboard has all


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
    # Nothing here is large: on a busy machine, more threads than one wait for each other longer than they work.
    with threadpool_limits(1):
        return _render(report, title=title, model=model, issues=issues)


def _render(
    report: SearchReport, *, title: str, model: MetaModel | None, issues: Sequence[DataIssue] | None
) -> str:
    task, found = report.task, report.recommendations
    notes = issues if issues is not None else found.warnings if found is not None else task.warnings
    done = complete_of(report.leaderboard)
    members = members_of(done)
    code = Part("code", "The code", "Copy it to make the same model again.")
    code.blocks.append(make_code(report.to_code(), "script"))
    parts = [
        describe_search(report),
        describe_ensemble(report),
        describe_predictions(task, report.oof, getattr(report.model, "multipliers", ())),
        describe_importance(task, members if len(members) else done),
        describe_table(task, notes),
        None
        if found is None
        else describe_known(found, None if model is None else TaskMap.of(model, task.kind)),
        describe_leaderboard(report),
        code,
    ]
    steps = [f"{name} {seconds:.1f} s" for name, seconds in report.deadline.steps.items()]
    rest = report.deadline.spent - sum(report.deadline.steps.values())
    steps += [f"the rest {rest:.1f} s"] if steps and rest >= 0.05 else []
    return make_page(
        title or f"Search on {task.name or 'a table'}",
        name_table(task),
        _answer(report),
        [part for part in parts if part is not None],
        f"Made by autometa. Time: {listed(steps) or f'{report.deadline.spent:.1f} s'}.",
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
        As in :func:`render_search`; by default the meta-model of this machine.

    Raises
    ------
    StorageError
        AM609 when the file cannot be written.
    DependencyError
        AM706 when the extra ``report`` is not installed.
    """
    report = SearchReport.of(result)
    if model is None and report.recommendations is not None:
        from autometa.experience import load_metamodel

        model = load_metamodel()
    page = render_search(report, title=title, model=model, issues=issues)
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
        figure = make_figure("How good", how, draw(chart, label))
    return f'{_headline(report, name)}\n<div class="top"><div class="tiles">{tiles}</div>\n{figure}</div>\n'


def _headline(report: SearchReport, name: str) -> str:
    metric, default = report.task.metric, report.baselines.get("default", math.nan)
    if not math.isfinite(report.score):
        text = (
            "No trial was finished in time; the model is a recommendation that was fitted but not measured."
        )
    else:
        text = f"{name} reaches {metric.name} {number(report.score)} on rows that it was not fitted on"
        gain = metric.sign * (report.score - default)
        if not math.isfinite(gain):
            text += "."
        else:
            text += f"; that is {significant(abs(gain))} {'better' if gain >= 0 else 'worse'} than the library default."
            if abs(gain) <= _uncertainty(report):
                text += " The difference is smaller than its uncertainty, so it may be chance."
    return f'<p class="lead">{escape(text)}</p>'


def _uncertainty(report: SearchReport) -> float:
    """Return half of the 95 % interval: of the difference to the default on the same folds, or else of the score."""
    scores, default = np.asarray(report.fold_scores, dtype="float64"), np.asarray(report.default_folds)
    if len(scores) == len(default):
        low, high = fold_interval(float(np.mean(scores - default)), scores - default)
    else:
        low, high = fold_interval(report.score, scores)
    return (high - low) / 2


def _against(score: float, other: float, sign: int, name: str) -> str:
    gain = sign * (score - other)
    if not math.isfinite(gain):
        return "not measured"
    return f"the model is {significant(abs(gain))} {'better' if gain >= 0 else 'worse'} than {name}"


def _model_name(report: SearchReport) -> tuple[str, str]:
    members = members_of(report.leaderboard)
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
    if row["origin"] == SECOND_LAYER:
        return f"A second layer: {algorithm_name(row['algorithm'])}", str(row["reason"])
    return algorithm_name(row["algorithm"]), brief_params(row["algorithm"], row["params"], report.task.kind)


def _best_single(report: SearchReport) -> float | None:
    done = complete_of(report.leaderboard)
    if not len(done) or len(members_of(report.leaderboard)) <= 1:
        return None
    scores = done["score"].astype("float64")
    return float(scores.max() if report.task.metric.greater_is_better else scores.min())


def describe_ensemble(report: SearchReport) -> Part | None:
    members = members_of(report.leaderboard)
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
    names = [f"#{r.trial} {short_name(r.algorithm)}" for r in shown.itertuples()]
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
        [Column("member"), Column("weight", ">"), Column("adds", ">"), Column("seconds", ">")],
        [
            [
                f"#{r.trial} {short_name(r.algorithm)}",
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


def describe_leaderboard(report: SearchReport) -> Part:
    board, metric, kind = report.leaderboard, report.task.metric, report.task.kind
    part = Part(
        "leaderboard",
        "Leaderboard",
        f"Every trial, best first by the expected {metric.name} ({direction(metric)} is better; ± over the folds); "
        "members of the model are tinted, and a click on a title sorts.",
    )
    columns = [
        Column("rank", ">"),
        Column("trial", ">"),
        Column("algorithm"),
        Column("expected", ">"),
        Column(f"{metric.name} ±", ">"),
        Column("weight", ">"),
        Column("adds", ">"),
        Column("seconds", ">"),
        Column("origin"),
        Column("state", css="state"),
        Column("changed hyperparameters", css="params"),
    ]
    total = float(board["weight"].fillna(0).sum())
    rows: list[list[Cell | str]] = [
        [
            Cell(str(r.rank), r.rank),
            Cell(str(r.trial), r.trial),
            algorithm_name(r.algorithm),
            Cell(number(r.expected), r.expected),
            Cell(f"{number(r.score)} ± {significant(r.std)}" if math.isfinite(r.score) else "-", r.score),
            Cell(f"{r.weight / total:.1%}" if total and r.weight > 0 else "", float(r.weight)),
            Cell(significant(r.adds) if r.weight > 0 else "", float(r.adds)),
            Cell(brief_seconds(r.seconds), r.seconds),
            origin_name(str(r.origin)),
            f"{r.state}: {r.reason}" if r.reason else str(r.state),
            brief_params(r.algorithm, r.params, kind),
        ]
        for r in board.itertuples()
    ]
    main = [bool(w > 0) for w in board["weight"].fillna(0)]
    table = make_table(columns, rows, label="Leaderboard", sortable=True, main=main)
    part.blocks.append(f'<div class="card">{table}</div>\n')
    return part
