"""Figures: no peak is thinned away, colours are fixed by name, units and names come out right."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st

import simlab
from simlab.analysis import figures
from simlab.analysis.figures import styles
from simlab.analysis.figures.thinning import POINTS, RangeMeans, thin, thin_frames
from simlab.analysis.tables import EXCHANGE
from simlab.errors import AnalysisError


def _quotes(steps: int, instrument: object = 0) -> pd.DataFrame:
    walk = 10_000 + np.cumsum(np.random.default_rng(1).integers(-1, 2, steps))
    return pd.DataFrame(
        {
            "step": np.arange(steps),
            "instrument": instrument,
            "best_bid": walk - 1.0,
            "best_ask": walk + 1.0,
            "bid_depth": 5.0,
            "ask_depth": 7.0,
            "fundamental": walk.astype(float),
        }
    )


@given(
    values=st.lists(st.floats(-1e6, 1e6) | st.just(np.nan), min_size=1, max_size=300),
    points=st.integers(2, 40),
)
def test_thinning_keeps_the_extremes_in_order(values: list[float], points: int) -> None:
    series = np.array(values)
    kept = thin(np.arange(len(series)), series, points)
    assert len(kept) <= points
    assert (np.diff(kept) > 0).all()
    known = series[np.isfinite(series)]
    assert set(series[kept]) <= set(known)
    if len(known):
        assert {known.min(), known.max()} <= set(series[kept])


def test_thinning_a_table_in_batches_keeps_every_peak() -> None:
    quotes = _quotes(10_000)
    quotes.loc[7_777, "best_bid"] = 20_000.0
    batches = [quotes.iloc[start : start + 999] for start in range(0, len(quotes), 999)]
    rows = thin_frames(iter(batches), ["best_bid", "best_ask"], 50, "quotes")
    assert len(rows) < 1_300
    assert rows["best_bid"].max() == 20_000
    assert rows["step"].is_monotonic_increasing
    assert rows["step"].iloc[-1] == 9_999
    assert rows["best_ask"].min() == quotes["best_ask"].min()


def test_means_over_ranges_do_not_depend_on_the_batches() -> None:
    values = np.random.default_rng(2).normal(size=1_000)
    whole, parts = RangeMeans(1_000, 7), RangeMeans(1_000, 7)
    whole.add(np.arange(1_000), it=values)
    for start in range(0, 1_000, 130):
        parts.add(np.arange(1_000)[start : start + 130], it=values[start : start + 130])
    pd.testing.assert_frame_equal(whole.frame(), parts.frame())
    assert whole.frame()["it"].iloc[0] == pytest.approx(values[: whole.width].mean())


def test_a_population_has_one_style_whatever_is_drawn_beside_it() -> None:
    names = ["value", "noise", EXCHANGE, "makers"]
    assert styles(names) == styles(reversed(names))
    assert styles([*names, EXCHANGE])["value"] == styles(["value", "noise", "makers"])["value"]
    many = styles(f"p{place:03}" for place in range(42))
    assert len({(look.colour, look.dash) for look in many.values()}) == len(many)


def test_the_same_population_has_the_same_colour_in_every_figure(day: simlab.Run) -> None:
    names = day.agents()["population"].unique()
    over_time = {trace.name: trace.line.color for trace in figures.pnl(day.pnl(), styled=names).data}
    spread = {trace.name: trace.line.color for trace in figures.wealth(day.leaderboard(), styled=names).data}
    assert spread
    assert {name: over_time[name] for name in spread} == spread


def test_price_is_in_currency_and_names_its_unit() -> None:
    drawn = figures.price(_quotes(100), price_unit=0.01)
    mid = next(trace for trace in drawn.data if trace.name == "mid")
    assert mid.y[0] == pytest.approx(_quotes(100)["fundamental"][0] * 0.01)
    assert drawn.layout.yaxis.title.text == "price (currency)"
    assert "price units" in figures.price(_quotes(100)).layout.yaxis.title.text


def test_a_long_price_is_drawn_with_few_points_and_its_last_value() -> None:
    quotes = _quotes(50_000)
    quotes.loc[31_234, ["best_bid", "best_ask"]] = [99_000, 99_002]
    mid = next(trace for trace in figures.price(quotes).data if trace.name == "mid")
    assert len(mid.x) <= POINTS
    assert max(mid.y) == 99_001
    assert list(mid.x) == sorted(mid.x)


def test_news_points_the_way_of_its_sentiment_and_is_not_markup() -> None:
    news = pd.DataFrame(
        {"step": [3, 5], "headline": ["<b>up</b>", "down"], "sentiment": [1.0, -1.0], "impact": [5.0, -5.0]}
    )
    drawn = next(trace for trace in figures.price(_quotes(10), news).data if trace.name == "news")
    assert list(drawn.marker.symbol) == ["triangle-up", "triangle-down"]
    assert drawn.text[0].startswith("&lt;b&gt;up")


def test_the_book_map_shows_bids_below_and_asks_above_and_no_stray_level() -> None:
    depth = pd.DataFrame(
        [
            (step, side, level, price, 10)
            for step in range(100)
            for side, level, price in (
                ("bid", 0, 99),
                ("bid", 1, 98),
                ("ask", 0, 101),
                ("ask", 1, 5_000 if not step else 102),
            )
        ],
        columns=["step", "side", "level", "price", "depth"],
    )
    heat = figures.book_map(depth).data[0]
    rows = dict(zip(heat.y, heat.z[:, 50], strict=True))
    assert rows[99] < 0 < rows[101]
    assert rows[100] == 0
    assert max(heat.y) <= 103


def test_volume_is_split_by_who_took_liquidity(day: simlab.Run) -> None:
    bought, sold = figures.volume(day.whole("trades"), steps=6_000).data
    trades = day.trades()
    assert sum(bought.y) == trades.loc[trades["aggressor_side"] == "buy", "quantity"].sum()
    assert -sum(sold.y) == trades.loc[trades["aggressor_side"] == "sell", "quantity"].sum()


def test_bars_of_attribution_add_up_to_the_marked_total(day: simlab.Run) -> None:
    *parts, total = figures.attribution(day.attribution()).data
    np.testing.assert_allclose(np.sum([bar.x for bar in parts], axis=0), total.x)
    assert any(total.x)


def test_at_most_twelve_populations_are_drawn_and_they_are_the_largest() -> None:
    table = pd.DataFrame(
        {"step": 1, "population": [f"p{place:03}" for place in range(200)], "total": np.arange(200.0)}
    )
    drawn = [trace.name for trace in figures.pnl(table).data]
    assert drawn == [f"p{place}" for place in range(188, 200)]


def test_sources_add_up_to_the_marked_total_and_the_largest_are_drawn() -> None:
    table = pd.DataFrame({"population": [f"p{i}" for i in range(20)], "source": "llm"})
    table = table.assign(markout=2.0, gain=np.arange(20.0), fees=1.0, total=np.arange(20.0) - 1)
    drawn = figures.pnl_by_source(table, money_unit=0.5)
    *parts, total = drawn.data
    assert list(total.y) == [f"p{i}: llm" for i in range(19, 7, -1)]  # from the bottom
    np.testing.assert_allclose(np.sum([part.x for part in parts], axis=0), total.x)
    assert total.x[0] == 9.0
    without = figures.pnl_by_source(table.assign(markout=np.nan))
    np.testing.assert_allclose(np.sum([part.x for part in without.data[:-1]], axis=0), without.data[-1].x)


def test_rare_reasons_of_fallbacks_are_drawn_together() -> None:
    kinds = [f"llm reason {i}" for i in range(10) for _ in range(10 - i)]
    table = pd.DataFrame({"step": np.arange(len(kinds)), "why": kinds})
    drawn = figures.fallbacks(table, steps=1_000, bars=10)
    assert [trace.name for trace in drawn.data] == [*(f"llm reason {i}" for i in range(7)), "other"]
    assert sum(sum(trace.y) for trace in drawn.data) == len(kinds)
    assert len({trace.marker.color for trace in drawn.data[:7]}) == 7


def test_names_cannot_become_markup_in_a_legend() -> None:
    table = pd.DataFrame({"step": [0], "population": ["<a href='x'>"], "total": [1.0]})
    assert figures.pnl(table).data[0].name == "&lt;a href='x'&gt;"


def test_json_of_a_figure_cannot_end_its_script_element() -> None:
    drawn = go.Figure(layout={"meta": "</script><script>alert(1)</script>"})
    text = figures.to_json(drawn)
    assert "<" not in text
    assert json.loads(text)["layout"]["meta"] == "</script><script>alert(1)</script>"


@pytest.mark.parametrize(
    ("draw", "said"),
    [
        (lambda empty: figures.price(_quotes(3).assign(best_bid=np.nan, best_ask=np.nan)), "best bid"),
        (lambda empty: figures.volume(empty.assign(quantity=[], aggressor_side=[])), "nothing was traded"),
        (lambda empty: figures.book_map(empty.assign(side=[], level=[], price=[], depth=[])), "no depth"),
        (lambda empty: figures.spread_and_depth(_quotes(3).assign(best_bid=np.nan)), "no spread"),
        (lambda empty: figures.pnl(empty.assign(population=[], total=[])), "no rows"),
        (lambda empty: figures.pnl(pd.DataFrame({"step": [0], "population": ["a"]})), "'total'"),
    ],
)
def test_what_cannot_be_drawn_says_why(draw: object, said: str) -> None:
    with pytest.raises(AnalysisError, match=said):
        draw(pd.DataFrame({"step": []}))
