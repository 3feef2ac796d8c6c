"""Add an instrument to a running market: every table with a row for each makes room for one more."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simlab.core.random import name_key
from simlab.core.rows import new_rows
from simlab.engine.compiled.tables import Book
from simlab.errors import SimlabError
from simlab.kernel.assemble import blank_history, set_terms, views_of
from simlab.kernel.spec import SimulationSpec
from simlab.kernel.state import State
from simlab.market.instruments import Instrument
from simlab.market.ledger import FILL_LOG, Ledger

__all__ = ["add_instrument", "with_instrument"]


def with_instrument(spec: SimulationSpec, instrument: Instrument) -> SimulationSpec:
    """Return a specification with one more instrument, numbered after all others.

    Raises
    ------
    SimlabError
        When there is one of this name.
    """
    if instrument.name in {item.name for item in spec.instruments}:
        raise SimlabError(f"there is an instrument {instrument.name!r} already; choose another name")
    return replace(spec, instruments=(*spec.instruments, instrument), added=(*spec.added, instrument))


def add_instrument(spec: SimulationSpec, state: State) -> None:
    """Give a state the last instrument of a specification. O(state).

    It begins without orders, and its fundamental value stays at the initial price but for what is published.
    """
    instrument, count = spec.instruments[-1], len(spec.instruments) - 1
    _widen_book(state.book, count, int(instrument.self_trade))
    _widen_ledger(state.ledger, count)
    set_terms(state.ledger, spec.instruments)
    key = np.array([name_key(spec.seed, "instrument", instrument.name)], np.uint64)
    state.instrument_keys = _joined(state.instrument_keys, key)
    state.published_impact = _joined(state.published_impact, new_rows(1, "f8"))
    state.tape = _joined(state.tape, new_rows(1, state.tape.dtype))
    state.views = _joined(state.views, views_of([instrument], first=count))
    if len(state.history):
        state.history = _joined(state.history, blank_history(1))
    values = state.fundamental.reshape(-1, count) if count else np.zeros((len(state.fundamental), 0))
    more = np.full((len(values), 1), float(instrument.initial_price))
    state.fundamental = np.concatenate([values, more], axis=1).reshape(-1)
    if len(state.quotes) < count + 1:
        state.quotes = _joined(state.quotes, new_rows(count + 1, state.quotes.dtype))


def _joined(array: NDArray[Any], more: NDArray[Any]) -> NDArray[Any]:
    joined = new_rows(len(array) + len(more), array.dtype)
    joined[: len(array)] = array
    joined[len(array) :] = more
    return joined


def _widen_book(book: Book, count: int, self_trade: int) -> None:
    """Make room for the heads of two more lists: every level moves up by two rows."""
    heads = 2 * count
    free = _free_levels(book)
    for name in ("levels", "nodes"):
        old = getattr(book, name)
        wider = new_rows(len(old) + 2, old.dtype)
        wider[:heads] = old[:heads]
        wider[heads + 2 :] = old[heads:]
        setattr(book, name, wider)
    _move(book.orders["level"], heads)
    _move(book.nodes["floors"], heads)
    _move(book.prices["row"], heads)
    if len(free):
        chained = book.levels["head"][free + 2]
        _move(chained, heads)
        book.levels["head"][free + 2] = chained
    for name in ("free_level", "top_level"):
        _move(book.counters[name], heads)
    book.counters["levels"] += 2
    book.nodes["side_list"][heads : heads + 2] = heads, heads + 1
    book.self_trade = _joined(book.self_trade, np.array([self_trade], np.int64))


def _free_levels(book: Book) -> NDArray[np.int64]:
    """Return the free rows of `levels`, whose heads chain one another."""
    found, row = [], int(book.counters["free_level"][0])
    while row:
        found.append(row)
        row = int(book.levels["head"][row])
    return np.array(found, np.int64)


def _move(rows: NDArray[Any], heads: int) -> None:
    """Let references to levels follow them; 0 is none, and heads stay."""
    rows[(rows >= heads) & (rows != 0)] += 2


def _widen_ledger(ledger: Ledger, count: int) -> None:
    accounts = len(ledger.accounts)
    ledger.positions = _widened(ledger.positions, accounts, count, 1)
    if len(ledger.customers):
        ledger.customers = _widened(ledger.customers, accounts, count, 1)
    logs = len(ledger.fills) // (count * FILL_LOG) if count else 1
    ledger.fills = _widened(ledger.fills, logs, count, FILL_LOG)
    ledger.terms = _joined(ledger.terms, new_rows(1, ledger.terms.dtype))


def _widened(array: NDArray[Any], owners: int, count: int, each: int) -> NDArray[Any]:
    """Return rows of (owner, instrument, each) with one instrument more."""
    wider = new_rows(owners * (count + 1) * each, array.dtype)
    wider.reshape(owners, count + 1, each)[:, :count] = array.reshape(owners, count, each)
    return wider
