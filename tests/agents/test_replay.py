"""Recorded order flow that the strategy `replay` sends makes the market it was recorded in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import simlab
from simlab.agents.library.replay import halted_steps, replay_steps
from simlab.config import validate
from simlab.core.types import MessageKind, Side, TimeInForce
from simlab.errors import ConfigError, SimlabError, StrategyError
from simlab.importing import import_databento, read_messages, read_truth
from simlab.importing.table import Message, write_tables

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "es_mbo"
FILES = [DATA / f"esh4-glbx-mdp3-202312{day}.mbo.dbn.zst" for day in (24, 25)]
SECOND = 10**9
LIMIT, CANCEL, REPLACE = (int(kind) for kind in (MessageKind.LIMIT, MessageKind.CANCEL, MessageKind.REPLACE))
BUY, SELL, IOC = int(Side.BUY), int(Side.SELL), int(TimeInForce.IOC)


def _market(path: Path, steps: int, **parameters: int) -> dict[str, Any]:
    return {
        "steps": steps,
        "instruments": {"ES": {"initial_price": 100, "self_trade": "off"}},
        "populations": {
            "recorded": {
                "strategy": "replay",
                "options": {"path": str(path)},
                "parameters": parameters,
                "account": {
                    "borrowing": "free",
                    "short_selling": "free",
                    "reserve": False,
                    "max_open_orders": 1_000_000,
                },
            }
        },
    }


def _table(path: Path, rows: list[tuple[int, ...]], halts: Sequence[tuple[int, int | None]] = ()) -> Path:
    """Write rows of (time, event, kind, side, time in force, price, quantity, order id)."""
    messages = [Message(*row) for row in rows]
    write_tables(path, messages, [], [], source="made up", price_unit=1.0, epoch="0", halts=halts)
    return path


@pytest.fixture
def flow(tmp_path: Path) -> Path:
    """Order 7 is taken and shown again under its id, then moved and cancelled."""
    return _table(
        tmp_path / "flow.parquet",
        [
            (0, 0, LIMIT, SELL, 0, 101, 5, 7),
            (0, 0, LIMIT, BUY, 0, 99, 4, 8),
            (1 * SECOND, 1, LIMIT, BUY, IOC, 101, 5, 9),
            (1 * SECOND, 1, LIMIT, SELL, 0, 101, 3, 7),
            (1 * SECOND, 1, REPLACE, SELL, 0, 102, 2, 7),
            (3 * SECOND, 2, CANCEL, BUY, 0, 0, 0, 8),
            (4 * SECOND, 3, CANCEL, SELL, 0, 0, 0, 7),
        ],
    )


def _best(run: simlab.Run) -> list[tuple[float, float]]:
    quotes = run.quotes(columns=["best_bid", "best_ask"]).fillna(0)
    return [(bid, ask) for bid, ask in quotes.itertuples(index=False)]


def test_orders_keep_their_identity_when_an_id_is_used_again(flow: Path, tmp_path: Path) -> None:
    run = simlab.run(_market(flow, 6), out=tmp_path)
    assert _best(run) == [(99, 101), (99, 102), (99, 102), (0, 102), (0, 0), (0, 0)]
    [trade] = run.trades().itertuples()
    assert (trade.step, trade.price, trade.quantity) == (1, 101, 5)
    assert "rejected" not in set(run.messages()["event"])


def test_step_of_zero_is_one_event(flow: Path, tmp_path: Path) -> None:
    run = simlab.run(_market(flow, 4, step_ns=0), out=tmp_path)
    assert _best(run) == [(99, 101), (99, 102), (0, 102), (0, 0)]


@pytest.mark.parametrize("step_ns", [0, SECOND])
def test_what_comes_before_the_start_is_sent_at_once(flow: Path, tmp_path: Path, step_ns: int) -> None:
    run = simlab.run(_market(flow, 3, step_ns=step_ns, start_ns=3 * SECOND), out=tmp_path)
    assert _best(run) == [(0, 102), (0, 0), (0, 0)]


def test_more_than_one_agent_is_refused(flow: Path) -> None:
    config = _market(flow, 3)
    config["populations"]["recorded"]["count"] = 2
    with pytest.raises(StrategyError, match="set count to 1"):
        simlab.run(config, record=False)


def test_more_than_one_instrument_is_refused(flow: Path) -> None:
    config = _market(flow, 3)
    config["instruments"]["NQ"] = {"initial_price": 100}
    with pytest.raises(StrategyError, match=r"one instrument.*ES, NQ.*\[ES\]"):
        simlab.run(config, record=False)


def test_a_missing_table_is_found_before_the_run_with_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no message table .*es\.parquet.*simlab import databento FILE"):
        validate(_market(tmp_path / "es.parquet", 3))


def test_the_example_configuration_asks_for_the_table() -> None:
    config = Path(__file__).parents[2] / "configs" / "replay_es.yaml"
    absent = "populations.recorded.options.path=absent.parquet"
    with pytest.raises(SimlabError, match=r"absent\.parquet.*simlab import databento"):
        simlab.run(config, set=[absent], record=False)


def test_a_file_that_is_no_table_is_named(tmp_path: Path) -> None:
    path = tmp_path / "prices.parquet"
    pd.DataFrame({"close": [1.0]}).to_parquet(path)
    with pytest.raises(ConfigError, match=r"prices\.parquet is no message table \(it has no column time_ns"):
        validate(_market(path, 3))
    path.write_text("time,price")
    with pytest.raises(ConfigError, match=r"prices\.parquet is no message table"):
        validate(_market(path, 3))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "needs the option path"),
        ({"path": 3}, r"options\.path: 3: must be text"),
        ({"path": "x", "halts": "no"}, r"options\.halts: 'no': must be true or false"),
    ],
)
def test_options_of_the_wrong_kind_are_found_before_the_run(
    tmp_path: Path, options: dict[str, Any], words: str
) -> None:
    config = _market(tmp_path, 3)
    config["populations"]["recorded"]["options"] = options
    with pytest.raises(ConfigError, match=words):
        validate(config)


def test_a_table_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has no rows"):
        validate(_market(_table(tmp_path / "empty.parquet", []), 3))


def test_a_cancel_of_an_order_never_sent_is_named(tmp_path: Path) -> None:
    path = _table(tmp_path / "late.parquet", [(0, 0, CANCEL, BUY, 0, 0, 0, 12)])
    with pytest.raises(StrategyError, match="row 0 refers to order 12"):
        simlab.run(_market(path, 3), record=False)


SPREAD = [(0, 0, LIMIT, BUY, 0, -10, 1, 1), (1, 1, LIMIT, SELL, 0, 0, 1, 2), (2, 2, LIMIT, BUY, IOC, 0, 1, 3)]


def test_prices_outside_the_band_are_found_before_the_run(tmp_path: Path) -> None:
    config = _market(_table(tmp_path / "spread.parquet", SPREAD), 3)
    with pytest.raises(ConfigError, match=r"prices from -10 to 0, outside .*set it to \[-10, 2147483647\]"):
        validate(config)


def test_prices_of_zero_and_below_trade_where_the_band_allows_them(tmp_path: Path) -> None:
    config = _market(_table(tmp_path / "spread.parquet", SPREAD), 3, step_ns=0)
    config["instruments"]["ES"] |= {"initial_price": 1, "price_band": [-100, 100]}
    run = simlab.run(config, out=tmp_path)
    [trade] = run.trades().itertuples()
    assert (trade.price, trade.quantity) == (0, 1)
    assert run.quotes()["best_bid"].tolist() == [-10, -10, -10]
    assert "rejected" not in set(run.messages()["event"])


@pytest.mark.parametrize(("key", "value"), [("tick_size", 2), ("lot_size", 2)])
def test_a_grid_that_the_table_does_not_fit_is_found_before_the_run(flow: Path, key: str, value: int) -> None:
    config = _market(flow, 3)
    config["instruments"]["ES"][key] = value
    with pytest.raises(ConfigError, match=f"not a multiple of the instrument's {key} 2"):
        validate(config)


HALTED = [
    (0, 0, LIMIT, BUY, 0, 99, 1, 1),
    (2 * SECOND, 1, LIMIT, SELL, 0, 101, 1, 2),
    (4 * SECOND, 2, LIMIT, BUY, 0, 98, 1, 3),
    (6 * SECOND, 3, CANCEL, BUY, 0, 0, 0, 1),
]


def _with_noise(path: Path, halts: bool) -> dict[str, Any]:
    config = _market(path, 10)
    config["populations"]["recorded"]["options"]["halts"] = halts
    config["populations"]["noise"] = {
        "strategy": "noise",
        "count": 20,
        "parameters": {"cancel_share": 0, "limit_share": 1, "market_share": 0},
        "account": {"borrowing": "free", "short_selling": "free"},
    }
    return config


def _steps(run: simlab.Run, population: str) -> list[int]:
    messages = run.messages()
    mine = messages["account"].astype(str).str.startswith(population)
    assert "market_halted" not in set(messages[mine]["reason"])
    return messages[mine]["step"].tolist()


@pytest.mark.parametrize("halts", [True, False])
def test_a_halt_of_the_venue_halts_the_simulated_agents(tmp_path: Path, halts: bool) -> None:
    path = _table(tmp_path / "flow.parquet", HALTED, [(3 * SECOND, 6 * SECOND)])
    run = simlab.run(_with_noise(path, halts), out=tmp_path)
    assert set(_steps(run, "noise")) == set(range(10)) - ({3, 4, 5} if halts else set())
    assert _steps(run, "recorded") == [0, 2, 6 if halts else 4, 6]


def test_a_halt_without_an_end_lasts(tmp_path: Path) -> None:
    path = _table(tmp_path / "flow.parquet", HALTED, [(3 * SECOND, None)])
    run = simlab.run(_with_noise(path, True), out=tmp_path)
    assert set(_steps(run, "noise")) == {0, 1, 2}
    assert _steps(run, "recorded") == [0, 2]


def test_halts_of_one_event_a_step(tmp_path: Path) -> None:
    time_ns, event = (np.array(column) for column in list(zip(*HALTED, strict=True))[:2])
    halts = [(3 * SECOND, 5 * SECOND)]
    steps = replay_steps(time_ns, event, step_ns=0)
    assert halted_steps(time_ns, steps, halts, step_ns=0) == [(2, 3)]
    assert replay_steps(time_ns, event, step_ns=0, halts=halts).tolist() == [0, 1, 3, 3]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not DATA.is_dir():
        pytest.skip(f"recorded CME order flow is not at {DATA}")
    pytest.importorskip("databento_dbn")
    out = tmp_path_factory.mktemp("es") / "es.parquet"
    import_databento(FILES, out)
    return out


def _replayed_fills(run: simlab.Run, kind: np.ndarray, order_id: np.ndarray) -> pd.DataFrame:
    """Return the passive fills under the venue's ids: alone, the n-th new order has the n-th id."""
    trades = run.trades(columns=["step", "maker_order_id", "price", "quantity"])
    sent = order_id[kind == LIMIT]
    first = run.messages(columns=["order_id"])["order_id"].min()
    return trades.assign(order_id=sent[trades.pop("maker_order_id") - first])


