"""What experiments/realistic/README.md says of the realistic market, on seeds that its search did not use."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from simlab.analysis import open_run
from simlab.config import load
from simlab.runner.run import execute

CONFIG = Path(__file__).parents[2] / "configs" / "realistic.yaml"
NEEDED = {
    "absence of autocorrelation",
    "fat tails",
    "volatility clustering",
    "aggregational Gaussianity",
}
CONT = NEEDED | {
    "gain/loss asymmetry",
    "intermittency",
    "conditional heavy tails",
    "slow decay of volatility",
    "leverage effect",
    "volume and volatility",
    "asymmetry of time scales",
}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_nine_of_ten_days_show_nine_facts(tmp_path: Path) -> None:
    good = []
    for seed in range(301, 311):
        outcome = execute(load(CONFIG, seed=seed), out=tmp_path)
        assert outcome.run_dir is not None
        card = open_run(outcome.run_dir).facts()
        assert set(card["fact"]) >= CONT
        shown = CONT & set(card.loc[card["verdict"] == "shown", "fact"])
        assert 0.0001 < outcome.summary["instruments"][0]["mean_spread"] / 40_000 < 0.00025
        if len(shown) >= 9 and shown >= NEEDED:
            good.append(seed)
        shutil.rmtree(outcome.run_dir)
    assert len(good) >= 9
