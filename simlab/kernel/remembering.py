"""What strategies written in Python remember: to be copied, kept, and carried over."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from simlab.errors import StrategyError
from simlab.kernel.decisions import Tally

__all__ = ["Memory", "told"]


@dataclass
class Memory:
    """What strategies remember, by rows of `SimulationSpec.cast`.

    Their objects, one a population or one an agent; the random streams of their agents; what all have in
    common; and who decided how often, by population.
    """

    objects: dict[int, list[Any]] = field(default_factory=dict)
    streams: dict[int, dict[int, np.random.Generator]] = field(default_factory=dict)
    shared: dict[str, Any] = field(default_factory=dict)
    tallies: dict[int, Tally] = field(default_factory=dict)

    def copy(self) -> Self:
        """Return a copy that shares nothing with this.

        Raises
        ------
        StrategyError
            When an object cannot be copied.
        """
        try:
            return copy.deepcopy(self)
        except Exception as error:
            raise StrategyError(f"a strategy's object cannot be copied: {told(error)}") from error

    def pickled(self) -> bytes:
        """Return all of it, to be kept with the state.

        Raises
        ------
        StrategyError
            When an object cannot be pickled.
        """
        try:
            return pickle.dumps(self)
        except Exception as error:
            raise StrategyError(
                f"a strategy's object cannot be saved: {told(error)}; keep only plain data and what can be"
                " pickled in its attributes"
            ) from error

    @classmethod
    def unpickled(cls, memory: bytes) -> Self:
        """Return what `pickled` wrote down; raises StrategyError where that cannot be read."""
        try:
            found: Self = pickle.loads(memory)
        except Exception as error:
            raise StrategyError(
                f"the strategies' objects cannot be read: {told(error)}; their files have changed, or come"
                " from elsewhere"
            ) from error
        return found

    def carried(self, rows: Mapping[int, int], objects: set[int], *, streams: bool) -> Memory:
        """Return what another specification's strategies remember of this.

        Parameters
        ----------
        rows : mapping
            The row that each row has there; one that is not named is gone.
        objects : set of int
            The rows, as they are here, whose objects go on; others are made anew.
        streams : bool
            Whether the agents' random streams go on.
        """
        return Memory(
            {rows[row]: it for row, it in self.objects.items() if row in rows and row in objects},
            {rows[row]: it for row, it in self.streams.items() if row in rows and streams},
            self.shared,
            self.tallies,
        )


def told(error: BaseException) -> str:
    """Say an error in one line."""
    if isinstance(error, StrategyError):
        return str(error)
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
