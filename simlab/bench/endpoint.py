"""An endpoint that speaks OpenAI's protocol and answers by a script: for benchmarks and tests, on loopback.

Run as a process of its own, ``python -m simlab.bench.endpoint [--delay-ms 200]``, it writes its address as
a line of JSON and ends when its standard input does. The last message's text may hold a line ``behave:
NAME``, which says how to misbehave; without one it answers ``{"reason": ..., "orders": []}`` after the
delay. It counts the requests under way.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import sys
from collections.abc import Callable
from typing import Any

__all__ = ["BEHAVIOURS", "main"]

_HOLD = '{"reason": "nothing to do", "orders": []}'
_BEHAVE = re.compile(r"^behave: (\S+)$", re.MULTILINE)
_seen: dict[str, int] = {}
"""How often each request's text came, so that a behaviour can change when it is repeated."""


class _Reply:
    """What goes back: a status, headers and a body; or nothing, and the connection is cut."""

    def __init__(
        self, status: int, body: str, headers: dict[str, str] | None = None, cut: bool = False
    ) -> None:
        self.status, self.body, self.headers, self.cut = status, body, headers or {}, cut


def _said(text: str | None, *, finish: str = "stop", **more: Any) -> _Reply:
    message = {"role": "assistant", "content": text} | more
    usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
    choice = {"index": 0, "message": message, "finish_reason": finish}
    body = {
        "id": "x",
        "object": "chat.completion",
        "created": 0,
        "model": "fake",
        "choices": [choice],
        "usage": usage,
    }
    return _Reply(200, json.dumps(body))


def _error(status: int, message: str, **headers: str) -> _Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return _Reply(status, json.dumps({"error": {"message": message, "code": None}}), named)


def _order(**fields: Any) -> str:
    return json.dumps({"reason": "because", "orders": [fields]})


def _once(first: _Reply) -> Callable[[dict[str, Any], int], _Reply]:
    return lambda request, times: first if times == 0 else _said(_HOLD)


def _always(reply: _Reply) -> Callable[[dict[str, Any], int], _Reply]:
    return lambda request, times: reply


BEHAVIOURS: dict[str, Callable[[dict[str, Any], int], _Reply]] = {
    "hold": _always(_said(_HOLD)),
    "busy_once": _once(_error(429, "slow down", retry_after="0.2")),
    "busy": _always(_error(429, "slow down", retry_after="0")),
    "busy_for_an_hour": _always(_error(429, "come back later", retry_after="3600")),
    "broken_once": _once(_error(500, "internal error")),
    "broken": _always(_error(503, "overloaded")),
    "cut_once": _once(_Reply(200, "", cut=True)),
    "cut": _always(_Reply(200, "", cut=True)),
    "malformed_body": _always(_Reply(200, '{"choices": [')),
    "no_choices": _always(_Reply(200, "{}")),
    "malformed_json": _always(_said('{"reason": "half of it')),
    "refusal": _always(_said(None, refusal="I cannot give financial advice.")),
    "exhausted": _always(_said('{"reason": "and so', finish="length")),
    "wrong_types": _always(_said(json.dumps({"reason": 7, "orders": "none"}))),
    "absurd": _always(_said(_order(action="buy", price=10**15, quantity=10**12))),
    "french": _always(_said("Je pense qu'il faut acheter dix actions.")),
    "fenced": _always(_said(f"Here you are:\n```json\n{_HOLD}\n```\nGood luck!")),
    "unknown_model": _always(_error(404, "there is no such model")),
    "bad_key": lambda request, times: _error(401, f"wrong key {request['_key']}"),
    "stall": _always(_Reply(200, "", headers={"x-stall": "1"})),
    "market_buy": _always(_said(_order(action="buy", quantity=1))),
}
"""What can be asked for, by name."""


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay_s: float) -> None:
    try:
        while await _one(reader, writer, delay_s):
            pass
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def _one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay_s: float) -> bool:
    """Answer one request; return whether the connection goes on."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in head[1:] if ": " in line)
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    request = json.loads(body or b"{}")
    request["_key"] = headers.get("authorization", "").removeprefix("bearer ")
    reply = _reply_to(request, body.decode())
    wait_s = 3600.0 if "x-stall" in reply.headers else _delay_s(request, delay_s)
    await asyncio.sleep(wait_s)
    if reply.cut:
        return False
    content = reply.body.encode()
    lines = [
        f"HTTP/1.1 {reply.status} {'OK' if reply.status == 200 else 'Error'}",
        "content-type: application/json",
    ]
    lines += [
        f"content-length: {len(content)}",
        *(f"{name}: {value}" for name, value in reply.headers.items()),
    ]
    writer.write("\r\n".join([*lines, "", ""]).encode() + content)
    await writer.drain()
    return True


def _reply_to(request: dict[str, Any], body: str) -> _Reply:
    text = str((request.get("messages") or [{}])[-1].get("content") or "")
    wanted = _BEHAVE.findall("\n".join(str(it.get("content")) for it in request.get("messages") or ()))
    name = wanted[-1] if wanted else "hold"
    times = _seen[body] = _seen.get(body, -1) + 1
    if name.startswith("say="):
        return _said(name.removeprefix("say=").replace("%20", " "))
    return BEHAVIOURS[name](request | {"text": text}, times)


def _delay_s(request: dict[str, Any], delay_s: float) -> float:
    """Return how long an answer takes: the same for all, or where the text says jitter, by its letters."""
    text = json.dumps(request.get("messages"))
    return delay_s * (1 + sum(map(ord, text)) % 7) if "jitter" in text else delay_s


async def _listen(delay_s: float) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _serve(reader, writer, delay_s)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1 << 24)
    port = server.sockets[0].getsockname()[1]
    print(json.dumps({"base_url": f"http://127.0.0.1:{port}/v1"}), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    os._exit(0)  # whoever is stalled waits for nothing more


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--delay-ms", type=float, default=0.0)
    arguments = parser.parse_args()
    asyncio.run(_listen(arguments.delay_ms / 1000))


if __name__ == "__main__":
    main()
