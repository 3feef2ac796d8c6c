"""News streams are Poisson, keyed by name, and say in words what the impact says in numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import pytest

from simlab.errors import ConfigError
from simlab.processes import NewsItem, Outside, OutsideBlock, OutsideSpec, PoissonNews, ScheduledNews

STEPS = 40_000


def _block(
    *poisson: PoissonNews,
    news: Iterable[ScheduledNews] = (),
    names: Iterable[str] = ("ACME",),
    steps: int = STEPS,
    seed: int = 1,
) -> OutsideBlock:
    spec = OutsideSpec(news=tuple(news), poisson=poisson)
    outside = Outside(spec, seed=seed, initial_prices=dict.fromkeys(names, 100.0))
    return outside.advance(outside.start(), steps)[0]


def _items(spec: PoissonNews, *, seed: int = 1) -> list[NewsItem]:
    return list(_block(spec, seed=seed).news)


def test_arrivals_are_poisson() -> None:
    items = _items(PoissonNews(0.2))
    counts = np.bincount([item.step for item in items], minlength=STEPS)
    assert counts.mean() == pytest.approx(0.2, abs=4 * math.sqrt(0.2 / STEPS))
    assert counts.var() == pytest.approx(0.2, rel=0.05)
    assert counts.max() > 1


def test_impact_sentiment_and_headline_agree() -> None:
    items = _items(PoissonNews(0.1, impact_scale=5.0, good=("{instrument} up",), bad=("{instrument} down",)))
    impacts = np.array([item.impact for item in items])
    assert impacts.std() == pytest.approx(5.0, rel=4 / math.sqrt(2 * len(items)))
    assert all(item.headline == ("ACME up" if item.impact > 0 else "ACME down") for item in items)
    assert all((item.sentiment > 0) == (item.impact > 0) for item in items)
    ranks = np.sort([item.sentiment for item in items])
    assert np.max(np.abs(ranks - np.linspace(-1, 1, len(ranks)))) < 4 / math.sqrt(len(ranks))


def test_a_stream_of_another_name_has_other_draws() -> None:
    one, other = _items(PoissonNews(0.01)), _items(PoissonNews(0.01, name="press"))
    assert [item.step for item in one] != [item.step for item in other]
    assert [item.step for item in one] == [item.step for item in _items(PoissonNews(0.01))]


def test_impacts_accumulate_in_the_fundamental() -> None:
    block = _block(PoissonNews(0.01, impact_scale=2.0), steps=2_000)
    total = sum(item.impact for item in block.news)
    assert block.fundamental[-1, 0] == pytest.approx(100.0 + total, rel=1e-12)


def test_scheduled_items_keep_their_order_and_come_before_random_ones() -> None:
    news = [ScheduledNews(5, None, "second"), ScheduledNews(2, "B", "first"), ScheduledNews(5, "A", "third")]
    block = _block(PoissonNews(10.0), news=news, names="BA", steps=6)
    at_five = [item for item in block.news if item.step == 5]
    assert [item.headline for item in at_five[:2]] == ["second", "third"]
    assert [item.instrument for item in at_five[:2]] == [-1, 0]
    assert next(item for item in block.news if item.step == 2).instrument == 1
    assert [item.step for item in block.news] == sorted(item.step for item in block.news)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: PoissonNews(0.0), "rate is 0.0"),
        (lambda: PoissonNews(11.0), "at most 10"),
        (lambda: PoissonNews(0.1, impact_scale=-1.0), "impact_scale is -1.0"),
        (lambda: PoissonNews(0.1, good=()), "at least one good"),
        (lambda: PoissonNews(0.1, bad=("{firm} falls",)), "'{firm} falls' has a placeholder"),
        (lambda: ScheduledNews(-1, None, "x"), "at least 0"),
        (lambda: ScheduledNews(1, None, "x", sentiment=2.0), "sentiment is 2.0"),
        (lambda: ScheduledNews(1, None, "x", impact=math.inf), "impact is inf"),
    ],
)
def test_news_that_cannot_be_is_refused(make: object, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        make()