def test_an_hour_of_e_mini_futures_replays_through_the_kernel(recorded: Path, tmp_path: Path) -> None:
    messages, event, _ = read_messages(recorded)
    events = np.unique(event)
    run = simlab.run(_market(recorded, len(events), step_ns=0), out=tmp_path)
    truth = read_truth(recorded).to_pandas()
    truth["step"] = np.searchsorted(events, truth["event_index"], side="right") - 1

    columns = ["step", "order_id", "price", "quantity"]
    expected = truth[truth["record"] == "fill"][columns].astype(np.int64).reset_index(drop=True)
    replayed = _replayed_fills(run, messages["kind"], messages["order_id"])[columns]
    assert len(expected) == 6229
    totals = [fills.groupby(columns[:3])["quantity"].sum() for fills in (expected, replayed)]
    pd.testing.assert_series_equal(*totals)

    quotes = truth[truth["record"] == "quote"].groupby("step")[["best_bid", "best_ask"]].last()
    best = run.quotes(columns=["step", "best_bid", "best_ask"]).set_index("step")
    assert len(quotes) == 46_097
    pd.testing.assert_frame_equal(best.loc[quotes.index].astype(float), quotes.astype(float))

    assert "rejected" not in set(run.messages(columns=["event"])["event"])
    lists = [list(zip(*fills.T.values.tolist(), strict=True)) for fills in (expected, replayed)]
    assert _events_in_order(*lists) == (2775, 2833)


def _events_in_order(expected: list[tuple[int, ...]], replayed: list[tuple[int, ...]]) -> tuple[int, int]:
    """Count the events whose fills come in the recorded order, and those with fills."""
    by_step: dict[int, tuple[list[tuple[int, ...]], list[tuple[int, ...]]]] = {}
    for which, fills in enumerate((expected, replayed)):
        for step, *fill in fills:
            by_step.setdefault(step, ([], []))[which].append(tuple(fill))
    return sum(one == other for one, other in by_step.values()), len(by_step)
