"""What a notebook shows of each result: a card with facts, a table, and what can be opened; every value is escaped.

The colours are those of the notebook, light or dark: text in its own colour, lines in the same with little opacity. A
plain text stands beside the card for viewers without the style, as in scikit-learn. Rules of tables name two classes:
notebooks have rules of their own, which align every cell to the right.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from autometa.wording import (
    SECOND_LAYER,
    algorithm_name,
    brief_params,
    brief_seconds,
    counted,
    direction,
    number,
    significant,
)

if TYPE_CHECKING:
    from autometa.recommendation import Recommendation, Recommendations

_ROWS: Final = 10
_STYLE: Final = """
.autometa-card { font-size: 13px; line-height: 1.45; max-width: 1000px; border: 1px solid #8886; border-radius: 6px;
  padding: 8px 12px; }
.autometa-card strong { font-size: 14px; }
.autometa-card p { margin: 2px 0 6px; }
.autometa-card .box table { border-collapse: collapse; font-size: inherit;
  font-variant-numeric: tabular-nums; margin: 4px 0; }
.autometa-card .box table th, .autometa-card .box table td { text-align: left; padding: 2px 14px 2px 0;
  vertical-align: top; line-height: inherit; border-bottom: 1px solid #8884; overflow-wrap: break-word;
  max-width: 560px; }
