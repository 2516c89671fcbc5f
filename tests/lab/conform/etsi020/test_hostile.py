"""A key manager that answers anything, and callers of the listener that say anything, end no run."""

import asyncio
import json
import random
import ssl
from contextlib import suppress
from typing import Any

import pytest
from tests.lab.conform.tiny_https import Request, Response, TinyHttps

from keyweave_core.runtime.clock import SystemClock
from keyweave_core.runtime.tls import client_context, server_context
from keyweave_lab.conform.etsi020.bench import Options
from keyweave_lab.conform.etsi020.callback import Listener
from keyweave_lab.conform.etsi020.suite import CHECKS, run_suite
from keyweave_lab.conform.https import open_line, place_of

from .conftest import Papers

NAMES = (
    "versions", "capabilities", "key_id_container", "key_id", "ack_status", "initiator_sae_id",
    "target_sae_ids", "type", "details", "status",
)  # fmt: skip


def anything(source: random.Random, depth: int = 0) -> Any:
    """Some JSON, often of the right names."""
    match source.randrange(7 if depth < 4 else 4):
        case 0:
            return source.choice([None, True, 1, 2**70, 0.5])
        case 1 | 2 | 3:
            return source.choice(["v1", "relayed", "alice", "https://x/y", ""])
        case 4:
            return [anything(source, depth + 1) for _ in range(source.randrange(3))]
        case _:
            return {name: anything(source, depth + 1) for name in source.sample(NAMES, 6)}


@pytest.mark.parametrize("seed", range(8))
async def test_any_answer_at_all(papers: Papers, seed: int) -> None:
    source = random.Random(seed)  # noqa: S311 - a test repeats itself

    async def handle(_: Request) -> Response:
        if source.random() < 0.1:
            return Response(raw=source.choice([b"", b"junk\r\n\r\n"]))
        body = json.dumps(anything(source)).encode()
        return Response(status=source.choice([200, 200, 202, 400, 401, 408, 503]), body=body)

    async with TinyHttps(papers.peer, handle) as port:
        options = Options(
            peer=place_of(f"https://localhost:{port}"),
            tls=papers.us,
            initiator="alice",
            target="bob",
            message_limit_s=1.0,
            patience_s=0.02,
        )
        report = await run_suite(options, SystemClock())
    assert len(report.results) == len(CHECKS)
    assert not report.passed


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"junk\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2000000\r\n\r\n" + b"x" * 2_000_000,
        b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"GET /" + b"a" * 100_000,
    ],
)
async def test_the_listener_outlives_its_callers(papers: Papers, data: bytes) -> None:
    listener = Listener(SystemClock())
    port = await listener.start("localhost", 0, server_context(papers.us))
    context = client_context(papers.peer)
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=context, server_hostname="localhost"
    )
    with suppress(OSError, ssl.SSLError):
        writer.write(data)
        await writer.drain()
        await asyncio.wait_for(reader.read(100), 0.3 if not data else 3.0)
    writer.transport.abort()
    place = place_of(f"https://localhost:{port}")
    line = await open_line(place, context, SystemClock(), limit_s=2.0)
    reply = await line.ask("POST", "/x", b'[{"ack_status": 1}]', limit_s=2.0)
    await line.close()
    assert reply.status == 200
    assert listener.heard[-1].path == "/x"
    assert listener.heard[-1].flaws
    await listener.close()
