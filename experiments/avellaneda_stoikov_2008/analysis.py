"""Does the inventory strategy of Avellaneda and Stoikov give the paper's table, and less risk in a book?"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simlab.agents.library.avellaneda_stoikov import reservation_and_spread
from simlab.analysis import Run
from simlab.analysis.libraries import library
from simlab.analysis.tables import Mids
from simlab.runner.study import Claim, Lab, Trial

Array = NDArray[np.float64]

PRICE, SIGMA, K, A, STEPS = 100.0, 2.0, 1.5, 140.0, 200
DT = 1 / STEPS
PAPER_PATHS = 1_000
PATHS = 2_500
FIGURES = ("profit", "standard deviation of profit", "standard deviation of final inventory")
PAPER = {
    (0.1, False): (65.0, 6.6, 2.9),
    (0.1, True): (68.4, 12.7, 8.4),
    (0.01, False): (68.6, 8.7, 5.1),
    (0.01, True): (68.8, 12.8, 8.7),
}
SYMMETRIC = {"populations.maker.parameters.symmetric": 1}
RESAMPLES = 2_000


class World(NamedTuple):
    """One task: a number of the paper's sessions with one strategy."""

    gamma: float
    symmetric: bool
    seed: int


def quote_terms(gamma: float) -> tuple[Array, Array]:
    """Return for every step what one share shifts the reservation price by, and the spread; in price units.

    The strategy counts time in steps, so its sigma is that of one step.
    """
    step_sigma = SIGMA * np.sqrt(DT)
    terms = [
        reservation_and_spread(0.0, -1, gamma, step_sigma, K, remaining) for remaining in range(STEPS, 0, -1)
    ]
    shift, spread = np.array(terms).T
    return shift, spread


def play(world: World) -> tuple[Array, Array]:
    """Play `PATHS` sessions of the paper's world; return the profit and the final inventory of each.

    The mid price moves by sigma sqrt(dt) up or down; a quote at distance d fills with probability
    A exp(-k d) dt. The symmetric strategy quotes the average spread around the mid price.
    """
    generator = np.random.default_rng([world.seed, int(world.symmetric), round(1_000 * world.gamma)])
    shift, spread = quote_terms(world.gamma)
    if world.symmetric:
        shift, spread = np.zeros(STEPS), np.full(STEPS, spread.mean())
    mid = np.full(PATHS, PRICE)
    cash = np.zeros(PATHS)
    inventory = np.zeros(PATHS)
    for i in range(STEPS):
        lean = inventory * shift[i]
        bought = generator.random(PATHS) < A * np.exp(-K * (spread[i] / 2 + lean)) * DT
        sold = generator.random(PATHS) < A * np.exp(-K * (spread[i] / 2 - lean)) * DT
        cash += sold * (mid - lean + spread[i] / 2) - bought * (mid - lean - spread[i] / 2)
        inventory += bought.astype(float) - sold
        mid += SIGMA * np.sqrt(DT) * (1.0 - 2.0 * generator.integers(0, 2, PATHS))
    return cash + inventory * mid, inventory


def standard_deviation(values: Array) -> tuple[float, float]:
    """Return the standard deviation, and that of its estimate from one session (divide by sqrt(sessions)).

    The latter is std((x - mean)^2) / (2 std), which for normal values is std / sqrt(2).
    """
    deviation = float(values.std())
    return deviation, float(np.square(values - values.mean()).std() / (2 * deviation))


def estimates(profit: Array, inventory: Array) -> tuple[tuple[float, float], ...]:
    """Return the three `FIGURES`, each with the standard deviation of its estimate from one session."""
    return (
        (float(profit.mean()), float(profit.std())),
        standard_deviation(profit),
        standard_deviation(inventory),
    )


def table_claims(gamma: float, symmetric: bool, profit: Array, inventory: Array) -> list[Claim]:
    """Compare one row of the paper's table: within 3 standard errors of both simulations together."""
    claims = []
    strategy = "symmetric" if symmetric else "inventory"
    row = zip(FIGURES, PAPER[gamma, symmetric], estimates(profit, inventory), strict=True)
    for name, paper, (ours, variation) in row:
        error = variation / np.sqrt(profit.size)
        tolerance = 3 * variation * np.sqrt(1 / profit.size + 1 / PAPER_PATHS)
        claims.append(
            Claim(
                f"gamma {gamma}, {strategy} strategy: {name}",
                f"{paper}",
                ours,
                ours - 1.96 * error,
                ours + 1.96 * error,
                holds=abs(ours - paper) <= tolerance,
                reason=f"the paper's figure is more than 3 standard errors ({tolerance:.2f}) away",
            )
        )
    return claims


