"""Tell what became of decisions, from the messages and trades that followed."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simlab.analysis.tables import Frames, SentOrders, batches, require

__all__ = ["outcomes"]

Int64 = NDArray[np.int64]

_MESSAGES = ("sequence", "event", "order_id", "account", "quantity", "reason")
_TRADES = (
    "sequence", "quantity", "taker_order_id", "maker_order_id", "taker_account", "maker_account",
)  # fmt: skip
_COMPACT_AFTER = 64
_ACCEPTED = -1
_ENDINGS = ("cancelled", "expired")
_WORDS = ("filled", "partly filled", "resting", *_ENDINGS, "on its way")
"""What can become of an order that is not refused, in the order in which a decision's are counted."""


def outcomes(decisions: pd.DataFrame, messages: Frames, trades: Frames) -> pd.DataFrame:
    """Return decisions with what became of the orders sent in them.

    Both other tables are read once, in memory that follows the orders of the decisions.

    Parameters
    ----------
    decisions : DataFrame
        ``account``, ``action``, ``first_order``, ``last_order``, ``orders``; accounts by number, here and in
        the others.
    messages, trades : Frames
        In order, from the first event.

    Returns
    -------
    DataFrame
        The decisions, and ``filled`` (lots), ``refused`` (orders) and ``outcome``: ``held``, ``sent no
        order`` (it only cancelled or replaced), and of an order, at the end of the recording, ``filled``,
        ``partly filled`` (whatever became of the rest), ``resting``, ``cancelled``, ``expired``, ``on its
        way`` (not yet at the market) or ``refused: REASON``. Several orders that ended differently are
        counted: ``1 filled, 2 resting``.

    Raises
    ------
    AnalysisError
        When a column is missing, or accounts are not numbers.

    Example
    -------
    >>> decisions = pd.DataFrame({"account": [0], "action": ["buy 5 at 99"], "first_order": [1],
    ...                           "last_order": [1], "orders": [1]})
    >>> messages = pd.DataFrame({"sequence": [0], "event": ["accepted"], "order_id": [1], "account": [0],
    ...                          "quantity": [5], "reason": ["none"]})
    >>> trades = pd.DataFrame({"sequence": [1], "quantity": [3], "taker_order_id": [2], "taker_account": [1],
    ...                        "maker_order_id": [1], "maker_account": [0]})
    >>> outcomes(decisions, messages, trades)["outcome"].tolist()
    ['partly filled']
    """
    require(decisions, ("account", "action", "first_order", "last_order", "orders"), "decisions")
    orders = _Orders(SentOrders(decisions))
    for batch in batches(messages, _MESSAGES, "messages"):
        orders.add_messages(batch)
    orders.compact()
    for batch in batches(trades, _TRADES, "trades"):
        orders.add_trades(batch)
    table, count = orders.table(), len(decisions)
    return decisions.assign(
        filled=np.bincount(table["decision"], table["filled"], count).astype(np.int64),
        refused=np.bincount(table["decision"], table["began"] != _ACCEPTED, count).astype(np.int64),
        outcome=_words(decisions, table),
    )


