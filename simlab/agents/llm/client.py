"""Ask an endpoint that speaks OpenAI's protocol, once: what it answers, or a failure with a stable name.

langchain-openai does the asking; nothing in here waits, repeats or remembers.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NoReturn
from urllib.parse import urlsplit

from simlab.agents.llm.exchange import Answer, Call, Failure, Request
from simlab.agents.llm.settings import Settings
from simlab.errors import LlmError

__all__ = ["Client", "TriedInVain"]

_LONGEST_DETAIL = 300
_LETTERS_PER_TOKEN = 4
_SHORTEST_SECRET = 6
"""Letters of a key, from its front or its end, by which a word that shows a part of it is known."""


@dataclass
class TriedInVain(Exception):  # noqa: N818
    """A try that may be repeated; `retry_after_s` is how long the endpoint asks to wait, if it does."""

    failure: Failure
    ms: float
    status: int | None = None
    retry_after_s: float | None = None


class Client:
    """A connection pool to one endpoint; it belongs to the event loop that it is first used on.

    Parameters
    ----------
    settings : Settings
    base_url : str
        The endpoint's address.

    Raises
    ------
    LlmError
        When there is no key, or langchain-openai is not installed.
    """

    def __init__(self, settings: Settings, base_url: str) -> None:
        self._settings = settings
        self._key = settings.key()
        try:
            from langchain_openai import ChatOpenAI
            from openai import DefaultAsyncHttpxClient
        except ImportError as error:
            raise LlmError(
                f"language models need packages that are not installed ({error.name}); install them with"
                ' pip install "simlab[llm]"'
            ) from error
        loopback = urlsplit(base_url).hostname in ("127.0.0.1", "::1", "localhost")
        # a proxy of this machine's surroundings cannot reach what listens on this machine alone
        self._http = DefaultAsyncHttpxClient(timeout=settings.timeout_s, trust_env=not loopback)
        named: dict[str, Any] = {"temperature": settings.temperature, "seed": settings.seed}
        # OpenAI's own endpoint calls the limit max_completion_tokens, all others know the former name only
        limit = {"max_tokens": settings.max_tokens} if settings.max_tokens is not None else {}
        named |= limit if settings.is_openai else {}
        self._body: dict[str, Any] = {} if settings.is_openai else limit
        self._model = ChatOpenAI(
            model=settings.model,
            api_key=self._key or "none",  # type: ignore[arg-type]
            base_url=base_url,
            max_retries=0,
            timeout=settings.timeout_s,
            http_async_client=self._http,
            **{name: value for name, value in named.items() if value is not None},
        )

    def __reduce__(self) -> NoReturn:
        raise TypeError("a client is not pickled: it has open connections and a key")

    async def ask(self, request: Request) -> Answer:
        """Return what the model answers; a failure that asking again would not mend is an answer too.

        Raises
        ------
        TriedInVain
            When the endpoint is busy, broken, silent or out of reach.
        """
        began_s = time.perf_counter()
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                message = await self._model.ainvoke(request.messages, **self._arguments(request))
        except Exception as error:
            ms = _ms_since(began_s)
            failure, again, response = self._failure(error)
            if again:
                after_s = _retry_after_s(response.headers) if response is not None else None
                status = response.status_code if response is not None else None
                raise TriedInVain(failure, ms, status, after_s) from None
            return Answer(ms=ms, failure=failure)
        return self._without_key(_answer(request, message, _ms_since(began_s)))

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    def _arguments(self, request: Request) -> dict[str, Any]:
        body = dict(self._body)
        if request.schema is not None and self._settings.output == "json_schema":
            wanted = {"name": "decision", "schema": request.schema, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": wanted}
        elif request.schema is not None and self._settings.output == "json_mode":
            body["response_format"] = {"type": "json_object"}
        return {"extra_body": body} | ({"tools": request.tools} if request.tools else {})

    def _failure(self, error: Exception) -> tuple[Failure, bool, Any]:
        """Return what failed, whether to ask again, and the response, where there is one."""
        import openai

        if isinstance(error, TimeoutError | openai.APITimeoutError):
            return Failure("timeout", f"no answer within {self._settings.timeout_s:g} s"), True, None
        told, response = f"{type(error).__name__}: {error}", None
        if isinstance(error, openai.APIStatusError):
            kind, again = _of_status(error.status_code, str(error.code or ""))
            response = error.response
        elif isinstance(error, openai.APIConnectionError):
            kind, again = "connection", True
            told += f" ({error.__cause__})" if str(error.__cause__ or "") else ""
        else:  # whatever libraries make of a body that is not what it should be
            kind, again = "malformed response", False
        return Failure(kind, self._clean(told)), again, response

    def _without_key(self, answer: Answer) -> Answer:
        """Return an answer in which the endpoint does not repeat the key.

        What a model says is searched for the whole of a long key only: a short one is no secret, as local
        servers take any word, and a part of one may be a word.
        """
        failure = answer.failure
        if failure is not None:
            answer = replace(answer, failure=Failure(failure.kind, self._clean(failure.detail)))
        if self._key is None or len(self._key) < 2 * _SHORTEST_SECRET:
            return answer
        key = re.compile(re.escape(self._key), re.IGNORECASE)
        calls = (
            Call(key.sub("***", it.id), key.sub("***", it.name), key.sub("***", it.arguments))
            for it in answer.tool_calls
        )
        return replace(answer, text=key.sub("***", answer.text), tool_calls=tuple(calls))

    def _clean(self, text: str) -> str:
        """Return a text in one line, without the key or a word that shows a part of it, whoever said it."""
        line = " ".join(text.split())
        if self._key:
            line = re.sub(re.escape(self._key), "***", line, flags=re.IGNORECASE)
            if len(self._key) >= 2 * _SHORTEST_SECRET:
                ends = (self._key[:_SHORTEST_SECRET], self._key[-_SHORTEST_SECRET:])
                part = "|".join(map(re.escape, ends))
                line = re.sub(rf"[^\s'\"]*(?:{part})[^\s'\"]*", "***", line, flags=re.IGNORECASE)
        return line if len(line) <= _LONGEST_DETAIL else line[: _LONGEST_DETAIL - 3] + "..."


def _of_status(status: int, code: str) -> tuple[str, bool]:
    if status == 429:
        return ("quota", False) if "quota" in code else ("rate limited", True)
    if status >= 500 or status == 408:
        return "server error", True
    return ("refused key", False) if status in (401, 403) else ("bad request", False)


def _retry_after_s(headers: Any) -> float | None:
    """Return the seconds that an endpoint asks to wait: of Retry-After (a number, or a date), if it does."""
    header = headers.get("retry-after")
    if header is None:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        when = parsedate_to_datetime(header)
    except ValueError:
        return None
    when = when if when.tzinfo is not None else when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())


def _answer(request: Request, message: Any, ms: float) -> Answer:
    """Return what a message says, as plain data."""
    about = message.response_metadata or {}
    text = message.text if isinstance(message.text, str) else message.text()
    calls = tuple(_calls(message))
    tokens_in, tokens_out = _tokens(request, message.usage_metadata, text, calls)
    told: dict[str, Any] = {
        "ms": ms,
        "tokens_in": tokens_in,
        "tokens_out": tokens_out,
        "finish": str(about.get("finish_reason") or "stop"),
    }
    refusal = message.additional_kwargs.get("refusal")
    if refusal:
        return Answer(**told, failure=Failure("refusal", str(refusal)))
    if told["finish"] == "length":
        detail = f"the answer was cut after {tokens_out} tokens; raise llm.max_tokens"
        return Answer(**told, failure=Failure("tokens exhausted", detail))
    if told["finish"] == "content_filter":
        return Answer(**told, failure=Failure("refusal", "the endpoint's filter cut the answer"))
    return Answer(text=text, tool_calls=calls, **told)


def _tokens(request: Request, usage: Any, text: str, calls: tuple[Call, ...]) -> tuple[int, int]:
    """Return tokens read and written; estimated by letters where an endpoint does not count them."""
    if usage:
        return int(usage.get("input_tokens") or 0), int(usage.get("output_tokens") or 0)
    read = json.dumps([request.messages, request.schema, request.tools], ensure_ascii=False)
    written = text + "".join(it.name + it.arguments for it in calls)
    return -(-len(read) // _LETTERS_PER_TOKEN), -(-len(written) // _LETTERS_PER_TOKEN)


def _calls(message: Any) -> list[Call]:
    """Return the tools that a message wants called, also those whose arguments are no JSON."""
    made = [
        Call(str(it["id"]), str(it["name"]), json.dumps(it["args"], ensure_ascii=False))
        for it in message.tool_calls
    ]
    return made + [Call(str(it["id"]), str(it["name"]), str(it["args"])) for it in message.invalid_tool_calls]


def _ms_since(began_s: float) -> float:
    return round(1000 * (time.perf_counter() - began_s), 3)
