"""The outside processes behind the interface of a kernel that does not hold their state itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from simlab.errors import SimlabError
from simlab.processes.happenings import OutsideBlock
from simlab.processes.outside import Outside, OutsideSpec

__all__ = ["OutsideWorld", "World"]


class OutsideWorld(Protocol):
    """Produce blocks in order."""

    def block(self, start: int, steps: int) -> OutsideBlock:
        """Return the block that follows the last one, or the first one anew for step 0."""


class World:
    """Run an `OutsideSpec` and hold its state; a block that starts at step 0 starts anew."""

    def __init__(
        self,
        seed: int,
        instruments: Sequence[str],
        initial_prices: Sequence[float],
        **terms: Iterable[Any],
    ) -> None:
        self._outside = Outside(
            OutsideSpec(**{name: tuple(term) for name, term in terms.items()}),
            seed=seed,
            initial_prices=dict(zip(instruments, initial_prices, strict=True)),
        )
        self._state = self._outside.start()

    def block(self, start: int, steps: int) -> OutsideBlock:
        """Return the block that follows the last one, or the first one anew for step 0."""
        if start == 0:
            self._state = self._outside.start()
        if start != self._state.next_step:
            raise SimlabError(
                f"outside world: {steps} steps from step {start} asked for, but the next block starts at "
                f"step {self._state.next_step}; ask for blocks in order"
            )
        block, self._state = self._outside.advance(self._state, steps)
        return block
