"""Answer requests: what each asks for is done, answered to who asked, and told to who listens. No I/O."""

from __future__ import annotations

import hmac
import os
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from simlab.config.live import TRADERS, LiveConfig
from simlab.core.types import Reason
from simlab.errors import LiveError, SimlabError
from simlab.live import protocol as ask
from simlab.live.engine.decisions import Said
from simlab.live.engine.feed import DEPTH_SHOWN, PRINTS_AT_ONCE, Feed
from simlab.live.engine.floor import Floor
from simlab.live.engine.inquiries import Inquiries
from simlab.live.engine.log import Log
from simlab.live.engine.metrics import Meter
from simlab.live.engine.pacing import Pace
from simlab.live.engine.reading import (
    Listing,
    book_view,
    is_listed,
)
from simlab.live.engine.registry import Agent, Client, Registry, Session
from simlab.live.engine.store import Kept
from simlab.live.engine.trading import Trading
from simlab.live.playable import require_parameters, strategy_named
from simlab.live.protocol import Asked, Failure
from simlab.market.instruments import Instrument

__all__ = ["ENTERS", "Core"]

ENTERS = frozenset((ask.Add, ask.Cancel, ask.Replace, ask.CancelAll))
"""Requests that the matching loop must get to: what the queue counts."""


class Core:
    """One market, its agents and its listeners.

    Parameters
    ----------
    floor : Floor
    registry : Registry
    settings : LiveConfig
    log : Log
    """

    def __init__(
        self,
        floor: Floor,
        registry: Registry,
        settings: LiveConfig,
        log: Log,
        *,
        listings: list[Listing],
        token: str | None = None,
    ) -> None:
        self.floor, self.registry, self.settings, self.log = floor, registry, settings, log
        self.listings = listings
        self.news = floor.news
        self.pace = Pace(settings.steps_per_second)
        self.feed = Feed(registry)
        self.meter = Meter(time.time())
        self.connections = 0
        self.queued = 0
        self._token = token
        self._most_sessions = 2 * settings.limits.connections
        self._trading = Trading(floor, registry, log, self._seat_guest)
        self._gathered: dict[type, Callable[[Client, Any], None]] = {
            ask.Add: self._trading.add,
            ask.Cancel: self._trading.cancel,
            ask.Replace: self._trading.replace,
            Failure: self._trading.fail,
        }
        self._inquiries = Inquiries(floor, registry, settings.seats, self.listings)
        self._answered: dict[type, Callable[[Client, Session, Any], dict[str, Any] | Failure]] = {
            **self._inquiries.answers,
            ask.CancelAll: self._cancel_all,
            ask.AddInstrument: self._add_instrument,
            ask.RemoveInstrument: self._remove_instrument,
            ask.Register: self._register,
            ask.CreateAgent: self._create_agent,
            ask.Decided: self._decided,
            ask.Publish: self._publish,
            ask.Pause: self._pause,
            ask.Resume: self._resume,
            ask.Step: self._step,
            ask.Speed: self._speed,
            ask.Subscribe: self._subscribe,
            ask.CloseSession: self._close_session,
            ask.Metrics: self._metrics,
            ask.Ping: self._ping,
            ask.Hello: self._hello,
        }

    def go_on(self, *, paused: bool, steps_per_second: Any) -> None:
        """Take up the pace of a former process; what its clients wanted gone with them goes."""
        if steps_per_second is not None:
            self.pace.set(steps_per_second)
        if paused:
            self.pace.pause()
        self.begin()
        resting = self.floor.orders.accounts_open()
        for agent in self.registry.agents.values():
            if agent.cancel_on_disconnect and agent.account in resting and not self.over:
                self.floor.cancel_all(agent.account, -1)
        self.settle()

    def kept(self, sequence: int) -> Kept:
        """Return what a checkpoint holds of all this, with the number of the journal's last frame."""
        return Kept.of(sequence, self.floor, self.registry, self.listings, self.pace)

    @property
    def over(self) -> bool:
        """Whether the last step has been run."""
        return self.floor.simulation.step >= self.floor.simulation.spec.steps

    def take(self, batch: Iterable[tuple[Client, Sequence[Asked | Failure]]]) -> None:
        """Answer requests in their order, and tell listeners what they did."""
        self.begin()
        trading, gathered, over = self._trading, self._gathered, self.over
        for client, requests in batch:
            room = len(client.sessions) + len(requests) <= self._most_sessions
            plain = client.trusted and not over and room
            for request in requests:
                allowed = request if plain else self._allowed(client, request, over=over)
                gather = gathered.get(type(allowed))
                if gather is not None:
                    gather(client, allowed)
                else:
                    trading.flush()
                    self._answer(client, allowed)
        trading.flush()
        self.settle()
        self.tell()

    def _allowed(self, client: Client, request: Asked | Failure, *, over: bool) -> Asked | Failure:
        """Return a request, or why it is not for this client or not for now."""
        if isinstance(request, Failure):
            return request
        most = self._most_sessions
        if not client.trusted and not isinstance(request, ask.Hello):
            failure = Failure("BAD_TOKEN", 'say {"action": "hello", "token": ...} first')
        elif over and isinstance(request, _CHANGES):
            failure = _session_over()
        elif request.session not in client.sessions and len(client.sessions) >= most:
            failure = Failure("LIMIT", f"a connection has at most {most} sessions; close one")
        else:
            return request
        return ask.answering(request, failure)

    def begin(self) -> None:
        """Take note of the time, before anything happens."""
        self.floor.now_s = self.log.now_s = time.time()

    def settle(self) -> None:
        """See to it that what happened is written down before it is told."""
        self.log.write(self.floor.simulation.step)
        self.log.settle()

    def _answer(self, client: Client, request: Any) -> None:
        try:
            answer = self._answered[type(request)](client, client.session(request.session), request)
        except SimlabError as error:
            answer = Failure("BAD_REQUEST", str(error))
        client.answers.append(answer if isinstance(answer, Failure) else {"status": "success", **answer})

    def tell(self) -> None:
        """Tell listeners what happened since this was called last."""
        floor, now_s = self.floor, self.floor.now_s
        if floor.changes or floor.prints:
            prints = floor.take_prints(PRINTS_AT_ONCE)
            self.meter.untold += prints.left_out
            self.feed.happened(floor.changes, prints.rows, now_s)
            floor.changes.clear()
        for item in self.news.fresh():
            self.feed.tell("news", {"event": "news", "news": item})
        for client in self.feed.subscribers:
            client.subscription.changed |= floor.touched
        floor.touched.clear()
        self.meter.mark(now_s, floor.entered, floor.tape.trades)

    def tell_books(self, now_s: float) -> None:
        """Tell subscribers, whose interval is over, the books that changed; seconds of any clock."""
        lines: dict[int, bytes] = {}
        simulation = self.floor.simulation
        for client in self.feed.subscribers:
            subscription = client.subscription
            if now_s < subscription.due_s or client.behind:
                continue
            subscription.due_s = now_s + subscription.interval_s
            if subscription.wants("book"):
                for number in sorted(subscription.changed):
                    if subscription.wants("book", number + 1):
                        if number not in lines:
                            view = book_view(simulation, number, DEPTH_SHOWN)
                            lines[number] = ask.encode({"event": "book", **view})
                        client.lines.append(lines[number])
                subscription.changed.clear()
            if subscription.wants("market") and subscription.step != simulation.step:
                subscription.step = simulation.step
                client.lines.append(ask.encode({"event": "market", **self._pace()}))

    def leave(self, client: Client) -> None:
        """Take note that a connection is gone."""
        self.begin()
        self.feed.leave(client)
        self._watch()
        for session in list(client.sessions.values()):
            self._end(session)
        client.sessions.clear()
        self.settle()
        self.tell()

    def _end(self, session: Session) -> None:
        """End a session: its guest account is free, and orders go where their agent wants it so."""
        agents = list(session.agents.values())
        for account in list(self.registry.leave(session)):
            if not self.over:
                self.floor.cancel_all(account, -1)
        for agent in agents:
            self._tell_agent("agent_changed", agent)

    def _tell_agent(self, event: str, agent: Agent) -> None:
        if self.feed.wanted("agents"):
            self.feed.tell("agents", {"event": event, "agent": self._inquiries.agent(agent)})

    def _watch(self) -> None:
        self.floor.watched = self.feed.wanted("orders")
        self.floor.prints_watched = self.feed.wanted("trades")

    def _seat_guest(self, session: Session) -> int | Failure:
        idle = self.registry.idle_guest()
        account = self._seat(None) if idle is None else idle
        if isinstance(account, Failure):
            if not self.registry.orphans:
                return account
            account = self.registry.orphans.pop(0)
            self.floor.cancel_all(account, -1)
        self.log.before("guest", account)
        self.floor.orders.forget(account)
        self.registry.seat_guest(session, account)
        return account

    def _seat(self, cash: int | None) -> int | Failure:
        """Take a seat of the traders."""
        try:
            account = self.floor.simulation.take_seat(TRADERS, cash=cash)
        except SimlabError:
            count = self.settings.seats.count
            return Failure(
                "NO_SEAT", f"all {count} accounts are taken; raise live.seats.count and start again"
            )
        self.floor.flush()
        return account

    def _cancel_all(self, client: Client, session: Session, it: ask.CancelAll) -> dict[str, Any] | Failure:
        account = self.registry.account(session, it.agent_id)
        number = -1 if it.symbol_id is None else self._inquiries.number(it.symbol_id)
        if isinstance(account, Failure):
            return account
        if isinstance(number, Failure):
            return number
        if account is None:
            return {"cancelled": 0}
        return {"cancelled": self.floor.cancel_all(account, number)}

    def _add_instrument(
        self, client: Client, session: Session, it: ask.AddInstrument
    ) -> dict[str, Any] | Failure:
        most, new = self.settings.limits.instruments, it.instrument
        if len(self.listings) >= most:
            return Failure("LIMIT", f"there are {most} instruments; raise live.limits.instruments for more")
        terms: dict[str, Any] = {} if new.price_band is None else {"price_band": new.price_band}
        if new.initial_price % new.tick_size if new.tick_size > 0 else True:
            return Failure(
                "BAD_REQUEST", "initial_price must be a multiple of tick_size, which is 1 or more",
                field="instrument.initial_price",
            )  # fmt: skip
        instrument = Instrument(
            new.ticker, new.initial_price, new.tick_size, new.lot_size, price_unit=new.price_unit,
            description=new.description, **terms,
        )  # fmt: skip
        listing = Listing(new.ticker, new.description, new.industry, self.floor.now_s)
        self.log.before("listing", listing)
        number = self.floor.simulation.list_instrument(instrument)
        self.floor.flush()
        self.listings.append(listing)
        self.feed.tell("market", {"event": "instrument", "instrument": self._inquiries.instrument(number)})
        return {"symbol_id": number + 1}

    def _remove_instrument(
        self, client: Client, session: Session, it: ask.RemoveInstrument
    ) -> dict[str, Any] | Failure:
        number = self._inquiries.number(it.symbol_id)
        if isinstance(number, Failure):
            return number
        if not is_listed(self.floor.simulation, number):
            return Failure(Reason.DELISTED.name, f"symbol_id {it.symbol_id} was removed before")
        self.floor.simulation.delist(number)
        self.floor.flush()
        self.feed.tell("market", {"event": "instrument", "instrument": self._inquiries.instrument(number)})
        return {"symbol_id": it.symbol_id}

    def _new_agent(
        self, agent_id: str | None, it: ask.Register | ask.CreateAgent, **more: Any
    ) -> Agent | Failure:
        most = self.settings.limits.agents
        if self.over:
            return _session_over()
        if len(self.registry.agents) >= most:
            return Failure("LIMIT", f"there are {most} agents; raise live.limits.agents for more")
        cash = self.settings.seats.account.cash if it.starting_capital is None else it.starting_capital
        account = self._seat(cash)
        if isinstance(account, Failure):
            return account
        name = agent_id or self.registry.new_id()
        agent = Agent(name, it.name or name, it.personality, account, cash, self.floor.now_s, **more)
        self.registry.add(agent)
        self.log.before("agent", agent)
        return agent

    def _register(self, client: Client, session: Session, it: ask.Register) -> dict[str, Any] | Failure:
        agent_id = it.agent_id or ""
        inside = self.registry.inside_refusal(agent_id)
        if inside is not None:
            return inside
        most = self.settings.limits.agents_per_connection
        if len(session.agents) >= most and agent_id not in session.agents:
            return Failure(
                "LIMIT",
                f"a connection holds at most {most} agents; open another, or raise"
                " live.limits.agents_per_connection",
            )
        agent = self.registry.agents.get(agent_id)
        resumed = agent is not None
        if agent is None and it.session_token is not None:
            return Failure(
                "UNKNOWN_AGENT", f"there is no agent {it.agent_id!r} to resume; leave session_token out",
                field="agent_id",
            )  # fmt: skip
        found = self._new_agent(it.agent_id, it) if agent is None else agent
        if isinstance(found, Failure):
            return found
        refusal = self.registry.refusal(found, it.session_token)
        if refusal is not None:
            return refusal
        if it.join and it.session_token is not None:
            self.registry.join(found, session)
            return {
                "agent": self._inquiries.agent(found),
                "session_token": it.session_token,
                "resumed": resumed,
            }
        found.cancel_on_disconnect = it.cancel_on_disconnect
        token = self.registry.claim(found, session, it.session_token)
        claim = (found.agent_id, found.token_hash, found.cancel_on_disconnect, found.shown_hash)
        self.log.before("claim", claim)
        self._tell_agent("agent_changed", found)
        return {"agent": self._inquiries.agent(found), "session_token": token, "resumed": resumed}

    def _create_agent(
        self, client: Client, session: Session, it: ask.CreateAgent
    ) -> dict[str, Any] | Failure:
        refusal = _unplayable(it)
        if refusal is not None:
            return refusal
        agent = self._new_agent(None, it, strategy=it.strategy, parameters=it.parameters)
        if isinstance(agent, Failure):
            return agent
        self._tell_agent("agent_created", agent)
        return {"agent": self._inquiries.agent(agent)}

    def _decided(self, client: Client, session: Session, it: ask.Decided) -> dict[str, Any] | Failure:
        account = self.registry.account(session, it.agent_id)
        if isinstance(account, Failure):
            return account
        assert account is not None
        said = Said(account, self.floor.simulation.step, self.floor.now_s, it)
        self.log.before("decision", said)
        self.floor.decisions.take(said, self.floor.rows)
        return {}

    def _publish(self, client: Client, session: Session, it: ask.Publish) -> dict[str, Any] | Failure:
        number = -1 if it.symbol_id is None else self._inquiries.number(it.symbol_id)
        if isinstance(number, Failure):
            return number
        self.log.before("news", (self.floor.now_s, it.impact_type))
        self.news.expect(self.floor.now_s, it.impact_type)
        self.floor.simulation.publish(
            it.headline, instrument=number, content=it.content, sentiment=it.sentiment, impact=it.impact,
            source=it.source,
        )  # fmt: skip
        self.floor.flush()
        return {"news": self.news.latest(1)[0]}

    def _pace(self) -> dict[str, Any]:
        pace = self.pace
        return {
            "step": self.floor.simulation.step,
            "steps": self.floor.simulation.spec.steps,
            "paused": pace.paused,
            "steps_per_second": pace.steps_per_second,
        }

    def _paced(self) -> dict[str, Any]:
        self.log.before("pace", (self.pace.paused, self.pace.steps_per_second))
        self.feed.tell("market", {"event": "market", **self._pace()})
        return self._pace()

    def _pause(self, client: Client, session: Session, it: Any) -> dict[str, Any]:
        self.pace.pause()
        return self._paced()

    def _resume(self, client: Client, session: Session, it: Any) -> dict[str, Any]:
        self.pace.resume()
        return self._paced()

    def _step(self, client: Client, session: Session, it: ask.Step) -> dict[str, Any]:
        self.pace.run(it.n)
        return self._paced()

    def _speed(self, client: Client, session: Session, it: ask.Speed) -> dict[str, Any]:
        self.pace.set(it.steps_per_second)
        return self._paced()

    def _subscribe(self, client: Client, session: Session, it: ask.Subscribe) -> dict[str, Any] | Failure:
        self.feed.subscribe(client, it, range(len(self.listings)))
        self._watch()
        return {"channels": sorted(client.subscription.channels), **self._pace()}

    def _close_session(self, client: Client, session: Session, it: Any) -> dict[str, Any]:
        self._end(session)
        client.sessions.pop(session.number, None)
        return {"session": session.number}

    def _metrics(self, client: Client, session: Session, it: Any) -> dict[str, Any]:
        floor, queue = self.floor, self.settings.engine.queue
        return {
            **self.meter.rates(time.time(), floor.entered, floor.tape.trades),
            "total_trades": floor.tape.trades,
            "total_orders": floor.entered,
            "total_volume": floor.tape.volume,
            "queue_full_count": self.meter.queue_full,
            "queue_capacity": queue,
            "queue_usage_pct": round(100 * self.queued / queue, 2),
            "latency_ms": self.meter.latencies(),
            "connections": self.connections,
            "dropped": self.meter.dropped,
            "trades_untold": self.meter.untold,
            "open_orders": len(floor.orders.open),
            "event_log_hash": f"{floor.simulation.event_log_hash:016x}",
            **self._pace(),
        }

    def _ping(self, client: Client, session: Session, it: Any) -> dict[str, Any]:
        return {"pid": os.getpid(), "step": self.floor.simulation.step}

    def _hello(self, client: Client, session: Session, it: ask.Hello) -> dict[str, Any] | Failure:
        if self._token is not None and not hmac.compare_digest(it.token.encode(), self._token.encode()):
            return Failure("BAD_TOKEN", "it is not the token that the market was started with", field="token")
        client.trusted = True
        return {"pid": os.getpid()}


_CHANGES: tuple[Any, ...] = (*ENTERS, ask.AddInstrument, ask.RemoveInstrument, ask.CreateAgent, ask.Publish)
"""Requests that a market which is over does not take."""


def _unplayable(it: ask.CreateAgent) -> Failure | None:
    """Say why nobody could play an agent, where its strategy is not known or takes other parameters."""
    try:
        strategy = strategy_named(it.personality, it.strategy, models=True)
    except LiveError as error:
        return Failure("BAD_REQUEST", str(error), field="strategy")
    if strategy == "llm" or not (it.strategy or it.parameters):
        return None
    try:
        require_parameters(strategy, it.parameters or {})
    except LiveError as error:
        return Failure("BAD_REQUEST", str(error), field="parameters")
    return None


def _session_over() -> Failure:
    return Failure("SESSION_OVER", "the market ran its last step; start another session")
