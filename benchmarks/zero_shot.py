"""How good is the first answer? Real fits against peers on tables whose families the meta-model has not seen.

    python benchmarks/zero_shot.py --directory DIR [--tables 60] [--only PEER ...] [--again] [--trials 100]
    python benchmarks/zero_shot.py --report [--page docs/comparisons.md]
    python benchmarks/zero_shot.py --replay [--metabase DIR]

DIR holds a catalog.csv (name, task_type, target, family, n_rows) and Parquet files. Tables are chosen by a fixed rule:
at least 150 rows, one table of each family, kinds in turn, in the order of a hash of their names.

Protocol. Of at most 3,000 rows of a table, drawn at random, two thirds and at most 1,000 train, the rest tests; one
thread. Whatever must be chosen is chosen within the training rows: the best of the four tree ensembles' defaults and
the trials of a cold TPE (autometa's own space of all algorithms) by one holdout, a third of them; the first five and
ten trials as ``tune`` makes them, each result reordering what is left, and as it chooses among them, by three folds and
what was expected. What is chosen is fitted on all training
rows. autometa and TPE are asked once for each metric. The meta-model is trained on the metadata base without the
families of all chosen tables. FLAML runs in an environment of its own, made here if it is not there.

Costs are CPU seconds of everything from the training rows to the predictions, imports and the loading of the
meta-model left out. The results, a row per table, metric and method, grow in a CSV file; what stands there is not run
again. A score is reported as the share of the way from a dummy to the best result of any method on that table and
metric, at least -1; 0 for a method that failed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
import venv
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain, zip_longest
from pathlib import Path
from typing import Final

import numpy as np
import optuna
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from autometa import MetaBase, MetaModel
from autometa.collection import read_catalog
from autometa.collection.directory import TaskSource
from autometa.errors import AutometaError
from autometa.evaluation import Protocol, Run, evaluate, make_splits
from autometa.metrics import as_gain, baseline_scores, perfect_score, resolve_metric, score_predictions
from autometa.recommendation import Recommendations, recommend_for_task
from autometa.space import Configuration, SearchSpace
from autometa.task import KINDS, Task
from autometa.training import train
from autometa.tuning import posterior_scores
from autometa.tuning._suggestions import N_CANDIDATES

RESULTS: Final = Path(__file__).parent / "results" / "zero_shot.csv"
FLAML_SCRIPT: Final = Path(__file__).with_name("zero_shot_flaml.py")
FLAML_NEEDS: Final = ("flaml[automl]==2.7.0", "pyarrow", "packaging")
FLAML_PREDICTORS: Final = {"all": "FLAML zero-shot, best of all", "lgbm": "FLAML zero-shot, LightGBM"}
METRICS: Final = {
    "binary": ("log_loss", "roc_auc", "balanced_accuracy"),
    "multiclass": ("log_loss", "roc_auc", "balanced_accuracy"),
    "regression": ("r2",),
}
CHEAP: Final = ("defaults", "FLAML", "autometa")
TREE_ENSEMBLES: Final = ("lightgbm", "hist_gradient_boosting", "random_forest", "extra_trees")
PEERS: Final = (*CHEAP, "autometa-choice", "TPE")
BUDGETS: Final = (10, 50, 100, 250)
FIRST: Final = (5, 10)
METHODS: Final = (
    "LightGBM default",
    "best of four defaults",
    *FLAML_PREDICTORS.values(),
    *(f"TPE, {n} trials" for n in BUDGETS),
    *(f"autometa, first {name}" for name in ("pick", "five", "ten")),
)
INTERVAL: Final = 2 * 1.2815515655446004
MIN_ROWS: Final = 150
MAX_ROWS: Final = 3000
MAX_TRAIN_ROWS: Final = 1000
MIN_CLASS_ROWS: Final = 9
MIN_GAIN: Final = 0.01
FLOOR: Final = -1.0
COMPARISONS: Final = (
    ("autometa, first pick", "FLAML zero-shot, best of all"),
    ("autometa, first pick", "FLAML zero-shot, LightGBM"),
    ("autometa, first pick", "LightGBM default"),
    ("autometa, first pick", "best of four defaults"),
    ("autometa, first pick", "TPE, 50 trials"),
    ("autometa, first five", "TPE, 100 trials"),
    ("autometa, first ten", "TPE, 250 trials"),
)


# --- tables and splits ----------------------------------------------------------------------------------------------


def choose_tables(sources: Iterable[TaskSource], n_tables: int) -> list[TaskSource]:
    """Return one table of each family, kinds in turn, in the order of a hash of the names."""
    ordered = sorted(sources, key=lambda s: hashlib.sha256(s.task_id.encode()).hexdigest())
    families: dict[str, TaskSource] = {}
    for source in ordered:
        if source.n_rows == 0 or source.n_rows >= MIN_ROWS:
            families.setdefault(source.properties["family"], source)
    queues = [[s for s in families.values() if s.kind == kind] for kind in KINDS]
    in_turn = [s for s in chain.from_iterable(zip_longest(*queues)) if s is not None]
    return in_turn[:n_tables]


def draw_split(source: TaskSource, seed: int) -> tuple[Task, NDArray[np.intp], NDArray[np.intp]]:
    """Return a table of at most 3,000 rows, and which of them train and test."""
    task = source.load()
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.permutation(task.n_rows)[:MAX_ROWS])
    strata = None
    if task.kind != "regression":
        labels = task.y.iloc[rows]
        rows = rows[labels.map(labels.value_counts()).to_numpy() >= MIN_CLASS_ROWS]
        strata = task.y.iloc[rows]
    kind = "regression" if strata is None else "classification"
    whole = Task.from_frame(task.X.iloc[rows], task.y.iloc[rows], kind=kind, name=source.task_id)
    n_train = min(2 * whole.n_rows // 3, MAX_TRAIN_ROWS)
    train_rows, test_rows = train_test_split(
        np.arange(whole.n_rows), train_size=n_train, random_state=seed, stratify=strata
    )
    return whole, np.sort(train_rows), np.sort(test_rows)


@dataclass(frozen=True)
class Answer:
    """Test scores of what a method chose, and what choosing, fitting and predicting cost."""

    scores: dict[str, float]
    seconds: float
    choice: str


@dataclass
class Bench:
    """A table with its split, and what was run on it: nothing is run twice, yet each method pays for it.

    Attributes
    ----------
    whole : Task
    train_rows, test_rows : ndarray of int
        Positions in `whole`.
    seed : int
    """

    whole: Task
    train_rows: NDArray[np.intp]
    test_rows: NDArray[np.intp]
    seed: int
    _known: dict[tuple[str, str], tuple[Run, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.train = self.whole.subset(self.train_rows)
        folds = [
            (self.train_rows[fit], self.train_rows[check])
            for fit, check in make_splits(self.train, Protocol(seed=self.seed))
        ]
        self._splits = {
            "folds": folds,
            "holdout": folds[:1],
            "test": [(self.train_rows, self.test_rows)],
        }

    def run(self, configuration: Configuration, where: str) -> tuple[Run, float]:
        """Run a configuration on ``folds``, ``holdout`` or ``test``; return also the CPU seconds it took."""
        key = (configuration.id, where)
        if key not in self._known:
            start = time.process_time()
            run = evaluate(self.whole, configuration, self._splits[where], random_state=self.seed)
            self._known[key] = run, time.process_time() - start
        return self._known[key]

    def answer(self, configuration: Configuration, seconds: float = 0.0) -> Answer:
        """Test what was chosen; `seconds` is what the choice cost."""
        run, spent = self.run(configuration, "test")
        return Answer(dict(run.scores), seconds + spent, configuration.algorithm)

    def best_by_holdout(self, configurations: Iterable[Configuration], metric: str) -> Configuration:
        """Return the best on the holdout; the first where none could be run."""
        candidates = list(configurations)
        gains = [self._gain(c, metric) for c in candidates]
        return candidates[int(np.argmax(gains))]

    def _gain(self, configuration: Configuration, metric: str) -> float:
        run, _ = self.run(configuration, "holdout")
        return float(as_gain(run.scores[metric], metric)) if run.ok else -np.inf


Answers = Iterator[tuple[str, str, Answer]]


# --- peers ----------------------------------------------------------------------------------------------------------


def run_defaults(bench: Bench) -> Answers:
    """Run a dummy, LightGBM's default, and the best of four tree ensembles' defaults by a holdout."""
    kind = bench.whole.kind
    space = SearchSpace.for_kind(kind)
    defaults = {name: space[name].default_configuration() for name in TREE_ENSEMBLES}
    dummy = Answer(baseline_scores(kind, bench.whole.y.iloc[bench.test_rows]), 0.0, "constant")
    choice_seconds = sum(bench.run(c, "holdout")[1] for c in defaults.values())
    for metric in METRICS[kind]:
        yield metric, "dummy", dummy
        yield metric, "LightGBM default", bench.answer(defaults["lightgbm"])
        best = bench.best_by_holdout(defaults.values(), metric)
        yield metric, "best of four defaults", bench.answer(best, choice_seconds)


def run_autometa(bench: Bench, metamodel: MetaModel) -> Answers:
    """Run the first recommendation."""
    for metric in METRICS[bench.whole.kind]:
        recommended, seconds = recommend_timed(bench, metamodel, metric, k=1)
        yield metric, "autometa, first pick", bench.answer(recommended[0].configuration, seconds)


def run_autometa_choice(bench: Bench, metamodel: MetaModel) -> Answers:
    """Run the first five and ten trials of a search, and what it would choose after each."""
    for metric in METRICS[bench.whole.kind]:
        recommended, seconds = recommend_timed(bench, metamodel, metric, N_CANDIDATES)
        tried: dict[int, Run] = {}
        for k, name in zip(FIRST, ("five", "ten"), strict=True):
            seconds += try_in_turn(bench, recommended, metric, tried, k)
            yield metric, f"autometa, first {name}", bench.answer(choose(recommended, metric, tried), seconds)


def recommend_timed(bench: Bench, metamodel: MetaModel, metric: str, k: int) -> tuple[Recommendations, float]:
    """Return recommendations for a metric, and the CPU seconds they took."""
    start = time.process_time()
    task = replace(bench.train, metric=resolve_metric(metric, bench.whole.kind))
    recommended = recommend_for_task(task, k=k, metamodel=metamodel, random_state=bench.seed)
    return recommended, time.process_time() - start


def try_in_turn(
    bench: Bench, recommended: Recommendations, metric: str, tried: dict[int, Run], k: int
) -> float:
    """Try up to `k` recommendations, each the one that the results so far speak for; return the CPU seconds."""
    start, outside = time.process_time(), 0.0
    while len(tried) < k:
        results = {rank: run.scores[metric] if run.ok else np.nan for rank, run in tried.items()}
        item = recommended.order_after(results)[0]
        before = time.process_time()
        tried[item.rank], spent = bench.run(item.configuration, "folds")
        outside += spent - (time.process_time() - before)  # what was run already for another metric costs too
    return time.process_time() - start + outside


def choose(recommended: Recommendations, metric: str, tried: dict[int, Run]) -> Configuration:
    """Return the choice of ``tune``: by what was expected and what the trials have shown."""
    done = [(recommended[rank - 1], run) for rank, run in tried.items() if run.ok]
    if not done:
        return recommended[0].configuration
    expected = posterior_scores(
        np.array([run.folds[metric] for _, run in done]),
        np.array([r.expected_score for r, _ in done]),
        np.array([(r.upper - r.lower) / INTERVAL for r, _ in done]),
    )
    return done[int(np.argmax(as_gain(expected, metric)))][0].configuration


def run_tpe(bench: Bench, n_trials: int) -> Answers:
    """Run TPE from nothing over the joint space, each trial judged by one holdout."""
    kind = bench.whole.kind
    space = SearchSpace.for_kind(kind)
    for metric in METRICS[kind]:
        study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=bench.seed))
        tried: list[Configuration] = []
        seconds = 0.0
        for number in range(1, n_trials + 1):
            start = time.process_time()
            trial = study.ask()
            tried.append(space.suggest(trial))
            asked = time.process_time()
            run, spent = bench.run(tried[-1], "holdout")
            told = time.process_time()
            if run.ok:
                study.tell(trial, as_gain(run.scores[metric], metric))
            else:
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
            seconds += asked - start + spent + time.process_time() - told
            if number in BUDGETS:
                best = bench.best_by_holdout(tried, metric)
                yield metric, f"TPE, {number} trials", bench.answer(best, seconds)


def run_flaml(benches: dict[str, Bench], python: Path) -> dict[str, list[tuple[str, str, Answer]]]:
    """Run FLAML's zero-shot on all tables in one child process with an environment of its own."""
    answers: dict[str, list[tuple[str, str, Answer]]] = {}
    with tempfile.TemporaryDirectory() as name:
        for table, bench in benches.items():
            _write_split(bench, Path(name) / table)
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"OMP_NUM_THREADS": "1"}
        subprocess.run([python, FLAML_SCRIPT, name], check=True, env=environment, stdout=subprocess.DEVNULL)
        for table, bench in benches.items():
            answers[table] = [
                (metric, method, _read_answer(bench, Path(name) / table, predictor))
                for predictor, method in FLAML_PREDICTORS.items()
                for metric in METRICS[bench.whole.kind]
            ]
    return answers


