"""The gateway: WebSocket and REST for everybody outside, one connection to the engine behind it.

Owns the wire to clients, what is told to whom and when, units, access and limits. Imports messages, protocol,
settings and the configuration; never the engine, whose wire it speaks.
"""

from __future__ import annotations

from simlab.live.gateway.server import serve

__all__ = ["serve"]
