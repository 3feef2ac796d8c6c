"""Feed both wires with what coverage says is new: ``python tests/live/fuzz_wire.py -runs=1000000 CORPUS``."""

from __future__ import annotations

import resource
import sys
from contextlib import suppress

import atheris

with atheris.instrument_imports(include=["simlab.live.messages", "simlab.live.protocol"]):
    from simlab.live import messages, protocol

MOST = 64
MEMORY_BYTES = 4 << 30
"""Addresses that the process may take: what asks for more is a finding."""
KNOWN = (
    *(b'{"action":"%s","order":{"side":0,"qty":1,"price":1}}' % it.encode() for it in protocol.ACTIONS),
    b'{"type":"add_order","symbol_id":1,"side":"buy","price":1.5,"quantity":2}',
)


def look(data: bytes) -> None:
    """Raise unless bytes are lines however they are cut, and each is a request or is explained."""
    cut = data[0] if data else 0
    reader, whole = protocol.LineReader(MOST), protocol.LineReader(MOST)
    found = [*reader.feed(data[:cut]), *reader.feed(data[cut:])]
    assert found == whole.feed(data)
    assert len(reader) <= MOST
    for line in (data, *data.split(b"\n"), *found):
        protocol.encode(protocol.decode(line))
        if isinstance(line, bytes):
            with suppress(messages.BadMessageError):
                messages.decode(line)


def grow(data: bytes, most: int, seed: int) -> bytes:
    """Change bytes, and now and then begin from a request."""
    return atheris.Mutate(KNOWN[seed % len(KNOWN)] if seed % 16 == 0 else data, most)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    atheris.Setup(sys.argv, look, custom_mutator=grow)
    atheris.Fuzz()
