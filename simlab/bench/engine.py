"""Measure the matching engines on streams of messages: the work behind ``simlab bench engine``.

Each engine runs in a process of its own, so that its peak memory is its own::

    python -m simlab.bench.engine --stream FILE.npy --engine compiled --entry batch

The clock runs only while an engine matches: messages are prepared before, events are counted after.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from operator import mul
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simlab.bench.memory import peak_mb
from simlab.bench.peers import PEERS, make_peer, missing_peers
from simlab.bench.streams import check_stream, common_stream, load_stream, to_messages, wide_stream
from simlab.core.types import EventKind
from simlab.errors import SimlabError, did_you_mean

__all__ = ["ENGINES", "ENTRIES", "bench_engine", "run"]

ENGINES = ("compiled", "reference")
ENTRIES = ("batch", "single")

_CHUNK_MESSAGES = 100_000
_BUILT_IN_MESSAGES = 200_000
_BUILT_IN_SEED = 1
_TOTALS = ("trades", "volume", "notional", "resting_orders", "best_bid", "best_ask")
_APPLY_FIELDS = ["kind", "side", "price", "quantity", "order_id"]


def run(
    stream_path: Path | None, engines: list[str], entry: str, *, peers: bool = False
) -> list[dict[str, Any]]:
    """Measure engines on a stream, each in a process of its own.

    Parameters
    ----------
    stream_path : Path or None
        An ``.npy`` file as `simlab.bench.streams` describes it. None measures both built-in streams,
        200,000 messages each.
    engines : list of str
        Names from `ENGINES`.
    entry : str
        ``"batch"`` (arrays of messages) or ``"single"`` (one call of `apply` a message).
    peers : bool
        Whether to measure the books of `simlab.bench.peers` that are installed, too.

    Returns
    -------
    list of dict
        The keys of `bench_engine`, and `relative_speed` to the stream's first row; with built-in streams also
        `stream`, the stream's name.

    Raises
    ------
    SimlabError
        When a name is unknown, the file is not a stream, a measurement fails, or two books did not do the
        same: trades, volume, notional, resting orders and best prices are compared.

    Example
    -------
    >>> results = run(None, ["compiled"], "batch")  # doctest: +SKIP
    >>> [result["stream"] for result in results]  # doctest: +SKIP
    ['common', 'wide']
    """
    for engine in engines:
        _require_known("engine", engine, ENGINES)
    _require_known("entry", entry, ENTRIES)
    if stream_path is not None:
        load_stream(stream_path)
    books = [(engine, entry) for engine in engines]
    if peers:
        books += [(peer, "single") for peer in PEERS if peer not in missing_peers()]
    results = []
    with tempfile.TemporaryDirectory(prefix="simlab-bench-") as folder:
        small = _save(Path(folder), "small", common_stream(1000, seed=0))
        for engine in engines:
            # Compile in a process that is not measured: the compiler would count in the peak memory.
            _measure_in_child(small, engine, entry)
        if stream_path is not None:
            return _measure_all(stream_path, books)
        for name, make in (("common", common_stream), ("wide", wide_stream)):
            path = _save(Path(folder), name, make(_BUILT_IN_MESSAGES, _BUILT_IN_SEED))
            results += [{"stream": name} | result for result in _measure_all(path, books)]
    return results


def _measure_all(path: Path, books: list[tuple[str, str]]) -> list[dict[str, Any]]:
    """Measure books, (name, entry), on one stream, and compare them."""
    return compared([_measure_in_child(path, name, entry) for name, entry in books])


def compared(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the results of one stream with their speed relative to the first.

    Raises
    ------
    SimlabError
        When two books did not do the same, for then their speeds say nothing.
    """
    first = results[0]
    for result in results:
        differing = [key for key in _TOTALS if result[key] != first[key]]
        if differing:
            theirs = ", ".join(f"{key} {result[key]} and not {first[key]}" for key in differing)
            raise SimlabError(f"{result['engine']} did not do what {first['engine']} did: {theirs}")
    speed = first["messages_per_s"]
    return [result | {"relative_speed": result["messages_per_s"] / speed} for result in results]


def _save(folder: Path, name: str, stream: NDArray[np.int64]) -> Path:
    path = folder / f"{name}.npy"
    np.save(path, stream)
    return path


def bench_engine(stream: NDArray[np.int64], engine: str, entry: str) -> dict[str, Any]:
    """Measure one engine on one stream in this process.

    Parameters
    ----------
    stream : (n, 5) int64
        See `simlab.bench.streams`.
    engine : str
        A name from `ENGINES` or from `simlab.bench.peers.PEERS`.
    entry : str
        A name from `ENTRIES`; a peer has ``"single"`` only.

    Returns
    -------
    dict
        `engine`, `entry`, `messages`, `trades`, `volume` (lots), `notional` (price units times lots),
        `resting_orders`, `best_bid`, `best_ask` (price units or None), `seconds`, `messages_per_s` and
        `peak_rss_mb`, the peak memory of this whole process.

    Raises
    ------
    SimlabError
        When a name is unknown, the array is not a stream, or the engine did not do the work.

    Example
    -------
    >>> from simlab.bench.streams import common_stream
    >>> bench_engine(common_stream(1000, seed=1), "reference", "batch")["messages"]
    1000
    """
    _require_known("engine", engine, (*ENGINES, *PEERS))
    _require_known("entry", entry, ENTRIES if engine in ENGINES else ("single",))
    check_stream(stream)
    totals, seconds = _timed_peer(stream, engine) if engine in PEERS else _timed(stream, engine, entry)
    return {
        "engine": engine,
        "entry": entry,
        "messages": len(stream),
        **totals,
        "seconds": seconds,
        "messages_per_s": len(stream) / seconds,
        "peak_rss_mb": peak_mb(),
    }


