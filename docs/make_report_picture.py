"""Take the picture of a report for the README: ``python docs/make_report_picture.py [PAGE.html]``.

Without a page, sixteen trials on ``examples/subscriptions.csv`` make one. Needs Chromium; writes
``docs/figures/report.png``.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PATH = ROOT / "docs" / "figures" / "report.png"
WIDTH, HEIGHT = 1240, 930


def make_page(path: Path) -> None:
    """Search and write the report: a number of trials, because the machine must not decide what the picture shows."""
    import pandas as pd

    import autometa
    from autometa.report.search import write_search

    data = pd.read_csv(ROOT / "examples" / "subscriptions.csv")
    result = autometa.tune(data.drop(columns="churned"), data["churned"], n_trials=16, random_state=0)
    write_search(result, path, title="Search on subscriptions.csv")


def photograph(page: Path) -> None:
    """Show the top of a page in Chromium, and keep the picture."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        sys.exit("Chromium is not installed.")
    options = ["--headless=new", "--no-sandbox", "--hide-scrollbars", f"--window-size={WIDTH},{HEIGHT}"]
    subprocess.run([browser, *options, f"--screenshot={PATH}", page.resolve().as_uri()], check=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        photograph(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            make_page(Path(folder) / "report.html")
            photograph(Path(folder) / "report.html")
