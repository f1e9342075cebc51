"""Tables as people write them: autometa against skrub's default, LightGBM on codes and AutoGluon with ten seconds.

    python benchmarks/messy.py --directory DIR --metamodel DIR
    python benchmarks/messy.py --report --readme benchmarks/README.md

DIR holds catalog.csv (name, target, task_type, family) and NAME.csv.gz. At most 6,000 rows are trained on, at most
6,000 of the others are predicted, in one thread. Table by table, so that all methods share the machine's mood; what is
in the CSV of results is not run again. skrub and AutoGluon run in environments of their own, made where they are
missing. The meta-model is trained without the families of the tables, in the folder that ``--metamodel`` names, and
read within the clock.

The tables are split by family: on the development half encoders, rules and sizes were chosen, on the reporting half
nothing was.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from messy_methods import METHODS
from sklearn.metrics import log_loss, r2_score

SCRIPT = Path(__file__).with_name("messy_methods.py")
RESULTS = Path(__file__).with_name("results") / "messy.csv"
MAX_ROWS = 6000
TRAIN_SHARE = 0.7
LEAST_OF_CLASS = 10  # AutoGluon leaves rarer classes out
TIME_LIMIT = 300
HALVES = ("development", "reporting")
OURS = ("autometa first pick", "autometa ensemble of five", "autometa tune 10 s")
PEERS = ("skrub default", "LightGBM on codes", "AutoGluon 10 s")
ENVIRONMENTS = {
    "skrub": ("skrub", "pyarrow"),
    "autogluon": ("autogluon.tabular[lightgbm,catboost,xgboost]", "pyarrow"),
}
FACTS = ("seconds", "cpu_seconds", "preparing_seconds", "choice", "error")
TIMED = ("tune", "autogluon")  # their results depend on the time that they get
MARK = "<!-- messy.py {} -->"


def half_of(family: str) -> str:
    """Return the half to which a family belongs, by its hash."""
    return HALVES[hashlib.sha256(family.encode()).digest()[0] % 2]


def read_table(directory: Path, name: str, target: str) -> tuple[pd.DataFrame, pd.Series]:
    """Read a table as a user would."""
    frame = pd.read_csv(directory / f"{name}.csv.gz", low_memory=False)
    frame = frame[frame[target].notna()]
    return frame.drop(columns=target), frame[target]


def write_split(X: pd.DataFrame, y: pd.Series, kind: str, folder: Path) -> np.ndarray:
    """Write the training rows with their target and the held-out rows without; return the latter's target."""
    y = y.astype("float64") if kind == "regression" else y.astype("str")
    rows = np.random.default_rng(0).permutation(len(y))
    train, test = np.split(rows, [min(MAX_ROWS, int(TRAIN_SHARE * len(rows)))])
    if kind != "regression":
        counts = y.iloc[train].value_counts()
        kept = y.isin(counts.index[counts >= LEAST_OF_CLASS]).to_numpy()
        train, test = train[kept[train]], test[kept[test]]
    test = test[:MAX_ROWS]
    for part, chosen in (("train", train), ("test", test)):
        as_parquet(X).iloc[chosen].reset_index(drop=True).to_parquet(folder / f"{part}.parquet")
    np.save(folder / "y.npy", y.iloc[train].to_numpy(dtype=None if kind == "regression" else "U"))
    (folder / "kind.txt").write_text(kind)
    return np.asarray(y.iloc[test].to_numpy(dtype=None if kind == "regression" else "U"))


def as_parquet(X: pd.DataFrame) -> pd.DataFrame:
    """Spell out what Parquet cannot hold: columns of several types."""
    changed = {
        name: X[name].map(str, na_action="ignore").astype("str")
        for name in X.columns
        if X[name].dtype.kind == "O" and len({type(value) for value in X[name].dropna()}) > 1
    }
    return X.assign(**changed)


def score(prediction: np.ndarray, y: np.ndarray, kind: str, classes: list[str]) -> float:
    """Return R2 of numbers or the log-loss of classes."""
    if kind == "regression":
        return float(r2_score(y, prediction))
    prediction = np.clip(prediction, 1e-15, 1)
    return float(log_loss(y, prediction / prediction.sum(axis=1, keepdims=True), labels=classes))


