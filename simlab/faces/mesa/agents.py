"""Mesa agents that hold accounts: those of the configuration's populations, and those that a user writes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import mesa

from simlab.errors import SimlabError
from simlab.faces.mesa.seat import Seat, SeatHost

if TYPE_CHECKING:
    from simlab.faces.mesa.model import MarketModel

__all__ = ["AccountAgent", "Holder", "MarketAgent"]


class Holder(mesa.Agent, ABC):  # type: ignore[misc]
    """Whoever holds an account; all that it says is read from the ledger when it is asked."""

    model: MarketModel

    @property
    @abstractmethod
    def account(self) -> int:
        """The account's number."""

    @property
    @abstractmethod
    def population(self) -> str:
        """The population whose account it is."""

    @property
    def name(self) -> str:
        """The population and the number therein."""
        return self.model.simulation.agent_name(self.account)

    @property
    def cash(self) -> int:
        """Cash, money units."""
        return int(self.model.simulation.state.ledger.accounts["cash"][self.account])

    @property
    def fees(self) -> int:
        """Fees paid so far, money units."""
        return int(self.model.simulation.state.ledger.accounts["fees"][self.account])

    @property
    def inventory(self) -> int:
        """Inventory, lots, of the first instrument that its population trades."""
        return self.model.inventory_of(self.account, self.model.traded(self.population)[0])

    @property
    def inventories(self) -> dict[str, int]:
        """Inventory, lots, of every instrument that its population trades, by name."""
        names = self.model.instruments
        return {
            names[i]: self.model.inventory_of(self.account, i) for i in self.model.traded(self.population)
        }

    @property
    def pnl(self) -> float:
        """Profit since the start, fees taken off, positions at the mid of the latest step; money units."""
        return float(self.model.profits[self.account])

    @property
    def open_orders(self) -> int:
        """Number of resting orders, in all instruments."""
        return int(self.model.simulation.state.book.owners["orders"][self.account])


class AccountAgent(Holder):
    """An agent of one of the configuration's populations, whom the market lets act; `step` does nothing.

    Parameters
    ----------
    model : MarketModel
    account : int
    population : str
    """

    def __init__(self, model: MarketModel, account: int, population: str) -> None:
        super().__init__(model)
        self._account, self._population = account, population

    @property
    def account(self) -> int:
        """The account's number."""
        return self._account

    @property
    def population(self) -> str:
        """The population that it is of."""
        return self._population


class MarketAgent(Holder):
    """An agent of your own: write ``step``, and trade through ``self.market``, a `Seat`.

    It takes a seat of a population with ``strategy: outside``. Where the configuration has none, the market
    begins with a seat for each agent that was made before its first step, or before anybody looked at it;
    such an account begins with 10,000,000 money units and may sell short. The model lets it act once before
    each step of the market.

    Parameters
    ----------
    model : MarketModel
    population : str, optional
        Whose seat it takes; any that is free by default.
    cash : int, optional
        What the account begins with in place of what its population does, money units.

    Raises
    ------
    SimlabError
        When no seat is free, with how to have more.

    Example
    -------
    >>> from simlab.faces.mesa import MarketModel
    >>> class Seller(MarketAgent):
    ...     def step(self):
    ...         self.market.limit("sell", 101 + self.market.step, 1)
    >>> model = MarketModel({"steps": 2, "instruments": {"ACME": {"initial_price": 100}}})
    >>> seller = Seller(model, cash=500)
    >>> model.run_model()
    >>> seller.cash, [order.price for order in seller.market.orders]
    (500, [101, 102])
    """

    def __init__(
        self,
        model: MarketModel,
        *args: Any,
        population: str | None = None,
        cash: int | None = None,
        **kwargs: Any,
    ) -> None:
        if not hasattr(model, "floor"):
            raise SimlabError(
                f"{type(self).__name__}: a MarketAgent trades in a MarketModel, not in a"
                f" {type(model).__name__}; make it with the model of the market"
            )
        self._seat: Seat | None = None
        self._population = ""
        model.floor.take_seat(self, population, cash)
        super().__init__(model, *args, **kwargs)

    def sit_down(self, account: int, host: SeatHost, population: str) -> None:
        """Take note of the seat; the market calls it."""
        self._seat, self._population = Seat(self, host, account), population

    @property
    def market(self) -> Seat:
        """What it sees of the market, and trades through."""
        if self._seat is None:
            _ = self.model.simulation  # it begins, and gives the seat
        if self._seat is None:
            raise SimlabError(f"agent {self.unique_id} was removed and has no seat any more; make another")
        return self._seat

    @property
    def account(self) -> int:
        """The account's number."""
        return self.market.account

    @property
    def population(self) -> str:
        """The population whose seat it has."""
        return self._population if self.market else ""

    def remove(self) -> None:
        """Leave the model: the seat is given back and its resting orders are cancelled."""
        self.model.floor.leave(self, self._seat)
        self._seat = None
        super().remove()
