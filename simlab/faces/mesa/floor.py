"""Keep the market under a model: begin it, give seats in it, step it, and record it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from numbers import Integral
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from simlab.agents.strategy import Calling, Needs
from simlab.config import ExperimentConfig, build, load
from simlab.config.accounts import AccountConfig
from simlab.config.live import SeatAccountConfig
from simlab.config.models import PopulationConfig
from simlab.core.files import require_writable_folder
from simlab.errors import SimlabError, did_you_mean
from simlab.faces.mesa.seat import Seat, SeatHost
from simlab.kernel.inbox import ENTRY, Text
from simlab.kernel.simulation import Simulation
from simlab.kernel.spec import Population, SimulationSpec
from simlab.kernel.summary import profits
from simlab.market.instruments import MAX_MONEY
from simlab.runner.author import Author
from simlab.runner.journal import Journal, Record, journal_folder
from simlab.runner.run import outcome_of

__all__ = ["Floor", "Sitting", "outside_populations"]

_SEATS = "zz_mesa"
"""The population of the seats that are added. Its name comes last, so no other account has another number."""


class Sitting(Protocol):
    """Whoever takes a seat."""

    def sit_down(self, account: int, host: SeatHost, population: str) -> None:
        """Take note of the seat."""


class _Wish(NamedTuple):
    who: Sitting
    population: str | None
    cash: int | None


class Floor:
    """One market, which begins when somebody looks at it or steps it.

    Until then it is open how many seats it has: where the configuration has none, as many as were asked for.

    Parameters
    ----------
    config : ExperimentConfig
    out : Path, optional
        The folder in which the run's own folder is made; nothing is recorded without.
    """

    def __init__(self, config: ExperimentConfig, out: Path | None) -> None:
        self.config = config
        self._out = out if config.recording.enabled else None
        if self._out is not None:
            require_writable_folder(self._out)
            if config.checkpoint is not None:
                raise SimlabError(
                    "checkpoint: a model writes none, for agents outside the market are not in it; leave the"
                    " section out (checkpoint=None), or record with `simlab run`"
                )
        self._waiting: list[_Wish] = []
        self._simulation: Simulation | None = None
        self._author: Author | None = None
        self._journal: Journal | None = None
        self._hosts: dict[str, SeatHost] = {}
        self._profits: tuple[tuple[int, int], NDArray[np.float64]] | None = None
        self._stopped, self._stepping = "", False
        self.run_dir: Path | None = None
        """Where the run is recorded."""

    @property
    def simulation(self) -> Simulation:
        """The market; it begins now if it has not."""
        if self._simulation is None:
            self._begin()
        assert self._simulation is not None
        return self._simulation

    def _begin(self) -> None:
        wishes, self._waiting = self._waiting, []
        if wishes and not outside_populations(self.config):
            self.config = _with_seats(self.config, len(wishes))
        spec = _telling_fills(build(self.config))
        self._began_s = time.perf_counter()
        if self._out is not None:
            self._author = Author(self._out, self.config, spec)
            self.run_dir = self._author.folder
        self._simulation = Simulation(spec, sink=self._author)
        if self._author is not None:
            self._author.begin(self._simulation)
            self._simulation.journal = self._write_down
        for wish in wishes:
            self._sit(wish)

    def _write_down(self, rows: NDArray[np.void], texts: list[Text]) -> None:
        """Keep what enters from outside, so that `simlab replay` can let it in again; nothing, no journal."""
        if self._journal is None:
            assert self.run_dir is not None
            self._journal = Journal(journal_folder(self.run_dir), sync="off")
        self._journal.append(Record(int(rows["step"][0]), rows, texts))

    def _end_journal(self) -> None:
        if self._journal is not None:
            self._journal.append(Record(self.simulation.step, np.zeros(0, ENTRY)))
            self._journal.close()
            self._journal = None

    def take_seat(self, who: Sitting, population: str | None, cash: int | None) -> None:
        """Let somebody sit down: now, or when the market begins.

        Raises
        ------
        SimlabError
            When no seat is free.
        """
        _require_cash(cash)
        wish = _Wish(who, population, cash)
        if self._simulation is not None:
            self._sit(wish)
            return
        self._require_free(wish)
        self._waiting.append(wish)

    def _require_free(self, wish: _Wish) -> None:
        """Raise SimlabError unless the market, once it begins, will have a seat."""
        seats = outside_populations(self.config)
        name = wish.population
        if name is not None and name not in seats:
            known = ", ".join(seats) or "none; it gets one if `population` is left out"
            raise SimlabError(
                f"there is no population {name!r} with `strategy: outside`{did_you_mean(name, list(seats))};"
                f" the configuration has {known}"
            )
        if not seats:
            return
        taken = sum(it.population == name for it in self._waiting) if name else len(self._waiting)
        count = seats[name] if name else sum(seats.values())
        if taken >= count:
            raise _no_seat(name, count)

    def _sit(self, wish: _Wish) -> None:
        simulation = self.simulation
        names = outside_populations(self.config)
        try:
            account = simulation.take_seat(wish.population, cash=wish.cash)
        except SimlabError as error:
            raise SimlabError(f"{error}; {_remedy()}") from error
        population = simulation.agent_name(account).rsplit("/", 1)[0]
        assert population in names
        if population not in self._hosts:
            spec = simulation.spec
            row = [it.name for it in spec.populations].index(population)
            self._hosts[population] = SeatHost(
                spec, simulation.state, row, streams={}, shared={}, resources={}
            )
        wish.who.sit_down(account, self._hosts[population], population)

    def leave(self, who: Sitting, seat: Seat | None) -> None:
        """Take a seat back, or forget that one was asked for."""
        self._waiting = [it for it in self._waiting if it.who is not who]
        if seat is not None and not self.ended:
            self.simulation.give_back(seat.account)

    @property
    def ended(self) -> bool:
        """Whether the market has come to its end, or stopped before."""
        simulation = self._simulation
        return bool(self._stopped) or (simulation is not None and simulation.step >= simulation.spec.steps)

    def require_open(self) -> None:
        """Raise SimlabError when the market takes nothing any more."""
        if self.ended:
            raise SimlabError(self._stopped or _ended(self.config.steps))

    def require_step(self) -> None:
        """Raise SimlabError when no step can begin."""
        self.require_open()
        if self._stepping:
            raise SimlabError("a step begins within a step: an agent's step may not call model.step()")

    @property
    def profits(self) -> NDArray[np.float64]:
        """Every account's profit, ``(accounts,) float64``, money units; worked out once after each event."""
        state = self.simulation.state
        now = (self.simulation.step, int(state.book.counters["sequence"][0]))
        if self._profits is None or self._profits[0] != now:
            found = profits(state)
            found.flags.writeable = False
            self._profits = now, found
        return self._profits[1]

    def step(self, act: Callable[[], None]) -> None:
        """Let those who sit act, then run one step; at the last one the recording is brought to its end."""
        self.require_step()
        simulation, self._stepping = self.simulation, True
        try:
            act()
            simulation.advance(simulation.step + 1)
            if self._author is not None:
                self._author.keep_up()
            if simulation.step == simulation.spec.steps:
                self._finish(simulation)
        except BaseException as error:
            self._stop(error)
            raise
        finally:
            self._stepping = False

    def _finish(self, simulation: Simulation) -> None:
        self._end_journal()
        simulation.finish()
        simulation.audit()
        if self._author is not None:
            seconds = time.perf_counter() - self._began_s
            self._author.finish(outcome_of(self.config, simulation, self.run_dir, seconds).as_dict())
            self._author = None
        simulation.close()

    def _stop(self, error: BaseException) -> None:
        """End the recording as that of a run that failed."""
        if self._simulation is None or self._stopped:
            return
        self._stopped = (
            f"the market stopped at step {self._simulation.step} of {self.config.steps}"
            f" ({type(error).__name__}: {error}); make a new model"
        )
        author, self._author = self._author, None
        self._end_journal()
        if author is not None:
            author.__exit__(type(error), error, error.__traceback__)
        self._simulation.close()

    def close(self) -> None:
        """End a market that is not stepped to its end: its recording says so, and is whole up to here."""
        if self._simulation is None:
            self._stopped = self._stopped or "the model was closed before its first step; make a new model"
        elif not self.ended:
            self._stop(KeyboardInterrupt(f"closed at step {self._simulation.step} of {self.config.steps}"))


