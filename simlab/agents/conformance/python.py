"""Try strategies written in Python, and any strategy at the level it is written at."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simlab.agents.batch import BatchOrders
from simlab.agents.conformance.cases import SITUATIONS
from simlab.agents.conformance.compiled import check_compiled_strategy
from simlab.agents.conformance.market import DrawnMarket
from simlab.agents.conformance.rules import check_declaration, check_message, check_order_ids, require
from simlab.agents.each import Desk
from simlab.agents.generators import drawn_from, global_states, remedy
from simlab.agents.strategy import Calling, Strategy, as_strategy
from simlab.agents.waiting import EventLoop
from simlab.core.types import MESSAGE_DTYPE, MessageKind

__all__ = ["check_agent_strategy", "check_batch_strategy", "check_strategy"]

_DECISIONS = 4
"""Decisions in a row on one market, so that memory matters; the strategy is copied after half of them."""
_LONG_LIFE = 64
"""Decisions of the one that lives long: what is wrong with a strategy may show when it has seen enough."""
_FIRST_ORDER_ID = 1_000_000
_KNOWN, _LATER = 3, 3
"""Steps that two futures have in common, and steps in which they differ."""

_Answer = Callable[[Any, DrawnMarket, EventLoop], NDArray[np.void]]
"""Let a strategy's object decide; return its messages."""


def check_strategy(
    strategy: Any,
    seeds: Iterable[int] = range(100),
    *,
    options: Mapping[str, Any] | None = None,
    coarse: bool = False,
    instruments: Sequence[str] | None = None,
) -> None:
    """Check that a strategy of any level keeps the contract: it respects what a market can take, always
    answers the same to the same, whatever comes later, draws from its own stream only, and survives an empty
    book, a halt and an account without cash.

    Parameters
    ----------
    strategy : Strategy, or a class or function that is declared as one
        Those of files are found by `simlab.agents.registry.resolve`.
    seeds : iterable of int
        One market is drawn for each; it costs a few decisions.
    options : mapping, optional
        The options that a population would give; for strategies written in Python.
    coarse : bool
        Try a strategy written in Python also where ticks and lots are larger than 1, and require whole ones.
    instruments : sequence of str, optional
        What is traded in every market, for a strategy written in Python that names its instruments; one or
        two if not given.

    Raises
    ------
    AssertionError
        At the first breach; the message names the strategy, the market and the rule.
    """
    found = as_strategy(strategy)
    if found is None:
        raise TypeError(
            f"check_strategy takes a strategy, or what is declared as one with a decorator, not {strategy!r}"
        )
    if found.level is Calling.COMPILED:
        check_compiled_strategy(found, seeds)
    elif found.level is Calling.BATCH:
        check_batch_strategy(found, seeds, options=options, coarse=coarse, instruments=instruments)
    else:
        check_agent_strategy(found, seeds, options=options, coarse=coarse, instruments=instruments)


def check_agent_strategy(
    strategy: Strategy,
    seeds: Iterable[int] = range(100),
    *,
    options: Mapping[str, Any] | None = None,
    coarse: bool = False,
    instruments: Sequence[str] | None = None,
) -> None:
    """Check a strategy that decides for one agent.

    It must not fail; answer the same to the same input, also after it was copied or pickled, as forks and
    checkpoints do, and after others have seen what comes later; draw from no global random generator; change
    neither its options nor what it is shown; and send well-formed messages at prices and in quantities that a
    market can take. It is also tried in each of `simlab.agents.conformance.cases.SITUATIONS`, and for 64
    decisions in a market whose prices move.

    Parameters
    ----------
    strategy : Strategy
    seeds : iterable of int
    options : mapping, optional
    coarse : bool
        Try it also where ticks and lots are larger than 1, and require whole ones.
    instruments : sequence of str, optional
        What is traded in every market; one or two if not given.

    Raises
    ------
    AssertionError
        At the first breach; the message names the strategy, the seed and the rule.

    Example
    -------
    >>> from simlab.agents.each import agent_strategy
    >>> @agent_strategy("mid_bidder", "Bids the mid price.")
    ... class MidBidder:
    ...     def decide(self, observation, orders):
    ...         orders.limit("buy", observation.market.mid, 1)
    >>> check_agent_strategy(MidBidder.strategy)
    Traceback (most recent call last):
    AssertionError: strategy 'mid_bidder' fails with StrategyError('price ... is not a whole number of ...
    """
    require(strategy.level is Calling.AGENT, strategy, f"is of level {strategy.level}, not agent")
    _check(strategy, seeds, dict(options or {}), coarse, instruments, _answer_alone)


