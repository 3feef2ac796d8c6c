"""A market as a Mesa model: the same events as a run, agents that read the ledger, and what is refused."""

from __future__ import annotations

import copy
import gc
import pickle
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any

import mesa
import pytest

import simlab
from simlab.core.types import MessageKind, Reason
from simlab.errors import ConfigError, SimlabError, StrategyError
from simlab.faces.mesa import AccountAgent, Collector, MarketAgent, MarketModel

ROOT = Path(simlab.__file__).parent.parent
EMPTY: dict[str, Any] = {"steps": 5, "instruments": {"ACME": {"initial_price": 100}}}
CONFIG = {
    "seed": 3,
    "steps": 40,
    "instruments": {"ACME": {"initial_price": 1000}},
    "populations": {
        "makers": {
            "strategy": "market_maker",
            "count": 3,
            "parameters": {"half_spread": 2, "size": 5, "inventory_limit": 100},
            "account": {"cash": 1_000_000, "short_selling": "free"},
        },
        "noise": {
            "strategy": "noise",
            "count": 20,
            "activation": {"rate": 0.5},
            "account": {"cash": 1_000_000, "short_selling": "free"},
        },
    },
}


class Taker(MarketAgent):
    """Buys or sells a lot at the market, as its own draw says."""

    def step(self) -> None:
        self.market.market(self.random.choice(["buy", "sell"]), 1)


class Quoter(MarketAgent):
    """Keeps one bid below the best one."""

    def step(self) -> None:
        self.market.cancel_all()
        self.market.limit("buy", (self.market.best_bid or 990) - 1, 2)


@pytest.mark.parametrize("name", ["quickstart", "two_shares", "seats", "simultaneous", "latency"])
def test_a_model_is_the_run_of_the_same_file_event_for_event(name: str) -> None:
    file = ROOT / "configs" / f"{name}.yaml"
    model = MarketModel(file, steps=60, seed=11)
    assert isinstance(model, mesa.Model)
    while model.running:
        model.step()
    run = simlab.run(file, steps=60, seed=11, record=False)
    assert (model.steps, model.event_log_hash) == (60, run.event_log_hash)
    assert model.trades == run.trades > 0


def test_agents_carry_what_the_ledger_says_now() -> None:
    model = MarketModel(CONFIG)
    assert type(model.agents) is type(mesa.Model().agents)
    assert {type(it) for it in model.agents} == {AccountAgent}
    assert [it.name for it in model.agents][:4] == ["makers/0", "makers/1", "makers/2", "noise/0"]
    agents = list(model.agents)
    before = [it.cash for it in agents]
    model.run_model()
    for it in agents:
        account = model.simulation.account(it.account)
        inventory = account.positions[0].inventory
        assert (it.cash, it.inventory, it.inventories) == (account.cash, inventory, {"ACME": inventory})
        assert it.pnl == it.cash - 1_000_000 + inventory * model.mid
        assert it.open_orders == len(account.orders)
    assert [it.cash for it in agents] != before
    assert sum(model.agents.get("cash")) == sum(before)
    assert sum(model.agents.get("inventory")) == 0
    assert model.pnl["makers"] == pytest.approx(sum(it.pnl for it in agents[:3]) / 3)
    rows = {it["population"]: it["pnl_mean"] for it in model.simulation.summary()["populations"]}
    assert model.pnl == pytest.approx(rows)


def test_inventory_is_that_of_the_instruments_which_a_population_trades() -> None:
    model = MarketModel(ROOT / "configs" / "two_shares.yaml", steps=50)
    model.run_model()
    for it in model.agents:
        names = model.config.populations[it.population].instruments or model.instruments
        assert list(it.inventories) == sorted(names)
        assert it.inventory == it.inventories[sorted(names)[0]]
        position = model.simulation.account(it.account).positions
        assert it.inventories == {
            name: position[model.instruments.index(name)].inventory for name in sorted(names)
        }


def test_a_seat_that_does_nothing_changes_nothing() -> None:
    alone = MarketModel(CONFIG)
    alone.run_model()
    model = MarketModel(CONFIG)
    idle = MarketAgent.create_agents(model, 3)
    model.run_model()
    assert model.event_log_hash == alone.event_log_hash
    assert [it.population for it in idle] == ["zz_mesa"] * 3
    names = {it.name: it.account for it in alone.agents}
    assert {it.name: it.account for it in model.agents if isinstance(it, AccountAgent)} == names


