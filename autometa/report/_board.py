"""Who makes the model, and who was tried: the ensemble and the leaderboard."""

from __future__ import annotations

import math
from typing import Any, Final

from autometa.report._charts import bars, draw
from autometa.report._course import SearchReport, members_of, origin_name, short_name
from autometa.report._page import Cell, Column, Part, make_figure, make_table
from autometa.wording import algorithm_name, brief_params, brief_seconds, direction, number, significant

_MEMBERS: Final = 15  # as many as a chart shows; the leaderboard has all


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
