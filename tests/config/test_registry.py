"""A strategy is found by name, by module and by file, and what cannot be found is explained."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from simlab.agents.registry import (
    known_strategies,
    resolve,
    source_file,
    strategies_in,
    workspace_root,
)
from simlab.agents.strategy import Calling
from simlab.errors import PluginError

PLUGIN = """
from simlab.agents.compiled import compiled_strategy


@compiled_strategy({name!r}, "Does nothing.")
def idle(view, me, rng, orders):
    pass


class Carrier:
    strategy = idle
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path in which distributions with entry points can be installed."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    return folder


def _install(site: Path, package: str, name: str, attribute: str = "idle") -> None:
    (site / f"{package}.py").write_text(PLUGIN.format(name=name))
    info = site / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[simlab.strategies]\n{name} = {package}:{attribute}\n")


def _refused(text: str, folder: Path | None = None) -> str:
    with pytest.raises(PluginError) as caught:
        resolve(text, folder=folder)
    return str(caught.value)


def test_every_built_in_strategy_is_known_by_its_name() -> None:
    known = known_strategies()
    assert {"noise", "market_maker", "value"} <= set(known)
    assert all(resolve(name).name == name for name in known)


def test_entry_points_are_found(site: Path) -> None:
    _install(site, "registry_plain", "plain_idler")
    _install(site, "registry_carrier", "carried_idler", "Carrier")
    assert {"plain_idler", "carried_idler"} <= set(known_strategies())
    assert resolve("plain_idler").level is Calling.COMPILED
    assert resolve("carried_idler").defined_in == "registry_carrier"


def test_two_plugins_with_one_name_are_an_error_that_names_both(site: Path) -> None:
    _install(site, "registry_twice_a", "twice")
    _install(site, "registry_twice_b", "twice")
    _install(site, "registry_noise", "noise")
    assert "'registry_twice_a:idle' of package registry_twice_a" in _refused("twice")
    assert "'registry_twice_b:idle' of package registry_twice_b" in _refused("twice")
    text = _refused("noise")
    assert "simlab itself (simlab.agents.library.noise)" in text
    assert "registry_noise" in text


def test_module_form(site: Path) -> None:
    (site / "registry_module.py").write_text(PLUGIN.format(name="idler"))
    assert resolve("registry_module:idle").defined_in == "registry_module"
    assert source_file(resolve("registry_module:Carrier")) == site / "registry_module.py"
    assert "has no 'idel'; did you mean 'idle'?" in _refused("registry_module:idel")
    assert "there is no module 'registry_nowhere'" in _refused("registry_nowhere:idle")
    assert "'compiled_strategy' is a function, not a strategy" in _refused(
        "registry_module:compiled_strategy"
    )


def test_a_module_that_needs_a_missing_one_says_which(site: Path) -> None:
    (site / "registry_needy.py").write_text("import registry_missing_dependency\n")
    assert "registry_needy needs a missing module: No module named 'registry_missing" in _refused(
        "registry_needy:x"
    )


def test_file_form_keeps_the_real_file_so_that_numba_can_cache(workspace: Path) -> None:
    strategy = resolve("joiner.py:joiner", folder=workspace / "strategies")
    assert strategy.name == "joiner"
    assert source_file(strategy) == workspace / "strategies" / "joiner.py"
    loaded = [name for name in sys.modules if name.startswith("simlab_plugin_joiner_")]
    assert str(workspace / "strategies" / "joiner.py") in {sys.modules[name].__file__ for name in loaded}


def test_a_changed_file_is_loaded_anew(workspace: Path) -> None:
    file = workspace / "strategies" / "joiner.py"
    before = resolve("strategies/joiner.py:joiner", folder=workspace)
    assert resolve("strategies/joiner.py:joiner", folder=workspace) == before
    file.write_text(file.read_text().replace("Joins the best bid.", "Changed."))
    assert resolve("strategies/joiner.py:joiner", folder=workspace).summary == "Changed."


def test_workspace_root_is_the_nearest(workspace: Path) -> None:
    inner = workspace / "inner" / "configs"
    inner.mkdir(parents=True)
    assert workspace_root(inner) == workspace
    (workspace / "inner" / "pyproject.toml").write_text("")
    assert workspace_root(inner) == workspace / "inner"


def test_file_form_refusals(workspace: Path) -> None:
    folder = workspace / "configs"
    assert "did you mean 'joiner.py'?" in _refused("strategies/joner.py:joiner", folder)
    assert "has no 'joinr'; did you mean 'joiner'?" in _refused("strategies/joiner.py:joinr", folder)
    assert "choices: strategies/joiner.py:joiner" in _refused("strategies/joiner.py", folder)
    assert "'not_a_strategy' is a int, not a strategy" in _refused(
        "strategies/joiner.py:not_a_strategy", folder
    )


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("x = 1\ny = 1 / 0\n", "broken.py, line 2 failed: ZeroDivisionError: division by zero"),
        ("x = 1\n\ndef f(:\n", "broken.py, line 3 failed: SyntaxError: "),
        ("import json\njson.loads('{')\n", "broken.py, line 2 failed: JSONDecodeError: "),
        ("raise SystemExit(3)\n", "broken.py, line 1 failed: SystemExit: 3"),
    ],
)
def test_a_broken_file_names_its_line_and_exception(workspace: Path, code: str, expected: str) -> None:
    (workspace / "strategies" / "broken.py").write_text(code)
    assert expected in _refused("strategies/broken.py:x", workspace)


