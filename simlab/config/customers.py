"""What the agents of a population are given to trade for customers: the section `customer_orders`."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Tag, model_validator
from pydantic_core import PydanticCustomError

from simlab.config.distributions import Distribution, DrawError, ParameterValue, draw_column
from simlab.config.fields import Flag, Model, Real, Step, Whole, described, number_or_mapping, within
from simlab.config.limits import PRICE
from simlab.core.types import Side
from simlab.processes.customers import CustomerOrders, LimitPrices, Timing

__all__ = ["CustomerOrdersConfig", "LimitDistribution", "ShiftConfig", "build_customers"]

_MOST_UNITS = 10**6


class LimitDistribution(Distribution):
    """How limit prices differ between the agents: exactly one of the keys.

    Draws outside the range of prices are drawn again; all are rounded to whole price units.
    """

    FORMS: ClassVar[tuple[str, ...]] = ("even", *Distribution.FORMS)

    even: tuple[Real, Real] | None = None
    """``[first, last]``: evenly spaced from the first agent to the last; nothing is drawn."""

    @model_validator(mode="after")
    def _in_range(self) -> Self:
        for price in (*(self.even or ()), *(self.each or ()), *(self.choice or ()), *(self.uniform or ())):
            _require_price(price)
        return self


def _require_price(price: float) -> None:
    if not 1 <= price <= PRICE.most:
        raise PydanticCustomError(
            "limit", "limit price {price} must lie between 1 and {most}", {"price": price, "most": PRICE.most}
        )


_Limit = Annotated[Whole, within(1, PRICE)]
LimitPriceValue = Annotated[
    Annotated[_Limit, Tag("number")] | Annotated[LimitDistribution, Tag("mapping")],
    number_or_mapping("a number, or a distribution such as {even: [75, 150]} or {uniform: [50, 125]}"),
]


class ShiftConfig(Model):
    """Other limit prices from a step on: supply or demand shifts."""

    step: Step = described(..., "Orders that are given out from here on have them", "step", ge=1)
    limit_price: LimitPriceValue = described(..., "As in customer_orders", "price units")


class CustomerOrdersConfig(Model):
    """What each agent is to trade for a customer, in every instrument it trades, and at which limit price.

    An agent has one customer's order at a time; a new one takes its place, and what the agent had on order
    in the instrument is withdrawn.
    """

    side: Literal["buy", "sell"] = described(..., "What the customers want")
    limit_price: LimitPriceValue = described(
        ..., "What the first unit is worth to a buyer, or costs a seller; never told to others", "price units"
    )
    limit_step: Whole = described(
        0, "What each further unit is worth less, or costs more", "price units", ge=0, bound=PRICE
    )
    units: ParameterValue = described(1, "Size of an order", "lot sizes")
    period: Step | None = described(
        None, "Orders are given out anew after so many steps; once only if null", "steps", ge=1
    )
    timing: Literal["together", "spread", "jitter", "poisson"] = described(
        "together",
        "When in a period: `together` all in its first step; `spread` one agent after the other, at even"
        " distances and in a new order each period; `jitter` likewise, each at a random place in its part;"
        " `poisson` at random, each on average once a period",
    )
    redraw: Flag = described(
        False, "Whether limit prices are drawn anew each period (`even` and `each`: dealt anew)"
    )
    starts: Step = described(0, "First step of the first period", "step")
    shifts: tuple[ShiftConfig, ...] = described((), "Later limit prices, in the order of their steps")

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        numbers = self.units
        for units in (
            (numbers.choice or numbers.each or ()) if isinstance(numbers, Distribution) else (numbers,)
        ):
            if not (float(units).is_integer() and 1 <= units <= _MOST_UNITS):
                raise PydanticCustomError(
                    "units", "units must be whole numbers from 1 to {most}", {"most": _MOST_UNITS}
                )
        if self.period is None and (self.timing != "together" or self.redraw or self.shifts):
            raise PydanticCustomError("period", "timing, redraw and shifts go with period only")
        steps = [it.step for it in self.shifts]
        if steps != sorted(set(steps)):
            raise PydanticCustomError("order", "shifts must come in the order of their steps, each its own")
        return self


def _limits(value: int | LimitDistribution, step: int, count: int) -> LimitPrices:
    if not isinstance(value, LimitDistribution):
        return LimitPrices("each", (float(value),), step)
    numbers: Any = getattr(value, value.form)
    if value.form in ("normal", "lognormal"):
        numbers = (numbers.mean, numbers.std)
    elif value.form == "exponential":
        numbers = (numbers,)
    if value.form == "each" and len(numbers) != count:
        raise DrawError(
            f"limit_price: each has {len(numbers)} values for {count} agents; give one for every agent"
        )
    return LimitPrices(value.form, tuple(map(float, numbers)), step)


def build_customers(
    config: CustomerOrdersConfig, *, seed: int, population: str, count: int
) -> CustomerOrders:
    """Return what a population's agents are given, from its section of the configuration.

    Raises
    ------
    DrawError
        When `each` has not as many values as there are agents, or units cannot be drawn.
    """
    units = draw_column(
        config.units,
        seed=seed,
        population=population,
        parameter="customer_orders/units",
        count=count,
        low=1,
        high=_MOST_UNITS,
        integer=True,
    )
    same = count == 0 or bool((units == units[0]).all())
    return CustomerOrders(
        side=Side[config.side.upper()],
        limit_prices=(
            _limits(config.limit_price, 0, count),
            *(_limits(it.limit_price, it.step, count) for it in config.shifts),
        ),
        units=tuple(units[: 1 if same else count].astype(int).tolist()) or (1,),
        limit_step=config.limit_step,
        period=config.period or 0,
        timing=Timing(config.timing),
        redraw=config.redraw,
        starts=config.starts,
    )
