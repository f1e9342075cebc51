"""The best model in the time given: autometa against AutoGluon, FLAML, mljar and LightGBM's default, on one core.

    python benchmarks/automl.py --datasets DIR --messy DIR --metamodel DIR --make-environments DIR
    python benchmarks/automl.py --datasets DIR --messy DIR --tools autogluon flaml --seconds 10 --part report
    python benchmarks/automl.py --report

DIR of ``--datasets`` holds a catalog.csv (name, task_type, target, family, n_rows) and Parquet files, that of
``--messy`` a catalog.csv and NAME.csv.gz. The tables are those of automl_tables.txt, drawn by automl_tables.py: one
of each family, a third of them (``develop``) to work on, the others (``report``) to report. Nothing may be chosen
on the latter.

Protocol. Two thirds of the rows and at most 10,000 train (40,000 of tables with 30,000 rows or more); of the others
at most 10,000 are held out. Classes with fewer than ten training rows are left out. Every tool is told the kind of
target and the metric: log-loss or R2, or what ``--metric`` asks for. A run is a process of its own in an
environment of the tool's own, bound to one core (``--core``), with one thread, an empty folder, and nothing but the
training rows and the columns of the held-out ones. The clock begins when the tool is called, its library imported
and the data in memory, and ends when it returns. With a limit of a second every tool has been called before in the
same process. What takes no limit (LightGBM's default, recommendations without a search) runs once, under 0 seconds.

autometa's meta-model is trained on the metadata base without the families of all the tables; it is made where
``--metamodel`` has none, and read within the clock. mljar runs in its mode "Compete", the one for the best scores.

Table by table, so that all tools share the machine's mood; the CPU seconds beside the seconds taken tell how much of
the core a tool got. What is in the results is not run again, unless with ``--again``: of two lines for the same run the
later counts. A failure counts as worse than any score.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import venv
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import psutil
from automl_report import ABLATIONS, markdown
from automl_tables import Entry, read_tables
from numpy.typing import NDArray
from sklearn.metrics import balanced_accuracy_score, log_loss, r2_score, roc_auc_score
from sklearn.model_selection import train_test_split

HERE: Final = Path(__file__).parent
RESULTS: Final = HERE / "results" / "automl.csv"
WORKER: Final = HERE / "automl_worker.py"
COLUMNS: Final = (
    "table",
    "source",
    "kind",
    "n_rows",
    "n_columns",
    "part",
    "tool",
    "seconds_asked",
    "metric",
    "score",
    "seconds_taken",
    "cpu_seconds",
    "predict_seconds",
    "peak_mb",
    "status",
)
KEYS: Final = ["table", "tool", "seconds_asked", "metric"]
PEERS: Final = ("autogluon", "autogluon-best", "flaml", "mljar")
UNTIMED: Final = ("lightgbm", "autometa:first-pick", "autometa:mean-of-five")
DEFAULT_TOOLS: Final = ("lightgbm", "autometa:first-pick", "autometa:mean-of-five", "autometa", *PEERS)
# AutoGluon's tabular part with all that it fits by default; ray, which it uses for many cores, is left out.
ENVIRONMENTS: Final = {
    "autogluon": ("autogluon.tabular[catboost,fastai,lightgbm,xgboost]", "pyarrow"),
    "flaml": ("flaml[automl]", "optuna<4", "pyarrow"),
    "mljar": ("mljar-supervised", "pyarrow"),
}
METRICS: Final = ("log_loss", "r2", "roc_auc", "balanced_accuracy")

TRAIN_SHARE: Final = 2 / 3
MAX_TRAIN_ROWS: Final = 10_000
MAX_TRAIN_ROWS_LARGE: Final = 40_000
LARGE: Final = 30_000  # rows of a table that trains on more
MAX_HELD_OUT_ROWS: Final = 10_000
LEAST_OF_CLASS: Final = 10  # AutoGluon leaves rarer classes out
LEAST_PROBABILITY: Final = 1e-7  # probabilities come in single precision
# After so many times its limit and so many seconds a tool is stopped.
PATIENCE: Final = (5, 900)
POLL_SECONDS: Final = 0.2


# --- tables ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Split:
    """A table as the tools get it.

    Attributes
    ----------
    entry : Entry
    X : DataFrame
        The training rows, then those held out.
    y_train, y_test : ndarray
        Numbers, or classes as 0, 1, 2, ...
    """

    entry: Entry
    X: pd.DataFrame
    y_train: NDArray[Any]
    y_test: NDArray[Any]

    @property
    def n_classes(self) -> int:
        """Classes that are trained on; 0 for regression."""
        return 0 if self.entry.kind == "regression" else len(np.unique(self.y_train))

    def write(self, folder: Path) -> None:
        """Write what a tool may see."""
        self.X.to_parquet(folder / "X.parquet")
        np.save(folder / "y.npy", self.y_train)

    def score(self, prediction: NDArray[Any], metric: str) -> float:
        """Return the score of predictions for the held-out rows in the metric's own unit."""
        if not np.isfinite(prediction).all() or len(prediction) != len(self.y_test):
            raise ValueError("predictions that are no numbers")
        if metric == "r2":
            return float(r2_score(self.y_test, prediction))
        if metric == "balanced_accuracy":
            return float(balanced_accuracy_score(self.y_test, prediction))
        p = prediction.astype("float64")
        if metric == "log_loss":
            p = np.clip(p, LEAST_PROBABILITY, None)
            return float(
                log_loss(self.y_test, p / p.sum(axis=1, keepdims=True), labels=range(self.n_classes))
            )
        present = [1] if self.n_classes == 2 else np.unique(self.y_test)
        return float(np.mean([roc_auc_score(self.y_test == c, p[:, c]) for c in present]))


