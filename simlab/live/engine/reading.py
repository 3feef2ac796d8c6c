"""Answer what only looks: books, accounts, orders, trades, candles, instruments; all in units of the wire."""

from __future__ import annotations

from typing import Any

import numpy as np
from msgspec import Struct, to_builtins

from simlab.core.types import MessageKind
from simlab.kernel.simulation import Simulation
from simlab.kernel.snapshots import OpenOrder
from simlab.live.engine.orders import Order
from simlab.live.engine.registry import Agent, Registry
from simlab.live.engine.tape import Tape
from simlab.market.ledger import FOR_EVER

__all__ = [
    "Listing",
    "agent_view",
    "book_view",
    "candle_rows",
    "holdings",
    "inside_view",
    "instrument_view",
    "order_view",
    "rests_view",
    "trade_rows",
]


class Listing(Struct, array_like=True, gc=False):
    """How an instrument is called on the wire, and since when it is listed, s since 1970."""

    ticker: str
    description: str
    industry: str
    created_at: float


def book_view(simulation: Simulation, instrument: int, depth: int) -> dict[str, Any]:
    """Return an instrument's book: price units, lots, orders."""
    book = simulation.snapshot(instrument, depth=depth)
    return {
        "symbol_id": instrument + 1,
        "sequence": book.sequence,
        "step": book.step,
        "bids": book.bids,
        "asks": book.asks,
        "last_price": book.last_price,
        "volume": book.volume,
        "halted": book.halted,
    }


def instrument_view(simulation: Simulation, instrument: int, listing: Listing) -> dict[str, Any]:
    """Return what an instrument is and on which terms it trades."""
    it = simulation.spec.instruments[instrument]
    return {
        "symbol_id": instrument + 1,
        "ticker": listing.ticker,
        "name": it.name,
        "description": listing.description,
        "industry": listing.industry,
        "initial_price": it.initial_price,
        "tick_size": it.tick_size,
        "lot_size": it.lot_size,
        "price_unit": it.price_unit,
        "price_band": it.price_band,
        "multiplier": it.multiplier,
        "created_at": listing.created_at,
        "listed": is_listed(simulation, instrument),
    }


def is_listed(simulation: Simulation, instrument: int) -> bool:
    """Whether an instrument can still be traded."""
    return bool(simulation.state.ledger.terms["halted_until"][instrument] != FOR_EVER)


def holdings(simulation: Simulation, account: int) -> dict[str, Any]:
    """Return cash, positions and what they are worth at the mid price, money units; positions by symbol."""
    ledger, count = simulation.state.ledger, len(simulation.spec.instruments)
    rows = ledger.positions[account * count : (account + 1) * count]
    cash, worth, positions = int(ledger.accounts["cash"][account]), 0.0, {}
    for number in ((rows["inventory"] != 0) | (rows["realised"] != 0)).nonzero()[0].tolist():
        row, it = rows[number], simulation.spec.instruments[number]
        quantity, cost, mark = int(row["inventory"]), int(row["cost"]), simulation.mid(number)
        value = quantity * mark * it.multiplier
        worth += value
        positions[str(number + 1)] = {
            "symbol_id": number + 1,
            "quantity": quantity,
            "cost": cost,
            "average_price": cost / (quantity * it.multiplier) if quantity else None,
            "mark_price": mark,
            "market_value": value,
            "unrealised_pnl": value - cost,
            "realised_pnl": int(row["realised"]),
            "open_buy": int(row["open_buy"]),
            "open_sell": int(row["open_sell"]),
        }
    fees, reserved = int(ledger.accounts["fees"][account]), int(ledger.accounts["reserved"][account])
    return {
        "cash": cash,
        "reserved": reserved,
        "fees": fees,
        "positions": positions,
        "total_value": cash + worth,
    }


def agent_view(simulation: Simulation, registry: Registry, agent: Agent) -> dict[str, Any]:
    """Return an agent with its account as it is now."""
    held = holdings(simulation, agent.account)
    return {
        "agent_id": agent.agent_id,
        "name": agent.name,
        "personality": agent.personality,
        "account": agent.account,
        "starting_capital": agent.starting_capital,
        **held,
        "pnl": held["total_value"] - agent.starting_capital,
        "connected": agent.agent_id in registry.owners,
        "created_at": agent.created_at,
        "strategy": agent.strategy,
        "parameters": agent.parameters,
    }


def inside_view(
    simulation: Simulation, registry: Registry, account: int, created_at: float
) -> dict[str, Any]:
    """Return an agent inside the market with its account as it is now."""
    (row,) = registry.inside.rows(simulation.state, np.array([account]), created_at)
    view: dict[str, Any] = to_builtins(row)
    return view | holdings(simulation, account)


def rests_view(order: OpenOrder) -> dict[str, Any]:
    """Return an order of an agent inside the market, of which only what remains is known."""
    return {
        "order_id": order.order_id,
        "id": None,
        "symbol_id": order.instrument + 1,
        "side": int(order.side),
        "type": "limit",
        "price": order.price,
        "qty": order.quantity,
        "filled": 0,
        "remaining": order.quantity,
        "average_price": None,
        "status": "resting",
    }


def order_view(order: Order) -> dict[str, Any]:
    """Return an order and what became of it."""
    return {
        "order_id": order.order_id,
        "id": order.id,
        "symbol_id": order.instrument + 1,
        "side": order.side,
        "type": "market" if order.kind == MessageKind.MARKET else "limit",
        "price": order.price,
        "qty": order.quantity,
        "filled": order.filled,
        "remaining": order.remaining,
        "average_price": order.average_price,
        "status": order.state,
        "sequence": order.sequence,
        "step": order.step,
    }


def trade_rows(registry: Registry, rows: Any) -> list[dict[str, Any]]:
    """Return trades, oldest first."""
    return [
        {
            "sequence": it["sequence"],
            "symbol_id": it["instrument"] + 1,
            "price": it["price"],
            "qty": it["quantity"],
            "aggressor_side": it["side"],
            "step": it["step"],
            "timestamp": it["time_s"],
            "taker_order_id": it["taker_order"],
            "maker_order_id": it["maker_order"],
            "taker_agent": registry.name_of(it["taker"]),
            "maker_agent": registry.name_of(it["maker"]),
        }
        for it in (dict(zip(rows.dtype.names, row, strict=True)) for row in rows.tolist())
    ]


def candle_rows(tape: Tape, instrument: int, interval_s: int, limit: int) -> list[list[int]]:
    """Return candles ``[timestamp, open, high, low, close, volume]``, oldest first."""
    return [list(row) for row in tape.candles(instrument, interval_s, limit).tolist()]
