"""The benchmark of language models does what it says, on a small scale."""

from __future__ import annotations

import json

import pytest

from simlab.bench import llm
from simlab.errors import SimlabError


def test_it_measures_waiting_recording_and_replaying() -> None:
    waiting, recording, replaying = llm.run(agents=4, decisions=20)
    assert [it["what"] for it in (waiting, recording, replaying)] == ["waiting", "recording", "replaying"]
    assert waiting["ideal_s"] == 0.2
    assert recording["decisions"] == replaying["decisions"] == 20
    assert min(recording["ms_per_decision"], replaying["ms_per_decision"]) > 0
    assert recording["cassette_mb"] == replaying["cassette_mb"] > 0
    json.dumps([waiting, recording, replaying])


def test_it_says_so_when_nobody_decided() -> None:
    market = llm._market(2, 1, "http://127.0.0.1:9/v1")
    with pytest.raises(SimlabError, match="did no work: None instead of 2 by models"):
        llm._worked(market, 2)
