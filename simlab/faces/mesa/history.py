"""Remember how prices and profits went, in bounded memory: for the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simlab.faces.mesa.model import MarketModel

__all__ = ["MOST_POINTS", "History"]

MOST_POINTS = 1000
"""Points of a line; when there are twice as many, every other one is dropped."""


class History:
    """Mid prices and mean profits by population, at the end of every so many steps.

    Example
    -------
    >>> from simlab.faces.mesa import MarketModel
    >>> model = MarketModel({"steps": 5, "instruments": {"ACME": {"initial_price": 100}}})
    >>> history = History(model)
    >>> while model.running:
    ...     model.step()
    ...     history.add(model)
    >>> history.steps, history.mids["ACME"][-1]
    ([0, 1, 2, 3, 4, 5], 100.0)
    """

    def __init__(self, model: MarketModel) -> None:
        self._every = 1
        self.steps: list[int] = []
        """Steps run before each point."""
        self.mids: dict[str, list[float]] = {name: [] for name in model.instruments}
        """Price units, by instrument."""
        self.pnl: dict[str, list[float]] = {name: [] for name in model.pnl}
        """Money units, by population."""
        self.add(model)

    def add(self, model: MarketModel) -> None:
        """Add how the model is now, if it is time for a point."""
        if model.steps % self._every:
            return
        self.steps.append(model.steps)
        for lines, now in ((self.mids, model.mids), (self.pnl, model.pnl)):
            for name, value in now.items():
                lines[name].append(value)
        if len(self.steps) >= 2 * MOST_POINTS:
            self._every *= 2
            del self.steps[1::2]
            for line in (*self.mids.values(), *self.pnl.values()):
                del line[1::2]
