"""A recording of a market with people in it says what they had and what they earned, to the money unit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import simlab
from simlab.analysis.pnl import wealth
from simlab.config import build, load
from simlab.core.types import MessageKind, Side
from simlab.kernel import Simulation
from simlab.kernel.conformance import messages
from simlab.kernel.summary import profits
from simlab.runner.author import Author

MARKET = {
    "name": "people",
    "steps": 60,
    "instruments": {"ACME": {"initial_price": 1_000, "taker_fee_ppm": 300, "maker_fee_ppm": -100}},
    "populations": {
        "noise": {"strategy": "noise", "count": 20, "account": {"cash": 10**6, "inventory": 100}},
        "people": {"strategy": "outside", "count": 4, "account": {"cash": 500, "short_selling": "free"}},
    },
    "recording": {"accounts_every": 7},
}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Simulation, dict[int, int]]:
    """Return a recording, the market, and what each seat that was taken began with."""
    config = load(MARKET)
    spec = build(config)
    author = Author(tmp_path_factory.mktemp("runs"), config, spec)
    with author:
        market = Simulation(spec, sink=author)
        author.begin(market)
        market.advance(12)
        given = {market.take_seat(cash=cash): cash for cash in (10**6, 123_456)} | {market.take_seat(): 500}
        for step in range(12, 60):
            market.advance(step)
            for n, seat in enumerate(given):
                side = Side.SELL if (step + n) % 3 == 0 else Side.BUY
                order = {"kind": MessageKind.LIMIT, "price": 1_005 - 10 * side, "quantity": 2 + n}
                market.submit(messages(order | {"account": seat, "side": side, "expiry": step + 2}))
        market.advance()
        market.finish()
        market.audit()
        author.finish(market.summary())
    return author.folder, market, given


def test_money_of_seats_is_recorded(recorded: tuple[Path, Simulation, dict[int, int]]) -> None:
    folder, market, given = recorded
    run = simlab.open(folder)
    seats = run.seats(names=False)
    assert dict(zip(seats["account"], seats["cash"], strict=True)) == given
    assert set(seats["step"]) == {12}
    accounts = run.accounts(names=False)
    last = accounts[accounts["step"] == accounts["step"].max()].set_index("account")
    assert np.array_equal(last["cash"], market.state.ledger.accounts["cash"])
    before = accounts[accounts["step"] < 12].groupby("account")["cash"].first()
    assert set(before[list(given)]) == {500}


def test_pnl_of_seats_does_not_count_what_they_were_given(
    recorded: tuple[Path, Simulation, dict[int, int]],
) -> None:
    folder, market, given = recorded
    run = simlab.open(folder)
    earned = run.leaderboard().set_index("agent")["total"]
    expected = profits(market.state)
    assert sum(market.account(seat).positions[0].inventory != 0 for seat in given) >= 2
    for account in range(market.spec.agents):
        assert earned[market.agent_name(account)] == expected[account]
    cash = run.pnl(by="agent", every=1).groupby("agent", observed=True)["cash"].last()
    for seat, money in given.items():
        assert money + cash[market.agent_name(seat)] == market.account(seat).cash
    parts = run.attribution(by="agent").set_index("agent")["total"]
    owned = wealth(run.accounts(names=False), run.agents(), run.instruments()).set_index("agent")["wealth"]
    for seat, money in given.items():
        assert parts[market.agent_name(seat)] == pytest.approx(expected[seat])
        assert owned[market.agent_name(seat)] == money + expected[seat]
