"""The gateway: WebSocket and REST for everybody outside, one connection to the engine behind it.

Owns the wire to clients, what is told to whom and when, units, access and limits. Imports messages and
protocol; never the engine, whose wire it speaks, nor what a market is made of: no compiler is in its process.
"""

from __future__ import annotations

from simlab.live.gateway.process import serve

__all__ = ["serve"]
