"""A pool of which somebody may have overheard the last blocks: they go at both ends, and nothing is spent."""

import pytest

from keyweave_agents.keys.store import LinkPool
from keyweave_agents.material import Secret
from keyweave_core.errors import Exhausted
from keyweave_core.model.ids import LinkId, NodeId

LINK, A, B = LinkId("l"), NodeId("a"), NodeId("b")


def pair() -> tuple[LinkPool, LinkPool]:
    """Both ends of a link hold blocks 1..8 of 100 bytes, owned in turn, and know that the other does."""
    ends = LinkPool(LINK, A, B, 1_000_000), LinkPool(LINK, B, A, 1_000_000)
    for block_id in range(1, 9):
        for pool in ends:
            assert pool.deposit(block_id, A if block_id % 2 else B, Secret(bytes([block_id]) * 100), 0.0)
    for pool in ends:
        pool.learn(range(1, 9))
    return ends


def test_blocks_from_there_on_go_and_what_was_spent_of_them_is_counted() -> None:
    near, far = pair()
    ranges, _ = near.spend(250)  # blocks 1, 3 and half of 5
    assert far.claim(ranges) is not None
    assert near.distrust(3) == (8 * 450, 8 * 150)
    assert far.distrust(3) == (8 * 450, 8 * 150)
    assert near.stored_bits == far.stored_bits == 8 * 100  # block 2, not yet spent


def test_in_quarantine_nothing_is_taken_in_made_or_spent() -> None:
    near, _ = pair()
    near.distrust(9)
    assert near.next_owner() is None
    assert not near.deposit(9, A, Secret(bytes(100)), 0.0)
    with pytest.raises(Exhausted, match="quarantine"):
        near.spend(10)
    near.trust()
    assert near.deposit(9, A, Secret(bytes(100)), 0.0)
    ranges, _ = near.spend(10)
    assert ranges[0].block_id == 1


def test_a_block_that_one_end_alone_destroyed_is_used_by_neither() -> None:
    near, far = pair()
    far.distrust(5)
    ranges, _ = near.spend(250)  # the owner does not know yet
    assert far.claim(ranges) is None
    assert set(far.their.missing(item.block_id for item in ranges)) == {5}
    assert near.distrust(5) == (8 * 350, 8 * 50)


def test_more_may_turn_out_to_be_suspect() -> None:
    near, _ = pair()
    assert near.distrust(7) == (8 * 200, 0)
    assert near.distrust(5) == (8 * 200, 0)
    assert near.stored_bits == 8 * 400
