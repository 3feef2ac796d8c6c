"""Play markets turn by turn from a seat: the plain core below the environments of other libraries.

`Turns` plays one market or many, with one learner in each or several. A market is any experiment in YAML that
has a population of seats (``strategy: outside``); a learner sits there, sees what `FEATURES` describes, acts,
and every `turn_steps` steps it is its turn again. One learner in one market takes the same compiled way as a
thousand: `simlab.faces.play`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from simlab.agents.compiled import MAX_MESSAGES
from simlab.agents.library.seat import FEATURES, MOST_NUMBERS, SEAT, Task
from simlab.agents.strategy import Calling
from simlab.config import ConfigLike, ExperimentConfig, build, load
from simlab.core.random import name_key
from simlab.core.rows import new_rows
from simlab.core.types import Side
from simlab.errors import ConfigError, SimlabError, did_you_mean
from simlab.faces.episode import Episode
from simlab.faces.play import OUTSIDE, Hall, Phase, play, take_turns
from simlab.kernel.spec import SimulationSpec

__all__ = ["MARKET_FILE", "Seat", "Turns", "episode_seed"]

MARKET_FILE = Path(__file__).with_name("market.yaml")
"""The market that environments are of where none is named."""

_NEVER = 2**62


@dataclass(frozen=True)
class Seat:
    """Say where a learner sits and what it is to do there.

    Parameters
    ----------
    task : Task
    population : str, optional
        Which seats; may be left out where the market has one population of them.
    instrument : str, optional
        What it trades; may be left out where there is one.
    size : int, lots
        Of an order (trading), or the most of a quote (market making).
    max_inventory : int, lots
        Beyond it, long or short, no order of the learner's leads.
    max_offset : int, ticks
        The farthest that a quote stands from the mid price (market making), or a limit price from the best
        one of its own side (execution).
    inventory_penalty : float, ticks x lots a lot^2 and turn
    dampening : float in [0, 1]
        The part of what was gained on the inventory carried, rather than by trading, that does not count.
    side : {"buy", "sell"}
    quantity : int, lots
        What is to be executed.
    """

    task: Task = Task.TRADING
    population: str | None = None
    instrument: str | None = None
    size: int = 10
    max_inventory: int = 100
    max_offset: int = 10
    inventory_penalty: float = 0.0
    dampening: float = 0.0
    side: Literal["buy", "sell"] = "sell"
    quantity: int = 500

    def __post_init__(self) -> None:
        for name in ("size", "max_inventory", "max_offset", "quantity"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not 1 <= value < 2**31:
                raise ConfigError(f"{name} {value!r} is not a whole number of 1 or more, below 2^31")
        if self.side not in ("buy", "sell"):
            raise ConfigError(f"side {self.side!r} is not known; use 'buy' or 'sell'")
        if not (math.isfinite(self.inventory_penalty) and self.inventory_penalty >= 0.0):
            raise ConfigError(f"inventory_penalty {self.inventory_penalty} is not a number of 0 or more")
        if not 0.0 <= self.dampening <= 1.0:
            raise ConfigError(f"dampening {self.dampening} is not in the range of 0 to 1")


def episode_seed(seed: int, episode: int) -> int:
    """Return the seed of the market of an episode: of the first `seed` itself, of others drawn from it.

    Example
    -------
    >>> episode_seed(7, 0), episode_seed(7, 1) == episode_seed(7, 1) != episode_seed(7, 2)
    (7, True)
    """
    return seed if episode == 0 else int(name_key(seed, "episode", str(episode))) & (2**53 - 1)


class Turns:
    """Play markets turn by turn.

    Parameters
    ----------
    config : path, mapping or ExperimentConfig, optional
        The market; `MARKET_FILE` by default.
    seats : sequence of Seat
        Who sits in each market.
    markets : int
        How many are played together.
    turn_steps : int
        Steps from one turn to the next.
    warmup_steps : int
        Steps before the first turn, in which a book forms.
    turns : int, optional
        Length of an episode; as many as the market's steps leave room for by default.
    record : path, optional
        Where the run folders of all episodes are made; nothing is recorded by default.

    Attributes
    ----------
    actions : (markets * seats, 4) float64
        What the learners do next, seats of one market beside each other; see `simlab.agents.library.seat`.
    observations : (markets * seats, 18) float32
    rewards : (markets * seats,) float64
    done : (markets * seats,) bool
        Whether a learner's task came to its end.
    over : (markets,) int64, 1 where the episode came to its end

    Raises
    ------
    ConfigError, PluginError

    Example
    -------
    >>> turns = Turns(turns=3)
    >>> turns.reset(0, seed=7)
    >>> turns.observations.shape, turns.step(), bool(turns.over[0])
    ((1, 18), None, False)
    >>> turns.close()
    """

    def __init__(
        self,
        config: ConfigLike | None = None,
        *,
        seats: Sequence[Seat] = (Seat(),),
        markets: int = 1,
        turn_steps: int = 1,
        warmup_steps: int = 100,
        turns: int | None = None,
        record: Path | str | None = None,
    ) -> None:
        for name, value, lowest in (
            ("markets", markets, 1), ("turn_steps", turn_steps, 1), ("warmup_steps", warmup_steps, 0),
            ("turns", 1 if turns is None else turns, 1),
        ):  # fmt: skip
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < lowest:
                raise ConfigError(f"{name} {value!r} is not a whole number of {lowest} or more")
        if not seats:
            raise ConfigError("seats: nobody would learn; give one or more")
        self.seats, self.warmup_steps = tuple(seats), int(warmup_steps)
        self.turns = _turns(MARKET_FILE if config is None else config, turns, turn_steps, warmup_steps)
        last_step = self.warmup_steps + self.turns * int(turn_steps)
        self._config = load(MARKET_FILE if config is None else config, steps=last_step)
        self._spec = build(self._config)
        self._redraws = _redraws(self._config, self._spec)
        self._record = None if record is None else Path(record)
        self._episodes: list[Episode | None] = [None] * markets
        self._broken = False
        self._make_room(int(markets), int(turn_steps), last_step)

    def _make_room(self, markets: int, turn_steps: int, last_step: int) -> None:
        count = len(self.seats)
        self._hall = Hall(
            markets, count, sent=max(1, markets * count * MAX_MESSAGES * (self._record is not None))
        )
        rows = self._hall.markets
        rows["seats_at"], rows["seats"] = np.arange(markets) * count, count
        rows["turn_steps"], rows["last_step"] = turn_steps, last_step
        rows["discards"], rows["sent_at"] = self._record is None, -1
        if self._record is not None:
            rows["sent_at"] = np.arange(markets) * count * MAX_MESSAGES
        rows["over"] = 1
        for i, seat in enumerate(self._described()):
            self._hall.seats[i::count] = seat
        self.over: NDArray[np.int64] = rows["over"]
        self._phases, self._statuses = rows["phase"], rows["status"]
        self.actions = np.zeros((markets * count, MOST_NUMBERS))
        self.observations = np.zeros((markets * count, len(FEATURES)), np.float32)
        self.rewards, self.done = np.zeros(markets * count), np.zeros(markets * count, np.bool_)
        self._arguments = (self._hall.address, self.actions, self.observations, self.rewards, self.done)

    def _described(self) -> NDArray[Any]:
        """Return the seats of one market as rows, before anybody sits there."""
        rows = new_rows(len(self.seats), SEAT)
        names = [item.name for item in self._spec.instruments]
        for row, seat in zip(rows, self.seats, strict=True):
            for name in ("task", "size", "max_inventory", "max_offset", "inventory_penalty", "dampening"):
                row[name] = getattr(seat, name)
            row["quantity"], row["side"] = seat.quantity, Side[seat.side.upper()]
            row["first_step"] = self.warmup_steps
            row["last_step"] = self._hall.markets["last_step"][0]
            row["instrument"] = names.index(_named(seat.instrument, names, "instrument"))
            row["multiplier"] = self._spec.instruments[int(row["instrument"])].multiplier
            _named(seat.population, _seated(self._spec), "population with `strategy: outside`")
        return rows

    @property
    def folders(self) -> list[Path | None]:
        """The run folder of each market's episode, None where it is not recorded."""
        return [None if it is None else it.folder for it in self._episodes]

    def event_log_hash(self, market: int = 0) -> str:
        """Return the hash of all events of a market's episode so far."""
        return self._episode(market).event_log_hash

    def _episode(self, market: int) -> Episode:
        episode = self._episodes[market]
        if episode is None:
            raise SimlabError(f"market {market} has no episode yet; call reset() first")
        return episode

    def reset(self, market: int, *, seed: int, episode: int = 0) -> None:
        """Begin an episode in a market: what its seats see is in `observations`."""
        self.open(market, seed=seed, episode=episode)
        self.begin()

    def begin(self) -> None:
        """Let learners see the markets that were opened, and nobody act."""
        self._go_on(play(*self._arguments))

    def require_turn(self, market: int) -> None:
        """Raise SimlabError unless it is a learner's turn in a market."""
        if self.over[market]:
            self._episode(market)
            raise SimlabError("the episode is over; call reset() to begin another")

    def require_begun(self) -> None:
        """Raise SimlabError unless every market has an episode, be it over."""
        for market in range(len(self._episodes)):
            self._episode(market)

    def market_seed(self, market: int) -> int:
        """Return the seed of the market of the present episode."""
        return self._episode(market).simulation.spec.seed

    def ending(self, market: int, seat: int = 0) -> dict[str, Any]:
        """Return what is told at the end of an episode: a seat's account, hash, the folder if recorded."""
        episode, row = self._episode(market), self._hall.seats[market * len(self.seats) + seat]
        told = {
            "cash": int(row["cash"]),
            "inventory": int(row["inventory"]),
            "wealth": 0.5 * float(row["wealth"]),
            "gain": 0.5 * float(row["wealth"] - row["first_wealth"]),
            "event_log_hash": episode.event_log_hash,
        }
        return told if episode.folder is None else told | {"run_dir": str(episode.folder)}

    def text(self, market: int) -> str:
        """Return book and account of a market's first seat as text."""
        simulation, row = self._episode(market).simulation, self._hall.seats[market * len(self.seats)]
        book = simulation.snapshot(int(row["instrument"]), depth=5)
        asks, bids = ([f"{price:>12} {lots:>8}" for price, lots, _ in it] for it in (book.asks, book.bids))
        own = f"step {simulation.step}  cash {int(row['cash'])}  inventory {int(row['inventory'])}"
        return "\n".join([own, *reversed(asks), "-" * 21, *bids])

    def open(self, market: int, *, seed: int, episode: int = 0) -> None:
        """Begin an episode in a market; what its seats see comes with the next `step` of the others."""
        self._end(market)
        config, spec = self._drawn(episode_seed(seed, episode))
        self._episodes[market] = found = Episode(config, spec, self._record)
        row = self._hall.markets[market]
        count, simulation = len(self.seats), found.simulation
        names = _seated(spec)
        for i, seat in enumerate(self.seats):
            name = _named(seat.population, names, "population with `strategy: outside`")
            self._hall.seats["account"][market * count + i] = simulation.take_seat(name)
        found.advance(self.warmup_steps)
        row["address"], row["phase"], row["over"] = simulation.state.address, Phase.BEGIN, 0
        row["until"], row["turn"], row["sent"], row["acting"] = self.warmup_steps, 0, 0, 0
        row["free_until"] = self._free_until(found)

    def _drawn(self, seed: int) -> tuple[ExperimentConfig, SimulationSpec]:
        """Return the market of a seed."""
        config = self._config.model_copy(update={"seed": seed})
        config._source = self._config._source
        if self._redraws:
            return config, build(config)
        return config, replace(self._spec, seed=seed)

    def _free_until(self, episode: Episode) -> int:
        end = episode.simulation.spec.steps
        free = episode.simulation.free_until(end)
        return free if free < end else _NEVER

    def step(self) -> None:
        """Let every learner do what `actions` says, in markets that are not over, up to its next turn.

        Rewards are since the last turn. Markets that were opened since begin.

        Raises
        ------
        SimlabError
            When a market has no episode, or a strategy failed before.
        """
        if self._broken:
            raise SimlabError("a strategy failed, so the markets cannot go on; make the environment anew")
        try:
            stopped = take_turns(*self._arguments)
        except BaseException as error:
            raise self._failed(error) from error
        self._go_on(stopped)

    def _go_on(self, stopped: int) -> None:
        """Let Python in where a market stopped, until all have come to their next turn."""
        while stopped:
            for i in np.flatnonzero(self._phases != Phase.WAITING).tolist():
                self._attend(i, int(self._statuses[i]))
            try:
                stopped = play(*self._arguments)
            except BaseException as error:
                raise self._failed(error) from error
        if self._record is not None:
            self._write_down()

    def _attend(self, market: int, status: int) -> None:
        episode = self._episode(market)
        if status == OUTSIDE:
            episode.advance(episode.simulation.step)
            self._hall.markets["free_until"][market] = self._free_until(episode)
            return
        try:
            episode.simulation.attend(status)
        except BaseException:
            self._broken = True
            raise

    def _failed(self, error: BaseException) -> BaseException:
        self._broken = True
        if isinstance(error, KeyboardInterrupt):
            return error
        return self._episode(int(self._hall.call["market"][0])).simulation.failure(error)

    def _write_down(self) -> None:
        """Tell the journals what was sent in the turn that is over, and end the recordings of episodes."""
        for i, row in enumerate(self._hall.markets):
            episode, sent = self._episodes[i], int(row["sent"])
            if episode is None:
                continue
            if sent:
                at = int(row["sent_at"])
                episode.simulation.note(self._hall.sent[at : at + sent].copy())
                row["sent"] = 0
            if row["over"]:
                episode.finish()

    def _end(self, market: int) -> None:
        episode, self._episodes[market] = self._episodes[market], None
        if episode is not None:
            episode.close()

    def close(self) -> None:
        """End all episodes; what was recorded of one that is not over says where it was left."""
        for market in range(len(self._episodes)):
            self._end(market)
        self._hall.markets["phase"], self._hall.markets["over"] = Phase.WAITING, 1


