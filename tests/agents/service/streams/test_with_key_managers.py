"""Key streams over two real key managers, mutual TLS to both: the cases of 004, and every status."""

import asyncio
import json
import time
from pathlib import Path

import pytest
from tests.agents.service.streams.pair import (
    ALICE,
    ALICE_URI,
    BOB,
    BOB_URI,
    CAROL,
    CAROL_URI,
    pair_of,
)

from keyweave_agents.keys.plan import AssociationWanted, KeyPlan
from keyweave_agents.service.streams.stream import Effect, Stream
from keyweave_agents.service.streams.values import NULL_KSID, Opening, Outcome, StreamQos
from keyweave_core.model.application import AppQos
from keyweave_lab.stream_client import StreamClient

QUICK = StreamQos(chunk_bytes=32, timeout_ms=3000)
BRIEF = StreamQos(chunk_bytes=32, timeout_ms=700)  # where a test waits for the end of the time
PREDEFINED = b"predefined-ksid!"


async def read_equal(alice: StreamClient, bob: StreamClient, ksid: bytes, indexes: range) -> None:
    for index in indexes:
        one, two = await alice.get(ksid, index), await bob.get(ksid, index)
        assert (one.outcome, two.outcome) == (Outcome.SUCCESS, Outcome.SUCCESS), index
        assert (one.index, two.index) == (index, index)
        assert one.key is not None
        assert two.key is not None
        assert one.key.same_as(two.key)


async def read_on(client: StreamClient, ksid: bytes) -> tuple[int, Outcome]:
    """Read until there is no more: how many chunks came, and why it ended."""
    count = 0
    while (last := await client.get(ksid)).outcome is Outcome.SUCCESS:
        count += 1
    return count, last.outcome


async def opened(alice: StreamClient, bob: StreamClient, qos: StreamQos = QUICK) -> bytes:
    """Case 1 of 004: alice gets the id, tells it, and bob joins."""
    first = await alice.open(ALICE_URI, BOB_URI, qos)
    assert first.outcome is Outcome.SUCCESS
    second = await bob.open(BOB_URI, ALICE_URI, StreamQos(timeout_ms=qos.timeout_ms), first.ksid)
    assert second == Opening(outcome=Outcome.SUCCESS, qos=second.qos, ksid=first.ksid)
    assert second.qos.chunk_bytes == first.qos.chunk_bytes
    return first.ksid


async def test_both_sides_read_the_same_stream(tmp_path: Path) -> None:
    async with pair_of(tmp_path, length=3) as pair:
        pair.join()
        alice, bob = await pair.client(ALICE), await pair.client(BOB)
        ksid = await opened(alice, bob)
        assert (ksid[6] >> 4, ksid[8] >> 6) == (4, 2), "a UUID of version 4"
        await read_equal(alice, bob, ksid, range(150))
        assert await alice.close_stream(ksid) is Outcome.SUCCESS
        assert await bob.close_stream(ksid) is Outcome.SUCCESS
        assert await bob.close_stream(ksid) is Outcome.PEER_NOT_CONNECTED
        assert (await alice.get(ksid, 150)).outcome is Outcome.PEER_NOT_CONNECTED


@pytest.mark.parametrize("first", ["alice", "bob"])
async def test_a_predefined_id_whoever_comes_first(tmp_path: Path, first: str) -> None:
    async with pair_of(tmp_path) as pair:
        pair.join()
        alice, bob = await pair.client(ALICE), await pair.client(BOB)
        calls = [
            alice.open(ALICE_URI, BOB_URI, QUICK, PREDEFINED),
            bob.open(ALICE_URI, BOB_URI, QUICK, PREDEFINED),
        ]
        if first == "bob":
            calls.reverse()
        one = asyncio.create_task(calls[0])
        await asyncio.sleep(0.3)
        assert not one.done()
        two = await calls[1]
        assert [(await one).outcome, two.outcome] == [Outcome.SUCCESS] * 2
        await read_equal(alice, bob, PREDEFINED, range(20))


