"""A checkpoint holds all of a market and nothing that is not recorded; a damaged one is passed over."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import simlab
from simlab.config import build, load
from simlab.config.models import CheckpointConfig
from simlab.core.hashing import hash_text
from simlab.core.types import MessageKind
from simlab.errors import RecordingError, SimlabError
from simlab.kernel import Simulation
from simlab.kernel.conformance import messages
from simlab.market.instruments import Instrument
from simlab.recording import RunWriter
from simlab.runner import checkpoint as checkpoint_module
from simlab.runner.author import Author, Position
from simlab.runner.checkpoint import Checkpoints, take
from simlab.runner.keeping import Keeper

PEOPLE: dict[str, Any] = {
    "name": "people",
    "steps": 80,
    "instruments": {"ACME": {"initial_price": 1_000}},
    "populations": {
        "noise": {"strategy": "noise", "count": 20, "account": {"cash": 10**6, "inventory": 100}},
        "people": {"strategy": "outside", "count": 2, "account": {"short_selling": "free"}},
    },
}


def market_at(step: int) -> Simulation:
    market = Simulation(build(load(PEOPLE)))
    market.advance(step)
    return market


def test_a_market_goes_on_from_a_checkpoint(tmp_path: Path) -> None:
    market, folder = market_at(30), Checkpoints(tmp_path)
    seat = market.take_seat(cash=10**6)
    number = market.list_instrument(Instrument("LATE", 500))
    order = {"kind": MessageKind.LIMIT, "instrument": number, "price": 400, "quantity": 1, "account": seat}
    market.submit(messages(order))
    position = Position(30, {"messages": 7})
    folder.write(market, position=position, extra=b"\x00\xffwhat else")
    found = folder.latest()
    assert found is not None
    assert (found.step, found.extra, found.position.rows) == (30, b"\x00\xffwhat else", {"messages": 7})
    again = found.restore(build(load(PEOPLE)))
    assert again.snapshot(number).bids == ((400, 1, 1),)
    for it in (market, again):
        it.advance()
        it.audit()
    assert again.capture().hash() == market.capture().hash()


def test_only_the_latest_are_kept(tmp_path: Path) -> None:
    market, folder = market_at(0), Checkpoints(tmp_path, keep=2)
    for step in (10, 20, 30, 40):
        market.advance(step)
        folder.write(market, position=Position(step))
    assert len(list(tmp_path.iterdir())) == 2
    latest, before, none = folder.latest(), folder.before(39), folder.before(29)
    assert latest is not None
    assert before is not None
    assert (latest.step, before.step, none) == (40, 30, None)
    folder.clear()
    assert folder.latest() is None
    with pytest.raises(SimlabError, match="keep 1 checkpoint or more"):
        Checkpoints(tmp_path, keep=0)


def test_a_damaged_checkpoint_is_passed_over(tmp_path: Path) -> None:
    market, folder = market_at(10), Checkpoints(tmp_path)
    folder.write(market, position=Position(10))
    market.advance(20)
    folder.write(market, position=Position(20))
    good, newest = sorted(tmp_path.iterdir())
    whole = newest.read_bytes()
    for cut in (0, 10, 25, len(whole) // 2, len(whole) - 1):
        newest.write_bytes(whole[:cut])
        found = folder.latest()
        assert found is not None
        assert (found.step, newest.exists()) == (10, False)
    newest.write_bytes(whole[:100] + bytes([whole[100] ^ 4]) + whole[101:])
    found = folder.latest()
    assert found is not None
    assert found.file == good


def test_a_checkpoint_of_another_version_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Checkpoints(tmp_path)
    folder.write(market_at(10), position=Position(10))
    monkeypatch.setitem(checkpoint_module._DTYPES, "agents", "another")
    with pytest.raises(SimlabError, match="another version of simlab"):
        folder.latest()


def test_a_checkpoint_of_another_market_is_refused(tmp_path: Path) -> None:
    folder = Checkpoints(tmp_path)
    folder.write(market_at(10), position=Position(10))
    found = folder.latest()
    assert found is not None
    with pytest.raises(SimlabError, match="another specification"):
        found.restore(build(load(PEOPLE | {"seed": 9})))


def test_it_is_not_written_before_its_recording(tmp_path: Path) -> None:
    folder = Checkpoints(tmp_path)
    taken = take(market_at(10), position=Position(10))
    folder.begin(taken, lambda position: False)
    folder.wait()
    assert folder.latest() is None
    folder.begin(taken, lambda position: position.step == 10)
    folder.wait()
    assert folder.latest() is not None


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(SimlabError, match="cannot write a checkpoint to"):
        Checkpoints(tmp_path / "taken").write(market_at(3), position=Position(3))


def test_a_recording_goes_on_at_any_position_that_it_had(tmp_path: Path) -> None:
    config = load(PEOPLE | {"recording": {"depth_every": 3, "accounts_every": 5}})
    whole = simlab.run(config, out=tmp_path)
    assert isinstance(whole, simlab.Run)
    spec = build(config)
    author = Author(tmp_path, config, spec)
    market, folder = Simulation(spec, sink=author), Checkpoints(tmp_path / "kept", keep=9)
    author.begin(market)
    for step in (0, 17, 40, 79):
        market.advance(step)
        position = author.position()
        assert author.settle(position)
        folder.write(market, position=position)
    market.advance()
    with author:
        author.finish({})
    for step in (79, 40, 17, 0):
        found = folder.before(step)
        assert found is not None
        again = Author.reopen(author.folder, found.position)
        with again:
            market = found.restore(spec, again)
            again.begin(market)
            market.advance()
            market.finish()
            again.finish({"event_log_hash": hash_text(market.event_log_hash)})
        run = simlab.open(author.folder)
        assert run.tables() == whole.tables()
        assert run.event_log_hash == whole.event_log_hash
        for name in run.tables():
            assert run.frame(name).equals(whole.frame(name)), name


def test_a_recording_from_which_rows_are_missing_is_not_gone_on_with(tmp_path: Path) -> None:
    with RunWriter(tmp_path / "run", config={}) as writer:
        writer.finish()
    with pytest.raises(
        RecordingError, match=r"messages has 0 rows and should have 5: parts of it are missing"
    ):
        RunWriter.reopen(tmp_path / "run", {"messages": 5}, step=3)


GO_ON = """
import sys
from pathlib import Path
from simlab.config import build, load
from simlab.core.hashing import hash_text
from simlab.runner.checkpoint import Checkpoints
market = Checkpoints(Path(sys.argv[1])).latest().restore(build(load(sys.argv[2])))
market.advance()
print(hash_text(market.event_log_hash))
"""


@pytest.mark.slow
def test_learners_and_language_models_go_on_in_another_process(tmp_path: Path) -> None:
    config = Path(simlab.__file__).parent.parent / "configs" / "mixed_agents.yaml"
    market = Simulation(build(load(config)))
    market.advance(700)
    Checkpoints(tmp_path).write(market, position=Position(700))
    done = subprocess.run(
        [sys.executable, "-c", GO_ON, str(tmp_path), str(config)],
        env=os.environ | {"PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    market.advance()
    market.close()
    assert done.stdout.split() == [hash_text(market.event_log_hash)]


def test_a_copy_whose_recording_is_on_disk_is_written_and_the_next_waits_its_turn(tmp_path: Path) -> None:
    config = load(PEOPLE)
    spec = build(config)
    with Author(tmp_path, config, spec) as author:
        market = Simulation(spec, author)
        author.begin(market)
        keeper = Keeper(market, author, CheckpointConfig(every=10), 0.0)

        def steps() -> list[int]:
            keeper.end()
            return sorted(int(it.name[:15]) for it in author.folder.glob("checkpoints/*.checkpoint"))

        market.advance(10)
        keeper.keep_up()
        author.keep()  # as the kernel has it done in the midst of a step
        market.advance(20)
        keeper.keep_up()
        assert steps() == [10]
        market.advance(30)
        keeper.keep_up()  # a copy waits, and was taken a moment ago
        author.keep()
        keeper.keep_up()
        assert steps() == [10, 20]
        market.advance()
        author.finish({})
