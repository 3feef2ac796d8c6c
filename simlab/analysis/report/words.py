"""Say in sentences how a run went."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from simlab.analysis.report.reading import Reading
from simlab.errors import AnalysisError

__all__ = ["Tile", "count", "decided", "headline", "price_change", "relative_change", "tiles"]

_CHANGES_SHOWN = 5


def count(value: int, thing: str) -> str:
    """Return a number with its noun.

    Example
    -------
    >>> count(1, "agent"), count(1200, "agent")
    ('1 agent', '1,200 agents')
    """
    return f"{value:,} {thing}{'' if value == 1 else 's'}"


def decided(sources: pd.Series) -> str:
    """Return by whom decisions were taken.

    Example
    -------
    >>> decided(pd.Series(["llm", "none", "llm"]))
    '2 by llm, 1 by nobody'
    """
    counts = sources.astype(str).value_counts()
    return ", ".join(f"{n:,} by {'nobody' if name == 'none' else name}" for name, n in counts.items())


def price_change(reading: Reading, instrument: str) -> tuple[float, float | None]:
    """Return the initial price and the price of the last trade, in currency; None without a trade."""
    unit = reading.price_unit(instrument)
    initial = float(reading.instruments.set_index("name").loc[instrument, "initial_price"])
    last = reading.last_prices.get(instrument)
    return initial * unit, None if last is None else last * unit


def relative_change(first: float, last: float | None) -> float | None:
    """Return by which share a price has changed; None without a last price or a first above 0.

    Example
    -------
    >>> relative_change(100.0, 150.0), relative_change(-1.0, 3.0)
    (0.5, None)
    """
    return None if last is None or first <= 0 else last / first - 1


@dataclass(frozen=True)
class Tile:
    """One key figure at the top of the page."""

    label: str
    value: str
    detail: str = ""


def tiles(reading: Reading) -> list[Tile]:
    """Return the key figures of a run."""
    shown = [
        Tile("Trades", f"{reading.rows['trades']:,}", f"{int(reading.volumes.sum()):,} lots"),
        Tile("Agents", f"{reading.traders:,}", count(len(reading.populations), "population")),
    ]
    for name in reading.shown_instruments[:1]:
        first, last = price_change(reading, name)
        if last is not None:
            change = relative_change(first, last)
            detail = "" if change is None else f"{_signed(change)} in the run"
            shown.append(Tile(f"Last price of {name}", f"{last:,.2f}", detail))
        spread = reading.measure(name, "quoted spread")
        if spread is not None:
            volatility = reading.measure(name, "volatility")
            detail = "" if volatility is None else f"volatility {volatility:.3g} per step"
            shown.append(Tile("Mean spread", f"{spread * reading.price_unit(name):,.4f}", detail))
    try:
        best = reading.by_population.iloc[:1]
    except AnalysisError:
        best = ()
    for row in best.itertuples() if len(best) else ():
        earned = f"{reading.in_money(row.total):,.2f} {reading.money_name}"
        shown.append(Tile("Earned most", str(row.population), earned))
    if reading.rows["decisions"]:
        shown.append(
            Tile("Decisions", f"{reading.rows['decisions']:,}", decided(reading.decisions["source"]))
        )
    return shown


def headline(reading: Reading) -> list[str]:
    """Return the summary: what was simulated, what the price did, who earned and who lost."""
    return [" ".join([_world(reading), *_prices(reading), *_winners(reading), *_facts(reading)])]


def _world(reading: Reading) -> str:
    seed = reading.run.manifest.get("seed")
    said = f"The run {reading.name} took {count(reading.steps, 'step')}{_duration(reading)}"
    said += "" if seed is None else f" with seed {seed}"
    said += f": {count(reading.traders, 'agent')} in {count(len(reading.populations), 'population')}"
    said += f" traded {count(len(reading.instruments), 'instrument')}.{_branched(reading)}"
    messages, trades = int(reading.rows["messages"]), int(reading.rows["trades"])
    if not trades:
        return f"{said} {count(messages, 'book event')} and 0 trades were recorded."
    lots = count(int(reading.volumes.sum()), "lot")
    return f"{said} {count(messages, 'book event')} and {count(trades, 'trade')} of {lots} were recorded."


def _branched(reading: Reading) -> str:
    """Return what a fork is a fork of, and with what changes."""
    parent = reading.run.manifest.get("parent")
    if parent is None:
        return ""
    changes = [f"{key} {new}, not {old}" for key, (old, new) in parent["changes"].items()]
    more = f" and {len(changes) - _CHANGES_SHOWN} more" if len(changes) > _CHANGES_SHOWN else ""
    what = f" with {'; '.join(changes[:_CHANGES_SHOWN])}{more}" if changes else ", with nothing changed"
    return f" From step {parent['step']:,} it is a fork of {Path(parent['path']).name}{what}."


def _duration(reading: Reading) -> str:
    """Return the simulated time in words, where a step has a duration."""
    seconds = float(reading.config.get("step_duration_s") or 0) * reading.steps
    if not seconds:
        return ""
    for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f" ({seconds / length:.3g} {unit})"
    return f" ({seconds:.3g} seconds)"


def _prices(reading: Reading) -> list[str]:
    said = []
    for name in reading.shown_instruments[:3]:
        first, last = price_change(reading, name)
        if last is None:
            continue
        sentence = f"The price of {name} went from {first:,.2f} to {last:,.2f}"
        change = relative_change(first, last)
        sentence += "" if change is None else f" ({_signed(change)})"
        spread = reading.measure(name, "quoted spread")
        volatility = reading.measure(name, "volatility")
        if spread is not None:
            sentence += f", with a mean spread of {spread * reading.price_unit(name):,.4f}"
        if volatility is not None:
            sentence += f" and a volatility of {volatility:.3g} per step"
        said.append(sentence + ".")
    return said


def _winners(reading: Reading) -> list[str]:
    try:
        rows = reading.by_population
    except AnalysisError:
        return []
    if len(rows) < 2 or not rows["fills"].sum():
        return []
    best, worst = rows.iloc[0], rows.iloc[-1]
    most, least = (reading.in_money(row["total"]) for row in (best, worst))
    each = most / best["agents"]
    said = f"Population {best['population']} earned most, {most:,.2f} in all"
    said += f" ({each:,.2f} an agent)"
    verb = "lost most" if worst["total"] < 0 else "earned least"
    said += (
        f"; population {worst['population']} {verb}, {abs(least):,.2f} ({reading.money_name}, after fees)."
    )
    return [said]


def _facts(reading: Reading) -> list[str]:
    for name in reading.shown_instruments[:1]:
        try:
            verdicts = reading.facts(name)["verdict"]
        except AnalysisError:
            return []
        judged, shown = int((verdicts != "not enough data").sum()), int((verdicts == "shown").sum())
        return [f"{name} shows {shown} of the {judged} stylised facts for which there is enough data."]
    return []


def _signed(change: float) -> str:
    return f"{change:+.2%}".replace("-", "\N{MINUS SIGN}")
