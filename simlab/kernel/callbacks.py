"""Let strategies written in Python act: keep their objects, call them, and send what they answer."""

from __future__ import annotations

import inspect
import traceback
import warnings
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simlab.agents.batch import BatchOrders
from simlab.agents.compiled import MAX_MESSAGES as MOST_COMPILED
from simlab.agents.decisions import Asides
from simlab.agents.each import MAX_MESSAGES, Desk
from simlab.agents.generators import Watch, drawn_from, global_states, remedy
from simlab.agents.inspection import definition, global_draws
from simlab.agents.registry import source_file
from simlab.agents.strategy import Calling
from simlab.agents.waiting import EventLoop
from simlab.core.types import MESSAGE_DTYPE
from simlab.errors import LlmError, RunWarning, SimlabError, StrategyError
from simlab.kernel.decisions import Decisions, Tally, Turn, decide_in_turn, gathered, thinking
from simlab.kernel.hosting import PopulationHost, forget
from simlab.kernel.loop import decide_alone
from simlab.kernel.remembering import Memory, told
from simlab.kernel.spec import Population, SimulationSpec
from simlab.kernel.state import State
from simlab.kernel.witness import sight

__all__ = ["Callbacks", "put_messages"]

_MESSAGE_BYTES = 64
_ROOT = Path(__file__).resolve().parent.parent
_PYTHON = (Calling.BATCH, Calling.AGENT)
_TOGETHER = -1
"""In place of an agent: the population as a whole."""


def put_messages(state: State, messages: bytes | bytearray | NDArray[Any]) -> None:
    """Append messages, 64 bytes each, to the outbox; they are delivered when the loop goes on."""
    given = np.frombuffer(messages, np.uint8) if isinstance(messages, bytes | bytearray) else messages
    given = given.view(np.uint8).reshape(-1)
    if not len(given):
        return
    start = int(state.clock["out_count"][0]) + 1
    end = start + len(given) // _MESSAGE_BYTES
    if end > len(state.outbox):
        larger = np.zeros(2 * end, state.outbox.dtype)
        larger[:start] = state.outbox[:start]
        state.outbox = larger
    state.outbox[start:end].view(np.uint8)[:] = given
    state.clock["out_count"] = end - 1


