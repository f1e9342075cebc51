"""The table: as it was read, and how the predictions for its rows compare to the truth."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autometa.report._charts import bars, calibration, confusion, curves, draw, histogram, truth_against
from autometa.report._page import Cell, Column, Part, make_figure, make_table
from autometa.wording import counted, listed, number, shortened, significant

if TYPE_CHECKING:
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
FloatArray = NDArray[np.float64]
_POINTS: Final = 900  # as many as can be told apart on a phone, and a tenth of a megabyte
_CURVES: Final = 6
_SQUARE: Final = 20  # a confusion matrix of more classes is a list of the commonest mistakes
_BINS: Final = 10


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
        "Check that each column is read as what it is; a column that is ignored or taken for something else costs "
        "more than any hyperparameter.",
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


def describe_predictions(task: Task, oof: FloatArray, multipliers: Sequence[float] = ()) -> Part | None:
    """Return the section on the out-of-fold predictions; None where there are none.

    Parameters
    ----------
    task : Task
    oof : ndarray of shape (n_rows, n_classes) or (n_rows,)
        NaN where a row was not covered. A column of classes is in the order of ``task.classes``.
    multipliers : sequence of float, default=()
        By which the model weighs the probabilities before it names the largest: its decision threshold.
    """
    oof = np.asarray(oof, dtype="float64")
    covered = np.isfinite(oof if oof.ndim == 1 else oof.sum(axis=1))
    if not covered.any():
        return None
    share = f"{covered.sum():,} of {len(oof):,} rows" if not covered.all() else f"all {len(oof):,} rows"
    part = Part(
        "predictions",
        "Out-of-fold predictions",
        f"Predictions for {share}: each comes from models that did not see the row, so this is what new rows "
        "should look like.",
    )
    y = task.y.to_numpy()[covered]
    figures = (
        _regression(y.astype("float64"), oof[covered].reshape(covered.sum(), -1)[:, 0])
        if task.kind == "regression"
        else _classification(y, oof[covered], task.classes, multipliers)
    )
    part.blocks.append(f'<div class="grid">{"".join(figures)}</div>\n')
    return part


def _classification(
    y: NDArray[Any], oof: FloatArray, classes: Sequence[Any], multipliers: Sequence[float]
) -> list[str]:
    proba = np.column_stack([1 - oof, oof]) if oof.ndim == 1 else oof
    codes = pd.Index(classes).get_indexer(y)
    names = [str(label) for label in classes]
    answers = (proba * np.asarray(multipliers) if len(multipliers) else proba).argmax(axis=1)
    counts = np.zeros((len(classes),) * 2, dtype=int)
    np.add.at(counts, (codes, answers), 1)
    figures = [_confusion(counts, names) if len(classes) <= _SQUARE else _mistakes(counts, names)]
    if len(classes) == 2:
        figures.append(_calibration(proba[:, 1], codes == 1, f"share of {names[1]}", f"of {names[1]}"))
        figures.append(_roc(proba, codes, names, [1]))
    else:
        top = proba.max(axis=1)
        figures.append(
            _calibration(top, answers == codes, "share of right answers", "of the likeliest class")
        )
        largest = np.argsort(-np.bincount(codes, minlength=len(classes)), kind="stable")[:_CURVES]
        figures.append(_roc(proba, codes, names, largest.tolist()))
        figures += _recall(counts, names)
    return figures


def _confusion(counts: NDArray[np.int_], names: Sequence[str]) -> str:
    totals, short = np.maximum(counts.sum(axis=1), 1), shortened(names, 14)
    rows = [
        {
            "truth": short[i],
            "answer": short[j],
            "share": counts[i, j] / totals[i],
            "text": f"{counts[i, j]:,}",
            "tip": f"{truth}, predicted {answer}: {counts[i, j]:,} rows, {counts[i, j] / totals[i]:.1%}",
        }
        for i, truth in enumerate(names)
        for j, answer in enumerate(names)
    ]
    right = np.trace(counts) / counts.sum()
    label = f"Confusion matrix of {len(names)} classes; {right:.1%} of the rows are on the diagonal."
    columns = [Column("true", css="name"), *(Column(name, ">") for name in names)]
    table = make_table(
        columns,
        [[names[i], *(Cell(f"{n:,}", float(n)) for n in line)] for i, line in enumerate(counts)],
        label="Rows by true and predicted class",
    )
    how = f"Rows by true class (a line) and predicted class (a column); the diagonal, {right:.1%} of all, is right."
    return make_figure("Confusion", how, draw(confusion(rows, short), label), more=table)


def _mistakes(counts: NDArray[np.int_], names: Sequence[str]) -> str:
    wrong, short = counts.copy(), shortened(names, 9)
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:15]
    pairs = [(*divmod(int(i), len(names)),) for i in order if wrong.flat[i]]
    rows = [
        {
            "label": f"{short[i]} → {short[j]}",
            "value": int(wrong[i, j]),
            "tip": f"{names[i]}, predicted {names[j]}: {wrong[i, j]:,} rows",
        }
        for i, j in pairs
    ]
    right = np.trace(counts) / counts.sum()
    how = f"Rows of a true class → taken for another; {right:.1%} of all rows are right."
    if not rows:
        return make_figure("Commonest mistakes", "There are none: every row is right.", "")
    label = f"The {len(rows)} commonest mistakes, from {rows[0]['label']} with {rows[0]['value']} rows."
    table = make_table(
        [Column("true", css="name"), Column("predicted", css="name"), Column("rows", ">")],
        [[names[i], names[j], Cell(f"{wrong[i, j]:,}", float(wrong[i, j]))] for i, j in pairs],
        label="Commonest mistakes",
    )
    return make_figure("Commonest mistakes", how, draw(bars(rows, "rows"), label), more=table)


def _recall(counts: NDArray[np.int_], names: Sequence[str]) -> list[str]:
    totals = counts.sum(axis=1)
    recall = np.diag(counts) / np.maximum(totals, 1)
    order = [i for i in np.argsort(recall, kind="stable") if totals[i]]
    shown = order[:15]
    rows = [
        {
            "label": label,
            "value": recall[i],
            "tip": f"{names[i]}: {counts[i, i]:,} of {totals[i]:,} rows found",
        }
        for i, label in zip(shown, shortened([names[i] for i in shown]), strict=True)
    ]
    table = make_table(
        [Column("class", css="name"), Column("found", ">"), Column("rows", ">")],
        [
            [names[i], Cell(f"{recall[i]:.1%}", float(recall[i])), Cell(f"{totals[i]:,}", float(totals[i]))]
            for i in order
        ],
        label="Share of each class that is found",
        sortable=True,
        narrow=True,
    )
    many = f" (the {len(shown)} hardest of {len(order)})" if len(order) > len(shown) else ""
    label = (
        f"Share of the rows of each class that is found, from {names[shown[0]]} with {recall[shown[0]]:.0%}."
    )
    how = f"Share of the rows of a class that the model recognises, hardest first{many}; higher is better."
    figure = make_figure("Recall by class", how, draw(bars(rows, "share found", format=".0%"), label))
    return [figure, f'<div class="card span"><h3>All classes</h3>{table}</div>']


def _calibration(predicted: FloatArray, happened: NDArray[np.bool_], y: str, what: str) -> str:
    # Bins of equally many rows: each point is as certain as any other.
    edges = np.unique(np.quantile(predicted, np.linspace(0, 1, _BINS + 1)))
    places = np.clip(np.searchsorted(edges, predicted, side="right") - 1, 0, max(len(edges) - 2, 0))
    rows, cells, missed = [], [], 0.0
    for place in np.unique(places):
        mask = places == place
        p, o, n = float(predicted[mask].mean()), float(happened[mask].mean()), int(mask.sum())
        tip = f"predicted {p:.1%}, observed {o:.1%}, {n:,} rows"
        rows.append({"predicted": p, "observed": o, "n": n, "tip": tip})
        cells.append([Cell(f"{p:.1%}", p), Cell(f"{o:.1%}", o), Cell(f"{n:,}", n)])
        missed += n * abs(p - o)
    gap = missed / len(predicted)
    label = f"Calibration {what}: mean gap between predicted and observed {gap:.1%}."
    columns = [Column("predicted", ">"), Column("observed", ">"), Column("rows", ">")]
    table = make_table(columns, cells, label="Predicted and observed")
    how = (
        f"Probability {what} against how often it was so; on the dashed line a probability means what it says "
        f"(mean gap {gap:.1%})."
    )
    return make_figure("Calibration", how, draw(calibration(rows, y), label), more=table)


def _roc(proba: FloatArray, codes: NDArray[np.intp], names: Sequence[str], shown: Sequence[int]) -> str:
    from sklearn.metrics import auc, roc_curve

    rows: list[dict[str, Any]] = []
    areas = {}
    for i, name in zip(shown, shortened([names[i] for i in shown], 16), strict=True):
        is_it = codes == i
        if not 0 < is_it.sum() < len(is_it):
            continue
        x, y, _ = roc_curve(is_it, proba[:, i])
        keep = np.unique(np.linspace(0, len(x) - 1, min(len(x), 120)).round().astype(int))
        areas[name] = float(auc(x, y))
        rows += [{"x": x[k], "y": y[k], "name": name, "i": n} for n, k in enumerate(keep)]
    if not areas:
        return ""
    table = make_table(
        [Column("class", css="name"), Column("area", ">")],
        [[name, Cell(f"{area:.4f}", area)] for name, area in areas.items()],
        label="Area under the curve",
    )
    best, worst = max(areas, key=areas.__getitem__), min(areas, key=areas.__getitem__)
    what = (
        f"area {areas[best]:.3f}"
        if len(areas) == 1
        else f"areas {areas[worst]:.3f} ({worst}) to {areas[best]:.3f} ({best})"
    )
    many = f" for the {len(areas)} largest of {len(names)} classes" if len(names) > len(areas) > 1 else ""
    how = (
        f"Share of a class that is found against false alarms, at every threshold{many}; nearer the upper left is "
        f"better{f'; {what}' if len(areas) > 1 else ''}. The area is of all rows together."
    )
    label = f"ROC curves{many}, {what}."
    drawn = draw(curves(rows, "false alarms", "share found", names=list(areas)), label)
    return make_figure("ROC curves" if len(areas) > 1 else f"ROC: {what}", how, drawn, more=table)


def _regression(y: FloatArray, predicted: FloatArray) -> list[str]:
    rng = np.random.default_rng(0)
    rows = rng.permutation(len(y))[:_POINTS]
    some = f" ({_POINTS} rows drawn by chance)" if len(y) > _POINTS else ""
    residuals = y - predicted
    spread = float(np.std(residuals))
    inside = float(np.mean(np.abs(residuals) <= np.median(np.abs(residuals)) * 3))
    label = f"True against predicted values, correlation {_correlation(y, predicted):.3f}."
    first = truth_against([{"x": predicted[i], "y": y[i]} for i in rows], "predicted", "true", diagonal=True)
    second = truth_against(
        [{"x": predicted[i], "y": residuals[i]} for i in rows],
        "predicted",
        "true less predicted",
        diagonal=False,
    )
    low, high = np.percentile(residuals, [0.5, 99.5])
    counts, edges = np.histogram(np.clip(residuals, low, high), bins=31)
    quantiles = [5, 25, 50, 75, 95]
    table = make_table(
        [Column("share of rows below", ">"), Column("true less predicted", ">")],
        [
            [Cell(f"{q}%", q), Cell(number(v), v)]
            for q, v in zip(quantiles, np.percentile(residuals, quantiles).tolist(), strict=True)
        ],
        label="Quantiles of the residuals",
    )
    return [
        make_figure(
            "True against predicted",
            f"Each dot is a row{some}; on the dashed line the prediction is right.",
            draw(first, label),
        ),
        make_figure(
            "Residuals",
            f"What is left of each row{some}; a bend or a funnel says what the model misses.",
            draw(second, f"Residuals against predictions, standard deviation {significant(spread, 3)}."),
        ),
        make_figure(
            "How large the errors are",
            f"Rows by true less predicted value; {inside:.0%} lie within three times the median error.",
            draw(
                histogram(counts.tolist(), edges.tolist(), "true less predicted"),
                f"Histogram of residuals, median {number(float(np.median(residuals)))}.",
            ),
            more=table,
        ),
    ]


def _correlation(a: FloatArray, b: FloatArray) -> float:
    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])