def test_unknown_name_gives_the_nearest_and_how_to_list() -> None:
    assert (
        _refused("nois")
        == "unknown strategy 'nois'; did you mean 'noise'?; `simlab strategies` lists them all"
    )


def test_every_strategy_can_be_pickled() -> None:
    for strategy in known_strategies().values():
        assert pickle.loads(pickle.dumps(strategy)) == strategy


def test_a_pickled_strategy_is_found_again_in_another_process(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from simlab.agents.each import agent_strategy\n\n\n@agent_strategy('mine', 'Sleeps.')\nclass Mine:\n"
        "    def decide(self, observation, orders):\n        pass\n"
    )
    kept = pickle.dumps(resolve("mine.py:Mine", folder=tmp_path))
    code = "import pickle, sys; print(pickle.load(sys.stdin.buffer).make.__name__)"
    done = subprocess.run([sys.executable, "-c", code], input=kept, capture_output=True, check=True)
    assert done.stdout.strip() == b"Mine"


def test_all_strategies_of_a_file_are_found_but_not_those_it_imports(workspace: Path) -> None:
    file = workspace / "strategies" / "joiner.py"
    file.write_text(file.read_text() + "\nfrom simlab.agents.library.noise import noise\n")
    assert list(strategies_in("strategies/joiner.py", folder=workspace)) == ["strategies/joiner.py:joiner"]
    (workspace / "strategies" / "none.py").write_text("from simlab.agents.library.noise import noise\n")
    with pytest.raises(PluginError, match=r"none\.py declares no strategy; declare one with @compiled_strat"):
        strategies_in("strategies/none.py", folder=workspace)


WRITTEN = "from simlab.agents.each import Parameter, agent_strategy\nimport simlab.agents.each as each\n"
DECIDES = "class Mine:\n    'Sleeps.'\n    def decide(self, observation, orders):\n        pass\n"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("from simlab.agents.each import agent_startegy\n", "did you mean 'agent_strategy'?"),
        (f"{WRITTEN}@each.agent_strat('mine', 'x')\n{DECIDES}", "did you mean 'agent_strategy'?"),
        (f"{WRITTEN}@agent_stategy('mine', 'x')\n{DECIDES}", "did you mean 'agent_strategy'?"),
        (
            f"{WRITTEN}@agent_strategy\n{DECIDES}",
            '@agent_strategy takes the strategy\'s name first, as in @agent_strategy("its_name",'
            ' "What it does.") above class Mine',
        ),
        (
            f"{WRITTEN}@agent_strategy('mine', (Parameter('size', 1, 'lots', 'Size.'),))\n{DECIDES}",
            "takes a summary second, a text that says what it does, not (Parameter(",
        ),
        (
            f"{WRITTEN}@agent_strategy('mine', 'x', (Parameter('size', 1, 'lots', 'Size.')))\n{DECIDES}",
            "parameters must be a tuple of Parameter(...), not Parameter(",
        ),
        (f"{WRITTEN}@agent_strategy('mine', 'x', options=('path'))\n{DECIDES}", "a single one needs a comma"),
        (
            f"{WRITTEN}@agent_strategy('mine', 'x')\ndef mine(observation, orders):\n    pass\n",
            "@agent_strategy is for a class with a method decide, and def mine is none; for a function",
        ),
        (
            f"{WRITTEN}@agent_strategy('mine', 'x')\nclass Mine:\n    def decide(self, observation): pass\n",
            "class Mine needs a method decide(self, observation, orders); it has decide(self, observation)",
        ),
        (
            f"{WRITTEN}@agent_strategy('mine')\nclass Mine:\n    def decide(self, o, q):\n        pass\n",
            "class Mine says nowhere what it does; give @agent_strategy a summary, or the class a docstring",
        ),
        (
            f"from simlab.agents.compiled import *\n@compiled_strategy('mine', 'x')\n{DECIDES}",
            "@compiled_strategy is for a function decide(view, me, rng, orders), not a class",
        ),
        (
            "from simlab.agents.compiled import compiled_strategy\n@compiled_strategy('mine', 'x')\n"
            "def mine(view, orders):\n    pass\n",
            "a compiled strategy takes (view, me, rng, orders), but def mine takes (view, orders)",
        ),
        (
            "from simlab.agents.compiled import compiled_strategy\n@compiled_strategy\n"
            "def mine(view, me, rng, orders):\n    pass\n",
            '@compiled_strategy takes the strategy\'s name first, as in @compiled_strategy("its_name",',
        ),
    ],
)
def test_a_misused_decorator_shows_how_it_is_used(workspace: Path, code: str, expected: str) -> None:
    (workspace / "strategies" / "mine.py").write_text(code)
    told = _refused("strategies/mine.py:Mine", workspace)
    assert expected in told
    assert "mine.py, line " in told


def test_a_module_that_fails_names_its_line(site: Path) -> None:
    (site / "registry_failing.py").write_text("x = 1\nx / 0\n")
    assert f"failed in {site}/registry_failing.py, line 2: ZeroDivisionError" in _refused(
        "registry_failing:x"
    )