class _Outbox:
    """The outbox as an agent's decision fills it: most send a message or two, and that often."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._next_order_id, self._out_count = state.clock["next_order_id"], state.clock["out_count"]
        self._table: NDArray[Any] | None = None
        self._memory = memoryview(b"")

    def put(self, messages: bytearray, next_id: int) -> None:
        """Append messages; the next order gets the id `next_id`."""
        self._next_order_id[0] = next_id
        if not messages:
            return
        state = self._state
        if self._table is not state.outbox:
            self._table = state.outbox
            self._memory = self._table.view(np.uint8).data
        start = _MESSAGE_BYTES * (int(self._out_count[0]) + 1)
        end = start + len(messages)
        if end > len(self._memory):
            put_messages(state, messages)
            return
        self._memory[start:end] = messages
        self._out_count[0] = end // _MESSAGE_BYTES - 1


@dataclass
class _Actor:
    """One agent that decides alone."""

    decide: Callable[..., Any]
    desk: Desk
    p: int
    waits: bool
    """Whether its decisions are asynchronous."""


class Callbacks:
    """All strategies of a market that are written in Python.

    Parameters
    ----------
    spec : SimulationSpec
    state : State
        What they observe; their messages go into its outbox.
    memory : optional
        What `remember` returned, to go on from.
    """

    def __init__(self, spec: SimulationSpec, state: State, memory: bytes | None = None) -> None:
        self._begin(spec, state, Memory() if memory is None else Memory.unpickled(memory), set())

    def _begin(self, spec: SimulationSpec, state: State, memory: Memory, warned: set[int]) -> None:
        self._spec, self._state, self._memory = spec, state, memory
        self.news: Sequence[Any] = ()
        """News that can be seen."""
        self._loop = EventLoop()
        self._resources: dict[Hashable, Any] = {}
        self._hosts: dict[int, PopulationHost] = {}
        self._actors: dict[int, _Actor] = {}
        self._answers: dict[int, Turn] = {}
        """What agents that decided ahead of their turn have sent."""
        self._warned = warned
        self._cast, self._chains = spec.cast, spec.chains
        self._watch = Watch(len(self._cast))
        self._outbox = _Outbox(state)
        self._seen = state.seen.view(np.int64)
        self.decisions = Decisions(spec, memory.tallies)
        self._explains = [len(chain) > 1 for chain in self._chains]
        """Which populations fall back on others, or have said something beside their messages."""
        for row, population in enumerate(self._cast):
            if population.strategy.level in _PYTHON:
                before = global_states()
                self._enter(row, population)
                self._warn_of_draw(row, drawn_from(before, global_states()))
            else:
                self._warn_of_compiled_draw(row, population)

    def copy(self, state: State) -> Callbacks:
        """Return strategies that remember the same and observe another state.

        Raises
        ------
        StrategyError
            When an object cannot be copied.
        """
        memory = self._memory.copy()
        other = Callbacks.__new__(Callbacks)
        other._begin(self._spec, state, memory, set(self._warned))
        other.news, other._answers = self.news, dict(self._answers)
        return other

    def remember(self) -> bytes:
        """Return what all strategies remember, to be kept with the state.

        Raises
        ------
        StrategyError
            When an object cannot be pickled.
        """
        return self._memory.pickled()

    def close(self) -> None:
        """Close what strategies keep open, and end the thread on which they wait; `act` begins it anew."""
        resources, self._resources = list(self._resources.values()), {}
        for host in self._hosts.values():
            host.resources = self._resources
        closing = [it.close() for it in resources if hasattr(it, "close")]
        waiting = [it for it in closing if inspect.isawaitable(it)]
        failed = self._loop.wait(waiting) if waiting else []
        self._loop.close()
        for error in failed:
            if isinstance(error, BaseException):
                raise error

    @property
    def resources(self) -> Sequence[Any]:
        """What strategies keep open now."""
        return tuple(self._resources.values())

    @property
    def tallies(self) -> Mapping[int, Tally]:
        """Who decided how often, by population."""
        return self._memory.tallies

    def _enter(self, row: int, population: Population) -> None:
        memory = self._memory
        host = self._hosts[row] = PopulationHost(
            self._spec,
            self._state,
            row,
            streams=memory.streams.setdefault(row, {}),
            shared=memory.shared,
            resources=self._resources,
        )
        if population.strategy.level is Calling.BATCH:
            if row not in memory.objects:
                memory.objects[row] = [self._make(population, {})]
            return
        if row not in memory.objects:
            given = np.asarray(population.parameters, np.float64).tolist()
            named = population.strategy.numbers
            memory.objects[row] = [self._make(population, named(it)) for it in given]
        first, desk = int(self._state.populations["first"][row]), Desk(host)
        if row < len(self._spec.populations):
            waiting: dict[Any, bool] = {}
            for i, its in enumerate(memory.objects[row]):
                code = getattr(its.decide, "__func__", its.decide)
                waits = waiting.get(code)
                if waits is None:  # asking is slow, and mostly all have one function
                    waits = waiting[code] = inspect.iscoroutinefunction(code)
                self._actors[first + i] = _Actor(its.decide, desk, row, waits)

    def _make(self, population: Population, values: dict[str, float]) -> Any:
        try:
            return population.strategy.make(**values, **population.options)
        except (SimlabError, KeyboardInterrupt):
            raise
        except BaseException as error:
            raise StrategyError(
                f"populations.{population.name}: strategy {population.strategy.name!r} could not be made "
                f"({told(error)}){_place(error, population)}"
            ) from error

    def act(self) -> None:
        """Let the agent whose turn it is decide, and put its messages into the outbox."""
        seen = self._seen.tolist()
        agent, next_id = seen[1], seen[-1]
        actor = self._actors[agent]
        if actor.waits:
            self._act_and_wait(actor, agent, seen)
            return
        desk, watch = actor.desk, self._watch
        desk.open(seen, next_id, self.news)
        watch.left[actor.p] -= 1
        looks = watch.left[actor.p] < 0
        if looks:
            watch.begin()
        try:
            answer = actor.decide(desk.observation, desk.orders)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise self._failure(actor.p, agent, error) from error
        if answer is not None:
            self._wait([answer], actor.p, [agent])
        if looks:
            self._warn_of_draw(actor.p, watch.end(actor.p))
        asides, p = desk.asides, actor.p
        if asides is None and not self._explains[p]:
            self._outbox.put(desk.close(), desk.orders.next_id)
        else:
            self._state.clock["next_order_id"] = desk.orders.next_id
            self._conclude(p, self._turn_of(p, agent, desk))

    def _turn_of(self, row: int, agent: int, desk: Desk) -> Turn:
        """Return what an agent decided, at the end of its decision."""
        asides = desk.asides or Asides()
        try:
            sent = np.frombuffer(bytes(desk.close()), MESSAGE_DTYPE)
        except StrategyError as error:
            raise self._failure(row, agent, error) from error
        return Turn(row, np.array([agent]), sent, asides)

    def _conclude(self, p: int, first: Turn) -> None:
        """Let what a population falls back on decide for whom it is passed; send what all have decided."""
        if not (first.asides or self._explains[p]):
            put_messages(self._state, first.messages)
            return
        turns = decide_in_turn(first, self._chains[p], self._ask)
        self._explains[p] = True
        said = bool(first.asides) or len(self._chains[p]) > 1
        self.decisions.add(p, int(self._state.clock["step"][0]), turns, written=said)
        self._state.agents["thinking"][first.agents] = thinking(turns)
        put_messages(self._state, gathered(turns))

    def _ask(self, row: int, agents: NDArray[np.int64]) -> Turn:
        """Let a strategy decide for some agents at once, and return what they send."""
        level = self._cast[row].strategy.level
        if level is Calling.BATCH:
            return self._ask_together(row, agents)
        if level is Calling.AGENT:
            return self._ask_each(row, agents.tolist())
        return self._ask_compiled(row, agents.tolist())

    def _ask_each(self, row: int, agents: list[int]) -> Turn:
        host, objects = self._hosts[row], self._memory.objects[row]
        first = int(self._state.populations["first"][row])
        desks, awaited = [Desk(host) for _ in agents], []
        next_id = int(self._state.clock["next_order_id"][0])
        with self._watched(row):
            for i, (agent, desk) in enumerate(zip(agents, desks, strict=True)):
                desk.open(host.seen_by(agent), next_id + i * MAX_MESSAGES, self.news)
                try:
                    answer = objects[agent - first].decide(desk.observation, desk.orders)
                except KeyboardInterrupt:
                    raise
                except BaseException as error:
                    raise self._failure(row, agent, error) from error
                if answer is not None:
                    awaited.append((agent, answer))
            if awaited:
                self._wait([it[1] for it in awaited], row, [it[0] for it in awaited])
        self._state.clock["next_order_id"] = next_id + len(agents) * MAX_MESSAGES
        turns = [self._turn_of(row, agent, desk) for agent, desk in zip(agents, desks, strict=True)]
        asides = Asides.joined([turn.asides for turn in turns])
        return Turn(row, np.array(agents), np.concatenate([it.messages for it in turns]), asides)

    def _ask_compiled(self, row: int, agents: list[int]) -> Turn:
        state, sent = self._state, [np.zeros(0, MESSAGE_DTYPE)]
        for agent in agents:
            for slot in range(int(state.populations["instruments"][row])):
                try:
                    fits = decide_alone(state.address, row, agent, slot)
                except BaseException as error:
                    raise self._failure(row, agent, error) from error
                if not fits:
                    raise self._failure(row, agent, StrategyError(f"more than {MOST_COMPILED} messages"))
                count = int(state.clock["out_count"][0])
                sent.append(state.outbox[1 : 1 + count].view(MESSAGE_DTYPE).copy())
                state.clock["out_count"] = 0
        return Turn(row, np.array(agents), np.concatenate(sent), Asides())

    def _act_and_wait(self, actor: _Actor, agent: int, seen: list[int]) -> None:
        """Let an agent decide that waits: alone, or under simultaneous activation with all of its population.

        With simultaneous activation all see the book as it was, so it does not matter when they look. Each
        has a range of order ids of its own, so it does not matter who is done first.
        """
        state = self._state
        if agent in self._answers:
            self._conclude(actor.p, self._answers.pop(agent))
            return
        clock = state.clock[0]
        if clock["simultaneous"]:
            due = state.places["actor"][int(clock["cursor"]) - 1 : int(clock["active"])].tolist()
            agents = [it for it in due if it in self._actors and self._actors[it].p == actor.p]
        else:
            agents = [agent]
        host, next_id = self._hosts[actor.p], int(clock["next_order_id"])
        desks = [Desk(host) for _ in agents]
        for i, (desk, it) in enumerate(zip(desks, agents, strict=True)):
            desk.open(seen if it == agent else host.seen_by(it), next_id + i * MAX_MESSAGES, self.news)
        with self._watched(actor.p):
            self._wait([self._decision(*it) for it in zip(agents, desks, strict=True)], actor.p, agents)
        alone = desks[0].orders.next_id
        state.clock["next_order_id"] = alone if len(agents) == 1 else next_id + len(agents) * MAX_MESSAGES
        for it, desk in zip(agents, desks, strict=True):
            self._answers[it] = self._turn_of(actor.p, it, desk)
        self._conclude(actor.p, self._answers.pop(agent))

    async def _decision(self, agent: int, desk: Desk) -> Any:
        return await self._actors[agent].decide(desk.observation, desk.orders)

    def _wait(self, answers: list[Any], p: int, agents: list[int]) -> None:
        """Wait until all that was returned by ``async def decide`` is done."""
        for answer, agent in zip(answers, agents, strict=True):
            if not inspect.isawaitable(answer):
                raise self._failure(p, agent, _no_answer_wanted())
        results = self._loop.wait(answers)
        if all(result is None for result in results):
            return
        self.close()  # the run is over, and errors live on in tracebacks
        result, agent = next(it for it in zip(results, agents, strict=True) if it[0] is not None)
        if isinstance(result, KeyboardInterrupt):
            raise result
        if isinstance(result, BaseException):
            raise self._failure(p, agent, result) from result
        raise self._failure(p, agent, _no_answer_wanted())

    def act_together(self, p: int) -> None:
        """Let the due agents of a batch population decide, and put their messages into the outbox."""
        state = self._state
        first, count = int(state.populations["first"][p]), int(state.populations["due_count"][p])
        agents = state.due[first : first + count].astype(np.int64)
        self._conclude(p, self._ask_together(p, agents))
        state.clock["activations"] += count
        forget(state.address, agents, self._hosts[p].numbers)

    def _ask_together(self, row: int, agents: NDArray[np.int64]) -> Turn:
        state, host = self._state, self._hosts[row]
        observation = host.seen_by_all(agents, tuple(self.news))
        orders = BatchOrders(agents, host.numbers, int(state.clock["next_order_id"][0]))
        with self._watched(row):
            try:
                answer = self._memory.objects[row][0].decide(observation, orders)
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                raise self._failure(row, _TOGETHER, error) from error
            if answer is not None:
                self._wait([answer], row, [_TOGETHER])
        state.clock["next_order_id"] = orders.next_id
        try:
            return Turn(row, agents, orders.close(), orders.asides)
        except StrategyError as error:
            raise self._failure(row, _TOGETHER, error) from error

    @contextmanager
    def _watched(self, p: int) -> Iterator[None]:
        """Look now and then whether a decision draws from a global random generator."""
        watch = self._watch
        watch.left[p] -= 1
        if watch.left[p] >= 0:
            yield
            return
        watch.begin()
        yield
        self._warn_of_draw(p, watch.end(p))

    def _warn_of_draw(self, p: int, drawn: str | None, place: tuple[str, int] | None = None) -> None:
        if drawn is None or p in self._warned:
            return
        self._warned.add(p)
        name, strategy = self._cast[p].name, self._cast[p].strategy
        file, line = place or _defined(strategy)
        text = f"population {name}: strategy {strategy.name!r} draws from {drawn}; {remedy(strategy.level)}"
        # A registry of its own, so that a second run in one process is warned of too
        warnings.warn_explicit(text, RunWarning, file or "<strategy>", line, registry={})

    def _warn_of_compiled_draw(self, p: int, population: Population) -> None:
        code = population.strategy.code
        own = code is None or code.__module__.startswith("simlab.")
        place = None if own else global_draws(code)
        if place is not None:
            self._warn_of_draw(p, "a global random generator", place)

    def compiled_failure(self, error: BaseException) -> StrategyError:
        """Return the error of the compiled strategy that was deciding: agent, step, file and line."""
        agent = int(self._state.clock["agent"][0])
        return self._failure(int(self._state.agents["population"][agent]), agent, error)

    def _failure(self, p: int, agent: int, error: BaseException) -> StrategyError:
        """Say whose decision failed, when and where, and what it saw."""
        population = self._cast[p]
        alone = agent != _TOGETHER
        who = self._spec.account_name(agent) if alone else f"population {population.name}"
        step = int(self._state.clock["step"][0])
        if isinstance(error, LlmError):  # nobody's code is at fault: where it came up says nothing
            return LlmError(f"{who}, step {step}: {error}")
        return StrategyError(
            f"{who}: strategy {population.strategy.name!r} failed at step {step} "
            f"({told(error)}){_place(error, population)};"
            f" it saw {sight(self._spec, self._state, p, agent if alone else None)}"
        )


def _no_answer_wanted() -> TypeError:
    return TypeError("decide() must return None: send messages through `orders`")


def _defined(strategy: Any) -> tuple[str, int]:
    """Return the file and line of a strategy's ``decide``, or of itself."""
    return (
        definition(getattr(strategy.code, "decide", strategy.code)) if strategy.code is not None else ("", 0)
    )


def _place(error: BaseException, population: Population) -> str:
    """Return the innermost line of the strategy's file that an error came through, and where it came up.

    Without any, as of most errors in compiled code, the line where the strategy is defined.
    """
    file = source_file(population.strategy)
    frames = [(Path(it.filename), it.lineno) for it in traceback.extract_tb(error.__traceback__)]
    own = [it for it in frames if it[0] == file][-1:]
    others = [it for it in frames if not it[0].is_relative_to(_ROOT) and "site-packages" not in it[0].parts]
    shown = own or others[-1:] or [_defined(population.strategy)]
    text = "".join(f", in {place}, line {line}" for place, line in shown)
    if own and others and others[-1] != own[-1] and others[-1][0] != file and frames[-1] == others[-1]:
        text += f" (raised in {others[-1][0]}, line {others[-1][1]})"
    return text
