"""Training: an honest split, scores that other means confirm, the same bytes with any number of threads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from learning_markets import ROOT, TRAINING
from numpy.testing import assert_array_equal
from sklearn.dummy import DummyClassifier
from sklearn.metrics import accuracy_score, balanced_accuracy_score, log_loss, r2_score

import simlab
from simlab.agents.ml import MODEL_FILE, load_model
from simlab.config.training import load_training
from simlab.errors import AnalysisError, ConfigError, RecordingError
from simlab.runner.training import train
from simlab.runner.training.dataset import Dataset, make_dataset
from simlab.runner.training.scores import labels, score_rows


def _dataset(recorded: list[Path], **config: Any) -> tuple[Dataset, Dataset, list[dict[str, Any]]]:
    made = load_training({**TRAINING, **config})
    return make_dataset([simlab.open(it) for it in recorded], made, lambda what: None)


def test_no_label_reaches_into_what_is_scored(recorded: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever happens from the first scored step on, what is learned from stays as it is."""
    learn, score, _ = _dataset(recorded[:1])
    from simlab.runner.training import dataset as module

    real = module.recorded_history

    def changed(*args: Any, **options: Any) -> Any:
        history = real(*args, **options).copy()
        cut = round(0.7 * len(history))
        for name in ("mid", "best_bid", "best_ask", "bid_depth"):
            history[name][cut:] += np.arange(len(history) - cut)
        return history

    monkeypatch.setattr(module, "recorded_history", changed)
    again, other, _ = _dataset(recorded[:1])
    for name in ("x", "move", "past"):
        assert_array_equal(getattr(again, name), getattr(learn, name))
    assert not np.array_equal(other.move, score.move)


def test_every_row_is_what_was_known_and_what_happened(recorded: list[Path]) -> None:
    """Rows of both runs, in order; of each the part before the gap, and the last three tenths."""
    learn, score, told = _dataset(recorded, features=["spread"])
    steps = 2_500
    assert [it["rows"][1] for it in told] == [pytest.approx(0.3 * steps - 20, abs=40)] * 2
    assert len(learn) == sum(it["rows"][0] for it in told) < 2 * (0.7 * steps - 20)
    assert len(score) == sum(it["rows"][1] for it in told)
    assert [it["event_log_hash"] for it in told] == [simlab.open(it).event_log_hash for it in recorded]
    quotes = simlab.open(recorded[0]).quotes()
    spread = (quotes["best_ask"] - quotes["best_bid"]).to_numpy()
    assert learn.x[0, 0] == spread[np.isfinite(spread)][20 - int(np.isnan(spread[:21]).sum())]
    every = _dataset(recorded, features=["spread"], every=10)[0]
    assert len(every) == pytest.approx(len(learn) / 10, rel=0.05)


def test_labels_and_scores_by_other_means() -> None:
    generator = np.random.default_rng(3)
    parts = []
    for n in (300, 200):
        x = generator.normal(size=(n, 2))
        parts.append(Dataset(x, np.round(3 * x[:, 0] + generator.normal(size=n)), np.round(3 * x[:, 1])))
    learn, score = parts
    target, truth = (labels(it.move, "sign", 1.0) for it in parts)
    assert set(np.unique(target)) == {-1, 0, 1}
    assert_array_equal(truth != 0, np.abs(score.move) > 1)
    from simlab.agents.ml import make_estimator

    model = make_estimator("sklearn.linear_model.LogisticRegression", seed=1).fit(learn.x, target)
    rows = {it["forecast by"]: it for it in score_rows(model, learn, score, "sign", 1.0)}
    guess = model.predict(score.x)
    assert rows["model"]["accuracy"] == pytest.approx(accuracy_score(truth, guess))
    assert rows["model"]["balanced accuracy"] == pytest.approx(balanced_accuracy_score(truth, guess))
    assert rows["model"]["log loss"] == pytest.approx(log_loss(truth, model.predict_proba(score.x)))
    assert rows["model"]["edge (ticks)"] == pytest.approx((guess * score.move)[guess != 0].mean())
    majority = DummyClassifier(strategy="most_frequent").fit(learn.x, target).predict(score.x)
    assert rows["majority"]["accuracy"] == pytest.approx(accuracy_score(truth, majority))
    persistence = labels(score.past, "sign", 1.0)
    assert rows["persistence"]["accuracy"] == pytest.approx(accuracy_score(truth, persistence))
    assert rows["model"]["accuracy"] > rows["majority"]["accuracy"]
    regression = make_estimator("sklearn.linear_model.Ridge", seed=1).fit(learn.x, learn.move)
    rows = {it["forecast by"]: it for it in score_rows(regression, learn, score, "size", 0.0)}
    around = ((score.move - learn.move.mean()) ** 2).sum()
    expected = 1 - ((score.move - regression.predict(score.x)) ** 2).sum() / around
    assert (
        rows["model"]["R2"]
        == pytest.approx(expected)
        == pytest.approx(r2_score(score.move, regression.predict(score.x)), abs=0.05)
    )
    assert rows["mean"]["R2"] == pytest.approx(0)


def test_the_model_beats_both_baselines_where_there_is_something_to_learn(models: dict[str, Path]) -> None:
    rows = {it["forecast by"]: it for it in load_model(models["classifier"]).card["scores"]}
    assert rows["model"]["balanced accuracy"] > rows["majority"]["balanced accuracy"] + 0.2
    assert rows["model"]["accuracy"] > max(rows["majority"]["accuracy"], rows["persistence"]["accuracy"])
    assert rows["model"]["edge (ticks)"] > 3
    nothing = load_model(models["nothing"])
    rows = {it["forecast by"]: it for it in nothing.card["scores"]}
    assert rows["model"]["balanced accuracy"] == pytest.approx(1 / 3, abs=0.02)
    assert "has learned nothing" in (models["nothing"] / "card.md").read_text(encoding="utf-8")


