"""Decide who may come in: by the name it used for this machine, by the page a browser is on, and by token."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Iterable, Mapping
from urllib.parse import parse_qs, urlsplit

__all__ = ["Access", "is_token"]

Refusal = tuple[int, str]


def is_token(given: str, token: str) -> bool:
    """Whether what was given is the token; how long it takes tells nothing.

    Example
    -------
    >>> is_token("guess", "secret"), is_token("secret", "secret")
    (False, True)
    """
    return hmac.compare_digest(given.encode(errors="replace"), token.encode())


class Access:
    """The rules of entry, for WebSocket and REST, at the gateway and at the page's server.

    A name that somebody else may have made to point here is refused by the Host, and a page of another server
    by the Origin that its browser tells, or by what it tells of the fetch. Whoever uses no browser sends
    neither, and is let in by the token alone, or on loopback without one.

    Parameters
    ----------
    hosts : iterable of str
        Names, besides addresses and `localhost`, under which this server may be asked.
    token : str or None
        What everybody must show.

    Example
    -------
    >>> access, here = Access([], "s3cret"), {"host": "localhost:8000"}
    >>> access.refusal({"host": "evil.example"})[0], access.refusal({})[0]
    (421, 421)
    >>> access.refusal(here | {"origin": "https://evil.example"})[0]
    403
    >>> access.refusal(here)[0], access.refusal(here | {"authorization": "Bearer s3cret"})
    (401, None)
    """

    def __init__(self, hosts: Iterable[str], token: str | None) -> None:
        self._names = {"localhost", *(it.lower() for it in hosts)}
        self.token = token

    def refusal(self, headers: Mapping[str, str], path: str = "/", query: str = "") -> Refusal | None:
        """Return status and reason for keeping somebody out, or None.

        Parameters
        ----------
        headers : mapping of str to str
            By names in small letters.
        path, query : str
            What is asked for, and what stands behind the question mark.
        """
        host = headers.get("host", "").lower()
        if not self._is_here(host):
            return 421, "the Host is not a name of this server; use its address, or localhost"
        if not _is_own_page(headers, host):
            return 403, "pages of other servers may not ask; open this one at its own address"
        if self.token is None or self.knows(headers, path, query):
            return None
        return 401, "show the market's token: Authorization: Bearer TOKEN"

    def knows(self, headers: Mapping[str, str], path: str, query: str) -> bool:
        """Whether the token is shown; a browser's WebSocket can show one nowhere but in the query."""
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            given = parse_qs(query).get("token", [""])[0]
        return self.token is not None and is_token(given.strip(), self.token)

    def _is_here(self, host: str) -> bool:
        """Whether a name cannot have been made to point here by somebody else: an address, or one's own."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
            return name in self._names or bool(ipaddress.ip_address(name))
        except ValueError:
            return False


def _is_own_page(headers: Mapping[str, str], host: str) -> bool:
    """Whether no page asks, or one of this server; others may link to what is here, but not frame it."""
    origin = headers.get("origin")
    if origin is not None and origin.lower().partition("://")[2] != host:
        return False
    return headers.get("sec-fetch-site") != "cross-site" or headers.get("sec-fetch-dest") == "document"
