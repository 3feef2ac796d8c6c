"""A recorded run with the measures one asks for first as methods."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simlab import recording

if TYPE_CHECKING:
    import pandas as pd

    from simlab.analysis.tables import Frames

__all__ = ["Run", "open_run"]


def open_run(path: Path | str) -> Run:
    """Open a run folder for reading, whether the run finished, is going on, or was killed.

    Raises
    ------
    RecordingError
        When the folder is not a run; the message names what is missing and the runs nearby.

    Example
    -------
    >>> open_run("runs/first").pnl()  # doctest: +SKIP
    """
    return Run(Path(path))


class Run(recording.Run):
    """One recorded run: its tables, as `simlab.recording.Run` reads them, and what they say.

    The large tables are read in batches, so that a run larger than memory can be analysed.
    """

    def pnl(self, *, by: str = "population", every: int | None = None) -> pd.DataFrame:
        """Return P&L over time, realised and unrealised; see `simlab.analysis.pnl.pnl`."""
        from simlab.analysis.pnl import pnl

        return pnl(*self._ledger_tables(), by=by, every=every)

    def attribution(self, *, by: str = "population", horizon: int = 10) -> pd.DataFrame:
        """Return P&L split into spread, adverse selection, inventory and fees; see `simlab.analysis.pnl`."""
        from simlab.analysis.pnl import attribution

        return attribution(*self._ledger_tables(), by=by, horizon=horizon)

    def leaderboard(self) -> pd.DataFrame:
        """Return every agent with its P&L and how it came by it, best first; see `simlab.analysis.pnl`."""
        from simlab.analysis.pnl import leaderboard

        return leaderboard(*self._ledger_tables())

    def transfers(self, *, by: str = "population") -> pd.DataFrame:
        """Return who earns from whom: a row's gain from trading with a column; see `simlab.analysis.pnl`."""
        from simlab.analysis.pnl import transfers

        return transfers(*self._ledger_tables(), by=by)

    def decisions(self, **options: Any) -> pd.DataFrame:
        """Return who decided what and why, and what became of it; see `simlab.analysis.quality.outcomes`.

        Takes what `simlab.recording.Run.frame` takes. Where only some columns are asked for, they are read as
        they were recorded.
        """
        recorded = super().decisions(**options)
        if options.get("columns") is not None:
            return recorded
        from simlab.analysis.quality import outcomes

        plain = super().decisions(**options | {"names": False})
        made = outcomes(plain, self.whole("messages"), self.whole("trades"))
        return recorded.assign(**{name: made[name] for name in ("filled", "refused", "outcome")})

    def decision_gains(self, *, horizon: int | None = 10) -> pd.DataFrame:
        """Return the decisions as `decisions` does, and what they earned; see `simlab.analysis.pnl`."""
        from simlab.analysis.pnl import decision_gains

        made = decision_gains(self._plain_decisions(), *self._ledger_tables(), horizon=horizon)
        columns = ("fills", "volume", "markout", "gain", "fees")
        return self.decisions().assign(**{name: made[name] for name in columns})

    def pnl_by_source(self, *, horizon: int | None = 10) -> pd.DataFrame:
        """Return what each population earned by whose decisions; see `simlab.analysis.pnl`."""
        from simlab.analysis.pnl import pnl_by_source

        return pnl_by_source(self._plain_decisions(), *self._ledger_tables(), horizon=horizon)

    def _plain_decisions(self) -> pd.DataFrame:
        return self.frame("decisions", names=False)

    def quality(self) -> pd.DataFrame:
        """Return the most used measures of market quality; see `simlab.analysis.quality.quality`."""
        from simlab.analysis.quality import quality

        trades, quotes, messages, depth = map(self.whole, ("trades", "quotes", "messages", "depth"))
        return quality(trades, quotes, messages, self.instruments(), depth)

    def customer_units(self, *, period: int | None = None) -> pd.DataFrame:
        """Return every lot that was to be traded for a customer, and what became of it.

        See `simlab.analysis.quality.customer_units`; accounts and instruments are numbers.
        """
        from simlab.analysis.quality import customer_units

        orders = self.frame("customer_orders", names=False)
        return customer_units(self.whole("trades"), orders, self.instruments(), period=period)

    def allocation(self, *, period: int | None = None) -> pd.DataFrame:
        """Return how near each instrument came to the equilibrium of the customers' limit prices.

        See `simlab.analysis.quality.allocation`; `period` as in `customer_units`.
        """
        from simlab.analysis.quality import allocation

        table = allocation(self.customer_units(period=period))
        names = self.instruments().set_index("instrument")["name"]
        return table.assign(instrument=table["instrument"].map(names))

    def facts(self) -> pd.DataFrame:
        """Return which stylised facts the run shows; see `simlab.analysis.facts.card`."""
        from simlab.analysis.facts import card

        return card(self)

    def instruments(self) -> pd.DataFrame:
        """Return what was traded, on the terms at the end.

        Of a fork that changed fees there is also the column `earlier_fees`: for each instrument the steps
        before which others held, as (step, maker_fee_ppm, taker_fee_ppm).
        """
        table = super().instruments()
        if "parent" not in self.manifest:
            return table
        earlier = [self._earlier_fees(row) for row in table.to_dict("records")]
        return table.assign(earlier_fees=earlier) if any(earlier) else table

    def _earlier_fees(self, terms: dict[Hashable, Any]) -> list[tuple[int, int, int]]:
        """Return the fees of an instrument before each fork that changed them, the first fork first."""
        fees = {key: int(terms[key]) for key in ("maker_fee_ppm", "taker_fee_ppm")}
        found: list[tuple[int, int, int]] = []
        parent = self.manifest.get("parent")
        while parent is not None:
            changes = parent["changes"]
            paths = {key: f"instruments.{terms['name']}.{key}" for key in fees}
            changed = {key: int(changes[path][0]) for key, path in paths.items() if path in changes}
            fees |= changed
            if changed:
                found.append((int(parent["step"]), fees["maker_fee_ppm"], fees["taker_fee_ppm"]))
            parent = parent.get("parent")
        return found[::-1]

    def _ledger_tables(self) -> tuple[Frames, Frames, pd.DataFrame, pd.DataFrame, Frames]:
        return (
            self.whole("trades"),
            self.whole("quotes"),
            self.agents(),
            self.instruments(),
            self.whole("accounts"),
        )

    def whole(self, table: str, **options: Any) -> Frames:
        """Return a table in batches, instruments and accounts as numbers: what the measures read.

        It can be iterated over more than once. `options` are those of `batches`.
        """
        return _Batches(self, table, options)


@dataclass(frozen=True)
class _Batches:
    run: Run
    table: str
    options: dict[str, Any]

    def __iter__(self) -> Iterator[pd.DataFrame]:
        return self.run.batches(self.table, names=False, **self.options)
