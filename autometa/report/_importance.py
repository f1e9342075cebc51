"""Which columns, and which hyperparameters, the score depends on."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from autometa.report._charts import bars, draw
from autometa.report._page import Cell, Column, Part, make_figure, make_table
from autometa.space import Configuration, SearchSpace
from autometa.wording import SECOND_LAYER, algorithm_name, counted, shortened, significant

if TYPE_CHECKING:
    import optuna

    from autometa.task import Task

_ROWS: Final = 2_000
_FEWEST_ROWS: Final = 200  # with fewer, a fit says little
_FEWEST_OF_CLASS: Final = 5  # three to fit on
_REPEATS: Final = 3
_SECONDS: Final = 0.25  # of CPU time, for shuffling; so much again, as the trial tells, for the one fit
_COLUMNS: Final = 60
_SHUFFLED_ROWS: Final = 300
# A page is written in two seconds, and drawing takes more than one: models of many trees have fewer of them. Which
# columns matter is known long before the last tree is grown.
_ROUNDS: Final = 60
_TREES: Final = 400  # boosting grows a tree for each class in every round
_FASTEST: Final = 0.3  # learning rate of a model with fewer rounds
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
        Columns that were not shuffled.
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

    A pipeline is fitted once on two thirds of at most 2,000 rows; the others are for the shuffles. Of a wide
    table it is fitted on the 60 columns that say most about the target alone; models of many trees have fewer of them.
    The columns that say more come first, until the time is over.

    Parameters
    ----------
    task : Task
    algorithm : str
    params : mapping of str to value
    seconds : float
        What one fit on all rows took, about; fewer rows are taken where it was long.
    limit : float, default=0.25
        CPU seconds for the shuffles.

    Returns
    -------
    ColumnImportance or None
        None where no such pipeline can be fitted.
    """
    from sklearn import config_context
    from sklearn.metrics import check_scoring

    from autometa.pipelines import build_pipeline

    n_rows = min(task.n_rows, _ROWS)
    if math.isfinite(seconds) and seconds > 0:
        fewest = max(_FEWEST_ROWS, _FEWEST_OF_CLASS * len(task.classes))
        n_rows = min(n_rows, max(int(task.n_rows * limit / seconds), fewest))
    train, test = _halves(task, n_rows)
    test = test[:_SHUFFLED_ROWS]
    names = _by_signal(task, train)
    chosen = set(names[:_COLUMNS])
    if len(test) < 2 or not names:
        return None
    part = replace(
        task,
        X=task.X.iloc[train][[name for name in task.column_types if name in chosen]],
        y=task.y.iloc[train],
        column_types={name: kind for name, kind in task.column_types.items() if name in chosen},
    )
    try:
        # What a fit on few rows warns of was said in the search, or is of these rows alone. Of small scores,
        # scikit-learn's checks take more time than the sums.
        with warnings.catch_warnings(), config_context(assume_finite=True, skip_parameter_validation=True):
            warnings.simplefilter("ignore")
            pipeline = build_pipeline(Configuration(algorithm, _fewer_trees(task, params)), part)
            pipeline.fit(part.X, part.y)
            scorer = check_scoring(pipeline, scoring=task.metric.scorer)
            X, y = task.X[part.X.columns].iloc[test], task.y.iloc[test]
            rows = _shuffle(pipeline, scorer, X, y, names[:_COLUMNS], limit)
    except Exception:  # a page must not fail because a third-party estimator or scorer does
        return None
    frame = pd.DataFrame(rows, columns=["column", "loss", "error"]).sort_values("loss", ascending=False)
    return ColumnImportance(frame, algorithm, len(train), len(test), len(names) - len(rows))


def _fewer_trees(task: Task, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return hyperparameters with a bounded number of trees; a model that learns from few learns faster."""
    n_outputs = 1 if task.kind == "regression" or len(task.classes) == 2 else len(task.classes)
    found, most = dict(params), min(_ROUNDS, max(_TREES // n_outputs, 10))
    for name in ("n_estimators", "max_iter"):
        if name in found and found[name] > most:
            if "learning_rate" in found:
                faster = min(found["learning_rate"] * found[name] / most, _FASTEST)
                found["learning_rate"] = max(faster, found["learning_rate"])
            found[name] = most
    return found


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
    X : DataFrame
        What is predicted, once, when a scorer asks for it.
    rows : slice, default=slice(None)
        For which it answers.
    """

    def __init__(self, pipeline: Any, X: pd.DataFrame, rows: slice = slice(None)) -> None:
        self._pipeline = pipeline
        self._X = X
        self._rows = rows
        self._memory: dict[str, np.ndarray] = {}

    def part(self, place: int, n_rows: int) -> _Answers:
        """Return the one that answers for the rows of one copy."""
        found = _Answers(self._pipeline, self._X, slice(place * n_rows, (place + 1) * n_rows))
        found._memory = self._memory
        return found

    def predict(self, X: Any) -> np.ndarray:
        return self._answer("predict")

    def predict_proba(self, X: Any) -> np.ndarray:
        return self._answer("predict_proba")

    def _answer(self, method: str) -> np.ndarray:
        if method not in self._memory:
            self._memory[method] = np.asarray(getattr(self._pipeline, method)(self._X))
        return self._memory[method][self._rows]

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
    X, y = task.X[names].iloc[rows], task.y.iloc[rows]
    truth = (y if task.kind == "regression" else pd.Series(pd.factorize(y, sort=True)[0])).rank().to_numpy()
    ranks = rankdata(np.column_stack([_codes(column) for _, column in X.items()]), axis=0)
    ranks = ranks - ranks.mean(axis=0)
    truth = truth - truth.mean()
    norms = np.sqrt((ranks**2).sum(axis=0) * (truth**2).sum())
    signal = np.abs(truth @ ranks) / np.maximum(norms, 1e-12)
    return [names[i] for i in np.argsort(-signal, kind="stable")]


def _codes(column: pd.Series) -> np.ndarray:
    """Return a column as numbers; what is missing comes before all others."""
    if not pd.api.types.is_numeric_dtype(column):
        return np.asarray(pd.factorize(column.astype(str))[0], dtype="float64")
    values = column.to_numpy() if column.dtype == "float64" else column.to_numpy("float64", na_value=np.nan)
    return np.where(np.isnan(values), -np.inf, values)


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

    leaderboard = leaderboard[leaderboard["origin"] != SECOND_LAYER]
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
                # Of few trials the good ones may be all, which tells nothing.
                warnings.filterwarnings("error", "Target and region quantiles", UserWarning)
                evaluator = optuna.importance.PedAnovaImportanceEvaluator()
                found = optuna.importance.get_param_importances(study, evaluator=evaluator)
        except (ValueError, RuntimeError, UserWarning):
            # All scores are equal, or no hyperparameter is in all trials.
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
    left = (
        f" Left out: {counted(found.n_left_out, 'column')}, which alone said less."
        if found.n_left_out
        else ""
    )
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
        narrow=True,
    )
    chart = bars(rows, f"loss of {task.metric.name}", error=True)
    figure = make_figure("Permutation importance", how, draw(chart, label))
    part.blocks.append(
        f'<div class="grid">{figure}<div class="card span"><h3>Columns shuffled</h3>{table}</div></div>\n'
    )
    return part