def check_batch_strategy(
    strategy: Strategy,
    seeds: Iterable[int] = range(100),
    *,
    options: Mapping[str, Any] | None = None,
    coarse: bool = False,
    instruments: Sequence[str] | None = None,
) -> None:
    """Check a strategy that decides for a population at once; see `check_agent_strategy`."""
    require(strategy.level is Calling.BATCH, strategy, f"is of level {strategy.level}, not batch")
    _check(strategy, seeds, dict(options or {}), coarse, instruments, _answer_together)


def _check(
    strategy: Strategy,
    seeds: Iterable[int],
    options: dict[str, Any],
    coarse: bool,
    instruments: Sequence[str] | None,
    answer: _Answer,
) -> None:
    check_declaration(strategy)
    loop = EventLoop()
    try:
        for situation in SITUATIONS:
            for seed in range(2):
                market = DrawnMarket(strategy, seed, situation=situation, instruments=instruments)
                _check_market(strategy, market, situation, options, answer, loop)
        for seed in seeds:
            market = DrawnMarket(strategy, seed, coarse=coarse, instruments=instruments)
            _check_market(strategy, market, f"seed {seed}", options, answer, loop)
        for seed in range(4):
            _check_hindsight(strategy, seed, options, instruments, answer, loop)
        for seed in range(2):
            _check_long_life(strategy, seed, options, instruments, answer, loop)
    finally:
        loop.close()


def _check_market(
    strategy: Strategy,
    market: DrawnMarket,
    name: str,
    options: dict[str, Any],
    answer: _Answer,
    loop: EventLoop,
) -> None:
    """Let twins decide side by side, and from half-way on a copy and a pickled one as well."""
    given = copy.deepcopy(options)
    all_alike = [(_made(strategy, market, given, name), copy.deepcopy(market)) for _ in range(2)]
    for decision in range(_DECISIONS):
        where = f"{name}, step {all_alike[0][1].step}"
        if decision == _DECISIONS // 2:
            all_alike += _copies(strategy, *all_alike[0], where)
        names = ("", "to the same input", "after it was copied", "after it was pickled")
        first = None
        for (its, shown), how in zip(all_alike, names, strict=False):
            sent = _decided(strategy, its, shown, answer, loop, where)
            first = sent if first is None else first
            require(sent.tobytes() == first.tobytes(), strategy, f"answers differently {how} ({where})")
            shown.pass_on()
        _check_messages(strategy, first, all_alike[0][1], where)  # type: ignore[arg-type]
    require(_same(given, options), strategy, f"changes its options ({name})")


def _check_hindsight(
    strategy: Strategy,
    seed: int,
    options: dict[str, Any],
    instruments: Sequence[str] | None,
    answer: _Answer,
    loop: EventLoop,
) -> None:
    """Let one live through a market, and then another through the same that ends in another way.

    As long as nothing differs the second must do what the first did, although the first has meanwhile seen
    what comes later.
    """
    answers: list[list[bytes]] = []
    for future in (1, 2):
        market = DrawnMarket(strategy, seed, situation="an ordinary market", instruments=instruments)
        its = _made(strategy, market, copy.deepcopy(options), f"seed {seed}")
        sent = []
        for step in range(_KNOWN + _LATER):
            where = f"moving prices, seed {seed}, step {market.step}"
            sent.append(_decided(strategy, its, market, answer, loop, where).tobytes())
            if answers and step < _KNOWN:
                breach = "looks ahead: it answers differently once another of it has seen what comes later"
                remedy = "keep what it learns in the object, not in its class or module"
                require(sent[step] == answers[0][step], strategy, f"{breach} ({where}); {remedy}")
            market.move(0 if step < _KNOWN - 1 else future)
        answers.append(sent)


