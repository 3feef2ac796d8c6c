"""Send recorded order flow again, into a market where others trade too.

The message table that ``simlab import`` writes holds what the participants of a real venue sent. One agent
of this strategy sends all of it, row by row in the recorded order, on the recorded clock: a step stands for
`step_ns` nanoseconds, or, with `step_ns` 0, for one event of the exchange. Alone in a market it rebuilds the
recorded book; beside others the recorded orders trade with theirs, but do not answer them.

An order id of the venue may name several orders one after another (an iceberg's next part comes under the
same id), so the ids are taken from the market and each cancel or replace is led back to the latest order
that its recorded id stood for.

Simplifications: all participants are one account, so an instrument that replays must have self-trade
prevention off, and the account's profit is that of the whole recorded crowd. The crowd does not react: an
order that somebody else's trade has consumed is still cancelled by its owner, and that cancel is refused as
an unknown order; a part of an iceberg that somebody else left in the book stays there beside the next.

References
----------
Huang and Polak (2011), LOBSTER: limit order book reconstruction system, SSRN 1977207 (a book rebuilt from
the messages that made it).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from simlab.agents.batch import BatchObservation, BatchOrders, Parameter, batch_strategy
from simlab.agents.strategy import Strategy
from simlab.core.types import MessageKind
from simlab.errors import StrategyError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Replay", "earlier_orders"]

_COLUMNS = ("time_ns", "event_index", "kind", "side", "time_in_force", "price", "quantity", "order_id")
_HOW = "make it with `simlab import databento FILE... --out {path}` or `simlab import lobster`"


def earlier_orders(kind: NDArray[np.int64], order_id: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each message the row of the latest order, itself included, that its order id stands for.

    Parameters
    ----------
    kind : (n,) int64
        `simlab.core.types.MessageKind`.
    order_id : (n,) int64
        Recorded ids, each of which may name several orders one after another.

    Returns
    -------
    (n,) int64
        Rows; -1 where no order came before.

    Example
    -------
    >>> earlier_orders(np.array([0, 0, 2, 0, 2, 2]), np.array([7, 8, 7, 7, 7, 9])).tolist()
    [0, 1, 0, 3, 3, -1]
    """
    by_id = np.argsort(order_id, kind="stable")
    places = np.arange(len(by_id))
    latest = np.maximum.accumulate(np.where(kind[by_id] <= MessageKind.MARKET, places, -1))
    found = (latest >= 0) & (order_id[by_id[latest]] == order_id[by_id])
    rows = np.empty(len(by_id), np.int64)
    rows[by_id] = np.where(found, by_id[latest], -1)
    return rows


@batch_strategy(
    "replay",
    "Sends recorded order flow again, message by message.",
    (
        Parameter(
            "step_ns", 1e9, "ns", "Recorded time a step stands for; 0 for one event a step.", 0, 1e18, True
        ),
        Parameter("start_ns", 0, "ns", "Recorded time that the first step catches up with.", 0, 1e18, True),
    ),
    options=("path",),
    source="Huang and Polak (2011), LOBSTER: limit order book reconstruction system, SSRN 1977207",
)
class Replay:
    """Hold a message table and how far it has been sent.

    Parameters
    ----------
    path : str
        A message table, ``.parquet``, as ``simlab import`` writes it.

    Raises
    ------
    StrategyError
        When there is no such file, it has other columns, or a message refers to an order never sent.
    """

    strategy: ClassVar[Strategy]

    def __init__(self, path: str | None = None) -> None:
        table = _read(path)
        columns = {name: table[name].to_numpy().astype(np.int64) for name in _COLUMNS}
        self._time_ns = columns.pop("time_ns")
        self._event = columns.pop("event_index")
        self._columns = columns
        self._order_row = earlier_orders(columns["kind"], columns["order_id"])
        orphans = np.flatnonzero(self._order_row < 0)
        if len(orphans):
            raise StrategyError(
                f"{path}: row {orphans[0]} refers to order {columns['order_id'][orphans[0]]}, which no row"
                f" before it sends ({len(orphans)} such rows); import the flow from its beginning"
            )
        self._ids = np.zeros(len(self._order_row), np.int64)
        self._sent = 0
        self._steps: NDArray[np.int64] | None = None

    def decide(self, observation: BatchObservation, orders: BatchOrders) -> None:
        """Send every row that is due and has not been sent."""
        if self._steps is None:
            self._steps = self._schedule(*observation.parameters[0])
        _check_alone(observation)
        start = self._sent
        stop = int(np.searchsorted(self._steps, observation.step, side="right"))
        if stop == start:
            return
        rows = {name: column[start:stop] for name, column in self._columns.items()}
        rows["order_id"] = self._own_ids(start, stop)
        self._ids[start:stop] = orders.send(np.zeros(stop - start, np.int64), **rows)
        self._sent = stop

    def _schedule(self, step_ns: float, start_ns: float) -> NDArray[np.int64]:
        """Return the step of each row, not decreasing."""
        since = self._time_ns - self._time_ns[:1] - int(start_ns)
        if step_ns:
            return np.maximum.accumulate(np.maximum(since // int(step_ns), 0))
        first_of_event = np.diff(self._event, prepend=self._event[:1]) != 0
        later = first_of_event & (since > 0) if start_ns else first_of_event
        return np.cumsum(later)

    def _own_ids(self, start: int, stop: int) -> NDArray[np.int64]:
        """Return the ids that rows refer to, as `BatchOrders.send` takes them."""
        rows = self._order_row[start:stop]
        return np.where(rows >= start, start - 1 - rows, self._ids[rows])


def _check_alone(observation: BatchObservation) -> None:
    if observation.index.max() > 0:
        raise StrategyError("replay needs a population of one; set count to 1 (each agent would send it all)")
    if len(observation.instruments) > 1:
        raise StrategyError(
            f"replay trades one instrument, this population trades {', '.join(observation.instruments)}; set"
            f" instruments to one of them, e.g. [{observation.instruments[0]}]"
        )


def _read(path: str | None) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if path is None:
        raise StrategyError(
            f"replay needs the option path: a message table; {_HOW.format(path='NAME.parquet')}"
        )
    if not Path(path).is_file():
        raise StrategyError(f"replay: there is no message table {path}; {_HOW.format(path=path)}")
    try:
        return pq.read_table(path, columns=list(_COLUMNS)).select(_COLUMNS)
    except (pa.ArrowInvalid, KeyError) as error:
        raise StrategyError(
            f"replay: {path} is no message table ({error}); {_HOW.format(path=path)}"
        ) from error
