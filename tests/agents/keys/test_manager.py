"""Key managers as they run: real sockets, mutual TLS, time."""

import asyncio
import contextlib
import datetime as dt
import socket
import ssl
import time
from pathlib import Path

import pytest
from tests.agents.keys.network import APP, MASTER, SLAVE, message, uid
from tests.agents.keys.running import Chain, free_port, running

from keyweave_agents.keys.failures import KeysNotFound
from keyweave_agents.keys.manager import KeyManager
from keyweave_agents.keys.peers import certified_node
from keyweave_agents.keys.plan import AssociationWanted, PoolFilled
from keyweave_agents.keys.relaying.frames import Ack, Hello
from keyweave_agents.keys.relaying.sealed_layout import MOST_FRAME_BYTES
from keyweave_agents.keys.relaying.wire import encode
from keyweave_agents.keys.settings import KeySettings
from keyweave_agents.keys.store import PadRange, Stock
from keyweave_core.errors import DeadlineExceeded, Exhausted, InvalidInput, PeerUnreachable, Refused
from keyweave_core.model.application import AppQos
from keyweave_core.model.ids import LinkId, NodeId
from keyweave_core.runtime.clock import SystemClock
from keyweave_core.runtime.tls import client_context
from keyweave_lab.pki import LabPki


async def matched(chain: Chain, number: int = 1, size_bits: int = 256, deadline_s: float = 5.0) -> None:
    """The master gets keys, the slave gets the same."""
    keys = await chain.managers[0].get_keys(MASTER, SLAVE, number, size_bits, deadline_s)
    ids = tuple(key.key_id for key in keys)
    theirs = await chain.managers[-1].get_keys_by_id(SLAVE, MASTER, ids)
    assert all(one.key.same_as(two.key) for one, two in zip(keys, theirs, strict=True))
    assert len(keys) == number


async def test_three_hops_over_mutual_tls(tmp_path: Path) -> None:
    async with running(4, tmp_path) as chain:
        chain.fill()
        began = time.perf_counter()
        chain.associate()
        await matched(chain)
        assert time.perf_counter() - began < 1.0
        for _ in range(50):
            await matched(chain)
        await matched(chain, 20, 1024)
        await asyncio.gather(*(matched(chain, 3) for _ in range(30)))


async def test_keys_in_shares_over_mutual_tls(tmp_path: Path) -> None:
    async with running(3, tmp_path) as chain:
        chain.fill()
        chain.associate(links=3)
        await matched(chain)
        await matched(chain, 20, 1024)
        await asyncio.gather(*(matched(chain, 3) for _ in range(10)))
        (key,) = await chain.managers[0].get_keys(MASTER, SLAVE, 1, 256, 5.0)
        assert len(key.links) == 3


async def test_key_comes_while_requests_wait(tmp_path: Path) -> None:
    async with running(3, tmp_path) as chain:
        chain.associate()
        waiting = asyncio.create_task(matched(chain, 4))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        for _ in range(2):
            chain.generate(0)
            chain.generate(1)
        await waiting
        assert any(isinstance(event, PoolFilled) for event in await drain(chain.managers[0]))


async def drain(manager: KeyManager) -> list[object]:
    events: list[object] = []
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.4):
            while True:
                events.append(await manager.next_event())
    return events


async def test_a_request_waits_for_its_association_and_its_keys() -> None:
    async with running(2, None) as chain:
        chain.fill()
        qos = AppQos(min_bandwidth_bps=100)
        request = asyncio.create_task(
            chain.managers[0].get_keys(MASTER, SLAVE, 1, 256, 5.0, qos=qos, priority=3)
        )
        event = await chain.managers[0].next_event()
        assert event == AssociationWanted(server=MASTER, clients=(SLAVE,), qos=qos, priority=3)
        chain.associate()
        assert len(await request) == 1


async def test_the_wait_is_bounded_and_the_error_says_what_was_missing() -> None:
    async with running(2, None) as chain:
        manager = chain.managers[0]
        began = time.perf_counter()
        with pytest.raises(DeadlineExceeded, match=r"no association of sae-master with sae-slave .* 0\.1 s"):
            await manager.get_keys(MASTER, SLAVE, 1, 256, 0.1)
        assert 0.09 < time.perf_counter() - began < 1.0
        chain.associate()
        with pytest.raises(Exhausted, match="0 of 2 keys ready: not enough key in the pool"):
            await manager.get_keys(MASTER, SLAVE, 2, 256, 0.1)
        chain.fill()
        assert len(await manager.get_keys(MASTER, SLAVE, 2, 256, 1.0)) == 2