def python_of(method: str, arguments: argparse.Namespace) -> Path:
    """Return the interpreter of a method; make the environment of a peer where it is missing."""
    if method not in ENVIRONMENTS:
        return Path(sys.executable)
    python: Path = (
        getattr(arguments, f"python_{method}") or arguments.environments / method / "bin" / "python"
    )
    if not python.exists():
        venv.create(python.parent.parent, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *ENVIRONMENTS[method]], check=True)
    return python


@contextlib.contextmanager
def held(lock: Path | None) -> Iterator[None]:
    """Hold a lock file, where there is one: for benchmarks that share a machine."""
    if lock is None:
        yield
        return
    with lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def run_method(method: str, python: Path, folder: Path, arguments: argparse.Namespace) -> None:
    """Run a method in a process of its own; what it leaves in the folder is its result."""
    core = ["taskset", "-c", str(arguments.core)] if arguments.core is not None else []
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            [*core, python, SCRIPT, method, folder, str(arguments.metamodel or "")],
            env=os.environ | threads,
            timeout=TIME_LIMIT,
            capture_output=True,
            text=True,
            check=False,
        )
        error = (done.stderr.strip().splitlines() or ["no result"])[-1]
    except subprocess.TimeoutExpired:
        error = f"not done in {TIME_LIMIT} s"
    for name in METHODS[method][1]:
        path = folder / f"{name}.json"
        if not path.exists():
            path.write_text(json.dumps({"seconds": np.nan, "cpu_seconds": np.nan, "error": error[:200]}))


def train_without(families: set[str], folder: Path) -> None:
    """Train a meta-model on the metadata base without some families, where there is none."""
    from autometa import MetaBase, MetaModel

    if (folder / "metamodel").is_dir():
        seen = families & set(MetaBase.load(folder).tasks["family"])
        if seen:
            sys.exit(f"The meta-model in {folder} has seen {min(seen)}. Name another folder.")
        return
    base = MetaBase.load()
    known = base.only(base.tasks.loc[~base.tasks["family"].isin(families), "task_id"])
    print(f"training on {len(known.tasks)} of {len(base.tasks)} tasks", flush=True)
    metamodel = MetaModel.fit(known)
    known.save(folder)
    metamodel.save(folder)


def run_all(arguments: argparse.Namespace) -> None:
    """Run every method asked for on every table that lacks it."""
    catalog = pd.read_csv(arguments.directory / "catalog.csv")
    catalog = catalog[catalog["family"].map(half_of).isin(arguments.halves)]
    if {"recommend", "tune"} & set(arguments.methods):
        train_without(set(catalog["family"]), arguments.metamodel)
    if arguments.tables:
        catalog = catalog[catalog["name"].isin(arguments.tables)]
    results = pd.read_csv(arguments.output) if arguments.output.is_file() else pd.DataFrame(columns=["table"])
    for number, entry in enumerate(catalog.itertuples(), start=1):
        done = set(results.loc[results["table"] == entry.name, "method"]) if len(results) else set()
        todo = [m for m in arguments.methods if not done >= set(METHODS[m][1])]
        if not todo:
            continue
        X, y = read_table(arguments.directory, entry.name, entry.target)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            truth = write_split(X, y, entry.task_type, folder)
            trained = np.load(folder / "y.npy")
            classes = [] if entry.task_type == "regression" else sorted(set(trained.tolist()))
            with held(arguments.lock if set(todo) & set(TIMED) else None):
                for method in todo:
                    run_method(method, python_of(method, arguments), folder, arguments)
            for method in todo:
                for answer in METHODS[method][1]:
                    report = json.loads((folder / f"{answer}.json").read_text())
                    value = np.nan
                    if "error" not in report:
                        value = score(np.load(folder / f"{answer}.npy"), truth, entry.task_type, classes)
                    row = {
                        "table": entry.name,
                        "family": entry.family,
                        "half": half_of(entry.family),
                        "kind": entry.task_type,
                        "n_train": len(trained),
                        "n_test": len(truth),
                        "n_columns": X.shape[1],
                        "metric": "r2" if entry.task_type == "regression" else "log_loss",
                        "method": answer,
                        "score": value,
                        **{key: report.get(key) for key in FACTS},
                    }
                    results = pd.concat([results, pd.DataFrame([row])], ignore_index=True)
                    shown = report.get("error", f"{value:.4f} in {report['seconds']:.1f} s")
                    print(f"{number}/{len(catalog)} {entry.name}: {answer}: {shown}", flush=True)
                arguments.output.parent.mkdir(parents=True, exist_ok=True)
                results.to_csv(arguments.output, index=False, float_format="%.6g")


