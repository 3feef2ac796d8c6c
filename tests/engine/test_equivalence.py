"""The compiled engine answers like the reference: every event, and the whole book after every command."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from numpy.typing import NDArray

from simlab.core.types import MAX_QUANTITY, MESSAGE_DTYPE, MessageKind, SelfTrade, Side, TimeInForce
from simlab.engine.compiled import CompiledOrderBook
from simlab.engine.compiled.tables import MANY_LEVELS
from simlab.engine.conformance.probing import HIGHEST_PRICE, LOWEST_PRICE, random_messages
from simlab.engine.reference import ReferenceOrderBook
from simlab.errors import EngineError

INSTRUMENTS, ACCOUNTS = 3, 3

close_prices = st.integers(97, 104)
prices = st.one_of(
    close_prices, close_prices, st.sampled_from([LOWEST_PRICE, LOWEST_PRICE + 1, -1, 0, HIGHEST_PRICE])
)
quantities = st.one_of(
    st.integers(1, 12), st.sampled_from([MAX_QUANTITY, 0, -1, MAX_QUANTITY + 1, LOWEST_PRICE])
)
order_ids = st.one_of(st.integers(1, 25), st.sampled_from([0, -1, HIGHEST_PRICE]))
accounts = st.one_of(st.integers(0, ACCOUNTS - 1), st.sampled_from([-1, ACCOUNTS, 2**32, LOWEST_PRICE]))
instruments = st.one_of(st.just(0), st.integers(-2, INSTRUMENTS))
sides = st.one_of(st.sampled_from([0, 1]), st.sampled_from([0, 1, 2, 255]))
times_in_force = st.sampled_from([0, 0, 0, 0, 1, 2, 3])
flags = st.sampled_from([0, 0, 0, 0, 0, 1, 255])
waits = st.one_of(st.just(None), st.integers(-2, 4))
"""Steps from now to the expiry; None for an order that does not expire."""
resting_order = st.tuples(
    st.integers(0, 1),
    st.integers(-1, 3),
    st.integers(1, 12),
    st.integers(0, ACCOUNTS - 1),
    st.one_of(st.none(), st.none(), st.integers(0, 3)),
)
"""Side, distance from the middle, quantity, account and wait of an order that mostly rests."""


def assert_same_events(one: NDArray[np.void], two: NDArray[np.void]) -> None:
    assert one.dtype == two.dtype
    assert one.tolist() == two.tolist()
    assert one.tobytes() == two.tobytes()


def view_of(book: Any) -> list[Any]:
    """Read everything a book tells about itself."""
    views: list[Any] = [book.state_hash(), book.resting_orders()]
    for instrument in range(book.instruments):
        views += [book.best_bid(instrument), book.best_ask(instrument), book.resting_orders(instrument)]
        views += [
            book.orders(instrument=instrument).tolist(),
            book.orders(Side.SELL, instrument=instrument).tolist(),
        ]
        views += [
            book.snapshot(side, depth=depth, instrument=instrument) for side in Side for depth in (None, 2)
        ]
    views += [book.orders_of(account) for account in range(book.accounts)]
    views += [book.queue_position(order_id) for order_id in (1, 7, 13, HIGHEST_PRICE)]
    return views


class TwoEngines(RuleBasedStateMachine):
    """Give both engines the same commands and compare."""

    @initialize(policy=st.sampled_from(SelfTrade))
    def make_books(self, policy: SelfTrade) -> None:
        self.reference = ReferenceOrderBook(INSTRUMENTS, accounts=ACCOUNTS, self_trade=policy)
        self.compiled = CompiledOrderBook(INSTRUMENTS, accounts=ACCOUNTS, self_trade=policy)
        self.step = 0
        self.next_id = 100

    def give(self, kind: int, wait: int | None = None, **fields: int) -> None:
        expiry = 0 if wait is None else self.step + wait
        expected = self.reference.apply(kind, expiry=expiry, **fields)
        assert_same_events(expected, self.compiled.apply(kind, expiry=expiry, **fields))

    @rule(
        kind=st.sampled_from([MessageKind.LIMIT] * 4 + [MessageKind.MARKET]),
        side=sides,
        price=prices,
        quantity=quantities,
        order_id=order_ids,
        account=accounts,
        instrument=instruments,
        time_in_force=times_in_force,
        post_only=flags,
        wait=waits,
    )
    def new_order(self, kind: int, wait: int | None, **fields: int) -> None:
        self.give(kind, wait, **fields)

    @rule(orders=st.lists(resting_order, min_size=1, max_size=6))
    def rest_several(self, orders: list[tuple[int, int, int, int, int | None]]) -> None:
        for side, distance, quantity, account, wait in orders:
            self.next_id += 1
            price = 100 - distance if side == Side.BUY else 101 + distance
            fields = {"side": side, "price": price, "quantity": quantity, "account": account}
            self.give(MessageKind.LIMIT, wait, order_id=self.next_id, **fields)

    @rule(
        side=st.integers(0, 1),
        account=st.integers(0, ACCOUNTS - 1),
        own_orders_count=st.booleans(),
        orders=st.integers(1, 4),
        extra=st.integers(-1, 1),
        kind=st.sampled_from([MessageKind.LIMIT, MessageKind.MARKET]),
    )
    def fill_or_kill_at_the_edge(
        self, side: int, account: int, own_orders_count: bool, orders: int, extra: int, kind: int
    ) -> None:
        """Ask for what the first resting orders hold, or one lot more or less."""
        met = self.reference.orders(1 - side)
        counted = met if own_orders_count else met[met["account"] != account]
        counted = counted[:orders]
        if len(counted):
            fields = {"side": side, "account": account, "time_in_force": TimeInForce.FOK, "order_id": 26}
            fields |= {"price": int(counted["price"][-1]), "quantity": int(counted["quantity"].sum()) + extra}
            self.give(kind, **fields)

    @rule(order_id=order_ids, account=accounts, instrument=instruments)
    def cancel(self, **fields: int) -> None:
        self.give(MessageKind.CANCEL, **fields)

    @rule(
        order_id=order_ids,
        account=accounts,
        price=prices,
        quantity=quantities,
        time_in_force=times_in_force,
        post_only=flags,
        wait=waits,
    )
    def replace(self, wait: int | None, **fields: int) -> None:
        self.give(MessageKind.REPLACE, wait, **fields)

    @rule(
        draw=st.randoms(use_true_random=False),
        new_price=st.one_of(st.none(), prices),
        more=st.integers(-4, 2),
        post_only=st.booleans(),
        wait=waits,
    )
    def replace_a_resting_order(
        self, draw: Any, new_price: int | None, more: int, post_only: bool, wait: int | None
    ) -> None:
        resting = [row for i in range(INSTRUMENTS) for row in self.reference.orders(instrument=i).tolist()]
        if resting:
            _, _, price, quantity, order_id, account, _, _ = draw.choice(resting)
            fields = {"order_id": order_id, "account": account, "post_only": int(post_only)}
            fields |= {"price": price if new_price is None else new_price, "quantity": quantity + more}
            self.give(MessageKind.REPLACE, wait, **fields)

    @rule(account=accounts, instrument=st.sampled_from([-1, 0, 0, 1, INSTRUMENTS, -2]))
    def cancel_all(self, **fields: int) -> None:
        self.give(MessageKind.CANCEL_ALL, **fields)

    @rule(kind=st.integers(5, 255), side=sides, order_id=order_ids, account=accounts, instrument=instruments)
    def unknown_kind(self, kind: int, **fields: int) -> None:
        self.give(kind, **fields)

    @rule(steps=st.integers(-1, 3))
    def advance(self, steps: int) -> None:
        if steps < 0 and self.step == 0:
            return
        if steps < 0:
            for book in (self.reference, self.compiled):
                with pytest.raises(EngineError, match="step"):
                    book.advance(self.step + steps)
            return
        self.step += steps
        assert_same_events(self.reference.advance(self.step), self.compiled.advance(self.step))

    @rule(instrument=st.integers(0, INSTRUMENTS - 1), policy=st.sampled_from(SelfTrade))
    def set_self_trade(self, instrument: int, policy: SelfTrade) -> None:
        for book in (self.reference, self.compiled):
            book.set_self_trade(instrument, policy)

    @rule(seed=st.integers(0, 10_000), count=st.integers(1, 40))
    def process_a_batch(self, seed: int, count: int) -> None:
        messages = random_messages(count, seed, instruments=INSTRUMENTS, accounts=ACCOUNTS)
        assert_same_events(self.reference.process(messages), self.compiled.process(messages))

    @invariant()
    def the_books_are_equal_and_sound(self) -> None:
        self.reference.check()
        self.compiled.check()
        assert view_of(self.compiled) == view_of(self.reference)


TwoEngines.TestCase.settings = settings(
    max_examples=80,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
TestTwoEngines = TwoEngines.TestCase


@pytest.mark.parametrize("policy", SelfTrade)
def test_long_random_streams_give_the_same_events(policy: SelfTrade) -> None:
    reference = ReferenceOrderBook(2, accounts=3, self_trade=policy)
    compiled = CompiledOrderBook(2, accounts=3, self_trade=policy)
    for seed in range(6):
        messages = random_messages(2000, seed)
        assert_same_events(reference.process(messages), compiled.process(messages))
        compiled.check()
        assert view_of(compiled) == view_of(reference)
        assert_same_events(reference.advance(seed), compiled.advance(seed))


def test_a_batch_equals_single_calls_across_engines() -> None:
    messages = random_messages(1500, seed=11)
    names = ["kind", "side", "price", "quantity", "order_id", "account", "instrument"]
    names += ["time_in_force", "post_only", "expiry"]
    reference, compiled = ReferenceOrderBook(2, accounts=3), CompiledOrderBook(2, accounts=3)
    batch = reference.process(messages)
    single = np.concatenate([compiled.apply(*call).copy() for call in messages[names].tolist()])
    assert_same_events(batch, single)
    assert reference.state_hash() == compiled.state_hash()


def test_deep_books_with_many_levels_stay_equal() -> None:
    rng = np.random.default_rng(12)
    messages = np.zeros(6000, MESSAGE_DTYPE)
    messages["kind"] = rng.choice([0, 0, 0, 2, 3], len(messages))
    messages["side"] = rng.integers(0, 2, len(messages))
    offsets = rng.integers(-10, 2**40, len(messages))
    messages["price"] = np.where(messages["side"] == 0, -offsets, offsets)
    messages["quantity"] = rng.integers(1, 50, len(messages))
    messages["order_id"] = rng.integers(1, 4000, len(messages))
    reference, compiled = ReferenceOrderBook(), CompiledOrderBook()
    assert_same_events(reference.process(messages), compiled.process(messages))
    assert len(compiled.snapshot(Side.SELL)) > 500
    compiled.check()
    assert view_of(compiled) == view_of(reference)


@pytest.mark.parametrize("tick", [1, 3, 50])
def test_large_books_stay_equal_whatever_their_messages(tick: int) -> None:
    rng = np.random.default_rng(13)
    messages = np.zeros(16_000, MESSAGE_DTYPE)
    messages["kind"] = rng.choice([0, 0, 2], len(messages))
    messages["side"] = rng.integers(0, 2, len(messages))
    offsets = tick * rng.integers(-1, 3000, len(messages))
    messages["price"] = np.where(messages["side"] == 0, -offsets, offsets)
    messages["quantity"] = rng.integers(1, 50, len(messages))
    messages["order_id"] = rng.integers(1, 12_000, len(messages))
    reference, compiled = ReferenceOrderBook(2, accounts=3), CompiledOrderBook(2, accounts=3)
    for part in (messages, random_messages(2000, 14, invalid=True), messages[:8000]):
        assert_same_events(reference.process(part), compiled.process(part))
        compiled.check()
        assert view_of(compiled) == view_of(reference)
    assert sum(len(compiled.snapshot(side)) for side in Side) > MANY_LEVELS
