"""Read of one run what its report needs, each measure once, and say what was not recorded."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd

from simlab.errors import AnalysisError, RecordingError

if TYPE_CHECKING:
    from simlab.analysis.run import Run
    from simlab.analysis.tables import Frames

__all__ = ["INSTRUMENTS_SHOWN", "Reading"]

INSTRUMENTS_SHOWN = 6
"""Instruments with figures of their own; those with the largest volume are taken."""

_KEYS = {
    "quotes": ("recording.quotes_every", 1),
    "depth": ("recording.depth_every", 100),
    "accounts": ("recording.accounts_every", 1_000),
}


class Reading:
    """One run, opened for its report. Measures are computed on first use and kept."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.rows = run.tables()
        self.instruments = run.instruments()
        self.agents = run.agents()
        self._facts: dict[str, pd.DataFrame] = {}
        self.name = str(run.manifest.get("name") or run.path.name)

    @cached_property
    def config(self) -> dict[str, Any]:
        """The resolved configuration; empty when there is none to be read."""
        try:
            return self.run.config or {}
        except RecordingError:
            return {}

    @cached_property
    def steps(self) -> int:
        """Steps that were recorded: those of the run when it finished, else up to the last quote or trade."""
        if self.run.finished and self.run.manifest.get("steps"):
            return int(self.run.manifest["steps"])
        last = 0
        for table in ("quotes", "trades"):
            for frame in self.run.whole(table, columns=["step"]):
                last = max(last, int(frame["step"].max()) + 1)
        return last

    @cached_property
    def populations(self) -> list[str]:
        """Names of the populations, without the exchange's own accounts, in order of the table agents."""
        return [name for name in self.agents["population"].unique() if name != "exchange"]

    @cached_property
    def money_unit(self) -> float | None:
        """What a money unit is in currency; None where instruments differ: P&L has no currency then."""
        units = self.instruments["price_unit"].unique()
        return float(units[0]) if len(units) == 1 else None

    @property
    def money_name(self) -> str:
        """What `in_money` gives."""
        return "money units" if self.money_unit is None else "currency"

    def in_money(self, value: float) -> float:
        """Return money units as currency, where they have one."""
        return float(value) * (1.0 if self.money_unit is None else self.money_unit)

    @property
    def traders(self) -> int:
        """Number of agents, without the exchange's own accounts."""
        return int((self.agents["population"] != "exchange").sum())

    @cached_property
    def _traded(self) -> tuple[dict[int, int], dict[int, int]]:
        """Lots traded and the last price, by instrument number."""
        volumes = dict.fromkeys(self.instruments["instrument"], 0)
        last: dict[int, int] = {}
        for frame in self.run.whole("trades", columns=["instrument", "price", "quantity"]):
            rows = frame.groupby("instrument").agg(lots=("quantity", "sum"), price=("price", "last"))
            for instrument, lots, price in rows.itertuples():
                volumes[instrument] += lots
                last[instrument] = price
        return volumes, last

    @cached_property
    def volumes(self) -> pd.Series:
        """Lots traded by instrument name, largest first; instruments without trades have 0."""
        lots = [self._traded[0][number] for number in self.instruments["instrument"]]
        sums = pd.Series(lots, index=self.instruments["name"], dtype="int64")
        return sums.sort_values(ascending=False, kind="stable")

    @property
    def last_prices(self) -> dict[str, int]:
        """Price of the last trade in price units, by the name of each instrument that was traded."""
        names = dict(zip(self.instruments["instrument"], self.instruments["name"], strict=True))
        return {names[number]: price for number, price in self._traded[1].items()}

    @cached_property
    def shown_instruments(self) -> list[str]:
        """The instruments with figures of their own, in order of the table instruments."""
        chosen = set(self.volumes.index[:INSTRUMENTS_SHOWN])
        return [name for name in self.instruments["name"] if name in chosen]

    def price_unit(self, instrument: str) -> float:
        """Return what a price unit of an instrument is in currency."""
        return float(self._terms(instrument)["price_unit"])

    def tick_size(self, instrument: str) -> int:
        """Return the tick size of an instrument in price units."""
        return int(self._terms(instrument)["tick_size"])

    def _terms(self, instrument: str) -> pd.Series:
        return self.instruments.set_index("name").loc[instrument]

    def table(self, name: str, instrument: str | None = None) -> Frames:
        """Return a table in batches; raises AnalysisError that says which key records it when it is empty."""
        if not self.rows[name]:
            raise AnalysisError(self.missing(name))
        return self.run.whole(name, instrument=instrument)

    def missing(self, table: str) -> str:
        """Return why a table is empty and what records it."""
        if table not in _KEYS:
            return f"the table {table} is empty: " + (
                "nobody traded" if table == "trades" else "nothing of the kind happened"
            )
        key, usual = _KEYS[table]
        value = (self.config.get("recording") or {}).get(key.partition(".")[2])
        if value:
            return f"the table {table} is empty, though {key} is {value}: the run wrote none before it ended"
        return f"the table {table} was not recorded; set {key}: {usual} in the YAML file and run again"

    @cached_property
    def ledger(self) -> tuple[Frames, Frames, pd.DataFrame, pd.DataFrame, Frames]:
        """The tables that P&L is computed from; raises AnalysisError when nothing marks positions."""
        if not self.rows["accounts"]:
            self.table("quotes")
        if self.agents.empty:
            raise AnalysisError("the table agents is empty: the run has no populations")
        whole = self.run.whole
        return whole("trades"), whole("quotes"), self.agents, self.instruments, whole("accounts")

    @cached_property
    def pnl(self) -> pd.DataFrame:
        """P&L by population over time."""
        from simlab.analysis.pnl import pnl

        return pnl(*self.ledger)

    @cached_property
    def attribution(self) -> pd.DataFrame:
        """P&L by population split into its parts."""
        from simlab.analysis.pnl import attribution

        return attribution(*self.ledger)

    @cached_property
    def transfers(self) -> pd.DataFrame:
        """Who earned how much from whom."""
        from simlab.analysis.pnl import transfers

        return transfers(*self.ledger)

    @cached_property
    def board(self) -> pd.DataFrame:
        """Every agent with its P&L, best first."""
        from simlab.analysis.pnl import leaderboard

        return leaderboard(*self.ledger)

    @cached_property
    def quality(self) -> pd.DataFrame:
        """Measures of market quality: instrument, measure, value, unit, note."""
        from simlab.analysis.quality import quality

        depth = self.table("depth") if self.rows["depth"] else None
        events = (self.table("quotes"), self.run.whole("messages"))
        return quality(self.run.whole("trades"), *events, self.instruments, depth)

    @cached_property
    def decisions(self) -> pd.DataFrame:
        """Every recorded decision with its outcome, and the ``population`` of its agent."""
        held = dict(zip(self.agents["name"], self.agents["population"], strict=True))
        table = self.run.decisions()
        population = pd.Categorical(table["account"].astype(str).map(held), self.populations)
        return table.assign(population=population)

    @cached_property
    def by_source(self) -> pd.DataFrame:
        """P&L by population and who decided; with mark-outs where quotes were recorded at every step."""
        every_step = (self.config.get("recording") or {}).get("quotes_every", 1) == 1
        return self.run.pnl_by_source(horizon=10 if every_step else None)

    def facts(self, instrument: str) -> pd.DataFrame:
        """Return the card of stylised facts of one instrument."""
        if instrument not in self._facts:
            from simlab.analysis.facts import card, from_run

            if not self.rows["trades"]:
                self.table("quotes", instrument)
            self._facts[instrument] = card(from_run(self.run, instrument))
        return self._facts[instrument]

    def measure(self, instrument: str, name: str) -> float | None:
        """Return one measure of market quality; None when it has no value."""
        try:
            rows = self.quality
        except AnalysisError:
            return None
        found = rows[(rows["instrument"] == instrument) & (rows["measure"] == name)]["value"]
        return float(found.iloc[0]) if len(found) and pd.notna(found.iloc[0]) else None

    @cached_property
    def by_population(self) -> pd.DataFrame:
        """One row a population: agents, strategy, fills, volume, total (money units), by total."""
        sums = self.board.groupby("population", observed=True, sort=False).agg(
            strategy=("strategy", "first"),
            agents=("agent", "size"),
            fills=("fills", "sum"),
            volume=("volume", "sum"),
            fees=("fees", "sum"),
            total=("total", "sum"),
        )
        return sums.reset_index().sort_values("total", ascending=False, ignore_index=True)
