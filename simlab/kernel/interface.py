"""State what a market is for whoever stands outside: a server, an environment, a test.

A market advances in steps. Between two steps messages are answered at once, news is published, and seats are
taken and given back: each of these enters at the boundary before the next step, behind the populations that
join or leave there, the news and the shocks of that step, and in the order of the calls. A market that is
fed the same at the same boundaries does the same, event for event.

Seats are the accounts of a population whose strategy is ``outside``. `MarketConformance` in
`simlab.kernel.conformance` tests all of this.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from numpy.typing import NDArray

from simlab.kernel.snapshots import AccountSnapshot, BookSnapshot
from simlab.kernel.state import State
from simlab.market.instruments import Instrument
from simlab.processes import NewsItem

__all__ = ["Market"]


@runtime_checkable
class Market(Protocol):
    """A running market; the module's text is the contract."""

    @property
    def step(self) -> int:
        """The next step to run."""

    def advance(self, until: int | None = None, *, decisions: int | None = None) -> bool:
        """Run up to (not including) step `until`, the end by default; return whether it was reached.

        With `decisions` it may return earlier, after about so many of them, in the midst of a step: then
        False. The market takes no calls but `advance` until that step has ended, and another call goes on
        with it, whatever its `until` is. What happens does not depend on the slices.
        """

    def submit(self, messages: NDArray[Any]) -> NDArray[Any]:
        """Deliver ``(n,) MESSAGE_DTYPE`` messages in order; return their events, ``(m,) EVENT_DTYPE``.

        Limit and market orders get an id of the market's own in place of theirs. What the market refuses is a
        REJECTED event.

        Raises
        ------
        SimlabError
            When an account is not a seat that is taken; nothing is delivered then.
        """

    def publish(
        self,
        headline: str,
        *,
        instrument: int = -1,
        content: str = "",
        sentiment: float = 0.0,
        impact: float = 0.0,
        source: str = "",
    ) -> NewsItem:
        """Publish news about an instrument, or about all; `impact`, price units, moves the fundamental."""

    def halt(self, steps: int, *, instrument: int = -1) -> None:
        """Let an instrument, or all, refuse orders for some steps from the next on; cancels pass."""

    def list_instrument(self, instrument: Instrument) -> int:
        """Add an instrument between two steps and return its number.

        Seats may trade it at once; populations trade what they were made for. Its fundamental value is
        constant.

        Raises
        ------
        SimlabError
            When there is one of this name.
        """

    def delist(self, instrument: int) -> None:
        """Take an instrument off the market: its orders are cancelled, and it refuses orders for ever.

        What accounts hold of it they keep, and its name stays taken.

        Raises
        ------
        SimlabError
            When it is not one that is listed.
        """

    def take_seat(self, population: str | None = None, *, cash: int | None = None) -> int:
        """Take a free account of a population (any by default) and return its number.

        One that was never taken comes first. One that was given back goes on where it was left, so its cash
        and positions are what they were. With `cash`, money units, the account begins with that in place of
        what its population begins with; then it must be one that was never taken.

        Raises
        ------
        SimlabError
            When no such seat is free.
        """

    def give_back(self, account: int) -> None:
        """Give a seat back; its resting orders are cancelled.

        Raises
        ------
        SimlabError
            When it is not taken.
        """

    def snapshot(self, instrument: int = 0, *, depth: int = 10) -> BookSnapshot:
        """Return an instrument's book as it is now."""

    def account(self, account: int) -> AccountSnapshot:
        """Return an account as it is now."""

    def capture(self) -> State:
        """Return a copy of the whole state, with all that strategies remember, to go on from elsewhere."""
