"""The mean book under power-law placement: where its maximum is, and how it decays beyond."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simlab.analysis import Run
from simlab.analysis.libraries import library
from simlab.analysis.quality import book_shape
from simlab.runner.study import Claim, Lab, Trial, mean_interval

EXPONENT = 0.6
WARM_UP = 40_000
FARTHEST = 200
TAIL = (40, 200)


def mean_book(run: Run) -> tuple[NDArray[np.float64], float]:
    """Return the mean depth (lots) 0 to 200 ticks from the best price, and the diffusion length (ticks)."""
    depth = run.depth(names=False, steps=(WARM_UP, None))
    shape = book_shape(depth, run.instruments(), max_distance=FARTHEST)
    sides = shape[shape["reference"] == "best"].groupby("distance")["depth"].mean()
    return sides.loc[list(range(FARTHEST + 1))].to_numpy(), diffusion_length(run)


def diffusion_length(run: Run) -> float:
    """Return sqrt(D / 2 Gamma), D the variance per step of the best prices over an order's mean life."""
    cancel_rate = run.config["populations"]["crowd"]["parameters"]["cancel_rate"]
    quotes = run.quotes(columns=["best_bid", "best_ask"], steps=(WARM_UP, None)).to_numpy(float)
    lag = round(1 / cancel_rate / run.config["recording"]["quotes_every"])
    return math.sqrt(np.nanmean((quotes[lag:] - quotes[:-lag]) ** 2) / 2)


def approximation(distance: ArrayLike, exponent: float = EXPONENT) -> NDArray[np.float64]:
    r"""Return the paper's approximate mean book at distances in units of the diffusion length, not scaled.

    .. math:: e^{-x} \int_0^x u^{-1-\mu} \sinh u \, du + \sinh x \int_x^\infty u^{-1-\mu} e^{-u} \, du

    the solution of rho'' = rho - x^(-1-mu) that is 0 at x = 0 and far away.
    """
    quad = library("scipy.integrate").quad

    def at(x: float) -> float:
        near = quad(lambda u: u ** (-1 - exponent) * (math.exp(u - x) - math.exp(-u - x)) / 2, 0, x)[0]
        far = quad(lambda u: u ** (-1 - exponent) * math.exp(x - u), x, math.inf)[0]
        return near + far * (1 - math.exp(-2 * x)) / 2

    return np.array([at(x) for x in np.atleast_1d(np.asarray(distance, float))])


def peak_of_approximation() -> float:
    """Return where the approximate mean book is largest, in diffusion lengths."""
    found = library("scipy.optimize").minimize_scalar(
        lambda x: -approximation(x)[0], bounds=(0.01, 5), method="bounded"
    )
    return float(found.x)


def tail_slope(book: NDArray[np.float64]) -> float:
    """Return the slope of log depth on log distance in the tail, from means over eight logarithmic bins."""
    edges = np.unique(np.geomspace(*TAIL, 9).round().astype(int))
    ranges = list(pairwise(edges))
    distance = [np.sqrt(low * high) for low, high in ranges]
    return float(np.polyfit(np.log(distance), np.log([book[low:high].mean() for low, high in ranges]), 1)[0])


def claims(books: NDArray[np.float64], lengths: ArrayLike) -> list[Claim]:
    """Judge ``(seeds, distances)`` mean books and their ``(seeds,)`` diffusion lengths."""
    peaks = books.argmax(axis=1)
    peak = mean_interval(peaks)
    slope = mean_interval([tail_slope(book) for book in books])
    expected = peak_of_approximation()
    ratio = mean_interval(peaks / np.asarray(lengths) / expected)
    tail_holds = abs(slope[0] + 1 + EXPONENT) <= 0.2
    ratio_holds = ratio[1] >= 0.5 and ratio[2] <= 2
    return [
        Claim(
            "Distance of the maximum of the mean book from the best price",
            "above 0",
            *peak,
            holds=peak[1] > 0,
            unit=" ticks",
            reason="" if peak[1] > 0 else "the best price does not move enough to thin out the book near it",
        ),
        Claim(
            "Log-log slope of the mean book, 40 to 200 ticks away",
            "-1.6 within 0.2",
            *slope,
            holds=tail_holds,
            reason="" if tail_holds else "prices so near still feel the moves of the best price",
        ),
        Claim(
            "Distance of the maximum over that of the approximation",
            "1 within a factor of 2",
            *ratio,
            holds=ratio_holds,
            reason=""
            if ratio_holds
            else "the approximation lets the best price move independently of the book, in infinitely small "
            "steps; here it moves because orders near it are gone, by several ticks at once",
        ),
    ]


def book_figure(books: NDArray[np.float64], lengths: ArrayLike) -> object:
    """Draw the mean book and its range over the seeds, beside the approximation scaled to the same tail."""
    go = library("plotly.graph_objects")
    distance = np.arange(books.shape[1])
    mean = books.mean(axis=0)
    curve = np.geomspace(0.2, distance[-1], 120)
    theory = approximation(curve / np.mean(lengths))
    far = slice(*TAIL)
    theory *= mean[far].sum() / approximation(distance[far] / np.mean(lengths)).sum()
    line = {"x": distance + 1, "mode": "lines", "line_width": 0}
    figure = go.Figure(go.Scatter(y=books.min(axis=0), showlegend=False, **line))
    figure.add_scatter(y=books.max(axis=0), fill="tonexty", name="simlab, range over the seeds", **line)
    figure.add_scatter(x=distance + 1, y=mean, mode="lines+markers", name="simlab, mean")
    figure.add_scatter(
        x=curve + 1, y=theory, mode="lines", line_dash="dash", name="paper's approximation, scaled"
    )
    figure.update_xaxes(type="log", title="1 + distance from the best price (ticks)")
    figure.update_yaxes(type="log", title="mean depth (lots)")
    return figure


def study(lab: Lab) -> list[Claim]:
    """Run the market with several seeds."""
    found = lab.runs(mean_book, [Trial(seed) for seed in lab.seeds(16)])
    books = np.array([book for book, _ in found])
    lengths = np.array([length for _, length in found])
    lab.figure(book_figure(books, lengths))
    return claims(books, lengths)
