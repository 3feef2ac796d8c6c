"""Play many markets to their learners' next turns in one compiled call.

A turn: each seat acts on the book that it finds, its messages are delivered at the boundary between two
steps, the market runs to the next turn, orders expire, and each seat is shown what it sees and told what it
earned.
What happens in a market is what its own `submit` and `advance` would do. Where Python is needed (for room, a
strategy written in Python, something from outside) a market stops, and goes on where it stopped.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numba import types

from simlab.agents.compiled import MAX_MESSAGES, ME_DTYPE, ORDERS_DTYPE, VIEW_DTYPE
from simlab.agents.library.seat import SEAT, act, begin, earn, is_done, observe
from simlab.core.jit import address_of, caller, jit
from simlab.core.rows import Tables, copy_row, new_rows, opener, record, record_reader, table
from simlab.engine.compiled.events import DONE
from simlab.kernel.boundary import Batch, deliver_now, write_down
from simlab.kernel.inbox import ENTRY
from simlab.kernel.loop import Stop, advance
from simlab.kernel.observing import forget_fills, show_agent, show_market, show_orders
from simlab.kernel.state import find_state

__all__ = ["MARKET", "OUTSIDE", "Hall", "Phase", "play", "take_turns"]

OUTSIDE = 20
"""Like a `Stop`: something from outside enters the market at this step."""


class Phase(IntEnum):
    """How far a market is in its turn."""

    WAITING = 0
    """Nothing is to be done."""
    BEGIN = 1
    """An episode begins."""
    ACT = 2
    DELIVER = 3
    ADVANCE = 4
    OBSERVE = 5


MARKET = np.dtype(
    [(name, "i8") for name in ("address", "seats_at", "seats", "turn_steps", "last_step")]
    + [(name, "i8") for name in ("until", "free_until", "phase", "turn", "acting", "status", "over")]
    + [(name, "i8") for name in ("discards", "sent_at", "sent")]
)
"""One market: where its state is, its seats, and how far it is in a turn that ends before step `until`.

The episode ends before `last_step`, and is `over` then, or once all seats are done. The market may run to
`free_until` without Python. `acting` counts seats that have acted in this turn; who is first changes with
each `turn`. What is sent is copied to the rows from `sent_at` on, unless that is below 0. With `discards`
nobody is told of events.
"""

CALL = np.dtype([(name, "i8") for name in ("market", "batch", "advance", "deliver")])


class Hall(Tables):
    """Markets that are played together, and who sits in them."""

    markets = table(MARKET)
    seats = table(SEAT)
    sent = table(ENTRY)
    call = record(CALL)
    """The market that runs, for who looks after an error; and addresses: of the kernel's functions, which are
    compiled for every market and need not be once more, and of the room that they take messages from."""

    def __init__(self, markets: int, seats: int, sent: int) -> None:
        super().__init__(
            markets=new_rows(markets, MARKET),
            seats=new_rows(markets * seats, SEAT),
            sent=new_rows(sent, ENTRY),
        )
        self._batch = Batch(MAX_MESSAGES)
        self.call["batch"] = self._batch.address
        self.call["advance"] = address_of(advance, types.int64, types.int64)
        self.call["deliver"] = address_of(deliver_now, *(types.int64,) * 4)


_call_advance = caller(types.int64)
_call_deliver = caller(types.UniTuple(types.int64, 2))
_find_hall = opener(Hall)
_find_batch = opener(Batch)
_read_view = record_reader(VIEW_DTYPE)
_read_me = record_reader(ME_DTYPE)
_read_orders = record_reader(ORDERS_DTYPE)


@jit
def _show(state, seat):
    """Fill the records of a seat's instrument and account."""
    agent, instrument = seat.account, seat.instrument
    view = show_market(state, instrument)
    show_agent(state, state.agents[agent].population, agent, instrument)
    show_orders(state.book, state.me, agent, instrument)
    return view


@jit
def _send(state, seat, action, turn_steps):
    """Let a seat act: its messages are then in the outbox."""
    clock = state.clock
    view = _show(state, seat)
    orders = _read_orders(state.outbox[0])
    orders.count = 0
    orders.next_order_id = clock.next_order_id
    orders.account = seat.account
    act(_read_view(view), _read_me(state.me), seat, action, orders, turn_steps)
    clock.next_order_id = orders.next_order_id
    clock.out_cursor = 0
    clock.out_count = orders.count


