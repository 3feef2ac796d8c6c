"""Say of every part of a specification whether it may change in a running market, and refuse what may not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simlab.agents.strategy import Calling
from simlab.errors import ConfigError, SimlabError
from simlab.kernel.audit import resting_orders
from simlab.kernel.spec import (
    Activation,
    Capacities,
    Fallback,
    Latency,
    Population,
    RecordingPlan,
    SimulationSpec,
)
from simlab.kernel.state import State
from simlab.market.instruments import AccountPolicy, Instrument
from simlab.processes import CustomerOrders, FundamentalSpec, OutsideSpec

__all__ = ["RULES", "alike", "last_entered", "require_possible"]

_NUMBERED = (
    "accounts are numbered one after the other in all that is recorded; run the parent with a population of"
    " another name that `joins` when its steps are over, and let it join in the fork"
)
_BEGAN = "it is what the market began with; leave it as it was, or run the market anew"
RULES: dict[type, dict[str, str | None]] = {
    SimulationSpec: {
        "seed": None,
        "steps": None,
        "instruments": None,
        "populations": None,
        "outside": None,
        "simultaneous": None,
        "step_duration_s": "steps of the past had that length; leave it, or run the market anew",
        "recording": None,
        "name": None,
        "capacities": None,
        "added": "instruments are listed by whoever trades; list it in the market that goes on",
    },
    Instrument: {
        "name": "it names what was traded; leave it as it was",
        "initial_price": _BEGAN,
        "tick_size": None,
        "lot_size": None,
        "multiplier": "what is held was paid for with it; leave it as it was, or run the market anew",
        "price_unit": None,
        "price_band": None,
        "maker_fee_ppm": None,
        "taker_fee_ppm": None,
        "self_trade": None,
        "description": None,
    },
    Population: {
        "name": "it names accounts; leave it as it was",
        "strategy": None,
        "count": _NUMBERED,
        "parameters": None,
        "options": None,
        "instruments": "its orders rest there; let the population leave, and another that trades others join",
        "activation": None,
        "latency": None,
        "account": None,
        "signal_noise": None,
        "joins": None,
        "leaves": None,
        "parameter_names": None,
        "fallback": None,
        "customers": None,
    },
    AccountPolicy: {
        "cash": _BEGAN,
        "inventory": _BEGAN,
        "borrowing": None,
        "short_limit": None,
        "position_limit": None,
        "reserve": None,
        "rate_limit": None,
        "rate_window": None,
        "max_open_orders": None,
    },
    Activation: dict.fromkeys(("rate", "period", "phase", "stagger", "steps")),
    Latency: dict.fromkeys(("low", "high")),
    Fallback: dict.fromkeys(("strategy", "parameters", "options", "parameter_names")),
    RecordingPlan: dict.fromkeys(("quotes_every", "depth_every", "depth_levels", "accounts_every")),
    Capacities: dict.fromkeys(("orders", "levels", "events", "quotes", "messages")),
    CustomerOrders: dict.fromkeys(
        ("side", "limit_prices", "units", "limit_step", "period", "timing", "redraw", "starts")
    ),
    OutsideSpec: dict.fromkeys(("fundamentals", "correlation", "news", "poisson", "shocks")),
    FundamentalSpec: {
        "instrument": "it names the instrument; leave it as it was",
        "model": None,
        "initial": _BEGAN,
    }
    | dict.fromkeys(("mean", "reversion", "volatility", "drift", "jump_rate", "jump_scale", "jump_mean"))
    | dict.fromkeys(("leverage", "feedback", "trend_memory", "trend_share"))
    | dict.fromkeys(("volatility_memory", "volatility_share", "path", "column")),
}
"""Of each class that a specification is made of, what may change (None), or why it may not and what to do.

