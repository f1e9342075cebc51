"""How far does a search get? ``autometa.tune`` against a cold TPE and a static portfolio followed by TPE, real fits.

    python benchmarks/search.py --directory DIR [--tasks 40] [--skip 0] [--methods tpe,portfolio,autometa]
    python benchmarks/search.py --replay              the recorded runs of the bundled base in place of fits

DIR holds a catalog.csv and Parquet files; the tables that are used, and their order, are those of search_tables.txt,
or the catalog's where it has none of these. For each forty of them the meta-model is trained anew on the metadata base
without their families, and the portfolio is chosen on the same tasks. A third of the rows is held out; all methods
search the same space on the same folds of the rest. Regret is normalised by the best score that anyone reached and the
median of the library defaults on these folds, and clipped to [0, 2]. One row of the output file is one (task, method,
seed) with the best gain after so many trials, and the gain on the held-out rows of the model after so many: what tune
gives back when asked for so many, and of the others the best mean over the folds, fitted on all rows. What is there is
not run again, and several processes may share the work (--part 0/2, --part 1/2, an --output each; --report joins
files).

The replay tries the recorded configurations of a task one after the other, its family left out of all experience: in
random order, along the static portfolio, along the list for the nearest tasks and along the recommended list, and
as the search does it, where each result reorders what is left; regret as in the training report. Then with a limit on
time, a multiple of what the median library default costs on the task: by expected improvement, and by expected
improvement per second among what should fit within the limit.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
from curves import draw, regret_panel
from numpy.typing import NDArray
from sklearn.metrics import get_scorer
from sklearn.model_selection import train_test_split

import autometa
from autometa.collection import read_catalog
from autometa.evaluation import Protocol, evaluate, make_splits
from autometa.metamodel import MetaModel, Neighbourhood, Prediction, greedy_portfolio
from autometa.metamodel.belief import FewShot
from autometa.metrics import as_gain
from autometa.pipelines import build_pipeline
from autometa.space import Configuration, SearchSpace
from autometa.task import Task
from autometa.training import nearest_tasks, static_portfolio, train
from autometa.tuning._suggestions import N_CANDIDATES

BUDGETS = (1, 3, 5, 10, 25, 50, 100, 250)
PORTFOLIO_SIZE = 10
REPLAYED = {"classification": ("roc_auc", "log_loss"), "regression": ("r2",)}
REPLAY_BUDGETS = (1, 3, 5, 10)
TIME_LIMITS = (3, 10, 30)
N_FOLDS = 3
MAX_REGRET = 2.0
COMPARISONS = (
    ("autometa", 10, "TPE", 100),
    ("autometa", 25, "TPE", 250),
    ("autometa", 10, "TPE", 10),
    ("autometa", 25, "TPE", 25),
    *(("autometa", budget, "portfolio then TPE", budget) for budget in (1, 3, 5, 10, 25)),
)
CHOICES = (10, 25, 100, 250)
N_LEFT_OUT_TOGETHER = 40
TABLES = Path(__file__).with_name("search_tables.txt")
# The gains of all trials, and the model that a search of so many gives back.
Outcome = tuple[list[float], dict[int, Any]]
Method = Callable[[Task, Any, int], Outcome]
METHODS = {"tpe": "TPE", "portfolio": "portfolio then TPE", "autometa": "autometa"}


def score_on_folds(task: Task, configuration: Configuration, splits: Any) -> float:
    """Return the mean gain over the folds, greater is better; minus infinity for a failure."""
    run = evaluate(task, configuration, splits)
    return task.metric.sign * run.scores[task.metric.name] if run.ok else -np.inf


def score_on_test(model: Any, test: Task) -> float:
    """Return the gain of a model on the held-out rows."""
    scorer = get_scorer(test.metric.scorer)
    return float(scorer(model, test.X, test.y))


def search(task: Task, splits: Any, n_trials: int, seed: int, first: list[Configuration]) -> Outcome:
    """Run TPE over the joint space, after some configurations if there are any."""
    space = SearchSpace.for_kind(task.kind)
    tried: list[Configuration] = []

    def objective(trial: optuna.Trial) -> float:
        tried.append(space.suggest(trial))
        score = score_on_folds(task, tried[-1], splits)
        if not np.isfinite(score):
            raise optuna.TrialPruned
        return score

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    for configuration in first:
        study.enqueue_trial(configuration.joint_params())
    study.optimize(objective, n_trials=n_trials)
    gains = [t.value if t.value is not None else -np.inf for t in study.trials]
    best = {n: tried[int(np.argmax(gains[:n]))] for n in CHOICES if n <= n_trials}
    return gains, {n: build_pipeline(c, task).fit(task.X, task.y) for n, c in best.items()}


def tune(task: Task, splits: Any, n_trials: int, seed: int, metamodel: Any) -> Outcome:
    """Run autometa.tune for so many trials with a meta-model that knows nothing of the task's family."""
    # Without its rare classes a task may have two left.
    kind = "binary" if task.kind == "multiclass" and task.y.nunique() == 2 else task.kind
    models = {}
    for n in (n for n in CHOICES if n <= n_trials):
        result = autometa.tune(
            task.X,
            task.y,
            kind=kind,
            metric=task.metric.name,
            n_trials=n,
            cv=splits,
            random_state=seed,
            metamodel=metamodel,
        )
        models[n] = result.model
    gains = [
        as_gain(t.value, task.metric.name) if t.value is not None else -np.inf for t in result.study.trials
    ]
    return gains, models


