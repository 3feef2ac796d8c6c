"""Learnt policies as populations: what they see, what they do, and files that are none."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import simlab
from simlab.agents.library.policy import LearntPolicy
from simlab.agents.library.seat import FEATURES
from simlab.agents.ml.policies import load_policy
from simlab.errors import ConfigError, SimlabError, StrategyError

NAMES = [it[0] for it in FEATURES]
FREE = {"cash": 10**7, "short_selling": "free", "borrowing": "free"}
WIDE = "class Wide:\n    def predict(self, observation):\n        return [0.0, 0.0, 1.0, 1.0]\n"
"""Quotes in the middle of its reach, in full size."""


def onnx_file(path: Path, rows: int | str = "n") -> Path:
    """Write tanh(W x) as an ONNX file, which quotes wider the more it holds."""
    weights = np.zeros((18, 4), np.float32)
    weights[NAMES.index("inventory")] = [1.0, -1.0, 0.0, 0.0]
    weights[NAMES.index("time_left"), 2:] = 5.0
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"]), helper.make_node("Tanh", ["y"], ["action"])],
        "policy",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [rows, 18])],
        [helper.make_tensor_value_info("action", TensorProto.FLOAT, [rows, 4])],
        [numpy_helper.from_array(weights, "w")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def market(policy: Path, steps: int = 300, count: int = 2, **options: Any) -> dict[str, Any]:
    learnt = {"strategy": "policy", "count": count, "account": FREE, "options": {"policy": str(policy)}}
    learnt["options"] |= options
    noise = {"strategy": "noise", "count": 20, "account": FREE}
    return {
        "steps": steps,
        "seed": 3,
        "instruments": {"A": {"initial_price": 10_000}},
        "populations": {"learnt": learnt, "noise": noise},
    }


def test_a_policy_quotes_on_both_sides_and_keeps_its_limit(tmp_path: Path) -> None:
    (tmp_path / "wide.py").write_text(WIDE)
    outcome = simlab.run(
        market(tmp_path / "wide.py", attribute="Wide", max_inventory=15, max_offset=2), record=False
    )
    row = next(it for it in outcome.summary["populations"] if it["population"] == "learnt")
    assert row["volume"] > 100
    assert row["refused"] == 0


def test_an_onnx_file_is_a_policy_whether_it_takes_one_row_or_many(tmp_path: Path) -> None:
    hashes = {
        simlab.run(market(onnx_file(tmp_path / f"{rows}.onnx", rows)), record=False).event_log_hash
        for rows in ("n", 1)
    }
    assert len(hashes) == 1


def test_what_it_sees_is_what_learners_see(tmp_path: Path) -> None:
    (tmp_path / "watch.py").write_text(
        "import json\nseen = []\n"
        "class Watch:\n"
        "    def predict(self, rows):\n"
        f"        open({str(tmp_path / 'seen')!r}, 'a').write(json.dumps(rows.tolist()) + '\\n')\n"
        "        return [[0, 0, 0, 0]] * len(rows), None\n"
    )
    options = {"attribute": "Watch", "together": True, "task": "trading", "horizon": 30}
    run = simlab.run(market(tmp_path / "watch.py", 100, 1, **options), out=tmp_path)
    lines = [json.loads(line)[0] for line in (tmp_path / "seen").read_text().splitlines()]
    seen = {name: np.array([line[i] for line in lines]) for i, name in enumerate(NAMES)}
    quotes = run.quotes()
    mid = (quotes.best_bid + quotes.best_ask).to_numpy() / 2
    assert seen["time_left"][:3].tolist() == pytest.approx([1, 29 / 30, 28 / 30])
    assert seen["time_left"][30] == 1.0
    assert seen["change_1"][50:].tolist() == pytest.approx((mid[49:-1] - mid[48:-2]).tolist())
    assert seen["change_5"][50:].tolist() == pytest.approx((mid[49:-1] - mid[44:-6]).tolist())
    assert set(seen["inventory"]) == {0.0}


def test_an_execution_is_complete_within_its_horizon(tmp_path: Path) -> None:
    (tmp_path / "idle.py").write_text(WIDE.replace("[0.0, 0.0, 1.0, 1.0]", "[-1.0, -1.0]"))
    options = {"task": "execution", "quantity": 20, "side": "buy", "horizon": 100, "attribute": "Wide"}
    outcome = simlab.run(market(tmp_path / "idle.py", 150, 1, **options), record=False)
    row = next(it for it in outcome.summary["populations"] if it["population"] == "learnt")
    assert row["volume"] == 20


@pytest.mark.parametrize(
    ("answer", "said"), [("[2.0, 0, 0, 0]", "out of"), ("[0]", "shape"), ("'up'", "shape")]
)
def test_what_a_policy_must_not_do_is_named(tmp_path: Path, answer: str, said: str) -> None:
    (tmp_path / "bad.py").write_text(WIDE.replace("[0.0, 0.0, 1.0, 1.0]", answer))
    with pytest.raises(SimlabError, match=said):
        simlab.run(market(tmp_path / "bad.py", 5, attribute="Wide"), record=False)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("missing.onnx", None, "no such file"),
        ("broken.onnx", b"not a model", "no ONNX file"),
        ("policy.npz", b"", "a file .onnx or .py"),
        ("empty.py", b"polici = 1", "did you mean 'polici'"),
        ("number.py", b"policy = len", "loading failed: TypeError"),
        ("none.py", b"def policy(): pass", "no method predict"),
        ("raises.py", b"1 / 0", "ZeroDivisionError"),
    ],
)
def test_files_that_are_no_policy_are_refused(
    tmp_path: Path, name: str, content: bytes | None, said: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(StrategyError, match=said):
        load_policy(tmp_path / name)
    with pytest.raises(ConfigError, match=said):
        simlab.validate(market(tmp_path / name))


def test_a_saved_market_asks_for_the_same_policy(tmp_path: Path) -> None:
    path = tmp_path / "wide.py"
    path.write_text(WIDE)
    kept = pickle.dumps(LearntPolicy(path, attribute="Wide"))
    assert pickle.loads(kept)._policy.path == path
    path.write_text(WIDE + "\n")
    with pytest.raises(StrategyError, match="another one than when the market was saved"):
        pickle.loads(kept)
