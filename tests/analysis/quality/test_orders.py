"""Queues, fills and counts from event logs: written by hand, and made by the engine that knows the answer."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
from statsmodels.duration.survfunc import SurvfuncRight

import simlab
from simlab.analysis.quality import limit_orders, order_to_trade_ratio, queue_outcomes, time_to_fill
from simlab.core.types import EventKind, MessageKind, Reason, SelfTrade, Side, TimeInForce
from simlab.engine.reference import ReferenceOrderBook
from simlab.errors import AnalysisError

INSTRUMENTS = pd.DataFrame({"instrument": [0, 1], "name": ["A", "B"]})


class _Log:
    """An order book whose events are recorded as the tables of a run."""

    def __init__(self, self_trade: SelfTrade = SelfTrade.OFF) -> None:
        self.book = ReferenceOrderBook(2, accounts=9, self_trade=self_trade)
        self.events: list[np.void] = []

    def send(self, kind: MessageKind, **fields: int) -> None:
        self.events += list(self.book.apply(kind, **fields).copy())

    def limit(self, order_id: int, side: Side, price: int, quantity: int, **fields: int) -> None:
        fields = {"account": 1, **fields}
        self.send(MessageKind.LIMIT, order_id=order_id, side=side, price=price, quantity=quantity, **fields)

    def at(self, step: int) -> None:
        self.events += list(self.book.advance(step).copy())

    def tables(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        messages = [_message(event) for event in self.events if event["kind"] != EventKind.FILL]
        trades = [_trade(event) for event in self.events if event["kind"] == EventKind.FILL]
        columns = ["sequence", "step", "instrument", "quantity", "taker_order_id", "maker_order_id"]
        return pd.DataFrame(messages), pd.DataFrame(trades, columns=columns)

    def stays(self) -> pd.DataFrame:
        return pd.concat(limit_orders(*self.tables(), INSTRUMENTS)).set_index("order_id")


def _message(event: np.void) -> dict[str, object]:
    flags, kind = int(event["flags"]), EventKind(event["kind"])
    known = kind in (EventKind.ACCEPTED, EventKind.REPLACED)
    return {
        **{name: int(event[name]) for name in ("sequence", "step", "order_id", "instrument")},
        **{name: int(event[name]) for name in ("price", "quantity")},
        "event": kind.name.lower(),
        "side": Side(event["side"]).name.lower(),
        "time_in_force": TimeInForce(flags & 3).name.lower() if known else "none",
        "market": bool(flags & 8),
        "priority_kept": bool(flags & 16),
        "reason": Reason(event["reason"]).name.lower(),
    }


def _trade(event: np.void) -> tuple[int, ...]:
    names = ("sequence", "step", "instrument", "quantity", "order_id", "other_order_id")
    return tuple(int(event[name]) for name in names)


def test_lots_ahead_follow_the_queue() -> None:
    log = _Log()
    log.limit(1, Side.BUY, 99, 5)
    log.limit(2, Side.BUY, 99, 7)
    log.limit(3, Side.BUY, 98, 4)
    log.limit(4, Side.BUY, 99, 2, instrument=1)
    log.send(MessageKind.MARKET, order_id=5, side=Side.SELL, quantity=6, account=2)
    log.send(MessageKind.CANCEL, order_id=3, account=1)
    log.limit(6, Side.BUY, 99, 1)
    log.limit(7, Side.BUY, 98, 1)

    stays = log.stays()

    assert stays["ahead"].to_dict() == {1: 0, 3: 0, 2: 5, 4: 0, 6: 6, 7: 0}
    assert stays["outcome"].to_dict() == {
        1: "filled",
        3: "cancelled",
        2: "resting",
        4: "resting",
        6: "resting",
        7: "resting",
    }
    assert stays.loc[2, ["quantity", "filled"]].tolist() == [7, 1]
    assert stays.loc[4, "instrument"] == "B"


def test_only_what_comes_to_rest_has_a_stay() -> None:
    log = _Log()
    log.limit(1, Side.SELL, 101, 5)
    log.limit(2, Side.BUY, 101, 3, account=2)  # trades at once
    log.limit(3, Side.BUY, 101, 6, account=2)  # two at once, four rest
    log.limit(4, Side.SELL, 101, 9, account=3, time_in_force=TimeInForce.IOC)
    log.limit(5, Side.BUY, 101, 9, account=3, time_in_force=TimeInForce.IOC)

    stays = log.stays()

    assert stays.index.tolist() == [1, 3]
    assert stays["quantity"].tolist() == stays["filled"].tolist() == [5, 4]
    assert stays["outcome"].tolist() == ["filled", "filled"]


def test_replacements_keep_or_lose_the_place() -> None:
    log = _Log()
    log.limit(1, Side.BUY, 99, 10)
    log.limit(2, Side.BUY, 99, 5)
    log.at(3)
    log.send(MessageKind.REPLACE, order_id=1, price=99, quantity=4, account=1)  # stays first
    log.limit(3, Side.BUY, 99, 1)
    log.at(5)
    log.send(MessageKind.REPLACE, order_id=1, price=99, quantity=6, account=1)  # goes last

    stays = log.stays()

    first, second = stays.loc[1].to_dict("records")
    assert (first["outcome"], first["ahead"], first["quantity"]) == ("replaced", 0, 4)
    assert (first["start"], first["end"]) == (0, 5)
    assert (second["outcome"], second["ahead"], second["quantity"]) == ("resting", 6, 6)
    assert stays.loc[3, "ahead"] == 9


def test_a_replacement_that_trades_at_once_rests_with_what_is_left() -> None:
    log = _Log()
    log.limit(1, Side.SELL, 101, 3)
    log.limit(2, Side.BUY, 99, 8, account=2)
    log.send(MessageKind.REPLACE, order_id=2, price=101, quantity=8, account=2)

    stays = log.stays()

    assert stays.loc[1, "outcome"] == "filled"
    assert stays.loc[2, "outcome"].tolist() == ["replaced", "resting"]
    assert stays.loc[2, "quantity"].tolist() == [8, 5]
    assert stays.loc[2, "filled"].tolist() == [0, 0]


def test_expiry_ends_a_stay() -> None:
    log = _Log()
    log.limit(1, Side.BUY, 99, 5, expiry=4)
    log.at(9)

    stay = log.stays().loc[1]

    assert (stay["outcome"], stay["end"], stay["filled"]) == ("expired", 9, 0)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (SelfTrade.CANCEL_RESTING, {1: "cancelled", 2: "resting"}),
        (SelfTrade.CANCEL_INCOMING, {1: "resting"}),
        (SelfTrade.CANCEL_BOTH, {1: "cancelled"}),
    ],
)
def test_self_trade_prevention(policy: SelfTrade, expected: dict[int, str]) -> None:
    log = _Log(policy)
    log.limit(1, Side.SELL, 101, 3)
    log.limit(2, Side.BUY, 101, 3)

    assert log.stays()["outcome"].to_dict() == expected


def test_an_own_order_that_a_market_order_meets_is_cancelled_in_its_queue() -> None:
    log = _Log(SelfTrade.CANCEL_RESTING)
    log.limit(1, Side.SELL, 101, 3)
    log.send(MessageKind.MARKET, order_id=2, side=Side.BUY, quantity=3, account=1)

    assert log.stays()["outcome"].to_dict() == {1: "cancelled"}


def _random_log(seed: int) -> tuple[_Log, dict[tuple[int, int], int]]:
    """A busy book, and what it says itself about the queue of each order on arrival."""
    rng, log, ahead = np.random.default_rng(seed), _Log(SelfTrade.CANCEL_RESTING), {}
    for order_id in range(1, 1_500):
        log.at(order_id // 5)
        account, kind = int(rng.integers(4)), rng.random()
        if kind < 0.6:
            expiry = int(order_id // 5 + rng.integers(1, 40)) if rng.random() < 0.3 else 0
            log.limit(
                order_id,
                Side(int(rng.integers(2))),
                int(rng.integers(95, 106)),
                int(rng.integers(1, 9)),
                account=account,
                instrument=int(rng.integers(2)),
                expiry=expiry,
            )
            touched = order_id
        else:
            mine = log.book.orders_of(account)
            if not mine:
                continue
            touched = mine[int(rng.integers(len(mine)))]
            if kind < 0.8:
                log.send(MessageKind.CANCEL, order_id=touched, account=account)
            else:
                price, quantity = int(rng.integers(95, 106)), int(rng.integers(1, 9))
                log.send(
                    MessageKind.REPLACE, order_id=touched, price=price, quantity=quantity, account=account
                )
        position = log.book.queue_position(touched)
        if position is not None:
            ahead[touched, order_id // 5] = position
    return log, ahead


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_queues_are_those_of_the_engine(seed: int) -> None:
    log, ahead = _random_log(seed)

    stays = log.stays()

    last = stays.groupby(["order_id", "start"])["ahead"].last()
    assert len(stays) > 500
    checked = 0
    for key, lots in last.items():
        assert ahead[key] == lots or key not in ahead
        checked += key in ahead
    assert checked > 400
    resting = stays[stays["outcome"] == "resting"]
    left = (resting["quantity"] - resting["filled"]).sort_index()
    book = [order for instrument in range(2) for order in log.book.orders(instrument=instrument)]
    assert left.to_dict() == {int(order["order_id"]): int(order["quantity"]) for order in book}


@pytest.mark.parametrize("rows", [2, 50])
def test_batches_give_the_same_stays(rows: int) -> None:
    messages, trades = (table[table["sequence"] < 300] for table in _random_log(4)[0].tables())

    def parts(table: pd.DataFrame) -> Iterator[pd.DataFrame]:
        return (table[start : start + rows] for start in range(0, len(table), rows))

    whole = pd.concat(limit_orders(messages, trades, INSTRUMENTS), ignore_index=True)
    split = pd.concat(limit_orders(parts(messages), parts(trades), INSTRUMENTS), ignore_index=True)

    pd.testing.assert_frame_equal(whole, split)


def test_a_recorded_book_ends_as_its_last_quote_says(two_shares: simlab.Run) -> None:
    stays = pd.concat(limit_orders(two_shares.messages(), two_shares.trades(), two_shares.instruments()))
    resting = stays[stays["outcome"] == "resting"]
    lots = (
        (resting["quantity"] - resting["filled"])
        .groupby([resting["instrument"], resting["side"], resting["price"]], observed=True)
        .sum()
    )

    for quote in two_shares.quotes().groupby("instrument", observed=True).last().itertuples():
        bids, asks = lots[quote.Index, "buy"], lots[quote.Index, "sell"]
        assert (bids.index.max(), bids[bids.index.max()]) == (quote.best_bid, quote.bid_depth)
        assert (asks.index.min(), asks[asks.index.min()]) == (quote.best_ask, quote.ask_depth)


def test_tables_that_do_not_belong_together_are_refused(day: simlab.Run) -> None:
    messages, trades, instruments = day.messages(), day.trades(), day.instruments()

    with pytest.raises(AnalysisError, match="the order does not rest, or has fewer lots left"):
        list(limit_orders(messages[messages["step"] > 100], trades, instruments))
    with pytest.raises(AnalysisError, match="does not fit order"):
        list(limit_orders(messages, trades.assign(quantity=trades["quantity"] + 50), instruments))
    with pytest.raises(AnalysisError, match="messages has no column 'reason'"):
        list(limit_orders(messages.drop(columns="reason"), trades, instruments))


def _three_stays() -> _Log:
    """One order filled after 2 and 4 steps, one cancelled after 3, one that rests to the end, step 10."""
    log = _Log()
    log.limit(1, Side.BUY, 99, 4)
    log.limit(2, Side.BUY, 99, 20)
    log.limit(3, Side.BUY, 98, 5)
    for step in (2, 4):
        log.at(step)
        log.send(MessageKind.MARKET, order_id=10 + step, side=Side.SELL, quantity=2, account=2)
        if step == 2:
            log.at(3)
            log.send(MessageKind.CANCEL, order_id=3, account=1)
    log.at(10)
    log.limit(4, Side.SELL, 101, 1)
    return log


def test_time_to_fill_by_hand() -> None:
    curve = time_to_fill(*_three_stays().tables(), INSTRUMENTS).set_index("until")

    first, complete = curve.loc["first fill"], curve.loc["complete fill"]
    assert first[["steps", "at_risk", "fills"]].tolist() == [2, 3, 1]
    assert first["fill_probability"] == pytest.approx(1 / 3)
    # order 3 was cancelled after 3 steps, so two were left after 4
    assert complete[["steps", "at_risk", "fills"]].tolist() == [4, 2, 1]
    assert complete["fill_probability"] == pytest.approx(1 / 2)
    assert complete["standard_error"] == pytest.approx(np.sqrt(0.5**2 * 1 / (2 * 1)))


def test_time_to_fill_is_the_estimate_of_statsmodels(day: simlab.Run) -> None:
    tables = day.messages(), day.trades(), day.instruments()
    stays = pd.concat(limit_orders(*tables))
    theirs = SurvfuncRight(stays["end"] - stays["start"], stays["outcome"] == "filled")

    curve = time_to_fill(*tables)
    ours = curve[curve["until"] == "complete fill"]

    filled = theirs.n_events > 0
    np.testing.assert_array_equal(ours["steps"], theirs.surv_times[filled])
    np.testing.assert_array_equal(ours["at_risk"], theirs.n_risk[filled])
    np.testing.assert_allclose(1 - ours["fill_probability"], theirs.surv_prob[filled])
    np.testing.assert_allclose(ours["standard_error"], theirs.surv_prob_se[filled])


def test_when_all_are_filled_nothing_is_uncertain() -> None:
    log = _Log()
    log.limit(1, Side.BUY, 99, 4)
    log.send(MessageKind.MARKET, order_id=2, side=Side.SELL, quantity=4, account=2)

    curve = time_to_fill(*log.tables(), INSTRUMENTS)

    assert curve["fill_probability"].tolist() == [1, 1]
    assert curve["standard_error"].tolist() == [0, 0]


def test_queue_outcomes_by_hand() -> None:
    table = queue_outcomes(*_three_stays().tables(), INSTRUMENTS, edges=(4, 30))

    assert table[["ahead_from", "ahead_below", "orders"]].to_numpy().tolist() == [[0, 4, 3], [4, 30, 1]]
    nothing, some = table.to_dict("records")
    assert (nothing["filled"], nothing["cancelled"], nothing["resting"]) == pytest.approx((1 / 3,) * 3)
    assert nothing["mean_steps"] == pytest.approx((4 + 3 + 0) / 3)
    assert (some["resting"], some["mean_ahead"]) == (1, 4)


def test_shares_of_outcomes_sum_to_one(day: simlab.Run) -> None:
    tables = day.messages(), day.trades(), day.instruments()
    stays = pd.concat(limit_orders(*tables))

    table = queue_outcomes(*tables)

    shares = table[["filled", "partly_filled", "cancelled", "expired", "replaced", "resting"]]
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert table["orders"].sum() == len(stays)
    assert (table["filled"] * table["orders"]).sum() == pytest.approx((stays["outcome"] == "filled").sum())
    assert table["filled"].iloc[0] > table["filled"].iloc[-1]
    bought = day.trades()["quantity"].sum()
    assert stays["filled"].sum() == bought


def test_survival_does_not_depend_on_batches(two_shares: simlab.Run) -> None:
    instruments = two_shares.instruments()
    parts = [two_shares.batches(name, rows=211, names=False) for name in ("messages", "trades")]

    whole = time_to_fill(two_shares.messages(), two_shares.trades(), instruments)

    pd.testing.assert_frame_equal(whole, time_to_fill(*parts, instruments))
    assert set(whole["instrument"]) == {"ACME", "BOLT"}
    for _, curve in whole.groupby(["instrument", "until"]):
        assert curve["fill_probability"].is_monotonic_increasing
        assert curve["at_risk"].is_monotonic_decreasing


def test_order_to_trade_ratio_counts_what_was_sent(day: simlab.Run) -> None:
    row = order_to_trade_ratio(day.messages(), day.trades(), day.instruments()).iloc[0]

    messages, trades = day.messages(), day.trades()
    assert row["orders"] == (messages["event"] == "accepted").sum()
    assert row["cancellations"] == (messages["reason"] == "requested").sum()
    assert row["trades"] == len(trades)
    sent = (
        messages["event"].isin(["accepted", "rejected", "replaced"]) | (messages["reason"] == "requested")
    ).sum()
    assert row["messages_per_trade"] == pytest.approx(sent / len(trades))
    parts = order_to_trade_ratio(
        day.batches("messages", rows=999), day.batches("trades", rows=100), day.instruments()
    )
    assert parts.iloc[0].equals(row)


def test_without_trades_the_ratio_is_infinite(day: simlab.Run) -> None:
    row = order_to_trade_ratio(day.messages(), day.trades()[:0], day.instruments()).iloc[0]

    assert row["orders_per_trade"] == row["messages_per_trade"] == np.inf


def test_nothing_to_measure_is_an_error(day: simlab.Run) -> None:
    nothing = day.messages()[:0], day.trades()[:0], day.instruments()

    with pytest.raises(AnalysisError, match="there are no messages"):
        order_to_trade_ratio(*nothing)
    with pytest.raises(AnalysisError, match="no limit order came to rest"):
        time_to_fill(*nothing)
    with pytest.raises(AnalysisError, match="no limit order came to rest"):
        queue_outcomes(*nothing)
    with pytest.raises(AnalysisError, match="edges are"):
        queue_outcomes(*nothing, edges=(10, 10))
