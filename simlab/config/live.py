"""The schema of a market that is open to the world: `live`."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from simlab.config.accounts import AccountConfig, Short
from simlab.config.fields import Model, Name, Real, Whole, described
from simlab.config.limits import (
    AGENTS,
    BUFFERED,
    CONNECTIONS,
    INSTRUMENTS,
    INTERVAL,
    LINE,
    MESSAGES,
    MONEY,
    OPEN_ORDERS,
    PORT,
    QUEUE,
)

__all__ = [
    "TRADERS",
    "ListingConfig",
    "LiveConfig",
    "LiveDashboardConfig",
    "LiveEngineConfig",
    "LiveGatewayConfig",
    "LiveJournalConfig",
    "LiveLimitsConfig",
    "SeatAccountConfig",
    "SeatsConfig",
    "is_loopback",
]

TRADERS = "traders"
"""The population of those who trade from outside, in a file with the section `live`."""

_SLOWEST, _FASTEST = 1e-3, 1e6


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine can reach a host.

    Example
    -------
    >>> is_loopback("localhost"), is_loopback("::1"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _pace(value: Any) -> Any:
    if value == "max":
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or not _SLOWEST <= value <= _FASTEST:
        raise PydanticCustomError("pace", "must be max, or a number from 0.001 to 1e6; to stop, pause")
    return float(value)


_pace_schema: Any = {
    "anyOf": [{"type": "number", "minimum": _SLOWEST, "maximum": _FASTEST}, {"enum": ["max"]}],
    "type": None,
}
Pace = Annotated[float | Literal["max"], BeforeValidator(_pace), Field(json_schema_extra=_pace_schema)]


class _ListenerConfig(Model):
    host: str = described("127.0.0.1", "Address to listen on; another than loopback needs token_env")
    port: Whole = described(0, "Port to listen on; 0 for any that is free", ge=0, bound=PORT)


class LiveEngineConfig(_ListenerConfig):
    """The process that holds the market, and speaks JSON lines over TCP."""

    port: Whole = described(9999, "Port to listen on; 0 for any that is free", ge=0, bound=PORT)
    queue: Whole = described(
        1024, "Orders that wait at once; those beyond are answered QUEUE_FULL", "requests", ge=1, bound=QUEUE
    )


class LiveGatewayConfig(_ListenerConfig):
    """The process that speaks WebSocket and REST."""

    port: Whole = described(8000, "Port to listen on; 0 for any that is free", ge=0, bound=PORT)
    interval_ms: Whole = described(
        100, "How often books, agents and trades are pushed", "milliseconds", ge=1, bound=INTERVAL
    )
    flush_ms: Whole = described(
        5, "How long announcements are gathered for one write", "milliseconds", ge=0, bound=INTERVAL
    )
    token_env: Name | None = described(
        None,
        "Name of the environment variable with the token that every part then asks for; none on loopback if"
        " not given",
    )


class LiveDashboardConfig(_ListenerConfig):
    """The process that serves the page."""

    port: Whole = described(8080, "Port to listen on; 0 for any that is free", ge=0, bound=PORT)


class LiveJournalConfig(Model):
    """What is kept so that a market that was killed goes on where it was."""

    sync: Literal["always", "interval", "off"] = described(
        "interval",
        "`always`: nothing is answered before it is on the disk (survives a power cut); `interval`: written"
        " before it is answered, on the disk every interval_ms (survives the end of the process); `off`: as"
        " interval, and the system decides when",
    )
    interval_ms: Whole = described(50, "Time between two syncs", "milliseconds", ge=1, bound=INTERVAL)
    checkpoint_s: Real = described(
        60.0, "Time between two checkpoints, from which a restart reads the journal", "s", gt=0, le=86_400
    )


class SeatAccountConfig(AccountConfig):
    """What the account of somebody who trades from outside starts with and may do."""

    cash: Whole = described(10_000_000, "Cash at the start", "money units", ge=-MONEY.most, bound=MONEY)
    short_selling: Short = described(
        "free", "How far inventory may fall below zero: none, free, or a number", "lots"
    )
    max_open_orders: Whole = described(
        10_000, "Resting orders it may have at once", "orders", ge=1, bound=OPEN_ORDERS
    )


class SeatsConfig(Model):
    """The accounts of those who trade from outside, which stand in the market as population `traders`."""

    count: Whole = described(1000, "Number of accounts", "accounts", ge=1, bound=AGENTS)
    account: SeatAccountConfig = described(
        SeatAccountConfig(), "What each starts with and may do; short selling is free if not given"
    )


class LiveLimitsConfig(Model):
    """How much anybody outside may ask for; open orders are limited by `seats.account.max_open_orders`."""

    message_bytes: Whole = described(65_536, "Longest message", "bytes", ge=256, bound=LINE)
    messages_per_second: Whole = described(
        10_000, "Messages of a WebSocket connection", "messages per second", ge=1, bound=MESSAGES
    )
    connections: Whole = described(
        2_000, "Connections of the engine, and of the gateway, at once", ge=1, bound=CONNECTIONS
    )
    agents: Whole = described(1_000, "Agents that are registered or created", "agents", ge=1, bound=AGENTS)
    agents_per_connection: Whole = described(
        100, "Agents that a connection, or a session of one with the engine, holds at once", "agents",
        ge=1, bound=AGENTS,
    )  # fmt: skip
    instruments: Whole = described(100, "Instruments, with those added", ge=1, bound=INSTRUMENTS)
    listener_bytes: Whole = described(
        1_000_000, "What waits for a listener that does not read before it is dropped", "bytes",
        ge=1_000, bound=BUFFERED,
    )  # fmt: skip


class ListingConfig(Model):
    """How an instrument is called on the wire."""

    ticker: str | None = described(
        None, "Its short name; that of the file if not given", min_length=1, max_length=16
    )
    description: str | None = described(
        None, "For people; that of `instruments` if not given", max_length=1000
    )
    industry: str = described("", "For people", max_length=100)


class LiveConfig(Model):
    """A market that anybody can watch and trade in: `simlab live`."""

    steps_per_second: Pace = described(
        10.0, "How fast the market runs: a number, or max for as fast as it can", "steps per second"
    )
    engine: LiveEngineConfig = described(LiveEngineConfig(), "The process that holds the market")
    gateway: LiveGatewayConfig = described(LiveGatewayConfig(), "WebSocket and REST")
    dashboard: LiveDashboardConfig = described(LiveDashboardConfig(), "The page")
    journal: LiveJournalConfig = described(LiveJournalConfig(), "What is kept to go on from")
    seats: SeatsConfig = described(SeatsConfig(), "Accounts of those who trade from outside")
    limits: LiveLimitsConfig = described(LiveLimitsConfig(), "How much anybody may ask for")
    instruments: dict[Name, ListingConfig] = described(
        {}, "How instruments are called on the wire, by their name in the file", max_length=INSTRUMENTS.most
    )

    @model_validator(mode="after")
    def _is_closed_without_a_token(self) -> Self:
        for part in ("engine", "gateway", "dashboard"):
            host = getattr(self, part).host
            if not is_loopback(host) and self.gateway.token_env is None:
                raise PydanticCustomError(
                    "open",
                    "{part}.host {host} can be reached from other machines; name in gateway.token_env the"
                    " environment variable with a token, or listen on 127.0.0.1",
                    {"part": part, "host": host},
                )
        return self