def _write_split(bench: Bench, folder: Path) -> None:
    folder.mkdir()
    task = bench.whole
    y = task.y if task.kind == "regression" else np.unique(task.y, return_inverse=True)[1]
    frame = task.X.rename(columns=str).assign(target=np.asarray(y))
    for part, rows in (("train", bench.train_rows), ("test", bench.test_rows)):
        frame.iloc[rows].to_parquet(folder / f"{part}.parquet", index=False)
    (folder / "kind.txt").write_text(task.kind)


def _read_answer(bench: Bench, folder: Path, predictor: str) -> Answer:
    report = json.loads((folder / f"{predictor}.json").read_text())
    if "error" in report:
        return Answer({}, report["seconds"], report["error"])
    task = bench.whole
    y = task.y.to_numpy()
    classes = None if task.kind == "regression" else np.unique(y)
    prediction = np.load(folder / f"{predictor}.npy")
    scores = score_predictions(task.kind, y[bench.test_rows], prediction, classes)
    return Answer(scores, report["seconds"], report["estimator"])


def flaml_python(directory: Path) -> Path:
    """Return the interpreter of FLAML's environment; make it first if it is not there."""
    python = directory / "bin" / "python"
    if not python.exists():
        venv.create(directory, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *FLAML_NEEDS], check=True)
    return python


