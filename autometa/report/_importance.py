"""Which columns, and which hyperparameters, the score depends on."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pandas as pd

from autometa.report._charts import bars, draw
from autometa.report._page import Cell, Column, Part, make_figure, make_table
from autometa.space import Configuration, SearchSpace
from autometa.wording import algorithm_name, counted, shortened, significant

if TYPE_CHECKING:
    import optuna

    from autometa.task import Task

_ROWS: Final = 2_000
_REPEATS: Final = 3
_SECONDS: Final = 0.3  # of CPU time, for shuffling; so much again, as the trial tells, for the one fit
_COLUMNS: Final = 60
_SHUFFLED_ROWS: Final = 500
_FIRST: Final = 4  # columns that are shuffled in the first call
_CELLS: Final = 2_000_000  # of the copies that are predicted at once: some tens of megabytes
_SHOWN: Final = 20
_LEAST_TRIALS: Final = 15  # below, an importance is a guess


@dataclass(frozen=True)
class ColumnImportance:
    """What the score loses when a column is shuffled.

    Attributes
    ----------
    frame : DataFrame
        column, loss (of the metric in natural units, positive where the column helps), error (standard error over
        the shuffles), in falling order.
    algorithm : str
    n_train, n_test : int
    n_left_out : int
        Columns for which there was no time.
    """

    frame: pd.DataFrame
    algorithm: str
    n_train: int
    n_test: int
    n_left_out: int


def measure_columns(
    task: Task, algorithm: str, params: Mapping[str, Any], seconds: float, *, limit: float = _SECONDS
) -> ColumnImportance | None:
    """Shuffle one column after the other in rows that were not fitted on (Breiman 2001, Random Forests, section 10).

    A pipeline is fitted once on two thirds of at most 2,000 rows; the others are for the shuffles. Columns that say
    more about the target alone come first, until the time is over.

    Parameters
    ----------
    task : Task
    algorithm : str
    params : mapping of str to value
    seconds : float
        What one fit on all rows took, about; fewer rows are taken where it was long.
    limit : float, default=0.3
        CPU seconds for the shuffles.

    Returns
    -------
    ColumnImportance or None
        None where no such pipeline can be fitted.
    """
    from sklearn.metrics import check_scoring

    from autometa.pipelines import build_pipeline

    n_rows = min(task.n_rows, _ROWS)
    if math.isfinite(seconds) and seconds > 0:
        n_rows = min(n_rows, max(int(task.n_rows * limit / seconds), 200))
    train, test = _halves(task, n_rows)
    names, test = _by_signal(task, train), test[:_SHUFFLED_ROWS]
    if len(test) < 2 or not names:
        return None
    try:
        pipeline = build_pipeline(Configuration(algorithm, dict(params)), task)
        pipeline.fit(task.X.iloc[train], task.y.iloc[train])
        scorer = check_scoring(pipeline, scoring=task.metric.scorer)
        X, y = task.X.iloc[test], task.y.iloc[test]
        rows = _shuffle(pipeline, scorer, X, y, names[:_COLUMNS], limit)
    except Exception:  # a page must not fail because a third-party estimator or scorer does
        return None
    frame = pd.DataFrame(rows, columns=["column", "loss", "error"]).sort_values("loss", ascending=False)
    return ColumnImportance(frame, algorithm, len(train), len(test), len(names) - len(rows))


def _shuffle(
    pipeline: Any, scorer: Any, X: pd.DataFrame, y: pd.Series, names: list[str], limit: float
) -> list[tuple[str, float, float]]:
    """Score with each column shuffled a few times; many shuffles are predicted in one call, which costs least."""
    rng, start, found = np.random.default_rng(0), time.process_time(), []
    whole = scorer(_Answers(pipeline, X), X, y)
    alone = time.process_time() - start
    most = max(int(_CELLS / X.size / _REPEATS), 1)
    first, n = 0, min(_FIRST, most)
    while first < len(names):
        begun = time.process_time()
        chosen = names[first : first + n]
        copies = []
        for name in chosen:
            for _ in range(_REPEATS):
                shuffled = X.copy(deep=False)
                shuffled[name] = X[name].take(rng.permutation(len(X))).set_axis(X.index)
                copies.append(shuffled)
        answers = _Answers(pipeline, pd.concat(copies, ignore_index=True))
        for i, name in enumerate(chosen):
            losses = [whole - scorer(answers.part(_REPEATS * i + j, len(X)), X, y) for j in range(_REPEATS)]
            found.append((name, float(np.mean(losses)), float(np.std(losses) / math.sqrt(_REPEATS))))
        first += len(chosen)
        # A call costs something by itself, and something for each copy.
        n_copies = _REPEATS * len(chosen)
        each = max((time.process_time() - begun - alone) / max(n_copies - 1, 1), 1e-6)
        left = limit - (time.process_time() - start) - max(alone - each, 0.0)
        if left <= 0:
            break
        n = min(most, max(int(left / (_REPEATS * each)), 1))
    return found


class _Answers:
    """A fitted pipeline that answers from memory, so that a scorer can be asked about parts of one prediction.

    Parameters
    ----------
    pipeline : Pipeline
    X : DataFrame or mapping of str to ndarray
        What is predicted, once; or the answers by the name of the method.
    """

    def __init__(self, pipeline: Any, X: pd.DataFrame | Mapping[str, np.ndarray]) -> None:
        self._pipeline = pipeline
        self._memory = (
            {
                name: np.asarray(getattr(pipeline, name)(X))
                for name in ("predict", "predict_proba")
                if hasattr(pipeline, name)
            }
            if isinstance(X, pd.DataFrame)
            else X
        )

    def part(self, place: int, n_rows: int) -> _Answers:
        """Return the one that answers for the rows of one copy."""
        rows = slice(place * n_rows, (place + 1) * n_rows)
        return _Answers(self._pipeline, {name: answers[rows] for name, answers in self._memory.items()})

    def predict(self, X: Any) -> np.ndarray:
        return self._memory["predict"]

    def predict_proba(self, X: Any) -> np.ndarray:
        return self._memory["predict_proba"]

    def __getattr__(self, name: str) -> Any:
        # What the pipeline is (its classes, its tags); never another way to predict, which would not be shuffled.
        if name == "decision_function":
            raise AttributeError(name)
        return getattr(self._pipeline, name)


def _halves(task: Task, n_rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw rows to fit on and rows to shuffle, each class in both where it has two rows."""
    order = np.random.default_rng(0).permutation(task.n_rows)
    if task.kind == "regression":
        chosen = order[:n_rows]
        return chosen[: 2 * n_rows // 3], chosen[2 * n_rows // 3 :]
    codes = pd.factorize(task.y)[0][order]
    within = pd.Series(codes).groupby(codes).cumcount().to_numpy()
    # The first rows of each class come first, so that none is lost in the sample.
    chosen = np.argsort(within, kind="stable")[:n_rows] if n_rows < len(order) else np.arange(len(order))
    is_test = within[chosen] % 3 == 1
    rng = np.random.default_rng(1)
    return order[chosen[~is_test]], order[rng.permutation(chosen[is_test])]


def _by_signal(task: Task, rows: np.ndarray) -> list[str]:
    """Order the columns in use by how much each alone tells of the target, by rank correlation."""
    names = [name for name, kind in task.column_types.items() if kind != "ignored"]
    y = task.y.iloc[rows]
    truth = (y if task.kind == "regression" else pd.Series(pd.factorize(y, sort=True)[0])).rank().to_numpy()
    ranks = np.column_stack([_ranks(task.X[name].iloc[rows]) for name in names])
    ranks = ranks - ranks.mean(axis=0)
    truth = truth - truth.mean()
    norms = np.sqrt((ranks**2).sum(axis=0) * (truth**2).sum())
    signal = np.abs(truth @ ranks) / np.maximum(norms, 1e-12)
    return [names[i] for i in np.argsort(-signal, kind="stable")]


def _ranks(column: pd.Series) -> np.ndarray:
    if not pd.api.types.is_numeric_dtype(column):
        column = pd.Series(pd.factorize(column.astype(str))[0])
    return np.asarray(column.astype("float64").rank().fillna(0.0))


def measure_hyperparameters(
    leaderboard: pd.DataFrame, kind: str, maximise: bool
) -> tuple[str, dict[str, float], int] | None:
    """Return how much each hyperparameter of the most tried algorithm decides the score.

    By Optuna's PED-ANOVA (Watanabe, Bansal and Hutter 2023): how differently the better trials are spread over a
    hyperparameter's values than all are.

    Returns
    -------
    tuple of (algorithm, importances that sum to 1, number of trials), or None where there are too few trials
    """
    import optuna

    done = leaderboard[(leaderboard["state"] == "complete") & leaderboard["score"].notna()]
    if not len(done):
        return None
    # A trial that was stopped could not help: it is worse than those that went on, nobody knows by how much.
    worst = done["score"].min() - 1.0 if maximise else done["score"].max() + 1.0
    stopped = leaderboard[leaderboard["state"] == "stopped"].assign(score=worst)
    done = pd.concat([done, stopped]) if len(stopped) else done
    space = SearchSpace.for_kind(kind)
    counts = done["algorithm"].value_counts()
    for algorithm, n in counts.items():
        if n < _LEAST_TRIALS or algorithm not in space:
            return None
        distributions = dict(space[algorithm].distributions)
        study = _quiet_study("maximize" if maximise else "minimize")
        for row in done[done["algorithm"] == algorithm].itertuples():
            params = {k: v for k, v in row.params.items() if k in distributions}
            try:
                study.add_trial(
                    optuna.trial.create_trial(
                        params=params,
                        distributions={k: distributions[k] for k in params},
                        value=float(row.score),
                    )
                )
            except ValueError:  # a default may lie outside the range that is searched
                continue
        if len(study.get_trials(deepcopy=False)) < _LEAST_TRIALS:
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                evaluator = optuna.importance.PedAnovaImportanceEvaluator()
                found = optuna.importance.get_param_importances(study, evaluator=evaluator)
        except (ValueError, RuntimeError):  # all scores equal, or no hyperparameter in all trials
            continue
        if found and sum(found.values()) > 0:
            return str(algorithm), {k: float(v) for k, v in found.items()}, int(n)
    return None


def _quiet_study(direction: Literal["minimize", "maximize"]) -> optuna.Study:
    """Make a study in memory without the line that Optuna writes about it."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        return optuna.create_study(direction=direction)
    finally:
        optuna.logging.set_verbosity(before)


def describe_importance(task: Task, board: pd.DataFrame) -> Part | None:
    """Return the section on the columns; None where no pipeline was measured, or none can be fitted again.

    Parameters
    ----------
    task : Task
    board : DataFrame
        Complete trials, the one to take first: the heaviest member, or the best.
    """
    if not len(board):
        return None
    row = board.iloc[0]
    n_folds = max(int(row["folds"]) if pd.notna(row["folds"]) else 1, 1)
    found = measure_columns(task, row["algorithm"], row["params"], float(row["seconds"]) / n_folds)
    if found is None or found.frame.empty:
        return None
    is_member = bool(row["weight"] > 0)
    sign = task.metric.sign
    frame = found.frame
    shown = frame.head(_SHOWN)
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
        f"{algorithm_name(found.algorithm)}{', the heaviest member,' * is_member} fitted on {found.n_train:,} rows, "
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
