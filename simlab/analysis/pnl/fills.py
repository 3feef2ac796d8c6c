"""Read the fills of a run, in bounded memory, with what it takes to book them and to mark positions.

Everything is int64, so that sums are exact and come out the same however the rows were cut into batches. A
mid price may lie half a price unit between two prices; prices to mark positions at are therefore held in half
price units, and money in half money units. As floats the results are exact below 2**53 half money units.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from simlab.analysis.tables import Frames, Mids, NoQuotesError, batches, in_order, numbers, require, signs
from simlab.errors import AnalysisError

__all__ = ["MAX_CELLS", "Fills", "Groups", "group_accounts", "group_column"]

Int64 = NDArray[np.int64]

MAX_CELLS = 50_000_000
"""The most cells a result may have; a larger one is refused."""

_FEE_ACCOUNT = "exchange/fees"
_TRADE_COLUMNS = (
    "step",
    "instrument",
    "price",
    "quantity",
    "aggressor_side",
    "taker_account",
    "maker_account",
)
_ACCOUNT_COLUMNS = ("step", "account", "instrument", "inventory", "mark_price")
_TERM_COLUMNS = ("instrument", "name", "initial_price", "multiplier", "maker_fee_ppm", "taker_fee_ppm")
_ADD_AGENT = "give it a row in the table agents"
_MAX_ROWS = 262_144

# fills: (n, 6) int64; the quantity is signed as the taker's, negative where the taker sells
F_STEP, F_INSTRUMENT, F_PRICE, F_QUANTITY, F_TAKER, F_MAKER = range(6)
# terms: (instruments, 3) int64
T_MULTIPLIER, T_MAKER_PPM, T_TAKER_PPM = range(3)


def _half_units(prices: ArrayLike, what: str) -> Int64:
    """Return prices in half price units; raises AnalysisError where they are not multiples of one half."""
    doubled = 2 * np.asarray(prices, np.float64)
    halves = np.rint(doubled)
    if not np.array_equal(doubled, halves):
        wrong = np.asarray(prices)[doubled != halves].flat[0]
        raise AnalysisError(
            f"{what} {wrong} is not a multiple of half a price unit; give prices as whole price units "
            "(for prices in cents, the price times 100)"
        )
    return halves.astype(np.int64)


def _whole(values: pd.Series, what: str) -> Int64:
    """Return a column as int64; raises AnalysisError where it is not whole."""
    if pd.api.types.is_integer_dtype(values.dtype):
        return values.to_numpy(np.int64)
    floats = values.to_numpy(np.float64)
    if not np.array_equal(floats, np.rint(floats)):
        wrong = floats[floats != np.rint(floats)][0]
        raise AnalysisError(f"{what} {wrong} is not whole; give prices in price units, sizes in lots")
    return floats.astype(np.int64)


class _Rows:
    """Turn account or instrument columns into row numbers of the table that names them."""

    def __init__(self, table: pd.DataFrame, key: str) -> None:
        self._table, self._key = table, key
        self._known = table[key].to_numpy(np.int64)
        if len(np.unique(self._known)) < len(self._known):
            raise AnalysisError(f"the table of {key}s has a {key} twice; each needs exactly one row")
        self._order = np.argsort(self._known)
        self._sorted = self._known[self._order]
        self._dense = np.array_equal(self._known, np.arange(len(self._known)))

    def find(self, values: pd.Series) -> Int64:
        """Return the row of every value, -1 where a number is not in the table."""
        wanted = numbers(values, self._table, self._key)
        if self._dense:
            return np.where((wanted >= 0) & (wanted < len(self._known)), wanted, -1)
        if not len(self._known):
            return np.full(len(wanted), -1)
        at = np.minimum(np.searchsorted(self._sorted, wanted), len(self._known) - 1)
        return np.where(self._sorted[at] == wanted, self._order[at], -1)

    def all(self, values: pd.Series, where: str, remedy: str) -> Int64:
        """Return the row of every value; raises AnalysisError for one that is not in the table."""
        rows = self.find(values)
        if (rows < 0).any():
            wrong = values.iloc[int(np.argmax(rows < 0))]
            raise AnalysisError(f"{where} {wrong} is unknown; {remedy}")
        return rows


class _Marks:
    """Mids by instrument row and step, half price units; the initial price before the first step."""

    def __init__(self, mids: Mids, instruments: pd.DataFrame) -> None:
        self._mids = mids
        self._numbers = instruments["instrument"].tolist()
        for number in self._numbers:
            for start in range(-1, mids.steps, _MAX_ROWS):
                part = np.arange(start, min(start + _MAX_ROWS, mids.steps))
                _half_units(mids.at(number, part), "the mid price")

    def at(self, instruments: Int64, steps: ArrayLike) -> Int64:
        """Return the last known mid at the end of a step; -1 is before the first one."""
        steps = np.broadcast_to(np.asarray(steps), instruments.shape)
        marks = np.empty(instruments.shape, np.int64)
        for row in np.unique(instruments).tolist():
            mine = instruments == row
            marks[mine] = np.rint(2 * self._mids.at(self._numbers[row], steps[mine]))
        return marks


@dataclass
class _Sampled:
    """What the table accounts says: inventories at its first step, marks (price units) at its last."""

    first: int
    inventory: Int64
    last: int
    marks: NDArray[np.float64]


@dataclass(frozen=True)
class Groups:
    """Sets of accounts that results are given for: `names`, and the place in them of every account."""

    by: str
    names: list[str]
    of_account: Int64

    def sums(self, values: Int64) -> Int64:
        """Return the sums over the accounts of each group; accounts stand on the first axis."""
        total = np.zeros((len(self.names), *values.shape[1:]), values.dtype)
        np.add.at(total, self.of_account, values)
        return total


def group_column(by: str) -> str:
    """Return the column of the table agents that names the groups; raises AnalysisError if unknown."""
    known = {"population": "population", "agent": "name"}
    if by not in known:
        raise AnalysisError(f'by={by!r} is unknown; give by="population" or by="agent"')
    return known[by]


def group_accounts(agents: pd.DataFrame, by: str) -> Groups:
    """Group the accounts by population or leave each agent to itself, in the order of the table agents.

    Example
    -------
    >>> agents = pd.DataFrame({"name": ["a/0", "b/0", "a/1"], "population": ["a", "b", "a"]})
    >>> group_accounts(agents, "population").sums(np.array([1, 2, 3])).tolist()
    [4, 2]
    """
    codes, names = pd.factorize(agents[group_column(by)])
    return Groups(by, [str(name) for name in names], codes.astype(np.int64))


class Fills:
    """The fills of a run, and what it takes to book and mark them.

    Instruments are those that have quotes; rows of `accounts` about others are left out. Without any quotes
    positions are marked at the mark prices of `accounts`, as sparse as those are.

    Parameters
    ----------
    trades, quotes : Frames
    agents, instruments : DataFrame
        Where fees were others before some step, `instruments` has a column `earlier_fees`, lists of
        (step, maker_fee_ppm, taker_fee_ppm) by step.
    accounts : Frames, optional
        Tells what the accounts held at the start and the marks at the end. Without it (or when it has no
        rows) everybody starts with no inventory and the last mid of the quotes closes the run. A `trades`
        that can be iterated over only once is held in memory up to the first step of `accounts`.

    Attributes
    ----------
    steps : int
        Number of steps of the run.
    terms : (instruments, 3) int64
        At the end; `terms_of` has those of each fill.
    initial_inventory : (accounts, instruments) int64, lots
    initial_marks, closing_marks : (instruments,) int64, half price units

    Raises
    ------
    AnalysisError
        When there are neither quotes nor accounts, a column is missing, rows are out of order, prices are no
        whole price units, or a trade names an unknown account or an instrument without quotes.
    """

    def __init__(
        self,
        trades: Frames,
        quotes: Frames,
        agents: pd.DataFrame,
        instruments: pd.DataFrame,
        accounts: Frames | None = None,
    ) -> None:
        self.agents = require(agents, ("account", "name", "population"), "agents").reset_index(drop=True)
        require(instruments, _TERM_COLUMNS, "instruments")
        try:
            mids = Mids(quotes, instruments)
        except NoQuotesError:
            if accounts is None:
                raise
            accounts = list(accounts) if isinstance(accounts, Iterator) else accounts  # they are read twice
            mids = _mids_of_accounts(accounts, instruments)
        quoted = instruments["instrument"].isin(mids.instruments)
        self.instruments = instruments[quoted].reset_index(drop=True)
        self.terms = np.stack([_whole(self.instruments[c], c) for c in _TERM_COLUMNS[3:]], axis=1)
        self._add_earlier_fees()
        self._account_rows = _Rows(self.agents, "account")
        self._named = instruments
        self._instrument_rows = _Rows(self.instruments, "instrument")
        self._marks = _Marks(mids, self.instruments)
        self._mids = mids
        self.steps = mids.steps
        self.initial_marks = self.marks(-1)
        self.closing_marks = self.marks(mids.steps)
        self.initial_inventory = np.zeros((len(self.agents), len(self.instruments)), np.int64)
        self._trades = trades
        sampled = None if accounts is None else self._sampled(accounts)
        if sampled is not None:
            self._start_from(sampled)

    @cached_property
    def fee_account(self) -> int:
        """Row of the account that receives the fees; -1 when the table agents has none."""
        found = np.flatnonzero(self.agents["name"] == _FEE_ACCOUNT)
        return int(found[0]) if len(found) else -1

    def terms_of(self, fills: Int64) -> Int64:
        """Return the terms on which each fill was booked, (n, 3) int64."""
        if not len(self._changes):
            return self.terms[fills[:, F_INSTRUMENT]]
        period = np.searchsorted(self._changes, fills[:, F_STEP], side="right")
        return self._terms_by_period[period, fills[:, F_INSTRUMENT]]

    def _add_earlier_fees(self) -> None:
        """Take note of other fees before some steps, of a recording that says so."""
        rows = self.instruments.get("earlier_fees", pd.Series([[]] * len(self.instruments)))
        self._changes = np.unique([step for row in rows for step, *_ in row]).astype(np.int64)
        self._terms_by_period = np.repeat(self.terms[None], len(self._changes) + 1, axis=0)
        for i, row in enumerate(rows):
            for step, *fees in reversed(row):
                before = np.append(self._changes, np.iinfo(np.int64).max) <= step
                self._terms_by_period[before, i, T_MAKER_PPM:] = fees

    def require_every_step(self, what: str) -> None:
        """Raise AnalysisError, which names `what` needs it, unless quotes were recorded at every step."""
        self._mids.require_every_step(what)

    def marks(self, step: int) -> Int64:
        """Return the mid of every instrument at the end of a step, (instruments,) int64, half price units."""
        return self._marks.at(np.arange(len(self.instruments)), step)

    def marks_of(self, fills: Int64, later: int) -> Int64:
        """Return the mid at the end of the step `later` steps after that of each fill; -1 is before the fill.

        ``(n,) int64``, half price units.
        """
        return self._marks.at(fills[:, F_INSTRUMENT], fills[:, F_STEP] + later)

    def closing_marks_of(self, fills: Int64) -> Int64:
        """Return the closing mark of each fill's instrument, (n,) int64, half price units."""
        return self.closing_marks[fills[:, F_INSTRUMENT]]

    def __iter__(self) -> Iterator[Int64]:
        """Iterate over the fills: (n, 6) int64, n at most 262,144."""
        return self._read(self._trades)

    def _read(self, trades: Frames) -> Iterator[Int64]:
        before = 0
        for frame in batches(trades, _TRADE_COLUMNS, "trades"):
            for start in range(0, len(frame), _MAX_ROWS):
                fills = self._fills(frame.iloc[start : start + _MAX_ROWS])
                before = in_order(fills[:, F_STEP], before, "trades")
                yield fills

    def _fills(self, frame: pd.DataFrame) -> Int64:
        fills = np.empty((len(frame), 6), np.int64)
        fills[:, F_STEP] = _whole(frame["step"], "trades: step")
        fills[:, F_PRICE] = _whole(frame["price"], "trades: price")
        fills[:, F_QUANTITY] = signs(frame["aggressor_side"]) * _whole(frame["quantity"], "trades: quantity")
        fills[:, F_INSTRUMENT] = self._instrument_rows.all(
            self._numbered(frame["instrument"]),
            "trades: instrument",
            "give the quotes of every instrument that is traded",
        )
        for column, name in ((F_TAKER, "taker_account"), (F_MAKER, "maker_account")):
            fills[:, column] = self._account_rows.all(frame[name], f"trades: {name}", _ADD_AGENT)
        return fills

    def _numbered(self, instruments: pd.Series) -> pd.Series:
        """Return instrument numbers, by the table of all instruments, quoted or not."""
        return pd.Series(numbers(instruments, self._named, "instrument"), index=instruments.index)

    def _sampled(self, accounts: Frames) -> _Sampled | None:
        """Read the first and the last step of the table accounts; None when it has no rows."""
        found: _Sampled | None = None
        for frame in batches(accounts, _ACCOUNT_COLUMNS, "accounts"):
            steps = frame["step"].to_numpy(np.int64)
            holders = self._account_rows.all(frame["account"], "accounts: account", _ADD_AGENT)
            rows = self._instrument_rows.find(self._numbered(frame["instrument"]))
            if found is None:
                marks = np.full(len(self.instruments), np.nan)
                found = _Sampled(int(steps[0]), self.initial_inventory.copy(), int(steps[0]), marks)
            first = (steps == found.first) & (rows >= 0)
            inventory = _whole(frame["inventory"], "accounts: inventory")
            found.inventory[holders[first], rows[first]] = inventory[first]
            found.last = int(steps[-1])
            last = (steps == found.last) & (rows >= 0)
            found.marks[rows[last]] = frame["mark_price"].to_numpy(np.float64)[last]
        return found

    def _start_from(self, sampled: _Sampled) -> None:
        """Take the closing marks, and the initial inventory: the first sample less the fills up to it."""
        if sampled.last + 1 >= self.steps:
            self.steps = sampled.last + 1
            known = ~np.isnan(sampled.marks)
            closing = _half_units(sampled.marks[known], "accounts: mark_price")
            self.closing_marks[known] = closing
        opening = self._trades
        if isinstance(opening, Iterator):
            opening = _until(opening, sampled.first)
            self._trades = itertools.chain(opening, self._trades)
        self.initial_inventory = sampled.inventory
        for fills in self._read(opening):
            early = fills[fills[:, F_STEP] <= sampled.first]
            signed, instrument = early[:, F_QUANTITY], early[:, F_INSTRUMENT]
            np.subtract.at(self.initial_inventory, (early[:, F_TAKER], instrument), signed)
            np.add.at(self.initial_inventory, (early[:, F_MAKER], instrument), signed)
            if len(early) < len(fills):
                break


def _mids_of_accounts(accounts: Frames, instruments: pd.DataFrame) -> Mids:
    """Return the marks of the table accounts, which are the mids at its samples."""
    try:
        return Mids(_marks_as_quotes(accounts), instruments, table="marks of accounts")
    except NoQuotesError:
        raise NoQuotesError(
            "there are no quotes, and no samples of accounts, to mark positions by; record the run with "
            "recording.quotes_every: 1, or at least with recording.accounts_every: 1000"
        ) from None


def _marks_as_quotes(accounts: Frames) -> Iterator[pd.DataFrame]:
    for frame in batches(accounts, _ACCOUNT_COLUMNS, "accounts"):
        once = frame.drop_duplicates(["step", "instrument"])
        marks = {"best_bid": once["mark_price"], "best_ask": once["mark_price"]}
        yield once[["step", "instrument"]].assign(**marks)


def _until(trades: Iterator[pd.DataFrame], step: int) -> list[pd.DataFrame]:
    """Take frames up to and including the first that goes beyond a step."""
    taken = []
    for frame in trades:
        taken.append(frame)
        if len(require(frame, _TRADE_COLUMNS, "trades")) and frame["step"].iloc[-1] > step:
            break
    return taken