def test_a_card_says_what_a_model_was_made_of(models: dict[str, Path], recorded: list[Path]) -> None:
    folder = models["regressor"]
    card = load_model(folder).card
    page = (folder / "card.md").read_text(encoding="utf-8")
    for run in recorded:
        assert simlab.open(run).event_log_hash in page
    for feature in card["features"]["described"]:
        assert f"| `{feature['name']}` | {feature['unit']} | {feature['formula']} |" in page
    assert {it["feature"] for it in card["importances"]} == set(TRAINING["features"])
    assert max(it["importance"] for it in card["importances"]) > 0.1
    assert card["versions"]["scikit-learn"] in page
    assert card["model"]["sha256"] in page
    assert "plotly" in (folder / "figures.html").read_text(encoding="utf-8")[:1_000_000].lower()


def _trained_elsewhere(folder: Path, config: Path, recorded: list[Path], threads: str) -> bytes:
    environment = os.environ | {
        "OMP_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": threads,
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", "simlab.cli", "train", config, *recorded, "--out", folder, "--json"]
    done = subprocess.run(
        list(map(str, command)), env=environment, capture_output=True, text=True, timeout=250, check=True
    )
    told = json.loads(done.stdout)
    assert told["folder"] == str(folder)
    assert "forecast by" in done.stderr  # the tables, so that stdout is JSON alone
    return (folder / MODEL_FILE).read_bytes()


@pytest.mark.slow
def test_the_model_has_the_same_bytes_with_one_thread_and_with_four(
    recorded: list[Path], tmp_path: Path
) -> None:
    config = tmp_path / "training.yaml"
    boosted = {"sklearn.ensemble.HistGradientBoostingClassifier": {"max_iter": 10, "early_stopping": True}}
    config.write_text(yaml.safe_dump({**TRAINING, "estimator": boosted}), encoding="utf-8")
    one, four = (_trained_elsewhere(tmp_path / it, config, recorded[:1], it) for it in ("1", "4"))
    assert one == four
    assert (
        load_model(tmp_path / "1")
        .card["command"]
        .endswith(f"--out {os.path.relpath(tmp_path / '1', Path.cwd())}")
    )


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"features": ["spred"]},
            r"features: \['spred'\]: there is no feature 'spred'; did you mean 'spread'\?",
        ),
        ({"features": ["inventory"]}, "'inventory' is an agent's own and in no recording; leave it out"),
        ({"label": {"horison": 3}}, r"label.horison: 3: unknown key; did you mean 'horizon'\?"),
        ({"label": {"horizon": 0}}, r"label.horizon: 0: must be at least 1 \(steps\)"),
        ({"label": {"kind": "size"}}, r"is a classifier, and the size of a move is forecast by a regressor"),
        ({"estimator": "sklearn.preprocessing.StandardScaler"}, "neither classifies nor regresses"),
        ({"estimator": "sklearn.svm.SVX"}, "there is no estimator 'sklearn.svm.SVX'"),
        ({"test_share": 1}, "test_share: 1: must be less than 1|test_share: 1"),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_place_and_remedy(
    config: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        load_training({**TRAINING, **config})
    file = tmp_path / "training.yaml"
    file.write_text(yaml.safe_dump({**TRAINING, **config}), encoding="utf-8")
    with pytest.raises(ConfigError, match=rf"{file}:\d+: "):
        load_training(file)


def test_runs_that_do_not_do_are_refused(recorded: list[Path], tmp_path: Path) -> None:
    def refused(message: str, runs: list[Any], error: type[Exception] = AnalysisError, **config: Any) -> None:
        with pytest.raises(error, match=message):
            train({**TRAINING, **config}, runs, out=tmp_path / "model")

    refused("there are no runs", [])
    refused("is not a run|there is no run|no run", [tmp_path / "nowhere"], RecordingError)
    refused(r"has no instrument 'ACNE'; did you mean 'ACME'\?", recorded, instruments=["ACNE"])
    refused(
        "looks at 3 levels of the book in every step",
        recorded,
        RecordingError,
        features=["depth_imbalance_3"],
    )
    refused(
        r"moves over 20 steps have sign 0.*make dead_zone \(1e\+06 ticks\) smaller",
        recorded,
        label={"dead_zone": 1e6},
    )
    refused("nothing to learn from", recorded, label={"horizon": 1_000, "dead_zone": 0}, test_share=0.3)
    refused(
        "could not be fitted: lbfgs failed to converge",
        recorded,
        estimator={"sklearn.linear_model.LogisticRegression": {"max_iter": 1}},
    )
    assert not (tmp_path / "model" / MODEL_FILE).exists()


def test_the_committed_models_are_what_their_commands_make(tmp_path: Path) -> None:
    """Their runs are those that the worlds give today, and trained again they forecast the same."""
    config = ROOT / "configs" / "slow_news.yaml"
    runs = [simlab.run(config, seed=seed, out=tmp_path).path for seed in (1, 2)]
    for name in ("slow_news", "mixed_agents"):
        committed = load_model(ROOT / "configs" / "models" / name)
        again = train(ROOT / "configs" / "training" / f"{name}.yaml", runs, out=tmp_path / name)
        assert again.card["training"] == committed.card["training"], committed.card["command"]
        x = _dataset(runs, **{**committed.card["config"]})[1].x
        np.testing.assert_allclose(
            load_model(again.folder).strengths(x), committed.strengths(x), rtol=1e-6, atol=1e-9
        )
        written = (ROOT / "configs" / "training" / f"{name}.yaml").read_text(encoding="utf-8")
        assert f"#   {committed.card['command']}" in written.splitlines()