async def test_who_waits_in_vain_hears_why(tmp_path: Path) -> None:
    async with pair_of(tmp_path) as pair:
        alice, bob = await pair.client(ALICE), await pair.client(BOB)
        began = time.monotonic()
        nobody = await alice.open(ALICE_URI, BOB_URI, BRIEF)
        assert nobody.outcome is Outcome.TIMEOUT, "no association came up"
        assert 0.6 < time.monotonic() - began < 10
        assert (await bob.open(ALICE_URI, BOB_URI, BRIEF, PREDEFINED)).outcome is Outcome.TIMEOUT
        pair.join()
        alone = await alice.open(ALICE_URI, BOB_URI, BRIEF, PREDEFINED)
        assert alone.outcome is Outcome.PEER_NOT_YET
        assert (await alice.get(PREDEFINED, 0)).outcome is Outcome.PEER_NOT_CONNECTED
        assert (await bob.open(ALICE_URI, BOB_URI, BRIEF, PREDEFINED)).outcome is Outcome.SUCCESS
        await read_equal(alice, bob, PREDEFINED, range(10))


async def test_a_refusal_of_the_network(tmp_path: Path) -> None:
    async with pair_of(tmp_path) as pair:
        alice = await pair.client(ALICE)
        opening = asyncio.create_task(alice.open(ALICE_URI, BOB_URI, StreamQos()))
        for _ in range(2):  # with the id of the stream, and without
            await asyncio.sleep(0.1)
            assert not opening.done()
            pair.chain.managers[0].refuse(ALICE, (BOB,), ("no path with so much key",))
        assert (await opening).outcome is Outcome.NO_CONNECTION


@pytest.mark.parametrize(
    ("source", "destination"),
    [
        ("alice", BOB_URI),
        (BOB_URI, CAROL_URI),
        (ALICE_URI, ALICE_URI),
        ("qkd://", BOB_URI),
        ("", ""),
    ],
)
async def test_who_is_not_one_of_two_gets_no_connection(
    tmp_path: Path, source: str, destination: str
) -> None:
    async with pair_of(tmp_path, fill=False) as pair:
        alice = await pair.client(ALICE)
        assert (await alice.open(source, destination, QUICK)).outcome is Outcome.NO_CONNECTION


async def test_an_id_is_used_once(tmp_path: Path) -> None:
    async with pair_of(tmp_path) as pair:
        pair.join()
        alice, bob, carol = await pair.client(ALICE), await pair.client(BOB), await pair.client(CAROL)
        ksid = await opened(alice, bob)
        other = await pair.client(ALICE)
        assert (await other.open(ALICE_URI, BOB_URI, QUICK, ksid)).outcome is Outcome.IN_USE
        assert (await carol.open(CAROL_URI, ALICE_URI, QUICK, ksid)).outcome is Outcome.IN_USE
        assert (await carol.get(ksid, 0)).outcome is Outcome.PEER_NOT_CONNECTED
        assert await carol.close_stream(ksid) is Outcome.PEER_NOT_CONNECTED
        await read_equal(other, bob, ksid, range(3))  # a stream is its application's, whatever the connection


async def test_quality_that_cannot_be_met(tmp_path: Path) -> None:
    async with pair_of(tmp_path, max_chunk_bytes=64) as pair:
        pair.join()
        alice, bob = await pair.client(ALICE), await pair.client(BOB)
        proposed = await alice.open(
            ALICE_URI, BOB_URI, StreamQos(chunk_bytes=4096, max_bps=10**9, timeout_ms=900)
        )
        assert proposed.outcome is Outcome.QOS_NOT_MET
        assert (proposed.qos.chunk_bytes, proposed.qos.max_bps) == (64, 500_000)
        # As it is proposed it is open; an application that wants to say so opens again.
        taken_up = await alice.open(ALICE_URI, BOB_URI, proposed.qos, proposed.ksid)
        assert taken_up == Opening(outcome=Outcome.SUCCESS, qos=proposed.qos, ksid=proposed.ksid)
        assert (await alice.open(ALICE_URI, BOB_URI, proposed.qos, proposed.ksid)).outcome is Outcome.IN_USE
        joined = await bob.open(ALICE_URI, BOB_URI, StreamQos(chunk_bytes=8), proposed.ksid)
        assert (joined.outcome, joined.qos.chunk_bytes) == (Outcome.SUCCESS, 64), (
            "the quality given is ignored"
        )
        await read_equal(alice, bob, proposed.ksid, range(5))
        refused = await alice.open(ALICE_URI, BOB_URI, StreamQos(mimetype="text/xml"))
        assert (refused.outcome, refused.ksid) == (Outcome.QOS_NOT_MET, NULL_KSID)
        assert refused.qos.mimetype == "application/json"