def session(run: Run) -> tuple[float, float]:
    """Return the maker's profit, money units, and final inventory, lots, valued at the last mid price."""
    accounts = run.accounts(columns=["step", "account", "cash", "inventory"], names=False)
    agents = run.agents()
    maker = agents.loc[agents["population"] == "maker", "account"].item()
    last = accounts[accounts["account"] == maker].iloc[-1]
    mid = Mids(run.whole("quotes"), run.instruments()).at(0, last["step"])
    return float(last["cash"] + last["inventory"] * mid), float(last["inventory"])


def spread_ratio(leaning: Array, symmetric: Array) -> tuple[float, float, float]:
    """Return std(leaning) / std(symmetric) and its 95% interval, from pairs drawn with replacement."""
    generator = np.random.default_rng(0)
    draws = generator.integers(0, leaning.size, (RESAMPLES, leaning.size))
    # With few seeds a draw may repeat a single one, which has no deviation.
    draws = draws[(draws != draws[:, :1]).any(axis=1)]
    ratios = leaning[draws].std(axis=1) / symmetric[draws].std(axis=1)
    low, high = np.percentile(ratios, [2.5, 97.5])
    return float(leaning.std() / symmetric.std()), float(low), float(high)


def book_claims(leaning: Array, symmetric: Array) -> list[Claim]:
    """Compare the risk of both strategies in the order book; arrays are (seeds, 2): profit, inventory."""
    claims = []
    for column, name in enumerate(FIGURES[1:]):
        ratio, low, high = spread_ratio(leaning[:, column], symmetric[:, column])
        inventory, benchmark = (PAPER[0.1, kind][column + 1] for kind in (False, True))
        claims.append(
            Claim(
                f"In the order book: {name}, inventory over symmetric strategy",
                f"below 1 ({inventory / benchmark:.2f})",
                ratio,
                low,
                high,
                holds=high < 1,
                reason="leaning against the inventory did not lower this risk",
            )
        )
    return claims


def figure(profits: dict[tuple[float, bool], Array]) -> Any:
    """Draw the distribution of profit of both strategies at gamma 0.1, with the paper's mean and risk."""
    go = library("plotly.graph_objects")
    drawn = go.Figure()
    bins = np.linspace(0, 130, 66)
    for symmetric, name in ((False, "inventory strategy"), (True, "symmetric strategy")):
        density, _ = np.histogram(profits[0.1, symmetric], bins, density=True)
        mean, risk, _ = PAPER[0.1, symmetric]
        normal = library("scipy.stats").norm.pdf(bins, mean, risk)
        drawn.add_bar(x=(bins[1:] + bins[:-1]) / 2, y=density, name=name, opacity=0.6)
        drawn.add_scatter(x=bins, y=normal, mode="lines", name=f"{name}, paper: {mean} ± {risk}")
    drawn.update_layout(
        barmode="overlay", title="Leaning against the inventory costs little and halves the risk"
    )
    drawn.update_xaxes(title="profit of a session (money units)")
    drawn.update_yaxes(title="density")
    return drawn


def book_figure(leaning: Array, symmetric: Array) -> Any:
    """Draw profit against final inventory of every session in the order book."""
    go = library("plotly.graph_objects")
    drawn = go.Figure()
    for sessions, name in ((leaning, "inventory strategy"), (symmetric, "symmetric strategy")):
        drawn.add_scatter(x=sessions[:, 1], y=sessions[:, 0], mode="markers", name=name)
    drawn.update_layout(title="The same two strategies in an order book, one point a seed")
    drawn.update_xaxes(title="final inventory (lots)")
    drawn.update_yaxes(title="profit (money units)")
    return drawn


def study(lab: Lab) -> list[Claim]:
    """Replicate the paper's tables in its own world, then compare the strategies in an order book."""
    worlds = [World(*row, seed) for row in PAPER for seed in lab.seeds(20)]
    played = lab.map(play, worlds)
    claims = []
    profits = {}
    for row in PAPER:
        of_row = [found for world, found in zip(worlds, played, strict=True) if world[:2] == row]
        profit, inventory = (np.concatenate(values) for values in zip(*of_row, strict=True))
        profits[row] = profit
        claims += table_claims(*row, profit, inventory)
    lab.figure(figure(profits))
    trials = [Trial(seed) for seed in lab.seeds(40)]
    twins = [Trial(trial.seed, set=SYMMETRIC) for trial in trials]
    found = np.array(lab.runs(session, trials + twins))
    leaning, symmetric = found[: len(trials)], found[len(trials) :]
    lab.figure(book_figure(leaning, symmetric))
    return claims + book_claims(leaning, symmetric)
