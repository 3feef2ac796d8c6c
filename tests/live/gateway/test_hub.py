"""What listeners are told of books, however they come and go, without sockets."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from simlab.live.gateway.events import BookState, InstrumentRow
from simlab.live.gateway.hub import Hub, Wish
from simlab.live.gateway.market import Market
from simlab.live.gateway.metrics import Ring
from simlab.live.messages import CHANNELS, Channel

LATER_S = 6.0


class Listener:
    """Whoever keeps the books by what it is told."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []

    def write(self, data: bytes) -> None:
        self.told += _messages(data)

    def bids(self, symbol: int) -> dict[float, int]:
        """Return the levels, as a client has them that trusts the numbers to join up."""
        levels, at = dict[float, int](), -1
        for message in self.told:
            data = message["data"]
            if message["type"] == "orderbooks" and str(symbol) in data:
                book = data[str(symbol)]
                levels, at = {it["price"]: it["quantity"] for it in book["bids"]}, book["sequence"]
            elif message["type"] == "depth" and data["symbol_id"] == symbol:
                assert data["first_sequence"] == at + 1
                at = data["last_sequence"]
                levels.update(dict(data["bids"]))
        return {price: quantity for price, quantity in levels.items() if quantity}


def _messages(data: bytes) -> Iterator[dict[str, Any]]:
    while data:
        short = data[1]
        size = {126: 2, 127: 8}.get(short, 0)
        length = int.from_bytes(data[2 : 2 + size]) if size else short
        yield json.loads(data[2 + size : 2 + size + length])
        data = data[2 + size + length :]


class Scene:
    """A hub over a market of one instrument, and a clock that is set by hand."""

    def __init__(self) -> None:
        self.market = Market()
        self.market.list_instrument(InstrumentRow(1, "ACME", 10_000))
        self.hub = Hub(self.market, 5, lambda after_s, call: None, Ring())
        self.now_s = time.monotonic()

    def comes(self, *channels: Channel, interval_ms: int = 1_000) -> Listener:
        listener, wish = Listener(), Wish(interval_ms, frozenset(channels))
        listener.write(self.hub.books(wish))
        self.hub.join(listener, wish)
        return listener

    def book(self, symbol: int, sequence: int, *bids: tuple[int, int, int]) -> None:
        self.market.take_book(BookState(symbol, sequence, list(bids), []))
        self.hub.book_changed(symbol)

    def passes(self, seconds: float) -> None:
        self.now_s += seconds
        self.hub.tick(self.now_s)
        self.hub.flush()


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_who_comes_in_the_midst_of_an_interval_has_the_same_book(scene: Scene) -> None:
    scene.book(1, 5, (100, 10, 1))
    first = scene.comes("depth")
    scene.passes(1)
    scene.book(1, 7, (100, 20, 2))
    second = scene.comes("depth")
    scene.book(1, 9, (100, 10, 1), (99, 4, 1))  # the level is again what the first was told last
    scene.passes(1)
    assert first.bids(1) == second.bids(1) == {1.0: 10, 0.99: 4}


def test_a_book_that_is_new_is_told_as_a_whole(scene: Scene) -> None:
    listener = scene.comes("depth")
    scene.market.list_instrument(InstrumentRow(2, "NEW", 500))
    scene.book(2, 11, (50, 1, 1))
    scene.passes(1)
    scene.book(2, 12, (50, 3, 2))
    scene.passes(1)
    assert listener.bids(2) == {0.5: 3}


@pytest.mark.parametrize("channels", [CHANNELS, ("orderbooks",), ("depth",)])
def test_books_are_told_again_though_nothing_happens(scene: Scene, channels: tuple[Channel, ...]) -> None:
    listener = scene.comes(*channels)
    for _ in range(3):
        before = len(listener.told)
        scene.passes(LATER_S)
        assert [it["data"].keys() for it in listener.told[before:] if it["type"] == "orderbooks"] == [{"1"}]
    quiet = scene.comes("trades")
    told = len(quiet.told)
    scene.passes(LATER_S)
    assert len(quiet.told) == told


def test_changes_stand_before_the_book_that_has_them(scene: Scene) -> None:
    listener = scene.comes("orderbooks", "depth")
    scene.book(1, 3, (100, 5, 1))
    scene.passes(1)
    assert [it["type"] for it in listener.told[1:]] == ["depth", "orderbooks"]
    assert listener.bids(1) == {1.0: 5}
