"""What a cassette keeps, finds, shows of what it lacks, and survives."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from endpoints import asked, endpoint, replaying, request, settings

from simlab.agents.llm.cassette import Cassette
from simlab.agents.llm.exchange import Answer, Request
from simlab.agents.llm.session import Session
from simlab.errors import LlmError

HERE = str(Path(__file__).parent)
CHANGING = (slice(24, 28), slice(92, 96))
"""Bytes of a file of SQLite that count its changes."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with endpoint() as base_url:
        yield base_url


def keeping(tape: Path, mode: str = "record") -> dict[str, Any]:
    return {"cassette": {"mode": mode, "path": str(tape)}}


def kept(tape: Path, *requests: Request, mode: str = "record", text: str = "an answer") -> None:
    cassette = Cassette(tape, mode)
    for it in requests:
        cassette.keep(it, it.text({"model": "fake"}), Answer(text=text, ms=12.5, calls=2))
    cassette.close()


def test_the_order_of_arrival_does_not_matter(tmp_path: Path) -> None:
    alike = [request("hold", f"p/{i}", f"{step}/0", "jitter") for i in range(8) for step in range(2)]
    with endpoint(delay_ms=3) as base_url:
        recorded = asked(settings(base_url, concurrency=4, **keeping(tmp_path / "tape.sqlite")), *alike)
    replayed = asked(replaying(tmp_path / "tape.sqlite"), *reversed(alike))
    assert [replace(it, cached=0) for it in reversed(replayed)] == recorded


def test_a_cassette_is_one_file_and_asks_only_for_what_it_lacks(address: str, tmp_path: Path) -> None:
    tape = tmp_path / "folder" / "tape.sqlite"
    given = settings(address, **keeping(tape, "auto"))
    first = asked(given, request("hold"))
    second = asked(given, request("hold"), request("hold", "p/1"))
    assert [it.cached for it in (*first, *second)] == [0, 1, 0]
    assert [it.name for it in tape.parent.iterdir()] == ["tape.sqlite"]
    written = tape.read_bytes()
    asked(replaying(tape), request("hold", "p/1"))
    asked(given, request("hold"))
    assert tape.read_bytes() == written


def test_recording_anew_replaces_its_own_entries_and_leaves_others(tmp_path: Path) -> None:
    tape, one, other = tmp_path / "tape.sqlite", request("hold"), request("hold", "p/1")
    kept(tape, one, other, text="old")
    kept(tape, one, text="new")
    cassette = Cassette(tape, "replay")
    assert len(cassette) == 2
    found = [cassette.find(it, it.text({"model": "fake"})) for it in (one, other)]
    cassette.close()
    assert [it.text for it in found if it is not None] == ["new", "old"]


def test_the_same_entries_make_the_same_small_file(tmp_path: Path) -> None:
    requests = [request("hold", f"p/{i}", text="market " * 500) for i in range(40)]
    kept(tmp_path / "one.sqlite", *requests)
    kept(tmp_path / "other.sqlite", *reversed(requests))
    one, other = (bytearray((tmp_path / f"{it}.sqlite").read_bytes()) for it in ("one", "other"))
    for content in (one, other):
        for place in CHANGING:
            content[place] = b"\0\0\0\0"
    assert one == other
    assert len(one) < 40 * 700


def test_a_miss_shows_the_nearest_request_and_where_it_differs(address: str, tmp_path: Path) -> None:
    tape = tmp_path / "tape.sqlite"
    told = [request("hold", f"p/{i}", text=f"price {100 + i}") for i in range(3)]
    asked(settings(address, **keeping(tape)), *told)
    with pytest.raises(
        LlmError, match=r"no answer for p/1, step 3, call 0; .*\(p/1, step 3, call 0\) differs"
    ) as error:
        asked(replaying(tape), request("hold", "p/1", text="price 777"))
    assert "-user: price 101" in str(error.value)
    assert "+user: price 777" in str(error.value)
    with pytest.raises(LlmError, match="the same, on another occasion"):
        asked(replaying(tape), request("hold", "p/1", "9/0", text="price 101"))
    with pytest.raises(LlmError, match=r"-temperature|\+temperature"):
        asked(replaying(tape) | {"temperature": 0.5}, told[0])


def test_a_difference_is_shown_wherever_it_is(tmp_path: Path) -> None:
    tape, asking = tmp_path / "tape.sqlite", request("hold", text="A sentence like any other. " * 30 + "Buy?")
    kept(tape, asking)
    now = {
        '+   "maxLength": 200': {"schema": {"properties": {"reason": {"maxLength": 200, "type": "string"}}}},
        "+user: Sell?": {
            "messages": [{"role": "user", "content": asking.messages[0]["content"].replace("Buy", "Sell")}]
        },
        '+ "tool_call_id": "b"': {"messages": [asking.messages[0] | {"tool_call_id": "b"}]},
    }
    cassette = Cassette(tape, "replay")
    for shown, change in now.items():
        changed = replace(asking, **change)
        with pytest.raises(LlmError) as error:
            cassette.find(changed, changed.text({"model": "fake"}))
        assert shown in str(error.value)
        assert len(str(error.value).splitlines()) < 20


def test_of_several_on_one_occasion_the_nearest_is_shown(tmp_path: Path) -> None:
    tape = tmp_path / "tape.sqlite"
    kept(tape, *(request("hold", text=text) for text in ("something else", "the price is 100", "nothing")))
    cassette, now = Cassette(tape, "replay"), request("hold", text="the price is 101")
    with pytest.raises(LlmError, match="-user: the price is 100"):
        cassette.find(now, now.text({"model": "fake"}))


