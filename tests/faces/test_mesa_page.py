"""The page of `simlab mesa` in a real Chromium: price, book and P&L, stepped, played, changed, and ended."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import pytest

from simlab.analysis.report.browser import find_chromium
from simlab.errors import AnalysisError
from simlab.faces.mesa import MarketModel
from simlab.faces.mesa.history import MOST_POINTS, History

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")

WAIT_S = 120
SHOWN = """
const done = arguments[arguments.length - 1];
const charts = [...document.images].filter(it => it.src.startsWith('blob:'));
Promise.all(charts.map(it => fetch(it.src).then(got => got.text()).catch(() => '')))
  .then(texts => done(document.body.innerText + texts.join()));
"""
COMMAND = [sys.executable, "-m", "simlab.cli", "mesa", "configs/two_shares.yaml", "--no-browser"]


@contextmanager
def served(*options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the command; yield the process and the address that it prints."""
    with subprocess.Popen([*COMMAND, *options], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.match(r"page  (http://127\.0\.0\.1:\d+)$", line)
            assert found, line
            yield process, found[1]
        finally:
            process.kill()


@contextmanager
def browser() -> Iterator[webdriver.Chrome]:
    """Return a headless browser that keeps what the console says and what the network does."""
    try:
        chromium = find_chromium()
    except AnalysisError as error:
        pytest.skip(str(error))
    driver = shutil.which("chromedriver")
    if driver is None:
        pytest.skip("chromedriver is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = str(chromium)
    for argument in ("--headless=new", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        options.add_argument("--no-sandbox")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    running = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        yield running
    finally:
        running.quit()


def until(driver: webdriver.Chrome, pattern: str) -> re.Match[str]:
    """Return where the page's text, that of its charts included, matches; fail when it never does."""
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        text = driver.execute_async_script(SHOWN)
        if found := re.search(pattern, text):
            return found
        time.sleep(0.2)
    raise AssertionError(f"the page never showed {pattern!r}")


def press(driver: webdriver.Chrome, label: str) -> None:
    for button in driver.find_elements("tag name", "button"):
        if button.text == label:
            button.click()
            return
    raise AssertionError(f"there is no button {label!r}")


@pytest.mark.slow
def test_a_person_steps_plays_and_ends_the_market() -> None:
    with served("--steps", "600") as (process, address), browser() as driver:
        driver.set_window_size(1500, 1300)
        driver.get(address)
        for chart in (r"<!-- Mean P\S*L of an agent -->", "<!-- ACME: mid 10,000.0 -->", "<!-- Book: nobody"):
            until(driver, chart)
        until(driver, r"Step: 0\b")
        press(driver, "STEP")
        until(driver, r"Step: 51\b")
        until(driver, r"<!-- Book: \d+ at [\d,]+ \| \d+ at")
        press(driver, "▶")
        until(driver, r"Step: 600\b")
        press(driver, "RESET")
        until(driver, r"Step: 0\b")
        said = [it for it in driver.get_log("browser") if it["level"] == "SEVERE"]
        assert said == []
        asked = [json.loads(it["message"])["message"] for it in driver.get_log("performance")]
        urls = {it["params"]["request"]["url"] for it in asked if it["method"] == "Network.requestWillBeSent"}
        assert {it for it in urls if not it.startswith((f"{address}/", "data:", "blob:"))} == set()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0


@pytest.mark.slow
def test_a_narrow_screen_has_the_charts_below_the_controls() -> None:
    with served() as (_, address), browser() as driver:
        narrow = {"width": 390, "height": 1800, "deviceScaleFactor": 1, "mobile": True}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", narrow)
        driver.get(address)
        until(driver, r"<!-- Mean P\S*L of an agent -->")
        controls, *charts = driver.execute_script(
            "return [...document.querySelectorAll('.v-navigation-drawer, .vue-grid-item')].map(it => {"
            " const box = it.getBoundingClientRect(); return [box.left, box.right, box.top, box.bottom]; })"
        )
        charts = [it for it in charts if it[1] > it[0]]  # one of no size is what is dragged
        assert len(charts) == 4  # the choice of an instrument is the first
        for (_, _, _, above), (left, right, top, _) in pairwise([controls, *charts]):
            assert top >= above - 1
            assert (left >= 0, right <= 400, right - left > 350) == (True, True, True)
        assert driver.execute_script("return document.documentElement.scrollWidth") <= 390


@pytest.mark.slow
def test_only_this_machine_and_this_page_are_answered() -> None:
    with served() as (_, address):
        assert urllib.request.urlopen(address).status == 200
        for name, value in (("Host", "evil.example"), ("Origin", "http://evil.example")):
            with pytest.raises(urllib.error.HTTPError, match="403"):
                urllib.request.urlopen(urllib.request.Request(address, headers={name: value}))


@pytest.mark.slow
def test_a_port_that_is_taken_is_an_error_with_a_remedy() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = subprocess.run([*COMMAND, "--port", port], capture_output=True, text=True)
    assert done.returncode == 2
    assert f"nothing can listen at 127.0.0.1:{port}" in done.stderr
    assert "give another --port" in done.stderr


def test_what_a_page_remembers_is_bounded() -> None:
    model = MarketModel({"steps": 9 * MOST_POINTS, "instruments": {"ACME": {"initial_price": 100}}})
    history = History(model)
    while model.running:
        model.step()
        history.add(model)
    assert MOST_POINTS <= len(history.steps) < 2 * MOST_POINTS
    assert len(history.mids["ACME"]) == len(history.steps)
    assert {b - a for a, b in zip(history.steps, history.steps[1:], strict=False)} == {8}
