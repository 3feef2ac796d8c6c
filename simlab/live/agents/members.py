"""Hold agents on the gateway: register, send what they decide, hear what becomes of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from msgspec.structs import replace

from simlab.core.types import MessageKind, Side
from simlab.errors import LiveError
from simlab.live import messages as wire
from simlab.live import told as tell
from simlab.live.agents.account import Account, SentOrder
from simlab.live.agents.floor import Floor
from simlab.live.client.session import ConnectionLostError, RefusedError, Session
from simlab.live.fields import cleaned

__all__ = ["Members", "Tokens"]

_log = logging.getLogger("simlab.live.agents")
_IN_FORCE: tuple[Literal["GTC", "IOC", "FOK"], ...] = ("GTC", "IOC", "FOK")
_OVER = ("fill", "cancelled", "expired", "rejected")
_TOLD = (
    "source", "strategy", "action", "reason", "fallback", "request", "calls", "tokens_in", "tokens_out",
    "cost", "ms", "cached", "facts",
)  # fmt: skip
_MOST_CHARACTERS = {"action": 10_000, "reason": 10_000, "fallback": 10_000, "facts": 10_000, "strategy": 200}
"""What the wire takes of the texts of a decision."""


class Tokens:
    """What proves that agents are ours, kept in a file for the next process; nobody else may read it."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._known: dict[str, dict[str, Any]] = {}
        self._writing = False
        if file is not None and file.is_file():
            self._known = json.loads(file.read_text(encoding="utf-8"))

    def get(self, agent_id: str) -> str | None:
        """Return an agent's token."""
        return self._known.get(agent_id, {}).get("token")

    def made(self, agent_id: str) -> dict[str, Any] | None:
        """Return what an agent was created with, None for one that was not, or is not ours."""
        return self._known.get(agent_id, {}).get("made")

    def keep(self, agent_id: str, token: str) -> None:
        """Keep an agent's token."""
        self._known.setdefault(agent_id, {})["token"] = token
        self._write_soon()

    def create(self, agent_id: str, made: dict[str, Any]) -> None:
        """Keep what an agent was created with."""
        self._known.setdefault(agent_id, {})["made"] = made
        self._write_soon()

    def _write_soon(self) -> None:
        """Write what comes together once."""
        if self._file is not None and not self._writing:
            self._writing = True
            asyncio.get_running_loop().call_soon(self._write, self._file)

    def _write(self, file: Path) -> None:
        self._writing = False
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_suffix(".part")
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(handle, "w", encoding="utf-8") as stream:
            json.dump(self._known, stream)
        partial.replace(file)