def outside_populations(config: ExperimentConfig) -> dict[str, int]:
    """Return the populations whose seats are taken from outside, with how many they have."""
    found = {}
    for name, it in config.cast.items():
        folder = config.folder_of(("populations", name, "strategy"))
        if config.strategy_of(it.strategy, folder).level is Calling.OUTSIDE:
            found[name] = it.count
    return found


def _with_seats(config: ExperimentConfig, count: int) -> ExperimentConfig:
    """Return a configuration with a population of seats, whose accounts come after all others."""
    name = _SEATS
    while config.cast and name <= max(config.cast):
        name = f"z{name}"
    account = AccountConfig(**SeatAccountConfig().model_dump())  # as those of a live market begin
    seats = PopulationConfig(strategy="outside", count=count, account=account)
    return load(config.model_copy(update={"populations": config.populations | {name: seats}}))


def _telling_fills(spec: SimulationSpec) -> SimulationSpec:
    """Return a specification in which the ledger keeps the latest fills of seats one by one, to be shown."""

    def telling(population: Population) -> Population:
        strategy = population.strategy
        if strategy.level is not Calling.OUTSIDE:
            return population
        return replace(population, strategy=replace(strategy, needs=Needs(fills=True)))

    return replace(spec, populations=tuple(telling(it) for it in spec.populations))


def _ended(steps: int) -> str:
    return (
        f"the market has run all its {steps} steps; stop when `running` is False, or make a model with more"
        " `steps`"
    )


def _remedy() -> str:
    return "make the agents before the market's first step, or give such a population more seats"


def _require_cash(cash: Any) -> None:
    """Raise SimlabError unless an account can begin with it; the market may say so much later."""
    if cash is not None and not (isinstance(cash, Integral) and 0 <= int(cash) <= MAX_MONEY):
        raise SimlabError(f"cash {cash!r} is not a whole number of 0 to {MAX_MONEY} money units; give an int")


def _no_seat(population: str | None, count: int) -> SimlabError:
    where = f"population {population!r} has" if population else "the configuration has"
    return SimlabError(
        f"no seat is free: {where} {count}, and all are taken; raise the count of a population with"
        " `strategy: outside`"
    )
