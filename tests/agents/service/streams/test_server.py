"""The server of key streams and clients that misbehave: each has a defined answer, and others go on."""

import asyncio
import contextlib
import datetime as dt
import os
import random
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from keyweave_agents.keys.plan import AssociationEnds, AssociationWanted, StoreStatus, SuppliedKey
from keyweave_agents.keys.relaying.frames import LetterKind
from keyweave_agents.service import wire004 as wire
from keyweave_agents.service.etsi004 import MOST_GREETING, Etsi004Server
from keyweave_agents.service.settings import ConsumerSettings
from keyweave_agents.service.settings004 import Etsi004Settings
from keyweave_agents.service.streams.values import Outcome, StreamQos
from keyweave_core.errors import DeadlineExceeded, PeerUnreachable, SettingsError
from keyweave_core.model.application import AppQos
from keyweave_core.model.ids import AppId, NodeId, SaeId
from keyweave_core.runtime.clock import SystemClock
from keyweave_core.runtime.tls import TlsSettings, client_context
from keyweave_lab.pki import LabPki
from keyweave_lab.stream_client import StreamClient, connect

KSID = b"k" * 16
CLOSE = wire.encode_request(wire.CloseRequest(ksid=KSID))
NOT_OPEN = wire.encode_closing(Outcome.PEER_NOT_CONNECTED, "2.1.1")
UNKNOWN_MEDIA = wire.encode_request(
    wire.OpenRequest(
        source="qkd://alice", destination="qkd://bob", qos=StreamQos(mimetype="no/such"), ksid=KSID
    )
)


class Nothing:
    """A key manager that no association comes up at."""

    async def get_keys(
        self,
        caller: SaeId,
        client: SaeId,
        number: int,
        size_bits: int,
        deadline_s: float,
        *,
        qos: AppQos | None = None,
        priority: int = 0,
        also: tuple[SaeId, ...] = (),
    ) -> tuple[SuppliedKey, ...]:
        await asyncio.sleep(deadline_s)
        raise DeadlineExceeded("no association")

    async def get_keys_by_id(
        self, caller: SaeId, master: SaeId, key_ids: tuple[str, ...]
    ) -> tuple[SuppliedKey, ...]:
        raise AssertionError("nothing is fetched here")

    def status(self, caller: SaeId, other: SaeId) -> StoreStatus | None:
        return None

    def ends(self, app_id: AppId) -> AssociationEnds | None:
        return None

    def between(self, server: SaeId, client: SaeId) -> AssociationEnds | None:
        return None

    def send_letter(self, app_id: AppId, kind: LetterKind, body: bytes) -> bool:
        return False

    def want(self, wanted: AssociationWanted) -> None:
        pass

    def give_back(self, app_id: AppId) -> None:
        pass

    def on_letters(self, kind: LetterKind, handler: Callable[[AppId, bytes], None]) -> None:
        pass


@dataclass
class Service:
    """A running server and certificates for its clients."""

    server: Etsi004Server
    port: int
    pki: LabPki

    def context(self, sae: str = "alice") -> ssl.SSLContext:
        return client_context(self.pki.application(SaeId(sae)))

    async def client(self, sae: str = "alice") -> StreamClient:
        return await connect("localhost", self.port, self.context(sae), answer_s=5)

    @contextlib.asynccontextmanager
    async def raw(
        self, sae: str = "alice"
    ) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_connection("localhost", self.port, ssl=self.context(sae))
        try:
            yield reader, writer
        finally:
            writer.transport.abort()

    async def answers(self) -> None:
        """It serves others on."""
        async with await self.client() as client:
            assert await client.close_stream(KSID) is Outcome.PEER_NOT_CONNECTED


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> LabPki:
    return LabPki(tmp_path_factory.mktemp("pki"), now=dt.datetime.now(dt.UTC))


@contextlib.asynccontextmanager
async def serving(pki: LabPki, **options: Any) -> AsyncIterator[Service]:
    tls = pki.node("here", NodeId("0b9e2c1d-5a53-4a04-8a8f-6d2f2b1f9a01"))
    settings = Etsi004Settings(**{"listen_port": 0, "tls": tls, **options})
    keys = Nothing()
    consumers = [ConsumerSettings(sae_id=SaeId(name)) for name in ("alice", "bob")]
    server = Etsi004Server(settings, consumers, keys, SystemClock(), random_bytes=os.urandom)
    port = await server.start()
    try:
        yield Service(server, port, pki)
    finally:
        await server.close()
        await server.close()