def metamodel_without(families: set[str], metabase: str | None, directory: Path | None) -> MetaModel:
    """Train on a metadata base without some families; a directory keeps the result for the next time."""
    if directory is not None and (directory / "metamodel").is_dir():
        model = MetaModel.load(directory)
        if seen := families & {str(f) for part in model.parts.values() for f in part.families}:
            sys.exit(f"The meta-model in {directory} has seen {min(seen)}. Name another directory.")
        return model
    base = MetaBase.load(metabase)
    known = base.tasks.loc[~base.tasks["family"].isin(families), "task_id"]
    return train(base.only(known), directory)[0]


# --- running --------------------------------------------------------------------------------------------------------


class Results:
    """The CSV file: a row per table, metric and method."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.table = pd.read_csv(path) if path.is_file() else pd.DataFrame(columns=["table", "peer"])

    def lacks(self, table: str, peer: str) -> bool:
        """Whether a peer has not been run on a table."""
        return not ((self.table["table"] == table) & (self.table["peer"] == peer)).any()

    def forget(self, peer: str, tables: Iterable[str]) -> None:
        """Drop what a peer did on some tables; the file follows with the next rows."""
        gone = (self.table["peer"] == peer) & self.table["table"].isin(list(tables))
        self.table = self.table[~gone]

    def add(self, bench: Bench, peer: str, answers: Iterable[tuple[str, str, Answer]]) -> None:
        """Append what a peer did on a table, and write the file."""
        rows = [
            {
                "table": bench.whole.name,
                "kind": bench.whole.kind,
                "n_train": len(bench.train_rows),
                "n_test": len(bench.test_rows),
                "n_columns": bench.whole.X.shape[1],
                "metric": metric,
                "peer": peer,
                "method": method,
                "score": answer.scores.get(metric, np.nan),
                "cpu_seconds": answer.seconds,
                "choice": answer.choice,
            }
            for metric, method, answer in answers
        ]
        self.table = pd.concat([self.table, pd.DataFrame(rows)], ignore_index=True)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self.table.to_csv(self._path, index=False, float_format="%.6g")


def run_all(arguments: argparse.Namespace) -> None:
    """Run every peer asked for on every table that lacks it."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.simplefilter("ignore")
    sources = choose_tables(read_catalog(arguments.directory), arguments.tables)
    results = Results(arguments.output)
    if arguments.again:
        for peer in arguments.only:
            results.forget(peer, [s.task_id for s in sources])
    benches = dict(_draw_all(sources, arguments.seed))
    todo = {p: [t for t in benches if results.lacks(t, p)] for p in PEERS if p in arguments.only}
    if todo.get("FLAML"):
        python = flaml_python(arguments.flaml)
        for table, answers in run_flaml({t: benches[t] for t in todo["FLAML"]}, python).items():
            results.add(benches[table], "FLAML", answers)
    runners: dict[str, Callable[[Bench], Answers]] = {"defaults": run_defaults}
    if todo.get("autometa") or todo.get("autometa-choice"):
        families = {str(s.properties["family"]) for s in sources}
        metamodel = metamodel_without(families, arguments.metabase, arguments.metamodel)
        runners["autometa"] = lambda bench: run_autometa(bench, metamodel)
        runners["autometa-choice"] = lambda bench: run_autometa_choice(bench, metamodel)
    runners["TPE"] = lambda bench: run_tpe(bench, arguments.trials)
    for number, (table, bench) in enumerate(benches.items(), start=1):
        for peer, runner in runners.items():
            if table in todo.get(peer, ()):
                start = time.process_time()
                results.add(bench, peer, list(runner(bench)))
                print(f"{number} {table}: {peer}, {time.process_time() - start:.1f} CPU s", flush=True)


