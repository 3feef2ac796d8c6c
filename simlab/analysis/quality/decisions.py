"""Tell what became of decisions, from the messages and trades that followed."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simlab.analysis.tables import Frames, batches, require

__all__ = ["outcomes"]

_DECISIONS = ("step", "account", "action", "first_order", "orders")
_MESSAGES = ("event", "order_id", "account", "quantity", "reason")
_TRADES = ("quantity", "taker_order_id", "maker_order_id", "taker_account", "maker_account")
_ID_BITS = 40
"""Bits of an order id beside an account's number; a run with more orders does not end."""


def outcomes(decisions: pd.DataFrame, messages: Frames, trades: Frames) -> pd.DataFrame:
    """Return decisions with what became of the orders sent in them.

    An order belongs to the latest decision of its account that began before it was numbered. Both other
    tables are read once, in memory that follows the decisions.

    Parameters
    ----------
    decisions, messages, trades
        As recorded, accounts by number.

    Returns
    -------
    DataFrame
        The decisions, and ``filled`` (lots), ``refused`` (orders) and ``outcome``: ``held``, ``sent no
        order`` (it only cancelled), ``filled``, ``partly filled``, ``resting``, ``cancelled``, ``expired``,
        ``on its way``, ``refused: REASON``; what was refused of several orders follows after a semicolon.

    Raises
    ------
    AnalysisError
        When a column is missing.
    """
    require(decisions, _DECISIONS, "decisions")
    tally = _Tally(decisions)
    for batch in batches(messages, _MESSAGES, "messages"):
        tally.add_messages(batch)
    for batch in batches(trades, _TRADES, "trades"):
        tally.add_trades(batch)
    return decisions.assign(filled=tally.filled, refused=tally.refused, outcome=tally.words(decisions))


class _Tally:
    """Sums of what happened to the orders of each decision."""

    def __init__(self, decisions: pd.DataFrame) -> None:
        count = len(decisions)
        sent = np.flatnonzero(decisions["orders"].to_numpy() > 0)
        keys = _keys(decisions["account"].to_numpy()[sent], decisions["first_order"].to_numpy()[sent])
        order = np.argsort(keys)
        self._keys, self._rows = keys[order], sent[order]
        self.filled, self.refused = np.zeros(count, np.int64), np.zeros(count, np.int64)
        self._asked, self._seen = np.zeros(count, np.int64), np.zeros(count, np.int64)
        self._ended = {name: np.zeros(count, np.int64) for name in ("cancelled", "expired")}
        self._reasons: dict[int, list[str]] = {}

    def _find(self, accounts: NDArray[np.int64], ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the decision that each order belongs to, -1 for none."""
        if not len(self._keys):
            return np.full(len(ids), -1)
        keys = _keys(accounts, ids)
        at = np.searchsorted(self._keys, keys, side="right") - 1
        known = (at >= 0) & (self._keys[at] >> _ID_BITS == keys >> _ID_BITS)
        return np.where(known, self._rows[at], -1)

    def add_messages(self, batch: pd.DataFrame) -> None:
        rows = self._find(batch["account"].to_numpy(), batch["order_id"].to_numpy())
        mine = np.flatnonzero(rows >= 0)
        own, rows = batch.iloc[mine], rows[mine]
        event, lots = own["event"].astype(str).to_numpy(), own["quantity"].to_numpy()
        for name, into in (("accepted", self._asked), *self._ended.items()):
            np.add.at(into, rows[event == name], lots[event == name])
        np.add.at(self._seen, rows[event == "accepted"], 1)
        refused = event == "rejected"
        np.add.at(self.refused, rows[refused], 1)
        for row, reason in zip(
            rows[refused].tolist(), own["reason"].astype(str).to_numpy()[refused], strict=True
        ):
            told = self._reasons.setdefault(row, [])
            told += [reason.replace("_", " ")] if reason.replace("_", " ") not in told else []

    def add_trades(self, batch: pd.DataFrame) -> None:
        for side in ("taker", "maker"):
            accounts, ids = batch[f"{side}_account"].to_numpy(), batch[f"{side}_order_id"].to_numpy()
            rows = self._find(accounts, ids)
            np.add.at(self.filled, rows[rows >= 0], batch["quantity"].to_numpy()[rows >= 0])

    def words(self, decisions: pd.DataFrame) -> list[str]:
        orders, action = decisions["orders"].to_numpy(), decisions["action"].astype(str).to_numpy()
        return [self._word(i, int(orders[i]), action[i]) for i in range(len(orders))]

    def _word(self, i: int, orders: int, action: str) -> str:
        if orders == 0:
            return "held" if action == "hold" else "sent no order"
        refused = f"refused: {', '.join(self._reasons[i])}" if i in self._reasons else ""
        if self.refused[i] >= orders:
            return refused
        if self._seen[i] == 0:
            return "; ".join(filter(None, ("on its way", refused)))
        gone = {name: int(lots[i]) for name, lots in self._ended.items()}
        if self.filled[i] >= self._asked[i]:
            word = "filled"
        elif self.filled[i] > 0:
            word = "partly filled"
        elif sum(gone.values()) >= self._asked[i]:
            word = max(gone, key=lambda name: gone[name])
        else:
            word = "resting"
        return f"{word}; {refused}" if refused else word


def _keys(accounts: NDArray[np.int64], ids: NDArray[np.int64]) -> NDArray[np.int64]:
    return (accounts.astype(np.int64) << _ID_BITS) | ids.astype(np.int64)
