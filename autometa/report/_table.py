"""The table as it was read: what each column is taken for, what is missing, and its distribution in a few bars."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from autometa.report._charts import bars, draw, histogram
from autometa.report._page import Cell, Column, Part, make_figure, make_table
from autometa.wording import counted, listed, number, shortened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autometa.errors import DataIssue
    from autometa.task import Task

_BARS: Final = 12
# As many as the small pictures are made from: all the same in a strip of 84 pixels.
_ROWS: Final = 20_000
_CELLS: Final = 1_000_000
_FEWEST_ROWS: Final = 1_000
_CLASSES: Final = 20
_COLUMNS: Final = (
    Column("column", css="name"),
    Column("read as"),
    Column("distribution"),
    Column("missing", ">"),
    Column("distinct", ">"),
    Column("typical", css="long"),
)


def describe_table(task: Task, issues: Sequence[DataIssue]) -> Part:
    """Return the section on the table.

    Parameters
    ----------
    task : Task
    issues : sequence of DataIssue
        What was noticed.
    """
    counts = pd.Series(dict(task.column_types)).value_counts()
    kinds = listed([f"{n:,} {kind}" for kind, n in counts.items()])
    shares = task.X.isna().mean()
    part = Part(
        "table",
        "The table as read",
        "Check that each column is read as what it is; a column that is ignored or taken for something "
        "else costs more "
        "than any hyperparameter.",
    )
    part.blocks.append(
        f"<p>{escape(counted(task.n_rows, 'row'))}, {escape(counted(task.X.shape[1], 'column'))}: {escape(kinds)}. "
        f"{_percent(float(shares.mean()))} of the cells are missing.</p>\n"
    )
    if issues:
        notes = "".join(f"<li>{escape(str(issue))}</li>" for issue in issues)
        part.blocks.append(f'<h3>Noticed</h3><ul class="notes">{notes}</ul>\n')
    n_sampled = min(task.n_rows, _ROWS, max(_CELLS // max(task.X.shape[1], 1), _FEWEST_ROWS))
    sample = task.X if task.n_rows <= n_sampled else task.X.sample(n_sampled, random_state=0)
    columns = dict(sample.items())
    rows = [
        _describe_column(columns[name], name, kind, share)
        for (name, kind), share in zip(task.column_types.items(), shares, strict=True)
    ]
    table = make_table(_COLUMNS, rows, label="Columns as read", sortable=True)
    part.blocks.append(
        f'<div class="grid">{_draw_target(task)}<div class="card span"><h3>Columns</h3>'
        f'<p class="how">A click on a title sorts.</p>{table}</div></div>\n'
    )
    return part


def _draw_target(task: Task) -> str:
    name = str(task.y.name) if task.y.name is not None else "y"
    if task.kind == "regression":
        counts, edges = np.histogram(task.y.to_numpy(dtype="float64"), bins=30)
        chart = histogram(counts.tolist(), edges.tolist(), name)
        how = "How many rows have a target between two values."
        label = f"Histogram of {name}, {number(edges[0])} to {number(edges[-1])}, median {number(task.y.median())}."
        figures: list[tuple[Cell | str, ...]] = [
            (Cell(number(low), low), Cell(number(high), high), Cell(f"{n:,}", n))
            for low, high, n in zip(edges[:-1], edges[1:], counts, strict=True)
        ]
        titles = [Column("from", ">"), Column("to", ">"), Column("rows", ">")]
    else:
        found = task.y.value_counts()
        shown = [(str(label), int(n)) for label, n in found.head(_CLASSES).items()]
        rows = [
            {"label": short, "value": n, "tip": f"{label}: {n:,} rows, {n / task.n_rows:.1%}"}
            for short, (label, n) in zip(shortened([a for a, _ in shown]), shown, strict=True)
        ]
        chart = bars(rows, "rows", format="~s")
        how = "How many rows each class has; the most frequent first"
        rest = int(found.iloc[_CLASSES:].sum())
        how += f". {len(found) - _CLASSES} more have {counted(rest, 'row')} together." if rest else "."
        label = f"Rows by class of {name}: {listed([f'{a} {n:,}' for a, n in shown[:5]])}."
        titles = [Column("class", css="name"), Column("rows", ">")]
        figures = [(str(a), Cell(f"{int(n):,}", float(n))) for a, n in found.items()]
    table = make_table(titles, figures, label=f"Target {name}", narrow=True)
    return make_figure(f"Target: {name}", how, draw(chart, label), more=table)


def _describe_column(column: pd.Series, name: str, kind: str, missing: float) -> list[Cell | str]:
    if kind == "numeric" and missing < 1:
        # Sorted once, for its ends, its middle, its bars and how many values it has.
        ordered = np.sort(column.to_numpy(dtype="float64", na_value=np.nan))
        ordered = ordered[np.isfinite(ordered)]
        drawn, typical = _summarise_numbers(ordered)
        n_distinct = int((ordered[1:] != ordered[:-1]).sum()) + (len(ordered) > 0)
    else:
        present = column.dropna()
        drawn, typical = _summarise(present, kind)
        n_distinct = _n_distinct(present)
    return [
        name,
        kind,
        Cell("", markup=drawn),
        Cell(_percent(missing), missing),
        Cell("-" if n_distinct < 0 else f"{n_distinct:,}", float(n_distinct)),
        typical,
    ]


def _percent(share: float) -> str:
    if share == 0:
        return "0"
    return f"{share:.1%}" if share >= 5e-4 else "< 0.1%"


def _n_distinct(column: pd.Series) -> int:
    try:
        return int(column.nunique())
    except TypeError:  # lists and the like
        return -1


def _summarise_numbers(values: np.ndarray) -> tuple[str, str]:
    """Return a small picture of numbers in rising order, and their range."""
    if not len(values):
        return "", "no finite number"
    n, half = len(values), (len(values) - 1) // 2
    low, middle, high = float(values[0]), float(values[half] + values[-1 - half]) / 2, float(values[-1])
    # Half a per cent at each end is drawn on the edge: one outlier must not flatten the rest.
    first, last = float(values[round(0.005 * (n - 1))]), float(values[round(0.995 * (n - 1))])
    inner = [first + (last - first) * i / _BARS for i in range(1, _BARS)]
    counts = np.diff(values.searchsorted(inner), prepend=0, append=n).tolist() if last > first else [n]
    is_whole = max(abs(low), abs(high)) < 1e6 and bool((values == np.round(values)).all())
    low_text, middle_text, high_text = (
        number(v, 3) if not is_whole else f"{v:,.0f}" if v == round(v) else f"{v:,.1f}"
        for v in (low, middle, high)
    )
    text = f"{low_text} to {high_text}, median {middle_text}"
    return _spark(counts, text), text


def _summarise(present: pd.Series, kind: str) -> tuple[str, str]:
    """Return a small picture of a column, and its range or its commonest values."""
    if present.empty:
        return "", "entirely missing"
    if kind == "date":
        days = pd.to_datetime(present.astype(str), errors="coerce", utc=True, format="mixed").dropna()
        if days.empty:
            return "", ""
        text = f"{days.min():%Y-%m-%d} to {days.max():%Y-%m-%d}"
        return _spark(np.histogram(days.astype("int64"), bins=_BARS)[0], text), text
    if kind == "text":
        lengths = present.astype(str).str.split().str.len()
        text = f"{number(float(lengths.median()), 2)} words at the median"
        return _spark(np.histogram(lengths, bins=_BARS)[0], text), text
    counts = present.astype(str).value_counts()
    text = ", ".join(f"{_short(level)} {n / len(present):.0%}" for level, n in counts.head(3).items())
    if kind == "ignored":
        return "", _short(str(counts.index[0])) + (", ..." if len(counts) > 1 else "")
    return _spark(counts.head(_BARS).to_numpy(), text), text


def _short(text: str) -> str:
    return text if len(text) <= 24 else f"{text[:23]}…"


def _spark(counts: Sequence[int] | np.ndarray, label: str) -> str:
    """Draw counts as bars in a strip of 84 by 22 pixels."""
    most = max(int(max(counts)), 1)
    heights = [f"{max(round(21 * n / most, 1), 0.8):g}" if n else "" for n in counts]
    path = "".join(f"M{7 * i},22v-{height}h6v{height}z" for i, height in enumerate(heights) if height)
    name = escape(label, quote=True)
    return f'<svg class="spark" viewBox="0 0 84 22" role="img" aria-label="{name}"><path d="{path}"/></svg>'