def gains(results: pd.DataFrame) -> pd.DataFrame:
    """Return a row per table and a column per method, all to be maximised; a failure is the worst there is."""
    gain = results["score"].where(results["metric"] == "r2", -results["score"]).fillna(-np.inf)
    return results.assign(gain=gain).pivot_table(
        index="table", columns="method", values="gain", aggfunc="last"
    )


def shares(results: pd.DataFrame) -> pd.DataFrame:
    """Return on which share of the tables each of ours is better than each peer, ties half."""
    table = gains(results)
    rows = {}
    for ours in [name for name in OURS if name in table]:
        row = {}
        for peer in [name for name in PEERS if name in table]:
            both = table[[ours, peer]].dropna()
            better = (both[ours] > both[peer]) + 0.5 * (both[ours] == both[peer])
            row[f"better than {peer}"] = f"{better.mean():.0%} of {len(both)}"
        rows[ours] = row
    return pd.DataFrame(rows).T


def report(results: pd.DataFrame) -> str:
    """Return the tables of the README in Markdown."""
    parts = []
    for half in HALVES:
        chosen = results[results["half"] == half]
        if len(chosen):
            parts.append(f"{half.capitalize()} half, {chosen['table'].nunique()} tables:\n")
            parts.append(_markdown(shares(chosen), "") + "\n")
    each = results.groupby("method")
    facts = pd.DataFrame(
        {
            "median seconds": each["seconds"].median().map("{:.1f}".format),
            "mean seconds": each["seconds"].mean().map("{:.1f}".format),
            "mean CPU seconds": each["cpu_seconds"].mean().map("{:.1f}".format),
            "of reading and preparing": each["preparing_seconds"]
            .mean()
            .map("{:.2f}".format)
            .replace("nan", ""),
            "failures": each["error"].count(),
        }
    )
    order = [name for name in (*OURS, *PEERS) if name in facts.index]
    parts.append(_markdown(facts.loc[order], "all tables"))
    return "\n".join(parts)


def _markdown(table: pd.DataFrame, corner: str) -> str:
    lines = [
        "| " + " | ".join([corner, *map(str, table.columns)]) + " |",
        "| --- " * (table.shape[1] + 1) + "|",
    ]
    lines += ["| " + " | ".join([str(row.Index), *map(str, row[1:])]) + " |" for row in table.itertuples()]
    return "\n".join(lines) + "\n"


def write_report(text: str, readme: Path) -> None:
    """Replace what stands between the marks of a page."""
    page = readme.read_text()
    before, begin, rest = page.partition(MARK.format("begin"))
    _, end, after = rest.partition(MARK.format("end"))
    if not begin or not end:
        sys.exit(f"{readme} lacks the marks {MARK.format('begin')} and {MARK.format('end')}.")
    readme.write_text(f"{before}{begin}\n{text}{end}{after}")


def main() -> None:
    """Run or report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--directory", type=Path, help="folder of the tables")
    parser.add_argument("--output", type=Path, default=RESULTS, help="CSV of the results")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--halves", nargs="+", choices=HALVES, default=list(HALVES))
    parser.add_argument("--tables", nargs="+", help="only these")
    parser.add_argument("--python-skrub", type=Path, help="interpreter of an environment with skrub")
    parser.add_argument("--python-autogluon", type=Path, help="interpreter of an environment with AutoGluon")
    parser.add_argument(
        "--environments", type=Path, default=Path(".environments"), help="where missing environments are made"
    )
    parser.add_argument(
        "--metamodel",
        type=Path,
        help="folder of the meta-model that knows no family; made if it is not there",
    )
    parser.add_argument("--core", type=int, help="run the methods on this core")
    parser.add_argument(
        "--lock", type=Path, help="file to lock, table by table, while methods run that are given seconds"
    )
    parser.add_argument("--report", action="store_true", help="print the tables of the results, run nothing")
    parser.add_argument("--readme", type=Path, help="write them into this page")
    arguments = parser.parse_args()
    if not arguments.report:
        if arguments.directory is None:
            parser.error("--directory is missing")
        if arguments.metamodel is None and {"recommend", "tune"} & set(arguments.methods):
            parser.error("--metamodel is missing")
        run_all(arguments)
    text = report(pd.read_csv(arguments.output))
    print(text)
    if arguments.readme:
        write_report(text, arguments.readme)


if __name__ == "__main__":
    main()
