"""From nothing to a first answer, beside other tools: ``python benchmarks/install.py [--tools autometa flaml ...]``.

Each tool is installed into an environment of its own, without pip's cache, and then asked about
``examples/subscriptions.csv``: autometa for a recommendation and for a search of five seconds, the others for a model
within five seconds, the least that all of them take. Wall-clock and CPU seconds, megabytes on disk (an empty
environment left out) and installed distributions go to ``benchmarks/results/install.csv``; the rows of a tool are
replaced. ``--report`` prints the table, in CPU seconds: they hold on a busy machine too. Needs a package index.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "install.csv"
TABLE = ROOT / "examples" / "subscriptions.csv"
COLUMNS = [
    *("tool", "install_seconds", "install_cpu_seconds", "megabytes", "distributions"),
    *("answer_seconds", "answer_cpu_seconds"),
]
READ = (
    f"import pandas as pd; data = pd.read_csv({str(TABLE)!r})\n"
    "X, y = data.drop(columns='churned'), data['churned']\n"
)
TOOLS = {
    "autometa": (f"{ROOT}", "import sys; from autometa.cli import main; "
                 f"sys.exit(main(['recommend', {str(TABLE)!r}, '--target', 'churned']))"),
    "autometa, a search": ("", f"{READ}import autometa; autometa.tune(X, y, timeout=5).model.predict(X)"),
    "flaml": ("flaml[automl]", f"{READ}from flaml import AutoML; m = AutoML()\n"
              "m.fit(X, y, task='classification', time_budget=5, verbose=0); m.predict(X)"),
    "autogluon": ("autogluon.tabular[lightgbm,catboost,xgboost]",
                  f"{READ}from autogluon.tabular import TabularPredictor\n"
                  "TabularPredictor('churned', verbosity=0).fit(data, time_limit=5).predict(X)"),
    "mljar": ("mljar-supervised", f"{READ}from supervised import AutoML\n"
              "m = AutoML(total_time_limit=5, verbose=0); m.fit(X, y); m.predict(X)"),
}  # fmt: skip
NAMES = {
    "autometa": "**autometa**, a recommendation",
    "autometa, a search": "**autometa**, a search of 5 s",
    "flaml": "FLAML (`flaml[automl]`), 5 s",
    "autogluon": "AutoGluon (`autogluon.tabular[lightgbm,catboost,xgboost]`), 5 s",
    "mljar": "mljar (`mljar-supervised`), 5 s",
}


def timed(command: list[str], folder: Path) -> dict[str, float]:
    """Run a command, and return its wall-clock and CPU seconds."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = {**os.environ, "AUTOMETA_HOME": str(folder / "home"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{command[:4]} failed:\n{done.stderr[-2000:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall": time.perf_counter() - start, "cpu": cpu}


def megabytes(folder: Path) -> float:
    """Return what the files of a folder take on disk."""
    return sum(path.lstat().st_blocks * 512 for path in folder.rglob("*") if not path.is_dir()) / 1e6


def measure(tool: str, folder: Path) -> list[dict[str, object]]:
    """Install a tool, ask it, and return a row for each answer."""
    environment = folder / "environment"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    python, empty = str(environment / "bin" / "python"), megabytes(environment)
    install = timed(
        [
            python,
            "-m",
            "pip",
            "install",
            "-q",
            "--no-cache-dir",
            "--disable-pip-version-check",
            TOOLS[tool][0],
        ],
        folder,
    )
    listed = subprocess.run(
        [python, "-m", "pip", "list", "--format=json"], capture_output=True, text=True, check=True
    )
    row = {
        "install_seconds": install["wall"],
        "install_cpu_seconds": install["cpu"],
        "megabytes": megabytes(environment) - empty,
        "distributions": len(json.loads(listed.stdout)) - 1,  # all but pip
    }
    rows = []
    for answer in (name for name in TOOLS if name.split(",")[0] == tool):
        script = folder / "ask.py"
        # Workers of joblib and of torch import the script: what it does stands behind a guard.
        body = "\n".join(f"    {line}" for line in TOOLS[answer][1].splitlines())
        script.write_text(f"if __name__ == '__main__':\n{body}\n", encoding="utf-8")
        asked = timed([python, str(script)], folder)
        rows.append(
            {"tool": answer, **row, "answer_seconds": asked["wall"], "answer_cpu_seconds": asked["cpu"]}
        )
    return rows


def report() -> str:
    """Return the table of the results."""
    found = pd.read_csv(RESULTS).set_index("tool")
    lines = [
        "| lower is better | MB on disk | distributions | install, CPU s | first answer, CPU s |",
        "| --- | --- | --- | --- | --- |",
    ]
    for tool in (name for name in NAMES if name in found.index):
        row = found.loc[tool]
        lines.append(
            f"| {NAMES[tool]} | {row.megabytes:,.0f} | {row.distributions:.0f} | {row.install_cpu_seconds:.0f} "
            f"| {row.answer_cpu_seconds:.1f} |"
        )
    return "\n".join(lines)


def keep(rows: pd.DataFrame) -> None:
    """Put the rows of a tool in place of those that it has."""
    known = pd.read_csv(RESULTS) if RESULTS.exists() else pd.DataFrame(columns=COLUMNS)
    kept = known[~known["tool"].isin(rows["tool"])].to_dict("records")
    pd.DataFrame([*kept, *rows.to_dict("records")], columns=COLUMNS).round(2).to_csv(RESULTS, index=False)
    print(rows.round(1).to_string(index=False), flush=True)


def main() -> None:
    """Measure the tools that were asked for, or print what was measured."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    tools = [tool for tool, (requirement, _) in TOOLS.items() if requirement]
    parser.add_argument("--tools", nargs="+", choices=tools, default=tools)
    parser.add_argument("--report", action="store_true", help="print the table of what was measured")
    args = parser.parse_args()
    for tool in [] if args.report else args.tools:
        with tempfile.TemporaryDirectory() as folder:
            keep(pd.DataFrame(measure(tool, Path(folder))))
    if args.report:
        print(report())


if __name__ == "__main__":
    main()
