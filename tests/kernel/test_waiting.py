"""`async def decide`: one event loop a run on a thread of its own; who waits with whom, who is told what."""

from __future__ import annotations

import asyncio
import gc
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest
from small_markets import population, run, simulation

from simlab.agents.batch import batch_strategy
from simlab.agents.each import Parameter, agent_strategy
from simlab.agents.waiting import EventLoop
from simlab.errors import StrategyError
from simlab.kernel import Population

PATIENCE_S = 20.0
"""How long a rendezvous waits that would never come about if agents waited one after the other."""


@agent_strategy(
    "async_scripted",
    "Does what a script says.",
    (Parameter("number", 0, "1", "Its place."),),
    options=("script",),
)
class AsyncScripted:
    """Awaits ``script(number, observation, orders)`` each time it acts."""

    def __init__(self, number: float, script: Callable[..., Any]) -> None:
        self.number, self.script = int(number), script

    async def decide(self, observation, orders) -> None:
        return await self.script(self.number, observation, orders)


@batch_strategy("async_batch", "Does what a script says.", options=("script",))
class AsyncBatch:
    """Awaits ``script(observation, orders)``."""

    def __init__(self, script: Callable[..., Any]) -> None:
        self.script = script

    async def decide(self, observation, orders) -> None:
        await self.script(observation, orders)


def waiting(script: Callable[..., Any], count: int = 1, name: str = "w") -> Population:
    return population(name, AsyncScripted.strategy, count, options={"script": script})


def threads() -> list[threading.Thread]:
    return [it for it in threading.enumerate() if it.name == "simlab strategies" and it.is_alive()]


def test_a_client_is_kept_on_one_loop_also_inside_a_running_one() -> None:
    loops: set[Any] = set()

    async def look(*_: Any) -> None:
        loops.add(asyncio.get_running_loop())
        await asyncio.sleep(0)

    async def notebook() -> asyncio.AbstractEventLoop:
        batch = population("b", AsyncBatch.strategy, 2, options={"script": look})
        run(waiting(look, 3), batch, steps=4)
        return asyncio.get_running_loop()

    outer = asyncio.run(notebook())
    assert len(loops) == 1
    assert outer not in loops


def test_under_simultaneous_activation_a_population_waits_together() -> None:
    barriers: dict[int, asyncio.Barrier] = {}

    async def meet(number: int, observation, orders) -> None:
        barrier = barriers.setdefault(observation.step, asyncio.Barrier(5))
        place = await asyncio.wait_for(barrier.wait(), PATIENCE_S)
        await asyncio.sleep(0.001 * place)
        orders.limit("buy", 100 + number, 1)
        orders.limit("buy", 200 + number, 1)

    market, log = run(waiting(meet, 5), steps=3, simultaneous=True)
    assert market.messages == 30
    again, other = run(waiting(meet_again(5), 5), steps=3, simultaneous=True)
    assert sorted(log.all["price"].tolist()) == sorted(other.all["price"].tolist())
    assert market.event_log_hash == again.event_log_hash  # whoever is done first


def meet_again(count: int) -> Callable[..., Any]:
    """Return a script that sends the same in another order of time."""

    async def script(number: int, observation, orders) -> None:
        await asyncio.sleep(0.001 * (count - number))
        orders.limit("buy", 100 + number, 1)
        orders.limit("buy", 200 + number, 1)

    return script


def test_under_sequential_activation_one_waits_after_the_other() -> None:
    present, seen = [0], []

    async def alone(number: int, observation, orders) -> None:
        present[0] += 1
        await asyncio.sleep(0.001)
        assert present[0] == 1
        seen.append(observation.best_bid)
        orders.limit("buy", 100 + len(seen), 1)
        present[0] -= 1

    run(waiting(alone, 3), steps=2)
    assert seen == [None, 101, 102, 103, 104, 105]


@pytest.mark.parametrize("simultaneous", [False, True])
def test_a_failure_names_its_agent_and_those_who_wait_for_it_are_cancelled(simultaneous: bool) -> None:
    ends: list[str] = []

    async def fail(number: int, observation, orders) -> None:
        if number == 2 and observation.step == 1:
            raise TimeoutError("no answer")
        if simultaneous and observation.step == 1:
            try:
                await asyncio.sleep(PATIENCE_S)
            finally:
                ends.append("cancelled")

    with pytest.raises(
        StrategyError, match=rf"w/2: .*step 1 \(TimeoutError: no answer\), in {__file__}, line"
    ):
        run(waiting(fail, 3), steps=3, simultaneous=simultaneous)
    assert ends == ["cancelled"] * (2 if simultaneous else 0)


