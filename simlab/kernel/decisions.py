"""Say who decided what, and why: the order of deciding in a population, and the table `decisions`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simlab.agents.decisions import Asides, Passed
from simlab.core.types import MessageKind, Side
from simlab.kernel.spec import SimulationSpec

__all__ = ["Decisions", "Tally", "Turn", "decide_in_turn", "gathered", "thinking"]

_NOBODY = "none"
_MOST_ROWS = 4096
_NOTED = ("reason", "request", "calls", "tokens_in", "tokens_out", "cost", "ms", "cached", "facts")
_SUMMED = ("calls", "tokens_in", "tokens_out", "cost", "ms", "cached")
_CARRIED = ("request", *_SUMMED)
"""What was spent on a decision that was passed on stays with it: the reason does not, nobody acted on it."""
_COLUMNS = (
    "step", "account", "source", "strategy", "action", "fallback", *_NOTED,
    "first_order", "last_order", "orders",
)  # fmt: skip


@dataclass(frozen=True)
class Turn:
    """What one strategy decided for the agents that it was asked for.

    `row` is that of `SimulationSpec.cast`. `messages` are ``(k,) MESSAGE_DTYPE``, in the order of `agents`.
    """

    row: int
    agents: NDArray[np.int64]
    messages: NDArray[np.void]
    asides: Asides

    @property
    def passed(self) -> NDArray[np.int64]:
        """The positions of the agents that were passed on, (n,) int64, in order."""
        return np.array(sorted(self.asides.passed), np.int64)


@dataclass
class Tally:
    """How often who decided in a population, and why others before did not."""

    decisions: Counter[str] = field(default_factory=Counter)
    fallbacks: Counter[str] = field(default_factory=Counter)


def decide_in_turn(
    first: Turn, chain: Sequence[int], ask: Callable[[int, NDArray[np.int64]], Turn]
) -> list[Turn]:
    """Return the turns of all strategies of a chain that are needed, each asked for whom it is passed."""
    turns = [first]
    for row in chain[1:]:
        passed = turns[-1].passed
        if not len(passed):
            break
        turns.append(ask(row, turns[-1].agents[passed]))
    return turns


def gathered(turns: Sequence[Turn]) -> NDArray[np.void]:
    """Return the messages of all turns in the order of the first one's agents."""
    messages = np.concatenate([turn.messages for turn in turns])
    agents = turns[0].agents
    by_number = np.argsort(agents)
    rank = by_number[np.searchsorted(agents, messages["account"], sorter=by_number)]
    return messages[np.argsort(rank, kind="stable")]


def thinking(turns: Sequence[Turn]) -> NDArray[np.int64]:
    """Return the steps that each of the first turn's agents thought in all turns, (n,) int64."""
    total = turns[0].asides.thinking(len(turns[0].agents))
    at = np.arange(len(total))
    for before, turn in pairwise(turns):
        at = at[before.passed]
        total[at] += turn.asides.thinking(len(at))
    return total