async def test_metadata(tmp_path: Path) -> None:
    async with pair_of(tmp_path) as pair:
        pair.join()
        alice, bob = await pair.client(ALICE), await pair.client(BOB)
        ksid = await opened(alice, bob)
        small = await alice.get(ksid, 0, metadata_bytes=4)
        assert small.outcome is Outcome.METADATA_SIZE
        assert 20 < small.metadata_bytes < 100
        fits = await alice.get(ksid, 0, metadata_bytes=small.metadata_bytes + 8)
        assert fits.outcome is Outcome.SUCCESS, "no key was lost"
        told = json.loads(fits.metadata)
        assert told["hops"] == 0
        assert told["keyweave_origin"] == "qkd"
        assert 0 <= told["age"] < 10_000
        none = await alice.get(ksid, 1, metadata_bytes=0)
        assert (none.outcome, none.metadata) == (Outcome.SUCCESS, b"")
        silent = await alice.open(ALICE_URI, BOB_URI, StreamQos(mimetype=""))
        assert (await bob.open(ALICE_URI, BOB_URI, StreamQos(), silent.ksid)).outcome is Outcome.SUCCESS
        assert (await alice.get(silent.ksid, 0)).metadata == b""
        assert json.loads((await bob.get(silent.ksid, 0)).metadata)["keyweave_origin"] == "qkd"


async def test_hops_that_are_not_known_are_not_told(tmp_path: Path) -> None:
    async with pair_of(tmp_path, length=3) as pair:
        pair.join()
        alice, bob = await pair.client(ALICE), await pair.client(BOB)
        ksid = await opened(alice, bob)
        for client in (alice, bob):
            assert "hops" not in json.loads((await client.get(ksid, 0)).metadata)


async def test_indexes(tmp_path: Path) -> None:
    async with pair_of(tmp_path) as pair:
        pair.join()
        alice, bob = await pair.client(ALICE), await pair.client(BOB)
        ksid = await opened(alice, bob)
        assert (await alice.get(ksid, 1_000_000)).outcome is Outcome.INSUFFICIENT_KEY
        later = await alice.get(ksid, 30)
        assert later.outcome is Outcome.SUCCESS, "it is made while the call waits"
        assert (await alice.get(ksid, 30)).outcome is Outcome.INSUFFICIENT_KEY
        following = await alice.get(ksid)
        assert following.index == 31
        theirs = await bob.get(ksid, 30)
        assert theirs.key is not None
        assert later.key is not None
        assert theirs.key.same_as(later.key)
        assert [(await bob.get(ksid)).index for _ in range(2)] == [31, 32]


async def test_no_key_is_a_timeout_at_both_sides_and_the_stream_goes_on(tmp_path: Path) -> None:
    async with pair_of(tmp_path, fill=False) as pair:
        pair.join()
        pair.chain.generate(0, 600)
        pair.chain.generate(0, 600)
        alice, bob = await pair.client(ALICE), await pair.client(BOB)
        ksid = await opened(alice, bob, BRIEF)
        (near, why), (far, why_too) = await read_on(alice, ksid), await read_on(bob, ksid)
        assert (why, why_too) == (Outcome.TIMEOUT, Outcome.TIMEOUT)
        assert near <= far < 60
        pair.chain.fill()
        await asyncio.sleep(1.0)
        await read_equal(alice, bob, ksid, range(far, far + 20))