async def ends(reader: asyncio.StreamReader, within_s: float = 3.0) -> bytes:
    """What comes until the server closes."""
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        return await asyncio.wait_for(reader.read(), within_s)
    return b""


async def test_requests_in_one_go_are_answered_in_order(pki: LabPki) -> None:
    async with serving(pki) as service, service.raw() as (reader, writer):
        writer.write(CLOSE * 50 + UNKNOWN_MEDIA + CLOSE)
        assert await reader.readexactly(50 * len(NOT_OPEN)) == NOT_OPEN * 50
        kind, length = wire.read_header(await reader.readexactly(8))
        assert kind == wire.ServiceType.OPEN_RESPONSE
        await reader.readexactly(length)
        assert await reader.readexactly(len(NOT_OPEN)) == NOT_OPEN


async def test_another_type_gets_no_answer(pki: LabPki) -> None:
    async with serving(pki) as service, service.raw() as (reader, writer):
        for kind in (0, 3, 6, 7, 127, -1):
            writer.write(bytes([1, 0, 1, kind & 0xFF]) + (5).to_bytes(4, "big") + b"hello")
        writer.write(CLOSE)
        assert await reader.readexactly(len(NOT_OPEN)) == NOT_OPEN


@pytest.mark.parametrize(
    "sent",
    [
        bytes.fromhex("010001 02 ffffffff"),
        bytes.fromhex("010001 63 7fffffff"),
        bytes.fromhex("020000 08 00000010") + KSID,
        bytes.fromhex("010001 08 0000000f") + KSID[:15],
        bytes.fromhex("010001 04 00000000"),
        bytes.fromhex("010001 02 00000003 414243"),
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        bytes(8),
    ],
)
async def test_what_is_no_message_closes_the_connection(pki: LabPki, sent: bytes) -> None:
    async with serving(pki) as service:
        async with service.raw() as (reader, writer):
            writer.write(sent)
            assert await ends(reader) == b""
        await service.answers()


async def test_a_length_is_refused_before_anything_is_read(pki: LabPki) -> None:
    async with serving(pki, receive_s=30.0) as service, service.raw() as (reader, writer):
        writer.write(bytes.fromhex("010001 02") + (wire.MOST_REQUEST_BYTES + 1).to_bytes(4, "big"))
        assert await ends(reader, 1.0) == b""


async def test_messages_that_were_meddled_with_leave_the_server_well(pki: LabPki) -> None:
    chance = random.Random(4)  # noqa: S311 - a repeatable test, no secret
    quick = StreamQos(timeout_ms=1)
    sound = [
        CLOSE,
        UNKNOWN_MEDIA,
        wire.encode_request(wire.GetKeyRequest(ksid=KSID, index=1, metadata_bytes=64)),
        wire.encode_request(
            wire.OpenRequest(source="qkd://alice", destination="urn:x", qos=quick, ksid=bytes(16))
        ),
    ]
    times = {"receive_s": 0.1, "idle_s": 0.1, "default_timeout_ms": 20, "max_timeout_ms": 20}
    async with serving(pki, **times) as service:
        for _ in range(60):
            async with service.raw() as (reader, writer):
                message = bytearray(chance.choice(sound))
                for _ in range(chance.randrange(1, 5)):
                    at = chance.randrange(len(message))
                    match chance.randrange(3):
                        case 0:
                            message[at] = chance.randrange(256)
                        case 1:
                            del message[at : at + chance.randrange(1, 9)]
                        case _:
                            message[at:at] = chance.randbytes(chance.randrange(1, 9))
                    message = message or bytearray(b"x")
                writer.write(bytes(message) + CLOSE)
                answers = await ends(reader, 5.0)
                assert len(answers) < 2000
        await service.answers()


async def test_a_slow_request_and_an_idle_connection_end(pki: LabPki) -> None:
    async with serving(pki, receive_s=0.2, idle_s=0.5) as service:
        async with service.raw() as (reader, writer):
            writer.write(CLOSE[:9])
            assert await ends(reader, 1.0) == b""
        async with service.raw() as (reader, writer):
            writer.write(CLOSE)
            assert await ends(reader, 2.0) == NOT_OPEN
        await service.answers()


async def test_a_client_that_does_not_read_ends(pki: LabPki) -> None:
    async with serving(pki, send_s=0.2) as service:
        async with service.raw() as (_, writer):
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            writer.transport.pause_reading()  # type: ignore[attr-defined]  # a transport both ways
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                async with asyncio.timeout(20):
                    while not writer.transport.is_closing():
                        writer.write(UNKNOWN_MEDIA * 100)
                        await writer.drain()
                        await asyncio.sleep(0)
        await service.answers()


