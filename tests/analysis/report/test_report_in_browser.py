"""The report in a real Chromium: every figure drawn, nothing logged or fetched, fits a telephone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import simlab
from simlab.analysis.report import screenshot, write_report
from simlab.analysis.report.browser import find_chromium, to_pdf
from simlab.errors import AnalysisError

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")

WIDE, NARROW, HEIGHT = 1440, 400, 900
WAIT_S = 90


def _chromium() -> str | None:
    try:
        return str(find_chromium())
    except AnalysisError:
        return None


pytestmark = pytest.mark.skipif(
    _chromium() is None or shutil.which("chromedriver") is None,
    reason="Chromium and chromedriver are not installed",
)


@pytest.fixture(scope="module")
def pages(
    day: simlab.Run,
    two_shares: simlab.Run,
    explained: simlab.Run,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Path]:
    """Return reports by name, written once."""
    folder = tmp_path_factory.mktemp("reports")
    return {
        "one": write_report(day, folder / "one.html"),
        "shares": write_report(two_shares, folder / "shares.html"),
        "several": write_report([day, two_shares], folder / "several.html"),
        "explained": write_report(explained, folder / "explained.html"),
    }


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    """Return a headless browser that keeps what the console says and what the network does."""
    options = webdriver.ChromeOptions()
    options.binary_location = str(_chromium())
    for argument in ("--headless=new", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        options.add_argument("--no-sandbox")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    driver = webdriver.Chrome(options=options, service=service)
    yield driver
    driver.quit()


def _open(browser: webdriver.Chrome, page: Path, width: int) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    for log in ("browser", "performance"):
        browser.get_log(log)  # what earlier pages left
    size = {"width": width, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": width == NARROW}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(page.as_uri())
    drawn = "return document.documentElement.dataset.figures === 'drawn'"
    WebDriverWait(browser, WAIT_S).until(lambda driver: driver.execute_script(drawn))


@pytest.mark.parametrize("width", [WIDE, NARROW])
@pytest.mark.parametrize("name", ["one", "shares", "several", "explained"])
def test_the_page_is_whole_and_quiet(
    browser: webdriver.Chrome, pages: dict[str, Path], name: str, width: int
) -> None:
    _open(browser, pages[name], width)
    assert browser.get_log("browser") == []
    scrolls = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert browser.execute_script(scrolls) == 0
    empty = """
        const plots = Array.from(document.querySelectorAll('.plot'));
        const drawn = (plot) => Array.from(plot.querySelectorAll('svg.main-svg')).some(function (svg) {
          const box = svg.getBoundingClientRect();
          return box.width > 100 && box.height > 100;
        }) && plot.querySelector('.trace, .hm, .boxes, .scatterlayer path, .bars path, image') !== null;
        return [plots.length, plots.filter((plot) => !drawn(plot)).map((plot) => plot.ariaLabel)];
    """
    count, undrawn = browser.execute_script(empty)
    assert count >= 3
    assert undrawn == []
    widths = "return Array.from(document.querySelectorAll('.plot')).map((plot) => plot.scrollWidth)"
    assert max(browser.execute_script(widths)) <= width


def test_every_section_has_a_heading_that_the_contents_lead_to(
    browser: webdriver.Chrome, pages: dict[str, Path]
) -> None:
    _open(browser, pages["one"], WIDE)
    linked = browser.execute_script(
        "return Array.from(document.querySelectorAll('nav a')).map((link) =>"
        " document.querySelector(link.getAttribute('href') + ' > h2').textContent)"
    )
    sections = browser.execute_script("return document.querySelectorAll('main > section').length")
    assert len(linked) == sections == 7
    assert "Stylised facts" in linked


@pytest.mark.parametrize("name", ["one", "several"])
def test_nothing_is_asked_of_the_network(
    browser: webdriver.Chrome, pages: dict[str, Path], name: str
) -> None:
    _open(browser, pages[name], WIDE)
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    ]
    assert asked[0] == pages[name].as_uri()
    assert [url for url in asked if url.split(":")[0] not in ("file", "data", "blob")] == []
    assert len([url for url in asked if url.startswith("file:")]) == 1


def test_figures_offer_nothing_that_sends_a_run_away(
    browser: webdriver.Chrome, pages: dict[str, Path]
) -> None:
    _open(browser, pages["one"], WIDE)
    titles = browser.execute_script(
        "return Array.from(document.querySelectorAll('.modebar-btn')).map((it) => it.dataset.title || '')"
    )
    assert titles
    assert not [title for title in titles if "cloud" in title.lower() or "share" in title.lower()]


def test_a_heading_sorts_its_table(browser: webdriver.Chrome, pages: dict[str, Path]) -> None:
    _open(browser, pages["one"], WIDE)
    ranks = """
        const table = document.querySelector('#leaderboard table');
        table.tHead.rows[0].cells[0].querySelector('button').click();
        return Array.from(table.tBodies[0].rows).map((row) => Number(row.cells[0].dataset.key));
    """
    descending = browser.execute_script(ranks)
    assert len(descending) == 20
    assert descending == sorted(descending, reverse=True)
    assert browser.execute_script(ranks) == sorted(descending)


def test_what_is_long_unfolds(browser: webdriver.Chrome, pages: dict[str, Path]) -> None:
    _open(browser, pages["explained"], NARROW)
    assert browser.title == "explained"  # which the markup in reasons would change
    row = """
        const fold = document.querySelector('#decisions details.fold');
        const before = fold.offsetHeight;
        fold.querySelector('summary').click();
        return [before, fold.offsetHeight, fold.textContent];
    """
    before, after, told = browser.execute_script(row)
    assert 0 < before < after
    assert "document.title = 'owned'" in told
    scrolls = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert browser.execute_script(scrolls) == 0


def test_markup_in_what_a_user_wrote_does_not_run(browser: webdriver.Chrome, tmp_path: Path) -> None:
    evil = (
        "</script><script>document.title = 'owned'</script><img src=x onerror=\"document.title = 'owned'\">"
    )
    headline = {"step": 20, "instrument": "ACME", "headline": evil, "sentiment": 1.0, "impact": 1}
    config = {
        "name": "calm",
        "description": evil,
        "steps": 50,
        "instruments": {"ACME": {"initial_price": 1_000}},
        "populations": {"makers": {"strategy": "market_maker", "activation": {"period": 1}}},
        "news": {"scheduled": [headline]},
    }
    run = simlab.run(config, out=tmp_path / "runs")
    _open(browser, write_report(run, tmp_path / "report.html"), WIDE)
    assert browser.title == "calm"
    assert browser.execute_script("return document.querySelectorAll('main img').length") == 0
    assert browser.get_log("browser") == []


@pytest.mark.slow
def test_the_report_prints_to_pdf(day: simlab.Run, tmp_path: Path) -> None:
    pdf = write_report(day, tmp_path / "report.pdf", format="pdf")
    content = pdf.read_bytes()
    assert content.startswith(b"%PDF-")
    assert 20_000 < len(content) < 8_000_000
    assert [file.name for file in tmp_path.iterdir()] == ["report.pdf"]
    if shutil.which("pdftotext"):
        text = subprocess.run(["pdftotext", str(pdf), "-"], capture_output=True, text=True, check=True).stdout
        for expected in ("Summary", "Price of ACME", "P&L (currency)", "Leaderboard", "event_log_hash"):
            assert expected in text
        assert "step_duration_s" in text  # the configuration is unfolded in print


def test_a_screenshot_has_the_size_asked_for(pages: dict[str, Path], tmp_path: Path) -> None:
    content = screenshot(pages["one"], tmp_path / "page.png", width=600, height=500).read_bytes()
    assert content.startswith(b"\x89PNG")
    assert int.from_bytes(content[16:20]) == 600
    assert int.from_bytes(content[20:24]) == 500


def test_a_page_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(AnalysisError, match=r"no page .*missing\.html"):
        to_pdf(tmp_path / "missing.html", tmp_path / "page.pdf")