async def test_two_streams_of_a_pair_share_nothing(tmp_path: Path) -> None:
    async with pair_of(tmp_path) as pair:
        pair.join()
        alice, bob = await pair.client(ALICE), await pair.client(BOB)
        ksids = [await opened(alice, bob) for _ in range(3)]
        seen = set()
        for ksid in ksids:
            for _ in range(20):
                one, two = await alice.get(ksid), await bob.get(ksid)
                assert one.key is not None
                assert two.key is not None
                assert one.key.same_as(two.key)
                seen.add(bytes(one.key.reveal()))
        assert len(seen) == 60


async def test_two_applications_of_one_node(tmp_path: Path) -> None:
    async with pair_of(tmp_path) as pair:
        pair.join_here()
        bob, carol = await pair.client(BOB), await pair.client(CAROL)
        first = await bob.open(BOB_URI, CAROL_URI, QUICK)
        assert first.outcome is Outcome.SUCCESS
        assert (await carol.open(CAROL_URI, BOB_URI, QUICK, first.ksid)).outcome is Outcome.SUCCESS
        await read_equal(bob, carol, first.ksid, range(20))
        assert await bob.close_stream(first.ksid) is Outcome.SUCCESS
        assert (await read_on(carol, first.ksid))[1] is Outcome.PEER_NOT_CONNECTED


async def test_what_the_peer_closed_can_be_read_to_its_end(tmp_path: Path) -> None:
    async with pair_of(tmp_path) as pair:
        pair.join()
        alice, bob = await pair.client(ALICE), await pair.client(BOB)
        ksid = await opened(alice, bob)
        taken = await alice.get(ksid, 0)
        assert await alice.close_stream(ksid) is Outcome.SUCCESS
        await asyncio.sleep(0.05)
        mine = await bob.get(ksid, 0)
        assert mine.key is not None
        assert taken.key is not None
        assert mine.key.same_as(taken.key)
        left, why = await read_on(bob, ksid)
        assert (left >= 7, why) == (True, Outcome.PEER_NOT_CONNECTED)
        # The same id again, for a stream that begins anew on both sides.
        assert await bob.close_stream(ksid) is Outcome.SUCCESS
        again = asyncio.create_task(alice.open(ALICE_URI, BOB_URI, QUICK, ksid))
        assert (await bob.open(BOB_URI, ALICE_URI, QUICK, ksid)).outcome is Outcome.SUCCESS
        assert (await again).outcome is Outcome.SUCCESS
        await read_equal(alice, bob, ksid, range(10))


async def test_a_waiting_call_ends_when_the_stream_is_closed(tmp_path: Path) -> None:
    async with pair_of(tmp_path) as pair:
        pair.join()
        alice, other = await pair.client(ALICE), await pair.client(ALICE)
        alone = await alice.open(ALICE_URI, BOB_URI, StreamQos(timeout_ms=8000))
        waiting = asyncio.create_task(alice.get(alone.ksid, 0))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        assert await other.close_stream(alone.ksid) is Outcome.SUCCESS
        assert (await asyncio.wait_for(waiting, 2)).outcome is Outcome.PEER_NOT_CONNECTED


async def test_an_association_that_is_taken_away_ends_no_stream(tmp_path: Path) -> None:
    async with pair_of(tmp_path) as pair:
        pair.join()
        alice, bob = await pair.client(ALICE), await pair.client(BOB)
        ksid = await opened(alice, bob, BRIEF)
        await read_equal(alice, bob, ksid, range(3))
        for manager in pair.chain.managers:
            manager.configure(KeyPlan())
        await asyncio.sleep(0.1)
        assert (await read_on(alice, ksid))[1] is Outcome.TIMEOUT
        pair.join(qos=AppQos(ttl_s=100))
        await asyncio.sleep(0.6)
        index = (await alice.get(ksid)).index
        await read_equal(alice, bob, ksid, range(index + 1, index + 10))


