"""The client of a border: who answers is known first, and whatever a peer does is told in time."""

import asyncio
import datetime as dt
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from keyweave_agents.service.client020 import BorderClient
from keyweave_core.errors import PeerUnreachable, Refused
from keyweave_core.model.ids import NodeId
from keyweave_core.runtime.clock import SystemClock
from keyweave_core.runtime.tls import PeerNames, TlsSettings, client_context, server_context
from keyweave_lab.pki import LabPki

NODE = NodeId("0b9e2c1d-5a53-4a04-8a8f-6d2f2b1f9a01")
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"


@pytest.fixture
def tls(tmp_path: Path) -> TlsSettings:
    return LabPki(tmp_path / "pki", now=dt.datetime.now(dt.UTC)).node("n", NODE)


def nobody(_names: PeerNames, _der: bytes) -> None:
    raise Refused("not the peer")


def anybody(names: PeerNames, der: bytes) -> None:
    assert f"urn:uuid:{NODE}" in names.uris
    assert der


@asynccontextmanager
async def talking(
    tls: TlsSettings,
    talk: Talk,
    *,
    check: Callable[[PeerNames, bytes], None] = anybody,
    answer_s: float = 5.0,
) -> AsyncIterator[BorderClient]:
    tasks: set[asyncio.Task[None]] = set()

    async def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await talk(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(met, "127.0.0.1", 0, ssl=server_context(tls))
    port = server.sockets[0].getsockname()[1]
    context: ssl.SSLContext = client_context(tls, check_hostname=False)
    client = BorderClient("127.0.0.1", port, context, check, SystemClock(), answer_s=answer_s)
    try:
        yield client
    finally:
        client.close()
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def head(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


async def test_one_connection_serves_many_requests(tls: TlsSettings) -> None:
    met = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        met.append(writer)
        while True:
            said = await head(reader)
            assert said.startswith(b"POST /kmapi/v1/ext_keys HTTP/1.1\r\nhost: 127.0.0.1:")
            assert b"\r\ncontent-type: application/json; charset=UTF-8\r\n" in said
            assert await reader.readexactly(4) == b"body"
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n" + OK)

    async with talking(tls, talk) as client:
        for _ in range(3):
            reply = await client.ask("POST", "/kmapi/v1/ext_keys", b"body")
            assert (reply.status, reply.body) == (200, b"{}")
    assert len(met) == 1


async def test_nothing_is_sent_to_somebody_else(tls: TlsSettings) -> None:
    got = bytearray()

    async def talk(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        got.extend(await reader.read(10))

    async with talking(tls, talk, check=nobody) as client:
        with pytest.raises(PeerUnreachable, match="not the peer"):
            await client.ask("POST", "/kmapi/v1/ext_keys", b"secret")
    assert not got


async def test_a_kept_connection_that_was_closed_is_made_anew(tls: TlsSettings) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head(reader)
        writer.write(OK)
        await writer.drain()

    async with talking(tls, talk) as client:
        for _ in range(3):
            assert (await client.ask("GET", "/kmapi/versions")).status == 200
            await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"", "closed before the answer"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf", "closed before the answer"),
        (b"SSH-2.0-OpenSSH_9\r\n\r\n", "https"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9000000\r\n\r\n" + b"x" * 5_000_000, "more than"),
    ],
)
async def test_answers_that_are_none(tls: TlsSettings, answer: bytes, why: str) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head(reader)
        writer.write(answer)
        await writer.drain()

    async with talking(tls, talk) as client:
        with pytest.raises(PeerUnreachable, match=why):
            await client.ask("GET", "/kmapi/versions")


async def test_a_peer_that_says_nothing_is_left_in_time(tls: TlsSettings) -> None:
    async def talk(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await head(reader)
        await asyncio.sleep(30)

    async with talking(tls, talk, answer_s=0.2) as client:
        with pytest.raises(PeerUnreachable, match="no answer in time"):
            await client.ask("GET", "/kmapi/versions")


async def test_a_peer_that_is_not_there(tls: TlsSettings) -> None:
    context = client_context(tls, check_hostname=False)
    client = BorderClient("127.0.0.1", 1, context, anybody, SystemClock(), answer_s=1.0)
    with pytest.raises(PeerUnreachable):
        await client.ask("GET", "/kmapi/versions")
