"""Decide who may come in: by token, by the page a browser is on, and by the name it used for this machine."""

from __future__ import annotations

import hmac
import ipaddress
from urllib.parse import parse_qs, urlsplit

from simlab.live.gateway.settings import GatewaySettings

__all__ = ["Access"]


class Access:
    """The rules of entry, the same for WebSocket and REST.

    Whoever uses no browser sends no Origin and is let in by the token alone, or on loopback without one. A
    page of another site is kept out by its Origin, one whose name was made to point here by the Host.

    Parameters
    ----------
    settings : GatewaySettings
        Hosts and ports of gateway and dashboard.
    token : str or None
        What everybody must show.
    port : int, optional
        The port that was found, where any was asked for.

    Example
    -------
    >>> from simlab.config.live import LiveConfig
    >>> access = Access(GatewaySettings.of(LiveConfig()), None)
    >>> access.refusal({"host": "localhost:8000"}, "")
    >>> access.refusal({"host": "evil.example"}, "")[0], access.refusal({}, "")[0]
    (421, 421)
    >>> access.refusal({"host": "localhost:8000", "origin": "https://evil.example"}, "")[0]
    403
    """

    def __init__(self, settings: GatewaySettings, token: str | None, port: int | None = None) -> None:
        hosts = {settings.host, settings.dashboard_host}
        self._names = {"localhost", *(it.lower() for it in hosts)}
        self._ports = {settings.port if port is None else port, settings.dashboard_port}
        self._token = None if token is None else token.encode()

    def refusal(self, headers: dict[str, str], query: str) -> tuple[int, str] | None:
        """Return status and reason for keeping somebody out, or None.

        Parameters
        ----------
        headers : dict of str to str
            By names in small letters.
        query : str
            What stands behind the question mark; a browser's WebSocket can show a token nowhere else.
        """
        if not self._is_here(_split("//" + headers.get("host", ""))[0]):
            return 421, "the Host is not a name of this gateway; use its address, or localhost"
        origin = headers.get("origin")
        if origin is not None:
            name, port = _split(origin)
            if not self._is_here(name) or port not in self._ports:
                return 403, "pages of this Origin may not come in; open the dashboard of this market"
        if self._token is not None and not self._shown(headers, query):
            return 401, "show the market's token: Authorization: Bearer TOKEN, or ?token=TOKEN"
        return None

    def _is_here(self, name: str) -> bool:
        """Whether a name cannot have been made to point here by somebody else: an address, or one's own."""
        if name in self._names:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    def _shown(self, headers: dict[str, str], query: str) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            given = parse_qs(query).get("token", [""])[0]
        return self._token is not None and hmac.compare_digest(given.strip().encode(), self._token)


def _split(address: str) -> tuple[str, int | None]:
    """Return the name, in small letters, and the port of an address; an empty name for what is none."""
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return "", None
    return (parts.hostname or "").lower(), port or {"http": 80, "https": 443}.get(parts.scheme)
