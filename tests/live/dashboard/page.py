"""A headless Chromium at the dashboard, and what a person does there."""

from __future__ import annotations

import base64
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from simlab.analysis.report.browser import find_chromium
from simlab.errors import AnalysisError

WIDE, NARROW, HEIGHT = 1280, 390, 900
WAIT_S = 60
SHOWN = """(selector, text) => {
  const it = document.querySelector(selector);
  it?.scrollIntoView({block: 'center'});
  return it?.innerText.includes(text);
}"""


@contextmanager
def browser(**traced: Any) -> Iterator[webdriver.Chrome]:
    """Run a browser that keeps what its console and its network say; the test is skipped where there is none.

    `traced` is what Chromium traces beside.
    """
    driver = shutil.which("chromedriver")
    try:
        chromium = find_chromium()
    except AnalysisError as error:
        pytest.skip(str(error))
    if driver is None:
        pytest.skip("chromedriver is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = str(chromium)
    for argument in ("--headless=new", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        options.add_argument("--no-sandbox")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    if traced:
        options.add_experimental_option("perfLoggingPrefs", traced)
    running = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        yield running
    finally:
        running.quit()


class Page:
    """A browser at the dashboard, and what a person does there."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def open(self, address: str, width: int = WIDE, scheme: str = "light") -> Page:
        """Come with an empty browser, as somebody who was never there."""
        self.driver.get("about:blank")
        size = {"width": width, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": width == NARROW}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        likes = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", likes)
        self.driver.execute_cdp_cmd(
            "Storage.clearDataForOrigin", {"origin": f"http://{address}", "storageTypes": "all"}
        )
        for log in ("browser", "performance"):
            self.driver.get_log(log)
        self.driver.get(f"http://{address}/")
        return self

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def until(self, what: str, *arguments: Any, also: Callable[[Any], Any] = bool) -> Any:
        """Wait until a script returns what `also` accepts."""
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end:
            try:
                value = self.run("return " + what, *arguments)
            except StaleElementReferenceException:
                continue
            if also(value):
                return value
            time.sleep(0.05)
        raise AssertionError(
            f"never came: {what} {arguments}; last {value!r}; notices: {self.text('#notices')!r}"
        )

    def text(self, selector: str) -> str:
        found: str = self.run("return document.querySelector(arguments[0]).innerText", selector)
        return found

    def shows(self, selector: str, text: str) -> None:
        """Scroll there, as only what can be seen is drawn, and wait until it says so."""
        self.until(f"({SHOWN})(...arguments)", selector, text)

    def click(self, selector: str) -> None:
        self.until("document.querySelector(arguments[0])?.checkVisibility()", selector)
        self.run("document.querySelector(arguments[0]).click()", selector)

    def click_named(self, selector: str, name: str) -> None:
        all_ = "Array.from(document.querySelectorAll(arguments[0]))"
        self.run(f"{all_}.find((it) => it.innerText === arguments[1]).click()", selector, name)

    def tab(self) -> str | None:
        """Press the Tab key and return what has the focus then: its id, name or text; None after the last."""
        before = self.driver.switch_to.active_element
        ActionChains(self.driver).send_keys(Keys.TAB).perform()
        self.until("document.activeElement !== arguments[0]", before)
        name: str | None = self.run(
            "const it = document.activeElement;"
            "return it === document.body ? null : it.id || it.name || it.innerText || it.outerHTML"
        )
        return name

    def fill(self, selector: str, **fields: str) -> None:
        """Type into the fields of a form."""
        for name, text in fields.items():
            field = self.driver.find_element("css selector", f"{selector} [name={name}]")
            self.run("arguments[0].value = ''", field)
            field.send_keys(text)

    def find_agents(self, name: str) -> None:
        """Filter the list of agents, which may be long, and wait until one is shown."""
        field = self.driver.find_element("id", "agents-filter")
        field.clear()
        field.send_keys(name)
        self.shows("#agents", name)

    def show_population(self, name: str) -> None:
        self.run(
            "const it = document.getElementById('agents-population'); it.value = arguments[0];"
            "it.dispatchEvent(new Event('change'))",
            name,
        )

    def choose(self, selector: str) -> None:
        self.run(
            "const it = document.querySelector(arguments[0]); it.checked = true;"
            "it.dispatchEvent(new Event('input', {bubbles: true}))",
            selector,
        )

    def join(self, name: str) -> None:
        self.until("document.documentElement.dataset.connection === 'open'")
        self.fill("#join", name=name)
        self.click("#join button")
        self.until("!document.getElementById('ticket').hidden")

    def order(self, side: str, quantity: int, price: float | None = None) -> None:
        """Fill in the ticket, send it, and confirm."""
        self.choose(f"#ticket [name=side][value={side}]")
        self.choose(f"#ticket [name=orderType][value={'MARKET' if price is None else 'LIMIT'}]")
        self.fill("#ticket", quantity=str(quantity), **({} if price is None else {"price": f"{price:.2f}"}))
        self.click("#send")
        self.until("document.getElementById('confirm').open")
        self.click("#confirm-yes")

    def fits(self) -> bool:
        """Whether nothing is wider than the window."""
        root = "document.documentElement"
        return bool(self.run(f"return {root}.scrollWidth <= {root}.clientWidth"))

    def complaints(self) -> list[str]:
        """Return what the console said that is a warning or worse."""
        return [
            it["message"] for it in self.driver.get_log("browser") if it["level"] in ("WARNING", "SEVERE")
        ]

    def picture(self, file: Path) -> None:
        """Keep a picture of the whole page."""
        width, height = self.run("return [innerWidth, document.documentElement.scrollHeight]")
        clip = {"x": 0, "y": 0, "scale": 1, "width": width, "height": height}
        asked = {"captureBeyondViewport": True, "clip": clip}
        shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", asked)
        file.write_bytes(base64.b64decode(shot["data"]))