def _draw_all(sources: Iterable[TaskSource], seed: int) -> Iterator[tuple[str, Bench]]:
    for source in sources:
        try:
            yield source.task_id, Bench(*draw_split(source, seed), seed)
        except AutometaError as error:
            print(f"{source.task_id} is left out: {error}", file=sys.stderr)


# --- report ---------------------------------------------------------------------------------------------------------


def normalise(results: pd.DataFrame) -> pd.DataFrame:
    """Add the share of the way from the dummy to the best; drop tables where nobody learns anything of a metric."""
    table = results.assign(
        gain=[as_gain(s, m) for s, m in zip(results["score"], results["metric"], strict=True)]
    )
    groups = table.groupby(["table", "metric"])
    dummy = table["gain"].where(table["method"] == "dummy").groupby([table["table"], table["metric"]])
    bottom = dummy.transform("max")
    width = groups["gain"].transform("max") - bottom
    perfect = table["metric"].map(lambda name: as_gain(perfect_score(name), name))
    share = ((table["gain"] - bottom) / width).clip(lower=FLOOR)
    table["share"] = share.where(table["score"].notna(), 0.0)
    return table[(width > MIN_GAIN * (perfect - bottom)) & (table["method"] != "dummy")]


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """Return a row per method: mean share and mean rank by metric, and CPU seconds; where all methods were run."""
    shares = table.pivot_table(index=["metric", "table"], columns="method", values="share").dropna()
    ranks = shares.rank(axis=1, ascending=False)
    parts = {}
    for metric in dict.fromkeys(m for names in METRICS.values() for m in names):
        if metric in shares.index.get_level_values("metric"):
            parts[metric] = shares.loc[metric].mean()
            parts[f"{metric} rank"] = ranks.loc[metric].mean()
            parts[f"{metric} tables"] = pd.Series(len(shares.loc[metric]), index=shares.columns)
    summary = pd.DataFrame(parts)
    seconds = table.groupby("method")["cpu_seconds"]
    summary["median"], summary["p95"] = seconds.median(), seconds.quantile(0.95)
    return summary.reindex([method for method in METHODS if method in summary.index])