def _turns(config: ConfigLike, turns: int | None, turn_steps: int, warmup_steps: int) -> int:
    """Return how many turns an episode has."""
    steps = load(config).steps
    most = (steps - warmup_steps) // turn_steps
    if most < 1 or (turns is not None and turns > most):
        raise ConfigError(
            f"steps {steps} are too few for {turns or 1} turns of {turn_steps} steps after {warmup_steps} of"
            " warm-up; give the market more steps, or ask for fewer turns"
        )
    return most if turns is None else int(turns)


def _redraws(config: ExperimentConfig, spec: SimulationSpec) -> bool:
    """Return whether more of a specification than its seed depends on the seed."""
    levels = {it.strategy.level for it in spec.cast}
    drawn = any(
        not isinstance(value, (int, float))
        for name in config.cast
        for _, decider in config.deciders(name)
        for value in decider.parameters.values()
    )
    customers = any(it.customers is not None for it in spec.populations)
    return drawn or customers or not levels <= {Calling.COMPILED, Calling.OUTSIDE}


def _seated(spec: SimulationSpec) -> list[str]:
    return [it.name for it in spec.populations if it.strategy.level is Calling.OUTSIDE]


def _named(name: str | None, names: Sequence[str], what: str) -> str:
    """Return a name, or the only one there is."""
    if name is None and len(names) == 1:
        return names[0]
    if not names:
        raise ConfigError(f"the market has no {what}; add one, with a count of one or more")
    if name is None:
        raise ConfigError(f"the market has more than one {what}; name one of {', '.join(names)}")
    if name not in names:
        raise ConfigError(f"there is no {what} {name!r}{did_you_mean(name, names)}")
    return name