class Members:
    """Up to `live.limits.agents_per_connection` agents on one connection.

    Parameters
    ----------
    accounts : sequence of Account
    floor : Floor
    tokens : Tokens
    personality : str
        What others read about them.
    capital : int, optional
        What each starts with, money units; what the market gives if not given.
    token : str, optional
        What the market asks of everybody, where it asks for one.
    anew : bool
        Whether an agent that is somebody else's begins again under another id, or is an error.
    """

    def __init__(
        self,
        accounts: Sequence[Account],
        floor: Floor,
        tokens: Tokens,
        *,
        personality: str,
        capital: int | None,
        token: str | None,
        anew: bool,
    ) -> None:
        self._anew = anew
        self.accounts = {it.agent_id: it for it in accounts}
        self._floor, self._tokens = floor, tokens
        self._personality, self._capital = " ".join(cleaned(personality).split()), capital
        self.session = Session(floor.session.rest_address, self._hear, self._greet, token=token)
        self._looking: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Connect and register all."""
        await self.session.open()

    async def close(self) -> None:
        """Leave; what rests in the book stays there."""
        for task in self._looking:
            task.cancel()
        await self.session.close()

    async def _greet(self) -> None:
        await self.session.ask(wire.Subscribe(channels=["orders"]), greeting=True)
        for account in list(self.accounts.values()):
            await self._register(account)
            await self._look(account, greeting=True)

    async def _register(self, account: Account) -> None:
        known = self._tokens.get(account.agent_id)
        request = wire.AgentRegister(
            name=account.name,
            agent_id=account.agent_id,
            personality=self._personality,
            starting_capital=None if self._capital is None else self._floor.amount(self._capital),
            session_token=known,
        )
        try:
            await self.session.ask(request, greeting=True)
        except RefusedError:
            if not self._anew:
                raise
            # What proved that it is ours is lost, as with a run's folder; it begins again under another id.
            _log.warning("agent %s is somebody else's now; its strategy has a new account", account.agent_id)
            del self.accounts[account.agent_id]
            again: Any = await self.session.ask(
                replace(request, agent_id=None, session_token=None), greeting=True
            )
            account.agent_id = again.agent_id
            self.accounts[account.agent_id] = account
            self._tokens.keep(account.agent_id, again.session_token)

    async def _look(self, account: Account, *, greeting: bool = False) -> None:
        """Bring an agent's orders up to date after answers were lost."""
        sent_before = list(account.orders)
        listed: Any = await self.session.ask(wire.GetOrders(agent_id=account.agent_id), greeting=greeting)
        open_now = self._take_open(account, listed.data)
        for number in sent_before:
            if number not in open_now:
                account.take_over(number)

    async def _look_after_gap(self, account: Account) -> None:
        with contextlib.suppress(LiveError):  # lost again, and looked for again then
            await self._look(account)

    def _take_open(self, account: Account, listed: Iterable[tell.Order]) -> set[int]:
        """Take what the market lists; return the numbers of the orders that rest."""
        open_now = set()
        for it in listed:
            number = _number_of(it.client_id)
            if number is None:
                continue
            if number not in account.orders and it.status in ("resting", "partially_filled", "open"):
                price = 0 if it.price is None else self._floor.units(it.symbol_id, it.price)
                side = Side.BUY if it.side == "buy" else Side.SELL
                known = SentOrder(number, it.symbol_id - 1, side, price, it.quantity, filled=it.filled)
                account.sent(known)
            unit = self._floor.mirror.listings[it.symbol_id - 1].price_unit
            average = None if it.average_price is None else it.average_price / unit
            account.take_fill(number, filled=it.filled, average_price=average, step=self._floor.mirror.step)
            if it.status in ("resting", "partially_filled", "open"):
                open_now.add(number)
                account.take_rest(number, it.orderId)
        return open_now

    def _hear(self, told: tell.Told) -> None:
        if isinstance(told, tell.OrderUpdate):
            self._take_update(told.data)
        elif isinstance(told, tell.PortfolioUpdate) and told.agent_id in self.accounts:
            positions = {it.instrument_id - 1: it.quantity for it in told.positions.values()}
            self.accounts[told.agent_id].take_portfolio(self._floor.money(told.cash), positions)
        elif isinstance(told, tell.AgentRegistered) and told.agent_id in self.accounts:
            self._tokens.keep(told.agent_id, told.session_token)
            if self.session.connected:  # the engine was away, and what it said then was lost
                look = asyncio.create_task(self._look_after_gap(self.accounts[told.agent_id]))
                self._looking.add(look)
                look.add_done_callback(self._looking.discard)

    def _take_update(self, data: tell.Update) -> None:
        account, number = self.accounts.get(data.agent_id or ""), _number_of(data.client_id)
        if account is None or number is None or number not in account.orders:
            return
        step = self._floor.mirror.step
        if data.event == "replaced":
            price = None if data.price is None else self._floor.units(data.symbol_id, data.price)
            account.take_replaced(number, price=price, remaining=data.remaining)
        average = data.average_price
        unit = self._floor.mirror.listings[data.symbol_id - 1].price_unit
        account.take_fill(
            number, filled=data.filled, average_price=None if average is None else average / unit, step=step
        )
        if data.event in _OVER:
            account.take_over(number)
        else:
            account.take_rest(number, data.orderId)

    async def send(self, account: Account, messages: np.ndarray[Any, Any]) -> dict[int, int]:
        """Send what an agent decided, in its order; return the market's numbers of the new orders.

        What cannot be sent, because the connection is lost, is not sent later: it was decided for a market
        that is past.
        """
        waiting = []
        for row in messages:
            request, number = self._request(account, row)
            if request is None:
                continue
            try:
                waiting.append((number, await self.session.post(request)))
            except ConnectionLostError:
                if number is not None:
                    account.take_over(number)
        found: dict[int, int] = {}
        for number, answer in waiting:
            order_id = await self._answered(account, number, answer)
            if number is not None and order_id is not None:
                found[number] = order_id
        return found

    async def _answered(
        self, account: Account, number: int | None, answer: asyncio.Future[tell.Told]
    ) -> int | None:
        """Take the answer to a request; return the market's number of a new order."""
        try:
            said: Any = await answer
        except LiveError:
            return None  # the order is looked for when there is a connection again
        if not isinstance(said, tell.OrderResponse) or number is None:
            return None
        data = said.data
        if data.status == "error":
            _log.info("%s: %s", account.agent_id, data.message)
            account.take_over(number)
            return None
        assert data.orderId is not None
        if data.state in ("filled", "cancelled"):
            self._take_end(account, number, data)
        else:
            account.take_rest(number, data.orderId)
        return data.orderId

    def _take_end(self, account: Account, number: int, data: tell.Response) -> None:
        """Take an order that was over at once; its fills may have been told before."""
        order = account.orders.get(number)
        if order is None:
            return
        unit = self._floor.mirror.listings[order.instrument].price_unit
        filled = data.filled if isinstance(data.filled, int) else 0
        average = data.average_price / unit if isinstance(data.average_price, float) else None
        account.take_fill(number, filled=filled, average_price=average, step=self._floor.mirror.step)
        account.take_over(number)

    def _request(self, account: Account, row: Any) -> tuple[Any, int | None]:
        """Return a strategy's message as one of the wire, and the number of the order if it is a new one."""
        kind, number = MessageKind(int(row["kind"])), int(row["order_id"])
        if kind is MessageKind.CANCEL_ALL:
            instrument = int(row["instrument"])
            symbol = None if instrument < 0 else instrument + 1
            return wire.CancelAll(agent_id=account.agent_id, symbol_id=symbol), None
        if kind in (MessageKind.CANCEL, MessageKind.REPLACE):
            return self._change(account, kind, row), None
        instrument, quantity = int(row["instrument"]), int(row["quantity"])
        side, market = Side(int(row["side"])), kind is MessageKind.MARKET
        price = 0 if market else int(row["price"])
        account.sent(SentOrder(number, instrument, side, price, quantity, int(row["expiry"])))
        request = wire.AddOrder(
            symbol_id=instrument + 1,
            side="buy" if side is Side.BUY else "sell",
            quantity=quantity,
            price=None if market else self._floor.currency(instrument, price),
            orderType="MARKET" if market else "LIMIT",
            agent_id=account.agent_id,
            client_id=str(number),
            time_in_force=None if market else _IN_FORCE[int(row["time_in_force"])],
            post_only=bool(row["post_only"]),
        )
        return request, number

    def _change(self, account: Account, kind: MessageKind, row: Any) -> Any:
        """Return a cancel or a replace, or None where the order is over."""
        order = account.orders.get(int(row["order_id"]))
        if order is None or order.order_id is None:
            return None
        symbol = order.instrument + 1
        if kind is MessageKind.CANCEL:
            return wire.CancelOrder(orderId=order.order_id, symbol_id=symbol)
        price = self._floor.currency(order.instrument, int(row["price"]))
        quantity = int(row["quantity"])
        return wire.ReplaceOrder(orderId=order.order_id, symbol_id=symbol, price=price, quantity=quantity)

    async def report(self, account: Account, row: dict[str, Any]) -> None:
        """Tell the market what was decided and why; while there is no connection nobody is told."""
        told = {name: row[name] for name in _TOLD if row[name] is not None}
        for name, most in _MOST_CHARACTERS.items():
            if name in told:
                told[name] = cleaned(told[name][:most])
        decision = wire.Decision(agent_id=account.agent_id, order_ids=row["order_ids"], **told)
        with contextlib.suppress(ConnectionLostError):
            await self.session.send(decision)

    async def cancel_expired(self, step: int) -> None:
        """Cancel the orders whose last step is over; the wire has no such orders."""
        for account in self.accounts.values():
            for it in list(account.orders.values()):
                if it.expiry and it.expiry < step and it.order_id is not None:
                    request = wire.CancelOrder(orderId=it.order_id, symbol_id=it.instrument + 1)
                    with contextlib.suppress(ConnectionLostError):  # and cancelled at another step
                        answer = await self.session.post(request)
                        answer.add_done_callback(partial(_cancelled_or_not, it, it.expiry))
                        it.expiry = 0


def _cancelled_or_not(order: SentOrder, expiry: int, answer: asyncio.Future[tell.Told]) -> None:
    """Let an order whose cancel was not answered be cancelled again."""
    if not answer.cancelled() and answer.exception() is not None:
        order.expiry = expiry


def _number_of(client_id: str | int | None) -> int | None:
    """Return the number under which a strategy knows an order, if it is one of ours."""
    return int(client_id) if isinstance(client_id, str) and client_id.isdecimal() else None
