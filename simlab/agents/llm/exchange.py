"""What goes to a model and what comes back, as plain data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

__all__ = ["Answer", "Attempt", "Call", "Failure", "Request"]


@dataclass(frozen=True)
class Request:
    """One question to a model.

    `messages` are as in OpenAI's chat protocol, `schema` is the JSON Schema of the answer, `tools` those
    that may be called. `asker` and `occasion` (step and call) tell equal questions apart.
    """

    messages: list[dict[str, Any]]
    schema: dict[str, Any] | None
    tools: list[dict[str, Any]] | None
    asker: str
    occasion: str

    def text(self, parameters: Mapping[str, Any]) -> str:
        """Return all that decides the answer, always written in the same way."""
        content = {"messages": self.messages, "schema": self.schema, "tools": self.tools, **parameters}
        return json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))

    @staticmethod
    def hash_of(text: str) -> str:
        """Return 16 hexadecimal digits that stand for a request's text."""
        return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


@dataclass(frozen=True)
class Call:
    """A tool that a model wants called, with its arguments as the JSON text that it wrote."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True)
class Failure:
    """Why there is no answer: a short word for counting, and the whole story."""

    kind: str
    detail: str


@dataclass(frozen=True)
class Attempt:
    """One try that failed: why, how long it took, and how long was waited after it, milliseconds.

    `status` is that of HTTP; None where no response came.
    """

    kind: str
    detail: str
    ms: float
    waited_ms: float = 0.0
    status: int | None = None


@dataclass(frozen=True)
class Answer:
    """What came back, or why nothing did.

    `ms` is the time from the question to the answer, with all tries. `calls` counts tries, `cached` those
    of them that a cassette answered for; `cost` is in currency.
    """

    text: str = ""
    tool_calls: tuple[Call, ...] = ()
    tokens_in: int = 0
    tokens_out: int = 0
    ms: float = 0.0
    cost: float = 0.0
    calls: int = 1
    cached: int = 0
    request_hash: str = ""
    failure: Failure | None = None
    finish: str = "stop"
    attempts: tuple[Attempt, ...] = ()

    def to_json(self) -> str:
        """Return all but the cost and whether it is cached, as text."""
        content = asdict(self)
        for name in ("cost", "cached", "request_hash"):
            del content[name]
        return json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str, request_hash: str) -> Answer:
        """Return an answer that was kept, as one that is cached."""
        content = json.loads(text)
        failure = content.pop("failure")
        calls = tuple(Call(**it) for it in content.pop("tool_calls"))
        attempts = tuple(Attempt(**it) for it in content.pop("attempts"))
        return cls(
            **content,
            tool_calls=calls,
            attempts=attempts,
            failure=Failure(**failure) if failure else None,
            request_hash=request_hash,
            cached=int(content["calls"]),
        )

    def priced(self, price_input: float | None, price_output: float | None) -> Answer:
        """Return the answer with what it costs, by prices in currency per million tokens."""
        if price_input is None:
            return self
        cost = (self.tokens_in * price_input + self.tokens_out * (price_output or 0.0)) / 1e6
        return replace(self, cost=cost)
