"""Whose place a demand takes: small networks worked out by hand, and laws held against trying everything."""

from itertools import chain, combinations

from hypothesis import assume, given
from hypothesis import strategies as st
from tests.controller.control.crowded import Crowd, all_ways, ask, crowd, drawn, held, place

from keyweave_controller.control.making_room import displace
from keyweave_controller.control.strategies import BALANCED, MIN_HOP
from keyweave_controller.control.ways import Ask


def test_one_victim_rather_than_two() -> None:
    """0-1 is held by one, 0-2-1 by two."""
    crowded = crowd(3, [(0, 1, 4), (0, 2, 4), (1, 2, 4)])
    place(crowded, held("x", ask(0, 1, 4, max_hops=1), (0,), priority=4))
    place(crowded, held("y", ask(0, 2, 4, max_hops=1), (1,)))
    place(crowded, held("z", ask(2, 1, 4, max_hops=1), (2,)))
    room = displace(crowded.mesh, BALANCED, ask(0, 1, 2), crowded.holders, priority=5)
    assert room is not None
    assert (room.way, room.evicted, room.moves) == ((0,), ("x",), ())


def test_a_victim_on_both_links_counts_once() -> None:
    crowded = crowd(4, [(0, 2, 4), (1, 2, 4), (0, 3, 4), (1, 3, 4)])
    place(crowded, held("both", ask(0, 1, 4, max_hops=2), (0, 1)))
    place(crowded, held("y", ask(0, 3, 4, max_hops=1), (2,)))
    place(crowded, held("z", ask(3, 1, 4, max_hops=1), (3,)))
    room = displace(crowded.mesh, BALANCED, ask(0, 1, 4), crowded.holders, priority=1)
    assert room is not None
    assert (room.way, room.evicted) == ((0, 1), ("both",))


def test_the_lowest_then_the_newest() -> None:
    crowded = crowd(2, [(0, 1, 4)])
    for key, priority, since in (("a", 1, 9.0), ("b", 0, 1.0), ("c", 0, 2.0), ("d", 0, 2.0)):
        place(crowded, held(key, ask(0, 1, 1), (0,), priority=priority, since=since))
    demand = ask(0, 1, 2)
    room = displace(crowded.mesh, BALANCED, demand, crowded.holders, priority=1)
    assert room is not None
    assert sorted(room.evicted) == ["c", "d"]
    room = displace(crowded.mesh, BALANCED, ask(0, 1, 3), crowded.holders, priority=2)
    assert room is not None
    assert sorted(room.evicted) == ["b", "c", "d"]


def test_equals_and_the_protected_stay() -> None:
    crowded = crowd(2, [(0, 1, 4)])
    place(crowded, held("equal", ask(0, 1, 2), (0,), priority=3))
    place(crowded, held("kept", ask(0, 1, 2), (0,), priority=0, preemptible=False))
    assert displace(crowded.mesh, BALANCED, ask(0, 1, 1), crowded.holders, priority=3) is None


def test_who_fits_elsewhere_moves_instead() -> None:
    """`x` makes room on 0-1 for both; `y` cannot go anywhere."""
    crowded = crowd(3, [(0, 1, 4), (0, 2, 2), (1, 2, 2)])
    place(crowded, held("x", ask(0, 1, 2), (0,)))
    place(crowded, held("y", ask(0, 1, 2, max_hops=1), (0,)))
    demand = ask(0, 1, 4, max_hops=1)
    room = displace(crowded.mesh, BALANCED, demand, crowded.holders, priority=1)
    assert room is not None
    assert (room.evicted, room.moves) == (("y",), (("x", (1, 2)),))
    crowded.carry_out(demand, room)


@given(seed=st.integers(0, 10_000), priority=st.integers(0, 3))
def test_what_is_told_can_be_done_to_those_it_may_be_done_to(seed: int, priority: int) -> None:
    crowded, demand = drawn(seed, most_nodes=7, most_links=12)
    BALANCED.prices(crowded.mesh)
    before = crowded.looks()
    room = displace(crowded.mesh, BALANCED, demand, crowded.holders, priority=priority)
    assert crowded.looks() == before
    assert room == displace(crowded.mesh, BALANCED, demand, crowded.holders, priority=priority)
    if room is None:
        return
    touched = [crowded.held[key] for key in (*room.evicted, *(key for key, _ in room.moves))]
    assert len({one.key for one in touched}) == len(touched)
    assert all(one.preemptible and one.priority < priority for one in touched)
    crowded.carry_out(demand, room)


@given(seed=st.integers(0, 10_000), priority=st.integers(1, 3))
def test_nobody_is_displaced_in_vain_and_nobody_is_spared_for_nothing(seed: int, priority: int) -> None:
    """Never more victims than trying everything finds, moves not counted; something whenever that does."""
    crowded, demand = drawn(seed)
    least = fewest(crowded, demand, priority)
    room = displace(crowded.mesh, MIN_HOP, demand, crowded.holders, priority=priority)
    assert (room is None) == (least is None)
    if room is not None and least is not None:
        assert len(room.evicted) <= least


@given(seed=st.integers(0, 10_000))
def test_chains_of_preemption_end(seed: int) -> None:
    """Who was evicted asks again, and evicts in turn: each time something lower, so it ends."""
    crowded, demand = drawn(seed)
    assume(demand.rate_bps < 9)
    waiting, rounds = [(3, demand)], 0
    while waiting:
        rounds += 1
        assert rounds <= 200
        priority, asked = waiting.pop()
        room = displace(crowded.mesh, BALANCED, asked, crowded.holders, priority=priority)
        if room is not None:
            evicted = [crowded.held[key] for key in room.evicted]
            assert all(one.priority < priority for one in evicted)
            waiting += [(one.priority, one.ask) for one in evicted]
            crowded.carry_out(asked, room)
            place(crowded, held(f"new-{rounds}", asked, room.way, priority=priority))


def fewest(crowded: Crowd, demand: Ask, priority: int) -> int | None:
    """The least number of victims after which the demand fits on some way."""
    mesh = crowded.mesh
    able = [one for one in crowded.held.values() if one.preemptible and one.priority < priority]
    sets = chain.from_iterable(combinations(able, size) for size in range(min(4, len(able)) + 1))
    for victims in sets:
        for one in victims:
            mesh.take(one.way, -one.ask.rate_bps)
        fits = bool(all_ways(mesh, demand, demand.rate_bps))
        for one in victims:
            mesh.take(one.way, one.ask.rate_bps)
        if fits:
            return len(victims)
    return None
