"""The page in a real Chromium, before a real market of processes: engine, gateway, dashboard and agents."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from page import NARROW, WIDE, Page
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys
from whole_market import WholeMarket, until

EVIL = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
CONTROLS = {
    "pause",
    "kill",
    "speed",
    "symbol",
    "marks",
    "interval",
    "filter",
    "ACME",
    "quantity",
    "price",
    "send",
    "leave",
    "agents-population",
    "agents-filter",
    "agents-view",
    "new-agent",
    "headline",
    "sentiment",
    "Publish",
}


def _agent(market: WholeMarket, name: str) -> Any:
    """Return the agent of a name, None where there is none."""
    return next((it for it in market.get("/api/agents") if it["name"] == name), None)


def _open_orders(market: WholeMarket, agent_id: str) -> int:
    """Return how many orders of an agent rest."""
    ended = ("filled", "fill", "cancelled", "expired", "rejected")
    return sum(it["status"] not in ended for it in market.get(f"/api/agents/{agent_id}/orders"))


def test_the_first_paint_is_history(page: Page, market: WholeMarket) -> None:
    """Candles, tape and book are there although no trade is waited for: the market stands still."""
    market.post("/api/market/pause")
    try:
        page.open(market.page)
        page.until("/[1-9]\\d* of \\d+ s/.test(document.getElementById('candles').ariaLabel)")
        page.until("document.querySelectorAll('#tape tr').length > 5")
        page.until("document.querySelectorAll('#bids button:not([hidden])').length > 2")
        page.shows("#halted", "Paused")
    finally:
        market.post("/api/market/resume")


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_the_page_is_whole_quiet_and_asks_nobody_else(
    page: Page, market: WholeMarket, width: int, scheme: str, tmp_path: Path
) -> None:
    page.open(market.page, width, scheme)
    page.join("Ada")
    for chart, label in [
        ("depth", r"^Depth of ACME: to buy \d+"),
        ("spread", r"^Spread of ACME: \d"),
        ("volatility", r"^Volatility of ACME: \d"),
        ("candles", r"^Candles of ACME: \d+"),
    ]:
        page.run("document.getElementById(arguments[0]).scrollIntoView({block: 'center'})", chart)
        page.until(
            "new RegExp(arguments[1]).test(document.getElementById(arguments[0]).ariaLabel)", chart, label
        )
    page.until("document.getElementById('orders-rate').textContent.length > 1")
    assert page.fits()
    assert page.complaints() == []
    events = [json.loads(it["message"])["message"] for it in page.driver.get_log("performance")]
    asked = [it["params"]["request"]["url"] for it in events if it["method"] == "Network.requestWillBeSent"]
    assert asked
    assert [url for url in asked if not url.startswith((f"http://{market.page}/", "data:", "about:"))] == []
    folder = os.environ.get("PICTURES")
    page.picture((Path(folder) if folder else tmp_path) / f"page-{width}-{scheme}.png")


def test_an_order_is_confirmed_entered_filled_and_cancelled(page: Page, market: WholeMarket) -> None:
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
    assert _open_orders(market, me["agent_id"]) == 1
    page.click("#orders button:not([hidden])")
    page.shows("#orders", "cancelled")
    assert _open_orders(market, me["agent_id"]) == 0


def test_an_order_that_is_not_confirmed_is_not_sent(page: Page, market: WholeMarket) -> None:
    page.open(market.page)
    page.join("Barbara")
    page.fill("#ticket", quantity="5", price="1.00")
    page.click("#send")
    page.until("document.getElementById('confirm').open")
    page.click("#confirm button[value='']")
    page.until("!document.getElementById('confirm').open")
    assert market.get(f"/api/agents/{_agent(market, 'Barbara')['agent_id']}/orders") == []
    assert page.run("return document.querySelectorAll('#orders tr').length") == 0


def test_what_the_market_refuses_is_told(page: Page, market: WholeMarket) -> None:
    page.open(market.page)
    page.join("Edsger")
    page.run("document.getElementById('ticket').noValidate = true")
    page.order("buy", 5, 0.0)
    page.until("document.querySelector('.notice.bad')?.innerText.includes('Refused')")


def test_news_is_posted_and_shown_as_text(page: Page, market: WholeMarket) -> None:
    page.open(market.page)
    page.until("document.documentElement.dataset.connection === 'open'")
    page.fill("#publish", headline=EVIL, content="More <b>below</b>.")
    page.click("#publish button")
    page.shows("#news .headline", EVIL)
    assert market.get("/api/news")[-1]["headline"] == EVIL
    market.post("/api/agents", name=EVIL[:100], personality="<i>x</i>", starting_capital=1000.0)
    page.find_agents(EVIL[:40])
    assert page.run("return document.querySelectorAll('main img, main script, main b, main i').length") == 0
    assert "owned" not in page.driver.title


def test_an_agent_is_created_trades_and_is_looked_at(page: Page, market: WholeMarket) -> None:
    page.open(market.page)
    page.until("document.documentElement.dataset.connection === 'open'")
    page.click("#new-agent")
    page.fill("#agent-form", name="Fortuna", personality="market maker", starting_capital="5000")
    page.click("#agent-form button.main")
    page.until("!document.getElementById('agent-dialog').open")
    page.find_agents("Fortuna")
    page.click_named("#agents button", "Fortuna")
    page.shows("#agent-name", "Fortuna")
    page.shows("#agent-orders", "ACME")  # the runner of agents let it trade
    page.shows("#agent-decisions", "personality/market_maker")
    assert page.text("#agent-note") == ""


def test_what_an_agent_decided_and_why_is_shown_as_text(page: Page, market: WholeMarket) -> None:
    page.open(market.page)
    page.find_agents("talkers/0")
    page.click_named("#agents button", "talkers/0")
    page.shows("#agent-decisions", "</b> is cheap")
    page.shows("#agent-decisions", "buy 1 at")
    page.shows("#agent-trades", "ACME")
    page.shows("#agent-positions", "ACME")
    assert page.run("return document.querySelectorAll('dialog b').length") == 0


def test_agents_are_sorted_and_filtered(page: Page, market: WholeMarket) -> None:
    page.open(market.page)
    page.find_agents("talkers/")
    page.click("#agents-head [data-key=name]")
    names = "Array.from(document.querySelectorAll('#agents .name')).map((it) => it.innerText)"
    compare = "Array.from(arguments[0]).sort((a, b) => a.localeCompare(b))"
    up = page.run(f"return {names}")
    assert up == page.run(f"return {compare}", up)
    page.click("#agents-head [data-key=name]")
    assert page.run(f"return {names}") == up[::-1]
    assert page.run("return document.querySelector('#agents-head th').ariaSort") == "descending"
    field = page.driver.find_element("id", "agents-filter")
    field.clear()
    field.send_keys("TALKERS/1")
    page.until(f"{names}.join() === 'talkers/1'")


def test_agents_inside_the_market_are_there_and_looked_at(page: Page, market: WholeMarket) -> None:
    page.open(market.page)
    page.shows("#agents-count", " of ")
    shown, all_ = (int(it) for it in page.text("#agents-count").replace(",", "").split(" of "))
    assert shown == all_ >= 247  # of the configuration: 245 inside and two clients
    profits = "Array.from(document.querySelectorAll('#agents tr')).map((it) => it.children[2].innerText)"
    made = [float(it.replace(",", "")) for it in page.run(f"return {profits}")]
    assert len(made) > 10
    assert made == sorted(made, reverse=True)
    page.show_population("makers")
    names = "Array.from(document.querySelectorAll('#agents .name')).map((it) => it.innerText)"
    page.until(f"{names}.sort().join() === 'makers/0,makers/1,makers/2,makers/3,makers/4'")
    page.until("document.querySelector('#agents canvas').dataset.key.startsWith('3:')")  # it goes on
    page.click_named("#agents button", "makers/2")
    page.shows("#agent-kind", "makers: ")
    page.shows("#agent-orders", "resting")
    page.click("#agent [data-close]")
    holder = next(it for it in market.get("/api/agents") if it["population"] == "noise" and it["positions"])
    page.show_population("noise")
    page.find_agents(holder["name"])
    page.click_named("#agents button", holder["name"])
    page.shows("#agent-name", holder["name"])
    page.shows("#agent-positions", "ACME")
    page.shows("#agent-trades", "ACME")
    assert page.text("#agent-note") == ""
    page.click("#agent [data-close]")
    page.shows("#leaders", "/")


def test_a_long_list_of_agents_is_one_stop_of_the_tab_key(page: Page, market: WholeMarket) -> None:
    page.open(market.page)
    page.shows("#agents-count", " of ")
    page.show_population("noise")
    page.click("#agents-head [data-key=name]")
    page.until("document.querySelector('#agents .name')?.innerText === 'noise/0'")
    stops = "document.querySelectorAll('#agents button[tabindex=\"0\"]').length"
    assert page.run(f"return {stops}") == 1
    page.run("document.querySelector('#agents-head [data-key=cash]').focus()")

    def press(key: str) -> str:
        ActionChains(page.driver).send_keys(key).perform()
        return str(page.run("return document.activeElement.innerText"))

    assert press(Keys.TAB) == "noise/0"
    assert [press(Keys.ARROW_DOWN) for _ in range(30)] == [f"noise/{it}" for it in range(1, 31)]
    assert press(Keys.ARROW_UP) == "noise/29"
    assert press(Keys.END) == "noise/199"
    assert press(Keys.ARROW_DOWN) == "noise/199"
    assert page.run(f"return {stops}") == 1
    visible = """
        const [row, view] = [document.activeElement, document.getElementById('agents-view')].map(
          (it) => it.getBoundingClientRect());
        return row.top >= view.top && row.bottom <= view.bottom;
    """
    assert page.run(visible)
    assert press(Keys.HOME) == "noise/0"
    assert page.run(visible)
    press(Keys.ENTER)
    page.shows("#agent-name", "noise/0")
    page.click("#agent [data-close]")


def test_an_instrument_is_listed_and_chosen(page: Page, market: WholeMarket) -> None:
    page.open(market.page)
    page.until("document.documentElement.dataset.connection === 'open'")
    page.click("#new-instrument")
    page.fill("#instrument-form", ticker="no good", initial_price="50")
    page.click("#instrument-form button.main")
    page.until("document.querySelector('#instrument-form .problem').innerText.includes('ticker')")
    page.fill("#instrument-form", ticker="NEW1", initial_price="50")
    page.click("#instrument-form button.main")
    page.shows("#instruments", "NEW1")
    page.click_named("#instruments button", "NEW1")
    page.until("document.getElementById('candles').ariaLabel.includes('NEW1: no trades yet')")
    page.shows("#last", "50.00")


def test_the_market_is_paused_stepped_sped_up_and_killed(page: Page, market: WholeMarket) -> None:
    page.open(market.page)
    page.until("document.documentElement.dataset.connection === 'open'")
    page.until("Number(document.getElementById('step-now').innerText.replace(',', '')) > 0")
    page.click("#pause")
    page.shows("#pause", "Resume")
    assert market.get("/api/time")["paused"]
    step = market.get("/api/time")["step"]
    page.click("#step")
    until(lambda: market.get("/api/time")["step"] == step + 1, "a step")
    page.click("#pause")
    until(lambda: not market.get("/api/time")["paused"], "the market to go on")
    chosen = "it.value = '50'; it.dispatchEvent(new Event('change'))"  # at once: the page shows it anew
    page.run(f"const it = document.getElementById('speed'); {chosen}")
    until(lambda: market.get("/api/time")["steps_per_second"] == 50, "the pace")
    page.shows("#pause", "Pause")
    page.until("!document.getElementById('kill').disabled")
    page.click("#kill")
    page.shows("#halted", "kill switch")
    assert market.get("/api/time")["paused"]
    page.click("#go-on")
    page.until("document.getElementById('question').open")
    page.click("#question-yes")
    until(lambda: not market.get("/api/time")["paused"], "the market to go on")
    page.until("document.getElementById('halted').hidden")
    market.post("/api/market/speed", steps_per_second=20)


def test_everything_can_be_done_from_the_keyboard(page: Page, market: WholeMarket) -> None:
    """Every control has a name and can be reached; what is reached is seen; a dialog gives the focus back."""
    page.open(market.page)
    page.join("Tab")
    page.until("document.querySelectorAll('#bids button:not([hidden])').length > 2")
    market.post("/api/market/pause")  # so that a price is the same from one key to the next
    try:
        _go_round_by_keys(page)
    finally:
        market.post("/api/market/resume")


def _go_round_by_keys(page: Page) -> None:
    nameless = """
        const named = (it) => it.ariaLabel || it.labels?.length || it.innerText.trim() || it.title;
        return Array.from(document.querySelectorAll('button, input, select, a[href]')).filter((it) =>
          it.checkVisibility() && !it.closest('.hidden') && !named(it)).map((it) => it.outerHTML);
    """
    assert page.run(nameless) == []
    page.run("document.querySelector('.skip').focus()")
    reached: list[str] = []
    for _ in range(120):
        name = page.tab()
        if name is None:
            break
        reached.append(name)
        assert page.run("return getComputedStyle(document.activeElement).outlineStyle !== 'none'"
                        " || document.activeElement.type === 'radio'"), name  # fmt: skip
    assert CONTROLS - set(reached) == set(), reached
    ladder = page.driver.find_element("css selector", "#bids button:not([hidden])")
    ladder.send_keys(Keys.ARROW_DOWN)
    page.until("document.activeElement !== arguments[0]", ladder)
    first = page.run("return document.activeElement.dataset.price")
    page.driver.switch_to.active_element.send_keys(Keys.ENTER)
    assert float(page.run("return document.querySelector('#ticket [name=price]').value")) == float(first)
    page.driver.find_element("id", "send").send_keys(Keys.ENTER)
    page.until("document.getElementById('confirm').open")
    page.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    page.until("!document.getElementById('confirm').open && document.activeElement.id === 'send'")


@pytest.mark.slow
@pytest.mark.parametrize("part", ["gateway", "engine"])
def test_a_part_that_dies_is_told_and_the_page_recovers(page: Page, market: WholeMarket, part: str) -> None:
    """What rests, what is held and who one is are there again, with nothing done by hand."""
    name = f"Phoenix of the {part}"
    page.open(market.page)
    page.join(name)
    low = market.get("/api/instruments/1/rules")["tick_size"] * 8_000
    page.order("buy", 4, low)
    page.shows("#orders", "0 of 4")
    me = _agent(market, name)["agent_id"]
    os.kill(market.pid(part), signal.SIGKILL)
    if part == "gateway":
        page.until("document.documentElement.dataset.connection === 'waiting'")
        page.shows("#lost", "No connection")
        page.until("document.documentElement.dataset.connection === 'open'")
        page.until("document.getElementById('lost').hidden")
    else:
        page.until("document.getElementById('part-engine').dataset.status === 'other'")
        page.until("document.getElementById('part-engine').dataset.status === 'good'")
    page.shows("#orders", "0 of 4")
    page.order("buy", 2)
    page.shows("#orders", "2 of 2")
    again = _agent(market, name)
    assert again["agent_id"] == me
    assert [it["quantity"] for it in again["positions"].values()] == [2]
    assert _open_orders(market, me) == 1


def test_a_page_that_is_left_gives_its_agent_up_and_has_it_again_on_the_way_back(
    page: Page, market: WholeMarket
) -> None:
    def connected() -> list[bool]:
        return [it["connected"] for it in market.get("/api/agents") if it["name"] == "Odysseus"]

    page.open(market.page)
    page.join("Odysseus")
    assert connected() == [True]
    page.driver.get("about:blank")
    until(lambda: connected() == [False], "the page to let go")
    page.driver.back()
    until(lambda: connected() == [True], "the page to be back")


def test_waiting_grows_from_3_to_30_seconds(page: Page, market: WholeMarket) -> None:
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
        window.setTimeout = (run, ms) => (ms >= 3000 ? waits.push(ms / 1000) && 0 : timer(run, ms));
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