def portfolio(base: autometa.MetaBase, task: Task) -> list[Configuration]:
    """Return the configurations that together are best on average over a metadata base."""
    target = "regression" if task.kind == "regression" else "classification"
    table = base.regrets(task.metric.stored, target)
    known = base.configurations_of(target)
    kept = table.columns[table.notna().mean() > 0.5]
    rows = table[kept].dropna(how="all").to_numpy()
    return [known[kept[i]] for i in greedy_portfolio(rows, PORTFOLIO_SIZE)]


def run_task(source: Any, methods: dict[str, Method], seed: int) -> list[dict[str, Any]]:
    """Run some methods on one task, and the library defaults."""
    whole = source.load()
    if whole.kind != "regression":
        counts = whole.y.map(whole.y.value_counts())
        whole = whole.subset(np.flatnonzero(counts.to_numpy() >= 9))
    strata = None if whole.kind == "regression" else whole.y
    rows, held_out = train_test_split(
        np.arange(whole.n_rows), test_size=1 / 3, random_state=seed, stratify=strata
    )
    task, test = whole.subset(np.sort(rows)), whole.subset(held_out)
    splits = make_splits(task, Protocol(seed=seed))
    defaults = [
        score_on_folds(task, a.default_configuration(), splits) for a in SearchSpace.for_kind(task.kind)
    ]
    records = []
    for name, method in methods.items():
        start = time.process_time()
        gains, models = method(task, splits, seed)
        best_so_far = np.maximum.accumulate(gains)
        records.append(
            {
                "task": source.task_id,
                "kind": task.kind,
                "metric": task.metric.name,
                "method": name,
                "seed": seed,
                "median_default": float(np.median(defaults)),
                "best_default": float(np.max(defaults)),
                **{f"gain@{b}": float(best_so_far[b - 1]) for b in BUDGETS if b <= len(gains)},
                **{f"test@{n}": score_on_test(model, test) for n, model in models.items()},
                "cpu_seconds": time.process_time() - start,
            }
        )
    return records


def _gains(table: pd.DataFrame) -> list[str]:
    return [f"gain@{budget}" for budget in BUDGETS if f"gain@{budget}" in table]


def _best(table: pd.DataFrame) -> pd.Series:
    """Return, in every row, the best gain that any method reached on the task."""
    return table[[*_gains(table), "best_default"]].max(axis=1).groupby(table["task"]).transform("max")


def _units(table: pd.DataFrame) -> pd.Series:
    """Return, in every row, the way from the median of the defaults to the best."""
    return np.maximum(_best(table) - table["median_default"], 1e-12)


def regrets(table: pd.DataFrame) -> pd.DataFrame:
    """Return mean regrets over seeds, a row per method and task."""
    best, scale = _best(table), _units(table)
    found = {int(c[5:]): ((best - table[c]) / scale).clip(0.0, MAX_REGRET) for c in _gains(table)}
    return (
        pd.DataFrame(found)
        .assign(method=table["method"], task=table["task"])
        .groupby(["method", "task"])
        .mean()
    )


