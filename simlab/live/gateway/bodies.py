"""Say what REST takes: the bodies of its requests, for checking and for the OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from simlab.live.fields import LINES, PLAIN, fault_of

__all__ = ["NewAgentBody", "NewInstrumentBody", "NewNewsBody", "SpeedBody", "StepBody"]


def _of(pattern: str) -> AfterValidator:
    def checked(text: str) -> str:
        if fault := fault_of(text, pattern):
            raise PydanticCustomError("control_character", "{fault}", {"fault": fault})
        return text

    return AfterValidator(checked)


_Text = Annotated[str, _of(PLAIN)]
_Lines = Annotated[str, _of(LINES)]
_Currency = Annotated[float, Field(gt=-1e9, lt=1e9, allow_inf_nan=False)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class NewInstrumentBody(_Body):
    """An instrument to list; prices in currency."""

    ticker: str = Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.\-]*$", max_length=16)
    initial_price: _Currency
    description: _Text = Field("", max_length=1000)
    industry: _Text = Field("", max_length=100)
    price_unit: float = Field(0.01, gt=0, le=1e6, description="What one price unit is worth, currency")
    tick_size: _Currency | None = Field(
        None, gt=0, description="Prices are multiples of it; one price unit if not given"
    )
    lot_size: int = Field(1, ge=1, le=2**31 - 1, description="Quantities are multiples of it")
    price_band: Annotated[tuple[_Currency, _Currency], Field(strict=False)] | None = Field(
        None, description="Lowest and highest price of an order"
    )


class NewAgentBody(_Body):
    """An agent to create; whoever registers under its id first trades for it."""

    name: _Text = Field(min_length=1, max_length=100)
    personality: _Text = Field("", max_length=200)
    starting_capital: float | None = Field(None, ge=0, le=1e12, description="Currency")
    strategy: _Text | None = Field(None, max_length=200, description="What lets it trade")
    parameters: dict[str, Any] | None = Field(None, max_length=100)


class NewNewsBody(_Body):
    """News to publish."""

    headline: _Lines = Field(min_length=1, max_length=200)
    content: _Lines = Field("", max_length=10_000)
    sentiment: float = Field(0.0, ge=-1, le=1, description="From -1, bad, to 1, good")
    source: _Text = Field("", max_length=200)
    instrument_id: int | None = Field(None, ge=1, le=2**31 - 1, description="What it is about, or all")
    impact: float = Field(0.0, ge=-1e6, le=1e6, description="What it adds to the value, currency")
    impact_type: _Text = Field("", max_length=200)


class StepBody(_Body):
    """How many steps to go."""

    steps: int = Field(1, ge=1, le=1_000_000)


class SpeedBody(_Body):
    """How fast to go."""

    steps_per_second: Annotated[float, Field(ge=1e-3, le=1e6, allow_inf_nan=False)] | Literal["max"]
