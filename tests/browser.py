"""A real browser for the tests and the figures of the report: what a page does wrong in Chromium."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")

# Text that is drawn, with the first opaque background under it; WCAG 2.2, 1.4.3: 4.5, or 3 for large letters.
CONTRAST = """
const light = (c) => { c = c / 255; return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
const parse = (text) => { const n = text.match(/[\\d.]+/g).map(Number); return n.length < 4 ? [...n, 1] : n; };
const mean = ([r, g, b]) => 0.2126 * light(r) + 0.7152 * light(g) + 0.0722 * light(b);
const poor = [];
for (const node of document.querySelectorAll("body *")) {
  const text = [...node.childNodes].filter((n) => n.nodeType === 3).map((n) => n.data.trim()).join("");
  const style = getComputedStyle(node);
  if (!text || style.visibility === "hidden" || !node.getClientRects().length) continue;
  if (node.closest("script, style")) continue;
  const ink = parse(node instanceof SVGElement ? style.fill : style.color);
  let at = node, ground = [0, 0, 0, 0];
  while (at && ground[3] < 1) {
    if (!(at instanceof SVGElement)) ground = parse(getComputedStyle(at).backgroundColor);
    at = at.parentElement;
  }
  const [a, b] = [mean(ink), mean(ground)].sort((x, y) => y - x), ratio = (a + 0.05) / (b + 0.05);
  const size = parseFloat(style.fontSize), bold = Number(style.fontWeight) >= 700;
  if (ratio < (size >= 24 || (bold && size >= 18.66) ? 3 : 4.5)) poor.push([ratio, text.slice(0, 40)]);
}
return poor;
"""


def open_browser() -> Any:
    """Start Chromium without a window; it keeps what it logs."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    driver.set_script_timeout(60)
    return driver


def show(browser, path: Path, width: int, scheme: str = "light") -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": features})
    browser.get(path.as_uri())


def find_faults(browser: Any, path: Path) -> dict[str, list[Any]]:
    """Show a page narrow and wide, light and dark, and return what is wrong with it.

    Returns
    -------
    dict of str to list
        console: messages; requests: addresses other than the page; contrast: faint texts; overflow: widths that the
        page does not fit into; charts: those that are not drawn.
    """
    browser.get_log("performance")
    browser.get_log("browser")
    faults: dict[str, list[Any]] = {
        name: [] for name in ("console", "requests", "contrast", "overflow", "charts")
    }
    for width in (400, 1400):
        for scheme in ("light", "dark"):
            show(browser, path, width, scheme)
            if browser.execute_script("return document.documentElement.scrollWidth") > width:
                faults["overflow"].append(width)
            faults["contrast"] += browser.execute_script(CONTRAST)
            heights = browser.execute_script(
                "return [...document.querySelectorAll('svg.chart')].filter((s) => s.getClientRects().length)"
                ".map((s) => s.getBBox().height)"
            )
            faults["charts"] += [height for height in heights if height <= 40] + ["too few"] * (
                len(heights) < 2
            )
    faults["console"] = browser.get_log("browser")
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = {m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"}
    faults["requests"] = sorted(asked - {path.as_uri(), "data:,"})
    return faults