def split(entry: Entry, directory: Path) -> Split:
    """Read a table and draw its training and held-out rows."""
    if entry.source == "messy":
        frame = pd.read_csv(directory / f"{entry.table}.csv.gz", low_memory=False)
    else:
        frame = pd.read_parquet(directory / f"{entry.table}.parquet")
    frame = frame[frame[entry.target].notna()]
    y = frame[entry.target].astype("float64" if entry.kind == "regression" else "str").reset_index(drop=True)
    X = _as_parquet(frame.drop(columns=entry.target).reset_index(drop=True))
    rows = np.arange(len(y))
    if entry.kind != "regression":
        rows = rows[y.map(y.value_counts()).to_numpy() >= LEAST_OF_CLASS]
    most = MAX_TRAIN_ROWS_LARGE if len(rows) >= LARGE else MAX_TRAIN_ROWS
    n_train = min(int(TRAIN_SHARE * len(rows)), most)
    train, test = train_test_split(
        rows,
        train_size=n_train,
        test_size=min(len(rows) - n_train, MAX_HELD_OUT_ROWS),
        random_state=0,
        stratify=None if entry.kind == "regression" else y[rows],
    )
    if entry.kind != "regression":
        counts = y[train].value_counts()
        train, test = (r[y[r].isin(counts.index[counts >= LEAST_OF_CLASS]).to_numpy()] for r in (train, test))
    target = y[np.r_[train, test]].to_numpy()
    if entry.kind != "regression":
        target = np.unique(target, return_inverse=True)[1]
    ordered = X.iloc[np.r_[train, test]].reset_index(drop=True)
    return Split(entry, ordered, target[: len(train)], target[len(train) :])


def _as_parquet(X: pd.DataFrame) -> pd.DataFrame:
    """Spell out what Parquet cannot hold: columns of several types."""
    changed = {
        name: column.map(str, na_action="ignore").astype("str")
        for name, column in X.select_dtypes("object").items()
        if len(set(map(type, column.dropna()))) > 1
    }
    return X.assign(**changed).rename(columns=str)


# --- runs -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """A run that is wanted: a tool, its limit, and the metric that it is told."""

    tool: str
    seconds: float
    metric: str


