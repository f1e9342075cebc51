"""When each result was measured, and with which state of the code: ``python benchmarks/made.py``.

Writes ``benchmarks/results/made.csv`` from the history: for every result the day of its last change and the commit
before it, which is the code that it was measured with. A result that is not committed yet is of today and of the
present commit.
``docs/make_comparisons.py`` does this first, where there is a history.
"""

from __future__ import annotations

import csv
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
MADE: Final = ROOT / "benchmarks" / "results" / "made.csv"
# Results that a page shows; the report of the training lies beside its base.
RESULTS: Final = (
    *("automl", "time_limit", "messy", "zero_shot", "search", "rbv2", "install", "report"),
    "../../metadata/report",
)


def git(*arguments: str) -> str:
    """Return what git says."""
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def update() -> None:
    """Write the file anew."""
    rows = []
    for name in RESULTS:
        path = (MADE.parent / f"{name}.csv").resolve().relative_to(ROOT).as_posix()
        if git("status", "--porcelain", "--", path):
            day, commit = datetime.now(UTC).date().isoformat(), git("rev-parse", "--short=7", "HEAD")
        else:
            last, day = git("log", "-1", "--format=%H %as", "--", path).split()
            commit = git("rev-parse", "--short=7", f"{last}^")
        rows.append((path, day, commit))
    with MADE.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows([("file", "measured", "commit"), *rows])


if __name__ == "__main__":
    update()
