"""A fork shares what came before, goes on as its parent did or as it is told to, and says whose it is."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

import simlab
from simlab.analysis import Run
from simlab.analysis.compare import compare
from simlab.analysis.report.reading import Reading
from simlab.analysis.report.words import headline
from simlab.cli.app import app
from simlab.config import build, load
from simlab.core.hashing import hash_text
from simlab.core.types import MessageKind, Side
from simlab.errors import RecordingError, SimlabError
from simlab.kernel import Simulation
from simlab.kernel.conformance import messages
from simlab.market.instruments import Instrument
from simlab.recording.schema import TABLES
from simlab.runner import author
from simlab.runner.journal import Journal, Record, journal_folder
from simlab.runner.resume import resume_run
from simlab.runner.verify import fork_again

STRATEGY = """
from pathlib import Path

from simlab.agents.each import agent_strategy


@agent_strategy("remembering", "Trades on what it saw, and on its own draws.")
class Remembering:
    def __init__(self, size: int = 1):
        self.seen, self.size = [], size

    def decide(self, observation, orders):
        if observation.step >= 150 and Path(__file__).with_name("fail").exists():
            raise ValueError("told to")
        self.seen = [*self.seen[-40:], observation.last_price]
        away = int(observation.random.integers(-3, 4))
        orders.limit("buy" if sum(self.seen) % 2 else "sell", observation.last_price + away, self.size)
        orders.note(reason=f"saw {len(self.seen)}")
"""
MARKET = """\
name: m
steps: 200
checkpoint: {every: 40, keep: 9}
instruments: {ACME: {initial_price: 1000, fundamental: {model: geometric, volatility: 0.002}}}
news: {poisson: {rate: 0.05, impact_scale: 20}}
populations:
  noise: {strategy: noise, count: 20, activation: {rate: 0.4}, account: {cash: 1e9, inventory: 1000}}
  makers: {strategy: market_maker, count: 2, account: {cash: 1e9, inventory: 1000}}
  mine: {strategy: "remembering.py:Remembering", count: 2, account: {cash: 1e9, inventory: 1000}}