`simlab.kernel.rebase` says what a change does. A field that is not named here may not change.
"""


class _Field(NamedTuple):
    """A field that differs: where it is, and its two values."""

    path: str
    name: str
    old: Any
    new: Any


def require_possible(old: SimulationSpec, new: SimulationSpec, state: State) -> None:
    """Raise ConfigError where a specification cannot take the place of another in a running market."""
    step = int(state.clock["step"][0])
    if new.steps < step:
        raise ConfigError(f"steps: {new.steps} is before step {step}, where the market stands; make it more")
    _require_names("instruments", old.instruments, new.instruments, "list it in a market that is running")
    _require_names("populations", old.populations, new.populations, _NUMBERED)
    _refuse_fixed("", old, new)
    for was, now in zip(old.instruments, new.instruments, strict=True):
        _refuse_fixed(f"instruments.{was.name}.", was, now)
        _require_orders_fit(f"instruments.{was.name}", now, _orders_in(state, new, was.name))
    for one, other in zip(old.populations, new.populations, strict=True):
        path = f"populations.{one.name}."
        _refuse_fixed(path, one, other)
        _refuse_fixed(f"{path}account.", one.account, other.account)
        _require_time(path, one, other, state)
        if (one.strategy.level is Calling.OUTSIDE) != (other.strategy.level is Calling.OUTSIDE):
            raise ConfigError(f"{path}strategy: seats stay seats, and others never become some; leave it")
    _require_outside(old, new, last_entered(state))


def last_entered(state: State) -> int:
    """Return the last step whose boundary is over: what was planned for it has entered."""
    step = int(state.clock["step"][0])
    return step if state.clock["outside_step"][0] > step else step - 1


def alike(one: Any, other: Any) -> bool:
    """Say whether two values are equal, arrays wherever they are in them too."""
    if one is other:
        return True
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return np.array_equal(one, other)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(alike(it, other[key]) for key, it in one.items())
    if isinstance(one, tuple | list) and isinstance(other, tuple | list):
        return len(one) == len(other) and all(map(alike, one, other))
    if is_dataclass(one) and type(one) is type(other):
        return all(alike(getattr(one, it.name), getattr(other, it.name)) for it in fields(one))
    return bool(one == other)


def _require_names(what: str, old: tuple[Any, ...], new: tuple[Any, ...], remedy: str) -> None:
    was, now = [it.name for it in old], [it.name for it in new]
    if was != now:
        differ = ", ".join(sorted({*was} ^ {*now})) or "their order"
        raise ConfigError(f"{what}: a running market keeps those that it began with ({differ}); {remedy}")


def _differing(path: str, old: Any, new: Any) -> Iterator[_Field]:
    for it in fields(old):
        was, now = getattr(old, it.name), getattr(new, it.name)
        if not alike(was, now):
            yield _Field(f"{path}{it.name}", it.name, was, now)


def _refuse_fixed(path: str, old: Any, new: Any) -> None:
    rules = RULES[type(old)]
    for it in _differing(path, old, new):
        if it.name not in rules:
            raise SimlabError(f"{it.path}: nobody has said what becomes of it in a running market; leave it")
        if rules[it.name] is not None:
            raise ConfigError(
                f"{it.path}: it cannot be {it.new} in a market that began with {it.old}: {rules[it.name]}"
            )


def _orders_in(state: State, spec: SimulationSpec, instrument: str) -> NDArray[Any]:
    resting, number, _ = resting_orders(state)
    return resting[number == [it.name for it in spec.instruments].index(instrument)]


def _require_orders_fit(path: str, item: Instrument, resting: NDArray[Any]) -> None:
    """Refuse terms on which orders that rest could not have been entered."""
    low, high = item.price_band
    wrong: tuple[tuple[str, Any, str, Callable[..., Any]], ...] = (
        ("tick_size", item.tick_size, "price", lambda it: it % item.tick_size != 0),
        ("lot_size", item.lot_size, "quantity", lambda it: it % item.lot_size != 0),
        ("price_band", [low, high], "price", lambda it: (it < low) | (it > high)),
    )
    for name, value, column, fails in wrong:
        unfit = np.unique(resting[column][fails(resting[column])])
        if len(unfit):
            raise ConfigError(
                f"{path}.{name}: {value} does not suit orders that rest, with a {column} of {int(unfit[0])}"
                + (f" and {len(unfit) - 1} others" if len(unfit) > 1 else "")
                + "; choose one that does, or fork where they are gone"
            )


def _require_time(path: str, old: Population, new: Population, state: State) -> None:
    step, entered = int(state.clock["step"][0]), last_entered(state)
    for name, was, now in (("joins", old.joins, new.joins), ("leaves", old.leaves, new.leaves)):
        if was == now:
            continue
        if was is not None and was <= entered:
            raise ConfigError(
                f"{path}{name}: step {was} is past; leave it as it was, and use shocks of the kinds leave and"
                f" join after step {entered}"
            )
        if now is not None and now < step:
            raise ConfigError(f"{path}{name}: {now} is before step {step}, where the market stands; wait")


def _require_outside(old: SimulationSpec, new: SimulationSpec, entered: int) -> None:
    was, now = old.outside, new.outside
    _refuse_fixed("outside.", was, now)
    for item in old.instruments:
        one, other = (_fundamental(it, item) for it in (was, now))
        _refuse_fixed(f"instruments.{item.name}.fundamental.", one, other)
        if (one.model == "file") != (other.model == "file"):
            raise ConfigError(
                f"instruments.{item.name}.fundamental.model: {one.model!r} cannot become {other.model!r} in a"
                " running market, where values would jump; leave it, or run the market anew"
            )
    for what in ("news", "shocks"):
        past = [Counter(map(repr, _until(getattr(it, what), entered))) for it in (was, now)]
        if past[0] != past[1]:
            differ = next(iter((past[0] - past[1]) + (past[1] - past[0])))
            raise ConfigError(
                f"{what}: up to step {entered} they are past, and this differs: {differ}; keep what was, and"
                f" change only what comes after step {entered}"
            )


def _until(items: tuple[Any, ...], entered: int) -> list[Any]:
    return [it for it in items if it.step <= entered]


def _fundamental(outside: OutsideSpec, item: Instrument) -> FundamentalSpec:
    """Return how an instrument's value moves; a model that has a value to begin with names it."""
    found = next((it for it in outside.fundamentals if it.instrument == item.name), None)
    found = FundamentalSpec(item.name) if found is None else found
    if found.model == "file" or found.initial is not None:
        return found
    return replace(found, initial=float(item.initial_price))