def test_what_own_agents_do_follows_from_the_seed() -> None:
    def run(seed: int) -> tuple[str, list[float]]:
        model = MarketModel(CONFIG, seed=seed)
        own = [*Taker.create_agents(model, 3), *Quoter.create_agents(model, 2)]
        model.run_model()
        assert all(it.cash != 10_000_000 for it in own[:3])
        return model.event_log_hash, [it.pnl for it in own]

    assert run(5) == run(5)
    assert run(5)[0] != run(6)[0]


def test_an_order_is_answered_at_once() -> None:
    model = MarketModel(EMPTY)
    one, other = MarketAgent(model), MarketAgent(model)
    first = one.market.limit("sell", 101, 5)
    assert (one.market.best_ask, one.market.ask_depth) == (101, 5)
    second = other.market.limit("buy", 102, 3)
    assert second == first + 1
    assert [(it.quantity, it.price, it.order_id) for it in other.market.fills] == [(3, 101, second)]
    assert one.market.fills[0].quantity == -3
    assert (one.inventory, other.inventory, other.cash) == (-3, 3, 10_000_000 - 303)
    assert [(it.price, it.quantity) for it in one.market.orders] == [(101, 2)]
    one.market.replace(first, 103, 1)
    assert (model.best_ask, model.book().asks) == (103, ((103, 1, 1),))
    other.market.limit("buy", 99, 4)
    assert (one.market.mid, one.market.best_bid) == (101.0, 99)
    assert one.market.depth() == ([(99, 4)], [(103, 1)])
    one.market.cancel(first)
    assert model.best_ask is None
    other.market.cancel_all()
    assert (model.best_bid, other.market.portfolio.orders) == (None, ())
    assert one.market.refusals == other.market.refusals == []


def test_fills_are_told_once_between_turns() -> None:
    told: list[tuple[int, list[int]]] = []

    class Rests(MarketAgent):
        def step(self) -> None:
            told.append((self.market.step, [it.quantity for it in self.market.fills]))
            self.market.limit("sell", 100, 1)

    class Comes(MarketAgent):
        def step(self) -> None:
            if self.market.step == 2:
                self.market.market("buy", 2)

    class InTurn(MarketModel):
        def act(self) -> None:
            for each in (rests, comes):
                self.let_act(each)

    model = InTurn(EMPTY)
    rests, comes = Rests(model), Comes(model)
    model.run_model()
    assert told == [(0, []), (1, []), (2, []), (3, [-1, -1]), (4, [])]


def test_what_the_market_refuses_is_told_and_not_raised() -> None:
    model = MarketModel(EMPTY)
    poor, rich = MarketAgent(model, cash=50), MarketAgent(model)
    theirs = rich.market.limit("buy", 90, 1)
    order = poor.market.limit("buy", 100, 1)
    poor.market.cancel(theirs)
    poor.market.cancel(10**9)
    poor.market.limit("buy", 10**6, 10**6)
    found = [(it.kind, it.reason) for it in poor.market.refusals]
    assert found[:3] == [
        (MessageKind.LIMIT, Reason.FUNDS),
        (MessageKind.CANCEL, Reason.NOT_OWNER),
        (MessageKind.CANCEL, Reason.UNKNOWN_ORDER),
    ]
    assert len(found) == 4
    assert poor.market.refusals[0].order_id == order
    assert [it.price for it in rich.market.orders] == [90]


def test_a_configuration_may_have_the_seats_itself() -> None:
    file = ROOT / "configs" / "seats.yaml"
    model = MarketModel(file, steps=20)
    own = list(MarketAgent.create_agents(model, 4))
    with pytest.raises(SimlabError, match=r"no seat is free: the configuration has 4.*`strategy: outside`"):
        MarketAgent(model)
    assert [it.name for it in own] == ["people/0", "people/1", "people/2", "people/3"]
    assert own[0].inventory == 100
    model.step()
    with pytest.raises(SimlabError, match="no seat is free"):
        MarketAgent(model)
    own[1].remove()
    assert MarketAgent(model, population="people").name == "people/1"
    with pytest.raises(SimlabError, match=r"no population 'peple'.*did you mean 'people'"):
        MarketAgent(MarketModel(file), population="peple")


