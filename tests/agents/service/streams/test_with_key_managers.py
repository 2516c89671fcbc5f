"""Key streams over two real key managers, mutual TLS to both."""

from pathlib import Path

from tests.agents.service.streams.pair import ALICE, ALICE_URI, BOB, BOB_URI, pair_of

from keyweave_agents.service.streams.values import Outcome, StreamQos


async def test_both_sides_read_the_same_stream(tmp_path: Path) -> None:
    async with pair_of(tmp_path) as pair:
        pair.join()
        alice, bob = await pair.client(ALICE), await pair.client(BOB)
        asked = StreamQos(chunk_bytes=32, max_bps=40_000, timeout_ms=3000)
        opened = await alice.open(ALICE_URI, BOB_URI, asked)
        assert opened.outcome is Outcome.SUCCESS
        joined = await bob.open(BOB_URI, ALICE_URI, StreamQos(), opened.ksid)
        assert (joined.outcome, joined.ksid, joined.qos.chunk_bytes) == (Outcome.SUCCESS, opened.ksid, 32)
        for index in range(20):
            one = await alice.get(opened.ksid, index)
            two = await bob.get(opened.ksid, index)
            assert one.key is not None
            assert two.key is not None
            assert (one.outcome, two.outcome, one.index, two.index) == (Outcome.SUCCESS,) * 2 + (index,) * 2
            assert one.key.same_as(two.key)
            assert len(one.key) == 32
        assert await alice.close_stream(opened.ksid) is Outcome.SUCCESS
        assert await bob.close_stream(opened.ksid) is Outcome.SUCCESS
        assert await bob.close_stream(opened.ksid) is Outcome.PEER_NOT_CONNECTED
