"""Key streams (ETSI GS QKD 004) in a whole network of real processes."""

import asyncio
import base64
import json
from dataclasses import replace
from uuid import UUID

from tests.system.conftest import RING, Network, RunNetwork
from tests.system.test_fallback_opened import open_association
from tests.system.test_kill import all_connected

from keyweave_agents.service.streams.values import Opening, Outcome, StreamQos
from keyweave_core.runtime.clock import SystemClock
from keyweave_core.runtime.tls import client_context
from keyweave_lab.demo_wait import until
from keyweave_lab.deploy import start, stop_program
from keyweave_lab.plant_control import PlantClient
from keyweave_lab.stream_client import StreamClient, connect
from keyweave_proto.v1 import keyweave_pb2 as pb

CLOCK = SystemClock()
A, C = "qkd://sae-a", "qkd://sae-c"
ASKED = StreamQos(chunk_bytes=64, max_bps=100_000, min_bps=4096, timeout_ms=15_000, ttl_s=600)


SEEN: list[bytes] = []
"""Chunks of the network that runs."""


def no_chunk_is_written_down(network: Network) -> None:
    written = [path.read_bytes() for path in network.lab.directory.rglob("*") if path.is_file()]
    for chunk in SEEN:
        for form in (chunk, chunk.hex().encode(), base64.b64encode(chunk)):
            assert not any(form in content for content in written)
    SEEN.clear()


async def dial(network: Network, sae_id: str) -> StreamClient:
    application = network.lab.application(sae_id)
    port = network.lab.node(application.node).streams_port
    return await connect("localhost", port, client_context(application.tls))


async def both_open(alice: StreamClient, charlie: StreamClient) -> Opening:
    """A asks, tells C the key stream id, and C joins with it."""
    opened = await alice.open(A, C, ASKED)
    assert opened.outcome is Outcome.SUCCESS
    joined = await charlie.open(C, A, ksid=opened.ksid)
    assert (joined.outcome, joined.qos.chunk_bytes) == (Outcome.SUCCESS, 64)
    return opened


async def read_equal(alice: StreamClient, charlie: StreamClient, ksid: bytes, indexes: range) -> None:
    for index in indexes:
        near, far = await alice.get(ksid, index), await charlie.get(ksid, index)
        assert (near.outcome, far.outcome) == (Outcome.SUCCESS, Outcome.SUCCESS), index
        assert near.key is not None
        assert far.key is not None
        assert near.key.same_as(far.key)
        SEEN.append(bytes(near.key.reveal()))


async def reserved(network: Network, bps: int) -> bool | None:
    (association,) = network.associations()
    return True if association.qos.min_bandwidth_bps == bps else None


async def test_a_stream_goes_on_over_another_path_when_a_fibre_is_cut(run_network: RunNetwork) -> None:
    async with (
        run_network(RING) as network,
        await dial(network, "sae-a") as alice,
        await dial(network, "sae-c") as charlie,
    ):
        opened = await both_open(alice, charlie)
        await read_equal(alice, charlie, opened.ksid, range(20))
        (association,) = network.associations()
        assert association.app_id == str(UUID(bytes=opened.ksid))
        assert association.qos.min_bandwidth_bps == 4096

        first, second = association.path.node_names[:2]
        await PlantClient(network.lab.plant_socket).cut(network.lab.link(f"{first}-{second}").name)

        async def moved() -> bool | None:
            (now,) = network.associations()
            active = now.state == pb.ASSOCIATION_STATE_ACTIVE
            return True if active and now.path.node_names[1] != second else None

        await read_equal(alice, charlie, opened.ksid, range(20, 60))
        await until(moved, CLOCK, 20, "the association on the other side of the ring")
        await read_equal(alice, charlie, opened.ksid, range(60, 200))
        assert await alice.close_stream(opened.ksid) is Outcome.SUCCESS
        assert await charlie.close_stream(opened.ksid) is Outcome.SUCCESS

        async def given_back() -> bool | None:
            return True if not network.associations() else None

        await until(given_back, CLOCK, 20, "the association given back")
        no_chunk_is_written_down(network)


async def test_what_two_streams_of_a_pair_want_is_reserved(run_network: RunNetwork) -> None:
    async with (
        run_network(RING) as network,
        await dial(network, "sae-a") as alice,
        await dial(network, "sae-c") as charlie,
    ):
        first, second = await both_open(alice, charlie), await both_open(alice, charlie)
        (association,) = network.associations()
        assert association.app_id == str(UUID(bytes=first.ksid))
        await until(lambda: reserved(network, 2 * ASKED.min_bps), CLOCK, 20, "the reservation of two streams")
        await read_equal(alice, charlie, second.ksid, range(10))
        await read_equal(alice, charlie, first.ksid, range(10))
        assert await alice.close_stream(first.ksid) is Outcome.SUCCESS

        await until(lambda: reserved(network, ASKED.min_bps), CLOCK, 20, "the reservation of one stream")
        await read_equal(alice, charlie, second.ksid, range(10, 20))


async def test_a_stream_of_an_association_that_was_there_is_made_of_its_keys(run_network: RunNetwork) -> None:
    async with (
        run_network(RING) as network,
        await dial(network, "sae-a") as alice,
        await dial(network, "sae-c") as charlie,
    ):
        opened = open_association(network, pb.KEY_MODE_HYBRID)
        proposed = await alice.open(A, C, ASKED)
        assert proposed.outcome is Outcome.QOS_NOT_MET, "nothing is reserved for this association"
        assert proposed.qos == replace(ASKED, min_bps=0)
        joined = await charlie.open(C, A, ksid=proposed.ksid)
        assert joined.outcome is Outcome.SUCCESS
        for client in (alice, charlie):
            told = json.loads((await client.get(proposed.ksid, 0)).metadata)
            assert told["keyweave_origin"] == "hybrid"
        await read_equal(alice, charlie, proposed.ksid, range(1, 40))
        for client in (alice, charlie):
            await client.close_stream(proposed.ksid)
        await asyncio.sleep(7)
        (association,) = network.associations()
        assert association.app_id == opened.app_id, "it is not ours to give back"


async def test_a_stream_ends_with_the_process_that_served_a_side_of_it(run_network: RunNetwork) -> None:
    async with run_network(RING) as network, await dial(network, "sae-a") as alice:
        async with await dial(network, "sae-c") as charlie:
            opened = await both_open(alice, charlie)
            await read_equal(alice, charlie, opened.ksid, range(10))
        await stop_program(network.lab.directory, "C", CLOCK, kill=True)
        await start(network.lab.directory, CLOCK)
        await until(lambda: all_connected(network), CLOCK, 20, "the restarted agent")
        async with await dial(network, "sae-c") as charlie:
            assert (await charlie.get(opened.ksid, 10)).outcome is Outcome.PEER_NOT_CONNECTED
            while True:  # what both held before is still there; then A hears that its peer is gone
                left = await alice.get(opened.ksid)
                if left.outcome is not Outcome.SUCCESS:
                    break
                assert left.index >= 10
            assert left.outcome is Outcome.PEER_NOT_CONNECTED
            assert await alice.close_stream(opened.ksid) is Outcome.SUCCESS
            reopening = asyncio.create_task(alice.open(A, C, ASKED, opened.ksid))
            joined = await charlie.open(C, A, ASKED, opened.ksid)
            assert (joined.outcome, (await reopening).outcome) == (Outcome.SUCCESS, Outcome.SUCCESS)
            await read_equal(alice, charlie, opened.ksid, range(30))
            no_chunk_is_written_down(network)
