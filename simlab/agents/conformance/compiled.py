"""Try compiled strategies."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simlab.agents.compiled import MAX_MESSAGES, ORDERS_DTYPE, decide_once
from simlab.agents.conformance.cases import (
    ACCOUNT,
    SITUATIONS,
    Case,
    blank,
    random_case,
    situation_case,
)
from simlab.agents.conformance.rules import check_declaration, check_message, check_order_ids, require
from simlab.agents.inspection import global_draws
from simlab.agents.strategy import Calling, Strategy
from simlab.core.jit import address_of
from simlab.core.types import MESSAGE_DTYPE, MessageKind
from simlab.errors import StrategyError

__all__ = ["check_compiled_strategy", "decide"]

DECISIONS_PER_CASE = 4
"""Decisions in a row on one case, so that memory matters."""
_FIRST_ORDER_ID = 1_000_000


@lru_cache(maxsize=64)
def _compiled(strategy: Strategy) -> Any:
    return strategy.make()


def decide(strategy: Strategy, case: Case) -> NDArray[np.void]:
    """Let a compiled strategy decide once; return its messages, ``(n,) MESSAGE_DTYPE``.

    Writes the strategy's memory in ``case.me`` and moves ``case.rng`` on, as a run would.

    Raises
    ------
    AssertionError
        If the strategy sent more than `MAX_MESSAGES` messages, or changed the header of its orders.
    """
    sent = blank(ORDERS_DTYPE)
    orders = sent[0]
    orders.next_order_id, orders.account = _FIRST_ORDER_ID, ACCOUNT
    decide_once(address_of(_compiled(strategy)), case.view, case.me, case.rng, sent)
    require(orders.overflow == 0, strategy, f"sends more than {MAX_MESSAGES} messages; send fewer")
    require(orders.account == ACCOUNT, strategy, "changes the account in the header of `orders`")
    return sent["messages"][0, : orders.count].view(MESSAGE_DTYPE)


def check_compiled_strategy(strategy: Strategy, seeds: Iterable[int] = range(300)) -> None:
    """Check that a compiled strategy keeps the contract, on one random case for each seed.

    It must not fail; send at most `MAX_MESSAGES` messages, all of them well formed, at prices in range and
    on the tick, in whole lot sizes; answer the same to the same input, whatever comes later; read nothing
    that it has not asked for; and write nothing but its memory. It is also tried in each of `SITUATIONS`.

    Parameters
    ----------
    strategy : Strategy
        Of level `Calling.COMPILED`.
    seeds : iterable of int
        Each costs a few decisions.

    Raises
    ------
    AssertionError
        At the first breach; the message names the strategy, the seed and the rule.
    """
    require(strategy.level == Calling.COMPILED, strategy, f"is of level {strategy.level}, not compiled")
    check_declaration(strategy)
    _check_code(strategy)
    for situation in SITUATIONS:
        for seed in range(2):
            _check_case(strategy, situation_case(strategy, situation, seed), situation)
    for seed in seeds:
        _check_case(strategy, random_case(strategy, seed), f"seed {seed}")


def _check_case(strategy: Strategy, case: Case, name: str) -> None:
    for _ in range(DECISIONS_PER_CASE):
        _check_decision(strategy, case, f"{name}, step {case.view[0].step}")
        case.view[0].step += 1


def _check_code(strategy: Strategy) -> None:
    """Check what the source tells, and that it compiles."""
    try:
        if strategy.check is not None:
            strategy.check()
        _compiled(strategy)
    except StrategyError as error:
        raise AssertionError(str(error)) from error
    place = global_draws(strategy.code) if strategy.code is not None else None
    if place is not None:
        breach = "answers differently to the same input: it draws from a global random generator"
        require(False, strategy, f"{breach} ({place[0]}, line {place[1]})")


def _check_decision(strategy: Strategy, case: Case, where: str) -> None:
    twin, before, other = (Case(case.view.copy(), case.me.copy(), case.rng.copy()) for _ in range(3))
    other.view[0].mids[other.view[0].step :] *= (
        1.5  # of this step and later ones, while there is room for all
    )
    try:
        messages, again, ahead = decide(strategy, case), decide(strategy, twin), decide(strategy, other)
    except AssertionError:
        raise
    except Exception as error:
        raise AssertionError(
            f"strategy {strategy.name!r} fails with {type(error).__name__}: {error} ({where})"
        ) from error
    same = messages.tobytes() == again.tobytes() and case.me.tobytes() == twin.me.tobytes()
    require(same, strategy, f"answers differently to the same input ({where})")
    same = messages.tobytes() == ahead.tobytes() and case.me.tobytes() == other.me.tobytes()
    breach = "looks ahead: it answers differently when the mid prices of later steps are others; use mid_ago"
    require(same, strategy, f"{breach} ({where})")
    require(case.view.tobytes() == before.view.tobytes(), strategy, f"writes to the view ({where})")
    after = case.me.copy()
    after.memory[:] = before.me.memory
    require(after.tobytes() == before.me.tobytes(), strategy, f"writes to `me` beyond its memory ({where})")
    require(np.isfinite(case.me.memory).all(), strategy, f"remembers a number that is not finite ({where})")
    for i, message in enumerate(messages):
        place = f"message {i}, {where}"
        require(message["account"] == ACCOUNT, strategy, f"sends for account {message['account']} ({place})")
        if message["kind"] != MessageKind.CANCEL:
            same = message["instrument"] == case.view[0].instrument
            require(same, strategy, f"names another instrument ({place})")
        check_message(strategy, message, case.view[0], int(case.view[0].step), place)
    check_order_ids(strategy, messages, _FIRST_ORDER_ID)
