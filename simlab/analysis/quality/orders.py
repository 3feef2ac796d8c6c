"""What becomes of orders: messages per trade, time to fill, and outcomes by place in the queue."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simlab.analysis.quality.queueing import OUTCOMES, limit_orders
from simlab.analysis.tables import Frames, Sums, batches, instrument_names, numbers
from simlab.errors import AnalysisError

__all__ = [
    "COUNT_COLUMNS",
    "FillTimes",
    "MessageCounts",
    "QueueOutcomes",
    "order_to_trade_ratio",
    "queue_outcomes",
    "time_to_fill",
]

COUNT_COLUMNS = ("event", "instrument", "reason")
_UNTIL = ("first fill", "complete fill")
_COMPACT_AFTER = 64
_SHARES = ("filled", "partly_filled", "cancelled", "expired", "replaced", "resting")


def order_to_trade_ratio(messages: Frames, trades: Frames, instruments: pd.DataFrame) -> pd.DataFrame:
    """Count what traders sent for each trade.

    Parameters
    ----------
    messages : Frames
        ``event``, ``instrument``, ``reason``.
    trades : Frames
        ``instrument``.
    instruments : DataFrame
        ``instrument``, ``name``.

    Returns
    -------
    DataFrame
        One row an instrument: ``instrument``, ``orders`` (accepted), ``replacements``, ``cancellations``
        (asked for by the owner), ``rejections``, ``trades`` (fills: an order that meets three makes three),
        ``orders_per_trade`` and ``messages_per_trade`` (orders, replacements, cancellations and rejections).
        Both ratios are infinite where there was no trade.

    Raises
    ------
    AnalysisError
        When there are no messages.

    References
    ----------
    Commission Delegated Regulation (EU) 2017/566 on the ratio of unexecuted orders to transactions, which is
    the ratio of messages to trades less 1, but counts a replacement twice.

    Example
    -------
    >>> messages = pd.DataFrame({"event": ["accepted"] * 3 + ["cancelled"], "instrument": 0})
    >>> messages["reason"] = ["none"] * 3 + ["requested"]
    >>> table = pd.DataFrame({"instrument": [0], "name": ["A"]})
    >>> counts = order_to_trade_ratio(messages, pd.DataFrame({"instrument": [0]}), table)
    >>> counts[["orders_per_trade", "messages_per_trade"]].to_numpy().tolist()
    [[3.0, 4.0]]
    """
    counts = MessageCounts(instruments)
    for frame in batches(messages, COUNT_COLUMNS, "messages"):
        counts.add_messages(frame)
    for frame in batches(trades, ("instrument",), "trades"):
        counts.add_trades(frame)
    rows = [
        {"instrument": name, **counts.row(number)}
        for number, name in instrument_names(instruments).items()
        if number in counts.instruments
    ]
    if not rows:
        raise AnalysisError("there are no messages; give the messages of a recorded run")
    return pd.DataFrame(rows)


class MessageCounts:
    """Count messages and trades, batch by batch; see `order_to_trade_ratio`."""

    def __init__(self, instruments: pd.DataFrame) -> None:
        self._instruments = instruments
        self._sums = Sums(instruments)
        self.instruments: set[int] = set()
        """The instruments that had messages."""

    def add_messages(self, messages: pd.DataFrame) -> None:
        """Count the messages of one frame."""
        instrument = numbers(messages["instrument"], self._instruments, "instrument")
        self.instruments.update(np.unique(instrument).tolist())
        event = messages["event"]
        self._sums.add(
            instrument,
            orders=(event == "accepted").to_numpy(),
            replacements=(event == "replaced").to_numpy(),
            cancellations=((event == "cancelled") & (messages["reason"] == "requested")).to_numpy(),
            rejections=(event == "rejected").to_numpy(),
        )

    def add_trades(self, trades: pd.DataFrame) -> None:
        """Count the trades of one frame."""
        instrument = numbers(trades["instrument"], self._instruments, "instrument")
        self._sums.add(instrument, trades=np.ones(len(instrument)))

    def row(self, instrument: int) -> dict[str, float]:
        """Return the counts and ratios of one instrument; raises AnalysisError when nothing was sent."""
        kinds = ("orders", "replacements", "cancellations", "rejections")
        counts = {name: int(self._sums[name][instrument]) for name in (*kinds, "trades")}
        sent = sum(counts[name] for name in kinds)
        trades = counts["trades"]
        if not sent and not trades:
            raise AnalysisError("no message was sent and nothing traded, so there is no ratio of the two")
        return counts | {
            "orders_per_trade": counts["orders"] / trades if trades else np.inf,
            "messages_per_trade": sent / trades if trades else np.inf,
        }


def time_to_fill(messages: Frames, trades: Frames, instruments: pd.DataFrame) -> pd.DataFrame:
    """Estimate how likely a resting limit order is filled within a number of steps, by Kaplan and Meier.

    Every stay in a queue counts (see `simlab.analysis.quality.limit_orders`): cancellation, expiry, a
    replacement that loses priority and the end of the recording censor it. Orders that trade at once never
    rest and do not count. Censoring is taken to say nothing about the fill that would have come; traders who
    cancel what runs away from the market make the estimate too high.

    Parameters
    ----------
    messages, trades : Frames
        The tables of a recording from its first event, in order.
    instruments : DataFrame
        ``instrument``, ``name``.

    Returns
    -------
    DataFrame
        ``instrument``; ``until`` (``first fill`` or ``complete fill``); ``steps``, each at which something
        was filled; ``at_risk`` (stays that lasted so long); ``fills``; ``fill_probability`` (filled within
        `steps`); ``standard_error`` (Greenwood's).

    Raises
    ------
    AnalysisError
        When no limit order came to rest, or the tables do not belong together.

    References
    ----------
    Kaplan and Meier (1958), Journal of the American Statistical Association 53, 457; Lo, MacKinlay and Zhang
    (2002), Journal of Financial Economics 65, 31.

    Example
    -------
    >>> curve = time_to_fill(run.messages(), run.trades(), run.instruments())  # doctest: +SKIP
    >>> likely = curve[curve["fill_probability"] >= 0.5]  # doctest: +SKIP
    >>> likely.groupby(["instrument", "until"])["steps"].min()  # doctest: +SKIP
    """
    times = FillTimes(instruments)
    for stays in limit_orders(messages, trades, instruments):
        times.add(stays)
    curves = [
        times.curve(number, until).assign(instrument=name, until=until)
        for number, name in instrument_names(instruments).items()
        for until in _UNTIL
        if number in times.instruments
    ]
    if not curves:
        raise AnalysisError("no limit order came to rest, so there is no time to fill")
    table = pd.concat(curves, ignore_index=True)
    return table[["instrument", "until", "steps", "at_risk", "fills", "fill_probability", "standard_error"]]


class FillTimes:
    """Count stays by duration and by whether a fill ended them, batch by batch; see `time_to_fill`."""

    def __init__(self, instruments: pd.DataFrame) -> None:
        self._instruments = instruments
        self._parts: list[pd.Series] = []
        self.instruments: set[int] = set()
        """The instruments in which orders rested."""

    def add(self, stays: pd.DataFrame) -> None:
        """Add stays as `simlab.analysis.quality.limit_orders` gives them."""
        if not len(stays):
            return
        first = stays["first_fill"].notna()
        filled = (stays["outcome"] == "filled").to_numpy()
        last = stays["end"].to_numpy()
        ends = ((stays["first_fill"].where(first, last), first), (last, filled))
        for until, (end, event) in zip(_UNTIL, ends, strict=True):
            rows = pd.DataFrame(
                {
                    "instrument": numbers(stays["instrument"], self._instruments, "instrument"),
                    "until": until,
                    "steps": np.asarray(end - stays["start"], np.int64),
                    "event": np.asarray(event),
                }
            )
            found = rows.groupby(["instrument", "until", "steps", "event"]).size()
            self._parts.append(found)
            self.instruments.update(found.index.get_level_values(0))
        if len(self._parts) >= _COMPACT_AFTER:
            self._counts()

    def _counts(self) -> pd.Series:
        self._parts = [pd.concat(self._parts).groupby(level=[0, 1, 2, 3]).sum()]
        return self._parts[0]

    def curve(self, instrument: int, until: str) -> pd.DataFrame:
        """Return the curve of one instrument: the columns of `time_to_fill` from ``steps`` on."""
        counts = self._counts().loc[(instrument, until)].unstack("event", fill_value=0)
        stays = counts.sum(axis=1).to_numpy()
        fills = counts[True].to_numpy() if True in counts else np.zeros(len(counts), np.int64)
        at_risk = stays[::-1].cumsum()[::-1]
        unfilled = np.cumprod(1 - fills / at_risk)
        left = at_risk - fills
        hazard = np.divide(fills, at_risk * left, out=np.zeros(len(fills)), where=left > 0)
        table = pd.DataFrame(
            {
                "steps": counts.index.to_numpy(np.int64),
                "at_risk": at_risk,
                "fills": fills,
                "fill_probability": 1 - unfilled,
                "standard_error": unfilled * np.sqrt(np.cumsum(hazard)),
            }
        )
        return table[table["fills"] > 0]

    def median(self, instrument: int, until: str) -> float:
        """Return the steps within which half are filled; raises AnalysisError when fewer are."""
        curve = self.curve(instrument, until)
        reached = curve.loc[curve["fill_probability"] >= 0.5, "steps"]
        if reached.empty:
            highest = curve["fill_probability"].max() if len(curve) else 0.0
            raise AnalysisError(f"no median: the probability of a {until} reaches only {highest:.0%}")
        return float(reached.iloc[0])


def queue_outcomes(
    messages: Frames, trades: Frames, instruments: pd.DataFrame, *, edges: Sequence[int] = (1, 10, 30, 100)
) -> pd.DataFrame:
    """Return what became of resting limit orders by the lots that stood before them on arrival.

    Every stay in a queue counts (see `simlab.analysis.quality.limit_orders`). Lots ahead are exact,
    reconstructed from the event log.

    Parameters
    ----------
    messages, trades : Frames
        The tables of a recording from its first event, in order.
    instruments : DataFrame
        ``instrument``, ``name``.
    edges : sequence of int, lots
        Rising, above 0: where a new class of lots ahead begins; the first class is 0 to below the first edge.

    Returns
    -------
    DataFrame
        One row an instrument and class with stays: ``instrument``, ``ahead_from``, ``ahead_below`` (lots; NaN
        for no bound), ``orders`` (stays), ``mean_ahead`` (lots), and shares of the stays that sum to 1:
        ``filled`` (wholly), ``partly_filled`` (in part, however they ended), and without any fill
        ``cancelled``, ``expired``, ``replaced`` (lost its place to a replacement), ``resting`` (at the end);
        ``mean_steps`` (in the queue).

    Raises
    ------
    AnalysisError
        When no limit order came to rest, `edges` do not rise from above 0, or the tables do not belong
        together.

    References
    ----------
    Moallemi and Yuan (2016), A model for queue position valuation in a limit order book.

    Example
    -------
    >>> table = queue_outcomes(run.messages(), run.trades(), run.instruments())  # doctest: +SKIP
    >>> table[["ahead_from", "orders", "filled", "cancelled"]]  # doctest: +SKIP
    """
    outcomes = QueueOutcomes(instruments, edges)
    for stays in limit_orders(messages, trades, instruments):
        outcomes.add(stays)
    return outcomes.result()


class QueueOutcomes:
    """Count outcomes by lots ahead, batch by batch; see `queue_outcomes`."""

    def __init__(self, instruments: pd.DataFrame, edges: Sequence[int]) -> None:
        self._bounds = np.array([0, *edges], np.int64)
        if len(self._bounds) > 1 and np.diff(self._bounds).min() <= 0:
            raise AnalysisError(f"edges are {tuple(edges)}; they must rise, from above 0")
        self._instruments = instruments
        self._parts: list[pd.DataFrame] = []

    def add(self, stays: pd.DataFrame) -> None:
        """Add stays as `simlab.analysis.quality.limit_orders` gives them."""
        if not len(stays):
            return
        ahead = stays["ahead"].to_numpy()
        rows = pd.DataFrame(
            {
                "instrument": numbers(stays["instrument"], self._instruments, "instrument"),
                "class": np.searchsorted(self._bounds, ahead, side="right") - 1,
                "orders": 1,
                "mean_ahead": ahead,
                "mean_steps": stays["end"].to_numpy() - stays["start"].to_numpy(),
                **dict(zip(_SHARES, _outcome_flags(stays), strict=True)),
            }
        )
        self._parts.append(rows.groupby(["instrument", "class"]).sum())

    def result(self) -> pd.DataFrame:
        """Return the table that `queue_outcomes` describes."""
        if not self._parts:
            raise AnalysisError("no limit order came to rest, so no queue has outcomes")
        sums = pd.concat(self._parts).groupby(level=[0, 1]).sum()
        means = sums[["mean_ahead", *_SHARES, "mean_steps"]].div(sums["orders"], axis=0)
        place = sums.index.get_level_values("class").to_numpy()
        names = instrument_names(self._instruments)
        means.insert(0, "instrument", [names[number] for number in sums.index.get_level_values("instrument")])
        means.insert(1, "ahead_from", self._bounds[place])
        means.insert(2, "ahead_below", np.append(self._bounds[1:].astype(float), np.nan)[place])
        means.insert(3, "orders", sums["orders"])
        return means.reset_index(drop=True)


def _outcome_flags(stays: pd.DataFrame) -> list[NDArray[np.bool_]]:
    outcome = stays["outcome"].cat.codes.to_numpy()
    filled = outcome == OUTCOMES.index("filled")
    touched = stays["filled"].to_numpy() > 0
    rest = [(outcome == OUTCOMES.index(name)) & ~touched for name in _SHARES[2:]]
    return [filled, touched & ~filled, *rest]
