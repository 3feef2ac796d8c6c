"""The commands that write starting points: `simlab new strategy` and `simlab new workspace`."""

from __future__ import annotations

import keyword
import os
import re
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Annotated

import typer

from simlab.errors import SimlabError

__all__ = ["commands"]

commands = typer.Typer(no_args_is_help=True, help="Write starting points: a strategy, a workspace.")

_FIRST = "first_idea"
"""The strategy that a new workspace begins with."""


class _Level(StrEnum):
    COMPILED = "compiled"
    BATCH = "batch"
    AGENT = "agent"


@commands.command(
    epilog="Examples:\n\n    simlab new strategy dip_buyer\n\n    simlab new strategy dip_buyer --level batch"
)
def strategy(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it, as in dip_buyer.")],
    level: Annotated[
        _Level,
        typer.Option(help="agent: a class, an object an agent; batch: arrays; compiled: one fast function."),
    ] = _Level.AGENT,
) -> None:
    """Write a strategy that works, a market for it and a test into this workspace; overwrite nothing."""
    from simlab.agents.registry import workspace_root

    here = Path.cwd()
    root = workspace_root(here) or here
    _write(root, _strategy_files(name, level), told_from=here)
    config = os.path.relpath(root / "configs" / f"{name}.yaml", here)
    typer.echo(f"Run it with: simlab run {config}", err=True)


@commands.command(
    epilog="Example:\n\n    simlab new workspace lab && cd lab && simlab run configs/first_idea.yaml"
)
def workspace(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to write it into.")],
) -> None:
    """Write a workspace: strategies, markets, experiments, notebooks and tests; overwrite nothing."""
    name = folder.resolve().name
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "workspace"
    values = {"title": name, "slug": slug}
    written = {
        target: _filled(f"workspace/{source}", values)
        for target, source in (
            ("README.md", "README.md.txt"),
            ("pyproject.toml", "pyproject.toml.txt"),
            (".gitignore", "gitignore.txt"),
            (f"experiments/{_FIRST}.py", "experiment.py.txt"),
            (f"notebooks/{_FIRST}.ipynb", "notebook.ipynb.txt"),
            ("tests/test_configs.py", "test_configs.py.txt"),
        )
    }
    _write(folder, written | _strategy_files(_FIRST, _Level.AGENT), told_from=Path.cwd())
    typer.echo(f"Next: cd {folder} && simlab run configs/{_FIRST}.yaml", err=True)


def _strategy_files(name: str, level: _Level) -> dict[str, str]:
    """Return a strategy, its market and its test, by the path in a workspace.

    Raises
    ------
    SimlabError
        When Python cannot use the name.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        better = re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()).strip("_")
        usable = better.isidentifier() and not keyword.iskeyword(better)
        hint = f"; did you mean {better!r}?" if usable else ", such as dip_buyer"
        raise SimlabError(f"{name!r} is no name for a strategy; use lower-case letters, digits and '_'{hint}")
    class_name = "".join(part.capitalize() for part in name.split("_"))
    values = {
        "name": name,
        "class_name": class_name,
        "attribute": name if level is _Level.COMPILED else class_name,
        "title": name.replace("_", " ").capitalize(),
    }
    return {
        f"strategies/{name}.py": _filled(f"strategy/{level}.py.txt", values),
        f"configs/{name}.yaml": _filled("strategy/config.yaml.txt", values),
        f"tests/test_{name}.py": _filled("strategy/test.py.txt", values),
    }


def _filled(template: str, values: dict[str, str]) -> str:
    text = (files("simlab.cli") / "templates" / template).read_text(encoding="utf-8")
    return Template(text).substitute(values)


def _write(root: Path, contents: dict[str, str], *, told_from: Path) -> None:
    """Write all files and print their names, or none when one of them is there already."""
    there = [str(root / name) for name in contents if (root / name).exists()]
    if there:
        raise SimlabError(
            f"{', '.join(there)} exist{'s' * (len(there) == 1)} already, and nothing was written; choose"
            " another name, or move it away"
        )
    try:
        for name, text in contents.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
            typer.echo(os.path.relpath(path, told_from))
    except OSError as error:
        raise SimlabError(f"cannot write into {root}: {error}; choose another folder") from error
