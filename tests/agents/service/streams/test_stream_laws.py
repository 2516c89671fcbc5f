"""Laws of a stream under whatever the way between its sides does."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.agents.service.streams.model import KSID, NAMES, QOS, World, forged

from keyweave_agents.service.streams.chunks import Verdict
from keyweave_agents.service.streams.letters import Gone, Head, Lost, Offer, Wanted, decode_letter
from keyweave_agents.service.streams.stream import Phase
from keyweave_agents.service.streams.values import NEXT_INDEX, StreamQos
from keyweave_core.errors import MalformedMessage

sides = st.integers(0, 1)
operations = st.one_of(
    st.tuples(st.just("open"), sides, st.booleans(), st.booleans()),
    st.tuples(st.just("close"), sides, st.booleans()),
    st.tuples(st.just("get"), sides, st.just(NEXT_INDEX) | st.integers(0, 40)),
    st.tuples(st.just("wait"), st.sampled_from([0.05, 0.3, 2.5, 40.0])),
    st.tuples(st.just("deliver"), sides, st.integers(0, 5), st.booleans()),
    st.tuples(st.just("drop"), sides, st.integers(0, 5)),
    st.tuples(st.just("forge"), sides, st.integers(0, 5)),
    st.tuples(st.just("flip"), sides, st.integers(0, 5), st.integers(0, 10_000)),
    st.tuples(st.just("poor"), st.booleans()),
    st.tuples(st.just("forget"), st.integers(0, 3)),
    st.tuples(st.just("settle")),
)


def play(world: World, operation: tuple[object, ...]) -> None:
    match operation:
        case ("open", int(side), bool(creates), bool(source)):
            world.open(side, creates=creates, source=source)
        case ("close", int(side), bool(crash)):
            world.close(side, crash=crash)
        case ("get", int(side), int(index)):
            world.get(side, index)
        case ("wait", float(duration_s)):
            world.wait(duration_s)
        case ("settle",):
            world.settle(12)
        case ("poor", bool(poor)):
            world.rich = not poor
        case ("forget", int(number)):
            for key_id in list(world.stored)[:number]:
                del world.stored[key_id]
        case (str(what), int(side), int(position), *more) if position < len(world.wires[side]):
            wire = world.wires[side]
            if what == "deliver":
                world.deliver(side, position, copy=bool(more[0]))
            elif what == "drop":
                del wire[position]
            elif what == "forge":
                world.arrives(1 - side, forged(decode_letter(wire[position]), world.random))
            elif what == "flip":
                raw = bytearray(wire[position])
                at = int(str(more[0])) % (8 * len(raw))
                raw[at // 8] ^= 1 << at % 8
                with contextlib.suppress(MalformedMessage):
                    world.arrives(1 - side, decode_letter(bytes(raw)))


@given(st.integers(0, 2**32), st.lists(operations, max_size=120))
def test_both_hold_the_same_or_one_holds_nothing(seed: int, history: list[tuple[object, ...]]) -> None:
    world = World(seed)
    world.open(0, creates=True)
    world.open(1)
    world.settle(6)
    for operation in history:
        play(world, operation)
        world.check()
    # Whatever was done to them: two applications that open anew read an equal stream.
    world.rich = True
    for side in (0, 1):
        world.close(side)
        world.wires[side].clear()
    world.open(0, creates=True)
    world.open(1)
    world.settle(12)
    got = []
    for _ in range(12):
        got.append((world.get(0), world.get(1)))
        world.settle(2)
    assert all(one is not None and one == two for one, two in got)
    world.check()
    for side in (0, 1):
        world.close(side)
    assert [room.held for room in world.rooms] == [0, 0]


def joined(qos: StreamQos = QOS, room: int = 10_000) -> World:
    world = World(qos=qos, room=room)
    world.open(0, creates=True)
    world.open(1)
    world.settle(6)
    assert [side.phase for side in world.sides if side] == [Phase.JOINED] * 2
    return world


@pytest.mark.parametrize(
    ("claims", "maker"),
    [
        (((True, True), (False, False)), 0),
        (((True, False), (False, True)), 0),
        (((False, False), (True, False)), 1),
        (((False, False), (False, True)), 1),
        (((False, True), (False, True)), 0),  # alike: the name that comes first
        (((False, False), (False, False)), 0),
    ],
)
def test_both_sides_agree_on_who_makes(claims: tuple[tuple[bool, bool], ...], maker: int) -> None:
    for first in (0, 1):
        world = World()
        for side in (first, 1 - first):
            world.open(side, creates=claims[side][0], source=claims[side][1])
            world.settle(3)
        assert [side.maker is not None for side in world.sides if side] == [maker == 0, maker == 1]
        assert [side.taker is not None for side in world.sides if side] == [maker != 0, maker != 1]


def test_an_idle_stream_draws_nothing_more() -> None:
    world = joined()
    world.settle(20)
    drawn = len(world.supplied)
    assert drawn == (8 + 2) + (16 + 2) + (32 + 2), "few at first, and the proof keys of each offer"
    world.wait(1000)
    world.settle(20)
    assert len(world.supplied) == drawn
    assert world.get(0) is None, "they have expired"
    world.settle(3)
    assert world.get(0) is not None
    assert len(world.supplied) > drawn


def test_a_fast_reader_gets_more_at_a_time() -> None:
    world = joined()
    counts = []
    for _ in range(400):
        before = len(world.supplied)
        while world.get(0) is not None:
            world.get(1)
        world.settle(1)
        counts.append(len(world.supplied) - before)
    assert max(counts) >= 35
    assert len(world.handed[0][world.sides[0].opening if world.sides[0] else b""]) > 5000


def test_key_is_made_no_faster_than_the_stream_may_have_it() -> None:
    world = joined(qos=StreamQos(chunk_bytes=32, max_bps=10_240, timeout_ms=1000, ttl_s=3600))
    began_s = world.now_s
    for _ in range(600):
        while world.get(0) is not None:
            world.get(1)
        world.settle(1)
    chunks = sum(len(one) for one in world.handed[0].values())
    spent_s = world.now_s - began_s
    assert 0.9 * 40 * spent_s < chunks < 40 * (spent_s + 1)
    assert 8 * sum(map(len, world.supplied)) <= 10_240 * (spent_s + 2), "proof keys count, too"


def test_explicit_indexes_come_in_any_order_and_once() -> None:
    world = joined()
    assert [world.get(0, index) is not None for index in (3, 0, 2)] == [True] * 3
    assert [world.get(0, index) for index in (3, 0, 2)] == [None] * 3
    side = world.sides[0]
    assert side is not None
    assert side.chunks.look(3) is Verdict.SPENT
    assert side.chunks.look(5_000) is Verdict.TOO_FAR
    assert world.get(0) is not None, "the next after the highest"
    assert 4 in world.handed[0][side.opening]
    assert side.chunks.look(200) is Verdict.NOT_YET
    world.settle(12)
    assert world.get(0, 200) is not None, "what is asked for is made"


def test_the_follower_alone_can_make_the_stream_go_on() -> None:
    world = joined()
    for _ in range(300):
        world.get(1)
        world.settle(1)
    handed = world.handed[1][world.sides[1].opening if world.sides[1] else b""]
    assert len(handed) > 200, "the maker's application has read nothing"
    for _ in range(300):
        world.get(0)
    world.check()


def test_a_slow_application_keeps_its_chunks_and_the_stream_waits() -> None:
    world = joined(qos=StreamQos(chunk_bytes=4096, max_bps=2**31, timeout_ms=1000, ttl_s=36_000))
    for _ in range(300):
        world.get(1)
        world.settle(1)
    slow = world.sides[0]
    assert slow is not None
    assert len(slow.chunks) == 64
    first = world.get(0)
    assert first is not None
    assert first == world.handed[1][world.sides[1].opening if world.sides[1] else b""][0]


def test_a_forged_wish_costs_a_few_chunks() -> None:
    world = joined()
    world.settle(10)
    maker, taker = world.sides
    assert maker is not None
    assert taker is not None
    before = len(world.supplied)
    world.arrives(0, Wanted(head=taker.head, frontier=2**32 - 1))
    world.settle(20)
    assert len(world.supplied) - before < 3 * 66
    world.check()


def test_streams_share_one_room() -> None:
    world = joined(room=20)
    for _ in range(60):
        world.get(1)
        world.settle(1)
    slow = world.sides[0]
    assert slow is not None
    assert len(slow.chunks) <= 20
    before = len(world.supplied)
    world.settle(20)
    assert len(world.supplied) == before, "nothing is drawn that nobody could hold"
    for _ in range(40):
        world.get(0)
        world.settle(1)
    assert len(world.supplied) > before
    world.check()


def test_chunks_that_an_application_skips_give_way() -> None:
    world = joined(qos=StreamQos(chunk_bytes=4096, max_bps=2**31, timeout_ms=1000, ttl_s=36_000))
    got = 0
    for index in range(0, 400, 2):
        for _ in range(40):
            if world.get(0, index) is not None:
                got += 1
                break
            world.settle(1)
        world.get(1, index)
    assert got == 200


def test_a_forged_offer_moves_no_chunk_and_the_true_one_still_counts() -> None:
    world = World()
    world.open(0, creates=True)
    world.open(1)
    offer = None
    while offer is None:
        world.wait(0.05)
        for writer in (1, 0):
            while world.wires[writer] and offer is None:
                letter = decode_letter(world.wires[writer][0])
                if isinstance(letter, Offer):
                    offer = letter
                else:
                    world.deliver(writer)
    for _ in range(7):
        world.arrives(1, forged(offer, world.random))
    taker = world.sides[1]
    assert taker is not None
    world.settle(6)
    both = [(world.get(0), world.get(1)) for _ in range(8)]
    assert all(one == two for one, two in both)
    world.check()


def test_a_peer_that_closes_leaves_what_both_hold() -> None:
    world = joined()
    first = world.get(0)
    world.close(0)
    world.settle(3)
    side = world.sides[1]
    assert side is not None
    assert side.phase is Phase.LEFT
    assert world.get(1) == first
    left = 0
    while world.get(1) is not None:
        left += 1
    assert left >= 7
    world.open(0, creates=True)
    world.settle(20)
    assert side.phase is Phase.LEFT, "a stream joins once"
    assert world.get(1) is None


def test_a_crash_is_noticed_when_the_other_asks() -> None:
    for crashed in (0, 1):
        world = joined()
        world.close(crashed, crash=True)
        other = world.sides[1 - crashed]
        assert other is not None
        for _ in range(60):
            world.get(1 - crashed)
            world.settle(1)
        assert other.phase is Phase.LEFT
        world.check()


def test_a_peer_that_opened_anew_is_not_joined_by_a_stream_of_before() -> None:
    world = joined()
    world.close(0, crash=True)
    world.open(0, creates=True)
    world.settle(60)
    old, new = world.sides[1], world.sides[0]
    assert old is not None
    assert new is not None
    assert (old.phase, new.phase) == (Phase.LEFT, Phase.WAITING)
    world.close(1)
    world.open(1)
    world.settle(20)
    assert new.phase is Phase.JOINED
    assert world.get(0) == world.get(1) is not None


def test_letters_for_others_are_answered_or_ignored() -> None:
    world = joined()
    side = world.sides[0]
    assert side is not None
    stranger = Head(ksid=KSID, mine=b"x" * 8, yours=side.opening)
    for letter in (Gone(head=stranger), Wanted(head=stranger, frontier=9), Lost(head=stranger, first=0)):
        assert side.heard(letter, world.now_s) == []
    assert side.phase is Phase.JOINED
    old = Head(ksid=KSID, mine=b"x" * 8, yours=b"y" * 8)
    (effect,) = side.heard(Wanted(head=old, frontier=9), world.now_s)
    assert getattr(effect, "letter", None) == Gone(head=Head(ksid=KSID, mine=b"y" * 8, yours=b"x" * 8))
    assert side.heard(Gone(head=old), world.now_s) == []
    assert side.own == NAMES[0]
    assert side.qos == QOS
