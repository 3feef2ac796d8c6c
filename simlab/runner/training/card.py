"""Write a model's card for people: Markdown, and a page with its figures."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from simlab.agents.ml import library

__all__ = ["CARD_PAGE", "FIGURES_PAGE", "write_card", "write_figures"]

CARD_PAGE = "card.md"
FIGURES_PAGE = "figures.html"


def write_card(folder: Path, card: Mapping[str, Any]) -> None:
    """Write what ``card.json`` says as Markdown."""
    label, split = card["label"], card["training"]
    sections = [
        f"# {card['estimator']}",
        _what(card),
        f"```sh\n{card['command']}\n```" if card["command"] else "",
        "## Scores",
        f"On the last {split['test_share']:.0%} of every run, {split['rows_scored']:,} rows; learned from"
        f" {split['rows_learned']:,} rows before, with a gap of {label['horizon']} steps between. `edge` is"
        " the mean move in the direction forecast, over the rows where there is one (`share`); `model,"
        " before` is on the rows that were learned from.",
        _table(card["scores"]),
        "## Features",
        f"Version {card['features']['version']} of the features; importance is by how much the"
        " score falls when a feature is shuffled.",
        _table(_with_importances(card)),
        "## Trained on",
        _table([{**it, "rows": " + ".join(map(str, it["rows"]))} for it in split["runs"]]),
        "## How",
        f"```yaml\n{yaml.safe_dump(card['config'], sort_keys=False, default_flow_style=None)}```",
        "Versions: " + ", ".join(f"{name} {it}" for name, it in card["versions"].items()) + ".",
        f"SHA-256 of `{card['model']['file']}`: `{card['model']['sha256']}`.",
    ]
    text = "\n\n".join(part for part in sections if part) + "\n"
    (folder / CARD_PAGE).write_text(text, encoding="utf-8")


def _what(card: Mapping[str, Any]) -> str:
    label = card["label"]
    what = "the sign" if label["kind"] == "sign" else "the size, in ticks,"
    dead = f"; moves of up to {label['dead_zone']:g} ticks are none" if label["kind"] == "sign" else ""
    shuffled = (
        " The labels it learned from were shuffled, so it has learned nothing: it is there to compare with."
        if card["training"]["shuffled_labels"]
        else ""
    )
    return (
        f"A {card['task']} that forecasts {what} of the move of the mid price over {label['horizon']} steps"
        f"{dead}. Use: `strategy: ml_{card['task']}`.{shuffled}"
    )


def _with_importances(card: Mapping[str, Any]) -> list[dict[str, Any]]:
    by_name = {it["feature"]: it for it in card["importances"]}
    return [
        {
            "feature": f"`{it['name']}`",
            "unit": it["unit"],
            "formula": it["formula"],
            "warm-up (steps)": it["warm_up"],
            "importance": f"{by_name[it['name']]['importance']:.4f} ± {by_name[it['name']]['std']:.4f}",
        }
        for it in card["features"]["described"]
    ]


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    names = list(rows[0])
    lines = [names, ["---"] * len(names), *([_cell(row[name]) for name in names] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)


def write_figures(folder: Path, card: Mapping[str, Any], deciles: Sequence[Mapping[str, float]]) -> None:
    """Write a page that works offline: what was forecast and what happened, and the importances."""
    go, subplots = library("plotly.graph_objects"), library("plotly.subplots")
    drawn = subplots.make_subplots(
        rows=1, cols=2, subplot_titles=("What happened after forecasts, weakest to strongest", "Importance"),
        horizontal_spacing=0.2,
    )  # fmt: skip
    axis = "forecast move (ticks)" if card["task"] == "regressor" else "probability of a rise less of a fall"
    x, y = ([it[name] for it in deciles] for name in ("forecast", "move"))
    drawn.add_trace(go.Scatter(x=x, y=y, mode="lines+markers", name="mean move"), row=1, col=1)
    drawn.update_xaxes(title_text=axis, row=1, col=1)
    drawn.update_yaxes(title_text=f"mean move over {card['label']['horizon']} steps (ticks)", row=1, col=1)
    least_first = card["importances"][::-1]
    bars = go.Bar(
        x=[it["importance"] for it in least_first],
        y=[it["feature"] for it in least_first],
        error_x={"array": [it["std"] for it in least_first]},
        orientation="h",
    )
    drawn.add_trace(bars, row=1, col=2)
    drawn.update_layout(template="plotly_white", showlegend=False, height=480)
    body = drawn.to_html(full_html=False, include_plotlyjs=True, config={"displayModeBar": False})
    title = html.escape(str(card["estimator"]))
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
    (folder / FIGURES_PAGE).write_text(f"{head}<body>{body}</body></html>\n", encoding="utf-8")
