"""How the predictions on rows that were not fitted on compare to the truth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autometa.report._charts import bars, calibration, confusion, curves, draw, histogram, truth_against
from autometa.report._page import Cell, Column, Part, make_figure, make_table
from autometa.wording import number, shortened, significant

if TYPE_CHECKING:
    from autometa.task import Task

FloatArray = NDArray[np.float64]

_POINTS: Final = 900  # as many as can be told apart on a phone, and a tenth of a megabyte
_CURVES: Final = 6
_SQUARE: Final = 20  # a confusion matrix of more classes is a list of the commonest mistakes
_BINS: Final = 10


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
        f"Predictions for {share}: each comes from models that did not see the row, so this "
        "is what new rows "
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
    rows = []
    for place in np.unique(places):
        mask = places == place
        p, o, n = float(predicted[mask].mean()), float(happened[mask].mean()), int(mask.sum())
        rows.append(
            {"predicted": p, "observed": o, "n": n, "tip": f"predicted {p:.1%}, observed {o:.1%}, {n:,} rows"}
        )
    gap = sum(row["n"] * abs(row["predicted"] - row["observed"]) for row in rows) / len(predicted)  # type: ignore[operator]
    label = f"Calibration {what}: mean gap between predicted and observed {gap:.1%}."
    table = make_table(
        [Column("predicted", ">"), Column("observed", ">"), Column("rows", ">")],
        [
            [
                Cell(f"{r['predicted']:.1%}", r["predicted"]),  # type: ignore[arg-type]
                Cell(f"{r['observed']:.1%}", r["observed"]),  # type: ignore[arg-type]
                Cell(f"{r['n']:,}", r["n"]),  # type: ignore[arg-type]
            ]
            for r in rows
        ],
        label="Predicted and observed",
    )
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
