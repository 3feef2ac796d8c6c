"""Send recorded order flow again, into a market where others trade too.

The message table that ``simlab import`` writes holds what the participants of a real venue sent. One agent
of this strategy sends all of it, row by row in the recorded order, on the recorded clock: a step stands for
`step_ns` nanoseconds, or, with `step_ns` 0, for one event of the exchange. Alone in a market it rebuilds the
recorded book; beside others the recorded orders trade with theirs, but do not answer them.

An order id of the venue may name several orders one after another (an iceberg's next part comes under the
same id), so the ids are taken from the market and each cancel or replace is led back to the latest order
that its recorded id stood for.

While the venue halted trading, the instrument of the replay is halted too, for everybody, unless the option
`halts` is false; what was recorded during a halt is sent when trading is resumed.

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

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from simlab.agents.batch import BatchObservation, BatchOrders, Parameter, batch_strategy
from simlab.agents.strategy import Strategy
from simlab.core.types import MessageKind
from simlab.errors import StrategyError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Replay", "earlier_orders", "halted_steps", "replay_steps"]

_COLUMNS = ("time_ns", "event_index", "kind", "side", "time_in_force", "price", "quantity", "order_id")
_HOW = (
    "make it with `simlab import databento FILE... --out {path}`, or of other files (`simlab import --help`)"
)

Spans = Sequence[tuple[int, int | None]]
"""(first, end) of spans that do not overlap; an end of None is that of the recording."""


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


def replay_steps(
    time_ns: NDArray[np.int64],
    event_index: NDArray[np.int64],
    *,
    step_ns: int,
    start_ns: int = 0,
    halts: Spans = (),
) -> NDArray[np.int64]:
    """Return the step in which each message is sent.

    Parameters
    ----------
    time_ns, event_index : (n,) int64
        Of the messages, not decreasing.
    step_ns : int
        Recorded time that a step stands for; 0 for one event a step.
    start_ns : int
        Recorded time that the first step catches up with.
    halts : spans of ns
        When trading was halted: what was recorded then is sent in the first step after.

    Returns
    -------
    (n,) int64
        Not decreasing. Messages of a halt without an end have the largest int64: they are never sent.

    Example
    -------
    >>> time_ns, event = np.array([0, 5, 5, 12]), np.array([0, 1, 1, 2])
    >>> replay_steps(time_ns, event, step_ns=10).tolist()
    [0, 0, 0, 1]
    >>> replay_steps(time_ns, event, step_ns=0).tolist()
    [0, 1, 1, 2]
    """
    since = time_ns - time_ns[:1] - start_ns
    if step_ns:
        steps = np.maximum.accumulate(np.maximum(since // step_ns, 0))
    else:
        first_of_event = np.diff(event_index, prepend=event_index[:1]) != 0
        steps = np.cumsum(first_of_event & (since > 0) if start_ns else first_of_event)
    for first, end in halted_steps(time_ns, steps, halts, step_ns=step_ns, start_ns=start_ns):
        held = (steps >= first) & (steps < _or_never(end))
        steps = np.where(held, _or_never(end), steps)
    return steps


def halted_steps(
    time_ns: NDArray[np.int64], steps: NDArray[np.int64], halts: Spans, *, step_ns: int, start_ns: int = 0
) -> list[tuple[int, int | None]]:
    """Return the halts in steps, (first, end); those shorter than a step, or before `start_ns`, are left out.

    Parameters
    ----------
    time_ns, steps : (n,) int64
        Of the messages, not decreasing, without regard to halts.
    """
    if not len(time_ns):
        return []
    origin_ns = int(time_ns[0]) + start_ns

    def step_of(at_ns: int, *, up: bool) -> int:
        if step_ns:
            return max((at_ns - origin_ns + (step_ns - 1 if up else 0)) // step_ns, 0)
        row = int(np.searchsorted(time_ns, at_ns))
        return int(steps[row]) if row < len(steps) else int(steps[-1]) + 1

    spans = [
        (step_of(first, up=True), None if end is None else step_of(end, up=False)) for first, end in halts
    ]
    return [(first, end) for first, end in spans if end is None or end > first]


def _or_never(step: int | None) -> int:
    return int(np.iinfo(np.int64).max) if step is None else step


@batch_strategy(
    "replay",
    "Sends recorded order flow again, message by message.",
    (
        Parameter(
            "step_ns", 1e9, "ns", "Recorded time a step stands for; 0 for one event a step.", 0, 1e18, True
        ),
        Parameter("start_ns", 0, "ns", "Recorded time that the first step catches up with.", 0, 1e18, True),
    ),
    options=("path", "halts"),
    source="Huang and Polak (2011), LOBSTER: limit order book reconstruction system, SSRN 1977207",
)
class Replay:
    """Hold a message table and how far it has been sent.

    Parameters
    ----------
    path : str
        A message table, ``.parquet``, as ``simlab import`` writes it.
    halts : bool
        Whether the instrument is halted when the venue halted trading.

    Raises
    ------
    StrategyError
        When there is no such file, it has other columns or no rows, or a message refers to an order never
        sent.
    """

    strategy: ClassVar[Strategy]

    def __init__(self, path: str | None = None, halts: bool = True) -> None:
        self.check_options(path, halts)
        table = _read(path)
        columns = {name: table[name].to_numpy().astype(np.int64) for name in _COLUMNS}
        self._time_ns = columns.pop("time_ns")
        self._event = columns.pop("event_index")
        self._halts = _halts(table) if halts else []
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

    @staticmethod
    def check_options(path: str | None = None, halts: bool = True) -> None:
        """Look at the options without reading the table's rows; raise StrategyError when one is wrong."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        if path is None:
            how = _HOW.format(path="NAME.parquet")
            raise StrategyError(f"replay needs the option path: a message table; {how}")
        if not Path(path).is_file():
            raise StrategyError(f"replay: there is no message table {path}; {_HOW.format(path=path)}")
        try:
            file = pq.ParquetFile(path)
        except (pa.ArrowInvalid, OSError) as error:
            raise _no_table(path, str(error)) from error
        with file:
            missing = [name for name in _COLUMNS if name not in file.schema_arrow.names]
            if missing:
                raise _no_table(path, f"it has no column {missing[0]}")
            if not file.metadata.num_rows:
                raise StrategyError(f"replay: the message table {path} has no rows; {_HOW.format(path=path)}")

    @staticmethod
    def check_market(options: Mapping[str, Any], instrument: Any) -> None:
        """Raise StrategyError when an instrument cannot take what the table holds.

        Parameters
        ----------
        options : mapping
            Those of the population, checked.
        instrument : object
            Has `price_band`, `tick_size` and `lot_size`.
        """
        table = _read(options["path"])
        orders = table["kind"].to_numpy() != MessageKind.CANCEL
        prices, quantities = (table[name].to_numpy()[orders] for name in ("price", "quantity"))
        if not len(prices):
            return
        lowest, highest = int(prices.min()), int(prices.max())
        low, high = instrument.price_band
        if lowest < low or highest > high:
            raise StrategyError(
                f"replay: {options['path']} has prices from {lowest} to {highest}, outside the instrument's"
                f" price_band [{low}, {high}]; set it to [{min(low, lowest)}, {max(high, highest)}] or wider"
            )
        for name, values, step in (
            ("price", prices, instrument.tick_size),
            ("quantity", quantities, instrument.lot_size),
        ):
            if (off := values[values % step != 0]).size:
                which = "tick_size" if name == "price" else "lot_size"
                raise StrategyError(
                    f"replay: {options['path']} has the {name} {off[0]}, which is not a multiple of the"
                    f" instrument's {which} {step}; set {which} to 1"
                )

    @staticmethod
    def halts(options: Mapping[str, Any], parameters: Sequence[float]) -> list[tuple[int, int | None]]:
        """Return the steps, (first, end), in which the instrument is to be halted; None for no end."""
        if not options.get("halts", True):
            return []
        table = _read(options["path"])
        time_ns, event = (table[name].to_numpy().astype(np.int64) for name in ("time_ns", "event_index"))
        step_ns, start_ns = (int(value) for value in parameters)
        steps = replay_steps(time_ns, event, step_ns=step_ns, start_ns=start_ns)
        return halted_steps(time_ns, steps, _halts(table), step_ns=step_ns, start_ns=start_ns)

    def decide(self, observation: BatchObservation, orders: BatchOrders) -> None:
        """Send every row that is due and has not been sent."""
        if self._steps is None:
            step_ns, start_ns = (int(value) for value in observation.parameters[0])
            self._steps = replay_steps(
                self._time_ns, self._event, step_ns=step_ns, start_ns=start_ns, halts=self._halts
            )
        _check_alone(observation)
        start = self._sent
        stop = int(np.searchsorted(self._steps, observation.step, side="right"))
        if stop == start:
            return
        rows = {name: column[start:stop] for name, column in self._columns.items()}
        rows["order_id"] = self._own_ids(start, stop)
        self._ids[start:stop] = orders.send(np.zeros(stop - start, np.int64), **rows)
        self._sent = stop

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

    try:
        return pq.read_table(path, columns=list(_COLUMNS)).select(_COLUMNS)
    except (pa.ArrowInvalid, OSError) as error:
        raise _no_table(path, str(error)) from error


def _halts(table: pa.Table) -> list[tuple[int, int | None]]:
    metadata = table.schema.metadata or {}
    return [(first, end) for first, end in json.loads(metadata.get(b"halts", b"[]"))]


def _no_table(path: str | None, why: str) -> StrategyError:
    return StrategyError(f"replay: {path} is no message table ({why}); {_HOW.format(path=path)}")