class Decisions:
    """Write down who decided, and count it.

    Parameters
    ----------
    spec : SimulationSpec
    tallies : dict
        The counts so far, by population; goes on being counted in.
    """

    def __init__(self, spec: SimulationSpec, tallies: dict[int, Tally]) -> None:
        self._spec = spec
        self._tallies = tallies
        self._columns: dict[str, list[Any]] = {name: [] for name in _COLUMNS}
        self.sink: Callable[[dict[str, list[Any]]], None] | None = None
        """Who is told of the rows, as columns of the table `decisions`; nothing is kept for nobody."""

    def flush(self) -> None:
        """Hand over the rows since the last time."""
        columns, self._columns = self._columns, {name: [] for name in _COLUMNS}
        if self.sink is not None and columns["step"]:
            self.sink(columns)

    def add(self, p: int, step: int, turns: Sequence[Turn], *, written: bool = True) -> None:
        """Count what was decided for agents of a population at once; write it down if `written`."""
        tally = self._tallies.setdefault(p, Tally())
        stories: dict[int, list[str]] = {}
        spent: dict[int, dict[str, Any]] = {}
        for turn, last in zip(turns, [False] * (len(turns) - 1) + [True], strict=True):
            name = str(self._spec.cast[turn.row].strategy.decider)
            for position, why in turn.asides.passed.items():
                tally.fallbacks[f"{name} {why.kind}"] += 1
                stories.setdefault(int(turn.agents[position]), []).append(_story(name, why))
            noted = _noted(turn, spent)
            decided = np.setdiff1d(np.arange(len(turn.agents)), turn.passed)
            tally.decisions[name] += len(decided)
            if written:
                self._write(step, turn, decided, name, stories, noted)
            if last and len(turn.passed):
                tally.decisions[_NOBODY] += len(turn.passed)
                self._write(step, turn, turn.passed, _NOBODY, stories, noted)
            for position in turn.passed.tolist():
                spent[int(turn.agents[position])] = {
                    name: noted[name][position] for name in _CARRIED if name in noted
                }
        if len(self._columns["step"]) >= _MOST_ROWS:
            self.flush()

    def _write(
        self,
        step: int,
        turn: Turn,
        positions: NDArray[np.int64],
        source: str,
        stories: dict[int, list[str]],
        noted: dict[str, list[Any]],
    ) -> None:
        if self.sink is None or not len(positions):
            return
        agents, columns, count = turn.agents[positions].tolist(), self._columns, len(positions)
        columns["step"] += [step] * count
        columns["account"] += agents
        columns["source"] += [source] * count
        columns["strategy"] += [self._spec.cast[turn.row].strategy.name] * count
        columns["fallback"] += ["; ".join(stories[it]) if it in stories else None for it in agents]
        for name in _NOTED:
            values = noted.get(name)
            columns[name] += [None] * count if values is None else [values[it] for it in positions.tolist()]
        told = self._actions(turn)
        for agent in agents:
            action, ids = told.get(agent, ("hold", ()))
            columns["action"].append(action)
            columns["first_order"].append(min(ids, default=None))
            columns["last_order"].append(max(ids, default=None))
            columns["orders"].append(len(ids))

    def _actions(self, turn: Turn) -> dict[int, tuple[str, list[int]]]:
        """Return what was sent for each agent that sent anything: in words, and the ids of new orders."""
        told: dict[int, tuple[str, list[int]]] = {}
        several = len(self._spec.instruments) > 1
        names = [item.name for item in self._spec.instruments]
        fields = ("account", "kind", "side", "price", "quantity", "order_id", "instrument")
        columns = [turn.messages[name].tolist() for name in fields]
        for account, kind, side, price, quantity, order_id, instrument in zip(*columns, strict=True):
            what = _action(kind, side, price, quantity, order_id)
            if several and instrument >= 0 and kind <= MessageKind.MARKET:
                what += f" {names[instrument]}"
            text, ids = told.get(account, ("", []))
            if kind <= MessageKind.MARKET:
                ids.append(order_id)
            told[account] = (f"{text}; {what}" if text else what, ids)
        return told


def _noted(turn: Turn, spent: dict[int, dict[str, Any]]) -> dict[str, list[Any]]:
    """Return what was noted, with what those before had spent on the same decision, by position."""
    count = len(turn.agents)
    noted = turn.asides.facts(count) if turn.asides.notes else {}
    for position, agent in enumerate(turn.agents.tolist() if spent else ()):
        for name, before in spent.get(agent, {}).items():
            column = noted.setdefault(name, [None] * count)
            if column[position] is None:
                column[position] = before
            elif name in _SUMMED and before is not None:
                column[position] += before
    return noted


def _story(name: str, why: Passed) -> str:
    return f"{name} {why.kind}: {why.detail}" if why.detail else f"{name} {why.kind}"


def _action(kind: int, side: int, price: int, quantity: int, order_id: int) -> str:
    """Say a message in words."""
    if kind == MessageKind.LIMIT:
        return f"{Side(side).name.lower()} {quantity} at {price}"
    if kind == MessageKind.MARKET:
        return f"{Side(side).name.lower()} {quantity} at market"
    if kind == MessageKind.CANCEL:
        return f"cancel {order_id}"
    if kind == MessageKind.REPLACE:
        return f"replace {order_id} by {quantity} at {price}"
    return "cancel all"