async def exits(*_: Any) -> None:
    raise SystemExit(3)


async def exits_in_a_task(*_: Any) -> None:
    await asyncio.gather(asyncio.sleep(0), exits())


async def cancels_itself(*_: Any) -> None:
    raise asyncio.CancelledError


async def answers(*_: Any) -> Any:
    return ["buy"]


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (exits, "SystemExit: 3"),
        (exits_in_a_task, "SystemExit: 3"),
        (cancels_itself, "CancelledError"),
        (answers, "send messages through `orders`"),
    ],
)
@pytest.mark.parametrize("simultaneous", [False, True])
def test_what_ends_no_run_by_itself_is_the_strategys_failure(script, message, simultaneous: bool) -> None:
    with pytest.raises(
        StrategyError, match=rf"w/\d: strategy 'async_scripted' failed at step 0 \(.*{message}"
    ):
        run(waiting(script, 2), steps=1, simultaneous=simultaneous)


@pytest.mark.parametrize("simultaneous", [False, True])
def test_an_interruption_cancels_what_waits_and_stays_one(simultaneous: bool) -> None:
    ended = threading.Event()

    async def wait(number: int, *_: Any) -> None:
        try:
            if number == 0:
                signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            await asyncio.sleep(PATIENCE_S)
        except asyncio.CancelledError:
            ended.set()
            raise

    market = simulation(waiting(wait), steps=1, simultaneous=simultaneous)
    with pytest.raises(KeyboardInterrupt):
        market.advance()
    assert ended.wait(PATIENCE_S)


async def interrupts(*_: Any) -> None:
    raise KeyboardInterrupt


def test_an_interruption_that_a_strategy_raises_is_none_of_its_failures() -> None:
    with pytest.raises(KeyboardInterrupt):
        run(waiting(interrupts), steps=1)


def test_what_a_task_sends_after_the_decision_reaches_nobody() -> None:
    late: list[Exception] = []
    tasks: list[asyncio.Task[None]] = []

    async def send_later(observation, orders) -> None:
        await asyncio.sleep(0.005)
        try:
            orders.limit("buy", 100, 1)
        except StrategyError as error:
            late.append(error)

    async def start(number: int, observation, orders) -> None:
        tasks.append(asyncio.create_task(send_later(observation, orders)))
        await asyncio.sleep(0.02 if observation.step == 1 else 0)

    market, _ = run(waiting(start), steps=2)
    assert market.messages == 1  # the task of step 1 was done while its decision was
    assert ["the decision is over" in str(it) for it in late] == [True]


def test_threads_end_with_their_market_and_a_fork_has_its_own() -> None:
    async def think(number: int, observation, orders) -> None:
        await asyncio.sleep(0)
        orders.limit("buy", 100 + observation.step, 1)

    gc.collect()
    assert not threads()
    market = simulation(waiting(think, 2), steps=6)
    market.advance(3)
    fork = market.fork()
    fork.advance()
    market.advance()
    assert len(threads()) == 2
    assert market.event_log_hash == fork.event_log_hash
    del market, fork
    gc.collect()
    assert not threads()


def test_a_loop_that_was_closed_begins_anew() -> None:
    gc.collect()
    loop = EventLoop()
    assert loop.wait([asyncio.sleep(0, 1)]) == [1]
    loop.close()
    assert not threads()
    assert loop.wait([asyncio.sleep(0, 2)]) == [2]
    loop.close()
    assert not threads()


def test_closing_ends_what_still_runs() -> None:
    ended = threading.Event()

    async def forever() -> None:
        try:
            await asyncio.sleep(PATIENCE_S)
        finally:
            ended.set()

    async def start() -> None:
        tasks.append(asyncio.ensure_future(forever()))
        await asyncio.sleep(0)

    tasks: list[Any] = []
    loop = EventLoop()
    loop.wait([start()])
    loop.close()
    assert ended.is_set()