@jit
def _deliver(hall, market, state):
    """Deliver what is in the outbox; return DONE or what must grow, and go on there when called again."""
    clock, messages = state.clock, _find_batch(hall.call.batch).messages
    count = clock.out_count - clock.out_cursor
    for i in range(count):
        copy_row(messages[i], state.outbox[1 + clock.out_cursor + i])
    done, need = _call_deliver(hall.call.deliver, market.address, hall.call.batch, 0, count)
    clock.out_cursor += done
    return need


@jit
def _keep_sent(hall, market, state):
    if market.sent_at < 0:
        return
    for i in range(state.clock.out_count):
        write_down(hall.sent[market.sent_at + market.sent], state.outbox[1 + i], state.clock.step)
        market.sent += 1


@jit
def _look(state, seat, out, starts):
    """Let a seat see and earn; return (reward, whether its task is done)."""
    view, me = _read_view(_show(state, seat)), _read_me(state.me)
    if starts:
        begin(view, me, seat)
    reward = 0.0 if starts else earn(view, me, seat)
    observe(view, me, seat, out)
    forget_fills(state.ledger, seat.account, seat.instrument)
    state.ledger.accounts[seat.account].last_look = state.clock.step
    return reward, is_done(view, me, seat)


@jit
def _act_all(hall, market, state, actions):
    """Let the seats act one after the other; return DONE or what must grow."""
    while market.acting < market.seats:
        at = market.seats_at + (market.acting + market.turn) % market.seats
        if market.phase == Phase.ACT:
            _send(state, hall.seats[at], actions[at], market.turn_steps)
            _keep_sent(hall, market, state)
            market.phase = Phase.DELIVER
        need = _deliver(hall, market, state)
        if need != DONE:
            return need
        market.acting += 1
        market.phase = Phase.ACT
    market.phase = Phase.ADVANCE
    return DONE


@jit
def _look_all(hall, market, state, observations, rewards, done, starts):
    playing = 0
    for at in range(market.seats_at, market.seats_at + market.seats):
        reward, ends = _look(state, hall.seats[at], observations[at], starts)
        rewards[at] = reward
        done[at] = ends
        playing += 0 if ends else 1
    market.over = 1 if playing == 0 or state.clock.step >= market.last_step else 0
    if market.discards:
        state.book.counters.events = 0
    market.phase = Phase.WAITING


@jit
def _run(hall, market, state):
    """Advance to the end of the turn; return DONE or why it stopped."""
    while state.clock.step < market.until:
        stop = min(market.until, market.free_until)
        if state.clock.step >= stop:
            return OUTSIDE
        status = _call_advance(hall.call.advance, market.address, stop)
        if status != Stop.REACHED:
            return status
    return DONE


@jit
def _go_on(hall, market, actions, observations, rewards, done):
    """Play a market from where it is in its turn to the next; return DONE or why it stopped."""
    state = find_state(market.address)
    starts = market.phase == Phase.BEGIN
    if market.phase == Phase.ACT or market.phase == Phase.DELIVER:
        need = _act_all(hall, market, state, actions)
        if need != DONE:
            return need
    if market.phase == Phase.ADVANCE:
        status = _run(hall, market, state)
        if status != DONE:
            return status
        market.phase = Phase.OBSERVE
    if not starts and market.free_until <= state.clock.step:
        return OUTSIDE
    if state.clock.step < market.last_step:  # expire what ends before the next step
        need = _call_deliver(hall.call.deliver, market.address, hall.call.batch, 0, 0)[1]
        if need != DONE:
            return need
    _look_all(hall, market, state, observations, rewards, done, starts)
    return DONE


@jit
def play(address, actions, observations, rewards, done):
    """Play each market that is in a turn to its next one; return how many stopped before.

    Parameters
    ----------
    address : int
        Of a `Hall`.
    actions : (seats, 4) float64
    observations : (seats, 18) float32
    rewards : (seats,) float64
    done : (seats,) bool
        Written for the seats of markets that came to their next turn.
    """
    hall = _find_hall(address)
    stopped = 0
    for i in range(len(hall.markets)):
        market = hall.markets[i]
        if market.phase == Phase.WAITING:
            continue
        hall.call.market = i
        market.status = _go_on(hall, market, actions, observations, rewards, done)
        if market.status != DONE:
            stopped += 1
    return stopped


@jit
def take_turns(address, actions, observations, rewards, done):
    """Begin a turn in every market that waits and is not over, and play; see `play`."""
    hall = _find_hall(address)
    for i in range(len(hall.markets)):
        market = hall.markets[i]
        if market.phase == Phase.WAITING and market.over == 0:
            market.phase = Phase.ACT
            market.until = min(market.until + market.turn_steps, market.last_step)
            market.turn += 1
            market.acting = 0
            market.sent = 0
    return play(address, actions, observations, rewards, done)
