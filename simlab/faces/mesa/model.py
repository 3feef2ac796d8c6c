"""The market as a `mesa.Model`."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Mapping, Sequence
from inspect import signature
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import mesa
from mesa.agent import AgentSet
from numpy.typing import NDArray

from simlab.config import ConfigLike, ExperimentConfig, load
from simlab.core.hashing import hash_text
from simlab.errors import SimlabError, did_you_mean
from simlab.faces.mesa.agents import AccountAgent, MarketAgent
from simlab.faces.mesa.collecting import Collector
from simlab.faces.mesa.floor import Floor, outside_populations
from simlab.kernel.simulation import Simulation
from simlab.kernel.snapshots import BookSnapshot

__all__ = ["MODEL_REPORTERS", "MarketModel"]

MODEL_REPORTERS = ("mid", "best_bid", "best_ask", "last_price", "volume", "trades", "event_log_hash")
"""What is collected of the model at the end of every step, if nothing else is asked for."""

_HAS_SCENARIOS = "scenario" in signature(mesa.Model.__init__).parameters


class MarketModel(mesa.Model):  # type: ignore[misc]
    """A market that a configuration describes, as a Mesa model: one step of the model is one of the market.

    In a step, agents of your own act first, in an order drawn from ``model.random``: each order enters at the
    boundary before the market's step and is answered at once. Then the market runs the step with the
    populations of the configuration, compiled. At its end `datacollector` collects.

    Parameters
    ----------
    config : path, mapping or ExperimentConfig
        As in `simlab.run`.
    steps : int, optional
        In place of the configuration's; `running` is False after the last.
    seed : int, optional
        In place of the configuration's. Every draw of the market follows from it, and so do ``model.random``
        and ``model.rng``, which are for agents of your own.
    rng : int, optional
        The same, by the name that it has in newer Mesa.
    scenario : mesa Scenario, optional
        Its ``rng`` is the seed (Mesa 3.4 and newer).
    out : path, optional
        Record the run, in a folder of its own in this one, for `simlab report` and `simlab.open`.
    model_reporters, agent_reporters : mapping, optional
        As in `mesa.DataCollector`; collected at the end of every step. Of the model it is `MODEL_REPORTERS`
        by default, of the agents nothing.
    **kwargs
        Values put on top of the configuration by dotted path, as ``**{"populations.makers.count": 3}``; so
        `mesa.batch_run` varies whatever a configuration has.

    Attributes
    ----------
    running : bool
        Whether steps are left.
    agents : AgentSet
        Who holds an account: an `AccountAgent` for each agent of the configuration's populations, and agents
        of your own.
    datacollector : Collector

    Raises
    ------
    ConfigError
        When the configuration is wrong, listing every problem.
    SimlabError
        When the seed is no whole number, or given twice.

    Example
    -------
    >>> import simlab
    >>> market = {"steps": 5, "instruments": {"ACME": {"initial_price": 100}},
    ...           "populations": {"noise": {"strategy": "noise", "count": 3, "account": {"cash": 1000}}}}
    >>> model = MarketModel(market, seed=7)
    >>> model.run_model()
    >>> model.event_log_hash == simlab.run(market, seed=7, record=False).event_log_hash
    True
    >>> sorted({agent.name for agent in model.agents})
    ['noise/0', 'noise/1', 'noise/2']
    """

    def __init__(
        self,
        config: ConfigLike,
        *,
        steps: int | None = None,
        rng: int | None = None,
        scenario: Any = None,
        out: str | Path | None = None,
        model_reporters: Mapping[str, Any] | None = None,
        agent_reporters: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        seed = kwargs.pop("seed", None)  # Mesa 3.5's batch_run overwrites what the signature calls so
        loaded = load(config, set=kwargs, seed=_seed_of(seed, rng, scenario), steps=steps)
        if _HAS_SCENARIOS:
            super().__init__(rng=loaded.seed, scenario=scenario)
        else:
            super().__init__(seed=loaded.seed)
        self._step_of_mesa = self.step
        self.step = self._step_if_open  # type: ignore[method-assign]
        self._numbers = itertools.count(1)
        self._acting: mesa.Agent | None = None
        self._floor = Floor(loaded, None if out is None else Path(out))
        names = sorted(loaded.instruments)
        self.instruments: Sequence[str] = tuple(names)
        """Names of what is traded, by number."""
        self._traded = {
            name: tuple(sorted(names.index(each) for each in it.instruments or names))
            for name, it in loaded.cast.items()
        }
        account, outside = 0, outside_populations(loaded)
        for name in sorted(loaded.cast):
            if name not in outside:
                for number in range(account, account + loaded.cast[name].count):
                    AccountAgent(self, number, name)
            account += loaded.cast[name].count
        reporters = {name: name for name in MODEL_REPORTERS} if model_reporters is None else model_reporters
        self.datacollector = Collector(
            _reporters("model_reporters", reporters), _reporters("agent_reporters", agent_reporters or {})
        )

    def register_agent(self, agent: mesa.Agent) -> None:
        """Take an agent in; Mesa calls it.

        Mesa 3.3 numbers agents by a table that holds every model for as long as the process lives.
        """
        super().register_agent(agent)
        counters = getattr(mesa.Agent, "_ids", None)
        if counters is not None:
            counters.pop(self, None)
            agent.unique_id = next(self._numbers)

    def _step_if_open(self) -> None:
        """Begin a step, or say why there is none; Mesa would count it, or do nothing after an error."""
        self._floor.require_step()
        self._step_of_mesa()

    def step(self) -> None:
        """Let agents of your own act, run one step of the market, and collect.

        Raises
        ------
        SimlabError
            When the market has ended.
        """
        try:
            self._floor.step(self.act)
        except BaseException:
            self.steps, self.running = self._floor.simulation.step, False
            raise
        self.running = not self._floor.ended
        self.datacollector.collect(self)

    def act(self) -> None:
        """Let every agent that is not of the configuration act once, in an order drawn from ``random``.

        Override it for another order; call `let_act` for each.
        """
        own = [
            it for kind, of_kind in self.agents_by_type.items() if kind is not AccountAgent for it in of_kind
        ]
        if own:
            AgentSet(own, random=self.random).shuffle_do(self.let_act)

    def let_act(self, agent: mesa.Agent) -> None:
        """Let one agent act: call its ``step``, in which it alone trades, from its own account.

        One that is not in the model any more does nothing.
        """
        if agent not in self.agents:  # whoever acted before removed it
            return
        seat = agent.market if isinstance(agent, MarketAgent) else None
        if seat is not None:
            seat.begin_turn()
        self._acting = agent
        try:
            agent.step()
        finally:
            self._acting = None
        if seat is not None:
            seat.end_turn()

    def require_turn(self, agent: MarketAgent) -> None:
        """Raise SimlabError unless the market is open and nobody else is acting; seats call it."""
        self._floor.require_open()
        acting = self._acting
        if acting is not None and acting is not agent:
            raise SimlabError(
                f"agent {acting.unique_id} ({type(acting).__name__}) sends an order for the account"
                f" {agent.name} of agent {agent.unique_id} ({type(agent).__name__}) in its own step; an agent"
                " trades from its own account only: use self.market, or let the other do it in its step"
            )

    @property
    def simulation(self) -> Simulation:
        """The market underneath (`simlab.kernel.interface.Market`); the first look begins it."""
        return self._floor.simulation

    @property
    def config(self) -> ExperimentConfig:
        """The configuration, with what was put on top, and with the seats that were added once it began."""
        return self._floor.config

    @property
    def floor(self) -> Floor:
        """Who gives seats and records."""
        return self._floor

    @property
    def run_dir(self) -> Path | None:
        """The folder of the recording, None where there is none (yet)."""
        return self._floor.run_dir

    @property
    def event_log_hash(self) -> str:
        """The hash of all events so far, 16 hexadecimal digits: that of `simlab run` after as many steps."""
        return hash_text(self.simulation.event_log_hash)

    @property
    def mid(self) -> float:
        """Mid price of the first instrument at the end of the latest step, price units."""
        return self.simulation.mid(0)

    @property
    def mids(self) -> dict[str, float]:
        """Mid price of every instrument at the end of the latest step, price units."""
        return {name: self.simulation.mid(i) for i, name in enumerate(self.instruments)}

    @property
    def best_bid(self) -> int | None:
        """Highest buy price of the first instrument, price units, or None."""
        levels = self.book(depth=1).bids
        return levels[0][0] if levels else None

    @property
    def best_ask(self) -> int | None:
        """Lowest sell price of the first instrument, price units, or None."""
        levels = self.book(depth=1).asks
        return levels[0][0] if levels else None

    @property
    def last_price(self) -> int:
        """Price of the last trade in the first instrument, the initial price before any."""
        return int(self.simulation.state.ledger.terms["last_price"][0])

    @property
    def volume(self) -> int:
        """Lots traded so far, in all instruments."""
        return self.simulation.volume

    @property
    def trades(self) -> int:
        """Trades so far, in all instruments."""
        return self.simulation.trades

    def book(self, instrument: str | None = None, *, depth: int = 10) -> BookSnapshot:
        """Return the best levels of an instrument's book, of the first by default."""
        number = 0
        if instrument is not None:
            if instrument not in self.instruments:
                hint = did_you_mean(instrument, list(self.instruments))
                raise SimlabError(f"there is no instrument {instrument!r}{hint}")
            number = self.instruments.index(instrument)
        return self.simulation.snapshot(number, depth=depth)

    @property
    def profits(self) -> NDArray[Any]:
        """Profit of every account so far, ``(accounts,) float64``, money units; see `Holder.pnl`."""
        return self._floor.profits

    @property
    def pnl(self) -> dict[str, float]:
        """Mean profit an agent of each population so far, money units."""
        found, made, first = {}, self.profits, 0
        for it in self.simulation.spec.populations:
            if it.count:
                found[it.name] = float(made[first : first + it.count].mean())
            first += it.count
        return found

    def traded(self, population: str) -> Sequence[int]:
        """Return the numbers of the instruments that a population trades."""
        return self._traded.get(population) or tuple(range(len(self.instruments)))

    def inventory_of(self, account: int, instrument: int) -> int:
        """Return what an account holds of an instrument, by their numbers, lots."""
        row = account * len(self.instruments) + instrument
        return int(self.simulation.state.ledger.positions["inventory"][row])

    def close(self) -> None:
        """End a model that is not stepped to its end: a recording says so, and is whole up to here."""
        self._floor.close()
        self.running = False

    def __getstate__(self) -> object:
        """Refuse to be copied or pickled: compiled memory and a recording are not of one object alone."""
        raise SimlabError(
            "a MarketModel is neither copied nor pickled, for its market is compiled state; make another of"
            " the same config and seed, which goes the same way, or fork the market alone:"
            " model.simulation.fork()"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _reporters(what: str, given: Any) -> dict[str, Any]:
    """Return what is collected by name, as Mesa takes it."""
    if not isinstance(given, Mapping):
        raise SimlabError(f'{what} {given!r} is not a mapping; give name and attribute, as {{"mid": "mid"}}')
    return dict(given)


def _seed_of(seed: Any, rng: Any, scenario: Any) -> int | None:
    """Return the one seed that is given, or None."""
    if scenario is not None and not _HAS_SCENARIOS:
        raise SimlabError(
            f"Mesa {mesa.__version__} has no scenarios; give `seed`, or install Mesa 3.4 or newer"
        )
    given = {"seed": seed, "rng": rng, "scenario.rng": getattr(scenario, "rng", None)}
    given = {name: it for name, it in given.items() if it is not None}
    if not given:
        return None
    if len(given) > 1:
        raise SimlabError(f"the seed is given as {' and as '.join(given)}; give it once")
    ((name, value),) = given.items()
    try:
        return operator.index(value)
    except TypeError:
        raise SimlabError(
            f"{name} {value!r} is not a whole number; a market's draws follow from a whole number alone"
        ) from None
