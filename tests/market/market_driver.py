"""Drive one market by hand: puppets send what a test tells them to, through a real simulation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simlab.agents.each import Observation, Orders, agent_strategy
from simlab.core.types import EVENT_DTYPE, EventKind, Reason, SelfTrade
from simlab.kernel import Population, Simulation, SimulationSpec
from simlab.market.instruments import UNLIMITED, AccountPolicy, Instrument
from simlab.processes import OutsideSpec

FREE = AccountPolicy(borrowing=UNLIMITED, short_limit=UNLIMITED)
"""Terms of an account that nothing stops."""

ONE_SHARE = (Instrument("X", 100, self_trade=SelfTrade.OFF),)

Command = Callable[[Orders], Any]


@agent_strategy("puppet", "Sends what it finds in its inbox.", options=("inbox",))
class Puppet:
    """Carries out the commands that a test put down for its account."""

    def __init__(self, inbox: dict[int, list[Command]]) -> None:
        self._inbox = inbox

    def decide(self, observation: Observation, orders: Orders) -> None:
        for command in self._inbox.pop(observation.agent, ()):
            command(orders)


class EventLog:
    """A sink that keeps all events."""

    def __init__(self) -> None:
        self.events_so_far: list[NDArray[Any]] = []

    def events(self, events: NDArray[Any]) -> None:
        self.events_so_far.append(events.copy())

    def rows(self, table: str, columns: dict[str, Any]) -> None:
        pass

    def take(self) -> NDArray[Any]:
        """Return and forget the events so far."""
        taken = np.concatenate([np.zeros(0, EVENT_DTYPE), *self.events_so_far])
        self.events_so_far.clear()
        return taken


class Market:
    """A market whose account `i` has terms ``policies[i]``; each call takes one step."""

    def __init__(
        self,
        *policies: AccountPolicy,
        instruments: Sequence[Instrument] = ONE_SHARE,
        shocks: Iterable[Any] = (),
    ) -> None:
        self.policies = policies
        self.last_id = 0
        self._inbox: dict[int, list[Command]] = {}
        self.log = EventLog()
        self.simulation = Simulation(
            SimulationSpec(
                seed=1,
                steps=10_000,
                instruments=tuple(instruments),
                populations=tuple(
                    Population(
                        f"puppet{i:03}",
                        Puppet.strategy,
                        1,
                        np.zeros((1, 0)),
                        options={"inbox": self._inbox},
                        account=policy,
                    )
                    for i, policy in enumerate(policies)
                ),
                outside=OutsideSpec(shocks=tuple(shocks)),
            ),
            sink=self.log,
        )

    def send(self, account: int, *commands: Command) -> NDArray[Any]:
        """Let one account send messages in one step; return the events of the step."""
        self._inbox[account] = list(commands)
        return self.wait(1)

    def wait(self, steps: int) -> NDArray[Any]:
        """Let steps pass; return their events."""
        self.simulation.advance(self.simulation.step + steps)
        self.simulation.flush()
        return self.log.take()

    def limit(self, account: int, side: str, price: int, quantity: int, **terms: Any) -> Reason:
        """Send a limit order; return why it was refused, or NONE."""
        return self._ask(account, lambda orders: orders.limit(side, price, quantity, **terms))

    def market(self, account: int, side: str, quantity: int) -> Reason:
        """Send a market order; return why it was refused, or NONE."""
        return self._ask(account, lambda orders: orders.market(side, quantity))

    def replace(self, account: int, order_id: int, price: int, quantity: int) -> Reason:
        """Replace an order; return why that was refused, or NONE."""
        return self._ask(account, lambda orders: orders.replace(order_id, price, quantity))

    def cancel(self, account: int, order_id: int) -> Reason:
        """Cancel an order; return why that was refused, or NONE."""
        return self._ask(account, lambda orders: orders.cancel(order_id))

    def rest(self, account: int, side: str, price: int, quantity: int) -> int:
        """Put a limit order into the book, which must take it; return its id."""
        assert self.limit(account, side, price, quantity) == Reason.NONE
        return self.last_id

    def _ask(self, account: int, command: Command) -> Reason:
        def run(orders: Orders) -> None:
            self.last_id = command(orders) or self.last_id

        events = self.send(account, run)
        return refusal(events)

    def cash(self, account: int) -> int:
        """Return an account's cash, money units."""
        return int(self.simulation.state.ledger.accounts["cash"][account])

    def inventory(self, account: int) -> int:
        """Return an account's inventory in the first instrument, lots."""
        return int(
            self.simulation.state.ledger.positions["inventory"][
                account * len(self.simulation.spec.instruments)
            ]
        )


def refusal(events: NDArray[Any]) -> Reason:
    """Return why the first of some events is a refusal, or NONE if it is something else."""
    assert len(events), "the message was not answered"
    if events[0]["kind"] != EventKind.REJECTED:
        return Reason.NONE
    assert len(events) == 1
    return Reason(int(events[0]["reason"]))
