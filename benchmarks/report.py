"""How long a report takes to be written, how large it is, and what a browser says of it, for ten shapes of searches.

    python benchmarks/report.py

Each is written in a process of its own, as the command line does it: the first chart starts the engine that draws. The
searches are made up (tests/report_cases.py), their tables, recommendations and the one pipeline that is fitted are not.
Writes ``benchmarks/results/report.csv``: wall and CPU seconds of writing alone, megabytes, charts; and what Chromium
says of the page, narrow and wide, light and dark: console messages, requests to other places, faint texts.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).parent
RESULTS: Final = HERE / "results" / "report.csv"
COLUMNS: Final = (
    "shape",
    "rows",
    "columns",
    "classes",
    "trials",
    "seconds",
    "cpu_seconds",
    "megabytes",
    "charts",
    "console_errors",
    "outside_requests",
    "contrast_failures",
)
LONG: Final = "a very long name that somebody once gave to the columns of a spreadsheet, "
# rows, further columns, classes (0: regression), trials, what stands before each name
SHAPES: Final[dict[str, tuple[int, int, int, int, str]]] = {
    "usual": (1_000, 8, 2, 40, ""),
    "5 trials": (1_000, 8, 2, 5, ""),
    "500 trials": (1_000, 8, 2, 500, ""),
    "5 classes": (1_000, 8, 5, 40, ""),
    "100 classes": (3_000, 8, 100, 40, ""),
    "3 columns": (1_000, 1, 2, 40, ""),
    "500 columns": (1_000, 498, 2, 40, ""),
    "regression": (1_000, 8, 0, 40, ""),
    "long names": (1_000, 8, 3, 40, LONG),
    "100,000 rows": (100_000, 8, 2, 40, ""),
}


def measure(shape: str) -> dict[str, Any]:
    """Write one page and return what it took, and what a browser says of it."""
    sys.path.insert(0, str(HERE.parent / "tests"))
    from browser import find_faults, open_browser
    from report_cases import make_search, make_task

    from autometa.experience import load_metamodel
    from autometa.pipelines import build_pipeline
    from autometa.recommendation import recommend_for_task
    from autometa.report.search import render_search
    from autometa.space import SearchSpace

    rows, columns, classes, trials, prefix = SHAPES[shape]
    task = make_task(rows, columns, classes, prefix=prefix)
    found = recommend_for_task(task, k=10)
    # A search has asked for these already, has fitted such pipelines, so that their libraries are loaded, and knows
    # what they cost: some seconds for five folds.
    _ = found.past_runs
    small = make_task(prefix=prefix)
    build_pipeline(SearchSpace.for_kind(small.kind)["lightgbm"].default_configuration(), small).fit(
        small.X, small.y
    )
    search = make_search(task, trials, n_members=10, recommendations=found)
    seconds = search.leaderboard["seconds"].clip(lower=5e-3 * max(classes, 1) * rows / 100)
    search = make_search(
        task,
        trials,
        n_members=10,
        recommendations=found,
        leaderboard=search.leaderboard.assign(seconds=seconds),
    )
    wall, cpu = time.perf_counter(), time.process_time()
    page = render_search(search, model=load_metamodel())
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    browser = open_browser()
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "page.html"
            path.write_text(page, encoding="utf-8")
            faults = find_faults(browser, path)
    finally:
        browser.quit()
    return {
        "shape": shape,
        "rows": rows,
        "columns": task.X.shape[1],
        "classes": classes,
        "trials": trials,
        "seconds": round(wall, 2),
        "cpu_seconds": round(cpu, 2),
        "megabytes": round(len(page.encode()) / 1e6, 3),
        "charts": page.count('class="chart'),
        "console_errors": len(faults["console"]),
        "outside_requests": len(faults["requests"]),
        "contrast_failures": len(faults["contrast"]),
    }


def main() -> None:
    """Measure each shape in a process of its own."""
    with RESULTS.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for shape in SHAPES:
            command = [sys.executable, __file__, shape]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            writer.writerow(json.loads(done.stdout))
            print(done.stdout.strip())


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure(sys.argv[1])))
    else:
        main()
