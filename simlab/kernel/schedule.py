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
from simlab.core.rows import copy_row
from simlab.kernel.state import Activated, CallLevel

__all__ = ["collect", "due_again", "first_due"]

_PLACE = np.uint64(Role.PLACE)
_NEVER = 2**62
_SMALL = 24


@jit_inline
def _gap(word, log_quiet):
    """Return the steps until the next activation: geometric, from a random word."""
    steps = log(open_unit(word)) / log_quiet
    return np.int64(steps) + 1 if steps < 1e15 else _NEVER


@jit_inline
def _put_in_wheel(state, number, due):
    agent = state.agents[number]
    agent.due = due
    if due >= _NEVER:
        return
    bucket = due & (len(state.wheel) - 1)
    agent.next = state.wheel[bucket]
    state.wheel[bucket] = number


@jit
def first_due(state, number, joins, phase):
    """Put an agent where it first becomes due, at or after step `joins`."""
    agent = state.agents[number]
    population = state.populations[agent.population]
    if population.activated == Activated.EVERY_STEP or population.activated == Activated.NEVER:
        return
    if population.activated == Activated.BY_RATE:
        _, word = block(agent.key, _PLACE, np.uint64(joins), np.uint64(1))
        _put_in_wheel(state, number, joins - 1 + _gap(word, population.log_quiet))
    elif population.activated == Activated.BY_PERIOD:
        _put_in_wheel(state, number, joins + (phase - joins) % population.period)
    else:
        _advance_steps(state, number, population, joins)


@jit
def due_again(state, number):
    """Put an agent into an empty wheel where it is due."""
    _put_in_wheel(state, number, state.agents[number].due)


@jit
def _advance_steps(state, number, population, step):
    """Put an agent of explicit steps at its next one, at or after `step`."""
    agent = state.agents[number]
    cursor = agent.cursor
    while cursor < population.steps and state.lists[population.steps_at + cursor] < step:
        cursor += 1
    agent.cursor = cursor
    following = state.lists[population.steps_at + cursor] if cursor < population.steps else _NEVER
    _put_in_wheel(state, number, following)


@jit_inline
def _enter(state, actor, place):
    entry = state.places[state.clock.active]
    entry.place = place
    entry.actor = actor
    state.clock.active += 1


@jit
def _collect_every_step(state, step):
    for p in range(len(state.populations)):
        population = state.populations[p]
        if population.activated != Activated.EVERY_STEP or population.present == 0:
            continue
        population.due_count = population.count
        for number in range(population.first, population.first + population.count):
            place, _ = block(state.agents[number].key, _PLACE, step, np.uint64(0))
            _enter(state, number, place)


@jit
def _collect_due(state, step):
    bucket = step & (len(state.wheel) - 1)
    number = state.wheel[bucket]
    state.wheel[bucket] = -1
    while number != -1:
        agent = state.agents[number]
        after = agent.next
        if agent.due != step:
            _put_in_wheel(state, number, agent.due)
            number = after
            continue
        population = state.populations[agent.population]
        place, word = block(agent.key, _PLACE, np.uint64(step), np.uint64(0))
        if population.activated == Activated.BY_RATE:
            _put_in_wheel(state, number, step + _gap(word, population.log_quiet))
        elif population.activated == Activated.BY_PERIOD:
            _put_in_wheel(state, number, step + population.period)
        else:
            _advance_steps(state, number, population, step + 1)
        if population.present != 0:
            population.due_count += 1
            _enter(state, number, place)
        number = after


@jit
def _enter_batches(state, step):
    """Enter each batch population that has agents due as one more actor, numbered after all agents."""
    entered = 0
    for p in range(len(state.populations)):
        population = state.populations[p]
        if population.level == CallLevel.BATCH and population.due_count > 0:
            place, _ = block(population.key, _PLACE, np.uint64(step), np.uint64(0))
            _enter(state, len(state.agents) + p, place)
            population.due_count = 0
            entered += 1
    return entered


@jit
def _set_members_aside(state):
    """Move the members of batch populations, in the order of their places, from the actors into `due`."""
    places = state.places
    kept = 0
    for i in range(state.clock.active):
        actor = places[i].actor
        if actor < len(state.agents):
            population = state.populations[state.agents[actor].population]
            if population.level == CallLevel.BATCH:
                state.due[population.first + population.due_count] = actor
                population.due_count += 1
                continue
        places[kept].actor = actor
        kept += 1
    state.clock.active = kept


@jit
def _insertion_sort(places, count):
    for i in range(1, count):
        place, actor = places[i].place, places[i].actor
        j = i - 1
        while j >= 0 and (places[j].place > place or (places[j].place == place and places[j].actor > actor)):
            copy_row(places[j + 1], places[j])
            j -= 1
        places[j + 1].place = place
        places[j + 1].actor = actor


@jit
def _sort_places(state, count):
    """Sort places by (place, actor): bucket sort, expected O(n) as places are uniform."""
    places, sorting, buckets = state.places, state.sorting, state.buckets
    if count <= _SMALL:
        _insertion_sort(places, count)
        return
    bits = 1
    while (1 << bits) < count:
        bits += 1
    shift = np.uint64(64 - bits)
    size = 1 << bits
    for k in range(size + 1):
        buckets[k] = 0
    for i in range(count):
        buckets[np.int64(places[i].place >> shift) + 1] += 1
    for k in range(size):
        buckets[k + 1] += buckets[k]
    for i in range(count):
        k = np.int64(places[i].place >> shift)
        copy_row(sorting[buckets[k]], places[i])
        buckets[k] += 1
    _insertion_sort(sorting, count)
    for i in range(count):
        places[i].actor = sorting[i].actor


@jit
def collect(state):
    """Find all actors of the step and put them in order into `places`."""
    step = state.clock.step
    state.clock.active = 0
    for p in range(len(state.populations)):
        state.populations[p].due_count = 0
    _collect_every_step(state, np.uint64(step))
    _collect_due(state, step)
    batches = _enter_batches(state, step)
    _sort_places(state, state.clock.active)
    if batches > 0:
        _set_members_aside(state)
