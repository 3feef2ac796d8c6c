"""The SolaraViz page of a market: price, book and profits. `simlab mesa` serves it; `Page` is its component.

What it shows is set by `show` before the server starts. Every browser tab has a market of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import solara
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from mesa.visualization import SolaraViz
from mesa.visualization.utils import update_counter

from simlab.config import ExperimentConfig
from simlab.faces.mesa.floor import outside_populations
from simlab.faces.mesa.history import History
from simlab.faces.mesa.model import MarketModel

__all__ = ["Page", "PageModel", "show"]

_BUYS, _SELLS = "#1a7f5a", "#b3423a"
_WIDTH_IN, _HEIGHT_IN = 6.4, 5.0
_NARROW = """
@media (max-width: 959px) {
  .v-navigation-drawer {
    position: static !important; width: 100% !important; height: auto !important;
    max-height: none !important; transform: none !important; visibility: visible !important;
    box-shadow: none !important;
  }
  .v-application { overflow-x: clip; }
  .v-overlay, .v-application header { display: none !important; }
  .v-application--wrap, .v-application .v-main, .v-content { height: auto !important; padding: 0 !important; }
  .vue-grid-layout { height: auto !important; }
  .vue-grid-item {
    position: static !important; transform: none !important; width: 100% !important; height: auto !important;
  }
}
"""
"""On a narrow screen Mesa's controls lie over its charts, and these are half as wide: here all follow."""
_STEPS_A_DRAWING = 51
_MOST_SEED = 100

_shown: dict[str, Any] = {}


class PageModel(MarketModel):
    """A market that remembers what the page draws."""

    def __init__(self, config: ExperimentConfig, **kwargs: Any) -> None:
        super().__init__(config, model_reporters={}, **kwargs)
        self.history = History(self)

    def _step_if_open(self) -> None:
        """Begin a step, if one is left: a page runs as many as it draws at once, whether or not they are."""
        if self.running:
            super()._step_if_open()

    def step(self) -> None:
        """Run one step and remember how it ended."""
        super().step()
        self.history.add(self)


def show(config: ExperimentConfig) -> None:
    """Say which market the page is about."""
    _shown["config"] = config


@solara.component
def Page() -> None:  # noqa: N802
    """Show the market with the controls of Mesa."""
    config: ExperimentConfig = _shown["config"]
    instrument = solara.use_reactive(min(config.instruments))
    model = solara.use_memo(lambda: PageModel(config), [])

    def of_instrument(draw: Callable[[Axes, PageModel, str], None]) -> Callable[[PageModel], Any]:
        return lambda shown: _drawn(shown, lambda axes: draw(axes, shown, instrument.value))

    def chosen(_: PageModel) -> Any:
        return solara.Select("Instrument", value=instrument, values=sorted(config.instruments))

    solara.Style(_NARROW)
    several = [(chosen, 0)] if len(config.instruments) > 1 else []
    SolaraViz(
        model,
        components=[
            *several,
            (of_instrument(_price), 0),
            (of_instrument(_book), 0),
            (lambda shown: _drawn(shown, lambda axes: _pnl(axes, shown)), 0),
        ],
        model_params=_parameters(config),
        name=f"simlab: {config.name}",
        play_interval=11,
        render_interval=_STEPS_A_DRAWING,
    )


def _parameters(config: ExperimentConfig) -> Mapping[str, Any]:
    """Return what a person may change before a reset: the seed, and how many agents a population has."""
    outside = outside_populations(config)
    counts = {
        f"populations.{name}.count": {
            "type": "SliderInt",
            "label": f"Agents of {name} ({it.count} in the file)",
            "value": it.count,
            "min": 0,
            "max": max(10, 2 * it.count),
            "step": max(1, it.count // 20),
        }
        for name, it in config.populations.items()
        if name not in outside
    }
    most = max(_MOST_SEED, config.seed)
    seed = {
        "type": "SliderInt",
        "label": f"Seed ({config.seed} in the file)",
        "value": config.seed,
        "min": 0,
        "max": most,
        "step": 1,
    }
    return {"config": config, "seed": seed, **counts}


def _drawn(model: PageModel, draw: Callable[[Axes], None]) -> Any:
    """Return a chart, drawn anew when the page is."""
    figure = Figure(figsize=(_WIDTH_IN, _HEIGHT_IN), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    draw(axes)
    return solara.FigureMatplotlib(figure, dependencies=[update_counter.value, id(model)], format="svg")


def _price(axes: Axes, model: PageModel, instrument: str) -> None:
    line = model.history.mids[instrument]
    axes.plot(model.history.steps, line, color="#2457a8", linewidth=1.2)
    axes.set_title(f"{instrument}: mid {line[-1]:,.1f}", loc="left")
    axes.set_xlabel("step")
    axes.set_ylabel("price units")
    axes.yaxis.set_major_formatter("{x:,.0f}")


def _book(axes: Axes, model: PageModel, instrument: str) -> None:
    book = model.book(instrument)
    for levels, color, name in ((book.bids, _BUYS, "bids"), (book.asks, _SELLS, "asks")):
        axes.barh([it[0] for it in levels], [it[1] for it in levels], color=color, label=name)
    best = [f"{side[0][1]:,} at {side[0][0]:,}" if side else "nobody" for side in (book.bids, book.asks)]
    axes.set_title(f"Book: {best[0]} | {best[1]}", loc="left")
    axes.set_xlabel("lots")
    axes.set_ylabel("price units")
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.legend(loc="best", frameon=False)


def _pnl(axes: Axes, model: PageModel) -> None:
    for name, line in model.history.pnl.items():
        axes.plot(model.history.steps, line, label=name, linewidth=1.2)
    axes.axhline(0, color="#888888", linewidth=0.6)
    axes.set_title("Mean P&L of an agent", loc="left")
    axes.set_xlabel("step")
    axes.set_ylabel("money units")
    axes.yaxis.set_major_formatter("{x:,.0f}")
    if model.history.pnl:
        axes.legend(loc="best", frameon=False)