async def test_bounds_on_streams(tmp_path: Path) -> None:
    async with pair_of(tmp_path, max_streams_each=3) as pair:
        pair.join()
        alice = await pair.client(ALICE)
        made = [await alice.open(ALICE_URI, BOB_URI, QUICK) for _ in range(4)]
        assert [one.outcome for one in made] == [Outcome.SUCCESS] * 3 + [Outcome.NO_CONNECTION]
        assert await alice.close_stream(made[0].ksid) is Outcome.SUCCESS
        assert (await alice.open(ALICE_URI, BOB_URI, QUICK)).outcome is Outcome.SUCCESS


async def test_a_client_that_goes_away_while_it_opens_leaves_nothing(tmp_path: Path) -> None:
    async with pair_of(tmp_path) as pair:
        pair.join()
        alice, other = await pair.client(ALICE), await pair.client(ALICE)
        opening = asyncio.create_task(alice.open(ALICE_URI, BOB_URI, StreamQos(timeout_ms=9000), PREDEFINED))
        await asyncio.sleep(0.3)
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)
        await alice.disconnect()
        await asyncio.sleep(0.1)
        assert (await other.get(PREDEFINED, 0)).outcome is Outcome.PEER_NOT_CONNECTED
        assert (await other.open(ALICE_URI, BOB_URI, BRIEF, PREDEFINED)).outcome is Outcome.PEER_NOT_YET


async def test_a_chunk_asked_for_by_a_client_that_went_away_is_not_lost(tmp_path: Path) -> None:
    async with pair_of(tmp_path) as pair:
        pair.join()
        alice, other, bob = await pair.client(ALICE), await pair.client(ALICE), await pair.client(BOB)
        alone = await alice.open(ALICE_URI, BOB_URI, QUICK)
        waiting = asyncio.create_task(alice.get(alone.ksid, 0))
        await asyncio.sleep(0.1)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await alice.disconnect()
        assert (await bob.open(ALICE_URI, BOB_URI, QUICK, alone.ksid)).outcome is Outcome.SUCCESS
        await read_equal(other, bob, alone.ksid, range(5))


async def test_shares_over_several_paths_make_a_stream(tmp_path: Path) -> None:
    async with pair_of(tmp_path) as pair:
        pair.join(links=3)
        alice, bob = await pair.client(ALICE), await pair.client(BOB)
        await read_equal(alice, bob, await opened(alice, bob), range(20))


async def test_an_id_that_the_controller_knows_otherwise_is_asked_for_without(tmp_path: Path) -> None:
    async with pair_of(tmp_path) as pair:
        alice, manager = await pair.client(ALICE), pair.chain.managers[0]
        opening = asyncio.create_task(alice.open(ALICE_URI, BOB_URI, StreamQos()))
        wanted: list[AssociationWanted] = []
        while len(wanted) < 2:
            event = await asyncio.wait_for(manager.next_event(), 5)
            if isinstance(event, AssociationWanted):
                wanted.append(event)
        assert [one.app_id is not None for one in wanted] == [True, False]
        manager.refuse(ALICE, (BOB,), ("application id belongs to another association",))
        await asyncio.sleep(0.1)
        assert not opening.done()
        pair.join()
        assert (await opening).outcome is Outcome.SUCCESS


async def test_a_defect_in_one_stream_ends_that_stream_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with pair_of(tmp_path) as pair:
        pair.join()
        alice, bob = await pair.client(ALICE), await pair.client(BOB)
        good, bad = await opened(alice, bob), await opened(alice, bob, BRIEF)
        true_due = Stream.due

        def due(stream: Stream, now_s: float) -> list[Effect]:
            if stream.ksid == bad and stream.own == BOB:
                raise RuntimeError("a defect")
            return true_due(stream, now_s)

        monkeypatch.setattr(Stream, "due", due)
        await asyncio.sleep(0.4)
        assert (await bob.get(bad, 0)).outcome is Outcome.PEER_NOT_CONNECTED
        await read_equal(alice, bob, good, range(100))
        assert (await read_on(alice, bad))[1] in (Outcome.PEER_NOT_CONNECTED, Outcome.TIMEOUT)