class _Orders:
    """Follow the orders of decisions through the event log; a row an order.

    ``began`` is `_ACCEPTED` or the number of the reason for which it was refused; ``lots`` is what it was to
    trade when it was last accepted or replaced, in event ``since``; ``ended`` the place in `_ENDINGS`.
    """

    def __init__(self, sent: SentOrders) -> None:
        self._sent = sent
        self._parts: list[pd.DataFrame] = []
        self._reasons: list[str] = []
        self._rows = pd.DataFrame()
        self._known = pd.MultiIndex.from_arrays([[], []])
        self._filled = self._filled_since = np.zeros(0, np.int64)

    def add_messages(self, batch: pd.DataFrame) -> None:
        """Take note of what the messages say of the orders; later ones of an order follow earlier ones."""
        ids, accounts = batch["order_id"].to_numpy(), batch["account"].to_numpy()
        decision = self._sent.decision_of(accounts, ids)
        mine = decision >= 0
        if not mine.any():
            return
        event, lots = batch["event"].astype(str).to_numpy()[mine], batch["quantity"].to_numpy()[mine]
        began = np.where(event == "accepted", float(_ACCEPTED), np.nan)
        refused = event == "rejected"
        began[refused] = self._numbered(batch["reason"].astype(str).to_numpy()[mine][refused])
        is_set = (event == "accepted") | (event == "replaced")
        rows = {
            "decision": decision[mine],
            "order_id": ids[mine],
            "began": began,
            "lots": np.where(is_set, lots, np.nan),
            "since": np.where(is_set, batch["sequence"].to_numpy()[mine], np.nan),
            "ended": np.select([event == name for name in _ENDINGS], range(len(_ENDINGS)), np.nan),
        }
        self._parts.append(_summed(pd.DataFrame(rows)))
        if len(self._parts) >= _COMPACT_AFTER:
            self.compact()

    def compact(self) -> None:
        """Put all messages so far together."""
        if self._parts:
            self._parts = [_summed(pd.concat(self._parts, ignore_index=True))]
            self._rows = self._parts[0]
            self._known = pd.MultiIndex.from_frame(self._rows[["decision", "order_id"]])
        self._filled, self._filled_since = (np.zeros(len(self._rows), np.int64) for _ in range(2))

    def add_trades(self, batch: pd.DataFrame) -> None:
        """Add what was filled; all messages must be known."""
        if self._rows.empty:
            return
        lots, sequence = batch["quantity"].to_numpy(), batch["sequence"].to_numpy()
        since = self._rows["since"].to_numpy()
        for side in ("taker", "maker"):
            ids, accounts = batch[f"{side}_order_id"].to_numpy(), batch[f"{side}_account"].to_numpy()
            decision = self._sent.decision_of(accounts, ids)
            mine = np.flatnonzero(decision >= 0)
            at = self._known.get_indexer(pd.MultiIndex.from_arrays([decision[mine], ids[mine]]))
            mine, at = mine[at >= 0], at[at >= 0]
            np.add.at(self._filled, at, lots[mine])
            np.add.at(self._filled_since, at, np.where(sequence[mine] > since[at], lots[mine], 0))

    def table(self) -> pd.DataFrame:
        """Return a row an order: ``decision``, ``began``, ``filled`` (lots) and ``word``."""
        if self._rows.empty:
            return pd.DataFrame({"decision": [], "began": [], "filled": [], "word": []}, dtype=np.int64)
        began, ended = self._rows["began"].to_numpy(np.int64), self._rows["ended"].to_numpy()
        is_open = np.isnan(ended) & (self._filled_since < self._rows["lots"].to_numpy())
        gone = np.where(np.isnan(ended), 0, ended).astype(np.int64)
        words = np.select(
            [began != _ACCEPTED, (self._filled > 0) & ~is_open & np.isnan(ended), self._filled > 0, is_open],
            [np.array([*self._reasons, ""])[began], "filled", "partly filled", "resting"],
            np.array(_ENDINGS)[gone],
        )
        decision = self._rows["decision"].to_numpy()
        return pd.DataFrame({"decision": decision, "began": began, "filled": self._filled, "word": words})

    def _numbered(self, reasons: NDArray[np.str_]) -> list[int]:
        """Return the number of each reason; a new one gets the next."""
        words = [f"refused: {reason.replace('_', ' ')}" for reason in reasons.tolist()]
        self._reasons += [it for it in dict.fromkeys(words) if it not in self._reasons]
        return [self._reasons.index(word) for word in words]


def _summed(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one row an order, in order of decisions; what is missing (NaN) is skipped."""
    kept = {"began": "first", "lots": "last", "since": "last", "ended": "last"}
    return rows.groupby(["decision", "order_id"], as_index=False).agg(kept)


def _words(decisions: pd.DataFrame, table: pd.DataFrame) -> list[str]:
    orders, action = decisions["orders"].to_numpy(), decisions["action"].astype(str).to_numpy()
    on_their_way = orders - np.bincount(table["decision"], minlength=len(decisions))
    counted: list[dict[str, int]] = [{} for _ in range(len(decisions))]
    for (row, word), count in table.groupby(["decision", "word"]).size().items():
        counted[row][word] = count
    for row in np.flatnonzero(on_their_way > 0).tolist():
        counted[row][_WORDS[-1]] = int(on_their_way[row])
    return [_told(ended) if ended else _without(action[i]) for i, ended in enumerate(counted)]


def _told(counts: dict[str, int]) -> str:
    """Say what became of the orders of a decision, by the number of each word.

    Example
    -------
    >>> _told({"filled": 2}), _told({"resting": 1, "filled": 2})
    ('filled', '2 filled, 1 resting')
    """
    if len(counts) == 1:
        return next(iter(counts))
    places = {word: place for place, word in enumerate(_WORDS)}
    words = sorted(counts, key=lambda word: (places.get(word, len(places)), word))
    return ", ".join(f"{counts[word]:,} {word}" for word in words)


def _without(action: str) -> str:
    return "held" if action == "hold" else "sent no order"
