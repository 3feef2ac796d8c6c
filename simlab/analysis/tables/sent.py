"""Look up in which decision an order was sent."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simlab.analysis.tables.frames import require
from simlab.errors import AnalysisError

__all__ = ["SentOrders"]

Int64 = NDArray[np.int64]

_ID_BITS = 40
"""Bits of an order id beside the account's number; a run that numbers more orders does not end."""


class SentOrders:
    """The orders that were sent in recorded decisions.

    Parameters
    ----------
    decisions : DataFrame
        ``account`` (numbers), ``first_order``, ``last_order``, ``orders``.

    Example
    -------
    >>> decisions = pd.DataFrame({"account": [0, 1, 0], "first_order": [1, 2, np.nan],
    ...                           "last_order": [3, 2, np.nan], "orders": [2, 1, 0]})
    >>> SentOrders(decisions).decision_of(np.array([0, 1, 0, 1]), np.array([3, 2, 4, 3])).tolist()
    [0, 1, -1, -1]
    """

    def __init__(self, decisions: pd.DataFrame) -> None:
        require(decisions, ("account", "first_order", "last_order", "orders"), "decisions")
        if not pd.api.types.is_integer_dtype(decisions["account"].dtype):
            raise AnalysisError("decisions: accounts are given by name; read them with names=False")
        sent = np.flatnonzero(decisions["orders"].to_numpy() > 0)
        account = decisions["account"].to_numpy(np.int64)[sent]
        first, last = (_keys(account, decisions[it].to_numpy()[sent]) for it in ("first_order", "last_order"))
        order = np.argsort(first)
        self._first, self._last, self._rows = first[order], last[order], sent[order]

    def decision_of(self, accounts: Int64, ids: Int64) -> Int64:
        """Return the row of the decision that each order was sent in, ``(n,) int64``; -1 for none."""
        if not len(self._first):
            return np.full(len(ids), -1)
        keys = _keys(accounts, ids)
        at = np.searchsorted(self._first, keys, side="right") - 1
        within = (at >= 0) & (keys <= self._last[at]) & (ids < 1 << _ID_BITS)
        return np.where(within, self._rows[at], -1)


def _keys(accounts: Int64, ids: NDArray[np.number]) -> Int64:
    return (accounts.astype(np.int64) << _ID_BITS) + ids.astype(np.int64)
