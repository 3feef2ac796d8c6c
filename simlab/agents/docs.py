"""Write the reference of the built-in strategies: ``python -m simlab.agents.docs [FILE]``.

The text is made from what the code declares, so it cannot disagree with it; a test holds it current.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterable
from pathlib import Path

from simlab.agents.library import STRATEGIES
from simlab.agents.strategy import Needs, Option, Parameter, Strategy

__all__ = ["render", "write"]

DEFAULT_FILE = Path("docs/strategy_reference.md")

_HEAD = """# Built-in strategies

This page is generated from the code by `python -m simlab.agents.docs`; do not edit it.

A population names its strategy with the key `strategy` and sets parameters by name. The bounds are
inclusive; a parameter without a default must be given. Side is 0 for buy and 1 for sell. A step is whatever
the experiment says; the defaults are meant for one second, prices near 10,000 price units, and a tick of 1.
"""


def render(strategies: Iterable[Strategy]) -> str:
    """Return the reference as Markdown: a table of all strategies, then one section a module.

    Example
    -------
    >>> from simlab.agents.docs import render
    >>> from simlab.agents.library import STRATEGIES
    >>> render([STRATEGIES["noise"]]).splitlines()[0]
    '# Built-in strategies'
    """
    modules: dict[str, list[Strategy]] = {}
    for strategy in strategies:
        modules.setdefault(strategy.defined_in, []).append(strategy)
    rows = [
        f"| [`{strategy.name}`](#{strategy.name.replace('/', '')}) | {strategy.level} | {strategy.summary} |"
        for members in modules.values()
        for strategy in members
    ]
    overview = "\n".join(["| Name | Level | What it does |", "|---|---|---|", *rows])
    sections = [_module_section(module, members) for module, members in modules.items()]
    return "\n".join([_HEAD, overview, "", *sections]).rstrip() + "\n"


def write(path: Path = DEFAULT_FILE) -> None:
    """Write the reference of the whole library to a file."""
    path.write_text(render(STRATEGIES.values()), encoding="utf-8")


def _module_section(module: str, members: list[Strategy]) -> str:
    text = importlib.import_module(module).__doc__ or ""
    title, _, body = text.strip().partition("\n")
    heading = f"## {title.rstrip('.')}\n\n{_markdown(body.strip())}\n\nDefined in `{module}`.\n"
    return "\n".join([heading, *map(_strategy_section, members)])


def _strategy_section(strategy: Strategy) -> str:
    lines = [f"### {strategy.name}", "", strategy.summary]
    if strategy.base is not None:
        return "\n".join([*lines, "", _preset(strategy, strategy.base), ""])
    if strategy.source:
        lines += ["", f"Source: {strategy.source}."]
    lines += ["", f"Sees, beyond best prices and its own account: {_needs(strategy.needs)}."]
    if strategy.option_types:
        lines += ["", "| Option | Default | Type | Meaning |", "|---|---|---|---|"]
        lines += [_option_row(option) for option in strategy.option_types]
    if strategy.parameters:
        lines += ["", "| Parameter | Default | Unit | Bounds | Meaning |", "|---|---|---|---|---|"]
        lines += [_row(parameter) for parameter in strategy.parameters]
    return "\n".join([*lines, ""])


def _preset(strategy: Strategy, base: Strategy) -> str:
    """Say what a preset is one of, and which defaults differ."""
    of = f"A preset of [`{base.name}`](#{base.name})"
    own = [
        f"`{it.name}` {_number(it.default)}"
        for it, there in zip(strategy.parameters, base.parameters, strict=True)
        if it.default != there.default
    ]
    return f"{of}, whose defaults it keeps." if not own else f"{of}, with the defaults {', '.join(own)}."


def _row(parameter: Parameter) -> str:
    default = "required" if parameter.required else _number(parameter.default)
    bounds = f"{_number(parameter.low)} to {_number(parameter.high)}"
    if parameter.integer:
        bounds += ", whole"
    return f"| `{parameter.name}` | {default} | {parameter.unit} | {bounds} | {parameter.description} |"


def _option_row(option: Option) -> str:
    default = "required" if option.required else f"`{option.written_default!r}`"
    kind = option.kind.replace("|", "\\|")
    return f"| `{option.name}` | {default} | `{kind}` | {option.description} |"


def _needs(needs: Needs) -> str:
    parts = [f"{needs.depth} levels of depth"] if needs.depth else []
    parts += ["its resting orders"] if needs.orders else []
    parts += ["its private signal of the fundamental value"] if needs.signal else []
    parts += ["the latest news"] if needs.news else []
    parts += ["the ends of past steps"] if needs.history else []
    return ", ".join(parts) or "nothing"


def _number(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) < 1e16 else f"{value:g}"


def _markdown(docstring: str) -> str:
    """Turn a docstring's underlined headings into bold lines and its ``::`` blocks into code blocks."""
    text = re.sub(r"^(\w[\w ]*)\n-{3,}$", r"**\1**\n", docstring, flags=re.MULTILINE)
    return re.sub(r"::$", ":", text, flags=re.MULTILINE)


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_FILE)
