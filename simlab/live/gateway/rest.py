"""Answer REST requests, from what the gateway knows where that is enough, else from the engine."""

from __future__ import annotations

import json
import os
import time
from typing import Annotated, Any

import msgspec
from fastapi import FastAPI, HTTPException, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from msgspec import Struct
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.routing import Match

from simlab.live import told
from simlab.live.gateway.bodies import NewAgentBody, NewInstrumentBody, NewNewsBody, SpeedBody, StepBody
from simlab.live.gateway.events import AgentRow, NewsRow
from simlab.live.gateway.link import EngineAwayError, RefusedError
from simlab.live.gateway.market import Listed, side_of
from simlab.live.gateway.metrics import exposition
from simlab.live.gateway.socket import Lobby
from simlab.live.gateway.trading import OrderRow, orders_of
from simlab.live.gateway.units import OffGridError, Units
from simlab.live.messages import encode

__all__ = ["application"]

SymbolId = Annotated[int, Path(ge=1, le=2**31 - 1)]
AgentId = Annotated[str, Path(min_length=1, max_length=80)]
Limit = Annotated[int, Query(ge=1, le=10_000)]
_NOT_FOUND = {"UNKNOWN_AGENT", "UNKNOWN_INSTRUMENT", "UNKNOWN_ORDER"}
_STATUS = {"QUEUE_FULL": 429, "NOT_YOURS": 403, "LIMIT": 409, "NO_SEAT": 409, "AGENT_TAKEN": 409}


class Candle(Struct, frozen=True):
    """Prices of an interval, currency, and lots traded in it."""

    timestamp: float
    open: float
    high: float
    low: float
    close: float
    volume: int


class AgentTrade(Struct, frozen=True):
    """A trade, and who were in it."""

    symbol_id: int
    price: float
    quantity: int
    aggressor_side: str
    timestamp: float
    sequence: int
    maker_agent: str | None
    taker_agent: str | None


class Rules(Struct, frozen=True):
    """What an order must keep to; prices in currency, quantities in lots."""

    symbol_id: int
    ticker: str
    tick_size: float
    lot_size: int
    price_unit: float
    price_band: tuple[float, float]
    multiplier: int


class Standing(Struct, frozen=True):
    """A place on the leaderboard."""

    rank: int
    agent_id: str
    name: str
    pnl: float
    total_value: float
    return_pct: float | None


class Clock(Struct, frozen=True):
    """Where the market stands, and whether it goes on."""

    step: int
    timestamp: float
    paused: bool
    steps_per_second: float | str


class PartHealth(Struct, frozen=True):
    """How a process is."""

    status: str
    pid: int | None


class AgentsHealth(Struct, frozen=True):
    """How many agents there are, and for how many somebody trades."""

    count: int
    connected: int


class Health(Struct, frozen=True):
    """How the market is, as far as the gateway sees it."""

    status: str
    engine: PartHealth
    gateway: PartHealth
    agents: AgentsHealth


class Done(Struct, frozen=True):
    """What was asked has been done."""

    status: str = "success"
    symbol_id: int | None = None


class _Schemas:
    """Describe answers in the OpenAPI document by the structs that they are."""

    def __init__(self) -> None:
        self._types: list[Any] = []

    def of(self, kind: Any) -> dict[str, Any]:
        """Return the arguments of a route that answers with `kind`."""
        self._types.append(kind)
        (schema,), _ = msgspec.json.schema_components([kind], ref_template="#/components/schemas/{name}")
        answers = {
            200: {"description": "Done", "content": {"application/json": {"schema": schema}}},
            "4XX": {"description": "`detail` says what to change"},
            503: {"description": "The engine does not answer now"},
        }
        return {"responses": answers, "response_class": Response}

    def components(self) -> dict[str, Any]:
        """Return all schemas that these refer to."""
        _, found = msgspec.json.schema_components(self._types, ref_template="#/components/schemas/{name}")
        return found


def _json(value: Any) -> Response:
    return Response(encode(value), media_type="application/json")


def _detail(status: int, detail: Any) -> Response:
    return Response(json.dumps({"detail": detail}), status, media_type="application/json")


def application(lobby: Lobby) -> FastAPI:
    """Return the REST interface over what the sockets share."""
    app = FastAPI(title="simlab live", version="1", docs_url=None, redoc_url=None)
    schemas = _Schemas()
    _handle_errors(app)
    for add in (_instruments, _agents, _news, _market, _health):
        add(app, lobby, schemas)
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        document = plain()
        document.setdefault("components", {}).setdefault("schemas", {}).update(schemas.components())
        return document

    app.openapi = openapi  # type: ignore[method-assign]
    return app


