"""Clients that cut, merge, flood, go silent and vanish: they get their answers, and nobody else notices."""

from __future__ import annotations

import json
import resource
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest
from engine_process import MARKET, Engine, Line, engine_of

QUEUE, LISTENER_BYTES = 64, 10_000
ROUGH: dict[str, Any] = MARKET | {
    "live": {
        "engine": {"port": 0, "queue": QUEUE},
        "seats": {"count": 50},
        "limits": {"listener_bytes": LISTENER_BYTES, "connections": 1_100},
    }
}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with engine_of(tmp_path_factory.mktemp("rough"), ROUGH) as started:
        yield started


def _add(n: int | None) -> dict[str, Any]:
    return {"action": "add", "order": {"id": n, "side": 0, "price": 9_000, "qty": 1}}


def _bytes(*requests: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(it).encode() + b"\n" for it in requests)


def test_a_command_in_many_segments_and_many_in_one(line: Line) -> None:
    line.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in _bytes({"action": "ping"}):
        line.socket.sendall(bytes([byte]))
    assert line.answer()["status"] == "success"
    line.socket.sendall(_bytes(_add(1), _add(2))[:-20])
    assert line.answer()["id"] == 1
    line.socket.sendall(_bytes(_add(1), _add(2))[-20:])
    assert line.answer()["id"] == 2
    assert line.ask("cancel_all")["cancelled"] == 2


def test_answers_keep_the_order_of_requests_whatever_they_are(line: Line) -> None:
    line.socket.sendall(
        b'{"action":"ping"}\n[1]\n\nnonsense\r\n{"action":"sing"}\n'
        + _bytes(_add(7), {"action": "cancel", "id": 7}, {"action": "snapshot"}, {"action": "cancel"})
        + b'{"action":"add","order":{"id":8,"price":1,"qty":1,"side":"X Z"}}\n{"action":"ping"}\n'
    )
    answers = [line.answer() for _ in range(10)]
    codes = [it.get("code") for it in answers]
    assert codes == [None, "BAD_REQUEST", "BAD_JSON", "UNKNOWN_ACTION", None, None, None, "BAD_REQUEST",
                     "BAD_REQUEST", None]  # fmt: skip
    assert answers[5]["cancelled"] == 1
    assert (answers[8]["id"], answers[8]["field"]) == (8, "order.side")


def test_who_stops_sending_still_gets_every_answer(engine: Engine) -> None:
    with engine.line() as line:
        line.send(*(_add(n) for n in range(30)), {"action": "cancel_all"})
        line.socket.shutdown(socket.SHUT_WR)
        answers = [line.answer() for _ in range(31)]
        assert answers[-1]["cancelled"] == 30
        assert line.file.read() == b""


def test_who_stops_sending_in_the_midst_of_a_line_is_gone(engine: Engine) -> None:
    with engine.line() as line:
        line.socket.sendall(b'{"action":"pi')
        line.socket.shutdown(socket.SHUT_WR)
        assert line.file.read() == b""


def test_a_reset_harms_nobody(engine: Engine, line: Line) -> None:
    token = line.ask("register", agent_id="reset")["session_token"]
    with engine.line() as other:
        other.ask("register", agent_id="reset", session_token=token)
        other.add(0, 9_000, 3, id="kept")
        other.send(*(_add(n) for n in range(20)))
        other.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        other.close()
    assert line.ask("ping")["status"] == "success"
    assert "kept" in [it["id"] for it in line.ask("orders", agent_id="reset")["orders"]]


def test_ten_megabytes_without_an_end_are_an_error_and_no_end(engine: Engine, line: Line) -> None:
    with engine.line() as other:
        other.socket.sendall(b'{"action":"' + b"x" * 10_000_000)
        assert line.ask("ping")["status"] == "success"
        assert other.answer()["code"] == "LIMIT"
        other.socket.sendall(b'"}\n' + _bytes({"action": "ping"}))
        assert other.answer()["status"] == "success"
    rss = psutil.Process(engine.pid).memory_info().rss
    assert rss < 700 << 20


