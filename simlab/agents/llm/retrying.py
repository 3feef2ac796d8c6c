"""Ask with patience: again after a while where an endpoint is busy, broken or silent, but not for ever."""

from __future__ import annotations

from dataclasses import replace

from simlab.agents.llm.client import Client, TriedInVain
from simlab.agents.llm.exchange import Answer, Attempt, Request

__all__ = ["patiently"]

_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 60.0
_PATIENCE_S = 300.0
"""No try begins later than this after the first one."""


async def patiently(client: Client, request: Request, retries: int, spread: float) -> Answer:
    """Return an answer, or the failure of the last try.

    Waits double from half a second to a minute, and are never shorter than the endpoint asks for. An
    endpoint that asks for more than is left of five minutes is not waited for.

    Parameters
    ----------
    client : Client
    request : Request
    retries : int
        Tries beside the first.
    spread : float, 1
        In [0, 1): how far waits are stretched, up to half as long again, so that those who were refused
        together do not come back together.
    """
    from tenacity import (
        AsyncRetrying,
        RetryCallState,
        RetryError,
        retry_if_exception_type,
        stop_after_attempt,
        stop_before_delay,
    )

    attempts: list[Attempt] = []

    def wait_s(state: RetryCallState) -> float:
        own_s = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** (state.attempt_number - 1))
        return max(_error(state).retry_after_s or 0.0, own_s) * (1 + spread / 2)

    def note(state: RetryCallState) -> None:
        error, waited_ms = _error(state), round(1000 * state.upcoming_sleep, 3)
        attempts.append(Attempt(error.failure.kind, error.failure.detail, error.ms, waited_ms, error.status))

    def _error(state: RetryCallState) -> TriedInVain:
        assert state.outcome is not None
        error = state.outcome.exception()
        assert isinstance(error, TriedInVain)
        return error

    retrying = AsyncRetrying(
        retry=retry_if_exception_type(TriedInVain),
        stop=stop_after_attempt(retries + 1) | stop_before_delay(_PATIENCE_S),
        wait=wait_s,
        before_sleep=note,
    )
    try:
        answer: Answer = await retrying(client.ask, request)
    except RetryError as error:
        last = error.last_attempt.exception()
        assert isinstance(last, TriedInVain)
        answer = Answer(ms=last.ms, failure=last.failure)
    before_ms = sum(it.ms + it.waited_ms for it in attempts)
    return replace(
        answer, ms=round(answer.ms + before_ms, 3), calls=len(attempts) + 1, attempts=tuple(attempts)
    )