def _handle_errors(app: FastAPI) -> None:
    @app.exception_handler(EngineAwayError)
    async def away(request: Request, error: EngineAwayError) -> Response:
        return _detail(503, str(error))

    @app.exception_handler(RefusedError)
    async def refused(request: Request, error: RefusedError) -> Response:
        return _detail(404 if error.code in _NOT_FOUND else _STATUS.get(error.code, 400), str(error))

    @app.exception_handler(StarletteHTTPException)
    async def unserved(request: Request, error: StarletteHTTPException) -> Response:
        path, method = request.url.path, request.method
        if error.detail == "Method Not Allowed":
            here = [it for it in app.routes if it.matches(request.scope)[0] is not Match.NONE]
            methods = ", ".join(sorted({one for it in here for one in getattr(it, "methods", None) or ()}))
            answer = _detail(405, f"there is no {method} at {path}; use one of {methods}")
            answer.headers["allow"] = methods
            return answer
        said = {
            "Not Found": f"there is nothing at {path}; /openapi.json lists what there is",
            "There was an error parsing the body": "the body is not JSON in UTF-8; send an object",
        }
        return _detail(error.status_code, said.get(error.detail, error.detail))

    @app.exception_handler(OffGridError)
    async def off_grid(request: Request, error: OffGridError) -> Response:
        return _detail(422, str(error))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        return _detail(422, [{key: it[key] for key in ("loc", "msg", "type")} for it in error.errors()])


def _listed(lobby: Lobby, symbol_id: int) -> Listed:
    listed = lobby.room.market.listed.get(symbol_id)
    if listed is None or not listed.row.listed:
        known = [it.symbol_id for it in lobby.room.market.instruments()]
        raise HTTPException(404, f"there is no instrument {symbol_id}; those known are {known}")
    return listed


async def _agent(lobby: Lobby, agent_id: str) -> AgentRow:
    """Return an agent; the engine is asked for one inside the market, as it may not be among those listed."""
    row = lobby.room.market.agents.get(agent_id)
    if row is not None:
        return row
    try:
        return msgspec.convert(await lobby.room.link.request("account", agent_id=agent_id), AgentRow)
    except RefusedError as error:
        if error.code != "UNKNOWN_AGENT":
            raise
        raise HTTPException(404, "there is no such agent; GET /api/agents lists those known") from None


async def _require_agent(lobby: Lobby, agent_id: str) -> None:
    if agent_id not in lobby.room.market.inside:
        await _agent(lobby, agent_id)


def _instruments(app: FastAPI, lobby: Lobby, schemas: _Schemas) -> None:
    market, link = lobby.room.market, lobby.room.link

    @app.get("/api/instruments", **schemas.of(list[told.Instrument]))
    async def instruments() -> Response:
        """List what can be traded."""
        return _json(market.instruments())

    @app.post("/api/instruments", **schemas.of(Done))
    async def add_instrument(body: NewInstrumentBody) -> Response:
        """List an instrument."""
        units = Units(body.price_unit)
        row = {
            "ticker": body.ticker,
            "initial_price": units.units(body.initial_price),
            "description": body.description,
            "industry": body.industry,
            "price_unit": body.price_unit,
            "tick_size": 1 if body.tick_size is None else units.units(body.tick_size),
            "lot_size": body.lot_size,
        }
        if body.price_band is not None:
            row["price_band"] = [units.units(it) for it in body.price_band]
        answer = await link.request("add_instrument", instrument=row)
        return _json(Done(symbol_id=answer["symbol_id"]))

    @app.delete("/api/instruments/{symbol_id}", **schemas.of(Done))
    async def remove_instrument(symbol_id: SymbolId) -> Response:
        """Take an instrument off the market, for ever, and its orders with it."""
        _listed(lobby, symbol_id)
        await link.request("remove_instrument", symbol_id=symbol_id)
        return _json(Done(symbol_id=symbol_id))

    @app.get("/api/instruments/{symbol_id}/rules", **schemas.of(Rules))
    async def rules(symbol_id: SymbolId) -> Response:
        """Tell what an order must keep to."""
        listed = _listed(lobby, symbol_id)
        row, currency = listed.row, listed.units.currency
        band = (currency(row.price_band[0]), currency(row.price_band[1]))
        tick = currency(row.tick_size)
        return _json(Rules(symbol_id, row.ticker, tick, row.lot_size, row.price_unit, band, row.multiplier))

    @app.get("/api/instruments/{symbol_id}/candles", **schemas.of(list[Candle]))
    async def candles(
        symbol_id: SymbolId, interval: Annotated[int, Query(ge=1, le=86_400)] = 60, limit: Limit = 500
    ) -> Response:
        """Tell prices by intervals of so many seconds, oldest first."""
        currency = _listed(lobby, symbol_id).units.currency
        answer = await link.request("candles", symbol_id=symbol_id, interval=interval, limit=limit)
        rows = [Candle(at, *map(currency, prices), volume) for at, *prices, volume in answer["candles"]]  # type: ignore
        return _json(rows)

    @app.get("/api/instruments/{symbol_id}/trades", **schemas.of(list[AgentTrade]))
    async def trades(symbol_id: SymbolId, limit: Limit = 100) -> Response:
        """Tell the latest trades of an instrument."""
        _listed(lobby, symbol_id)
        answer = await link.request("trades", symbol_id=symbol_id, limit=limit)
        return _json(_trades_of(lobby, answer["trades"]))