@dataclass(frozen=True)
class Difference:
    """How a method does beside another on the same tasks.

    Attributes
    ----------
    ours, theirs : str
    after, against : int
        Trials of either.
    mean, error : float
        In units of regret: of the regrets (lower is better) or of the models, on rows held out (higher is better).
    better : float
        Share of the tasks, ties half.
    n : int
        Tasks.
    """

    ours: str
    after: int
    theirs: str
    against: int
    mean: float
    error: float
    better: float
    n: int


def on_folds(table: pd.DataFrame) -> Iterator[Difference]:
    """Compare the best so far on the folds that were searched."""
    by_task = regrets(table)
    known = set(by_task.index.get_level_values("method"))
    for ours, after, theirs, against in COMPARISONS:
        if {ours, theirs} <= known and {after, against} <= set(by_task):
            lead = (by_task.loc[ours][after] - by_task.loc[theirs][against]).dropna()
            yield _difference(ours, after, theirs, against, lead, -lead)


def held_out(table: pd.DataFrame) -> Iterator[Difference]:
    """Compare the models, on the third of the rows that nobody saw."""
    units = _units(table).groupby(table["task"]).mean()
    tests = table.groupby(["method", "task"])[[c for c in table if c.startswith("test@")]].mean()
    known = set(tests.index.get_level_values("method"))
    for ours, after, theirs, against in COMPARISONS:
        if {ours, theirs} <= known and {f"test@{after}", f"test@{against}"} <= set(tests):
            lead = (tests.loc[ours][f"test@{after}"] - tests.loc[theirs][f"test@{against}"]).dropna()
            shares = (lead / units).dropna().clip(-MAX_REGRET, MAX_REGRET)
            yield _difference(ours, after, theirs, against, shares, lead)


def _difference(
    ours: str, after: int, theirs: str, against: int, shares: pd.Series, gains: pd.Series
) -> Difference:
    better = float((gains > 0).mean() + 0.5 * (gains == 0).mean())
    return Difference(
        ours, after, theirs, against, float(shares.mean()), float(shares.sem()), better, len(gains)
    )


def report(table: pd.DataFrame) -> str:
    """Return means, standard errors and paired comparisons."""
    by_task = regrets(table)
    lines = [f"{table['task'].nunique()} tasks, mean normalised regret of the best so far +- standard error"]
    for method, rows in by_task.groupby("method"):
        cells = [f"{b}: {v.mean():.3f} +-{v.sem():.3f}" for b, v in rows.items() if v.notna().any()]
        lines.append(f"{method:20s} {rows[1].notna().sum()} tasks, after trials  " + "   ".join(cells))
    for what, found in (("regret on the folds", on_folds), ("on a third held out, model", held_out)):
        for d in found(table):
            if d.n:
                lines.append(
                    f"{what} of {d.ours} after {d.after} - of {d.theirs} after {d.against}: {d.mean:+.3f} +- "
                    f"{d.error:.3f}, better on {d.better:.0%} of {d.n}"
                )
    return "\n".join(lines)


# --- replay ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Recorded:
    """A known task as if it were new.

    Attributes
    ----------
    family : str
    regret, level, seconds : ndarray of shape (n_configurations,)
        Of the recorded runs, NaN where there is none; seconds of all folds.
    prediction : Prediction
    few_shot : FewShot
        Made without the task's family, as the prediction.
    orders : dict of str to list of int
        What is tried one after the other, whatever comes of it.
    """

    family: str
    regret: NDArray[np.float64]
    level: NDArray[np.float64]
    seconds: NDArray[np.float64]
    prediction: Prediction
    few_shot: FewShot
    orders: dict[str, list[int]]

    def adapt(self, n_trials: int, limit: float = np.inf, fit_budget: float | None = None) -> list[float]:
        """Return the best regret after each trial of a search that ends with its time."""
        allowed = np.isfinite(self.seconds)
        if fit_budget is not None:
            quickest = self.prediction.seconds[allowed].min()
            allowed &= self.prediction.seconds <= max(fit_budget, 2 * quickest)
        left = self.prediction.portfolio(N_CANDIDATES, allowed, fit_budget)
        costs = None if fit_budget is None else self.prediction.costs(fit_budget)
        observed: dict[int, float] = {}
        best: list[float] = []
        while left and len(best) < n_trials:
            chosen = self.few_shot.order(left, observed, costs=costs)[0] if observed else left[0]
            limit -= self.seconds[chosen]
            if limit < 0:
                break
            left.remove(chosen)
            observed[chosen] = self.level[chosen]
            best.append(min(self.regret[chosen], best[-1] if best else np.inf))
        return best


