"""The page in a real Chromium, before a real market: engine, gateway and dashboard as processes of their own."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from live_market import Market, market_of
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.keys import Keys

from simlab.analysis.report.browser import find_chromium
from simlab.errors import AnalysisError

WIDE, NARROW, HEIGHT = 1280, 390, 900
WAIT_S = 90
EVIL = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"


def _chromium() -> str | None:
    try:
        return str(find_chromium())
    except AnalysisError:
        return None


pytestmark = pytest.mark.skipif(
    _chromium() is None or shutil.which("chromedriver") is None,
    reason="Chromium and chromedriver are not installed",
)


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
        raise AssertionError(f"never came: {what}; last {value!r}; the page says {self.text('body')[:2000]}")

    def text(self, selector: str) -> str:
        found: str = self.run("return document.querySelector(arguments[0]).innerText", selector)
        return found

    def shows(self, selector: str, text: str) -> None:
        self.until("document.querySelector(arguments[0]).innerText.includes(arguments[1])", selector, text)

    def click(self, selector: str) -> None:
        self.until("document.querySelector(arguments[0])?.checkVisibility()", selector)
        self.run("document.querySelector(arguments[0]).click()", selector)

    def fill(self, selector: str, **fields: str) -> None:
        """Type into the fields of a form."""
        for name, text in fields.items():
            field = self.driver.find_element("css selector", f"{selector} [name={name}]")
            self.run("arguments[0].value = ''", field)
            field.send_keys(text)

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
        """Keep a picture of the whole page in the folder that the variable PICTURES names."""
        height = self.run("return document.documentElement.scrollHeight")
        whole = {"captureBeyondViewport": True, "clip": {"x": 0, "y": 0, "scale": 1, "height": height}}
        whole["clip"]["width"] = self.run("return innerWidth")  # type: ignore[index]
        shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", whole)
        file.write_bytes(__import__("base64").b64decode(shot["data"]))


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Market]:
    with market_of(tmp_path_factory.mktemp("market")) as it:
        yield it


@pytest.fixture(scope="module")
def driver() -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(_chromium())
    for argument in ("--headless=new", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        options.add_argument("--no-sandbox")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    yield browser
    browser.quit()


@pytest.fixture
def page(driver: webdriver.Chrome) -> Page:
    return Page(driver)


def test_the_first_paint_is_history(page: Page, market: Market) -> None:
    """Candles, tape and book are there although no trade is waited for: the market stands still."""
    market.post("/api/market/pause")
    try:
        page.open(market.page)
        page.until("/[1-9]\\d* of \\d+ s/.test(document.getElementById('candles').ariaLabel)")
        page.until("document.querySelectorAll('#tape tr').length > 5")
        page.until("document.querySelectorAll('#bids button:not(:disabled)').length > 2")
        page.shows("#halted", "Paused")
    finally:
        market.post("/api/market/resume")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_the_page_is_whole_quiet_and_asks_nobody_else(
    page: Page, market: Market, width: int, scheme: str, tmp_path: Path
) -> None:
    page.open(market.page, width, scheme)
    page.join("Ada")
    page.until("/^Depth of ACME: to buy \\d+/.test(document.getElementById('depth').ariaLabel)")
    page.until("/^Spread of ACME: \\d/.test(document.getElementById('spread').ariaLabel)")
    page.until("/^Volatility of ACME: \\d/.test(document.getElementById('volatility').ariaLabel)")
    page.until("document.getElementById('orders-rate').textContent.length > 1")
    assert page.fits()
    assert page.complaints() == []
    events = [json.loads(it["message"])["message"] for it in page.driver.get_log("performance")]
    asked = [it["params"]["request"]["url"] for it in events if it["method"] == "Network.requestWillBeSent"]
    assert asked
    assert [url for url in asked if not url.startswith((f"http://{market.page}/", "data:", "about:"))] == []
    folder = os.environ.get("PICTURES")
    page.picture((Path(folder) if folder else tmp_path) / f"page-{width}-{scheme}.png")


def test_an_order_is_confirmed_entered_filled_and_cancelled(page: Page, market: Market) -> None:
    page.open(market.page)
    page.join("Grace")
    page.order("buy", 7)
    page.shows("#orders", "7 of 7")
    page.until(
        "Array.from(document.querySelectorAll('.notice')).some((it) => /Bought 7 ACME/.test(it.innerText))"
    )
    page.shows("#positions", "ACME")
    me = next(it for it in market.get("/api/agents") if it["name"] == "Grace")
    assert [it["quantity"] for it in me["positions"].values()] == [7]
    low = market.get("/api/instruments/1/rules")["tick_size"] * 8_000
    page.order("buy", 3, low)
    page.shows("#orders", "0 of 3")
    assert market.open_orders(me["agent_id"]) == 1
    page.click("#orders button:not([hidden])")
    page.shows("#orders", "cancelled")
    assert market.open_orders(me["agent_id"]) == 0


def test_an_order_that_is_not_confirmed_is_not_sent(page: Page, market: Market) -> None:
    page.open(market.page)
    page.join("Barbara")
    before = market.get("/api/performance")["total_orders"]
    page.fill("#ticket", quantity="5", price="1.00")
    page.click("#send")
    page.until("document.getElementById('confirm').open")
    page.click("#confirm button[value='']")
    page.until("!document.getElementById('confirm').open")
    assert market.get("/api/performance")["total_orders"] == before
    assert page.run("return document.querySelectorAll('#orders tr').length") == 0


def test_what_the_market_refuses_is_told(page: Page, market: Market) -> None:
    page.open(market.page)
    page.join("Edsger")
    page.run("document.getElementById('ticket').noValidate = true")
    page.order("buy", 5, 0.0)
    page.until("document.querySelector('.notice.bad')?.innerText.includes('Refused')")


def test_news_is_posted_and_shown_as_text(page: Page, market: Market) -> None:
    page.open(market.page)
    page.until("document.documentElement.dataset.connection === 'open'")
    page.fill("#publish", headline=EVIL, content="More <b>below</b>.")
    page.click("#publish button")
    page.shows("#news .headline", EVIL)
    assert market.get("/api/news")[-1]["headline"] == EVIL
    market.post("/api/agents", {"name": EVIL[:100], "personality": "<i>x</i>", "starting_capital": 1000.0})
    page.shows("#agents", EVIL[:40])
    assert page.run("return document.querySelectorAll('main img, main script, main b, main i').length") == 0
    assert "owned" not in page.driver.title


def test_an_agent_is_created_and_looked_at(page: Page, market: Market) -> None:
    page.open(market.page)
    page.until("document.documentElement.dataset.connection === 'open'")
    page.click("#new-agent")
    page.fill("#agent-form", name="Fortuna", personality="a gambler", starting_capital="5000")
    page.click("#agent-form button.main")
    page.until("!document.getElementById('agent-dialog').open")
    page.shows("#agents", "Fortuna")
    assert "Fortuna" in [it["name"] for it in market.get("/api/agents")]
    page.run(
        "Array.from(document.querySelectorAll('#agents button')).find((it) => it.innerText === 'Fortuna').click()"
    )
    page.until("document.getElementById('agent').open")
    page.shows("#agent-name", "Fortuna")
    page.shows("#agent-cash", "5,000.00")
    page.until("document.getElementById('agent-note').innerText === ''")


def test_an_instrument_is_listed_and_chosen(page: Page, market: Market) -> None:
    page.open(market.page)
    page.until("document.documentElement.dataset.connection === 'open'")
    page.click("#new-instrument")
    page.fill("#instrument-form", ticker="no good", initial_price="50")
    page.click("#instrument-form button.main")
    page.until("document.querySelector('#instrument-form .problem').innerText.includes('ticker')")
    page.fill("#instrument-form", ticker="NEW1", initial_price="50")
    page.click("#instrument-form button.main")
    page.shows("#instruments", "NEW1")
    page.run(
        "Array.from(document.querySelectorAll('#instruments button')).find((it) => it.innerText === 'NEW1').click()"
    )
    page.until("document.getElementById('candles').ariaLabel.includes('NEW1: no trades yet')")
    page.shows("#last", "50.00")


def test_the_market_is_paused_stepped_sped_up_and_killed(page: Page, market: Market) -> None:
    page.open(market.page)
    page.until("document.documentElement.dataset.connection === 'open'")
    page.until("Number(document.getElementById('step-now').innerText.replace(',', '')) > 0")
    page.click("#pause")
    page.shows("#pause", "Resume")
    assert market.get("/api/time")["paused"]
    step = market.get("/api/time")["step"]
    page.click("#step")
    market.until(lambda: market.get("/api/time")["step"] == step + 1)
    page.click("#pause")
    market.until(lambda: not market.get("/api/time")["paused"])
    page.run("document.getElementById('speed').value = '50'")
    page.run("document.getElementById('speed').dispatchEvent(new Event('change'))")
    market.until(lambda: market.get("/api/time")["steps_per_second"] == 50)
    page.shows("#pause", "Pause")
    page.until("!document.getElementById('kill').disabled")
    page.click("#kill")
    page.shows("#halted", "kill switch")
    assert market.get("/api/time")["paused"]
    page.click("#go-on")
    page.until("document.getElementById('question').open")
    page.click("#question-yes")
    market.until(lambda: not market.get("/api/time")["paused"])
    page.until("document.getElementById('halted').hidden")
    market.post("/api/market/speed", {"steps_per_second": 20})


def test_everything_can_be_done_from_the_keyboard(page: Page, market: Market) -> None:
    """Every control has a name and can be reached; what is reached is seen; a dialog gives the focus back."""
    page.open(market.page)
    page.join("Tab")
    page.until("document.querySelectorAll('#bids button:not(:disabled)').length > 2")
    nameless = """
        const named = (it) => it.ariaLabel || it.labels?.length || it.innerText.trim() || it.title;
        return Array.from(document.querySelectorAll('button, input, select, a[href]')).filter((it) =>
          it.checkVisibility() && !it.closest('.hidden') && !named(it)).map((it) => it.outerHTML);
    """
    assert page.run(nameless) == []
    page.run("document.activeElement.blur()")
    reached = set()
    for _ in range(120):
        page.driver.switch_to.active_element.send_keys(Keys.TAB)
        name = page.run(
            "const it = document.activeElement; return it.id || it.name || it.innerText || it.tagName"
        )
        if name == "BODY":
            break
        reached.add(name)
        assert page.run("return getComputedStyle(document.activeElement).outlineStyle !== 'none'"
                        " || document.activeElement.type === 'radio'"), name  # fmt: skip
    assert {
        "pause",
        "kill",
        "symbol",
        "quantity",
        "send",
        "publish",
        "new-agent",
        "speed",
        "headline",
    } - reached == {"publish"}
    page.driver.find_element("css selector", "#bids button:not(:disabled)").send_keys(Keys.ARROW_DOWN)
    first = page.run("return document.activeElement.dataset.price")
    page.driver.switch_to.active_element.send_keys(Keys.ENTER)
    assert float(page.run("return document.querySelector('#ticket [name=price]').value")) == float(first)
    page.driver.find_element("id", "send").send_keys(Keys.ENTER)
    page.until("document.getElementById('confirm').open")
    page.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    page.until("!document.getElementById('confirm').open && document.activeElement.id === 'send'")


def test_a_dead_gateway_is_told_and_the_page_recovers(page: Page, market: Market) -> None:
    page.open(market.page)
    page.join("Phoenix")
    low = market.get("/api/instruments/1/rules")["tick_size"] * 8_000
    page.order("buy", 4, low)
    page.shows("#orders", "0 of 4")
    me = next(it for it in market.get("/api/agents") if it["name"] == "Phoenix")
    market.gateway.kill()
    page.until("document.documentElement.dataset.connection === 'waiting'")
    page.shows("#lost", "gateway")
    page.shows("#lost", "Next try in")
    assert httpx.get(f"http://{market.page}/api/news", trust_env=False).status_code == 502
    market.start_gateway()
    page.until("document.documentElement.dataset.connection === 'open'")
    page.until("document.getElementById('lost').hidden")
    page.shows("#orders", "0 of 4")
    page.order("buy", 2)
    page.shows("#orders", "2 of 2")
    again = [it for it in market.get("/api/agents") if it["name"] == "Phoenix"]
    assert [it["agent_id"] for it in again] == [me["agent_id"]]
    assert [it["quantity"] for it in again[0]["positions"].values()] == [2]


def test_waiting_grows_from_3_to_30_seconds(page: Page, market: Market) -> None:
    """The connection's own code, with time passed by hand."""
    page.open(market.page)
    waits = page.driver.execute_async_script(
        """
        const done = arguments[0];
        const {Connection} = await import('/static/js/connection.js');
        const waits = [];
        window.WebSocket = class { static OPEN = 1; readyState = 0; constructor() { window.made = this; } };
        const timer = window.setTimeout;
        const connection = new Connection();
        window.setTimeout = (run, ms) => { if (ms >= 3000) { waits.push(ms / 1000); return 0; } return timer(run, ms); };
        for (let round = 0; round < 6; round += 1) {
          connection.open();
          const socket = window.made;
          socket.readyState = 3;
          socket.onclose({reason: ''});
        }
        window.setTimeout = timer;
        done(waits);
        """
    )
    assert waits == [3, 6, 12, 24, 30, 30]
