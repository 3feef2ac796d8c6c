"""Write down what enters the market, with what the service adds, before it is answered."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

__all__ = ["Log"]


class Log:
    """Gather what belongs to the next entry of the journal, and write it."""

    def __init__(self, journal: Any = None) -> None:
        self._journal = journal
        self._parts: list[tuple[str, Any]] = []

    def before(self, kind: str, content: Any) -> None:
        """Note something that goes with what enters the market next."""
        if self._journal is not None:
            self._parts.append((kind, content))

    def entered(self, rows: NDArray[Any], texts: list[Any]) -> None:
        """Write down what enters, as `Simulation.journal` is told of it."""

    def write(self, step: int) -> None:
        """Write down what was noted and goes with nothing that enters, and that a step was reached."""