def _timed(stream: NDArray[np.int64], engine: str, entry: str) -> tuple[dict[str, Any], float]:
    """Return what an engine did on a stream, and the seconds it took."""
    measure = _time_batches if entry == "batch" else _time_single_calls
    for make in (common_stream, wide_stream):  # compiles; the wide stream makes every array grow
        measure(make(2000, 0), _make_book(engine), _Totals())
    book, totals = _make_book(engine), _Totals()
    seconds = measure(stream, book, totals)
    if entry == "single":
        _count_again(stream, engine, book, totals)
    if totals.events < len(stream):
        raise SimlabError(f"the {engine} engine answered {len(stream)} messages with {totals.events} events")
    did = (totals.trades, totals.volume, totals.notional)
    left = (book.resting_orders(), book.best_bid(), book.best_ask())
    return dict(zip(_TOTALS, (*did, *left), strict=True)), seconds


def _timed_peer(stream: NDArray[np.int64], name: str) -> tuple[dict[str, Any], float]:
    """Return what a peer did on a stream, and the seconds it took."""
    peer, seconds = make_peer(name), 0.0
    for messages in _chunks(stream):
        seconds += peer.run(messages[_APPLY_FIELDS].tolist())
    return peer.totals(), seconds


class _Totals:
    """Sum events up: the proof that an engine did the work."""

    def __init__(self) -> None:
        self.events = self.trades = self.volume = self.notional = 0

    def add(self, events: NDArray[np.void]) -> None:
        """Count a batch of events, in Python integers because no int64 holds every notional."""
        fills = events[events["kind"] == EventKind.FILL]
        prices, quantities = fills["price"].tolist(), fills["quantity"].tolist()
        self.events += len(events)
        self.trades += len(fills)
        self.volume += sum(quantities)
        self.notional += sum(map(mul, prices, quantities))


def _time_batches(stream: NDArray[np.int64], book: Any, totals: _Totals) -> float:
    seconds = 0.0
    for messages in _chunks(stream):
        begin = time.perf_counter()
        events = book.process(messages)
        seconds += time.perf_counter() - begin
        totals.add(events)
    return seconds


def _time_single_calls(stream: NDArray[np.int64], book: Any, totals: _Totals) -> float:
    seconds = 0.0
    apply = book.apply
    for messages in _chunks(stream):
        calls = messages[_APPLY_FIELDS].tolist()
        begin = time.perf_counter()
        for kind, side, price, quantity, order_id in calls:
            apply(kind, side, price, quantity, order_id)
        seconds += time.perf_counter() - begin
    return seconds


def _count_again(stream: NDArray[np.int64], engine: str, book: Any, totals: _Totals) -> None:
    """Count the events of single calls off the clock, in a second book that must end in the same state.

    Counting them between the calls would cost more than the calls. The state's hash holds the number of
    events and every resting order.
    """
    again = _make_book(engine)
    _time_batches(stream, again, totals)
    if again.state_hash() != book.state_hash():
        raise SimlabError(f"the {engine} engine's single calls left another book than its batches")


def _chunks(stream: NDArray[np.int64]) -> Iterator[NDArray[np.void]]:
    """Make messages piece by piece, so that memory does not follow the length of the stream."""
    for start in range(0, len(stream), _CHUNK_MESSAGES):
        yield to_messages(stream[start : start + _CHUNK_MESSAGES])


def _make_book(engine: str) -> Any:
    # Imported on use: `simlab bench --help` should not wait for Numba.
    from simlab.engine.compiled import CompiledOrderBook
    from simlab.engine.reference import ReferenceOrderBook

    return CompiledOrderBook() if engine == "compiled" else ReferenceOrderBook()


def _measure_in_child(path: Path, engine: str, entry: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "simlab.bench.engine"]
    command += ["--stream", str(path), "--engine", engine, "--entry", entry]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SimlabError(
            f"measuring the {engine} engine ({entry}) on {path} failed with exit code {done.returncode}:\n"
            f"{done.stderr.strip()}"
        )
    return json.loads(done.stdout)


def _require_known(what: str, name: str, known: Sequence[str]) -> None:
    if name not in known:
        raise SimlabError(f"{what} {name!r} is unknown{did_you_mean(name, known, otherwise='use one of')}")


def _main() -> None:
    parser = argparse.ArgumentParser(description="Measure one engine and print one JSON object.")
    parser.add_argument("--stream", type=Path, required=True)
    parser.add_argument("--engine", required=True)
    parser.add_argument("--entry", required=True)
    arguments = parser.parse_args()
    try:
        result = bench_engine(load_stream(arguments.stream), arguments.engine, arguments.entry)
    except SimlabError as error:
        raise SystemExit(f"error: {error}") from error
    print(json.dumps(result))


if __name__ == "__main__":
    _main()
