"""What docs/mesa.md shows is run, and does what the page says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import simlab
from simlab.runner.verify import verify_run

ROOT = Path(simlab.__file__).parent.parent
TEXT = (ROOT / "docs" / "mesa.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"^```python\n(.*?)^```$", TEXT, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_every_snippet_runs(tmp_path: Path) -> None:
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    said = []
    for number, snippet in enumerate(SNIPPETS):
        script = tmp_path / f"snippet_{number}.py"
        script.write_text(snippet, encoding="utf-8")
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, script], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, (snippet, done.stderr)
        said.append(done.stdout)
    run, own, recorded, many = said
    file = ROOT / "configs" / "quickstart.yaml"
    assert run.split()[0] == simlab.run(file, steps=200, seed=7, record=False).event_log_hash
    assert own.count("zz_mesa/") == 3
    assert verify_run(tmp_path / recorded.strip()).same
    assert len(set(re.findall(r"[0-9a-f]{16}", many))) == 4


def test_what_the_page_names_is_there() -> None:
    assert len(SNIPPETS) == 4
    links = [it for it in re.findall(r"\]\(([^)#]+)\)", TEXT) if not it.startswith("https:")]
    for named in [*links, "../tests/faces/test_mesa_llm.py"]:
        assert (ROOT / "docs" / named).exists(), named
