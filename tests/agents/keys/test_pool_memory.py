"""Pools that outlive their process: what is marked counts as spent, and an old memory is not believed."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.agents.keys.paper import PaperDisk, PaperLedger

from keyweave_agents.keys.storage.pool_memory import pool_memories
from keyweave_agents.keys.store import LEAST_AHEAD_BYTES, LinkPool, Position
from keyweave_agents.material import Pad, Secret
from keyweave_core.errors import Exhausted
from keyweave_core.model.ids import LinkId, NodeId

LOW, HIGH = NodeId("low"), NodeId("high")
LINK = LinkId("00000000-0000-4000-8000-000000000100")


class End:
    """One end of a link with a disk, in one of its lives."""

    def __init__(self, local: NodeId, disk: PaperDisk, wall_s: float = 1000.0, now_s: float = 0.0) -> None:
        self.local, self.disk = local, disk
        self.ledger = PaperLedger(disk)
        memory = pool_memories(self.ledger, [LINK], lambda: wall_s)[LINK]
        self.pool = LinkPool(LINK, local, HIGH if local == LOW else LOW, 10_000_000, memory)
        self.pool.restore(now_s)

    def again(self, wall_s: float = 1000.0) -> "End":
        """Killed, and started again."""
        return End(self.local, self.disk, wall_s)


def used(pad: Pad | None) -> bytes:
    """The bits, which are overwritten then."""
    assert pad is not None
    bits = bytes(pad.copy(len(pad)))
    pad.wipe()
    return bits


def deposit(ends: list[End], block_id: int, owner: NodeId, size: int) -> bytes:
    bits = os.urandom(size)
    for end in ends:
        assert end.pool.deposit(block_id, owner, Secret(bits), 0.0)
        end.ledger.commit()
    return bits


def agree(one: End, two: End, now_s: float = 0.0) -> None:
    (one_own, one_their), (two_own, two_their) = one.pool.stocks(), two.pool.stocks()
    one.pool.reconcile(two_their, two_own, now_s)
    two.pool.reconcile(one_their, one_own, now_s)


def ends() -> tuple[End, End]:
    return End(LOW, PaperDisk()), End(HIGH, PaperDisk())


def test_blocks_come_back_and_what_was_marked_counts_as_spent() -> None:
    owner, follower = ends()
    bits = deposit([owner, follower], 1, LOW, 40_000)
    agree(owner, follower)
    owner.pool.spend(10)
    owner.ledger.commit()
    commits = owner.disk.commits
    for _ in range(400):
        owner.pool.spend(10)
        if owner.ledger.kept < owner.ledger.noted:
            owner.ledger.commit()
    assert owner.disk.commits == commits, "one commit covers an eighth of what is there"
    owner = owner.again()
    spent = owner.pool.own.spent
    assert spent is not None
    assert spent.offset == 10 + (40_000 - 10) // 8
    agree(owner, follower)
    ranges, pad = owner.pool.spend(100)
    assert used(pad) == bits[spent.offset : spent.offset + 100]
    assert used(follower.pool.claim(ranges)) == bits[spent.offset : spent.offset + 100]


def test_a_small_pool_marks_at_least_a_little_and_all_there_is() -> None:
    owner, follower = ends()
    deposit([owner, follower], 1, LOW, 1000)
    agree(owner, follower)
    owner.pool.spend(1)
    owner.ledger.commit()
    owner = owner.again()
    assert owner.pool.own.stored_bytes == 0 < LEAST_AHEAD_BYTES
    assert not owner.pool.deposit(1, LOW, Secret(b"again"), 0.0), "it had been here"


def test_a_proper_end_loses_nothing() -> None:
    owner, follower = ends()
    bits = deposit([owner, follower], 1, LOW, 1000)
    agree(owner, follower)
    owner.pool.spend(10)
    owner.pool.close()
    assert owner.pool.own.stored_bytes == 0
    owner.ledger.commit()
    owner = owner.again()
    agree(owner, follower)
    assert used(owner.pool.spend(990)[1]) == bits[10:]


def test_spent_blocks_are_gone_from_disk() -> None:
    owner, follower = ends()
    for block_id in (1, 2):
        deposit([owner, follower], block_id, LOW, 100)
    agree(owner, follower)
    ranges, _ = owner.pool.spend(150)
    follower.pool.claim(ranges)
    for end in (owner, follower):
        end.ledger.commit()
        blocks = [key for (shelf, key) in end.disk.records if shelf == "pools" and len(key) > 37]
        assert len(blocks) == 1


def test_an_end_that_was_put_back_gives_up_what_its_old_memory_gave_it() -> None:
    owner, follower = ends()
    deposit([owner, follower], 1, LOW, 40_000)
    agree(owner, follower)
    owner.pool.spend(10)
    owner.ledger.commit()
    old = owner.disk.copy()
    ranges, _ = owner.pool.spend(20_000)
    owner.ledger.commit()
    assert follower.pool.claim(ranges) is not None
    owner.disk.put_back(old, noticed=False)
    owner = owner.again()
    assert owner.pool.own.stored_bytes > 20_000
    fresh = deposit([owner, follower], 2, LOW, 500)
    agree(owner, follower)
    assert owner.pool.own.stored_bytes == 500
    ranges, pad = owner.pool.spend(500)
    assert used(pad) == fresh
    assert used(follower.pool.claim(ranges)) == fresh


def test_a_store_that_is_not_intact_begins_anew() -> None:
    owner, follower = ends()
    deposit([owner, follower], 1, LOW, 1000)
    agree(owner, follower)
    owner.disk.put_back(owner.disk.copy(), noticed=True)
    owner = owner.again()
    assert owner.pool.stored_bits == 0
    assert owner.pool.own.spent is None
    follower.pool.parted()
    agree(owner, follower, now_s=1.0)
    assert follower.pool.stored_bits == 0, "the other end knows nothing: what there was is worthless"


def test_the_age_of_a_block_outlives_a_restart_and_a_clock_that_was_set_back() -> None:
    owner, follower = ends()
    deposit([owner, follower], 1, LOW, 100)
    assert owner.again(wall_s=1060.0).pool.oldest_age_s(0.0) == 60
    assert owner.again(wall_s=10.0).pool.oldest_age_s(0.0) == 0


def test_pools_of_other_links_are_forgotten() -> None:
    owner, follower = ends()
    deposit([owner, follower], 1, LOW, 100)
    ledger = PaperLedger(owner.disk)
    pool_memories(ledger, [LinkId("00000000-0000-4000-8000-000000000101")], lambda: 0.0)
    ledger.commit()
    assert not owner.disk.records


@given(
    st.lists(
        st.tuples(st.sampled_from(["spend", "crash", "follower", "block", "lost"]), st.integers(1, 3000)),
        max_size=30,
    )
)
def test_no_byte_of_a_direction_is_spent_twice(history: list[tuple[str, int]]) -> None:
    owner, follower = ends()
    used: dict[int, set[int]] = {}
    block_id = 0
    agree(owner, follower)
    for name, size in history:
        if name == "block":
            block_id += 1
            deposit([owner, follower], block_id, LOW, size)
            owner.pool.learn((block_id,))
        elif name == "crash":
            owner = owner.again()
            agree(owner, follower, now_s=10.0)
        elif name == "follower":
            follower = follower.again()
            agree(owner, follower, now_s=10.0)
        else:
            try:
                ranges, _ = owner.pool.spend(size)
            except Exhausted:
                continue
            owner.ledger.commit()
            for item in ranges:
                bits = set(range(item.offset, item.offset + item.length))
                assert not bits & used.setdefault(item.block_id, set())
                used[item.block_id] |= bits
            if name == "spend":
                assert follower.pool.claim(ranges) is not None
    assert owner.pool.own.spent is None or owner.pool.own.spent >= Position(0, 0)


def test_what_is_spent_cannot_be_more_than_there_is() -> None:
    owner, follower = ends()
    deposit([owner, follower], 1, LOW, 100)
    agree(owner, follower)
    with pytest.raises(Exhausted):
        owner.pool.spend(101)
    assert owner.ledger.kept == owner.ledger.noted, "nothing was marked"
