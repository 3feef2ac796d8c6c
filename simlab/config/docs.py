"""Write ``docs/config.md`` from the schema: ``python -m simlab.config.docs``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from simlab.config.schema import schema

__all__ = ["main", "manual"]

_INTRODUCTION = """\
# The configuration file

One YAML file describes one experiment. This page is generated from the schema by
`python -m simlab.config.docs`; `simlab schema` prints the same as JSON Schema.

For completion and checks while typing, write the schema to a file,

    simlab schema > simlab.schema.json

and begin the YAML file with

    # yaml-language-server: $schema=simlab.schema.json

`simlab validate FILE` checks a file with everything it names and lists every problem at once.

## Rules

- YAML 1.2 scalars: `true` and `false` are the only booleans (`on`, `off`, `yes`, `no` are text), `1e6` and
  `1_000_000` are numbers, keys are always text. A key written twice is an error, and so is an unknown key.
- `extends: other.yaml` merges this file onto another, mapping by mapping; this file wins. Lists are replaced
  whole, and so are `activation`, `latency`, each entry of `parameters`, the `limit_price` and `units` of
  `customer_orders`, and a `fundamental` whose `model` differs. `null` in place of a mapping removes it.
  `name` is not taken over, so that two experiments do not record under one name.
- `--set a.b.c=VALUE` puts one value on top; VALUE is YAML. List items are addressed by number:
  `shocks.0.step`. The path must exist in the file or be a key of this page.
- A relative path is relative to the file it is written in. A strategy's file is looked for there first, then
  in the workspace: the nearest folder upwards with a `strategies` folder or a `pyproject.toml`.
- Prices are whole numbers of price units, quantities of lots, cash of money units, times of steps.

## Distributions

An entry of `parameters` is a number for all agents, or a distribution over them: `{uniform: [1, 20]}`,
`{normal: [0, 1]}`, `{normal: {mean: 0, std: 1}}`, `{lognormal: [0, 0.5]}` (of the logarithm),
`{exponential: 30}` (the mean), `{choice: [1, 2, 5]}`; or `{each: [75, 80, 85]}`, every agent's own value,
where nothing is drawn. Each agent draws from a stream of its own, so changing `count`, or any other
parameter, changes no other draw. A draw outside the parameter's range is drawn again; a distribution that
misses the range is an error. For a parameter that must be whole, `uniform` gives each whole number the same
chance and the others are rounded to the nearest.
"""

_LIMITS = """\
## Limits

