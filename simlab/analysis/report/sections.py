"""The sections of one run's page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from math import ceil, isnan, log10
from typing import Any

import pandas as pd

from simlab.analysis import figures
from simlab.analysis.report.decisions import decisions_section
from simlab.analysis.report.elements import (
    Cell,
    Code,
    Element,
    Figure,
    Note,
    Section,
    Table,
    Text,
    attempt,
    number,
)
from simlab.analysis.report.reading import Reading
from simlab.analysis.report.words import headline, price_change, relative_change
from simlab.errors import AnalysisError

__all__ = ["config_section", "flat", "in_own_unit", "run_sections"]

LEADERS = 10
"""Agents of each end of the leaderboard that are shown."""
CONFIG_LINES = 3_000
FACTS_INSTRUMENTS = 3
POPULATIONS_SHOWN = 50
_BADGES = {"shown": "good", "not shown": "bad"}
_DEPTH_CAPTION = (
    "Lots resting at each price: blue below the mid are bids, orange above are asks, the darker the more "
    "(logarithmic scale). The line is the mid price. Only recorded levels are shown."
)


def run_sections(reading: Reading) -> list[Section]:
    """Return all sections of the page of one run."""
    return [
        _summary(reading),
        _market(reading),
        _agents(reading),
        _leaderboard(reading),
        *([decisions_section(reading)] if reading.rows["decisions"] else []),
        _facts(reading),
        config_section(reading),
        _provenance(reading),
    ]


def _summary(reading: Reading) -> Section:
    elements: list[Element] = []
    if not reading.run.finished:
        elements.append(Note(f"This run is {reading.run.status}. The page shows what is on disk."))
    elements += [Text(sentence) for sentence in headline(reading)]
    elements += attempt("Populations cannot be summed up", lambda: _population_table(reading))
    elements.append(_instrument_table(reading))
    return Section("summary", "Summary", elements)


def _population_table(reading: Reading) -> Iterable[Element]:
    rows = reading.by_population
    unit = reading.money_name
    shown = rows if len(rows) <= POPULATIONS_SHOWN else _ends(rows, POPULATIONS_SHOWN // 2)
    columns = [("population", False), ("strategy", False), ("agents", True), ("fills", True)]
    columns += [("volume (lots)", True), (f"fees ({unit})", True), (f"P&L ({unit})", True)]
    columns += [(f"P&L an agent ({unit})", True)]
    cells = [
        [
            Cell(str(row.population), str(row.population)),
            Cell(str(row.strategy), str(row.strategy)),
            number(row.agents, 0),
            number(row.fills, 0),
            number(row.volume, 0),
            number(reading.in_money(row.fees)),
            number(reading.in_money(row.total)),
            number(reading.in_money(row.total / row.agents)),
        ]
        for row in shown.itertuples()
    ]
    caption = "By P&L, after fees. Fees below zero are rebates."
    if len(shown) < len(rows):
        caption += f" The best and worst {len(shown) // 2} of {len(rows):,} populations are shown."
    yield Table("Populations", columns, cells, caption)


def _instrument_table(reading: Reading) -> Table:
    columns = [("instrument", False), ("volume (lots)", True), ("first price", True), ("last price", True)]
    columns += [("change (%)", True), ("mean spread", True), ("volatility (per step)", True)]
    cells = []
    for name in reading.shown_instruments:
        first, last = price_change(reading, name)
        change = relative_change(first, last)
        spread, unit = reading.measure(name, "quoted spread"), reading.price_unit(name)
        digits = max(2, ceil(-log10(unit)))
        cells.append(
            [
                Cell(name, name),
                number(float(reading.volumes[name]), 0),
                number(first, digits),
                number(last, digits),
                number(None if change is None else 100 * change),
                number(None if spread is None else spread * unit, 4),
                number(reading.measure(name, "volatility"), 3, significant=True),
            ]
        )
    caption = "Prices and spread in currency. The last price is that of the last trade."
    return Table("Instruments", columns, cells, caption)


def _market(reading: Reading) -> Section:
    section = Section("market", "Market")
    hidden = len(reading.instruments) - len(reading.shown_instruments)
    if hidden > 0:
        section.elements.append(
            Note(
                f"The {len(reading.shown_instruments)} instruments with the largest volume are shown and "
                f"{hidden} left out. All are in the tables of the run."
            )
        )
    if reading.instruments.empty:
        section.elements.append(Note("The run has no table instruments, so there is no market to show."))
    if len(reading.shown_instruments) == 1:
        (only,) = reading.shown_instruments
        return Section(section.id, f"Market: {only}", _instrument(reading, only))
    for place, name in enumerate(reading.shown_instruments):
        section.parts.append(Section(f"market-{place}", name, _instrument(reading, name)))
    return section


def _instrument(reading: Reading, name: str) -> list[Element]:
    makers: dict[str, Callable[[Reading, str], Element]] = {
        "Price": _price,
        "Order book": _book_map,
        "Spread and depth": _spread_and_depth,
        "Volume": _volume,
        "Mean book": _book_shape,
        "Signature plot": _signature,
        "Market quality": _quality,
    }
    return [
        element for what, make in makers.items() for element in attempt(what, partial(make, reading, name))
    ]


def _book_map(reading: Reading, name: str) -> Figure:
    drawn = figures.book_map(
        reading.table("depth", name),
        reading.table("quotes", name) if reading.rows["quotes"] else None,
        price_unit=reading.price_unit(name),
        tick_size=reading.tick_size(name),
        steps=reading.steps,
    )
    return Figure(drawn, f"Order book of {name} over time", _DEPTH_CAPTION)


def _spread_and_depth(reading: Reading, name: str) -> Figure:
    quotes, unit = reading.table("quotes", name), reading.price_unit(name)
    drawn = figures.spread_and_depth(quotes, price_unit=unit, steps=reading.steps)
    caption = (
        "Above, the difference between the best ask and the best bid; below, the lots resting at each of "
        "them. Means over short ranges of steps."
    )
    return Figure(drawn, f"Spread and depth of {name}", caption)


def _volume(reading: Reading, name: str) -> Figure:
    drawn = figures.volume(reading.table("trades", name), steps=reading.steps)
    caption = "Lots traded; above zero where the buyer took liquidity, below where the seller did."
    return Figure(drawn, f"Volume of {name}", caption)


def _price(reading: Reading, name: str) -> Figure:
    news = reading.run.news(instrument=name) if reading.rows["news"] else None
    unit = reading.price_unit(name)
    drawn = figures.price(reading.table("quotes", name), news, price_unit=unit, steps=reading.steps)
    caption = "The mid price within the best bid and ask"
    caption += ", and the fundamental value (dashed)." if len(drawn.data) > 3 else "."
    if news is not None and len(news):
        caption += " Triangles are news, up for good and down for bad; point at one to read it."
    return Figure(drawn, f"Price of {name}", caption)


def _book_shape(reading: Reading, name: str) -> Figure:
    from simlab.analysis.quality import book_shape

    shape = book_shape(reading.table("depth", name), reading.instruments)
    caption = (
        "Lots resting on average at each distance from the mid price, bids to the left, asks to the right."
    )
    return Figure(figures.book_shape(shape), f"Mean book of {name}", caption, half=True)


def _signature(reading: Reading, name: str) -> Figure:
    from simlab.analysis.quality import signature_plot
    from simlab.analysis.tables import Mids

    mids = Mids(reading.table("quotes", name), reading.instruments)
    number_of = reading.instruments.set_index("name")["instrument"]
    drawn = figures.signature_plot(signature_plot(mids.series(int(number_of[name]))))
    caption = (
        "Realised variance a step of the mid price against the interval at which it is sampled, relative to "
        "the shortest: flat without memory, falling where the price bounces back, rising where it trends."
    )
    return Figure(drawn, f"Signature plot of {name}", caption, half=True)


def _quality(reading: Reading, name: str) -> Table:
    rows = reading.quality[reading.quality["instrument"] == name]
    cells = []
    for row in rows.itertuples():
        value, unit = in_own_unit(reading, name, row)
        said = f"{unit} ({row.note})" if row.note else unit
        cells.append([Cell(str(row.measure), str(row.measure)), value, Cell(said, said)])
    columns = [("measure", False), ("value", True), ("unit", False)]
    return Table(f"Market quality of {name}", columns, cells, "Defined in docs/analysis.md.")


def in_own_unit(reading: Reading, instrument: str, row: Any) -> tuple[Cell, str]:
    """Return the value of a row of the quality table and its unit, prices in currency."""
    in_prices = str(row.unit).startswith("price units")
    value = float(row.value) * (reading.price_unit(instrument) if in_prices else 1.0)
    shown = number(value, 0) if value.is_integer() else number(value, 4, significant=True)
    return shown, str(row.unit).replace("price units", "currency")


def _agents(reading: Reading) -> Section:
    elements: list[Element] = []
    if not reading.rows["accounts"]:
        said = f"{reading.missing('accounts')}. P&L assumes that everybody started without inventory."
        elements.append(Note(said[0].upper() + said[1:]))
    if reading.money_unit is None:
        elements.append(Note("The instruments differ in price_unit, so P&L is in money units."))
    makers: dict[str, Callable[[Reading], Element | Iterable[Element]]] = {
        "P&L": _pnl,
        "Attribution": _attribution,
        "Transfers": _transfers,
        "P&L of agents": _wealth,
    }
    for what, make in makers.items():
        elements += attempt(what, partial(make, reading))
    return Section("pnl", "Profit and loss", elements)


def _pnl(reading: Reading) -> Figure:
    drawn = figures.pnl(reading.pnl, money_unit=reading.money_unit, styled=reading.populations)
    caption = "Profit and loss since the start, after fees, positions valued at the mid price. The exchange "
    return Figure(drawn, "P&L by population", _with_limit(f"{caption}earns the fees.", reading))


def _attribution(reading: Reading) -> list[Element]:
    drawn = figures.attribution(reading.attribution, money_unit=reading.money_unit)
    caption = (
        "Spread earned or paid against the mid before the trade; adverse selection: what the price did to "
        "the position within 10 steps; inventory: what it did afterwards; fees. The parts add up to the "
        "total (diamond)."
    )
    picture = Figure(drawn, "What the P&L is made of", _with_limit(caption, reading))
    return [picture, _attribution_table(reading)]


def _transfers(reading: Reading) -> Figure:
    drawn = figures.transfers(reading.transfers, money_unit=reading.money_unit)
    caption = "The population of a row earned so much from that of the column, before fees."
    return Figure(drawn, "Who earned from whom", _with_limit(caption, reading))


def _wealth(reading: Reading) -> Figure:
    drawn = figures.wealth(reading.board, money_unit=reading.money_unit, styled=reading.populations)
    caption = (
        "Boxes hold the middle half of the agents with the median (line) and the mean (dashed); whiskers "
        "reach from the 5th to the 95th percentile."
    )
    return Figure(drawn, "Spread of P&L within populations", _with_limit(caption, reading))


def _with_limit(caption: str, reading: Reading) -> str:
    if len(reading.populations) <= figures.SHOWN:
        return caption
    of = f"of {len(reading.populations):,} populations"
    return f"{caption} The {figures.SHOWN} with the largest gain or loss {of} are shown."


def _attribution_table(reading: Reading) -> Table:
    unit = reading.money_name
    parts = ("spread", "adverse_selection", "inventory", "fees", "total")
    table = reading.attribution.sort_values("total", ascending=False)
    shown = table if len(table) <= POPULATIONS_SHOWN else _ends(table, POPULATIONS_SHOWN // 2)
    cells = [
        [Cell(str(name), str(name)), *(number(reading.in_money(value)) for value in values)]
        for name, *values in shown[["population", *parts]].itertuples(index=False)
    ]
    columns = [("population", False), *((f"{part.replace('_', ' ')} ({unit})", True) for part in parts)]
    return Table("Attribution", columns, cells)


def _leaderboard(reading: Reading) -> Section:
    return Section("leaderboard", "Leaderboard", attempt("Leaderboard", lambda: _leaders(reading)))


def _leaders(reading: Reading) -> Table:
    board = reading.board
    if board.empty:
        raise AnalysisError("the run has no agents")
    unit = reading.money_name
    shown = board if len(board) <= 2 * LEADERS else _ends(board, LEADERS)
    columns = [("rank", True), ("agent", False), ("strategy", False), ("P&L", True)]
    columns += [("realised", True), ("unrealised", True), ("fees", True), ("Sharpe ratio", True)]
    columns += [("max draw\N{SOFT HYPHEN}down", True), ("turnover", True)]
    columns += [("half-life (steps)", True), ("maker (%)", True), ("volume (lots)", True)]
    cells = [
        [
            number(row.rank, 0),
            Cell(str(row.agent), str(row.agent)),
            Cell(str(row.strategy), str(row.strategy)),
            *(number(reading.in_money(it)) for it in (row.total, row.realised, row.unrealised, row.fees)),
            number(row.sharpe, 3),
            number(reading.in_money(row.max_drawdown)),
            number(row.turnover),
            number(row.inventory_half_life, 0),
            number(row.maker_share * 100, 1),
            number(row.volume, 0),
        ]
        for row in shown.itertuples()
    ]
    every = board.attrs.get("every")
    caption = f"The best and worst {LEADERS} of {len(board):,} agents. " if len(shown) < len(board) else ""
    caption += f"P&L, fees and drawdown in {unit}; half-life of the inventory; share of volume as maker. "
    if every:
        caption += (
            f"Sharpe ratio and half-life from values every {every:,} steps; the ratio is not annualised."
        )
    return Table("Leaderboard", columns, cells, caption)


def _facts(reading: Reading) -> Section:
    section = Section("facts", "Stylised facts")
    judged = reading.shown_instruments[:FACTS_INSTRUMENTS]
    if not judged:
        section.elements.append(Note("The run has no instrument, so there are no facts to look for."))
    elif len(reading.instruments) > len(judged):
        section.elements.append(Note(f"Judged for {', '.join(judged)}; run.facts() judges any instrument."))
    for name in judged:
        section.elements += attempt(f"Facts of {name}", partial(facts_table, reading, name))
    return section


def facts_table(reading: Reading, name: str) -> Table:
    """Return the card of stylised facts of one instrument."""
    card = reading.facts(name)
    rows = []
    for row in card.itertuples():
        low, high = (number(value, 3, significant=True) for value in (row.low, row.high))
        interval = "\N{EN DASH}" if isnan(row.low) else f"{low.text} to {high.text}"
        rows.append(
            [
                Cell(row.fact, row.fact),
                Cell(row.verdict, row.verdict, _BADGES.get(row.verdict, "open")),
                number(row.estimate, 3, significant=True),
                Cell(interval, low.key),
                Cell(row.description, row.description),
            ]
        )
    columns = [("fact", False), ("verdict", False), ("estimate", True), ("95% interval", True)]
    caption = "Intervals are bootstrapped; the verdict follows from the interval."
    for note in reversed(card.attrs["notes"]):
        caption = f"{note[0].upper()}{note[1:]}. {caption}"
    if "interval" in card.attrs:
        caption = f"From {card.attrs['returns']:,} returns over {card.attrs['interval']}. {caption}"
    return Table(f"Stylised facts of {name}", [*columns, ("what is judged", False)], rows, caption)


def config_section(reading: Reading) -> Section:
    """Return the resolved configuration as it was recorded."""
    path = reading.run.path / "config.yaml"
    section = Section("config", "Configuration")
    if not path.is_file():
        section.elements.append(Note("The run folder has no config.yaml, so the configuration is not known."))
        return section
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    if len(lines) > CONFIG_LINES:
        left = len(lines) - CONFIG_LINES
        section.elements.append(
            Note(f"{left:,} of {len(lines):,} lines are left out; all are in config.yaml.")
        )
    section.elements.append(Code("Resolved configuration (config.yaml)", "\n".join(lines[:CONFIG_LINES])))
    return section


def _provenance(reading: Reading) -> Section:
    manifest = reading.run.manifest
    facts = {key: value for key, value in manifest.items() if key not in ("populations", "instruments")}
    rows = [[Cell(key, key), Cell(value, value)] for key, value in flat(facts)]
    caption = "The same file, seed and versions give the same event-log hash, on any machine."
    columns = [("key", False), ("value", False)]
    table = Table("Manifest", columns, rows, caption, sortable=False)
    return Section("provenance", "Provenance", [table])


def flat(
    values: Mapping[str, Any], prefix: str = "", text: Callable[[Any], str] | None = None
) -> list[tuple[str, str]]:
    """Return nested mappings as dotted keys with their values as `text` writes them, as plain text else."""
    rows: list[tuple[str, str]] = []
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            rows += flat(value, f"{prefix}{key}.", text)
        else:
            rows.append((f"{prefix}{key}", _plain(key, value) if text is None else text(value)))
    return rows


def _plain(key: str, value: Any) -> str:
    if value is None or value in ({}, []):
        return "none"
    counted = isinstance(value, int) and not isinstance(value, bool) and key not in ("pid", "seed")
    return f"{value:,}" if counted else str(value)


def _ends(rows: pd.DataFrame, each: int) -> pd.DataFrame:
    return pd.concat([rows.head(each), rows.tail(each)])