def compare(table: pd.DataFrame, ours: str, theirs: str) -> pd.DataFrame:
    """Return the paired difference of two methods for each metric, with its standard error and the share of wins."""
    shares = table.pivot_table(index=["metric", "table"], columns="method", values="share")
    if not {ours, theirs} <= set(shares.columns):
        return pd.DataFrame()
    difference = (shares[ours] - shares[theirs]).dropna().groupby("metric")
    wins = difference.agg(lambda d: (d > 0).mean() + 0.5 * (d == 0).mean())
    return pd.DataFrame(
        {
            "tables": difference.size(),
            "difference": difference.mean(),
            "error": difference.sem(),
            "wins": wins,
        }
    )


def markdown(results: pd.DataFrame) -> str:
    """Return the tables of the comparisons: means on all tables, with TPE on its tables, and paired differences."""
    table = normalise(results)
    with_tpe = set(table.loc[table["peer"] == "TPE", "table"])
    parts = [
        _markdown_summary(summarise(table[table["peer"].isin(CHEAP)])),
        _markdown_summary(summarise(table[table["table"].isin(with_tpe)])) if with_tpe else "",
        _markdown_comparisons(table),
        _cost_in_fits(table),
        _failures(results),
    ]
    return "\n\n".join(part for part in parts if part)


