"""The page of a live market: its server, and the page itself in `static`.

Owns what a person sees in a browser and the way from there to the gateway. Imports `live.settings`, and
`live.access`, `guard` and `serving` as the gateway does; needs the extra `live`.
"""

from __future__ import annotations

from simlab.live.dashboard.server import serve

__all__ = ["serve"]
