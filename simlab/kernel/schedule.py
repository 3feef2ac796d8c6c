"""Who acts in a step, and in which order.

Agents that act by rate, period or at given steps wait in a wheel of buckets, so that a step costs time
only for those that are due. Each activated agent draws its own place in the step; the order is that of
the places, ties by number. A batch population is one actor: it draws one place for all its agents.
"""

from __future__ import annotations

import numpy as np

from simlab.core.jit import jit, jit_inline
from simlab.core.numerics import log
from simlab.core.random import Role, block, open_unit
from simlab.kernel.state import (
    BY_PERIOD,
    BY_RATE,
    EVERY_STEP,
    G_CURSOR,
    G_DUE,
    G_NEXT,
    G_POPULATION,
    LEVEL_BATCH,
    P_ACTIVATION,
    P_COUNT,
    P_DUE_COUNT,
    P_FIRST,
    P_LEVEL,
    P_PERIOD,
    P_PRESENT,
    P_STEPS,
    P_STEPS_AT,
    PF_LOG_QUIET,
    T_ACTIVE,
    T_STEP,
)

__all__ = ["collect", "first_due"]

_PLACE = np.uint64(Role.PLACE)
_NEVER = 2**62
_SMALL = 24


@jit_inline
def _gap(word, log_quiet):
    """Return the steps until the next activation: geometric, from a random word."""
    steps = log(open_unit(word)) / log_quiet
    return np.int64(steps) + 1 if steps < 1e15 else _NEVER


@jit_inline
def _put_in_wheel(world, agent, due):
    world.agents[agent, G_DUE] = due
    if due >= _NEVER:
        return
    bucket = due & (world.wheel.shape[0] - 1)
    world.agents[agent, G_NEXT] = world.wheel[bucket]
    world.wheel[bucket] = agent


@jit
def first_due(world, agent, joins, phase):
    """Put an agent where it first becomes due, at or after step `joins`."""
    population = world.agents[agent, G_POPULATION]
    activation = world.populations[population, P_ACTIVATION]
    if activation == EVERY_STEP:
        return
    if activation == BY_RATE:
        _, word = block(world.keys[agent], _PLACE, np.uint64(joins), np.uint64(1))
        _put_in_wheel(world, agent, joins - 1 + _gap(word, world.population_floats[population, PF_LOG_QUIET]))
    elif activation == BY_PERIOD:
        period = world.populations[population, P_PERIOD]
        _put_in_wheel(world, agent, joins + (phase - joins) % period)
    else:
        _advance_steps(world, agent, population, joins)


@jit
def _advance_steps(world, agent, population, step):
    """Put an agent of explicit steps at its next one, at or after `step`."""
    start = world.populations[population, P_STEPS_AT]
    count = world.populations[population, P_STEPS]
    cursor = world.agents[agent, G_CURSOR]
    while cursor < count and world.population_lists[start + cursor] < step:
        cursor += 1
    world.agents[agent, G_CURSOR] = cursor
    _put_in_wheel(world, agent, world.population_lists[start + cursor] if cursor < count else _NEVER)


@jit_inline
def _enter(world, actor, place):
    n = world.clock[T_ACTIVE]
    world.places[0, n] = place
    world.places[1, n] = np.uint64(actor)
    world.clock[T_ACTIVE] = n + 1


@jit
def _collect_every_step(world, step):
    for population in range(world.populations.shape[0]):
        row = world.populations[population]
        if row[P_ACTIVATION] != EVERY_STEP or row[P_PRESENT] == 0:
            continue
        row[P_DUE_COUNT] = row[P_COUNT]
        for agent in range(row[P_FIRST], row[P_FIRST] + row[P_COUNT]):
            place, _ = block(world.keys[agent], _PLACE, step, np.uint64(0))
            _enter(world, agent, place)