def test_who_leaves_gives_the_seat_back() -> None:
    model = MarketModel(EMPTY)
    goes, stays = Quoter(model), Quoter(model)
    model.step()
    assert len(model.book().bids) > 0
    goes.remove()
    assert list(model.agents) == [stays]
    with pytest.raises(SimlabError, match="was removed and has no seat"):
        goes.market.limit("buy", 90, 1)
    model.run_model()
    never = MarketModel(EMPTY)
    MarketAgent(never).remove()
    never.run_model()
    assert [it.name for it in never.simulation.spec.populations] == []


def test_after_the_last_step_comes_none() -> None:
    model = MarketModel(EMPTY, steps=2)
    agent = Quoter(model)
    model.run_model()
    assert (model.running, model.steps) == (False, 2)
    with pytest.raises(SimlabError, match=r"has run all its 2 steps; .*more `steps`"):
        model.step()
    assert model.steps == 2
    with pytest.raises(SimlabError, match="has run all its 2 steps"):
        agent.market.limit("buy", 90, 1)


def test_an_agent_trades_from_its_own_account_only() -> None:
    class Meddler(MarketAgent):
        def step(self) -> None:
            victim.market.limit("sell", 1, 1)

    model = MarketModel(EMPTY)
    victim, _ = MarketAgent(model), Meddler(model)
    with pytest.raises(
        SimlabError, match=r"agent 2 \(Meddler\) sends an order for the account zz_mesa/0 of agent 1"
    ):
        model.step()
    assert not model.running
    with pytest.raises(SimlabError, match=r"the market stopped at step 0 of 5 .*make a new model"):
        model.step()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"seed": 1.5}, "seed 1.5 is not a whole number"),
        ({"seed": 1, "rng": 1}, "given as seed and as rng; give it once"),
        ({"steps": 0}, "steps: .*1"),
        ({"populations.noise.cuont": 3}, "cuont: no such key.*count"),
        ({"populations.nise.count": 3}, "nise: no such key.*noise"),
    ],
)
def test_what_a_model_cannot_be_made_of_is_said(given: dict[str, Any], says: str) -> None:
    with pytest.raises(SimlabError, match=says):
        MarketModel(CONFIG, **given)


def test_mistakes_in_an_agent_are_errors_that_name_them() -> None:
    with pytest.raises(SimlabError, match="MarketAgent trades in a MarketModel, not in a Model"):
        MarketAgent(mesa.Model())
    model = MarketModel(EMPTY)
    agent = MarketAgent(model)
    with pytest.raises(StrategyError, match=r"price 99\.5 is not a whole number"):
        agent.market.limit("buy", 99.5, 1)  # type: ignore[arg-type]
    with pytest.raises(StrategyError, match=r"side 'long' is not known; use one of 'buy', 'sell'"):
        agent.market.market("long", 1)
    with pytest.raises(StrategyError, match=r"instrument 'ACEM' is not known.*'ACME'"):
        agent.market.market("buy", 1, instrument="ACEM")
    with pytest.raises(AttributeError):
        agent.cash = 10  # type: ignore[misc]
    with pytest.raises(ConfigError, match="no such key"):
        MarketModel(EMPTY, stps=3)


def test_other_mesa_agents_act_too_and_may_not_trade_for_others() -> None:
    acted: list[int] = []

    class Household(mesa.Agent):
        def step(self) -> None:
            acted.append(self.model.simulation.step)
            if self.model.simulation.step == 3:
                trader.market.limit("buy", 90, 1)

    model = MarketModel(EMPTY)
    trader, household = MarketAgent(model), Household(model)
    assert (trader.unique_id, household.unique_id) == (1, 2)
    with pytest.raises(SimlabError, match=r"agent 2 \(Household\) sends an order"):
        model.run_model()
    assert acted == [0, 1, 2, 3]