def test_an_empty_cassette_says_so(tmp_path: Path) -> None:
    kept(tmp_path / "tape.sqlite")
    with pytest.raises(LlmError, match=r"is empty; record it with llm\.cassette\.mode: record"):
        asked(replaying(tmp_path / "tape.sqlite"), request("hold"))


def _foreign(tape: Path) -> None:
    with sqlite3.connect(tape) as db:
        db.execute("CREATE TABLE trades (price)")


def _newer(tape: Path) -> None:
    with sqlite3.connect(tape) as db:
        db.execute("PRAGMA user_version = 99")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda tape: tape.write_bytes(b"no database at all, but long enough" * 40), "opened.*another path"),
        (lambda tape: tape.mkdir(), "cannot be opened"),
        (_foreign, "is a database, but no cassette"),
        (_newer, r"newer simlab \(layout 99, this one reads up to 1\); update"),
    ],
)
@pytest.mark.parametrize("mode", ["replay", "auto", "record"])
def test_a_file_that_is_no_cassette_is_refused_and_left_alone(
    tmp_path: Path, make: Any, message: str, mode: str
) -> None:
    tape = tmp_path / "tape.sqlite"
    make(tape)
    before = tape.read_bytes() if tape.is_file() else None
    with pytest.raises(LlmError, match=message if tape.is_file() or mode != "replay" else "no cassette"):
        Session({"model": "m"} | keeping(tape, mode))
    assert before is None or tape.read_bytes() == before


def test_a_cassette_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(
        LlmError, match=r"there is no cassette .*; record it with llm\.cassette\.mode: record"
    ):
        Session(replaying(tmp_path / "tape.sqlite"))
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LlmError, match="cannot be opened"):
        Session({"model": "m"} | keeping(tmp_path / "file" / "tape.sqlite"))


@pytest.mark.parametrize(
    "answer", [b"not compressed", zlib.compress(b"no JSON"), zlib.compress(b'{"calls": 1}')]
)
def test_a_broken_entry_is_told(tmp_path: Path, answer: bytes) -> None:
    tape, asking = tmp_path / "tape.sqlite", request("hold")
    kept(tape, asking)
    with sqlite3.connect(tape) as db:
        db.execute("UPDATE exchanges SET answer = ?", (answer,))
    cassette = Cassette(tape, "replay")
    with pytest.raises(LlmError, match=r"tape\.sqlite cannot be used: .*record it anew"):
        cassette.find(asking, asking.text({"model": "fake"}))


def test_what_was_kept_survives_a_kill(address: str, tmp_path: Path) -> None:
    tape = tmp_path / "tape.sqlite"
    code = (
        "import asyncio, os, sys\n"
        "sys.path.insert(0, sys.argv[3])\n"
        "from endpoints import Session, request, settings\n"
        "async def go():\n"
        "    session = Session(settings(sys.argv[1], cassette={'mode': 'record', 'path': sys.argv[2]}))\n"
        "    await session.ask(request('hold'))\n"
        "    os.kill(os.getpid(), 9)\n"
        "asyncio.run(go())\n"
    )
    command = [sys.executable, "-c", code, address, str(tape), HERE]
    assert subprocess.run(command, check=False, timeout=120).returncode == -9
    [answer] = asked(replaying(tape), request("hold"))
    assert answer.cached == 1


def test_several_processes_keep_in_one_file(tmp_path: Path) -> None:
    tape = tmp_path / "tape.sqlite"
    code = (
        "import sys\n"
        "sys.path.insert(0, sys.argv[2])\n"
        "from test_llm_cassette import *\n"
        "kept(Path(sys.argv[1]), *(request('hold', f'{sys.argv[3]}/{i}') for i in range(50)), mode='auto')\n"
    )
    several = [subprocess.Popen([sys.executable, "-c", code, str(tape), HERE, name]) for name in "ab"]
    reader = None
    try:
        assert [it.wait(timeout=120) for it in several] == [0, 0]
        reader = Cassette(tape, "replay")
        assert len(reader) == 100
        writer = Cassette(tape, "auto")  # while another reads
        more = request("hold", "c/0")
        writer.keep(more, more.text({"model": "fake"}), Answer(text="late"))
        found = reader.find(more, more.text({"model": "fake"}))
        assert found is not None
        writer.close()
    finally:
        if reader is not None:
            reader.close()
    Cassette(tape, "auto").close()  # a reader leaves things as they are; who may write tidies up
    assert [it.name for it in tmp_path.iterdir()] == ["tape.sqlite"]


def test_what_is_kept_can_be_read_by_other_programs(address: str, tmp_path: Path) -> None:
    tape = tmp_path / "tape.sqlite"
    asked(settings(address, **keeping(tape)), request("busy"))
    with sqlite3.connect(tape) as db:
        [(asker, occasion, asking, answer)] = db.execute(
            "SELECT asker, occasion, request, answer FROM exchanges"
        )
    assert (asker, occasion) == ("p/0", "3/0")
    assert json.loads(zlib.decompress(asking))["model"] == "fake"
    [attempt] = json.loads(zlib.decompress(answer))["attempts"]
    assert (attempt["kind"], attempt["status"]) == ("rate limited", 429)
