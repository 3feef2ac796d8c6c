"""Be the engine process: make the market, or go on with one, compile it, listen, and end it."""

from __future__ import annotations

import asyncio
import gc
import signal
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from simlab.config import ExperimentConfig, build, load
from simlab.config.live import LiveConfig, is_loopback
from simlab.errors import ConfigError
from simlab.kernel.simulation import Simulation
from simlab.live.engine.core import Core
from simlab.live.engine.floor import Floor
from simlab.live.engine.log import Log
from simlab.live.engine.news import NewsShelf
from simlab.live.engine.orders import Orders
from simlab.live.engine.reading import Listing
from simlab.live.engine.recovery import begin, recover
from simlab.live.engine.registry import Client, Registry
from simlab.live.engine.server import Server
from simlab.live.engine.store import Store
from simlab.live.engine.tape import Tape
from simlab.live.protocol import decode, encode_all
from simlab.live.ready import allow_connections
from simlab.live.settings import market_config, say_ready, settings_of, token_of
from simlab.live.spinning import run_spinning
from simlab.recording import open_run
from simlab.runner.author import Author
from simlab.runner.resume import config_of, require_same_code

__all__ = ["run"]


def run(config: ExperimentConfig, *, out: Path, run_dir: Path | None = None) -> None:
    """Run a live market until it is told to stop.

    Parameters
    ----------
    config : ExperimentConfig
    out : Path
        Where the run's folder is made.
    run_dir : Path, optional
        A run to go on with: its market is that of the run, and addresses and limits are those of `config`.

    Raises
    ------
    ConfigError, JournalDamaged, RecordingError, SimlabError
    """
    settings = settings_of(config)
    market = market_config(config) if run_dir is None else config_of(run_dir)
    if not market.recording.enabled:
        raise ConfigError("recording.enabled: a live market is always recorded; remove the key")
    allow_connections(settings.limits.connections)
    token = None if is_loopback(settings.engine.host) else token_of(settings)
    _compile()
    spec, listings = build(market), _listings(market)
    if run_dir is None:
        found = begin(spec, Author(out, market, spec), listings)
    else:
        require_same_code(open_run(run_dir).manifest, spec, run_dir)
        found = recover(spec, run_dir, listings)
    simulation = found.floor.simulation
    with found.author, closing(simulation):
        store = Store(found.author, simulation, settings.journal, start=found.next_sequence)
        core = Core(found.floor, found.registry, settings, store.log, listings=found.listings, token=token)
        if run_dir is None:
            store.log.before("listings", listings)
        core.go_on(paused=found.paused, steps_per_second=found.steps_per_second)
        run_spinning(_serve(core, store, settings, trusts=token is None))
        store.end(core.kept)


def _compile() -> None:
    """Have everything compiled that a market needs, on a small one, before anybody waits for it."""
    tiny = {"steps": 100, "instruments": {"X": {"initial_price": 100}}, "live": {"seats": {"count": 3}}}
    config = load(tiny)
    floor = Floor(Orders(), Tape(), NewsShelf())
    with closing(Simulation(build(config), sink=floor)) as simulation:
        floor.open(simulation)
        core = Core(floor, Registry(), settings_of(config), Log(), listings=_listings(config))
        client = Client()
        for line in _TRIED:
            core.take([(client, [decode(line)])])
            simulation.advance(simulation.step + 1, decisions=1)
            floor.flush()
        encode_all(client.answers)


_ORDER = b'{"action":"add","order":{"id":%d,"price":100,"qty":2,"side":%d,"time_in_force":"%s"},"session":%d}'
_TRIED = (
    b'{"action":"subscribe"}',
    b'{"action":"register","starting_capital":5000}',
    _ORDER % (1, 0, b"GTC", 0),
    _ORDER % (2, 1, b"IOC", 1),
    _ORDER % (3, 0, b"GTC", 0),
    b'{"action":"cancel","id":3}',
    b'{"action":"cancel_all"}',
    b'{"action":"publish","headline":"try"}',
    b'{"action":"add_instrument","instrument":{"ticker":"Y","initial_price":100}}',
    b'{"action":"remove_instrument","symbol_id":2}',
    b'{"action":"close_session","session":1}',
)


def _listings(config: ExperimentConfig) -> list[Listing]:
    """Return how the file's instruments are called on the wire."""
    now_s, texts = time.time(), settings_of(config).instruments
    listings = []
    for name in sorted(config.instruments):
        text = texts.get(name)
        said = None if text is None else text.description
        listings.append(
            Listing(
                (None if text is None else text.ticker) or name,
                config.instruments[name].description if said is None else said,
                "" if text is None else text.industry,
                now_s,
            )
        )
    return listings


def _spare_collector() -> None:
    """Let garbage be looked for rarely, and not among what was made to start: it would hold answers up."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)


async def _serve(core: Core, store: Store, settings: LiveConfig, *, trusts: bool) -> None:
    loop = asyncio.get_running_loop()
    server = Server(core, store, trusts=trusts)
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    _spare_collector()
    address = await server.listen(settings.engine.host, settings.engine.port)
    say_ready("engine", address, run_dir=str(store.folder))
    assert server.failed is not None
    try:
        waited: list[asyncio.Future[Any]] = [loop.create_task(stopped.wait()), server.failed]
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        if server.failed.done():
            server.failed.result()
    finally:
        server.close()
