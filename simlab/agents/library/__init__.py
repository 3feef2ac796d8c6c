"""The built-in strategies, by name.

Each module states the rule, its source, and what it leaves out. Importing the library compiles nothing.

Example
-------
>>> from simlab.agents.library import STRATEGIES
>>> STRATEGIES["avellaneda_stoikov"].parameters[0].name
'gamma'
"""

from __future__ import annotations

from simlab.agents.library.adaptive_aggressive import adaptive_aggressive
from simlab.agents.library.almgren_chriss import almgren_chriss
from simlab.agents.library.arbitrage import Arbitrage
from simlab.agents.library.avellaneda_stoikov import avellaneda_stoikov
from simlab.agents.library.benchmark import benchmark
from simlab.agents.library.chiarella_iori import chiarella_iori
from simlab.agents.library.execution import participation, twap
from simlab.agents.library.gjerstad_dickhaut import gd, gdx, hbl
from simlab.agents.library.gueant import gueant_lehalle_fernandez_tapia
from simlab.agents.library.market_maker import market_maker
from simlab.agents.library.news_trader import news_trader
from simlab.agents.library.noise import noise
from simlab.agents.library.order_imbalance import order_imbalance
from simlab.agents.library.order_splitting import order_splitter
from simlab.agents.library.outside import outside
from simlab.agents.library.personalities import PERSONALITIES
from simlab.agents.library.poisson_flow import poisson_flow, power_law_placement
from simlab.agents.library.policy import LearntPolicy
from simlab.agents.library.replay import Replay
from simlab.agents.library.simple_shouters import giveaway, przi, shaver, sniper
from simlab.agents.library.spoofer import spoofer
from simlab.agents.library.trend import mean_reversion, momentum
from simlab.agents.library.value import value
from simlab.agents.library.vwap import Vwap
from simlab.agents.library.zero_intelligence import zi_constrained, zi_unconstrained
from simlab.agents.library.zip_trader import zip_trader
from simlab.agents.llm.agent import LanguageModels
from simlab.agents.ml.online import MlOnline
from simlab.agents.ml.trained import MlClassifier, MlRegressor
from simlab.agents.strategy import Strategy

__all__ = ["STRATEGIES"]

STRATEGIES: dict[str, Strategy] = {
    strategy.name: strategy
    for strategy in (
        noise,
        zi_unconstrained,
        zi_constrained,
        zip_trader,
        gd,
        gdx,
        adaptive_aggressive,
        hbl,
        giveaway,
        shaver,
        sniper,
        przi,
        value,
        momentum,
        mean_reversion,
        chiarella_iori,
        market_maker,
        avellaneda_stoikov,
        gueant_lehalle_fernandez_tapia,
        order_imbalance,
        news_trader,
        Arbitrage.strategy,
        spoofer,
        twap,
        participation,
        Vwap.strategy,
        almgren_chriss,
        order_splitter,
        poisson_flow,
        power_law_placement,
        benchmark,
        Replay.strategy,
        LanguageModels.strategy,
        LearntPolicy.strategy,
        MlClassifier.strategy,
        MlRegressor.strategy,
        MlOnline.strategy,
        outside,
        *PERSONALITIES,
    )
}
"""Strategy by name, in the order of the documentation."""