def _cost_in_fits(table: pd.DataFrame) -> str:
    seconds = table.pivot_table(index=["table", "metric"], columns="method", values="cpu_seconds")
    if "autometa, first pick" not in seconds:
        return ""
    ratio = seconds["autometa, first pick"] / seconds["LightGBM default"]
    high = ratio.quantile(0.95)
    return f"The first pick costs {ratio.median():.1f} LightGBM default fits (95th percentile {high:.1f})."


def _failures(results: pd.DataFrame) -> str:
    failed = results[results["score"].isna()].drop_duplicates(["table", "method"])["method"].value_counts()
    names = ", ".join(f"{method} on {n}" for method, n in failed.items())
    return f"Tables on which a method failed, which counts as 0: {names}." if names else ""


def _markdown_summary(summary: pd.DataFrame) -> str:
    metrics = [c.removesuffix(" rank") for c in summary.columns if c.endswith(" rank")]
    heads = [f"{m} ({int(summary[f'{m} tables'].iloc[0])})" for m in metrics]
    lines = [
        "| share of the way, higher is better | "
        + " | ".join(heads)
        + " | CPU s, median | 95th percentile |",
        "| --- |" + " --- |" * (len(metrics) + 2),
    ]
    for method, row in summary.iterrows():
        cells = [f"{row[m]:.2f}, rank {row[f'{m} rank']:.1f}" for m in metrics]
        name = f"**{method}**" if str(method).startswith("autometa") else method
        lines.append(f"| {name} | {' | '.join(cells)} | {row['median']:.2f} | {row['p95']:.1f} |")
    return "\n".join(lines)


def _markdown_comparisons(table: pd.DataFrame) -> str:
    names = list(dict.fromkeys(chain.from_iterable(METRICS.values())))
    lines = [
        f"| difference of shares, higher is better | against | {' | '.join(names)} |",
        "| --- | --- |" + " --- |" * len(names),
    ]
    for ours, theirs in COMPARISONS:
        found = compare(table, ours, theirs)
        cells = [_comparison_cell(found.loc[n]) if n in found.index else "" for n in names]
        if any(cells):
            lines.append(f"| {ours} | {theirs} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _comparison_cell(row: pd.Series) -> str:
    return f"{row['difference']:+.2f} +- {row['error']:.2f}, {row['wins']:.0%} of {row['tables']:.0f}"


def write_page(path: Path, text: str) -> None:
    """Replace what stands between the two markers."""
    before, _, rest = path.read_text(encoding="utf-8").partition("<!-- zero-shot: begin -->")
    _, end, after = rest.partition("<!-- zero-shot: end -->")
    if not end:
        sys.exit(f"{path} has no markers <!-- zero-shot: begin --> and <!-- zero-shot: end -->.")
    path.write_text(f"{before}<!-- zero-shot: begin -->\n{text}\n{end}{after}", encoding="utf-8")


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--directory", help="a catalog.csv and Parquet files: run what the results lack")
    mode.add_argument("--report", action="store_true", help="print tables made from the results")
    mode.add_argument(
        "--replay", action="store_true", help="recorded runs of a metadata base instead of fits"
    )
    parser.add_argument("--tables", type=int, default=60)
    parser.add_argument("--only", nargs="+", choices=PEERS, default=list(PEERS), metavar="PEER")
    parser.add_argument("--again", action="store_true", help="run the peers anew where the results have them")
    parser.add_argument("--trials", type=int, default=max(BUDGETS), help="of TPE (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--metabase", help="directory of a metadata base (default: the bundled one)")
    parser.add_argument("--metamodel", type=Path, help="directory that keeps the meta-model that was trained")
    parser.add_argument("--flaml", type=Path, default=Path(tempfile.gettempdir()) / "autometa-flaml",
                        help="directory of FLAML's environment (default: %(default)s)")  # fmt: skip
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--page", type=Path, help="write the report between its markers too")
    return parser.parse_args()


def main() -> None:
    """Run, report or replay."""
    arguments = parse_arguments()
    if arguments.replay:
        print(train(MetaBase.load(arguments.metabase))[1].text)
        return
    if arguments.directory:
        run_all(arguments)
    text = markdown(pd.read_csv(arguments.output))
    print(text)
    if arguments.page:
        write_page(arguments.page, text)


if __name__ == "__main__":
    main()