.autometa-card .box table th { white-space: nowrap; }
.autometa-card .box table .number { text-align: right; white-space: nowrap; }
.autometa-card summary { cursor: pointer; }
.autometa-card .box { overflow-x: auto; }
.autometa-text { display: none; }
"""


def render_recommendations_card(found: Recommendations) -> str:
    """Return recommendations as HTML."""
    metric, task = found.metric, found.task
    rows = [
        (
            str(item.rank),
            algorithm_name(item.algorithm),
            number(item.expected_score),
            f"{number(item.lower, 3)} to {number(item.upper, 3)}",
            brief_seconds(item.expected_seconds),
            brief_params(item.algorithm, item.params, found.kind),
        )
        for item in found
    ]
    titles = (
        "rank",
        "algorithm",
        f"expected {metric.stored}",
        "80 % interval",
        "seconds",
        "changed hyperparameters",
    )
    similar = [
        (str(row["name"]), number(float(row["distance"]), 3))
        for row in found.similar_tasks.to_dict("records")
    ]
    why = [(str(item.rank), item.reason) for item in found]
    notes = [(str(issue),) for issue in found.warnings]
    return render_card(
        f"Recommendations for a {found.kind} task",
        [
            f"{counted(task.n_rows, 'row')}, {counted(task.X.shape[1], 'column')}; {metric.name}, "
            f"{direction(metric)} is "
            f"better; novelty {found.novelty:.2f} (0 well known, 1 like nothing seen). Nothing was fitted."
        ],
        render_table(titles, rows, "><>>><"),
        render_details("Why these", render_table(("rank", "reason"), why, "><")),
        render_details("Nearest known tables", render_table(("table", "distance"), similar, "<>")),
        render_details(f"Noticed: {len(notes)}", render_table(("what",), notes, "<")) if notes else "",
        text=repr(found),
    )


def render_recommendation_card(item: Recommendation) -> str:
    """Return one recommendation as HTML: why, its hyperparameters, and the pipeline as scikit-learn shows it."""
    metric = item.task.metric
    score = f"{number(item.expected_score)}, 80 % between {number(item.lower, 3)} and {number(item.upper, 3)}"
    rows = [(name, str(value)) for name, value in item.params.items()]
    return render_card(
        f"{item.rank}. {algorithm_name(item.algorithm)}",
        [f"Expected {metric.stored} {score} ({direction(metric)} is better).", item.reason],
        render_details("Hyperparameters", render_table(("name", "value"), rows, "<<")),
        render_details("The pipeline", item.pipeline._repr_html_()),
        text=repr(item),
    )


def render_search_card(result: Any) -> str:
    """Return the result of a search as HTML.

    Parameters
    ----------
    result : object
        With `leaderboard`, `metric`, `deadline` and `task`; `score` and `baselines` are shown where they are there.
    """
    board, metric = result.leaderboard, result.metric
    trials = board[board["origin"] != SECOND_LAYER]
    done = int((trials["state"] == "complete").sum())
    facts = [f"{done:,} of {counted(len(trials), 'trial')} complete; {result.deadline}"]
    score = getattr(result, "score", math.nan)
    if math.isfinite(score):
        beside = [
            f"{name} {number(value)}"
            for name, value in getattr(result, "baselines", {}).items()
            if math.isfinite(value)
        ]
        facts.insert(0, f"{metric.name} {number(score)} on rows not fitted on ({', '.join(beside)})")
    has_weight = "weight" in board
    rows = [
        (
            str(row["rank"]),
            algorithm_name(row["algorithm"]),
            number(row["expected"]),
            f"{number(row['score'])} ± {significant(row['std'])}",
            *((f"{row['weight']:.2f}" if row["weight"] > 0 else "",) if has_weight else ()),
            brief_seconds(row["seconds"]),
            row["origin"],
            brief_params(row["algorithm"], row["params"], result.task.kind),
        )
        for row in board[board["state"] == "complete"].head(_ROWS).to_dict("records")
    ]
    titles = (
        "rank",
        "algorithm",
        "expected",
        metric.name,
        *(("weight",) if has_weight else ()),
        "seconds",
        "origin",
    )
    lost = [
        (str(row["trial"]), algorithm_name(row["algorithm"]), str(row["state"]), str(row["reason"]))
        for row in board[board["state"] != "complete"].to_dict("records")
    ]
    if not rows:
        facts.append(
            "No trial was finished in time; the model is a recommendation that was fitted but not measured."
        )
    return render_card(
        f"Search by {metric.name} ({direction(metric)} is better)",
        facts,
        render_table((*titles, "changed hyperparameters"), rows, "><>>" + ">" * has_weight + "><<")
        if rows
        else "",
        render_details(
            f"Not complete: {len(lost)}",
            render_table(("trial", "algorithm", "state", "reason"), lost, "><<<"),
        )
        if lost
        else "",
        text=repr(result),
    )


def render_warm_start_card(n_enqueued: int, suggestions: Sequence[Any], text: str) -> str:
    """Return what a warm start did as HTML.

    Parameters
    ----------
    n_enqueued : int
    suggestions : sequence of Suggestion
    text : str
        The same in plain text.
    """
    has_run = any(s.trial_number is not None for s in suggestions)
    notes = [s.notes for s in suggestions]
    facts = ["Only configurations enter the study, never a score of another table."]
    # What holds of every suggestion is said once.
    has_notes = len(set(notes)) > 1
    if not has_notes and notes and notes[0]:
        facts.append(f"Of each: {notes[0]}.")
    rows = [
        (
            str(s.rank),
            s.status,
            algorithm_name(s.algorithm),
            ", ".join(f"{k}={significant(v, 3) if isinstance(v, float) else v}" for k, v in s.params.items()),
            *((note,) if has_notes else ()),
            *(
                ("" if s.trial_number is None else f"{s.trial_number} {s.state}", number(s.score))
                if has_run
                else ()
            ),
        )
        for s, note in zip(suggestions, notes, strict=True)
    ]
    titles = (
        "rank",
        "status",
        "algorithm",
        "enqueued",
        *(("changed, and why",) if has_notes else ()),
        *(("trial", "score") if has_run else ()),
    )
    return render_card(
        f"{n_enqueued} of {counted(len(suggestions), 'suggestion')} enqueued",
        facts,
        render_table(titles, rows, "><<<" + "<" * has_notes + "<>" * has_run),
        text=text,
    )


def render_metafeatures_card(
    values: pd.Series, groups: Sequence[tuple[str, str, Sequence[tuple[str, str]]]]
) -> str:
    """Return meta-features as HTML, a part to open for each group.

    Parameters
    ----------
    values : Series
    groups : sequence of (name, title, features)
        The features as pairs of name and definition.
    """
    blocks = []
    for name, title, features in groups:
        rows = [
            (
                feature,
                "undefined" if np.isnan(values[feature]) else number(float(values[feature])),
                definition,
            )
            for feature, definition in features
            if feature in values.index
        ]
        if rows:
            table = render_table(("name", "value", "definition"), rows, "<><")
            blocks.append(render_details(f"{name}: {title} ({len(rows)})", table))
    undefined = int(values.isna().sum())
    return render_card(
        counted(len(values), "meta-feature"),
        [f"{undefined} of them are undefined for this table by design."],
        *blocks,
        text=str(values),
    )


def render_card(
    title: str,
    facts: Sequence[str],
    *blocks: str,
    text: str = "",
) -> str:
    """Return a card for a notebook.

    Parameters
    ----------
    title : str
    facts : sequence of str
        A line for each, under the title.
    *blocks : str
        Markup from :func:`render_table` and :func:`render_details`.
    text : str, default=""
        The same in plain text, shown where styles are off.
    """
    lines = "".join(f"<p>{escape(fact)}</p>" for fact in facts)
    return (
        f"<style>{_STYLE}</style>"
        f'<pre class="autometa-text">{escape(text)}</pre>'
        f'<div class="autometa-card"><strong>{escape(title)}</strong>{lines}{"".join(blocks)}</div>'
    )


def render_table(titles: Sequence[str], rows: Iterable[Sequence[str]], align: str) -> str:
    """Return a table.

    Parameters
    ----------
    titles : sequence of str
    rows : iterable of sequence of str
    align : str
        ``<`` or ``>`` for each column.
    """
    css = [' class="number"' if side == ">" else "" for side in align]
    head = "".join(f'<th scope="col"{c}>{escape(t)}</th>' for t, c in zip(titles, css, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{c}>{escape(cell)}</td>" for cell, c in zip(row, css, strict=True)) + "</tr>"
        for row in rows
    )
    return f'<div class="box"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def render_details(summary: str, *blocks: str) -> str:
    """Return markup that is opened by a click.

    Parameters
    ----------
    summary : str
    *blocks : str
        Markup.
    """
    return f"<details><summary>{escape(summary)}</summary>{''.join(blocks)}</details>"
