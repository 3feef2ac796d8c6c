"""Many models by `mesa.batch_run`, and that nothing here depends on what `import mesa` does to a process."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import mesa
import pytest

import simlab
from simlab.faces.mesa import MarketModel

ROOT = Path(simlab.__file__).parent.parent
QUICK, SEATS = (str(ROOT / "configs" / f"{name}.yaml") for name in ("quickstart", "seats"))


class Study(MarketModel):
    """Reports what its agents made."""

    def __init__(self, config: Any, **kwargs: Any) -> None:
        super().__init__(config, agent_reporters={"cash": "cash", "population": "population"}, **kwargs)


def batch(model: type[MarketModel], parameters: dict[str, Any], **how: Any) -> list[dict[str, Any]]:
    """Run all combinations once, as every Mesa 3 can."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return mesa.batch_run(model, parameters, display_progress=False, **how)


def test_a_batch_varies_files_and_whatever_is_in_them() -> None:
    counts = [0, 5]
    rows = batch(
        MarketModel, {"config": [QUICK, SEATS], "steps": 20, "seed": 3, "populations.makers.count": counts}
    )
    assert [(it["config"], it["populations.makers.count"]) for it in rows] == [
        (file, count) for file in (QUICK, SEATS) for count in counts
    ]
    for it in rows:
        changed = {"populations.makers.count": it["populations.makers.count"]}
        run = simlab.run(it["config"], steps=20, seed=3, set=changed, record=False)
        assert it["event_log_hash"] == run.event_log_hash


def test_agents_of_a_batch_are_those_of_the_last_step() -> None:
    rows = batch(Study, {"config": QUICK, "steps": 30, "seed": 3})
    model = MarketModel(QUICK, steps=30, seed=3)
    model.run_model()
    assert [it["cash"] for it in rows] == [it.cash for it in model.agents]
    assert {it["event_log_hash"] for it in rows} == {model.event_log_hash}
    assert len({it["cash"] for it in rows}) > 2


@pytest.mark.slow
def test_a_batch_in_two_processes_is_the_batch_in_one() -> None:
    varied = {"config": QUICK, "steps": 50, "seed": [1, 2, 3], "populations.noise.count": [50, 100]}
    one, two = (batch(MarketModel, varied, number_processes=count) for count in (1, 2))

    def hashes(rows: list[dict[str, Any]]) -> dict[tuple[int, int], str]:
        return {(it["seed"], it["populations.noise.count"]): it["event_log_hash"] for it in rows}

    assert hashes(one) == hashes(two)
    assert len(set(hashes(one).values())) == 6


SWEEP = """
import json, multiprocessing, sys
if __name__ == "__main__":
    if sys.argv[1] == "mesa":
        import mesa
    import simlab
    table = simlab.sweep(
        {"name": "small", "experiment": "configs/quickstart.yaml", "seeds": [1, 2],
         "set": {"steps": 30}, "parameters": {"populations.makers.count": [3, 5]}},
        out=sys.argv[2], workers=2,
    )
    print(json.dumps([multiprocessing.get_start_method(allow_none=True), table["event_log_hash"].tolist()]))
"""


@pytest.mark.slow
def test_a_sweep_is_the_same_whatever_mesa_set(tmp_path: Path) -> None:
    """Mesa 3.3 sets the start method of processes to spawn when it is imported, for the whole process."""
    script = tmp_path / "sweep.py"
    script.write_text(SWEEP)
    found = {}
    for company in ("mesa", "nobody"):
        done = subprocess.run(
            [sys.executable, str(script), company, str(tmp_path / company)],
            cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
        found[company] = json.loads(done.stdout.splitlines()[-1])
    assert (found["mesa"][0], found["nobody"][0] == "spawn") == ("spawn", False)
    assert found["mesa"][1] == found["nobody"][1]
    assert len(set(found["mesa"][1])) == 4


EVERYTHING = """
import importlib, multiprocessing, pathlib, sys, warnings
warnings.simplefilter("ignore")
root, before = pathlib.Path.cwd(), multiprocessing.get_start_method(allow_none=True)
for file in sorted((root / "simlab").rglob("*.py")):
    name = ".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
    if not name.startswith("simlab.faces.mesa") and not name.endswith("__main__"):
        try:
            importlib.import_module(name)
        except ImportError as error:
            assert "simlab[" in str(error), (name, error)
names = {"simlab.cli.mesa", "simlab.live.supervisor", "simlab.runner.sweep.pools"}
assert names <= set(sys.modules), names - set(sys.modules)
after = multiprocessing.get_start_method(allow_none=True)
print(sorted({"mesa", "solara", "simlab.faces.mesa"} & set(sys.modules)), "spawn" in (before, after))
"""


@pytest.mark.slow
def test_no_module_of_ours_imports_mesa_or_sets_how_processes_start() -> None:
    done = subprocess.run([sys.executable, "-c", EVERYTHING], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1:] == ["[] False"], done.stderr


def test_mesa_is_asked_for_in_its_face_alone() -> None:
    def asks(file: Path) -> bool:
        names: set[str] = set()
        text = file.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text if "mesa" in text else "")):
            if isinstance(node, ast.Import):
                names |= {it.name.split(".")[0] for it in node.names}
            elif isinstance(node, ast.ImportFrom):
                names.add("mesa" if (node.module or "").startswith("simlab.faces.mesa") else "")
                names.add((node.module or "").split(".")[0])
        return "mesa" in names

    found = {str(it.relative_to(ROOT)) for it in (ROOT / "simlab").rglob("*.py") if asks(it)}
    assert {it for it in found if not it.startswith("simlab/faces/mesa/")} == {"simlab/cli/mesa.py"}
    assert "simlab/faces/mesa/model.py" in found