def _trades_of(lobby: Lobby, rows: list[dict[str, Any]]) -> list[AgentTrade]:
    listed = lobby.room.market.listed
    return [
        AgentTrade(
            row["symbol_id"],
            listed[row["symbol_id"]].units.currency(row["price"]),
            row["qty"],
            side_of(row["aggressor_side"]),
            row["timestamp"],
            row["sequence"],
            row.get("maker_agent"),
            row.get("taker_agent"),
        )
        for row in rows
    ]


def _agents(app: FastAPI, lobby: Lobby, schemas: _Schemas) -> None:
    market, link = lobby.room.market, lobby.room.link

    @app.get("/api/agents", **schemas.of(list[told.Agent]))
    async def agents() -> Response:
        """List all agents; of very many inside the market those that matter: the best and the worst."""
        await lobby.room.inside.fresh()
        return _json(market.everybody())

    @app.post("/api/agents", **schemas.of(told.NewAgent))
    async def create_agent(body: NewAgentBody) -> Response:
        """Create an agent; all are told, and the runner of agents lets it trade."""
        capital = body.starting_capital
        answer = await link.request(
            "create_agent",
            name=body.name,
            personality=body.personality,
            starting_capital=None if capital is None else market.money.units(capital),
            strategy=body.strategy,
            parameters=body.parameters,
        )
        row = msgspec.convert(answer["agent"], AgentRow)
        market.agents[row.agent_id or ""] = row
        return _json(market.created(row))

    @app.get("/api/agents/{agent_id}", **schemas.of(told.Agent))
    async def agent(agent_id: AgentId) -> Response:
        """Tell of one agent."""
        return _json(market.agent(await _agent(lobby, agent_id)))

    @app.get("/api/agents/{agent_id}/portfolio", **schemas.of(told.PortfolioUpdate))
    async def portfolio(agent_id: AgentId) -> Response:
        """Tell an agent's cash and positions."""
        return _json(market.portfolio(await _agent(lobby, agent_id)))

    @app.get("/api/agents/{agent_id}/trades", **schemas.of(list[AgentTrade]))
    async def agent_trades(agent_id: AgentId, limit: Limit = 100) -> Response:
        """Tell an agent's latest trades."""
        await _require_agent(lobby, agent_id)
        answer = await link.request("trades", agent_id=agent_id, limit=limit)
        return _json(_trades_of(lobby, answer["trades"]))

    @app.get("/api/agents/{agent_id}/orders", **schemas.of(list[told.Order]))
    async def agent_orders(agent_id: AgentId) -> Response:
        """Tell an agent's open orders and the latest that ended."""
        await _require_agent(lobby, agent_id)
        answer = await link.request("orders", agent_id=agent_id)
        return _json(orders_of(market, msgspec.convert(answer["orders"], list[OrderRow])))

    @app.get("/api/agents/{agent_id}/decisions", **schemas.of(list[told.Decision]))
    async def agent_decisions(
        agent_id: AgentId, limit: Annotated[int, Query(ge=1, le=100)] = 100
    ) -> Response:
        """Tell what an agent decided of late and why, oldest first, as far as that is told or recorded."""
        await _require_agent(lobby, agent_id)
        answer = await link.request("decisions", agent_id=agent_id, limit=limit)
        return _json(msgspec.convert(answer["decisions"], list[told.Decision]))

    @app.get("/api/leaderboard", **schemas.of(list[Standing]))
    async def leaderboard(limit: Limit = 10_000) -> Response:
        """Rank the agents that are listed by their profit."""
        await lobby.room.inside.fresh()
        ranked = sorted(market.everybody(), key=lambda it: (-it.pnl, it.agent_id))
        rows = []
        for rank, it in enumerate(ranked[:limit], 1):
            gain = 100 * it.pnl / it.starting_capital if it.starting_capital else None
            rows.append(Standing(rank, it.agent_id, it.name, it.pnl, it.total_value, gain))
        return _json(rows)


