"""Figures of one market over time: price, book, spread, depth, volume."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from simlab.analysis.figures.layout import figure, panels, price_axis, scaled, text
from simlab.analysis.figures.palette import ASK, BID, FUNDAMENTAL, INK, NEWS, styles
from simlab.analysis.figures.thinning import POINTS, RangeMeans, thin, thin_frames
from simlab.analysis.libraries import library
from simlab.analysis.tables import Frames, batches, require, signs
from simlab.errors import AnalysisError

__all__ = ["book_map", "price", "prices", "spread_and_depth", "spreads", "volume"]

RANGES = 240
"""Ranges of steps over which means and sums are drawn."""
SNAPSHOTS = 400
"""Columns of the order-book map at most."""
PRICE_ROWS = 160
"""Rows of the order-book map at most."""
_STEP = "step"
_SHADES = 100
"""Shades of either side of the book, so that a cell of the map fits into a byte."""


def price(
    quotes: Frames,
    news: pd.DataFrame | None = None,
    *,
    price_unit: float | None = None,
    steps: int | None = None,
) -> Any:
    """Draw the best prices and their mid with the fundamental value and the news.

    Parameters
    ----------
    quotes : Frames
        Columns ``step``, ``instrument``, ``best_bid``, ``best_ask``, ``fundamental`` of one instrument.
    news : DataFrame, optional
        Columns ``step``, ``headline``, ``sentiment``, ``impact`` (price units).
    price_unit : float, optional
        What a price unit is in currency; without it prices stay in price units.
    steps : int, optional
        Steps of the run, if known; spares a pass over batches.

    Returns
    -------
    plotly.graph_objects.Figure
        With at most 2,000 points a line, extremes kept.

    Raises
    ------
    AnalysisError
        When neither side was ever quoted.

    Example
    -------
    >>> quotes = pd.DataFrame({"step": [0, 1], "instrument": 0, "best_bid": [99, 98], "best_ask": [101, 100],
    ...                        "fundamental": [100.0, 99.0]})
    >>> [trace.name for trace in price(quotes).data]
    ['best bid', 'best ask', 'fundamental value', 'mid']
    """
    rows = _thinned(quotes, _mids, ("best_bid", "best_ask", "mid", "fundamental"), steps)
    if not rows[["mid", "best_bid", "best_ask"]].notna().to_numpy().any():
        raise AnalysisError("there is no price to draw: no quote has a best bid or ask")
    traces = [_line(rows, "best_bid", "best bid", price_unit, color=BID, width=0.8)]
    traces.append(_line(rows, "best_ask", "best ask", price_unit, color=ASK, width=0.8))
    traces[1].update(fill="tonexty", fillcolor="rgba(91,100,112,0.18)")
    if rows["fundamental"].notna().any():
        look = {"color": FUNDAMENTAL, "width": 1.3, "dash": "5px,2px"}
        traces.append(_line(rows, "fundamental", "fundamental value", price_unit, **look))
    traces.append(_line(rows, "mid", "mid", price_unit, color=INK, width=1.6))
    if news is not None and len(news):
        traces.append(_news(news, rows, price_unit))
    return figure(traces, x=_STEP, y=f"price ({price_axis(price_unit)})", height=400)


def _news(news: pd.DataFrame, rows: pd.DataFrame, unit: float | None) -> Any:
    """Return the news as triangles on the mid price, up for good and down for bad."""
    require(news, ("step", "headline", "sentiment", "impact"), "news")
    known = rows.dropna(subset=["mid"])
    shown = news.loc[news["impact"].abs().nlargest(POINTS // 10).index].sort_values("step")
    heights = np.interp(shown["step"], known["step"], known["mid"]) if len(known) else np.zeros(len(shown))
    up = (shown["sentiment"] > 0) | ((shown["sentiment"] == 0) & (shown["impact"] >= 0))
    said = [
        f"{text(headline)} (impact {impact:+.4g})"
        for headline, impact in zip(shown["headline"], scaled(shown["impact"], unit), strict=True)
    ]
    marker = {
        "symbol": np.where(up, "triangle-up", "triangle-down").tolist(),
        "size": 11,
        "color": NEWS,
        "line": {"color": INK, "width": 1},
    }
    return library("plotly.graph_objects").Scatter(
        x=shown["step"].to_numpy(),
        y=scaled(heights, unit),
        mode="markers",
        name="news",
        text=said,
        hovertemplate="%{text}<extra>news</extra>",
        marker=marker,
    )


def prices(
    runs: Mapping[str, Frames], *, price_unit: float | None = None, steps: Mapping[str, int] | None = None
) -> Any:
    """Draw the mid prices of one instrument in several runs over each other.

    Parameters
    ----------
    runs : mapping of label to Frames
        Quotes of one instrument by run, columns as for `price`.
    price_unit, steps
        As for `price`; `steps` by run.

    Example
    -------
    >>> quotes = pd.DataFrame({"step": [0, 1], "instrument": 0, "best_bid": [99, 98], "best_ask": [101, 100],
    ...                        "fundamental": [100.0, 99.0]})
    >>> [trace.name for trace in prices({"calm": quotes, "wild": quotes}).data]
    ['calm', 'wild']
    """
    looks = styles(runs)
    traces = []
    for label, quotes in runs.items():
        rows = _thinned(quotes, _mids, ("mid",), (steps or {}).get(label))
        look = {"color": looks[label].colour, "width": 1.4, "dash": looks[label].dash}
        traces.append(_line(rows, "mid", text(label), price_unit, **look))
    if not any(len(trace.x) for trace in traces):
        raise AnalysisError("there is no price to draw: no quote has both a best bid and a best ask")
    return figure(traces, x=_STEP, y=f"mid price ({price_axis(price_unit)})", height=400)


def spreads(
    runs: Mapping[str, Frames], *, price_unit: float | None = None, steps: Mapping[str, int] | None = None
) -> Any:
    """Draw the mean quoted spread over time of several runs; parameters and errors as of `prices`.

    Example
    -------
    >>> quotes = pd.DataFrame({"step": [0, 1], "instrument": 0, "best_bid": [99, 98], "best_ask": [101, 100],
    ...                        "bid_depth": 5, "ask_depth": 6})
    >>> spreads({"calm": quotes}).data[0].y.tolist()
    [2.0, 2.0]
    """
    looks = styles(runs)
    traces = []
    for label, quotes in runs.items():
        means = _quote_means(quotes, (steps or {}).get(label), RANGES // 4)
        look = {"color": looks[label].colour, "width": 1.6, "dash": looks[label].dash}
        traces.append(_line(means, "spread", text(label), price_unit, **look))
    drawn = figure(traces, x=_STEP, y=f"mean spread ({price_axis(price_unit)})")
    return drawn.update_yaxes(rangemode="tozero")


def spread_and_depth(quotes: Frames, *, price_unit: float | None = None, steps: int | None = None) -> Any:
    """Draw the quoted spread and the lots at the best prices, as means over short ranges of steps.

    Parameters
    ----------
    quotes : Frames
        Columns ``step``, ``best_bid``, ``best_ask``, ``bid_depth``, ``ask_depth`` of one instrument.
    price_unit, steps
        As for `price`.

    Raises
    ------
    AnalysisError
        When the book never had two sides.

    Example
    -------
    >>> quotes = pd.DataFrame({"step": [0, 1], "best_bid": [99, 98], "best_ask": [101, 100],
    ...                        "bid_depth": [5, 7], "ask_depth": [6, 8]})
    >>> [trace.y.tolist() for trace in spread_and_depth(quotes).data]
    [[2.0, 2.0], [5.0, 7.0], [6.0, 8.0]]
    """
    means = _quote_means(quotes, steps, RANGES)
    drawn = panels([f"spread ({price_axis(price_unit)})", "depth at best (lots)"], x=_STEP)
    look = {"color": INK, "width": 1.4}
    drawn.add_trace(_line(means, "spread", "mean spread", price_unit, **look), row=1, col=1)
    for name, label, colour, dash in (
        ("bid_depth", "depth at best bid", BID, "solid"),
        ("ask_depth", "depth at best ask", ASK, "3px,2px"),
    ):
        look = {"color": colour, "width": 1.4, "dash": dash}
        drawn.add_trace(_line(means, name, label, None, **look), row=2, col=1)
    drawn.update_yaxes(rangemode="tozero")
    return drawn


def volume(trades: Frames, *, steps: int | None = None, bars: int = 120) -> Any:
    """Draw the lots traded over time, split by the side that took liquidity.

    Parameters
    ----------
    trades : Frames
        Columns ``step``, ``quantity``, ``aggressor_side`` of one instrument.
    steps : int, optional
        As for `price`.
    bars : int, optional
        Bars at most.

    Raises
    ------
    AnalysisError
        When nothing was traded.

    Example
    -------
    >>> trades = pd.DataFrame({"step": [0, 1], "quantity": [3, 4], "aggressor_side": ["buy", "sell"]})
    >>> [trace.y.tolist() for trace in volume(trades).data]
    [[3.0, 0.0], [-0.0, -4.0]]
    """
    columns = ("step", "quantity", "aggressor_side")
    sums = RangeMeans(_steps(trades, steps), bars)
    for frame in batches(trades, columns, "trades"):
        quantity = frame["quantity"].to_numpy(float)
        bought = signs(frame["aggressor_side"]) > 0
        sums.add(frame["step"].to_numpy(np.int64), buy=quantity * bought, sell=quantity * ~bought)
    rows = sums.sums()
    if "buy" not in rows:
        raise AnalysisError("there is no volume to draw: nothing was traded")
    go = library("plotly.graph_objects")
    look = {"x": rows["step"].to_numpy(), "width": sums.width, "offset": 0}
    traces = [
        go.Bar(y=rows["buy"].to_numpy(), name="taker bought", marker={"color": BID}, **look),
        go.Bar(
            y=-rows["sell"].to_numpy(),
            name="taker sold",
            marker={"color": ASK},
            **look,
        ),
    ]
    each = "step" if sums.width == 1 else f"{sums.width:,} steps"
    return figure(traces, x=_STEP, y=f"lots per {each}", height=320, barmode="relative")


def book_map(
    depth: Frames,
    quotes: Frames | None = None,
    *,
    price_unit: float | None = None,
    tick_size: int = 1,
    steps: int | None = None,
) -> Any:
    """Draw the order book over time: price against step, the darker the more lots rest there.

    Shows every k-th recorded snapshot, 400 at most, and as far from the best prices as 98% of the recorded
    levels lie. Where prices are finer than the picture, neighbouring levels are added up.

    Parameters
    ----------
    depth : Frames
        Columns ``step``, ``side``, ``level``, ``price``, ``depth`` of one instrument; read twice.
    quotes : Frames, optional
        As for `price`; draws the mid price over the map.
    price_unit, steps
        As for `price`.
    tick_size : int, optional
        Price units between two levels.

    Raises
    ------
    AnalysisError
        When no depth was recorded.

    Example
    -------
    >>> depth = pd.DataFrame({"step": 0, "side": ["bid", "ask"], "level": 0})
    >>> depth = depth.assign(price=[99, 101], depth=[9, 99])
    >>> book_map(depth).data[0].z.tolist()
    [[-50], [0], [100]]
    """
    levels = _snapshots(depth)
    edges, columns, lots = _book_grid(levels, tick_size)
    limit = max(1.0, np.ceil(np.abs(lots).max()))
    powers = np.arange(-limit, limit + 1)
    colour_bar = {
        "title": {"text": "lots", "side": "top"},
        "tickvals": (_SHADES * powers / limit).tolist(),
        "ticktext": [f"{10 ** abs(power) - (not power):,.0f}" for power in powers],
        "thickness": 12,
        "len": 0.9,
        "outlinewidth": 0,
    }
    go = library("plotly.graph_objects")
    heat = go.Heatmap(
        x=columns,
        y=scaled(edges, price_unit),
        z=np.round(_SHADES * lots / limit).astype(np.int8),
        zmin=-_SHADES,
        zmax=_SHADES,
        colorscale=_BOOK_SCALE,
        colorbar=colour_bar,
        hovertemplate="step %{x}<br>price %{y}<extra></extra>",
        name="lots resting",
    )
    traces = [heat]
    if quotes is not None:
        rows = _thinned(quotes, _mids, ("mid",), steps)
        traces.append(_line(rows, "mid", "mid", price_unit, color=INK, width=1.2))
    drawn = figure(traces, x=_STEP, y=f"price ({price_axis(price_unit)})", height=420, hovermode="closest")
    half = (edges[1] - edges[0]) / 2 if len(edges) > 1 else tick_size
    drawn.update_yaxes(range=scaled([edges[0] - half, edges[-1] + half], price_unit).tolist(), showgrid=False)
    drawn.update_xaxes(showgrid=False)
    return drawn


_BOOK_SCALE = [
    [0.0, "#023858"],
    [0.25, "#3690c0"],
    [0.499, "#e4eff7"],
    [0.5, "#ffffff"],
    [0.501, "#fdeadb"],
    [0.75, "#e6701f"],
    [1.0, "#6b2300"],
]
"""Bids blue, asks vermilion; both darken with the lots, so that print in grey shows the depth too."""


def _snapshots(depth: Frames) -> pd.DataFrame:
    columns = ("step", "side", "level", "price", "depth")
    found = [frame["step"].unique() for frame in batches(depth, columns, "depth")]
    if not found:
        raise AnalysisError("there is no book to draw: no depth was recorded")
    recorded = np.unique(np.concatenate(found))
    chosen = recorded[:: -(-len(recorded) // SNAPSHOTS)]
    kept = [frame[frame["step"].isin(chosen)] for frame in batches(depth, columns, "depth")]
    return pd.concat(kept, ignore_index=True)


def _book_grid(levels: pd.DataFrame, tick_size: int) -> tuple[Any, Any, Any]:
    """Return prices (rows), steps (columns) and signed log10(1 + lots), negative for bids."""
    price = levels["price"].to_numpy(float)
    low, high = _price_range(levels)
    height = tick_size * max(1, int(np.ceil((high - low) / tick_size / PRICE_ROWS)))
    first = np.floor(low / height) * height
    rows = int(np.floor((high - first) / height)) + 1
    columns, column = np.unique(levels["step"], return_inverse=True)
    row = np.floor((price - first) / height).astype(np.int64)
    inside = (row >= 0) & (row < rows)
    ask = (levels["side"] == "ask").to_numpy()
    sums = np.zeros((2, rows, len(columns)))
    places = (ask[inside].astype(np.int64), row[inside], column[inside])
    np.add.at(sums, places, levels["depth"].to_numpy(float)[inside])
    signed = np.where(sums[1] >= sums[0], 1, -1) * np.log10(1 + sums.max(axis=0))
    return first + height * np.arange(rows), columns, signed


def _price_range(levels: pd.DataFrame) -> tuple[float, float]:
    """Return the lowest and highest best price, and beyond them the reach of all but stray levels."""
    best = levels[levels["level"] == 0].set_index(["step", "side"])["price"].astype(float)
    places = pd.MultiIndex.from_frame(levels[["step", "side"]])
    reach = np.abs(levels["price"].to_numpy(float) - best.reindex(places).to_numpy())
    margin = np.quantile(reach[np.isfinite(reach)], 0.98, method="higher")
    return float(best.min() - margin), float(best.max() + margin)


def _steps(frames: Frames, steps: int | None) -> int:
    """Return the number of steps: as given, else one more than the last in the table."""
    if steps is not None:
        return max(1, steps)
    return 1 + max((int(frame["step"].max()) for frame in batches(frames, ("step",), "table")), default=0)


def _mids(quotes: Frames) -> Iterator[pd.DataFrame]:
    columns = ("step", "instrument", "best_bid", "best_ask", "fundamental")
    for frame in batches(quotes, columns, "quotes"):
        yield frame.assign(mid=(frame["best_bid"] + frame["best_ask"]) / 2)


def _thinned(
    frames: Frames,
    derive: Callable[[Frames], Iterator[pd.DataFrame]],
    columns: tuple[str, ...],
    steps: int | None,
) -> pd.DataFrame:
    width = max(1, _steps(frames, steps) // (POINTS // 2))
    return thin_frames(derive(frames), columns, width, "quotes")


def _quote_means(quotes: Frames, steps: int | None, ranges: int) -> pd.DataFrame:
    means = RangeMeans(_steps(quotes, steps), ranges)
    columns = ("step", "best_bid", "best_ask", "bid_depth", "ask_depth")
    for frame in batches(quotes, columns, "quotes"):
        means.add(
            frame["step"].to_numpy(np.int64),
            spread=(frame["best_ask"] - frame["best_bid"]).to_numpy(float),
            bid_depth=frame["bid_depth"].to_numpy(float),
            ask_depth=frame["ask_depth"].to_numpy(float),
        )
    rows = means.frame()
    if "spread" not in rows or not rows["spread"].notna().any():
        raise AnalysisError("there is no spread to draw: no quote has both a best bid and a best ask")
    return rows


def _line(rows: pd.DataFrame, column: str, name: str, unit: float | None, **look: Any) -> Any:
    steps, values = rows["step"].to_numpy(np.int64), rows[column].to_numpy(float)
    kept = thin(steps, values)
    return library("plotly.graph_objects").Scatter(
        x=steps[kept], y=scaled(values[kept], unit), mode="lines", name=name, line=look
    )