def record(base: autometa.MetaBase, model: MetaModel, target: str, metric: str) -> Iterator[Recorded]:
    """Yield the tasks of a target; only what was run on a task can be chosen there."""
    part = model.parts[target]
    rng = np.random.default_rng(0)
    runs = base.runs[base.runs["fidelity"] == base.runs["task_id"].map(base.main_fidelities)]
    cpu = runs.assign(cpu=(runs["fit_seconds"] + runs["predict_seconds"]) * runs["n_folds"])
    seconds = cpu.pivot_table(index="task_id", columns="configuration_id", values="cpu").reindex(
        part.tasks["task_id"], columns=list(part.configurations)
    )
    static, nearest = static_portfolio(), nearest_tasks()
    for i, family in enumerate(part.families.tolist()):
        known = np.array([part.regrets[metric][i], part.levels[metric][i], seconds.to_numpy()[i]])
        is_known = np.isfinite(known).all(axis=0)
        if is_known.sum() < N_CANDIDATES:
            continue
        known[:, ~is_known] = np.nan
        candidates = np.flatnonzero(is_known)
        near = Neighbourhood(part, part.metafeatures[i], (family,))
        prediction = near.predict(metric, part.sizes[i].tolist())
        orders = {
            "random": rng.permutation(candidates).tolist(),
            "static portfolio": static(part, i, metric, candidates),
            "nearest tasks": nearest(part, i, metric, candidates),
            "recommended list": prediction.portfolio(PORTFOLIO_SIZE, is_known),
        }
        yield Recorded(family, *known, prediction, near.few_shot(metric), orders)


def replay(metabase: str | None) -> None:
    """Print mean regrets after some trials, and within some limits of time."""
    base, model = autometa.MetaBase.load(metabase), MetaModel.load(metabase)
    trials, limited = [], []
    for target, metrics in REPLAYED.items():
        for metric in metrics:
            for task in record(base, model, target, metric):
                found = {
                    name: np.minimum.accumulate(task.regret[order]) for name, order in task.orders.items()
                }
                found["autometa"] = np.array(task.adapt(PORTFOLIO_SIZE))
                trials += [
                    [target, task.family, metric, name, *(best[b - 1] for b in REPLAY_BUDGETS)]
                    for name, best in found.items()
                ]
                usual = float(np.nanmedian(task.seconds[task.prediction.defaults]))
                for multiple in TIME_LIMITS:
                    limit = multiple * usual
                    for name, budget in (
                        ("improvement", None),
                        ("improvement per second", limit / 2 / N_FOLDS),
                    ):
                        best_within = task.adapt(N_CANDIDATES, limit, budget)
                        limited.append(
                            [target, task.family, metric, name, multiple, min([MAX_REGRET, *best_within])]
                        )
    columns = [str(b) for b in REPLAY_BUDGETS]
    _show(pd.DataFrame(trials, columns=["target", "family", "metric", "method", *columns]), columns, "trials")
    wide = pd.DataFrame(limited, columns=["target", "family", "metric", "method", "limit", "regret"])
    wide = wide.pivot_table(index=["target", "family", "metric", "method"], columns="limit", values="regret")
    wide.columns = [str(limit) for limit in wide.columns]
    _show(wide.reset_index(), list(wide.columns), "times the seconds of the median default")


def _show(table: pd.DataFrame, columns: list[str], unit: str) -> None:
    """Print means with standard errors over families, and the differences to the last method."""
    by_family = table.groupby(["method", "target", "family"], sort=False)[columns].mean()
    last = by_family.loc[table["method"].iloc[-1] if unit == "trials" else "improvement per second"]
    print(
        f"\nmean regret +- standard error over {len(last)} families, after so many {unit}: {', '.join(columns)}"
    )
    for method, rows in by_family.groupby(level="method", sort=False):
        own = rows.droplevel("method")
        means = "  ".join(f"{m:.3f} +-{e:.3f}" for m, e in zip(own.mean(), own.sem(), strict=True))
        gaps = last - own
        pairs = "  ".join(f"{m:+.3f} +-{e:.3f}" for m, e in zip(gaps.mean(), gaps.sem(), strict=True))
        print(f"{method:24s} {means}   the last less this one: {pairs}")


