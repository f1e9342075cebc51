"""Take the picture of a search in optuna-dashboard: ``python docs/make_dashboard_picture.py``.

Half a minute of ``autometa.tune`` fills a journal, which the dashboard shows as it is. Needs Chromium, chromedriver,
selenium and optuna-dashboard; writes ``docs/figures/dashboard.png``.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
PATH = ROOT / "docs" / "figures" / "dashboard.png"
PORT = 8127
SIZE = {"width": 1240, "height": 930, "deviceScaleFactor": 1, "mobile": False}


def search(storage: Path) -> None:
    """Search for half a minute."""
    import pandas as pd

    import autometa

    data = pd.read_csv(ROOT / "examples" / "subscriptions.csv")
    X, y = data.drop(columns="churned"), data["churned"]
    autometa.tune(X, y, timeout=30, random_state=0, storage=str(storage), study_name="subscriptions")


def photograph(storage: Path) -> None:
    """Show the first study of a storage, and keep the picture."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    command = [str(Path(sys.executable).parent / "optuna-dashboard"), "--port", str(PORT), str(storage)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        time.sleep(10)
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", SIZE)
        driver.get(f"http://127.0.0.1:{PORT}/dashboard/studies/0")
        time.sleep(20)
        driver.save_screenshot(str(PATH))
    finally:
        driver.quit()
        server.terminate()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        search(Path(folder) / "runs.journal")
        photograph(Path(folder) / "runs.journal")