def run(data: Split, asked: Asked, python: Path, core: int, metamodel: Path | None) -> dict[str, Any]:
    """Let a tool work in a process of its own; return its line of the results."""
    with tempfile.TemporaryDirectory(prefix="automl-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        data.write(folder)
        job = {
            "tool": asked.tool,
            "seconds": asked.seconds,
            "kind": data.entry.kind,
            "metric": asked.metric,
            "classes": data.n_classes,
            "folder": str(folder / "tool"),
            "metamodel": str(metamodel or ""),
        }
        (folder / "job.json").write_text(json.dumps(job))
        limit = PATIENCE[0] * asked.seconds + PATIENCE[1]
        peak, end = _watch([str(python), str(WORKER), name], folder, core, limit)
        answer = folder / "result.json"
        found = json.loads(answer.read_text()) if answer.is_file() else {"error": end}
        score = np.nan
        if "error" not in found:
            try:
                score = data.score(np.load(folder / "prediction.npy"), asked.metric)
            except ValueError as error:
                found["error"] = str(error)
    return {
        "table": data.entry.table,
        "source": data.entry.source,
        "kind": data.entry.kind,
        "n_rows": len(data.y_train),
        "n_columns": data.X.shape[1],
        "part": data.entry.part,
        "tool": asked.tool,
        "seconds_asked": asked.seconds,
        "metric": asked.metric,
        "score": score,
        "seconds_taken": found.get("seconds_taken", np.nan),
        "cpu_seconds": found.get("cpu_seconds", np.nan),
        "predict_seconds": found.get("predict_seconds", np.nan),
        "peak_mb": peak,
        "status": " ".join(f"error: {found['error']}".split())[:200] if "error" in found else "ok",
    }


def _watch(command: list[str], folder: Path, core: int, limit: float) -> tuple[float, str]:
    """Run a command on one core; return the most memory in MB that it and its children held, and how it ended."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | threads
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            ["taskset", "-c", str(core), *command],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    peak, stop = 0.0, time.monotonic() + limit
    tree = psutil.Process(process.pid)
    try:
        while process.poll() is None and time.monotonic() < stop:
            peak = max(peak, memory_of(tree))
            time.sleep(POLL_SECONDS)
        late = process.poll() is None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if late:
        return peak, f"stopped after {limit:.0f} s"
    lines = (folder / "log").read_text(errors="replace").strip().splitlines()
    return peak, f"process ended with {process.returncode}: {lines[-1] if lines else ''}"


def memory_of(tree: psutil.Process, *, shared_once: bool = False) -> float:
    """Return the MB that a process and its children hold; what they share counts for each, or once on Linux."""
    total = 0
    with contextlib.suppress(psutil.NoSuchProcess):
        for process in (tree, *tree.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                total += process.memory_full_info().pss if shared_once else process.memory_info().rss
    return total / 1e6


class Results:
    """The CSV file: a line for each table, tool, limit and metric."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> pd.DataFrame:
        """Return all lines; of two for the same run, the later."""
        if not self._path.is_file():
            return pd.DataFrame(columns=list(COLUMNS))
        return pd.read_csv(self._path).drop_duplicates(KEYS, keep="last", ignore_index=True)

    def has(self, table: str, asked: Asked) -> bool:
        """Whether there is a line."""
        found = self.read()
        wanted = (table, asked.tool, asked.seconds, asked.metric)
        return bool((found[KEYS] == pd.Series(dict(zip(KEYS, wanted, strict=True)))).all(axis=1).any())

    def add(self, line: dict[str, Any]) -> None:
        """Append a line."""
        is_new = not self._path.is_file()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
            if is_new:
                writer.writeheader()
            rounded = {k: float(f"{v:.6g}") if isinstance(v, float) else v for k, v in line.items()}
            writer.writerow({k: "" if v != v else v for k, v in rounded.items()})


def runs_for(entry: Entry, arguments: argparse.Namespace) -> Iterator[Asked]:
    """Yield the runs asked for on a table."""
    metric = arguments.metric or ("r2" if entry.kind == "regression" else "log_loss")
    if (metric == "r2") != (entry.kind == "regression"):
        return
    for name in arguments.tools:
        tool, _, limit = name.partition("@")
        for seconds in [0.0] if tool in UNTIMED else [float(limit)] if limit else arguments.seconds:
            yield Asked(tool, seconds, metric)


def run_all(arguments: argparse.Namespace) -> None:
    """Make every run that is asked for and not there."""
    warnings.simplefilter("ignore")
    results = Results(arguments.output)
    entries = [e for e in read_tables() if e.part in arguments.part]
    if arguments.tables:
        entries = [e for e in entries if e.table in arguments.tables]
    directories = {"datasets": arguments.datasets, "messy": arguments.messy}
    entries = [e for e in entries if directories[e.source]][: arguments.first]
    pythons = find_pythons(arguments)
    if any(tool.startswith("autometa") for tool in arguments.tools):
        train_without_tables(arguments)
    for number, entry in enumerate(entries, start=1):
        todo = [a for a in runs_for(entry, arguments) if arguments.again or not results.has(entry.table, a)]
        if not todo:
            continue
        directory = directories[entry.source]
        data = split(entry.described(directory), directory)
        for asked in todo:
            python = pythons.get(asked.tool.partition("-")[0], Path(sys.executable))
            line = run(data, asked, python, arguments.core, arguments.metamodel)
            results.add(line)
            print(
                f"{number}/{len(entries)} {entry.table}: {asked.tool} {asked.seconds:g} s, {asked.metric} "
                f"{line['score']:.4g} in {line['seconds_taken']:.1f} s, {line['status']}",
                flush=True,
            )


def find_pythons(arguments: argparse.Namespace) -> dict[str, Path]:
    """Return the interpreters of the peers asked for; make their environments where that is asked for."""
    pythons = dict(pair.split("=", 1) for pair in arguments.python)
    found = {tool: Path(path) for tool, path in pythons.items()}
    asked = {name.partition("@")[0] for name in arguments.tools} & set(PEERS)
    for tool in {name.partition("-")[0] for name in asked} - set(found):
        if arguments.make_environments is None:
            sys.exit(f"Where is {tool}? Say --python {tool}=PATH or --make-environments DIR.")
        folder = arguments.make_environments / tool
        found[tool] = folder / "bin" / "python"
        if not found[tool].exists():
            venv.create(folder, with_pip=True)
            subprocess.run([found[tool], "-m", "pip", "install", "--quiet", *ENVIRONMENTS[tool]], check=True)
    return found


def train_without_tables(arguments: argparse.Namespace) -> None:
    """Train a meta-model on the metadata base without the families of all tables, where there is none."""
    from autometa import MetaBase, MetaModel

    if arguments.metamodel is None:
        sys.exit("Where is the meta-model that has not seen these tables, or is to be? Say --metamodel DIR.")
    families = {e.family for e in read_tables()}
    if (arguments.metamodel / "metamodel").is_dir():
        seen = families & set(MetaBase.load(arguments.metamodel).tasks["family"])
        if seen:
            sys.exit(f"The meta-model in {arguments.metamodel} has seen {min(seen)}. Name another folder.")
        return
    base = MetaBase.load(arguments.metabase)
    known = base.only(base.tasks.loc[~base.tasks["family"].isin(families), "task_id"])
    print(f"training on {len(known.tasks)} of {len(base.tasks)} tasks", flush=True)
    metamodel = MetaModel.fit(known)
    known.save(arguments.metamodel)
    metamodel.save(arguments.metamodel)


# --- command line ---------------------------------------------------------------------------------------------------


def tool_name(text: str) -> str:
    """Check the name of a tool, with or without a limit of its own."""
    tool, _, limit = text.partition("@")
    if tool not in (*DEFAULT_TOOLS, *ABLATIONS) or (limit and not float(limit) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join((*DEFAULT_TOOLS, *ABLATIONS))}")
    return text


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--report", action="store_true", help="run nothing, print tables made from the results")
    add("--datasets", type=Path, help="a catalog.csv and Parquet files")
    add("--messy", type=Path, help="a catalog.csv and NAME.csv.gz")
    add("--tools", nargs="+", default=list(DEFAULT_TOOLS), metavar="TOOL[@SECONDS]", type=tool_name,
        help=f"of {', '.join((*DEFAULT_TOOLS, *ABLATIONS))} (default: the first {len(DEFAULT_TOOLS)})")  # fmt: skip
    add("--seconds", nargs="+", type=float, default=[1.0, 10.0, 60.0], help="limits (default: 1 10 60)")
    add("--metric", choices=METRICS, help="by default log_loss or r2; others leave out what they do not fit")
    add(
        "--part",
        nargs="+",
        choices=("develop", "report"),
        help="of the tables (default: all; report: report)",
    )
    add("--tables", nargs="+", metavar="NAME", help="these alone")
    add("--first", type=int, help="only so many of the tables that are left")
    add("--core", type=int, default=0, help="which core the tools run on (default: %(default)s)")
    add(
        "--metamodel",
        type=Path,
        help="folder of the meta-model that has not seen the tables; made if it is not there",
    )
    add("--metabase", help="directory of a metadata base (default: the bundled one)")
    add(
        "--python", nargs="+", default=[], metavar="TOOL=PATH", help="interpreters of autogluon, flaml, mljar"
    )
    add("--make-environments", type=Path, metavar="DIR", help="make the environments that are missing in DIR")
    add("--again", action="store_true", help="run what is asked for even if the results have it")
    add("--output", type=Path, default=RESULTS, help="the results (default: %(default)s)")
    found = parser.parse_args(arguments)
    if not found.report and not (found.datasets or found.messy):
        parser.error("name --datasets, --messy or both, or --report")
    found.part = found.part or (["report"] if found.report else ["develop", "report"])
    return found


def main() -> None:
    """Run or report."""
    arguments = parse_arguments()
    # Ended from outside, leave no tool behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    if not arguments.report:
        run_all(arguments)
        return
    results = Results(arguments.output).read()
    print(markdown(results[results["part"].isin(arguments.part)]))


if __name__ == "__main__":
    main()
