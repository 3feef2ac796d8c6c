"""Say what the gateway reads of a configuration, as plain data that a process can be given."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

if TYPE_CHECKING:
    from simlab.config.live import LiveConfig

__all__ = ["GatewaySettings", "Limits"]


class Limits(Struct, frozen=True):
    """How much a client may ask for; as in `simlab.config.live.LiveLimitsConfig`."""

    message_bytes: int
    messages_per_second: int
    connections: int
    listener_bytes: int


class GatewaySettings(Struct, frozen=True):
    """Where the gateway listens, whom it asks, and how much it takes.

    Example
    -------
    >>> from simlab.config.live import LiveConfig
    >>> settings = GatewaySettings.of(LiveConfig())
    >>> settings.port, settings.engine_port, settings.limits.message_bytes
    (8000, 9999, 65536)
    >>> GatewaySettings.read(settings.written()) == settings
    True
    """

    host: str
    port: int
    interval_ms: int
    flush_ms: int
    token_env: str | None
    engine_host: str
    engine_port: int
    limits: Limits

    @classmethod
    def of(cls, live: LiveConfig) -> GatewaySettings:
        """Take what is needed out of the section `live`."""
        gateway = live.gateway
        return cls(
            gateway.host,
            gateway.port,
            gateway.interval_ms,
            gateway.flush_ms,
            gateway.token_env,
            live.engine.host,
            live.engine.port,
            Limits(**{name: getattr(live.limits, name) for name in Limits.__struct_fields__}),
        )

    @classmethod
    def read(cls, text: str) -> GatewaySettings:
        """Read what `written` wrote."""
        return msgspec.json.decode(text, type=cls)

    def written(self) -> str:
        """Write it as JSON; the token is not in it, only the name of its environment variable."""
        return msgspec.json.encode(self).decode()

    @property
    def token(self) -> str | None:
        """What everybody must show, and the engine asks for."""
        return None if self.token_env is None else os.environ[self.token_env]
