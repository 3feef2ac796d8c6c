"""Both engines pass the one public suite."""

from simlab.core.types import SelfTrade
from simlab.engine.compiled import CompiledOrderBook
from simlab.engine.conformance import OrderBookConformance
from simlab.engine.interface import OrderBook
from simlab.engine.reference import ReferenceOrderBook


class TestReferenceOrderBook(OrderBookConformance):
    def make_book(
        self, instruments: int = 1, *, accounts: int = 4, self_trade: SelfTrade = SelfTrade.OFF
    ) -> OrderBook:
        return ReferenceOrderBook(instruments, accounts=accounts, self_trade=self_trade)


class TestCompiledOrderBook(OrderBookConformance):
    def make_book(
        self, instruments: int = 1, *, accounts: int = 4, self_trade: SelfTrade = SelfTrade.OFF
    ) -> OrderBook:
        return CompiledOrderBook(instruments, accounts=accounts, self_trade=self_trade)
