"""A market that is open to the world: four processes around one kernel that is paced by the wall clock.

Owns the engine process (TCP), the gateway (WebSocket and REST), the dashboard, the runner of agents and the
clients. Imports `runner` and what is below; of its own parts `engine`, `gateway`, `dashboard`, `agents` and
`client` import the modules beside them (`protocol`, `messages`, `told`, `settings`, `listening`, and of HTTP
`access`, `guard`, `serving`), and never each other, but for `agents`, who are clients.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simlab.live.client.blocking import Client as Client
    from simlab.live.client.market import AsyncClient as AsyncClient
    from simlab.live.client.tcp import OrderBookClient as OrderBookClient

__all__ = ["AsyncClient", "Client", "OrderBookClient"]

_FOUND_IN = {
    "AsyncClient": "simlab.live.client.market",
    "Client": "simlab.live.client.blocking",
    "OrderBookClient": "simlab.live.client.tcp",
}


def __getattr__(name: str) -> Any:
    """Import a client when it is asked for: the libraries they need are optional."""
    if name not in _FOUND_IN:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_FOUND_IN[name]), name)
