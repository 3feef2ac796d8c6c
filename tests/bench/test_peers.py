"""Peers do the same work on the same streams, else their speeds would not be compared."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simlab.bench.engine import bench_engine, compared, run
from simlab.bench.peers import PEERS, PlainBook, make_peer, missing_peers
from simlab.bench.streams import common_stream, wide_stream
from simlab.errors import SimlabError

INSTALLED = [
    pytest.param(peer, marks=pytest.mark.skipif(find_spec(peer) is None, reason=f"{peer} is not installed"))
    for peer in PEERS
]


@pytest.mark.parametrize("peer", INSTALLED)
@pytest.mark.parametrize("make", [common_stream, wide_stream])
def test_a_peer_does_what_the_reference_does(peer: str, make: Any) -> None:
    stream = make(10_000, seed=5)
    theirs, ours = bench_engine(stream, peer, "single"), bench_engine(stream, "reference", "batch")
    assert theirs["trades"] > 50
    assert compared([ours, theirs])[1]["relative_speed"] == theirs["messages_per_s"] / ours["messages_per_s"]


def test_the_plain_book_keeps_price_and_time() -> None:
    book = PlainBook()
    orders = [(0, 1, 101, 5, 1), (0, 1, 100, 5, 2), (0, 1, 100, 5, 3), (0, 1, 102, 5, 4)]
    cancel, crossing, market = (2, -1, 0, 0, 4), (0, 0, 101, 12, 5), (1, 1, 0, 9, 6)
    assert book.run([*orders, cancel, crossing]) > 0.0
    assert book.fills == [(100, 5, 2, 5), (100, 5, 3, 5), (101, 2, 1, 5)]
    assert (book.totals()["resting_orders"], book.totals()["best_ask"]) == (1, 101)
    book.run([(0, 0, 99, 4, 7), market, (2, -1, 0, 0, 7)])
    assert book.fills[3:] == [(99, 4, 7, 6)], "what is left of a market order is dropped"
    assert book.totals()["best_bid"] is None


def test_books_that_did_not_do_the_same_are_not_compared() -> None:
    stream = common_stream(1_000, seed=2)
    honest = bench_engine(stream, "sortedcontainers", "single")
    lazy = bench_engine(stream[:990], "sortedcontainers", "single")
    with pytest.raises(SimlabError, match=r"sortedcontainers did not do what .* did: .*\d+ and not \d+"):
        compared([honest, lazy])


def test_run_puts_the_peers_beside_the_engines(tmp_path: Path) -> None:
    path = tmp_path / "stream.npy"
    np.save(path, common_stream(3_000, seed=5))
    results = run(path, ["reference"], "batch", peers=True)
    there = [peer for peer in PEERS if peer not in missing_peers()]
    assert [(it["engine"], it["entry"]) for it in results] == [
        ("reference", "batch"),
        *((peer, "single") for peer in there),
    ]
    assert results[0]["relative_speed"] == 1.0
    assert "sortedcontainers" in there


def test_a_peer_has_no_batch_entry() -> None:
    with pytest.raises(SimlabError, match="entry 'batch' is unknown; use one of: single"):
        bench_engine(common_stream(10, seed=1), "sortedcontainers", "batch")


@pytest.mark.skipif(find_spec("bourse") is None, reason="bourse is not installed")
def test_bourse_says_which_prices_it_does_not_take() -> None:
    with pytest.raises(SimlabError, match=r"bourse takes prices from 1 .* has -5"):
        make_peer("bourse").run([(0, 0, -5, 1, 1)])
