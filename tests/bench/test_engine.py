"""The engine benchmark measures real work on known streams, and says what is wrong with a bad one."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simlab.bench.engine import bench_engine, run
from simlab.bench.streams import check_stream, common_stream, load_stream, to_messages, wide_stream
from simlab.core.types import EventKind, MessageKind, Side
from simlab.engine.reference import ReferenceOrderBook
from simlab.errors import SimlabError

KEYS = [
    "engine",
    "entry",
    "messages",
    "trades",
    "volume",
    "notional",
    "resting_orders",
    "best_bid",
    "best_ask",
    "seconds",
    "messages_per_s",
    "peak_rss_mb",
]
TOTALS = ("trades", "volume", "notional", "resting_orders", "best_bid", "best_ask")
# Totals that independent matching engines agree on.
SEED_1_SHORT = (48710, 1487074, 14894378460, 8428, 9998, 10026)
SEED_1 = (480346, 14719715, 147020957413, 104287, 9989, 9991)
SEED_2 = (475252, 14619290, 146098070327, 106297, 9985, 9990)


def totals(result: dict[str, Any]) -> tuple[int, ...]:
    return tuple(result[key] for key in TOTALS)


def test_the_common_stream_is_the_agreed_one_to_the_byte() -> None:
    stream = common_stream(20_000, seed=3)
    assert (stream.shape, stream.dtype) == ((20_000, 5), np.int64)
    digest = hashlib.sha256(stream.astype("<i8").tobytes()).hexdigest()
    assert digest == "1f1eaa3e23329e830cf6e9cbfcf52672c2c291a89f34be22bfd90e1835ab688c"


@pytest.mark.parametrize("engine", ["compiled", "reference"])
def test_both_engines_reach_the_known_totals(engine: str) -> None:
    result = bench_engine(common_stream(100_000, seed=1), engine, "batch")
    assert totals(result) == SEED_1_SHORT
    assert list(result) == KEYS
    assert result["messages_per_s"] == pytest.approx(100_000 / result["seconds"])


@pytest.mark.parametrize(("seed", "expected"), [(1, SEED_1), (2, SEED_2)])
def test_the_compiled_engine_reaches_the_known_totals_of_a_million_messages(
    seed: int, expected: tuple[int, ...]
) -> None:
    assert totals(bench_engine(common_stream(1_000_000, seed), "compiled", "batch")) == expected


def test_single_calls_do_the_same_work_as_batches() -> None:
    stream = wide_stream(8_000, seed=1)
    results = [bench_engine(stream, engine, "single") for engine in ("compiled", "reference")]
    results.append(bench_engine(stream, "reference", "batch"))
    assert len({totals(result) for result in results}) == 1
    assert [result["entry"] for result in results] == ["single", "single", "batch"]


def test_the_wide_stream_is_wide_and_deep_and_trades_little() -> None:
    book = ReferenceOrderBook()
    stream = wide_stream(30_000, seed=1)
    events = book.process(to_messages(stream))
    assert min(len(book.snapshot(side)) for side in Side) > 4_000
    assert 0 < (events["kind"] == EventKind.FILL).sum() < 0.05 * len(stream)
    cancelled = events[events["kind"] == EventKind.CANCELLED]
    assert np.median(np.abs(cancelled["price"] - 1_000_000)) > 10_000
    assert np.array_equal(stream, wide_stream(30_000, seed=1))
    assert not np.array_equal(stream, wide_stream(30_000, seed=2))


def test_messages_say_what_the_stream_says() -> None:
    stream = np.array([[0, 1, 7, 3, 1], [1, 0, 0, 2, 2], [2, -1, 0, 0, 1]])
    messages = to_messages(stream)
    assert messages["kind"].tolist() == [MessageKind.LIMIT, MessageKind.MARKET, MessageKind.CANCEL]
    assert messages["side"].tolist() == [1, 0, 0]
    assert messages[["price", "quantity", "order_id"]].tolist() == [(7, 3, 1), (0, 2, 2), (0, 0, 1)]


@pytest.fixture
def stream_path(tmp_path: Path) -> Path:
    path = tmp_path / "stream.npy"
    np.save(path, common_stream(3_000, seed=5))
    return path


@pytest.mark.slow
def test_run_measures_each_engine_in_a_process_of_its_own(stream_path: Path) -> None:
    ballast = np.ones(600 * 2**20, np.int8)
    results = run(stream_path, ["compiled", "reference"], "batch")
    assert [result["engine"] for result in results] == ["compiled", "reference"]
    assert totals(results[0]) == totals(results[1])
    for result in results:
        assert list(result) == [*KEYS, "relative_speed"]
        assert 20 < result["peak_rss_mb"] < len(ballast) / 2**20, "not this process's memory"


def test_run_measures_the_two_built_in_streams() -> None:
    results = run(None, ["compiled"], "batch")
    assert [(result["stream"], result["messages"]) for result in results] == [
        ("common", 200_000),
        ("wide", 200_000),
    ]
    assert results[0]["trades"] > 10 * results[1]["trades"] > 0


def test_a_failing_measurement_is_an_error_that_says_why(stream_path: Path) -> None:
    command = [sys.executable, "-m", "simlab.bench.engine", "--stream", str(stream_path)]
    command += ["--engine", "compiled", "--entry", "bulk"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "error: entry 'bulk' is unknown; use one of: batch, single" in done.stderr


def test_unknown_names_are_errors_with_the_nearest_known_one(stream_path: Path) -> None:
    with pytest.raises(SimlabError, match=r"engine 'compild' is unknown.*did you mean 'compiled'"):
        run(stream_path, ["reference", "compild"], "batch")
    with pytest.raises(SimlabError, match=r"entry 'singel' is unknown.*did you mean 'single'"):
        bench_engine(common_stream(10, seed=1), "reference", "singel")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda stream: stream[:, :4], r"has shape \(10, 4\)"),
        (lambda stream: stream[:0], r"has shape \(0, 5\)"),
        (lambda stream: stream.ravel(), r"has shape \(50,\)"),
        (lambda stream: stream.astype(np.int32), "has dtype int32"),
        (lambda stream: with_value(stream, 4, 0, 3), "kind 3 in row 4 is not allowed"),
        (lambda stream: with_value(stream, 0, 0, -1), "kind -1 in row 0"),
        (lambda stream: with_value(stream, 2, 1, -1), "side -1 in row 2"),
        (lambda stream: with_value(stream, 9, 3, 0), "quantity 0 in row 9"),
        (lambda stream: with_value(stream, 9, 3, 2**31), "quantity 2147483648 in row 9"),
        (lambda stream: with_value(stream, 1, 4, 0), "order_id 0 in row 1"),
    ],
)
def test_a_bad_stream_is_refused_by_name(change: Any, complaint: str, tmp_path: Path) -> None:
    orders = np.column_stack([np.zeros(10), np.zeros(10), np.full(10, 99), np.ones(10), np.arange(1, 11)])
    stream = orders.astype(np.int64)
    check_stream(stream)
    path = tmp_path / "bad.npy"
    np.save(path, change(stream))
    with pytest.raises(SimlabError, match=f"bad.npy.* {complaint}"):
        run(path, ["reference"], "batch")


def with_value(stream: np.ndarray, row: int, column: int, value: int) -> np.ndarray:
    changed = stream.copy()
    changed[row, column] = value
    return changed


def test_a_file_that_holds_no_array_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SimlabError, match=r"cannot read the stream .*missing\.npy"):
        load_stream(tmp_path / "missing.npy")
    text = tmp_path / "text.npy"
    text.write_text("not an array")
    with pytest.raises(SimlabError, match=r"cannot read the stream .*text\.npy"):
        load_stream(text)
    several = tmp_path / "several.npz"
    np.savez(several, one=np.zeros(3))
    with pytest.raises(SimlabError, match="holds several arrays"):
        load_stream(several)


def test_the_module_imports_without_numba() -> None:
    check = "import sys, simlab.bench.engine; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
