"""A server that answers anything at all ends no run, and holds none up."""

import asyncio
import json
import random
import struct
from contextlib import suppress

import pytest

from keyweave_core.runtime.clock import SystemClock
from keyweave_lab.conform.etsi004.bench import Options, Side
from keyweave_lab.conform.etsi004.suite import CHECKS, run_suite
from keyweave_lab.conform.etsi004.wire import Qos


def answer(source: random.Random, kind: int) -> bytes:
    """A message, mostly of the right type, with something in it."""
    payload = struct.pack(">I", source.choice([0, 0, 1, 2, 3, 5, 7, 8, 99]))
    payload += source.choice(
        [
            b"",
            source.randbytes(4),
            source.randbytes(300),
            struct.pack(">7I", *(source.getrandbits(32) for _ in range(7)))
            + b"x" * 256
            + source.randbytes(16),
            struct.pack(">II", 0, 32) + source.randbytes(32) + struct.pack(">I", 2) + b"{}",
            struct.pack(">II", 0, 2**32 - 1),
        ]
    )
    length = len(payload) if source.random() < 0.9 else source.choice([0, 2**31])
    return struct.pack(">3BbI", 1, 0, 1, kind + 1 if source.random() < 0.95 else 0x7F, length) + payload


@pytest.mark.parametrize("seed", range(6))
async def test_any_answer_at_all(seed: int) -> None:
    source = random.Random(seed)  # noqa: S311 - a test repeats itself

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                header = await reader.readexactly(8)
                *_, kind, length = struct.unpack(">3BbI", header)
                await reader.readexactly(min(length, 4096))
                writer.write(source.randbytes(9) if source.random() < 0.05 else answer(source, kind))
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(client, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    side = Side(host="127.0.0.1", port=port, source="a:b", destination="c:d")
    options = Options(
        first=side,
        second=side,
        qos=Qos(timeout_ms=100),
        message_limit_s=0.2,
        patience_s=0.0,
        check_limit_s=2.0,
    )
    report = await run_suite(options, SystemClock())
    server.close()
    assert len(report.results) == len(CHECKS)
    assert not report.passed
    json.loads(report.to_json())
