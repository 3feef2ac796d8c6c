"""The schema of what accounts start with and may do: `account`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Tag

from simlab.config.fields import (
    Flag,
    Model,
    Name,
    Step,
    Whole,
    described,
    free_or,
    free_or_schema,
    number_or_mapping,
    within,
)
from simlab.config.limits import LOTS, MESSAGES, MONEY, OPEN_ORDERS, POSITION

__all__ = ["AccountConfig", "MessageRate", "Short"]

_Lots = Annotated[Whole, within(-LOTS.most, LOTS)]
_Position = Annotated[Whole, within(0, POSITION)]
_Borrowing = Annotated[int | str, free_or(MONEY), free_or_schema(MONEY)]
Short = Annotated[int | str, free_or(POSITION), free_or_schema(POSITION)]
"""How far an inventory may fall below zero."""


class MessageRate(Model):
    """At most `messages` messages in each window of `steps` steps."""

    messages: Whole = described(..., "Messages allowed in a window", "messages", ge=0, bound=MESSAGES)
    steps: Step = described(1, "Length of a window; windows start at its multiples", "steps", ge=1)


InventoryValue = Annotated[
    Annotated[_Lots, Tag("number")] | Annotated[dict[Name, _Lots], Tag("mapping")],
    number_or_mapping("a number of lots or {INSTRUMENT: lots}"),
]


class AccountConfig(Model):
    """What each account of a population starts with and may do."""

    cash: Whole = described(0, "Cash at the start", "money units", ge=-MONEY.most, bound=MONEY)
    inventory: InventoryValue = described(
        0, "Inventory at the start: a number for each instrument it trades, or one by instrument", "lots"
    )
    borrowing: _Borrowing = described(
        "none", "How far cash may fall below zero: none, free, or a number", "money units"
    )
    short_selling: Short = described(
        "none", "How far inventory may fall below zero: none, free, or a number", "lots"
    )
    position_limit: _Position | None = described(
        None, "Largest inventory, long or short, in one instrument; no limit if null", "lots"
    )
    reserve: Flag = described(True, "Resting orders count as if filled when funds and limits are checked")
    message_rate: MessageRate | None = described(None, "How often it may send messages; no limit if null")
    max_open_orders: Whole = described(
        1000, "Resting orders it may have at once", "orders", ge=1, bound=OPEN_ORDERS
    )