Every whole number has an upper bound, and no sum or product of money may pass the range of 64 bits. So that
none does, an account, with all that it has on order, may be worth 2^60 (1.2e18) money units at the most, at
any price of `price_band` and with the highest fees, all instruments together; the cash of all accounts, and
their lots of one instrument, may come to four times as much; agents times instruments may come to
1,000,000,000. What the file alone decides is refused when it is read; what orders add is refused when they
arrive, with the reason MONEY_LIMIT.
"""

_TITLES = {
    "InstrumentConfig": "instruments.NAME",
    "ConstantConfig": "instruments.NAME.fundamental: constant",
    "MeanRevertingConfig": "instruments.NAME.fundamental: mean_reverting",
    "GeometricConfig": "instruments.NAME.fundamental: geometric",
    "PathDependentConfig": "instruments.NAME.fundamental: path_dependent",
    "FileConfig": "instruments.NAME.fundamental: file",
    "CorrelationConfig": "correlation",
    "NewsConfig": "news",
    "ScheduledNewsConfig": "news.scheduled",
    "PoissonConfig": "news.poisson",
    "FundamentalJumpConfig": "shocks: fundamental_jump",
    "FatFingerConfig": "shocks: fat_finger",
    "HaltConfig": "shocks: halt",
    "LeaveConfig": "shocks: leave",
    "JoinConfig": "shocks: join",
    "PopulationConfig": "populations.NAME",
    "FallbackConfig": "populations.NAME.fallback",
    "ActivationConfig": "populations.NAME.activation",
    "LatencyRange": "populations.NAME.latency",
    "AccountConfig": "populations.NAME.account",
    "MessageRate": "populations.NAME.account.message_rate",
    "CustomerOrdersConfig": "populations.NAME.customer_orders",
    "ShiftConfig": "populations.NAME.customer_orders.shifts",
    "LlmConfig": "llm",
    "CassetteConfig": "llm.cassette",
    "BudgetConfig": "llm.budget",
    "PriceConfig": "llm.prices.MODEL",
    "ThinkingConfig": "llm.thinking",
    "RecordingConfig": "recording",
    "CheckpointConfig": "checkpoint",
    "LiveConfig": "live",
    "LiveEngineConfig": "live.engine",
    "LiveGatewayConfig": "live.gateway",
    "LiveDashboardConfig": "live.dashboard",
    "LiveJournalConfig": "live.journal",
    "SeatsConfig": "live.seats",
    "SeatAccountConfig": "live.seats.account",
    "LiveLimitsConfig": "live.limits",
    "ListingConfig": "live.instruments.NAME",
}


def manual() -> str:
    """Return the text of ``docs/config.md``.

    Example
    -------
    >>> manual().splitlines()[0]
    '# The configuration file'
    """
    sections = [_INTRODUCTION, _section("The file", schema())]
    sections += [_section(f"`{title}`", schema()["$defs"][name]) for name, title in _TITLES.items()]
    return "\n".join([*sections, _LIMITS, *_limits(), ""])


def _limits() -> list[str]:
    """Return a table of the upper bounds of whole numbers, with their reasons."""
    keys: dict[tuple[int, str], list[str]] = {}
    for name, title in {"": "", **_TITLES}.items():
        section = schema()["$defs"][name] if name else schema()
        for key, field in section["properties"].items():
            for bound in _bounds(field, field.get("why", "")):
                keys.setdefault(bound, []).append(f"`{title}.{key}`" if title else f"`{key}`")
    rows = [f"| {most:,} | {why} | {', '.join(names)} |" for (most, why), names in keys.items()]
    return ["| at most | why | keys |", "| --- | --- | --- |", *rows]


def _bounds(field: Mapping[str, Any], why: str) -> set[tuple[int, str]]:
    """Return the bounds, with their reasons, of a field and of what it may hold."""
    why = field.get("why", why)
    own = {(field[key], why) for key in ("maximum", "maxProperties") if why and key in field}
    parts = [*field.get("anyOf", []), *field.get("oneOf", []), *field.get("prefixItems", [])]
    inside = [field.get(key) for key in ("items", "additionalProperties")]
    return own.union(*(_bounds(part, why) for part in [*parts, *inside] if isinstance(part, Mapping)))


def _section(title: str, section: Mapping[str, Any]) -> str:
    required = section.get("required", [])
    rows = [
        f"| `{name}` | {_kind(field)} | {_default(field, name in required)} | {field.get('unit', '')} |"
        f" {_described(field)} |"
        for name, field in section["properties"].items()
    ]
    head = ["| key | value | default | unit | meaning |", "| --- | --- | --- | --- | --- |"]
    return "\n".join([f"## {title}", "", section["description"].strip(), "", *head, *rows, ""])


def _kind(field: Mapping[str, Any]) -> str:
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if "$ref" in field:
        name = field["$ref"].rsplit("/", 1)[1]
        return (
            f"[{_TITLES.get(name, name)}](#{_anchor(_TITLES[name])})" if name in _TITLES else "distribution"
        )
    for alternative in ("anyOf", "oneOf"):
        if alternative in field:
            return " or ".join(dict.fromkeys(_kind(part) for part in field[alternative]))
    kind = field.get("type")
    if kind == "array":
        items = field.get("items") or field["prefixItems"][0]
        count = f"{field['minItems']} " if "prefixItems" in field else ""
        return f"list of {count}{_kind(items)}"
    if kind == "object":
        values = field.get("additionalProperties")
        return f"mapping of {_kind(values)}" if isinstance(values, Mapping) else "mapping"
    words = {"integer": "whole number", "number": "number", "boolean": "true or false", "string": "text"}
    return words.get(str(kind), str(kind)) + _range(field)


def _range(field: Mapping[str, Any]) -> str:
    parts = []
    if "minimum" in field:
        parts.append(f"from {field['minimum']:,}")
    if "exclusiveMinimum" in field:
        parts.append(f"above {field['exclusiveMinimum']:,}")
    if "maximum" in field:
        parts.append(f"to {field['maximum']:,}")
    return f" {' '.join(parts)}" if parts else ""


def _default(field: Mapping[str, Any], required: bool) -> str:
    if required:
        return "required"
    default = field.get("default")
    if isinstance(default, dict):
        default = {key: value for key, value in default.items() if value not in (None, False, 0, "", [], {})}
        return "" if len(default) != 1 else f"`{json.dumps(default)}`"
    return f"`{json.dumps(default)}`" if default not in (None, "", []) else ""


def _described(field: Mapping[str, Any]) -> str:
    return field.get("description", "").replace("\n", " ").replace("|", "\\|")


def _anchor(title: str) -> str:
    return "".join(letter for letter in title.lower().replace(" ", "-") if letter.isalnum() or letter in "-_")


def main() -> None:
    """Write the manual."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", nargs="?", type=Path, default=Path("docs/config.md"))
    path = parser.parse_args().path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(manual(), encoding="utf-8")


if __name__ == "__main__":
    main()