async def test_who_has_no_certificate_of_ours_gets_nowhere(pki: LabPki, tmp_path: Path) -> None:
    foreign = LabPki(tmp_path / "foreign", now=dt.datetime.now(dt.UTC)).application(SaeId("alice"))
    stranger = TlsSettings(certificate=foreign.certificate, private_key=foreign.private_key, ca=pki.ca_path)
    async with serving(pki) as service:
        for context in (client_context(stranger), service.context("mallory")):
            with pytest.raises(PeerUnreachable):
                async with await connect("localhost", service.port, context, answer_s=2) as client:
                    await client.close_stream(KSID)
        async with asyncio.timeout(3):
            reader, writer = await asyncio.open_connection("localhost", service.port)
            writer.write(CLOSE)
            await ends(reader)  # perhaps an alert of TLS, then the end
            writer.close()
        await service.answers()


async def test_connections_that_say_nothing_are_in_nobodys_way(pki: LabPki) -> None:
    async with serving(pki, max_connections=8) as service:
        silent = [await asyncio.open_connection("localhost", service.port) for _ in range(3 * MOST_GREETING)]
        try:
            for _ in range(5):
                await service.answers()
        finally:
            for _, writer in silent:
                writer.close()


async def test_half_a_handshake_ends(pki: LabPki) -> None:
    async with serving(pki, handshake_s=0.2) as service:
        reader, writer = await asyncio.open_connection("localhost", service.port)
        writer.write(bytes.fromhex("1603010200"))
        assert len(await ends(reader)) < 100
        writer.close()
        await service.answers()


async def test_the_connection_that_rested_longest_gives_way(pki: LabPki) -> None:
    async with serving(pki, max_connections=3) as service, contextlib.AsyncExitStack() as held:
        readers = []
        for _ in range(3):
            reader, writer = await held.enter_async_context(service.raw())
            writer.write(CLOSE)
            await reader.readexactly(len(NOT_OPEN))
            readers.append(reader)
            await asyncio.sleep(0.01)
        await service.answers()
        assert await ends(readers[0], 1.0) == b""
        assert not readers[1].at_eof()


async def test_when_all_are_at_work_the_newest_is_turned_away(pki: LabPki) -> None:
    async with serving(pki, max_connections=2) as service, contextlib.AsyncExitStack() as held:
        busy = wire.encode_request(
            wire.OpenRequest(
                source="qkd://alice", destination="qkd://x", qos=StreamQos(timeout_ms=3000), ksid=bytes(16)
            )
        )
        for _ in range(2):
            _, writer = await held.enter_async_context(service.raw())
            writer.write(busy)
        await asyncio.sleep(0.1)
        with pytest.raises(PeerUnreachable):
            await service.answers()


async def test_one_application_cannot_take_all_connections(pki: LabPki) -> None:
    async with serving(pki, max_connections_each=2) as service, contextlib.AsyncExitStack() as held:
        for _ in range(2):
            await held.enter_async_context(service.raw("alice"))
        await asyncio.sleep(0.05)
        with pytest.raises(PeerUnreachable):
            await service.answers()
        bob = await service.client("bob")
        assert await bob.close_stream(KSID) is Outcome.PEER_NOT_CONNECTED
        await bob.disconnect()


async def test_plain_tcp_where_the_settings_say_so(pki: LabPki) -> None:
    async with serving(pki, tls=None, plain=True) as service:
        client = await connect("localhost", service.port, None, answer_s=5)
        assert await client.close_stream(KSID) is Outcome.PEER_NOT_CONNECTED
        quick = StreamQos(timeout_ms=100)
        assert (await client.open("qkd://alice", "qkd://zoe", quick)).outcome is Outcome.TIMEOUT
        assert (await client.open("qkd://yves", "qkd://zoe", quick)).outcome is Outcome.NO_CONNECTION
        await client.disconnect()


async def test_a_server_that_stops_ends_calls_and_an_address_is_had_once(pki: LabPki) -> None:
    async with serving(pki) as service:
        with pytest.raises(SettingsError, match=r"\[etsi004\]"):
            async with serving(pki, listen_port=service.port):
                pass
        client = await service.client()
        opening = asyncio.create_task(client.open("qkd://alice", "qkd://bob", StreamQos(timeout_ms=9000)))
        await asyncio.sleep(0.1)
        await service.server.close()
        with pytest.raises(PeerUnreachable):
            await asyncio.wait_for(opening, 2)
        await client.disconnect()