def test_what_the_queue_has_no_room_for_is_refused_at_once_and_counted(line: Line) -> None:
    before = line.ask("metrics")["queue_full_count"]
    line.send(*(_add(n) for n in range(2_000)))
    answers = [line.answer() for _ in range(2_000)]
    assert [it["id"] for it in answers] == list(range(2_000))
    full = [it for it in answers if it.get("code") == "QUEUE_FULL"]
    entered = [it for it in answers if it["status"] == "success"]
    assert full
    assert len(entered) >= QUEUE
    assert len(full) + len(entered) == 2_000
    assert line.ask("metrics")["queue_full_count"] == before + len(full)
    assert line.ask("cancel_all")["cancelled"] == len(entered)


def test_a_listener_that_does_not_read_is_dropped_at_a_bound(engine: Engine, line: Line) -> None:
    before, dropped = psutil.Process(engine.pid).memory_info().rss, line.ask("metrics")["dropped"]
    with engine.line() as deaf:
        deaf.ask("subscribe", channels=["orders"])
        rounds = 0
        while line.ask("metrics")["dropped"] == dropped:
            line.send(*[_add(None)] * QUEUE, {"action": "cancel_all"})
            for _ in range(QUEUE + 1):
                line.answer()
            rounds += 1
            assert rounds < 5_000
    assert psutil.Process(engine.pid).memory_info().rss - before < 100 << 20


def _ask_for_ever(line: Line, requests: list[dict[str, Any]]) -> None:
    while True:
        line.send(*requests)


def test_who_does_not_read_answers_is_not_read_either(engine: Engine, line: Line) -> None:
    before = psutil.Process(engine.pid).memory_info().rss
    with engine.line() as deaf:
        deaf.socket.settimeout(1.0)
        looks = [{"action": "list_instruments"}] * 500
        with pytest.raises(TimeoutError):
            _ask_for_ever(deaf, looks)
        assert line.ask("ping")["status"] == "success"
        assert psutil.Process(engine.pid).memory_info().rss - before < 100 << 20


def test_many_looks_at_once_are_answered_in_their_order(line: Line) -> None:
    line.send(*({"action": "trades", "symbol_id": 1 + n % 2} for n in range(500)))
    line.socket.shutdown(socket.SHUT_WR)
    assert [line.answer()["status"] for _ in range(500)] == ["success", "error"] * 250
    assert line.file.read() == b""


def test_a_thousand_connections_at_once(engine: Engine) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 3_000
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"a process may open {hard} files only")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    try:
        with ExitStack() as stack:
            lines = [stack.enter_context(engine.line()) for _ in range(1_000)]
            for line in lines:
                line.send({"action": "ping"})
            assert all(line.answer()["status"] == "success" for line in lines)
            assert lines[0].ask("metrics")["connections"] >= 1_000
            more = [stack.enter_context(engine.line()) for _ in range(200)]
            told = [json.loads(line.file.readline() or b"{}") for line in more[-50:]]
            assert {it["code"] for it in told} == {"LIMIT"}
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_beyond_loopback_a_token_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARKET_TOKEN", "s3cret")
    live = MARKET["live"] | {
        "engine": {"host": "0.0.0.0", "port": 0},
        "gateway": {"token_env": "MARKET_TOKEN"},
    }
    with engine_of(tmp_path, MARKET | {"live": live}) as engine:
        line = Line(f"127.0.0.1:{engine.address.rsplit(':', 1)[1]}")
        assert line.ask("ping")["code"] == "BAD_TOKEN"
        assert line.ask("hello", token="guess")["code"] == "BAD_TOKEN"
        assert line.ask("hello", token="s3cret")["status"] == "success"
        assert line.ask("ping")["status"] == "success"
        line.close()
    assert b"s3cret" not in b"".join(it.read_bytes() for it in engine.run_dir.rglob("*") if it.is_file())
