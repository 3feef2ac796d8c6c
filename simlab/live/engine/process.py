"""Be the engine process: make the market, compile it, listen, and end it."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from simlab.config import ExperimentConfig, build, load
from simlab.config.live import LiveConfig, is_loopback
from simlab.core.hashing import hash_text
from simlab.kernel.simulation import Simulation
from simlab.live.engine.core import Core
from simlab.live.engine.floor import Floor
from simlab.live.engine.log import Log
from simlab.live.engine.news import NewsShelf
from simlab.live.engine.orders import Orders
from simlab.live.engine.reading import Listing
from simlab.live.engine.registry import Client, Registry
from simlab.live.engine.server import Server
from simlab.live.engine.tape import Tape
from simlab.live.protocol import decode, encode_all
from simlab.live.settings import market_config, say_ready, settings_of, token_of
from simlab.runner.author import Author

__all__ = ["run"]

logger = logging.getLogger(__name__)


def run(config: ExperimentConfig, *, out: Path, run_dir: Path | None = None) -> None:
    """Run a live market until it is told to stop.

    Parameters
    ----------
    config : ExperimentConfig
    out : Path
        Where the run's folder is made.
    run_dir : Path, optional
        A run to go on with.
    """
    market = market_config(config)
    settings = settings_of(market)
    token = token_of(settings) if not is_loopback(settings.engine.host) else None
    _compile()
    spec = build(market)
    author = Author(out, market, spec)
    floor = Floor(Orders(), Tape(), NewsShelf(), author)
    with author, closing(Simulation(spec, sink=floor)) as simulation:
        floor.open(simulation)
        author.begin(simulation)
        core = Core(
            floor,
            Registry(),
            settings,
            Log(),
            listings=_listings(market, settings),
            news=floor.news,
            token=token,
        )
        asyncio.run(_serve(core, author, settings, trusts=token is None))
        simulation.finish()
        simulation.audit()
        author.finish(
            {
                "steps": simulation.step,
                "event_log_hash": hash_text(simulation.event_log_hash),
                "messages": simulation.messages,
                "trades": simulation.trades,
                **simulation.summary(),
            }
        )


def _compile() -> None:
    """Have everything compiled that a market needs, on a small one, before anybody waits for it."""
    tiny = {"steps": 100, "instruments": {"X": {"initial_price": 100}}, "live": {"seats": {"count": 1}}}
    config = load(tiny)
    settings = settings_of(config)
    floor = Floor(Orders(), Tape(), NewsShelf())
    with closing(Simulation(build(config), sink=floor)) as simulation:
        floor.open(simulation)
        core = Core(floor, Registry(), settings, Log(), listings=_listings(config, settings), news=floor.news)
        client = Client()
        for line in _TRIED:
            core.take([(client, decode(line))])
            simulation.advance(simulation.step + 1, decisions=1)
            floor.flush()
        encode_all(client.answers)


_ORDER = b'{"action":"add","order":{"id":%d,"price":100,"qty":2,"side":%d,"time_in_force":"%s"}}'
_TRIED = (
    b'{"action":"subscribe"}',
    _ORDER % (1, 0, b"GTC"),
    _ORDER % (2, 1, b"IOC"),
    b'{"action":"cancel","id":1}',
    b'{"action":"cancel_all"}',
)


def _listings(config: ExperimentConfig, settings: LiveConfig) -> list[Listing]:
    now_s, listings = time.time(), []
    for name in sorted(config.instruments):
        text = settings.instruments.get(name)
        said = None if text is None else text.description
        listings.append(
            Listing(
                (text.ticker if text is not None else None) or name,
                config.instruments[name].description if said is None else said,
                "" if text is None else text.industry,
                now_s,
            )
        )
    return listings


async def _serve(core: Core, author: Author, settings: LiveConfig, *, trusts: bool) -> None:
    loop = asyncio.get_running_loop()
    server = Server(core, trusts=trusts, idle=author.keep_up)
    address = await server.listen(settings.engine.host, settings.engine.port)
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    say_ready("engine", address, run_dir=str(author.folder))
    assert server.failed is not None
    try:
        waited: list[asyncio.Future[Any]] = [loop.create_task(stopped.wait()), server.failed]
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        if server.failed.done():
            server.failed.result()
    finally:
        server.close()