@jit
def _collect_due(world, step):
    bucket = step & (world.wheel.shape[0] - 1)
    agent = world.wheel[bucket]
    world.wheel[bucket] = -1
    while agent != -1:
        after = world.agents[agent, G_NEXT]
        if world.agents[agent, G_DUE] != step:
            _put_in_wheel(world, agent, world.agents[agent, G_DUE])
            agent = after
            continue
        population = world.agents[agent, G_POPULATION]
        row = world.populations[population]
        place, word = block(world.keys[agent], _PLACE, np.uint64(step), np.uint64(0))
        if row[P_ACTIVATION] == BY_RATE:
            log_quiet = world.population_floats[population, PF_LOG_QUIET]
            _put_in_wheel(world, agent, step + _gap(word, log_quiet))
        elif row[P_ACTIVATION] == BY_PERIOD:
            _put_in_wheel(world, agent, step + row[P_PERIOD])
        else:
            _advance_steps(world, agent, population, step + 1)
        if row[P_PRESENT] != 0:
            row[P_DUE_COUNT] += 1
            _enter(world, agent, place)
        agent = after


@jit
def _enter_batches(world, step):
    """Enter each batch population that has agents due as one more actor, numbered after all agents."""
    agents = world.agents.shape[0]
    entered = 0
    for population in range(world.populations.shape[0]):
        row = world.populations[population]
        if row[P_LEVEL] == LEVEL_BATCH and row[P_DUE_COUNT] > 0:
            place, _ = block(world.keys[agents + population], _PLACE, np.uint64(step), np.uint64(0))
            _enter(world, agents + population, place)
            row[P_DUE_COUNT] = 0
            entered += 1
    return entered


@jit
def _set_members_aside(world):
    """Move the members of batch populations, in the order of their places, from the actors into `due`."""
    agents = world.agents.shape[0]
    kept = 0
    for i in range(world.clock[T_ACTIVE]):
        actor = np.int64(world.places[1, i])
        if actor < agents:
            row = world.populations[world.agents[actor, G_POPULATION]]
            if row[P_LEVEL] == LEVEL_BATCH:
                world.due[row[P_FIRST] + row[P_DUE_COUNT]] = actor
                row[P_DUE_COUNT] += 1
                continue
        world.places[1, kept] = world.places[1, i]
        kept += 1
    world.clock[T_ACTIVE] = kept


@jit
def _insertion_sort(places, who, start, stop):
    for i in range(start + 1, stop):
        place, actor = places[i], who[i]
        j = i - 1
        while j >= start and (places[j] > place or (places[j] == place and who[j] > actor)):
            places[j + 1] = places[j]
            who[j + 1] = who[j]
            j -= 1
        places[j + 1] = place
        who[j + 1] = actor


@jit
def _sort_places(places, buckets, n):
    """Sort rows 0 and 1 of `places` by (place, actor): bucket sort, expected O(n) as places are uniform."""
    if n <= _SMALL:
        _insertion_sort(places[0], places[1], 0, n)
        return
    bits = 1
    while (1 << bits) < n:
        bits += 1
    shift = np.uint64(64 - bits)
    size = 1 << bits
    for k in range(size + 1):
        buckets[k] = 0
    for i in range(n):
        buckets[np.int64(places[0, i] >> shift) + 1] += 1
    for k in range(size):
        buckets[k + 1] += buckets[k]
    for i in range(n):
        k = np.int64(places[0, i] >> shift)
        j = buckets[k]
        buckets[k] = j + 1
        places[2, j] = places[0, i]
        places[3, j] = places[1, i]
    _insertion_sort(places[2], places[3], 0, n)
    for i in range(n):
        places[1, i] = places[3, i]


@jit
def collect(world):
    """Find all actors of the step and put them in order into ``places[1]``."""
    step = world.clock[T_STEP]
    world.clock[T_ACTIVE] = 0
    for population in range(world.populations.shape[0]):
        world.populations[population, P_DUE_COUNT] = 0
    _collect_every_step(world, np.uint64(step))
    _collect_due(world, step)
    batches = _enter_batches(world, step)
    _sort_places(world.places, world.buckets, world.clock[T_ACTIVE])
    if batches > 0:
        _set_members_aside(world)
