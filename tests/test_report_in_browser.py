"""The report in a real browser: no error, no request, contrast, sorting, copying, paper. Skipped without Chromium."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from browser import CHROMIUM, DRIVER, find_faults, open_browser, show
from report_cases import make_search, make_task

from autometa.experience import load_metamodel
from autometa.recommendation import recommend_for_task
from autometa.report.recommendations import render_recommendations
from autometa.report.search import render_search

pytestmark = pytest.mark.browser

LONG = "a very long name that somebody once gave to the columns of a spreadsheet, "
SEARCHES = {
    "5 trials": lambda: make_search(make_task(150, 3), 5, n_members=1),
    "500 trials": lambda: make_search(make_task(400, 6), 500, n_members=25),
    "100 classes": lambda: make_search(make_task(1500, 4, 100), 20),
    "3 columns": lambda: make_search(make_task(120, 1, 0), 12),
    "500 columns": lambda: make_search(make_task(150, 498), 12),
    "long names": lambda: make_search(make_task(200, 4, 3, prefix=LONG), 20),
    "markup": lambda: make_search(make_task(200, 4, 3, prefix='<img src=x onerror="alert(1)">'), 20),
    "regression": lambda: make_search(make_task(400, 4, 0), 40),
}


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("Chromium and its driver are not installed")
    driver = open_browser()
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> dict[str, Path]:
    """Write one page of each shape."""
    folder, model = tmp_path_factory.mktemp("pages"), load_metamodel()
    texts = {name: render_search(make()) for name, make in SEARCHES.items()}
    task = make_task(200, 4)
    found = recommend_for_task(task, k=5)
    texts["recommended"] = render_recommendations(found, model=model)
    texts["with a map"] = render_search(make_search(task, 20, recommendations=found), model=model)
    for name, text in texts.items():
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    return {name: folder / f"{name}.html" for name in texts}


@pytest.mark.parametrize("name", [*SEARCHES, "recommended", "with a map"])
def test_a_page_is_shown_without_errors_requests_or_faint_text(browser, pages, name):
    faults = find_faults(browser, pages[name])
    assert not any(faults.values()), faults


def test_a_click_and_a_key_sort_a_table(browser, pages):
    show(browser, pages["500 trials"], 1400)
    read = "return [...document.querySelectorAll('#leaderboard tbody tr')].map((r) => r.cells[{}].dataset.v)"
    button = browser.find_element("css selector", "#leaderboard th:nth-child(8) button")
    button.click()
    seconds = [float(v) for v in browser.execute_script(read.format(7))]
    assert seconds == sorted(seconds)
    button.send_keys("\ue007")
    assert (
        browser.find_element("css selector", "#leaderboard th[aria-sort]").get_attribute("aria-sort")
        == "descending"
    )
    seconds = [float(v) for v in browser.execute_script(read.format(7))]
    assert seconds == sorted(seconds, reverse=True)
    browser.find_element("css selector", "#leaderboard th:nth-child(5) button").click()
    scores = browser.execute_script(read.format(4))
    assert scores[-1] == ""  # trials without a score come last, whichever way
    assert len(scores) == 500


def test_the_code_is_copied(browser, pages):
    path = pages["markup"]
    browser.execute_cdp_cmd(
        "Browser.grantPermissions",
        {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]},
    )
    show(browser, path, 1400)
    browser.find_element("css selector", "button.copy").click()
    copied = browser.execute_async_script(
        "const done = arguments[0]; setTimeout(() => navigator.clipboard.readText().then(done, (e) => "
        "done(String(e))), 300);"
    )
    assert copied == browser.execute_script("return document.getElementById('script').textContent")
    assert "<b>not markup</b>" in copied


def test_every_control_is_reached_by_the_keyboard(browser, pages):
    show(browser, pages["5 trials"], 1400)
    unreachable = browser.execute_script(
        "return [...document.querySelectorAll('button, summary, .scroll, pre, a')].filter((n) => "
        "n.tabIndex < 0).length"
    )
    assert unreachable == 0
    assert browser.execute_script("return document.querySelectorAll('main section > h2').length") > 3


def test_paper_holds_everything(browser, pages):
    """Whatever is cut off or closed on the screen takes its whole height when it is printed."""
    show(browser, pages["500 trials"], 800)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": []})
    cut = browser.execute_script(
        "return [...document.querySelectorAll('.scroll, pre')].filter((n) => n.scrollHeight > "
        "n.clientHeight + 2).length"
    )
    assert cut == 0
    closed = browser.execute_script(
        "return [...document.querySelectorAll('details .scroll')].filter((n) => "
        "n.getBoundingClientRect().height < 20).length"
    )
    assert closed == 0
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
    pdf = base64.b64decode(browser.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})["data"])
    assert pdf.startswith(b"%PDF")
    assert pdf.count(b"/Type /Page\n") + pdf.count(b"/Type/Page") > 5
