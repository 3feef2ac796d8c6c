"""One door for what strategies in Python send: whole numbers that fit, known names, shapes that match."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simlab.agents.batch import BatchObservation, BatchOrders
from simlab.agents.each import MAX_MESSAGES, Desk, Orders
from simlab.core.types import MESSAGE_DTYPE, MessageKind, Side, TimeInForce
from simlab.errors import StrategyError

ACCOUNTS = np.array([30, 31, 35])
WORDS = st.integers(-(2**63), 2**63 - 1)
ODDITIES = st.one_of(
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.booleans(),
    st.none(),
    st.text(max_size=3),
    st.binary(max_size=3),
    st.integers(-(2**31), 2**31 - 1).map(np.int32),
    st.integers(0, 2**64 - 1).map(np.uint64),
    st.floats(width=32).map(np.float32),
    st.booleans().map(np.bool_),
    st.integers(-9, 9).map(np.array),
    st.complex_numbers(max_magnitude=9),
    st.just({}),
    st.just(np.datetime64("2020-01-01")),
)
NOBODY: Any = SimpleNamespace(instruments={"M": 0})
FIELDS = ("price", "quantity", "expiry")


def alone() -> Orders:
    return Orders({"M": 0, "N": 2}, account=30, next_id=5)


def together(count: int = 3) -> BatchOrders:
    return BatchOrders(ACCOUNTS[:count], np.array([0, 2]), next_id=5)


def sent(orders: Orders | BatchOrders) -> Any:
    messages = orders.messages
    return np.frombuffer(messages, MESSAGE_DTYPE) if isinstance(messages, bytes) else messages()


def attempt(send: Any) -> Any:
    """Return what was sent, or the error."""
    try:
        return send()
    except StrategyError as error:
        return error


@given(field=st.sampled_from(FIELDS), value=ODDITIES)
def test_both_levels_take_the_same_numbers_and_name_the_field_of_others(field: str, value: Any) -> None:
    terms = {"price": 100, "quantity": 1, "expiry": 9} | {field: value}
    one, many = alone(), together(1)
    first = attempt(lambda: one.limit("buy", **terms))
    second = attempt(lambda: many.limit(0, 0, **terms))
    if isinstance(first, StrategyError) or isinstance(second, StrategyError):
        assert str(first).startswith(field)
        assert str(second).startswith(field)
        assert len(one.messages) == len(sent(many)) == 0
    else:
        assert sent(one).tobytes() == sent(many).tobytes()
        assert sent(one)[field][0] == value


@given(price=WORDS, quantity=WORDS, expiry=WORDS)
def test_every_number_of_64_bits_arrives_as_it_is(price: int, quantity: int, expiry: int) -> None:
    orders = alone()
    orders.limit("sell", price, quantity, expiry=expiry, instrument="N", time_in_force="IOC")
    (message,) = sent(orders)
    assert message[["price", "quantity", "expiry"]].tolist() == (price, quantity, expiry)
    assert message[["kind", "side", "time_in_force", "instrument", "account", "order_id"]].tolist() == (
        MessageKind.LIMIT, Side.SELL, TimeInForce.IOC, 2, 30, 5,
    )  # fmt: skip


@given(values=st.lists(ODDITIES, min_size=3, max_size=3))
def test_of_an_array_the_first_that_is_no_number_is_named(values: list[Any]) -> None:
    def whole(value: Any) -> bool:
        integer = isinstance(value, int | np.integer | np.ndarray) and not isinstance(value, bool)
        return integer and -(2**63) <= int(value) < 2**63

    orders = together()
    result = attempt(lambda: orders.limit([0, 1, 2], 0, values, 1))
    if all(map(whole, values)):
        assert sent(orders)["price"].tolist() == [int(it) for it in values]
    else:
        assert isinstance(result, StrategyError)
        assert "price" in str(result)


@pytest.mark.parametrize(
    ("who", "accounts"),
    [
        ([True, False, True], [30, 35]),
        (np.array([False, False, False]), []),
        ([], []),
        (np.zeros(0), []),
        (2, [35]),
        (np.array([2, 0], np.uint8), [30, 35]),
        ((1, 1), [31, 31]),
    ],
    ids=str,
)
def test_agents_are_named_by_position_or_mask(who: Any, accounts: list[int]) -> None:
    orders = together()
    ids = orders.market(who, "sell", 1)
    assert sorted(sent(orders)["account"].tolist()) == accounts
    assert ids.tolist() == list(range(5, 5 + len(accounts)))


@pytest.mark.parametrize(
    ("who", "message"),
    [
        (3, "who 3 is out of range; use 0 to 2"),
        (-1, "who -1 is out of range"),
        (ACCOUNTS, r"who 30 is out of range.*positions in the observation's arrays, not accounts"),
        ([True, False], r"who has shape \(2,\); .*a mask of 3"),
        ([[0]], r"who has shape \(1, 1\)"),
        (np.array([0.0, 1.0]), "who must be whole numbers, not float64"),
        (np.array([0, 2**64 - 1], np.uint64), r"who\[1\] 18446744073709551615 does not fit"),
        (["a"], r"who\[0\] 'a' is not a whole number"),
        ([[0], [1, 2]], "who is no array of numbers"),
        (None, "who.* None is not a whole number"),
    ],
    ids=str,
)
def test_others_than_the_agents_that_act_are_refused(who: Any, message: str) -> None:
    orders = together()
    with pytest.raises(StrategyError, match=message):
        orders.market(who, 0, 1)
    assert not len(sent(orders))


def test_where_nobody_acts_nobody_can_be_named() -> None:
    orders = together(0)
    assert orders.limit([], [], [], []).tolist() == []
    assert orders.cancel_all(np.zeros(0, bool)) is None
    with pytest.raises(StrategyError, match="nobody acts in this step"):
        orders.market(0, 0, 1)


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ({"side": 256}, "side 256 is out of range; use 0 to 1"),
        ({"side": [0, 256, 1]}, r"side\[1\] 256 is out of range"),
        ({"side": "byu"}, "side 'byu' is not known.*did you mean 'buy'"),
        ({"side": ["buy", "sel", "buy"]}, r"side\[1\] 'sel' is not known"),
        ({"side": None}, "side None"),
        ({"side": 1.0}, "side 1.0"),
        ({"price": [1, 2]}, r"price has shape \(2,\) for 3 messages; give one value, or an array of 3"),
        ({"price": [[1, 2, 3]]}, r"price has shape \(1, 3\)"),
        ({"price": np.array([True, False, True])}, r"price\[0\] True is a Boolean"),
        ({"price": np.ma.array([1, 2, 3], mask=[0, 1, 0])}, "price has masked elements"),
        ({"expiry": np.full(3, np.nan)}, r"expiry\[0\] nan"),
        ({"expiry": None}, "expiry None is not a whole number.*leave it out"),
        ({"instrument": 2}, "instrument 2 is out of range; use 0 to 1"),
        ({"instrument": "M"}, "instrument 'M' is not a whole number"),
        ({"time_in_force": 3}, "time_in_force 3 is out of range"),
        ({"time_in_force": "DAY"}, "time_in_force 'DAY' is not known; use one of 'GTC', 'IOC', 'FOK'"),
        ({"post_only": 2}, "post_only 2 is out of range"),
        ({"post_only": "yes"}, "post_only 'yes'"),
    ],
    ids=str,
)
def test_a_batch_is_told_the_field(terms: dict[str, Any], message: str) -> None:
    with pytest.raises(StrategyError, match=message):
        together().limit(np.arange(3), **({"side": 0, "price": 100, "quantity": 1} | terms))


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ({"side": 256}, "side 256 is not known; use one of 'buy', 'sell'"),
        ({"side": True}, "side True is not known"),
        ({"side": 1.0}, "side 1.0 is not known"),
        ({"side": None}, "side None is not known"),
        ({"side": [0]}, r"side \[0\] is not known"),
        ({"instrument": "O"}, "instrument 'O' is not known.*'M', 'N'"),
        ({"instrument": 0}, "instrument 0 is not known"),
        ({"time_in_force": True}, "time_in_force True is not known"),
        ({"time_in_force": 3}, "time_in_force 3 is not known"),
        ({"price": np.array([1, 2])}, "price array.* is not a whole number"),
        ({"quantity": 10**5000}, "quantity .* does not fit 64 bits"),
    ],
    ids=lambda value: str(value)[:40] if not isinstance(value, dict) else next(iter(value)),
)
def test_an_agent_is_told_the_field(terms: dict[str, Any], message: str) -> None:
    with pytest.raises(StrategyError, match=message):
        alone().limit(**({"side": "buy", "price": 100, "quantity": 1} | terms))


@pytest.mark.parametrize(
    "sides", [["sell", "buy", "sell"], [1, 0, 1], [True, False, True], [Side.SELL, 0, 1]]
)
def test_sides_may_be_names_numbers_or_a_mask_of_sellers(sides: list[Any]) -> None:
    orders = together()
    orders.limit(np.arange(3), np.array(sides), 100, 1, time_in_force="FOK")
    assert sent(orders)["side"].tolist() == [1, 0, 1]
    assert sent(orders)["time_in_force"].tolist() == [TimeInForce.FOK] * 3


def test_messages_of_one_call_may_name_one_another() -> None:
    orders = together()
    kinds = [MessageKind.LIMIT, MessageKind.CANCEL, MessageKind.CANCEL]
    assert orders.send([0, 0, 0], kinds, 0, 100, 1, [0, -1, 77]).tolist() == [5, 5, 77]
    with pytest.raises(StrategyError, match="no earlier row 1 sends an order"):
        orders.send([0, 0, 0], kinds, 0, 100, 1, [0, -2, -1])


def test_an_agent_may_send_so_many_messages_and_no_more() -> None:
    orders = alone()
    for _ in range(MAX_MESSAGES):
        orders.cancel(1)
    with pytest.raises(StrategyError, match=f"more than {MAX_MESSAGES} messages"):
        orders.cancel(1)
    assert len(sent(orders)) == MAX_MESSAGES


def test_what_is_sent_after_the_decision_is_refused() -> None:
    desk, batch = Desk(NOBODY), together()
    desk.open([0] * 10, 1)
    desk.orders.market("buy", 1)
    assert len(desk.close()) == 64
    batch.close()
    for send in (lambda: desk.orders.market("buy", 1), lambda: batch.market(0, 0, 1)):
        with pytest.raises(StrategyError, match=r"the decision is over"):
            send()


def test_what_a_batch_is_shown_cannot_be_changed() -> None:
    observation = BatchObservation(NOBODY, np.array([0]), agents=ACCOUNTS.copy(), step=3)
    with pytest.raises(ValueError, match="read-only"):
        observation.agents[0] = 1
    with pytest.raises(StrategyError, match="'agents' was assigned to"):
        observation.agents = ACCOUNTS
    with pytest.raises(StrategyError, match="cannot be changed"):
        observation.new = 1
    with pytest.raises(StrategyError, match="cannot be changed"):
        del observation.step
    with pytest.raises(AttributeError, match="did you mean 'agents'"):
        observation.agent  # noqa: B018