def make_methods(families: set[str], wanted: list[str], arguments: argparse.Namespace) -> dict[str, Method]:
    """Prepare the methods, with an experience that knows nothing of some families."""
    base = autometa.MetaBase.load()
    base = base.only(base.tasks.loc[~base.tasks["family"].isin(families), "task_id"])
    metamodel = train(base)[0] if "autometa" in wanted else None
    n_trials = arguments.trials
    return {
        "TPE": lambda t, splits, seed: search(t, splits, arguments.tpe_trials, seed, []),
        "portfolio then TPE": lambda t, splits, seed: search(t, splits, n_trials, seed, portfolio(base, t)),
        "autometa": lambda t, splits, seed: tune(t, splits, n_trials, seed, metamodel),
    }


def _done(output: Path, task: str) -> set[str]:
    """Return the methods that a file knows of a task."""
    if not output.is_file():
        return set()
    table = pd.read_csv(output)
    return set(table.loc[table["task"] == task, "method"])


def _append(records: list[dict[str, Any]], output: Path) -> None:
    output.parent.mkdir(parents=True, exist_ok=True)
    done = [pd.read_csv(output)] if output.is_file() else []
    table = pd.concat([*done, pd.DataFrame(records)], ignore_index=True)
    table.to_csv(output, index=False, float_format="%.6g")


def run(arguments: argparse.Namespace) -> None:
    """Run what the output file lacks."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.simplefilter("ignore")
    part, parts = (int(number) for number in arguments.part.split("/"))
    catalog = {source.task_id: source for source in read_catalog(arguments.directory)}
    names = [name for name in TABLES.read_text().split() if name in catalog] or list(catalog)
    names = names[arguments.skip : arguments.skip + arguments.tasks]
    names = [name for name in names if catalog[name].n_rows <= arguments.max_rows]
    wanted = [METHODS[name] for name in arguments.methods.split(",")]
    for start in range(0, len(names), N_LEFT_OUT_TOGETHER):
        together = [catalog[name] for name in names[start : start + N_LEFT_OUT_TOGETHER]]
        methods: dict[str, Method] = {}
        for source in together[part::parts]:
            done = _done(arguments.output, source.task_id)
            missing = [name for name in wanted if name not in done]
            if not missing:
                continue
            # Only now, as training takes minutes.
            methods = methods or make_methods({s.properties["family"] for s in together}, wanted, arguments)
            records = run_task(source, {name: methods[name] for name in missing}, arguments.seed)
            _append(records, arguments.output)
            print(f"{source.task_id}: done", flush=True)


def main() -> None:
    """Run the comparison on tasks that the meta-model has not seen."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--directory")
    parser.add_argument("--methods", default="tpe,portfolio,autometa")
    parser.add_argument("--tasks", type=int, default=40)
    parser.add_argument("--skip", type=int, default=0, help="tables of the list to pass over")
    parser.add_argument("--max-rows", type=float, default=np.inf, help="leave out larger tables of these")
    parser.add_argument("--trials", type=int, default=25, help="of autometa, and of the portfolio with TPE")
    parser.add_argument("--tpe-trials", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--part", default="0/1", help="i/n: every n-th task from the i-th on")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/search.csv"))
    parser.add_argument("--report", type=Path, nargs="*", help="only print what is in these files")
    parser.add_argument("--replay", action="store_true", help="recorded runs in place of fits")
    parser.add_argument("--metabase", help="of the replay (default: the bundled one)")
    parser.add_argument("--plot", type=Path, help="with --report, an SVG file of the curves")
    arguments = parser.parse_args()
    if arguments.replay:
        replay(arguments.metabase)
        return
    if arguments.report is not None:
        files = arguments.report or [arguments.output]
        found = pd.concat([pd.read_csv(file) for file in files], ignore_index=True)
        print(report(found))
        if arguments.plot:
            draw([regret_panel(regrets(found))], arguments.plot)
        return
    run(arguments)
    print(report(pd.read_csv(arguments.output)))


if __name__ == "__main__":
    main()
