"""An agent of mesa-llm in a market: it asks a model, and the tool that the model calls sends its order."""

from __future__ import annotations

import sys
from pathlib import Path
from subprocess import run

import pytest

pytest.importorskip("mesa_llm", reason="mesa-llm is not installed: pip install mesa-llm")

AGENT = """
import os
import sys

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # it would be fetched

from mesa_llm.llm_agent import LLMAgent
from mesa_llm.reasoning.cot import CoTReasoning
from mesa_llm.tools.tool_decorator import tool

from simlab.bench.endpoint import serving
from simlab.faces.mesa import MarketAgent, MarketModel
from simlab.runner.replay import replay_run


@tool
def prices(agent, steps: int) -> str:
    '''Buy so many lots at the market.

    Args:
        agent: Whose order it is.
        steps: Lots.

    Returns:
        What was bought.
    '''
    return f"order {agent.market.market('buy', steps)}"


class Trader(LLMAgent, MarketAgent):
    def step(self):
        self.pos = (0, 0)
        plan = self.reasoning.plan(obs=self.generate_obs(), selected_tools=["prices"])
        self.apply_plan(plan)


if __name__ == "__main__":
    with serving() as address:
        os.environ |= {"OPENAI_API_KEY": "none", "OPENAI_API_BASE": address}
        model = MarketModel("configs/quickstart.yaml", steps=3, seed=1, out=sys.argv[1])
        # The endpoint says what the prompt tells it to: a plan at first, and then the call of a tool.
        trader = Trader(
            model, reasoning=CoTReasoning, llm_model="openai/fake", step_prompt="behave: say=behave:%20tool"
        )
        model.run_model()
    assert model.steps == 3
    assert trader.inventory == 10, trader.inventory  # before the first step the book is empty
    assert replay_run(model.run_dir).same
    print("traded", trader.inventory)
"""


@pytest.mark.slow
def test_an_agent_of_mesa_llm_trades_as_its_model_says(tmp_path: Path) -> None:
    script = tmp_path / "traders.py"
    script.write_text(AGENT)
    done = run([sys.executable, script, tmp_path], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1:] == ["traded 10"], done.stderr
