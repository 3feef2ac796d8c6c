"""A Mesa model that is recorded: read like any run, and run again, with what its own agents sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import simlab
from simlab.analysis.report import write_report
from simlab.errors import RecordingError, SimlabError
from simlab.faces.mesa import MarketAgent, MarketModel
from simlab.recording import open_run
from simlab.runner.replay import replay_run
from simlab.runner.resume import resume_run
from simlab.runner.verify import verify_run

CONFIG: dict[str, Any] = {
    "name": "recorded",
    "steps": 30,
    "instruments": {"ACME": {"initial_price": 1000}},
    "populations": {
        "noise": {
            "strategy": "noise",
            "count": 20,
            "activation": {"rate": 0.5},
            "account": {"cash": 1_000_000, "short_selling": "free"},
        }
    },
}


class Crosser(MarketAgent):
    """Takes a lot in every step, and asks for more than it may."""

    def step(self) -> None:
        self.market.market(self.random.choice(["buy", "sell"]), 1)
        self.market.cancel(1)


def test_a_recorded_model_is_a_run_like_any(tmp_path: Path) -> None:
    model = MarketModel(CONFIG, out=tmp_path)
    assert model.run_dir is None
    model.run_model()
    assert model.run_dir is not None
    run = simlab.open(model.run_dir)
    again = simlab.run(CONFIG, out=tmp_path)
    assert run.finished
    assert run.event_log_hash == model.event_log_hash == again.event_log_hash
    assert run.tables() == again.tables()


def test_what_own_agents_sent_is_run_again_from_the_journal(tmp_path: Path) -> None:
    model = MarketModel(CONFIG, seed=4, out=tmp_path)
    own = list(Crosser.create_agents(model, 2))
    model.run_model()
    assert model.run_dir is not None
    found = replay_run(model.run_dir)
    assert (found.step, found.same, found.recorded_hash) == (30, True, model.event_log_hash)
    assert found.rows == 2 + 2 * 30 * 2
    assert all(it.pnl != 0 for it in own)
    assert {it.reason.name for it in own[0].market.refusals} == {"UNKNOWN_ORDER"}


@pytest.mark.slow
def test_a_model_with_own_agents_is_verified_and_reported_like_any_run(tmp_path: Path) -> None:
    model = MarketModel(CONFIG, seed=4, out=tmp_path)
    Crosser.create_agents(model, 2)
    model.run_model()
    assert model.run_dir is not None
    found = verify_run(model.run_dir)
    assert (found.same, found.differences, found.environment) == (True, (), {})
    assert found.event_log_hash == model.event_log_hash
    report = write_report([simlab.open(model.run_dir)], tmp_path / "report.html")
    assert "zz_mesa" in report.read_text(encoding="utf-8")


def test_a_model_that_is_left_says_where(tmp_path: Path) -> None:
    with MarketModel(CONFIG, out=tmp_path) as model:
        Crosser(model)
        for _ in range(10):
            model.step()
    assert model.run_dir is not None
    run = open_run(model.run_dir)
    assert (run.finished, model.running) == (False, False)
    assert "closed at step 10 of 30" in run.status
    found = replay_run(model.run_dir)
    assert (found.step, found.event_log_hash) == (10, model.event_log_hash)
    with pytest.raises(SimlabError, match=r"the market stopped at step 10 of 30.*make a new model"):
        model.step()
    with pytest.raises(RecordingError, match=r"closed at step 10 of 30.*; simlab replay .* runs again"):
        verify_run(model.run_dir)
    with pytest.raises(RecordingError, match=r"would go on without those who did; simlab replay"):
        resume_run(model.run_dir)


def test_an_agent_that_fails_ends_the_recording_before_its_step(tmp_path: Path) -> None:
    class Fails(MarketAgent):
        def step(self) -> None:
            if self.market.step == 7:
                raise ValueError("no idea")

    model = MarketModel(CONFIG, out=tmp_path)
    Fails(model)
    with pytest.raises(ValueError, match="no idea"):
        model.run_model()
    assert model.run_dir is not None
    run = open_run(model.run_dir)
    assert "ValueError: no idea" in run.status
    assert run.manifest["failed"]["step"] == 7


def test_what_is_not_recorded_is_said(tmp_path: Path) -> None:
    with pytest.raises(SimlabError, match=r"checkpoint: a model writes none.*checkpoint=None"):
        MarketModel(CONFIG | {"checkpoint": {"every": 10}}, out=tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordingError, match="is a file, not a folder"):
        MarketModel(CONFIG, out=tmp_path / "file")
    model = MarketModel(CONFIG | {"recording": {"enabled": False}}, out=tmp_path)
    model.run_model()
    assert model.run_dir is None
