"""An endpoint that speaks OpenAI's protocol and answers by a script: for benchmarks and tests, on loopback.

`serving` runs it. As a process of its own, ``python -m simlab.bench.endpoint [--delay-ms 200]``, it writes
its address as a line of JSON and ends when its standard input does. A message may hold a line ``behave:
NAME``, which says how to misbehave (the last one counts), or ``behave: say=TEXT`` with %20 for spaces;
without one it answers ``{"reason": ..., "orders": []}`` after the delay.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Literal

__all__ = ["BEHAVIOURS", "main", "serving"]

_HOLD = '{"reason": "nothing to do", "orders": []}'
_BEHAVE = re.compile(r"^behave: (\S+)$", re.MULTILINE)
_STALL_S = 3600.0
_seen: dict[int, int] = {}
"""How often each request came, by its hash, so that a behaviour can change when it is repeated."""


@dataclass(frozen=True)
class _Reply:
    """What goes back: a status, headers and a body, or a part of it."""

    status: int
    body: str
    headers: dict[str, str] = field(default_factory=dict)
    kind: str = "application/json"
    share: float = 1.0
    """How much of the body is sent; below zero not even the first line is."""
    then: Literal["on", "cut", "stall"] = "on"
    """What becomes of the connection."""


_USAGE = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}


def _said(
    text: str | None, *, finish: str = "stop", usage: dict[str, int] | None = _USAGE, **more: Any
) -> _Reply:
    message = {"role": "assistant", "content": text} | more
    choice = {"index": 0, "message": message, "finish_reason": finish}
    body = {"id": "x", "object": "chat.completion", "created": 0, "model": "fake", "choices": [choice]}
    return _Reply(200, json.dumps(body | ({"usage": usage} if usage else {})))


def _error(status: int, message: str, code: str | None = None, **headers: str) -> _Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return _Reply(status, json.dumps({"error": {"message": message, "code": code}}), named)


def _tool(arguments: str) -> _Reply:
    call = {"id": "call_1", "type": "function", "function": {"name": "prices", "arguments": arguments}}
    return _said(None, finish="tool_calls", tool_calls=[call])


def _soon() -> str:
    """Return the time of the day after the next full second, as HTTP writes it."""
    return format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)


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
    "busy_until": lambda request, times: (
        _said(_HOLD) if times else _error(429, "slow down", retry_after=_soon())
    ),
    "quota": _always(_error(429, "you have no credit left", "insufficient_quota")),
    "busy_for_an_hour": _always(_error(429, "come back later", retry_after="3600")),
    "broken_once": _once(_error(500, "internal error")),
    "broken": _always(_error(503, "overloaded")),
    "cut_once": _once(_Reply(200, "", share=-1, then="cut")),
    "cut": _always(_Reply(200, "", share=-1, then="cut")),
    "cut_midway": _always(replace(_said(_HOLD), share=0.5, then="cut")),
    "stall": _always(_Reply(200, "", share=-1, then="stall")),
    "stall_midway": _always(replace(_said(_HOLD), share=0.5, then="stall")),
    "malformed_body": _always(_Reply(200, '{"choices": [')),
    "web_page": _always(_Reply(200, "<html>Welcome!</html>", kind="text/html")),
    "bad_gateway": _always(_Reply(502, "<html>Bad gateway</html>", kind="text/html")),
    "no_choices": _always(_Reply(200, "{}")),
    "malformed_json": _always(_said('{"reason": "half of it')),
    "empty": _always(_said("")),
    "uncounted": _always(_said(_HOLD, usage=None)),
    "filtered": _always(_said("I would", finish="content_filter")),
    "tool": _always(_tool('{"steps": 5}')),
    "tool_malformed": _always(_tool('{"steps": ')),
    "refusal": _always(_said(None, refusal="I cannot give financial advice.")),
    "exhausted": _always(_said('{"reason": "and so', finish="length")),
    "wrong_types": _always(_said(json.dumps({"reason": 7, "orders": "none"}))),
    "absurd": _always(_said(_order(action="buy", price=10**15, quantity=10**12))),
    "french": _always(_said("Je pense qu'il faut acheter dix actions.")),
    "fenced": _always(_said(f"Here you are:\n```json\n{_HOLD}\n```\nGood luck!")),
    "unknown_model": _always(_error(404, "there is no such model")),
    "bad_key": lambda request, times: _error(401, f"wrong key {request['_key']}"),
    "bad_key_in_part": lambda request, times: _error(
        401, f"wrong key {request['_key'][:8]}****{request['_key'][-6:]}, or {request['_key'].upper()}"
    ),
    "key_said": lambda request, times: _said(f'{{"reason": "wrong key {request["_key"]}", "orders": []}}'),
    "key_refused": lambda request, times: _said(None, refusal=f"wrong key {request['_key']}"),
    "key_called": lambda request, times: _tool(f'{{"wrong key": "{request["_key"]}"}}'),
    "echo": lambda request, times: _said(
        json.dumps({name: it for name, it in request.items() if name != "_key"})
    ),
    "market_buy": _always(_said(_order(action="buy", quantity=1))),
}
"""What can be asked for, by name."""


@contextmanager
def serving(delay_ms: float = 0.0) -> Iterator[str]:
    """Serve in a process of its own until the context ends; give the address."""
    command = [sys.executable, "-m", "simlab.bench.endpoint", "--delay-ms", str(delay_ms)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())["base_url"]
        finally:
            process.stdin.close()


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
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    request = json.loads(body or b"{}")
    request["_key"] = headers.get("authorization", "").removeprefix("Bearer ")
    reply = _reply_to(request, body.decode())
    await asyncio.sleep(_delay_s(request, delay_s))
    content = reply.body.encode()
    lines = [
        f"HTTP/1.1 {reply.status} {'OK' if reply.status == 200 else 'Error'}",
        f"content-type: {reply.kind}",
        f"content-length: {len(content)}",
        *(f"{name}: {value}" for name, value in reply.headers.items()),
    ]
    whole = "\r\n".join([*lines, "", ""]).encode() + content
    kept_back = round((1 - reply.share) * len(content))
    writer.write(whole[: len(whole) - kept_back] if reply.share >= 0 else b"")
    await writer.drain()
    if reply.then == "stall":
        await asyncio.sleep(_STALL_S)
    return reply.then == "on"


def _reply_to(request: dict[str, Any], body: str) -> _Reply:
    wanted = _BEHAVE.findall("\n".join(str(it.get("content")) for it in request.get("messages") or ()))
    name = wanted[-1] if wanted else "hold"
    times = _seen[hash(body)] = _seen.get(hash(body), -1) + 1
    if name.startswith("say="):
        return _said(name.removeprefix("say=").replace("%20", " "))
    return BEHAVIOURS[name](request, times)


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