async def test_a_refusal_answers_at_once() -> None:
    async with running(2, None) as chain:
        request = asyncio.create_task(chain.managers[0].get_keys(MASTER, SLAVE, 1, 256, 30.0))
        await chain.managers[0].next_event()
        chain.managers[0].refuse(MASTER, (SLAVE,), ("no path",))
        with pytest.raises(Refused, match="no path"):
            await request


async def test_a_caller_that_goes_away_takes_nothing_with_it() -> None:
    async with running(2, None) as chain:
        chain.associate()
        request = asyncio.create_task(chain.managers[0].get_keys(MASTER, SLAVE, 1, 256, 30.0))
        await asyncio.sleep(0.02)
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        chain.fill()
        await matched(chain, 64)
        held = chain.managers[1].snapshot().associations[APP].stored_keys
        assert held == chain.managers[0].snapshot().associations[APP].stored_keys


@pytest.mark.parametrize(
    ("number", "size_bits", "complaint"),
    [
        (0, 256, "number of keys: 0 is not within 1..128"),
        (129, 256, "number of keys: 129"),
        (1, 0, "key size: 0 bit is not within 64..8192"),
        (1, 12, "key size: 12"),
        (1, 100, "size shall be a multiple of 8"),
        (1, 8200, "key size: 8200"),
    ],
)
async def test_requests_out_of_bounds_are_refused(number: int, size_bits: int, complaint: str) -> None:
    chain = Chain(2, None)
    with pytest.raises(InvalidInput, match=complaint):
        await chain.managers[0].get_keys(MASTER, SLAVE, number, size_bits, 1.0)
    with pytest.raises(InvalidInput, match="number of key ids"):
        await chain.managers[0].get_keys_by_id(SLAVE, MASTER, ())
    with pytest.raises(KeysNotFound):
        await chain.managers[0].get_keys_by_id(SLAVE, MASTER, (uid(1),))


async def test_a_transit_that_restarts_comes_back_into_the_path(tmp_path: Path) -> None:
    async with running(3, tmp_path) as chain:
        chain.fill()
        chain.associate()
        await matched(chain, 64)
        await chain.restart(1)
        chain.associate(only=1)
        await chain.connected()
        chain.fill()
        await matched(chain, 100)


async def test_a_destination_that_restarts_gets_fresh_keys(tmp_path: Path) -> None:
    async with running(3, tmp_path) as chain:
        chain.fill()
        chain.associate()
        await matched(chain)
        await chain.restart(2)
        chain.associate(only=2)
        await chain.connected()
        chain.fill()
        await matched(chain, 10)


async def test_an_address_in_use_is_reported() -> None:
    async with running(2, None) as chain:
        manager = KeyManager(
            KeySettings(listen_port=chain.ports[0]),
            node_id=NodeId(uid(9)),
            clock=SystemClock(),
            random_bytes=bytes,
            tls_server=None,
            tls_client=None,
        )
        with pytest.raises(PeerUnreachable, match="cannot listen for key managers on"):
            await manager.run()


# --- who is at the other end --------------------------------------------------------------------


async def until_closed(reader: asyncio.StreamReader, deadline_s: float = 2.0) -> bytes:
    async with asyncio.timeout(deadline_s):
        try:
            return await reader.read(-1)
        except (ConnectionError, ssl.SSLError):
            return b""


def hello(node_id: str, link_id: str) -> bytes:
    return encode(
        Hello(
            node_id=NodeId(node_id),
            link_id=LinkId(link_id),
            dialler=Stock(None, ()),
            acceptor=Stock(None, ()),
        )
    )


async def test_a_certificate_of_another_node_is_turned_away(tmp_path: Path) -> None:
    async with running(2, tmp_path, start=False) as chain:
        await chain.start(1)
        assert chain.pki is not None
        context = client_context(chain.pki.node("other", NodeId(uid(77))), check_hostname=False)
        reader, writer = await asyncio.open_connection("127.0.0.1", chain.ports[1], ssl=context)
        writer.write(hello(chain.nodes[0], chain.links[0]))
        assert await until_closed(reader) == b"", "not a word"
        writer.close()
        assert chain.managers[1].snapshot().peers_up == frozenset()


