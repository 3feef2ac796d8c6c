"""Leave accounts to whoever trades from outside: people, programs, environments."""

from __future__ import annotations

from simlab.agents.strategy import Calling, Strategy

__all__ = ["outside"]


def _nothing(**options: object) -> None:
    return None


outside = Strategy(
    name="outside",
    level=Calling.OUTSIDE,
    make=_nothing,
    summary="Seats: accounts that are taken, traded from and given back by somebody outside during the run.",
    defined_in=__name__,
)