recording: {depth_every: 7, accounts_every: 30}
"""


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("fork")
    (folder / "remembering.py").write_text(STRATEGY)
    (folder / "market.yaml").write_text(MARKET)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(author, "KEPT_AFTER_S", 0.0)  # so that checkpoints are written
        found = simlab.run(folder / "market.yaml", out=folder / "runs")
    assert isinstance(found, Run)
    return found


def fork(parent: Run, at: int, **options: Any) -> Run:
    found = simlab.fork(parent, at=at, **options)
    assert isinstance(found, Run)
    return found


def require_same_tables(one: Run, other: Run) -> None:
    for name in TABLES:
        expected, found = (it.frame(name).drop(columns="ms", errors="ignore") for it in (one, other))
        pd.testing.assert_frame_equal(found, expected)


@pytest.mark.parametrize("at", [0, 120, 133])
def test_nothing_changed_is_the_parent_again(parent: Run, at: int) -> None:
    assert {int(it.name[:15]) for it in (parent.path / "checkpoints").iterdir()} == {40, 80, 120, 160}
    found = fork(parent, at)
    assert found.event_log_hash == parent.event_log_hash
    assert found.manifest["counts"] == parent.manifest["counts"]
    assert found.manifest["parent"]["changes"] == {}
    require_same_tables(parent, found)


def test_a_longer_fork_of_a_fork_is_the_longer_run(parent: Run, tmp_path: Path) -> None:
    first = fork(parent, 100, out=tmp_path)
    found = fork(first, 200, steps=260)
    whole = simlab.run(parent.path / "config.yaml", steps=260, out=tmp_path)
    assert isinstance(whole, Run)
    assert found.event_log_hash == whole.event_log_hash
    require_same_tables(whole, found)


def test_a_change_holds_from_the_step_on(parent: Run) -> None:
    changes = {"instruments.ACME.taker_fee_ppm": 700, "populations.makers.leaves": 100}
    found = fork(parent, 90, set=changes)
    spec = build(load(parent.path / "config.yaml"))
    market = Simulation(spec)
    market.advance(90)
    said = found.manifest["parent"]
    assert said["hash_at_step"] == hash_text(market.event_log_hash)
    market = market.fork(spec=build(load(parent.path / "config.yaml", set=changes)))
    market.advance()
    assert found.event_log_hash == hash_text(market.event_log_hash) != parent.event_log_hash
    assert (said["path"], said["step"]) == (str(parent.path.resolve()), 90)
    assert said["event_log_hash"] == parent.event_log_hash
    assert said["changes"] == {
        "instruments.ACME.taker_fee_ppm": [0, 700],
        "populations.makers.leaves": [None, 100],
    }
    for table in ("messages", "trades", "quotes", "decisions"):
        one, other = (it.frame(table, steps=(0, 90)) for it in (parent, found))
        assert one.drop(columns="ms", errors="ignore").equals(other.drop(columns="ms", errors="ignore"))


def test_profits_are_reckoned_on_the_terms_of_their_time(parent: Run) -> None:
    first = fork(parent, 60, set={"instruments.ACME.taker_fee_ppm": 900})
    second = fork(first, 140, set={"instruments.ACME.taker_fee_ppm": 0, "instruments.ACME.maker_fee_ppm": 50})
    assert second.instruments()["earlier_fees"].tolist() == [[(60, 0, 0), (140, 0, 900)]]
    assert "earlier_fees" not in parent.instruments()
    for run in (parent, first, second):
        table = run.pnl().groupby("population").last()
        accounts = run.accounts().merge(run.agents(), left_on="account", right_on="name")
        paid = accounts[accounts["step"] == accounts["step"].max()].groupby("population")["fees"].sum()
        assert table["fees"].to_dict() == paid.to_dict()
        told = {row["population"]: row["pnl_mean"] * row["agents"] for row in run.summary["populations"]}
        assert table["total"].drop("exchange").to_dict() == pytest.approx(told, abs=1e-6)
        parts = run.attribution().set_index("population")
        assert (parts["fees_maker"] + parts["fees_taker"]).abs().to_dict() == paid.abs().to_dict()


def test_reports_and_comparisons_say_what_is_a_fork_of_what(parent: Run) -> None:
    forks = [fork(parent, at, set={"populations.makers.leaves": 120}) for at in (50, 110)]
    (said,) = headline(Reading(forks[1]))
    assert "From step 110 it is a fork of m-1-1 with populations.makers.leaves 120, not None." in said
    table = compare(forks, measures=lambda run: {"volume": float(run.trades()["quantity"].sum())})
    assert table[["a", "b"]].to_numpy().tolist() == [["fork.at=50", "fork.at=110"]]


def test_a_fork_of_a_fork_is_run_again_from_the_first_beginning(parent: Run, tmp_path: Path) -> None:
    first = fork(parent, 60, set={"populations.mine.parameters.size": 3})
    second = fork(first, 140, set={"seed": 9, "recording.depth_every": 3})
    said = second.manifest["parent"]
    assert (said["step"], said["parent"]["step"]) == (140, 60)
    again = simlab.open(fork_again(second.path, tmp_path))
    assert again.event_log_hash == second.event_log_hash
    require_same_tables(again, second)
    with pytest.raises(SimlabError, match=r"is itself a fork from step 60, .* simlab fork .*m-1-1 --at 59"):
        fork(first, 59)
    assert fork(first, 60).event_log_hash == first.event_log_hash


def test_a_fork_that_ended_early_is_resumed_and_one_that_failed_is_forked_before(parent: Run) -> None:
    stop = parent.path.parent.parent / "fail"
    changed = {"populations.noise.parameters.max_size": 3}
    expected = fork(parent, 70, set=changed)
    stop.touch()
    with pytest.raises(SimlabError, match="told to"):
        fork(parent, 70, set=changed)
    stop.unlink()
    found = simlab.open(parent.path.with_name("m-1-at-70-2"))
    assert (found.finished, found.reached) == (False, 150)
    assert fork(found, 149).event_log_hash == expected.event_log_hash
    with pytest.raises(SimlabError, match=r"--at 151: .* steps 0 to 150; .*simlab resume"):
        fork(found, 151)
    assert resume_run(found.path).event_log_hash == expected.event_log_hash
    require_same_tables(expected, simlab.open(found.path))
    for file in (found.path / "origin").glob("*.checkpoint"):
        file.unlink()
    manifest = json.loads((found.path / "manifest.json").read_text()) | {"status": "failed"}
    (found.path / "manifest.json").write_text(json.dumps(manifest))
    for file in (found.path / "checkpoints").glob("*.checkpoint"):
        file.unlink()
    with pytest.raises(SimlabError, match=r"was killed before it began; remove it, and fork again: simlab f"):
        resume_run(found.path)


def test_the_command_tells_what_run_tells(parent: Run, tmp_path: Path) -> None:
    arguments = ["fork", str(parent.path), "--at", "190", "--quiet", "--json", "--out", str(tmp_path)]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout.splitlines()[-1])
    assert list(told)[:6] == ["name", "seed", "steps", "run_dir", "event_log_hash", "messages"]
    assert told["event_log_hash"] == parent.event_log_hash
    assert Path(told["run_dir"]) == tmp_path / "m-1-at-190-1"


@pytest.mark.parametrize(
    ("at", "options", "match"),
    [
        (1.5, {}, r"at=1.5 is no step; give a whole number"),
        (-1, {}, r"--at -1: .*m-1-1 is finished, and has steps 0 to 200; choose one of them$"),
        (201, {}, r"--at 201: .* steps 0 to 200"),
        (200, {}, r"--at 200: the fork ends there, with 200 steps, .* --steps"),
        (100, {"steps": 90}, r"--at 100: the fork ends there, with 90 steps"),
        (100, {"set": {"populations.nois.count": 3}}, r"populations.nois: .*did you mean"),
        (100, {"set": ["populations.noise.count=21"]}, r"populations.noise.count: .* `joins`"),
        (100, {"set": {"instruments.BOLT.initial_price": 7}}, r"instruments.BOLT: no such key"),
        (100, {"set": {"instruments.ACME.tick_size": 8}}, r"instruments.ACME.tick_size: .*orders that rest"),
        (100, {"set": {"populations.mine.joins": 50}}, r"populations.mine.joins: step 0 is past"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_written(
    parent: Run, at: Any, options: dict[str, Any], match: str
) -> None:
    before = sorted(parent.path.parent.iterdir())
    with pytest.raises(SimlabError, match=match):
        fork(parent, at, **options)
    assert sorted(parent.path.parent.iterdir()) == before


def test_other_code_is_refused(parent: Run) -> None:
    file = parent.path.parent.parent / "remembering.py"
    file.write_text(STRATEGY + "\n")
    try:
        with pytest.raises(SimlabError, match=r"with other code or data \(plugins: .*remembering.py\)"):
            fork(parent, 100)
    finally:
        file.write_text(STRATEGY)


def test_a_session_is_forked_by_its_journal(tmp_path: Path) -> None:
    config = load(
        {
            "name": "people",
            "steps": 80,
            "instruments": {"ACME": {"initial_price": 1_000}},
            "populations": {
                "noise": {"strategy": "noise", "count": 20, "account": {"cash": 10**6, "inventory": 100}},
                "people": {"strategy": "outside", "count": 2, "account": {"cash": 10**6}},
            },
        }
    )
    spec = build(config)
    with author.Author(tmp_path, config, spec) as writer:
        market = Simulation(spec, writer)
        writer.begin(market)
        journal = Journal(journal_folder(writer.folder), sync="off")
        market.journal = lambda rows, texts: journal.append(Record(market.step, rows, texts)) and None
        seat = market.take_seat()
        for step in range(40):
            market.advance(step)
            order = {"kind": MessageKind.LIMIT, "side": Side.BUY, "price": 990 + step % 7, "quantity": 2}
            market.submit(messages(order | {"account": seat, "expiry": step + 9}))
            if step == 30:
                market.list_instrument(Instrument("BOLT", 50))
            if step == 19:
                expected = market.fork()
        market.advance(40)
        writer.finish({"steps": 40, "event_log_hash": hash_text(market.event_log_hash)})
        journal.close()
    expected.advance(20)
    expected.advance()
    found = simlab.fork(writer.folder, at=20)
    assert isinstance(found, Run)
    assert found.event_log_hash == hash_text(expected.event_log_hash)
    assert simlab.open(fork_again(found.path, tmp_path / "again")).event_log_hash == found.event_log_hash
    late = simlab.fork(writer.folder, at=35, steps=50)
    assert isinstance(late, Run)
    assert late.instruments()["name"].tolist() == ["ACME", "BOLT"]
    again = simlab.open(fork_again(late.path, tmp_path / "again"))
    require_same_tables(late, again)
    assert fork(late, 45).event_log_hash == late.event_log_hash


@pytest.mark.slow
def test_a_fork_that_is_killed_at_any_moment_is_resumed_or_says_that_it_must_be_made_again(
    parent: Run, tmp_path: Path
) -> None:
    changed = {"populations.noise.parameters.max_size": 3, "steps": 5_000}
    expected = fork(parent, 70, set=changed, out=tmp_path / "whole")
    command = [sys.executable, "-m", "simlab.cli", "fork", str(parent.path), "--at", "70", "--quiet"]
    settings = [it for key, value in changed.items() for it in ("--set", f"{key}={value}")]
    resumed, rng = 0, random.Random(3)
    for i in range(6):
        out = tmp_path / str(i)
        with subprocess.Popen([*command, *settings, "--out", str(out)], stdout=subprocess.PIPE) as process:
            while process.poll() is None and not list(out.glob("*/manifest.json")):
                time.sleep(0.001)
            time.sleep(rng.choice([0, 0.1, 0.5, 1]))
            process.kill()
        folder = next(out.iterdir())
        if not list(folder.glob("origin/*.checkpoint")):
            with pytest.raises(RecordingError, match="was killed before it began"):
                resume_run(folder)
            continue
        assert resume_run(folder).event_log_hash == expected.event_log_hash
        resumed += 1
        require_same_tables(expected, simlab.open(folder))
    assert resumed >= 2
