"""A pool gives each bit out once, and its two ends agree."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyweave_agents.keys.store import Direction, LinkPool, PadRange, Position, Stock
from keyweave_agents.material import Pad, Secret
from keyweave_core.errors import Exhausted
from keyweave_core.model.ids import LinkId, NodeId

LOW, HIGH = NodeId("low"), NodeId("high")


def direction(*sizes: int, shared: bool = True) -> Direction:
    made = Direction()
    for block_id, size in enumerate(sizes, start=1):
        made.add(block_id, Secret(bytes([block_id]) * size), shared=shared, now_s=0.0)
    return made


def pools(capacity_bits: int = 100_000) -> tuple[LinkPool, LinkPool]:
    link_id = LinkId("link")
    return LinkPool(link_id, LOW, HIGH, capacity_bits), LinkPool(link_id, HIGH, LOW, capacity_bits)


def used(pad: Pad | None) -> bytes | None:
    """What the bits of a pad were; it is overwritten like any that was used."""
    if pad is None:
        return None
    bits = bytes(pad.copy(len(pad)))
    pad.wipe()
    return bits


def agree(one: LinkPool, two: LinkPool, now_s: float = 0.0) -> None:
    (one_own, one_their), (two_own, two_their) = one.stocks(), two.stocks()
    one.reconcile(two_their, two_own, now_s)
    two.reconcile(one_their, one_own, now_s)


def test_the_owner_spends_in_order_across_blocks() -> None:
    owner = direction(10, 10)
    ranges, taken = owner.spend(14)
    assert ranges == (PadRange(1, 0, 10), PadRange(2, 0, 4))
    assert used(taken) == b"\x01" * 10 + b"\x02" * 4
    assert owner.spent == Position(2, 4)
    assert owner.stored_bytes == owner.shared_bytes == 6


def test_spending_more_than_there_is_changes_nothing() -> None:
    owner = direction(10)
    with pytest.raises(Exhausted, match="11 bytes of pad wanted, 10 left"):
        owner.spend(11)
    assert owner.stored_bytes == 10
    assert owner.spent is None


def test_the_follower_takes_the_named_range_and_forgets_what_lies_before() -> None:
    follower = direction(10, 10, 10)
    assert used(follower.claim((PadRange(2, 2, 3),))) == b"\x02" * 3
    assert follower.spent == Position(2, 5)
    assert follower.stored_bytes == 15
    assert follower.claim((PadRange(1, 0, 3),)) is None, "what lies before is forgotten"
    assert follower.claim((PadRange(2, 2, 3),)) is None, "a range is given out once"
    assert follower.claim((PadRange(2, 4, 3),)) is None, "and no part of it again"
    assert used(follower.claim((PadRange(2, 5, 5), PadRange(3, 0, 1)))) == b"\x02" * 5 + b"\x03"


@pytest.mark.parametrize(
    "ranges",
    [
        (),
        (PadRange(9, 0, 1),),
        (PadRange(1, 0, 11),),
        (PadRange(1, 5, 6),),
        (PadRange(1, 0, 0),),
        (PadRange(2, 0, 1), PadRange(1, 0, 1)),
        (PadRange(1, 0, 5), PadRange(1, 4, 5)),
        (PadRange(1, 0, 5), PadRange(9, 0, 5)),
    ],
)
def test_ranges_that_are_not_there_or_not_in_order_change_nothing(ranges: tuple[PadRange, ...]) -> None:
    follower = direction(10, 10)
    assert follower.claim(ranges) is None
    assert follower.stored_bytes == 20
    assert follower.spent is None


def test_spent_bytes_are_overwritten() -> None:
    material = Secret(b"\xff" * 8)
    owner = Direction()
    owner.add(1, material, shared=True, now_s=0.0)
    assert used(owner.spend(5)[1]) == b"\xff" * 5
    assert bytes(material.reveal()) == bytes(5) + b"\xff" * 3
    owner.advance_to(Position(1, 8))
    assert bytes(material.reveal()) == bytes(8)


def test_blocks_that_only_one_end_holds_are_not_spent() -> None:
    owner = direction(10, shared=False)
    with pytest.raises(Exhausted):
        owner.spend(1)
    owner.share(1)
    assert owner.spend(1)[0] == (PadRange(1, 0, 1),)


def test_the_direction_with_less_gets_the_next_block_until_the_pool_is_full() -> None:
    low, high = pools(capacity_bits=1600)
    for block_id in range(1, 5):
        owner = low.next_owner()
        assert owner == (LOW if block_id % 2 else HIGH)
        for pool in (low, high):
            assert pool.deposit(block_id, owner, Secret(bytes(50)), 0.0)
    assert low.next_owner() is None
    assert low.stored_bits == high.stored_bits == 1600
    agree(low, high)
    low.spend(20)
    assert low.next_owner() is None, "an eighth stays free for blocks on their way"
    low.spend(20)
    assert low.next_owner() == LOW


def test_what_is_deposited_is_a_copy() -> None:
    low, high = pools()
    shared = Secret(b"\x07" * 8)
    for pool in (low, high):
        pool.deposit(1, LOW, shared, 0.0)
    agree(low, high)
    ranges, taken = low.spend(8)
    assert used(high.claim(ranges)) == used(taken) == b"\x07" * 8


def test_repeats_strangers_empty_blocks_and_overflow_are_not_kept() -> None:
    low, _ = pools(capacity_bits=1600)
    assert low.deposit(5, LOW, Secret(bytes(10)), 0.0)
    assert not low.deposit(5, LOW, Secret(bytes(10)), 0.0)
    assert not low.deposit(4, HIGH, Secret(bytes(10)), 0.0)
    assert not low.deposit(6, NodeId("stranger"), Secret(bytes(10)), 0.0)
    assert not low.deposit(6, LOW, Secret(b""), 0.0)
    assert not low.deposit(6, LOW, Secret(bytes(2000)), 0.0)
    assert low.stored_bits == 80


def test_agreement_takes_the_larger_position_and_the_common_blocks() -> None:
    low, high = pools()
    for block_id in (1, 2, 3):
        low.deposit(block_id, LOW, Secret(bytes([block_id]) * 10), 0.0)
        if block_id != 2:  # lost at the other end
            high.deposit(block_id, LOW, Secret(bytes([block_id]) * 10), 0.0)
    agree(low, high)
    assert low.own.stock() == high.their.stock() == Stock(None, (1, 3))
    low.spend(4)  # the message that named these bits was lost with the connection
    agree(low, high)
    assert high.their.spent == Position(1, 4)
    assert low.own.stored_bytes == high.their.stored_bytes == 16


def test_a_peer_that_restarted_empties_the_pool() -> None:
    low, high = pools()
    for block_id in range(1, 9):
        for pool in (low, high):
            pool.deposit(block_id, LOW if block_id % 2 else HIGH, Secret(bytes(10)), 0.0)
    agree(low, high)
    low.parted()
    _, fresh = pools()
    agree(low, fresh, now_s=0.0)
    assert low.stored_bits == 0


def test_a_block_delivered_between_the_two_hellos_stays_at_both_ends() -> None:
    low, high = pools()
    high.deposit(1, LOW, Secret(bytes(10)), 0.0)  # the follower has it first
    low_said, high_said = low.stocks(), high.stocks()  # the owner says: I hold nothing at all
    low.deposit(1, LOW, Secret(bytes(10)), 0.1)  # ... and now it does, and says so after its Hello
    high.reconcile(low_said[1], low_said[0], 0.2)
    low.reconcile(high_said[1], high_said[0], 0.2)
    high.learn([1])
    ranges, pad = low.own.spend(10)
    assert used(high.their.claim(ranges)) == used(pad)


def test_blocks_that_the_other_end_misses_are_given_up() -> None:
    owner = direction(10, 10, 10)
    assert owner.missing([2, 7]) == (7,)
    owner.give_up([1, 2, 9])
    assert (owner.stored_bytes, owner.shared_bytes) == (10, 10)
    assert owner.spend(4)[0] == (PadRange(3, 0, 4),)


def test_key_on_its_way_to_the_other_end_survives_the_agreement() -> None:
    low, high = pools()
    low.deposit(1, LOW, Secret(bytes(10)), 0.0)
    high.deposit(1, LOW, Secret(bytes(10)), 0.0)
    low.deposit(2, LOW, Secret(bytes(10)), 50.0)
    agree(low, high, now_s=51.0)
    assert low.own.stored_bytes == 20
    assert low.own.shared_bytes == 10, "it cannot be spent yet"
    high.deposit(2, LOW, Secret(bytes(10)), 52.0)
    low.learn([2])
    assert low.own.shared_bytes == 20


def test_a_block_named_before_it_came_here_is_shared_at_once() -> None:
    low, _ = pools()
    agree(*pools())
    low.learn([3])
    low.deposit(3, LOW, Secret(bytes(10)), 0.0)
    assert low.own.shared_bytes == 10


def test_a_block_below_one_that_the_other_end_holds_will_never_be_shared() -> None:
    low, _ = pools()
    for block_id in (1, 2):
        low.deposit(block_id, LOW, Secret(bytes(10)), 0.0)
    low.learn([2])
    assert low.own.stock().held == (2,)


def test_the_age_of_a_pool_is_that_of_its_oldest_key_in_either_direction() -> None:
    low, _ = pools()
    assert low.oldest_age_s(9.0) is None
    low.deposit(1, HIGH, Secret(bytes(10)), 2.5)
    low.deposit(2, LOW, Secret(bytes(10)), 4.0)
    assert low.oldest_age_s(9.0) == 6
    low.learn([2])
    assert low.oldest_age_s(9.0) == 5, "the block that was never shared is gone"
    low.spend(10)
    assert low.oldest_age_s(9.0) is None


def test_an_orphan_goes_after_a_while_so_that_levels_are_true() -> None:
    low, _ = pools()
    low.deposit(1, HIGH, Secret(bytes(10)), 0.0)
    low.forget_unshared(4.0)
    assert low.stored_bits == 80
    low.forget_unshared(6.0)
    assert low.stored_bits == 0


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("deposit"), st.integers(1, 40), st.sampled_from(["both", "low", "high"])),
            st.tuples(st.just("spend"), st.integers(1, 60), st.sampled_from(["ok", "lost"])),
            st.tuples(st.just("agree"), st.just(0), st.just("")),
        ),
        max_size=40,
    )
)
def test_two_ends_never_give_out_different_bits(history: list[tuple[str, int, str]]) -> None:
    low, high = pools()
    agree(low, high)
    seen: set[tuple[int, int]] = set()
    block_id, now_s = 0, 0.0
    for what, size, how in history:
        now_s += 1.0
        if what == "deposit":
            block_id += 1
            content = Secret(bytes((block_id * 7 + at) % 256 for at in range(size)))
            for name, pool, other in (("low", low, high), ("high", high, low)):
                if how in ("both", name):
                    pool.deposit(block_id, LOW, content, now_s)
                    other.learn([block_id])
        elif what == "spend":
            try:
                ranges, taken = low.spend(size)
            except Exhausted:
                continue
            named = {
                (item.block_id, at) for item in ranges for at in range(item.offset, item.offset + item.length)
            }
            assert not named & seen
            seen |= named
            if how == "ok":
                claimed = used(high.claim(ranges))
                assert claimed in (None, used(taken))
        else:
            agree(low, high, now_s)
            assert low.own.spent == high.their.spent
    agree(low, high, now_s + 100)
    assert low.own.stock() == high.their.stock()
    assert low.stored_bits == high.stored_bits