def _news(app: FastAPI, lobby: Lobby, schemas: _Schemas) -> None:
    market, link = lobby.room.market, lobby.room.link

    @app.get("/api/news", **schemas.of(list[told.NewsItem]))
    async def news(limit: Annotated[int, Query(ge=1, le=200)] = 100) -> Response:
        """Tell the latest news, oldest first."""
        return _json(list(market.news)[-limit:])

    @app.post("/api/news", **schemas.of(told.NewsItem))
    async def publish(body: NewNewsBody) -> Response:
        """Publish news; all are told at once."""
        units = market.money
        if body.instrument_id is not None:
            units = _listed(lobby, body.instrument_id).units
        answer = await link.request(
            "publish",
            headline=body.headline,
            content=body.content,
            sentiment=body.sentiment,
            impact=body.impact / units.currency(1),
            symbol_id=body.instrument_id,
            source=body.source,
            impact_type=body.impact_type,
        )
        return _json(market.news_item(msgspec.convert(answer["news"], NewsRow)))


def _market(app: FastAPI, lobby: Lobby, schemas: _Schemas) -> None:
    market, link = lobby.room.market, lobby.room.link

    async def asked(action: str, **fields: Any) -> Response:
        answer = await link.request(action, **fields)
        return _json(Clock(answer["step"], time.time(), answer["paused"], answer["steps_per_second"]))

    @app.get("/api/time", **schemas.of(Clock))
    async def now() -> Response:
        """Tell where the market stands."""
        clock = market.clock
        return _json(Clock(clock.step, time.time(), clock.paused, clock.steps_per_second))

    @app.post("/api/market/pause", **schemas.of(Clock))
    async def pause() -> Response:
        """Stop the clock; orders are still taken."""
        return await asked("pause")

    @app.post("/api/market/resume", **schemas.of(Clock))
    async def resume() -> Response:
        """Let the clock go on."""
        return await asked("resume")

    @app.post("/api/market/step", **schemas.of(Clock))
    async def step(body: StepBody | None = None) -> Response:
        """Go so many steps and stop."""
        return await asked("step", n=1 if body is None else body.steps)

    @app.post("/api/market/speed", **schemas.of(Clock))
    async def speed(body: SpeedBody) -> Response:
        """Set how many steps a second there are."""
        return await asked("speed", steps_per_second=body.steps_per_second)


def _health(app: FastAPI, lobby: Lobby, schemas: _Schemas) -> None:
    room = lobby.room

    @app.get("/health", **schemas.of(Health))
    async def health() -> Response:
        """Tell how the market is; the gateway answers, whether the engine does or not."""
        up = room.link.answers
        rows = room.market.agents.values()
        return _json(
            Health(
                "ok" if up else "degraded",
                PartHealth("ok" if up else "down", room.link.pid if up else None),
                PartHealth("ok", os.getpid()),
                AgentsHealth(len(rows), sum(it.connected for it in rows)),
            )
        )

    @app.get("/api/performance", **schemas.of(dict[str, Any]))
    async def performance() -> Response:
        """Tell how fast the market is, and how long each leg of an order takes."""
        return _json(await _performance(lobby))

    @app.get("/metrics", response_class=Response)
    async def metrics() -> Response:
        """Tell the same to Prometheus."""
        row = await _performance(lobby) if room.link.answers else {}
        gateway = {
            "connections": float(len(lobby.sockets)),
            "announcements": float(room.hub.told),
            "listeners_dropped": float(lobby.dropped),
            "engine_up": float(room.link.answers),
            "engine_reconnects": float(room.link.reconnects),
        }
        return Response(exposition(row, gateway), media_type="text/plain; version=0.0.4")


async def _performance(lobby: Lobby) -> dict[str, Any]:
    row = await lobby.room.link.request("metrics")
    row.pop("status", None)
    row["latency_ms"] = {**row.get("latency_ms", {}), **lobby.room.latency.percentiles()}
    return row
