"""Decide who may see more than the page's own code: who shows the token, or what a browser got for it."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

from starlette.requests import cookie_parser

from simlab.live.access import Access, is_token

__all__ = ["COOKIE", "POLICY", "PageAccess", "cookie_of"]

COOKIE = "simlab"
"""Holds what a browser got for the token: scripts cannot read it, and no other site can send it."""

POLICY = (
    # Bokeh's canvases bring <style> elements of their own; nothing else may be inline, least of all scripts.
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_OPEN = ("/", "/login")
_OPEN_FOLDERS = ("/static/", "/bokeh/")
"""What is shown to everybody, so that a browser can ask for the token: code, no data."""


def cookie_of(token: str) -> str:
    """Return what a browser keeps instead of the token, from which the token cannot be found.

    Example
    -------
    >>> cookie_of("a")[:8] == cookie_of("a")[:8] != cookie_of("b")[:8]
    True
    """
    return hmac.new(token.encode(), b"simlab dashboard", hashlib.sha256).hexdigest()


class PageAccess(Access):
    """The same rules; but a browser shows a cookie, and the page's own code is for everybody.

    Example
    -------
    >>> access, here = PageAccess([], "s3cret"), {"host": "localhost:8080"}
    >>> access.refusal(here, "/"), access.refusal(here, "/health")[0]
    (None, 401)
    >>> access.refusal(here | {"cookie": f"{COOKIE}={cookie_of('s3cret')}"}, "/health")
    """

    def knows(self, headers: Mapping[str, str], path: str, query: str) -> bool:
        """Whether the path asks for no token, or the token or its cookie is shown."""
        if path in _OPEN or path.startswith(_OPEN_FOLDERS) or super().knows(headers, path, ""):
            return True
        kept = cookie_parser(headers.get("cookie", "")).get(COOKIE, "")
        return self.token is not None and is_token(kept, cookie_of(self.token))