def test_a_collector_has_the_end_of_every_step() -> None:
    model = MarketModel(
        CONFIG,
        steps=4,
        model_reporters={"hash": "event_log_hash", "step": lambda it: it.simulation.step},
        agent_reporters={"cash": "cash", "pnl": "pnl"},
    )
    assert isinstance(model.datacollector, Collector)
    model.run_model()
    frame = model.datacollector.get_model_vars_dataframe()
    assert frame["step"].tolist() == [1, 2, 3, 4]
    assert frame["hash"].iloc[-1] == model.event_log_hash
    agents = model.datacollector.get_agent_vars_dataframe()
    numbers = agents.index.get_level_values("Step").unique().tolist()
    assert numbers in ([0, 1, 2, 3], [1, 2, 3, 4])
    assert agents.xs(numbers[-1], level="Step")["cash"].tolist() == [it.cash for it in model.agents]
    mids = MarketModel(CONFIG, steps=4)
    mids.run_model()
    assert mids.datacollector.get_model_vars_dataframe()["mid"].iloc[-1] == mids.mid


def test_a_collector_of_mesas_own_works() -> None:
    class Study(MarketModel):
        def __init__(self, config: Any, **kwargs: Any) -> None:
            super().__init__(config, **kwargs)
            self.data = mesa.DataCollector({"mid": "mid"}, {"inventory": "inventory"})
            self.data.collect(self)

        def step(self) -> None:
            super().step()
            self.data.collect(self)

    model = Study(CONFIG, steps=3)
    model.run_model()
    assert len(model.data.get_model_vars_dataframe()) == 4
    assert len(model.data.get_agent_vars_dataframe()) == 4 * 23


def test_a_model_that_is_over_is_let_go() -> None:
    model = MarketModel(CONFIG, steps=2)
    MarketAgent(model)
    model.run_model()
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_model_is_not_copied_for_it_would_be_half_of_one(way: Any) -> None:
    model = MarketModel(EMPTY)
    model.step()
    with pytest.raises(SimlabError, match=r"neither copied nor pickled.*model\.simulation\.fork\(\)"):
        way(model)
    model.step()
    assert model.steps == 2


def test_an_agent_that_another_removed_does_not_act_any_more() -> None:
    class Last(MarketAgent):
        def step(self) -> None:
            for other in [it for it in self.model.agents if it is not self]:
                other.remove()
            self.market.limit("buy", 99, 1)

    model = MarketModel(EMPTY)
    Last.create_agents(model, 3)
    for _ in range(3):
        model.step()
    (last,) = model.agents
    assert len(last.market.orders) == model.steps == 3
    model.remove_all_agents()
    assert (model.best_bid, len(model.agents)) == (None, 0)


def test_a_step_within_a_step_is_refused() -> None:
    class Hasty(MarketAgent):
        def step(self) -> None:
            self.model.step()

    model = MarketModel(EMPTY)
    Hasty(model)
    with pytest.raises(SimlabError, match=r"may not call model\.step"):
        model.step()
    assert (model.steps, model.running) == (0, False)


def test_what_is_wrong_is_said_where_it_is_given() -> None:
    with pytest.raises(SimlabError, match=r"model_reporters \['mid'\] is not a mapping"):
        MarketModel(EMPTY, model_reporters=["mid"])  # type: ignore[arg-type]
    model = MarketModel(EMPTY)
    for cash in (-5, 5.5, 1 << 62):
        with pytest.raises(SimlabError, match=rf"cash {cash} is not a whole number of 0 to"):
            MarketAgent(model, cash=cash)  # type: ignore[arg-type]
    assert len(model.agents) == 0


@pytest.mark.slow
def test_mesa_is_imported_by_nobody_who_did_not_ask() -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "import simlab, simlab.cli.app\n"
        "from simlab.cli import main\n"
        "sys.argv = ['simlab', 'run', 'configs/quickstart.yaml', '--steps', '5', '--no-record', '--quiet']\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "import simlab.faces, simlab.live, simlab.analysis, simlab.runner\n"
        "print(sorted({'mesa', 'solara'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_without_mesa_an_error_names_the_extra() -> None:
    code = "import sys; sys.modules['mesa'] = None; import simlab.faces.mesa"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert 'pip install "simlab[mesa]"' in done.stderr
