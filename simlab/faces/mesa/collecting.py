"""Collect what a market's model and agents report, so that `mesa.batch_run` finds both at the same step."""

from __future__ import annotations

import mesa

__all__ = ["Collector"]


class Collector(mesa.DataCollector):  # type: ignore[misc]
    """A `mesa.DataCollector` whose last row in `mesa.batch_run` is of the last step, in every Mesa 3.

    Mesa 3.3 finds what the model reports by how often it was collected, and what the agents report by the
    steps begun, so `batch_run` shows agents as they were a step before the model. There this one numbers what
    agents report by how often it was collected too: from 0, as the market numbers its steps. Mesa 3.5 numbers
    both by its time, from 1, and this is then its own.
    """

    def collect(self, model: mesa.Model) -> None:
        """Collect at the end of a step; in Mesa 3.3 ``model.steps`` is meanwhile the number of that step."""
        late = 0 if hasattr(self, "_collection_steps") else 1
        model.steps -= late
        try:
            super().collect(model)
        finally:
            model.steps += late
