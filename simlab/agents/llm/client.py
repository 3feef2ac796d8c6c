"""Ask an endpoint that speaks OpenAI's protocol, once: what it answers, or a failure with a stable name.

langchain-openai and httpx do the asking; nothing in here waits, repeats or remembers.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from simlab.agents.llm.exchange import Answer, Call, Failure, Request
from simlab.agents.llm.settings import Settings
from simlab.errors import LlmError

__all__ = ["Client", "TriedInVain"]

_LONGEST_DETAIL = 300


@dataclass
class TriedInVain(Exception):  # noqa: N818
    """A try that may be repeated; `retry_after_s` is how long the endpoint asks to wait, if it does."""

    failure: Failure
    ms: float
    retry_after_s: float | None = None


class Client:
    """A connection pool to one endpoint; it belongs to the event loop that it is first used on.

    Parameters
    ----------
    settings : Settings
    base_url : str, optional
        The endpoint's address; OpenAI's own if None.

    Raises
    ------
    LlmError
        When there is no key, or langchain-openai is not installed.
    """

    def __init__(self, settings: Settings, base_url: str | None) -> None:
        self._settings = settings
        self._key = settings.key()
        try:
            import httpx
            from langchain_openai import ChatOpenAI
        except ImportError as error:
            raise LlmError(
                f"language models need packages that are not installed ({error.name}); install them with"
                ' pip install "simlab[llm]"'
            ) from error
        limits = httpx.Limits(
            max_connections=settings.concurrency, max_keepalive_connections=settings.concurrency
        )
        self._http = httpx.AsyncClient(limits=limits, timeout=settings.timeout_s)
        named: dict[str, Any] = {"temperature": settings.temperature, "seed": settings.seed}
        # OpenAI's own endpoint calls the limit max_completion_tokens, all others know the former name only
        named |= {"max_tokens": settings.max_tokens} if base_url is None else {}
        self._model = ChatOpenAI(
            model=settings.model,
            api_key=self._key,  # type: ignore[arg-type]
            base_url=base_url,
            max_retries=0,
            timeout=settings.timeout_s,
            http_async_client=self._http,
            **{name: value for name, value in named.items() if value is not None},
        )
        self._body: dict[str, Any] = {} if base_url is None else {"max_tokens": settings.max_tokens}

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
            failure, again, after_s = self._failure(error)
            if again:
                raise TriedInVain(failure, ms, after_s) from None
            return Answer(ms=ms, failure=failure)
        return _answer(message, _ms_since(began_s))

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    def _arguments(self, request: Request) -> dict[str, Any]:
        body = dict(self._body)
        if request.schema is not None and self._settings.output == "json_schema":
            wanted = {"name": "decision", "schema": request.schema, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": wanted}
        elif self._settings.output == "json_mode":
            body["response_format"] = {"type": "json_object"}
        return {"extra_body": body} | ({"tools": request.tools} if request.tools else {})

    def _failure(self, error: Exception) -> tuple[Failure, bool, float | None]:
        """Return what failed, whether to ask again, and after how many seconds at least."""
        import openai

        after_s: float | None = None
        if isinstance(error, TimeoutError | openai.APITimeoutError):
            kind, again = "timeout", True
            return Failure(kind, f"no answer within {self._settings.timeout_s:g} s"), again, None
        if isinstance(error, openai.APIStatusError):
            kind, again = _of_status(error.status_code, str(error.code or ""))
            after_s = _retry_after_s(error.response.headers.get("retry-after"))
        elif isinstance(error, openai.APIConnectionError):
            kind, again = "connection", True
        else:  # whatever libraries make of a body that is not what it should be
            kind, again = "malformed response", False
        cause = error.__cause__
        told = f"{error}" + (
            f" ({cause})" if cause is not None and str(cause) and kind == "connection" else ""
        )
        return Failure(kind, self._clean(f"{type(error).__name__}: {told}")), again, after_s

    def _clean(self, text: str) -> str:
        """Return a text in one line, without the key, whoever said it."""
        line = " ".join(text.split()).replace(self._key, "***")
        return line if len(line) <= _LONGEST_DETAIL else line[: _LONGEST_DETAIL - 3] + "..."


def _of_status(status: int, code: str) -> tuple[str, bool]:
    if status == 429:
        return ("quota", False) if "quota" in code else ("rate limited", True)
    if status >= 500 or status == 408:
        return "server error", True
    return ("refused key", False) if status in (401, 403) else ("bad request", False)


def _retry_after_s(header: str | None) -> float | None:
    """Return the seconds that a header Retry-After asks for: a number, or a date."""
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
    return max(0.0, (when - datetime.now(UTC)).total_seconds())


def _answer(message: Any, ms: float) -> Answer:
    """Return what a message says, as plain data."""
    usage, about = message.usage_metadata or {}, message.response_metadata or {}
    told: dict[str, Any] = {
        "ms": ms,
        "tokens_in": int(usage.get("input_tokens", 0)),
        "tokens_out": int(usage.get("output_tokens", 0)),
        "finish": str(about.get("finish_reason") or "stop"),
    }
    refusal = message.additional_kwargs.get("refusal")
    if refusal:
        return Answer(**told, failure=Failure("refusal", " ".join(str(refusal).split())[:_LONGEST_DETAIL]))
    if told["finish"] == "length":
        detail = f"the answer was cut after {told['tokens_out']} tokens; raise llm.max_tokens"
        return Answer(**told, failure=Failure("tokens exhausted", detail))
    if told["finish"] == "content_filter":
        return Answer(**told, failure=Failure("refusal", "the endpoint's filter cut the answer"))
    text = message.text if isinstance(message.text, str) else message.text()
    return Answer(text=text, tool_calls=tuple(_calls(message)), **told)


def _calls(message: Any) -> list[Call]:
    made = []
    for it in message.additional_kwargs.get("tool_calls") or ():
        function = it.get("function") or {}
        made.append(Call(str(it.get("id")), str(function.get("name")), str(function.get("arguments") or "")))
    if not made:
        import json

        made = [Call(str(it["id"]), it["name"], json.dumps(it["args"])) for it in message.tool_calls]
        made += [Call(str(it["id"]), str(it["name"]), str(it["args"])) for it in message.invalid_tool_calls]
    return made


def _ms_since(began_s: float) -> float:
    return round(1000 * (time.perf_counter() - began_s), 3)
