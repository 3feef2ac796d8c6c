"""Write recorded runs in formats of others, so that tools and models made for those read simlab's markets.

Owns what a format asks; reads recordings, in bounded memory. May import `recording`, `importing` (which reads
the same formats), `core` and `errors`.
"""

from __future__ import annotations

from simlab.exporting.lobster import export_lobster

__all__ = ["export_lobster"]