async def test_a_server_that_is_another_node_is_turned_away(tmp_path: Path) -> None:
    async with running(2, tmp_path, start=False) as chain:
        chain.nodes[1] = NodeId(uid(77))
        impostor = chain.tls(1)
        chain.nodes[1] = NodeId(uid(2))
        heard: list[bytes] = []
        greeted: list[object] = []
        context = impostor[0]
        assert context is not None
        context.sni_callback = lambda *_: greeted.append(1)

        async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heard.append(await until_closed(reader))
            writer.close()

        server = await asyncio.start_server(listen, "127.0.0.1", chain.ports[1], ssl=context)
        await chain.start(0)
        async with asyncio.timeout(5):
            while len(greeted) < 2:
                await asyncio.sleep(0.01)
        assert set(heard) <= {b""}, "not a word"
        assert chain.managers[0].snapshot().peers_up == frozenset()
        await chain.stop(0)
        server.close()


@pytest.mark.parametrize("who", ["nobody", "stranger"])
async def test_without_a_certificate_of_the_network_there_is_no_connection(tmp_path: Path, who: str) -> None:
    async with running(2, tmp_path / "net", start=False) as chain:
        await chain.start(1)
        context = ssl.create_default_context()
        if who == "stranger":
            other = LabPki(tmp_path / "other", now=dt.datetime.now(dt.UTC))
            context = client_context(other.node("n0", chain.nodes[0]), check_hostname=False)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        with pytest.raises((ConnectionError, ssl.SSLError, asyncio.IncompleteReadError)):  # noqa: PT012 - where it ends depends on TLS
            reader, writer = await asyncio.open_connection("127.0.0.1", chain.ports[1], ssl=context)
            writer.write(hello(chain.nodes[0], chain.links[0]))
            await writer.drain()
            async with asyncio.timeout(2):
                await reader.readexactly(1)
        assert chain.managers[1].snapshot().peers_up == frozenset()


def test_a_certificate_names_one_node_or_none() -> None:
    def certificate(*uris: str) -> dict[str, object]:
        return {"subjectAltName": (("DNS", "localhost"), *(("URI", uri) for uri in uris))}

    assert certified_node(None) is None
    assert certified_node({}) is None
    assert certified_node(certificate("urn:uuid:" + uid(0xAB).upper())) == uid(0xAB)
    assert certified_node(certificate("urn:uuid:" + uid(1), "urn:uuid:" + uid(2))) is None
    assert certified_node(certificate("https://example.org")) is None


# --- hostile and broken neighbours --------------------------------------------------------------

ACK = message(Ack(batch_id=bytes(16), link_id=LinkId(uid(1)), keeper=bytes(16)), (PadRange(1, 0, 32),))


@pytest.mark.parametrize(
    "message",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        (MOST_FRAME_BYTES + 1).to_bytes(4, "big"),
        b"\x00\x00\x00\x05hello",
        bytes(4),
        ACK,
        hello(uid(1), uid(0x999)),
        hello(uid(9), uid(0x100)),
    ],
    ids=["http", "oversized", "noise", "empty", "ack before hello", "unknown link", "other node"],
)
async def test_what_is_no_hello_of_a_neighbour_closes_the_connection(message: bytes) -> None:
    async with running(2, None, start=False) as chain:
        await chain.start(1)
        reader, writer = await asyncio.open_connection("127.0.0.1", chain.ports[1])
        writer.write(message)
        assert await until_closed(reader) == b""
        writer.close()
        assert chain.managers[1].snapshot().peers_up == frozenset()


async def test_a_neighbour_that_breaks_the_protocol_is_disconnected_and_keys_go_on() -> None:
    async with running(2, None) as chain:
        chain.fill()
        chain.associate()
        await matched(chain)
        level = chain.managers[1].snapshot().pools
        # A second connection takes the link over, says Hello of the neighbour and then nonsense.
        reader, writer = await asyncio.open_connection("127.0.0.1", chain.ports[1])
        writer.write(b"\x00\x00\x00\x02\xff\xff")
        await until_closed(reader)
        writer.close()
        assert chain.managers[1].snapshot().pools == level
        await matched(chain, 10)


async def test_strangers_that_say_nothing_are_bounded() -> None:
    async with running(2, None) as chain:
        chain.fill()
        chain.associate()
        sockets = [socket.create_connection(("127.0.0.1", chain.ports[1])) for _ in range(40)]
        try:
            await asyncio.sleep(0.1)
            assert len(chain.managers[1]._peers.wires) <= chain.managers[1]._peers.most_wires
            await matched(chain, 10)
        finally:
            for one in sockets:
                one.close()
            await asyncio.sleep(0.02)


async def test_neighbours_find_each_other_whoever_starts_first() -> None:
    async with running(2, None, start=False) as chain:
        await chain.start(0)
        await asyncio.sleep(0.2)
        await chain.start(1)
        await chain.connected()


def test_ports_are_free() -> None:
    assert free_port() != free_port()