def _check_long_life(
    strategy: Strategy,
    seed: int,
    options: dict[str, Any],
    instruments: Sequence[str] | None,
    answer: _Answer,
    loop: EventLoop,
) -> None:
    """Let one live in a market whose prices move until its memory has filled."""
    market = DrawnMarket(strategy, seed, situation="an ordinary market", instruments=instruments)
    its = _made(strategy, market, copy.deepcopy(options), f"seed {seed}")
    for _ in range(_LONG_LIFE):
        where = f"a long life, seed {seed}, step {market.step}"
        sent = _decided(strategy, its, market, answer, loop, where)
        market.move(0)
        _check_messages(strategy, sent, market, where)


def _made(strategy: Strategy, market: DrawnMarket, options: dict[str, Any], name: str) -> Any:
    values = strategy.numbers(market.parameters[0]) if strategy.level is Calling.AGENT else {}
    try:
        return strategy.make(**values, **options)
    except Exception as error:
        raise AssertionError(f"strategy {strategy.name!r} cannot be made ({name}): {error!r}") from error


def _copies(strategy: Strategy, its: Any, market: DrawnMarket, where: str) -> list[tuple[Any, DrawnMarket]]:
    """Return a copy and a pickled one, each with the streams and the market that it goes on with."""
    ways: dict[str, Callable[[Any], Any]] = {
        "copied": copy.deepcopy,
        "pickled": lambda it: pickle.loads(pickle.dumps(it)),
    }
    made = []
    for way, again in ways.items():
        try:
            made.append(again((its, market)))
        except Exception as error:
            raise AssertionError(
                f"strategy {strategy.name!r} cannot be {way} ({where}): {error!r}"
            ) from error
    return made


def _decided(
    strategy: Strategy, its: Any, market: DrawnMarket, answer: _Answer, loop: EventLoop, where: str
) -> NDArray[np.void]:
    before, shown = global_states(), market.fingerprint()
    try:
        sent = answer(its, market, loop)
    except (Exception, SystemExit) as error:
        raise AssertionError(f"strategy {strategy.name!r} fails with {error!r} ({where})") from error
    drawn = drawn_from(before, global_states())
    require(drawn is None, strategy, f"draws from {drawn} ({where}): {remedy(strategy.level)}")
    require(market.fingerprint() == shown, strategy, f"changes what it is shown ({where})")
    return sent


def _answer_alone(its: Any, market: DrawnMarket, loop: EventLoop) -> NDArray[np.void]:
    desk = Desk(market)
    desk.open(market.seen_by(int(market.accounts[0])), _FIRST_ORDER_ID, market.news)
    _finish(its.decide(desk.observation, desk.orders), loop)
    return np.frombuffer(bytes(desk.close()), MESSAGE_DTYPE)


def _answer_together(its: Any, market: DrawnMarket, loop: EventLoop) -> NDArray[np.void]:
    orders = BatchOrders(market.accounts, market.numbers, _FIRST_ORDER_ID)
    _finish(its.decide(market.seen_by_all(), orders), loop)
    return orders.close()


def _finish(answer: Any, loop: EventLoop) -> None:
    """Wait for what an asynchronous strategy returned; raise what it raised."""
    if answer is None:
        return
    (result,) = loop.wait([answer])
    if isinstance(result, BaseException):
        raise result
    if result is not None:
        raise TypeError("decide() must return None: send messages through `orders`")


def _check_messages(strategy: Strategy, messages: NDArray[np.void], market: DrawnMarket, where: str) -> None:
    for i, message in enumerate(messages):
        known = message["kind"] in (MessageKind.LIMIT, MessageKind.MARKET)  # others name an order by its id
        view = market.views[int(message["instrument"])] if known else None
        check_message(strategy, message, view, market.step - 1, f"message {i}, {where}")
    check_order_ids(strategy, messages, _FIRST_ORDER_ID)


def _same(one: Any, other: Any) -> bool:
    try:
        return pickle.dumps(one) == pickle.dumps(other)
    except Exception:  # what cannot be pickled cannot be told apart
        return True
