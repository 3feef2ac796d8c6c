"""An endpoint for tests, in a process on loopback, and how it is asked; see `simlab.bench.endpoint`."""

from __future__ import annotations

import asyncio
from typing import Any

from simlab.agents.llm.session import Answer, Request, Session
from simlab.bench.endpoint import serving as endpoint

__all__ = ["SCHEMA", "asked", "asking", "endpoint", "replaying", "request", "settings"]

SCHEMA = {
    "type": "object",
    "properties": {"reason": {"type": "string", "maxLength": 100}},
    "required": ["reason"],
    "additionalProperties": False,
}


def settings(address: str, **more: Any) -> dict[str, Any]:
    """Return a section `llm` for the endpoint, with little patience."""
    return {"model": "fake", "base_url": address, "timeout_s": 5.0, "retries": 1} | more


def replaying(tape: Any) -> dict[str, Any]:
    """Return a section `llm` that knows no address."""
    return {"model": "fake", "cassette": {"mode": "replay", "path": str(tape)}}


def request(behave: str, asker: str = "p/0", occasion: str = "3/0", text: str = "What do you do?") -> Request:
    """Return a question that says how the endpoint is to behave."""
    content = f"{text}\nbehave: {behave}"
    return Request([{"role": "user", "content": content}], SCHEMA, None, asker, occasion)


async def asking(given: dict[str, Any], *requests: Request) -> list[Answer]:
    """Ask all at once in a session of their own."""
    session = Session(given)
    try:
        return list(await asyncio.gather(*map(session.ask, requests)))
    finally:
        await session.close()


def asked(given: dict[str, Any], *requests: Request) -> list[Answer]:
    """Ask all at once in a session, and a loop, of their own."""
    return asyncio.run(asking(given, *requests))
